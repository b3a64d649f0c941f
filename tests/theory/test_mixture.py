"""The covariance ξ of a spherical spin glass and the few numbers the theory takes from it."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skipglass.errors import InputError
from skipglass.theory import DepthEnsemble, Mixture

powers = st.dictionaries(st.integers(1, 60), st.floats(1e-6, 1e6), min_size=1, max_size=12)


@given(powers, st.floats(-1, 1))
def test_xi_is_the_sum_that_defines_it(given_powers, q):
    slow = math.fsum(c * q**r for r, c in given_powers.items())
    scale = math.fsum(c * abs(q) ** r for r, c in given_powers.items())
    assert Mixture(given_powers)(q) == pytest.approx(slow, abs=1e-14 * scale + 1e-300)


@given(powers)
def test_nu1_and_nu2_are_the_derivatives_at_1(given_powers):
    m = Mixture(given_powers)
    assert m.nu1 == pytest.approx(m(1.0, derivative=1), rel=1e-13)
    assert m.nu2 == pytest.approx(m(1.0, derivative=2), rel=1e-13)
    assert m.ratio == pytest.approx(m.nu2 / m.nu1, rel=1e-13)


@given(powers, st.floats(-0.9, 0.9), st.integers(0, 3))
def test_each_derivative_is_the_slope_of_the_one_before(given_powers, q, order):
    m, h = Mixture(given_powers).normalized(), 1e-5
    slope = (m(q + h, derivative=order) - m(q - h, derivative=order)) / (2 * h)
    curvature = abs(m(abs(q) + 2 * h, derivative=order + 3)) + abs(m(abs(q) + 2 * h, derivative=order))
    assert m(q, derivative=order + 1) == pytest.approx(slope, abs=1e-9 * (1 + curvature))


@given(powers)
def test_alpha2_is_a_variance_and_vanishes_for_pure_models_only(given_powers):
    m = Mixture(given_powers).normalized()
    assert m.alpha2 == pytest.approx(m.nu2 + m.nu1 - m.nu1**2, abs=1e-11 * m.nu1**2)
    assert m.alpha2 >= 0
    assert (m.alpha2 < 1e-25) == (len(m.orders) == 1)


@given(powers, st.floats(1e-3, 1e3))
def test_the_ratio_and_alpha2_do_not_depend_on_the_scale(given_powers, scale):
    m, scaled = Mixture(given_powers), Mixture({r: scale * c for r, c in given_powers.items()})
    assert scaled.ratio == pytest.approx(m.ratio, rel=1e-13)
    assert scaled.alpha2 == pytest.approx(m.alpha2, rel=1e-10, abs=1e-20)
    assert scaled.normalized()(1.0) == pytest.approx(1, rel=1e-14)


@pytest.mark.parametrize("size", [1e-310, 1e-300, 1.0, 1.7e308])
def test_the_ratio_survives_powers_near_the_ends_of_floats(size):
    m = Mixture({2: size, 5: size})
    assert m.ratio == pytest.approx(22 / 7, rel=1e-12)
    assert m.normalized()(1.0) == pytest.approx(1, rel=1e-12)


@given(st.integers(1, 10**6))
def test_the_pure_model(p):
    m = Mixture.pure(p)
    assert (m.nu1, m.ratio, m.alpha2, m.field) == (p, pytest.approx(p - 1, rel=1e-15), 0, float(p == 1))


@given(powers)
def test_order_of_keys_and_zero_powers_do_not_matter(given_powers):
    m = Mixture(given_powers)
    again = Mixture({**dict(reversed(list(given_powers.items()))), 61: 0.0})
    assert m == again
    assert hash(m) == hash(again)
    assert m != Mixture({**given_powers, 61: 1.0})


@given(powers, st.integers(2, 30))
def test_a_covariance_is_positive_semidefinite(given_powers, count):
    w = np.random.default_rng(count).standard_normal((count, 3))
    w /= np.linalg.norm(w, axis=1, keepdims=True)
    covariance = Mixture(given_powers).normalized()(np.clip(w @ w.T, -1, 1))
    assert np.linalg.eigvalsh(covariance).min() > -1e-12 * count


def test_without_the_field_a_residual_network_starts_at_order_2():
    e = DepthEnsemble(10, 0.1)
    assert e.mixture().field == 0
    kept = e.mixture(field=True)
    assert kept.field == pytest.approx(e.weights[0] ** 2, rel=1e-14)
    assert kept(1.0) == pytest.approx(1, rel=1e-14)


@pytest.mark.parametrize(
    ("given_powers", "says"),
    [
        ({}, "power"),
        ({3: 0.0}, "power"),
        ({0: 1.0}, "order.*1..1000000000.*0"),
        ({2.5: 1.0}, "order.*integer.*2.5"),
        ({3: -1.0}, "order 3.*at least 0.*-1"),
        ({3: math.inf}, "order 3.*finite.*inf"),
        ({3: math.nan}, "order 3.*finite.*nan"),
        ({3: "much"}, "order 3.*number.*much"),
        ([0.5, 0.5], "list"),
    ],
)
def test_mistakes_are_named_in_one_line(given_powers, says):
    with pytest.raises(InputError, match=says) as caught:
        Mixture(given_powers)
    assert "\n" not in str(caught.value)
