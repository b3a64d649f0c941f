"""`skipglass measure` on models of the libraries, by their specs, and the names that it prints."""

import json

import pytest
import recipe

pytestmark = [pytest.mark.zoo, pytest.mark.filterwarnings("ignore")]


def profile_of(skipglass, *arguments):
    status, out, err = skipglass("measure", *arguments, "--batch", 2, "--json")
    assert status == 0, err
    return json.loads(out)


@pytest.mark.parametrize(
    ("spec", "shape", "blocks"),
    [
        ("timm:test_vit", "3,160,160", 12),
        ("timm:test_convnext3", "3,64,64", 4),
        ("timm:test_mambaout", "3,64,64", 6),
        ("torchvision:mobilenet_v3_small", "3,64,64", 6),
        ("torchvision:shufflenet_v2_x0_5", "3,64,64", 0),
    ],
)
def test_vision_models_have_their_blocks(skipglass, spec, shape, blocks):
    told = profile_of(skipglass, spec, "--shape", shape)
    assert len(told["blocks"]) == blocks
    assert sum(told["share"]) == pytest.approx(1)


@pytest.mark.parametrize("kind", ["bert", "deepseek_v3", "gpt2", "mamba", "qwen3_moe", "t5"])
def test_language_models_have_their_blocks(skipglass, tmp_path, kind):
    config = recipe.configured(kind)
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config.to_dict(), default=str))
    told = profile_of(skipglass, f"hf:{path}", "--tokens", 6)
    assert len(told["blocks"]) == (8 if kind == "t5" else 4)
