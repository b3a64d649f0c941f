"""Single paths of a gradient: all of them against one backward pass each, and samples against all of them."""

from itertools import combinations
from math import comb

import numpy as np
import pytest
import torch
from cases import CASES, NAMES
from chains import Chain
from torch import nn

from skipglass import paths, trace
from skipglass.errors import InputError
from skipglass.models import CifarResNet


def every_path(model, L, x):
    """‖g_S‖ of all 2^L paths, of the batch and of each sample, by one backward pass each."""
    norms = []
    for k in range(L + 1):
        rows = []
        for S in combinations(range(L), k):
            (g,) = torch.autograd.grad(model(x, set(S)), x)
            rows.append([float(g.norm()), *g.norm(dim=1).tolist()])
        norms.append(np.array(rows))
    return norms


def chain(L, seed=0):
    torch.manual_seed(seed)
    return Chain(L, post=True).double(), torch.randn(5, 3, dtype=torch.float64, requires_grad=True)


@pytest.mark.parametrize("L", [1, 6])
def test_lengths_with_few_paths_are_enumerated(L):
    model, x = chain(L, seed=4)
    s = paths.sampled_paths(model(x), x, drawn=comb(L, L // 2) + 1)
    slow = every_path(model, L, x)
    assert s.paths == {k: comb(L, k) for k in range(L + 1)}
    np.testing.assert_array_equal(s.drawn, [comb(L, k) for k in range(L + 1)])
    np.testing.assert_allclose(s.norm, [rows[:, 0].mean() for rows in slow], rtol=1e-11)
    np.testing.assert_allclose(s.norm_per_sample, [rows[:, 1:].mean(0) for rows in slow], rtol=1e-11)
    assert not s.standard_error.any()
    total = np.array([rows.sum(axis=0) for rows in slow])  # C(L, k) times the mean
    depths = np.arange(L + 1) @ total / total.sum(axis=0)
    assert s.effective_depth == pytest.approx(depths[0], rel=1e-11)
    np.testing.assert_allclose(s.effective_depth_per_sample, depths[1:], rtol=1e-11)
    assert s.depth_error == 0
    assert s.share.sum() == pytest.approx(1, abs=1e-12)


def test_samples_agree_with_all_paths_within_their_error_bars():
    """Over 60 draws of 20 paths of each length, z-scores of the mean norms and of the depth have about unit spread."""
    L = 8
    model, x = chain(L, seed=1)
    slow = every_path(model, L, x)
    mean = np.array([rows[:, 0].mean() for rows in slow])
    total = np.array([rows[:, 0].sum() for rows in slow])
    depth = np.arange(L + 1) @ total / total.sum()
    t = trace(loss=model(x), x=x)
    z, z_depth = [], []
    for seed in range(60):
        s = paths.sampled_paths(t, drawn=20, seed=seed)
        sampled = s.drawn < [comb(L, k) for k in range(L + 1)]
        np.testing.assert_allclose(s.norm[~sampled], mean[~sampled], rtol=1e-11)
        z.append((s.norm - mean)[sampled] / s.standard_error[sampled])
        z_depth.append((s.effective_depth - depth) / s.depth_error)
    for scores in (np.concatenate(z), np.array(z_depth)):
        assert abs(scores.mean()) < 0.5  # norms are skewed
        assert 0.7 < scores.std() < 1.5
    assert (
        paths.sampled_paths(t, drawn=20, seed=3).effective_depth
        == paths.sampled_paths(t, drawn=20, seed=3).effective_depth
    )


def test_a_resnet_has_one_path_without_branches_and_one_through_all():
    torch.manual_seed(2)
    model = CifarResNet(20, width=4).double()
    x = torch.randn(3, 3, 16, 16, dtype=torch.float64, requires_grad=True)
    t = trace(loss=nn.functional.cross_entropy(model(x), torch.arange(3)), x=x, model=model)
    s, whole = paths.sampled_paths(t, drawn=4), paths.spectrum(t)
    np.testing.assert_allclose(s.norm[[0, 9]], whole.norm[[0, 9]], rtol=1e-10)
    np.testing.assert_array_equal(s.drawn, [1, 4, 4, 4, 4, 4, 4, 4, 4, 1])
    assert (s.norm[1:9] * [comb(9, k) for k in range(1, 9)] > 0).all()


@pytest.mark.parametrize("name", NAMES)
def test_the_path_through_no_branch_and_that_through_all(name):
    """Those two lengths have one path each, so its norm is that of the spectrum; other networks are refused."""
    case = CASES[name]
    torch.manual_seed(0)
    model, loss, x = case.make()
    t = trace(loss=loss, x=x, model=model)
    L, counts = len(t.outline.blocks), paths.census(t)
    if not L or any(counts.get(k, 0) != comb(L, k) for k in range(L + 1)):
        with pytest.raises(InputError, match="found none" if not L else "stand in a row") as caught:
            paths.sampled_paths(t)
        assert "\n" not in str(caught.value)
        return
    s, whole = paths.sampled_paths(t, drawn=2), paths.spectrum(t)
    tolerance = 1e-9 if case.error <= 1e-12 else 1e-4
    np.testing.assert_allclose(s.norm[[0, L]], whole.norm[[0, L]], rtol=tolerance, atol=tolerance * whole.norm.max())


def test_a_result_is_printed_drawn_and_stored(tmp_path):
    model, x = chain(5)
    s = paths.sampled_paths(model(x), x, drawn=3)
    assert str(s).startswith("Counted path by path, norm lies on paths of")
    assert s.plot().get_xlabel() == "path length k [blocks]"
    again = paths.SampledPaths.load(s.save(tmp_path / "paths.nc"))
    assert again.paths == s.paths
    assert again.depth_error == s.depth_error
    assert np.isnan(paths.sampled_paths(model(x) * 0, x).effective_depth)
    for drawn in (1, 2.5):
        with pytest.raises(InputError, match="drawn"):
            paths.sampled_paths(model(x), x, drawn=drawn)
