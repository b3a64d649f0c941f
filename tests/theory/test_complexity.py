"""Rates of the number of critical points: Eq. 33, its continuation, Theorem 5, and the count by level."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.optimize import minimize, minimize_scalar

from skipglass.errors import InputError
from skipglass.theory import (
    DepthEnsemble,
    Mixture,
    complexity,
    ground_state_energy,
    level_complexity,
    threshold_energy,
)


def with_ratio(x: float) -> Mixture:
    """A mixture of orders 1 and 102 (x = 101 alone) with ν″/ν′ = x."""
    return Mixture({1: 101 - x, 102: x / 102}) if x > 0 else Mixture.pure(1)


# --- Eq. 33 and below ------------------------------------------------------------------------------


@pytest.mark.parametrize(("depth", "expected"), [(100, (0.306, 0.810, 1.126)), (10, (0.0003, 0.057, 0.192))])
def test_figure_1f(depth, expected):
    got = [complexity(DepthEnsemble(depth, beta).mixture()) for beta in (0.1, 0.5, 2.0)]
    assert got == pytest.approx(expected, abs=6e-4 if depth == 100 else 5e-4)


@given(st.integers(2, 500), st.integers(0, 9))
def test_a_pure_model_has_x_equal_to_p_minus_1(p, k):
    expected = 0.5 * math.log(p - 1) - (p - 2) / p
    assert complexity(Mixture.pure(p), index=k) == pytest.approx(expected, abs=1e-14)


@pytest.mark.parametrize("k", [0, 1, 2, 7])
@pytest.mark.parametrize("x", [0.02, 0.3, 0.9, 1.0, 1.2, 5.0, 90.0])
def test_the_rate_is_the_best_bargain_of_k_plus_1_outliers(x, k):
    """θ_k = ½ ln x + max_s [z s²/2 - (k+1) J(s)], J by quadrature, s ≥ √2 the place of λ_k: for x ≥ 1, √2."""
    z = (1 - x) / (1 + x)

    def loss(s: float) -> float:
        cost = quad(lambda y: math.sqrt(max(y * y - 2, 0.0)), math.sqrt(2), s)[0]
        return (k + 1) * cost - z * s * s / 2

    s = minimize_scalar(loss, bounds=(math.sqrt(2), 3 / math.sqrt(min(x, 1))), options={"xatol": 1e-9}).x
    best = -min(loss(s), loss(math.sqrt(2)))
    assert complexity(with_ratio(x), index=k) == pytest.approx(0.5 * math.log(x) + best, abs=1e-8)


@given(st.floats(1e-6, 100.0), st.integers(0, 5))
def test_the_rates_are_ordered(x, k):
    m = with_ratio(x)
    assert complexity(m, index=k + 1) <= complexity(m, index=k) + 1e-15
    assert complexity(m, index=k) <= complexity(m, index=None) + 1e-12


@given(st.floats(1e-4, 0.99), st.integers(1, 5))
def test_a_strong_field_leaves_a_trivial_landscape(x, k):
    m = with_ratio(x)
    assert complexity(m) == complexity(m, index=None) == 0.0
    assert complexity(m, index=k) < 0


def test_a_pure_field_has_one_minimum_and_one_maximum():
    field = Mixture.pure(1)
    assert (complexity(field), complexity(field, index=1)) == (0.0, -math.inf)


@given(st.dictionaries(st.integers(1, 40), st.floats(1e-6, 1e6), min_size=1), st.floats(1e-3, 1e3))
def test_the_scale_of_the_energy_does_not_matter(powers, scale):
    scaled = Mixture({r: c * scale for r, c in powers.items()})
    assert complexity(scaled) == pytest.approx(complexity(Mixture(powers)), abs=1e-12)


# --- Theorem 5 -------------------------------------------------------------------------------------


@given(st.integers(3, 60), st.data())
def test_theorem_5_no_mixture_of_orders_up_to_p_exceeds_the_pure_model(p, data):
    powers = data.draw(st.dictionaries(st.integers(2, p), st.floats(1e-9, 1.0), min_size=1))
    assert complexity(Mixture(powers)) <= complexity(Mixture.pure(p)) + 1e-14


@pytest.mark.parametrize("p", [3, 5, 9])
def test_theorem_5_the_maximiser_finds_the_pure_model(p):
    def minus_complexity(logits: np.ndarray) -> float:
        weights = np.exp(logits - logits.max())
        return -complexity(Mixture(dict(enumerate(weights / weights.sum(), start=2))))

    found = minimize(minus_complexity, np.zeros(p - 1), method="BFGS")
    assert -found.fun <= complexity(Mixture.pure(p))
    assert -found.fun == pytest.approx(complexity(Mixture.pure(p)), rel=1e-3)
    assert np.argmax(found.x) == p - 2


def test_the_papers_bound_50_is_false_and_what_it_proves_is_weaker():
    """Eq. 50 takes 1-2/p for the least (r-2)/r over the orders, but r = 2 has 0, and the bound fails."""
    p = 10
    nearly_quadratic = Mixture({2: 1 - 1e-6, p: 1e-6})
    assert min((r - 2) / r for r in nearly_quadratic.orders) == 0.0
    claimed = 0.5 * math.log(nearly_quadratic.ratio) - (1 - 2 / p)
    assert complexity(nearly_quadratic) > claimed + 0.5
    assert complexity(nearly_quadratic) <= 0.5 * math.log(p - 1)


# --- by level --------------------------------------------------------------------------------------


@pytest.mark.parametrize("p", [2, 3, 4, 10, 100])
def test_summing_over_levels_gives_the_complexity(p):
    for k in range(3):
        highest = max(level_complexity(p, u, k) for u in np.linspace(-5, 5, 101))
        assert highest == pytest.approx(complexity(Mixture.pure(p), index=k), abs=1e-14)


@given(st.integers(2, 100), st.integers(0, 4), st.floats(-6, 6), st.floats(0, 3))
def test_more_energy_never_means_fewer_critical_points(p, k, energy, step):
    low, high = (level_complexity(p, u, k) for u in (energy, energy + step))
    assert low <= high + 1e-13
    assert level_complexity(p, energy, k + 1) <= low + 1e-13


def test_the_action_is_the_integral_that_defines_it():
    """I(u) = (2/E_∞²) ∫_{E_∞}^{|u|} √(y²-E_∞²) dy (Auffinger, Ben Arous, Černý 2013, Eq. 2.17)."""
    p, u = 5, -2.1
    E = -threshold_energy(p)
    integral = 2 / E**2 * quad(lambda y: math.sqrt(y * y - E * E), E, -u)[0]
    assert level_complexity(p, u, 0) - level_complexity(p, u, 1) == pytest.approx(integral, rel=1e-10)


def test_the_ground_state_of_the_3_spin():
    """E_0 = 1.6570 (Auffinger, Ben Arous, Černý 2013; Crisanti and Sommers 1992)."""
    assert ground_state_energy(3) == pytest.approx(-1.6570, abs=5e-5)


@pytest.mark.parametrize("p", [2, 3, 4, 20, 1000])
def test_the_ground_state_is_where_minima_run_out(p):
    E0 = ground_state_energy(p)
    assert threshold_energy(p) >= E0
    assert level_complexity(p, E0) == pytest.approx(0, abs=1e-13)
    assert level_complexity(p, E0 - 1e-3) < 0


def test_the_ground_state_of_the_2_spin_is_the_edge_of_the_semicircle():
    """H/Λ = wᵀJw/(‖w‖²√Λ): the smallest eigenvalue of (J+Jᵀ)/(2√Λ), which tends to -√2."""
    J = np.random.default_rng(0).standard_normal((1500, 1500))
    smallest = np.linalg.eigvalsh((J + J.T) / 2)[0] / math.sqrt(1500)
    assert ground_state_energy(2) == pytest.approx(smallest, abs=0.02)


@given(st.integers(2, 300))
def test_the_threshold_of_a_mixture_agrees_with_the_pure_model(p):
    assert threshold_energy(Mixture({p: 3.0})) == pytest.approx(threshold_energy(p), rel=1e-14)


# --- mistakes --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: complexity({3: 1.0}), r"mixture.*Mixture.*\{3: 1.0\}"),
        (lambda: complexity(Mixture.pure(3), index=-1), "index.*at least 0.*-1"),
        (lambda: level_complexity(1, -1.0), "p .*2..1000000000.*1"),
        (lambda: level_complexity(3, math.nan), "energy.*finite.*nan"),
        (lambda: level_complexity(3, -1.6, index=0.5), "index.*integer.*0.5"),
        (lambda: ground_state_energy(1), "p .*not 1"),
        (lambda: threshold_energy(1), "p .*not 1"),
        (lambda: threshold_energy(Mixture({1: 0.9, 3: 0.1})), "trivial.*threshold"),
    ],
)
def test_mistakes_are_named_in_one_line(call, says):
    with pytest.raises(InputError, match=says) as caught:
        call()
    assert "\n" not in str(caught.value)
