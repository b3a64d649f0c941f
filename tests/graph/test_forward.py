"""The forward pass behind every measurement: what is split, which loss is taken, and that nothing is left behind."""

import random
import sys

import numpy as np
import pytest
import torch
from cases import ConvNet
from torch import nn

import skipglass
from skipglass.errors import InputError
from skipglass.graph import forward, trace
from skipglass.graph.forward import default_loss


class Words(nn.Module):
    """Embeds token ids; writes to its input."""

    def __init__(self):
        super().__init__()
        self.places, self.words = nn.Embedding(7, 4), nn.Embedding(11, 4)
        self.f, self.head = nn.Linear(4, 4), nn.Linear(4, 11)

    def forward(self, ids, scale=None):
        h = self.places(torch.arange(ids.shape[1])) + self.words(ids)
        h = h if scale is None else h * scale
        return self.head(h + self.f(h).tanh())


class Dirty(nn.Module):
    """Changes whatever a forward pass may change."""

    def __init__(self, fail=False):
        super().__init__()
        self.norm, self.drop, self.fail = nn.BatchNorm1d(4), nn.Dropout(0.5), fail
        self.f = nn.Linear(4, 4)
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x):
        x.mul_(2)  # an operation in place on the input
        self.calls = self.calls + 1
        random.random(), np.random.rand()  # noqa: NPY002
        self.f.requires_grad_(False)
        y = x + self.drop(self.norm(self.f(x)))
        self.eval()
        if self.fail:
            raise ValueError("a bad batch\nof two lines")
        return y


def state(model):
    return (
        {k: v.clone() for k, v in model.state_dict().items()},
        [m.training for m in model.modules()],
        [(p.requires_grad, p.grad) for p in model.parameters()],
        torch.get_rng_state(),
        random.getstate(),
        np.random.get_state()[1].tolist(),  # noqa: NPY002
        [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules()],
    )


@pytest.mark.parametrize("fail", [False, True])
def test_a_measurement_leaves_everything_as_it_was(fail):
    model, x = Dirty(fail), torch.randn(6, 4)
    given, earlier = x.clone(), ConvNet(pre=False)
    before, buffer = state(model), model.calls
    if fail:
        with pytest.raises(InputError, match=r"the model raised ValueError: a bad batch, in .* \(Dirty\);") as caught:
            trace(model, x)
        assert "\n" not in str(caught.value)
    else:
        t = trace(model, x)
        assert [b.name for b in t.outline.blocks] == ["f"]
        assert t.gradient[0].abs().sum() > 0
    torch.testing.assert_close(state(model), before, rtol=0, atol=0)
    assert model.calls is buffer
    assert torch.equal(x, given)
    image = torch.randn(4, 3, 6, 6)
    loss = earlier(image).sum()  # a graph of the user's own survives a measurement
    assert not trace(earlier, image).independent_samples
    loss.backward()


def test_token_ids_are_split_at_the_embedding_they_enter():
    model, ids = Words(), torch.randint(0, 11, (3, 5))
    for inputs in (ids, (ids,), {"ids": ids}, {"ids": ids.int(), "scale": None}):
        with forward(model, inputs) as run:
            assert run.x.shape == (3, 5, 4)
            torch.testing.assert_close(run.x, model.words(ids), rtol=0, atol=0)
            h = run.x + model.places(torch.arange(5))
            y = model.head(h + model.f(h).tanh())
            torch.testing.assert_close(run.loss, y[:, -1].max(dim=1).values.sum())
            (g,) = torch.autograd.grad(run.loss, run.x)
            assert float(g.abs().sum()) > 0
    with forward(model, {"ids": ids, "scale": torch.ones(3, 5, 1)}) as run:
        assert run.x.shape == (3, 5, 1)  # a floating-point input goes first
    with pytest.raises(InputError, match="no input embedding"):
        trace(Rounded(), torch.ones(2, 3, dtype=torch.long))


class Rounded(nn.Module):
    def forward(self, ids):
        return ids.float()


def test_hugging_face_inputs_and_losses():
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    settings = transformers.GPT2Config(
        vocab_size=11, n_embd=8, n_layer=2, n_head=2, n_positions=8, bos_token_id=0, eos_token_id=0
    )
    model = transformers.GPT2LMHeadModel(settings).double().eval()
    ids = torch.randint(0, 11, (3, 5))
    inputs = {"input_ids": ids, "attention_mask": torch.ones(3, 5), "labels": ids}
    with forward(model, inputs) as run:
        assert torch.equal(run.x, model.transformer.wte(ids))
        torch.testing.assert_close(run.loss, model(**inputs).loss)
    t = trace(model, inputs)
    names = [f"transformer.h.{l}.{part}" for l in (0, 1) for part in ("attn", "mlp")]
    assert [b.name for b in t.outline.blocks] == names
    embedded = model.transformer.wte(ids).detach().requires_grad_()
    again = trace(loss=model(inputs_embeds=embedded, attention_mask=torch.ones(3, 5), labels=ids).loss, x=embedded)
    torch.testing.assert_close(t.gradient, again.gradient)
    with forward(model, ids, ids) as run:
        torch.testing.assert_close(run.loss, nn.functional.cross_entropy(run.outputs.logits.flatten(0, 1), ids.ravel()))


def test_the_default_losses():
    y = torch.randn(3, 4)
    classes = torch.tensor([0, 3, 2])
    assert default_loss(y) == y.max(dim=1).values.sum()
    assert default_loss(y, classes) == nn.functional.cross_entropy(y, classes)
    assert default_loss((y, 3), y + 1) == pytest.approx(1.0)
    assert default_loss({"loss": y.sum(), "logits": y}) == y.sum()
    assert default_loss({"loss": None, "logits": y}, classes) == nn.functional.cross_entropy(y, classes)
    image, labels = torch.randn(2, 5, 3, 3), torch.randint(0, 5, (2, 3, 3))
    assert default_loss(image, labels) == nn.functional.cross_entropy(image, labels)
    tokens = torch.randn(2, 3, 5)
    expected = nn.functional.cross_entropy(tokens.flatten(0, 1), torch.tensor([1, 2, 3, 4, 0, 1]))
    torch.testing.assert_close(default_loss(tokens, torch.tensor([[1, 2, 3], [4, 0, 1]])), expected)
    for targets, text in (
        (torch.tensor([0, 4, 1]), r"classes in 0\.\.3, found 4"),
        (torch.ones(3, 5), r"shape \(3, 5\) \(float32\) do not fit outputs of shape \(3, 4\)"),
        ([0, 1], "must be a tensor, not list"),
    ):
        with pytest.raises(InputError, match=text):
            default_loss(y, targets)
    with pytest.raises(InputError, match="holds no tensor"):
        default_loss("text")


def test_compiled_and_wrapped_models_run_as_the_network_inside():
    torch.manual_seed(0)
    model, x = ConvNet(pre=True).eval(), torch.randn(2, 3, 6, 6)
    expected = trace(model, x).gradient[0]
    part = ConvNet(pre=True).eval()
    part.load_state_dict(model.state_dict())
    part.layer1.compile(backend="eager")
    for wrapped in (torch.compile(model, backend="eager"), part):
        assert torch.equal(trace(wrapped, x).gradient[0], expected)
    with torch.no_grad():
        assert torch.equal(trace(model, x).gradient[0], expected)
    with torch.inference_mode():
        assert torch.equal(trace(model, x.clone()).gradient[0], expected)
    assert torch.equal(trace(model.requires_grad_(False), x).gradient[0], expected)


def test_the_module_is_there_under_paths_too():
    model = nn.Linear(3, 2)
    with skipglass.paths.forward.forward(model, torch.ones(4, 3)) as run:
        assert run.x.shape == (4, 3)
    assert skipglass.paths.forward is sys.modules["skipglass.graph.forward"]


def test_bad_input_gets_one_line():
    model, x = nn.Linear(3, 2), torch.ones(4, 3)
    detached = nn.Sequential(nn.Linear(3, 2))
    detached.forward = lambda given: given.detach()
    bad = [
        ((3, x), r"torch\.nn\.Module, not int"),
        ((model, "text"), "found str without any"),
        ((model, {}), "found dict without any"),
        ((model, x, None, 3), "loss_fn must be a function"),
        ((model, torch.ones(4, 7)), "the model raised RuntimeError"),
        ((model, x, None, lambda y: y), r"scalar, found the shape \(4, 2\)"),
        ((model, x, None, lambda y: 3.0), "must be a tensor, not float"),
        ((model, x, x, lambda y: y.sum()), "loss_fn raised TypeError"),
        ((detached, x), "was it detached"),
        ((nn.DataParallel(model), x), r"pass model\.module"),
        ((nn.Sequential(model, nn.Tanh()), x * float("nan")), "NaN or infinity"),
    ]
    for arguments, text in bad:
        with pytest.raises(InputError, match=text) as caught:
            _ = trace(*arguments).gradient
        assert "\n" not in str(caught.value)
