"""Transformers of diffusers, the better known, tiny: how to build each, and the residual sums in its source."""

from typing import Any

import torch
from diffusers_recipe import named, noise
from family import Inputs

__all__ = ["FAMILIES", "ROWS"]

TIME = torch.tensor([3.0, 7.0])
CODER = {
    "block_out_channels": (8, 8),
    "norm_num_groups": 4,
    "down_block_types": ("DownEncoderBlock2D",) * 2,
    "up_block_types": ("UpDecoderBlock2D",) * 2,
}
HEADS = {"num_attention_heads": 2, "attention_head_dim": 8, "num_layers": 2}
JOINT = HEADS | {"joint_attention_dim": 8}
TEXT = {"encoder_hidden_states": noise(2, 3, 8)}
PACKED = TEXT | {"hidden_states": noise(2, 4, 4), "timestep": TIME}
IDS = {"img_ids": torch.zeros(4, 3), "txt_ids": torch.zeros(3, 3)}
FRAMES = TEXT | {"hidden_states": noise(2, 4, 2, 4, 4), "timestep": TIME}
PICTURE = TEXT | {"hidden_states": noise(2, 4, 8, 8), "timestep": TIME}
SIZES = {k: torch.tensor([[8.0, 8.0]] * 2) for k in ("original_size", "target_size", "crop_coords")}

# name: class, settings, inputs, residual sums of the source, reason
ROWS: dict[str, tuple[str, dict[str, Any], Inputs, int, str]] = {
    "DiT": (
        "DiTTransformer2DModel",
        HEADS | {"in_channels": 4, "out_channels": 4, "sample_size": 8, "norm_num_groups": 4},
        {"hidden_states": noise(2, 4, 8, 8), "timestep": TIME.long(), "class_labels": torch.tensor([1, 2])},
        4,
        "",
    ),
    "PixArt": (
        "PixArtTransformer2DModel",
        HEADS
        | {"sample_size": 8, "cross_attention_dim": 16, "caption_channels": 8, "use_additional_conditions": False},
        PICTURE,
        6,
        "",
    ),
    "SD3": (
        "SD3Transformer2DModel",
        JOINT
        | {"sample_size": 8, "in_channels": 4, "caption_projection_dim": 16, "pooled_projection_dim": 8}
        | {"pos_embed_max_size": 8},
        PICTURE | {"pooled_projections": noise(2, 8)},
        6,
        "the condition's SiLU(t + p) is a sum of two embeddings",
    ),
    "SD3.5, dual attention": (
        "SD3Transformer2DModel",
        JOINT
        | {"sample_size": 8, "in_channels": 4, "caption_projection_dim": 16, "pooled_projection_dim": 8}
        | {"pos_embed_max_size": 8, "dual_attention_layers": (0, 1), "qk_norm": "rms_norm"},
        PICTURE | {"pooled_projections": noise(2, 8)},
        8,
        "",
    ),
    "Flux": (
        "FluxTransformer2DModel",
        JOINT | {"in_channels": 4, "num_single_layers": 2, "pooled_projection_dim": 8, "axes_dims_rope": (2, 2, 4)},
        PACKED | IDS | {"pooled_projections": noise(2, 8)},
        10,
        "",
    ),
    "Flux 2": (
        "Flux2Transformer2DModel",
        JOINT | {"in_channels": 4, "num_single_layers": 2, "axes_dims_rope": (2, 2, 2, 2)},
        PACKED | {"img_ids": torch.zeros(4, 4), "txt_ids": torch.zeros(3, 4), "guidance": TIME},
        10,
        "",
    ),
    "Chroma": (
        "ChromaTransformer2DModel",
        JOINT
        | {"in_channels": 4, "num_single_layers": 2, "axes_dims_rope": (2, 2, 4), "approximator_num_channels": 8}
        | {"approximator_hidden_dim": 8, "approximator_layers": 2},
        PACKED | IDS,
        12,
        "",
    ),
    "Bria": (
        "BriaTransformer2DModel",
        JOINT | {"in_channels": 4, "num_single_layers": 2, "axes_dims_rope": [2, 2, 4]},
        PACKED | IDS,
        10,
        "",
    ),
    "LongCat": (
        "LongCatImageTransformer2DModel",
        JOINT | {"in_channels": 4, "num_single_layers": 2, "axes_dims_rope": [2, 2, 4], "pooled_projection_dim": 8},
        PACKED | IDS,
        10,
        "",
    ),
    "AuraFlow": (
        "AuraFlowTransformer2DModel",
        {
            "sample_size": 8,
            "num_mmdit_layers": 1,
            "num_single_dit_layers": 2,
            "attention_head_dim": 8,
            "num_attention_heads": 2,
            "joint_attention_dim": 8,
            "caption_projection_dim": 16,
            "pos_embed_max_size": 16,
        },
        PICTURE,
        8,
        "",
    ),
    "Sana": (
        "SanaTransformer2DModel",
        HEADS
        | {"in_channels": 4, "out_channels": 4, "num_cross_attention_heads": 2, "cross_attention_head_dim": 8}
        | {"cross_attention_dim": 16, "caption_channels": 8, "sample_size": 8},
        PICTURE,
        6,
        "",
    ),
    "HunyuanDiT": (
        "HunyuanDiT2DModel",
        HEADS
        | {"in_channels": 4, "patch_size": 2, "sample_size": 8, "hidden_size": 16, "cross_attention_dim": 8}
        | {"cross_attention_dim_t5": 8, "pooled_projection_dim": 8, "text_len": 3, "text_len_t5": 3}
        | {"activation_fn": "gelu-approximate", "use_style_cond_and_image_meta_size": False},
        PICTURE
        | {"text_embedding_mask": torch.ones(2, 3), "encoder_hidden_states_t5": noise(2, 3, 8)}
        | {
            "text_embedding_mask_t5": torch.ones(2, 3, dtype=torch.long),
            "image_meta_size": None,
            "style": None,
            "image_rotary_emb": None,
        },
        6,
        "",
    ),
    "Lumina 2": (
        "Lumina2Transformer2DModel",
        {
            "sample_size": 8,
            "in_channels": 4,
            "hidden_size": 16,
            "num_layers": 2,
            "num_refiner_layers": 1,
            "num_attention_heads": 2,
            "num_kv_heads": 2,
            "multiple_of": 8,
            "cap_feat_dim": 8,
            "axes_dim_rope": (2, 2, 4),
            "axes_lens": (8, 8, 8),
        },
        PICTURE | {"encoder_attention_mask": torch.ones(2, 3, dtype=torch.bool)},
        8,
        "",
    ),
    "CogView3": (
        "CogView3PlusTransformer2DModel",
        HEADS
        | {"in_channels": 4, "out_channels": 4, "text_embed_dim": 8, "time_embed_dim": 8, "condition_dim": 4}
        | {"pos_embed_max_size": 8, "sample_size": 8},
        PICTURE | SIZES,
        7,
        "",
    ),
    "CogView4": (
        "CogView4Transformer2DModel",
        HEADS
        | {"in_channels": 4, "out_channels": 4, "text_embed_dim": 8, "time_embed_dim": 8, "condition_dim": 4}
        | {"pos_embed_max_size": 8, "sample_size": 8, "rope_axes_dim": (8, 8)},
        PICTURE | SIZES,
        6,
        "",
    ),
    "Prior": (
        "PriorTransformer",
        HEADS | {"embedding_dim": 8, "num_embeddings": 3, "additional_embeddings": 4},
        {"hidden_states": noise(2, 8), "timestep": TIME, "proj_embedding": noise(2, 8)} | TEXT,
        4,
        "",
    ),
    "CogVideoX": (
        "CogVideoXTransformer3DModel",
        HEADS
        | {"in_channels": 4, "out_channels": 4, "time_embed_dim": 8, "text_embed_dim": 8, "sample_width": 4}
        | {"sample_height": 4, "sample_frames": 5, "max_text_seq_length": 3},
        TEXT | {"hidden_states": noise(2, 2, 4, 4, 4), "timestep": TIME},
        7,
        "",
    ),
    "Allegro": (
        "AllegroTransformer3DModel",
        HEADS
        | {"attention_head_dim": 24, "cross_attention_dim": 48, "sample_height": 4, "sample_width": 4}
        | {"sample_frames": 2, "caption_channels": 8},
        FRAMES
        | {
            "image_rotary_emb": None,
            "attention_mask": torch.ones(2, 2, 4, 4),
            "encoder_attention_mask": torch.ones(2, 3),
        },
        6,
        "",
    ),
    "Mochi": (
        "MochiTransformer3DModel",
        HEADS
        | {"pooled_projection_dim": 8, "in_channels": 4, "text_embed_dim": 8, "time_embed_dim": 8}
        | {"max_sequence_length": 3},
        FRAMES | {"encoder_attention_mask": torch.ones(2, 3)},
        6,
        "",
    ),
    "Wan": (
        "WanTransformer3DModel",
        HEADS
        | {"attention_head_dim": 12, "in_channels": 4, "out_channels": 4, "text_dim": 8, "freq_dim": 8, "ffn_dim": 16},
        FRAMES | {"timestep": TIME.long()},
        6,
        "",
    ),
    "SkyReels": (
        "SkyReelsV2Transformer3DModel",
        HEADS
        | {"attention_head_dim": 12, "in_channels": 4, "out_channels": 4, "text_dim": 8, "freq_dim": 8, "ffn_dim": 16},
        FRAMES | {"timestep": TIME.long()},
        6,
        "",
    ),
    "LTX": (
        "LTXVideoTransformer3DModel",
        HEADS | {"in_channels": 4, "out_channels": 4, "cross_attention_dim": 16, "caption_channels": 8},
        TEXT
        | {"hidden_states": noise(2, 8, 4), "timestep": TIME, "encoder_attention_mask": torch.ones(2, 3)}
        | {"num_frames": 2, "height": 2, "width": 2},
        6,
        "",
    ),
    "Hunyuan Video": (
        "HunyuanVideoTransformer3DModel",
        HEADS
        | {"in_channels": 4, "out_channels": 4, "num_single_layers": 2, "num_refiner_layers": 1, "text_embed_dim": 8}
        | {"pooled_projection_dim": 8, "rope_axes_dim": (2, 2, 4), "guidance_embeds": False},
        FRAMES | {"encoder_attention_mask": torch.ones(2, 3), "pooled_projections": noise(2, 8)},
        12,
        "",
    ),
    "Qwen-Image": (
        "QwenImageTransformer2DModel",
        JOINT | {"in_channels": 4, "out_channels": 1, "axes_dims_rope": (2, 2, 4)},
        PACKED | {"encoder_hidden_states_mask": torch.ones(2, 3), "img_shapes": [(1, 2, 2)] * 2},
        6,
        "",
    ),
    "PRX": (
        "PRXTransformer2DModel",
        {
            "in_channels": 4,
            "context_in_dim": 8,
            "hidden_size": 16,
            "num_heads": 2,
            "depth": 2,
            "axes_dim": [4, 4],
        },
        PICTURE,
        4,
        "",
    ),
    "Stable Audio": (
        "StableAudioDiTModel",
        HEADS
        | {"sample_size": 4, "in_channels": 4, "num_key_value_attention_heads": 2, "out_channels": 4}
        | {"cross_attention_dim": 16, "time_proj_dim": 8, "global_states_input_dim": 8, "cross_attention_input_dim": 8},
        TEXT | {"hidden_states": noise(2, 4, 4), "timestep": TIME, "global_hidden_states": noise(2, 1, 8)},
        8,
        "",
    ),
    "temporal transformer": (
        "TransformerTemporalModel",
        {"num_attention_heads": 2, "attention_head_dim": 8, "in_channels": 8, "norm_num_groups": 4},
        {"hidden_states": noise(4, 8, 4, 4), "num_frames": 2},
        4,
        "",
    ),
    "AutoencoderKL": ("AutoencoderKL", CODER, {"sample": noise(2, 3, 16, 16)}, 12, ""),
}
FAMILIES = named(ROWS)
