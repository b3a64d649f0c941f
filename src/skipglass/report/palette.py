"""Colours that colour-blind readers can tell apart, in both renderers."""

__all__ = ["CATEGORIES", "legend_names", "series_colors"]

CATEGORIES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C8C8C")
"""Okabe & Ito (2008), the strongest on white first; grey for their black, which a dark page would hide."""

ENTRIES = 6
"""Legend entries of an ordered sequence: our choice, what a 3.4 inch figure can hold."""


def series_colors(count: int, ordered: bool) -> list[str]:
    """Return one colour a series: categories, or viridis from dark to light for an ordered sequence."""
    if not ordered:
        return list(CATEGORIES[:count])
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    # viridis ends in a yellow that white swallows, and begins in a purple that a dark page does
    steps = [0.08 + 0.82 * index / max(count - 1, 1) for index in range(count)]
    return [to_hex(colormaps["viridis"](step)) for step in steps]


def legend_names(names: tuple[str, ...], ordered: bool) -> list[str]:
    """Return the names a legend shows: all of a few, evenly spaced ones of a long ordered sequence."""
    if not ordered or len(names) <= ENTRIES:
        return list(names)
    return [names[round(i * (len(names) - 1) / (ENTRIES - 1))] for i in range(ENTRIES)]
