"""All critical points of small spin glasses: their mean numbers beside the exact ones, and their layers by energy."""

import numpy as np
import xarray as xr

from skipglass.glass.agreement import z_limit
from skipglass.glass.levels import Levels, levels
from skipglass.report import Axis, Panel, Rule, Series, Table
from skipglass.theory import ground_state_energy, threshold_energy

__all__ = ["agreement_table", "layer_panels", "layers"]

SHOWN = {3: "p = 3, Λ = 8", 4: "p = 4, Λ = 6"}
"""The case that the layers of each order are drawn from: its largest Λ."""
LOWEST = 3  # indices drawn


def agreement_table(recording: xr.Dataset) -> Table:
    """One row a case: the exact mean number of critical points, the measured one, and what says that all were found.

    Parameters
    ----------
    recording
        By `skipglass.glass.agreement.recording`.

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
        By `skipglass.glass.agreement.recording`.

    Returns
    -------
    tuple of Panel
        One for each order.
    """
    return tuple(_layers(layers(recording, p)) for p in SHOWN)


def _layers(found: Levels) -> Panel:
    lowest = np.log(1 / found.samples) / found.size
    series = []
    for k in range(LOWEST):
        seen = np.isfinite(found.rate[k])
        series.append(Series(f"index {k}, counted", found.edges[seen], found.rate[k][seen], marks="points"))
    near = (found.complexity[0] >= lowest) & (found.edges <= 0)
    series.append(Series("index 0, Λ → ∞", found.edges[near], found.complexity[0][near]))
    return Panel(
        f"glass-layers-{found.p}",
        f"Layers of critical points, p = {found.p}",
        "From the left: deep down there are minima only, then saddles of index 1 join them, then of index 2; a curve "
        "further left means deeper points.",
        Axis("energy per spin u = H/Λ"),
        Axis("(1/Λ) ln mean number below u"),
        tuple(series),
        marks="line",
        rules=tuple(
            Rule(value, name, axis="x")
            for value, name in ((ground_state_energy(found.p), "-E_0"), (threshold_energy(found.p), "-E_∞"))
        ),
        note=f"Λ = {found.size}, {found.samples} glasses, all critical points. Line: the annealed complexity Θ_0(u); "
        "at finite Λ the numbers differ from it by O(ln Λ/Λ), the order of the layers does not.",
    )
