"""What a duty cycle says about the current (core): IEC 61851-1 Tables A.7 and A.8, both ways.

The charger says with the duty how much current the vehicle may draw (`duty_of_current_a`), the
vehicle reads it (`current_of_duty_a`). What a charger drives is never read as more than it meant.
"""

from __future__ import annotations

from controller.cp import limits
from controller.signals import DUTY_STEADY_HIGH, DutyCycle

LOWEST_A = 6.0
"""The smallest current a duty can name; below it there is no AC charging at all."""
HIGHEST_A = 80.0
_LOW_RANGE_A = 51.0
"""The low range (0.6 A per percent) ends here, at 85 %."""
_EXACT = 1e-9
"""Fractions like 0.03 are not exact: a duty this close to a bound is on it."""


def duty_of_current_a(current_a: float) -> DutyCycle:
    """Return the duty that offers a current; steady high (X1) for less than 6 A or no number.

    6 to 51 A: 1 % each 0.6 A; up to 80 A: 64 % and 1 % each 2.5 A; more than 80 A is offered as 80.
    From 51 to 52.5 A the two formulas meet with a step: 85 % (51 A) is offered.
    """
    if not current_a >= LOWEST_A:
        return DUTY_STEADY_HIGH
    if current_a <= _LOW_RANGE_A:
        return current_a / 60.0
    return max(0.85, min(current_a, HIGHEST_A) / 250.0 + 0.64)


def current_of_duty_a(duty: DutyCycle) -> float:
    """Return the current that a duty permits; 0 where it permits none by itself.

    0 is: below 3 % and above 97 % (no charging), 3 to 7 % (digital communication decides, see
    `is_digital`), 7 to 8 % (reserved: no charging).
    """
    for low, high, current_a in (
        (limits.MINIMUM_CURRENT_DUTY, limits.LINEAR_DUTY[0], LOWEST_A),
        (limits.MAXIMUM_DUTY, limits.OSCILLATING_DUTY[1], HIGHEST_A),
    ):
        if low - _EXACT <= duty <= high + _EXACT:
            return current_a
    if limits.LINEAR_DUTY[0] <= duty <= limits.LINEAR_DUTY[1] + _EXACT:
        return min(duty * 60.0, _LOW_RANGE_A)
    if limits.LINEAR_DUTY[1] < duty < limits.MAXIMUM_DUTY:
        return (duty - 0.64) * 250.0
    return 0.0


def is_digital(duty: DutyCycle) -> bool:
    """Return whether a duty demands digital communication (3 to 7 %)."""
    low, high = limits.DIGITAL_DUTY
    return low - _EXACT <= duty <= high + _EXACT
