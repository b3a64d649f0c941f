"""Labels: the sum certifies the bookkeeping only, so each network's blocks are asserted by name and side."""

import numpy as np
import pytest
import torch
from cases import CASES

from skipglass import paths


@pytest.fixture(params=CASES, ids=str)
def case(request):
    if request.param in {"GPT-2", "Llama", "GPT-NeoX"}:
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
    assert s.share.sum() == pytest.approx(1, abs=1e-9)
    assert m.mean == pytest.approx(s.effective_depth, rel=1e-8, abs=case.error)
    assert m.variance == pytest.approx(float((s.lengths - m.mean) ** 2 @ s.share), rel=1e-6, abs=1e-8)
    number = paths.census(loss, x, unit)
    assert set(number) >= set(s.lengths[s.norm > 0])
    np.testing.assert_array_equal([min(number), max(number)], s.lengths[[0, -1]])
