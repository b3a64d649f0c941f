"""A profile: everything `measure` finds out about one network, as plain labelled numbers.

It holds no tensor and no graph, so that it can be kept, saved, loaded back and compared long after the network.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from skipglass.errors import InputError, StorageError, one_line
from skipglass.graph import UNITS
from skipglass.graph.shares import quantiles
from skipglass.paths import panels
from skipglass.paths.answer import depth_sentence, least_sentence
from skipglass.paths.comparison import Comparison, compared
from skipglass.record import Result, coordinate, derived, mapping, names, number, parts, text, texts, variable
from skipglass.report import Panel, Table, grid
from skipglass.theory import Fit

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Profile"]

Array = NDArray[np.float64]
LARGEST_ERROR = 2e-2  # what is allowed in half precision, see `Spectrum`


@dataclass(frozen=True, eq=False)
class Profile(Result):
    """One network's gradient by path length and by block: R lengths, L blocks, N samples; prints as tables.

    Attributes
    ----------
    model, mode, dtype, loss, unit
        What was measured: the class, "train", "eval" or "mixed", the precision, what the loss is, and
        "blocks" or "weights".
    blocks, weights, sums, norms, opaque
        The outline: names of residual blocks and weights, parallel sums, normalisations, what was not understood.
    census
        {r: number of paths of length r}.
    lengths, norm, share
        r, ‖g_r‖ and ⟨g_r, g⟩/‖g‖², (R,) each.
    norm_per_sample, share_per_sample
        The same for each sample alone, (R, N).
    norm_at_blocks
        ‖g_r‖ at the input of each block, (L, M), r = 0..M-1 counted from the loss to the block.
    participation, participation_per_sample
        Each block's part of the gradient, (L,) and (L, N).
    fits
        Both models of the theory with their β; empty where paths have one length only.
    error, cancellation, independent_samples
        As in `Spectrum`.
    notes
        What a reader should know before trusting the numbers.
    verdicts, doubtful
        How many sums are blocks, parallel and doubtful, in words that name the last, and the number of those; None in
        a profile of an earlier version.
    """

    kind = "profile"

    model: str = text("model", shown=False)
    mode: str = text("mode", shown=False)
    dtype: str = text("precision", shown=False)
    loss: str = text("loss", shown=False)
    unit: str = text("unit", shown=False)
    weights: tuple[str, ...] = texts("weight", shown=False)
    sums: tuple[str, ...] = texts("parallel sum", shown=False)
    norms: tuple[str, ...] = texts("normalisation", shown=False)
    opaque: tuple[str, ...] = texts("opaque operation", shown=False)
    census: Mapping[int, int] = mapping("length", key=int, of=int, letter="paths", long_name="number of paths")
    lengths: NDArray[np.int64] = coordinate("length", letter="r", long_name="path length r ({unit})")
    norm: Array = variable("length", long_name="‖g_r‖", shown=False)
    share: Array = variable("length", letter="share", long_name="share of the gradient")
    norm_per_sample: Array = variable("length", "sample", long_name="‖g_r‖ of each sample", shown=False)
    share_per_sample: Array = variable("length", "sample", letter="median", long_name="share of each sample's gradient")
    blocks: tuple[str, ...] = names("block")
    norm_at_blocks: Array = variable("block", "length_above", long_name="‖g_r‖ at the block's input", shown=False)
    participation: Array = variable("block", letter="participation", long_name="part of the gradient that passes")
    participation_per_sample: Array = variable(
        "block", "sample", letter="median", long_name="participation in each sample's gradient"
    )
    fits: tuple[Fit, ...] = parts(Fit)
    error: float = number(long_name="relative error of Σ g_r")
    cancellation: float = number(long_name="cancellation Σ ‖g_r‖/‖g‖")
    independent_samples: bool = number(of=bool, long_name="independent samples")
    notes: tuple[str, ...] = texts("note", default=())
    verdicts: str | None = text("sums", default=None, shown=False)
    doubtful: int | None = number(of=int, default=None, shown=False)

    @property
    def samples(self) -> int:
        """N."""
        return int(self.share_per_sample.shape[1])

    @property
    @derived(variable("length", letter="‖g_r‖²/Σ", long_name="part of Σ ‖g_r‖²"))
    def fraction(self) -> Array:
        """(R,) ‖g_r‖²/Σ_r ‖g_r‖²; NaN where the gradient is zero."""
        return panels.fractions(self.norm)

    @property
    @derived(number(long_name="effective depth", units="{unit}", shown=False))
    def effective_depth(self) -> float:
        """Σ_r r·share_r; NaN where the gradient is zero."""
        return float(self.lengths @ self.share)

    @property
    def effective_depth_per_sample(self) -> Array:
        """(N,) the same for each sample alone."""
        return self.lengths @ self.share_per_sample

    @property
    def median_depth(self) -> float:
        """The median of the samples' effective depths; those without gradient are left out."""
        return float(quantiles(self.effective_depth_per_sample[None], 0.5)[0, 0])

    @property
    def reach(self) -> str:
        """The longest length in words, with the operations inside of which nothing could be counted."""
        return f"{int(self.lengths[-1])} {self.unit}{self._hidden}"

    @property
    def _hidden(self) -> str:
        names = dict.fromkeys(self.opaque) if self.unit == "weights" else ()
        return f" outside of {', '.join(names)}" if names else ""

    def headline(self) -> str:
        """Say how deep the network is as its gradient sees it, and what was measured."""
        blocks = len(self.blocks) if self.unit == "blocks" else None
        depth = depth_sentence(self.lengths, self.share, self.unit, blocks, self._hidden, self.doubtful or 0)
        return (
            f"{depth}{least_sentence(self.blocks, self.participation)}\n"
            f"sums: {self.verdicts or f'{len(self.sums)} not counted'}\n"
            f"{self.model}: {len(self.weights)} weights, {len(self.norms)} norms, "
            f"{len(self.opaque)} opaque operations; {self.mode} mode, {self.dtype}, {self.samples} samples\n"
            f"loss: {self.loss}; effective depth {self.effective_depth:.4g}, "
            f"median over samples {self.median_depth:.4g}"
        )

    def check(self) -> str | None:
        """Say what no measurement can have given: an error that it refuses, shares that do not sum to 1, …."""
        r, total = self.lengths, float(self.share.sum())
        if not r.size or r[0] < 0 or (np.diff(r) != 1).any():
            return "its lengths must be consecutive numbers from 0 up"
        if self.unit not in UNITS:
            return f"its unit is {self.unit!r}"
        if not 0 <= self.error <= LARGEST_ERROR:
            return f"its error is {self.error:g}, which every measurement refuses"
        every = (self.norm, self.norm_per_sample, self.norm_at_blocks)
        if any((norm < 0).any() or np.isinf(norm).any() for norm in every) or np.isnan(self.norm).any():
            return "a norm is negative or not finite"
        if not self.census or min(self.census) < 0 or min(self.census.values()) < 0 or max(self.census) < r[-1]:
            return f"its census, of the lengths {sorted(self.census)[:3]}…, does not fit its lengths {r[0]}..{r[-1]}"
        slack = 1e-6 + 2 * self.error * self.cancellation  # Σ share - 1 = ⟨Σ g_r - g, g⟩/‖g‖², at most error · κ
        sound = abs(total - 1) <= slack < math.inf if self.norm.any() else np.isnan(self.share).all()
        return None if sound else f"its shares sum to {total:g}, not to 1"

    @classmethod
    def upgrade(cls, dataset: "xr.Dataset") -> "xr.Dataset":
        """Read the fits of files before `Result`: their names in an attribute, what they predict as a variable each."""
        if not str(dataset.attrs.get("fits", "")).startswith("["):
            return dataset
        try:
            return _with_fits(dataset, json.loads(dataset.attrs["fits"]))
        except (KeyError, ValueError, TypeError, AttributeError, IndexError) as error:
            raise StorageError(f"no complete profile: {one_line(error)}; measure again") from error

    def compare(self, other: "Profile") -> Comparison:
        """Compare with another profile: depths side by side, and the blocks by name.

        Raises
        ------
        InputError
            If ``other`` is no profile, was measured in another unit, or shares no block's name.
        """
        if not isinstance(other, Profile):
            raise InputError(f"a profile compares with a profile, not with {type(other).__name__}; load it first")
        if other.unit != self.unit:
            raise InputError(f"one profile counts {self.unit}, the other {other.unit}; measure both in one unit")
        both = [dict(zip(p.blocks, p.participation.tolist(), strict=True)) for p in (self, other)]
        return compared(self.unit, self._numbers(), other._numbers(), *both)

    def _numbers(self) -> dict[str, str | float]:
        """What a comparison sets side by side."""
        return {
            "model": self.model,
            "mode": self.mode,
            "loss": self.loss,
            "samples": float(self.samples),
            "blocks": float(len(self.blocks)),
            "effective depth": self.effective_depth,
            "median over samples": self.median_depth,
            "cancellation": self.cancellation,
            **{f"{fit.reading} {fit.letter}": fit.beta for fit in self.fits},
            **{f"{fit.reading} KL divergence": fit.distance for fit in self.fits},
        }

    def length_panels(self) -> tuple[Panel, Panel]:
        """Squared norms beside both fitted models, and shares, by length."""
        return (
            panels.norms_panel(self.lengths, self.norm, self.fits, self.unit, self.census),
            panels.shares_panel(self.lengths, self.share, self.share_per_sample, self.unit, self.census),
        )

    def block_panels(self) -> tuple[Panel, Panel, Table]:
        """Participations, norms by length at each block's input, and names, for a network with blocks."""
        return (
            panels.participation_panel(self.participation, self.participation_per_sample),
            panels.map_panel(self.norm_at_blocks, self.unit),
            panels.blocks_table(self.blocks, self.participation, self.participation_per_sample),
        )

    def panel(self) -> Panel:
        """The squared norms by length beside both fitted models."""
        return self.length_panels()[0]

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the squared norms by length beside both models, and without ``ax`` everything else next to them.

        Parameters
        ----------
        ax
            Where to draw the norms alone; if None, `figure` draws all there is.

        Returns
        -------
        matplotlib.axes.Axes
            That of the norms; its ``.figure`` can be saved.
        """
        return self.figure().axes[0] if ax is None else super().plot(ax)

    def figure(self) -> "Figure":
        """Draw norms beside both models, shares, participation and the (block × length) map; return the figure."""
        shown = [*self.length_panels(), *(self.block_panels()[:1] if self.blocks else ())]
        drawn = grid(shown, columns=2)
        if self.blocks:
            panels.draw_map(self.norm_at_blocks, self.unit, drawn.add_subplot(2, 2, 4))
        drawn.suptitle(f"{self.model}: {self.mode} mode, {self.samples} samples, loss: {self.loss}", size=11)
        return drawn


@dataclass(frozen=True, eq=False)
class _Fits(Result):
    fits: tuple[Fit, ...] = parts(Fit)


def _with_fits(dataset: "xr.Dataset", readings: list[str]) -> "xr.Dataset":
    """The dataset with its fits laid out as today."""
    # as `fit` does: of the lengths that some path has, squared norms over their sum
    norm, lengths = dataset["norm"].values, dataset["length"].values
    has_paths = np.isin(lengths, [int(r) for r in json.loads(dataset.attrs["census"])])
    power = norm[has_paths] ** 2 / np.max(norm) ** 2
    measured, fits = power / power.sum(), []
    for reading in readings:
        predicted = dataset[f"predicted_{reading}"].values[has_paths].astype(np.float64)
        about = dataset[f"predicted_{reading}"].attrs
        beta, low, high, distance = (float(about[name]) for name in ("beta", "beta_low", "beta_high", "distance"))
        interval = None if math.isnan(low) else (low, high)
        fits.append(Fit(reading, beta, interval, distance, lengths[has_paths], measured, predicted))
    today = _Fits(tuple(fits)).to_xarray()
    old = [f"predicted_{reading}" for reading in readings]
    return dataset.drop_vars(old).assign(dict(today.variables)).assign_attrs(today.attrs)
