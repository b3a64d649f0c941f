"""The table of operations against the nodes themselves: each is called, and what it passes on says what it is."""

import pytest
import torch
import torch.nn.functional as F
from cases import CASES, NAMES
from torch.autograd.graph import GradientEdge

from skipglass.graph import facts, read
from skipglass.graph.operations import TABLE, role

IDS = torch.tensor([1, 0, 1])
ROWS = IDS[:, None].expand(3, 4)
POSITIVE = torch.arange(12).reshape(3, 4) % 2 == 0
W = torch.randn(4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def images(x):
    return x.reshape(1, 3, 2, 2)


FUNCTIONS = {
    "AdaptiveAvgPool2D": lambda x: F.adaptive_avg_pool2d(F.interpolate(images(x), size=(4, 4)), 2),
    "AdaptiveMaxPool2D": lambda x: F.adaptive_max_pool2d(images(x), 1),
    "Abs": torch.abs,
    "Amax": lambda x: x.amax(1),
    "AsStrided": lambda x: x.clone().as_strided((2, 2), (1, 2)),
    "Atan2": lambda x: torch.atan2(x, x.cos() + 3),
    "AvgPool2D": lambda x: F.avg_pool2d(images(x), 2),
    "Addcdiv": lambda x: torch.addcdiv(x, x.sin(), W[:3]),
    "Addcmul": lambda x: torch.addcmul(x, x.sin(), W[:3]),
    "Addmv": lambda x: torch.addmv(x[:, 0], x, W[0]),
    "Addr": lambda x: torch.addr(x, W[0, :3], W[0]),
    "Clamp": lambda x: x.clamp(-0.5, 0.5),
    "Cumsum": lambda x: x.cumsum(1),
    "Diagonal": lambda x: x.diagonal(),
    "Div": lambda x: x / W[:3],
    "Dot": lambda x: x[0].dot(W[0]),
    "Elu": F.elu,
    "Erf": torch.erf,
    "Flip": lambda x: x.flip(0),
    "Fmax": lambda x: torch.fmax(x, x.sin()),
    "Glu": lambda x: F.glu(x, 1),
    "GridSampler2D": lambda x: F.grid_sample(images(x), W[:4, :2].reshape(1, 2, 2, 2).tanh(), align_corners=False),
    "Hardswish": F.hardswish,
    "Hardtanh": F.hardtanh,
    "Hypot": lambda x: torch.hypot(x, x.cos() + 3),
    "Im2Col": lambda x: F.unfold(images(x), 2, padding=1),
    "IndexAdd": lambda x: torch.zeros(3, 4, dtype=x.dtype).index_add(0, IDS, x),
    "IndexCopy": lambda x: W[:3].index_copy(0, torch.tensor([2, 0, 1]), x),
    "IndexPut": lambda x: x.clone().index_put((torch.tensor([0]),), W[:1]),
    "IndexSelect": lambda x: x.index_select(0, IDS),
    "LeakyRelu": F.leaky_relu,
    "Lerp": lambda x: torch.lerp(x, x.sin(), 0.3),
    "LinalgVectorNorm": lambda x: torch.linalg.vector_norm(x, dim=1),
    "Log": lambda x: (x * x + 1).log(),
    "Logaddexp": lambda x: torch.logaddexp(x, x.sin()),
    "MaskedFill": lambda x: x.masked_fill(POSITIVE, 2.0),
    "MaskedScatter": lambda x: x.clone().masked_scatter(POSITIVE, W[:2, :4]),
    "MaskedSelect": lambda x: x.masked_select(POSITIVE),
    "Max": lambda x: x.max(1).values,
    "Maximum": lambda x: torch.maximum(x, x.sin()),
    "Mish": F.mish,
    "Mv": lambda x: x.mv(W[0]),
    "NativeDropout": lambda x: torch.native_dropout(x, 0.5, True)[0],
    "NativeGroupNorm": lambda x: F.group_norm(images(x), 3),
    "PixelShuffle": lambda x: F.pixel_shuffle(x.reshape(1, 4, 3, 1), 2),
    "PreluKernel": lambda x: F.prelu(x, W[0]),
    "Prod": lambda x: x.prod(),
    "Put": lambda x: x.clone().put(torch.tensor([0]), W[0, 0]),
    "ReflectionPad1D": lambda x: F.pad(x, (1, 1), mode="reflect"),
    "Repeat": lambda x: x.repeat(2, 1),
    "Scatter": lambda x: x.scatter(0, ROWS, W[:3]),
    "ScatterAdd": lambda x: x.scatter_add(0, ROWS, W[:3]),
    "SelectScatter": lambda x: x.select_scatter(W[0], 0, 1),
    "SliceScatter": lambda x: x.slice_scatter(W[:2], 0, 0, 2),
    "Softmax": lambda x: x.softmax(1),
    "Sort": lambda x: x.sort(1).values,
    "Take": lambda x: x.take(torch.tensor([0, 5])),
    "Topk": lambda x: x.topk(2).values,
    "Tril": torch.tril,
    "Unfold": lambda x: x.unfold(1, 2, 1),
    "UpsampleBilinear2D": lambda x: F.interpolate(images(x), scale_factor=2, mode="bilinear"),
    "UpsampleNearest2D": lambda x: F.interpolate(images(x), scale_factor=2),
    "Where": lambda x: torch.where(POSITIVE, x, x.sin()),
    "Xlogy": lambda x: torch.xlogy(x, x * x + 1),
}
CONSTANT_PIECES = {"Hardtanh", "Clamp"}  # linear on each piece, with constants of their own


def called(graph, i, entering):
    """What a node passes on by each of its live operands."""
    node = graph.nodes[i]
    leaving = (node if callable(node) else node.apply)(*entering)
    leaving = leaving if isinstance(leaving, tuple) else (leaving,)
    return [leaving[e.slot] for e in graph.edges[i]]


def entering(graph, i, draw):
    kinds = [(m.shape, m.dtype) for m in graph.metas[i]]
    return [draw(shape, dtype=kind) if kind.is_floating_point or kind.is_complex else None for shape, kind in kinds]


def slope(graph, i):
    """Whether what a node passes on depends on the signal that enters it: "none", "zero" (on each piece), or "some"."""
    with torch.enable_grad():
        leaving = [v for v in called(graph, i, entering(graph, i, torch.randn)) if v is not None and v.requires_grad]
        if not leaving:
            return "none"
        total = sum(torch.view_as_real(v).square().sum() if v.is_complex() else v.square().sum() for v in leaving)
        operands = [GradientEdge(graph.nodes[e.to], e.output) for e in graph.edges[i]]
        try:
            slopes = torch.autograd.grad(total, operands, allow_unused=True, retain_graph=True)
        except RuntimeError as error:
            if "is not implemented" in str(error):  # of a fused kernel: there would be a slope
                return "some"
            raise
    known = [s for s in slopes if s is not None]
    if not known:
        return "none"
    return "some" if any(s.abs().max() > 0 for s in known) else "zero"


def check(graph, i):
    """What the table says of a node is what it does."""
    name, known = graph.operations[i], facts(graph.operations[i])
    what = graph.roles[i] if graph.roles[i] in {"weight", "constant"} else role(name, {e.slot for e in graph.edges[i]})
    if what in {"linear", "weight", "constant"}:
        assert slope(graph, i) in {"none", "zero"}
    elif what == "product":
        assert slope(graph, i) == "some"
    elif what == "nonlinear" and name in TABLE and name not in CONSTANT_PIECES:
        assert (slope(graph, i) != "some") == known.piecewise_linear
    if len(graph.metas[i]) > 1 or not graph.metas[i][0].dtype.is_floating_point:
        return
    with torch.no_grad():
        u, v = (entering(graph, i, torch.randn)[0] for _ in range(2))
        Ju, Jv, J1 = (called(graph, i, [w]) for w in (u, v, torch.ones_like(u)))
    tolerance = max(20 * torch.finfo(a.dtype).eps for a in (u, *Ju))
    for a, b, one in zip(Ju, Jv, J1, strict=True):
        if known.entrywise and a.shape == u.shape:
            torch.testing.assert_close(a, one * u.to(a.dtype), rtol=tolerance, atol=tolerance * float(a.abs().max()))
        if known.self_adjoint and a.shape == u.shape:
            left, right = (u * b).sum(), (a * v).sum()
            assert abs(left - right) <= tolerance * u.norm() * b.norm()
        if known.views:
            assert torch.equal(a.flatten(), u.flatten())
        if known.copies:
            assert torch.equal(a, u.to(a.dtype))
        if known.permutes:
            assert torch.equal(a.flatten().sort().values, u.flatten().sort().values)
        if known.picks:  # each entry that enters goes to one place
            assert float(one.sum()) == u.numel()
            assert torch.equal(one, one.round())
            assert bool((one >= 0).all())
        if known.sums:
            assert float(one.max() - one.min()) == 0


@pytest.mark.parametrize("name", NAMES)
def test_every_node_of_the_networks_is_what_the_table_says(name):
    torch.manual_seed(0)
    _, loss, x = CASES[name].make()
    graph = read(loss, x)
    kinds = {}
    for i, edges in enumerate(graph.edges):
        if edges and graph.roles[i] not in {"opaque", "custom"}:
            kinds.setdefault((graph.operations[i], graph.roles[i], *(e.slot for e in edges)), i)
    for i in kinds.values():
        check(graph, i)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_is_what_the_table_says(name):
    torch.manual_seed(0)
    x = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    graph = read(FUNCTIONS[name](x * 1.0).square().sum(), x)
    assert name in graph.operations
    for i in range(len(graph.nodes)):
        if graph.operations[i] == name:
            check(graph, i)


def test_what_is_not_in_the_table_is_a_nonlinearity():
    assert facts("Unheard").role == role("Unheard", {0}) == "nonlinear"
    assert role("custom Add", {0, 1}) == "nonlinear"


def test_a_product_of_signals_is_told_from_one_with_a_constant():
    assert [role("Mul", signals) for signals in ({0}, {1}, {0, 1})] == ["linear", "linear", "product"]
    assert [role("Addmm", signals) for signals in ({0, 1}, {1, 2})] == ["linear", "product"]
    assert [role("Div", signals) for signals in ({0}, {1}, {0, 1})] == ["linear", "nonlinear", "nonlinear"]
    assert [role("Lerp", signals) for signals in ({0, 1}, {2}, {0, 2})] == ["linear", "linear", "product"]
