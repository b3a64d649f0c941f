"""The page: the table of claims, then what each chapter shows."""

from collections.abc import Sequence

from skipglass import __version__
from skipglass.paper.chapter import Pages
from skipglass.paper.claims import claims_table
from skipglass.paper.figure1 import RUNS
from skipglass.paper.finding import Recordings
from skipglass.paper.map import FULL, lacks_full_map
from skipglass.paper.resnet_group import groups, is_paper_setting
from skipglass.paper.survey import EPOCHS
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
    lead = "\n\n".join([LEAD, *_reduced(recordings)])
    return Report(title, lead, tuple(sections), footer=_footer(recordings)), combined


def _reduced(recordings: Recordings) -> list[str]:
    """What was trained at a smaller size than the paper's figures or the settings chosen for them."""
    said = []
    shorter = {r.attrs["epochs"] for name, r in recordings.items() if name in RUNS and r.attrs["epochs"] < EPOCHS}
    if shorter:
        said.append(f"REDUCED: Figure 1 (d, e) is trained for {max(shorter)} epochs, not {EPOCHS}.")
    found = groups(recordings)
    if found and not any(map(is_paper_setting, found)):
        small = dict.fromkeys(group.title for group in found)
        said.append(
            "REDUCED: the paper's Figures 2 and 3 show a ResNet-32 of width 1 after 164 epochs on the 50,000 images of "
            f"CIFAR-10 and CIFAR-100; smaller are {'; '.join(small)}."
        )
    if lacks_full_map(recordings):
        said.append(
            f"REDUCED: the map is the small grid alone. The recording of the full one, {FULL} settings, was not found: "
            "`skipglass reproduce map --recorded` takes the folder that holds it, results/ in a checkout."
        )
    return said


def _footer(recordings: Recordings) -> str:
    first = next(iter(recordings.values())).attrs
    return (
        f"skipglass {__version__}. Recorded by `{first['command']}` on {first['machine']}, {first['created']}, "
        f"commit {first['commit']}. Redraw with `skipglass report DIR`."
    )
