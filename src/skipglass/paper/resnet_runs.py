"""The long trainings behind Figures 2 and 3, as one table, and the command that runs them unattended.

    python -m skipglass.paper.resnet_runs results/resnets depths resnet20 --data FOLDER

Each run leaves FOLDER/recordings/NAME.nc; finished ones are skipped, and one that was killed goes on from its last
epoch, so that the same command is given again until it has nothing left to do. Two processes on two cores, each with
OMP_NUM_THREADS=1, get through the table faster than one with two threads: one takes ``--share 1/2``, one 2/2.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path

import xarray as xr

from skipglass import check, record
from skipglass.errors import InputError, UserError
from skipglass.paper.experiment import Recording, Tell, compute, find_missing
from skipglass.paper.resnet_group import OLDER
from skipglass.training import CHECKPOINT, ResNetSettings, options, train_resnet
from skipglass.training.resnet_settings import INTERVENTIONS

__all__ = [
    "KEPT", "LIVE", "RUNS", "both_ways", "is_interrupted", "recording_path", "recordings_of", "run_name",
    "train_command", "train_runs",
]  # fmt: skip

KEPT = "resnets/recordings"
"""Where the recordings lie in the folder of long runs."""
LIVE = ResNetSettings("digits", depth=14, width=0.5, epochs=10, batch_size=64, every=22)
"""What `skipglass reproduce` trains where nothing was recorded: small enough to watch, and in need of no files."""


def both_ways(settings: ResNetSettings, seeds: Sequence[int]) -> list[ResNetSettings]:
    """Return the run with and without weight decay on λ, for each seed."""
    return [replace(settings, seed=seed, decay_scales=decay) for seed in seeds for decay in (True, False)]


SMALL = ResNetSettings("cifar10", width=0.5, subset=10_000, epochs=10)
FULL = ResNetSettings("cifar10", depth=32, epochs=164, precision="bfloat16", every=200)
MANY = ResNetSettings("cifar10", epochs=30, precision="bfloat16")
CHANGED = ResNetSettings("cifar10", depth=20, epochs=8, precision="bfloat16", compiled=True)

RUNS: dict[str, list[ResNetSettings]] = {
    "digits": both_ways(ResNetSettings("digits", depth=20, width=0.5, epochs=30, batch_size=64, every=22), range(3)),
    "depths": [replace(SMALL, depth=depth, seed=seed) for seed in range(3) for depth in (20, 32, 44, 56)],
    "resnet20": both_ways(ResNetSettings("cifar10", depth=20, epochs=30), [0, 1]),
    "resnet20-seeds": [replace(MANY, depth=20, seed=seed) for seed in (1, 2, 3, 4)],
    "resnet32": [*both_ways(FULL, [0]), *both_ways(replace(FULL, dataset="cifar100"), [0])],
    "resnet32-seeds": both_ways(FULL, [1, 2]),
    "resnet56": [replace(MANY, depth=56, seed=seed) for seed in (0, 1)],
    "full-depths": [replace(FULL, depth=depth) for depth in (20, 44, 56, 110)],
    "interventions": [
        run
        for seed in range(3)
        for changed in [replace(CHANGED, seed=seed)]
        for run in (*both_ways(changed, [seed]), *(replace(changed, intervention=kind) for kind in INTERVENTIONS[1:]))
    ],
}
"""Name of a set of runs → its runs. On all images and at full width each takes hours on two cores, and minutes on a
GPU."""

WORDS = {"bfloat16": "bf16", "float64": "f64", "float32": ""}
"""Precision → its word in the names of files."""


@cache  # settings check themselves by building the network
def run_name(settings: ResNetSettings) -> str:
    """Return the stem of a run's files; "spared" says that weight decay leaves λ out.

    Examples
    --------
    >>> run_name(RUNS["resnet20"][1])
    'resnet-cifar10-d20-w1-e30-spared-s0'
    >>> run_name(RUNS["interventions"][2])
    'intervention-cifar10-d20-w1-e8-bf16-scales_one-s0'
    """
    # what interventions are compared with is named like them, and is no further network of Figures 2 and 3
    control = replace(settings, seed=0, decay_scales=True, intervention="none") == CHANGED
    parts = [
        "intervention" if control else "resnet",
        f"{settings.dataset}-d{settings.depth}-w{settings.width:g}-e{settings.epochs}",
        f"n{settings.subset}" if settings.subset else "",
        "pre" if settings.preactivation else "",
        "" if settings.decay_scales else "spared",
        WORDS[settings.precision],
        "" if settings.intervention == "none" else settings.intervention,
        f"s{settings.seed}",
    ]
    return "-".join(part for part in parts if part)


def train_command(settings: ResNetSettings) -> str:
    """Return the command that trains one run by itself.

    Examples
    --------
    >>> train_command(RUNS["interventions"][2])
    'skipglass train cifar10 --out DIR --epochs 8 --depth 20 --intervention scales_one --precision bfloat16 --compile'
    """
    words = ["skipglass train", "digits-resnet" if settings.dataset == "digits" else settings.dataset, "--out DIR"]
    for name, declared in options(ResNetSettings).items():
        value, flag = getattr(settings, name), declared.get("flag", f"--{name.replace('_', '-')}")
        if flag is not None and value != declared["default"]:
            words.append(flag if isinstance(value, bool) else f"{flag} {value}")
    return " ".join(words)


def recording_path(folder: Path, settings: ResNetSettings) -> Path:
    """Return where the recording of a run is or would be; names that do not tell the precision, as older ones, count.

    Parameters
    ----------
    folder
        Of the recordings.
    settings
        Of the run.

    Returns
    -------
    Path
        In the folder.
    """
    path, older = (folder / f"{run_name(named)}.nc" for named in (settings, replace(settings, precision="float32")))
    if path.is_file() or not older.is_file():
        return path
    return older if record.load(older, "resnet").attrs["precision"] == settings.precision else path


def is_interrupted(folder: Path, runs: Sequence[ResNetSettings]) -> bool:
    """Tell whether `train_runs` was stopped in one of the runs."""
    return any((folder / "checkpoints" / run_name(settings)).is_dir() for settings in runs)


def recordings_of(
    folder: Path, runs: Sequence[ResNetSettings], *, data: Path | str | None = None, device: str = "auto"
) -> dict[str, Recording]:
    """Return how each run is recorded: it trains, and leaves its state between two epochs, until it is finished.

    Parameters
    ----------
    folder
        Recordings lie in FOLDER/recordings, states in FOLDER/checkpoints.
    runs
        Their settings.
    data, device
        As for `train_resnet`.
    """

    def train(settings: ResNetSettings, scratch: Path, tell: Tell) -> xr.Dataset:
        resume = (record.output_folder(scratch) / CHECKPOINT).is_file()
        return train_resnet(settings, data=data, folder=scratch, resume=resume, device=device, on_step=tell)

    found = {}
    for run in runs:
        name = recording_path(folder / "recordings", run).stem
        # by these attributes a file of that name is known to be of this run, and finished
        scratch = folder / "checkpoints" / name
        wanted = {**run.attributes(), "epochs_done": run.epochs}
        found[name] = Recording("resnet", partial(train, run, scratch), wanted, True, OLDER, scratch)
    return found


def train_runs(
    folder: Path,
    runs: Sequence[ResNetSettings],
    *,
    data: Path | str | None = None,
    device: str = "auto",
    on_start: Callable[[str], Tell | None] = lambda name: None,
) -> None:
    """Train what is not finished, one run after another.

    Parameters
    ----------
    folder, runs, data, device
        As for `recordings_of`.
    on_start
        Called with the name of each run that is to train; returns what `train_resnet` tells its progress.

    Raises
    ------
    KeyboardInterrupt
        On Ctrl-C; the same call goes on from the last epoch.
    StorageError
        If a recording of other settings has the name of one of the runs; nothing is trained then.
    """
    recordings = record.output_folder(folder / "recordings")
    compute(find_missing(recordings_of(folder, runs, data=data, device=device), recordings), recordings, on_start)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the sets that are named, one line for each run."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    parser.add_argument("sets", nargs="+", help=", ".join(RUNS))
    parser.add_argument("--data", type=Path)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--share", default="1/1", help="k/n: every n-th run, from the k-th on (default: %(default)s)")
    given = parser.parse_args(arguments)
    try:
        chosen = [run for name in given.sets for run in RUNS[check.choice("a set of runs", name, RUNS)]]
        train_runs(given.folder, chosen[_share(given.share)], data=given.data, device=given.device, on_start=_announce)
    except UserError as error:
        sys.exit(f"skipglass: {error}")
    except KeyboardInterrupt:
        sys.stderr.write("skipglass: stopped; the same command goes on from the last whole epoch\n")
        sys.exit(130)


def _share(text: str) -> slice:
    """The runs of share ``k/n``."""
    first, slash, of = text.partition("/")
    if not (slash and first.isdecimal() and of.isdecimal() and 1 <= int(first) <= int(of)):
        raise InputError(f"--share must be k/n with 1 ≤ k ≤ n, as 1/2, not {text!r}")
    return slice(int(first) - 1, None, int(of))


def _announce(name: str) -> Tell:
    """Print each tenth of a run."""
    sys.stdout.write(f"{name}\n")

    def told(step: int, total: int, loss: float, error: float) -> None:
        if step * 10 // total > (step - 1) * 10 // total:
            sys.stdout.write(f"  {step}/{total} steps, loss {loss:.3f}, test error {error:.1%}\n")
            sys.stdout.flush()

    return told


if __name__ == "__main__":
    main()
