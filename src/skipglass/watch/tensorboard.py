"""The evaluations of a monitor as scalars for TensorBoard."""

import math
from pathlib import Path
from typing import Any

from skipglass import check
from skipglass.errors import InputError, StorageError
from skipglass.watch.recording import VARIABLES

__all__ = ["TensorBoard"]


class TensorBoard:
    """Write "effective_depth", "participation/layer3.4", "absorbed_norm/layer1.0.conv1", … under each step.

    Parameters
    ----------
    folder
        Of the event files.

    Raises
    ------
    InputError
        If TensorBoard is not installed.
    StorageError
        If the folder cannot be created or written in.
    """

    def __init__(self, folder: str | Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise InputError("TensorBoard is not installed; pip install 'skipglass[tensorboard]'") from error
        try:
            self.writer = SummaryWriter(str(check.path(folder)))
        except OSError as error:
            reason = error.strerror or error
            raise StorageError(
                f"TensorBoard's folder {folder} cannot be written in: {reason}; choose another folder"
            ) from error

    def write(self, row: dict[str, Any]) -> None:
        """Write one evaluation's finite numbers; spectra and single samples are left to the recording."""
        values = {}
        for name, one in VARIABLES.items():
            if name in row and not one.dims:
                values[name] = row[name]
            elif name in row and one.labels and one.dims != ("length",):
                values |= {f"{name}/{label}": v for label, v in zip(row[one.labels], row[name], strict=True)}
        for name, value in values.items():
            if math.isfinite(value):
                self.writer.add_scalar(name, value, row["step"])
        self.writer.flush()
