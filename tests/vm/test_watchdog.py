"""The machine's watchdog by the kernel's softdog."""

from __future__ import annotations

import time
from pathlib import Path

from controller.driver_watchdog import TIMEOUT_S, Watchdog
from tests.vm.conftest import load

STATE = Path("/sys/class/watchdog/watchdog0")


def test_softdog_takes_the_time_out_and_lets_go() -> None:
    load("softdog")
    watchdog = Watchdog("/dev/watchdog0", time.monotonic())
    assert watchdog.timeout_s == TIMEOUT_S
    watchdog.feed(time.monotonic())
    assert watchdog.missed == 0
    if (STATE / "state").exists():
        assert (STATE / "state").read_text().strip() == "active"
        assert (STATE / "timeout").read_text().strip() == str(TIMEOUT_S)
    watchdog.close()
    if (STATE / "state").exists():
        assert (STATE / "state").read_text().strip() == "inactive"
