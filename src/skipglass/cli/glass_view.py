"""Sampled spin glasses as the command shows them: the same rows as a table, as JSON and on a page."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer
import xarray as xr

from skipglass.cli.render import made_by, print_json, print_table
from skipglass.paper.samples import compared, count_panel, descent_panel
from skipglass.record import save
from skipglass.report import Panel, Report, Section, Table, render_page, save_figures

__all__ = ["View", "counts_view", "descents_view"]

KEYS = {"H/Λ": "energy", "gradient": "gradient_norm", "points": "evaluations"}
"""What JSON, and the recording, call a column, where that is not its heading."""
LANDMARKS = {"threshold": "-E_∞", "minimum": "-√ν′", "ground": "-E_0"}


@dataclass(frozen=True)
class View:
    """What is shown of a recording.

    Attributes
    ----------
    recording, panel, table
        The samples, their figure, and the same in numbers.
    head
        What JSON says before the rows.
    title
        Of the page.
    notes, warning
        Lines below the table, and one on stderr.
    """

    recording: xr.Dataset
    panel: Panel
    table: Table
    head: dict[str, Any]
    title: str
    notes: Sequence[str] = ()
    warning: str = ""

    def show(self, *, as_json: bool) -> None:
        """Print it."""
        columns, rows = self.table.columns, self.table.rows
        if as_json:
            keys = [KEYS.get(column, column) for column in columns]
            print_json({**self.head, "rows": [dict(zip(keys, row, strict=True)) for row in rows]})
        else:
            print_table(self.table.title, columns, rows)
            typer.echo("".join(f"{note}\n" for note in self.notes), nl=False)
        typer.echo(self.warning, err=True, nl=bool(self.warning))

    def write(self, folder: Path) -> Path:
        """Leave the recording, the figure and the page in a folder; return the page."""
        a = self.recording.attrs
        save_figures(self.panel, folder)
        save(self.recording, folder / f"{self.panel.name}-samples.nc", kind="glass")
        lead = f"{a['mixture']}, Λ = {a['size']}, {self.recording.sizes['sample']} samples."
        section = Section("What was found", "", (self.panel, self.table))
        return render_page(Report(self.title, lead, (section,), made_by()), folder / "report.html")


def counts_view(recording: xr.Dataset) -> View:
    """Return counts of critical points beside the exact mean."""
    a, total, complete = recording.attrs, recording.sizes["sample"], int(recording.complete.sum())
    title = f"critical points, {a['mixture']}, Λ = {a['size']}, {total} samples"
    reading = "Counted against the exact mean (Kac-Rice): z is their difference in standard errors of the mean."
    table = Table("numbers", title, reading, ("index", "exact", "measured", "standard error", "z"), compared(recording))
    head = {"mixture": a["mixture"], "size": a["size"], "samples": total, "complete": complete}
    warning = (
        f"warning: {total - complete} of {total} samples lack evidence that all their points were found; "
        "their counts may be low"
    )
    panel, page = count_panel(recording), "Critical points of sampled spin glasses"
    return View(recording, panel, table, head, page, warning=warning if complete < total else "")


def descents_view(recording: xr.Dataset) -> View:
    """Return the energies that descents reach beside the landmarks."""
    a, measured = recording.attrs, ("energy", "gradient_norm", "evaluations", "converged")
    rows = [
        (sample, start, *(recording[name].values[i, start].item() for name in measured), float(recording.overlap[i]))
        for i, sample in enumerate(recording.sample.values.tolist())
        for start in range(recording.sizes["start"])
    ]
    # a landmark is NaN where the theory does not know it
    known = ", ".join(f"{sign} = {a[name]:.4f}" for name, sign in LANDMARKS.items() if a[name] == a[name])
    title = f"descents, {a['name']}, Λ = {a['size']}: {known}"
    notes = ["gradient: ‖P∇H‖ over a typical one, √(Λν′); overlap: mean ⟨w,w'⟩/Λ of the end points in one glass."]
    columns = ("sample", "start", "H/Λ", "gradient", "points", "converged", "overlap")
    table = Table("numbers", title, notes[0], columns, rows)
    if going := int((recording.converged == 0).sum()):
        notes.append(f"{going} of {len(rows)} descents had not converged; --steps lets them go on")
    head = {**{k: a[k] for k in ("mixture", "name", "size")}, "landmarks": {k: a[k] for k in LANDMARKS}}
    return View(recording, descent_panel(recording), table, head, "Descents in sampled spin glasses", notes)
