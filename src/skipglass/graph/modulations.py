"""Whether a sum scales and shifts a signal by two functions of another: n(u) γ(z) + β(z), where u may come of z too.

It has the form of a block with the projected shortcut β(z) and a gated branch. What tells it from one is the signal
that is scaled: it is normalised just before, or goes on by itself, as a stream does whose norm alone is modulated.
"""

from math import prod

from skipglass.graph.joins import PLAIN, plain_source, weighs
from skipglass.graph.nodes import Edge, Graph, Place
from skipglass.graph.operations import facts
from skipglass.graph.sides import Side
from skipglass.graph.sums import AFFINE, WEIGHED, Sum

__all__ = ["DOUBT", "MODULATION", "factors", "modulation"]

MODULATION = "modulation"
DOUBT = "it may scale and shift a signal"


def factors(graph: Graph, one: Side) -> list[Place]:
    """The signals whose product entry by entry a side is, all but for plain operations on them alone.

    A factor that is a product itself is taken apart once more: a normalisation written out is h times 1/|h|.
    """
    outer = [] if one.own_step else _multiplied(graph, one.edge.place)
    return outer + [inner for factor in outer for inner in _multiplied(graph, factor)]


def _multiplied(graph: Graph, place: Place) -> list[Place]:
    """The operands of a product entry by entry, below plain operations on each alone; none of anything else."""
    top = plain_source(graph, place)[0]
    product = graph.roles[top] == "product" and not facts(graph.operations[top]).contracts
    return [plain_source(graph, e.place) for e in graph.edges[top]] if product else []


def modulation(s: Sum, branch: Side) -> str:
    """Whether a branch beside an affine side is a signal that is scaled; `DOUBT` where it may be one, or nothing."""
    graph, product = s.graph, branch.edge.to
    if branch.own_step:
        return ""
    while graph.roles[product] == "linear" and len(graph.edges[product]) == 1:
        # what is scaled need not depend on x
        if _is_made_of_weights(graph, product):
            by = Side(graph, product, graph.edges[product][0], s.join)
            return DOUBT if _is_single(graph, by) else ""
        product = graph.edges[product][0].to
    edges = graph.edges[product]
    if graph.roles[product] != "product" or graph.operations[product] != "Mul" or len(edges) != 2:
        return ""
    found = {_scaled(s, branch, product, *order) for order in (edges, edges[::-1])}
    return next((reason for reason in (MODULATION, DOUBT) if reason in found), "")


def _is_made_of_weights(graph: Graph, node: int) -> bool:
    """Whether a signal is multiplied by one that is computed from weights alone, for each entry of its own."""
    if graph.operations[node] != "Mul":
        return False
    after, output = graph.nodes[node].next_functions[1 - graph.edges[node][0].slot]
    computed = after is not None and after.next_functions and tuple(after._input_metadata[output].shape)
    return computed == graph.shape(node)


def _is_single(graph: Graph, by: Side) -> bool:
    return sum(weighs(graph, v) for v in by.nodes) == 1


def _scaled(s: Sum, branch: Side, product: int, signal: Edge, scale: Edge) -> str:
    """The same, of a product of a signal and its scale."""
    graph, source = s.graph, plain_source(s.graph, signal.place)
    by = Side(graph, product, scale, s.join)
    kinds = s.at_join(by)
    # the scale is read off the join by one weight, or as plainly as the shift, and not off the signal itself
    affine = not kinds & ~AFFINE
    if source[0] >= s.join or kinds & ~WEIGHED or not (affine or _is_single(graph, by)) or by.kinds(source):
        return ""
    if not {*branch.nodes, s.node}.issuperset(graph.users[source[0]]):
        return MODULATION
    normed = _is_normalised(graph, signal.place)
    if affine and normed:
        return MODULATION
    return DOUBT if affine or normed else ""


def _is_normalised(graph: Graph, place: Place) -> bool:
    """Whether a signal was divided by its own size last, by a normalisation or one that is written out."""
    while graph.roles[place[0]] in PLAIN and len(graph.edges[place[0]]) == 1:
        if graph.roles[place[0]] == "norm":
            return True
        place = graph.edges[place[0]][0].place
    edges, known = graph.edges[place[0]], facts(graph.operations[place[0]])
    if len(edges) != 2 or not known.entrywise or known.merges:
        return False
    return any(_is_a_size(graph, place[0], *order) for order in (edges, edges[::-1]))


def _is_a_size(graph: Graph, node: int, signal: Edge, size: Edge) -> bool:
    """Whether one factor is computed from the other without a weight, and has fewer entries."""
    source, statistic = plain_source(graph, signal.place), plain_source(graph, size.place)
    by = Side(graph, node, size, source[0])
    return not by.weighs and bool(by.kinds(source)) and prod(graph.shape(*statistic)) < prod(graph.shape(*source))
