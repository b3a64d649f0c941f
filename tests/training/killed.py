"""Trains in children that are killed (SIGKILL) at random moments and started again, until one gets through."""

import os
import random
import signal
import sys
import time
from pathlib import Path

import lightning_fabric  # noqa: F401 # here, so that no child has to import it
import xarray as xr

from skipglass.record import save
from skipglass.training import CHECKPOINT, ResNetSettings, train_resnet

SETTINGS = ResNetSettings(
    "digits", depth=8, width=0.25, epochs=8, batch_size=32, subset=256, every=12, decay_scales=False
)  # fmt: skip
ENDED = set()


def child(folder):
    """Resume if there is something to resume; os._exit leaves the parent's state alone."""
    resume = (folder / CHECKPOINT).is_file()
    recording = train_resnet(SETTINGS, folder=folder, resume=resume, device="cpu")
    save(recording, folder / "done.nc", kind="resnet")
    os._exit(0)


def written(folder):
    """When the checkpoint was last written."""
    return (folder / CHECKPOINT).stat().st_mtime_ns if (folder / CHECKPOINT).is_file() else None


def ended(pid):
    """Whether a child has ended by itself; it is reaped once, and its pid not used again."""
    if pid not in ENDED and os.waitpid(pid, os.WNOHANG)[0]:
        ENDED.add(pid)
    return pid in ENDED


def main(folder, seed):
    xr.Dataset().to_netcdf(folder / "warm.nc", engine="h5netcdf")  # imports what saving needs
    (folder / "warm.nc").unlink()
    moments = random.Random(seed)
    kills = 0
    while not (folder / "done.nc").is_file():
        pid = os.fork()
        if pid == 0:
            try:
                child(folder)
            finally:
                os._exit(1)
        if kills < 5:
            before = written(folder)
            while written(folder) == before and not ended(pid):
                time.sleep(0.001)  # so that each attempt gets an epoch further, however slow the machine is
            time.sleep(moments.uniform(0, 0.15))
            if not ended(pid):
                os.kill(pid, signal.SIGKILL)
                kills += os.WTERMSIG(os.waitpid(pid, 0)[1]) == signal.SIGKILL
        elif os.waitpid(pid, 0)[1]:
            sys.exit("a run that nobody killed failed")
    print(kills)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
