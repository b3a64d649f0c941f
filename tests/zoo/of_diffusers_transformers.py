"""Transformers of diffusers, tiny: of each class the residual sums that its source writes, and which of them are live.

In a layer of two streams (image and text) the source writes four sums; the text's two in the last layer are not live
where only the image is read afterwards.
"""

import torch
from diffusers_recipe import Row, families, noise, ones

__all__ = ["FAMILIES"]

TIME = torch.tensor([3.0, 7.0])
STEP = torch.tensor([3, 7])
HEADS = {"num_attention_heads": 2, "attention_head_dim": 8, "num_layers": 2}
JOINT = HEADS | {"joint_attention_dim": 8, "in_channels": 4}
TEXT = {"encoder_hidden_states": noise(2, 3, 8)}
PACKED = TEXT | {"hidden_states": noise(2, 4, 4), "timestep": TIME}
IDS = {"img_ids": torch.zeros(4, 3), "txt_ids": torch.zeros(3, 3)}
PICTURE = TEXT | {"hidden_states": noise(2, 4, 8, 8), "timestep": TIME}
FRAMES = TEXT | {"hidden_states": noise(2, 4, 2, 4, 4), "timestep": STEP}
WAN = HEADS | {"attention_head_dim": 12, "in_channels": 4, "out_channels": 4, "text_dim": 8, "freq_dim": 8}
WAN |= {"ffn_dim": 16, "rope_max_seq_len": 32}
THREE = "two layers of attention, attention to the text, and MLP"
JOINED = "two layers of two streams; the text's two of the last layer are not live"
DOUBLE = "four for each of two layers of two streams, one for each of two of one stream"

ROWS: dict[str, Row] = {
    "AceStepTransformer1DModel": (
        {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
        | {"num_key_value_heads": 1, "head_dim": 8, "in_channels": 12, "audio_acoustic_hidden_dim": 4},
        {"hidden_states": noise(2, 4, 4), "timestep": TIME, "timestep_r": TIME / 2}
        | {"encoder_hidden_states": noise(2, 3, 16), "context_latents": noise(2, 4, 8)},
        6,
        THREE,
    ),
    "AnyFlowTransformer3DModel": (
        WAN,
        TEXT
        | {"hidden_states": noise(2, 2, 4, 4, 4), "timestep": torch.full((2, 2), 5.0)}
        | {"r_timestep": torch.full((2, 2), 2.0)},
        6,
        THREE,
    ),
    "BriaFiboTransformer2DModel": (
        JOINT | {"num_single_layers": 2, "text_encoder_dim": 8, "axes_dims_rope": [2, 2, 4]},
        PACKED | IDS | {"text_encoder_layers": [noise(2, 3, 8)] * 4},
        10,
        DOUBLE,
    ),
    "BriaFibo2Transformer2DModel": (
        {"in_channels": 4, "dim": 32, "n_layers": 2, "n_refiner_layers": 1, "n_heads": 2, "cap_feat_dim": 8}
        | {"injection_layer_ids": (1,), "min_num_gist_tokens": 2, "max_num_gist_tokens": 4, "gist_step": 1}
        | {"gist_min_text_len": 1, "gist_max_text_len": 8, "axes_dims": (4, 6, 6), "axes_lens": (32, 32, 32)},
        {"hidden_states": noise(2, 4, 8, 8), "timestep": TIME / 10, "encoder_hidden_states": noise(2, 2, 3, 8)},
        12,
        "2 of the refiner, 2 + 3 of a plain and an injected layer; of the Perceiver's 3 + 3 the first has learned "
        "queries for its shortcut",
    ),
    "ChronoEditTransformer3DModel": (
        WAN | {"attention_head_dim": 8, "rope_temporal_skip_len": 8},
        FRAMES,
        6,
        THREE,
    ),
    "ConsisIDTransformer3DModel": (
        HEADS
        | {"in_channels": 4, "out_channels": 4, "time_embed_dim": 8, "text_embed_dim": 8, "sample_width": 4}
        | {"sample_height": 4, "sample_frames": 5, "max_text_seq_length": 3, "is_train_face": True, "LFE_depth": 1}
        | {"cross_attn_interval": 1, "cross_attn_dim_head": 4, "cross_attn_num_heads": 2, "LFE_id_dim": 4}
        | {"LFE_vit_dim": 4, "LFE_dim_head": 4, "LFE_num_heads": 2, "LFE_num_id_token": 1, "LFE_num_querie": 2}
        | {"LFE_output_dim": 10, "LFE_ff_mult": 1, "LFE_num_scale": 1},
        {"hidden_states": noise(2, 2, 4, 4, 4), "encoder_hidden_states": noise(2, 3, 8), "timestep": STEP}
        | {"id_vit_hidden": [noise(2, 3, 4)], "id_cond": noise(2, 4)},
        12,
        "two layers of two streams and attention to the face, two of the face's encoder; the last MLP's of the text is "
        "normalised beside the image and then cut off",
    ),
    "CosmosTransformer3DModel": (
        HEADS
        | {"in_channels": 4, "out_channels": 4, "attention_head_dim": 12, "mlp_ratio": 2, "text_embed_dim": 8}
        | {"adaln_lora_dim": 4, "max_size": (4, 8, 8), "concat_padding_mask": False},
        FRAMES | {"fps": 30},
        6,
        THREE,
    ),
    "DreamLiteTransformer2DModel": (
        HEADS | {"in_channels": 8, "norm_num_groups": 4, "cross_attention_dim": 8},
        TEXT | {"hidden_states": noise(2, 8, 4, 4)},
        7,
        "two layers of attention, attention to the text and MLP, and the sum around all",
    ),
    "EasyAnimateTransformer3DModel": (
        HEADS
        | {"attention_head_dim": 16, "in_channels": 4, "mmdit_layers": 2, "out_channels": 4, "text_embed_dim": 8}
        | {"time_embed_dim": 8, "patch_size": 2},
        FRAMES,
        6,
        JOINED,
    ),
    "ErnieImageTransformer2DModel": (
        {"hidden_size": 16, "num_attention_heads": 1, "num_layers": 2, "ffn_hidden_size": 16, "in_channels": 4}
        | {"out_channels": 4, "text_in_dim": 8, "rope_axes_dim": (8, 4, 4)},
        {"hidden_states": noise(2, 4, 4, 4), "timestep": TIME, "text_bth": noise(2, 3, 8)}
        | {"text_lens": torch.tensor([3, 3])},
        4,
        "two layers of one stream",
    ),
    "Flux3Transformer2DModel": (
        JOINT
        | {"num_single_layers": 2, "timestep_channels": 8, "axes_dims_rope": (2, 2, 2, 2), "cond_in_channels": 4}
        | {"mlp_ratio": 2.0},
        PACKED | {"img_ids": torch.zeros(4, 4), "txt_ids": torch.zeros(3, 4)},
        7,
        "two for each stream, then two layers of both, in which the last of the text is not live",
    ),
    "GlmImageTransformer2DModel": (
        HEADS
        | {"in_channels": 4, "out_channels": 4, "text_embed_dim": 8, "time_embed_dim": 8, "condition_dim": 4}
        | {"prior_vq_quantizer_codebook_size": 8},
        PICTURE
        | {"prior_token_id": torch.tensor([[1] * 16, [2] * 16]), "prior_token_drop": ~ones(2, 16), "timestep": STEP}
        | {"target_size": torch.full((2, 2), 8.0), "crop_coords": torch.zeros(2, 2)},
        6,
        JOINED,
    ),
    "HeliosTransformer3DModel": (
        {k: v for k, v in WAN.items() if k != "rope_max_seq_len"} | {"rope_dim": (4, 4, 4)},
        FRAMES
        | {"indices_hidden_states": ones(2, 2).long()}
        | {f"indices_latents_history_{k}": ones(2, n).long() for k, n in (("short", 1), ("mid", 1), ("long", 4))}
        | {f"latents_history_{k}": noise(2, 4, n, 8, 8) for k, n in (("short", 1), ("mid", 1), ("long", 4))}
        | {"hidden_states": noise(2, 4, 2, 8, 8)},
        6,
        THREE,
    ),
    "HiDreamImageTransformer2DModel": (
        HEADS
        | {"patch_size": 2, "in_channels": 4, "out_channels": 4, "num_single_layers": 2, "caption_channels": [8, 4]}
        | {"text_emb_dim": 8, "num_routed_experts": 2, "num_activated_experts": 2, "axes_dims_rope": (4, 2, 2)}
        | {"max_resolution": (8, 8), "llama_layers": (0, 1, 0, 1), "force_inference_output": True},
        {"hidden_states": noise(2, 4, 8, 8), "encoder_hidden_states_t5": noise(2, 3, 8), "timesteps": STEP}
        | {"encoder_hidden_states_llama3": noise(2, 2, 3, 4), "pooled_embeds": noise(2, 8)},
        12,
        "four for each of two layers of two streams, two for each of two of one stream",
    ),
    "HunyuanVideo15Transformer3DModel": (
        HEADS
        | {"in_channels": 4, "out_channels": 4, "num_refiner_layers": 1, "mlp_ratio": 2.0, "text_embed_dim": 8}
        | {"text_embed_2_dim": 8, "image_embed_dim": 8, "rope_axes_dim": (2, 2, 4), "target_size": 16},
        FRAMES
        | {"encoder_hidden_states_2": noise(2, 2, 8), "encoder_attention_mask": torch.ones(2, 3)}
        | {"encoder_attention_mask_2": ones(2, 2), "image_embeds": noise(2, 2, 8), "timestep": TIME},
        8,
        "two layers of two streams, less the text's two of the last; two of the text's refiner",
    ),
    "HunyuanVideoFramepackTransformer3DModel": (
        HEADS
        | {"in_channels": 4, "out_channels": 4, "num_single_layers": 2, "num_refiner_layers": 1, "text_embed_dim": 8}
        | {"pooled_projection_dim": 8, "rope_axes_dim": (2, 2, 4), "image_proj_dim": 8}
        | {"has_image_proj": True, "has_clean_x_embedder": True},
        FRAMES
        | {"pooled_projections": noise(2, 8), "encoder_attention_mask": torch.ones(2, 3), "guidance": TIME}
        | {"image_embeds": noise(2, 2, 8), "indices_latents": ones(2).long(), "timestep": TIME}
        | {f"latents_{k}": noise(2, 4, n, 4, 4) for k, n in (("clean", 1), ("history_2x", 1), ("history_4x", 4))}
        | {f"indices_latents_{k}": ones(n).long() for k, n in (("clean", 1), ("history_2x", 1), ("history_4x", 4))},
        12,
        "four for each of two layers of two streams, one for each of two of one stream, two of the text's refiner",
    ),
    "HunyuanImageTransformer2DModel": (
        HEADS
        | {"in_channels": 4, "out_channels": 4, "num_single_layers": 2, "num_refiner_layers": 1, "text_embed_dim": 8}
        | {"rope_axes_dim": (4, 4)},
        PICTURE | {"encoder_attention_mask": torch.ones(2, 3)},
        12,
        "four for each of two layers of two streams, one for each of two of one stream, two of the text's refiner",
    ),
    "Ideogram4Transformer2DModel": (
        HEADS
        | {
            "in_channels": 4,
            "intermediate_size": 16,
            "adaln_dim": 8,
            "llm_features_dim": 8,
            "mrope_section": (2, 1, 1),
        },
        {"hidden_states": noise(2, 7, 4), "encoder_hidden_states": noise(2, 7, 8), "timestep": TIME / 10}
        | {"position_ids": torch.zeros(2, 7, 3, dtype=torch.long), "segment_ids": torch.ones(2, 7, dtype=torch.long)}
        | {"indicator": torch.tensor([[3] * 3 + [2] * 4] * 2)},
        4,
        "two layers of one stream",
    ),
    "JoyImageEditTransformer3DModel": (
        {"patch_size": [1, 2, 2], "in_channels": 4, "hidden_size": 16, "num_attention_heads": 1, "text_dim": 8}
        | {"num_layers": 2, "rope_dim_list": [4, 6, 6]},
        FRAMES | {"timestep": TIME},
        6,
        JOINED,
    ),
    "JoyImageEditPlusTransformer3DModel": (
        {"patch_size": [1, 2, 2], "in_channels": 4, "hidden_size": 16, "num_attention_heads": 1, "text_dim": 8}
        | {"num_layers": 2, "rope_dim_list": [4, 6, 6]},
        TEXT | {"hidden_states": noise(2, 2, 4, 1, 2, 2), "timestep": TIME, "shape_list": [[(1, 1, 1), (1, 1, 1)]] * 2},
        6,
        JOINED,
    ),
}

DOUBTFUL = "AceStepTransformer1DModel"  # embeddings of t and of t - r are added, as couplings of two streams are
FAMILIES = families(ROWS, doubtful=DOUBTFUL)
