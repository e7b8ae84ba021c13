"""Heartbeats in virtual time: told late, each with its own time; silence counts from the last."""

from __future__ import annotations

import pytest

from controller.realtime_base import AGE_STEP_S, HEARTBEAT_TIMEOUT_S
from controller.signals import Heartbeat
from controller.sim import SIDES, SimWorld
from controller.sim_nodes import BEAT_S, Silence
from tests.scenario.faults import hang, resume
from tests.scenario.test_timing import strike
from tests.scenario.worlds import advance, loaded_world, small_world, watched


@pytest.mark.parametrize("pause_s", [0.0, 0.011, 0.031, 0.049, 0.067])
@pytest.mark.parametrize("side", SIDES)
def test_silence_is_noticed_60_ms_after_the_last_beat(side: str, pause_s: float) -> None:
    def act(world: SimWorld) -> None:
        advance(world, pause_s)
        hang(side)(world)

    _, _, times = strike(act)
    noticed_at = times.coils_at["evse"] if side == "evse" else times.s2_at
    assert noticed_at is not None
    silent_s = noticed_at - times.heartbeat_at[side]  # a frame may look before the deadline is due
    assert HEARTBEAT_TIMEOUT_S < silent_s <= HEARTBEAT_TIMEOUT_S + AGE_STEP_S + 1e-9
    assert pause_s - BEAT_S <= times.heartbeat_at[side] <= pause_s


@pytest.mark.parametrize("side", SIDES)
def test_beats_are_told_in_order_and_none_twice(side: str) -> None:
    world = small_world()
    heard: list[tuple[float, int]] = []

    def observe(now: float, node: str, direction: str, item: object) -> None:
        if type(item) is Heartbeat and node == f"{side}.realtime":
            heard.append((now, item.sequence))

    world.observers.append(observe)
    world.run(1.0)
    world.world.plug()
    world.run(6.0)
    assert heard == sorted(heard)
    assert [sequence for _, sequence in heard] == list(range(1, len(heard) + 1))
    assert len(heard) > 5.0 / 0.1


@pytest.mark.parametrize("side", SIDES)
def test_short_silence_between_two_beats_changes_nothing(side: str) -> None:
    world, watch = loaded_world()
    hang(side)(world)
    advance(world, 0.001)
    resume(side)(world)
    advance(world, 2.0)
    assert not watch.ended
    assert world.world.circuit.is_linked


def test_hanging_process_has_its_deadlines_again_when_it_comes_back() -> None:
    world = small_world()
    watch = watched(world)
    world.run(0.5)
    for side in SIDES:
        hang(side)(world)
    advance(world, 5.0)
    world.silent.clear()
    world.world.plug()
    world.loop.run(60.0, done=lambda: watch.ended)
    assert all(ends[0].normal for ends in watch.reasons.values())


def test_silence_says_once_who_begins_to_hang() -> None:
    began: list[str] = []
    silent = Silence(began.append)
    silent |= {"evse"}
    silent.add("evse")
    assert list(silent) == ["evse"]
    silent.discard("evse")
    silent.discard("evse")
    assert not silent
    silent.add("evse")
    assert began == ["evse", "evse"]
    assert "evse" in silent
    assert "pev" not in silent
