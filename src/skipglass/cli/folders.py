"""Folders on the command line."""

from pathlib import Path
from typing import Any

import typer

from skipglass import check
from skipglass.errors import InputError

__all__ = ["folder_option"]


def folder_option(text: str) -> Any:
    """Return an option for a folder; an empty name, which Path reads as this folder, is refused."""
    return typer.Option(parser=_named, metavar="FOLDER", help=text)


def _named(folder: str | Path) -> Path:
    try:
        return check.path(folder)
    except InputError as error:  # a ValueError, whose words typer does not show
        raise typer.BadParameter(str(error)) from error
