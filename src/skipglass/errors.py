"""The exceptions a user's mistake raises: each names what was asked, what was found, what to do."""

__all__ = ["DecompositionError", "InputError", "StorageError", "UserError"]


class UserError(Exception):
    """A mistake that the user can mend; the command line prints it as one line and exits with status 2."""


class InputError(UserError, ValueError):
    """An argument that the asked quantity is not defined for."""


class StorageError(UserError, OSError):
    """A file or folder that cannot be read or written as asked."""


class DecompositionError(UserError, ArithmeticError):
    """The parts of a gradient that do not sum to it: the backward pass is not linear, or is hidden."""
