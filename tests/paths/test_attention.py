"""Participation along fused attention: pushed where it can be, and by plain attention where not; the same shares."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention
from torch.utils.checkpoint import checkpoint

from skipglass import paths, trace

FUSED = "ScaledDotProductFlashAttentionForCpu"


class Layer(nn.Module):
    def __init__(self, checkpointed, hooked):
        super().__init__()
        self.norm, self.qkv, self.out = nn.LayerNorm(8), nn.Linear(8, 24), nn.Linear(8, 8)
        self.checkpointed, self.hooked = checkpointed, hooked

    def attended(self, h):
        q, k, v = self.qkv(self.norm(h)).unflatten(-1, (3, 2, 4)).permute(2, 0, 3, 1, 4)
        return self.out(scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2))

    def forward(self, h):
        branch = checkpoint(self.attended, h, use_reentrant=False) if self.checkpointed else self.attended(h)
        if self.hooked:
            branch.register_hook(lambda g: 0.5 * g)
        return h + branch


@pytest.mark.parametrize(
    ("checkpointed", "hooked", "way"),
    [(False, False, "pushed"), (True, False, "differentiated"), (False, True, "differentiated")],
)
def test_participation_takes_fused_attention_where_it_can(checkpointed, hooked, way):
    torch.manual_seed(0)
    model = nn.Sequential(*(Layer(checkpointed, hooked) for _ in range(3))).double()
    x = torch.randn(4, 6, 8, dtype=torch.float64)
    found = paths.participation(model, x)
    with sdpa_kernel(SDPBackend.MATH):
        plain = paths.participation_of(trace(model, x))
    assert found.way == way
    assert (FUSED in found.graph.graph.operations) is (way == "pushed")
    assert len(found.blocks) == 3
    np.testing.assert_allclose(found.share, plain.share, rtol=1e-9)
    np.testing.assert_allclose(found.share_per_sample, plain.share_per_sample, rtol=1e-9)
