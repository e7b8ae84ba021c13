"""ISO 15118-2:2013: the 34 messages and their types, in the order and bounds of its schema.

    message = iso2.decode(payload)  # Message(session_id=b"...", body=CurrentDemandReq(...))
    payload = iso2.encode(iso2.Message(session_id=b"...", body=iso2.ChargingStatusReq()))

Names are the standard's, as in `din`: classes and enum members as they are written there,
attributes in snake case; where the schema has a substitution group the attribute bears the name of
its head.

What cars and chargers send beyond the schema and we still decode, but never encode: texts and
binaries longer or shorter than their facet (64 NULs in a ServiceScope, an EVSEID of three letters),
SoC of 101..127 %, a SAScheduleTupleID of 256, an empty head of a substitution group, superfluous
bytes after the message.

What is signed (`CODEC.encode_fragment(part, name)` gives the bytes of the digest):
AuthorizationReq, MeteringReceiptReq, CertificateInstallationReq, CertificateUpdateReq, SalesTariff,
and of answers their ContractSignatureCertChain, ContractSignatureEncryptedPrivateKey, DHpublickey
and eMAID. SignedInfo itself is signed by the grammars of XML signatures alone: `xmldsig.CODEC`.
"""

from controller.v2g.exi.codec import Codec
from controller.v2g.exi.schema import (
    BOOLEAN,
    BYTE,
    INT,
    LONG,
    MAX_BINARY,
    SHORT,
    STRING,
    UNSIGNED_BYTE,
    UNSIGNED_INT,
    UNSIGNED_LONG,
    UNSIGNED_SHORT,
    Binary,
    Declared,
    ExiEnum,
    Integer,
    Text,
    attribute,
    declare,
    element,
    text,
)
from controller.v2g.messages import xmldsig

NAMESPACE = "urn:iso:15118:2:2013:MsgDef"
HEADER = "urn:iso:15118:2:2013:MsgHeader"
BODY = "urn:iso:15118:2:2013:MsgBody"
DATA_TYPES = "urn:iso:15118:2:2013:MsgDataTypes"
MULTIPLIER = Integer(-3, 3)
PERCENT = Integer(0, 100, accepted=127)
SAID = Integer(1, 255, accepted=256)  # 256: all bits set, from a charger that takes it for a byte
PHASES = Integer(1, 3, accepted=4)  # 4: all bits set, a car of Seres sends it
INTERVAL_START = Integer(0, 16777214, accepted=2**32 - 1)  # 32 bits in the base type; DIN
INTERVAL_DURATION = Integer(0, 86400, accepted=2**32 - 1)  # chargers do send 90000, 16777215
SESSION_ID = Binary(8)
EVCC_ID = Binary(6)
EVSE_ID = Text(37, least=7)
EMAID = Text(15, least=14)
GEN_CHALLENGE = Binary(16, base64=True, least=16)
CERTIFICATE = Binary(800, base64=True, accepted=MAX_BINARY)
DH_PUBLIC_KEY = Binary(65, base64=True)
PRIVATE_KEY = Binary(48, base64=True)


# ------------------------------------------------------------------------------------- enumerations


class ResponseCode(ExiEnum):
    """How the charger took a request."""

    OK = "OK"
    OK_NewSessionEstablished = "OK_NewSessionEstablished"
    OK_OldSessionJoined = "OK_OldSessionJoined"
    OK_CertificateExpiresSoon = "OK_CertificateExpiresSoon"
    FAILED = "FAILED"
    FAILED_SequenceError = "FAILED_SequenceError"
    FAILED_ServiceIDInvalid = "FAILED_ServiceIDInvalid"
    FAILED_UnknownSession = "FAILED_UnknownSession"
    FAILED_ServiceSelectionInvalid = "FAILED_ServiceSelectionInvalid"
    FAILED_PaymentSelectionInvalid = "FAILED_PaymentSelectionInvalid"
    FAILED_CertificateExpired = "FAILED_CertificateExpired"
    FAILED_SignatureError = "FAILED_SignatureError"
    FAILED_NoCertificateAvailable = "FAILED_NoCertificateAvailable"
    FAILED_CertChainError = "FAILED_CertChainError"
    FAILED_ChallengeInvalid = "FAILED_ChallengeInvalid"
    FAILED_ContractCanceled = "FAILED_ContractCanceled"
    FAILED_WrongChargeParameter = "FAILED_WrongChargeParameter"
    FAILED_PowerDeliveryNotApplied = "FAILED_PowerDeliveryNotApplied"
    FAILED_TariffSelectionInvalid = "FAILED_TariffSelectionInvalid"
    FAILED_ChargingProfileInvalid = "FAILED_ChargingProfileInvalid"
    FAILED_MeteringSignatureNotValid = "FAILED_MeteringSignatureNotValid"
    FAILED_NoChargeServiceSelected = "FAILED_NoChargeServiceSelected"
    FAILED_WrongEnergyTransferMode = "FAILED_WrongEnergyTransferMode"
    FAILED_ContactorError = "FAILED_ContactorError"
    FAILED_CertificateNotAllowedAtThisEVSE = "FAILED_CertificateNotAllowedAtThisEVSE"
    FAILED_CertificateRevoked = "FAILED_CertificateRevoked"


class Unit(ExiEnum):
    """Unit of a physical value; `m` are minutes."""

    h = "h"
    m = "m"
    s = "s"
    A = "A"
    V = "V"
    W = "W"
    Wh = "Wh"


class DcEvErrorCode(ExiEnum):
    """What is wrong with the car."""

    NO_ERROR = "NO_ERROR"
    FAILED_RESSTemperatureInhibit = "FAILED_RESSTemperatureInhibit"
    FAILED_EVShiftPosition = "FAILED_EVShiftPosition"
    FAILED_ChargerConnectorLockFault = "FAILED_ChargerConnectorLockFault"
    FAILED_EVRESSMalfunction = "FAILED_EVRESSMalfunction"
    FAILED_ChargingCurrentdifferential = "FAILED_ChargingCurrentdifferential"
    FAILED_ChargingVoltageOutOfRange = "FAILED_ChargingVoltageOutOfRange"
    Reserved_A = "Reserved_A"
    Reserved_B = "Reserved_B"
    Reserved_C = "Reserved_C"
    FAILED_ChargingSystemIncompatibility = "FAILED_ChargingSystemIncompatibility"
    NoData = "NoData"


class DcEvseStatusCode(ExiEnum):
    """State of a DC charger."""

    EVSE_NotReady = "EVSE_NotReady"
    EVSE_Ready = "EVSE_Ready"
    EVSE_Shutdown = "EVSE_Shutdown"
    EVSE_UtilityInterruptEvent = "EVSE_UtilityInterruptEvent"
    EVSE_IsolationMonitoringActive = "EVSE_IsolationMonitoringActive"
    EVSE_EmergencyShutdown = "EVSE_EmergencyShutdown"
    EVSE_Malfunction = "EVSE_Malfunction"
    Reserved_8 = "Reserved_8"
    Reserved_9 = "Reserved_9"
    Reserved_A = "Reserved_A"
    Reserved_B = "Reserved_B"
    Reserved_C = "Reserved_C"


class IsolationLevel(ExiEnum):
    """Result of the isolation monitoring; `No_IMD`: the charger has no monitor."""

    Invalid = "Invalid"
    Valid = "Valid"
    Warning = "Warning"
    Fault = "Fault"
    No_IMD = "No_IMD"


class EvseNotification(ExiEnum):
    """What the charger asks of the car."""

    NONE = "None"
    StopCharging = "StopCharging"
    ReNegotiation = "ReNegotiation"


class EvseProcessing(ExiEnum):
    """Whether the charger is done, wants to be asked again, or waits for the customer."""

    Finished = "Finished"
    Ongoing = "Ongoing"
    Ongoing_WaitingForCustomerInteraction = "Ongoing_WaitingForCustomerInteraction"


class ChargeProgress(ExiEnum):
    """What a PowerDeliveryReq wants."""

    Start = "Start"
    Stop = "Stop"
    Renegotiate = "Renegotiate"


class ChargingSession(ExiEnum):
    """Whether a SessionStopReq ends the session or pauses it."""

    Terminate = "Terminate"
    Pause = "Pause"


class EnergyTransferMode(ExiEnum):
    """A kind of energy transfer."""

    AC_single_phase_core = "AC_single_phase_core"
    AC_three_phase_core = "AC_three_phase_core"
    DC_core = "DC_core"
    DC_extended = "DC_extended"
    DC_combo_core = "DC_combo_core"
    DC_unique = "DC_unique"


class PaymentOption(ExiEnum):
    """Who pays: a contract in the car, or something outside of it."""

    Contract = "Contract"
    ExternalPayment = "ExternalPayment"


class ServiceCategory(ExiEnum):
    """Kind of a service."""

    EVCharging = "EVCharging"
    Internet = "Internet"
    ContractCertificate = "ContractCertificate"
    OtherCustom = "OtherCustom"


class FaultCode(ExiEnum):
    """Why a peer could not read a message."""

    ParsingError = "ParsingError"
    NoTLSRootCertificatAvailable = "NoTLSRootCertificatAvailable"
    UnknownError = "UnknownError"


class CostKind(ExiEnum):
    """What a cost of a tariff counts."""

    RelativePricePercentage = "relativePricePercentage"
    RenewableGenerationPercentage = "RenewableGenerationPercentage"
    CarbonDioxideEmission = "CarbonDioxideEmission"


# ----------------------------------------------------------------------------------- header, values


class DataType(Declared):
    """Base of what messages are made of."""

    __slots__ = ()
    NAMESPACE = DATA_TYPES
    ATTRIBUTES_QUALIFIED = True


@declare()
class Notification(DataType):
    """Header element of a peer that could not read our message."""

    fault_code: FaultCode = element("FaultCode")
    fault_msg: str | None = element("FaultMsg", Text(64), default=None)


@declare()
class PhysicalValue(DataType):
    """`value` x 10^`multiplier` of `unit`, as on the wire; `si` is the number to reckon with."""

    multiplier: int = element("Multiplier", MULTIPLIER)
    unit: Unit = element("Unit")
    value: int = element("Value", SHORT)

    @property
    def si(self) -> float:
        """The amount in V, A, W, Wh, or s (hours and minutes become seconds)."""
        exponent = self.multiplier
        amount = self.value * 10.0**exponent if exponent >= 0 else self.value / 10.0**-exponent
        return amount * SECONDS.get(self.unit, 1)

    @classmethod
    def from_si(cls, amount: float, unit: Unit) -> "PhysicalValue":
        """Return the value nearest to `amount` (see `si`); ValueError if none is in range."""
        amount /= SECONDS.get(unit, 1)
        for exponent in range(-3, 4):
            value = round(amount * 10.0**-exponent) if abs(amount) < 1e8 else 2**15
            if -(2**15) <= value < 2**15:
                return cls(multiplier=exponent, unit=unit, value=value)
        raise ValueError(f"{amount} {unit.value} does not fit an ISO 15118-2 physical value")


SECONDS = {Unit.h: 3600, Unit.m: 60}


# -------------------------------------------------------------------------------------- EV and EVSE


@declare("EVStatus", head=True, abstract=True)
class EvStatus(DataType):
    """Head of the group of EV states; messages name their member."""


@declare("DC_EVStatus")
class DcEvStatus(EvStatus):
    """State of a DC car; `ev_ress_soc` in percent."""

    ev_ready: bool = element("EVReady", BOOLEAN)
    ev_error_code: DcEvErrorCode = element("EVErrorCode")
    ev_ress_soc: int = element("EVRESSSOC", PERCENT)


@declare("EVSEStatus", head=True, abstract=True)
class EvseStatus(DataType):
    """Head of the group of charger states; `notification_max_delay` in seconds."""

    notification_max_delay: int = element("NotificationMaxDelay", UNSIGNED_SHORT)
    evse_notification: EvseNotification = element("EVSENotification")


@declare("AC_EVSEStatus")
class AcEvseStatus(EvseStatus):
    """State of an AC charger; `rcd` says that its residual current device has tripped."""

    rcd: bool = element("RCD", BOOLEAN)


@declare("DC_EVSEStatus")
class DcEvseStatus(EvseStatus):
    """State of a DC charger."""

    evse_isolation_status: IsolationLevel | None = element("EVSEIsolationStatus", default=None)
    evse_status_code: DcEvseStatusCode = element("EVSEStatusCode")


@declare("EVChargeParameter", head=True, abstract=True)
class EvChargeParameter(DataType):
    """Head of the group of what a car wants; `departure_time` in seconds from now."""

    departure_time: int | None = element("DepartureTime", UNSIGNED_INT, default=None)


@declare("AC_EVChargeParameter")
class AcEvChargeParameter(EvChargeParameter):
    """What an AC car wants and can take."""

    e_amount: PhysicalValue = element("EAmount")
    ev_max_voltage: PhysicalValue = element("EVMaxVoltage")
    ev_max_current: PhysicalValue = element("EVMaxCurrent")
    ev_min_current: PhysicalValue = element("EVMinCurrent")


@declare("DC_EVChargeParameter")
class DcEvChargeParameter(EvChargeParameter):
    """What a DC car wants and can take; SoC in percent."""

    dc_ev_status: DcEvStatus = element("DC_EVStatus")
    ev_maximum_current_limit: PhysicalValue = element("EVMaximumCurrentLimit")
    ev_maximum_power_limit: PhysicalValue | None = element("EVMaximumPowerLimit", default=None)
    ev_maximum_voltage_limit: PhysicalValue = element("EVMaximumVoltageLimit")
    ev_energy_capacity: PhysicalValue | None = element("EVEnergyCapacity", default=None)
    ev_energy_request: PhysicalValue | None = element("EVEnergyRequest", default=None)
    full_soc: int | None = element("FullSOC", PERCENT, default=None)
    bulk_soc: int | None = element("BulkSOC", PERCENT, default=None)


@declare("EVSEChargeParameter", head=True, abstract=True)
class EvseChargeParameter(DataType):
    """Head of the group of what a charger can give."""


@declare("AC_EVSEChargeParameter")
class AcEvseChargeParameter(EvseChargeParameter):
    """What an AC charger can give."""

    ac_evse_status: AcEvseStatus = element("AC_EVSEStatus")
    evse_nominal_voltage: PhysicalValue = element("EVSENominalVoltage")
    evse_max_current: PhysicalValue = element("EVSEMaxCurrent")


@declare("DC_EVSEChargeParameter")
class DcEvseChargeParameter(EvseChargeParameter):
    """What a DC charger can give."""

    dc_evse_status: DcEvseStatus = element("DC_EVSEStatus")
    evse_maximum_current_limit: PhysicalValue = element("EVSEMaximumCurrentLimit")
    evse_maximum_power_limit: PhysicalValue = element("EVSEMaximumPowerLimit")
    evse_maximum_voltage_limit: PhysicalValue = element("EVSEMaximumVoltageLimit")
    evse_minimum_current_limit: PhysicalValue = element("EVSEMinimumCurrentLimit")
    evse_minimum_voltage_limit: PhysicalValue = element("EVSEMinimumVoltageLimit")
    evse_current_regulation_tolerance: PhysicalValue | None = element(
        "EVSECurrentRegulationTolerance", default=None
    )
    evse_peak_current_ripple: PhysicalValue = element("EVSEPeakCurrentRipple")
    evse_energy_to_be_delivered: PhysicalValue | None = element(
        "EVSEEnergyToBeDelivered", default=None
    )


@declare("EVPowerDeliveryParameter", head=True, abstract=True)
class EvPowerDeliveryParameter(DataType):
    """Head of the group of what a car says when power is switched."""


@declare("DC_EVPowerDeliveryParameter")
class DcEvPowerDeliveryParameter(EvPowerDeliveryParameter):
    """What a DC car says when power is switched."""

    dc_ev_status: DcEvStatus = element("DC_EVStatus")
    bulk_charging_complete: bool | None = element("BulkChargingComplete", BOOLEAN, default=None)
    charging_complete: bool = element("ChargingComplete", BOOLEAN)


# ------------------------------------------------------------------------------- schedules, tariffs


@declare("TimeInterval", head=True, abstract=True)
class TimeInterval(DataType):
    """Head of the group of time intervals."""


@declare("RelativeTimeInterval")
class RelativeTimeInterval(TimeInterval):
    """Seconds from now, and their number; without one it lasts until the next entry."""

    start: int = element("start", INTERVAL_START)
    duration: int | None = element("duration", INTERVAL_DURATION, default=None)


@declare("Entry", head=True, abstract=True)
class Entry(DataType):
    """Head of the group of schedule entries; nothing refers to the group as such."""

    time_interval: TimeInterval = element("TimeInterval")


@declare("PMaxScheduleEntry")
class PMaxScheduleEntry(Entry):
    """Power limit from the start of an interval on."""

    p_max: PhysicalValue = element("PMax")


@declare()
class PMaxSchedule(DataType):
    """Power limits of the charger over time."""

    p_max_schedule_entry: tuple[PMaxScheduleEntry, ...] = element("PMaxScheduleEntry", most=1024)


@declare()
class Cost(DataType):
    """`amount` x 10^`amount_multiplier` of one kind of cost."""

    cost_kind: CostKind = element("costKind")
    amount: int = element("amount", UNSIGNED_INT)
    amount_multiplier: int | None = element("amountMultiplier", MULTIPLIER, default=None)


@declare()
class ConsumptionCost(DataType):
    """Costs from a consumption of `start_value` on."""

    start_value: PhysicalValue = element("startValue")
    cost: tuple[Cost, ...] = element("Cost", most=3)


@declare("SalesTariffEntry")
class SalesTariffEntry(Entry):
    """Price level from the start of an interval on."""

    e_price_level: int | None = element("EPriceLevel", UNSIGNED_BYTE, default=None)
    consumption_cost: tuple[ConsumptionCost, ...] = element(
        "ConsumptionCost", least=0, most=3, default=()
    )


@declare()
class SalesTariff(DataType):
    """Price levels over time; signed by its maker where it has an Id."""

    id: str | None = attribute("Id", STRING, default=None)
    sales_tariff_id: int = element("SalesTariffID", SAID)
    sales_tariff_description: str | None = element("SalesTariffDescription", Text(32), default=None)
    num_e_price_levels: int | None = element("NumEPriceLevels", UNSIGNED_BYTE, default=None)
    sales_tariff_entry: tuple[SalesTariffEntry, ...] = element("SalesTariffEntry", most=1024)


@declare()
class SaScheduleTuple(DataType):
    """One schedule that the car may choose."""

    sa_schedule_tuple_id: int = element("SAScheduleTupleID", SAID)
    p_max_schedule: PMaxSchedule = element("PMaxSchedule")
    sales_tariff: SalesTariff | None = element("SalesTariff", default=None)


@declare("SASchedules", head=True, abstract=True)
class SaSchedules(DataType):
    """Head of the group of schedule lists."""


@declare("SAScheduleList")
class SaScheduleList(SaSchedules):
    """The schedules that the car may choose from. Send two at most: libcbv2g misreads three."""

    sa_schedule_tuple: tuple[SaScheduleTuple, ...] = element("SAScheduleTuple", most=3)


@declare()
class ProfileEntry(DataType):
    """Power that the car will draw, from a number of seconds on."""

    charging_profile_entry_start: int = element("ChargingProfileEntryStart", UNSIGNED_INT)
    charging_profile_entry_max_power: PhysicalValue = element("ChargingProfileEntryMaxPower")
    charging_profile_entry_max_number_of_phases_in_use: int | None = element(
        "ChargingProfileEntryMaxNumberOfPhasesInUse", PHASES, default=None
    )


@declare()
class ChargingProfile(DataType):
    """What the car will draw over time."""

    profile_entry: tuple[ProfileEntry, ...] = element("ProfileEntry", most=24)


# ------------------------------------------------------------------------- services, payment, meter


@declare()
class Service(DataType):
    """A service and whether it is free."""

    service_id: int = element("ServiceID", UNSIGNED_SHORT)
    service_name: str | None = element("ServiceName", Text(32), default=None)
    service_category: ServiceCategory = element("ServiceCategory")
    service_scope: str | None = element("ServiceScope", Text(64), default=None)
    free_service: bool = element("FreeService", BOOLEAN)


@declare()
class SupportedEnergyTransferMode(DataType):
    """The kinds of energy transfer that the charger offers."""

    energy_transfer_mode: tuple[EnergyTransferMode, ...] = element("EnergyTransferMode", most=6)


@declare()
class ChargeService(Service):
    """The charge service."""

    supported_energy_transfer_mode: SupportedEnergyTransferMode = element(
        "SupportedEnergyTransferMode"
    )


@declare()
class ServiceList(DataType):
    """Services besides charging."""

    service: tuple[Service, ...] = element("Service", most=8)


@declare()
class SelectedService(DataType):
    """A service that the car wants."""

    service_id: int = element("ServiceID", UNSIGNED_SHORT)
    parameter_set_id: int | None = element("ParameterSetID", SHORT, default=None)


@declare()
class SelectedServiceList(DataType):
    """All services that the car wants."""

    selected_service: tuple[SelectedService, ...] = element("SelectedService", most=16)


@declare()
class Parameter(DataType):
    """One parameter of a service: exactly one of its values is set."""

    name: str = attribute("Name", STRING)
    bool_value: bool | None = element("boolValue", BOOLEAN, choice="value", default=None)
    byte_value: int | None = element("byteValue", BYTE, choice="value", default=None)
    short_value: int | None = element("shortValue", SHORT, choice="value", default=None)
    int_value: int | None = element("intValue", INT, choice="value", default=None)
    physical_value: PhysicalValue | None = element("physicalValue", choice="value", default=None)
    string_value: str | None = element("stringValue", STRING, choice="value", default=None)


@declare()
class ParameterSet(DataType):
    """A set of parameters that the car may choose."""

    parameter_set_id: int = element("ParameterSetID", SHORT)
    parameter: tuple[Parameter, ...] = element("Parameter", most=16)


@declare()
class ServiceParameterList(DataType):
    """The parameter sets of a service."""

    parameter_set: tuple[ParameterSet, ...] = element("ParameterSet", most=255)


@declare()
class PaymentOptionList(DataType):
    """The ways to pay that the charger offers."""

    payment_option: tuple[PaymentOption, ...] = element("PaymentOption", most=2)


@declare()
class MeterInfo(DataType):
    """A meter reading in Wh; `t_meter` in seconds since 1970."""

    meter_id: str = element("MeterID", Text(32))
    meter_reading: int | None = element("MeterReading", UNSIGNED_LONG, default=None)
    sig_meter_reading: bytes | None = element(
        "SigMeterReading", Binary(64, base64=True), default=None
    )
    meter_status: int | None = element("MeterStatus", SHORT, default=None)
    t_meter: int | None = element("TMeter", LONG, default=None)


@declare()
class SubCertificates(DataType):
    """The certificates between a leaf and its root (DER)."""

    certificate: tuple[bytes, ...] = element("Certificate", CERTIFICATE, most=4)


@declare()
class CertificateChain(DataType):
    """A certificate (DER) and those above it; the Id is there where it is signed."""

    id: str | None = attribute("Id", STRING, default=None)
    certificate: bytes = element("Certificate", CERTIFICATE)
    sub_certificates: SubCertificates | None = element("SubCertificates", default=None)


@declare()
class ListOfRootCertificateIDs(DataType):
    """The roots that the car knows."""

    root_certificate_id: tuple[xmldsig.X509IssuerSerial, ...] = element(
        "RootCertificateID", most=20
    )


@declare()
class ContractSignatureEncryptedPrivateKey(DataType):
    """The private key of a contract certificate, encrypted."""

    id: str = attribute("Id", STRING)
    value: bytes = text(PRIVATE_KEY)


@declare()
class DhPublicKey(DataType):
    """The public key from which the key of the encryption is derived."""

    id: str = attribute("Id", STRING)
    value: bytes = text(DH_PUBLIC_KEY)


@declare()
class Emaid(DataType):
    """Identifier of the contract, where it is signed."""

    id: str = attribute("Id", STRING)
    value: str = text(EMAID)


# ----------------------------------------------------------------------------------------- messages


@declare("BodyElement", head=True, abstract=True)
class BodyElement(Declared):
    """Head of the group of all messages."""

    NAMESPACE = BODY
    ATTRIBUTES_QUALIFIED = True


@declare("SessionSetupReq")
class SessionSetupReq(BodyElement):
    """First request; `evcc_id` is the car's MAC address."""

    evcc_id: bytes = element("EVCCID", EVCC_ID)


@declare("SessionSetupRes")
class SessionSetupRes(BodyElement):
    """Answer whose header carries the session id; `evse_time_stamp` in seconds since 1970."""

    response_code: ResponseCode = element("ResponseCode")
    evse_id: str = element("EVSEID", EVSE_ID)
    evse_time_stamp: int | None = element("EVSETimeStamp", LONG, default=None)


@declare("ServiceDiscoveryReq")
class ServiceDiscoveryReq(BodyElement):
    """What services are there?"""

    service_scope: str | None = element("ServiceScope", Text(64), default=None)
    service_category: ServiceCategory | None = element("ServiceCategory", default=None)


@declare("ServiceDiscoveryRes")
class ServiceDiscoveryRes(BodyElement):
    """Services and ways to pay."""

    response_code: ResponseCode = element("ResponseCode")
    payment_option_list: PaymentOptionList = element("PaymentOptionList")
    charge_service: ChargeService = element("ChargeService")
    service_list: ServiceList | None = element("ServiceList", default=None)


@declare("ServiceDetailReq")
class ServiceDetailReq(BodyElement):
    """What parameters has this service?"""

    service_id: int = element("ServiceID", UNSIGNED_SHORT)


@declare("ServiceDetailRes")
class ServiceDetailRes(BodyElement):
    """Parameters of a service."""

    response_code: ResponseCode = element("ResponseCode")
    service_id: int = element("ServiceID", UNSIGNED_SHORT)
    service_parameter_list: ServiceParameterList | None = element(
        "ServiceParameterList", default=None
    )


@declare("PaymentServiceSelectionReq")
class PaymentServiceSelectionReq(BodyElement):
    """The car's choice of services and payment."""

    selected_payment_option: PaymentOption = element("SelectedPaymentOption")
    selected_service_list: SelectedServiceList = element("SelectedServiceList")


@declare("PaymentServiceSelectionRes")
class PaymentServiceSelectionRes(BodyElement):
    """Whether the choice is accepted."""

    response_code: ResponseCode = element("ResponseCode")


@declare("PaymentDetailsReq")
class PaymentDetailsReq(BodyElement):
    """The contract that pays."""

    emaid: str = element("eMAID", EMAID)
    contract_signature_cert_chain: CertificateChain = element("ContractSignatureCertChain")


@declare("PaymentDetailsRes")
class PaymentDetailsRes(BodyElement):
    """A challenge for the contract; `evse_time_stamp` in seconds since 1970."""

    response_code: ResponseCode = element("ResponseCode")
    gen_challenge: bytes = element("GenChallenge", GEN_CHALLENGE)
    evse_time_stamp: int = element("EVSETimeStamp", LONG)


@declare("AuthorizationReq")
class AuthorizationReq(BodyElement):
    """May I charge? With the challenge, and signed, where a contract pays."""

    id: str | None = attribute("Id", STRING, default=None)
    gen_challenge: bytes | None = element("GenChallenge", GEN_CHALLENGE, default=None)


@declare("AuthorizationRes")
class AuthorizationRes(BodyElement):
    """Whether the car may charge, or the customer has still to be authorised."""

    response_code: ResponseCode = element("ResponseCode")
    evse_processing: EvseProcessing = element("EVSEProcessing")


@declare("ChargeParameterDiscoveryReq")
class ChargeParameterDiscoveryReq(BodyElement):
    """What the car wants and can take."""

    max_entries_sa_schedule_tuple: int | None = element(
        "MaxEntriesSAScheduleTuple", UNSIGNED_SHORT, default=None
    )
    requested_energy_transfer_mode: EnergyTransferMode = element("RequestedEnergyTransferMode")
    ev_charge_parameter: EvChargeParameter = element("EVChargeParameter")


@declare("ChargeParameterDiscoveryRes")
class ChargeParameterDiscoveryRes(BodyElement):
    """What the charger can give, and when."""

    response_code: ResponseCode = element("ResponseCode")
    evse_processing: EvseProcessing = element("EVSEProcessing")
    sa_schedules: SaSchedules | None = element("SASchedules", default=None)
    evse_charge_parameter: EvseChargeParameter = element("EVSEChargeParameter")


@declare("PowerDeliveryReq")
class PowerDeliveryReq(BodyElement):
    """Power on or off, or talk again about the schedule."""

    charge_progress: ChargeProgress = element("ChargeProgress")
    sa_schedule_tuple_id: int = element("SAScheduleTupleID", SAID)
    charging_profile: ChargingProfile | None = element("ChargingProfile", default=None)
    ev_power_delivery_parameter: EvPowerDeliveryParameter | None = element(
        "EVPowerDeliveryParameter", default=None
    )


@declare("PowerDeliveryRes")
class PowerDeliveryRes(BodyElement):
    """Whether power is on or off."""

    response_code: ResponseCode = element("ResponseCode")
    evse_status: EvseStatus = element("EVSEStatus")


@declare("MeteringReceiptReq")
class MeteringReceiptReq(BodyElement):
    """A meter reading that the car signs."""

    id: str | None = attribute("Id", STRING, default=None)
    session_id: bytes = element("SessionID", SESSION_ID)
    sa_schedule_tuple_id: int | None = element("SAScheduleTupleID", SAID, default=None)
    meter_info: MeterInfo = element("MeterInfo")


@declare("MeteringReceiptRes")
class MeteringReceiptRes(BodyElement):
    """Whether the receipt is accepted."""

    response_code: ResponseCode = element("ResponseCode")
    evse_status: EvseStatus = element("EVSEStatus")


@declare("SessionStopReq")
class SessionStopReq(BodyElement):
    """Last request."""

    charging_session: ChargingSession = element("ChargingSession")


@declare("SessionStopRes")
class SessionStopRes(BodyElement):
    """Last answer."""

    response_code: ResponseCode = element("ResponseCode")


@declare("CertificateUpdateReq")
class CertificateUpdateReq(BodyElement):
    """A new contract certificate for an old one."""

    id: str = attribute("Id", STRING)
    contract_signature_cert_chain: CertificateChain = element("ContractSignatureCertChain")
    emaid: str = element("eMAID", EMAID)
    list_of_root_certificate_ids: ListOfRootCertificateIDs = element("ListOfRootCertificateIDs")


@declare("CertificateUpdateRes")
class CertificateUpdateRes(BodyElement):
    """The new contract certificate and its key; `retry_counter` in days, -1 never, 0 now."""

    response_code: ResponseCode = element("ResponseCode")
    sa_provisioning_certificate_chain: CertificateChain = element("SAProvisioningCertificateChain")
    contract_signature_cert_chain: CertificateChain = element("ContractSignatureCertChain")
    contract_signature_encrypted_private_key: ContractSignatureEncryptedPrivateKey = element(
        "ContractSignatureEncryptedPrivateKey"
    )
    dh_public_key: DhPublicKey = element("DHpublickey")
    emaid: Emaid = element("eMAID")
    retry_counter: int | None = element("RetryCounter", SHORT, default=None)


@declare("CertificateInstallationReq")
class CertificateInstallationReq(BodyElement):
    """A first contract certificate for the one of the car's maker."""

    id: str = attribute("Id", STRING)
    oem_provisioning_cert: bytes = element("OEMProvisioningCert", CERTIFICATE)
    list_of_root_certificate_ids: ListOfRootCertificateIDs = element("ListOfRootCertificateIDs")


@declare("CertificateInstallationRes")
class CertificateInstallationRes(BodyElement):
    """The contract certificate and its key."""

    response_code: ResponseCode = element("ResponseCode")
    sa_provisioning_certificate_chain: CertificateChain = element("SAProvisioningCertificateChain")
    contract_signature_cert_chain: CertificateChain = element("ContractSignatureCertChain")
    contract_signature_encrypted_private_key: ContractSignatureEncryptedPrivateKey = element(
        "ContractSignatureEncryptedPrivateKey"
    )
    dh_public_key: DhPublicKey = element("DHpublickey")
    emaid: Emaid = element("eMAID")


@declare("ChargingStatusReq")
class ChargingStatusReq(BodyElement):
    """AC charge loop: what is your state?"""


@declare("ChargingStatusRes")
class ChargingStatusRes(BodyElement):
    """AC charge loop: state and meter of the charger."""

    response_code: ResponseCode = element("ResponseCode")
    evse_id: str = element("EVSEID", EVSE_ID)
    sa_schedule_tuple_id: int = element("SAScheduleTupleID", SAID)
    evse_max_current: PhysicalValue | None = element("EVSEMaxCurrent", default=None)
    meter_info: MeterInfo | None = element("MeterInfo", default=None)
    receipt_required: bool | None = element("ReceiptRequired", BOOLEAN, default=None)
    ac_evse_status: AcEvseStatus = element("AC_EVSEStatus")


@declare("CableCheckReq")
class CableCheckReq(BodyElement):
    """Check the isolation."""

    dc_ev_status: DcEvStatus = element("DC_EVStatus")


@declare("CableCheckRes")
class CableCheckRes(BodyElement):
    """Result of the isolation check, or ask again."""

    response_code: ResponseCode = element("ResponseCode")
    dc_evse_status: DcEvseStatus = element("DC_EVSEStatus")
    evse_processing: EvseProcessing = element("EVSEProcessing")


@declare("PreChargeReq")
class PreChargeReq(BodyElement):
    """Bring the output to the battery's voltage."""

    dc_ev_status: DcEvStatus = element("DC_EVStatus")
    ev_target_voltage: PhysicalValue = element("EVTargetVoltage")
    ev_target_current: PhysicalValue = element("EVTargetCurrent")


@declare("PreChargeRes")
class PreChargeRes(BodyElement):
    """The output's voltage."""

    response_code: ResponseCode = element("ResponseCode")
    dc_evse_status: DcEvseStatus = element("DC_EVSEStatus")
    evse_present_voltage: PhysicalValue = element("EVSEPresentVoltage")


@declare("CurrentDemandReq")
class CurrentDemandReq(BodyElement):
    """DC charge loop: what the car wants now."""

    dc_ev_status: DcEvStatus = element("DC_EVStatus")
    ev_target_current: PhysicalValue = element("EVTargetCurrent")
    ev_maximum_voltage_limit: PhysicalValue | None = element("EVMaximumVoltageLimit", default=None)
    ev_maximum_current_limit: PhysicalValue | None = element("EVMaximumCurrentLimit", default=None)
    ev_maximum_power_limit: PhysicalValue | None = element("EVMaximumPowerLimit", default=None)
    bulk_charging_complete: bool | None = element("BulkChargingComplete", BOOLEAN, default=None)
    charging_complete: bool = element("ChargingComplete", BOOLEAN)
    remaining_time_to_full_soc: PhysicalValue | None = element(
        "RemainingTimeToFullSoC", default=None
    )
    remaining_time_to_bulk_soc: PhysicalValue | None = element(
        "RemainingTimeToBulkSoC", default=None
    )
    ev_target_voltage: PhysicalValue = element("EVTargetVoltage")


@declare("CurrentDemandRes")
class CurrentDemandRes(BodyElement):
    """DC charge loop: what the charger gives now."""

    response_code: ResponseCode = element("ResponseCode")
    dc_evse_status: DcEvseStatus = element("DC_EVSEStatus")
    evse_present_voltage: PhysicalValue = element("EVSEPresentVoltage")
    evse_present_current: PhysicalValue = element("EVSEPresentCurrent")
    evse_current_limit_achieved: bool = element("EVSECurrentLimitAchieved", BOOLEAN)
    evse_voltage_limit_achieved: bool = element("EVSEVoltageLimitAchieved", BOOLEAN)
    evse_power_limit_achieved: bool = element("EVSEPowerLimitAchieved", BOOLEAN)
    evse_maximum_voltage_limit: PhysicalValue | None = element(
        "EVSEMaximumVoltageLimit", default=None
    )
    evse_maximum_current_limit: PhysicalValue | None = element(
        "EVSEMaximumCurrentLimit", default=None
    )
    evse_maximum_power_limit: PhysicalValue | None = element("EVSEMaximumPowerLimit", default=None)
    evse_id: str = element("EVSEID", EVSE_ID)
    sa_schedule_tuple_id: int = element("SAScheduleTupleID", SAID)
    meter_info: MeterInfo | None = element("MeterInfo", default=None)
    receipt_required: bool | None = element("ReceiptRequired", BOOLEAN, default=None)


@declare("WeldingDetectionReq")
class WeldingDetectionReq(BodyElement):
    """Is the output free of voltage with the car's contactors open?"""

    dc_ev_status: DcEvStatus = element("DC_EVStatus")


@declare("WeldingDetectionRes")
class WeldingDetectionRes(BodyElement):
    """The output's voltage."""

    response_code: ResponseCode = element("ResponseCode")
    dc_evse_status: DcEvseStatus = element("DC_EVSEStatus")
    evse_present_voltage: PhysicalValue = element("EVSEPresentVoltage")


@declare("V2G_Message")
class Message(Declared):
    """A message with its header; the session id is 0 to 8 bytes, just as the charger gave it."""

    NAMESPACE = NAMESPACE

    session_id: bytes = element("SessionID", SESSION_ID, within="Header", namespace=HEADER)
    notification: Notification | None = element(
        "Notification", within="Header", namespace=HEADER, default=None
    )
    signature: xmldsig.Signature | None = element(
        "Signature", within="Header", namespace=xmldsig.NAMESPACE, default=None
    )
    body: BodyElement | None = element("BodyElement", within="Body", default=None)


CODEC: Codec[Message] = Codec(
    "iso2",
    NAMESPACE,
    roots=(Message,),
    others={DATA_TYPES: ["EVStatus"], xmldsig.NAMESPACE: xmldsig.ELEMENTS},
)


decode = CODEC.decode
decode_counting = CODEC.decode_counting
encode = CODEC.encode
to_json = CODEC.to_json
to_xml = CODEC.to_xml
from_json = CODEC.from_json
