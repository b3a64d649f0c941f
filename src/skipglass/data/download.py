"""The official CIFAR archives, fetched once and checked against their published MD5."""

import os
import shutil
import tarfile
import tempfile
from pathlib import Path

from rich.progress import Progress

from skipglass import check
from skipglass.data.cifar import cifar
from skipglass.errors import StorageError, UserError

__all__ = ["ARCHIVES", "download"]

SITE = "https://www.cs.toronto.edu/~kriz/"
ARCHIVES = {  # python layout: file, MD5, the folder inside
    "cifar10": ("cifar-10-python.tar.gz", "c58f30108f718f92721af3b95e74349a", "cifar-10-batches-py"),
    "cifar100": ("cifar-100-python.tar.gz", "eb9058c3a382ffc7106e4002c42a8d85", "cifar-100-python"),
}


class _Bar:
    """What pooch expects of a progress bar, drawn by rich."""

    def __init__(self, progress: Progress, label: str) -> None:
        self._progress, self._task = progress, progress.add_task(label, total=None)

    @property
    def total(self) -> float | None:
        return self._progress.tasks[0].total

    @total.setter
    def total(self, size: float) -> None:
        self._progress.update(self._task, total=size)

    def update(self, size: int) -> None:
        self._progress.advance(self._task, size)

    def reset(self) -> None:
        self._progress.reset(self._task)

    def close(self) -> None:
        self._progress.stop()


def download(name: str, folder: Path | str, site: str = SITE) -> Path:
    """Fetch and unpack CIFAR-10 or CIFAR-100, unless it is there and undamaged.

    Parameters
    ----------
    name
        "cifar10" or "cifar100".
    folder
        Where to; the official folder appears in it whole or not at all. Of one that is there already the published
        files are replaced, and others left.
    site
        The address that the archive's name is appended to.

    Returns
    -------
    Path
        The official folder.

    Raises
    ------
    StorageError
        If the download fails, or what came is not the published archive.
    UserError
        If pooch is not installed.
    """
    archive, md5, inside = ARCHIVES[check.choice("name", name, ARCHIVES)]
    place = Path(os.path.expanduser(check.path(folder)))
    target = place if place.name == inside else place / inside
    if _is_intact(name, target):
        return target
    try:
        import pooch
    except ImportError as error:
        raise UserError("the download needs pooch: pip install 'skipglass[data]'") from error
    pooch.get_logger().setLevel("WARNING")  # the bar says it all
    with Progress(transient=True) as progress:
        fetch = pooch.HTTPDownloader(progressbar=_Bar(progress, archive))
        try:
            packed = pooch.retrieve(f"{site}{archive}", f"md5:{md5}", archive, target.parent, downloader=fetch)
        except (OSError, ValueError) as error:
            raise StorageError(f"{archive} could not be fetched from {site}: {error}") from error
    try:
        with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
            with tarfile.open(packed) as tar:
                tar.extractall(scratch, filter="data")
            _move(Path(scratch) / inside, target)
    except (OSError, tarfile.TarError) as error:
        raise StorageError(f"{packed} could not be unpacked into {target.parent}: {error}") from error
    Path(packed).unlink()
    return target


def _is_intact(name: str, target: Path) -> bool:
    if not target.is_dir():
        return False
    try:
        cifar(name, target)
    except UserError:
        return False
    return True


def _move(source: Path, target: Path) -> None:
    """Move a folder to where none is, or its files into the one that is there."""
    if not target.is_dir():
        shutil.move(source, target)
        return
    for file in source.iterdir():
        os.replace(file, target / file.name)
