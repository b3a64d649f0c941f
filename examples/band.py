"""Theorem 2 as an algorithm: how many path lengths matter in a deep network, and what the others would cost.

Pre-norm residual networks of growing depth, and their spectrum with lengths outside the band carried together. Left:
the number of lengths carried to x, beside the band that the paper's ensemble predicts once its strength is fitted.
Right: the time of the spectrum in backward passes, with every length carried and with the band alone.

    python examples/band.py [--out docs/band.png] [--depths 12 25 50 100 200 400] [--tolerance 1e-6]
"""

import argparse
import math
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt
import numpy as np
import torch
from rich.progress import track
from torch import Tensor, nn

import skipglass as sg

SCALES: dict[str, Callable[[int], float]] = {
    "branches as they are": lambda depth: 1.0,
    "branches times 1/√L": lambda depth: depth**-0.5,
}
WIDTH, SAMPLES, MOST = 256, 64, 200
"""Of deeper networks the spectrum with every length is not timed."""


class Block(nn.Module):
    """A residual block whose branch is normalised first."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.norm, self.f, self.g = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)
        self.scale = scale

    def forward(self, h: Tensor) -> Tensor:
        """h + scale · g(relu(f(norm(h))))."""
        return h + self.scale * self.g(torch.relu(self.f(self.norm(h))))


def network(depth: int, scale: float) -> tuple[Tensor, Tensor]:
    """Loss and input of a fresh network."""
    torch.manual_seed(0)
    x = torch.randn(SAMPLES, WIDTH, requires_grad=True)
    return nn.Sequential(*(Block(scale) for _ in range(depth)))(x).square().mean(), x


def seconds(call: Callable[[], object]) -> float:
    """Processor time."""
    start = time.process_time()
    call()
    return time.process_time() - start


def measured(depth: int, scale: float, tolerance: float) -> dict[str, float]:
    """What one network gives."""
    loss, x = network(depth, scale)
    trace = sg.trace(loss=loss, x=x)
    backward = statistics.median(seconds(lambda: torch.autograd.grad(loss, x, retain_graph=True)) for _ in range(5))
    band = sg.paths.spectrum(trace, tolerance=tolerance)
    result = {
        "carried": int((band.norm > 0).sum()),
        "predicted": predicted(band, depth, tolerance),
        "band": seconds(lambda: sg.paths.spectrum(trace, tolerance=tolerance)) / backward,
        "full": np.nan,
        "error": np.nan,
    }
    if depth <= MOST:
        whole = []
        result["full"] = seconds(lambda: whole.append(sg.paths.spectrum(trace, tolerance=0))) / backward
        result["error"] = float(np.abs(whole[0].share - band.share).max())
    return result


def predicted(band: sg.paths.Spectrum, depth: int, tolerance: float) -> int:
    """The number of lengths that the paper's ensemble would carry: independent paths, their one strength b fitted."""
    census = {r: math.comb(depth, r) for r in range(depth + 1)}
    norm = np.sqrt(sg.theory.fit(band.lengths, band.norm**2, census, "independent").predicted)
    outer = 0.5 * tolerance * norm.sum()
    return int(((norm.cumsum() > outer) & (norm[::-1].cumsum()[::-1] > outer)).sum())


def draw(rows: dict[str, dict[int, dict[str, float]]], tolerance: float, out: Path) -> None:
    """Draw lengths and times against the depth."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for color, (name, by_depth) in zip(("C0", "C1"), rows.items(), strict=True):
        depths = list(by_depth)
        column = {key: [row[key] for row in by_depth.values()] for key in by_depth[depths[0]]}
        left.plot(depths, column["carried"], "o-", color=color, label=f"{name}: carried")
        left.plot(depths, column["predicted"], ":", color=color, label=f"{name}: the fitted ensemble's band")
        right.plot(depths, column["full"], "s--", color=color, label=f"{name}: every length")
        right.plot(depths, column["band"], "o-", color=color, label=f"{name}: the band")
    left.plot(depths, np.add(depths, 1), color="0.6", lw=1, label="every length, L + 1")
    left.plot(depths, np.sqrt(depths) * 2, color="0.6", lw=1, ls="--", label="2 √L")
    left.set_ylabel("path lengths")
    right.set_ylabel("time of the spectrum, in backward passes")
    for ax in (left, right):
        ax.set(xscale="log", yscale="log", xlabel="number of blocks L")
        ax.set_xticks(depths, [str(d) for d in depths])
        ax.minorticks_off()
        ax.legend(frameon=False, fontsize=8)
        ax.spines[["top", "right"]].set_visible(False)
    figure.suptitle(f"Lengths below {tolerance:g} of the gradient's parts are carried together", fontsize=10)
    figure.savefig(out, dpi=150)


def main() -> None:
    """Measure, print and draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("docs/band.png"))
    parser.add_argument("--depths", type=int, nargs="+", default=[12, 25, 50, 100, 200, 400])
    parser.add_argument("--tolerance", type=float, default=1e-6)
    given = parser.parse_args()
    torch.set_num_threads(1)
    jobs = [(name, depth) for name in SCALES for depth in given.depths]
    rows: dict[str, dict[int, dict[str, float]]] = {name: {} for name in SCALES}
    for name, depth in track(jobs, "measuring"):
        rows[name][depth] = measured(depth, SCALES[name](depth), given.tolerance)
    for name, by_depth in rows.items():
        for depth, row in by_depth.items():
            print(name, depth, {key: float(f"{value:.3g}") for key, value in row.items()})
    draw(rows, given.tolerance, given.out)


if __name__ == "__main__":
    main()
