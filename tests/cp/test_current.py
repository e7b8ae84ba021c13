"""Duty and current, both ways (IEC 61851-1 Tables A.7 and A.8)."""

from __future__ import annotations

from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.cp.current import current_of_duty_a, duty_of_current_a, is_digital

CURRENTS = st.floats(6.0, 80.0)


@pytest.mark.parametrize(
    ("duty", "current_a", "digital"),
    [
        (0.0, 0.0, False),
        (0.02, 0.0, False),
        (0.0299, 0.0, False),
        (0.03, 0.0, True),
        (0.05, 0.0, True),
        (0.07, 0.0, True),
        (0.0701, 0.0, False),
        (0.0799, 0.0, False),
        (0.08, 6.0, False),
        (0.09, 6.0, False),
        (0.10, 6.0, False),
        (0.16, 9.6, False),
        (0.2667, 16.002, False),
        (0.5333, 31.998, False),
        (0.85, 51.0, False),
        (0.8501, 52.525, False),
        (0.90, 65.0, False),
        (0.96, 80.0, False),
        (0.965, 80.0, False),
        (0.97, 80.0, False),
        (0.9701, 0.0, False),
        (1.0, 0.0, False),
        (1.5, 0.0, False),
        (-0.1, 0.0, False),
        (nan, 0.0, False),
        (inf, 0.0, False),
    ],
)
def test_what_a_vehicle_reads(duty: float, current_a: float, digital: bool) -> None:
    assert current_of_duty_a(duty) == pytest.approx(current_a, abs=1e-6)
    assert is_digital(duty) is digital


@pytest.mark.parametrize(
    ("current_a", "duty"),
    [
        (-1.0, 1.0),
        (0.0, 1.0),
        (5.99, 1.0),
        (nan, 1.0),
        (6.0, 0.10),
        (10.0, 10 / 60),
        (16.0, 16 / 60),
        (32.0, 32 / 60),
        (51.0, 0.85),
        (52.0, 0.85),
        (52.5, 0.85),
        (63.0, 0.892),
        (80.0, 0.96),
        (81.0, 0.96),
        (inf, 0.96),
    ],
)
def test_what_a_charger_drives(current_a: float, duty: float) -> None:
    assert duty_of_current_a(current_a) == pytest.approx(duty)


@given(CURRENTS)
def test_what_is_offered_is_read_and_never_more(current_a: float) -> None:
    read_a = current_of_duty_a(duty_of_current_a(current_a))
    assert read_a <= current_a + 1e-6
    assert read_a == pytest.approx(current_a if not 51.0 < current_a < 52.5 else 51.0, abs=1e-6)


@given(CURRENTS, CURRENTS)
def test_more_current_is_never_less_duty(one_a: float, other_a: float) -> None:
    low_a, high_a = sorted((one_a, other_a))
    assert duty_of_current_a(low_a) <= duty_of_current_a(high_a)


@given(st.floats(0.10, 0.97))
def test_a_duty_that_was_read_is_offered_again(duty: float) -> None:
    current_a = current_of_duty_a(duty)
    again = duty_of_current_a(current_a)
    assert current_of_duty_a(again) == pytest.approx(current_a, abs=1e-6)


@given(st.floats())
def test_any_duty_reads_as_a_sane_current(duty: float) -> None:
    current_a = current_of_duty_a(duty)
    assert current_a == 0.0 or 6.0 - 1e-6 <= current_a <= 80.0
    assert current_a == 0.0 or not is_digital(duty)
