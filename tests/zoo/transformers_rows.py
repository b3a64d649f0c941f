"""What the rows of transformers share: inputs, a detector's backbone, and a family from a row."""

from functools import partial
from typing import Any

import torch
from family import Family, Inputs
from torch import nn

__all__ = ["DETECTOR", "EIGHT", "IDS", "PICTURE", "READER", "SMALL", "TINY", "Row", "families", "family"]

Row = tuple[int, str, dict[str, Any], dict[str, Any] | None]
"""Residual sums of the source at this size, a word on them, settings beyond the recipe's, and inputs if not its own."""

IDS = torch.arange(12).view(2, 6) % 26 + 4
EIGHT = torch.arange(16).view(2, 8) % 26 + 4
PICTURE = {"pixel_values": torch.randn(2, 3, 64, 64)}
SMALL = {"pixel_values": torch.randn(2, 3, 32, 32)}
TINY = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}
READER = {"model_type": "bert", "vocab_size": 32, "use_cache": False, "is_decoder": True, "add_cross_attention": True}
"""A decoder that reads an encoder, for models of two types."""
DETECTOR = {
    "use_timm_backbone": False,
    "backbone": None,
    "backbone_config": {
        "model_type": "resnet",
        "embedding_size": 8,
        "hidden_sizes": [8, 8, 8, 8],
        "depths": [1, 1, 1, 1],
        "out_features": ["stage2", "stage3", "stage4"],
    },
}


def build(kind: str, inputs: dict[str, Any] | None, settings: dict[str, Any]) -> tuple[nn.Module, Inputs]:
    import recipe
    from transformers import AutoConfig

    if "backbone_config" in settings:
        settings = settings | {"backbone_config": AutoConfig.for_model(**settings["backbone_config"])}
    return recipe.built(kind, inputs, **settings)


def family(kind: str, blocks: int, reason: str, settings: Any, inputs: Any, **others: Any) -> Family:
    """The family of a type; ``others`` are what its row says beside the number."""
    return Family(partial(build, kind, inputs, settings), blocks, reason, **others)


def families(rows: dict[str, Row], found: dict[str, int] | None = None, doubtful: str = "") -> dict[str, Family]:
    """Families from rows by the names of their types; ``found`` and ``doubtful`` name the exceptions."""
    return {
        f"hf {kind}": family(kind, *row, found=(found or {}).get(kind), doubtful=kind in doubtful.split())
        for kind, row in rows.items()
    }
