"""The network of the paper's analysis: Eq. 8 with its gates replaced, and weights for which A2-A4 hold."""

import math

import pytest
import torch

from skipglass.errors import InputError
from skipglass.models import GATES, GatedMLP, ResidualMLP, evenly_spread, redundant_weights, unique_weights
from skipglass.paths import output_split, spectrum


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def weights(**changes):
    sizes = {"depth": 4, "width": 6, "unique": 3, "scale": 0.4, "seeds": ()}
    return redundant_weights(5, **{**sizes, **changes}, generator=generator())


def normal(*shape):
    return torch.randn(shape, generator=generator(1), dtype=torch.float64)


def test_with_relus_it_is_the_paper_s_network():
    model, x = ResidualMLP(5, depth=4, width=6, seeds=3, dtype=torch.float64), normal(20, 5)
    same = GatedMLP([layer.weight.detach() for layer in model.layers])
    torch.testing.assert_close(same(x), model(x), rtol=1e-14, atol=0)


@pytest.mark.parametrize("gates", GATES)
def test_the_gates_stand_where_they_are_said_to(gates):
    W, x = weights(), normal(20, 5)
    model = GatedMLP(W, gates, gate=0.3, seed=2)
    h = W[0] @ x.T
    for l, weight in enumerate(W):
        z = h if l == 0 else weight @ (h.clamp(min=0) if gates == "relu first" else h)
        masks = {"mean": 0.3, "drawn": model.get_buffer(f"open_{l}"), "relu": (z > 0).double(), "relu first": 1.0}
        h = masks[gates] * z + (h if l else 0)
    torch.testing.assert_close(model(x), h.sum(0), rtol=1e-13, atol=1e-13)


def test_drawn_gates_are_open_with_their_probability():
    model = GatedMLP(redundant_weights(5, depth=2, width=4_000, unique=2, scale=1.0, generator=generator()), gate=0.3)
    assert model.open_1.mean().item() == pytest.approx(0.3, abs=4 * math.sqrt(0.21 / 4_000))


def test_every_unit_sends_each_value_out_equally_often():
    W = weights(seeds=(7,))
    values = W[0][:, :, 0].sort(-1).values
    for weight in W:
        sent = weight.sort(dim=-2).values
        assert torch.equal(sent, values[..., None].expand_as(sent))
        assert (values[:, ::2] == values[:, 1::2]).all()  # n/Λ = 2 copies
    assert not torch.equal(W[1][0], W[1][1])


@pytest.mark.parametrize("alignment", [None, 1.0, -0.5, 2.0])
def test_unique_weights_lie_on_their_sphere(alignment):
    w = unique_weights(4, 0.3, alignment, generator=generator(), seeds=(50,))
    torch.testing.assert_close(w.square().mean(-1), torch.full((50,), 0.09, dtype=torch.float64))
    s = w.sum(-1) / (2 * 0.3)
    if alignment is None:
        assert s.square().mean().item() == pytest.approx(1, abs=4 * s.square().std().item() / 50**0.5)
        assert s.std() > 0.5
    else:
        torch.testing.assert_close(s, torch.full((50,), alignment, dtype=torch.float64))


def test_one_unique_weight_is_c_itself():
    assert unique_weights(1, 0.3, generator=generator()).tolist() == [0.3]


@pytest.mark.parametrize("gates", GATES)
def test_what_is_measured_by_the_gradient_is_the_output_split(gates):
    model, x = GatedMLP(weights(), gates), normal(9, 5).requires_grad_()
    split = output_split(model, x.detach(), unit="weights")
    parts = spectrum(model(x).sum(), x, unit="weights", keep=True)
    found = (parts.gradients * x.detach()).sum(dim=(1, 2)).numpy()
    assert split.lengths.tolist() == parts.lengths.tolist() == [1, 2, 3, 4]
    assert found == pytest.approx(split.parts, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: evenly_spread(6, 3, 4, generator()), "divisor of 6"),
        (lambda: evenly_spread(2, 3, 4, generator()), "divisor of 2"),
        (lambda: unique_weights(4, 1.0, 2.1, generator=generator()), "√4"),
        (lambda: unique_weights(1, 1.0, 0.5, generator=generator()), "√1"),
        (lambda: GatedMLP(weights(), "open"), "gates"),
        (lambda: GatedMLP(weights(), gate=1.5), "1.5"),
    ],
)
def test_what_cannot_be_is_refused(call, words):
    with pytest.raises(InputError, match=words):
        call()
