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


ODD = "a sum that is not one operation of the table is neither counted nor doubted (issue 16, 2)"
UNPLAIN = "a shortcut that is not quite plain is neither counted nor doubted (issue 16, 1e; more found here)"
STARTED = "a recurrence that starts from a signal looks like a projected shortcut (issue 16, D)"
PICKED = "a recurrence over a signal that is itself a slice has blocks (found here)"
PIECE = "where x is a piece, shortcuts that start behind a weight are not found (found here)"
AFFINE = "an affine and a nonlinear function of one signal are a projected shortcut (issue 16, D; found here)"
CANCELLED = "moments compares what cancels with its own size, and refuses (found here)"
COUPLED = "summands that see different pieces of the join, or different streams, are no block (issue 16, 2)"
SPELLED = "pieces are compared by spelling (issue 16, C)"
CHUNKS = "a stream's meeting ignores pieces (issue 16, B)"
BUFFER = "a write in place into a whole view, or a fresh buffer, is doubted (issue 16, H; found here)"
HOOKS = "PyTorch's own BackwardHookFunction is taken for a custom function (issue 16, 1a)"

KNOWN: list[Known] = [
    *each(ODD, "residual", "way", "cat, chunk", "cat @ [1; 1]", "complex", "index_reduce", "scatter_reduce"),
    *each(ODD, "residual", "way", "pairs, avg_pool"),
    *each(UNPLAIN, "residual", "shortcut", "in place, masked", "normed by hand", "relu", "clamped", "no nan", "sorted"),
    *each(UNPLAIN, "residual", "shortcut", "largest", "softmax", "gated", "max pooled", "fake quantised"),
    *each(UNPLAIN, "transition", "pool", "max", "max, projected"),
    Known(UNPLAIN, "nonlinearshortcut"),
    Known(UNPLAIN, "classattention"),
    Known(UNPLAIN, "queryresidual"),
    *(known for cell in ("elman", "lstm", "gru") for known in each(STARTED, cell, "start", "signal")),
    *(known for cell in ("elman", "lstm", "gru") for known in each(PICKED, cell, "source", "a slice")),
    Known(PIECE, "network", {"x": "piece", "enters": "directly"}, ({"part": "refined", "starts": "from h"},)),
    Known(AFFINE, "sampling"),
    *each(AFFINE, "attend", "bias", "from h"),
    Known(AFFINE, "network", {"loss": "auxiliary logit"}, ({"part": "residual"},)),
    Known(
        CANCELLED,
        "pooled",
        {"precision": "autocast"},
        ({"part": "residual", "branch": "transformer layer", "inside": [{"part": "pooled"}]},),
    ),
    Known(
        CANCELLED,
        "weightless",
        {"mixer": "difference"},
        ({"part": "weightless", "mixer": "difference"}, {"part": "latents"}),
    ),
    Known(COUPLED, "coupled"),
    Known(COUPLED, "residualrnn"),
    Known(COUPLED, "exchange", {"starts": "pieces"}),
    Known(COUPLED, "exchange", {"cross": False}),
    *each(SPELLED, "classtoken", "again", "otherwise", "normed before"),
    *each(SPELLED, "classtoken", "pick", "index", "mask", again="taken twice"),
    *each(SPELLED, "sometokens", "which", "index", again="taken twice"),
    *each(SPELLED, "message", "edges", True),
    *each(CHUNKS, "wavenet", "split", "chunk"),
    *each(CHUNKS, "doublyresidual", "split", "chunk"),
    *(
        known
        for pieces in ("chunk", "unbind")
        for known in each(
            CHUNKS, "modulated", "condition", "from h", "mean token", "second input", layers=2, pieces=pieces
        )
    ),
    *each(BUFFER, "classtoken", "put", "buffer"),
    *each(BUFFER, "sometokens", "put", "buffer"),
    *each(BUFFER, "lora", "inplace", True),
    *each(BUFFER, "residual", "branch", "experts, index_add_"),
    *each(HOOKS, "hooked", "hook", "full backward", "pre backward"),
    Known("a branch that is written to two lanes counts twice (issue 16, 1d)", "lanes"),
    Known("streams mixed by a signal have no block (issue 16, 1b)", "hyper", {"mixing": "signal"}),
    Known("attention over depth is neither counted nor doubted (issue 16, 1c)", "attentionresidual"),
    Known("a scripted sum is read as one node, in silence (issue 16, 4)", "scripted"),
    Known("PyTorch's RuntimeError passes through (issue 16, 4)", "checkpointed", {"around": "selective"}),
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
