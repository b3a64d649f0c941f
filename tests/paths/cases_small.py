"""Small networks, each with one feature of architecture or of autograd."""

import torch
import torch.utils.checkpoint
from case import Case, identity, of
from torch import nn

from skipglass.models import ResidualMLP


class ConvBlock(nn.Module):
    def __init__(self, width, out, stride, pre):
        super().__init__()
        self.pre = pre
        self.bn1, self.bn2 = nn.BatchNorm2d(width if pre else out), nn.BatchNorm2d(out)
        self.conv1 = nn.Conv2d(width, out, 3, stride, 1, bias=False)
        self.conv2 = nn.Conv2d(out, out, 3, 1, 1, bias=False)
        self.relu = nn.ReLU(inplace=True)
        self.down = None
        if stride > 1 or width != out:
            self.down = nn.Conv2d(width, out, 1, stride, bias=False)
            if not pre:
                self.down = nn.Sequential(self.down, nn.BatchNorm2d(out))

    def forward(self, x):
        if self.pre:
            h = self.relu(self.bn1(x))
            branch = self.conv2(self.relu(self.bn2(self.conv1(h))))
            return branch + (x if self.down is None else self.down(h))
        branch = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        branch += x if self.down is None else self.down(x)
        return self.relu(branch)


class ConvNet(nn.Module):
    def __init__(self, pre):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, 1, 1)
        self.layer1 = nn.Sequential(ConvBlock(4, 4, 1, pre), ConvBlock(4, 4, 1, pre))
        self.layer2 = nn.Sequential(ConvBlock(4, 6, 2, pre), ConvBlock(6, 6, 1, pre))
        self.fc = nn.Linear(6, 3)

    def forward(self, x):
        return self.fc(self.layer2(self.layer1(self.conv(x).relu())).mean((2, 3)))


class Nested(nn.Module):
    """An outer branch that holds an inner residual block between two weights."""

    def __init__(self):
        super().__init__()
        self.enter, self.leave, self.f = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x):
        h = self.enter(x).tanh()
        return x + self.leave(h + self.f(h).tanh())


class Step(nn.Module):
    def __init__(self, width=4):
        super().__init__()
        self.f = nn.Linear(width, width)

    def forward(self, x):
        return x + self.f(x).tanh()


class UNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = Step(), Step(2), Step(6)
        self.down, self.up = nn.Linear(4, 2), nn.Linear(2, 2)

    def forward(self, x):
        a = self.a(x)
        b = self.b(self.down(a).relu())
        return self.c(torch.cat([a, self.up(b)], 1))


class DenseNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(4 + 2 * l, 2) for l in range(4))

    def forward(self, x):
        for layer in self.layers:
            x = torch.cat([x, layer(x).relu()], 1)
        return x


class Shared(nn.Module):
    """One block used three times."""

    def __init__(self):
        super().__init__()
        self.step = Step()

    def forward(self, x):
        return self.step(self.step(self.step(x)))


class Auxiliary(nn.Module):
    """A second classifier on the way, and an activation written as a sum."""

    def __init__(self):
        super().__init__()
        self.one, self.two, self.side, self.head = Step(), Step(), nn.Linear(4, 3), nn.Linear(4, 3)

    def forward(self, x):
        h = self.one(x)
        h = 0.5 * h * (1 + torch.tanh(0.8 * (h + 0.0447 * h**3)))
        return self.head(self.two(h)).log_softmax(1) + 0.3 * self.side(h).log_softmax(1)


class Elman(nn.Module):
    """A recurrence over pieces of the input."""

    def __init__(self):
        super().__init__()
        self.enter, self.step = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x):
        h = torch.tanh(self.enter(x[:, 0]))
        for t in (1, 2):
            h = torch.tanh(self.enter(x[:, t]) + self.step(h))
        return h


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm, self.head = nn.LSTM(4, 4, batch_first=True), nn.Linear(4, 3)

    def forward(self, x):
        return self.head(self.lstm(x)[0][:, -1])


class Checkpointed(nn.Module):
    def __init__(self):
        super().__init__()
        self.steps = nn.ModuleList(Step() for _ in range(3))

    def forward(self, x):
        for step in self.steps:
            x = torch.utils.checkpoint.checkpoint(step, x, use_reentrant=False)
        return x


class Written(nn.Module):
    """Branches written in place: on a view, with a broadcast gain and a subtraction."""

    def __init__(self):
        super().__init__()
        self.f, self.g, self.gain = nn.Linear(4, 4), nn.Linear(4, 1), nn.Parameter(torch.full((4,), 0.3))

    def forward(self, x):
        h = x + self.gain * torch.relu(self.f(x))
        h = h - torch.tanh(self.g(h))  # broadcast over the units
        h = h.clone()
        h[:, :2].mul_(2.0)
        return h


def frozen(model):
    return model.requires_grad_(False)


class Lora(nn.Module):
    def __init__(self):
        super().__init__()
        self.base, self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 2), nn.Linear(2, 4)
        self.base.requires_grad_(False)

    def forward(self, x):
        return x + torch.tanh(self.base(x) + self.b(self.a(x)))


class Highway(nn.Module):
    def __init__(self):
        super().__init__()
        self.f, self.gate = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x):
        t = torch.sigmoid(self.gate(x))
        return t * torch.relu(self.f(x)) + (1 - t) * x


class Half(nn.Module):
    """Under autocast, in bfloat16 where autocast says so."""

    def __init__(self, *steps):
        super().__init__()
        self.steps = nn.Sequential(*steps)

    def forward(self, x):
        with torch.autocast("cpu", torch.bfloat16):
            return self.steps(x).float()


def perceptron():
    return nn.Linear(4, 8), Step(8), Step(8), nn.Linear(8, 3)


class Scaled(nn.Module):
    """LayerScale at the value of its paper, and dropout: long paths are faint."""

    def __init__(self):
        super().__init__()
        self.f, self.gain = nn.Sequential(nn.LayerNorm(4), nn.Linear(4, 4)), nn.Parameter(torch.full((4,), 1e-6))

    def forward(self, x):
        return x + nn.functional.dropout(self.gain * self.f(x), 0.2)


def convolutions(pre):
    names = ["layer1.0", "layer1.1", "layer2.0", "layer2.1"]
    return Case(
        lambda: of(ConvNet(pre), 4, 3, 6, 6),
        [(name, 0, "projected" if name == "layer2.0" else "identity") for name in names],
        weights=11,
        exits="{}.conv2".format,
    )


class Pair(nn.Module):
    """Two inputs, each with a block of its own, and one around what they make together."""

    def __init__(self):
        super().__init__()
        self.one, self.two, self.both, self.join = Step(), Step(3), Step(), nn.Linear(3, 4)

    def forward(self, a, b):
        return self.both(torch.tanh(self.one(a) + self.join(self.two(b))))


def of_two():
    model, a, _ = of(Pair(), 3, 4)
    b = torch.randn(3, 3, dtype=a.dtype, requires_grad=True)
    return model, (a, b), lambda: nn.functional.cross_entropy(model(a, b), torch.arange(3))


CASES = {
    "two targets": Case(of_two, identity("one.f", "two.f", "both.f"), 4),
    "residual MLP": Case(
        lambda: of(ResidualMLP(5, 3, depth=4, width=6, normalization="paper"), 4, 5),
        identity("layers.1", "layers.2", "layers.3", side=0),
        weights=5,
        exits=lambda _: "",  # a layer adds its shortcut itself
    ),
    "post-activation ResNet": convolutions(pre=False),
    "pre-activation ResNet": convolutions(pre=True),  # its projection shares a ReLU with the branch: the join
    "LoRA": Case(lambda: of(nn.Sequential(Lora(), Lora()), 3, 4), identity("0", "1"), 6, exits="{0}.base {0}.b".format),
    "highway": Case(lambda: of(nn.Sequential(Highway(), Highway()), 3, 4), [], weights=4),
    "nested": Case(
        lambda: of(nn.Sequential(Nested(), Nested()), 3, 4),
        identity("0.f", "0", "1.f", "1"),
        weights=6,
        exits=lambda name: name if "." in name else f"{name}.leave",
    ),
    "encoder-decoder": Case(lambda: of(UNet(), 3, 4), identity("a.f", "b.f", "c.f"), weights=5),
    "dense net": Case(lambda: of(DenseNet(), 3, 4), [], weights=4),
    "shared": Case(lambda: of(Shared(), 3, 4), identity("step.f", "step.f#2", "step.f#3"), weights=3),
    "auxiliary": Case(lambda: of(Auxiliary(), 3, 4), identity("one.f", "two.f"), 4),
    "recurrence": Case(lambda: of(Elman(), 3, 3, 4), [], weights=5),
    "LSTM": Case(lambda: of(Recurrent(), 3, 2, 4), []),
    "checkpointed": Case(lambda: of(Checkpointed(), 3, 4), identity(*(f"steps.{l}.f" for l in range(3))), 3),
    "frozen": Case(
        lambda: of(frozen(ConvNet(pre=False)), 4, 3, 6, 6),
        convolutions(pre=False).blocks,
        weights=11,
        exits="{}.conv2".format,
    ),
    "in place": Case(
        lambda: of(nn.Sequential(Written(), Written()), 3, 4), identity("0.f", "0.g", "1.f", "1.g"), weights=4
    ),
    "autocast": Case(
        lambda: of(Half(*perceptron()), 3, 4, dtype=torch.float32), identity("steps.1.f", "steps.2.f"), 4, error=2e-2
    ),
    "all frozen under autocast": Case(
        lambda: of(frozen(Half(*perceptron())), 3, 4, dtype=torch.float32),
        identity("steps.1.f", "steps.2.f"),
        4,
        error=2e-2,
    ),
    "frozen convolutions under autocast": Case(
        lambda: of(frozen(Half(ConvNet(pre=False))), 4, 3, 6, 6, dtype=torch.float32),
        [(f"steps.0.{name}", *rest) for name, *rest in convolutions(pre=False).blocks],
        weights=11,
        error=2e-2,
        exits="{}.conv2".format,
    ),
    "LoRA under autocast": Case(
        lambda: of(Half(Lora(), Lora()), 3, 4, dtype=torch.float32),
        identity("steps.0", "steps.1"),
        6,
        error=2e-2,
        exits="{0}.base {0}.b".format,
    ),
    "LayerScale and dropout": Case(
        lambda: of(nn.Sequential(*(Scaled() for _ in range(8))), 3, 4, dtype=torch.float32),
        identity(*(f"{l}.f.1" for l in range(8))),
        weights=8,
        error=1e-5,
    ),
}
