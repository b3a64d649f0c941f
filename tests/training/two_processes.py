"""Started by torchrun: trains, and the first process writes the loss of every step."""

import sys
from pathlib import Path

import torch

from skipglass.training import ResNetSettings
from skipglass.training.processes import launched
from skipglass.training.resnet import ResNet

SETTINGS = ResNetSettings(
    "digits", depth=8, width=0.25, normalized=False, epochs=5, batch_size=16, subset=640, learning_rate=0.01,
    precision="float64", every=10**6,
)  # fmt: skip


def losses():
    with launched("cpu", SETTINGS.precision) as fabric:
        training = ResNet(SETTINGS, SETTINGS.images(), fabric)  # without a monitor: it has tests of its own
        found = []

        def keep(run):
            if run.epoch_ends:
                found.append(training.losses.values.clone())

        training.fit([training.losses, keep, training.recorder, training.schedule])
        rows = [{name: v for name, v in row.items() if name != "seconds"} for row in training.recorder.rows]
        return fabric.global_rank, torch.cat(found), rows


if __name__ == "__main__":
    rank, values, rows = losses()
    if rank == 0:
        torch.save({"losses": values, "rows": rows}, Path(sys.argv[1]))
