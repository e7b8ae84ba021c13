"""A vehicle wakes the charger after a session, and charges again."""

from __future__ import annotations

from controller.signals import ChargeRequest, SetS2, StationChanged, StopRequest, WakeRequest
from controller.sim import SIDES, SimWorld
from tests.scenario.worlds import small_world

Seen = list[tuple[float, str, object]]


def watched(world: SimWorld) -> Seen:
    seen: Seen = []

    def observe(now: float, node: str, direction: str, item: object) -> None:
        if direction == "out" and isinstance(item, StationChanged | SetS2 | WakeRequest):
            seen.append((now, node.partition(".")[0], item))

    world.observers.append(observe)
    return seen


def states(seen: Seen, side: str) -> list[str]:
    return [i.state for _, s, i in seen if s == side and isinstance(i, StationChanged)]


def test_a_second_session_without_unplugging() -> None:
    world = small_world()
    world.world.battery.soc_percent = 79.6
    world.run_session(unplug=False)
    assert all(normal for _, normal in world.report.reasons.values())
    world.world.battery.soc_percent = 79.6  # the heater ran
    seen = watched(world)
    world.run(world.now + 60.0)
    assert seen == []  # nobody begins anew by himself
    world.send("pev", ChargeRequest())
    world.run(world.now + 30.0)
    toggle = [(at, item.closed) for at, side, item in seen if isinstance(item, SetS2)][:2]
    assert [closed for _, closed in toggle] == [True, False]
    assert 0.2 <= toggle[1][0] - toggle[0][0] <= 0.4
    assert [type(item) for _, _, item in seen].count(WakeRequest) == 1
    assert states(seen, "evse") == [
        "matching",
        "joining",
        "waiting for the vehicle's connection",
        "connected",
        "session over",
        "waiting for unplug",
    ]
    assert states(seen, "pev")[-1] == "waiting for unplug"
    assert world.report.safe
    assert set(world.report.reasons) == set(SIDES)


def test_a_charger_whose_session_failed_stays_asleep() -> None:
    world = small_world()
    world.run(1.0)
    world.world.plug()
    world.run(2.0)
    world.send("evse", StopRequest("the operator"))
    world.run(world.now + 5.0)
    seen = watched(world)
    world.send("pev", ChargeRequest())
    world.run(world.now + 30.0)
    assert [type(item) for _, _, item in seen].count(WakeRequest) == 3
    assert states(seen, "evse") == []
