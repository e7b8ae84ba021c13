"""Lets a test step the wall clock of a process: Python's ways to ask for the date get an offset.

Real steps would hit the whole machine (time namespaces do not have a wall clock of their own), so
the processes under test are started with this folder on their path. The offset, in seconds, is in a
file that CCS_PILOT_CLOCK names; whoever asks for the date reads it anew. Monotonic clocks are left
alone, as a step leaves them alone.
"""

import os
import time
from collections.abc import Callable
from typing import Any

PATH = os.environ.get("CCS_PILOT_CLOCK", "")
true_time, true_time_ns, true_get = time.time, time.time_ns, time.clock_gettime  # noqa: TID251


def offset() -> float:
    with open(PATH, encoding="ascii") as file:
        return float(file.read() or 0.0)


def stepped(ask: Callable[[float], Any]) -> Callable[[float | None], Any]:
    def answer(seconds: float | None = None) -> Any:  # noqa: ANN401
        return ask(now() if seconds is None else seconds)

    return answer


def now() -> float:
    return true_time() + offset()


def now_ns() -> int:
    return true_time_ns() + round(offset() * 1e9)


def get(clock: int) -> float:
    return true_get(clock) + (offset() if clock == time.CLOCK_REALTIME else 0.0)


if PATH:
    replacements: dict[str, Any] = {
        "time": now,
        "time_ns": now_ns,
        "gmtime": stepped(time.gmtime),
        "localtime": stepped(time.localtime),
        "clock_gettime": get,
    }
    for name, replacement in replacements.items():
        setattr(time, name, replacement)
