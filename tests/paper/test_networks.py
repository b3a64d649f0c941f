"""Figures 2 and 3, the measured depth and their claims: functions of recordings, which a counterfeit changes."""

import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from rich.progress import Progress
from skipglass.paper.measured_depth import (
    depth_dependence,
    depth_panel,
    first_steps_panel,
    participation_course,
    participation_panel,
)
from skipglass.paper.network_page import load_networks, network_pages

from skipglass.errors import StorageError
from skipglass.paper import CLAIMS, LIVE, claims_table, recorded, reproduce, write_report
from skipglass.paper import resnet_runs as runs
from skipglass.paper.page import paper_report
from skipglass.paper.resnet_group import groups
from skipglass.record import load, save

TINY = replace(LIVE, depth=8, width=0.25, epochs=4, subset=128, batch_size=32, every=4)
SETTINGS = runs.both_ways(TINY, range(2))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("networks")
    runs.train_runs(path, [*SETTINGS, replace(TINY, depth=14)], device="cpu")
    return path


@pytest.fixture(scope="module")
def networks(folder):
    return load_networks(folder / "recordings")


def judge(name, recordings):
    return next(claim for claim in CLAIMS if claim.name == name).finding(recordings)


def forged(networks, course, variable, *, spared=None):
    """The recordings with a variable that follows ``course(epoch)``, other seeds a little apart."""
    out = {}
    for name, recording in networks.items():
        chosen = course if recording.attrs["decay_scales"] or spared is None else spared
        value = recording[variable]
        curve = xr.apply_ufunc(np.vectorize(chosen, otypes=[float]), recording.watched_epoch) * (
            1 + 1e-3 * recording.attrs["seed"]
        )
        out[name] = recording.assign({variable: curve.broadcast_like(value).transpose(*value.dims)})
    return out


def test_finished_runs_are_not_trained_again_and_others_are(folder, monkeypatch):
    started = []
    monkeypatch.setattr(runs, "train_resnet", lambda settings, **_: started.append(settings) or pytest.fail("trained"))
    runs.train_runs(folder, SETTINGS)
    assert started == []
    assert not list(folder.glob("checkpoints/*"))
    another = replace(SETTINGS[0], seed=7)
    with pytest.raises(BaseException, match="trained"):
        runs.train_runs(folder, [another])
    assert started == [another]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"learning_rate": 0.05}, r"s0\.nc.*learning_rate.*0\.1.*0\.05"),
        ({"batch_size": 16}, "batch_size.*32.*16"),
        ({"weight_decay": 0.0}, "weight_decay"),
    ],
)
def test_a_recording_of_other_settings_is_refused_before_any_training(folder, monkeypatch, change, words):
    monkeypatch.setattr(runs, "train_resnet", lambda *_, **__: pytest.fail("trained"))
    path = folder / "recordings" / f"{runs.run_name(TINY)}.nc"
    before = path.read_bytes()
    with pytest.raises(StorageError, match=words):
        runs.train_runs(folder, [replace(TINY, seed=7), replace(TINY, **change)])
    assert path.read_bytes() == before


def test_an_unfinished_recording_is_not_replaced(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "train_resnet", lambda *_, **__: pytest.fail("trained"))
    name = f"{runs.run_name(TINY)}.nc"
    (tmp_path / "recordings").mkdir()
    save(load(folder / "recordings" / name).assign_attrs(epochs_done=2), tmp_path / "recordings" / name, kind="resnet")
    with pytest.raises(StorageError, match=r"epochs_done.*2.*4"):
        runs.train_runs(tmp_path, [TINY])


def test_the_committed_recordings_are_runs_of_the_table():
    recordings = Path(__file__).parents[2] / "results" / "resnets" / "recordings"
    table = {runs.run_name(run): run for some in runs.RUNS.values() for run in some}
    found = sorted(recordings.glob("resnet-*.nc"))
    assert len(found) >= 18
    assert all(runs.is_finished(path, table[path.stem]) for path in found)


KILLED = """
import os, pathlib, signal, sys
from dataclasses import replace
from skipglass.paper.resnet_runs import LIVE, train_runs
write, left = pathlib.Path.write_bytes, [int(sys.argv[2])]

def half(path, content):
    left[0] -= 1
    if left[0]:
        return write(path, content)
    write(path, bytes(content)[: len(content) // 2])
    os.kill(os.getpid(), signal.SIGKILL)

pathlib.Path.write_bytes = half
settings = replace(LIVE, depth=8, width=0.25, epochs=4, subset=128, batch_size=32, every=4)
train_runs(pathlib.Path(sys.argv[1]), [settings], device="cpu")
"""


def test_a_kill_in_the_middle_of_a_file_leaves_nothing_behind_once_the_run_is_finished(folder, tmp_path):
    """The third checkpoint, after two epochs, and then the recording, after three more checkpoints."""
    for write, suffix in ((3, "pt"), (4, "nc")):
        killed = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), str(write)], timeout=120)
        assert killed.returncode == -signal.SIGKILL
        assert len(list(tmp_path.rglob(f".*.{suffix}"))) == 1
    runs.train_runs(tmp_path, [TINY], device="cpu")
    name = f"{runs.run_name(TINY)}.nc"
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [tmp_path / "recordings" / name]
    finished, whole = (load(where / "recordings" / name) for where in (tmp_path, folder))
    xr.testing.assert_identical(finished.drop_attrs(), whole.drop_attrs())
    assert finished.attrs["epochs_done"] == 4


def test_shares_part_a_set_of_runs(tmp_path, monkeypatch):
    taken = []
    monkeypatch.setattr(runs, "train_runs", lambda folder, chosen, **_: taken.extend(chosen))
    for share in ("1/3", "2/3", "3/3"):
        runs.main([str(tmp_path), "depths", "resnet20", "--share", share])
    wanted = [*runs.RUNS["depths"], *runs.RUNS["resnet20"]]
    assert sorted(map(runs.run_name, taken)) == sorted(map(runs.run_name, wanted))


@pytest.mark.parametrize("share", ["0/2", "3/2", "1/0", "1", "a/b", "-1/2", "1/2/3"])
def test_a_share_that_is_none_is_refused(tmp_path, share):
    with pytest.raises(SystemExit, match="--share"):
        runs.main([str(tmp_path), "digits", f"--share={share}"])


def test_ctrl_c_ends_the_command_in_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(runs, "train_resnet", lambda *_, **__: signal.raise_signal(signal.SIGINT))
    with pytest.raises(SystemExit) as end:
        runs.main([str(tmp_path), "digits"])
    assert end.value.code == 130
    assert capsys.readouterr().err == "skipglass: stopped; the same command goes on from the last whole epoch\n"


def test_a_set_of_runs_that_is_stopped_goes_on(tmp_path):
    settings, steps = SETTINGS[:2], []

    def interrupt(name):
        def told(step, *_):
            steps.append((name, step))
            if len(steps) == 6:
                raise KeyboardInterrupt

        return told

    with pytest.raises(KeyboardInterrupt):
        runs.train_runs(tmp_path, settings, device="cpu", on_start=interrupt)
    runs.train_runs(tmp_path, settings, device="cpu", on_start=interrupt)
    assert [step for name, step in steps if name.endswith("e4-n128-s0")] == [*range(1, 7), *range(5, 17)]
    assert sorted(p.stem for p in (tmp_path / "recordings").iterdir()) == sorted(map(runs.run_name, settings))


def test_names_tell_all_runs_of_the_table_apart():
    every = [run for some in runs.RUNS.values() for run in some]
    assert len({runs.run_name(run) for run in every}) == len(every)
    assert {run.depth for run in runs.RUNS["depths"]} == {20, 32, 44, 56}
    assert len(runs.RUNS["depths"]) == 12


def test_names_tell_the_precision_and_older_names_are_found(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "train_resnet", lambda *_, **__: pytest.fail("trained"))
    half = replace(TINY, precision="bfloat16")
    assert runs.run_name(half) == "resnet-digits-d8-w0.25-e4-n128-bf16-s0"
    whole = load(folder / "recordings" / f"{runs.run_name(TINY)}.nc")
    older = tmp_path / "recordings" / f"{runs.run_name(TINY)}.nc"
    older.parent.mkdir()
    save(whole.assign_attrs(precision="bfloat16"), older, kind="resnet")
    runs.train_runs(tmp_path, [half])  # finished, under its older name
    with pytest.raises(StorageError, match=r"precision = bfloat16, asked for is float32; choose another folder"):
        runs.train_runs(tmp_path, [TINY])
    save(whole, older, kind="resnet")  # the name of the run in single precision says nothing of the other
    with pytest.raises(BaseException, match="trained"):
        runs.train_runs(tmp_path, [half])


def test_seeds_of_one_setting_are_put_together(networks):
    found = groups(networks)
    assert [(g.attrs["depth"], g.attrs["decay_scales"], g.seeds) for g in found] == [(14, 1, 1), (8, 1, 2), (8, 0, 2)]
    decayed = found[1]
    for row, seed in enumerate((0, 1)):
        recording = networks[runs.run_name(replace(TINY, seed=seed))]
        expected = recording.absorbed_norm.values[:, recording.layer.values != "linear"].mean(1)
        np.testing.assert_allclose(decayed.scale("absorbed_norm")[row], expected)
        np.testing.assert_allclose(decayed.values("effective_depth")[row], recording.effective_depth)
        np.testing.assert_allclose(
            decayed.at(decayed.values("effective_depth"), 1.0)[row],
            recording.effective_depth.values[recording.step.values == 4],
        )


def test_a_reduced_size_is_said_at_the_head_of_the_page(networks):
    lead = paper_report(networks, [])[0].lead
    assert lead.split("\n\n")[1].startswith("REDUCED: ")
    assert "digits, ResNet-14, width 0.25, 4 epochs, 128 images; digits, ResNet-8" in lead
    whole = {"depth": 32, "width": 1.0, "epochs": 164, "images": 50_000}
    assert "REDUCED" not in paper_report({k: r.assign_attrs(whole) for k, r in networks.items()}, [])[0].lead
    for name, size in whole.items():
        one_less = {k: r.assign_attrs({**whole, name: size - 0.5}) for k, r in networks.items()}
        assert "REDUCED" in paper_report(one_less, [])[0].lead


def test_the_panels_show_the_recordings_and_say_what_was_trained(networks):
    found = groups(networks)
    sections, combined = network_pages(networks, ["figure2", "figure3"])
    panels = {panel.name: panel for section in sections for panel in section.items}
    assert set(combined) == {"figure2", "figure3", "depth"}
    for panel in panels.values():
        assert "digits, ResNet" in panel.title
        assert "width 0.25, 4 epochs, 128 images" in panel.title
    for name, variable in (("figure2", "absorbed_norm"), ("figure3", "multiplier_norm")):
        mean = next(p for key, p in panels.items() if key.startswith(f"{name}-digits-post8") and key.endswith("mean"))
        assert mean.names == ("decay on λ", "λ spared")
        np.testing.assert_allclose(mean.series[1].y, found[2].scale(variable).mean(0))
        np.testing.assert_allclose([rule.value for rule in mean.rules], [4 * 81 / 164, 4 * 122 / 164])
        layers = next(p for key, p in panels.items() if key.startswith(f"{name}-digits-post8") and "-decayed" in key)
        assert layers.names[0] == "0"
        np.testing.assert_allclose(layers.series[-1].y, found[1].layers(variable)[:, -1].mean(0))
    depth = depth_panel(found[1])
    assert len(depth.series) == 4
    np.testing.assert_allclose(depth.series[0].y, found[1].values("effective_depth_median_frozen").mean(0))
    drops = [4 * 81 / 164, 4 * 122 / 164]
    np.testing.assert_allclose(depth.series[0].x, found[1].epochs)
    np.testing.assert_allclose([rule.value for rule in depth.rules], drops)
    steps = first_steps_panel(found[1])
    np.testing.assert_allclose(steps.series[0].y, depth.series[0].y)
    np.testing.assert_allclose(steps.series[0].x, found[1].data.step.values + 1)
    np.testing.assert_allclose([rule.value for rule in steps.rules], [4 + 1, 16 * 81 / 164 + 1, 16 * 122 / 164 + 1])
    train, frozen = (found[1].values(f"effective_depth_{mode}") for mode in ("train", "frozen"))
    assert f"batch figure to within {abs(train - frozen).max():.2f})" in depth.note
    assert "N = 32" in depth.note
    parts = participation_panel(found[1])
    assert len(parts.series[0].x) == 3
    course = participation_course(found[1])
    assert (course.x.log, depth.x.log, steps.x.log) == (False, False, True)
    np.testing.assert_allclose([rule.value for rule in course.rules], drops)
    shares = found[1].values("participation_median_frozen").mean(0)
    for block, series in enumerate(course.series):
        assert series.name == f"{block + 1}"
        np.testing.assert_allclose(series.x, found[1].epochs)
        np.testing.assert_allclose(series.y, shares[:, block])
    assert [panel.name.split("-digits")[0] for panel in combined["depth"]] == [
        "depth", "depth-steps", "participation-epochs", "participation", "depths",
    ]  # fmt: skip
    both = depth_dependence([found[0], found[1]])
    np.testing.assert_allclose(
        both.series[2].y,
        [found[k].values("effective_depth_median_frozen")[:, -1].mean() / blocks for k, blocks in ((1, 3), (0, 6))],
    )


@pytest.mark.parametrize(
    ("claim", "variable", "grows", "shrinks"),
    [
        ("App. C, Fig. 2", "absorbed_norm", lambda t: 1 + t, lambda t: 9 - t),
        ("Fig. 2, later", "absorbed_norm", lambda t: t + 9 * max(0, 1 - t), lambda t: 9 - t - 9 * max(0, 1 - t)),
        ("Fig. 2, drop", "absorbed_norm", lambda t: 1 + t + max(0, t - 1.97), lambda t: 9 - t + 0.5 * max(0, t - 1.97)),
        ("Fig. 2, drop", "absorbed_norm", lambda t: 1 + max(0, t - 1.97), lambda t: 1 + t - 0.5 * max(0, t - 1.97)),
        ("Fig. 3, drop", "multiplier_norm", lambda t: 9 + t - 2 * max(0, t - 1.97), lambda t: 1 + t),
        ("Claim 2", "effective_depth_median_frozen", lambda t: 1 + t, lambda t: 9 - t),
        ("Claim 2, batch", "effective_depth_frozen", lambda t: 1 + t, lambda t: 9 - t),
        ("Claim 2, train mode", "effective_depth_train", lambda t: 1 + t, lambda t: 9 - t),
        ("Claim 2, eval mode", "effective_depth_median", lambda t: 1 + t, lambda t: 9 - t),
        ("Claim 2, eval, batch", "effective_depth", lambda t: 1 + t, lambda t: 9 - t),
        (
            "Claim 2, later",
            "effective_depth_median_frozen",
            lambda t: t + 9 * max(0, 1 - t),
            lambda t: 9 - t - 9 * max(0, 1 - t),
        ),
    ],
)
def test_a_counterfeit_flips_each_verdict(networks, claim, variable, grows, shrinks):
    assert judge(claim, forged(networks, grows, variable)).verdict == "holds"
    assert judge(claim, forged(networks, shrinks, variable)).verdict == "fails"


def test_decay_is_held_responsible_only_if_sparing_lambda_ends_the_fall(networks):
    def falling(t):
        return 9 + t - 2 * max(0, t - 1.97)

    def rising(t):
        return 1 + t

    name = "Fig. 3, decay"
    assert judge(name, forged(networks, falling, "multiplier_norm", spared=rising)).verdict == "holds"
    assert judge(name, forged(networks, falling, "multiplier_norm")).verdict == "fails"
    assert judge(name, forged(networks, rising, "multiplier_norm", spared=falling)).verdict == "fails"
    one_way = {key: value for key, value in networks.items() if "spared" not in key}
    assert judge(name, one_way).verdict.startswith("not testable")


def test_one_seed_or_none_proves_nothing(networks):
    single = {name: recording for name, recording in networks.items() if recording.attrs["seed"] == 0}
    for claim in CLAIMS:
        if claim.needs == "resnet-":
            assert claim.finding(single).verdict.startswith("not testable with one seed"), claim.name
            assert claim.finding({}).verdict == "not testable: no recording"


def test_the_depth_s_course_is_told(networks):
    course = forged(networks, lambda t: 2 - t if t <= 0.5 else 1 + t, "effective_depth_median_frozen")
    measured = judge("Claim 2", course).measured
    assert "N = 32 images" in measured
    assert "2.00 → 2.00 → 5.00 of 3" in measured


@pytest.mark.parametrize(
    ("claim", "variable"),
    [
        ("Claim 2, first steps", "effective_depth_median_frozen"),
        ("Claim 2, first, eval", "effective_depth_median"),
    ],
)
def test_a_dip_is_a_fall_within_fifty_steps_and_a_rise_after_it(networks, claim, variable):
    def judged(course):
        later = {name: data.assign_coords(step=20 * data.step) for name, data in networks.items()}
        return judge(claim, forged(later, course, variable))

    dip = judged(lambda t: 2 + abs(t - 0.5))
    assert dip.verdict == "holds"
    assert "digits ResNet-8, 14 × 0.25, 4 epochs, 128 images: -0.50 at 40, +3.50 (+0.50025 ± 0.00035)" in dip.measured
    for course in (lambda t: 9 - t, lambda t: 9 + t):
        assert judged(course).verdict == "fails"


@pytest.mark.parametrize(("factor", "verdict"), [(1.0, "holds"), (-1.0, "fails")])
def test_dependence_on_depth_is_judged_over_networks_that_differ_in_depth_alone(networks, factor, verdict):
    """The change is a half block for each block, here and there a little more: 1.5 of 3 and 3 of 6."""
    flat = forged(networks, lambda t: 1.0, "effective_depth_median_frozen")
    deep = next(data for data in flat.values() if data.attrs["depth"] == 14)
    flat["resnet-another"] = deep.assign_attrs(seed=1, drop_epochs=deep.attrs["drop_epochs"])
    course = {}
    for name, data in flat.items():
        change = factor * (0.5 + 0.001 * data.attrs["seed"]) * data.sizes["block"]
        depth = data.effective_depth_median_frozen + change * data.watched_epoch / 4
        course[name] = data.assign(effective_depth_median_frozen=depth)
    finding = judge("Claim 2, depth", course)
    assert finding.verdict == verdict
    assert f"ResNet-8 to 14 × 0.25, 4 epochs, 128 images: {factor * 0.5005:+.5f} ± 0.00071" in finding.measured
    only = {name: data for name, data in course.items() if data.attrs["depth"] == 8}
    assert judge("Claim 2, depth", only).verdict.startswith("not testable")


def test_the_page_is_redrawn_from_recordings(folder, tmp_path, monkeypatch):
    """One setting only, and its single panels undrawn: drawing is the slow part, and tested with the report."""
    (tmp_path / "recordings").mkdir()
    name = f"{runs.run_name(TINY)}.nc"
    (tmp_path / "recordings" / name).write_bytes((folder / "recordings" / name).read_bytes())
    monkeypatch.setattr(reproduce, "save_figures", lambda panel, _: panel.to_xarray())
    assert recorded(tmp_path) == ["figure2", "figure3"]
    with Progress(disable=True) as progress:
        page = write_report(tmp_path, ["figure2", "figure3"], progress=progress).read_text()
    for text in ("Absorbed norms while training", "The depth itself", "ResNet-8", "not testable: no recording"):
        assert text in page
    assert {"figure2.png", "figure3.pdf", "depth.png"} <= {path.name for path in (tmp_path / "figures").iterdir()}
    assert len(claims_table({})) == len(CLAIMS)


def test_an_unfinished_or_damaged_recording_is_named(folder, tmp_path):
    with pytest.raises(StorageError, match=tmp_path.name):
        load_networks(tmp_path)
    name = runs.run_name(TINY)
    recording = load(folder / "recordings" / f"{name}.nc")
    save(recording.assign_attrs(epochs_done=2), tmp_path / f"{name}.nc", kind="resnet")
    with pytest.raises(StorageError, match=f"{name}.nc.*unfinished"):
        load_networks(tmp_path)
    (tmp_path / f"{name}.nc").write_bytes(b"half")
    with pytest.raises(StorageError, match=f"{name}.nc"):
        load_networks(tmp_path)


def test_two_recordings_of_one_run_are_not_two_seeds(folder, tmp_path):
    name = runs.run_name(TINY)
    for copy in (name, "resnet-copy"):
        (tmp_path / f"{copy}.nc").write_bytes((folder / "recordings" / f"{name}.nc").read_bytes())
    with pytest.raises(StorageError, match=rf"{name}\.nc.* resnet-copy\.nc"):
        load_networks(tmp_path)
