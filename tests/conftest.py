"""Settings shared by all tests: one thread a worker, no display, seeds explicit."""

import io
import os
import shutil
import signal
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout

import pytest

from skipglass.cli.main import main

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "agg")

_SWITCHES = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
]


def pytest_addoption(parser):
    parser.addoption(
        "--packages",
        choices=["dev", "zoo"],
        help="the environment that make has set up: no test may skip for lack of a package that is in it",
    )


def pytest_collection_modifyitems(config, items):
    """What is marked zoo runs with --packages zoo alone."""
    if config.getoption("--packages") != "zoo":
        zoo = [item for item in items if item.get_closest_marker("zoo")]
        config.hook.pytest_deselected(items=zoo)
        items[:] = [item for item in items if not item.get_closest_marker("zoo")]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """With --packages, a skip for lack of a package is a failure."""
    report = yield
    lacking = report.skipped and isinstance(report.longrepr, tuple) and "import" in report.longrepr[2]
    if lacking and item.config.getoption("--packages"):
        report.outcome = "failed"
        report.longrepr = f"{report.longrepr[2]}: the environment lacks it, or the test is not marked zoo"
    return report


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    """Headless Chromium; where there is none: a skip, with SKIPGLASS_REQUIRE_BROWSER=1 a failure."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if not (chromium and driver):
        lacking = "chromium and chromedriver are not both on the PATH"
        (pytest.fail if os.environ.get("SKIPGLASS_REQUIRE_BROWSER") == "1" else pytest.skip)(lacking)
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for switch in [*_SWITCHES, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"]:
        options.add_argument(switch)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    session = webdriver.Chrome(options=options, service=Service(driver))
    yield session
    session.quit()


@pytest.fixture
def stopped(monkeypatch):
    """Ctrl-C in the third evaluation of whatever trains."""
    from skipglass.training import mlp

    evaluate, calls = mlp.evaluate, []

    def interrupted(*arguments):
        calls.append(1)  # on the training set and on the test set: two for each evaluation
        if len(calls) == 5:
            raise KeyboardInterrupt
        return evaluate(*arguments)

    monkeypatch.setattr(mlp, "evaluate", interrupted)


@pytest.fixture(scope="session")
def skipglass():
    """Run the command in this process, where torch is imported already; return status, stdout and stderr."""

    def run(*arguments):
        out, err = io.StringIO(), io.StringIO()
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
            patch.setattr(sys, "argv", ["skipglass", *map(str, arguments)])
            with pytest.raises(SystemExit) as end:
                main()
        return end.value.code or 0, out.getvalue(), err.getvalue()

    return run


@pytest.fixture(scope="session")
def start():
    """Start the command in a process of its own, which takes Ctrl-C also where the tests run in the background."""

    def begin(*arguments, before=lambda: None, **options):
        def prepare():
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            before()

        code = "from skipglass.cli.main import main; main()"
        return subprocess.Popen(
            [sys.executable, "-c", code, *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=prepare,
            **options,
        )

    return begin
