"""Sessions one after another, and what people do between them."""

from __future__ import annotations

import pytest

from controller.config import CarConfig
from controller.plc.sim import no_fault
from controller.signals import ResetRequest, StationChanged, StopRequest
from controller.sim import SIDES, SimWorld
from tests.scenario.faults import emergency, hang, mend, put, silence, stop, unplug
from tests.scenario.worlds import (
    Watch,
    advance,
    charge_again,
    good_run,
    play_on,
    plug_in,
    small_world,
    steps,
    watched,
    world_at,
)


def ended_well(watch: Watch) -> bool:
    return watch.ended and all(ends[0].normal for ends in watch.reasons.values())


def at(name: str) -> tuple[SimWorld, Watch]:
    return world_at(next(step for step in steps() if name in step.name))


def stations(world: SimWorld, side: str) -> list[str]:
    """Collect the states that a side's station enters from now on."""
    entered: list[str] = []

    def observe(now: float, node: str, direction: str, item: object) -> None:
        if isinstance(item, StationChanged) and node.startswith(side) and direction == "out":
            entered.append(item.state)

    world.observers.append(observe)
    return entered


def test_good_session() -> None:
    world, watch, points = good_run()
    assert ended_well(watch)
    assert world.report.reason() == "target of 80 % reached"
    assert watch.reason("evse") == "vehicle finished charging"
    assert world.report.safe
    assert world.world.circuit.worst_closing_step_v < 20.0
    assert world.world.circuit.worst_opening_current_a < 1.0
    assert not any(watch.latched.values())
    assert all(phase.within_limit for phase in world.report.phases.values())
    assert len(points) > 60


def test_an_answer_that_waits_for_the_current_to_go_is_measured() -> None:
    world = SimWorld(car=CarConfig().with_target(63.0))  # 285 A when it stops
    world.run_session()
    waited_s = world.report.answers["PowerDeliveryRes"][1]
    assert 0.1 < waited_s < 1.5


def test_good_session_is_the_same_every_time() -> None:
    assert record_of_four_seconds() == record_of_four_seconds()


def record_of_four_seconds() -> list[str]:
    world = small_world()
    lines: list[str] = []
    world.observers.append(lambda *record: lines.append(repr(record)))
    plug_in(world)
    advance(world, 4.0)
    return [line for line in lines if "AnswerMeasured" not in line]


def test_three_sessions_one_after_another() -> None:
    world = small_world()
    for _ in range(3):
        assert ended_well(charge_again(world))
        unplug(world)
        advance(world, 1.0)


@pytest.mark.parametrize("pause_s", [0.02, 0.3, 0.95])
@pytest.mark.parametrize("state", ["evse slac sounding", "evse station joining", "mid-loop"])
def test_unplugged_and_plugged_again_at_once(state: str, pause_s: float) -> None:
    world, _ = at(state)
    unplug(world)
    advance(world, pause_s)
    watch = watched(world)
    world.world.battery.soc_percent = 79.8
    world.world.plug()
    play_on(world, watch, 60.0)
    assert ended_well(watch), watch.reasons


def test_vehicle_that_never_asks_is_tried_again_behind_state_f() -> None:
    """A charger that heard nobody for 50 s steps through F, so that the vehicle begins anew."""
    world = small_world()
    entered = stations(world, "evse")
    world.world.powerline.fault = lambda transit: ()
    plug_in(world)
    advance(world, 51.0)
    assert entered == ["matching", "stepping through F"]
    world.world.powerline.fault = no_fault
    watch = watched(world)
    play_on(world, watch, 60.0)
    assert ended_well(watch)
    assert world.report.reason() == "target of 80 % reached"


def test_vehicle_that_never_asks_is_given_up_after_three_tries() -> None:
    world = small_world()
    watch, entered = watched(world), stations(world, "evse")
    world.world.powerline.fault = lambda transit: ()
    plug_in(world)
    play_on(world, watch, 200.0)
    assert entered.count("stepping through F") == 2
    assert entered[-1] == "waiting for unplug"
    assert "no vehicle asked" in watch.reason("evse")


def test_stop_with_nothing_plugged_in_means_nothing() -> None:
    world = small_world()
    advance(world, 0.5)
    for side in SIDES:
        world.send(side, StopRequest("stop button pressed"))
    assert ended_well(charge_again(world))


@pytest.mark.parametrize(
    ("side", "state", "ends_s"),
    [
        ("pev", "pev station waiting for the charger", 0.01),
        ("pev", "pev station matching", 0.01),
        ("pev", "pev station joining", 0.01),
        ("pev", "pev station looking", 0.01),
        ("pev", "pev station connected", 0.01),
        ("evse", "evse station matching", 0.01),
        ("evse", "evse station joining", 0.01),
        ("evse", "evse station waiting for the vehicle's connection", 0.01),
        ("evse", "evse station connected", 2.0),
    ],
)
def test_stop_in_each_state_of_the_station(side: str, state: str, ends_s: float) -> None:
    world, watch = at(state)
    stop(side)(world)
    advance(world, ends_s)
    assert watch.reason(side) == "stop button pressed"
    assert world.report.reason() == "stop button pressed"
    unplug(world)
    advance(world, 1.0)
    assert ended_well(charge_again(world))


def test_vehicle_that_hangs_before_power_is_given_up_after_a_minute() -> None:
    world, watch = at("pev ServiceDiscoveryReq")
    hang("pev")(world)
    play_on(world, watch, 58.0)
    assert watch.reason("evse") == ""
    play_on(world, watch, 3.0)
    assert watch.reason("evse") == "vehicle fell silent"


def test_vehicle_that_hears_no_answer_leaves_and_the_charger_notices() -> None:
    world, watch = at("pev ServiceDiscoveryReq")
    silence("pev")(world)
    play_on(world, watch, 10.0)
    assert watch.reason("pev") == "charger did not answer ServicePaymentSelectionReq in time"
    assert watch.reason("evse") == "powerline link lost"  # long before a minute is over


def test_vehicle_that_never_connects_is_given_up_after_18_s() -> None:
    world, watch = at("evse station waiting for the vehicle's connection")
    hang("pev")(world)
    advance(world, 18.1)
    assert watch.reason("evse") == "vehicle opened no connection within 18 s"


def test_vehicle_waits_again_when_the_charger_withdraws_its_pilot() -> None:
    world, _ = at("pev slac collecting")
    entered = stations(world, "pev")
    emergency(world)
    advance(world, 0.1)
    assert entered == ["waiting for the charger"]


def test_welded_charger_is_out_of_service_until_someone_looked() -> None:
    weld = put("circuit.evse_contactors", "welded", True)
    world, watch = at("mid-loop")
    weld(world)
    play_on(world, watch, 20.0)
    unplug(world)
    advance(world, 1.0)
    assert world.report.latched == "contactor did not open within 300 ms: welded?"
    assert world.world.pilot.duty == 0.0  # state F
    mend("evse")(world)
    advance(world, 1.0)
    assert world.world.pilot.duty == 0.0
    world.send("evse", ResetRequest())
    advance(world, 0.5)
    assert world.world.pilot.duty == 1.0
    assert ended_well(charge_again(world))


def test_emergency_stop_without_a_vehicle_puts_out_of_service_until_released() -> None:
    world = small_world()
    advance(world, 0.5)
    emergency(world)
    advance(world, 0.5)
    assert world.world.pilot.duty != 0.05
    put("", "emergency_stop", False)(world)
    advance(world, 0.5)
    assert ended_well(charge_again(world))


def test_process_that_hung_and_came_back_stays_off() -> None:
    """What it asked for before counts no more; it has to ask again."""
    world, watch = at("evse CurrentDemandRes mid-loop")
    hang("evse")(world)
    advance(world, 0.3)
    world.silent.clear()
    play_on(world, watch, 20.0)
    advance(world, 1.0)
    assert watch.ended
    assert world.report.safe
    assert world.world.circuit.inlet_contactors.operations == 2
