"""Labels that depend on how a function is written, not on the function.

x + t (f - x) is a block with an interpolation inside, t f + (1-t) x the same function with a gated shortcut, which is
none; x + x f is a block, and x (1 + f) the same function with no sum of signals at all.
"""

from collections.abc import Iterator, Sequence

from skipglass.graph.joins import PLAIN, above, plain_source, weighs
from skipglass.graph.nodes import Edge, Graph, Place
from skipglass.graph.operations import facts
from skipglass.graph.sides import Side, Way, ways

__all__ = ["FACTORED", "INTERPOLATED", "interpolations", "is_factored", "is_one_of", "scales_its_shortcut"]

INTERPOLATED = "t f + (1-t) x or x + t (f - x)"
FACTORED = "x (1 + f) or x + x f"

WEIGHED, PLAINLY = ways(weighed=True), ways(Way.PLAIN)


def interpolations(graph: Graph, node: int) -> Iterator[tuple[int, bool]]:
    """The sums around a difference a - b, as b + t(a - b), that add a or b to what becomes of it without a weight.

    With each whether a product with a signal lies in between.
    """
    alone, gated = {node}, set[int]()

    def passes(below: int, user: int) -> bool:
        product = graph.roles[user] == "product"
        if weighs(graph, user) or (len(graph.edges[user]) > 1 and not product):
            return False
        alone.add(user)
        gated.update({user} if product or below in gated else ())
        return True

    for below, user in above(graph, node, passes):
        others = [e for e in graph.edges[user] if e.to not in alone]
        if len(others) == 1 and graph.roles[user] == "linear" and is_one_of(graph, others[0], node):
            yield user, below in gated


def is_one_of(graph: Graph, edge: Edge, node: int) -> bool:
    """Whether a signal is one of those that a node adds, but for plain operations on it alone."""
    return plain_source(graph, edge.place) in {plain_source(graph, e.place) for e in graph.edges[node]}


def is_factored(graph: Graph, node: int) -> bool:
    """Whether a product is that of a signal with a constant and what weights make of the same signal, x (1 + f(x)).

    One that is only a summand has no label of its own: that of its sum says what is done with it.
    """
    if not _is_of_two_factors(graph, node) or not any(_adds_a_constant(graph, e.place) for e in graph.edges[node]):
        return False
    first, second = graph.edges[node]
    orders = ((first, second), (second, first))
    makes = any(_adds_a_constant(graph, f.place) and _weighs_the_same(graph, node, x, f) for x, f in orders)
    return makes and not _is_a_summand(graph, node)


def scales_its_shortcut(graph: Graph, branch: Edge, shortcut: Edge) -> bool:
    """Whether a branch is the signal of its shortcut times what weights make of that signal, as in x + x f(x)."""
    product, source = plain_source(graph, branch.place)[0], plain_source(graph, shortcut.place)
    if not _is_of_two_factors(graph, product):
        return False
    first, second = graph.edges[product]
    return any(
        plain_source(graph, x.place) == source and _weighs_the_same(graph, product, x, f)
        for x, f in ((first, second), (second, first))
    )


def _is_of_two_factors(graph: Graph, node: int) -> bool:
    """Whether a node multiplies two signals entry by entry."""
    known: Sequence[Edge] = graph.edges[node]
    return graph.roles[node] == "product" and len(known) == 2 and graph.operations[node] == "Mul"


def _weighs_the_same(graph: Graph, node: int, x: Edge, f: Edge) -> bool:
    """Whether one factor is a signal, but for plain operations on it alone, that the other reads over weights only."""
    source = plain_source(graph, x.place)
    kinds = Side(graph, node, f, source[0]).kinds(source)
    return bool(kinds & WEIGHED) and not kinds & PLAINLY


def _adds_a_constant(graph: Graph, place: Place) -> bool:
    """Whether a signal is a sum with a number, or with parameters that are no bias, but for linear operations on it."""
    node, _ = place
    while graph.roles[node] == "linear" and len(graph.edges[node]) == 1 and place not in graph.targets:
        place = graph.edges[node][0].place
        if facts(graph.operations[node]).merges in {"sum", "difference"}:
            traced = sum(after is not None for after, _ in graph.nodes[node].next_functions)
            return traced == 1 or graph.roles[plain_source(graph, place)[0]] != "weight"
        node, _ = place
    return False


def _is_a_summand(graph: Graph, node: int) -> bool:
    """Whether all that reads a signal is one sum of it and others, by plain operations on it alone."""
    users = graph.users[node]
    while len(users) == 1 and graph.roles[users[0]] in PLAIN and len(graph.edges[users[0]]) == 1:
        users = graph.users[users[0]]
    return len(users) == 1 and len(graph.edges[users[0]]) > 1 and bool(facts(graph.operations[users[0]]).merges)
