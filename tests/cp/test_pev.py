"""The vehicle's pilot core: what it believes about the inlet, and when S2 may close."""

from __future__ import annotations

from math import inf, nan

import pytest

from controller.cp import timing
from controller.cp.pev import PevPilot
from controller.cp.proximity import Connector
from controller.signals import (
    InletPilotChanged,
    InletSample,
    Output,
    S2Request,
    SetS2,
    WakeRequest,
)

PERIOD_S = 0.005


class Bench:
    def __init__(self, connector: Connector = Connector.CCS2) -> None:
        self.pilot = PevPilot(connector)
        self.now = 5.0

    def feed(
        self,
        high_v: float,
        duty: float,
        plugged: bool = True,
        samples: int = 3,
        frequency_hz: float = 1000.0,
        ohm: float | None = None,
    ) -> list[Output]:
        out: list[Output] = []
        for _ in range(samples):
            self.now += PERIOD_S
            sample = InletSample(high_v, duty, plugged, self.now, frequency_hz, ohm)
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


# --- what a duty cycle means, and what is no pilot -----------------------------------------------


@pytest.mark.parametrize(
    ("duty", "s2_may_close", "digital"),
    [
        (0.0, False, False),
        (0.02, False, False),
        (0.029, False, False),
        (0.03, True, True),
        (0.05, True, True),
        (0.07, True, True),
        (0.071, False, False),
        (0.079, False, False),
        (0.08, True, False),
        (0.1, True, False),
        (0.5, True, False),
        (0.96, True, False),
        (0.97, True, False),
        (0.971, False, False),
        (1.0, False, False),
    ],
)
def test_windows_of_the_duty(duty: float, s2_may_close: bool, digital: bool) -> None:
    bench = Bench()
    bench.feed(8.3, duty)
    assert bench.pilot.state.is_digital is digital
    assert (bench.s2(True) == [SetS2(True)]) is s2_may_close


@pytest.mark.parametrize(
    ("frequency_hz", "duty"),
    [
        (1000.0, 0.05),
        (980.0, 0.05),
        (1020.0, 0.05),
        (979.0, 0.0),
        (1021.0, 0.0),
        (500.0, 0.0),
        (0.0, 0.0),
        (nan, 0.0),
        (inf, 0.0),
    ],
)
def test_another_frequency_is_no_pilot(frequency_hz: float, duty: float) -> None:
    bench = Bench()
    out = bench.feed(8.3, 0.05, frequency_hz=frequency_hz)
    assert out == [InletPilotChanged(True, duty, duty > 0)]


def test_a_steady_pilot_has_no_frequency() -> None:
    assert Bench().feed(8.3, 1.0, frequency_hz=0.0) == [InletPilotChanged(True, 1.0, False)]


# --- the plug ------------------------------------------------------------------------------------


def test_the_resistor_decides_where_it_is_measured() -> None:
    bench = Bench()
    assert bench.feed(8.3, 0.05, True, samples=60, ohm=1e6) == []
    assert bench.feed(8.3, 0.05, False, samples=60, ohm=1500.0) == [
        InletPilotChanged(True, 0.05, True, cable_a=13.0)
    ]
    assert bench.feed(8.3, 0.05, True, samples=20, ohm=1e6)[-1] == InletPilotChanged(
        False, 0.0, False
    )


def test_the_button_is_told_and_s2_stays_as_it_is() -> None:
    bench = Bench(Connector.CCS1)
    bench.feed(8.3, 0.05, samples=60, ohm=150.0)
    assert bench.s2(True) == [SetS2(True)]
    assert bench.feed(5.3, 0.05, samples=10, ohm=480.0) == [
        InletPilotChanged(True, 0.05, True, button=True)
    ]
    assert bench.pilot.s2_closed
    bench.s2(False)
    assert bench.s2(True) == []  # nobody begins while the button is pressed
    assert bench.feed(8.3, 0.05, samples=10, ohm=150.0) == [InletPilotChanged(True, 0.05, True)]
    assert bench.s2(True) == [SetS2(True)]


def test_a_proximity_fault_opens_s2_and_says_why() -> None:
    bench = Bench(Connector.CCS1)
    bench.feed(8.3, 0.05, samples=60, ohm=150.0)
    bench.s2(True)
    out = bench.feed(5.3, 0.05, samples=10, ohm=1000.0)
    assert out[0] == SetS2(False)
    told = out[1]
    assert isinstance(told, InletPilotChanged)
    assert told.plugged
    assert not told.digital
    assert "1000 Ohm is no CCS1 plug" in told.fault
    assert bench.s2(True) == []
    bench.feed(5.3, 0.05, samples=10, ohm=nan)
    assert "what is measured" in bench.pilot.fault


# --- S2 that does not do what it is told ---------------------------------------------------------


@pytest.mark.parametrize(("closed", "high_v"), [(True, 8.3), (False, 5.3), (False, 2.3)])
def test_s2_that_does_not_switch(closed: bool, high_v: float) -> None:
    bench = Bench()
    bench.feed(8.3, 0.05)
    if closed:
        bench.s2(True)
    out = bench.feed(high_v, 0.05, samples=200)
    told = out[-1]
    assert isinstance(told, InletPilotChanged)
    assert told.fault.startswith(f"S2 does not {'close' if closed else 'open'}: ")
    assert (SetS2(False) in out) is closed
    assert bench.s2(True) == []
    assert not bench.pilot.is_pending
    bench.feed(8.3, 0.05, samples=200)
    assert bench.pilot.fault  # until unplugged
    bench.feed(0.0, 0.0, False)
    bench.feed(8.3, 0.05)
    assert bench.pilot.fault == ""
    assert bench.s2(True) == [SetS2(True)]


def test_s2_that_switches_is_no_fault() -> None:
    bench = Bench()
    bench.feed(8.3, 0.05)
    for closed, high_v in [(True, 5.3), (False, 8.3)] * 20:
        bench.s2(closed)
        assert bench.feed(8.3 if closed else 5.3, 0.05, samples=20) == []  # a slow detector
        assert bench.feed(high_v, 0.05, samples=120) == []
    assert bench.pilot.fault == ""


def test_a_dip_is_no_fault() -> None:
    bench = Bench()
    bench.feed(8.3, 0.05)
    for _ in range(10):
        bench.feed(5.3, 0.05, samples=90)
        bench.feed(8.3, 0.05, samples=1)
    assert bench.pilot.fault == ""


# --- waking a charger ----------------------------------------------------------------------------


def wake(bench: Bench) -> list[Output]:
    return bench.pilot.receive_signal(WakeRequest(), bench.now)


def test_one_toggle() -> None:
    bench = Bench()
    bench.feed(8.3, 1.0)
    assert wake(bench) == [SetS2(True)]
    began = bench.now
    out: list[Output] = []
    while not out:
        bench.now += 0.001
        due = bench.pilot.next_timer()
        assert due is not None
        if due <= bench.now:
            out = bench.pilot.handle_timer(bench.now)
        bench.pilot.receive_sample(InletSample(5.3, 1.0, True, bench.now), bench.now)
    assert out == [SetS2(False)]
    assert bench.now - began == pytest.approx(timing.WAKE_C_S, abs=0.002)
    assert 0.2 <= timing.WAKE_C_S <= 0.4
    assert bench.pilot.next_timer() is None


def test_toggles_need_their_pause() -> None:
    bench = Bench()
    bench.feed(8.3, 1.0)
    wake(bench)
    bench.pilot.handle_timer(bench.now + timing.WAKE_C_S)
    bench.feed(8.3, 1.0, samples=int((timing.WAKE_PAUSE_S - 0.1) / PERIOD_S))
    assert wake(bench) == []
    bench.feed(8.3, 1.0, samples=40)
    assert wake(bench) == [SetS2(True)]


@pytest.mark.parametrize(
    ("high_v", "duty", "plugged"),
    [(8.3, 0.05, True), (8.3, 0.5, True), (0.0, 0.0, True), (8.3, 1.0, False), (8.3, 0.98, True)],
)
def test_only_a_charger_that_rests_is_woken(high_v: float, duty: float, plugged: bool) -> None:
    bench = Bench()
    bench.feed(high_v, duty, plugged)
    assert wake(bench) == []


@pytest.mark.parametrize("how", ["stale", "button", "pending", "fault"])
def test_no_toggle_in_doubt(how: str) -> None:
    bench = Bench(Connector.CCS1)
    bench.feed(8.3, 1.0, samples=60, ohm=150.0)
    if how == "stale":
        bench.now += timing.INLET_STALE_S + 0.001
    elif how == "button":
        bench.feed(8.3, 1.0, samples=10, ohm=480.0)
    elif how == "pending":
        bench.feed(0.0, 0.0, samples=1, ohm=150.0)
    else:
        bench.feed(5.3, 1.0, samples=200, ohm=150.0)
    assert wake(bench) == []


@pytest.mark.parametrize(
    ("high_v", "duty", "plugged"), [(0.0, 0.0, True), (8.3, 1.0, False), (5.3, 0.02, True)]
)
def test_a_toggle_ends_with_the_pilot(high_v: float, duty: float, plugged: bool) -> None:
    bench = Bench()
    bench.feed(8.3, 1.0)
    wake(bench)
    assert bench.feed(high_v, duty, plugged)[0] == SetS2(False)
    assert bench.pilot.next_timer() is None


def test_a_charger_that_wakes_up_ends_no_toggle_early() -> None:
    bench = Bench()
    bench.feed(8.3, 1.0)
    wake(bench)
    assert bench.feed(5.3, 0.05) == [InletPilotChanged(True, 0.05, True)]
    assert bench.pilot.s2_closed
    assert bench.pilot.handle_timer(bench.pilot.next_timer() or 0.0) == [SetS2(False)]
    assert bench.s2(True) == [SetS2(True)]


def test_a_toggle_ends_when_samples_stop_or_somebody_says_so() -> None:
    bench = Bench()
    bench.feed(8.3, 1.0)
    wake(bench)
    assert bench.pilot.next_timer() == pytest.approx(bench.now + timing.INLET_STALE_S)
    assert bench.s2(False) == [SetS2(False)]
