"""Every sum has a verdict, and the reason is the one that its author would give: a table of small constructs."""

import functools
from collections import Counter
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import skipglass as sg
from skipglass.errors import InputError
from skipglass.graph import Trace
from skipglass.graph.operations import facts

D = 6


class Net(nn.Module):
    """A function of x and of as many weights as it asks for."""

    def __init__(self, made: Callable[[Tensor, list[nn.Linear]], Tensor], pair: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.w, self.made, self.pair = nn.ModuleList(nn.Linear(D, D) for _ in range(12)), made, pair

    def forward(self, *x: Tensor) -> Tensor:
        return self.made(x if self.pair else x[0], list(self.w))


def f(h: Tensor, w: list[nn.Linear], k: int = 0) -> Tensor:
    """A branch: two weights and a nonlinearity."""
    return w[k + 1](torch.tanh(w[k](h)))


def highway(h, w):
    t = torch.sigmoid(w[3](h))
    return t * f(h, w) + (1 - t) * h


def interpolation(h, w):
    t = torch.sigmoid(w[3](h))
    return h + t * (f(h, w) - h)


def query_residual(h, w):
    q = w[0](h)
    return q + torch.softmax(q @ w[1](h).mT, -1) @ w[2](h)


def content_bias(h, w):
    logits = w[0](h) @ w[1](h).mT + w[2](h)[..., :4]
    return torch.softmax(logits, -1) @ w[3](h)


def hyper_connections(h, w):
    streams = torch.stack([h, h.flip(-1)], -2)
    mixed = torch.softmax(w[4](h)[..., :4].unflatten(-1, (2, 2)), -1)
    return mixed @ streams + f(streams.mean(-2), w)[..., None, :] * torch.sigmoid(w[5](h))[..., :2, None]


def attention_residuals(h, w):
    v = [h]
    for k in (0, 2):
        stacked = torch.stack(v)
        share = torch.softmax((stacked * w[8].weight[0]).sum(-1, keepdim=True), 0)
        v.append(f((share * stacked).sum(0), w, k))
    return torch.stack(v).sum(0)


def attention_residuals_fused(h, w):
    v = [h]
    for k in (0, 2):
        stacked = torch.stack(v, -2)
        query = w[8].weight[:1].expand(*stacked.shape[:-2], 1, D)
        v.append(f(F.scaled_dot_product_attention(query, F.layer_norm(stacked, (D,)), stacked)[..., 0, :], w, k))
    return torch.stack(v).sum(0)


def attention_residuals_one_by_one(h, w):
    v = [h]
    for k in (0, 2):
        share = torch.softmax(torch.cat([F.layer_norm(y, (D,)) @ w[8].weight[0][:, None] for y in v], -1), -1)
        v.append(f(sum(a[..., None] * y for a, y in zip(share.unbind(-1), v, strict=True)), w, k))
    return v[-1]


def depth_weighted(h, w, mix):
    """DenseFormer: each branch reads a sum of all earlier results, each times a number that is learned."""
    v, learned = [h], w[8].weight
    for k in (0, 2):
        v.append(f(mix(torch.stack(v, -1), learned[k, : len(v)]), w, k))
    return v[-1]


def affine_coupling(h, w):
    """RealNVP: a ← a exp(s(b)) + t(b), b ← b exp(s(a)) + t(a)."""
    a, b = h.chunk(2, -1)
    for k in (0, 4):
        s, t = f(torch.cat([b, b], -1), w, k).chunk(2, -1)
        a = a * torch.exp(torch.tanh(s)) + t
        s, t = f(torch.cat([a, a], -1), w, k + 2).chunk(2, -1)
        b = b * torch.exp(torch.tanh(s)) + t
    return torch.cat([a, b], -1)


def two_lanes(h, w):
    a, b = h, h.flip(-1)
    for k in (0, 2, 4):
        z = f(a + b, w, k)
        a, b = a + z, b + z
    return torch.cat([a, b], -1)


def coupling(h, w):
    a, b = h.chunk(2, -1)
    wide = lambda t, k: f(torch.cat([t, t], -1), w, k)[..., : D // 2]  # noqa: E731
    for k in (0, 2):
        a = a + wide(b, k)
        b = b + wide(a, k + 4)
    return torch.cat([a, b], -1)


def recurrence(h, w):
    s = torch.zeros_like(h[:, 0])
    for x in h.unbind(1):
        s = torch.tanh(w[0](s) + w[1](x))
    return s


def residual_recurrence(h, w):
    s = h.new_ones(h.shape[0], D)
    for x in h.unbind(1):
        s = s + torch.tanh(w[0](s) + w[1](x))
    return s


def cell(h, w, state):
    s, states = torch.tanh(w[2](h.mean(1))), []
    for x in h.unbind(1):
        s = torch.tanh(state(s) + w[1](x))
        states.append(s)
    return torch.stack(states, 1)


def recurrence_passed_twice(h, w):
    return cell(cell(h, w, w[0]), w, w[0])


def projected_passed_twice(h, w):
    for _ in range(2):
        h = w[2](h) + f(h, w)
    return h


def adapters(h, w, shared):
    """A map beside a nonlinear adapter in each of two layers, whose outer factor they may share (Lily)."""
    for k in (0, 3):
        h = h + torch.relu(w[k](h) + w[2 if shared else k + 2](torch.tanh(w[k + 1](h))))
    return h


def projected_at_once(h, w):
    """A recurrence whose inputs are projected for all steps at once."""
    s, inputs = torch.tanh(w[2](h.mean(1))), w[1](h)
    for x in inputs.unbind(1):
        s = torch.tanh(w[0](s) + x)
    return s


def frozen_recurrence(h, w):
    matrix = torch.linspace(-1, 1, D * D, dtype=h.dtype).sin().reshape(D, D)
    return cell(h, w, lambda s: s @ matrix)


def over_a_graph(h, w):
    adjacency = torch.linspace(0, 1, 16, dtype=h.dtype).sin().reshape(4, 4)
    for k in (0, 3):
        h = w[k](h) + adjacency @ w[k + 1](torch.relu(adjacency @ w[k + 2](h)))
    return h


def modulation(h, w, shared=True):
    x, c = h
    y = w[0](x)
    bs = torch.cat([w[1](c), w[2](c)], -1)
    for k in (0, 2):
        if not shared:
            bs = torch.cat([w[8 + k](c), w[9 + k](c)], -1)
        shift, scale = bs.chunk(2, -1)
        y = y + f(F.layer_norm(y, (D,)) * (1 + scale) + shift, w, 4 + k)
    return y


def last_modulation(h, w):
    """The condition itself scales and shifts the stream, behind a root mean square that is written out."""
    x, c = h
    c, y = w[0](c), w[1](x)
    y = y + f(y + w[2](torch.tanh(c)), w, 4)
    return y * torch.rsqrt(y.square().mean(-1, keepdim=True)) * (1 + c) + c


def halves_added(h, w, others):
    """Tokens beside others, which a block mixes, and the mean of both kinds after it."""
    h = torch.cat([h, others(h)], 1)
    h = h + torch.softmax(w[0](h) @ w[1](h).mT, -1) @ w[2](h)
    first, second = h.split(4, 1)
    return w[3]((first + second) / 2)


def halves_of_a_cat(h, w):
    """A block whose two sides are put side by side and moved together before they are added."""
    x, t = h
    x = w[4](x)
    first, second = (torch.cat([x, f(x, w)], 1) + w[3](t)[:, :1]).split(4, 1)
    return first + second


def constant_half(h, w):
    first, second = torch.cat([f(h, w), torch.ones_like(h)], 1).split(4, 1)
    return first + second


def rotated(h, w):
    """Entries that are read after a rotation of pairs, written with complex numbers."""
    pairs = torch.view_as_complex(w[0](h).unflatten(-1, (-1, 2)))
    turned = torch.view_as_real(pairs * torch.exp(1j * torch.arange(D // 2, dtype=h.dtype)))
    return h[:, :2] + w[1](turned.flatten(-2)[:, :2])


def scaled_and_shifted(z, w):
    """A stream that comes of the condition by which its norm is scaled and shifted."""
    h = w[0](z)
    return h + w[1](torch.relu(F.layer_norm(h, (D,)) * w[2](z) + w[3](z)))


def rms_scaled_and_shifted(z, w):
    """A signal that ends there, behind a root mean square that is written out."""
    h = w[0](torch.tanh(w[1](z)))
    return h * torch.rsqrt(h.square().mean(-1, keepdim=True)) * (1 + w[2](z)) + w[3](z)


def projected_with_time(h, w):
    x, t = h
    y = w[0](x)
    for k in (1, 4):
        y = w[k](y) + w[k + 1](torch.tanh(w[k + 2](y) + w[k + 6](torch.tanh(t))))
    return y


def skips_of_wavenet(h, w):
    skips = 0
    for k in (0, 3):
        z = torch.tanh(w[k](h))
        h, skips = h + w[k + 1](z), skips + w[k + 2](z)
    return skips


def normed_rest(h, w):
    y = F.layer_norm(h, (D,))
    return h + torch.cat([f(y[:, :1], w), y[:, 1:]], 1)


def preactivated(h, w):
    own, other = (torch.relu(F.layer_norm(h, (D,))) for _ in range(2))
    return w[0](own) + f(other, w, 2)


def preactivated_by_a_frozen_weight(h, w):
    """Its matrix leaves no trace of a parameter, as under autocast."""
    frozen = torch.linspace(-1, 1, D * D, dtype=h.dtype).sin().reshape(D, D)
    return torch.relu(F.layer_norm(h, (D,))) @ frozen + f(torch.relu(h), w, 2)


def chain_behind_a_norm(h, w):
    """Blocks inside a branch, which a root mean square that is written out and a gate close: no modulation."""
    x, t = h
    h = w[7](x)
    y, gate = w[0](h), torch.sigmoid(w[9](t))
    for k in (1, 3):
        y = y + f(y + w[8](t), w, k)
    return h + gate * y * torch.rsqrt(y.square().mean(-1, keepdim=True))


def pooled(h, w):
    return F.max_pool1d(h, 2) + F.max_pool1d(f(h, w), 2)


def complex_tokens(h, w):
    z = torch.view_as_complex(f(h, w).unflatten(-1, (-1, 2)))
    return h[:, :2] + w[3](torch.cat([z[:, :2].abs()] * 2, -1))


def some_entries(h, w):
    half = torch.cat([h[..., :3], torch.zeros_like(h[..., 3:])], -1)
    return half.index_add(1, torch.arange(2), f(h, w)[:, :2])


def in_place(h, w):
    y = h.clone()
    y[:, 1:] += f(h, w)[:, 1:]
    return y


def written_side_by_side(h, w):
    y = torch.zeros(*h.shape[:-1], 2 * D, dtype=h.dtype)
    y[..., :D] = w[0](h)
    y[..., D:] = torch.tanh(w[1](h))
    return y


def values_beside(h, w):
    v = w[2](h)
    return torch.softmax(w[0](h) @ w[1](h).mT, -1) @ v + w[3](v)


def relative_values(h, w, attend):
    """Values of the tokens and of their relative positions, averaged by the same weights."""
    a = attend(w[0](h) @ w[1](h).mT)
    return a @ w[2](h) + a @ w[3].weight[:4]


def gated_in_one_operation(h, w):
    return torch.addcmul(h, torch.sigmoid(w[2](h)), f(f(h, w), w))


def steps_averaged(h, w):
    states = [torch.tanh(w[0](h[:, 0]))]
    for x in h.unbind(1)[1:]:
        states.append(torch.tanh(w[0](x) + w[1](states[-1])))
    return w[2](torch.stack(states).sum(0))


def weighted_by_the_signal(h, w):
    chosen = torch.softmax(w[0](h.mean(1)), -1)
    return torch.relu(h) + torch.tanh(h @ torch.einsum("nk,kde->nde", chosen, torch.stack([v.weight for v in w[:D]])))


def read_at_places(h, w):
    return torch.relu(h) + torch.softmax(w[0](h) @ w[1](h).mT, -1) @ h


def far(h, w):
    return torch.relu(h) - f(h, w)


def two_streams(h, w, ends):
    a, b = h[:, :2], h[:, 2:]
    b = b + f(b, w)
    a = a + torch.softmax(a @ b.mT, -1) @ w[3](b)
    return w[6](ends(a + f(a, w, 4), b))


def inner_and_outer(h, w):
    x, t = h
    y = w[0](x)
    for k in (1, 5):
        attended = F.layer_norm(y + torch.sigmoid(w[9](t)) * f(y, w, k), (D,))
        y = y + w[k + 3](torch.tanh(w[k + 2](attended)))
    return y


def delta_rule(h, w):
    """v - k S with a state that is zero yet, where v has passed a triangular system (gated delta nets)."""
    k, v, state = torch.tanh(w[0](h)), torch.tanh(w[1](h)), h.new_zeros(len(h), D, D)
    system = torch.tril(k @ k.mT, -1) + torch.eye(h.shape[1], dtype=h.dtype)
    v, k = (torch.linalg.solve_triangular(system, u, upper=False, unitriangular=True) for u in (v, k))
    return w[3](k @ state + (k @ k.mT) @ (v - k @ state))


B, P, Q = "block", "parallel", "doubtful"
CELL = [(P, "a recurrence")] * 4
TABLE: dict[str, tuple[Callable, list[tuple[str, str]]]] = {
    "identity": (lambda h, w: h + f(h, w), [(B, "identity")]),
    "projected": (lambda h, w: w[2](h) + f(h, w), [(B, "projected")]),
    "two maps": (lambda h, w: w[0](h) + w[1](h), [(P, "both affine")]),
    "scaled twice": (lambda h, w: w[0](2 * h + h.flip(-1)), [(P, "both plain")]),
    "no weight": (lambda h, w: w[0](h + torch.tanh(h)), [(P, "no weight")]),
    "averages beside": (lambda h, w: w[0](h + F.layer_norm(h, (D,))), [(P, "both plain")]),
    "largest entries": (pooled, [(B, "identity")]),
    "a nonlinearity": (lambda h, w: torch.relu(h) + f(h, w), [(Q, "a nonlinearity is on its shortcut")]),
    "highway": (highway, [(P, "a gated shortcut")]),
    "interpolation": (interpolation, [(P, "an interpolation"), (B, "identity")]),
    "gated branch": (lambda h, w: h + torch.sigmoid(w[2](h)) * f(h, w), [(B, "identity")]),
    "negative index": (lambda h, w: h[:, -1] + f(h, w)[:, 3], [(B, "identity")]),
    "one piece": (lambda h, w: h[:, 0] + f(h.split([1, 3], 1)[0][:, 0], w), [(B, "identity")]),
    "another piece": (lambda h, w: w[5](h[:, 0] + f(h[:, 1], w)), [(P, "different signals")]),
    "overlap": (
        lambda h, w: h[:, :3] + f(h, w)[:, 1:] * 1,
        [(Q, "its sides read pieces that overlap")],
    ),
    "one index": (
        lambda h, w: h[:, torch.tensor([0, 2, 2])] + f(h[:, torch.tensor([0, 2, 2])], w),
        [(B, "identity")],
    ),
    "tokens of a complex signal": (complex_tokens, [(B, "identity")]),
    "entries of some tokens": (some_entries, [(B, "identity")]),
    "query residual": (query_residual, [(B, "projected")]),
    "values beside attention": (values_beside, [(P, "different signals")]),
    "relative values": (
        functools.partial(relative_values, attend=lambda logits: F.dropout(torch.softmax(logits, -1), 0.1)),
        [(P, "values of one attention")],
    ),
    "relative values without a softmax": (
        functools.partial(relative_values, attend=torch.sigmoid),
        [(Q, "its branch is as linear as its shortcut")],
    ),
    "attention logits": (content_bias, [(P, "attention logits")]),
    "hyper-connections": (hyper_connections, [(P, "no side is plain"), (B, "mixing")]),
    "attention residuals": (attention_residuals, [(Q, "a gated dense connection"), (Q, "a sum of several signals")]),
    "attention residuals by fused attention": (
        attention_residuals_fused,
        [(Q, "a gated dense connection"), (Q, "a sum of several signals")],
    ),
    "sums of all results, scaled and summed": (
        functools.partial(depth_weighted, mix=lambda v, a: (v * a).sum(-1)),
        [(B, "identity")],
    ),
    "sums of all results by a matrix": (
        functools.partial(depth_weighted, mix=lambda v, a: v @ a),
        [(Q, "it may stand for a sum")],
    ),
    "affine couplings": (affine_coupling, [(P, "a gated shortcut")] * 4),
    "two lanes": (two_lanes, [(P, "both plain"), (B, "identity"), (B, "identity")] * 3),
    "coupling": (coupling, [(B, "identity")] * 4),
    "recurrence": (recurrence, [(P, "different signals")] * 3),
    # between the two the mean over the steps adds them up
    "a recurrence passed twice": (recurrence_passed_twice, [*CELL, (P, "no side is plain"), *CELL]),
    "a projected block passed twice": (projected_passed_twice, [(B, "projected")] * 2),
    "adapters": (functools.partial(adapters, shared=False), [(B, "projected"), (B, "identity")] * 2),
    "adapters that share a factor": (functools.partial(adapters, shared=True), [(B, "projected"), (B, "identity")] * 2),
    "a recurrence of inputs projected at once": (
        projected_at_once,
        [(P, "a recurrence")] + [(P, "different signals")] * 3,
    ),
    "a recurrence with a frozen state": (frozen_recurrence, CELL),
    "projected blocks over a graph": (over_a_graph, [(B, "projected")] * 2),
    "residual recurrence": (residual_recurrence, [(P, "different signals"), (B, "identity")] * 3),
    "skips of WaveNet": (skips_of_wavenet, [(B, "identity"), (P, "different signals")]),
    "a normed rest": (normed_rest, [(Q, "a part of its branch is plain")]),
    "a preactivated projection": (preactivated, [(Q, "it may have a projected shortcut")]),
    "a preactivated projection by a frozen weight": (
        preactivated_by_a_frozen_weight,
        [(Q, "it may have a projected shortcut")],
    ),
    "a weight twice in a gated branch": (gated_in_one_operation, [(Q, "a sum of several signals")]),
    "a product of two branches in one operation": (
        lambda h, w: torch.addcmul(f(h, w), torch.sigmoid(w[2](h)), f(h, w, 3)),
        [(P, "no side is plain")],
    ),
    "steps averaged": (steps_averaged, [(P, "a recurrence")] * 3 + [(P, "no side is plain")]),
    "a weight that the signal chooses": (weighted_by_the_signal, [(Q, "a nonlinearity is on its shortcut")]),
    "entries that the signal chooses": (read_at_places, [(Q, "a nonlinearity is on its shortcut")]),
    "far from a signal": (lambda h, w: far(w[2](h), w), [(Q, "a nonlinearity is on its shortcut")]),
    "far from x, squared": (lambda h, w: (h - f(h, w)).square().mean(), [(P, "a measured difference")]),
    "far from x": (far, [(P, "no side is plain")]),
    "two streams added": (
        functools.partial(two_streams, ends=torch.add),
        [(B, "identity")] * 3 + [(P, "no side is plain")],
    ),
    "two streams pooled": (
        functools.partial(two_streams, ends=lambda a, b: torch.cat([a, b], 1).mean(1)),
        [(B, "identity")] * 3 + [(P, "no side is plain")],
    ),
    "a delta rule": (delta_rule, [(P, "one side is zero")] * 2),
    "in place": (in_place, [(Q, "it may stand for a sum"), (P, "entries of one signal in the place of another's")]),
    "side by side": (written_side_by_side, []),
    "halves of a stream, one a constant at first": (
        functools.partial(halves_added, others=torch.ones_like),
        [(B, "identity"), (P, "both plain")],
    ),
    "halves of a stream": (
        functools.partial(halves_added, others=lambda h: h.flip(1)),
        [(B, "identity"), (P, "both plain")],
    ),
    "a constant beside a signal": (constant_half, [(P, "one side is constant")]),
    "a stream scaled and shifted": (scaled_and_shifted, [(P, "modulation"), (B, "identity")]),
    "a signal scaled and shifted": (rms_scaled_and_shifted, [(P, "modulation")]),
    "a norm beside a gate": (
        lambda z, w: F.layer_norm(f(z, w), (D,)) * torch.sigmoid(w[2](z)) + w[3](z),
        [(Q, "it may scale and shift a signal")],
    ),
    "a product of two maps": (lambda z, w: w[0](z) * w[1](z) + w[2](z), [(Q, "it may scale and shift a signal")]),
    "a signal of no x under a gate": (
        lambda z, w: w[0](torch.ones_like(z)) * torch.sigmoid(w[1](z)) + w[2](z),
        [(Q, "it may scale and shift a signal")],
    ),
    "a gated branch beside a map": (lambda z, w: f(z, w) * torch.sigmoid(w[2](z)) + w[3](z), [(B, "projected")]),
    "a rotation of pairs": (rotated, [(B, "identity")]),
}


PAIRS: dict[str, tuple[Callable, list[tuple[str, str]]]] = {
    "pieces of one projection": (
        functools.partial(modulation, shared=False),
        [(P, "modulation"), (B, "identity"), (P, "different signals"), (B, "identity")],
    ),
    "a projection that layers share": (
        modulation,
        [(P, "different signals"), (B, "identity"), (P, "modulation"), (B, "identity")],
    ),
    "a condition that is the last shift": (
        last_modulation,
        [(P, "different signals"), (B, "identity"), (P, "modulation")],
    ),
    "a chain of blocks behind a norm and a gate": (
        chain_behind_a_norm,
        [(P, "both affine"), (B, "identity"), (P, "different signals"), (B, "identity"), (B, "identity")],
    ),
    "both sides of a block side by side": (halves_of_a_cat, [(P, "different signals"), (B, "projected")]),
    "a stream added twice": (inner_and_outer, [(B, "identity")] * 4),
    "a projected shortcut beside a time": (
        projected_with_time,
        [(P, "different signals"), (B, "projected"), (P, "no side is plain"), (B, "projected")],
    ),
}


def traced(made: Callable, pair: bool = False) -> Trace:
    torch.manual_seed(1)
    net, x = Net(made, pair).double(), [torch.randn(3, 4, D, dtype=torch.float64) for _ in range(1 + pair)]
    return sg.trace(net, tuple(x) if pair else x[0])


def verdicts(trace: Trace) -> list[tuple[str, str]]:
    return [(one.verdict, one.reason) for one in trace.outline.verdicts]


@pytest.mark.parametrize("name", TABLE)
def test_a_sum_has_its_verdict(name):
    made, expected = TABLE[name]
    assert verdicts(traced(made)) == expected


@pytest.mark.parametrize("name", PAIRS)
def test_a_condition_is_no_stream(name):
    made, expected = PAIRS[name]
    assert verdicts(traced(made, pair=True)) == expected


@pytest.mark.parametrize(
    ("made", "pair"), [(m, False) for m, _ in TABLE.values()] + [(m, True) for m, _ in PAIRS.values()]
)
def test_no_sum_is_left_without_a_verdict(made, pair):
    trace = traced(made, pair)
    graph, told = trace.graph, Counter(one.operation for one in trace.outline.verdicts)
    several = (name for name, edges in zip(graph.operations, graph.edges, strict=True) if len(edges) > 1)
    added = Counter(name for name in several if facts(name).merges in {"sum", "difference", "fused"})
    assert {name: told[name] for name in added} == added


def test_a_branch_written_to_two_lanes_is_one_block():
    """Its participation is that of both sums, and a path that takes either has crossed one block."""
    trace = traced(two_lanes)
    assert len(trace.outline.blocks) == 3
    assert sg.paths.census(trace) == {0: 1, 1: 6, 2: 12, 3: 8}
    depth = sg.paths.spectrum(trace).effective_depth
    assert sg.paths.participation(trace).share.sum() == pytest.approx(depth, abs=1e-12)


@pytest.mark.parametrize(("made", "which"), [(highway, 0), (interpolation, 1)])
def test_a_label_that_depends_on_how_a_highway_is_written_says_so(made, which):
    outline = traced(made).outline
    assert [one.by_form for one in outline.verdicts][which]
    assert "labels that depend on how a function is written" in str(outline)


def scaled_by_itself(h, w):
    return h * (1 + f(h, w))


def scaled_down(h, w):
    return torch.rsub(torch.sigmoid(f(F.layer_norm(h, (D,)), w)), 2) * h


def normed_and_scaled(h, w):
    return F.layer_norm(h, (D,)) * (f(h.mean(1, keepdim=True), w) + 1)


def scaled_by_a_parameter(h, w):
    return h * (w[7].bias + torch.sigmoid(f(h, w)))


WRITTEN = "labels that depend on how a function is written, as x (1 + f) or x + x f: 1"


@pytest.mark.parametrize("made", [scaled_by_itself, scaled_down, normed_and_scaled, scaled_by_a_parameter])
@pytest.mark.parametrize("inner", [False, True])
def test_a_skip_connection_that_is_written_as_a_product_is_named(made, inner):
    """x (1 + f(x)) is x + x f(x), a block, where x is the network's input as well as where it is a stream."""
    trace = traced(lambda h, w: w[8](made(torch.tanh(w[9](h)) if inner else h, w)))
    assert verdicts(trace) == [(P, "x + x f(x) written as a product")]
    assert WRITTEN in str(trace.outline)
    assert "looks like a skip connection and is not counted: Mul" in trace.outline.skips_left_out()


def test_the_sum_that_such_a_product_stands_for_says_so():
    trace = traced(lambda h, w: h + h * f(h, w))
    assert verdicts(trace) == [(B, "identity")]
    assert WRITTEN in str(trace.outline)


@pytest.mark.parametrize(
    "made",
    [
        lambda h, w: h * torch.sigmoid(f(h.mean(1, keepdim=True), w)),  # squeeze and excitation
        lambda h, w: w[2](F.silu(w[0](h)) * w[1](h)),  # SwiGLU
        lambda h, w: (lambda y: w[1](0.5 * y * (1 + torch.tanh(y))))(w[0](h)),  # an activation that is written out
        lambda h, w: w[2](h) * (1 + f(h, w)),  # two functions of h
        lambda h, w: h + w[2](h * (1 + torch.tanh(h))),
        lambda h, w: h * (h @ w[0].weight + w[0].bias),  # a bias
        # streams that are mixed by shares of which none is zero
        lambda h, w: w[1]((h * (1e-6 + torch.softmax(w[0](h)[..., :1], 1))).sum(1)),
    ],
)
def test_a_gate_without_a_constant_or_without_a_weight_is_no_sum(made):
    assert "how a function is written" not in str(traced(made).outline)


def highway_of_two_gates(h, w):
    return torch.sigmoid(w[2](h)) * h + torch.sigmoid(w[3](h)) * f(h, w)


def gated_shortcut(h, w):
    return torch.sigmoid(w[2](h)) * h + f(h, w)


def lerped(h, w):
    return torch.lerp(h, f(h, w), torch.sigmoid(w[3](h)))


def highway_with_a_condition(h, w):
    x, c = h
    t = torch.sigmoid(w[3](x) + w[4](c))
    return w[5](t * f(x + c, w) + (1 - t) * x)


SKIPS = [
    highway,
    highway_of_two_gates,
    gated_shortcut,
    lerped,
    highway_with_a_condition,
    attention_residuals_one_by_one,
]


@pytest.mark.parametrize("made", SKIPS)
def test_a_gated_shortcut_is_said_to_be_left_out(made):
    """Whatever it is written as: a reader of `measure` need not read the outline to hear of it."""
    trace = traced(made, pair=made is highway_with_a_condition)
    assert sum(one.skips for one in trace.outline.verdicts) == 1
    notes = sg.measure(trace).notes
    assert any("1 sum looks like a skip connection and is not counted: " in note for note in notes), notes


def gru(h, w, lerp=False, start=None):
    s = torch.tanh(w[6](h[:, 0])) if start is None else start
    for x in h.unbind(1):
        z, r = torch.sigmoid(w[0](x) + w[1](s)), torch.sigmoid(w[2](x) + w[3](s))
        n = torch.tanh(w[4](x) + r * w[5](s))
        s = torch.lerp(n, s, z) if lerp else (1 - z) * n + z * s
    return s


def lstm(h, w):
    s = c = torch.tanh(w[8](h[:, 0]))
    for x in h.unbind(1):
        i, u, o, g = (w[k](x) + w[k + 4](s) for k in range(4))
        c = torch.sigmoid(u) * c + torch.sigmoid(i) * torch.tanh(g)
        s = torch.sigmoid(o) * torch.tanh(c)
    return s


def test_affine_couplings_are_said_to_be_left_out():
    assert traced(affine_coupling).outline.skips_left_out().startswith("4 sums look like skip connections")


@pytest.mark.parametrize("lerp", [False, True])
def test_the_first_step_of_a_recurrence_from_a_constant_state_is_none_of_a_network(lerp):
    """W x + r(x) U s, with s = 0: affine beside nonlinear, as a projected shortcut, but W is used again."""
    trace = traced(functools.partial(gru, lerp=lerp, start=torch.zeros(D, dtype=torch.float64)))
    assert not trace.outline.blocks
    assert not trace.outline.doubts("blocks")


def state_space(h, w):
    """Mamba: s ← exp(-d) s + d b u, with s = 0 at first."""
    d, b, s, states = F.softplus(w[0](h)), w[1](h), torch.zeros_like(h[:, 0]), []
    for k in range(h.shape[1]):
        s = torch.exp(-d)[:, k] * s + (d * b * h)[:, k]
        states.append(s)
    return w[2](torch.stack(states, 1))


def gru_once(h, w):
    x, s = h[:, :2], torch.tanh(w[7](h[:, 2:]))
    z, r = torch.sigmoid(w[0](x) + w[1](s)), torch.sigmoid(w[2](x) + w[3](s))
    return z * s + (1 - z) * torch.tanh(w[4](torch.cat([r * s, x], 1)))[:, :2]


NO_SKIPS: dict[str, Callable] = {
    "two SwiGLUs": lambda h, w: F.silu(w[0](h)) * w[1](h) + F.silu(w[2](h)) * w[3](h),
    "two gated branches": lambda h, w: torch.sigmoid(w[4](h)) * f(h, w) + torch.sigmoid(w[5](h)) * f(h, w, 2),
    "a GRU": gru,
    "a single step of a GRU": gru_once,
    "a GRU by lerp": functools.partial(gru, lerp=True),
    "an LSTM": lstm,
    "a state space": state_space,
    "PyTorch's GRU": lambda h, w: nn.GRU(D, D, dtype=h.dtype)(h)[0],
    "PyTorch's LSTM": lambda h, w: nn.LSTM(D, D, dtype=h.dtype)(h)[0],
}


@pytest.mark.parametrize("name", NO_SKIPS)
def test_gates_of_two_signals_and_recurrences_are_no_skips(name):
    assert traced(NO_SKIPS[name]).outline.skips_left_out() == ""


def test_what_measure_says_of_sums():
    """The line of counts, the proviso of the first sentence, and the note on what looks like a skip connection."""

    def made(h, w):
        h = h + f(h, w)
        h = torch.relu(h) + f(h, w, 2)
        return w[5](h + F.layer_norm(h, (D,)))

    p = sg.measure(traced(made))
    where = "Add in w (a nonlinearity is on its shortcut)"
    assert p.doubtful == 1
    assert p.verdicts == f"1 block, 1 parallel, 1 doubtful: {where}"
    sentence, line = str(p).splitlines()[:2]
    assert ", if the doubtful sum is no block;" in sentence or sentence.endswith(", if the doubtful sum is no block.")
    assert line == f"sums: {p.verdicts}"
    assert "1 sum looks like a skip connection and is not counted: Add in w (both plain)" in p.notes


def test_no_block_but_doubtful_sums_is_no_depth_of_zero():
    trace = traced(normed_rest)
    with pytest.raises(InputError, match=r"1 sum that may be one: Add .*blocks=.*sg\.register"):
        sg.measure(trace)
    assert sg.measure(trace, unit="weights").doubtful == 1
