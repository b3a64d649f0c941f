"""Networks with batch norms in many places, their scales and statistics drawn at random."""

import torch
from torch import nn

from skipglass.models import CifarResNet, DenseNet

IMAGES = (3, 32, 32)


def transformers_resnet():
    from transformers import ResNetConfig, ResNetForImageClassification

    config = ResNetConfig(embedding_size=4, hidden_sizes=[4, 8], depths=[1, 2], layer_type="basic", num_labels=3)
    return ResNetForImageClassification(config)


def chain():
    """Behind a ReLU and a pool, grouped and transposed convolutions, without affine, flattened, linear."""
    return nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.ReLU(), nn.BatchNorm2d(8),
        nn.Conv2d(8, 8, 3, groups=4), nn.MaxPool2d(2), nn.BatchNorm2d(8),
        nn.ConvTranspose2d(8, 6, 2, groups=2), nn.BatchNorm2d(6, affine=False), nn.ReLU(),
        nn.ConvTranspose2d(6, 4, 2, groups=2), nn.AdaptiveAvgPool2d(2), nn.Tanh(),
        nn.BatchNorm2d(4), nn.LeakyReLU(), nn.Flatten(), nn.Linear(16, 7), nn.BatchNorm1d(7),
    )  # fmt: skip


def grouped_behind():
    """Norms that only the weight behind can take up: grouped, transposed and grouped, on a sequence."""
    return nn.Sequential(
        nn.Tanh(), nn.BatchNorm1d(6), nn.ReLU(), nn.Conv1d(6, 4, 3, groups=2), nn.Tanh(), nn.BatchNorm1d(4),
        nn.ConvTranspose1d(4, 6, 2, groups=2), nn.Tanh(), nn.BatchNorm1d(6),
    )  # fmt: skip


class Tokens(nn.Module):
    """Linear layers on (samples, tokens, features), batch norm on (samples, features, tokens); and W h."""

    def __init__(self):
        super().__init__()
        self.first, self.norm = nn.Linear(5, 6), nn.BatchNorm1d(6)
        self.second = nn.Parameter(torch.randn(4, 6))
        self.frozen = nn.Linear(4, 3).requires_grad_(False)
        self.last = nn.BatchNorm1d(3)

    def forward(self, x):
        h = self.norm(self.first(x).transpose(1, 2)).relu().mean(dim=2)
        return self.last(self.frozen((self.second @ h.T).T).clone())


# name: (network, shape of one sample, batch norms that a weight takes up, those that none does)
CASES = {
    "post-activation": (lambda: CifarResNet(8, width=0.25), IMAGES, 7, 0),
    "pre-activation": (lambda: CifarResNet(8, width=0.25, preactivation=True), IMAGES, 7, 0),
    "dense": (lambda: DenseNet(7, growth=4), IMAGES, 6, 0),
    "transformers": (transformers_resnet, IMAGES, 8, 0),
    "chain": (chain, (3, 12, 12), 5, 0),
    "grouped": (grouped_behind, (6, 9), 2, 1),
    "tokens": (Tokens, (7, 5), 2, 0),
}


def drawn(name, dtype=torch.float64):
    """The network of a case, in eval mode with random scales (of both signs) and statistics, and a batch."""
    torch.manual_seed(0)
    make, shape, *_ = CASES[name]
    model = make().to(dtype).eval()
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.running_mean.normal_()
                module.running_var.uniform_(0.5, 2)
                if module.affine:
                    module.weight.normal_()
                    module.bias.normal_()
    return model, torch.randn(4, *shape, dtype=dtype)


def outputs(model, x):
    with torch.no_grad():
        y = model(x)
    return getattr(y, "logits", y)
