"""What is mislabelled today, and why: left out of random networks until it is mended.

``python tests/fuzz/run.py --known`` runs each alone and prints which are right by now; those leave the table.
"""

from collections.abc import Iterator
from typing import Any

__all__ = ["KNOWN", "is_known"]

CHUNKED = "pieces of a cat, and the like, are no sum in one operation"
POOLED = "a shortcut that is no plain path is neither counted nor doubted (issue 16, 1e)"
STARTED = "a recurrence that starts from a signal looks like a projected shortcut (issue 16, D)"
PICKED = "a recurrence over a signal that is itself a slice has blocks (found here)"
PIECES = "summands that see different pieces of the join are no block (issue 16, 2)"
SPELLED = "pieces are compared by spelling (issue 16, C)"
BUFFER = "a write into a fresh buffer is no concatenation (issue 16, H)"
HOOKS = "PyTorch's own BackwardHookFunction is taken for a custom function (issue 16, 1a)"

UNPLAIN = (
    *("in place, masked", "normed by hand", "relu", "clamped", "no nan", "sorted", "largest", "softmax", "gated"),
    *("max pooled", "fake quantised"),
)

KNOWN: list[tuple[str, dict[str, Any], str]] = [
    ("residual", {"way": "cat, chunk"}, CHUNKED),
    ("residual", {"way": "cat @ [1; 1]"}, CHUNKED),
    ("residual", {"way": "complex"}, CHUNKED),
    ("residual", {"way": "index_reduce"}, CHUNKED),
    ("residual", {"way": "scatter_reduce"}, CHUNKED),
    ("residual", {"way": "pairs, avg_pool"}, CHUNKED),
    *(("residual", {"shortcut": how}, POOLED) for how in UNPLAIN),
    ("residual", {"branch": "experts, index_add_"}, BUFFER),
    ("nonlinearshortcut", {}, POOLED),
    ("transition", {"pool": "max"}, POOLED),
    ("transition", {"pool": "max, projected"}, POOLED),
    ("classattention", {}, POOLED),
    ("queryresidual", {}, POOLED),
    ("elman", {"start": "signal"}, STARTED),
    ("lstm", {"start": "signal"}, STARTED),
    ("gru", {"start": "signal"}, STARTED),
    *((cell, {"source": how}, PICKED) for cell in ("elman", "lstm", "gru") for how in ("a slice",)),
    ("residualrnn", {}, "a recurrence s + f(s, x_t) is no block (issue 16, 2)"),
    ("coupled", {}, "the first sums of a coupling are no blocks (issue 16, 2)"),
    ("exchange", {"starts": "pieces"}, PIECES),
    ("exchange", {"cross": False}, "a plain stream plus a function of another is no block, as in a coupling"),
    ("lanes", {}, "a branch that is written to two lanes counts twice (issue 16, 1d)"),
    ("hyper", {"mixing": "signal"}, "streams mixed by a signal have no block (issue 16, 1b)"),
    ("attentionresidual", {}, "attention over depth is neither counted nor doubted (issue 16, 1c)"),
    ("wavenet", {"split": "chunk"}, "the sum of skips that are chunks is a block (issue 16, 3)"),
    ("attend", {"bias": "from h"}, "a bias of the attention scores is a projected shortcut (issue 16, 3)"),
    *(
        ("modulated", {"layers": 2, "pieces": pieces, "condition": c}, "a modulation is a block (issue 16, 3)")
        for pieces in ("chunk", "unbind")
        for c in ("from h", "mean token", "second input")
    ),
    ("classtoken", {"again": "otherwise"}, SPELLED),
    *(("classtoken", {"again": "taken twice", "pick": how}, SPELLED) for how in ("index", "mask")),
    ("classtoken", {"again": "normed before"}, SPELLED),
    ("message", {"edges": True}, SPELLED),
    ("classtoken", {"put": "buffer"}, BUFFER),
    ("sometokens", {"put": "buffer"}, BUFFER),
    ("lora", {"inplace": True}, "a sum in place on a Linear's result, a view, is doubted though both sides are alike"),
    ("hooked", {"hook": "full backward"}, HOOKS),
    ("hooked", {"hook": "pre backward"}, HOOKS),
    ("sampling", {}, "μ + ε σ is a projected shortcut (found here; issue 16, D)"),
    ("doublyresidual", {"split": "chunk"}, "the sum of skips that are chunks is a block (issue 16, 3)"),
    ("scripted", {}, "a scripted sum is read as one node, in silence (issue 16, 4)"),
    ("checkpointed", {"around": "selective"}, "PyTorch's RuntimeError passes through (issue 16, 4)"),
    ("sometokens", {"which": "index", "again": "taken twice"}, SPELLED),
    (
        "residual",
        {"branch": "bilinear", "frozen": True},
        "an opaque operation's frozen weight is not seen (found here)",
    ),
    ("shuffled", {"by": "index", "loss": "bare"}, "an index over the batch, undone later, mixes samples (issue 16, 5)"),
    ("network", {"loss": "auxiliary logit"}, "an affine auxiliary loss is a projected shortcut (found here)"),
]
"""Part, the options that matter, reason."""


def terms(parts: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Every part of a program, those inside others as well."""
    for term in parts:
        yield term
        yield from terms(term.get("inside", []))


def is_known(program: dict[str, Any]) -> str:
    """The reason why a network is mislabelled today, or nothing."""
    for term in [{"part": "network"}, *terms(program["parts"])]:
        for name, options, reason in KNOWN:
            if term["part"] == name and options.items() <= {**program, **term}.items():
                return reason
    return ""
