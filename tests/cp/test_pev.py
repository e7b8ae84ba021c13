"""The vehicle's pilot core: what it believes about the inlet, and when S2 may close."""

from __future__ import annotations

from math import nan

import pytest

from controller.cp import timing
from controller.cp.pev import PevPilot
from controller.signals import InletPilotChanged, InletSample, Output, S2Request, SetS2

PERIOD_S = 0.005


class Bench:
    def __init__(self) -> None:
        self.pilot = PevPilot()
        self.now = 5.0

    def feed(
        self, high_v: float, duty: float, plugged: bool = True, samples: int = 3
    ) -> list[Output]:
        out: list[Output] = []
        for _ in range(samples):
            self.now += PERIOD_S
            sample = InletSample(high_v, duty, plugged, self.now)
            out += self.pilot.receive_sample(sample, self.now)
        return out

    def s2(self, closed: bool) -> list[Output]:
        return self.pilot.receive_signal(S2Request(closed), self.now)


@pytest.mark.parametrize(
    ("high_v", "duty", "plugged", "seen_duty", "digital"),
    [
        (8.3, 1.0, True, 1.0, False),
        (8.3, 0.05, True, 0.05, True),
        (8.3, 0.03, True, 0.03, True),
        (8.3, 0.07, True, 0.07, True),
        (8.3, 0.029, True, 0.029, False),
        (8.3, 0.071, True, 0.071, False),
        (8.3, 0.5, True, 0.5, False),
        (5.3, 0.05, True, 0.05, True),
        (1.4, 0.05, True, 0.0, False),
        (13.1, 0.05, True, 0.0, False),
        (nan, 0.05, True, 0.0, False),
        (8.3, nan, True, 0.0, False),
        (8.3, 1.2, True, 0.0, False),
    ],
)
def test_what_arrives(
    high_v: float, duty: float, plugged: bool, seen_duty: float, digital: bool
) -> None:
    assert Bench().feed(high_v, duty, plugged) == [InletPilotChanged(plugged, seen_duty, digital)]


def test_unplugged_is_the_start_and_no_news() -> None:
    assert Bench().feed(8.3, 0.05, plugged=False) == []


def test_two_readings_and_single_glitches() -> None:
    bench = Bench()
    assert bench.feed(8.3, 0.05, samples=1) == []
    assert bench.pilot.is_pending
    assert len(bench.feed(8.3, 0.05, samples=1)) == 1
    assert bench.feed(0.0, 0.0, samples=1) == []
    assert bench.feed(8.3, 0.05) == []
    assert bench.pilot.glitches == 1


def test_small_changes_of_the_duty_are_noise() -> None:
    bench = Bench()
    bench.feed(8.3, 0.05)
    assert bench.feed(8.3, 0.054) == []
    assert bench.feed(8.3, 0.06) == [InletPilotChanged(True, 0.06, True)]


@pytest.mark.parametrize(
    ("high_v", "duty", "plugged"),
    [(8.3, 0.05, False), (0.0, 0.0, True), (8.3, 1.0, True), (8.3, 0.02, True), (nan, nan, True)],
)
def test_s2_opens_when_plug_or_pilot_goes(high_v: float, duty: float, plugged: bool) -> None:
    bench = Bench()
    bench.feed(8.3, 0.05)
    assert bench.s2(True) == [SetS2(True)]
    assert bench.feed(high_v, duty, plugged)[0] == SetS2(False)
    bench.feed(8.3, 0.05)
    assert not bench.pilot.s2_closed  # the wish is forgotten


@pytest.mark.parametrize(("high_v", "duty"), [(8.3, 1.0), (0.0, 0.0), (8.3, 0.02), (8.3, 0.98)])
def test_s2_needs_an_oscillating_pilot(high_v: float, duty: float) -> None:
    bench = Bench()
    bench.feed(high_v, duty)
    assert bench.s2(True) == []


def test_s2_needs_a_plug_and_fresh_samples() -> None:
    bench = Bench()
    assert bench.s2(True) == []
    bench.feed(8.3, 0.05)
    bench.now += timing.INLET_STALE_S + 0.001
    assert bench.s2(True) == []


def test_s2_closes_once_and_opens_once() -> None:
    bench = Bench()
    bench.feed(8.3, 0.05)
    assert bench.s2(True) == [SetS2(True)]
    assert bench.s2(True) == []
    assert bench.s2(False) == [SetS2(False)]
    assert bench.s2(False) == []


def test_lost_stays_lost_while_it_flickers_between_kinds_of_lost() -> None:
    bench = Bench()
    bench.feed(8.3, 0.05)
    bench.s2(True)
    out = bench.feed(8.3, 1.0, samples=1) + bench.feed(0.0, 0.0, samples=1)
    assert out[0] == SetS2(False)


def test_s2_opens_when_samples_stop() -> None:
    bench = Bench()
    bench.feed(8.3, 0.05)
    assert bench.pilot.next_timer() is None
    assert bench.pilot.handle_timer(bench.now + 99.0) == []
    bench.s2(True)
    due = bench.pilot.next_timer()
    assert due is not None
    assert due == pytest.approx(bench.now + timing.INLET_STALE_S)
    assert bench.pilot.handle_timer(due - 0.001) == []
    assert bench.pilot.handle_timer(due) == [SetS2(False)]


@pytest.mark.parametrize("taken_at", [5.005, 4.0, 9.0, nan])
def test_a_stale_or_future_sample_is_no_sample(taken_at: float) -> None:
    bench = Bench()
    bench.feed(8.3, 0.05, samples=1)
    assert bench.pilot.receive_sample(InletSample(8.3, 0.05, True, taken_at), 5.1) == []
    assert bench.pilot.sample_at == 5.005
