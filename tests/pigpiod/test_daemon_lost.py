"""The daemon's process stopped, killed and started again while a charger drives and measures."""

from __future__ import annotations

import contextlib
import signal
import socket
import time
from typing import TYPE_CHECKING

import pytest

from controller import board as boards
from controller import hardware_parts
from controller.config import ChargerConfig, HardwareSection
from controller.hardware import EvseHardware, open_charger
from controller.hardware_parts import RealTime
from controller.interlock_rules import PILOT_STALE_S
from controller.loop import pause
from controller.pigpio_link import PigpioLink
from controller.signals import CloseContactors, EvseInputs, SetDuty
from tests.pigpiod.served import WAIT_S
from tests.pigpiod.test_tool import running

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator
    from pathlib import Path


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


@contextlib.contextmanager
def start(port: int, folder: Path) -> Iterator[subprocess.Popen[str]]:
    words = ("--scene", "charger", "--site", str(folder / "site.sock"), "--port", str(port))
    with running(*words) as (process, _, _):
        yield process


def until(hardware: EvseHardware, true: Callable[[EvseInputs], bool]) -> EvseInputs:
    deadline = time.monotonic() + WAIT_S
    while True:
        inputs = hardware.read(time.monotonic())
        hardware.kick()
        if true(inputs):
            return inputs
        assert time.monotonic() < deadline, (inputs, hardware.problem())
        pause(0.002)
        hardware.mid_period(time.monotonic())
        pause(0.002)


def is_stale(inputs: EvseInputs) -> bool:
    return time.monotonic() - inputs.pilot.taken_at > PILOT_STALE_S


def is_fresh(inputs: EvseInputs) -> bool:
    return not is_stale(inputs) and not inputs.chain_open


@pytest.fixture
def port() -> int:
    return free_port()


def charging(port: int, folder: Path) -> EvseHardware:
    """A charger with 5 % on the pilot and its coils switched on."""
    section = HardwareSection(
        pigpiod=f"127.0.0.1:{port}", adc_bus="pigpio", site=str(folder / "site.sock")
    )
    hardware = open_charger(ChargerConfig(hardware=section), boards.load(), RealTime())
    until(hardware, is_fresh)
    hardware.carry_out(SetDuty(0.05), time.monotonic())
    hardware.carry_out(CloseContactors(), time.monotonic())
    until(hardware, is_fresh)
    return hardware


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """2 ms are for a Raspberry Pi with a core of its own."""
    monkeypatch.setattr(hardware_parts, "PigpioLink", lambda address: PigpioLink(address, 0.2))


def drives(port: int, gpio: int) -> tuple[int, int]:
    """What the daemon says of a pin: level, and duty of hardware PWM on GPIO 18."""
    link = PigpioLink(f"127.0.0.1:{port}", 1.0)
    deadline = time.monotonic() + WAIT_S
    while not link.is_up:
        link.step(time.monotonic())
        assert time.monotonic() < deadline
        pause(0.002)
    try:
        return (
            link.ask(lambda pi: int(pi.read(gpio))),
            link.ask(lambda pi: int(pi.get_PWM_dutycycle(18))),
        )
    finally:
        link.close()


CONTACTORS = boards.load().evse.pins["contactors"].gpio


def test_a_stopped_daemon_ends_the_samples_and_goes_on_when_it_may(
    tmp_path: Path, port: int
) -> None:
    with start(port, tmp_path) as process:
        hardware = charging(port, tmp_path)
        process.send_signal(signal.SIGSTOP)
        inputs = until(hardware, lambda seen: is_stale(seen) and seen.chain_open)
        assert not inputs.emergency_stop
        until(hardware, lambda _: "does not answer" in hardware.problem())
        process.send_signal(signal.SIGCONT)
        until(hardware, is_fresh)
        assert drives(port, CONTACTORS) == (0, 50_000)  # the pilot as before, the coils off
        hardware.close()


def test_a_killed_daemon_and_a_new_one(tmp_path: Path, port: int) -> None:
    with start(port, tmp_path) as process:
        hardware = charging(port, tmp_path)
        assert drives(port, CONTACTORS) == (1, 50_000)
        process.kill()
        inputs = until(hardware, lambda seen: is_stale(seen) and seen.chain_open)
        assert not inputs.output.valid
        assert "pigpio daemon" in hardware.problem()
        process.wait(WAIT_S)
    (tmp_path / "site.sock").unlink(missing_ok=True)
    with start(port, tmp_path):
        until(hardware, lambda seen: is_fresh(seen) and seen.output.valid)
        assert drives(port, CONTACTORS) == (0, 50_000)
        hardware.close()
