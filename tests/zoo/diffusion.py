"""Networks of diffusers, tiny: how to build each, and the residual sums in its source."""

from typing import Any

import torch
from family import Family, Inputs
from torch import Tensor, nn

__all__ = ["FAMILIES"]


def noise(*shape: int) -> Tensor:
    return torch.randn(*shape)


def network(name: str, settings: dict[str, Any], inputs: Inputs) -> tuple[nn.Module, Inputs]:
    import diffusers

    torch.manual_seed(0)
    return getattr(diffusers, name)(**settings), inputs


TIME = torch.tensor([3.0, 7.0])
LATENT = {"sample": noise(2, 4, 8, 8), "timestep": TIME}
UNET = {"block_out_channels": (8, 8), "layers_per_block": 1, "norm_num_groups": 4, "sample_size": 8}
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
    "UNet2D": (
        "UNet2DModel",
        UNET
        | {
            "in_channels": 4,
            "out_channels": 4,
            "attention_head_dim": 4,
            "down_block_types": ("DownBlock2D", "AttnDownBlock2D"),
            "up_block_types": ("AttnUpBlock2D", "UpBlock2D"),
        },
        LATENT,
        12,
        "",
    ),
    "UNet2D with text": (
        "UNet2DConditionModel",
        UNET
        | {
            "cross_attention_dim": 8,
            "attention_head_dim": 4,
            "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
            "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
        },
        LATENT | TEXT,
        24,
        "",
    ),
    "UNet3D with text": (
        "UNet3DConditionModel",
        UNET
        | {
            "cross_attention_dim": 8,
            "attention_head_dim": 4,
            "down_block_types": ("CrossAttnDownBlock3D", "DownBlock3D"),
            "up_block_types": ("UpBlock3D", "CrossAttnUpBlock3D"),
        },
        {"sample": noise(2, 4, 2, 8, 8), "timestep": TIME} | TEXT,
        52,
        "",
    ),
    "UNet of frames": (
        "UNetSpatioTemporalConditionModel",
        {
            "block_out_channels": (32, 32),
            "layers_per_block": 1,
            "sample_size": 8,
            "in_channels": 4,
            "cross_attention_dim": 8,
            "num_attention_heads": (2, 2),
            "addition_time_embed_dim": 8,
            "projection_class_embeddings_input_dim": 24,
            "down_block_types": ("CrossAttnDownBlockSpatioTemporal", "DownBlockSpatioTemporal"),
            "up_block_types": ("UpBlockSpatioTemporal", "CrossAttnUpBlockSpatioTemporal"),
        },
        {"sample": noise(2, 2, 4, 8, 8), "timestep": TIME, "added_time_ids": noise(2, 3)} | TEXT,
        48,
        "what is mixed of the pictures' and the frames' stream",
    ),
    "Stable Cascade": (
        "StableCascadeUNet",
        {
            "in_channels": 4,
            "out_channels": 4,
            "timestep_ratio_embedding_dim": 8,
            "conditioning_dim": 8,
            "block_out_channels": (8, 8),
            "num_attention_heads": (2, 2),
            "down_num_layers_per_block": (1, 1),
            "up_num_layers_per_block": (1, 1),
            "clip_text_pooled_in_channels": 8,
        },
        {"sample": noise(2, 4, 8, 8), "timestep_ratio": TIME / 10, "clip_text_pooled": noise(2, 1, 8)},
        8,
        "",
    ),
    "ControlNet": (
        "ControlNetModel",
        {
            "block_out_channels": (8, 8),
            "layers_per_block": 1,
            "norm_num_groups": 4,
            "cross_attention_dim": 8,
            "attention_head_dim": 4,
            "conditioning_embedding_out_channels": (8, 8),
            "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
        },
        LATENT | TEXT | {"controlnet_cond": noise(2, 3, 16, 16)},
        12,
        "",
    ),
    "T2I-Adapter": (
        "T2IAdapter",
        {"channels": [8, 8], "num_res_blocks": 1, "downscale_factor": 2},
        {"x": noise(2, 3, 16, 16)},
        1,
        "",
    ),
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
    "asymmetric autoencoder": (
        "AsymmetricAutoencoderKL",
        {"down_block_out_channels": (8, 8), "up_block_out_channels": (8, 8), "norm_num_groups": 4}
        | {k: v for k, v in CODER.items() if k.endswith("types")},
        {"sample": noise(2, 3, 16, 16)},
        12,
        "",
    ),
    "autoencoder of frames": (
        "AutoencoderKLTemporalDecoder",
        {"block_out_channels": (32, 32), "down_block_types": ("DownEncoderBlock2D",) * 2},
        {"sample": noise(2, 3, 16, 16), "num_frames": 2},
        15,
        "",
    ),
    "VQ": ("VQModel", CODER | {"num_vq_embeddings": 8}, {"sample": noise(2, 3, 16, 16)}, 12, ""),
    "AutoencoderDC": (
        "AutoencoderDC",
        {
            "latent_channels": 8,
            "attention_head_dim": 4,
            "encoder_block_types": ("ResBlock", "EfficientViTBlock"),
            "decoder_block_types": ("ResBlock", "EfficientViTBlock"),
            "encoder_block_out_channels": (8, 16),
            "decoder_block_out_channels": (8, 16),
            "encoder_layers_per_block": (1, 1),
            "decoder_layers_per_block": (1, 1),
            "encoder_qkv_multiscales": ((), (5,)),
            "decoder_qkv_multiscales": ((), (5,)),
        },
        {"sample": noise(2, 3, 16, 16)},
        10,
        "",
    ),
    "Wan's autoencoder": (
        "AutoencoderKLWan",
        {"base_dim": 4, "z_dim": 16, "dim_mult": [1, 1], "num_res_blocks": 1, "temperal_downsample": [False]},
        {"sample": noise(2, 3, 1, 16, 16)},
        12,
        "",
    ),
    "Qwen's autoencoder": (
        "AutoencoderKLQwenImage",
        {"base_dim": 4, "z_dim": 16, "dim_mult": [1, 1], "num_res_blocks": 1, "temperal_downsample": [False]},
        {"sample": noise(2, 3, 1, 16, 16)},
        12,
        "",
    ),
    "Oobleck": (
        "AutoencoderOobleck",
        {
            "encoder_hidden_size": 8,
            "downsampling_ratios": [2, 4],
            "channel_multiples": [1, 1],
            "decoder_channels": 8,
            "decoder_input_channels": 4,
        },
        {"sample": noise(2, 2, 64)},
        12,
        "",
    ),
}
FAMILIES = {
    f"diffusers {name}": Family(
        lambda made=made, settings=settings, inputs=inputs: network(made, settings, inputs),
        blocks,
        reason,
    )
    for name, (made, settings, inputs, blocks, reason) in ROWS.items()
}
