"""Started by torchrun: trains, and the first process writes the loss of every step."""

import sys
from pathlib import Path

import torch

from skipglass.training import ResNetSettings
from skipglass.training.processes import launched
from skipglass.training.resnet_run import ResNetRun

SETTINGS = ResNetSettings(
    "digits", depth=8, width=0.25, normalized=False, epochs=5, batch_size=16, subset=640, learning_rate=0.01,
    precision="float64", every=10**6,
)  # fmt: skip


def losses():
    with launched("cpu", SETTINGS.precision) as fabric:
        run = ResNetRun(SETTINGS, SETTINGS.images(), fabric)
        run.monitors = {}  # they have tests of their own
        found = []
        for _ in range(SETTINGS.epochs):
            run.epoch()
            found.append(run.losses.clone())
        return fabric.global_rank, torch.cat(found), run.recording.rows


if __name__ == "__main__":
    rank, values, rows = losses()
    if rank == 0:
        torch.save({"losses": values, "rows": rows}, Path(sys.argv[1]))
