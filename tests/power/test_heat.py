"""The connector's temperature: believed by time, with hysteresis, and no number is no excuse."""

from __future__ import annotations

import random
from math import inf, nan

import pytest

from controller.power import heat
from controller.power.heat import ConnectorHeat

PERIOD_S = 0.005
LONG_S = heat.BELIEVED_S + PERIOD_S


class Run:
    def __init__(self) -> None:
        self.heat = ConnectorHeat()
        self.now = 10.0

    def see(self, celsius: float | None, seconds: float = LONG_S) -> tuple[bool, bool]:
        """(hot, unknown) after so long."""
        for _ in range(1 + round(seconds / PERIOD_S)):
            self.heat.take(celsius, self.now)
            self.now += PERIOD_S
        return self.heat.hot, self.heat.unknown


COOL, HOT, UNKNOWN = (False, False), (True, False), (False, True)


@pytest.mark.parametrize(
    ("celsius", "expected"),
    [
        (None, COOL),
        (25.0, COOL),
        (-40.0, COOL),
        (89.9, COOL),
        (90.0, HOT),
        (150.0, HOT),
        (201.0, UNKNOWN),
        (-51.0, UNKNOWN),
        (nan, UNKNOWN),
        (inf, UNKNOWN),
        (-inf, UNKNOWN),
    ],
)
def test_what_a_temperature_means(celsius: float | None, expected: tuple[bool, bool]) -> None:
    assert Run().see(celsius) == expected


def test_it_is_hot_until_it_is_much_cooler() -> None:
    run = Run()
    assert run.see(95.0) == HOT
    assert run.see(89.0) == HOT
    assert run.see(60.1, 60.0) == HOT
    assert run.see(60.0) == COOL
    assert run.see(89.9) == COOL


@pytest.mark.parametrize("wrong", [120.0, nan])
def test_a_short_disturbance_is_none(wrong: float) -> None:
    run = Run()
    run.see(25.0)
    for _ in range(20):
        assert run.see(wrong, heat.BELIEVED_S - 3 * PERIOD_S) == COOL
        assert run.heat.is_pending
        assert run.see(25.0, 0.0) == COOL
        assert not run.heat.is_pending


def test_a_sensor_that_breaks_in_the_heat_does_not_cool_it() -> None:
    run = Run()
    run.see(95.0)
    assert run.see(nan) == (True, True)
    assert run.see(70.0) == HOT


def test_readings_that_are_wrong_in_turns_are_believed_as_the_last_one() -> None:
    """Neither heat nor a broken wire is hidden behind the other."""
    run = Run()
    rng = random.Random(5)
    for _ in range(round(2 * heat.BELIEVED_S / PERIOD_S)):
        run.see(rng.choice([95.0, nan]), 0.0)
    assert run.heat.hot or run.heat.unknown
