"""Random traces - noise, glitches, ramps, gaps, at any period - against the slow reference."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.cp import limits, timing
from controller.cp.evse import EvsePilot
from controller.signals import DutyRequest, PilotChanged, PilotFault, PilotSample, SetDuty
from tests.cp.reference import Reading, judge

if TYPE_CHECKING:
    from controller.signals import Output

LEVELS_V = (12.0, 9.0, 6.0, 3.0, 0.0, -12.0, 10.5, 7.5, 4.5, 1.5, -6.0, 13.5, 10.0, 8.0, 7.0, 5.0)


class Play:
    """Feeds a core and keeps the history for the reference."""

    def __init__(self, period_s: float, seed: int) -> None:
        self.pilot = EvsePilot()
        self.period_s = period_s
        self.rng = random.Random(seed)
        self.now = 10.0
        self.duty, self.driven_since = 1.0, -1.0
        self.history: list[Reading] = []

    def obey(self, out: list[Output]) -> None:
        for item in out:
            if isinstance(item, SetDuty):
                self.duty, self.driven_since = item.duty, self.now
            elif isinstance(item, PilotChanged):
                assert (item.duty, item.fault) == (self.pilot.duty, self.pilot.fault)

    def wait(self, seconds: float) -> None:
        until = self.now + seconds
        while (due := self.pilot.next_timer()) is not None and due <= until:
            self.now = max(self.now, due)
            self.obey(self.pilot.handle_timer(self.now))
        self.now = until

    def wish(self, duty: float) -> None:
        self.obey(self.pilot.receive_signal(DutyRequest(duty), self.now))

    def read(self, high_v: float, low_v: float) -> None:
        self.wait(self.period_s)
        self.history.append(Reading(self.now, high_v, low_v, self.duty, self.driven_since))
        self.obey(self.pilot.receive_sample(PilotSample(high_v, low_v, self.now), self.now))
        self.compare()

    def compare(self) -> None:
        verdict, pilot = judge(self.history), self.pilot
        letter = pilot.state.letter if verdict.letter else ""
        assert (letter, pilot.diode_ok, pilot.diode_fault) == (
            verdict.letter,
            verdict.diode_ok,
            verdict.diode_fault,
        ), self.history[-12:]
        assert pilot.glitches == verdict.glitches, self.history[-12:]
        if verdict.power_since is None:
            assert pilot.power_since == float("inf")
        else:
            assert pilot.power_since == pytest.approx(verdict.power_since)
        self.check_safety()

    def check_safety(self) -> None:
        """Say what must hold whatever the trace is."""
        pilot = self.pilot
        if pilot.diode_ok:
            assert not pilot.diode_fault
            assert pilot.state.letter != "A"
        if pilot.fault in (PilotFault.SHORT, PilotFault.RANGE, PilotFault.SUPPLY):
            assert pilot.held
        if pilot.held:
            assert not pilot.is_oscillating
        if pilot.state.letter == "A":
            assert not pilot.held


Segment = tuple[str, float, float, int, float, str]
"""Kind, volts, volts at its end, readings, noise, low phase."""
SEGMENTS = st.lists(
    st.tuples(
        st.sampled_from(["hold", "ramp", "glitches", "chatter", "gap", "duty"]),
        st.sampled_from(LEVELS_V) | st.floats(-14.0, 14.0),
        st.sampled_from(LEVELS_V),
        st.integers(1, 14),
        st.sampled_from([0.0, 0.05, 0.5, 1.2]),
        st.sampled_from(["diode", "mirror", "missing", "noisy"]),
    ),
    min_size=1,
    max_size=10,
)
DUTIES = (0.05, 1.0, 0.5, 0.0, 0.05, 0.05)


def play(segments: list[Segment], period_s: float, seed: int) -> Play:
    p = Play(period_s, seed)
    for kind, volts, end_v, count, noise_v, low in segments:
        if kind == "gap":
            p.wait(count * 0.02)
        elif kind == "duty":
            p.wish(DUTIES[count % len(DUTIES)])
        else:
            for index in range(count):
                high_v = _voltage(p.rng, kind, volts, end_v, index / count)
                high_v += p.rng.uniform(-noise_v, noise_v)
                p.read(high_v, _low(p, low, high_v))
    return p


def _voltage(rng: random.Random, kind: str, volts: float, end_v: float, part: float) -> float:
    if kind == "ramp":
        return volts + (end_v - volts) * part
    if kind == "glitches":
        return end_v if rng.random() < 0.2 else volts
    if kind == "chatter":
        return rng.choice((volts, end_v))
    return volts


def _low(p: Play, low: str, high_v: float) -> float:
    if not 0.0 < p.duty < 1.0:
        return high_v
    if low == "noisy":
        return p.rng.choice((-12.0, -12.0, -12.0, -9.0))
    return {"diode": -12.0, "mirror": -high_v, "missing": 0.0}[low]


@settings(max_examples=150, deadline=None)
@given(SEGMENTS, st.sampled_from([0.001, 0.005, 0.02]), st.integers(0, 2**32))
def test_any_trace(segments: list[Segment], period_s: float, seed: int) -> None:
    play(segments, period_s, seed)


@settings(max_examples=60, deadline=None)
@given(SEGMENTS, st.integers(0, 2**32))
def test_any_trace_of_a_vehicle_with_oscillator(segments: list[Segment], seed: int) -> None:
    """The same behind a session's beginning, so that diode and toggles are in play."""
    begin: list[Segment] = [
        ("hold", 12.0, 0.0, 3, 0.05, "diode"),
        ("hold", 9.0, 0.0, 3, 0.05, "diode"),
        ("duty", 0.0, 0.0, 6, 0.0, "diode"),
        ("hold", 9.0, 0.0, 8, 0.05, "diode"),
        ("hold", 6.0, 0.0, 4, 0.05, "diode"),
    ]
    play(begin + segments, 0.005, seed)


@pytest.mark.parametrize("period_s", [0.001, 0.005, 0.02])
def test_noise_within_the_accuracy_is_never_believed(period_s: float) -> None:
    p = Play(period_s, 1)
    for volts in (12.0, 9.0, 6.0, 3.0, 6.0, 9.0, 12.0):
        for _ in range(60):
            p.read(volts + p.rng.uniform(-0.9, 0.9), volts)
    assert p.pilot.glitches == 0


@pytest.mark.parametrize(("period_s", "latest_s"), [(0.001, 0.006), (0.005, 0.010), (0.02, 0.04)])
def test_how_soon_a_level_is_believed(period_s: float, latest_s: float) -> None:
    """Two equal readings: 10 ms at the period of 5 ms, counted from the edge."""
    for volts, letter in ((9.0, "B"), (6.0, "C"), (3.0, "D"), (0.0, "E"), (-12.0, "F")):
        p = Play(period_s, 1)
        for _ in range(20):
            p.read(12.0, 12.0)
        edge_at = p.now
        while p.pilot.state.letter != letter:
            p.read(volts, volts)
        assert p.now - edge_at <= latest_s + 1e-9
        assert p.now - edge_at >= timing.DEBOUNCE_S


def test_the_references_figures_are_the_packages() -> None:
    assert limits.LEVEL_C_V == (5.0, 7.0)
    assert (timing.DEBOUNCE_S, timing.UNSTEADY_S) == (0.004, 0.025)
    assert (timing.DIODE_DEBOUNCE_S, timing.DIODE_SETTLE_S) == (0.009, 0.020)
