"""Why a sum of two signals is no block for certain: doubtful, where it has almost the form of one, or parallel."""

from skipglass.graph.joins import is_x
from skipglass.graph.nodes import Place
from skipglass.graph.operations import facts
from skipglass.graph.pieces import Shared, shared
from skipglass.graph.reasons import (
    into_attention,
    is_condition,
    is_coupled,
    is_of_the_loss,
    is_preactivated,
    skips_over,
    starts_at,
    weighs_above,
)
from skipglass.graph.sides import EVERY, Side, Way, ways
from skipglass.graph.sums import AFFINE, GATED, MIXED, PLAIN, UNBENT, UNKNOWN, WEIGHED, Sum, Verdict, meeting

__all__ = ["almost", "beside"]


def almost(s: Sum) -> Verdict | None:
    """What would be a block but for one thing."""
    if _is_from_a_target(s) or is_of_the_loss(s.graph, s.node) or into_attention(s.graph, s.node):
        return None
    for branch, shortcut in s.orders:
        if branch.weighs and (reason := _what_is_amiss(s, branch, shortcut)) is not None:
            return s.verdict("doubtful", reason, branch, shortcut)
    return None


def _is_from_a_target(s: Sum) -> bool:
    """Whether a difference says how far what all weights make of x is from x, or from a function of it."""
    difference = facts(s.graph.operations[s.node]).merges == "difference"
    return difference and is_x(s.graph, s.join) and not weighs_above(s.graph, s.node)


def _what_is_amiss(s: Sum, branch: Side, shortcut: Side) -> str | None:
    """Why a sum is no block that has almost the form of one."""
    if s.at_join(shortcut, UNBENT) and _is_plain_in_part(s, branch):
        return "a part of its branch is plain"
    if meeting(branch, shortcut, UNBENT | UNKNOWN, UNKNOWN) is not None:
        custom = any(s.graph.roles[v] == "custom" for v in shortcut.weightless.nodes)
        return "a custom function is on its shortcut" if custom else "an operation on its shortcut is not known"
    # a stream that the shortcut bends: a gate on it is none, a lone nonlinearity may have been meant as one
    met = meeting(branch, shortcut, ways() & ~MIXED, alike=PLAIN)
    if met is not None and not shortcut.kinds(met[0]) & WEIGHED:
        gated = not shortcut.kinds(met[0]) & ways(Way.BENT, Way.BENT) and shortcut.weighs
        gated = gated or _is_a_product(s, shortcut, contracted=True)
        own = met[0] not in s.ends and s.at_join(branch, ways(Way.GATED))  # a stream of its own, as above
        apart = gated or own or is_condition(s.graph, s.node, branch, shortcut, met[0])
        return None if apart else "a nonlinearity is on its shortcut"
    if not shortcut.weighs or any(_is_a_product(s, one) for one in s.sides):
        return None
    together = s.shared_at_join(branch, shortcut, EVERY) is not Shared.NOTHING
    if together and is_preactivated(s.graph, shortcut, branch):
        return "it may have a projected shortcut"
    # an affine side is no update, and of two depths of one stream both carry it
    if not s.at_join(branch) & ~AFFINE or _both_carry(s):
        return None
    return "it may update one stream by another" if is_coupled(s.graph, s.node, branch, shortcut) else None


def _both_carry(s: Sum) -> bool:
    """Whether both sides carry one signal plainly."""
    first, second = (one.weightless for one in s.sides)
    pieces = ((first.piece(place, UNBENT), second.piece(place, UNBENT)) for place in first.places)
    return any(a is not None and b is not None and shared(a, b) is not Shared.NOTHING for a, b in pieces)


def _is_plain_in_part(s: Sum, branch: Side) -> bool:
    """Whether a branch puts signals side by side of which one is plain and another weighs and is not."""
    below = next((v for v in branch.nodes if len(s.graph.edges[v]) > 1), None)
    if below is None or not (facts(s.graph.operations[below]).joins or below in s.graph.writes):
        return False
    parts = [Side(s.graph, below, e, s.join) for e in s.graph.edges[below]]
    plain = [bool(s.at_join(part, PLAIN)) for part in parts]
    return any(plain) and any(part.weighs and not own for part, own in zip(parts, plain, strict=True))


def beside(s: Sum) -> Verdict:
    """Why a sum is none of these."""
    if _both_carry(s):
        return s.parallel("both plain")
    if into_attention(s.graph, s.node):
        return s.parallel("attention logits")
    if is_of_the_loss(s.graph, s.node):
        return s.parallel("terms of a loss")
    gated = [(*order, place) for order in s.orders if order[0].weighs and (place := _gated(s, *order)) is not None]
    if gated:
        return s.parallel("a gated shortcut", any(skips_over(s.graph, s.node, *each) for each in gated))
    if not any(s.at_join(one) & ~AFFINE for one in s.sides):
        return s.parallel("both affine")
    if not any(_overlap(s, place) for place in s.sides[0].places):
        return s.parallel("different signals")
    if any(_is_a_product(s, one) for one in s.sides):
        return s.parallel("modulation")
    return s.parallel("no side is plain")


def _gated(s: Sum, branch: Side, shortcut: Side) -> Place | None:
    """The signal that a shortcut would carry plainly but for products entry by entry with another signal.

    A gate that both sides share, as t and 1 - t of a highway, may be nearer: then the branch must start at the signal.
    """
    part, within = shortcut.weightless, branch.weightless
    if not s.at_join(branch, UNBENT | GATED):
        met = next((place for place in part.places if place in s.ends and part.kinds(place) & GATED), None)
        if met is not None:
            return met
    nearer = False
    for place in part.places:
        own, read = part.piece(place, GATED), branch.piece(place)
        if own is None or read is None or shared(own, read) is Shared.NOTHING:
            continue
        weighed, alike = branch.piece(place, WEIGHED), within.piece(place, UNBENT | GATED)
        fits = weighed is not None and shared(own, weighed) is not Shared.NOTHING
        fits = fits and (alike is None or shared(own, alike) is Shared.NOTHING)
        if fits and (not nearer or starts_at(s.graph, s.node, branch, [place])):
            return place
        nearer = True
    return None


def _overlap(s: Sum, place: Place) -> bool:
    a, b = (one.piece(place) for one in s.sides)
    return a is not None and b is not None and shared(a, b) is not Shared.NOTHING


def _is_a_product(s: Sum, one: Side, contracted: bool = False) -> bool:
    """Whether a side is a product of two signals, if asked for a contraction, but for operations on it alone."""
    top = next((v for v in one.nodes if len(s.graph.edges[v]) > 1), None)
    if top is None or s.graph.roles[top] != "product":
        return False
    return bool(facts(s.graph.operations[top]).contracts) or not contracted
