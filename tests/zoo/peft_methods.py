"""Methods of peft on a tiny Llama: what they add to a weight is parallel to it, and the blocks stay four."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from family import Family, Inputs
from torch import nn

__all__ = ["FAMILIES"]

TARGETS = {"target_modules": ["q_proj", "v_proj", "down_proj"]}
LOW = TARGETS | {"r": 2}

METHODS: dict[str, tuple[str, dict[str, Any]]] = {
    "LoRA": ("LoraConfig", LOW),
    "LoRA with dropout": ("LoraConfig", LOW | {"lora_dropout": 0.1}),
    "DoRA": ("LoraConfig", LOW | {"use_dora": True}),
    "rsLoRA by PiSSA": ("LoraConfig", LOW | {"use_rslora": True, "init_lora_weights": "pissa"}),
    "AdaLoRA": ("AdaLoraConfig", TARGETS | {"init_r": 4, "target_r": 2, "total_step": 10}),
    "VeRA": ("VeraConfig", {"target_modules": ["q_proj", "o_proj"], "r": 2}),
    "IA3": ("IA3Config", TARGETS | {"feedforward_modules": ["down_proj"]}),
    "LoHa": ("LoHaConfig", LOW),
    "LoKr": ("LoKrConfig", LOW),
    "OFT": ("OFTConfig", {"target_modules": ["q_proj", "v_proj"], "oft_block_size": 4}),
    "BOFT": ("BOFTConfig", {"target_modules": ["q_proj", "v_proj"], "boft_block_size": 4}),
    "FourierFT": ("FourierFTConfig", {"target_modules": ["q_proj", "v_proj"], "n_frequency": 8}),
    "HRA": ("HRAConfig", {"target_modules": ["q_proj", "v_proj"], "r": 2}),
    "norms alone": ("LNTuningConfig", {"target_modules": ["input_layernorm", "post_attention_layernorm"]}),
    "prefixes": ("PrefixTuningConfig", {"num_virtual_tokens": 2}),
    "prompts": ("PromptTuningConfig", {"num_virtual_tokens": 2}),
    "P-tuning": ("PromptEncoderConfig", {"num_virtual_tokens": 2, "encoder_hidden_size": 8}),
    "adaption prompts": ("AdaptionPromptConfig", {"adapter_layers": 1, "adapter_len": 2}),
    "Bone": ("MissConfig", LOW),
    "SHiRA": ("ShiraConfig", LOW),
    "VB-LoRA": ("VBLoRAConfig", TARGETS | {"r": 2, "num_vectors": 4, "vector_length": 4, "topk": 2}),
    "C3A": ("C3AConfig", {"target_modules": ["q_proj", "v_proj"], "block_size": 4}),
    "random LoRA": ("RandLoraConfig", {"target_modules": ["q_proj", "o_proj"], "r": 2}),
    "trainable tokens": ("TrainableTokensConfig", {"token_indices": [1, 2], "target_modules": ["embed_tokens"]}),
}


def llama() -> nn.Module:
    import transformers

    torch.manual_seed(0)
    settings = transformers.LlamaConfig(
        vocab_size=32, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2, use_cache=False
    )
    return transformers.LlamaForCausalLM(settings).train()


def adapted(config: str, settings: dict[str, Any], merged: bool = False) -> tuple[nn.Module, Inputs]:
    """A model with a method on it; its new parameters are random, where they would start from zero."""
    import peft

    model = peft.get_peft_model(llama(), getattr(peft, config)(task_type="CAUSAL_LM", **settings))
    for p in model.parameters():
        if p.requires_grad and p.is_floating_point():
            nn.init.normal_(p, std=0.3)
    inner = model.merge_and_unload() if merged else model
    return inner, {"input_ids": torch.arange(12).view(2, 6) % 26 + 4}


def families() -> dict[str, Callable[[], tuple[nn.Module, Inputs]]]:
    return {f"peft {name}": partial(adapted, *how) for name, how in METHODS.items()} | {
        "peft LoRA, merged": partial(adapted, "LoraConfig", LOW, merged=True)
    }


FAMILIES = {name: Family(build, 4) for name, build in families().items()} | {
    "peft VeRA": Family(families()["peft VeRA"], 4, "its shared matrices are constants", doubtful=True),
    "peft C3A": Family(
        families()["peft C3A"],
        4,
        "its convolution is a custom function: until it is registered it may be nonlinear, beside an affine weight",
        found=8,
        doubtful=True,
    ),
}
