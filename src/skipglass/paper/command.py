"""A long computation: told of step by step, and recorded from a command line."""

import argparse
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path

import xarray as xr

from skipglass.paper.experiment import Tell
from skipglass.record import save

__all__ = ["command", "steps_of"]


def steps_of(tell: Tell, steps: int) -> Callable[..., None]:
    """Return what is called after each of some steps, with anything, and tells how many of them are done."""
    done = count(1)

    def step(*_: object) -> None:
        tell(next(done), steps)

    return step


def command(kind: str, compute: Callable[[], xr.Dataset], arguments: Sequence[str] | None = None) -> None:
    """Compute a recording, and save it under the name that a command line gives.

    Parameters
    ----------
    kind
        What its file says that it holds.
    compute
        Makes it.
    arguments
        In place of those of the command line.
    """
    parser = argparse.ArgumentParser(description=f"Record: {kind}.")
    parser.add_argument("recording", type=Path)
    path = parser.parse_args(arguments).recording
    save(compute(), path, kind=kind)
