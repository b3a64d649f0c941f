"""The types of transformers that are not built, with the reason."""

__all__ = ["NOT_BUILT"]

# why a type is not built -> the types
NOT_BUILT: dict[str, str] = {
    "it is a part of another model, whose inputs it takes from there": """
        blt_global_transformer blt_local_decoder blt_local_encoder chameleon_vqgan clvp_encoder
        deepseek_ocr2_encoder dia_decoder edgetam_mask_decoder edgetam_prompt_encoder
        edgetam_video_mask_decoder edgetam_video_prompt_encoder emu3_vqgan fastspeech2_conformer_hifigan
        florence_vision gemma4_unified_audio gemma4_unified_vision granite_speech_encoder
        granite_speech_plus_encoder idefics2_perceiver idefics_perciever idefics_vision janus_vqgan jev
        layoutxlm molmo2_adapter moshi_depth pp_chart2table_vision pp_lcnet_v3 qwen2_5_omni_audio_encoder
        qwen2_5_omni_bigvgan qwen2_5_omni_dit qwen3_omni_moe_audio_encoder qwen3_omni_moe_talker_text
        sam2_mask_decoder sam2_prompt_encoder sam2_video_mask_decoder sam2_video_prompt_encoder
        sam3_detr_decoder sam3_detr_encoder sam3_geometry_encoder sam3_lite_text_detr_decoder
        sam3_lite_text_detr_encoder sam3_lite_text_geometry_encoder sam3_lite_text_mask_decoder
        sam3_mask_decoder sam3_tracker_mask_decoder sam3_tracker_prompt_encoder
        sam3_tracker_video_mask_decoder sam3_tracker_video_prompt_encoder sam_hq_mask_decoder
        sam_hq_prompt_encoder sam_mask_decoder sam_prompt_encoder sapiens2_head slanet slanext
        speecht5_hifigan superglue t5_gemma_module t5gemma2_decoder unlimited_ocr_vision_encoder upernet
        vibevoice_diffusion vitmatte vitpose vitpose_backbone voxtral_realtime_text
    """,
    "it takes inputs that the recipe does not make, several at once, in sizes of their own": """
        apertus1p5_vision_tokenizer audioflamingo3_encoder bark blt chmv2 clap clvp deepseek_ocr2_vision
        deimv2 edgetam edgetam_video edgetam_vision_model eomt eomt_dinov3 esmfold2 fun_asr_nano_encoder
        gemma3n_audio gemma4_audio gemma4_vision glm_image_vqmodel idefics inkling2_vision inkling_audio
        inkling_vision instructblip instructblipvideo kimi_k25_vision kosmos-2 kosmos_2_5_vision_model
        lightglue llama4_vision_model mask2former mgp-str minicpm_ocr_vision minicpmv4_6_vision
        minicpmv4_7_vision mistral4 mllama_vision_model molmo2_vision muse_glimmer_assistant
        muse_glimmer_vision muse_spark_audio muse_spark_vision paddleocr_vl_vision pe_audio pe_audio_encoder
        pe_audio_video pe_audio_video_encoder pe_video pe_video_encoder phi4_multimodal_audio pi0 pix2struct
        pix2struct_vision_model pp_doclayout_v2 pp_doclayout_v3 pp_doclayout_v4 pp_formulanet
        pp_ocrv5_mobile_det pp_ocrv6_small_det prompt_depth_anything qwen2_5_omni qwen2_5_omni_talker
        qwen2_5_omni_token2wav qwen3_asr_encoder rt_detr rt_detr_v2 sam2 sam2_hiera_det_model sam2_video
        sam2_vision_model sam3 sam3_lite_text sam3_tracker sam3_tracker_video sam3_video sam_hq seggpt timesfm
        timesfm2_5 tipsv2_dpt tvp udop vibevoice_acoustic_tokenizer_decoder
        vibevoice_acoustic_tokenizer_encoder video_llama_3_vision videoprism voxtral_realtime xclip
    """,
    "its configuration, or its model, refuses the small sizes: they must fit each other, or name a backbone": """
        apertus1p5 bridgetower chameleon cosmos3_edge cosmos3_edge_text csm d_fine depth_pro dia
        diffusion_gemma dots3_note dots3_note_audio_encoder dots3_note_vision_encoder efficientloftr fast_vlm
        fun_asr_nano gemma4_assistant gemma4_unified_assistant glm5_next glm5_next_text gradium_phonon_tts
        granite4_vision grounding-dino hy_v4_vl hy_v4_vl_text inkling2 inkling2_loop kyutai_speech_to_text
        lw_detr lw_detr_vit mimi mimi_decoder mm-grounding-dino molmo2 moonshine_streaming muse_spark musicgen
        musicgen_melody nemo_speechlm nemotron3_5_transcribe_audio nemotron3_5_transcribe_word_timestamp
        nemotron3_diarization nemotron_h_omni neomme neucodec nougat omdet-turbo oneformer perception_lm
        pocket_tts pocket_tts_audio_tokenizer pocket_tts_audio_tokenizer_decoder pp_ocrv5_server_det
        pp_ocrv6_medium_det qwen3_omni_moe timm_backbone wavtokenizer wavtokenizer_encoder xcodec2
    """,
    "it takes seconds, or memory, also where the recipe has made it small": """
        evolla fastspeech2_conformer_with_hifigan florence2 gemma3n gemma3n_vision janus kimi_linear
        maskformer rag unlimited_ocr_vision uvdoc vibevoice vibevoice_acoustic_tokenizer vibevoice_asr xcodec
    """,
    "it needs another package, or has no source of its own that was read": """
        higgs_audio_v2_tokenizer pp_ocrv5_mobile_rec
    """,
    "its forward pass reads a field that the output of its text model does not have": """
        llama4
    """,
    "its codes or its points are picked or rounded, and no gradient passes": """
        encodec superpoint
    """,
    "another package must be installed for it": """
        dinat layoutlmv2
    """,
    "a type of transformers that holds other types, and those are counted": """
        EvollaModel speech-encoder-decoder vision-encoder-decoder
    """,
}
