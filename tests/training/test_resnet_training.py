"""The ResNet recipe: equal to a plain loop, the same in one process or two, the same when killed and resumed."""

import errno
import functools
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import xarray as xr
from torch import nn

from skipglass.data.augment import crop_and_flip
from skipglass.errors import InputError, StorageError
from skipglass.record import load
from skipglass.training import (
    CHECKPOINT,
    Diverged,
    Interrupted,
    ResNetSettings,
    Settings,
    resnet,
    train,
    train_resnet,
)
from skipglass.training.batches import ImageBatches
from skipglass.training.callbacks import watched
from skipglass.training.processes import launched
from skipglass.training.resnet import ResNet, evaluate, parameter_groups
from skipglass.training.resnet_settings import INTERVENTIONS

HERE = Path(__file__).parent
TINY = ResNetSettings("digits", depth=8, width=0.25, epochs=3, batch_size=32, subset=128, every=100)


def start(settings):
    """A training in this process, outside of `train_resnet`."""
    with launched("cpu", settings.precision) as fabric:
        return ResNet(settings, settings.images(), fabric)


def one_image(image, offset, flip, padding):
    """The obvious crop of one image, pixel by pixel."""
    height, width = image.shape[1:]
    out = torch.zeros_like(image)
    for row in range(height):
        for column in range(width):
            y, x = row + int(offset[0]) - padding, column + int(offset[1]) - padding
            if 0 <= y < height and 0 <= x < width:
                out[:, row, width - 1 - column if flip else column] = image[:, y, x]
    return out


def plain(settings):
    """The recipe as one would write it: own schedule, Nesterov momentum and decay by their formulas."""
    images = settings.images()
    model = settings.model(images.classes).double()
    generator = torch.Generator().manual_seed(settings.seed)
    steps = len(images.targets) // settings.batch_size
    scales = {id(m.weight) for m in model.modules() if isinstance(m, nn.BatchNorm2d)}
    velocity = [torch.zeros_like(p) for p in model.parameters()]
    losses = []
    for epoch in range(settings.epochs):
        order = torch.randperm(len(images.targets), generator=generator)
        for step in range(steps):
            chosen = order[step * settings.batch_size :][: settings.batch_size]
            offsets = torch.randint(3, (settings.batch_size, 2), generator=generator)
            torch.randint(2, (settings.batch_size,), generator=generator, dtype=torch.bool)  # digits are not mirrored
            x = torch.stack([one_image(i, o, False, 1) for i, o in zip(
                images.normalized(images.inputs[chosen]), offsets, strict=True)])  # fmt: skip
            loss = F.cross_entropy(model(x.double()), images.targets[chosen])
            gradients = torch.autograd.grad(loss, list(model.parameters()))
            done = (epoch * steps + step) / (settings.epochs * steps)
            rate = settings.learning_rate * (1 if done < 81 / 164 else 0.1 if done < 122 / 164 else 0.01)
            with torch.no_grad():
                for p, g, v in zip(model.parameters(), gradients, velocity, strict=True):
                    spared = id(p) in scales and not settings.decay_scales
                    g = g + (0 if spared else settings.weight_decay) * p
                    v.mul_(settings.momentum).add_(g)
                    p.sub_(rate * (g + settings.momentum * v))
            losses.append(loss.item())
    return model, losses


@pytest.mark.parametrize("decay_scales", [True, False])
def test_the_run_is_the_recipe_written_out(decay_scales):
    settings = replace(TINY, precision="float64", decay_scales=decay_scales, weight_decay=0.01, seed=3)
    training, losses = start(settings), []

    def keep(run):
        if run.epoch_ends:
            losses.extend(training.losses.values.tolist())

    training.fit([training.losses, keep, training.schedule])
    model, expected = plain(settings)
    np.testing.assert_allclose(losses, expected, rtol=1e-10)
    for (name, p), q in zip(training.model.named_parameters(), model.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-9, atol=1e-11, msg=name)


def test_the_monitor_and_the_tests_leave_every_bit_of_the_run_alone():
    seen, alone = start(TINY), start(TINY)
    seen.fit([seen.losses, watched(seen.watch()), seen.recorder, seen.schedule])
    alone.fit([alone.losses, alone.schedule])
    assert torch.equal(seen.losses.values, alone.losses.values)
    for (name, p), q in zip(seen.model.state_dict().items(), alone.model.state_dict().values(), strict=True):
        assert torch.equal(p, q), name
    (ours,), (theirs,) = (training.batches.state_dict()["generators"] for training in (seen, alone))
    assert torch.equal(ours, theirs)
    assert [row["step"] for row in seen.monitor.recording.rows] == [0, 1, 2, 4, 5, 8, 10, 12]
    assert [row["epoch"] for row in seen.recorder.rows] == [0, 1, 2, 3]


def test_only_the_multipliers_are_spared_the_decay():
    model = TINY.model(10)
    decayed, spared = parameter_groups(model, replace(TINY, decay_scales=False))
    names = {id(p): name for name, p in model.named_parameters()}
    assert {names[id(p)] for p in spared["params"]} == {n for n in names.values() if "bn" in n and "weight" in n}
    assert len(decayed["params"]) + len(spared["params"]) == len(names)
    assert (decayed["weight_decay"], spared["weight_decay"]) == (1e-4, 0.0)
    assert len(parameter_groups(model, TINY)) == 1


def test_the_schedule_is_the_recipe_s_and_compresses():
    settings = replace(TINY, epochs=164)
    rates = [settings.rate(step / (164 * 390)) for step in (0, 81 * 390 - 1, 81 * 390, 122 * 390 - 1, 122 * 390)]
    np.testing.assert_allclose(rates, [0.1, 0.1, 0.01, 0.01, 0.001])
    np.testing.assert_allclose(replace(TINY, epochs=30).drop_epochs, [30 * 81 / 164, 30 * 122 / 164])


def test_the_shares_of_the_processes_make_up_the_batches_of_one():
    images = TINY.images()
    settings = replace(TINY, dataset="cifar10", batch_size=24, seed=5)  # whose images are flipped too
    whole = ImageBatches(images, settings)
    parts = [ImageBatches(images, settings, rank, processes=3) for rank in range(3)]
    for _ in range(2):
        count = 0
        for (x, y), *shares in zip(whole, *parts, strict=True):
            assert torch.equal(x, torch.cat([share[0] for share in shares]))
            assert torch.equal(y, torch.cat([share[1] for share in shares]))
            count += 1
        assert count == 128 // 24
    with pytest.raises(InputError, match="shared equally by 5"):
        ImageBatches(images, settings, 0, processes=5)
    with pytest.raises(InputError, match="batch_size"):
        ImageBatches(images, replace(settings, batch_size=129))


def test_an_epoch_shows_every_image_once_augmented_as_drawn():
    images = TINY.images()
    batches = ImageBatches(images, replace(TINY, dataset="cifar10", seed=7))
    generator = torch.Generator().manual_seed(7)
    order = torch.randperm(128, generator=generator)
    assert sorted(order.tolist()) == list(range(128))
    for step, (x, y) in enumerate(batches):
        offsets = torch.randint(9, (32, 2), generator=generator)
        flips = torch.randint(2, (32,), generator=generator, dtype=torch.bool)
        chosen = order[32 * step : 32 * step + 32]
        expected = crop_and_flip(images.normalized(images.inputs[chosen]), offsets, flips, 4)
        assert torch.equal(x, expected)
        assert torch.equal(y, images.targets[chosen])


def test_statistics_start_from_the_images():
    training = start(replace(TINY, subset=64))
    model, x = training.model, training.batches.clean(training.images.inputs)
    z = F.conv2d(x, model.conv1.weight, padding=1).transpose(0, 1).flatten(1)
    torch.testing.assert_close(model.bn1.running_mean, z.mean(1))
    torch.testing.assert_close(model.bn1.running_var, z.var(1))
    assert model.bn1.momentum == 0.1
    assert model.training


@pytest.fixture(scope="module")
def tiny():
    return train_resnet(TINY, device="cpu")


def test_the_recording_says_what_happened(tiny):
    recording = tiny
    assert recording.epoch.values.tolist() == [0, 1, 2, 3]
    assert recording.attrs["epochs_done"] == 3
    assert recording.attrs["steps_per_epoch"] == 4
    np.testing.assert_allclose(recording.learning_rate, [0.1, 0.1, 0.01, 0.001])
    assert recording.test_error[-1] < recording.test_error[0]
    assert np.isnan(recording.train_loss[0])
    assert np.isfinite(recording.train_loss[1:]).all()
    assert recording.step.values[0] == 0
    np.testing.assert_allclose(recording.watched_epoch, recording.step / 4)


@pytest.fixture(scope="module")
def whole():
    sys.path.insert(0, str(HERE))
    from killed import SETTINGS

    return train_resnet(SETTINGS, device="cpu")


def test_a_run_killed_at_random_moments_resumes_to_the_same_bits(tmp_path, whole):
    killed = [sys.executable, str(HERE / "killed.py"), str(tmp_path), "1"]
    done = subprocess.run(killed, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 4
    resumed = load(tmp_path / "done.nc", kind="resnet")
    assert resumed.epochs_done == 8
    xr.testing.assert_identical(resumed.drop_attrs(), whole.drop_attrs())
    left = {path.name for path in tmp_path.iterdir() if not path.name.startswith(".done-")}
    assert left == {CHECKPOINT, "done.nc"}


def test_two_processes_give_the_loss_curve_of_one(tmp_path):
    """200 steps of SGD in float64, of a network without batch norm, whose statistics are each process's own."""
    sys.path.insert(0, str(HERE))
    from two_processes import losses

    script = [str(HERE / "two_processes.py"), str(tmp_path / "found.pt")]
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--standalone"]
    done = subprocess.run([*launcher, *script], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    found = torch.load(tmp_path / "found.pt")
    _, alone, rows = losses()
    assert len(alone) == 200
    assert alone[-10:].mean() < alone[:10].mean()
    torch.testing.assert_close(found["losses"], alone, rtol=1e-10, atol=1e-10)
    for ours, theirs in zip(rows, found["rows"], strict=True):
        np.testing.assert_allclose(list(theirs.values()), list(ours.values()), rtol=1e-9)


def test_ctrl_c_keeps_what_was_recorded_and_resuming_gives_the_same_numbers(tmp_path, tiny):
    def interrupt(step, *_):
        if step == 10:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(
        Interrupted, match=f"stopped after epoch 2 of 3; the checkpoint .*{CHECKPOINT} is kept"
    ) as early:
        train_resnet(TINY, folder=tmp_path, device="cpu", on_step=interrupt)
    assert early.value.recording.attrs["epochs_done"] == 2
    assert early.value.recording.epoch.values.tolist() == [0, 1, 2]
    resumed = train_resnet(TINY, folder=tmp_path, device="cpu", resume=True)
    xr.testing.assert_identical(resumed.drop_attrs(), tiny.drop_attrs())


@pytest.mark.parametrize("epoch", [0, 1, 3])
def test_ctrl_c_in_a_test_pass_leaves_that_epoch_to_be_done(tmp_path, tiny, monkeypatch, epoch):
    passes = []

    def interrupted(*arguments):
        passes.append(evaluate(*arguments))
        if len(passes) == epoch + 1:
            signal.raise_signal(signal.SIGINT)
        return passes[-1]

    with monkeypatch.context() as patch:
        patch.setattr(resnet, "evaluate", interrupted)
        with pytest.raises(Interrupted) as early:
            train_resnet(TINY, folder=tmp_path, device="cpu")
    partial = early.value.recording
    assert partial.attrs["epochs_done"] == max(epoch - 1, 0)
    assert partial.epoch.values.tolist() == [*range(epoch)]
    resumed = train_resnet(TINY, folder=tmp_path, device="cpu", resume=True)
    assert resumed.attrs["epochs_done"] == 3
    xr.testing.assert_identical(resumed.drop_attrs(), tiny.drop_attrs())


def test_a_disk_that_fills_keeps_the_last_whole_epoch(tmp_path, monkeypatch, tiny):
    write, written = Path.write_bytes, []

    def filling(path, content):
        written.append(path)
        if len(written) < 3:
            return write(path, content)
        write(path, content[: len(content) // 2])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", filling)
        with pytest.raises(StorageError, match="No space left"):
            train_resnet(TINY, folder=tmp_path, device="cpu")
    assert [path.name for path in tmp_path.iterdir()] == [CHECKPOINT]
    assert torch.load(tmp_path / CHECKPOINT, weights_only=True)["epochs_done"] == 1
    resumed = train_resnet(TINY, folder=tmp_path, device="cpu", resume=True)
    xr.testing.assert_identical(resumed.drop_attrs(), tiny.drop_attrs())


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_last_good_state(tmp_path, monkeypatch):
    def rate(self, progress):
        return 0.1 if progress < 0.6 else 1e30

    monkeypatch.setattr(ResNetSettings, "rate", rate)
    words = r"the loss became (nan|inf|-inf) at step (9|10) \(epoch 2\.\d+\), learning rate 1e\+30; .* epoch 2;"
    with pytest.raises(Diverged, match=words) as caught:
        train_resnet(TINY, folder=tmp_path, device="cpu")
    assert caught.value.recording.epoch.values.tolist() == [0, 1, 2]
    state = torch.load(tmp_path / CHECKPOINT, weights_only=True)
    assert state["epochs_done"] == 2
    assert all(v.isfinite().all() for v in state["model"].values())


def test_weights_that_break_in_the_last_step_are_not_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(ResNetSettings, "rate", lambda self, progress: 0.1 if progress < 11 / 12 else float("inf"))
    with pytest.raises(Diverged, match="not finite after epoch 3"):
        train_resnet(TINY, folder=tmp_path, device="cpu")
    assert torch.load(tmp_path / CHECKPOINT, weights_only=True)["epochs_done"] == 2


def test_a_checkpoint_that_does_not_fit_is_refused_and_left(tmp_path):
    train_resnet(replace(TINY, epochs=1), folder=tmp_path, device="cpu")
    checkpoint = tmp_path / CHECKPOINT
    kept = checkpoint.read_bytes()

    def refused(settings, words):
        before = checkpoint.read_bytes()
        with pytest.raises(StorageError, match=words):
            train_resnet(settings, folder=tmp_path, device="cpu", resume=True)
        assert checkpoint.read_bytes() == before

    for change, words in [
        ({"epochs": 1, "learning_rate": 0.2}, r"learning_rate = 0\.1, not 0\.2"),
        ({"epochs": 2}, "epochs = 1, not 2"),
        ({"epochs": 1, "depth": 14}, "depth = 8, not 14"),
        ({"epochs": 1, "decay_scales": False}, "decay_scales = 1, not 0"),
    ]:
        refused(replace(TINY, **change), words)
    for content in (kept[: len(kept) // 2], b"", b"text"):
        checkpoint.write_bytes(content)
        refused(replace(TINY, epochs=1), "damaged")
    checkpoint.write_bytes(kept)
    state = torch.load(checkpoint, weights_only=True)
    torch.save({**state, "device": "cuda"}, checkpoint)
    refused(replace(TINY, epochs=1), "was trained on cuda, whose random numbers cpu does not draw")
    del state["model"]["conv1.weight"]
    torch.save(state, checkpoint)
    refused(replace(TINY, epochs=1), "does not hold the state of such a training")
    train(Settings("digits", depth=2, width=4, epochs=1, seeds=[0]), folder=tmp_path)
    refused(replace(TINY, epochs=1), "another kind of training")
    checkpoint.unlink()
    with pytest.raises(StorageError, match="no checkpoint"):
        train_resnet(TINY, folder=tmp_path, device="cpu", resume=True)


def test_compiled_bfloat16_and_both_memory_formats_train(monkeypatch):
    compiling = functools.partial(torch.compile, backend="eager")  # the real one takes a minute to compile
    monkeypatch.setattr(torch, "compile", compiling)
    short = replace(TINY, epochs=1)
    reference = train_resnet(short, device="cpu")
    for change, tolerance in [
        ({"channels_last": False}, 1e-3),
        ({"compiled": True}, 1e-3),
        ({"precision": "bfloat16"}, 0.05),
    ]:
        recording = train_resnet(replace(short, **change), device="cpu")
        np.testing.assert_allclose(
            recording.train_loss[1], reference.train_loss[1], rtol=tolerance, err_msg=str(change)
        )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"dataset": "cifar"}, "did you mean 'cifar10"),
        ({"depth": 31}, "6n \\+ 2"),
        ({"width": 0.01}, "width"),
        ({"width": 1e6}, "the weights would take .* take less width or depth"),
        ({"width": 1e200}, "the weights would take"),
        ({"depth": 6 * 10**12 + 2}, "the weights would take"),
        ({"epochs": 0}, "epochs"),
        ({"precision": "half"}, "precision"),
        ({"subset": 0}, "subset"),
        ({"momentum": -0.1}, "momentum"),
        ({"learning_rate": float("nan")}, "learning_rate"),
        ({"seed": -1}, "seed"),
    ],
)
def test_bad_settings_are_named(arguments, words):
    with pytest.raises(InputError, match=words):
        replace(TINY, **arguments)


@pytest.mark.parametrize("device", ["gpu", "cpu:1", "cuda:99", "tpu", ""])
def test_a_device_that_is_not_there_is_named(device):
    with pytest.raises(InputError, match="device"):
        train_resnet(TINY, device=device)


def test_cifar_without_a_folder_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.delenv("SKIPGLASS_DATA", raising=False)
    with pytest.raises(InputError, match="SKIPGLASS_DATA"):
        train_resnet(replace(TINY, dataset="cifar10"), device="cpu")
    with pytest.raises(StorageError, match="cifar-10-batches-py"):
        train_resnet(replace(TINY, dataset="cifar10"), data=tmp_path, device="cpu")
    with pytest.raises(InputError, match=r"1\.\.1437"):
        train_resnet(replace(TINY, subset=5000), device="cpu")


def test_what_an_intervention_holds_stays_and_all_else_moves():
    def end(kind, epochs=1):
        settings = replace(TINY, epochs=epochs, intervention=kind)
        training = start(settings)
        begin = {name: value.clone() for name, value in training.model.state_dict().items()}
        training.fit([training.losses, training.hold, training.schedule])
        return begin, training.model.state_dict()

    for kind in INTERVENTIONS:
        begin, now = end(kind)
        scales = [name for name in now if name.endswith(("bn1.weight", "bn2.weight"))]
        convolutions = [name for name in now if now[name].ndim == 4]
        assert scales
        assert convolutions
        held = kind in ("scales_one", "both_held", "rate_zero")
        assert all(bool((now[name] == 1).all()) == held for name in scales), kind
        held = kind in ("weights_held", "both_held", "rate_zero")
        norms = [float(now[name].norm() / begin[name].norm()) - 1 for name in convolutions]
        assert all((abs(change) < 1e-5) == held for change in norms), (kind, norms)
        assert all(torch.equal(now[name], begin[name]) == (kind == "rate_zero") for name in convolutions), kind
        assert not torch.equal(now["bn1.running_mean"], begin["bn1.running_mean"])


def test_random_labels_are_those_of_the_images_shuffled_by_the_seed():
    plain, shuffled = (replace(TINY, intervention=kind, seed=3).images() for kind in ("none", "random_labels"))
    assert torch.equal(plain.inputs, shuffled.inputs)
    assert torch.equal(plain.targets.sort().values, shuffled.targets.sort().values)
    same = (plain.targets == shuffled.targets).double().mean()
    assert same < 0.3  # chance is a tenth
    assert torch.equal(plain.test_targets, shuffled.test_targets)
    again = replace(TINY, intervention="random_labels", seed=3).images()
    assert torch.equal(again.targets, shuffled.targets)
    other = replace(TINY, intervention="random_labels", seed=4, subset=None).images()
    assert not torch.equal(other.targets[:128], shuffled.targets)
