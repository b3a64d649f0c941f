"""Models that several processes hold together: measured in all as in one, refused in one alone, left as found."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    folder = tmp_path_factory.mktemp("processes")
    script = Path(__file__).with_name("sharded_processes.py")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", script, folder], env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return [torch.load(folder / f"{rank}.pt") for rank in (0, 1)]


@pytest.mark.parametrize("how", ["sharded", "parallel"])
def test_each_process_finds_what_one_does(found, how):
    for each in found:
        expected = found[0]["plain"]
        assert each[how]["blocks"] == expected["blocks"] == ["1", "2"]
        assert each[how]["weights"] == expected["weights"]
        for name in expected.keys() - {"blocks", "weights"}:
            torch.testing.assert_close(torch.tensor(each[how][name]), torch.tensor(expected[name]), rtol=0, atol=1e-12)


@pytest.mark.parametrize("between", ["measured", "failed", "alone"])
def test_training_goes_on_as_without_a_measurement(found, between):
    for each in found:
        losses = each[between] if between == "measured" else each[between][0]
        assert losses == each["trained"]
        assert losses[-1] < 0.2 * losses[0]


def test_a_measurement_that_fails_says_so_in_each_process(found):
    assert [each["failed"][1] for each in found] == [["DecompositionError"] * 2] * 2


def test_one_process_alone_is_refused_in_one_line(found):
    said = [text for several in found[0]["alone"][1] for text in several]
    assert len(said) == 6
    assert set(said) == {
        "the model's parameters are spread over 2 processes, and 1 of them came to measure: call this in all of them, "
        "or measure an unsharded copy of the model in one"
    }
