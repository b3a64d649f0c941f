"""Multipliers λ_l and the norms of the weights, with and without the batch norms absorbed.

With fixed statistics a batch norm multiplies channel c by λ_c/σ_c, σ_c² the running variance plus ε. Absorbed, the
factor is part of a weight: ‖diag(λ/σ) W‖ is the norm of the weights of the network without normalisation that
computes the same in eval mode (Littwin & Wolf, 2017, Fig. 2). `pairs` finds which weight takes up which batch norm.
"""

import torch
from torch import Tensor, nn

from skipglass.errors import InputError
from skipglass.graph import eager
from skipglass.scales.absorption import Pairs, State, state_of, wide
from skipglass.scales.residual_layers import pairs_of

__all__ = ["absorbed_norms", "multipliers", "weight_norms"]


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
    network, state = pairs_of(model, inputs), state_of(model)
    own = {name: state[norm.multiplier].clone() for name, norm in network.norms.items() if norm.multiplier}
    if not own:
        why = "its batch norms have none (affine=False)" if network.norms else "no batch norm with running statistics"
        left = [f"; {name}: {reason}" for name, reason in network.left.items()][:1]
        raise InputError(f"the model has no multipliers: {why}{''.join(left)}")
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
    return _norms(pairs_of(model, inputs), state_of(model))


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
    network, state = pairs_of(model, inputs), state_of(model)
    # state becomes that of the absorbed network, as far as its weights go
    for a in network.absorptions:
        weight = wide(state[a.weight])
        state[a.weight] = weight * a.broadcast(network.norms[a.norm].factor(state).abs(), weight)
    return _norms(network, state)


def _norms(network: Pairs, state: State) -> dict[str, Tensor]:
    """The Frobenius norm of each weight, one per seed."""
    if not network.weights:
        raise InputError("the model has no weights: no operation multiplies the signal by a matrix of parameters")
    weights = {layer: wide(state[name]) for layer, name in network.weights.items()}
    return {layer: torch.linalg.vector_norm(w, dim=tuple(range(network.seeds, w.ndim))) for layer, w in weights.items()}
