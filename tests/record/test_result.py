"""A result is declared once; print, notebook, xarray, file and plot say what was declared, and nothing else is read."""

import math
import re
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest

from skipglass import record
from skipglass.errors import InputError, StorageError
from skipglass.record import (
    Result,
    attributes,
    coordinate,
    derived,
    mapping,
    names,
    number,
    part,
    parts,
    text,
    texts,
    transient,
    variable,
)


@dataclass(frozen=True, eq=False)
class Inner(Result):
    """A nested result."""

    kind: ClassVar[str] = "inner"
    lengths: np.ndarray = coordinate("length", letter="r")
    predicted: np.ndarray = variable("length", letter="q")
    beta: float = number("β", long_name="fitted β")
    interval: tuple[float, float] | None = variable("end", decode=tuple, shown=False)

    def headline(self):
        return f"β is {self.beta:g}."


@dataclass(frozen=True, eq=False)
class Everything(Result):
    """One field of each kind."""

    kind: ClassVar[str] = "everything"
    lengths: np.ndarray = coordinate("length", letter="r", long_name="path length", units="{unit}")
    norm: np.ndarray = variable("length", letter="‖g_r‖", long_name="norm of the part of length r")
    per_sample: np.ndarray = variable("length", "sample", "token?", letter="median share", stored="share_per_sample")
    optional: np.ndarray | None = variable("length", letter="absent")
    unit: str = text("unit", shown=False)
    blocks: tuple[str, ...] = names("block")
    participation: np.ndarray = variable("block", letter="s_l", units="1")
    census: dict[int, int] = mapping("length", letter="paths", key=int, of=int)
    settings: dict[str, float] = mapping(long_name="settings")
    effective_depth: float = number("Σ r·share_r", long_name="effective depth", units="{unit}")
    count: int = number(of=int)
    independent: bool = number(of=bool, long_name="independent samples")
    symmetric: bool | None = number(of=bool)
    notes: tuple[str, ...] = texts("note")
    fits: tuple[Inner, ...] = parts(Inner)
    best: Inner = part(Inner)
    points: list = variable("point?", "axis", encode=np.array, decode=np.ndarray.tolist, shown=False)
    graph: object = transient()
    about: dict[str, object] = attributes(default_factory=dict)

    @property
    @derived(variable("length", letter="‖g_r‖²", long_name="squared norm"))
    def square(self):
        return self.norm**2

    def headline(self):
        return "One sentence <says> it all."

    def check(self):
        return "a norm is negative" if (self.norm < 0).any() else None


def inner(beta=0.5):
    return Inner(np.array([1, 2]), np.array([0.25, 0.75]), beta, (0.4, 0.6))


@pytest.fixture
def whole():
    return Everything(
        lengths=np.arange(3),
        norm=np.array([1.0, 0.5, 0.25]),
        per_sample=np.array([[0.5, math.nan], [0.25, 0.75], [0.25, math.nan]]),
        optional=None,
        unit="blocks",
        blocks=("layer<1>", "Schicht ü"),
        participation=np.array([0.25, math.nan]),
        census={0: 1, 1: 10**30, 2: 10**5000},
        settings={"tolerance": 1e-9, "time": math.inf},
        effective_depth=1.25,
        count=2**70,
        independent=True,
        symmetric=None,
        notes=("samples <mix>", "ε → 0"),
        fits=(inner(), replace(inner(2.0), interval=None)),
        best=inner(3.0),
        points=[[1.0, 2.0], [3.0, 4.0]],
        graph=object(),
        about={"mode": "train", "seeds": [1, 2], "depth": 3},
    )


def same(a, b):
    """Whether two results agree in all that is stored."""
    for name in type(a).__dataclass_fields__:
        one, other = getattr(a, name), getattr(b, name)
        if isinstance(one, np.ndarray):
            np.testing.assert_array_equal(one, other)
            assert one.dtype == other.dtype
        elif isinstance(one, Result):
            same(one, other)
        elif name == "fits":
            for left, right in zip(one, other, strict=True):
                same(left, right)
        elif name == "about":
            assert {k: np.array(v).tolist() for k, v in one.items()} == {
                k: np.array(v).tolist() for k, v in other.items()
            }
        elif name != "graph":
            assert type(one) is type(other), name
            assert one == other or (one != one and other != other), name
    return True


def test_every_kind_of_field_comes_back_from_its_file(whole, tmp_path):
    path = whole.save(tmp_path / "a.nc")
    back = Everything.load(path)
    assert same(whole, back)
    assert back.graph is None
    assert record.load(path, "everything").attrs["mode"] == "train"


@pytest.mark.parametrize(
    "change",
    [
        {"lengths": np.zeros(0, int), "norm": np.zeros(0), "per_sample": np.zeros((0, 2)), "census": {}},
        {"blocks": (), "participation": np.zeros(0)},
        {"per_sample": np.ones((3, 2, 4))},
        {"points": [1.0, 2.0]},
        {"notes": (), "fits": (), "settings": {}, "about": {}},
        {"optional": np.full(3, math.nan), "symmetric": False, "effective_depth": math.nan},
        {"unit": "", "notes": ("", "x" * 100_000), "count": -(2**63) - 1},
    ],
    ids=lambda change: ", ".join(change),
)
def test_what_is_empty_absent_or_large_comes_back(whole, tmp_path, change):
    result = replace(whole, **change)
    assert same(result, Everything.load(result.save(tmp_path / "a.nc")))
    assert str(result)
    assert result._repr_html_()


def test_the_dataset_carries_what_was_declared(whole):
    data = whole.to_xarray()
    assert data["length"].attrs == {"long_name": "path length", "letter": "r", "units": "blocks"}
    assert data["square"].dims == ("length",)
    assert data["share_per_sample"].dims == ("length", "sample")
    assert "optional" not in data
    assert "graph" not in data
    assert data.attrs["fits.0.beta"] == 0.5
    assert data["fits.0.predicted"].dims == ("fits.0.length",)


TEXT = """\
One sentence <says> it all.

r       paths   ‖g_r‖  median share  ‖g_r‖²
0           1   1.000         0.500   1.000
1    1.00e30   0.500         0.500   0.250
2  1.00e5000   0.250         0.250   0.062

block        s_l
layer<1>   0.250
Schicht ü      –

settings: tolerance 1e-09, time inf
effective depth: 1.25 blocks
count: 1.18e21
independent samples: yes
note: samples <mix>
note: ε → 0
β is 0.5.
β is 2.
β is 3.
"""


def test_the_text_shows_tables_and_lines(whole):
    assert re.sub(" +", " ", str(whole)) == re.sub(" +", " ", TEXT.strip())
    rows = str(whole).split("\n\n")[1].splitlines()
    assert len({len(row) for row in rows}) == 1


def test_a_long_table_shows_the_largest_rows(whole):
    n = 1000
    long = replace(
        whole,
        lengths=np.arange(n),
        norm=np.arange(n) / n,
        per_sample=np.ones((n, 1)),
        census=dict.fromkeys(range(n), 1),
    )
    table = str(long).split("\n\n")[1].splitlines()
    assert [line.split()[0] for line in table[1:-1]] == [str(r) for r in range(n - 24, n)]
    assert table[-1] == "… 976 more with smaller values"


def test_the_notebook_shows_the_same_escaped(whole):
    html = whole._repr_html_()
    assert "<says>" not in html
    assert "One sentence &lt;says&gt; it all." in html
    assert "layer&lt;1&gt;" in html
    assert "samples &lt;mix&gt;" in html
    assert "color" not in html  # those of the notebook, light or dark
    assert re.sub("<[^>]*>", "", html).count("0.500") == str(whole).count("0.500")


def test_repr_is_one_line_without_arrays(whole):
    assert repr(inner()) == "Inner(length: 2, end: 2, beta=0.5)"
    assert "\n" not in repr(whole)
    assert "unit='blocks'" in repr(whole)


DAMAGES = {
    "norm": lambda d: d.drop_vars("norm"),
    "length": lambda d: d.drop_vars("length"),
    "block": lambda d: d.drop_vars("block"),
    "share_per_sample": lambda d: d.assign(share_per_sample=d["share_per_sample"].T),
    "participation": lambda d: d.assign(participation=("block", np.array(["a", "b"], dtype=object))),
    "length ": lambda d: d.assign_coords(length=[0.5, 1.5, 2.5]),
    "effective_depth": lambda d: d.assign_attrs(effective_depth="deep"),
    "count": lambda d: d.assign_attrs(count=1.5),
    "independent": lambda d: d.assign_attrs(independent=[1, 2]),
    "census": lambda d: d.assign_attrs(census="{"),
    "census ": lambda d: d.assign_attrs(census="[1]"),
    "census  ": lambda d: d.assign_attrs(census='{"1": "many"}'),
    "census   ": lambda d: d.assign_attrs(census="[" * 100_000),
    "notes": lambda d: d.assign_attrs(notes='"text"'),
    "notes ": lambda d: d.assign_attrs(notes=3),
    "fits": lambda d: d.assign_attrs(fits=3),
    "fits ": lambda d: d.assign_attrs(fits=10**15),
    "fits  ": lambda d: d.drop_vars("fits.1.predicted"),
    "fits   ": lambda d: d.assign_attrs({"fits.0.beta": "x"}),
    "best": lambda d: d.assign_attrs(best=0),
    "a norm is negative": lambda d: d.assign(norm=-d["norm"]),
}


@pytest.mark.parametrize("what", DAMAGES)
def test_damaged_and_hostile_datasets_are_refused_in_one_line(whole, what):
    with pytest.raises(StorageError) as caught:
        Everything.from_xarray(DAMAGES[what](whole.to_xarray()))
    message = str(caught.value)
    assert "\n" not in message
    assert f"no complete everything: {what.strip()}" in message
    assert "make it again" in message


def test_a_file_of_another_kind_is_refused(whole, tmp_path):
    with pytest.raises(StorageError, match=r"'everything'.*'inner'"):
        Everything.load(inner().save(tmp_path / "a.nc"))


def test_a_file_of_an_older_layout_is_upgraded(tmp_path):
    class Renamed(Inner):
        @classmethod
        def upgrade(cls, dataset):
            return dataset.rename(guess="predicted") if "guess" in dataset else dataset

    old = inner().to_xarray().rename(predicted="guess")
    path = record.save(old, tmp_path / "old.nc", "inner")
    assert same(Renamed.load(path), inner())
    with pytest.raises(StorageError, match="predicted"):
        Inner.load(path)


def test_a_field_that_is_not_declared_is_named():
    @dataclass(frozen=True, eq=False)
    class Careless(Result):
        value: int

    with pytest.raises(TypeError, match=r"Careless\.value"):
        Careless(1).to_xarray()
    with pytest.raises(TypeError):
        number(lettr="x")


def test_an_array_of_the_wrong_dimensions_is_named(whole):
    with pytest.raises(TypeError, match="per_sample"):
        replace(whole, per_sample=np.ones(3)).to_xarray()


def test_results_draw_their_first_variable_or_their_panel(whole):
    ax = whole.plot()
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("path length r (blocks)", "norm of the part of length r ‖g_r‖")
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), whole.norm)
    ax.clear()
    assert inner().plot(ax) is ax

    @dataclass(frozen=True, eq=False)
    class Named(Result):
        blocks: tuple[str, ...] = names("block")
        share: np.ndarray = variable("block", letter="s_l")

    ax = Named(("a", "b"), np.array([0.5, 1.5])).plot()
    assert [bar.get_height() for bar in ax.patches] == [0.5, 1.5]
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["a", "b"]

    class Panel:
        def plot(self, ax=None):
            return "drawn"

    class Own(Named):
        def panel(self):
            return Panel()

    assert Own((), np.zeros(0)).plot() == "drawn"

    @dataclass(frozen=True, eq=False)
    class Scalar(Result):
        value: float = number()

    with pytest.raises(InputError, match="Scalar"):
        Scalar(1.0).plot()


def test_declarations_are_read_without_torch():
    import subprocess
    import sys

    code = "import sys, skipglass.record; print({'torch', 'xarray', 'matplotlib'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "set()\n"
