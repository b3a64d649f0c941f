"""Multipliers λ_l and the norms of the weights, with and without the batch norms absorbed.

With fixed statistics a batch norm multiplies channel c by λ_c/σ_c, σ_c² the running variance plus ε. Absorbed, the
factor is part of a weight: ‖diag(λ/σ) W‖ is the norm of the weights of the network without normalisation that
computes the same in eval mode (Littwin & Wolf, 2017, Fig. 2). `pairs` finds which weight takes up which batch norm.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from skipglass.errors import InputError
from skipglass.graph.forward import eager
from skipglass.scales.absorption import Absorption, Norm, Pairs
from skipglass.scales.pairs import pairs
from skipglass.scales.residual_layers import absorbed_layers, has_layers, layer_multipliers, layer_norms

__all__ = ["absorbed_norms", "factor", "multipliers", "spread", "state_of", "weight_norms"]


def multipliers(model: nn.Module, inputs: object = None) -> dict[str, Tensor]:
    """Return the multipliers λ of each batch norm.

    Parameters
    ----------
    model
        Any module; it is left as found.
    inputs
        What the model takes, to read its graph; what `pairs` has read before, which saves a forward pass; or None
        for an example made from the first layer. A network of `ResidualLayer` layers needs none.

    Returns
    -------
    dict
        {name of the batch norm: λ}, detached copies in forward order, (channels,) each. For a `ResidualMLP` {name of
        the layer: λ}, (*seeds, units), or (*seeds,) for the paper's one scalar.

    Raises
    ------
    InputError
        If no layer is normalised, or the batch norms have no multipliers (``affine=False``).

    Examples
    --------
    >>> from skipglass.models import CifarResNet
    >>> {name: tuple(value.shape) for name, value in multipliers(CifarResNet(8)).items()}
    {'bn1': (16,), 'layer1.0.bn1': (16,), 'layer1.0.bn2': (16,), 'layer2.0.bn1': (32,), 'layer2.0.bn2': (32,),
     'layer3.0.bn1': (64,), 'layer3.0.bn2': (64,)}
    """
    model = eager(model)
    if has_layers(model):
        return layer_multipliers(model)
    found, state = _pairs(model, inputs), state_of(model)
    if not found.norms:
        left = next(iter(found.left.items()), None)
        why = f"; {left[0]} is left alone: {left[1]}" if left else ""
        raise InputError(f"the model has no multipliers: no batch norm with running statistics was found{why}")
    own = {name: state[norm.multiplier].clone() for name, norm in found.norms.items() if norm.multiplier}
    if not own:
        raise InputError("the model's batch norms have no multipliers (affine=False)")
    return own


def weight_norms(model: nn.Module, inputs: object = None) -> dict[str, Tensor]:
    """Return ‖W_l‖, the Frobenius norm of each weight that contracts the signal.

    Parameters
    ----------
    model
        Any module; it is left as found.
    inputs
        See `multipliers`.

    Returns
    -------
    dict
        {name of the layer: norm}, in forward order, scalars; (*seeds,) each for a `ResidualMLP`.

    Raises
    ------
    InputError
        If the model has no weights, or its graph cannot be read.
    """
    model = eager(model)
    if has_layers(model):
        return layer_norms(model)
    found, state = _pairs(model, inputs), state_of(model)
    return {layer: _norm(state[weight]) for layer, weight in _weights(found)}


def absorbed_norms(model: nn.Module, inputs: object = None) -> dict[str, Tensor]:
    """Return ‖diag(λ/σ) W‖, the norm of each weight with the batch norm absorbed that `pairs` gives it.

    σ is the running standard deviation, as in eval mode. A weight that takes up none has its own norm. Where norms of
    a batch norm before a weight are taken up by it (pre-activation), W's input channels are scaled, ‖W diag(λ/σ)‖.

    Parameters
    ----------
    model
        Any module; it is left as found.
    inputs
        See `multipliers`.

    Returns
    -------
    dict
        {name of the layer: norm}, in forward order, scalars; (*seeds,) each for a `ResidualMLP`.

    Raises
    ------
    InputError
        If the model has no weights, or its graph cannot be read.

    Examples
    --------
    >>> model = nn.Sequential(nn.Linear(2, 3, bias=False), nn.BatchNorm1d(3))
    >>> _ = nn.init.ones_(model[0].weight), nn.init.constant_(model[1].weight, 2.0)
    >>> round(absorbed_norms(model)["0"].square().item(), 2)  # six ones, each doubled
    24.0
    """
    model = eager(model)
    if has_layers(model):
        return absorbed_layers(model)
    found, state = _pairs(model, inputs), state_of(model)
    scaled = {weight: _wide(state[weight]) for _, weight in _weights(found)}
    for a in found.absorptions:
        scaled[a.weight] = scaled[a.weight] * spread(factor(found.norms[a.norm], state).abs(), scaled[a.weight], a)
    return {layer: torch.linalg.vector_norm(scaled[weight]) for layer, weight in _weights(found)}


def state_of(model: nn.Module) -> dict[str, Tensor]:
    """Return every parameter and buffer by name, detached."""
    return {name: t.detach() for name, t in (*model.named_parameters(), *model.named_buffers())}


def factor(norm: Norm, state: dict[str, Tensor]) -> Tensor:
    """Return λ/σ of a batch norm, (channels,)."""
    sigma = (_wide(state[norm.variance]) + norm.eps).sqrt()
    return (_wide(state[norm.multiplier]) if norm.multiplier else 1.0) / sigma


def spread(gain: Tensor, weight: Tensor, a: Absorption) -> Tensor:
    """Bring one factor for each channel into a shape that multiplies the weight."""
    behind = [1] * (weight.ndim - a.axis - 1)
    gain = gain.repeat_interleave(a.repeat)
    if a.groups == 1:
        return gain.view(-1, *behind)
    rows = len(weight) // a.groups  # the channels of a group meet the rows of that group alone
    return gain.view(a.groups, -1).repeat_interleave(rows, dim=0).view(*weight.shape[: a.axis + 1], *behind)


def _pairs(model: nn.Module, inputs: object) -> Pairs:
    return inputs if isinstance(inputs, Pairs) else pairs(model, inputs)


def _weights(found: Pairs) -> Iterator[tuple[str, str]]:
    if not found.weights:
        raise InputError("the model has no weights: nothing contracts the signal with a parameter")
    return iter(found.weights.items())


def _norm(weight: Tensor) -> Tensor:
    return torch.linalg.vector_norm(_wide(weight))


def _wide(tensor: Tensor) -> Tensor:
    """At least single precision."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))
