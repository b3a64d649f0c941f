"""The drift of all scales in units of one gradient evaluation, at any depth.

A gradient evaluation is the loss forward and backward over all parameters. Ratios are medians over interleaved
repetitions, processor time on one thread; the target is 4. "theorem" in training mode computes the statistics first, in
one more forward pass. Batch norms outside of a `ResidualLayer` are found in the graph of one more pass, unless the
`pairs` of the network are given, as here.

    python benchmarks/bench_drift.py
"""

import statistics
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import nn

from skipglass import scales
from skipglass.models import CifarResNet, ResidualMLP

REPEATS = 7


def seconds(call: Callable[[], object]) -> float:
    start = time.process_time()
    call()
    return time.process_time() - start


def one_network(name: str, model: nn.Module, x: torch.Tensor, pairs: object) -> str:
    y = torch.arange(len(x)) % 10
    cells = []
    for training in (True, False):
        for theorem in (False, True):
            model.train(training)
            ratios = []
            for repeat in range(REPEATS + 1):
                one = seconds(lambda: torch.autograd.grad(F.cross_entropy(model(x), y), list(model.parameters())))
                all_scales = seconds(
                    lambda: scales.drift(model, x, y, F.cross_entropy, scales=pairs, theorem=theorem)  # noqa: B023
                )
                if repeat:  # the first one warms up
                    ratios.append(all_scales / one)
            cells.append(f"{statistics.median(ratios):.2f} ({min(ratios):.2f}..{max(ratios):.2f})")
    return f"| {name} | {' | '.join(cells)} |"


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    print("| network | train | train, theorem | eval | eval, theorem |\n|---|---|---|---|---|")
    for depth in (10, 50, 200):
        for normalization in ("batch", "paper"):
            model = ResidualMLP(50, 10, depth=depth, width=128, normalization=normalization)
            print(one_network(f"MLP, depth {depth}, {normalization}", model, torch.randn(256, 50), None), flush=True)
    for depth in (20, 56):
        resnet = CifarResNet(depth, width=0.5)
        x = torch.randn(16, 3, 32, 32)
        print(one_network(f"ResNet-{depth}, 16 images", resnet, x, scales.pairs(resnet, x)), flush=True)


if __name__ == "__main__":
    main()
