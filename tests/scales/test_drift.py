"""The force on the scales: against finite steps, against Theorems 3 and 4, and against explicit path sums."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import skipglass as sg
from skipglass.errors import InputError
from skipglass.models import CifarResNet, ResidualMLP
from skipglass.scales.statistics import hold_statistics


def mlp(normalization="paper", placement="after", depth=4, out=3, seed=0):
    torch.manual_seed(seed)
    model = ResidualMLP(
        6, out, depth=depth, width=7, normalization=normalization, placement=placement, seeds=seed, dtype=torch.float64
    )
    with torch.no_grad():
        for layer in model.layers:
            if normalization != "none":
                layer.multiplier.normal_()
    return model, torch.randn(20, 6, dtype=torch.float64), torch.randint(out or 2, (20,))


def dead():
    """A unit that is 0 on all samples, as training leaves some: its deviation, 0, has no second derivative."""
    model, x, y = mlp()
    with torch.no_grad():
        model.layers[0].weight.abs_()
        model.layers[0].multiplier.abs_()
        model.layers[1].weight[2] = -model.layers[1].weight[2].abs()
    return model, x.abs(), y


def resnet(**options):
    torch.manual_seed(0)
    model = CifarResNet(8, width=0.25, **options).double()
    with torch.no_grad():
        for m in model.modules():
            if isinstance(m, nn.BatchNorm2d):
                m.weight.normal_()
                m.bias.normal_(std=0.1)
    return model, torch.randn(4, 3, 16, 16, dtype=torch.float64), torch.randint(10, (4,))


class Explicit(nn.Module):
    """Scalar scales without batch norm, as in SkipInit, and a nonlinearity that is not piecewise linear."""

    def __init__(self):
        super().__init__()
        self.first, self.branch = nn.Linear(6, 6), nn.Linear(6, 6)
        self.scale = nn.Parameter(torch.tensor(0.7))

    def forward(self, x):
        h = self.first(x)
        return h + self.scale * torch.tanh(self.branch(h))


def explicit():
    torch.manual_seed(0)
    return Explicit().double(), torch.randn(9, 6, dtype=torch.float64), torch.randn(9, 6, dtype=torch.float64)


CASES = {
    "paper": (mlp, None),
    "dead unit": (dead, None),
    "batch norm": (lambda: mlp("batch", "before"), None),
    "images": (resnet, None),
    "pre-activation": (lambda: resnet(preactivation=True), None),
    "explicit": (explicit, ["scale"]),
}


def loss_of(model, x, y):
    return (F.mse_loss if y.is_floating_point() else F.cross_entropy)(model(x), y)


def naive_slope(model, x, y, scales):
    """λ·∂L/∂λ of every scale, λ outside taken as it is."""
    grads = torch.autograd.grad(loss_of(model, x, y), scales)
    return np.array([float((p.detach() * g).sum()) for p, g in zip(scales, grads, strict=True)])


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", CASES)
def test_the_force_is_what_a_small_step_of_the_weights_does_to_the_slope(name, training):
    make, scales = CASES[name]
    model, x, y = make()
    model.train(training)
    found = sg.scales.drift(model, x, y, scales=scales)
    own = dict(model.named_parameters())
    chosen = [next(own[n] for n in (name, name + ".multiplier", name + ".weight") if n in own) for name in found.scales]
    assert len(chosen) == sum(n in (scales or []) or "multiplier" in n or ("bn" in n and "weight" in n) for n in own)
    rest = [p for p in own.values() if all(p is not q for q in chosen)]
    start = naive_slope(model, x, y, chosen)
    g = torch.autograd.grad(loss_of(model, x, y), rest)
    assert np.allclose(found.slope, start, rtol=1e-10, atol=1e-13)
    change = {}
    for mu in (1e-6, -1e-6):
        with torch.no_grad():
            for p, step in zip(rest, g, strict=True):
                p -= mu * step
        change[mu] = naive_slope(model, x, y, chosen)
        with torch.no_grad():
            for p, step in zip(rest, g, strict=True):
                p += mu * step
    central = -(change[1e-6] - change[-1e-6]) / 2e-6
    assert np.allclose(found.force, central, rtol=1e-4, atol=1e-6 * np.abs(central).max())


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", CASES)
def test_a_model_is_left_as_found(name, training):
    make, scales = CASES[name]
    model, x, y = make()
    model.train(training)
    model.requires_grad_(requires_grad=True)
    next(iter(model.parameters())).requires_grad_(False)
    before = {n: (v.clone(), v.requires_grad, v.grad) for n, v in model.named_parameters()}
    buffers = {n: b.clone() for n, b in model.named_buffers()}
    state = torch.get_rng_state()
    for theorem in (False, True):
        sg.scales.drift(model, x, y, scales=scales, theorem=theorem)
        with pytest.raises(InputError, match="no residual block is called"):
            sg.scales.two_paths(model, x, y, block="nowhere")
    assert model.training is training
    assert torch.equal(torch.get_rng_state(), state)
    for n, p in model.named_parameters():
        value, required, grad = before[n]
        assert torch.equal(p, value)
        assert p.requires_grad is required
        assert p.grad is grad
    assert all(torch.equal(b, buffers[n]) for n, b in model.named_buffers())
    assert "forward" not in vars(model)


@pytest.mark.parametrize("name", ["paper", "batch norm", "images", "pre-activation"])
def test_theorem_3_takes_the_slope_of_the_network_with_statistics_held(name):
    model, x, y = CASES[name][0]()
    held = sg.scales.drift(model.train(), x, y, theorem=True)
    model.eval()
    hold_statistics(model, x)
    assert np.allclose(held.slope, sg.scales.drift(model, x, y).slope, rtol=1e-9)


def test_where_the_output_is_linear_and_statistics_are_fixed_the_theorem_s_force_is_the_force():
    model, x, _ = mlp(out=None)
    c = torch.randn(20, dtype=torch.float64)
    linear = lambda outputs: (c * outputs).mean()  # noqa: E731
    free, theorem = (sg.scales.drift(model.eval(), x, None, linear, theorem=t) for t in (False, True))
    assert np.allclose(free.force, theorem.force, rtol=1e-10)
    curved = lambda outputs: outputs.square().mean()  # noqa: E731
    free, theorem = (sg.scales.drift(model, x, None, curved, theorem=t) for t in (False, True))
    assert np.abs(free.force / theorem.force - 1).max() > 0.1


def paths_through(model, x, coefficient, layer):
    """g_p by enumeration: every way through the layers, gates and statistics as they are; Eq. 22 as printed."""
    layers = model.layers
    h, gates, gains = x.T, [], []
    for one in layers:
        z = one.weight @ h
        gates.append((z > 0).double().detach())
        gains.append((one.multiplier / one.sigma).detach())
        h = one(h)
    parts = []
    for mask in range(2 ** (len(layers) - 1)):
        taken = [True, *((mask >> l) & 1 for l in range(len(layers) - 1))]
        if taken[layer]:
            signal = x.T
            for one, gate, gain, way in zip(layers, gates, gains, taken, strict=True):
                signal = gain * gate * (one.weight @ signal) if way else signal
            parts.append((coefficient * signal.sum(dim=0)).mean())
    weights = [one.weight for one in layers]
    grads = torch.autograd.grad(torch.stack(parts).sum(), weights, allow_unused=True)
    return [torch.zeros_like(w) if g is None else g for w, g in zip(weights, grads, strict=True)]


def test_the_two_paths_are_the_sums_over_paths_and_give_theorem_3_s_forces():
    model, x, _ = mlp(out=None)
    model.calibrate(x)
    model.eval()
    c = torch.randn(20, dtype=torch.float64)
    linear = lambda outputs: (c * outputs).mean()  # noqa: E731
    force = sg.scales.drift(model, x, None, linear, theorem=True).force
    g = torch.autograd.grad(linear(model(x)), [layer.weight for layer in model.layers])
    assert force[0] == pytest.approx(sum(float(part.square().sum()) for part in g), rel=1e-10)
    for l in (1, 2, 3):
        split = sg.scales.two_paths(model, x, None, linear, block=f"layers.{l}")
        expected = paths_through(model, x, c, l)
        for k, (p, whole) in enumerate(zip(expected, g, strict=True)):
            assert torch.allclose(split.g_p[f"layers.{k}.weight"], p, rtol=1e-10, atol=1e-14)
            assert torch.allclose(split.g_m[f"layers.{k}.weight"], whole - p, rtol=1e-10, atol=1e-14)
        own = [n for n in split.g_p if "multiplier" not in n]
        product = sum(float((split.g_p[n] * (split.g_p[n] + split.g_m[n])).sum()) for n in own)
        assert force[l] == pytest.approx(product, rel=1e-10)


def test_the_two_paths_of_a_block_add_up_to_the_gradient_in_any_network():
    model, x, y = resnet()
    model.eval()
    g = dict(
        zip(
            dict(model.named_parameters()),
            torch.autograd.grad(loss_of(model, x, y), list(model.parameters())),
            strict=True,
        )
    )
    split = sg.scales.two_paths(model, x, y, block="layer2.0")
    for name, whole in g.items():
        assert torch.allclose(split.g_p[name] + split.g_m[name], whole, rtol=1e-9, atol=1e-12)
    assert not split.g_m["layer2.0.conv1.weight"].abs().max() > 1e-12
    assert split.skipped == pytest.approx(split.norm_p**2 + split.product)
    assert split.norm_m**2 + split.norm_p**2 + 2 * split.product == pytest.approx(split.unskipped)
    assert np.isclose(split.unskipped, sum(float(v.square().sum()) for v in g.values()))


@pytest.mark.parametrize("theorem", [True, False])
def test_the_global_scale_has_eq_21_as_slope(theorem):
    model, x, _ = mlp("none", out=None, depth=5)
    c = torch.randn(20, dtype=torch.float64)
    found = sg.scales.drift(model, x, None, lambda outputs: (c * outputs).mean(), scales="C", theorem=theorem)
    parts = sg.paths.output_split(model, x, lambda outputs: (c * outputs).mean())
    assert found.slope[0] == pytest.approx((parts.lengths * parts.parts).sum(), rel=1e-10)
    weights = torch.cat([p.detach().flatten() for p in model.parameters()])
    assert found.norm[0] == pytest.approx(float(weights.square().mean().sqrt()))


def test_bad_input_gets_one_line():
    model, x, y = mlp("none")
    plain = nn.Sequential(nn.Linear(6, 3))
    cases = [
        (lambda: sg.scales.drift(model, x, y), "not normalised|no scales"),
        (lambda: sg.scales.drift(plain.double(), x, y), "no scales"),
        (lambda: sg.scales.drift(plain, x, y, scales=["0.wieght"]), "nearest: 0.weight"),
        (lambda: sg.scales.drift(mlp()[0], x, y, scales="C"), "running_var|batch norm"),
        (lambda: sg.scales.drift(ResidualMLP(6, 3, seeds=[0, 1], normalization="batch"), x, y), "several seeds"),
        (lambda: sg.scales.two_paths(model, x, y, block="layers.0"), "no residual block is called 'layers.0'"),
        (lambda: sg.scales.two_paths(plain, x, y, block="0"), "no residual block"),
        (lambda: sg.scales.two_paths(model, x, y, block="layers"), "3 blocks; name one"),
        (lambda: sg.scales.two_paths(model, x, y, block=3), "name of a residual block"),
        (lambda: sg.scales.drift(mlp()[0], x * float("nan"), y), "no drift"),
    ]
    for call, words in cases:
        with pytest.raises(InputError, match=words) as caught:
            call()
        assert "\n" not in str(caught.value)


class RootOfZero(Explicit):
    def forward(self, x):
        return self.first(x) + self.scale * (self.branch(x) * 0).std(dim=-1, keepdim=True)


def test_a_force_that_is_not_finite_is_refused_by_the_name_of_its_scale():
    x = torch.randn(9, 6, dtype=torch.float64)
    with pytest.raises(InputError, match="the force of scale is nan"):
        sg.scales.drift(RootOfZero().double(), x, x, scales=["scale"])
    with pytest.raises(InputError, match="the force of C is nan"):
        sg.scales.drift(RootOfZero().double(), x, x, scales="C")


def test_a_point_that_is_not_stationary_is_named_with_its_violation():
    model, x, y = mlp()
    found = sg.scales.drift(model, x, y, theorem=True)
    worst = int(np.argmax(np.abs(found.slope / found.force)))
    assert f"{np.abs(found.slope).max():.1e}" in str(found)
    assert f"at {found.scales[worst]} it outweighs the force" in str(found)
    data = found.to_xarray()
    assert data.attrs["theorem"] == 1
    assert np.array_equal(data.force, found.force)
    assert found.plot().get_ylabel() == "force F_l"
    split = sg.scales.two_paths(model, x, y, block="layers.2")
    assert f"∂L/∂a = {split.slope:.2e}" in str(split)
    assert float(split.to_xarray().skipped) == split.skipped
    assert split.plot().get_title() == "Two paths at layers.2"


class InPlace(nn.Module):
    def __init__(self):
        super().__init__()
        self.f, self.g = nn.Linear(6, 6), nn.Linear(6, 6)

    def forward(self, x):
        branch = 2 * torch.relu(self.f(x))
        branch.add_(x)
        return branch + self.g(branch)


class OutOfPlace(InPlace):
    def forward(self, x):
        h = 2 * torch.relu(self.f(x)) + x
        return h + self.g(h)


@pytest.mark.parametrize("block", ["f", "g"])
def test_an_addition_that_overwrites_its_branch_is_split_all_the_same(block):
    torch.manual_seed(0)
    model, x = InPlace(), torch.randn(5, 6)
    other = OutOfPlace()
    other.load_state_dict(model.state_dict())
    one, two = (sg.scales.two_paths(m, x, block=block) for m in (model, other))
    assert all(torch.allclose(one.g_p[name], two.g_p[name]) for name in one.g_p)
    assert one.slope == pytest.approx(two.slope)
