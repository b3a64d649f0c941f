"""The branch strength below which a residual network's spin glass has a trivial landscape."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skipglass.errors import InputError
from skipglass.theory import DepthEnsemble, complexity, trivialization_threshold


@pytest.mark.parametrize(("depth", "scaled"), [(10, 1.204), (32, 1.056), (100, 1.0173), (1000, 1.0017)])
def test_the_coherent_threshold_is_one_over_the_depth(depth, scaled):
    assert depth * trivialization_threshold(depth) == pytest.approx(scaled, abs=5e-4)


@given(st.integers(3, 300), st.sampled_from(["coherent", "independent"]))
@settings(deadline=None)
def test_at_the_threshold_x_is_1_and_it_rises_through_it(depth, reading):
    beta = trivialization_threshold(depth, reading)
    x = [DepthEnsemble(depth, f * beta, reading).mixture(field=True).ratio for f in (0.999, 1.0, 1.001)]
    assert x[1] == pytest.approx(1.0, abs=1e-12)
    assert x[0] < 1 - 1e-6 < 1 + 1e-6 < x[2]


def test_below_the_threshold_nothing_is_left_and_above_it_minima_multiply():
    beta = trivialization_threshold(50)
    below, above = (DepthEnsemble(50, f * beta).mixture(field=True) for f in (0.8, 1.2))
    assert complexity(below, index=None) == 0 < complexity(above)


def test_deep_limits():
    p = 10**5
    assert p * trivialization_threshold(p) == pytest.approx(1, rel=3e-5)
    golden = math.sqrt((math.sqrt(5) - 1) / 2)
    assert math.sqrt(p) * trivialization_threshold(p, "independent") == pytest.approx(golden, rel=3e-5)


@pytest.mark.parametrize("reading", ["coherent", "independent"])
def test_depth_2_is_trivial_whatever_the_branches_weigh(reading):
    assert trivialization_threshold(1, reading) == trivialization_threshold(2, reading) == math.inf
    assert DepthEnsemble(2, 1e3, reading).mixture(field=True).ratio < 1


def test_mistakes_are_named():
    with pytest.raises(InputError, match=r"depth.*at least 1.*0"):
        trivialization_threshold(0)
    with pytest.raises(InputError, match=r"'coherent'.*'coherant'|'coherant'.*'coherent'"):
        trivialization_threshold(10, reading="coherant")
