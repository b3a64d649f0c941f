"""The table of networks that drives the tests of labels: each with the blocks it must be found to have."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.utils.checkpoint
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


def encoder(name: str, *shape: int, **config: object) -> tuple[nn.Module, Tensor, Tensor]:
    import transformers

    settings = getattr(transformers, f"{name}Config")(**config)
    model = getattr(transformers, f"{name}Model")(settings).double().train()
    x = torch.randn(*shape, dtype=torch.float64, requires_grad=True)
    y = model(**{"inputs_embeds" if x.ndim == 3 else "pixel_values": x}).last_hidden_state
    return model, (y * torch.randn_like(y)).sum(), x


SMALL = {"hidden_size": 8, "intermediate_size": 12, "num_hidden_layers": 2, "num_attention_heads": 2}


def t5():
    import transformers

    settings = transformers.T5Config(vocab_size=11, d_model=8, d_kv=4, d_ff=12, num_layers=2, num_heads=2)
    model = transformers.T5Model(settings).double()
    x = torch.randn(2, 5, 8, dtype=torch.float64, requires_grad=True)
    y = model(inputs_embeds=x, decoder_inputs_embeds=x[:, :3]).last_hidden_state
    return model, (y * torch.randn_like(y)).sum(), x


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
    "nested": Case(
        lambda: loss_of(nn.Sequential(Nested(), Nested()), 3, 4),
        [("0.f", 1, "identity"), ("0", 1, "identity"), ("1.f", 1, "identity"), ("1", 1, "identity")],
        weights=6,
    ),
    "encoder-decoder": Case(lambda: loss_of(UNet(), 3, 4), [(f"{n}.f", 1, "identity") for n in "abc"], weights=5),
    "dense net": Case(lambda: loss_of(DenseNet(), 3, 4), [], weights=4),
    "shared": Case(
        lambda: loss_of(Shared(), 3, 4), [(f"step.f{again}", 1, "identity") for again in ("", "#2", "#3")], weights=3
    ),
    "auxiliary": Case(lambda: loss_of(Auxiliary(), 3, 4), [(f"{n}.f", 1, "identity") for n in ("one", "two")], 4),
    "recurrence": Case(lambda: loss_of(Elman(), 3, 3, 4), [], weights=5),
    "LSTM": Case(lambda: loss_of(Recurrent(), 3, 2, 4), []),
    "checkpointed": Case(lambda: loss_of(Checkpointed(), 3, 4), [(f"steps.{l}.f", 1, "identity") for l in range(3)], 3),
    "frozen": Case(lambda: loss_of(frozen(ConvNet(pre=False)), 4, 3, 6, 6), of_convolutions(), weights=11),
    "in place": Case(
        lambda: loss_of(nn.Sequential(Written(), Written()), 3, 4),
        [(f"{l}.{f}", 1, "identity") for l in range(2) for f in "fg"],
        weights=4,
    ),
    "BERT": Case(
        lambda: encoder("Bert", 2, 5, 8, vocab_size=11, **SMALL),
        [(f"encoder.layer.{l}{part}", 0, "identity") for l in range(2) for part in (".attention", "")],
        weights=12,
    ),
    "DeBERTa-v2": Case(
        lambda: encoder(
            "DebertaV2", 2, 5, 8, vocab_size=11, relative_attention=True, pos_att_type=["p2c", "c2p"], **SMALL
        ),
        [(f"encoder.layer.{l}{part}", 0, "identity") for l in range(2) for part in (".attention", "")],
    ),
    "ViT": Case(
        lambda: encoder("ViT", 2, 3, 8, 8, image_size=8, patch_size=4, **SMALL),
        [(f"layers.{l}.{part}", 0, "identity") for l in range(2) for part in ("attention", "mlp")],
        weights=13,
    ),
    "Swin": Case(
        lambda: encoder(
            "Swin",
            2,
            3,
            16,
            16,
            image_size=16,
            patch_size=2,
            embed_dim=4,
            depths=[2, 2],
            num_heads=[2, 2],
            window_size=4,
        ),
        [
            (f"encoder.layers.{k}.blocks.{l}.{part}", 1 - side, "identity")
            for k in range(2)
            for l in range(2)
            for side, part in enumerate(("attention", "mlp"))
        ],
    ),
    "ConvNeXt": Case(
        lambda: encoder("ConvNext", 2, 3, 32, 32, hidden_sizes=[4, 6], depths=[2, 2], num_stages=2),
        [(f"encoder.stages.{k}.layers.{l}", 1, "identity") for k in range(2) for l in range(2)],
        weights=14,
    ),
    "ResNet": Case(
        lambda: encoder("ResNet", 2, 3, 32, 32, embedding_size=4, hidden_sizes=[8, 12], depths=[2, 2]),
        [
            (f"encoder.stages.{k}.layers.{l}.layer", 0, "identity" if l else "projected")
            for k in range(2)
            for l in range(2)
        ],
        weights=15,
    ),
    "T5": Case(
        t5,
        [("decoder.block.0.layer.0.SelfAttention", 1, "identity")]
        + [
            (f"encoder.block.{l}.layer.{k}.{part}", 1, "identity")
            for l in range(2)
            for k, part in enumerate(("SelfAttention", "DenseReluDense"))
        ]
        + [("decoder.block.0.layer.1.EncDecAttention", 1, "identity")]
        + [("decoder.block.0.layer.2.DenseReluDense", 1, "identity")]
        + [
            (f"decoder.block.1.layer.{k}.{part}", 1, "identity")
            for k, part in enumerate(("SelfAttention", "EncDecAttention", "DenseReluDense"))
        ],
        weights=32,
        error=1e-6,  # its norms work in float32
    ),
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
