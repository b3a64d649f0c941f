"""The exceptions that a user's mistake raises: each says what was asked, what was found and what to do."""

import sys
import warnings

__all__ = ["DecompositionError", "InputError", "StorageError", "UserError", "one_line", "warn"]


class UserError(Exception):
    """A mistake that the user can correct; the command line prints it as one line and exits with status 2."""


class InputError(UserError, ValueError):
    """An argument for which the requested quantity is not defined."""


class StorageError(UserError, OSError):
    """A file or folder that cannot be read or written as requested."""


class DecompositionError(UserError, ArithmeticError):
    """The parts of a gradient do not sum to the gradient: the backward pass is not linear, or is hidden."""


def one_line(error: BaseException) -> str:
    """Return the type of an exception raised by other code, and the first line of its message."""
    return f"{type(error).__name__}: {(str(error).strip() or 'no message').splitlines()[0]}"


def warn(text: str) -> None:
    """Warn at the line of the user's code that called the package, however deep the call is inside it."""
    ours = {"skipglass", "functools", "contextlib"}  # cached properties and contexts lie between our own frames
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] in ours:
        level, frame = level + 1, frame.f_back
    warnings.warn(text, stacklevel=level)
