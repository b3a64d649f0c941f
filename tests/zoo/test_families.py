"""Each family of models: as many blocks as its source has residual sums, with the reason where it is another number."""

from zlib import crc32

import diffusion
import diffusion_transformers
import of_diffusers_coders
import of_diffusers_more_coders
import of_diffusers_more_transformers
import of_diffusers_parts
import of_diffusers_transformers
import of_diffusers_unets
import of_timm
import of_torchvision
import of_transformers
import of_transformers_language
import of_transformers_sound
import of_transformers_vision
import peft_methods
import pytest
import torch
from transformers_not_built import NOT_BUILT

import skipglass as sg
from skipglass.graph.forward import prediction

pytestmark = pytest.mark.zoo

TABLES = (
    of_timm,
    of_torchvision,
    of_transformers,
    of_transformers_language,
    of_transformers_vision,
    of_transformers_sound,
    diffusion,
    diffusion_transformers,
    of_diffusers_transformers,
    of_diffusers_more_transformers,
    of_diffusers_unets,
    of_diffusers_coders,
    of_diffusers_more_coders,
    of_diffusers_parts,
    peft_methods,
)
FAMILIES = {name: family for table in TABLES for name, family in table.FAMILIES.items()}


def within(outputs):
    """The tensors of outputs that are lists of lists."""
    if isinstance(outputs, torch.Tensor):
        return [outputs]
    parts = outputs.values() if isinstance(outputs, dict) else outputs if isinstance(outputs, list | tuple) else ()
    return [tensor for part in parts for tensor in within(part)]


def reading(outputs):
    """A random reading of what a model predicts, on which every entry of it bears."""
    parts = tuple(outputs.values()) if isinstance(outputs, dict) else outputs
    nested = isinstance(parts, tuple) and all(isinstance(part, list | tuple) for part in parts)
    predicted = within(parts) if nested else [prediction(outputs)]
    random = torch.Generator().manual_seed(1)
    return sum((y * torch.randn(y.shape, generator=random)).sum() for y in predicted)


@pytest.mark.filterwarnings("ignore")  # the libraries' own
@pytest.mark.parametrize("name", FAMILIES)
def test_each_family_has_the_blocks_of_its_source(name):
    family = FAMILIES[name]
    model, inputs = family.build()
    t = sg.trace(model, inputs, loss_fn=reading)
    outline = t.outline
    names = [block.name for block in outline.blocks]
    assert len(names) == (family.blocks if family.found is None else family.found), f"{names}\n{outline.summary()}"
    assert len(set(names)) == len(names)
    assert all(names)
    doubts = [*outline.doubts("blocks"), outline.skips_left_out()]
    # nothing is left out, and nothing is doubtful, without a word and without a reason
    assert any(doubts) == family.doubtful, doubts
    assert not any(name.startswith("block ") for name in names), names  # a name says where
    assert family.reason or not (any(doubts) or family.found is not None)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", [name for name in FAMILIES if crc32(name.encode()) % 5 == 0])
def test_what_the_blocks_carry_sums_to_the_depth_of_the_spectrum(name):
    model, inputs = FAMILIES[name].build()
    t = sg.trace(model, inputs, loss_fn=reading)
    s = sg.paths.spectrum(t)
    parts = [sg.paths.participation_of(t).effective_depth, sg.paths.moments(t, unit="blocks").mean]
    assert parts == pytest.approx([s.effective_depth] * 2, rel=1e-4, abs=1e-4 * s.cancellation, nan_ok=True)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("name", "inside"),
    [
        ("hf zamba2", [f"model.layers.{k}" for k in (0, 1, 1, 2, 3, 3)]),
        ("hf gemma4_text", [f"model.layers.{k}" for k in (0, 0, 0, 1, 1, 1)]),
    ],
)
def test_layers_that_share_their_weights_are_named_by_where_they_are_used(name, inside):
    model, inputs = FAMILIES[name].build()
    names = [block.name for block in sg.trace(model, inputs, loss_fn=reading).outline.blocks]
    assert ["".join(name.partition(layer)[:2]) for name, layer in zip(names, inside, strict=True)] == inside, names


def test_each_type_of_transformers_is_built_or_there_is_a_reason():
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    built = {name.removeprefix("hf ") for name in FAMILIES if name.startswith("hf ")}
    not_built = [kind for kinds in NOT_BUILT.values() for kind in kinds.split()]
    assert built.isdisjoint(not_built)
    assert sorted({*built, *not_built}) == sorted(CONFIG_MAPPING)


def test_each_model_of_diffusers_is_built_or_there_is_a_reason():
    import diffusers

    exported = {name for name in dir(diffusers) if is_model(getattr(diffusers, name))} - {"ModelMixin"}
    tables = [table for table in TABLES if table.__name__.startswith("of_diffusers")]
    rows = diffusion.ROWS | diffusion_transformers.ROWS
    built = {made for made, *_ in rows.values()} | {name for table in tables for name in table.ROWS}
    not_built = [name for names in of_diffusers_coders.NOT_BUILT.values() for name in names.split()]
    assert built.isdisjoint(not_built)
    assert sorted({*built, *not_built}) == sorted(exported)


def test_a_model_of_each_file_of_timm_is_built():
    import timm

    files = {timm.models.model_entrypoint(name.removeprefix("timm ")).__module__ for name in of_timm.FAMILIES}
    assert sorted(file.rpartition(".")[2] for file in files) == sorted(timm.list_modules())


def test_a_model_of_each_file_of_torchvision_is_built():
    from torchvision.models import get_model_builder, list_models

    built = {get_model_builder(name).__module__ for name in of_torchvision.MODULES}
    assert sorted(built) == sorted({get_model_builder(name).__module__ for name in list_models()})


def test_each_method_of_peft_is_built():
    import peft

    known = {config.__name__ for config in peft.PEFT_TYPE_TO_CONFIG_MAPPING.values()}
    assert sorted(peft_methods.CONFIGS) == sorted(known)


def is_model(entry):
    from diffusers import ModelMixin

    return isinstance(entry, type) and issubclass(entry, ModelMixin)
