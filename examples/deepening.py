"""Does training deepen the ensemble? The paper's own setting, from the committed recordings: docs/deepening.png.

ResNet-32 on all images of CIFAR-10 and CIFAR-100, 164 epochs, the learning rate divided by ten after epochs 81 and 122,
with and without weight decay on the scales λ: four networks, one seed each. While they trained, the effective depth of
32 training images was measured exactly, with their batch statistics held.

    python examples/deepening.py [--out docs/deepening.png] [--recordings results/resnets/recordings]
"""

import argparse
from pathlib import Path

import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt
import xarray as xr
from matplotlib.axes import Axes

RECORDINGS = Path(__file__).parents[1] / "results" / "resnets" / "recordings"
NETWORKS = {
    "CIFAR-10": ("resnet-cifar10-d32-w1-e164-bf16-s0", "C0", "-"),
    "CIFAR-10, no weight decay on λ": ("resnet-cifar10-d32-w1-e164-spared-bf16-s0", "C0", "--"),
    "CIFAR-100": ("resnet-cifar100-d32-w1-e164-bf16-s0", "C1", "-"),
    "CIFAR-100, no weight decay on λ": ("resnet-cifar100-d32-w1-e164-spared-bf16-s0", "C1", "--"),
}
DROPS = (81, 122)


def draw(recordings: Path, out: Path) -> None:
    """Draw depth and norms of the four networks against the number of steps."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for name, (file, color, line) in NETWORKS.items():
        with xr.open_dataset(recordings / f"{file}.nc", engine="h5netcdf") as data:
            # the logarithmic axis begins at step 1; what stands before it, at ½, is the untrained network
            steps = data.step.where(data.step > 0, 0.5)
            error = 100 * float(data.test_error[-1])
            depth, norm = data.effective_depth_median_frozen, data.absorbed_norm.isel(layer=slice(-1)).mean("layer")
            left.plot(steps, depth, color=color, ls=line, label=f"{name}: test error {error:.1f} %")
            right.plot(steps, norm, color=color, ls=line)
            per_epoch, blocks = data.attrs["steps_per_epoch"], data.sizes["block"]
    _axis(left, f"effective depth (of {blocks} blocks)", per_epoch)
    _axis(right, "mean absorbed weight norm", per_epoch)
    figure.legend(loc="outside upper center", ncols=2, frameon=False)
    figure.savefig(out, dpi=150)


def _axis(ax: Axes, label: str, per_epoch: float) -> None:
    """A logarithmic axis of steps on which the epochs that matter are marked."""
    ax.set(xscale="log", ylabel=label, xlabel="training step (logarithmic)", ylim=(0, None))
    ax.set_xticks([0.5, 1, 10, 100, 1000, 10_000], ["start", "1", "10", "100", "1,000", "10,000"])
    ax.minorticks_off()
    top = ax.get_ylim()[1]
    for epoch, text in ((1, "epoch 1"), (DROPS[0], f"epochs {DROPS[0]}"), (DROPS[1], f"and {DROPS[1]}")):
        ax.axvline(epoch * per_epoch, color="0.7", lw=0.8, zorder=0)
        ax.text(epoch * per_epoch, 0.02 * top, text, rotation=90, va="bottom", ha="right", color="0.45", fontsize=8)
    ax.spines[["top", "right"]].set_visible(False)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("docs/deepening.png"))
    parser.add_argument("--recordings", type=Path, default=RECORDINGS)
    given = parser.parse_args()
    draw(given.recordings, given.out)
