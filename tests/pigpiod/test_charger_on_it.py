"""The charger's own drivers, and its realtime core, on the simulated daemon and its board."""

from __future__ import annotations

import itertools
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from controller import board as boards
from controller import hardware_parts
from controller.config import ChargerConfig, HardwareSection
from controller.hardware import open_charger
from controller.hardware_parts import RealTime
from controller.loop import pause
from controller.pigpio_link import PigpioLink
from controller.realtime import EvseRealtime
from controller.signals import (
    CloseContactors,
    ControlPilotState,
    DutyRequest,
    EvseInputs,
    Heartbeat,
    OpenContactors,
    Output,
    Phase,
    PilotChanged,
    SetDuty,
    SetOutput,
)
from tests.pigpiod.served import WAIT_S
from tests.pigpiod.test_tool import running

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from controller.hardware import EvseHardware


class Site:
    """The command in a process of its own, a person at it, and the hardware of a charger."""

    def __init__(self, process: subprocess.Popen[str], hardware: EvseHardware) -> None:
        self.process = process
        self.hardware = hardware

    def do(self, line: str) -> None:
        """Type a line."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    def period(self) -> EvseInputs:
        """One period: read, then kick, as the realtime process does it."""
        inputs = self.hardware.read(time.monotonic())
        self.hardware.kick()
        pause(0.002)
        self.hardware.mid_period(time.monotonic())
        pause(0.002)
        return inputs

    def until(
        self, true: Callable[[EvseInputs], bool], again: Callable[[], object] | None = None
    ) -> EvseInputs:
        """Run periods until it is so; what a late period may undo is done `again` now and then."""
        deadline = time.monotonic() + WAIT_S
        for count in itertools.count():
            if again is not None and count % 50 == 0:
                again()
            inputs = self.period()
            if true(inputs):
                return inputs
            assert time.monotonic() < deadline, (inputs, self.hardware.problem())
        raise AssertionError

    def close_contactors(self) -> None:
        """Command them anew: the board closes them on the edge alone."""
        self.hardware.carry_out(OpenContactors("again"), time.monotonic())
        self.hardware.carry_out(CloseContactors(), time.monotonic())


@contextmanager
def site(folder: Path, adc: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A charger's board behind a daemon, and the drivers on it, patient with a busy machine."""
    monkeypatch.setattr(hardware_parts, "PigpioLink", lambda address: PigpioLink(address, 1.0))
    path = str(folder / "site.sock")
    with running("--scene", "charger", "--site", path) as (process, port, _):
        section = HardwareSection(pigpiod=f"127.0.0.1:{port}", adc=adc, adc_bus="pigpio", site=path)
        hardware = open_charger(ChargerConfig(hardware=section), boards.load(), RealTime())
        try:
            yield Site(process, hardware)
        finally:
            hardware.close()


@pytest.mark.parametrize("adc", ["ads1115", "mcp3208"])
def test_the_charger_drivers_work_on_it(
    tmp_path: Path, adc: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with site(tmp_path, adc, monkeypatch) as here:
        here.do("watchdog 1")  # on a busy machine some periods take longer than 16 ms
        inputs = here.until(
            lambda seen: not seen.chain_open and seen.output.valid and not here.hardware.problem()
        )
        assert inputs.pilot.high_v == pytest.approx(12.0, abs=0.5)
        assert not inputs.emergency_stop
        assert not inputs.contactors.closed
        assert inputs.envelope.maximum_power_w > 0
        here.hardware.carry_out(SetDuty(0.05), time.monotonic())
        here.do("plug")
        here.until(lambda seen: 8.0 < seen.pilot.high_v < 10.0 and seen.pilot.low_v < -11.0)
        here.do("s2 on")
        here.until(lambda seen: 5.0 < seen.pilot.high_v < 7.0 and seen.coils_live is True)
        here.until(lambda seen: seen.contactors.closed, here.close_contactors)
        here.hardware.carry_out(SetOutput(400.0, 10.0, on=True), time.monotonic())
        here.until(lambda seen: seen.output.voltage_v > 390.0)
        here.do("temperature 95")
        here.until(lambda seen: 94.0 < (seen.connector_c or 0.0) < 96.0)
        here.do("emergency on a")
        seen = here.until(lambda seen: seen.emergency_stop and seen.chain_open)
        assert seen.stops_disagree
        here.until(lambda seen: not seen.contactors.closed)
        here.hardware.carry_out(OpenContactors("test"), time.monotonic())


def test_the_realtime_core_reaches_c2_on_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Inputs from the drivers into the core, its commands back: what the process does."""
    with site(tmp_path, "mcp3208", monkeypatch) as here:
        core = EvseRealtime(hardware_interlock=True)
        states: list[ControlPilotState] = []
        beats = 0

        def carry_out(outputs: list[Output], now: float) -> None:
            for output in outputs:
                if isinstance(output, core.TO_HARDWARE):
                    here.hardware.carry_out(output, now)
                elif isinstance(output, PilotChanged):
                    states.append(output.state)

        def run_until(state: ControlPilotState) -> None:
            nonlocal beats
            deadline = time.monotonic() + WAIT_S
            while not states or states[-1] is not state:
                inputs = here.period()
                now = time.monotonic()
                carry_out(core.receive(inputs, now), now)
                carry_out(core.handle_timer(now), now)
                if beats % 4 == 0:
                    carry_out(core.receive(Heartbeat(beats, Phase.CONNECTED), now), now)
                beats += 1
                assert now < deadline, ([s.value for s in states], inputs.pilot, beats)

        run_until(ControlPilotState.A1)
        here.do("plug")
        run_until(ControlPilotState.B1)
        carry_out(core.receive(DutyRequest(0.05), time.monotonic()), time.monotonic())
        run_until(ControlPilotState.B2)
        here.do("s2 on")
        run_until(ControlPilotState.C2)
        here.do("s2 off")
        run_until(ControlPilotState.B2)
        here.do("unplug")
        run_until(ControlPilotState.A2)
        assert set(states) <= {
            ControlPilotState.A1,
            ControlPilotState.A2,
            ControlPilotState.B1,
            ControlPilotState.B2,
            ControlPilotState.C2,
        }


def test_a_charger_that_stops_kicking_loses_its_contactors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No edges of the watchdog any more: the board opens them by itself."""
    with site(tmp_path, "mcp3208", monkeypatch) as here:
        here.do("watchdog 1")
        here.hardware.carry_out(SetDuty(0.05), time.monotonic())
        here.do("plug")
        here.do("s2 on")
        here.until(lambda seen: seen.coils_live is True)
        here.until(lambda seen: seen.contactors.closed, here.close_contactors)
        deadline = time.monotonic() + WAIT_S
        while here.hardware.read(time.monotonic()).contactors.closed or here.hardware.problem():
            assert time.monotonic() < deadline, here.hardware.problem()
