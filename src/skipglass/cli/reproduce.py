"""`skipglass reproduce` and `skipglass report`: the paper's figures, measured or redrawn, on one page."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from skipglass import check
from skipglass.cli.options import Table, counted, folder, with_options
from skipglass.cli.render import interrupted, progress, say_where
from skipglass.cli.train import CIFAR
from skipglass.training import ResNetSettings

__all__ = ["report", "reproduce"]


def _trainings(seeds: int, epochs: int, **networks: object) -> Table:
    """Options with these defaults: of every training, and of the ResNets in particular."""
    group = "ResNets of Figures 2 and 3"
    return {
        "seeds": counted({}, seeds)["seeds"],
        "epochs": {**CIFAR["epochs"], "default": epochs},
        **{k: {**CIFAR[k], "flag": f"--{k}", "group": group, "default": v} for k, v in networks.items()},
    }


DEFAULTS = {
    "figure1": _trainings(16, 20),
    "digits": _trainings(3, 10, dataset="digits", depth=14, width=0.5, subset=None, device="auto"),
    "CIFAR": _trainings(3, 164, dataset="digits", depth=32, width=1.0, subset=None, device="auto", data=None),
}


@with_options(DEFAULTS)
def reproduce(
    figures: Annotated[
        list[str] | None,
        typer.Argument(
            help="theorems, drift, figure1, map, figure2, figure3, interventions, measures, glass; all where none is "
            "named."
        ),
    ] = None,
    out: Annotated[str, folder("Folder for recordings, figures and the page.")] = "out",
    resume: Annotated[bool, typer.Option("--resume", help="Keep finished recordings of figure1, too.")] = False,
    recorded: Annotated[
        Path, typer.Option(help="Folder of long runs; their ResNets and their map are shown if they are there.")
    ] = Path("results"),
    workers: Annotated[
        int | None, typer.Option(help="Processes for what takes minutes, not hours (default: one per core).")
    ] = None,
    *,
    given: dict[str, Any],
) -> None:
    """Train and compute what the paper's figures show, draw it, and write FOLDER/report.html.

    Figures 2 and 3 are drawn from the recordings in FOLDER/recordings, or from those of long runs, unless options ask
    for training; the page says how to train those networks anew. Finished recordings are never trained again; a
    training that was stopped continues.
    """
    from skipglass.paper.experiment import Options
    from skipglass.paper.map import lacks_full_map
    from skipglass.paper.networks import NETWORK_FIGURES, committed_networks, has_networks
    from skipglass.paper.reproduce import FIGURES, measure, write_report
    from skipglass.paper.resnet_runs import is_interrupted
    from skipglass.record import output_folder
    from skipglass.report import page_extra
    from skipglass.threads import one_thread
    from skipglass.training import cores

    data, device = given.pop("data", None), given.pop("device", "auto")
    chosen = [check.choice("a figure", name, FIGURES) for name in figures or FIGURES]
    count, epochs = (check.integer(k, given.get(k, DEFAULTS["figure1"][k]["default"]), 1) for k in ("seeds", "epochs"))
    place = check.path(out)
    runs = _runs(given) if set(chosen) & set(NETWORK_FIGURES) else []
    # whoever asks for nothing gets what lies there or was recorded before, but for a training that was stopped
    kept = has_networks(place / "recordings") or bool(committed_networks(recorded))
    if not given and kept and not is_interrupted(place, runs):
        runs = []
    asked = Options(seeds=count, epochs=epochs, resume=resume, runs=runs, data=data, device=device, recorded=recorded)
    processes = cores() if workers is None else check.integer("workers", workers, 1)
    output_folder(place)
    page_extra("vl_convert")  # draws everything at the end
    try:
        with progress() as bar, one_thread():
            measure(place, chosen, asked, progress=bar, workers=processes)
            page = write_report(place, chosen, progress=bar)
    except KeyboardInterrupt:
        interrupted(
            f"stopped; the finished recordings are kept in {place / 'recordings'}, "
            "and the same command with --resume goes on from them"
        )
    if lacks_full_map(path.stem for path in (place / "recordings").glob("*.nc")):
        typer.echo(
            f"the page has the small map alone: the recording of the full one is not in {recorded / 'sweep'}; "
            "--recorded takes the folder that holds it, results/ in a checkout",
            err=True,
        )
    if not runs and set(chosen) & set(NETWORK_FIGURES):
        typer.echo(
            "figures 2 and 3 are drawn from recordings that were there; skipglass reproduce figure2 figure3 --dataset "
            "cifar10 --data FOLDER trains such networks anew (hours), and the page has the command for the paper's own",
            err=True,
        )
    say_where(page)


def _runs(given: dict[str, Any]) -> list[ResNetSettings]:
    """The ResNets to train: the small one on digits, or the paper's, with what was asked for instead."""
    from skipglass.paper.resnet_runs import LIVE, both_ways

    # what is not asked for is as in the small run on digits, or as in the paper
    wishes = dict(given)
    seeds = check.integer("seeds", wishes.pop("seeds", DEFAULTS["digits"]["seeds"]["default"]), 1)
    digits = wishes.get("dataset", "digits") == "digits"
    return both_ways(replace(LIVE if digits else ResNetSettings("cifar10"), **wishes), range(seeds))


def report(
    folder: Annotated[Path, typer.Argument(help="A folder that `skipglass reproduce` has written.")],
) -> None:
    """Redraw the figures and the page from the recordings in FOLDER, without training."""
    from skipglass.paper.reproduce import recorded, write_report
    from skipglass.threads import one_thread

    chosen = recorded(folder)
    with progress() as bar, one_thread():
        page = write_report(folder, chosen, progress=bar)
    say_where(page)
