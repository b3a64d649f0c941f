"""How a field of a `Result` is declared: its letter, dimensions, units and long name, each said once.

Every helper here stands where `dataclasses.field` would. It leaves a *kind* in the field's metadata: an object that
knows how a value is laid out in a dataset (``put``) and read back from one (``take``). All take, by keyword,

    letter               the symbol, which heads a column: "‖g_r‖"
    long_name, units     label stored arrays and axes; "{unit}" becomes the value of the field ``unit``, and so on
    stored               the name in a dataset; that of the field by default
    shown                whether tables and lines show it; True by default
    default, default_factory    of the dataclass field

A field whose annotation admits None may be None: it is left out of tables and files then.
"""

import dataclasses
import functools
import json
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from skipglass.errors import StorageError

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "attributes", "coordinate", "derived", "mapping", "names", "number", "part", "parts", "text", "texts", "transient",
    "variable",
]  # fmt: skip

KEY = "skipglass"  # of a kind in the metadata of a field
PROVENANCE = frozenset({"skipglass_version", "command", "commit", "machine", "created", "skipglass_schema", "kind"})
Getter = TypeVar("Getter", bound=Callable[..., Any])


@dataclass(frozen=True, kw_only=True)
class Kind:
    """What is declared of a field; the base is one that is neither stored nor shown."""

    letter: str = ""
    long_name: str = ""
    units: str = ""
    stored: str = ""
    shown: bool = True
    name: str = ""
    optional: bool = False
    derived: bool = False

    @property
    def key(self) -> str:
        """The name in a dataset."""
        return self.stored or self.name

    def label(self, owner: object) -> str:
        """What heads a column."""
        return filled(self.letter or self.long_name or self.key.replace("_", " "), owner)

    def put(self, value: Any, dataset: "xr.Dataset", owner: object) -> None:
        """Write a value into a dataset."""

    def within(self, dataset: "xr.Dataset") -> bool:
        """Whether a dataset holds a value."""
        return self.key in dataset.attrs or self.key in dataset.variables

    def take(self, dataset: "xr.Dataset") -> Any:
        """Return the value that a dataset holds."""
        return None


@dataclass(frozen=True, kw_only=True)
class Array(Kind):
    """An array along dimensions."""

    dims: tuple[str, ...]
    of: type = float
    encode: Callable[[Any], Any] | None = None
    decode: Callable[[Any], Any] | None = None
    coordinate: bool = False

    @property
    def layouts(self) -> list[tuple[str, ...]]:
        """The dimensions that the array may have: all, or those without a "?"."""
        return [tuple(dim.rstrip("?") for dim in self.dims), tuple(dim for dim in self.dims if not dim.endswith("?"))]

    def values(self, value: Any) -> np.ndarray:
        """The value as a plain array."""
        value = self.encode(value) if self.encode else value
        if self.of is str:  # xarray stores no empty array of objects
            return np.array(value, dtype=object) if len(value) else np.zeros(0, dtype="U1")
        return np.asarray(value, dtype=self.of)

    def dims_of(self, values: np.ndarray) -> tuple[str, ...]:
        """The dimensions of an array, by their number."""
        # all dimensions before the fewer ones, so that an array without optional ones finds the second
        for dims in self.layouts:
            if len(dims) == values.ndim:
                return dims
        raise TypeError(f"{self.name} lies along {self.dims}, found an array of shape {values.shape}")

    def put(self, value: Any, dataset: "xr.Dataset", owner: object) -> None:
        """Write the array with its labels."""
        values = self.values(value)
        about = {"long_name": self.long_name or self.letter, "letter": self.letter, "units": self.units}
        labels = {name: filled(words, owner) for name, words in about.items() if words}
        (dataset.coords if self.coordinate else dataset)[self.key] = (self.dims_of(values), values, labels)

    def take(self, dataset: "xr.Dataset") -> Any:
        """Return the array, refusing other dimensions and other types than numbers of this kind."""
        stored = dataset[self.key]
        if stored.dims not in self.layouts:
            raise StorageError(f"it lies along {stored.dims}, not along {self.layouts[0]}")
        if self.of is str:
            return tuple(str(name) for name in stored.values)
        # "same_kind" refuses texts for numbers, and fractions for whole numbers
        values: Any = stored.values.astype(self.of, casting="same_kind")
        values = values if values.ndim else values.item()
        return self.decode(values) if self.decode else values


@dataclass(frozen=True, kw_only=True)
class Attribute(Kind):
    """A number, a text, a list of texts or a mapping, as one attribute of the dataset."""

    encode: Callable[[Any], Any]
    decode: Callable[[Any], Any]
    dim: str = ""

    def put(self, value: Any, dataset: "xr.Dataset", owner: object) -> None:
        """Write the encoded value."""
        dataset.attrs[self.key] = self.encode(value)

    def take(self, dataset: "xr.Dataset") -> Any:
        """Return the decoded value."""
        return self.decode(dataset.attrs[self.key])


@dataclass(frozen=True, kw_only=True)
class Attributes(Kind):
    """A mapping whose entries are attributes of the dataset under their own names."""

    owned: frozenset[str] = PROVENANCE  # what is not the mapping's: the keys of the other fields of the class, too

    def put(self, value: Any, dataset: "xr.Dataset", owner: object) -> None:
        """Write the entries."""
        dataset.attrs.update(value)

    def within(self, dataset: "xr.Dataset") -> bool:
        """Whether a dataset has attributes: always, if none at all."""
        return True

    def take(self, dataset: "xr.Dataset") -> Any:
        """Return the attributes that belong to no other field, nor to a part ("name.number.…")."""
        return {name: value for name, value in dataset.attrs.items() if name.split(".")[0] not in self.owned}


@dataclass(frozen=True, kw_only=True)
class Parts(Kind):
    """Nested results: each keeps its own layout, with "name.number." before every name."""

    of: Any
    many: bool

    def put(self, value: Any, dataset: "xr.Dataset", owner: object) -> None:
        """Write how many there are, and each."""
        inside = value if self.many else [value]
        dataset.attrs[self.key] = len(inside)
        for k, result in enumerate(inside):
            own, prefix = result.to_xarray(), f"{self.key}.{k}."
            # dimensions too: parts may differ in size
            dataset.update(own.rename({name: f"{prefix}{name}" for name in {*own.variables, *own.dims}}))
            dataset.attrs.update({prefix + name: value for name, value in own.attrs.items()})

    def take(self, dataset: "xr.Dataset") -> Any:
        """Return the nested results, each read by its own class."""
        taken = tuple(self._one(dataset, f"{self.key}.{k}.") for k in range(operator.index(dataset.attrs[self.key])))
        if not self.many and len(taken) != 1:
            raise StorageError(f"one part was expected, found {len(taken)}")
        return taken if self.many else taken[0]

    def _one(self, dataset: "xr.Dataset", prefix: str) -> Any:
        # what bears the prefix, with the names that the part's own class knows
        own = dataset[[name for name in dataset.variables if str(name).startswith(prefix)]]
        own = own.rename({name: str(name).removeprefix(prefix) for name in {*own.variables, *own.dims}})
        own.attrs = {k.removeprefix(prefix): value for k, value in dataset.attrs.items() if k.startswith(prefix)}
        return self.of.from_xarray(own)


def coordinate(dim: str, *, of: type = int, **about: Any) -> Any:
    """Declare the numbers that label a dimension, under whose name they are stored: whole ones, unless ``of=float``."""
    return _field(Array, {"stored": dim, **about}, dims=(dim,), of=of, coordinate=True)


def names(dim: str, **about: Any) -> Any:
    """Declare the names that label a dimension, a tuple of texts."""
    return coordinate(dim, of=str, **about)


def variable(
    *dims: str,
    of: type = float,
    encode: Callable[[Any], Any] | None = None,
    decode: Callable[[Any], Any] | None = None,
    **about: Any,
) -> Any:
    """Declare an array along dimensions.

    Parameters
    ----------
    *dims
        Names of the dimensions. One that ends in "?" may be absent: the number of an array's dimensions decides.
    of
        float, int or bool.
    encode, decode
        Turn the value into a NumPy array, and the array read from a file into the value: for a tensor
        ``encode=lambda t: t.cpu().numpy(), decode=torch.from_numpy``.
    **about
        As in the module; tables show an array of several dimensions by the median over all but the first.
    """
    return _field(Array, about, dims=dims, of=of, encode=encode, decode=decode)


def number(letter: str = "", /, *, of: type = float, **about: Any) -> Any:
    """Declare a float, an int of any size or a bool (``of``), stored as an attribute."""
    read: dict[type, Callable[[Any], Any]] = {float: float, int: _whole, bool: lambda stored: bool(_whole(stored))}
    write = float if of is float else _number
    return _field(Attribute, {"letter": letter, **about}, encode=write, decode=read[of])


def text(long_name: str = "", /, **about: Any) -> Any:
    """Declare a text, stored as an attribute."""
    return _field(Attribute, {"long_name": long_name, **about}, encode=str, decode=str)


def texts(long_name: str = "", /, **about: Any) -> Any:
    """Declare a tuple of texts, such as notes; each is shown on a line of its own, after ``long_name``."""
    return _field(Attribute, {"long_name": long_name, **about}, encode=_json, decode=_texts)


def mapping(
    dim: str = "", *, key: type = str, of: type | None = None, decode: Callable[[Any], Any] = dict, **about: Any
) -> Any:
    """Declare a mapping to numbers or texts, stored as JSON in an attribute.

    Parameters
    ----------
    dim
        Where the keys are values of a coordinate: the dimension in whose table the mapping is a column.
    key
        The type of the keys.
    of
        ``int`` for values that are whole numbers of any size.
    decode
        Turns the dict that is read from a file into the value, which need be no dict: it has ``items()``.
    **about
        As in the module.
    """
    write, read = (_digits, _whole) if of is int else (_same, _same)
    return _field(
        Attribute,
        about,
        dim=dim,
        encode=lambda value: _json({str(k): write(v) for k, v in value.items()}),
        decode=lambda stored: decode({key(k): read(v) for k, v in json.loads(stored).items()}),
    )


def attributes(**about: Any) -> Any:
    """Declare a mapping of settings whose entries become attributes of the dataset, each under its own name."""
    return _field(Attributes, {"shown": False, **about})


def part(of: type, **about: Any) -> Any:
    """Declare one nested result of the class ``of``."""
    return _field(Parts, about, of=of, many=False)


def parts(of: type, **about: Any) -> Any:
    """Declare a tuple of nested results of the class ``of``."""
    return _field(Parts, about, of=of, many=True)


def transient(**about: Any) -> Any:
    """Declare what is neither stored nor shown (tensors, graphs); it is None in a result that was read from a file."""
    return _field(Kind, {"shown": False, **about}, optional=True)


def derived(declaration: Any) -> Callable[[Getter], Getter]:
    """Declare a property, so that it is shown and stored like a field, though never read back.

    Parameters
    ----------
    declaration
        What another helper of this module returns.

    Returns
    -------
    callable
        A decorator of the getter, below ``@property`` or ``@cached_property``.

    Examples
    --------
    >>> from skipglass.record import Result
    >>> class Fall(Result):
    ...     @property
    ...     @derived(number("g", long_name="acceleration", units="m/s²"))
    ...     def acceleration(self) -> float:
    ...         return 9.81
    >>> Fall().to_xarray().attrs
    {'acceleration': 9.81}
    """

    def declare(getter: Getter) -> Getter:
        getter.__dict__[KEY] = declaration.metadata[KEY]
        return getter

    return declare


def _declared(cls: Any) -> Mapping[str, Any]:
    kinds: dict[str, Any] = {}
    for one in dataclasses.fields(cls):
        kind = one.metadata.get(KEY)
        if kind is None:
            raise TypeError(f"{cls.__name__}.{one.name} is not declared; what is not stored is a transient()")
        # an annotation is text where its type is imported for type checkers only
        kinds[one.name] = replace(kind, name=one.name, optional="None" in str(one.type) or kind.optional)
    # a property of a subclass replaces that of its base
    for base in reversed(cls.__mro__):
        for name, member in vars(base).items():
            getter = getattr(member, "fget", None) or getattr(member, "func", None)
            if kind := getattr(getter, "__dict__", {}).get(KEY):
                kinds[name] = replace(kind, name=name, derived=True)
    # free attributes are those that no other field owns
    owned = PROVENANCE | {kind.key for kind in kinds.values()}
    return {name: replace(k, owned=owned) if isinstance(k, Attributes) else k for name, k in kinds.items()}


declared: Callable[[type], Mapping[str, Any]] = functools.cache(_declared)
"""What a class declares, by name: its fields in order, then its properties; the objects are of the kinds above."""


def filled(words: str, owner: object) -> str:
    """Return ``words`` with "{unit}" replaced by the attribute ``unit`` of the owner, and so on."""
    return re.sub(r"\{(\w+)\}", lambda match: str(getattr(owner, match[1])), words)


def _field(kind: type[Kind], about: Any, **more: Any) -> Any:
    """A dataclass field with a kind in its metadata."""
    default = {name: about[name] for name in ("default", "default_factory") if name in about}
    labels = {name: value for name, value in about.items() if name not in default}
    return field(metadata={KEY: kind(**labels, **more)}, **default)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _texts(stored: str) -> tuple[str, ...]:
    texts = json.loads(stored)
    # a text is a sequence of texts, too
    if not isinstance(texts, list):
        raise TypeError(f"a list was expected, found a {type(texts).__name__}")
    return tuple(map(str, texts))


def _same(value: Any) -> Any:
    return value


def _digits(value: int) -> str:
    """A whole number as text; in hexadecimal where Python limits the number of decimal digits."""
    return str(value) if value.bit_length() < 13_000 else hex(value)


def _number(value: int) -> int | str:
    """A whole number or a truth value; those of netCDF have 64 bits."""
    return int(value) if -(2**63) <= value < 2**63 else _digits(int(value))


def _whole(stored: Any) -> int:
    return int(stored, 0) if isinstance(stored, str) else operator.index(stored)
