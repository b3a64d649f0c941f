"""A sweep against a plain loop that trains one network at a time: networks a minute on the same machine.

The plain loop is what a user would write (`bench_training`): it trains, and measures nothing. The sweep trains the
same networks, measures scales and effective depth before the first step and after each epoch, and writes its files.
Both in one process with one thread, by processor time: a sweep of its own accord takes one process a core besides.
Medians over interleaved repetitions.

    python benchmarks/bench_sweep.py
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from bench_training import plain, show

from skipglass.training import Grid, sweep

REPEATS, EPOCHS = 7, 2


def seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def swept(grid: Grid) -> None:
    with tempfile.TemporaryDirectory() as folder:
        sweep(grid, Path(folder))


def main() -> None:
    torch.set_num_threads(1)
    print("| normalisation | seeds a cell | plain loop, networks a minute | sweep | ratio |")
    print("|---|---|---|---|---|")
    for variant, seeds in (("batch-after", 8), ("batch-after", 16), ("none", 16)):
        grid = Grid([4.0], [0.05], [variant], [10], range(seeds), EPOCHS)
        settings = next(iter(grid.cells().values()))
        alone, together = [], []
        for _ in range(REPEATS):
            alone.append(seconds(lambda s=settings: plain(s, 0, EPOCHS)))  # type: ignore[misc]
            together.append(seconds(lambda g=grid: swept(g)) / seeds)  # type: ignore[misc]
        ratios = [a / b for a, b in zip(alone, together, strict=True)]
        minute = " | ".join(f"{60 / statistics.median(values):.0f}" for values in (alone, together))
        print(f"| {variant} | {seeds} | {minute} | {show(ratios)} |", flush=True)


if __name__ == "__main__":
    main()
