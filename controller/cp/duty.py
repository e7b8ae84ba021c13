"""The steps between two duty cycles (core): what the vehicle has to be given time to tell apart.

Theory of operation. Somebody wants a duty cycle; this core says what may be driven now and when the
rest of the way may be gone. Off is always at once: steady high (X1) and steady low (F) need no
permission. What begins or changes an oscillation has to wait:

- The duty changes at most every 5 s, because a vehicle has 5 s to follow.
- From 5 % to a duty that names a current, or back, the way leads through X1 for T_step_X1, or
  through F for T_step_EF and then X1 for a moment: two meanings are not turned into each other.
- With a vehicle F lasts T_step_EF at least; a shorter one may go unnoticed.

Only the last wish counts: one that was not yet driven is replaced by the next. Without a vehicle
(state A) nothing has to be remembered. It is no table machine because it is all comparison of
times; the table is in the package's page.
"""

from __future__ import annotations

from enum import Enum
from math import inf

from controller.cp import limits, timing
from controller.cp.current import is_digital
from controller.signals import DUTY_STEADY_HIGH, DUTY_STEADY_LOW, DutyCycle


class Kind(Enum):
    """What a duty cycle tells the vehicle."""

    STEADY = "steady: X1 or F"
    DIGITAL = "digital communication"
    NOMINAL = "a current"


def kind_of(duty: DutyCycle) -> Kind:
    """Return what a duty that `meaningful` let pass means."""
    if not DUTY_STEADY_LOW < duty < DUTY_STEADY_HIGH:
        return Kind.STEADY
    return Kind.DIGITAL if is_digital(duty) else Kind.NOMINAL


def meaningful(duty: DutyCycle) -> DutyCycle:
    """Return the duty, or steady high where IEC 61851-1 Table A.8 gives it no meaning."""
    low, high = limits.MINIMUM_CURRENT_DUTY, limits.OSCILLATING_DUTY[1]
    if duty == DUTY_STEADY_LOW or is_digital(duty) or low <= duty <= high:
        return duty
    return DUTY_STEADY_HIGH


class DutySteps:
    """Goes from one duty to the next no faster than a vehicle can follow."""

    __slots__ = (
        "_after_f",
        "_changed_at",
        "_has_vehicle",
        "_meant",
        "_since",
        "driven",
        "wanted",
    )

    def __init__(self) -> None:
        self.driven: DutyCycle = DUTY_STEADY_HIGH
        self.wanted: DutyCycle = DUTY_STEADY_HIGH
        self._since = -inf
        """Since when `driven` is what it is."""
        self._changed_at = -inf
        """When an oscillation began or changed last."""
        self._meant = Kind.STEADY
        """What the last oscillation told this vehicle."""
        self._after_f = False
        self._has_vehicle = True
        """Somebody may be looking, as long as nobody saw the contrary."""

    def want(self, duty: DutyCycle, now: float) -> DutyCycle:
        """Take a wish; return what to drive from now on."""
        self.wanted = meaningful(duty)
        return self.step(now)

    def step(self, now: float) -> DutyCycle:
        """Go as far as the times allow; return what to drive from now on."""
        duty, at = self._next()
        if duty != self.driven and now >= at:
            if kind_of(duty) is not Kind.STEADY:
                self._meant, self._changed_at = kind_of(duty), now
            self._after_f = self.driven == DUTY_STEADY_LOW
            self.driven, self._since = duty, now
        return self.driven

    def next_timer(self) -> float | None:
        """When the next step may be taken; None when there is none to take."""
        duty, at = self._next()
        return None if duty == self.driven else at

    def vehicle_came(self) -> None:
        """Somebody looks at what is driven."""
        self._has_vehicle = True

    def vehicle_left(self) -> None:
        """No vehicle is there: the next one knows of nothing."""
        self._has_vehicle = False
        self._changed_at, self._meant, self._after_f = -inf, Kind.STEADY, False

    def _next(self) -> tuple[DutyCycle, float]:
        wanted, driven = self.wanted, self.driven
        if wanted == driven:
            return driven, inf
        if driven == DUTY_STEADY_LOW:
            return DUTY_STEADY_HIGH, self._since + timing.T_STEP_EF_S * self._has_vehicle
        kind = kind_of(wanted)
        if kind is Kind.STEADY:
            return wanted, -inf
        if driven == DUTY_STEADY_HIGH:
            in_step_at = self._since + self._steady_s(kind)
            return wanted, max(in_step_at, self._changed_at + timing.DUTY_CHANGE_S)
        if kind is not self._meant:
            return DUTY_STEADY_HIGH, -inf
        return wanted, self._changed_at + timing.DUTY_CHANGE_S

    def _steady_s(self, kind: Kind) -> float:
        """How long X1 lasts before an oscillation of this kind begins."""
        if self._after_f:
            return timing.T_HOLD_X1_S
        return 0.0 if self._meant in (Kind.STEADY, kind) else timing.T_STEP_X1_S
