"""The page: three answers first, then what each chapter shows, then the claims."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from skipglass import __version__
from skipglass.paper.claim import TABLES, Claim, Finding, Recordings, capital, sentence
from skipglass.paper.claims import findings
from skipglass.paper.experiment import Pages
from skipglass.paper.figure1 import RUNS
from skipglass.paper.map import FULL, lacks_full_map
from skipglass.paper.resnet_group import groups, is_paper_setting
from skipglass.paper.slips import DAMAGED, UNDECIDED
from skipglass.paper.survey import EPOCHS
from skipglass.report import Answer, Panel, Report, Section, Table

__all__ = ["QUESTIONS", "paper_report"]

LEAD = (
    "A residual network is an ensemble of paths of many lengths. Littwin and Wolf (2017) say how those lengths are "
    "distributed, why training shifts them deeper, and what that does to the critical points of the loss. Here their "
    "figures are made anew, the length of the paths is measured, and each of their claims is tested."
)
QUESTIONS = {
    "Does the ensemble deepen?": {
        "Claim 2": (
            "Yes, from the end of the first epoch on, in the networks in which an effect can be told from chance.",
            "No: at least as many networks become shallower as become deeper.",
        ),
    },
    "What drives it?": {
        "λ and norms held": (
            "The scales λ and the norms of the weights: with both held, the ensemble does not deepen.",
            "Not the growing scales: with λ and the norms of the convolutions held, the ensemble deepens all the same.",
        ),
        "Map, depth by λ": (
            "Depth and scales go together: where λ grows more, the depth grows more.",
            "Not the scales: where λ grows more, the depth does not.",
        ),
        "Theorem 3": (
            "In theory, a force that raises |λ_l| where the gradient through its block outweighs the one around it.",
            "Not the force of Theorem 3, which an example contradicts.",
        ),
    },
    "What does it do to the landscape?": {
        "Fig. 1(f)": (
            "In theory, a deeper ensemble has exponentially more critical points of every finite index.",
            "A deeper ensemble does not have more critical points of every finite index.",
        ),
    },
}
"""Question → {claim that may answer it: what its being true and its being false say}.

The first claim answers whose figure is on the page and whose verdict is determined.
"""
READING = (
    "Unfold a row to read the paper's sentence, what was measured and on how many seeds; its name leads to its figure. "
    "Identity: true by algebra or construction. Supported and not supported: in how many settings, by Student's t with "
    "Holm's correction where chance is involved. Undetermined: no significant effect, or too few seeds."
)
INTRODUCTION = (
    "Each verdict is computed from the recordings. The paper's claims come first; then questions of our own, and slips "
    "of the paper beside its results."
)
LOST = "Where our text of the paper has lost a letter or a bracket, nobody can tell whether the paper has a slip."
Found = list[tuple[Claim, Finding]]


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
    sections = [section for found, _ in chapters for section in found]
    panels = {item.name: item for section in sections for item in section.items if isinstance(item, Panel)}
    shown = {item.name for section in sections for item in section.items}
    found = findings(recordings)
    combined = {name: panels for _, drawings in chapters for name, panels in drawings.items()}
    return Report(
        "The loss surface of residual networks, measured",
        "\n\n".join([LEAD, *_reduced(recordings)]),
        (*sections, Section("The claims", INTRODUCTION, tuple(_tables(found, shown)))),
        footer=_footer(recordings),
        answers=tuple(_answers(found, panels, recordings)),
    ), combined


def _answers(found: Found, panels: dict[str, Panel], recordings: Recordings) -> Iterable[Answer]:
    """One figure and one sentence for each question that what was recorded can answer."""
    named = {claim.name: (claim, finding) for claim, finding in found}
    for number, (question, names) in enumerate(QUESTIONS.items()):
        for name, (true, false) in names.items():
            claim, finding = named[name]
            if claim.figure in panels and not finding.verdict.startswith("undetermined"):
                panel = replace(panels[claim.figure], name=f"answer-{number + 1}")
                judged = claim.judged(recordings)
                # of many settings the first, which is the paper's own
                first = judged if claim.rule.exact else replace(judged, settings=judged.settings[:1])
                evidence = f"{claim.name}: {claim.statement} {capital(sentence(claim.what, first, claim.rule))}."
                said = false if finding.verdict.startswith("not supported") else true
                yield Answer(question, said, panel, finding.verdict, evidence)
                break


def _tables(found: Found, shown: set[str]) -> Iterable[Table]:
    """The claims of the paper, our own questions, its slips, and what its text does not decide."""
    for number, (name, title) in enumerate(TABLES.items()):
        mine = [(claim, finding) for claim, finding in found if claim.table == name]
        yield Table(
            "claims" if name == "paper" else f"claims-{name}", title, READING, ("claim", "verdict", "statement"),
            [(claim.name, finding.verdict, claim.statement) for claim, finding in mine],
            details=[(c.source, *(f"{part}." for part in f.parts), f"Seeds or draws: {f.seeds}.") for c, f in mine],
            links=[claim.figure if claim.figure in shown else "" for claim, _ in mine],
            folded=number > 0,
        )  # fmt: skip
    yield Table("undecided", DAMAGED, LOST, ("where", "what is in question", "why"), UNDECIDED, folded=True)


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
