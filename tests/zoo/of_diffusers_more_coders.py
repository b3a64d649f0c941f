"""More autoencoders of diffusers, of pictures and films, tiny: the residual sums that the source of each writes."""

from diffusers_recipe import Row, families, noise

__all__ = ["FAMILIES", "ROWS"]

PICTURE = {"sample": noise(2, 3, 16, 16)}
FRAME = {"sample": noise(2, 3, 1, 16, 16)}
HUNYUAN = {"latent_channels": 4, "block_out_channels": (16, 32), "layers_per_block": 1, "spatial_compression_ratio": 2}
SHUFFLED = (
    "2 resnets and a downsampler beside its pixels, 3 of the middle and the last convolution beside the mean of its "
    "channels; the first one beside its channels repeated, 3 of the middle, 4 resnets and an upsampler"
)
KVAE = "1, a downsampler, 1, 2 of each middle, 2 and an upsampler, 2"
LTX = {"latent_channels": 4, "block_out_channels": (8, 8), "layers_per_block": (1, 1, 1), "patch_size": 1}
LTX |= {"decoder_layers_per_block": (1, 1, 1), "decoder_inject_noise": (False,) * 3}

ROWS: dict[str, Row] = {
    "AutoencoderKLCosmos": (
        {"latent_channels": 4, "encoder_block_out_channels": (8, 8, 8), "decode_block_out_channels": (8, 8, 8)}
        | {"attention_resolutions": (), "resolution": 16, "num_layers": 1, "patch_size": 1}
        | {"spatial_compression_ratio": 2, "temporal_compression_ratio": 1},
        FRAME,
        16,
        "1, a convolution beside its mean, 1; 4 of each middle (two resnets, attention over space and time); 2, an "
        "upsampled picture beside its convolution, 2",
    ),
    "AutoencoderKLHunyuanImage": (
        HUNYUAN | {"in_channels": 3, "out_channels": 3, "block_out_channels": (32, 64), "sample_size": 16},
        PICTURE,
        16,
        SHUFFLED,
    ),
    "AutoencoderKLHunyuanImageRefiner": (HUNYUAN | {"temporal_compression_ratio": 1}, FRAME, 16, SHUFFLED),
    "AutoencoderKLHunyuanVideo15": (
        HUNYUAN | {"temporal_compression_ratio": 1},
        {"sample": noise(1, 3, 1, 16, 16)},
        16,
        SHUFFLED,
    ),
    "AutoencoderKLKVAE": (
        {"channels": 32, "num_enc_blocks": 1, "num_dec_blocks": 1, "z_channels": 4, "ch_mult": (1, 1)}
        | {"sample_size": 16},
        PICTURE,
        12,
        KVAE,
    ),
    "AutoencoderKLKVAEVideo": (
        {"ch": 32, "ch_mult": (1, 1), "num_res_blocks": 1, "z_channels": 4, "temporal_compress_times": 1},
        FRAME,
        12,
        KVAE,
    ),
    "Kandinsky6SRVAE": (
        {"latent_channels": 4, "encoder_block_out_channels": (8, 8), "decoder_block_out_channels": (8, 8)}
        | {"layers_per_block": 1, "temporal_compression_ratio": 1},
        FRAME,
        12,
        KVAE,
    ),
    "Kandinsky6SRLatentUpscalerBank": (
        {"in_channels": 4, "stage_channels": (16, 16, 16), "num_pre_blocks": 1, "num_mid_blocks": 1}
        | {"num_post_blocks": 1, "num_x2_adapter_blocks": 1},
        {"latents": noise(2, 4, 1, 4, 4), "scale": 2},
        5,
        "3 residual blocks, a finisher and an upsampler h + conv(h)",
    ),
    "AutoencoderKLLTXVideo": (
        LTX
        | {"down_block_types": ("LTXVideoDownBlock3D",) * 2, "decoder_block_out_channels": (8, 8)}
        | {"spatio_temporal_scaling": (True, False), "decoder_spatio_temporal_scaling": (True, False)}
        | {"downsample_type": ("conv", "conv"), "upsample_residual": (False, False), "upsample_factor": (1, 1)},
        FRAME,
        6,
        "2 and 1 of the encoder, 1 and 2 of the decoder",
    ),
    "AutoencoderKLLTX2Video": (
        LTX
        | {"down_block_types": ("LTX2VideoDownBlock3D",) * 2, "decoder_block_out_channels": (8, 16)}
        | {"spatio_temporal_scaling": (True, True), "decoder_spatio_temporal_scaling": (True, True)}
        | {"downsample_type": ("spatial", "spatial"), "upsample_type": ("spatial", "spatial")}
        | {"upsample_residual": (True, True), "upsample_factor": (2, 2)},
        FRAME,
        10,
        "a resnet and a downsampler beside its pixels, twice, 1 of each middle, an upsampler and a resnet, twice",
    ),
    "AutoencoderKLMiniMaxH3": (
        {"latent_channels": 4, "block_out_channels": (8, 8), "layers_per_block": 1, "norm_num_groups": 4}
        | {"spatial_downsample_factors": (2, 1), "temporal_downsample_factors": (1, 1), "decoder_num_layers": 2}
        | {"decoder_num_attention_heads": 2, "decoder_attention_head_dim": 8, "decoder_num_register_tokens": 2}
        | {"latents_mean": (0.0,) * 4, "latents_std": (1.0,) * 4, "clip_length": 1, "token_drop": 0},
        FRAME,
        6,
        "2 resnets of the encoder, two layers of attention and MLP of the decoder",
    ),
    "AutoencoderKLQwenImage21": (
        {"base_dim": 8, "decoder_base_dim": 8, "z_dim": 4, "dim_mult": [1, 1], "num_res_blocks": 1}
        | {"temperal_downsample": [False], "latents_mean": [0.0] * 4, "latents_std": [1.0] * 4},
        {"sample": noise(2, 4, 1, 16, 16)},
        15,
        "a resnet and a mean around it, twice, 3 of each middle, 2 and the repeated pixels around them, 2; where the "
        "stage keeps its size the mean is the signal itself, around a sum that is plain on one side",
    ),
    "AutoencoderRAE": (
        {"encoder_hidden_size": 64, "encoder_patch_size": 4, "encoder_num_hidden_layers": 2}
        | {"decoder_hidden_size": 16, "decoder_num_hidden_layers": 2, "decoder_num_attention_heads": 2}
        | {"decoder_intermediate_size": 16, "patch_size": 4, "encoder_input_size": 16, "image_size": 16},
        PICTURE,
        8,
        "two layers of a vision transformer, and two of the decoder",
    ),
    "AutoencoderVidTok": (
        {"ch": 32, "ch_mult": [1, 1], "z_channels": 4, "num_res_blocks": 1},
        FRAME,
        20,
        "2 resnets over space and 2 over time, 3 of each middle, 4 and 4; convolutions over time beside a mean or the "
        "repeated frames, one down and one up",
    ),
    "ConsistencyDecoderVAE": (
        {"encoder_block_out_channels": (8, 8), "encoder_down_block_types": ("DownEncoderBlock2D",) * 2}
        | {"encoder_layers_per_block": 1, "encoder_norm_num_groups": 4, "decoder_block_out_channels": (8, 8)}
        | {"decoder_down_block_types": ("ResnetDownsampleBlock2D",) * 2, "decoder_layers_per_block": 1}
        | {"decoder_up_block_types": ("ResnetUpsampleBlock2D",) * 2, "decoder_norm_num_groups": 4, "sample_size": 8},
        PICTURE,
        26,
        "5 of the encoder; 10 of the decoder's U-Net in each of two steps, and x minus its noise in the second, as the "
        "first begins with noise",
    ),
}

FAMILIES = families(ROWS, found={"AutoencoderKLQwenImage21": 14})
