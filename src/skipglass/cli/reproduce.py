"""`skipglass reproduce` and `skipglass report`: the paper's figures, measured or redrawn, on one page."""

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["report", "reproduce"]


def reproduce(
    figures: Annotated[list[str] | None, typer.Argument(help="figure1, …; all if none is named.")] = None,
    out: Annotated[Path, typer.Option(help="Folder for recordings, figures and the page.")] = Path("out"),
    seeds: Annotated[int, typer.Option(help="Networks trained for each setting.")] = 16,
    epochs: Annotated[int, typer.Option(help="Epochs of each training.")] = 20,
    resume: Annotated[bool, typer.Option("--resume", help="Keep finished recordings of the same settings.")] = False,
) -> None:
    """Train and compute what the paper's figures show, draw it, and write DIR/report.html."""
    from skipglass import check
    from skipglass.cli.render import progress
    from skipglass.paper import FIGURES, measure, write_report
    from skipglass.record import output_folder

    chosen = [check.choice("a figure", name, FIGURES) for name in figures or FIGURES]
    count, passes = check.integer("seeds", seeds, 1), check.integer("epochs", epochs, 1)
    folder = output_folder(out)
    try:
        with progress() as bar:
            measure(folder, chosen, seeds=count, epochs=passes, progress=bar, resume=resume)
            page = write_report(folder, chosen, progress=bar)
    except KeyboardInterrupt:
        typer.echo(
            f"stopped; the finished recordings are kept in {folder / 'recordings'}, "
            "and the same command with --resume goes on from them",
            err=True,
        )
        raise typer.Exit(130) from None
    typer.echo(f"{page}: open it in a browser")


def report(
    folder: Annotated[Path, typer.Argument(help="A folder that `skipglass reproduce` has written.")],
) -> None:
    """Redraw the figures and the page from the recordings in FOLDER, without training."""
    from skipglass.cli.render import progress
    from skipglass.paper import recorded, write_report

    chosen = recorded(folder)
    with progress() as bar:
        page = write_report(folder, chosen, progress=bar)
    typer.echo(f"{page}: open it in a browser")
