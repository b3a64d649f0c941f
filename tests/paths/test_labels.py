"""Labels: the sum certifies the bookkeeping only, so each network's blocks are asserted by name and side."""

import numpy as np
import pytest
import torch
from case import joined
from cases import CASES, NAMES

from skipglass import paths

pytestmark = pytest.mark.filterwarnings("ignore:what these operations may hold")


@pytest.fixture(params=NAMES, ids=str)
def case(request):
    torch.manual_seed(0)
    return CASES[request.param]


def gradient(loss, x):
    g = torch.autograd.grad(loss, x, retain_graph=True)
    return joined(g) if isinstance(x, tuple) else g[0]


def test_each_block_has_its_name_its_side_and_its_shortcut(case):
    model, loss, x = case.make()
    found = paths.outline(loss, x, model)
    assert [(b.name, b.side, b.shortcut) for b in found.blocks] == case.blocks
    assert tuple(name.split(" (")[0] for name in found.opaque) == case.opaque
    if case.weights is not None:
        assert len(found.weights) == case.weights
    assert "block" in str(found)


@pytest.mark.parametrize("unit", ["weights", "blocks"])
def test_the_parts_sum_and_agree_with_moments_and_census(case, unit):
    model, loss, x = case.make()
    s = paths.spectrum(loss, x, unit, model=model)
    m = paths.moments(loss, x, unit, model=model)
    assert s.error <= case.error
    assert s.share.sum() == pytest.approx(1, abs=max(1e-9, case.error))
    assert m.mean == pytest.approx(s.effective_depth, rel=1e-8, abs=case.error)
    variance = float((s.lengths - m.mean) ** 2 @ s.share)
    assert m.variance == pytest.approx(variance, rel=1e-6, abs=max(1e-8, 10 * case.error))
    number = paths.census(loss, x, unit, model)
    assert set(number) >= set(s.lengths[s.norm > 0])
    np.testing.assert_array_equal([min(number), max(number)], s.lengths[[0, -1]])


def scale(edge, t):
    """A hook on a node that multiplies what leaves by one edge."""

    def scaled(leaving, _entering):
        return tuple(v * t if k == edge and v is not None else v for k, v in enumerate(leaving))

    return scaled


@pytest.mark.parametrize("unit", ["weights", "blocks"])
def test_hooks_that_scale_every_counted_step_by_t_give_the_generating_function(case, unit):
    """g(t) = Σ_r g_r tʳ, by an independent way: public hooks on the nodes, and one ordinary backward pass."""
    model, loss, x = case.make()
    # every length by itself: tʳ amplifies those that by default travel in the lumps of the faint ones
    s = paths.spectrum(loss, x, unit, model=model, keep=True, tolerance=0)
    parts = joined(s.gradients, 1)
    for t in (0.5, -1.0, 2.0):
        hooks = [s.graph.graph.nodes[i].register_hook(scale(slot, t)) for i, slot in s.graph.counted(unit)]
        expected = gradient(loss, x)
        for hook in hooks:
            hook.remove()
        found = sum(g * t ** int(r) for r, g in zip(s.lengths, parts, strict=True))
        size = float(sum(g.norm() * abs(t) ** int(r) for r, g in zip(s.lengths, parts, strict=True)))
        assert float((found - expected).norm()) <= case.error * size


def closed(module, call):
    """A hook on a module whose result, at one call (0: at all), no gradient passes."""
    calls = 0

    def stop(_module, _inputs, output):
        nonlocal calls
        calls += 1
        if call in {0, calls}:
            return (output[0].detach(), *output[1:]) if isinstance(output, tuple) else output.detach()
        return output

    return module.register_forward_hook(stop)


def test_the_module_that_a_block_is_named_by_closes_its_branch(case):
    """Which edge a block counts is shown by its modules alone: closing their results takes away that edge's paths."""
    model, x, run = case.ready().build()
    torch.manual_seed(1)
    loss = run()
    found = paths.outline(loss, x, model)
    g = gradient(loss, x)
    for block in found.blocks:
        hook = found.graph.nodes[block.merge.node].register_hook(scale(block.merge.branch.slot, 0.0))
        without = gradient(loss, x)
        hook.remove()
        assert (g - without).norm() > 0
        handles = []
        for exit in case.exits(block.name).split():
            name, _, call = exit.partition("#")
            several = any(b.name.startswith(f"{name}#") for b in found.blocks)
            handles.append(closed(model.get_submodule(name), int(call or several)))
        if handles:
            torch.manual_seed(1)
            expected = gradient(run(), x)
            for handle in handles:
                handle.remove()
            assert (without - expected).norm() <= case.error * g.norm(), block.name


def test_a_second_block_of_the_same_weights_is_no_second_use_of_them():
    f = torch.nn.ModuleDict({"f": torch.nn.Linear(4, 4)})
    x = torch.randn(3, 4, requires_grad=True)
    loss = (x + (x + f["f"](x).tanh()).tanh()).square().sum()
    assert [b.name for b in paths.outline(loss, x, f).blocks] == ["f", "f (sum 2)"]


def test_what_may_hide_a_weight_is_listed():
    x = torch.randn(2, 5, 4, requires_grad=True)
    cells = paths.outline(torch.nn.LSTM(4, 4)(x)[0].sum(), x)  # in float32 one operation holds all its weights
    assert cells.opaque == ("MkldnnRnnLayer",) or len(cells.weights) > 1
    x = torch.randn(2, 3, requires_grad=True)
    assert paths.outline((x @ torch.ones(3, 3)).sum(), x).opaque == ("Mm with a constant",)
    assert paths.outline(x.sin().mm(torch.ones(3, 3)).sum(), x).opaque == ("Mm with a constant",)
