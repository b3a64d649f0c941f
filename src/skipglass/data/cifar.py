"""CIFAR-10 and CIFAR-100 (Krizhevsky, 2009) from a folder, in the official binary or python layout.

    binary:  rows of [coarse label,] label, 3072 bytes (red, green and blue planes of 32x32);
    python:  a pickle of a dict with the same rows under "data", labels under "labels" or "fine_labels".

Pickles are read with every class replaced by an inert one: nothing in the file can run.
"""

import hashlib
import io
import operator
import os
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from skipglass import check
from skipglass.data.split import Images
from skipglass.errors import InputError, StorageError

__all__ = ["CIFAR", "Layout", "cifar"]

PIXELS = 3 * 32 * 32
REMEDY = "--download fetches the published files"
Rows = tuple[NDArray[np.uint8], NDArray[np.int64]]
"""Pixels (N, 3072) and labels (N,)."""


@dataclass(frozen=True)
class Layout:
    """The files of an official data set and what they hold.

    Attributes
    ----------
    classes
        The number of classes.
    folders
        Names of the folders of the python and of the binary layout.
    digests
        {name of a file without ".bin": SHA-256 of its official labels and pixels}, the test set last. The digest
        is the same for both layouts.
    key
        Key of the labels in the python layout.
    coarse
        Whether a row of the binary layout starts with a coarse label.
    mean, std
        Mean and standard deviation of each colour, in bytes (fb.resnet.torch).
    """

    classes: int
    folders: tuple[str, str]
    digests: dict[str, str]
    key: bytes
    coarse: bool
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


Parser = Callable[[bytes, Layout], Rows]
"""Turns the content of a file into its rows; raises any exception if it cannot."""

CIFAR = {
    "cifar10": Layout(
        classes=10,
        folders=("cifar-10-batches-py", "cifar-10-batches-bin"),
        digests={
            "data_batch_1": "0d577ad18df43575d9a4604e9439c975ed0458e62fedce31bf342584486095b4",
            "data_batch_2": "119fc42c082d4eb9075f4be2ad8ead34f73523fd07bfa1e6eb72e4c0a9f4e234",
            "data_batch_3": "3920cc990b250c9f5858706bfdfa42e5916a3fb9c650076857c0eaeeb9ba22e9",
            "data_batch_4": "63d48826df4236930951424843f0f1f3e5fd6af00eecd863db9d08cc1c9cafb9",
            "data_batch_5": "ab505a476be12050fcd964679bf4f83ef3382722a31273e2d1c592fd7e312d11",
            "test_batch": "ecc0a6ddb5cb58330ce4f06c1825ec8c68baeade5baaacbb3cbdf8f385599213",
        },
        key=b"labels",
        coarse=False,
        mean=(125.3, 123.0, 113.9),
        std=(63.0, 62.1, 66.7),
    ),
    "cifar100": Layout(
        classes=100,
        folders=("cifar-100-python", "cifar-100-binary"),
        digests={
            "train": "298473eb8d70f2276412eef44efdfe11402f20f208c13ac37998e70377537205",
            "test": "27d6227ddcb0f8c25f95e33561b0c0de971cd9443f001c3e0077b94ac57d9aa1",
        },
        key=b"fine_labels",
        coarse=True,
        mean=(129.3, 124.1, 112.4),
        std=(68.2, 65.4, 70.4),
    ),
}


def cifar(name: str, folder: Path | str, *, official: bool = True) -> Images:
    """Read CIFAR-10 or CIFAR-100.

    Parameters
    ----------
    name
        "cifar10" or "cifar100".
    folder
        The folder of the files ("cifar-10-batches-py", "cifar-10-batches-bin", …), or the folder that contains it.
    official
        Whether labels and pixels must be the published ones, by checksum; False accepts any files in the layout.

    Returns
    -------
    Images
        As bytes, with the mean and standard deviation that the recipe takes for each colour.

    Raises
    ------
    StorageError
        If the files are not there, are truncated or altered, or are not in the official layout.
    InputError
        If a label is out of range, or the name is unknown.
    """
    layout = CIFAR[check.choice("name", name, CIFAR)]
    parse, files = _find(layout, Path(os.path.expanduser(check.path(folder))))
    batches = [_read(file, parse, layout) for file in files]
    if official:
        _verify(name, layout, files[0].parent, batches)
    # The test set is the last file, and the training set all others.
    inputs, targets = _join(batches[:-1])
    test_inputs, test_targets = _join(batches[-1:])
    return Images(inputs, targets, test_inputs, test_targets, layout.classes, layout.mean, layout.std)


def _find(layout: Layout, folder: Path) -> tuple[Parser, list[Path]]:
    """The parser of the layout that is there, and its files."""
    for name, suffix, parse in zip(layout.folders, ("", ".bin"), (_parse_python, _parse_binary), strict=True):
        # The folder may contain the official one, or be it.
        for where in (folder / name, folder):
            files = [where / f"{file}{suffix}" for file in layout.digests]
            missing = [file.stem for file in files if not os.path.isfile(file)]
            if not missing:
                return parse, files
            if len(missing) < len(files):
                raise StorageError(f"{where} lacks a part of the data set: {', '.join(missing)} missing; {REMEDY}")
    wanted = " or ".join(layout.folders)
    raise StorageError(f"{folder} holds no {wanted}; give the folder that does, or ask for the download (--download)")


def _read(file: Path, parse: Parser, layout: Layout) -> Rows:
    """The rows of one file: as many images as labels, and labels in range."""
    try:
        content = file.read_bytes()
    except OSError as error:
        raise StorageError(f"{file} cannot be read: {error.strerror or error}") from error
    try:
        pixels, labels = parse(content, layout)
    except Exception as error:  # a broken pickle raises anything
        raise StorageError(f"{file} is truncated, altered or not an official batch: {error}; {REMEDY}") from None
    if len(pixels) != len(labels):
        raise StorageError(f"{file} holds {len(pixels)} images and {len(labels)} labels; {REMEDY}")
    if np.any((labels < 0) | (labels >= layout.classes)):
        raise InputError(
            f"{file} holds the labels {labels.min()}..{labels.max()}; they must be in 0..{layout.classes - 1}; {REMEDY}"
        )
    return pixels, labels


def _verify(name: str, layout: Layout, folder: Path, batches: list[Rows]) -> None:
    """Compare labels and pixels with the published ones by their SHA-256."""
    digests = [
        hashlib.sha256(labels.astype(np.uint8).tobytes() + pixels.tobytes()).hexdigest() for pixels, labels in batches
    ]
    differing = [file for file, digest in zip(layout.digests, digests, strict=True) if layout.digests[file] != digest]
    if differing:
        raise StorageError(
            f"{folder} is not the published {name}: labels, pixels or number of images differ in "
            f"{', '.join(differing)}; {REMEDY}, or pass official=False to use it as it is"
        )


def _join(batches: list[Rows]) -> tuple[torch.Tensor, torch.Tensor]:
    pixels, labels = (np.concatenate(part) for part in zip(*batches, strict=True))
    return torch.from_numpy(pixels).view(-1, 3, 32, 32), torch.from_numpy(labels)


def _parse_binary(content: bytes, layout: Layout) -> Rows:
    head = 2 if layout.coarse else 1
    rows = np.frombuffer(content, dtype=np.uint8)
    if not len(rows) or len(rows) % (head + PIXELS):
        raise ValueError(f"{len(rows)} bytes are not a whole number of rows of {head + PIXELS} bytes")
    rows = rows.reshape(-1, head + PIXELS)
    return np.ascontiguousarray(rows[:, head:]), rows[:, head - 1].astype(np.int64)


class _Inert:
    """Takes the place of NumPy's classes while a pickle is read: keeps the state of an array, runs nothing."""

    state: tuple[int, tuple[int, ...], object, bool, bytes]  # NumPy's own: version, shape, dtype, column order, data

    def __init__(self, *_: object) -> None: ...

    def __setstate__(self, state: tuple[int, tuple[int, ...], object, bool, bytes]) -> None:
        self.state = state


class _Unpickler(pickle.Unpickler):
    """An unpickler that knows no class but NumPy's arrays, and makes those inert."""

    def find_class(self, module: str, name: str) -> type:
        if module.split(".")[0] == "numpy" and name in {"_reconstruct", "ndarray", "dtype"}:
            return _Inert
        raise pickle.UnpicklingError(f"it asks for {module}.{name}")


def _parse_python(content: bytes, layout: Layout) -> Rows:
    fields = _Unpickler(io.BytesIO(content), encoding="bytes").load()
    _, shape, _, by_columns, raw = fields[b"data"].state
    if len(shape) != 2 or shape[1] != PIXELS:
        raise ValueError(f"its images have the shape {shape}")
    # reshape raises ValueError where the bytes do not fill the shape
    pixels = np.frombuffer(raw, dtype=np.uint8).reshape(shape, order="F" if by_columns else "C")
    labels = np.array([operator.index(label) for label in fields[layout.key]], dtype=np.int64)
    return np.ascontiguousarray(pixels), labels
