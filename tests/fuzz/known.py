"""What is mislabelled today, and why: left out of random networks until it is mended.

``python tests/fuzz/run.py --known`` runs each alone and prints which are right by now; those leave the table.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

__all__ = ["KNOWN", "Known", "is_known", "terms"]

Term = dict[str, Any]


class Known(NamedTuple):
    """A part with options, those of the whole network among them, that is mislabelled; "network" is any part."""

    reason: str
    part: str
    options: Mapping[str, Any]


KNOWN: list[Known] = [
    Known(
        "the frozen weight of an operation that is not understood is not seen",
        "residual",
        {"branch": "bilinear", "ends": "bare", "frozen": True},
    ),
    Known(
        "samples that are permuted and put back are said not to be independent, which is safe",
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
