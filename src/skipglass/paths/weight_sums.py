"""The algebra that takes every weight's gradient, by length, as the walk passes the weight."""

import math
from dataclasses import dataclass, field

from torch import Tensor

from skipglass.graph.engine import Arrived
from skipglass.graph.verify import inner, relative, size, wide
from skipglass.paths.spectrum import Lengths
from skipglass.paths.weight_uses import Uses

__all__ = ["Sums"]


@dataclass
class _Part:
    """What is known of one parameter while the walk is under way."""

    uses: int
    parts: dict[int, Tensor] = field(default_factory=dict)


class Sums(Lengths):
    """The algebra of the spectrum, which also takes every weight's gradient, by length, as the walk passes it.

    Attributes
    ----------
    whole
        The gradient of each parameter, by id.
    tables
        By parameter and length, ‖(∂L/∂W)_r‖ and ⟨(∂L/∂W)_r, ∂L/∂W⟩.
    kept
        By parameter and length the gradients themselves, if asked for.
    """

    def __init__(self, uses: Uses, whole: dict[int, Tensor], keep: bool) -> None:
        super().__init__(None)
        self.uses, self.whole, self.keep = uses, whole, keep
        self.tables: tuple[dict[int, dict[int, float]], dict[int, dict[int, float]]] = {}, {}
        self.kept: dict[int, dict[int, Tensor]] = {}
        self.gaps: list[float] = []
        self.open: dict[int, _Part] = {}
        for own in uses.of.values():
            for p in own:
                self.open.setdefault(id(p), _Part(0)).uses += 1

    def visit(self, h: int, at: Arrived) -> None:
        """At a weight, take its gradient for every length that has arrived."""
        if h not in self.uses.of:
            return
        for r in sorted({r for graded in at.values() for r in graded}):
            arriving = {output: graded[r] for output, graded in at.items() if r in graded}
            for p, part in self.uses.gradient(h, arriving):
                parts = self.open[id(p)].parts
                parts[r] = parts[r] + part if r in parts else part
        # a parameter whose last use this was is summed up, and its gradients are let go
        for p in self.uses.of[h]:
            self.open[id(p)].uses -= 1
            if not self.open[id(p)].uses:
                self._sum_up(id(p), self.open.pop(id(p)).parts)

    def close(self) -> None:
        """Sum up the parameters that no gradient has arrived at, or not at all of their uses."""
        for name, part in self.open.items():
            self._sum_up(name, part.parts)
        self.open = {}

    def _sum_up(self, name: int, parts: dict[int, Tensor]) -> None:
        whole = self.whole[name]
        for table, measure in zip(self.tables, (size, lambda part: inner([part], [whole])), strict=True):
            table[name] = {r: measure(part) for r, part in parts.items()}
        self.gaps.append(size(sum(map(wide, parts.values()), -wide(whole))))
        if self.keep:
            self.kept[name] = parts

    @property
    def lengths(self) -> set[int]:
        """The lengths at which some weight has a part."""
        return {r for by_length in self.tables[0].values() for r in by_length}

    @property
    def error(self) -> float:
        """The error of all weights together."""
        norms = sum(norm for by_length in self.tables[0].values() for norm in by_length.values())
        return relative(math.hypot(*self.gaps), norms)
