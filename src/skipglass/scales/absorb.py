"""The network without the factors of its batch norms: absorbed into its weights, it computes the same in eval mode."""

import copy
from dataclasses import replace

import torch
from torch import Tensor, nn

from skipglass.errors import InputError
from skipglass.graph import eager
from skipglass.scales.absorption import Norm, State, state_of
from skipglass.scales.residual_layers import pairs_of

__all__ = ["absorb"]


def absorb(model: nn.Module, inputs: object = None) -> nn.Module:
    """Return a copy in eval mode whose batch norms' factors λ/σ are part of its weights.

    What stays of a batch norm is a shift, and a sign per channel: z ↦ ±(z - μ′) + β′, computed by the same module with
    variance 1 - ε. Batch norms that no weight absorbs (see `pairs`) stay as they are, and so do channels with λ = 0
    before a weight.

    Parameters
    ----------
    model
        Any module; it is left as found.
    inputs
        What the model takes, or the `pairs` of the model; see `multipliers`.

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
    network, state = pairs_of(model, inputs), state_of(twin)
    with torch.no_grad():
        behind = {a.norm: a.behind for a in network.absorptions}
        gains = {norm: _gain(network.norms[norm], state, behind=b) for norm, b in behind.items()}
        # the weights of the copy take every gain, while its batch norms still have theirs
        for a in network.absorptions:
            state[a.weight].mul_(a.broadcast(gains[a.norm], state[a.weight]))
            if a.bias is not None:
                state[a.bias].mul_(gains[a.norm])
        for norm, b in behind.items():
            _neutralise(network.norms[norm], gains[norm], state, behind=b)
    return twin


def _gain(norm: Norm, state: State, *, behind: bool) -> Tensor:
    """|λ|/σ; for a weight behind, where a gain of 0 would also remove the shift, 1/σ in place of 0."""
    gain = norm.factor(state).abs()
    return torch.where(gain == 0, replace(norm, multiplier=None).factor(state), gain) if behind else gain


def _neutralise(norm: Norm, gain: Tensor, state: State, *, behind: bool) -> None:
    """Leave ±(z - μ′) + β′."""
    state[norm.variance].fill_((1 - norm.eps) ** (2 if norm.mean is None else 1))  # so that σ = 1
    if norm.multiplier is not None:
        state[norm.multiplier].sign_()
    # the norm's input has become larger by the gain; or the weight behind has, and multiplies the shift
    if not behind and norm.mean is not None:
        state[norm.mean].mul_(gain)
    elif behind and norm.shift is not None:
        state[norm.shift].div_(gain)
