"""The map shows what was recorded; its verdicts follow the recording, and a counterfeit flips them."""

from itertools import product
from pathlib import Path

import numpy as np
import pytest
import scipy.stats
import xarray as xr
from rich.progress import Progress

from skipglass.paper import Options, measure, recorded, reproduce, write_report
from skipglass.paper import map as paper_map
from skipglass.paper.page import paper_report
from skipglass.record import load
from skipglass.training import Grid

RECORDED = Path(__file__).parents[2] / "results" / "sweep" / "recordings" / "sweep.nc"
SCALES = {"multiplier": "Map, λ", "absorbed_norm": "Map, norms", "effective_depth": "Map, depth"}
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
    return next(claim for claim in paper_map.MAP.claims if claim.name == name).finding({"sweep": data})


@pytest.mark.parametrize(("name", "claim"), SCALES.items())
def test_growth_is_judged_cell_by_cell(name, claim):
    total = 12 if name == "multiplier" else 24
    assert judge(claim, recording(**{name: 1.5})).verdict == f"supported ({total} of {total} settings)"
    assert judge(claim, recording(**{name: 0.5})).verdict == f"not supported (0 of {total} settings)"
    fast = np.array([cell[2] == 1.0 for cell in CELLS])
    mixed = judge(claim, recording(**{name: np.where(fast, 1.5, 0.7)}))
    assert mixed.verdict == f"not supported ({total // 3} of {total} settings)"
    assert f"Above 0 in {total // 3} of {total}: " in mixed.measured
    assert f"Below 0 in {2 * total // 3} of {total}: " in mixed.measured
    assert mixed.seeds == "n = 4 per setting"


def test_growth_is_student_s_t_over_seeds_with_holm_s_correction():
    data = recording()
    learned = paper_map.learned_cells(data)
    assert learned.sizes["cell"] == 24
    change = paper_map.changes(learned, "absorbed_norm")
    np.testing.assert_allclose(change, np.log(data.absorbed_norm.values[:, -1]))
    p = scipy.stats.ttest_1samp(change, 0, axis=1).pvalue
    settings = next(c for c in paper_map.MAP.claims if c.name == "Map, norms").judged({"sweep": data}).settings
    smallest = p.argmin()
    assert (settings[smallest].side != 0) == (24 * p[smallest] <= 0.05)
    blocks = np.array([cell[3] - 1 for cell in CELLS])[:, None]
    np.testing.assert_allclose(
        paper_map.changes(learned, "effective_depth"), (data.effective_depth.values[:, -1] - 1) / blocks, atol=1e-12
    )


def test_cells_that_did_not_learn_or_diverged_are_left_out():
    data = recording(effective_depth=1.5, train_accuracy=np.where(np.arange(24) < 5, 0.1, 0.9))
    depth = data.effective_depth.copy(deep=True)
    depth[7, -1, 2] = np.nan
    learned = paper_map.learned_cells(data.assign(effective_depth=depth))
    assert learned.cell.values.tolist() == [str(c) for k, c in enumerate(CELLS) if k >= 5 and k != 7]


def test_the_rank_correlation_is_spearman_s():
    rng = np.random.default_rng(3)
    a = rng.normal(size=(40, 3)).round(1)  # with ties
    b = a + rng.normal(size=(40, 3))
    found = paper_map.spearman(a, b)
    assert found == pytest.approx([scipy.stats.spearmanr(a[:, k], b[:, k]).statistic for k in range(3)])


@pytest.mark.parametrize(
    ("claim", "name"), [("Map, depth by λ", "multiplier"), ("Map, depth by norms", "absorbed_norm")]
)
def test_that_the_depth_follows_is_judged_by_rank_correlation(claim, name):
    ramp = np.linspace(0.6, 1.6, 24)
    blocks = np.array([cell[3] - 1 for cell in CELLS])
    follows = judge(claim, recording(**{name: ramp, "effective_depth": 1 + (ramp - 1) * blocks}))
    assert follows.verdict.startswith("supported")
    against = judge(claim, recording(**{name: ramp, "effective_depth": 1 - (ramp - 1) * blocks}))
    assert against.verdict.startswith("not supported")
    assert judge(claim, recording(**{name: ramp})).verdict == "undetermined: no significant effect"


def test_the_summary_of_the_command_counts_what_the_claims_count():
    fast = np.array([cell[2] == 1.0 for cell in CELLS])
    data = recording(absorbed_norm=np.where(fast, 1.5, 0.7), effective_depth=1.5, multiplier=0.5)
    assert paper_map.summary(data) == [
        ("batch-after", 12, "0 / 12", "4 / 8", "12 / 0"), ("none", 12, "0 / 0", "4 / 8", "12 / 0"),
    ]  # fmt: skip


def test_one_seed_gives_no_verdict():
    for claim in paper_map.MAP.claims:
        found = claim.finding({"sweep": recording(effective_depth=1.5).isel(seed=[0])}).verdict
        assert found.startswith("undetermined"), claim.name


def test_a_map_has_a_dot_for_each_cell_in_the_colour_of_what_grew():
    rises = np.array([cell[1] == 8.0 for cell in CELLS])
    deepens = np.array([cell[2] < 1.0 for cell in CELLS])
    data = recording(
        multiplier=np.where(rises, 1.5, 0.5), absorbed_norm=np.where(rises, 1.5, 0.5),
        effective_depth=np.where(deepens, 1.5, 0.5), train_accuracy=np.where(np.arange(24) == 0, 0.1, 0.9),
    )  # fmt: skip
    first, second, *scatters = paper_map.map_panels(data)
    assert [p.name for p in (first, second)] == ["map-batch-after", "map-none"]
    counts = [[int(np.isfinite(s.y).sum()) for s in panel.series] for panel in (first, second)]
    assert counts == [[4, 2, 3, 2, 1], [4, 2, 4, 2, 0]]
    assert first.title.endswith("both grow in 4 of 12")
    both = first.series[0]
    assert set(both.y[np.isfinite(both.y)]) == {8.0}
    dots = np.sort(np.concatenate([s.x[np.isfinite(s.y)] for s in first.series]))
    np.testing.assert_allclose(dots.reshape(3, 4).prod(1) ** 0.25, [0.01, 0.1, 1.0])  # depths stand around their rate
    learned, by_norm = paper_map.learned_cells(data), scatters[-1]
    np.testing.assert_array_equal(by_norm.series[0].x, paper_map.changes(learned, "absorbed_norm").mean(axis=1)[:11])
    np.testing.assert_array_equal(by_norm.series[1].y, paper_map.changes(learned, "effective_depth").mean(axis=1)[11:])


def test_reproduce_trains_the_small_grid_and_shows_the_large_one_above_it(tmp_path, monkeypatch):
    tiny = Grid([8.0], [0.05], ["paper-after", "none"], [2, 3], seeds=[0, 1], epochs=1, width=4)
    monkeypatch.setattr(paper_map, "LIVE", tiny)
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
    monkeypatch.setattr(paper_map, "sweep", lambda *_, **__: pytest.fail("trained again, over the recording there"))
    measure(tmp_path, ["map"], Options(resume=True), progress=progress)


def test_a_page_without_the_full_map_says_so_at_its_head():
    data = load(RECORDED, "sweep")
    assert "REDUCED: the map is the small grid alone" in paper_report({"sweep-small": data}, [])[0].lead
    assert "REDUCED" not in paper_report({"sweep-small": data, "sweep": data}, [])[0].lead


def test_the_committed_map_says_what_its_verdicts_claim():
    data = load(RECORDED, "sweep")
    assert data.sizes == {"cell": 180, "epoch": 5, "seed": 8}
    assert set(data.cell.values) == set(Grid().cells())
    claims = {claim.name: claim for claim in paper_map.MAP.claims}
    assert claims["Map, λ"].finding({"sweep": data}).verdict.startswith("not supported (38 of 101 settings")
    depth = {name: quantity({"sweep": data}) for name, quantity in claims["Map, depth"].variants.items()}
    rising = {name: claims["Map, depth"].rule.judge(numbers).count(1) for name, numbers in depth.items()}
    normalised = [name for name in depth if not name.startswith("no norm")]
    assert sum(len(depth[name]) for name in normalised) == 101
    assert not any(rising[name] for name in normalised)  # |λ| may grow, the depth does not
    assert rising["no norm, C = 0.1"] == 24
    reverse = data.assign({name: data[name].copy(data=data[name].values[:, ::-1]) for name in SCALES})
    assert claims["Map, depth"].finding({"sweep": reverse}).verdict.startswith("supported")
