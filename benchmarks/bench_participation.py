"""Participation of all blocks in units of one backward pass, and the spectrum against random paths.

One backward is ``torch.autograd.grad(loss, x)`` on the same graph; ratios are medians over interleaved
repetitions. The target is one forward and four backward passes, whatever the depth.

The Monte Carlo baseline (Veit et al., 2016) draws, for each length k, sets of k blocks and sends the gradient
through their branches and the other blocks' shortcuts; each set costs one backward pass. A pilot run gives the
spread of C(L, k)⟨g_S, g⟩/‖g‖², and so how many sets bring the standard error of every share down to 1 %.

    python benchmarks/bench_participation.py
"""

import statistics
import time
from collections.abc import Callable
from math import ceil, comb

import torch
from torch import nn

from skipglass import paths

REPEATS, PILOT, ERROR = 5, 40, 0.01


class Block(nn.Module):
    def __init__(self, width: int, scale: float) -> None:
        super().__init__()
        self.f, self.g, self.scale = nn.Linear(width, width), nn.Linear(width, width), scale

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.scale * self.g(torch.relu(self.f(x)))


def network(depth: int, width: int) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(64, width), *(Block(width, depth**-0.5) for _ in range(depth)), nn.Linear(width, 10))


def seconds(call: Callable, *arguments: object, **options: object) -> float:
    start = time.perf_counter()
    call(*arguments, **options)
    return time.perf_counter() - start


def loss_of(outputs: torch.Tensor) -> torch.Tensor:
    return outputs.logsumexp(1).mean()


def one_depth(depth: int, width: int, repeats: int) -> str:
    model, inputs = network(depth, width), torch.randn(128, 64)
    forward, ratio = [], []
    for _ in range(repeats):
        x = inputs.clone().requires_grad_()
        start = time.perf_counter()
        loss = loss_of(model(x))
        ahead = time.perf_counter() - start
        back = seconds(torch.autograd.grad, loss, x, retain_graph=True)
        del loss
        forward.append(ahead / back)
        ratio.append(seconds(paths.participation, model, inputs, loss_fn=loss_of) / back)
    ahead = statistics.median(forward)
    return f"| {depth} | {width} | {ahead:.2f} | {show(ratio)} | {ahead + 4:.2f} |"


class RandomPaths:
    """The gradient through the branches of a set of blocks and the shortcuts around all others."""

    def __init__(self, loss: torch.Tensor, x: torch.Tensor) -> None:
        self.loss, self.x, self.kept = loss, x, set[int]()
        self.g = torch.autograd.grad(loss, x, retain_graph=True)[0]
        found = paths.outline(loss, x)
        self.depth = len(found.blocks)
        self.hooks = [self._hook(found.graph.nodes[b.merge.node], l, b.merge) for l, b in enumerate(found.blocks)]

    def _hook(self, node, l, merge):  # type: ignore[no-untyped-def]
        ways = merge.branch.slot, merge.shortcut.slot

        def close(leaving, _entering):  # type: ignore[no-untyped-def]
            closed = ways[l in self.kept]
            return tuple(torch.zeros_like(v) if s == closed else v for s, v in enumerate(leaving))

        return node.register_hook(close)

    def share(self, k: int) -> float:
        """One draw of C(L, k)⟨g_S, g⟩/‖g‖²."""
        self.kept = set(torch.randperm(self.depth)[:k].tolist())
        path = torch.autograd.grad(self.loss, self.x, retain_graph=True)[0]
        return comb(self.depth, k) * float((path * self.g).sum() / (self.g * self.g).sum())


def random_paths(depth: int) -> str:
    model, x = network(depth, 128), torch.randn(64, 64, requires_grad=True)
    loss = loss_of(model(x))
    exact = statistics.median(seconds(paths.spectrum, loss, x, "blocks") for _ in range(REPEATS))
    draw = RandomPaths(loss, x)
    sets, start = 0, time.perf_counter()
    for k in range(depth + 1):
        spread = statistics.stdev(draw.share(k) for _ in range(PILOT))
        sets += max(1, ceil((spread / ERROR) ** 2))
    one = (time.perf_counter() - start) / (PILOT * (depth + 1))
    return f"| {depth} | {sets} | {sets * one / exact:.1f} |"


def main() -> None:
    torch.set_num_threads(1)
    print("| blocks | width | forward | forward + participation, in backwards | target |\n|---|---|---|---|---|")
    one_depth(2, 8, 1)  # first calls import
    for depth, width in ((10, 128), (10, 512), (100, 128), (100, 512), (1000, 256)):
        print(one_depth(depth, width, REPEATS if depth < 1000 else 3), flush=True)
    print("\n| blocks | random sets until 1 % | their time / the spectrum's |\n|---|---|---|")
    for depth in (8, 16, 32):
        print(random_paths(depth))


def show(values: list[float]) -> str:
    """Median and range."""
    return f"{statistics.median(values):.2f} ({min(values):.2f}..{max(values):.2f})"


if __name__ == "__main__":
    main()
