"""The charger's own drivers, and its realtime core, on the simulated daemon and its board."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from controller import board as boards
from controller.config import CarConfig, ChargerConfig, ChargerSection, HardwareSection
from controller.hardware import RealTime, open_charger
from controller.loop import pause
from controller.pigpiod.charger import ChargerScene
from controller.pigpiod.console import Actions
from controller.pigpiod.daemon import Daemon
from controller.pigpiod.driver_modules import ModulesServer
from controller.plc.sim import seeded_rng
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
from controller.sim import World
from tests.pigpiod.served import WAIT_S, Served, served

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from controller.hardware import EvseHardware

BOARD = boards.load()


class Site:
    """A served board, and the hardware of a charger opened on it."""

    def __init__(self, server: Served, scene: ChargerScene, hardware: EvseHardware) -> None:
        self.server = server
        self.scene = scene
        self.hardware = hardware
        self._actions = Actions(scene)
        self.inputs: EvseInputs | None = None

    def do(self, line: str) -> None:
        def carry_out(now: float) -> None:
            self._actions.carry_out(line.split(), now)
            self.server.server.circuit_changed(now)

        self.server.call(carry_out)

    def period(self) -> EvseInputs:
        """One period: read, then kick, as the realtime process does it."""
        self.inputs = self.hardware.read(time.monotonic())
        self.hardware.kick()
        pause(0.002)
        self.hardware.mid_period(time.monotonic())
        pause(0.002)
        return self.inputs

    def until(self, true: Callable[[EvseInputs], bool]) -> EvseInputs:
        """Run periods until it is so."""
        deadline = time.monotonic() + WAIT_S
        while True:
            inputs = self.period()
            if true(inputs):
                return inputs
            assert time.monotonic() < deadline, (inputs, self.hardware.problem())


@contextmanager
def site(folder: Path, adc: str, **more: str) -> Iterator[Site]:
    """A charger's board behind a daemon, and the drivers on it."""
    world = World(ChargerConfig(), CarConfig())
    scene = ChargerScene(BOARD.evse, world, seeded_rng("test"))
    with served(Daemon(scene)) as server:
        path = str(folder / "site.sock")
        modules: list[ModulesServer] = []
        server.call(
            lambda now: modules.append(
                ModulesServer(server.loop, path, scene, server.server.circuit_changed)
            )
        )
        config = ChargerConfig(
            charger=ChargerSection(),
            hardware=HardwareSection(
                pigpiod=f"127.0.0.1:{server.port}", adc=adc, adc_bus="pigpio", site=path, **more
            ),
        )
        hardware = open_charger(config, BOARD, RealTime())
        try:
            yield Site(server, scene, hardware)
        finally:
            hardware.close()
            server.call(lambda now: modules[0].close())


@pytest.mark.parametrize("adc", ["ads1115", "mcp3208"])
def test_the_charger_drivers_work_on_it(tmp_path: Path, adc: str) -> None:
    with site(tmp_path, adc) as here:
        inputs = here.until(lambda seen: not seen.chain_open and seen.output.valid)
        assert here.hardware.problem() == ""
        assert inputs.pilot.high_v == pytest.approx(12.0, abs=0.5)
        assert not inputs.emergency_stop
        assert not inputs.contactors.closed
        assert inputs.envelope.maximum_power_w > 0
        here.hardware.carry_out(SetDuty(0.05), time.monotonic())
        here.do("plug")
        here.until(lambda seen: 8.0 < seen.pilot.high_v < 10.0 and seen.pilot.low_v < -11.0)
        here.do("s2 on")
        here.until(lambda seen: 5.0 < seen.pilot.high_v < 7.0 and seen.coils_live is True)
        here.hardware.carry_out(CloseContactors(), time.monotonic())
        here.until(lambda seen: seen.contactors.closed)
        here.hardware.carry_out(SetOutput(400.0, 10.0, on=True), time.monotonic())
        here.until(lambda seen: seen.output.voltage_v > 390.0)
        here.do("emergency on a")
        seen = here.until(lambda seen: seen.emergency_stop and seen.chain_open)
        assert seen.stops_disagree
        here.until(lambda seen: not seen.contactors.closed)
        here.hardware.carry_out(OpenContactors("test"), time.monotonic())


def test_the_realtime_core_reaches_c2_on_it(tmp_path: Path) -> None:
    """Inputs from the drivers into the core, its commands back: what the process does."""
    with site(tmp_path, "mcp3208") as here:
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
                assert now < deadline, (states, inputs, here.hardware.problem())

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
        run_until(ControlPilotState.A1)
        assert set(states) <= {
            ControlPilotState.A1,
            ControlPilotState.A2,
            ControlPilotState.B1,
            ControlPilotState.B2,
            ControlPilotState.C2,
        }


def test_a_daemon_that_vanishes_opens_the_chain(tmp_path: Path) -> None:
    """The scene goes on without clients: no edges of the watchdog, so the contactors open."""
    with site(tmp_path, "mcp3208") as here:
        here.hardware.carry_out(SetDuty(0.05), time.monotonic())
        here.do("plug")
        here.do("s2 on")
        here.until(lambda seen: seen.coils_live is True)
        here.hardware.carry_out(CloseContactors(), time.monotonic())
        here.until(lambda seen: seen.contactors.closed)
        closed = threading.Event()

        def look(now: float) -> None:
            if not here.scene.world.circuit.evse_contactors.is_closed:
                closed.set()
            else:
                here.server.loop.call_at(now + 0.01, look)

        here.server.call(look)  # from now on nobody kicks
        assert closed.wait(WAIT_S)
