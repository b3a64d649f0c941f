"""A panel refuses what cannot be drawn or read, and gives its data back."""

import numpy as np
import pytest

from skipglass.errors import InputError
from skipglass.report import Axis, Panel, Report, Rule, Section, Series, Slider, Table

X, Y = Axis("length r"), Axis("share")
ONE = Series("a", [1, 2, 3], [0.5, np.nan, 0.25], low=[0.4, 0.1, 0.2], high=[0.6, 0.3, 0.3])


def panel(**changes):
    arguments = {"name": "p", "title": "P", "how_to_read": "Up is more.", "x": X, "y": Y, "series": (ONE,)}
    return Panel(**(arguments | changes))


def sliding(**changes):
    frames = [(Series("s", [1, 2], [k, 2 * k]),) for k in (1, 2, 3)]
    return panel(slider=Slider("β", [0.1, 0.2, 0.3], frames, ["one", "two", "three"]), **changes)


BAD_SERIES = [
    ({"name": ""}, "needs a name"),
    ({"y": [1.0]}, "y.* 1 .*x.* 2"),
    ({"x": [[1, 2]]}, "shape"),
    ({"x": [], "y": []}, "shape"),
    ({"x": [1, np.nan]}, "finite"),
    ({"x": ["one", "two"]}, "numbers"),
    ({"low": [0, 0]}, "one end"),
    ({"low": [0], "high": [1]}, "low.* 1 "),
    ({"marks": "lines"}, "'line'"),
]


@pytest.mark.parametrize(("changes", "message"), BAD_SERIES)
def test_a_series_says_what_is_wrong(changes, message):
    with pytest.raises(InputError, match=message):
        Series(**({"name": "a", "x": [1, 2], "y": [3, 4]} | changes))


BAD_PANELS = [
    ({"name": "Figure 1"}, "a-z"),
    ({"title": " "}, "title"),
    ({"how_to_read": ""}, "how_to_read"),
    ({"marks": "bars"}, "'bar'"),
    ({"series": ()}, "nothing to draw"),
    ({"series": (ONE, ONE)}, "one name"),
    ({"series": tuple(Series(str(k), [1], [1]) for k in range(9))}, "color="),
    ({"shown": 0}, "no slider"),
    ({"y": Axis("share", log=True), "series": (Series("a", [1], [0]),)}, "≤ 0"),
    ({"x": Axis("r", log=True), "rules": (Rule(0, "nothing", "x"),)}, "≤ 0"),
]


@pytest.mark.parametrize(("changes", "message"), BAD_PANELS)
def test_a_panel_says_what_is_wrong(changes, message):
    with pytest.raises(InputError, match=message):
        panel(**changes)


def test_an_axis_cannot_be_log_and_start_at_zero():
    with pytest.raises(InputError, match="no zero"):
        Axis("x", log=True, zero=True)


@pytest.mark.parametrize(
    ("values", "frames", "captions", "message"),
    [
        ([1, 2], [(ONE,)], (), "2 .* 1 "),
        ([1, 2], [(ONE,), (Series("b", [1], [1]),)], (), "series"),
        ([1], [(ONE,)], ("a", "b"), "captions"),
        ([], [], (), "0 values"),
        ([np.nan], [(ONE,)], (), "finite"),
    ],
)
def test_a_slider_says_what_is_wrong(values, frames, captions, message):
    with pytest.raises(InputError, match=message):
        Slider("β", values, frames, captions)


def test_a_slider_reads_its_value_and_caption():
    p = sliding()
    assert (p.slider.label(1), p.slider.captions[1]) == ("β = 0.2", "two")
    assert p.default_frame == 1
    assert sliding(shown=2).drawn()[-1].y.tolist() == [3, 6]
    with pytest.raises(InputError, match=r"0\.\.2"):
        sliding(shown=3)


def test_series_are_copies_that_nobody_can_change():
    x = np.arange(3.0)
    s = Series("a", x, x)
    x[0] = 7
    assert s.x[0] == 0
    with pytest.raises(ValueError, match="read-only"):
        s.y[0] = 1


def test_the_data_come_back_in_long_form():
    data = sliding(note="5 seeds").to_xarray()
    assert data.sizes == {"row": 3 + 3 * 2}
    assert data.series.values.tolist() == ["a"] * 3 + ["s"] * 6
    np.testing.assert_array_equal(data.frame.values, [np.nan] * 3 + [0.1, 0.1, 0.2, 0.2, 0.3, 0.3])
    np.testing.assert_array_equal(data.y.values, [0.5, np.nan, 0.25, 1, 2, 2, 4, 3, 6])
    assert data.attrs["how_to_read"] == "Up is more."
    assert data.attrs["note"] == "5 seeds"


def test_a_table_checks_its_cells():
    with pytest.raises(InputError, match=r"row 1 .*1 "):
        Table("t", "T", "Read it.", ["a", "b"], [[1, 2], [3]])
    with pytest.raises(InputError, match="verdict"):
        Table("t", "T", "Read it.", ["verdict"], [["perhaps"]])


def test_a_report_refuses_equal_names():
    with pytest.raises(InputError, match=r"\bp\b"):
        Report("R", sections=(Section("a", items=(panel(),)), Section("b", items=(panel(),))))
