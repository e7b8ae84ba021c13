"""The vehicle's own drivers, its realtime core and `check`, on the simulated daemon and boards."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from controller import board as boards
from controller import hardware_parts
from controller.config import CarConfig, CarHardwareSection, InletSection
from controller.cp.proximity import Connector
from controller.hardware_parts import RealTime
from controller.hardware_pev import open_vehicle
from controller.loop import pause
from controller.main import main
from controller.pigpio_link import PigpioLink
from controller.realtime_pev import PevRealtime
from controller.signals import (
    ContactorRequest,
    Heartbeat,
    InletPilotChanged,
    Output,
    PevInputs,
    Phase,
    ResetRequest,
    S2Request,
    WakeRequest,
)
from tests.pigpiod.served import WAIT_S
from tests.pigpiod.test_tool import running

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from controller.hardware_pev import PevHardware


class Car:
    """Drivers and core in periods, and a person at the scene."""

    def __init__(self, process: subprocess.Popen[str], hardware: PevHardware) -> None:
        self.process = process
        self.hardware = hardware
        self.core = PevRealtime(Connector.CCS1)
        self.phase = Phase.CONNECTED
        self.told: list[Output] = []
        self._beats = itertools.count(1)

    def do(self, line: str) -> None:
        """Type a line."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    def ask(self, request: Output) -> None:
        now = time.monotonic()
        self._carry_out(self.core.receive(request, now), now)

    def _carry_out(self, outputs: list[Output], now: float) -> None:
        for output in outputs:
            if isinstance(output, self.core.TO_HARDWARE):
                self.hardware.carry_out(output, now)
            else:
                self.told.append(output)

    def period(self) -> PevInputs:
        """One period as the realtime process runs it."""
        now = time.monotonic()
        inputs = self.hardware.read(now)
        self._carry_out(self.core.receive(inputs, now), now)
        due = self.core.next_timer()
        if due is not None and due <= now:
            self._carry_out(self.core.handle_timer(now), now)
        self.ask(Heartbeat(next(self._beats), self.phase, now))
        self.hardware.kick()
        pause(0.002)
        self.hardware.mid_period(time.monotonic())
        pause(0.002)
        return inputs

    def until(
        self, true: Callable[[PevInputs], object], again: Callable[[], object] | None = None
    ) -> PevInputs:
        """Run periods until it is so; what a late period may undo is asked `again` now and then."""
        deadline = time.monotonic() + WAIT_S
        for count in itertools.count():
            if again is not None and count % 50 == 0:
                again()
            inputs = self.period()
            if true(inputs):
                return inputs
            assert time.monotonic() < deadline, (inputs, self.hardware.problem(), self.told[-5:])
        raise AssertionError

    @property
    def changes(self) -> list[InletPilotChanged]:
        return [item for item in self.told if isinstance(item, InletPilotChanged)]


@contextmanager
def first(pid: int) -> Iterator[None]:
    """Run this thread and the simulated daemon before ordinary work, where that is allowed."""
    me = threading.get_native_id()
    with contextlib.suppress(OSError):
        for who in (me, pid):
            os.sched_setscheduler(who, os.SCHED_FIFO, os.sched_param(10))
    try:
        yield
    finally:
        os.sched_setscheduler(me, os.SCHED_OTHER, os.sched_param(0))


@contextmanager
def car(folder: Path, adc: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Car]:
    """A vehicle's board behind a daemon, and the drivers on it, patient with a busy machine."""
    monkeypatch.setattr(hardware_parts, "PigpioLink", lambda address: PigpioLink(address, 1.0))
    path = str(folder / "site.sock")
    with running("--scene", "vehicle", "--site", path) as (process, port, _):
        section = CarHardwareSection(
            pigpiod=f"127.0.0.1:{port}", adc=adc, adc_bus="pigpio", site=path
        )
        config = CarConfig(inlet=InletSection(connector="ccs1"), hardware=section)
        hardware = open_vehicle(config, boards.load(), RealTime())
        try:
            with first(process.pid):
                yield Car(process, hardware)
        finally:
            hardware.close()


@pytest.mark.parametrize("adc", ["ads1115", "mcp3208"])
def test_the_vehicles_drivers_work_on_it(
    tmp_path: Path, adc: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with car(tmp_path, adc, monkeypatch) as here:
        empty = here.until(lambda seen: seen.vehicle.ready and not seen.chain_open)
        assert here.hardware.problem() == ""
        assert (empty.pilot.duty, empty.pilot.plugged) == (0.0, False)
        here.do("pp 150")
        here.do("plug")
        here.do("duty 5%")
        seen = here.until(lambda seen: seen.pilot.plugged and 0.04 < seen.pilot.duty < 0.06)
        assert seen.pilot.frequency_hz == pytest.approx(1000.0, abs=1.0)
        assert seen.pilot.proximity_ohm == pytest.approx(150.0, rel=0.05)
        seen = here.until(lambda seen: 7.0 < seen.pilot.high_v < 8.8)
        here.until(lambda seen: here.core.pilot.state.is_digital)
        here.ask(S2Request(closed=True))
        here.until(lambda seen: 4.0 < seen.pilot.high_v < 6.0)
        assert here.core.pilot.fault == ""


def charge(here: Car, battery_v: float) -> bool:
    """Plug in, close, press the latch's button; whether nothing was held up on the way."""

    def ask() -> None:
        here.ask(S2Request(closed=True))
        here.ask(ContactorRequest(closed=True))

    here.until(lambda seen: here.core.interlock_test.is_finished)
    if not here.core.interlock_test.has_passed:
        return False  # too busy to measure it; the reset tries again
    here.do("pp 150; plug; duty 5%")
    here.until(lambda seen: here.core.pilot.state.is_digital)
    here.do(f"dc {battery_v + 5.0:.0f} 10")
    here.phase = Phase.PRE_CHARGE
    core = here.core
    here.until(lambda seen: seen.contactors.closed or core.contactors.fault, ask)
    here.until(lambda seen: seen.vehicle.inlet_current_a > 1.0 or not core.contactors.is_commanded)
    here.do("pp 480")
    here.until(lambda seen: here.changes[-1].button)
    return core.contactors.is_commanded  # the session ends in good order, not at once


def test_a_charge_a_button_and_a_pull(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with car(tmp_path, "mcp3208", monkeypatch) as here:
        battery_v = here.until(lambda seen: seen.vehicle.ready).vehicle.battery_voltage_v
        for _ in range(8):  # a machine that is busy lets the watchdog's chain open
            if charge(here, battery_v):
                break
            here.do("unplug; dc off")
            here.until(lambda seen: not here.core.pilot.state.plugged)
            here.ask(ResetRequest())
            here.until(lambda seen: not here.core.contactors.fault)
        else:
            pytest.skip("this machine is too busy to keep an external watchdog (16 ms) fed")
        assert here.changes[-1].button
        here.do("unplug")
        here.until(lambda seen: not seen.contactors.closed)
        assert not here.core.pilot.s2_closed
        here.until(lambda seen: not here.changes[-1].plugged)


@pytest.mark.parametrize(
    ("fault", "says"), [("welded", "nothing toggles it"), ("dead", "did not close")]
)
def test_a_chain_that_cannot_open_or_close_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str, says: str
) -> None:
    with car(tmp_path, "mcp3208", monkeypatch) as here:
        here.do(f"watchdog {fault}")
        pause(0.3)
        here.ask(ResetRequest())
        here.until(lambda seen: here.core.interlock_test.is_finished)
        result = here.core.interlock_test.result
        assert result is not None
        assert not result.ok
        assert says in result.detail


def test_a_pilot_of_another_frequency_and_one_that_rests(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with car(tmp_path, "ads1115", monkeypatch) as here:
        here.do("pp 150")
        here.do("plug")
        here.do("duty 5% 1100")
        seen = here.until(lambda seen: seen.pilot.plugged and seen.pilot.frequency_hz > 1050.0)
        assert seen.pilot.frequency_hz == pytest.approx(1100.0, abs=3.0)
        here.until(lambda seen: here.changes and here.changes[-1].plugged)
        assert not here.core.pilot.state.is_oscillating
        here.do("duty steady")
        here.until(lambda seen: here.core.pilot.state.is_steady)
        here.until(lambda seen: here.core.pilot.s2_closed, lambda: here.ask(WakeRequest()))
        here.until(lambda seen: 4.0 < seen.pilot.high_v < 6.0)
        here.until(lambda seen: not here.core.pilot.s2_closed)


# --- check ---------------------------------------------------------------------------------------


def checked(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> tuple[int, dict[str, set[str]]]:
    code = main(["check", *words, "--hardware", "--json"])
    found: dict[str, set[str]] = {}
    for check in json.loads(capsys.readouterr().out)["checks"]:
        found.setdefault(check["name"], set()).add(check["status"])
    return code, found


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware_parts, "PigpioLink", lambda address: PigpioLink(address, 1.0))


@pytest.mark.usefixtures("patient")
def test_check_of_a_charger(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "charger.toml"
    path = str(tmp_path / "site.sock")
    with running("--scene", "charger", "--site", path) as (process, port, _):
        assert process.stdin is not None
        file.write_text(
            f'[plc]\nmodem = "none"\n[hardware]\npigpiod = "127.0.0.1:{port}"\n'
            'adc_bus = "pigpio"\nmodules = "none"\n'
        )
        code, found = checked(["--charger", str(file)], capsys)
        assert found["pilot loop-back"] == found["pilot -12 V"] == {"OK"}
        assert found["converter"] == found["contactors"] == {"OK"}
        if "FAIL" not in found["interlock"]:  # a busy machine is too late to measure it
            assert code == 0
        process.stdin.write("plug\nemergency on a\nweld on\n")
        process.stdin.flush()
        pause(0.2)
        code, found = checked(["--charger", str(file)], capsys)
        assert code == 1
        assert found["pilot +12 V"] == {"WARN"}
        assert found["emergency stop"] == {"FAIL"}


@pytest.mark.usefixtures("patient")
def test_check_of_a_vehicle_unit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "car.toml"
    path = str(tmp_path / "site.sock")
    with running("--scene", "vehicle", "--site", path) as (process, port, _):
        assert process.stdin is not None
        file.write_text(
            f'[plc]\nmodem = "none"\n[hardware]\npigpiod = "127.0.0.1:{port}"\n'
            f'adc_bus = "pigpio"\nsite = "{path}"\n'
        )
        code, found = checked(["--car", str(file)], capsys)
        if "FAIL" not in found["interlock"]:  # a busy machine is too late to measure it
            assert code == 0
        assert found["proximity"] == found["inlet pilot"] == found["contactors"] == {"OK"}
        assert "battery" not in found
        process.stdin.write("pp 20\nplug\n")
        process.stdin.flush()
        pause(0.2)
        code, found = checked(["--car", str(file)], capsys)
        assert code == 1
        assert found["proximity"] == {"FAIL"}
