"""From a labelled array to the numbers of a claim by setting, and to the series of a panel."""

from collections.abc import Collection, Hashable, Iterator
from itertools import product
from string import Formatter
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from skipglass.report import Series

__all__ = ["by_setting", "series_by"]


def by_setting(name: str, values: xr.DataArray, *, gaps: bool = False) -> dict[str, NDArray]:
    """Return the numbers of an array by setting.

    Parameters
    ----------
    name
        What a setting is called: a format string whose fields are dimensions of the array.
    values
        The array, with coordinates along those dimensions.
    gaps
        Whether NaN means that there is no number, and a setting without any is none.

    Returns
    -------
    dict
        {the name, with the coordinates filled in: the numbers there}, the last field changing fastest.

    Examples
    --------
    >>> rise = xr.DataArray([[1, 2], [3, 4]], [("depth", [10, 20]), ("seed", [0, 1])])
    >>> by_setting("p = {depth}", rise)
    {'p = 10': array([1, 2]), 'p = 20': array([3, 4])}
    """
    numbers = {setting: found.values for setting, found in _settings(name, values)}
    if not gaps:
        return numbers
    return {setting: there for setting, found in numbers.items() if (there := found[~np.isnan(found)]).size}


def series_by(
    name: str, values: xr.DataArray, over: str | Collection[Hashable] = (), *, ends: bool = False, **drawn: Any
) -> tuple[Series, ...]:
    """Return one series per setting: the mean over some dimensions, with its spread; a NaN leaves a gap.

    Parameters
    ----------
    name
        What the legend says: a format string whose fields are dimensions of the array, as in `by_setting`.
    values
        The array.
    over
        The dimensions that the mean is over.
    ends
        Whether the spread is from the least to the largest; else it is one standard deviation each way, and none
        where there is one value alone.
    **drawn
        Of `Series`; without an ``x``, the coordinate of the one dimension that is left.

    Returns
    -------
    tuple of Series
        In the order of `by_setting`.

    Examples
    --------
    >>> loss = xr.DataArray([[1.0, 3.0], [2.0, 2.0]], [("epoch", [0, 1]), ("seed", [0, 1])])
    >>> (line,) = series_by("loss", loss, "seed", ends=True)
    >>> line.x, line.y, line.low
    (array([0., 1.]), array([2., 2.]), array([1., 2.]))
    """
    return tuple(_series(setting, found, over, ends, drawn) for setting, found in _settings(name, values))


def _settings(name: str, values: xr.DataArray) -> Iterator[tuple[str, xr.DataArray]]:
    """Each combination of the coordinates that the name has fields for."""
    fields = [field for _, field, _, _ in Formatter().parse(name) if field]
    for point in product(*(values[field].values.tolist() for field in fields)):
        where = dict(zip(fields, point, strict=True))
        yield name.format(**where), values.sel(where)


def _series(
    name: str, values: xr.DataArray, over: str | Collection[Hashable], ends: bool, drawn: dict[str, Any]
) -> Series:
    mean = values.mean(over, skipna=False) if over else values
    columns = {"x": mean[mean.dims[0]], "y": mean, **drawn}
    if values.size == mean.size:
        return Series(name, **columns)
    if ends:
        return Series(name, low=values.min(over, skipna=False), high=values.max(over, skipna=False), **columns)
    deviation = values.std(over, ddof=1, skipna=False)
    return Series(name, low=mean - deviation, high=mean + deviation, **columns)
