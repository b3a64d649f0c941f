"""Multipliers λ_l and weight norms, with and without the normalisation absorbed.

A normalised layer multiplies its unit i by λ_i/σ_i, so its effective weights are diag(λ/σ) Wᵀ: those of the
network without normalisation that computes the same in eval mode, up to shifts (for a normalisation behind
the ReLU, where λ > 0, as R(c z) = c R(z) for c > 0).
"""

import torch
from torch import Tensor, nn

from skipglass.errors import InputError
from skipglass.models import ResidualLayer

__all__ = ["absorbed_norms", "multipliers", "weight_norms"]


def multipliers(model: nn.Module) -> dict[str, Tensor]:
    """Return λ of each normalised layer.

    Parameters
    ----------
    model
        A network with `ResidualLayer` layers.

    Returns
    -------
    dict
        {name of the layer: λ}, detached copies: (*seeds, units), or (*seeds,) for the paper's one scalar.

    Raises
    ------
    InputError
        If no layer is normalised.
    """
    found = {name: layer.multiplier.detach().clone() for name, layer in _layers(model) if layer.normalization != "none"}
    if not found:
        raise InputError("the model has no multipliers: its layers are not normalised")
    return found


def weight_norms(model: nn.Module) -> dict[str, Tensor]:
    """Return ‖W_l‖, the Frobenius norm of each layer's weights.

    Parameters
    ----------
    model
        A network with `ResidualLayer` layers.

    Returns
    -------
    dict
        {name of the layer: (*seeds,)}.

    Raises
    ------
    InputError
        If the model has no such layers.
    """
    return {name: torch.linalg.matrix_norm(layer.weight.detach()) for name, layer in _layers(model)}


def absorbed_norms(model: nn.Module) -> dict[str, Tensor]:
    """Return ‖diag(λ/σ) Wᵀ‖, the norm of each layer's weights with its normalisation absorbed.

    σ is the running standard deviation, as in eval mode. A layer without normalisation has its weights' norm.

    Parameters
    ----------
    model
        A network with `ResidualLayer` layers.

    Returns
    -------
    dict
        {name of the layer: (*seeds,)}.

    Raises
    ------
    InputError
        If the model has no such layers.
    """
    return {name: torch.linalg.matrix_norm(_absorbed(layer)) for name, layer in _layers(model)}


def _absorbed(layer: ResidualLayer) -> Tensor:
    weight = layer.weight.detach()
    if layer.normalization == "none":
        return weight
    gain = layer.multiplier.detach() / layer.sigma
    return gain[..., None] * weight if layer.normalization == "batch" else gain[..., None, None] * weight


def _layers(model: nn.Module) -> list[tuple[str, ResidualLayer]]:
    layers = [(name, module) for name, module in model.named_modules() if isinstance(module, ResidualLayer)]
    if not layers:
        raise InputError(f"no residual layer found in a {type(model).__name__}; a ResidualMLP has them")
    return layers
