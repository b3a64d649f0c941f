"""A trace: what it is made from, that it analyses once, what it leaves behind, and that its numbers are the same."""

import random
import sys
import warnings
from collections import Counter

import numpy as np
import pytest
import torch
from cases import CASES
from torch import nn
from torch.utils.checkpoint import checkpoint

import skipglass as sg
from skipglass.errors import InputError
from skipglass.graph import Trace, as_trace, trace
from skipglass.models import ResidualMLP


class Checkpointed(nn.Module):
    """Residual blocks with batch norm and dropout that are run again in the backward pass."""

    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Dropout(0.2)) for _ in range(3)
        )

    def forward(self, h):
        for block in self.blocks:
            h = h + checkpoint(block, h, use_reentrant=False)
        return h


def squares(y, target=0.0):
    return (y - target).square().sum()


@pytest.fixture
def mlp():
    torch.manual_seed(0)
    return ResidualMLP(5, depth=4, width=8, normalization="none").double().eval()


@pytest.fixture
def inputs():
    return torch.randn(6, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def live(model, inputs):
    x = inputs.clone().requires_grad_()
    return squares(model(x)), x


def test_a_trace_is_made_in_four_ways_and_means_the_same(mlp, inputs):
    loss, x = live(mlp, inputs)
    same = [
        trace(mlp, inputs, loss_fn=squares),
        trace(mlp, inputs, torch.zeros(()), lambda y, t: squares(y, t)),
        trace(loss=loss, x=x, model=mlp),
        as_trace(loss, x, mlp),
    ]
    for t in same:
        assert isinstance(t, Trace)
        assert [b.name for b in t.outline.blocks] == ["layers.1", "layers.2", "layers.3"]
        torch.testing.assert_close(t.gradient, same[0].gradient)
        assert t.independent_samples
    assert as_trace(same[0]) is same[0]
    assert [b.name for b in trace(loss=loss, x=x).outline.blocks] == ["block 0", "block 1", "block 2"]
    assert isinstance(same[0].outputs, torch.Tensor)
    assert same[2].outputs is None
    assert repr(same[0]).startswith("Trace(ResidualMLP, ")


def test_chosen_blocks_belong_to_the_trace(mlp, inputs):
    t = trace(mlp, inputs, blocks=["layers.2"])
    assert [b.name for b in t.outline.blocks] == ["layers.2"]
    assert len(t.counted("blocks")) == 1


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda m, a, loss, x: trace(m), "either .model, inputs. or both loss"),
        (lambda m, a, loss, x: trace(m, a, loss=loss, x=x), "either .model, inputs. or both loss"),
        (lambda m, a, loss, x: trace(loss=loss), "both loss=… and x=…"),
        (lambda m, a, loss, x: trace(inputs=a), "the model that is to be called"),
        (lambda m, a, loss, x: trace("m", a), "must be a torch.nn.Module, not str"),
        (lambda m, a, loss, x: trace(m, a, loss_fn=lambda y: y), "must be a scalar"),
        (lambda m, a, loss, x: trace(m, a, blocks=["layers.9"]), "no residual block is called 'layers.9'"),
        (lambda m, a, loss, x: as_trace(loss), "x is missing"),
        (lambda m, a, loss, x: as_trace(trace(m, a), x), "holds its own x, model and blocks"),
        (lambda m, a, loss, x: as_trace(trace(m, a), model=m), "holds its own x, model and blocks"),
        (lambda m, a, loss, x: trace(loss=loss.detach(), x=x).graph, "has no graph"),
        (lambda m, a, loss, x: trace(loss=loss, x=x.detach()).graph, "requires no gradient"),
        (lambda m, a, loss, x: trace(loss=loss, x=x).counted("layers"), "unit must be one of"),
    ],
)
def test_what_makes_no_trace_is_one_clear_error(mlp, inputs, ask, message):
    with pytest.raises(InputError, match=message):
        ask(mlp, inputs, *live(mlp, inputs))


def test_one_measurement_analyses_the_graph_once(mlp, inputs, monkeypatch):
    calls = Counter()
    once = ["read", "read_outline", "classify", "reference", "find_hooks", "apart"]
    for name in once:
        place = sys.modules["skipglass.graph.outline" if name == "classify" else "skipglass.graph.trace"]
        original = getattr(place, name)

        def counted(*args, original=original, name=name, **named):
            calls[name] += 1
            return original(*args, **named)

        monkeypatch.setattr(place, name, counted)
    sg.measure(mlp, inputs)
    assert calls == dict.fromkeys(once, 1)


@pytest.mark.parametrize("unit", ["blocks", "weights"])
@pytest.mark.parametrize("name", ["residual MLP", "nested", "pre-activation ResNet", "GPT-2"])
def test_every_quantity_of_a_trace_is_that_of_loss_and_x(name, unit):
    torch.manual_seed(0)
    model, loss, x = CASES[name].make()
    t = trace(loss=loss, x=x, model=model)
    pairs = [
        (sg.paths.spectrum(t, unit=unit), sg.paths.spectrum(loss, x, unit=unit, model=model)),
        (sg.paths.moments(t, unit=unit), sg.paths.moments(loss, x, unit=unit, model=model)),
    ]
    if name != "GPT-2":
        pairs.append((sg.paths.participation(t), sg.paths.participation_of(loss, x, model=model)))
    for a, b in pairs:
        for field in ("norm", "share", "share_per_sample", "effective_depth", "mean", "variance"):
            if hasattr(a, field):
                np.testing.assert_array_equal(getattr(a, field), getattr(b, field))
        assert a.error == pytest.approx(b.error, abs=1e-15)  # a trace that knows its samples takes a shorter check
    assert sg.paths.census(t, unit=unit) == sg.paths.census(loss, x, unit=unit, model=model)
    assert str(sg.paths.outline(t)) == str(sg.paths.outline(loss, x, model=model))


def state_of(model):
    generators = torch.get_rng_state().tolist(), random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002
    return (
        [b.clone().tolist() for b in model.buffers()],
        [None if p.grad is None else p.grad.tolist() for p in model.parameters()],
        [p.requires_grad for p in model.parameters()],
        [m.training for m in model.modules()],
        generators,
    )


@pytest.mark.parametrize(
    "read", ["graph", "outline", "gradient", "hooks", "independent_samples", "spectrum", "participation", "moments"]
)
@pytest.mark.parametrize("build", [Checkpointed, lambda: ResidualMLP(4, 4, depth=3, width=4)])
def test_a_trace_leaves_the_model_as_found(build, read):
    torch.manual_seed(0)
    model, inputs = build().train(), torch.randn(6, 4)
    model(inputs).sum().backward()
    before = state_of(model)
    t = trace(model, inputs, loss_fn=squares)
    assert state_of(model) == before
    if hasattr(sg.paths, read):
        getattr(sg.paths, read)(t)
    else:
        getattr(t, read)
    assert state_of(model) == before


def test_gradients_that_tensors_retain_are_as_before(inputs):
    x = inputs.clone().requires_grad_()
    h = x.sin()
    y = h + torch.tanh(h @ nn.Parameter(torch.eye(5, dtype=h.dtype)))
    for kept in (h, y):
        kept.retain_grad()
    squares(y).backward(retain_graph=True)
    before = [h.grad.clone(), y.grad.clone(), x.grad.clone()]
    t = trace(loss=squares(y), x=x)
    assert t.independent_samples
    sg.paths.spectrum(t)
    for kept, old in zip((h, y, x), before, strict=True):
        assert torch.equal(kept.grad, old)


def test_a_doubt_is_warned_of_once_at_the_users_line():
    x = torch.randn(3, 4, requires_grad=True)
    t = trace(loss=squares(x @ torch.ones(4, 4)), x=x)
    with pytest.warns(UserWarning, match="not counted as weights") as caught:
        sg.paths.census(t, unit="weights")
    assert [warning.filename for warning in caught] == [__file__]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sg.paths.census(t, unit="weights")
        sg.paths.moments(t, unit="weights")
