"""Networks of diffusers for sound, proteins and conditions, tiny: the residual sums that the source of each writes."""

import torch
from diffusers_recipe import Row, families, noise, ones

__all__ = ["FAMILIES", "ROWS"]

TIME = torch.tensor([3.0, 7.0])
ACE = {"hidden_size": 16, "intermediate_size": 16, "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 8}
POOLED = ACE | {"audio_acoustic_hidden_dim": 4, "pool_window_size": 2}
WAVE = {"sample": noise(2, 1, 64)}
UNITS = "3 residual units for each of two stages"
RESIDUES = {"padding_mask": ones(2, 5)}
RESIDUES |= {"conditioning": {"supports_local_latent": ones(2, 5), "is_in_context_conditioning": ~ones(2, 5)}}
PROTEIN = {"latent_dim": 4, "nlayers": 2, "token_dim": 16, "nheads": 2, "dim_cond": 8, "pair_repr_dim": 8}
PROTEIN |= {"token_type_emb_dim": 4}
MOMENTS = ("time_emb_bb_ca", "time_emb_local_latents")

ROWS: dict[str, Row] = {
    "AceStepAudioTokenizer": (POOLED | {"fsq_dim": 16}, {"hidden_states": noise(2, 3, 2, 4)}, 4, "two layers"),
    "AceStepAudioTokenDetokenizer": (POOLED, {"hidden_states": noise(2, 3, 16)}, 4, "two layers"),
    "AceStepConditionEncoder": (
        ACE
        | {"text_hidden_dim": 8, "timbre_hidden_dim": 4, "num_lyric_encoder_hidden_layers": 2}
        | {"num_timbre_encoder_hidden_layers": 2},
        {"text_hidden_states": noise(2, 3, 8), "text_attention_mask": torch.ones(2, 3)}
        | {"lyric_hidden_states": noise(2, 3, 8), "lyric_attention_mask": torch.ones(2, 3)}
        | {"refer_audio_acoustic_hidden_states_packed": noise(2, 3, 4), "refer_audio_order_mask": torch.tensor([0, 1])},
        8,
        "two layers for the lyrics, two for the timbre",
    ),
    "AnimaTextConditioner": (
        {"source_dim": 8, "target_dim": 16, "model_dim": 16, "num_layers": 2, "num_attention_heads": 2}
        | {"target_vocab_size": 32, "min_sequence_length": 6},
        {"source_hidden_states": noise(2, 4, 8), "target_input_ids": torch.arange(12).view(2, 6)},
        4,
        "two layers of attention, attention to the source, and MLP, less the first two, whose stream is of the targets",
    ),
    "AutoencoderKLKVAEAudio": (
        {"encoder_dim": 4, "encoder_rates": [2, 2], "latent_dim": 8, "codebook_dim": 8, "decoder_dim": 16}
        | {"decoder_rates": [2, 2], "attn_num_heads": 2},
        WAVE,
        12,
        f"{UNITS} of encoder and decoder; its attention has no shortcut",
    ),
    "AutoencoderKLLTX2Audio": (
        {"base_channels": 8, "ch_mult": (1, 1), "num_res_blocks": 1, "resolution": 16, "latent_channels": 4}
        | {"mel_bins": 8},
        {"sample": noise(2, 2, 8, 8)},
        10,
        "2 down, 2 of each middle, 4 up",
    ),
    "AutoencoderKLMiniMaxH3Audio": (
        {"encoder_dim": 4, "encoder_rates": (2, 2), "latent_dim": 8, "latent_channels": 4, "num_attention_heads": 2}
        | {"decoder_dim": 16, "decoder_rates": (2, 2), "decoder_kernel_sizes": (4, 4), "resblock_kernel_sizes": (3,)}
        | {"resblock_dilation_sizes": ((1, 3),)},
        WAVE,
        12,
        f"{UNITS}, attention and MLP before the latent, 2 dilations for each of two stages of the decoder",
    ),
    "AutoencoderSAME": (
        {"audio_channels": 1, "patch_size": 4, "encoder_channels": 8, "encoder_c_mults": [2], "encoder_strides": [2]}
        | {"encoder_transformer_depths": [2], "latent_dim": 4, "dim_heads": 8},
        {"sample": noise(2, 1, 32)},
        8,
        "two layers of encoder and decoder",
    ),
    "Cosmos3AVAEAudioTokenizer": (
        {"vocoder_input_dim": 4, "dec_dim": 4, "dec_c_mults": (1, 2), "dec_strides": (2, 2), "enc_dim": 8}
        | {"enc_intermediate_dim": 8, "enc_num_layers": 2, "enc_n_fft": 8, "enc_hop_length": 2, "enc_latent_dim": 8}
        | {"enc_c_mults": (1,), "enc_strides": (2,)},
        {"sample": noise(2, 2, 64)},
        8,
        f"2 of the encoder, and {UNITS}",
    ),
    "Cosmos3OmniTransformer": (
        {"head_dim": 12, "hidden_size": 24, "intermediate_size": 24, "latent_channel": 4, "latent_patch_size": 1}
        | {"num_attention_heads": 2, "num_hidden_layers": 2, "num_key_value_heads": 1, "patch_latent_dim": 4}
        | {"vocab_size": 32, "rope_axes_dim": (2, 2, 2)},
        {"input_ids": torch.arange(3), "text_indexes": torch.arange(3), "position_ids": torch.arange(11).expand(3, 11)}
        | {"und_len": 3, "sequence_length": 11, "vision_tokens": [noise(1, 4, 2, 2, 2)]}
        | {"vision_token_shapes": [(2, 2, 2)], "vision_sequence_indexes": torch.arange(3, 11)}
        | {"vision_mse_loss_indexes": torch.arange(3, 11), "vision_timesteps": torch.full((8,), 0.5)}
        | {"vision_noisy_frame_indexes": [torch.arange(2)]},
        8,
        "two layers of attention and MLP, each for the text and for what is made",
    ),
    "LongCatAudioDiTVae": (
        {"channels": 4, "c_mults": [1, 2], "strides": [2, 2], "latent_dim": 4, "encoder_latent_dim": 8}
        | {"downsampling_ratio": 4},
        WAVE,
        18,
        "3 residual units and a mean around them for each of two stages, encoder and decoder, and one around the "
        "convolution on each side of the latent",
    ),
    "MMAudioVAE": (
        {"mel_bins": 8, "latent_channels": 4, "hidden_channels": 8, "layers_per_block": 1, "n_fft": 16}
        | {"channel_multipliers": (1, 1), "hop_length": 4},
        {"sample": noise(2, 64)},
        12,
        "2 down, 3 of each middle, 4 up",
    ),
    "MMAudioVocoder": (
        {"num_mels": 8, "upsample_initial_channel": 16, "upsample_rates": (2, 2), "upsample_kernel_sizes": (4, 4)}
        | {"resblock_kernel_sizes": (3,), "resblock_dilation_sizes": ((1, 3),)},
        {"mel": noise(2, 8, 8)},
        4,
        "2 dilations for each of two stages",
    ),
    "MiniMaxMusic3ConditionEncoder": (
        {"condition_hidden_dim": 8, "num_condition_layers": 2, "out_dim": 8},
        {"hidden_states": noise(2, 6, 16)},
        0,
        "a mean of layers and one convolution",
    ),
    "MiniMaxMusic3Vocoder": (
        {"latent_channels": 4, "decoder_input_dim": 8, "decoder_hidden_dim": 16, "upsampling_ratios": (2, 2)},
        {"latents": noise(2, 4, 6)},
        6,
        UNITS,
    ),
    "RFD4ProteinaAutoencoder": (
        PROTEIN
        | {"atom37_mask": [[True] * 37] * 147, "allowed_residue_types": [[True] * 147] * 7}
        | {"decoder_feats_seq": ("ca_coors_nm", "z_latent_seq")},
        RESIDUES
        | {"z_latent": noise(2, 5, 4), "ca_coors_nm": noise(2, 5, 3)}
        | {"token_type": torch.zeros(2, 5, dtype=torch.long)},
        5,
        "two layers of the decoder, and the atoms' coordinates, beside those of the residue's carbon",
    ),
    "RFD4ProteinaTransformer": (
        PROTEIN
        | {"cath_emb_dim": 4, "t_emb_dim": 8, "xt_pair_dist_dim": 4, "feats_seq": ("xt_bb_ca", "xt_local_latents")}
        | {"feats_cond_seq": MOMENTS, "feats_pair_repr": ("xt_bb_ca_pair_dists",), "feats_pair_cond": MOMENTS}
        | {"tri_mult_c": 8, "update_pair_repr_every_n": 1},
        RESIDUES
        | {"bb_ca": noise(2, 5, 3), "local_latents": noise(2, 5, 4), "bb_ca_time": TIME / 10}
        | {"local_latents_time": TIME / 10},
        8,
        "two layers, and 4 of the pairs between them; the modulation norm(h) s(z) + V z of the pairs may be a block "
        "with the projected shortcut V z",
    ),
    "SanaWMTransformer3DModel": (
        {"in_channels": 4, "num_layers": 2, "hidden_size": 24, "num_attention_heads": 2, "linear_head_dim": 12}
        | {"softmax_every_n": 2, "caption_channels": 8, "chunk_plucker_channels": 4, "image_size": 32}
        | {"chunk_plucker_post_attn_blocks": 2, "mlp_ratio": 2.0, "use_chunk_plucker_post_attn": False},
        {"hidden_states": noise(2, 4, 2, 4, 4), "timestep": torch.full((2, 1, 2), 3)}
        | {"encoder_hidden_states": noise(2, 1, 3, 8), "mask": torch.ones(2, 3, dtype=torch.long)},
        9,
        "two layers of attention, attention to the text, MLP and a convolution over frames in it, and the convolution "
        "of the keys in the first, whose sums S W + u of a delta rule have nothing plain on either side",
    ),
    "UNetControlNetXSModel": (
        {"sample_size": 8, "down_block_types": ("DownBlock2D",), "up_block_types": ("UpBlock2D",)}
        | {"block_out_channels": (8,), "norm_num_groups": 4, "cross_attention_dim": 8, "num_attention_heads": 2}
        | {"ctrl_conditioning_embedding_out_channels": (4, 4), "ctrl_block_out_channels": (8,)}
        | {"ctrl_num_attention_heads": 2, "ctrl_max_norm_num_groups": 4},
        {"sample": noise(2, 4, 8, 8), "timestep": TIME, "encoder_hidden_states": noise(2, 3, 8)}
        | {"controlnet_cond": noise(2, 3, 16, 16)},
        25,
        "2 down and 6 of the middle, for base and control, and 3 where control is added to base; 3 up, and 3 where the "
        "control's skips are added, one of them to a signal that has nothing plain in common with it",
    ),
    "UniDiffuserModel": (
        {"text_dim": 8, "clip_img_dim": 8, "num_text_tokens": 3, "num_attention_heads": 2, "attention_head_dim": 8}
        | {"in_channels": 4, "out_channels": 4, "num_layers": 2, "sample_size": 8, "patch_size": 2}
        | {"norm_num_groups": 4},
        {"latent_image_embeds": noise(2, 4, 8, 8), "image_embeds": noise(2, 1, 8), "prompt_embeds": noise(2, 3, 8)}
        | {"timestep_img": TIME, "timestep_text": TIME},
        6,
        "a layer down, one in the middle, one up",
    ),
    "UniDiffuserTextDecoder": (
        {"prefix_length": 2, "prefix_inner_dim": 16, "vocab_size": 32, "n_positions": 16, "n_embd": 16, "n_layer": 2}
        | {"n_head": 2},
        {"input_ids": torch.arange(12).view(2, 6), "prefix_embeds": noise(2, 2, 16)},
        4,
        "two layers",
    ),
}

FAMILIES = families(
    ROWS,
    found={"UNetControlNetXSModel": 24},
    doubtful="RFD4ProteinaTransformer",
)
