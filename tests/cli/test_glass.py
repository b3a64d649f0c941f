"""`skipglass glass`: what is printed is what was measured, on any number of workers; mistakes in one line."""

import json
import math
import os

import numpy as np
import pytest

import skipglass.glass
from skipglass.glass import SphericalGlass, critical_points
from skipglass.record import load
from skipglass.theory import DepthEnsemble, expected_critical_points

SMALL = ["glass", "--depth", 100, "--beta", 0.005, "--field", "--size", 200, "--samples", 2, "--steps", 6]
counting = pytest.mark.skipif(
    not hasattr(skipglass.glass, "critical_points"), reason="critical_points has not landed yet"
)


@pytest.fixture(scope="module")
def printed(skipglass, tmp_path_factory):
    folder = tmp_path_factory.mktemp("glass")
    status, out, err = skipglass(*SMALL, "--json", "--out", folder)
    assert status == 0, err
    return json.loads(out), folder


def test_descents_are_printed_with_the_landmarks(printed):
    result, _ = printed
    nu1 = DepthEnsemble(100, 0.005).mixture(field=True).nu1
    minimum = -math.sqrt(nu1)  # the one that there is
    assert result["landmarks"] == {"threshold": None, "minimum": minimum, "ground": pytest.approx(minimum, rel=1e-9)}
    assert [(row["sample"], row["start"]) for row in result["rows"]] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert all(-1.4 < row["energy"] < -0.8 for row in result["rows"])
    assert all(row["overlap"] > 0.9 for row in result["rows"])


def test_the_figure_and_the_recording_hold_what_is_printed(printed):
    result, folder = printed
    assert {path.suffix for path in folder.glob("glass-descents.*")} == {".png", ".pdf", ".nc"}
    page = (folder / "report.html").read_text()
    assert all(f"{row['energy']:.4g}" in page for row in result["rows"])
    recording = load(folder / "glass-descents-samples.nc", "glass")
    np.testing.assert_array_equal(recording.energy.values.ravel(), [row["energy"] for row in result["rows"]])
    assert load(folder / "glass-descents.nc", "panel").sizes["row"] >= 4


def test_the_number_of_workers_changes_nothing(skipglass, printed):
    result, _ = printed
    status, out, _ = skipglass(*SMALL, "--json", "--workers", 2)
    assert status == 0
    assert json.loads(out) == result


def test_descents_are_printed_as_a_table(skipglass):
    status, out, _ = skipglass(*SMALL[:-4], "--samples", 1, "--steps", 2, "--seed", 5)
    assert status == 0
    assert "depth 100, β = 0.005, field kept, Λ = 200" in " ".join(out.split())
    assert "-E_0 = -1.1" in " ".join(out.split())


@counting
def test_critical_points_are_compared_with_the_exact_counts(skipglass, tmp_path):
    status, out, err = skipglass("glass", "--orders", "3", "--size", 3, "--samples", 12, "--json", "--out", tmp_path)
    assert status == 0, err
    result = json.loads(out)
    from skipglass.theory import Mixture

    exact, _ = expected_critical_points(Mixture.pure(3), 3, per_index=True)
    assert [row["index"] for row in result["rows"]] == ["0", "1", "2", "total"]
    np.testing.assert_allclose([row["exact"] for row in result["rows"][:-1]], exact)
    for row in result["rows"]:
        assert row["z"] == pytest.approx((row["measured"] - row["exact"]) / row["standard error"], abs=1e-3)
        assert abs(row["z"]) < 4
    recording = load(tmp_path / "glass-counts-samples.nc", "glass")
    count = recording["count"]
    points = recording.isel(point=recording.point_sample.values == 7)
    found = critical_points(SphericalGlass(Mixture.pure(3), 3, seed=7))
    np.testing.assert_allclose(points.energy, found.energies, atol=1e-11)
    np.testing.assert_array_equal(points.point_index, found.indices)
    assert int(recording.fewest_hits.min()) >= 2
    assert (recording.euler == 1).all()
    np.testing.assert_array_equal((count * (-1.0) ** count.index).sum("index"), 2)
    assert (tmp_path / "glass-counts.png").exists()
    assert err.splitlines()[-1] == f"{tmp_path / 'report.html'}: open it in a browser"
    assert f"{result['rows'][-1]['exact']:.4g}" in (tmp_path / "report.html").read_text()


def test_a_search_that_gives_up_is_warned_of_and_workers_are_capped(skipglass, monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    arguments = ["--orders", "3", "--size", 6, "--samples", 2, "--max-starts", 100, "--workers", 1000]
    status, _, err = skipglass("glass", *arguments)
    assert status == 0, err
    assert "2 workers in place of 1000" in err
    assert "2 of 2 samples lack evidence" in " ".join(err.split())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "--orders"),
        (["--orders", "3", "--depth", "100"], "one of them"),
        (["--depth", "100"], "--beta"),
        (["--depth", "100", "--beta", "-1"], "beta"),
        (["--depth", "1", "--beta", "1"], "field=True"),
        (["--depth", "9", "--beta", "1", "--size", "1"], "size"),
        (["--depth", "9", "--beta", "1", "--steps", "0"], "steps"),
        (["--depth", "9", "--beta", "1", "--samples", "0"], "samples"),
        (["--depth", "9", "--beta", "1", "--workers", "0"], "workers"),
        (["--depth", "9", "--beta", "1", "--seed", "-1"], "seed"),
        (["--orders", "three"], "orders must be like"),
        (["--orders", "3,3"], "each order once"),
        (["--orders", "2,3:0.5"], "orders must be like"),
        (["--orders", "0"], "order"),
        (["--orders", "1000000000", "--size", "2"], "up to order 100"),
        (["--orders", "3", "--size", "40"], "too many to find all"),
        (["--orders", "3", "--samples", "1000000000000"], "samples"),
        (["--orders", "3:1e-320", "--size", "3"], "normalized"),
        (["--orders", "3", "--seed", str(2**63 - 1)], "the last seed"),
        (["--depth", "9", "--beta", "1", "--workers", "1000000000"], "workers"),
        (["--depth", "9", "--beta", "1", "--size", "1000000000000"], "GB are free"),
        (["--depth", "9", "--beta", "1", "--size", "50", "--starts", "1000000000000"], "GB are free"),
        (["--orders", "3", "--out", ""], "empty"),
        (["--orders", "3", "--max-starts", "0"], "max_starts"),
        (["--orders", "2:0"], "positive power"),
        (["--orders", "3", "--samples", "1"], "2"),
    ],
)
def test_a_mistake_ends_in_one_line_and_status_2(skipglass, arguments, words):
    status, out, err = skipglass("glass", *arguments)
    assert status == 2, err
    assert out == ""
    assert words in err
    assert len(err.strip().splitlines()) == 1
