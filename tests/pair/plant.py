"""The plant: everything physical at a charger and a car, in real time, with the external interlock.

It moves every STEP_S: takes the commands from the wires, lets the simulated world and the simulated
interlock do what they do, writes readings, and keeps the instants at which contacts and output
changed. Its own lateness is kept, too: where the machine stood still, nobody can be judged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from controller.power.sim_interlock import SimInterlock
from controller.signals import (
    ContactorReading,
    EvseInputs,
    PevInputs,
    SetOutput,
    StartIsolationTest,
)
from controller.sim import World
from tests.pair import wiring

if TYPE_CHECKING:
    from pathlib import Path

    from controller.config import CarConfig, ChargerConfig

STEP_S = 0.002
MEASURED_EVERY_S = 0.1
"""A quicker isolation monitor than any: tests wait for it."""


class Plant:
    """World, interlock, and the wires of the charger."""

    def __init__(self, charger: ChargerConfig, car: CarConfig, path: Path, now: float) -> None:
        self.world = World(charger, car)
        self.world.isolation.period_s = MEASURED_EVERY_S
        self.chain = SimInterlock(self.world.pilot)
        self.wires = wiring.Wires(path, make=True)
        self.wires.set(wiring.DUTY, 1.0)
        self.closed = False
        self.output_on = False
        self.moved_at = now
        """When the charger's contacts moved last, or its output was switched."""
        self.worst_late_s = 0.0
        self.closings = 0
        self.due = now
        self._edges = self._tests = 0.0
        self._setpoint = SetOutput(0.0, 0.0, on=False)
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
        self.worst_late_s = max(self.worst_late_s, now - self.due)
        world, chain, wires = self.world, self.chain, self.wires
        if wires.get(wiring.EDGES) != self._edges:
            self._edges = wires.get(wiring.EDGES)
            chain.watchdog.edge(now)
        if wires.get(wiring.DUTY) != world.pilot.duty:
            world.pilot.duty = wires.get(wiring.DUTY)
        chain.advance(now)
        commanded = bool(wires.get(wiring.COILS))
        if commanded is not self._is_commanded:
            self._is_commanded = commanded
            chain.command(commanded, now)
        world.circuit.advance(now)
        world.evse_contactors.set_closed(chain.coils_on)
        if wires.get(wiring.TESTS) != self._tests:
            self._tests = wires.get(wiring.TESTS)
            world.carry_out("evse", StartIsolationTest(), now)
        self._drive_module(now)
        self._note(now)
        wires.put_inputs(self.evse_inputs(now))

    def _drive_module(self, now: float) -> None:
        wires = self.wires
        on = bool(wires.get(wiring.IS_ON)) and self.chain.modules_enabled
        setpoint = SetOutput(wires.get(wiring.VOLTAGE), wires.get(wiring.CURRENT), on)
        self.world.circuit.heard_at = now
        if setpoint != self._setpoint:
            self._setpoint = setpoint
            self.world.module.set_output(setpoint, now)

    def _note(self, now: float) -> None:
        closed = self.world.circuit.evse_contactors.is_closed
        if closed is not self.closed or self._setpoint.on is not self.output_on:
            self.closings += closed and not self.closed
            self.closed, self.output_on, self.moved_at = closed, self._setpoint.on, now

    def evse_inputs(self, now: float) -> EvseInputs:
        world = self.world
        return EvseInputs(
            world.pilot.pilot_sample(now),
            world.module.read(now),
            ContactorReading(self.closed, now),
            world.isolation.read(now),
            world.module.envelope(now),
            world.emergency_stop,
        )

    def pev_inputs(self, now: float) -> PevInputs:
        return self.world.pev_inputs(now)

    def close(self) -> None:
        self.wires.close()
