"""The fit of a reading to measured norms: exact recovery, the obvious minimum, the bootstrap, and the edges."""

import itertools
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skipglass.errors import InputError
from skipglass.record import load
from skipglass.theory import DepthEnsemble, Fit, fit


def chain(p):
    return {r: math.comb(p - 1, r - 1) for r in range(1, p + 1)}


def divergence(q, log_paths, lengths, reading, beta):
    """KL(q ‖ reading at β), the obvious way."""
    terms = (2 if reading == "coherent" else 1) * log_paths + 2 * lengths * math.log(beta)
    terms = np.exp(terms - terms.max())
    q, terms = q / q.sum(), terms / terms.sum()
    some = q > 0
    return float(np.sum(q[some] * np.log(q[some] / terms[some])))


@settings(max_examples=60, deadline=None)
@given(
    p=st.integers(2, 300),
    log_beta=st.floats(-6, 6),
    reading=st.sampled_from(["coherent", "independent"]),
)
def test_the_theorys_own_weights_give_back_beta(p, log_beta, reading):
    beta = math.exp(log_beta)
    e = DepthEnsemble(p, beta, reading)
    found = fit(e.lengths, e.weights**2, chain(p), reading)
    assert found.beta == pytest.approx(beta, rel=1e-9)
    assert found.distance <= 1e-12
    np.testing.assert_allclose(found.predicted, e.weights**2, atol=1e-11)


@pytest.mark.parametrize("reading", ["coherent", "independent"])
def test_no_beta_is_nearer(reading):
    """On measured numbers that no member of the family gives, and a census with a hole."""
    random = np.random.default_rng(3)
    census = {1: 1, 2: 5, 3: 7, 5: 2}
    lengths, q = np.array([1, 2, 3, 4, 5]), random.random(5)
    q[3] = 0
    found = fit(lengths, q, census, reading)
    on = [0, 1, 2, 4]
    log_paths = np.log([1, 5, 7, 2])
    grid = np.exp(np.linspace(-6, 6, 20_001))
    values = [divergence(q[on], log_paths, lengths[on], reading, beta) for beta in grid]
    assert found.beta == pytest.approx(grid[int(np.argmin(values))], rel=1e-3)
    assert found.distance == pytest.approx(min(values), abs=1e-6)
    assert found.lengths @ found.measured == pytest.approx(found.lengths @ found.predicted, rel=1e-12)


def test_an_offset_of_the_length_and_the_scale_of_the_norms_drop_out():
    """L blocks are the paper's chain of p = L + 1 with r one less."""
    e = DepthEnsemble(31, 0.7)
    blocks = {r: math.comb(30, r) for r in range(31)}
    here = fit(e.lengths - 1, 1e-250 * e.weights**2, blocks)
    assert here.beta == pytest.approx(0.7, rel=1e-9)
    backwards = fit(e.lengths[::-1] - 1, e.weights[::-1] ** 2, blocks)
    assert backwards.beta == pytest.approx(here.beta, rel=1e-12)


def test_counts_beyond_floating_point():
    p = 3000
    e = DepthEnsemble(p, 0.2, "independent")
    assert math.comb(p - 1, p // 2) > 10**400
    assert fit(e.lengths, e.weights**2, chain(p), "independent").beta == pytest.approx(0.2, rel=1e-9)


@pytest.mark.parametrize(("end", "beta"), [(0, 0.0), (-1, math.inf)])
def test_all_on_one_end_is_a_limit_and_says_so(end, beta):
    q = np.zeros((4, 3))
    q[end] = 1
    found = fit(range(1, 5), q, chain(4))
    assert (found.beta, found.distance, found.interval) == (beta, 0, (beta, beta))
    assert "limit" in str(found)


def test_a_faint_end_is_not_rounded_to_the_limit():
    """β of two lengths is the square root of their ratio, also far below one rounding error."""
    assert fit([1, 2], [1, 1e-40], {1: 1, 2: 1}).beta == pytest.approx(1e-20, rel=1e-9)
    assert fit([1, 2], [1e-40, 1], {1: 1, 2: 1}).beta == pytest.approx(1e20, rel=1e-9)


def test_numbers_beyond_floating_point_have_a_distance_and_a_limit():
    steep = fit([1, 2], [1, 1], {1: 10**900, 2: 1})
    assert (steep.beta, steep.distance) == (math.inf, pytest.approx(0, abs=1e-12))
    hollow = fit([1, 2, 3], [1, 1e-300, 1], {1: 10**400, 2: 1, 3: 10**400})
    assert hollow.distance == pytest.approx(0, abs=1e-12)
    assert fit([1, 2, 3], [1, 1e-5, 1], {1: 10**400, 2: 1, 3: 10**400}).distance == pytest.approx(
        5e-6 * (math.log(1e-5) + 800 * math.log(10)), rel=1e-3
    )


def test_the_interval_is_the_percentile_bootstrap():
    """Against fitting each resample; equal seeds, so to rounding."""
    random = np.random.default_rng(0)
    q = random.gamma(0.5, size=(6, 12)) * np.arange(1, 7)[:, None]
    lengths, census = np.arange(1, 7), chain(6)
    found = fit(lengths, q, census, resamples=200, seed=5)
    counts = np.random.default_rng(5).multinomial(12, np.full(12, 1 / 12), size=200)
    each = [fit(lengths, q @ c, census).beta for c in counts]
    assert found.interval == pytest.approx((sorted(each)[5], sorted(each)[194]), rel=1e-9)
    assert found.interval[0] < found.beta < found.interval[1]
    assert fit(lengths, q.sum(axis=1), census).interval is None


@pytest.mark.parametrize("power", [np.ones(6), np.random.default_rng(0).random((6, 4))])
def test_a_fit_is_read_back_from_a_file(power, tmp_path):
    """With an interval and without."""
    found = fit(np.arange(1, 7), power, chain(6), "independent")
    again = Fit.load(found.save(tmp_path / "fit.nc"))
    assert (again.reading, again.beta, again.interval) == (found.reading, found.beta, found.interval)
    np.testing.assert_array_equal(again.predicted, found.predicted)
    assert str(found) == str(again)
    assert f"b = {found.beta:.4g}" in str(found)
    ax = found.plot()
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), found.predicted)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (([1, 2], [0, 0], {1: 1, 2: 1}), "zero"),
        (([1, 2], [1, math.nan], {1: 1, 2: 1}), "finite"),
        (([1, 2], [1, -1], {1: 1, 2: 1}), "negative"),
        (([1, 2], [1, 1], {1: 1}), "length 2"),
        (([1, 2], [1, 0], {1: 1}), "one length"),
        (([1, 2], [1, 1, 1], {1: 1, 2: 1}), "shape"),
        (([1, 1], [1, 1], {1: 1}), "distinct"),
        (([1.5, 2], [1, 1], {1: 1}), "integers"),
        (([1, 2], ["a", "b"], {1: 1}), "numbers"),
        (([1, 2], [1, 1], {1: 1, 2: 1}, "both"), "reading"),
    ],
)
def test_a_mistake_is_named(arguments, words):
    with pytest.raises(InputError, match=words):
        fit(*arguments)


def test_independent_blocks_by_all_subsets():
    """The length of a path that takes block l with probability p_l, summed over all 2^L choices of blocks."""
    rng = np.random.default_rng(0)
    L, p = 7, rng.uniform(size=7)
    slow = np.zeros(L + 1)
    for chosen in itertools.product((False, True), repeat=L):
        slow[sum(chosen)] += np.prod(np.where(chosen, p, 1 - p))
    q = rng.uniform(size=L + 1)
    found = fit(range(L + 1), q, CHAIN_OF_7, "per block", participation=p)
    np.testing.assert_allclose(found.predicted, slow, rtol=1e-12)
    q /= q.sum()
    assert found.distance == pytest.approx(float((q * np.log(q / slow)).sum()), rel=1e-12)
    assert math.isnan(found.beta)
    assert found.interval is None
    assert fit(range(L + 1), slow, CHAIN_OF_7, "per block", participation=p).distance < 1e-12


CHAIN_OF_7 = {r: math.comb(7, r) for r in range(8)}


def test_equal_independent_blocks_are_the_independent_reading():
    e = DepthEnsemble(8, 0.7, reading="independent")
    power = e.weights**2
    p = 0.7**2 / (1 + 0.7**2)
    per_block = fit(range(8), power, CHAIN_OF_7, "per block", participation=[p] * 7)
    homogeneous = fit(range(8), power, CHAIN_OF_7, "independent")
    np.testing.assert_allclose(per_block.predicted, homogeneous.predicted, rtol=1e-10)


def test_unequal_blocks_alone_narrow_a_spectrum():
    """A network of independent, unequal blocks lies at a distance from equal ones, and looks coherent in part."""
    p = np.array([0.05] * 3 + [0.95] * 3 + [0.5])
    power = fit(range(8), np.ones(8), CHAIN_OF_7, "per block", participation=p).predicted
    homogeneous, coherent = (
        fit(range(8), power, CHAIN_OF_7, reading).distance for reading in ("independent", "coherent")
    )
    assert homogeneous > 0.2
    assert coherent < homogeneous / 3
    assert fit(range(8), power, CHAIN_OF_7, "per block", participation=p).distance < 1e-12


def test_a_trained_network_is_more_coherent_than_unequal_blocks_explain():
    """ResNet-44 trained by others, from the recording: 0.107 nats from equal blocks, 0.055 from its own, 0.003."""
    data = load(Path(__file__).parents[2] / "results" / "trained" / "resnet44.nc", "trained network").sel(when="after")
    power, census = data.measured.values, {r: math.comb(21, r) for r in range(22)}
    found = {reading: fit(range(22), power, census, reading).distance for reading in ("independent", "coherent")}
    found["per block"] = fit(
        range(22), power, census, "per block", participation=data.participation_batch.values
    ).distance
    assert found["independent"] == pytest.approx(0.107, abs=0.001)
    assert found["per block"] == pytest.approx(0.055, abs=0.001)
    assert found["coherent"] == pytest.approx(0.003, abs=0.0005)


def test_a_fit_of_blocks_is_printed_and_stored(tmp_path):
    found = fit(range(3), [1, 2, 1], {0: 1, 1: 2, 2: 1}, "per block", participation=[0.5, 0.5])
    assert str(found).startswith("independent blocks, each with its measured participation")
    again = Fit.load(found.save(tmp_path / "fit.nc"))
    assert again.reading == "per block"
    assert math.isnan(again.beta)
    np.testing.assert_array_equal(again.predicted, found.predicted)


@pytest.mark.parametrize(
    ("reading", "participation", "words"),
    [
        ("per block", None, "needs participation"),
        ("coherent", [0.5, 0.5], 'for reading "per block" alone'),
        ("per block", [0.5, 1.2], "0.5 to 1.2"),
        ("per block", [0.5, math.nan], "probability"),
        ("per block", [[0.5, 0.5]], r"\(1, 2\)"),
        ("per block", [0.5], "1 participations were given, and lengths of 0 to 2"),
        ("per block", "text", "numbers"),
    ],
)
def test_a_mistake_about_participations_is_named(reading, participation, words):
    with pytest.raises(InputError, match=words) as caught:
        fit(range(3), [1, 2, 1], {0: 1, 1: 2, 2: 1}, reading, participation=participation)
    assert "\n" not in str(caught.value)
