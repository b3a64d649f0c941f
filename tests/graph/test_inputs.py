"""What a model's inputs become: which of them are split, in which type, and which dimension counts samples."""

from collections import OrderedDict, UserDict, namedtuple
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import nn

import skipglass as sg
from skipglass.errors import InputError
from skipglass.graph import forward


class Net(nn.Module):
    """A block around the first input; the others are scaled and added."""

    def __init__(self, embedding=None, d=6):
        super().__init__()
        self.e, self.f = embedding, nn.Linear(d, d)

    def forward(self, first, *others, **named):
        h = first if self.e is None else self.e(first)
        for other in (*others, *named.values()):
            h = h + 0.1 * other
        return h + torch.tanh(self.f(h))


class Values(nn.Embedding):
    """Gives more than values."""

    def __init__(self, how):
        super().__init__(20, 6)
        self.how = how

    def forward(self, ids):
        values, scale = super().forward(ids), torch.ones(1)
        return {"tuple": (values, scale), "list": [values], "dict": {"ids": ids, "values": values}}[self.how]


@pytest.mark.parametrize(("how", "key"), [("tuple", 0), ("list", 0), ("dict", "values")])
def test_an_embedding_may_give_more_than_its_values(how, key):
    class Own(Net):
        def forward(self, ids):
            h = self.e(ids)[key]
            return h + torch.tanh(self.f(h))

    ids = torch.randint(0, 20, (2, 4))
    profile = sg.measure(Own(Values(how)), ids)
    assert (profile.blocks, profile.share_per_sample.shape[1]) == (("f",), 2)


def turned(ids):
    return ids.T


def flat(ids):
    return ids.flatten()


def shorter(ids):
    return ids[:, 1:]


@pytest.mark.parametrize("shape", [(3, 7), (4, 4), (7, 3)])
@pytest.mark.parametrize("into", [turned, flat, shorter, torch.clone])
def test_the_samples_are_those_of_the_ids(into, shape):
    """Whatever the model makes of the ids before it embeds them."""

    class Own(Net):
        def __init__(self):
            super().__init__(nn.Embedding(50, 6))

        def get_input_embeddings(self):
            return self.e

        def forward(self, ids):
            h = self.e(into(ids))
            h = h + torch.tanh(self.f(h))
            back = {turned: lambda h: h.transpose(0, 1), flat: lambda h: h.reshape(*ids.shape, 6)}
            return back.get(into, torch.clone)(h)

    torch.manual_seed(0)
    model, ids = Own().double(), torch.randint(0, 50, shape)
    profile = sg.measure(model, ids)
    assert profile.share_per_sample.shape[1] == shape[0]
    assert profile.independent_samples
    alone = [sg.measure(model, ids[k : k + 1]).participation[0] for k in range(shape[0])]
    assert profile.participation_per_sample[0] == pytest.approx(alone, abs=1e-10)


FLOATS = {
    "an image": (torch.randn(3, 6), True),
    "zeros and ones": (torch.ones(3, 6), False),
    "added to logits": (torch.tensor([0.0, -torch.inf]).repeat(3, 3).nan_to_num(neginf=-1e4), False),
}


@pytest.mark.parametrize("value", FLOATS)
@pytest.mark.parametrize("name", ["attention_mask", "mask", "masked_image", "mask_embedding"])
def test_only_what_is_called_a_mask_and_is_one_is_left_out(name, value):
    tensor, splits = FLOATS[value]
    splits = splits or not name.endswith("mask")
    model = Net()
    with forward(model, {"first": torch.randn(3, 6), name: tensor}) as run:
        assert isinstance(run.x, tuple) == splits
        assert run.notes == (() if splits else (f"not split, only passed on: {name}",))
    notes = sg.measure(model, {"first": torch.randn(3, 6), name: tensor}).notes
    assert any(name in note for note in notes) != splits


def test_a_mask_is_split_where_there_is_nothing_else():
    class Own(Net):
        def forward(self, mask):
            return mask + torch.tanh(self.f(mask))

    with forward(Own(), {"mask": torch.ones(2, 6)}) as run:
        assert run.x.shape == (2, 6)


def test_the_inputs_beside_the_main_one_are_named():
    class Own(Net):
        main_input_name = "first"

    with forward(Own(), {"first": torch.randn(3, 6), "noise": torch.randn(3, 6)}) as run:
        assert run.x.shape == (3, 6)
        assert run.notes == ("not split, only passed on: noise",)


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("array", [True, False])
def test_double_precision_is_cast_to_the_model_s(array, kind):
    torch.manual_seed(0)
    model, x = Net().to(kind), np.random.default_rng(0).normal(size=(3, 6))
    given = x if array else torch.from_numpy(x)
    for inputs in (given, (given, given), {"first": given}):
        with forward(model, inputs) as run:
            assert {v.dtype for v in (run.x if isinstance(run.x, tuple) else (run.x,))} == {kind}
            assert "float64" in run.notes[0]
            assert "was cast to" in run.notes[0]
    assert sg.paths.participation(model, given).blocks == ("f",)
    monitor = sg.Monitor(model, (given, None))
    assert monitor.recording.rows[0]["blocks"] == ["f"]


def test_arrays_from_files_are_tensors():
    model = Net().double()
    x = np.arange(12.0).reshape(2, 6)
    expected = sg.measure(model, torch.from_numpy(x)).share
    big = x.astype(">f8")
    big.flags.writeable = False
    for array in (x, big, np.asfortranarray(x), x[::-1][::-1]):
        assert sg.measure(model, array).share == pytest.approx(expected, abs=1e-14)
    assert sg.measure(model, x, np.array([1, 3])).loss == "cross entropy"
    assert sg.measure(model, x, np.ones((2, 6))).loss == "mean squared error"
    with pytest.raises(InputError, match="holds no numbers"):
        sg.measure(model, np.array(["a", "b"]))


def test_an_image_of_bytes_is_cast_and_said_so(caplog):
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 2))
    image = torch.randint(0, 256, (2, 3, 6, 6), dtype=torch.uint8)
    for given in (image, image.numpy()):
        profile = sg.measure(model, given, unit="weights")
        assert profile.notes[0] == "the uint8 input no. 1 was cast to float32, as the model's parameters are, unscaled"
        assert profile.share == pytest.approx(sg.measure(model, image.float(), unit="weights").share)
    assert "uint8" in caplog.text
    words = Net(nn.Embedding(256, 6))
    with forward(words, torch.randint(0, 256, (2, 5), dtype=torch.uint8).int()) as run:
        assert run.x.shape == (2, 5, 6)


ROWS = {
    "some": [[3, 0, 4], [4, 2], [1]],
    "all, in another order": [[4, 2, 1, 0, 3]] * 3,
    "none twice": [[3, 0, 4], [4, 2, 1, 0, 3], [2]],
    "one twice": [[3, 0, 3], [1, 1], [2]],
}


@pytest.mark.parametrize("rows", ROWS)
def test_a_branch_on_some_samples_leaves_them_independent(rows):
    """As stochastic depth over the batch: those left out have participation 0."""

    class Some(nn.Module):
        def __init__(self):
            super().__init__()
            self.f = nn.ModuleList(nn.Linear(4, 4) for _ in range(3))

        def forward(self, x, only=None):
            for f, chosen in zip(self.f, ROWS[rows], strict=True):
                index = torch.tensor(chosen)
                x = x.index_add(0, index, f(x[index]).tanh(), alpha=1.5)
            return x

    torch.manual_seed(0)
    model, x = Some().double(), torch.randn(5, 4, dtype=torch.float64)
    p = sg.paths.participation(model, x)
    assert p.independent_samples
    for share, chosen in zip(p.share_per_sample, ROWS[rows], strict=True):
        assert np.nonzero(share)[0].tolist() == sorted(set(chosen))
    assert p.share_per_sample.sum(0) == pytest.approx(p.effective_depth_per_sample, abs=1e-12)
    leaf = x.clone().requires_grad_()
    s = sg.paths.spectrum(model(leaf).max(1).values.sum(), leaf)
    assert p.effective_depth_per_sample == pytest.approx(s.effective_depth_per_sample, abs=1e-12)


class Words(nn.Module):
    """A block around an embedding; a subclass says which is the input embedding, or calls it otherwise."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.e, self.f = nn.Embedding(8, 4), nn.Linear(4, 4)

    def forward(self, input_ids):
        return self.block(self.e(input_ids))

    def block(self, h, again=None, scale=1.0):
        return h + scale * torch.tanh(self.f(h if again is None else again))


IDS = {"input_ids": torch.arange(6).view(2, 3)}


def raising(error):
    def answer(_model):
        raise error

    return answer


def measured(model, inputs=None):
    return sg.measure(model.double(), IDS if inputs is None else inputs)


def of_embeddings(model, values):
    """The share of the block f, measured from the embeddings themselves."""

    class After(nn.Module):
        def __init__(self):
            super().__init__()
            self.f = model.f

        def forward(self, h):
            return model.block(h)

    return sg.measure(After(), values.detach()).share


ANSWERS = {
    "another error": raising(KeyError("embedding")),
    "no such attribute": raising(AttributeError("embedding")),
    "not implemented": raising(NotImplementedError()),
    "an error of PyTorch's": raising(RuntimeError("unset")),
    "None": lambda _model: None,
    "its weight": lambda model: model.e.weight,
    "a class": lambda _model: nn.Embedding,
    "a tuple": lambda model: (model.e,),
    "a dictionary": lambda model: {"words": model.e},
    "a list of modules": lambda model: nn.ModuleList([model.e]),
    "a dictionary of modules": lambda model: nn.ModuleDict({"words": model.e}),
}


@pytest.mark.parametrize("answer", ANSWERS)
def test_whatever_a_model_says_is_its_input_embedding(answer):
    class Own(Words):
        get_input_embeddings = ANSWERS[answer]

    profile = measured(Own())
    assert profile.blocks == ("f",)
    assert profile.share == pytest.approx(measured(Words()).share, abs=1e-14)


def test_an_embedding_without_a_weight_of_its_own():
    class Wrapped(nn.Module):
        def __init__(self, inner):
            super().__init__()
            self.inner = inner

        def forward(self, ids):
            return self.inner(ids)

    class Own(Words):
        def __init__(self):
            super().__init__()
            self.e = Wrapped(self.e)

        def get_input_embeddings(self):
            return self.e

    assert measured(Own()).share == pytest.approx(measured(Words()).share, abs=1e-14)


class Codebooks(Words):
    """The sum of several embeddings, as in models of sound."""

    def __init__(self):
        super().__init__()
        self.e = nn.ModuleList(nn.Embedding(8, 4) for _ in range(2))
        self.positions = nn.Embedding(8, 4)

    def get_input_embeddings(self):
        return self.e

    def sum(self, one, two):
        return self.e[0](one) + self.e[1](two) + self.positions(torch.arange(one.shape[-1]))

    def forward(self, input_ids):
        return self.block(self.sum(input_ids, input_ids))


def test_several_input_embeddings_are_split_together():
    model, ids = Codebooks(), IDS["input_ids"]
    profile = measured(model)
    assert profile.share == pytest.approx(of_embeddings(model, model.sum(ids, ids)), abs=1e-12)
    with forward(model, IDS) as run:
        assert [tuple(x.shape) for x in run.x] == [(2, 3, 4)] * 2


@pytest.mark.parametrize("samples", [1, 2, 3])
def test_each_of_several_embeddings_has_its_part_of_the_ids(samples):
    """Rows of ids for sample 1, then sample 2, one for each codebook."""

    class Own(Codebooks):
        def forward(self, input_ids):
            parts = input_ids.view(-1, 2, input_ids.shape[-1])
            return self.block(self.sum(parts[:, 0], parts[:, 1]))

    model, ids = Own(), torch.arange(8 * samples).view(2 * samples, 4) % 8
    profile = measured(model, {"input_ids": ids})
    values = model.sum(ids[::2], ids[1::2])
    assert profile.share == pytest.approx(of_embeddings(model, values), abs=1e-12)
    assert profile.share_per_sample.shape[1] == samples


def without_gradients(model, ids):
    with torch.no_grad():
        return model.e(ids)


def in_inference(model, ids):
    with torch.inference_mode():
        return model.e(ids)


def detached(model, ids):
    return model.e(ids).detach()


@pytest.mark.parametrize("first", [without_gradients, in_inference, detached])
def test_the_call_of_the_embedding_that_counts_is_the_one_with_gradients(first):
    """As where a first pass without gradients chooses the weights of adapters (X-LoRA)."""

    class Own(Words):
        def forward(self, input_ids):
            scale = first(self, input_ids).mean().item()
            return self.block(self.e(input_ids), scale=scale)

    class Known(Words):
        def forward(self, input_ids):
            return self.block(self.e(input_ids), scale=self.e.weight[input_ids].mean().item())

    assert measured(Own()).share == pytest.approx(measured(Known()).share, abs=1e-14)


@pytest.mark.parametrize("ids_of", [lambda ids: ids, lambda ids: ids.view(-1, ids.shape[-1])])
def test_an_embedding_that_is_called_again_gives_the_same_x(ids_of):
    """On the same ids: the branch of a block may embed them once more, after a call without gradients."""

    class Router(nn.Module):
        def __init__(self, e):
            super().__init__()
            self.e = e

        @torch.no_grad()
        def forward(self, ids):
            return self.e(ids).mean()

    class Own(Words):
        def __init__(self):
            super().__init__()
            self.router, self.other = Router(self.e), nn.Embedding(8, 4)

        def get_input_embeddings(self):
            return self.e

        def forward(self, input_ids):
            w, other = self.router(input_ids), self.other(input_ids)
            return self.block(self.e(input_ids), self.e(ids_of(input_ids)), w) + 0 * other

    class Once(Own):
        def forward(self, input_ids):
            h = self.e(input_ids)
            return self.block(h, h, self.e.weight[input_ids].mean().detach())

    profile = measured(Own())
    assert profile.blocks == ("f",)
    assert profile.share == pytest.approx(measured(Once()).share, abs=1e-14)


OTHER = {"the same": lambda ids: ids, "equal": torch.clone, "other": lambda ids: ids.flip(1)}


@pytest.mark.parametrize("other", OTHER)
def test_an_embedding_called_with_another_input_gives_another_signal(other):
    """A decoder's ids are not the encoder's, even where they are equal."""

    class Own(Words):
        def __init__(self):
            super().__init__()
            self.constant = nn.Embedding(8, 4)
            self.constant.load_state_dict(self.e.state_dict())

        def get_input_embeddings(self):
            return self.e

        def forward(self, input_ids, decoder_input_ids):
            return self.block(self.e(input_ids)) + self.e(decoder_input_ids)

    class Known(Own):
        def forward(self, input_ids, decoder_input_ids):
            return self.block(self.e(input_ids)) + self.constant(decoder_input_ids)

    ids = IDS["input_ids"]
    given = {"input_ids": ids, "decoder_input_ids": OTHER[other](ids)}
    assert measured(Own(), given).share == pytest.approx(measured(Known(), given).share, abs=1e-14)


def test_an_embedding_may_be_called_by_name():
    class Own(Words):
        def forward(self, **named):
            return self.block(self.e(input=named["input_ids"]))

    assert measured(Own()).share == pytest.approx(measured(Words()).share, abs=1e-14)


def test_an_embedding_without_gradients_is_named():
    class Own(Words):
        def forward(self, input_ids):
            return self.block(without_gradients(self, input_ids))

    with pytest.raises(InputError, match=r"the input embedding, e \(Embedding\), was called only with gradients off"):
        measured(Own())


MAIN = {
    "a list": ["input_ids", "b"],
    "a tuple": ("b", "input_ids"),
    "a set": {"input_ids"},
    "a mapping": {"input_ids": 1},
    "a nested list": [["input_ids"]],
    "a number": 3,
    "None": None,
    "no argument's name": "pixel_values",
    "a property that fails": property(raising(NotImplementedError())),
    "a method": raising(NotImplementedError()),
}


@pytest.mark.parametrize("main", MAIN)
def test_whatever_a_model_says_is_its_main_input(main):
    class Own(Words):
        main_input_name = MAIN[main]

    assert measured(Own()).share == pytest.approx(measured(Words()).share, abs=1e-14)


def test_several_main_inputs_are_split_where_they_have_gradients():
    class Own(Net):
        main_input_name = ("first", "task", "second")

    given = {name: torch.randn(3, 6) for name in ("first", "noise", "second")} | {"task": torch.ones(3, 6).long()}
    with forward(Own(), given) as run:
        assert len(run.x) == 2
        assert run.notes == ("not split, only passed on: noise",)


@dataclass
class Batch:
    input_ids: torch.Tensor


WITHOUT = {
    "lists": ({"input_ids": [[1, 2]]}, r"found dict without any; make tensors of its values, as 'input_ids'"),
    "a tokenizer's lists": (UserDict(input_ids=[[1, 2]]), "found UserDict without any; make tensors of its values"),
    "a dataclass": (Batch(IDS["input_ids"]), r"found Batch without any; give its fields as a mapping, vars\(…\)"),
    "a loader": (iter([IDS]), "give one batch"),
}


@pytest.mark.parametrize("kind", WITHOUT)
def test_inputs_without_a_tensor_say_what_to_do(kind):
    inputs, line = WITHOUT[kind]
    with pytest.raises(InputError, match=line):
        measured(Words(), inputs)
    for good in (UserDict(IDS), OrderedDict(IDS), namedtuple("Pair", "input_ids")(IDS["input_ids"])):
        assert measured(Words(), good).blocks == ("f",)
