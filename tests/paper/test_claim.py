"""A claim is judged from recordings alone, and one formatter tells what was found."""

import numpy as np
import pytest
import xarray as xr

from skipglass.paper.claim import SHOWN, Claim, sentence
from skipglass.paper.rules import above, grows, identity, within


def change(recordings):
    return {name: data.change.values for name, data in recordings.items() if name.startswith("run-")}


def claim(quantity=change, rule=None, **more):
    return Claim("Claim 2", "It grows.", "Sec. 4: “grows”", "change of depth, in blocks", quantity, rule or grows(0.1),
                 needs="run-", **more)  # fmt: skip


def recordings(**changes):
    return {f"run-{k}": xr.Dataset({"change": ("seed", np.asarray(v, float))}) for k, v in changes.items()}


UP, DOWN = [1.0, 1.1, 0.9, 1.05], [-1.0, -1.1, -0.9, -1.05]


def test_the_finding_has_verdict_numbers_and_seeds():
    found = claim().finding(recordings(a=UP, b=DOWN, c=[0.05, 0.051, 0.049]))
    assert found.verdict == "supported (2 of 3 settings, 1 of them small)"
    assert found.parts == (
        "Change of depth, in blocks (mean ± standard deviation; Student's t, Holm over 3 settings)",
        "Above 0 in 2 of 3: 1.012 ± 0.085 (run-a); 0.05000 ± 0.00100 (run-c, small)",
        "Below 0 in 1 of 3: -1.012 ± 0.085 (run-b)",
    )
    assert found.measured == ". ".join(found.parts)
    assert found.seeds == "n = 3 to 4 per setting"


def test_the_verdict_says_how_many_settings_are_undetermined():
    open_ = claim().finding(recordings(a=UP, b=[1.0, -1.1, 0.9], c=[1.0, -1.2, 0.9]))
    assert open_.verdict == "supported (1 of 3 settings, 2 undetermined)"
    assert open_.parts[-1].startswith("Undetermined in 2 of 3: 0.3 ± 1.2 (run-b); ")
    against = claim().finding(recordings(a=DOWN, b=[1.0, -1.1, 0.9]))
    assert against.verdict == "not supported (0 of 2 settings, 1 undetermined)"


def test_differences_of_equal_numbers_are_nought():
    found = claim(rule=above(0.05)).finding(recordings(a=[0.0, 1e-18, -2e-18], b=[0.0, 0.0]))
    assert found.parts[1] == "Below 0.05 in 2 of 2: 0 (run-a); 0 (run-b)"


def test_what_is_missing_or_not_finite_is_said():
    assert claim().finding({}).verdict == "undetermined: no recording"
    broken = {"run-a": xr.Dataset({"change": ("seed", [1.0, 2.0]), "loss": ("seed", [np.nan, 1.0])})}
    assert claim().finding(broken).verdict == "undetermined: loss of run-a is not finite"
    assert claim().finding(recordings(a=[1.0, np.nan])).verdict == "undetermined: change of run-a is not finite"
    diverged = claim(lambda _: {"a": [1.0, np.inf]}).finding(recordings(a=UP))
    assert diverged.verdict == "undetermined: 1 number is not finite"
    assert "1 of 2 finite (a)" in diverged.measured
    alone = claim().finding(recordings(a=[1.0], b=[2.0]))
    assert alone.verdict == "undetermined: one seed per setting"
    assert alone.measured.endswith("one seed each, so nothing is tested")


def test_all_recordings_that_it_needs_have_to_be_there():
    both = Claim("", "", "", "", change, grows(), needs=("run-", "map"))
    assert both.judged(recordings(a=UP)).reason == "no recording"
    assert both.judged({**recordings(a=UP), "map": xr.Dataset()}).word == "supported"


def test_other_measures_and_numbers_beside_are_told_and_do_not_decide():
    found = claim(
        variants={"whole batch": lambda r: {k: -v for k, v in change(r).items()}},
        beside={"at the start": lambda r: {"a": [7.0]}},
        note="blocks are those of the network",
    ).finding(recordings(a=UP))
    assert found.verdict == "supported (1 of 1 setting)"
    assert "By the same rule, whole batch: -1.012 ± 0.085 (run-a): not supported" in found.parts
    assert "At the start: 7 (a)" in found.measured
    assert found.measured.endswith("Blocks are those of the network")


def test_many_settings_are_counted_not_listed():
    many = {f"s{k}": [1.0 + k, 1.1 + k] for k in range(SHOWN + 1)}
    text = sentence("change", grows().judge(many), grows())
    assert "s3" not in text
    assert "median 5.05, from 1.05 to 9.05" in text


def test_the_one_of_many_exact_settings_that_lies_outside_is_named():
    many = {f"s{k}": [0.1 * k] for k in range(SHOWN + 1)}
    rule = within(high=0.75)
    assert sentence("error", rule.judge(many), rule).endswith("in 8 of 9 settings; above 0.75: 0.8 (s8)")


@pytest.mark.parametrize(
    ("rule", "numbers", "text"),
    [
        (identity(), {"a": [1e-15, -2e-15]}, "error: at most 2e-15 (a)"),
        (identity(), {f"s{k}": [k * 1e-15] for k in range(9)}, "error: at most 8e-15"),
        (within(high=1), {"a": [0.5, 0.7], "": [0.5]}, "error: 0.5 to 0.7 (a); 0.5"),
    ],
)
def test_numbers_without_chance_are_told_by_their_extremes(rule, numbers, text):
    assert sentence("error", rule.judge(numbers), rule) == text
