"""The hard-timed half of a vehicle: inlet pilot, S2 and contactors behind the interlock (a core).

Theory of operation: as in `realtime`. What is the vehicle's own: when a permit is lost S2 opens
first and tells the charger to switch off; the contactors follow, and part with less current. With
a nominal duty (AC) the contactors stay open; S2 and the on-board charger are `onboard`'s.
"""

from __future__ import annotations

from dataclasses import replace
from math import inf
from typing import TYPE_CHECKING

from controller.cp.current import current_of_duty_a
from controller.cp.pev import PevPilot
from controller.cp.proximity import BUTTON, Connector
from controller.interlock_rules import InterlockConfig, is_stale
from controller.interlock_test_pev import VehicleInterlockTest
from controller.interlock_vehicle import VehicleInterlock, VehicleSnapshot
from controller.onboard import Onboard
from controller.own_code import own_code
from controller.power.contactors import ContactorsConfig, Side
from controller.power.contactors import S as ContactorState
from controller.realtime_base import AGE_STEP_S, HEARTBEAT_TIMEOUT_S, REPORT_S, Realtime
from controller.router import earliest
from controller.signals import (
    CloseContactors,
    ContactorRequest,
    InletPilotChanged,
    InletReport,
    InterlockReport,
    InterlockTested,
    OpenContactors,
    Output,
    Permits,
    PevInputs,
    ResetRequest,
    S2Request,
    SetOnboardCurrent,
    SetS2,
    SetWatchdog,
    WakeRequest,
)

if TYPE_CHECKING:
    from controller.config import CarConfig

VEHICLE_GRACE_S = 0.015
"""Vehicle: when the permit is lost S2 opens at once, the contactors this much later. The charger
sees state B within 10 ms and switches off; so the contacts part with less current, or none."""


@own_code
class PevRealtime(Realtime):
    """The vehicle's."""

    TO_HARDWARE = (SetS2, SetOnboardCurrent, CloseContactors, OpenContactors, SetWatchdog)
    TO_COMMUNICATION = (InletPilotChanged, InletReport, InterlockReport, InterlockTested)

    def __init__(self, connector: Connector = Connector.CCS2, onboard_a: float = 0.0) -> None:
        super().__init__(ContactorsConfig(side=Side.VEHICLE))
        config = InterlockConfig(heartbeat_timeout_s=HEARTBEAT_TIMEOUT_S)
        self.pilot = PevPilot(connector)
        self.interlock = VehicleInterlock(config)
        self.onboard = Onboard(self.pilot, onboard_a, config)
        self.interlock_test = VehicleInterlockTest()
        self._judged_pilot = self.pilot.state
        self._inputs: PevInputs | None = None
        self._reported_interlock = self.interlock.report
        self._reported: InletReport | None = None
        self._grace_until: float | None = None
        self._handlers |= {
            PevInputs: self._take_inputs,
            S2Request: self._s2_request,
            WakeRequest: self.pilot.receive_signal,
        }
        self._seen = VehicleSnapshot(now=0.0, onboard_a=onboard_a)
        self._timer_at = self._earliest()

    @property
    def settled(self) -> bool:
        """Nothing is in motion: the next inputs matter only if they differ."""
        return (
            self.contactors.is_resting
            and not self.pilot.is_pending
            and self.interlock_test.is_settled
        )

    @property
    def needs_heartbeat(self) -> bool:
        """Return whether S2 or the contactors are closed, and are not about to open anyway."""
        closed = self.pilot.s2_closed or self.contactors.is_commanded
        return closed and self._grace_until is None

    @property
    def may_pause(self) -> bool:
        """Not plugged in, contactors open."""
        return not self.pilot.state.plugged and not self.contactors.is_commanded

    @property
    def may_rest(self) -> bool:
        """Nothing plugged in, nothing closed or moving: nobody has to look every period."""
        return (
            self.pilot.is_at_rest
            and self.interlock_test.is_finished
            and self.contactors.state is ContactorState.OPEN
            and not self.contactors.is_commanded
        )

    def _earliest(self) -> float | None:
        return earliest(
            (
                self.pilot.next_timer(),
                self.contactors.next_timer(),
                self._grace_until,
                self.onboard.next_timer(),
                self.interlock_test.next_timer(),
            )
        )

    def _let_run_out(self, now: float) -> list[Output]:
        out = self.pilot.handle_timer(now) + self.contactors.handle_timer(now)
        out += self.interlock_test.handle_timer(now)
        return out + self._decide(now)

    def _take_inputs(self, inputs: PevInputs, now: float) -> list[Output]:
        self._inputs = inputs
        out = self.pilot.receive_sample(inputs.pilot, now)
        out += self.contactors.receive_inputs(inputs.contactors, inputs.vehicle, now)
        if not self.interlock_test.is_finished:
            out += self.interlock_test.receive_vehicle(inputs, now)
        return out + self._decide(now)

    def _s2_request(self, item: S2Request, now: float) -> list[Output]:
        """Take the wish for S2: with a nominal duty `onboard` decides, else the pilot's core."""
        if self._seen.offered_a or self.onboard.is_active:
            return self.onboard.receive_signal(item, now) + self._decide(now)
        return self.pilot.receive_signal(item, now)

    def _want_contactors(self, now: float) -> list[Output]:
        out = self.contactors.receive_signal(ContactorRequest(self._session_wants_closed), now)
        return out + self._decide(now)

    def _open_s2_first(self, permits: Permits, now: float) -> list[Output]:
        """Let the charger switch off before contactors that lost their permit open."""
        loaded = self.contactors.is_commanded and not permits.close_contactors
        if self._grace_until is not None and (not loaded or now >= self._grace_until):
            self._grace_until = None
        if not self.pilot.s2_closed:
            return []
        if loaded:
            self._grace_until = now + VEHICLE_GRACE_S
        elif not is_stale(now - self._heartbeat_at, HEARTBEAT_TIMEOUT_S):
            return []
        return self.pilot.receive_signal(S2Request(closed=False), now)

    def _tell_all(self, now: float) -> list[Output]:
        out: list[Output] = []
        if self._inputs is not None:
            out.append(self.pilot.report())
            self._reported_at = -inf
            out += self._report(now)
        if self.interlock_test.result is not None:
            out.append(self.interlock_test.result)
        return [*out, self._reported_interlock]

    def communication_lost(self, now: float) -> list[Output]:
        """Act on the end of the other process: S2 at once, the contactors after their grace."""
        self._forget_session()
        self._orphaned = self.contactors.is_commanded
        last_at = now - HEARTBEAT_TIMEOUT_S - AGE_STEP_S
        self._heartbeat_at = min(self._heartbeat_at, last_at)
        out = self._decide(now)
        self._timer_at = self._earliest()
        return out

    def _decide(self, now: float) -> list[Output]:
        if self._inputs is None:
            return []
        seen = self._look(self._inputs, now)
        permits = self.interlock.evaluate(seen)
        report = self.interlock.report
        out: list[Output] = []
        if seen.offered_a or self.onboard.is_active:
            out += self.onboard.evaluate(seen, self.pilot.state.plug.cable_a)
            report = self.onboard.report
        out += self._open_s2_first(permits, now)
        if self._grace_until is not None:
            permits = replace(permits, close_contactors=True, expires_at=self._grace_until)
        out += self.contactors.receive_signal(permits, now)
        out += self._forget_wish(now)
        self._orphaned = self._orphaned and self.contactors.is_commanded
        if report is not self._reported_interlock:
            self._reported_interlock = report
            out.append(report)
        return out + self._report(now)

    def _look(self, inputs: PevInputs, now: float) -> VehicleSnapshot:
        """Put everything known into the snapshot, field by field."""
        snapshot, vehicle = self._seen, inputs.vehicle
        snapshot.now = now
        pilot = self.pilot.state
        if pilot is not self._judged_pilot:
            self._judged_pilot = pilot
            snapshot.plugged, snapshot.digital = pilot.plugged, pilot.is_digital
            snapshot.offered_a = current_of_duty_a(pilot.duty) if pilot.is_usable else 0.0
        snapshot.s2_closed = self.pilot.s2_closed
        snapshot.inlet_fault = self.pilot.fault != ""
        snapshot.button = self.pilot.state.plug is BUTTON
        snapshot.inlet_age_s = now - self.pilot.sample_at
        snapshot.heartbeat_age_s = inf if self._orphaned else now - self._heartbeat_at
        snapshot.believed_phase = self._believed
        snapshot.close_requested = self._session_wants_closed
        snapshot.inlet_voltage_v = vehicle.inlet_voltage_v
        snapshot.inlet_current_a = vehicle.inlet_current_a
        snapshot.battery_voltage_v = vehicle.battery_voltage_v
        snapshot.battery_maximum_v = vehicle.maximum_voltage_v
        snapshot.battery_ready = vehicle.ready
        snapshot.battery_age_s = now - vehicle.taken_at
        snapshot.contactors_commanded = self.contactors.is_commanded
        snapshot.contactors_closed = inputs.contactors.closed
        snapshot.contactors_valid = inputs.contactors.valid
        snapshot.contactors_age_s = now - inputs.contactors.taken_at
        snapshot.contactor_fault = self.contactors.fault
        snapshot.emergency_stop = False
        snapshot.hardware_tripped = inputs.chain_open
        snapshot.interlock_tested = self.interlock_test.is_finished
        snapshot.hardware_interlock = self.interlock_test.has_passed
        return snapshot

    def _report(self, now: float) -> list[Output]:
        if self._inputs is None:
            return []
        report, last = self._inputs.vehicle, self._reported
        same = (
            last is not None
            and now - self._reported_at < REPORT_S
            and last.contactors_closed is report.contactors_closed
            and last.ready is report.ready
            and abs(last.inlet_voltage_v - report.inlet_voltage_v) < 0.1
            and abs(last.inlet_current_a - report.inlet_current_a) < 0.1
        )
        if same:
            return []
        self._reported, self._reported_at = report, now
        return [report]

    def _reset(self, item: ResetRequest, now: float) -> list[Output]:
        self.interlock.receive_signal(item)
        if self.pilot.state.plugged:
            return []
        out = self.contactors.reset(now)
        if not self.contactors.is_commanded:
            out += self.interlock_test.begin_again(now)
        return out


def vehicle_realtime(config: CarConfig) -> PevRealtime:
    """Return the hard-timed core that a car file asks for."""
    return PevRealtime(Connector(config.inlet.connector), config.onboard.maximum_current_a)
