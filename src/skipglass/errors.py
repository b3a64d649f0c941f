"""The exceptions that a user's mistake raises: each says what was asked, what was found and what to do."""

import sys
import warnings
from types import FrameType

__all__ = ["DecompositionError", "InputError", "StorageError", "UserError", "asked", "one_line", "warn"]

OURS = {"skipglass", "functools", "contextlib"}
"""Whose frames lie between the user's code and a function of this package: cached properties and contexts, too."""


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
    warnings.warn(text, stacklevel=len(_frames()))


def asked() -> str:
    """Return the name of what the user called: the outermost function of this package, however deep the call is."""
    named = [f.f_code for f in _frames()[:-1] if f.f_globals["__name__"].startswith("skipglass")]
    called = [code.co_qualname for code in named if code.co_name != "<module>"]  # an example in a docstring
    return called[-1].removesuffix(".__init__")


def _frames() -> list[FrameType]:
    """The frames from the caller outwards to the first of the user's."""
    frames, frame = [], sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] in OURS:
        frames.append(frame)
        frame = frame.f_back
    return [*frames, frame]
