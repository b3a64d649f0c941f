"""The sphere ‖w‖² = Λ: its points, its tangent spaces, and random points on it."""

import math

import numpy as np
import torch
from torch import Tensor

from skipglass import check
from skipglass.errors import InputError
from skipglass.theory import Mixture

__all__ = [
    "DTYPES",
    "number_type",
    "place",
    "project",
    "random_points",
    "require_points",
    "require_range",
    "tangent",
    "tangent_basis",
]

DTYPES = (torch.float64, torch.float32)


def number_type(dtype: torch.dtype) -> torch.dtype:
    """Return ``dtype`` if a glass can be computed in it: float64 or float32."""
    if dtype not in DTYPES:
        raise InputError(f"dtype must be torch.float64 or torch.float32, not {dtype!r}")
    return dtype


def place(device: "torch.device | str") -> torch.device:
    """Return ``device`` if this machine has it."""
    try:
        found = torch.device(device)
        torch.empty(1, device=found)
    except (RuntimeError, TypeError, AssertionError, NotImplementedError):
        found = torch.device("meta")
    if found.type == "meta":
        raise InputError(f"device must be one that this machine has, like 'cpu' or 'cuda:0', not {device!r}")
    return found


def require_range(mixture: Mixture, size: int, dtype: torch.dtype) -> None:
    """Refuse powers with which the square of an energy or a gradient would leave the numbers of ``dtype``."""
    limit = torch.finfo(dtype).max ** 0.5
    with np.errstate(over="ignore"):
        lowest, nu1, nu2 = float(mixture(1.0)), mixture.nu1, mixture.nu2
    if not (1 / limit <= lowest and max(nu1, nu2) * size <= limit):
        raise InputError(
            f"with ξ(1) = {lowest:.3g} and ξ″(1) = {nu2:.3g} numbers leave the range of {dtype}; scale the "
            "mixture with .normalized()"
        )


def require_points(
    points: object, size: int, dtype: torch.dtype, device: torch.device, *, onto: bool = False
) -> Tensor:
    """Return points of the sphere ‖w‖² = Λ, checked.

    Parameters
    ----------
    points
        (..., Λ), a tensor or an array of ``dtype``. ‖w‖²/Λ may differ from 1 by ε^(2/3), ε the rounding of
        ``dtype``: 4e-11 in float64, 2e-5 in float32.
    size
        Λ.
    dtype, device
        What the points must be made of, and where they are needed.
    onto
        Scale each point to the sphere instead of asking that it lies there.

    Returns
    -------
    Tensor
        (..., Λ), detached from any graph.

    Raises
    ------
    InputError
        If the shape or the dtype is another, a number is not finite, or a point is off the sphere (with
        ``onto``: zero).
    """
    w = points if type(points) is Tensor and not (points.requires_grad or points.is_neg()) else _as_tensor(points)
    if w.is_meta or w.is_nested or w.layout != torch.strided:
        raise InputError(f"points must be a tensor or an array of numbers, (..., {size}), not {_kind(points)}")
    if w.ndim == 0 or w.shape[-1] != size:
        raise InputError(f"points must have the shape (..., {size}), found {tuple(w.shape)}")
    if w.dtype != dtype:
        raise InputError(f"points must be {dtype}, like the glass, found {w.dtype}; convert them with .to({dtype})")
    w = w if w.device == device else w.to(device)
    if onto:
        return project(w)
    low, high = (q / size for q in _squares(w)) if w.numel() else (1.0, 1.0)
    off = max(1 - low, high - 1)
    if not off <= torch.finfo(dtype).eps ** (2 / 3):
        raise InputError(
            f"points must lie on the sphere ‖w‖² = {size}: ‖w‖²/{size} differs from 1 by up to {off:.3g}; "
            "pass project=True to scale them"
        )
    return w


def _as_tensor(points: object) -> Tensor:
    """On the device "meta" where it is none."""
    if np.ma.isMaskedArray(points):
        raise InputError("points must not be masked: what is hidden has no value; fill or drop it first")
    if isinstance(points, np.ndarray):  # torch refuses arrays that run backwards, and warns of read-only ones
        points = np.require(points, points.dtype.newbyteorder("="), ("C", "W"))
    try:
        return torch.as_tensor(points).detach().resolve_neg()
    except (TypeError, ValueError, RuntimeError):
        return torch.empty((), device="meta")


def _squares(w: Tensor) -> tuple[float, float]:
    """The least and the largest ‖w‖²; for one point by NumPy, which after megabytes of couplings wakes faster."""
    if w.ndim == 1 and w.device.type == "cpu":
        v = w.numpy()
        square = float(v @ v)
        return square, square
    low, high = torch.linalg.vecdot(w, w).aminmax()
    return float(low), float(high)


def _kind(points: object) -> str:
    """What somebody gave for points."""
    if isinstance(points, Tensor):
        if points.is_nested:
            return "a nested tensor"
        return f"a {points.layout} tensor on {points.device}"
    return type(points).__name__


def project(w: Tensor) -> Tensor:
    """√Λ w/‖w‖, the nearest point of the sphere.

    Parameters
    ----------
    w
        (..., Λ), none of them zero.

    Returns
    -------
    Tensor
        (..., Λ).

    Raises
    ------
    InputError
        If a point is zero or not finite: it has no direction.
    """
    largest = w.abs().amax(-1, keepdim=True)
    if not bool(((largest > 0) & largest.isfinite()).all()):
        raise InputError("a point that is zero or not finite has no direction, and cannot be scaled to the sphere")
    w = w / largest
    return w * (math.sqrt(w.shape[-1]) / torch.linalg.vector_norm(w, dim=-1, keepdim=True))


def tangent(w: Tensor, vectors: Tensor) -> Tensor:
    """P v = v - w⟨w,v⟩/Λ, the part of each vector that is tangent to the sphere at w.

    Parameters
    ----------
    w
        (..., Λ), on the sphere.
    vectors
        (..., Λ).

    Returns
    -------
    Tensor
        (..., Λ).
    """
    return vectors - w * ((w * vectors).sum(-1, keepdim=True) / w.shape[-1])


def tangent_basis(w: Tensor) -> Tensor:
    """An orthonormal basis of the tangent space at each point: a Householder reflection takes e_0 to ∓w.

    Parameters
    ----------
    w
        (..., Λ), on the sphere.

    Returns
    -------
    Tensor
        (..., Λ, Λ-1), orthonormal columns.
    """
    size = w.shape[-1]
    u = w / math.sqrt(size)
    sign = torch.where(u[..., :1] < 0, -1.0, 1.0).to(w.dtype)
    v = torch.cat([u[..., :1] + sign, u[..., 1:]], -1)  # no cancellation: ‖v‖² = 2 (1 + |u_0|)
    reflection = torch.eye(size, dtype=w.dtype, device=w.device) - v[..., :, None] * v[..., None, :] / (
        1 + u[..., :1].abs()
    ).unsqueeze(-1)
    return reflection[..., 1:]


def random_points(
    number: int, size: int, seed: int, dtype: torch.dtype = torch.float64, device: "torch.device | str" = "cpu"
) -> Tensor:
    """Points drawn uniformly from the sphere; the same for the same seed on every device.

    Parameters
    ----------
    number
        How many.
    size
        Λ.
    seed
        Of a generator of their own.
    dtype, device
        Of the points.

    Returns
    -------
    Tensor
        (number, Λ).
    """
    check.memory(f"{number} points", 8 * number * size, "ask for fewer")
    generator = torch.Generator().manual_seed(seed)
    return project(torch.randn(number, size, generator=generator, dtype=torch.float64)).to(device, dtype)
