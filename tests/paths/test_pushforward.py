"""Tangents pushed along a graph against differences of the function, operation by operation."""

import pytest
import torch
import torch.nn.functional as F
from torch.autograd.graph import get_gradient_edge
from torch.utils.checkpoint import checkpoint

from skipglass.graph import read
from skipglass.graph.operations import SELF_ADJOINT
from skipglass.paths.attention import FUSED
from skipglass.paths.pushforward import CLOSED_FORMS, push

torch.manual_seed(0)
W = torch.randn(4, 4, dtype=torch.float64)
ROW = torch.randn(4, dtype=torch.float64)
GAIN = torch.tensor([2.0, 0.0, -1.0, 3.0], dtype=torch.float64)
KERNEL = torch.randn(4, 2, 3, dtype=torch.float64)


MASK = torch.tensor([[-1.0, -2, -1, -3], [1, 2, -1, 3], [1, -1, 2, 1], [3, 2, 1, 0]], dtype=torch.float64)
HEADS = torch.randn(8, 4, dtype=torch.float64)


def heads(x):
    """Two samples, two heads, four tokens, two features."""
    return x.reshape(2, 2, 4, 2)


def attended(q, k, v, **settings):
    return F.scaled_dot_product_attention(heads(q), heads(k), heads(v), **settings)


def images(x):
    return x.reshape(2, 4, -1)


FUNCTIONS = {
    "Add": [lambda x: torch.add(x, x[:1].exp(), alpha=3), lambda x: ROW + x[0].sin()[:, None]],
    "Sub": [lambda x: torch.sub(x, x.sin(), alpha=2)],
    "Rsub": [lambda x: torch.rsub(x, x.sin(), alpha=2), lambda x: 1 - x],
    "Neg": [lambda x: -x],
    "Mul": [lambda x: x * x.sin(), lambda x: x[0] * W, lambda x: 3 * x],
    "Div": [lambda x: x[0] / (2 + x * x), lambda x: x.cos() / (2 + x * x)],
    "Addcmul": [lambda x: torch.addcmul(x[0], x, x.cos(), value=2)],
    "Addcdiv": [lambda x: torch.addcdiv(x[0], x, 2 + x * x, value=2), lambda x: torch.addcdiv(x[0], x, 2 + W[:1])],
    "Lerp": [lambda x: torch.lerp(x[0], x.sin(), x.sigmoid())],
    "Pow": [lambda x: x**3, lambda x: x.exp() ** x, lambda x: 2**x],
    "Where": [lambda x: torch.where(W[:1] > 0, x, x.sin())],
    "Maximum": [lambda x: torch.maximum(x, x[:1].sin())],
    "Minimum": [lambda x: torch.minimum(x, x[:1].sin())],
    "Clone": [lambda x: x.clone()],
    "Relu": [torch.relu],
    "Gelu": [F.gelu, lambda x: F.gelu(x, approximate="tanh")],
    "Silu": [F.silu],
    "Mish": [F.mish],
    "Sigmoid": [torch.sigmoid],
    "Tanh": [torch.tanh],
    "Exp": [torch.exp],
    "Log": [lambda x: (x * x + 1).log()],
    "Sqrt": [lambda x: (x * x + 1).sqrt()],
    "Rsqrt": [lambda x: (x * x + 1).rsqrt()],
    "Reciprocal": [lambda x: (x * x + 1).reciprocal()],
    "Abs": [torch.abs],
    "Sin": [torch.sin],
    "Cos": [torch.cos],
    "Erf": [torch.erf],
    "Softplus": [F.softplus],
    "LeakyRelu": [F.leaky_relu],
    "Elu": [F.elu],
    "Hardtanh": [F.hardtanh],
    "Hardswish": [F.hardswish],
    "Hardsigmoid": [F.hardsigmoid],
    "Clamp": [lambda x: x.clamp(-0.5, 0.5)],
    "Softmax": [lambda x: x.softmax(0)],
    "SafeSoftmax": [lambda x: torch._safe_softmax(x, 1)],
    "Mm": [lambda x: x @ W, lambda x: W @ x.T, lambda x: x.T @ x.sin()],
    "Bmm": [lambda x: torch.bmm(images(x), images(x).sin().transpose(1, 2))],
    "Addmm": [
        lambda x: torch.addmm(x[:1, :4], x, W, alpha=3, beta=2),
        lambda x: torch.addmm(ROW, x.T, x.sin(), alpha=3),
        lambda x: torch.addmm(x[0], W, W, beta=2),
    ],
    "Baddbmm": [lambda x: torch.baddbmm(x[:4], images(x), images(x).sin().transpose(1, 2), alpha=3, beta=2)],
    "Convolution": [
        lambda x: F.conv1d(images(x), KERNEL, ROW, stride=2, padding=1, groups=2),
        lambda x: F.conv_transpose1d(images(x), KERNEL, stride=2, padding=1, output_padding=1, dilation=2),
        lambda x: F.conv1d(images(x), images(x)[:, :, :2].sin()),
    ],
    "NativeBatchNorm": [
        lambda x: F.batch_norm(x, None, None, GAIN, ROW, training=True),
        lambda x: F.batch_norm(images(x), ROW, ROW.exp(), GAIN, ROW, training=False),
        lambda x: F.batch_norm(images(x), None, None, training=True),
    ],
    "NativeLayerNorm": [
        lambda x: F.layer_norm(x, (4,), GAIN, ROW),
        lambda x: F.layer_norm(x, (8, 4)),
        lambda x: F.layer_norm(x, (4,), x[0].sin()),
    ],
    "ScaledDotProductFlashAttentionForCpu": [
        lambda x: attended(x, x.sin(), x.cos()),
        lambda x: attended(x, x.sin(), x.cos(), is_causal=True),
        lambda x: attended(x, x.sin(), x.cos(), attn_mask=MASK, scale=0.3),
        lambda x: attended(x, x.sin(), x.cos(), attn_mask=MASK > 0),  # the first query sees no key
        lambda x: attended(HEADS, x.sin(), HEADS),
        lambda x: attended(HEADS.sin(), HEADS, x),
        lambda x: F.scaled_dot_product_attention(heads(x), heads(x)[:, :1], heads(x.cos())[:, :1], enable_gqa=True),
    ],
    # in neither table
    "LogSoftmax": [lambda x: x.log_softmax(1)],
    "Cumprod": [lambda x: x.cumprod(0)],
    "Split": [lambda x: torch.cat(x.split(3)[::2])],
    "MaxPool2DWithIndices": [lambda x: F.max_pool2d(x[None, None], 2)],
    "Sort": [lambda x: x.sort(1).values],
}


@pytest.mark.parametrize(("name", "f"), [(name, f) for name, fs in FUNCTIONS.items() for f in fs])
def test_a_pushed_tangent_is_that_of_the_whole_function(name, f):
    torch.manual_seed(1)
    x, g = (torch.randn(8, 4, dtype=torch.float64) for _ in range(2))
    expected = (f(x + 1e-6 * g) - f(x - 1e-6 * g)) / 2e-6
    x.requires_grad_()
    y = f(x)
    graph = read(y.square().sum(), x)
    assert name in graph.operations
    edge = get_gradient_edge(y)
    (found,) = push(graph, [(graph.nodes.index(edge.node), edge.output_nr)], [g])
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-7)


def test_every_operation_with_a_way_of_its_own_is_here():
    own = {name for name in SELF_ADJOINT | set(CLOSED_FORMS) if not name.endswith("Backward")}  # see test_in_between
    on_a_gpu = set(FUSED) - {"ScaledDotProductFlashAttentionForCpu"}
    assert own - {"NativeDropout"} - on_a_gpu <= set(FUNCTIONS)


def test_attention_in_pieces_is_attention_at_once(monkeypatch):
    x, g = (torch.randn(8, 4, dtype=torch.float64) for _ in range(2))
    x.requires_grad_()
    y = attended(x, x.sin(), x.cos(), is_causal=True)
    graph = read(y.square().sum(), x)
    place = (graph.nodes.index(get_gradient_edge(y).node), 0)
    (at_once,) = push(graph, [place], [g])
    monkeypatch.setattr("skipglass.paths.attention.ENTRIES", 1)
    (in_pieces,) = push(graph, [place], [g])
    torch.testing.assert_close(in_pieces, at_once)


def test_dropout_scales_by_its_mask():
    x, g = (torch.randn(8, 4, dtype=torch.float64) for _ in range(2))
    x.requires_grad_()
    y = torch.native_dropout(x, 0.5, True)[0]
    (found,) = push(read(y.sum(), x), [(1, 0)], [g])
    torch.testing.assert_close(found, g * (y / x).detach())


def test_a_checkpoint_is_not_computed_again():
    calls = []

    def f(x):
        calls.append(x)
        return torch.tanh(x @ W)

    x = torch.randn(2, 4, dtype=torch.float64, requires_grad=True)
    y = checkpoint(f, x, use_reentrant=False)
    graph = read(y.sum(), x)
    assert push(graph, [(1, 0)], [torch.ones_like(x)]) is None
    torch.testing.assert_close(torch.autograd.grad(y.sum(), x)[0], (1 - y.detach() ** 2) @ W.T)


def test_the_autocast_of_the_caller_does_not_matter():
    x = torch.randn(8, 4, requires_grad=True)
    graph = read((x @ W.float()).sum(), x)
    with torch.autocast("cpu", torch.bfloat16):
        (found,) = push(graph, [(1, 0)], [torch.ones_like(x)])
    torch.testing.assert_close(found, torch.ones(8, 4) @ W.float())


def test_two_targets_one_above_the_other_both_move():
    x = torch.randn(8, 4, dtype=torch.float64, requires_grad=True)
    h = x.sin()
    (found,) = push(read((h * h).sum(), (x, h)), [(1, 0)], [torch.ones_like(x), 2 * torch.ones_like(x)])
    torch.testing.assert_close(found, (2 * h * (x.cos() + 2)).detach())
