"""The charger's DC output (core): cable check, pre-charge, charge, stop, within the permits.

Theory of operation. `OutputRequest` says which phase the session is in and what the vehicle wants;
this core decides what the supply is told (`SetOutput`), and what it needs besides: the contactors
(`ContactorRequest`) and the isolation monitor (`StartIsolationTest`). The supply is on only in
`ENERGISED` states and only while the interlock's permit to energise lasts: without it every call
answers `SetOutput(0, 0, False)` first and thinks afterwards.

The cable check runs by itself: output below 60 V - contactors closed - test voltage reached -
isolation monitor's self-test and three measurements - supply off - output below 60 V again. Every
step has a deadline, and all together 36 s.

What went wrong (permit lost, contactors dropped, check failed) leads to ABORTED: off, contactors
open, and nothing runs again before the session has asked for a phase without power. Energy after
such an event needs a new cable check, because nobody knows what voltage stands where.
"""

from __future__ import annotations

from math import inf

from controller.power import limits
from controller.power.contactors import FEEDBACK_DEBOUNCE_S
from controller.power.limits import (
    NOTHING,
    RAMP_STEP_S,
    READING_STALE_S,
    SETPOINT_OFF_PERIOD_S,
    SETPOINT_PERIOD_S,
    SETPOINT_RAMP_PERIOD_S,
    Clamped,
    clamp,
)
from controller.power.stage_table import (
    CHECKING,
    DEADLINE_S,
    ENERGISED,
    POWERED,
    TABLE,
    TESTING,
    TIMEOUT_REASON,
    TRIGGER,
    S,
    StageTriggers,
)
from controller.signals import (
    CableCheckState,
    ContactorReading,
    ContactorRequest,
    IsolationReading,
    IsolationStatus,
    Output,
    OutputReading,
    OutputRequest,
    Permits,
    Phase,
    PowerEnvelope,
    PowerReport,
    PowerStageChanged,
    SetOutput,
    StartIsolationTest,
)

_OFF = SetOutput(0.0, 0.0, False)
# What is read every period lies in names of this module: members of an enum take time to find.
_CHARGE, _STOPPING, _PRE_CHARGE, _IS_OFF, _ABORTED = (
    S.CHARGE,
    S.STOPPING,
    S.PRE_CHARGE,
    S.OFF,
    S.ABORTED,
)
STEADY = (S.OFF, S.CHARGE, S.ABORTED)
"""States in which nothing is in motion but what the vehicle or the ramp moves."""
REPORTED_DIFFERENCE = 0.5
"""Volts and amperes that are reported at once; less is the noise of a measurement."""


class PowerStage(StageTriggers):
    """Turns requests, permits and readings into set-points, contactor wishes and a report."""

    TABLE = TABLE
    INITIAL = S.OFF
    DEADLINE_S = DEADLINE_S
    ENDLESS = (S.OFF, S.READY, S.PRE_CHARGE, S.CHARGE, S.ABORTED)
    """States whose end the session or the interlock watches."""
    __slots__ = (
        "__dict__",
        "_check_until",
        "_contactors_closed",
        "_contactors_open_since",
        "_current_a",
        "_good_samples",
        "_is_energised",
        "_isolation_at",
        "_left",
        "_permits",
        "_permitted_until",
        "_ramp_at",
        "_sent_at",
        "cable_check",
        "clamped",
        "envelope",
        "failure",
        "is_steady",
        "isolation",
        "reading",
        "request",
        "setpoint",
    )

    state: S

    def __init__(self) -> None:
        super().__init__()
        self.envelope: PowerEnvelope = limits.NO_ENVELOPE
        self.request = OutputRequest(Phase.IDLE)
        self.reading: OutputReading | None = None
        self.cable_check = CableCheckState.IDLE
        self.isolation = IsolationStatus.INVALID
        self.failure = ""
        self.setpoint = _OFF
        self.clamped: Clamped = NOTHING
        self._permits: Permits | None = None
        self._permitted_until = -inf
        """Until when the output may be energised."""
        self.is_steady = True
        self._is_energised = False
        self._left = S.OFF
        self._contactors_closed = False
        self._contactors_open_since: float | None = None
        self._check_until = inf
        self._good_samples = 0
        self._isolation_at = -inf
        self._current_a = 0.0
        self._ramp_at = 0.0
        self._sent_at = -inf

    # --- verbs ----------------------------------------------------------------------------------

    def next_timer(self) -> float:
        """When something is due: a deadline, the end of the permit, or the next set-point."""
        setpoint, deadline_at, wait_s = self.setpoint, self._deadline_at, SETPOINT_OFF_PERIOD_S
        if setpoint.on:
            ramping = not setpoint.current_a == self._current_a == self.clamped.current_a
            wait_s = SETPOINT_RAMP_PERIOD_S if ramping else SETPOINT_PERIOD_S
        due, step_at = self._sent_at + wait_s, self._ramp_at + RAMP_STEP_S
        if due < step_at:
            due = step_at
        if due < 0.0:
            due = 0.0
        if deadline_at is not None and deadline_at < due:
            due = deadline_at
        if setpoint.on and self._permitted_until < due:
            due = self._permitted_until
        return due

    def handle_timer(self, now: float) -> list[Output]:
        """Ramp, resend, and let deadlines and permits run out."""
        return self._step(now)

    def receive_signal(
        self, signal: OutputRequest | Permits | PowerEnvelope, now: float
    ) -> list[Output]:
        """Take the session's wishes, the interlock's permits, or what the supply can do."""
        if isinstance(signal, Permits):
            permitted, self._permits = now < self._permitted_until, signal
            self._permitted_until = signal.expires_at if signal.energise else -inf
            if permitted and now < self._permitted_until:
                return []  # renewed
        elif isinstance(signal, PowerEnvelope):
            self.envelope = signal
        else:
            self._take_request(signal, now)
        return self._step(now)

    def receive_sample(
        self, sample: OutputReading | ContactorReading | IsolationReading, now: float
    ) -> list[Output]:
        """Take a measurement."""
        if isinstance(sample, OutputReading):
            self.reading = sample
        elif isinstance(sample, ContactorReading):
            self._take_feedback(sample)
        else:
            return self._take_isolation(sample, now)
        return self._step(now)

    def receive_inputs(
        self, contactors: ContactorReading, output: OutputReading, now: float
    ) -> list[Output]:
        """Take what every period brings."""
        self._take_feedback(contactors)
        self.reading = output
        return self._step(now)

    def report(self, now: float) -> PowerReport:
        """Return what a V2G answer needs; old or invalid readings say so."""
        reading = self.reading or OutputReading(0.0, 0.0, -inf, valid=False)
        on = self.setpoint.on
        return PowerReport(
            voltage_v=reading.voltage_v,
            current_a=reading.current_a,
            reading_at=reading.taken_at,
            valid=self._fresh_reading(now) is not None,
            contactors_closed=self._contactors_closed,
            cable_check=self.cable_check,
            isolation=self.isolation,
            envelope=self.envelope,
            output_on=on,
            voltage_limited=on and self.clamped.voltage_limited,
            current_limited=on and self.clamped.current_limited,
            power_limited=on and self.clamped.power_limited,
        )

    def is_as_in(self, report: PowerReport, now: float) -> bool:
        """Whether a vehicle would be told the same now (0.5 V and 0.5 A are the same)."""
        reading, clamped, on = self.reading, self.clamped, self.setpoint.on
        return (
            reading is not None
            and abs(reading.voltage_v - report.voltage_v) < REPORTED_DIFFERENCE
            and abs(reading.current_a - report.current_a) < REPORTED_DIFFERENCE
            and (reading.valid and now - reading.taken_at <= READING_STALE_S) is report.valid
            and self._contactors_closed is report.contactors_closed
            and self.cable_check is report.cable_check
            and self.isolation is report.isolation
            and self.envelope is report.envelope
            and on is report.output_on
            and (on and clamped.voltage_limited) is report.voltage_limited
            and (on and clamped.current_limited) is report.current_limited
            and (on and clamped.power_limited) is report.power_limited
        )

    # --- inputs ---------------------------------------------------------------------------------

    def _take_request(self, request: OutputRequest, now: float) -> None:
        self.now = now
        sound = (
            limits.is_quantity(request.voltage_v)
            and limits.is_quantity(request.current_a)
            and limits.is_quantity(request.vehicle_maximum_voltage_v)
        )
        if not sound:
            request = OutputRequest(Phase.FAULT)
        entered = request.phase is not self.request.phase
        self.request = request
        if entered:
            self._fire(TRIGGER[request.phase], "" if sound else "output request is not plausible")

    def _take_feedback(self, reading: ContactorReading) -> None:
        if reading.valid and reading.closed:
            self._contactors_closed, self._contactors_open_since = True, None
        elif self._contactors_open_since is None:
            self._contactors_open_since = reading.taken_at
        elif reading.taken_at - self._contactors_open_since >= FEEDBACK_DEBOUNCE_S:
            self._contactors_closed = False

    def _take_isolation(self, reading: IsolationReading, now: float) -> list[Output]:
        if not reading.valid or not self._isolation_at < reading.taken_at <= now:
            return []
        self._isolation_at = reading.taken_at
        self.now = now
        # "Not (good)" and not "bad": a resistance that is not a number is a fault.
        good = reading.self_test_ok and reading.resistance_ohm >= limits.ISOLATION_FAULT_OHM
        if self.state is S.MEASURE:
            self._count_isolation(reading, good)
        elif self.state in POWERED and not good:
            self.isolation = IsolationStatus.FAULT
        return self._step(now)

    def _count_isolation(self, reading: IsolationReading, good: bool) -> None:
        if not good:
            self.isolation = IsolationStatus.FAULT
            why = f"insulation resistance is {reading.resistance_ohm / 1000:.0f} kOhm"
            if not reading.self_test_ok:
                why = "self-test of the isolation monitor failed"
            self._fire("check_failed", why)
            return
        self._good_samples += 1
        if self._good_samples >= limits.ISOLATION_SAMPLES:
            self.isolation = IsolationStatus.VALID
            self._fire("insulation_good")

    # --- every call -----------------------------------------------------------------------------

    def _step(self, now: float) -> list[Output]:
        self.now = now
        state = self.state
        if self._is_energised and not now < self._permitted_until:
            self._fire("permit_lost", self._permit_reason(now))
        elif state is _CHARGE and self._contactors_closed:
            pass  # follows the vehicle, and has no deadline
        elif state is not _IS_OFF and state is not _ABORTED:
            self._step_busy(state, now)
        self._send_setpoint(now)
        if not self.out:
            return []
        return self.drain()

    def _step_busy(self, state: S, now: float) -> None:
        closed = self._contactors_closed
        if not closed and state is not S.CLOSE:
            if state is S.OPENING:
                self._fire("opened")
            elif state is not S.DISCHARGE:
                self._fire("contactors_lost", "contactors are not closed")
        if self.state is state and self._deadline_at is not None and now >= self._deadline_at:
            self._fire("timeout")
        if self.state is state:
            self._step_by_measurement(state, closed, now)

    def _step_by_measurement(self, state: S, closed: bool, now: float) -> None:
        if state is S.CLOSE:
            if closed and now < self._permitted_until:
                self._fire("may_energise")
            return
        reading = self._fresh_reading(now)
        if reading is None:
            return
        if state is S.DISCHARGE or state is S.LOWER:
            if abs(reading.voltage_v) < limits.SAFE_VOLTAGE_V:
                self._fire("voltage_low")
        elif state in TESTING:
            self._step_testing(state, reading)
        elif state is S.STOPPING:
            gone = self._current_a <= 0.0 and abs(reading.current_a) < limits.NO_CURRENT_A
            if gone:
                self._fire("current_gone")

    def _step_testing(self, state: S, reading: OutputReading) -> None:
        if abs(reading.current_a) > limits.CABLE_CHECK_TRIP_A:
            self._fire("check_failed", f"{reading.current_a:.1f} A flow during the cable check")
        elif state is S.RAISE:
            target_v = self._test_voltage_v()
            if abs(reading.voltage_v - target_v) <= limits.CABLE_CHECK_TOLERANCE_V:
                self._fire("voltage_reached")

    # --- the set-point --------------------------------------------------------------------------

    def _send_setpoint(self, now: float) -> None:
        wanted, last = self._wanted_setpoint(now), self.setpoint
        urgent = False
        if wanted is last:
            if now < self._sent_at + (SETPOINT_PERIOD_S if last.on else SETPOINT_OFF_PERIOD_S):
                return
        else:
            urgent = wanted.on is not last.on or wanted.voltage_v != last.voltage_v
            if not urgent and now < self._sent_at + SETPOINT_RAMP_PERIOD_S:
                return
        self.setpoint, self._sent_at = wanted, now
        if urgent and not wanted.on:
            self.out.insert(0, wanted)  # before anything that follows from it
        else:
            self.out.append(wanted)

    def _wanted_setpoint(self, now: float) -> SetOutput:
        """Return what the supply is to be told: the last one itself, if that is as it was."""
        elapsed_s, self._ramp_at = now - self._ramp_at, now
        state = self.state
        if not self._is_energised or not now < self._permitted_until:
            self._current_a, self.clamped = 0.0, NOTHING
            return _OFF
        reading = self._fresh_reading(now)
        measured_v = reading.voltage_v if reading else 0.0
        self.clamped = clamped = self._target(measured_v)
        current_a = clamped.current_a
        if state is _STOPPING and reading is not None:
            self._current_a = min(self._current_a, max(0.0, reading.current_a))
        if current_a != self._current_a and (state is _CHARGE or state is _STOPPING):
            current_a = limits.ramped(self._current_a, current_a, max(0.0, elapsed_s))
        self._current_a = current_a
        last, voltage_v = self.setpoint, clamped.voltage_v
        if last.on and last.voltage_v == voltage_v and last.current_a == current_a:
            return last
        return SetOutput(voltage_v, current_a, True)

    def _target(self, measured_v: float) -> Clamped:
        state, request = self.state, self.request
        if state is _STOPPING:
            return Clamped(self.setpoint.voltage_v, 0.0)
        voltage_v, current_a = request.voltage_v, request.current_a
        maximum_v = request.vehicle_maximum_voltage_v
        if 0.0 < maximum_v < voltage_v:
            voltage_v = maximum_v
        if state is _PRE_CHARGE:
            current_a = limits.PRE_CHARGE_CURRENT_A
        elif state is not _CHARGE:
            voltage_v, current_a = self._test_voltage_v(), limits.CABLE_CHECK_CURRENT_A
        return clamp(voltage_v, current_a, self.envelope, measured_v)

    def _test_voltage_v(self) -> float:
        vehicle_v = self.request.vehicle_maximum_voltage_v or self.request.voltage_v
        return limits.cable_check_voltage_v(vehicle_v, self.envelope.maximum_voltage_v)

    # --- questions ------------------------------------------------------------------------------

    def _permit_reason(self, now: float) -> str:
        permits = self._permits
        if permits is None or permits.energise:
            return "permit expired"
        return permits.reasons[0] if permits.reasons else "no permit"

    def _fresh_reading(self, now: float) -> OutputReading | None:
        reading = self.reading
        if reading is None or not reading.valid:
            return None
        return reading if now - reading.taken_at <= READING_STALE_S else None

    # --- guards and actions ---------------------------------------------------------------------

    def _fire(self, trigger: str, reason: str = "") -> None:
        before = self._left = self.state
        if reason:
            self.failure = reason
        getattr(self, trigger)()
        if self.state is not before:
            why = self.failure if self.state is S.ABORTED else reason
            self.out.append(PowerStageChanged(self.state.value, why))

    def _arm_deadline(self) -> None:
        super()._arm_deadline()
        self.is_steady, self._is_energised = self.state in STEADY, self.state in ENERGISED
        if self.state in CHECKING and self._deadline_at is not None:
            if self.state is S.DISCHARGE:
                self._check_until = self.now + limits.CABLE_CHECK_S
            self._deadline_at = min(self._deadline_at, self._check_until)

    def start_check(self) -> None:
        """Begin the cable check from nothing."""
        self.cable_check = CableCheckState.RUNNING
        self.isolation = IsolationStatus.INVALID
        self.failure = ""
        self._good_samples = 0

    def close_contactors(self) -> None:
        """Ask for the contactors."""
        self.out.append(ContactorRequest(True))

    def start_isolation_test(self) -> None:
        """Start the monitor; only what it measures from now on counts."""
        self._isolation_at = self.now
        self.out.append(StartIsolationTest())

    def pass_check(self) -> None:
        """Note the good end."""
        self.cable_check = CableCheckState.PASSED

    def forget_check(self) -> None:
        """Forget a passed check with the closed contactors; a failed one stays until unplugged."""
        if self.cable_check is not CableCheckState.FAILED or self.request.phase is Phase.IDLE:
            self.cable_check = CableCheckState.IDLE
        self.isolation = IsolationStatus.INVALID

    def open_up(self) -> None:
        """Ask for open contactors; the set-point goes off with the state."""
        self.out.append(ContactorRequest(False))

    def name_timeout(self) -> None:
        """Say what did not happen in time."""
        self.failure = f"{TIMEOUT_REASON[self._left]} in time"

    def name_stop(self) -> None:
        """Say that the session stopped it."""
        self.failure = "stopped during the cable check"

    def abort(self) -> None:
        """Everything off and open."""
        if self.cable_check is CableCheckState.RUNNING:
            self.cable_check = CableCheckState.FAILED
        self.out.append(ContactorRequest(False))

    def refuse(self) -> None:
        """Record a phase that came without what must precede it."""
        self.out.append(PowerStageChanged(self.state.value, "no passed cable check and pre-charge"))
