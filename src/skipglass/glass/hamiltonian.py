"""The spherical spin glass with its couplings drawn and stored (Sec. 5, Eqs. 28-30).

    H(w) = Σ_r ε_r Λ^{-(r-1)/2} Σ_{i1..ir} J_{i1..ir} w_i1 … w_ir on ‖w‖² = Λ, J independent N(0, 1)

Only the symmetric part of J acts: the coefficient of Π w_i^{m_i} has variance ε_r² Λ^{-(r-1)} r!/Π m_i!, and there are
C(Λ+r-1, r) of them. With P = 1 - wwᵀ/Λ the Riemannian gradient is P∇H, the Riemannian Hessian P(∇²H)P - (⟨∇H,w⟩/Λ) P.
"""

import os
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from skipglass import check
from skipglass.errors import InputError
from skipglass.glass import polynomial, sphere
from skipglass.glass.couplings import Couplings, draw_couplings, index_tuples
from skipglass.theory import Mixture
from skipglass.theory.mixture import require_mixture

_WORKSPACE = 1 << 20  # numbers: points are taken in parts, so that Λ² numbers for each of them stay in a cache

MAX_ORDER = 100  # our choice: a Hessian at order 300 takes half a minute, even of the 301 couplings at Λ = 2

__all__ = ["Evaluation", "SphericalGlass", "riemannian"]


class Evaluation(NamedTuple):
    """H, its Riemannian gradient and its Riemannian Hessian; what was not asked for is None."""

    energy: Tensor
    gradient: Tensor | None = None
    hessian: Tensor | None = None


class SphericalGlass:
    """One sample of the spherical spin glass, couplings stored.

    Parameters
    ----------
    mixture
        ξ, with its field if it has one.
    size
        Λ ≥ 2.
    seed
        Of the couplings. They are drawn on the CPU in float64, so that a seed names the same glass on every
        device, and in float32 the same up to rounding.
    dtype
        torch.float64 or torch.float32.
    device
        Where the couplings are kept and the work is done.

    Attributes
    ----------
    couplings : tuple of Couplings
        One for each order of the mixture.

    Raises
    ------
    InputError
        If an argument is out of its range or the couplings do not fit in memory: LazyGlass stores none.

    Examples
    --------
    >>> h = SphericalGlass(Mixture.pure(3), size=200, seed=0)
    >>> h
    SphericalGlass(Mixture({3: 1}), size=200, seed=0): 1353400 couplings, 11.3 MB (full tensors: 64.0 MB)
    >>> w = h.random_points(5)
    >>> h.energy(w).shape, h.gradient(w).shape, h.hessian(w).shape
    (torch.Size([5]), torch.Size([5, 200]), torch.Size([5, 200, 200]))
    """

    def __init__(
        self,
        mixture: Mixture,
        size: int,
        seed: int = 0,
        dtype: torch.dtype = torch.float64,
        device: "torch.device | str" = "cpu",
    ) -> None:
        self.mixture = require_mixture(mixture)
        self.size = check.integer("size", size, 2)
        self.seed = check.seed("seed", seed)
        self.dtype = sphere.number_type(dtype)
        self.device = sphere.place(device)
        sphere.require_range(self.mixture, self.size, self.dtype)
        _require_memory(self.mixture, self.size, self.dtype, self.device)
        drawn = [
            draw_couplings(r, self.size, power, self.seed, self.dtype)
            for r, power in zip(self.mixture.orders.tolist(), self.mixture.powers.tolist(), strict=True)
        ]
        self.couplings = tuple(Couplings(c.order, c.size, c.values.to(self.device)) for c in drawn)

    @property
    def nbytes(self) -> int:
        """Bytes of the stored couplings: C(Λ+r-1, r) numbers for each order, and at most a sixteenth of zeros."""
        return sum(c.values.nbytes for c in self.couplings)

    @property
    def dense_nbytes(self) -> int:
        """Bytes of the same couplings as full tensors, Σ_r Λ^r numbers."""
        return sum(self.size**c.order for c in self.couplings) * self.dtype.itemsize

    def random_points(self, number: int, seed: int = 0) -> Tensor:
        """Points drawn uniformly from the sphere.

        Parameters
        ----------
        number
            How many.
        seed
            Of the points; independent of the couplings, whatever their seed.

        Returns
        -------
        Tensor
            (number, Λ).
        """
        number = check.integer("the number of points", number)
        return sphere.random_points(number, self.size, check.seed("seed", seed), self.dtype, self.device)

    def energy(self, points: Tensor, *, project: bool = False) -> Tensor:
        """H, summed over the orders (not divided by Λ).

        Parameters
        ----------
        points, project
            As `evaluate` takes them, with its errors.

        Returns
        -------
        Tensor
            (...).
        """
        return self.evaluate(points, derivatives=0, project=project).energy

    def gradient(self, points: Tensor, *, project: bool = False) -> Tensor:
        """P∇H, the Riemannian gradient.

        Parameters
        ----------
        points, project
            As `evaluate` takes them, with its errors.

        Returns
        -------
        Tensor
            (..., Λ), orthogonal to the points.
        """
        found = self.evaluate(points, derivatives=1, project=project).gradient
        assert found is not None
        return found

    def hessian(self, points: Tensor, *, project: bool = False) -> Tensor:
        """P(∇²H)P - (⟨∇H,w⟩/Λ) P, the Riemannian Hessian; the point itself is in its kernel.

        Parameters
        ----------
        points, project
            As `evaluate` takes them, with its errors.

        Returns
        -------
        Tensor
            (..., Λ, Λ).
        """
        found = self.evaluate(points, derivatives=2, project=project).hessian
        assert found is not None
        return found

    def energy_and_gradient(self, points: Tensor, *, project: bool = False) -> tuple[Tensor, Tensor]:
        """H and P∇H from one pass over the couplings.

        Parameters
        ----------
        points, project
            As `evaluate` takes them, with its errors.

        Returns
        -------
        tuple of Tensor
            (...) and (..., Λ).
        """
        energy, gradient, _ = self.evaluate(points, derivatives=1, project=project)
        assert gradient is not None
        return energy, gradient

    @torch.no_grad()
    def evaluate(self, points: Tensor, derivatives: int = 2, *, project: bool = False) -> Evaluation:
        """Energy, gradient and Hessian from one pass over the couplings.

        Parameters
        ----------
        points
            (..., Λ) on ‖w‖² = Λ.
        derivatives
            0: the energy alone; 1: with the gradient; 2: with the Hessian.
        project
            Scale the points to the sphere first.

        Returns
        -------
        Evaluation
            Energy (...), gradient (..., Λ), Hessian (..., Λ, Λ).

        Raises
        ------
        InputError
            If the points have another shape or dtype, or lie off the sphere and ``project`` is not set.
        """
        derivatives = check.integer("derivatives", derivatives, 0, 2)
        w = sphere.require_points(points, self.size, self.dtype, self.device, onto=project)
        if not w.numel():
            return Evaluation(*(w.new_zeros(w.shape[:-1] + (self.size,) * k) for k in range(derivatives + 1)))
        if derivatives == 1 and w.numel() == self.size and self.device.type == "cpu":
            return _at_one_point(self.couplings, w)
        parts = [
            riemannian(self.couplings, part, derivatives)
            for part in w.reshape(-1, self.size).split(max(16, _WORKSPACE // self.size**2))
        ]
        found = (
            parts[0]
            if len(parts) == 1
            else [torch.cat(values) for values in zip(*parts, strict=True) if None not in values]
        )
        return Evaluation(*(value.reshape((*w.shape[:-1], *value.shape[1:])) for value in found if value is not None))

    def indices(self, points: Tensor, *, project: bool = False) -> Tensor:
        """The number of descending directions: negative eigenvalues of the Hessian on the tangent space.

        Parameters
        ----------
        points, project
            As `evaluate` takes them, with its errors.

        Returns
        -------
        Tensor
            (...), integers in 0..Λ-1.
        """
        w = sphere.require_points(points, self.size, self.dtype, self.device, onto=project)
        basis = sphere.tangent_basis(w)
        return (torch.linalg.eigvalsh(basis.mT @ self.hessian(w) @ basis) < 0).sum(-1)

    def coefficients(self, order: int) -> tuple[Tensor, Tensor]:
        """The couplings of one order by their indices: H has the term c w_i1 … w_ir, i1 ≤ … ≤ ir.

        Parameters
        ----------
        order
            r, one of the mixture's.

        Returns
        -------
        tuple of Tensor
            The sorted index tuples (C(Λ+r-1, r), r), and c (C(Λ+r-1, r),).

        Raises
        ------
        InputError
            If the mixture has no such order.
        """
        for c in self.couplings:
            if c.order == order:
                return index_tuples(self.size, order), c.coefficients()
        raise InputError(f"this glass has the orders {self.mixture.orders.tolist()}, not {order!r}")

    def __repr__(self) -> str:
        total = sum(polynomial.number(self.size, c.order) for c in self.couplings)
        return (
            f"SphericalGlass({self.mixture!r}, size={self.size}, seed={self.seed}): {total} couplings, "
            f"{_megabytes(self.nbytes)} (full tensors: {_megabytes(self.dense_nbytes)})"
        )


def riemannian(couplings: tuple[Couplings, ...], w: Tensor, derivatives: int) -> Evaluation:
    """Sum the orders and take the Riemannian gradient and Hessian; nothing is checked.

    Parameters
    ----------
    couplings
        One for each order, of one glass or of a stack of samples.
    w
        (*samples, B, Λ), on the sphere.
    derivatives
        0, 1 or 2.

    Returns
    -------
    Evaluation
        Energy (*samples, B), gradient (*samples, B, Λ), Hessian (*samples, B, Λ, Λ).
    """
    size = w.shape[-1]
    energy, *ambient = (sum(terms) for terms in zip(*(c.derivatives(w, derivatives) for c in couplings), strict=True))
    if not ambient:
        return Evaluation(energy)
    radial = (ambient[0] * w).sum(-1, keepdim=True) / size
    gradient = ambient[0] - radial * w
    if derivatives == 1:
        return Evaluation(energy, gradient)
    u = w[..., None] / size**0.5
    hessian, along = ambient[1], ambient[1] @ u
    middle = (u.mT @ along + radial[..., None]) * u  # half of (uᵀAu + radial) u uᵀ comes from each of the two sides
    outer = (along - middle / 2) @ u.mT
    hessian = hessian - outer - outer.mT
    hessian.diagonal(dim1=-2, dim2=-1).sub_(radial)
    return Evaluation(energy, gradient, hessian)


def _at_one_point(couplings: tuple[Couplings, ...], w: Tensor) -> Evaluation:
    """Energy and Riemannian gradient of one point on the CPU; after megabytes of couplings NumPy wakes faster."""
    x = w.numpy().reshape(-1)
    found = [c.at_one_point(x) for c in couplings]
    energy, ambient = sum(e for e, _ in found), sum(g for _, g in found)
    gradient = ambient - (ambient @ x / len(x)) * x
    shaped = np.asarray(energy).reshape(w.shape[:-1]), gradient.reshape(w.shape)
    return Evaluation(*map(torch.from_numpy, shaped))


def _require_memory(mixture: Mixture, size: int, dtype: torch.dtype, device: torch.device) -> None:
    """Refuse couplings that would take more than half of the free memory: points and their monomials need room too."""
    available = available_bytes(device)
    total = 0
    for r in mixture.orders.tolist():
        if r > MAX_ORDER:
            raise InputError(f"couplings are stored up to order {MAX_ORDER}, not {r}; use LazyGlass, which takes any")
        total += polynomial.number(size, r) * dtype.itemsize
        if total > available // 2:
            raise InputError(
                f"the couplings of order {r} at size {size} are C({size + r - 1}, {r}) numbers, which makes "
                f"{_megabytes(total)} up to this order, of {_megabytes(available)} of free memory here; use "
                "LazyGlass, which stores none, or a smaller size or lower orders"
            )


def available_bytes(device: torch.device) -> int:
    """Return the free memory of the device, in bytes; all of the machine's where the system does not tell."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    free = check.free_memory()
    return free if free is not None else os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _megabytes(number: int) -> str:
    """Bytes for people; sums of huge orders do not fit in a float."""
    if number < 10**15:
        return f"{number / 1e6:.1f} MB"
    return f"10^{len(str(number)) - 1} bytes"
