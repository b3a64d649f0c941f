"""The README's code runs, and the numbers printed beside it are the ones it gives."""

import re
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest

from skipglass.cli.main import main
from skipglass.paper.drift import DRIFT
from skipglass.paper.map import MAP
from skipglass.paper.measures import DRAWN, change
from skipglass.paper.resnet_group import DEPTH, groups
from skipglass.paper.resnet_runs import RUNS, run_name
from skipglass.paper.survey import counts
from skipglass.record import load

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
GUIDE, FINDINGS = ((ROOT / "docs" / name).read_text() for name in ("guide.md", "findings.md"))
MEASURED, CODE, GLASS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
TEXTS = README + GUIDE + FINDINGS
COMMANDS = re.findall(r"^(skipglass [a-z].*)", TEXTS, re.MULTILINE) + re.findall(r"`(skipglass [a-z][^`\[]*)", TEXTS)
PRINTED = re.search(r"```\n(The gradient passes .*?)```", README, re.DOTALL).group(1)


def values(name):
    """What each commented line of the example gives, beside what its comment says."""
    scope, found = {}, []
    for line in CODE.splitlines():
        code, _, comment = line.partition("#")
        if not comment or "=" in code.split("(")[0]:
            exec(code, scope)
        else:
            found.append((code.strip(), eval(code, scope), comment.strip()))
    return found


@pytest.mark.parametrize(("code", "value", "comment"), values(README), ids=lambda v: str(v)[:40])
def test_the_numbers_beside_the_example_are_what_it_gives(code, value, comment):
    said = re.match(r"[0-9(][0-9., ()]*", comment).group(0)
    shown = re.sub(r"\.\.\.", "", said)
    for number, text in zip(
        re.findall(r"[0-9]+\.?[0-9]*", str(value)), re.findall(r"[0-9]+\.?[0-9]*", shown), strict=True
    ):
        assert number.startswith(text.rstrip(".")), f"{code}: {value} beside {comment}"


def test_the_example_is_ten_to_twenty_lines_and_most_end_in_numbers():
    lines = [line for line in CODE.splitlines() if line.strip()]
    assert len(values(README)) >= 6
    assert len(lines) <= 20


def test_the_make_targets_and_files_it_names_exist():
    root = ROOT
    targets = set(re.findall(r"^([a-z]+):", (root / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?:^|`)make ([a-z]+)", README, re.MULTILINE)) <= targets
    for folder, text in ((root, README), (root / "docs", GUIDE), (root / "docs", FINDINGS)):
        for target in re.findall(r"\]\(([^)]+)\)", text):
            assert target.startswith("http") or (folder / target.partition("#")[0]).exists(), target


@pytest.mark.parametrize("line", COMMANDS)
def test_the_commands_it_names_have_these_options(line, monkeypatch, capsys):
    """With --help they do nothing, but are read."""
    monkeypatch.setattr(sys, "argv", [*shlex.split(line.strip("[]"), comments=True), "--help"])
    with pytest.raises(SystemExit) as end:
        main()
    assert not end.value.code, capsys.readouterr().err
    assert "Usage" in capsys.readouterr().out


def test_the_survey_s_numbers_are_those_of_the_recording():
    table = load(ROOT / "results" / "figure1_survey.nc", kind="survey")
    (learn, up, down), (few, rise, fall) = (counts(table, "d", task) for task in ("gaussians", "digits"))
    text = " ".join(FINDINGS.split())
    assert f"in {up} of the {learn} Gaussian settings that learn and below it in {down}" in text
    assert f"on digits in {rise} and {fall} of {few}" in text
    learn, up, down = counts(table, "d", "caption")
    assert f"that the caption of Fig. 1 has, in {up} and {down} of {learn}" in text
    (learn, up, down), (few, rise, fall) = (counts(table, "e", task) for task in ("gaussians", "digits"))
    assert f"above in {up} and below in {down} of {learn}, and above in {rise} of {few} on digits" in text
    assert fall == 0


@pytest.mark.parametrize("code", re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL), ids=["measure", "register"])
def test_the_guide_s_code_runs(code, capsys):
    exec(code, {})


def test_the_profile_is_the_one_that_is_printed(capsys):
    exec(MEASURED, {})
    ours, shown = (re.sub(r"error \S+|95 % [^)]*", "", text).split() for text in (capsys.readouterr().out, PRINTED))
    assert len(ours) == len(shown)
    for found, said in zip(ours, shown, strict=True):
        try:
            assert abs(float(found) - float(said)) <= 0.002 + 0.002 * abs(float(said))
        except ValueError:
            assert found == said


def test_the_trained_networks_are_as_the_text_says():
    resnet, sentences = (
        load(ROOT / "results" / "trained" / f"{name}.nc", "trained network") for name in ("resnet44", "minilm")
    )
    for data, depths in ((resnet, (7.3, 6.3)), (sentences, (0.48, 3.0))):
        np.testing.assert_allclose(data.effective_depth.median("sample"), depths, rtol=0.01)
    assert float(resnet.distance.sel(when="before", reading="independent")) == pytest.approx(0.0006, abs=6e-5)
    assert float(resnet.distance.sel(when="after", reading="coherent")) == pytest.approx(0.003, abs=5e-4)
    assert (resnet.distance.argmin("reading").values == [1, 0]).all()


def test_the_networks_at_the_paper_s_setting_are_as_the_text_says():
    text = " ".join(FINDINGS.split())
    folder = ROOT / "results" / "resnets" / "recordings"
    found = groups({run_name(run): load(folder / f"{run_name(run)}.nc", "resnet") for run in RUNS["resnet32"]})
    errors = [100 * float(g.data.test_error[0, -1]) for g in found]
    assert "test errors {:.1f} and {:.1f} %, {:.1f} and {:.1f} %".format(*errors) in text
    depths = [15 * np.array([g.at(DEPTH, epoch)[0] for epoch in (0, 1, 164)]) for g in found]
    after = "{:.1f}, {:.1f}, {:.1f} and {:.1f} blocks to ".format(*(depth[1] for depth in depths))
    assert after + "{:.1f}, {:.1f}, {:.1f} and {:.1f}".format(*(depth[2] for depth in depths)) in text
    assert {f"{depth[0]:.1f}" for depth in depths} == {"6.5", "6.6"}
    falls = [-100 * (g.last("multiplier_norm") / g.at("multiplier_norm", 81) - 1)[0] for g in found]
    assert f"by {falls[0]:.0f} and {falls[2]:.0f} % where weight decay acts on them" in text
    assert max(falls[1], falls[3]) < 0


def test_the_map_and_the_force_are_as_the_text_says():
    text = " ".join(FINDINGS.split())
    recordings = MAP.load(ROOT / "results" / "sweep" / "recordings") | DRIFT.load(
        ROOT / "results" / "drift" / "recordings"
    )
    claims = {claim.name: claim for claim in (*MAP.claims, *DRIFT.claims)}
    growing = claims["Map, λ"].judged(recordings)
    assert f"grows in {growing.count(1)} of the {len(growing.settings)} settings that learn" in text
    depth = claims["Map, depth"]
    small = depth.rule.judge(depth.variants["no norm, C = 0.1"](recordings))
    assert f"the depth grows in {small.count(1)} of {len(small.settings)}" in text
    low, high = zip(*[
        (min(means), max(means))
        for name in ("Map, depth by λ", "Map, depth by norms")
        for means in [[float(np.mean(v)) for v in claims[name].quantity(recordings).values()]]
    ], strict=True)  # fmt: skip
    ranges = [f"{a:.1f} to {b:.1f}" for a, b in zip(low, high, strict=True)]
    assert f"rank correlations of {ranges[0]} and {ranges[1]})" in text
    step = claims["Theorem 3, step"]
    rank = {
        name: float(values.mean()) for name, values in step.variants["rank correlation over time"](recordings).items()
    }
    assert f"{rank.pop('CIFAR-10'):+.1f} on CIFAR-10 and negative elsewhere" in text
    assert max(rank.values()) < 0


def test_the_spin_glass_is_the_one_described():
    scope = {}
    exec(CODE, scope)
    exec(GLASS, scope)
    assert f"({len(scope['c'].energies)}, {scope['c'].complete})" in GLASS
    exact = scope["sg"].theory.expected_critical_points(scope["sg"].theory.Mixture.pure(3), size=6)
    assert f"is {exact:.2f}" in GLASS
    assert float(scope["run"].energy) < -1.6
    counted = load(ROOT / "results" / "glass" / "recordings" / "glass_agreement.nc", "agreement")
    assert f"largest |z| {counted.largest_z:.2f}" in GUIDE
    assert f"in all {counted.sizes['case']} cases" in " ".join(GUIDE.split())


def test_the_depths_in_training_are_as_the_texts_say():
    folder = ROOT / "results" / "resnets" / "recordings"
    readme, findings = (" ".join(text.split()) for text in (README, FINDINGS))
    for data, text in (("cifar10", "On CIFAR-10 the depth"), ("cifar100", "on CIFAR-100 it")):
        depth = load(folder / f"resnet-{data}-d32-w1-e164-bf16-s0.nc", "resnet").effective_depth_median_frozen
        assert f"{text} falls from {float(depth[0]):.1f} to {float(depth.min()):.1f}" in readme
        assert f"ends at {float(depth[-1]):.1f}" in readme
    paper = [load(folder / f"{run_name(run)}.nc", "resnet") for run in RUNS["resnet32"]]
    for data in paper:
        depth = data.effective_depth_median_frozen
        first = int(np.argmin(abs(data.step.values - data.attrs["steps_per_epoch"])))
        assert depth[first] < depth[-1] < depth[0]
    ends = {}
    for depth, seeds in ((20, (1, 2, 3, 4)), (56, (0, 1))):
        found = [load(folder / f"resnet-cifar10-d{depth}-w1-e30-bf16-s{seed}.nc", "resnet") for seed in seeds]
        rows = [data.effective_depth_median_frozen.values[[0, -1]] for data in found]
        ends[depth] = np.sort(np.array(rows), axis=0), [100 * float(data.test_error[-1]) for data in found]
    start, end = ends[20][0].T
    assert f"at {start[0]:.1f} to {start[-1]:.1f} of 9 blocks and end at {end[0]:.1f} to {end[-1]:.1f}" in findings
    (start, end), errors = ends[56][0].T, ends[56][1]
    assert f"begin at {start[0]:.1f} and {start[1]:.1f} of 27 and end at {end[0]:.1f} and {end[1]:.1f}" in findings
    assert "(test errors {:.1f} and {:.1f} %)".format(*errors) in findings


def test_the_measures_of_depth_say_what_the_findings_say():
    data = load(ROOT / "results" / "measures.nc", "measures")
    names = list(dict.fromkeys(data.network.values.tolist()))
    weights = [change(data, name, "fresh", "trained", "all weights, energy") for name in names]
    assert [k for k, (value, error) in enumerate(weights, 1) if value <= 2 * error] == [7]
    inputs = [change(data, name, "fresh", "trained", "input, shares, median")[0] > 0 for name in names]
    assert [k for k, deeper in enumerate(inputs, 1) if deeper] == [1, 2, 3, 4, 12]
    later = [change(data, names[4], "epoch 1", "trained", measure) for measure in DRAWN]
    assert all(value > 0 for value, error in later if abs(value) > 2 * error)


def test_the_table_of_results_names_every_recording():
    results = ROOT / "results"
    table = (results / "README.md").read_text()
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines() if line.startswith("| `")]
    patterns = [name for first, *_ in cells for name in re.findall(r"`([^`]+\.nc)`", first)]
    sets = {first.strip("`"): rest for first, *rest in cells if first.strip("`") in RUNS}
    run_of = {run_name(run): name for name, some in RUNS.items() for run in some}
    assert set(sets) == set(RUNS)
    for path in sorted(results.rglob("*.nc")):
        if path.stem in run_of:
            assert "not yet" not in " ".join(sets[run_of[path.stem]]), path.stem
        else:
            assert [p for p in patterns if path.relative_to(results).match(p)], path
