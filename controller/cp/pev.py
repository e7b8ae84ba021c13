"""The vehicle's control pilot (core): what arrives at the inlet, and the switch S2.

A reading is believed by time, like the charger's (`timing.DEBOUNCE_S`). What a duty cycle means is
IEC 61851-1 Table A.8 (`current`): 3 to 7 % digital communication, 8 to 97 % a current, everything
else no charging. An oscillator that is not at 1 kHz +-2 % is no pilot. Steady high is a charger
that rests; no signal at all is a pilot that is lost: both mean that nothing may flow.

S2 may close only while a connector is plugged and such an oscillator is there; when either goes, or
samples stop, S2 opens in the same call and the wish is forgotten: it has to be asked for again. The
one exception wakes a resting charger: a B-C-B toggle (`WakeRequest`), timed here, opened by here.

Faults: a plug's resistor that no plug has (`proximity`), and S2 that does not do what it is told:
then the voltage behind the diode is that of the other state. The latter holds until unplugged.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, isnan

from controller.cp import limits, timing
from controller.cp.current import current_of_duty_a, is_digital
from controller.cp.edges import is_pilot_frequency
from controller.cp.proximity import (
    BUTTON,
    FAULT,
    PLUGGED,
    UNPLUGGED,
    Connector,
    Plug,
    ProximityReader,
)
from controller.signals import (
    DUTY_STEADY_HIGH,
    DUTY_STEADY_LOW,
    DutyCycle,
    InletPilotChanged,
    InletSample,
    Output,
    S2Request,
    SetS2,
    WakeRequest,
)


@dataclass(frozen=True, slots=True)
class InletPilot:
    """What the vehicle believes about its inlet."""

    plug: Plug
    duty: DutyCycle

    @property
    def plugged(self) -> bool:
        """Whether something is in the inlet."""
        return self.plug is not UNPLUGGED

    @property
    def is_usable(self) -> bool:
        """Whether a plug is there, and one that may be charged through."""
        return self.plug is not UNPLUGGED and self.plug is not FAULT

    @property
    def is_oscillating(self) -> bool:
        """Whether the charger's oscillator runs and its duty permits charging."""
        duty = self.duty
        return self.is_usable and (is_digital(duty) or current_of_duty_a(duty) > 0.0)

    @property
    def is_digital(self) -> bool:
        """Whether the charger wants digital communication."""
        return self.is_usable and is_digital(self.duty)

    @property
    def is_steady(self) -> bool:
        """Whether the charger is there and its oscillator rests (X1)."""
        return self.is_usable and self.duty == DUTY_STEADY_HIGH


NOTHING = InletPilot(UNPLUGGED, DUTY_STEADY_LOW)


def measured_duty(sample: InletSample) -> DutyCycle:
    """Duty cycle of a plausible sample; 0 when there is no pilot, or nonsense."""
    duty = sample.duty
    if not limits.INLET_PRESENT_V <= sample.high_v <= limits.INLET_HIGHEST_V:
        return DUTY_STEADY_LOW
    if DUTY_STEADY_LOW < duty < DUTY_STEADY_HIGH and is_pilot_frequency(sample.frequency_hz):
        return duty
    return duty if duty == DUTY_STEADY_HIGH else DUTY_STEADY_LOW


class PevPilot:
    """Turns inlet samples and wishes for S2 into `InletPilotChanged` and `SetS2`."""

    def __init__(self, connector: Connector = Connector.CCS2) -> None:
        self.state = NOTHING
        self.s2_closed = False
        self.s2_fault = ""
        self.glitches = 0
        self._connector = connector
        self._proximity = ProximityReader(connector)
        self._ohm: float | None = None
        self._candidate: InletPilot | None = None
        self._since = -inf
        self.sample_at = -inf
        """When the last sample was taken; minus infinity before the first."""
        self._judge_s2_at = -inf
        self._s2_wrong_since: float | None = None
        self._wake_until: float | None = None
        """While S2 is closed to wake the charger."""
        self._wake_again_at = -inf

    @property
    def is_pending(self) -> bool:
        """Whether the next sample matters even if it equals the last one."""
        return (
            self._candidate is not None
            or self._proximity.is_pending
            or self._s2_wrong_since is not None
        )

    @property
    def is_at_rest(self) -> bool:
        """Whether nothing is in the inlet, and nothing moves."""
        return self.state is NOTHING and not self.is_pending and not self.s2_closed

    @property
    def fault(self) -> str:
        """What is wrong with the inlet, in words; empty when nothing is."""
        if self.state.plug is FAULT:
            return (
                f"proximity (PP): {self._told_ohm()} is no {self._connector.name} plug: "
                "is the connector damaged?"
            )
        return self.s2_fault

    def _told_ohm(self) -> str:
        ohm = self._ohm
        return "what is measured" if ohm is None or isnan(ohm) else f"{ohm:.0f} Ohm"

    def next_timer(self) -> float | None:
        """When S2 opens for want of samples, or because a toggle ends."""
        if not self.s2_closed:
            return None
        stale_at = self.sample_at + timing.INLET_STALE_S
        return stale_at if self._wake_until is None else min(stale_at, self._wake_until)

    def handle_timer(self, now: float) -> list[Output]:
        """Open S2 when samples have stopped, or when a toggle has lasted long enough."""
        at = self.next_timer()
        return [] if at is None or now < at else self._open_s2(now)

    def receive_sample(self, sample: InletSample, now: float) -> list[Output]:
        """Take one measurement of the inlet."""
        taken_at = sample.taken_at
        if not self.sample_at < taken_at <= now + timing.STAMP_TOLERANCE_S:
            return []
        self.sample_at = taken_at
        ohm = sample.proximity_ohm
        if ohm is None:
            plug = PLUGGED if sample.plugged else UNPLUGGED
        else:
            self._ohm = ohm
            plug = self._proximity.put(ohm, taken_at)
        duty = measured_duty(sample) if plug is not UNPLUGGED else DUTY_STEADY_LOW
        state = self.state
        if plug is not state.plug or abs(state.duty - duty) > limits.DUTY_CHANGE:
            return self._take(InletPilot(plug, duty), taken_at)
        if self._candidate is not None:
            self._candidate = None
            self.glitches += 1
        if duty and ((sample.high_v > limits.S2_SPLIT_V) is self.s2_closed or self._s2_wrong_since):
            return self._judge_s2(sample.high_v, taken_at)
        return []

    def receive_signal(self, signal: S2Request | WakeRequest, now: float) -> list[Output]:
        """Take a wish for S2: granted only while plugged, with oscillator and fresh samples."""
        if isinstance(signal, WakeRequest):
            return self._wake(now)
        if not signal.closed:
            return self._open_s2(now)
        if not (self._may_close(now) and self.state.is_oscillating):
            return []
        return self._close_s2(now)

    def report(self) -> InletPilotChanged:
        """Return the present state once more, for someone who has just come."""
        pilot, fault = self.state, self.fault
        return InletPilotChanged(
            pilot.plugged,
            pilot.duty,
            pilot.is_digital and not fault,
            pilot.plug is BUTTON,
            pilot.plug.cable_a,
            fault,
        )

    # --- S2 -------------------------------------------------------------------------------------

    def _may_close(self, now: float) -> bool:
        fresh = 0.0 <= now - self.sample_at < timing.INLET_STALE_S
        wanted = self.state.plug is not BUTTON and not self.s2_fault
        return fresh and wanted and not self.s2_closed

    def _close_s2(self, now: float) -> list[Output]:
        self.s2_closed = True
        self._judge_s2_at, self._s2_wrong_since = now + timing.S2_SETTLE_S, None
        return [SetS2(True)]

    def _open_s2(self, now: float) -> list[Output]:
        self._wake_until = None
        if not self.s2_closed:
            return []
        self.s2_closed = False
        self._judge_s2_at, self._s2_wrong_since = now + timing.S2_SETTLE_S, None
        return [SetS2(False)]

    def _wake(self, now: float) -> list[Output]:
        """Begin a toggle: only towards a charger that rests, and not one toggle after the other."""
        may = self._may_close(now) and self.state.is_steady and self._candidate is None
        if not may or now < self._wake_again_at:
            return []
        self._wake_until = now + timing.WAKE_C_S
        self._wake_again_at = now + timing.WAKE_PAUSE_S
        return self._close_s2(now)

    def _judge_s2(self, high_v: float, at: float) -> list[Output]:
        if (
            at < self._judge_s2_at
            or self.s2_fault
            or (high_v > limits.S2_SPLIT_V) is not self.s2_closed
        ):
            self._s2_wrong_since = None
            return []
        if self._s2_wrong_since is None:
            self._s2_wrong_since = at
        if at - self._s2_wrong_since < timing.S2_WRONG_S:
            return []
        what = "close" if self.s2_closed else "open"
        self._s2_wrong_since = None
        self.s2_fault = f"S2 does not {what}: the pilot is at {high_v:.1f} V behind the diode"
        return [*self._open_s2(at), self.report()]

    # --- the pilot ------------------------------------------------------------------------------

    @staticmethod
    def _is_like(pilot: InletPilot, seen: InletPilot) -> bool:
        return pilot.plug is seen.plug and abs(pilot.duty - seen.duty) <= limits.DUTY_CHANGE

    def _take(self, seen: InletPilot, at: float) -> list[Output]:
        candidate = self._candidate
        if candidate is None or not self._is_like(candidate, seen):
            lost_since = self._since if self._is_lost(candidate) and self._is_lost(seen) else at
            self._candidate, self._since = seen, lost_since
        if at - self._since < timing.DEBOUNCE_S:
            return []
        self._candidate = None
        self.state = seen if seen.plugged else NOTHING
        if not seen.plugged:
            self.s2_fault, self._wake_again_at = "", -inf
        keeps = seen.is_oscillating or (self._wake_until is not None and seen.is_steady)
        return [*([] if keeps else self._open_s2(at)), self.report()]

    @staticmethod
    def _is_lost(pilot: InletPilot | None) -> bool:
        return pilot is not None and not pilot.is_oscillating
