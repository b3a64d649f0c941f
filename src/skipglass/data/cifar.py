"""CIFAR-10 and CIFAR-100 (Krizhevsky, 2009) from a folder, in the official binary or python layout.

    binary:  rows of [coarse label,] label, 3072 bytes (red, green, blue planes of 32x32);
    python:  a pickle of a dict with the same rows under "data", labels under "labels" or "fine_labels".

Pickles are read with every class replaced by an inert one: nothing in the file can run.
"""

import hashlib
import io
import os
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from skipglass import check
from skipglass.data.images import Images
from skipglass.errors import InputError, StorageError

__all__ = ["CIFAR", "Layout", "cifar"]

PIXELS = 3 * 32 * 32
REMEDY = "--download fetches the published files"
Rows = tuple[NDArray[np.uint8], NDArray[np.int64]]
"""Pixels (N, 3072) and labels (N,)."""


@dataclass(frozen=True)
class Layout:
    """Where an official data set keeps what.

    Attributes
    ----------
    classes
        How many.
    folders
        Of the python and of the binary layout.
    train, test
        File names of both, without ".bin".
    key
        Of the labels in the python layout.
    coarse
        Whether a binary row starts with a coarse label.
    digests
        SHA-256 over the official labels and pixels of each file, training before test, whatever the layout.
    mean, std
        Of each colour, in bytes (fb.resnet.torch).
    """

    classes: int
    folders: tuple[str, str]
    train: tuple[str, ...]
    test: tuple[str, ...]
    key: bytes
    coarse: bool
    digests: tuple[str, ...]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


CIFAR = {
    "cifar10": Layout(
        classes=10,
        folders=("cifar-10-batches-py", "cifar-10-batches-bin"),
        train=tuple(f"data_batch_{k}" for k in range(1, 6)),
        test=("test_batch",),
        key=b"labels",
        coarse=False,
        digests=(
            "0d577ad18df43575d9a4604e9439c975ed0458e62fedce31bf342584486095b4",
            "119fc42c082d4eb9075f4be2ad8ead34f73523fd07bfa1e6eb72e4c0a9f4e234",
            "3920cc990b250c9f5858706bfdfa42e5916a3fb9c650076857c0eaeeb9ba22e9",
            "63d48826df4236930951424843f0f1f3e5fd6af00eecd863db9d08cc1c9cafb9",
            "ab505a476be12050fcd964679bf4f83ef3382722a31273e2d1c592fd7e312d11",
            "ecc0a6ddb5cb58330ce4f06c1825ec8c68baeade5baaacbb3cbdf8f385599213",
        ),
        mean=(125.3, 123.0, 113.9),
        std=(63.0, 62.1, 66.7),
    ),
    "cifar100": Layout(
        classes=100,
        folders=("cifar-100-python", "cifar-100-binary"),
        train=("train",),
        test=("test",),
        key=b"fine_labels",
        coarse=True,
        digests=(
            "298473eb8d70f2276412eef44efdfe11402f20f208c13ac37998e70377537205",
            "27d6227ddcb0f8c25f95e33561b0c0de971cd9443f001c3e0077b94ac57d9aa1",
        ),
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
        Holds the batches, or the official folder of them ("cifar-10-batches-py", "cifar-10-batches-bin", …).
    official
        Whether labels and pixels must be the published ones, by checksum; False takes any files in the layout.

    Returns
    -------
    Images
        As bytes, with the colours' mean and standard deviation of the recipe.

    Raises
    ------
    StorageError
        If the files are not there, are truncated or altered, or are not in the official layout.
    InputError
        If a label is out of range, or the name unknown.
    """
    layout = CIFAR[check.choice("name", name, CIFAR)]
    read, where = _find(layout, Path(os.path.expanduser(check.path(folder))))
    train = [read(where / file, layout) for file in layout.train]
    test = [read(where / file, layout) for file in layout.test]
    if official:
        _verify(name, layout, where, [*train, *test])
    inputs, targets = _join(train)
    test_inputs, test_targets = _join(test)
    return Images(inputs, targets, test_inputs, test_targets, layout.classes, layout.mean, layout.std)


def _find(layout: Layout, folder: Path) -> tuple[Callable[[Path, Layout], Rows], Path]:
    """The reader of the layout that is there, and its folder."""
    for where, (suffix, read) in (
        (base, kind)
        for name, kind in zip(layout.folders, (("", _python), (".bin", _binary)), strict=True)
        for base in (folder / name, folder)
    ):
        found = [os.path.isfile(where / f"{file}{suffix}") for file in (*layout.train, *layout.test)]
        if all(found):
            return read, where
        if any(found):
            missing = [f for f, there in zip((*layout.train, *layout.test), found, strict=True) if not there]
            raise StorageError(f"{where} holds a part of the data set only: {', '.join(missing)} missing; {REMEDY}")
    wanted = " or ".join(layout.folders)
    raise StorageError(f"{folder} holds no {wanted}; give the folder that does, or ask for the download (--download)")


def _join(batches: list[Rows]) -> tuple[torch.Tensor, torch.Tensor]:
    pixels, labels = (np.concatenate(part) for part in zip(*batches, strict=True))
    return torch.from_numpy(pixels).view(-1, 3, 32, 32), torch.from_numpy(labels)


def _verify(name: str, layout: Layout, where: Path, batches: list[Rows]) -> None:
    files = zip((*layout.train, *layout.test), layout.digests, batches, strict=True)
    altered = [file for file, digest, rows in files if _digest(rows) != digest]
    if altered:
        raise StorageError(
            f"{where} is not the published {name}: labels, pixels or number of images differ in {', '.join(altered)}; "
            f"{REMEDY}, or pass official=False to use it as it is"
        )


def _digest(rows: Rows) -> str:
    pixels, labels = rows
    return hashlib.sha256(labels.astype(np.uint8).tobytes() + pixels.tobytes()).hexdigest()


def _checked(path: Path, layout: Layout, pixels: NDArray[np.uint8], labels: NDArray[np.int64]) -> Rows:
    if len(labels) and not (labels.min() >= 0 and labels.max() < layout.classes):
        raise InputError(
            f"{path} holds the labels {labels.min()}..{labels.max()}; they must be in 0..{layout.classes - 1}; {REMEDY}"
        )
    return pixels, labels


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise StorageError(f"{path} cannot be read: {error.strerror or error}") from error


def _binary(path: Path, layout: Layout) -> Rows:
    raw = np.frombuffer(_content(path.with_suffix(".bin")), dtype=np.uint8)
    head = 2 if layout.coarse else 1
    if not len(raw) or len(raw) % (head + PIXELS):
        raise StorageError(
            f"{path}.bin is truncated: {len(raw)} bytes are no whole number of rows of {head + PIXELS} bytes; {REMEDY}"
        )
    rows = raw.reshape(-1, head + PIXELS)
    return _checked(path, layout, np.ascontiguousarray(rows[:, head:]), rows[:, head - 1].astype(np.int64))


class _Inert:
    """Stands for NumPy's classes while a pickle is read: keeps an array's state, runs nothing."""

    state: tuple[int, tuple[int, ...], object, bool, bytes]  # NumPy's own: version, shape, dtype, column order, data

    def __init__(self, *_: object) -> None: ...

    def __setstate__(self, state: tuple[int, tuple[int, ...], object, bool, bytes]) -> None:
        self.state = state


class _Reader(pickle.Unpickler):
    """An unpickler that knows arrays only, and of them only their bytes."""

    def find_class(self, module: str, name: str) -> type:
        if module.split(".")[0] == "numpy" and name in {"_reconstruct", "ndarray", "dtype"}:
            return _Inert
        raise pickle.UnpicklingError(f"it asks for {module}.{name}")


def _python(path: Path, layout: Layout) -> Rows:
    raw = _content(path)
    try:
        content = _Reader(io.BytesIO(raw), encoding="bytes").load()
        pixels = _bytes_of(content[b"data"])
        labels = np.array([check.integer("a label", label) for label in content[layout.key]], dtype=np.int64)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except Exception as error:  # a broken pickle raises anything
        raise StorageError(f"{path} is not an official batch, or is truncated or altered: {error}; {REMEDY}") from None
    if len(pixels) != len(labels):
        raise StorageError(f"{path} holds {len(pixels)} images and {len(labels)} labels; {REMEDY}")
    return _checked(path, layout, pixels, labels)


def _bytes_of(array: _Inert) -> NDArray[np.uint8]:
    """The rows of a pickled (N, 3072) array of bytes."""
    _, shape, _, by_columns, raw = array.state
    rows = np.frombuffer(raw, dtype=np.uint8)
    if len(shape) != 2 or shape[1] != PIXELS or rows.size != shape[0] * PIXELS:
        raise ValueError(f"images of shape {shape} with {rows.size} bytes")
    return np.ascontiguousarray(rows.reshape(shape, order="F" if by_columns else "C"))
