"""A monitor records what the measurements give at that step, and the training does not know of it."""

import copy
import logging

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import xarray as xr
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.checkpoint import checkpoint

import skipglass as sg
from skipglass.errors import InputError, StorageError
from skipglass.models import CifarResNet, ResidualMLP
from skipglass.watch import Recording, huggingface_callback, lightning_callback
from skipglass.watch.monitor import is_due


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.inner, self.norm, self.outer = nn.Linear(width, width), nn.BatchNorm1d(width), nn.Linear(width, width)
        self.drop = nn.Dropout(0.3)

    def forward(self, x):
        return x + self.outer(self.drop(self.norm(self.inner(x)).relu()))


def network(dtype=torch.float32, blocks=3):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 8), *(Block(8) for _ in range(blocks)), nn.Linear(8, 3)).to(dtype)


def batch(n=12, dtype=torch.float32):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(n, 5, generator=generator, dtype=dtype), torch.randint(3, (n,), generator=generator)


def train(model, steps, each=lambda: None, run=None):
    """SGD with momentum on fresh random batches; returns everything the training ended with."""
    optimizer = torch.optim.SGD(model.parameters(), 0.05, momentum=0.9)
    for _ in range(steps):
        x, y = torch.randn(6, 5), torch.randint(3, (6,))
        optimizer.zero_grad()
        F.cross_entropy((run or model)(x), y).backward()
        optimizer.step()
        each()
    grads = {f"{k}.grad": p.grad for k, p in model.named_parameters()}
    return {**model.state_dict(), **grads, "rng": torch.get_rng_state()}


@pytest.mark.parametrize("mode", ["frozen", "eval", "train"])
def test_training_with_a_monitor_is_bit_identical(mode):
    plain = network()
    torch.manual_seed(3)
    expected = train(plain, 12)
    model = network()
    torch.manual_seed(3)
    monitor = sg.Monitor(model, probe=batch(), loss_fn=F.cross_entropy, every=3, mode=mode, spectrum_every=6)
    found = train(model, 12, monitor.step)
    assert len(monitor.recording.rows) == 7
    assert not monitor.recording.notes
    assert model.training
    for name, value in expected.items():
        assert torch.equal(found[name], value), name


@pytest.mark.parametrize("mode", ["frozen", "eval", "train"])
def test_the_recording_holds_what_the_measurements_give(mode):
    model, (x, y) = network(torch.float64), batch(dtype=torch.float64)
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0  # so that the training mode can be repeated without the monitor's random numbers
    monitor = sg.Monitor(model, probe=(x, y), loss_fn=F.cross_entropy, every=4, spectrum_every=4, mode=mode)
    train(model.float(), 0)
    model.double()
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.1 * torch.randn_like(p))
        for module in model.modules():
            if isinstance(module, nn.BatchNorm1d):
                module.running_var.uniform_(0.5, 2.0)
    for _ in range(4):
        monitor.step()
    twin = copy.deepcopy(model).train(mode == "train")
    if mode == "frozen":
        set_statistics(twin, x)
    part = sg.paths.participation(twin, x, y, F.cross_entropy)
    row = monitor.recording.to_xarray().sel(evaluation=3)
    assert int(row.step) == 4
    np.testing.assert_allclose(row.effective_depth, part.effective_depth, rtol=1e-9)
    np.testing.assert_allclose(row.participation, part.share, rtol=1e-9)
    assert row.block.values.tolist() == ["1", "2", "3"] == list(part.blocks)
    trace = sg.trace(twin, x, y, F.cross_entropy)
    split = sg.paths.spectrum(trace)
    np.testing.assert_allclose(row.loss, float(trace.loss.detach()), rtol=1e-12)
    np.testing.assert_allclose(row.share, split.share, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(row.length_norm, split.norm, rtol=1e-9)
    np.testing.assert_allclose(float((row.share * row.length).sum()), row.effective_depth, rtol=1e-9)
    if mode != "eval":
        np.testing.assert_allclose(row.loss, float(F.cross_entropy(twin.train()(x), y).detach()), rtol=1e-12)
    if mode == "train":
        assert np.isnan(row.effective_depth_median)
        assert np.isnan(row.effective_depth_per_sample).all()
    else:
        np.testing.assert_allclose(row.effective_depth_per_sample, part.effective_depth_per_sample, rtol=1e-9)
        np.testing.assert_allclose(row.effective_depth_median, np.median(part.effective_depth_per_sample), rtol=1e-9)
        np.testing.assert_allclose(row.participation_median, np.median(part.share_per_sample, axis=1), rtol=1e-9)
    for name, measure in (("absorbed_norm", sg.scales.absorbed_norms), ("weight_norm", sg.scales.weight_norms)):
        expected = measure(model, x)
        assert row.layer.values.tolist() == list(expected)
        np.testing.assert_allclose(row[name], [float(v) for v in expected.values()])
    norms = [float(m.weight.detach().norm()) for m in model.modules() if isinstance(m, nn.BatchNorm1d)]
    np.testing.assert_allclose(row.multiplier_norm, norms)


@pytest.mark.parametrize("normalized", [True, False])
def test_several_modes_record_what_a_monitor_of_each_does(normalized):
    """Without batch norm or dropout the modes are one, and measured once."""
    model, (x, y) = network(torch.float64), batch(dtype=torch.float64)
    if not normalized:
        for block in model[1:-1]:
            block.norm, block.drop = nn.Identity(), nn.Identity()
    calls = []
    modes = ("eval", "frozen", "train")

    def loss_fn(outputs, targets):
        calls.append(1)
        return F.cross_entropy(outputs, targets)

    def pair(mode):
        return sg.Monitor(model, probe=(x, y), loss_fn=loss_fn, every=1, spectrum_every=2, mode=mode)

    together, alone = pair(modes), {mode: pair(mode) for mode in modes}
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.1 * torch.randn_like(p))
    calls.clear()
    together.step()
    assert len(calls) == (3 if normalized else 2)
    for monitor in alone.values():
        monitor.step()
    data = together.recording.to_xarray()
    first = alone["eval"].recording.to_xarray()
    xr.testing.assert_identical(data[list(first)].drop_attrs(), first.drop_attrs())
    for mode in modes[1:]:
        seen = alone[mode].recording.to_xarray()
        for name in ("effective_depth", "participation", "effective_depth_median", "participation_median"):
            np.testing.assert_allclose(data[f"{name}_{mode}"], seen[name], rtol=1e-12, err_msg=f"{name} {mode}")
    assert data.attrs["mode"] == "eval, frozen, train"
    again = pair(modes)
    again.load_state_dict(together.state_dict())
    xr.testing.assert_identical(again.recording.to_xarray(), data)
    with pytest.raises(StorageError, match="mode = eval"):
        again.load_state_dict(alone["eval"].state_dict())


def test_a_mode_that_fails_leaves_the_others_theirs():
    model = network()
    calls = []

    def loss_fn(outputs, targets):
        calls.append(1)
        if len(calls) == 5:  # the second evaluation's second mode
            raise KeyError("lost")
        return F.cross_entropy(outputs, targets)

    monitor = sg.Monitor(model, probe=batch(), loss_fn=loss_fn, every=1, mode=("eval", "frozen", "train"))
    monitor.step()
    data = monitor.recording.to_xarray()
    assert "step 1: not measured in mode 'frozen', InputError: loss_fn raised KeyError" in data.notes
    depths = [data[f"effective_depth{mode}"][1] for mode in ("", "_frozen", "_train")]
    assert np.isnan(depths).tolist() == [False, True, False]


class Hidden(nn.Module):
    """A recurrent network, whose weights are inside one operation, behind a batch norm that nothing takes up."""

    def __init__(self):
        super().__init__()
        self.norm, self.cell, self.head = nn.BatchNorm1d(5), nn.LSTM(5, 4), nn.Linear(4, 2)

    def forward(self, x):
        return self.head(self.cell(self.norm(x)[None])[0][0])


@pytest.mark.parametrize(
    ("model", "words"),
    [(nn.Sequential(nn.Flatten(), Hidden()), "1.norm"), (nn.LSTM(5, 4), "no weight that contracts the signal")],
)
def test_scales_that_cannot_be_read_are_said_once(model, words, caplog):
    """Before: left out without a word."""

    def loss_fn(outputs):
        return (outputs[0] if isinstance(outputs, tuple) else outputs).sum()

    with caplog.at_level(logging.WARNING, "skipglass.watch"):
        monitor = sg.Monitor(model, probe=(batch()[0], None), loss_fn=loss_fn, every=1)
        monitor.step()
    (note,) = monitor.recording.notes
    assert words in note
    assert caplog.messages == [note]
    assert monitor.recording.to_xarray().notes == note


def set_statistics(model, x):
    """Layer by layer, the mean and variance of x, by which training mode normalises it."""
    for module in model:
        if isinstance(module, Block):
            z = module.inner(x).detach()
            module.norm.running_mean.copy_(z.mean(0))
            module.norm.running_var.copy_(z.var(0, unbiased=False))
        x = module.eval()(x)


@pytest.mark.parametrize("form", ["plain", "in place", "reversed", "alpha", "subtracted", "taken from"])
def test_the_gain_is_the_ratio_of_what_is_added(form):
    seen = []

    class Adding(nn.Module):
        def __init__(self):
            super().__init__()
            self.f = nn.Linear(5, 5)

        def forward(self, x):
            x = x * 2
            branch = self.f(x).tanh() * 2
            factor = 3 if form in {"alpha", "taken from"} else 1
            seen[:] = [float(factor * branch.norm() / x.norm())]
            if form == "in place":
                branch += x
                return branch
            if form == "alpha":
                return torch.add(x, branch, alpha=3)
            if form == "taken from":
                return torch.rsub(branch, x, alpha=3)
            if form == "subtracted":
                return x - branch
            return branch + x if form == "reversed" else x + branch

    torch.manual_seed(0)
    monitor = sg.Monitor(Adding(), probe=(batch()[0], None), every=1)
    (gain,) = monitor.recording.rows[0]["gain"]
    assert gain == pytest.approx(seen[0], rel=1e-5)
    assert monitor.recording.rows[0]["blocks"] == ["f"]


def test_the_schedule_is_dense_early():
    assert [k for k in range(700) if is_due(k, 250)] == [0, 1, 2, 5, 10, 20, 50, 100, 200, 250, 500]
    assert [k for k in range(7) if is_due(k, 3)] == [0, 1, 2, 3, 6]
    assert [k for k in range(4) if is_due(k, 1)] == [0, 1, 2, 3]
    monitor = sg.Monitor(network(), probe=batch(), every=3, spectrum_every=6)
    measured = [k for k in range(1, 13) if monitor.step()]
    assert measured == [1, 2, 3, 6, 9, 12]
    assert [row["step"] for row in monitor.recording.rows if "share" in row] == [0, 6, 12]
    data = monitor.recording.to_xarray()
    assert np.isnan(data.share.sel(evaluation=1)).all()
    never = sg.Monitor(network(), probe=batch(), every=1, spectrum_every=0)
    assert "share" not in never.recording.to_xarray()
    before = len(never.recording.rows)
    never.evaluate()
    assert len(never.recording.rows) == before  # this step is there


def test_a_probe_that_fails_is_noted_and_the_training_goes_on(caplog):
    calls = []

    def loss_fn(outputs, targets):
        calls.append(1)
        if len(calls) == 2:
            raise KeyError("lost")
        return F.cross_entropy(outputs, targets)

    model = network()
    monitor = sg.Monitor(model, probe=batch(), loss_fn=loss_fn, every=1)
    state = copy.deepcopy(model.state_dict())
    with caplog.at_level(logging.WARNING, "skipglass.watch"):
        monitor.step()
    assert "step 1: not measured, InputError: loss_fn raised KeyError" in caplog.text
    assert model.training
    for name, value in model.state_dict().items():
        assert torch.equal(value, state[name])
    monitor.step()
    with torch.no_grad():
        model[0].weight.fill_(torch.nan)
    monitor.step()
    data = monitor.recording.to_xarray()
    assert data.step.values.tolist() == [0, 1, 2, 3]
    assert np.isnan(data.effective_depth).values.tolist() == [False, True, False, True]
    assert np.isfinite(data.weight_norm[1]).all()
    assert data.notes.count("\n") == 1
    assert "NaN" in data.notes.split("\n")[1]
    assert str(monitor.recording).endswith(data.notes)
    assert repr(monitor).endswith("now at 3: Recording(4 evaluations, last at step 3, 0 observations))")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"probe": torch.ones(2, 5)}, "must be \\(inputs, targets\\)"),
        ({"probe": (torch.ones(2, 7), None)}, "the model raised"),
        ({"every": 0}, "every"),
        ({"every": 4, "spectrum_every": 6}, "multiple of every = 4"),
        ({"mode": "evl"}, "did you mean 'eval'"),
        ({"mode": ("eval", "eval")}, "several that differ"),
        ({"mode": ()}, "several that differ"),
        ({"unit": "block"}, "did you mean 'blocks'"),
        ({"model": ResidualMLP(5, 3, seeds=(0, 1))}, "several seeds"),
        ({"model": "resnet"}, "torch.nn.Module"),
    ],
)
def test_what_is_wrong_is_said_when_the_monitor_is_made(arguments, words):
    with pytest.raises(InputError, match=words):
        sg.Monitor(**{"model": network(), "probe": batch(), **arguments})


def test_a_resumed_run_has_the_same_recording(tmp_path):
    def started():
        torch.manual_seed(5)
        model = network()
        return model, sg.Monitor(model, probe=batch(), every=2, spectrum_every=4)

    model, monitor = started()
    train(model, 8, monitor.step)
    model, first = started()
    train(model, 3, first.step)
    torch.save({"monitor": first.state_dict(), "model": model.state_dict()}, tmp_path / "checkpoint.pt")
    state = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    live = first.state_dict()
    _, second = started()
    second.load_state_dict(state["monitor"])
    assert second.steps == 3
    xr.testing.assert_identical(second.recording.to_xarray(), first.recording.to_xarray())
    first.step()
    assert len(live["rows"]) == len(second.recording.rows) == len(first.recording.rows) - 1  # the state is a copy
    for _ in range(5):
        second.step()
    assert [row["step"] for row in second.recording.rows] == [row["step"] for row in monitor.recording.rows]
    for wrong, words in (
        ({}, "every = None"),
        ([], "list"),
        ({**first.state_dict(), "every": 7}, "every = 7, the monitor 2"),
        ({**first.state_dict(), "mode": "train"}, "mode = train"),
        ({**first.state_dict(), "steps": "3"}, "count of steps"),
        ({**first.state_dict(), "rows": [{}]}, "no recording"),
    ):
        with pytest.raises(StorageError, match=words):
            second.load_state_dict(wrong)


def test_a_live_loss_is_observed_and_stays_usable():
    model, (x, y) = network(torch.float64).eval(), batch(dtype=torch.float64)
    monitor = sg.Monitor(model, probe=(x, y), every=5, mode="eval")
    x.requires_grad_()
    loss = F.cross_entropy(model(x), y)
    monitor.step()
    monitor.observe(loss, x)
    split, moment = sg.paths.spectrum(loss, x, "blocks"), sg.paths.moments(loss, x, "blocks")
    loss.backward()
    data = monitor.recording.to_xarray()
    assert data.observed_step.values.tolist() == [1]
    np.testing.assert_allclose(data.observed_share[0], split.share)
    np.testing.assert_allclose([data.observed_mean[0], data.observed_variance[0]], [moment.mean, moment.variance])
    np.testing.assert_allclose(data.observed_mean[0], data.effective_depth[0], rtol=1e-9)


def test_beside_a_compiled_loop():
    model = network()
    compiled = torch.compile(model, backend="eager")
    monitor = sg.Monitor(compiled, probe=batch(), every=2)
    torch.manual_seed(3)
    found = train(model, 4, monitor.step, compiled)
    plain = network()
    torch.manual_seed(3)
    for name, value in train(plain, 4, run=torch.compile(plain, backend="eager")).items():
        assert torch.equal(found[name], value), name
    assert monitor.recording.rows[0]["blocks"] == ["1", "2", "3"]
    assert not monitor.recording.notes


def test_networks_of_other_kinds(tmp_path):
    """Pre-activation; the paper's, whose scale is no batch norm; none at all; ids and a mapping; no block."""
    images = torch.randn(3, 3, 32, 32)
    data = sg.Monitor(CifarResNet(8, width=0.25, preactivation=True), probe=(images, None)).recording.to_xarray()
    assert data.layer.values[-1] == "linear"
    assert data.norm.values[0] == "layer1.0.bn1"
    x, _ = batch()
    data = sg.Monitor(ResidualMLP(5, 3, depth=4, normalization="paper"), probe=(x, None)).recording.to_xarray()
    assert data.norm.values.tolist() == data.layer.values.tolist() == [f"layers.{l}" for l in range(4)]
    np.testing.assert_array_equal(data.multiplier_norm, 1)
    bare = nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 2))
    monitor = sg.Monitor(bare, probe=({"input": x}, None), unit="weights")
    data = monitor.recording.to_xarray()
    assert "multiplier_norm" not in data
    assert "participation" not in data
    assert data.effective_depth.item() == 0
    assert data.share.sel(length=2).item() == pytest.approx(1)
    assert sg.record.load(monitor.save(tmp_path / "watched.nc"), "monitor").equals(data)


def test_the_probe_is_a_copy():
    model, (x, y) = network(torch.float64), batch(dtype=torch.float64)
    monitor = sg.Monitor(model, probe=(x, y), every=1)
    x.zero_()
    monitor.step()
    first, second = monitor.recording.rows
    assert first["loss"] == second["loss"]


@pytest.mark.parametrize("mode", ["frozen", "eval", "train"])
def test_the_same_network_measures_the_same_again(mode):
    """With dropout, other random numbers in between, and a layer that writes to its input."""
    model = nn.Sequential(nn.LeakyReLU(inplace=True), *network())
    monitor = sg.Monitor(model, probe=batch(), every=1, mode=mode)
    torch.rand(7)
    monitor.step()
    first, second = monitor.recording.rows
    assert not monitor.recording.notes
    assert first["loss"] == second["loss"]
    assert first["participation"] == second["participation"]


def test_lengths_and_blocks_that_come_and_go_are_aligned():
    """A length that no path has counts 0, a block that was not there is NaN, as is what was not measured."""
    rows = [
        {"step": 0, "lengths": [1, 2], "share": [0.4, 0.6], "blocks": ["a"], "participation": [0.3]},
        {"step": 1, "lengths": [2, 3], "share": [0.9, 0.1], "blocks": ["b", "a"], "participation": [0.5, 0.7]},
        {"step": 2},
    ]
    data = Recording(rows).to_xarray()
    nan = np.nan
    np.testing.assert_array_equal(data.share, [[0.4, 0.6, 0], [0, 0.9, 0.1], [nan] * 3])
    assert data.block.values.tolist() == ["a", "b"]
    np.testing.assert_array_equal(data.participation, [[0.3, nan], [0.7, 0.5], [nan] * 2])


def test_tensorboard_reads_the_scalars_back(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    monitor = sg.Monitor(network(), probe=batch(), every=1, mode="train", tensorboard=tmp_path)
    monitor.step()
    events = EventAccumulator(str(tmp_path)).Reload()
    tags = events.Tags()["scalars"]
    for row in monitor.recording.rows:
        for tag, value in (
            ("effective_depth", row["effective_depth"]),
            ("participation/2", row["participation"][1]),
            ("absorbed_norm/1.inner", row["absorbed_norm"][1]),
            ("multiplier_norm/1.norm", row["multiplier_norm"][0]),
        ):
            (scalar,) = [s for s in events.Scalars(tag) if s.step == row["step"]]
            assert scalar.value == pytest.approx(value, rel=1e-6)
    assert "effective_depth_median" not in tags  # undefined where samples mix


def test_hugging_face_steps_with_the_optimizer():
    transformers = pytest.importorskip("transformers")
    monitor = sg.Monitor(network(), probe=batch(), every=2)
    callback = huggingface_callback(monitor)
    assert isinstance(callback, transformers.TrainerCallback)
    state = transformers.TrainerState(is_world_process_zero=True)
    for state.global_step in (1, 2, 3, 4):
        callback.on_step_end(None, state, None, model=None)
    assert [row["step"] for row in monitor.recording.rows] == [0, 1, 2, 4]
    state.global_step = 4
    callback.on_step_end(None, state, None)  # gradients were accumulated
    assert monitor.steps == 4
    state.is_world_process_zero = False
    state.global_step = 6
    callback.on_step_end(None, state, None)
    assert monitor.steps == 4


@pytest.mark.zoo
@pytest.mark.filterwarnings("ignore:.isinstance.treespec, LeafSpec:FutureWarning")  # Lightning's own
def test_lightning_steps_with_the_optimizer_and_keeps_the_state(tmp_path):
    lightning = pytest.importorskip("lightning.pytorch")

    class Module(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.net = network()

        def training_step(self, batch, _):
            return F.cross_entropy(self.net(batch[0]), batch[1])

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), 0.1)

    module = Module()
    monitor = sg.Monitor(module.net, probe=batch(), every=2)
    data = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(*batch(16)), batch_size=2)
    trainer = lightning.Trainer(
        max_epochs=1, accumulate_grad_batches=2, callbacks=[lightning_callback(monitor)], logger=False,
        enable_progress_bar=False, enable_model_summary=False, accelerator="cpu", default_root_dir=tmp_path,
    )  # fmt: skip
    trainer.fit(module, data)
    assert [row["step"] for row in monitor.recording.rows] == [0, 1, 2, 4]
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    states = torch.load(tmp_path / "last.ckpt", weights_only=True)["callbacks"].values()
    other = sg.Monitor(network(), probe=batch(), every=2)
    other.load_state_dict(next(s for s in states if "rows" in s))
    assert len(other.recording.rows) == 4


@pytest.mark.zoo
def test_the_trainer_of_hugging_face_is_watched(tmp_path):
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("accelerate")
    settings = transformers.LlamaConfig(
        vocab_size=11, hidden_size=8, intermediate_size=12, num_hidden_layers=2, num_attention_heads=2
    )
    tokens = torch.randint(11, (16, 6))
    states = []
    for watched in (True, False):
        torch.manual_seed(0)
        model = transformers.LlamaForCausalLM(settings)
        monitor = sg.Monitor(model, probe=({"input_ids": tokens[:4], "labels": tokens[:4]}, None), every=2)
        arguments = transformers.TrainingArguments(
            tmp_path, max_steps=4, per_device_train_batch_size=2, gradient_accumulation_steps=2, report_to=[],
            use_cpu=True, disable_tqdm=True, logging_strategy="no", save_strategy="no",
        )  # fmt: skip
        data = [{"input_ids": row, "labels": row} for row in tokens]
        callbacks = [huggingface_callback(monitor)] if watched else []
        transformers.Trainer(model, arguments, train_dataset=data, callbacks=callbacks).train()
        states.append(model.state_dict())
        if watched:
            assert [row["step"] for row in monitor.recording.rows] == [0, 1, 2, 4]
            assert monitor.recording.to_xarray().sizes["block"] == 4
    for name, value in states[0].items():
        torch.testing.assert_close(value, states[1][name], rtol=0, atol=0)  # watching changes no step


class Attention(nn.Module):
    """h + attention(norm(h)) by the fused kernel, checkpointed or not."""

    def __init__(self, checkpointed):
        super().__init__()
        self.norm, self.qkv, self.out = nn.LayerNorm(8), nn.Linear(8, 24), nn.Linear(8, 8)
        self.checkpointed = checkpointed

    def attended(self, h):
        q, k, v = self.qkv(self.norm(h)).unflatten(-1, (3, 2, 4)).permute(2, 0, 3, 1, 4)
        return self.out(nn.functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))

    def forward(self, h):
        return h + (checkpoint(self.attended, h, use_reentrant=False) if self.checkpointed else self.attended(h))


@pytest.mark.parametrize("checkpointed", [False, True])
def test_fused_attention_is_measured_as_it_runs(checkpointed):
    torch.manual_seed(0)
    model = nn.Sequential(*(Attention(checkpointed) for _ in range(3))).double()
    x = torch.randn(4, 6, 8, dtype=torch.float64)
    monitor = sg.Monitor(model, probe=(x, None), loss_fn=lambda outputs: outputs.square().sum(), every=1)
    monitor.step()
    with sdpa_kernel(SDPBackend.MATH):
        plain = sg.paths.participation_of(sg.trace(model, x, None, lambda outputs: outputs.square().sum()))
    found = monitor.recording.to_xarray().participation.isel(evaluation=0)
    np.testing.assert_allclose(found.values, plain.share, rtol=1e-9)
