"""The spherical spin glass with its couplings drawn and stored (Sec. 5, Eqs. 28-30).

    H(w) = Σ_r ε_r Λ^{-(r-1)/2} Σ_{i1..ir} J_{i1..ir} w_i1 … w_ir on ‖w‖² = Λ, J independent N(0, 1)

Only the symmetric part of J acts: the coefficient of Π w_i^{m_i} has variance ε_r² Λ^{-(r-1)} r!/Π m_i!, and there are
C(Λ+r-1, r) of them. With P = 1 - wwᵀ/Λ the Riemannian gradient is P∇H, the Riemannian Hessian P(∇²H)P - (⟨∇H,w⟩/Λ) P.
"""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from skipglass import check
from skipglass.errors import InputError
from skipglass.glass import polynomial, sphere
from skipglass.glass.base import Device, Evaluation, Glass, stream
from skipglass.glass.couplings import draw_couplings, index_tuples
from skipglass.theory import Mixture

__all__ = ["SphericalGlass"]

MAX_ORDER = 100  # our choice: a Hessian at order 300 takes half a minute, even of the 301 couplings at Λ = 2
WORKSPACE = 1 << 20  # numbers, which stay in a cache


class SphericalGlass(Glass):
    """One sample of the spherical spin glass, couplings stored.

    Parameters
    ----------
    mixture
        ξ, with its field if it has one; orders up to 100.
    size
        Λ ≥ 2.
    seed
        Seed of the couplings. They are drawn on the CPU in float64, so that a seed names the same glass on every
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
        self, mixture: Mixture, size: int, seed: int = 0, dtype: torch.dtype = torch.float64, device: Device = "cpu"
    ) -> None:
        super().__init__(mixture, size, seed, dtype, device)
        self._require_memory()
        couplings = []
        for r, power in self.mixture.items():
            # each order has a stream of its own: the orders that a mixture has do not change one another
            generator = stream(np.random.SeedSequence(self.seed, spawn_key=(r,)))
            drawn = draw_couplings(r, self.size, power, generator, self.dtype)
            couplings.append(replace(drawn, values=drawn.values.to(self.device)))
        self.couplings = tuple(couplings)

    @property
    def nbytes(self) -> int:
        """Bytes of the stored couplings: C(Λ+r-1, r) numbers for each order, and at most a sixteenth of zeros."""
        return sum(c.values.nbytes for c in self.couplings)

    @property
    def dense_nbytes(self) -> int:
        """Bytes of the same couplings as full tensors, Σ_r Λ^r numbers."""
        return sum(self.size**c.order for c in self.couplings) * self.dtype.itemsize

    def hessian(self, points: Tensor, *, project: bool = False) -> Tensor:
        """P(∇²H)P - (⟨∇H,w⟩/Λ) P, the Riemannian Hessian; the point itself is in its kernel.

        Parameters
        ----------
        points, project
            As `on_sphere` takes them, with its errors.

        Returns
        -------
        Tensor
            (..., Λ, Λ).
        """
        hessian = self.evaluate(points, 2, project=project).hessian
        assert hessian is not None
        return hessian

    @torch.no_grad()
    def evaluate(self, points: Tensor, derivatives: int = 2, *, project: bool = False) -> Evaluation:
        """Energy, gradient and Hessian from one pass over the couplings.

        Parameters
        ----------
        points, project
            As `on_sphere` takes them, with its errors.
        derivatives
            0: the energy alone; 1: with the gradient; 2: with the Hessian.

        Returns
        -------
        Evaluation
            Energy (...), gradient (..., Λ), Hessian (..., Λ, Λ).
        """
        derivatives = check.integer("derivatives", derivatives, 0, 2)
        w = self.on_sphere(points, project)
        # as many points at once as fit in a cache with what is computed for them, or take little beside the couplings
        columns = polynomial.number(self.size, max(1, int(self.mixture.orders[-1]) - 2))
        stored = sum(c.values.numel() for c in self.couplings)
        together = max(1, max(WORKSPACE, stored // 4) // (self.size * columns))
        done = []
        for part in w.reshape(-1, self.size).split(together):
            orders = (c.derivatives(part, derivatives) for c in self.couplings)
            done.append(sphere.riemannian(part, [sum(terms) for terms in zip(*orders, strict=True)]))
        whole = (torch.cat(values) for values in zip(*done, strict=True))
        return Evaluation(*(values.reshape((*w.shape[:-1], *values.shape[1:])) for values in whole))

    def indices(self, points: Tensor, *, project: bool = False) -> Tensor:
        """The number of descending directions: negative eigenvalues of the Hessian on the tangent space.

        Parameters
        ----------
        points, project
            As `on_sphere` takes them, with its errors.

        Returns
        -------
        Tensor
            (...), integers in 0..Λ-1.
        """
        w = self.on_sphere(points, project)
        return sphere.morse_indices(w, self.hessian(w))

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
            f"{check.amount(self.nbytes)} (full tensors: {check.amount(self.dense_nbytes)})"
        )

    def _require_memory(self) -> None:
        """Refuse couplings that would take more than half of the free memory: points and monomials need room too."""
        free = torch.cuda.mem_get_info(self.device)[0] if self.device.type == "cuda" else check.free_memory()
        highest = int(self.mixture.orders[-1])
        if highest > MAX_ORDER:
            raise InputError(
                f"couplings are stored up to order {MAX_ORDER}, not {highest}; use LazyGlass, which takes any"
            )
        total = sum(polynomial.number(self.size, r) for r in self.mixture.orders.tolist())
        check.memory(
            f"the couplings up to order {highest} at size {self.size} (C({self.size + highest - 1}, {highest}) numbers "
            "of that order) and as much again to work in",
            2 * total * self.dtype.itemsize,
            "use LazyGlass, which stores none, or a smaller size or lower orders",
            free,
        )
