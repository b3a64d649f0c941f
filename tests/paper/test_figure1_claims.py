"""The claims of Figure 1's trainings: a counterfeit turns each verdict, and NaN or one seed proves nothing."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from skipglass.paper.figure1 import FIGURE1, RUNS

CLAIMS = {claim.name: claim for claim in FIGURE1.claims}


@pytest.fixture(scope="module")
def committed():
    return FIGURE1.load(Path(__file__).parents[2] / "results" / "figure1" / "recordings")


VERDICTS = {
    "Fig. 1(d)": "not supported",
    "Fig. 1(d), first layer": "supported",
    "Theorem 3, unskipped": "supported",
    "Fig. 1(e)": "supported",
    "Fig. 1(d), task": "not supported",
}


def judged(name, recordings):
    return CLAIMS[name].judged(recordings)


def test_the_verdicts_of_what_is_committed(committed):
    assert {name: judged(name, committed).word for name in CLAIMS} == VERDICTS


def grown(variable, by):
    """Growth by ``by`` from each evaluation to the next, a little more in later seeds."""

    def forge(data):
        number = xr.DataArray(np.arange(data.sizes["evaluation"]), dims="evaluation")
        factor = 1 + number * by * (1 + 1e-3 * data.seed)
        return data.assign({variable: data[variable].isel(evaluation=0, drop=True) * factor})

    return forge


def first_grows(data):
    """|λ_1| grows by 1 more than any other."""
    value = data.multiplier_magnitude.transpose("evaluation", "seed", "layer").copy(deep=True)
    value[-1, :, 0] = value[0, :, 0] + abs(value[-1] - value[0]).max() + 1 + 0.01 * value.seed
    return data.assign(multiplier_magnitude=value)


def in_the_middle(data):
    """The layers fall and rise in turn, but for the first, which stays."""
    value = data.multiplier_magnitude.transpose("evaluation", "seed", "layer").copy(deep=True)
    value[-1] = value[0]
    count = value.sizes["layer"] - 1
    value[-1, :, 1:] += np.resize([0.1, -0.1], count) + 0.001 * np.arange(value.sizes["seed"])[:, None]
    return data.assign(multiplier_magnitude=value)


SEVERAL = len([run for run in RUNS if run.startswith("figure1d")])
FORGERIES = [
    ("Fig. 1(d)", grown("multiplier_magnitude", 0.1), f"supported ({SEVERAL} of {SEVERAL} settings)"),
    ("Fig. 1(d)", grown("multiplier_magnitude", -0.01), f"not supported (0 of {SEVERAL} settings)"),
    ("Fig. 1(d), first layer", in_the_middle, f"not supported (0 of {SEVERAL} settings)"),
    ("Theorem 3, unskipped", first_grows, f"supported ({SEVERAL} of {SEVERAL} settings)"),
    ("Fig. 1(e)", grown("weight_norm", 0.1), "supported (4 of 4 settings)"),
    ("Fig. 1(e)", grown("weight_norm", -0.01), "not supported (0 of 4 settings)"),
    ("Fig. 1(d), task", grown("multiplier_magnitude", 1e-5), "supported (2 of 2 settings)"),
]


@pytest.mark.parametrize(("name", "forge", "verdict"), FORGERIES)
def test_a_counterfeit_turns_its_verdict(committed, name, forge, verdict):
    forged = {k: forge(data) if k.startswith(CLAIMS[name].needs) else data for k, data in committed.items()}
    assert judged(name, forged).text == verdict != judged(name, committed).text


def test_every_claim_has_a_counterfeit():
    assert {name for name, *_ in FORGERIES} == set(CLAIMS) == set(VERDICTS)


@pytest.mark.parametrize("name", CLAIMS)
def test_a_diverged_network_and_one_seed_prove_nothing(committed, name):
    variable = "weight_norm" if name == "Fig. 1(e)" else "multiplier_magnitude"
    mine = {k: data for k, data in committed.items() if k.startswith(CLAIMS[name].needs)}
    blank = {k: data.assign({variable: data[variable] * np.nan}) for k, data in mine.items()}
    assert judged(name, blank).word == "undetermined"
    run = next(iter(mine))
    broken = mine[run][variable].copy(deep=True)
    broken[{"evaluation": -1, "seed": -1}] = np.inf
    one = {**mine, run: mine[run].assign({variable: broken})}
    assert "finite" in judged(name, one).reason
    alone = {k: data.isel(seed=[0]) for k, data in mine.items()}
    assert judged(name, alone).reason == "one seed per setting"
