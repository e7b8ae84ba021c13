"""The charger's communication process hangs, dies, is replaced: at any point of a session.

Contactors open and the output off within 100 ms of the last heartbeat, the pilot in X1 (or F), the
reason on record, no power for this vehicle any more, and the next one charges without a reboot.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from controller.config import ChargerConfig, SiteSection
from controller.cp import timing
from controller.cp.evse import SILENT
from controller.signals import (
    CloseContactors,
    ControlPilotState,
    OpenContactors,
    PilotChanged,
    SetDuty,
    StopRequest,
)
from tests.scenario.faults import hang, resume
from tests.scenario.processes import kill, start
from tests.scenario.worlds import (
    SAFE_VOLTAGE_V,
    Step,
    Watch,
    advance,
    charge_again,
    small_world,
    steps,
    watched,
    world_at,
)

if TYPE_CHECKING:
    from controller.sim import SimWorld

CHARGER = ChargerConfig(site=SiteSection(isolation_test_s=0.1, module_ramp_v_per_s=2000.0))
HEARTBEAT_S = 0.05
"""Of the simulated process; the last one is at most this old when something strikes."""
X1 = {ControlPilotState(f"{letter}1") for letter in "ABCD"}
EVERY = 3


class Pilots:
    """What the charger drove and told, with times."""

    def __init__(self, world: SimWorld) -> None:
        self.duties: list[tuple[float, float]] = []
        self.told: list[tuple[float, PilotChanged]] = []
        self.closed: list[float] = []
        self.opened: list[OpenContactors] = []
        world.observers.append(self.observe)

    def observe(self, now: float, node: str, direction: str, item: Any) -> None:  # noqa: ANN401
        if (node, direction) != ("evse.realtime", "out"):
            return
        if type(item) is SetDuty:
            self.duties.append((now, item.duty))
        elif type(item) is PilotChanged:
            self.told.append((now, item))
        elif type(item) is CloseContactors:
            self.closed.append(now)
        elif type(item) is OpenContactors:
            self.opened.append(item)


def assert_off_in_time(world: SimWorld, watch: Watch, struck_at: float, within_s: float) -> None:
    circuit = world.world.circuit
    assert not world.world.interlock.commanded
    assert not circuit.setpoint.on
    assert not circuit.evse_contactors.is_closed
    assert watch.powered_at <= struck_at + within_s


def assert_still(pilots: Pilots, since: float) -> None:
    """Nothing closed and nothing oscillated since then."""
    assert [at for at in pilots.closed if at > since] == []
    assert [duty for at, duty in pilots.duties if at > since and 0.0 < duty < 1.0] == []


def points(offset: int) -> list[object]:
    return [pytest.param(step, id=step.name) for step in steps()[offset::EVERY]]


def next_car_charges(world: SimWorld) -> None:
    world.world.unplug()
    advance(world, 5.0)
    watch = charge_again(world)
    assert watch.ended
    assert all(ends[0].normal for ends in watch.reasons.values()), watch.reasons
    assert world.report.safe


@pytest.mark.parametrize("away_s", [0.3, timing.ABSENT_S + 3.0])
@pytest.mark.parametrize("step", points(0))
def test_a_process_that_dies_and_is_replaced(step: Step, away_s: float) -> None:
    world, watch = world_at(step)
    pilots = Pilots(world)
    was_on = world.world.interlock.commanded
    was_digital = world.evse.pilot.was_digital
    struck_at = world.now
    kill(world)
    advance(world, 0.1)
    assert_off_in_time(world, watch, struck_at, 0.006)
    assert world.evse.pilot.duty == 1.0 or not was_digital
    if was_on:
        assert pilots.opened[0].reason == "the communication process is silent"
    advance(world, away_s - 0.1)
    assert world.evse.pilot.duty == (1.0 if was_digital or away_s < timing.ABSENT_S else 0.0)
    start(world, CHARGER)
    advance(world, 6.0)
    if was_digital:
        assert_still(pilots, struck_at)
        assert world.evse.pilot.state in X1
        assert world.evse.pilot.held == SILENT
        assert watch.reasons["evse"][-1].reason == SILENT
        advance(world, 60.0)
        assert_still(pilots, struck_at)
    next_car_charges(world)


@pytest.mark.parametrize("step", points(1))
def test_a_process_that_hangs_and_goes_on(step: Step) -> None:
    """It wakes up in the belief that nothing has happened, and asks for what it always wanted."""
    world, watch = world_at(step)
    pilots = Pilots(world)
    was_on = world.world.interlock.commanded
    struck_at = world.now
    hang("evse")(world)
    advance(world, 0.1)
    if was_on:
        assert_off_in_time(world, watch, struck_at, 0.07)
        assert pilots.opened
    advance(world, timing.PILOT_SILENCE_S)
    assert_off_in_time(world, watch, struck_at, 0.07)
    assert not world.evse.pilot.is_oscillating
    advance(world, 3.0)
    resume("evse")(world)
    advance(world, 8.0)
    silenced = [at for at, told in pilots.told if told.held == SILENT]
    if silenced:
        assert_still(pilots, silenced[0])
        assert world.evse.pilot.held == SILENT
        assert watch.reasons["evse"]
    assert silenced or step.at < 1.01 or "waiting for unplug" in step.name
    next_car_charges(world)


@pytest.mark.parametrize("step", points(2)[::2])
def test_a_hang_that_lasts_until_the_car_is_gone(step: Step) -> None:
    world, watch = world_at(step)
    struck_at = world.now
    hang("evse")(world)
    advance(world, 4.0)
    assert_off_in_time(world, watch, struck_at, 0.07)
    world.world.unplug()
    advance(world, timing.ABSENT_S)
    assert world.evse.pilot.duty == 0.0
    assert world.evse.pilot.state is ControlPilotState.F
    resume("evse")(world)
    next_car_charges(world)


def test_a_process_that_comes_late_finds_a_car_that_waits() -> None:
    """Nobody was there when it was plugged in: this one was never asked to talk, so it charges."""
    world = small_world()
    watch = watched(world)
    advance(world, 0.5)
    kill(world)
    world.world.plug()
    advance(world, 5.0)
    assert world.evse.pilot.state is ControlPilotState.B1
    start(world, CHARGER)
    world.loop.run(world.now + 60.0, done=lambda: watch.ended)
    assert all(ends[0].normal for ends in watch.reasons.values()), watch.reasons


def test_a_process_that_comes_too_late_finds_one_behind_f() -> None:
    world = small_world()
    watch = watched(world)
    advance(world, 0.5)
    kill(world)
    world.world.plug()
    advance(world, timing.ABSENT_S + 2.0)
    assert world.evse.pilot.state is ControlPilotState.F
    start(world, CHARGER)
    world.loop.run(world.now + 60.0, done=lambda: watch.ended)
    assert all(ends[0].normal for ends in watch.reasons.values()), watch.reasons


def test_the_new_process_says_why_it_waits() -> None:
    world, watch = world_at(next(s for s in steps() if "phase charge" in s.name))
    kill(world)
    advance(world, 1.0)
    start(world, CHARGER)
    advance(world, 1.0)
    assert world.nodes["evse.communication"].core.station.state.value == "waiting for unplug"  # type: ignore[attr-defined]
    assert watch.reasons["evse"][-1].reason == SILENT
    world.send("evse", StopRequest("stop button pressed"))
    advance(world, 1.0)
    assert abs(world.world.circuit.voltage_v) < SAFE_VOLTAGE_V
