"""Critical points by level: higher indices lie higher, and what is drawn and stored is what was counted."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest

from skipglass.errors import InputError
from skipglass.paper.levels import Levels, levels
from skipglass.record import load
from skipglass.theory import threshold_energy

RECORDED = Path(__file__).parents[2] / "results" / "glass" / "recordings" / "glass_agreement.nc"


@pytest.mark.parametrize(("p", "size"), [(3, 8), (4, 6)])
def test_indices_lie_in_layers(p, size):
    """Higher indices lie higher; below -E_∞ there are hardly any but minima, a little above few of index 2."""
    ds = load(RECORDED, kind="agreement")
    own = ds.point_case == ds.name.values.tolist().index(f"p = {p}, Λ = {size}")
    found = levels(ds.energy[own], ds.point_index[own], p, size, ds.attrs["samples"])
    assert np.all(np.diff(found.medians) > 0)
    row = ds.sel(index=slice(0, size - 1)).isel(case=int(ds.point_case[own][0]))
    np.testing.assert_allclose(found.histogram.sum(1), row["mean"], rtol=1e-12)
    lowest = found.histogram[:, found.edges[1:] <= threshold_energy(p)].sum(1)
    assert lowest[0] > 10 * lowest[1:].sum()
    low = found.histogram[:3, found.edges[1:] <= 0.7 * threshold_energy(p)].sum(1)
    assert np.all(np.diff(low) < 0)
    assert found.to_xarray().sizes == {"index": size, "bin": 40, "edge": 41}
    counted, limits = found.panel().series[:3], found.panel().series[3:]
    for k, (points, line) in enumerate(zip(counted, limits, strict=True)):
        np.testing.assert_array_equal(points.y, found.rate[k][np.isfinite(found.rate[k])])
        assert set(line.y) <= set(found.complexity[k])
    for ax, lines in ((found.plot(), 2 * 3), (found.plot_histogram(), size)):
        assert len(ax.lines) >= lines
        plt.close(ax.figure)


def test_levels_come_back_from_their_file(tmp_path):
    found = levels([-1.8, -1.6, -1.5, 1.7], [0, 0, 1, 2], p=3, size=3, samples=2, bins=2)
    back = Levels.load(found.save(tmp_path / "levels.nc"))
    for name in ("p", "size", "samples", "edges", "histogram", "complexity", "rate", "medians"):
        np.testing.assert_array_equal(getattr(back, name), getattr(found, name))
    assert "p = 3, Λ = 3" in str(back)
    assert "mean number" in str(back)


def test_levels_need_points():
    with pytest.raises(InputError, match="index for each point"):
        levels([1.0], [0, 1], 3, 3, 1)
