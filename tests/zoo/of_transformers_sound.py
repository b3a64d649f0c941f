"""Models of transformers for sound and for series that need settings beyond the recipe's."""

import torch
from transformers_rows import IDS, READER, TINY, Row, families

__all__ = ["FAMILIES"]

CONFORMER = "half an MLP, attention, a convolution, half an MLP"
WAVE = {"conv_dim": [8, 8], "conv_kernel": [10, 3], "conv_stride": [5, 2], "num_conv_pos_embeddings": 4}
WAVE |= {"num_conv_pos_embedding_groups": 2, "num_feat_extract_layers": 2}
HEARD = {"input_values": torch.randn(2, 200)}
SPECTRUM = {"spec_size": 32, "num_mel_bins": 8, "depths": [1, 1], "num_attention_heads": [1, 2]}
SPECTRUM |= {"patch_embeds_hidden_size": 8, "hidden_size": 16, "window_size": 4}
VOCODER = {"model_in_dim": 8, "upsample_initial_channel": 16, "upsample_rates": [2, 2]}
VOCODER |= {"upsample_kernel_sizes": [4, 4], "resblock_kernel_sizes": [3], "resblock_dilation_sizes": [[1, 3]]}
SPOKEN = {"spectrogram": torch.randn(2, 6, 8)}
SPEAKER = f"two conformers of encoder and decoder ({CONFORMER}), the embedding of the energy, and the last convolutions"
CODEC = {"upsample_groups": 16, "num_filters": 4, "upsampling_ratios": [2, 2]}
LATENTS = {"latents": torch.randn(2, 16, 4)}
LAGGED = {"prediction_length": 4, "context_length": 8, "lags_sequence": [1, 2], "num_time_features": 1}
SERIES = {
    "past_values": torch.randn(2, 10),
    "past_time_features": torch.randn(2, 10, 1),
    "past_observed_mask": torch.ones(2, 10),
    "future_values": torch.randn(2, 4),
    "future_time_features": torch.randn(2, 4, 1),
}
PAIR = "two layers of encoder and decoder, both live"
STACKED = {"input_features": torch.randn(2, 12, 320)}

ROWS: dict[str, Row] = {
    "audioflamingo3_encoder": (
        4,
        "two layers",
        {"num_mel_bins": 16},
        {"input_features": torch.randn(2, 16, 64), "input_features_mask": torch.ones(2, 64, dtype=torch.long)},
    ),
    "autoformer": (10, PAIR, LAGGED | {"label_length": 4, "moving_average": 3, "feature_size": 5}, SERIES),
    "clap": (
        4,
        "two layers of the text",
        {"audio_config": SPECTRUM, "projection_dim": 16},
        {"input_ids": IDS, "input_features": torch.randn(2, 1, 32, 8)},
    ),
    "dac": (
        7,
        "3 units for each of two stages, and what the first quantizer leaves to the second; its loss is read",
        {
            "encoder_hidden_size": 4,
            "decoder_hidden_size": 16,
            "downsampling_ratios": [2, 2],
            "upsampling_ratios": [2, 2],
        }
        | {"hidden_size": 8, "n_codebooks": 2, "codebook_size": 8, "codebook_dim": 4},
        {"input_values": torch.randn(2, 1, 64)},
    ),
    "fastspeech2_conformer": (18, SPEAKER, {}, None),
    "fastspeech2_conformer_hifigan": (4, "2 dilations for each of two stages", VOCODER, SPOKEN),
    "fastspeech2_conformer_with_hifigan": (18, SPEAKER, {"vocoder_config": VOCODER | {"model_in_dim": 80}}, None),
    "gemma3n_audio": (
        8,
        f"two conformers: {CONFORMER}",
        {"input_feat_size": 16, "sscp_conv_channel_size": [8, 4], "conf_num_hidden_layers": 2}
        | {"conf_num_attention_heads": 2, "conf_attention_chunk_size": 4, "conf_attention_context_left": 5},
        {"audio_mel": torch.randn(2, 32, 16), "audio_mel_mask": torch.zeros(2, 32, dtype=torch.bool)},
    ),
    "granite_speech5_ctc": (
        9,
        f"two conformers: {CONFORMER}; between them what is heard so far is added",
        {"encoder_config": {"context_size": 16}},
        STACKED,
    ),
    "granite_speech5_encoder": (
        9,
        f"two conformers: {CONFORMER}; between them what is heard so far is added",
        {"context_size": 16},
        STACKED,
    ),
    "granite_speech_encoder": (
        9,
        f"two conformers: {CONFORMER}; between them what is heard so far is added",
        {"input_dim": 8, "context_size": 8, "output_dim": 16, "conv_kernel_size": 3, "dim_head": 8},
        {"hidden_states": torch.randn(2, 8, 8)},
    ),
    "informer": (10, PAIR, LAGGED, SERIES),
    "mimi_decoder": (6, "two layers, 2 of the convolutions", CODEC, LATENTS),
    "mimi_encoder": (8, "4 of the convolutions, two layers", {}, None),
    "moonshine_streaming": (
        8,
        "two layers of an encoder, two of a decoder less the first two",
        {"num_key_value_heads": 2},
        {"input_values": torch.randn(2, 1200), "decoder_input_ids": IDS},
    ),
    "nemotron3_diarization": (4, "two layers", {"head_config": {"audio_hidden_size": 16}}, None),
    "pocket_tts_audio_tokenizer": (
        6,
        "2 of the convolutions, two layers; the latents are read",
        CODEC,
        {"input_values": torch.randn(2, 1, 64)},
    ),
    "pocket_tts_audio_tokenizer_decoder": (6, "two layers, 2 of the convolutions", CODEC, LATENTS),
    "pocket_tts_audio_tokenizer_encoder": (7, "3 of the convolutions, two layers", {}, None),
    "speech-encoder-decoder": (
        9,
        "an embedding of positions h + conv(h), and two layers; two of BERT with attention to them, less the first two",
        {"encoder": TINY | WAVE | {"model_type": "wav2vec2", "layerdrop": 0.0}, "decoder": TINY | READER},
        HEARD | {"decoder_input_ids": IDS},
    ),
    "speecht5": (5, "an embedding of positions h + conv(h), and two layers", WAVE, HEARD),
    "speecht5_hifigan": (4, "2 dilations for each of two stages", VOCODER, SPOKEN),
    "time_series_transformer": (10, PAIR, LAGGED, SERIES),
    "timesfm": (
        5,
        "the embedding of the patches, and two layers",
        {"patch_length": 4, "context_length": 16, "horizon_length": 4, "freq_size": 2, "quantiles": [0.5]},
        {"past_values": torch.randn(2, 16), "past_values_padding": torch.zeros(2, 16)}
        | {"freq": torch.zeros(2, 1, dtype=torch.long)},
    ),
    "timesfm2_5": (
        5,
        "the embedding of the patches, and two layers",
        {"patch_length": 4, "context_length": 16, "horizon_length": 4, "quantiles": [0.5], "output_quantile_len": 8},
        {"past_values": torch.randn(2, 16), "past_values_padding": torch.zeros(2, 16)},
    ),
    "univnet": (
        3,
        "one in the predictor of kernels, and 2 dilations",
        {"model_in_channels": 4, "model_hidden_channels": 4, "num_mel_bins": 8, "resblock_kernel_sizes": [3]}
        | {"resblock_stride_sizes": [2], "resblock_dilation_sizes": [[1, 3]], "kernel_predictor_num_blocks": 1}
        | {"kernel_predictor_hidden_channels": 4},
        {"input_features": torch.randn(2, 6, 8)},
    ),
    "vits": (
        12,
        "two layers of the text, one layer of WaveNet and the coupling for each of two flows, 2 dilations for each of "
        "two stages; a contraction with a constant may be a frozen weight",
        {"ffn_dim": 16, "flow_size": 8, "spectrogram_bins": 8, "upsample_initial_channel": 16, "upsample_rates": [2, 2]}
        | {"upsample_kernel_sizes": [4, 4], "resblock_kernel_sizes": [3], "resblock_dilation_sizes": [[1, 3]]}
        | {"depth_separable_num_layers": 1, "duration_predictor_num_flows": 2}
        | {"duration_predictor_filter_channels": 8, "prior_encoder_num_flows": 2}
        | {"prior_encoder_num_wavenet_layers": 2, "posterior_encoder_num_wavenet_layers": 2},
        {"input_ids": IDS},
    ),
    "voxtral_realtime": (
        4,
        "two layers of the text",
        {},
        {"input_ids": IDS, "input_features": torch.randn(2, 128, 48)},
    ),
    "wav2vec2-bert": (
        8,
        f"two conformers: {CONFORMER}",
        {"feature_projection_input_dim": 8},
        {"input_features": torch.randn(2, 12, 8)},
    ),
    "wav2vec2-conformer": (8, f"two conformers: {CONFORMER}", WAVE, HEARD),
}

FAMILIES = families(ROWS, doubtful="vits")
