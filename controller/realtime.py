"""The hard-timed half: pilot, power stage and contactors behind the interlock (cores of a process).

Theory of operation. Once a period the hardware's inputs arrive as one object. Pilot, stage and
contactors look at them; then one `Snapshot` of everything known goes to the interlock, and its
permits go to stage and contactors *within the same period*. Requests of the communication process
are wishes: they change what is asked for, never what is allowed, and its heartbeat ages in the
snapshot like every other input. A request to open, or to switch off, is obeyed at once.

The contactors close only when both want it: the session (`ContactorRequest` from communication) and
the stage, which knows when in the cable check. Nothing here waits, reads a clock or touches a file.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from math import inf
from typing import TYPE_CHECKING, Any

from controller.cp.evse import EvsePilot
from controller.cp.sequences import SEQUENCES, Sequence, SequenceWatch
from controller.cp.silence import SilenceWatch
from controller.interlock import Interlock, Snapshot
from controller.interlock_rules import PILOT_STALE_S, InterlockConfig, is_stale
from controller.interlock_test import InterlockTest, coils_must_be_dead
from controller.power.contactors import Contactors, ContactorsConfig, Side
from controller.power.contactors import S as ContactorState
from controller.power.limits import bench_envelope
from controller.power.stage import PowerStage
from controller.power.stage_table import S as StageState
from controller.router import earliest
from controller.signals import (
    DUTY_STEADY_HIGH,
    BcbToggled,
    CloseContactors,
    ContactorRequest,
    ControlPilotState,
    DutyRequest,
    EvseInputs,
    Heartbeat,
    InterlockReport,
    InterlockTested,
    OpenContactors,
    Output,
    OutputRequest,
    Phase,
    PilotChanged,
    PowerReport,
    ResetRequest,
    SetDuty,
    SetOutput,
    SetWatchdog,
    StartIsolationTest,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from controller.interlock_chain import ChainSeen

HEARTBEAT_TIMEOUT_S = 0.06
"""Own figure: so that everything *is* open and off 100 ms after the last valid heartbeat (60 ms,
one period of 5 ms, contacts that need 30 ms)."""
STAMP_AHEAD_S = 0.02
"""A simulated site gives the time to one process before the other: at most one longest period."""
AGE_STEP_S = 0.001
"""A deadline for an input's age lies this much behind it: the age must be above the limit then."""
REPORT_S = 0.25
"""Reports go out when they change, and at least this often (4 Hz, as power supplies do)."""
RESTING = (ContactorState.OPEN, ContactorState.CLOSED, ContactorState.FAULT)
UNPOWERED = (StageState.OFF, StageState.ABORTED)
STEADY = (StageState.OFF, StageState.CHARGE, StageState.ABORTED)


class Realtime(ABC):
    """What both roles share: the heartbeat, the contactors, dispatch."""

    TO_HARDWARE: tuple[type[Output], ...]
    TO_COMMUNICATION: tuple[type[Output], ...]

    def __init__(self, contactors: ContactorsConfig) -> None:
        self.contactors = Contactors(contactors)
        self._handlers: dict[type[Output], Callable[[Any, float], list[Output]]] = {
            Heartbeat: self._heartbeat,
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
        silent = self._orphaned or is_stale(now - self._heartbeat_at, HEARTBEAT_TIMEOUT_S)
        if not silent or not self._session_wants_closed or self.contactors.is_commanded:
            return []
        self._session_wants_closed = False
        return self._want_contactors(now)

    def receive(self, item: Output, now: float) -> list[Output]:
        """Take the hardware's inputs or one request; what is no request is ignored."""
        handler = self._handlers.get(type(item))
        if handler is None:
            return []
        out = handler(item, now)
        if out or type(item) is not Heartbeat:
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

    def _heartbeat(self, item: Heartbeat, now: float) -> list[Output]:
        sent_at = now if item.sent_at is None else item.sent_at
        if item.sequence <= self._sequence or sent_at > now + STAMP_AHEAD_S:
            return []  # an old or repeated beat, or one of another clock, proves nothing
        changed = item.phase is not self._believed
        self._sequence, self._believed = item.sequence, item.phase
        self._heartbeat_at = min(now, sent_at)
        return self._decide(now) if changed else []

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
        self.silence.heard(now)
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
        """Go on with the self-test while it lasts; call it with each period's inputs."""
        test = self.interlock_test
        if test.is_finished:
            return []
        return test.receive_inputs(inputs, now, oscillating=self._coils_may_be_fed)

    def _look_at_chain(self, snapshot: ChainSeen, inputs: EvseInputs, now: float) -> None:
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


class EvseRealtime(ChargerRealtime):
    """The DC charger's."""

    TO_HARDWARE = (
        SetDuty,
        SetOutput,
        CloseContactors,
        OpenContactors,
        StartIsolationTest,
        SetWatchdog,
    )
    TO_COMMUNICATION = (
        PilotChanged,
        BcbToggled,
        PowerReport,
        InterlockReport,
        InterlockTested,
    )

    def __init__(self, *, hardware_interlock: bool) -> None:
        super().__init__(ContactorsConfig(side=Side.CHARGER), hardware_interlock=hardware_interlock)
        self.stage = PowerStage()
        self.interlock = Interlock(InterlockConfig(heartbeat_timeout_s=HEARTBEAT_TIMEOUT_S))
        self._envelope_is_bench = True
        self._stage_wants_closed = False
        self._vehicle_maximum_v = 0.0
        """Kept from the last request that named it: a ramp down is supervised by it, too."""
        self._inputs: EvseInputs | None = None
        self._reported_interlock = self.interlock.report
        self._reported_power: PowerReport | None = None
        self._handlers |= {
            EvseInputs: self._take_inputs,
            DutyRequest: self.pilot.receive_signal,
            OutputRequest: self._output_request,
        }
        self._seen = Snapshot(now=0.0)
        self._timer_at = self._earliest()

    @property
    def settled(self) -> bool:
        """Nothing is in motion: the next inputs matter only if they differ."""
        return (
            self.stage.state in STEADY
            and self.contactors.state in RESTING
            and not self.pilot.is_pending
            and self.interlock_test.is_settled
            and not self.sequences.is_running
        )

    @property
    def may_pause(self) -> bool:
        """No vehicle, nothing closed, nothing on."""
        return (
            self.pilot.state.letter == "A"
            and not self.contactors.is_commanded
            and self.stage.state in UNPOWERED
        )

    def goes_on(self, item: object) -> bool:
        """Whether this only goes on with what is done already: the same phase, another target."""
        if type(item) is OutputRequest:
            return item.phase is self.stage.request.phase
        return super().goes_on(item)

    def _earliest(self) -> float | None:
        return earliest(
            (
                self.pilot.next_timer(),
                self.stage.next_timer(),
                self.contactors.next_timer(),
                self.interlock_test.next_timer(),
            )
        )

    def communication_lost(self, now: float) -> list[Output]:
        """Act on the end of the other process: what it asked of the output is void."""
        out = super().communication_lost(now)
        if self.stage.request.phase is not Phase.IDLE:
            out += self._output_request(OutputRequest(Phase.IDLE), now)
        self._timer_at = self._earliest()
        return out

    def _let_run_out(self, now: float) -> list[Output]:
        out = self.pilot.handle_timer(now) + self.stage.handle_timer(now)
        out += self.contactors.handle_timer(now) + self.interlock_test.handle_timer(now)
        return self._follow(out, now) + self._decide(now)

    def _output_request(self, item: OutputRequest, now: float) -> list[Output]:
        phase = self.stage.request.phase
        if item.phase in (Phase.IDLE, Phase.CONNECTED):
            self._vehicle_maximum_v = 0.0
        elif item.vehicle_maximum_voltage_v > 0.0:
            self._vehicle_maximum_v = item.vehicle_maximum_voltage_v
        out = self._follow(self.stage.receive_signal(item, now), now)
        return out if self.stage.request.phase is phase else out + self._decide(now)

    def _take_inputs(self, inputs: EvseInputs, now: float) -> list[Output]:
        stage, contactors = self.stage, self.contactors
        out = self.pilot.receive_sample(inputs.pilot, now)
        if self._reset_wanted and self.pilot.state is not ControlPilotState.F:
            out += self._reset(ResetRequest(), now)
        out += self._test_interlock(inputs, now)
        test = self.interlock_test
        last, self._inputs = self._inputs, inputs
        if (
            last is None
            or (inputs.envelope is not last.envelope and inputs.envelope != last.envelope)
            or self._envelope_is_bench is test.has_passed
        ):
            self._envelope_is_bench = not test.has_passed
            envelope = inputs.envelope if test.has_passed else bench_envelope(inputs.envelope)
            out += stage.receive_signal(envelope, now)
        if last is None or inputs.isolation.taken_at != last.isolation.taken_at:
            out += stage.receive_sample(inputs.isolation, now)
        out += contactors.receive_sample(inputs.contactors, now)
        out += contactors.receive_sample(inputs.output, now)
        out += stage.receive_sample(inputs.contactors, now)
        out += stage.receive_sample(inputs.output, now)
        return self._follow(out, now) + self._decide(now)

    def _follow(self, out: list[Output], now: float) -> list[Output]:
        """Hand the stage's contactor wishes on; the other outputs are for outside."""
        for output in out:
            if type(output) is ContactorRequest:
                self._stage_wants_closed = output.closed
                out += self._want_contactors(now)
        return out

    def _want_contactors(self, now: float) -> list[Output]:
        wanted = self._stage_wants_closed and self._session_wants_closed
        if wanted is self.contactors.wanted:
            return []
        return self.contactors.receive_signal(ContactorRequest(wanted), now)

    def _decide(self, now: float) -> list[Output]:
        """Let the interlock look, and obey in the same period; who is blind permits nothing."""
        if self._inputs is None:
            return []
        closed = self.contactors.is_commanded
        permits = self.interlock.evaluate(self._look(self._inputs, now))
        out = self.contactors.receive_signal(permits, now)
        out += self._follow(self.stage.receive_signal(permits, now), now)
        out += self._forget_wish(now) + self.silence.follow(self._heartbeat_at, now, closed=closed)
        report = self.interlock.report
        if report is not self._reported_interlock:
            self._reported_interlock = report
            out += self.pilot.receive_signal(report, now)
            out.append(report)
        on = self.stage.setpoint.on or self.contactors.is_commanded
        out += self.sequences.follow(self.pilot.state, self._inputs.contactors, now, on=on)
        return out + self._report(now)

    def _look(self, inputs: EvseInputs, now: float) -> Snapshot:
        """Put everything known into the snapshot, field by field."""
        snapshot, stage = self._seen, self.stage
        snapshot.now = now
        snapshot.pilot = self.pilot.state
        snapshot.pilot_age_s = now - self.pilot.sample_at
        snapshot.pilot_fault = self.pilot.fault
        snapshot.pilot_power_s = now - self.pilot.power_since
        snapshot.diode_ok = self.pilot.diode_ok
        snapshot.heartbeat_age_s = now - self._heartbeat_at
        snapshot.believed_phase = self._believed
        snapshot.requested_phase = stage.request.phase
        snapshot.voltage_v = inputs.output.voltage_v
        snapshot.current_a = inputs.output.current_a
        snapshot.reading_age_s = now - inputs.output.taken_at
        snapshot.reading_valid = inputs.output.valid
        snapshot.contactors_commanded = self.contactors.is_commanded
        snapshot.contactors_closed = inputs.contactors.closed
        snapshot.contactors_valid = inputs.contactors.valid
        snapshot.contactors_age_s = now - inputs.contactors.taken_at
        snapshot.contactor_fault = self.contactors.fault
        snapshot.isolation = stage.isolation
        snapshot.cable_check = stage.cable_check
        self._look_at_chain(snapshot, inputs, now)
        snapshot.vehicle_maximum_v = self._vehicle_maximum_v
        snapshot.charger_maximum_v = stage.envelope.maximum_voltage_v
        snapshot.charger_maximum_a = stage.envelope.maximum_current_a
        return snapshot

    def _report(self, now: float) -> list[Output]:
        last = self._reported_power
        if (
            last is not None
            and now - self._reported_at < REPORT_S
            and self.stage.is_as_in(last, now)
        ):
            return []
        self._reported_power, self._reported_at = self.stage.report(now), now
        return [self._reported_power]

    def _tell_all(self, now: float) -> list[Output]:
        out = self.pilot.report()
        if self._inputs is not None:
            self._reported_at = -inf
            out += self._report(now)
        if self.interlock_test.result is not None:
            out.append(self.interlock_test.result)
        return [*out, self.interlock.report]

    def _forget_faults(self, item: ResetRequest) -> None:
        self.interlock.receive_signal(item)
