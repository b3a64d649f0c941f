"""Every path of a small network, one by one: the sum over paths (Eq. 9), and the same sum by configurations (Lemma 1).

A path of length r takes r of the p layers, the first among them, and a unit in each; between them it stays on its
unit, along the shortcuts. There are ψ_r = d C(p-1, r-1) n^r of them. NumPy, float64, and no graph: the obvious way.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

__all__ = ["Paths", "configuration_sum", "copies", "enumerate_paths", "mass", "open_gates", "path_sum", "shapes"]

Array = NDArray[np.float64]
Labels = Sequence[NDArray[np.int64]]


@dataclass(frozen=True, eq=False)
class Paths:
    """All paths of one length, P of them.

    Attributes
    ----------
    inputs
        (P,) where they start.
    layers, units, below
        (P, r): at each weight the layer, the unit it leads to and the unit, or input, it comes from.
    """

    inputs: NDArray[np.int64]
    layers: NDArray[np.int64]
    units: NDArray[np.int64]
    below: NDArray[np.int64]

    def take(self, layers: Sequence[NDArray]) -> NDArray:
        """Look up what each path meets, (P, r), in one (n, fan_in) table a layer."""
        found = np.empty(self.layers.shape, dtype=layers[0].dtype)
        for l, table in enumerate(layers):
            here = self.layers == l
            found[here] = table[self.units[here], self.below[here]]
        return found

    def is_open(self, gates: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """A_ij: whether all units of a path are open, (P, N), given those of the network, (p, n, N)."""
        return np.logical_and.reduce(gates[self.layers, self.units], axis=1)


def shapes(depth: int, width: int, inputs: int) -> list[tuple[int, int]]:
    """Of the weight matrices of p layers of n units over d inputs, (n, fan-in) each."""
    return [(width, inputs)] + [(width, width)] * (depth - 1)


def mass(depth: int, width: int, inputs: int, length: int) -> int:
    """ψ_r = d C(p-1, r-1) n^r (Def. 2)."""
    return inputs * math.comb(depth - 1, length - 1) * width**length


def enumerate_paths(depth: int, width: int, inputs: int, length: int) -> Paths:
    """Return the ψ_r paths of one length."""
    # an input and one unit in each layer that the path takes
    ends = np.indices((inputs, *[width] * length)).reshape(length + 1, -1).T
    # the first layer always, and any r - 1 of those above: the others are skipped
    taken = [(0, *above) for above in combinations(range(1, depth), length - 1)]
    every = np.tile(ends, (len(taken), 1))
    return Paths(every[:, 0], np.repeat(taken, len(ends), axis=0), every[:, 1:], every[:, :-1])


def open_gates(weights: Sequence[Array], x: Array) -> NDArray[np.bool_]:
    """Which units of Eq. 8 are open, (p, n, N), for inputs (N, d)."""
    h, gates = x.T, []
    for l, weight in enumerate(weights):
        z = weight @ h
        gates.append(z > 0)
        h = np.maximum(z, 0) + (h if l else 0)
    return np.array(gates)


def path_sum(weights: Sequence[Array], x: Array, gates: NDArray) -> Array:
    """Y = Σ_r Σ_i Σ_j x_ij A_ij Π_k w_ij^(k), (N,) (Eq. 9).

    ``gates`` (p, n, N) may be numbers between 0 and 1: a path's A is the product of its units' gates.
    """
    Y = np.zeros(gates.shape[-1])
    for length in range(1, len(weights) + 1):
        paths = enumerate_paths(len(weights), weights[-1].shape[0], weights[0].shape[1], length)
        passed = gates[paths.layers, paths.units].prod(axis=1)
        Y += (x.T[paths.inputs] * passed * paths.take(weights).prod(axis=1)[:, None]).sum(axis=0)
    return Y


def _configuration(paths: Paths, labels: Labels, unique: int) -> NDArray[np.int64]:
    """(i_1, …, i_r) of each path as one number in base Λ, (P,)."""
    length = paths.layers.shape[1]
    return paths.take(labels) @ unique ** np.arange(length - 1, -1, -1)


def copies(labels: Labels, unique: int, length: int) -> NDArray[np.int64]:
    """α: how many paths of each configuration start from each input, (Λ^r, d)."""
    n, d = labels[0].shape
    paths = enumerate_paths(len(labels), n, d, length)
    where = _configuration(paths, labels, unique) * d + paths.inputs
    return np.bincount(where, minlength=unique**length * d).reshape(-1, d)


def configuration_sum(values: Array, labels: Labels, x: Array, gates: NDArray[np.bool_]) -> Array:
    """Y = Σ_r Σ_{i_1…i_r} (Σ over its copies of x A) Π_k w_{i_k}, (N,) (Eq. 10, Lemma 1)."""
    n, d = labels[0].shape
    unique, Y = len(values), np.zeros(len(x))
    for length in range(1, len(labels) + 1):
        paths = enumerate_paths(len(labels), n, d, length)
        configuration = _configuration(paths, labels, unique)
        # paths with the same values of their weights are gathered before these are multiplied
        signal = np.zeros((unique**length, len(x)))
        np.add.at(signal, configuration, x.T[paths.inputs] * paths.is_open(gates))
        products = values[np.indices([unique] * length).reshape(length, -1)].prod(axis=0)
        Y += products @ signal
    return Y
