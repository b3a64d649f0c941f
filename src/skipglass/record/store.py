"""One labelled result in one netCDF file, with a schema version."""

import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from skipglass import check
from skipglass.errors import StorageError
from skipglass.record.atomic import write_atomically
from skipglass.record.provenance import provenance

if TYPE_CHECKING:  # xarray takes half a second to import: only when a file is touched
    import xarray as xr

__all__ = ["SCHEMA", "differing", "load", "save"]

SCHEMA = 1  # version of the layout of skipglass files; a reader refuses files of a newer one


def save(dataset: "xr.Dataset", path: str | Path, kind: str) -> Path:
    """Write ``dataset`` to ``path`` as netCDF, whole or not at all, with its provenance.

    Parameters
    ----------
    dataset
        The labelled result.
    path
        The file, by custom ``*.nc``.
    kind
        What the file holds ("training", "profile"); `load` can ask for it.

    Returns
    -------
    Path
        ``path``.

    Raises
    ------
    StorageError
        If the file cannot be written.
    """
    path = check.path(path)
    labelled = dataset.assign_attrs({**provenance(), **dataset.attrs, "skipglass_schema": SCHEMA, "kind": kind})
    # in memory first: where the disk is full HDF5 ends the process as it closes its file
    image = io.BytesIO()
    labelled.to_netcdf(image, engine="h5netcdf")
    with write_atomically(path) as temporary:
        temporary.write_bytes(image.getbuffer())
    return path


def load(path: str | Path, kind: str | None = None) -> "xr.Dataset":
    """Read a file written by `save` into memory.

    Parameters
    ----------
    path
        The file.
    kind
        What it must hold; None takes any kind.

    Returns
    -------
    xarray.Dataset
        The labelled result; its attributes say where it comes from.

    Raises
    ------
    StorageError
        If the file is missing, truncated, not written by skipglass, of a newer schema or another kind.
    """
    import xarray as xr

    path = check.path(path)
    if not os.path.isfile(path):
        raise StorageError(f"cannot read {path}: there is no such file")
    try:
        dataset = xr.load_dataset(path, engine="h5netcdf")
    except Exception as error:  # h5py raises several unrelated types on damaged files
        raise StorageError(
            f"cannot read {path}: it is damaged or no netCDF file ({type(error).__name__}); make it again"
        ) from error
    schema = dataset.attrs.get("skipglass_schema")
    if not isinstance(schema, (int, np.integer)) or schema < 1:
        raise StorageError(f"cannot read {path}: a netCDF file, but not one that skipglass wrote (schema {schema!r})")
    if schema > SCHEMA:
        raise StorageError(f"cannot read {path}: schema {schema}, this version knows {SCHEMA}; update skipglass")
    found = dataset.attrs.get("kind")
    if kind is not None and found != kind:
        raise StorageError(f"cannot read {path}: a {kind!r} recording was asked for, it holds a {found!r} one")
    return dataset


def differing(dataset: "xr.Dataset", attributes: Mapping[str, Any]) -> list[str]:
    """Return the names of attributes that the dataset lacks or has otherwise.

    Parameters
    ----------
    dataset
        By `load`; netCDF gives a list of one number back as a number, which makes no difference.
    attributes
        What it should have.

    Returns
    -------
    list of str
        Empty if it has all.
    """
    return [
        name
        for name, value in attributes.items()
        if not np.array_equal(np.atleast_1d(dataset.attrs.get(name, "missing")), np.atleast_1d(value))
    ]
