"""The official CIFAR archives, downloaded once and checked against their published MD5."""

import contextlib
import hashlib
import http.client
import os
import shutil
import tarfile
import tempfile
import urllib.request
from pathlib import Path

from rich.progress import wrap_file

from skipglass import check
from skipglass.data.cifar import CIFAR, cifar
from skipglass.errors import StorageError, UserError

__all__ = ["ARCHIVES", "download"]

SITE = "https://www.cs.toronto.edu/~kriz/"
ARCHIVES = {  # python layout: file, MD5
    "cifar10": ("cifar-10-python.tar.gz", "c58f30108f718f92721af3b95e74349a"),
    "cifar100": ("cifar-100-python.tar.gz", "eb9058c3a382ffc7106e4002c42a8d85"),
}
TIMEOUT = 30  # seconds without an answer


def download(name: str, folder: Path | str, site: str = SITE) -> Path:
    """Download and unpack CIFAR-10 or CIFAR-100, unless it is there and undamaged.

    Parameters
    ----------
    name
        "cifar10" or "cifar100".
    folder
        Where to put the official folder, which appears whole or not at all. If it is there already, the published
        files in it are replaced and others are left.
    site
        The address to which the name of the archive is appended.

    Returns
    -------
    Path
        The official folder.

    Raises
    ------
    StorageError
        If the download fails, or what came is not the published archive.
    """
    archive, md5 = ARCHIVES[check.choice("name", name, ARCHIVES)]
    inside = CIFAR[name].folders[0]
    place = Path(os.path.expanduser(check.path(folder)))
    target = place if place.name == inside else place / inside
    with contextlib.suppress(UserError):
        cifar(name, target)
        return target
    try:
        # Unpacked beside its place, so that the last step is a rename within one file system.
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
            packed = Path(scratch) / archive
            _fetch(f"{site}{archive}", packed, md5)
            with tarfile.open(packed) as tar:
                tar.extractall(scratch, filter="data")
            _move(Path(scratch) / inside, target)
    except (OSError, ValueError, http.client.HTTPException, tarfile.TarError) as error:
        raise StorageError(f"{archive} could not be fetched from {site} and unpacked: {error}") from error
    return target


def _fetch(url: str, file: Path, md5: str) -> None:
    """Write what the address answers to a file, with a progress bar, and compare its MD5."""
    with urllib.request.urlopen(url, timeout=TIMEOUT) as answer, file.open("w+b") as out:
        size = int(answer.headers.get("Content-Length", 0))
        with wrap_file(answer, size, description=file.name, transient=True) as stream:
            shutil.copyfileobj(stream, out)
        out.seek(0)
        if hashlib.file_digest(out, "md5").hexdigest() != md5:
            raise ValueError(f"its MD5 is not the published {md5}")


def _move(source: Path, target: Path) -> None:
    """Move a folder to its place, or only its files if there is a folder already."""
    if not target.is_dir():
        os.replace(source, target)
        return
    for file in source.iterdir():
        os.replace(file, target / file.name)
