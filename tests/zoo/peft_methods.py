"""Methods of peft on a tiny Llama, one or more of each of its types.

What a method adds to a weight's output is parallel to it, and the four blocks of the two layers stay: where the method
itself writes a residual sum, or adds to an affine weight what is not affine in its input, there are more.
"""

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from family import Family, Inputs
from torch import nn

__all__ = ["CONFIGS", "FAMILIES"]

TARGETS = {"target_modules": ["q_proj", "v_proj", "down_proj"]}
LOW = TARGETS | {"r": 2}
TWO = {"target_modules": ["q_proj", "v_proj"]}
SQUARE = {"target_modules": ["q_proj", "o_proj"]}

METHODS: dict[str, tuple[str, dict[str, Any]]] = {
    "LoRA": ("LoraConfig", LOW),
    "LoRA with dropout": ("LoraConfig", LOW | {"lora_dropout": 0.1}),
    "DoRA": ("LoraConfig", LOW | {"use_dora": True}),
    "rsLoRA by PiSSA": ("LoraConfig", LOW | {"use_rslora": True, "init_lora_weights": "pissa"}),
    "AdaLoRA": ("AdaLoraConfig", TARGETS | {"init_r": 4, "target_r": 2, "total_step": 10}),
    "IA3": ("IA3Config", TARGETS | {"feedforward_modules": ["down_proj"]}),
    "LoHa": ("LoHaConfig", LOW),
    "LoKr": ("LoKrConfig", LOW),
    "OFT": ("OFTConfig", TWO | {"oft_block_size": 4}),
    "BOFT": ("BOFTConfig", TWO | {"boft_block_size": 4}),
    "FourierFT": ("FourierFTConfig", TWO | {"n_frequency": 8}),
    "HRA": ("HRAConfig", TWO | {"r": 2}),
    "norms alone": ("LNTuningConfig", {"target_modules": ["input_layernorm", "post_attention_layernorm"]}),
    "prefixes": ("PrefixTuningConfig", {"num_virtual_tokens": 2}),
    "prompts": ("PromptTuningConfig", {"num_virtual_tokens": 2}),
    "P-tuning": ("PromptEncoderConfig", {"num_virtual_tokens": 2, "encoder_hidden_size": 8}),
    "adaption prompts": ("AdaptionPromptConfig", {"adapter_layers": 1, "adapter_len": 2}),
    "Bone": ("MissConfig", LOW),
    "SHiRA": ("ShiraConfig", LOW),
    "VB-LoRA": ("VBLoRAConfig", TARGETS | {"r": 2, "num_vectors": 4, "vector_length": 4, "topk": 2}),
    "random LoRA": ("RandLoraConfig", SQUARE | {"r": 2}),
    "AdaMSS": ("AdamssConfig", TWO | {"r": 4, "num_subspaces": 2, "subspace_rank": 1}),
    "biases alone": ("BeftConfig", TARGETS),
    "cartridge": ("CartridgeConfig", {"num_virtual_tokens": 2}),
    "context-aware prompts": (
        "CPTConfig",
        {"cpt_token_ids": [1, 2], "cpt_mask": [1, 1], "cpt_tokens_type_mask": [1, 2]},
    ),
    "DeLoRA": ("DeloraConfig", LOW),
    "GLoRA": ("GloraConfig", LOW),
    "GraLoRA": ("GraloraConfig", TWO | {"r": 4, "gralora_k": 2}),
    "HiRA": ("HiraConfig", LOW),
    "OSF": ("OSFConfig", TWO | {"effective_rank": 4}),
    "PEANuT": ("PeanutConfig", LOW),
    "RoAd": ("RoadConfig", TWO | {"group_size": 4}),
    "super weights": ("SupertuningConfig", TWO),
    "TinyLoRA": ("TinyLoraConfig", TWO | {"r": 2, "u": 4}),
    "Uni-LoRA": ("UniLoraConfig", TWO | {"r": 2, "theta_d_length": 16}),
    "WaveFT": ("WaveFTConfig", TWO | {"n_frequency": 8}),
    "trainable tokens": ("TrainableTokensConfig", {"token_indices": [1, 2], "target_modules": ["embed_tokens"]}),
}

TASKS = {"task_ids": torch.tensor([0, 1])}
OF_TASKS: dict[str, tuple[str, dict[str, Any]]] = {
    "multitask prompts": ("MultitaskPromptTuningConfig", {"num_virtual_tokens": 2, "num_tasks": 2, "num_ranks": 1}),
    "Poly": ("PolyConfig", TWO | {"r": 2, "n_tasks": 2, "n_skills": 2, "n_splits": 1}),
}
"""They are told which task a sample is of."""

# name: configuration, settings, residual sums of the source, of them found, reason, doubtful
OTHERS: dict[str, tuple[str, dict[str, Any], int, int, str, bool]] = {
    "VeRA": ("VeraConfig", SQUARE | {"r": 2}, 4, 4, "its shared matrices are constants", True),
    "C3A": (
        "C3AConfig",
        TWO | {"block_size": 4},
        4,
        8,
        "its convolution is a custom function: until it is registered it may be nonlinear, beside an affine weight",
        True,
    ),
    "DEFT": ("DeftConfig", LOW, 10, 10, "4, and the projection y - P P'y of each of six weights", False),
    "FRoD": ("FrodConfig", SQUARE, 8, 8, "4, and a z + S z, with a sparse S, for each of four weights", False),
    "PSOFT": (
        "PsoftConfig",
        TWO | {"r": 4},
        8,
        8,
        "4, and R z - z for each of four weights; constants A and B",
        True,
    ),
    "PVeRA": (
        "PveraConfig",
        SQUARE | {"r": 2},
        8,
        8,
        "4, and for each of four weights an affine one beside a scale exp(v(x)) that is not; A and B are constants",
        True,
    ),
    "Lily": (
        "LilyConfig",
        LOW | {"num_B": 2, "stride_A": 1},
        10,
        10,
        "4, and for each of six weights one that is affine beside a mixture of experts that is not; the second layer "
        "uses the experts of the first again",
        False,
    ),
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

    model = randomised(peft.get_peft_model(llama(), getattr(peft, config)(task_type="CAUSAL_LM", **settings)))
    inner = model.merge_and_unload() if merged else model
    return inner, ids()


def ids() -> Inputs:
    return {"input_ids": torch.arange(12).view(2, 6) % 26 + 4}


def randomised(model: nn.Module) -> nn.Module:
    """The model, with random numbers for the parameters that are trained."""
    for p in model.parameters():
        if p.requires_grad and p.is_floating_point():
            nn.init.normal_(p, std=0.3)
    return model


def of_tasks(config: str, settings: dict[str, Any]) -> tuple[nn.Module, Inputs]:
    model, inputs = adapted(config, settings)
    return model, inputs | TASKS


def shadow() -> tuple[nn.Module, Inputs]:
    return adapted("ShadowConfig", {"r": 2})


def xlora() -> tuple[nn.Module, Inputs]:
    """Two adapters of LoRA, stored and loaded again, and their weights by token from a first pass without gradients."""
    import peft

    with tempfile.TemporaryDirectory() as folder:
        experts = {name: str(Path(folder) / name) for name in "01"}
        for path in experts.values():
            peft.get_peft_model(llama(), peft.LoraConfig(task_type="CAUSAL_LM", r=2, **TWO)).save_pretrained(path)
        settings = peft.XLoraConfig(task_type="CAUSAL_LM", hidden_size=16, xlora_depth=1, adapters=experts)
        model = peft.get_peft_model(llama(), settings)
    return randomised(model), ids()


CONFIGS = {config for config, *_ in [*METHODS.values(), *OF_TASKS.values(), *OTHERS.values()]} | {
    "ShadowConfig",
    "XLoraConfig",
}
"""The configurations of the methods that are built."""

BUILDS: dict[str, Callable[[], tuple[nn.Module, Inputs]]] = (
    {name: partial(adapted, *how) for name, how in METHODS.items()}
    | {name: partial(of_tasks, *how) for name, how in OF_TASKS.items()}
    | {"LoRA, merged": partial(adapted, "LoraConfig", LOW, merged=True), "X-LoRA": xlora}
)
FAMILIES = (
    {f"peft {name}": Family(build, 4) for name, build in BUILDS.items()}
    | {
        f"peft {name}": Family(partial(adapted, config, settings), blocks, why, found, doubtful)
        for name, (config, settings, blocks, found, why, doubtful) in OTHERS.items()
    }
    | {
        "peft shadow": Family(
            shadow,
            10,
            "4, 2 of the shadow's layer, and for each layer h - s and the injection h + W(h - s); the shadow's own "
            "shortcut is gated: not counted, with a note",
            doubtful=True,
        )
    }
)
