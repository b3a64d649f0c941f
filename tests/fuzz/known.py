"""What is mislabelled today, and why: left out of random networks until it is mended.

``python tests/fuzz/run.py --known`` runs each alone and prints which are right by now; those leave the table.
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

__all__ = ["KNOWN", "Known", "is_known", "terms"]

Term = dict[str, Any]


class Known(NamedTuple):
    """A part with options, those of the whole network among them, that is mislabelled.

    ``shown`` are the parts of the network that shows it, if not this one alone; "network" is any part at all.
    """

    reason: str
    part: str
    options: Mapping[str, Any] = MappingProxyType({})
    shown: tuple[Term, ...] = ()


def each(reason: str, part: str, option: str, *values: Any, **others: Any) -> list[Known]:
    """One entry for each value of an option."""
    return [Known(reason, part, {option: value, **others}) for value in values]


KNOWN: list[Known] = [
    Known(
        "the frozen weight of an operation that is not understood is not seen (found here)",
        "residual",
        {"branch": "bilinear", "ends": "bare", "frozen": True},
    ),
    Known(
        "an index over the batch that is undone later mixes samples (issue 16, 5)",
        "shuffled",
        {"by": "index", "loss": "bare"},
    ),
]


def terms(parts: list[Term]) -> Iterator[Term]:
    """Every part of a program, those inside others as well."""
    for term in parts:
        yield term
        yield from terms(term.get("inside", []))


def is_known(program: Term) -> str:
    """The reason why a network is mislabelled today, or nothing."""
    for term in [{"part": "network"}, *terms(program["parts"])]:
        for known in KNOWN:
            if term["part"] == known.part and known.options.items() <= {**program, **term}.items():
                return known.reason
    return ""
