"""Networks from torchvision and timm, as they come or made small, for those who have these packages."""

from case import Built, Case, identity, of
from torch import nn


def torchvision(name: str, size: int = 32, **settings: object) -> Built:
    from torchvision import models

    return of(getattr(models, name)(num_classes=3, **settings).train(), 2, 3, size, size)


def timm(name: str, size: int = 32, **settings: object) -> Built:
    import timm

    return of(timm.create_model(name, num_classes=3, **settings).train(), 2, 3, size, size)


def stages(*depths: int, name: str = "layer{}.{}", side: int = 0, first: int = 1, projected: tuple[int, ...] = ()):
    return [
        (name.format(k, l), side, "projected" if l == 0 and k in projected else "identity")
        for k, depth in enumerate(depths, start=first)
        for l in range(depth)
    ]


def swin_of_torchvision() -> Built:
    from torchvision.models.swin_transformer import SwinTransformer

    return of(SwinTransformer([2, 2], 8, [2, 2], [2, 2], [4, 4], num_classes=3), 2, 3, 16, 16)


def vit_of_torchvision() -> Built:
    from torchvision.models import VisionTransformer

    model = VisionTransformer(16, 8, 2, 2, 8, 12, num_classes=3)
    nn.init.normal_(model.heads.head.weight)
    return of(model, 2, 3, 16, 16)


def convnext_of_torchvision() -> Built:
    from torchvision.models.convnext import CNBlockConfig, ConvNeXt

    return of(ConvNeXt([CNBlockConfig(4, 6, 2), CNBlockConfig(6, None, 2)], num_classes=3), 2, 3, 32, 32)


def mixer_of_timm() -> Built:
    from timm.models.mlp_mixer import MlpMixer

    model = MlpMixer(num_classes=3, img_size=8, patch_size=4, num_blocks=2, embed_dim=8)
    nn.init.normal_(model.head.weight)
    return of(model, 2, 3, 8, 8)


TORCHVISION = ("torchvision",)
TIMM = ("timm",)

CASES = {
    "torchvision resnet18": Case(
        lambda: torchvision("resnet18"),
        stages(2, 2, 2, 2, projected=(2, 3, 4)),
        21,
        exits="{}.conv2".format,
        needs=TORCHVISION,
    ),
    "torchvision resnet50": Case(
        lambda: torchvision("resnet50"),
        stages(3, 4, 6, 3, projected=(1, 2, 3, 4)),
        54,
        exits="{}.conv3".format,
        needs=TORCHVISION,
    ),
    "torchvision densenet121": Case(lambda: torchvision("densenet121"), [], 121, needs=TORCHVISION),
    "torchvision mobilenet_v2": Case(
        lambda: torchvision("mobilenet_v2"),
        identity(*(f"features.{l}.conv" for l in (3, 5, 6, 8, 9, 10, 12, 13, 15, 16))),
        53,
        exits="{}.2".format,
        needs=TORCHVISION,
    ),
    "torchvision convnext": Case(
        convnext_of_torchvision,
        identity(*(f"features.{s}.{l}.block" for s in (1, 3) for l in range(2)), side=0),
        15,
        exits="{}.5".format,
        needs=TORCHVISION,
    ),
    "torchvision swin": Case(
        swin_of_torchvision,
        identity(*(f"features.{s}.{l}.{part}" for s in (1, 3) for l in range(2) for part in ("attn", "mlp"))),
        19,  # Q, K and V are packed
        exits=lambda name: f"{name}.3" if name.endswith("mlp") else "",  # attention is called as a function
        needs=TORCHVISION,
    ),
    "torchvision vit": Case(
        vit_of_torchvision,
        [
            (f"encoder.layers.encoder_layer_{l}.{part}", side, "identity")
            for l in range(2)
            for side, part in enumerate(("self_attention", "mlp"))
        ],
        10,
        exits=lambda name: f"{name}.3" if name.endswith("mlp") else "",
        needs=TORCHVISION,
    ),
    "timm resnetv2": Case(
        lambda: timm("resnetv2_50", layers=(1, 2)),
        stages(1, 2, name="stages.{}.blocks.{}", first=0, projected=(0, 1)),
        exits="{}.conv3".format,
        needs=TIMM,
    ),
    "timm convnext": Case(
        lambda: timm("convnext_atto", depths=(1, 2, 1, 1), dims=(4, 6, 8, 10)),
        stages(1, 2, 1, 1, name="stages.{}.blocks.{}", first=0),
        exits="{}.mlp.fc2".format,
        needs=TIMM,
    ),
    "timm vit": Case(
        lambda: timm("vit_tiny_patch16_224", img_size=32, depth=2, embed_dim=12, num_heads=2),
        identity(*(f"blocks.{l}.{part}" for l in range(2) for part in ("attn", "mlp"))),
        10,
        exits=lambda name: f"{name}.{'proj' if name.endswith('attn') else 'fc2'}",
        needs=TIMM,
    ),
    "timm mixer": Case(
        mixer_of_timm,
        identity(*(f"blocks.{l}.{part}" for l in range(2) for part in ("mlp_tokens", "mlp_channels"))),
        10,
        exits="{}.fc2".format,
        needs=TIMM,
    ),
    "timm cait": Case(  # the class token's stream starts from a parameter, and reads all patches twice
        lambda: timm("cait_xxs24_224", img_size=32, depth=2, embed_dim=12, num_heads=2),
        identity(*(f"blocks.{l}.{part}" for l in range(2) for part in ("attn", "mlp")))
        + identity("blocks_token_only.0.mlp", "blocks_token_only.1.attn", "blocks_token_only.1.mlp"),
        exits=lambda name: f"{name}.{'proj' if name.endswith('attn') else 'fc2'}",
        needs=TIMM,
    ),
}
