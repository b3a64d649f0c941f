"""The geometry of the sphere ‖w‖² = Λ: its nearest points, its tangent spaces, and derivatives along it."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from skipglass.errors import InputError

__all__ = ["morse_indices", "project", "rescale", "riemannian", "split", "tangent", "tangent_basis"]


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
    """An orthonormal basis of the tangent space at each point.

    Parameters
    ----------
    w
        (..., Λ), on the sphere.

    Returns
    -------
    Tensor
        (..., Λ, Λ-1), orthonormal columns.
    """
    # the first column of Q is ∓w/√Λ; the others are orthogonal to it
    return torch.linalg.qr(w[..., None], mode="complete").Q[..., 1:]


def riemannian(w: Tensor, ambient: Sequence[Tensor]) -> list[Tensor]:
    """Return H, its Riemannian gradient and its Riemannian Hessian, as many as are given of the ambient ones.

    Parameters
    ----------
    w
        (..., Λ), on the sphere.
    ambient
        H (...), then ∇H (..., Λ), then ∇²H (..., Λ, Λ).

    Returns
    -------
    list of Tensor
        Of the same shapes.
    """
    results = list(ambient)
    if len(results) > 1:
        results[1], radial = split(w, results[1])
    if len(results) > 2:
        # with the unit vector u and A = ∇²H, P A P = A - (A u - u uᵀA u/2) uᵀ - its transpose; -ρP adds to the middle
        u = w[..., None] / w.shape[-1] ** 0.5
        along = results[2] @ u
        outer = (along - (u.mT @ along + radial[..., None]) * u / 2) @ u.mT
        results[2] = results[2] - outer - outer.mT
        results[2].diagonal(dim1=-2, dim2=-1).sub_(radial)
    return results


def morse_indices(w: Tensor, hessian: Tensor) -> Tensor:
    """Count the negative eigenvalues of Riemannian Hessians (..., Λ, Λ) on the tangent spaces at w (..., Λ)."""
    basis = tangent_basis(w)
    return (torch.linalg.eigvalsh(basis.mT @ hessian @ basis) < 0).sum(-1)
