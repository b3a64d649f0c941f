"""The map shows what was recorded; its verdicts follow the recording, and a counterfeit flips them."""

from itertools import product
from pathlib import Path

import numpy as np
import pytest
import scipy.stats
import xarray as xr
from rich.progress import Progress

from skipglass.paper import Options, measure, recorded, reproduce, sweep_map, write_report
from skipglass.paper.page import paper_report
from skipglass.paper.sweep_claims import SWEEP_CLAIMS, rank_correlation
from skipglass.record import load
from skipglass.training import Grid

RECORDED = Path(__file__).parents[2] / "results" / "sweep" / "recordings" / "sweep.nc"
SCALES = {"multiplier": "Sec. 4, map of λ", "absorbed_norm": "Sec. 4, map of norms", "effective_depth": "Claim 2, map"}
CELLS = list(product(("batch-after", "none"), (2.0, 8.0), (0.01, 0.1, 1.0), (3, 6)))


def recording(**growth):
    """24 cells, 4 seeds: quantities start at 1 and end at the factor given for each cell, with noise of 0.01."""
    noise = np.random.default_rng(0).normal(0, 0.01, (len(CELLS), 4))
    variant, separation, rate, depth = zip(*CELLS, strict=True)
    data = {}
    for name in (*SCALES, "effective_depth_batch", "weight_norm", "train_accuracy"):
        factor = np.broadcast_to(growth.get(name, 1.0), len(CELLS))[:, None]
        data[name] = (("cell", "epoch", "seed"), np.stack([1 + 0 * noise, factor + noise], axis=1))
    data["multiplier"][1][np.array(variant) == "none"] = np.nan
    coordinates = {"variant": variant, "separation": separation, "learning_rate": rate, "depth": depth}
    return xr.Dataset(
        data,
        {**{k: ("cell", list(v)) for k, v in coordinates.items()}, "cell": [str(c) for c in CELLS], "epoch": [0, 4]},
        {"epochs": 4, "width": 20},
    ).assign_coords(seed=range(4))


def judge(name, data):
    return next(claim for claim in SWEEP_CLAIMS if claim.name == name).finding({"sweep": data})


@pytest.mark.parametrize(("name", "claim"), SCALES.items())
def test_growth_is_judged_cell_by_cell(name, claim):
    total = 12 if name == "multiplier" else 24
    assert judge(claim, recording(**{name: 1.5})).verdict == "holds"
    assert judge(claim, recording(**{name: 0.5})).verdict == "fails"
    fast = np.array([cell[2] == 1.0 for cell in CELLS])
    mixed = judge(claim, recording(**{name: np.where(fast, 1.5, 0.7)}))
    assert mixed.verdict == f"holds when the setting is one of {total // 3} of {total}"
    assert f"learning rate (0.01: 0 of {total // 3}; 0.1: 0 of {total // 3}; 1: {total // 3} of" in mixed.measured
    assert mixed.seeds == "4 a setting"


def test_growth_is_more_than_two_standard_errors_over_seeds():
    data = recording()
    learned, found = sweep_map.growths(data)
    change = np.log(data.absorbed_norm.values[:, -1])
    error = change.std(1, ddof=1) / 2
    np.testing.assert_array_equal(found["absorbed_norm"].rises, change.mean(1) > 2 * error)
    np.testing.assert_array_equal(found["absorbed_norm"].falls, change.mean(1) < -2 * error)
    assert learned.sizes["cell"] == 24
    blocks = np.array([cell[3] - 1 for cell in CELLS])[:, None]
    np.testing.assert_allclose(
        found["effective_depth"].change, (data.effective_depth.values[:, -1] - 1) / blocks, atol=1e-12
    )


def test_cells_that_did_not_learn_or_diverged_are_left_out():
    data = recording(effective_depth=1.5, train_accuracy=np.where(np.arange(24) < 5, 0.1, 0.9))
    depth = data.effective_depth.copy(deep=True)
    depth[7, -1, 2] = np.nan
    learned, _ = sweep_map.growths(data.assign(effective_depth=depth))
    assert learned.cell.values.tolist() == [str(c) for k, c in enumerate(CELLS) if k >= 5 and k != 7]


def test_the_rank_correlation_is_spearman_s_and_its_interval_is_the_bootstrap_s():
    rng = np.random.default_rng(3)
    a = rng.normal(size=40).round(1)  # with ties
    b = a + rng.normal(size=40)
    rho, low, high = rank_correlation(a, b)
    assert rho == pytest.approx(scipy.stats.spearmanr(a, b).statistic)
    drawn = [rng.integers(40, size=40) for _ in range(2_000)]
    again = [scipy.stats.spearmanr(a[k], b[k]).statistic for k in drawn[:400]]
    np.testing.assert_allclose([low, high], np.quantile(again, [0.025, 0.975]), atol=0.06)


@pytest.mark.parametrize(("claim", "name"), [("Claim 2, λ", "multiplier"), ("Claim 2, norms", "absorbed_norm")])
def test_that_the_depth_follows_is_judged_by_its_interval(claim, name):
    ramp = np.linspace(0.6, 1.6, 24)
    blocks = np.array([cell[3] - 1 for cell in CELLS])
    follows = judge(claim, recording(**{name: ramp, "effective_depth": 1 + (ramp - 1) * blocks}))
    assert follows.verdict == "holds"
    assert "all: +0.9" in follows.measured or "all: +1.00" in follows.measured
    against = judge(claim, recording(**{name: ramp, "effective_depth": 1 - (ramp - 1) * blocks}))
    assert against.verdict == "fails"
    unrelated = judge(claim, recording(**{name: ramp}))
    assert unrelated.verdict == "not testable: every interval holds 0"


def test_one_seed_gives_no_verdict():
    for claim in SWEEP_CLAIMS:
        assert claim.finding({"sweep": recording().isel(seed=[0])}).verdict == "not testable with one seed"


def test_a_map_has_a_dot_for_each_cell_in_the_colour_of_what_grew():
    rises = np.array([cell[1] == 8.0 for cell in CELLS])
    deepens = np.array([cell[2] < 1.0 for cell in CELLS])
    data = recording(
        multiplier=np.where(rises, 1.5, 0.5), absorbed_norm=np.where(rises, 1.5, 0.5),
        effective_depth=np.where(deepens, 1.5, 0.5), train_accuracy=np.where(np.arange(24) == 0, 0.1, 0.9),
    )  # fmt: skip
    first, second, *scatters = sweep_map.map_panels(data)
    assert [p.name for p in (first, second)] == ["map-batch-after", "map-none"]
    counts = [[int(np.isfinite(s.y).sum()) for s in panel.series] for panel in (first, second)]
    assert counts == [[4, 2, 3, 2, 1], [4, 2, 4, 2, 0]]
    assert first.title.endswith("both grow in 4 of 12")
    both = first.series[0]
    assert set(both.y[np.isfinite(both.y)]) == {8.0}
    dots = np.sort(np.concatenate([s.x[np.isfinite(s.y)] for s in first.series]))
    np.testing.assert_allclose(dots.reshape(3, 4).prod(1) ** 0.25, [0.01, 0.1, 1.0])  # depths stand around their rate
    _, found = sweep_map.growths(data)
    by_norm = scatters[-1]
    np.testing.assert_array_equal(by_norm.series[0].x, found["absorbed_norm"].mean[:11])
    np.testing.assert_array_equal(by_norm.series[1].y, found["effective_depth"].mean[11:])


def test_reproduce_trains_the_small_grid_and_shows_the_large_one_above_it(tmp_path, monkeypatch):
    tiny = Grid([8.0], [0.05], ["paper-after", "none"], [2, 3], seeds=[0, 1], epochs=1, width=4)
    monkeypatch.setattr(sweep_map, "LIVE", tiny)
    monkeypatch.setattr(reproduce, "save_figures", lambda panel, _: panel.to_xarray())  # drawn once, in map.png
    with Progress(disable=True) as progress:
        measure(tmp_path, ["map"], Options(recorded=RECORDED.parents[2]), progress=progress)
        assert recorded(tmp_path) == ["map"]
        page = write_report(tmp_path, ["map"], progress=progress).read_text()
    assert page.index("The map: what grows, and where") < page.index("The map, a small grid trained here")
    assert (tmp_path / "figures" / "map.png").is_file()
    recordings = tmp_path / "recordings"
    assert (recordings / "sweep.nc").read_bytes() == RECORDED.read_bytes()
    assert load(recordings / "sweep-small.nc", "sweep").sizes["cell"] == 4
    monkeypatch.setattr(sweep_map, "sweep", lambda *_, **__: pytest.fail("trained again, over the recording there"))
    measure(tmp_path, ["map"], Options(resume=True), progress=progress)


def test_a_page_without_the_full_map_says_so_at_its_head():
    data = load(RECORDED, "sweep")
    assert "REDUCED: the map is the small grid alone" in paper_report({"sweep-small": data}, [])[0].lead
    assert "REDUCED" not in paper_report({"sweep-small": data, "sweep": data}, [])[0].lead


def test_the_committed_map_says_what_its_verdicts_claim():
    data = load(RECORDED, "sweep")
    assert data.sizes == {"cell": 180, "epoch": 5, "seed": 8}
    assert set(data.cell.values) == set(Grid().cells())
    verdicts = {claim.name: claim.finding({"sweep": data}).verdict for claim in SWEEP_CLAIMS}
    assert verdicts["Sec. 4, map of λ"] == "holds when the setting is one of 41 of 101"
    assert verdicts["Claim 2, λ"] == "holds"
    learned, found = sweep_map.growths(data)
    normalised = ~np.char.startswith(learned.variant.values.astype(str), "none")
    assert not found["effective_depth"].rises[normalised].any()  # |λ| may grow, the depth does not
    small = learned.variant.values == "none-small"
    assert found["effective_depth"].rises[small].sum() == 26
    reverse = data.assign({name: data[name].copy(data=data[name].values[:, ::-1]) for name in SCALES})
    counterfeit = {claim.name: claim.finding({"sweep": reverse}).verdict for claim in SWEEP_CLAIMS}
    assert counterfeit["Claim 2, map"] == "holds when the setting is one of 104 of 165"
