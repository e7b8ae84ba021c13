"""DIN 70121: the 34 messages and their types, in the order and with the bounds of its schema.

    message = din.decode(payload)  # Message(session_id=b"...", body=CurrentDemandReq(...))
    payload = din.encode(din.Message(session_id=b"...", body=din.SessionStopReq()))

Names are the standard's: classes and enum members as they are written there (an enum member that
Python does not allow gets a capital letter: `None` -> `NONE`), attributes in snake case. Where the
schema has a substitution group the attribute bears the name of its head, the class tells which
member it is (`evse_status: EvseStatus` holds a `DcEvseStatus`).

What cars and chargers send beyond the schema and we still decode, but never encode: text longer
than its facet (64 NULs in a ServiceScope), SoC of 101..127 %, an empty head of a substitution group
(`SaSchedules()` where the SAScheduleList is missing), superfluous bytes after the message.
"""

from controller.v2g.exi.codec import Codec
from controller.v2g.exi.schema import (
    BOOLEAN,
    BYTE,
    INT,
    LONG,
    SHORT,
    STRING,
    UNBOUNDED,
    UNSIGNED_BYTE,
    UNSIGNED_INT,
    UNSIGNED_SHORT,
    Binary,
    Declared,
    ExiEnum,
    Integer,
    Text,
    attribute,
    declare,
    element,
)
from controller.v2g.messages import xmldsig

NAMESPACE = "urn:din:70121:2012:MsgDef"
HEADER = "urn:din:70121:2012:MsgHeader"
BODY = "urn:din:70121:2012:MsgBody"
DATA_TYPES = "urn:din:70121:2012:MsgDataTypes"
MULTIPLIER = Integer(-3, 3)
PERCENT = Integer(0, 100, accepted=127)
SESSION_ID = Binary(8)
EVSE_ID = Binary(32)
CONTRACT_ID = Text(24)
CERTIFICATE = Binary(1200, base64=True)
DH_PARAMS = Binary(256, base64=True)
PRIVATE_KEY = Binary(128, base64=True)


# ------------------------------------------------------------------------------------ enumerations


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
    FAILED_EVSEPresentVoltageToLow = "FAILED_EVSEPresentVoltageToLow"
    FAILED_MeteringSignatureNotValid = "FAILED_MeteringSignatureNotValid"
    FAILED_WrongEnergyTransferType = "FAILED_WrongEnergyTransferType"


class Unit(ExiEnum):
    """Unit of a physical value; `m` are minutes."""

    h = "h"
    m = "m"
    s = "s"
    A = "A"
    Ah = "Ah"
    V = "V"
    VA = "VA"
    W = "W"
    W_s = "W/s"
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
    """Result of the isolation monitoring."""

    Invalid = "Invalid"
    Valid = "Valid"
    Warning = "Warning"
    Fault = "Fault"


class EvseNotification(ExiEnum):
    """What the charger asks of the car."""

    NONE = "None"
    StopCharging = "StopCharging"
    ReNegotiation = "ReNegotiation"


class EvseProcessing(ExiEnum):
    """Whether the charger is done or wants to be asked again."""

    Finished = "Finished"
    Ongoing = "Ongoing"


class EvRequestedEnergyTransferType(ExiEnum):
    """Energy transfer that the car asks for."""

    AC_single_phase_core = "AC_single_phase_core"
    AC_three_phase_core = "AC_three_phase_core"
    DC_core = "DC_core"
    DC_extended = "DC_extended"
    DC_combo_core = "DC_combo_core"
    DC_unique = "DC_unique"


class EvseSupportedEnergyTransferType(ExiEnum):
    """Energy transfer that the charger offers."""

    AC_single_phase_core = "AC_single_phase_core"
    AC_three_phase_core = "AC_three_phase_core"
    DC_core = "DC_core"
    DC_extended = "DC_extended"
    DC_combo_core = "DC_combo_core"
    DC_dual = "DC_dual"
    AC_core1p_DC_extended = "AC_core1p_DC_extended"
    AC_single_DC_core = "AC_single_DC_core"
    AC_single_phase_three_phase_core_DC_extended = "AC_single_phase_three_phase_core_DC_extended"
    AC_core3p_DC_extended = "AC_core3p_DC_extended"


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


class ValueType(ExiEnum):
    """Which value a service parameter holds."""

    Bool = "bool"
    Byte = "byte"
    Short = "short"
    Int = "int"
    PhysicalValue = "physicalValue"
    String = "string"


# ---------------------------------------------------------------------------------- header, values


class DataType(Declared):
    """Base of what messages are made of."""

    __slots__ = ()
    NAMESPACE = DATA_TYPES


@declare()
class Notification(DataType):
    """Header element of a peer that could not read our message."""

    fault_code: FaultCode = element("FaultCode")
    fault_msg: str | None = element("FaultMsg", Text(64), default=None)


@declare()
class PhysicalValue(DataType):
    """`value` x 10^`multiplier` of `unit`, as on the wire; `si` is the number to reckon with."""

    multiplier: int = element("Multiplier", MULTIPLIER)
    unit: Unit | None = element("Unit", default=None)
    value: int = element("Value", SHORT)

    @property
    def si(self) -> float:
        """The amount in V, A, W, VA, W/s, Wh, Ah, or s (hours and minutes become seconds)."""
        exponent, unit = self.multiplier, self.unit
        if exponent == -1:  # what most say volts and amperes in
            amount = self.value / 10.0
        else:
            amount = self.value * 10.0**exponent if exponent >= 0 else self.value / 10.0**-exponent
        return amount * SECONDS[unit] if unit in SECONDS else amount

    @classmethod
    def from_si(cls, amount: float, unit: Unit) -> "PhysicalValue":
        """Return the value nearest to `amount` (see `si`); ValueError if none is in range."""
        amount /= SECONDS.get(unit, 1)
        for exponent in range(-3, 4):
            value = round(amount * 10.0**-exponent) if abs(amount) < 1e8 else 2**15
            if -(2**15) <= value < 2**15:
                return cls(multiplier=exponent, unit=unit, value=value)
        raise ValueError(f"{amount} {unit.value} does not fit a DIN physical value")


SECONDS: dict[Unit | None, int] = {Unit.h: 3600, Unit.m: 60}


# ------------------------------------------------------------------------------------- EV and EVSE


@declare("EVStatus", head=True, abstract=True)
class EvStatus(DataType):
    """Head of the group of EV states."""


@declare("DC_EVStatus")
class DcEvStatus(EvStatus):
    """State of a DC car; `ev_ress_soc` in percent."""

    ev_ready: bool = element("EVReady", BOOLEAN)
    ev_cabin_conditioning: bool | None = element("EVCabinConditioning", BOOLEAN, default=None)
    ev_ress_conditioning: bool | None = element("EVRESSConditioning", BOOLEAN, default=None)
    ev_error_code: DcEvErrorCode = element("EVErrorCode")
    ev_ress_soc: int = element("EVRESSSOC", PERCENT)


@declare("EVSEStatus", head=True, abstract=True)
class EvseStatus(DataType):
    """Head of the group of charger states."""


@declare("AC_EVSEStatus")
class AcEvseStatus(EvseStatus):
    """State of an AC charger; `notification_max_delay` in seconds."""

    power_switch_closed: bool = element("PowerSwitchClosed", BOOLEAN)
    rcd: bool = element("RCD", BOOLEAN)
    notification_max_delay: int = element("NotificationMaxDelay", UNSIGNED_INT)
    evse_notification: EvseNotification = element("EVSENotification")


@declare("DC_EVSEStatus")
class DcEvseStatus(EvseStatus):
    """State of a DC charger; `notification_max_delay` in seconds."""

    evse_isolation_status: IsolationLevel | None = element("EVSEIsolationStatus", default=None)
    evse_status_code: DcEvseStatusCode = element("EVSEStatusCode")
    notification_max_delay: int = element("NotificationMaxDelay", UNSIGNED_INT)
    evse_notification: EvseNotification = element("EVSENotification")


@declare("EVChargeParameter", head=True, abstract=True)
class EvChargeParameter(DataType):
    """Head of the group of what a car wants and can take."""


@declare("AC_EVChargeParameter")
class AcEvChargeParameter(EvChargeParameter):
    """What an AC car wants; `departure_time` in seconds from now."""

    departure_time: int = element("DepartureTime", UNSIGNED_INT)
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
    evse_max_voltage: PhysicalValue = element("EVSEMaxVoltage")
    evse_max_current: PhysicalValue = element("EVSEMaxCurrent")
    evse_min_current: PhysicalValue = element("EVSEMinCurrent")


@declare("DC_EVSEChargeParameter")
class DcEvseChargeParameter(EvseChargeParameter):
    """What a DC charger can give."""

    dc_evse_status: DcEvseStatus = element("DC_EVSEStatus")
    evse_maximum_current_limit: PhysicalValue = element("EVSEMaximumCurrentLimit")
    evse_maximum_power_limit: PhysicalValue | None = element("EVSEMaximumPowerLimit", default=None)
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


# ------------------------------------------------------------------------------ schedules, tariffs


@declare("TimeInterval", head=True, abstract=True)
class TimeInterval(DataType):
    """Head of the group of time intervals."""


@declare("RelativeTimeInterval")
class RelativeTimeInterval(TimeInterval):
    """Seconds from now, and their number; without one it lasts until the next entry."""

    start: int = element("start", UNSIGNED_INT)
    duration: int | None = element("duration", UNSIGNED_INT, default=None)


@declare("PMaxScheduleEntry")
class PMaxScheduleEntry(DataType):
    """Power limit in watts from the start of an interval on."""

    time_interval: TimeInterval = element("TimeInterval")
    p_max: int = element("PMax", SHORT)


@declare()
class PMaxSchedule(DataType):
    """Power limits of the charger over time."""

    p_max_schedule_id: int = element("PMaxScheduleID", SHORT)
    p_max_schedule_entry: tuple[PMaxScheduleEntry, ...] = element(
        "PMaxScheduleEntry", most=UNBOUNDED
    )


@declare()
class Cost(DataType):
    """`amount` x 10^`amount_multiplier` of one kind of cost."""

    cost_kind: CostKind = element("costKind")
    amount: int = element("amount", UNSIGNED_INT)
    amount_multiplier: int | None = element("amountMultiplier", MULTIPLIER, default=None)


@declare()
class ConsumptionCost(DataType):
    """Costs from a consumption of `start_value` on."""

    start_value: int = element("startValue", UNSIGNED_INT)
    cost: tuple[Cost, ...] = element("Cost", least=0, most=UNBOUNDED, default=())


@declare("SalesTariffEntry")
class SalesTariffEntry(DataType):
    """Price level from the start of an interval on."""

    time_interval: TimeInterval = element("TimeInterval")
    e_price_level: int = element("EPriceLevel", UNSIGNED_BYTE)
    consumption_cost: tuple[ConsumptionCost, ...] = element(
        "ConsumptionCost", least=0, most=UNBOUNDED, default=()
    )


@declare()
class SalesTariff(DataType):
    """Price levels over time."""

    id: str = attribute("Id", STRING)
    sales_tariff_id: int = element("SalesTariffID", SHORT)
    sales_tariff_description: str | None = element("SalesTariffDescription", Text(32), default=None)
    num_e_price_levels: int = element("NumEPriceLevels", UNSIGNED_BYTE)
    sales_tariff_entry: tuple[SalesTariffEntry, ...] = element("SalesTariffEntry", most=UNBOUNDED)


@declare()
class SaScheduleTuple(DataType):
    """One schedule that the car may choose."""

    sa_schedule_tuple_id: int = element("SAScheduleTupleID", SHORT)
    p_max_schedule: PMaxSchedule = element("PMaxSchedule")
    sales_tariff: SalesTariff | None = element("SalesTariff", default=None)


@declare("SASchedules", head=True, abstract=True)
class SaSchedules(DataType):
    """Head of the group of schedule lists."""


@declare("SAScheduleList")
class SaScheduleList(SaSchedules):
    """The schedules that the car may choose from."""

    sa_schedule_tuple: tuple[SaScheduleTuple, ...] = element("SAScheduleTuple", most=UNBOUNDED)


@declare()
class ProfileEntry(DataType):
    """Power in watts that the car will draw, from a number of seconds on."""

    charging_profile_entry_start: int = element("ChargingProfileEntryStart", UNSIGNED_INT)
    charging_profile_entry_max_power: int = element("ChargingProfileEntryMaxPower", SHORT)


@declare()
class ChargingProfile(DataType):
    """The schedule that the car chose, and what it will draw."""

    sa_schedule_tuple_id: int = element("SAScheduleTupleID", SHORT)
    profile_entry: tuple[ProfileEntry, ...] = element("ProfileEntry", most=UNBOUNDED)


# ------------------------------------------------------------------------ services, payment, meter


@declare()
class ServiceTag(DataType):
    """Name of a service."""

    service_id: int = element("ServiceID", UNSIGNED_SHORT)
    service_name: str | None = element("ServiceName", Text(32), default=None)
    service_category: ServiceCategory = element("ServiceCategory")
    service_scope: str | None = element("ServiceScope", Text(32), default=None)


@declare()
class Service(DataType):
    """A service and whether it is free."""

    service_tag: ServiceTag = element("ServiceTag")
    free_service: bool = element("FreeService", BOOLEAN)


@declare("ServiceCharge")
class ServiceCharge(DataType):
    """The charge service and its kind of energy transfer."""

    service_tag: ServiceTag = element("ServiceTag")
    free_service: bool = element("FreeService", BOOLEAN)
    energy_transfer_type: EvseSupportedEnergyTransferType = element("EnergyTransferType")


@declare()
class ServiceList(DataType):
    """Services besides charging."""

    service: tuple[Service, ...] = element("Service", most=UNBOUNDED)


@declare()
class SelectedService(DataType):
    """A service that the car wants."""

    service_id: int = element("ServiceID", UNSIGNED_SHORT)
    parameter_set_id: int | None = element("ParameterSetID", SHORT, default=None)


@declare()
class SelectedServiceList(DataType):
    """All services that the car wants."""

    selected_service: tuple[SelectedService, ...] = element("SelectedService", most=UNBOUNDED)


@declare()
class Parameter(DataType):
    """One parameter of a service: exactly one of its values is set."""

    name: str = attribute("Name", STRING)
    value_type: ValueType = attribute("ValueType")
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
    parameter: tuple[Parameter, ...] = element("Parameter", most=UNBOUNDED)


@declare()
class ServiceParameterList(DataType):
    """The parameter sets of a service."""

    parameter_set: tuple[ParameterSet, ...] = element("ParameterSet", most=UNBOUNDED)


@declare()
class PaymentOptions(DataType):
    """The ways to pay that the charger offers."""

    payment_option: tuple[PaymentOption, ...] = element("PaymentOption", most=UNBOUNDED)


@declare()
class MeterInfo(DataType):
    """A meter reading; `t_meter` in seconds since 1970."""

    meter_id: str = element("MeterID", Text(32))
    meter_reading: PhysicalValue | None = element("MeterReading", default=None)
    sig_meter_reading: bytes | None = element(
        "SigMeterReading", Binary(32, base64=True), default=None
    )
    meter_status: int | None = element("MeterStatus", SHORT, default=None)
    t_meter: int | None = element("TMeter", LONG, default=None)


@declare()
class SubCertificates(DataType):
    """The certificates between a leaf and its root (DER)."""

    certificate: tuple[bytes, ...] = element("Certificate", CERTIFICATE, most=UNBOUNDED)


@declare()
class CertificateChain(DataType):
    """A certificate (DER) and those above it."""

    certificate: bytes = element("Certificate", CERTIFICATE)
    sub_certificates: SubCertificates | None = element("SubCertificates", default=None)


@declare()
class ListOfRootCertificateIDs(DataType):
    """The roots that the car knows."""

    root_certificate_id: tuple[str, ...] = element("RootCertificateID", Text(40), most=UNBOUNDED)


# ---------------------------------------------------------------------------------------- messages


@declare("BodyElement", head=True, abstract=True)
class BodyElement(Declared):
    """Head of the group of all messages."""

    NAMESPACE = NAMESPACE


class MessageBody(BodyElement):
    """Base of all messages."""

    __slots__ = ()
    NAMESPACE = BODY


@declare("SessionSetupReq")
class SessionSetupReq(MessageBody):
    """First request; `evcc_id` is the car's MAC address."""

    evcc_id: bytes = element("EVCCID", Binary(8))


@declare("SessionSetupRes")
class SessionSetupRes(MessageBody):
    """Answer whose header carries the session id; `date_time_now` in seconds since 1970."""

    response_code: ResponseCode = element("ResponseCode")
    evse_id: bytes = element("EVSEID", EVSE_ID)
    date_time_now: int | None = element("DateTimeNow", LONG, default=None)


@declare("ServiceDiscoveryReq")
class ServiceDiscoveryReq(MessageBody):
    """What services are there?"""

    service_scope: str | None = element("ServiceScope", Text(32), default=None)
    service_category: ServiceCategory | None = element("ServiceCategory", default=None)


@declare("ServiceDiscoveryRes")
class ServiceDiscoveryRes(MessageBody):
    """Services and ways to pay."""

    response_code: ResponseCode = element("ResponseCode")
    payment_options: PaymentOptions = element("PaymentOptions")
    charge_service: ServiceCharge = element("ChargeService")
    service_list: ServiceList | None = element("ServiceList", default=None)


@declare("ServiceDetailReq")
class ServiceDetailReq(MessageBody):
    """What parameters has this service?"""

    service_id: int = element("ServiceID", UNSIGNED_SHORT)


@declare("ServiceDetailRes")
class ServiceDetailRes(MessageBody):
    """Parameters of a service."""

    response_code: ResponseCode = element("ResponseCode")
    service_id: int = element("ServiceID", UNSIGNED_SHORT)
    service_parameter_list: ServiceParameterList | None = element(
        "ServiceParameterList", default=None
    )


@declare("ServicePaymentSelectionReq")
class ServicePaymentSelectionReq(MessageBody):
    """The car's choice of services and payment."""

    selected_payment_option: PaymentOption = element("SelectedPaymentOption")
    selected_service_list: SelectedServiceList = element("SelectedServiceList")


@declare("ServicePaymentSelectionRes")
class ServicePaymentSelectionRes(MessageBody):
    """Whether the choice is accepted."""

    response_code: ResponseCode = element("ResponseCode")


@declare("PaymentDetailsReq")
class PaymentDetailsReq(MessageBody):
    """The contract that pays."""

    contract_id: str = element("ContractID", CONTRACT_ID)
    contract_signature_cert_chain: CertificateChain = element("ContractSignatureCertChain")


@declare("PaymentDetailsRes")
class PaymentDetailsRes(MessageBody):
    """A challenge for the contract; `date_time_now` in seconds since 1970."""

    response_code: ResponseCode = element("ResponseCode")
    gen_challenge: str = element("GenChallenge", STRING)
    date_time_now: int = element("DateTimeNow", LONG)


@declare("ContractAuthenticationReq")
class ContractAuthenticationReq(MessageBody):
    """May I charge?"""

    id: str | None = attribute("Id", STRING, default=None)
    gen_challenge: str | None = element("GenChallenge", STRING, default=None)


@declare("ContractAuthenticationRes")
class ContractAuthenticationRes(MessageBody):
    """Whether the car may charge, or the customer has still to be authorised."""

    response_code: ResponseCode = element("ResponseCode")
    evse_processing: EvseProcessing = element("EVSEProcessing")


@declare("ChargeParameterDiscoveryReq")
class ChargeParameterDiscoveryReq(MessageBody):
    """What the car wants and can take."""

    ev_requested_energy_transfer_type: EvRequestedEnergyTransferType = element(
        "EVRequestedEnergyTransferType"
    )
    ev_charge_parameter: EvChargeParameter = element("EVChargeParameter")


@declare("ChargeParameterDiscoveryRes")
class ChargeParameterDiscoveryRes(MessageBody):
    """What the charger can give, and when."""

    response_code: ResponseCode = element("ResponseCode")
    evse_processing: EvseProcessing = element("EVSEProcessing")
    sa_schedules: SaSchedules = element("SASchedules")
    evse_charge_parameter: EvseChargeParameter = element("EVSEChargeParameter")


@declare("PowerDeliveryReq")
class PowerDeliveryReq(MessageBody):
    """Power on or off."""

    ready_to_charge_state: bool = element("ReadyToChargeState", BOOLEAN)
    charging_profile: ChargingProfile | None = element("ChargingProfile", default=None)
    ev_power_delivery_parameter: EvPowerDeliveryParameter | None = element(
        "EVPowerDeliveryParameter", default=None
    )


@declare("PowerDeliveryRes")
class PowerDeliveryRes(MessageBody):
    """Whether power is on or off."""

    response_code: ResponseCode = element("ResponseCode")
    evse_status: EvseStatus = element("EVSEStatus")


@declare("ChargingStatusReq")
class ChargingStatusReq(MessageBody):
    """AC charge loop: what is your state?"""


@declare("ChargingStatusRes")
class ChargingStatusRes(MessageBody):
    """AC charge loop: state and meter of the charger."""

    response_code: ResponseCode = element("ResponseCode")
    evse_id: bytes = element("EVSEID", EVSE_ID)
    sa_schedule_tuple_id: int = element("SAScheduleTupleID", SHORT)
    evse_max_current: PhysicalValue | None = element("EVSEMaxCurrent", default=None)
    meter_info: MeterInfo | None = element("MeterInfo", default=None)
    receipt_required: bool = element("ReceiptRequired", BOOLEAN)
    ac_evse_status: AcEvseStatus = element("AC_EVSEStatus")


@declare("MeteringReceiptReq")
class MeteringReceiptReq(MessageBody):
    """A meter reading that the car signs."""

    id: str | None = attribute("Id", STRING, default=None)
    session_id: bytes = element("SessionID", SESSION_ID)
    sa_schedule_tuple_id: int | None = element("SAScheduleTupleID", SHORT, default=None)
    meter_info: MeterInfo = element("MeterInfo")


@declare("MeteringReceiptRes")
class MeteringReceiptRes(MessageBody):
    """Whether the receipt is accepted."""

    response_code: ResponseCode = element("ResponseCode")
    ac_evse_status: AcEvseStatus = element("AC_EVSEStatus")


@declare("SessionStopReq")
class SessionStopReq(MessageBody):
    """Last request."""


@declare("SessionStopRes")
class SessionStopRes(MessageBody):
    """Last answer."""

    response_code: ResponseCode = element("ResponseCode")


@declare("CertificateUpdateReq")
class CertificateUpdateReq(MessageBody):
    """A new contract certificate for an old one."""

    id: str | None = attribute("Id", STRING, default=None)
    contract_signature_cert_chain: CertificateChain = element("ContractSignatureCertChain")
    contract_id: str = element("ContractID", CONTRACT_ID)
    list_of_root_certificate_ids: ListOfRootCertificateIDs = element("ListOfRootCertificateIDs")
    dh_params: bytes = element("DHParams", DH_PARAMS)


@declare("CertificateUpdateRes")
class CertificateUpdateRes(MessageBody):
    """The new contract certificate and its key; `retry_counter` in days, -1 never, 0 now."""

    id: str = attribute("Id", STRING)
    response_code: ResponseCode = element("ResponseCode")
    contract_signature_cert_chain: CertificateChain = element("ContractSignatureCertChain")
    contract_signature_encrypted_private_key: bytes = element(
        "ContractSignatureEncryptedPrivateKey", PRIVATE_KEY
    )
    dh_params: bytes = element("DHParams", DH_PARAMS)
    contract_id: str = element("ContractID", CONTRACT_ID)
    retry_counter: int = element("RetryCounter", SHORT)


@declare("CertificateInstallationReq")
class CertificateInstallationReq(MessageBody):
    """A first contract certificate for the one of the car's maker."""

    id: str | None = attribute("Id", STRING, default=None)
    oem_provisioning_cert: bytes = element("OEMProvisioningCert", CERTIFICATE)
    list_of_root_certificate_ids: ListOfRootCertificateIDs = element("ListOfRootCertificateIDs")
    dh_params: bytes = element("DHParams", DH_PARAMS)


@declare("CertificateInstallationRes")
class CertificateInstallationRes(MessageBody):
    """The contract certificate and its key."""

    id: str = attribute("Id", STRING)
    response_code: ResponseCode = element("ResponseCode")
    contract_signature_cert_chain: CertificateChain = element("ContractSignatureCertChain")
    contract_signature_encrypted_private_key: bytes = element(
        "ContractSignatureEncryptedPrivateKey", PRIVATE_KEY
    )
    dh_params: bytes = element("DHParams", DH_PARAMS)
    contract_id: str = element("ContractID", CONTRACT_ID)


@declare("CableCheckReq")
class CableCheckReq(MessageBody):
    """Check the isolation."""

    dc_ev_status: DcEvStatus = element("DC_EVStatus")


@declare("CableCheckRes")
class CableCheckRes(MessageBody):
    """Result of the isolation check, or ask again."""

    response_code: ResponseCode = element("ResponseCode")
    dc_evse_status: DcEvseStatus = element("DC_EVSEStatus")
    evse_processing: EvseProcessing = element("EVSEProcessing")


@declare("PreChargeReq")
class PreChargeReq(MessageBody):
    """Bring the output to the battery's voltage."""

    dc_ev_status: DcEvStatus = element("DC_EVStatus")
    ev_target_voltage: PhysicalValue = element("EVTargetVoltage")
    ev_target_current: PhysicalValue = element("EVTargetCurrent")


@declare("PreChargeRes")
class PreChargeRes(MessageBody):
    """The output's voltage."""

    response_code: ResponseCode = element("ResponseCode")
    dc_evse_status: DcEvseStatus = element("DC_EVSEStatus")
    evse_present_voltage: PhysicalValue = element("EVSEPresentVoltage")


@declare("CurrentDemandReq")
class CurrentDemandReq(MessageBody):
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
class CurrentDemandRes(MessageBody):
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


@declare("WeldingDetectionReq")
class WeldingDetectionReq(MessageBody):
    """Is the output free of voltage with the car's contactors open?"""

    dc_ev_status: DcEvStatus = element("DC_EVStatus")


@declare("WeldingDetectionRes")
class WeldingDetectionRes(MessageBody):
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


# "Entry" heads the schema's group of schedule entries, which nothing refers to.
CODEC: Codec[Message] = Codec(
    "din",
    NAMESPACE,
    roots=(Message,),
    others={DATA_TYPES: ["Entry"], xmldsig.NAMESPACE: xmldsig.ELEMENTS},
)


decode = CODEC.decode
decode_counting = CODEC.decode_counting
encode = CODEC.encode
to_json = CODEC.to_json
to_xml = CODEC.to_xml
from_json = CODEC.from_json
