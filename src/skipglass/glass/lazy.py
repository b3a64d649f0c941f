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
from skipglass.glass import sphere
from skipglass.glass.conditional import SpanLaw
from skipglass.theory.mixture import Mixture, require_mixture

__all__ = ["LazyGlass"]

IN_SPAN = 100  # in machine epsilons: a unit vector this near to the span is in it, by rounding
STREAM = 5  # any number that is this class's own


class LazyGlass:
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
        Of the disorder, which is drawn on the CPU: a seed and a sequence of points name the same glass on every
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
        self,
        mixture: Mixture,
        size: int,
        seed: int = 0,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str = "cpu",
    ) -> None:
        self.mixture, self.size = require_mixture(mixture), check.integer("size", size, 2)
        self.seed = check.seed("seed", seed)
        self.dtype, self.device = sphere.number_type(dtype), sphere.place(device)
        sphere.require_range(self.mixture, self.size, self.dtype)
        check.memory(f"a first point at size {self.size}", 3 * 16 * 8 * self.size, "take a smaller size")
        # a stream of its own: random_points seeds torch's generator with the plain number
        stream = np.random.SeedSequence([self.seed, STREAM]).generate_state(1, np.uint64)[0] >> np.uint64(1)
        self._generator = torch.Generator().manual_seed(int(stream))
        self._law = SpanLaw(self.mixture)
        self.noise = math.sqrt(self._law.nugget)
        self.resolution = 10 * self.noise
        self._basis, self._white, self._gradients = (_Rows(self.size, dtype, self.device) for _ in range(3))
        self._energies: list[float] = []
        self._seen: dict[bytes, int] = {}

    @property
    def evaluations(self) -> int:
        """How many different points have been drawn."""
        return len(self._energies)

    def random_points(self, number: int, seed: int = 0) -> Tensor:
        """Points drawn uniformly from the sphere.

        Parameters
        ----------
        number
            How many.
        seed
            Of the points; independent of the disorder, whatever its seed.

        Returns
        -------
        Tensor
            (number, Λ).
        """
        number = check.integer("the number of points", number)
        return sphere.random_points(number, self.size, check.seed("seed", seed), self.dtype, self.device)

    def energy(self, points: Tensor, *, project: bool = False) -> Tensor:
        """H (not divided by Λ).

        Parameters
        ----------
        points, project
            As `energy_and_gradient` takes them, with its errors.

        Returns
        -------
        Tensor
            (...).
        """
        return self.energy_and_gradient(points, project=project)[0]

    def gradient(self, points: Tensor, *, project: bool = False) -> Tensor:
        """P∇H, the Riemannian gradient.

        Parameters
        ----------
        points, project
            As `energy_and_gradient` takes them, with its errors.

        Returns
        -------
        Tensor
            (..., Λ), orthogonal to the points.
        """
        return self.energy_and_gradient(points, project=project)[1]

    @torch.no_grad()
    def energy_and_gradient(self, points: Tensor, *, project: bool = False) -> tuple[Tensor, Tensor]:
        """H and P∇H, which are drawn together.

        Parameters
        ----------
        points
            (..., Λ) on ‖w‖² = Λ; several are drawn one after another.
        project
            Scale the points to the sphere first.

        Returns
        -------
        tuple of Tensor
            (...) and (..., Λ).

        Raises
        ------
        InputError
            If the points have another shape or dtype, or lie off the sphere and ``project`` is not set; if the orders
            are too high for points so near to earlier ones.
        """
        w = sphere.require_points(points, self.size, self.dtype, self.device, onto=project)
        known = [self._index(point) for point in w.reshape(w.shape[:-1].numel(), self.size)]
        energies = torch.tensor([self._energies[k] for k in known], dtype=self.dtype, device=self.device)
        return energies.reshape(w.shape[:-1]), self._gradients.rows[known].reshape(w.shape)

    def _index(self, w: Tensor) -> int:
        """The number of a point, drawn now if it is new."""
        key = hashlib.blake2b((w + 0.0).cpu().numpy().tobytes(), digest_size=16).digest()
        if key not in self._seen:
            energy, gradient = self._draw(w)
            self._gradients.append(gradient)
            self._energies.append(energy)
            self._seen[key] = self.evaluations - 1
        return self._seen[key]

    def _draw(self, w: Tensor) -> tuple[float, Tensor]:
        u = w / w.norm()
        c = self._coordinates(u)
        drawn = self._law.draw(c, self._normals(1 + c.size).double().cpu().numpy())
        white = self._normals(self.size)
        gradient = drawn.scale * white
        if drawn.mix.size:
            gradient += self._vector(drawn.mix) @ self._white.rows
        E = self._basis.rows
        gradient += E.T @ (self._vector(drawn.gradient) - E @ gradient)
        self._white.append(white)
        return math.sqrt(self.size) * drawn.value, gradient - (gradient @ u) * u

    def _coordinates(self, u: Tensor) -> np.ndarray:
        """Coordinates of a unit vector in the basis, which grows by its part outside of the span, if it has one."""
        E = self._basis.rows
        first = E @ u
        outside = u - E.T @ first
        second = E @ outside  # once more: what is left of nearly dependent points is mostly rounding
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

    def __repr__(self) -> str:
        return f"LazyGlass({self.mixture!r}, size={self.size}, seed={self.seed}), {self.evaluations} points drawn"


class _Rows:
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
            grown = self._store.new_empty(self._count * 3 // 2, self._store.shape[1])
            grown[: self._count] = self._store
            self._store = grown
        self._store[self._count] = row
        self._count += 1
