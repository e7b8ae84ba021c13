"""What the vehicle's inlet tells in the middle of a session: button, broken plug, wrong pilot."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.config import CarConfig, InletSection
from controller.signals import StationChanged
from controller.sim import SIDES, SimWorld


def charging(connector: str, ohm: float) -> SimWorld:
    world = SimWorld(car=replace(CarConfig(), inlet=InletSection(connector=connector)))
    world.world.pilot.proximity_ohm = ohm
    world.run(1.0)
    world.world.plug()
    limit = 60.0
    while not world.pev.contactors.is_commanded and world.now < limit:
        world.run(world.now + 0.1)
    world.run(world.now + 3.0)
    assert world.pev.contactors.is_commanded
    return world


def play_to_the_end(world: SimWorld) -> None:
    limit = world.now + 60.0
    while set(world.report.reasons) != set(SIDES) and world.now < limit:
        world.run(world.now + 0.1)
    world.run(world.now + 3.0)


def test_the_button_ends_the_session_in_good_order() -> None:
    world = charging("ccs1", 150.0)
    world.world.pilot.proximity_ohm = 480.0
    pressed_at = world.now
    play_to_the_end(world)
    assert world.report.reasons["pev"] == ("the button of the connector's latch was pressed", True)
    assert world.report.safe
    assert world.world.circuit.worst_opening_current_a < 5.0
    assert world.now - pressed_at < 30.0


@pytest.mark.parametrize(("connector", "ohm"), [("ccs1", 150.0), ("ccs2", 1500.0), ("ccs2", 220.0)])
@pytest.mark.parametrize("broken_ohm", [3.0, 70.0])
def test_a_broken_plug_ends_it_at_once(connector: str, ohm: float, broken_ohm: float) -> None:
    world = charging(connector, ohm)
    world.world.pilot.proximity_ohm = broken_ohm
    at = world.now
    world.run(at + 0.5)
    assert not world.pev.contactors.is_commanded
    assert not world.pev.pilot.s2_closed
    play_to_the_end(world)
    reason, normal = world.report.reasons["pev"]
    assert reason.startswith("proximity (PP): ")
    assert not normal
    assert world.report.safe


@pytest.mark.parametrize("frequency_hz", [500.0, 970.0, 1030.0])
def test_an_oscillator_that_runs_away_is_a_lost_pilot(frequency_hz: float) -> None:
    world = charging("ccs2", 1500.0)
    world.world.pilot.frequency_hz = frequency_hz
    at = world.now
    world.run(at + 0.5)
    assert not world.pev.contactors.is_commanded
    play_to_the_end(world)
    assert world.report.safe


def test_plugging_in_with_the_button_held_down() -> None:
    world = SimWorld(car=replace(CarConfig(), inlet=InletSection(connector="ccs1")))
    pilot = world.world.pilot
    pilot.proximity_ohm = 480.0
    seen: list[str] = []

    def observe(now: float, node: str, direction: str, item: object) -> None:
        if direction == "out" and isinstance(item, StationChanged) and node.startswith("pev"):
            seen.append(item.state)

    world.observers.append(observe)
    world.run(1.0)
    world.world.plug()
    world.run(3.0)
    assert seen == ["waiting for the charger"]
    pilot.proximity_ohm = 150.0
    world.world.on_change()
    world.run(4.0)
    assert seen[1] == "matching"
