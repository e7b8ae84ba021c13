"""The vehicle's control pilot (core): what arrives at the inlet, and the switch S2.

A reading is believed by time, like the charger's (`timing.DEBOUNCE_S`). S2 may close only while
a connector is plugged and an oscillating pilot is there; when either goes, or samples stop, S2
opens in the same call and the wish is forgotten: it has to be asked for again.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from controller.cp import limits, timing
from controller.signals import (
    DUTY_STEADY_HIGH,
    DUTY_STEADY_LOW,
    DutyCycle,
    InletPilotChanged,
    InletSample,
    Output,
    S2Request,
    SetS2,
)


@dataclass(frozen=True, slots=True)
class InletPilot:
    """What the vehicle believes about its inlet."""

    plugged: bool
    duty: DutyCycle

    @property
    def is_oscillating(self) -> bool:
        """Whether the charger's oscillator runs."""
        low, high = limits.OSCILLATING_DUTY
        return self.plugged and low <= self.duty <= high

    @property
    def is_digital(self) -> bool:
        """Whether the charger wants digital communication."""
        low, high = limits.DIGITAL_DUTY
        return self.plugged and low <= self.duty <= high


UNPLUGGED = InletPilot(plugged=False, duty=DUTY_STEADY_LOW)


def measured_duty(sample: InletSample) -> DutyCycle:
    """Duty cycle of a plausible sample; 0 when there is no pilot, or nonsense."""
    if not limits.INLET_PRESENT_V <= sample.high_v <= limits.INLET_HIGHEST_V:
        return DUTY_STEADY_LOW
    if not DUTY_STEADY_LOW <= sample.duty <= DUTY_STEADY_HIGH:
        return DUTY_STEADY_LOW
    return sample.duty


class PevPilot:
    """Turns inlet samples and wishes for S2 into `InletPilotChanged` and `SetS2`."""

    def __init__(self) -> None:
        self.state = UNPLUGGED
        self.s2_closed = False
        self.glitches = 0
        self._candidate: InletPilot | None = None
        self._since = -inf
        self._taken_at = -inf

    @property
    def sample_at(self) -> float:
        """When the last sample was taken; minus infinity before the first."""
        return self._taken_at

    @property
    def is_pending(self) -> bool:
        """Whether the next sample matters even if it equals the last one."""
        return self._candidate is not None

    def next_timer(self) -> float | None:
        """When S2 opens for want of samples."""
        return self._taken_at + timing.INLET_STALE_S if self.s2_closed else None

    def handle_timer(self, now: float) -> list[Output]:
        """Open S2 when samples have stopped."""
        if not self.s2_closed or now < self._taken_at + timing.INLET_STALE_S:
            return []
        return self._open_s2()

    def receive_sample(self, sample: InletSample, now: float) -> list[Output]:
        """Take one measurement of the inlet."""
        taken_at = sample.taken_at
        if not self._taken_at < taken_at <= now + timing.STAMP_TOLERANCE_S:
            return []
        self._taken_at = taken_at
        duty = measured_duty(sample) if sample.plugged else DUTY_STEADY_LOW
        if self._is_like(self.state, sample.plugged, duty):
            if self._candidate is not None:
                self._candidate = None
                self.glitches += 1
            return []
        return self._take(InletPilot(sample.plugged, duty), taken_at)

    def receive_signal(self, signal: S2Request, now: float) -> list[Output]:
        """Take a wish for S2: granted only while plugged, with oscillator and fresh samples."""
        if not signal.closed:
            return self._open_s2()
        fresh = 0.0 <= now - self._taken_at < timing.INLET_STALE_S
        if self.s2_closed or not fresh or not self.state.is_oscillating:
            return []
        self.s2_closed = True
        return [SetS2(True)]

    def report(self) -> InletPilotChanged:
        """Return the present state once more, for someone who has just come."""
        pilot = self.state
        return InletPilotChanged(pilot.plugged, pilot.duty, pilot.is_digital)

    # --- inside ---------------------------------------------------------------------------------

    @staticmethod
    def _is_like(pilot: InletPilot, plugged: bool, duty: DutyCycle) -> bool:
        return pilot.plugged is plugged and abs(pilot.duty - duty) <= limits.DUTY_CHANGE

    def _take(self, seen: InletPilot, at: float) -> list[Output]:
        candidate = self._candidate
        if candidate is None or not self._is_like(candidate, seen.plugged, seen.duty):
            lost_since = self._since if self._is_lost(candidate) and self._is_lost(seen) else at
            self._candidate, self._since = seen, lost_since
        if at - self._since < timing.DEBOUNCE_S:
            return []
        self._candidate = None
        self.state = seen
        out: list[Output] = [] if seen.is_oscillating else self._open_s2()
        return [*out, InletPilotChanged(seen.plugged, seen.duty, seen.is_digital)]

    @staticmethod
    def _is_lost(pilot: InletPilot | None) -> bool:
        return pilot is not None and not pilot.is_oscillating

    def _open_s2(self) -> list[Output]:
        if not self.s2_closed:
            return []
        self.s2_closed = False
        return [SetS2(False)]
