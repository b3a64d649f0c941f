"""Depth by several measures of networks fresh and trained: what is measured, drawn and said of it."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import skipglass as sg
from skipglass.errors import StorageError
from skipglass.models import CifarResNet
from skipglass.paper.measured_networks import State, networks
from skipglass.paper.measures import (
    DRAWN,
    KIND,
    MODELS,
    MODES,
    agreement_table,
    change,
    course_panel,
    layers_panel,
    measure_panels,
    null_table,
    row_of,
    tabulated,
)
from skipglass.paths import MEASURES
from skipglass.record import load
from skipglass.report import grid

RECORDED = Path(__file__).parents[2] / "results" / "measures.nc"


def states():
    """A tiny network, fresh and with other weights and statistics."""
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(6, 3, 8, 8, generator=generator), torch.arange(6) % 3

    def trained():
        model = CifarResNet(8, width=0.25, classes=3)
        with torch.no_grad():
            for p in model.parameters():
                p.mul_(1.5)
        return model.eval()

    about = {"dataset": "cifar10", "depth": 8, "epochs": 2, "decay_scales": 1, "seed": 0}
    yield State("tiny", "fresh", lambda: CifarResNet(8, width=0.25, classes=3).eval(), x, y, F.cross_entropy, about)
    yield State("tiny", "trained", trained, x, y, F.cross_entropy, about)


@pytest.fixture(scope="module")
def tiny():
    return tabulated([row_of(state) for state in states()])


def test_a_row_is_what_the_measurements_give(tiny):
    assert dict(tiny.sizes) == {"mode": 2, "state": 2, "measure": len(MEASURES), "model": 3, "layer": 8}
    fresh = next(states())
    model = fresh.model()
    d = sg.paths.depths(model, fresh.inputs, fresh.targets, F.cross_entropy)
    np.testing.assert_allclose(tiny.depth.sel(mode="eval").isel(state=0), d.depth, rtol=1e-5)
    np.testing.assert_allclose(tiny.layer_energy_depth.sel(mode="eval").isel(state=0), d.weight_energy_depth, rtol=1e-4)
    profile = sg.measure(model, fresh.inputs, fresh.targets, F.cross_entropy)
    distance = tiny.distance.sel(mode="eval").isel(state=0)
    assert float(distance.sel(model="coherent")) == pytest.approx(profile.fits[0].distance, rel=1e-3, abs=1e-9)
    sg.scales.hold_statistics(model, fresh.inputs)
    held = sg.paths.depths(model, fresh.inputs, fresh.targets, F.cross_entropy)
    np.testing.assert_allclose(tiny.depth.sel(mode="frozen").isel(state=0), held.depth, rtol=1e-5)
    assert not np.allclose(held.depth, d.depth, rtol=1e-3)


def test_test_errors_come_from_the_recording_of_the_training(tiny):
    import xarray as xr

    training = xr.Dataset(
        {"test_error": ("epoch", [0.9, 0.5, 0.2])},
        {"epoch": [0, 1, 2]},
        {"dataset": "cifar10", "depth": 8, "epochs": 2, "decay_scales": 1, "seed": 0},
    )
    rows = [row_of(state) for state in states()]
    assert tabulated(rows, [training]).test_error.values.tolist() == [0.9, 0.2]
    assert np.isnan(tabulated(rows, [training.assign_attrs(seed=1)]).test_error).all()


def test_panels_and_tables_say_what_the_numbers_are(tiny):
    panels = measure_panels(tiny)
    assert len(panels) == len(DRAWN)
    drawn = panels[0].series[1]
    value = tiny.depth.sel(mode="frozen", measure=DRAWN[0]).isel(state=1)
    assert drawn.y[0] == pytest.approx(float(value) / 3)
    assert grid(panels)
    table = agreement_table(tiny)
    deeper, error = change(tiny, "tiny", "fresh", "trained", DRAWN[4])
    assert table.rows[0][5].startswith(f"{deeper:+.2f}")
    assert ("?" in table.rows[0][5]) == (abs(deeper) <= 2 * error)
    layers = tiny.layer_energy_depth.sel(mode="frozen").values[:, :7]
    assert table.rows[0][7].startswith(f"{(layers[1] - layers[0]).mean():+.2f} ({(layers[1] > layers[0]).sum()} of 7")
    assert len(null_table(tiny).rows) == 2


def test_a_counterfeit_turns_the_agreement(tiny):
    """All measures up, all down, one against the others, none beyond its error."""

    def told(changes, error=0.0):
        fake = tiny.copy(deep=True)
        fake.depth[:, 1] = fake.depth[:, 0]
        fake.depth_error[:] = error
        for measure, value in zip(DRAWN, changes, strict=True):
            fake.depth.loc[{"measure": measure}] = fake.depth.loc[{"measure": measure}] + np.array([0.0, value])
        return agreement_table(fake).rows[0][-1]

    assert told([1] * 6) == "deeper"
    assert told([-1] * 6) == "shallower"
    assert told([1, 1, 1, 1, 1, -0.5]) == "depends on the measure"
    assert told([0.1, 0.1, 0.1, 0.1, 0.1, -0.1], error=0.5) == "no sign"


def test_a_folder_without_weights_and_files_of_other_names_get_one_line(tmp_path):
    with pytest.raises(StorageError, match="holds no weights") as caught:
        list(networks(tmp_path, tmp_path))
    assert "\n" not in str(caught.value)
    (tmp_path / "trained").mkdir()
    (tmp_path / "trained" / "net.pt").write_bytes(b"")
    with pytest.raises(StorageError, match="is not called"):
        list(networks(tmp_path, tmp_path))


@pytest.fixture(scope="module")
def recorded():
    return load(RECORDED, KIND)


def test_the_recording_has_every_network_fresh_and_trained(recorded):
    names = list(dict.fromkeys(recorded.network.values.tolist()))
    assert len(names) == 12
    assert recorded.mode.values.tolist() == list(MODES)
    assert recorded.model.values.tolist() == list(MODELS)
    for name in names:
        whens = recorded.when.values[recorded.network.values == name].tolist()
        assert whens[0] == "fresh"
        assert whens[-1] == "trained"
    # shares of the lengths sum to what participations do: the signed depth lies between no block and all
    depth = recorded.depth.sel(measure=["input, energy", "input, energy, median", "output, energy", "single paths"])
    within = (depth > 0) & (depth < recorded.blocks)
    assert bool((within | np.isnan(depth)).all())


def test_the_resnet_of_others_agrees_with_what_was_measured_independently(recorded):
    """Measured before this code was written, on other samples: depths by six measures, fresh and trained."""
    known = {
        "input, shares, median": (7.45, 6.30),
        "input, energy, median": (7.48, 6.28),
        "first weight, energy": (6.70, 4.28),
        "output, energy": (4.86, 4.63),
        "single paths": (9.15, 6.97),
    }
    rows = recorded.network.values == "ResNet-44, CIFAR-10, trained by others"
    for measure, (fresh, trained) in known.items():
        found = recorded.depth.sel(mode="eval", measure=measure).values[rows]
        assert found == pytest.approx([fresh, trained], rel=0.12)
        assert found[1] < found[0]
    distance = recorded.distance.sel(mode="eval").isel(state=np.flatnonzero(rows)[-1]).values
    assert distance == pytest.approx([0.107, 0.055, 0.003], rel=0.25)


def test_medians_are_those_that_the_trainings_have_recorded(recorded):
    """The median over the probe, statistics held, as the monitors of the trainings saw it on a GPU at these moments."""
    known = {
        "ResNet-32, CIFAR-10, 164 epochs, seed 0": [6.52, 2.7, 4.10, 5.90, None, None, 6.19],
        "ResNet-32, CIFAR-10, 164 epochs, seed 0, no weight decay on λ": [6.52, 6.08],
        "ResNet-32, CIFAR-100, 164 epochs, seed 0": [6.59, 6.44],
        "ResNet-32, CIFAR-100, 164 epochs, seed 0, no weight decay on λ": [6.59, 6.11],
        "ResNet-20, CIFAR-10, 30 epochs, seed 1": [4.79, 5.46],
        "ResNet-20, CIFAR-10, 30 epochs, seed 4": [4.96, 5.35],
    }
    for network, depths in known.items():
        found = recorded.depth.sel(mode="frozen", measure="input, shares, median").values[recorded.network == network]
        for value, expected in zip(found, depths, strict=True):
            assert expected is None or value == pytest.approx(expected, abs=0.03)


def test_where_the_sign_depends_on_the_measure(recorded):
    """By the gradients of all weights no network but ResNet-56 fails to deepen; at the input several do not."""

    def changed(network, measure):
        value, error = change(recorded, network, "fresh", "trained", measure)
        return np.sign(value) * (abs(value) > 2 * error)

    names = list(dict.fromkeys(recorded.network.values.tolist()))
    shallow = [name for name in names if "ResNet-56" in name]
    assert len(shallow) == 2
    assert all(changed(name, "all weights, energy") == 1 for name in names if name not in shallow)
    assert all(changed(name, "input, energy, median") == -1 for name in names if "-32" in name or "-44" in name)
    assert all(changed(name, "input, energy, median") == 1 for name in names if "-20" in name or "MiniLM" in name)
    assert all(changed(name, "input, energy, median") == -1 for name in shallow)


def test_the_figure_of_the_recording_is_drawn(recorded):
    assert grid(measure_panels(recorded))
    assert len(course_panel(recorded).series) == len(DRAWN)
    assert layers_panel(recorded).series[0].name == "fresh"
    table = agreement_table(recorded)
    assert {row[-1] for row in table.rows} >= {"depends on the measure"}


@pytest.mark.parametrize(
    "write",
    [
        lambda path: torch.save(CifarResNet(8, width=0.25).state_dict(), path),
        lambda path: torch.save([1], path),
        lambda path: path.write_bytes(b"no weights"),
    ],
    ids=["of another network", "a list", "no file of weights"],
)
def test_weights_that_do_not_fit_are_named_in_one_line(write, tmp_path, monkeypatch):
    images = SimpleNamespace(
        inputs=torch.zeros(600, 3, 32, 32),
        targets=torch.zeros(600, dtype=torch.long),
        classes=10,
        normalized=torch.clone,
    )
    monkeypatch.setattr("skipglass.paper.measured_networks.cifar", lambda *_: images)
    (tmp_path / "trained").mkdir()
    path = tmp_path / "trained" / "resnet-cifar10-d20-w1-e30-s0@epoch30.pt"
    write(path)
    state = next(s for s in networks(tmp_path, tmp_path) if s.when == "trained")
    with pytest.raises(StorageError, match="holds no weights that fit a CifarResNet") as caught:
        state.model()
    assert "\n" not in str(caught.value)
