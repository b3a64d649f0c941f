"""The network without the factors of its batch norms: absorbed into its weights, it computes the same in eval mode."""

import copy
from dataclasses import replace

import torch
from torch import Tensor, nn

from skipglass.errors import InputError
from skipglass.graph.forward import eager
from skipglass.scales.absorption import Norm, Pairs
from skipglass.scales.norms import factor, spread, state_of
from skipglass.scales.pairs import pairs
from skipglass.scales.residual_layers import absorb_layers, has_layers

__all__ = ["absorb"]


def absorb(model: nn.Module, inputs: object = None) -> nn.Module:
    """Return a copy in eval mode whose batch norms' factors λ/σ are part of its weights.

    What stays of a batch norm is a shift, at most with a sign for each channel: z ↦ ±(z - μ′) + β′, held by the same
    module with variance 1 - ε. Batch norms that no weight takes up (see `pairs`) stay as they are, as does a channel
    with λ = 0 before a weight.

    Parameters
    ----------
    model
        Any module; it is left as found.
    inputs
        What the model takes, or what `pairs` has read; see `multipliers`.

    Returns
    -------
    torch.nn.Module
        Its outputs equal the model's in eval mode up to rounding, and its weights have the `absorbed_norms`.

    Raises
    ------
    InputError
        If the model cannot be copied, or its graph cannot be read.

    Examples
    --------
    >>> from skipglass.models import CifarResNet
    >>> model, x = CifarResNet(8, width=0.25).eval(), torch.ones(1, 3, 32, 32)
    >>> bool(torch.allclose(absorb(model)(x), model(x), atol=1e-5))
    True
    """
    model = eager(model)
    try:
        twin = copy.deepcopy(model).eval()  # before it is run: some keep what they computed, with its graph
    except (RuntimeError, TypeError) as error:
        raise InputError(f"the model cannot be copied: {error}") from error
    found = inputs if isinstance(inputs, Pairs) or has_layers(model) else pairs(model, inputs)
    with torch.no_grad():
        if has_layers(twin):
            absorb_layers(twin)
        elif isinstance(found, Pairs):
            _absorb(found, state_of(twin))
    return twin


def _absorb(found: Pairs, state: dict[str, Tensor]) -> None:
    """Move every factor, in place."""
    gains: dict[str, Tensor] = {}
    for a in found.absorptions:
        if a.norm not in gains:
            gains[a.norm] = _gain(found.norms[a.norm], state, behind=a.behind)
        gain, weight = gains[a.norm], state[a.weight]
        weight.copy_(weight * spread(gain, weight, a))
        if a.bias is not None:
            state[a.bias].mul_(gain)
    for a in {a.norm: a for a in found.absorptions}.values():
        _neutralise(found.norms[a.norm], gains[a.norm], state, behind=a.behind)


def _gain(norm: Norm, state: dict[str, Tensor], *, behind: bool) -> Tensor:
    """|λ|/σ; for a weight behind, where 0 would also take the shift away, 1/σ instead of 0."""
    gain = factor(norm, state).abs()
    return torch.where(gain == 0, factor(replace(norm, multiplier=None), state), gain) if behind else gain


def _neutralise(norm: Norm, gain: Tensor, state: dict[str, Tensor], *, behind: bool) -> None:
    """Leave ±(z - μ′) + β′: before the weight the shift shrinks as the weight grows."""
    state[norm.variance].fill_(1 - norm.eps)
    if norm.multiplier:
        state[norm.multiplier].sign_()
    if not behind:
        state[norm.mean].mul_(gain)
    elif norm.shift:
        state[norm.shift].div_(gain)
