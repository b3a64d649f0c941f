"""The sentence that a printed result begins with: how deep is the network, as its gradient sees it?"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["depth_sentence", "least_sentence", "provided"]

Array = NDArray[np.float64]
MOST = 0.75  # our choice: "most of the gradient" is a share of three quarters
WHOLE = 0.01  # a sum of shares further than that from 1 is a spectrum that was cut at a longest length


def depth_sentence(
    lengths: NDArray[np.int64],
    share: Array,
    unit: str,
    blocks: int | None = None,
    hidden: str = "",
    doubtful: int = 0,
) -> str:
    """Say through how many counted steps the gradient passes, and along paths of which lengths most of it flows.

    Parameters
    ----------
    lengths, share
        (R,) r, and each length's share of the gradient.
    unit
        "blocks" or "weights".
    blocks
        How many there are, if known.
    hidden
        What stands behind the unit: operations inside of which nothing was counted.
    doubtful
        How many sums may be residual and are not counted.
    """
    proviso = provided(doubtful) if unit == "blocks" else ""
    if np.isnan(share).all():
        return "The gradient is zero: its shares are undefined."
    first, last = int(lengths[0]), int(lengths[-1])
    if abs(share.sum() - 1) > WHOLE:
        return f"A share of {share.sum():.3g} of the gradient flows along paths of {first} to {last} {unit}{proviso}."
    if last == 0:
        return f"The gradient passes no {unit}: all of it flows along paths of length 0{proviso}."
    if first == last:
        steps = f"{last} {unit if last > 1 else unit.removesuffix('s')}"
        return f"All of the gradient flows along paths of {steps}{hidden}{proviso}."
    low, high = _most(lengths, share)
    depth = f"{float(lengths @ share):.3g} of {'' if last == blocks else 'at most '}{last} {unit}{hidden}"
    most = f"length {low}" if low == high else f"{low} to {high}"
    return f"The gradient passes {depth} on average{proviso}; most of it flows along paths of {most}."


def provided(doubtful: int) -> str:
    """Say what a depth in blocks rests on, as the end of a clause, where sums were found that may be residual."""
    if not doubtful:
        return ""
    return f", if {'the doubtful sum is no block' if doubtful == 1 else f'the {doubtful} doubtful sums are no blocks'}"


def least_sentence(blocks: Sequence[str], participation: Array) -> str:
    """Name the block that carries least; empty where there are not two to compare."""
    if len(blocks) < 2 or np.isnan(participation).any():
        return ""
    least = int(np.argmin(participation))
    return f" {blocks[least]} carries least ({participation[least]:.2f})."


def _most(lengths: NDArray[np.int64], share: Array) -> tuple[int, int]:
    """The shortest run of lengths with a share of `MOST`; of several the one with the largest share."""
    # below[k] is the share of the first k lengths: a run's share is a difference
    below = np.concatenate([[0.0], np.cumsum(share)])
    for width in range(1, len(share) + 1):
        runs = below[width:] - below[:-width]
        best = int(np.argmax(runs))
        if runs[best] >= MOST:
            break
    return int(lengths[best]), int(lengths[best + width - 1])
