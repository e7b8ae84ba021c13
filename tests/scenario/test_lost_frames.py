"""A single frame or datagram that is lost, repeated or late never ends a session."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from controller.sim import SIDES
from tests.scenario.faults import spoil_frames
from tests.scenario.worlds import play_on, plug_in, small_world, watched

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from controller.plc.sim import Transit
    from controller.sim import SimWorld

MISHAPS: dict[str, tuple[float, ...]] = {"lost": (), "repeated": (0.0, 0.001), "late": (0.15,)}
"""Extra delay of each copy that arrives."""


class Counter:
    """Lets mishap befall the frame with one number, and counts all."""

    def __init__(self, number: int, delays_s: tuple[float, ...]) -> None:
        self.number = number
        self.delays_s = delays_s
        self.seen = 0

    def __call__(self, transit: Transit) -> Sequence[float]:
        self.seen += 1
        return self.delays_s if self.seen - 1 == self.number else (0.0,)


def crossing_frames() -> int:
    """Count what crosses the powerline in the good session."""
    world, counter = small_world(79.9), Counter(-1, ())
    world.world.powerline.fault = counter
    charge(world)
    return counter.seen


def modem_answers() -> int:
    """Count the modems' answers to their hosts in the good session."""
    world, counter = small_world(79.9), Counter(-1, ())
    world.world.powerline.answer_fault = counter
    charge(world)
    return counter.seen


def charge(world: SimWorld) -> None:
    watch = watched(world)
    plug_in(world)
    play_on(world, watch, 60.0)
    assert {side: ends[0].normal for side, ends in watch.reasons.items()} == {
        "evse": True,
        "pev": True,
    }


@pytest.mark.parametrize("mishap", MISHAPS)
@pytest.mark.parametrize("number", range(crossing_frames()))
def test_slac_frame(number: int, mishap: str) -> None:
    world, counter = small_world(79.9), Counter(number, MISHAPS[mishap])
    world.world.powerline.fault = counter
    charge(world)
    assert counter.seen > number


@pytest.mark.parametrize("mishap", MISHAPS)
@pytest.mark.parametrize("number", range(modem_answers()))
def test_answer_of_the_own_modem(number: int, mishap: str) -> None:
    world, counter = small_world(79.9), Counter(number, MISHAPS[mishap])
    world.world.powerline.answer_fault = counter
    charge(world)
    assert counter.seen > number


def lose(world: SimWorld, number: int) -> None:
    world.network.faults.drop_datagram = lambda n: n == number


def repeat(world: SimWorld, number: int) -> None:
    world.network.faults.duplicate_datagram = lambda n: n == number


def delay(world: SimWorld, number: int) -> None:
    world.network.faults.delay_datagram_s = lambda n: 0.4 if n == number else 0.0


@pytest.mark.parametrize("mishap", [lose, repeat, delay])
@pytest.mark.parametrize("number", range(3))
def test_sdp_datagram(number: int, mishap: Callable[[SimWorld, int], None]) -> None:
    world = small_world(79.9)
    mishap(world, number)
    charge(world)


@pytest.mark.parametrize("split", [1, 7])
def test_stream_in_pieces(split: int) -> None:
    world = small_world(79.9)
    world.network.faults.split = split
    charge(world)


@pytest.mark.parametrize("side", SIDES)
def test_garbage_frames_disturb_nobody(side: str) -> None:
    world = small_world(79.9)
    for at in (0.5, 1.3, 2.3, 3.0, 4.0, 5.5):
        world.loop.call_at(at, lambda now: spoil_frames(side)(world))
    charge(world)
