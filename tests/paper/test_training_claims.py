"""Verdicts on trainings are functions of recordings: a counterfeit turns each of them, and NaN proves nothing."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from skipglass.paper.drift import DRIFT, correlation, decay_share, predictions
from skipglass.paper.interventions import INTERVENTIONS, by_kind
from skipglass.paper.map import MAP
from skipglass.paper.measures import DEPTHS, depth_by
from skipglass.paper.networks import NETWORKS
from skipglass.paper.resnet_group import DEPTH, families, groups

RESULTS = Path(__file__).parents[2] / "results"
EVERY = (NETWORKS, MAP, DRIFT, INTERVENTIONS)
CLAIMS = {claim.name: claim for experiment in EVERY for claim in experiment.claims}


@pytest.fixture(scope="module")
def committed():
    places = {"networks": "resnets", "map": "sweep", "drift": "drift", "interventions": "resnets"}
    found = {}
    for experiment, place in zip(EVERY, places.values(), strict=True):
        found |= experiment.load(RESULTS / place / "recordings")
    return found | DEPTHS.load(RESULTS)


def course(variable, curve, *, spared=None):
    """A ResNet's recording in which a variable follows ``curve(part of the training, blocks)``, seeds a bit apart."""

    def forge(data):
        chosen = curve if data.attrs["decay_scales"] or spared is None else spared
        part = data.watched_epoch / data.attrs["epochs"]
        apart = 1e-3 * (data.attrs["seed"] + 5 * (data.attrs["dataset"] == "cifar100") + 2 * data.attrs["decay_scales"])
        values = chosen(part, data.sizes["block"]) * (1 + apart)
        return data.assign({variable: values.broadcast_like(data[variable]).transpose(*data[variable].dims)})

    return forge


def up(t, _):
    return 2 + t


def down(t, _):
    return 4 - t


def bend(before, after):
    """Straight up to the first drop of the learning rate, and from there on."""
    return lambda t, _: 9 + before * t + (after - before) * (t - 81 / 164).clip(0)


def waving(data):
    layers = xr.DataArray(np.arange(data.sizes["layer"]), dims="layer")
    values = (2 + (layers % 2)).broadcast_like(data.absorbed_norm).transpose(*data.absorbed_norm.dims)
    return data.assign(absorbed_norm=values * 1.0)


def smooth(data):
    layers = xr.DataArray(np.arange(1.0, data.sizes["layer"] + 1), dims="layer")
    return data.assign(absorbed_norm=layers.broadcast_like(data.absorbed_norm).transpose(*data.absorbed_norm.dims))


def grown(variable, factor):
    """A quantity of the map that ends at a factor of its start, other seeds a little apart."""

    def forge(data):
        start = data[variable].isel(epoch=0, drop=True)
        end = start * factor * (1 + 1e-3 * data.seed)
        values = xr.concat([start] * (data.sizes["epoch"] - 1) + [end], dim="epoch")
        return data.assign({variable: values.transpose(*data[variable].dims)})

    return forge


def following(sign):
    """The depth follows |λ| and the norms from cell to cell, or goes against them."""

    def forge(data):
        ramp = xr.DataArray(np.linspace(0.2, 3.0, data.sizes["cell"]), dims="cell")
        last = data.epoch == data.epoch[-1]
        noise = 1 + 1e-4 * data.seed * xr.DataArray(np.sin(np.arange(data.sizes["cell"])), dims="cell")
        norm = xr.where(last, data.absorbed_norm.isel(epoch=0) * ramp, data.absorbed_norm)
        scale = xr.where(last, data.multiplier.isel(epoch=0) * ramp, data.multiplier)
        rise = sign * (ramp - 1.6) * noise * (data.depth - 1)
        depth = xr.where(last, data.effective_depth.isel(epoch=0) + rise, data.effective_depth)
        return data.assign(absorbed_norm=norm, multiplier=scale, effective_depth=depth)

    return forge


def order(*, loss_first):
    """Loss and depth that move in the first epoch, or in the last."""

    def forge(data):
        steps = xr.DataArray(np.linspace(0, 1, data.sizes["epoch"]), dims="epoch", coords={"epoch": data.epoch})
        early, late = steps**0.2, steps**4
        apart = 1 + 1e-2 * data.seed
        loss = xr.ones_like(data.train_loss) * (5 - 4 * (early if loss_first else late) * apart)
        depth = xr.ones_like(data.effective_depth) * (1 + (late if loss_first else early) * apart)
        return data.assign(train_loss=loss, effective_depth=depth)

    return forge


def signs(*, up_means_growth):
    """A force that changes its sign, and growth that goes with it or does not care."""

    def forge(data):
        rng = np.random.default_rng(0)
        force = data.theorem_force.copy(data=rng.normal(size=data.theorem_force.shape))
        came = force if up_means_growth else force.copy(data=rng.normal(size=force.shape))
        epoch = np.floor(data.when.values).astype(int)
        growth = data.epoch_growth.copy(deep=True)
        for e in range(data.sizes["epoch"]):
            rows = came.isel(measurement=np.flatnonzero(epoch == e)).mean("measurement")
            growth[{"epoch": e}] = rows.transpose(*[d for d in growth.dims if d != "epoch"]).values
        zero = 0 * data.growth_decay
        return data.assign(
            theorem_force=force, live_force=force, push=came, growth=came, growth_decay=zero, epoch_growth=growth,
            epoch_decay=0 * data.epoch_decay,
        )  # fmt: skip

    return forge


def apart(data, values):
    """The same number for all, other seeds a little apart."""
    return values * (1 + 1e-3 * data.seed)


FORGED = [
    ("Abstract, start", "resnet-", course(DEPTH, lambda t, n: 0.3 * n + 0 * t), "supported"),
    ("Abstract, start", "resnet-", course(DEPTH, lambda t, n: 0.6 * n + 0 * t), "not supported"),
    ("Claim 3", "resnet-", course(DEPTH, lambda t, n: 0.1 * n + 0 * t), "supported"),
    ("Claim 2", "resnet-", course(DEPTH, up), "supported"),
    ("Claim 2", "resnet-", course(DEPTH, down), "not supported"),
    ("Fig. 2", "resnet-", course("absorbed_norm", down), "not supported"),
    ("Fig. 2, drop", "resnet-", course("absorbed_norm", bend(1, 2)), "supported"),
    ("Fig. 2, drop", "resnet-", course("absorbed_norm", bend(2, 1)), "not supported"),
    ("Fig. 2, waver", "resnet-", smooth, "not supported"),
    ("Fig. 3, before", "resnet-", course("multiplier_norm", up), "supported"),
    ("Fig. 3, before", "resnet-", course("multiplier_norm", down), "not supported"),
    ("Fig. 3, drop", "resnet-", course("multiplier_norm", down), "supported"),
    ("Fig. 3, drop", "resnet-", course("multiplier_norm", up), "not supported"),
    ("Fig. 3, cause", "resnet-", course("multiplier_norm", up, spared=down), "not supported"),
    ("First steps", "resnet-", course(DEPTH, lambda t, n: 0.3 * n + 90 * t.clip(0, 1e-3)), "not supported"),
    ("Deeper networks", "resnet-", course(DEPTH, lambda t, n: 2 + 0.1 * n * t), "supported"),
    ("Map, λ", "sweep", grown("multiplier", 1.5), "supported"),
    ("Map, norms", "sweep", grown("absorbed_norm", 1.5), "supported"),
    ("Map, depth", "sweep", grown("effective_depth", 1.5), "supported"),
    ("Map, depth by λ", "sweep", following(-1), "not supported"),
    ("Map, depth by norms", "sweep", following(-1), "not supported"),
    ("Map, start", "sweep", lambda d: d.assign(effective_depth=apart(d, 0 * d.effective_depth + 0.7 * (d.depth - 1))),
     "not supported"),
    ("Sec. 5, order", "sweep", order(loss_first=False), "not supported"),
    ("Theorem 3, condition", "drift-", lambda d: d.assign(norm_p=d.norm_m * (1 + 0.01 * d.norm_p)), "supported"),
    ("Theorem 3, slope", "drift-", signs(up_means_growth=True), "supported"),
    ("Theorem 3, step", "drift-", signs(up_means_growth=True), "supported"),
    ("Theorem 3, epoch", "drift-", signs(up_means_growth=True), "supported"),
    ("Theorem 3, unskipped, steps", "drift-", lambda d: d.assign(growth=d.growth_decay - abs(d.theorem_force)),
     "not supported"),
    ("Decay of λ", "drift-", lambda d: d.assign(epoch_growth=d.epoch_decay * (1.1 + 0.01 * d.seed)), "supported"),
]  # fmt: skip
"""Claim, how the names of the recordings begin that are forged, the forgery, and the word of the verdict on it."""


def word(verdict):
    return verdict.partition(" (")[0].partition(":")[0]


@pytest.mark.parametrize(("name", "prefix", "forge", "wanted"), FORGED)
def test_a_counterfeit_turns_its_verdict(committed, name, prefix, forge, wanted):
    forged = {key: forge(data) if key.startswith(prefix) else data for key, data in committed.items()}
    found, true = CLAIMS[name].finding(forged), CLAIMS[name].finding(committed)
    assert word(found.verdict) == wanted, found
    assert (found.verdict, found.measured) != (true.verdict, true.measured)


def by_measure(measure, *, fresh, gained=0.0):
    """The recording of the measures with another depth, fresh and trained, as a part of the blocks."""

    def forge(data):
        shift = 1e-3 * xr.DataArray(np.arange(data.sizes["state"]), dims="state")
        wanted = (fresh + gained * (data.when == "trained") + shift * (1 + (data.when == "trained"))) * data.blocks
        return data.assign(depth=xr.where(data.measure == measure, wanted, data.depth).transpose(*data.depth.dims))

    return forge


OUTPUT, WEIGHTS = "by the variance of the output", "by the gradients of all weights"
OTHERS = [
    ("Abstract, start", OUTPUT, "output, energy", {"fresh": 0.2}, "supported"),
    ("Abstract, start", WEIGHTS, "all weights, energy", {"fresh": 0.8}, "not supported"),
    ("Claim 3", f"before the first step {OUTPUT}", "output, energy", {"fresh": 0.1}, "supported"),
    ("Claim 3", f"before the first step {WEIGHTS}", "all weights, energy", {"fresh": 0.1}, "supported"),
    ("Claim 3", f"before the first step {WEIGHTS}", "all weights, energy", {"fresh": 0.4}, "not supported"),
    ("Claim 2", f"from the start, {OUTPUT}", "output, energy", {"fresh": 0.1, "gained": 0.5}, "supported"),
    ("Claim 2", f"from the start, {WEIGHTS}", "all weights, energy", {"fresh": 0.6, "gained": -0.5}, "not supported"),
]
"""Claim, its variant, the measure that is forged and how, and the word of the variant's verdict."""


@pytest.mark.parametrize(("name", "variant", "measure", "how", "wanted"), OTHERS)
def test_a_counterfeit_turns_the_verdict_by_another_measure(committed, name, variant, measure, how, wanted):
    forged = committed | {"measures": by_measure(measure, **how)(committed["measures"])}
    found, true = CLAIMS[name].finding(forged), CLAIMS[name].finding(committed)
    (told,) = [part for part in found.parts if part.startswith(f"By the same rule, {variant}: ")]
    assert f"): {wanted}" in told
    assert told not in true.parts
    assert found.verdict == true.verdict  # another measure does not decide
    (missing,) = [
        part
        for part in CLAIMS[name].finding({k: v for k, v in committed.items() if k != "measures"}).parts
        if variant in part
    ]
    assert missing.endswith(f"{variant}: undetermined: no recording")


def test_depths_by_other_measures_are_those_of_the_recording(committed):
    data, found = committed["measures"], depth_by("output, energy")(committed)
    assert {name: len(values) for name, values in found.items()} == {
        "ResNet-20": 4, "ResNet-32": 2, "ResNet-56": 2, "ResNet-44": 1,
    }  # fmt: skip
    assert 0.26 < min(found["ResNet-20"]) < max(found["ResNet-20"]) < 0.35
    rows = [k for k in range(data.sizes["state"]) if str(data.network[k].values).startswith("ResNet-56")]
    start, end = (data.isel(state=rows[k::2]).sel(mode="frozen", measure="output, energy") for k in (0, 1))
    assert start.when.values.tolist() == ["fresh"] * 2
    assert end.when.values.tolist() == ["trained"] * 2
    gained = (end.depth.values - start.depth.values) / 27
    np.testing.assert_allclose(depth_by("output, energy", gained=True)(committed)["ResNet-56"], gained)


def of_kind(committed, courses):
    """Three seeds of every kind of intervention, the depth of which follows a curve."""
    one = next(data for key, data in committed.items() if key.startswith("intervention-"))
    made = {}
    for kind, curve in courses.items():
        for seed in range(3):
            decay = int(kind != "no_decay")
            data = one.assign_attrs(intervention=kind if decay else "none", decay_scales=decay, seed=seed)
            made[f"intervention-{kind}-s{seed}"] = course(DEPTH, curve)(data)
    return made


KINDS = {
    "none": up, "no_decay": up, "scales_one": down, "weights_held": down, "both_held": down,
    "rate_zero": lambda t, _: 3 + 0 * t, "random_labels": up,
}  # fmt: skip
HELD = {"λ held": "scales_one", "Norms of weights held": "weights_held", "λ and norms held": "both_held"}
OTHER = {
    **{name: (kind, down, up) for name, kind in HELD.items()},
    "No decay on λ": ("no_decay", lambda t, _: 2 + 3 * t, down),
    "Learning rate 0": ("rate_zero", lambda t, _: 3 + 0 * t, up),
    "Labels shuffled": ("random_labels", up, down),
}


@pytest.mark.parametrize("name", OTHER)
def test_interventions_are_judged_once_there_are_seeds(committed, name):
    kind, supporting, refuting = OTHER[name]
    for curve, wanted in ((supporting, "supported"), (refuting, "not supported")):
        forged = of_kind(committed, {**KINDS, kind: curve})
        assert word(CLAIMS[name].finding(forged).verdict) == wanted
    one = {key: data for key, data in of_kind(committed, KINDS).items() if key.endswith("s0")}
    assert CLAIMS[name].finding(one).verdict == "undetermined: one seed per setting"
    without = {key: data for key, data in of_kind(committed, KINDS).items() if kind not in key}
    assert CLAIMS[name].finding(without).verdict == "undetermined: no setting to judge"


def test_every_claim_has_a_counterfeit():
    assert {name for name, *_ in FORGED} | set(OTHER) == set(CLAIMS)


@pytest.mark.parametrize("name", CLAIMS)
def test_every_row_is_short_and_says_where_the_paper_stands(committed, name):
    claim = CLAIMS[name]
    assert claim.source.rstrip("”")[-1] in ".?"
    finding = claim.finding(committed)
    assert word(finding.verdict) in ("supported", "not supported", "undetermined")
    assert max(map(len, finding.parts)) <= 800
    assert "nan" not in finding.measured


@pytest.mark.parametrize("name", CLAIMS)
def test_recordings_of_nan_prove_nothing(committed, name):
    claim = CLAIMS[name]
    broken = {
        key: data.assign({v: xr.full_like(data[v], np.nan) for v in data.data_vars if data[v].dtype.kind == "f"})
        for key, data in committed.items()
        if key.startswith(claim.needs)
    }
    assert claim.finding(broken).verdict.startswith("undetermined")
    assert claim.finding({}).verdict == "undetermined: no recording"


def test_the_networks_of_figures_2_and_3_are_four_of_one_question(committed):
    found = groups(committed)
    (label, paper), *_ = families(found).items()
    assert label == "ResNet-32 at the paper's setting, n = 4, test error 8% to 32%"
    assert [(g.attrs["dataset"], g.attrs["decay_scales"], g.seeds) for g in paper] == [
        ("cifar10", 1, 1), ("cifar10", 0, 1), ("cifar100", 1, 1), ("cifar100", 0, 1),
    ]  # fmt: skip
    assert sum(len(same) for same in families(found).values()) == len(found)
    assert f"Above 0 in 3 of 10: 0.144 ± 0.011 ({label}); " in CLAIMS["Claim 2"].finding(committed).measured


def test_what_was_measured_at_the_paper_s_setting(committed):
    """The numbers that the README tells: docs/mathematics.md and the recordings must agree."""
    courses = {
        (g.attrs["dataset"], g.attrs["decay_scales"]): g.blocks * np.array([g.at(DEPTH, e)[0] for e in (0, 1, 81, 164)])
        for g in next(iter(families(groups(committed)).values()))
    }
    np.testing.assert_allclose(courses["cifar10", 1], [6.52, 4.10, 5.90, 6.19], atol=0.02)
    np.testing.assert_allclose(courses["cifar10", 0], [6.52, 4.11, 5.98, 6.08], atol=0.02)
    np.testing.assert_allclose(courses["cifar100", 1], [6.59, 4.10, 5.83, 6.44], atol=0.02)
    np.testing.assert_allclose(courses["cifar100", 0], [6.59, 3.86, 5.59, 6.11], atol=0.02)
    for name in ("Claim 2", "Fig. 2"):
        assert word(CLAIMS[name].finding(committed).verdict) == "supported"
    for name in ("Claim 3", "Theorem 3, condition", "Theorem 3, step"):
        assert word(CLAIMS[name].finding(committed).verdict) == "not supported"


def test_interventions_are_no_further_networks_of_figure_2(committed):
    assert not any(g.attrs["epochs"] == 8 for g in groups(committed))
    assert {"none", "scales_one", "both_held"} <= set(by_kind(committed))


def test_a_sign_that_is_nearly_always_up_has_no_skill(committed):
    """Right in 57 % of the steps, where 95 % of the forces are up, is what anyone has who says "up"."""
    claim = CLAIMS["Theorem 3, step"]
    cifar = claim.judged(committed).settings[0]
    assert cifar.name == "CIFAR-10"
    assert abs(cifar.values).max() < 0.01
    assert claim.beside["share of signs right"](committed)["CIFAR-10"].mean() > 0.55


def test_statistics_of_forces():
    rng = np.random.default_rng(0)
    a = rng.normal(size=(2, 30, 3))
    assert np.allclose(correlation(a, a**3), 1)
    assert np.allclose(correlation(a, -np.exp(a)), -1)
    sums = xr.Dataset(
        {"epoch_growth": (("seed", "epoch", "layer"), [[[9.0, -4.0, 1.0]]]),
         "epoch_decay": (("seed", "epoch", "layer"), [[[-9.0, -1.0, -5.0]]])}
    )  # fmt: skip
    assert decay_share(sums) == pytest.approx([0.25])


def test_the_panels_of_the_drift_show_the_recordings(committed):
    sections, combined = DRIFT.pages(committed, ("drift",))
    panels = {panel.name: panel for section in sections for panel in section.items}
    assert len(panels) == 5 * sum(key.startswith("drift-") for key in committed)
    assert combined["drift"][0].name == "drift-cifar10-skill"
    data = committed["drift-digits"]
    force, growth = (values[0, :, 1:] for values in predictions(data)["step"])
    right, wrong, equal = panels["drift-digits-change"].series
    assert right.x.size + wrong.x.size == force.size
    same = np.sign(force) == np.sign(growth)
    assert np.allclose(np.sort(right.y), np.sort(abs(growth[same])))
    assert np.allclose(np.sort(right.x), np.sort(abs(force * data.rate.values[:, None])[same]))
    assert np.array_equal(equal.x, equal.y)
    found = panels["drift-digits-correlation"].series[-1].y
    assert np.allclose(found, correlation(data.push_predicted.values, data.push_step.values).mean(0), equal_nan=True)


def test_the_panels_of_the_interventions_show_whatever_is_there(committed):
    (section,), combined = INTERVENTIONS.pages(committed, ())
    assert [panel.name for panel in section.items] == [panel.name for panel in combined["interventions"]]
    depth, found = section.items[0], by_kind(committed)
    assert len(depth.series) == len(found)
    np.testing.assert_allclose(depth.series[0].y, found["none"].course(DEPTH).mean(axis=0))
    assert INTERVENTIONS.pages({}, ()) == ([], {})


def test_every_row_leads_to_a_panel_of_its_page(committed):
    shown = set()
    for experiment in EVERY:
        sections, _ = experiment.pages(committed, experiment.figures)
        shown |= {panel.name for section in sections for panel in section.items}
    assert {claim.figure for claim in CLAIMS.values() if claim.figure} <= shown
