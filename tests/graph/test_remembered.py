"""A verdict is remembered: it is the one that a graph of its own would give, and is not worked out again."""

from dataclasses import replace

import torch
from torch import nn

import skipglass as sg
from skipglass.graph.joins import joins
from skipglass.graph.verdicts import decide


class Twins(nn.Module):
    """Two streams of residual convolutions, the second added to the first at each level, as in ControlNet-XS."""

    def __init__(self, levels):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second, self.to_first, self.to_second, self.up = (
            nn.ModuleList(nn.Conv1d(many, 3, 3, padding=1) for _ in range(levels)) for many in (3, 3, 3, 6, 6)
        )

    def forward(self, x):
        h, c, skips = x, x.clone(), []
        for f, g, a, b in zip(self.first, self.second, self.to_first, self.to_second, strict=True):
            c = b(torch.cat([h, c], 1))
            h, c = h + torch.tanh(f(h)), c + torch.tanh(g(c))
            h = h + a(c)
            skips.append((h, c))
        for up in self.up:
            one, two = skips.pop()
            h = up(torch.cat([h + self.to_first[0](c), one + self.to_first[0](two)], 1))
        return h


def sums(graph):
    return [v for v, edges in enumerate(graph.edges) if len(edges) == 2 and graph.roles[v] == "linear"]


def test_a_verdict_is_that_of_a_graph_of_its_own():
    graph = sg.trace(Twins(4), torch.randn(2, 3, 5)).graph
    below = joins(graph)
    found = {v: decide(graph, v, graph.edges[v], below) for v in sums(graph)}
    assert {one.kind for one in found.values()} >= {"block", "parallel"}
    # asked the other way round, each of a graph that knows nothing yet
    for v in reversed(found):
        assert decide(replace(graph), v, graph.edges[v], below) == found[v]
        assert decide(graph, v, graph.edges[v], below) is found[v]
