"""The statistics behind the verdicts, each against a slow or well-known version."""

import numpy as np
import pytest
from scipy import stats

from skipglass.paper import rules
from skipglass.paper.rules import above, agrees, below, falls, grows, holm, identity, skill, within


def naive_holm(p):
    """Reject the smallest first, with the level divided by how many are left; the corrected p by bisection of that."""

    def rejected(level):
        out, left = set(), len(p)
        for j in np.argsort(p, kind="stable"):
            if p[j] * left > level * (1 + 1e-12):
                break
            out.add(int(j))
            left -= 1
        return out

    levels = sorted({min(1.0, v * k) for v in p for k in range(1, len(p) + 1)} | {1.0})
    return [next((level for level in levels if j in rejected(level)), 1.0) for j in range(len(p))]


@pytest.mark.parametrize("seed", range(20))
def test_holm_is_its_step_by_step_version(seed):
    p = np.random.default_rng(seed).uniform(0, 0.3, 7)
    assert holm(p) == pytest.approx(naive_holm(p), rel=1e-9)


def test_holm_of_nothing_is_nothing():
    assert holm([]) == []


@pytest.mark.parametrize("size", [2, 3, 10])
def test_one_setting_is_judged_by_students_t(size):
    generator = np.random.default_rng(size)
    for shift in np.linspace(-3, 3, 25):
        values = generator.normal(shift, 1, size)
        (setting,) = grows().judge({"": values}).settings
        p = stats.ttest_1samp(values, 0).pvalue
        assert setting.p == pytest.approx(p, rel=1e-9)
        assert setting.side == (np.sign(values.mean()) if p <= rules.LEVEL else 0)


def test_two_standard_errors_at_three_seeds_are_not_enough():
    values = np.array([0.2, 1.0, 1.2])
    assert values.mean() > 2 * values.std(ddof=1) / np.sqrt(3)
    assert grows().judge({"": values}).word == "undetermined"


def test_false_findings_are_as_rare_as_the_level_says():
    """Under the null of no change, a row with 10 settings finds anything in 5 % of cases."""
    generator = np.random.default_rng(0)
    found = [grows().judge({str(k): generator.normal(0, 1, 4) for k in range(10)}).word for _ in range(600)]
    assert 0.02 < np.mean([word != "undetermined" for word in found]) < 0.08


def test_each_verdict():
    up, down, noise = [1.0, 1.1, 0.9, 1.05], [-1.0, -1.1, -0.9, -1.05], [1.0, -1.1, 0.9, -0.9]
    assert grows().judge({"a": up, "b": up, "c": down}).text == "supported (2 of 3 settings)"
    assert grows().judge({"a": up, "b": down}).text == "not supported (1 of 2 settings)"
    assert grows().judge({"a": down}).text == "not supported"
    assert falls().judge({"a": down}).text == "supported (1 of 1 setting)"
    assert grows().judge({"a": noise}).text == "undetermined: no significant effect"
    assert grows().judge({"a": [1.0], "b": [2.0]}).text == "undetermined: one seed per setting"
    assert grows().judge({}).text == "undetermined: no setting to judge"
    assert grows().judge({"a": [1.0, np.nan]}).text == "undetermined: 1 number is not finite"
    assert grows(small=2).judge({"a": up, "b": np.array(up) * 5}).text == "supported (2 of 2 settings, 1 of them small)"


def test_bounds_are_where_they_are_said_to_be():
    values = {"a": [0.20, 0.21, 0.19, 0.2]}
    assert below(0.25).judge(values).word == "supported" == above(0.15).judge(values).word
    assert below(0.15).judge(values).word == "not supported" == above(0.25).judge(values).word


def test_agreement_has_to_be_shown():
    """Few or scattered numbers do not agree: they leave it open. A small true difference is agreement."""
    close, scattered, off = [0.01, -0.01, 0.02, 0.0], [1.0, -1.0, 2.0, -2.0], [0.5, 0.51, 0.49, 0.5]
    assert agrees(0.1).judge({"": close}).word == "supported"
    assert agrees(0.1).judge({"": scattered}).word == "undetermined"
    assert agrees(0.1).judge({"": off}).word == "not supported" == agrees(0.1).judge({"": [-v for v in off]}).word
    assert agrees(0.1).judge({"": [0.051, 0.049, 0.05, 0.05]}).word == "supported"


def test_seeds_that_agree_in_every_digit():
    assert grows().judge({"a": [0.5, 0.5]}).word == "supported"
    assert grows().judge({"a": [-0.5, -0.5]}).word == "not supported"
    assert grows().judge({"a": [0.0, 0.0]}).word == "undetermined"


def test_numbers_without_chance():
    assert identity().judge({"a": [0, 1e-13], "b": [0]}).text == "identity"
    assert identity().judge({"a": [0, 1e-13], "b": [1e-3]}).text == "not supported (1 of 2 settings)"
    assert within(high=1).judge({"a": [0.5, 1.0], "b": [0.5, 1.5]}).text == "not supported (1 of 2 settings)"
    assert within(high=1).judge({"a": [0.5], "b": [0.2], "c": [2.0]}).text == "supported (2 of 3 settings)"
    assert within(high=1, low=0).judge({"a": [2.0]}).text == "not supported"


def naive_skill(predicted, actual):
    agree = np.mean([(a > 0) == (b > 0) for a, b in zip(predicted, actual, strict=True)])
    chance = np.mean([(a > 0) == (b > 0) for a in predicted for b in actual])  # every pairing
    return agree - chance


def test_skill_is_the_excess_over_every_pairing():
    generator = np.random.default_rng(0)
    predicted, actual = generator.normal(0.7, 1, (3, 40)), generator.normal(-0.5, 1, (3, 40))
    expected = [naive_skill(a, b) for a, b in zip(predicted, actual, strict=True)]
    assert skill(predicted, actual) == pytest.approx(expected, abs=1e-12)
    assert skill(predicted, predicted)[0] > 0.3


def test_always_saying_up_has_no_skill():
    actual = np.where(np.arange(100) < 57, 1.0, -1.0)[None]
    assert skill(np.ones((1, 100)), actual) == pytest.approx([0.0])
    assert np.isnan(skill(np.full((1, 100), np.nan), actual)).all()
