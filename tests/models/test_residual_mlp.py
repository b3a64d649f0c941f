"""The residual MLP against its equations written out, and many seeds against one."""

import pytest
import torch
import torch.nn.functional as F

from skipglass.errors import InputError
from skipglass.models import NORMALIZATIONS, PLACEMENTS, ResidualMLP

VARIANTS = [(n, p) for n in NORMALIZATIONS for p in PLACEMENTS]


def batch_norm(z, layer):
    centred = z - z.mean(0)
    return layer.multiplier * centred / torch.sqrt(centred.square().mean(0) + 1e-5) + layer.shift


def eq_22(z, layer):
    return layer.multiplier / z.std(0).mean() * z


def naive(model, x, normalization, placement):
    """Eqs. 8 and 22 sample by row, in train mode."""
    norm = {"none": lambda z, _: z, "batch": batch_norm, "paper": eq_22}[normalization]
    h = x
    for l, layer in enumerate(model.layers):
        z = h @ layer.weight.T
        branch = F.relu(norm(z, layer)) if placement == "before" else norm(F.relu(z), layer)
        h = branch + h if l else branch
    return h.sum(-1) if model.head is None else h @ model.head.weight.T + model.head.bias.T


@pytest.mark.parametrize(("normalization", "placement"), VARIANTS)
@pytest.mark.parametrize("out", [None, 3])
def test_the_network_is_the_equation(normalization, placement, out):
    x = torch.randn(30, 7, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    model = ResidualMLP(7, out, depth=4, width=6, normalization=normalization, placement=placement, dtype=torch.float64)
    for parameter in model.parameters():  # so that multipliers and shifts are not 1 and 0
        parameter.data += 0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(2))
    tolerance = 1e-4 if normalization == "paper" else 1e-12  # its ε is added to σ
    torch.testing.assert_close(model(x), naive(model, x, normalization, placement), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_dead_unit_changes_no_bit_of_eq_22_nor_of_its_gradient(dtype):
    layer = ResidualMLP(7, depth=1, width=6, normalization="paper", dtype=dtype).layers[0]
    z = torch.randn(6, 30, generator=torch.Generator().manual_seed(0), dtype=dtype).relu()
    z[2] = 0.0
    grads = []
    for compute in (layer.normalize, lambda z: (layer.multiplier / (z.std(dim=-1).mean() + 1e-5)) * z):
        leaf = z.clone().requires_grad_()
        grads.append((compute(leaf), *torch.autograd.grad(compute(leaf).square().sum(), leaf)))
    assert all(torch.equal(a, b) for a, b in zip(*grads, strict=True))


@pytest.mark.parametrize(("normalization", "placement"), VARIANTS)
def test_seeds_side_by_side_equal_each_alone(normalization, placement):
    settings = {"normalization": normalization, "placement": placement, "dtype": torch.float64}
    many = ResidualMLP(7, 3, depth=5, width=6, seeds=[4, 9], **settings)
    x = torch.randn(2, 20, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    together = many(x)
    together.square().sum().backward()
    for s, seed in enumerate([4, 9]):
        alone = ResidualMLP(7, 3, depth=5, width=6, seeds=seed, **settings)
        output = alone(x[s])
        output.square().sum().backward()
        torch.testing.assert_close(together[s], output, rtol=1e-12, atol=1e-12)
        for (name, p), q in zip(many.named_parameters(), alone.parameters(), strict=True):
            torch.testing.assert_close(p.grad[s], q.grad, rtol=1e-10, atol=1e-10, msg=name)
        for b, c in zip(many.buffers(), alone.buffers(), strict=True):
            torch.testing.assert_close(b[s], c, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(many.eval()(x)[s], alone.eval()(x[s]), rtol=1e-12, atol=1e-12)
        many.train()


@pytest.mark.parametrize(("normalization", "placement"), [v for v in VARIANTS if v[0] != "none"])
def test_calibrated_statistics_make_eval_equal_train(normalization, placement):
    model = ResidualMLP(7, 3, depth=4, width=6, normalization=normalization, placement=placement, dtype=torch.float64)
    x = torch.randn(4_000, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    model.calibrate(x)
    assert model.training
    assert all(layer.momentum == 0.1 for layer in model.layers)
    torch.testing.assert_close(model.eval()(x), model.train()(x), rtol=2e-3, atol=2e-3)  # N against N-1


def test_initial_weights_have_the_asked_scale():
    model = ResidualMLP(50, depth=3, width=400, scale=0.3, seeds=7)
    assert model.layers[1].weight.std().item() == pytest.approx(0.3, rel=0.01)
    model = ResidualMLP(50, depth=3, width=400)
    assert model.layers[0].weight.std().item() == pytest.approx(50**-0.5, rel=0.02)
    assert model.layers[1].weight.std().item() == pytest.approx(400**-0.5, rel=0.01)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"depth": 0}, "depth"),
        ({"width": 0}, "width"),
        ({"normalization": "layer"}, "normalization"),
        ({"placement": "behind"}, "placement"),
        ({"scale": 0.0}, "scale"),
        ({"seeds": []}, "seed"),
        ({"seeds": [-1]}, "seed"),
    ],
)
def test_bad_arguments_are_named(arguments, word):
    with pytest.raises(InputError, match=word):
        ResidualMLP(5, 2, **arguments)
