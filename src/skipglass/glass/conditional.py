"""A Gaussian field and its gradient at a few points, drawn one point after another: the part in the span of the points.

With q = ⟨w_a,w_b⟩/Λ, u = w/√Λ and h = H/√Λ, nothing depends on the dimension any more:

    Cov(h_a, h_b) = ξ(q),   Cov(h_a, ∂_j H_b) = ξ′(q) u_a,j,   Cov(∂_i H_a, ∂_j H_b) = ξ′(q) δ_ij + ξ″(q) u_b,i u_a,j.

Let e_1, e_2, … be an orthonormal basis that grows with the points. Along a direction e orthogonal to *all* points
the components of the gradients are independent of everything else, with covariance A_ab = ξ′(q_ab) between points:
with A = L Lᵀ they are g_a = Σ_s L_as z_s, z_s white. When a new point adds the direction e to the span, the
components ⟨g_a, e⟩ of the gradients already drawn become known variables of the small problem, which has so far
been independent of them: their rows of its Cholesky factor are those of L, and the rows that a later point b adds
against them, with c the coordinates of u_b, are

    ⟨g_a, e_k⟩ against h_b: c_k ℓ_a;   against ⟨g_b, e_l⟩: c_k Y_al + δ_kl ℓ_a,
    ℓ = L⁻¹ξ′(q_·b),   Y = L⁻¹(ξ″(q_·b) u_·l).

So they need not be stored. What remains is one dense block of rows per point (value, and gradient in the span),
t²/2 variables after t points: O(t⁴) numbers and O(t⁵) operations for the next point.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular

from skipglass.errors import InputError
from skipglass.theory import Mixture

__all__ = ["Draw", "SpanLaw", "nugget"]

NUGGET = 1e-9
"""Independent variance of each observation, relative to that of h or of a tangential derivative (our choice).

Analytic kernels make nearby points dependent to the last digit within ten steps, and leaving out the variables
that others determine blows up."""
ROUNDING = 16 * np.finfo(float).eps
"""Of the radial derivative's variance, ξ″(1): fifty points within 1e-6 of one another took up to 8 epsilons."""
MOST = 1e-6  # our choice: 1e-3 of a typical energy, at order 17,000

Array = NDArray[np.float64]


def nugget(mixture: Mixture) -> float:
    """Return the relative variance of an observation's own noise: 1e-9, and more for orders above about 500.

    Raises
    ------
    InputError
        If it would be above MOST.
    """
    least = ROUNDING * mixture.nu2 / float(mixture(1.0))
    if least > MOST:
        raise InputError(
            f"orders up to {int(mixture.orders.max())} with ξ″(1)/ξ(1) = {least / ROUNDING:.2g} are beyond double "
            f"precision, which draws a glass up to {MOST / ROUNDING:.2g}, a pure order of 17,000; take lower orders"
        )
    return max(NUGGET, least)


@dataclass(frozen=True)
class Draw:
    """What one new point adds.

    Attributes
    ----------
    value
        h = H/√Λ.
    gradient
        (m,) the components of ∇H along the basis.
    mix, scale
        (t,) and a number: orthogonal to the basis ∇H is Σ_s mix_s z_s + scale · z, z white.
    """

    value: float
    gradient: Array
    mix: Array
    scale: float


@dataclass(frozen=True)
class _Rows:
    """The rows of the Cholesky factor of one point's variables: (h, g_1 … g_m), after s points, N variables."""

    coordinates: Array  # (m,) c
    past: Array  # (s, 1+m) [ℓ, Y]
    dense: Array  # (1+m, N) against the value and gradient of all earlier points
    own: Array  # (1+m, 1+m)


class SpanLaw:
    """The law of the value and of the gradient's components in the span of the points, given all earlier draws.

    Parameters
    ----------
    mixture
        ξ.

    Attributes
    ----------
    nugget
        Variance of each observation's own noise, relative to ξ(1) for values and to ν′ for derivatives.
    """

    def __init__(self, mixture: Mixture) -> None:
        self.mixture, self.nugget = mixture, nugget(mixture)
        self.at_one = float(mixture(1.0)), mixture.nu1, mixture.nu2
        self.coordinates = np.zeros((0, 0))  # (t, m) points in the basis
        self.factor = np.zeros((0, 0))  # (t, t) L, of A and its nugget
        self.later = np.zeros((0, 0))  # (t, m) 1 where the direction came after the point
        self.white = np.zeros((0, 0))  # (t, m) ⟨z_a, e_k⟩ there, else 0
        self.rows: list[_Rows] = []
        self.normals = np.zeros(0)  # (N,) what the dense rows were drawn with

    def add_direction(self, white: Array) -> None:
        """Let the basis grow by one direction, given the components (t,) of the past z_s along it."""
        self.coordinates = np.pad(self.coordinates, ((0, 0), (0, 1)))
        self.later = np.pad(self.later, ((0, 0), (0, 1)), constant_values=1.0)
        self.white = np.column_stack([self.white, white])

    def draw(self, c: Array, normals: Array) -> Draw:
        """Draw value and gradient at a point.

        Parameters
        ----------
        c
            (m,) its coordinates in the basis, a unit vector.
        normals
            (1+m,) standard normal numbers.

        Returns
        -------
        Draw
            Distributed as the field given all earlier draws.

        Raises
        ------
        InputError
            If rounding has used up what the earlier draws leave open.
        """
        q = np.clip(self.coordinates @ c, -1.0, 1.0)
        xi = [np.asarray(self.mixture(q, k)) for k in range(3)]
        sources = np.column_stack([xi[1], xi[2][:, None] * self.coordinates])
        past = solve_triangular(self.factor, sources, lower=True, check_finite=False) if self.rows else sources
        ell = past[:, 0]
        # past = [ℓ, Y]: a gradient orthogonal to the span is Σ_s ℓ_s z_s and new white noise of the variance left
        left = float((1 + self.nugget) * self.at_one[1] - ell @ ell)
        scale = math.sqrt(max(left, 0.0))
        dense = self._against_dense(c, xi, past)
        # the conditional covariance is the prior one minus what the known variables explain, by their rows
        own = _covariance(*self.at_one, c, c, c.size)
        own[np.diag_indices_from(own)] += self.nugget * np.append(self.at_one[0], np.full(c.size, self.at_one[1]))
        own -= dense.T @ dense + self._against_past(c, past, c, past)
        root = self._root(own)
        # the conditional mean comes from the normals of the dense rows and from the past gradients along the basis
        drawn = dense.T @ self.normals + past.T @ (self.white @ c) + root @ normals
        drawn[1:] += ell @ self.white
        self._append(_Rows(c, past, dense.T, root), scale, normals)
        return Draw(float(drawn[0]), drawn[1:], ell, scale)

    def _root(self, own: Array) -> Array:
        try:
            return np.asarray(np.linalg.cholesky(own), dtype=np.float64)
        except np.linalg.LinAlgError:
            raise InputError(
                f"after {len(self.rows)} points rounding leaves nothing to draw the next from: orders up to "
                f"{int(self.mixture.orders.max())} are too high for points this near to one another; take lower "
                "orders, or fewer points that lie further apart"
            ) from None

    def _against_dense(self, c: Array, xi: list[Array], past: Array) -> Array:
        """(N, 1+m) the new variables' rows, transposed, against value and gradient of every earlier point."""
        rows = np.empty((self.normals.size, 1 + c.size))
        done = 0
        for s, row in enumerate(self.rows):
            # forward substitution in blocks: subtract what earlier rows explain, then divide by the block's own factor
            count = 1 + row.coordinates.size
            block = _covariance(xi[0][s], xi[1][s], xi[2][s], self.coordinates[s], c, count - 1)
            block -= row.dense @ rows[:done]
            block -= self._against_past(row.coordinates, row.past, c, past)
            rows[done : done + count] = solve_triangular(row.own, block, lower=True, check_finite=False)
            done += count
        return rows

    def _against_past(self, c1: Array, past1: Array, c2: Array, past2: Array) -> Array:
        """(1+m1, 1+m2) the product of two points' rows against the gradients known before their direction came.

        Σ over points a and later directions k of (c1_k Y1_a· + δ_k· ℓ1_a)(c2_k Y2_a· + δ_k· ℓ2_a), where Y stands for
        [ℓ, Y] and δ for the columns of the gradient.
        """
        s, m = past1.shape[0], c1.size
        later, past2, ell1 = self.later[:s, :m], past2[:s], past1[:, 0]
        ell2 = past2[:, 0]
        # the four products of the two sums, in order: Y1 Y2, Y1 δ, δ Y2, δ δ
        product = past1.T @ ((later @ (c1 * c2[:m]))[:, None] * past2)
        product[:, 1 : 1 + m] += (past1.T @ (ell2[:, None] * later)) * c1
        product[1:] += ((ell1[:, None] * later).T @ past2) * c2[:m, None]
        k = np.arange(1, 1 + m)
        product[k, k] += (ell1 * ell2) @ later
        return product

    def _append(self, rows: _Rows, scale: float, normals: Array) -> None:
        """Count the point among the known ones: L grows by (ℓ, scale); no direction came after it yet."""
        self.factor = np.pad(self.factor, (0, 1))
        self.factor[-1] = [*rows.past[:, 0], scale]
        self.coordinates = np.vstack([self.coordinates, rows.coordinates])
        self.later = np.pad(self.later, ((0, 1), (0, 0)))
        self.white = np.pad(self.white, ((0, 1), (0, 0)))
        self.rows.append(rows)
        self.normals = np.concatenate([self.normals, normals])


def _covariance(xi: float, xi1: float, xi2: float, a: Array, b: Array, m: int) -> Array:
    """(1+m, 1+len(b)) Cov of (h, g_1 … g_m) at a point of coordinates ``a`` with (h, g_1 …) at ``b``."""
    block = np.empty((1 + m, 1 + b.size))
    block[0, 0], block[0, 1:], block[1:, 0] = xi, xi1 * a, xi1 * b[:m]
    block[1:, 1:] = np.outer(xi2 * b[:m], a)
    k = np.arange(1, 1 + m)
    block[k, k] += xi1
    return block
