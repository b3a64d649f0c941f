"""docs/claims.md and the README's table are what the committed recordings say."""

import argparse
import importlib
import re
import shlex
from collections import Counter
from pathlib import Path

import pytest
from typer.testing import CliRunner

from skipglass.cli.main import app
from skipglass.errors import StorageError
from skipglass.paper import CLAIMS
from skipglass.paper.claims_page import HEADLINES, claims_markdown, load_results, with_summary

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def recordings():
    return load_results(ROOT / "results")


@pytest.fixture(scope="module")
def page(recordings):
    return claims_markdown(recordings)


def test_the_page_of_claims_is_what_the_recordings_say(page):
    assert (ROOT / "docs" / "claims.md").read_text() == page


def test_the_readme_s_table_is_what_the_recordings_say(recordings):
    readme = (ROOT / "README.md").read_text()
    assert readme == with_summary(readme, recordings)


def test_the_pages_name_real_claims_once(recordings):
    names = [claim.name for claim in CLAIMS]
    assert len(set(names)) == len(names)
    assert set(HEADLINES) <= set(names)


def test_every_row_links_to_its_part():
    page, readme = ((ROOT / name).read_text() for name in ("docs/claims.md", "README.md"))
    headings = re.findall("^### (.*)$", page, re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-"): heading for heading in headings}
    for text, target in ((page, "#"), (readme, "docs/claims.md#")):
        links = re.findall(rf"^\| \[(.*?)\]\({target}(.*?)\) \|", text, re.MULTILINE)
        assert len(links) == len(CLAIMS if text is page else HEADLINES)
        assert all(anchors[anchor] == name for name, anchor in links)


def test_a_folder_without_recordings_and_a_page_without_its_comments_are_refused(tmp_path):
    with pytest.raises(StorageError, match=tmp_path.name):
        load_results(tmp_path)
    with pytest.raises(StorageError, match="claims"):
        with_summary("a page", {})


def test_verdicts_and_what_was_measured_are_short(recordings):
    for claim in CLAIMS:
        found = claim.finding(recordings)
        assert len(found.verdict) <= 160, (claim.name, found.verdict)
        assert max(map(len, found.parts)) <= 800, (claim.name, found.parts)


def test_no_sentence_of_the_paper_is_quoted_for_two_claims():
    quoted = Counter(quote for claim in CLAIMS for quote in set(re.findall("“(.*?)”", claim.source)))
    assert len(quoted) > 40
    assert [quote for quote, rows in quoted.items() if rows > 1] == []
    whole = [claim.source for claim in CLAIMS]
    assert [q for q in quoted if len(q) > 20 and sum(q.rstrip(".") in source for source in whole) > 1] == []


def test_every_claim_of_the_paper_tells_where_it_stands():
    places = r"(Abstract|Sec\. \d|Eqs?\. \d|App\. [A-C]|Thm\. \d|Lemma \d|Def\. \d|Caption of Fig\. \d|Below )"
    for claim in CLAIMS:
        if claim.table != "ours":
            assert re.search(places, claim.source), claim.name


def test_every_command_on_the_page_takes_its_arguments(page, monkeypatch):
    parse = argparse.ArgumentParser.parse_args

    def only_parse(self, arguments=None, namespace=None):
        parse(self, arguments, namespace)
        raise SystemExit(0)

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", only_parse)
    told = "".join(re.findall("(?:Recorded|Trained anew) by (.*)\\.", page))
    commands = set(re.findall("`([^`]+)`", told))
    assert len(commands) > 5
    for command in commands:
        program, *arguments = shlex.split(command)
        if program == "skipglass":
            done = CliRunner().invoke(app, [*arguments, "--help"])
            assert done.exit_code == 0, (command, done.output)
        else:
            assert [program, arguments[0]] == ["python", "-m"], command
            with pytest.raises(SystemExit) as stopped:
                importlib.import_module(arguments[1]).main(arguments[2:])
            assert stopped.value.code == 0, command
