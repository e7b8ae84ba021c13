"""The vehicle on AC: S2, the limit of the on-board charger, no DC contactor, whatever comes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.config import CarConfig, OnboardSection
from controller.cp import limits
from controller.interlock_rules import InterlockConfig
from controller.interlock_vehicle import VehicleSnapshot
from controller.onboard import ONBOARD_RULES, RAMP_DOWN_S, Onboard
from controller.realtime_base import HEARTBEAT_TIMEOUT_S
from controller.realtime_pev import PevRealtime, vehicle_realtime
from controller.signals import (
    CloseContactors,
    ContactorReading,
    ContactorRequest,
    Heartbeat,
    InletReport,
    InletSample,
    InterlockReport,
    Output,
    PevInputs,
    Phase,
    S2Request,
    SetOnboardCurrent,
    SetS2,
)

STEP_S = 0.005
BATTERY = InletReport(0.0, 0.0, 400.0, 50.0, 420.0, 300.0, 415.0, 200.0, False, True, 0.0)
B_V, C_V = 8.3, 5.3
"""Behind the vehicle's diode."""
DUTY_16A, DUTY_10A = 16 / 60, 10 / 60
OHM = {13.0: 1500.0, 20.0: 680.0, 32.0: 220.0}


class Vehicle:
    """The vehicle's realtime half at an AC charger, with obedient hardware."""

    def __init__(self, onboard_a: float = 32.0) -> None:
        self.core = PevRealtime(onboard_a=onboard_a)
        self.now = 100.0
        self.duty, self.plugged, self.ohm = DUTY_16A, True, OHM[32.0]
        self.battery = BATTERY
        self.chain_open = self.dc_closed = self.blind = False
        self.s2 = False
        self.limit_a = 0.0
        self.beating: Phase | None = Phase.CHARGE
        self.sequence = 0
        self.out: list[Output] = []
        self.at: list[float] = []

    def feed(self, item: Output) -> list[Output]:
        out = self.core.receive(item, self.now)
        self.obey(out)
        return out

    def obey(self, out: list[Output]) -> None:
        self.out += out
        self.at += [self.now] * len(out)
        for item in out:
            if isinstance(item, SetS2):
                self.s2 = item.closed
            elif isinstance(item, SetOnboardCurrent):
                self.limit_a = item.current_a
            assert not isinstance(item, CloseContactors)

    def run(self, seconds: float) -> list[Output]:
        before, until = len(self.out), self.now + seconds
        while self.now < until - 1e-9:
            self.now += STEP_S
            due = self.core.next_timer()
            if due is not None and due <= self.now:
                self.obey(self.core.handle_timer(self.now))
            if self.beating is not None:
                self.sequence += 1
                self.feed(Heartbeat(self.sequence, self.beating))
            if not self.blind:
                self.feed(self.inputs())
        return self.out[before:]

    def inputs(self) -> PevInputs:
        high_v = (C_V if self.s2 else B_V) if self.plugged and self.duty > 0.0 else 0.0
        ohm = self.ohm if self.plugged else 1e6
        return PevInputs(
            InletSample(high_v, self.duty, self.plugged, self.now, proximity_ohm=ohm),
            ContactorReading(self.dc_closed, self.now),
            replace(self.battery, taken_at=self.now),
            self.chain_open,
        )

    def charge(self) -> None:
        self.run(0.3)
        self.feed(S2Request(closed=True))
        self.run(0.3)
        assert self.s2

    @property
    def report(self) -> InterlockReport:
        return next(o for o in reversed(self.out) if isinstance(o, InterlockReport))


def of(kind: type[Output], out: list[Output]) -> list[Output]:
    return [item for item in out if isinstance(item, kind)]


# --- the limit -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("duty", "cable_a", "onboard_a", "limit_a"),
    [
        (0.10, 32.0, 32.0, 6.0),
        (0.08, 32.0, 32.0, 6.0),
        (16 / 60, 32.0, 32.0, 16.0),
        (0.5333, 32.0, 32.0, 32.0),
        (0.9, 32.0, 80.0, 32.0),  # the cable
        (0.5, 13.0, 32.0, 13.0),
        (0.5, 20.0, 32.0, 20.0),
        (0.5, 32.0, 16.0, 16.0),  # its own charger
        (0.96, 32.0, 80.0, 32.0),
    ],
)
def test_the_limit_is_the_least_of_all(
    duty: float, cable_a: float, onboard_a: float, limit_a: float
) -> None:
    vehicle = Vehicle(onboard_a)
    vehicle.duty, vehicle.ohm = duty, OHM[cable_a]
    vehicle.charge()
    assert vehicle.limit_a == pytest.approx(limit_a, abs=0.01)
    assert vehicle.report.energise


def test_another_duty_is_followed_within_five_seconds() -> None:
    vehicle = Vehicle()
    vehicle.charge()
    for duty, limit_a in ((DUTY_10A, 10.0), (0.5, 30.0), (0.1, 6.0)):
        vehicle.duty = duty
        vehicle.run(0.1)
        assert vehicle.limit_a == pytest.approx(limit_a, abs=0.01)
        assert vehicle.s2


def test_noise_of_the_duty_is_no_new_limit() -> None:
    vehicle = Vehicle()
    vehicle.charge()
    for n in range(20):
        vehicle.duty = DUTY_16A + limits.DUTY_CHANGE * (0.9 if n % 2 else -0.9)
        assert of(SetOnboardCurrent, vehicle.run(0.02)) == []


@pytest.mark.parametrize("duty", [0.0, 0.02, 0.05, 0.075, 0.98, 1.0])
def test_no_limit_where_a_duty_offers_nothing(duty: float) -> None:
    vehicle = Vehicle()
    vehicle.duty = duty
    vehicle.run(0.3)
    vehicle.feed(S2Request(closed=True))
    vehicle.run(0.3)
    assert vehicle.limit_a == 0.0
    assert of(SetOnboardCurrent, vehicle.out) == []


# --- S2 ------------------------------------------------------------------------------------------


def test_s2_is_not_closed_without_a_wish() -> None:
    vehicle = Vehicle()
    assert of(SetS2, vehicle.run(5.0)) == []
    assert vehicle.limit_a == 0.0


@pytest.mark.parametrize("phase", [p for p in Phase if p is not Phase.CHARGE])
def test_s2_is_not_closed_in_another_phase(phase: Phase) -> None:
    vehicle = Vehicle()
    vehicle.beating = phase
    vehicle.run(0.3)
    vehicle.feed(S2Request(closed=True))
    vehicle.run(1.0)
    assert not vehicle.s2


def test_a_wish_waits_for_the_battery() -> None:
    vehicle = Vehicle()
    vehicle.battery = replace(BATTERY, ready=False)
    vehicle.run(0.3)
    vehicle.feed(S2Request(closed=True))
    vehicle.run(1.0)
    assert not vehicle.s2
    vehicle.battery = BATTERY
    vehicle.run(0.1)
    assert vehicle.s2


def test_the_end_comes_without_load() -> None:
    vehicle = Vehicle()
    vehicle.charge()
    vehicle.feed(S2Request(closed=False))
    assert vehicle.limit_a == 0.0
    assert vehicle.s2
    vehicle.run(RAMP_DOWN_S - 2 * STEP_S)
    assert vehicle.s2
    vehicle.run(4 * STEP_S)
    assert not vehicle.s2
    assert of(SetS2, vehicle.run(5.0)) == []


def test_who_wants_again_before_s2_has_opened() -> None:
    vehicle = Vehicle()
    vehicle.charge()
    vehicle.feed(S2Request(closed=False))
    vehicle.run(0.05)
    vehicle.feed(S2Request(closed=True))
    vehicle.run(1.0)
    assert vehicle.s2
    assert vehicle.limit_a == pytest.approx(16.0)


# --- every loss ----------------------------------------------------------------------------------


def unplug(v: Vehicle) -> None:
    v.plugged = False


def x1(v: Vehicle) -> None:
    v.duty = 1.0


def state_f(v: Vehicle) -> None:
    v.duty = 0.0


def five_percent(v: Vehicle) -> None:
    v.duty = 0.05


def no_battery(v: Vehicle) -> None:
    v.battery = replace(BATTERY, ready=False)


def silence(v: Vehicle) -> None:
    v.beating = None


def gone(v: Vehicle) -> None:
    v.beating = None
    v.obey(v.core.communication_lost(v.now))


def blind(v: Vehicle) -> None:
    v.blind = True


def chain(v: Vehicle) -> None:
    v.chain_open = True


def dc_contact(v: Vehicle) -> None:
    v.dc_closed = True


def bad_plug(v: Vehicle) -> None:
    v.ohm = 5.0


LOSSES = [
    (unplug, 0.05),
    (x1, 0.05),
    (state_f, 0.05),
    (five_percent, 0.05),
    (no_battery, 0.02),
    (silence, HEARTBEAT_TIMEOUT_S + 0.02),
    (gone, 0.02),
    (blind, 0.2),
    (chain, 0.02),
    (dc_contact, 0.02),
    (bad_plug, 0.05),
]


@pytest.mark.parametrize(("loss", "within_s"), LOSSES, ids=lambda v: getattr(v, "__name__", v))
def test_each_loss_ends_it(loss: object, within_s: float) -> None:
    vehicle = Vehicle()
    vehicle.charge()
    loss(vehicle)  # type: ignore[operator]
    vehicle.run(within_s)
    assert vehicle.limit_a == 0.0
    assert not vehicle.s2
    assert not vehicle.report.close_contactors or loss is blind
    vehicle.run(2.0)
    assert vehicle.limit_a == 0.0


def test_after_an_offer_has_ended_the_wish_has_to_be_renewed() -> None:
    vehicle = Vehicle()
    vehicle.charge()
    vehicle.duty = 1.0
    vehicle.run(1.0)
    vehicle.duty = DUTY_16A
    vehicle.run(1.0)
    assert not vehicle.s2
    vehicle.feed(S2Request(closed=True))
    vehicle.run(0.1)
    assert vehicle.s2


def test_the_dc_contactors_stay_open_whatever_is_asked() -> None:
    vehicle = Vehicle()
    vehicle.battery = replace(BATTERY, inlet_voltage_v=400.0)
    for phase in Phase:
        vehicle.beating = phase
        vehicle.run(0.1)
        vehicle.feed(ContactorRequest(closed=True))
        assert of(CloseContactors, vehicle.run(0.5)) == []
    reasons = vehicle.core.interlock.report.reasons
    assert "the pilot offers AC: the DC contactors stay open" in reasons


def test_five_percent_that_becomes_a_current_mid_session() -> None:
    vehicle = Vehicle()
    vehicle.duty = 0.05
    vehicle.run(0.3)
    vehicle.feed(S2Request(closed=True))
    vehicle.run(0.2)
    assert vehicle.s2
    assert vehicle.limit_a == 0.0
    vehicle.duty = DUTY_16A
    vehicle.run(0.1)
    assert not vehicle.s2, "the wish was for digital communication"
    vehicle.feed(S2Request(closed=True))
    vehicle.run(0.1)
    assert vehicle.s2
    assert vehicle.limit_a == pytest.approx(16.0)


def test_a_car_without_on_board_charger_draws_nothing() -> None:
    vehicle = Vehicle(onboard_a=0.0)
    vehicle.run(0.3)
    vehicle.feed(S2Request(closed=True))
    vehicle.run(1.0)
    assert not vehicle.s2
    assert any("does not charge from AC" in reason for reason in vehicle.report.reasons)


def test_a_new_process_is_told_of_ac() -> None:
    vehicle = Vehicle()
    vehicle.charge()
    out = vehicle.core.communication_found(vehicle.now)
    assert isinstance(out[-1], InterlockReport)
    assert not out[-1].energise


def test_the_car_file_says_how_much() -> None:
    core = vehicle_realtime(CarConfig(onboard=OnboardSection(maximum_current_a=10.0)))
    assert core.onboard.maximum_a == 10.0


# --- the table -----------------------------------------------------------------------------------

FINE = VehicleSnapshot(
    now=1000.0,
    plugged=True,
    offered_a=16.0,
    onboard_a=16.0,
    s2_closed=True,
    inlet_age_s=0.0,
    heartbeat_age_s=0.0,
    believed_phase=Phase.CHARGE,
    battery_ready=True,
    battery_age_s=0.1,
    contactors_valid=True,
    contactors_age_s=0.0,
    emergency_stop=False,
)
ROWS: list[tuple[str, dict[str, object]]] = [
    ("emergency stop", {"emergency_stop": True}),
    ("hardware", {"hardware_tripped": True}),
    ("unplugged", {"plugged": False}),
    ("inlet fault", {"inlet_fault": True}),
    ("button", {"button": True}),
    ("inlet stale", {"inlet_age_s": 0.051}),
    ("inlet stale", {"inlet_age_s": float("nan")}),
    ("no offer", {"offered_a": 5.9}),
    ("no offer", {"offered_a": float("nan")}),
    ("no on-board charger", {"onboard_a": 5.9}),
    ("DC contactors", {"contactors_closed": True}),
    ("DC contactors", {"contactors_commanded": True}),
    ("DC contactors", {"contactor_fault": "welded"}),
    ("heartbeat", {"heartbeat_age_s": 0.07}),
    ("phase", {"believed_phase": Phase.CONNECTED}),
    ("battery", {"battery_ready": False}),
    ("battery", {"battery_age_s": 1.1}),
]


def judged(seen: VehicleSnapshot) -> InterlockReport:
    core = PevRealtime(onboard_a=16.0)
    onboard = Onboard(core.pilot, 16.0, InterlockConfig(heartbeat_timeout_s=HEARTBEAT_TIMEOUT_S))
    onboard.evaluate(seen, 0.0)
    return onboard.report


def test_all_well_is_permitted() -> None:
    assert judged(FINE).energise


@pytest.mark.parametrize(("name", "different"), ROWS, ids=str)
def test_each_row_alone(name: str, different: dict[str, object]) -> None:
    report = judged(replace(FINE, **different))  # type: ignore[arg-type]
    row = next(rule for rule in ONBOARD_RULES if rule.name == name)
    assert not report.close_contactors
    assert row.reason in report.reasons


def test_every_row_is_tested() -> None:
    assert {name for name, _ in ROWS} | {"S2 open"} == {rule.name for rule in ONBOARD_RULES}


# --- whatever happens ----------------------------------------------------------------------------

ACTIONS = st.lists(
    st.one_of(
        st.sampled_from([0.0, 0.05, 0.1, DUTY_16A, 0.6, 0.97, 1.0]).map(lambda d: ("duty", d)),
        st.booleans().map(lambda c: ("s2", c)),
        st.booleans().map(lambda c: ("contactors", c)),
        st.sampled_from([None, *Phase]).map(lambda p: ("phase", p)),
        st.booleans().map(lambda r: ("ready", r)),
        st.booleans().map(lambda p: ("plugged", p)),
        st.sampled_from([0.01, 0.3]).map(lambda s: ("run", s)),
    ),
    max_size=25,
)


@settings(max_examples=80, deadline=None)
@given(ACTIONS)
def test_nothing_is_drawn_without_an_offer(actions: list[tuple[str, object]]) -> None:
    vehicle = Vehicle()
    vehicle.charge()
    for name, value in actions:
        match name:
            case "duty":
                vehicle.duty = value  # type: ignore[assignment]
            case "s2":
                vehicle.feed(S2Request(closed=bool(value)))
            case "contactors":
                vehicle.feed(ContactorRequest(closed=bool(value)))
            case "phase":
                vehicle.beating = value  # type: ignore[assignment]
            case "ready":
                vehicle.battery = replace(BATTERY, ready=bool(value))
            case "plugged":
                vehicle.plugged = bool(value)
            case _:
                vehicle.run(float(value))  # type: ignore[arg-type]
    vehicle.run(0.15 + 2 * RAMP_DOWN_S)  # a phase without power has that long to end by itself
    offered = vehicle.plugged and 0.08 <= vehicle.duty <= 0.97
    allowed = offered and vehicle.battery.ready and vehicle.beating is Phase.CHARGE
    assert vehicle.limit_a == 0.0 or (allowed and vehicle.s2)
    assert vehicle.limit_a <= 32.0
