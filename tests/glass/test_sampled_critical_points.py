"""All critical points: against algebra where there is some, against laws, and the words for an incomplete search."""

from itertools import product

import numpy as np
import pytest
import torch

from skipglass.errors import InputError
from skipglass.glass import CriticalPoints, IncompleteSearchWarning, SphericalGlass, critical_points
from skipglass.glass.search import Rules, ambient_derivatives, second_derivatives
from skipglass.theory import Mixture

MIXTURES = {
    "pure 2": Mixture.pure(2),
    "pure 3": Mixture.pure(3),
    "pure 4": Mixture.pure(4),
    "pure 5": Mixture.pure(5),
    "field": Mixture.pure(1),
    "orders 2, 3": Mixture({2: 0.5, 3: 0.5}),
    "orders 1, 3": Mixture({1: 0.3, 3: 0.7}),
    "orders 2, 4": Mixture({2: 0.3, 4: 0.7}),
}


def on_the_circle(h: SphericalGlass) -> np.ndarray:
    """Λ = 2: dH/dφ is a trigonometric polynomial; its roots on the circle, from those of a polynomial in e^{iφ}."""
    degree = int(h.mixture.orders.max())
    n = 2 * degree + 2
    angles = 2 * np.pi * np.arange(n) / n
    points = np.sqrt(2) * np.stack([np.cos(angles), np.sin(angles)], -1)
    c = np.fft.fft(h.energy(torch.from_numpy(points)).numpy()) / n
    k = np.arange(-degree, degree + 1)
    roots = np.roots((1j * k * c[k])[::-1])
    return np.sort(np.angle(roots[np.abs(np.abs(roots) - 1) < 1e-7]) % (2 * np.pi))


@pytest.mark.parametrize("mixture", MIXTURES.values(), ids=MIXTURES)
@pytest.mark.parametrize("seed", range(6))
def test_on_the_circle_they_are_the_roots_of_a_polynomial(mixture, seed):
    h = SphericalGlass(mixture, 2, seed)
    c = critical_points(h)
    x, y = c.points.T.numpy()
    np.testing.assert_allclose(np.sort(np.arctan2(y, x) % (2 * np.pi)), on_the_circle(h), atol=1e-6)
    assert c.complete


def number_by_solves(h: SphericalGlass) -> int:
    """Λ = 3: SciPy solves ∇H = μw from the points of a spiral grid on the sphere."""
    from scipy.optimize import root

    golden = np.pi * (3 - np.sqrt(5))
    n = 150
    z = 1 - 2 * (np.arange(n) + 0.5) / n
    rho, phi = np.sqrt(1 - z**2), golden * np.arange(n)
    grid = np.stack([rho * np.cos(phi), rho * np.sin(phi), z], -1)

    def equations(v: np.ndarray) -> np.ndarray:  # ∇H = μ w and ‖w‖² = Λ, for w and μ
        ambient = sum(c.derivatives(torch.from_numpy(v[None, :3]), 1)[1] for c in h.couplings)[0].numpy()
        return np.append(ambient - v[3] * v[:3], v[:3] @ v[:3] - 3)

    ends = [root(equations, np.append(np.sqrt(3) * g, 0.0), tol=1e-12) for g in grid]
    points = np.array([end.x[:3] for end in ends if end.success and np.abs(end.fun).max() < 1e-9])
    known: list[np.ndarray] = []
    for p in points:
        if all(np.linalg.norm(p - q) > 1e-4 for q in known):
            known.append(p)
    return len(known)


@pytest.mark.parametrize("mixture", [Mixture.pure(3), Mixture({1: 0.2, 4: 0.8})], ids=["pure 3", "orders 1, 4"])
def test_on_the_sphere_they_are_what_a_fine_grid_of_solves_finds(mixture):
    h = SphericalGlass(mixture, 3, seed=7)
    assert len(critical_points(h)) == number_by_solves(h)


@pytest.mark.parametrize(
    ("mixture", "size"), [*product([*MIXTURES.values(), Mixture.pure(9)], (2, 4)), (Mixture.pure(60), 2)]
)
def test_the_search_has_the_glass_s_own_derivatives(mixture, size):
    h = SphericalGlass(mixture, size, seed=3)
    w = h.random_points(5)
    found = ambient_derivatives([(c.order, second_derivatives([c])) for c in h.couplings], w[None])
    expected = [sum(terms) for terms in zip(*(c.derivatives(w, 2) for c in h.couplings), strict=True)]
    for mine, its in zip(found, expected, strict=True):
        np.testing.assert_allclose(mine[0], its, atol=1e-12 * float(its.abs().max()))


@pytest.mark.parametrize("seed", range(3))
def test_for_order_two_they_are_eigenvectors(seed):
    h = SphericalGlass(Mixture.pure(2), 6, seed)
    indices, values = h.coefficients(2)
    M = torch.zeros(6, 6, dtype=torch.float64)
    M[indices[:, 0], indices[:, 1]] = values
    c = critical_points(h)
    eigenvalues = torch.linalg.eigvalsh((M + M.T) / 2)
    np.testing.assert_allclose(c.energies, eigenvalues.repeat_interleave(2), atol=1e-12)
    np.testing.assert_array_equal(c.indices, np.repeat(np.arange(6), 2))


@pytest.mark.parametrize("size", [3, 4, 5])
@pytest.mark.parametrize("mixture", MIXTURES.values(), ids=MIXTURES)
def test_laws_of_a_complete_set(mixture, size):
    h = SphericalGlass(mixture, size, seed=11)
    c = critical_points(h)
    assert c.complete
    assert (-1.0) ** np.arange(size) @ c.counts == 2 * (size % 2)
    rules, searched = Rules(), len(c) if c.evidence.symmetric is None else len(c) // 2
    assert c.evidence.since_new >= rules.patience + rules.patience_each * searched
    assert c.evidence.fewest_hits >= 2
    assert np.all(np.diff(c.energies) >= 0)
    assert c.indices[0] == 0
    assert c.indices[-1] == size - 1
    np.testing.assert_allclose(c.residuals, 0, atol=1e-11)
    np.testing.assert_allclose(h.gradient(c.points), 0, atol=1e-10)
    np.testing.assert_allclose(c.energies * size, h.energy(c.points), atol=1e-11)
    np.testing.assert_array_equal(c.indices, h.indices(c.points))
    distances = torch.cdist(c.points, c.points) + 10 * torch.eye(len(c), dtype=torch.float64)
    assert float(distances.min()) > 1e-5
    odd = mixture.orders % 2
    assert c.evidence.euler is (None if odd.all() and size % 2 == 0 else True)
    assert ("says nothing here" in str(c)) == (c.evidence.euler is None)
    if odd.any() and not odd.all():
        assert c.evidence.symmetric is None
        assert "not applicable" in str(c)
        return
    mirrored = c.indices if not odd.any() else size - 1 - c.indices
    signs = 1 if not odd.any() else -1
    np.testing.assert_allclose(np.sort(signs * c.energies), c.energies, atol=1e-11)
    np.testing.assert_array_equal(np.sort(mirrored), np.sort(c.indices))


def test_several_samples_and_other_starts_give_the_same_sets():
    glasses = [SphericalGlass(Mixture.pure(3), 5, seed=s) for s in range(5)]
    together = critical_points(glasses)
    for h, c in zip(glasses, together, strict=True):
        for again in (critical_points(h), critical_points(h, seed=9)):
            np.testing.assert_allclose(again.energies, c.energies, atol=1e-11)
            np.testing.assert_array_equal(again.counts, c.counts)


def test_a_search_cut_short_is_returned_marked_and_warned_of():
    h = SphericalGlass(Mixture.pure(3), 7, seed=1)
    with pytest.warns(IncompleteSearchWarning, match="Raise max_starts"):
        c = critical_points(h, max_starts=100)
    assert not c.complete
    assert not c.evidence.saturated
    assert 0 < len(c) <= len(critical_points(h))
    assert "NOT KNOWN TO BE COMPLETE" in str(c)
    assert c.to_xarray().attrs["complete"] == 0


def test_results_are_labelled_and_drawn():
    c = critical_points(SphericalGlass(Mixture.pure(3), 4, seed=2))
    ds = c.to_xarray()
    assert ds.sizes == {"critical_point": len(c), "dimension": 4, "k": 4}
    np.testing.assert_array_equal(ds["index"], c.indices)
    assert ds.attrs["evidence.0.symmetric"] == 1
    assert "evidence.0.euler" not in ds.attrs  # odd, Λ = 4: it says nothing
    assert ds.attrs["evidence.0.bound"] == 2 * (2**4 - 1)
    ax = c.plot()
    assert "Λ" in ax.get_xlabel()
    np.testing.assert_array_equal(c.panel().series[0].x, c.energies)


def test_results_come_back_from_their_file(tmp_path):
    c = critical_points(SphericalGlass(Mixture({1: 0.3, 3: 0.7}), 4, seed=2))
    back = CriticalPoints.load(c.save(tmp_path / "points.nc"))
    assert torch.equal(back.points, c.points)
    assert (back.mixture, back.size, back.seed, back.complete) == (c.mixture, c.size, c.seed, c.complete)
    assert vars(back.evidence) == vars(c.evidence)
    np.testing.assert_array_equal(back.counts, c.counts)
    assert str(back) == str(c)


def test_the_table_has_a_row_for_each_index():
    c = critical_points(SphericalGlass(Mixture.pure(3), 4, seed=2))
    for k in range(4):
        own = c.energies[c.indices == k]
        assert (c.lowest[k], c.highest[k], c.counts[k]) == (own.min(), own.max(), len(own))
        assert f"\n{k} " in str(c)


def test_float32_couplings_are_searched_in_float64():
    c = critical_points(SphericalGlass(Mixture.pure(3), 4, seed=2, dtype=torch.float32))
    assert c.points.dtype == torch.float64
    assert c.residuals.max() < 1e-11


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: critical_points(SphericalGlass(Mixture.pure(3), 30)), "too many"),
        (lambda: critical_points([]), "SphericalGlass"),
        (lambda: critical_points(3), "SphericalGlass"),
        (lambda: critical_points([SphericalGlass(Mixture.pure(3), n) for n in (3, 4)]), "one size"),
        (lambda: critical_points(SphericalGlass(Mixture.pure(3), 3), max_starts=0), "max_starts"),
    ],
)
def test_mistakes_are_named(call, words):
    with pytest.raises(InputError, match=words):
        call()
