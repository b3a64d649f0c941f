"""The examples run, and what they say holds at a small size."""

import runpy
from pathlib import Path

import numpy as np
import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


def load(name):
    return runpy.run_path(str(EXAMPLES / name), run_name="example")


def test_effective_depth_follows_the_scaling_of_branches():
    example = load("branch_scaling.py")
    shallow = {label: example["resnet"](6, of(6), 0, stages=1) for label, of in example["SCALINGS"].items()}
    deep = {label: example["resnet"](24, of(24), 0, stages=1) for label, of in example["SCALINGS"].items()}
    assert deep["0"] == shallow["0"] == 0
    assert deep["1"] > 1.5 * shallow["1"]
    assert deep["1/L"] < 0.5 * shallow["1/L"]
    assert 0.7 < deep["1/√L"] / shallow["1/√L"] < 1.5
    assert example["resnet"](24, 1 / 24, 0, stages=3) > 10 * deep["1/L"]  # new channels undo the scale
    assert example["gpt"](8, 1.0, 0) > 2 * example["gpt"](8, 8**-0.5, 0) > 4 * example["gpt"](8, 1 / 8, 0)


def test_prediction_for_branches_of_unit_gain_is_a_harmonic_sum():
    example = load("branch_scaling.py")
    assert example["predicted"](8, 1.0) == pytest.approx(sum(1 / (l + 1) for l in range(1, 9)))
    assert example["predicted"](8, 0.0) == 0


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_trained_sentence_transformer_is_deeper_than_a_fresh_one():
    example = load("trained_networks.py")
    study = example["minilm"](8)
    data = example["measure"](study)
    assert (data.sizes["block"], data.sizes["sample"], data.sizes["length"]) == (12, 8, 13)
    depth = data.effective_depth.median("sample")
    assert float(depth.sel(when="after")) > 3 * float(depth.sel(when="before"))
    np.testing.assert_allclose(data.participation.sum("block"), data.effective_depth, rtol=1e-3)
    values = example["predictors"](data)
    assert data.lesion.values.argmax() == values["participation (median)"].argmax() == 10  # the last attention
    assert ((data.influence > 0) & (data.influence < 1)).all()
    assert np.isfinite(example["spread"](data, draws=20)).all()
