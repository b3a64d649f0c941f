"""Models of transformers for pictures and films that need settings beyond the recipe's."""

import torch
from transformers_rows import DETECTOR, IDS, PICTURE, SMALL, Row, families

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
    "flava_image_codebook": (8, "two for each of four groups", {}, None),
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
    "perceiver": (
        6,
        "an MLP after the latents, which begin as parameters, have attended; two layers; an MLP of the decoder",
        {"num_latents": 4, "d_latents": 16, "d_model": 16, "num_self_attends_per_block": 2}
        | {"num_self_attention_heads": 2, "num_cross_attention_heads": 2},
        {"input_ids": IDS},
    ),
    "pp_lcnet": (0, "", {}, None),
    "pp_lcnet_v4": (11, "of the 13 the two with stride 2 have none", {}, None),
    "rf_detr": (
        8,
        "two layers of the backbone, two of the decoder less its first two, whose stream is learned",
        {},
        None,
    ),
    "rt_detr_resnet": (
        4,
        "one for each layer",
        {"embedding_size": 8, "hidden_sizes": [8] * 4, "depths": [1] * 4, "layer_type": "basic"},
        PICTURE,
    ),
    "sam": (
        11,
        "two layers of the picture; of the decoder's 9 those of the tokens' first attentions are not live",
        {"vision_config": {"image_size": 32, "patch_size": 8, "window_size": 2, "global_attn_indexes": [1]}}
        | {"mask_decoder_config": {"hidden_size": 16, "mlp_dim": 16, "iou_head_hidden_dim": 16}}
        | {"prompt_encoder_config": {"hidden_size": 16, "image_embedding_size": 4, "image_size": 32, "patch_size": 8}},
        SMALL,
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
    "uvdoc_backbone": (13, "one for each layer, 3 + 4 + 6", {}, None),
    "videomt": (8, "two layers, passed for each of two pictures", {}, None),
    "videoprism_vision_model": (
        8,
        "two layers over space, two over time",
        {"num_frames": 2, "num_spatial_layers": 2, "num_temporal_layers": 2, "tubelet_size": [1, 8, 8]},
        FILM,
    ),
    "vjepa2": (
        4,
        "two layers of the encoder, whose state is read, not the predictor's",
        {"pred_hidden_size": 16, "pred_num_attention_heads": 2, "pred_num_hidden_layers": 2, "crop_size": 16}
        | {"frames_per_clip": 4, "pred_num_mask_tokens": 2, "mlp_ratio": 1.0},
        {"pixel_values_videos": torch.randn(2, 4, 3, 16, 16)},
    ),
    "xclip_vision_model": (
        6,
        "two layers of attention between pictures, attention and MLP",
        {"num_frames": 2, "mit_hidden_size": 16, "mit_intermediate_size": 16, "mit_num_attention_heads": 2}
        | {"mit_num_hidden_layers": 2},
        {"pixel_values": torch.randn(4, 3, 32, 32)},
    ),
    "zoedepth": (
        15,
        f"{PYRAMID}; its head moves the centres of bins by what attracts them, one stream by another",
        DEPTH | {"reassemble_factors": [4, 2, 1, 0.5], "bottleneck_features": 8, "num_relative_features": 8},
        SMALL,
    ),
}
ROWS["sam"][2]["vision_config"].update(num_pos_feats=8, output_channels=16, mlp_dim=16)
ROWS["sam"][2]["prompt_encoder_config"].update(mask_input_channels=4)
ROWS["sam"][2]["mask_decoder_config"].update(num_attention_heads=2)

FAMILIES = families(ROWS, doubtful="dab-detr zoedepth")
