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
from skipglass.paper.claims import CLAIMS
from skipglass.paper.coverage import coverage_table
from skipglass.paper.finding import Claim, Finding, Recordings
from skipglass.paper.reproduce import CHAPTERS

__all__ = ["claims_markdown", "load_results", "summary", "with_summary"]

BEGIN, END = "<!-- claims: made by skipglass.paper.claims_page -->", "<!-- end of claims -->"
PAGE = "docs/claims.md"
"""The page, from where the README lies."""
HEADLINES = (
    "Eq. 9",
    "Lemma 2, lower",
    "Eqs. 14-15",
    "Eq. 15 on Eq. 8",
    "Theorem 1",
    "Theorem 2",
    "Lemma 4",
    "Theorem 3",
    "Theorem 3, step",
    "Theorem 4",
    "Sec. 4.1",
    "Sec. 4, map of λ",
    "Claim 2, map",
    "Claim 2, λ",
    "App. C, Fig. 2",
    "Fig. 2, later",
    "Fig. 3, drop",
    "Fig. 3, decay",
    "Claim 2",
    "Claim 2, later",
    "Theorem 5",
    "Fig. 1(f)",
    "Sec. 5, field",
)
"""The claims that the README shows."""
HEAD = """# The claims of the paper

Every equation, lemma, theorem and figure of Littwin & Wolf (2017), what was measured, and the verdict. This page is
made by `python -m skipglass.paper.claims_page results docs/claims.md README.md` from the recordings in `results/`; each
verdict is a function of those files alone (`src/skipglass/paper/`), and the tests recompute it. *holds*: in every
setting that was tried, by more than two standard errors where seeds differ; *holds when*: in some, which are named;
*fails*: in none, or an exact counterexample; *not testable*: the numbers cannot tell, and why. Means
and standard deviations (s.d.) are over seeds; a setting with one seed has no spread: it is shown and not counted, and
named in the verdict where it goes the other way.
ResNet-20 × 0.5 is a ResNet of 20 layers at half the usual width; "λ spared" is the same without weight decay on λ.
*Nearest* and *contrary* are those of 125 settings, which the paper leaves open, that come nearest to its Fig. 1(d, e)
and contradict it most.
Commands that train on CIFAR look for it in `$SKIPGLASS_DATA`.
"""
SCRIPTS = {
    "agreement.py": "skipglass.paper.agreement",
    "drift_runs.py": "skipglass.paper.drift_runs",
    "glass.py": "skipglass.paper.glass",
    "resnet_runs.py": "skipglass.paper.resnet_runs",
}
"""The modules of commands of which a recording kept the file's name alone, as the first ones did."""
COVERED = (
    "Every equation, definition, lemma, theorem and figure, assumption and claim that the paper numbers; code under "
    "`skipglass`, tests under `tests/`."
)


def load_results(folder: Path) -> dict[str, xr.Dataset]:
    """Return the recordings of every chapter that lie in the folders of ``folder``, merged.

    Parameters
    ----------
    folder
        With one folder for each set of long runs.

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
        for each in sorted(folder.glob("*/recordings"))
        for chapter in CHAPTERS
        if chapter.is_recorded(each)
        for name, recording in chapter.load(each).items()
    }
    if not found:
        raise StorageError(f"{folder} holds no folders with recordings")
    return found


def claims_markdown(recordings: Recordings) -> str:
    """Return the page: one part a claim, with its verdict, what was measured, seeds and commands."""
    findings = [(claim, claim.finding(recordings)) for claim in CLAIMS]
    parts = [HEAD, _table(findings, "")]
    for claim, finding in findings:
        commands = " · ".join(f"`{command}`" for command in _commands(claim, recordings)) or "none yet"
        parts.append(
            f"## {claim.name}\n\n{claim.statement}\n\n**{finding.verdict}.** {_sentence(finding.measured)}\n\n"
            f"Seeds or draws: {finding.seeds}. Recorded by {commands}.\n"
        )
    parts.append(f"## What is treated where\n\n{COVERED}\n\n{coverage_table()}")
    return "\n".join(parts)


def summary(recordings: Recordings) -> str:
    """Return what the README shows: how many claims hold, and the rows of HEADLINES."""
    findings = [(claim, claim.finding(recordings)) for claim in CLAIMS]
    kinds = ("holds", "holds when", "fails", "not testable")
    counts = Counter(max((k for k in kinds if f.verdict.startswith(k)), key=len) for _, f in findings)
    said = ", ".join(f"*{kind}* {counts[kind]}" for kind in kinds)
    rows = [(claim, finding) for claim, finding in findings if claim.name in HEADLINES]
    return f"Of {len(findings)} claims: {said}. The main ones:\n\n{_table(rows, PAGE)}"


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


def _table(findings: Sequence[tuple[Claim, Finding]], page: str) -> str:
    """Each name links to its part of ``page``."""
    rows = [
        f"| [{_cell(c.name)}]({page}#{_anchor(c.name)}) | {_cell(c.statement)} | {_cell(f.verdict)} |\n"
        for c, f in findings
    ]
    return "| claim | statement | verdict |\n|---|---|---|\n" + "".join(rows)


def _anchor(heading: str) -> str:
    """What a heading is linked by where Markdown is shown: letters, digits and hyphens are kept, spaces become one."""
    return "".join(c for c in heading.lower() if c.isalnum() or c in " -_").replace(" ", "-")


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _sentence(text: str) -> str:
    """With a capital, unless it begins with a symbol, and a full stop."""
    return f"{text[0].upper() if text[:2].isascii() and text[:2].isalpha() else text[0]}{text[1:]}."


def _commands(claim: Claim, recordings: Recordings) -> list[str]:
    found = [data.attrs.get("command", "") for name, data in recordings.items() if name.startswith(claim.needs)]
    return [_runnable(command) for command in dict.fromkeys(found) if command]


def _runnable(command: str) -> str:
    program, space, arguments = command.replace("results/glass_", "results/glass/recordings/glass_").partition(" ")
    return f"python -m {SCRIPTS[program]}{space}{arguments}" if program in SCRIPTS else command


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
