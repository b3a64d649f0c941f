"""The training loop: the seeds do not meet, a stopped run goes on to the same numbers."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import xarray as xr

from skipglass.errors import InputError, StorageError
from skipglass.training import CHECKPOINT, Interrupted, Settings, train
from skipglass.training.mlp import MLPs

SMALL = Settings(experiment="digits", depth=3, width=8, epochs=3, seeds=(0, 1))


def plain(settings, seed):
    """The obvious loop: one network, one seed, one batch after another."""
    split = settings.data(seed)
    inputs, targets = split.inputs, split.targets
    model = replace(settings, seeds=(seed,)).model(split.features, split.classes)
    optimizer = torch.optim.SGD(
        model.parameters(), settings.learning_rate, settings.momentum, weight_decay=settings.weight_decay
    )
    generator = torch.Generator().manual_seed(seed)
    for _ in range(settings.epochs):
        order = torch.randperm(len(targets), generator=generator)
        for batch in order[: len(order) // settings.batch_size * settings.batch_size].split(settings.batch_size):
            loss = torch.nn.functional.cross_entropy(model(inputs[batch]), targets[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return [p.detach() for p in model.parameters()]


@pytest.mark.parametrize("normalization", ["none", "batch", "paper"])
def test_each_of_many_seeds_equals_a_plain_loop_alone(normalization):
    """1,008 steps in float64, with momentum and weight decay."""
    settings = replace(
        SMALL, normalization=normalization, dtype="float64", epochs=36, learning_rate=0.02, momentum=0.5,
        weight_decay=1e-4, seeds=(3, 5),
    )  # fmt: skip
    training = MLPs(settings)
    assert training.fit().steps == 1_008
    for s, seed in enumerate(settings.seeds):
        for (name, many), alone in zip(training.model.named_parameters(), plain(settings, seed), strict=True):
            torch.testing.assert_close(many[s], alone, rtol=1e-10, atol=1e-10, msg=name)


def test_the_recording_says_what_happened():
    recording = train(SMALL)
    assert recording.step.values.tolist() == [0, 1, 2, 5, 10, 20, 28, 56, 84]
    assert recording.epoch.values[-1] == 3
    assert recording.sizes == {"evaluation": 9, "seed": 2, "layer": 3}
    assert recording.attrs["epochs_done"] == 3
    assert (recording.multiplier_mean.isel(evaluation=0) == 1).all()
    np.testing.assert_allclose(recording.multiplier_norm.isel(evaluation=0), np.sqrt(8))
    assert (recording.train_loss[-1] < recording.train_loss[0]).all()
    assert (recording.test_accuracy[-1] > 0.5).all()


def test_evaluating_leaves_the_training_alone():
    """Batch norm's running statistics, the mode and the random numbers are as they were."""
    alone, measured = MLPs(SMALL), MLPs(SMALL)
    alone.fit()
    measured.fit([lambda run: measured.measure()])
    assert measured.model.training
    for p, q in zip(alone.model.state_dict().values(), measured.model.state_dict().values(), strict=True):
        assert torch.equal(p, q)


def test_an_interrupted_run_keeps_its_recording_and_resumes_to_the_same_numbers(tmp_path):
    settings = replace(SMALL, momentum=0.9)

    def interrupt(done):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(
        Interrupted, match=f"stopped after epoch 2 of 3; the checkpoint .*{CHECKPOINT} is kept"
    ) as early:
        train(settings, folder=tmp_path, on_epoch=interrupt)
    assert early.value.recording.attrs["epochs_done"] == 2
    assert early.value.recording.epoch.values[-1] == 2
    resumed = train(settings, folder=tmp_path, resume=True)
    xr.testing.assert_identical(resumed, train(settings))


def test_a_checkpoint_of_other_settings_or_a_damaged_one_is_refused(tmp_path):
    train(replace(SMALL, epochs=1), folder=tmp_path)
    with pytest.raises(StorageError, match=r"learning_rate = 0\.1, not 0\.2"):
        train(replace(SMALL, learning_rate=0.2), folder=tmp_path, resume=True)
    checkpoint = tmp_path / CHECKPOINT
    for content in (checkpoint.read_bytes()[:1000], b"", b"text"):
        checkpoint.write_bytes(content)
        with pytest.raises(StorageError, match="damaged"):
            train(SMALL, folder=tmp_path, resume=True)
    checkpoint.unlink()
    with pytest.raises(StorageError, match="no checkpoint"):
        train(SMALL, folder=tmp_path, resume=True)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"experiment": "digit"}, "did you mean 'digits'"),
        ({"seeds": ()}, "seeds is empty"),
        ({"seeds": 3}, "seeds must be a sequence"),
        ({"seeds": (0, -1)}, "each of seeds must be an integer in 0"),
        ({"seeds": (1, 1)}, "must differ"),
        ({"epochs": 0}, "epochs"),
        ({"width": 10**7}, "the weights would take .* take less width or depth, or fewer seeds"),
        ({"learning_rate": 0}, "learning_rate"),
        ({"weight_decay": -1}, "weight_decay"),
        ({"separation": float("nan")}, "separation"),
        ({"batch_size": 1.5}, "batch_size"),
        ({"dtype": "half"}, "dtype"),
    ],
)
def test_bad_settings_are_named(arguments, words):
    with pytest.raises(InputError, match=words):
        Settings(**arguments)


def test_a_batch_larger_than_the_data_is_refused():
    with pytest.raises(InputError, match="batch_size"):
        MLPs(replace(SMALL, batch_size=2_000))
