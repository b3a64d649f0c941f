"""CIFAR-10 and CIFAR-100 (Krizhevsky, 2009) from a folder, in the official binary or python layout.

    binary:  rows of [coarse label,] label, 3072 bytes (red, green, blue planes of 32x32);
    python:  a pickle of a dict with the same rows under "data", labels under "labels" or "fine_labels".

Pickles are read with every class replaced by an inert one: nothing in the file can run.
"""

import hashlib
import io
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
    digest
        SHA-256 over the official labels and pixels, training before test, whatever the layout.
    mean, std
        Of each colour, in bytes (fb.resnet.torch).
    """

    classes: int
    folders: tuple[str, str]
    train: tuple[str, ...]
    test: tuple[str, ...]
    key: bytes
    coarse: bool
    digest: str
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
        digest="3820f26998d62e7fcba696445a1503f684c497bc1f052f1cfa6445b9d2629b68",
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
        digest="b305d3b25fad99987c917fa811d24df4c77d1732596a2240a8649450f32561a8",
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
    read, where = _find(layout, Path(folder).expanduser())
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
        found = [(where / f"{file}{suffix}").is_file() for file in (*layout.train, *layout.test)]
        if all(found):
            return read, where
        if any(found):
            missing = [f for f, there in zip((*layout.train, *layout.test), found, strict=True) if not there]
            raise StorageError(f"{where} holds a part of the data set only: {', '.join(missing)} missing")
    wanted = " or ".join(layout.folders)
    raise StorageError(f"{folder} holds no {wanted}; give the folder that does, or ask for the download")


def _join(batches: list[Rows]) -> tuple[torch.Tensor, torch.Tensor]:
    pixels, labels = (np.concatenate(part) for part in zip(*batches, strict=True))
    return torch.from_numpy(pixels).view(-1, 3, 32, 32), torch.from_numpy(labels)


def _verify(name: str, layout: Layout, where: Path, batches: list[Rows]) -> None:
    digest = hashlib.sha256()
    for pixels, labels in batches:
        digest.update(labels.astype(np.uint8).tobytes())
        digest.update(pixels.tobytes())
    if digest.hexdigest() != layout.digest:
        raise StorageError(
            f"{where} is not the published {name}: labels or pixels were altered, or batches are missing; "
            "download it again, or pass official=False to use it as it is"
        )


def _checked(path: Path, layout: Layout, pixels: NDArray[np.uint8], labels: NDArray[np.int64]) -> Rows:
    if len(labels) and not (labels.min() >= 0 and labels.max() < layout.classes):
        raise InputError(
            f"{path} holds the labels {labels.min()}..{labels.max()}; they must be in 0..{layout.classes - 1}"
        )
    return pixels, labels


def _binary(path: Path, layout: Layout) -> Rows:
    raw = np.fromfile(path.with_suffix(".bin"), dtype=np.uint8)
    head = 2 if layout.coarse else 1
    if not len(raw) or len(raw) % (head + PIXELS):
        raise StorageError(
            f"{path}.bin is truncated: {len(raw)} bytes are no whole number of rows of {head + PIXELS} bytes"
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
    try:
        content = _Reader(io.BytesIO(path.read_bytes()), encoding="bytes").load()
        pixels = _bytes_of(content[b"data"])
        labels = np.array([check.integer("a label", label) for label in content[layout.key]], dtype=np.int64)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except Exception as error:  # a broken pickle raises anything
        raise StorageError(f"{path} is not an official batch, or is truncated or altered: {error}") from None
    if len(pixels) != len(labels):
        raise StorageError(f"{path} holds {len(pixels)} images and {len(labels)} labels")
    return _checked(path, layout, pixels, labels)


def _bytes_of(array: _Inert) -> NDArray[np.uint8]:
    """The rows of a pickled (N, 3072) array of bytes."""
    _, shape, _, by_columns, raw = array.state
    rows = np.frombuffer(raw, dtype=np.uint8)
    if len(shape) != 2 or shape[1] != PIXELS or rows.size != shape[0] * PIXELS:
        raise ValueError(f"images of shape {shape} with {rows.size} bytes")
    return np.ascontiguousarray(rows.reshape(shape, order="F" if by_columns else "C"))
