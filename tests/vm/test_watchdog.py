"""The machine's watchdog by the kernel's softdog."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from controller.config import CarConfig, ChargerConfig, parse
from controller.driver_watchdog import TIMEOUT_S, Watchdog
from controller.errors import PortError
from tests.pair.plant import Plant
from tests.vm.conftest import load

ROOT = Path(__file__).parents[2]

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


def test_the_realtime_process_holds_it_and_gives_it_back(tmp_path: Path) -> None:
    load("softdog")
    text = f'[realtime]\nsocket = "{tmp_path}/realtime.sock"\nwatchdog = "/dev/watchdog0"\n'
    (tmp_path / "charger.toml").write_text(text)
    Plant(parse(ChargerConfig, text, "charger"), CarConfig(), tmp_path / "wires", 0.0).close()
    words = ["-m", "tests.pair.realtime", "--charger", str(tmp_path / "charger.toml")]
    words += ["--wires", str(tmp_path / "wires")]
    process = subprocess.Popen([sys.executable, *words], cwd=ROOT)
    try:
        deadline = time.monotonic() + 100.0
        while (STATE / "state").read_text().strip() != "active":
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        with pytest.raises(PortError, match="another program may hold it"):
            Watchdog("/dev/watchdog0", time.monotonic())
        time.sleep(1.0)  # it may not have taken its signals yet
        process.send_signal(signal.SIGTERM)
        assert process.wait(60.0) == 0
        assert (STATE / "state").read_text().strip() == "inactive"
    finally:
        process.kill()
        process.wait()
        with contextlib.suppress(PortError):
            Watchdog("/dev/watchdog0", time.monotonic()).close()
