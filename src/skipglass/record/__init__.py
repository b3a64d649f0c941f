"""Labelled results: declared once, printed, stored and drawn from that. Imports no torch."""

from skipglass.record.atomic import output_folder, remove_leftovers, write_atomically
from skipglass.record.fields import (
    attributes,
    coordinate,
    derived,
    mapping,
    names,
    number,
    part,
    parts,
    text,
    texts,
    transient,
    variable,
)  # fmt: skip
from skipglass.record.provenance import provenance
from skipglass.record.result import Result
from skipglass.record.store import SCHEMA, differing, load, save
from skipglass.record.tables import value_text

__all__ = [
    "SCHEMA", "Result", "attributes", "coordinate", "derived", "differing", "load", "mapping", "names",
    "number", "output_folder", "part", "parts", "provenance", "remove_leftovers", "save", "text", "texts", "transient",
    "value_text", "variable", "write_atomically",
]  # fmt: skip
