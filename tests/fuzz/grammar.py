"""Random networks: drawn as a program, built with a truth, asked of the package, and made small where it is wrong.

A *program* is plain JSON: how x enters, how the loss reads the last part, and a list of parts, each with its options
and the parts inside. Program and seed are the whole network.
"""

import copy
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from known import is_known, terms
from parts import PARTS, D, Part
from torch import Tensor, nn
from truth import Author, Mark, NothingToCompare, Truth, ask, compare, noted, truth

__all__ = ["Net", "check", "draw", "shrink", "simple"]

SAMPLES, TOKENS, BLOCKS = 3, 4, 8
"""Sizes of x, and the largest number of blocks (open ones included) of a network that is drawn."""

WHOLE: dict[str, tuple[Any, ...]] = {
    "x": ("leaf", "inner", "pair", "piece", "pieces"),
    "named": (True, False),
    "enters": ("linear", "directly", "nonlinear"),
    "loss": (
        "square",
        "cross entropy",
        "logit",
        "last token",
        "bare",
        "auxiliary",
        "auxiliary logit",
        "siamese",
        "contrastive",
    ),
    "precision": ("float64", "float32", "autocast"),
    "frozen": (False, True),
    "mode": ("train", "eval"),
}
LIKELY = {
    "precision": (12, 1, 1),
    "frozen": (6, 1),
    "mode": (3, 1),
    "x": (4, 1, 1, 1, 1),
    "named": (4, 1),
    "loss": (6, 3, 2, 2, 3, 2, 2, 1, 1),
}
Program = dict[str, Any]


class Net(nn.Module):
    """The network of a program."""

    def __init__(self, program: Program, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.program, self.seed = program, seed
        self.enter, self.also, self.head = nn.Linear(D, D), nn.Linear(D, D), nn.Linear(D, D)
        self.early = nn.Linear(D, 1)
        parts, tokens = [], TOKENS
        for each in program["parts"]:
            parts.append(build(each, tokens))
            tokens = parts[-1].leaves_tokens
        self.parts = nn.ModuleList(parts)
        for name, module in self.named_modules():
            if isinstance(module, Part):
                module.place = f"{name} {type(module).__name__.lower()}"
        if program["frozen"]:
            for k, p in enumerate(self.parameters()):
                p.requires_grad_(p.requires_grad and (k + seed) % 3 > 0)
        self.train(program["mode"] == "train")
        self.values = torch.randn(2, SAMPLES, TOKENS, D, dtype=torch.float64)
        self.double()

    def inputs(self) -> tuple[Tensor, ...]:
        """Return a new x."""
        kind = next(self.parameters()).dtype
        x, y = (v.to(kind, copy=True).requires_grad_() for v in self.values)
        if self.program["x"] == "inner":
            return (torch.tanh(self.also(x)),)
        if self.program["x"].startswith("piece"):
            pieces = torch.stack([y, x]).unbind(0)  # two outputs of one operation
            return (pieces[1], pieces[0]) if self.program["x"] == "pieces" else pieces[1:]
        return (x, y) if self.program["x"] == "pair" else (x,)

    def forward(self, *x: Tensor) -> Tensor:
        """Return the loss of each sample."""
        return self.run(x, Author())

    def run(self, x: tuple[Tensor, ...], author: Author) -> Tensor:
        """Return the loss of each sample."""
        kind = self.program["loss"]
        h, early = self.features(x, author)
        if kind == "bare":
            return h.square().flatten(1).sum(1)
        y = self.head(h)
        losses = y.square().flatten(1).sum(1)
        if kind == "last token":
            return y[:, -1].square().sum(1)
        if kind == "logit":
            return y[:, :, 0].sum(1)
        if kind == "cross entropy":
            return F.cross_entropy(y.mean(1), torch.arange(SAMPLES) % D, reduction="none")
        if kind == "auxiliary":
            return losses + 0.1 * self.early(early).square().flatten(1).sum(1)
        if kind == "auxiliary logit":
            return losses + 0.1 * self.early(early).flatten(1).sum(1)
        if kind in {"siamese", "contrastive"}:
            other = self.head(self.features(tuple(0.7 * t.flip(-1) for t in x), author)[0])
            if kind == "siamese":
                return (y - other).square().flatten(1).sum(1)
            a, b = (F.normalize(t.mean(1), dim=-1) for t in (y, other))
            return F.cross_entropy(a @ b.mT, torch.arange(SAMPLES), reduction="none")
        return losses

    def features(self, x: tuple[Tensor, ...], author: Author) -> tuple[Tensor, Tensor]:
        """What the last part gives, and what one of the first gives."""
        h = x[0]
        author.second = x[1] if len(x) > 1 else None
        if self.program["enters"] != "directly":
            h = self.enter(h)
        if len(x) > 1 and not any("second input" in term.values() for term in terms(self.program["parts"])):
            h = torch.cat([h[:, :2], self.also(x[1])[:, 2:]], 1)  # two tensors, each some of the tokens
        if self.program["enters"] == "nonlinear":
            h = torch.relu(h)
        early = h
        for k, each in enumerate(self.parts):
            h = each(h, author)
            early = h if 2 * k < len(self.parts) else early
        author.place = "loss"
        return h, early


def build(term: Program, tokens: int) -> Part:
    """Return the part of a term, with those inside."""
    options = {name: value for name, value in term.items() if name not in {"part", "inside"}}
    return PARTS[term["part"]](tokens, [build(each, tokens) for each in term.get("inside", [])], **options)


# drawing -------------------------------------------------------------------------------------------------------------


def draw(seed: int, known: Callable[[Program], str] = is_known) -> Program:
    """Draw a program without what is ``known`` to be wrong; one with at most `BLOCKS` blocks."""
    rng = random.Random(seed)
    while True:
        whole = {k: rng.choices(values, LIKELY.get(k))[0] for k, values in WHOLE.items()}
        if whole["enters"] == "directly" and whole["loss"] == "bare":
            whole["loss"] = "square"  # else a difference x - f(x) whose size is the loss, as an autoencoder's
        number = rng.choice((1, 2, 2, 3, 3, 4))
        parts: list[Program] = []
        while len(parts) < number:
            term = draw_part(rng, 0, known)
            if PARTS[term["part"]].top and any(PARTS[other["part"]].top for other in parts):
                continue
            parts.append(term)
        program = {**whole, "parts": parts}
        if known(program):
            continue
        while len(parts) > 1 and branches(program, seed) > BLOCKS:
            parts.pop()
        if branches(program, seed) <= BLOCKS and runs(program, seed):
            return program


def draw_part(rng: random.Random, depth: int, known: Callable[[Program], str]) -> Program:
    """Draw a part, with up to two inside, two deep."""
    while True:
        name = "residual" if rng.random() < 0.25 else rng.choice(list(PARTS))
        kind = PARTS[name]
        if kind.top and depth:
            continue
        term: Program = {"part": name}
        for option, values in kind.choices.items():
            plain = name == "residual" and rng.random() < 0.5
            term[option] = values[0] if plain else rng.choice(values)
        if kind.nests and depth < 2 and rng.random() < 0.4:
            term["inside"] = [draw_part(rng, depth + 1, known) for _ in range(rng.choice((1, 1, 2)))]
        if not known({**simple(), "parts": [term]}):
            return term


def branches(program: Program, seed: int) -> int:
    """How many branches the author of a network marks."""
    net, author = Net(program, seed), Author()
    net.run(net.inputs(), author)
    return len(author.marks)


def runs(program: Program, seed: int) -> bool:
    """Whether PyTorch can run a network: all operations exist in its precision, backward as well; in float64 they must.

    PyTorch's backward pass refuses a selective checkpoint around the second use of a weight under autocast: the cast is
    cached in the forward pass, and not known when it is computed again.
    """
    # a checkpoint stops its recomputation by an exception, which TorchScript's interpreter turns into an error
    around = [term for term in terms(program["parts"]) if term["part"] == "checkpointed"]
    if any(term["part"] == "scripted" for each in around for term in terms(each.get("inside", []))):
        return False
    if program["precision"] == "float64":
        return True
    try:
        _, loss, x, _ = loss_of(program, seed)
        torch.autograd.grad(loss, x, allow_unused=True)
    except RuntimeError:
        return False
    return True


def loss_of(program: Program, seed: int) -> tuple[nn.Module, Tensor, tuple[Tensor, ...], list[Mark]]:
    """Run a network without gates, in its own precision: the network, the loss, x and its author's notes."""
    net = Net(program, seed)
    if program["precision"] != "float64":
        net = net.float()
    with torch.autocast("cpu", torch.bfloat16, enabled=program["precision"] == "autocast"):
        return net, *noted(net.run, net.inputs, seed)


def simple(*parts: Program) -> Program:
    """A program of these parts, and the first choice of all else."""
    return {**{name: values[0] for name, values in WHOLE.items()}, "parts": list(parts)}


# asking --------------------------------------------------------------------------------------------------------------


def check(program: Program, seed: int, change: Callable[[Truth], None] | None = None) -> list[str]:
    """What the package says wrongly of a network, a line for each; ``change`` falsifies the truth first."""
    gated = Net(program, seed)
    try:
        true = truth(gated.run, gated.inputs, seed)
    except NothingToCompare:
        return []
    if change is not None:
        change(true)
    tolerance = {"float64": 1e-9, "float32": 1e-4, "autocast": 3e-2}[program["precision"]]
    net, loss, x, notes = loss_of(program, seed)
    if change is not None:
        told = dict(zip(true.live, true.marks, strict=True))
        notes = [replace(told[k], signal=mark.signal) if k in told else mark for k, mark in enumerate(notes)]
    try:
        found = ask(loss, x, net if program["named"] else None)
    except Exception as error:  # whatever it is, it is none that a user can act on
        return [f"error: {type(error).__name__} {str(error).splitlines()[0] if str(error) else ''}"]
    return [line for line in compare(true, notes, found, tolerance) if not excused(line, program)]


DISCRETE = {"quantised", "routed", "experts", "rounded straight", "fake quantised"}
"""Parts and options that choose, and may choose otherwise in another precision than the truth's."""


def excused(line: str, program: Program) -> bool:
    """Whether what seems wrong is right for this network, or not the package's to say."""
    values = {value for term in terms(program["parts"]) for value in term.values() if isinstance(value, str)}
    kind = line.split(":")[0]
    if kind == "alarm":  # a frozen weight that was cast, or saved as a copy, leaves no trace, and this is told
        frozen = program["frozen"] or any(term.get("frozen") is True for term in terms(program["parts"]))
        return frozen and (program["precision"] == "autocast" or not program["named"] or "offloaded" in values)
    if kind == "samples":  # a loss may mix samples, and a batch norm that nothing reads does not
        unread = program["mode"] == "train" and "batch" in values and "independent True" in line
        return program["loss"] == "contrastive" or unread
    if kind in {"participation", "depth"}:
        return program["precision"] != "float64" and bool(values & DISCRETE)
    return False


# making small --------------------------------------------------------------------------------------------------------


def shrink(program: Program, seed: int, kinds: set[str]) -> Program:
    """The smallest program, by leaving out parts and taking first choices, that is wrong in one of the same ways."""

    def fails(smaller: Program) -> bool:
        try:
            return bool(kinds & {line.split(":")[0] for line in check(smaller, seed)})
        except Exception:
            return False

    while True:
        for smaller in smaller_ones(program):
            if fails(smaller):
                program = smaller
                break
        else:
            return program


def smaller_ones(program: Program) -> Iterator[Program]:
    """Programs with one thing less."""
    for path in places(program["parts"]):
        for change in (_without, _opened):
            smaller = copy.deepcopy(program)
            if change(smaller["parts"], path) and smaller["parts"]:
                yield smaller
    for name, values in WHOLE.items():
        if program[name] != values[0]:
            yield {**copy.deepcopy(program), name: values[0]}
    for path in places(program["parts"]):
        term = at(program["parts"], path)
        for option, values in PARTS[term["part"]].choices.items():
            if term.get(option, values[0]) != values[0]:
                smaller = copy.deepcopy(program)
                at(smaller["parts"], path)[option] = values[0]
                yield smaller


def places(parts: list[Program], above: tuple[int, ...] = ()) -> Iterator[tuple[int, ...]]:
    for k, term in enumerate(parts):
        yield (*above, k)
        yield from places(term.get("inside", []), (*above, k))


def at(parts: list[Program], path: tuple[int, ...]) -> Program:
    term = parts[path[0]]
    for k in path[1:]:
        term = term["inside"][k]
    return term


def _without(parts: list[Program], path: tuple[int, ...]) -> bool:
    around = parts if len(path) == 1 else at(parts, path[:-1])["inside"]
    del around[path[-1]]
    return True


def _opened(parts: list[Program], path: tuple[int, ...]) -> bool:
    around = parts if len(path) == 1 else at(parts, path[:-1])["inside"]
    inside = around[path[-1]].get("inside", [])
    around[path[-1] : path[-1] + 1] = inside
    return bool(inside)
