"""Duty and frequency from edges: against a generator that knows, with everything that disturbs."""

from __future__ import annotations

import itertools
import random
from math import nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.cp import edges
from controller.cp.edges import EdgeMeter, Line, TickClock, is_pilot_frequency

WRAP = 2**32
Edge = tuple[int, float]
"""Level after it, and time in us."""


def pilot(
    duty: float, frequency_hz: float = 1000.0, cycles: int = 20, start: float = 10_000.0
) -> list[Edge]:
    """Edges of a perfect pilot: the reference."""
    period = 1e6 / frequency_hz
    out: list[Edge] = []
    for n in range(cycles):
        rise = start + n * period
        out += [(1, rise), (0, rise + duty * period)]
    return [*out, (1, start + cycles * period)]


def sampled(line: list[Edge], step: int = 5, phase: int = 0) -> list[Edge]:
    """Stamp each edge with the next sampling of the line, as the pigpio daemon does."""
    return [(level, -((-at + phase) // step) * step + phase) for level, at in line]


def measure(line: list[Edge], wraps: bool = False, level: int | None = 0) -> EdgeMeter:
    meter = EdgeMeter(wraps=wraps)
    if line:
        before = line[0][1] - 5000
        meter.quiet(level, before % WRAP if wraps else before)
    for after, at in line:
        meter.edge(after, int(at) % WRAP if wraps else at)
    return meter


def end(meter: EdgeMeter, line: list[Edge], later_us: float = 20.0, wraps: bool = False) -> None:
    at = line[-1][1] + later_us
    meter.quiet(line[-1][0], int(at) % WRAP if wraps else at)


# --- a pilot -------------------------------------------------------------------------------------


@pytest.mark.parametrize("duty", [0.03, 0.05, 0.07, 0.08, 0.1, 0.2667, 0.5, 0.85, 0.96, 0.97])
@pytest.mark.parametrize("frequency_hz", [980.0, 995.0, 1000.0, 1013.7, 1020.0])
def test_a_perfect_pilot(duty: float, frequency_hz: float) -> None:
    line = pilot(duty, frequency_hz)
    meter = measure(line)
    end(meter, line)
    timing = meter.timing()
    assert timing.line is Line.OSCILLATING
    assert timing.duty == pytest.approx(duty, abs=1e-6)
    assert timing.frequency_hz == pytest.approx(frequency_hz, abs=1e-3)
    assert timing.age_us == pytest.approx(20.0)
    assert (meter.glitches, meter.missed) == (0, 0)


@given(
    duty=st.floats(0.03, 0.97),
    frequency_hz=st.floats(980, 1020),
    phase=st.integers(0, 4),
    start=st.integers(0, WRAP - 1),
)
def test_sampled_every_5_us_and_wrapping(
    duty: float, frequency_hz: float, phase: int, start: int
) -> None:
    line = sampled(pilot(duty, frequency_hz, start=start), phase=phase)
    meter = measure(line, wraps=True)
    end(meter, line, wraps=True)
    timing = meter.timing()
    assert timing.line is Line.OSCILLATING
    assert timing.duty == pytest.approx(duty, abs=0.0052)
    assert timing.frequency_hz == pytest.approx(frequency_hz, abs=1.0)
    assert meter.missed == meter.glitches == 0


def test_the_stamps_wrap_in_the_middle() -> None:
    line = pilot(0.05, start=WRAP - 5_000.0)
    meter = measure(line, wraps=True)
    end(meter, line, wraps=True)
    assert meter.timing().duty == pytest.approx(0.05, abs=1e-3)
    assert meter.timing().heard_at_us == pytest.approx(line[-1][1] + 20.0, abs=1.0)


def test_the_window_is_as_exact_as_it_says() -> None:
    for frequency_hz in (980.0, 1000.0, 1020.0):
        for phase in range(5):
            line = sampled(pilot(0.05, frequency_hz), phase=phase)
            meter = measure(line)
            end(meter, line)
            assert abs(meter.timing().frequency_hz - frequency_hz) <= 0.5


# --- disturbed -----------------------------------------------------------------------------------


@given(seed=st.integers(0, 10_000), duty=st.sampled_from([0.05, 0.1, 0.5, 0.9]))
def test_jitter(seed: int, duty: float) -> None:
    rng = random.Random(seed)
    line = [(level, at + rng.uniform(-8, 8)) for level, at in pilot(duty)]
    meter = measure(line)
    end(meter, line)
    timing = meter.timing()
    assert timing.line is Line.OSCILLATING
    assert timing.duty == pytest.approx(duty, abs=0.012)
    assert timing.frequency_hz == pytest.approx(1000.0, abs=3.0)


@given(seed=st.integers(0, 10_000), duty=st.sampled_from([0.05, 0.3, 0.9]))
def test_some_edges_are_never_told_of(seed: int, duty: float) -> None:
    rng = random.Random(seed)
    line = pilot(duty, cycles=25)
    kept = [e for e in line if rng.random() > 0.05]
    meter = measure(kept)
    end(meter, kept)
    timing = meter.timing()
    if timing.line is Line.OSCILLATING:  # never a wrong value; too few is the other answer
        assert timing.duty == pytest.approx(duty, abs=1e-3)
        assert timing.frequency_hz == pytest.approx(1000.0, abs=0.1)
    if len(line) - len(kept) <= 2:
        assert timing.line is Line.OSCILLATING


@pytest.mark.parametrize("lost", [(11,), (12,), (11, 12), (11, 14), (12, 13, 20)])
def test_each_kind_of_lost_edge(lost: tuple[int, ...]) -> None:
    line = [e for n, e in enumerate(pilot(0.05)) if n not in lost]
    meter = measure(line)
    end(meter, line)
    assert meter.timing().line is Line.OSCILLATING
    assert meter.timing().duty == pytest.approx(0.05, abs=1e-6)
    assert meter.timing().frequency_hz == pytest.approx(1000.0, abs=1e-3)


@given(seed=st.integers(0, 10_000), duty=st.sampled_from([0.05, 0.5, 0.95]))
def test_glitches_are_taken_out(seed: int, duty: float) -> None:
    rng = random.Random(seed)
    line: list[Edge] = []
    clean = pilot(duty)
    for (level, at), (_, following) in itertools.pairwise(clean):
        line.append((level, at))
        width = rng.uniform(1, 12)
        when = at + rng.uniform(20, 25)
        if rng.random() < 0.3 and when + width + 16 < following:
            line += [(1 - level, when), (level, when + width)]
    meter = measure(line)
    end(meter, line)
    assert meter.timing().duty == pytest.approx(duty, abs=1e-6)
    assert meter.timing().line is Line.OSCILLATING
    assert meter.glitches == (len(line) - len(clean) + 1) // 2


def test_an_edge_that_bounces_is_one_edge() -> None:
    line: list[Edge] = []
    for level, at in pilot(0.05):
        line += [(level, at), (1 - level, at + 2), (level, at + 4)]
    meter = measure(line)
    end(meter, line)
    assert meter.timing().duty == pytest.approx(0.05, abs=1e-6)


def test_without_the_filter_a_short_pulse_counts() -> None:
    meter = EdgeMeter(glitch_us=0)
    for level, at in pilot(0.01):
        meter.edge(level, at)
    assert meter.timing().duty == pytest.approx(0.01)
    assert measure(pilot(0.01)).timing().line is Line.LOW


def test_lost_reports_cost_one_cycle() -> None:
    meter = EdgeMeter()
    for n, (level, at) in enumerate(pilot(0.05)):
        if n == 21:
            meter.lost()
        meter.edge(level, at)
    assert meter.missed == 1
    assert meter.timing().duty == pytest.approx(0.05)


def test_a_clock_that_goes_back_begins_anew() -> None:
    meter = measure(pilot(0.05, start=9e6))
    for level, at in pilot(0.5, start=2e6):
        meter.edge(level, at)
    assert meter.timing().duty == pytest.approx(0.5)


# --- steady, starting, stopping ------------------------------------------------------------------


@pytest.mark.parametrize(("level", "line"), [(0, Line.LOW), (1, Line.HIGH)])
def test_steady_from_the_start(level: int, line: Line) -> None:
    meter = EdgeMeter()
    assert meter.timing().line is Line.UNKNOWN
    meter.quiet(None, 1000)
    assert meter.timing().line is Line.UNKNOWN
    meter.quiet(level, 2000)
    meter.quiet(level, 2000 + edges.STEADY_US + 1)
    assert meter.timing().line is line
    assert meter.timing().duty == float(level)
    assert meter.timing().frequency_hz == 0.0


@pytest.mark.parametrize("last", [0, 1])
def test_an_oscillator_that_stops(last: int) -> None:
    line = pilot(0.5)
    line = line if last else line[:-1]
    meter = measure(line)
    at = line[-1][1]
    meter.quiet(None, at + edges.STEADY_US - 1)
    assert meter.timing().line is Line.OSCILLATING
    assert meter.timing().age_us >= edges.STEADY_US - 1
    meter.quiet(None, at + edges.STEADY_US + 1)
    assert meter.timing().line is (Line.HIGH if last else Line.LOW)
    assert meter.timing().duty == float(last)


def test_an_oscillator_that_starts_is_steady_until_it_is_measured() -> None:
    meter = EdgeMeter()
    meter.quiet(1, 0)
    meter.quiet(1, 99_000)
    seen = []
    for level, at in [(0, 99_050.0), *pilot(0.05, start=100_000.0)]:
        meter.edge(level, at)
        seen.append(meter.timing().line)
        if seen[-1] is Line.OSCILLATING:
            assert meter.timing().duty == pytest.approx(0.05)
    assert set(seen) == {Line.HIGH, Line.OSCILLATING}
    assert seen.index(Line.OSCILLATING) <= 9


def test_steady_for_longer_than_the_stamps_last() -> None:
    """A fall 71.6 minutes ago and a rise now make no cycle, whatever their stamps say."""
    meter = EdgeMeter(wraps=True)
    for level, at in pilot(0.5, start=0.0)[:-1]:
        meter.edge(level, int(at))
    meter.timing()
    for second in range(0, 4300, 600):
        meter.quiet(0, (20_000 + second * 1_000_000) % WRAP)
    assert meter.timing().line is Line.LOW
    meter.edge(1, 21_000)
    meter.edge(0, 21_500)
    meter.quiet(0, 21_600)
    assert meter.timing().line is Line.LOW


def test_a_step_of_the_duty_has_no_values_between() -> None:
    before, after = pilot(0.05, cycles=15), pilot(0.53, cycles=15, start=25_000.0)
    meter = EdgeMeter()
    seen: set[float] = set()
    for level, at in [*before[:-1], *after]:
        meter.edge(level, at)
        if meter.timing().line is Line.OSCILLATING:
            seen.add(round(meter.timing().duty, 3))
    assert seen == {0.05, 0.53}


def test_a_ramp_is_followed() -> None:
    meter = EdgeMeter()
    worst = 0.0
    for n in range(400):
        duty = 0.1 + n * 0.002
        rise = 10_000.0 + n * 1000
        meter.edge(1, rise)
        meter.edge(0, rise + duty * 1000)
        if n > 20:
            worst = max(worst, abs(meter.timing().duty - duty))
    assert worst < 0.002 * (edges.WINDOW_CYCLES + 2)


def test_only_rising_edges_are_no_pilot() -> None:
    meter = measure(pilot(0.05))
    for n in range(40):
        meter.edge(1, 31_000.0 + n * 1000)
    assert meter.timing().line is Line.IRREGULAR
    assert meter.timing().duty == 0.0


@given(seed=st.integers(0, 10_000))
def test_noise_is_no_pilot(seed: int) -> None:
    rng = random.Random(seed)
    meter = EdgeMeter()
    at = 10_000.0
    for n in range(200):
        at += rng.uniform(1, 2500)
        meter.edge(n % 2, at)
    timing = meter.timing()
    assert timing.line is not Line.OSCILLATING or not is_pilot_frequency(timing.frequency_hz)


def test_another_rhythm_is_measured_and_left_to_others_to_judge() -> None:
    for frequency_hz in (300.0, 500.0, 900.0, 1100.0, 5000.0):
        timing = measure(pilot(0.5, frequency_hz)).timing()
        assert timing.line is Line.OSCILLATING
        assert timing.frequency_hz == pytest.approx(frequency_hz)
        assert not is_pilot_frequency(timing.frequency_hz)


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, WRAP - 1), st.booleans()), max_size=60))
def test_whatever_is_told_nothing_breaks(news: list[tuple[int, int, bool]]) -> None:
    meter = EdgeMeter(wraps=True)
    heard = 0.0
    for n, (level, at, is_edge) in enumerate(news):
        (meter.edge if is_edge else meter.quiet)(level, at)
        timing = meter.timing()
        assert 0.0 <= timing.duty <= 1.0
        assert timing.age_us >= 0.0
        assert n == 0 or timing.heard_at_us >= heard
        heard = timing.heard_at_us


@pytest.mark.parametrize(
    ("frequency_hz", "is_one"),
    [(0.0, 0), (979.0, 0), (980.0, 1), (1000.0, 1), (1020.0, 1), (1021.0, 0), (nan, 0)],
)
def test_which_frequency_is_a_pilot(frequency_hz: float, is_one: int) -> None:
    assert is_pilot_frequency(frequency_hz) is bool(is_one)


# --- whose clock ---------------------------------------------------------------------------------


def test_news_that_came_late_is_known_to_be_old() -> None:
    clock = TickClock()
    for n in range(200):
        late = 0.0002 if n != 150 else 0.080
        now = 1000.0 + n * 0.01
        own = clock.at((n * 0.01 + 7.0) * 1e6, now + late)
        assert own == pytest.approx(now + 0.0002, abs=0.0004)


def test_clocks_that_drift_apart() -> None:
    for drift in (-100e-6, 100e-6):
        clock = TickClock()
        for n in range(20_000):
            now = n * 0.01
            own = clock.at(now * (1 + drift) * 1e6, now + 0.0001)
            assert abs(own - now) < 0.0015


def test_news_from_the_future_is_forgotten() -> None:
    clock = TickClock()
    for n in range(2000):
        now = 50.0 + n * 0.01
        ahead_s = 0.3 if n == 400 else 0.0
        own = clock.at((now + ahead_s) * 1e6, now + 0.0001)
        if n < 400 or n > 400 + 2 * 100 * TickClock.WINDOW_S:
            assert own == pytest.approx(now, abs=0.001)
        else:
            assert own <= now + 0.001  # older than it is: the safe side
