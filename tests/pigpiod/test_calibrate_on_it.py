"""`ccs-pilot calibrate` on the simulated daemon: a real socket, a simulated board."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from controller import hardware_parts
from controller.calibrate import OK, Switched, calibrate
from controller.config import ChargerConfig, HardwareSection
from controller.cp import calibration
from controller.hardware_parts import RealTime
from controller.loop import pause
from controller.pigpio_link import PigpioLink
from tests.pigpiod.served import WAIT_S, client
from tests.pigpiod.test_tool import running

if TYPE_CHECKING:
    from pathlib import Path

    from controller.cp.calibration import Load

LOADS = {
    "open": ["short off", "unplug"],
    "b": ["plug", "s2 off"],
    "c": ["s2 on", "ventilation off"],
    "d": ["ventilation on"],
    "short": ["short 1"],
    "low": ["short off", "s2 off", "unplug"],
    "pulses": [],
}
"""What a person types at the simulated board for each load."""


class Console(Switched):
    """Connects the loads by the simulated daemon's standard input."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        super().__init__("console")
        self._process = process

    def connect(self, step: Load, expected_v: float) -> float:
        assert self._process.stdin is not None
        self._process.stdin.writelines(f"{line}\n" for line in LOADS[step.name])
        self._process.stdin.flush()
        pause(0.3)  # the other process has to read them
        return expected_v


@pytest.mark.parametrize("adc", ["ads1115", "mcp3208"])
def test_it_finds_next_to_nothing_to_correct(
    tmp_path: Path, adc: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The simulated board has the figures of the pin map; its detectors droop between pulses."""
    monkeypatch.setattr(hardware_parts, "PigpioLink", lambda address: PigpioLink(address, 1.0))
    with running("--scene", "charger", "--do", "diode shorted", "--site", str(tmp_path / "s")) as (
        process,
        port,
        _,
    ):
        config = ChargerConfig(
            hardware=HardwareSection(pigpiod=f"127.0.0.1:{port}", adc=adc, adc_bus="pigpio")
        )
        path = tmp_path / "calibration.toml"
        assert calibrate(config, path, Console(process), RealTime()) == OK
    found = calibration.load(path, adc)
    for correction in (found.high, found.low):
        assert correction.gain == pytest.approx(1.0, abs=0.01)
        assert correction.offset_v == pytest.approx(0.0, abs=0.1)


def test_from_the_command_line_with_a_program_that_connects_nothing(tmp_path: Path) -> None:
    """The second load is not there: refused, and no file."""
    with running("--scene", "charger", "--site", str(tmp_path / "s")) as (_, port, _):
        charger = tmp_path / "charger.toml"
        charger.write_text(f'[hardware]\npigpiod = "127.0.0.1:{port}"\nadc_bus = "pigpio"\n')
        words = ["calibrate", "--charger", str(charger), "--out", str(tmp_path / "cal.toml")]
        done = subprocess.run(
            [sys.executable, "-m", "controller.main", *words, "--yes", "--switch", "true"],
            check=False,
            capture_output=True,
            text=True,
            timeout=100,
        )
    assert done.returncode == 1, done.stderr
    assert "b: expected about +8.79 V with 2.74 kOhm" in done.stderr
    assert "no file was written" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "cal.toml").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("command", ["check", "calibrate"])
def test_it_leaves_steady_12_v_however_it_is_ended(
    tmp_path: Path, number: int, command: str
) -> None:
    """A closed terminal, or a supervisor, in the moment in which -12 V is driven."""
    loads = tmp_path / "loads.sh"
    loads.write_text("#!/bin/sh\n[ $1 = open ] || exec sleep 20 >/dev/null 2>&1\n")
    loads.chmod(0o755)
    with running("--scene", "charger", "--site", str(tmp_path / "s")) as (_, port, _):
        charger = tmp_path / "charger.toml"
        charger.write_text(
            f'[hardware]\npigpiod = "127.0.0.1:{port}"\nadc_bus = "pigpio"\ngpio = "pigpio"\n'
            f'[realtime]\nsocket = "{tmp_path}/rt.sock"\n'
        )
        words = {
            "check": ["--hardware"],
            "calibrate": ["--out", str(tmp_path / "c.toml"), "--yes", "--switch", str(loads)],
        }[command]
        with client(port) as pi:
            pi.hardware_PWM(18, 1000, 0 if command == "calibrate" else 1_000_000)
            process = subprocess.Popen(
                [sys.executable, "-m", "controller.main", command, "--charger", charger, *words],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            try:
                assert process.stdout is not None
                if command == "calibrate":
                    while not process.stdout.readline().startswith("b:"):
                        assert process.poll() is None
                    pi.hardware_PWM(18, 1000, 0)  # as in the last step
                else:
                    until = time.monotonic() + WAIT_S
                    while pi.get_PWM_dutycycle(18) and time.monotonic() < until:
                        pause(0.002)
                process.send_signal(number)
                _, said = process.communicate(timeout=WAIT_S)
            finally:
                process.kill()
            assert process.returncode == 130
            assert said == ""
            assert pi.get_PWM_dutycycle(18) == 1_000_000
