"""Numbers are those that were recorded before the house was rebuilt; see record.py for how to record them anew."""

import pytest

import golden
from record import SECTIONS

PAIRS = [(section, name) for section, (cases, _) in SECTIONS.items() for name in cases]


@pytest.fixture(scope="module")
def recordings():
    return {section: golden.read(section) for section in SECTIONS}


@pytest.fixture(scope="module")
def computed():
    """What has been computed already: values and wording come from one call."""
    known = {}

    def of(section, name):
        if (section, name) not in known:
            known[section, name] = golden.compute(SECTIONS[section][0][name])
        return known[section, name]

    return of


@pytest.mark.parametrize(("section", "name"), PAIRS)
def test_the_numbers_are_those_recorded(recordings, computed, section, name):
    assert name in recordings[section], "not recorded: run tests/golden/record.py"
    values, _, _ = computed(section, name)
    lines = golden.differences(recordings[section][name], values, SECTIONS[section][1](name))
    assert not lines, golden.report(lines)


@pytest.mark.parametrize("section", SECTIONS)
def test_the_wording_is_that_recorded(computed, section):
    """A change of wording on purpose is recorded by ``python tests/golden/record.py --wording``."""
    recorded = golden.read_wording().get(section, {})
    now = {name: text for name in SECTIONS[section][0] if (text := computed(section, name)[1])}
    lines = golden.differences(recorded, now, 0.0)
    assert not lines, golden.report(lines)


@pytest.mark.parametrize("section", SECTIONS)
def test_no_case_is_lost(recordings, section):
    assert set(recordings[section]) == set(SECTIONS[section][0])
