"""The packages that the interactive page needs, and what to do where they are missing."""

from importlib import import_module
from types import ModuleType

from skipglass.errors import UserError

__all__ = ["page_extra"]


def page_extra(module: str) -> ModuleType:
    """Import a package of the ``page`` extra, or say how to install it."""
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise UserError(f"{module} is not installed; run: pip install 'skipglass[page]'") from error
