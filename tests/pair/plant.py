"""The plant: everything physical at a charger and a car, in real time, with the external interlock.

It moves every STEP_S: takes the commands from the wires, lets the simulated world and the simulated
interlock do what they do, writes readings, and keeps the instants at which contacts and output
changed. Its own lateness is kept, too: where the machine stood still, nobody can be judged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from controller.power.sim_interlock import SimWatchdog
from controller.signals import (
    CloseContactors,
    OpenContactors,
    Output,
    SetDuty,
    SetOutput,
    SetS2,
    StartIsolationTest,
)
from controller.sim import World
from tests.pair import wiring

if TYPE_CHECKING:
    from pathlib import Path

    from controller.config import CarConfig, ChargerConfig

STEP_S = 0.002
WATCHDOG_OPENS_S = 0.019
"""As late as the contract allows (20 ms): a busy machine may be 14 ms late in all before the chain
opens, of which one piece is long enough to be told from what is tested (`rounds.STALL_S`)."""
MEASURED_EVERY_S = 0.1
"""A quicker isolation monitor than any: tests wait for it."""


class VehicleBoard:
    """The wires of a vehicle unit: S2, inlet contactors, its own external watchdog."""

    def __init__(self, world: World, path: Path, now: float) -> None:
        self.world = world
        self.wires = wiring.Wires(path, make=True)
        self.watchdog = SimWatchdog()
        self.watchdog.opens_s = WATCHDOG_OPENS_S
        self.is_active = False
        """S2 or the inlet contactors are closed."""
        self.moved_at = now
        self._edges = 0.0
        self._done = (False, False)
        self.wires.put_inputs(world.pev_inputs(now))

    def step(self, now: float) -> None:
        """Let S2 and contactors follow the wires, as far as the watchdog feeds them."""
        wires = self.wires
        if wires.get(wiring.EDGES) != self._edges:
            self._edges = wires.get(wiring.EDGES)
            self.watchdog.edge(now)
        fed = self.watchdog.is_closed(now)
        wanted = (fed and bool(wires.get(wiring.S2)), fed and bool(wires.get(wiring.COILS)))
        if wanted != self._done:
            self._done = wanted
            self.world.carry_out("pev", SetS2(wanted[0]), now)
            command = CloseContactors() if wanted[1] else OpenContactors("wire")
            self.world.carry_out("pev", command, now)
        active = wanted[0] or self.world.circuit.inlet_contactors.is_closed
        if active is not self.is_active:
            self.is_active, self.moved_at = active, now
        wires.put_inputs(self.world.pev_inputs(now))


class Plant:
    """World, interlock, and the wires of the charger (and of a vehicle unit, where there is one).

    Without a vehicle unit `vehicle` is None, and the vehicle is somebody else's business.
    """

    def __init__(self, charger: ChargerConfig, car: CarConfig, path: Path, now: float) -> None:
        self.world = World(charger, car)
        self.world.isolation.period_s = MEASURED_EVERY_S
        self.world.interlock.watchdog.opens_s = WATCHDOG_OPENS_S
        self.wires = wiring.Wires(path, make=True)
        self.wires.set(wiring.DUTY, 1.0)
        self.closed = False
        self.output_on = False
        self.moved_at = now
        """When the charger's contacts moved last, or its output was switched."""
        self.worst_late_s = 0.0
        self.closings = 0
        self.due = now
        self.vehicle: VehicleBoard | None = None
        self._edges = self._tests = 0.0
        self._setpoint = SetOutput(0.0, 0.0, on=False)
        self._resend_at = now
        self._is_commanded = False
        self.step(now)

    @property
    def duty(self) -> float:
        return self.world.pilot.duty

    @property
    def is_safe(self) -> bool:
        """Contacts open, output off."""
        return not self.closed and not self.output_on

    def step(self, now: float) -> None:
        """Let the hardware follow the wires up to now."""
        self.worst_late_s = max(self.worst_late_s, now - self.due)
        world, wires = self.world, self.wires
        world.advance(now)
        if wires.get(wiring.EDGES) != self._edges:
            self._edges = wires.get(wiring.EDGES)
            world.interlock.watchdog.edge(now)
            world.interlock.touch()
        if wires.get(wiring.DUTY) != world.pilot.duty:
            self._do(SetDuty(wires.get(wiring.DUTY)), now)
        commanded = bool(wires.get(wiring.COILS))
        if commanded is not self._is_commanded:
            self._is_commanded = commanded
            self._do(CloseContactors() if commanded else OpenContactors("wire"), now)
        if wires.get(wiring.TESTS) != self._tests:
            self._tests = wires.get(wiring.TESTS)
            self._do(StartIsolationTest(), now)
        self._drive_module(now)
        if self.vehicle is not None:
            self.vehicle.step(now)
        wires.put_inputs(world.evse_inputs(now))
        self._note(now)

    def _do(self, command: Output, now: float) -> None:
        self.world.carry_out("evse", command, now)

    def _drive_module(self, now: float) -> None:
        wires = self.wires
        on = bool(wires.get(wiring.IS_ON))
        setpoint = SetOutput(wires.get(wiring.VOLTAGE), wires.get(wiring.CURRENT), on)
        if setpoint != self._setpoint or now >= self._resend_at:
            self._setpoint, self._resend_at = setpoint, now + 1.0
            self._do(setpoint, now)

    def _note(self, now: float) -> None:
        closed = self.world.circuit.evse_contactors.is_closed
        on = self._setpoint.on and self.world.interlock.modules_enabled
        if closed is not self.closed or on is not self.output_on:
            self.closings += closed and not self.closed
            self.closed, self.output_on, self.moved_at = closed, on, now

    def pev_inputs(self, now: float) -> Output:
        return self.world.pev_inputs(now)

    def close(self) -> None:
        self.wires.close()
        if self.vehicle is not None:
            self.vehicle.wires.close()
