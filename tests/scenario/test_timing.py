"""How fast power is gone, measured in virtual time with 100 A flowing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from controller.signals import (
    Heartbeat,
    OpenContactors,
    PevInputs,
    SetOutput,
    SetS2,
    StopRequest,
)
from controller.sim import SIDES, SimWorld
from tests.scenario.faults import blind, emergency, hang, kill_connection, put, stop, unplug
from tests.scenario.worlds import Watch, advance, loaded_world, play_on

if TYPE_CHECKING:
    from collections.abc import Callable

PERIOD_S = 0.005 + 1e-9
PILOT_S = 2 * PERIOD_S + 0.0005
"""A level counts when two readings in a row agree."""
CONTACTS_S = 0.02
"""The simulated contactors need this long to open."""


class Times:
    """When coils and supply were switched off, and when the last heartbeat came."""

    def __init__(self, world: SimWorld) -> None:
        self.coils_at: dict[str, float] = {}
        self.supply_at = 0.0
        self.s2_at = 0.0
        self.heartbeat_at = dict.fromkeys(SIDES, 0.0)
        world.observers.append(self.observe)

    def observe(self, now: float, node: str, direction: str, item: Any) -> None:  # noqa: ANN401
        side = node.partition(".")[0]
        if type(item) is Heartbeat and node.endswith("realtime"):
            self.heartbeat_at[side] = now
        elif direction == "out" and type(item) is OpenContactors:
            self.coils_at.setdefault(side, now)
        elif direction == "out" and type(item) is SetOutput and not item.on:
            self.supply_at = self.supply_at or now
        elif direction == "out" and type(item) is SetS2 and not item.closed:
            self.s2_at = self.s2_at or now


def strike(act: Callable[[SimWorld], None], seconds: float = 1.5) -> tuple[SimWorld, Watch, Times]:
    world, watch = loaded_world()
    times = Times(world)
    advance(world, 0.05)
    struck_at = world.now
    act(world)
    advance(world, seconds)
    times.heartbeat_at = {side: at - struck_at for side, at in times.heartbeat_at.items()}
    times.coils_at = {side: at - struck_at for side, at in times.coils_at.items()}
    times.supply_at -= struck_at
    times.s2_at -= struck_at
    return world, watch, times


@pytest.mark.parametrize(
    ("act", "within_s"),
    [
        pytest.param(emergency, PERIOD_S, id="emergency stop: in the same period"),
        pytest.param(unplug, PILOT_S, id="unplug: as soon as the pilot is believed"),
        pytest.param(put("pilot", "s2_closed", False), PILOT_S, id="C to B: 100 ms allowed"),
        pytest.param(put("pilot", "short_ohm", 50.0), PILOT_S, id="pilot short"),
        pytest.param(put("pilot", "wire_open", True), PILOT_S, id="pilot wire"),
        pytest.param(blind("evse"), 0.1 + PERIOD_S, id="no inputs: the permit's 100 ms"),
        pytest.param(hang("evse"), 0.06 + PERIOD_S, id="communication silent: 60 ms"),
    ],
)
def test_charger_is_off_in_time(act: Callable[[SimWorld], None], within_s: float) -> None:
    world, _, times = strike(act)
    assert 0.0 <= times.supply_at <= within_s
    assert 0.0 <= times.coils_at["evse"] <= within_s
    assert world.world.circuit.worst_opening_current_a < 5.0


@pytest.mark.parametrize("side", SIDES)
def test_all_is_open_100_ms_after_the_last_heartbeat(side: str) -> None:
    world, _, times = strike(hang(side))
    silent_s = times.coils_at[side] - times.heartbeat_at[side] + CONTACTS_S
    assert 0.06 < silent_s <= 0.1
    assert times.supply_at - times.heartbeat_at[side] <= 0.1
    assert world.world.circuit.worst_opening_current_a < 5.0


def test_vehicle_opens_s2_before_its_contactors() -> None:
    """Its interlock opens them alone only after the charger had the time to switch off."""
    _, _, times = strike(hang("pev"))
    assert times.s2_at < times.supply_at < times.coils_at["pev"]


@pytest.mark.parametrize("by", SIDES)
def test_normal_stop_breaks_no_current(by: str) -> None:
    """The vehicle asks for 0 A until the current is small: no contactor parts under load."""
    world, watch, _ = strike(stop(by), 0.0)
    play_on(world, watch, 20.0)
    assert watch.ended
    assert world.world.circuit.worst_opening_current_a < 1.0
    assert watch.reasons["pev"][0].normal
    assert watch.reasons["evse"][0].normal
    assert world.report.reason() == "stop button pressed"


def test_broken_connection_under_load() -> None:
    world, watch, times = strike(kill_connection, 3.0)
    assert watch.ended
    assert times.supply_at < 0.1
    assert world.world.circuit.worst_opening_current_a < 5.0


def test_frames_do_not_rest_while_the_current_moves() -> None:
    """Virtual time may skip periods only where nothing happens: a ramp is seen at its period."""
    world, _ = loaded_world()
    seen: list[float] = []
    world.observers.append(
        lambda now, node, direction, item: seen.append(now) if type(item) is PevInputs else None
    )
    advance(world, 0.5)
    resting = len(seen)
    seen.clear()
    world.world.circuit.current_fall_a_per_s = 100.0
    world.send("pev", StopRequest("button"))
    advance(world, 0.5)
    assert len(seen) > 4 * resting
