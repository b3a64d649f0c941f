"""An absorbed network computes the same in eval mode, and what it absorbed is in its weights."""

import pytest
import torch
from networks import CASES, drawn, outputs
from torch import nn

from skipglass import scales
from skipglass.errors import InputError
from skipglass.models import CifarResNet, ResidualMLP

BOUND = {torch.float64: 1e-12, torch.float32: 1e-5}


@pytest.mark.parametrize("dtype", BOUND, ids=str)
@pytest.mark.parametrize("name", CASES)
def test_an_absorbed_network_computes_the_same(name, dtype):
    model, x = drawn(name, dtype)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    twin = scales.absorb(model, x)
    y = outputs(model, x)
    assert (outputs(twin, x) - y).abs().max() <= BOUND[dtype] * y.abs().max()
    for k, v in model.state_dict().items():
        assert torch.equal(v, before[k]), k


@pytest.mark.parametrize("name", CASES)
def test_what_was_absorbed_is_in_the_weights(name):
    model, x = drawn(name)
    found = scales.pairs(model, x)
    twin = scales.absorb(model, found)
    left = {n for n in found.left if n in found.norms}
    assert (len(found.absorptions), len(left)) == CASES[name][2:], str(found)
    after = scales.pairs(twin, x)
    for norm, held in after.norms.items():
        if norm not in left:
            state = dict([*twin.named_parameters(), *twin.named_buffers()])
            torch.testing.assert_close(state[held.variance] + held.eps, torch.ones_like(state[held.variance]))
            assert held.multiplier is None or (state[held.multiplier].abs() == 1).all()
    reported, own = scales.absorbed_norms(model, x), scales.weight_norms(twin, x)
    assert list(reported) == list(own) == list(scales.weight_norms(model, x))
    for layer in own:
        torch.testing.assert_close(reported[layer], own[layer], rtol=1e-12, atol=0)


@pytest.mark.parametrize("placement", ["before", "after"])
@pytest.mark.parametrize("normalization", ["none", "batch", "paper"])
def test_the_papers_networks_of_one_seed_or_many(normalization, placement):
    for seeds in (0, (0, 1)):
        model = ResidualMLP(
            5, 3, depth=4, width=6, normalization=normalization, placement=placement, dtype=torch.float64, seeds=seeds
        )
        shape = (50, 5) if seeds == 0 else (2, 50, 5)
        x = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        if normalization != "none":
            model.calibrate(x)
        with torch.no_grad():
            for layer in model.layers:
                if normalization != "none":
                    layer.multiplier.normal_()
        twin = scales.absorb(model.eval())
        torch.testing.assert_close(twin(x), model(x), rtol=1e-12, atol=1e-12)
        for a, b in zip(scales.absorbed_norms(model).values(), scales.weight_norms(twin).values(), strict=True):
            torch.testing.assert_close(a, b)


def test_absorbed_norms_by_the_definition():
    """Post-activation: ‖diag(λ/σ) W‖ of the batch norm behind. Pre-activation: of both beside the first weight."""
    model, x = drawn("post-activation")
    norms = scales.absorbed_norms(model, x)
    for name in ("layer1.0", "layer3.0"):
        block = model.get_submodule(name)
        for conv, bn in ((block.conv1, block.bn1), (block.conv2, block.bn2)):
            c = f"{name}.conv{1 if conv is block.conv1 else 2}"
            factor = bn.weight / (bn.running_var + bn.eps).sqrt()
            torch.testing.assert_close(norms[c], (factor[:, None, None, None] * conv.weight).norm())
    torch.testing.assert_close(norms["linear"], model.linear.weight.norm())
    model, x = drawn("pre-activation")
    block, norms = model.layer2[0], scales.absorbed_norms(model, x)
    ahead, behind = (bn.weight / (bn.running_var + bn.eps).sqrt() for bn in (block.bn1, block.bn2))
    by_hand = (behind[:, None, None, None] * block.conv1.weight * ahead[None, :, None, None]).norm()
    torch.testing.assert_close(norms["layer2.0.conv1"], by_hand)
    torch.testing.assert_close(norms["layer2.0.conv2"], block.conv2.weight.norm())
    final = model.bn1.weight / (model.bn1.running_var + model.bn1.eps).sqrt()
    torch.testing.assert_close(norms["linear"], (model.linear.weight * final).norm())


def test_pairs_do_not_depend_on_names_or_modules():
    class Functional(nn.Module):
        """Batch norm by the function, its tensors under misleading names, two uses of the same pair."""

        def __init__(self):
            super().__init__()
            self.a = nn.Parameter(torch.randn(4, 4, dtype=torch.float64))
            self.layer_norm = nn.Parameter(torch.randn(4, dtype=torch.float64))
            self.register_buffer("weight_mean", torch.randn(4, dtype=torch.float64))
            self.register_buffer("bias_var", torch.rand(4, dtype=torch.float64) + 0.5)

        def forward(self, x):
            for _ in range(2):
                x = nn.functional.batch_norm(x @ self.a, self.weight_mean, self.bias_var, self.layer_norm)
            return x

    model, x = Functional(), torch.randn(3, 4, dtype=torch.float64)
    found = scales.pairs(model, x)
    assert [(a.norm, a.weight, a.axis) for a in found.absorptions] == [("layer_norm", "a", 1)]
    torch.testing.assert_close(scales.absorb(model, x)(x), model(x), rtol=1e-12, atol=1e-12)


def test_a_multiplier_of_zero_keeps_its_channel():
    for name in ("pre-activation", "chain"):
        model, x = drawn(name)
        with torch.no_grad():
            for module in model.modules():
                if getattr(module, "affine", False):
                    module.weight[0] = 0
        torch.testing.assert_close(outputs(scales.absorb(model, x), x), outputs(model, x), rtol=1e-12, atol=1e-12)


def shared_norm():
    norm = nn.BatchNorm1d(4)
    return nn.Sequential(nn.Linear(4, 4), norm, nn.Tanh(), nn.Linear(4, 4), nn.ReLU(), norm)


def shared_weight():
    linear = nn.Linear(4, 4)
    return nn.Sequential(linear, nn.BatchNorm1d(4), nn.Tanh(), linear)


class TwoReaders(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear, self.norm = nn.Linear(4, 4), nn.BatchNorm1d(4)

    def forward(self, x):
        h = self.linear(x)
        return self.norm(h) + h


class Computed(nn.Module):
    def __init__(self):
        super().__init__()
        self.w, self.norm = nn.Parameter(torch.randn(4, 4)), nn.BatchNorm1d(4)

    def forward(self, x):
        return self.norm(x @ self.w.tanh())


class ComputedBias(nn.Module):
    """tanh(b) takes no factor: tanh(c b) is not c tanh(b)."""

    def __init__(self):
        super().__init__()
        self.weight, self.b = nn.Parameter(torch.randn(4, 4)), nn.Parameter(torch.randn(4))
        self.norm = nn.BatchNorm1d(4)

    def forward(self, x):
        return self.norm(nn.functional.linear(x, self.weight, self.b.tanh()))


class ComputedMultiplier(nn.Module):
    """λ = exp(parameter)."""

    def __init__(self):
        super().__init__()
        self.weight, self.log_scale = nn.Parameter(torch.randn(4, 4)), nn.Parameter(torch.randn(4))
        self.register_buffer("mean", torch.randn(4))
        self.register_buffer("variance", torch.rand(4) + 0.5)

    def forward(self, x):
        return nn.functional.batch_norm(x @ self.weight, self.mean, self.variance, self.log_scale.exp())


# name: (network, what is not absorbed, what the reason names)
LEFT = {
    "first": (nn.Sequential(nn.BatchNorm1d(4), nn.GELU(), nn.Linear(4, 2)), "0", ("input", "Gelu")),
    "smooth": (nn.Sequential(nn.Linear(4, 4), nn.GELU(), nn.BatchNorm1d(4), nn.Sigmoid()), "2", ("Gelu", "Sigmoid")),
    "two readers": (TwoReaders(), "norm", ("input", "Add")),
    "shared norm": (shared_norm(), "1", ("2 times",)),
    "shared weight": (shared_weight(), "1", ("0.weight", "2 times")),
    "no statistics": (
        nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4, track_running_stats=False)), "1", ("running statistics",),
    ),
    "computed": (Computed(), "w", ("Tanh",)),
    "computed bias": (ComputedBias(), "norm", ("weight",)),
    "computed multiplier": (ComputedMultiplier(), "log_scale", ("λ",)),
}  # fmt: skip


@pytest.mark.parametrize("name", LEFT)
def test_what_is_not_absorbed_is_listed_with_the_reason(name):
    model, norm, words = LEFT[name]
    x = torch.randn(3, 4)
    found = scales.pairs(model, x)
    assert not found.absorptions
    assert all(word in found.left[norm] for word in words), found.left[norm]
    assert found.left[norm] in str(found)
    twin = scales.absorb(model.eval(), found)
    torch.testing.assert_close(twin(x), model(x))


def test_networks_without_multipliers_are_refused_with_what_was_found():
    x = torch.ones(2, 4)
    for model, words in (
        (nn.Linear(4, 4), "running statistics"),
        (nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4)), "running statistics"),
        (nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4, affine=False)), "affine=False"),
        (LEFT["no statistics"][0], "; 1: "),
    ):
        with pytest.raises(InputError, match=words):
            scales.multipliers(model, x)


def test_an_example_is_made_from_the_first_layer_or_asked_for():
    model = CifarResNet(8, width=0.25)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    assert list(scales.multipliers(model)) == list(scales.multipliers(model, torch.zeros(1, 3, 32, 32)))
    assert scales.pairs(torch.compile(model, backend="eager")) == scales.pairs(model)
    for k, v in model.state_dict().items():
        assert torch.equal(v, before[k])
    assert model.training
    assert all(p.requires_grad for p in model.parameters())


def test_an_example_that_fits_nowhere_says_what_was_tried_and_why_it_failed():
    class Wide(nn.Module):
        """Wants 300 × 300 pixels."""

        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 1)

        def forward(self, x):
            if x.shape[-1] != 300:
                raise ValueError(f"{x.shape[-1]} pixels\nare too few")
            return self.conv(x)

    with pytest.raises(InputError) as caught:
        scales.pairs(Wide())
    for fact in ("Wide", "(2, 3, 32, 32)", "ValueError: 32 pixels", "(2, 3, 224, 224)", "ValueError: 224 pixels"):
        assert fact in str(caught.value)
    assert "\n" not in str(caught.value)
    assert scales.pairs(Wide(), torch.zeros(2, 3, 300, 300)).weights == {"conv": "conv.weight"}
    with pytest.raises(InputError, match=r"\(2, 4\)"):
        scales.multipliers(nn.Sequential(nn.Flatten(0), nn.Linear(4, 4), nn.BatchNorm1d(4)))


@pytest.mark.parametrize("error", [ZeroDivisionError, ImportError, torch.OutOfMemoryError])
def test_what_a_wrong_example_does_not_explain_is_raised_as_it_is(error):
    class Broken(nn.Linear):
        def forward(self, x):
            raise error("not for the shape of the input")

    with pytest.raises(error, match="not for the shape"):
        scales.pairs(Broken(4, 4))
