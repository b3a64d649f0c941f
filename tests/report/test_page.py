"""The page stands alone, and nothing that is written in it becomes markup."""

import json
import re
from html.parser import HTMLParser

import example
import pytest

from skipglass.errors import UserError
from skipglass.report import Report, chart, render_page
from skipglass.report import extra as extra_module


class Elements(HTMLParser):
    def __init__(self, html):
        super().__init__()
        self.found = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


@pytest.fixture(scope="module")
def html(tmp_path_factory):
    return render_page(example.report(), tmp_path_factory.mktemp("page") / "report.html").read_text("utf-8")


def test_nothing_is_loaded_from_elsewhere(html):
    addresses = [
        attributes[key]
        for _, attributes in Elements(html).found
        for key in ("src", "href", "srcset", "data", "action", "poster")
        if key in attributes
    ]
    assert addresses
    assert all(address.startswith(("data:", "#")) for address in addresses)
    assert "default-src 'none'" in html
    assert "@import" not in html


def test_text_stays_text(html):
    tags = [tag for tag, _ in Elements(html).found]
    assert tags.count("script") == 3  # the engine, the data, the page's own
    assert example.NASTY not in html
    assert "&lt;/script&gt;" in html


def test_the_charts_come_back_from_the_page(html):
    (data,) = re.findall(r'<script id="charts" type="application/json">(.*?)</script>', html, re.S)
    charts = json.loads(data)
    assert list(charts) == ["answer", "lines", "points", "bars", "epochs", "slider"]
    assert "$schema" not in data
    assert charts["slider"]["labels"] == ["β = 0.1", "β = 0.5", "β = 2"]
    assert example.NASTY in charts["slider"]["captions"][0]


def test_each_panel_says_how_to_read_it_and_has_a_still_picture(html):
    assert html.count("<b>How to read:</b>") == 6
    assert html.count("<noscript><img src=") == 6


def test_a_verdict_is_said_by_sign_and_words(html):
    for look, sign, words in (
        ("identity", "=", "identity"),
        ("supported", "✓", "supported (2 of 3 settings)"),
        ("unsupported", "✗", "not supported"),
        ("undetermined", "○", "undetermined: β &lt; 1"),
    ):
        assert f'class="verdict {look}"><span aria-hidden="true">{sign}</span> {words}<' in html
    assert ">1.235<" in html


def test_rows_unfold_filter_and_lead_to_their_figure(html):
    tags = Elements(html).found
    kinds = [attributes["data-kind"] for tag, attributes in tags if tag == "button"]
    assert kinds == ["", "identity", "supported", "unsupported", "undetermined"]
    assert [a["data-kind"] for tag, a in tags if tag == "tr" and "data-kind" in a] == kinds[1:]
    assert '<a href="#lines">' in html
    assert html.count("<details") == 1 + 4


def test_a_chart_stands_alone_with_its_title_and_slider():
    sliding = example.report().sections[1].items[-1]
    spec = chart(sliding).to_dict()
    (frame,) = [param for param in spec["params"] if param["name"] == "frame"]
    assert frame["bind"]["max"] == 2
    assert "β = 0.5" in json.loads(re.search(r", (\[.*\])\[frame\]\]$", spec["title"]["text"]["expr"])[1])[1]


def test_a_missing_extra_says_how_to_install_it(tmp_path, monkeypatch):
    def missing(module):
        raise ModuleNotFoundError(module)

    monkeypatch.setattr(extra_module, "import_module", missing)
    with pytest.raises(UserError, match=r"pip install 'skipglass\[page\]'"):
        render_page(Report("R"), tmp_path / "r.html")
    assert list(tmp_path.iterdir()) == []
