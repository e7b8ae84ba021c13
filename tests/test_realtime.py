"""The hard-timed half as a whole: wishes never close, permits run out, silence and loss open."""

from __future__ import annotations

from dataclasses import replace
from math import nan

import pytest

from controller import interlock_heat
from controller.cp.proximity import Connector
from controller.interlock_vehicle import PILOT_LOST_GRACE_S
from controller.power import heat
from controller.power.sim_interlock import SimInterlock
from controller.realtime import EvseRealtime
from controller.realtime_base import HEARTBEAT_TIMEOUT_S, REPORT_S
from controller.realtime_pev import VEHICLE_GRACE_S, PevRealtime
from controller.signals import (
    CableCheckState,
    CloseContactors,
    ContactorReading,
    ContactorRequest,
    DutyRequest,
    EvseInputs,
    Heartbeat,
    InletPilotChanged,
    InletReport,
    InletSample,
    InterlockReport,
    InterlockTested,
    IsolationReading,
    OpenContactors,
    Output,
    OutputReading,
    OutputRequest,
    PevInputs,
    Phase,
    PilotChanged,
    PilotSample,
    PowerEnvelope,
    PowerReport,
    ResetRequest,
    S2Request,
    SetDuty,
    SetOutput,
    SetS2,
    SetWatchdog,
    StartIsolationTest,
    StationChanged,
    StopRequest,
    WakeRequest,
)

STEP_S = 0.005
ENVELOPE = PowerEnvelope(150.0, 920.0, 0.0, 300.0, 150e3)
DIODE_V = -12.0
TESTED_S = 0.2
"""The self-test of the interlock is over."""
SLOW_CP_LOSS_S = 0.045
"""Hardware that is too slow, but is not found out yet: what opens here is the software alone."""


class Charger:
    """The charger's realtime half with obedient hardware, stepped period by period."""

    def __init__(self, *, hardware_interlock: bool = True) -> None:
        self.core = EvseRealtime(hardware_interlock=hardware_interlock)
        self.now = 100.0
        self.high_v, self.low_v = 12.0, 12.0
        self.voltage_v = self.current_a = 0.0
        self.closed = False
        self.setpoint = SetOutput(0.0, 0.0, on=False)
        self.emergency = False
        self.connector_c: float | None = None
        self.beating: Phase | None = Phase.IDLE
        self.sequence = 0
        self.tested_at = -1.0
        self.hanging: PilotSample | None = None
        """What the converter told last, and goes on telling."""
        self.out: list[Output] = []
        self.chain = SimInterlock(self)
        self.chain.fitted = hardware_interlock
        self.chain.cp_lost_s = SLOW_CP_LOSS_S
        if hardware_interlock:
            self.run(TESTED_S)
            self.out.clear()

    @property
    def peaks(self) -> tuple[float, float]:
        return self.high_v, self.low_v

    def feed(self, item: Output) -> list[Output]:
        out = self.core.receive(item, self.now)
        self.obey(out)
        return out

    def obey(self, out: list[Output]) -> None:
        self.out += out
        for item in out:
            if isinstance(item, CloseContactors | OpenContactors):
                self.closed = isinstance(item, CloseContactors)
            elif isinstance(item, SetDuty):
                self.low_v = DIODE_V if item.duty < 1.0 else self.high_v
            elif isinstance(item, SetOutput):
                self.setpoint = item
            elif isinstance(item, StartIsolationTest):
                self.tested_at = self.now + 0.1
            elif isinstance(item, SetWatchdog):
                self.chain.watchdog.toggle(item.toggling, self.now)

    def step(self) -> None:
        self.now += STEP_S
        self.chain.stop_a = self.chain.stop_b = self.emergency
        self.chain.advance(self.now)
        due = self.core.next_timer()
        if due is not None and due <= self.now:
            self.obey(self.core.handle_timer(self.now))
        if self.beating is not None:
            self.sequence += 1
            self.feed(Heartbeat(self.sequence, self.beating))
        self.voltage_v = self.setpoint.voltage_v if self.setpoint.on else 0.0
        tested = 0 <= self.tested_at <= self.now
        self.feed(
            EvseInputs(
                self.hanging or PilotSample(self.high_v, self.low_v, self.now),
                OutputReading(self.voltage_v, self.current_a, self.now),
                ContactorReading(self.closed, self.now),
                IsolationReading(1e6, True, self.now if tested else 0.0, valid=tested),
                ENVELOPE,
                self.emergency,
                not self.chain.chain_closed,
                coils_live=self.chain.coils_live,
                connector_c=self.connector_c,
            )
        )

    def run(self, seconds: float) -> list[Output]:
        """Play on; returns what came out."""
        before = len(self.out)
        until = self.now + seconds
        while self.now < until:
            self.step()
        return self.out[before:]

    def plug(self, level_v: float = 9.0) -> None:
        self.high_v = level_v
        self.feed(DutyRequest(0.05))
        self.run(0.1)

    def cable_check(self) -> None:
        """Go as far as a closed output under test voltage."""
        self.plug(6.0)
        self.beating = Phase.CABLE_CHECK
        self.feed(ContactorRequest(closed=True))
        self.feed(OutputRequest(Phase.CABLE_CHECK, 400.0, 1.0, 420.0))
        self.run(0.5)


def of(kind: type[Output], out: list[Output]) -> list[Output]:
    return [item for item in out if isinstance(item, kind)]


# --- the hardware interlock ----------------------------------------------------------------------


def test_a_converter_that_hangs_does_not_accuse_the_hardware() -> None:
    """The CP-loss part sees the vehicle close S2; we do not, and must not call that a defect."""
    charger = Charger()
    charger.plug()
    charger.hanging = PilotSample(charger.high_v, charger.low_v, charger.now)
    charger.high_v = 6.0
    out = charger.run(1.0)
    assert charger.chain.coils_live
    assert not any(r.latched for r in out if isinstance(r, InterlockReport))
    charger.hanging = None
    out = charger.run(1.0)
    assert not any(r.latched for r in out if isinstance(r, InterlockReport))


@pytest.mark.parametrize(
    ("celsius", "why"), [(95.0, interlock_heat.HOT), (nan, interlock_heat.UNKNOWN)]
)
def test_heat_asks_the_session_to_end_and_then_opens(celsius: float, why: str) -> None:
    charger = Charger()
    charger.cable_check()
    assert charger.closed
    charger.connector_c = celsius
    out = charger.run(heat.BELIEVED_S + 0.1)
    assert of(StopRequest, out) == [StopRequest(why)]
    assert charger.closed
    out = charger.run(interlock_heat.SESSION_S)
    assert of(StopRequest, out) == []
    assert not charger.closed
    assert any(why in r.reasons for r in out if isinstance(r, InterlockReport))
    assert of(SetDuty, out) == []  # so that the vehicle can be told
    charger.connector_c = 25.0
    assert of(StopRequest, charger.run(2.0)) == []


def test_a_cp_loss_part_that_sticks_is_a_defect() -> None:
    charger = Charger()
    charger.plug()
    charger.chain.cp_bridged = True
    out = charger.run(0.2)
    assert any("does not interrupt" in r.latched for r in out if isinstance(r, InterlockReport))


# --- wishes are not permits ----------------------------------------------------------------------


@pytest.mark.parametrize("phase", list(Phase))
def test_requests_alone_never_close_nor_energise(phase: Phase) -> None:
    """No vehicle, but a communication process that wants everything."""
    charger = Charger()
    charger.beating = phase
    charger.run(0.1)
    charger.feed(ContactorRequest(closed=True))
    charger.feed(OutputRequest(phase, 400.0, 100.0, 420.0))
    out = charger.run(2.0)
    assert of(CloseContactors, out) == []
    assert not any(o.on for o in out if isinstance(o, SetOutput))


@pytest.mark.parametrize(("session", "stage"), [(True, False), (False, True)])
def test_both_must_want_the_contactors(session: bool, stage: bool) -> None:
    charger = Charger()
    charger.plug(6.0)
    charger.beating = Phase.CABLE_CHECK if stage else Phase.CONNECTED
    if session:
        charger.feed(ContactorRequest(closed=True))
    if stage:
        charger.feed(OutputRequest(Phase.CABLE_CHECK, 400.0, 1.0, 420.0))
    assert of(CloseContactors, charger.run(1.0)) == []


def test_blind_it_decides_nothing() -> None:
    """Requests and beats before the first inputs neither close nor report."""
    core = EvseRealtime(hardware_interlock=True)
    out = core.receive(Heartbeat(1, Phase.CHARGE), 1.0)
    out += core.receive(ContactorRequest(closed=True), 1.0)
    out += core.receive(OutputRequest(Phase.CHARGE, 400.0, 100.0, 420.0), 1.0)
    assert of(CloseContactors, out) == []
    assert of(InterlockReport, out) == []


def test_in_the_cable_check_it_closes_and_energises() -> None:
    charger = Charger()
    charger.cable_check()
    assert charger.closed
    assert any(o.on and o.voltage_v > 300 for o in charger.out if isinstance(o, SetOutput))
    reports = [o for o in charger.out if isinstance(o, PowerReport)]
    assert CableCheckState.RUNNING in {r.cable_check for r in reports}
    assert reports[-1].cable_check is CableCheckState.PASSED


# --- what takes it away --------------------------------------------------------------------------


def silence(c: Charger) -> None:
    c.beating = None


def emergency(c: Charger) -> None:
    c.emergency = True


def state_b(c: Charger) -> None:
    c.high_v = 9.0


def unplug(c: Charger) -> None:
    c.high_v = 12.0


def pilot_lost(c: Charger) -> None:
    c.high_v = c.low_v = 0.0


def other_phase(c: Charger) -> None:
    c.beating = Phase.CONNECTED


def ask_to_open(c: Charger) -> None:
    c.feed(ContactorRequest(closed=False))


def gone(c: Charger) -> None:
    c.beating = None
    c.obey(c.core.communication_lost(c.now))


@pytest.mark.parametrize(
    ("what", "within_s", "reason"),
    [
        (silence, HEARTBEAT_TIMEOUT_S + 2 * STEP_S, "communication"),
        (emergency, 2 * STEP_S, "emergency stop"),
        (state_b, 0.03, ""),
        (unplug, 0.03, ""),
        (pilot_lost, 0.03, ""),
        (other_phase, 0.1, ""),
        (ask_to_open, STEP_S, ""),
        (gone, STEP_S, ""),
    ],
)
def test_it_opens_in_time_and_says_why(what: object, within_s: float, reason: str) -> None:
    charger = Charger()
    charger.cable_check()
    assert charger.closed
    before = len(charger.out)
    assert callable(what)
    what(charger)
    charger.run(within_s + STEP_S / 2)
    out = charger.out[before:]
    assert not charger.closed
    opened = [o for o in out if isinstance(o, OpenContactors)]
    assert len(opened) == 1
    assert opened[0].reason
    assert reason in opened[0].reason
    charger.run(1.0)
    assert not charger.setpoint.on
    assert not charger.closed


def test_an_emergency_stop_stays_latched_until_unplugged() -> None:
    charger = Charger()
    charger.cable_check()
    charger.emergency = True
    charger.run(0.1)
    charger.emergency = False
    out = charger.run(2.0)
    assert of(CloseContactors, out) == []
    reports = [o for o in charger.out if isinstance(o, InterlockReport)]
    assert reports[-1].latched
    assert reports[-1].emergency


def test_permits_run_out_when_inputs_stop() -> None:
    """The hardware goes silent, only the timers run: the contactors open all the same."""
    charger = Charger()
    charger.cable_check()
    out: list[Output] = []
    until = charger.now + 0.5
    while (due := charger.core.next_timer()) is not None and due < until:
        out += charger.core.handle_timer(due)
    assert of(OpenContactors, out)


@pytest.mark.parametrize("sequence", [0, 5, -1])
def test_an_old_heartbeat_proves_nothing(sequence: int) -> None:
    charger = Charger()
    charger.cable_check()
    charger.beating = None
    for _ in range(100):
        charger.step()
        charger.feed(Heartbeat(sequence, Phase.CABLE_CHECK))
    assert not charger.closed


def test_a_new_communication_process_may_count_from_one() -> None:
    charger = Charger()
    charger.run(0.2)
    charger.core.communication_lost(charger.now)
    charger.sequence = 0
    out = charger.run(0.3)
    reports = [o for o in out if isinstance(o, InterlockReport)]
    assert reports
    assert "communication" not in " ".join(reports[-1].reasons)


def test_after_the_loss_of_communication_nothing_is_wanted_any_more() -> None:
    charger = Charger()
    charger.cable_check()
    charger.core.communication_lost(charger.now)
    charger.sequence = 0
    assert of(CloseContactors, charger.run(3.0)) == []


def test_a_new_communication_process_is_told_everything() -> None:
    charger = Charger()
    charger.cable_check()
    charger.run(1.0)
    told = charger.core.communication_found(charger.now)
    assert not [o for o in told if isinstance(o, CloseContactors)]
    kinds = [type(o) for o in told]
    assert kinds[-4:] == [PilotChanged, PowerReport, InterlockTested, InterlockReport]
    report = told[-1]
    assert isinstance(report, InterlockReport)
    assert not report.close_contactors
    assert any(isinstance(o, OpenContactors) for o in told)  # whose end nobody noticed
    charger.obey(told)
    charger.sequence = 0
    assert of(CloseContactors, charger.run(3.0)) == []


def test_a_first_communication_process_is_told_what_is_known() -> None:
    core = EvseRealtime(hardware_interlock=True)
    assert [type(o) for o in core.communication_found(0.0)] == [InterlockReport]
    charger = Charger()
    told = charger.core.communication_found(charger.now)
    kinds = [type(o) for o in told]
    assert kinds[-4:] == [PilotChanged, PowerReport, InterlockTested, InterlockReport]


def test_an_old_phase_does_not_survive_its_process() -> None:
    charger = Charger()
    charger.cable_check()
    charger.obey(charger.core.communication_found(charger.now))
    charger.beating = None
    charger.feed(Heartbeat(0, Phase.IDLE))
    charger.run(0.02)
    reports = [o for o in charger.out if isinstance(o, InterlockReport)]
    assert "the session is in a phase without power" in reports[-1].reasons


# --- reports and limits --------------------------------------------------------------------------


def test_reports_come_at_least_this_often_and_not_with_each_period() -> None:
    charger = Charger()
    charger.run(1.0)
    reports = of(PowerReport, charger.run(2.0))
    assert 2.0 / REPORT_S - 1 <= len(reports) <= 2.0 / REPORT_S + 1


@pytest.mark.parametrize(("hardware", "highest_v"), [(True, 920.0), (False, 60.0)])
def test_without_a_hardware_interlock_it_is_a_bench(hardware: bool, highest_v: float) -> None:
    charger = Charger(hardware_interlock=hardware)
    charger.run(0.5)
    reports = [o for o in charger.out if isinstance(o, PowerReport)]
    assert reports[-1].envelope.maximum_voltage_v <= highest_v
    if hardware:
        assert reports[-1].envelope == ENVELOPE


def test_the_pilot_is_told() -> None:
    charger = Charger()
    charger.plug(9.0)
    changes = [o for o in charger.out if isinstance(o, PilotChanged)]
    assert [c.state.value for c in changes] == ["A1", "B1", "B2"] or changes[-1].state.value == "B2"


def test_what_is_no_request_is_ignored() -> None:
    charger = Charger()
    assert charger.core.receive(StationChanged("x"), 1.0) == []
    assert PevRealtime().receive(StationChanged("x"), 1.0) == []


def test_settled() -> None:
    charger = Charger()
    charger.run(0.5)
    assert charger.core.settled
    charger.cable_check()
    assert not charger.core.settled


def test_reset_is_heeded_only_unplugged() -> None:
    charger = Charger()
    charger.cable_check()
    charger.emergency = True
    charger.run(0.1)
    charger.emergency = False
    charger.feed(ResetRequest())
    charger.run(0.2)
    assert [o for o in charger.out if isinstance(o, InterlockReport)][-1].latched
    charger.beating = Phase.IDLE
    charger.high_v = 12.0
    charger.run(1.0)
    charger.feed(ResetRequest())
    charger.run(1.0)
    assert not [o for o in charger.out if isinstance(o, InterlockReport)][-1].latched


# --- the interlock's self-test -------------------------------------------------------------------


def untested(**faults: object) -> Charger:
    """Return a charger that has just been switched on."""
    charger = Charger(hardware_interlock=False)
    charger.core = EvseRealtime(hardware_interlock=True)
    charger.chain.fitted = True
    for name, value in faults.items():
        setattr(charger.chain, name, value)
    return charger


def result_of(charger: Charger) -> InterlockTested:
    tested = [o for o in charger.out if isinstance(o, InterlockTested)]
    assert tested[-1].part == "interlock"
    return tested[-1]


def test_until_the_self_test_is_over_there_is_no_permit_but_a_pilot() -> None:
    charger = untested()
    charger.feed(DutyRequest(0.05))
    out = charger.run(0.05)
    assert of(SetDuty, charger.out)
    assert any(o.state.value == "A2" for o in out if isinstance(o, PilotChanged))
    report = [o for o in out if isinstance(o, InterlockReport)][-1]
    assert report.reasons[0] in (
        "the interlock self-test is running",
        "the hardware interlock has tripped",
    )
    assert "the interlock self-test is running" in report.reasons
    assert not charger.core.settled
    charger.run(0.2)
    assert result_of(charger).ok
    assert charger.core.settled
    report = [o for o in charger.out if isinstance(o, InterlockReport)][-1]
    assert "the interlock self-test is running" not in report.reasons
    assert of(CloseContactors, charger.out) == []


def test_a_session_that_is_faster_than_the_self_test_waits_for_it() -> None:
    charger = untested()
    charger.high_v = 9.0  # plugged in while it starts
    charger.beating = Phase.CABLE_CHECK
    charger.feed(DutyRequest(0.05))
    charger.feed(ContactorRequest(closed=True))
    charger.feed(OutputRequest(Phase.CABLE_CHECK, 400.0, 1.0, 420.0))
    charger.run(0.1)
    assert of(CloseContactors, charger.out) == []
    charger.run(0.2)
    charger.high_v = 6.0
    out = charger.run(0.5)
    assert result_of(charger).ok
    assert of(CloseContactors, out)


def test_what_failed_is_bench_mode_with_a_reason() -> None:
    charger = untested(cp_bridged=True)
    charger.run(0.3)
    assert not result_of(charger).ok
    assert "BENCH MODE" in result_of(charger).detail
    assert "CP loss" in result_of(charger).detail
    charger.cable_check()
    reports = [o for o in charger.out if isinstance(o, PowerReport)]
    assert reports[-1].envelope.maximum_voltage_v < 60.0
    setpoints = [o for o in charger.out if isinstance(o, SetOutput) and o.on]
    assert setpoints
    assert max(o.voltage_v for o in setpoints) < 60.0


def test_a_chain_that_does_not_close_allows_nothing_not_even_on_the_bench() -> None:
    charger = untested()
    charger.chain.watchdog.stuck = False
    charger.run(0.5)
    assert not result_of(charger).ok
    charger.cable_check()
    assert of(CloseContactors, charger.out) == []


def test_a_bench_without_chain_is_not_held_by_inputs_that_nothing_drives() -> None:
    charger = Charger(hardware_interlock=False)
    charger.run(0.1)
    assert "BENCH MODE" in result_of(charger).detail
    charger.cable_check()
    assert of(CloseContactors, charger.out)
    assert of(SetWatchdog, charger.out) == []


def test_a_reset_without_vehicle_proves_it_anew() -> None:
    charger = untested(cp_bridged=True)
    charger.run(0.3)
    assert not result_of(charger).ok
    charger.chain.cp_bridged = False
    charger.feed(ResetRequest())
    charger.run(0.3)
    assert result_of(charger).ok
    charger.run(0.3)
    assert charger.core.stage.envelope == ENVELOPE


def test_a_reset_with_a_vehicle_proves_nothing() -> None:
    charger = Charger()
    charger.plug(9.0)
    before = len(charger.out)
    charger.feed(ResetRequest())
    charger.run(0.3)
    assert of(InterlockTested, charger.out[before:]) == []
    assert of(SetWatchdog, charger.out[before:]) == []


def test_a_cp_loss_part_that_sticks_later_is_found_when_the_vehicle_leaves_c() -> None:
    charger = Charger()
    charger.cable_check()
    charger.chain.cp_bridged = True
    charger.high_v = 9.0
    charger.run(0.2)
    report = [o for o in charger.out if isinstance(o, InterlockReport)][-1]
    assert report.latched == "the CP-loss part does not interrupt the coils' supply"
    charger.high_v = 12.0
    charger.run(1.0)
    assert [o for o in charger.out if isinstance(o, InterlockReport)][-1].latched
    charger.chain.cp_bridged = False
    charger.feed(ResetRequest())
    charger.run(1.0)
    assert not [o for o in charger.out if isinstance(o, InterlockReport)][-1].latched
    assert result_of(charger).ok


def test_coils_without_supply_are_not_commanded() -> None:
    charger = Charger()
    charger.chain.cp_dead = True
    charger.cable_check()
    assert of(CloseContactors, charger.out) == []
    report = [o for o in charger.out if isinstance(o, InterlockReport)][-1]
    assert "the coils have no supply (CP-loss part, or its read-back)" in report.reasons


def test_a_chain_that_opens_under_load_opens_the_contactors_without_a_fault() -> None:
    charger = Charger()
    charger.cable_check()
    charger.chain.over_voltage = True
    out = charger.run(1.0)
    assert of(OpenContactors, out)
    report = [o for o in charger.out if isinstance(o, InterlockReport)][-1]
    assert report.latched == ""
    assert report.reasons[0] == "the hardware interlock has tripped"


# --- the vehicle ---------------------------------------------------------------------------------

VEHICLE = InletReport(398.0, 0.0, 400.0, 50.0, 420.0, 300.0, 415.0, 200.0, False, True, 0.0)


class Vehicle:
    """The vehicle's realtime half with obedient hardware."""

    def __init__(self) -> None:
        self.core = PevRealtime()
        self.now = 100.0
        self.duty, self.plugged, self.high_v = 0.05, True, 9.0
        self.report = VEHICLE
        self.ohm: float | None = None
        self.chain_open = False
        self.closed = False
        self.s2 = False
        self.beating: Phase | None = Phase.PRE_CHARGE
        self.sequence = 0
        self.out: list[Output] = []

    def feed(self, item: Output) -> None:
        self.obey(self.core.receive(item, self.now))

    def obey(self, out: list[Output]) -> None:
        self.out += out
        for item in out:
            if isinstance(item, CloseContactors | OpenContactors):
                self.closed = isinstance(item, CloseContactors)
            elif isinstance(item, SetS2):
                self.s2 = item.closed

    def run(self, seconds: float) -> list[Output]:
        before, until = len(self.out), self.now + seconds
        while self.now < until:
            self.now += STEP_S
            due = self.core.next_timer()
            if due is not None and due <= self.now:
                self.obey(self.core.handle_timer(self.now))
            if self.beating is not None:
                self.sequence += 1
                self.feed(Heartbeat(self.sequence, self.beating))
            self.feed(
                PevInputs(
                    InletSample(
                        self.high_v, self.duty, self.plugged, self.now, proximity_ohm=self.ohm
                    ),
                    ContactorReading(self.closed, self.now),
                    replace(self.report, contactors_closed=self.closed, taken_at=self.now),
                    self.chain_open,
                )
            )
        return self.out[before:]

    def charge(self) -> None:
        self.run(0.2)
        self.feed(S2Request(closed=True))
        self.feed(ContactorRequest(closed=True))
        self.run(0.5)


def test_the_vehicle_closes_into_a_matched_voltage() -> None:
    vehicle = Vehicle()
    vehicle.charge()
    assert vehicle.s2
    assert vehicle.closed
    assert [o for o in vehicle.out if isinstance(o, InletPilotChanged)][-1].digital
    assert of(InletReport, vehicle.out)


@pytest.mark.parametrize(
    "changes",
    [
        {"inlet_voltage_v": 300.0},
        {"inlet_voltage_v": 0.0},
        {"ready": False},
    ],
)
def test_the_vehicle_does_not_close_otherwise(changes: dict[str, float]) -> None:
    vehicle = Vehicle()
    vehicle.report = replace(VEHICLE, **changes)  # type: ignore[arg-type]
    vehicle.charge()
    assert not vehicle.closed


@pytest.mark.parametrize("phase", [Phase.IDLE, Phase.CONNECTED, Phase.CABLE_CHECK, Phase.FAULT])
def test_a_request_in_the_wrong_phase_closes_nothing(phase: Phase) -> None:
    vehicle = Vehicle()
    vehicle.beating = phase
    vehicle.charge()
    assert not vehicle.closed


def v_silence(v: Vehicle) -> None:
    v.beating = None


def v_unplug(v: Vehicle) -> None:
    v.plugged, v.high_v, v.duty = False, 0.0, 0.0


def v_battery(v: Vehicle) -> None:
    v.report = replace(v.report, ready=False)


def v_open(v: Vehicle) -> None:
    v.feed(ContactorRequest(closed=False))


def v_gone(v: Vehicle) -> None:
    v.beating = None
    v.obey(v.core.communication_lost(v.now))


@pytest.mark.parametrize(
    ("what", "within_s"),
    [
        (v_silence, HEARTBEAT_TIMEOUT_S + VEHICLE_GRACE_S + 2 * STEP_S),
        (v_unplug, PILOT_LOST_GRACE_S + 0.03),
        (v_battery, 0.1),
        (v_open, STEP_S),
        (v_gone, VEHICLE_GRACE_S + STEP_S),  # S2 at once
    ],
)
def test_the_vehicle_opens_in_time_and_says_why(what: object, within_s: float) -> None:
    vehicle = Vehicle()
    vehicle.charge()
    assert vehicle.closed
    before = len(vehicle.out)
    assert callable(what)
    what(vehicle)
    if what is v_gone:
        assert not vehicle.s2
    vehicle.run(within_s + STEP_S / 2)
    opened = [o for o in vehicle.out[before:] if isinstance(o, OpenContactors)]
    assert not vehicle.closed
    assert opened[0].reason
    assert of(CloseContactors, vehicle.run(2.0)) == []


def test_the_vehicles_reset_needs_an_empty_inlet() -> None:
    vehicle = Vehicle()
    vehicle.charge()
    assert vehicle.core.receive(ResetRequest(), vehicle.now) == []
    assert vehicle.closed


def test_a_new_process_of_the_vehicle_is_told_everything() -> None:
    vehicle = Vehicle()
    assert [type(o) for o in vehicle.core.communication_found(0.0)] == [InterlockReport]
    vehicle.charge()
    told = vehicle.core.communication_found(vehicle.now)
    assert [type(o) for o in told][-3:] == [InletPilotChanged, InletReport, InterlockReport]
    assert SetS2(False) in told
    pilot = told[-3]
    assert isinstance(pilot, InletPilotChanged)
    assert (pilot.plugged, pilot.digital) == (True, True)
    vehicle.obey(told)
    vehicle.sequence = 0
    assert of(CloseContactors, vehicle.run(1.0)) == []
    assert not vehicle.closed


def test_the_vehicle_wakes_a_charger_with_one_toggle() -> None:
    vehicle = Vehicle()
    vehicle.duty, vehicle.beating = 1.0, Phase.CONNECTED
    vehicle.run(0.2)
    vehicle.feed(WakeRequest())
    assert vehicle.s2
    before = len(vehicle.out)
    vehicle.high_v = 6.0
    vehicle.run(0.25)
    assert vehicle.s2
    vehicle.run(0.1)
    assert not vehicle.s2
    assert of(SetS2, vehicle.out[before:]) == [SetS2(False)]
    assert not vehicle.closed


def test_a_toggle_ends_when_communication_falls_silent() -> None:
    vehicle = Vehicle()
    vehicle.duty, vehicle.beating = 1.0, Phase.CONNECTED
    vehicle.run(0.2)
    vehicle.feed(WakeRequest())
    vehicle.beating = None
    vehicle.run(HEARTBEAT_TIMEOUT_S + 0.01)
    assert not vehicle.s2


def test_the_vehicles_hardware_chain_withholds() -> None:
    vehicle = Vehicle()
    vehicle.charge()
    assert vehicle.closed
    vehicle.chain_open = True
    vehicle.run(0.05)
    assert not vehicle.closed
    assert "the hardware interlock has tripped" in vehicle.core.interlock.report.reasons


def test_an_inlet_that_is_faulty_withholds() -> None:
    vehicle = Vehicle()
    vehicle.core = PevRealtime(Connector.CCS1)
    vehicle.ohm = 150.0
    vehicle.charge()
    assert vehicle.closed
    vehicle.ohm = 20.0
    vehicle.run(0.3)
    assert not vehicle.closed
    assert not vehicle.s2
    assert "the inlet is faulty: proximity (PP) or S2" in vehicle.core.interlock.report.reasons


def test_nothing_closes_while_the_button_is_pressed() -> None:
    vehicle = Vehicle()
    vehicle.core = PevRealtime(Connector.CCS1)
    vehicle.ohm = 480.0
    vehicle.charge()
    assert not vehicle.closed
    assert not vehicle.s2
