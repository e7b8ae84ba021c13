"""ISO 15118-20 CommonTypes: what the messages of all its namespaces are made of.

`iso20_common`, `iso20_dc`, `iso20_ac`, `iso20_acdp` and `iso20_wpt` declare the messages, each with
a codec of its own, as each namespace has its own set of global elements; the types here are the
same classes in all of them.

Names are the standard's: classes and enum members as they are written there, attributes in snake
case. Where the schema has a substitution group the attribute bears the name of its head, the class
tells which member it is (`cl_req_control_mode: ClReqControlMode` holds, say, a
`DynamicDcClReqControlMode`). Of elements that exclude each other all but one are None.
"""

from controller.v2g.exi.schema import (
    BOOLEAN,
    BYTE,
    INFO,
    SHORT,
    UNSIGNED_INT,
    UNSIGNED_LONG,
    UNSIGNED_SHORT,
    Binary,
    Declared,
    ExiEnum,
    Integer,
    Text,
    declare,
    element,
)
from controller.v2g.messages import xmldsig

NAMESPACE = "urn:iso:std:iso:15118:-20:CommonTypes"
NUMERIC_ID = Integer(1, 2**32 - 1, accepted_least=0)
PERCENT = Integer(0, 100, accepted=127)
SESSION_ID = Binary(8, least=8)
IDENTIFIER = Text(255)
NAME = Text(80)
DESCRIPTION = Text(160)
MOST_EXPONENT = 127


class TypesElement(Declared):
    """Base of all classes here."""

    __slots__ = ()
    NAMESPACE = NAMESPACE
    ATTRIBUTES_QUALIFIED = True


# ------------------------------------------------------------------------------------- enumerations


class EvseNotification(ExiEnum):
    """What the charger asks of the car."""

    Pause = "Pause"
    ExitStandby = "ExitStandby"
    Terminate = "Terminate"
    ScheduleRenegotiation = "ScheduleRenegotiation"
    ServiceRenegotiation = "ServiceRenegotiation"
    MeteringConfirmation = "MeteringConfirmation"


class Processing(ExiEnum):
    """Whether a side is done or wants to be asked again."""

    Finished = "Finished"
    Ongoing = "Ongoing"
    Ongoing_WaitingForCustomerInteraction = "Ongoing_WaitingForCustomerInteraction"


class ResponseCode(ExiEnum):
    """How the charger took a request: in order, with a warning, or not at all."""

    OK = "OK"
    OK_CertificateExpiresSoon = "OK_CertificateExpiresSoon"
    OK_NewSessionEstablished = "OK_NewSessionEstablished"
    OK_OldSessionJoined = "OK_OldSessionJoined"
    OK_PowerToleranceConfirmed = "OK_PowerToleranceConfirmed"
    WARNING_AuthorizationSelectionInvalid = "WARNING_AuthorizationSelectionInvalid"
    WARNING_CertificateExpired = "WARNING_CertificateExpired"
    WARNING_CertificateNotYetValid = "WARNING_CertificateNotYetValid"
    WARNING_CertificateRevoked = "WARNING_CertificateRevoked"
    WARNING_CertificateValidationError = "WARNING_CertificateValidationError"
    WARNING_ChallengeInvalid = "WARNING_ChallengeInvalid"
    WARNING_EIMAuthorizationFailure = "WARNING_EIMAuthorizationFailure"
    WARNING_eMSPUnknown = "WARNING_eMSPUnknown"
    WARNING_EVPowerProfileViolation = "WARNING_EVPowerProfileViolation"
    WARNING_GeneralPnCAuthorizationError = "WARNING_GeneralPnCAuthorizationError"
    WARNING_NoCertificateAvailable = "WARNING_NoCertificateAvailable"
    WARNING_NoContractMatchingPCIDFound = "WARNING_NoContractMatchingPCIDFound"
    WARNING_PowerToleranceNotConfirmed = "WARNING_PowerToleranceNotConfirmed"
    WARNING_ScheduleRenegotiationFailed = "WARNING_ScheduleRenegotiationFailed"
    WARNING_StandbyNotAllowed = "WARNING_StandbyNotAllowed"
    WARNING_WPT = "WARNING_WPT"
    FAILED = "FAILED"
    FAILED_AssociationError = "FAILED_AssociationError"
    FAILED_ContactorError = "FAILED_ContactorError"
    FAILED_EVPowerProfileInvalid = "FAILED_EVPowerProfileInvalid"
    FAILED_EVPowerProfileViolation = "FAILED_EVPowerProfileViolation"
    FAILED_MeteringSignatureNotValid = "FAILED_MeteringSignatureNotValid"
    FAILED_NoEnergyTransferServiceSelected = "FAILED_NoEnergyTransferServiceSelected"
    FAILED_NoServiceRenegotiationSupported = "FAILED_NoServiceRenegotiationSupported"
    FAILED_PauseNotAllowed = "FAILED_PauseNotAllowed"
    FAILED_PowerDeliveryNotApplied = "FAILED_PowerDeliveryNotApplied"
    FAILED_PowerToleranceNotConfirmed = "FAILED_PowerToleranceNotConfirmed"
    FAILED_ScheduleRenegotiation = "FAILED_ScheduleRenegotiation"
    FAILED_ScheduleSelectionInvalid = "FAILED_ScheduleSelectionInvalid"
    FAILED_SequenceError = "FAILED_SequenceError"
    FAILED_ServiceIDInvalid = "FAILED_ServiceIDInvalid"
    FAILED_ServiceSelectionInvalid = "FAILED_ServiceSelectionInvalid"
    FAILED_SignatureError = "FAILED_SignatureError"
    FAILED_UnknownSession = "FAILED_UnknownSession"
    FAILED_WrongChargeParameter = "FAILED_WrongChargeParameter"


# -------------------------------------------------------------------------------------------- types


@declare()
class MessageHeader(TypesElement):
    """Header of every message; `time_stamp` in seconds since 1970."""

    RECURS = True

    session_id: bytes = element("SessionID", SESSION_ID)
    time_stamp: int = element("TimeStamp", UNSIGNED_LONG)
    signature: xmldsig.Signature | None = element(
        "Signature", namespace=xmldsig.NAMESPACE, default=None
    )


@declare()
class V2gMessage(TypesElement):
    """Base of all messages."""

    header: MessageHeader = element("Header")


@declare()
class V2gRequest(V2gMessage):
    """Base of what a car sends."""


@declare()
class V2gResponse(V2gMessage):
    """Base of what a charger sends."""

    response_code: ResponseCode = element("ResponseCode")


@declare("CLReqControlMode", head=True, abstract=True)
class ClReqControlMode(TypesElement):
    """Head of the group of what a car says in the charge loop, by control mode."""


@declare("CLResControlMode", head=True, abstract=True)
class ClResControlMode(TypesElement):
    """Head of the group of what a charger says in the charge loop, by control mode."""


@declare()
class RationalNumber(TypesElement):
    """`value` x 10^`exponent`, as on the wire; `si` is the number to reckon with.

    Units are not on the wire: V, A, W, var, Wh, Hz, W/s, or money, as each element has it.
    """

    exponent: int = element("Exponent", BYTE)
    value: int = element("Value", SHORT)

    @property
    def si(self) -> float:
        """The number."""
        exponent = self.exponent
        return self.value * 10.0**exponent if exponent >= 0 else self.value / 10.0**-exponent

    @classmethod
    def from_si(cls, amount: float, finest: int = -3) -> "RationalNumber":
        """Return the number nearest to `amount` with an exponent of at least `finest`.

        Raises ValueError if none is in range.
        """
        for exponent in range(finest, MOST_EXPONENT + 1):
            scaled = amount / 10.0**exponent
            if abs(scaled) < 2**16 and -(2**15) <= round(scaled) < 2**15:
                return cls(exponent=exponent, value=round(scaled))
        raise ValueError(f"{amount} does not fit a rational number")


@declare()
class ScheduledClReqControlMode(ClReqControlMode):
    """The car plans: energy that it still wants, in Wh."""

    ev_target_energy_request: RationalNumber | None = element("EVTargetEnergyRequest", default=None)
    ev_maximum_energy_request: RationalNumber | None = element(
        "EVMaximumEnergyRequest", default=None
    )
    ev_minimum_energy_request: RationalNumber | None = element(
        "EVMinimumEnergyRequest", default=None
    )


@declare()
class ScheduledClResControlMode(ClResControlMode):
    """The car plans: what a charger says then."""


@declare()
class DynamicClReqControlMode(ClReqControlMode):
    """The charger plans: energy in Wh, `departure_time` in seconds from now."""

    departure_time: int | None = element("DepartureTime", UNSIGNED_INT, default=None)
    ev_target_energy_request: RationalNumber = element("EVTargetEnergyRequest")
    ev_maximum_energy_request: RationalNumber = element("EVMaximumEnergyRequest")
    ev_minimum_energy_request: RationalNumber = element("EVMinimumEnergyRequest")


@declare()
class DynamicClResControlMode(ClResControlMode):
    """The charger plans: its aims; times in seconds from now, SoC in percent."""

    departure_time: int | None = element("DepartureTime", UNSIGNED_INT, default=None)
    minimum_soc: int | None = element("MinimumSOC", PERCENT, default=None)
    target_soc: int | None = element("TargetSOC", PERCENT, default=None)
    ack_max_delay: int | None = element("AckMaxDelay", UNSIGNED_SHORT, default=None)


@declare()
class DisplayParameters(TypesElement):
    """What a charger may show of the car's battery; times in seconds, SoC in percent."""

    RECURS = True

    present_soc: int | None = element("PresentSOC", PERCENT, default=None)
    minimum_soc: int | None = element("MinimumSOC", PERCENT, default=None)
    target_soc: int | None = element("TargetSOC", PERCENT, default=None)
    maximum_soc: int | None = element("MaximumSOC", PERCENT, default=None)
    remaining_time_to_minimum_soc: int | None = element(
        "RemainingTimeToMinimumSOC", UNSIGNED_INT, default=None
    )
    remaining_time_to_target_soc: int | None = element(
        "RemainingTimeToTargetSOC", UNSIGNED_INT, default=None
    )
    remaining_time_to_maximum_soc: int | None = element(
        "RemainingTimeToMaximumSOC", UNSIGNED_INT, default=None
    )
    charging_complete: bool | None = element("ChargingComplete", BOOLEAN, default=None)
    battery_energy_capacity: RationalNumber | None = element("BatteryEnergyCapacity", default=None)
    inlet_hot: bool | None = element("InletHot", BOOLEAN, default=None)


@declare()
class EvseStatus(TypesElement):
    """What the charger asks of the car, within `notification_max_delay` seconds."""

    notification_max_delay: int = element("NotificationMaxDelay", UNSIGNED_SHORT)
    evse_notification: EvseNotification = element("EVSENotification")


@declare()
class MeterInfo(TypesElement):
    """Meter readings in Wh and varh; `meter_timestamp` in seconds since 1970."""

    RECURS = True

    meter_id: str = element("MeterID", Text(32))
    charged_energy_reading_wh: int = element("ChargedEnergyReadingWh", UNSIGNED_LONG)
    bpt_discharged_energy_reading_wh: int | None = element(
        "BPT_DischargedEnergyReadingWh", UNSIGNED_LONG, default=None
    )
    capacitive_energy_reading_varh: int | None = element(
        "CapacitiveEnergyReadingVARh", UNSIGNED_LONG, default=None
    )
    bpt_inductive_energy_reading_varh: int | None = element(
        "BPT_InductiveEnergyReadingVARh", UNSIGNED_LONG, default=None
    )
    meter_signature: bytes | None = element("MeterSignature", Binary(64, base64=True), default=None)
    meter_status: int | None = element("MeterStatus", SHORT, default=None)
    meter_timestamp: int | None = element("MeterTimestamp", UNSIGNED_LONG, default=None)


@declare()
class DetailedCost(TypesElement):
    """An amount of money and what a unit costs."""

    amount: RationalNumber = element("Amount")
    cost_per_unit: RationalNumber = element("CostPerUnit")


@declare()
class DetailedTax(TypesElement):
    """The tax by one rule."""

    tax_rule_id: int = element("TaxRuleID", NUMERIC_ID)
    amount: RationalNumber = element("Amount")


@declare()
class Receipt(TypesElement):
    """Costs so far; `time_anchor` in seconds since 1970."""

    time_anchor: int = element("TimeAnchor", UNSIGNED_LONG)
    energy_costs: DetailedCost | None = element("EnergyCosts", default=None)
    occupancy_costs: DetailedCost | None = element("OccupancyCosts", default=None)
    additional_services_costs: DetailedCost | None = element(
        "AdditionalServicesCosts", default=None
    )
    overstay_costs: DetailedCost | None = element("OverstayCosts", default=None)
    tax_costs: tuple[DetailedTax, ...] = element("TaxCosts", least=0, most=10, default=())


@declare()
class ListOfRootCertificateIds(TypesElement):
    """The roots that the car knows, by issuer and serial number."""

    root_certificate_id: tuple[xmldsig.X509IssuerSerial, ...] = element(
        "RootCertificateID", most=20
    )


# -------------------------------------------------------------------------------- bases of messages


@declare()
class ChargeParameterDiscoveryReq(V2gRequest):
    """Base: what the car wants and can take."""


@declare()
class ChargeParameterDiscoveryRes(V2gResponse):
    """Base: what the charger can give."""


@declare()
class ChargeLoopReq(V2gRequest):
    """Base: what the car wants now."""

    display_parameters: DisplayParameters | None = element("DisplayParameters", default=None)
    meter_info_requested: bool = element("MeterInfoRequested", BOOLEAN)


@declare()
class ChargeLoopRes(V2gResponse):
    """Base: what the charger gives now."""

    evse_status: EvseStatus | None = element("EVSEStatus", default=None)
    meter_info: MeterInfo | None = element("MeterInfo", default=None)
    receipt: Receipt | None = element("Receipt", default=None)


# ---------------------------------------------------------------------------------- schema sets

OTHERS = {NAMESPACE: ["CLReqControlMode", "CLResControlMode"], xmldsig.NAMESPACE: xmldsig.ELEMENTS}
"""Global elements that count in the root codes of every namespace."""

ALL = tuple(cls for cls in INFO if cls.__module__ == __name__)
"""Types whose elements count in the fragment codes of every namespace."""


def messages_of(module: str) -> tuple[type[V2gMessage], ...]:
    """Return the messages that a module declares."""
    return tuple(
        cls
        for cls in INFO
        if cls.__module__ == module and issubclass(cls, V2gMessage) and INFO[cls].element
    )
