"""What the commands share in what they print, and in how they end early."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from skipglass.errors import UserError

__all__ = ["interrupted", "made_by", "print_json", "print_table", "progress", "say_where"]


def made_by() -> str:
    """Return the foot of a page: version, command, machine and date."""
    from skipglass import __version__
    from skipglass.record import provenance

    about = provenance()
    return f"skipglass {__version__}. Made by `{about['command']}` on {about['machine']}, {about['created']}."


def print_json(value: Mapping[str, object]) -> None:
    """Print ``value`` as one JSON object; infinities and NaN become null, as JSON has none."""
    text = json.dumps(value, default=lambda array: array.tolist())
    plain = json.loads(text, parse_constant=lambda _: None)
    typer.echo(json.dumps(plain, indent=2, ensure_ascii=False))


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table on stdout, floats to six digits."""
    table = Table(title=title, title_justify="left")
    for index, column in enumerate(columns):
        table.add_column(column, justify="left" if index == 0 else "right")
    for row in rows:
        table.add_row(*(f"{cell:.6g}" if isinstance(cell, float) else str(cell) for cell in row))
    Console().print(table)


def say_where(page: Path, *, on_stderr: bool = False) -> None:
    """Say where the page is."""
    typer.echo(f"{page}: open it in a browser", err=on_stderr)


@contextmanager
def progress() -> Iterator[Progress]:
    """Show progress on stderr: description, bar, count, elapsed and remaining time; nothing stays after an error."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=Console(stderr=True)) as bar:
        try:
            yield bar
        except UserError:
            # this clears the bar on a terminal, and prints none to a file
            bar.live.transient = True
            bar.console.quiet = not bar.console.is_terminal
            raise


def interrupted(message: str) -> NoReturn:
    """End a command that Ctrl-C has interrupted: one line that says what is kept, and exit status 130."""
    if message:
        typer.echo(message, err=True)
    raise typer.Exit(130)
