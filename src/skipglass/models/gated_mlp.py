"""The paper's network as its analysis takes it: gates that ask nobody, and few unique weights, evenly spread.

    N_1 = a(W_1ᵀ x),    N_l = a(W_lᵀ N_{l-1}) + N_{l-1},  l = 2..p,    Y = the sum of N_p's units.

The gates a are the ReLU of Eq. 8, or what Sec. 3 puts in its place: independent of weights and inputs, open with
probability ρ (Eq. 11). Weights with A2-A4 take Λ values with Σ w² = ΛC², and every unit sends each value out equally
often: then all Λ^r configurations of a path of length r have the same number of copies from every input.
"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from skipglass import check
from skipglass.errors import InputError

__all__ = ["GATES", "GatedMLP", "evenly_spread", "redundant_weights", "unique_weights"]

GATES = ("mean", "drawn", "relu", "relu first")
"""ρ itself; one draw a unit; the ReLU of Eq. 8, after the matrix; the ReLU before it (the first layer has none)."""


class GatedMLP(nn.Module):
    """The residual network of Eq. 8 with given weights, and one of `GATES`.

    Parameters
    ----------
    weights
        Wᵀ of each layer, (*seeds, n, d) and then (*seeds, n, n).
    gates
        One of `GATES`.
    gate
        ρ, for gates that are no ReLU.
    seed
        Of the drawn gates.

    Raises
    ------
    InputError
        If the gates are unknown, or ρ is no probability.

    Examples
    --------
    >>> generator = torch.Generator().manual_seed(0)
    >>> model = GatedMLP(redundant_weights(3, depth=4, width=8, unique=2, scale=0.1, generator=generator))
    >>> model(torch.zeros(5, 3, dtype=torch.float64)).shape
    torch.Size([5])
    """

    def __init__(self, weights: Sequence[Tensor], gates: str = "relu", *, gate: float = 0.5, seed: int = 0) -> None:
        super().__init__()
        self.gates, self.gate = check.choice("gates", gates, GATES), check.probability("gate", gate)
        self.weights = nn.ParameterList(weights)
        generator = torch.Generator().manual_seed(check.seed("seed", seed))
        for l, weight in enumerate(weights):
            drawn = torch.rand(weight.shape[:-1], generator=generator) < self.gate
            self.register_buffer(f"open_{l}", drawn[..., None].to(weight.dtype))

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, d) to (N,), or (S, N, d) with seeds to (S, N)."""
        h = x.mT
        for l, weight in enumerate(self.weights):
            if self.gates == "relu first":
                branch = weight @ (F.relu(h) if l else h)
            else:
                branch = self._pass(weight @ h, l)
            h = branch + h if l else branch
        return h.sum(dim=-2)

    def _pass(self, z: Tensor, layer: int) -> Tensor:
        if self.gates == "relu":
            return F.relu(z)
        return z * (self.get_buffer(f"open_{layer}") if self.gates == "drawn" else self.gate)


def unique_weights(
    unique: int, scale: float, alignment: float | None = 1.0, *, generator: torch.Generator, seeds: tuple[int, ...] = ()
) -> Tensor:
    """Draw Λ values on the sphere Σ w² = ΛC² (A4), with Σ w = s √Λ C.

    A2-A4 leave the alignment s open, and the r-path part of the output is proportional to s^r. Over directions drawn
    uniformly its mean square is 1, the value at which the paper's β = ρnC/√Λ is that of the network.

    Parameters
    ----------
    unique
        Λ.
    scale
        C.
    alignment
        s, at most √Λ (and √Λ itself for Λ = 1); None draws a uniform direction.
    generator
        Of the draw.
    seeds
        Leading shape: so many draws.

    Returns
    -------
    Tensor
        (*seeds, Λ), float64.

    Raises
    ------
    InputError
        If no Λ values have that alignment.

    Examples
    --------
    >>> w = unique_weights(4, 0.5, generator=torch.Generator().manual_seed(0))
    >>> round(float(w.square().mean()), 12), round(float(w.sum()), 12)
    (0.25, 1.0)
    """
    size = check.integer("unique", unique, 1)
    z = torch.randn(*seeds, size, generator=generator, dtype=torch.float64)
    if alignment is None:
        return z * scale * math.sqrt(size) / z.norm(dim=-1, keepdim=True)
    s = check.real("alignment", alignment)
    if s * s > size or (size == 1 and abs(s) != 1):
        raise InputError(f"{size} weights on their sphere have |Σ w|/(√Λ C) of at most √{size}, not {s:g}")
    z = z - z.mean(dim=-1, keepdim=True)
    across = math.sqrt(size - s * s) * z / z.norm(dim=-1, keepdim=True).clamp_min(1e-300)
    return scale * (s / math.sqrt(size) + across)


def evenly_spread(
    rows: int, columns: int, unique: int, generator: torch.Generator, seeds: tuple[int, ...] = ()
) -> Tensor:
    """Say which of Λ values stands where, so that every column holds each equally often, in random order (A3).

    Parameters
    ----------
    rows, columns
        Of a layer's Wᵀ: units, and units below.
    unique
        Λ, a divisor of the rows.
    generator
        Of the order.
    seeds
        Leading shape: so many draws.

    Returns
    -------
    Tensor
        (*seeds, rows, columns) of 0..Λ-1.

    Raises
    ------
    InputError
        If Λ does not divide the rows.

    Examples
    --------
    >>> evenly_spread(4, 3, 2, torch.Generator().manual_seed(0)).sum(0)
    tensor([2, 2, 2])
    """
    if check.integer("unique", unique, 1) > rows or rows % unique:
        raise InputError(f"Λ = {unique} values cannot be spread evenly over {rows} units: take a divisor of {rows}")
    drawn = torch.rand(*seeds, columns, rows, generator=generator, dtype=torch.float64)
    return torch.from_numpy(drawn.numpy().argsort(axis=-1)).mT % unique  # NumPy's sort takes a fifth of the time


def redundant_weights(
    in_features: int,
    *,
    depth: int,
    width: int,
    unique: int,
    scale: float,
    alignment: float | None = 1.0,
    generator: torch.Generator,
    seeds: tuple[int, ...] = (),
) -> list[Tensor]:
    """Make the weights of a network for which A2-A4 hold: the same Λ values in every layer, evenly spread.

    Parameters
    ----------
    in_features, depth, width
        d, p and n.
    unique, scale, alignment, generator, seeds
        As for `unique_weights` and `evenly_spread`.

    Returns
    -------
    list of Tensor
        For `GatedMLP`, float64.

    Examples
    --------
    >>> generator = torch.Generator().manual_seed(0)
    >>> first, second = redundant_weights(3, depth=2, width=4, unique=2, scale=1.0, generator=generator)
    >>> second.shape, second.unique().numel()
    (torch.Size([4, 4]), 2)
    """
    n, d = check.integer("width", width, 1), check.integer("in_features", in_features, 1)
    values = unique_weights(unique, scale, alignment, generator=generator, seeds=seeds)
    layers = []
    for l in range(check.integer("depth", depth, 1)):
        places = evenly_spread(n, n if l else d, unique, generator, seeds)
        layers.append(values[..., None, :].expand(*seeds, n, unique).gather(-1, places))
    return layers
