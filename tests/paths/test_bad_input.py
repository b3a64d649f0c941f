"""What bad input gets: one clear line, or an honest partial answer; and everything is left as it was found."""

import math
import warnings

import numpy as np
import pytest
import torch
import torch.utils.checkpoint
from torch import nn

from skipglass import paths
from skipglass.errors import InputError
from skipglass.models import ResidualMLP

MEASURES = {
    "spectrum in blocks": lambda loss, x: paths.spectrum(loss, x, "blocks"),
    "spectrum in weights": lambda loss, x: paths.spectrum(loss, x, "weights"),
    "moments": lambda loss, x: paths.moments(loss, x, "blocks"),
    "participation": paths.participation_of,
    "weight spectrum": paths.weight_spectrum,
    "sampled paths": paths.sampled_paths,
    "outline": paths.outline,
    "census": paths.census,
}
STRUCTURE = {"outline", "census"}
"""What needs the graph alone, and neither its saved tensors nor a gradient."""


class Net(nn.Module):
    """All that a measurement might disturb: batch norm, dropout, and a block for residual merges."""

    def __init__(self):
        super().__init__()
        self.enter, self.norm, self.leave = nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2)
        self.f = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Dropout(0.2))

    def forward(self, x):
        h = self.norm(self.enter(x))
        return self.leave(h + self.f(h)).square().sum()


def net():
    torch.manual_seed(0)
    return Net(), torch.randn(5, 3, requires_grad=True)


def without_graph():
    model, x = net()
    with torch.no_grad():
        return model(x), x


def freed():
    model, x = net()
    loss = model(x)
    loss.backward()
    return loss, x


def stepped():
    model, x = net()
    loss = model(x)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.1)
    return loss, x


def without_end(value):
    def make():
        model, x = net()
        with torch.no_grad():
            model.leave.weight[0, 0] = value
        return model(x), x

    return make


def many_losses():
    model, x = net()
    return model.leave(model.enter(x)), x


def elsewhere():
    model, x = net()
    return model(x), torch.ones(2, requires_grad=True)


def partly_elsewhere():
    model, x = net()
    return model(x), (x, torch.ones(2, requires_grad=True))


def tokens():
    model, x = net()
    return model(x), torch.arange(3)


def detached():
    model, x = net()
    return model(x.detach()), x.detach()


def reentrant():
    model, x = net()
    return torch.utils.checkpoint.checkpoint(model.f, model.enter(x), use_reentrant=True).sum(), x


def compiled():
    model, x = net()
    return torch.compile(nn.Sequential(model.enter, nn.Tanh()), backend="aot_eager")(x).sum(), x


def complex_loss():
    model, x = net()
    return torch.fft.fft(model.leave(model.enter(x))).sum(), x


def without_data():
    x = torch.ones(2, 3, device="meta", requires_grad=True)
    return x.square().sum(), x


def empty():
    model, _ = net()
    x = torch.zeros(0, 3, requires_grad=True)
    return model.leave(model.enter(x)).sum(), x


def of_type(loss, x):
    def make():
        model, there = net()
        return (model(there) if loss is None else loss), (there if x is None else x)

    return make


BAD = {
    "no graph": (without_graph, "graph"),
    "a graph that was freed": (freed, "freed"),
    "weights stepped in place": (stepped, "in place"),
    "NaN": (without_end(math.nan), "NaN"),
    "infinity": (without_end(math.inf), "infinity"),
    "many losses": (many_losses, r"\(5, 2\)"),
    "an x that is elsewhere": (elsewhere, "x"),
    "an x of which a part is elsewhere": (partly_elsewhere, "x"),
    "integers": (tokens, "int64"),
    "an x without gradient": (detached, "requires_grad"),
    "a reentrant checkpoint": (reentrant, "use_reentrant=False"),
    "a compiled model": (compiled, "compile"),
    "a complex loss": (complex_loss, "complex"),
    "a loss without data": (without_data, "meta"),
    "an empty batch": (empty, r"\(0, 3\)"),
    "a number for a loss": (of_type(1.0, None), "float"),
    "a text for x": (of_type(None, "x"), "str"),
    "no x at all": (of_type(None, ()), "empty"),
}
IN_THE_GRADIENT = {"a graph that was freed", "weights stepped in place", "NaN", "infinity", "a loss without data"}


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("bad", BAD)
def test_bad_input_gets_one_line(bad, measure):
    make, text = BAD[bad]
    loss, x = make()
    if bad in IN_THE_GRADIENT and measure in STRUCTURE:
        assert MEASURES[measure](loss, x)
        return
    with pytest.raises(InputError, match=text) as caught:
        MEASURES[measure](loss, x)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("measure", MEASURES)
def test_inference_mode_gets_one_line(measure):
    model, x = net()
    loss = model(x)
    with torch.inference_mode(), pytest.raises(InputError, match="inference_mode"):
        MEASURES[measure](loss, x)


class Fails(nn.Module):
    """A model with one thing that a measurement cannot see or bear."""

    def __init__(self, how):
        super().__init__()
        self.how, self.f = how, nn.Linear(3, 3)

    def forward(self, x):
        return self.how(self.f, x)


def under_no_grad(f, x):
    with torch.no_grad():
        return f(x)


UNFIT = {
    "no graph": (under_no_grad, "detached"),
    "NaN": (lambda f, x: f(x) * math.nan, "NaN"),
    "an answer to something else": (
        lambda f, x: f(torch.ones_like(x)).sum() + 0 * x.detach().sum(),
        "x",
    ),
    "a reentrant checkpoint": (
        lambda f, x: torch.utils.checkpoint.checkpoint(f, x, use_reentrant=True),
        "use_reentrant=False",
    ),
    "no tensor": (lambda f, x: "text", "str"),
    "complex numbers": (lambda f, x: f(x) + 1j, "complex"),
    "an error of its own": (lambda f, x: f(x[:, :2]), "RuntimeError"),
}


@pytest.mark.parametrize("bad", UNFIT)
def test_a_model_that_cannot_be_measured_gets_one_line(bad):
    how, text = UNFIT[bad]
    model, x = Fails(how), torch.ones(2, 3)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    with pytest.raises(InputError, match=text) as caught:
        paths.measure(model, x)
    assert "\n" not in str(caught.value)
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())


def test_arguments_out_of_range_get_one_line():
    model, x = net()
    loss = model(x)
    for wrong, text in (
        ({"unit": "block"}, "'blocks'"),
        ({"max_length": -1}, "max_length"),
        ({"max_length": 1.5}, "max_length"),
        ({"blocks": 3}, "blocks"),
        ({"model": 3}, "int"),
    ):
        with pytest.raises(InputError, match=text):
            paths.spectrum(loss, x, **wrong)
    for measure in (paths.moments, paths.census):
        with pytest.raises(InputError, match="unit"):
            measure(loss, x, "layers")


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("measure", MEASURES)
def test_everything_is_left_as_it_was_also_after_an_error(measure, fails):
    model, x = net()
    model.train()
    model.f.eval()
    buffers = {k: v.clone() for k, v in model.state_dict().items()}
    model(x).backward()  # what the gradients are without a measurement
    expected = [p.grad.clone() for p in (*model.parameters(), x)]
    model.zero_grad(set_to_none=True)
    model.load_state_dict(buffers)
    x.grad = None
    loss = model(x)
    state = {k: v.clone() for k, v in model.state_dict().items()}
    rng = torch.get_rng_state()
    if fails:
        with pytest.raises(InputError, match="depend"):
            MEASURES[measure](loss, (x, torch.ones(2, requires_grad=True)))
        if measure not in STRUCTURE:
            with pytest.raises(InputError, match="infinity"):
                MEASURES[measure](loss * math.inf, x)
    else:
        assert MEASURES[measure](loss, x)
    assert all(torch.equal(v, state[k]) for k, v in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), rng)
    assert x.grad is None
    assert all(p.grad is None for p in model.parameters())
    assert [m.training for m in (model, model.norm, model.f)] == [True, True, False]
    assert torch.is_grad_enabled()
    loss.backward()
    for p, g in zip((*model.parameters(), x), expected, strict=True):
        torch.testing.assert_close(p.grad, g)


class Noisy(nn.Module):
    """A module with random numbers of its own."""

    def __init__(self):
        super().__init__()
        self.f, self.own = nn.Linear(3, 3), torch.Generator().manual_seed(1)
        self.others = {"a": torch.Generator().manual_seed(2)}

    def forward(self, x):
        noise = [torch.rand(3, generator=generator) for generator in (self.own, self.others["a"])]
        return x + self.f(x) * noise[0] * noise[1]


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("measure", [paths.measure, paths.participation])
def test_gradients_and_generators_of_a_model_outlive_a_loss_that_runs_backward(measure, fails):
    model, x = Noisy(), torch.randn(2, 3)
    model(x).sum().backward()
    model.f.bias.grad = None
    gradient = model.f.weight.grad
    before, states = gradient.clone(), [g.get_state() for g in (model.own, model.others["a"])]

    def loss_fn(y):
        loss = y.square().sum()
        loss.backward(retain_graph=True)
        if fails:
            raise ValueError("no")
        return loss

    if fails:
        with pytest.raises(InputError, match="ValueError: no"):
            measure(model, x, loss_fn=loss_fn)
    else:
        measure(model, x, loss_fn=loss_fn)
    assert model.f.weight.grad is gradient
    assert torch.equal(gradient, before)
    assert model.f.bias.grad is None
    for generator, state in zip((model.own, model.others["a"]), states, strict=True):
        assert torch.equal(generator.get_state(), state)


def test_a_network_without_shortcuts_has_one_length_in_blocks():
    x = torch.randn(4, 3, requires_grad=True)
    loss = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 1))(x).sum()
    s = paths.spectrum(loss, x, "blocks")
    assert s.graph.blocks == ()
    np.testing.assert_array_equal(s.lengths, [0])
    np.testing.assert_allclose(s.share, [1])
    assert paths.census(loss, x, "blocks") == {0: 1}
    assert paths.moments(loss, x, "blocks").mean == 0
    assert paths.participation_of(loss, x).blocks == ()


def test_a_model_compiled_without_autograd_is_seen():
    model, x = ResidualMLP(3, depth=3, width=4), torch.ones(2, 3, requires_grad=True)
    loss = torch.compile(model, backend="eager")(x).sum()
    assert paths.census(loss, x, model=model, unit="weights") == paths.census(model(x).sum(), x, unit="weights")


def warned(measure, *arguments):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        measure(*arguments)
    return [(str(w.message), w.filename) for w in caught]


@pytest.mark.parametrize("measure", [paths.spectrum, paths.moments, paths.census])
def test_what_may_hold_weights_is_warned_of_once_by_name(measure):
    model, x = nn.Bilinear(3, 3, 2), torch.randn(4, 3, requires_grad=True)
    twice = nn.Sequential(nn.Linear(2, 2), nn.Tanh())
    loss = (twice(model(x, x)) + twice(model(x, x.tanh()))).sum()
    [(text, where)] = warned(measure, loss, x, "weights")
    assert "Trilinear" in text
    assert where == __file__
    assert warned(measure, loss, x, "blocks") == []


def test_a_sum_in_place_on_a_slice_is_warned_of_in_blocks():
    f, x = nn.Linear(4, 2), torch.randn(3, 4, requires_grad=True)
    h = x.clone()
    h[:, :2] += f(x).tanh()
    (text, where) = warned(paths.spectrum, h.square().sum(), x, "blocks")[0]
    assert "CopySlices" in text
    assert warned(paths.participation_of, h.square().sum(), x)[0][0] == text
    assert where == __file__
    h = x + 0.0
    h[:, :2].mul_(2.0)  # nothing meets here
    assert warned(paths.spectrum, h.square().sum(), x, "blocks") == []
    assert paths.outline(h.square().sum(), x).opaque == ()
