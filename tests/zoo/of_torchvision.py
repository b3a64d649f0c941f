"""Models of torchvision, with random weights: the residual sums of each, as its source has them."""

from functools import partial
from typing import Any

import torch
from family import Family, Inputs
from torch import nn

__all__ = ["FAMILIES"]

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
# name: residual sums, frames, size, reason
FILMS = {
    "r3d_18": (8, 4, 16, ""),
    "mc3_18": (8, 4, 16, ""),
    "r2plus1d_18": (8, 4, 16, ""),
    "swin3d_t": (24, 4, 32, ""),
}


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
    return torchvision.models.get_model(name, weights=None, num_classes=3).train(), torch.randn(
        2, 3, frames, size, size
    )


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


FAMILIES = (
    {f"torchvision {name}": Family(partial(picture, name, size), n, why) for name, (n, size, why) in PICTURES.items()}
    | {
        f"torchvision {name}": Family(partial(picture, name, size, "models.segmentation"), n, why)
        for name, (n, size, why) in SEGMENTATION.items()
    }
    | {f"torchvision {name}": Family(partial(film, name, *size), n, why) for name, (n, *size, why) in FILMS.items()}
    | {f"torchvision {name}": Family(partial(flow, name), 12) for name in ("raft_small", "raft_large")}
    | {"torchvision maxvit": Family(maxvit, 10, "two blocks of a convolution, two attentions and two MLPs")}
    | {"torchvision feature pyramid": Family(pyramid, 11, "8 of a ResNet, 3 where levels meet; the finest is read")}
)
