"""What a monitor has seen, evaluation by evaluation, and the labelled result it becomes."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from skipglass import record
from skipglass.errors import StorageError

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

__all__ = ["Recording"]

KIND = "monitor"
LABELLED = {
    "weight_norm": ("layer", "layers", "‖W‖"),
    "absorbed_norm": ("layer", "layers", "‖λ/σ · W‖"),
    "multiplier_norm": ("norm", "norms", "‖λ‖"),
    "participation": ("block", "blocks", "share of the gradient that passes the block"),
    "participation_median": ("block", "blocks", "median over samples of the block's share"),
    "gain": ("block", "blocks", "‖branch output‖/‖shortcut output‖"),
    "share": ("length", "lengths", "⟨g_r, g⟩/‖g‖²"),
    "share_median": ("length", "lengths", "median over samples of the share of length r"),
    "length_norm": ("length", "lengths", "‖g_r‖"),
}
"""variable: (its dimension, where a row keeps the labels, what it is)."""
SCALARS = {
    "loss": "loss of the probe",
    "effective_depth": "Σ_l s_l, the mean number of blocks that the gradient passes",
    "effective_depth_median": "median over samples of their effective depths",
    "error": "of the participation",
    "cancellation": "κ = Σ ‖g_r‖/‖g‖",
}
OBSERVED = {
    "loss": "loss of the training batch",
    "mean": "mean path length",
    "variance": "variance of the path length under signed shares",
}


@dataclass
class Recording:
    """The evaluations of one training run, in order.

    Attributes
    ----------
    rows
        Of each evaluation: "step", numbers, and lists of numbers with the names that label them.
    observations
        The same of each live loss that was handed in.
    notes
        What a reader must know: evaluations that failed, and why.
    attributes
        Of the monitor: mode, unit, cadence.
    """

    rows: list[dict[str, Any]] = field(default_factory=list)
    observations: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    attributes: dict[str, object] = field(default_factory=dict)

    def __repr__(self) -> str:
        last = f", last at step {self.rows[-1]['step']}" if self.rows else ""
        return f"Recording({len(self.rows)} evaluations{last}, {len(self.observations)} observations)"

    def __str__(self) -> str:
        lines = ["    step     loss  effective depth  median per sample"]
        for row in self.rows:
            loss, depth, median = (row.get(k, math.nan) for k in ("loss", "effective_depth", "effective_depth_median"))
            lines.append(f"{row['step']:8d}  {loss:7.4g}  {depth:15.4g}  {median:17.4g}")
        return "\n".join([*lines, *self.notes])

    def to_xarray(self) -> "xr.Dataset":
        """Return everything, labelled.

        Returns
        -------
        xarray.Dataset
            Over evaluation (coordinate ``step``), layer, norm, block, sample and length, NaN where an evaluation did
            not measure it; observed losses over observation (``observed_step``) and length.
        """
        import xarray as xr

        steps = [row["step"] for row in self.rows]
        coordinates: dict[str, object] = {"step": ("evaluation", steps, {"long_name": "training steps"})}
        for dimension, key in {(d, k) for d, k, _ in LABELLED.values()}:
            found = _union(row[key] for row in [*self.rows, *self.observations] if key in row)
            if found:
                coordinates[dimension] = sorted(found) if dimension == "length" else found
        variables = dict(self._variables(self.rows, "evaluation", coordinates, SCALARS))
        if any("effective_depth_per_sample" in row for row in self.rows):
            variables["effective_depth_per_sample"] = (
                ("evaluation", "sample"), _table(self.rows, "effective_depth_per_sample"),
                {"long_name": "effective depth of each sample", "units": "blocks"},
            )  # fmt: skip
        if self.observations:
            coordinates["observed_step"] = ("observation", [row["step"] for row in self.observations])
            seen = self._variables(self.observations, "observation", coordinates, OBSERVED)
            variables |= {f"observed_{name}": value for name, value in seen}
        attributes = {**self.attributes, "notes": "\n".join(self.notes)}
        return xr.Dataset(variables, coords=coordinates, attrs=attributes)

    def _variables(
        self, rows: list[dict[str, Any]], along: str, coordinates: dict[str, object], scalars: dict[str, str]
    ) -> Iterator[tuple[str, tuple]]:
        for name, text in scalars.items():
            if any(name in row for row in rows):
                yield name, (along, [row.get(name, math.nan) for row in rows], {"long_name": text})
        for name, (dimension, key, text) in LABELLED.items():
            if dimension in coordinates and any(name in row for row in rows):
                labels = list(coordinates[dimension])  # type: ignore[call-overload]
                absent = 0.0 if dimension == "length" else math.nan  # a length that no path has
                yield name, ((along, dimension), _aligned(rows, name, key, labels, absent), {"long_name": text})

    def save(self, path: str | Path) -> Path:
        """Write the recording as netCDF, whole or not at all.

        Parameters
        ----------
        path
            The file, by custom ``*.nc``; `skipglass.record.load` reads it.

        Returns
        -------
        Path
            ``path``.
        """
        return record.save(self.to_xarray(), path, KIND)

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the effective depth against the training step.

        Parameters
        ----------
        ax
            Where to draw; a new figure if None.

        Returns
        -------
        matplotlib.axes.Axes
            The axes.
        """
        import matplotlib.pyplot as plt

        ax = plt.subplots()[1] if ax is None else ax
        steps = [row["step"] for row in self.rows]
        for name, label in (("effective_depth", "batch"), ("effective_depth_median", "median over samples")):
            ax.plot(steps, [row.get(name, math.nan) for row in self.rows], marker=".", label=label)
        ax.set_xscale("symlog", linthresh=1)
        ax.set(xlabel="training step", ylabel="effective depth (blocks)")
        ax.legend()
        return ax

    def state_dict(self) -> dict[str, object]:
        """Return plain lists, numbers and words, for a checkpoint."""
        return {
            "rows": [dict(row) for row in self.rows],
            "observations": [dict(row) for row in self.observations],
            "notes": list(self.notes),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over the evaluations of a checkpoint.

        Raises
        ------
        StorageError
            If it holds no recording.
        """
        try:
            rows, observations, notes = (list(state[k]) for k in ("rows", "observations", "notes"))
            for row in (*rows, *observations):
                int(row["step"])
        except (KeyError, TypeError, ValueError) as error:
            raise StorageError(
                f"the state holds no recording of a monitor ({type(error).__name__}: {error})"
            ) from error
        self.rows, self.observations, self.notes = rows, observations, notes


def _union(labels: Iterable[list]) -> list:
    return list(dict.fromkeys(label for names in labels for label in names))


def _aligned(rows: list[dict[str, Any]], name: str, key: str, labels: list, absent: float) -> np.ndarray:
    """The values of each row under the labels of all rows; NaN in rows that did not measure them."""
    table = np.full((len(rows), len(labels)), math.nan)
    for k, row in enumerate(rows):
        if name in row:
            known = dict(zip(row[key], row[name], strict=True))
            table[k] = [known.get(label, absent) for label in labels]
    return table


def _table(rows: list[dict[str, Any]], name: str) -> np.ndarray:
    width = max(len(row[name]) for row in rows if name in row)
    return np.array([row.get(name, [math.nan] * width) for row in rows])
