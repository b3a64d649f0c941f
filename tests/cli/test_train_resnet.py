"""ResNets from the command line, in this process: what is left behind, and one line for each mistake."""

import resource
import signal

import pytest

from skipglass.paper import reproduce
from skipglass.paper.resnet_runs import LIVE, both_ways, run_name
from skipglass.record import load

TINY = ["--depth", "8", "--width", "0.25", "--subset", "64", "--batch-size", "32", "--epochs", "2", "--device", "cpu"]


def test_a_run_leaves_a_recording_and_a_checkpoint_and_resuming_a_finished_one_changes_nothing(skipglass, tmp_path):
    status, out, _ = skipglass("train", "digits-resnet", "--out", tmp_path, *TINY, "--no-scale-decay", "--seed", 4)
    assert status == 0
    assert "test error" in out
    recording = load(tmp_path / "digits-resnet.nc", kind="resnet")
    assert (recording.attrs["seed"], recording.attrs["decay_scales"], recording.attrs["epochs_done"]) == (4, 0, 2)
    assert "--no-scale-decay" in recording.attrs["command"]
    for name in ("train_loss", "test_error", "learning_rate", "absorbed_norm", "multiplier_norm", "participation"):
        assert name in recording
    again = ["train", "digits-resnet", "--out", tmp_path, *TINY, "--no-scale-decay", "--seed", 4, "--resume"]
    assert skipglass(*again)[0] == 0
    assert load(tmp_path / "digits-resnet.nc").drop_attrs().identical(recording.drop_attrs())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["digits-resnet", "--separation", "3"], "--separation does not apply to digits-resnet"),
        (["digits", "--no-scale-decay", "--compile"], "--no-scale-decay, --compile does not apply to digits"),
        (["digit-resnet"], "did you mean 'digits-resnet'"),
        (["digits-resnet", "--depth", "9"], "6n + 2"),
        (["digits-resnet", "--device", "tpu"], "auto, cpu, cuda"),
        (["digits-resnet", "--device", "cuda:77"], "cuda:77 is not there"),
        (["digits-resnet", "--precision", "half"], "precision"),
        (["digits-resnet", "--subset", "9999"], "1..1437"),
        (["digits-resnet", "--resume"], "no checkpoint"),
        (["digits-resnet", "--resume", "--overwrite"], "give one of them"),
        (["digits-resnet", "--data", "x", "--download"], "--data, --download does not apply to digits-resnet"),
        (["cifar10"], "SKIPGLASS_DATA"),
        (["cifar10", "--data", "nowhere"], "nowhere holds no cifar-10-batches-py"),
        (["digits", "--width", "2.5"], "width"),
    ],
)
def test_a_mistake_gets_one_line_and_status_2(skipglass, tmp_path, arguments, words, monkeypatch):
    monkeypatch.delenv("SKIPGLASS_DATA", raising=False)
    status, out, err = skipglass("train", *arguments, "--out", tmp_path)
    assert (status, out) == (2, "")
    assert words in err
    assert err.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("experiment", ["digits-resnet", "digits"])
def test_an_earlier_run_is_replaced_only_when_asked(skipglass, tmp_path, experiment):
    small = TINY if experiment == "digits-resnet" else ["--depth", 2, "--width", 4, "--epochs", 1]
    train = ["train", experiment, "--out", tmp_path, *small]
    assert skipglass(*train)[0] == 0
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert set(before) == {"checkpoint.pt", f"{experiment}.nc"}
    status, _, err = skipglass(*train, "--seed", 1)
    assert status == 2
    assert err.count("\n") == 1
    assert f"{tmp_path} holds checkpoint.pt and {experiment}.nc of an earlier run" in err
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert skipglass(*train, "--seed", 1, "--overwrite")[0] == 0
    assert all((tmp_path / name).read_bytes() != content for name, content in before.items())


def test_a_file_in_the_place_of_tensorboard_s_folder_is_one_line(skipglass, tmp_path):
    pytest.importorskip("tensorboard")
    board = tmp_path / "board"
    board.touch()
    out = tmp_path / "out"
    status, _, err = skipglass("train", "digits-resnet", "--out", out, *TINY, "--tensorboard", board)
    assert status == 2
    assert f"TensorBoard's folder {board} cannot be written in: File exists" in err
    assert err.count("\n") == 1
    assert not list(out.iterdir())


def test_a_loss_that_diverges_keeps_the_recording_and_exits_2(skipglass, tmp_path):
    status, _, err = skipglass("train", "digits-resnet", "--out", tmp_path, *TINY, "--learning-rate", "1e30")
    assert status == 2
    assert "learning rate 1e+30" in err
    assert "try a lower learning rate" in err
    assert load(tmp_path / "digits-resnet.nc", kind="resnet").attrs["epochs_done"] == 0


def test_ctrl_c_exits_130_and_names_resume(skipglass, tmp_path, monkeypatch):
    from skipglass.training import callbacks

    class Stopping(callbacks.Losses):
        def __call__(self, run):
            if run.steps == 3:
                signal.raise_signal(signal.SIGINT)
            super().__call__(run)

    with monkeypatch.context() as patch:
        patch.setattr("skipglass.training.resnet.Losses", Stopping)
        status, _, err = skipglass("train", "digits-resnet", "--out", tmp_path, *TINY)
    assert status == 130
    words = f"stopped after epoch 1 of 2; the checkpoint {tmp_path / 'checkpoint.pt'} is kept; the same command with "
    assert [line for line in err.splitlines() if line.startswith("stopped")] == [f"{words}--resume goes on from there"]
    assert load(tmp_path / "digits-resnet.nc", kind="resnet").attrs["epochs_done"] == 1
    assert skipglass("train", "digits-resnet", "--out", tmp_path, *TINY, "--resume")[0] == 0
    assert load(tmp_path / "digits-resnet.nc").attrs["epochs_done"] == 2


def test_a_disk_that_cannot_take_the_checkpoint_is_one_line(start, tmp_path):
    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (5_000, 5_000))

    process = start("train", "digits-resnet", "--out", tmp_path, *TINY, before=limit)
    _, err = process.communicate(timeout=300)
    assert (process.returncode, err.count("\n")) == (2, 1), err
    assert "File too large" in err
    assert not list(tmp_path.iterdir())


def test_reproduce_draws_what_lies_there_and_trains_what_is_asked_for(skipglass, tmp_path, monkeypatch):
    drawn = []

    def draw(folder, figures, *, progress):
        drawn.append((figures, sorted(path.stem for path in (folder / "recordings").iterdir())))
        return folder / "report.html"

    monkeypatch.setattr(reproduce, "write_report", draw)
    small = ["--depth", 8, "--width", 0.25, "--subset", 64, "--epochs", 1, "--seeds", 1]
    status, _, err = skipglass("reproduce", "figure3", "--out", tmp_path, *small)
    assert status == 0, err
    names = ["resnet-digits-d8-w0.25-e1-n64-s0", "resnet-digits-d8-w0.25-e1-n64-spared-s0"]
    written = {path: path.stat().st_mtime_ns for path in (tmp_path / "recordings").iterdir()}
    assert skipglass("reproduce", "figure2", "figure3", "--out", tmp_path)[0] == 0
    assert skipglass("report", tmp_path)[0] == 0
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "recordings").iterdir()} == written
    assert drawn == [(["figure3"], names), (["figure2", "figure3"], names), (["figure2", "figure3"], names)]


def test_reproduce_goes_on_with_the_runs_that_were_stopped(skipglass, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(reproduce, "measure", lambda folder, figures, options, **_: asked.append(options.runs))
    monkeypatch.setattr(reproduce, "write_report", lambda folder, *_, **__: folder / "report.html")
    names = [run_name(run) for run in both_ways(LIVE, range(3))]
    (tmp_path / "recordings").mkdir()
    (tmp_path / "recordings" / f"{names[0]}.nc").touch()
    assert skipglass("reproduce", "figure2", "--out", tmp_path)[0] == 0
    (tmp_path / "checkpoints" / names[1]).mkdir(parents=True)
    assert skipglass("reproduce", "figure2", "--out", tmp_path)[0] == 0
    assert [[run_name(run) for run in runs] for runs in asked] == [[], names]
