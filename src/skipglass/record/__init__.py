"""Labelled results: to xarray, saved whole or not at all, with a schema version. Imports no torch."""

from skipglass.record.atomic import output_folder, write_atomically
from skipglass.record.provenance import provenance
from skipglass.record.store import SCHEMA, differing, load, save

__all__ = ["SCHEMA", "differing", "load", "output_folder", "provenance", "save", "write_atomically"]
