"""A result as text and as HTML: tables along its coordinates, then the remaining numbers, one per line.

A *table* is a list of columns, each a heading, what the heading stands for, and cells that are texts already.
"""

import math
from collections.abc import Mapping
from html import escape
from typing import Any

import numpy as np

from skipglass.record.fields import Array, Attribute, Kind, Parts, declared, filled

__all__ = ["arrays_of", "as_html", "as_text", "sizes", "value_text"]

Column = tuple[str, str, list[str]]
ROWS = 24  # of a printed table, one screen: our choice
UNDEFINED = "–"


def value_text(value: Any) -> str:
    """Return a single value for a reader: four digits of a float, the power of ten of a large whole number."""
    if isinstance(value, (bool, np.bool_)):
        return "yes" if value else "no"
    if isinstance(value, (int, np.integer)):
        return count_text(int(value))
    if isinstance(value, (float, np.floating)):
        return UNDEFINED if math.isnan(value) else f"{value:.4g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {value_text(entry)}" for key, entry in value.items())
    return str(value)


def count_text(count: int) -> str:
    """Return a whole number as text; one of more than ten digits by its power of ten, beyond floating point too."""
    size, sign = abs(count), "-" * (count < 0)
    digits = len(str(size)) if size < 10**4000 else int(math.log10(size)) + 1
    return str(count) if digits <= 10 else f"{sign}{size // 10 ** (digits - 3) / 100:.2f}e{digits - 1}"


def sizes(result: Any) -> dict[str, int]:
    """Return the size of each dimension."""
    pairs = [(kind.dims_of(values), values.shape) for kind, values in arrays_of(result)]
    return {dim: size for dims, shape in pairs for dim, size in zip(dims, shape, strict=True)}


def arrays_of(result: Any) -> list[tuple[Array, np.ndarray]]:
    """Return the arrays that a result has, each with its declaration."""
    kinds = [kind for kind in declared(type(result)).values() if isinstance(kind, Array)]
    return [(kind, kind.values(value)) for kind in kinds if (value := getattr(result, kind.name)) is not None]


def as_text(result: Any, headline: str) -> str:
    """Return headline, tables and lines as plain text."""
    blocks = [headline]
    for table, left_out in _tables(result):
        columns = [[heading, *cells] for heading, _, cells in table]
        widths = [max(map(len, column)) for column in columns]
        # names stand on the left, numbers end in one column
        aligned = [[c.rjust(w) if k else c.ljust(w) for c in columns[k]] for k, w in enumerate(widths)]
        rows = ["  ".join(row).rstrip() for row in zip(*aligned, strict=True)]
        blocks.append("\n".join(rows + left_out))
    return "\n\n".join(blocks + ["\n".join(lines) for lines in [_lines(result)] if lines])


def as_html(result: Any, headline: str) -> str:
    """Return the same as HTML, escaped; colours are those of the notebook, light or dark."""
    pieces = [f"<p>{escape(headline)}</p>"]
    for table, left_out in _tables(result):
        head = "".join(f'<th title="{escape(meaning)}">{escape(heading)}</th>' for heading, meaning, _ in table)
        rows = zip(*(cells for *_, cells in table), strict=True)
        body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
        pieces += [f"<table><tr>{head}</tr>{body}</table>", *(f"<p>{escape(line)}</p>" for line in left_out)]
    lines = "".join(f"<li>{escape(line)}</li>" for line in _lines(result))
    return f"<div>{''.join(pieces)}<ul>{lines}</ul></div>"


def _tables(result: Any) -> list[tuple[list[Column], list[str]]]:
    """One table for each dimension with a coordinate and something to show along it, and what was left out of it."""
    shown = [(kind, values) for kind, values in arrays_of(result) if kind.shown and values.ndim]
    mappings = [kind for kind in declared(type(result)).values() if isinstance(kind, Attribute) and kind.dim]
    tables = []
    for dim in dict.fromkeys(kind.dims[0] for kind, _ in shown if kind.coordinate):
        along = [(kind, values) for kind, values in shown if kind.dims_of(values)[0] == dim]
        labels = [(kind, values) for kind, values in along if kind.coordinate]
        columns = [(kind, _median(values)) for kind, values in along if not kind.coordinate]
        # mappings stand beside the labels that are their keys
        keyed: list[tuple[Kind, np.ndarray]] = []
        for kind in (kind for kind in mappings if kind.dim == dim):
            entries = getattr(result, kind.name) or {}
            texts = [value_text(entries.get(key, UNDEFINED)) for key in labels[0][1].tolist()]
            keyed.append((kind, np.array(texts, dtype=object)))
        # the rows where the first column is largest
        rows = _largest(columns[0][1] if columns else np.arange(len(labels[0][1])))
        # labels alone say nothing
        if (keyed or columns) and rows.size:
            table = [(k.label(result), _meaning(k, result), _cells(v[rows])) for k, v in [*labels, *keyed, *columns]]
            more = len(labels[0][1]) - rows.size
            tables.append((table, [f"… {more} more with smaller values"] if more else []))
    return tables


def _lines(result: Any) -> list[str]:
    """What stands in no table: numbers, texts, nested results, arrays along dimensions without a coordinate."""
    labelled = {kind.dims[0] for kind, _ in arrays_of(result) if kind.coordinate}
    lines = []
    for kind in declared(type(result)).values():
        value = getattr(result, kind.name)
        if value is None or not kind.shown:
            continue
        words = []
        if isinstance(kind, Parts):
            lines += [nested.headline() for nested in (value if kind.many else [value])]
        elif isinstance(kind, Attribute) and not kind.dim:
            words = [value_text(entry) for entry in (value if isinstance(value, tuple) else [value])]
        elif isinstance(kind, Array) and not (values := kind.values(value)).ndim:
            words = [value_text(values[()])]
        elif isinstance(kind, Array) and values.size and kind.dims_of(values)[0] not in labelled:
            words = [f"median {value_text(_median(values.reshape(1, -1))[0])}"]
        name = filled(kind.long_name, result) or kind.label(result)
        lines += [f"{name}: {word} {filled(kind.units, result)}".rstrip() for word in words]
    return lines


def _cells(values: np.ndarray) -> list[str]:
    """The cells of one column, all with the same number of decimals."""
    if values.dtype.kind != "f":
        return [value_text(value) for value in values]
    # four digits of the largest number decide for all, very large and small ones are powers of ten
    largest = float(np.abs(values[np.isfinite(values)]).max(initial=0.0))
    if largest and not 1e-3 <= largest < 1e6:
        style = ".2e"
    else:
        style = f".{max(0, 3 - max(0, math.floor(math.log10(largest or 1.0))))}f"
    cells = [UNDEFINED if math.isnan(value) else f"{value:{style}}" for value in values]
    # no -0.000
    return [cell.lstrip("-") if float(cell.replace(UNDEFINED, "1")) == 0 else cell for cell in cells]


def _median(values: np.ndarray) -> np.ndarray:
    """The median over further dimensions of what is defined; NaN where nothing is."""
    if values.ndim == 1:
        return values
    # rows of samples without gradient are NaN throughout
    rows = values.reshape(len(values), -1).astype(np.float64) if values.size else np.full((len(values), 1), math.nan)
    return np.ma.median(np.ma.masked_where(np.isnan(rows), rows), axis=1).filled(math.nan)


def _largest(values: np.ndarray) -> np.ndarray:
    """Which rows to show, in order: those of the largest magnitude."""
    size = np.abs(values.astype(np.float64)) if values.dtype.kind in "fi" else np.ones(len(values))
    return np.sort(np.argsort(-np.nan_to_num(size, nan=-1.0), kind="stable")[:ROWS])


def _meaning(kind: Kind, result: Any) -> str:
    return filled(f"{kind.long_name} ({kind.units})" if kind.units else kind.long_name, result)
