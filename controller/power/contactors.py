"""Contactors (core): closed only with a permit, and watched by their feedback.

Theory of operation. A request and a permit close; losing either opens with the very next call.
DC contactors refuse to close onto a voltage: the charger's side waits until its output is below
60 V, the vehicle's until inlet and battery differ by less than 20 V. The contactor of the mains
closes onto 230 V always; it rests 10 s between opening and closing. Every command must show in the
mirror contacts in time; one that does not, or a contact that moves by itself, is a fault that stays
until `reset` (a welded contact does not heal): the coils are off from then on.

The feedback is debounced by time. A reading that is not valid never confirms anything; while the
contactors ought to be closed it counts as open after 100 ms. While they ought to open, missing
feedback (a daemon that is gone, a process that stood still) is waited for: nothing is closed on it,
and only contacts that are *seen* closed are called welded.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from math import inf, isfinite

from controller.errors import ConfigError
from controller.machine import TableMachine, row
from controller.power.limits import SAFE_VOLTAGE_V
from controller.signals import (
    CloseContactors,
    ContactorReading,
    ContactorRequest,
    InletReport,
    OpenContactors,
    Output,
    OutputReading,
    Permits,
)

CLOSE_S = 0.25
"""Feedback must show closed within this (chargebyte waits 250 ms)."""
OPEN_S = 0.3
"""Feedback must show open within this (EVerest bring-up: coil 50 ms, feedback < 300 ms)."""
FEEDBACK_DEBOUNCE_S = 0.01
"""chargebyte: 10 ms."""
FEEDBACK_LOST_S = 0.1
"""Own figure: invalid feedback for this long means closed contactors are not known to be closed."""
RECLOSE_S = 2.0
"""Least time between opening and closing; chargebyte holds 10 s for mains contactors, a DC output
that is off and below 60 V spares the contacts, so the default is shorter."""
MAINS_RECLOSE_S = 10.0
"""The same for the mains contactor of an AC charger (chargebyte)."""
VEHICLE_DIFFERENCE_V = 20.0
"""CharIN design guide t7: the vehicle closes when the difference is below 20 V."""
VOLTAGE_STALE_S = 0.5
"""Own figure: no closing on a voltage measured longer ago."""


class Side(Enum):
    """Whose contactors these are."""

    CHARGER = "charger"
    VEHICLE = "vehicle"
    MAINS = "mains"  # an AC charger's


CLOSES_BELOW_V = {Side.CHARGER: SAFE_VOLTAGE_V, Side.VEHICLE: VEHICLE_DIFFERENCE_V}
"""What DC contactors may close onto; those of the mains have no such bound."""


@dataclass(frozen=True, slots=True)
class ContactorsConfig:
    """What differs between contactors."""

    side: Side = Side.CHARGER
    reclose_s: float = RECLOSE_S

    def __post_init__(self) -> None:
        if not 0.0 <= self.reclose_s <= 60.0:
            raise ConfigError(f"contactor reclose time {self.reclose_s} s is not within 0..60 s")


class S(Enum):
    """Where the contactors are, by command and by feedback."""

    OPEN = "open"
    CLOSING = "closing"
    CLOSED = "closed"
    OPENING = "opening"
    FAULT = "fault"


ENERGISED = [S.CLOSING, S.CLOSED]
RESTING = [S.OPEN, S.CLOSED, S.FAULT]
# Read every period: members of an enum take time to find.
_OPEN, _CLOSING, _CLOSED, _OPENING, _FAULT = S.OPEN, S.CLOSING, S.CLOSED, S.OPENING, S.FAULT

TABLE = [
    row("drop", ENERGISED, S.OPENING, (), "open_coils"),  # permit or request gone
    row("close", S.OPEN, S.CLOSING, (), "close_coils"),
    row("feedback_closed", S.CLOSING, S.CLOSED),
    row("feedback_closed", S.OPEN, S.FAULT, (), "fault_spurious"),  # closed without command
    row("feedback_open", S.OPENING, S.OPEN, (), "note_opened"),
    row("feedback_open", S.CLOSED, S.FAULT, (), "fault_dropped"),
    row("timeout", S.CLOSING, S.FAULT, (), "fault_stuck"),
    row("timeout", S.OPENING, S.FAULT, (), "fault_welded"),
    row("reset_fault", S.FAULT, S.OPEN, "is_open_again", "forget_fault"),
]


DEADLINE_S: dict[S, float] = {S.CLOSING: CLOSE_S, S.OPENING: OPEN_S}


class Contactors(TableMachine):
    """Turns requests, permits and feedback into `CloseContactors` and `OpenContactors`."""

    TABLE = TABLE
    INITIAL = S.OPEN
    DEADLINE_S = DEADLINE_S
    ENDLESS = tuple(RESTING)

    state: S

    def __init__(self, config: ContactorsConfig | None = None) -> None:
        super().__init__()
        self.is_commanded = False
        """Whether the coils are energised."""
        self.config = config or ContactorsConfig()
        self.fault = ""
        self.wanted = False
        self.feedback: ContactorReading | None = None
        self.is_resting = True
        """Whether neither a command nor a feedback is awaited."""
        self._permits: Permits | None = None
        self._permitted_until = -inf
        """Until when they may be closed."""
        self._difference_v = inf
        self._difference_at = -inf
        self._opened_at = -inf
        self._feedback_closed = False
        self._feedback_since = -inf
        self._reason = ""

    # --- triggers (replaced by the table) -------------------------------------------------------

    def drop(self) -> bool:
        """Permit or request gone."""
        return False

    def close(self) -> bool:
        """Everything allows closing."""
        return False

    def feedback_closed(self) -> bool:
        """The mirror contacts show closed."""
        return False

    def feedback_open(self) -> bool:
        """The mirror contacts show open."""
        return False

    def reset_fault(self) -> bool:
        """Someone looked at the contactors."""
        return False

    # --- verbs ----------------------------------------------------------------------------------

    @property
    def is_closed(self) -> bool:
        """Whether they are commanded and confirmed closed."""
        return self.state is S.CLOSED

    def waiting_for(self, now: float) -> str:
        """Say why a wanted closing has not happened; empty when nothing is in the way."""
        permits = self._permits
        if permits is None or not permits.close_contactors or not now < permits.expires_at:
            return "no permit to close the contactors"
        if now < self._opened_at + self.config.reclose_s:
            return "contactors opened a moment ago"
        limit_v = CLOSES_BELOW_V.get(self.config.side)
        if limit_v is None:
            return ""
        if not 0.0 <= now - self._difference_at <= VOLTAGE_STALE_S:
            return "no fresh voltage to close on"
        if not self._difference_v < limit_v:
            return f"voltage across the contactors is not below {limit_v:.0f} V"
        return ""

    def receive_signal(self, signal: ContactorRequest | Permits, now: float) -> list[Output]:
        """Take a wish or the interlock's permits."""
        if isinstance(signal, Permits):
            permitted, self._permits = now < self._permitted_until, signal
            self._permitted_until = signal.expires_at if signal.close_contactors else -inf
            if permitted and now < self._permitted_until:
                return []  # renewed
        else:
            self.wanted = signal.closed
        return self._step(now)

    def receive_sample(
        self, sample: ContactorReading | OutputReading | InletReport, now: float
    ) -> list[Output]:
        """Take feedback, or the voltages that decide about closing."""
        if isinstance(sample, ContactorReading):
            self._take_feedback(sample)
        else:
            self._take_voltage(sample)
        return self._step(now)

    def receive_inputs(
        self, feedback: ContactorReading, voltages: OutputReading | InletReport, now: float
    ) -> list[Output]:
        """Take what every period brings."""
        self._take_feedback(feedback)
        self._take_voltage(voltages)
        return self._step(now)

    def next_timer(self) -> float | None:
        """When a feedback is due, or a permit runs out."""
        at, permits = self._deadline_at, self._permits
        if permits is None or not self.is_commanded:
            return at
        expires_at = permits.expires_at
        if not isfinite(expires_at) or (at is not None and at < expires_at):
            return at
        return expires_at

    def handle_timer(self, now: float) -> list[Output]:
        """Open without permit, fault without feedback."""
        return self._step(now)

    def reset(self, now: float) -> list[Output]:
        """Forget a latched fault, if the feedback shows open."""
        self.now = now
        self.reset_fault()
        return self.drain()

    # --- inside ---------------------------------------------------------------------------------

    def _take_feedback(self, reading: ContactorReading) -> None:
        closed = reading.valid and reading.closed
        if self.feedback is None or closed is not self._feedback_closed:
            self._feedback_since = reading.taken_at
        self._feedback_closed = closed
        self.feedback = reading

    def _take_voltage(self, sample: OutputReading | InletReport) -> None:
        if isinstance(sample, OutputReading):
            self._difference_v = abs(sample.voltage_v) if sample.valid else inf
        else:
            self._difference_v = abs(sample.inlet_voltage_v - sample.battery_voltage_v)
        self._difference_at = sample.taken_at

    def _is_feedback_settled(self) -> bool:
        feedback = self.feedback
        return (
            feedback is not None and feedback.taken_at - self._feedback_since >= FEEDBACK_DEBOUNCE_S
        )

    def _step(self, now: float) -> list[Output]:
        self.now = now
        state = self.state
        as_it_should_be = state is _CLOSED and self._feedback_closed and self.wanted
        if as_it_should_be and now < self._permitted_until:
            return []
        if state is _OPEN:
            self._step_open(now)
        elif state is not _FAULT:
            self._step_moving(state, now)
        if not self.out:
            return []
        return self.drain()

    def _step_open(self, now: float) -> None:
        if self._feedback_closed and self._is_feedback_settled():
            self.feedback_closed()
        elif self.wanted and not self.waiting_for(now):
            self.close()

    def _step_moving(self, state: S, now: float) -> None:
        if state is not S.OPENING and self._must_open(now):
            self.drop()
        elif self._is_feedback_settled() and self._feedback_closed and state is S.CLOSING:
            self.feedback_closed()
        elif self._is_open_confirmed() and state is not S.CLOSING:
            self.feedback_open()
        elif state is S.OPENING and self._is_feedback_missing(now):
            self._deadline_at = now + OPEN_S
        elif self._deadline_at is not None and now >= self._deadline_at:
            if state is S.CLOSING or self._feedback_closed:
                self.timeout()
            else:  # it shows open since a moment ago
                self._deadline_at = now + FEEDBACK_DEBOUNCE_S

    def _is_feedback_missing(self, now: float) -> bool:
        feedback = self.feedback
        return feedback is None or not feedback.valid or now - feedback.taken_at > FEEDBACK_LOST_S

    def _is_open_confirmed(self) -> bool:
        if self._feedback_closed or not self._is_feedback_settled():
            return False
        assert self.feedback is not None
        if self.feedback.valid:
            return True
        # No proof that the contacts opened; but closed contactors are no longer known to be closed.
        lost_s = self.feedback.taken_at - self._feedback_since
        return self.state is S.CLOSED and lost_s >= FEEDBACK_LOST_S

    def _must_open(self, now: float) -> bool:
        permits = self._permits
        if permits is None or not permits.close_contactors:
            self._reason = permits.reasons[0] if permits and permits.reasons else "no permit"
        elif not now < permits.expires_at:
            self._reason = "permit expired"
        elif not self.wanted:
            self._reason = "requested"
        else:
            return False
        return True

    # --- guards and actions ---------------------------------------------------------------------

    def _arm_deadline(self) -> None:
        super()._arm_deadline()
        self.is_commanded, self.is_resting = self.state in ENERGISED, self.state in RESTING

    def is_open_again(self) -> bool:
        """Whether the feedback shows open."""
        return self._is_open_confirmed()

    def open_coils(self) -> None:
        """De-energise."""
        self._opened_at = self.now
        self.out.append(OpenContactors(self._reason))

    def close_coils(self) -> None:
        """Energise."""
        self.out.append(CloseContactors())

    def note_opened(self) -> None:
        """Nothing more to do: the feedback agrees."""

    def fault_spurious(self) -> None:
        """Latch: closed without a command."""
        self._latch("contactor feedback shows closed without a command")

    def fault_dropped(self) -> None:
        """Latch: opened without a command."""
        self._latch("contactor opened by itself, or its feedback was lost")

    def fault_stuck(self) -> None:
        """Latch: did not close."""
        self._latch(f"contactor did not close within {CLOSE_S * 1000:.0f} ms")

    def fault_welded(self) -> None:
        """Latch: did not open."""
        self._latch(f"contactor did not open within {OPEN_S * 1000:.0f} ms: welded?")

    def forget_fault(self) -> None:
        """Clear the latched fault."""
        self.fault = ""

    def _latch(self, reason: str) -> None:
        self.fault = reason
        self._opened_at = self.now
        self.out.append(OpenContactors(reason))
