"""What the commands share in what they print."""

import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from skipglass.errors import UserError

__all__ = ["made_by", "print_json", "print_table", "progress"]


def made_by() -> str:
    """The foot of a page: version, command, machine and date."""
    from skipglass import __version__
    from skipglass.record import provenance

    about = provenance()
    return f"skipglass {__version__}. Made by `{about['command']}` on {about['machine']}, {about['created']}."


def print_json(value: Mapping[str, object]) -> None:
    """Print ``value`` as one JSON object; infinities and NaN become null, as JSON has none."""
    sys.stdout.write(json.dumps(_plain(value), indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table on stdout, floats to six digits."""
    table = Table(title=title, title_justify="left")
    for index, column in enumerate(columns):
        table.add_column(column, justify="left" if index == 0 else "right")
    for row in rows:
        table.add_row(*(f"{cell:.6g}" if isinstance(cell, float) else str(cell) for cell in row))
    Console().print(table)


@contextmanager
def progress() -> Iterator[Progress]:
    """Show progress on stderr: description, bar, count, elapsed and remaining time; nothing stays after an error."""
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    ) as bar:
        try:
            yield bar
        except UserError:
            bar.live.transient = True  # clears the bar on a terminal,
            bar.console.quiet = not bar.console.is_terminal  # and prints none to a file
            raise


def _plain(value: object) -> object:
    """Lists, dicts and Python numbers in place of NumPy's."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float) and value - value != 0:
        return None
    return value
