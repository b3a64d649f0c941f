"""A spherical spin glass drawn only where it is looked at: no couplings, any orders, any size.

H is a Gaussian field on ‖w‖² = Λ, so its value and its gradient at a new point can be drawn from their exact law
given everything drawn before. What lies in the span of the visited points is one small Gaussian
(`conditional.SpanLaw`); orthogonal to it the gradient's components are independent over dimensions, and are kept
as the white vectors z_s that they were mixed from. A point costs O(tΛ) after t points, and O(t⁵) in the span.
"""

import hashlib
import math

import numpy as np
import torch
from torch import Tensor

from skipglass import check
from skipglass.glass.base import Device, Evaluation, Glass, stream
from skipglass.glass.conditional import SpanLaw
from skipglass.theory import Mixture

__all__ = ["LazyGlass"]

IN_SPAN = 100  # in machine epsilons: a unit vector this near to the span is in it, by rounding
STREAM = 5  # any number that is this class's own


class LazyGlass(Glass):
    """H(w) and its gradient, drawn on demand (docs/mathematics.md §3).

    Every evaluation is kept: the next is drawn given all of them, in order, and a point that was seen before
    gives what it gave then. Exact in law, up to an independent variance of 1e-9 of its own for each observation,
    more for orders above about 500 (double precision cannot tell apart less): 4e-15 ξ″(1)/ξ(1), 1e-8 at order 1,700.
    Meant for a few hundred points: the 100th costs about 0.2 s in the span, the 200th 16 times as much.

    Parameters
    ----------
    mixture
        ξ, of any orders; the order 1 is a field.
    size
        Λ ≥ 2.
    seed
        Seed of the disorder, which is drawn on the CPU: a seed and a sequence of points name the same glass on every
        device.
    dtype
        float64 or float32, of the points and gradients; the small Gaussian is always in float64.
    device
        Where points and gradients are kept.

    Attributes
    ----------
    noise : float
        Standard deviation of an observation's own noise, relative to the observation's.
    resolution : float
        Gradients below this fraction of a typical one, √(Λν′), are noise: where a descent stops.
    default_steps : int
        Of `descend` and `langevin`.

    Raises
    ------
    InputError
        If there is no mixture, no size, or another dtype; if its orders are too high for double precision, pure ones
        above 17,000.

    Examples
    --------
    >>> from skipglass.theory import DepthEnsemble
    >>> z = LazyGlass(DepthEnsemble(depth=100, beta=0.5).mixture(), size=10_000, seed=0)
    >>> w = z.random_points(2)
    >>> z.energy(w).shape, z.gradient(w).shape, z.evaluations
    (torch.Size([2]), torch.Size([2, 10000]), 2)
    """

    default_steps = 100

    def __init__(
        self, mixture: Mixture, size: int, seed: int = 0, dtype: torch.dtype = torch.float64, device: Device = "cpu"
    ) -> None:
        super().__init__(mixture, size, seed, dtype, device)
        check.memory(f"a first point at size {self.size}", 3 * 16 * 8 * self.size, "take a smaller size")
        # a stream of its own: random_points seeds its generator with the plain number
        self._generator = stream(np.random.SeedSequence([self.seed, STREAM]))
        self._law = SpanLaw(self.mixture)
        self.noise = math.sqrt(self._law.nugget)
        self.resolution = 10 * self.noise
        # row by row an orthonormal basis of the points' span, and the white vector of each point
        self._basis, self._white = (_GrowingMatrix(self.size, dtype, self.device) for _ in range(2))
        self._seen: dict[bytes, tuple[float, Tensor]] = {}  # energy and gradient

    @property
    def evaluations(self) -> int:
        """How many different points have been drawn."""
        return len(self._seen)

    @torch.no_grad()
    def evaluate(self, points: Tensor, derivatives: int = 1, *, project: bool = False) -> Evaluation:
        """H and P∇H, which are drawn together, whatever is asked for; several points are drawn one after another.

        Parameters
        ----------
        points, project
            As `on_sphere` takes them, with its errors.
        derivatives
            0 or 1; the Hessian is not drawn.

        Returns
        -------
        Evaluation
            Energy (...) and gradient (..., Λ).

        Raises
        ------
        InputError
            If the orders are too high for points so near to earlier ones.
        """
        check.integer("derivatives", derivatives, 0, 1)
        w = self.on_sphere(points, project)
        flat = w.reshape(-1, self.size)
        energies, gradients = flat.new_zeros(len(flat)), torch.zeros_like(flat)
        for k, point in enumerate(flat):
            energies[k], gradients[k] = self._at(point)
        return Evaluation(energies.reshape(w.shape[:-1]), gradients.reshape(w.shape))

    def __repr__(self) -> str:
        return f"LazyGlass({self.mixture!r}, size={self.size}, seed={self.seed}), {self.evaluations} points drawn"

    def _at(self, w: Tensor) -> tuple[float, Tensor]:
        """Energy and gradient at a point, drawn now if it is new; it is recognised by its bytes."""
        # + 0.0 turns -0 into 0
        key = hashlib.blake2b((w + 0.0).cpu().numpy().tobytes(), digest_size=16).digest()
        if key not in self._seen:
            self._seen[key] = self._draw(w)
        return self._seen[key]

    def _draw(self, w: Tensor) -> tuple[float, Tensor]:
        u = w / w.norm()
        c = self._coordinates(u)
        drawn = self._law.draw(c, self._normals(1 + c.size).double().cpu().numpy())
        # orthogonal to the span: the earlier white vectors mixed, and a new one
        white = self._normals(self.size)
        gradient = drawn.scale * white
        if drawn.mix.size:
            gradient += self._vector(drawn.mix) @ self._white.rows
        self._white.append(white)
        # in the span: the components that the small Gaussian gave replace those of the white vectors
        E = self._basis.rows
        gradient += E.T @ (self._vector(drawn.gradient) - E @ gradient)
        return math.sqrt(self.size) * drawn.value, gradient - (gradient @ u) * u

    def _coordinates(self, u: Tensor) -> np.ndarray:
        """Coordinates of a unit vector in the basis, which grows by its part outside of the span, if it has one."""
        E = self._basis.rows
        first = E @ u
        outside = u - E.T @ first
        # once more: what is left of nearly dependent points is mostly rounding
        second = E @ outside
        outside -= E.T @ second
        norm = float(outside.norm())
        c = (first + second).double().cpu().numpy()
        if norm > IN_SPAN * torch.finfo(self.dtype).eps and len(E) < self.size:
            direction = outside / norm
            self._law.add_direction((self._white.rows @ direction).double().cpu().numpy())
            self._basis.append(direction)
            c = np.append(c, norm)
        return c / np.linalg.norm(c)

    def _normals(self, count: int) -> Tensor:
        return torch.randn(count, generator=self._generator, dtype=torch.float64).to(self.device, self.dtype)

    def _vector(self, values: np.ndarray) -> Tensor:
        return torch.from_numpy(values).to(self.device, self.dtype)


class _GrowingMatrix:
    """A matrix that grows by rows, its capacity by half."""

    def __init__(self, width: int, dtype: torch.dtype, device: torch.device) -> None:
        self._store = torch.empty(16, width, dtype=dtype, device=device)
        self._count = 0

    @property
    def rows(self) -> Tensor:
        """The (count, width) rows so far, a view."""
        return self._store[: self._count]

    def append(self, row: Tensor) -> None:
        if self._count == len(self._store):
            self._store = torch.cat([self._store, torch.empty_like(self._store[: self._count // 2])])
        self._store[self._count] = row
        self._count += 1
