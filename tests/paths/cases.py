"""The table of networks that drives the tests of labels: each with the blocks it must be found to have."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from skipglass.models import ResidualMLP


@dataclass(frozen=True)
class Case:
    """A network, and the (name, side, shortcut) of each block in forward order; weights where they are known.

    ``make`` gives the model, its loss and x, in float64.
    """

    make: Callable[[], tuple[nn.Module, Tensor, Tensor]]
    blocks: list[tuple[str, int, str]]
    weights: int | None = None
    error: float = 1e-12


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


def loss_of(model: nn.Module, *shape: int) -> tuple[nn.Module, Tensor, Tensor]:
    x = torch.randn(*shape, dtype=torch.float64, requires_grad=True)
    y = model.double()(x)
    return model, nn.functional.cross_entropy(y, torch.arange(len(y)) % y.shape[1]), x


def language_model(name: str, **config: object) -> tuple[nn.Module, Tensor, Tensor]:
    import transformers

    settings = getattr(transformers, f"{name}Config")(vocab_size=11, **config)
    model = getattr(transformers, f"{name}ForCausalLM" if name != "GPT2" else "GPT2LMHeadModel")(settings).double()
    x = torch.randn(2, 5, settings.hidden_size, dtype=torch.float64, requires_grad=True)
    return model.train(), model(inputs_embeds=x, labels=torch.arange(10).view(2, 5)).loss, x


def gpt2():
    return language_model("GPT2", n_embd=8, n_layer=2, n_head=2, n_positions=8)


def llama(name="Llama"):
    return language_model(
        name,
        hidden_size=8,
        intermediate_size=12,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
    )


def neox():
    return language_model(
        "GPTNeoX",
        hidden_size=8,
        intermediate_size=12,
        num_hidden_layers=2,
        num_attention_heads=2,
        use_parallel_residual=True,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
    )


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


def of_convolutions():
    names = ["layer1.0", "layer1.1", "layer2.0", "layer2.1"]
    return [(name, 0, "projected" if name == "layer2.0" else "identity") for name in names]


def of_decoder(prefix, side, *parts):
    return [(f"{prefix}.{l}.{part}", side, "identity") for l in range(2) for part in parts]


CASES = {
    "residual MLP": Case(
        lambda: loss_of(ResidualMLP(5, 3, depth=4, width=6, normalization="paper"), 4, 5),
        [(f"layers.{l}", 0, "identity") for l in (1, 2, 3)],
        weights=5,
    ),
    "post-activation ResNet": Case(lambda: loss_of(ConvNet(pre=False), 4, 3, 6, 6), of_convolutions(), weights=11),
    "pre-activation ResNet": Case(lambda: loss_of(ConvNet(pre=True), 4, 3, 6, 6), of_convolutions(), weights=11),
    "LoRA": Case(lambda: loss_of(nn.Sequential(Lora(), Lora()), 3, 4), [("0", 1, "identity"), ("1", 1, "identity")], 6),
    "highway": Case(lambda: loss_of(nn.Sequential(Highway(), Highway()), 3, 4), [], weights=4),
    "GPT-2": Case(
        gpt2,  # attention: attn_output + residual; MLP: residual + feed_forward
        [
            (f"transformer.h.{l}.{part}", side, "identity")
            for l in range(2)
            for side, part in enumerate(("attn", "mlp"))
        ],
        weights=9,
    ),
    "Llama": Case(
        llama, of_decoder("model.layers", 1, "self_attn", "mlp"), weights=15, error=1e-8
    ),  # its norms cast to float32
    # (mlp + attention) + x: two parallel functions on one branch
    "GPT-NeoX": Case(neox, [(f"gpt_neox.layers.{l}", 0, "identity") for l in range(2)], weights=9),
}
