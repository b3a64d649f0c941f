"""`skipglass reproduce` and `skipglass report`: the paper's figures, measured or redrawn, on one page."""

from pathlib import Path
from typing import Annotated, Any

import typer

from skipglass.cli.folders import folder_option

__all__ = ["report", "reproduce"]


def reproduce(
    figures: Annotated[
        list[str] | None,
        typer.Argument(help="theorems, drift, figure1, map, figure2, figure3, glass; all if none is named."),
    ] = None,
    out: Annotated[Path, folder_option("Folder for recordings, figures and the page.")] = Path("out"),
    seeds: Annotated[
        int | None, typer.Option(help="Networks a setting (default: figure1 16, figures 2 and 3: 3).")
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(help="Of each training (default: figure1 20, digits 10, CIFAR 164).")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Keep finished recordings of figure1 too.")] = False,
    dataset: Annotated[
        str | None, typer.Option(help="Figures 2, 3: digits, cifar10 or cifar100 (default: digits).")
    ] = None,
    depth: Annotated[
        int | None, typer.Option(help="Figures 2, 3: weight layers (default: digits 14, CIFAR 32).")
    ] = None,
    width: Annotated[
        float | None, typer.Option(help="Figures 2, 3: channel factor (default: digits 0.5, CIFAR 1).")
    ] = None,
    subset: Annotated[int | None, typer.Option(help="Figures 2, 3: train on so many images (default: all).")] = None,
    data: Annotated[Path | None, typer.Option(help="Folder of the CIFAR files (default: $SKIPGLASS_DATA).")] = None,
    device: Annotated[str, typer.Option(help="Figures 2, 3: auto, cpu, cuda or cuda:N.")] = "auto",
    recorded: Annotated[Path, typer.Option(help="Folder of long runs: its map is shown too, if it is there.")] = Path(
        "results"
    ),
) -> None:
    """Train and compute what the paper's figures show, draw it, and write DIR/report.html.

    Figures 2 and 3 are drawn from the recordings in DIR/recordings, unless there are none or options ask for training.

    Finished recordings are never trained again; a training that was stopped goes on.
    """
    from skipglass import check
    from skipglass.cli.render import progress
    from skipglass.paper.chapter import Options
    from skipglass.paper.network_page import NETWORK_FIGURES, has_networks
    from skipglass.paper.reproduce import FIGURES, measure, write_report
    from skipglass.paper.resnet_runs import is_interrupted
    from skipglass.paper.sweep_map import lacks_full_map
    from skipglass.record import output_folder
    from skipglass.report import page_extra

    chosen = [check.choice("a figure", name, FIGURES) for name in figures or FIGURES]
    count = check.integer("seeds", 16 if seeds is None else seeds, 1)
    passes = check.integer("epochs", 20 if epochs is None else epochs, 1)
    wishes = {"dataset": dataset, "epochs": epochs, "depth": depth, "width": width, "subset": subset}
    asked = seeds is not None or any(value is not None for value in wishes.values())
    runs = _runs(wishes, 3 if seeds is None else count) if set(chosen) & set(NETWORK_FIGURES) else []
    if not asked and has_networks(out / "recordings") and not is_interrupted(out, runs):
        runs = []
    options = Options(seeds=count, epochs=passes, resume=resume, runs=runs, data=data, device=device, recorded=recorded)
    folder = output_folder(out)
    page_extra("vl_convert")  # draws everything at the end
    try:
        with progress() as bar:
            measure(folder, chosen, options, progress=bar)
            page = write_report(folder, chosen, progress=bar)
    except KeyboardInterrupt:
        typer.echo(
            f"stopped; the finished recordings are kept in {folder / 'recordings'}, "
            "and the same command with --resume goes on from them",
            err=True,
        )
        raise typer.Exit(130) from None
    if lacks_full_map(path.stem for path in (folder / "recordings").glob("*.nc")):
        typer.echo(
            f"the page has the small map alone: the recording of the full one is not in {recorded / 'sweep'}; "
            "--recorded takes the folder that holds it, results/ in a checkout",
            err=True,
        )
    typer.echo(f"{page}: open it in a browser")


def _runs(wishes: dict[str, Any], seeds: int) -> list:
    """The ResNets to train: the small one on digits, or the paper's, with what was asked for instead."""
    from dataclasses import replace

    from skipglass.paper.resnet_runs import LIVE, both_ways
    from skipglass.training import ResNetSettings

    given = {name: value for name, value in wishes.items() if value is not None}
    start = LIVE if given.get("dataset", "digits") == "digits" else ResNetSettings("cifar10")
    return both_ways(replace(start, **given), range(seeds))


def report(
    folder: Annotated[Path, typer.Argument(help="A folder that `skipglass reproduce` has written.")],
) -> None:
    """Redraw the figures and the page from the recordings in FOLDER, without training."""
    from skipglass.cli.render import progress
    from skipglass.paper.reproduce import recorded, write_report

    chosen = recorded(folder)
    with progress() as bar:
        page = write_report(folder, chosen, progress=bar)
    typer.echo(f"{page}: open it in a browser")
