"""Ctrl-C at a moment of our choice: Python raises it between any two instructions, also where it is lost or breaks."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["interrupts_held"]


@contextmanager
def interrupts_held() -> Iterator[Callable[[], None]]:
    """Hold Ctrl-C back inside the block: it is raised when the block ends, or where the block asks.

    Python would raise it inside other packages too, while they close a file or talk to a process, and drop it where it
    comes in a finaliser. Threads other than the main one, and processes that ignore Ctrl-C, are left alone.

    Yields
    ------
    callable
        Raises KeyboardInterrupt if Ctrl-C has been pressed since the block began.

    Examples
    --------
    >>> with interrupts_held() as raise_if_pressed:
    ...     raise_if_pressed()
    """
    pressed: list[int] = []

    def raise_if_pressed() -> None:
        if pressed:
            raise KeyboardInterrupt

    handler = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or handler in (signal.SIG_IGN, None):
        yield raise_if_pressed
        return
    signal.signal(signal.SIGINT, lambda number, _: pressed.append(number))
    try:
        yield raise_if_pressed
    finally:
        signal.signal(signal.SIGINT, handler)
    if pressed:
        signal.raise_signal(signal.SIGINT)  # to whoever handles it outside
