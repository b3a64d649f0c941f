"""Files that appear whole or not at all."""

import contextlib
import glob
import os
import secrets
import tempfile
from collections.abc import Iterator
from pathlib import Path

from skipglass import check
from skipglass.errors import StorageError

__all__ = ["output_folder", "remove_leftovers", "write_atomically"]


@contextlib.contextmanager
def write_atomically(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; rename it to ``path`` once the block ends without an error.

    The data reach the disk before the rename, so a crash, a full disk or Ctrl-C leaves the old file.

    Parameters
    ----------
    path
        The file to write; its folder must exist. Of a link, the file that it leads to.

    Yields
    ------
    Path
        Where to write. It keeps the suffix of ``path``.

    Raises
    ------
    StorageError
        If the file cannot be written: the folder is missing or read-only, or the disk is full.
    """
    path = check.path(path)
    try:
        target = Path(os.path.realpath(path))
        if target.exists() and not target.is_file():
            raise StorageError(f"cannot write {path}: it is there and no regular file; choose another name")
        temporary = target.with_name(f"{_prefix(target)}{secrets.token_hex(4)}{target.suffix}")
        temporary.touch(exist_ok=False)
        try:
            yield temporary
            # all bytes are on the disk before the name changes: a crash leaves one file or the other, whole
            with open(temporary, "rb") as file:
                os.fsync(file.fileno())
            os.replace(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)
    except StorageError:
        raise
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror or error}; nothing was changed there") from error


def remove_leftovers(path: str | Path) -> None:
    """Remove what writers of ``path`` left beside it when they were killed; only where nobody else is writing it.

    Parameters
    ----------
    path
        The file, which is left as it is.
    """
    target = Path(os.path.realpath(check.path(path)))
    for leftover in target.parent.glob(f"{glob.escape(_prefix(target))}{8 * '?'}{glob.escape(target.suffix)}"):
        leftover.unlink(missing_ok=True)


def output_folder(path: str | Path) -> Path:
    """Create the folder ``path`` if need be and prove that files can be written in it.

    Parameters
    ----------
    path
        The folder.

    Returns
    -------
    Path
        The folder, which exists.

    Raises
    ------
    StorageError
        If it cannot be created or written in: said before any work is done, not after.
    """
    folder = check.path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # permissions lie, a file does not
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise StorageError(
            f"cannot write in the folder {folder}: {error.strerror or error}; choose another folder"
        ) from error
    return folder


def _prefix(target: Path) -> str:
    """How the names of a file's temporary ones begin; eight random characters follow."""
    return f".{target.stem[:99]}-"
