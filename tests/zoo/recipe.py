"""A tiny random model of any type that transformers knows, and inputs that it takes.

The recipe: each setting of a configuration that has one of the names below is made small, in the configurations
inside as well; what a configuration lists a stage at a time stays as it is. The class is the first of the automatic
ones that has the type. Inputs are the first of a few kinds that the model takes.
"""

import importlib.util
import inspect
import itertools
from collections.abc import Iterator
from typing import Any

import torch
import transformers
from torch import Tensor, nn
from transformers.models.auto import modeling_auto as auto
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

__all__ = ["built", "configured", "tokens"]

Inputs = dict[str, Any]

VALUES: dict[int, tuple[str, ...]] = {
    2: (
        "num_hidden_layers n_layer n_layers num_layers encoder_layers decoder_layers num_decoder_layers depth",
        "num_encoder_layers num_attention_heads n_head n_heads num_heads encoder_attention_heads",
        "decoder_attention_heads num_key_value_heads num_experts_per_tok linear_num_key_heads linear_num_value_heads",
        "type_vocab_size eos_token_id",
    ),
    3: ("num_labels num_channels",),
    4: (
        "num_experts num_local_experts n_routed_experts mamba_n_heads mamba_num_heads attention_window_size",
        "sliding_window",
    ),
    8: (
        "head_dim d_kv attention_head_size v_head_dim qk_nope_head_dim qk_rope_head_dim kv_lora_rank q_lora_rank",
        "mamba_d_head mamba_d_state state_size ssm_state_size mamba_head_dim linear_key_head_dim linear_value_head_dim",
        "patch_size hidden_size_per_layer_input",
    ),
    16: (
        "hidden_size d_model n_embd dim embed_dim word_embed_proj_dim hidden_dim moe_intermediate_size",
        "shared_expert_intermediate_size lru_width embedding_size out_hidden_size num_position_embeddings",
    ),
    24: ("intermediate_size ffn_dim d_ff n_inner ffn_hidden_size encoder_ffn_dim decoder_ffn_dim",),
    32: (
        "vocab_size max_position_embeddings n_positions n_ctx max_source_positions max_target_positions image_size",
        "vocab_size_per_layer_input",
    ),
    1: (
        "n_group topk_group n_shared_experts first_k_dense_replace n_groups mamba_n_groups bos_token_id",
        "decoder_start_token_id",
    ),
    0: ("pad_token_id",),
}
TINY = {name: value for value, names in VALUES.items() for name in " ".join(names).split()} | {"use_cache": False}
CHANCE = {"layerdrop", "encoder_layerdrop", "decoder_layerdrop"}
"""Rates at which layers are left out; all are kept here."""
STAGES = {"hidden_sizes", "embed_dims", "depths", "encoder_hidden_sizes"}
"""Settings of networks in stages, whose widths belong to each other."""

HEADS = (
    auto.MODEL_FOR_CAUSAL_LM_MAPPING,
    auto.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING,
    auto.MODEL_FOR_MASKED_LM_MAPPING,
    auto.MODEL_MAPPING,
    auto.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING,
    auto.MODEL_FOR_MULTIMODAL_LM_MAPPING,
)
ENDINGS = ("Model", "ForConditionalGeneration", "ForDepthEstimation", "ForUniversalSegmentation")


def configured(kind: str, **settings: Any) -> Any:
    """Return a tiny configuration of a type; ``settings`` stay as they are given, those of a part in a dictionary."""
    made = CONFIG_MAPPING[kind]
    default = made()
    aliases = made.attribute_map
    given = vars(default)
    names = given.keys() | aliases.keys()
    small: dict[str, Any] = {}
    if not STAGES & names:
        small = {k: v for k, v in TINY.items() if k in names and aliases.get(k, k) not in TINY.keys() - {k}}
        small = {k: v for k, v in small.items() if not isinstance(given.get(aliases.get(k, k)), (list, tuple, dict))}
    small |= {k: TINY[k] for k in names & {"vocab_size", "use_cache"}} | dict.fromkeys(names & CHANCE, 0.0)
    for inner in made.sub_configs:
        part = getattr(default, inner, None)
        if getattr(part, "model_type", "") in CONFIG_MAPPING and isinstance(settings.get(inner, {}), dict):
            small[inner] = configured(part.model_type, **settings.get(inner, {}))
    small |= {k: v for k, v in settings.items() if k not in small or not isinstance(v, dict)}
    try:
        return made(**small)
    except ValueError:  # it may be that layers are listed that there are no more
        return made(**layers_of(given, small.get("num_hidden_layers", 0)) | small)


def layers_of(given: dict[str, Any], depth: int) -> dict[str, Any]:
    """What is listed layer by layer, for the first ones alone."""
    length = given.get("num_hidden_layers")
    if not isinstance(length, int) or length < 3:
        return {}
    return {k: v[:depth] for k, v in given.items() if isinstance(v, list) and len(v) == length}


def classes_of(config: Any) -> list[type[nn.Module]]:
    """The classes that take the configuration, the automatic ones first."""
    listed = [mapping[type(config)] for mapping in HEADS if type(config) in mapping]
    found = [one for entry in listed for one in (entry if isinstance(entry, list | tuple) else [entry])]
    module = inspect.getmodule(type(config)).__name__.replace(".configuration_", ".modeling_")
    stem = type(config).__name__.removesuffix("Config")
    if importlib.util.find_spec(module) is not None:
        classes = vars(importlib.import_module(module))
        found += [classes[stem + end] for end in ENDINGS if stem + end in classes]
        found += [one for one in classes.values() if getattr(one, "config_class", None) is type(config)]
        found = [one for one in found if not one.__name__.endswith("PreTrainedModel")]
    if not found:
        raise LookupError(f"no class takes {type(config).__name__}")
    return [*dict.fromkeys(found)]


def tokens(length: int = 6) -> Tensor:
    """Token ids of two samples, none of them special."""
    return torch.arange(2 * length).view(2, length) % 26 + 4


GRID = torch.tensor([[1, 4, 4]] * 2)
"""The patches of two pictures: frames, rows, columns."""


def patches(config: Any) -> Tensor:
    """The patches of two pictures as rows, for towers that are told where each picture ends."""
    channels = getattr(config, "in_channels", 0) or getattr(config, "num_channels", 3)
    return torch.randn(32, channels * getattr(config, "temporal_patch_size", 1) * config.patch_size**2)


def candidates(model: nn.Module) -> Iterator[Inputs]:
    """Inputs that a model may take, the likeliest first."""
    names = set(inspect.signature(model.forward).parameters)
    also = {"decoder_input_ids": tokens(4)} if "decoder_input_ids" in names else {}
    config = model.config
    size = next((s for c in (config, *inner(config)) if isinstance(s := getattr(c, "image_size", None), int)), 32)
    pixels = torch.randn(2, 3, size, size)
    mels = next((n for c in (config, *inner(config)) for n in [getattr(c, "num_mel_bins", None)] if n), 80)
    kinds = {
        "input_ids": [{"input_ids": tokens()}],
        "pixel_values": [{"pixel_values": p} for p in (pixels, torch.randn(2, 3, 64, 64), torch.randn(2, 3, 224, 224))],
        "input_values": [{"input_values": torch.randn(2, 1200)}, {"input_values": torch.randn(2, 1, 1200)}],
        "input_features": [{"input_features": torch.randn(s)} for s in ((2, mels, 64), (2, 64, mels))],
        "pixel_values_videos": [{"pixel_values_videos": torch.randn(2, 2, 3, size, size)}],
    }
    first = kinds.pop(model.main_input_name, [])
    yield from (one | also for one in first if model.main_input_name in names)
    if "pixel_values" in names and "input_ids" in names:
        yield {"input_ids": tokens(), "pixel_values": pixels} | also
    if "grid_thw" in names:
        yield {next(iter(inspect.signature(model.forward).parameters)): patches(config), "grid_thw": GRID}
    for name, those in kinds.items():
        yield from (one | also for one in those if name in names)


def inner(config: Any) -> Iterator[Any]:
    """The configurations inside one."""
    for name in type(config).sub_configs:
        part = getattr(config, name, None)
        if part is not None:
            yield part


def built(kind: str, inputs: Inputs | None = None, **settings: Any) -> tuple[nn.Module, Inputs]:
    """Return a tiny model of a type and inputs that it takes, in training mode where it runs in it.

    Raises
    ------
    LookupError
        If it takes none of the inputs; its first words are in the message.
    """
    transformers.logging.set_verbosity_error()
    config = configured(kind, **settings)
    said: list[Exception] = []
    for made in classes_of(config):
        try:
            torch.manual_seed(0)
            model = made(config)
            tried = [inputs] if inputs is not None else list(candidates(model))
        except (AttributeError, TypeError, ValueError) as error:  # the class is for a part of the configuration
            said.append(error)
            continue
        for training, one in itertools.product((True, False), tried):
            try:
                with torch.random.fork_rng():
                    out = model.train(training)(**with_gradients(one))
            except Exception as error:  # whatever it is, the next kind of inputs may do
                said.append(error)
            else:
                if out is not None:
                    return model, one
    raise LookupError(f"{kind} takes none of the inputs: {[f'{type(e).__name__} {e}' for e in said[:2]]}")


def with_gradients(inputs: Inputs) -> Inputs:
    """Inputs that are leaves, as those of a measurement are."""
    return {
        k: v.clone().requires_grad_() if isinstance(v, Tensor) and v.is_floating_point() else v
        for k, v in inputs.items()
    }
