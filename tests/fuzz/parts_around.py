"""What stands around other parts: shared weights, hooks, checkpoints."""

import functools
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import ClassVar

import torch
import torch.nn.functional as F
from part import D, Part, add, linear, mlp, part
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint, create_selective_checkpoint_contexts


@part
class Shared(Part):
    """One f used twice, h + f(h) each time: two blocks."""

    nests = True
    choices: ClassVar = {"way": ("h + z", "z + h"), "between": ("nothing", "relu", "norm")}

    def make(self) -> None:
        self.f = mlp()

    def run(self, h, author):
        h = add(h, self.f(self.within(h, author) if self.inside else h), author, self.way)
        h = {"nothing": lambda: h, "relu": lambda: torch.relu(h), "norm": lambda: F.layer_norm(h, (D,))}[self.between]()
        return add(h, self.f(h), author, self.way)


@part
class Hooked(Part):
    """A block with hooks that change nothing, or scale, on its shortcut or branch: one block."""

    nests = True
    choices: ClassVar = {
        "hook": ("tensor, none", "tensor, same", "tensor, doubled", "retained", "full backward", "pre backward"),
        "on": ("shortcut", "branch", "h", "sum", "middle"),
    }

    def make(self) -> None:
        self.up, self.down = linear(), linear()
        self.hooks = nn.ModuleDict({place: nn.Identity() for place in self.choices["on"]})
        if self.hook == "full backward":
            self.hooks[self.on].register_full_backward_hook(lambda *_: None)
        elif self.hook == "pre backward":
            self.hooks[self.on].register_full_backward_pre_hook(lambda *_: None)

    def at(self, place: str, y: Tensor) -> Tensor:
        if place != self.on:
            return y
        if self.hook == "retained":
            y = y.clone()
            y.retain_grad()
        elif self.hook.startswith("tensor"):
            y = y.clone()
            result = {"tensor, none": lambda g: None, "tensor, same": lambda g: g, "tensor, doubled": lambda g: 2 * g}
            y.register_hook(result[self.hook])
        return self.hooks[place](y)

    def run(self, h, author):
        h = self.at("h", h)
        z = self.down(self.within(self.at("middle", torch.tanh(self.up(h))), author))
        return self.at("sum", self.at("shortcut", h) + author.branch(self.at("branch", z)))


@part
class Checkpointed(Part):
    """A non-reentrant checkpoint around a block, or its branch: one block, and those inside."""

    nests = True
    choices: ClassVar = {"around": ("block", "branch", "inside", "selective", "nested")}

    def make(self) -> None:
        self.up, self.down = linear(), linear()

    def again(self, f: Callable[..., Tensor], *given: Tensor) -> Tensor:
        return checkpoint(f, *given, use_reentrant=False)

    def run(self, h, author):
        def branch(y: Tensor) -> Tensor:
            return self.down(self.within(torch.tanh(self.up(y)), author))

        def block(y: Tensor) -> Tensor:
            return y + author.branch(branch(y))

        if self.around == "block":
            return self.again(block, h)
        if self.around == "selective":
            if author.gated:  # as it may be passed once only
                return block(h)
            # not what a linear map gives: nn.LSTM and y.add_(z) write to it in place, and PyTorch then refuses to run
            # backward at all ("Tensor cached during selective activation checkpoint has been mutated")
            kept = functools.partial(create_selective_checkpoint_contexts, [torch.ops.aten.tanh.default])
            return checkpoint(block, h, use_reentrant=False, context_fn=kept)
        if self.around == "nested":
            return self.again(lambda y: y + author.branch(self.again(branch, y)), h)
        if self.around == "branch":
            return h + author.branch(self.again(branch, h))
        y = torch.tanh(self.up(h))
        return h + author.branch(self.down(self.again(lambda y: self.within(torch.relu(y), author), y)))


@part
class Offloaded(Part):
    """A block whose saved tensors pass hooks, as those that offload or compress them: one block, and those inside."""

    nests = True
    choices: ClassVar = {"how": ("cpu", "copied", "in half", "read twice"), "around": ("block", "branch")}

    def make(self) -> None:
        self.up, self.down = linear(), linear()

    def saved(self) -> AbstractContextManager:
        if self.how == "cpu":
            return torch.autograd.graph.save_on_cpu()
        pack, unpack = {
            "copied": (lambda t: t.clone(), lambda t: t),
            "in half": (lambda t: t.chunk(2) if t.ndim else t, lambda t: t if isinstance(t, Tensor) else torch.cat(t)),
            "read twice": (lambda t: t, lambda t: t.clone()),
        }[self.how]
        return torch.autograd.graph.saved_tensors_hooks(pack, unpack)

    def run(self, h, author):
        with self.saved() if self.around == "block" else nullcontext():
            z = self.within(torch.tanh(self.up(h)), author)
            with self.saved() if self.around == "branch" else nullcontext():
                z = self.down(torch.tanh(z))
            return h + author.branch(z)


@part
class Inplace(Part):
    """Writes in place on the stream before a block, or on its sum after: one block."""

    nests = True
    choices: ClassVar = {
        "what": ("mul_", "relu_", "mask", "clamp_", "tanh_", "add_", "zero", "fill", "masked_fill_", "dropout"),
        "when": ("before", "after", "branch"),
    }

    def make(self) -> None:
        self.up, self.down, self.p = linear(), linear(), nn.Parameter(torch.rand(D))

    def write(self, y: Tensor) -> Tensor:
        y = y.clone()
        if self.what == "mask":
            y *= torch.arange(D) % 2 == 0
        elif self.what == "zero":
            y[:, :1].zero_()
        elif self.what == "fill":
            y[..., 1] = 0.5
        elif self.what == "masked_fill_":
            y.masked_fill_(torch.arange(D) < 1, 0.0)
        elif self.what == "dropout":
            F.dropout(y, 0.1, inplace=True)
        else:
            given = {"mul_": (0.8,), "clamp_": (-2, 2), "add_": (self.p,)}.get(self.what, ())
            getattr(y, self.what)(*given)
        return y

    def run(self, h, author):
        h = self.write(h) if self.when == "before" else h
        z = self.down(self.within(torch.tanh(self.up(h)), author))
        z = self.write(z) if self.when == "branch" else z
        h = h + author.branch(z)
        return self.write(h) if self.when == "after" else h


@part
class Repeated(Part):
    """The same parts, weights and all, passed twice: twice their blocks."""

    nests = True

    def make(self) -> None:
        self.f = mlp()

    def run(self, h, author):
        for _ in range(2):
            h = self.within(h, author)
            h = h + author.branch(self.f(h))
        return h


@part
class Stopped(Part):
    """h + f(h.detach()) and h.detach() + f(h): one side carries no gradient, no block."""

    choices: ClassVar = {"stopped": ("branch", "shortcut", "half the branch", "no_grad")}

    def make(self) -> None:
        self.f = mlp()

    def run(self, h, author):
        if self.stopped == "branch":
            return h + self.f(h.detach())
        if self.stopped == "shortcut":
            return h.detach() + self.f(h)
        if self.stopped == "no_grad":
            with torch.no_grad():
                z = self.f(h)
            return h + z
        return h + author.branch(self.f(0.5 * h + 0.5 * h.detach()))


def bias_dropout_add(y: Tensor, bias: Tensor, h: Tensor) -> Tensor:
    """Megatron's sum, to be scripted."""
    return h + torch.nn.functional.dropout(y + bias, p=0.0, training=True)


@functools.cache
def scripted() -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return torch.jit.script(bias_dropout_add)


@part
class Scripted(Part):
    """A scripted sum, one node from the second call on: blocks, or doubt."""

    def make(self) -> None:
        self.f, self.b = nn.ModuleList(mlp() for _ in range(3)), nn.Parameter(torch.zeros(D))

    def run(self, h, author):
        for f in self.f:
            h = scripted()(author.branch(f(h), None, None, "open"), self.b, h)
        return h
