"""Autoencoders of diffusers, tiny, and the classes of diffusers that are not built, with the reason."""

from diffusers_recipe import Row, families, noise

__all__ = ["FAMILIES", "NOT_BUILT"]

SMALL = {"block_out_channels": (8, 8), "layers_per_block": 1, "norm_num_groups": 4, "latent_channels": 4}

ROWS: dict[str, Row] = {
    "AutoencoderKLFlux2": (
        SMALL | {"down_block_types": ("DownEncoderBlock2D",) * 2, "up_block_types": ("UpDecoderBlock2D",) * 2},
        {"sample": noise(2, 3, 16, 16)},
        12,
        "2 down, 3 of each middle (two resnets around an attention), 4 up",
    ),
    "AutoencoderKLCogVideoX": (
        SMALL | {"down_block_types": ("CogVideoXDownBlock3D",) * 2, "up_block_types": ("CogVideoXUpBlock3D",) * 2},
        {"sample": noise(2, 3, 1, 16, 16)},
        10,
        "2 down, 2 of each middle, 4 up",
    ),
    "AutoencoderKLHunyuanVideo": (
        SMALL
        | {"block_out_channels": (8, 8, 8, 8), "down_block_types": ("HunyuanVideoDownBlock3D",) * 4}
        | {"up_block_types": ("HunyuanVideoUpBlock3D",) * 4},
        {"sample": noise(2, 3, 1, 16, 16)},
        18,
        "4 down, 3 of each middle (two resnets around an attention), 8 up",
    ),
    "AutoencoderKLMochi": (
        {"latent_channels": 12, "encoder_block_out_channels": (32, 32), "decoder_block_out_channels": (32, 32)}
        | {"layers_per_block": (1, 1, 1), "temporal_expansions": (1,), "spatial_expansions": (2,)}
        | {"add_attention_block": (False, True, True)},
        {"sample": noise(1, 3, 2, 8, 8)},
        8,
        "1, 2 and 2 of the encoder, some with an attention; 3 of the decoder",
    ),
    "AutoencoderKLMagvit": (
        SMALL | {"down_block_types": ["SpatialDownBlock3D"] * 2, "up_block_types": ["SpatialUpBlock3D"] * 2},
        {"sample": noise(2, 3, 1, 16, 16)},
        8,
        "2 down, 1 of each middle, 4 up",
    ),
}

# why a class is not built -> the classes
NOT_BUILT: dict[str, str] = {
    "it only holds other networks, or their parts, and has no sums of its own": """
        ControlNetXSAdapter FluxMultiControlNetModel HunyuanDiT2DMultiControlNetModel MotionAdapter
        MultiControlNetModel QwenImageMultiControlNetModel SD3MultiControlNetModel MultiAdapter
    """,
    "it is a projection, without sums of two signals": """
        AudioLDM2ProjectionModel CLIPImageProjection Ideogram4PromptEnhancerHead ReduxImageEncoder
        StableAudio3DurationEmbedder StableAudioProjectionModel
    """,
    "its attention has no backward pass on a CPU": """
        AnyFlowFARTransformer3DModel Kandinsky6SRTransformer3DModel LTX2VideoDiffusionDecoderModel
    """,
    "it puts zeros in the place of one of its inputs, which x must hold": "SparseControlNetModel",
    "it rounds what lies between encoder and decoder to bytes, and no gradient passes": "AutoencoderTiny",
    "it encodes and decodes by tiles of full size only": "AutoencoderKLAllegro",
    "all its inputs but the time are lists of tensors, which are not split": """
        WanAnimate2Transformer3DModel ZImageControlNetModel
    """,
}

FAMILIES = families(ROWS)
