"""Participation of all blocks in units of one backward pass, and the spectrum against random paths.

One backward is ``torch.autograd.grad(loss, x)`` on the same graph; ratios are medians over interleaved
repetitions, processor time on one thread. The target is one forward and four backward passes, whatever the depth.

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
    start = time.process_time()
    call(*arguments, **options)
    return time.process_time() - start


def loss_of(outputs: torch.Tensor) -> torch.Tensor:
    return outputs.logsumexp(1).mean()


Made = tuple[nn.Module, dict[str, torch.Tensor], Callable | None]
"""A model, its named inputs (x comes first), and its loss if its outputs carry none."""


def mlp(depth: int, width: int) -> Made:
    return network(depth, width), {"input": torch.randn(128, 64)}, loss_of


def resnet(images: int, side: int) -> Made:
    """ResNet-50."""
    import transformers

    torch.manual_seed(0)
    model = transformers.ResNetForImageClassification(transformers.ResNetConfig(num_labels=10))
    return model, {"pixel_values": torch.randn(images, 3, side, side), "labels": torch.arange(images)}, None


def gpt2() -> Made:
    """GPT-2's twelve layers at a third of its width and of its vocabulary: its proportion of head to blocks."""
    import transformers

    torch.manual_seed(0)
    settings = transformers.GPT2Config(
        vocab_size=16384, n_embd=256, n_head=4, n_positions=128, bos_token_id=0, eos_token_id=0
    )
    model = transformers.GPT2LMHeadModel(settings)
    return model, {"inputs_embeds": torch.randn(4, 128, 256), "labels": torch.randint(16384, (4, 128))}, None


def one_network(name: str, make: Callable[[], Made], repeats: int, *, training: bool = True) -> str:
    model, inputs, loss_fn = make()
    model.train(training)
    main = next(iter(inputs))
    forward, ratio = [], []
    for repeat in range(repeats + 1):
        x = inputs[main].clone().requires_grad_()
        start = time.process_time()
        outputs = model(**inputs | {main: x})
        loss = outputs.loss if loss_fn is None else loss_fn(outputs)
        ahead = time.process_time() - start
        back = seconds(torch.autograd.grad, loss, x, retain_graph=True)
        del loss, outputs
        whole = seconds(paths.participation, model, inputs, None, loss_fn)
        if repeat:  # the first one warms up
            forward.append(ahead / back)
            ratio.append(whole / back)
    ahead = statistics.median(forward)
    return f"| {name}, {'train' if training else 'eval'} | {ahead:.2f} | {show(ratio)} | {ahead + 4:.2f} |"


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
    print("| network | forward | forward + participation, in backwards | target |\n|---|---|---|---|")
    for depth, width in ((10, 512), (100, 512), (1000, 512), (10, 128), (100, 128), (1000, 256)):
        name, repeats = f"MLP of {depth} blocks of {width}", REPEATS if depth < 1000 else 3
        print(one_network(name, lambda d=depth, w=width: mlp(d, w), repeats), flush=True)  # type: ignore[misc]
    for training in (True, False):
        for images, side in ((8, 64), (4, 112)):
            name = f"ResNet-50, {images} images of {side}"
            make = lambda n=images, s=side: resnet(n, s)  # noqa: E731
            print(one_network(name, make, REPEATS, training=training), flush=True)
        print(one_network("GPT-2", gpt2, REPEATS, training=training), flush=True)
    print("\n| blocks | random sets until 1 % | their time / the spectrum's |\n|---|---|---|")
    for depth in (8, 16, 32):
        print(random_paths(depth))


def show(values: list[float]) -> str:
    """Median and range."""
    return f"{statistics.median(values):.2f} ({min(values):.2f}..{max(values):.2f})"


if __name__ == "__main__":
    main()
