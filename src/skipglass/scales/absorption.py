"""What `pairs` finds in a network: its weights, its batch norms, and which weight takes up which norm."""

from dataclasses import dataclass

__all__ = ["Absorption", "Norm", "Pairs"]


@dataclass(frozen=True)
class Norm:
    """A batch norm with fixed statistics: the names of its λ, β, mean and variance in the model, and its ε."""

    name: str
    multiplier: str | None
    shift: str | None
    mean: str
    variance: str
    eps: float


@dataclass(frozen=True)
class Absorption:
    """The weight that takes up a batch norm, and how.

    Attributes
    ----------
    norm
        Which batch norm.
    weight, bias
        Names of parameters; the bias of a weight before the norm takes the factor too.
    behind
        Whether the weight comes after the norm.
    positive
        Whether only a positive factor commutes with what lies between.
    axis, groups, repeat
        The dimension of the weight that the channels are; a grouped one is cut into ``groups``; each channel takes
        ``repeat`` places.
    """

    norm: str
    weight: str
    bias: str | None
    behind: bool
    positive: bool
    axis: int
    groups: int
    repeat: int


@dataclass(frozen=True)
class Pairs:
    """The weights and batch norms of a network in forward order, and which takes up which; prints as a table.

    Attributes
    ----------
    weights
        {name of the layer: name of its parameter}.
    norms
        {name of the batch norm: what it holds}.
    absorptions
        At most one for each batch norm.
    left
        {name: why} for batch norms that no weight takes up, and weights that are no single parameter.
    """

    weights: dict[str, str]
    norms: dict[str, Norm]
    absorptions: tuple[Absorption, ...]
    left: dict[str, str]

    def __str__(self) -> str:
        width = max([len(name) for name in [*self.weights, *self.left]] + [6])
        lines = [f"{'weight':{width}}  takes up"]
        for layer, weight in self.weights.items():
            taken = [
                f"{a.norm} ({'before' if a.behind else 'behind'} it)" for a in self.absorptions if a.weight == weight
            ]
            lines.append(f"{layer:{width}}  {', '.join(taken) or '-'}")
        lines += [f"{name:{width}}  left alone: {why}" for name, why in self.left.items()]
        return "\n".join(lines)
