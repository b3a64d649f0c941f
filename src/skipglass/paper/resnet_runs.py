"""The long trainings behind Figures 2 and 3, as one table, and the command that runs them unattended.

    python -m skipglass.paper.resnet_runs results/resnets depths resnet20 --data FOLDER

Each run leaves FOLDER/recordings/NAME.nc; finished ones are skipped, and one that was killed goes on from its last
epoch, so that the same command is given again until it has nothing left to do. Two processes on two cores, each with
OMP_NUM_THREADS=1, get through the table faster than one with two threads: one takes ``--share 1/2``, one 2/2.
"""

import argparse
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from rich.progress import Progress

from skipglass import check, record
from skipglass.errors import InputError, StorageError, UserError
from skipglass.paper.claim import Recordings
from skipglass.paper.experiment import Experiment, Options, copied
from skipglass.paper.resnet_group import APART, DEPTH
from skipglass.training import CHECKPOINT, ResNetSettings, train_resnet
from skipglass.training.resnet_settings import INTERVENTIONS

__all__ = [
    "LIVE", "RUNS", "LongTrainings", "both_ways", "check_networks", "is_finished", "is_interrupted", "recording_path",
    "run_name", "train_runs",
]  # fmt: skip

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
        replace(run, seed=seed)
        for seed in range(3)
        for run in (
            *both_ways(CHANGED, [seed]),
            *(replace(CHANGED, intervention=kind) for kind in INTERVENTIONS if kind != "none"),
        )
    ],
}
"""Name of a set of runs → its runs. On all images and at full width each takes hours on two cores, and minutes on a
GPU."""

WORDS = {"bfloat16": "bf16", "float64": "f64", "float32": ""}
"""Precision → its word in the names of files."""


def run_name(settings: ResNetSettings) -> str:
    """Return the stem of a run's files.

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


def is_finished(path: Path, settings: ResNetSettings) -> bool:
    """Tell whether the recording of a run is there.

    Parameters
    ----------
    path
        Where it would be.
    settings
        Of the run.

    Returns
    -------
    bool
        False if there is no such file.

    Raises
    ------
    StorageError
        If the file there is damaged, or of other settings, which a name does not tell in full: it is not replaced.
    """
    if not path.is_file():
        return False
    found = record.load(path, "resnet")
    found.attrs.setdefault("intervention", "none")  # older recordings know of none
    wanted = {**settings.attributes(), "epochs_done": settings.epochs}
    for name in record.differing(found, wanted):
        raise StorageError(
            f"{path} is of another run: it has {name} = {found.attrs.get(name)}, asked for is {wanted[name]}; choose "
            "another folder, or move the file away. Nothing was changed there"
        )
    return True


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
    path = folder / f"{run_name(settings)}.nc"
    older = folder / f"{run_name(replace(settings, precision='float32'))}.nc"
    if path.is_file() or not older.is_file():
        return path
    return older if record.load(older, "resnet").attrs["precision"] == settings.precision else path


def is_interrupted(folder: Path, runs: Sequence[ResNetSettings]) -> bool:
    """Tell whether `train_runs` was stopped in one of the runs."""
    return any((folder / "checkpoints" / run_name(settings)).is_dir() for settings in runs)


def train_runs(
    folder: Path,
    runs: Sequence[ResNetSettings],
    *,
    data: Path | str | None = None,
    device: str = "auto",
    on_start: Callable[[str], Callable[[int, int, float, float], None] | None] = lambda name: None,
) -> None:
    """Train what is not finished, one run after another.

    Parameters
    ----------
    folder
        Recordings go to FOLDER/recordings, states between two epochs to FOLDER/checkpoints, until a run is finished.
    runs
        Their settings.
    data, device
        As for `train_resnet`.
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
    paths = [recording_path(recordings, settings) for settings in runs]
    for path, settings in zip(paths, runs, strict=True):
        is_finished(path, settings)  # refuses what is of other settings, before any training
    for path, settings in zip(paths, runs, strict=True):
        scratch = folder / "checkpoints" / path.stem
        if not is_finished(path, settings):
            resume = (record.output_folder(scratch) / CHECKPOINT).is_file()
            recording = train_resnet(
                settings, data=data, folder=scratch, resume=resume, device=device, on_step=on_start(path.stem)
            )
            record.remove_leftovers(path)
            record.save(recording, path, kind="resnet")
        shutil.rmtree(scratch, ignore_errors=True)


def check_networks(found: Recordings) -> None:
    """Raise StorageError where a run is unfinished or not of this kind, or two are of one setting and seed."""
    names: dict[tuple, str] = {}
    for name, recording in found.items():
        needed = {
            DEPTH,
            "absorbed_norm",
            "multiplier_norm",
            "test_error",
            *APART,
            "seed",
            "epochs_done",
            "drop_epochs",
        } - {"intervention"}
        if lacking := sorted(needed - {*recording.variables, *recording.attrs}):
            raise StorageError(
                f"cannot draw from {name}.nc: it has no {', '.join(lacking)}, as a recording by skipglass train has; "
                "train that network again, or move the file away"
            )
        if recording.attrs["epochs_done"] < recording.attrs["epochs"]:
            raise StorageError(f"cannot draw from {name}.nc: its run is unfinished; train it to its end")
        first = names.setdefault(tuple(str(recording.attrs.get(key, "none")) for key in (*APART, "seed")), name)
        if first != name:
            raise StorageError(f"{name}.nc and {first}.nc are of one setting and seed; move one of them away")


class LongTrainings(Experiment):
    """An experiment on recordings of ResNets that take hours to train, and are kept in results/."""

    def measure(self, folder: Path, options: Options, progress: Progress) -> None:
        """Where there is none, copy those of the long runs."""
        if not any(any(folder.glob(f"{pattern}.nc")) for pattern in self.patterns):
            copied(self.committed(options.recorded), folder)

    @property
    def patterns(self) -> list[str]:
        """Of the names of the recordings."""
        return [*self.finds, *self.optional]

    def committed(self, recorded: Path | None) -> list[Path]:
        """Return the recordings in a folder of long runs, results/ in a checkout."""
        place = recorded / "resnets" / "recordings" if recorded else None
        return sorted(path for pattern in self.patterns for path in place.glob(f"{pattern}.nc")) if place else []


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the sets that are named, one line a run."""
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


def _announce(name: str) -> Callable[[int, int, float, float], None]:
    """Print each tenth of a run."""
    sys.stdout.write(f"{name}\n")

    def told(step: int, total: int, loss: float, error: float) -> None:
        if step * 10 // total > (step - 1) * 10 // total:
            sys.stdout.write(f"  {step}/{total} steps, loss {loss:.3f}, test error {error:.1%}\n")
            sys.stdout.flush()

    return told


if __name__ == "__main__":
    main()
