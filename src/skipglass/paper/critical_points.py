"""All critical points of small spin glasses: their mean numbers beside the exact ones, and their layers by energy."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import product

import numpy as np
import xarray as xr
from scipy import stats

from skipglass.paper import agreement
from skipglass.paper.claim import Claim, Recordings, Undecided
from skipglass.paper.command import steps_of
from skipglass.paper.experiment import Experiment, Pages, Recording, Tell
from skipglass.paper.levels import Levels, levels
from skipglass.paper.rules import Numbers, within
from skipglass.report import Panel, Section, Table

__all__ = ["CLAIMS", "COUNTS", "agreement_table", "layer_panels", "layers"]

COUNTED = 40  # glasses of each case that `skipglass reproduce` searches: half a minute
LEVEL = 0.001  # of the largest |z|, and of the joint test
TEXT = (
    "Small spin glasses can be searched until all their critical points are found. Their mean numbers are known "
    "exactly (Kac-Rice), in total and of each index; and deep down only minima are left, the layers of Auffinger, "
    "Ben Arous and Černý."
)

SHOWN = {3: "p = 3, Λ = 8", 4: "p = 4, Λ = 6"}
"""The case that the layers of each order are drawn from: its largest Λ."""


def agreement_table(recording: xr.Dataset) -> Table:
    """One row for each case: the exact mean number of critical points, the measured one, the evidence of completeness.

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
    total, largest = recording.sel(index=-1), abs(recording.z).max("index")
    columns = (total.name, total.expected, total["mean"], total.standard_error, largest, samples - total.incomplete)
    rows = [
        (str(name), f"{expected:.4g}", f"{mean:.4g} ± {error:.2g}", f"{z:.2f}", f"{complete} of {samples}")
        for name, expected, mean, error, z, complete in zip(*(c.values for c in columns), strict=True)
    ]
    return Table(
        "glass-counts",
        "Critical points counted, beside the exact mean",
        f"{samples} glasses per case, all their critical points searched; the mean number ± its standard error. The "
        f"largest |z| of all cases and indices is {a['largest_z']:.2f}, where chance stays below "
        f"{agreement.z_limit(int(recording.dof.sum()), samples):.2f} in 99.9 % of such tables; all indices jointly, "
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
    drawn = [layers(recording, p).panel() for p in SHOWN]
    # all counted rates, and the limit of index 0 alone
    return tuple(
        replace(panel, series=tuple(s for s in panel.series if s.marks == "points" or s.name.startswith("index 0")))
        for panel in drawn
    )


def counts_agree(recordings: Recordings) -> Numbers:
    """Test statistics over their 99.9 % points, and the searches that may have missed something."""
    data = recordings["glass_agreement"]
    # the number in all, and of each index below Λ
    z = data.z.where(data["index"] < data["size"], 0.0)
    if not np.isfinite(z).all():
        raise Undecided("z of glass_agreement is not finite")
    dof, samples = int(data.dof.sum()), int(data.attrs["samples"])
    return {
        "largest |z|, over its limit": float(abs(z).max()) / agreement.z_limit(dof, samples),
        "joint χ², over its limit": float(data.chi2.sum()) / float(stats.chi2.isf(LEVEL, dof)),
        "incomplete searches": int(data.incomplete.sum()) * 2.0,
    }


def precision(recordings: Recordings) -> Numbers:
    """The standard error of the mean number of critical points, over the exact number."""
    data = recordings["glass_agreement"].sel(index=-1)
    share = (data.standard_error / data.expected).values
    return {"median of all cases": float(np.median(share)), "largest": float(share.max())}


def ordered(recordings: Recordings) -> Numbers:
    """How much higher the lowest and the median critical point of an index lie than those of the index before."""
    data = recordings["glass_agreement"]
    # critical points of all glasses of a case together
    points = data[["energy", "point_index", "point_case"]].to_dataframe().astype({"energy": float})
    levels = points.groupby(["point_case", "point_index"]).energy.agg(lowest="min", median="median")
    return {
        f"{word}, {data.name.values[case]}": np.diff(levels[word][case][: int(data["size"][case]) // 2])
        for case, word in product(points.point_case.unique(), levels)
    }


CLAIMS = (
    Claim(
        "Def. 4, Eq. 32", "Numbers of critical points have the means that random matrices give (Kac-Rice).",
        "Def. 4 counts the critical points of index k below a level; Sec. 2: “the asymptotic complexity of spherical p "
        "spin glass model is analyzed based on random matrix theory”.",
        "16 cases with all critical points searched", counts_agree, within(high=1.0), "glass_agreement",
        beside={"standard error of the mean number over that number": precision}, figure="glass-counts",
        note="1 is what chance stays below in 99.9 %",
    ),
    Claim(
        "Sec. 2, layers", "Critical points of low index lie in layers near the ground state.",
        "Sec. 2: “the asymptotic complexity of spherical spin glasses reveals a layered structure of low-index "
        "critical points near the global optimum”.",
        "rise of H/Λ from an index to the next, below half of Λ", ordered, within(low=1e-9), "glass_agreement",
        figure="glass-layers-3",
    ),
)  # fmt: skip


def _count(tell: Tell) -> xr.Dataset:
    return agreement.recording(agreement.sweep(COUNTED, on_case=steps_of(tell, len(agreement.CASES))))


def _pages(recordings: Recordings, _figures: Sequence[str]) -> Pages:
    counted = recordings["glass_agreement"]
    return [Section("Critical points, all of them", TEXT, (agreement_table(counted), *layer_panels(counted)))], {}


COUNTS = Experiment(
    ("glass",),
    {"glass_agreement": "agreement"},
    lambda options, folder: {"glass_agreement": Recording("agreement", _count)},
    _pages,
    CLAIMS,
)
