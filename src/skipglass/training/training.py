"""One training from its settings to its recording, whatever it trains; `MLPs` and `ResNet` say what that is."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch.nn.functional as F
import xarray as xr
from torch import Tensor, nn

from skipglass.training.callbacks import Recorder
from skipglass.training.checkpoint import Checkpoint
from skipglass.training.loop import Callback, Diverged, Interrupted, Run, fit
from skipglass.training.settings import TrainingSettings

if TYPE_CHECKING:
    from lightning_fabric import Fabric

__all__ = ["Training"]


class Training:
    """A network with its batches and its optimiser, before the first step.

    Attributes
    ----------
    settings
        Of the training.
    model, trained
        The network as it is measured, and as `fit` calls it: compiled, or distributed over processes.
    batches, optimizer, loss_fn
        As in `fit`.
    recorder, monitor
        What is recorded; None where no monitor watches.
    fabric
        Where the training computes; None is this process on the CPU.
    """

    settings: TrainingSettings
    model: nn.Module
    trained: nn.Module
    batches: Any
    optimizer: Any
    recorder: Recorder
    monitor: Any = None
    fabric: "Fabric | None" = None
    loss_fn: Callable[[Tensor, Tensor], Tensor] = staticmethod(F.cross_entropy)

    def fit(self, callbacks: Sequence[Callback] = (), epochs_done: int = 0) -> Run:
        """Train the network."""
        return fit(
            self.trained, self.batches, self.optimizer, callbacks, epochs=self.settings.epochs, epochs_done=epochs_done,
            loss_fn=self.loss_fn, backward=Tensor.backward if self.fabric is None else self.fabric.backward,
        )  # fmt: skip

    def recording(self) -> xr.Dataset:
        """Return what was recorded so far, with the settings and "epochs_done" as attributes."""
        raise NotImplementedError

    def record(self, checkpoint: Checkpoint, callbacks: Sequence[Callback]) -> xr.Dataset:
        """Train from where a checkpoint starts, and return the recording of the whole training.

        Raises
        ------
        Diverged, Interrupted
            If the training ends early; the exception has the recording so far.
        """
        parts = {"model": self.model, "optimizer": self.optimizer, "batches": self.batches, "recording": self.recorder}
        if self.monitor is not None:
            parts["monitor"] = self.monitor
        # whoever catches what ends the training early finds the recording in it, and cannot take it for a whole one
        try:
            self.fit(callbacks, checkpoint.start(parts, self.fabric))
        except Diverged as error:
            error.recording = self.recording()
            raise
        except KeyboardInterrupt as error:
            done = f"epoch {self.recorder.epochs_done} of {self.settings.epochs}"
            early = Interrupted(f"stopped after {done}; {checkpoint}")
            early.recording = self.recording()
            raise early from error
        return self.recording()
