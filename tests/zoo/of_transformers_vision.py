"""Models of transformers for pictures and films that need settings beyond the recipe's."""

import torch
from transformers_rows import DETECTOR, IDS, PICTURE, READER, SMALL, TINY, Row, families

__all__ = ["FAMILIES"]

ZERO = "4 + 4 + 6 less the first two of the decoder, whose stream is zero or learned"
INVERTED = "of 16 inverted bottlenecks those that are not the first of their stage"
SCALED = {"width_coefficient": 0.25, "depth_coefficient": 1.0, "hidden_dim": 320, "image_size": 32}
GROUPS = {"depths": [1, 1, 1], "num_group_tokens": [4, 2, 0], "num_output_groups": [4, 2, 2], "image_size": 32}
GROUPS |= {"patch_size": 8, "hidden_size": 16, "intermediate_size": 24, "num_attention_heads": 2}
PYRAMID = "four layers, and 7 residual units where levels meet: those sums have a nonlinearity on both sides"
BACKBONE = {"model_type": "dinov2", "hidden_size": 16, "num_hidden_layers": 4, "num_attention_heads": 2}
BACKBONE |= {"image_size": 32, "patch_size": 8, "out_indices": [1, 2, 3, 4], "reshape_hidden_states": False}
BACKBONE |= {"apply_layernorm": False}
DEPTH = {"backbone_config": BACKBONE, "neck_hidden_sizes": [8] * 4, "fusion_hidden_size": 8, "patch_size": 8}
PATCHES = {"pixel_values": torch.randn(2, 16, 192), "pixel_attention_mask": torch.ones(2, 16, dtype=torch.long)}
PATCHES |= {"spatial_shapes": torch.tensor([[4, 4]] * 2)}
FLAT = {"patch_embed_hidden_size": 12, "seq_len": 4}
ROWS_OF_PATCHES = {"flattened_patches": torch.cat([torch.ones(2, 4, 2), torch.randn(2, 4, 12)], -1)}
FRAMES = {"num_frames": 2, "mit_hidden_size": 16, "mit_intermediate_size": 16, "mit_num_attention_heads": 2}
FRAMES |= {"mit_num_hidden_layers": 2}
GRID = torch.tensor([[1, 4, 4]] * 2)
QUERIES = {"image_size": 32, "patch_size": 8, "num_blocks": 1, "num_queries": 4, "num_upscale_blocks": 1}
WINDOWS = {"model_type": "swin", "depths": [1] * 4, "num_heads": [1] * 4, "embed_dim": 8, "image_size": 64}
WINDOWS |= {"patch_size": 4, "window_size": 4, "out_features": ["stage1", "stage2", "stage3", "stage4"]}
REAL_TIME = {
    "backbone_config": DETECTOR["backbone_config"] | {"model_type": "rt_detr_resnet", "layer_type": "basic"},
    "encoder_hidden_dim": 16,
    "encoder_in_channels": [8] * 3,
    "encoder_ffn_dim": 16,
    "num_queries": 4,
    "decoder_in_channels": [16] * 3,
    "decoder_ffn_dim": 16,
    "num_denoising": 0,
}
ASKED = (
    "two layers of the picture; of the decoder's 9 the first two of the tokens, which begin as parameters, are not live"
)
SEEN = {"image_size": 32, "patch_size": 8, "window_size": 2, "global_attn_indexes": [1], "num_pos_feats": 8}
PROMPT = {"hidden_size": 16, "image_embedding_size": 4, "image_size": 32, "patch_size": 8, "mask_input_channels": 4}
SEGMENT = {"vision_config": SEEN | {"output_channels": 16, "mlp_dim": 16}, "prompt_encoder_config": PROMPT}
DECODER = {"hidden_size": 16, "mlp_dim": 16, "iou_head_hidden_dim": 16, "num_attention_heads": 2}
FILM = {"pixel_values_videos": torch.randn(2, 2, 3, 32, 32)}

ROWS: dict[str, Row] = {
    "align": (
        4,
        "two layers of the text",
        {"vision_config": SCALED, "projection_dim": 80},
        SMALL | {"input_ids": IDS},
    ),
    "align_vision_model": (9, INVERTED, SCALED, SMALL),
    "bridgetower_vision_model": (
        4,
        "two layers",
        {"hidden_size": 64, "image_size": 32, "patch_size": 8},
        {"image": SMALL["pixel_values"]},
    ),
    "conditional_detr": (12, ZERO, DETECTOR, PICTURE),
    "d_fine": (
        12,
        f"{ZERO}; attention to the picture is added through a gate on both, and said to be doubtful",
        REAL_TIME | {"decoder_n_points": [2, 2, 2]},
        PICTURE,
    ),
    "dab-detr": (
        14,
        f"{ZERO}, and in each layer of the encoder its queries h + p s(h), with scaled positions p; those of the "
        "decoder are scaled in place on a slice",
        DETECTOR | {"hidden_size": 32},
        PICTURE,
    ),
    "deformable_detr": (12, ZERO, DETECTOR | {"num_feature_levels": 3, "num_queries": 4, "d_model": 32}, PICTURE),
    "depth_anything": (15, PYRAMID, DEPTH | {"head_hidden_size": 8, "reassemble_hidden_size": 16}, SMALL),
    "detr": (12, ZERO, DETECTOR, PICTURE),
    "dinov3_convnext": (5, "one for each layer", {"hidden_sizes": [8] * 4, "depths": [1, 1, 2, 1]}, PICTURE),
    "efficientnet": (9, INVERTED, SCALED, SMALL),
    "eomt": (4, "two layers", QUERIES, SMALL),
    "eomt_dinov3": (4, "two layers", QUERIES, SMALL),
    "flava_image_codebook": (8, "two for each of four groups", {}, None),
    "gemma3n_vision": (6, "timm's test_mambaout", {"architecture": "test_mambaout"}, PICTURE),
    "gemma4_vision": (
        4,
        "two layers",
        {"position_embedding_size": 16, "pooling_kernel_size": 2},
        {"pixel_values": PATCHES["pixel_values"]}
        | {"pixel_position_ids": torch.cartesian_prod(torch.arange(4), torch.arange(4)).expand(2, 16, 2)},
    ),
    "groupvit": (
        4,
        "two layers of the text",
        {"vision_config": GROUPS, "projection_intermediate_dim": 16, "projection_dim": 16},
        SMALL | {"input_ids": IDS},
    ),
    "groupvit_vision_model": (
        14,
        "a layer in each of three stages; between them the groups' attention and MLP, their assignment, and its MLP",
        GROUPS,
        SMALL,
    ),
    "hgnet_v2": (2, "two in the third stage", {}, None),
    "kimi_k25_vision": (4, "two layers", {}, {"pixel_values": torch.randn(32, 3, 8, 8), "grid_thw": GRID}),
    "kosmos_2_5_vision_model": (4, "two layers", {"patch_embed_hidden_size": 12}, ROWS_OF_PATCHES),
    "llama4_vision_model": (
        4,
        "two layers",
        {"image_size": 32, "patch_size": 8, "intermediate_size": 64, "projector_input_dim": 16}
        | {"projector_output_dim": 16, "vision_output_dim": 16},
        SMALL,
    ),
    "lw_detr_vit": (4, "two layers", {"num_windows": 4, "image_size": 32, "patch_size": 4}, SMALL),
    "mask2former": (
        8,
        "two for each of four layers; the last state of the encoder is read",
        {"backbone_config": WINDOWS, "feature_size": 32, "mask_feature_size": 32, "hidden_dim": 32}
        | {"encoder_feedforward_dim": 16, "dim_feedforward": 16, "decoder_layers": 3, "num_queries": 4},
        PICTURE,
    ),
    "maskformer": (
        8,
        "two for each of four layers; the last state of the encoder is read",
        {"backbone_config": WINDOWS, "fpn_feature_size": 32, "mask_feature_size": 32}
        | {"decoder_config": {"model_type": "detr", "d_model": 16, "encoder_layers": 1, "decoder_layers": 2}},
        PICTURE,
    ),
    "mllama_vision_model": (
        6,
        "two layers, and a gated one above them",
        {"image_size": 32, "patch_size": 8, "num_global_layers": 1, "vision_output_dim": 48, "max_num_tiles": 1}
        | {"intermediate_layers_indices": [0, 1], "supported_aspect_ratios": [[1, 1]]},
        {"pixel_values": torch.randn(2, 1, 1, 3, 32, 32), "aspect_ratio_ids": torch.ones(2, 1, dtype=torch.long)}
        | {"aspect_ratio_mask": torch.ones(2, 1, 1, dtype=torch.long)},
    ),
    "mobilevit": (
        21,
        "3 inverted bottlenecks, and two for each of 2 + 4 + 3 layers",
        {"hidden_sizes": [8] * 3, "neck_hidden_sizes": [4, 4, 8, 8, 8, 8, 8], "num_attention_heads": 2}
        | {"image_size": 64},
        PICTURE,
    ),
    "mobilevitv2": (
        20,
        "2 inverted bottlenecks, and two for each of 2 + 4 + 3 layers",
        {"image_size": 64, "width_multiplier": 0.25, "base_attn_unit_dims": [32] * 3, "patch_size": 2},
        PICTURE,
    ),
    "molmo2_vision": (4, "two layers", {"image_size": [32, 32]}, {"pixel_values": PATCHES["pixel_values"]}),
    "muse_glimmer_vision": (4, "two layers", {}, {"pixel_values": torch.randn(32, 384), "grid_thw": GRID}),
    "perceiver": (
        6,
        "an MLP after the latents, which begin as parameters, have attended; two layers; an MLP of the decoder",
        {"num_latents": 4, "d_latents": 16, "d_model": 16, "num_self_attends_per_block": 2}
        | {"num_self_attention_heads": 2, "num_cross_attention_heads": 2},
        {"input_ids": IDS},
    ),
    "pix2struct": (
        8,
        "two layers of the picture; two of the text with attention to it, less the first two",
        {"vision_config": FLAT, "text_config": {"initializer_range": 0.02}},
        ROWS_OF_PATCHES | {"decoder_input_ids": IDS},
    ),
    "pix2struct_vision_model": (4, "two layers", FLAT, ROWS_OF_PATCHES),
    "pp_lcnet": (0, "", {}, None),
    "pp_lcnet_v3": (
        86,
        "where the size stays, h and four of each convolution beside it, and one of one pixel by channel, are added",
        {},
        None,
    ),
    "pp_lcnet_v4": (11, "of the 13 the two with stride 2 have none", {}, None),
    "prompt_depth_anything": (15, PYRAMID, DEPTH | {"head_hidden_size": 8, "reassemble_hidden_size": 16}, SMALL),
    "rf_detr": (
        8,
        "two layers of the backbone, two of the decoder less its first two, whose stream is learned",
        {},
        None,
    ),
    "rt_detr": (12, ZERO, REAL_TIME, PICTURE),
    "rt_detr_resnet": (
        4,
        "one for each layer",
        {"embedding_size": 8, "hidden_sizes": [8] * 4, "depths": [1] * 4, "layer_type": "basic"},
        PICTURE,
    ),
    "rt_detr_v2": (12, ZERO, REAL_TIME, PICTURE),
    "sam": (11, ASKED, SEGMENT | {"mask_decoder_config": DECODER}, SMALL),
    "sam_hq": (11, ASKED, SEGMENT | {"mask_decoder_config": DECODER | {"vit_dim": 16}}, SMALL),
    "seggpt": (
        4,
        "two layers; the mean of two halves of the batch after the first is none",
        {"image_size": [32, 32], "intermediate_hidden_state_indices": [0, 1], "merge_index": 0, "mlp_dim": 16}
        | {"decoder_hidden_size": 8, "pretrain_image_size": 32},
        {name: torch.randn(2, 3, 16, 32) for name in ("pixel_values", "prompt_pixel_values", "prompt_masks")},
    ),
    "siglip2": (4, "two layers of the text", {"vision_config": {"num_patches": 16}}, PATCHES | {"input_ids": IDS}),
    "siglip2_vision_model": (4, "two layers", {"num_patches": 16}, PATCHES),
    "swin2sr": (
        11,
        "two layers in each of two stages, one around each stage, and one around both",
        {"embed_dim": 8, "depths": [2, 2], "num_heads": [2, 2], "window_size": 4, "image_size": 16},
        {"pixel_values": torch.randn(2, 3, 16, 16)},
    ),
    "table-transformer": (12, ZERO, DETECTOR, PICTURE),
    "timm_wrapper": (
        4,
        "timm's test_byobnet",
        {"architecture": "test_byobnet"},
        PICTURE,
    ),
    "tipsv2_dpt": (
        15,
        PYRAMID,
        DEPTH | {"backbone_config": BACKBONE | {"model_type": "tipsv2_vision_model"}},
        SMALL,
    ),
    "upernet": (
        4,
        "one for each layer; where levels meet there is a ReLU on both sides",
        {"backbone_config": DETECTOR["backbone_config"] | {"out_features": ["stage1", "stage2", "stage3", "stage4"]}}
        | {"hidden_size": 8, "pool_scales": [1, 2], "auxiliary_in_channels": 8, "auxiliary_channels": 8},
        PICTURE,
    ),
    "uvdoc_backbone": (13, "one for each layer, 3 + 4 + 6", {}, None),
    "video_llama_3_vision": (
        4,
        "two layers",
        {},
        {"pixel_values": torch.randn(32, 192), "grid_thw": GRID} | {"merge_sizes": torch.tensor([2, 2])},
    ),
    "videomt": (8, "two layers, passed for each of two pictures", {}, None),
    "videoprism_vision_model": (
        8,
        "two layers over space, two over time",
        {"num_frames": 2, "num_spatial_layers": 2, "num_temporal_layers": 2, "tubelet_size": [1, 8, 8]},
        FILM,
    ),
    "vision-encoder-decoder": (
        8,
        "two layers of a vision transformer; two of BERT with attention to them, less the first two",
        {"encoder": TINY | {"model_type": "vit", "image_size": 32, "patch_size": 8}, "decoder": TINY | READER},
        SMALL | {"decoder_input_ids": IDS},
    ),
    "vjepa2": (
        4,
        "two layers of the encoder, whose state is read, not the predictor's",
        {"pred_hidden_size": 16, "pred_num_attention_heads": 2, "pred_num_hidden_layers": 2, "crop_size": 16}
        | {"frames_per_clip": 4, "pred_num_mask_tokens": 2, "mlp_ratio": 1.0},
        {"pixel_values_videos": torch.randn(2, 4, 3, 16, 16)},
    ),
    "xclip": (
        6,
        "two layers of the text, and attention to the film and an MLP of its prompts",
        {"vision_config": FRAMES, "projection_dim": 16, "prompt_num_attention_heads": 2, "prompt_layers": 1},
        {"pixel_values": torch.randn(2, 2, 3, 32, 32), "input_ids": IDS},
    ),
    "xclip_vision_model": (
        6,
        "two layers of attention between pictures, attention and MLP",
        FRAMES,
        {"pixel_values": torch.randn(4, 3, 32, 32)},
    ),
    "zoedepth": (
        15,
        f"{PYRAMID}; its head moves the centres of bins by what attracts them, one stream by another",
        DEPTH | {"reassemble_factors": [4, 2, 1, 0.5], "bottleneck_features": 8, "num_relative_features": 8},
        SMALL,
    ),
}
FAMILIES = families(ROWS, found={"d_fine": 11}, doubtful="dab-detr d_fine zoedepth")
