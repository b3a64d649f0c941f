"""docs/architecture.md: its code runs, the files that it names exist, and its folders are all there, in order."""

import doctest
import re
from pathlib import Path

import skipglass

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "architecture.md"
SOURCE = Path(skipglass.__file__).parent


def test_its_code_runs():
    failed, tried = doctest.testfile(str(PAGE), module_relative=False, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert tried
    assert not failed


def test_the_files_that_it_names_exist():
    places = [ROOT, PAGE.parent, SOURCE]
    for name in re.findall(r"[`(]([a-z_*/]+(?:\.py|\.md))[`)]", PAGE.read_text()):
        assert any(list(place.glob(name)) for place in places), name


def test_its_folders_are_those_of_the_package():
    listed = re.findall(r"^\| `([a-z]+)/` \|", PAGE.read_text(), re.MULTILINE)
    assert sorted(listed) == sorted(path.parent.name for path in SOURCE.glob("*/__init__.py"))
