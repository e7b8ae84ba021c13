"""Pilot voltages to letters: every band edge, every gap from every side, when it is believed."""

from __future__ import annotations

from math import inf, nan

import pytest

from controller.cp import levels, timing
from controller.cp.levels import Debounce, Level, classify, keep_band

A, B, C, D, E, F = Level
STEP = 1e-6

BANDS = [
    # lowest, highest, level
    (11.0, 13.0, A),
    (8.0, 10.0, B),
    (5.0, 7.0, C),
    (2.0, 4.0, D),
    (-1.0, 1.999, E),
    (-13.0, -11.0, F),
]


@pytest.mark.parametrize(("low", "high", "level"), BANDS)
@pytest.mark.parametrize("previous", [None, *Level])
def test_inside_its_band_a_level_needs_no_history(
    low: float, high: float, level: Level, previous: Level | None
) -> None:
    for voltage in (low, (low + high) / 2, high):
        assert classify(voltage, previous) is level


@pytest.mark.parametrize(
    ("voltage", "above", "below", "otherwise"),
    [
        (10.5, A, B, B),
        (7.5, B, C, B),
        (4.5, C, D, D),
        (-5.0, E, F, E),
    ],
)
def test_a_gap_keeps_its_neighbours_and_else_permits_less(
    voltage: float, above: Level, below: Level, otherwise: Level
) -> None:
    for previous in [None, *Level]:
        expected = previous if previous in (above, below) else otherwise
        assert classify(voltage, previous) is expected, previous


@pytest.mark.parametrize(
    ("voltage", "previous", "level"),
    [
        (10.0 + STEP, A, A),
        (11.0 - STEP, B, B),
        (7.0 + STEP, C, C),
        (7.0 + STEP, B, B),
        (8.0 - STEP, C, C),
        (4.0 + STEP, D, D),
        (5.0 - STEP, C, C),
        (2.0 - STEP, D, E),
        (-1.0 - STEP, F, F),
        (-11.0 + STEP, E, E),
        (13.0 + STEP, A, E),
        (-13.0 - STEP, F, E),
        (inf, A, E),
        (-inf, F, E),
        (nan, C, E),
    ],
)
def test_edges(voltage: float, previous: Level, level: Level) -> None:
    assert classify(voltage, previous) is level


@pytest.mark.parametrize("level", list(Level))
def test_within_its_keep_band_a_level_stays(level: Level) -> None:
    low, high = keep_band(level)
    steps = 500
    for i in range(1, steps):
        assert classify(low + (high - low) * i / steps, level) is level
    assert classify(low - STEP, level) is not level
    assert classify(high + STEP, level) is not level


@pytest.mark.parametrize(
    ("low_v", "ok"),
    [(-12.0, True), (-13.0, True), (-11.0, True), (-13.01, False), (-10.99, False), (nan, False)],
)
def test_negative_peak(low_v: float, ok: bool) -> None:
    assert levels.negative_peak_ok(low_v) is ok


def fed(period_s: float, *readings: Level) -> Debounce:
    debounce = Debounce()
    debounce.put(B, 0.0)
    debounce.put(B, 1.0)
    for i, level in enumerate(readings):
        debounce.put(level, 2.0 + i * period_s)
    return debounce


def test_the_first_level_needs_two_readings_as_well() -> None:
    debounce = Debounce()
    assert not debounce.put(C, 0.0)
    assert debounce.level is None
    assert debounce.put(C, 0.005)
    assert debounce.level is C


@pytest.mark.parametrize(
    ("period_s", "readings"), [(0.005, 2), (0.010, 2), (0.020, 2), (0.001, 5), (0.002, 3)]
)
def test_a_level_is_believed_by_time_at_any_period(period_s: float, readings: int) -> None:
    assert fed(period_s, *[C] * (readings - 1)).level is B
    assert fed(period_s, *[C] * readings).level is C


def test_a_single_sample_is_a_glitch() -> None:
    debounce = fed(0.005, E, B, B)
    assert (debounce.level, debounce.glitches, debounce.is_pending) == (B, 1, False)
    assert fed(0.005, E, C, C).level is C
    assert fed(0.005, E, C, C).glitches == 1


def test_an_unsteady_pilot_leaves_c_but_never_enters_it() -> None:
    leaving = fed(0.005, C, C, *[B, C] * 4)
    assert leaving.level is B
    assert fed(0.005, *[C, B] * 20).level is B
    assert fed(0.005, D, D, *[C, D] * 20).level is D
    assert fed(0.005, C, C, *[D, C] * 20).level is D
    assert fed(0.005, C, C, B, C, C, B, C, C, B, C, C).level is C  # single glitches


def test_without_further_readings_c_ends_by_itself() -> None:
    debounce = fed(0.005, C, C)
    assert debounce.give_up_at is None
    debounce.put(B, 3.0)
    assert debounce.give_up_at == 3.0 + timing.UNSTEADY_S
    assert not debounce.expire(3.0 + timing.UNSTEADY_S - 0.001)
    assert debounce.expire(3.0 + timing.UNSTEADY_S)
    assert debounce.level is B


def test_other_levels_wait_for_readings() -> None:
    debounce = fed(0.005, A)
    assert debounce.give_up_at is None
    assert not debounce.expire(100.0)
    settled = fed(0.005, C, C)
    assert not settled.expire(100.0)
