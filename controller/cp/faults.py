"""What is wrong with a pilot (core): pure functions from what is read and driven to `PilotFault`.

The rules are those of chargebyte's open charger firmware, with one distinction more: the negative
half wave tells a dead positive supply (it is still there) from a short circuit (both have gone).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from controller.cp import limits
from controller.cp.levels import Level, negative_peak_ok
from controller.signals import (
    DUTY_STEADY_HIGH,
    DUTY_STEADY_LOW,
    DutyCycle,
    PilotFault,
)

if TYPE_CHECKING:
    from controller.signals import PilotSample


def is_wrong_level(level: Level, duty: DutyCycle) -> bool:
    """Return whether a level contradicts what is driven."""
    if duty <= DUTY_STEADY_LOW:
        return level is not Level.F
    return level is Level.E or level is Level.F


def of_level(level: Level, sample: PilotSample, duty: DutyCycle, *, was_f: bool) -> PilotFault:
    """Name the fault behind a level that contradicts what is driven.

    `was_f`: -12 V had been reached since it was driven, so the supply can do it.
    """
    if not limits.RANGE_V[0] <= sample.high_v <= limits.RANGE_V[1]:
        return PilotFault.RANGE
    if duty <= DUTY_STEADY_LOW:
        return PilotFault.SHORT if was_f and level is Level.E else PilotFault.NEGATIVE_SUPPLY
    if level is Level.F:
        return PilotFault.SUPPLY
    if duty < DUTY_STEADY_HIGH and negative_peak_ok(sample.low_v):
        return PilotFault.SUPPLY
    return PilotFault.SHORT


def of_low_phase(level: Level, high_v: float, low_v: float) -> PilotFault:
    """Name the fault behind a negative peak that does not reach -12 V while oscillating."""
    mirrors = abs(high_v + low_v) <= limits.MIRROR_V
    return PilotFault.DIODE if mirrors and level is not Level.A else PilotFault.NEGATIVE_SUPPLY
