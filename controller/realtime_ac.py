"""The hard-timed half of an AC charger: pilot, mains contactor and what is offered (a core).

Theory of operation. As in `realtime`: inputs once a period, a snapshot to the interlock, its
permits to the contactor within the same period. There is no power stage: the charger tells the
vehicle with the pilot's duty how much it may draw, and switches the mains.

The offer is made here and not in the communication process, because a duty that names more than the
cable carries burns the cable. What is asked for (`CurrentRequest`) is bounded by the nameplate, the
installation and the cable; while something stands in the way of switching on (a phase is missing, a
cable is not known, the other process is silent), nothing is offered and the oscillator is off: the
vehicle sees X1 and waits. The cable's rating may only fall as long as a vehicle is there.

When the other process falls silent the contactor opens and the oscillator stops at once; what was
asked for is kept, because only a heartbeat of a session that still believes in charging brings the
permits back. A new process begins with nothing.

To stop, the session asks for a steady pilot. The contactor stays closed until the vehicle has
opened S2, at most 6 s (see `interlock_ac`).
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from controller.cp.cable import CableWatch
from controller.cp.current import LOWEST_A, current_of_duty_a, duty_of_current_a, is_digital
from controller.cp.sequences import AC_SEQUENCES
from controller.interlock_ac import AcInterlock, AcSnapshot
from controller.interlock_rules import InterlockConfig
from controller.own_code import own_code
from controller.power.contactors import MAINS_RECLOSE_S, ContactorsConfig, Side
from controller.realtime import EvseRealtime
from controller.realtime_base import HEARTBEAT_TIMEOUT_S, ChargerRealtime
from controller.router import earliest
from controller.signals import (
    DUTY_STEADY_HIGH,
    DUTY_STEADY_LOW,
    BcbToggled,
    CloseContactors,
    ContactorRequest,
    ControlPilotState,
    CurrentOffered,
    CurrentRequest,
    DutyCycle,
    DutyRequest,
    EvseInputs,
    InterlockReport,
    InterlockTested,
    OpenContactors,
    Output,
    PilotChanged,
    ResetRequest,
    SetDuty,
    SetWatchdog,
)

if TYPE_CHECKING:
    from controller.config import AcSection, ChargerConfig

OBSTACLE_S = 0.1
"""Own figure: what stands in the way of an offer that was made has to stay this long; a dip of the
mains must not stop a charge."""
OFFER_AGAIN_S = 3.0
"""An offer that was withdrawn comes back after this at the earliest: a vehicle has to notice the
steady pilot between (T_step_X1 of ISO 15118-3)."""
NOT_ASKED = "not asked for"
LIMITS = ("charger", "installation", "cable", "request")
"""What may hold an offer where it is."""


@own_code
class AcRealtime(ChargerRealtime):
    """The AC charger's."""

    TO_HARDWARE = (SetDuty, CloseContactors, OpenContactors, SetWatchdog)
    TO_COMMUNICATION = (
        PilotChanged,
        BcbToggled,
        CurrentOffered,
        InterlockReport,
        InterlockTested,
    )
    COILS_NEED_OSCILLATOR = False
    """In C1 the vehicle gets its 6 s: the contactor must be able to stay closed."""

    def __init__(self, config: AcSection, *, hardware_interlock: bool) -> None:
        super().__init__(
            ContactorsConfig(side=Side.MAINS, reclose_s=MAINS_RECLOSE_S),
            hardware_interlock=hardware_interlock,
            ventilation=config.ventilation,
            sequences=AC_SEQUENCES,
        )
        self.interlock = AcInterlock(
            InterlockConfig(heartbeat_timeout_s=HEARTBEAT_TIMEOUT_S, ventilation=config.ventilation)
        )
        self.cable = CableWatch()
        self._config = config
        self._bounds_a = [
            (config.maximum_current_a, LIMITS[0]),
            (config.installation_current_a, LIMITS[1]),
        ]
        self._cable_a = config.cable_current_a if config.connector == "cable" else 0.0
        """What the cable carries; 0: not known."""
        self._cable_cap_a = inf
        """The least rating that was read since a vehicle came: with it there, it only falls."""
        self._requested_a = 0.0
        """What the session wants to offer."""
        self._is_nominal = False
        """The session asks for a current; else it drives the pilot by `DutyRequest`."""
        self._obstacle_since: float | None = None
        self._withdrawn_at = -inf
        self._withdrawn = ""
        self._offered = CurrentOffered(0.0, NOT_ASKED)
        self._target: DutyCycle | None = None
        """The nominal duty that was last asked of the pilot."""
        self._inputs: EvseInputs | None = None
        self._reported_interlock = self.interlock.report
        self._handlers |= {
            EvseInputs: self._take_inputs,
            DutyRequest: self._duty_request,
            CurrentRequest: self._current_request,
        }
        self._seen = AcSnapshot(now=0.0, phases_needed=config.phases)
        self._timer_at = self._earliest()

    @property
    def settled(self) -> bool:
        """Nothing is in motion: the next inputs matter only if they differ."""
        return (
            self.contactors.is_resting
            and not self.pilot.is_pending
            and not self.heat.is_pending
            and not self.cable.is_pending
            and self._obstacle_since is None
            and not self.sequences.is_running
            and self.interlock_test.is_settled
        )

    @property
    def needs_heartbeat(self) -> bool:
        """Something is closed or offered that must end when communication falls silent."""
        return self.contactors.is_commanded or self._offered.current_a > 0.0

    @property
    def may_pause(self) -> bool:
        """No vehicle, nothing closed."""
        return self.pilot.state.letter == "A" and not self.contactors.is_commanded

    def _earliest(self) -> float | None:
        cores = (self.pilot, self.contactors, self.interlock_test)
        return earliest(core.next_timer() for core in cores)

    def _let_run_out(self, now: float) -> list[Output]:
        out = self.pilot.handle_timer(now) + self.contactors.handle_timer(now)
        out += self.interlock_test.handle_timer(now)
        return out + self._decide(now)

    # --- requests -------------------------------------------------------------------------------

    def _duty_request(self, item: DutyRequest, now: float) -> list[Output]:
        """Drive the pilot steady or at 5 %; a nominal duty is a request for its current."""
        steady = item.duty in (DUTY_STEADY_HIGH, DUTY_STEADY_LOW)
        if not steady and not is_digital(item.duty):
            return self._current_request(CurrentRequest(current_of_duty_a(item.duty)), now)
        self._requested_a, self._is_nominal, self._target = 0.0, False, None
        self._obstacle_since = None
        return self.pilot.receive_signal(item, now) + self._decide(now)

    def _current_request(self, item: CurrentRequest, now: float) -> list[Output]:
        self._requested_a = item.current_a if LOWEST_A <= item.current_a < inf else 0.0
        self._is_nominal = True
        return self._decide(now)

    def _forget_session(self) -> None:
        super()._forget_session()
        self._requested_a, self._is_nominal, self._target = 0.0, True, None

    def _want_contactors(self, now: float) -> list[Output]:
        return self.contactors.receive_signal(
            ContactorRequest(self._session_wants_closed), now
        ) + self._decide(now)

    def _forget_faults(self, item: ResetRequest) -> None:
        self.interlock.receive_signal(item)

    # --- every period ---------------------------------------------------------------------------

    def _take_inputs(self, inputs: EvseInputs, now: float) -> list[Output]:
        self._inputs = inputs
        out = self.pilot.receive_sample(inputs.pilot, now)
        if self._reset_wanted and self.pilot.state is not ControlPilotState.F:
            out += self._reset(ResetRequest(), now)
        if not self.interlock_test.is_finished:
            out += self._test_interlock(inputs, now)
        out += self.contactors.receive_sample(inputs.contactors, now)
        if inputs.ac is not None and inputs.ac.valid and self._config.connector == "socket":
            self._watch_cable(inputs.ac.cable_ohm, inputs.ac.taken_at)
        return out + self._decide(now)

    def _watch_cable(self, ohm: float, taken_at: float) -> None:
        self.cable.receive_sample(ohm, taken_at)
        rated_a = self.cable.rated_a
        if self.pilot.state.letter == "A":
            self._cable_cap_a = inf
        elif rated_a:
            self._cable_cap_a = min(self._cable_cap_a, rated_a)
        self._cable_a = min(rated_a, self._cable_cap_a)

    def _decide(self, now: float) -> list[Output]:
        """Let the interlock look, and obey in the same period; who is blind permits nothing."""
        if self._inputs is None:
            return []
        closed = self.contactors.is_commanded
        permits = self.interlock.evaluate(self._look(self._inputs, now))
        out = self.contactors.receive_signal(permits, now)
        silenced = self.silence.follow(self._heartbeat_at, now, closed=closed)
        if silenced:
            out += silenced
            self._target = None  # the pilot has forgotten what it was asked for
        report = self.interlock.report
        if report is not self._reported_interlock:
            self._reported_interlock = report
            out += self.pilot.receive_signal(report, now)
            out.append(report)
        on, feedback = self.contactors.is_commanded, self._inputs.contactors
        out += self.sequences.follow(self.pilot.state, feedback, now, on=on)
        return out + self._offer(now)

    def _look(self, inputs: EvseInputs, now: float) -> AcSnapshot:
        """Put everything known into the snapshot, field by field."""
        snapshot = self._seen
        snapshot.now = now
        snapshot.pilot = self.pilot.state
        snapshot.pilot_age_s = now - self.pilot.sample_at
        snapshot.pilot_fault = self.pilot.fault
        snapshot.pilot_power_s = now - self.pilot.power_since
        snapshot.diode_ok = self.pilot.diode_ok
        snapshot.heartbeat_age_s = now - self._heartbeat_at
        snapshot.believed_phase = self._believed
        snapshot.offered_a = current_of_duty_a(self.pilot.duty)
        snapshot.allowed_a = min(self._cable_a, *(bound_a for bound_a, _ in self._bounds_a))
        snapshot.contactors_commanded = self.contactors.is_commanded
        snapshot.contactors_closed = inputs.contactors.closed
        snapshot.contactors_valid = inputs.contactors.valid
        snapshot.contactors_age_s = now - inputs.contactors.taken_at
        snapshot.contactor_fault = self.contactors.fault
        self._look_at_chain(snapshot, inputs, now)
        self._look_at_connector(snapshot, inputs, now)
        ac = inputs.ac
        if ac is not None:
            snapshot.rcd_tripped = ac.rcd_tripped
            snapshot.live_behind = ac.live_behind
            snapshot.phases = ac.phases
            snapshot.current_a = ac.current_a
            snapshot.ac_age_s = now - ac.taken_at
            snapshot.ac_valid = ac.valid
        else:
            snapshot.ac_valid = False
        return snapshot

    # --- the offer ------------------------------------------------------------------------------

    def _offer(self, now: float) -> list[Output]:
        """Let the duty say what may be drawn now, and report it when that has changed."""
        out: list[Output] = []
        limited_by = NOT_ASKED
        if self._is_nominal:
            current_a, limited_by = self._may_offer(now)
            duty = duty_of_current_a(current_a)
            if duty != self._target:
                self._target = duty
                out = self.pilot.receive_signal(DutyRequest(duty), now)
        driven_a = round(current_of_duty_a(self.pilot.duty), 2)
        if limited_by in LIMITS and self.pilot.duty != self._target:
            if not self.pilot.held:
                return out  # the pilot's steps take their time
            limited_by = self.pilot.held
        if self._offered.current_a != driven_a or self._offered.limited_by != limited_by:
            self._offered = CurrentOffered(driven_a, limited_by)
            out.append(self._offered)
        return out

    def _may_offer(self, now: float) -> tuple[float, str]:
        """Return the current that may be offered and what limits it; 0 A and why not."""
        if not self._requested_a:
            return 0.0, NOT_ASKED
        why = self.interlock.report.latched or self.interlock.silence(self._seen)
        obstacle = "" if why else self.interlock.obstacle(self._seen)
        if not obstacle:
            self._obstacle_since = None
        elif self._obstacle_since is None:
            self._obstacle_since = now
        if obstacle and self._is_obstacle_lasting(now):
            why = obstacle
        if why:
            if self._offered.current_a:
                self._withdrawn_at = now
            self._withdrawn = why
        elif now - self._withdrawn_at < OFFER_AGAIN_S:
            why = self._withdrawn
        if why:
            return 0.0, why
        cable_a = self._cable_a or self._offered.current_a
        bounds_a = [*self._bounds_a, (cable_a, LIMITS[2]), (self._requested_a, LIMITS[3])]
        return min(bounds_a, key=lambda bound: bound[0])

    def _is_obstacle_lasting(self, now: float) -> bool:
        since = self._obstacle_since
        return not self._offered.current_a or since is None or now - since >= OBSTACLE_S

    def _tell_all(self, now: float) -> list[Output]:
        tested = self.interlock_test.result
        told: list[Output] = [*self.pilot.report(), self._offered]
        return [*told, *([tested] if tested else []), self.interlock.report]


ChargerCore = EvseRealtime | AcRealtime


def charger_realtime(config: ChargerConfig) -> ChargerCore:
    """Return the hard-timed core that a charger file asks for."""
    hardware_interlock = config.charger.interlock == "external"
    if config.charger.mode == "ac":
        return AcRealtime(config.ac, hardware_interlock=hardware_interlock)
    return EvseRealtime(hardware_interlock=hardware_interlock)
