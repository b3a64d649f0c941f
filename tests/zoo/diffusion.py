"""Networks of convolutions of diffusers, tiny: how to build each, and the residual sums in its source."""

from typing import Any

import torch
from diffusers_recipe import named, noise
from family import Inputs

__all__ = ["FAMILIES", "ROWS"]

TIME = torch.tensor([3.0, 7.0])
LATENT = {"sample": noise(2, 4, 8, 8), "timestep": TIME}
UNET = {"block_out_channels": (8, 8), "layers_per_block": 1, "norm_num_groups": 4, "sample_size": 8}
CODER = {
    "block_out_channels": (8, 8),
    "norm_num_groups": 4,
    "down_block_types": ("DownEncoderBlock2D",) * 2,
    "up_block_types": ("UpDecoderBlock2D",) * 2,
}
TEXT = {"encoder_hidden_states": noise(2, 3, 8)}

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
FAMILIES = named(ROWS)
