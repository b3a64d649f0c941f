"""The sphere ‖w‖² = Λ: its points, its tangent spaces, and random points on it."""

import math

import torch
from torch import Tensor

from skipglass.errors import InputError

__all__ = ["DTYPES", "number_type", "project", "random_points", "require_points", "tangent", "tangent_basis"]

DTYPES = (torch.float64, torch.float32)


def number_type(dtype: torch.dtype) -> torch.dtype:
    """Return ``dtype`` if a glass can be computed in it: float64 or float32."""
    if dtype not in DTYPES:
        raise InputError(f"dtype must be torch.float64 or torch.float32, not {dtype!r}")
    return dtype


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
    w = torch.as_tensor(points).detach()
    if w.ndim == 0 or w.shape[-1] != size:
        raise InputError(f"points must have the shape (..., {size}), found {tuple(w.shape)}")
    if w.dtype != dtype:
        raise InputError(f"points must be {dtype}, like the glass, found {w.dtype}; convert them with .to({dtype})")
    w = w.to(device)
    if onto:
        return project(w)
    off = float((torch.linalg.vecdot(w, w) / size - 1).abs().max()) if w.numel() else 0.0
    if not off <= torch.finfo(dtype).eps ** (2 / 3):
        raise InputError(
            f"points must lie on the sphere ‖w‖² = {size}: ‖w‖²/{size} differs from 1 by up to {off:.3g}; "
            "pass project=True to scale them"
        )
    return w


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
    generator = torch.Generator().manual_seed(seed)
    return project(torch.randn(number, size, generator=generator, dtype=torch.float64)).to(device, dtype)
