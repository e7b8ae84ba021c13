"""Frames in virtual time rest while nothing moves, but no decision is made on old inputs."""

from __future__ import annotations

from itertools import pairwise

from controller.interlock_rules import PERMIT_LIFETIME_S
from controller.power import limits
from controller.signals import EvseInputs, OutputRequest, PevInputs, Phase, SetOutput
from controller.sim_nodes import FRESH_S, RESTING_PERIOD_S
from tests.scenario.worlds import advance, loaded_world, play_on, plug_in, small_world, watched


def test_a_new_phase_is_decided_on_fresh_inputs() -> None:
    world = small_world()
    ages: list[float] = []
    looked_at, phase = 0.0, Phase.IDLE

    def observe(now: float, node: str, direction: str, item: object) -> None:
        nonlocal looked_at, phase
        if type(item) is EvseInputs:
            looked_at = now
        elif type(item) is OutputRequest and direction == "in":
            if item.phase is not phase:
                ages.append(now - looked_at)
            phase = item.phase

    world.observers.append(observe)
    watch = watched(world)
    plug_in(world)
    play_on(world, watch, 60.0)
    assert len(ages) >= 5
    assert max(ages) <= FRESH_S


def test_a_request_that_goes_on_disturbs_no_rest() -> None:
    world, _ = loaded_world()
    advance(world, 20.0)  # the ramp is over
    at: dict[type, set[float]] = {EvseInputs: set(), OutputRequest: set()}

    def observe(now: float, node: str, direction: str, item: object) -> None:
        if node == "evse.realtime" and type(item) in at:
            at[type(item)].add(now)

    world.observers.append(observe)
    advance(world, 10.0)
    assert len(at[OutputRequest]) >= 10
    assert not at[EvseInputs] & at[OutputRequest]
    assert all(b - a < RESTING_PERIOD_S + 1e-9 for a, b in pairwise(sorted(at[EvseInputs])))


def test_supply_hears_its_set_point_four_times_a_second_at_rest() -> None:
    world, _ = loaded_world()
    advance(world, 20.0)  # the ramp is over
    heard: list[float] = []
    world.observers.append(
        lambda now, node, direction, item: heard.append(now) if type(item) is SetOutput else None
    )
    advance(world, 20.0)
    pauses = [b - a for a, b in pairwise(heard)]
    assert max(pauses) <= limits.SETPOINT_PERIOD_S + 0.001


def test_both_sides_rest_until_the_same_instants_within_a_permit() -> None:
    world, _ = loaded_world()
    advance(world, 20.0)
    at: dict[str, list[float]] = {"evse.realtime": [], "pev.realtime": []}

    def observe(now: float, node: str, direction: str, item: object) -> None:
        if type(item) in (EvseInputs, PevInputs):
            at[node].append(now)

    world.observers.append(observe)
    advance(world, 10.0)
    evse, pev = at.values()
    assert len(set(evse) & set(pev)) > 0.9 * len(set(evse) | set(pev))
    for times in (evse, pev):
        assert all(b - a < PERMIT_LIFETIME_S for a, b in pairwise(times))
        assert len(times) == len(set(times)), "none twice"
