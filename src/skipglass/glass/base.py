"""What every sampled glass is: one draw of a Gaussian field H on the sphere ‖w‖² = Λ.

    E[H(w)] = 0,   E[H(w)H(w')] = Λ ξ(⟨w,w'⟩/Λ)

`SphericalGlass` draws H by its couplings, `LazyGlass` by its values at the points that are asked for.
"""

import math
from abc import ABC, abstractmethod
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from skipglass import check
from skipglass.errors import InputError
from skipglass.glass import sphere
from skipglass.theory import Mixture
from skipglass.theory.mixture import require_mixture

__all__ = ["Device", "Evaluation", "Glass", "stream"]

Device = torch.device | str


class Evaluation(NamedTuple):
    """H, its Riemannian gradient and its Riemannian Hessian; what was not asked for is None."""

    energy: Tensor
    gradient: Tensor | None = None
    hessian: Tensor | None = None


class Glass(ABC):
    """One sample of the spherical spin glass: what `SphericalGlass` and `LazyGlass` have in common.

    Parameters
    ----------
    mixture
        ξ, with its field (order 1) if it has one.
    size
        Λ ≥ 2.
    seed
        Seed of the disorder, which is drawn on the CPU in float64: a seed names the same glass on every device, and
        in float32 the same up to rounding.
    dtype
        torch.float64 or torch.float32.
    device
        Where the work is done.

    Attributes
    ----------
    default_steps : int
        Steps of `descend` and `langevin` unless told otherwise.
    noise : float
        Standard deviation of an evaluation's own noise, relative to a typical energy; 0 where H is a function.
    resolution : float
        Gradients below this fraction of a typical one, √(Λν′), are noise: where a descent stops.

    Raises
    ------
    InputError
        If an argument is out of its range.
    """

    default_steps = 1000
    noise = 0.0
    resolution = 0.0

    def __init__(
        self, mixture: Mixture, size: int, seed: int = 0, dtype: torch.dtype = torch.float64, device: Device = "cpu"
    ) -> None:
        self.mixture, self.size = require_mixture(mixture), check.integer("size", size, 2)
        self.seed = check.seed("seed", seed)
        if dtype not in (torch.float64, torch.float32):
            raise InputError(f"dtype must be torch.float64 or torch.float32, not {dtype!r}")
        self.dtype, self.device = dtype, _require_device(device)
        self._require_range()

    @property
    def stiffness(self) -> float:
        """2√ν″ + √ν′, the largest eigenvalue of a typical Hessian as Λ → ∞."""
        return 2 * math.sqrt(self.mixture.nu2) + math.sqrt(self.mixture.nu1)

    @abstractmethod
    def evaluate(self, points: Tensor, derivatives: int, *, project: bool = False) -> Evaluation:
        """Energy and as many derivatives as are asked for."""

    def energy(self, points: Tensor, *, project: bool = False) -> Tensor:
        """H, summed over the orders (not divided by Λ).

        Parameters
        ----------
        points, project
            As `on_sphere` takes them, with its errors.

        Returns
        -------
        Tensor
            (...).
        """
        return self.evaluate(points, 0, project=project).energy

    def gradient(self, points: Tensor, *, project: bool = False) -> Tensor:
        """P∇H, the Riemannian gradient.

        Parameters
        ----------
        points, project
            As `on_sphere` takes them, with its errors.

        Returns
        -------
        Tensor
            (..., Λ), orthogonal to the points.
        """
        return self.energy_and_gradient(points, project=project)[1]

    def energy_and_gradient(self, points: Tensor, *, project: bool = False) -> tuple[Tensor, Tensor]:
        """H and P∇H from one evaluation.

        Parameters
        ----------
        points, project
            As `on_sphere` takes them, with its errors.

        Returns
        -------
        tuple of Tensor
            (...) and (..., Λ).
        """
        energy, gradient, _ = self.evaluate(points, 1, project=project)
        assert gradient is not None
        return energy, gradient

    def random_points(self, number: int, seed: int = 0) -> Tensor:
        """Points drawn uniformly from the sphere; the same for the same seed on every device.

        Parameters
        ----------
        number
            How many.
        seed
            Seed of the points, which are independent of the disorder, whatever its seed.

        Returns
        -------
        Tensor
            (number, Λ).
        """
        number = check.integer("the number of points", number)
        check.memory(f"{number} points", 8 * number * self.size, "ask for fewer")
        # drawn on the CPU in float64, whatever device and dtype the points are for
        generator = torch.Generator().manual_seed(check.seed("seed", seed))
        normals = torch.randn(number, self.size, generator=generator, dtype=torch.float64)
        return sphere.project(normals).to(self.device, self.dtype)

    def on_sphere(self, points: object, project: bool = False) -> Tensor:
        """Return points of the sphere ‖w‖² = Λ, checked.

        Parameters
        ----------
        points
            (..., Λ), a tensor or an array of the glass's dtype. ‖w‖²/Λ may differ from 1 by ε^(2/3), ε the rounding
            of the dtype: 4e-11 in float64, 2e-5 in float32.
        project
            Scale each point to the sphere instead of requiring that it lies there.

        Returns
        -------
        Tensor
            (..., Λ), on the glass's device, detached from any graph.

        Raises
        ------
        InputError
            If the shape or the dtype is another, a number is not finite, or a point is off the sphere (with
            ``project``: zero).
        """
        w = _as_tensor(points, self.size)
        if w.ndim == 0 or w.shape[-1] != self.size:
            raise InputError(f"points must have the shape (..., {self.size}), found {tuple(w.shape)}")
        if w.dtype != self.dtype:
            raise InputError(
                f"points must be {self.dtype}, like the glass, found {w.dtype}; convert them with .to({self.dtype})"
            )
        w = w.to(self.device)
        if project:
            return sphere.project(w)
        distance = (torch.linalg.vecdot(w, w) / self.size - 1).abs()
        off = float(distance.max()) if w.numel() else 0.0
        # NaN is no distance either, and fails the comparison
        if not off <= torch.finfo(self.dtype).eps ** (2 / 3):
            raise InputError(
                f"points must lie on the sphere ‖w‖² = {self.size}: ‖w‖²/{self.size} differs from 1 by up to "
                f"{off:.3g}; pass project=True to scale them"
            )
        return w

    def _require_range(self) -> None:
        """Refuse powers with which the square of an energy or a gradient would overflow or vanish."""
        # typical energies, slopes and curvatures lie between √ξ(1) and the larger of ν′Λ and ν″Λ, and are squared
        limit = torch.finfo(self.dtype).max ** 0.5
        with np.errstate(over="ignore"):
            lowest, nu1, nu2 = float(self.mixture(1.0)), self.mixture.nu1, self.mixture.nu2
        if not (1 / limit <= lowest and max(nu1, nu2) * self.size <= limit):
            raise InputError(
                f"with ξ(1) = {lowest:.3g} and ξ″(1) = {nu2:.3g} numbers leave the range of {self.dtype}; scale the "
                "mixture with .normalized()"
            )


def stream(sequence: np.random.SeedSequence) -> torch.Generator:
    """Return a generator of normal numbers that is independent of those of other sequences and of plain seeds."""
    return torch.Generator().manual_seed(int(sequence.generate_state(1, np.uint64)[0]) >> 1)


def _require_device(device: Device) -> torch.device:
    try:
        place = torch.device(device)
        torch.zeros(1, device=place).item()  # fails where the device is absent or, like "meta", holds no numbers
    except (RuntimeError, TypeError, AssertionError, NotImplementedError):
        raise InputError(f"device must be one that this machine has, like 'cpu' or 'cuda:0', not {device!r}") from None
    return place


def _as_tensor(points: object, size: int) -> Tensor:
    if np.ma.isMaskedArray(points):
        raise InputError("points must not be masked: what is hidden has no value; fill or drop it first")
    if isinstance(points, np.ndarray):  # torch refuses arrays that run backwards, and warns of read-only ones
        points = np.require(points, points.dtype.newbyteorder("="), ("C", "W"))
    try:
        w = torch.as_tensor(points).detach().resolve_neg()
    except (TypeError, ValueError, RuntimeError):
        w = torch.empty((), device="meta")
    if w.is_meta or w.is_nested or w.layout != torch.strided:
        kind = f" ({points.layout}, {points.device})" if isinstance(points, Tensor) else ""
        raise InputError(
            f"points must be a tensor or an array of numbers, dense and of shape (..., {size}), "
            f"not {type(points).__name__}{kind}"
        )
    return w
