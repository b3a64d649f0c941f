"""The tasks have the sizes and the laws they claim."""

import pytest
import torch

from skipglass.data import digits, gaussian_mixture
from skipglass.errors import InputError


def test_the_gaussians_have_the_paper_s_sizes():
    split = gaussian_mixture()
    assert split.inputs.shape == (10_000, 50)
    assert split.classes == 10
    assert split.targets.unique().tolist() == list(range(10))


@pytest.mark.parametrize("separation", [0.0, 2.0, 8.0])
def test_separation_is_the_distance_of_centres_in_standard_deviations(separation):
    squares = []
    for seed in range(20):
        split = gaussian_mixture(separation=separation, seed=seed, samples=5_000, classes=5)
        centres = torch.stack([split.inputs[split.targets == c].mean(0) for c in range(5)])
        within = torch.cat([split.inputs[split.targets == c] - centres[c] for c in range(5)]).var()
        gaps = torch.pdist(centres).square() - 2 * 50 / 1_000 * within  # the means' own noise
        squares.append((gaps.mean() / within).item())
        assert split.inputs.square().mean().item() == pytest.approx(1, rel=0.2)
    mean = torch.tensor(squares).mean().item()
    assert mean == pytest.approx(separation**2, rel=0.1, abs=0.1)


def test_a_seed_is_a_task():
    first, again, other = gaussian_mixture(seed=1), gaussian_mixture(seed=1), gaussian_mixture(seed=2)
    assert torch.equal(first.inputs, again.inputs)
    assert not torch.equal(first.inputs, other.inputs)


def test_digits_are_split_and_standardised():
    split = digits()
    assert split.inputs.shape == (1_437, 64)
    assert split.test_inputs.shape == (360, 64)
    assert split.inputs.mean().item() == pytest.approx(0, abs=1e-12)
    assert split.inputs.std().item() == pytest.approx(1)
    rows = {tuple(row) for row in split.inputs.tolist()} & {tuple(row) for row in split.test_inputs.tolist()}
    assert not rows


@pytest.mark.parametrize(
    "arguments", [{"separation": -1}, {"classes": 1}, {"samples": 0}, {"dimension": 0}, {"seed": -1}]
)
def test_bad_sizes_are_refused(arguments):
    with pytest.raises(InputError, match=next(iter(arguments))):
        gaussian_mixture(**arguments)


def test_holding_out_everything_is_refused():
    with pytest.raises(InputError, match="test_samples"):
        digits(test_samples=1_797)
