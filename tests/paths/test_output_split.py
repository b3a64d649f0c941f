"""The output by path length: parts that sum to it, against all subsets of branches, and honest refusals."""

from itertools import combinations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from cases import ConvNet
from torch import nn

from skipglass import paths
from skipglass.errors import DecompositionError, InputError
from skipglass.models import ResidualMLP


class Chain(nn.Module):
    """ReLU blocks with biases, in which gates of the whole network can be kept while branches are closed."""

    def __init__(self, L=4, width=6):
        super().__init__()
        self.stem, self.head = nn.Linear(3, width), nn.Linear(width, 2)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Linear(width, width), nn.ReLU(inplace=True), nn.Linear(width, width)) for _ in range(L)
        )

    def forward(self, x):
        h = self.stem(x)
        for block in self.blocks:
            h = h + block(h)
        return self.head(h)

    def gated(self, x, opened):
        """The output with the gates of the whole network and only some branches open."""
        free = h = self.stem(x)
        for l, block in enumerate(self.blocks):
            gate = (block[0](free) > 0).to(x)
            free = free + block[2](gate * block[0](free))
            if l in opened:
                h = h + block[2](gate * block[0](h))
        return self.head(h)


def test_blocks_against_all_subsets_of_branches():
    """Y_r by inclusion and exclusion: closing a branch leaves the constants below it on their other paths."""
    torch.manual_seed(0)
    L, model, x = 4, Chain().double(), torch.randn(5, 3, dtype=torch.float64)
    split = paths.output_split(model, x, unit="blocks")
    closed = {s: model.gated(x, set(s)).sum().item() for k in range(L + 1) for s in combinations(range(L), k)}
    slow = np.zeros(L + 1)
    for s in closed:
        for k in range(len(s) + 1):
            slow[len(s)] += sum((-1) ** (len(s) - k) * closed[t] for t in combinations(s, k))
    np.testing.assert_array_equal(split.lengths, range(L + 1))
    np.testing.assert_allclose(split.parts, slow, rtol=1e-10, atol=1e-12)
    assert split.output == pytest.approx(model(x).sum().item(), rel=1e-12)
    assert split.error <= 1e-12


def test_weights_against_scaled_weights():
    """In the unit "weights" Y_r is the coefficient of tʳ when every weight is scaled by t and the gates are kept."""
    torch.manual_seed(1)
    model, x = Chain(L=2).double(), torch.randn(5, 3, dtype=torch.float64)
    split = paths.output_split(model, x, unit="weights")

    def scaled(t):
        linear = lambda layer, h: t * F.linear(h, layer.weight) + layer.bias  # noqa: E731
        free, h = model.stem(x), linear(model.stem, x)
        for block in model.blocks:
            gate = (block[0](free) > 0).to(x)
            free = free + block[2](gate * block[0](free))
            h = h + linear(block[2], gate * linear(block[0], h))
        return linear(model.head, h).sum().item()

    points = np.linspace(-1, 1, 7)  # six weights at most on a path, so degree 6: well conditioned
    coefficients = np.polynomial.polynomial.polyfit(points, [scaled(t) for t in points], 6)
    np.testing.assert_array_equal(split.lengths, range(7))
    np.testing.assert_allclose(split.parts, coefficients, rtol=1e-8, atol=1e-9)
    bare = paths.output_split(model, torch.zeros_like(x), unit="weights")
    np.testing.assert_allclose(bare.parts, bare.constants, atol=1e-14)  # without an input all is of constants


def trained_statistics(model, *shape):
    """A batch norm whose statistics, scales and shifts are anything but 0 and 1."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(), module.running_var.uniform_(0.5, 2)
            nn.init.normal_(module.weight), nn.init.normal_(module.bias)
    return model.double().eval(), torch.randn(*shape, dtype=torch.float64)


@pytest.mark.parametrize("unit", ["blocks", "weights"])
@pytest.mark.parametrize("pre", [False, True])
def test_convolutions_and_batch_norm_with_fixed_statistics(unit, pre):
    torch.manual_seed(2)
    model, x = trained_statistics(ConvNet(pre), 3, 3, 8, 8)
    whole = model(x)[:, 1].sum().item()
    split = paths.output_split(model, x, output=lambda y: y[:, 1].sum(), unit=unit)
    assert split.parts.sum() == pytest.approx(whole, rel=1e-10)
    assert abs(split.constants.sum()) > 0.01 * abs(whole)
    longest = 4 if unit == "blocks" else 10
    assert split.lengths[-1] == longest


def test_sums_with_parameters_numbers_and_alpha_are_seen():
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Parameter(torch.randn(4)), nn.Parameter(torch.randn(4, 4))
            self.norm = nn.BatchNorm1d(4, affine=False)

        def forward(self, x):
            h = torch.add(input=x @ self.b, other=self.a, alpha=0.5) - 0.3
            h = self.norm(torch.addmm(self.a, 1 - h.relu(), self.b, beta=2.0))
            h += self.a
            return h.sub_(self.a * 2).relu() * self.a

    torch.manual_seed(3)
    model = Odd().double()
    model.norm.running_mean.normal_()
    split = paths.output_split(model.eval(), torch.randn(6, 4, dtype=torch.float64), unit="weights")
    np.testing.assert_array_equal(split.lengths, range(3))
    assert split.error < 1e-12


def test_constants_that_no_sum_adds_are_seen():
    class Padded(nn.Module):
        """A padding by ones, a class token joined to the signal, and entries overwritten by a number."""

        def __init__(self):
            super().__init__()
            self.token, self.head = nn.Parameter(torch.randn(1, 2)), nn.Linear(7, 2)

        def forward(self, x):
            h = torch.cat([F.pad(x, (1, 1), value=1.0), self.token.expand(len(x), -1)], 1)
            return self.head(h.masked_fill(h > 0.5, 0.25).relu())

    torch.manual_seed(5)
    model, x = Padded().double(), torch.randn(6, 3, dtype=torch.float64)
    split = paths.output_split(model, x, unit="weights")
    assert split.error < 1e-12
    assert split.output == pytest.approx(model(x).sum().item(), rel=1e-12)
    assert split.constants[0] == pytest.approx(6 * model.head.bias.sum().item(), rel=1e-12)


@pytest.mark.parametrize("normalization", ["none", "batch", "paper"])
def test_the_papers_network(normalization):
    model = ResidualMLP(5, 3, depth=4, width=6, normalization=normalization, dtype=torch.float64)
    x = torch.randn(8, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    model.calibrate(x)
    split = paths.output_split(model.eval(), x, unit="weights")
    assert split.parts.sum() == pytest.approx(model(x).sum().item(), rel=1e-10)
    assert split.lengths[-1] == 5


def small(*layers):
    torch.manual_seed(4)
    return nn.Sequential(nn.Linear(3, 4), *layers, nn.Linear(4, 2)).double()


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (small(nn.BatchNorm1d(4)), "batch norm"),
        (small(nn.GELU()), "Gelu"),
        (small(nn.LayerNorm(4)), "LayerNorm"),
        (small(nn.Softmax(1)), "Softmax"),
        (small(nn.Hardtanh(-0.1, 0.1)), "Hardtanh"),
    ],
)
def test_what_is_not_piecewise_linear_is_named(model, words):
    with pytest.raises(DecompositionError, match=words):
        paths.output_split(model, torch.ones(5, 3, dtype=torch.float64), unit="weights")


def test_a_refused_network_keeps_its_statistics():
    model = small(nn.BatchNorm1d(4))
    with pytest.raises(DecompositionError):
        paths.output_split(model, torch.ones(5, 3, dtype=torch.float64), unit="weights")
    assert not model[1].running_mean.any()
    assert model[1].num_batches_tracked == 0


def test_mistakes_and_what_is_left_behind():
    model, x = small(nn.ReLU(), nn.Dropout(0.5)), torch.randn(5, 3, dtype=torch.float64)
    state = torch.get_rng_state()
    split = paths.output_split(model, x, unit="weights")
    assert split.error < 1e-12
    assert torch.equal(torch.get_rng_state(), state)
    assert not x.requires_grad
    assert all(p.grad is None and p.requires_grad for p in model.parameters())
    assert model.training
    for arguments, words in [
        ((model, x.int()), "int32"),
        ((model, [1.0]), "list"),
        ((torch.relu, x), "Module"),
        ((model, x[:, :2]), "RuntimeError"),
        ((model, x, 3), "function"),
        ((model, x, lambda y: y), "scalar"),
        ((model, x, lambda y: y.detach().sum()), "graph"),
        ((model, x, torch.sum, "layers"), "unit"),
    ]:
        with pytest.raises(InputError, match=words):
            paths.output_split(*arguments)


def test_an_output_for_each_input_against_all_subsets_of_branches():
    """Y_r of each input by inclusion and exclusion, and the statistics over inputs that follow from it."""
    torch.manual_seed(0)
    L, model, x = 4, Chain().double(), torch.randn(7, 3, dtype=torch.float64)
    split = paths.output_split(model, x, output=lambda y: y[:, 1])
    with torch.no_grad():
        closed = {s: model.gated(x, set(s))[:, 1].numpy() for k in range(L + 1) for s in combinations(range(L), k)}
        whole = model(x)[:, 1].numpy()
    slow = np.zeros((L + 1, 7))
    for s in closed:
        for k in range(len(s) + 1):
            slow[len(s)] += sum((-1) ** (len(s) - k) * closed[t] for t in combinations(s, k))
    np.testing.assert_allclose(split.parts_per_sample, slow, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(split.outputs, whole, rtol=1e-12)
    np.testing.assert_allclose(split.parts, slow.sum(1), rtol=1e-10, atol=1e-12)
    covariance = np.cov(np.vstack([slow, whole]), ddof=0)
    np.testing.assert_allclose(split.variance, np.diag(covariance)[:-1], rtol=1e-10)
    np.testing.assert_allclose(split.share, covariance[-1, :-1] / covariance[-1, -1], rtol=1e-9, atol=1e-12)
    assert split.share.sum() == pytest.approx(1, abs=1e-12)
    assert split.energy.sum() == pytest.approx(1, abs=1e-12)
    assert split.effective_depth == pytest.approx(float(np.arange(L + 1) @ split.share), rel=1e-12)
    assert split.energy_depth == pytest.approx(float(np.arange(L + 1) @ split.energy), rel=1e-12)
    alone = paths.output_split(model, x[2:3], output=lambda y: y[:, 1].sum())
    np.testing.assert_allclose(split.parts_per_sample[:, 2], alone.parts, rtol=1e-10, atol=1e-12)
    assert "varies over 7 inputs" in str(split)


@pytest.mark.parametrize("unit", ["blocks", "weights"])
def test_convolutions_and_batch_norm_input_by_input(unit, tmp_path):
    torch.manual_seed(2)
    model, x = trained_statistics(ConvNet(False), 5, 3, 8, 8)
    split = paths.output_split(model, x, output=lambda y: y[:, 0], unit=unit)
    for n in range(5):
        alone = paths.output_split(model, x[n : n + 1], output=lambda y: y[0, 0], unit=unit)
        np.testing.assert_allclose(split.parts_per_sample[:, n], alone.parts, rtol=1e-9, atol=1e-11)
        assert alone.outputs is None
        assert alone.share is None
        assert alone.energy_depth is None
    again = paths.OutputSplit.load(split.save(tmp_path / "split.nc"))
    np.testing.assert_array_equal(again.share, split.share)


def test_rows_of_several_places_belong_to_their_input():
    """A network that works on tokens, folded into rows: (N·T, features)."""

    class Folded(nn.Module):
        def __init__(self):
            super().__init__()
            self.f, self.g = nn.Linear(3, 4), nn.Linear(4, 1)

        def forward(self, x):
            return self.g(self.f(x.reshape(-1, 3)).relu()).reshape(*x.shape[:2]).sum(1)

    torch.manual_seed(5)
    model, x = Folded().double(), torch.randn(4, 3, 3, dtype=torch.float64)
    split = paths.output_split(model, x, output=lambda y: y, unit="weights")
    for n in range(4):
        alone = paths.output_split(model, x[n : n + 1], unit="weights")
        np.testing.assert_allclose(split.parts_per_sample[:, n], alone.parts, rtol=1e-10, atol=1e-12)


def test_samples_that_the_network_mixes_are_refused():
    class Mixed(nn.Module):
        def forward(self, x):
            return (x - x.mean(0)).relu().sum(1) + x[:, 0]

    with pytest.raises(DecompositionError, match="mixes"):
        paths.output_split(Mixed(), torch.randn(4, 3, dtype=torch.float64), output=lambda y: y)


def test_a_smooth_activation_is_refused_in_one_line_before_anything_is_measured():
    with pytest.raises(DecompositionError) as caught:
        paths.output_split(small(nn.GELU()), torch.ones(5, 3, dtype=torch.float64))
    assert str(caught.value) == (
        "output_split needs a piecewise-linear network (ReLU, max pooling, batch norm with fixed statistics), and "
        "found Gelu at 0; split the network's gradient with spectrum"
    )
