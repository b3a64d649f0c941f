"""What several measures of depth cost, beside what a user would otherwise run.

One *backward* is ``torch.autograd.grad(loss, [x, *parameters])`` on the same graph, as a training step makes it;
processor time on one thread, medians of several interleaved runs with their range.

- `weight_spectrum` against gradients at L + 1 real values of t: hooks scale every branch's gradient by t, each value
  costs a forward and a backward pass, and a Vandermonde system in float64 gives the parts. It loses digits as L grows:
  the largest relative error of a part's norm stands beside the time.
- `sampled_paths` against the same paths by one whole backward pass each, with hooks that close the other way at each
  sum.
- `output_split` of each input against one call for each input.

    python benchmarks/bench_measures.py
"""

import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import skipglass as sg
from skipglass import paths
from skipglass.models import CifarResNet

REPEATS = 5
DRAWN = 8


def seconds(call: Callable[[], object]) -> float:
    start = time.process_time()
    call()
    return time.process_time() - start


def median(values: list[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f}..{max(values):.2f})"


class AtRealT:
    """Norms of the parts of each weight's gradient, from L + 1 gradients at real t."""

    def __init__(self, model: nn.Module, x: Tensor, y: Tensor, names: tuple[str, ...], blocks: int) -> None:
        self.model, self.x, self.y, self.t = model, x, y, 1.0
        self.weights = [dict(model.named_parameters())[name] for name in names]
        self.points = 1.5 * np.cos(np.pi * (np.arange(blocks + 1) + 0.5) / (blocks + 1))
        self.handles = [
            m.register_forward_hook(self._scaled) for name, m in model.named_modules() if name.endswith("bn2")
        ]

    def _scaled(self, _module: nn.Module, _inputs: object, out: Tensor) -> None:
        t = self.t
        out.register_hook(lambda g: g * t)

    def norms(self) -> np.ndarray:
        values = []
        for point in self.points.tolist():
            self.t = point
            loss = F.cross_entropy(self.model(self.x), self.y)
            gradients = torch.autograd.grad(loss, self.weights)
            values.append(torch.cat([g.double().flatten() for g in gradients]).numpy())
        parts = np.linalg.solve(self.points[:, None] ** np.arange(len(self.points)), np.array(values))
        return np.linalg.norm(parts, axis=1)

    def close(self) -> None:
        for handle in self.handles:
            handle.remove()


class PathByPath:
    """The norm along single paths, by one whole backward pass each."""

    def __init__(self, loss: Tensor, x: Tensor) -> None:
        self.loss, self.x, self.kept = loss, x, frozenset[int]()
        found = paths.outline(loss, x)
        self.depth = len(found.blocks)
        for l, block in enumerate(found.blocks):
            found.graph.nodes[block.merge.node].register_hook(self._closing(l, block.merge))

    def _closing(self, l: int, merge):  # type: ignore[no-untyped-def]
        def close(leaving, _entering):  # type: ignore[no-untyped-def]
            closed = (merge.branch.slot, merge.shortcut.slot)[l in self.kept]
            return tuple(torch.zeros_like(v) if s == closed else v for s, v in enumerate(leaving))

        return close

    def norm(self, kept: frozenset[int]) -> float:
        self.kept = kept
        return float(torch.autograd.grad(self.loss, self.x, retain_graph=True)[0].norm())


def network(depth: int, images: int) -> tuple[nn.Module, Tensor, Tensor]:
    torch.manual_seed(0)
    model = CifarResNet(depth)
    x, y = torch.randn(images, 3, 32, 32), torch.arange(images) % 10
    sg.scales.hold_statistics(model.eval(), x)
    return model, x.requires_grad_(), y


def weights(depth: int, images: int) -> str:
    model, x, y = network(depth, images)
    t = sg.trace(loss=F.cross_entropy(model(x), y), x=x, model=model)

    def backward() -> object:
        return torch.autograd.grad(t.loss, [x, *model.parameters()], retain_graph=True)

    found, (exact, ours, theirs) = paths.weight_spectrum(t), ([], [], [])  # type: ignore[var-annotated]
    other = AtRealT(model, x, y, found.weights, len(t.outline.blocks))
    for _ in range(REPEATS):
        one = seconds(backward)
        ours.append(seconds(lambda: paths.weight_spectrum(t)) / one)
        theirs.append(seconds(lambda: exact.append(other.norms())) / one)
    other.close()
    expected = found.update_norm
    error = float(np.max(np.abs(exact[0][: len(expected)] - expected) / expected))
    R = len(found.lengths)
    return (
        f"| weight_spectrum, ResNet-{depth}, {images} images, {R} lengths | {median(ours)} | "
        f"{R} gradients at real t: {median(theirs)}, error of a part up to {error:.0e} |"
    )


def single(depth: int, images: int) -> str:
    model, x, y = network(depth, images)
    loss = F.cross_entropy(model(x), y)
    t = sg.trace(loss=loss, x=x, model=model)
    slow = PathByPath(F.cross_entropy(model(x), y), x)
    rng, ours, theirs = np.random.default_rng(0), [], []
    count = int(paths.sampled_paths(t, drawn=DRAWN).drawn.sum())
    # as many paths, of all lengths
    some = [frozenset(rng.choice(slow.depth, k % (slow.depth + 1), replace=False).tolist()) for k in range(count)]
    for _ in range(REPEATS):
        one = seconds(lambda: torch.autograd.grad(loss, [x, *model.parameters()], retain_graph=True))
        ours.append(seconds(lambda: paths.sampled_paths(t, drawn=DRAWN)) / one)
        theirs.append(seconds(lambda: [slow.norm(S) for S in some]) / one)
    return (
        f"| sampled_paths, ResNet-{depth}, {images} images, {count} paths | {median(ours)} | "
        f"one backward pass to x for each: {median(theirs)} |"
    )


def output(depth: int, images: int) -> str:
    model, x, y = network(depth, images)
    x = x.detach()
    loss = F.cross_entropy(model(x.requires_grad_()), y)
    ours, theirs = [], []

    def one_by_one() -> None:
        for n in range(images):
            paths.output_split(model, x.detach()[n : n + 1], lambda z: z[:, 0].sum())

    for _ in range(REPEATS):
        one = seconds(lambda: torch.autograd.grad(loss, [x, *model.parameters()], retain_graph=True))
        ours.append(seconds(lambda: paths.output_split(model, x.detach(), lambda z: z[:, 0])) / one)
        theirs.append(seconds(one_by_one) / one)
    return f"| output_split, ResNet-{depth}, {images} images | {median(ours)} | one call for each: {median(theirs)} |"


def main() -> None:
    torch.set_num_threads(1)
    print("| measure | backwards | otherwise |\n|---|---|---|")
    for depth in (20, 44):
        for row in (weights, single, output):
            print(row(depth, 16), flush=True)


if __name__ == "__main__":
    main()
