"""How deep are residual networks at initialisation, when their branches are scaled by 1, 1/√L, 1/L or 0?

    python examples/branch_scaling.py [--out docs/branch_scaling.png] [--seeds 5]

Every branch of a pre-activation ResNet and of a small GPT-2 is multiplied by α, and the effective depth is
measured: the mean number of residual branches on a path of the gradient. The dashed lines are theory, no fit: the
paper's ensemble in its independent reading, for branches that normalise their input and give it back with variance
α². After l - 1 of them the stream has grown to 1 + (l-1) α², so b_l² = α²/(1 + (l-1) α²), unequal layers.

The ResNet is measured twice: in one stage, and as for CIFAR, in three. Where a stage begins, the new channels hold
nothing but what branches wrote, and batch norm in the next branches scales that back to one: α cancels there.
"""

import argparse
import math
from functools import partial
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
import transformers
from matplotlib.axes import Axes
from rich.progress import track
from torch import nn

import skipglass as sg
from skipglass.models import CifarResNet

SCALINGS = {"1": lambda L: 1.0, "1/√L": lambda L: L**-0.5, "1/L": lambda L: 1 / L, "0": lambda L: 0.0}
DEPTHS = {"ResNet, one stage": (6, 12, 24, 48), "ResNet, three stages": (6, 12, 24, 48), "GPT-2": (4, 8, 16, 32)}


def resnet(blocks: int, scale: float, seed: int, *, stages: int) -> float:
    """Effective depth of a pre-activation ResNet of half width on noise images, batch norm in training mode."""
    torch.manual_seed(seed)
    net = CifarResNet(6 * blocks // stages + 2, width=0.5, preactivation=True, seed=seed)
    if stages == 1:
        net.layer2 = net.layer3 = nn.Sequential()
        net.bn1, net.linear = nn.BatchNorm2d(8), nn.Linear(8, 10)
    with torch.no_grad():
        for stage in (net.layer1, net.layer2, net.layer3):
            for block in stage:
                block.conv2.weight.mul_(scale)
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(16, 3, 32, 32, generator=generator).requires_grad_()
    targets = torch.randint(10, (16,), generator=generator)
    return sg.paths.moments(nn.functional.cross_entropy(net(x), targets), x, unit="blocks").mean


def gpt(blocks: int, scale: float, seed: int) -> float:
    """Effective depth of a GPT-2 of width 64 on random tokens, without its own scaling of the branches by 1/√L."""
    layers = blocks // 2
    transformers.set_seed(seed)
    config = transformers.GPT2Config(
        n_layer=layers, n_embd=64, n_head=4, vocab_size=256, n_positions=32, bos_token_id=None, eos_token_id=None
    )
    net = transformers.GPT2LMHeadModel(config).eval()
    with torch.no_grad():
        for layer in net.transformer.h:
            for projection in (layer.attn.c_proj, layer.mlp.c_proj):
                projection.weight.mul_(scale * math.sqrt(blocks))
    tokens = torch.randint(256, (8, 32), generator=torch.Generator().manual_seed(seed))
    x = net.get_input_embeddings()(tokens)
    return sg.paths.moments(net(inputs_embeds=x, labels=tokens).loss, x, unit="blocks").mean


NETWORKS = {
    "ResNet, one stage": partial(resnet, stages=1),
    "ResNet, three stages": partial(resnet, stages=3),
    "GPT-2": gpt,
}


def measure(seeds: int) -> dict[str, dict[str, np.ndarray]]:
    """Effective depths, (depths, seeds), by network and scaling."""
    jobs = [
        (name, of, label, i, L, seed)
        for name, of in NETWORKS.items()
        for label in SCALINGS
        for i, L in enumerate(DEPTHS[name])
        for seed in range(seeds)
    ]
    found = {name: {label: np.empty((len(DEPTHS[name]), seeds)) for label in SCALINGS} for name in DEPTHS}
    for name, of, label, i, L, seed in track(jobs, "effective depths"):
        found[name][label][i, seed] = of(L, SCALINGS[label](L), seed)
    return found


def predicted(blocks: int, scale: float) -> float:
    """Mean number of branches on a path, in the independent reading with b_l² = α²/(1 + (l-1) α²)."""
    if scale == 0:
        return 0.0
    b = [1.0, *(scale / math.sqrt(1 + l * scale**2) for l in range(blocks))]
    return sg.theory.DepthEnsemble(depth=blocks + 1, beta=b, reading="independent").mean_length - 1


def draw(ax: Axes, name: str, found: dict[str, np.ndarray]) -> None:
    """One network: effective depth against depth, one line a scaling, mean and standard deviation over seeds."""
    L = np.array(DEPTHS[name])
    for k, (label, depths) in enumerate(found.items()):
        mean, deviation = depths.mean(axis=1), depths.std(axis=1, ddof=1)
        ax.errorbar(L, mean, deviation, marker="o", capsize=3, label=label, color=f"C{k}")
        ax.plot(L, [predicted(b, SCALINGS[label](b)) for b in L], "--", color=f"C{k}", linewidth=1)
    ax.set_xscale("log")
    ax.set_yscale("symlog", linthresh=0.01)
    ax.set_xticks(L, [str(b) for b in L])
    ax.set_xticks([], minor=True)
    ax.set(title=name, xlabel="L, residual blocks", ylabel="effective depth, blocks", ylim=(-0.002, 30))
    ax.grid(alpha=0.3)


def main() -> None:
    """Measure, print and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("branch_scaling.png"))
    parser.add_argument("--seeds", type=int, default=5, help="at least 2")
    arguments = parser.parse_args()
    found = measure(arguments.seeds)
    for name, by_scaling in found.items():
        for label, depths in by_scaling.items():
            values = ", ".join(
                f"L = {b}: {d.mean():.3g} ± {d.std(ddof=1):.1g}" for b, d in zip(DEPTHS[name], depths, strict=True)
            )
            print(f"{name:20} α = {label:5} {values}")
    figure, axes = plt.subplots(1, 3, figsize=(12, 3.8), layout="constrained")
    for ax, (name, by_scaling) in zip(axes, found.items(), strict=True):
        draw(ax, name, by_scaling)
    figure.legend(*axes[0].get_legend_handles_labels(), title="branch scale α", loc="outside right")
    figure.savefig(arguments.out, dpi=150)


if __name__ == "__main__":
    main()
