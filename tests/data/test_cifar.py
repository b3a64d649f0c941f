"""CIFAR from hand-made files in the official layouts, and the real sets where they lie beside the checkout."""

import functools
import hashlib
import http.server
import io
import os
import pickle
import struct
import tarfile
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from skipglass.data import cifar, download
from skipglass.data.augment import crop_and_flip, draw
from skipglass.data.cifar import CIFAR
from skipglass.data.download import ARCHIVES
from skipglass.errors import InputError, StorageError

REAL = Path(os.environ.get("SKIPGLASS_DATA", "data"))


def rows(layout, file, seed):
    generator = np.random.default_rng([seed, *file.encode()])
    return generator.integers(256, size=(4, 3072), dtype=np.uint8), generator.integers(layout.classes, size=4).tolist()


class Python2(pickle._Pickler):
    """Writes strings of bytes as Python 2 did, in whose time the official files were made."""

    def save(self, obj, save_persistent_id=True):
        if isinstance(obj, bytes):
            self.write(pickle.BINSTRING + struct.pack("<i", len(obj)) + obj)
        else:
            super().save(obj, save_persistent_id)


def python2(content):
    out = io.BytesIO()
    Python2(out, protocol=2).dump(content)
    return out.getvalue()


def python_layout(name, folder, seed=0):
    layout = CIFAR[name]
    where = folder / layout.folders[0]
    where.mkdir(parents=True)
    for file in layout.digests:
        pixels, labels = rows(layout, file, seed)
        content = {b"data": pixels, layout.key: labels, b"batch_label": b"x", b"filenames": [b"a.png"] * 4}
        (where / file).write_bytes(python2(content))
    return where


def binary_layout(name, folder, seed=0):
    layout = CIFAR[name]
    where = folder / layout.folders[1]
    where.mkdir(parents=True)
    for file in layout.digests:
        pixels, labels = rows(layout, file, seed)
        with (where / f"{file}.bin").open("wb") as out:
            for image, label in zip(pixels, labels, strict=True):
                out.write(struct.pack("BB", 7, label) if layout.coarse else struct.pack("B", label))
                out.write(image.tobytes())
    return where


@pytest.mark.parametrize("name", CIFAR)
@pytest.mark.parametrize("write", [python_layout, binary_layout])
@pytest.mark.parametrize("inside", [False, True])
def test_both_layouts_give_the_images_that_were_written(name, write, inside, tmp_path):
    where = write(name, tmp_path)
    images = cifar(name, where if inside else tmp_path, official=False)
    layout = CIFAR[name]
    *train, _ = layout.digests
    expected = [rows(layout, file, 0) for file in train]
    assert torch.equal(images.inputs, torch.from_numpy(np.concatenate([p for p, _ in expected])).view(-1, 3, 32, 32))
    assert images.targets.tolist() == [label for _, labels in expected for label in labels]
    assert images.test_inputs.shape == (4, 3, 32, 32)
    assert images.inputs.dtype == torch.uint8
    assert images.classes == layout.classes


def published(name, monkeypatch):
    """Let the hand-made files of seed 0 be the published ones."""
    layout, digests = CIFAR[name], {}
    for file in layout.digests:
        pixels, labels = rows(layout, file, 0)
        digests[file] = hashlib.sha256(bytes(labels) + pixels.tobytes()).hexdigest()
    monkeypatch.setitem(CIFAR, name, replace(layout, digests=digests))


@pytest.mark.parametrize("write", [python_layout, binary_layout])
def test_the_official_check_takes_the_published_digests_and_names_what_differs(write, tmp_path, monkeypatch):
    where = write("cifar10", tmp_path)
    with pytest.raises(StorageError, match=r"cifar10.*data_batch_1, .*test_batch.*--download"):
        cifar("cifar10", tmp_path)
    published("cifar10", monkeypatch)
    assert len(cifar("cifar10", tmp_path).targets) == 20
    batch = next(where.glob("data_batch_4*"))
    content = batch.read_bytes()
    pixels = rows(CIFAR["cifar10"], "data_batch_4", 0)[0].tobytes()[:3072]
    batch.write_bytes(content.replace(pixels, pixels[::-1]))
    with pytest.raises(StorageError, match=r" data_batch_4\b.*--download"):
        cifar("cifar10", tmp_path)


@pytest.mark.parametrize("folder", ["x" * 300, "~nobody-of-that-name", "file"])
def test_a_folder_that_cannot_be_is_named(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match=folder):
        cifar("cifar10", folder)


@pytest.mark.parametrize("write", [python_layout, binary_layout])
def test_a_batch_that_cannot_be_read_is_named(write, tmp_path, monkeypatch):
    """It was a file when it was looked for; root may read any."""
    where = write("cifar100", tmp_path)
    file = next(where.glob("train*"))
    file.unlink()
    file.mkdir()
    monkeypatch.setattr("os.path.isfile", os.path.exists)
    with pytest.raises(StorageError, match=r"train(\.bin)?.*Is a directory"):
        cifar("cifar100", tmp_path)


def test_missing_files_are_named(tmp_path):
    with pytest.raises(StorageError, match=r"cifar-10-batches-py.*cifar-10-batches-bin"):
        cifar("cifar10", tmp_path)
    where = binary_layout("cifar10", tmp_path)
    (where / "data_batch_3.bin").unlink()
    with pytest.raises(StorageError, match="data_batch_3"):
        cifar("cifar10", tmp_path)


def test_a_truncated_batch_is_named(tmp_path):
    where = binary_layout("cifar100", tmp_path)
    raw = (where / "train.bin").read_bytes()
    (where / "train.bin").write_bytes(raw[:-5])
    with pytest.raises(StorageError, match=r"train\.bin"):
        cifar("cifar100", tmp_path, official=False)
    where = python_layout("cifar10", tmp_path)
    raw = (where / "data_batch_2").read_bytes()
    for length in (0, 1, 100, len(raw) // 2, len(raw) - 1):
        (where / "data_batch_2").write_bytes(raw[:length])
        with pytest.raises(StorageError, match="data_batch_2"):
            cifar("cifar10", tmp_path, official=False)


@pytest.mark.parametrize("write", [python_layout, binary_layout])
def test_a_label_out_of_range_is_refused(write, tmp_path, monkeypatch):
    write("cifar100", tmp_path)
    monkeypatch.setitem(CIFAR, "cifar100", replace(CIFAR["cifar100"], classes=3))
    with pytest.raises(InputError, match=r"labels.* 1?\d+\.\.\d+.* 0\.\.2"):
        cifar("cifar100", tmp_path, official=False)


class Exploit:
    def __reduce__(self):
        return (open, ("harm", "w"))


@pytest.mark.parametrize("place", [b"data", b"labels", b"batch_label"])
def test_nothing_in_a_pickle_can_run(place, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    where = python_layout("cifar10", tmp_path)
    content = {b"data": np.zeros((1, 3072), np.uint8), b"labels": [0], place: Exploit()}
    (where / "data_batch_1").write_bytes(python2(content))
    with pytest.raises(StorageError, match="data_batch_1"):
        cifar("cifar10", tmp_path, official=False)
    assert not (tmp_path / "harm").exists()


def test_mean_and_deviation_normalise(tmp_path):
    python_layout("cifar10", tmp_path)
    images = cifar("cifar10", tmp_path, official=False)
    found = images.normalized(images.inputs[:2])
    expected = (images.inputs[:2].double() - torch.tensor(images.mean).double().view(3, 1, 1)) / torch.tensor(
        images.std
    ).double().view(3, 1, 1)
    torch.testing.assert_close(found.double(), expected, rtol=1e-6, atol=1e-6)


def test_a_subset_is_random_and_keeps_labels_with_their_images(tmp_path):
    python_layout("cifar10", tmp_path)
    images = cifar("cifar10", tmp_path, official=False)
    part = images.subset(7, seed=1)
    of = {image.numpy().tobytes(): int(label) for image, label in zip(images.inputs, images.targets, strict=True)}
    assert len({image.numpy().tobytes() for image in part.inputs}) == 7
    assert all(
        of[image.numpy().tobytes()] == int(label) for image, label in zip(part.inputs, part.targets, strict=True)
    )
    with pytest.raises(InputError, match="samples"):
        images.subset(21)


def reference(image, dy, dx, flip, padding=4):
    """One image, pixel by pixel, by the definition."""
    channels, height, width = image.shape
    out = torch.zeros_like(image)
    for c in range(channels):
        for y in range(height):
            for x in range(width):
                row, column = y + dy - padding, (width - 1 - x if flip else x) + dx - padding
                if 0 <= row < height and 0 <= column < width:
                    out[c, y, x] = image[c, row, column]
    return out


def test_the_augmentation_is_the_per_image_reference_for_a_fixed_draw():
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(12, 3, 8, 8, generator=generator)
    offsets, flips = draw(12, generator)
    offsets[:4] = torch.tensor([[0, 0], [8, 8], [0, 8], [4, 4]])
    expected = torch.stack(
        [reference(i, int(dy), int(dx), bool(f)) for i, (dy, dx), f in zip(images, offsets, flips, strict=True)]
    )
    assert torch.equal(crop_and_flip(images, offsets, flips), expected)


def test_the_draw_is_uniform():
    offsets, flips = draw(81_000, torch.Generator().manual_seed(0))
    counts = torch.bincount((offsets[:, 0] * 9 + offsets[:, 1]) * 2 + flips, minlength=162).double()
    chi_square = float(((counts - 500) ** 2 / 500).sum())
    assert chi_square < 222.2  # 99.9 % point of 161 degrees of freedom: rows, columns and flips are independent


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def site(tmp_path):
    """A server on the loopback with a small archive in the official layout."""
    served = tmp_path / "served"
    where = python_layout("cifar10", served)
    with tarfile.open(served / ARCHIVES["cifar10"][0], "w:gz") as tar:
        tar.add(where, where.name)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=served))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_download_is_unpacked_once_its_checksum_is_right(site, tmp_path, monkeypatch):
    archive = tmp_path / "served" / ARCHIVES["cifar10"][0]
    md5 = hashlib.md5(archive.read_bytes()).hexdigest()
    monkeypatch.setitem(ARCHIVES, "cifar10", (archive.name, md5))
    where = download("cifar10", tmp_path / "new", site)
    assert len(cifar("cifar10", where, official=False).targets) == 20
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["cifar-10-batches-py"]
    archive.unlink()
    published("cifar10", monkeypatch)
    assert download("cifar10", tmp_path / "new", site) == where  # it is there: nothing is fetched


def damage_batch(where):
    (where / "data_batch_2").write_bytes((where / "data_batch_2").read_bytes()[:-7])


def alter_labels(where):
    raw = (where / "data_batch_2").read_bytes()
    (where / "data_batch_2").write_bytes(raw.replace(b"labels", b"label_"))


def remove_batch(where):
    (where / "test_batch").unlink()


def empty(where):
    for path in where.iterdir():
        path.unlink()


@pytest.mark.parametrize("inside", [False, True])
@pytest.mark.parametrize("harm", [damage_batch, alter_labels, remove_batch, empty])
def test_a_download_replaces_what_is_damaged(harm, inside, site, tmp_path, monkeypatch):
    archive = tmp_path / "served" / ARCHIVES["cifar10"][0]
    md5 = hashlib.md5(archive.read_bytes()).hexdigest()
    monkeypatch.setitem(ARCHIVES, "cifar10", (archive.name, md5))
    published("cifar10", monkeypatch)
    where = python_layout("cifar10", tmp_path / "new")
    harm(where)
    (where / "mine").write_text("kept")
    with pytest.raises(StorageError, match="--download"):
        cifar("cifar10", where)
    assert download("cifar10", where if inside else where.parent, site) == where
    assert len(cifar("cifar10", where).targets) == 20
    assert (where / "mine").read_text() == "kept"
    assert [p.name for p in where.parent.iterdir()] == [where.name]


def test_a_download_that_fails_leaves_what_is_there(site, tmp_path):
    where = python_layout("cifar10", tmp_path / "new")
    damage_batch(where)
    before = {path.name: path.read_bytes() for path in where.iterdir()}
    with pytest.raises(StorageError, match="cifar-10-"):
        download("cifar10", where.parent, site)
    assert {path.name: path.read_bytes() for path in where.iterdir()} == before


def test_a_wrong_archive_leaves_nothing(site, tmp_path):
    with pytest.raises(StorageError, match="cifar-10-"):
        download("cifar10", tmp_path / "new", site)
    with pytest.raises(StorageError, match="cifar-100-"):
        download("cifar100", tmp_path / "new", site)
    assert not any((tmp_path / "new").iterdir())


@pytest.mark.parametrize("name", CIFAR)
def test_the_real_sets_pass_their_checksum(name):
    if not (REAL / CIFAR[name].folders[0]).is_dir():
        pytest.skip(f"the official {name} does not lie in SKIPGLASS_DATA ({REAL})")
    images = cifar(name, REAL)
    assert images.inputs.shape == (50_000, 3, 32, 32)
    assert torch.equal(torch.bincount(images.targets), torch.full((images.classes,), 50_000 // images.classes))
    found = images.inputs.double().mean(dim=(0, 2, 3))
    torch.testing.assert_close(found, torch.tensor(images.mean).double(), rtol=0, atol=0.06)
