"""What users say of their own autograd functions: it is counted so, and no warning is left."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import skipglass as sg
from skipglass.errors import InputError


class AddNorm(torch.autograd.Function):
    """A fused kernel: the layer norm of x + residual, and x + residual itself."""

    @staticmethod
    def forward(ctx, x, residual, gain):
        with torch.enable_grad():
            total = (x + residual).detach().requires_grad_()
            out = F.layer_norm(total, total.shape[-1:], gain.detach())
        ctx.save_for_backward(total, out)
        return out.detach(), total.detach()

    @staticmethod
    def backward(ctx, of_norm, of_sum):
        total, out = ctx.saved_tensors
        (through,) = torch.autograd.grad(out, total, of_norm, retain_graph=True)
        return through + of_sum, through + of_sum, None


class Product(torch.autograd.Function):
    """x Wᵀ with a number that is no tensor before the operands, as quantised layers have."""

    @staticmethod
    def forward(ctx, scale, x, weight):
        ctx.scale = scale
        ctx.save_for_backward(weight)
        return scale * x @ weight.T

    @staticmethod
    def backward(ctx, grad):
        return None, ctx.scale * grad @ ctx.saved_tensors[0], None


class Swapped(torch.autograd.Function):
    """Two signals, each by itself."""

    @staticmethod
    def forward(ctx, a, b):
        return a.clone(), b.clone()

    @staticmethod
    def backward(ctx, a, b):
        return a, b


@pytest.fixture
def registered():
    said = []

    def say(function, role):
        said.append(function)
        sg.register(function, role)

    yield say
    for function in said:
        sg.register(function, None)


class Fused(nn.Module):
    """A pre-norm network as fused kernels write it, or as its formula does."""

    def __init__(self, fused, depth=3):
        super().__init__()
        torch.manual_seed(0)
        self.fused, self.gain = fused, nn.Parameter(torch.rand(4), requires_grad=False)
        self.f = nn.ModuleList(nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4)) for _ in range(depth))

    def forward(self, x):
        residual, out = x, F.layer_norm(x, (4,), self.gain)
        for f in self.f:
            if self.fused:
                out, residual = AddNorm.apply(f(out), residual, self.gain)
            else:
                residual = f(out) + residual
                out = F.layer_norm(residual, (4,), self.gain)
        return out * out + residual


@pytest.mark.parametrize("unit", ["blocks", "weights"])
@pytest.mark.parametrize("role", ["add_norm", "sum"])
def test_a_fused_addition_and_norm_is_counted_as_its_formula_is(registered, role, unit):
    registered(AddNorm, role)
    x = torch.randn(3, 4, dtype=torch.float64)
    fused, plain = (sg.measure(Fused(way).double(), x, unit=unit) for way in (True, False))
    assert fused.blocks == plain.blocks == ("f.0", "f.1", "f.2")
    assert fused.census == plain.census
    assert fused.notes == ()
    assert fused.share == pytest.approx(plain.share, abs=1e-12)
    assert fused.participation == pytest.approx(plain.participation, abs=1e-12)


def test_what_nothing_was_said_of_warns():
    x = torch.randn(3, 4, requires_grad=True)
    with pytest.warns(UserWarning, match="custom AddNorm"):
        assert sg.paths.spectrum(Fused(True)(x).sum(), x).graph.blocks == ()


def test_a_weight_is_counted_and_named(registered):
    registered(Product, "weight")
    f = nn.Linear(4, 4, bias=False)
    x = torch.randn(3, 4, requires_grad=True)
    for frozen, name in ((False, "weight"), (True, "weight")):
        f.requires_grad_(not frozen)
        loss = (x + Product.apply(0.5, x, f.weight).tanh()).square().sum()
        found = sg.paths.outline(loss, x, f)
        assert (len(found.blocks), found.weights, found.opaque) == (1, (name,), ())
        plain = (x + (0.5 * x @ f.weight.T).tanh()).square().sum()
        for unit in ("blocks", "weights"):
            expected = sg.paths.spectrum(plain, x, unit).effective_depth
            assert sg.paths.spectrum(loss, x, unit).effective_depth == pytest.approx(expected, abs=1e-6)
            assert sg.paths.moments(loss, x, unit).mean == pytest.approx(expected, abs=1e-6)
        p = sg.paths.participation_of(loss, x)
        assert p.effective_depth == pytest.approx(sg.paths.participation_of(plain, x).effective_depth, abs=1e-6)


def test_an_identity_keeps_its_signals_apart(registered):
    registered(Swapped, "identity")
    f, x = nn.Linear(4, 4), torch.randn(3, 4, requires_grad=True)
    a, b = Swapped.apply(x, f(x).tanh())
    found = sg.paths.outline((a + b).square().sum(), x)
    assert (len(found.blocks), found.opaque) == (1, ())
    a, _ = Swapped.apply(x, f(x).tanh())
    assert sg.paths.census((a + f(a).tanh()).square().sum(), x, "weights") == {0: 1, 1: 1}


@pytest.mark.parametrize(("role", "blocks"), [("norm", 1), ("linear", 1), ("identity", 1), ("nonlinear", 0), (None, 0)])
def test_a_role_says_whether_a_shortcut_may_pass(registered, role, blocks):
    class Scaled(torch.autograd.Function):
        forward = staticmethod(lambda ctx, z: 2 * z)
        backward = staticmethod(lambda ctx, g: 2 * g)

    registered(Scaled, role)
    f, x = nn.Linear(4, 4), torch.randn(3, 4, requires_grad=True)
    found = sg.paths.outline((Scaled.apply(x) + f(x).tanh()).square().sum(), x)
    assert len(found.blocks) == blocks
    # a nonlinearity on what would be a shortcut is doubted, whether it is known to be one or not
    assert bool(found.opaque) == (blocks == 0)


def test_functions_of_one_name_are_told_apart(registered):
    made = []
    for _ in range(2):

        class Same(torch.autograd.Function):
            forward = staticmethod(lambda ctx, a, b: a + b)
            backward = staticmethod(lambda ctx, g: (g, g))

        made.append(Same)
    registered(made[0], "sum")
    f, x = nn.Linear(4, 4), torch.randn(3, 4, requires_grad=True)
    for function, blocks in zip(made, (1, 0), strict=True):
        found = sg.paths.outline(function.apply(x, f(x).tanh()).square().sum(), x)
        assert (len(found.blocks), bool(found.opaque)) == (blocks, not blocks)


def test_an_operation_of_a_library_goes_by_its_name(registered):
    @torch.library.custom_op("skipglass_tests::join", mutates_args=())
    def join(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return a + b

    join.register_autograd(lambda ctx, g: (g, g))
    f, x = nn.Linear(4, 4), torch.randn(3, 4, requires_grad=True)
    loss = join(x, f(x).tanh()).square().sum()
    assert any("skipglass_tests_join" in what for what in sg.paths.outline(loss, x).opaque)
    registered("skipglass_tests_join", "sum")
    assert len(sg.paths.outline(loss, x).blocks) == 1


def test_bad_input_gets_one_line():
    with pytest.raises(InputError, match="subclass"):
        sg.register(nn.Linear, "sum")
    with pytest.raises(InputError, match="sum, add_norm"):
        sg.register(AddNorm, "addition")
