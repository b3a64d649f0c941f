"""The outline of a network, as its gradient sees it."""

from collections.abc import Sequence

from torch import Tensor, nn

from skipglass.graph import Block, Edge, PathGraph, Target, Trace, as_trace

__all__ = ["branches", "outline"]


def outline(
    loss: Tensor | Trace, x: Target | None = None, model: nn.Module | None = None, blocks: Sequence[str] | None = None
) -> PathGraph:
    """Read the network between ``loss`` and ``x``: its weights, residual blocks and parallel sums.

    Parameters
    ----------
    loss
        A scalar with a live graph, or a `Trace`, which has its own x, model and blocks.
    x
        The tensor, or tuple of tensors, that the paths lead to.
    model
        Names the weights; without it blocks are numbered.
    blocks
        What to count as blocks instead: names of residual blocks, or prefixes of them, or of modules whose weights
        alone make up one side of a sum.

    Returns
    -------
    PathGraph
        Everything in forward order.

    Raises
    ------
    InputError
        If there is no graph from the loss to x, a piece of it is hidden, the model is no module, or a name in
        ``blocks`` fits nothing.

    Examples
    --------
    >>> import torch
    >>> from skipglass.models import ResidualMLP
    >>> model, x = ResidualMLP(5, depth=3, width=4), torch.ones(2, 5, requires_grad=True)
    >>> print(outline(model(x).sum(), x, model))
    block     branch  shortcut
    layers.1  first   identity
    layers.2  first   identity
    weights: 3 (layers.0.weight, layers.1.weight, layers.2.weight)
    sums: 0
    norms: 0
    opaque: 0
    """
    return as_trace(loss, x, model, blocks).outline


def branches(block: Block) -> list[tuple[int, Edge]]:
    """Where a block's branch is added: the node of each sum, and its edge into the branch."""
    return [(merge.node, merge.branch) for merge in block.merges if merge.branch is not None]
