"""Training: our loop against a plain PyTorch loop, and 16 seeds side by side against one after another.

The plain loop is what a user would write: nn.Linear, nn.BatchNorm1d, SGD, shuffled index batches. Both record
nothing here; the cost of our evaluations is printed apart. Ratios are medians over interleaved repetitions.

    python benchmarks/bench_training.py
"""

import statistics
import time
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import nn

from skipglass.training import Settings
from skipglass.training.mlp import MLPs

REPEATS, EPOCHS, SEEDS = 7, 1, 16


class PlainLayer(nn.Module):
    def __init__(self, inputs: int, width: int, normalised: bool) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, width, bias=False)
        self.norm = nn.BatchNorm1d(width) if normalised else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(F.relu(self.linear(x)))


class PlainNetwork(nn.Module):
    def __init__(self, normalised: bool) -> None:
        super().__init__()
        self.first = PlainLayer(50, 20, normalised)
        self.blocks = nn.ModuleList(PlainLayer(20, 20, normalised) for _ in range(9))
        self.head = nn.Linear(20, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first(x)
        for block in self.blocks:
            x = block(x) + x
        return self.head(x)


def plain(settings: Settings, seed: int, epochs: int = EPOCHS) -> float:
    """Seconds of one plain training."""
    split = settings.data(seed)
    inputs, targets = split.inputs.float(), split.targets
    model = PlainNetwork(settings.normalization != "none")
    optimizer = torch.optim.SGD(model.parameters(), lr=settings.learning_rate)
    start = time.perf_counter()
    for _ in range(epochs):
        order = torch.randperm(len(targets))
        for k in range(len(targets) // settings.batch_size):
            batch = order[k * settings.batch_size : (k + 1) * settings.batch_size]
            loss = F.cross_entropy(model(inputs[batch]), targets[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return time.perf_counter() - start


def ours(settings: Settings) -> tuple[float, float]:
    """Seconds of our training without its evaluations, and of one evaluation."""
    training = MLPs(replace(settings, epochs=EPOCHS))
    start = time.perf_counter()
    training.fit()
    trained = time.perf_counter()
    training.measure()
    return trained - start, time.perf_counter() - trained


def main() -> None:
    torch.set_num_threads(1)
    print("| normalisation | one seed: ours / plain | evaluation, in epochs | 16 plain / 16 at once |")
    print("|---|---|---|---|")
    for normalization in ("batch", "none"):
        settings = Settings(normalization=normalization, learning_rate=0.01, seeds=(0,))
        many = Settings(normalization=normalization, learning_rate=0.01, seeds=range(SEEDS))
        single, cost, throughput = [], [], []
        for _ in range(REPEATS):
            baseline = plain(settings, 0)
            seconds, evaluation = ours(settings)
            together, _ = ours(many)
            single.append(seconds / baseline)
            cost.append(evaluation / seconds * EPOCHS)
            throughput.append(SEEDS * baseline / together)
        print(f"| {normalization} | {show(single)} | {statistics.median(cost):.3f} | {show(throughput)} |")


def show(values: list[float]) -> str:
    """Median and range."""
    return f"{statistics.median(values):.2f} ({min(values):.2f}..{max(values):.2f})"


if __name__ == "__main__":
    main()
