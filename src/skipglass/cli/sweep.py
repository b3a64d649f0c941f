"""`skipglass sweep`: growth of scales and of the measured depth over what the paper leaves open."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from skipglass.cli.options import AsJson, counted, folder, with_options, with_seeds
from skipglass.cli.render import interrupted, print_json, print_table, progress
from skipglass.errors import InputError
from skipglass.training import Grid, options

if TYPE_CHECKING:  # they load slowly
    import xarray as xr

__all__ = ["sweep"]

GRID = counted(options(Grid), len(Grid.seeds))


@with_options({"": GRID})
def sweep(
    out: Annotated[str, folder("Folder; cells that it holds already are not trained again.")],
    workers: Annotated[
        int | None, typer.Option(help="Processes; their number changes no result (default: one per core).")
    ] = None,
    cluster: Annotated[
        str | None, typer.Option(help="Address of a Dask scheduler that does the work instead, tcp://HOST:PORT.")
    ] = None,
    as_json: AsJson = False,
    *,
    given: dict[str, Any],
) -> None:
    """Train residual MLPs on Gaussians over a grid, and record how λ, absorbed norms and the depth change.

    Each cell of the grid is kept in FOLDER/cells as soon as it is done; all of them together are
    FOLDER/recordings/sweep.nc. A folder that holds another sweep is refused.
    """
    if cluster is not None and workers is not None:
        raise InputError("--workers counts processes of this machine, --cluster has its own: give one of them")
    grid = Grid(**with_seeds(given, GRID))
    from skipglass.paper.map import map_panels, summary
    from skipglass.record import output_folder, save
    from skipglass.report import page_extra, save_grid
    from skipglass.training import check_recording, cores
    from skipglass.training import sweep as run

    place = output_folder(out)
    path = output_folder(place / "recordings") / "sweep.nc"
    # the recording of another sweep there would be lost
    check_recording(path, grid)
    page_extra("vl_convert")  # draws the map at the end
    processes = cores() if workers is None else workers
    done, total = 0, len(grid.cells())
    try:
        with progress() as bar:
            task = bar.add_task(f"cells of {len(grid.seeds)} networks", total=total)

            def on_cell(count: int) -> None:
                nonlocal done
                done = count
                bar.update(task, completed=count)

            recording = run(grid, place, workers=processes, cluster=cluster, on_cell=on_cell)
    except KeyboardInterrupt:
        interrupted(
            f"stopped; {done} of {total} cells are kept in {place / 'cells'}, and the same command goes on from them"
        )
    save(recording, path, kind="sweep")
    save_grid(map_panels(recording), place / "figures", "map")
    if as_json:
        print_json({"recording": str(path), "seeds": recording.seed.values, "cells": _first_and_last(recording)})
        return
    print_table(
        f"{path}: settings whose mean over seeds ends above / below its start, by Student's t with Holm's correction",
        ["normalisation", "settings that learn", "|λ|", "absorbed norm", "effective depth"],
        summary(recording),
    )


def _first_and_last(recording: "xr.Dataset") -> list[dict[str, Any]]:
    """Each cell's settings, and its [first, last] values in the mean over seeds."""
    ends = recording.isel(epoch=[0, -1]).mean("seed").transpose("cell", "epoch")
    names = ("cell", "separation", "learning_rate", "variant", "depth", *ends.data_vars)
    return [{str(name): ends[name].values[k] for name in names} for k in range(ends.sizes["cell"])]
