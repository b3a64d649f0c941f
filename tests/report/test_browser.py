"""The page in a real browser: everything is drawn, the slider moves, a phone shows it whole."""

import base64

import example
import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from skipglass.report import render_page

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    return render_page(example.report(), tmp_path_factory.mktemp("page") / "report.html").as_uri()


def size(browser, width):
    metrics = {"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


@pytest.fixture
def page(browser, address):
    size(browser, 1280)
    browser.get_log("browser")
    browser.get(address)
    drawn = "return document.querySelectorAll('.chart.drawn').length"
    WebDriverWait(browser, 60).until(lambda driver: driver.execute_script(drawn) == 6)
    return browser


def marks(page, panel, layer):
    return page.find_elements(By.CSS_SELECTOR, f"#{panel} svg .{layer}_marks path, #{panel} svg .{layer}_marks line")


def test_every_mark_is_drawn_and_nothing_complains(page):
    assert page.get_log("browser") == []
    assert page.execute_script("return document.querySelectorAll('[role=alert]').length") == 0
    assert page.title == "Title " + example.NASTY
    counts = {
        ("lines", "lines"): 2,
        ("lines", "bands"): 1,
        ("points", "dots"): 2,
        ("points", "spread"): 3,
        ("points", "lines"): 1,
        ("bars", "bars"): 20,
        ("epochs", "lines"): 12,
        ("slider", "bars"): 10,
    }
    assert {key: len(marks(page, *key)) for key in counts} == counts
    assert len(page.find_elements(By.CSS_SELECTOR, "#claims tbody tr")) == 4


def test_the_slider_moves_the_bars_and_the_caption(page):
    before = [bar.get_attribute("d") for bar in marks(page, "slider", "bars")]
    move = "const i = document.querySelector('#slider-slider'); i.value = 2; i.dispatchEvent(new Event('input'))"
    page.execute_script(move)
    WebDriverWait(page, 10).until(lambda _: [bar.get_attribute("d") for bar in marks(page, "slider", "bars")] != before)
    heights = [bar.rect["height"] for bar in marks(page, "slider", "bars")]
    assert heights == sorted(heights)  # β = 2: every longer path weighs more
    assert page.find_element(By.CSS_SELECTOR, "#slider output").text == "β = 2"
    assert page.find_element(By.CSS_SELECTOR, ".frame-caption").text.endswith("2.0")


@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_overflows_sideways(page, width):
    size(page, width)
    page.refresh()
    drawn = "return document.querySelectorAll('.chart.drawn').length"
    WebDriverWait(page, 60).until(lambda driver: driver.execute_script(drawn) == 6)
    root = "document.documentElement"
    assert page.execute_script(f"return {root}.scrollWidth <= {root}.clientWidth")
    ends = "return [...document.querySelectorAll('.chart svg')].map(s => s.getBoundingClientRect().right)"
    assert max(page.execute_script(ends)) <= width


def test_it_prints(page):
    printed = page.execute_cdp_cmd("Page.printToPDF", {"printBackground": False})
    assert base64.b64decode(printed["data"]).startswith(b"%PDF")
