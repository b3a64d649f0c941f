"""Checks at the boundary of the package: each returns the value in its plain type or raises InputError."""

import math
import operator
import os
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path

from skipglass.errors import InputError

__all__ = ["choice", "free_memory", "integer", "memory", "path", "probability", "real", "seed", "seeds", "separation"]


def integer(name: str, value: object, minimum: int = 0, maximum: int | None = None) -> int:
    """Return ``value`` as an int within ``minimum..maximum``."""
    wanted = f"an integer of at least {minimum}" if maximum is None else f"an integer in {minimum}..{maximum}"
    try:
        if isinstance(value, bool):
            raise TypeError
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise InputError(f"{name} must be {wanted}, not {value!r}") from None
    if number < minimum or (maximum is not None and number > maximum):
        raise InputError(f"{name} must be {wanted}, not {number}")
    return number


def real(name: str, value: object, minimum: float = -math.inf, *, above: bool = False) -> float:
    """Return ``value`` as a finite float of at least (``above``: greater than) ``minimum``."""
    bound = "" if minimum == -math.inf else f" {'above' if above else 'of at least'} {minimum:g}"
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise InputError(f"{name} must be a number{bound}, not {value!r}") from None
    if not math.isfinite(number) or number < minimum or (above and number == minimum):
        raise InputError(f"{name} must be a finite number{bound}, not {number:g}")
    return number


def choice(name: str, value: object, options: Iterable[str]) -> str:
    """Return ``value`` if it is one of ``options``; suggest the nearest if it is not."""
    known = list(options)
    if value in known:
        return str(value)
    near = get_close_matches(str(value), known, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise InputError(f"{name} must be one of {', '.join(known)}, not {value!r}{hint}")


def memory(what: str, size: int, remedy: str) -> None:
    """Refuse what needs more than ``size`` bytes of free memory; where the system does not tell, nothing is refused."""
    free = free_memory()
    if free is not None and size > free:
        raise InputError(f"{what} would take {_gigabytes(size)}, and {_gigabytes(free)} are free; {remedy}")


def free_memory() -> int | None:
    """Return the bytes that are free, None where the system does not tell."""
    try:
        return 1024 * int(Path("/proc/meminfo").read_text(encoding="ascii").split("MemAvailable:")[1].split()[0])
    except (OSError, IndexError, ValueError):
        return None


def _gigabytes(number: int) -> str:
    """Bytes for people, also those that do not fit in a float."""
    return f"{number / 1e9:,.1f} GB" if number < 10**18 else f"10^{len(str(number)) - 10} GB"


def path(value: object) -> Path:
    """Return the name of a file or folder as a Path."""
    if not isinstance(value, (str, os.PathLike)) or isinstance(found := os.fspath(value), bytes):
        raise InputError(f"a path must be text or a pathlib.Path, not {value!r}")
    if not found:
        raise InputError("a path must not be empty; '.' is the current folder")
    if "\0" in found:
        raise InputError(f"a path holds no null character, found {found!r}")
    return Path(found)


def probability(name: str, value: object) -> float:
    """Return ``value`` as a float in [0, 1]."""
    number = real(name, value, 0.0)
    if number > 1:
        raise InputError(f"{name} must be a probability in [0, 1], not {number:g}")
    return number


def seed(name: str, value: object) -> int:
    """Return ``value`` as a seed that torch's generators take."""
    return integer(name, value, 0, 2**63 - 1)


def seeds(values: object) -> tuple[int, ...]:
    """Return a non-empty tuple of seeds."""
    if not isinstance(values, Iterable):
        raise InputError(f"seeds must be a sequence of integers, not {values!r}")
    checked = tuple(seed("a seed", value) for value in values)
    if not checked:
        raise InputError("seeds must name at least one seed, found none")
    return checked


def separation(value: object) -> float:
    """Return the distance of two class centres, in standard deviations of a class."""
    number = real("separation", value, 0.0)
    if number > 1e6:
        raise InputError(f"separation must be at most 1e6 standard deviations, not {number:g}")
    return number
