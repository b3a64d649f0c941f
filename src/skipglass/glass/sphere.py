"""The geometry of the sphere ‖w‖² = Λ: its nearest points, its tangent spaces, and their bases."""

import math

import torch
from torch import Tensor

from skipglass.errors import InputError

__all__ = ["project", "rescale", "split", "tangent", "tangent_basis"]


def project(w: Tensor) -> Tensor:
    """√Λ w/‖w‖, the nearest point of the sphere, for vectors of any length.

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
    # with entries of at most 1 the squares neither overflow nor vanish
    return rescale(w / largest)


def rescale(w: Tensor) -> Tensor:
    """√Λ w/‖w‖ of points near the sphere, unchecked: the retraction after a step."""
    return w * (math.sqrt(w.shape[-1]) / torch.linalg.vector_norm(w, dim=-1, keepdim=True))


def split(w: Tensor, vectors: Tensor) -> tuple[Tensor, Tensor]:
    """Split vectors at points w of the sphere: v = P v + ρ w with ρ = ⟨v,w⟩/Λ.

    Parameters
    ----------
    w
        (..., Λ), on the sphere.
    vectors
        (..., Λ).

    Returns
    -------
    tuple of Tensor
        The tangential parts P v (..., Λ), and ρ (..., 1).
    """
    radial = (vectors * w).sum(-1, keepdim=True) / w.shape[-1]
    return vectors - radial * w, radial


def tangent(w: Tensor, vectors: Tensor) -> Tensor:
    """P v = v - w⟨w,v⟩/Λ, the part of each vector that is tangent to the sphere at w."""
    return split(w, vectors)[0]


def tangent_basis(w: Tensor) -> Tensor:
    """An orthonormal basis of the tangent space at each point: the Householder reflection that takes e_0 to ∓w/√Λ.

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
    # v = u ± e_0 with the sign that avoids cancellation, so that ‖v‖² = 2 (1 + |u_0|)
    sign = torch.where(u[..., :1] < 0, -1.0, 1.0).to(w.dtype)
    v = torch.cat([u[..., :1] + sign, u[..., 1:]], -1)
    half_square = (1 + u[..., :1].abs()).unsqueeze(-1)
    reflection = torch.eye(size, dtype=w.dtype, device=w.device) - v[..., :, None] * v[..., None, :] / half_square
    # the first column is ∓u; the others are orthogonal to it
    return reflection[..., 1:]
