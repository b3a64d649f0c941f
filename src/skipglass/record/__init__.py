"""Labelled results: to xarray, saved whole or not at all, with a schema version. Imports no torch."""

from skipglass.record.atomic import output_folder, remove_leftovers, write_atomically
from skipglass.record.provenance import provenance
from skipglass.record.store import SCHEMA, differing, load, save

__all__ = [
    "SCHEMA",
    "differing",
    "load",
    "output_folder",
    "provenance",
    "remove_leftovers",
    "save",
    "write_atomically",
]
