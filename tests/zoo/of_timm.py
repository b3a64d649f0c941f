"""Models of timm, one or more of each of its files, with random weights: the residual sums of each, by its source.

Vision transformers are two layers deep where they would be large: two sums for a layer, one more for a pooling by
attention. Others have their own depth, at 32 pixels where they run so small.
"""

from functools import partial
from typing import Any

import torch
from family import Family, Inputs
from torch import nn

__all__ = ["FAMILIES"]

ALIKE: dict[int, str] = {
    0: "densenet121 ese_vovnet19b_dw inception_v3 inception_v4 lcnet_035 rdnet_tiny selecsls42 vgg11_bn",
    1: "hgnet_tiny hgnetv2_b0 lcnetv2_small",
    2: "vit_base_patch16_xp_224 vit_dpwee_patch16_reg1_gap_256",
    3: "tinynet_e",
    4: """
        aimv2_large_patch14_224 beit3_base_patch16_224 beit_base_patch16_224 convit_small convit_tiny
        deepseek_vit_412m deit3_small_patch16_224 eva02_base_patch16_clip_224 eva02_tiny_patch14_224
        gemma4_vit_167m naflexvit_base_patch16_gap qwen3_vit_88m resnest14d resnet10t
        samvit_base_patch16_224 test_byobnet test_convnext3 test_nfnet vit_base_patch16_reg4_gap_256
        vit_base_patch16_rope_reg1_gap_256 vit_dwee_patch16_reg1_gap_256
        vit_medium_patch16_rope_reg1_gap_256 vit_relpos_small_patch16_224 vit_small_patch16_18x2_224
        vit_srelpos_small_patch16_224
    """,
    5: """
        cspnext_s hardcorenas_a naflexvit_base_patch16_map vit_pe_core_tiny_patch16_384
        vit_so400m_patch14_siglip_224
    """,
    6: "test_mambaout",
    7: "cait_xxs24_224 mobilenetv3_small_050 sedarknet21",
    8: """
        botnet26t_256 eca_botnext26ts_256 ecaresnet26t halonet26t lambda_resnet26t legacy_seresnet18
        nf_resnet26 resnetv2_18 skresnet18
    """,
    9: "cs3darknet_focus_s efficientnet_b0 efficientnet_cc_b0_4e mobilenetv3_rw",
    10: "convnext_zepto_rms_ols eca_resnet33ts mobilenetv4_conv_small_035",
    11: "efficientvit_b0 mixnet_s rexnet_100",
    12: """
        convnextv2_atto dla34 dm_nfnet_f0 eca_nfnet_l0 efficientnet_es inception_next_atto legacy_xception
        test_vit xception41 xception41p
    """,
    13: "cspresnet50 cspresnext50 fasternet_t0 regnetx_002 regnety_002",
    14: "cs3darknet_m gernet_s spnasnet_100",
    15: "edgenext_xx_small fbnetc_100 starnet_s1 tf_efficientnetv2_b0",
    16: """
        bat_resnext26ts dla60 dla60_res2net ghostnet_050 ghostnetv2_100 mixer_s32_224 nf_regnet_b0
        pvt_v2_b0 res2net50_14w_8s resnetblur50 resnetv2_50d_evos skresnext50_32x4d
    """,
    17: "regnetz_005 repvgg_a0",
    18: "mambaout_femto test_vit4 test_vit_relpos",
    19: "coatnet_pico_rw_224 mobilevitv2_050",
    20: "efficientformerv2_s0 levit_128s",
    21: """
        cpubone_b0_bfrobust edgenext_base edgenext_small_rw lowformer_b0 maxxvitv2_nano_rw_256
        mobilevit_xxs tresnet_m
    """,
    22: "tiny_vit_5m_224",
    23: "darknet53 fbnetv3_b visformer_small visformer_tiny",
    24: """
        coat_lite_mini focalnet_tiny_srf hiera_tiny_224 nest_tiny pit_ti_224 resmlp_12_224 sam2_hiera_tiny
        swin_tiny_patch4_window7_224 swinv2_cr_tiny_ns_224 swinv2_tiny_window8_256 vit_base_mci_224
        vit_tiny_r_s16_p8_224
    """,
    27: "mobilenetv4_hybrid_medium",
    28: "efficientvim_m1 swiftformer_xs",
    29: "iformer_s",
    30: "crossvit_9_240 crossvit_9_dagger_240 gmlp_ti16_224 mvitv2_tiny",
    32: "convmixer_768_32 hieradet_small",
    33: "seresnextaa101d_32x8d",
    34: "gc_efficientnetv2_rw_t vitamin_small_224",
    35: "gcvit_xxtiny mobilenetv5_base mobileone_s0",
    36: "caformer_s18 convformer_s18 sequencer2d_s twins_pcpvt_small",
    38: "efficientvit_m0",
    39: "shvit_s1",
    40: "inception_resnet_v2 mambaout_base_plus_rw twins_svt_small volo_d1_224",
    44: "nextvit_small",
    48: "davit_tiny mvitv2_small_cls nest_small repghostnet_050 swinv2_cr_small_224",
    49: "repvit_m0_9",
    50: "legacy_senet154",
    55: "maxvit_rmlp_pico_rw_256",
    68: "csatv2",
    78: "coat_tiny",
    81: "coat_lite_medium",
}
"""All residual sums of the source are blocks: for each number of them the models that have it.

A max pool on a shortcut crosses no weight and picks what it passes, so that the sums where dla, hiera, hieradet and
mvitv2 change the stage are among them.
"""

SHALLOW = """
aimv2_large_patch14_224 beit3_base_patch16_224 beit_base_patch16_224 cait_xxs24_224 convit_small convit_tiny
deepseek_vit_412m deit3_small_patch16_224 eva02_base_patch16_clip_224 eva02_tiny_patch14_224 gemma4_vit_167m
naflexvit_base_patch16_gap naflexvit_base_patch16_map qwen3_vit_88m samvit_base_patch16_224
vit_base_patch16_reg4_gap_256 vit_base_patch16_rope_reg1_gap_256 vit_base_patch16_xp_224
vit_dpwee_patch16_reg1_gap_256 vit_dwee_patch16_reg1_gap_256 vit_medium_patch16_rope_reg1_gap_256
vit_pe_core_tiny_patch16_384 vit_relpos_small_patch16_224 vit_small_patch16_18x2_224
vit_so400m_patch14_siglip_224 vit_srelpos_small_patch16_224
"""
SIZES = {
    "bat_resnext26ts": 256,
    "csatv2": 64,
    "deepseek_vit_412m": 224,
    "efficientformer_l1": 224,
    "ghostnetv2_100": 64,
    "halonet26t": 256,
    "inception_resnet_v2": 128,
    "inception_v3": 128,
    "inception_v4": 128,
    "repvit_m0_9": 64,
    "shvit_s1": 64,
    "visformer_small": 64,
    "visformer_tiny": 64,  # smaller ones leave batch norms two values each
}

NARROW: dict[str, dict[str, float]] = {
    "nasnetalarge": {"num_features": 192, "stem_size": 8},
    "vgg11_bn": {"mlp_ratio": 0.02},
}

PLAIN = "pooling has no weight: both sides are plain, and the note says so"
INNER = "of sums around sums the inner ones are blocks; the outer have a plain path on both sides, or are projected"
# name: sums of the source, of them found, reason, doubtful
OTHERS: dict[str, tuple[int, int, str, bool]] = {
    "dpn48b": (16, 12, "the first block of a stage projects behind a norm and a nonlinearity of its own", True),
    "dpn68": (22, 18, "the first block of a stage projects behind a norm and a nonlinearity of its own", True),
    "efficientformer_l1": (30, 16, PLAIN, True),
    "fastvit_mci0": (45, 63, INNER, False),
    "fastvit_t8": (24, 34, INNER, False),
    "hrnet_w18_small": (23, 23, "where scales are exchanged one stream is added to another", True),
    "nasnetalarge": (
        26,
        26,
        "h + f(h) in 18 cells; in four that reduce, two sums with the max pool of one of their two inputs; one more in "
        "the first of these may have a projected shortcut",
        True,
    ),
    "pnasnet5large": (
        42,
        42,
        "of the five sums of each of 14 cells three have a max pool for a shortcut, those of the pairs 0, 1 and 3; "
        "there are none where a max pool is taken for a nonlinearity",
        False,
    ),
    "poolformer_s12": (24, 12, PLAIN, True),
    "poolformerv2_s12": (24, 12, PLAIN, True),
    "tnt_s_patch16_224": (49, 49, "the pixels' stream is added to that of the patches", True),
    "xcit_nano_12_p16_224": (40, 36, "class attention, whose branch holds the rest of the tokens, normed", True),
}


def build(name: str) -> tuple[nn.Module, Inputs]:
    import timm

    torch.manual_seed(0)
    size = SIZES.get(name, 32)
    settings: dict[str, Any] = {"num_classes": 3} | ({"depth": 2} if name in SHALLOW.split() else {})
    settings |= NARROW.get(name, {})
    try:
        model = timm.create_model(name, **settings | ({} if name.startswith("crossvit") else {"img_size": size}))
    except TypeError:  # a network of convolutions takes pictures of any size
        model = timm.create_model(name, **settings)
    return model.train(), torch.randn(2, 3, size, size)


FAMILIES = {
    f"timm {name}": Family(partial(build, name), blocks) for blocks, names in ALIKE.items() for name in names.split()
} | {
    f"timm {name}": Family(partial(build, name), blocks, why, found, doubtful)
    for name, (blocks, found, why, doubtful) in OTHERS.items()
}
