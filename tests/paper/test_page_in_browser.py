"""The paper's page in a real browser: every chart drawn, sliders move what they say, nothing complains."""

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from skipglass.paper import CLAIMS
from skipglass.paper.figure1_page import figure1_pages
from skipglass.paper.page import paper_report
from skipglass.paper.reproduce import CHAPTERS
from skipglass.report import Panel

pytestmark = pytest.mark.browser

DRAWN = "return document.querySelectorAll('.chart.drawn').length"


@pytest.fixture(scope="module")
def panels(recordings):
    theory = [chapter.pages(recordings, ()) for chapter in CHAPTERS if chapter.figures == ("theorems",)]
    report, _ = paper_report(recordings, [*theory, figure1_pages(recordings)])
    return [item for section in report.sections for item in section.items if isinstance(item, Panel)]


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
    rows = browser.find_elements(By.CSS_SELECTOR, "#claims tbody tr")
    assert len(rows) == len(CLAIMS)
    assert all(
        any(word in row.text for word in ("holds", "fails", "not testable", "identity", "supported", "undetermined"))
        for row in rows
    )


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
