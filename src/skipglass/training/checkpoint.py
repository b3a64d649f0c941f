"""The state of a training on disk: written whole or not at all, read without running code from it."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from skipglass.errors import InputError, StorageError
from skipglass.record import remove_leftovers, write_atomically
from skipglass.training.interrupts import interrupts_held
from skipglass.training.loop import Run
from skipglass.training.settings import TrainingSettings

if TYPE_CHECKING:
    from lightning_fabric import Fabric

__all__ = ["CHECKPOINT", "Checkpoint"]

CHECKPOINT = "checkpoint.pt"


class Checkpoint:
    """Keep the state of a training after each epoch in FOLDER/checkpoint.pt, and go on from there.

    Parameters
    ----------
    folder
        Where; None keeps nothing.
    settings
        Of the training.
    resume
        Whether to go on from the checkpoint in the folder, which is read now.
    free
        Which settings may differ from those of the checkpoint.

    Raises
    ------
    InputError
        If a training is to be resumed without a folder.
    StorageError
        If the file is missing, damaged, no checkpoint of ours, or of a training with other settings.
    """

    def __init__(
        self, folder: Path | str | None, settings: TrainingSettings, *, resume: bool, free: tuple[str, ...] = ()
    ) -> None:
        if resume and folder is None:
            raise InputError("resume needs the folder that holds the checkpoint; none was given")
        self.path = None if folder is None else Path(folder) / CHECKPOINT
        self.settings = settings
        self.state = self._read(self.path, free) if resume and self.path is not None else None

    def __str__(self) -> str:
        return "no checkpoint was kept" if self.path is None else f"the checkpoint {self.path} is kept"

    def start(self, parts: Mapping[str, Any], fabric: "Fabric | None" = None) -> int:
        """Take over the checkpoint that was read, or write the first one.

        Parameters
        ----------
        parts
            {name: what has ``state_dict`` and ``load_state_dict``}, all that the next epoch depends on.
        fabric
            Where many processes may train together, or a GPU: the first process writes. None trains on a CPU.

        Returns
        -------
        int
            How many epochs are done.

        Raises
        ------
        InputError
            If more epochs are done than the training is to have.
        StorageError
            If the checkpoint does not fit the training, or is of another kind of device, or cannot be written.
        """
        # kept for the checkpoints of the epochs to come
        self.parts, self.fabric = parts, fabric
        self.device = device = "cpu" if fabric is None else fabric.device.type  # each draws its own random numbers
        if self.state is None:
            self._write(0)
            return 0
        if (there := self.state.get("device", device)) != device:
            raise self._refusal(
                f"was trained on {there}, whose random numbers {device} does not draw",
                f"resume with device {there} or choose another --out",
            )
        try:
            for name, part in parts.items():
                part.load_state_dict(self.state[name])
            epochs_done = int(self.state["epochs_done"])
        except (KeyError, TypeError, ValueError, RuntimeError, AttributeError) as error:
            what = f"does not hold the state of such a training ({type(error).__name__})"
            raise self._refusal(what, "delete it to start anew") from error
        if epochs_done > self.settings.epochs:
            raise InputError(
                f"the checkpoint {self.path} has {epochs_done} epochs, more than epochs = {self.settings.epochs}"
            )
        return epochs_done

    def __call__(self, run: Run) -> None:
        """Replace the checkpoint at the end of an epoch."""
        if run.epoch_ends:
            self._write(round(run.progress))

    def _write(self, epochs_done: int) -> None:
        if self.path is not None and (self.fabric is None or self.fabric.global_rank == 0):
            state = {name: part.state_dict() for name, part in self.parts.items()}
            state |= {"settings": self.settings.attributes(), "device": self.device, "epochs_done": epochs_done}
            # into memory first: on a full disk torch.save ends in an unspecific RuntimeError
            buffer = io.BytesIO()
            with interrupts_held():
                torch.save(state, buffer)
                remove_leftovers(self.path)
                with write_atomically(self.path) as temporary:
                    temporary.write_bytes(buffer.getbuffer())
        # no process goes on before the file is there
        if self.fabric is not None:
            self.fabric.barrier()

    def _read(self, path: Path, free: tuple[str, ...]) -> dict[str, Any]:
        """The state of a training that was started with the same settings."""
        if not path.is_file():
            raise StorageError(f"cannot resume: there is no checkpoint {path}; start without --resume")
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
            stored = dict(state["settings"])
        except Exception as error:  # torch.load raises many unrelated types on a damaged file
            what = f"is damaged or no checkpoint ({type(error).__name__})"
            raise self._refusal(what, "delete it to start anew") from error
        # it is a checkpoint of ours: of this training?
        wanted = self.settings.attributes()
        if stored.keys() != wanted.keys():
            what = f"belongs to another kind of training (it knows {', '.join(sorted(stored))})"
            raise self._refusal(what, "choose another --out")
        for name, value in wanted.items():
            if name not in free and stored[name] != value:
                what = f"was trained with {name} = {stored[name]}, not {value}"
                raise self._refusal(what, "resume with the same settings or choose another --out")
        return state

    def _refusal(self, what: str, remedy: str) -> StorageError:
        return StorageError(f"cannot resume: {self.path} {what}; {remedy}")
