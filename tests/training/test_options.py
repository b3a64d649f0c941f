"""Settings declare each field once: its help, its range, its place on a command line."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args, get_origin

import pytest

from skipglass.data import MAX_SEPARATION
from skipglass.errors import InputError
from skipglass.models import NORMALIZATIONS, PLACEMENTS
from skipglass.training import Grid, ResNetSettings, Settings, options
from skipglass.training.option import documented, option, validate

CLASSES = [Settings, ResNetSettings, Grid]


@pytest.mark.parametrize("cls", CLASSES)
def test_every_field_is_declared(cls):
    flags = [one["flag"] for one in options(cls).values() if one["flag"]]
    assert len(set(flags)) == len(flags)
    for name, one in options(cls).items():
        assert one["help"][0].isupper(), name
        assert one["help"].endswith("."), name
        assert one["group"], name
        assert f"{name}\n    {one['help']}" in cls.__doc__


@pytest.mark.parametrize("cls", CLASSES)
def test_defaults_are_in_range_and_values_out_of_it_are_named(cls):
    cls()
    for name, one in options(cls).items():
        many = get_origin(one["type"]) is Sequence
        wrong = {"choices": "nothing of the kind", "minimum": one.get("minimum", 0) - 1}
        for rule, value in wrong.items():
            if rule in one:
                with pytest.raises(InputError, match=name):
                    cls(**{name: [value] if many else value})
        if bool in (one["type"], *get_args(one["type"])):
            with pytest.raises(InputError, match=name):
                cls(**{name: "no"})


def test_what_is_restated_to_spare_an_import_agrees():
    assert options(Settings)["normalization"]["choices"] == NORMALIZATIONS
    assert options(Settings)["placement"]["choices"] == PLACEMENTS
    assert options(Settings)["separation"]["maximum"] == MAX_SEPARATION


def test_a_class_inherits_what_it_does_not_declare():
    @documented
    @dataclass(frozen=True)
    class Base:
        """A base."""

        rate: float = option(1.0, "The rate.", "Group", minimum=0, above=True)
        sizes: Sequence[int] = option((1, 2), "The sizes.", "Group", minimum=1)

        def __post_init__(self):
            validate(self)

    @dataclass(frozen=True)
    class Derived(Base):
        rate: float = 2.0
        ratio: float | None = option(None, like=(Base, "rate"), flag=None)

    assert options(Derived)["rate"] == {**options(Base)["rate"], "default": 2.0}
    assert options(Derived)["ratio"]["help"] == "The rate."
    assert options(Derived)["ratio"]["flag"] is None
    assert Derived(sizes=range(1, 3)).sizes == (1, 2)
    assert Derived(ratio=3).ratio == 3.0
    for wrong in ({"rate": 0}, {"ratio": -1}, {"sizes": []}, {"sizes": [1, 1]}, {"sizes": 3}, {"sizes": "12"}):
        with pytest.raises(InputError, match=next(iter(wrong))):
            Derived(**wrong)
