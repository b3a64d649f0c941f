"""What PyTorch puts between operations: identities of its own, compiled and scripted parts, gradients of gradients."""

import contextlib
import warnings
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint, create_selective_checkpoint_contexts

import skipglass as sg
from skipglass.errors import DecompositionError, InputError
from skipglass.graph import facts, operation, read

f64 = torch.float64


class Block(nn.Module):
    def __init__(self, d=4):
        super().__init__()
        self.a, self.b = nn.Linear(d, d), nn.Linear(d, d)

    def forward(self, x):
        return x + self.b(torch.tanh(self.a(x)))


class Two(nn.Module):
    """Two signals, of which one reads the other."""

    def __init__(self):
        super().__init__()
        self.f, self.g = Block(), nn.Linear(4, 4)

    def forward(self, x, y):
        return self.f(x), y + torch.tanh(self.g(y + 0.1 * x))


def two(depth=3):
    torch.manual_seed(0)
    model, x = nn.ModuleList(Two() for _ in range(depth)).double(), torch.randn(3, 4, dtype=f64, requires_grad=True)

    def run():
        a, b = x, torch.sin(x)
        for layer in model:
            a, b = layer(a, b)
        return (a * b).sum()

    return model, x, run


def figures(loss, x):
    p = sg.paths.participation_of(loss, x)
    moments = sg.paths.moments(loss, x)
    depths = [sg.paths.spectrum(loss, x, unit).effective_depth for unit in ("blocks", "weights")]
    return [*depths, moments.mean, moments.variance, p.effective_depth, *sorted(p.share)]


def looks(module, into, out):
    assert all(g is None or bool(torch.isfinite(g).all()) for g in (*into, *out))


HOOKS = {
    "backward": lambda m: m.register_full_backward_hook(lambda *_: None),
    "before": lambda m: m.register_full_backward_pre_hook(lambda *_: None),
    "that looks": lambda m: m.register_full_backward_hook(looks),
}


@pytest.mark.parametrize("hook", HOOKS)
def test_a_hook_that_changes_nothing_changes_no_figure(hook):
    model, x, run = two()
    expected, paths = figures(run(), x), sg.paths.census(run(), x)
    for module in model.modules():
        if module is not model:
            HOOKS[hook](module)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert figures(run(), x) == pytest.approx(expected, abs=1e-12)
    found = sg.paths.outline(run(), x, model)
    assert sg.paths.census(run(), x) == paths
    assert found.opaque == ()
    run().backward()


def test_a_hook_on_the_shortcut_leaves_its_blocks():
    class Skip(Block):
        def __init__(self):
            super().__init__()
            self.skip = nn.Identity()

        def forward(self, x):
            return self.skip(x) + self.b(torch.tanh(self.a(x)))

    model, x = nn.Sequential(*(Skip() for _ in range(3))), torch.randn(2, 4)
    for block in model:
        block.skip.register_full_backward_hook(lambda *_: None)
    profile = sg.measure(model, x)
    assert (profile.blocks, profile.notes) == (("0", "1", "2"), ())


def test_a_module_s_hook_that_changes_gradients_is_refused_or_right():
    model, x, run = two()
    handle = model[1].register_full_backward_hook(lambda module, into, out: tuple(g.clamp(-1e-3, 1e-3) for g in into))
    for measure in (sg.paths.spectrum, sg.paths.moments, sg.paths.participation_of):
        with pytest.raises(DecompositionError):
            measure(run(), x)
    handle.remove()
    # a linear one is as one on the tensors that enter the module
    handle = model[1].register_forward_pre_hook(lambda module, given: [v.register_hook(triple) for v in given] and None)
    expected = sg.paths.spectrum(run(), x).effective_depth
    handle.remove()
    model[1].register_full_backward_hook(lambda module, into, out: tuple(map(triple, into)))
    measures = {"effective_depth": (sg.paths.spectrum, sg.paths.participation_of), "mean": (sg.paths.moments,)}
    for name, several in measures.items():
        for measure in several:
            with contextlib.suppress(DecompositionError):
                assert getattr(measure(run(), x), name) == pytest.approx(expected, abs=1e-10)


def triple(g):
    return 3 * g


@pytest.mark.parametrize(
    ("name", "shown"), [("BackwardScale", "BackwardScale"), ("MyBackwardFn", "MyBackwardFn"), ("Backward", "Backward")]
)
def test_a_custom_function_keeps_its_name(name, shown):
    made = type(name, (torch.autograd.Function,), {
        "forward": staticmethod(lambda ctx, z: z.clone()), "backward": staticmethod(lambda ctx, g: g),
    })  # fmt: skip
    x = torch.randn(2, 3, requires_grad=True)
    y = made.apply(x)
    assert operation(y.grad_fn) == f"custom {shown}"
    with pytest.warns(UserWarning, match=f"custom {shown}"):
        sg.paths.spectrum((y + y.sin()).sum(), x)


@pytest.mark.parametrize("before", [0, 1, 2])
def test_arguments_that_are_no_tensors_are_no_operands(before):
    """A custom function called by hand gives gradients by argument, the graph counts tensors."""

    class Scale(torch.autograd.Function):
        @staticmethod
        def forward(ctx, *given):
            ctx.before = len(given) - 2
            return 2 * given[-2] + given[-1]

        @staticmethod
        def backward(ctx, g):
            return *[None] * ctx.before, 2 * g, g

    torch.manual_seed(0)
    f, x = Block().double(), torch.randn(3, 4, dtype=f64, requires_grad=True)
    y = Scale.apply(*[3.0] * before, f(x), x.sin())
    with pytest.warns(UserWarning, match="Scale"):
        p = sg.paths.participation_of(f(y).square().sum(), x)
    assert p.way == "pushed"


# compiled and scripted parts


READS_GRAD = pytest.mark.filterwarnings("ignore:The .grad attribute:UserWarning")  # PyTorch's compiler does


@pytest.fixture
def compiled():
    torch._dynamo.reset()
    return partial(torch.compile, backend="aot_eager")


@READS_GRAD
def test_a_compiled_branch_is_an_opaque_one(compiled):
    torch.manual_seed(0)
    f = nn.ModuleList(nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4)) for _ in range(3)).double()
    x, middle = torch.randn(3, 4, dtype=f64, requires_grad=True), compiled(f[1])

    def run(g):
        h = x + f[0](x)
        h = h + g(h)
        return (h + f[2](h)).square().sum()

    loss, plain = run(middle), run(f[1])
    found = sg.paths.outline(loss, x, f)
    assert [b.name for b in found.blocks] == ["0", "1", "2"]
    for unit in ("blocks", "weights"):
        with pytest.warns(UserWarning, match=f"{unit}: CompiledFunction.*torch.compile"):
            s = sg.paths.spectrum(loss, x, unit)
        expected = sg.paths.spectrum(plain, x, unit).effective_depth
        assert (s.effective_depth == pytest.approx(expected, abs=1e-10)) == (unit == "blocks")
    with pytest.warns(UserWarning, match="CompiledFunction"):
        p = sg.paths.participation_of(loss, x)
    assert p.share == pytest.approx(sg.paths.participation_of(plain, x).share, abs=1e-10)


@READS_GRAD
def test_compiled_parts_that_hold_every_sum_are_refused(compiled):
    model = nn.Sequential(nn.Linear(4, 4), compiled(Block()), compiled(Block()))
    x = torch.randn(2, 4, requires_grad=True)
    with pytest.raises(InputError, match=r"CompiledFunction at 2\.\w was compiled; measure"):
        sg.paths.spectrum(model(x).sum(), x, model=model)
    assert len(sg.measure(model, x.detach()).blocks) == 2  # which runs eagerly


def test_a_compiled_activation_leaves_the_weights(compiled):
    act = compiled(lambda h: torch.tanh(h) * 2)
    model, x = nn.ModuleList(nn.Linear(4, 4) for _ in range(2)), torch.randn(2, 4, requires_grad=True)
    with pytest.warns(UserWarning, match="CompiledFunction"):
        s = sg.paths.spectrum(model[1](act(model[0](x))).sum(), x, "weights")
    assert s.lengths.tolist() == [2]


@READS_GRAD
def test_a_compiled_sum_may_be_residual(compiled):
    f, x = nn.Linear(4, 4), torch.randn(2, 4, requires_grad=True)
    h = f(x) + x
    loss = compiled(lambda a, b: a + b.tanh())(h, f(h)).sum()
    with pytest.warns(UserWarning, match=r"may be residual.*CompiledFunction"):
        assert len(sg.paths.spectrum(loss, x).graph.blocks) == 1


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_a_scripted_sum_is_counted_or_warned_of_at_every_pass():
    @torch.jit.script
    def fused(y: torch.Tensor, bias: torch.Tensor, residual: torch.Tensor) -> torch.Tensor:
        return residual + torch.dropout(y + bias, 0.0, True)

    @torch.jit.script
    def inside(h: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        return h + torch.tanh(h @ weight)

    f, bias = nn.Linear(4, 4, bias=False), nn.Parameter(torch.zeros(4))
    for _ in range(4):
        x = torch.randn(3, 4, requires_grad=True)
        h = f(x) + x
        for y in (fused(f(h).tanh(), bias, h), inside(h, f.weight)):
            with warnings.catch_warnings(record=True) as told:
                warnings.simplefilter("always")
                found = sg.paths.spectrum(y.square().sum(), x).graph
            said = [str(w.message) for w in told]
            assert len(found.blocks) == 2 or any("scripted function; measure the eager" in text for text in said)


@pytest.mark.parametrize("around", ["branch", "block"])
def test_a_selective_checkpoint_is_a_checkpoint(around):
    torch.manual_seed(0)
    keep = partial(create_selective_checkpoint_contexts, [torch.ops.aten.addmm.default])
    f, x = nn.ModuleList(Block() for _ in range(3)).double(), torch.randn(3, 4, dtype=f64, requires_grad=True)

    def run(context):
        h = x
        for block in f:
            here = block if around == "block" else nn.Sequential(block.a, nn.Tanh(), block.b)
            y = here(h) if context is None else checkpoint(here, h, use_reentrant=False, context_fn=context)
            h = y if around == "block" else h + y
        return h.square().sum()

    expected = figures(run(None), x)
    loss = run(keep)
    assert figures(loss, x) == pytest.approx(expected, abs=1e-12)
    assert figures(loss, x) == pytest.approx(expected, abs=1e-12)  # once more
    loss.backward()
    (g,) = torch.autograd.grad(run(None), x)
    torch.testing.assert_close(x.grad, g)


@pytest.mark.parametrize("measure", [sg.paths.spectrum, sg.paths.moments, sg.paths.participation_of])
def test_nested_tensors_are_refused_in_one_line(measure):
    x, f = torch.randn(8, 4, requires_grad=True), Block()
    h = f(torch.nested.nested_tensor_from_jagged(x, torch.tensor([0, 3, 8])))
    with pytest.raises(InputError, match=r"^\w+ works on nested tensors, .* pad the sequences$"):
        measure(h.values().square().sum(), x)
    assert len(sg.paths.outline(h.values().square().sum(), x).blocks) == 1


# gradients of gradients


def slope(h, x):
    return torch.autograd.grad(h.square().sum(), x, create_graph=True)[0]


def convolved(h, w):
    return F.conv1d(h[..., None], w[..., None])[..., 0]


def weights(n=2):
    torch.manual_seed(0)
    return torch.randn(3, 4, dtype=f64, requires_grad=True), [
        torch.randn(4, 4, dtype=f64, requires_grad=True) for _ in range(n)
    ]


def test_a_convolution_s_gradient_is_that_of_a_matrix():
    """Weights, census and figures of a gradient penalty are those of the same function by nn.Linear."""
    x, w = weights(3)
    found = []
    for product in (F.linear, convolved):
        loss = (slope(product(torch.tanh(product(product(x, w[0]), w[1])), w[2]), x).norm(dim=1) - 1).square().sum()
        outline = sg.paths.outline(loss, x)
        assert outline.opaque == ()
        s = sg.paths.spectrum(loss, x, "weights")
        p = sg.paths.participation_of(loss, x)
        found.append([len(outline.weights), s.effective_depth, p.effective_depth, sg.paths.census(loss, x, "weights")])
    assert found[1] == [found[0][0], *(pytest.approx(v, abs=1e-10) for v in found[0][1:3]), found[0][3]]


@pytest.mark.filterwarnings("ignore:contractions with a constant")
def test_the_gradient_of_a_convolution_s_weight_meets_the_signal():
    """One step of an inner loop: the new weight depends on x by the gradient of the old one."""
    x, (w,) = weights(1)
    found = []
    for product in (F.linear, convolved):
        (step,) = torch.autograd.grad(product(x, w).tanh().square().sum(), w, create_graph=True)
        loss = product(x.detach(), w - 0.1 * step).square().sum()
        s = sg.paths.spectrum(loss, x, "weights")
        found.append((s.effective_depth, s.lengths.tolist()))
    assert found[1] == (pytest.approx(found[0][0], abs=1e-10), found[0][1])


SECOND = {
    "NativeLayerNormBackward": lambda x: F.layer_norm(x, (4,)),
    "TanhBackward": torch.tanh,
    "SigmoidBackward": torch.sigmoid,
    "GeluBackward": F.gelu,
    "EluBackward": F.elu,
    "SoftplusBackward": F.softplus,
    "HardswishBackward": F.hardswish,
    "LogSigmoidBackward": F.logsigmoid,
    "SoftmaxBackwardData": lambda x: x.softmax(-1),
    "LogSoftmaxBackwardData": lambda x: x.log_softmax(-1),
    "GluBackward": lambda x: F.glu(x),
    "LeakyReluBackward": lambda x: F.leaky_relu(x),
    "ThresholdBackward": torch.relu,
    "HardtanhBackward": lambda x: F.hardtanh(x),
    "HardshrinkBackward": lambda x: F.hardshrink(x),
    "SoftshrinkBackward": lambda x: F.softshrink(x),
    "SelectBackward": lambda x: x.select(0, 1),
    "SliceBackward": lambda x: x[:, 1:3],
    "DiagonalBackward": lambda x: x.diagonal(),
    "UnfoldBackward": lambda x: x.unfold(1, 2, 1),
    "AvgPool2DBackward": lambda x: F.avg_pool2d(x.reshape(1, 1, 3, 4), 2),
    "AdaptiveAvgPool2DBackward": lambda x: F.adaptive_avg_pool2d(x.reshape(1, 1, 3, 4), 2),
    "MaxPool2DWithIndicesBackward": lambda x: F.max_pool2d(x.reshape(1, 1, 3, 4), 2),
    "ReflectionPad1DBackward": lambda x: F.pad(x, (1, 1), mode="reflect"),
    "UpsampleNearest2DBackward": lambda x: F.interpolate(x.reshape(1, 1, 3, 4), scale_factor=2),
    "UpsampleBilinear2DBackward": lambda x: F.interpolate(x.reshape(1, 1, 3, 4), scale_factor=2, mode="bilinear"),
    "MseLossBackward": lambda x: F.mse_loss(x, torch.ones_like(x)),
    "SmoothL1LossBackward": lambda x: F.smooth_l1_loss(x, torch.ones_like(x)),
    "NativeBatchNormBackward": lambda x: F.batch_norm(x, None, None, training=True),
}


@pytest.mark.parametrize("name", SECOND)
def test_a_gradient_s_operation_has_a_name_and_a_role_of_its_own(name):
    """Linear in the gradient that entered; in the signal it is linear only where its slopes are the same all over."""
    torch.manual_seed(0)
    x = torch.randn(3, 4, dtype=f64, requires_grad=True)
    g = torch.randn(48, dtype=f64, requires_grad=True)
    h = SECOND[name](x * 1.0)
    (second,) = torch.autograd.grad(h, x, g[: h.numel()].view(h.shape), create_graph=True)
    loss = (second.sin() + x.sin() + g[:12].view(3, 4)).sin().sum()
    by_gradient, by_both = read(loss, g), read(loss, (x, g))
    assert name in by_gradient.operations
    assert by_gradient.roles[by_gradient.operations.index(name)] == "linear"
    i = by_both.operations.index(name)
    slots = {e.slot for e in by_both.edges[i]}
    known = facts(name)
    if known.parts is None:
        assert len(slots) == 1 or by_both.roles[i] == "nonlinear"
    else:
        assert slots == {0}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert sg.paths.spectrum(loss, (x, g), "weights").error <= 1e-12
        assert sg.paths.participation_of(loss, (x, g)).error <= 1e-12


def test_a_gradient_that_is_not_understood_is_opaque():
    assert facts("CdistBackward").role == facts("CudnnRnnBackward").role == "opaque"
    assert facts("custom ThingBackward").role == "nonlinear"


def test_forces_through_a_residual_network_are_measured():
    """Layer norms, a convolution's and an embedding's gradients: all shares sum, and nothing is left unsaid."""

    class Energy(nn.Module):
        def __init__(self):
            super().__init__()
            self.f = nn.ModuleList(nn.Sequential(nn.LayerNorm(4), nn.Linear(4, 4), nn.GELU()) for _ in range(3))
            self.c = nn.Conv1d(4, 4, 1)

        def forward(self, x):
            x = x if x.requires_grad else x.requires_grad_()
            h = x
            for f in self.f:
                h = h + f(h)
            energy = (h + self.c(h.mT).mT.tanh()).square().sum()
            return torch.autograd.grad(energy, x, create_graph=True)[0]

    torch.manual_seed(0)
    profile = sg.measure(Energy().double(), torch.randn(2, 3, 4, dtype=f64))
    assert profile.error <= 1e-12
    assert profile.participation.sum() == pytest.approx(float(profile.lengths @ profile.share), abs=1e-10)
    assert len(profile.blocks) >= 4
