"""The DIN 70121 declarations: order of enumerations, facets, and what the field sends beyond."""

import pytest

from controller.errors import ExiError
from controller.v2g.exi.schema import INFO, ExiEnum
from controller.v2g.messages import din, sap, xmldsig

SESSION = bytes.fromhex("0102030405060708")
OK = din.ResponseCode.OK

ENUMS: list[tuple[type[ExiEnum], str]] = [  # in the order of the schema
    (
        din.ResponseCode,
        "OK OK_NewSessionEstablished OK_OldSessionJoined OK_CertificateExpiresSoon FAILED"
        " FAILED_SequenceError FAILED_ServiceIDInvalid FAILED_UnknownSession"
        " FAILED_ServiceSelectionInvalid FAILED_PaymentSelectionInvalid FAILED_CertificateExpired"
        " FAILED_SignatureError FAILED_NoCertificateAvailable FAILED_CertChainError"
        " FAILED_ChallengeInvalid FAILED_ContractCanceled FAILED_WrongChargeParameter"
        " FAILED_PowerDeliveryNotApplied FAILED_TariffSelectionInvalid"
        " FAILED_ChargingProfileInvalid FAILED_EVSEPresentVoltageToLow"
        " FAILED_MeteringSignatureNotValid FAILED_WrongEnergyTransferType",
    ),
    (din.Unit, "h m s A Ah V VA W W/s Wh"),
    (
        din.DcEvErrorCode,
        "NO_ERROR FAILED_RESSTemperatureInhibit FAILED_EVShiftPosition"
        " FAILED_ChargerConnectorLockFault FAILED_EVRESSMalfunction"
        " FAILED_ChargingCurrentdifferential FAILED_ChargingVoltageOutOfRange Reserved_A Reserved_B"
        " Reserved_C FAILED_ChargingSystemIncompatibility NoData",
    ),
    (
        din.DcEvseStatusCode,
        "EVSE_NotReady EVSE_Ready EVSE_Shutdown EVSE_UtilityInterruptEvent"
        " EVSE_IsolationMonitoringActive EVSE_EmergencyShutdown EVSE_Malfunction Reserved_8"
        " Reserved_9 Reserved_A Reserved_B Reserved_C",
    ),
    (din.IsolationLevel, "Invalid Valid Warning Fault"),
    (din.EvseNotification, "None StopCharging ReNegotiation"),
    (din.EvseProcessing, "Finished Ongoing"),
    (
        din.EvRequestedEnergyTransferType,
        "AC_single_phase_core AC_three_phase_core DC_core DC_extended DC_combo_core DC_unique",
    ),
    (
        din.EvseSupportedEnergyTransferType,
        "AC_single_phase_core AC_three_phase_core DC_core DC_extended DC_combo_core DC_dual"
        " AC_core1p_DC_extended AC_single_DC_core AC_single_phase_three_phase_core_DC_extended"
        " AC_core3p_DC_extended",
    ),
    (din.PaymentOption, "Contract ExternalPayment"),
    (din.ServiceCategory, "EVCharging Internet ContractCertificate OtherCustom"),
    (din.FaultCode, "ParsingError NoTLSRootCertificatAvailable UnknownError"),
    (din.CostKind, "relativePricePercentage RenewableGenerationPercentage CarbonDioxideEmission"),
    (din.ValueType, "bool byte short int physicalValue string"),
    (
        sap.ResponseCode,
        "OK_SuccessfulNegotiation OK_SuccessfulNegotiationWithMinorDeviation Failed_NoNegotiation",
    ),
]


@pytest.mark.parametrize(("enum", "texts"), ENUMS, ids=lambda value: getattr(value, "__name__", ""))
def test_enumerations_stand_in_schema_order(enum: type[ExiEnum], texts: str) -> None:
    assert [member.value for member in enum] == texts.split()
    assert [member.code for member in enum] == list(range(len(enum)))


def test_every_enumeration_and_class_is_covered() -> None:
    declared = {
        value
        for module in (din, sap)
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, ExiEnum) and value is not ExiEnum
    }
    assert declared == {enum for enum, _ in ENUMS}
    reached = set(din.CODEC.grammar.types) | set(sap.CODEC.grammar.types)
    modules = {din.__name__, sap.__name__, xmldsig.__name__}
    ours = {cls for cls in INFO if cls.__module__ in modules}
    assert ours - reached == {din.EvStatus}  # a head that nothing refers to
    assert all(cls.__doc__ for cls in ours)


def _value(value: int, multiplier: int = 0) -> din.PhysicalValue:
    return din.PhysicalValue(multiplier=multiplier, unit=din.Unit.V, value=value)


def _status(soc: int = 50) -> din.DcEvStatus:
    return din.DcEvStatus(ev_ready=True, ev_error_code=din.DcEvErrorCode.NO_ERROR, ev_ress_soc=soc)


REFUSED: list[tuple[din.BodyElement, str, str]] = [
    (
        din.SessionSetupReq(evcc_id=bytes(9)),
        "SessionSetupReq.EVCCID",
        "9 bytes, at most 8 are allowed",
    ),
    (
        din.SessionSetupRes(response_code=OK, evse_id=bytes(33)),
        "SessionSetupRes.EVSEID",
        "33 bytes, at most 32 are allowed",
    ),
    (
        din.SessionSetupRes(response_code=OK, evse_id=b"a", date_time_now=2**63),
        "SessionSetupRes.DateTimeNow",
        "9223372036854775808 is not in -9223372036854775808..9223372036854775807",
    ),
    (
        din.CableCheckReq(dc_ev_status=_status(101)),
        "CableCheckReq.DC_EVStatus.EVRESSSOC",
        "101 is not in 0..100",
    ),
    (
        din.PreChargeReq(
            dc_ev_status=_status(), ev_target_voltage=_value(1), ev_target_current=_value(32768)
        ),
        "PreChargeReq.EVTargetCurrent.Value",
        "32768 is not in -32768..32767",
    ),
    (
        din.PreChargeReq(
            dc_ev_status=_status(), ev_target_voltage=_value(1, 4), ev_target_current=_value(1)
        ),
        "PreChargeReq.EVTargetVoltage.Multiplier",
        "4 is not in -3..3",
    ),
    (
        din.ServiceDiscoveryReq(service_scope="\0"),
        "ServiceDiscoveryReq.ServiceScope",
        "'\\x00' has characters that XML does not allow",
    ),
    (
        din.ServiceDiscoveryReq(service_scope="x" * 33),
        "ServiceDiscoveryReq.ServiceScope",
        "33 characters, at most 32 are allowed",
    ),
    (din.ServiceDetailReq(service_id=-1), "ServiceDetailReq.ServiceID", "-1 is not in 0..65535"),
    (
        din.ServiceDetailReq(service_id="1"),  # type: ignore[arg-type]
        "ServiceDetailReq.ServiceID",
        "'1' is no integer",
    ),
    (
        din.SessionStopRes(response_code="OK"),  # type: ignore[arg-type]
        "SessionStopRes.ResponseCode",
        "'OK' is no ResponseCode",
    ),
    (
        din.SessionStopRes(response_code=sap.ResponseCode.Failed_NoNegotiation),  # type: ignore[arg-type]
        "SessionStopRes.ResponseCode",
        "<ResponseCode.Failed_NoNegotiation: 'Failed_NoNegotiation'> is no ResponseCode",
    ),
    (
        din.PowerDeliveryReq(ready_to_charge_state=2),  # type: ignore[arg-type]
        "PowerDeliveryReq.ReadyToChargeState",
        "2 is no bool",
    ),
    (
        din.PowerDeliveryRes(response_code=OK, evse_status=din.EvseStatus()),
        "PowerDeliveryRes.EVSEStatus",
        "EvseStatus is abstract: give one of its subclasses",
    ),
    (
        din.PowerDeliveryRes(response_code=OK, evse_status=_status()),  # type: ignore[arg-type]
        "PowerDeliveryRes.EVSEStatus",
        "DcEvStatus given",
    ),
    (din.CableCheckReq(dc_ev_status=None), "CableCheckReq.DC_EVStatus", "missing"),  # type: ignore[arg-type]
]  # fmt: skip


@pytest.mark.parametrize(("body", "path", "reason"), REFUSED)
def test_encoder_refuses_what_breaks_a_facet(body: din.BodyElement, path: str, reason: str) -> None:
    with pytest.raises(ExiError) as raised:
        din.encode(din.Message(session_id=SESSION, body=body))
    assert raised.value.path == f"V2G_Message.Body.{path}"
    assert raised.value.reason == reason
    assert raised.value.bit_offset is None


def test_only_messages_are_encoded() -> None:
    with pytest.raises(ExiError, match="SessionStopReq is no message of this protocol"):
        din.encode(din.SessionStopReq())  # type: ignore[arg-type]
    with pytest.raises(ExiError, match="at most 8 are allowed"):
        din.encode(din.Message(session_id=bytes(9), body=din.SessionStopReq()))


@pytest.mark.parametrize("size", range(9))
def test_session_ids_of_any_length(size: int) -> None:
    message = din.Message(session_id=bytes(range(1, size + 1)), body=din.SessionStopReq())
    assert din.decode(din.encode(message)) == message


TOLERATED = [
    din.ServiceDiscoveryReq(service_scope="\0" * 64),
    din.CableCheckReq(dc_ev_status=_status(127)),
    din.PowerDeliveryRes(response_code=OK, evse_status=din.EvseStatus()),
]


@pytest.mark.parametrize("body", TOLERATED)
def test_what_the_field_sends_is_decoded_and_never_sent(body: din.BodyElement) -> None:
    message = din.Message(session_id=SESSION, body=body)
    with pytest.raises(ExiError):
        din.encode(message)
    assert din.decode(din.encode(message, strict=False)) == message


def test_superfluous_bytes_are_counted() -> None:
    message = din.Message(session_id=SESSION, body=din.SessionStopReq())
    payload = din.encode(message)
    assert din.decode_counting(payload + b"\0\0\x55") == (message, 3)
    assert din.decode(payload + b"\0") == message


def test_deviations_are_refused() -> None:
    """A second-level event: here in place of the session id's text."""
    with pytest.raises(ExiError) as raised:
        din.decode(bytes.fromhex("809a44000000"[:5] + "fffffff"))
    assert raised.value.path == "V2G_Message.Header.SessionID"
    assert raised.value.reason == "deviation instead of a value"
    assert raised.value.bit_offset == 17


@pytest.mark.parametrize(
    ("amount", "unit", "multiplier", "value"),
    [
        (0.0, din.Unit.A, -3, 0),
        (1.5, din.Unit.A, -3, 1500),
        (-1.0, din.Unit.A, -3, -1000),
        (32.767, din.Unit.A, -3, 32767),
        (32.768, din.Unit.A, -2, 3277),
        (400.0, din.Unit.V, -1, 4000),
        (32767.0, din.Unit.W, 0, 32767),
        (150_000.0, din.Unit.W, 1, 15000),
        (32_767_000.0, din.Unit.W, 3, 32767),
        (-32_768_000.0, din.Unit.W, 3, -32768),
        (1800.0, din.Unit.s, -1, 18000),
        (1800.0, din.Unit.m, -3, 30000),
        (7200.0, din.Unit.h, -3, 2000),
    ],
)
def test_physical_values_from_si(
    amount: float, unit: din.Unit, multiplier: int, value: int
) -> None:
    made = din.PhysicalValue.from_si(amount, unit)
    assert made == din.PhysicalValue(multiplier=multiplier, unit=unit, value=value)
    assert made.si == pytest.approx(amount, rel=2e-4)


@pytest.mark.parametrize("amount", [32_768_000.0, -32_769_000.0, float("inf"), float("nan")])
def test_physical_values_out_of_range(amount: float) -> None:
    with pytest.raises(ValueError, match="does not fit"):
        din.PhysicalValue.from_si(amount, din.Unit.W)


def test_physical_value_without_a_unit() -> None:
    assert din.PhysicalValue(multiplier=-1, value=4000).si == 400.0


def test_handshake_takes_twenty_protocols() -> None:
    offer = sap.AppProtocol(
        protocol_namespace=din.NAMESPACE,
        version_number_major=2,
        version_number_minor=0,
        schema_id=255,
        priority=20,
    )
    message = sap.SupportedAppProtocolReq(app_protocol=(offer,) * 20)
    assert sap.decode(sap.encode(message)) == message
    with pytest.raises(ExiError) as raised:
        sap.encode(sap.SupportedAppProtocolReq(app_protocol=(offer,) * 21))
    assert raised.value.path == "supportedAppProtocolReq.AppProtocol"
    assert raised.value.reason == "one too many here"


VIEWS: list[tuple[dict[str, object], str]] = [
    ({}, "one root element expected"),
    ({"Nothing": {}}, "Nothing is no element of this protocol"),
    ({"V2G_Message": []}, "V2G_Message: no object"),
    ({"V2G_Message": {"Header": {}}}, "V2G_Message: "),
    ({"V2G_Message": {"Header": {"SessionID": "0"}}}, "V2G_Message.Header.SessionID: '0' does not"),
    ({"V2G_Message": {"Header": {"SessionID": 1}}}, "V2G_Message.Header.SessionID: 1 is no string"),
    ({"V2G_Message": {"Header": {"X": 1}}}, "V2G_Message.Header.X: unknown"),
]


@pytest.mark.parametrize(("view", "text"), VIEWS)
def test_views_that_fit_no_message(view: dict[str, object], text: str) -> None:
    with pytest.raises(ExiError) as raised:
        din.from_json(view)
    assert str(raised.value).startswith(text)
