"""What every hard-timed half has: the heartbeat, the contactors, and a charger's pilot (cores).

`Realtime` is for all roles, `ChargerRealtime` for AC and DC chargers. A heartbeat ages like every
other input; what a session wishes for is void when its process falls silent or is replaced.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from math import inf
from typing import TYPE_CHECKING, Any

from controller.cp.evse import EvsePilot
from controller.cp.sequences import SEQUENCES, Sequence, SequenceWatch
from controller.cp.silence import SilenceWatch
from controller.interlock_heat import HOT, UNKNOWN
from controller.interlock_rules import PILOT_STALE_S, is_stale
from controller.interlock_test import InterlockTest, coils_must_be_dead
from controller.power.contactors import Contactors, ContactorsConfig
from controller.power.heat import ConnectorHeat
from controller.signals import (
    DUTY_STEADY_HIGH,
    ContactorRequest,
    ControlPilotState,
    DutyRequest,
    EvseInputs,
    Heartbeat,
    Output,
    Phase,
    ResetRequest,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from controller.interlock_shared import ChargerSnapshot

HEARTBEAT_TIMEOUT_S = 0.06
"""Own figure: so that everything *is* open and off 100 ms after the last valid heartbeat (60 ms,
one period of 5 ms, contacts that need 30 ms)."""
STAMP_AHEAD_S = 0.02
"""A simulated site gives the time to one process before the other: at most one longest period."""
AGE_STEP_S = 0.001
"""A deadline for an input's age lies this much behind it: the age must be above the limit then."""
REPORT_S = 0.25
"""Reports go out when they change, and at least this often (4 Hz, as power supplies do)."""


class Realtime(ABC):
    """What both roles share: the heartbeat, the contactors, dispatch."""

    TO_HARDWARE: tuple[type[Output], ...]
    TO_COMMUNICATION: tuple[type[Output], ...]

    def __init__(self, contactors: ContactorsConfig) -> None:
        self.contactors = Contactors(contactors)
        self._handlers: dict[type[Output], Callable[[Any, float], list[Output]]] = {
            ContactorRequest: self._contactor_request,
            ResetRequest: self._reset,
        }
        self._sequence = -1
        self._heartbeat_at = -inf
        self._believed = Phase.IDLE
        self._session_wants_closed = False
        self._orphaned = False
        """The process that had the contactors closed is gone, and they are not open yet."""
        self._reported_at = -inf
        self._timer_at: float | None = None
        """Kept without the heartbeat's own deadline: most heartbeats change nothing else."""

    def _forget_wish(self, now: float) -> list[Output]:
        """Let a session that fell silent ask for the contactors again, whatever it does next."""
        if not self._session_wants_closed or self.contactors.is_commanded:
            return []
        silent = self._orphaned or is_stale(now - self._heartbeat_at, HEARTBEAT_TIMEOUT_S)
        if not silent:
            return []
        self._session_wants_closed = False
        return self._want_contactors(now)

    def receive(self, item: Output, now: float) -> list[Output]:
        """Take the hardware's inputs or one request; what is no request is ignored."""
        handler = self._handlers.get(type(item))
        if handler is None:
            if not isinstance(item, Heartbeat):
                return []
            sent_at = now if item.sent_at is None else item.sent_at
            return self.hear(item.sequence, item.phase, sent_at, now)
        out = handler(item, now)
        self._timer_at = self._earliest()
        return out

    def hear(self, sequence: int, phase: Phase, sent_at: float, now: float) -> list[Output]:
        """Take what a heartbeat says: most change nothing but the time of the last one."""
        if sequence <= self._sequence or sent_at > now + STAMP_AHEAD_S:
            return []  # an old or repeated beat, or one of another clock, proves nothing
        self._sequence = sequence
        self._heartbeat_at = sent_at if sent_at < now else now
        out: list[Output] = []
        if phase is not self._believed:
            self._believed = phase
            out = self._decide(now)
            self._timer_at = self._earliest()
        return out

    def handle_timer(self, now: float) -> list[Output]:
        """Let deadlines and permits run out."""
        out = self._let_run_out(now)
        self._timer_at = self._earliest()
        return out

    def next_timer(self) -> float | None:
        """Return the earliest deadline of the cores, or when the heartbeat is too old for them."""
        at, silent_at = self._timer_at, self._silent_at()
        if silent_at is None:
            return at
        return silent_at if at is None or silent_at < at else at

    def _silent_at(self) -> float | None:
        """Return when the last heartbeat is too old for something that is closed."""
        if not self.needs_heartbeat:
            return None
        return self._heartbeat_at + HEARTBEAT_TIMEOUT_S + AGE_STEP_S

    def goes_on(self, item: object) -> bool:
        """Whether this decides nothing by itself (virtual time reads no inputs for it)."""
        return type(item) is Heartbeat

    def next_of_cores(self) -> float | None:
        """Return the earliest deadline of the cores alone (virtual time knows when beats come)."""
        return self._timer_at

    @property
    def needs_heartbeat(self) -> bool:
        """Something is closed that must open when communication falls silent."""
        return self.contactors.is_commanded

    @property
    @abstractmethod
    def may_pause(self) -> bool:
        """No vehicle, nothing closed, nothing on: a pause of some milliseconds harms nobody."""

    @abstractmethod
    def _earliest(self) -> float | None:
        """Each role its own."""

    @abstractmethod
    def _let_run_out(self, now: float) -> list[Output]:
        """Each role its own."""

    def _contactor_request(self, item: ContactorRequest, now: float) -> list[Output]:
        self._session_wants_closed = item.closed
        return self._want_contactors(now)

    @abstractmethod
    def _want_contactors(self, now: float) -> list[Output]:
        """Each role its own."""

    @abstractmethod
    def _reset(self, item: ResetRequest, now: float) -> list[Output]:
        """Each role its own."""

    @abstractmethod
    def _decide(self, now: float) -> list[Output]:
        """Each role its own."""

    def communication_lost(self, now: float) -> list[Output]:
        """Act on the end of the other process: its last heartbeat counts no more."""
        self._forget_session()
        self._heartbeat_at = -inf
        self._session_wants_closed = False
        out = self._decide(now)
        self._timer_at = self._earliest()
        return out

    def communication_found(self, now: float) -> list[Output]:
        """Tell a new process everything; what the one before it asked for and said is void.

        Nothing that its predecessor had may go on, even if its end was not noticed.
        """
        return self.communication_lost(now) + self._tell_all(now)

    def _forget_session(self) -> None:
        """Forget what the other process said of itself: a new one counts from one and is idle."""
        self._sequence, self._believed = -1, Phase.IDLE

    @abstractmethod
    def _tell_all(self, now: float) -> list[Output]:
        """Return every report, as if all had changed just now."""


class ChargerRealtime(Realtime):
    """What every charger has: a pilot, which outlives the communication process, and its reset.

    What the pilot does while communication is silent is told in `cp.silence` and `cp.evse`.

    `hardware_interlock`: one is configured, and has to prove itself.
    """

    COILS_NEED_OSCILLATOR = True
    """The CP-loss part wants to see the oscillator, besides C or D (DC; see `hw_docs`)."""

    def __init__(
        self,
        contactors: ContactorsConfig,
        *,
        hardware_interlock: bool,
        ventilation: bool = False,
        sequences: tuple[Sequence, ...] = SEQUENCES,
    ) -> None:
        super().__init__(contactors)
        self.pilot = EvsePilot(ventilation=ventilation)
        self.interlock_test = InterlockTest(configured=hardware_interlock)
        self.sequences = SequenceWatch(sequences)
        self.silence = SilenceWatch(self.pilot, HEARTBEAT_TIMEOUT_S)
        self.heat = ConnectorHeat()
        self._told_heat = ""
        self._reset_wanted = False
        """An operator asked while the pilot was held in state F."""

    def communication_lost(self, now: float) -> list[Output]:
        """Act on the end of the other process: its oscillator ends with it."""
        out = super().communication_lost(now) + self.pilot.communication_silent(now)
        self._timer_at = self._earliest()
        return out

    def communication_found(self, now: float) -> list[Output]:
        """Tell a new process everything, and wait for its first heartbeat anew."""
        out = super().communication_found(now)
        self.silence.connected(now)
        return out

    def hear(self, sequence: int, phase: Phase, sent_at: float, now: float) -> list[Output]:
        """Take what a heartbeat says."""
        out = Realtime.hear(self, sequence, phase, sent_at, now)
        if not self.pilot.is_listening:  # a wish may be right behind the beat
            out += self.silence.follow(self._heartbeat_at, now, closed=False)
            self._timer_at = self._earliest()
        return out

    def _silent_at(self) -> float | None:
        if self.needs_heartbeat:
            return super()._silent_at()
        return self.silence.next_timer(self._heartbeat_at)

    @abstractmethod
    def _forget_faults(self, item: ResetRequest) -> None:
        """Let the interlock forget what needs a reset."""

    def _reset(self, item: ResetRequest, now: float) -> list[Output]:
        if self.pilot.state is ControlPilotState.F:
            self._reset_wanted = True  # at -12 V nobody can see whether a vehicle is plugged in
            return self.pilot.receive_signal(DutyRequest(DUTY_STEADY_HIGH), now)
        self._reset_wanted = False
        self._forget_faults(item)
        if self.pilot.state.letter != "A":
            return []
        out = self.contactors.reset(now)
        if not self.contactors.is_commanded:
            out += self.interlock_test.begin_again(now)
        return out

    @property
    def _coils_may_be_fed(self) -> bool:
        """Whether the CP-loss part feeds the coils at all, as the pilot is driven."""
        return self.pilot.is_oscillating or not self.COILS_NEED_OSCILLATOR

    def _test_interlock(self, inputs: EvseInputs, now: float) -> list[Output]:
        """Go on with the self-test; call it with each period's inputs until that is finished."""
        return self.interlock_test.receive_inputs(inputs, now, oscillating=self._coils_may_be_fed)

    def _look_at_chain(self, snapshot: ChargerSnapshot, inputs: EvseInputs, now: float) -> None:
        """Put what is known of the hardware interlock into the snapshot."""
        test = self.interlock_test
        snapshot.emergency_stop = inputs.emergency_stop
        snapshot.hardware_interlock = test.has_passed
        snapshot.interlock_tested = test.is_finished
        snapshot.hardware_tripped = inputs.chain_open and test.configured
        snapshot.stops_disagree = inputs.stops_disagree
        snapshot.coils_live = live = inputs.coils_live is True
        # A reading that hangs says nothing: the hardware may have seen the vehicle before us.
        certain = live and not is_stale(now - inputs.pilot.taken_at, PILOT_STALE_S)
        snapshot.coils_must_be_dead = certain and coils_must_be_dead(
            inputs.pilot, oscillating=self._coils_may_be_fed
        )

    def _look_at_connector(self, snapshot: ChargerSnapshot, inputs: EvseInputs, now: float) -> None:
        """Put what is known of the connector's temperature into the snapshot."""
        self.heat.take(inputs.connector_c, now)
        snapshot.connector_hot, snapshot.connector_unknown = self.heat.hot, self.heat.unknown

    def _heat_news(self) -> str:
        """Return what is wrong with the connector's temperature, once; else nothing."""
        heat = self.heat
        why = HOT if heat.hot else UNKNOWN if heat.unknown else ""
        if why == self._told_heat:
            return ""
        self._told_heat = why
        return why
