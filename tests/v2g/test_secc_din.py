"""The charger's DIN conversation: every request in every state, and every way out."""

import pytest

from controller.machine import lint_table
from controller.signals import (
    Authorised,
    CableCheckState,
    CloseConnection,
    ContactorRequest,
    EmergencyStop,
    InterlockReport,
    MessageReceived,
    MessageSent,
    OutputRequest,
    PeerMisbehaved,
    Phase,
    StopRequest,
    V2gEnded,
    V2gPhaseChanged,
)
from controller.v2g.messages import din
from controller.v2g.messages.din import DcEvseStatusCode
from controller.v2g.secc import SeccConfig, SeccState
from controller.v2g.secc_din import HANDLERS, DinSecc
from controller.v2g.secc_din_table import ENERGISED, WORKING, S
from tests.v2g.helpers import SESSION_ID, bodies, frame, of, pilot, report
from tests.v2g.secc_states import REQUESTS, Bench, current_demand

STATES = [s for s in S if s not in (S.IDLE, S.ENDED, S.EMPTYING)]

ALWAYS = {"SessionStop": ("OK", S.DISCONNECT)}
NOT_NOW = ("FAILED_SequenceError", S.FAILED)
LEGAL: dict[S, dict[str, tuple[str, S]]] = {
    # state: {request: (response code, state after)}; all else is FAILED_SequenceError -> FAILED
    S.SESSION_SETUP: {"SessionSetup": ("OK_NewSessionEstablished", S.SERVICE_DISCOVERY)},
    S.SERVICE_DISCOVERY: {"ServiceDiscovery": ("OK", S.PAYMENT_SELECTION)},
    S.PAYMENT_SELECTION: {
        "ServiceDetail": ("OK", S.PAYMENT_SELECTION),
        "ServicePaymentSelection": ("OK", S.AUTHORISATION),
    },
    S.AUTHORISATION: {"ContractAuthentication": ("OK", S.PARAMETERS)},
    S.PARAMETERS: {"ChargeParameterDiscovery": ("OK", S.CABLE_CHECK)},
    S.CABLE_CHECK: {"CableCheck": ("OK", S.CABLE_CHECK), "PowerOff": ("OK", S.STOPPED)},
    S.CABLE_CHECKED: {"PreCharge": ("OK", S.PRE_CHARGE), "PowerOff": ("OK", S.STOPPED)},
    S.PRE_CHARGE: {
        "PreCharge": ("OK", S.PRE_CHARGE),
        "PowerOn": ("OK", S.CHARGE),
        "PowerOff": ("OK", S.STOPPED),
    },
    S.CHARGE: {"CurrentDemand": ("OK", S.CHARGE), "PowerOff": ("OK", S.STOPPED)},
    S.RAMP_DOWN: {},
    S.STOPPED: {"WeldingDetection": ("OK", S.STOPPED), "PowerOff": ("OK", S.STOPPED)},
    S.WAIT_STATE_B: {},
    S.FAILED: {},
    S.DISCONNECT: {},
}


@pytest.mark.parametrize("name", REQUESTS)
@pytest.mark.parametrize("state", STATES, ids=lambda s: s.name)
def test_every_request_in_every_state(state: S, name: str) -> None:
    bench = Bench().to(state)
    if name == "WeldingDetection":
        bench.signal(pilot("B2"))
        if state in ENERGISED:
            bench = Bench().to(state)  # there, state B is another story
        state = bench.secc.state  # type: ignore[assignment]
    code, after = {**ALWAYS, **LEGAL[state]}.get(name, NOT_NOW)
    if state is S.DISCONNECT:
        after = S.DISCONNECT
    outputs = bench.ask(name)
    assert bench.code() == code
    assert bench.secc.state is after
    request = type(REQUESTS[name]).__name__
    assert type(bench.body()).__name__ == request.replace("Req", "Res")
    assert of(outputs, MessageReceived) == [MessageReceived(request, "din")]
    assert of(outputs, MessageSent) == [MessageSent(request.replace("Req", "Res"), "din", code)]
    if code.startswith("FAILED") and state in WORKING and state is not S.STOPPED:
        was_off = state is S.RAMP_DOWN or state is S.WAIT_STATE_B
        assert was_off or OutputRequest(Phase.STOPPING) in outputs
        assert bench.secc.session.stop_reason


@pytest.mark.parametrize("name", [n for n in REQUESTS if n != "SessionSetup"])
@pytest.mark.parametrize("session_id", [b"", b"\x00" * 8, SESSION_ID[:7], b"\xff" * 8])
def test_a_foreign_session_id_is_answered_in_kind(name: str, session_id: bytes) -> None:
    bench = Bench().to(S.CHARGE)
    outputs = bench.ask(name, session_id)
    assert bench.code() == "FAILED_UnknownSession"
    assert OutputRequest(Phase.STOPPING) in outputs
    assert isinstance(of(outputs, PeerMisbehaved)[0], PeerMisbehaved)
    bench.ask("SessionStop")
    assert bench.code() == "OK"


@pytest.mark.parametrize("session_id", [b"", b"\x00", b"\x00" * 8, b"\x12\x34"])
def test_session_setup_accepts_any_session_id(session_id: bytes) -> None:
    bench = Bench().open()
    bench.ask("SessionSetup", session_id)
    assert bench.code() == "OK_NewSessionEstablished"
    assert bench.secc.session.session_id == SESSION_ID


def test_the_table_is_sound() -> None:
    assert lint_table(DinSecc) == []


def test_all_requests_are_known() -> None:
    names = {cls.__name__ for cls in HANDLERS}
    assert names == {n for n in dir(din) if n.endswith("Req") and n[0].isupper()}
    assert len(names) == 17


# --- stops ------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [s for s in STATES if s in WORKING], ids=lambda s: s.name)
def test_a_lost_connection_switches_off_and_ends(state: S) -> None:
    bench = Bench().to(state)
    outputs = bench.secc.connection_lost(bench.now)
    outputs += bench.report()  # no current
    if state not in (S.RAMP_DOWN, S.STOPPED, S.WAIT_STATE_B):
        assert OutputRequest(Phase.STOPPING) in outputs
    ended = of(outputs, V2gEnded)
    assert len(ended) == 1
    assert ended[0].reason  # type: ignore[attr-defined]
    assert not ended[0].normal  # type: ignore[attr-defined]
    assert ContactorRequest(False) in outputs
    assert bench.secc.state is SeccState.CLOSED
    assert bench.secc.next_timer() is None


def emptying() -> Bench:
    """A connection lost in the middle of the charge, with current still flowing."""
    bench = Bench().to(S.CHARGE)
    bench.report(voltage_v=400.0, current_a=150.0, contactors_closed=True)
    outputs = bench.secc.connection_lost(bench.now)
    assert of(outputs, V2gPhaseChanged, OutputRequest, ContactorRequest, V2gEnded) == [
        V2gPhaseChanged(Phase.STOPPING),
        OutputRequest(Phase.STOPPING),
    ]
    assert bench.secc.state is S.EMPTYING
    return bench


ENDED = [ContactorRequest(False), V2gEnded("connection lost in state charge", False)]


def test_the_end_is_reported_only_without_current() -> None:
    bench = emptying()
    assert bench.report(current_a=1.0, contactors_closed=True) == []
    assert bench.ask("SessionStop") == []  # nobody is there
    assert bench.report(current_a=0.9, contactors_closed=True) == ENDED
    assert bench.secc.state is SeccState.CLOSED


def test_the_end_is_reported_after_5_s_at_the_latest() -> None:
    bench = emptying()
    assert bench.later(4.9) == []
    assert bench.later(0.2) == ENDED


@pytest.mark.parametrize("letter", ["A2", "B2", "E", "F"])
def test_a_pilot_lost_while_emptying_cuts_off(letter: str) -> None:
    outputs = emptying().signal(pilot(letter))
    assert OutputRequest(Phase.FAULT) in outputs
    assert outputs[-1] == ENDED[-1]


def test_an_emergency_while_emptying_cuts_off() -> None:
    outputs = emptying().signal(EmergencyStop("button"))
    assert OutputRequest(Phase.FAULT) in outputs
    assert outputs[-1] == ENDED[-1]


def test_a_new_connection_while_emptying_ends_the_old_session_first() -> None:
    bench = emptying()
    assert bench.secc.connection_made(bench.now) == ENDED
    assert bench.secc.state is SeccState.HANDSHAKE


def test_failed_then_closed_by_the_vehicle_waits_for_the_current_too() -> None:
    bench = Bench().to(S.CHARGE)
    bench.report(voltage_v=400.0, current_a=150.0, contactors_closed=True)
    bench.ask("CableCheck")
    assert bench.secc.state is S.FAILED
    assert of(bench.secc.connection_lost(bench.now), V2gEnded) == []
    assert len(of(bench.report(contactors_closed=True), V2gEnded)) == 1


def test_an_unreadable_message_under_current_closes_and_waits() -> None:
    bench = Bench().to(S.CHARGE)
    bench.report(voltage_v=400.0, current_a=150.0, contactors_closed=True)
    outputs = bench.secc.receive_data(frame(None), bench.now)
    assert len(of(outputs, CloseConnection)) == 1
    assert of(outputs, V2gEnded) == []
    assert len(of(bench.report(contactors_closed=True), V2gEnded)) == 1


@pytest.mark.parametrize("state", STATES, ids=lambda s: s.name)
def test_a_silent_vehicle_is_ended_within_75_s(state: S) -> None:
    bench = Bench().to(state)
    outputs = bench.later(75.0)
    assert len(of(outputs, CloseConnection)) == 1
    assert len(of(outputs, V2gEnded)) == 1
    if state in ENERGISED:
        assert OutputRequest(Phase.STOPPING) in outputs
    assert bench.secc.next_timer() is None


@pytest.mark.parametrize("state", [s for s in STATES if s in WORKING], ids=lambda s: s.name)
def test_unplugging_cuts_off_at_once(state: S) -> None:
    bench = Bench().to(state)
    outputs = bench.signal(pilot("A2"))
    assert OutputRequest(Phase.FAULT) in outputs
    assert ContactorRequest(False) in outputs
    (ended,) = of(outputs, V2gEnded)
    already = state in (S.RAMP_DOWN, S.STOPPED, S.WAIT_STATE_B)
    reason = "vehicle finished charging" if already else "vehicle unplugged"
    assert ended == V2gEnded(reason, False)


@pytest.mark.parametrize("letter", ["B2", "E", "F"])
@pytest.mark.parametrize("state", [S.CABLE_CHECKED, S.PRE_CHARGE, S.CHARGE], ids=lambda s: s.name)
def test_a_pilot_that_leaves_c_cuts_off_at_once(state: S, letter: str) -> None:
    bench = Bench().to(state)
    outputs = bench.signal(pilot(letter))
    assert of(outputs, V2gPhaseChanged, OutputRequest, ContactorRequest) == [
        V2gPhaseChanged(Phase.FAULT),
        OutputRequest(Phase.FAULT),
        ContactorRequest(False),
    ]
    assert "S2" in bench.secc.session.stop_reason or letter in bench.secc.session.stop_reason
    assert len(of(bench.later(11.0), V2gEnded)) == 1


def test_d_is_as_good_as_c() -> None:
    bench = Bench().to(S.CHARGE)
    assert bench.signal(pilot("D2")) == []


EMERGENCIES = [
    (EmergencyStop("button"), DcEvseStatusCode.EVSE_EmergencyShutdown, Phase.FAULT, "button"),
    (
        InterlockReport(False, False, ("x",), "over-voltage", True),
        DcEvseStatusCode.EVSE_EmergencyShutdown,
        Phase.FAULT,
        "over-voltage",
    ),
    (
        InterlockReport(False, False, ("x",), "module silent", False),
        DcEvseStatusCode.EVSE_Malfunction,
        Phase.STOPPING,
        "module silent",
    ),
]


@pytest.mark.parametrize(("signal", "code", "phase", "reason"), EMERGENCIES)
def test_emergency_in_the_loop(
    signal: EmergencyStop, code: DcEvseStatusCode, phase: Phase, reason: str
) -> None:
    bench = Bench().to(S.CHARGE)
    assert OutputRequest(phase) in bench.signal(signal)
    outputs = bench.ask("CurrentDemand")
    body = bench.body()
    assert isinstance(body, din.CurrentDemandRes)
    assert body.response_code is din.ResponseCode.OK
    assert body.dc_evse_status.evse_status_code is code
    assert of(outputs, OutputRequest, V2gPhaseChanged) == []
    bench.ask("PowerOff")
    bench.signal(pilot("B2"))
    bench.ask("WeldingDetection")
    assert bench.code() == "OK"
    bench.ask("SessionStop")
    ended = of(bench.later(8.0), V2gEnded)
    assert ended == [V2gEnded(reason, False)]


@pytest.mark.parametrize("state", [s for s in STATES if s in WORKING], ids=lambda s: s.name)
def test_emergency_in_every_state_ends_within_bounds(state: S) -> None:
    bench = Bench().to(state)
    assert OutputRequest(Phase.FAULT) in bench.signal(EmergencyStop("button"))
    assert len(of(bench.later(15.0), V2gEnded)) == 1


def test_a_latched_interlock_refuses_the_next_session() -> None:
    bench = Bench()
    bench.signal(InterlockReport(False, False, ("x",), "welded contactor", False))
    bench.to(S.PARAMETERS)
    bench.ask("ChargeParameterDiscovery")
    assert bench.code() == "FAILED"


def test_stop_request_is_told_by_the_status_code_and_power_stays() -> None:
    bench = Bench().to(S.CHARGE)
    assert bench.signal(StopRequest("operator")) == []
    outputs = bench.ask("CurrentDemand")
    body = bench.body()
    assert isinstance(body, din.CurrentDemandRes)
    assert body.dc_evse_status.evse_status_code is DcEvseStatusCode.EVSE_Shutdown
    assert body.dc_evse_status.evse_notification is din.EvseNotification.NONE
    assert OutputRequest(Phase.CHARGE, 400.0, 50.0, 420.0) in outputs
    bench.ask("PowerOff")
    assert bench.secc.state is S.STOPPED
    bench.signal(pilot("B2"))
    bench.ask("SessionStop")
    assert of(bench.later(8.0), V2gEnded) == [V2gEnded("operator", True)]


def test_a_vehicle_that_does_not_heed_a_stop_is_switched_off() -> None:
    bench = Bench(SeccConfig(stop_patience_s=3.0)).to(S.CHARGE)
    bench.signal(StopRequest("operator"))
    for _ in range(29):
        bench.report(contactors_closed=True)
        assert of(bench.later(0.1), OutputRequest) == []
        bench.ask("CurrentDemand")
    assert OutputRequest(Phase.STOPPING) in bench.later(0.2)
    for _ in range(100):
        bench.report(contactors_closed=True)
        if of(bench.later(0.1), V2gEnded):
            break
        assert of(bench.ask("CurrentDemand"), OutputRequest) == []
    assert bench.outputs[-1] == V2gEnded("operator", False)


# --- the end of power -------------------------------------------------------------------------


def test_the_answer_to_power_off_waits_until_the_current_is_gone() -> None:
    bench = Bench().to(S.CHARGE)
    bench.report(voltage_v=400.0, current_a=50.0, contactors_closed=True)
    outputs = bench.ask("PowerOff")
    assert of(outputs, V2gPhaseChanged, OutputRequest) == [
        V2gPhaseChanged(Phase.STOPPING),
        OutputRequest(Phase.STOPPING),
    ]
    assert bodies(outputs) == []
    assert bodies(bench.report(current_a=1.0, contactors_closed=True)) == []
    bench.report(current_a=0.9, contactors_closed=True)
    assert bench.code() == "OK"
    assert bench.secc.state is S.STOPPED


def test_the_answer_to_power_off_comes_after_1500_ms_at_the_latest() -> None:
    bench = Bench().to(S.RAMP_DOWN)
    assert bench.secc.next_timer() == pytest.approx(bench.now + 1.5)
    assert bodies(bench.later(1.49)) == []
    bench.later(0.02)
    assert bench.code() == "OK"


def test_an_old_measurement_does_not_prove_that_the_current_is_gone() -> None:
    bench = Bench().to(S.CHARGE)
    bench.now += 1.1
    assert bodies(bench.ask("PowerOff")) == []
    assert bench.secc.state is S.RAMP_DOWN


def test_welding_detection_waits_for_state_b() -> None:
    bench = Bench().to(S.WAIT_STATE_B)
    bench.signal(pilot("B2"))
    assert bench.code() == "OK"
    assert bench.secc.state is S.STOPPED


def test_welding_detection_without_state_b_fails() -> None:
    bench = Bench().to(S.WAIT_STATE_B)
    bench.later(1.5)
    assert bench.code() == "FAILED"
    assert bench.secc.state is S.FAILED


def test_session_stop_in_the_loop_is_answered_and_switches_off() -> None:
    bench = Bench().to(S.CHARGE)
    outputs = bench.ask("SessionStop")
    assert bench.code() == "OK"
    assert OutputRequest(Phase.STOPPING) in outputs
    assert of(bench.later(8.0), CloseConnection, V2gEnded) == [
        CloseConnection("vehicle ended the session in phase charge"),
        V2gEnded("vehicle ended the session in phase charge", False),
    ]


# --- phases of several messages ---------------------------------------------------------------


def ongoing(bench: Bench, name: str, limit_s: float) -> float:
    """Ask every 100 ms until something else than Ongoing; return the time that took."""
    begun = bench.now
    while bench.now - begun < limit_s:
        bench.ask(name)
        if bench.code() != "OK":
            break
        assert getattr(bench.body(), "evse_processing", None) is din.EvseProcessing.Ongoing
        bench.now += 0.1
        bench.secc.handle_timer(bench.now)
    return bench.now - begun


def test_authorisation_is_ongoing_until_authorised() -> None:
    bench = Bench(SeccConfig(authorisation_needed=True)).to(S.AUTHORISATION)
    bench.ask("ContractAuthentication")
    assert bench.secc.state.name == "AUTHORISATION"
    bench.signal(Authorised("card"))
    bench.ask("ContractAuthentication")
    assert bench.secc.state.name == "PARAMETERS"


def test_authorisation_fails_after_55_s() -> None:
    bench = Bench(SeccConfig(authorisation_needed=True)).to(S.AUTHORISATION)
    assert ongoing(bench, "ContractAuthentication", 70.0) == pytest.approx(55.0, abs=0.2)
    assert bench.code() == "FAILED"


def test_parameters_are_ongoing_without_a_power_stage_and_fail_after_55_s() -> None:
    bench = Bench().to(S.PARAMETERS)
    bench.report(valid=False)
    assert ongoing(bench, "ChargeParameterDiscovery", 70.0) == pytest.approx(55.0, abs=0.2)
    assert bench.code() == "FAILED"


def test_cable_check_fails_after_38_s() -> None:
    bench = Bench().to(S.CABLE_CHECK)
    bench.signal(pilot("C2"))
    bench.report(cable_check=CableCheckState.RUNNING)
    assert ongoing(bench, "CableCheck", 50.0) == pytest.approx(38.0, abs=0.2)
    assert bench.code() == "FAILED"


def test_cable_check_without_state_c_fails_after_1500_ms_and_asks_for_no_power() -> None:
    bench = Bench().to(S.CABLE_CHECK)
    outputs = bench.ask("CableCheck")
    assert of(outputs, OutputRequest, V2gPhaseChanged, ContactorRequest) == [
        V2gPhaseChanged(Phase.CABLE_CHECK)
    ]
    bench.signal(pilot("B2"))  # once more: the pilot did not leave C
    assert bench.secc.state is S.CABLE_CHECK
    assert ongoing(bench, "CableCheck", 5.0) == pytest.approx(1.5, abs=0.11)
    assert bench.code() == "FAILED"


@pytest.mark.parametrize("left", [CableCheckState.PASSED, CableCheckState.FAILED])
def test_a_result_left_from_an_earlier_session_does_not_count(left: CableCheckState) -> None:
    bench = Bench().to(S.CABLE_CHECK)
    bench.signal(pilot("C2"))
    bench.report(cable_check=left)
    bench.ask("CableCheck")
    bench.ask("CableCheck")
    assert bench.secc.state is S.CABLE_CHECK
    bench.report(cable_check=CableCheckState.RUNNING)
    bench.report(cable_check=left)
    bench.ask("CableCheck")
    passed = left is CableCheckState.PASSED
    assert bench.secc.state is (S.CABLE_CHECKED if passed else S.FAILED)


def test_a_failed_check_is_answered_with_malfunction() -> None:
    bench = Bench().to(S.CABLE_CHECK)
    bench.signal(pilot("C2"))
    bench.ask("CableCheck")
    bench.report(cable_check=CableCheckState.FAILED)
    bench.ask("CableCheck")
    body = bench.body()
    assert isinstance(body, din.CableCheckRes)
    assert body.response_code is din.ResponseCode.FAILED
    assert body.dc_evse_status.evse_status_code is DcEvseStatusCode.EVSE_Malfunction


def test_pre_charge_that_never_arrives_fails_after_5_s() -> None:
    bench = Bench().to(S.PRE_CHARGE)
    begun = bench.now
    while bench.now - begun < 8.0:
        bench.report(voltage_v=300.0, contactors_closed=True)
        bench.ask("PreCharge")
        if bench.code() != "OK":
            break
        bench.now += 0.1
    assert bench.now - begun == pytest.approx(5.1, abs=0.15)
    assert bench.secc.state is S.FAILED


def test_stale_measurements_end_the_loop() -> None:
    bench = Bench().to(S.CHARGE)
    bench.now += 1.1
    outputs = bench.send(current_demand())
    assert bench.code() == "FAILED"
    assert OutputRequest(Phase.STOPPING) in outputs


def test_the_first_reason_survives_its_consequences() -> None:
    bench = Bench().to(S.CHARGE)
    bench.signal(EmergencyStop("button"))
    bench.ask("CableCheck")
    assert bench.code() == "FAILED_SequenceError"
    ended = of(bench.secc.connection_lost(bench.now), V2gEnded)
    assert ended == [V2gEnded("button", False)]


def test_a_second_connection_starts_afresh() -> None:
    bench = Bench().to(S.CHARGE)
    bench.secc.connection_lost(bench.now)
    bench.signal(pilot("B2"))
    bench.signal(report(bench.now))
    bench.to(S.CHARGE)
    assert bench.secc.session.stop_reason == ""
