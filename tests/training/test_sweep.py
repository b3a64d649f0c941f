"""A sweep: every cell is its own training, whoever did it; finished cells are kept, killed workers lose nothing."""

import json
import math
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import xarray as xr
from distributed import Client

from skipglass import record
from skipglass.errors import InputError, StorageError, UserError
from skipglass.paths import spectrum
from skipglass.training import Grid, Settings, cell, cells, check_recording, map_unordered, sweep, train
from skipglass.training.cells import effective_depths
from skipglass.training.mlp import MLPs

GRID = Grid(
    separations=[4], learning_rates=[0.05, 0.2], variants=["paper-after", "none"], depths=[2, 3], seeds=[0, 7],
    epochs=1, width=4,
)  # fmt: skip
DIGITS = Settings(experiment="digits", depth=3, width=8, epochs=2, seeds=(0, 1))


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sweep")
    return folder, sweep(GRID, folder)


@pytest.mark.parametrize("normalization", ["none", "batch", "paper"])
def test_each_seed_s_depth_is_that_of_its_network_alone(normalization):
    """One seed's network is taken out, and each of its samples split by its own walk."""
    training = MLPs(replace(DIGITS, normalization=normalization, depth=4, dtype="float64", seeds=(3, 5, 8), epochs=1))
    training.fit()
    training.calibrate()
    median, batch = effective_depths(
        training.model, training.inputs[:, :12], training.targets[:, :12], torch.tensor([True] * 3)
    )
    alone = replace(training.settings, seeds=(5,)).model(64, 10)
    alone.load_state_dict({name: value[1] for name, value in training.model.state_dict().items()})
    alone.eval()
    x, y = training.inputs[1, :12].clone().requires_grad_(), training.targets[1, :12]
    whole = spectrum(F.cross_entropy(alone(x), y), x, "blocks").effective_depth
    each = []
    for n in range(12):
        sample = x[n : n + 1].detach().requires_grad_()
        each.append(spectrum(F.cross_entropy(alone(sample), y[n : n + 1]), sample, "blocks").effective_depth)
    np.testing.assert_allclose(median[1], np.nanmedian(each), rtol=1e-10)
    np.testing.assert_allclose(batch[1], whole, rtol=1e-10)


def test_a_diverged_network_has_no_depth_and_leaves_the_others_theirs():
    run = MLPs(replace(DIGITS, seeds=(0, 1, 2)))
    x, y = run.inputs[:, :16], run.targets[:, :16]
    healthy = effective_depths(run.model, x, y, torch.tensor([True, True, True]))
    with torch.no_grad():
        run.model.layers[1].weight[1] = float("nan")
    before = [t.clone() for t in run.model.state_dict().values()]
    for fine, rest in zip(healthy, effective_depths(run.model, x, y, torch.tensor([True, False, True])), strict=True):
        assert np.isnan(rest[1])
        np.testing.assert_allclose(rest[[0, 2]], fine[[0, 2]], rtol=1e-12)
    after = run.model.state_dict().values()
    assert all(torch.equal(a, b) or a.isnan().any() for a, b in zip(before, after, strict=True))
    assert np.isnan(effective_depths(run.model, x, y, torch.tensor([False] * 3))).all()


def test_a_cell_is_the_training_of_its_settings():
    """The same numbers as `train` records; statistics apart, which lag there and are fresh here."""
    found, recording = cell(DIGITS), train(DIGITS)
    rows = [0, int(np.argmin(abs(recording.epoch.values - 1))), -1]
    assert found.epoch.values.tolist() == [0, 1, 2]
    magnitude = recording.multiplier_magnitude[rows, :, 1:].mean("layer")
    np.testing.assert_allclose(found.multiplier, magnitude, rtol=1e-6)
    np.testing.assert_allclose(found.weight_norm, np.sqrt((recording.weight_norm[rows] ** 2).sum("layer")), rtol=1e-6)
    np.testing.assert_allclose(found.absorbed_norm[0], recording.absorbed_norm[0, :, 1:].mean("layer"), rtol=1e-5)
    assert (found.effective_depth > 0).all()
    assert (found.effective_depth < 2).all()


@pytest.mark.parametrize("normalization", ["none", "batch", "paper"])
def test_one_seed_alone_trains_too(normalization):
    settings = replace(DIGITS, normalization=normalization, dtype="float64", epochs=1)
    both, one = cell(settings), cell(replace(settings, seeds=(1,)))
    xr.testing.assert_allclose(one, both.sel(seed=[1]), rtol=1e-5)


def test_a_sweep_holds_each_of_its_cells(swept):
    folder, recording = swept
    assert recording.sizes == {"cell": 8, "epoch": 2, "seed": 2}
    assert sorted(p.stem for p in (folder / "cells").glob("[!.]*")) == sorted(recording.cell.values)
    name = "paper-after-depth3-separation4.0-rate0.2"
    one = recording.sel(cell=name)
    assert (float(one.separation), float(one.learning_rate), str(one.variant.values), int(one.depth)) == (
        4.0, 0.2, "paper-after", 3,
    )  # fmt: skip
    alone = cell(GRID.cells()[name])
    for variable in alone.data_vars:
        np.testing.assert_array_equal(one[variable], alone[variable])
    assert np.isnan(recording.multiplier[recording.variant.values == "none"]).all()
    np.testing.assert_array_equal(recording.attrs["seeds"], [0, 7])


def test_finished_cells_are_not_trained_again(swept, monkeypatch):
    folder, recording = swept
    (folder / "cells" / ".half.nc").write_bytes(b"what a kill leaves of a file")
    monkeypatch.setattr(cells, "cell", lambda _: pytest.fail("trained again"))
    counts = []
    xr.testing.assert_identical(sweep(GRID, folder, on_cell=counts.append), recording)
    assert counts == [8]
    smaller = sweep(replace(GRID, depths=[3]), folder)
    assert smaller.cell.values.tolist() == [name for name in recording.cell.values if "depth3" in name]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"epochs": 2}, "epochs = 1, asked for is 2"),
        ({"seeds": [0, 8]}, "seeds"),
        ({"width": 5}, "width = 4"),
        ({"depths": [9], "epochs": 2}, "epochs"),  # no cell in common, and yet another sweep
    ],
)
def test_a_folder_of_other_settings_is_refused_and_kept(swept, change, words):
    folder, _ = swept
    before = {path: path.read_bytes() for path in (folder / "cells").iterdir()}
    with pytest.raises(StorageError, match=words):
        sweep(replace(GRID, **change), folder)
    assert {path: path.read_bytes() for path in (folder / "cells").iterdir()} == before


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"epochs": 2}, "epochs = 1, asked for is 2"),
        ({"depths": [3, 4]}, "4 of its 8 cells are not in the grid, like paper-after-depth2"),
    ],
)
def test_a_recording_of_another_sweep_is_not_overwritten(swept, tmp_path, change, words):
    _, recording = swept
    path = tmp_path / "sweep.nc"
    check_recording(path, GRID)
    record.save(recording, path, kind="sweep")
    check_recording(path, GRID)
    check_recording(path, replace(GRID, depths=[2, 3, 4]))
    with pytest.raises(StorageError, match=words):
        check_recording(path, replace(GRID, **change))


def test_a_damaged_or_foreign_cell_is_named(swept, tmp_path):
    folder, recording = swept
    place = tmp_path / "cells"
    place.mkdir()
    damaged = place / f"{recording.cell.values[0]}.nc"
    whole = (folder / "cells" / damaged.name).read_bytes()
    damaged.write_bytes(whole[:1000])
    with pytest.raises(StorageError, match=f"{damaged.name}: it is damaged"):
        sweep(GRID, tmp_path)
    damaged.write_bytes((folder / "cells" / f"{recording.cell.values[1]}.nc").read_bytes())
    with pytest.raises(StorageError, match=r"has learning_rate = 0\.2, asked for is 0\.05"):
        sweep(GRID, tmp_path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"depths": []}, "depths is empty"),
        ({"variants": ["batch-behind"]}, "did you mean 'batch-"),
        ({"separations": [4, 4.0]}, "separations must differ"),
        ({"depths": [1]}, "each of depths must be an integer of at least 2"),
        ({"learning_rates": [0]}, "learning_rate"),
        ({"seeds": [1]}, "at least 2 seeds"),
        ({"epochs": 0}, "epochs"),
    ],
)
def test_a_bad_grid_is_named(change, words):
    with pytest.raises(InputError, match=words):
        replace(GRID, **change)


def test_local_processes_give_the_same_numbers(swept, tmp_path):
    _, recording = swept
    found = sweep(replace(GRID, variants=["none"], depths=[2]), tmp_path, workers=2)
    xr.testing.assert_identical(found, recording.sel(cell=found.cell))


def die_on_two(item):
    if item == 2:
        time.sleep(1)
        os.kill(os.getpid(), signal.SIGKILL)
    return item


def test_a_killed_local_worker_is_one_clear_error_and_costs_no_result():
    results = map_unordered(die_on_two, [0, 1, 2], workers=2)
    assert {next(results), next(results)} == {0, 1}
    with pytest.raises(UserError, match="a worker process was killed"):
        next(results)


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "nowhere", "abc://127.0.0.1:80"])
def test_a_cluster_that_cannot_be_reached_is_named(address, tmp_path, monkeypatch):
    monkeypatch.setattr("skipglass.training.parallel.PATIENCE", 0.5)
    with pytest.raises(UserError, match=rf"{address} cannot be reached"):
        sweep(GRID, tmp_path, cluster=address)


@pytest.mark.parametrize("address", ["", "  "])
def test_a_blank_address_is_named(address):
    with pytest.raises(InputError, match="address of the cluster is empty"):
        list(map_unordered(math.sqrt, [1.0], cluster=address))


def dask(*arguments, log):
    return subprocess.Popen([sys.executable, "-m", "dask", *arguments, "--no-dashboard"], stdout=log, stderr=log)


def test_a_killed_dask_worker_loses_no_result(swept, tmp_path):
    """Two workers on loopback; one is killed after the second result, and the other one does what it left."""
    _, recording = swept
    noted = tmp_path / "scheduler.json"
    with (tmp_path / "log").open("w") as log:
        running = [dask("scheduler", "--host", "127.0.0.1", "--port", "0", "--scheduler-file", str(noted), log=log)]
        try:
            while not (noted.is_file() and noted.stat().st_size) and running[0].poll() is None:
                time.sleep(0.05)
            address = json.loads(noted.read_text())["address"]
            with pytest.raises(UserError, match=f"{address} has no workers"):
                sweep(GRID, tmp_path, cluster=address)
            alone = ("--nthreads", "1", "--no-nanny", "--local-directory", str(tmp_path))
            running += [dask("worker", address, *alone, log=log) for _ in range(2)]
            with Client(address, set_as_default=False) as client:
                client.wait_for_workers(2)
            with pytest.raises(UserError, match=r"failed on a worker of tcp://[0-9.:]+ with ValueError"):
                list(map_unordered(math.sqrt, [-1.0], cluster=address))

            def kill(done):
                if done == 2:
                    running[1].kill()

            found = sweep(GRID, tmp_path, cluster=address, on_cell=kill)
            assert running[1].wait() == -signal.SIGKILL
        finally:
            for process in running:
                process.kill()
                process.wait()
    xr.testing.assert_identical(found, recording)
