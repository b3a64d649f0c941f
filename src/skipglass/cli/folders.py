"""Folders on the command line."""

from pathlib import Path

import typer

from skipglass import check

__all__ = ["named"]


def named(folder: str | Path) -> Path:
    """Return the folder of an option; an empty name, which Path reads as this folder, is a slip."""
    if not str(folder):
        raise typer.BadParameter("a folder needs a name, found an empty one; '.' is the current folder")
    return check.path(folder)
