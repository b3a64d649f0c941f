"""Recordings are written whole or not at all, and a reader refuses what is not one."""

import os
import subprocess
import sys

import numpy as np
import pytest
import xarray as xr

from skipglass import record
from skipglass.errors import InputError, StorageError


@pytest.fixture
def dataset():
    return xr.Dataset({"loss": (("step", "seed"), np.random.default_rng(0).normal(size=(4, 3)))}, attrs={"β": 0.5})


def test_a_recording_comes_back_with_its_provenance(dataset, tmp_path):
    path = record.save(dataset, tmp_path / "a.nc", kind="training")
    loaded = record.load(path, kind="training")
    xr.testing.assert_equal(loaded, dataset)
    assert loaded.attrs["β"] == 0.5
    assert loaded.attrs["skipglass_schema"] == record.SCHEMA
    assert {"command", "commit", "machine", "created", "skipglass_version"} <= set(loaded.attrs)
    assert [p.name for p in tmp_path.iterdir()] == ["a.nc"]


def _write_half(path, error):
    with record.write_atomically(path) as temporary:
        temporary.write_text("half of the n")
        raise error


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(StorageError, match="No space left"):
        _write_half(path, OSError(28, "No space left on device"))
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_a_full_disk_is_said_in_one_line(dataset):
    with pytest.raises(StorageError) as caught, record.write_atomically("/dev/full/x.nc"):
        pass
    assert "/dev/full/x.nc" in str(caught.value)


FULL = """
import resource, sys, numpy as np, xarray as xr
from skipglass import record
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    record.save(xr.Dataset({"a": ("x", np.random.default_rng(0).normal(size=10_000))}), sys.argv[1], "training")
except record.atomic.StorageError as error:
    print(error)
"""


def test_a_disk_that_fills_ends_no_process_and_leaves_the_old_file(dataset, tmp_path):
    path = record.save(dataset, tmp_path / "a.nc", kind="training")
    old = path.read_bytes()
    ended = subprocess.run([sys.executable, "-c", FULL, str(path)], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout.count("\n")) == (0, 1), ended.stderr
    assert f"cannot write {path}: File too large" in ended.stdout
    assert path.read_bytes() == old
    assert [p.name for p in tmp_path.iterdir()] == ["a.nc"]


@pytest.mark.parametrize("path", [None, 3, b"a.nc", "a\0.nc"])
def test_what_is_no_path_is_named(dataset, path):
    for call in (record.load, record.output_folder, lambda p: record.save(dataset, p, "training")):
        with pytest.raises(InputError, match="a path"):
            call(path)


def test_a_link_stays_and_its_file_is_replaced(dataset, tmp_path):
    for name in ("there.nc", "not yet.nc"):
        link = tmp_path / f"link to {name}"
        link.symlink_to(tmp_path / "data" / name)
        (tmp_path / "data").mkdir(exist_ok=True)
        record.save(dataset, link, kind="training")
        assert link.is_symlink()
        xr.testing.assert_equal(record.load(tmp_path / "data" / name), dataset)


def test_names_that_no_system_takes_are_refused(dataset, tmp_path):
    for path in (tmp_path / ("a" * 300), tmp_path):
        with pytest.raises(StorageError, match=path.name[:40]):
            record.save(dataset, path, kind="training")
        with pytest.raises(StorageError, match=path.name[:40]):
            record.load(path)


def test_an_interrupt_leaves_nothing_half_written(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        _write_half(tmp_path / "a.txt", KeyboardInterrupt())
    assert not list(tmp_path.iterdir())


def test_leftovers_of_killed_writers_go_and_nothing_else(dataset, tmp_path):
    path = record.save(dataset, tmp_path / "run[1].nc", kind="training")
    killed = (
        "import sys, os; from skipglass.record import write_atomically\nwith write_atomically(sys.argv[1]): os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", killed, str(path)], timeout=60)
    kept = [path.name, ".run[1]-12345678.pt", ".run[1]-s1-12345678.nc", ".run1-12345678.nc", "run[1]-12345678.nc"]
    for name in kept[1:]:
        (tmp_path / name).touch()
    assert len(list(tmp_path.iterdir())) == len(kept) + 1
    record.remove_leftovers(path)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(kept)


def test_a_folder_that_cannot_be_written_is_refused_before_any_work(tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    for folder in (file, file / "below", "/proc/skipglass"):
        with pytest.raises(StorageError, match=str(folder)):
            record.output_folder(folder)


def test_damaged_and_foreign_files_are_refused(dataset, tmp_path):
    path = record.save(dataset, tmp_path / "a.nc", kind="training")
    whole = path.read_bytes()
    cut = tmp_path / "cut.nc"
    text = tmp_path / "text.nc"
    text.write_text("no netCDF")
    foreign = tmp_path / "foreign.nc"
    dataset.drop_attrs().to_netcdf(foreign, engine="h5netcdf")
    newer = tmp_path / "newer.nc"
    dataset.assign_attrs(skipglass_schema=record.SCHEMA + 1).to_netcdf(newer, engine="h5netcdf")
    for size in (0, 10, len(whole) // 2, len(whole) - 1):
        cut.write_bytes(whole[:size])
        with pytest.raises(StorageError, match=r"cut\.nc"):
            record.load(cut)
    for bad, reason in [
        (text, "netCDF"),
        (foreign, "skipglass wrote"),
        (newer, "update"),
        (tmp_path / "missing.nc", "no such file"),
        (tmp_path, "no such file"),
    ]:
        with pytest.raises(StorageError, match=reason):
            record.load(bad)
    with pytest.raises(StorageError, match=r"'profile'.*'training'"):
        record.load(path, kind="profile")


def test_what_is_no_regular_file_is_not_replaced(tmp_path):
    pipe = tmp_path / "pipe.nc"
    os.mkfifo(pipe)
    with pytest.raises(StorageError, match=r"pipe\.nc"), record.write_atomically(pipe):
        pass
    assert pipe.is_fifo()
