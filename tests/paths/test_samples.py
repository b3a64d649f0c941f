"""Whether samples mix: spectrum and participation against what a changed sample moves in the network's outputs."""

import numpy as np
import pytest
import torch
from torch import nn

from skipglass import paths

N, T, D = 5, 3, 4


class Residual(nn.Module):
    def __init__(self, f=None):
        super().__init__()
        self.f = nn.Sequential(nn.Linear(D, D), nn.Tanh()) if f is None else f

    def forward(self, h):
        return h + self.f(h)


class Through(nn.Module):
    """A residual network whose middle is another function of the signal."""

    def __init__(self, middle, *parts):
        super().__init__()
        self.middle, self.parts = middle, nn.ModuleList(parts)
        self.enter, self.leave, self.head = Residual(), Residual(), nn.Linear(D, 2)

    def forward(self, h):
        return self.head(self.leave(self.middle(self.enter(h), *self.parts)))


class Flat(nn.Module):
    """Its last weight reads the whole batch at once."""

    def __init__(self):
        super().__init__()
        self.enter, self.head = Residual(), nn.Linear(N * D, 2)

    def forward(self, h):
        return self.head(self.enter(h).reshape(-1))


class OneByOne(nn.Module):
    """Its weights see one sample after the other, and no shape counts them."""

    def __init__(self):
        super().__init__()
        self.enter, self.head = Residual(), nn.Linear(D, 2)

    def forward(self, x):
        return torch.stack([self.head(self.enter(h)) for h in x]).unsqueeze(1)


def images(normalization):
    branch = nn.Sequential(nn.Conv2d(D, D, 3, padding=1), normalization, nn.Conv2d(D, D, 3, padding=1))
    return nn.Sequential(Residual(branch), nn.Conv2d(D, 2, 1))


def in_turn(h, f):
    """Time first, flattened to (time x samples, features)."""
    rows = h.transpose(0, 1).reshape(T * N, D)
    return (rows + f(rows).tanh()).reshape(T, N, D).transpose(0, 1)


def recurrent(h, rnn):
    return rnn(h.transpose(0, 1))[0].transpose(0, 1)


def attending(batch_first):
    def middle(h, attention):
        h = h if batch_first else h.transpose(0, 1)
        h = h + attention(h, h, h)[0]
        return h if batch_first else h.transpose(0, 1)

    return middle


def neighbours(part):
    return lambda h: h + part * h.roll(1, 0)


ROWS, SEQUENCES, IMAGES = (N, D), (N, T, D), (N, D, 6, 6)
NETS = {
    "rows": (lambda: Through(lambda h: h), ROWS),
    "rows in half precision": (lambda: Through(lambda h: h), ROWS),
    "neighbours": (lambda: Through(neighbours(1e-3)), ROWS),
    "neighbours in half precision": (lambda: Through(neighbours(0.02)), ROWS),
    "a sum over the batch": (lambda: Through(lambda h: h - h.mean(0)), ROWS),
    "flattened into the last weight": (Flat, ROWS),
    "samples one by one": (OneByOne, ROWS),
    "as many features as samples": (lambda: Through(lambda h: h.T.contiguous().T), (D, D)),
    "features first": (lambda: Through(lambda h, f: (f.weight @ h.T).tanh().T, nn.Linear(D, D)), ROWS),
    "time first, flattened": (lambda: Through(in_turn, nn.Linear(D, D)), SEQUENCES),
    "a recurrence, time first": (lambda: Through(recurrent, nn.GRU(D, D)), SEQUENCES),
    "attention": (lambda: Through(attending(True), nn.MultiheadAttention(D, 2, batch_first=True)), SEQUENCES),
    "attention, time first": (lambda: Through(attending(False), nn.MultiheadAttention(D, 2)), SEQUENCES),
    "attention over the batch": (lambda: Through(attending(True), nn.MultiheadAttention(D, 2)), SEQUENCES),
    "instance norm": (lambda: images(nn.InstanceNorm2d(D, affine=True)), IMAGES),
    "group norm": (lambda: images(nn.GroupNorm(2, D)), IMAGES),
    "batch norm": (lambda: images(nn.BatchNorm2d(D)), IMAGES),
    "batch norm, evaluated": (lambda: images(nn.BatchNorm2d(D)).eval(), IMAGES),
}


def each_output_sees_one_sample(run, x):
    """Whether no output moves with more than one sample."""
    moved = []
    with torch.no_grad():
        before = run(x)
        for k in range(len(x)):
            other = x.clone()
            other[k] = torch.randn_like(x[k])
            moved.append(run(other) != before)
    return int(torch.stack(moved).sum(0).max()) <= 1


@pytest.mark.filterwarnings("ignore:what these operations may hold")
@pytest.mark.parametrize("name", NETS)
def test_samples_mix_where_one_moves_the_outputs_of_others(name):
    torch.manual_seed(0)
    build, shape = NETS[name]
    half = "half" in name
    model = build() if half else build().double()
    x = torch.randn(*shape, dtype=torch.float32 if half else torch.float64, requires_grad=True)

    def run(x):
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            return model(x)

    expected = each_output_sees_one_sample(run, x.detach())
    assert expected == (
        not any(word in name for word in ("neighbours", "a sum", "flattened into", "over", "norm"))
        or name in {"instance norm", "group norm", "batch norm, evaluated"}
    )
    loss = run(x).float().square().sum() if half else run(x).square().sum()
    for unit in ("blocks", "weights"):
        assert paths.spectrum(loss, x, unit).independent_samples == expected
    p = paths.participation_of(loss, x, model)
    assert p.independent_samples == expected
    assert expected or np.isnan(p.share_per_sample).all()


def test_tensors_that_count_different_things_have_no_samples():
    torch.manual_seed(0)
    f, head = Residual(), nn.Linear(D, 2)
    x, y = torch.randn(5, D, requires_grad=True), torch.randn(3, D, requires_grad=True)
    h = torch.cat([f(x), f(y)])
    loss = head(f(h + h.cumsum(0))).square().sum()
    for measured in (paths.spectrum(loss, (x, y), "blocks"), paths.participation_of(loss, (x, y))):
        assert not measured.independent_samples


@pytest.mark.filterwarnings("ignore:contractions with a constant")
@pytest.mark.parametrize("mixing", [False, True])
def test_a_masked_frozen_weight_is_the_network_too(mixing):
    """It is a constant to autograd, above which nothing would be asked."""
    torch.manual_seed(0)
    x = torch.randn(N, D, dtype=torch.float64, requires_grad=True)
    masked = torch.randn(D, D, dtype=torch.float64) * (torch.rand(D, D) < 0.5)
    h = (x @ masked).tanh()
    h = h * h.roll(1, 0) if mixing else h * h
    loss = (h @ masked).square().sum()
    assert paths.spectrum(loss, x, "weights").independent_samples != mixing
