"""Figures show the panel's numbers, no others, and reach the disk whole."""

import itertools
import re
import subprocess
import sys

import numpy as np
import pytest
from matplotlib.figure import Figure

from skipglass import record
from skipglass.errors import InputError, StorageError
from skipglass.report import Axis, Panel, Rule, Series, Slider, draw, grid, save_figures, save_grid, svg

A = Series("a", [1, 2, 4], [3.0, 1.0, 2.0], low=[2, 0.5, 1], high=[4, 1.5, 3])
B = Series("b", [1, 2, 4], [1.0, 5.0, 0.25])


def panel(marks="line", **changes):
    arguments = {"x": Axis("r", "layers"), "y": Axis("share"), "series": (A, B), "marks": marks}
    return Panel(**({"name": "p", "title": "P", "how_to_read": "Up is more."} | arguments | changes))


@pytest.fixture
def ax():
    return Figure().add_subplot()


def test_lines_and_points_stand_where_the_data_are(ax):
    draw(panel(series=(A, Series("c", B.x, B.y, marks="points"))), ax)
    for artist, series in zip(ax.lines, (A, B), strict=True):
        np.testing.assert_array_equal(artist.get_xydata(), np.column_stack([series.x, series.y]))
    assert [artist.get_marker() for artist in ax.lines] == ["None", "o"]
    (band,) = ax.collections
    corners = {tuple(point) for point in band.get_paths()[0].vertices}
    assert set(zip(A.x, A.low, strict=True)) | set(zip(A.x, A.high, strict=True)) <= corners


@pytest.mark.parametrize("log", [False, True])
def test_bars_end_at_the_data_and_do_not_overlap(ax, log):
    draw(panel("bar", y=Axis("share", log=log)), ax)
    tops = [bar.get_y() + bar.get_height() for bar in ax.patches]
    np.testing.assert_allclose(tops, [*A.y, *B.y])
    edges = sorted((bar.get_x(), bar.get_x() + bar.get_width()) for bar in ax.patches)
    assert all(right <= left + 1e-12 for (_, right), (left, _) in itertools.pairwise(edges))
    (whiskers,) = ax.collections
    np.testing.assert_allclose([s[:, 1] for s in whiskers.get_segments()], np.column_stack([A.low, A.high]))


def test_a_slider_is_drawn_at_the_frame_asked_for(ax):
    frames = [(Series("s", [1, 2], [k, 2 * k]),) for k in (1, 2, 3)]
    draw(panel(series=(), slider=Slider("β", [0.1, 0.2, 0.3], frames), shown=2), ax)
    assert ax.lines[0].get_ydata().tolist() == [3, 6]
    assert "β = 0.3" in ax.get_title(loc="left")


def test_axes_rules_and_legend_are_labelled(ax):
    draw(panel(rules=(Rule(2, "here", "x"), Rule(7, "there"))), ax)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("r [layers]", "share")
    assert [text.get_text() for text in ax.texts] == ["here", "there"]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["a", "b"]
    assert ax.get_ylim()[1] > 7


def test_what_is_counted_has_whole_ticks(ax):
    counted = panel(series=(Series("a", np.arange(1, 20), np.ones(19)),))
    ticks = draw(counted, ax).get_xticks()
    assert all(tick.is_integer() for tick in ticks)
    assert len(ticks) > 4


def test_a_long_ordered_sequence_keeps_a_short_legend(ax):
    runs = tuple(Series(str(k), [1, 2], [k, k]) for k in range(30))
    draw(panel(series=runs, color=Axis("epoch")), ax)
    shown = [text.get_text() for text in ax.get_legend().get_texts()]
    assert (shown[0], shown[-1], len(shown)) == ("0", "29", 6)
    assert len({line.get_color() for line in ax.lines}) == 30


def test_files_are_whole_and_hold_the_data(tmp_path):
    pytest.importorskip("h5py", reason="h5netcdf writes through h5py, which is not installed")
    files = save_figures(panel(), tmp_path / "new")
    assert [path.name for path in files] == ["p.png", "p.pdf", "p.nc"]
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["p.nc", "p.pdf", "p.png"]
    data = record.load(files[2], kind="panel")
    np.testing.assert_array_equal(data.y.values, [*A.y, *B.y])
    assert data.attrs["x_axis"] == "r [layers]"


def test_a_figure_that_fails_leaves_the_old_one(tmp_path, monkeypatch):
    old = tmp_path / "g.png"
    old.write_bytes(b"old")

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(type(tmp_path), "write_bytes", full)
    with pytest.raises(StorageError, match="No space left"):
        save_grid([panel()], tmp_path, "g")
    assert old.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [old]


def test_a_picture_shows_the_frame_the_names_and_the_rules():
    frames = [[Series(f"s{k}", [1, 2], [k, k]) for k in (1, 2)] for _ in range(2)]
    sliding = panel(series=(), slider=Slider("β", [0.1, 0.2], frames), rules=(Rule(1.5, "here"),), shown=0)
    picture = svg(sliding)
    for words in ("P, β = 0.1", "r [layers]", "share", "s1", "s2", "here"):
        assert f">{words}<" in picture


def lines(picture):
    return re.findall(r'"mark-line role-mark[^>]*><path d="([^"]*)"', picture)


def test_panels_in_one_picture_keep_their_own_data():
    rules = (Rule(0.5, "half", "x"), Rule(0.5, "half"))
    values = {"a": [0, 1], "b": [1, 0]}
    both = [panel(name=name, series=(Series(name, [0, 1], y),), rules=rules) for name, y in values.items()]
    assert lines(svg(*both)) == [*lines(svg(both[0])), *lines(svg(both[1]))]
    assert len(set(lines(svg(*both)))) == 2


@pytest.mark.parametrize(
    ("range_", "words"),
    [((1e-9, 1e-3), "10⁻⁹"), ((0.5, 8), "5"), ((1, 2000), "100"), ((0.02, 3), "0.3"), ((1, 1.9), "1.4")],
)
def test_a_logarithmic_axis_names_its_decades(range_, words):
    log = panel(x=Axis("x", log=True), y=Axis("y"), series=(Series("a", range_, [1, 2]),))
    assert f">{words}<" in svg(log)


def test_what_is_counted_has_whole_ticks_in_a_picture():
    ticks = re.findall(r">([\d.,]+)</text>", svg(panel(series=(Series("a", [0, 1, 2], [5, 5, 5]),))))
    assert ticks[:3] == ["0", "1", "2"]


def test_text_of_a_pdf_stays_text(tmp_path):
    assert b"/Type3" not in save_grid([panel()], tmp_path, "g")[1].read_bytes()


def test_a_grid_holds_every_panel(tmp_path):
    figure = grid([panel(), panel("bar"), panel("points"), panel()], columns=3)
    assert len(figure.axes) == 4
    assert [path.name for path in save_grid([panel()], tmp_path, "all")] == ["all.png", "all.pdf"]
    with pytest.raises(InputError, match="at least one"):
        grid([])


def test_importing_the_folder_loads_no_plotting():
    heavy = "{'torch', 'xarray', 'pandas', 'matplotlib', 'altair', 'jinja2', 'vl_convert'}"
    code = f"import sys, skipglass.report; print(sorted({heavy} & set(sys.modules)))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
