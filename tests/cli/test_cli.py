"""The command line: results on stdout, a user's mistake in one line on stderr with status 2."""

import json
import os
import resource
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from skipglass.paper import map as landscape_map
from skipglass.paper import reproduce
from skipglass.record import load
from skipglass.theory import DepthEnsemble
from skipglass.training import Grid

SMALL = ["--depth", "2", "--width", "4"]


def test_theory_prints_a_table(start):
    process = start("theory", "--depth", 100, "--beta", 0.5)
    out, _ = process.communicate(timeout=300)
    assert process.returncode == 0
    assert "33.9162" in out
    assert "25..42" in out


def test_theory_prints_json_that_is_the_ensemble(skipglass):
    status, out, _ = skipglass("theory", "--depth", 7, "--beta", 2, "--reading", "independent", "--json")
    assert status == 0
    printed, e = json.loads(out), DepthEnsemble(7, 2.0, "independent")
    np.testing.assert_array_equal(printed["weights"], e.weights)
    assert printed["band"]["lengths"] == list(e.band())
    assert printed["mean_length"] == e.mean_length


def test_no_arguments_show_the_help(skipglass):
    _, out, err = skipglass()
    assert "Usage" in out + err
    assert "reproduce" in out + err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["theory", "--beta", "-1"], "beta"),
        (["theory", "--beta", "nan"], "beta"),
        (["theory", "--beta", "x"], "beta"),
        (["theory", "--depth", "0"], "depth"),
        (["theory", "--reading", "both"], "coherent, independent"),
        (["theory", "--mass", "2"], "mass"),
        (["theori"], "theori"),
        (["train", "digit", "--out", "{tmp}"], "did you mean 'digits'"),
        (["train", "digits", "--out", "{tmp}", "--seeds", "0"], "seeds"),
        (["train", "digits", "--out", "/proc/none"], "/proc/none"),
        (["train", "digits", "--out", "{tmp}", "--resume"], "no checkpoint"),
        (["reproduce", "figure9", "--out", "{tmp}"], "figure1"),
        (["reproduce", "--out", "{tmp}", "--seeds", "0"], "seeds"),
        (["train", "digits", "--out", "{tmp}", "--batch-size", "5000"], "1437"),
        (["train", "digits", "--out", "{tmp}", "--batch-size", "1"], "batch_size"),
        (["train", "gaussians", "--out", "{tmp}", "--separation", "1e200"], "separation"),
        (["train", "digits", "--out", "{tmp}", "--seed", str(2**64)], "seed"),
        (["theory", "--depth", str(10**12)], "depth"),
        (["theory", "--beta", "1e200", "--reading", "independent"], "beta"),
        (["report", "{tmp}"], "the complete recordings of no figure"),
        (["report", "{tmp}/absent"], "there is no folder"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_gets_one_line_and_status_2(skipglass, arguments, words, tmp_path):
    status, out, err = skipglass(*(argument.format(tmp=tmp_path) for argument in arguments))
    assert status == 2
    assert out == ""
    assert err.startswith("skipglass: ")
    assert words in err
    assert err.count("\n") == 1
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_training_leaves_a_recording_and_a_checkpoint(skipglass, tmp_path):
    status, out, _ = skipglass("train", "digits", "--out", tmp_path, "--epochs", 2, "--seeds", 2, "--seed", 5, *SMALL)
    assert status == 0
    assert "train accuracy" in out
    recording = load(tmp_path / "digits.nc", kind="training")
    assert recording.seed.values.tolist() == [5, 6]
    assert "train digits" in recording.attrs["command"]
    assert (tmp_path / "checkpoint.pt").is_file()


def test_ctrl_c_keeps_the_recording_and_resuming_gives_the_same_numbers(skipglass, start, tmp_path):
    arguments = ["train", "digits", "--epochs", 60, *SMALL]
    process = start(*arguments, "--out", tmp_path)
    while not (tmp_path / "checkpoint.pt").is_file() and process.poll() is None:
        time.sleep(0.001)
    first = (tmp_path / "checkpoint.pt").stat().st_mtime_ns
    while (tmp_path / "checkpoint.pt").stat().st_mtime_ns == first and process.poll() is None:
        time.sleep(0.001)
    os.kill(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "--resume" in err
    stopped = load(tmp_path / "digits.nc", kind="training")
    assert 1 <= stopped.epochs_done < 60
    assert skipglass(*arguments, "--out", tmp_path, "--resume")[0] == 0
    assert skipglass(*arguments, "--out", tmp_path / "whole")[0] == 0
    resumed, whole = load(tmp_path / "digits.nc"), load(tmp_path / "whole" / "digits.nc")
    assert resumed.epochs_done == 60
    assert resumed.drop_attrs().identical(whole.drop_attrs())


def test_reproduce_measures_draws_and_redraws(skipglass, tmp_path, monkeypatch):
    """Figure 1 with two seeds and one epoch: the page, the figures, their data; then from recordings alone."""
    status, out, err = skipglass("reproduce", "figure1", "--out", tmp_path, "--seeds", 2, "--epochs", 1)
    assert status == 0, err
    assert str(tmp_path / "report.html") in out.replace("\n", "")
    figures = {path.name for path in (tmp_path / "figures").iterdir()}
    for letter in "abcf":
        assert {f"figure1{letter}.png", f"figure1{letter}.pdf", f"figure1{letter}.nc"} <= figures
    assert {"figure1.png", "figure1e-digits.png", "figure1d-gaussians-nearest.nc"} <= figures
    page = (tmp_path / "report.html").read_text()
    assert page.count("How to read") > 10
    (tmp_path / "report.html").unlink()
    drawn = []
    for draw in ("save_figures", "save_grid"):  # the slow part: once is enough
        monkeypatch.setattr(reproduce, draw, lambda *_: drawn.append(1))
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "recordings").iterdir()}
    assert skipglass("report", tmp_path)[0] == 0
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "recordings").iterdir()} == before
    assert (tmp_path / "report.html").read_text() == page
    assert len(drawn) > 10
    monkeypatch.setattr(reproduce, "render_page", lambda _, path: path)
    resumed, _, log = skipglass("reproduce", "figure1", "--out", tmp_path, "--seeds", 2, "--epochs", 1, "--resume")
    assert resumed == 0
    assert "figure1d" not in log
    swapped = tmp_path / "recordings" / "figure1e-digits-nearest.nc"
    kept = swapped.read_bytes()
    swapped.write_bytes((tmp_path / "recordings" / "figure1e-digits-contrary.nc").read_bytes())
    status, _, err = skipglass("report", tmp_path)
    assert (status, err.count("\n")) == (2, 1)
    assert "figure1e-digits-nearest.nc" in err
    swapped.write_bytes(kept)
    damaged = next(Path(tmp_path / "recordings").glob("figure1d*"))
    damaged.write_bytes(damaged.read_bytes()[:500])
    status, _, err = skipglass("report", tmp_path)
    assert (status, err.count("\n")) == (2, 1)
    assert damaged.name in err


def test_reproduce_without_the_full_map_says_so_in_one_line(skipglass, tmp_path, monkeypatch):
    monkeypatch.setattr(landscape_map, "LIVE", Grid([8.0], [0.05], ["none"], [2, 3], seeds=[0, 1], epochs=1, width=4))
    for draw in ("save_figures", "save_grid"):
        monkeypatch.setattr(reproduce, draw, lambda *_: None)
    status, _, err = skipglass("reproduce", "map", "--out", tmp_path, "--recorded", tmp_path / "nowhere")
    assert status == 0, err
    said = [line for line in err.splitlines() if "small map alone" in line]
    assert len(said) == 1
    assert f"not in {tmp_path / 'nowhere' / 'sweep'}" in said[0]
    assert "REDUCED: the map" in (tmp_path / "report.html").read_text()


def test_a_disk_that_cannot_take_the_file_is_one_line(start, tmp_path):
    """The system refuses files above 5 kB, as a full disk would: a real error of the write itself."""

    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (5_000, 5_000))

    process = start("train", "digits", "--out", tmp_path, "--epochs", 1, before=limit)
    _, err = process.communicate(timeout=300)
    assert (process.returncode, err.count("\n")) == (2, 1), err
    assert "File too large" in err
    assert not list(tmp_path.iterdir())


def test_diverged_networks_are_named(skipglass, tmp_path):
    status, out, err = skipglass("train", "digits", "--out", tmp_path, "--epochs", 1, "--learning-rate", 1e6, *SMALL)
    assert status == 2
    assert "seeds [0] diverged" in err
    assert "nan" in out
    assert np.isnan(load(tmp_path / "digits.nc").train_loss[-1]).all()


def test_ctrl_c_in_the_first_epoch_can_be_resumed(skipglass, start, tmp_path):
    arguments = ["train", "gaussians", "--epochs", 2, *SMALL, "--out", tmp_path]
    process = start(*arguments)
    while not (tmp_path / "checkpoint.pt").is_file() and process.poll() is None:
        time.sleep(0.001)
    os.kill(process.pid, signal.SIGINT)
    process.communicate(timeout=300)
    assert process.returncode == 130
    assert skipglass(*arguments, "--resume")[0] == 0
    assert load(tmp_path / "gaussians.nc").epochs_done == 2
