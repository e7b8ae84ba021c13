"""The vehicle: what real chargers do and must be accepted, and every way out."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.machine import lint_table
from controller.signals import (
    CloseConnection,
    Connect,
    ContactorRequest,
    InletPilotChanged,
    MessageSent,
    PeerMisbehaved,
    Phase,
    S2Request,
    SeccDiscovered,
    SendData,
    StopRequest,
    V2gEnded,
    V2gPhaseChanged,
)
from controller.v2g import v2gtp
from controller.v2g.evcc import Evcc, EvccConfig, EvccState
from controller.v2g.evcc_din import DinEvcc
from controller.v2g.evcc_din_table import BEFORE_CURRENT, DEADLINE_S, ENERGISED, WORKING, S
from controller.v2g.messages import din, sap
from controller.v2g.messages.din import Unit
from tests.v2g.evcc_states import (
    PATH,
    Bench,
    answer,
    cable_check_res,
    current_demand_res,
    sap_answer,
    status,
)
from tests.v2g.helpers import ADDRESS, MAC, bodies, frame, of
from tests.v2g.secc_states import NOW, amount

STATES = [state for state, _ in PATH]


def test_the_table_is_sound() -> None:
    assert lint_table(DinEvcc) == []


def test_config_refuses_a_bad_id() -> None:
    for bad in (b"", bytes(9)):
        with pytest.raises(ValueError, match="1 to 8 are allowed"):
            EvccConfig(bad)


# --- connection


@pytest.mark.parametrize("port", [15118, 30000, 65535])
def test_connects_to_the_announced_address_and_port(port: int) -> None:
    evcc = Evcc(EvccConfig(MAC))
    assert evcc.receive_signal(SeccDiscovered(ADDRESS, port, False), NOW) == [
        Connect(ADDRESS, port)
    ]
    assert evcc.receive_signal(SeccDiscovered(ADDRESS, port, False), NOW) == []


def test_gives_tcp_6_s() -> None:
    evcc = Evcc(EvccConfig(MAC))
    evcc.receive_signal(SeccDiscovered(ADDRESS, 50_000, False), NOW)
    assert evcc.next_timer() == NOW + 6.0
    assert len(of(evcc.handle_timer(NOW + 6.0), V2gEnded)) == 1
    assert evcc.state is EvccState.CLOSED


def test_a_charger_that_insists_on_tls_is_refused() -> None:
    evcc = Evcc(EvccConfig(MAC))
    (ended,) = evcc.receive_signal(SeccDiscovered(ADDRESS, 50_000, True), NOW)
    assert isinstance(ended, V2gEnded)
    assert "TLS" in ended.reason


def test_the_offer() -> None:
    evcc = Evcc(EvccConfig(MAC))
    evcc.receive_signal(SeccDiscovered(ADDRESS, 50_000, False), NOW)
    (sent, name) = evcc.connection_made(NOW)
    assert isinstance(sent, SendData)
    req = sap.decode(v2gtp.parse(sent.data).payload)
    assert isinstance(req, sap.SupportedAppProtocolReq)
    (offer,) = req.app_protocol
    assert (offer.protocol_namespace, offer.version_number_major) == (din.NAMESPACE, 2)
    assert name == MessageSent("supportedAppProtocolReq", "sap")


HANDSHAKES = [
    (sap_answer(), True),
    (sap_answer("OK_SuccessfulNegotiationWithMinorDeviation"), True),
    (sap_answer(schema_id=None), True),  # it can mean nothing else
    (sap_answer(schema_id=2), False),
    (sap_answer("Failed_NoNegotiation", None), False),
    (sap_answer("Failed_NoNegotiation", 0), False),
    (v2gtp.encode(v2gtp.PayloadType.EXI, b"\xff"), False),
]


@pytest.mark.parametrize(("data", "good"), HANDSHAKES)
def test_handshake(data: bytes, good: bool) -> None:
    bench = Bench()
    bench.signal(SeccDiscovered(ADDRESS, 50_000, False))
    bench.evcc.connection_made(NOW)
    outputs = bench.evcc.receive_data(data, NOW)
    assert bench.evcc.state is (S.SESSION_SETUP if good else EvccState.CLOSED)
    assert len(of(outputs, V2gEnded)) == (0 if good else 1)


def test_a_silent_handshake_ends_after_2_s() -> None:
    bench = Bench()
    bench.signal(SeccDiscovered(ADDRESS, 50_000, False))
    bench.evcc.connection_made(NOW)
    assert bench.evcc.next_timer() == NOW + 2.0
    assert len(of(bench.evcc.handle_timer(NOW + 2.0), CloseConnection, V2gEnded)) == 2


# --- what is accepted


@pytest.mark.parametrize(
    "session_id", [b"\x12\x34\x56\x78", b"ABB00002", b"\x01", b"\xff" * 8, b""]
)
@pytest.mark.parametrize("code", ["OK", "OK_NewSessionEstablished", "OK_OldSessionJoined"])
def test_any_session_id_and_ok_is_accepted(session_id: bytes, code: str) -> None:
    bench = Bench().open()
    outputs = bench.tell(answer("SessionSetup", din.ResponseCode(code)), session_id)
    (sent,) = of(outputs, SendData)
    assert isinstance(sent, SendData)
    payload = v2gtp.parse(sent.data).payload
    message = din.decode(payload)
    assert isinstance(message.body, din.ServiceDiscoveryReq)
    assert message.session_id == session_id
    assert payload == din.encode(message, canonical=False)  # if empty, with its length


def parameters_res(
    *, tuple_id: int = 1, p_max: int = 32767, code: str = "EVSE_Ready", processing: str = "Finished"
) -> din.ChargeParameterDiscoveryRes:
    res = answer("ChargeParameterDiscovery")
    assert isinstance(res, din.ChargeParameterDiscoveryRes)
    entry = din.PMaxScheduleEntry(time_interval=din.RelativeTimeInterval(start=0), p_max=p_max)
    schedule = din.SaScheduleTuple(
        sa_schedule_tuple_id=tuple_id,
        p_max_schedule=din.PMaxSchedule(p_max_schedule_id=0, p_max_schedule_entry=(entry,)),
    )
    assert isinstance(res.evse_charge_parameter, din.DcEvseChargeParameter)
    return replace(
        res,
        evse_processing=din.EvseProcessing(processing),
        sa_schedules=din.SaScheduleList(sa_schedule_tuple=(schedule,)),
        evse_charge_parameter=replace(
            res.evse_charge_parameter, dc_evse_status=status(code, "Invalid")
        ),
    )


FIELD_PARAMETERS = [
    parameters_res(tuple_id=0),  # Kempower, Phihong, Efacec
    parameters_res(tuple_id=123, p_max=-2135),  # a 16-bit overflow of a Supercharger
    parameters_res(tuple_id=10, p_max=160),  # kilowatts
    parameters_res(p_max=0),
    parameters_res(code="EVSE_NotReady"),  # Compleo
    parameters_res(code="EVSE_IsolationMonitoringActive"),  # ABB
]


@pytest.mark.parametrize("res", FIELD_PARAMETERS)
def test_parameters_of_real_chargers(res: din.ChargeParameterDiscoveryRes) -> None:
    bench = Bench().to(S.PARAMETERS)
    outputs = bench.tell(res)
    assert bench.evcc.state is S.CABLE_CHECK
    assert of(outputs, S2Request, V2gPhaseChanged) == [
        S2Request(True),
        V2gPhaseChanged(Phase.CABLE_CHECK),
    ]
    assert bodies(outputs) == []  # the pilot comes first
    assert isinstance(bodies(bench.later(0.25))[0], din.CableCheckReq)


def test_the_optional_parameters_are_sent() -> None:
    bench = Bench().to(S.PARAMETERS)
    (req,) = bench.asked()
    assert isinstance(req, din.ChargeParameterDiscoveryReq)
    own = req.ev_charge_parameter
    assert isinstance(own, din.DcEvChargeParameter)
    assert own.ev_maximum_power_limit is not None
    assert own.ev_energy_capacity is not None
    assert own.ev_energy_request is not None
    assert own.ev_energy_capacity.si == 60_000.0
    assert own.ev_energy_request.si == pytest.approx(18_000.0)  # 50 to 80 %
    assert (own.full_soc, own.bulk_soc) == (100, 80)


@pytest.mark.parametrize(
    ("voltage_v", "words"), [(149.0, "150 to 500 V"), (501.0, "battery at 501 V")]
)
def test_a_battery_outside_of_the_chargers_range_ends(voltage_v: float, words: str) -> None:
    bench = Bench().to(S.PARAMETERS)
    bench.report(battery_voltage_v=voltage_v)
    bench.tell(parameters_res())
    assert words in bench.evcc.session.stop_reason


CHECKS = [
    (cable_check_res("Ongoing", "EVSE_IsolationMonitoringActive", "Invalid"), S.CABLE_CHECK),
    (cable_check_res("Ongoing", "EVSE_Ready", "Invalid"), S.CABLE_CHECK),
    (cable_check_res("Ongoing", "EVSE_NotReady", "Valid"), S.CABLE_CHECK),
    (cable_check_res("Finished", "EVSE_NotReady", "Invalid"), S.CABLE_CHECK),
    (cable_check_res("Finished", "EVSE_Ready", "Valid"), S.PRE_CHARGE),
    (cable_check_res("Finished", "EVSE_NotReady", "Valid"), S.PRE_CHARGE),
    (cable_check_res("Finished", "EVSE_Ready", "Warning"), S.PRE_CHARGE),
    (cable_check_res("Finished", "EVSE_Ready", None), S.PRE_CHARGE),
    (cable_check_res("Finished", "EVSE_Ready", "Fault"), S.SESSION_STOP),
    (cable_check_res("Ongoing", "EVSE_Malfunction", "Invalid"), S.SESSION_STOP),
]


@pytest.mark.parametrize(("res", "after"), CHECKS)
def test_cable_check(res: din.CableCheckRes, after: S) -> None:
    bench = Bench().to(S.CABLE_CHECK)
    bench.later(0.25)
    bench.tell(res)
    assert bench.evcc.state is after


PRE_CHARGES = [
    # inlet, battery -> closes
    (380.0, 380.0, True),
    (360.0, 380.0, True),
    (359.9, 380.0, False),
    (400.1, 380.0, False),
    (0.0, 380.0, False),
    (140.0, 149.0, False),  # below the charger's 150 V
]


@pytest.mark.parametrize(("inlet_v", "battery_v", "closes"), PRE_CHARGES)
def test_the_end_of_pre_charge(inlet_v: float, battery_v: float, closes: bool) -> None:
    bench = Bench().to(S.PRE_CHARGE)
    bench.report(inlet_voltage_v=inlet_v, battery_voltage_v=battery_v)
    outputs = bench.tell(answer("PreCharge"))
    assert (ContactorRequest(True) in outputs) is closes
    assert bench.evcc.state is (S.CLOSING if closes else S.PRE_CHARGE)
    assert bodies(outputs) == []


def test_no_contactor_closes_on_an_old_measurement() -> None:
    bench = Bench().to(S.PRE_CHARGE)
    bench.now += 1.1
    assert ContactorRequest(True) not in bench.tell(answer("PreCharge"))


def test_power_delivery_waits_for_the_feedback_of_the_contactors() -> None:
    bench = Bench().to(S.CLOSING)
    assert bodies(bench.report(contactors_closed=False)) == []
    (req,) = bodies(bench.report(contactors_closed=True))
    assert isinstance(req, din.PowerDeliveryReq)
    assert req.ready_to_charge_state
    assert isinstance(req.ev_power_delivery_parameter, din.DcEvPowerDeliveryParameter)


# --- ways out


def assert_safe_end(outputs: list[object], state: S) -> None:
    ended = [o for o in outputs if isinstance(o, V2gEnded)]
    assert len(ended) == 1
    assert ended[0].reason
    if state in (*BEFORE_CURRENT, *ENERGISED):
        assert S2Request(False) in outputs
        assert ContactorRequest(False) in outputs


@pytest.mark.parametrize("state", [s for s in STATES if s is not S.CHARGE], ids=lambda s: s.name)
def test_a_silent_charger_is_left_within_bounds(state: S) -> None:
    bench = Bench().to(state)
    outputs = bench.later(DEADLINE_S[state] + 8.0)
    assert_safe_end(list(outputs), state)
    assert bench.evcc.next_timer() is None


def test_current_demand_must_be_answered_within_250_ms() -> None:
    bench = Bench().to(S.CHARGE)
    assert bench.evcc.next_timer() == pytest.approx(bench.now + 0.25)
    bench.now += 0.25
    assert of(bench.evcc.handle_timer(bench.now), S2Request) == [S2Request(False)]
    assert bench.evcc.state is S.ABORTING


@pytest.mark.parametrize("state", [s for s in STATES if s in WORKING], ids=lambda s: s.name)
def test_a_lost_connection_brings_the_vehicle_into_safety(state: S) -> None:
    bench = Bench().to(state)
    outputs = bench.evcc.connection_lost(bench.now)
    outputs += bench.later(3.0)
    assert_safe_end(list(outputs), state)
    assert of(outputs, SendData, CloseConnection) == []


@pytest.mark.parametrize("state", STATES, ids=lambda s: s.name)
def test_unplugging_opens_all_at_once(state: S) -> None:
    bench = Bench().to(state)
    outputs = bench.signal(InletPilotChanged(False, 0.0, False))
    assert S2Request(False) in outputs
    assert ContactorRequest(False) in outputs
    assert len(of(outputs, V2gEnded)) == 1


@pytest.mark.parametrize("state", [*BEFORE_CURRENT, S.POWER_ON, S.CHARGE], ids=lambda s: s.name)
def test_a_lost_pilot_ends(state: S) -> None:
    bench = Bench().to(state)
    outputs = bench.signal(InletPilotChanged(True, 1.0, False))
    assert S2Request(False) in outputs
    outputs += bench.later(4.0)
    assert_safe_end(list(outputs), state)
    assert bench.evcc.session.stop_reason == "control pilot lost its 5 % duty"


@pytest.mark.parametrize("state", [s for s in STATES if s in BEFORE_CURRENT], ids=lambda s: s.name)
@pytest.mark.parametrize("name", ["CableCheck", "SessionSetup", "CurrentDemand"])
def test_an_answer_that_was_not_asked_for_ends(state: S, name: str) -> None:
    bench = Bench().to(state)
    fitting = dict(PATH).get(state)
    if fitting == name:
        return
    outputs = bench.tell(answer(name))
    assert len(of(outputs, PeerMisbehaved)) == 1
    assert S2Request(False) in outputs


def test_failed_in_the_loop_opens_s2_at_once_and_the_contactors_without_current() -> None:
    bench = Bench().to(S.CHARGE)
    bench.current_a = 50.0
    outputs = bench.tell(answer("CurrentDemand", din.ResponseCode.FAILED))
    assert of(outputs, S2Request, ContactorRequest) == [S2Request(False)]
    assert of(bench.report(), ContactorRequest) == []
    bench.current_a = 0.5
    outputs = bench.report()
    assert of(outputs, ContactorRequest) == [ContactorRequest(False)]
    assert isinstance(bodies(outputs)[0], din.SessionStopReq)
    outputs = bench.tell(answer("SessionStop", din.ResponseCode.FAILED_SequenceError))
    (ended,) = of(outputs, V2gEnded)
    assert isinstance(ended, V2gEnded)
    assert ended.reason.startswith("charger answered CurrentDemandRes FAILED")


def test_contactors_open_after_1_s_even_under_current() -> None:
    bench = Bench().to(S.CHARGE)
    bench.current_a = 50.0
    bench.tell(current_demand_res("EVSE_EmergencyShutdown"))
    assert ContactorRequest(False) not in bench.later(0.95)
    assert ContactorRequest(False) in bench.later(0.1)


@pytest.mark.parametrize("code", ["EVSE_EmergencyShutdown", "EVSE_Malfunction"])
def test_fault_codes_abort(code: str) -> None:
    bench = Bench().to(S.CHARGE)
    assert S2Request(False) in bench.tell(current_demand_res(code))
    assert code in bench.evcc.session.stop_reason


@pytest.mark.parametrize("code", ["EVSE_Shutdown", "EVSE_UtilityInterruptEvent"])
def test_a_wish_of_the_charger_is_a_normal_stop(code: str) -> None:
    bench = Bench().to(S.CHARGE)
    bench.current_a = 50.0
    (req,) = bodies(bench.tell(current_demand_res(code)))
    assert isinstance(req, din.CurrentDemandReq)
    assert req.ev_target_current.si == 0.0
    (off,) = bodies(bench.tell(current_demand_res(code)))
    assert isinstance(off, din.PowerDeliveryReq)
    assert not off.ready_to_charge_state
    assert bench.evcc.session.normal


@pytest.mark.parametrize(("falls_after_s", "powers_off_after_s"), [(0.3, 0.5), (9.0, 2.0)])
def test_no_current_is_asked_for_until_it_is_gone(
    falls_after_s: float, powers_off_after_s: float
) -> None:
    bench = Bench().to(S.CHARGE)
    bench.current_a = 150.0
    bench.report()
    bench.signal(StopRequest("driver"))
    begun = bench.now
    asked = bodies(bench.tell(current_demand_res()))
    while isinstance(asked[0], din.CurrentDemandReq):
        assert asked[0].ev_target_current.si == 0.0
        asked = bodies(bench.tell(current_demand_res()))
        if not asked:
            bench.current_a = 0.0 if bench.now - begun > falls_after_s else 150.0
            asked = bodies(bench.later(0.25))
    assert bench.evcc.state is S.POWER_OFF
    assert bench.now - begun == pytest.approx(powers_off_after_s, abs=0.26)


def test_a_stop_in_the_pause_of_the_loop_is_asked_at_once() -> None:
    bench = Bench().to(S.CHARGE)
    assert bodies(bench.tell(current_demand_res())) == []
    (req,) = bodies(bench.signal(StopRequest("driver")))
    assert isinstance(req, din.CurrentDemandReq)
    assert req.ev_target_current.si == 0.0
    assert bodies(bench.signal(StopRequest("driver"))) == []


def test_the_current_must_fall_before_the_contactors_open() -> None:
    bench = Bench().to(S.RAMP_DOWN)
    bench.current_a = 10.0
    assert of(bench.report(), ContactorRequest) == []
    assert of(bench.later(4.8), ContactorRequest) == []
    outputs = bench.later(0.3)
    assert of(outputs, S2Request, ContactorRequest)[:2] == [
        S2Request(False),
        ContactorRequest(False),
    ]
    assert bench.evcc.session.fault


def test_welding_detection_is_bounded() -> None:
    bench = Bench().to(S.WELDING)
    rounds = 0
    res = answer("WeldingDetection")
    assert isinstance(res, din.WeldingDetectionRes)
    high = replace(res, evse_present_voltage=amount(380.0, Unit.V))
    while bench.evcc.state is S.WELDING:
        asked = bodies(bench.later(0.3))
        assert len(asked) == 1
        rounds += 1
        bench.tell(high)
    assert rounds == 10
    assert bench.evcc.state is S.SESSION_STOP


@pytest.mark.parametrize(
    ("voltage_v", "after"), [(59.9, S.SESSION_STOP), (60.0, S.WELDING), (300.0, S.WELDING)]
)
def test_welding_detection_ends_below_60_v(voltage_v: float, after: S) -> None:
    bench = Bench().to(S.WELDING)
    bench.later(0.25)
    res = answer("WeldingDetection")
    assert isinstance(res, din.WeldingDetectionRes)
    bench.tell(replace(res, evse_present_voltage=amount(voltage_v, Unit.V)))
    assert bench.evcc.state is after


def test_no_answer_to_session_stop_is_an_end_too() -> None:
    bench = Bench().to(S.SESSION_STOP)
    assert of(bench.later(2.1), V2gEnded) == [V2gEnded("driver", True)]


@pytest.mark.parametrize(
    "state", [s for s in STATES if s is not S.SESSION_STOP], ids=lambda s: s.name
)
def test_a_battery_that_is_not_ready_ends(state: S) -> None:
    bench = Bench().to(state)
    outputs = bench.report(ready=False)
    if state in (S.OPENING, S.WELDING):
        assert of(outputs, S2Request) == [] or state is S.OPENING
        return
    assert S2Request(False) in outputs
    assert bench.evcc.session.fault


def test_contactors_that_open_in_the_loop_end_it() -> None:
    bench = Bench().to(S.CHARGE)
    assert S2Request(False) in bench.report(contactors_closed=False)


def test_old_reports_of_the_battery_end_the_loop() -> None:
    bench = Bench(EvccConfig(MAC, current_demand_timeout_s=5.0)).to(S.CHARGE)
    bench.now += 1.2
    bench.tell(current_demand_res())
    bench.evcc.handle_timer(bench.now)
    outputs = bench.evcc.handle_timer(bench.now)
    assert S2Request(False) in outputs or bench.evcc.state is S.ABORTING
    assert bench.evcc.session.stop_reason == "no fresh report from the vehicle's battery"


@settings(deadline=None, max_examples=100)
@given(pieces=st.lists(st.binary(max_size=60), max_size=5), framed=st.booleans())
def test_random_bytes_never_raise(pieces: list[bytes], framed: bool) -> None:
    for state in (S.SESSION_SETUP, S.CHARGE, S.SESSION_STOP):
        bench = Bench().to(state)
        for piece in pieces:
            data = v2gtp.encode(v2gtp.PayloadType.EXI, piece) if framed else piece
            bench.evcc.receive_data(data, bench.now)
        bench.later(30.0)
        assert bench.evcc.state is EvccState.CLOSED


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_any_split(size: int) -> None:
    bench = Bench().open()
    stream = frame(answer("SessionSetup"))
    outputs = []
    for start in range(0, len(stream), size):
        outputs += bench.evcc.receive_data(stream[start : start + size], bench.now)
    assert bench.evcc.state is S.SERVICE_DISCOVERY
    assert len(bodies(outputs)) == 1
