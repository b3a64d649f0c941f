"""Where a model, a loss, a hook or a backward pass failed, and what to do: all in the one line that a user gets."""

import math

import pytest
import torch
from given import Net
from torch import nn
from torch.autograd.function import once_differentiable

import skipglass as sg
from skipglass.errors import DecompositionError, InputError


class Raises(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, grad):
        raise RuntimeError("not here\nnor there")


class Nothing(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, grad):
        return None


class Once(torch.autograd.Function):
    """PyTorch leaves out in silence what its second derivative would add."""

    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        return grad * 1


class Shrinks(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, grad):
        return grad[:, :2]


def net(kind, hook):
    model = Net()
    getattr(model.f[0], f"register_{kind}_hook")(hook)
    return model


def hooked(model, h):
    if h.requires_grad:
        h.register_hook(lambda grad: grad.missing)
    return h


words = nn.Sequential(nn.Embedding(7, 4), nn.Linear(4, 2))
mixed = Net()
mixed.f.double()
X = torch.randn(5, 3)
LINEAR = r"\(Linear\), at F\.linear\(input, self\.weight, self\.bias\); "

# what goes wrong → (model, inputs, what the line says: what was raised, where, and what to do)
FAILURES = {
    "a wrong shape": (Net(), torch.randn(5, 4), r"\(5x4 and 3x4\), in enter " + LINEAR + r"check .*shape.* \(5, 4\)"),
    "a wrong type": (Net(), X.half(), "enter " + LINEAR + r".* inputs are \(5, 3\) float16.* parameters float32"),
    "types that do not fit": (mixed, X, "in f.0 " + LINEAR + ".* parameters float32, float64$"),
    "one sample": (Net(), X[:1], r"in norm \(BatchNorm1d\), at F\.batch_norm\(…\); give at least two samples"),
    "ids that are none": (words, torch.tensor([[9]]), r"in 0 \(Embedding\), at F\.embedding\(…\).* lie in 0\.\.6"),
    "ids of floats": (words, torch.ones(1, 2), r"must be integers.* \(1, 2\) float32: call \.long\(\)"),
    "an unknown argument": (Net(), {"pixels": X}, r"its forward takes \(x\): give inputs as a tuple .* or a mapping"),
    "an argument too many": (Net(), (X, X), r"its forward takes \(x\)"),
    "an error of its own": (Net(lambda m, h: m.missing), X, r"missing'.* itself \(Net\), at m\.missing; call"),
    "a hook before a module": (net("forward_pre", lambda m, given: given[0].none), X, r"f\.0 .*, at given\[0\]\.none;"),
    "a hook behind a module": (net("forward", lambda m, given, out: out.none), X, r"in f\.0 .*, at out\.none;"),
    "a hook on a gradient": (net("full_backward", lambda m, i, o: i[0].none), X, r"in a backward hook of f\.0;"),
    "a hook on a tensor": (Net(hooked), X, "at grad.missing, on the output of NativeBatchNorm at norm; a hook takes"),
    "a backward pass": (Net(lambda m, h: Raises.apply(h)), X, "here, in Raises.backward, .* custom Raises at norm;"),
    "a gradient's shape": (Net(lambda m, h: Shrinks.apply(h)), X, "custom Shrinks at norm; .* runs twice$"),
    "no gradient": (
        Net(lambda m, h: Nothing.apply(h)),
        X,
        "has none, in the operation custom Nothing at norm;",
    ),
    "a root at zero": (
        Net(lambda m, h: (h * 0).abs().sqrt()),
        X,
        "infinity, in the operation Sqrt at norm; no sum",
    ),
    "a result overwritten": (Net(lambda m, h: overwritten(h)), X, "in place .*, in the operation Mul at norm; measure"),
    "inference mode": (Net(lambda m, h: no_grad(torch.inference_mode, h)), X, r"f\.0 .* outside torch.inference_mode"),
}


def overwritten(h):
    y = h.exp()
    z = y * y.sin()
    y.add_(1)
    return z


def no_grad(context, h):
    with context():
        return h * 2


@pytest.mark.filterwarnings("ignore:what these operations may hold")
@pytest.mark.parametrize("what", FAILURES)
def test_a_failure_is_told_by_module_and_operation_with_what_to_do(what):
    model, inputs, text = FAILURES[what]
    with pytest.raises(InputError, match=text) as caught:
        sg.paths.spectrum(sg.trace(model, inputs))
    assert "\n" not in str(caught.value)
    # PyTorch's own is one step away, where it has raised one
    assert isinstance(caught.value.__cause__, Exception) or what == "a root at zero"
    assert not isinstance(caught.value.__cause__, InputError)


@pytest.mark.parametrize(
    ("how", "text"),
    [
        (lambda m, h: Raises.apply(h), "here, in Raises.backward, in the operation custom Raises at norm; .* twice$"),
        (lambda m, h: overwritten(h), "in place .*, in the operation Mul at norm; measure"),
        (lambda m, h: Once.apply(h), "once_differentiable: custom Once; write it with differentiable operations"),
    ],
)
@pytest.mark.parametrize("theorem", [False, True])
def test_what_fails_while_scales_are_driven_is_told_by_operation_and_module(how, text, theorem):
    with pytest.raises(InputError, match=text):
        sg.scales.drift(Net(how), X, torch.arange(5) % 2, theorem=theorem)


def test_a_hook_that_works_in_place_is_told_by_its_tensor():
    def halves(grad):
        grad.mul_(0.5)

    def how(model, h):
        h.register_hook(halves)
        return h

    with pytest.raises(DecompositionError, match="a hook on a tensor, the output of NativeBatchNorm at norm, changes"):
        sg.paths.spectrum(sg.trace(Net(how), X))


@pytest.mark.parametrize(
    ("loss_fn", "targets", "text"),
    [
        (lambda y: y.sum(), X, r"TypeError.*; it is called with outputs \(5, 2\) float32 and targets \(5, 3\) float32"),
        (lambda y, t: t.sum(), None, r"outputs \(5, 2\) float32 alone, as there are no targets"),
        (lambda y: y.missing, None, r"AttributeError.*, at y\.missing; it is called"),
    ],
)
def test_a_loss_that_fails_is_told_with_what_it_was_called_with(loss_fn, targets, text):
    with pytest.raises(InputError, match="loss_fn raised .*" + text):
        sg.trace(Net(), X, targets, loss_fn)


def test_a_pass_that_succeeds_is_watched_by_nothing(monkeypatch):
    """No hook is registered on a module or on an operation unless a pass has failed."""
    calls = []
    for owner, name in ((nn.modules.module, "register_module_forward_pre_hook"), (nn.Module, "register_forward_hook")):
        monkeypatch.setattr(owner, name, lambda *given, name=name: calls.append(name))
    monkeypatch.setattr("skipglass.graph.failures.traceback.walk_tb", lambda *given: calls.append("walk_tb"))
    assert math.isclose(sg.paths.spectrum(sg.trace(Net(), X)).share.sum(), 1, rel_tol=1e-5)
    assert calls == []
