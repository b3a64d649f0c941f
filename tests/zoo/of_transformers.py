"""Types of models of transformers, built by the recipe: two layers each, or one of each stage.

Of a model with two towers the blocks are those of the one whose input is split (the text's, where there are ids). Of a
decoder beside an encoder they are those from where its stream carries x: not the first sum of its first layer, or two.
"""

from functools import partial
from typing import Any

import torch
from family import Family

__all__ = ["FAMILIES"]

ALIKE: tuple[tuple[int, str, str], ...] = (
    (0, "convolutions alone", "mobilenet_v1"),
    (2, "two layers, in which attention and MLP are added at once", "falcon gpt_neox phi"),
    (2, "two in the last stage", "pp_ocrv5_server_rec"),
    (3, "an embedding of positions h + conv(h), and one layer of attention and MLP", "omniasr_audio omniasr_ctc"),
    (
        4,
        "two layers of a mixer (attention, convolution, recurrence) and an MLP",
        """
        afmoe aimv2 aimv2_text_model aimv2_vision_model albert align_text_model altclip altclip_text_model
        altclip_vision_model apertus apertus1p5_text arcee aria aria_text audioflamingo3 axk1 axk2 aya_vision
        bailing_hybrid bamba bart beam beit bert bert-generation big_bird bigbird_pegasus biogpt bitnet blenderbot
        blenderbot-small blip blip_2_vision_model blip_text_model blip_vision_model bridgetower_text_model camembert
        chinese_clip chinese_clip_text_model chinese_clip_vision_model clap_text_model clip clip_text_model
        clip_vision_model clipseg clipseg_text_model clipseg_vision_model cohere cohere2 cohere2_moe cohere2_vision
        convbert cosmos3_omni cpmant csm_depth_decoder_model ctrl cwm data2vec-text data2vec-vision deberta deberta-v2
        deepseek_v2 deepseek_v3 deepseek_v32 deepseek_v4 deepseek_vl deepseek_vl_hybrid deit diffllama dinov2
        dinov2_with_registers dinov3_vit distilbert doge dots1 dots3_note_text dpr dpt electra emu3_text_model ernie
        ernie4_5 ernie4_5_moe esm esmc eurobert exaone exaone4 exaone4_5 exaone_moe flaubert flava
        flava_image_model flava_text_model flex_olmo flint fuyu gemma gemma2 gemma3 gemma3_text git git_vision_model glm
        glm4 glm4_moe glm4_moe_lite glm_moe_dsa glmasr glmasr_encoder got_ocr2 gpt2 gpt_bigcode gpt_neox_japanese
        gpt_oss granite granite4_vision_text granite_docling_text granite_docling_vision granite_speech
        granite_speech_plus granite_swa granitemoe granitemoe_swa granitemoehybrid granitemoeshared groupvit_text_model
        gte helium hunyuan_v1_dense hunyuan_v1_moe hy_v3 hy_v4 hyperclovax hyperclovax_vision_v2 ibert idefics2 idefics3
        idefics3_vision ijepa imagegpt instructblip_qformer instructblip_vision_model instructblipvideo_qformer
        instructblipvideo_vision_model internlm3 internvl internvl_vision iquestcoder jais2 janus_vision_model
        jetmoe jina_embeddings_v3 kimi_k25 kolibri1 kosmos-2.5 kosmos_2_5_text_model kosmos_2_text_model
        kosmos_2_vision_model laguna layoutlm layoutlmv3 lfm2 lfm2_vl lfm3 lfm3_vl lighton_ocr llama llama4_text llava
        llava_next llava_next_video llava_onevision longformer marian markuplm mbart megatron-bert mellum
        metaclip_2 metaclip_2_text_model metaclip_2_vision_model minicpm3 minimax minimax_m2 minimax_m3_vl
        minimax_m3_vl_text ministral ministral3 mistral mistral3 mistral_large4 mistral_large4_text mixtral
        mlcd_vision_model mllama mllama_text_model modernbert modernbert-decoder modernvbert molmo2_text moshi
        moss_transcribe_diarize moss_transcribe_diarize_audio mpnet mpt muse_glimmer muse_glimmer_text muse_spark_text
        musicflamingo mvp nanochat nemotron nomic_bert nystromformer olmo olmo2 olmo3 olmoe omniasr openai-gpt
        openai_privacy_filter opt ovis2 ovis2_vision owlv2 owlv2_text_model owlv2_vision_model owlvit owlvit_text_model
        owlvit_vision_model paligemma parakeet_ctc pegasus persimmon phi3 phi4_multimodal phi4_multimodal_vision pixio
        pixtral plbart pp_formulanet_text pp_formulanet_vision prophetnet qianfan_ocr qianfan_ocr_vision qwen2
        qwen2_audio qwen2_audio_encoder qwen2_moe qwen3 qwen3_asr qwen3_moe qwen3_omni_moe_thinker qwen3_vl qwen3_vl_moe
        qwen3_vl_moe_text qwen3_vl_text radio rembert roberta roberta-prelayernorm roc_bert roformer rwkv
        sam3_lite_text_text_model sam3_vision_model sam3_vit_model sam_hq_vision_model sam_vision_model sapiens2
        sarvam_mla sarvam_moe seed_oss siglip siglip2_text_model siglip_text_model siglip_vision_model smollm3 smolvlm
        smolvlm_vision solar_open splinter squeezebert stablelm starcoder2 step3p5 step3p5_vision step3p7 tapas tipsv2
        tipsv2_text_model tipsv2_vision_model trocr ultrabert ultravbert unlimited_ocr unlimited_ocr_text vaultgemma
        video_llama_3 video_llava videoprism_text_model vipllava vision-text-dual-encoder visual_bert vit vit_mae
        vit_msn vitdet voxtral voxtral_encoder whisper xclip_text_model xglm xlm xlm-roberta xlm-roberta-xl xlnet yolos
        youtu mlcd
        """,
    ),
    (4, "two layers, and in each y + D u beside the state space", "falcon_mamba mamba"),
    (4, "one conformer: half an MLP, attention, a convolution, half an MLP", "nemotron3_5_asr"),
    (4, "one conformer: half an MLP, attention, a convolution, half an MLP", "nemotron3_5_transcribe_asr_audio"),
    (4, "attention, Mamba's y + D u, and MLPs, as the pattern of layers has them", "nemotron_h"),
    (4, "two layers of Kimi's audio tower", "nemotron3_diarization_audio"),
    (
        5,
        "an embedding of positions h + conv(h), and two layers of attention and MLP",
        "data2vec-audio hubert sew unispeech unispeech-sat wav2vec2 wavlm",
    ),
    (6, "two layers of attention, MLP and a second MLP for the audio tokens", "higgs_audio_v2"),
    (6, "two layers of Mamba, its y + D u, and an MLP", "jamba"),
    (6, "two layers of attention, MLP and embeddings for each layer", "embedding_gemma2_text gemma4 gemma4_text"),
    (7, "two layers of each; the decoder attends to itself and the encoder at once", "t5gemma2"),
    (
        8,
        "two layers of an encoder, and two of a decoder with attention to it",
        """
        fsmt led longt5 m2m_100 mt5 nllb-moe pop2piano seamless_m4t seamless_m4t_v2 speech_to_text switch_transformers
        t5 t5gemma umt5
        """,
    ),
    (8, "two layers, passed twice; h + a (f - h) is a block", "dory"),
    (
        8,
        "two conformers: half an MLP, attention, a convolution, half an MLP",
        """
        lasr_ctc lasr_encoder nemotron_asr_streaming nemotron_asr_streaming_encoder parakeet_encoder parakeet_rnnt
        parakeet_tdt
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
LAGGED = {"prediction_length": 4, "context_length": 8, "lags_sequence": [1, 2], "num_time_features": 1}
SERIES = {
    "past_values": torch.randn(2, 10),
    "past_time_features": torch.randn(2, 10, 1),
    "past_observed_mask": torch.ones(2, 10),
    "future_values": torch.randn(2, 4),
    "future_time_features": torch.randn(2, 4, 1),
}
IDS = torch.arange(12).view(2, 6) % 26 + 4
EIGHT = torch.arange(16).view(2, 8) % 26 + 4
VIDEO = {"pixel_values": torch.randn(2, 2, 3, 32, 32)}
STAGES = {"depths": [2, 2], "num_heads": [1, 2], "embed_dim": 8, "image_size": 32, "patch_size": 2, "window_size": 4}
DETECTOR = {
    "use_timm_backbone": False,
    "backbone": None,
    "backbone_config": {
        "model_type": "resnet",
        "embedding_size": 8,
        "hidden_sizes": [8, 8, 8, 8],
        "depths": [1, 1, 1, 1],
        "out_features": ["stage2", "stage3", "stage4"],
    },
}
PICTURE = {"pixel_values": torch.randn(2, 3, 64, 64)}

MORE: dict[str, tuple[int, str, dict[str, Any], dict[str, Any] | None]] = {
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
    "conditional_detr": (12, "4 + 4 + 6 less the first two of the decoder, whose stream is zero", DETECTOR, PICTURE),
    "decision_transformer": (
        4,
        "two layers",
        {"state_dim": 4, "act_dim": 2, "max_ep_len": 8},
        {"states": torch.randn(2, 3, 4), "actions": torch.randn(2, 3, 2), "rewards": torch.randn(2, 3, 1)}
        | {"returns_to_go": torch.randn(2, 3, 1), "timesteps": torch.arange(3).repeat(2, 1)}
        | {"attention_mask": torch.ones(2, 3)},
    ),
    "detr": (12, "4 + 4 + 6 less the first two of the decoder, whose stream is zero", DETECTOR, PICTURE),
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
    "informer": (10, "two layers of encoder and decoder, both live", LAGGED, SERIES),
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
    "time_series_transformer": (10, "two layers of encoder and decoder, both live", LAGGED, SERIES),
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
"""
MORE |= {kind: (4, "two layers of a gated delta rule, or attention, and an MLP", {}, None) for kind in DELTA.split()}


# why a type is not built -> the types
NOT_BUILT: dict[str, str] = {
    "no class of its own takes the configuration: it is a part of another model": """
        blt_global_transformer blt_local_decoder blt_local_encoder blt_patcher canary_decoder
        chameleon_vqgan clvp_decoder clvp_encoder colmodernvbert colpali colqwen2 deepseek_ocr2_encoder
        deepseek_ocr2_sam_vision_model dia_decoder dia_encoder edgetam_mask_decoder edgetam_prompt_encoder
        edgetam_video_mask_decoder edgetam_video_prompt_encoder emu3_vqgan ernie4_5_vl_moe_vision
        fastspeech2_conformer_hifigan flava_image_codebook florence_vision gemma4_unified_audio
        gemma4_unified_vision got_ocr2_vision granite_speech_encoder granite_speech_plus_encoder
        idefics2_perceiver idefics2_vision idefics_perciever idefics_vision janus_vqgan jev layoutxlm
        molmo2_adapter moonshine_streaming_encoder moshi_depth musicgen_decoder musicgen_melody_decoder
        pp_chart2table pp_chart2table_vision pp_lcnet pp_lcnet_v3 pp_lcnet_v4 qwen2_5_omni_audio_encoder
        qwen2_5_omni_bigvgan qwen2_5_omni_dit qwen2_5_omni_text qwen2_5_omni_vision_encoder qwen2_vl_vision
        qwen3_omni_moe_audio_encoder qwen3_omni_moe_talker_text qwen3_omni_moe_text
        qwen3_omni_moe_vision_encoder rf_detr_dinov2 rt_detr_resnet sam2_mask_decoder sam2_prompt_encoder
        sam2_video_mask_decoder sam2_video_prompt_encoder sam3_detr_decoder sam3_detr_encoder
        sam3_geometry_encoder sam3_lite_text_detr_decoder sam3_lite_text_detr_encoder
        sam3_lite_text_geometry_encoder sam3_lite_text_mask_decoder sam3_mask_decoder
        sam3_tracker_mask_decoder sam3_tracker_prompt_encoder sam3_tracker_video_mask_decoder
        sam3_tracker_video_prompt_encoder sam_hq_mask_decoder sam_hq_prompt_encoder sam_mask_decoder
        sam_prompt_encoder sapiens2_head shieldgemma2 slanet slanext slanext_vision speecht5_hifigan
        superglue superpoint t5_gemma_module t5gemma2_decoder t5gemma2_text unlimited_ocr_sam_vision_model
        unlimited_ocr_vision_encoder upernet uvdoc_backbone vibevoice_diffusion vitmatte vitpose
        vitpose_backbone voxtral_realtime_text
    """,
    "it takes inputs that the recipe does not make, several at once, in sizes of their own": """
        apertus1p5_vision_tokenizer audioflamingo3_encoder bark blip-2 blip_2_qformer blt bros canine chmv2
        clap clvp cohere_compass_vision cosmos3_edge_vision deepseek_ocr2_vision deimv2 depth_anything
        edgetam edgetam_video edgetam_vision_model efficientnet encodec encoder-decoder eomt eomt_dinov3
        esmfold2 exaone4_5_vision flava_multimodal_model fun_asr_nano_encoder gemma3n_audio gemma4_audio
        gemma4_vision glm46v glm4v glm4v_moe glm4v_moe_text glm4v_moe_vision glm4v_text glm4v_vision
        glm5_next_vision glm_image glm_image_text glm_image_vision glm_image_vqmodel glm_ocr glm_ocr_text
        glm_ocr_vision glmga hgnet_v2 hunyuan_vl hunyuan_vl_text hunyuan_vl_vision hy_v4_vl_vision idefics
        inkling2_vision inkling_audio inkling_vision instructblip instructblipvideo kimi_k25_vision kosmos-2
        kosmos_2_5_vision_model lfm3_vl_vision lightglue llama4_vision_model mask2former mgp-str
        mimo_v2_flash minicpm_ocr_vision minicpmv4_6_vision minicpmv4_7_vision minimax_m3_vl_vision mistral4
        mllama_vision_model mobilevitv2 molmo2_vision muse_glimmer_assistant muse_glimmer_vision
        muse_spark_audio muse_spark_vision paddleocr_vl paddleocr_vl_text paddleocr_vl_vision pe_audio
        pe_audio_encoder pe_audio_video pe_audio_video_encoder pe_video pe_video_encoder
        phi4_multimodal_audio pi0 pix2struct pix2struct_vision_model pp_doclayout_v2 pp_doclayout_v3
        pp_doclayout_v4 pp_formulanet pp_ocrv5_mobile_det pp_ocrv6_small_det prompt_depth_anything
        qwen2_5_omni qwen2_5_omni_talker qwen2_5_omni_thinker qwen2_5_omni_token2wav qwen2_5_vl
        qwen2_5_vl_text qwen2_5_vl_vision qwen2_vl qwen2_vl_text qwen3_5_moe_vision qwen3_5_vision
        qwen3_asr_encoder qwen3_omni_moe_talker_code_predictor qwen3_vl_moe_vision qwen3_vl_vision
        qwen4_exp_vision rt_detr rt_detr_v2 sam sam2 sam2_hiera_det_model sam2_video sam2_vision_model sam3
        sam3_lite_text sam3_tracker sam3_tracker_video sam3_video sam_hq seggpt siglip2 siglip2_vision_model
        speech-encoder-decoder speecht5 timesfm timesfm2_5 tipsv2_dpt tvp udop video_llama_3_vision videomt
        videoprism videoprism_vision_model vilt vision-encoder-decoder vjepa2 voxtral_realtime
        voxtral_realtime_encoder wav2vec2-bert wav2vec2-conformer xclip xclip_vision_model zoedepth
        vibevoice_acoustic_tokenizer_decoder vibevoice_acoustic_tokenizer_encoder
    """,
    "its configuration, or its model, refuses the small sizes: they must fit each other, or name a backbone": """
        apertus1p5 autoformer bridgetower bridgetower_vision_model chameleon cohere_compass
        cohere_compass_text cosmos3_edge cosmos3_edge_text csm d_fine dab-detr dbrx deepseek_ocr2
        deepseek_ocr2_text deformable_detr depth_pro dia diffusion_gemma diffusion_gemma_text dots3_note
        dots3_note_audio_encoder dots3_note_vision_encoder efficientloftr embedding_gemma2 emu3
        ernie4_5_vl_moe ernie4_5_vl_moe_text fast_vlm fun_asr_nano gemma3n_text gemma4_assistant
        gemma4_unified gemma4_unified_assistant gemma4_unified_text glm5_next glm5_next_text
        gradium_phonon_tts granite4_vision granite_docling granite_speech5_ctc granite_speech5_encoder
        grounding-dino hy_v4_vl hy_v4_vl_text inkling2 inkling2_loop kyutai_speech_to_text llama4 lw_detr
        lw_detr_vit mimi mm-grounding-dino molmo2 moonshine_streaming muse_spark musicgen musicgen_melody
        nemo_speechlm nemotron3_5_transcribe_audio nemotron3_5_transcribe_word_timestamp
        nemotron3_diarization nemotron_h_omni neomme neucodec nougat omdet-turbo oneformer perception_lm
        pix2struct_text_model pocket_tts pocket_tts_audio_tokenizer pp_ocrv5_server_det pp_ocrv6_medium_det
        qwen3_5 qwen3_5_moe qwen3_omni_moe qwen4_exp t5gemma2_encoder table-transformer timm_backbone
        wavtokenizer xcodec2 zamba zaya mimi_decoder pocket_tts_audio_tokenizer_decoder
        wavtokenizer_encoder
    """,
    "it takes seconds, or memory, also where the recipe has made it small": """
        gpt-sw3 align align_vision_model dac dinov3_convnext evolla fastspeech2_conformer_with_hifigan
        florence2 gemma3n gemma3n_vision groupvit groupvit_vision_model janus kimi_linear maskformer
        mobilevit perceiver rag swin2sr univnet unlimited_ocr_vision uvdoc vibevoice
        vibevoice_acoustic_tokenizer vibevoice_asr vits xcodec EvollaModel mimi_encoder
        pocket_tts_audio_tokenizer_encoder
    """,
    "it needs another package, or has no source of its own that was read": """
        dinat fastspeech2_conformer higgs_audio_v2_tokenizer layoutlmv2 pp_ocrv5_mobile_rec rf_detr
        timm_wrapper
    """,
}


def build(kind: str, inputs: dict[str, Any] | None, settings: dict[str, Any]) -> Any:
    import recipe
    from transformers import AutoConfig

    if "backbone_config" in settings:
        settings = settings | {"backbone_config": AutoConfig.for_model(**settings["backbone_config"])}
    return recipe.built(kind, inputs, **settings)


def family(kind: str, blocks: int, reason: str, settings: Any, inputs: Any, **others: Any) -> Family:
    return Family(partial(build, kind, inputs, settings), blocks, reason, **others)


FAMILIES = (
    {f"hf {kind}": family(kind, blocks, why, {}, None) for blocks, why, kinds in ALIKE for kind in kinds.split()}
    | {f"hf {kind}": family(kind, blocks, why, *how) for kind, (blocks, why, *how) in MORE.items()}
    | {f"hf {kind}": family(kind, all_, why, *how, found=n) for kind, (all_, n, why, *how) in OTHERS.items()}
    | {
        f"hf {kind}": family(kind, all_, why, *how, found=n, doubtful=True)
        for kind, (all_, n, why, *how) in DOUBTFUL.items()
    }
)
