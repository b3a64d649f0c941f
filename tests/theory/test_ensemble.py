"""The depth ensemble against high precision, brute force and the paper's Theorems 1 and 2 and Lemma 4."""

import itertools
import math

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skipglass.errors import InputError
from skipglass.theory import DepthEnsemble, branch_factor, path_factor, peak_interval

READINGS = ("coherent", "independent")

betas = st.floats(1e-3, 1e3)
depths = st.integers(1, 60)


def reference(p, beta, reading="coherent", digits=50):
    """ε_r from the definition in high precision: C(p-1, r-1) β^r, or the root of C(p-1, r-1) b^{2r}."""
    with mpmath.workdps(digits):
        b = mpmath.mpf(beta) if reading == "coherent" else mpmath.mpf(beta) ** 2
        terms = [b]
        for r in range(1, p):
            terms.append(terms[-1] * b * (p - r) / r)
        if reading == "independent":
            terms = [mpmath.sqrt(t) for t in terms]
        norm = mpmath.sqrt(mpmath.fsum(t * t for t in terms))
        return [t / norm for t in terms]


def brute(beta):
    """ε_r by summing over all subsets of the layers with a shortcut."""
    p = len(beta)
    totals = np.zeros(p)
    for taken in itertools.product((False, True), repeat=p - 1):
        totals[sum(taken)] += math.prod(b for b, t in zip(beta[1:], taken, strict=True) if t)
    return totals / np.linalg.norm(totals)


@pytest.mark.parametrize("p", [5, 100, 1_000, 10_000])
@pytest.mark.parametrize("beta", [1e-3, 0.1, 1.0, 7.0, 1e3])
@pytest.mark.parametrize("reading", READINGS)
def test_weights_agree_with_fifty_digits(p, beta, reading):
    weights = DepthEnsemble(p, beta, reading).weights
    with mpmath.workdps(50):
        errors = [
            abs(mpmath.mpf(float(w)) / exact - 1)
            for w, exact in zip(weights, reference(p, beta, reading), strict=True)
            if exact > mpmath.mpf(10) ** -300
        ]
        assert max(errors) < 1e-12


@given(st.lists(st.floats(0, 50), min_size=1, max_size=12))
def test_unequal_layers_equal_the_sum_over_all_subsets(beta):
    np.testing.assert_allclose(DepthEnsemble(len(beta), beta).weights, brute(beta), rtol=1e-12, atol=1e-300)


@given(depths, betas, st.sampled_from(READINGS))
def test_equal_layers_given_one_by_one_change_nothing(p, beta, reading):
    one, many = DepthEnsemble(p, beta, reading), DepthEnsemble(p, [beta] * p, reading)
    np.testing.assert_allclose(many.weights, one.weights, rtol=1e-12)


def test_two_thousand_unequal_layers_agree_with_the_equal_case_at_the_ends_of_the_range():
    for beta, reading in itertools.product((1e-3, 1.0, 1e3), READINGS):
        one = DepthEnsemble(2_000, beta, reading).weights
        many = DepthEnsemble(2_000, [beta] * 2_000, reading).weights
        seen = one > 1e-300
        np.testing.assert_allclose(many[seen], one[seen], rtol=1e-12)


def test_layers_of_very_different_strength_keep_their_small_terms():
    beta = np.array([1.0] + [1e-3] * 100 + [1e3] * 100)
    with mpmath.workdps(50):
        terms = [mpmath.mpf(1)]
        for b in beta[1:]:
            terms = [
                (terms[r] if r < len(terms) else 0) + (mpmath.mpf(b) * terms[r - 1] if r else 0)
                for r in range(len(terms) + 1)
            ]
        norm = mpmath.sqrt(mpmath.fsum(t * t for t in terms))
        exact = np.array([float(t / norm) for t in terms])
    np.testing.assert_allclose(DepthEnsemble(beta.size, beta).weights, exact, rtol=1e-12, atol=1e-300)


@given(st.permutations(range(8)))
def test_the_order_of_the_layers_does_not_matter(order):
    beta = np.linspace(0.1, 2.0, 8)
    first = DepthEnsemble(9, [1.0, *beta]).weights
    np.testing.assert_allclose(DepthEnsemble(9, [5.0, *beta[order]]).weights, first, rtol=1e-13)


@given(depths, betas, st.sampled_from(READINGS))
def test_squares_and_shares_sum_to_one(p, beta, reading):
    e = DepthEnsemble(p, beta, reading)
    assert (e.weights**2).sum() == pytest.approx(1, abs=1e-14)
    assert e.share.sum() == pytest.approx(1, abs=1e-14)


@given(st.integers(2, 60), betas)
def test_inverting_beta_mirrors_the_lengths(p, beta):
    mirrored = DepthEnsemble(p, 1 / beta).weights[::-1]
    np.testing.assert_allclose(DepthEnsemble(p, beta).weights, mirrored, rtol=1e-11)


@given(st.integers(1, 60), betas, st.sampled_from(READINGS))
def test_shares_are_binomial_in_the_number_of_branches(p, beta, reading):
    factor = beta if reading == "coherent" else beta**2
    e = DepthEnsemble(p, beta, reading)
    assert e.share @ e.lengths == pytest.approx(1 + (p - 1) * factor / (1 + factor), rel=1e-11)


@given(st.integers(2, 40), st.floats(0.01, 20).filter(lambda b: abs(b - 1) > 1e-3))
@settings(max_examples=30)
def test_normalisation_is_a_legendre_polynomial(p, beta):
    with mpmath.workdps(60):
        b = mpmath.mpf(beta)
        sum_of_squares = mpmath.fsum((mpmath.binomial(p - 1, r) * b**r) ** 2 for r in range(p))
        legendre = (1 - b**2) ** (p - 1) * mpmath.legendre(p - 1, (1 + b**2) / (1 - b**2))
        assert abs(sum_of_squares / legendre - 1) < 1e-12


@pytest.mark.parametrize("p", [1, 2, 3, 10, 77, 200])
def test_peak_interval_is_lemma_4(p):
    for k in range(1, p + 1):
        low, high = peak_interval(p, k)
        inside = (low + high) / 2 if k < p else 2 * low + 1
        e = DepthEnsemble(p, inside)
        assert int(np.argmax(e.weights)) + 1 == e.peak == k
        if k < p:
            tie = DepthEnsemble(p, high).weights
            assert tie[k] == pytest.approx(tie[k - 1], rel=1e-12)
            assert tie.max() == pytest.approx(tie[k - 1], rel=1e-12)


def test_theorem_1_the_peak_converges_like_one_over_p():
    for beta in (0.1, 0.5, 2.0):
        for p in (10, 100, 1_000, 10_000, 100_000):
            assert abs(DepthEnsemble(p, beta).peak / p - beta / (1 + beta)) <= 1 / p


def test_theorem_2_the_mass_of_any_band_around_the_peak_tends_to_one():
    for beta in (0.1, 0.5, 2.0):
        alpha = beta / (1 + beta)
        outside = []
        for p in (50, 200, 800, 3_200):
            e = DepthEnsemble(p, beta)
            inside = (e.lengths > 0.8 * alpha * p) & (e.lengths < 1.2 * alpha * p)
            outside.append((e.weights[~inside] ** 2).sum())
        assert all(b < a for a, b in itertools.pairwise(outside))
        assert outside[-1] < 0.01


@given(st.integers(1, 40), betas, st.floats(1e-20, 1.0))
def test_band_is_the_shortest_with_its_mass(p, beta, mass):
    e = DepthEnsemble(p, beta)
    power = e.weights**2 / (e.weights**2).sum()
    lo, hi = e.band(mass)
    assert 1 <= lo <= hi <= p
    assert power[lo - 1 : hi].sum() >= mass * (1 - 1e-12)
    width = hi - lo
    if width:
        assert max(power[i : i + width].sum() for i in range(p - width + 1)) < mass * (1 + 1e-12)


def test_a_million_layers_have_a_closed_form_mean():
    e = DepthEnsemble(10**6, 0.5, "independent")
    assert e.mean_length == pytest.approx(1 + (10**6 - 1) * 0.2, rel=1e-10)


def test_vanishing_branches_leave_the_shortest_path():
    assert DepthEnsemble(5, 0.0).weights.tolist() == [1, 0, 0, 0, 0]
    assert DepthEnsemble(5, [3.0, 0, 0, 0, 0]).weights.tolist() == [1, 0, 0, 0, 0]
    assert DepthEnsemble(1, 7.0).weights.tolist() == [1]


def test_the_paper_s_initialisation_peaks_below_half_depth():
    assert path_factor(64) == pytest.approx(0.5)
    assert DepthEnsemble(100, path_factor(64)).peak < 50
    assert path_factor(64, gate=0.3) ** 2 / 0.3 == pytest.approx(branch_factor(64, gate=0.3) ** 2)


def test_mixture_drops_or_keeps_the_field():
    e = DepthEnsemble(10, 0.5)
    assert e.mixture().orders[0] == 2
    assert e.mixture().powers.sum() == pytest.approx(1)
    np.testing.assert_allclose(e.mixture(field=True).powers, e.weights**2, rtol=1e-14)


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        ({"depth": 0, "beta": 0.5}, ["depth", "0"]),
        ({"depth": 2.5, "beta": 0.5}, ["depth", "2.5"]),
        ({"depth": True, "beta": 0.5}, ["depth", "True"]),
        ({"depth": 5, "beta": -0.5}, ["beta", "-0.5"]),
        ({"depth": 5, "beta": float("nan")}, ["beta", "nan"]),
        ({"depth": 5, "beta": float("inf")}, ["beta", "inf"]),
        ({"depth": 5, "beta": 1e200, "reading": "independent"}, ["beta", "1e+200"]),
        ({"depth": 5, "beta": 1 + 2j}, ["beta", "2j"]),
        ({"depth": 10**12, "beta": 1.0}, ["depth", "100000000"]),
        ({"depth": 5, "beta": [0.5] * 4}, ["5 layers", "(4,)"]),
        ({"depth": 5, "beta": "half"}, ["beta", "half"]),
        ({"depth": 5, "beta": 0.5, "reading": "coherant"}, ["coherent", "did you mean"]),
    ],
)
def test_bad_arguments_get_one_line_that_names_them(arguments, names):
    with pytest.raises(InputError) as caught:
        DepthEnsemble(**arguments)
    assert "\n" not in str(caught.value)
    assert all(name in str(caught.value) for name in names)


@pytest.mark.parametrize("k", [0, 11, -1, 1.5])
def test_a_peak_out_of_range_is_refused(k):
    with pytest.raises(InputError, match=r"1\.\.10"):
        peak_interval(10, k)


@pytest.mark.parametrize("mass", [0.0, 1.5, -1, float("nan")])
def test_a_mass_out_of_range_is_refused(mass):
    with pytest.raises(InputError, match="mass"):
        DepthEnsemble(10, 0.5).band(mass)


def test_printing_and_storing():
    e = DepthEnsemble(10, 0.5)
    assert "p = 10" in str(e)
    assert "β = 0.5" in str(e)
    stored = e.to_xarray()
    np.testing.assert_array_equal(stored.weight.values, e.weights)
    again = DepthEnsemble.from_xarray(stored)
    assert (again.depth, again.beta, again.reading) == (10, 0.5, "coherent")
    ax = e.plot()
    np.testing.assert_array_equal(ax.lines[0].get_xydata(), np.stack([e.lengths, e.weights], axis=1))


def test_unequal_layers_are_read_back_from_a_file(tmp_path):
    e = DepthEnsemble(3, [0.1, 0.2, 0.4], "independent")
    again = DepthEnsemble.load(e.save(tmp_path / "ensemble.nc"))
    np.testing.assert_array_equal(again.beta, e.beta)
    np.testing.assert_array_equal(again.weights, e.weights)
