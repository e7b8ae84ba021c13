"""Ends like Ctrl-C: what a command that drives hardware has to do with SIGTERM and SIGHUP.

By default both end a process on the spot, and what it drove stays driven: a pilot at -12 V is a
charger that says "not available" until somebody notices. A closed terminal is SIGHUP.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

LIKE_CTRL_C = (signal.SIGTERM, signal.SIGHUP)


@contextlib.contextmanager
def like_ctrl_c() -> Iterator[None]:
    """Turn them into KeyboardInterrupt (the first one; giving back is not interrupted).

    Only the main thread hears signals; in any other this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(number: int, frame: object) -> None:
        for each in LIKE_CTRL_C:
            signal.signal(each, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = [(each, signal.signal(each, end)) for each in LIKE_CTRL_C]
    try:
        yield
    finally:
        for each, handler in before:
            signal.signal(each, handler)
