"""What reading a deep network costs: each of its sums is decided once, however many others ask about it."""

import sys

import pytest
import torch

import skipglass as sg
from skipglass.graph.verdicts import decide

pytestmark = pytest.mark.zoo


@pytest.mark.filterwarnings("ignore")  # the library's own
def test_the_sums_of_two_streams_are_decided_once():
    """ControlNet-XS, where each sum asks about those of the other stream: 53,525 questions, were none remembered."""
    import diffusers

    torch.manual_seed(0)
    model = diffusers.UNetControlNetXSModel(
        sample_size=8,
        block_out_channels=(4, 4, 4, 4),
        norm_num_groups=2,
        cross_attention_dim=8,
        num_attention_heads=2,
        ctrl_conditioning_embedding_out_channels=(4, 4),
        ctrl_block_out_channels=(4, 4, 4, 4),
        ctrl_num_attention_heads=2,
        ctrl_max_norm_num_groups=2,
    )
    inputs = {"sample": torch.randn(2, 4, 8, 8), "timestep": torch.tensor(3)}
    inputs |= {"encoder_hidden_states": torch.randn(2, 3, 8), "controlnet_cond": torch.randn(2, 3, 16, 16)}
    decided = 0

    def heard(frame, event, _):
        nonlocal decided
        decided += event == "call" and frame.f_code is decide.__wrapped__.__code__
        assert decided < 1000

    sys.setprofile(heard)
    try:
        t = sg.trace(model, inputs)
    finally:
        sys.setprofile(None)
    assert 100 < decided < len(t.graph.nodes) / 4
