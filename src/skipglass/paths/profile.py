"""A profile: everything `measure` finds out about one network, as plain labelled numbers.

It holds no tensor and no graph, so that it can be kept, saved, loaded back and compared long after the network.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from skipglass.errors import InputError, StorageError
from skipglass.paths.comparison import Comparison
from skipglass.record import load, save
from skipglass.theory import Fit

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Profile"]

Array = NDArray[np.float64]
KIND = "profile"
LARGEST_ERROR = 2e-2  # what is allowed in half precision, see `Spectrum`
SHOWN = 24  # rows of a printed table: our choice, one screen


@dataclass(frozen=True, eq=False)
class Profile:
    """One network's gradient by path length and by block: R lengths, L blocks, N samples; prints as a table.

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
        Both readings of the theory with their β; empty where paths have one length only.
    error, cancellation, independent_samples
        As in `Spectrum`.
    notes
        What a reader should know before trusting the numbers.
    """

    model: str
    mode: str
    dtype: str
    loss: str
    unit: str
    blocks: tuple[str, ...]
    weights: tuple[str, ...]
    sums: tuple[str, ...]
    norms: tuple[str, ...]
    opaque: tuple[str, ...]
    census: Mapping[int, int]
    lengths: NDArray[np.int64]
    norm: Array
    share: Array
    norm_per_sample: Array
    share_per_sample: Array
    norm_at_blocks: Array
    participation: Array
    participation_per_sample: Array
    fits: tuple[Fit, ...]
    error: float
    cancellation: float
    independent_samples: bool
    notes: tuple[str, ...] = ()

    @property
    def samples(self) -> int:
        """N."""
        return int(self.share_per_sample.shape[1])

    @property
    def effective_depth(self) -> float:
        """Σ_r r·share_r; NaN where the gradient is zero."""
        return float(self.lengths @ self.share)

    @property
    def effective_depth_per_sample(self) -> Array:
        """(N,) the same for each sample alone."""
        return self.lengths @ self.share_per_sample

    @property
    def reach(self) -> str:
        """The longest length in words, with the operations inside of which nothing could be counted."""
        hidden = (
            f" outside of {', '.join(dict.fromkeys(self.opaque))}" if self.unit == "weights" and self.opaque else ""
        )
        return f"{int(self.lengths[-1])} {self.unit}{hidden}"

    def __repr__(self) -> str:
        depth = f"{self.effective_depth:.3g} of {self.reach}"
        return f"Profile({self.model}, {len(self.blocks)} blocks, effective depth {depth})"

    def __str__(self) -> str:
        depths = self.effective_depth_per_sample
        lines = [
            f"{self.model}, {self.mode} mode, {self.dtype}, {self.samples} samples, loss: {self.loss}",
            f"effective depth {self.effective_depth:.4g} of at most {self.reach}; "
            f"median over samples {median(depths):.4g}",
            f"error {self.error:.0e}, cancellation {self.cancellation:.3g}; {len(self.weights)} weights, "
            f"{len(self.sums)} parallel sums, {len(self.norms)} norms, {len(self.opaque)} opaque",
            *(fit.headline() for fit in self.fits),
            *(f"note: {note}" for note in self.notes),
        ]
        return "\n".join([*lines, "", *self._lengths_table(), *([""] if self.blocks else []), *self._blocks_table()])

    def _lengths_table(self) -> list[str]:
        """One row a length that matters: the largest norms, in order."""
        some = np.array([k for k, r in enumerate(self.lengths) if int(r) in self.census], dtype=int)
        largest = np.sort(some[np.argsort(-self.norm[some], kind="stable")[:SHOWN]])
        total = float(self.norm @ self.norm) or math.nan
        lines = ["   r  paths         share   median  ‖g_r‖²/Σ"]
        for k in largest:
            r = int(self.lengths[k])
            middle = median(self.share_per_sample[k])
            fraction = self.norm[k] ** 2 / total
            paths = count_text(self.census.get(r, 0))
            lines.append(f"{r:4d}  {paths:10}  {self.share[k]:7.3f}  {middle:7.3f}  {fraction:8.3f}")
        return [line.replace("-0.000", " 0.000") for line in lines] + _left_out(some.size)

    def _blocks_table(self) -> list[str]:
        if not self.blocks:
            return []
        largest = np.sort(np.argsort(-np.abs(self.participation), kind="stable")[:SHOWN])
        width = max(5, *(len(self.blocks[l]) for l in largest))
        known = not np.isnan(self.participation_per_sample).all()
        lines = [f"{'block':{width}}  participation" + ("   median" if known else "")]
        for l in largest:
            middle = f"  {median(self.participation_per_sample[l]):7.3f}" if known else ""
            lines.append(f"{self.blocks[l]:{width}}  {self.participation[l]:13.3f}{middle}")
        return [line.replace("-0.000", " 0.000") for line in lines] + _left_out(len(self.blocks))

    def to_xarray(self) -> "xr.Dataset":
        """Return everything as one dataset over (length, sample, block)."""
        import xarray as xr

        long = {"long_name": f"path length r ({self.unit})"}
        data = xr.Dataset(
            {name: (DIMENSIONS[name], getattr(self, name), {"long_name": text}) for name, text in LONG_NAMES.items()},
            coords={
                "length": ("length", self.lengths, long),
                "sample": np.arange(self.samples),
                "block": ("block", np.array(self.blocks, dtype=object) if self.blocks else np.zeros(0, dtype="U1")),
            },
            attrs={
                **{name: getattr(self, name) for name in TEXTS},
                **{name: json.dumps(getattr(self, name), ensure_ascii=False) for name in LISTS},
                "census": json.dumps({str(r): str(n) for r, n in self.census.items()}),
                "error": self.error,
                "cancellation": self.cancellation,
                "independent_samples": int(self.independent_samples),
                "effective_depth": self.effective_depth,
                "fits": json.dumps([fit.reading for fit in self.fits]),
            },
        )
        for fit in self.fits:
            low, high = fit.interval or (math.nan, math.nan)
            about = {"reading": fit.reading, "beta": fit.beta, "beta_low": low, "beta_high": high}
            about |= {"long_name": f"{fit.reading} reading", "distance": fit.distance}
            fractions = np.zeros(self.lengths.size)
            fractions[np.isin(self.lengths, fit.lengths)] = fit.predicted
            data[f"predicted_{fit.reading}"] = "length", fractions, about
        return data

    @classmethod
    def from_xarray(cls, data: "xr.Dataset") -> "Profile":
        """Read what `to_xarray` has written.

        Raises
        ------
        StorageError
            If something of it is missing, or no measurement gives such numbers.
        """
        try:
            if wrong := _wrong_shape(data):
                raise StorageError(f"no profile: {wrong}; measure again")
            census = {int(r): int(n) for r, n in json.loads(data.attrs["census"]).items()}
            norm = data["norm"].values
            columns: dict[str, Any] = {name: str(data.attrs[name]) for name in TEXTS}
            columns |= {name: tuple(json.loads(data.attrs[name])) for name in LISTS}
            columns |= {name: data[name].values.astype(np.float64) for name in LONG_NAMES}
            profile = cls(
                **columns,
                blocks=tuple(str(name) for name in data["block"].values),
                census=census,
                lengths=data["length"].values.astype(np.int64),
                fits=tuple(
                    _fit_of(data[f"predicted_{reading}"], norm, census) for reading in json.loads(data.attrs["fits"])
                ),
                error=float(data.attrs["error"]),
                cancellation=float(data.attrs["cancellation"]),
                independent_samples=bool(data.attrs["independent_samples"]),
            )
        except (KeyError, ValueError, TypeError, AttributeError, IndexError) as error:
            raise StorageError(f"no complete profile: {error} is missing or unreadable; measure again") from error
        if wrong := _impossible(profile):
            raise StorageError(f"no profile: {wrong}; measure again")
        return profile

    def save(self, path: str | Path) -> Path:
        """Write the profile as netCDF, whole or not at all, and return the path; `Profile.load` reads it back."""
        return save(self.to_xarray(), path, KIND)

    @classmethod
    def load(cls, path: str | Path) -> "Profile":
        """Read a profile that `save` has written.

        Raises
        ------
        StorageError
            If the file is missing, damaged, or holds no profile.
        """
        return cls.from_xarray(load(path, KIND))

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
        common = [name for name in self.blocks if name in set(other.blocks)]
        if self.blocks and other.blocks and not common:
            raise InputError(
                f"the profiles have no block in common: one has {self.blocks[0]}, …, the other {other.blocks[0]}, …"
            )
        here, there = (
            p.participation[[p.blocks.index(name) for name in common]].astype(np.float64) for p in (self, other)
        )
        return Comparison(
            self.unit,
            (self._numbers(), other._numbers()),
            tuple(common),
            here,
            there,
            tuple(name for name in self.blocks if name not in common),
            tuple(name for name in other.blocks if name not in common),
        )

    def _numbers(self) -> dict[str, str | float]:
        """What a comparison sets side by side."""
        return {
            "model": self.model,
            "mode": self.mode,
            "loss": self.loss,
            "samples": float(self.samples),
            "blocks": float(len(self.blocks)),
            "effective depth": self.effective_depth,
            "median over samples": median(self.effective_depth_per_sample),
            "cancellation": self.cancellation,
            **{f"{fit.reading} {'β' if fit.reading == 'coherent' else 'b'}": fit.beta for fit in self.fits},
            **{f"{fit.reading} distance": fit.distance for fit in self.fits},
        }

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the squared norms by length beside both readings, and without ``ax`` everything else next to them.

        Parameters
        ----------
        ax
            Where to draw the norms alone; if None, `figure` draws all there is.

        Returns
        -------
        matplotlib.axes.Axes
            That of the norms; its ``.figure`` can be saved.
        """
        if ax is None:
            return self.figure().axes[0]
        from skipglass.paths.profile_figure import length_panels
        from skipglass.report import draw

        return draw(length_panels(self)[0], ax)

    def figure(self) -> "Figure":
        """Draw norms beside both readings, shares, participation and the (block × length) map; return the figure."""
        from skipglass.paths.profile_figure import figure

        return figure(self)


TEXTS = ("model", "mode", "dtype", "loss", "unit")
LISTS = ("weights", "sums", "norms", "opaque", "notes")
LONG_NAMES = {
    "norm": "‖g_r‖",
    "share": "share of the gradient",
    "norm_per_sample": "‖g_r‖ of each sample",
    "share_per_sample": "share of each sample's gradient",
    "norm_at_blocks": "‖g_r‖ at the block's input",
    "participation": "participation",
    "participation_per_sample": "participation in each sample's gradient",
}
DIMENSIONS = {
    "norm": ("length",),
    "share": ("length",),
    "norm_per_sample": ("length", "sample"),
    "share_per_sample": ("length", "sample"),
    "norm_at_blocks": ("block", "length_above"),
    "participation": ("block",),
    "participation_per_sample": ("block", "sample"),
}


def _wrong_shape(data: "xr.Dataset") -> str | None:
    """What is wrong with the dimensions of a stored profile."""
    dims = {"length": ("length",), "block": ("block",), **DIMENSIONS}
    for name, expected in dims.items():
        if data[name].dims != expected:
            return f"{name} must lie along {expected}, found {data[name].dims}"
    r = data["length"].values
    if not r.size or r[0] < 0 or (np.diff(r) != 1).any():
        return "its lengths must be consecutive numbers from 0 up"
    return None


def _impossible(profile: Profile) -> str | None:
    """What no measurement can have given: an error that it refuses, negative norms, shares that do not sum to 1."""
    r, census, norms = profile.lengths, profile.census, (profile.norm, profile.norm_per_sample, profile.norm_at_blocks)
    if profile.unit not in ("blocks", "weights"):
        return f"its unit is {profile.unit!r}"
    if not 0 <= profile.error <= LARGEST_ERROR:
        return f"its error is {profile.error:g}, which every measurement refuses"
    if any((norm < 0).any() or np.isinf(norm).any() for norm in norms) or np.isnan(profile.norm).any():
        return "a norm is negative or not finite"
    if not census or min(census) < 0 or min(census.values()) < 0 or max(census) < r[-1]:
        return f"its census, of the lengths {sorted(census)[:3]}…, does not fit its lengths {r[0]}..{r[-1]}"
    total = float(profile.share.sum())
    slack = 1e-6 + 2 * profile.error * profile.cancellation  # Σ share - 1 = ⟨Σ g_r - g, g⟩/‖g‖², at most error · κ
    if not (abs(total - 1) <= slack < math.inf if profile.norm.any() else np.isnan(profile.share).all()):
        return f"its shares sum to {total:g}, not to 1"
    return None


def median(values: Array) -> float:
    """The median of what is defined, NaN where nothing is."""
    defined = values[~np.isnan(values)]
    return float(np.median(defined)) if defined.size else math.nan


def count_text(count: int) -> str:
    """A count as text: large ones by their power of ten, also beyond floating point."""
    digits = len(str(count)) if count < 10**4000 else int(math.log10(count)) + 1
    if digits <= 10:
        return str(count)
    return f"{count // 10 ** (digits - 3) / 100:.2f}e{digits - 1}"


def _left_out(rows: int) -> list[str]:
    return [f"… {rows - SHOWN} more with smaller values"] if rows > SHOWN else []


def _fit_of(predicted: "xr.DataArray", norm: Array, census: Mapping[int, int]) -> Fit:
    """A fit from its stored numbers."""
    lengths = predicted["length"].values.astype(np.int64)
    has_paths = np.array([census.get(int(r), 0) > 0 for r in lengths])
    power = norm[has_paths] ** 2 / np.max(norm) ** 2
    about = predicted.attrs
    interval = (float(about["beta_low"]), float(about["beta_high"]))
    return Fit(
        str(about["reading"]),
        float(about["beta"]),
        None if math.isnan(interval[0]) else interval,
        float(about["distance"]),
        lengths[has_paths],
        power / power.sum(),
        predicted.values[has_paths].astype(np.float64),
    )
