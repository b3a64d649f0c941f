"""Forms that residual networks take, each with what must be found in it."""

import torch
from case import Case, identity, of
from forms import (
    AroundLstm,
    Bilinear,
    Centred,
    ClassToken,
    Factored,
    Fourier,
    Fractal,
    Gated,
    Gru,
    Hierarchical,
    Interpolated,
    Latents,
    Lerp,
    Macaron,
    Mixed,
    Mixer,
    Modulated,
    Normed,
    Own,
    Returning,
    Reversible,
    ReZero,
    RootMeanSquare,
    Routed,
    SqueezeExcitation,
    Stacked,
    StochasticDepth,
    UNet,
)
from torch import nn


def encoder_layers(training=True, **settings):
    layers = nn.Sequential(*(nn.TransformerEncoderLayer(4, 2, 6, batch_first=True, **settings) for _ in range(2)))
    return of(layers.train(training), 2, 3, 4)


def joined(pair):
    return torch.cat([part[None] for part in pair])


def sequence(*layers):
    return nn.Sequential(*layers)


ENCODER = [(f"{l}{part}", 1, "identity") for l in range(2) for part in (".self_attn", "")]


def left_by(name):  # the packed attention calls its output projection as a function: no module to cut at
    return "" if name.endswith("self_attn") else f"{name}.linear2"


CASES = (
    {
        "ReZero": Case(lambda: of(sequence(ReZero(), ReZero()), 3, 4), identity("0.f", "1.f"), 2),
        "stochastic depth": Case(
            lambda: of(sequence(StochasticDepth(), StochasticDepth()), 6, 4), identity("0.f", "1.f"), 2
        ),
        "squeeze and excitation": Case(
            lambda: of(sequence(SqueezeExcitation(), SqueezeExcitation()), 2, 3, 4, 4),
            identity("0", "1", side=0),
            6,
            exits="{}.conv".format,
        ),
        "gated": Case(
            lambda: of(sequence(Gated(), Gated()), 3, 4), identity("0", "1"), 4, exits="{0}.f {0}.gate".format
        ),
        "highway as x + t(f - x)": Case(
            lambda: of(sequence(Interpolated(), Interpolated()), 3, 4),
            identity("0", "1"),
            4,
            exits=lambda _: "",  # the branch t (f - x) leaves by no module
        ),
        "lerp by a number": Case(lambda: of(sequence(Mixed(), Mixed()), 3, 4), identity("0.f", "1.f"), 2),
        "stacked and summed": Case(
            lambda: of(sequence(Stacked(torch.stack), Stacked(torch.stack)), 3, 4), identity("0.f", "1.f"), 2
        ),
        "joined and averaged": Case(
            lambda: of(sequence(Stacked(joined), Stacked(joined)), 3, 4), identity("0.f", "1.f"), 2
        ),
        "added to the input": Case(lambda: of(Returning(), 3, 4), identity("f", "f#2", "f#3", side=0), 3),
        "weights of one module": Case(
            lambda: of(sequence(Own()), 3, 4), identity("0.one", "0.two", "0.one#2"), 3, exits=lambda _: ""
        ),
        "added to some rows": Case(lambda: of(sequence(Routed(), Routed()), 3, 4), identity("0.f", "1.f"), 2),
        "highway as lerp": Case(lambda: of(sequence(Lerp(), Lerp()), 3, 4), [], 4),
        "Conformer's half steps": Case(
            lambda: of(sequence(Macaron(), Macaron()), 3, 4),
            identity(*(f"{l}.{part}" for l in range(2) for part in ("first", "middle", "last"))),
            6,
        ),
        "U-Net": Case(lambda: of(UNet(add=False), 2, 2, 8, 8), [], 13),
        "U-Net with sums": Case(
            lambda: of(UNet(add=True), 2, 2, 8, 8),
            identity("bottom+up2", "down…up1"),
            13,
            exits=lambda name: name[-3:],
        ),
        "fractal": Case(lambda: of(sequence(Fractal(), Fractal()), 3, 4), [], 6),
        "reversible": Case(lambda: of(Reversible(slices=False), 3, 8), identity("f.0", "f.1", "f.2", "f.3"), 4),
        "reversible by slices": Case(
            lambda: of(Reversible(slices=True), 3, 8), identity("f.0", "f.1", "f.2", "f.3"), 4
        ),
        "mixer": Case(
            lambda: of(sequence(Mixer(), Mixer()), 2, 3, 4),
            identity("0.tokens", "0.channels", "1.tokens", "1.channels"),
            4,
        ),
        "latents": Case(  # the first cross attention has parameters for a shortcut
            lambda: of(Latents(), 2, 3, 4),
            identity("mlp.0", "cross.1", "mlp.1", "cross.2", "mlp.2"),
            exits=lambda name: f"{name}.out" if "cross" in name else name,
        ),
        "class token": Case(lambda: of(ClassToken(), 2, 3, 4), identity("f"), 1),
        "Res2Net": Case(
            lambda: of(sequence(Hierarchical(), Hierarchical()), 3, 4), identity("0", "1"), 8, exits="{}.leave".format
        ),
        "modulated": Case(lambda: of(sequence(Modulated(), Modulated()), 3, 4), identity("0.f", "1.f"), 2),
        "made weights": Case(
            lambda: of(sequence(Factored(), Factored()), 3, 4), identity("0", "1"), 4, exits="{}.f".format
        ),
        "Fourier": Case(lambda: of(sequence(Fourier(), Fourier()), 3, 2, 4), [], 4),
        "GRU": Case(lambda: of(Gru(), 3, 3, 4), []),
        "around an LSTM": Case(
            lambda: of(sequence(AroundLstm(), AroundLstm()), 2, 3, 4),
            identity("0.lstm", "1.lstm"),
            exits=lambda name: name,
        ),
        "around a fused LSTM": Case(
            lambda: of(sequence(AroundLstm(), AroundLstm()), 2, 3, 4, dtype=torch.float32),
            identity("0.lstm", "1.lstm"),
            0,
            error=1e-5,
            opaque=("MkldnnRnnLayer", "MkldnnRnnLayer"),
        ),
        "bilinear": Case(
            lambda: of(sequence(Bilinear(), Bilinear()), 3, 4),
            identity("0.f", "1.f"),
            0,
            opaque=("Trilinear", "Trilinear"),
        ),
        "encoder layers": Case(encoder_layers, ENCODER, exits=left_by),
        "encoder layers, norm first": Case(lambda: encoder_layers(norm_first=True), ENCODER, exits=left_by),
        "encoder layers, evaluation": Case(lambda: encoder_layers(training=False), ENCODER, exits=left_by),
    }
    | {
        f"{norm.__name__}, {where}": Case(
            lambda where=where, norm=norm: of(sequence(Normed(where, norm), Normed(where, norm)), 3, 4),
            identity("0.f", "1.f"),
            2,
        )
        for where in ("before", "after", "inside")
        for norm in (RootMeanSquare, Centred)
    }
)
