"""Participation: each block's share against a slow way, and its sum against the spectrum and the moments."""

import numpy as np
import pytest
import torch
from cases import CASES
from torch.nn.attention import SDPBackend, sdpa_kernel

from skipglass import paths

TRANSFORMERS = set(list(CASES)[list(CASES).index("BERT") :])


def made(name, kernel=SDPBackend.MATH):
    if name in TRANSFORMERS:
        pytest.importorskip("transformers")
    torch.manual_seed(0)
    with sdpa_kernel(kernel):
        return CASES[name].make()


def one_edge_at_a_time(loss, x, model):
    """s_l from autograd with block l's edge multiplied by 1 + ε: the difference of two ordinary gradients."""
    found = paths.outline(loss, x, model)
    g = torch.autograd.grad(loss, x, retain_graph=True)[0]
    shares, rows = [], []
    for block in found.blocks:
        slot = block.merge.branch.slot
        hook = found.graph.nodes[block.merge.node].register_hook(
            lambda out, _, slot=slot: tuple(2 * v if k == slot and v is not None else v for k, v in enumerate(out))
        )
        through = torch.autograd.grad(loss, x, retain_graph=True)[0] - g  # linear in the factor: ε = 1 is as good
        hook.remove()
        shares.append(float((through * g).sum() / (g * g).sum()))
        rows.append((through * g).flatten(1).sum(1) / (g * g).flatten(1).sum(1))
    return np.array(shares), torch.stack(rows).numpy() if rows else np.zeros((0, len(x)))


@pytest.mark.parametrize("name", CASES)
def test_each_block_has_the_share_that_scaling_its_edge_shows(name):
    model, loss, x = made(name)
    p = paths.participation_of(loss, x, model)
    shares, rows = one_edge_at_a_time(loss, x, model)
    assert [*p.blocks] == [block for block, *_ in CASES[name].blocks]
    tolerance = max(1e-10, CASES[name].error)
    np.testing.assert_allclose(p.share, shares, rtol=1e-10, atol=tolerance)
    assert p.error <= tolerance
    if p.independent_samples and len(x) == p.share_per_sample.shape[1]:
        np.testing.assert_allclose(p.share_per_sample, rows, rtol=1e-8, atol=max(1e-9, tolerance))


@pytest.mark.parametrize("name", CASES)
def test_the_shares_sum_to_the_mean_of_spectrum_and_moments(name):
    model, loss, x = made(name)
    p = paths.participation_of(loss, x, model)
    s = paths.spectrum(loss, x, "blocks")
    tolerance = max(1e-10, CASES[name].error)
    assert p.effective_depth == pytest.approx(s.effective_depth, rel=1e-10, abs=tolerance)
    assert p.effective_depth == pytest.approx(paths.moments(loss, x, "blocks").mean, rel=1e-10, abs=tolerance)
    np.testing.assert_allclose(p.effective_depth_per_sample, s.effective_depth_per_sample, rtol=1e-9, atol=tolerance)
    assert p.independent_samples <= s.independent_samples
