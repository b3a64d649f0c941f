"""The page: the panels of each figure, what they show beside the paper, and the table of claims."""

from collections.abc import Sequence

import xarray as xr

from skipglass import __version__
from skipglass.paper import figure1, figure1f
from skipglass.paper.claims import claims_table
from skipglass.paper.glass_page import glass_sections
from skipglass.paper.network_page import NETWORK_FIGURES, network_sections
from skipglass.paper.sweep_map import map_section
from skipglass.paper.theorems import convergence_panels
from skipglass.report import Panel, Report, Section, Table

__all__ = ["paper_report"]

LEAD = (
    "A residual network is an ensemble of paths of many lengths. Littwin and Wolf (2017) say how those lengths are "
    "distributed, why training shifts them deeper, and what that does to the critical points of the loss. This page "
    "computes and measures its figures and the theorems behind them, and says which claims hold."
)
DISTRIBUTION = (
    "ε_r weighs the products of r weights in the network's output. Its peak lies at the fraction β/(1+β) of the "
    "depth, and the weights concentrate around it."
)
MULTIPLIERS = (
    "The paper trains ten layers of 20 units on ten Gaussians and shows λ_l growing. It leaves the class "
    "separation, the learning rate, the place of the normalisation and the initialisation open, and whether λ_l "
    "grows depends on them. Shown are, out of a survey of all combinations (other seeds), the setting that comes "
    "nearest to the paper's panel (its smallest rise of |λ_l| over the four quarters of training is the largest) and "
    "the one that contradicts it most (|λ_l| ends lowest); the same for real images, the 8 × 8 digits."
)
NORMS = (
    "Without batch norm the paper shows a steady rise of ‖w‖. The settings are chosen in the same way: the "
    "nearest is the one whose smallest rise over the four quarters of training is largest."
)
LANDSCAPE = (
    "The spin glass of the ensemble has exponentially many critical points; the rate depends on ν″/ν′ alone. The "
    "paper drops the interactions of order 1, which are a field. Kept, the field makes the landscape trivial below "
    "a threshold β_c ≈ 1/p."
)


def paper_report(
    recordings: dict[str, xr.Dataset], figures: Sequence[str]
) -> tuple[Report, dict[str, tuple[Panel, ...]]]:
    """Build the page and the combined figures from the recordings.

    Parameters
    ----------
    recordings
        {name: recording}: "theorems" and the runs of `figure1.RUNS`, those of ResNets and of glasses.
    figures
        Which figures the page shows.

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
    claims = any(figure != "glass" for figure in figures)  # none rests on the glasses alone
    sections, combined = [Section("Claims", "", (table,))] if claims else [], {}
    if "figure1" in figures:
        more, combined["figure1"] = _figure1(recordings)
        sections += more
    if "map" in figures:
        section, combined["map"] = map_section(recordings["sweep"])
        sections.append(section)
    if any(figure in figures for figure in NETWORK_FIGURES):
        more, drawings = network_sections(recordings, figures)
        sections += more
        combined |= drawings
    if "glass" in figures:
        sections += glass_sections(recordings)
    title = "The loss surface of residual networks, measured"
    return Report(title, LEAD, tuple(sections), footer=_footer(recordings)), combined


def _figure1(recordings: dict[str, xr.Dataset]) -> tuple[list[Section], tuple[Panel, ...]]:
    histograms = figure1.histograms()
    training = {run: figure1.multiplier_panel(run, recordings[run]) for run in figure1.runs_of("d")}
    epochs = figure1.epoch_panel({run: recordings[run] for run in figure1.runs_of("d")})
    norms = [
        figure1.norm_panel(task, {run: recordings[run] for run in figure1.runs_of("e", task)})
        for task in ("gaussians", "digits")
    ]
    convergence = convergence_panels(recordings["theorems"])
    complexity = figure1f.complexity_panel()
    critical = (complexity, figure1f.field_panel(), figure1f.finite_panel())
    sections = [
        Section("Path lengths: Fig. 1(a-c)", DISTRIBUTION, (*histograms, figure1f.beta_panel(), *convergence)),
        Section("Multipliers while training: Fig. 1(d)", MULTIPLIERS, (*training.values(), epochs)),
        Section("Weight norm while training: Fig. 1(e)", NORMS, tuple(norms)),
        Section("Critical points: Fig. 1(f)", LANDSCAPE, critical),
    ]
    return sections, (*histograms, training[figure1.runs_of("d")[0]], norms[0], complexity)


def _footer(recordings: dict[str, xr.Dataset]) -> str:
    first = next(iter(recordings.values())).attrs
    return (
        f"skipglass {__version__}. Recorded by `{first['command']}` on {first['machine']}, {first['created']}, "
        f"commit {first['commit']}. Redraw with `skipglass report DIR`."
    )
