"""docs/claims.md and the README's table are what the committed recordings say."""

from pathlib import Path

import pytest

from skipglass.errors import StorageError
from skipglass.paper import CLAIMS
from skipglass.paper.claims_page import HEADLINES, claims_markdown, load_results, with_summary

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def recordings():
    return load_results(ROOT / "results")


def test_the_page_of_claims_is_what_the_recordings_say(recordings):
    assert (ROOT / "docs" / "claims.md").read_text() == claims_markdown(recordings)


def test_the_readme_s_table_is_what_the_recordings_say(recordings):
    readme = (ROOT / "README.md").read_text()
    assert readme == with_summary(readme, recordings)


def test_the_pages_name_real_claims_once(recordings):
    names = [claim.name for claim in CLAIMS]
    assert len(set(names)) == len(names)
    assert set(HEADLINES) <= set(names)


def test_a_folder_without_recordings_and_a_page_without_its_comments_are_refused(tmp_path):
    with pytest.raises(StorageError, match="no folders with recordings"):
        load_results(tmp_path)
    with pytest.raises(StorageError, match="has no comments"):
        with_summary("a page", {})
