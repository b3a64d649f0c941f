"""The ground state of any mixture, against pure models, closed forms where there are some, and other minimisers."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.optimize import minimize

from skipglass.errors import InputError
from skipglass.theory import DepthEnsemble, Mixture, ground_state_energy, threshold_energy, trivialization_threshold
from skipglass.theory.ground_state import zero_temperature

FULL = [{2: 12 / 13, 4: 1 / 13}, {2: 0.95, 4: 0.05}, {2: 0.98, 4: 0.01, 6: 0.01}]
"""Mixtures with 1/√ξ″ concave: replica symmetry is broken in full."""
UNPHYSICAL = {1.15: -1.3611, 1.35: -1.4308, 1.70: -1.5323}
"""β/β_c of the depth-100 ensemble with its field: its -E_0, above what the formula for the threshold gives."""


def of_depth_100(factor: float) -> Mixture:
    return DepthEnsemble(100, factor * trivialization_threshold(100)).mixture(field=True)


@pytest.mark.parametrize("p", [2, 3, 4, 7, 20, 100, 1000])
def test_pure_models_end_where_their_minima_run_out(p):
    """The zero of Θ_0, which is exact: these models break replica symmetry in one step."""
    assert zero_temperature(Mixture.pure(p)) == pytest.approx(-ground_state_energy(p), abs=1e-7)
    assert ground_state_energy(Mixture({p: 3.0})) == ground_state_energy(p)


@pytest.mark.parametrize("powers", FULL)
def test_full_symmetry_breaking_has_a_closed_form(powers):
    m = Mixture(powers)
    inverse = 1 / np.sqrt(m(np.linspace(0, 1, 1001), 2))
    assert (np.diff(inverse, 2) <= 1e-15).all()
    closed = quad(lambda q: math.sqrt(m(q, 2)), 0, 1, epsabs=1e-13)[0]
    assert ground_state_energy(m) == pytest.approx(-closed, abs=1e-8)


def test_a_mixture_near_the_2_spin():
    assert ground_state_energy(Mixture(FULL[0])) == pytest.approx(-1.46470, abs=5e-6)


@pytest.mark.parametrize(("factor", "expected"), UNPHYSICAL.items())
def test_the_depth_ensemble_above_its_threshold(factor, expected):
    assert ground_state_energy(of_depth_100(factor)) == pytest.approx(expected, abs=5e-5)


@given(st.floats(0.001, 1))
@settings(deadline=None, max_examples=20)
def test_a_trivial_landscape_has_its_one_minimum(factor):
    m = of_depth_100(factor)
    assert ground_state_energy(m) == pytest.approx(-math.sqrt(m.nu1), rel=1e-9)


def one_step(m: Mixture) -> float:
    """The functional over D flat up to q0 and straight from there, by quadrature and a minimiser blind to convexity."""

    def value(parameters: np.ndarray) -> float:
        low, drop = np.exp(parameters[:2])
        q0 = 1 / (1 + math.exp(-parameters[2])) if m.field else 0.0
        D = lambda q: low + drop * min(1 - q0, 1 - q)  # noqa: E731
        parts = [(lambda q: m(q, 2) * D(q)), (lambda q: 1 / D(q))]
        sums = [quad(f, 0, q0)[0] + quad(f, q0, 1)[0] for f in parts]
        return 0.5 * (m(0.0, 1) * D(0) + sum(sums))

    options = {"xatol": 1e-8, "fatol": 1e-12, "maxiter": 4000}
    return minimize(value, [-1.0, -1.0, -1.0], method="Nelder-Mead", options=options).fun


@pytest.mark.parametrize("powers", [{3: 0.5, 4: 0.5}, {1: 0.2, 3: 0.8}, {2: 0.5, 3: 0.5}])
def test_one_step_is_what_another_minimiser_finds(powers):
    m = Mixture(powers).normalized()
    assert ground_state_energy(m) == pytest.approx(-one_step(m), abs=1e-6)


def test_one_step_without_a_field_knows_only_the_slope():
    """For straight D the functional depends on ν′ and ξ(1) alone: {2: ½, 4: ½} and the pure 3-spin have one E_0."""
    assert ground_state_energy(Mixture({2: 0.5, 4: 0.5})) == pytest.approx(ground_state_energy(3), abs=1e-9)


@pytest.mark.parametrize("powers", [*FULL, {2: 0.5, 5: 0.5}, {1: 0.05, 2: 0.9, 40: 0.05}])
def test_one_step_is_never_lower(powers):
    m = Mixture(powers).normalized()
    assert -ground_state_energy(m) <= one_step(m) + 1e-9


def test_energies_are_those_of_the_mixture_scaled_to_1():
    m = Mixture({1: 0.2, 3: 0.5, 4: 0.3})
    for scale in (1e-200, 9.0, 1e200):
        scaled = Mixture({r: scale * c for r, c in m.items()})
        assert ground_state_energy(scaled) == pytest.approx(ground_state_energy(m), rel=1e-12)
        assert zero_temperature(Mixture({r: 9 * c for r, c in m.items()})) == pytest.approx(3 * zero_temperature(m))


@pytest.mark.parametrize("mixture", [Mixture(FULL[0]), *map(of_depth_100, UNPHYSICAL)], ids=str)
def test_a_threshold_below_the_ground_state_is_refused(mixture):
    with pytest.raises(InputError, match=r"no threshold is known.*below the ground state.*replica symmetry"):
        threshold_energy(mixture)


@given(st.integers(3, 12), st.integers(3, 12), st.floats(0, 1))
@settings(deadline=None, max_examples=20)
def test_where_one_step_is_physical_the_threshold_lies_above_the_ground_state(p, q, share):
    """Mixtures of orders from 3 that lie near one another."""
    m = Mixture({p: 1.0}) if p == q else Mixture({p: share, q: 1 - share})
    if abs(p - q) <= 3:
        assert ground_state_energy(m) < threshold_energy(m)
