"""The paper's network as its analysis treats it: gates that ignore the input, and few unique weights, evenly spread.

    N_1 = a(W_1ᵀ x),    N_l = a(W_lᵀ N_{l-1}) + N_{l-1},  l = 2..p,    Y = the sum of N_p's units.

The gates a are the ReLU of Eq. 8, or their replacement in Sec. 3: independent of weights and inputs, open with
probability ρ (Eq. 11). Weights that satisfy A2-A4 take Λ values with Σ w² = ΛC², and each value occurs equally often
among the weights that leave a unit. Then each of the Λ^r configurations of a path of length r has the same number of
copies from every input.
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
"""The factor ρ; one draw per unit; the ReLU of Eq. 8, after the matrix; the ReLU before it (not in the first layer)."""


class GatedMLP(nn.Module):
    """The residual network of Eq. 8 with given weights and one kind of `GATES`.

    Parameters
    ----------
    weights
        Wᵀ of each layer: (*seeds, n, d) for the first and (*seeds, n, n) for the others.
    gates
        One of `GATES`.
    gate
        ρ, for the gates "mean" and "drawn".
    seed
        Seed of the drawn gates.

    Raises
    ------
    InputError
        If the gates are unknown, or ρ is not a probability.

    Examples
    --------
    >>> generator = torch.Generator().manual_seed(0)
    >>> model = GatedMLP(redundant_weights(3, depth=4, width=8, unique=2, scale=0.1, generator=generator))
    >>> model(torch.zeros(5, 3, dtype=torch.float64)).shape
    torch.Size([5])
    """

    def __init__(self, weights: Sequence[Tensor], gates: str = "relu", *, gate: float = 0.5, seed: int = 0) -> None:
        super().__init__()
        self.gates, self.gate = check.choice("gates", gates, GATES), check.real("gate", gate, 0.0, 1.0)
        self.weights = nn.ParameterList(weights)
        generator = torch.Generator().manual_seed(check.seed("seed", seed))
        for l, weight in enumerate(weights):
            drawn = torch.rand(weight.shape[:-1], generator=generator) < self.gate
            self.register_buffer(f"open_{l}", drawn[..., None].to(weight.dtype))

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, d) to (N,), or (S, N, d) with seeds to (S, N)."""
        h = x.mT
        for l, weight in enumerate(self.weights):
            before = self.gates == "relu first" and l > 0
            branch = self._gated(weight @ (F.relu(h) if before else h), l)
            h = branch + h if l else branch
        return h.sum(dim=-2)

    def _gated(self, z: Tensor, layer: int) -> Tensor:
        """Apply the gates that follow the matrix."""
        if self.gates == "mean":
            return z * self.gate
        if self.gates == "drawn":
            return z * self.get_buffer(f"open_{layer}")
        return F.relu(z) if self.gates == "relu" else z


def unique_weights(
    unique: int, scale: float, alignment: float | None = 1.0, *, generator: torch.Generator, seeds: tuple[int, ...] = ()
) -> Tensor:
    """Draw Λ values on the sphere Σ w² = ΛC² (A4), with Σ w = s √Λ C.

    A2-A4 do not determine the alignment s, and the part of the output on paths of length r is proportional to s^r.
    For uniformly drawn directions s has the mean square 1. At s = 1 the paper's β = ρnC/√Λ is that of the network.

    Parameters
    ----------
    unique
        Λ.
    scale
        C.
    alignment
        s, at most √Λ (and √Λ itself for Λ = 1); None draws a uniform direction.
    generator
        Generator of the draw.
    seeds
        Leading shape of the result, one independent draw for each entry.

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
    # The component along (1, …, 1) is given by s; the rest points in a uniform direction orthogonal to it.
    z = z - z.mean(dim=-1, keepdim=True)
    across = math.sqrt(size - s * s) * z / z.norm(dim=-1, keepdim=True).clamp_min(1e-300)
    return scale * (s / math.sqrt(size) + across)


def evenly_spread(
    rows: int, columns: int, unique: int, generator: torch.Generator, seeds: tuple[int, ...] = ()
) -> Tensor:
    """Assign one of Λ values to each place, such that every column holds each equally often, in random order (A3).

    Parameters
    ----------
    rows, columns
        Shape of a layer's Wᵀ: its units, and the units of the layer below.
    unique
        Λ, a divisor of the rows.
    generator
        Generator of the order.
    seeds
        Leading shape of the result, one independent draw for each entry.

    Returns
    -------
    Tensor
        (*seeds, rows, columns), numbers of the values, 0..Λ-1.

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
    # The ranks of random numbers are a random permutation of 0..rows-1, and modulo Λ each value occurs rows/Λ times.
    drawn = torch.rand(*seeds, columns, rows, generator=generator, dtype=torch.float64)
    return torch.from_numpy(drawn.numpy().argsort(axis=-1)).mT % unique  # NumPy sorts in a fifth of torch's time


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
    """Make weights that satisfy A2-A4: the same Λ values in every layer, evenly spread.

    Parameters
    ----------
    in_features, depth, width
        d, p and n.
    unique, scale, alignment, generator, seeds
        As for `unique_weights` and `evenly_spread`.

    Returns
    -------
    list of Tensor
        The weights of a `GatedMLP`, float64.

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
