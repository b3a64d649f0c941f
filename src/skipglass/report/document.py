"""A report: a lead, then sections of panels and tables."""

from collections.abc import Sequence
from dataclasses import dataclass

from skipglass.errors import InputError
from skipglass.report.panel import Panel, check_heading

__all__ = ["Report", "Section", "Table", "verdict_class"]

# how a verdict begins → its class on the page and its sign; the longer beginning first
VERDICTS = {
    "holds when": ("when", "◐"),
    "holds": ("holds", "✓"),
    "fails": ("fails", "✗"),
    "not testable": ("untestable", "○"),
    "identity": ("holds", "="),
    "supported": ("holds", "✓"),
    "not supported": ("fails", "✗"),
    "undetermined": ("untestable", "○"),
}


@dataclass(frozen=True)
class Table:
    """Rows of text and numbers; a column named "verdict" is coloured and signed.

    Parameters
    ----------
    name, title, how_to_read
        As for a panel.
    columns
        The heads.
    rows
        One cell a column; numbers print with four digits.

    Raises
    ------
    InputError
        If a row has not as many cells as there are columns, or a verdict is not one of `VERDICTS`.
    """

    name: str
    title: str
    how_to_read: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str | float]]

    def __post_init__(self) -> None:
        check_heading("table", self.name, self.title, self.how_to_read)
        vars(self).update(columns=tuple(self.columns), rows=tuple(tuple(row) for row in self.rows))
        for number, row in enumerate(self.rows):
            if len(row) != len(self.columns):
                raise InputError(
                    f"table {self.name!r}: row {number} has {len(row)} cells for {len(self.columns)} columns"
                )
            for column, cell in zip(self.columns, row, strict=True):
                if column == "verdict" and not verdict_class(str(cell)):
                    raise InputError(f"table {self.name!r}: a verdict begins with {', '.join(VERDICTS)}; not {cell!r}")


@dataclass(frozen=True, eq=False)
class Section:
    """A heading, some paragraphs (a blank line parts them), and what they speak of."""

    title: str
    text: str = ""
    items: tuple[Panel | Table, ...] = ()


@dataclass(frozen=True, eq=False)
class Report:
    """What one page shows.

    Parameters
    ----------
    title, lead
        The head of the page and the paragraph under it.
    sections
        Its parts, in order.
    footer
        Where it comes from: version, command, date.

    Raises
    ------
    InputError
        If two panels or tables have one name.
    """

    title: str
    lead: str = ""
    sections: tuple[Section, ...] = ()
    footer: str = ""

    def __post_init__(self) -> None:
        names = [item.name for section in self.sections for item in section.items]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise InputError(f"names of panels and tables must differ within a report; twice: {', '.join(twice)}")


def verdict_class(verdict: str) -> tuple[str, str] | None:
    """Return the class and the sign of a verdict, None if it is none."""
    return next((look for beginning, look in VERDICTS.items() if verdict.lower().startswith(beginning)), None)
