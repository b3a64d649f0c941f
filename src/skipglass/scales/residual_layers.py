"""The scales of a `ResidualMLP`, for one seed or many, and its normalisations absorbed.

A normalised layer multiplies its unit i by λ_i/σ_i, so its effective weights are diag(λ/σ) Wᵀ: those of the
network without normalisation that computes the same in eval mode, up to shifts (for a normalisation behind
the ReLU, where λ > 0, as R(c z) = c R(z) for c > 0).
"""

import torch
from torch import Tensor, nn

from skipglass.errors import InputError
from skipglass.models import ResidualLayer
from skipglass.models.residual_mlp import EPS

__all__ = ["absorb_layers", "absorbed_layers", "has_layers", "layer_multipliers", "layer_norms"]


def has_layers(model: nn.Module) -> bool:
    """Tell whether a network is made of `ResidualLayer` layers."""
    return any(isinstance(module, ResidualLayer) for module in model.modules())


def layer_multipliers(model: nn.Module) -> dict[str, Tensor]:
    """Return {name of the layer: λ}: (*seeds, units), or (*seeds,) for the paper's one scalar."""
    found = {name: layer.multiplier.detach().clone() for name, layer in _layers(model) if layer.normalization != "none"}
    if not found:
        raise InputError("the model has no multipliers: its layers are not normalised")
    return found


def layer_norms(model: nn.Module) -> dict[str, Tensor]:
    """Return {name of the layer: ‖W_l‖}, (*seeds,) each."""
    return {name: torch.linalg.matrix_norm(layer.weight.detach()) for name, layer in _layers(model)}


def absorbed_layers(model: nn.Module) -> dict[str, Tensor]:
    """Return {name of the layer: ‖diag(λ/σ) Wᵀ‖}, (*seeds,) each."""
    return {name: torch.linalg.matrix_norm(_absorbed(layer)) for name, layer in _layers(model)}


def absorb_layers(model: nn.Module) -> None:
    """Absorb each layer's normalisation in place: W ← diag(|λ|/σ)W, and what stays is a sign and a shift."""
    for _, layer in _layers(model):
        if layer.normalization == "none":
            continue
        gain = (layer.multiplier / layer.sigma).abs()
        layer.weight.copy_(_scaled(layer, gain))
        layer.multiplier.sign_()
        if layer.normalization == "batch":
            layer.running_mean.mul_(gain)
            layer.running_var.fill_(1 - EPS)
        else:
            layer.running_var.fill_((1 - EPS) ** 2)


def _absorbed(layer: ResidualLayer) -> Tensor:
    weight = layer.weight.detach()
    if layer.normalization == "none":
        return weight
    return _scaled(layer, layer.multiplier.detach() / layer.sigma)


def _scaled(layer: ResidualLayer, gain: Tensor) -> Tensor:
    places = (..., None) if layer.normalization == "batch" else (..., None, None)
    return gain[places] * layer.weight.detach()


def _layers(model: nn.Module) -> list[tuple[str, ResidualLayer]]:
    layers = [(name, module) for name, module in model.named_modules() if isinstance(module, ResidualLayer)]
    if not layers:
        raise InputError(f"no residual layer found in a {type(model).__name__}; a ResidualMLP has them")
    return layers
