"""Settings declared once: a field of a settings class carries its help text, its range and its place on a command line.

`option` stands where `dataclasses.field` would, and keeps in the field's metadata, under these names,

    help                one sentence for the reader of a command line or of a docstring
    group               the heading under which a command line lists it
    minimum, maximum    the range of a number; ``above=True`` leaves the minimum itself out
    choices             the words that are allowed
    flag                its name on a command line, where that is not "--" and the name of the field; None keeps it off
    flag_help           the help text there, where a flag says the contrary of the field

Its type is the annotation: int, float, bool, str or Path (those two are not checked, but for choices); "... | None"
where None is allowed, "Sequence[...]" of values that differ. A class that inherits a field and gives it another default
keeps what is declared in its base. `options` reads all of it; `validate` checks an instance by it.
"""

import dataclasses
import inspect
import math
from collections.abc import Mapping, Sequence
from functools import cache
from types import NoneType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from skipglass import check
from skipglass.errors import InputError

__all__ = ["documented", "option", "options", "validate"]

Class = TypeVar("Class", bound=type)


def option(
    default: Any, help: str = "", group: str = "", /, *, like: tuple[type, str] | None = None, **declared: Any
) -> Any:
    """Declare a field.

    Parameters
    ----------
    default
        Of the field; ``...`` where every class that inherits it has its own.
    help, group
        As in the module. Without them those of the base class hold.
    like
        A class and the name of a field there that has the same meaning: what is not declared here is as there.
    **declared
        As in the module.
    """
    words = {"help": help, "group": group} if help else {}
    default = dataclasses.MISSING if default is ... else default
    return dataclasses.field(default=default, metadata={**(_declared(*like) if like else {}), **words, **declared})


@cache
def options(cls: Any) -> dict[str, Mapping[str, Any]]:
    """Return what is declared of each field of a settings class, by name; "default" and "type" are there too.

    Examples
    --------
    >>> from skipglass.training import ResNetSettings
    >>> options(ResNetSettings)["subset"]
    {'flag': '--subset', 'default': None, 'type': int | None,
     'help': 'Train on this many images, drawn by the seed (default: all).', 'group': 'Data', 'minimum': 1}
    """
    # annotations are resolved here, as some are written as text
    hints = get_type_hints(cls)
    return {
        one.name: {"flag": f"--{one.name.replace('_', '-')}", "default": one.default, "type": hints[one.name]}
        | _declared(cls, one.name)
        for one in dataclasses.fields(cls)
    }


def validate(settings: Any) -> None:
    """Check every field of a new settings object, and replace it by its plain type.

    Raises
    ------
    InputError
        If a value is out of range, unknown, or of another type; of a sequence, if it is empty or holds a value twice.
    """
    for name, rules in options(type(settings)).items():  # type: ignore[arg-type] # a class is hashable
        object.__setattr__(settings, name, _checked(name, getattr(settings, name), rules["type"], rules))


def documented(cls: Class) -> Class:
    """Add the fields of a settings class to its docstring, with their help texts."""
    fields = "\n".join(f"{name}\n    {rules['help']}" for name, rules in options(cls).items())
    cls.__doc__ = f"{inspect.getdoc(cls)}\n\nParameters\n----------\n{fields}\n"
    return cls


def _declared(cls: Any, name: str) -> dict[str, Any]:
    """What a class declares of a field, over what its bases declare."""
    declared: dict[str, Any] = {}
    # from the most general class to this one
    for base in reversed(cls.__mro__):
        if name in getattr(base, "__dataclass_fields__", {}):
            declared |= base.__dataclass_fields__[name].metadata
    return declared


def _checked(name: str, value: Any, kind: Any, rules: Mapping[str, Any]) -> Any:
    """A value in its plain type, which is one of the four, one of them or None, or a sequence of one."""
    if get_origin(kind) is Sequence:
        if isinstance(value, str) or not hasattr(value, "__iter__"):
            raise InputError(f"{name} must be a sequence of values, not {value!r}")
        values = tuple(_checked(f"each of {name}", one, get_args(kind)[0], rules) for one in value)
        if not values:
            raise InputError(f"{name} is empty; give at least one value")
        if len(set(values)) < len(values):
            raise InputError(f"{name} must differ, found {', '.join(map(str, values))}")
        return values
    if NoneType in get_args(kind):
        return None if value is None else _checked(name, value, get_args(kind)[0], rules)
    # from here on the value is one of the four
    if "choices" in rules:
        return check.choice(name, value, rules["choices"])
    if kind is bool:
        return bool(check.integer(name, int(value) if isinstance(value, bool) else value, 0, 1))
    if kind is int:
        return check.integer(name, value, rules.get("minimum", 0), rules.get("maximum"))
    if kind is not float:
        return value
    return check.real(
        name, value, rules.get("minimum", -math.inf), rules.get("maximum", math.inf), above=rules.get("above", False)
    )
