"""Models of torchvision, one or more of each of its files, with random weights: the residual sums, by its source."""

from functools import partial
from typing import Any

import pytest
import torch
from family import Family, Inputs
from torch import Tensor, nn

__all__ = ["FAMILIES", "MODULES"]

FIRST = "the first block of a stage has stride 2 or another width, and no shortcut"

# name: residual sums, size of the picture, reason
PICTURES: dict[str, tuple[int, int, str]] = {
    "alexnet": (0, 64, ""),
    "vgg11_bn": (0, 32, ""),
    "squeezenet1_0": (0, 64, "its fire modules join two convolutions side by side"),
    "googlenet": (0, 64, ""),
    "inception_v3": (0, 299, ""),
    "densenet121": (0, 32, "all earlier features side by side"),
    "shufflenet_v2_x0_5": (0, 32, "half of the channels pass untouched, beside the others"),
    "resnet18": (8, 32, ""),
    "resnet50": (16, 32, ""),
    "resnext50_32x4d": (16, 32, ""),
    "wide_resnet50_2": (16, 32, ""),
    "regnet_x_400mf": (22, 32, ""),
    "regnet_y_400mf": (16, 32, ""),
    "mnasnet0_5": (10, 32, FIRST),
    "mobilenet_v2": (10, 32, FIRST),
    "mobilenet_v3_small": (6, 32, FIRST),
    "mobilenet_v3_large": (10, 32, FIRST),
    "efficientnet_b0": (9, 32, FIRST),
    "efficientnet_v2_s": (35, 32, FIRST),
    "convnext_tiny": (18, 32, ""),
    "swin_t": (24, 32, ""),
    "swin_v2_t": (24, 32, ""),
    "vit_b_16": (24, 32, ""),
}
SEGMENTATION = {
    "deeplabv3_resnet50": (16, 64, ""),
    "deeplabv3_mobilenet_v3_large": (10, 64, FIRST),
    "fcn_resnet50": (16, 64, ""),
    "lraspp_mobilenet_v3_large": (11, 64, "10, and the sum of a projected early feature and the last ones"),
}
GATED = "6 in each of two encoders; its recurrent unit gates a state, which is no skip connection"
# name: residual sums, frames, size, reason
FILMS = {
    "r3d_18": (8, 4, 16, ""),
    "mc3_18": (8, 4, 16, ""),
    "r2plus1d_18": (8, 4, 16, ""),
    "swin3d_t": (24, 4, 32, ""),
    "s3d": (0, 16, 32, "its inception modules stand side by side"),
}
# name: residual sums, of them found, reason
MULTISCALE: dict[str, tuple[int, int, str]] = {
    "mvit_v1_b": (32, 32, "two for each of sixteen layers"),
    "mvit_v2_s": (
        48,
        32,
        "two for each of sixteen layers, and in each attention the query's pool is added in place to a slice of the "
        "output, `x[:, :, 1:] += q[:, :, 1:]`: autograd keeps it as one operation, which is said to be doubtful",
    ),
}
# name: residual sums, reason
TOP_DOWN = "of the backbone, and where two levels of the pyramid meet"
REGIONS = f"{TOP_DOWN}; the pooling of regions is a custom function"
DETECTORS: dict[str, tuple[int, str]] = {
    "fasterrcnn_resnet50_fpn": (19, f"16 and 3 {REGIONS}"),
    "fasterrcnn_mobilenet_v3_large_fpn": (11, f"10 and 1 {REGIONS}"),
    "maskrcnn_resnet50_fpn": (19, f"16 and 3 {REGIONS}"),
    "keypointrcnn_resnet50_fpn": (19, f"16 and 3 {REGIONS}"),
    "fcos_resnet50_fpn": (18, f"16 and 2 {TOP_DOWN}"),
    "retinanet_resnet50_fpn": (18, f"16 and 2 {TOP_DOWN}"),
    "ssd300_vgg16": (0, ""),
    "ssdlite320_mobilenet_v3_large": (10, FIRST),
}
QUANTIZABLE: dict[str, tuple[int, int, str]] = {
    "quantized_resnet18": (8, 32, ""),
    "quantized_mobilenet_v2": (10, 32, FIRST),
    "quantized_mobilenet_v3_large": (10, 32, FIRST),
    "quantized_shufflenet_v2_x0_5": (0, 32, ""),
    "quantized_googlenet": (0, 64, ""),
    "quantized_inception_v3": (0, 299, ""),
}
"""Before they are quantized: their sums are those of `FloatFunctional`."""


def picture(name: str, size: int, package: str = "models") -> tuple[nn.Module, Inputs]:
    import torchvision

    torch.manual_seed(0)
    settings: dict[str, Any] = {"init_weights": False} if name in {"googlenet", "inception_v3"} else {}
    if package == "models.segmentation":
        settings["weights_backbone"] = None
    if name.startswith("vit"):
        settings |= {"image_size": size}
    model = torchvision.models.get_model(name, weights=None, num_classes=3, **settings).train()
    return model, torch.randn(2, 3, size, size)


def film(name: str, frames: int, size: int) -> tuple[nn.Module, Inputs]:
    import torchvision

    torch.manual_seed(0)
    model = torchvision.models.get_model(name, weights=None, num_classes=3).train()
    if name == "s3d":
        model.avgpool = nn.AdaptiveAvgPool3d(1)  # its own takes no less than 224 pixels
    return model, torch.randn(2, 3, frames, size, size)


def multiscale(name: str) -> tuple[nn.Module, Inputs]:
    """A video transformer in its own depth, for films smaller than its builders allow."""
    import torchvision.models.video.mvit as module

    made, torch_sizes = module.MViT, {"spatial_size": (32, 32), "temporal_size": 4}
    torch.manual_seed(0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "MViT", lambda **settings: made(**settings | torch_sizes))
        model = getattr(module, name)(weights=None, num_classes=3)
    return model.train(), torch.randn(2, 3, 4, 32, 32)


class Losses(nn.Module):
    """The losses of a detector on pictures with one box each."""

    def __init__(self, detector: nn.Module):
        super().__init__()
        self.detector = detector
        self.truth = {
            "boxes": torch.tensor([[8.0, 8.0, 40.0, 40.0]]),
            "labels": torch.tensor([1]),
            "masks": torch.ones(1, 64, 64, dtype=torch.uint8),
            "keypoints": torch.tensor([[[16.0, 16.0, 1.0]] * 17]),
        }

    def forward(self, pictures: Tensor) -> Tensor:
        losses = self.detector(list(pictures), [self.truth] * len(pictures))
        return torch.stack([*losses.values()])


def detector(name: str) -> tuple[nn.Module, Inputs]:
    import torchvision

    torch.manual_seed(0)
    settings: dict[str, Any] = {} if name.startswith("ssd") else {"min_size": 64, "max_size": 64}
    model = torchvision.models.get_model(
        name, weights=None, weights_backbone=None, num_classes=2, trainable_backbone_layers=None, **settings
    )
    if name.startswith("ssd"):
        model.transform.fixed_size = (64, 64) if "lite" in name else (272, 272)  # as small as its convolutions allow
    return Losses(model.train()), torch.rand(1 if name == "ssd300_vgg16" else 2, 3, 64, 64)


def maxvit() -> tuple[nn.Module, Inputs]:
    from torchvision.models.maxvit import MaxVit

    torch.manual_seed(0)
    model = MaxVit((32, 32), 8, 2, [8, 8], [1, 1], 4, stochastic_depth_prob=0.1, num_classes=3)
    return model.train(), torch.randn(2, 3, 32, 32)


def flow(name: str) -> tuple[nn.Module, Inputs]:
    """Optical flow between two pictures; the last of its estimates is read."""
    import torchvision

    torch.manual_seed(0)
    model = torchvision.models.get_model(name, weights=None).train()
    return model, {"image1": torch.randn(1, 3, 128, 128), "image2": torch.randn(1, 3, 128, 128), "num_flow_updates": 2}


def pyramid() -> tuple[nn.Module, Inputs]:
    from torchvision.models.detection.backbone_utils import resnet_fpn_backbone

    torch.manual_seed(0)
    model = resnet_fpn_backbone(backbone_name="resnet18", weights=None, trainable_layers=5)
    return model.train(), torch.randn(2, 3, 64, 64)


def quantizable(name: str, size: int) -> tuple[nn.Module, Inputs]:
    import torchvision

    torch.manual_seed(0)
    settings: dict[str, Any] = {"init_weights": False} if name.endswith(("googlenet", "inception_v3")) else {}
    model = torchvision.models.get_model(name, weights=None, num_classes=3, quantize=False, **settings)
    return model.train(), torch.randn(2, 3, size, size)


BY_NAME = (
    {name: Family(partial(picture, name, size), n, why) for name, (n, size, why) in PICTURES.items()}
    | {
        name: Family(partial(picture, name, size, "models.segmentation"), n, why)
        for name, (n, size, why) in SEGMENTATION.items()
    }
    | {name: Family(partial(film, name, *size), n, why) for name, (n, *size, why) in FILMS.items()}
    | {
        name: Family(partial(multiscale, name), n, why, found, doubtful=n != found)
        for name, (n, found, why) in MULTISCALE.items()
    }
    | {name: Family(partial(detector, name), n, why, doubtful="custom" in why) for name, (n, why) in DETECTORS.items()}
    | {name: Family(partial(quantizable, name, size), n, why) for name, (n, size, why) in QUANTIZABLE.items()}
    | {name: Family(partial(flow, name), 12, GATED) for name in ("raft_small", "raft_large")}
)
FAMILIES = {f"torchvision {name}": family for name, family in BY_NAME.items()} | {
    "torchvision maxvit": Family(maxvit, 10, "two blocks of a convolution, two attentions and two MLPs"),
    "torchvision feature pyramid": Family(pyramid, 11, "8 of a ResNet, 3 where levels meet; the finest is read"),
}
MODULES = [*BY_NAME, "maxvit_t"]
"""Names of models, one or more of each file of torchvision."""
