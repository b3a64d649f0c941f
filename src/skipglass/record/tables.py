"""A result as text and as HTML: tables along its coordinates, then the remaining numbers, one a line."""

import html
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from skipglass.record.fields import Array, Attribute, Kind, Parts, declared, filled

__all__ = ["as_html", "as_text", "column_text", "count_text", "sizes", "value_text"]

ROWS = 24  # of a printed table, one screen: our choice
UNDEFINED = "–"


@dataclass(frozen=True)
class TextTable:
    """One table: of each column its heading, what the heading stands for, and the cells."""

    headings: list[str]
    meanings: list[str]
    columns: list[list[str]]
    left_out: int


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
    digits = len(str(abs(count))) if abs(count) < 10**4000 else int(math.log10(abs(count))) + 1
    if digits <= 10:
        return str(count)
    return f"{'-' * (count < 0)}{abs(count) // 10 ** (digits - 3) / 100:.2f}e{digits - 1}"


def column_text(values: np.ndarray) -> list[str]:
    """Return the cells of one column, all with the same number of decimals."""
    if values.dtype.kind != "f":
        return [value_text(value) for value in values]
    finite = np.abs(values[np.isfinite(values)])
    largest = float(finite.max(initial=0.0))
    if largest and not 1e-3 <= largest < 1e6:
        style = ".2e"
    else:
        whole = math.floor(math.log10(largest)) if largest else 0
        style = f".{max(0, 3 - max(0, whole))}f"
    cells = [UNDEFINED if math.isnan(value) else f"{value:{style}}" for value in values]
    return [cell.lstrip("-") if cell.strip("-0.") == "" and cell != "" else cell for cell in cells]


def sizes(result: Any) -> dict[str, int]:
    """Return the size of each dimension."""
    return {
        dim: size
        for kind, values in _arrays(result)
        for dim, size in zip(kind.dims_of(values), values.shape, strict=True)
    }


def as_text(result: Any, headline: str) -> str:
    """Return headline, tables and lines as plain text."""
    blocks = [headline]
    for table in tables(result):
        width = [max(map(len, [head, *cells])) for head, cells in zip(table.headings, table.columns, strict=True)]
        rows = [table.headings, *(list(row) for row in zip(*table.columns, strict=True))]
        # names stand on the left, numbers end in one column
        lines = [
            "  ".join(cell.rjust(w) if k else cell.ljust(w) for k, (cell, w) in enumerate(zip(row, width, strict=True)))
            for row in rows
        ]
        left_out = [_left_out(table)] if table.left_out else []
        blocks.append("\n".join([line.rstrip() for line in lines] + left_out))
    if found := lines_of(result):
        blocks.append("\n".join(found))
    return "\n\n".join(blocks)


def as_html(result: Any, headline: str) -> str:
    """Return the same as HTML, escaped; colours are those of the notebook, light or dark."""
    pieces = [f"<p>{html.escape(headline)}</p>"]
    for table in tables(result):
        head = "".join(
            f'<th title="{html.escape(meaning)}">{html.escape(heading)}</th>'
            for heading, meaning in zip(table.headings, table.meanings, strict=True)
        )
        rows = "".join(
            f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in row)}</tr>"
            for row in zip(*table.columns, strict=True)
        )
        left_out = f"<p>{_left_out(table)}</p>" if table.left_out else ""
        pieces.append(f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>{left_out}")
    if found := lines_of(result):
        pieces.append(f"<ul>{''.join(f'<li>{html.escape(line)}</li>' for line in found)}</ul>")
    return f"<div>{''.join(pieces)}</div>"


def tables(result: Any) -> list[TextTable]:
    """Return one table for each dimension that has a coordinate and something to show along it."""
    arrays = [(kind, values) for kind, values in _arrays(result) if kind.shown and values.ndim]
    mappings = [kind for kind in declared(type(result)).values() if isinstance(kind, Attribute) and kind.dim]
    made = []
    for dim in dict.fromkeys(kind.dims_of(values)[0] for kind, values in arrays if kind.coordinate):
        along = [(kind, values) for kind, values in arrays if kind.dims_of(values)[0] == dim]
        labels = [(kind, values) for kind, values in along if kind.coordinate]
        columns = [(kind, _median(values)) for kind, values in along if not kind.coordinate]
        chosen = _largest(columns[0][1]) if columns else np.arange(len(labels[0][1]))
        shown: list[tuple[Kind, list[str]]] = [(kind, column_text(values[chosen])) for kind, values in labels]
        for kind in mappings:
            if kind.dim == dim and (entries := getattr(result, kind.name)) is not None:
                keys = labels[0][1][chosen].tolist()
                shown.append((kind, [value_text(entries[key]) if key in entries else UNDEFINED for key in keys]))
        shown += [(kind, column_text(values[chosen])) for kind, values in columns]
        if len(shown) > len(labels) and chosen.size:
            made.append(
                TextTable(
                    [kind.label(result) for kind, _ in shown],
                    [filled(_meaning(kind), result) for kind, _ in shown],
                    [cells for _, cells in shown],
                    len(labels[0][1]) - chosen.size,
                )
            )
    return made


def lines_of(result: Any) -> list[str]:
    """Return what stands in no table: numbers, texts, nested results, arrays along dimensions without coordinate."""
    labelled = {kind.dims[0] for kind, _ in _arrays(result) if kind.coordinate}
    lines = []
    for name, kind in declared(type(result)).items():
        value = getattr(result, name)
        if value is None or not kind.shown:
            continue
        label = filled(kind.long_name, result) or kind.label(result)
        units = f" {filled(kind.units, result)}" if kind.units else ""
        if isinstance(kind, Parts):
            lines += [nested.headline() for nested in (value if kind.many else [value])]
        elif isinstance(kind, Attribute) and isinstance(value, tuple):
            lines += [f"{label}: {entry}" for entry in value]
        elif isinstance(kind, Attribute) and not kind.dim:
            lines.append(f"{label}: {value_text(value)}{units}")
        elif isinstance(kind, Array):
            values = kind.values(value)
            dims = kind.dims_of(values)
            if not dims:
                lines.append(f"{label}: {value_text(values[()])}{units}")
            elif dims[0] not in labelled and values.size:
                lines.append(f"{label}: {_summary(values)}{units}")
    return lines


def _arrays(result: Any) -> list[tuple[Array, np.ndarray]]:
    """The arrays that a result has, plain."""
    kinds = [kind for kind in declared(type(result)).values() if isinstance(kind, Array)]
    return [(kind, kind.values(value)) for kind in kinds if (value := getattr(result, kind.name)) is not None]


def _median(values: np.ndarray) -> np.ndarray:
    """The median over further dimensions of what is defined; NaN where nothing is."""
    if values.ndim == 1:
        return values
    defined = [row[~np.isnan(row)] for row in (row.ravel() for row in values.astype(np.float64))]
    return np.array([np.median(row) if row.size else math.nan for row in defined])


def _largest(values: np.ndarray) -> np.ndarray:
    """Which rows to show, in order: those of the largest magnitude."""
    if values.dtype.kind not in "fi":
        return np.arange(min(len(values), ROWS))
    size = np.nan_to_num(np.abs(values.astype(np.float64)), nan=-1.0)
    return np.sort(np.argsort(-size, kind="stable")[:ROWS])


def _summary(values: np.ndarray) -> str:
    if values.dtype.kind == "b":
        return f"yes in {int(values.sum())} of {values.size}"
    if values.dtype.kind not in "fi":
        return ", ".join(str(value) for value in values.flat[:ROWS])
    defined = values[~np.isnan(values)]
    if not defined.size:
        return UNDEFINED
    low, middle, high = (value_text(float(v)) for v in (defined.min(), np.median(defined), defined.max()))
    return f"median {middle}, from {low} to {high}"


def _meaning(kind: Kind) -> str:
    return f"{kind.long_name} ({kind.units})" if kind.units and kind.long_name else kind.long_name or kind.units


def _left_out(table: TextTable) -> str:
    return f"… {table.left_out} more with smaller values"
