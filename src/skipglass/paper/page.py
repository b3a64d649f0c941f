"""The page: the table of claims, then what each chapter shows."""

from collections.abc import Sequence

from skipglass import __version__
from skipglass.paper.chapter import Pages
from skipglass.paper.claims import claims_table
from skipglass.paper.finding import Recordings
from skipglass.report import Panel, Report, Section, Table

__all__ = ["paper_report"]

LEAD = (
    "A residual network is an ensemble of paths of many lengths. Littwin and Wolf (2017) say how those lengths are "
    "distributed, why training shifts them deeper, and what that does to the critical points of the loss. This page "
    "computes and measures its figures and the theorems behind them, and says which claims hold."
)


def paper_report(recordings: Recordings, chapters: Sequence[Pages]) -> tuple[Report, dict[str, tuple[Panel, ...]]]:
    """Build the page and the combined figures.

    Parameters
    ----------
    recordings
        {name: recording}, what the claims are judged by.
    chapters
        What each chapter shows.

    Returns
    -------
    tuple
        The report, and {figure: the panels of its combined drawing}.
    """
    table = Table(
        "claims",
        "What holds",
        "One row a claim of the paper: what was measured, on how many seeds or draws, and the verdict.",
        ("claim", "verdict", "statement", "measured", "seeds"),
        claims_table(recordings),
    )
    sections = [Section("Claims", "", (table,)), *(section for found, _ in chapters for section in found)]
    combined = {name: panels for _, drawings in chapters for name, panels in drawings.items()}
    title = "The loss surface of residual networks, measured"
    return Report(title, LEAD, tuple(sections), footer=_footer(recordings)), combined


def _footer(recordings: Recordings) -> str:
    first = next(iter(recordings.values())).attrs
    return (
        f"skipglass {__version__}. Recorded by `{first['command']}` on {first['machine']}, {first['created']}, "
        f"commit {first['commit']}. Redraw with `skipglass report DIR`."
    )
