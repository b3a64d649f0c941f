"""The gradient of every weight by path length: against sums over all paths, and against gradients at real t."""

from itertools import combinations

import numpy as np
import pytest
import torch
from cases import CASES, NAMES, Checkpointed, Shared
from chains import Chain
from torch import nn

from skipglass import paths, trace
from skipglass.errors import InputError
from skipglass.models import CifarResNet


def summed_over_paths(model, L, x, name, p):
    """(∂L/∂W)_r by the obvious slow way: one backward pass for each choice of branches above the weight."""
    parts = torch.zeros(L + 1, *p.shape, dtype=p.dtype)
    own = int(name.split(".")[1]) if name.startswith("blocks") else -1 if name.startswith("stem") else L
    above = range(own + 1, L)
    for r in range(len(above) + 1):
        for chosen in combinations(above, r):
            taken = {*chosen, own}  # what happens below the weight does not matter to it
            (path,) = torch.autograd.grad(model(x, taken), p)
            parts[r + (0 <= own < L)] += path
    return parts


@pytest.mark.parametrize("L", [1, 5])
def test_the_parts_are_the_sums_over_all_paths_of_a_length(L):
    torch.manual_seed(0)
    model, x = Chain(L, post=True).double(), torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    s = paths.weight_spectrum(model(x), x, model=model, keep=True)
    parameters = dict(model.named_parameters())
    assert s.weights == tuple(name for name in sorted(parameters, key=order(L)) if name.endswith("weight"))
    np.testing.assert_array_equal(s.lengths, range(L + 1))
    for k, name in enumerate(s.weights):
        slow = summed_over_paths(model, L, x, name, parameters[name])
        torch.testing.assert_close(s.gradients[k], slow, rtol=1e-11, atol=1e-12 * float(slow.abs().max()))
        whole = slow.sum(dim=0)
        np.testing.assert_allclose(s.norm[:, k], slow.flatten(1).norm(dim=1), rtol=1e-10, atol=1e-13)
        np.testing.assert_allclose(s.share[:, k], (slow * whole).flatten(1).sum(1) / whole.norm() ** 2, atol=1e-11)
        assert s.whole[k] == pytest.approx(float(whole.norm()), rel=1e-12)
        square = s.norm[:, k] ** 2
        assert s.energy_depth[k] == pytest.approx(float(s.lengths @ square / square.sum()), rel=1e-12)
        assert s.effective_depth[k] == pytest.approx(float(s.lengths @ s.share[:, k]), rel=1e-12)
    # the update is one long vector
    update = torch.cat([g.flatten(1) for g in s.gradients], dim=1)
    whole = update.sum(dim=0)
    np.testing.assert_allclose(s.update_norm, update.norm(dim=1), rtol=1e-12)
    np.testing.assert_allclose(s.update_share, update @ whole / whole.norm() ** 2, rtol=1e-9, atol=1e-12)
    assert s.update_share.sum() == pytest.approx(1, abs=1e-12)
    assert s.update_energy.sum() == pytest.approx(1, abs=1e-12)
    assert s.update_depth == pytest.approx(float(s.lengths @ s.update_share), rel=1e-12)
    assert s.error <= 1e-14


def order(L):
    places = {"stem": -1, "head": L}
    return lambda name: (places.get(name.split(".")[0], 0) or 0, name) if "blocks" not in name else (0, name)


def at_real_t(run, parameters, R, reach=1.5):
    """The coefficients of a polynomial in t, from gradients at R Chebyshev points; ``run`` scales each branch's."""
    points = reach * np.cos(np.pi * (np.arange(R) + 0.5) / R)
    values = [np.concatenate([g.ravel() for g in torch.autograd.grad(run(t), parameters)]) for t in points]
    return np.linalg.solve(points[:, None] ** np.arange(R), np.array(values))


def scaled(branch, t):
    """A branch whose gradient is multiplied by t."""
    if t != 1:
        branch.register_hook(lambda g: g * t)
    return branch


def flat(s):
    return torch.cat([g.flatten(1) for g in s.gradients], dim=1).numpy()


@pytest.mark.parametrize("mode", ["train", "eval"])
def test_a_resnet_with_batch_norm(mode):
    """Every branch ends in a bn2: its output's gradient times t makes ∂L/∂W a polynomial in t."""
    torch.manual_seed(1)
    model = CifarResNet(8, width=4).double().train(mode == "train")
    x, y = torch.randn(6, 3, 16, 16, dtype=torch.float64, requires_grad=True), torch.arange(6)
    scale = [1.0]
    for name, module in model.named_modules():
        if name.endswith("bn2"):
            module.register_forward_hook(lambda m, i, out: scaled(out, scale[0]))

    def run(t):
        scale[0] = t
        return nn.functional.cross_entropy(model(x), y)

    s = paths.weight_spectrum(run(1.0), x, model=model, keep=True)
    weights = [dict(model.named_parameters())[name] for name in s.weights]
    assert len(weights) == 8
    np.testing.assert_array_equal(s.lengths, range(4))
    slow = at_real_t(run, weights, 4)
    np.testing.assert_allclose(flat(s), slow, rtol=1e-9, atol=1e-12 * np.abs(slow).max())


def test_gpt2_attention_and_its_shared_head():
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(2)
    config = transformers.GPT2Config(
        vocab_size=11, n_embd=8, n_head=2, n_layer=2, n_positions=8, bos_token_id=0, eos_token_id=0
    )
    model = transformers.GPT2LMHeadModel(config).double().eval()
    tokens, scale = torch.arange(10).view(2, 5), [1.0]
    for block in model.transformer.h:
        for branch in (block.attn.c_proj, block.mlp.c_proj):
            branch.register_forward_hook(lambda m, i, out: scaled(out, scale[0]))

    def run(t, given=None):
        scale[0] = t
        x = model.transformer.wte(tokens) if given is None else given
        return model(inputs_embeds=x, labels=tokens).loss, x

    loss, x = run(1.0)
    s = paths.weight_spectrum(loss, x, model=model, keep=True)
    assert s.elsewhere == ("transformer.wte.weight",)  # the head's weight is that of the embedding, which lies below x
    cut = x.detach().requires_grad_()  # without the embedding below, ∂L/∂W is what the head alone gets
    weights = [dict(model.named_parameters())[name] for name in s.weights]
    slow = at_real_t(lambda t: run(t, cut)[0], weights, 5)
    np.testing.assert_allclose(flat(s), slow, rtol=1e-9, atol=1e-11 * np.abs(slow).max())


@pytest.mark.parametrize("make", [Shared, Checkpointed])
def test_shared_weights_and_checkpoints(make):
    torch.manual_seed(3)
    model, x = make().double(), torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    steps = [model.step] * 3 if make is Shared else model.steps

    def run(t):
        h = x
        for step in steps:
            h = h + scaled(step.f(h).tanh(), t)
        return h.square().sum()

    s = paths.weight_spectrum(model(x).square().sum(), x, model=model, keep=True)
    weights = [dict(model.named_parameters())[name] for name in s.weights]
    assert len(weights) == (1 if make is Shared else 3)
    np.testing.assert_array_equal(s.lengths, [1, 2, 3])
    slow = at_real_t(run, weights, 4)[1:]
    np.testing.assert_allclose(flat(s), slow, rtol=1e-10, atol=1e-12 * np.abs(slow).max())


def test_frozen_weights_are_listed_and_the_others_split_as_before():
    torch.manual_seed(4)
    model, x = Chain(3, post=True).double(), torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    before = paths.weight_spectrum(model(x), x, model=model, keep=True)
    model.blocks[1][0].weight.requires_grad_(False)
    after = paths.weight_spectrum(model(x), x, model=model, keep=True)
    assert after.frozen == ("blocks.1.0.weight",)
    left = [k for k, name in enumerate(before.weights) if name not in after.frozen]
    assert after.weights == tuple(before.weights[k] for k in left)
    for k, g in zip(left, after.gradients, strict=True):
        torch.testing.assert_close(g, before.gradients[k])
    with pytest.raises(InputError, match=r"none of the 8 found there requires a gradient") as caught:
        paths.weight_spectrum(model.requires_grad_(False)(x), x, model=model)
    assert "\n" not in str(caught.value)


def test_autocast_in_half_precision():
    torch.manual_seed(5)
    model, x = Chain(3, width=16, post=True), torch.randn(8, 3, requires_grad=True)
    full = paths.weight_spectrum(model(x), x, model=model)
    with torch.autocast("cpu", torch.bfloat16):
        half = paths.weight_spectrum(model(x).float(), x, model=model)
    assert half.weights == full.weights
    assert 1e-8 < half.error <= 2e-2
    np.testing.assert_allclose(half.effective_depth, full.effective_depth, atol=0.05)


def test_the_unit_weights_counts_those_between_the_loss_and_a_weight():
    torch.manual_seed(6)
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 1)).double()
    x = torch.randn(2, 3, dtype=torch.float64, requires_grad=True)
    s = paths.weight_spectrum(model(x).sum(), x, "weights", model=model)
    assert s.effective_depth.round(12).tolist() == [2, 1, 0]


def test_weights_that_are_computed_give_the_gradients_of_what_they_are_computed_from():
    """Weight normalisation and a hook on a parameter: W = g v/‖v‖, and a gradient that is doubled."""
    torch.manual_seed(7)
    layer = nn.utils.parametrizations.weight_norm(nn.Linear(4, 4)).double()
    x = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    layer.bias.requires_grad_(False)
    layer.parametrizations.weight.original0.register_hook(lambda g: 2 * g)
    loss = (x + layer(x).tanh()).square().sum()
    s = paths.weight_spectrum(loss, x, model=layer, keep=True)
    parameters = dict(layer.named_parameters())
    assert len(s.weights) == 2
    loss.backward()
    for name, g in zip(s.weights, s.gradients, strict=True):
        torch.testing.assert_close(g.sum(0), parameters[name].grad, rtol=1e-12, atol=1e-13)


FROZEN = {"frozen", "all frozen under autocast", "frozen convolutions under autocast"}
UNSEEN = {"around a fused LSTM", "bilinear"}
"""Cases whose weights lie inside what cannot be seen."""


@pytest.mark.parametrize("name", NAMES)
def test_parts_sum_to_the_gradient_of_every_weight(name):
    case = CASES[name]
    torch.manual_seed(0)
    model, loss, x = case.make()
    t = trace(loss=loss, x=x, model=model)
    if name in FROZEN | UNSEEN:
        with pytest.raises(InputError, match="requires_grad_" if name in FROZEN else "found no weight there"):
            paths.weight_spectrum(t)
        return
    s = paths.weight_spectrum(t, keep=True)
    assert s.error <= case.error
    parameters = {id(p): n for n, p in model.named_parameters(remove_duplicate=False)}
    known = {n: p for n, p in model.named_parameters(remove_duplicate=False) if parameters[id(p)]}
    loss.backward()
    for k, weight in enumerate(s.weights):
        if weight in known and weight not in s.elsewhere:
            g = known[weight].grad
            assert float((s.gradients[k].sum(0) - g).norm()) <= case.error * float(s.norm.sum())


def test_a_result_is_printed_drawn_and_stored(tmp_path):
    torch.manual_seed(8)
    model, x = Chain(3, post=True), torch.randn(5, 3, requires_grad=True)
    s = paths.weight_spectrum(model(x), x, model=model)
    assert str(s).startswith("Above a weight the gradient has passed")
    assert "blocks.1.0.weight" in s._repr_html_()
    assert s.plot().get_xlabel() == "weight, from input to output"
    again = paths.WeightSpectrum.load(s.save(tmp_path / "weights.nc"))
    assert again.weights == s.weights
    np.testing.assert_array_equal(again.update_share, s.update_share)
    zero = paths.weight_spectrum(model(x) * 0, x, model=model)
    assert np.isnan(zero.update_depth)
    assert "undefined" in str(zero)


def test_a_penalty_on_the_weights_is_no_path():
    """‖W‖² in the loss adds to W.grad, and nothing to what W gets as a weight."""
    torch.manual_seed(9)
    model, x = Chain(2, post=True).double(), torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    plain = paths.weight_spectrum(model(x), x, model=model, keep=True)
    penalty = sum(p.square().sum() for p in model.parameters())
    s = paths.weight_spectrum(model(x) + penalty, x, model=model, keep=True)
    assert s.elsewhere == s.weights == plain.weights
    for a, b in zip(s.gradients, plain.gradients, strict=True):
        torch.testing.assert_close(a, b)


def test_a_hook_on_what_a_weight_gives_out_fires_once():
    torch.manual_seed(10)
    model, x = Chain(1, post=True).double(), torch.randn(5, 3, dtype=torch.float64, requires_grad=True)

    def run():
        h = model.stem(x)
        h.register_hook(lambda g: 3 * g)
        inner = model.blocks[0][0](h)
        inner.register_hook(lambda g: 2 * g)
        return model.head(h + model.blocks[0][2](inner.tanh())).square().sum()

    s = paths.weight_spectrum(run(), x, model=model, keep=True)
    gradients = torch.autograd.grad(run(), [dict(model.named_parameters())[name] for name in s.weights])
    for parts, g in zip(s.gradients, gradients, strict=True):
        torch.testing.assert_close(parts.sum(0), g, rtol=1e-12, atol=1e-13)
    assert s.elsewhere == ()


def test_activation_checkpoints_and_a_model_that_holds_gradients_are_left_as_found():
    torch.manual_seed(11)
    model, x = Checkpointed(), torch.randn(3, 4, requires_grad=True)
    model(x).square().sum().backward()
    before = [p.grad.clone() for p in model.parameters()]
    x.grad = None
    loss, state = model(x).square().sum(), torch.get_rng_state()
    paths.weight_spectrum(loss, x, model=model)
    assert all(torch.equal(p.grad, g) for p, g in zip(model.parameters(), before, strict=True))
    assert x.grad is None
    assert torch.equal(torch.get_rng_state(), state)
    loss.backward()  # the graph is still there
