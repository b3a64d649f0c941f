"""Ctrl-C: raised where nothing breaks and nothing swallows it; workers do not see it."""

import logging
import os
import signal
import subprocess
import sys
import time

import pytest

from skipglass.training import ResNetSettings, map_unordered, train_resnet
from skipglass.training.interrupts import interrupts_held


class Closing:
    """Ctrl-C comes while it is finalised, where Python drops the exception."""

    def __del__(self):
        signal.raise_signal(signal.SIGINT)


@pytest.fixture(autouse=True)
def listening():
    """Take Ctrl-C, also where the tests themselves run in the background and ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_is_raised_when_the_block_ends():
    done = []

    def block():
        with interrupts_held():
            signal.raise_signal(signal.SIGINT)
            done.append("all of it")

    with pytest.raises(KeyboardInterrupt):
        block()
    assert done
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_ctrl_c_is_raised_where_the_block_asks():
    def block():
        with interrupts_held() as raise_if_pressed:
            raise_if_pressed()
            signal.raise_signal(signal.SIGINT)
            raise_if_pressed()
            pytest.fail("not raised")

    with pytest.raises(KeyboardInterrupt):
        block()


def test_a_process_that_ignores_ctrl_c_goes_on_ignoring_it():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with interrupts_held() as raise_if_pressed:
        signal.raise_signal(signal.SIGINT)
        raise_if_pressed()
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_ctrl_c_that_comes_in_a_finaliser_ends_the_work_of_local_processes():

    def work():
        for _ in map_unordered(abs, [-1, -2, -3], workers=2):
            Closing()

    with pytest.raises(KeyboardInterrupt):
        work()


def blocked(_):
    """Whether Ctrl-C in a terminal would reach this process."""
    return signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, [])


def test_workers_do_not_see_ctrl_c():
    assert list(map_unordered(blocked, range(2), workers=2)) == [True, True]
    assert not blocked(None)


SCRIPT = """
import sys, time
sys.path.insert(0, {here!r})
from test_interrupts import slow
from skipglass.training import map_unordered
print("ready", flush=True)
try:
    for _ in map_unordered(slow, range(4), workers=2):
        pass
except KeyboardInterrupt:
    sys.exit(130)
"""


def slow(_):
    time.sleep(60)


@pytest.mark.parametrize("after", [0.0, 0.3, 1.5])
def test_ctrl_c_prints_nothing_wherever_the_workers_are(after):
    """To the whole group, as a terminal sends it, while workers start, import, and work."""
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT.format(here=os.path.dirname(__file__))],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    process.stdout.readline()
    time.sleep(after)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert err == ""


def test_the_log_levels_of_other_packages_are_put_back():
    pytest.importorskip("lightning_fabric")  # sets its own as it is imported
    loggers = [logging.getLogger(name) for name in ("lightning_fabric", "distributed")]
    before = [logger.level for logger in loggers]
    train_resnet(ResNetSettings("digits", depth=8, width=0.25, epochs=1, subset=32, batch_size=32), device="cpu")
    with pytest.raises(Exception, match="cannot be reached"):
        list(map_unordered(abs, [1], cluster="tcp://127.0.0.1:1"))
    assert [logger.level for logger in loggers] == before
