"""The AC charger's hard-timed half: offers within all bounds, the contactor in time, every loss."""

from __future__ import annotations

from dataclasses import replace
from math import inf, nan

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller import interlock_heat
from controller.config import AcSection, ChargerConfig, ChargerSection
from controller.interlock_ac import STOP_GRACE_S
from controller.power import heat
from controller.power.contactors import MAINS_RECLOSE_S
from controller.power.sim_interlock import SimInterlock
from controller.realtime import EvseRealtime
from controller.realtime_ac import OBSTACLE_S, OFFER_AGAIN_S, AcRealtime, charger_realtime
from controller.realtime_base import HEARTBEAT_TIMEOUT_S
from controller.signals import (
    NO_CABLE_OHM,
    AcReading,
    CloseContactors,
    ContactorReading,
    ContactorRequest,
    ControlPilotState,
    CurrentOffered,
    CurrentRequest,
    DutyRequest,
    EvseInputs,
    Heartbeat,
    InterlockReport,
    InterlockTested,
    IsolationReading,
    OpenContactors,
    Output,
    OutputReading,
    OutputRequest,
    Phase,
    PilotChanged,
    PilotSample,
    PowerEnvelope,
    ResetRequest,
    SetDuty,
    SetWatchdog,
)

STEP_S = 0.005
A_V, B_V, C_V, D_V, E_V = 12.0, 9.0, 6.0, 3.0, 0.0
TESTED_S = 0.2
"""The self-test of the interlock is over."""
SLOW_CP_LOSS_S = 0.045
"""Hardware that is too slow, but is not found out yet: what opens here is the software alone."""
ENVELOPE = PowerEnvelope(0.0, 0.0, 0.0, 0.0, 0.0)
SOCKET = AcSection(connector="socket", maximum_current_a=63.0)


class AcCharger:
    """An AC charger's realtime half with obedient hardware, stepped period by period."""

    def __init__(self, config: AcSection | None = None, *, hardware_interlock: bool = True) -> None:
        self.core = AcRealtime(config or AcSection(), hardware_interlock=hardware_interlock)
        self.now = 100.0
        self.high_v = A_V
        self.duty = 1.0
        self.diode = True
        self.closed = False
        self.welded = False
        self.ac: AcReading | None = AcReading(220.0, False, False, 3, 0.0, 0.0)
        self.emergency = self.chain_open = False
        self.connector_c: float | None = 25.0
        self.beating: Phase | None = Phase.IDLE
        self.sequence = 0
        self.blind = False
        self.out: list[Output] = []
        self.at: list[float] = []
        self.chain = SimInterlock(self)
        self.chain.fitted = hardware_interlock
        self.chain.needs_oscillator = False
        self.chain.cp_lost_s = SLOW_CP_LOSS_S
        if hardware_interlock:
            self.run(TESTED_S)
            self.out.clear()
            self.at.clear()

    @property
    def peaks(self) -> tuple[float, float]:
        oscillating = 0.0 < self.duty < 1.0
        high_v = -12.0 if self.duty == 0.0 else self.high_v
        return high_v, (-12.0 if self.diode else -high_v) if oscillating else high_v

    def feed(self, item: Output) -> list[Output]:
        out = self.core.receive(item, self.now)
        self.obey(out)
        return out

    def obey(self, out: list[Output]) -> None:
        self.out += out
        self.at += [self.now] * len(out)
        for item in out:
            if isinstance(item, CloseContactors):
                self.closed = True
            elif isinstance(item, OpenContactors):
                self.closed = self.welded
            elif isinstance(item, SetDuty):
                self.duty = item.duty
            elif isinstance(item, SetWatchdog):
                self.chain.watchdog.toggle(item.toggling, self.now)

    def inputs(self) -> EvseInputs:
        high_v, low_v = self.peaks
        chain = self.chain
        chain.stop_a = chain.stop_b = self.emergency
        chain.over_voltage = self.chain_open
        chain.advance(self.now)
        ac = self.ac and replace(
            self.ac, taken_at=self.now, live_behind=self.ac.live_behind or self.closed
        )
        return EvseInputs(
            PilotSample(high_v, low_v, self.now),
            OutputReading(0.0, 0.0, self.now),
            ContactorReading(self.closed, self.now),
            IsolationReading(0.0, False, 0.0, valid=False),
            ENVELOPE,
            self.emergency,
            not chain.chain_closed,
            ac,
            chain.coils_live,
            connector_c=self.connector_c,
        )

    def step(self) -> None:
        self.now += STEP_S
        due = self.core.next_timer()
        if due is not None and due <= self.now:
            self.obey(self.core.handle_timer(self.now))
        if self.beating is not None:
            self.sequence += 1
            self.feed(Heartbeat(self.sequence, self.beating))
        if not self.blind:
            self.feed(self.inputs())

    def run(self, seconds: float) -> list[Output]:
        """Play on; returns what came out."""
        before = len(self.out)
        until = self.now + seconds
        while self.now < until - 1e-9:
            self.step()
        return self.out[before:]

    def until(self, kind: type[Output], seconds: float) -> float:
        """Play until such an output comes; returns how long that took."""
        began = self.now
        while self.now < began + seconds:
            before = len(self.out)
            self.step()
            if any(isinstance(item, kind) for item in self.out[before:]):
                return self.now - began
        raise AssertionError(f"no {kind.__name__} within {seconds} s")

    def ac_is(self, **different: object) -> None:
        assert self.ac is not None
        self.ac = replace(self.ac, **different)  # type: ignore[arg-type]

    def plug(self, level_v: float = B_V, current_a: float = 16.0) -> None:
        """Plug in and offer a current."""
        self.run(0.2)
        self.high_v = level_v
        self.beating = Phase.CONNECTED
        self.run(0.05)
        self.feed(CurrentRequest(current_a))
        self.run(0.1)

    def charge(self, current_a: float = 16.0) -> None:
        """Go as far as a closed contactor."""
        self.plug(current_a=current_a)
        self.high_v = C_V
        self.beating = Phase.CHARGE
        self.feed(ContactorRequest(closed=True))
        self.run(0.6)  # state C has to last longer than a toggle
        assert self.closed

    @property
    def offered(self) -> CurrentOffered:
        return next(o for o in reversed(self.out) if isinstance(o, CurrentOffered))

    @property
    def why_open(self) -> str:
        return next(o for o in reversed(self.out) if isinstance(o, OpenContactors)).reason


def of(kind: type[Output], out: list[Output]) -> list[Output]:
    return [item for item in out if isinstance(item, kind)]


# --- the offer -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "ohm", "asked_a", "offered_a", "limited_by"),
    [
        (AcSection(), 0.0, 16.0, 16.0, "request"),
        (AcSection(), NO_CABLE_OHM, 16.0, 16.0, "request"),  # a fixed cable has no PP to read
        (AcSection(), 0.0, 6.0, 6.0, "request"),
        (AcSection(), 0.0, 63.0, 32.0, "charger"),
        (AcSection(maximum_current_a=20.0), 0.0, 32.0, 20.0, "charger"),
        (AcSection(installation_current_a=10.0), 0.0, 32.0, 10.0, "installation"),
        (SOCKET, 100.0, 80.0, 63.0, "charger"),
        (SOCKET, 220.0, 80.0, 32.0, "cable"),
        (SOCKET, 680.0, 80.0, 20.0, "cable"),
        (SOCKET, 1500.0, 80.0, 13.0, "cable"),
        (SOCKET, 1500.0, 10.0, 10.0, "request"),
        (SOCKET, 300.0, 80.0, 32.0, "cable"),
    ],
)
def test_the_offer_is_the_least_of_all(
    config: AcSection, ohm: float, asked_a: float, offered_a: float, limited_by: str
) -> None:
    charger = AcCharger(config)
    charger.ac_is(cable_ohm=ohm)
    charger.plug(current_a=asked_a)
    assert charger.offered == CurrentOffered(offered_a, limited_by)
    expected = offered_a / 60 if offered_a <= 51 else 0.64 + offered_a / 250
    assert charger.duty == pytest.approx(expected)


@pytest.mark.parametrize("current_a", [0.0, 5.99, -16.0, nan, inf])
def test_no_current_is_a_steady_pilot(current_a: float) -> None:
    charger = AcCharger()
    charger.plug(current_a=current_a)
    assert charger.duty == 1.0


@pytest.mark.parametrize("ohm", [NO_CABLE_OHM, 0.0, 30.0, 5000.0])
def test_without_a_known_cable_nothing_is_offered(ohm: float) -> None:
    charger = AcCharger(SOCKET)
    charger.ac_is(cable_ohm=ohm)
    charger.plug()
    assert charger.duty == 1.0
    assert "PP" in charger.offered.limited_by
    charger.ac_is(cable_ohm=220.0)
    charger.run(0.2)
    assert charger.offered == CurrentOffered(16.0, "request")


def test_a_cable_does_not_grow_while_a_vehicle_is_there() -> None:
    charger = AcCharger(SOCKET)
    charger.ac_is(cable_ohm=1500.0)
    charger.plug(current_a=32.0)
    charger.ac_is(cable_ohm=100.0)
    charger.run(10.0)
    assert charger.offered == CurrentOffered(13.0, "cable")
    charger.high_v = A_V
    charger.run(0.5)
    charger.ac_is(cable_ohm=220.0)
    charger.run(0.5)
    charger.high_v = B_V
    charger.run(8.0)
    assert charger.offered == CurrentOffered(32.0, "cable")


def test_a_cable_that_was_lost_comes_back_no_larger() -> None:
    charger = AcCharger(SOCKET)
    charger.ac_is(cable_ohm=1500.0)
    charger.plug(current_a=32.0)
    charger.ac_is(cable_ohm=NO_CABLE_OHM)
    charger.run(1.0)
    assert charger.duty == 1.0
    charger.ac_is(cable_ohm=100.0)
    charger.run(10.0)
    assert charger.offered == CurrentOffered(13.0, "cable")


def test_a_cable_that_shrinks_lowers_the_offer() -> None:
    charger = AcCharger(SOCKET)
    charger.charge(current_a=32.0)
    charger.run(10.0)
    charger.ac_is(cable_ohm=680.0)
    charger.run(6.0)
    assert charger.offered == CurrentOffered(20.0, "cable")
    assert charger.closed


def test_the_cable_is_pulled_out_of_the_socket() -> None:
    charger = AcCharger(SOCKET)
    charger.charge()
    charger.ac_is(cable_ohm=NO_CABLE_OHM)
    assert charger.until(OpenContactors, 1.0) <= 0.15
    assert "PP" in charger.why_open
    charger.run(0.3)
    assert charger.duty == 1.0


@pytest.mark.parametrize(
    ("obstacle", "says"),
    [
        ({"phases": 2}, "a mains phase is missing"),
        ({"phases": 0}, "a mains phase is missing"),
        ({"valid": False}, "silent"),
        ({"live_behind": True}, "voltage behind the open contactor"),
        ({"rcd_tripped": True}, "residual-current device"),
    ],
)
def test_no_offer_that_cannot_be_kept(obstacle: dict[str, object], says: str) -> None:
    charger = AcCharger()
    charger.ac_is(**obstacle)
    charger.plug()
    assert charger.duty == 1.0
    assert says in charger.offered.limited_by


def test_without_ac_inputs_there_is_no_offer_and_no_contactor() -> None:
    charger = AcCharger()
    charger.ac = None
    charger.plug(level_v=C_V)
    charger.beating = Phase.CHARGE
    charger.feed(ContactorRequest(closed=True))
    charger.run(1.0)
    assert charger.duty == 1.0
    assert not charger.closed


def test_without_the_hardware_interlock_the_mains_is_never_switched() -> None:
    charger = AcCharger(hardware_interlock=False)
    charger.plug(level_v=C_V)
    charger.beating = Phase.CHARGE
    charger.feed(ContactorRequest(closed=True))
    charger.run(1.0)
    assert not charger.closed
    assert "bench mode" in charger.offered.limited_by


@pytest.mark.parametrize("celsius", [90.0, 150.0, nan])
def test_heat_withdraws_the_offer_and_the_vehicle_opens_s2(celsius: float) -> None:
    site = AcCharger()
    site.charge()
    site.connector_c = celsius
    site.run(heat.BELIEVED_S + 0.2)
    assert site.duty == 1.0
    assert site.closed
    site.high_v = B_V
    site.run(0.05)
    assert not site.closed
    site.high_v = C_V
    site.run(20.0)
    assert not site.closed
    site.high_v, site.connector_c = B_V, 59.0
    site.run(4.0)
    assert 0.0 < site.duty < 1.0
    site.high_v = C_V
    site.run(15.0)
    assert site.closed


def test_heat_opens_under_load_when_the_vehicle_stays() -> None:
    site = AcCharger()
    site.charge()
    site.connector_c = 95.0
    took_s = site.until(OpenContactors, 10.0)
    assert took_s == pytest.approx(heat.BELIEVED_S + STOP_GRACE_S, abs=0.05)
    assert site.why_open == interlock_heat.HOT


def test_a_dip_of_the_mains_is_no_obstacle() -> None:
    charger = AcCharger()
    charger.charge()
    charger.ac_is(phases=0)
    charger.run(OBSTACLE_S - 2 * STEP_S)
    charger.ac_is(phases=3)
    assert of(SetDuty, charger.run(1.0)) == []
    assert charger.closed


def test_an_offer_comes_back_but_not_at_once() -> None:
    charger = AcCharger()
    charger.plug()
    charger.ac_is(phases=2)
    charger.until(SetDuty, 0.2)
    assert charger.duty == 1.0
    charger.ac_is(phases=3)
    assert charger.until(SetDuty, 10.0) >= OFFER_AGAIN_S - STEP_S
    assert charger.offered == CurrentOffered(16.0, "request")


def test_a_nominal_duty_request_is_a_request_for_its_current() -> None:
    charger = AcCharger(SOCKET)
    charger.ac_is(cable_ohm=1500.0)
    charger.plug()
    charger.run(10.0)
    charger.feed(DutyRequest(0.9))
    charger.run(6.0)
    assert charger.offered == CurrentOffered(13.0, "cable")


@pytest.mark.parametrize("duty", [1.0, 0.0, 0.05])
def test_the_pilot_without_an_offer(duty: float) -> None:
    charger = AcCharger()
    charger.plug()
    charger.feed(DutyRequest(duty))
    charger.run(6.0)  # no meaning follows another at once
    assert charger.duty == duty
    assert charger.offered == CurrentOffered(0.0, "not asked for")


@pytest.mark.parametrize("duty", [nan, 2.0, -1.0, 0.01, 0.99])
def test_a_duty_that_means_nothing_offers_nothing(duty: float) -> None:
    charger = AcCharger()
    charger.plug()
    charger.feed(DutyRequest(duty))
    charger.run(0.1)
    assert charger.duty == 1.0


def test_what_a_dc_session_asks_is_ignored() -> None:
    charger = AcCharger()
    charger.charge()
    assert charger.feed(OutputRequest(Phase.CHARGE, 400.0, 100.0, 420.0)) == []


# --- closing -------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["A-B-C", "A-C"])
def test_the_contactor_closes_within_three_seconds(way: str) -> None:
    """Table A.6 sequences 3 and 4; a vehicle may also close S2 before it is plugged in."""
    charger = AcCharger()
    charger.plug(C_V if way == "A-C" else B_V)
    charger.high_v = C_V
    charger.beating = Phase.CHARGE
    charger.feed(ContactorRequest(closed=True))
    assert charger.closed or charger.until(CloseContactors, 3.0) < 0.6


@pytest.mark.parametrize("level_v", [A_V, B_V, E_V, D_V])
@pytest.mark.parametrize("phase", list(Phase))
def test_wishes_alone_never_close(level_v: float, phase: Phase) -> None:
    charger = AcCharger()
    charger.plug(level_v)
    charger.beating = phase
    charger.feed(ContactorRequest(closed=True))
    assert of(CloseContactors, charger.run(2.0)) == []


def test_without_a_wish_it_stays_open() -> None:
    charger = AcCharger()
    charger.plug(C_V)
    charger.beating = Phase.CHARGE
    assert of(CloseContactors, charger.run(5.0)) == []


def test_five_percent_closes_nothing() -> None:
    charger = AcCharger()
    charger.plug(C_V)
    charger.feed(DutyRequest(0.05))
    charger.beating = Phase.CHARGE
    charger.feed(ContactorRequest(closed=True))
    charger.run(1.0)
    assert not charger.closed


def test_a_diode_must_have_been_seen() -> None:
    charger = AcCharger()
    charger.diode = False
    charger.plug(C_V)
    charger.beating = Phase.CHARGE
    charger.feed(ContactorRequest(closed=True))
    charger.run(1.0)
    assert not charger.closed
    assert any("diode" in r for r in charger.core.interlock.report.reasons)


def test_ventilation() -> None:
    for ventilation in (False, True):
        charger = AcCharger(AcSection(ventilation=ventilation))
        charger.plug(D_V)
        charger.beating = Phase.CHARGE
        charger.feed(ContactorRequest(closed=True))
        charger.run(1.0)
        assert charger.closed is ventilation


def test_it_closes_again_after_ten_seconds_only() -> None:
    charger = AcCharger()
    charger.charge()
    charger.high_v = B_V
    charger.run(0.1)
    assert not charger.closed
    charger.high_v = C_V
    waited = charger.until(CloseContactors, 20.0)
    assert MAINS_RECLOSE_S - 0.2 < waited < MAINS_RECLOSE_S + 0.1


# --- opening -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("level_v", "within_s", "says"),
    [
        (B_V, 0.05, "state B"),  # Table A.6 sequence 8.1: off within 100 ms, contacts included
        (A_V, 0.05, "state A"),  # 2.1, 2.2
        (E_V, 0.05, "state E"),  # 12: 3 s
        (D_V, 0.05, "ventilation"),
    ],
)
def test_the_pilot_opens_it(level_v: float, within_s: float, says: str) -> None:
    charger = AcCharger()
    charger.charge()
    charger.high_v = level_v
    assert charger.until(OpenContactors, 1.0) <= within_s
    assert says in charger.why_open


def test_stopping_waits_for_the_vehicle() -> None:
    charger = AcCharger()
    charger.charge()
    charger.beating = Phase.STOPPING
    charger.feed(DutyRequest(1.0))
    charger.run(2.9)
    assert charger.duty == 1.0
    assert charger.closed
    charger.high_v = B_V
    assert charger.until(OpenContactors, 1.0) <= 0.05


def test_a_vehicle_that_stays_in_c1_is_switched_off_under_load() -> None:
    charger = AcCharger()
    charger.charge()
    charger.ac_is(current_a=16.0)
    charger.beating = Phase.STOPPING
    charger.feed(DutyRequest(1.0))
    waited = charger.until(OpenContactors, 10.0)
    assert STOP_GRACE_S <= waited <= STOP_GRACE_S + 0.1
    assert "C1" in charger.why_open


def test_a_request_to_open_opens_at_once() -> None:
    charger = AcCharger()
    charger.charge()
    assert OpenContactors("requested") in charger.feed(ContactorRequest(closed=False))


@pytest.mark.parametrize(
    ("fault", "within_s", "says"),
    [
        ({"rcd_tripped": True}, 0.005, "residual-current"),
        ({"phases": 2}, 0.12, "phase is missing"),
        ({"valid": False}, 0.005, "silent"),
        ({"current_a": nan}, 0.005, "plausible"),
        ({"current_a": 18.3}, 7.1, "draws 18.3 A of 16.0 A"),
    ],
)
def test_the_installation_opens_it(fault: dict[str, object], within_s: float, says: str) -> None:
    charger = AcCharger()
    charger.charge()
    charger.ac_is(**fault)
    assert charger.until(OpenContactors, 10.0) <= within_s + 1e-9
    assert says in charger.why_open


def test_the_emergency_stop_opens_and_stops_the_oscillator() -> None:
    charger = AcCharger()
    charger.charge()
    charger.emergency = True
    charger.step()
    assert not charger.closed
    assert charger.duty == 1.0


def test_the_hardware_chain_opens_it() -> None:
    charger = AcCharger()
    charger.charge()
    charger.chain_open = True
    charger.step()
    assert not charger.closed
    assert "hardware interlock" in charger.why_open


def test_silence_opens_and_withdraws_the_offer() -> None:
    charger = AcCharger()
    charger.charge()
    charger.beating = None
    assert charger.until(OpenContactors, 1.0) <= HEARTBEAT_TIMEOUT_S + 2 * STEP_S
    assert "silent" in charger.why_open
    charger.run(0.3)
    assert charger.duty == 1.0
    assert "silent" in charger.offered.limited_by


@pytest.mark.parametrize("silent_s", [0.08, 0.2, 1.0, 3.0])
def test_after_silence_the_charge_goes_on(silent_s: float) -> None:
    """Only with heartbeats of a session that believes in it, and after the contactor has rested."""
    charger = AcCharger()
    charger.charge()
    charger.run(6.0)
    charger.beating = None
    charger.run(silent_s)
    assert charger.duty == 1.0
    assert not charger.closed
    charger.beating = Phase.CHARGE
    assert charger.until(SetDuty, 5.0) <= OFFER_AGAIN_S
    assert charger.offered == CurrentOffered(16.0, "request")
    charger.run(MAINS_RECLOSE_S)
    assert charger.closed


def test_after_silence_another_session_gets_nothing() -> None:
    charger = AcCharger()
    charger.charge()
    charger.beating = None
    charger.run(1.0)
    charger.beating = Phase.CONNECTED
    charger.run(20.0)
    assert not charger.closed


def test_a_wish_survives_a_hiccup_before_it_is_granted() -> None:
    """Nothing was closed: the vehicle must not wait for ever for a wish that nobody repeats."""
    charger = AcCharger()
    charger.charge()
    charger.high_v = B_V
    charger.run(0.5)
    charger.high_v = C_V
    charger.run(1.0)
    charger.beating = None
    charger.run(0.08)
    charger.beating = Phase.CHARGE
    charger.run(MAINS_RECLOSE_S)
    assert charger.closed


def test_blindness_opens() -> None:
    charger = AcCharger()
    charger.charge()
    charger.blind = True
    assert charger.until(OpenContactors, 1.0) <= 0.16


def test_the_end_of_the_other_process_opens_and_ends_the_offer() -> None:
    charger = AcCharger()
    charger.charge()
    charger.obey(charger.core.communication_lost(charger.now))
    assert not charger.closed
    charger.run(0.1)
    assert charger.duty == 1.0
    charger.sequence = 0
    charger.run(20.0)
    assert charger.duty == 1.0, "what the process before asked for is void"
    assert not charger.closed


def test_a_new_process_is_told_everything() -> None:
    charger = AcCharger()
    charger.charge()
    out = charger.core.communication_found(charger.now)
    kinds = [type(o) for o in out]
    assert {PilotChanged, CurrentOffered, InterlockReport} <= set(kinds)
    assert kinds[-1] is InterlockReport


# --- faults --------------------------------------------------------------------------------------


def test_a_welded_contact_is_latched_until_a_reset() -> None:
    charger = AcCharger()
    charger.charge()
    charger.welded = True
    charger.high_v = B_V
    charger.run(1.0)
    assert "welded" in charger.core.interlock.report.latched
    charger.high_v = A_V
    charger.run(1.0)
    charger.welded = charger.closed = False
    charger.run(1.0)
    assert "welded" in charger.core.interlock.report.latched
    charger.feed(ResetRequest())
    charger.run(1.0)
    assert charger.core.interlock.report.latched == ""
    charger.run(10.0)
    charger.charge()


def test_voltage_behind_the_contactor_with_honest_feedback_is_a_weld_too() -> None:
    """One pole of the contactor hangs: the mirror contact shows open."""
    charger = AcCharger()
    charger.charge()
    charger.ac_is(live_behind=True)
    charger.high_v = B_V
    charger.run(1.0)
    assert "welded" in charger.core.interlock.report.latched
    charger.high_v = A_V
    charger.ac_is(live_behind=False)
    charger.run(1.0)
    assert "welded" in charger.core.interlock.report.latched


def test_a_reset_leaves_state_f_to_look() -> None:
    charger = AcCharger()
    charger.ac_is(live_behind=True)
    charger.run(1.0)
    charger.feed(DutyRequest(0.0))
    charger.run(0.1)
    assert charger.core.pilot.state is ControlPilotState.F
    charger.ac_is(live_behind=False)
    charger.feed(ResetRequest())
    charger.run(0.2)
    assert charger.core.interlock.report.latched == ""


def test_a_new_vehicle_after_a_trip_of_the_rcd() -> None:
    charger = AcCharger()
    charger.charge()
    charger.ac_is(rcd_tripped=True)
    charger.run(1.0)
    charger.ac_is(rcd_tripped=False)
    charger.run(20.0)
    assert not charger.closed
    charger.high_v = A_V
    charger.run(1.0)
    charger.charge()


# --- whatever happens ----------------------------------------------------------------------------

ACTIONS = st.lists(
    st.one_of(
        st.sampled_from([A_V, B_V, C_V, D_V, E_V]).map(lambda v: ("level", v)),
        st.sampled_from([0.0, 6.0, 13.0, 32.0, 80.0, nan]).map(lambda a: ("current", a)),
        st.sampled_from([0.0, 0.05, 0.3, 1.0]).map(lambda d: ("duty", d)),
        st.booleans().map(lambda c: ("contactors", c)),
        st.sampled_from([None, *Phase]).map(lambda p: ("phase", p)),
        st.sampled_from([{"phases": 2}, {"phases": 3}, {"rcd_tripped": True}]).map(
            lambda d: ("ac", d)
        ),
        st.sampled_from([100.0, 220.0, 680.0, 1500.0, NO_CABLE_OHM]).map(
            lambda o: ("ac", {"cable_ohm": o})
        ),
        st.booleans().map(lambda e: ("emergency", e)),
        st.sampled_from([0.005, 0.2, 4.0]).map(lambda s: ("run", s)),
    ),
    max_size=12,
)


@settings(max_examples=60, deadline=None)
@given(ACTIONS)
def test_never_closed_without_a_vehicle_that_asks(actions: list[tuple[str, object]]) -> None:
    charger = AcCharger(SOCKET)
    charger.charge()
    wrong_since: float | None = None
    for name, value in actions:
        if name == "run":
            until = charger.now + float(value)  # type: ignore[arg-type]
            while charger.now < until:
                charger.step()
                fine = charger.high_v == C_V and charger.beating and not charger.emergency
                wrong_since = None if fine else (wrong_since or charger.now)
                assert not charger.closed or wrong_since is None or charger.now - wrong_since < 0.1
                carried = {100.0: 63.0, 220.0: 32.0, 680.0: 20.0, 1500.0: 13.0}
                if charger.duty not in (0.0, 0.05, 1.0):
                    assert charger.duty * 60 <= max(carried.values()) + 1e-6
            continue
        apply(charger, name, value)


def apply(charger: AcCharger, name: str, value: object) -> None:
    match name:
        case "level":
            charger.high_v = value  # type: ignore[assignment]
        case "current":
            charger.feed(CurrentRequest(value))  # type: ignore[arg-type]
        case "duty":
            charger.feed(DutyRequest(value))  # type: ignore[arg-type]
        case "contactors":
            charger.feed(ContactorRequest(closed=bool(value)))
        case "phase":
            charger.beating = value  # type: ignore[assignment]
        case "ac":
            charger.ac_is(**value)  # type: ignore[arg-type]
        case _:
            charger.emergency = bool(value)


def test_a_pause_harms_nobody_only_without_vehicle() -> None:
    charger = AcCharger()
    charger.run(0.1)
    assert charger.core.may_pause
    charger.plug()
    assert not charger.core.may_pause


# --- which core ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("mode", "kind"), [("dc", EvseRealtime), ("ac", AcRealtime)])
def test_the_charger_file_chooses(mode: str, kind: type) -> None:
    assert type(charger_realtime(ChargerConfig(ChargerSection(mode=mode)))) is kind


# --- the hardware interlock ----------------------------------------------------------------------


def test_no_permit_before_the_self_test_has_passed() -> None:
    charger = AcCharger(hardware_interlock=False)
    charger.core = AcRealtime(AcSection(), hardware_interlock=True)
    charger.chain.fitted = True
    charger.run(0.05)
    report = [o for o in charger.out if isinstance(o, InterlockReport)][-1]
    assert "the interlock self-test is running" in report.reasons
    charger.run(0.2)
    assert [o for o in charger.out if isinstance(o, InterlockTested)][-1].ok
    assert not any(isinstance(o, CloseContactors) for o in charger.out)


@pytest.mark.parametrize("fault", ["cp_bridged", "chain_bridged"])
def test_what_failed_its_self_test_switches_no_mains(fault: str) -> None:
    charger = AcCharger(hardware_interlock=False)
    charger.core = AcRealtime(AcSection(), hardware_interlock=True)
    charger.chain.fitted = True
    setattr(charger.chain, fault, True)
    charger.run(1.0)
    assert not [o for o in charger.out if isinstance(o, InterlockTested)][-1].ok
    charger.high_v = C_V
    charger.beating = Phase.CHARGE
    charger.feed(CurrentRequest(16.0))
    charger.feed(ContactorRequest(closed=True))
    charger.run(5.0)
    assert not any(isinstance(o, CloseContactors) for o in charger.out)
    report = [o for o in charger.out if isinstance(o, InterlockReport)][-1]
    assert "no hardware interlock: the mains is not switched (bench mode)" in report.reasons
