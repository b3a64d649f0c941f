"""The types of transformers that are not built, with the reason."""

__all__ = ["NOT_BUILT"]

# why a type is not built -> the types
NOT_BUILT: dict[str, str] = {
    "it is a part of another model, whose inputs it takes from there": """
        blt_local_decoder blt_local_encoder deepseek_ocr2_encoder dia_decoder edgetam_mask_decoder
        edgetam_prompt_encoder edgetam_video_mask_decoder edgetam_video_prompt_encoder florence_vision
        gemma4_unified_audio gemma4_unified_vision granite_speech_plus_encoder idefics_perciever
        idefics_vision molmo2_adapter moshi_depth pp_chart2table_vision qwen2_5_omni_audio_encoder
        qwen2_5_omni_bigvgan qwen2_5_omni_dit qwen3_omni_moe_audio_encoder qwen3_omni_moe_talker_text
        sam2_mask_decoder sam2_prompt_encoder sam2_video_mask_decoder sam2_video_prompt_encoder
        sam3_detr_decoder sam3_detr_encoder sam3_geometry_encoder sam3_lite_text_detr_decoder
        sam3_lite_text_detr_encoder sam3_lite_text_geometry_encoder sam3_lite_text_mask_decoder
        sam3_mask_decoder sam3_tracker_mask_decoder sam3_tracker_prompt_encoder
        sam3_tracker_video_mask_decoder sam3_tracker_video_prompt_encoder sam_hq_mask_decoder
        sam_hq_prompt_encoder sam_mask_decoder sam_prompt_encoder sapiens2_head t5gemma2_decoder
        unlimited_ocr_vision_encoder vibevoice_diffusion
    """,
    "it takes inputs that the recipe does not make, several at once, in sizes of their own": """
        chmv2 clvp edgetam edgetam_video edgetam_vision_model fun_asr_nano_encoder gemma4_audio
        glm_image_vqmodel inkling2_vision inkling_audio inkling_vision instructblip instructblipvideo jev
        mgp-str minicpm_ocr_vision minicpmv4_6_vision minicpmv4_7_vision muse_glimmer_assistant
        muse_spark_audio muse_spark_vision paddleocr_vl_vision pe_audio pe_audio_encoder pe_audio_video
        pe_audio_video_encoder pe_video phi4_multimodal_audio pi0 pp_formulanet pp_ocrv5_mobile_det
        pp_ocrv6_small_det qwen2_5_omni qwen2_5_omni_talker qwen2_5_omni_token2wav qwen3_asr_encoder sam2
        sam2_hiera_det_model sam2_video sam2_vision_model sam3 sam3_lite_text sam3_tracker sam3_tracker_video
        sam3_video tvp videoprism vitmatte
    """,
    "its configuration, or its model, refuses the small sizes: they must fit each other, or name a backbone": """
        apertus1p5 depth_pro dia dots3_note dots3_note_audio_encoder dots3_note_vision_encoder efficientloftr
        fast_vlm fun_asr_nano gemma4_assistant gemma4_unified_assistant gradium_phonon_tts granite4_vision
        grounding-dino kyutai_speech_to_text lw_detr mm-grounding-dino nemo_speechlm
        nemotron3_5_transcribe_audio nemotron3_5_transcribe_word_timestamp neomme neucodec omdet-turbo
        oneformer perception_lm pp_ocrv5_server_det pp_ocrv6_medium_det qwen3_omni_moe slanet vitpose
        vitpose_backbone xcodec2
    """,
    "its forward pass reads a field that the output of its text model does not have": """
        llama4
    """,
    "what lies between is picked or rounded (codes, points, marks), and no gradient passes": """
        encodec lightglue mimi superglue superpoint wavtokenizer wavtokenizer_encoder
    """,
    "a package is missing that it needs (natten, detectron2, torchaudio), or a folder of another library's names": """
        dinat higgs_audio_v2_tokenizer layoutlmv2 timm_backbone
    """,
    "its trace takes seconds, though it is small": """
        glm5_next glm5_next_text kimi_linear pp_ocrv5_mobile_rec
    """,
    "it takes seconds to build, or gigabytes, and its configuration has no settings for it that the recipe knows": """
        apertus1p5_vision_tokenizer bark blt blt_global_transformer chameleon_vqgan deepseek_ocr2_vision
        emu3_vqgan esmfold2 evolla janus_vqgan muse_spark pe_video_encoder pp_doclayout_v2 pp_doclayout_v3
        pp_doclayout_v4 rag slanext unlimited_ocr_vision uvdoc vibevoice vibevoice_acoustic_tokenizer
        vibevoice_acoustic_tokenizer_decoder vibevoice_acoustic_tokenizer_encoder vibevoice_asr xcodec
    """,
    "no class of the library has its configuration, or only under another name": """
        EvollaModel layoutxlm nougat t5_gemma_module voxtral_realtime_text
    """,
    "it passes one network twice in ways that were not read to the end": """
        deimv2 diffusion_gemma
    """,
}
