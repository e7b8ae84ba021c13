"""The ISO 15118-2 declarations: order of enumerations, facets, what the field sends beyond."""

from typing import Any

import pytest

from controller.errors import ExiError
from controller.v2g.exi.schema import INFO, ExiEnum
from controller.v2g.exi.walk import Decoder
from controller.v2g.messages import iso2, xmldsig
from tests.v2g.exi.vectors import GOLDEN, lines

SESSION = bytes.fromhex("0102030405060708")
OK = iso2.ResponseCode.OK

ENUMS: list[tuple[type[ExiEnum], str]] = [  # in the order of the schema
    (
        iso2.ChargeProgress,
        "Start Stop Renegotiate",
    ),
    (
        iso2.ChargingSession,
        "Terminate Pause",
    ),
    (
        iso2.CostKind,
        "relativePricePercentage RenewableGenerationPercentage CarbonDioxideEmission",
    ),
    (
        iso2.DcEvErrorCode,
        "NO_ERROR FAILED_RESSTemperatureInhibit FAILED_EVShiftPosition"
        " FAILED_ChargerConnectorLockFault FAILED_EVRESSMalfunction"
        " FAILED_ChargingCurrentdifferential FAILED_ChargingVoltageOutOfRange Reserved_A"
        " Reserved_B Reserved_C FAILED_ChargingSystemIncompatibility NoData",
    ),
    (
        iso2.DcEvseStatusCode,
        "EVSE_NotReady EVSE_Ready EVSE_Shutdown EVSE_UtilityInterruptEvent"
        " EVSE_IsolationMonitoringActive EVSE_EmergencyShutdown EVSE_Malfunction Reserved_8"
        " Reserved_9 Reserved_A Reserved_B Reserved_C",
    ),
    (
        iso2.EnergyTransferMode,
        "AC_single_phase_core AC_three_phase_core DC_core DC_extended DC_combo_core DC_unique",
    ),
    (
        iso2.EvseNotification,
        "None StopCharging ReNegotiation",
    ),
    (
        iso2.EvseProcessing,
        "Finished Ongoing Ongoing_WaitingForCustomerInteraction",
    ),
    (
        iso2.FaultCode,
        "ParsingError NoTLSRootCertificatAvailable UnknownError",
    ),
    (
        iso2.IsolationLevel,
        "Invalid Valid Warning Fault No_IMD",
    ),
    (
        iso2.PaymentOption,
        "Contract ExternalPayment",
    ),
    (
        iso2.ResponseCode,
        "OK OK_NewSessionEstablished OK_OldSessionJoined OK_CertificateExpiresSoon FAILED"
        " FAILED_SequenceError FAILED_ServiceIDInvalid FAILED_UnknownSession"
        " FAILED_ServiceSelectionInvalid FAILED_PaymentSelectionInvalid"
        " FAILED_CertificateExpired FAILED_SignatureError FAILED_NoCertificateAvailable"
        " FAILED_CertChainError FAILED_ChallengeInvalid FAILED_ContractCanceled"
        " FAILED_WrongChargeParameter FAILED_PowerDeliveryNotApplied"
        " FAILED_TariffSelectionInvalid FAILED_ChargingProfileInvalid"
        " FAILED_MeteringSignatureNotValid FAILED_NoChargeServiceSelected"
        " FAILED_WrongEnergyTransferMode FAILED_ContactorError"
        " FAILED_CertificateNotAllowedAtThisEVSE FAILED_CertificateRevoked",
    ),
    (
        iso2.ServiceCategory,
        "EVCharging Internet ContractCertificate OtherCustom",
    ),
    (
        iso2.Unit,
        "h m s A V W Wh",
    ),
]


@pytest.mark.parametrize(("enum", "texts"), ENUMS, ids=lambda value: getattr(value, "__name__", ""))
def test_enumerations_stand_in_schema_order(enum: type[ExiEnum], texts: str) -> None:
    assert [member.value for member in enum] == texts.split()
    assert [member.code for member in enum] == list(range(len(enum)))


def test_every_enumeration_and_class_is_covered() -> None:
    declared = {
        value
        for value in vars(iso2).values()
        if isinstance(value, type) and issubclass(value, ExiEnum) and value is not ExiEnum
    }
    assert declared == {enum for enum, _ in ENUMS}
    ours = {cls for cls in INFO if cls.__module__ == iso2.__name__}
    heads = {iso2.EvStatus, iso2.Entry}  # heads of groups that nothing refers to
    assert ours - set(iso2.CODEC.grammar.types) == heads
    assert all(cls.__doc__ for cls in ours)


def test_codes_of_roots_and_fragments() -> None:
    """56 global elements and 24 of XML signatures; the message has code 76."""
    grammar = iso2.CODEC.grammar
    assert len(grammar.elements) == 80
    assert grammar.elements.index("V2G_Message") == 76
    assert (grammar.root_bits, grammar.fragment_bits) == (7, 8)
    assert len(grammar.fragments) == 243
    assert grammar.relaxed == {("eMAID", iso2.BODY)}
    assert [name for name, _ in grammar.attributes] == [
        "Algorithm", "Encoding", "Id", "Id", "Id", "MimeType", "Name", "Target", "Type", "URI",
    ]  # fmt: skip


def _message(body: iso2.BodyElement, session: bytes = SESSION) -> iso2.Message:
    return iso2.Message(session_id=session, body=body)


def _value(value: int, multiplier: int = 0) -> iso2.PhysicalValue:
    return iso2.PhysicalValue(multiplier=multiplier, unit=iso2.Unit.W, value=value)


def _status(soc: int) -> iso2.DcEvStatus:
    return iso2.DcEvStatus(
        ev_ready=True, ev_error_code=iso2.DcEvErrorCode.NO_ERROR, ev_ress_soc=soc
    )


def _delivery(tuple_id: int = 1, phases: int | None = None) -> iso2.PowerDeliveryReq:
    entry = iso2.ProfileEntry(
        charging_profile_entry_start=0,
        charging_profile_entry_max_power=_value(1),
        charging_profile_entry_max_number_of_phases_in_use=phases,
    )
    return iso2.PowerDeliveryReq(
        charge_progress=iso2.ChargeProgress.Start,
        sa_schedule_tuple_id=tuple_id,
        charging_profile=iso2.ChargingProfile(profile_entry=(entry,)),
    )


def _schedule(start: int, duration: int) -> iso2.ChargeParameterDiscoveryRes:
    interval = iso2.RelativeTimeInterval(start=start, duration=duration)
    entry = iso2.PMaxScheduleEntry(time_interval=interval, p_max=_value(11000))
    schedule = iso2.SaScheduleTuple(
        sa_schedule_tuple_id=1, p_max_schedule=iso2.PMaxSchedule(p_max_schedule_entry=(entry,))
    )
    status = iso2.AcEvseStatus(
        notification_max_delay=0, evse_notification=iso2.EvseNotification.NONE, rcd=False
    )
    return iso2.ChargeParameterDiscoveryRes(
        response_code=OK,
        evse_processing=iso2.EvseProcessing.Finished,
        sa_schedules=iso2.SaScheduleList(sa_schedule_tuple=(schedule,)),
        evse_charge_parameter=iso2.AcEvseChargeParameter(
            ac_evse_status=status, evse_nominal_voltage=_value(230), evse_max_current=_value(16)
        ),
    )


ENTRY = "ChargeParameterDiscoveryRes.SAScheduleList.SAScheduleTuple[0].PMaxSchedule"
INTERVAL = f"{ENTRY}.PMaxScheduleEntry[0].RelativeTimeInterval"
PHASES = "PowerDeliveryReq.ChargingProfile.ProfileEntry[0]"

BEYOND: list[tuple[iso2.BodyElement, str, str]] = [  # is decoded, and never sent
    (
        iso2.ServiceDiscoveryReq(service_scope="\0" * 64),
        "ServiceDiscoveryReq.ServiceScope",
        f"{chr(0) * 64!r} has characters that XML does not allow",
    ),
    (
        iso2.ServiceDiscoveryReq(service_scope="x" * 65),
        "ServiceDiscoveryReq.ServiceScope",
        "65 characters, at most 64 are allowed",
    ),
    (
        iso2.SessionSetupRes(response_code=OK, evse_id="DE*A*1"),
        "SessionSetupRes.EVSEID",
        "6 characters, at least 7 are allowed",
    ),
    (
        iso2.SessionSetupRes(response_code=OK, evse_id=""),
        "SessionSetupRes.EVSEID",
        "0 characters, at least 7 are allowed",
    ),
    (
        iso2.AuthorizationReq(gen_challenge=bytes(15)),
        "AuthorizationReq.GenChallenge",
        "15 bytes, at least 16 are allowed",
    ),
    (
        iso2.CertificateInstallationReq(
            id="i",
            oem_provisioning_cert=bytes(801),
            list_of_root_certificate_ids=iso2.ListOfRootCertificateIDs(
                root_certificate_id=(
                    xmldsig.X509IssuerSerial(
                        x509_issuer_name="n" * 1000, x509_serial_number=-(2**160)
                    ),
                )
            ),
        ),
        "CertificateInstallationReq.OEMProvisioningCert",
        "801 bytes, at most 800 are allowed",
    ),
    (
        iso2.CableCheckReq(dc_ev_status=_status(101)),
        "CableCheckReq.DC_EVStatus.EVRESSSOC",
        "101 is not in 0..100",
    ),
    (_delivery(256), "PowerDeliveryReq.SAScheduleTupleID", "256 is not in 1..255"),
    (
        _delivery(phases=4),
        f"{PHASES}.ChargingProfileEntryMaxNumberOfPhasesInUse",
        "4 is not in 1..3",
    ),
    (_schedule(16777215, 1), f"{INTERVAL}.start", "16777215 is not in 0..16777214"),
    (_schedule(0, 90000), f"{INTERVAL}.duration", "90000 is not in 0..86400"),
]


@pytest.mark.parametrize(("body", "path", "reason"), BEYOND)
def test_what_the_field_sends_is_decoded_and_never_sent(
    body: iso2.BodyElement, path: str, reason: str
) -> None:
    message = _message(body)
    with pytest.raises(ExiError) as raised:
        iso2.encode(message)
    assert (raised.value.path, raised.value.reason) == (f"V2G_Message.Body.{path}", reason)
    payload = iso2.encode(message, strict=False)
    assert iso2.decode_counting(payload) == (message, 0)
    assert Decoder(iso2.CODEC.grammar, payload).decode() == (message, 0)
    assert str(iso2.CODEC.flaw(message)) == str(raised.value)


REFUSED: list[tuple[iso2.BodyElement, str, str]] = [  # is never sent, and could not be
    (_delivery(0), "PowerDeliveryReq.SAScheduleTupleID", "0 is not in 1..255"),
    (_delivery(257), "PowerDeliveryReq.SAScheduleTupleID", "257 is not in 1..256"),
    (
        iso2.SessionSetupReq(evcc_id=bytes(7)),
        "SessionSetupReq.EVCCID",
        "7 bytes, at most 6 are allowed",
    ),
    (
        iso2.PowerDeliveryRes(response_code=OK, evse_status=_status(1)),  # type: ignore[arg-type]
        "PowerDeliveryRes.EVSEStatus",
        "DcEvStatus given",
    ),
    (
        iso2.PowerDeliveryReq(
            charge_progress=iso2.ChargeProgress.Stop,
            sa_schedule_tuple_id=1,
            charging_profile=iso2.ChargingProfile(profile_entry=()),
        ),
        "PowerDeliveryReq.ChargingProfile.ProfileEntry",
        "missing",
    ),
    (
        iso2.PaymentServiceSelectionReq(
            selected_payment_option=iso2.PaymentOption.Contract,
            selected_service_list=iso2.SelectedServiceList(
                selected_service=(iso2.SelectedService(service_id=1),) * 17
            ),
        ),
        "PaymentServiceSelectionReq.SelectedServiceList.SelectedService",
        "one too many here",
    ),
]


@pytest.mark.parametrize(("body", "path", "reason"), REFUSED)
def test_what_no_payload_can_say_is_refused(body: iso2.BodyElement, path: str, reason: str) -> None:
    with pytest.raises(ExiError) as raised:
        iso2.encode(_message(body), strict=False)
    assert raised.value.path == f"V2G_Message.Body.{path}"
    assert raised.value.reason.partition("..")[0] == reason.partition("..")[0]


@pytest.mark.parametrize("size", range(9))
def test_session_ids_of_any_length(size: int) -> None:
    stop = iso2.SessionStopReq(charging_session=iso2.ChargingSession.Terminate)
    message = _message(stop, bytes(range(1, size + 1)))
    assert iso2.decode(iso2.encode(message)) == message
    assert iso2.decode(iso2.encode(message, canonical=False)) == message


def test_empty_values_as_codecs_in_c_write_them() -> None:
    message = _message(iso2.ChargingStatusReq(), b"")
    start = "10000000 1001100 0 0"  # EXI header, V2G_Message, Header, SessionID
    rest = "10 0 001011 000"  # end of Header; Body, ChargingStatusReq; the other ends
    assert iso2.encode(message) == _bytes(f"{start} 1 000 {rest}")  # a deviation: the end
    assert iso2.encode(message, canonical=False) == _bytes(f"{start} 0 00000000 0 {rest}")


def _bytes(bits: str) -> bytes:
    bits = bits.replace(" ", "")
    padded = bits + "0" * (-len(bits) % 8)
    return int(padded, 2).to_bytes(len(padded) // 8, "big")


def test_missing_schedules_are_decoded() -> None:
    body = _schedule(0, 1)
    absent = iso2.ChargeParameterDiscoveryRes(
        response_code=OK,
        evse_processing=iso2.EvseProcessing.Ongoing,
        evse_charge_parameter=body.evse_charge_parameter,
    )
    assert iso2.decode(iso2.encode(_message(absent))).body == absent


def test_empty_text_beside_attributes_in_a_fragment() -> None:
    value = iso2.Emaid(id="id1", value="DEABCC12345678")
    fragment = iso2.CODEC.encode_fragment(value, "eMAID")
    assert iso2.CODEC.decode_fragment(fragment) == ("eMAID", value)
    with pytest.raises(ExiError, match="eMAID: 0 characters, at least 14 are allowed"):
        iso2.CODEC.encode_fragment(iso2.Emaid(id="id1", value=""), "eMAID")


FRAGMENTS: list[dict[str, Any]] = [
    vector for vector in lines(GOLDEN / "fragments" / "iso2.jsonl") if vector["message"] == "eMAID"
]


@pytest.mark.parametrize(
    ("at", "bits", "reason"),
    [
        (16, "111111111", "event code 511 is no attribute or text of it"),
        (16, "000000000", "event code 0 is no attribute or text of it"),  # Algorithm
        (16, "100000000", "Id is missing"),
    ],
)
def test_relaxed_fragments_that_are_wrong(at: int, bits: str, reason: str) -> None:
    payload = bytes.fromhex(FRAGMENTS[0]["hex"])
    found = f"{int.from_bytes(payload, 'big'):0{8 * len(payload)}b}"
    with pytest.raises(ExiError, match=reason):
        iso2.CODEC.decode_fragment(_bytes(found[:at] + bits + "00000010" + "11110100" * 2))


@pytest.mark.parametrize(
    ("amount", "unit", "multiplier", "value"),
    [
        (0.0, iso2.Unit.A, -3, 0),
        (-1.0, iso2.Unit.A, -3, -1000),
        (400.0, iso2.Unit.V, -1, 4000),
        (150_000.0, iso2.Unit.W, 1, 15000),
        (32_767_000.0, iso2.Unit.W, 3, 32767),
        (60_000.0, iso2.Unit.Wh, 1, 6000),
        (1800.0, iso2.Unit.m, -3, 30000),
        (7200.0, iso2.Unit.h, -3, 2000),
    ],
)
def test_physical_values_from_si(
    amount: float, unit: iso2.Unit, multiplier: int, value: int
) -> None:
    made = iso2.PhysicalValue.from_si(amount, unit)
    assert made == iso2.PhysicalValue(multiplier=multiplier, unit=unit, value=value)
    assert made.si == pytest.approx(amount, rel=2e-4)


@pytest.mark.parametrize("amount", [32_768_000.0, float("inf"), float("nan")])
def test_physical_values_out_of_range(amount: float) -> None:
    with pytest.raises(ValueError, match="does not fit"):
        iso2.PhysicalValue.from_si(amount, iso2.Unit.W)
