"""Validation of arguments: each function returns the value in its plain type or raises InputError."""

import math
import operator
import os
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import TypeVar

from skipglass.errors import InputError

__all__ = ["amount", "choice", "free_memory", "integer", "memory", "path", "real", "seed", "seeds"]

Choice = TypeVar("Choice", bound=str)


def integer(name: str, value: object, minimum: int = 0, maximum: int | None = None) -> int:
    """Return ``value`` as an int within ``minimum..maximum``, bounds included."""
    wanted = f"an integer of at least {minimum}" if maximum is None else f"an integer in {minimum}..{maximum}"
    try:
        # Python takes True for 1, but who passes it has made a mistake.
        if isinstance(value, bool):
            raise TypeError
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise InputError(f"{name} must be {wanted}, not {value!r}") from None
    if number < minimum or (maximum is not None and number > maximum):
        raise InputError(f"{name} must be {wanted}, not {number}")
    return number


def real(
    name: str, value: object, minimum: float = -math.inf, maximum: float = math.inf, *, above: bool = False
) -> float:
    """Return ``value`` as a finite float within ``minimum..maximum``, with ``above`` greater than ``minimum``."""
    lower = "" if minimum == -math.inf else f" {'above' if above else 'of at least'} {minimum:g}"
    bounds = lower if maximum == math.inf else f"{lower} and at most {maximum:g}"
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise InputError(f"{name} must be a number{bounds}, not {value!r}") from None
    if not math.isfinite(number) or not minimum <= number <= maximum or (above and number == minimum):
        raise InputError(f"{name} must be a finite number{bounds}, not {number:g}")
    return number


def choice(name: str, value: object, options: Iterable[Choice]) -> Choice:
    """Return the one of ``options`` that equals ``value``; the error suggests the most similar one."""
    known = list(options)
    for option in known:
        if option == value:
            return option
    similar = get_close_matches(str(value), known, n=1)
    hint = f"; did you mean {similar[0]!r}?" if similar else ""
    raise InputError(f"{name} must be one of {', '.join(known)}, not {value!r}{hint}")


def memory(what: str, size: int, remedy: str, free: int | None = None) -> None:
    """Refuse an allocation of ``size`` bytes that exceeds the ``free`` memory, by default that of the machine."""
    free = free_memory() if free is None else free
    if free is not None and size > free:
        raise InputError(f"{what} would take {amount(size)}, and {amount(free)} are free; {remedy}")


def free_memory() -> int | None:
    """Return the number of bytes of free memory; if it cannot be determined all memory, or None."""
    try:
        return 1024 * int(Path("/proc/meminfo").read_text(encoding="ascii").split("MemAvailable:")[1].split()[0])
    except (OSError, IndexError, ValueError):
        names = getattr(os, "sysconf_names", {})  # not on Windows
        pages = [os.sysconf(name) for name in ("SC_PHYS_PAGES", "SC_PAGE_SIZE") if name in names]
        return math.prod(pages) if len(pages) == 2 else None


def amount(size: int) -> str:
    """Return a number of bytes as text, also one that does not fit in a float."""
    if size >= 10**18:
        return f"10^{len(str(size)) - 10} GB"
    return f"{size / 1e9:,.1f} GB" if size >= 10**9 else f"{size / 1e6:.1f} MB"


def path(value: object) -> Path:
    """Return the name of a file or folder as a Path."""
    name = os.fspath(value) if isinstance(value, (str, os.PathLike)) else None
    if not isinstance(name, str):
        raise InputError(f"a path must be a string or a pathlib.Path, not {value!r}")
    if not name:
        raise InputError("a path must not be empty; '.' is the current folder")
    if "\0" in name:
        raise InputError(f"a path must not contain a null character, found {name!r}")
    return Path(name)


def seed(name: str, value: object) -> int:
    """Return ``value`` as a seed of torch's random number generators."""
    return integer(name, value, 0, 2**63 - 1)


def seeds(values: object) -> tuple[int, ...]:
    """Return a sequence of at least one seed as a tuple."""
    if not isinstance(values, Iterable):
        raise InputError(f"seeds must be a sequence of integers, not {values!r}")
    checked = tuple(seed("a seed", value) for value in values)
    if not checked:
        raise InputError("seeds must contain at least one seed, found none")
    return checked
