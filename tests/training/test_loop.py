"""The loop: a plain loop's numbers, callbacks in their order, and nothing that ends it early is hidden."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from skipglass.training import Interrupted, Settings, cell, fit, sweep, train
from skipglass.training.callbacks import Recorder, scheduled

SETTINGS = Settings("digits", depth=2, width=4, epochs=3, seeds=[0])


def task(samples=12, size=4):
    torch.manual_seed(0)
    x, y = torch.randn(samples, 3), torch.randint(2, (samples,))
    model = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2))
    batches = list(zip(x.split(size), y.split(size), strict=True))
    return model, batches, torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)


def test_it_is_the_loop_that_one_would_write():
    model, batches, optimizer = task()
    run = fit(model, batches, optimizer, epochs=3)
    twin, batches, optimizer = task()
    for _ in range(3):
        for x, y in batches:
            loss = F.cross_entropy(twin(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    for p, q in zip(model.parameters(), twin.parameters(), strict=True):
        assert torch.equal(p, q)
    assert (run.steps, run.progress, run.epoch_ends) == (9, 3.0, True)
    assert torch.equal(run.loss, loss.detach())


def test_callbacks_are_called_before_the_first_step_and_after_every_one_in_order():
    seen = []
    fit(*task(), [lambda run: seen.append(("a", run.steps)), lambda run: seen.append(("b", run.epoch_ends))], epochs=2)
    assert seen[::2] == [("a", k) for k in range(7)]
    assert seen[1::2] == [("b", k in {3, 6}) for k in range(7)]


def test_a_resumed_training_goes_on_counting():
    recorder = Recorder(lambda run: {"loss": run.loss})
    run = fit(*task(), [recorder], epochs=5, epochs_done=3)
    assert run.steps == 15
    assert [(row["step"], row["epoch"]) for row in recorder.rows] == [(9, 3), (12, 4), (15, 5)]
    assert recorder.epochs_done == 5


def test_the_schedule_sets_the_rate_of_the_step_that_comes():
    model, batches, optimizer = task()
    rates = []
    optimizer.register_step_pre_hook(lambda *_: rates.append(optimizer.param_groups[0]["lr"]))
    fit(model, batches, optimizer, [scheduled(lambda progress: 1 - progress)], epochs=2)
    assert rates == pytest.approx([1 - k / 6 for k in range(6)])


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_what_a_callback_raises_ends_the_training(error):
    def stop(run):
        if run.steps == 2:
            raise error

    with pytest.raises(error):
        fit(*task(), [stop], epochs=1)


@pytest.mark.usefixtures("stopped")
def test_a_training_that_was_stopped_returns_nothing():
    with pytest.raises(Interrupted, match="stopped after epoch 0 of 3; no checkpoint was kept") as early:
        train(SETTINGS)
    recording = early.value.recording
    assert recording.step.values.tolist() == [0, 1]
    assert recording.attrs["epochs_done"] == 0 < recording.attrs["epochs"]


@pytest.mark.usefixtures("stopped")
def test_a_cell_that_was_stopped_leaves_no_recording(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        cell(SETTINGS)


@pytest.mark.usefixtures("stopped")
def test_a_sweep_that_was_stopped_keeps_no_half_cell(tmp_path):
    from skipglass.training import Grid

    with pytest.raises(KeyboardInterrupt):
        sweep(Grid([4.0], [0.1], ["none"], [2], seeds=[0, 1], epochs=3, width=4), tmp_path)
    assert list((tmp_path / "cells").iterdir()) == []
