"""Small networks whose every number is drawn in float64 by a seed, for the recordings of whole models."""

import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import skipglass as sg

sys.path.insert(0, str(Path(__file__).parents[1] / "scales"))
import networks

__all__ = ["IMAGES", "NETWORKS", "SCALED", "batch", "language_model", "made", "redrawn"]

IMAGES = (3, 16, 16)


def redrawn(model: nn.Module, seed: int = 0) -> nn.Module:
    """The model in float64 with new weights, gains of both signs, shifts and running statistics."""
    generator = torch.Generator().manual_seed(seed)
    model = model.double()

    def uniform(tensor: Tensor, low: float, high: float) -> None:
        values = torch.rand(tensor.shape, generator=generator, dtype=torch.float64)
        tensor.copy_(low + (high - low) * values)

    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if not tensor.is_floating_point():
                continue
            if name.endswith("running_var"):
                uniform(tensor, 0.5, 1.5)
            elif tensor.ndim > 1:
                bound = math.sqrt(3 / tensor[0].numel())
                uniform(tensor, -bound, bound)
            elif name.endswith(("multiplier", "norm.weight", "ln_1.weight", "ln_2.weight", "ln_f.weight")):
                uniform(tensor, 0.5, 1.5)
            elif name.endswith("weight"):  # of a batch norm
                uniform(tensor, -0.5, 1.5)
            else:
                uniform(tensor, -0.2, 0.2)
    return model


def batch(*shape: int, classes: int = 3, seed: int = 1) -> tuple[Tensor, Tensor]:
    """Inputs in float64 and labels."""
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(*shape, generator=generator, dtype=torch.float64)
    return inputs, torch.randint(classes, shape[:1], generator=generator)


def mlp(normalization: str, placement: str = "after", out: int | None = 3) -> nn.Module:
    model = sg.models.ResidualMLP(
        5, out, depth=6, width=8, normalization=normalization, placement=placement, dtype=torch.float64
    )
    return redrawn(model)


def resnet(**settings: Any) -> nn.Module:
    return redrawn(sg.models.CifarResNet(8, width=0.25, classes=3, **settings))


def dense() -> nn.Module:
    return redrawn(sg.models.DenseNet(7, growth=4, classes=3))


def language_model(name: str) -> nn.Module:
    import transformers

    tokens = {"vocab_size": 11, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    if name == "GPT-2":
        sizes = {"n_embd": 8, "n_layer": 3, "n_head": 2, "n_positions": 8}
        silent = {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}
        return redrawn(transformers.GPT2LMHeadModel(transformers.GPT2Config(**tokens, **sizes, **silent)))
    sizes = {"hidden_size": 8, "intermediate_size": 12, "num_hidden_layers": 2, "num_attention_heads": 2}
    return redrawn(transformers.LlamaForCausalLM(transformers.LlamaConfig(**tokens, **sizes, num_key_value_heads=1)))


NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "MLP": (lambda: mlp("none"), (6, 5)),
    "MLP with batch norm": (lambda: mlp("batch"), (6, 5)),
    "MLP with batch norm before": (lambda: mlp("batch", "before"), (6, 5)),
    "MLP of the paper": (lambda: mlp("paper"), (6, 5)),
    "post-activation": (resnet, (4, *IMAGES)),
    "pre-activation": (lambda: resnet(preactivation=True), (4, *IMAGES)),
    "without batch norm": (lambda: resnet(normalized=False, padding="both"), (4, *IMAGES)),
    "dense net": (dense, (4, *IMAGES)),
}
"""Name → (how to make it, shape of a batch)."""


def made(name: str, training: bool = True) -> tuple[nn.Module, Tensor, Tensor]:
    """A network, inputs and labels."""
    make, shape = NETWORKS[name]
    return make().train(training), *batch(*shape)


def scaled(name: str) -> tuple[nn.Module, Tensor]:
    make, shape, *_ = networks.CASES[name]
    return redrawn(make()).eval(), batch(3, *shape)[0]


SCALED = {name: (lambda name=name: scaled(name)) for name in networks.CASES}
"""Networks with batch norms in many places, in eval mode, and a batch."""
