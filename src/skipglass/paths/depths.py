"""How deep is a network? Several measures side by side, as they need not agree (docs/mathematics.md §9).

The signed share of a gradient at the input, its energy, the gradients of the weights, the variance of the output, the
norms of single paths: each is a distribution over path lengths, and has a mean length of its own.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from skipglass import check
from skipglass.errors import DecompositionError, InputError
from skipglass.graph import LossFunction, Trace, prediction, trace
from skipglass.paths.output_split import OutputSplit, output_split
from skipglass.paths.sampled_paths import sampled_paths
from skipglass.paths.spectrum import Spectrum, spectrum
from skipglass.paths.weight_spectrum import WeightSpectrum, weight_spectrum
from skipglass.record import Result, names, number, texts, variable
from skipglass.report import Axis, Panel, Series

__all__ = ["MEASURES", "Depths", "depths"]

Array = NDArray[np.float64]
Found = tuple[float, float]
"""A depth and its standard error."""

MEASURES = {
    "input, shares": "gradient of the input, signed shares of the batch",
    "input, shares, median": "gradient of the input, signed shares, median over samples",
    "input, energy": "gradient of the input, squared norms of the batch",
    "input, energy, median": "gradient of the input, squared norms, median over samples",
    "first weight, shares": "gradient of the first weight, signed shares",
    "first weight, energy": "gradient of the first weight, squared norms",
    "all weights, shares": "gradient of all weights together, signed shares",
    "all weights, energy": "gradient of all weights together, squared norms",
    "output, shares": "output over samples, covariance of its parts with it",
    "output, energy": "output over samples, variance of its parts",
    "single paths": "single paths, C(L, k) times the mean norm of the batch",
    "single paths, median": "single paths, C(L, k) times the mean norm, median over samples",
}
"""What each measure is."""
OF_WEIGHTS = tuple(name for name in MEASURES if "weight" in name)
UNKNOWN = [np.nan] * len(OF_WEIGHTS)
DRAWN = 16  # single paths of each length: our choice, some 2 % of the depth
RESAMPLES = 500  # of the bootstrap over samples
GROUPS = 8  # of samples, for the errors of what is a figure of a whole batch: our choice


@dataclass(frozen=True, eq=False)
class Depths(Result):
    """The mean path length of a network by several measures, in blocks; see `MEASURES`.

    Attributes
    ----------
    measures
        The names of those that could be measured.
    depth
        The mean length by each.
    error
        Its standard error: over samples, by the bootstrap, for medians and for the output; over groups of samples, by
        their spread, for the weights, where the model and the loss take samples apart; of the draw, too, for single
        paths. NaN for others.
    weights
        The names of the weights, in forward order.
    weight_share_depth, weight_energy_depth
        The mean length above each weight, by signed shares and by squared norms.
    blocks
        How many residual blocks there are.
    notes
        What could not be measured, and why.
    """

    kind = "depths"

    measures: tuple[str, ...] = names("measure")
    depth: Array = variable("measure", letter="depth", long_name="mean path length", units="blocks")
    error: Array = variable("measure", letter="±", long_name="standard error of the mean path length", units="blocks")
    weights: tuple[str, ...] = names("weight")
    weight_share_depth: Array = variable(
        "weight", letter="shares", long_name="mean length above the weight by signed shares", units="blocks"
    )
    weight_energy_depth: Array = variable(
        "weight", letter="energy", long_name="mean length above the weight by squared norms", units="blocks"
    )
    blocks: int = number(of=int, long_name="residual blocks")
    notes: tuple[str, ...] = texts("not measured")

    def headline(self) -> str:
        """Say between which depths the measures lie."""
        if not np.isfinite(self.depth).any():
            return "The gradient is zero: no measure of depth is defined."
        low, high = int(np.nanargmin(self.depth)), int(np.nanargmax(self.depth))
        return (
            f"Of {self.blocks} blocks, paths pass {self.depth[low]:.3g} ({self.measures[low]}) to "
            f"{self.depth[high]:.3g} ({self.measures[high]}) on average, by the measure."
        )

    def panel(self) -> Panel:
        """The depth by each measure."""
        x = np.arange(1, len(self.measures) + 1)
        error = np.nan_to_num(self.error)
        listed = "; ".join(f"{k} {MEASURES[name]}" for k, name in zip(x, self.measures, strict=True))
        return Panel(
            "depths",
            "Depth by several measures",
            "Each point is the mean path length by one measure; bars are standard errors. Points that lie apart say "
            "that the network is deep in one sense and shallow in another.",
            Axis("measure"),
            Axis("mean path length", f"blocks of {self.blocks}", zero=True),
            (Series("depth", x, self.depth, self.depth - error, self.depth + error),),
            marks="points",
            note=f"Measures: {listed}.",
        )

    def of(self, measure: str) -> float:
        """Return the depth by a measure; NaN where it was not measured."""
        return float(self.depth[self.measures.index(measure)]) if measure in self.measures else np.nan


def depths(
    model: nn.Module,
    inputs: object,
    targets: object = None,
    loss_fn: LossFunction | None = None,
    output: Callable[[Tensor], Tensor] | None = None,
    drawn: int = DRAWN,
    seed: int = 0,
    blocks: Sequence[str] | None = None,
) -> Depths:
    """Measure how deep a network is, by everything that `MEASURES` names and the network allows.

    Costs about three spectra, two of them with the gradients of the weights, and ``drawn``·L/2 backward passes for the
    single paths.

    Parameters
    ----------
    model
        In the mode that is to be measured; it is left as found. The output is split where the network is piecewise
        linear, with batch norm's statistics fixed.
    inputs, targets, loss_fn
        As for `skipglass.measure`.
    output
        Picks one number for each input out of the output; the default is the output of each input's own class, where
        targets are classes.
    drawn, seed
        Single paths of each length, and the seed of their draw; 0 draws none.
    blocks
        What to count instead of the residual blocks; see `outline`.

    Returns
    -------
    Depths
        The mean length by each measure.

    Raises
    ------
    InputError
        If the model cannot be run or split.
    DecompositionError
        If the parts do not sum to the gradient.

    Examples
    --------
    >>> from skipglass.models import ResidualMLP
    >>> model, x = ResidualMLP(5, 3, depth=4, width=8), torch.randn(6, 5)
    >>> d = depths(model, x, torch.arange(6) % 3, torch.nn.functional.cross_entropy)
    >>> d.blocks, len(d.measures), d.notes
    (3, 12, ())
    """
    # some of what follows is left out where the network does not allow it: first what is no fault of the network's
    check.integer("drawn", drawn)
    check.seed("seed", seed)
    if output is not None and not callable(output):
        raise InputError(f"output must be a function of the model's output, not {type(output).__name__}")
    t = trace(model, inputs, targets, loss_fn, blocks=blocks)
    # the gradient at x can always be split; each other measure that the network does not allow leaves a note
    found, notes = _of_input(spectrum(t)), []
    weights: tuple[tuple[str, ...], Array, Array] = (), np.zeros(0), np.zeros(0)
    try:
        update = weight_spectrum(t)
        weights = update.weights, update.effective_depth, update.energy_depth
        errors = _errors_by_groups(model, inputs, targets, loss_fn, blocks) if t.independent_samples else UNKNOWN
        found |= dict(zip(OF_WEIGHTS, zip(_of_weights(update), errors, strict=True), strict=True))
    except InputError as error:
        notes.append(str(error))
    try:
        found |= _of_output(output_split(model, *_picked(t, inputs, targets, output), unit="blocks"))
    except (InputError, DecompositionError) as error:
        notes.append(str(error))
    if drawn:
        try:
            single = sampled_paths(t, drawn=drawn, seed=seed)
            found |= {"single paths": (single.effective_depth, single.depth_error)}
            if t.independent_samples:
                median, spread = median_and_error(single.effective_depth_per_sample)
                found |= {"single paths, median": (median, float(np.hypot(spread, single.depth_error)))}
        except InputError as error:
            notes.append(str(error))
    # in the order of MEASURES, those that were found
    listed = [name for name in MEASURES if name in found]
    return Depths(
        measures=tuple(listed),
        depth=np.array([found[name][0] for name in listed]),
        error=np.array([found[name][1] for name in listed]),
        weights=weights[0],
        weight_share_depth=weights[1],
        weight_energy_depth=weights[2],
        blocks=len(t.outline.blocks),
        notes=tuple(notes),
    )


def _of_input(split: Spectrum) -> dict[str, Found]:
    """The measures that the gradient at x gives."""
    found = {"input, shares": (split.effective_depth, np.nan), "input, energy": (split.energy_depth, np.nan)}
    if split.independent_samples:
        found["input, shares, median"] = median_and_error(split.effective_depth_per_sample)
        found["input, energy, median"] = median_and_error(split.energy_depth_per_sample)
    return found


def _of_weights(update: WeightSpectrum) -> list[float]:
    """The measures `OF_WEIGHTS`."""
    first = float(update.effective_depth[0]), float(update.energy_depth[0])
    return [*first, update.update_depth, update.update_energy_depth]


def _errors_by_groups(
    model: nn.Module, inputs: object, targets: object, loss_fn: LossFunction | None, blocks: Sequence[str] | None
) -> list[float]:
    """The standard errors of the measures `OF_WEIGHTS`, from groups of samples that are measured alone."""
    apart = isinstance(inputs, Tensor) and (isinstance(targets, Tensor) or targets is None)
    if not isinstance(inputs, Tensor) or not apart or len(inputs) < 2 * GROUPS:
        return UNKNOWN
    if isinstance(targets, Tensor) and targets.shape[:1] != inputs.shape[:1]:
        return UNKNOWN
    # each group is a batch of its own: every eighth sample, from the k-th on
    figures = []
    for k in range(GROUPS):
        own = targets[k::GROUPS] if isinstance(targets, Tensor) else None
        one = trace(model, inputs[k::GROUPS], own, loss_fn, blocks=blocks)
        figures.append(_of_weights(weight_spectrum(one)))
    return (np.std(figures, axis=0, ddof=1) / np.sqrt(GROUPS)).tolist()


def _picked(
    t: Trace, inputs: object, targets: object, output: Callable[[Tensor], Tensor] | None
) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """The inputs, and what picks one number for each out of the output."""
    if not isinstance(inputs, Tensor):
        raise InputError(f"the output is split for inputs that are one tensor, and they are a {type(inputs).__name__}")
    if output is not None:
        return inputs, output
    # the default output is the logit of the class that the input has
    y, classes = prediction(t.outputs), None
    with suppress(TypeError, ValueError, RuntimeError):  # targets may be anything that loss_fn takes
        classes = torch.as_tensor(targets)
    if classes is None or classes.is_floating_point() or classes.ndim != 1 or y.ndim != 2 or len(y) != len(classes):
        raise InputError("the output is split where targets are classes; give output=…, one number for each input")
    return inputs, lambda y: y.gather(1, classes[:, None].to(y.device))[:, 0]


def _of_output(split: OutputSplit) -> dict[str, Found]:
    """The measures that the output gives, with their standard errors by the bootstrap over inputs."""
    parts, outputs = split.parts_per_sample, split.outputs
    if parts is None or outputs is None or split.energy_depth is None or split.effective_depth is None:
        raise InputError("output must give one number for each input, for its variance over inputs to be split")

    def resampled(chosen: NDArray[np.int64]) -> Found:
        # the variance is over the inputs that were drawn: centre parts and outputs by their own means
        centred = parts[:, chosen] - parts[:, chosen].mean(axis=1, keepdims=True)
        y = outputs[chosen] - outputs[chosen].mean()
        square = (centred**2).sum(axis=1)
        return split.lengths @ (centred @ y) / (y @ y), split.lengths @ square / square.sum()

    errors = _bootstrap(len(outputs), resampled)
    return {
        "output, shares": (split.effective_depth, errors[0]),
        "output, energy": (split.energy_depth, errors[1]),
    }


def median_and_error(values: Array) -> Found:
    """Return the median over samples that have a gradient, and its standard error."""
    defined = values[np.isfinite(values)]
    if not defined.size:
        return np.nan, np.nan
    (error,) = _bootstrap(defined.size, lambda chosen: (float(np.median(defined[chosen])),))
    return float(np.median(defined)), error


def _bootstrap(samples: int, figures: Callable[[NDArray[np.int64]], tuple[float, ...]]) -> list[float]:
    """The standard deviation of some figures over resampled samples; NaN of a single sample."""
    if samples < 2:
        return [np.nan] * len(figures(np.zeros(1, dtype=np.int64)))
    # a fixed seed: the same network has the same error bar each time
    draws = np.random.default_rng(0).integers(samples, size=(RESAMPLES, samples))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.nanstd([figures(chosen) for chosen in draws], axis=0).tolist()
