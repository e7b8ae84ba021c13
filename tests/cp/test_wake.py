"""Waking a charger that sleeps: when a toggle is asked for, how often, and what ends it."""

from __future__ import annotations

import pytest

from controller.cp import timing
from controller.cp.wake import WakeState, WakeUp
from controller.signals import (
    ChargeRequest,
    InletPilotChanged,
    Output,
    SessionEnded,
    StopRequest,
    WakeFailed,
    WakeRequest,
)

S = WakeState
OUT = InletPilotChanged(False, 0.0, digital=False)
STEADY = InletPilotChanged(True, 1.0, digital=False)
DIGITAL = InletPilotChanged(True, 0.05, digital=True)
AC = InletPilotChanged(True, 0.5, digital=False)
LOST = InletPilotChanged(True, 0.0, digital=False)
BUTTON = InletPilotChanged(True, 1.0, digital=False, button=True)
FAULT = InletPilotChanged(True, 1.0, digital=False, fault="PP")
WANTED, STOP, ENDED = ChargeRequest(), StopRequest("x"), SessionEnded("x", normal=True)


class Bench:
    def __init__(self, *, automatic: bool = False) -> None:
        self.core = WakeUp(automatic=automatic)
        self.now = 100.0

    def tell(self, *signals: Output) -> list[Output]:
        out: list[Output] = []
        for signal in signals:
            out += self.core.receive_signal(signal, self.now)
        return out

    def wait(self, seconds: float) -> list[tuple[float, Output]]:
        """What happens by itself, and when."""
        began, until = self.now, self.now + seconds
        out: list[tuple[float, Output]] = []
        while (at := self.core.next_timer()) is not None and at <= until:
            self.now = at
            out += [(at - began, item) for item in self.core.handle_timer(at)]
        self.now = until
        return out


def test_nobody_asked() -> None:
    bench = Bench()
    assert bench.tell(STEADY) == []
    assert bench.wait(3600.0) == []
    assert bench.core.state is S.ASLEEP


def test_the_driver_asks_three_times_and_no_more() -> None:
    bench = Bench()
    bench.tell(STEADY)
    assert bench.tell(WANTED) == [WakeRequest()]
    retry = timing.WAKE_RETRY_S
    assert bench.wait(3600.0) == [
        (retry, WakeRequest()),
        (2 * retry, WakeRequest()),
        (3 * retry, WakeFailed(3)),
    ]
    assert bench.core.state is S.GIVEN_UP
    assert bench.tell(WANTED) == [WakeRequest()]  # unless the driver insists


def test_realtime_would_refuse_no_toggle() -> None:
    assert timing.WAKE_RETRY_S > timing.WAKE_PAUSE_S


def test_a_charger_that_wakes_up() -> None:
    bench = Bench()
    bench.tell(STEADY, WANTED)
    bench.wait(1.0)
    assert bench.tell(DIGITAL) == []
    assert bench.wait(100.0) == []
    assert bench.tell(STEADY) == []  # it sleeps again: that was another wish
    assert bench.core.state is not S.TOGGLED


def test_a_wish_before_the_plug() -> None:
    bench = Bench()
    assert bench.tell(WANTED) == []
    assert bench.tell(STEADY) == [WakeRequest()]


def test_a_car_that_wakes_chargers_by_itself() -> None:
    bench = Bench(automatic=True)
    assert bench.tell(STEADY) == []
    assert bench.wait(timing.WAKE_AFTER_S - 0.1) == []
    assert [item for _, item in bench.wait(0.1)] == [WakeRequest()]
    assert [type(item) for _, item in bench.wait(999.0)] == [WakeRequest, WakeRequest, WakeFailed]
    bench.tell(OUT, STEADY)  # the next plug-in
    assert [item for _, item in bench.wait(timing.WAKE_AFTER_S)] == [WakeRequest()]


def test_a_charger_that_is_ready_in_time_is_not_toggled_at() -> None:
    bench = Bench(automatic=True)
    bench.tell(STEADY)
    bench.wait(8.0)
    bench.tell(DIGITAL)
    assert bench.wait(999.0) == []


@pytest.mark.parametrize("end", [ENDED, STOP])
def test_after_a_session_the_charger_is_left_alone(end: Output) -> None:
    bench = Bench(automatic=True)
    bench.tell(STEADY, DIGITAL)
    bench.wait(600.0)
    bench.tell(STEADY)
    bench.wait(1.0)
    bench.tell(end)
    assert bench.wait(3600.0) == []
    assert bench.core.state is S.ASLEEP
    assert bench.tell(WANTED) == [WakeRequest()]


@pytest.mark.parametrize("end", [ENDED, STOP])
def test_a_wish_to_stop_ends_the_tries(end: Output) -> None:
    bench = Bench()
    bench.tell(STEADY, WANTED)
    bench.tell(end)
    assert bench.wait(99.0) == []


@pytest.mark.parametrize("pilot", [OUT, LOST, BUTTON, FAULT, DIGITAL, AC])
def test_what_is_no_sleeping_charger_is_not_toggled_at(pilot: InletPilotChanged) -> None:
    bench = Bench()
    bench.tell(STEADY, WANTED, pilot)
    assert bench.core.state is S.NOTHING
    assert bench.wait(99.0) == []


def test_unplugged_forgets_the_wish() -> None:
    bench = Bench()
    bench.tell(STEADY, WANTED, OUT)
    assert bench.tell(STEADY) == []
    assert bench.wait(99.0) == []
