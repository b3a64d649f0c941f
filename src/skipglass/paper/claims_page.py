"""The table of claims as text, made from the recordings of the long runs.

    python -m skipglass.paper.claims_page results docs/claims.md README.md

writes docs/claims.md anew and, in README.md, what stands between the two comments that say so.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import xarray as xr

from skipglass.errors import StorageError, UserError
from skipglass.paper.claim import TABLES, Claim, Finding, Recordings, capital
from skipglass.paper.claims import findings, verdict_kind
from skipglass.paper.coverage import coverage_table
from skipglass.paper.reproduce import CHAPTERS
from skipglass.paper.resnet_runs import RUNS, run_name
from skipglass.paper.slips import DAMAGED, UNDECIDED

__all__ = ["claims_markdown", "load_results", "summary", "with_summary"]

BEGIN, END = "<!-- claims: made by skipglass.paper.claims_page -->", "<!-- end of claims -->"
PAGE = "docs/claims.md"
"""The page, from where the README lies."""
HEADLINES = (
    "Eqs. 14, 15",
    "Eq. 15 on Eq. 8",
    "Theorem 1",
    "Theorem 3",
    "Theorem 4",
    "Sec. 4.1",
    "Theorem 3, condition",
    "Theorem 3, step",
    "Claim 3",
    "Claim 2",
    "Fig. 2",
    "Fig. 3, drop",
    "Fig. 3, cause",
    "λ and norms held",
    "Theorem 5",
    "Fig. 1(f)",
)
"""The claims that the README shows."""
HEAD = """# The claims of the paper

Every equation, lemma, theorem and figure of Littwin & Wolf (2017): the paper's sentence, what was measured, and the
verdict. This page is made by `python -m skipglass.paper.claims_page results docs/claims.md README.md` from the
recordings in `results/`; each verdict is a function of those files alone (`src/skipglass/paper/`), and the tests
recompute it.

- *identity*: true by algebra or by construction, and computed without an exception.
- *supported*: more settings speak for the claim than against it; their number is given.
- *not supported*: at least as many speak against it, or there is an exact counterexample.
- *undetermined*: no significant effect, or too few seeds, or a recording that cannot decide.

Where chance is involved, a setting counts if its mean over seeds differs from the bound by Student's t at 5 %, with
n - 1 degrees of freedom and corrected for the number of settings of the row (Holm). An agreement has to be shown: the
whole confidence interval has to lie within the margin. Signs are compared with their base rate. Effects that are
significant and small are called small.
"No decay on λ" is a training in which weight decay acts on all parameters but λ. *Nearest* and *contrary* are those of
the settings that the paper leaves open which come nearest to its Fig. 1(d, e) and contradict it most.
Commands that train on CIFAR look for it in `$SKIPGLASS_DATA`.
"""
SCRIPTS = ("agreement.py", "drift_runs.py", "glass.py", "resnet_runs.py")
"""Commands of which a recording kept the file's name alone, as the first ones did."""
PROTOTYPE = "a prototype of the trainer with the same recipe, [results/README.md](../results/README.md)"
COVERED = (
    "Every equation, definition, lemma, theorem and figure, assumption and claim that the paper numbers; code under "
    "`skipglass`, tests under `tests/`."
)


def load_results(folder: Path) -> dict[str, xr.Dataset]:
    """Return the recordings of every chapter that lie in a folder of long runs, merged.

    Parameters
    ----------
    folder
        With one folder for each set of long runs, and recordings that stand alone.

    Returns
    -------
    dict
        {name: recording}.

    Raises
    ------
    StorageError
        If there is none, or a file is damaged.
    """
    found = {
        name: recording
        for each in (folder, *sorted(folder.glob("*/recordings")))
        for chapter in CHAPTERS
        if chapter.is_recorded(each)
        for name, recording in chapter.load(each).items()
    }
    if not found:
        raise StorageError(f"{folder} holds no folders with recordings")
    return found


def claims_markdown(recordings: Recordings) -> str:
    """Return the page: three tables, then one part per claim, and what of the paper is treated where."""
    found = findings(recordings)
    parts = [HEAD]
    for table, title in TABLES.items():
        parts.append(f"## {title}\n\n{_table([row for row in found if row[0].table == table], '')}")
    parts.append(f"## {DAMAGED}\n\n{_rows(('where', 'what is in question', 'why'), UNDECIDED)}")
    for claim, finding in found:
        commands = " · ".join(_commands(claim, recordings)) or "none yet"
        what, *others = finding.parts
        told = "\n".join([f"{what}.", *[""] * bool(others), *(f"- {other}." for other in others)])
        parts.append(
            f"### {claim.name}\n\n{claim.statement}\n\n> {claim.source}\n\n**{capital(finding.verdict)}.** {told}\n\n"
            f"Seeds or draws: {finding.seeds}. Recorded by {commands}.\n"
        )
    parts.append(f"## What is treated where\n\n{COVERED}\n\n{coverage_table()}")
    return "\n".join(parts)


def summary(recordings: Recordings) -> str:
    """Return what the README shows: how many claims of the paper have which verdict, and the rows of HEADLINES."""
    found = findings(recordings)
    verdicts = [verdict_kind(finding.verdict) for claim, finding in found if claim.table == "paper"]
    said = ", ".join(f"*{kind}* {count}" for kind, count in Counter(verdicts).most_common())
    rows = _table([(claim, finding) for claim, finding in found if claim.name in HEADLINES], PAGE)
    return f"Of {len(verdicts)} claims of the paper: {said}.\nThe main ones, and some questions of our own:\n\n{rows}"


def with_summary(text: str, recordings: Recordings) -> str:
    """Return a page with what stands between the comments replaced.

    Parameters
    ----------
    text
        Markdown with both comments.
    recordings
        {name: recording}.

    Returns
    -------
    str
        The page.

    Raises
    ------
    StorageError
        If a comment is missing.
    """
    if BEGIN not in text or END not in text:
        raise StorageError(f"the page has no comments {BEGIN} and {END} for the table to stand between")
    before, rest = text.split(BEGIN, 1)
    return f"{before}{BEGIN}\n{summary(recordings)}{END}{rest.split(END, 1)[1]}"


def _table(found: Sequence[tuple[Claim, Finding]], page: str) -> str:
    """Each name links to its part of ``page``."""
    rows = [(f"[{c.name}]({page}#{_anchor(c.name)})", c.statement, f.verdict) for c, f in found]
    return _rows(("claim", "statement", "verdict"), rows)


def _rows(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [" | ".join(cell.replace("|", "\\|") for cell in row) for row in (heads, *rows)]
    first, *others = [f"| {line} |\n" for line in lines]
    return f"{first}{'|---' * len(heads)}|\n{''.join(others)}"


def _anchor(heading: str) -> str:
    """What a heading is linked by where Markdown is shown: letters, digits and hyphens are kept, spaces become one."""
    return "".join(c for c in heading.lower() if c.isalnum() or c in " -_").replace(" ", "-")


def _commands(claim: Claim, recordings: Recordings) -> list[str]:
    """What gives the recordings of a claim; of ResNets, the sets of runs that they belong to."""
    mine = {n: str(d.attrs.get("command", "")) for n, d in recordings.items() if n.startswith(claim.needs)}
    mine |= {n: str(recordings[n].attrs.get("command", "")) for n in claim.also if n in recordings}
    sets: dict[str, list[str]] = {}
    for name, runs in RUNS.items():
        if of_set := [stem for stem in map(run_name, runs) if stem in mine]:
            sets[name] = [mine.pop(stem) for stem in of_set]
    told = [_runnable(command) for command in mine.values() if command]
    if sets:
        told.append(f"`python -m skipglass.paper.resnet_runs results/resnets {' '.join(sets)}`")
    by_others = [name for name, commands in sets.items() if any(_runnable(c) == PROTOTYPE for c in commands)]
    if by_others:
        told[-1] += f" (the committed {', '.join(by_others)} by {PROTOTYPE})"
    return list(dict.fromkeys(told))


def _runnable(command: str) -> str:
    program, space, arguments = command.replace("results/glass_", "results/glass/recordings/glass_").partition(" ")
    if program in SCRIPTS:
        return f"`python -m skipglass.paper.{program.removesuffix('.py')}{space}{arguments}`"
    return f"`{command}`" if program in ("skipglass", "python") else PROTOTYPE


def main(arguments: Sequence[str] | None = None) -> None:
    """Write both pages."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    for name in ("results", "page", "readme"):
        parser.add_argument(name, type=Path)
    given = parser.parse_args(arguments)
    folder, page, readme = given.results, given.page, given.readme
    try:
        recordings = load_results(folder)
        page.write_text(claims_markdown(recordings))
        readme.write_text(with_summary(readme.read_text(), recordings))
    except UserError as error:
        sys.exit(f"skipglass: {error}")


if __name__ == "__main__":
    main()
