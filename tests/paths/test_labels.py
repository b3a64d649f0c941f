"""Labels: the sum certifies the bookkeeping only, so each network's blocks are asserted by name and side."""

import numpy as np
import pytest
import torch
from cases import CASES

from skipglass import paths

TRANSFORMERS = set(list(CASES)[list(CASES).index("BERT") :])


@pytest.fixture(params=CASES, ids=str)
def case(request):
    if request.param in TRANSFORMERS:
        pytest.importorskip("transformers")
    torch.manual_seed(0)
    return CASES[request.param]


def test_each_block_has_its_name_its_side_and_its_shortcut(case):
    model, loss, x = case.make()
    found = paths.outline(loss, x, model)
    assert [(b.name, b.side, b.shortcut) for b in found.blocks] == case.blocks
    if case.weights is not None:
        assert len(found.weights) == case.weights
    assert "block" in str(found)


@pytest.mark.parametrize("unit", ["weights", "blocks"])
def test_the_parts_sum_and_agree_with_moments_and_census(case, unit):
    model, loss, x = case.make()
    s = paths.spectrum(loss, x, unit, model=model)
    m = paths.moments(loss, x, unit)
    assert s.error <= case.error
    assert s.share.sum() == pytest.approx(1, abs=max(1e-9, case.error))
    assert m.mean == pytest.approx(s.effective_depth, rel=1e-8, abs=case.error)
    assert m.variance == pytest.approx(float((s.lengths - m.mean) ** 2 @ s.share), rel=1e-6, abs=max(1e-8, case.error))
    number = paths.census(loss, x, unit)
    assert set(number) >= set(s.lengths[s.norm > 0])
    np.testing.assert_array_equal([min(number), max(number)], s.lengths[[0, -1]])


@pytest.mark.parametrize("unit", ["weights", "blocks"])
def test_hooks_that_scale_every_counted_step_by_t_give_the_generating_function(case, unit):
    """g(t) = Σ_r g_r tʳ, by an independent way: public hooks on the nodes, and one ordinary backward pass."""
    model, loss, x = case.make()
    s = paths.spectrum(loss, x, unit, model=model, keep=True)
    for t in (0.5, -1.0, 2.0):
        hooks = []
        for i, slot in s.graph.counted(unit):

            def scaled(leaving, _entering, slot=slot, t=t):
                return tuple(v * t if k == slot and v is not None else v for k, v in enumerate(leaving))

            hooks.append(s.graph.graph.nodes[i].register_hook(scaled))
        expected = torch.autograd.grad(loss, x, retain_graph=True)[0]
        for hook in hooks:
            hook.remove()
        found = sum(g * t ** int(r) for r, g in zip(s.lengths, s.gradients, strict=True))
        scale = float(sum(g.norm() * abs(t) ** int(r) for r, g in zip(s.lengths, s.gradients, strict=True)))
        assert float((found - expected).norm()) <= case.error * scale


def test_what_may_hide_a_weight_is_listed():
    x = torch.randn(2, 5, 4, requires_grad=True)
    cells = paths.outline(torch.nn.LSTM(4, 4)(x)[0].sum(), x)  # in float32 one operation holds all its weights
    assert cells.opaque == ("MkldnnRnnLayer",) or len(cells.weights) > 1
    x = torch.randn(2, 3, requires_grad=True)
    assert paths.outline((x @ torch.ones(3, 3)).sum(), x).opaque == ("Mm with a constant",)
