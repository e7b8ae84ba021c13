"""The pure handlers: request, session, report, limits and time in; response and outputs out."""

import math
from dataclasses import replace

import pytest

from controller.signals import (
    CableCheckState,
    ContactorRequest,
    IsolationStatus,
    OutputRequest,
    Phase,
    PowerEnvelope,
    PowerReport,
    VehicleReported,
)
from controller.v2g import secc_din_handlers as h
from controller.v2g.messages import din
from controller.v2g.messages.din import PhysicalValue, Unit
from controller.v2g.physical import physical
from controller.v2g.secc_din_responses import FILL, refuse
from controller.v2g.session import SeccSession, Stop
from tests.v2g.helpers import ENVELOPE, report
from tests.v2g.secc_states import (
    REQUESTS,
    STATUS,
    amount,
    current_demand,
    parameters,
    power_delivery,
)

NOW = 100.0
FRESH = report(NOW, voltage_v=399.7, current_a=49.6, contactors_closed=True)


def session(**changes: object) -> SeccSession:
    base = SeccSession(
        pilot_ready=True,
        vehicle_maximum_voltage_v=420.0,
        cable_check_at=NOW,
        cable_check_fresh=True,
        report=FRESH,
    )
    return replace(base, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("amount_", "unit", "multiplier", "value"),
    [
        (0.0, Unit.V, -1, 0),
        (399.96, Unit.V, -1, 4000),
        (-12.3, Unit.A, -1, -123),
        (3276.6, Unit.V, -1, 32766),
        (60_000.0, Unit.W, 1, 6000),
        (1e12, Unit.W, 3, 32000),
        (-1e12, Unit.W, 3, -32000),
        (math.inf, Unit.V, 3, 32000),
        (math.nan, Unit.V, 0, 0),
    ],
)
def test_physical(amount_: float, unit: Unit, multiplier: int, value: int) -> None:
    made = physical(amount_, unit)
    assert made.si == pytest.approx(value * 10.0**multiplier, rel=1e-3)
    assert made.unit is unit


def test_current_demand_answers_from_memory_and_passes_the_wish_on() -> None:
    res, outputs = h.handle_current_demand(current_demand(), session(), FRESH, ENVELOPE, NOW)
    assert isinstance(res, din.CurrentDemandRes)
    assert res.response_code is din.ResponseCode.OK
    assert res.evse_present_voltage.si == pytest.approx(399.7)
    assert res.evse_present_current.si == pytest.approx(49.6)
    assert res.dc_evse_status.evse_status_code is din.DcEvseStatusCode.EVSE_Ready
    assert res.dc_evse_status.evse_notification is din.EvseNotification.NONE
    assert outputs == [
        OutputRequest(Phase.CHARGE, 400.0, 50.0, 420.0),
        VehicleReported(50, 400.0, 50.0),
    ]


LIMITS = [
    # current, voltage, report, flags: current, voltage, power
    (50.0, 400.0, {}, (False, False, False)),
    (200.1, 200.0, {}, (True, False, False)),
    (50.0, 500.1, {}, (False, True, False)),
    (160.0, 400.0, {}, (False, False, True)),
    (50.0, 400.0, {"current_limited": True}, (True, False, False)),
    (50.0, 400.0, {"voltage_limited": True}, (False, True, False)),
    (50.0, 400.0, {"power_limited": True}, (False, False, True)),
]


@pytest.mark.parametrize(("current_a", "voltage_v", "changes", "flags"), LIMITS)
def test_limit_flags(
    current_a: float, voltage_v: float, changes: dict[str, bool], flags: tuple[bool, bool, bool]
) -> None:
    seen = replace(FRESH, **changes)  # type: ignore[arg-type]
    req = current_demand(current_a, voltage_v)
    res, _ = h.handle_current_demand(req, session(), seen, ENVELOPE, NOW)
    assert isinstance(res, din.CurrentDemandRes)
    found = (
        res.evse_current_limit_achieved,
        res.evse_voltage_limit_achieved,
        res.evse_power_limit_achieved,
    )
    assert found == flags


CLAMPS = [
    # target current, its limit, target voltage, its limit -> requested current, voltage
    (300.0, None, 400.0, None, 200.0, 400.0),
    (100.0, 60.0, 400.0, None, 60.0, 400.0),
    (-5.0, None, -10.0, None, 0.0, 0.0),
    (10.0, None, 450.0, 430.0, 10.0, 420.0),
    (10.0, None, 450.0, 390.0, 10.0, 390.0),
]


@pytest.mark.parametrize(("target_a", "most_a", "target_v", "most_v", "asked_a", "asked_v"), CLAMPS)
def test_targets_are_clamped(
    target_a: float,
    most_a: float | None,
    target_v: float,
    most_v: float | None,
    asked_a: float,
    asked_v: float,
) -> None:
    req = replace(
        current_demand(target_a, target_v),
        ev_maximum_current_limit=None if most_a is None else amount(most_a, Unit.A),
        ev_maximum_voltage_limit=None if most_v is None else amount(most_v, Unit.V),
    )
    _, outputs = h.handle_current_demand(req, session(), FRESH, ENVELOPE, NOW)
    output = outputs[0]
    assert isinstance(output, OutputRequest)
    assert (output.current_a, output.voltage_v) == pytest.approx((asked_a, asked_v))


@pytest.mark.parametrize("bad", [None, replace(FRESH, valid=False), report(NOW - 1.01)])
def test_no_measurement_is_no_answer(bad: PowerReport | None) -> None:
    demand = h.handle_current_demand(current_demand(), session(), bad, ENVELOPE, NOW)
    req = REQUESTS["PreCharge"]
    assert isinstance(req, din.PreChargeReq)
    for res, outputs in (demand, h.handle_pre_charge(req, session(), bad, ENVELOPE, NOW)):
        assert isinstance(res, din.CurrentDemandRes | din.PreChargeRes)
        assert res.response_code is din.ResponseCode.FAILED
        assert outputs == []


STOP_CODES = [
    (Stop.NONE, "EVSE_Ready"),
    (Stop.SHUTDOWN, "EVSE_Shutdown"),
    (Stop.MALFUNCTION, "EVSE_Malfunction"),
    (Stop.EMERGENCY, "EVSE_EmergencyShutdown"),
]


@pytest.mark.parametrize(("stop", "code"), STOP_CODES)
def test_status_codes_of_a_stop(stop: Stop, code: str) -> None:
    res, _ = h.handle_current_demand(current_demand(), session(stop=stop), FRESH, ENVELOPE, NOW)
    assert isinstance(res, din.CurrentDemandRes)
    assert res.dc_evse_status.evse_status_code.value == code


def charge_parameters(
    ev: din.EvChargeParameter, transfer: str = "DC_extended"
) -> din.ChargeParameterDiscoveryReq:
    return din.ChargeParameterDiscoveryReq(
        ev_requested_energy_transfer_type=din.EvRequestedEnergyTransferType(transfer),
        ev_charge_parameter=ev,
    )


AC = din.AcEvChargeParameter(
    departure_time=0,
    e_amount=amount(1000.0, Unit.Wh),
    ev_max_voltage=amount(413.0, Unit.V),
    ev_max_current=amount(350.0, Unit.A),
    ev_min_current=amount(6.0, Unit.A),
)
PARAMETERS = [
    (charge_parameters(parameters()), "OK"),
    (charge_parameters(parameters(), "DC_core"), "FAILED_WrongEnergyTransferType"),
    (charge_parameters(AC, "AC_three_phase_core"), "FAILED_WrongEnergyTransferType"),
    (charge_parameters(AC), "FAILED_WrongChargeParameter"),
    (charge_parameters(parameters(0.0)), "FAILED_WrongChargeParameter"),
    (charge_parameters(parameters(420.0, 0.0)), "FAILED_WrongChargeParameter"),
    (charge_parameters(parameters(149.0)), "FAILED_WrongChargeParameter"),  # below our 150 V
]


@pytest.mark.parametrize(("req", "code"), PARAMETERS)
def test_charge_parameters(req: din.ChargeParameterDiscoveryReq, code: str) -> None:
    res, _ = h.handle_charge_parameter_discovery(req, session(), FRESH, ENVELOPE, NOW)
    assert isinstance(res, din.ChargeParameterDiscoveryRes)
    assert res.response_code.value == code
    assert isinstance(res.sa_schedules, din.SaScheduleList)
    (schedule,) = res.sa_schedules.sa_schedule_tuple
    assert schedule.sa_schedule_tuple_id == 1
    limits = res.evse_charge_parameter
    assert isinstance(limits, din.DcEvseChargeParameter)
    assert limits.evse_maximum_power_limit is not None
    assert limits.evse_maximum_power_limit.si == 60_000.0
    assert din.decode(din.encode(din.Message(session_id=b"\x01", body=res))).body == res


def test_parameters_are_ongoing_while_the_power_stage_has_no_power() -> None:
    empty = PowerEnvelope(0.0, 0.0, 0.0, 0.0, 0.0)
    req = charge_parameters(parameters())
    res, _ = h.handle_charge_parameter_discovery(req, session(), FRESH, empty, NOW)
    assert isinstance(res, din.ChargeParameterDiscoveryRes)
    assert res.evse_processing is din.EvseProcessing.Ongoing


CHECKS = [
    # state, isolation, processing, code, isolation said
    (CableCheckState.IDLE, IsolationStatus.INVALID, "Ongoing", "OK", "Invalid"),
    (CableCheckState.RUNNING, IsolationStatus.INVALID, "Ongoing", "OK", "Invalid"),
    (CableCheckState.PASSED, IsolationStatus.VALID, "Finished", "OK", "Valid"),
    (CableCheckState.PASSED, IsolationStatus.INVALID, "Finished", "OK", "Valid"),
    (CableCheckState.PASSED, IsolationStatus.WARNING, "Finished", "OK", "Warning"),
    (CableCheckState.FAILED, IsolationStatus.FAULT, "Finished", "FAILED", "Fault"),
]


@pytest.mark.parametrize(("state", "isolation", "processing", "code", "said"), CHECKS)
def test_cable_check(
    state: CableCheckState, isolation: IsolationStatus, processing: str, code: str, said: str
) -> None:
    seen = replace(FRESH, cable_check=state, isolation=isolation)
    req = din.CableCheckReq(dc_ev_status=STATUS)
    res, outputs = h.handle_cable_check(req, session(report=seen), seen, ENVELOPE, NOW)
    assert isinstance(res, din.CableCheckRes)
    assert (res.evse_processing.value, res.response_code.value) == (processing, code)
    assert res.dc_evse_status.evse_isolation_status is din.IsolationLevel(said)
    expected = [OutputRequest(Phase.CABLE_CHECK, 420.0, 2.0, 420.0), ContactorRequest(True)]
    assert outputs == (expected if processing == "Ongoing" else [])


def test_pre_charge_is_limited_to_2_a_and_always_ready() -> None:
    req = din.PreChargeReq(
        dc_ev_status=STATUS,
        ev_target_voltage=amount(380.0, Unit.V),
        ev_target_current=amount(10.0, Unit.A),
    )
    res, outputs = h.handle_pre_charge(req, session(), FRESH, ENVELOPE, NOW)
    assert isinstance(res, din.PreChargeRes)
    assert res.dc_evse_status.evse_status_code is din.DcEvseStatusCode.EVSE_Ready
    assert outputs[0] == OutputRequest(Phase.PRE_CHARGE, 380.0, 2.0, 420.0)


def profile(tuple_id: int) -> din.ChargingProfile:
    entry = din.ProfileEntry(charging_profile_entry_start=0, charging_profile_entry_max_power=1000)
    return din.ChargingProfile(sa_schedule_tuple_id=tuple_id, profile_entry=(entry,))


POWER_ON = [
    (power_delivery(on=True), FRESH, Stop.NONE, "OK"),
    (din.PowerDeliveryReq(ready_to_charge_state=True), FRESH, Stop.NONE, "OK"),
    (replace(power_delivery(on=True), charging_profile=profile(1)), FRESH, Stop.NONE, "OK"),
    (
        replace(power_delivery(on=True), charging_profile=profile(2)),
        FRESH,
        Stop.NONE,
        "FAILED_TariffSelectionInvalid",
    ),
    (
        power_delivery(on=True),
        replace(FRESH, contactors_closed=False),
        Stop.NONE,
        "FAILED_PowerDeliveryNotApplied",
    ),
    (power_delivery(on=True), FRESH, Stop.SHUTDOWN, "FAILED_PowerDeliveryNotApplied"),
    (power_delivery(on=False), FRESH, Stop.EMERGENCY, "OK"),
]


@pytest.mark.parametrize(("req", "seen", "stop", "code"), POWER_ON)
def test_power_delivery(
    req: din.PowerDeliveryReq, seen: PowerReport, stop: Stop, code: str
) -> None:
    res, _ = h.handle_power_delivery(req, session(stop=stop), seen, ENVELOPE, NOW)
    assert isinstance(res, din.PowerDeliveryRes)
    assert res.response_code.value == code


def selection(option: str, *service_ids: int) -> din.ServicePaymentSelectionReq:
    services = tuple(din.SelectedService(service_id=i) for i in service_ids)
    return din.ServicePaymentSelectionReq(
        selected_payment_option=din.PaymentOption(option),
        selected_service_list=din.SelectedServiceList(selected_service=services),
    )


SELECTIONS = [
    (selection("ExternalPayment", 1), "OK"),
    (selection("Contract", 1), "FAILED_PaymentSelectionInvalid"),
    (selection("ExternalPayment", 2), "FAILED_ServiceSelectionInvalid"),
    (selection("ExternalPayment", 1, 2), "FAILED_ServiceSelectionInvalid"),
]


@pytest.mark.parametrize(("req", "code"), SELECTIONS)
def test_service_selection(req: din.ServicePaymentSelectionReq, code: str) -> None:
    res, _ = h.handle_service_payment_selection(req, session(), FRESH, ENVELOPE, NOW)
    assert isinstance(res, din.ServicePaymentSelectionRes)
    assert res.response_code.value == code


@pytest.mark.parametrize(("service_id", "code"), [(1, "OK"), (2, "FAILED_ServiceIDInvalid")])
def test_service_detail(service_id: int, code: str) -> None:
    req = din.ServiceDetailReq(service_id=service_id)
    res, _ = h.handle_service_detail(req, session(), FRESH, ENVELOPE, NOW)
    assert isinstance(res, din.ServiceDetailRes)
    assert (res.response_code.value, res.service_id) == (code, service_id)


@pytest.mark.parametrize("seen", [None, FRESH])
@pytest.mark.parametrize("name", REQUESTS)
def test_every_refusal_can_be_read(name: str, seen: PowerReport | None) -> None:
    for code in din.ResponseCode:
        res = refuse(REQUESTS[name], code, session(), seen, ENVELOPE)
        assert res is not None
        message = din.Message(session_id=b"\x01", body=res)
        assert din.decode(din.encode(message)) == message


def test_a_response_is_no_request() -> None:
    res = din.SessionStopRes(response_code=din.ResponseCode.OK)
    assert refuse(res, din.ResponseCode.FAILED, session(), FRESH, ENVELOPE) is None
    assert len(FILL) == 17


def test_handlers_change_nothing() -> None:
    before, after = session(), session()
    h.handle_current_demand(current_demand(), after, FRESH, ENVELOPE, NOW)
    h.handle_cable_check(din.CableCheckReq(dc_ev_status=STATUS), after, FRESH, ENVELOPE, NOW)
    pv = PhysicalValue(multiplier=0, unit=Unit.V, value=1)
    req = din.PreChargeReq(dc_ev_status=STATUS, ev_target_voltage=pv, ev_target_current=pv)
    h.handle_pre_charge(req, after, FRESH, ENVELOPE, NOW)
    after.deadlines = before.deadlines
    assert after == before
