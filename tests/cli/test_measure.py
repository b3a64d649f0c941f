"""`skipglass measure`: models by their spec, inputs from files, what it leaves in a folder, and one line a mistake."""

import json
import logging
import os
import sys
from functools import partial

import numpy as np
import pytest
import torch

from skipglass.paths import Profile

FACTORIES = """
import numpy as np, torch
from torch import nn
from skipglass.models import ResidualMLP

def make(): return ResidualMLP(4, 3, depth=4, width=6)
def with_data(): return ResidualMLP(4, 3, depth=4, width=6).eval(), torch.ones(5, 4), torch.zeros(5, dtype=torch.long)
def words(): return nn.Sequential(nn.Embedding(9, 4), ResidualMLP(4, 3, depth=3, width=6))
def image(): return nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.LazyLinear(2))
ready = ResidualMLP(4, 3, depth=2, width=6)
number = 3
def three(): return 3
def breaks(): raise RuntimeError("first line\\nsecond line")
def needs(a): return a
def bare(): return nn.Identity()
class Greedy(ResidualMLP):
    def forward(self, x): return super().forward(x) + torch.ones(10**16, 3).sum()
def greedy(): return Greedy(4, 3, depth=2, width=6)
class Late(ResidualMLP):
    def forward(self, x):
        import beside
        return super().forward(x)
def neighbour(): return Late(4, 3, depth=2, width=6)
class NoRoom(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, error):
        ctx.error = error
        return x.clone()
    @staticmethod
    def backward(ctx, gradient): raise ctx.error
class Full(ResidualMLP):
    error = RuntimeError("can't allocate memory")
    def forward(self, x): return NoRoom.apply(super().forward(x), self.error)
def full(): return Full(4, 3, depth=2, width=6)
def full_gpu():
    model = full()
    model.error = torch.OutOfMemoryError("CUDA out of memory")
    return model
"""


class Evil:
    """Makes a folder when it is unpickled."""

    def __reduce__(self):
        return os.mkdir, ("run",)


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with a file of factories, from which the command runs."""
    (tmp_path / "nets.py").write_text(FACTORIES)
    (tmp_path / "broken.py").write_text("def f(:\n")
    (tmp_path / "vit.json").write_text(
        json.dumps(
            {
                "model_type": "vit",
                "hidden_size": 8,
                "num_hidden_layers": 1,
                "num_attention_heads": 2,
                "intermediate_size": 12,
                "image_size": 8,
                "patch_size": 4,
            }
        )
    )
    gpt2 = {"model_type": "gpt2", "n_embd": 8, "n_layer": 1, "n_head": 2, "vocab_size": 11, "n_positions": 6}
    (tmp_path / "gpt2.json").write_text(json.dumps({**gpt2, "bos_token_id": 0, "eos_token_id": 0}))
    t5 = {"model_type": "t5", "d_model": 8, "d_kv": 4, "d_ff": 12, "num_layers": 1, "num_heads": 2, "vocab_size": 11}
    (tmp_path / "t5.json").write_text(json.dumps(t5))
    odd = {
        "list": [],
        "type": {"model_type": ["gpt2"]},
        "null": {"model_type": None},
        "heads": {**gpt2, "architectures": 3},
        "head": {**gpt2, "architectures": [3]},
        "text-width": {**gpt2, "n_embd": "8"},
        "vocabulary": {**gpt2, "vocab_size": 0, "bos_token_id": None, "eos_token_id": None},
        "heavy": {**gpt2, "vocab_size": 10**13},
        "deep": {**gpt2, "n_layer": 10**9},
        "stages": {"model_type": "resnet", "depths": [10**9]},
    }
    for name, settings in odd.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(settings))
    (tmp_path / "nested.json").write_text("[" * 100_000)
    (tmp_path / "none.json").write_text("{}")
    (tmp_path / "text.json").write_text("no")
    np.save(tmp_path / "x.npy", np.ones((3, 4), dtype=np.float32))
    np.save(tmp_path / "wide.npy", np.ones((3, 9), dtype=np.float32))
    np.save(tmp_path / "objects.npy", np.array([Evil()], dtype=object), allow_pickle=True)
    (tmp_path / "fake.npy").write_text("text")
    np.save(tmp_path / "big.npy", np.ones((3, 4), dtype=">f4"))
    np.save(tmp_path / "empty.npy", np.ones((0, 4), dtype=np.float32))
    (tmp_path / "folder.npy").mkdir()
    torch.save({"z": torch.ones(2)}, tmp_path / "mapping.pt")
    torch.save([Evil()], tmp_path / "code.pt")
    torch.save([1], tmp_path / "number.pt")
    torch.save(torch.tensor([0, 1, 2]), tmp_path / "y.pt")
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    sys.modules.pop("nets", None)


@pytest.fixture
def run(here, skipglass):
    return partial(skipglass, "measure")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nets.py:make"], ["8 random normal inputs of shape (4,)", "layers.3", "train mode"]),
        (["nets:make", "--eval", "--batch", "2"], ["2 random", "eval mode"]),
        (["nets.py:ready", "--unit", "weights"], ["of at most 3 weights"]),
        (["nets.py:with_data"], ["inputs of the factory", "cross entropy", "eval mode", "5 samples"]),
        (["nets.py:with_data", "--input", "x.npy", "--targets", "y.pt", "--train"], ["inputs of x.npy", "train mode"]),
        (["nets.py:make", "--input", "big.npy"], ["inputs of big.npy"]),
        (["nets.py:image", "--unit", "weights"], ["paths of 2 weights", "8 random normal inputs of shape (3, 32, 32)"]),
        (["nets.py:words", "--tokens", "3", "--unit", "weights"], ["8 random sequences of 3 of 9 tokens"]),
        (["hf:vit.json"], ["images of shape (3, 8, 8)", "vit.layers.0.mlp"]),
        (["hf:gpt2.json"], ["sequences of 6 of 11 tokens", "transformer.h.0.attn", "the outputs' own"]),
        (["hf:t5.json"], ["11 tokens", "decoder.block.0.layer.2.DenseReluDense"]),
    ],
    ids=" ".join,
)
def test_a_model_by_its_spec(run, arguments, words):
    status, out, err = run(*arguments)
    assert status == 0, err
    for word in words:
        assert word in out


def test_json_is_the_profile_that_the_folder_holds(run, here):
    status, out, err = run("nets.py:with_data", "--json", "--out", "result", "--seed", 3)
    assert status == 0, err
    printed, profile = json.loads(out), Profile.load(here / "result" / "profile.nc")
    np.testing.assert_array_equal(printed["share"], profile.share)
    assert printed["effective_depth"] == profile.effective_depth
    assert printed["census"] == {"0": "1", "1": "3", "2": "3", "3": "1"}
    assert [fit["beta"] for fit in printed["fits"]] == [fit.beta for fit in profile.fits]
    assert sorted(path.name for path in (here / "result").iterdir()) == ["profile.nc", "profile.png", "report.html"]
    page = (here / "result" / "report.html").read_text()
    assert page.count("How to read") == 6
    assert "layers.3" in page


def test_a_seed_gives_the_same_numbers(run):
    first, again, other = (run("nets.py:make", "--json", "--seed", seed)[1] for seed in (1, 1, 2))
    assert first == again != other


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nets"], "package.module:factory"),
        (["nets.py:mak"], "did you mean make"),
        (["nets.py:three"], "returned int"),
        (["nets.py:number"], "no factory"),
        (["nets.py:breaks"], "RuntimeError: first line"),
        (["nets.py:needs"], "TypeError"),
        (["nets.py:bare"], "--shape"),
        (["nowhere.py:make"], "no such file"),
        (["nowhere.at:make"], "ModuleNotFoundError"),
        (["broken.py:f"], "SyntaxError"),
        (["hf:gpt3"], "gpt2"),
        (["hf:nowhere.json"], "nowhere.json"),
        (["hf:none.json"], "model_type"),
        *((["hf:" + name + ".json"], "names no model_type") for name in ("list", "type", "null")),
        (["hf:nested.json"], "no JSON"),
        (["hf:heads.json"], "not iterable"),
        (["hf:head.json"], "must be string"),
        (["hf:text-width.json"], "n_embd"),
        (["hf:vocabulary.json"], "0 tokens"),
        (["hf:heavy.json"], "GB are free"),
        (["hf:deep.json"], "n_layer"),
        (["hf:stages.json"], "depths"),
        (["hf:/dev/zero.json"], "no such file"),
        (["hf:text.json"], "no JSON"),
        (["nets.py:make", "--input", "wide.npy"], "raised RuntimeError"),
        (["nets.py:make", "--shape", "32,32"], "in layers.0 (ResidualLayer), at "),
        (["nets.py:image", "--shape", "32,32"], "check the shape of the inputs, here (8, 32, 32) float32"),
        (["nets.py:make", "--input", "nowhere.npy"], "no such file"),
        (["nets.py:make", "--input", "fake.npy"], "fake.npy"),
        (["nets.py:make", "--input", "empty.npy"], "no entries, found the shape (0, 4)"),
        (["nets.py:make", "--input", "folder.npy"], "it is a folder"),
        (["nets.py:make", "--input", "objects.npy"], "objects.npy"),
        (["nets.py:make", "--input", "code.pt"], "code.pt"),
        (["nets.py:make", "--input", "number.pt"], "list"),
        (["nets.py:make", "--input", "mapping.pt"], "TypeError"),
        (["nets.py:make", "--input", "nets.py"], "expected *.npy or *.pt"),
        (["nets.py:make", "--shape", "4,x"], "shape"),
        (["nets.py:make", "--shape", "0"], "shape"),
        (["nets.py:make", "--batch", "0"], "batch"),
        (["nets.py:make", "--batch", "999999999999"], "would take 16,000.0 GB"),
        (["nets.py:make", "--shape", "9" * 40], "--shape"),
        (["nets.py:words", "--tokens", "9" * 20], "--tokens"),
        (["nets.py:greedy"], "allocate memory"),
        (["nets.py:make", "--unit", "block"], "did you mean 'blocks'"),
        (["nets.py:make", "--out", "/proc/none"], "/proc/none"),
    ],
    ids=" ".join,
)
def test_a_mistake_gets_one_line_and_status_2(run, here, arguments, words):
    before = {path.name for path in here.rglob("*") if "__pycache__" not in path.parts}
    status, out, err = run(*arguments)
    assert (status, out) == (2, "")
    assert err.startswith("skipglass: ")
    assert words in err
    assert err.count("\n") == 1
    assert {path.name for path in here.rglob("*") if "__pycache__" not in path.parts} == before


@pytest.mark.parametrize("factory", ["full_gpu", "full"])
def test_a_measurement_without_the_memory_gets_one_line(run, factory):
    status, _, err = run(f"nets.py:{factory}")
    assert (status, err.count("\n")) == (2, 1)
    assert "smaller --batch" in err


@pytest.mark.parametrize(
    "spec", ["nets.py:neighbour", "nets:neighbour", "nets.py:breaks", "hf:gpt2.json", "hf:none.json"]
)
def test_the_process_is_left_as_it_was(run, here, spec):
    """Imports of the user's code find its neighbours, and transformers is quiet, while the model is measured."""
    transformers = pytest.importorskip("transformers")
    (here / "beside.py").write_text("depth = 2\n")
    path, level, logger = sys.path.copy(), transformers.logging.get_verbosity(), logging.getLogger("transformers").level
    _, _, err = run(spec)
    assert sys.path == path
    assert (transformers.logging.get_verbosity(), logging.getLogger("transformers").level) == (level, logger)
    assert "[transformers]" not in err
    sys.modules.pop("beside", None)


@pytest.mark.parametrize("package", ["timm", "torchvision", "transformers"])
def test_a_missing_package_is_named_with_its_remedy(run, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    status, _, err = run(f"{'hf' if package == 'transformers' else package}:resnet18")
    assert (status, err.count("\n")) == (2, 1)
    assert f"pip install {package}" in err


@pytest.mark.zoo
@pytest.mark.parametrize("package", ["timm", "torchvision"])
def test_models_of_libraries(run, package):
    pytest.importorskip(package)
    status, out, err = run(f"{package}:resnet18", "--shape", "3,64,64", "--batch", 2, "--eval")
    assert status == 0, err
    assert "layer4.1" in out
    status, _, err = run(f"{package}:resnet81")
    assert (status, err.count("\n")) == (2, 1)
    assert "did you mean" in err
