"""Everything about one network in one call: spectrum, census, participation and the theory's fits."""

import math
import warnings
from collections.abc import Callable, Sequence
from contextlib import ExitStack

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from skipglass import check
from skipglass.errors import DecompositionError, InputError
from skipglass.graph import UNITS, LossFunction, Trace
from skipglass.graph.inputs import as_tensor
from skipglass.graph.shares import batch_norm_trains, squared
from skipglass.paths.census import census
from skipglass.paths.participation import participation_of, traced
from skipglass.paths.profile import Profile
from skipglass.paths.spectrum import Spectrum, spectrum
from skipglass.theory import Fit, fit
from skipglass.theory.ensemble import READINGS

__all__ = ["measure"]

NOTED = ("what these operations may hold", "these sums may be residual", "contractions with a constant")
"""How warnings begin that a profile says in its notes."""

FROM_SPECTRUM = "unit lengths norm share norm_per_sample share_per_sample error cancellation independent_samples"
"""What a profile takes from the spectrum as it is, by name."""


def measure(
    model: nn.Module | Trace,
    inputs: object = None,
    targets: object = None,
    loss_fn: LossFunction | None = None,
    unit: str = "blocks",
    progress: Callable[[str], None] | None = None,
    blocks: Sequence[str] | None = None,
) -> Profile:
    """Measure how the gradient of one batch flows through a network, by path length and by block.

    One forward pass serves all of it; one more, with plain attention, where `participation` needs that. What is kept
    holds no tensor.

    Parameters
    ----------
    model
        Any module, in the mode that is to be measured; it is left as found. Or a `Trace`, which has its own inputs,
        loss and blocks.
    inputs
        A tensor, tuple or mapping; of token ids the input embedding is split. See `skipglass.graph.forward`.
    targets
        Passed on to the loss.
    loss_fn
        loss_fn(outputs, targets); the default is in `skipglass.graph.forward`.
    unit
        "blocks", residual branches, or "weights", the paper's r.
    progress
        Called with a line of text before each step; `spectrum` announces what will take longer than a minute.
    blocks
        What to count instead of the residual blocks; see `outline`.

    Returns
    -------
    Profile
        What was found; prints itself, plots, saves and compares.

    Raises
    ------
    InputError
        If the model cannot be run, nothing in it can be split, or no block was found but sums that may be one were.
    DecompositionError
        If the parts do not sum to the gradient.

    Examples
    --------
    >>> from skipglass.models import ResidualMLP
    >>> profile = measure(ResidualMLP(5, 3, depth=5, width=8), torch.ones(4, 5))
    >>> profile.blocks
    ('layers.1', 'layers.2', 'layers.3', 'layers.4')
    >>> profile.census
    {0: 1, 1: 4, 2: 6, 3: 4, 4: 1}
    """
    check.choice("unit", unit, UNITS)
    if progress is not None and not callable(progress):
        raise InputError(f"progress must be a function of a line of text, not {type(progress).__name__}")
    say = progress or (lambda _: None)
    say("forward pass")
    with warnings.catch_warnings(), ExitStack() as stack:
        for beginning in NOTED:
            warnings.filterwarnings("ignore", beginning)
        # one trace serves the census, the spectrum and the participation
        run = stack.enter_context(traced(model, inputs, targets, loss_fn, blocks))
        if unit == "blocks":
            run.outline.require_blocks()
        # the longest path says how many parts the spectrum can have
        paths = census(run, unit=unit)
        say(f"spectrum in {unit}, up to length {max(paths)}")
        split = spectrum(run, unit=unit, at="blocks")
        say("participation of each block")
        participation, per_sample, failure = _participation(run, split)
        dtype = str((run.x if isinstance(run.x, Tensor) else run.x[0]).dtype).removeprefix("torch.")
        loss = "that of the trace" if run is model else _describe(run, targets, loss_fn)
    # from here on: what was measured, set out by name
    outline = split.graph
    return Profile(
        **{name: getattr(outline, name) for name in ("weights", "sums", "norms", "opaque")},
        **{name: getattr(split, name) for name in FROM_SPECTRUM.split()},
        model="a graph" if run.model is None else type(run.model).__name__,
        mode=_mode(run.model),
        dtype=dtype,
        loss=loss,
        blocks=tuple(b.name for b in outline.blocks),
        census=paths,
        norm_at_blocks=np.zeros((0, 0)) if split.at_blocks is None else split.at_blocks,
        participation=participation,
        participation_per_sample=per_sample,
        fits=_fits(split, paths),
        notes=(*run.notes, *_notes(split, dtype), *_unused_statistics(run.model), *failure),
        verdicts=outline.summary(),
        doubtful=outline.unsure,
    )


def _mode(model: nn.Module | None) -> str:
    """Whether all modules train, evaluate, or neither; unknown where a trace has no model."""
    modes = {"train" if module.training else "eval" for module in model.modules()} if model is not None else {"unknown"}
    return modes.pop() if len(modes) == 1 else "mixed"


def _participation(run: Trace, split: Spectrum) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Participations, (L,) and (L, N), and a note of why there are none."""
    try:
        part = participation_of(run)
    except DecompositionError as error:
        undefined = np.full((len(split.graph.blocks), 1 + split.share_per_sample.shape[1]), math.nan)
        return undefined[:, 0], undefined[:, 1:], [f"participation could not be measured: {error}"]
    return part.share, part.share_per_sample, []


def _describe(run: Trace, targets: object, loss_fn: LossFunction | None) -> str:
    """What the loss was, by the rules of `skipglass.graph.forward`."""
    if loss_fn is not None:
        return getattr(loss_fn, "__name__", type(loss_fn).__name__)
    if targets is None:
        own = getattr(run.outputs, "loss", None) is not None
        return "the outputs' own" if own else "the largest output of each sample, summed"
    floats = getattr(targets, "dtype", None) is not None and as_tensor(targets).is_floating_point()
    return "mean squared error" if floats else "cross entropy"


def _fits(split: Spectrum, paths: dict[int, int]) -> tuple[Fit, ...]:
    """Both models of the theory; none where the gradient is zero or all paths are of one length."""
    if not split.norm.any() or sum(int(r) in paths for r in split.lengths) < 2:
        return ()
    # samples that are independent give the fit its confidence interval
    norms = split.norm_per_sample if split.independent_samples else split.norm
    return tuple(fit(split.lengths, squared(norms), paths, reading) for reading in READINGS)


def _notes(split: Spectrum, dtype: str) -> list[str]:
    """What a reader should know before trusting the numbers."""
    notes, outline = [], split.graph
    if not split.norm.any():
        notes.append("the gradient is zero: shares and participation are undefined")
    # at that cancellation half of the digits are lost
    limit = 1 / math.sqrt(torch.finfo(getattr(torch, dtype)).eps)
    if split.cancellation > limit:
        notes.append(
            f"the parts cancel {split.cancellation:.1e}-fold, above 1/√eps = {limit:.0e} of {dtype}: shares keep few "
            "digits; measure in a higher precision"
        )
    if not split.independent_samples:
        notes.append(f"{_coupling(split)}: per-sample values are undefined, and β and b have no confidence interval")
    if split.unit == "blocks" and not outline.blocks:
        notes.append("no residual block was found: all paths have length 0 in blocks; measure with unit='weights'")
    notes += [*outline.doubts("blocks"), *filter(None, [outline.skips_left_out()])]
    if split.unit == "weights":
        notes += [f"{doubt}; paths may be longer than they seem" for doubt in outline.doubts("weights")]
    return notes


def _coupling(split: Spectrum) -> str:
    """Why no values of single samples are defined."""
    graph = split.graph.graph
    if len({graph.metas[node][k].shape[:1] for node, k in graph.targets}) > 1:
        return "the inputs do not share their first dimension, so that nothing counts samples"
    trains = batch_norm_trains(graph)
    return f"{'batch norm in training mode' if trains else 'an operation over the batch'} couples the samples"


def _unused_statistics(model: nn.Module | None) -> list[str]:
    """A note of batch norms that use running statistics which no batch has filled."""
    norms = [m for m in model.modules() if isinstance(m, _BatchNorm) and not m.training] if model is not None else []
    unused = sum(m.num_batches_tracked is not None and not int(m.num_batches_tracked) for m in norms)
    if not unused:
        return []
    return [
        f"{unused} batch norms in evaluation mode have never seen a batch, so that they do not normalise: measure "
        "in training mode, or let some batches through first"
    ]
