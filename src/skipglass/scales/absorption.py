"""What `pairs` reads in a network: its weights, its batch norms, and which weight absorbs which batch norm.

With fixed statistics a batch norm multiplies channel c by its *factor* λ_c/σ_c. A weight *absorbs* a batch norm if the
network computes the same with the factor multiplied into the weight.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

__all__ = ["Absorption", "Norm", "Pairs", "state_of", "wide"]

State = dict[str, Tensor]
"""The parameters and buffers of a model by name."""


@dataclass(frozen=True)
class Norm:
    """A batch norm with running statistics: the names of its λ, β, mean and variance in the model, and its ε.

    One without a mean is the paper's normalisation (Eq. 22), which does not centre.
    """

    name: str
    multiplier: str | None
    shift: str | None
    mean: str | None
    variance: str
    eps: float

    def factor(self, state: State) -> Tensor:
        """Return λ/σ, (channels,): σ² is the running variance + ε; in Eq. 22, σ is the running deviation + ε."""
        variance = wide(state[self.variance])
        sigma = variance.sqrt() + self.eps if self.mean is None else (variance + self.eps).sqrt()
        return (wide(state[self.multiplier]) if self.multiplier else 1.0) / sigma


@dataclass(frozen=True)
class Absorption:
    """One weight that absorbs one batch norm, and how.

    Attributes
    ----------
    norm
        Name of the batch norm.
    weight, bias
        Names of parameters. The bias of a weight before the batch norm is multiplied by the factor too.
    behind
        Whether the weight comes behind the batch norm in the network.
    positive
        Whether a ReLU or the like lies between them, with which only a positive factor commutes.
    axis, groups, repeat
        The dimension of the weight that runs over channels, split into ``groups``; each channel has ``repeat`` adjacent
        places there.
    """

    norm: str
    weight: str
    bias: str | None
    behind: bool
    positive: bool
    axis: int
    groups: int
    repeat: int

    def broadcast(self, gain: Tensor, weight: Tensor) -> Tensor:
        """Return one number per channel, (*seeds, channels), in a shape that multiplies the weight."""
        after = [1] * (weight.ndim - self.axis - 1)
        if self.groups == 1:
            gain = gain.repeat_interleave(self.repeat, -1) if self.repeat > 1 else gain
            return gain.view(*gain.shape, *after)
        # each of the groups of channels meets its own share of the weight's rows alone
        groups = gain.repeat_interleave(self.repeat).view(self.groups, -1)
        return groups.repeat_interleave(len(weight) // self.groups, dim=0).view(*weight.shape[: self.axis + 1], *after)


@dataclass(frozen=True)
class Pairs:
    """The weights and batch norms of a network in forward order, and which absorbs which; prints as a table.

    Attributes
    ----------
    weights
        {name of the layer: name of its parameter}.
    norms
        {name of the batch norm: what it holds}.
    absorptions
        One per batch norm that is absorbed, or several where one module is used with several weights.
    left
        {name: why} for batch norms that no weight absorbs, and weights that are no single parameter.
    seeds
        How many leading dimensions of every parameter stand for networks of different seeds.
    """

    weights: dict[str, str]
    norms: dict[str, Norm]
    absorptions: tuple[Absorption, ...]
    left: dict[str, str]
    seeds: int = 0

    def __str__(self) -> str:
        width = max([len(name) for name in [*self.weights, *self.left]] + [6])
        lines = [f"{'weight':{width}}  absorbs"]
        for layer, weight in self.weights.items():
            own = [a for a in self.absorptions if a.weight == weight]
            absorbed = [f"{a.norm} ({'before' if a.behind else 'behind'} it)" for a in own]
            lines.append(f"{layer:{width}}  {', '.join(absorbed) or '-'}")
        return "\n".join(lines + [f"{name:{width}}  not absorbed: {why}" for name, why in self.left.items()])


def state_of(model: nn.Module) -> State:
    """Return every parameter and buffer by name, detached."""
    return {name: t.detach() for name, t in (*model.named_parameters(), *model.named_buffers())}


def wide(tensor: Tensor) -> Tensor:
    """Return a tensor in single precision at least, in which norms of half-precision weights do not overflow."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))
