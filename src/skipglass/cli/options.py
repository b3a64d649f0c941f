"""Options of a command from the classes that declare them (`skipglass.training.option`).

A *table* is {name: what is declared of an option}, as `skipglass.training.options` returns it for such a class. Where
several tables have an option, a command has it once; its help text says what it means in each, and which default.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from inspect import Parameter, Signature, signature
from types import NoneType
from typing import Annotated, Any, get_args, get_origin

import typer

from skipglass import check
from skipglass.errors import InputError

__all__ = ["AsJson", "Table", "counted", "folder", "refuse", "with_options", "with_seeds"]

Rules = Mapping[str, Any]
Table = Mapping[str, Rules]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def folder(text: str) -> Any:
    """Return an option for a folder."""
    return typer.Option(metavar="FOLDER", help=text)


def with_options(tables: Mapping[str, Table]) -> Callable[[Callable], Callable]:
    """Give a command all options of some tables, but for fields that are kept off the command line.

    Parameters
    ----------
    tables
        {to what a table applies, in one word: the table}; the word of a single table may be empty.

    Returns
    -------
    callable
        A decorator. The command has a parameter ``given``, which gets {name: value} of the options that the user gave:
        [2, 4] for the text "2,4", and for a flag the value that it gives to its field.

    Examples
    --------
    >>> from skipglass.training import Grid, options
    >>> @with_options({"": options(Grid)})
    ... def command(given):
    ...     return given
    >>> list(signature(command).parameters)[:3]
    ['separations', 'learning_rates', 'variants']
    """
    # {name: {to what it applies: what is declared}}, in the order of the tables
    declared: dict[str, dict[str, Rules]] = {}
    for label, table in tables.items():
        for name, rules in table.items():
            if rules["flag"] is not None:
                declared.setdefault(name, {})[label] = rules

    def decorate(command: Callable) -> Callable:
        @wraps(command)
        def called(**values: Any) -> Any:
            typed = {name: values.pop(name) for name in declared}
            # what was not given is None, or False where it is a flag
            given = {k: _value(_first(declared[k]), v) for k, v in typed.items() if v is not None and v is not False}
            return command(**values, given=given)

        # typer builds the command from this signature
        own = [parameter for name, parameter in signature(command).parameters.items() if name != "given"]
        ours = [_parameter(name, among, len(tables)) for name, among in declared.items()]
        called.__signature__ = Signature([*own, *ours])  # type: ignore[attr-defined] # any function may have one
        return called

    return decorate


def _first(among: Mapping[str, Rules]) -> Rules:
    return next(iter(among.values()))


def _kind(declared: Any) -> tuple[type, bool]:
    """The type of a value in an annotation, and whether there are many: of "int | None" or "Sequence[int]", int."""
    inside = get_args(declared)
    if get_origin(declared) in (Sequence, tuple):
        return inside[0], True
    return _kind(inside[0]) if NoneType in inside else (declared, False)


def _value(rules: Rules, typed: Any) -> Any:
    """The value of a field from what was typed."""
    kind, many = _kind(rules["type"])
    if kind is bool:
        return not rules["default"]
    if many:
        try:
            return tuple(kind(part.strip()) for part in typed.split(",") if part.strip())
        except ValueError:
            raise InputError(f"{rules['flag']} must be a list of numbers like 2,4,8, not {typed!r}") from None
    # 20.0 is what a field of whole numbers wants, too; one of any number takes 20 as well
    return int(typed) if isinstance(typed, float) and typed.is_integer() else typed


def _parameter(name: str, among: Mapping[str, Rules], tables: int) -> Parameter:
    """One option of the command, {label: what that table declares}."""
    rules, kinds = _first(among), {_kind(each["type"]) for each in among.values()}
    # a whole number in one table and any number in another is read as any number
    kind, many = (float, False) if len(kinds) > 1 else kinds.pop()
    option = typer.Option(
        rules["flag"],
        help=_help(among, tables),
        rich_help_panel=rules.get("group") or None,
        metavar="A,B,…" if many else None,
    )
    default, annotation = (False, bool) if kind is bool else (None, (str if many else kind) | None)
    return Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[annotation, option])


def _help(among: Mapping[str, Rules], tables: int) -> str:
    """What an option means, which words it takes, to what it applies, and its default: each a sentence."""
    rules, label = _first(among), next(iter(among))
    # the same words of all tables stand once, different ones after the name of their table
    said = [_each({label: each.get("flag_help", each["help"]) for label, each in among.items()}, ": ", " ")]
    if "choices" in rules:
        said.append(f"Choices: {', '.join(rules['choices'])}.")
    # a heading may say already to what the option applies
    if len(among) == 1 < tables and label != rules["group"].lower():
        said.append(f"For {label} only.")
    defaults = {label: text for label, each in among.items() if (text := _text(each["default"]))}
    if defaults:
        said.append(f"Default: {_each(defaults, ' ', ', ')}.")
    return " ".join(said)


def _each(texts: Mapping[str, str], colon: str, comma: str) -> str:
    """The texts with their labels, or the one that all of them are."""
    if len(set(texts.values())) == 1:
        return next(iter(texts.values()))
    return comma.join(f"{label}{colon}{text}" for label, text in texts.items())


def _text(default: object) -> str:
    """A default as one types it; nothing for a flag, nor for None: the help text says what that means."""
    if default is None or isinstance(default, bool):
        return ""
    if isinstance(default, tuple):
        return ",".join(map(_text, default))
    return f"{default:g}" if isinstance(default, float) else str(default)


def refuse(given: Mapping[str, Any], tables: Mapping[str, Table], what: str) -> None:
    """Refuse what was given for options of other tables only.

    Raises
    ------
    InputError
        If there is any: its options.
    """
    # a field need not have the name of its flag
    flags = {name: rules["flag"] for table in tables.values() for name, rules in table.items()}
    wrong = [flags[name] for name in given if name not in tables[what]]
    if wrong:
        raise InputError(f"{', '.join(wrong)} does not apply to {what}; leave it out")


def counted(table: Table, number: int) -> Table:
    """Return a table that asks for its seeds by their number (by default this one) and by the first of them."""
    many = {"flag": "--seeds", "default": number, "help": "Number of networks, each of another seed."}
    first = {"flag": "--seed", "default": 0, "help": "Seed of network 0; network i uses seed + i."}
    return {**table, **{k: {"type": int, "group": "Training", **v} for k, v in {"seeds": many, "seed": first}.items()}}


def with_seeds(given: Mapping[str, Any], table: Table) -> dict[str, Any]:
    """Return what was given for the options of a `counted` table, with the range of seeds that it asks for.

    Raises
    ------
    InputError
        If their number is not positive, or the first is no seed.
    """
    values = {"seed": 0, "seeds": table["seeds"]["default"], **given}
    first = check.seed("seed", values.pop("seed"))
    return {**values, "seeds": range(first, first + check.integer("seeds", values["seeds"], 1))}
