"""Language models of transformers, and those of pictures and language, that need settings beyond the recipe's."""

from typing import Any

import torch
from transformers_rows import EIGHT, IDS, READER, TINY, Row, families, family

__all__ = ["FAMILIES"]

TEXT = {"input_ids": IDS}
ROPE = {"rope_type": "default", "rope_theta": 1e4}
AXES = {"rope_parameters": ROPE | {"mrope_section": [2, 1, 1]}}
WHOLE = {"rope_parameters": ROPE | {"mrope_section": [2, 1, 1], "partial_rotary_factor": 1.0}}
LATER = {"rope_parameters": ROPE | {"mrope_section": [1, 1, 2]}}
SCALED = {"original_max_position_embeddings": 32, "llama_4_scaling_beta": 0.1}
BOTH = {"rope_parameters": dict.fromkeys(("full_attention", "sliding_attention"), ROPE)}
COMPASS = BOTH | {"layer_types": ["full_attention", "sliding_attention"]}
QUANTIZER = {"base_channels": 32, "channel_multiplier": [1, 1], "num_res_blocks": 1, "codebook_size": 16}
QUANTIZER |= {"hidden_size": 32, "embed_dim": 4, "latent_channels": 4, "attn_resolutions": []}
CODES = QUANTIZER | {"embed_dim": 8, "latent_channels": 8}
T5 = {"model_type": "t5", "d_model": 16, "num_layers": 2, "num_heads": 2, "d_kv": 8, "d_ff": 24}
ENCODEC = {"model_type": "encodec", "num_filters": 4, "upsampling_ratios": [2, 2], "hidden_size": 8}
CODEC = {"upsample_groups": 16, "codebook_size": 16, "num_filters": 4, "upsampling_ratios": [2, 2]}
NANO = {"num_kv_shared_layers": 0, "laurel_rank": 4, "activation_sparsity_pattern": [0.5, 0.0]}
NANO |= {"intermediate_size": [24, 24]}
EACH_SIDE = (
    "for each of two layers the prediction of the streams and its correction, attention, LAuReL, their sum, MLP, and "
    "embeddings for the layer, which are added in place to a slice: one operation, said to be doubtful"
)
HYPER = "two layers of hyper-connections"
PLACED = torch.tensor([[3, 3, 4, 5, 6, 7]] * 2)
"""Ids of which the first two stand for a picture."""

PLAIN: tuple[tuple[dict[str, Any], str], ...] = (
    (
        AXES,
        "cosmos3_edge_text glm4v_text glm_image_text glm_ocr_text hunyuan_vl_text paddleocr_vl_text qwen2_5_omni_text",
    ),
    (AXES, "qwen2_5_vl_text qwen2_vl_text"),
    (WHOLE, "glm4v_moe_text"),
    (LATER, "ernie4_5_vl_moe_text"),
    ({"text_config": AXES}, "glm46v glm4v glm_image glm_ocr glmga hunyuan_vl paddleocr_vl qwen2_5_omni_thinker"),
    ({"text_config": AXES}, "cosmos3_edge qwen2_5_vl qwen2_vl"),
    ({"text_config": WHOLE}, "glm4v_moe"),
    ({"text_config": LATER}, "ernie4_5_vl_moe"),
    ({"vlm_config": {"text_config": AXES}}, "colqwen2"),
    (COMPASS, "cohere_compass_text"),
    ({"text_config": COMPASS}, "cohere_compass"),
    ({"mlp_layer_types": ["dense", "sparse"]}, "deepseek_ocr2_text"),
    ({"text_config": {"mlp_layer_types": ["dense", "sparse"]}}, "deepseek_ocr2"),
    ({"dropout_rate": 0.1}, "t5gemma2_text"),
    ({"text_config": {"dropout_rate": 0.1}}, "t5gemma2_encoder"),
    ({"initializer_range": 0.02}, "pix2struct_text_model"),
    ({"top_k_experts": 2, "num_experts": 4}, "diffusion_gemma_text"),
    ({"adapter_config": {"vision_feature_layer": [1, 0]}}, "molmo2"),
    ({"flow_head_config": {"condition_dim": 16}}, "pocket_tts"),
    ({"qk_head_dim": 16, "rope_parameters": ROPE | SCALED}, "mistral4"),
)
"""Two layers of attention and MLP; the text of a picture-and-language model, where x is its ids."""

ROWS: dict[str, Row] = {
    "blip-2": (
        11,
        "4 of the picture; of the queries' two layers 1 and 2, as they begin as parameters and attend to the "
        "picture in the first; 4 of the text",
        {"num_query_tokens": 2, "image_token_index": 3, "qformer_config": {"encoder_hidden_size": 16}},
        {"pixel_values": torch.randn(2, 3, 32, 32), "input_ids": PLACED},
    ),
    "blip_2_qformer": (
        5,
        "two layers, and attention to the picture in the first",
        {"encoder_hidden_size": 16},
        {"query_embeds": torch.randn(2, 2, 16), "encoder_hidden_states": torch.randn(2, 4, 16)},
    ),
    "bridgetower": (
        11,
        "two layers of the text, two of the text above with attention to the picture; of the picture the first MLP "
        "alone reads the text and is read",
        {"vision_config": {"hidden_size": 64, "image_size": 32, "patch_size": 8}},
        TEXT | {"pixel_values": torch.randn(2, 3, 32, 32)},
    ),
    "bros": (
        4,
        "two layers",
        {"dim_bbox": 8, "dim_bbox_sinusoid_emb_1d": 4, "dim_bbox_sinusoid_emb_2d": 32, "dim_bbox_projection": 8},
        TEXT | {"bbox": torch.rand(2, 6, 8)},
    ),
    "canine": (
        8,
        "a layer of the characters, two of the pieces, one of the characters; ids would be hashed, so x is embedded",
        {},
        {"inputs_embeds": torch.randn(2, 8, 16)},
    ),
    "chameleon": (
        4,
        "two layers",
        {"vq_config": CODES | {"num_embeddings": 16, "resolution": 16}, "vocabulary_map": {"<image>": 4}},
        TEXT,
    ),
    "clvp_encoder": (4, "two layers", {"projection_dim": 16, "use_rotary_embedding": False}, TEXT),
    "csm": (
        4,
        "two layers, after the sum of an embedding for each codebook",
        {"codec_config": CODEC, "num_codebooks": 2},
        {"input_ids": torch.arange(24).view(2, 6, 2) % 14},
    ),
    "dbrx": (
        4,
        "two layers",
        {"attn_config": {"kv_n_heads": 1, "rope_theta": 1e4, "clip_qkv": 8.0}}
        | {"ffn_config": {"ffn_hidden_size": 24, "moe_num_experts": 4, "moe_top_k": 2}},
        TEXT,
    ),
    "emu3": (4, "two layers", {"vq_config": QUANTIZER, "vocabulary_map": {"<image>": 4}, "image_token_id": 3}, TEXT),
    "encoder-decoder": (
        8,
        "two layers of BERT, and two with attention to them",
        {"encoder": TINY | {"model_type": "bert", "vocab_size": 32}, "decoder": TINY | READER},
        TEXT | {"decoder_input_ids": IDS},
    ),
    "flava_multimodal_model": (4, "two layers", {}, {"hidden_states": torch.randn(2, 6, 16)}),
    "florence2": (
        8,
        "two layers of an encoder, two of a decoder less the first two",
        {
            "vision_config": {"depths": [1, 1], "embed_dim": [8, 16], "num_heads": [1, 2], "num_groups": [1, 2]}
            | {"patch_size": [7, 3], "patch_stride": [4, 2], "patch_padding": [3, 1], "patch_prenorm": [False, True]}
            | {"window_size": 4, "projection_dim": 16}
        },
        None,
    ),
    "gemma3n": (14, EACH_SIDE, {"vision_config": {"architecture": "test_mambaout"}, "text_config": NANO}, TEXT),
    "gemma3n_text": (14, EACH_SIDE, NANO, None),
    "hy_v4_vl": (4, HYPER, {"text_config": AXES}, TEXT),
    "hy_v4_vl_text": (4, HYPER, AXES, TEXT),
    "idefics": (
        8,
        "two layers, and a gated attention to the picture and an MLP before each",
        {"vision_config": {"embed_dim": 16, "intermediate_size": 24, "image_size": 32, "patch_size": 8}}
        | {"cross_layer_interval": 1},
        TEXT
        | {"pixel_values": torch.randn(2, 1, 3, 32, 32), "image_attention_mask": torch.ones(2, 6, 1, dtype=torch.long)}
        | {"attention_mask": torch.ones(2, 6, dtype=torch.long)},
    ),
    "idefics2_perceiver": (
        3,
        "two layers less the first attention, whose latents are parameters",
        {"resampler_n_latents": 2, "resampler_depth": 2, "resampler_n_heads": 2, "resampler_head_dim": 8}
        | {"num_key_value_heads": 2},
        {"context": torch.randn(2, 4, 16), "attention_mask": torch.ones(2, 4)},
    ),
    "inkling2": (11, "dense connections, gated by the signal", {"vision_config": {"text_hidden_size": 16}}, TEXT),
    "inkling2_loop": (11, "dense connections, gated by the signal", {"vision_config": {"text_hidden_size": 16}}, TEXT),
    "janus": (
        4,
        "two layers",
        {"vq_config": CODES | {"num_embeddings": 16, "projection_dim": 8, "num_patches": 4}}
        | {"vision_config": {"projection_dim": 16, "image_size": 32, "patch_size": 8}},
        TEXT,
    ),
    "kosmos-2": (
        8,
        "two layers of the picture, two of the text, in which it stands",
        {"latent_query_num": 2},
        TEXT
        | {
            "pixel_values": torch.randn(2, 3, 32, 32),
            "image_embeds_position_mask": torch.tensor([[1] * 2 + [0] * 4] * 2),
        },
    ),
    "mimo_v2_flash": (
        4,
        "two layers",
        {"num_key_value_heads": 1}
        | {"rope_parameters": {kind: ROPE | {"partial_rotary_factor": 1.0} for kind in BOTH["rope_parameters"]}},
        None,
    ),
    "musicgen": (
        8,
        "two layers of the text, two of a decoder less the first two",
        {"text_encoder": T5, "audio_encoder": ENCODEC, "decoder": {"num_codebooks": 1}},
        TEXT | {"decoder_input_ids": IDS},
    ),
    "musicgen_decoder": (
        4,
        "two layers, after the sum of an embedding for each codebook",
        {"num_codebooks": 2},
        {"input_ids": torch.arange(24).view(4, 6)},
    ),
    "musicgen_melody": (
        8,
        "two layers of the text, and two that read it before the sound",
        {"text_encoder": T5, "audio_encoder": ENCODEC, "decoder": {"num_codebooks": 1}},
        TEXT | {"decoder_input_ids": IDS},
    ),
    "musicgen_melody_decoder": (
        4,
        "two layers, after the sum of an embedding for each codebook",
        {"num_codebooks": 2},
        {"input_ids": torch.arange(24).view(4, 6)},
    ),
    "nemotron_h_omni": (
        4,
        "attention, Mamba's y + D u, and MLPs, as the pattern of layers has them",
        {"vision_config": {"video_temporal_patch_size": 2}},
        TEXT,
    ),
    "qwen3_omni_moe_talker_code_predictor": (4, "two layers", {}, {"inputs_embeds": torch.randn(2, 6, 16)}),
    "udop": (
        8,
        "two layers of an encoder, two of a decoder less the first two",
        {},
        TEXT | {"bbox": torch.rand(2, 6, 4), "decoder_input_ids": IDS},
    ),
    "zamba": (
        14,
        "in each Mamba layer the sum around it and y + D u for two heads; in a hybrid one h + T(h) of the shared "
        "transformer too; both twice",
        {"num_hidden_layers": 4, "layers_block_type": ["linear_attention", "hybrid"] * 2, "attention_hidden_size": 32}
        | {"attention_head_dim": 16, "mamba_dt_rank": 4, "n_mamba_heads": 2, "mamba_d_state": 8}
        | {"use_mamba_kernels": False},
        {"input_ids": EIGHT},
    ),
    "zaya": (
        9,
        "two layers of attention and experts, q + conv(q) and k + conv(k) in each, and the router of the second, which "
        "adds that of the first",
        {"num_experts_per_tok": 1, "router_hidden_size": 16},
        None,
    ),
}

FAMILIES = families(
    ROWS,
    found={"gemma3n": 12, "gemma3n_text": 12},
    doubtful="gemma3n gemma3n_text inkling2 inkling2_loop",
) | {f"hf {kind}": family(kind, 4, "two layers", settings, TEXT) for settings, kinds in PLAIN for kind in kinds.split()}
