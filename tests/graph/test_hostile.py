"""Sixty kinds of bad input to every public function that runs a model or reads its backward pass.

Each gets an answer or one clear line, whatever PyTorch would have raised, and finds everything as it was.
"""

import math
import random
import re
from contextlib import suppress

import numpy as np
import pytest
import torch
import torch.utils.checkpoint
from given import Net
from torch import nn

import skipglass as sg
from skipglass.errors import UserError


class Short(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, grad):
        return grad[:, :2]


class Raises(Short):
    @staticmethod
    def backward(ctx, grad):
        raise RuntimeError("boom\nand more")


def inside(context):
    def how(net, h):
        with context():
            return h * 2

    return how


def raises(error):
    def how(net, h):
        raise error

    return how


def disturbs(net, h):
    """Change all that a forward pass can, and fail."""
    with torch.no_grad():
        net.norm.running_mean.add_(1)
    net.eval()
    net.f[0].weight.requires_grad_(False)
    net.f[0].weight.grad = torch.zeros(4, 4)
    net.f[0].register_forward_hook(lambda *given: None)
    torch.rand(3), np.random.rand(3), random.random()  # noqa: NPY002
    raise ValueError("after the change")


def overwritten(net, h):
    y = h.exp()
    z = y * y.sin()
    y.add_(1)
    return z


def tensor_hook(net, h):
    if h.requires_grad:
        h.register_hook(lambda grad: grad.missing)
    return h


class Plain(nn.Module):
    """A block that TorchScript can compile."""

    def __init__(self):
        super().__init__()
        self.norm, self.f = nn.BatchNorm1d(4), nn.Linear(4, 4)

    def forward(self, x):
        return x + self.f(self.norm(x)).relu()


def of_inference():
    with torch.inference_mode():
        return Net()


class Checkpointed(Net):
    """A block with buffers that is computed again in the backward pass, and only so often."""

    def __init__(self, often):
        super().__init__()
        self.often, self.inner = often, nn.BatchNorm1d(4)

    def branch(self, h):
        self.often -= 1
        if self.often < 0:
            raise RuntimeError("computed too often")
        return self.f(self.inner(h))

    def forward(self, x):
        h = self.norm(self.enter(x))
        return self.leave(h + torch.utils.checkpoint.checkpoint(self.branch, h, use_reentrant=False))


def with_hook(kind):
    def make():
        net = Net()
        getattr(net.f[0], f"register_{kind}_hook")(lambda module, *given: given[0].missing)
        return net

    return make


def moved(part, **where):
    def make():
        net = Net()
        net.get_submodule(part).to(**where)
        return net

    return make


def words():
    return nn.Sequential(nn.Embedding(7, 4), nn.Linear(4, 2))


def x():
    return torch.randn(5, 3)


def y():
    return torch.arange(5) % 2


def how(function):
    return lambda: Net(function)


def ids(value, dtype=torch.long):
    return lambda: torch.full((2, 3), value, dtype=dtype)


def backward_of(o):
    o.sum().backward()
    return o.sum()


# what is wrong → (model, inputs, targets, loss_fn, the line that measure gives)
BAD = {
    "no model": (lambda: None, x, y, None, "measure needs the model"),
    "a number": (lambda: 3, x, y, None, "measure: model must be a torch.nn.Module, not int"),
    "a function": (lambda: torch.relu, x, y, None, "measure: model must be .* not builtin"),
    "a class": (lambda: Net, x, y, None, "measure: model .* the class Net: make one"),
    "a tensor": (x, x, y, None, "measure: model must be .* not Tensor"),
    "a trace and more": (lambda: sg.trace(Net(), x()), x, y, None, "measure: a Trace holds its own inputs"),
    "no inputs": (Net, lambda: None, y, None, "measure needs the model and its inputs, found no inputs"),
    "a text": (Net, lambda: "x", y, None, "measure: inputs must be a tensor, .* found str without any$"),
    "a list of numbers": (Net, lambda: [[1.0, 2.0]], y, None, r"found list .* torch\.tensor"),
    "a generator": (Net, lambda: (x() for _ in range(2)), y, None, "found generator .* one batch"),
    "nothing in a mapping": (Net, dict, y, None, "found dict without any"),
    "an unknown name": (Net, lambda: {"pixels": x()}, y, None, r"'pixels'.* takes \(x\): give inputs as"),
    "two for one": (Net, lambda: (x(), x()), y, None, r"its forward takes \(x\)"),
    "a wrong shape": (Net, lambda: torch.randn(5, 4), y, None, r"in enter \(Linear\).* shape .* \(5, 4\)"),
    "a scalar": (Net, lambda: torch.tensor(1.0), None, None, r"in enter .* shape of the inputs, here \(\)"),
    "no sample": (Net, lambda: torch.zeros(0, 3), None, None, r"no entries, .* \(0, 3\); give at least one"),
    "one sample": (
        Net,
        lambda: torch.randn(1, 3),
        lambda: y()[:1],
        None,
        r"in norm .* two samples, or call model\.eval",
    ),
    "integers": (Net, lambda: torch.ones(5, 3, dtype=torch.long), y, None, "in enter .* int64, the parameters float32"),
    "half precision": (Net, lambda: x().half(), y, None, r"float16, the parameters float32"),
    "types that differ": (moved("f", dtype=torch.float64), x, y, None, r"in f\.0 .* parameters float32, float64"),
    "complex numbers": (Net, lambda: x() + 1j, y, None, "complex64, the parameters float32"),
    "a sparse tensor": (Net, lambda: x().to_sparse(), y, None, r"sparse_coo one on cpu: call \.to_dense"),
    "a nested tensor": (Net, lambda: torch.nested.nested_tensor([x()]), y, None, "nested one on cpu: pad it"),
    "inputs without data": (Net, lambda: x().to("meta"), y, None, "one on meta: give one with values"),
    "a model without data": (lambda: Net().to("meta"), x, y, None, "enter.weight has no values, .* load the weights"),
    "a part without data": (moved("f.0", device="meta"), x, y, None, r"f\.0\.weight has no values"),
    "a lazy layer": (lambda: nn.Sequential(nn.LazyLinear(4)), x, y, None, r"0\.weight .* lazy: run the model once"),
    "an array of texts": (Net, lambda: np.array(["a"]), y, None, "holds no numbers"),
    "NaN": (Net, lambda: x() * math.nan, y, None, "loss is NaN or infinity"),
    "ids too large": (words, ids(9), None, None, r"in 0 \(Embedding\).* must lie in 0\.\.6"),
    "ids below zero": (words, ids(-1), None, None, r"must lie in 0\.\.6"),
    "ids of floats": (words, ids(1, torch.float32), None, None, r"must be integers.*\.long\(\)"),
    "targets of floats": (Net, x, lambda: torch.ones(5), None, r"targets of shape \(5,\) \(float32\) do not fit"),
    "targets too large": (Net, x, lambda: torch.full((5,), 7), None, r"classes in 0\.\.1, found 7"),
    "targets too few": (Net, x, lambda: y()[:4], None, r"targets of shape \(4,\)"),
    "targets of text": (Net, x, lambda: "a", None, "targets must be a tensor, not str"),
    "targets without data": (Net, x, lambda: y().to("meta"), None, "targets must be dense .* on meta"),
    "targets of a wrong type": (Net, x, lambda: torch.ones(5), nn.functional.cross_entropy, r"with outputs \(5, 2\)"),
    "complex targets": (
        Net,
        x,
        lambda: torch.zeros(5, 2) + 1j,
        None,
        "it is called with outputs",
    ),
    "no targets": (Net, x, lambda: None, nn.functional.cross_entropy, "alone, as there are no targets"),
    "a number as loss_fn": (Net, x, y, 3, "loss_fn must be a function"),
    "a loss and more": (Net, x, y, lambda o, t: (o.sum(), t), "loss must be a tensor, not tuple"),
    "no loss": (Net, x, y, lambda o, t: None, "loss must be a tensor, not NoneType; loss_fn returns one number"),
    "many losses": (Net, x, y, lambda o, t: o, r"scalar, found the shape \(5, 2\)"),
    "a loss as float": (Net, x, y, lambda o, t: float(o.sum()), "loss must be a tensor, not float"),
    "a loss of integers": (Net, x, y, lambda o, t: o.argmax(), "detached"),
    "a loss of something else": (Net, x, y, lambda o, t: torch.ones((), requires_grad=True) * 2, "depend on x"),
    "a complex loss": (Net, x, y, lambda o, t: o.sum() * 1j, "the loss is complex"),
    "a loss without data": (Net, x, y, lambda o, t: o.to("meta").sum(), "loss is a tensor without data"),
    "an infinite slope": (
        Net,
        x,
        y,
        lambda o, t: (o * 0).sum().sqrt(),
        "infinity, in the operation Sqrt at leave;",
    ),
    "a loss_fn that fails": (Net, x, y, lambda o, t: o.missing, r"loss_fn raised Attr.*, at o\.missing; it is called"),
    "a loss_fn of one": (Net, x, y, lambda o: o.sum(), r"TypeError.* outputs \(5, 2\) float32 and targets \(5,\)"),
    "a loss that ran back": (Net, x, y, lambda o, t: backward_of(o), "freed; measure before backward"),
    "targets in a mapping": (Net, x, lambda: {"y": y()}, lambda o, t: o.sum(), ""),
    "a model of inference mode": (of_inference, x, y, None, r"enter\.weight was made under torch\.inference_mode"),
    "a checkpoint that fails": (lambda: Checkpointed(1), x, y, None, "RuntimeError: computed too often"),
    "a checkpoint that fails later": (lambda: Checkpointed(3), x, y, None, "RuntimeError: computed too often"),
    "a detached network": (how(lambda net, h: h.detach()), x, y, None, "does not depend on x"),
    "no_grad inside": (how(inside(torch.no_grad)), x, y, None, "does not depend on x"),
    "inference inside": (how(inside(torch.inference_mode)), x, y, None, r"f\.0 .* outside torch\.inference_mode"),
    "an error": (how(raises(ValueError("a\nb"))), x, y, None, r"ValueError: a, in the model itself \(Net\)"),
    "an error without words": (how(raises(AssertionError())), x, y, None, "AssertionError: no message"),
    "a warning as error": (how(raises(UserWarning("w"))), x, y, None, "UserWarning: w"),
    "no forward method": (nn.Module, x, y, None, "NotImplementedError"),
    "a change before an error": (how(disturbs), x, y, None, "after the change"),
    "numpy inside": (how(lambda net, h: h.numpy()), x, y, None, r"at h\.numpy\(\); .* gradients on"),
    "a hook before": (with_hook("forward_pre"), x, y, None, r"in f\.0 \(Linear\), at given\[0\]\.missing"),
    "a hook behind": (with_hook("forward"), x, y, None, r"in f\.0 \(Linear\), at given\[0\]\.missing"),
    "a hook backward": (with_hook("full_backward"), x, y, None, "hook of f.0"),
    "a hook on a tensor": (how(tensor_hook), x, y, None, r"grad\.missing, on the output of NativeBatchNorm at norm"),
    "a gradient of wrong shape": (how(lambda net, h: Short.apply(h)), x, y, None, "custom Short at norm"),
    "a backward that fails": (how(lambda net, h: Raises.apply(h)), x, y, None, "boom, in Raises.backward, .* at norm"),
    "a result overwritten": (
        how(overwritten),
        x,
        y,
        None,
        "in place .*, in the operation Mul at norm;",
    ),
    "no result": (how(lambda net, h: None), x, y, None, r"in f\.0 \(Linear\)"),
    "Ctrl-C": (how(raises(KeyboardInterrupt())), x, y, None, None),
}

RUN = {
    "measure": sg.measure,
    "trace": sg.trace,
    "participation": sg.paths.participation,
    "depths": lambda *given: sg.paths.depths(*given, drawn=0),
    "output_split": lambda model, inputs, *rest: sg.paths.output_split(model, inputs),
    "Monitor": lambda model, inputs, targets, loss_fn: sg.Monitor(model, (inputs, targets), loss_fn),
    "drift": sg.scales.drift,
    "two_paths": lambda *given: sg.scales.two_paths(*given, block="f"),
    "absorb": lambda model, inputs, *rest: sg.scales.absorb(model, inputs),
    "absorbed_norms": lambda model, inputs, *rest: sg.scales.absorbed_norms(model, inputs),
    "parameters_of": lambda model, inputs, *rest: sg.scales.parameters_of(model, inputs),
}


def state(model):
    """All that a measurement must leave: values and identities."""
    found = {
        "generators": (
            torch.get_rng_state().numpy().tobytes(),
            np.random.get_state()[1].tobytes(),  # noqa: NPY002
            random.getstate(),
        ),
        "modes": (torch.is_grad_enabled(), torch.is_inference_mode_enabled(), torch._C._len_torch_function_stack()),
        "everywhere": [
            len(vars(nn.modules.module)[name]) for name in vars(nn.modules.module) if name.endswith("_hooks")
        ],
    }
    for name, module in model.named_modules() if isinstance(model, nn.Module) else ():
        held = {key: dict(value) for key, value in vars(module).items() if "_hooks" in key and isinstance(value, dict)}
        found[name] = module.training, sorted(vars(module)), held
        for key, t in (*module._parameters.items(), *module._buffers.items()):
            known = isinstance(t, torch.Tensor) and not nn.parameter.is_lazy(t) and not t.is_meta
            values = [None if v is None else v.tolist() for v in (t.detach(), t.grad)] if known else None
            found[name, key] = id(t), values, t is not None and (t.requires_grad, id(t.grad))
    return found


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("bad", BAD)
def test_bad_input_gets_an_answer_or_one_line_and_leaves_everything(bad):
    make, inputs, targets, loss_fn, text = BAD[bad]
    for name, run in RUN.items():
        torch.manual_seed(0)
        model, given, wanted = make(), inputs(), None if targets is None else targets()
        # gradients that a training has accumulated: some parameters have one, and some have none
        for p in [*model.parameters()][::2] if isinstance(model, nn.Module) else ():
            p.grad = None if nn.parameter.is_lazy(p) else torch.ones_like(p)
        before = state(model)
        try:
            run(model, given, wanted, loss_fn)
            said = ""
        except UserError as error:
            said = str(error)
            assert said, name
            assert "\n" not in said, name
        except KeyboardInterrupt:
            assert bad == "Ctrl-C"
            said = None
        assert state(model) == before, name
        if name == "measure":
            assert said == text or re.search(text, said), said


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda m, loss, x: sg.trace(m), r"^trace needs either \(model, inputs\) or both loss=… and x=…$"),
        (lambda m, loss, x: sg.paths.participation(m), "^participation needs the model and its inputs"),
        (lambda m, loss, x: sg.paths.depths(sg.trace(m, x), x), "^depths: model must .* not Trace; it runs the model"),
        (lambda m, loss, x: sg.Monitor(m, (None, None)), "^Monitor: inputs must be .* found none$"),
        (lambda m, loss, x: sg.scales.drift(m, None), "^drift: inputs must be"),
        (lambda m, loss, x: sg.scales.two_paths(m, None, block="f"), "^two_paths: inputs must be"),
        (lambda m, loss, x: sg.scales.multipliers(3), "^multipliers: model must be"),
        (lambda m, loss, x: sg.scales.hold_statistics(3, x), "^hold_statistics: model must be"),
        (lambda m, loss, x: sg.paths.lesion("m", ["f"]).__enter__(), "^lesion: model must be"),
        (
            lambda m, loss, x: sg.paths.spectrum(loss),
            r"^spectrum: x is missing.* takes skipglass.trace\(model, inputs\)",
        ),
        (lambda m, loss, x: sg.paths.moments(m, x), r"^moments takes \(loss, x\) or a Trace, not a model"),
        (lambda m, loss, x: sg.paths.census(3, x), "^census: loss must be a tensor, not int"),
        (lambda m, loss, x: sg.paths.cost(loss, 3), "^cost: x must be a tensor or a tuple of tensors, not int"),
        (lambda m, loss, x: sg.paths.outline(loss, x, 3), "^outline: model must be"),
        (lambda m, loss, x: sg.paths.sampled_paths(sg.trace(m, x), x), "^sampled_paths: a Trace holds its own x"),
        (lambda m, loss, x: sg.paths.weight_spectrum(loss, ()), "^weight_spectrum: x must be .* an empty one"),
        (lambda m, loss, x: sg.Monitor(m, (x, None)).observe(loss, None), "^Monitor.observe: x is missing|must be"),
        (lambda m, loss, x: sg.paths.moments(loss, x, unit=[]), r"unit must be one of weights, blocks, not \[\]"),
        (lambda m, loss, x: sg.measure(m, x, progress=3), "progress must be a function of a line of text, not int"),
        (lambda m, loss, x: sg.paths.depths(m, x, drawn="a"), "drawn must be an integer"),
        (lambda m, loss, x: sg.paths.depths(m, x, output=3), "output must be a function"),
        (lambda m, loss, x: sg.paths.output_split(m.eval(), x, lambda y: None), "output must give .* found NoneType"),
        (lambda m, loss, x: sg.Monitor(m, (x, None), mode=3), "mode must be one of frozen, eval, train, not 3"),
        (lambda m, loss, x: sg.paths.scaled(m, "f", torch.ones(3)).__enter__(), r"one number, found the shape \(3,\)"),
        (
            lambda m, loss, x: sg.scales.weight_norms(m, sg.scales.pairs(normed())),
            "another model.* no 0.weight",
        ),
        (lambda m, loss, x: sg.scales.drift(counting(m), x, scales="count"), "count holds int32s; a scale is"),
        (lambda m, loss, x: sg.scales.twice(3, [], []), "twice takes tensors, found int"),
        (lambda m, loss, x: sg.scales.twice(loss.detach(), [], [x]), "twice needs a scalar loss with a live graph"),
        (
            lambda m, loss, x: sg.scales.inner([x], [x, x]),
            r"same shapes, found \[\(5, 3\)\] and \[\(5, 3\), \(5, 3\)\]",
        ),
        (
            lambda m, loss, x: sg.register("", "sum"),
            "register needs a subclass of torch.autograd.Function, or its name",
        ),
    ],
)
def test_a_wrong_argument_is_told_by_the_function_that_was_called(call, text):
    model, x = Net(), torch.randn(5, 3, requires_grad=True)
    with pytest.raises(UserError, match=text) as caught:
        call(model, model(x).sum(), x)
    assert "\n" not in str(caught.value)


def counting(model):
    model.count = nn.Parameter(torch.ones(2, dtype=torch.int32), requires_grad=False)
    return model


def normed():
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))


class Adjacent(nn.Module):
    """A step of message passing, whose matrix is a sparse buffer, and another that changes."""

    def __init__(self, fails):
        super().__init__()
        self.f, self.fails = nn.Linear(3, 3), fails
        self.register_buffer("neighbours", torch.eye(5).to_sparse())
        self.register_buffer("seen", torch.eye(5).to_sparse())

    def forward(self, x):
        self.seen.mul_(2.0)
        if self.fails:
            raise ValueError("no")
        return x + self.f(torch.sparse.mm(self.neighbours, x)).relu()


@pytest.mark.parametrize("fails", [False, True])
def test_a_model_with_sparse_buffers_is_measured_and_left(fails):
    model = Adjacent(fails)
    model.f.weight.grad = gradient = torch.ones(3, 3)
    generator = torch.get_rng_state()
    if fails:
        with pytest.raises(UserError, match="ValueError: no"):
            sg.measure(model, torch.ones(5, 3))
    else:
        assert sg.measure(model, torch.ones(5, 3)).blocks == ("f",)
    assert model.f.weight.grad is gradient
    assert torch.equal(model.seen.to_dense(), torch.eye(5))
    assert torch.equal(torch.get_rng_state(), generator)


@pytest.mark.filterwarnings("ignore:.*torch.jit.script")
@pytest.mark.parametrize("measure", ["spectrum", "moments", "participation_of"])
def test_a_scripted_model_that_is_given_beside_a_live_loss_is_left(measure):
    model, x = torch.jit.script(Plain()), torch.randn(5, 4, requires_grad=True)
    loss = model(x).square().sum()
    model.f.weight.grad = gradient = torch.ones(4, 4)
    before = [b.clone() for b in model.buffers()]
    with suppress(UserError):  # from its second pass on PyTorch folds the network into one function
        getattr(sg.paths, measure)(loss, x, model=model)
    assert model.f.weight.grad is gradient
    assert all(torch.equal(a, b) for a, b in zip(model.buffers(), before, strict=True))


@pytest.mark.parametrize("often", [2, 100])
@pytest.mark.parametrize("measure", ["spectrum", "moments", "participation_of", "weight_spectrum", "sampled_paths"])
def test_a_model_that_is_given_beside_a_live_loss_is_left_though_checkpoints_run_parts_of_it_again(measure, often):
    model, x = Checkpointed(often), torch.randn(5, 3, requires_grad=True)
    loss = model(x).square().sum()
    model.leave.weight.grad = torch.ones(2, 4)
    before = state(model)
    if often < 100:
        with pytest.raises(UserError, match="computed too often"):
            getattr(sg.paths, measure)(loss, x, model=model)
    else:
        getattr(sg.paths, measure)(loss, x, model=model)
    assert state(model) == before
    assert x.grad is None
