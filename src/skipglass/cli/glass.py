"""`skipglass glass`: sample spin glasses, count their critical points, or descend them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from skipglass.cli.folders import folder_option

if TYPE_CHECKING:
    import xarray as xr

    from skipglass.report import Panel
    from skipglass.theory import Mixture

__all__ = ["glass"]

MOST = 1_000_000  # samples: our choice
WORKERS = 1_024  # our choice
COUNTS = ("index", "exact", "measured", "standard error", "z")
DESCENTS = ("sample", "start", "H/Λ", "gradient", "points", "converged", "overlap")
MEASURED = ("energy", "gradient_norm", "evaluations", "converged")
LANDMARKS = {"threshold": "-E_∞", "minimum": "-√ν′", "ground": "-E_0"}
HOW_TO_READ = {
    COUNTS: "Counted against the exact mean (Kac-Rice): z is their difference in standard errors of the mean.",
    DESCENTS: "gradient: ‖P∇H‖ over a typical one, √(Λν′); overlap: mean ⟨w,w'⟩/Λ of the end points in one glass.",
}


def glass(
    orders: Annotated[
        str | None, typer.Option(help="Count critical points: orders, 3 or 2,3, or with powers, 1:0.3,3:0.7.")
    ] = None,
    depth: Annotated[int | None, typer.Option(help="Descend the glass of a network of this depth.")] = None,
    beta: Annotated[float | None, typer.Option(help="β of that network (Eq. 17).")] = None,
    field: Annotated[bool, typer.Option("--field", help="Keep its paths of length 1, a field.")] = False,
    size: Annotated[int | None, typer.Option(help="Λ; by default 6 for critical points, 2000 for descents.")] = None,
    samples: Annotated[int | None, typer.Option(help="Number of glasses; by default 200, or 3 for descents.")] = None,
    starts: Annotated[int, typer.Option(help="Descents in each glass.")] = 2,
    steps: Annotated[int, typer.Option(help="Largest number of steps of each descent.")] = 40,
    max_starts: Annotated[int, typer.Option(help="Newton starts at which a search gives up.")] = 40_000,
    seed: Annotated[int, typer.Option(help="Seed of sample 0; sample i uses seed + i.")] = 0,
    workers: Annotated[int, typer.Option(help="Number of processes; the results do not depend on it.")] = 1,
    out: Annotated[
        Path | None,
        folder_option("Folder for the recording, the figure and report.html."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Sample spin glasses: critical points (--orders), or descents (--depth and --beta)."""
    from skipglass import check
    from skipglass.cli.render import progress
    from skipglass.errors import InputError
    from skipglass.record import output_folder

    if orders is not None and (beta is not None or field):
        raise InputError("--beta and --field belong to --depth; orders are given with their powers, like 1:0.3,3:0.7")
    if (orders is None) == (depth is None):
        raise InputError("ask for critical points with --orders, or for descents with --depth and --beta: one of them")
    counting = orders is not None
    mixture = _mixture_of_orders(orders) if orders is not None else _mixture_of_network(depth, beta, field)
    Λ = check.integer("size", size if size is not None else (6 if counting else 2000), 2)
    wanted = samples if samples is not None else (200 if counting else 3)
    count = check.integer("samples", wanted, 2 if counting else 1, MOST)
    first = check.seed("seed", seed)
    check.seed("the last seed", first + count - 1)
    start_count, step_count = check.integer("starts", starts, 1), check.integer("steps", steps, 1)
    limit = check.integer("max_starts", max_starts, 1)
    processes, seeds = _processes(workers), range(first, first + count)
    folder = None if out is None else output_folder(out)
    from skipglass.paper import samples as sampled  # torch: only once there is something to compute

    with progress() as bar:
        task = bar.add_task("critical points, samples" if counting else "descents, glasses", total=count)

        def on_sample() -> None:
            bar.advance(task)

        if counting:
            recording = sampled.counts(mixture, Λ, seeds, processes, on_sample, limit)
        else:
            recording = sampled.descents(
                mixture, Λ, seeds, starts=start_count, steps=step_count, workers=processes, on_sample=on_sample
            )
    if depth is not None:
        recording.attrs["name"] = f"depth {depth}, β = {beta:g}, {'field kept' if field else 'no field'}"
    panel = sampled.count_panel(recording) if counting else sampled.descent_panel(recording)
    (_show_counts if counting else _show_descents)(recording, as_json)
    if folder is not None:
        page = _write(recording, panel, folder)
        typer.echo(f"{page}: open it in a browser", err=as_json)


def _processes(workers: int) -> int:
    """As many as asked for, up to a core each: more would only wait for one another."""
    from skipglass import check

    if check.integer("workers", workers, 1, WORKERS) == 1:
        return 1
    from skipglass.training import cores

    most = max(2, cores())
    if workers > most:
        typer.echo(f"{most} workers in place of {workers}: more than the machine has cores would be slower", err=True)
    return min(workers, most)


def _mixture_of_orders(text: str) -> "Mixture":
    """{order: power} of "3", "2,3" (equal powers) or "1:0.3,3:0.7"."""
    from skipglass.errors import InputError
    from skipglass.theory import Mixture

    parts = [part.split(":") for part in text.split(",")]
    try:
        powers = {int(part[0]): float(part[1]) if len(part) > 1 else 1 / len(parts) for part in parts}
    except ValueError:
        powers = {}
    if len(powers) != len(parts) or len({len(part) for part in parts}) != 1 or len(parts[0]) > 2:
        raise InputError(f"orders must be like 3, or 2,3, or 1:0.3,3:0.7 (order:power), each order once, not {text!r}")
    return Mixture(powers)


def _mixture_of_network(depth: int | None, beta: float | None, field: bool) -> "Mixture":
    from skipglass.errors import InputError
    from skipglass.theory import DepthEnsemble

    if depth is None or beta is None:
        raise InputError("the glass of a network needs --depth and --beta")
    return DepthEnsemble(depth, beta).mixture(field=field)


def _write(recording: "xr.Dataset", panel: "Panel", folder: Path) -> Path:
    """Leave the recording, the figure and the page in a folder; return the page."""
    from skipglass.cli.render import made_by
    from skipglass.record import save
    from skipglass.report import Report, Section, Table, render_page, save_figures

    counted = "count" in recording
    columns, rows = (COUNTS, _counted(recording)) if counted else (DESCENTS, _descended(recording))
    save_figures(panel, folder)
    save(recording, folder / f"{panel.name}-samples.nc", kind="glass")
    shown = [tuple(cell if isinstance(cell, float) else str(cell) for cell in row) for row in rows]
    table = Table("numbers", "In numbers", HOW_TO_READ[columns], columns, shown)
    lead = f"{recording.attrs['mixture']}, Λ = {recording.attrs['size']}, {recording.sizes['sample']} samples."
    title = "Critical points of sampled spin glasses" if counted else "Descents in sampled spin glasses"
    return render_page(
        Report(title, lead, (Section("What was found", "", (panel, table)),), made_by()), folder / "report.html"
    )


def _counted(recording: "xr.Dataset") -> list:
    from skipglass.paper.samples import compared

    return compared(recording)


def _descended(recording: "xr.Dataset") -> list[tuple]:
    return [
        (s, k, *(recording[name].values[i, k].item() for name in MEASURED), float(recording.overlap[i]))
        for i, s in enumerate(recording.sample.values.tolist())
        for k in range(recording.sizes["start"])
    ]


def _show_counts(recording: "xr.Dataset", as_json: bool) -> None:
    from skipglass.cli.render import print_json, print_table

    rows, a = _counted(recording), recording.attrs
    complete, total = int(recording.complete.sum()), recording.sizes["sample"]
    if as_json:
        print_json(
            {
                **{name: a[name] for name in ("mixture", "size")},
                "samples": total,
                "complete": complete,
                "rows": [dict(zip(COUNTS, row, strict=True)) for row in rows],
            }
        )
    else:
        print_table(f"critical points, {a['mixture']}, Λ = {a['size']}, {total} samples", COUNTS, rows)
    if complete < total:
        typer.echo(
            f"warning: {total - complete} of {total} samples lack evidence that all their points were found; "
            "their counts may be low",
            err=True,
        )


def _show_descents(recording: "xr.Dataset", as_json: bool) -> None:
    from skipglass.cli.render import print_json, print_table

    a, rows = recording.attrs, _descended(recording)
    if as_json:
        keys = ["sample", "start", *MEASURED, "overlap"]
        print_json(
            {
                "mixture": a["mixture"],
                "name": a["name"],
                "size": a["size"],
                "landmarks": {name: a[name] for name in LANDMARKS},
                "rows": [dict(zip(keys, row, strict=True)) for row in rows],
            }
        )
        return
    told = ", ".join(f"{sign} = {a[name]:.4f}" for name, sign in LANDMARKS.items() if a[name] == a[name])
    unknown = "" if a["ground"] == a["ground"] else "; E_0 is not known for mixtures"
    print_table(f"descents, {a['name']}, Λ = {a['size']}: {told}{unknown}", DESCENTS, rows)
    typer.echo(HOW_TO_READ[DESCENTS])
    going = int((recording.converged == 0).sum())
    if going:
        typer.echo(f"{going} of {len(rows)} descents were still going down: --steps takes them further")
