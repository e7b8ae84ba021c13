"""The PP resistor of a cable: every band and every gap, and when a reading is believed."""

from __future__ import annotations

from math import inf, nan

import pytest

from controller.cp.cable import STEADY_S, CableWatch, rated_current_a


@pytest.mark.parametrize(
    ("ohm", "rated_a"),
    [
        # IEC 61851-1 Table B.2: the nominal value and both ends of each band
        (100, 63),
        (80, 63),
        (140, 63),
        (220, 32),
        (164, 32),
        (308, 32),
        (680, 20),
        (400, 20),
        (936, 20),
        (1500, 13),
        (1100, 13),
        (2460, 13),
        # in a gap the smaller rating counts
        (140.1, 32),
        (163.9, 32),
        (308.1, 20),
        (399.9, 20),
        (936.1, 13),
        (1099, 13),
        (2461, 13),
        (4500, 13),
        (60, 63),
        (79, 63),
        # no cable, or a broken one
        (59.9, 0),
        (0, 0),
        (-220, 0),
        (4500.1, 0),
        (1e6, 0),
        (inf, 0),
        (nan, 0),
    ],
)
def test_ratings(ohm: float, rated_a: float) -> None:
    assert rated_current_a(ohm) == rated_a


def fed(*readings: tuple[float, float]) -> CableWatch:
    watch = CableWatch()
    for ohm, at in readings:
        watch.receive_sample(ohm, at)
    return watch


def test_nothing_is_known_at_the_start() -> None:
    assert CableWatch().rated_a == 0.0
    assert fed((220, 1.0)).rated_a == 0.0


@pytest.mark.parametrize(("seconds", "rated_a"), [(STEADY_S - 0.005, 0.0), (STEADY_S, 32.0)])
def test_a_reading_has_to_stay(seconds: float, rated_a: float) -> None:
    assert fed((220, 1.0), (225, 1.0 + seconds)).rated_a == rated_a


def test_a_plug_that_touches_twice_begins_anew() -> None:
    watch = fed((220, 1.0), (1e6, 1.05), (220, 1.06), (220, 1.12))
    assert watch.rated_a == 0.0
    assert watch.is_pending
    watch.receive_sample(220, 1.17)
    assert watch.rated_a == 32.0
    assert not watch.is_pending


def test_a_lost_cable_is_lost_after_the_same_time() -> None:
    watch = fed((220, 1.0), (220, 1.2), (1e6, 1.3))
    assert watch.rated_a == 32.0
    watch.receive_sample(1e6, 1.41)
    assert watch.rated_a == 0.0


def test_the_same_reading_again_proves_nothing() -> None:
    watch = fed(*[(220, 1.0)] * 100)
    assert watch.rated_a == 0.0
