"""The charger's control pilot (core): what it drives, what it reads, which state that is.

Theory of operation. The letter of a state comes from the voltage of the high phase (`levels`), the
digit from what this core drives: 2 with a duty cycle between 0 and 1, else 1. So a state changes
either by a debounced reading or at once by `DutyRequest`. It is not a table machine, because no
state remembers anything: only the reading and the drive count, and every period runs through here.

The diode. While the oscillator runs and a vehicle is there, the low phase must reach -12 V. That
has to be seen before `diode_ok` is true (IEC 61851-1 Table A.4 note: at least once before power),
and its absence is a fault that holds until the vehicle is unplugged (state A).

What holds the pilot: an emergency latched by the interlock stops the oscillator (X1) until the
latch is gone; a duty request that is no number between 0 and 1 does so until the next one.

An input that was seen before (same `taken_at`), or that is older, is no reading: the interlock
sees the age of the last one.
"""

from __future__ import annotations

from math import inf

from controller.cp import levels, timing
from controller.cp.levels import Debounce, Level
from controller.signals import (
    DUTY_STEADY_HIGH,
    DUTY_STEADY_LOW,
    ControlPilotState,
    DutyCycle,
    DutyRequest,
    InterlockReport,
    Output,
    PilotChanged,
    PilotSample,
    SetDuty,
)

_STEADY_STATE = {
    Level.A: ControlPilotState.A1,
    Level.B: ControlPilotState.B1,
    Level.C: ControlPilotState.C1,
    Level.D: ControlPilotState.D1,
    Level.E: ControlPilotState.E,
    Level.F: ControlPilotState.F,
}
_OSCILLATING_STATE = _STEADY_STATE | {
    Level.A: ControlPilotState.A2,
    Level.B: ControlPilotState.B2,
    Level.C: ControlPilotState.C2,
    Level.D: ControlPilotState.D2,
}
_VEHICLE_LEVELS = (Level.B, Level.C, Level.D)


class EvsePilot:
    """Turns pilot samples and duty requests into `SetDuty` and `PilotChanged`.

    `state` is E until the first level is believed: nothing known, no power.
    """

    def __init__(self) -> None:
        self.state = ControlPilotState.E
        self.duty: DutyCycle = DUTY_STEADY_HIGH
        self.diode_ok = False
        self.diode_fault = False
        self.sample: PilotSample | None = None
        self._requested: DutyCycle = DUTY_STEADY_HIGH
        self._held = False
        self._debounce = Debounce()
        self._keep_low = self._keep_high = 0.0
        self._quiet = False
        self._taken_at = -inf
        self._negative_since: float | None = None
        self._no_negative_since: float | None = None
        self._judge_diode_at = -inf

    @property
    def glitches(self) -> int:
        """Number of readings that disagreed with those around them."""
        return self._debounce.glitches

    @property
    def sample_at(self) -> float:
        """When the last sample was taken; minus infinity before the first."""
        return self._taken_at

    @property
    def is_oscillating(self) -> bool:
        """Whether this core drives the 1 kHz signal."""
        return DUTY_STEADY_LOW < self.duty < DUTY_STEADY_HIGH

    @property
    def is_pending(self) -> bool:
        """Whether the next sample matters even if it equals the last one."""
        return not self._quiet or (self._must_judge_diode() and not self.diode_ok)

    def next_timer(self) -> float | None:
        """When an unsettled C or D ends even without a further sample."""
        return self._debounce.give_up_at

    def handle_timer(self, now: float) -> list[Output]:
        """Leave C or D when the last reading disagreed and none came to settle it."""
        at = self._debounce.give_up_at
        if at is None or now < at or not self._debounce.expire(now):
            return []
        return self._level_changed(now)

    def receive_sample(self, sample: PilotSample, now: float) -> list[Output]:
        """Take one reading of the pilot."""
        taken_at = sample.taken_at
        if not self._taken_at < taken_at <= now + timing.STAMP_TOLERANCE_S:
            return []  # seen before, from the future, or not a number: it only grows older
        self._taken_at = taken_at
        self.sample = sample
        if (
            self._quiet
            and self._keep_low < sample.high_v < self._keep_high
            and self._negative_is_as_before(sample.low_v)
        ):
            return []
        return self._take(sample, taken_at)

    def receive_signal(self, signal: DutyRequest | InterlockReport, now: float) -> list[Output]:
        """Take a wish for another duty cycle, or the interlock's view (an emergency holds X1)."""
        if isinstance(signal, DutyRequest):
            valid = DUTY_STEADY_LOW <= signal.duty <= DUTY_STEADY_HIGH
            self._requested = signal.duty if valid else DUTY_STEADY_HIGH
        else:
            self._held = signal.emergency
        return self._drive(DUTY_STEADY_HIGH if self._held else self._requested, now)

    def report(self) -> list[Output]:
        """Return the present state once more, for someone who has just come; nothing if unknown."""
        return [] if self._debounce.level is None else self._report()

    # --- inside ---------------------------------------------------------------------------------

    def _negative_is_as_before(self, low_v: float) -> bool:
        if self.diode_ok and DUTY_STEADY_LOW < self.duty < DUTY_STEADY_HIGH:
            return levels.negative_peak_ok(low_v)
        return not self._must_judge_diode()

    def _must_judge_diode(self) -> bool:
        return (
            self.is_oscillating and self._debounce.level in _VEHICLE_LEVELS and not self.diode_fault
        )

    def _drive(self, duty: DutyCycle, now: float) -> list[Output]:
        if duty == self.duty:
            return []
        self.duty = duty
        self._judge_diode_at = now + timing.DIODE_SETTLE_S
        self._negative_since = self._no_negative_since = None
        self._quiet = False
        out: list[Output] = [SetDuty(duty)]
        if self._debounce.level is not None and self._derive_state() is not self.state:
            out += self._report()
        return out

    def _take(self, sample: PilotSample, at: float) -> list[Output]:
        reading = levels.classify(sample.high_v, self._debounce.level)
        changed = self._debounce.put(reading, at)
        diode_before = self.diode_ok
        self._judge_diode(sample.low_v, reading, at)
        self._quiet = not self._debounce.is_pending and self._no_negative_since is None
        if changed:
            return self._level_changed(at)
        if self.diode_ok is not diode_before:
            return self._report()
        return []

    def _judge_diode(self, low_v: float, reading: Level, at: float) -> None:
        if not self.is_oscillating or at < self._judge_diode_at:
            return
        if reading not in _VEHICLE_LEVELS:
            self._negative_since = self._no_negative_since = None
        elif levels.negative_peak_ok(low_v):
            self._no_negative_since = None
            if self._negative_since is None:
                self._negative_since = at
        else:
            self._negative_since = None
            if self._no_negative_since is None:
                self._no_negative_since = at
        self._conclude_diode(at)

    def _conclude_diode(self, at: float) -> None:
        if self._debounce.level not in _VEHICLE_LEVELS or self.diode_fault:
            return
        ok_at, bad_at = self._negative_since, self._no_negative_since
        if bad_at is not None and at - bad_at >= timing.DIODE_DEBOUNCE_S:
            self.diode_fault, self.diode_ok = True, False
        elif ok_at is not None and at - ok_at >= timing.DEBOUNCE_S:
            self.diode_ok = True

    def _level_changed(self, now: float) -> list[Output]:
        level = self._debounce.level
        assert level is not None
        self._keep_low, self._keep_high = levels.keep_band(level)
        self._quiet = self._quiet and not self._debounce.is_pending
        if level is Level.A:
            self.diode_ok = self.diode_fault = False
            self._negative_since = self._no_negative_since = None
        return self._report()

    def _derive_state(self) -> ControlPilotState:
        level = self._debounce.level
        assert level is not None
        return (_OSCILLATING_STATE if self.is_oscillating else _STEADY_STATE)[level]

    def _report(self) -> list[Output]:
        self.state = self._derive_state()
        sample = self.sample
        assert sample is not None
        return [PilotChanged(self.state, sample.high_v, sample.low_v, self.duty, self.diode_ok)]
