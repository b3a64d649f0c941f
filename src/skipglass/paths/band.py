"""Carry only the lengths whose part of the gradient matters, as lengths concentrate in a narrow band (Theorem 2).

Wherever paths come together, let n_r be the norm of what has arrived there by paths of length r. The shortest lengths
whose norms sum to at most half of tolerance·Σ_r n_r go on together in one channel, the *lump* of short paths, and the
longest ones likewise in a lump of long paths. Nothing is lost: lengths and lumps still sum to the gradient, and the
norms of the lumps at x say how much of it is not attributed to a length.

Samples have bands of their own, and gradients of very different sizes: a length is lumped only where it is that
small within each entry of the first dimension, and of each of the first two if there are features beside them (tokens).
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from skipglass.graph.engine import Arrived, Graded

__all__ = ["LONG", "LUMPS", "SHORT", "narrow", "resolved"]

SHORT, LONG = -1, 1 << 40
"""The channels of the two lumps, beside those of lengths."""
LUMPS = {SHORT, LONG}
FEW = 8  # our choice: of so few lengths none is worth the lumps
FAINT = 1e-8  # norms below, and above 1/FAINT, are computed in double precision


def resolved(dtypes: set[torch.dtype]) -> float:
    """The default tolerance: a quarter of what the most precise of some types resolves."""
    return min((torch.finfo(t).eps for t in dtypes if t.is_floating_point or t.is_complex), default=0.0) / 4


def narrow(at: Arrived, tolerance: float, kept: int = FEW) -> int:
    """Put into the lumps what has arrived by paths that are too short or too long to matter.

    Parameters
    ----------
    at
        What has arrived at a head; changed in place.
    tolerance
        The part of Σ_r n_r that may be lumped here.
    kept
        How many lengths were kept last: only where some more have come is it worth looking again.

    Returns
    -------
    int
        How many are kept now.
    """
    lengths = sorted({r for graded in at.values() for r in graded} - LUMPS)
    if len(lengths) <= max(kept, FEW) + 1:
        return kept
    # (channels, rows): norms of all that has arrived, the lumps first and last
    channels = [SHORT, *lengths, LONG]
    norm = np.concatenate([_rows(graded, channels) for graded in at.values()], axis=1)
    bound = 0.5 * tolerance * norm.sum(axis=0)
    short = int((norm[:-1].cumsum(axis=0) <= bound).all(axis=1).sum()) - 1
    long = int((norm[:0:-1].cumsum(axis=0) <= bound).all(axis=1).sum()) - 1
    # with the lump itself above the bound no length joins it
    outer = {SHORT: lengths[: max(short, 0)], LONG: lengths[len(lengths) - max(long, 0) :]}
    for graded in at.values():
        for lump, r in ((lump, r) for lump, some in outer.items() for r in some):
            if r in graded:
                _add(graded, lump, graded.pop(r))
    return len(lengths) - sum(map(len, outer.values()))


def _add(graded: Graded, lump: int, value: Tensor) -> None:
    graded[lump] = graded.pop(lump) + value if lump in graded else value


def _rows(graded: Graded, channels: list[int]) -> NDArray[np.float64]:
    """Norms of the channels at one output, within each sample and each token, (channels, rows)."""
    some = next(iter(graded.values()))
    leading = min(some.ndim, 2 if some.ndim == 3 else 1)
    shape = some.shape[:leading]
    norm = torch.zeros(len(channels), *shape, dtype=torch.float64, device=some.device)
    flat = {k: graded[r].reshape(*shape, -1) for k, r in enumerate(channels) if r in graded}
    for k, v in flat.items():
        norm[k] = torch.linalg.vector_norm(v, dim=-1, dtype=torch.promote_types(v.dtype, torch.float32))
    # that is quick but squares overflow or vanish in single precision: such rows once more
    total = norm.sum(dim=0)
    if (again := ~((total > FAINT) & (total < 1 / FAINT))).any():
        for k, v in flat.items():
            wide = torch.promote_types(v.dtype, torch.float64)
            norm[k, again] = torch.linalg.vector_norm(v[again], dim=-1, dtype=wide)
    square = norm.square().cpu().numpy()
    # of samples and tokens each by itself
    sums = [square.sum(axis=tuple(a for a in range(1, leading + 1) if a != d)) for d in range(1, leading + 1)]
    return np.sqrt(np.concatenate(sums, axis=1) if sums else square[:, None])
