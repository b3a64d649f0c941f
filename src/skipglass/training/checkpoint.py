"""The state of a run on disk: written whole or not at all, read without running code from it."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from skipglass.errors import StorageError
from skipglass.record import remove_leftovers, write_atomically

__all__ = ["fitting", "read_checkpoint", "write_checkpoint"]


def write_checkpoint(path: Path, state: dict[str, object]) -> None:
    """Write tensors, numbers and lists of them to ``path``, which belongs to one run."""
    buffer = io.BytesIO()
    torch.save(state, buffer)  # to memory: a full disk would end torch.save in an unspecific RuntimeError
    remove_leftovers(path)
    with write_atomically(path) as temporary:
        temporary.write_bytes(buffer.getbuffer())


def read_checkpoint(path: Path, settings: dict[str, object], *, free: tuple[str, ...] = ("epochs",)) -> dict:
    """Read the state of a run that was started with the same settings.

    Parameters
    ----------
    path
        Written by `write_checkpoint`.
    settings
        Of the run that would go on.
    free
        Which of them may differ.

    Returns
    -------
    dict
        The state.

    Raises
    ------
    StorageError
        If the file is missing, damaged, no checkpoint of ours, or of a run with other settings.
    """
    if not path.is_file():
        raise StorageError(f"cannot resume: there is no checkpoint {path}; start without --resume")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        stored = dict(state["settings"])
    except Exception as error:  # torch.load raises many unrelated types on a damaged file
        raise StorageError(
            f"cannot resume: {path} is damaged or no checkpoint ({type(error).__name__}); delete it to start anew"
        ) from error
    if stored.keys() != settings.keys():
        raise StorageError(
            f"cannot resume: {path} belongs to another kind of training (it knows {', '.join(sorted(stored))}); "
            "choose another --out"
        )
    differing = [name for name in settings if name not in free and stored[name] != settings[name]]
    if differing:
        name = differing[0]
        raise StorageError(
            f"cannot resume: {path} was trained with {name} = {stored[name]}, not {settings[name]}; "
            "resume with the same settings or choose another --out"
        )
    return state


@contextmanager
def fitting(path: Path | None) -> Iterator[None]:
    """Take over a state that was read from ``path`` in this block.

    Raises
    ------
    StorageError
        If a part of it is missing or does not fit the run.
    """
    try:
        yield
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise StorageError(
            f"cannot resume: {path} does not hold the state of such a run ({type(error).__name__}); "
            "delete it to start anew"
        ) from error
