"""The expected number of critical points at finite Λ, against closed forms, other integrals and laws."""

import math

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skipglass.errors import InputError
from skipglass.theory import Mixture, complexity, expected_critical_points
from skipglass.theory.goe import log_tilted_density, tilted_grid
from skipglass.theory.goe_index import index_shares, log_pfaffian

RATIOS = [1e-9, 0.03, 0.3, 0.99, 1.0, 1.7, 9.0, 99.0, 1e6]


def with_ratio(x: float) -> Mixture:
    """A mixture of a field and one high order with ν″/ν′ = x."""
    r = max(102, math.ceil(x) + 2)
    return Mixture({1: 1 - x / (r - 1), r: x / (r * (r - 1))})


# --- closed forms: one table drives totals and indices -----------------------------------------------


def three(x: float) -> list[float]:
    outer, inner = 1 + 2 * x**1.5 / math.sqrt(3 * x + 1), 4 * x**1.5 / math.sqrt(3 * x + 1)
    return [outer, inner, outer]


CLOSED = {
    1: lambda x: [2.0],
    2: lambda x: [math.sqrt(3 * x + 1)] * 2,
    3: three,
}


@pytest.mark.parametrize("x", RATIOS)
@pytest.mark.parametrize("size", CLOSED)
def test_closed_forms(size, x):
    expected = CLOSED[size](x)
    values, errors = expected_critical_points(with_ratio(x), size, per_index=True)
    assert expected_critical_points(with_ratio(x), size) == pytest.approx(sum(expected), rel=1e-12)
    assert np.all(np.abs(values - expected) <= 5 * errors + 1e-13 * np.array(expected))
    assert np.all(errors <= 1e-10 * sum(expected))


@pytest.mark.parametrize("size", [1, 2, 7, 50, 51, 499, 500, 1000])
def test_at_x_equal_to_1_there_are_two_of_each_index(size):
    """The pure 2-spin: ± the Λ eigenvectors of a symmetric matrix."""
    assert expected_critical_points(Mixture.pure(2), size) == pytest.approx(2 * size, rel=1e-11)
    if size <= 51:
        values, errors = expected_critical_points(Mixture.pure(2), size, per_index=True)
        assert np.all(np.abs(values - 2) <= errors)
        assert errors.max() < 1e-10


@pytest.mark.parametrize("size", [1, 2, 5, 40])
def test_a_pure_field_has_two(size):
    field = Mixture.pure(1)
    assert expected_critical_points(field, size) == 2
    values, _ = expected_critical_points(field, size, per_index=True)
    assert values[0] == values[-1] == (2 if size == 1 else 1)
    assert values.sum() == 2


# --- the slow ways -----------------------------------------------------------------------------------


RULE = {"method": "gauss-legendre", "maxdegree": 4}


def determinant_moment(size: int, s: mpmath.mpf) -> mpmath.mpf:
    """E|det(G - s)| up to a constant for G of size 2 or 3, by nested quadrature over its eigenvalues."""
    n = size - 1
    cuts = [-9, s, 9] if -9 < s < 9 else [-9, 9]

    def integrand(*y):
        pairs = [abs(y[i] - y[j]) for i in range(n) for j in range(i)]
        return mpmath.fprod(pairs) * mpmath.fprod(abs(v - s) * mpmath.exp(-v * v / 2) for v in y)

    if n == 1:
        return mpmath.quad(integrand, cuts, **RULE)
    inner = lambda a: mpmath.quad(lambda b: integrand(a, b), sorted({*cuts, a}), **RULE)  # noqa: E731
    return mpmath.quad(inner, cuts, **RULE)


@pytest.mark.parametrize("size", [2, 3])
def test_the_density_is_the_integral_over_all_other_eigenvalues(size):
    places = np.array([0.0, 0.7, 2.5])
    slow = np.array([float(determinant_moment(size, mpmath.mpf(s)) * mpmath.exp(-s * s / 2)) for s in places])
    fast = np.exp(log_tilted_density(places, size, 0.5))
    assert fast / fast[0] == pytest.approx(slow / slow[0], rel=1e-8)


def mehta_density(size: int):
    """ρ(s) at 30 digits as Mehta prints it, with ε φ_N by quadrature rather than by recurrence."""

    def phi(j, s):
        norm = mpmath.sqrt(mpmath.sqrt(mpmath.pi) * mpmath.mpf(2) ** j * mpmath.factorial(j))
        return mpmath.hermite(j, s) * mpmath.exp(-s * s / 2) / norm

    def density(s):
        left = mpmath.quad(lambda t: phi(size, t), [-12, -4, s])
        right = mpmath.quad(lambda t: phi(size, t), [s, 4, 12])
        rho = sum(phi(j, s) ** 2 for j in range(size))
        rho += mpmath.sqrt(mpmath.mpf(size) / 2) * phi(size - 1, s) * (left - right) / 2
        if size % 2:
            rho += phi(size - 1, s) / mpmath.quad(lambda t: phi(size - 1, t), [-12, -4, 0, 4, 12])
        return rho

    return density


@pytest.mark.parametrize("size", [4, 5])
def test_the_density_against_mehtas_formula_in_thirty_digits(size):
    density = mehta_density(size)
    with mpmath.workdps(30):
        slow = [float(density(mpmath.mpf(s))) for s in (0.0, 0.4, 1.9, 3.5)]
    assert np.exp(log_tilted_density(np.array([0.0, 0.4, 1.9, 3.5]), size, 0.5)) == pytest.approx(slow, rel=1e-12)


@pytest.mark.parametrize("x", [0.4, 3.0])
def test_four_dimensions_by_an_independent_quadrature(x):
    """mpmath's tanh-sinh over Mehta's density: at Λ = 4 polynomials times erf and Gaussians."""
    with mpmath.workdps(20):
        density, c = mehta_density(4), mpmath.mpf(x - 1) / (2 * (x + 1))
        nodes, weights = np.polynomial.legendre.leggauss(60)
        terms = [
            5 * w * density(mpmath.mpf(5 * (v + 1))) * mpmath.exp(-c * (5 * (v + 1)) ** 2)
            for v, w in zip(nodes.tolist(), weights.tolist(), strict=True)
        ]
        slow = float(2 * mpmath.sqrt(mpmath.mpf(2) / (1 + x)) * mpmath.mpf(x) ** 2 * 2 * sum(terms))
    assert expected_critical_points(with_ratio(x), 4) == pytest.approx(slow, rel=1e-9)


def goe(rng: np.random.Generator, count: int, n: int) -> np.ndarray:
    G = rng.standard_normal((count, n, n))
    return (G + G.transpose(0, 2, 1)) / 2


@pytest.mark.parametrize("size", [2, 4, 7])
def test_index_shares_against_sampled_matrices(size):
    """The share of index k at s is E[|det(G-s)|; k eigenvalues of G below s] over its sum, G of size N-1."""
    eigenvalues = np.linalg.eigvalsh(goe(np.random.default_rng(size), 200_000, size - 1))
    for s in (-0.4, 1.1, 2.2):
        below, weight = (eigenvalues < s).sum(axis=1), np.abs(eigenvalues - s).prod(axis=1)
        indicator = below[:, None] == np.arange(size)
        expected = weight @ indicator / weight.sum()
        deviation = (weight / weight.mean())[:, None] * (indicator - expected)
        noise = deviation.std(axis=0) / math.sqrt(len(weight)) + 1e-12
        got, _ = index_shares(np.array([s]), size)
        seen = indicator.sum(axis=0) > 200
        assert np.abs((got[0] - expected) / noise)[seen].max() < 4.5
        assert got[0][~seen].sum() < 0.02


@pytest.mark.parametrize("m", [2, 4, 8])
def test_the_pfaffian_squared_is_the_determinant(m):
    rng = np.random.default_rng(m)
    B = rng.standard_normal((5, m, m)) + 1j * rng.standard_normal((5, m, m))
    A = B - B.transpose(0, 2, 1)
    assert np.exp(2 * log_pfaffian(A)) == pytest.approx(np.linalg.det(A), rel=1e-10)
    swapped = A[:, [1, 0, *range(2, m)]][:, :, [1, 0, *range(2, m)]]
    assert np.exp(log_pfaffian(swapped)) == pytest.approx(-np.exp(log_pfaffian(A)), rel=1e-10)


# --- laws --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 2, 3, 10, 101, 500])
def test_the_density_counts_every_eigenvalue(size):
    s, w = tilted_grid(size, 0.5)
    assert w @ np.exp(log_tilted_density(s, size, 0.5)) == pytest.approx(size, rel=1e-12)


@given(st.integers(2, 24), st.floats(0.02, 200))
@settings(deadline=None, max_examples=30)
def test_indices_sum_to_the_total_are_symmetric_and_obey_morse(size, x):
    """Σ_k (-1)^k E[Crt_k] is the Euler characteristic of the sphere: 2 for odd Λ, 0 for even."""
    m = with_ratio(x)
    values, errors = expected_critical_points(m, size, per_index=True)
    assert values.sum() == pytest.approx(expected_critical_points(m, size), rel=1e-12)
    assert values == pytest.approx(values[::-1], rel=1e-14)
    assert abs(values @ (-1.0) ** np.arange(size) - 2 * (size % 2)) <= errors.sum()


@pytest.mark.parametrize("x", [0.2, 1.0, 30.0])
def test_morse_still_holds_in_fifty_one_dimensions(x):
    values, errors = expected_critical_points(with_ratio(x), 51, per_index=True)
    assert abs(values @ (-1.0) ** np.arange(51) - 2) <= errors.sum()
    assert np.all(errors[:2] <= 1e-2 * values[:2])


@given(st.integers(2, 150), st.floats(1e-12, 1e4), st.floats(1.0, 1.5))
@settings(deadline=None, max_examples=25)
def test_the_total_rises_with_x_from_2(size, x, factor):
    low, high = (expected_critical_points(with_ratio(v), size, log=True) for v in (x, factor * x))
    assert math.log(2) - 1e-11 <= low <= high + 1e-11


@pytest.mark.parametrize("x", [0.5, 1.5, 9.0])
def test_the_growth_rate_tends_to_the_complexity(x):
    m = with_ratio(x)
    gaps = [expected_critical_points(m, n, log=True) / n - complexity(m, index=None) for n in (50, 500, 5000)]
    assert gaps[0] > gaps[1] > gaps[2] > 0
    assert gaps[2] < 0.002


@pytest.mark.parametrize("x", [4.0, 30.0])
def test_the_growth_rate_of_minima_tends_to_theirs(x):
    """Local slopes of ln E[Crt_0]: θ_0 up to a correction that shrinks like Λ^{-2/3}, an edge's scale."""
    m = with_ratio(x)
    logs = {n: math.log(expected_critical_points(m, n, per_index=True)[0][0]) for n in (8, 10, 38, 40)}
    early, late = (logs[10] - logs[8]) / 2, (logs[40] - logs[38]) / 2
    assert abs(late - complexity(m)) < 0.5 * abs(early - complexity(m))


def test_below_x_1_a_fixed_index_dies_at_its_own_rate():
    """Local slopes of ln E[Crt_1] at x = 0.3 go as θ_1 + a/Λ: eliminate a between Λ = 19 and 39."""
    m = with_ratio(0.3)
    logs = {n: math.log(expected_critical_points(m, n, per_index=True)[0][1]) for n in (18, 20, 38, 40)}
    early, late = (logs[20] - logs[18]) / 2, (logs[40] - logs[38]) / 2
    assert early < late < complexity(m, index=1)
    extrapolated = (39 * late - 19 * early) / 20
    assert extrapolated == pytest.approx(complexity(m, index=1), abs=0.005)


def test_a_number_too_large_for_a_float_has_a_logarithm():
    m = Mixture.pure(100)
    assert expected_critical_points(m, 500, log=True) == pytest.approx(1150.75, abs=0.01)
    with pytest.raises(InputError, match=r"10\^500.*log=True"):
        expected_critical_points(m, 500)


# --- mistakes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda m: expected_critical_points(3, 5), "mixture.*Mixture.*not 3"),
        (lambda m: expected_critical_points(m, 0), r"size.*1\.\.10000.*not 0"),
        (lambda m: expected_critical_points(m, 2.5), "size.*integer"),
        (lambda m: expected_critical_points(m, 10**6), r"size.*1\.\.10000"),
        (lambda m: expected_critical_points(m, 101, per_index=True), r"size.*1\.\.100, not 101"),
        (lambda m: expected_critical_points(m, 5, per_index=True, log=True), "log.*per_index"),
    ],
)
def test_mistakes_are_named_in_one_line(call, says):
    with pytest.raises(InputError, match=says) as caught:
        call(Mixture.pure(3))
    assert "\n" not in str(caught.value)
