"""Where a run computes: the device, the precision, and one process or the many that torchrun has started."""

import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

from skipglass.errors import InputError, UserError

if TYPE_CHECKING:  # an extra, and slow to import
    from lightning_fabric import Fabric

__all__ = ["launched", "log_level"]


@contextmanager
def launched(device: str, precision: str) -> "Iterator[Fabric]":
    """Start Lightning Fabric on this process's device, and end its process group afterwards.

    Parameters
    ----------
    device
        "auto" (a GPU if there is one), "cpu", "cuda", or one GPU, "cuda:1".
    precision
        "float32", "bfloat16" or "float64"; Fabric sees to the second only.

    Yields
    ------
    Fabric
        Knows its rank and the number of processes; under torchrun on CPUs they talk by gloo, on GPUs by NCCL.

    Raises
    ------
    InputError
        If the device is unknown or not there.
    UserError
        If lightning-fabric is not installed.
    """
    kind, index = _device(device)
    try:
        from lightning_fabric import Fabric
    except ImportError as error:
        raise UserError("training needs lightning-fabric: pip install 'skipglass[train]'") from error
    processes, local = (int(os.environ.get(name, 1)) for name in ("WORLD_SIZE", "LOCAL_WORLD_SIZE"))
    # torchrun tells each process how many there are, and how many of them on this machine
    alone = processes == 1
    if kind == "cuda" and not alone and local > torch.cuda.device_count():
        raise InputError(f"{local} processes were started here, for {torch.cuda.device_count()} GPUs; start fewer")
    with log_level("lightning_fabric", logging.WARNING):  # it announces the precision
        fabric = Fabric(
            accelerator=kind,
            devices=([index] if kind == "cuda" else 1) if alone else local,
            num_nodes=1 if alone else processes // local,
            strategy="auto" if alone else "ddp",
            precision="bf16-mixed" if precision == "bfloat16" else "32-true",  # Fabric's "64-true" gives float32 logits
        )
        fabric.launch()
        try:
            yield fabric
        finally:
            if not alone and torch.distributed.is_initialized():
                torch.distributed.destroy_process_group()


@contextmanager
def log_level(name: str, level: int) -> Iterator[None]:
    """Give a logger of another package this level inside the block."""
    logger = logging.getLogger(name)
    before = logger.level
    logger.setLevel(level)
    try:
        yield
    finally:
        logger.setLevel(before)


def _device(name: str) -> tuple[str, int]:
    """The accelerator and the number of its device."""
    wanted = re.fullmatch(r"(auto|cpu|cuda)(?::(\d+))?", name)
    if wanted is None or (wanted[2] and wanted[1] != "cuda"):
        raise InputError(f"device must be auto, cpu, cuda or cuda:NUMBER, not {name!r}")
    found = torch.cuda.device_count()
    kind, index = wanted[1], int(wanted[2] or 0)
    if kind == "auto":
        kind = "cuda" if found else "cpu"
    if kind == "cuda" and index >= found:
        raise InputError(f"device {name} is not there: {found} GPUs were found; use --device cpu")
    return kind, index
