"""Clamps and figures of the DC output, densely around every limit."""

from __future__ import annotations

from math import inf, nan

import pytest

from controller.power import limits
from controller.power.limits import Clamped, clamp
from controller.signals import PowerEnvelope

ENVELOPE = PowerEnvelope(150.0, 500.0, 0.0, 125.0, 50_000.0)


@pytest.mark.parametrize(
    ("asked", "measured_v", "clamped"),
    [
        ((400.0, 100.0), 400.0, Clamped(400.0, 100.0)),
        ((500.0, 100.0), 500.0, Clamped(500.0, 100.0)),
        ((500.1, 100.0), 400.0, Clamped(500.0, 100.0, voltage_limited=True)),
        ((400.0, 125.0), 400.0, Clamped(400.0, 125.0)),
        ((400.0, 125.1), 400.0, Clamped(400.0, 125.0, current_limited=True)),
        ((400.0, 125.0), 401.0, Clamped(400.0, 50_000 / 401, power_limited=True)),
        ((500.0, 125.0), 0.0, Clamped(500.0, 100.0, power_limited=True)),
        ((500.0, 125.0), 60.0, Clamped(500.0, 100.0, power_limited=True)),
        ((500.0, 125.0), 200.0, Clamped(500.0, 125.0)),
        ((100.0, 125.0), 61.0, Clamped(100.0, 125.0)),
        ((0.0, 0.0), 0.0, Clamped(0.0, 0.0)),
        ((600.0, 900.0), 500.0, Clamped(500.0, 100.0, True, True, True)),
    ],
)
def test_clamp(asked: tuple[float, float], measured_v: float, clamped: Clamped) -> None:
    assert clamp(*asked, ENVELOPE, measured_v) == clamped


def test_an_empty_envelope_gives_nothing() -> None:
    got = clamp(400.0, 100.0, limits.NO_ENVELOPE)
    assert (got.voltage_v, got.current_a) == (0.0, 0.0)


def test_the_clamp_never_exceeds_the_envelope() -> None:
    for voltage in range(0, 1200, 37):
        for current in range(0, 600, 23):
            for measured in (0.0, 59.0, 61.0, 150.0, 400.0, 500.0):
                got = clamp(voltage, current, ENVELOPE, measured)
                assert got.voltage_v <= 500.0
                assert got.current_a <= 125.0
                if measured > 60.0:
                    assert got.current_a * max(measured, 150.0) <= 50_000.0 + 1e-6


@pytest.mark.parametrize(
    ("vehicle_v", "charger_v", "test_v"),
    [
        (400.0, 1000.0, 450.0),
        (449.9, 1000.0, 499.9),
        (450.0, 1000.0, 500.0),
        (500.0, 1000.0, 500.0),
        (500.1, 1000.0, 550.11),
        (800.0, 1000.0, 880.0),
        (950.0, 1000.0, 1000.0),
        (420.0, 460.0, 460.0),
        (420.0, 55.0, 55.0),
    ],
)
def test_cable_check_voltage(vehicle_v: float, charger_v: float, test_v: float) -> None:
    assert limits.cable_check_voltage_v(vehicle_v, charger_v) == pytest.approx(test_v)


@pytest.mark.parametrize(
    ("maximum_v", "trip_v"),
    [
        (0.0, 550.0),
        (500.0, 550.0),
        (500.1, 825.0),
        (750.0, 825.0),
        (750.1, 935.0),
        (850.0, 935.0),
        (850.1, 1100.0),
        (1000.0, 1100.0),
        (1000.1, 1375.0),
        (inf, 1375.0),
        (nan, 550.0),
    ],
)
def test_emergency_over_voltage(maximum_v: float, trip_v: float) -> None:
    assert limits.emergency_over_voltage_v(maximum_v) == trip_v


@pytest.mark.parametrize(
    ("start_a", "target_a", "elapsed_s", "end_a"),
    [
        (0.0, 100.0, 1.0, 25.0),
        (90.0, 100.0, 1.0, 100.0),
        (100.0, 0.0, 0.5, 50.0),
        (30.0, 0.0, 1.0, 0.0),
        (30.0, 30.0, 1.0, 30.0),
        (0.0, 100.0, 0.0, 0.0),
    ],
)
def test_ramp(start_a: float, target_a: float, elapsed_s: float, end_a: float) -> None:
    assert limits.ramped(start_a, target_a, elapsed_s) == pytest.approx(end_a)


@pytest.mark.parametrize(
    ("value", "good"), [(0.0, True), (1e9, True), (-0.1, False), (nan, False), (inf, False)]
)
def test_quantity(value: float, good: bool) -> None:
    assert limits.is_quantity(value) is good


def test_bench_envelope_is_below_sixty_volts() -> None:
    bench = limits.bench_envelope(ENVELOPE)
    assert bench.maximum_voltage_v < limits.BENCH_VOLTAGE_V
    assert bench.minimum_voltage_v <= bench.maximum_voltage_v
    assert bench.maximum_current_a == 125.0
    assert limits.bench_envelope(limits.NO_ENVELOPE) == limits.NO_ENVELOPE
