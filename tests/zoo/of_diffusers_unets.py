"""UNets and ControlNets of diffusers, tiny: of each class the residual sums that its source writes, and which are live.

A resnet has one sum and so has each sum around a transformer, which has three for each layer: attention, attention to
the text (or to itself again), MLP. A level up has one layer more than its level down, the middle two resnets.
"""

import torch
from diffusers_recipe import Row, families, noise
from of_diffusers_transformers import HEADS, IDS, JOINT, PACKED, PICTURE, STEP, TEXT, TIME

__all__ = ["FAMILIES"]

SMALL = {"block_out_channels": (8, 8), "layers_per_block": 1, "norm_num_groups": 4, "cross_attention_dim": 8}
LATENT = TEXT | {"sample": noise(2, 4, 8, 8), "timestep": TIME}
CLIP = {"sample": noise(2, 4, 2, 8, 8), "timestep": TIME}
MOTION = {"num_attention_heads": 2, "motion_num_attention_heads": 2, "motion_max_seq_length": 4}
ONE = "two sums for each of two layers of two streams, less the text's two of the last"

ROWS: dict[str, Row] = {
    "UNet1DModel": (
        {"in_channels": 4, "out_channels": 4, "block_out_channels": (8, 8), "layers_per_block": 1, "act_fn": "swish"}
        | {"time_embedding_type": "positional", "use_timestep_embedding": True, "out_block_type": "OutConv1DBlock"}
        | {"down_block_types": ("DownResnetBlock1D",) * 2, "up_block_types": ("UpResnetBlock1D",)}
        | {"mid_block_type": "MidResTemporalBlock1D", "flip_sin_to_cos": False, "freq_shift": 1.0},
        {"sample": noise(2, 4, 8), "timestep": TIME},
        8,
        "two for each of two levels down, the middle and one level up",
    ),
    "UVit2DModel": (
        {"hidden_size": 16, "cond_embed_dim": 8, "micro_cond_encode_dim": 4, "micro_cond_embed_dim": 20}
        | {"encoder_hidden_size": 8, "vocab_size": 10, "codebook_size": 8, "in_channels": 8, "block_out_channels": 8}
        | {"num_res_blocks": 1, "block_num_heads": 2, "num_hidden_layers": 2, "num_attention_heads": 2}
        | {"intermediate_size": 16, "sample_size": 4},
        TEXT
        | {"input_ids": torch.ones(2, 4, 4, dtype=torch.long), "pooled_text_emb": noise(2, 8)}
        | {"micro_conds": noise(2, 5)},
        11,
        "two attentions of each block, three of each of two layers; of the two convolutions the first sees ids alone",
    ),
    "I2VGenXLUNet": (
        SMALL
        | {"attention_head_dim": 4, "down_block_types": ("CrossAttnDownBlock3D", "DownBlock3D"), "sample_size": 8}
        | {"up_block_types": ("UpBlock3D", "CrossAttnUpBlock3D")},
        CLIP | TEXT | {"fps": STEP, "image_latents": noise(2, 4, 2, 8, 8), "image_embeddings": noise(2, 8)},
        54,
        "the 52 of the UNet with three dimensions, two of the encoder of pictures over time",
    ),
    "UNetMotionModel": (
        SMALL
        | MOTION
        | {"down_block_types": ("CrossAttnDownBlockMotion", "DownBlockMotion"), "sample_size": 8}
        | {"up_block_types": ("UpBlockMotion", "CrossAttnUpBlockMotion")},
        CLIP | {"encoder_hidden_states": noise(4, 3, 8)},
        52,
        "9 + 5 down, 10 in the middle, 10 + 18 up: each layer has a resnet, a transformer or none, and one over time",
    ),
    "Kandinsky3UNet": (
        {"time_embedding_dim": 8, "groups": 4, "attention_head_dim": 4, "layers_per_block": 2}
        | {"block_out_channels": (16, 16), "cross_attention_dim": 8, "encoder_hid_dim": 8},
        LATENT | {"encoder_attention_mask": torch.ones(2, 3)},
        34,
        "4 + 10 down, 10 + 10 up; both levels up have attention, as its table of four levels is read from the end",
    ),
    "AudioLDM2UNet2DConditionModel": (
        SMALL
        | {"attention_head_dim": 4, "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"), "sample_size": 8}
        | {"up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D")},
        LATENT,
        24,
        "1 + 5 down, 6 in the middle, 10 + 2 up",
    ),
    "DreamLiteUNetModel": (
        SMALL
        | {"attention_head_dim": 4, "sample_size": 8}
        | {"down_block_types": ("DreamLiteCrossAttnNoSelfAttnDownBlock2D", "DreamLiteCrossAttnDownBlock2D")}
        | {"up_block_types": ("DreamLiteCrossAttnUpBlock2D", "DreamLiteCrossAttnNoSelfAttnUpBlock2D")},
        LATENT,
        33,
        "4 + 5 down, 6 in the middle, 10 + 8 up; some transformers have no attention to the picture itself",
    ),
    "FluxControlNetModel": (
        JOINT | {"num_single_layers": 2, "pooled_projection_dim": 8, "axes_dims_rope": [2, 2, 4]},
        PACKED | IDS | {"pooled_projections": noise(2, 8), "controlnet_cond": noise(2, 4, 4)},
        10,
        "four for each of two layers of two streams, one for each of two of one stream",
    ),
    "SD3ControlNetModel": (
        JOINT | {"sample_size": 8, "caption_projection_dim": 16, "pooled_projection_dim": 8, "pos_embed_max_size": 8},
        PICTURE | {"pooled_projections": noise(2, 8), "controlnet_cond": noise(2, 4, 8, 8)},
        6,
        ONE,
    ),
    "QwenImageControlNetModel": (
        JOINT | {"out_channels": 1, "axes_dims_rope": (2, 2, 4)},
        PACKED
        | {"encoder_hidden_states_mask": torch.ones(2, 3), "img_shapes": [(1, 2, 2)] * 2}
        | {"controlnet_cond": noise(2, 4, 4)},
        6,
        ONE,
    ),
    "SanaControlNetModel": (
        HEADS
        | {"in_channels": 4, "out_channels": 4, "num_cross_attention_heads": 2, "cross_attention_head_dim": 8}
        | {"cross_attention_dim": 16, "caption_channels": 8, "sample_size": 8},
        PICTURE | {"controlnet_cond": noise(2, 4, 8, 8)},
        6,
        "two layers of attention, attention to the text, and MLP",
    ),
    "HunyuanDiT2DControlNetModel": (
        {"num_attention_heads": 2, "attention_head_dim": 8, "in_channels": 4, "patch_size": 2, "sample_size": 8}
        | {"hidden_size": 16, "transformer_num_layers": 6, "cross_attention_dim": 8, "cross_attention_dim_t5": 8}
        | {"pooled_projection_dim": 8, "text_len": 3, "text_len_t5": 3, "use_style_cond_and_image_meta_size": False},
        PICTURE
        | {"controlnet_cond": noise(2, 4, 8, 8), "text_embedding_mask": torch.ones(2, 3)}
        | {"encoder_hidden_states_t5": noise(2, 3, 8), "text_embedding_mask_t5": torch.ones(2, 3).long()},
        6,
        "two layers (half of six, less one) of attention, attention to the text, and MLP",
    ),
    "CosmosControlNetModel": (
        {"n_controlnet_blocks": 2, "in_channels": 6, "latent_channels": 6, "model_channels": 24, "text_embed_dim": 8}
        | {"num_attention_heads": 2, "attention_head_dim": 12, "mlp_ratio": 2, "adaln_lora_dim": 4}
        | {"max_size": (4, 8, 8)},
        TEXT
        | {"controls_latents": noise(2, 4, 2, 4, 4), "latents": noise(2, 4, 2, 4, 4), "timestep": TIME / 10}
        | {"condition_mask": torch.ones(2, 1, 2, 4, 4), "padding_mask": torch.zeros(1, 1, 4, 4)},
        6,
        "two layers of attention, attention to the text, and MLP",
    ),
    "ControlNetUnionModel": (
        SMALL
        | {"attention_head_dim": 4, "conditioning_embedding_out_channels": (8, 8), "num_control_type": 2}
        | {"down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"), "num_trans_channel": 8, "num_trans_head": 2}
        | {"num_proj_channel": 8, "addition_time_embed_dim": 4},
        LATENT
        | {"controlnet_cond": [noise(2, 3, 16, 16)], "control_type": torch.tensor([[1.0, 0.0]] * 2)}
        | {"control_type_idx": [0]},
        16,
        "the 12 of a ControlNet, two of the layer that mixes the tasks; its output is one block that is added twice, "
        "to the condition and to the picture",
    ),
}

FAMILIES = families(ROWS, {"ControlNetUnionModel": 15})
