"""Figures 2 and 3 and the measured depth: trained once, kept, drawn from recordings."""

import shlex
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from rich.progress import Progress
from typer.testing import CliRunner

from skipglass.cli.main import app
from skipglass.errors import StorageError
from skipglass.paper import LIVE, Options, recorded, reproduce, write_report
from skipglass.paper import resnet_runs as runs
from skipglass.paper.experiment import is_there, measure
from skipglass.paper.interventions import INTERVENTIONS
from skipglass.paper.networks import NETWORKS, committed_networks
from skipglass.paper.page import paper_report
from skipglass.paper.resnet_group import DEPTH, families, groups
from skipglass.record import load, save

RESULTS = Path(__file__).parents[2] / "results"
TINY = replace(LIVE, depth=8, width=0.25, epochs=4, subset=128, batch_size=32, every=4)
SETTINGS = runs.both_ways(TINY, range(2))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("networks")
    runs.train_runs(path, [*SETTINGS, replace(TINY, depth=14)], device="cpu")
    return path


@pytest.fixture(scope="module")
def networks(folder):
    return NETWORKS.load(folder / "recordings")


def judge(name, recordings):
    return next(claim for claim in NETWORKS.claims if claim.name == name).finding(recordings)


def forged(networks, course):
    """The recordings with a depth that follows ``course(epoch, blocks)``, other seeds a little apart."""
    out = {}
    for name, data in networks.items():
        depth = course(data.watched_epoch, data.sizes["block"]) * (1 + 1e-3 * data.attrs["seed"])
        out[name] = data.assign({DEPTH: depth.broadcast_like(data[DEPTH])})
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
    recordings = RESULTS / "resnets" / "recordings"
    table = {runs.run_name(run): run for some in runs.RUNS.values() for run in some}
    wanted = runs.recordings_of(RESULTS / "resnets", list(table.values()))
    found = sorted(recordings.glob("*.nc"))
    assert len(found) >= 33
    assert all(is_there(path, wanted[path.stem]) for path in found)


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
        np.testing.assert_allclose(decayed.course("absorbed_norm")[row], expected)
        np.testing.assert_allclose(decayed.course("effective_depth")[row], recording.effective_depth / 3)
        after = recording.effective_depth.values[recording.step.values == 4] / 3
        np.testing.assert_allclose(decayed.at("effective_depth", 1.0)[row], after)
        np.testing.assert_allclose(decayed.last("effective_depth")[row], recording.effective_depth[-1] / 3)


def test_families_tell_settings_and_their_errors(networks):
    found = families(groups(networks))
    assert [label.partition(", n =")[0] for label in found] == [
        "digits ResNet-14 × 0.25, 128 images, 4 epochs", "digits ResNet-8 × 0.25, 128 images, 4 epochs",
        "digits ResNet-8 × 0.25, 128 images, 4 epochs, no decay on λ",
    ]  # fmt: skip
    errors = [100 * float(data.test_error[-1]) for data in networks.values() if data.attrs["depth"] == 14]
    assert f"n = 1, test error {errors[0]:.0f}%" in next(iter(found))


def test_a_reduced_size_is_said_at_the_head_of_the_page(networks):
    lead = paper_report(networks, [])[0].lead
    assert lead.split("\n\n")[1].startswith("REDUCED: ")
    assert "digits ResNet-14 × 0.25, 128 images, 4 epochs; digits ResNet-8" in lead
    only = {name: data for name, data in networks.items() if data.attrs["depth"] == 8}
    whole = {"dataset": "cifar10", "depth": 32, "width": 1.0, "epochs": 164, "images": 50_000}
    assert "REDUCED" not in paper_report({k: r.assign_attrs(whole) for k, r in only.items()}, [])[0].lead
    for name in whole:
        other = {k: r.assign_attrs({**whole, name: r.attrs[name]}) for k, r in only.items()}
        assert "REDUCED" in paper_report(other, [])[0].lead


def test_the_panels_show_the_recordings_and_say_what_was_trained(networks):
    """Where nothing is at the paper's setting, the first networks stand in Figures 2 and 3, and say what they are."""
    only = {name: data for name, data in networks.items() if data.attrs["depth"] == 8}
    decayed, spared = groups(only)
    sections, combined = NETWORKS.pages(only, ["figure2", "figure3"])
    panels = {panel.name: panel for section in sections for panel in section.items}
    assert set(combined) == {"figure2", "figure3", "depth", "networks"}
    assert [panel.name for panel in combined["figure2"]] == ["figure2a", "figure2b", "depth-a"]
    assert [panel.name for panel in combined["figure3"]] == ["figure3a", "figure3b", "depth-steps-a"]
    error = f"test error {decayed.data.test_error.values[:, -1].mean():.1%}"
    drops = [4 * 81 / 164, 4 * 122 / 164]
    for figure, variable in (("figure2", "absorbed_norm"), ("figure3", "multiplier_norm")):
        layers, mean, _ = combined[figure]
        assert "digits ResNet-8 × 0.25, 128 images, 4 epochs" in layers.title
        assert error in layers.note
        assert mean.names == (f"decay on λ, {decayed.error}", f"no decay on λ, {spared.error}")
        np.testing.assert_allclose(mean.series[1].y, spared.course(variable).mean(0))
        np.testing.assert_allclose([rule.value for rule in mean.rules], drops)
        assert layers.names[0] == "0"
        np.testing.assert_allclose(layers.series[-1].y, decayed.layers(variable)[:, -1].mean(0))
    depth, steps = panels["depth-a"], panels["depth-steps-a"]
    np.testing.assert_allclose(depth.series[0].y, decayed.values(DEPTH).mean(0) / 3)
    np.testing.assert_allclose(depth.series[0].x, decayed.epochs)
    np.testing.assert_allclose(steps.series[0].y, depth.series[0].y)
    np.testing.assert_allclose(steps.series[0].x, decayed.data.step.values + 1)
    np.testing.assert_allclose([rule.value for rule in steps.rules], [4 + 1, 16 * 81 / 164 + 1, 16 * 122 / 164 + 1])
    assert (depth.x.log, steps.x.log) == (False, True)
    shares = decayed.values("participation_median_frozen").mean(0)
    np.testing.assert_allclose(panels["participation"].series[-1].y, shares[-1])
    few = panels["networks-few-norm"]
    np.testing.assert_allclose(few.series[0].y[[0, -1]], [1, np.mean(
        decayed.last("absorbed_norm") / decayed.course("absorbed_norm")[:, 0])])  # fmt: skip
    assert "n = 2, test error" in few.note


def test_figures_2_and_3_are_drawn_from_the_committed_recordings(tmp_path):
    """Panel for panel as in the paper, with the depth beside."""
    with Progress(disable=True) as progress:
        measure([NETWORKS, INTERVENTIONS], tmp_path, Options(recorded=RESULTS), progress)
    copied = {path.name for path in tmp_path.iterdir()}
    assert copied == {path.name for path in (RESULTS / "resnets" / "recordings").glob("*.nc")}
    assert {path.name for path in committed_networks(RESULTS)} < copied
    found = NETWORKS.load(tmp_path)
    _, combined = NETWORKS.pages(found, ["figure2", "figure3"])
    assert [p.name for p in combined["figure2"]] == [
        "figure2a", "figure2b", "depth-a", "figure2c", "figure2d", "depth-b",
    ]  # fmt: skip
    for panel, data in zip(combined["figure3"][1::3], ("CIFAR-10", "CIFAR-100"), strict=True):
        assert f"{data} ResNet-32 × 1, 164 epochs" in panel.title
        assert [rule.value for rule in panel.rules] == [81, 122]
    mean = combined["figure2"][1].series[0]
    np.testing.assert_allclose([mean.y[0], mean.y.min(), mean.y[-1]], [7.5, 3.9, 6.3], atol=0.1)


def test_training_anew_is_told_where_figures_are_drawn(networks):
    sections, _ = NETWORKS.pages(networks, ["figure2"])
    assert "python -m skipglass.paper.resnet_runs FOLDER resnet32" in sections[0].text
    assert "resnet32" in runs.RUNS


def test_one_seed_or_none_proves_nothing(networks):
    single = {name: recording for name, recording in networks.items() if recording.attrs["seed"] == 0}
    for claim in NETWORKS.claims:
        assert claim.finding(single).verdict.startswith("undetermined"), claim.name
        assert claim.finding({}).verdict == "undetermined: no recording"


@pytest.mark.parametrize(("factor", "verdict"), [(1.0, "supported"), (-1.0, "not supported")])
def test_dependence_on_depth_is_judged_over_networks_that_differ_in_depth_alone(networks, factor, verdict):
    """The change is a half block for each block, in a second seed a little more: 1.5 of 3 and 3 of 6."""
    deep = next(data for data in networks.values() if data.attrs["depth"] == 14)
    two = {**networks, "resnet-another": deep.assign_attrs(seed=1, drop_epochs=deep.attrs["drop_epochs"])}
    course = forged(two, lambda t, n: 9 + factor * 0.5 * n * t / 4)
    finding = judge("Deeper networks", course)
    assert finding.verdict.startswith(verdict)
    assert f"{factor * 0.5:.2f}" in finding.measured
    only = {name: data for name, data in course.items() if data.attrs["depth"] == 8}
    assert judge("Deeper networks", only).verdict.startswith("undetermined")


def test_the_page_is_redrawn_from_recordings(folder, tmp_path, monkeypatch):
    """One setting only, and its single panels undrawn: drawing is the slow part, and tested with the report."""
    (tmp_path / "recordings").mkdir()
    name = f"{runs.run_name(TINY)}.nc"
    (tmp_path / "recordings" / name).write_bytes((folder / "recordings" / name).read_bytes())
    monkeypatch.setattr(reproduce, "save_figures", lambda panel, _: panel.to_xarray())
    assert recorded(tmp_path) == ["figure2", "figure3"]
    with Progress(disable=True) as progress:
        page = write_report(tmp_path, ["figure2", "figure3"], progress=progress).read_text()
    for text in ("absorbed norms while training", "The depth itself", "ResNet-8", "undetermined: no recording"):
        assert text in page
    assert {"figure2.png", "figure3.pdf", "depth.png"} <= {path.name for path in (tmp_path / "figures").iterdir()}


def test_an_unfinished_or_damaged_recording_is_named(folder, tmp_path):
    with pytest.raises(StorageError, match=tmp_path.name):
        NETWORKS.load(tmp_path)
    name = runs.run_name(TINY)
    recording = load(folder / "recordings" / f"{name}.nc")
    save(recording.assign_attrs(epochs_done=2), tmp_path / f"{name}.nc", kind="resnet")
    with pytest.raises(StorageError, match=f"{name}.nc.*unfinished"):
        NETWORKS.load(tmp_path)
    (tmp_path / f"{name}.nc").write_bytes(b"half")
    with pytest.raises(StorageError, match=f"{name}.nc"):
        NETWORKS.load(tmp_path)


def test_a_recording_that_lacks_something_is_named_with_what_it_lacks(folder, tmp_path):
    name = runs.run_name(TINY)
    recording = load(folder / "recordings" / f"{name}.nc")
    for broken, lacks in (
        (recording.drop_vars(DEPTH), DEPTH),
        (recording.drop_attrs(deep=False).assign_attrs(seed=0), "epochs_done"),
    ):
        save(broken, tmp_path / f"{name}.nc", kind="resnet")
        with pytest.raises(StorageError, match=rf"{name}\.nc: it has no .*{lacks}.*train that network again"):
            NETWORKS.load(tmp_path)


def test_two_recordings_of_one_run_are_not_two_seeds(folder, tmp_path):
    name = runs.run_name(TINY)
    for copy in (name, "resnet-copy"):
        (tmp_path / f"{copy}.nc").write_bytes((folder / "recordings" / f"{name}.nc").read_bytes())
    with pytest.raises(StorageError, match=rf"{name}\.nc.* resnet-copy\.nc"):
        NETWORKS.load(tmp_path)


@pytest.mark.parametrize("name", runs.RUNS)
def test_each_run_has_a_command_of_its_own_that_trains_the_same(monkeypatch, tmp_path, name):
    started = []
    monkeypatch.setattr("skipglass.cli.training.run", lambda *args, **_: started.append(args))
    for run in runs.RUNS[name]:
        program, *arguments = shlex.split(runs.train_command(run).replace("DIR", str(tmp_path)))
        done = CliRunner().invoke(app, arguments)
        assert (program, done.exit_code) == ("skipglass", 0), (arguments, done.output)
        _, experiment, _, given = started.pop()
        assert type(run)(experiment.removesuffix("-resnet"), **given) == run
