"""The tangent of fused attention, which PyTorch differentiates once only.

With scores S = s·Q Kᵀ + M, where s is the scale and M the mask, and weights P = softmax(S), the output O = P V has

    dO = dP V + P dV,    dP = P ∘ (dS - rows' sums of P ∘ dS),    dS = s·(dQ Kᵀ + Q dKᵀ).

As in the fused kernels the matrices of all queries and keys never exist at once: some rows of queries at a time.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from skipglass.graph import Trace
from skipglass.graph.hooks import Heard, Silence

__all__ = ["FUSED", "attention", "must_be_plain"]

ENTRIES = 1 << 22  # entries of P at once, for all samples and heads: our choice, 16 MB in single precision

SAVED = "query key value dropout_p is_causal scale"
FUSED = {
    "ScaledDotProductFlashAttention": SAVED,
    "ScaledDotProductFlashAttentionForCpu": f"{SAVED} attn_mask",
    "ScaledDotProductEfficientAttention": f"{SAVED} attn_bias",
    "ScaledDotProductCudnnAttention": f"{SAVED} attn_bias",
}
"""For each kernel what it saves, in the order in which `attention` takes it."""


def attention(
    t: Mapping[int, Tensor],
    query: Tensor,
    key: Tensor,
    value: Tensor,
    dropout: float,
    causal: bool,
    scale: float | None,
    mask: Tensor | None = None,
) -> Tensor | None:
    """Return dO for tangents of queries, keys and values (slots 0, 1, 2); None where weights are dropped at random."""
    if dropout or not set(t) <= {0, 1, 2}:
        return None
    kind = torch.promote_types(query.dtype, torch.float32)
    # several heads of queries may share one of keys and values
    heads = query.shape[-3] // key.shape[-3]
    q, k, v = (x.to(kind) for x in (query, key, value))
    dq, dk, dv = (t[slot].to(kind) if slot in t else None for slot in range(3))
    if heads > 1:
        k, v = (x.repeat_interleave(heads, -3) for x in (k, v))
        dk, dv = (None if x is None else x.repeat_interleave(heads, -3) for x in (dk, dv))
    s = query.shape[-1] ** -0.5 if scale is None else scale
    queries, keys = q.shape[-2], k.shape[-2]
    step = max(1, ENTRIES * queries // max(1, q[..., 0].numel() * keys))
    out = torch.empty(*q.shape[:-1], v.shape[-1], dtype=kind, device=q.device)
    for first in range(0, queries, step):
        rows = slice(first, min(first + step, queries))
        P = _weights(s * q[..., rows, :] @ k.mT, _masked(mask, rows, causal, queries, keys, q))
        here = P @ dv if dv is not None else torch.zeros_like(out[..., rows, :])
        if dq is not None or dk is not None:
            moved = [dq[..., rows, :] @ k.mT] if dq is not None else []
            moved += [q[..., rows, :] @ dk.mT] if dk is not None else []
            PdS = s * P * sum(moved)
            here = here + (PdS - P * PdS.sum(-1, keepdim=True)) @ v
        out[..., rows, :] = here
    return out


def _masked(mask: Tensor | None, rows: slice, causal: bool, queries: int, keys: int, like: Tensor) -> Tensor | None:
    """What is added to the scores of some rows."""
    if causal:  # query i sees keys 0..i
        later = torch.ones(queries, keys, dtype=torch.bool, device=like.device).triu(1)[rows]
        return torch.zeros_like(later, dtype=like.dtype).masked_fill(later, float("-inf"))
    if mask is None:
        return None
    own = mask.expand(*mask.shape[:-2], queries, keys)[..., rows, :]
    return torch.zeros_like(own, dtype=like.dtype).masked_fill(~own, float("-inf")) if own.dtype == torch.bool else own


def _weights(scores: Tensor, added: Tensor | None) -> Tensor:
    """The softmax over keys; zero for a query that sees none."""
    return torch._safe_softmax(scores if added is None else scores + added, -1)


def must_be_plain(trace: Trace) -> bool:
    """Whether a graph has fused attention along which no tangent can be pushed: it must run by its plain formula.

    That is so where hooks change gradients, where a checkpoint would compute what is saved once for every node, and
    where attention drops weights at random.
    """
    graph = trace.graph
    fused = {k: name for k, name in enumerate(graph.operations) if name.startswith("ScaledDotProduct")}
    if not fused or trace.hooked:
        return bool(fused)
    try:
        with Silence():
            saved = [(name, graph.nodes[k]._saved_query, graph.nodes[k]._saved_dropout_p) for k, name in fused.items()]  # type: ignore[attr-defined]
    except (Heard, AttributeError):
        return True
    return any(name not in FUSED or dropout for name, _, dropout in saved)
