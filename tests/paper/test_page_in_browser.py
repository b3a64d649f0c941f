"""The paper's page in a real browser: every chart drawn, sliders move what they say, nothing complains."""

from pathlib import Path

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from skipglass.paper import CLAIMS
from skipglass.paper.claims_page import load_results
from skipglass.paper.page import paper_report
from skipglass.paper.reproduce import CHAPTERS, FIGURES
from skipglass.report import render_page

pytestmark = pytest.mark.browser

DRAWN = "return document.querySelectorAll('.chart.drawn').length"


@pytest.fixture(scope="module")
def panels(recordings):
    shown = [chapter for chapter in CHAPTERS if set(chapter.figures) & {"theorems", "figure1"}]
    report, _ = paper_report(recordings, [chapter.pages(recordings, ()) for chapter in shown])
    return report.panels


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The page of all chapters, from the committed recordings, and its panels."""
    found = load_results(Path(__file__).parents[2] / "results")
    report, _ = paper_report(found, [chapter.pages(found, FIGURES) for chapter in CHAPTERS])
    folder = tmp_path_factory.mktemp("whole")
    render_page(report, folder / "report.html")
    return folder, report


WIDE = """
const width = document.documentElement.clientWidth;
return [...document.querySelectorAll("body *")].filter(e => e.getBoundingClientRect().right > width + 1)
  .map(e => `${e.tagName} in ${e.closest("[id]")?.id}`)"""


def test_the_page_of_all_chapters_is_small_and_nothing_of_it_is_wider_than_a_phone(browser, whole):
    folder, report = whole
    assert (folder / "report.html").stat().st_size < 6e6
    assert len(report.answers) == 3
    shown = {item.name for section in report.sections for item in section.items}
    assert {claim.figure for claim in CLAIMS if claim.figure} <= shown
    for width in (390, 1280):
        open_page(browser, folder, report.panels, width)
        # what is folded counts, too
        browser.execute_script("document.querySelectorAll('details:not(.chart *)').forEach(each => each.open = true)")
        assert browser.execute_script(WIDE) == []
    assert browser.get_log("browser") == []


def test_the_three_answers_are_on_the_first_screen(browser, whole):
    folder, report = whole
    open_page(browser, folder, report.panels, 1280)
    boxes = [browser.find_element(By.CSS_SELECTOR, f"#answer-{k} .chart").rect for k in (1, 2, 3)]
    assert max(box["y"] + box["height"] for box in boxes) < 900
    for answer, box in zip(report.answers, browser.find_elements(By.CSS_SELECTOR, ".answers .answer"), strict=True):
        assert answer.sentence == box.text
        assert answer.sentence.endswith(".")


def open_page(browser, folder, panels, width):
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    browser.get_log("browser")
    browser.get((folder / "report.html").as_uri())
    WebDriverWait(browser, 90).until(lambda driver: driver.execute_script(DRAWN) == len(panels))


def shapes(browser, name):
    paths = browser.find_elements(By.CSS_SELECTOR, f"#{name} svg .mark-line path, #{name} svg .mark-rect path")
    return [path.get_attribute("d") for path in paths]


@pytest.mark.parametrize("width", [390, 1280])
def test_every_chart_is_drawn_and_nothing_complains_or_overflows(browser, folder, panels, width):
    open_page(browser, folder, panels, width)
    assert browser.get_log("browser") == []
    assert browser.execute_script("return document.querySelectorAll('[role=alert]').length") == 0
    root = "document.documentElement"
    assert browser.execute_script(f"return {root}.scrollWidth <= {root}.clientWidth")
    for panel in panels:
        marks = [shape for shape in shapes(browser, panel.name) if shape]
        expected = [{"line": 1, "bar": s.x.size, "points": 0}[s.marks] for s in panel.drawn()]
        assert len(marks) >= sum(expected), panel.name
    rows = browser.find_elements(By.CSS_SELECTOR, "[id^=claims] tbody tr")
    assert len(rows) == len(CLAIMS)


def test_claims_are_filtered_by_verdict_and_unfold(browser, folder, panels):
    open_page(browser, folder, panels, 390)
    rows = "[...document.querySelectorAll('#claims tbody tr')]"
    shown = f"return {rows}.filter(row => !row.hidden).map(row => row.dataset.kind)"
    assert len(set(browser.execute_script(shown))) > 1
    browser.execute_script("document.querySelector('#claims button[data-kind=identity]').click()")
    assert set(browser.execute_script(shown)) == {"identity"}
    browser.execute_script("document.querySelector('#claims tbody details').open = true")
    root = "document.documentElement"
    assert browser.execute_script(f"return {root}.scrollWidth <= {root}.clientWidth")


@pytest.mark.parametrize("name", ["figure1-beta", "figure1d-epochs"])
def test_the_sliders_change_the_chart_and_its_caption(browser, folder, panels, name):
    open_page(browser, folder, panels, 1280)
    slider = next(panel for panel in panels if panel.name == name).slider
    for index in (0, 1):
        before = shapes(browser, name)
        assert before
        find = f"const s = document.querySelector('#{name} input[type=range]');"
        browser.execute_script(f"{find} s.value = {index}; s.dispatchEvent(new Event('input'))")
        WebDriverWait(browser, 10).until(lambda _, before=before: shapes(browser, name) != before)
        assert browser.find_element(By.CSS_SELECTOR, f"#{name} output").text == slider.label(index)
        assert slider.captions[index] in browser.find_element(By.CSS_SELECTOR, f"#{name} .frame-caption").text
