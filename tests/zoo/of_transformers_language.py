"""Language models of transformers, and those of pictures and language, that need settings beyond the recipe's."""

from typing import Any

import torch
from transformers_rows import EIGHT, IDS, Row, families, family

__all__ = ["FAMILIES"]

TEXT = {"input_ids": IDS}
ROPE = {"rope_type": "default", "rope_theta": 1e4}
AXES = {"rope_parameters": ROPE | {"mrope_section": [2, 1, 1]}}
WHOLE = {"rope_parameters": ROPE | {"mrope_section": [2, 1, 1], "partial_rotary_factor": 1.0}}
LATER = {"rope_parameters": ROPE | {"mrope_section": [1, 1, 2]}}
BOTH = {"rope_parameters": dict.fromkeys(("full_attention", "sliding_attention"), ROPE)}
COMPASS = BOTH | {"layer_types": ["full_attention", "sliding_attention"]}
QUANTIZER = {"base_channels": 32, "channel_multiplier": [1, 1], "num_res_blocks": 1, "codebook_size": 16}
QUANTIZER |= {"hidden_size": 32, "embed_dim": 4, "latent_channels": 4, "attn_resolutions": []}
PLACED = torch.tensor([[3, 3, 4, 5, 6, 7]] * 2)
"""Ids of which the first two stand for a picture."""

PLAIN: tuple[tuple[dict[str, Any], str], ...] = (
    (AXES, "glm4v_text glm_image_text glm_ocr_text hunyuan_vl_text paddleocr_vl_text qwen2_5_omni_text"),
    (AXES, "qwen2_5_vl_text qwen2_vl_text"),
    (WHOLE, "glm4v_moe_text"),
    (LATER, "ernie4_5_vl_moe_text"),
    ({"text_config": AXES}, "glm46v glm4v glm_image glm_ocr glmga hunyuan_vl paddleocr_vl qwen2_5_omni_thinker"),
    ({"text_config": AXES}, "qwen2_5_vl qwen2_vl"),
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
        {
            part: {"model_type": "bert", "vocab_size": 32, "hidden_size": 16, "num_hidden_layers": 2}
            | {"num_attention_heads": 2, "intermediate_size": 24, "use_cache": False}
            | extra
            for part, extra in (("encoder", {}), ("decoder", {"is_decoder": True, "add_cross_attention": True}))
        },
        TEXT | {"decoder_input_ids": IDS},
    ),
    "flava_multimodal_model": (4, "two layers", {}, {"hidden_states": torch.randn(2, 6, 16)}),
    "gemma3n_text": (
        14,
        "for each of two layers the prediction of the streams and its correction, attention, LAuReL, their sum, MLP, "
        "and embeddings for the layer, which are added in place to a slice: one operation, said to be doubtful",
        {"num_kv_shared_layers": 0, "laurel_rank": 4, "activation_sparsity_pattern": [0.5, 0.0]}
        | {"intermediate_size": [24, 24]},
        None,
    ),
    "mimo_v2_flash": (
        4,
        "two layers",
        {"num_key_value_heads": 1}
        | {"rope_parameters": {kind: ROPE | {"partial_rotary_factor": 1.0} for kind in BOTH["rope_parameters"]}},
        None,
    ),
    "musicgen_decoder": (4, "two layers", {"num_codebooks": 1}, {"inputs_embeds": torch.randn(2, 6, 16)}),
    "musicgen_melody_decoder": (4, "two layers", {"num_codebooks": 1}, {"inputs_embeds": torch.randn(2, 6, 16)}),
    "qwen3_omni_moe_talker_code_predictor": (4, "two layers", {}, {"inputs_embeds": torch.randn(2, 6, 16)}),
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

FAMILIES = families(ROWS, found={"gemma3n_text": 12}, doubtful="gemma3n_text") | {
    f"hf {kind}": family(kind, 4, "two layers", settings, TEXT) for settings, kinds in PLAIN for kind in kinds.split()
}
