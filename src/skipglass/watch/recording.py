"""Rows of recorded values, and the labelled arrays they become: those of a monitor, and of whoever records a training.

A *row* maps names to numbers, arrays, or lists of numbers; one measurement makes one row. Rows need not hold the same
names. A list along a labelled dimension stands beside its labels, which may differ from row to row. What each value is
stands in one table of `Variable`.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from skipglass import record
from skipglass.errors import StorageError, one_line

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

__all__ = ["IN_EVERY_MODE", "MODES", "VARIABLES", "Recording", "Variable", "tabulate"]

KIND = "monitor"


@dataclass(frozen=True)
class Variable:
    """What a recorded value is.

    Attributes
    ----------
    long_name, units
        Of the array.
    dims
        Its dimensions in one row.
    labels
        Where a row keeps the labels of the one dimension; empty where they are the same in all rows.
    absent
        What a row counts that has other labels only.
    """

    long_name: str = ""
    units: str = ""
    dims: tuple[str, ...] = ()
    labels: str = ""
    absent: float = math.nan


LAYERS: dict[str, Any] = {"dims": ("layer",), "labels": "layers"}
BLOCKS: dict[str, Any] = {"dims": ("block",), "labels": "blocks"}
LENGTHS: dict[str, Any] = {"dims": ("length",), "labels": "lengths", "absent": 0.0}  # no path has an absent length
MEASURES: dict[str, Any] = {"dims": ("measure",), "labels": "measures"}
WEIGHTS: dict[str, Any] = {"dims": ("weight",), "labels": "weights"}
VARIABLES = {
    "step": Variable("training steps"),
    "loss": Variable("loss of the probe"),
    "effective_depth": Variable("Σ_l s_l, the mean number of blocks that the gradient passes"),
    "effective_depth_median": Variable("median over samples of their effective depths"),
    "error": Variable("error of the participations, relative to Σ_l ‖B_l‖‖F_l‖"),
    "cancellation": Variable("κ = Σ ‖g_r‖/‖g‖"),
    "weight_norm": Variable("‖W‖", **LAYERS),
    "absorbed_norm": Variable("‖λ/σ · W‖", **LAYERS),
    "multiplier_norm": Variable("‖λ‖", dims=("norm",), labels="norms"),
    "participation": Variable("share of the gradient that passes the block", **BLOCKS),
    "participation_median": Variable("median over samples of the block's share", **BLOCKS),
    "gain": Variable("‖branch output‖/‖shortcut output‖", **BLOCKS),
    "share": Variable("⟨g_r, g⟩/‖g‖²", **LENGTHS),
    "share_median": Variable("median over samples of the share of length r", **LENGTHS),
    "length_norm": Variable("‖g_r‖", **LENGTHS),
    "effective_depth_per_sample": Variable("effective depth of each sample", "blocks", ("sample",)),
    "depth": Variable("mean path length by each measure", "blocks", **MEASURES),
    "depth_error": Variable("standard error of the mean path length", "blocks", **MEASURES),
    "weight_share_depth": Variable("mean length above the weight by signed shares", "blocks", **WEIGHTS),
    "weight_energy_depth": Variable("mean length above the weight by squared norms", "blocks", **WEIGHTS),
}
"""What a row of an evaluation holds."""

MODES = ("frozen", "eval", "train")
IN_EVERY_MODE = ("effective_depth", "participation", "effective_depth_median", "participation_median")
"""What a monitor of several modes keeps of those after the first, under "effective_depth_train", and so on."""
for _mode, _name in product(MODES, IN_EVERY_MODE):
    _labels = f"blocks_{_mode}" if VARIABLES[_name].labels else ""
    VARIABLES[f"{_name}_{_mode}"] = replace(VARIABLES[_name], labels=_labels)

OBSERVED = {
    "step": Variable(),
    "loss": Variable("loss of the training batch"),
    "mean": Variable("mean path length"),
    "variance": Variable("variance of the path length under signed shares"),
    "share": VARIABLES["share"],
    "length_norm": VARIABLES["length_norm"],
}
"""What a row of an observed loss holds."""


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
        What a reader must know: what could not be measured, and why.
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

        # evaluations and observed losses share one axis of lengths
        labels = _all_labels([*self.rows, *self.observations])
        seen = tabulate(self.rows, VARIABLES, "evaluation", labels)
        if self.observations:
            observed = tabulate(self.observations, OBSERVED, "observation", labels)
            seen |= {f"observed_{name}": value for name, value in observed.items()}
        data = xr.Dataset(seen, labels, {**self.attributes, "notes": "\n".join(self.notes)})
        return data.set_coords([name for name in ("step", "observed_step") if name in seen])

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

    def state_dict(self) -> dict[str, list]:
        """Return plain lists, numbers and words, for a checkpoint."""
        return {"rows": [*self.rows], "observations": [*self.observations], "notes": [*self.notes]}

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
            raise StorageError(f"the state holds no recording of a monitor ({one_line(error)})") from error
        self.rows, self.observations, self.notes = rows, observations, notes


def tabulate(
    rows: Sequence[Mapping[str, Any]],
    declared: Mapping[str, Variable],
    along: str,
    labels: Mapping[str, Sequence] | None = None,
) -> dict[str, tuple]:
    """Return {name: (dimensions, array, attributes)} of every declared value that some row holds.

    Parameters
    ----------
    rows
        In order.
    declared
        What the values are, by name; other names are left out.
    along
        The dimension that counts the rows.
    labels
        Those of each labelled dimension, over all rows.

    Returns
    -------
    dict
        As `xarray.Dataset` takes it. A row that does not hold a value has NaN.

    Examples
    --------
    >>> tabulate([{"loss": 2.0}, {}], {"loss": Variable("training loss", "nats")}, "step")
    {'loss': (('step',), array([ 2., nan]), {'long_name': 'training loss', 'units': 'nats'})}
    """
    table = {}
    for name, one in declared.items():
        # None where a row does not hold the value; what no row holds is no variable
        values = [_value(row, name, one, labels or {}) for row in rows]
        present = [value for value in values if value is not None]
        if present or not (rows or one.dims):
            lost = np.full(present[0].shape if present else (), math.nan)
            array = np.array([lost if value is None else value for value in values])
            about = {"long_name": one.long_name, "units": one.units}
            table[name] = ((along, *one.dims), array, {key: words for key, words in about.items() if words})
    return table


def _value(row: Mapping[str, Any], name: str, one: Variable, labels: Mapping[str, Sequence]) -> np.ndarray | None:
    """A value of a row, under the labels of all rows where it has some; None where the row does not hold it."""
    if name not in row or (one.labels and one.dims[0] not in labels):
        return None
    if not one.labels:
        return np.asarray(row[name])
    # the labels of all rows: this one may lack some, and have them in another order
    known = dict(zip(row[one.labels], row[name], strict=True))
    return np.array([known.get(label, one.absent) for label in labels[one.dims[0]]])


def _all_labels(rows: Sequence[Mapping[str, Any]]) -> dict[str, list]:
    """The labels of each labelled dimension of a monitor's rows, in the order in which they first come."""
    found: dict[str, dict] = {}
    for row, one in product(rows, VARIABLES.values()):
        if one.labels and row.get(one.labels):
            found.setdefault(one.dims[0], {}).update(dict.fromkeys(row[one.labels]))
    return {dim: sorted(labels) if dim == "length" else list(labels) for dim, labels in found.items()}
