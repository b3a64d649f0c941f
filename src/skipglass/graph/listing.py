"""The sums of a network in words: which are counted, which are not and why, and where each stands."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from skipglass.errors import InputError

__all__ = ["Sum", "lines", "note_of_skips", "require_blocks", "summary"]

SHOWN = 4  # our choice: modules that are named of one kind


@dataclass(frozen=True)
class Sum:
    """A node in which two signals or more are added, or may be, and what it is.

    Attributes
    ----------
    operation
        Its name, "Add" for instance.
    signals
        How many signals meet there.
    verdict
        "block"; "parallel", a sum that is none; or "doubtful", what may be one and is not counted.
    reason
        Why, in a few fixed words; of a block what its shortcut is.
    where
        The module in which it stands, as far as the nearest weights tell; "" without a model.
    by_form
        Where the same function written otherwise would have another verdict, in which ways it may be written.
    skips
        Whether it looks like a skip connection, though it is not counted.
    """

    operation: str
    signals: int
    verdict: str
    reason: str
    where: str
    by_form: str
    skips: bool

    def __str__(self) -> str:
        return f"{self.operation}{self.place} ({self.reason})"

    @property
    def place(self) -> str:
        """Where it stands, as it is said after its name."""
        return (
            f" {self.where}" if self.where.startswith(("after ", "before ")) else f" in {self.where}" * bool(self.where)
        )


def lines(sums: Sequence[Sum]) -> list[str]:
    """A line for each kind of sum that is not counted, and for labels that depend on how a function is written."""
    kinds: dict[tuple[str, str], list[Sum]] = {}
    for one in sums:
        if one.verdict != "block":
            kinds.setdefault((one.verdict, one.reason), []).append(one)
    written = [
        f"{verdict}, {reason}: {len(alike)}{_places(alike)}"
        for (verdict, reason), alike in sorted(kinds.items(), key=lambda item: item[0][0] != "doubtful")
    ]
    for form in dict.fromkeys(one.by_form for one in sums if one.by_form):
        alike = [one for one in sums if one.by_form == form]
        said = f"labels that depend on how a function is written, as {form}"
        written.append(f"{said}: {len(alike)}{_places(alike)}")
    return written


def summary(blocks: int, sums: Sequence[Sum]) -> str:
    """How many sums are what: "24 blocks, 3 parallel, 2 doubtful: Add in layer4 (it may …)"."""
    doubtful = [str(one) for one in sums if one.verdict == "doubtful"]
    parallel = sum(one.verdict == "parallel" for one in sums)
    told = f"{_counted(blocks, 'block')}, {parallel} parallel, {len(doubtful)} doubtful"
    return f"{told}: {_listed(doubtful)}" if doubtful else told


def note_of_skips(sums: Sequence[Sum]) -> str:
    """What looks like a skip connection and is not counted; nothing where there is none."""
    left = [one for one in sums if one.skips]
    if not left:
        return ""
    verb = "looks like a skip connection and is" if len(left) == 1 else "look like skip connections and are"
    return f"{_counted(len(left), 'sum')} {verb} not counted: {_listed(map(str, left))}"


def require_blocks(blocks: int, sums: Sequence[Sum]) -> None:
    """Refuse to take a network for one without blocks where doubtful sums were found.

    Raises
    ------
    InputError
        If there is no block but a doubtful sum.
    """
    doubtful = [str(one) for one in sums if one.verdict == "doubtful"]
    if doubtful and not blocks:
        raise InputError(
            f"no residual block was found, but {_counted(len(doubtful), 'sum')} that may be one: {_listed(doubtful)}; "
            "say what to count by blocks=[names of modules], say by sg.register what a custom function is, or measure "
            "with unit='weights'"
        )


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _listed(names: Iterable[str]) -> str:
    """Names, each once, and no more than a few."""
    once = list(dict.fromkeys(names))
    return ", ".join(once[:SHOWN]) + (", …" if len(once) > SHOWN else "")


def _places(sums: Iterable[Sum]) -> str:
    places = _listed(one.where for one in sums if one.where)
    return f" ({places})" if places else ""
