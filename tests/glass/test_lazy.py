"""LazyGlass: exactly the field's law, whatever the points; what was drawn stays."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from skipglass.errors import InputError
from skipglass.glass import LazyGlass, SphericalGlass
from skipglass.theory import DepthEnsemble, Mixture

MIXTURES = {
    "pure 3": Mixture.pure(3),
    "3 and field": Mixture({1: 0.3, 3: 0.7}),
    "depth 100 and field": DepthEnsemble(100, 0.01).mixture(field=True),
    "depth 100": DepthEnsemble(100, 0.5).mixture(),
}


def sequence(size, count, seed=0):
    """Unit vectors: random ones, a near pair, one in the span of two others, more of them than dimensions."""
    u = np.random.default_rng(seed).normal(size=(count, size))
    u[2] = u[1] + 0.02 * u[2]
    if count > 5:
        u[5] = u[0] - u[3]
    return u / np.linalg.norm(u, axis=1, keepdims=True)


def exact_covariance(mixture, u):
    """Of (H/√Λ, P∇H) at all points, from MATH §3, point by point: the obvious version."""
    count, size = u.shape
    K = np.zeros((count, 1 + size, count, 1 + size))
    for a in range(count):
        for b in range(count):
            q = u[a] @ u[b]
            tangent_a, tangent_b = (np.eye(size) - np.outer(v, v) for v in (u[a], u[b]))
            K[a, 0, b, 0] = mixture(q)
            K[a, 0, b, 1:] = mixture(q, 1) * u[a] @ tangent_b
            K[a, 1:, b, 0] = mixture(q, 1) * tangent_a @ u[b]
            ambient = mixture(q, 1) * np.eye(size) + mixture(q, 2) * np.outer(u[b], u[a])
            K[a, 1:, b, 1:] = tangent_a @ ambient @ tangent_b
    return K.reshape(count * (1 + size), -1)


def observed(h, u):
    """(H/√Λ, P∇H) at the points, one vector."""
    energy, gradient = h.energy_and_gradient(torch.from_numpy(u) * math.sqrt(h.size))
    return np.column_stack([energy.numpy() / math.sqrt(h.size), gradient.numpy()]).ravel()


@pytest.mark.parametrize("name", MIXTURES)
@pytest.mark.parametrize("size", [2, 4])
def test_the_map_from_normals_to_draws_has_the_exact_covariance(name, size, monkeypatch):
    """Draws are linear in their normals: unit normals give the map M, and M Mᵀ is the law, with no statistics.

    The joint covariance fixes every conditional mean and variance.
    """
    u = sequence(size, 6)[[0, 1, 2, 3, 5]]
    rank = [1 + np.linalg.matrix_rank(u[: t + 1], tol=1e-9) for t in range(5)]
    count = sum(rank) + 5 * size
    rows = []
    for unit in np.eye(count):
        stream = iter(unit)
        monkeypatch.setattr(LazyGlass, "_normals", lambda _, n, s=stream: torch.tensor([next(s) for _ in range(n)]))
        rows.append(observed(LazyGlass(MIXTURES[name], size), u))
        assert next(stream, None) is None
    M = np.array(rows)
    expected = exact_covariance(MIXTURES[name], u)
    np.testing.assert_allclose(M.T @ M, expected, rtol=0, atol=1e-8 * max(1.0, expected.max()))


@pytest.mark.parametrize("glass", [LazyGlass, SphericalGlass])
@pytest.mark.parametrize("name", ["pure 3", "3 and field"])
def test_joint_moments_are_the_law_s(glass, name):
    size, samples = 4, 500
    u = sequence(size, 3)
    u[2] = sequence(size, 5, seed=1)[4]  # apart: the χ² needs a covariance that can be inverted
    draws = np.array([observed(glass(MIXTURES[name], size, seed=s), u) for s in range(samples)])
    K = exact_covariance(MIXTURES[name], u)
    second = draws.T @ draws / samples
    error = np.sqrt((np.outer(np.diag(K), np.diag(K)) + K**2) / samples)
    upper = np.triu_indices(len(K))
    z = ((second - K) / error)[upper]
    assert np.abs(z).max() < stats.norm.isf(0.0005 / z.size), f"largest |z| of {z.size}: {np.abs(z).max():.2f}"
    # in an orthonormal basis of each tangent space K is regular, and n/2 tr[(K⁻¹S - 1)²] is χ²
    bases = [np.block([[np.ones((1, 1)), np.zeros((1, size - 1))], [np.zeros((size, 1)), tangent(v)]]) for v in u]
    B = np.zeros((len(K), 3 * size))
    for a, basis in enumerate(bases):
        B[a * (1 + size) : (a + 1) * (1 + size), a * size : (a + 1) * size] = basis
    ratio = np.linalg.solve(B.T @ K @ B, B.T @ second @ B) - np.eye(3 * size)
    chi2 = samples / 2 * np.trace(ratio @ ratio)
    freedom = 3 * size * (3 * size + 1) // 2
    assert 0.0005 < stats.chi2.sf(chi2, freedom) < 0.9995, f"χ² = {chi2:.1f} for {freedom}"


def tangent(u):
    return np.linalg.svd(u[None])[2][1:].T


@pytest.mark.parametrize("name", MIXTURES)
def test_a_large_glass_averages_over_its_dimensions(name):
    """⟨g_a,g_b⟩/Λ = ξ′(q) up to terms of order 1/Λ, with the variance of a sum of Λ products."""
    size, m = 4000, MIXTURES[name]
    z = LazyGlass(m, size, seed=3)
    w = z.random_points(5, seed=1)
    w[3] = w[0] + 0.3 * w[1]
    energy, g = z.energy_and_gradient(w, project=True)
    u = torch.nn.functional.normalize(w, dim=-1)
    q = (u @ u.T).numpy()
    expected = m(q, 1)
    error = np.sqrt((m.nu1**2 + expected**2) / size)
    far = (m.nu2 + m.nu1) * 30 / size  # the few components in the span: chi-squared numbers of this size
    difference = np.abs((g @ g.T).numpy() / size - expected)
    assert (difference < 4.5 * error + far).all(), f"{difference} against {error}"
    assert (energy.abs() < 4.5 * math.sqrt(size)).all()
    assert (g * u).sum(-1).abs().max() < 1e-9 * g.norm()


def test_a_point_gives_the_same_value_ever_after():
    z = LazyGlass(MIXTURES["depth 100"], 50, seed=0)
    w = z.random_points(3)
    w[2, 0] = 0.0
    w = w * (math.sqrt(50) / w.norm(dim=-1, keepdim=True))
    first = z.energy_and_gradient(w[[0, 1, 0, 2]])
    assert z.evaluations == 3
    w[2, 0] = -0.0
    again = z.energy(w[[2, 0]]), z.gradient(w[[2, 0]])
    assert z.evaluations == 3
    assert torch.equal(again[0], first[0][[3, 0]])
    assert torch.equal(again[1], first[1][[3, 2]])


def test_the_seed_names_the_glass_and_batches_do_not_matter():
    m = MIXTURES["3 and field"]
    w = LazyGlass(m, 20).random_points(6, seed=4).reshape(2, 3, 20)
    batch = LazyGlass(m, 20, seed=1).energy_and_gradient(w)
    z = LazyGlass(m, 20, seed=1)
    single = [z.energy(point) for point in w.reshape(6, 20)]
    assert batch[0].shape == (2, 3)
    assert batch[1].shape == (2, 3, 20)
    assert torch.equal(batch[0].flatten(), torch.stack(single))
    assert not torch.equal(batch[0], LazyGlass(m, 20, seed=2).energy(w))


def test_points_and_disorder_are_independent():
    """With one stream for both, the first gradient would be the first point."""
    z = LazyGlass(Mixture.pure(3), 1000, seed=0)
    w = z.random_points(8, seed=0)
    g = z.gradient(w)
    cosines = torch.nn.functional.normalize(w, dim=-1) @ torch.nn.functional.normalize(g, dim=-1).T
    assert cosines.abs().max() < 4.5 / math.sqrt(1000)


def test_float32_is_the_same_glass_to_its_precision():
    m = MIXTURES["depth 100 and field"]
    double, single = LazyGlass(m, 300, seed=5), LazyGlass(m, 300, seed=5, dtype=torch.float32)
    w = double.random_points(6)
    expected, found = double.energy_and_gradient(w), single.energy_and_gradient(w.float())
    assert found[1].dtype == torch.float32
    torch.testing.assert_close(found[0].double(), expected[0], rtol=0, atol=1e-3 * math.sqrt(300))
    torch.testing.assert_close(found[1].double(), expected[1], rtol=0, atol=1e-3 * math.sqrt(m.nu1))


def test_a_pure_field_is_linear():
    """Every gradient but the first is determined: what is left is the nugget, 3e-5 of a typical value."""
    z = LazyGlass(Mixture.pure(1), 40, seed=0)
    w = z.random_points(60)
    energy = z.energy(w)
    J = torch.linalg.lstsq(w, energy).solution
    torch.testing.assert_close(w @ J, energy, rtol=0, atol=40 * 3.2e-5 * math.sqrt(40))


def test_a_long_line_of_near_points_stays_finite():
    """100 points a thousandth apart: dependent to the last digit, and still of the size of the law."""
    m = MIXTURES["depth 100"]
    z = LazyGlass(m, 60, seed=0)
    a, b = z.random_points(2)
    angles = torch.linspace(0, 0.1, 60, dtype=torch.float64)[:, None]
    w = torch.cos(angles) * a + torch.sin(angles) * b
    energy, gradient = z.energy_and_gradient(w, project=True)
    slope = (energy[1:] - energy[:-1]).numpy()
    along = ((w[1:] - w[:-1]) * (gradient[1:] + gradient[:-1]) / 2).sum(-1).numpy()
    assert np.isfinite(slope).all()
    # the trapezoid rule's error, h³/12 of the third derivative, and the nugget
    np.testing.assert_allclose(slope, along, atol=0.02 * np.abs(along).max() + 1e-3)


@pytest.mark.parametrize("order", [2_000, 15_000])
@pytest.mark.parametrize("size", [2, 40])
def test_high_orders_are_nearly_alike_at_near_points(order, size):
    """⟨w,∇H⟩ = r H of the ambient field, so that the span's law is all but singular: it is drawn all the same."""
    z = LazyGlass(Mixture.pure(order), size, seed=0)
    w = z.random_points(1)[0]
    near = torch.from_numpy(np.random.default_rng(0).standard_normal((30, size)))
    energies = torch.cat([z.energy(w[None]), z.energy(w + 1e-7 * near, project=True)])
    typical = math.sqrt(size)
    moved = 1e-7 * near.norm(dim=-1).max() * math.sqrt(order)  # 6e-5 standard deviations of a derivative
    assert (energies - energies[0]).abs().max() < (10 * z.noise + 5 * float(moved)) * typical
    assert math.sqrt(1e-9) < z.noise <= 1e-3


def test_what_rounding_leaves_no_room_for_is_said():
    z = LazyGlass(Mixture({1: 1.0, 20_000: 0.01}), 60)
    w = z.random_points(2)
    line = w[0] + torch.logspace(-12, 0, 50, dtype=torch.float64)[:, None] * w[1]
    with pytest.raises(InputError, match="orders up to 20000 are too high"):
        z.energy(line, project=True)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: LazyGlass({3: 1.0}, 5), "Mixture"),
        (lambda: LazyGlass(Mixture.pure(3), 1), "size"),
        (lambda: LazyGlass(Mixture.pure(3), 5, seed=-1), "seed"),
        (lambda: LazyGlass(Mixture({3: 1e-320}), 5), "normalized"),
        (lambda: LazyGlass(Mixture({3: 1e308}), 5), "normalized"),
        (lambda: LazyGlass(Mixture.pure(20_000), 5), "double precision"),
        (lambda: LazyGlass(Mixture.pure(3), 10**30), "GB are free"),
        (lambda: LazyGlass(Mixture.pure(3), 5, device="abc"), "device"),
        (lambda: LazyGlass(Mixture.pure(3), 5).energy(None), "points must be a tensor"),
        (lambda: LazyGlass(Mixture.pure(3), 5, dtype=torch.float16), "float64 or torch.float32"),
        (lambda: LazyGlass(Mixture.pure(3), 5).energy(torch.ones(4, dtype=torch.float64)), "shape"),
        (lambda: LazyGlass(Mixture.pure(3), 5).energy(torch.ones(5)), "float64"),
        (lambda: LazyGlass(Mixture.pure(3), 5).energy(2 * torch.ones(5, dtype=torch.float64)), "project=True"),
        (lambda: LazyGlass(Mixture.pure(3), 5).energy(torch.full((5,), math.nan, dtype=torch.float64)), "sphere"),
        (lambda: LazyGlass(Mixture.pure(3), 5).random_points(-1), "number of points"),
    ],
)
def test_bad_input_is_refused_in_clear_words(make, words):
    with pytest.raises(InputError, match=words):
        make()


def test_a_refused_batch_draws_nothing():
    z = LazyGlass(Mixture.pure(3), 5)
    w = z.random_points(2)
    w[1] *= 2
    with pytest.raises(InputError):
        z.energy(w)
    assert z.evaluations == 0
    assert z.energy(w, project=True).shape == (2,)
