"""What stands around other parts: shared weights, hooks, checkpoints."""

from collections.abc import Callable
from typing import ClassVar

import torch
import torch.nn.functional as F
from part import D, Part, add, linear, mlp, part
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint


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
    choices: ClassVar = {"around": ("block", "branch", "inside")}

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
        if self.around == "branch":
            return h + author.branch(self.again(branch, h))
        y = torch.tanh(self.up(h))
        return h + author.branch(self.down(self.again(lambda y: self.within(torch.relu(y), author), y)))
