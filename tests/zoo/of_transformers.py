"""Types of models of transformers, built by the recipe: two layers each, or one of each stage.

Of a model with two towers the blocks are those of the one whose input is split (the text's, where there are ids). Of a
decoder beside an encoder they are those from where its stream carries x: not the first sum of its first layer, or two.
"""

from typing import Any

import torch
from transformers_rows import EIGHT, IDS, PICTURE, Row, family

__all__ = ["FAMILIES"]

ALIKE: tuple[tuple[int, str, str], ...] = (
    (0, "convolutions alone", "mobilenet_v1"),
    (2, "two layers, in which attention and MLP are added at once", "falcon gpt_neox phi"),
    (2, "two in the last stage", "pp_ocrv5_server_rec"),
    (
        4,
        "two layers of a mixer (attention, convolution, recurrence) and an MLP",
        """
        afmoe aimv2 aimv2_text_model aimv2_vision_model albert align_text_model altclip altclip_text_model
        altclip_vision_model apertus apertus1p5_text arcee aria aria_text audioflamingo3 axk1 axk2 aya_vision
        bailing_hybrid bamba bart beam beit bert bert-generation big_bird bigbird_pegasus biogpt bitnet
        blenderbot blenderbot-small blip blip_2_vision_model blip_text_model blip_vision_model blt_patcher
        bridgetower_text_model camembert canary_decoder chinese_clip chinese_clip_text_model
        chinese_clip_vision_model clap_text_model clip clip_text_model clip_vision_model clipseg
        clipseg_text_model clipseg_vision_model clvp_decoder cohere cohere2 cohere2_moe cohere2_vision
        cohere_compass_vision colmodernvbert colpali convbert cosmos3_edge_vision cosmos3_omni cpmant
        csm_depth_decoder_model ctrl cwm data2vec-text data2vec-vision deberta deberta-v2
        deepseek_ocr2_sam_vision_model deepseek_v2 deepseek_v3 deepseek_v32 deepseek_vl
        deepseek_vl_hybrid deit dia_encoder diffllama dinov2 dinov2_with_registers dinov3_vit distilbert doge
        dots1 dots3_note_text dpr dpt electra emu3_text_model ernie ernie4_5 ernie4_5_moe ernie4_5_vl_moe_vision
        esm esmc eurobert exaone exaone4 exaone4_5 exaone4_5_vision exaone_moe flaubert flava flava_image_model
        flava_text_model flex_olmo flint fuyu gemma gemma2 gemma3 gemma3_text gemma4_unified gemma4_unified_text
        git git_vision_model glm glm4 glm4_moe glm4_moe_lite glm4v_moe_vision glm4v_vision glm5_next_vision
        glm_image_vision glm_moe_dsa glm_ocr_vision glmasr glmasr_encoder got_ocr2 got_ocr2_vision gpt-sw3 gpt2
        gpt_bigcode gpt_neox_japanese gpt_oss granite granite4_vision_text granite_docling granite_docling_text
        granite_docling_vision granite_speech granite_speech_plus granite_swa granitemoe granitemoe_swa
        granitemoehybrid granitemoeshared groupvit_text_model gte helium hunyuan_v1_dense hunyuan_v1_moe
        hunyuan_vl_vision hy_v3 hy_v4_vl_vision hyperclovax hyperclovax_vision_v2 ibert idefics2
        idefics2_vision idefics3 idefics3_vision ijepa imagegpt instructblip_qformer instructblip_vision_model
        instructblipvideo_qformer instructblipvideo_vision_model internlm3 internvl internvl_vision iquestcoder
        jais2 janus_vision_model jetmoe jina_embeddings_v3 kimi_k25 kolibri1 kosmos-2.5 kosmos_2_5_text_model
        kosmos_2_text_model kosmos_2_vision_model laguna layoutlm layoutlmv3 lfm2 lfm2_vl lfm3 lfm3_vl
        lfm3_vl_vision lighton_ocr llama llama4_text llava llava_next llava_next_video llava_onevision
        longformer marian markuplm mbart megatron-bert mellum metaclip_2 metaclip_2_text_model
        metaclip_2_vision_model minicpm3 minimax minimax_m2 minimax_m3_vl minimax_m3_vl_text
        minimax_m3_vl_vision ministral ministral3 mistral mistral3 mistral_large4 mistral_large4_text mixtral
        mlcd mlcd_vision_model mllama mllama_text_model modernbert modernbert-decoder modernvbert molmo2_text
        moonshine_streaming_encoder moshi moss_transcribe_diarize moss_transcribe_diarize_audio mpnet mpt
        muse_glimmer muse_glimmer_text muse_spark_text musicflamingo mvp nanochat nemotron
        nemotron3_5_transcribe_asr_audio nomic_bert nystromformer olmo olmo2 olmo3 olmoe omniasr openai-gpt
        openai_privacy_filter opt ovis2 ovis2_vision owlv2 owlv2_text_model owlv2_vision_model owlvit
        owlvit_text_model owlvit_vision_model paligemma pegasus persimmon phi3 phi4_multimodal
        phi4_multimodal_vision pixio pixtral plbart pp_chart2table pp_formulanet_text pp_formulanet_vision
        prophetnet qianfan_ocr qianfan_ocr_vision qwen2 qwen2_5_omni_vision_encoder qwen2_5_vl_vision
        qwen2_audio qwen2_audio_encoder qwen2_moe qwen2_vl_vision qwen3 qwen3_5_moe_vision qwen3_5_vision
        qwen3_asr qwen3_moe qwen3_omni_moe_text qwen3_omni_moe_thinker qwen3_omni_moe_vision_encoder qwen3_vl
        qwen3_vl_moe qwen3_vl_moe_text qwen3_vl_moe_vision qwen3_vl_text qwen3_vl_vision qwen4_exp_vision radio
        rembert rf_detr_dinov2 roberta roberta-prelayernorm roc_bert roformer rwkv sam3_lite_text_text_model
        sam3_vision_model sam3_vit_model sam_hq_vision_model sam_vision_model sapiens2 sarvam_mla sarvam_moe
        seed_oss shieldgemma2 siglip siglip2_text_model siglip_text_model siglip_vision_model slanext_vision
        smollm3 smolvlm smolvlm_vision solar_open splinter squeezebert stablelm starcoder2 step3p5
        step3p5_vision step3p7 tapas tipsv2 tipsv2_text_model tipsv2_vision_model trocr ultrabert ultravbert
        unlimited_ocr unlimited_ocr_sam_vision_model unlimited_ocr_text vaultgemma video_llama_3 video_llava
        videoprism_text_model vilt vipllava vision-text-dual-encoder visual_bert vit vit_mae vit_msn vitdet
        voxtral voxtral_encoder voxtral_realtime_encoder whisper xclip_text_model xglm xlm xlm-roberta
        xlm-roberta-xl xlnet yolos youtu
        """,
    ),
    (4, "two layers, and in each y + D u beside the state space", "falcon_mamba mamba"),
    (4, "attention, Mamba's y + D u, and MLPs, as the pattern of layers has them", "nemotron_h"),
    (4, "two layers of Kimi's audio tower", "nemotron3_diarization_audio"),
    (
        5,
        "an embedding of positions h + conv(h), and two layers of attention and MLP",
        "data2vec-audio hubert omniasr_audio omniasr_ctc sew unispeech unispeech-sat wav2vec2 wavlm",
    ),
    (6, "two layers of attention, MLP and a second MLP for the audio tokens", "higgs_audio_v2"),
    (6, "two layers of Mamba, its y + D u, and an MLP", "jamba"),
    (
        6,
        "two layers of attention, MLP and embeddings for each layer",
        "embedding_gemma2 embedding_gemma2_text gemma4 gemma4_text",
    ),
    (7, "two layers of each; the decoder attends to itself and the encoder at once", "t5gemma2"),
    (
        8,
        "two layers of an encoder, and two of a decoder with attention to it",
        """
        fsmt led longt5 m2m_100 mt5 nllb-moe pop2piano seamless_m4t seamless_m4t_v2 speech_to_text
        switch_transformers t5 t5gemma umt5
        """,
    ),
    (8, "two layers, passed twice; h + a (f - h) is a block", "dory"),
    (
        8,
        "two conformers: half an MLP, attention, a convolution, half an MLP",
        """
        lasr_ctc lasr_encoder nemotron3_5_asr nemotron_asr_streaming nemotron_asr_streaming_encoder parakeet_ctc
        parakeet_encoder parakeet_rnnt parakeet_tdt
        """,
    ),
    (9, "as an encoder and a decoder; the global tokens begin as parameters", "pegasus_x"),
    (10, "two layers, each of two attentions, two MLPs and experts past one of each", "longcat_flash"),
    (10, "the inverted bottlenecks whose widths are equal", "mobilenet_v2"),
    (11, "of the 13 the two with stride 2 have none", "pp_ocrv6_small_rec pp_ocrv6_tiny_rec"),
    (11, "one for each layer of its stages", "textnet"),
    (12, "two conformers, and two layers of a decoder", "canary cohere_asr"),
    (12, "two layers of a bottleneck, attention, four MLPs", "mobilebert"),
    (16, "two for each of eight layers", "glpn pvt pvt_v2 segformer"),
    (16, "one for each of sixteen bottlenecks", "bit resnet"),
    (16, "six layers of an encoder, two of a decoder", "moonshine"),
    (18, "one for each layer, 3 + 3 + 9 + 3", "convnext convnextv2"),
    (22, "one for each layer, 1 + 3 + 9 + 9 or as its depths are", "regnet"),
    (23, "two levels that read each other, passed several times", "hrm_text"),
    (26, "two for each layer, attention and MLP; LeViT's shrinking ones too", "cvt levit"),
    (28, "one for each convolution and two for each attention", "swiftformer"),
)

# kind: residual sums of the source, of them found, reason, settings and inputs
VIDEO = {"pixel_values": torch.randn(2, 2, 3, 32, 32)}
STAGES = {"depths": [2, 2], "num_heads": [1, 2], "embed_dim": 8, "image_size": 32, "patch_size": 2, "window_size": 4}
MORE: dict[str, Row] = {
    "audio-spectrogram-transformer": (
        4,
        "two layers",
        {"max_length": 32, "num_mel_bins": 16, "frequency_stride": 8, "time_stride": 8},
        {"input_values": torch.randn(2, 32, 16)},
    ),
    "clap_audio_model": (
        4,
        "a layer in each of two stages",
        {"spec_size": 32, "num_mel_bins": 8, "depths": [1, 1], "num_attention_heads": [1, 2]}
        | {"patch_embeds_hidden_size": 8, "hidden_size": 16, "window_size": 4},
        {"input_features": torch.randn(2, 1, 32, 8)},
    ),
    "codegen": (2, "two layers, in which attention and MLP are added at once", {"rotary_dim": 4}, None),
    "decision_transformer": (
        4,
        "two layers",
        {"state_dim": 4, "act_dim": 2, "max_ep_len": 8},
        {"states": torch.randn(2, 3, 4), "actions": torch.randn(2, 3, 2), "rewards": torch.randn(2, 3, 1)}
        | {"returns_to_go": torch.randn(2, 3, 1), "timesteps": torch.arange(3).repeat(2, 1)}
        | {"attention_mask": torch.ones(2, 3)},
    ),
    "donut-swin": (8, "two layers in each of two stages", STAGES, None),
    "falcon_h1": (4, "two layers, in which attention and state space are added at once", {}, None),
    "focalnet": (
        8,
        "two layers in each of two stages",
        {"depths": [2, 2], "embed_dim": 8, "image_size": 32, "patch_size": 2, "focal_levels": [1, 1]}
        | {"focal_windows": [3, 3], "hidden_sizes": [8, 16]},
        {"pixel_values": torch.randn(2, 3, 32, 32)},
    ),
    "funnel": (
        8,
        "a layer in each of three stages, one above; the long skip to it is of two plain signals",
        {"block_sizes": [1, 1, 1], "num_decoder_layers": 1},
        {"input_ids": EIGHT},
    ),
    "gpt_neo": (4, "two layers", {"attention_types": [[["global", "local"], 1]]}, None),
    "gptj": (2, "two layers, in which attention and MLP are added at once", {"rotary_dim": 4}, None),
    "hiera": (
        8,
        "a layer in each of four stages; three shortcuts are projected and max pooled",
        {"depths": [1, 1, 1, 1], "image_size": [64, 64]},
        PICTURE,
    ),
    "lfm2_moe": (4, "two layers", {"layer_types": ["conv", "full_attention"]}, None),
    "lilt": (
        5,
        "two layers of text, and the layout's MLP of the first, which the second reads; its attention is not live",
        {"hidden_size": 24},
        {"input_ids": IDS, "bbox": torch.zeros(2, 6, 4, dtype=torch.long)},
    ),
    "luke": (4, "two layers", {"entity_vocab_size": 8, "entity_emb_size": 8}, None),
    "lxmert": (
        12,
        "4 of the text; of two layers that cross 5 and 3, as the picture's stream becomes one with the first",
        {"l_layers": 2, "x_layers": 2, "r_layers": 2, "visual_feat_dim": 8},
        {"input_ids": IDS, "visual_feats": torch.randn(2, 3, 8), "visual_pos": torch.randn(2, 3, 4)},
    ),
    "mamba2": (2, "two layers; the skip D u is within one operation", {"num_heads": 4, "head_dim": 8}, None),
    "maskformer-swin": (8, "two layers in each of two stages", STAGES, None),
    "patchtsmixer": (
        4,
        "two layers",
        {"context_length": 8, "patch_length": 2, "patch_stride": 2, "num_input_channels": 2},
        {"past_values": torch.randn(2, 8, 2)},
    ),
    "patchtst": (
        4,
        "two layers",
        {"context_length": 8, "patch_length": 2, "patch_stride": 2, "num_input_channels": 2},
        {"past_values": torch.randn(2, 8, 2)},
    ),
    "swin": (8, "two layers in each of two stages", STAGES, None),
    "swinv2": (8, "two layers in each of two stages", STAGES, None),
    "timesformer": (6, "two layers of attention over time, over space, and MLP", {"num_frames": 2}, VIDEO),
    "videomae": (4, "two layers", {"num_frames": 2}, VIDEO),
    "vivit": (4, "two layers", {"num_frames": 2, "tubelet_size": [2, 8, 8]}, VIDEO),
    "xmod": (6, "two layers of attention, MLP and an adapter", {"default_language": "en_XX"}, None),
    "zamba2": (
        6,
        "a Mamba layer; in a hybrid one the shared transformer's sum h + T(h) stands inside Mamba's branch; both twice",
        {"layers_block_type": ["mamba", "hybrid"] * 2, "hybrid_layer_ids": [1, 3], "num_hidden_layers": 4}
        | {"num_mem_blocks": 1, "adapter_rank": 4, "use_mem_rope": False, "mamba_d_state": 8, "mamba_headdim": 8}
        | {"n_mamba_heads": 8, "mamba_ngroups": 1, "num_attention_heads": 4, "num_key_value_heads": 4}
        | {"hidden_size": 32, "intermediate_size": 32, "chunk_size": 4},
        {"input_ids": EIGHT},
    ),
}
MORE["falcon_h1"][2].update(mamba_d_ssm=32, mamba_n_heads=4, mamba_d_head=8)

# kind: sums of the source, found, reason of the difference or the doubt, settings, inputs
OTHERS: dict[str, tuple[int, int, str, dict[str, Any], dict[str, Any] | None]] = {
    "mra": (4, 2, "without its kernel for a GPU the attention is zero", {}, None),
}
# kind: sums of the source, found, what is doubtful or left out with a note, settings, inputs
DOUBTFUL: dict[str, tuple[int, int, str, dict[str, Any], dict[str, Any] | None]] = {
    "bloom": (4, 4, "its GELU is a custom function", {}, None),
    "fnet": (4, 2, "a Fourier mixer has no weight: both sides are plain, and the note says so", {}, None),
    "inkling2_loop_text": (11, 11, "dense connections, gated by the signal", {}, None),
    "inkling2_text": (11, 11, "dense connections, gated by the signal", {}, None),
    "inkling_mm_model": (12, 12, "experts behind a nonlinearity, beside the shared one", {}, None),
    "inkling_text": (12, 12, "experts behind a nonlinearity, beside the shared one", {}, None),
    "phimoe": (4, 4, "the router's product is a custom function", {}, None),
    "poolformer": (24, 12, "pooling has no weight: both sides are plain, and the note says so", {}, None),
    "recurrent_gemma": (4, 4, "a root with a derivative of its own is a custom function", {}, None),
    "reformer": (
        4,
        0,
        "a reversible network is one custom function",
        {"is_decoder": True, "axial_pos_shape": [2, 4], "axial_pos_embds_dim": [8, 8], "attn_layers": ["local", "lsh"]},
        {"input_ids": EIGHT},
    ),
    "sew-d": (5, 5, "its softmax is a custom function", {}, None),
    "xlstm": (4, 4, "the states of its matrix memory", {}, None),
    "yoso": (4, 4, "its attention is a custom function", {}, None),
}
DELTA = """
    lara_mini minicpm_ocr minicpmv4_6 minicpmv4_7 olmo_hybrid qwen3_5_moe_text qwen3_5_text qwen3_next qwen4_exp_text
    qwen3_5 qwen3_5_moe qwen4_exp
"""
MORE |= {kind: (4, "two layers of a gated delta rule, or attention, and an MLP", {}, None) for kind in DELTA.split()}
MORE |= {kind: (4, "two layers of hyper-connections", {}, None) for kind in ("deepseek_v4", "hy_v4")}


FAMILIES = (
    {f"hf {kind}": family(kind, blocks, why, {}, None) for blocks, why, kinds in ALIKE for kind in kinds.split()}
    | {f"hf {kind}": family(kind, blocks, why, *how) for kind, (blocks, why, *how) in MORE.items()}
    | {f"hf {kind}": family(kind, all_, why, *how, found=n) for kind, (all_, n, why, *how) in OTHERS.items()}
    | {
        f"hf {kind}": family(kind, all_, why, *how, found=n, doubtful=True)
        for kind, (all_, n, why, *how) in DOUBTFUL.items()
    }
)
