"""The exceptions a user's mistake raises: each names what was asked, what was found, what to do."""

import sys
import warnings

__all__ = ["DecompositionError", "InputError", "StorageError", "UserError", "one_line", "warn"]


class UserError(Exception):
    """A mistake that the user can mend; the command line prints it as one line and exits with status 2."""


class InputError(UserError, ValueError):
    """An argument that the asked quantity is not defined for."""


class StorageError(UserError, OSError):
    """A file or folder that cannot be read or written as asked."""


class DecompositionError(UserError, ArithmeticError):
    """The parts of a gradient that do not sum to it: the backward pass is not linear, or is hidden."""


def one_line(error: BaseException) -> str:
    """Return the type of what other code raised, and the first line of what it says."""
    return f"{type(error).__name__}: {(str(error).strip() or 'no message').splitlines()[0]}"


def warn(text: str) -> None:
    """Warn at the line of the user's code that called the package, however deep the call is inside it."""
    ours = {"skipglass", "functools", "contextlib"}  # cached properties and contexts lie between our own frames
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] in ours:
        level, frame = level + 1, frame.f_back
    warnings.warn(text, stacklevel=level)
