"""What the method cannot see is listed and warned of; what looks like a block and is none is no block."""

import numpy as np
import pytest
import torch
from torch import nn

from skipglass import paths
from skipglass.errors import InputError

f64 = torch.float64


class Add(torch.autograd.Function):
    """The sum of its operands, or the identity; of the same name as an operation that is understood."""

    @staticmethod
    def forward(ctx, *operands):
        ctx.number = len(operands)
        return sum(operands[1:], operands[0].clone())

    @staticmethod
    def backward(ctx, grad):
        return (grad,) * ctx.number


def net():
    torch.manual_seed(0)
    return nn.Linear(4, 4).double(), torch.randn(3, 4, dtype=f64, requires_grad=True)


@pytest.mark.parametrize(
    ("h", "blocks"),
    [
        (lambda f, x: Add.apply(x) + f(x).tanh(), 0),  # on the skip path: it may be anything
        (lambda f, x: Add.apply(x) + f(x), 0),
        (lambda f, x: x + Add.apply(f(x)), 1),
        (lambda f, x: x + Add.apply(x).tanh(), 0),
        (lambda f, x: Add.apply(x, f(x).tanh()), 0),  # the sum itself
        (lambda f, x: Add.apply(x + f(x).tanh()), 1),
        (lambda f, x: (v := Add.apply(x)) + f(v).tanh(), 1),
    ],
    ids=["skip", "skip, linear", "branch", "branch without a weight", "sum", "above", "below"],
)
def test_a_custom_function_is_listed_and_warned_of_wherever_it_is(h, blocks):
    f, x = net()
    loss = h(f, x).square().sum()
    found = paths.outline(loss, x)
    assert [what.split(" (")[0] for what in found.opaque] == ["custom Add"]
    assert len(found.blocks) == blocks
    for unit in ("blocks", "weights"):
        for measure in (paths.spectrum, paths.moments, paths.census):
            with pytest.warns(UserWarning, match=f"{unit}.*custom Add"):
                measure(loss, x, unit)
    with pytest.warns(UserWarning, match="custom Add"):
        p = paths.participation_of(loss, x)
    with pytest.warns(UserWarning, match="custom Add"):
        assert p.effective_depth == pytest.approx(paths.spectrum(loss, x, "blocks").effective_depth, abs=1e-10)


def test_no_block_but_a_doubtful_sum_is_refused_unless_asked_for():
    class Custom(nn.Module):
        def __init__(self):
            super().__init__()
            self.f = nn.Linear(4, 4)

        def forward(self, x):
            return Add.apply(x) + self.f(x).tanh()

    said = r"Add after f \(a custom function is on its shortcut\).*blocks=.*sg.register.*unit='weights'"
    with pytest.raises(InputError, match=said):
        paths.measure(Custom(), torch.randn(3, 4))
    assert paths.measure(Custom(), torch.randn(3, 4), blocks=["f"]).blocks == ("f",)
    assert any("custom Add" in note for note in paths.measure(Custom(), torch.randn(3, 4), unit="weights").notes)


CONSTANTS = {
    "cast": lambda W: W.to(torch.bfloat16).to(f64),
    "masked": lambda W: (torch.rand_like(W) > 0.5) * W,
    "weight norm": lambda W: 2 * W / W.norm(dim=1, keepdim=True),
    "dequantised": lambda W: (W * 127).to(torch.int8).to(f64) / 127,
    "a buffer": torch.clone,
}


@pytest.mark.parametrize("name", CONSTANTS)
def test_a_contraction_with_a_constant_is_taken_for_a_frozen_weight(name):
    f, x = net()
    W = CONSTANTS[name](f.weight.detach())
    g = nn.Linear(4, 4).double()
    for h in (x + (x @ W.T).tanh(), x + (x @ W.T + g(g(x))).tanh()):
        found = paths.outline(h.square().sum(), x, g)
        assert len(found.blocks) == 1
        with pytest.warns(UserWarning, match="blocks.*Mm"):
            paths.spectrum(h.square().sum(), x, "blocks")
        with pytest.warns(UserWarning, match="weights.*Mm"):
            paths.spectrum(h.square().sum(), x, unit="weights")
    certain = paths.outline((x + g(x @ W.T).tanh()).square().sum(), x)
    assert (len(certain.blocks), certain.doubts("blocks")) == (1, [])
    beside = x @ W.T + x @ W  # residual if one of them is no weight
    assert len(paths.outline(beside.square().sum(), x).doubts("blocks")) == 1


def test_a_frozen_weight_that_was_cast_is_known_by_its_model():
    f, x = net()
    loss = (x.float() @ f.requires_grad_(False).weight.float().T).square().sum()
    assert paths.outline(loss, x, f).weights == ("weight",)
    assert paths.outline(loss, x, f).opaque == ()
    assert paths.outline(loss, x, nn.Linear(4, 4)).weights == ()


UNSURE = {
    "Where": lambda f, x: torch.where(torch.tensor([True, False, True])[:, None], x + 0.0, f(x).tanh()),
    "IndexPut": lambda f, x: x.clone().index_put((torch.tensor([1]),), f(x)[1].tanh()),
    "Stack": lambda f, x: torch.stack([x, f(x).tanh(), f(x).sin()]).sum(0),
    "Cat": lambda f, x: torch.cat([x, f(x).tanh()], 1).mean(1),
    "Addcdiv": lambda f, x: torch.addcdiv(x, f(x).tanh(), f(x).exp()),
    "Addcmul": lambda f, x: torch.addcmul(x, f(x).tanh(), f(x).sigmoid()),
    "Baddbmm": lambda f, x: torch.baddbmm(x[:, None], f(x)[:, :1, None], f(x)[:, None]),
    "ForeachAdd": lambda f, x: torch._foreach_add([x], [f(x).tanh()])[0],
    "Maximum": lambda f, x: torch.maximum(x, f(x).tanh()),
    "Logaddexp": lambda f, x: torch.logaddexp(x, f(x).tanh()),
}

STACKED = {
    "cumsum": lambda s: s.cumsum(0)[-1],
    "einsum": lambda s: torch.einsum("kbi,k->bi", s, torch.tensor([1.0, 0.5], dtype=f64)),
    "matrix": lambda s: s.movedim(0, -1) @ torch.tensor([1.0, 0.5], dtype=f64),
    "largest": lambda s: s.amax(0),
    "smooth": lambda s: s.logsumexp(0),
    "pooled": lambda s: nn.functional.avg_pool1d(s.movedim(0, -1), 2),
    "twice": lambda s: s.sum(0) + s.amax(0).sin(),
}
UNSURE |= {f"Stack, {name}": lambda f, x, h=h: h(torch.stack([x, f(x).tanh()])) for name, h in STACKED.items()}


@pytest.mark.parametrize("name", UNSURE)
def test_sums_that_may_be_residual_are_listed_and_warned_of(name):
    f, x = net()
    loss = UNSURE[name](f, x).square().sum()
    name = name.split(",")[0]
    found = paths.outline(loss, x)
    assert found.blocks == ()
    assert name in [what.removesuffix(" (may be residual)") for what in found.opaque]
    with pytest.warns(UserWarning, match=name):
        paths.spectrum(loss, x, "blocks")
    assert not any("may hold" in doubt for doubt in found.doubts("weights"))  # no weight is hidden


SUMMED = {
    "addcdiv": lambda f, x: torch.addcdiv(x, f(x).tanh(), torch.tensor(2.0, dtype=f64)),
    "transposed": lambda f, x: torch.stack([x, f(x).tanh()]).transpose(0, 1).sum(1),
    "permuted": lambda f, x: torch.stack([x, f(x).tanh()]).permute(1, 2, 0).mean(-1),
    "viewed": lambda f, x: torch.stack([x, f(x).tanh()]).flatten(1).sum(0).view_as(x),
    "normed": lambda f, x: nn.functional.layer_norm(torch.stack([x, f(x).tanh()], 1), (4,))[:, :, None].sum(1),
    "einsum": lambda f, x: torch.einsum("kbi->bi", torch.stack([x, f(x).tanh()])),
    "a step towards": lambda f, x: x + 0.1 * (f(x).tanh() - x),
}


@pytest.mark.parametrize("name", SUMMED)
def test_a_sum_is_known_however_it_is_written(name):
    f, x = net()
    loss = SUMMED[name](f, x).sin().sum()
    found = paths.outline(loss, x, nn.ModuleDict({"f": f}))
    assert ([b.name for b in found.blocks], found.opaque) == (["f"], ())
    s = paths.spectrum(loss, x, "blocks")
    assert list(s.lengths) == [0, 1]
    assert (s.norm > 0).all()
    p = paths.participation_of(loss, x)
    assert p.effective_depth == pytest.approx(s.effective_depth, abs=1e-12)


@pytest.mark.parametrize(
    "h",
    [
        lambda f, x: torch.cat([x, f(x).tanh()], 1),
        lambda f, x: torch.stack([x, f(x).tanh()]).flatten(1),
        lambda f, x: f(torch.stack([x, f(x).tanh()])).sum(0),
        lambda f, x: torch.stack([x, f(x).tanh()]).sin().sum(0),
        lambda f, x: torch.stack([x, f(x).tanh()]).transpose(0, 1)[:, torch.tensor([1])].sum(1),
        lambda f, x: torch.view_as_complex(torch.stack([x, f(x).tanh()], -1)).T.angle(),
        lambda f, x: torch.addcmul(torch.ones_like(x), x, f(x)),
        lambda f, x: torch.maximum(f(x), 0.1 * f(x)),
        lambda f, x: torch.where(x > 0, x, x.exp()),
    ],
    ids=[
        "a dense layer",
        "a stack",
        "a weight",
        "a nonlinearity",
        "picked",
        "complex",
        "a product",
        "leaky",
        "an activation",
    ],
)
def test_signals_side_by_side_are_no_sum(h):
    f, x = net()
    assert paths.outline(h(f, x).square().sum(), x).opaque == ()


def test_how_far_a_network_is_from_the_identity_is_no_block():
    """A loss of an autoencoder; with weights above, or a target of its own, the same difference is a block."""
    f, x = net()
    head, clean = nn.Linear(4, 2).double(), torch.ones(3, 4, dtype=f64)
    for size in (torch.square, torch.abs, lambda d: d * d, lambda d: torch.linalg.norm(-2 * d, dim=1)):
        for d in (f(x).tanh() - x, x - f(x).tanh()):
            assert paths.outline(size(d).mean(), x).blocks == ()
            assert len(paths.outline(head(d).square().mean(), x).blocks) == 1
            assert len(paths.outline(nn.functional.mse_loss(d, clean), x).blocks) == 1
    assert len(paths.outline((x + f(x).tanh()).square().mean(), x).blocks) == 1


def test_a_difference_inside_a_branch_is_a_block_where_a_weight_follows():
    f, x = net()
    g, t = nn.Linear(4, 4).double(), nn.Linear(4, 4).double()
    head = nn.Linear(4, 2).double()
    gated = x + t(x).sigmoid() * (f(x).tanh() - x)
    assert len(paths.outline(head(gated).sum(), x).blocks) == 1
    assert len(paths.outline(head(x + 0.3 * (f(x).tanh() - x)).sum(), x).blocks) == 1
    assert len(paths.outline(head(x + g(f(x).tanh() - x)).sum(), x).blocks) == 2


@pytest.mark.parametrize("frozen", [False, True])
def test_a_contraction_written_out_is_listed(frozen):
    f, x = net()
    W = f.weight.requires_grad_(not frozen)
    by_hand, loss = (x[:, None] * W).sum(-1), (x @ W.T).sum()
    row = (x * W.view(2, 2, 4)[0, 1]).sum(-1)  # a view of other dimensions
    assert [what.split(" (")[0] for what in paths.outline(row.square().sum(), x).opaque] == ["Mul"]
    found = paths.outline(by_hand.square().sum(), x, f)
    assert [what.split(" (")[0] for what in found.opaque] == ["Mul"]
    assert found.weights == ()
    assert len(paths.outline((x + by_hand.tanh()).sum(), x).blocks) == 1
    with pytest.warns(UserWarning, match="weights.*Mul"):
        paths.spectrum(by_hand.square().sum(), x, unit="weights")
    gain = nn.Parameter(torch.rand(4, dtype=f64))
    assert paths.outline(loss, x).opaque == ()
    assert paths.outline((x * gain).mean(0).square().sum(), x).opaque == ()  # the same for all that is summed
    assert paths.outline((x * gain).sum(), x).opaque == ()
    h = f.requires_grad_()(torch.ones(3, 4, dtype=f64))  # a signal that is made of parameters alone
    assert paths.outline((h.softmax(1) * h).sum(1).square().sum(), h).opaque == ()


WRITTEN_OUT = {
    "Mul, biased": lambda f, x: (x[:, None] * f.weight + f.bias).sum(-1),
    "Mul, scaled": lambda f, x: (2 * (x[:, None] * f.weight)).sum(-1),
    "Mul, moved": lambda f, x: (x[:, None] * f.weight).transpose(1, 2).mean(1),
    "Mul, running": lambda f, x: (x[:, None] * f.weight).cumsum(-1)[..., -1],
    "Mul, Kronecker": lambda f, x: torch.kron(x, f.weight).sum(-1),
    "Mul, viewed": lambda f, x: (x[:, None] * f.weight).view(3, 2, 2, 4).sum(-1),
    "Mul, detached": lambda f, x: (x[:, None] * f.weight.detach()).sum(-1),
    "Mul, Fourier": lambda f, x: torch.fft.irfft(torch.fft.rfft(x) * torch.fft.rfft(f.bias), 4),
    "Addcmul": lambda f, x: torch.addcmul(f.bias, x[:, None], f.weight).sum(-1),
    "Sub, squared": lambda f, x: ((x[:, None] - f.weight) ** 2).sum(-1),
    "Sub, by itself": lambda f, x: ((d := x[:, None] - f.weight) * d).sum(-1),
    "Sub, norm": lambda f, x: (x[:, None] - f.weight).norm(dim=-1),
    "Add, largest": lambda f, x: (x[:, None] + f.weight).amax(-1, keepdim=True),
    "SparseAddmm": lambda f, x: torch.sparse.mm(f.weight.detach().to_sparse(), x.T),
}


@pytest.mark.parametrize("name", WRITTEN_OUT)
def test_a_weight_that_is_spread_and_summed_over_is_listed(name):
    f, x = net()
    y = WRITTEN_OUT[name](f, x)
    found = paths.outline(y.square().sum(), x)
    name = name.split(",")[0]
    assert (found.weights, [what.split(" (")[0].split(" with")[0] for what in found.opaque]) == ((), [name])
    with pytest.warns(UserWarning, match=f"weights.*{name}"):
        paths.spectrum(y.square().sum(), x, unit="weights")
    branch = y.reshape(-1)[:4].tanh()
    assert len(paths.outline((x + branch).square().sum(), x).blocks) == 1


def gained(f, x):
    h = x.sin() * f.bias + f.bias
    return (h - h.mean(-1, keepdim=True)) / h.var(-1, keepdim=True)


@pytest.mark.parametrize(
    "h",
    [
        lambda f, x: x.sin() * f.bias + f.weight[:3],
        gained,  # a norm written by hand after a gain
        lambda f, x: f((x[:, None] + f.weight).tanh()).mean(1),  # positions
        lambda f, x: (x[:, None] * f.weight[:, :1]).mean(-1),  # a gain for each head
        lambda f, x: (x * torch.ones(4, dtype=f64)).sum(-1),
    ],
    ids=["gain and position", "a norm", "positions", "heads", "numbers"],
)
def test_a_gain_is_no_weight(h):
    f, x = net()
    assert paths.outline(h(f, x).square().sum(), x).opaque == ()


def attend(h):
    return h + (h @ h.T).softmax(0) @ h


@pytest.mark.parametrize(
    ("mix", "independent"),
    [
        (lambda f, x: f(x).tanh(), True),
        (lambda f, x: (f.weight @ x.T).tanh().T, True),  # features first
        (lambda f, x: f(f(x).reshape(-1, 2).softmax(1).reshape(-1, 4)), True),  # samples folded with units
        (lambda f, x: f(attend(f(x))), False),
        (lambda f, x: f(f(x).tanh().cumsum(0)), False),
        (lambda f, x: f(f(x) + 0.01 * x.roll(1, 0)), False),
        (lambda f, x: (f.weight @ attend(x).T).T, False),
        (lambda f, x: f(x) @ f(x).tanh().T, True),  # a contrastive loss: no weight above
    ],
    ids=["rows", "features first", "folded", "attention", "cumsum", "neighbours", "attention below", "contrastive"],
)
@pytest.mark.parametrize("auxiliary", [False, True])
def test_whether_samples_mix(mix, independent, auxiliary):
    torch.manual_seed(0)
    f = nn.Linear(4, 4).double()
    x = torch.randn(7, 4, dtype=f64, requires_grad=True)
    loss = mix(f, x + f(x).tanh()).square().sum()
    if auxiliary:  # a second way for samples to show, below the first
        loss = loss + f(x + f(x).sin()).exp().mean()
    for unit in ("blocks", "weights"):
        assert paths.spectrum(loss, x, unit).independent_samples == independent


def numbers(loss, x, unit):
    s = paths.spectrum(loss, x, unit, at="blocks")
    m = paths.moments(loss, x, unit)
    p = paths.participation_of(loss, x)
    largest = s.norm.max()
    return [
        *(s.share, s.share_per_sample, s.effective_depth, s.effective_depth_per_sample, s.cancellation),
        *(s.norm / largest, s.norm_per_sample / largest, s.at_blocks / largest, m.mean, m.variance),
        *(p.share, p.share_per_sample, p.effective_depth_per_sample),
    ]


@pytest.mark.parametrize("unit", ["weights", "blocks"])
def test_no_share_depends_on_the_scale_of_the_loss(unit):
    torch.manual_seed(0)
    model = Steps()
    for kind, scales, rtol in ((torch.float32, (1e-30, 1e30), 1e-4), (f64, (1e-200, 1e200, 1e-290), 1e-9)):
        x = torch.randn(3, 4, dtype=kind, requires_grad=True)
        out = model.to(kind)(x).square().sum()
        expected = numbers(out, x, unit)
        for scale in scales:
            for found, value in zip(numbers(out * scale, x, unit), expected, strict=True):
                np.testing.assert_allclose(found, value, rtol=rtol, atol=rtol)


class Steps(nn.Module):
    def __init__(self):
        super().__init__()
        self.f = nn.ModuleList(nn.Linear(4, 4) for _ in range(3))

    def forward(self, x):
        for f in self.f:
            x = x + f(x).relu()
        return x


def test_a_sample_of_faint_gradient_has_shares_like_any_other():
    torch.manual_seed(0)
    for kind, faint, rtol in ((torch.float32, 1e-25, 1e-4), (f64, 1e-140, 1e-9)):
        model, x = Steps().to(kind), torch.randn(3, 4, dtype=kind, requires_grad=True)
        weights = torch.tensor([1.0, faint, 0.0], dtype=kind)
        y = model(x).square().sum(1)
        s, p = (measure(y @ weights, x) for measure in (blocks_of, paths.participation_of))
        t, q = (measure(y.sum(), x) for measure in (blocks_of, paths.participation_of))
        np.testing.assert_allclose(s.share_per_sample[:, :2], t.share_per_sample[:, :2], rtol=rtol, atol=rtol)
        np.testing.assert_allclose(p.share_per_sample[:, :2], q.share_per_sample[:, :2], rtol=rtol, atol=rtol)
        np.testing.assert_allclose(s.share, s.share_per_sample[:, 0], rtol=rtol, atol=rtol)
        assert np.isnan(s.share_per_sample[:, 2]).all()
        assert s.independent_samples


def blocks_of(loss, x):
    return paths.spectrum(loss, x, "blocks")


def test_the_output_is_split_at_any_scale():
    torch.manual_seed(0)
    model, x = Steps().double(), torch.randn(3, 4, dtype=f64)
    expected = paths.output_split(model, x, unit="weights")
    for scale in (1e-200, 1e200):
        found = paths.output_split(model, x, lambda y, scale=scale: y.sum() * scale, unit="weights")
        np.testing.assert_allclose(found.parts / scale, expected.parts, rtol=1e-9)
