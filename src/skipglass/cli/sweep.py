"""`skipglass sweep`: growth of scales and of the measured depth over what the paper leaves open."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from skipglass.cli.folders import folder_option

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["sweep"]


def sweep(
    out: Annotated[
        Path,
        folder_option("Folder; finished cells in it are kept, and not trained again."),
    ],
    separations: Annotated[str | None, typer.Option(help="Class distances, like 2,8 [2,4,8,16].")] = None,
    rates: Annotated[str | None, typer.Option(help="Learning rates [0.01,0.05,0.25].")] = None,
    variants: Annotated[str | None, typer.Option(help="Of the normalisation (default: all but paper-before).")] = None,
    depths: Annotated[str | None, typer.Option(help="Weight layers [3,6,12].")] = None,
    seeds: Annotated[int | None, typer.Option(help="Networks a cell, trained side by side [16].")] = None,
    seed: Annotated[int, typer.Option(help="The first of them.")] = 0,
    epochs: Annotated[int | None, typer.Option(help="Of each training [4].")] = None,
    width: Annotated[int | None, typer.Option(help="Units a layer [20].")] = None,
    workers: Annotated[
        int | None, typer.Option(help="Processes; their number changes no result (default: one a core).")
    ] = None,
    cluster: Annotated[str | None, typer.Option(help="A Dask scheduler instead, tcp://HOST:PORT.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Train residual MLPs on Gaussians over a grid, and record how λ, absorbed norms and the depth change.

    Each cell of the grid is kept in DIR/cells as soon as it is done; all of them together are DIR/recordings/sweep.nc.
    A folder that holds another sweep is refused.
    """
    from skipglass import check
    from skipglass.cli.render import progress
    from skipglass.errors import InputError
    from skipglass.paper.sweep_map import map_panels
    from skipglass.record import output_folder, save
    from skipglass.report import page_extra, save_grid
    from skipglass.training import Grid
    from skipglass.training import sweep as train
    from skipglass.training.spread import cores
    from skipglass.training.sweep import check_recording

    if cluster is not None and workers is not None:
        raise InputError("--workers counts processes of this machine, --cluster has its own: give one of them")
    given: dict[str, Any] = {
        "separations": _values(separations, float),
        "learning_rates": _values(rates, float),
        "variants": _values(variants, str),
        "depths": _values(depths, int),
        "epochs": epochs,
        "width": width,
    }
    first = check.seed("seed", seed)
    if seeds is not None or first:
        given["seeds"] = tuple(range(first, first + check.integer("seeds", 16 if seeds is None else seeds, 1)))
    grid = Grid(**{name: value for name, value in given.items() if value is not None})
    processes = cores() if workers is None else check.integer("workers", workers, 1)
    folder, path = output_folder(out), output_folder(out / "recordings") / "sweep.nc"
    check_recording(path, grid)
    page_extra("vl_convert")  # draws the map at the end
    done, total = 0, len(grid.cells())

    try:
        with progress() as bar:
            task = bar.add_task(f"cells of {len(grid.seeds)} networks", total=total)

            def on_cell(count: int) -> None:
                nonlocal done
                done = count
                bar.update(task, completed=count)

            recording = train(grid, folder, workers=processes, cluster=cluster, on_cell=on_cell)
    except KeyboardInterrupt:
        typer.echo(
            f"stopped; {done} of {total} cells are kept in {folder / 'cells'}, and the same command goes on from them",
            err=True,
        )
        raise typer.Exit(130) from None
    save(recording, path, kind="sweep")
    save_grid(map_panels(recording), out / "figures", "map")
    _show(recording, path, as_json)


def _values(text: str | None, kind: Callable[[str], Any]) -> list[Any] | None:
    """The list that "2,4" writes; None if nothing is asked for."""
    from skipglass.errors import InputError

    if text is None:
        return None
    try:
        return [kind(part.strip()) for part in text.split(",") if part.strip()]
    except ValueError:
        raise InputError(f"a list of numbers like 2,4,8 was expected, not {text!r}") from None


def _show(recording: "xr.Dataset", path: Path, as_json: bool) -> None:
    from skipglass.cli.render import print_json, print_table
    from skipglass.paper.sweep_map import summary

    if not as_json:
        print_table(
            f"{path}: settings whose mean over seeds ends above / below its start, by more than two standard errors",
            ["normalisation", "settings that learn", "|λ|", "absorbed norm", "effective depth"],
            summary(recording),
        )
        return
    ends = recording.isel(epoch=[0, -1]).mean("seed").transpose("cell", "epoch")
    names = ("separation", "learning_rate", "variant", "depth", *ends.data_vars)
    print_json(
        {
            "recording": str(path),
            "seeds": recording.seed.values,
            "cells": [
                {"cell": cell, **{str(name): ends[name].values[k] for name in names}}
                for k, cell in enumerate(ends.cell.values.tolist())
            ],
        }
    )
