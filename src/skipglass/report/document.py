"""A report: a lead, then sections of panels and tables."""

from collections.abc import Sequence
from dataclasses import dataclass

from skipglass.errors import InputError
from skipglass.report.panel import Panel, check_heading

__all__ = ["Answer", "Report", "Section", "Table", "verdict_look"]

# how a verdict begins → its class on the page and its sign
VERDICTS = {
    "identity": ("identity", "="),
    "supported": ("supported", "✓"),
    "not supported": ("unsupported", "✗"),
    "undetermined": ("undetermined", "○"),
}


@dataclass(frozen=True)
class Table:
    """Rows of text and numbers; a column named "verdict" is coloured and signed, and rows can be filtered by it.

    Parameters
    ----------
    name, title, how_to_read
        As for a panel.
    columns
        The heads.
    rows
        One cell per column; numbers print with four digits.
    details
        Paragraphs under each row that the reader unfolds, in its last cell.
    links
        Of each row, the name of the panel that its first cell leads to, or nothing.
    folded
        Whether the reader has to unfold the whole table.

    Raises
    ------
    InputError
        If a row has not as many cells as there are columns, a verdict is not one of `VERDICTS`, or there are not as
        many details or links as rows.
    """

    name: str
    title: str
    how_to_read: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str | float]]
    details: Sequence[Sequence[str]] = ()
    links: Sequence[str] = ()
    folded: bool = False

    def __post_init__(self) -> None:
        check_heading("table", self.name, self.title, self.how_to_read)
        vars(self).update(columns=tuple(self.columns), rows=tuple(tuple(row) for row in self.rows))
        for number, row in enumerate(self.rows):
            if len(row) != len(self.columns):
                raise InputError(
                    f"table {self.name!r}: row {number} has {len(row)} cells for {len(self.columns)} columns"
                )
            for column, cell in zip(self.columns, row, strict=True):
                if column == "verdict" and not verdict_look(str(cell)):
                    raise InputError(f"table {self.name!r}: a verdict begins with {', '.join(VERDICTS)}; not {cell!r}")
        for name in ("details", "links"):
            if len(getattr(self, name)) not in (0, len(self.rows)):
                raise InputError(f"table {self.name!r}: {len(getattr(self, name))} {name} for {len(self.rows)} rows")

    @property
    def kinds(self) -> dict[str, int]:
        """How many rows have each verdict."""
        if "verdict" not in self.columns:
            return {}
        verdicts = [str(row[self.columns.index("verdict")]) for row in self.rows]
        counts = {word: sum(verdict.lower().startswith(word) for verdict in verdicts) for word in VERDICTS}
        return {word: count for word, count in counts.items() if count}


@dataclass(frozen=True, eq=False)
class Section:
    """A heading, some paragraphs (a blank line parts them), and what they speak of."""

    title: str
    text: str = ""
    items: tuple[Panel | Table, ...] = ()


@dataclass(frozen=True, eq=False)
class Answer:
    """A question that the page begins with, answered by one sentence and one figure.

    Parameters
    ----------
    question, sentence
        In words.
    panel
        The figure.
    verdict
        As in a table, of the claim that the answer rests on.
    evidence
        That claim, and what was measured.
    """

    question: str
    sentence: str
    panel: Panel
    verdict: str
    evidence: str = ""


@dataclass(frozen=True, eq=False)
class Report:
    """What one page shows.

    Parameters
    ----------
    title, lead
        The head of the page and the paragraphs under it; those after the first stand below the answers.
    answers
        What the first screen shows.
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
    answers: tuple[Answer, ...] = ()

    @property
    def panels(self) -> list[Panel]:
        """Every panel on the page, in order."""
        items = [item for section in self.sections for item in section.items]
        return [*(answer.panel for answer in self.answers), *(item for item in items if isinstance(item, Panel))]

    def __post_init__(self) -> None:
        names = [item.name for section in self.sections for item in section.items]
        names += [answer.panel.name for answer in self.answers]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise InputError(f"names of panels and tables must differ within a report; twice: {', '.join(twice)}")


def verdict_look(verdict: str) -> tuple[str, str] | None:
    """Return the class and the sign of a verdict, None if it is none."""
    return next((look for beginning, look in VERDICTS.items() if verdict.lower().startswith(beginning)), None)
