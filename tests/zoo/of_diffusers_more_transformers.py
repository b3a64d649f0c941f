"""More transformers of diffusers, tiny: of each class the residual sums that its source writes, and which are live."""

import torch
from diffusers_recipe import Row, families, noise, ones
from of_diffusers_transformers import DOUBLE, FRAMES, HEADS, IDS, JOINT, PACKED, PICTURE, STEP, TEXT, THREE, TIME, WAN

__all__ = ["FAMILIES"]

IMAGE_TEXT = HEADS | {"in_channels": 4, "out_channels": 4}
MINIMAX_H3 = {
    "token_tags": torch.tensor([1, 1, 2, 2, 0, 0, 0, 0]),
    "timestep_indices": torch.tensor([0, 0, 1, 1, 0, 0, 0, 0]),
    "position_ids": torch.zeros(8, 3, dtype=torch.long),
    "text_indices": torch.arange(2),
    "audio_indices": torch.arange(2, 4),
    "video_indices": torch.arange(4, 8),
}

ROWS: dict[str, Row] = {
    "Kandinsky5Transformer3DModel": (
        {"in_text_dim": 8, "in_text_dim2": 8, "time_dim": 8, "model_dim": 16, "ff_dim": 16, "num_text_blocks": 1}
        | {"num_visual_blocks": 2, "axes_dims": (4, 6, 6)},
        {"hidden_states": noise(2, 2, 4, 4, 4), "encoder_hidden_states": noise(2, 3, 8), "timestep": TIME}
        | {"pooled_projections": noise(2, 8), "text_rope_pos": torch.arange(3)}
        | {"visual_rope_pos": [torch.arange(2), torch.arange(2), torch.arange(2)]},
        8,
        "two of the text's layer; three of each of two visual ones",
    ),
    "Kandinsky6Transformer3DModel": (
        {"in_visual_dim": 4, "out_visual_dim": 4, "in_text_dim": 8, "in_text_dim2": 8, "time_dim": 8}
        | {"model_dim": 16, "ff_dim": 16, "num_text_blocks": 1, "num_visual_blocks": 2, "axes_dims": (4, 6, 6)}
        | {"visual_cond": False, "in_audio_dim": 4, "out_audio_dim": 4, "model_dim_a": 16, "time_dim_a": 8}
        | {"ff_dim_a": 16, "axes_dims_a": (16,)},
        {"hidden_states": noise(2, 2, 4, 4, 4), "encoder_hidden_states": noise(2, 3, 8), "timestep": TIME}
        | {"pooled_projections": noise(2, 8), "audio_hidden_states": noise(2, 3, 4)},
        17,
        "two of each text's layer; four of each stream of two layers, less the last three of the sound",
    ),
    "Krea2Transformer2DModel": (
        HEADS
        | {"in_channels": 4, "num_key_value_heads": 1, "intermediate_size": 16, "timestep_embed_dim": 8}
        | {"text_hidden_dim": 8, "num_text_layers": 2, "text_num_attention_heads": 2, "text_num_key_value_heads": 1}
        | {"text_intermediate_size": 8, "num_layerwise_text_blocks": 1, "num_refiner_text_blocks": 1}
        | {"axes_dims_rope": (4, 2, 2)},
        {"hidden_states": noise(2, 4, 4), "encoder_hidden_states": noise(2, 3, 2, 8), "timestep": TIME / 10}
        | {"position_ids": torch.zeros(7, 3)},
        8,
        "two of each of two layers, and of each of the two that fuse the layers of the text's encoder",
    ),
    "LongCatAudioDiTTransformer": (
        {"dit_dim": 16, "dit_depth": 2, "dit_heads": 2, "dit_text_dim": 8, "latent_dim": 4},
        TEXT
        | {"hidden_states": noise(2, 6, 4), "timestep": TIME, "encoder_attention_mask": ones(2, 3)}
        | {"attention_mask": ones(2, 6)},
        11,
        "three of each of two layers, the long skip around them, four ConvNeXt blocks of the text; the sum in a global "
        "response normalisation has no weight",
    ),
    "LTX2VideoTransformer3DModel": (
        IMAGE_TEXT
        | {"cross_attention_dim": 16, "audio_in_channels": 4, "audio_out_channels": 4, "audio_num_attention_heads": 2}
        | {"audio_attention_head_dim": 4, "audio_cross_attention_dim": 8, "caption_channels": 8},
        TEXT
        | {"hidden_states": noise(2, 8, 4), "audio_hidden_states": noise(2, 3, 4), "timestep": TIME}
        | {"audio_encoder_hidden_states": noise(2, 3, 8), "encoder_attention_mask": ones(2, 3)}
        | {"num_frames": 2, "height": 2, "width": 2, "audio_num_frames": 3, "fps": 25.0},
        14,
        "four of each stream of two layers, less the last two of the sound",
    ),
    "MiniMaxH3Transformer3DModel": (
        HEADS
        | {"hidden_size": 16, "num_refiner_layers": 1, "ffn_dim": 16, "in_channels": 4, "audio_in_channels": 4}
        | {"text_dim": 8, "freq_dim": 8, "time_embed_hidden_dim": 8, "time_embed_dim": 8, "rope_freq_dim": 1},
        MINIMAX_H3
        | {"hidden_states": noise(2, 4, 16), "audio_hidden_states": noise(2, 2, 4), "timestep": TIME}
        | {"encoder_hidden_states": noise(2, 2, 8)},
        6,
        "two of each of two layers, and of the text's refiner",
    ),
    "MiniMaxMusic3Transformer1DModel": (
        HEADS | {"in_channels": 4, "condition_dim": 8, "ff_inner_dim": 16, "rotary_dim": 4, "fourier_embedding_dim": 8},
        {"hidden_states": noise(2, 4, 6), "encoder_hidden_states": noise(2, 6, 8), "timestep": TIME / 10},
        6,
        "two of each of two layers; a convolution before and one after",
    ),
    "MiniMaxMusic3RVQDepthDecoder": (
        {"hidden_size": 16, "num_layers": 2, "num_attention_heads": 2, "intermediate_size": 16, "audio_vocab_size": 8},
        {"inputs_embeds": noise(2, 4, 16)},
        4,
        "two layers of attention and MLP",
    ),
    "MotifVideoTransformer3DModel": (
        HEADS
        | {"in_channels": 4, "out_channels": 4, "attention_head_dim": 12, "num_single_layers": 2, "text_embed_dim": 8}
        | {"rope_axes_dim": (4, 4, 4)},
        FRAMES | {"timestep": TIME},
        10,
        DOUBLE,
    ),
    "NucleusMoEImageTransformer2DModel": (
        JOINT
        | {"out_channels": 1, "axes_dims_rope": (4, 2, 2), "moe_enabled": False, "capacity_factors": [8.0, 8.0]}
        | {"num_key_value_heads": 1},
        PACKED | {"encoder_hidden_states_mask": ones(2, 3).long(), "img_shapes": [(1, 2, 2)] * 2},
        4,
        "two layers of attention, to the text too, and MLP",
    ),
    "OmniGenTransformer2DModel": (
        {"hidden_size": 16, "num_attention_heads": 2, "num_key_value_heads": 2, "intermediate_size": 16}
        | {"num_layers": 2, "pad_token_id": 0, "vocab_size": 16, "in_channels": 4, "time_step_dim": 4}
        | {"rope_scaling": {"long_factor": [1, 2, 3, 4], "short_factor": [1, 2, 3, 4]}, "pos_embed_max_size": 8},
        {"hidden_states": noise(2, 4, 4, 4), "timestep": TIME / 10, "input_ids": torch.ones(2, 6, dtype=torch.long)}
        | {"input_img_latents": [noise(1, 4, 4, 4)], "input_image_sizes": {0: [[0, 4]]}}
        | {"attention_mask": torch.ones(2, 11, 11), "position_ids": torch.arange(11).repeat(2, 1)},
        4,
        "two layers of attention and MLP",
    ),
    "OvisImageTransformer2DModel": (
        JOINT | {"out_channels": 4, "num_single_layers": 2, "axes_dims_rope": (2, 2, 4)},
        PACKED | IDS,
        10,
        DOUBLE,
    ),
    "QwenImage21Transformer2DModel": (
        HEADS | {"in_channels": 4, "out_channels": 4, "context_in_dim": 8, "axes_dims_rope": (2, 2, 4)},
        PACKED
        | {"img_shapes": [[(1, 2, 2)]] * 2, "img_mask": torch.tensor([[False] * 3 + [True]] * 2)}
        | {"encoder_hidden_states_mask": ones(2, 3)},
        4,
        "two layers of one stream",
    ),
    "SanaVideoTransformer3DModel": (
        IMAGE_TEXT
        | {"attention_head_dim": 12, "num_cross_attention_heads": 2, "cross_attention_head_dim": 12}
        | {"cross_attention_dim": 24, "caption_channels": 8, "sample_size": 4, "rope_max_seq_len": 32},
        FRAMES,
        8,
        THREE + "; in each MLP a convolution over time",
    ),
    "StableAudio3DiTModel": (
        {"io_channels": 4, "embed_dim": 16, "depth": 2, "num_heads": 2, "cond_token_dim": 8, "global_cond_dim": 8}
        | {"local_add_cond_dim": 4, "timestep_features_dim": 8, "ff_mult": 2, "num_memory_tokens": 2},
        TEXT | {"hidden_states": noise(2, 4, 6), "timestep": TIME / 10, "global_hidden_states": noise(2, 8)},
        8,
        THREE + "; a convolution before and one after",
    ),
    "Transformer2DModel": (
        HEADS | {"in_channels": 8, "norm_num_groups": 4, "cross_attention_dim": 8},
        TEXT | {"hidden_states": noise(2, 8, 4, 4)},
        7,
        THREE + ", and the sum around all",
    ),
    "T5FilmDecoder": (
        {"input_dims": 4, "targets_length": 6, "d_model": 16, "num_layers": 2, "num_heads": 2, "d_kv": 8, "d_ff": 16},
        {"encodings_and_masks": [(noise(2, 3, 16), torch.ones(2, 3))], "decoder_input_tokens": noise(2, 6, 4)}
        | {"decoder_noise_time": TIME / 10},
        6,
        THREE,
    ),
    "LuminaNextDiT2DModel": (
        {"sample_size": 8, "hidden_size": 16, "num_layers": 2, "num_attention_heads": 2, "num_kv_heads": 1}
        | {"multiple_of": 8, "cross_attention_dim": 8, "learn_sigma": False},
        PICTURE
        | {"encoder_mask": torch.ones(2, 3), "image_rotary_emb": torch.ones(384, 384, 4)}
        | {"cross_attention_kwargs": {}},
        4,
        "two layers; attention to image and text is one branch",
    ),
    "LatteTransformer3DModel": (
        IMAGE_TEXT
        | {"sample_size": 8, "patch_size": 2, "caption_channels": 8, "cross_attention_dim": 16}
        | {"norm_type": "ada_norm_single", "num_embeds_ada_norm": 8, "activation_fn": "gelu-approximate"}
        | {"norm_elementwise_affine": False, "video_length": 2},
        TEXT | {"hidden_states": noise(2, 4, 2, 8, 8), "timestep": STEP},
        10,
        "three of each of two layers over space, two of each over time",
    ),
    "SanaWMLTX2RefinerTransformer3DModel": (
        IMAGE_TEXT
        | {"cross_attention_dim": 16, "caption_channels": 8}
        | {"audio_num_attention_heads": 2, "audio_attention_head_dim": 8, "audio_cross_attention_dim": 16},
        TEXT
        | {"hidden_states": noise(2, 8, 4), "timestep": TIME, "video_rotary_emb": (ones(2, 8, 16).float(),) * 2}
        | {"encoder_attention_mask": ones(2, 3)},
        6,
        THREE,
    ),
    "WanAnimateTransformer3DModel": (
        WAN
        | {"in_channels": 12, "latent_channels": 4, "image_dim": 8, "motion_encoder_size": 16, "motion_style_dim": 8}
        | {"motion_encoder_channel_sizes": {"4": 8, "8": 8, "16": 8}, "motion_dim": 4, "motion_encoder_dim": 8}
        | {"face_encoder_hidden_dim": 8, "face_encoder_num_heads": 2, "inject_face_latents_blocks": 2}
        | {"added_kv_proj_dim": 24},
        {"encoder_hidden_states": noise(2, 512, 8)}
        | {"hidden_states": noise(2, 12, 2, 4, 4), "timestep": STEP, "encoder_hidden_states_image": noise(2, 3, 8)}
        | {"pose_hidden_states": noise(2, 4, 1, 4, 4), "face_pixel_values": noise(2, 3, 1, 16, 16)},
        9,
        THREE + "; attention to the face once, two projected blocks of its motion's encoder",
    ),
    "WanVACETransformer3DModel": (
        WAN | {"vace_layers": [0], "vace_in_channels": 4},
        FRAMES | {"control_hidden_states": noise(2, 4, 2, 4, 4)},
        10,
        "three of each of two layers and of the control's; the hint that is added reads the stream before",
    ),
    "ZImageTransformer2DModel": (
        {"in_channels": 4, "dim": 16, "n_layers": 2, "n_refiner_layers": 1, "n_heads": 1, "n_kv_heads": 1}
        | {"cap_feat_dim": 8, "axes_dims": [8, 4, 4], "axes_lens": [64, 8, 8]},
        {"x": [noise(4, 1, 4, 4)], "cap_feats": [noise(3, 8)], "t": TIME[:1] / 10},
        8,
        "two of each of two layers and two refiners; pictures and texts are in lists, which are not split: only the "
        "time is, so that the text's refiner and the first attention are not live",
    ),
}

FOUND = {
    "LongCatAudioDiTTransformer": 10,  # of the long skip both sides are plain
    "ZImageTransformer2DModel": 5,
}
FAMILIES = families(ROWS, FOUND)
