"""How the vehicle judges an answer, and what ends a connection before a conversation began."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from controller.signals import (
    CloseConnection,
    Connect,
    InletPilotChanged,
    InterlockReport,
    Output,
    PeerMisbehaved,
    S2Request,
    SeccDiscovered,
    StopRequest,
    V2gEnded,
)
from controller.v2g import v2gtp
from controller.v2g.evcc import MAX_RUBBISH, EvccState
from controller.v2g.evcc_din_answers import why_refused
from controller.v2g.evcc_din_table import S
from controller.v2g.messages import din
from tests.v2g.evcc_states import Bench, answer, status
from tests.v2g.helpers import ADDRESS, of
from tests.v2g.secc_states import NOW, amount

AC_STATUS = din.AcEvseStatus(
    power_switch_closed=False,
    rcd=False,
    notification_max_delay=0,
    evse_notification=din.EvseNotification.NONE,
)
AC_PARAMETERS = din.AcEvseChargeParameter(
    ac_evse_status=AC_STATUS,
    evse_max_voltage=amount(230.0, din.Unit.V),
    evse_max_current=amount(16.0, din.Unit.A),
    evse_min_current=amount(6.0, din.Unit.A),
)


def services(transfer: str, payment: str = "ExternalPayment") -> din.ServiceDiscoveryRes:
    res = answer("ServiceDiscovery")
    assert isinstance(res, din.ServiceDiscoveryRes)
    kind = din.EvseSupportedEnergyTransferType(transfer)
    return replace(
        res,
        payment_options=din.PaymentOptions(payment_option=(din.PaymentOption(payment),)),
        charge_service=replace(res.charge_service, energy_transfer_type=kind),
    )


def parameters(**changes: object) -> din.ChargeParameterDiscoveryRes:
    res = answer("ChargeParameterDiscovery")
    assert isinstance(res, din.ChargeParameterDiscoveryRes)
    return replace(res, **changes)  # type: ignore[arg-type]


def power(evse_status: din.EvseStatus) -> din.PowerDeliveryRes:
    return din.PowerDeliveryRes(response_code=din.ResponseCode.OK, evse_status=evse_status)


ONGOING = din.EvseProcessing.Ongoing
CASES: list[tuple[din.BodyElement, float | None, str]] = [
    (services("DC_extended"), 380.0, ""),
    (services("DC_combo_core"), 380.0, ""),
    (services("AC_single_phase_core"), 380.0, "charger offers only AC_single_phase_core"),
    (services("DC_core"), 380.0, "charger offers only DC_core"),
    (services("DC_extended", "Contract"), 380.0, "charger accepts no external payment"),
    (parameters(), 380.0, ""),
    (parameters(), None, "no report from the vehicle's battery"),
    (parameters(), 149.0, "battery at 149 V is outside of the charger's 150 to 500 V"),
    (parameters(evse_processing=ONGOING), 149.0, ""),
    (parameters(evse_charge_parameter=AC_PARAMETERS), 380.0, "charger gives no DC parameters"),
    (power(AC_STATUS), 380.0, ""),
    (power(status("EVSE_NotReady")), 380.0, ""),
    (power(status("EVSE_Malfunction")), 380.0, "charger reports EVSE_Malfunction in"),
    (power(status("EVSE_Ready", "Fault")), 380.0, "charger reports an isolation fault in"),
    (answer("SessionStop", din.ResponseCode.FAILED), 380.0, "answered SessionStopRes FAILED"),
    (answer("PreCharge", din.ResponseCode.FAILED), 380.0, "FAILED (EVSE_Malfunction)"),
]


@pytest.mark.parametrize(("res", "battery_v", "words"), CASES)
def test_judgement(res: din.BodyElement, battery_v: float | None, words: str) -> None:
    reason = why_refused(res, battery_v)
    assert words in reason
    assert bool(words) is bool(reason)


@pytest.mark.parametrize("code", din.ResponseCode)
def test_only_a_failed_code_is_a_refusal(code: din.ResponseCode) -> None:
    refused = why_refused(answer("SessionStop", code), 380.0) != ""
    assert refused is code.value.startswith("FAILED")


def connecting() -> Bench:
    bench = Bench()
    bench.signal(SeccDiscovered(ADDRESS, 50_000, False))
    return bench


def handshake() -> Bench:
    bench = connecting()
    bench.evcc.connection_made(NOW)
    return bench


LATCHED = InterlockReport(False, False, ("x",), "over-voltage", True)
UNPLUGGED = InletPilotChanged(False, 0.0, False)


@pytest.mark.parametrize("at", [connecting, handshake])
@pytest.mark.parametrize(
    ("signal", "end"),
    [
        (StopRequest("driver"), V2gEnded("driver", True)),
        (UNPLUGGED, V2gEnded("unplugged", False)),
        (LATCHED, V2gEnded("over-voltage", False)),
    ],
)
def test_ends_before_a_conversation(at: Callable[[], Bench], signal: Output, end: V2gEnded) -> None:
    bench = at()
    assert bench.signal(signal) == [CloseConnection(end.reason), end]
    assert bench.evcc.state is EvccState.CLOSED
    assert bench.evcc.next_timer() is None


def test_a_lost_connection_before_a_conversation() -> None:
    assert connecting().evcc.connection_lost(NOW) == [
        V2gEnded("charger refused the connection", False)
    ]
    assert handshake().evcc.connection_lost(NOW) == [
        V2gEnded("connection lost in handshake", False)
    ]


def test_signals_without_a_connection_do_nothing() -> None:
    bench = Bench()
    for signal in (StopRequest("driver"), UNPLUGGED, LATCHED):
        assert bench.signal(signal) == []
    assert bench.evcc.receive_data(b"\x01\xfe", NOW) == []
    assert bench.evcc.connection_lost(NOW) == []
    assert bench.evcc.handle_timer(NOW) == []


def test_after_an_end_the_next_charger_is_connected_to() -> None:
    bench = handshake()
    bench.evcc.connection_lost(NOW)
    assert bench.signal(SeccDiscovered(ADDRESS, 50_001, False)) == [Connect(ADDRESS, 50_001)]


def test_a_latched_interlock_ends_the_charge() -> None:
    bench = Bench().to(S.CHARGE)
    assert S2Request(False) in bench.signal(LATCHED)
    assert bench.evcc.session.stop_reason == "over-voltage"


def test_a_pilot_lost_before_the_conversation_is_heeded_by_it() -> None:
    bench = connecting()
    bench.signal(InletPilotChanged(True, 1.0, False))
    bench.evcc.connection_made(NOW)
    bench.open()
    assert bench.evcc.session.stop_reason == "control pilot lost its 5 % duty"


def test_rubbish_is_recorded_and_ignored_ten_times() -> None:
    rubbish = v2gtp.encode(0x9001, b"x")
    bench = Bench().to(S.CHARGE)
    for count in range(1, MAX_RUBBISH + 1):
        outputs = bench.evcc.receive_data(rubbish, bench.now)
        assert len(of(outputs, PeerMisbehaved)) == 1
        assert (S2Request(False) in outputs) is (count == MAX_RUBBISH)


def test_not_ready_to_charge_within_150_s_ends() -> None:
    bench = Bench().to(S.AUTHORISATION)
    ongoing = din.ContractAuthenticationRes(
        response_code=din.ResponseCode.OK, evse_processing=ONGOING
    )
    begun = bench.now
    while bench.evcc.state is S.AUTHORISATION:
        bench.tell(ongoing)
        bench.later(0.11)
    assert bench.now - begun == pytest.approx(60.0, abs=0.5)
    bench = Bench().to(S.PARAMETERS)
    bench.evcc.session.deadlines.arm("ready", bench.now + 0.5)
    bench.later(0.6)
    assert bench.evcc.session.stop_reason == "charger was not ready within 150 s"
