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

from math import inf

from controller.interlock import Interlock, Snapshot
from controller.interlock_rules import InterlockConfig
from controller.own_code import own_code
from controller.power.contactors import ContactorsConfig, Side
from controller.power.limits import bench_envelope
from controller.power.stage import PowerStage
from controller.power.stage_table import S as StageState
from controller.realtime_base import (
    HEARTBEAT_TIMEOUT_S,
    REPORT_S,
    ChargerRealtime,
)
from controller.signals import (
    BcbToggled,
    CloseContactors,
    ContactorRequest,
    ControlPilotState,
    DutyRequest,
    EvseInputs,
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
    StopRequest,
)

WITHOUT_VEHICLE = (Phase.IDLE, Phase.CONNECTED)
"""Phases in which no vehicle has told its maximum."""
UNPOWERED = (StageState.OFF, StageState.ABORTED)


@own_code
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
        StopRequest,
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
            self.stage.is_steady
            and self.contactors.is_resting
            and self.interlock_test.is_settled
            and not self.pilot.is_pending
            and not self.heat.is_pending
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

    def _earliest(self) -> float:
        at = self.stage.next_timer()
        for other_at in (
            self.pilot.next_timer(),
            self.contactors.next_timer(),
            self.interlock_test.next_timer(),
        ):
            if other_at is not None and other_at < at:
                at = other_at
        return at

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
        if item.phase in WITHOUT_VEHICLE:
            self._vehicle_maximum_v = 0.0
        elif item.vehicle_maximum_voltage_v > 0.0:
            self._vehicle_maximum_v = item.vehicle_maximum_voltage_v
        out = self._follow(self.stage.receive_signal(item, now), now)
        return out if self.stage.request.phase is phase else out + self._decide(now)

    def _take_inputs(self, inputs: EvseInputs, now: float) -> list[Output]:
        stage, test = self.stage, self.interlock_test
        out = self.pilot.receive_sample(inputs.pilot, now)
        if self._reset_wanted and self.pilot.state is not ControlPilotState.F:
            out += self._reset(ResetRequest(), now)
        if not test.is_finished:
            out += self._test_interlock(inputs, now)
        last, self._inputs = self._inputs, inputs
        envelope, isolation = inputs.envelope, inputs.isolation
        if (
            last is None
            or (envelope is not last.envelope and envelope != last.envelope)
            or self._envelope_is_bench is test.has_passed
        ):
            self._envelope_is_bench = not test.has_passed
            within = envelope if test.has_passed else bench_envelope(envelope)
            out += stage.receive_signal(within, now)
        if last is None or isolation.taken_at != last.isolation.taken_at:
            out += stage.receive_sample(isolation, now)
        feedback, output = inputs.contactors, inputs.output
        out += self.contactors.receive_inputs(feedback, output, now)
        out += stage.receive_inputs(feedback, output, now)
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
        contactors = self.contactors
        closed = contactors.is_commanded
        permits = self.interlock.evaluate(self._look(self._inputs, now))
        out = contactors.receive_signal(permits, now)
        out += self._follow(self.stage.receive_signal(permits, now), now)
        out += self._forget_wish(now) + self.silence.follow(self._heartbeat_at, now, closed=closed)
        report = self.interlock.report
        if report is not self._reported_interlock:
            self._reported_interlock = report
            out += self.pilot.receive_signal(report, now)
            out.append(report)
        too_hot = self._heat_news()
        if too_hot:
            out.append(StopRequest(too_hot))
        on = self.stage.setpoint.on or contactors.is_commanded
        out += self.sequences.follow(self.pilot.state, self._inputs.contactors, now, on=on)
        return out + self._report(now)

    def _look(self, inputs: EvseInputs, now: float) -> Snapshot:
        """Put everything known into the snapshot, field by field."""
        snapshot, stage, pilot = self._seen, self.stage, self.pilot
        output, feedback, contactors = inputs.output, inputs.contactors, self.contactors
        snapshot.now = now
        snapshot.pilot = pilot.state
        snapshot.pilot_age_s = now - pilot.sample_at
        snapshot.pilot_fault = pilot.fault
        snapshot.pilot_power_s = now - pilot.power_since
        snapshot.diode_ok = pilot.diode_ok
        snapshot.heartbeat_age_s = now - self._heartbeat_at
        snapshot.believed_phase = self._believed
        snapshot.requested_phase = stage.request.phase
        snapshot.voltage_v = output.voltage_v
        snapshot.current_a = output.current_a
        snapshot.reading_age_s = now - output.taken_at
        snapshot.reading_valid = output.valid
        snapshot.contactors_commanded = contactors.is_commanded
        snapshot.contactors_closed = feedback.closed
        snapshot.contactors_valid = feedback.valid
        snapshot.contactors_age_s = now - feedback.taken_at
        snapshot.contactor_fault = contactors.fault
        snapshot.isolation = stage.isolation
        snapshot.cable_check = stage.cable_check
        self._look_at_chain(snapshot, inputs, now)
        self._look_at_connector(snapshot, inputs, now)
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
