"""The force on the scales: against finite steps, against Theorems 3 and 4, and against explicit path sums."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import skipglass as sg
from skipglass.errors import InputError
from skipglass.graph import as_found
from skipglass.models import CifarResNet, ResidualMLP
from skipglass.scales import hold_statistics, statistics_held


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
        with pytest.raises(InputError, match="nowhere"):
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
    parts = sg.paths.output_split(model, x, lambda outputs: (c * outputs).mean(), unit="weights")
    assert found.slope[0] == pytest.approx((parts.lengths * parts.parts).sum(), rel=1e-10)
    weights = torch.cat([p.detach().flatten() for p in model.parameters()])
    assert found.norm[0] == pytest.approx(float(weights.square().mean().sqrt()))


def test_bad_input_gets_one_line():
    model, x, y = mlp("none")
    plain = nn.Sequential(nn.Linear(6, 3))
    lazy = nn.Sequential(nn.LazyLinear(3), nn.BatchNorm1d(3))
    uncounted = nn.Sequential(nn.Linear(6, 3), nn.BatchNorm1d(3, track_running_stats=False))
    frozen, frozen_plain = mlp()[0].requires_grad_(False), nn.Sequential(nn.Linear(6, 3)).requires_grad_(False)
    # what the one line must name
    cases = [
        (lambda: sg.scales.drift(model, x, y), "'C'"),
        (lambda: sg.scales.drift(plain.double(), x, y), "'C'"),
        (lambda: sg.scales.drift(plain, x, y, scales=["0.wieght"]), "'0.wieght'.* 0.weight"),
        (lambda: sg.scales.drift(mlp()[0], x, y, scales="C"), "layers.0"),
        (lambda: sg.scales.drift(ResidualMLP(6, 3, seeds=[0, 1], normalization="batch"), x, y), "seeds=0"),
        (lambda: sg.scales.two_paths(model, x, y, block="layers.0"), "'layers.0'"),
        (lambda: sg.scales.two_paths(plain, x, y, block="0"), "'0'"),
        (lambda: sg.scales.two_paths(model, x, y, block="layers"), "3 blocks"),
        (lambda: sg.scales.two_paths(model, x, y, block=3), "not 3"),
        (lambda: sg.scales.drift(mlp()[0], x * float("nan"), y), "loss is nan"),
        (lambda: sg.scales.drift(model, x, y, scales=[]), "scales"),
        (lambda: sg.scales.drift(model, x, y, scales=[3]), "not 3"),
        (lambda: sg.scales.drift(model, x, y, scales=5), "not 5"),
        (lambda: sg.scales.drift(frozen, x, y), "all 6 "),
        (lambda: sg.scales.drift(frozen_plain, x, y, scales="C"), "all 2 "),
        (lambda: sg.scales.two_paths(frozen, x, y, block="layers.2"), "all 10 "),
        (lambda: sg.scales.drift(lazy, x, y), "0.weight .* lazy"),
        (lambda: sg.scales.multipliers(CifarResNet(8).to("meta")), "conv1.weight .* meta"),
        (lambda: sg.scales.drift(mlp()[0].to("meta"), x, y), "layers.0.weight .* meta"),
        (lambda: sg.scales.drift(uncounted, x, y, scales="C"), "batch norm.* 1:"),
        (lambda: sg.scales.two_paths(nn.ReLU(), x, y, block="0"), "none"),
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
    with pytest.raises(InputError, match="force of scale is nan"):
        sg.scales.drift(RootOfZero().double(), x, x, scales=["scale"])
    with pytest.raises(InputError, match="force of C is nan"):
        sg.scales.drift(RootOfZero().double(), x, x, scales="C")


def test_a_point_that_is_not_stationary_is_named_with_its_violation():
    model, x, y = mlp()
    found = sg.scales.drift(model, x, y, theorem=True)
    worst = int(np.argmax(np.abs(found.slope / found.force)))
    assert f"{np.abs(found.slope).max():.1e}" in str(found)
    assert f"at {found.scales[worst]} " in found.headline()
    data = found.to_xarray()
    assert data.attrs["theorem"] == 1
    assert np.array_equal(data.force, found.force)
    assert "force F" in found.plot().get_ylabel()
    split = sg.scales.two_paths(model, x, y, block="layers.2")
    assert f"∂L/∂a = {split.slope:.2e}" in split.headline()
    assert float(split.to_xarray().skipped) == split.skipped
    assert split.plot().get_title() == "Two paths at layers.2"


class Normed(nn.Module):
    """Uses one normalisation twice."""

    def __init__(self, norm):
        super().__init__()
        self.first, self.norm, self.head = nn.Linear(6, 6), norm, nn.Linear(6, 3)

    def forward(self, x):
        h = torch.relu(self.norm(self.first(x))) + x
        return self.head(torch.relu(self.norm(2 * h)) + h)


class Constants(nn.Module):
    """A normalisation written out, with the deviations and means of another one's inputs, call by call."""

    def __init__(self, norm, seen, axis, centred):
        super().__init__()
        self.weight, self.bias, self.eps = norm.weight, getattr(norm, "bias", None), norm.eps
        means = [z.mean(axis, keepdim=True) * centred for z in seen]
        moments = [(z - m).square().mean(axis, keepdim=True) for z, m in zip(seen, means, strict=True)]
        self.calls = iter(list(zip(means, moments, strict=True)) * 9)

    def forward(self, z):
        mean, moment = next(self.calls)
        return (z - mean) / (moment + self.eps).sqrt() * self.weight + (0 if self.bias is None else self.bias)


class LayerNormByKeyword(nn.LayerNorm):
    def forward(self, z):
        return F.layer_norm(
            input=z, normalized_shape=self.normalized_shape, weight=self.weight, bias=self.bias, eps=self.eps
        )


NORMS = {
    "batch": (lambda: nn.BatchNorm1d(6), 0, True),
    "batch, no running statistics": (lambda: nn.BatchNorm1d(6, track_running_stats=False), 0, True),
    "layer": (lambda: nn.LayerNorm(6, eps=0.1), 1, True),
    "layer, by keyword": (lambda: LayerNormByKeyword(6, eps=0.1), 1, True),
    "root mean square": (lambda: nn.RMSNorm(6, eps=0.1), 1, False),
}


@pytest.mark.parametrize("name", NORMS)
def test_theorem_3_holds_the_statistics_of_every_call(name):
    make, axis, centred = NORMS[name]
    torch.manual_seed(0)
    model, x, y = Normed(make()).double(), torch.randn(9, 6, dtype=torch.float64), torch.randint(3, (9,))
    seen = []
    handle = model.norm.register_forward_pre_hook(lambda _, given: seen.append(given[0].detach()))
    logits = model(x)
    handle.remove()
    c = torch.autograd.grad(loss_of(lambda _: logits, x, y), logits)[0]
    plain = Normed(Constants(model.norm, seen, axis, centred))
    plain.first, plain.head = model.first, model.head
    held = sg.scales.drift(model, x, y, scales=["norm.weight"], theorem=True)
    naive = sg.scales.drift(plain, x, None, lambda Y: (c * Y).sum(), scales=["norm.weight"])
    assert np.allclose([held.slope, held.force], [naive.slope, naive.force], rtol=1e-9)
    live = sg.scales.drift(model, x, y, scales=["norm.weight"])
    assert abs(live.force[0] / held.force[0] - 1) > 0.01


def test_theorem_3_leaves_a_batch_norm_in_evaluation_its_running_statistics():
    model, x, y = resnet()
    model.eval()
    frozen = sg.scales.drift(model, x, y, theorem=True)
    model.train()
    for m in model.modules():
        if isinstance(m, nn.BatchNorm2d):
            m.eval()
    assert np.allclose(sg.scales.drift(model, x, y, theorem=True).force, frozen.force, rtol=1e-12)


def test_groups_and_instances_are_held_too():
    torch.manual_seed(0)
    x = torch.randn(3, 4, 5, 5, dtype=torch.float64)
    for norm in (nn.GroupNorm(2, 4), nn.InstanceNorm2d(4, affine=True), nn.InstanceNorm2d(4, track_running_stats=True)):
        model = nn.Sequential(nn.Conv2d(4, 4, 1), norm).double()
        before = model(x)
        with as_found(model), statistics_held(model, x):
            y = model(x)
            (g,) = torch.autograd.grad(y.square().sum() / 2, y, retain_graph=True)
            (slope,) = torch.autograd.grad((g * y).sum(), model[0].weight, create_graph=True)
        (bend,) = torch.autograd.grad(slope.square().sum(), model[0].weight, allow_unused=True)
        assert torch.allclose(y, before, rtol=1e-12, atol=1e-12)
        assert bend is None or not bend.any()  # linear in the weight before it


def test_what_bends_behind_a_block_is_measured():
    model, x, y = explicit()
    straight = sg.scales.two_paths(model, x, y, block="branch")
    assert straight.curvature == 0
    assert "assume" not in str(straight)
    bent = sg.scales.two_paths(nn.Sequential(model, nn.Tanh()), x, y, block="0.branch")
    a = torch.ones((), dtype=torch.float64, requires_grad=True)
    h, branch = model.first(x), model.scale * torch.tanh(model.branch(model.first(x)))
    Y = torch.tanh(h + a * branch)
    s = (torch.autograd.grad(F.mse_loss(Y, y), Y, retain_graph=True)[0] * Y).sum()
    (slope,) = torch.autograd.grad(s, a, create_graph=True)
    assert bent.curvature == pytest.approx(float(torch.autograd.grad(slope, a)[0]), rel=1e-10)
    assert f"{bent.curvature:.2e}" in str(bent)


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
