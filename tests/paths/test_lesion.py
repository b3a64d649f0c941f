"""Lesions against a network changed by hand: the branch's last module replaced by one that gives zeros."""

import contextlib
import copy
import pickle
from math import comb

import pytest
import torch
from cases import CASES, Checkpointed, ConvNet, Step
from torch import nn

from skipglass import paths
from skipglass.errors import InputError
from skipglass.models import ResidualMLP


class Silent(nn.Module):
    """A module that runs, for its random numbers and buffers, and gives zeros."""

    def __init__(self, module):
        super().__init__()
        self.module = module
        self.weight = module.weight  # T5 asks for its type

    def forward(self, *args):
        return torch.zeros_like(self.module(*args))


LAST = {  # case: block → the last module of its branch that holds a weight
    "post-activation ResNet": lambda block: [f"{block}.bn2"],
    "pre-activation ResNet": lambda block: [f"{block}.conv2"],
    "frozen": lambda block: [f"{block}.bn2"],
    "LoRA": lambda block: [f"{block}.base", f"{block}.b"],
    "nested": lambda block: [block if block.endswith("f") else f"{block}.leave"],
    "encoder-decoder": lambda block: [block],
    "auxiliary": lambda block: [block],
    "in place": lambda block: [block],
    "stacked and summed": lambda block: [block],
    "joined and averaged": lambda block: [block],
    "BERT": lambda block: [f"{block}.output.dense"],
    "ConvNeXt": lambda block: [f"{block}.pwconv2"],
    "ResNet": lambda block: [f"{block}.2.normalization"],
    "T5": lambda block: [f"{block}.{'wo' if 'Dense' in block else 'o'}"],
    "GPT-2": lambda block: [f"{block}.c_proj"],
    "Llama": lambda block: [f"{block}.{'down_proj' if 'mlp' in block else 'o_proj'}"],
    "GPT-NeoX": lambda block: [f"{block}.attention.dense", f"{block}.mlp.dense_4h_to_h"],
}


@contextlib.contextmanager
def silenced(model, names):
    before = {name: model.get_submodule(name) for name in names}
    for name, module in before.items():
        model.set_submodule(name, Silent(module))
    try:
        yield
    finally:
        for name, module in before.items():
            model.set_submodule(name, module)


def call(name, model, x):
    """The network's prediction."""
    if name == "T5":
        return model(inputs_embeds=x, decoder_inputs_embeds=x[:, :3]).last_hidden_state
    if name in {"BERT", "GPT-2", "Llama", "GPT-NeoX"}:
        outputs = model(inputs_embeds=x)
        return outputs.logits if "logits" in outputs else outputs.last_hidden_state
    return model(pixel_values=x).last_hidden_state if name in {"ConvNeXt", "ResNet"} else model(x)


def run(name, model, x):
    """Outputs, gradient and buffers after one call."""
    torch.manual_seed(1)
    y = call(name, model, x)
    g = torch.autograd.grad((y * torch.linspace(-1, 2, y.numel(), dtype=y.dtype).view_as(y)).sum(), x)[0]
    return y.detach(), g, [b.clone() for b in model.buffers()], torch.get_rng_state()


@pytest.mark.parametrize("name", LAST)
def test_a_lesion_is_the_network_without_that_branch(name):
    torch.manual_seed(0)
    model, _, x = CASES[name].make()
    state = {k: v.clone() for k, v in model.state_dict().items()}
    intact = run(name, model, x)[0]
    for block, *_ in CASES[name].blocks:
        model.load_state_dict(state)
        with paths.lesion(model, [block]):
            found = run(name, model, x)
        model.load_state_dict(state)
        with silenced(model, LAST[name](block)):
            expected = run(name, model, x)
        assert not torch.allclose(found[0], intact, rtol=1e-12, atol=0)
        for a, b in zip(found[:2], expected[:2], strict=True):
            torch.testing.assert_close(a, b, rtol=1e-13, atol=1e-13 * float(b.abs().max()))
        torch.testing.assert_close(found[2:], expected[2:], rtol=0, atol=0)
    model.load_state_dict(state)
    torch.testing.assert_close(run(name, model, x)[0], intact, rtol=0, atol=0)


class Linear(nn.Module):
    """L blocks h ← h + W_l h."""

    def __init__(self, L):
        super().__init__()
        self.blocks = nn.ModuleList(nn.Linear(3, 3, bias=False) for _ in range(L))

    def forward(self, x):
        for f in self.blocks:
            x = x + f(x)
        return x


def test_a_lesion_removes_exactly_the_paths_through_the_block():
    torch.manual_seed(0)
    L = 5
    model = Linear(L).double()
    x = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(4, 3, dtype=torch.float64)
    loss = (model(x) * weight).sum()
    whole = paths.spectrum(loss, x, "blocks", model=model, keep=True)
    p = paths.participation_of(loss, x, model)
    g = whole.gradients.sum(0)
    for l in range(L):
        with paths.lesion(model, [f"blocks.{l}"]):
            less = (model(x) * weight).sum()
        s = paths.spectrum(less, x, "blocks", model=model, keep=True)
        assert paths.census(less, x, "blocks") == {r: comb(L - 1, r) for r in range(L)}
        lost = g - s.gradients.sum(0)  # nothing is frozen in a linear network: its paths, and no others
        assert float((lost * g).sum() / (g * g).sum()) == pytest.approx(p.share[l], rel=1e-12)
        h = x
        for k, f in enumerate(model.blocks):
            h = f(h) if k == l else h + f(h)
        through = torch.autograd.grad((h * weight).sum(), x)[0]
        torch.testing.assert_close(lost, through, rtol=1e-12, atol=1e-12)


def test_several_names_nested_contexts_and_prefixes():
    torch.manual_seed(0)
    model = ResidualMLP(5, 3, depth=5, width=6, dtype=torch.float64)
    x = torch.randn(4, 5, dtype=torch.float64)
    intact = model(x)
    with paths.lesion(model, ["layers.1", "layers.3"]):
        both = model(x)
        assert model.forward.__wrapped__  # still signs itself as the method it stands for
    with paths.lesion(model, "layers.1"), torch.no_grad(), paths.lesion(model, "layers.3"):
        nested = model(x)
    with paths.lesion(model, "layers.3"):
        with paths.lesion(model, "layers.1"):
            pass
        one = model(x)
    assert torch.equal(both, nested)
    assert not torch.allclose(both, one)
    with paths.lesion(model, ["layers"]), torch.inference_mode():
        every = model(x)
    for layer in list(model.layers)[1:]:
        layer.forward = lambda h: h
    torch.testing.assert_close(every, model(x))
    for layer in list(model.layers)[1:]:
        del layer.forward
    assert "forward" not in vars(model)
    assert torch.equal(model(x), intact)
    blocks = nn.Sequential(Step(), Step()).double()
    h = torch.randn(2, 4, dtype=torch.float64)
    with paths.lesion(blocks, ["0.f", "1.f"]):
        assert torch.equal(blocks(h), h)


def test_a_layer_of_torch_that_has_a_fast_path_in_evaluation():
    torch.manual_seed(0)
    model = nn.Sequential(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)).eval()
    x = torch.randn(2, 5, 8)
    with torch.no_grad(), paths.lesion(model, ["0.self_attn"]):
        found = model(x)
    with torch.no_grad():
        block = model[0]
        h = block.norm1(x)
        expected = block.norm2(h + block.linear2(torch.relu(block.linear1(h))))
    torch.testing.assert_close(found, expected)


def test_bad_names_and_places_that_cannot_be_reached():
    model = ResidualMLP(5, depth=3, width=4)
    x = torch.ones(2, 5)
    for names, text in (
        (["layers.9"], r"layers\.9.*layers\.1"),
        (["weight"], "weight"),
    ):
        with pytest.raises(InputError, match=text), paths.lesion(model, names):
            model(x)
    with pytest.raises(InputError, match="blocks"), paths.lesion(model, [3]):
        pass
    with pytest.raises(InputError, match="int"), paths.lesion(3, ["a"]):
        pass
    flat = nn.Flatten()
    with paths.lesion(flat, ["layers.1"]), pytest.raises(InputError):
        flat(torch.ones(2, 3, dtype=torch.long))
    steps = Checkpointed()
    h = torch.randn(2, 4, requires_grad=True)
    with pytest.raises(InputError, match="checkpoint"), paths.lesion(steps, ["steps.1.f"]):
        steps(h)
    with paths.lesion(steps, ["steps"]), torch.no_grad():
        assert torch.equal(steps(h), h)
    assert all("forward" not in vars(m) for m in (model, steps))


def test_the_model_is_left_as_it_was_after_an_error():
    model = ConvNet(pre=False)
    x = torch.randn(4, 3, 6, 6)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    rng = torch.get_rng_state()

    def lesioned():
        with paths.lesion(model, ["layer1.7"]):
            model(x)

    with pytest.raises(InputError):
        lesioned()
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), rng)
    assert "forward" not in vars(model)
    assert model.training
    assert all(p.grad is None for p in model.parameters())


def test_a_branch_that_is_added_to_in_place_leaves_the_graph():
    torch.manual_seed(0)
    model, _, x = CASES["post-activation ResNet"].make()
    with paths.lesion(model, ["layer1.1"]):
        loss = model(x).square().sum()
    names = [b.name for b in paths.outline(loss, x, model).blocks]
    assert names == ["layer1.0", "layer2.0", "layer2.1"]
    assert paths.census(loss, x, "blocks") == {r: comb(3, r) for r in range(4)}


class Dropping(nn.Module):
    """Leaves out one layer a call, another one each time, by a count of its own."""

    def __init__(self):
        super().__init__()
        self.f, self.calls = nn.ModuleList(nn.Linear(4, 4) for _ in range(3)), 0

    def forward(self, x):
        self.calls += 1
        for k, f in enumerate(self.f):
            if k != self.calls % 3:
                x = x + torch.tanh(f(x))
        return x


class Unusual(Linear):
    """A forward method whose first argument has another name."""

    def forward(this, x):
        for f in this.blocks:
            x = x + f(x)
        return x


class Packed(Linear):
    """A forward method that has no first argument."""

    def forward(*given):
        this, x = given
        return Linear.forward.__get__(this)(x) if this is None else this.blocks[1](x) + x


@pytest.mark.parametrize(("kind", "name"), [(Unusual, "blocks.1"), (Packed, "blocks.1")])
def test_the_model_may_call_itself_as_it_likes(kind, name):
    torch.manual_seed(0)
    model, x = kind(2), torch.randn(4, 3)
    with silenced(model, [name]):
        expected = model(x)
    with paths.lesion(model, [name]):
        assert torch.equal(model(x), expected)


def test_a_copy_made_inside_has_no_lesion():
    torch.manual_seed(0)
    model, x = Linear(3), torch.randn(4, 3)
    whole = model(x)
    with paths.lesion(model, "blocks"):
        deep, shallow, image = copy.deepcopy(model), copy.copy(model), pickle.dumps(model)
        assert torch.equal(model(x), x)
        assert torch.equal(deep(x), whole)
        with paths.lesion(deep, "blocks"):
            assert torch.equal(deep(x), x)
    for other in (model, deep, shallow, pickle.loads(image)):
        assert torch.equal(other(x), whole)
    calls = []
    model.blocks[0].register_forward_hook(lambda *_: calls.append(1))
    shallow(x)
    assert calls == [1]  # nothing is rehearsed any more
    with torch.no_grad():
        deep.blocks[0].weight.zero_()
    assert torch.equal(model(x), whole)
    assert not torch.equal(deep(x), whole)


@pytest.mark.parametrize("blocks", [None, 3, [3], b"blocks"])
def test_blocks_are_given_by_name(blocks):
    with pytest.raises(InputError, match="blocks"), paths.lesion(Linear(1), blocks):
        pass


def test_a_model_that_takes_another_way_each_time_is_refused():
    torch.manual_seed(0)
    model = Dropping()  # rehearsed without f.1, called without f.2: its second sum is another block's
    with pytest.raises(InputError), paths.lesion(model, "f.2"):
        model(torch.randn(2, 4))
