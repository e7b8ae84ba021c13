"""ISO 15118-20 CommonMessages: what all kinds of energy transfer say, V2GTP payload type 0x8002.

    message = iso20_common.decode(payload)  # SessionSetupReq(header=..., evcc_id="WMI...")
    payload = iso20_common.encode(message)

For names and shared types see `iso20_types`. Signed elements are `PncAReqAuthorizationMode`,
`SignedCertificateChain`, `SignedInstallationData`, `SignedMeteringData` and
`AbsolutePriceSchedule`: their EXI fragments are made by `CODEC.encode_fragment`.
"""

from controller.v2g.exi.codec import Codec
from controller.v2g.exi.schema import (
    BOOLEAN,
    BYTE,
    INT,
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
)
from controller.v2g.messages.iso20_types import (
    ALL,
    DESCRIPTION,
    IDENTIFIER,
    NAME,
    NUMERIC_ID,
    OTHERS,
    PERCENT,
    SESSION_ID,
    EvseStatus,
    ListOfRootCertificateIds,
    MeterInfo,
    Processing,
    RationalNumber,
    Receipt,
    V2gMessage,
    V2gRequest,
    V2gResponse,
    messages_of,
)

NAMESPACE = "urn:iso:std:iso:15118:-20:CommonMessages"
CERTIFICATE = Binary(1600, base64=True)
GEN_CHALLENGE = Binary(16, base64=True, least=16)


class CommonElement(Declared):
    """Base of all classes of this namespace."""

    __slots__ = ()
    NAMESPACE = NAMESPACE
    ATTRIBUTES_QUALIFIED = True


# ------------------------------------------------------------------------------------- enumerations


class Authorization(ExiEnum):
    """Who pays: something outside of the car, or a contract in it."""

    EIM = "EIM"
    PnC = "PnC"


class ChargeProgress(ExiEnum):
    """What the car wants to do about power."""

    Start = "Start"
    Stop = "Stop"
    Standby = "Standby"
    ScheduleRenegotiation = "ScheduleRenegotiation"


class ChannelSelection(ExiEnum):
    """Direction of the energy."""

    Charge = "Charge"
    Discharge = "Discharge"


class EcdhCurve(ExiEnum):
    """Curve of the key exchange that protects a new private key."""

    SECP521 = "SECP521"
    X448 = "X448"


class ChargingSession(ExiEnum):
    """How the session goes on."""

    Pause = "Pause"
    Terminate = "Terminate"
    ServiceRenegotiation = "ServiceRenegotiation"


class EvCheckInStatus(ExiEnum):
    """How far the car is with arriving."""

    CheckIn = "CheckIn"
    Processing = "Processing"
    Completed = "Completed"


class EvCheckOutStatus(ExiEnum):
    """How far the car is with leaving."""

    CheckOut = "CheckOut"
    Processing = "Processing"
    Completed = "Completed"


class EvseCheckOutStatus(ExiEnum):
    """How far the charger is with letting the car go."""

    Scheduled = "Scheduled"
    Completed = "Completed"


class ParkingMethod(ExiEnum):
    """Who parks the car."""

    AutoParking = "AutoParking"
    MVGuideManual = "MVGuideManual"
    Manual = "Manual"


class PowerToleranceAcceptance(ExiEnum):
    """Whether the car keeps to the tolerance that the charger asks for."""

    PowerToleranceNotConfirmed = "PowerToleranceNotConfirmed"
    PowerToleranceConfirmed = "PowerToleranceConfirmed"


# -------------------------------------------------------------------------------------------- types


@declare()
class SupportedProvidersList(CommonElement):
    """The mobility providers whose contracts the charger takes."""

    provider_id: tuple[str, ...] = element("ProviderID", NAME, most=128)


@declare()
class PncAsResAuthorizationMode(CommonElement):
    """Plug and Charge is offered: the challenge that the car signs."""

    gen_challenge: bytes = element("GenChallenge", GEN_CHALLENGE)
    supported_providers: SupportedProvidersList | None = element("SupportedProviders", default=None)


@declare()
class EimAsResAuthorizationMode(CommonElement):
    """Authorisation from outside is offered."""


@declare()
class SubCertificates(CommonElement):
    """The certificates between a leaf and its root (DER)."""

    certificate: tuple[bytes, ...] = element("Certificate", CERTIFICATE, most=3)


@declare()
class ContractCertificateChain(CommonElement):
    """A contract certificate (DER) and those above it."""

    certificate: bytes = element("Certificate", CERTIFICATE)
    sub_certificates: SubCertificates = element("SubCertificates")


@declare()
class PncAReqAuthorizationMode(CommonElement):
    """The challenge and the contract, as the car signs them."""

    id: str = attribute("Id", STRING)
    gen_challenge: bytes = element("GenChallenge", GEN_CHALLENGE)
    contract_certificate_chain: ContractCertificateChain = element("ContractCertificateChain")


@declare()
class EimAReqAuthorizationMode(CommonElement):
    """Authorisation from outside is chosen."""


@declare()
class ServiceIdList(CommonElement):
    """Numbers of services."""

    service_id: tuple[int, ...] = element("ServiceID", UNSIGNED_SHORT, most=16)


@declare()
class Service(CommonElement):
    """A service and whether it is free."""

    service_id: int = element("ServiceID", UNSIGNED_SHORT)
    free_service: bool = element("FreeService", BOOLEAN)


@declare()
class ServiceList(CommonElement):
    """Services that the charger offers."""

    service: tuple[Service, ...] = element("Service", most=8)


@declare()
class SelectedService(CommonElement):
    """A service and the set of its parameters that the car wants."""

    service_id: int = element("ServiceID", UNSIGNED_SHORT)
    parameter_set_id: int = element("ParameterSetID", UNSIGNED_SHORT)


@declare()
class SelectedServiceList(CommonElement):
    """Services besides charging that the car wants."""

    selected_service: tuple[SelectedService, ...] = element("SelectedService", most=16)


@declare()
class Parameter(CommonElement):
    """One parameter of a service: exactly one of its values is set."""

    name: str = attribute("Name", NAME)
    bool_value: bool | None = element("boolValue", BOOLEAN, choice="value", default=None)
    byte_value: int | None = element("byteValue", BYTE, choice="value", default=None)
    short_value: int | None = element("shortValue", SHORT, choice="value", default=None)
    int_value: int | None = element("intValue", INT, choice="value", default=None)
    rational_number: RationalNumber | None = element("rationalNumber", choice="value", default=None)
    finite_string: str | None = element("finiteString", NAME, choice="value", default=None)


@declare()
class ParameterSet(CommonElement):
    """A set of parameters that the car may choose."""

    parameter_set_id: int = element("ParameterSetID", UNSIGNED_SHORT)
    parameter: tuple[Parameter, ...] = element("Parameter", most=32)


@declare()
class ServiceParameterList(CommonElement):
    """The parameter sets of a service."""

    parameter_set: tuple[ParameterSet, ...] = element("ParameterSet", most=32)


@declare()
class PowerScheduleEntry(CommonElement):
    """Power in W, of the first or all phases, for `duration` seconds."""

    duration: int = element("Duration", UNSIGNED_INT)
    power: RationalNumber = element("Power")
    power_l2: RationalNumber | None = element("Power_L2", default=None)
    power_l3: RationalNumber | None = element("Power_L3", default=None)


@declare()
class PowerScheduleEntryList(CommonElement):
    """Power over time, entry after entry."""

    power_schedule_entry: tuple[PowerScheduleEntry, ...] = element("PowerScheduleEntry", most=1024)


@declare()
class PowerSchedule(CommonElement):
    """Power over time from `time_anchor` (seconds since 1970) on; energy in Wh."""

    time_anchor: int = element("TimeAnchor", UNSIGNED_LONG)
    available_energy: RationalNumber | None = element("AvailableEnergy", default=None)
    power_tolerance: RationalNumber | None = element("PowerTolerance", default=None)
    power_schedule_entries: PowerScheduleEntryList = element("PowerScheduleEntries")


@declare()
class PriceSchedule(CommonElement):
    """Base of prices over time from `time_anchor` (seconds since 1970) on."""

    time_anchor: int = element("TimeAnchor", UNSIGNED_LONG)
    price_schedule_id: int = element("PriceScheduleID", NUMERIC_ID)
    price_schedule_description: str | None = element(
        "PriceScheduleDescription", DESCRIPTION, default=None
    )


@declare()
class TaxRule(CommonElement):
    """A tax in percent and what it applies to."""

    tax_rule_id: int = element("TaxRuleID", NUMERIC_ID)
    tax_rule_name: str | None = element("TaxRuleName", NAME, default=None)
    tax_rate: RationalNumber = element("TaxRate")
    tax_included_in_price: bool | None = element("TaxIncludedInPrice", BOOLEAN, default=None)
    applies_to_energy_fee: bool = element("AppliesToEnergyFee", BOOLEAN)
    applies_to_parking_fee: bool = element("AppliesToParkingFee", BOOLEAN)
    applies_to_overstay_fee: bool = element("AppliesToOverstayFee", BOOLEAN)
    applies_minimum_maximum_cost: bool = element("AppliesMinimumMaximumCost", BOOLEAN)


@declare()
class TaxRuleList(CommonElement):
    """All taxes."""

    tax_rule: tuple[TaxRule, ...] = element("TaxRule", most=10)


@declare()
class PriceRule(CommonElement):
    """Prices of energy (per kWh) and parking above a power in W; CO2 in g/kWh."""

    energy_fee: RationalNumber = element("EnergyFee")
    parking_fee: RationalNumber | None = element("ParkingFee", default=None)
    parking_fee_period: int | None = element("ParkingFeePeriod", UNSIGNED_INT, default=None)
    carbon_dioxide_emission: int | None = element(
        "CarbonDioxideEmission", UNSIGNED_SHORT, default=None
    )
    renewable_generation_percentage: int | None = element(
        "RenewableGenerationPercentage", UNSIGNED_BYTE, default=None
    )
    power_range_start: RationalNumber = element("PowerRangeStart")


@declare()
class PriceRuleStack(CommonElement):
    """Prices by power, for `duration` seconds."""

    duration: int = element("Duration", UNSIGNED_INT)
    price_rule: tuple[PriceRule, ...] = element("PriceRule", most=8)


@declare()
class PriceRuleStackList(CommonElement):
    """Prices over time."""

    price_rule_stack: tuple[PriceRuleStack, ...] = element("PriceRuleStack", most=1024)


@declare()
class OverstayRule(CommonElement):
    """A fee for staying, from `start_time` seconds on, every `overstay_fee_period` seconds."""

    overstay_rule_description: str | None = element(
        "OverstayRuleDescription", DESCRIPTION, default=None
    )
    start_time: int = element("StartTime", UNSIGNED_INT)
    overstay_fee: RationalNumber = element("OverstayFee")
    overstay_fee_period: int = element("OverstayFeePeriod", UNSIGNED_INT)


@declare()
class OverstayRuleList(CommonElement):
    """When staying costs, and how much."""

    overstay_time_threshold: int | None = element(
        "OverstayTimeThreshold", UNSIGNED_INT, default=None
    )
    overstay_power_threshold: RationalNumber | None = element(
        "OverstayPowerThreshold", default=None
    )
    overstay_rule: tuple[OverstayRule, ...] = element("OverstayRule", most=5)


@declare()
class AdditionalService(CommonElement):
    """A further service and its fee."""

    service_name: str = element("ServiceName", NAME)
    service_fee: RationalNumber = element("ServiceFee")


@declare()
class AdditionalServiceList(CommonElement):
    """Fees of further services."""

    additional_service: tuple[AdditionalService, ...] = element("AdditionalService", most=5)


@declare()
class AbsolutePriceSchedule(PriceSchedule):
    """Prices in money over time."""

    id: str | None = attribute("Id", STRING, default=None)
    currency: str = element("Currency", Text(3))
    language: str = element("Language", Text(3))
    price_algorithm: str = element("PriceAlgorithm", IDENTIFIER)
    minimum_cost: RationalNumber | None = element("MinimumCost", default=None)
    maximum_cost: RationalNumber | None = element("MaximumCost", default=None)
    tax_rules: TaxRuleList | None = element("TaxRules", default=None)
    price_rule_stacks: PriceRuleStackList = element("PriceRuleStacks")
    overstay_rules: OverstayRuleList | None = element("OverstayRules", default=None)
    additional_selected_services: AdditionalServiceList | None = element(
        "AdditionalSelectedServices", default=None
    )


@declare()
class PriceLevelScheduleEntry(CommonElement):
    """A price level, for `duration` seconds."""

    duration: int = element("Duration", UNSIGNED_INT)
    price_level: int = element("PriceLevel", UNSIGNED_BYTE)


@declare()
class PriceLevelScheduleEntryList(CommonElement):
    """Price levels, entry after entry."""

    price_level_schedule_entry: tuple[PriceLevelScheduleEntry, ...] = element(
        "PriceLevelScheduleEntry", most=1024
    )


@declare()
class PriceLevelSchedule(PriceSchedule):
    """Price levels over time; 0 is the lowest."""

    id: str | None = attribute("Id", STRING, default=None)
    number_of_price_levels: int = element("NumberOfPriceLevels", UNSIGNED_BYTE)
    price_level_schedule_entries: PriceLevelScheduleEntryList = element("PriceLevelScheduleEntries")


@declare()
class ChargingSchedule(CommonElement):
    """Power over time, and what it costs."""

    power_schedule: PowerSchedule = element("PowerSchedule")
    absolute_price_schedule: AbsolutePriceSchedule | None = element(
        "AbsolutePriceSchedule", choice="price_schedule", least=0, default=None
    )
    price_level_schedule: PriceLevelSchedule | None = element(
        "PriceLevelSchedule", choice="price_schedule", least=0, default=None
    )


@declare()
class ScheduleTuple(CommonElement):
    """One schedule that the car may choose."""

    schedule_tuple_id: int = element("ScheduleTupleID", NUMERIC_ID)
    charging_schedule: ChargingSchedule = element("ChargingSchedule")
    discharging_schedule: ChargingSchedule | None = element("DischargingSchedule", default=None)


@declare()
class EvPowerScheduleEntry(CommonElement):
    """Power in W that the car would give, for `duration` seconds."""

    duration: int = element("Duration", UNSIGNED_INT)
    power: RationalNumber = element("Power")


@declare()
class EvPowerScheduleEntryList(CommonElement):
    """Power that the car would give, entry after entry."""

    ev_power_schedule_entry: tuple[EvPowerScheduleEntry, ...] = element(
        "EVPowerScheduleEntry", most=1024
    )


@declare()
class EvPowerSchedule(CommonElement):
    """Power that the car would give, from `time_anchor` (seconds since 1970) on."""

    time_anchor: int = element("TimeAnchor", UNSIGNED_LONG)
    ev_power_schedule_entries: EvPowerScheduleEntryList = element("EVPowerScheduleEntries")


@declare()
class EvPriceRule(CommonElement):
    """What the car wants for its energy (per kWh) above a power in W."""

    energy_fee: RationalNumber = element("EnergyFee")
    power_range_start: RationalNumber = element("PowerRangeStart")


@declare()
class EvPriceRuleStack(CommonElement):
    """What the car wants by power, for `duration` seconds."""

    duration: int = element("Duration", UNSIGNED_INT)
    ev_price_rule: tuple[EvPriceRule, ...] = element("EVPriceRule", most=8)


@declare()
class EvPriceRuleStackList(CommonElement):
    """What the car wants over time."""

    ev_price_rule_stack: tuple[EvPriceRuleStack, ...] = element("EVPriceRuleStack", most=1024)


@declare()
class EvAbsolutePriceSchedule(CommonElement):
    """What the car wants for its energy, in money over time."""

    time_anchor: int = element("TimeAnchor", UNSIGNED_LONG)
    currency: str = element("Currency", Text(3))
    price_algorithm: str = element("PriceAlgorithm", IDENTIFIER)
    ev_price_rule_stacks: EvPriceRuleStackList = element("EVPriceRuleStacks")


@declare()
class EvEnergyOffer(CommonElement):
    """Energy that the car offers, and its price."""

    ev_power_schedule: EvPowerSchedule = element("EVPowerSchedule")
    ev_absolute_price_schedule: EvAbsolutePriceSchedule = element("EVAbsolutePriceSchedule")


@declare()
class ScheduledSeReqControlMode(CommonElement):
    """The car plans: energy in Wh, `departure_time` in seconds from now."""

    departure_time: int | None = element("DepartureTime", UNSIGNED_INT, default=None)
    ev_target_energy_request: RationalNumber | None = element("EVTargetEnergyRequest", default=None)
    ev_maximum_energy_request: RationalNumber | None = element(
        "EVMaximumEnergyRequest", default=None
    )
    ev_minimum_energy_request: RationalNumber | None = element(
        "EVMinimumEnergyRequest", default=None
    )
    ev_energy_offer: EvEnergyOffer | None = element("EVEnergyOffer", default=None)


@declare()
class ScheduledSeResControlMode(CommonElement):
    """The schedules that the car may choose from."""

    schedule_tuple: tuple[ScheduleTuple, ...] = element("ScheduleTuple", most=3)


@declare()
class DynamicSeReqControlMode(CommonElement):
    """The charger plans: energy in Wh, `departure_time` in seconds from now."""

    departure_time: int = element("DepartureTime", UNSIGNED_INT)
    minimum_soc: int | None = element("MinimumSOC", PERCENT, default=None)
    target_soc: int | None = element("TargetSOC", PERCENT, default=None)
    ev_target_energy_request: RationalNumber = element("EVTargetEnergyRequest")
    ev_maximum_energy_request: RationalNumber = element("EVMaximumEnergyRequest")
    ev_minimum_energy_request: RationalNumber = element("EVMinimumEnergyRequest")
    ev_maximum_v2x_energy_request: RationalNumber | None = element(
        "EVMaximumV2XEnergyRequest", default=None
    )
    ev_minimum_v2x_energy_request: RationalNumber | None = element(
        "EVMinimumV2XEnergyRequest", default=None
    )


@declare()
class DynamicSeResControlMode(CommonElement):
    """What the charger aims at, and what it costs."""

    departure_time: int | None = element("DepartureTime", UNSIGNED_INT, default=None)
    minimum_soc: int | None = element("MinimumSOC", PERCENT, default=None)
    target_soc: int | None = element("TargetSOC", PERCENT, default=None)
    absolute_price_schedule: AbsolutePriceSchedule | None = element(
        "AbsolutePriceSchedule", choice="price_schedule", least=0, default=None
    )
    price_level_schedule: PriceLevelSchedule | None = element(
        "PriceLevelSchedule", choice="price_schedule", least=0, default=None
    )


@declare("SignedInstallationData")
class SignedInstallationData(CommonElement):
    """A new contract certificate and its encrypted key, as its provider signs them."""

    id: str = attribute("Id", STRING)
    contract_certificate_chain: ContractCertificateChain = element("ContractCertificateChain")
    ecdh_curve: EcdhCurve = element("ECDHCurve")
    dh_public_key: bytes = element("DHPublicKey", Binary(133, base64=True, least=133))
    secp521_encrypted_private_key: bytes | None = element(
        "SECP521_EncryptedPrivateKey",
        Binary(94, base64=True, least=94),
        choice="private_key",
        default=None,
    )
    x448_encrypted_private_key: bytes | None = element(
        "X448_EncryptedPrivateKey",
        Binary(84, base64=True, least=84),
        choice="private_key",
        default=None,
    )
    tpm_encrypted_private_key: bytes | None = element(
        "TPM_EncryptedPrivateKey",
        Binary(206, base64=True, least=206),
        choice="private_key",
        default=None,
    )


@declare()
class DynamicSmdtControlMode(CommonElement):
    """The charger plans."""


@declare()
class ScheduledSmdtControlMode(CommonElement):
    """The car plans, by this schedule."""

    selected_schedule_tuple_id: int = element("SelectedScheduleTupleID", NUMERIC_ID)


@declare("SignedMeteringData")
class SignedMeteringData(CommonElement):
    """Meter reading and costs, as the car signs them."""

    id: str = attribute("Id", STRING)
    session_id: bytes = element("SessionID", SESSION_ID)
    meter_info: MeterInfo = element("MeterInfo")
    receipt: Receipt | None = element("Receipt", default=None)
    dynamic_smdt_control_mode: DynamicSmdtControlMode | None = element(
        "Dynamic_SMDTControlMode", choice="control_mode", default=None
    )
    scheduled_smdt_control_mode: ScheduledSmdtControlMode | None = element(
        "Scheduled_SMDTControlMode", choice="control_mode", default=None
    )


@declare()
class TargetPosition(CommonElement):
    """Where the car is to stand; no message carries it."""

    target_offset_x: int = element("TargetOffsetX", UNSIGNED_SHORT)
    target_offset_y: int = element("TargetOffsetY", UNSIGNED_SHORT)


@declare()
class EvPowerProfileEntryList(CommonElement):
    """Power that the car will draw, entry after entry."""

    ev_power_profile_entry: tuple[PowerScheduleEntry, ...] = element(
        "EVPowerProfileEntry", most=2048
    )


@declare()
class DynamicEvpptControlMode(CommonElement):
    """The charger plans."""


@declare()
class ScheduledEvpptControlMode(CommonElement):
    """The car plans: the schedule that it chose."""

    selected_schedule_tuple_id: int = element("SelectedScheduleTupleID", NUMERIC_ID)
    power_tolerance_acceptance: PowerToleranceAcceptance | None = element(
        "PowerToleranceAcceptance", default=None
    )


@declare()
class EvPowerProfile(CommonElement):
    """Power that the car will draw from `time_anchor` (seconds since 1970) on."""

    time_anchor: int = element("TimeAnchor", UNSIGNED_LONG)
    dynamic_evppt_control_mode: DynamicEvpptControlMode | None = element(
        "Dynamic_EVPPTControlMode", choice="control_mode", default=None
    )
    scheduled_evppt_control_mode: ScheduledEvpptControlMode | None = element(
        "Scheduled_EVPPTControlMode", choice="control_mode", default=None
    )
    ev_power_profile_entries: EvPowerProfileEntryList = element("EVPowerProfileEntries")


@declare()
class EmaidList(CommonElement):
    """Contracts, the most wanted first."""

    emaid: tuple[str, ...] = element("EMAID", IDENTIFIER, most=8)


@declare()
class CertificateChain(CommonElement):
    """A certificate (DER) and those above it."""

    certificate: bytes = element("Certificate", CERTIFICATE)
    sub_certificates: SubCertificates | None = element("SubCertificates", default=None)


@declare()
class SignedCertificateChain(CommonElement):
    """The certificate of the car's maker and those above it, as the car signs them."""

    id: str = attribute("Id", STRING)
    certificate: bytes = element("Certificate", CERTIFICATE)
    sub_certificates: SubCertificates | None = element("SubCertificates", default=None)


# ----------------------------------------------------------------------------------------- messages


@declare("SessionSetupReq")
class SessionSetupReq(CommonElement, V2gRequest):
    """First request; `evcc_id` names the car."""

    evcc_id: str = element("EVCCID", IDENTIFIER)


@declare("SessionSetupRes")
class SessionSetupRes(CommonElement, V2gResponse):
    """Answer whose header carries the session id."""

    evse_id: str = element("EVSEID", IDENTIFIER)


@declare("AuthorizationSetupReq")
class AuthorizationSetupReq(CommonElement, V2gRequest):
    """Who may pay?"""


@declare("AuthorizationSetupRes")
class AuthorizationSetupRes(CommonElement, V2gResponse):
    """The ways to authorise, and whether contract certificates can be had."""

    authorization_services: tuple[Authorization, ...] = element("AuthorizationServices", most=2)
    certificate_installation_service: bool = element("CertificateInstallationService", BOOLEAN)
    eim_as_res_authorization_mode: EimAsResAuthorizationMode | None = element(
        "EIM_ASResAuthorizationMode", choice="authorization_mode", default=None
    )
    pnc_as_res_authorization_mode: PncAsResAuthorizationMode | None = element(
        "PnC_ASResAuthorizationMode", choice="authorization_mode", default=None
    )


@declare("AuthorizationReq")
class AuthorizationReq(CommonElement, V2gRequest):
    """May I charge?"""

    selected_authorization_service: Authorization = element("SelectedAuthorizationService")
    eim_a_req_authorization_mode: EimAReqAuthorizationMode | None = element(
        "EIM_AReqAuthorizationMode", choice="authorization_mode", default=None
    )
    pnc_a_req_authorization_mode: PncAReqAuthorizationMode | None = element(
        "PnC_AReqAuthorizationMode", choice="authorization_mode", default=None
    )


@declare("AuthorizationRes")
class AuthorizationRes(CommonElement, V2gResponse):
    """Whether the car may charge, or the customer has still to be authorised."""

    evse_processing: Processing = element("EVSEProcessing")


@declare("ServiceDiscoveryReq")
class ServiceDiscoveryReq(CommonElement, V2gRequest):
    """What services are there, among these?"""

    supported_service_ids: ServiceIdList | None = element("SupportedServiceIDs", default=None)


@declare("ServiceDiscoveryRes")
class ServiceDiscoveryRes(CommonElement, V2gResponse):
    """Ways to transfer energy, and value added services."""

    service_renegotiation_supported: bool = element("ServiceRenegotiationSupported", BOOLEAN)
    energy_transfer_service_list: ServiceList = element("EnergyTransferServiceList")
    vas_list: ServiceList | None = element("VASList", default=None)


@declare("ServiceDetailReq")
class ServiceDetailReq(CommonElement, V2gRequest):
    """What parameters has this service?"""

    service_id: int = element("ServiceID", UNSIGNED_SHORT)


@declare("ServiceDetailRes")
class ServiceDetailRes(CommonElement, V2gResponse):
    """Parameters of a service."""

    service_id: int = element("ServiceID", UNSIGNED_SHORT)
    service_parameter_list: ServiceParameterList = element("ServiceParameterList")


@declare("ServiceSelectionReq")
class ServiceSelectionReq(CommonElement, V2gRequest):
    """The car's choice of services."""

    selected_energy_transfer_service: SelectedService = element("SelectedEnergyTransferService")
    selected_vas_list: SelectedServiceList | None = element("SelectedVASList", default=None)


@declare("ServiceSelectionRes")
class ServiceSelectionRes(CommonElement, V2gResponse):
    """Whether the choice is accepted."""


@declare("ScheduleExchangeReq")
class ScheduleExchangeReq(CommonElement, V2gRequest):
    """What the car needs, and how many entries a schedule may have."""

    maximum_supporting_points: int = element("MaximumSupportingPoints", Integer(12, 1024))
    dynamic_se_req_control_mode: DynamicSeReqControlMode | None = element(
        "Dynamic_SEReqControlMode", choice="control_mode", default=None
    )
    scheduled_se_req_control_mode: ScheduledSeReqControlMode | None = element(
        "Scheduled_SEReqControlMode", choice="control_mode", default=None
    )


@declare("ScheduleExchangeRes")
class ScheduleExchangeRes(CommonElement, V2gResponse):
    """What the charger can give over time, or ask again."""

    evse_processing: Processing = element("EVSEProcessing")
    go_to_pause: bool | None = element("GoToPause", BOOLEAN, default=None)
    dynamic_se_res_control_mode: DynamicSeResControlMode | None = element(
        "Dynamic_SEResControlMode", choice="control_mode", default=None
    )
    scheduled_se_res_control_mode: ScheduledSeResControlMode | None = element(
        "Scheduled_SEResControlMode", choice="control_mode", default=None
    )


@declare("PowerDeliveryReq")
class PowerDeliveryReq(CommonElement, V2gRequest):
    """Power on or off."""

    ev_processing: Processing = element("EVProcessing")
    charge_progress: ChargeProgress = element("ChargeProgress")
    ev_power_profile: EvPowerProfile | None = element("EVPowerProfile", default=None)
    bpt_channel_selection: ChannelSelection | None = element("BPT_ChannelSelection", default=None)


@declare("PowerDeliveryRes")
class PowerDeliveryRes(CommonElement, V2gResponse):
    """Whether power is on or off."""

    evse_status: EvseStatus | None = element("EVSEStatus", default=None)


@declare("MeteringConfirmationReq")
class MeteringConfirmationReq(CommonElement, V2gRequest):
    """A meter reading that the car signs."""

    signed_metering_data: SignedMeteringData = element("SignedMeteringData")


@declare("MeteringConfirmationRes")
class MeteringConfirmationRes(CommonElement, V2gResponse):
    """Whether the reading is accepted."""


@declare("SessionStopReq")
class SessionStopReq(CommonElement, V2gRequest):
    """Last request: end or pause, and why."""

    charging_session: ChargingSession = element("ChargingSession")
    ev_termination_code: str | None = element("EVTerminationCode", NAME, default=None)
    ev_termination_explanation: str | None = element(
        "EVTerminationExplanation", DESCRIPTION, default=None
    )


@declare("SessionStopRes")
class SessionStopRes(CommonElement, V2gResponse):
    """Last answer."""


@declare("CertificateInstallationReq")
class CertificateInstallationReq(CommonElement, V2gRequest):
    """Contract certificates for the certificate of the car's maker."""

    oem_provisioning_certificate_chain: SignedCertificateChain = element(
        "OEMProvisioningCertificateChain"
    )
    list_of_root_certificate_ids: ListOfRootCertificateIds = element("ListOfRootCertificateIDs")
    maximum_contract_certificate_chains: int = element(
        "MaximumContractCertificateChains", UNSIGNED_BYTE
    )
    prioritized_emaids: EmaidList | None = element("PrioritizedEMAIDs", default=None)


@declare("CertificateInstallationRes")
class CertificateInstallationRes(CommonElement, V2gResponse):
    """One contract certificate, its key, and how many are still to come."""

    evse_processing: Processing = element("EVSEProcessing")
    cps_certificate_chain: CertificateChain = element("CPSCertificateChain")
    signed_installation_data: SignedInstallationData = element("SignedInstallationData")
    remaining_contract_certificate_chains: int = element(
        "RemainingContractCertificateChains", UNSIGNED_BYTE
    )


@declare("VehicleCheckInReq")
class VehicleCheckInReq(CommonElement, V2gRequest):
    """The car arrives; lengths in cm."""

    ev_check_in_status: EvCheckInStatus = element("EVCheckInStatus")
    parking_method: ParkingMethod = element("ParkingMethod")
    vehicle_frame: int | None = element("VehicleFrame", SHORT, default=None)
    device_offset: int | None = element("DeviceOffset", SHORT, default=None)
    vehicle_travel: int | None = element("VehicleTravel", SHORT, default=None)


@declare("VehicleCheckInRes")
class VehicleCheckInRes(CommonElement, V2gResponse):
    """Where the car is to go; lengths in cm."""

    parking_space: int | None = element("ParkingSpace", SHORT, default=None)
    device_location: int | None = element("DeviceLocation", SHORT, default=None)
    target_distance: int | None = element("TargetDistance", SHORT, default=None)


@declare("VehicleCheckOutReq")
class VehicleCheckOutReq(CommonElement, V2gRequest):
    """The car leaves; `check_out_time` in seconds since 1970."""

    ev_check_out_status: EvCheckOutStatus = element("EVCheckOutStatus")
    check_out_time: int = element("CheckOutTime", UNSIGNED_LONG)


@declare("VehicleCheckOutRes")
class VehicleCheckOutRes(CommonElement, V2gResponse):
    """Whether the car may go."""

    evse_check_out_status: EvseCheckOutStatus = element("EVSECheckOutStatus")


CODEC: Codec[V2gMessage] = Codec(
    "iso20-common",
    NAMESPACE,
    roots=messages_of(__name__),
    others=OTHERS,
    unreached=(*ALL, TargetPosition),
)


decode = CODEC.decode
decode_counting = CODEC.decode_counting
encode = CODEC.encode
to_json = CODEC.to_json
from_json = CODEC.from_json
