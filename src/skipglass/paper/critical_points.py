"""All critical points of small spin glasses: their mean numbers beside the exact ones, and their layers by energy."""

from dataclasses import replace

import numpy as np
import xarray as xr

from skipglass.paper.agreement import z_limit
from skipglass.paper.levels import Levels, levels
from skipglass.report import Panel, Table

__all__ = ["agreement_table", "layer_panels", "layers"]

SHOWN = {3: "p = 3, Λ = 8", 4: "p = 4, Λ = 6"}
"""The case that the layers of each order are drawn from: its largest Λ."""


def agreement_table(recording: xr.Dataset) -> Table:
    """One row a case: the exact mean number of critical points, the measured one, and what says that all were found.

    Parameters
    ----------
    recording
        By `skipglass.paper.agreement.recording`.

    Returns
    -------
    Table
        With the joint test in its caption.
    """
    a, samples = recording.attrs, int(recording.attrs["samples"])
    rows = []
    for case in range(recording.sizes["case"]):
        one = recording.isel(case=case)
        total, z = one.sel(index=-1), np.abs(one.z.values)
        complete = samples - int(one.incomplete)
        rows.append(
            (
                str(one.name.values),
                f"{float(total.expected):.4g}",
                f"{float(total['mean']):.4g} ± {float(total.standard_error):.2g}",
                f"{np.nanmax(z):.2f}",
                f"{complete} of {samples}",
            )
        )
    return Table(
        "glass-counts",
        "Critical points counted, beside the exact mean",
        f"{samples} glasses a case, all their critical points searched; the mean number ± its standard error. The "
        f"largest |z| of all cases and indices is {a['largest_z']:.2f}, where chance stays below "
        f"{z_limit(int(recording.dof.sum()), samples):.2f} in 99.9 % of such tables; all indices jointly, "
        f"p = {a['joint_p']:.2g}.",
        ("case", "exact", "counted", "largest |z|, total and each index", "searches with full evidence"),
        rows,
    )


def layers(recording: xr.Dataset, p: int) -> Levels:
    """Sort the critical points of the pure p-spin case that is drawn by index and energy."""
    case = recording.name.values.tolist().index(SHOWN[p])
    chosen = recording.point_case.values == case
    return levels(
        recording.energy.values[chosen],
        recording.point_index.values[chosen],
        p,
        int(recording["size"].values[case]),
        int(recording.attrs["samples"]),
    )


def layer_panels(recording: xr.Dataset) -> tuple[Panel, ...]:
    """The numbers of critical points of each index below an energy, for p = 3 and 4, beside their limit Θ_k.

    Parameters
    ----------
    recording
        By `skipglass.paper.agreement.recording`.

    Returns
    -------
    tuple of Panel
        One for each order.
    """
    return tuple(_layers(layers(recording, p).panel()) for p in SHOWN)


def _layers(panel: Panel) -> Panel:
    """All counted rates, and the limit of index 0 alone."""
    return replace(panel, series=tuple(s for s in panel.series if s.marks == "points" or s.name.startswith("index 0")))
