"""ISO 15118-20 ACDP, charging by pantograph: V2GTP payload type 0x8005.

For names and shared types see `iso20_types`. Connect and disconnect share their types in the
published schema, where those of their own are commented out.
"""

from controller.v2g.exi.codec import Codec
from controller.v2g.exi.schema import (
    BOOLEAN,
    SHORT,
    Declared,
    ExiEnum,
    declare,
    element,
)
from controller.v2g.messages.iso20_types import (
    ALL,
    OTHERS,
    PERCENT,
    Processing,
    RationalNumber,
    V2gMessage,
    V2gRequest,
    V2gResponse,
    messages_of,
)

NAMESPACE = "urn:iso:std:iso:15118:-20:ACDP"


class AcdpElement(Declared):
    """Base of all classes of this namespace."""

    __slots__ = ()
    NAMESPACE = NAMESPACE
    ATTRIBUTES_QUALIFIED = True


# ------------------------------------------------------------------------------------- enumerations


class CpStatus(ExiEnum):
    """State of the control pilot, as the car sees it."""

    StateA = "StateA"
    StateB = "StateB"
    StateC = "StateC"
    StateD = "StateD"
    StateE = "StateE"


class ErrorCode(ExiEnum):
    """What is wrong with the car."""

    OK_NoEVError = "OK_NoEVError"
    FAILED = "FAILED"
    FAILED_EmergencyEvent = "FAILED_EmergencyEvent"
    FAILED_Breaker = "FAILED_Breaker"
    FAILED_RESSTemperatureInhibit = "FAILED_RESSTemperatureInhibit"
    FAILED_RESS = "FAILED_RESS"
    FAILED_ChargingCurrentDifferential = "FAILED_ChargingCurrentDifferential"
    FAILED_ChargingVoltageOutOfRange = "FAILED_ChargingVoltageOutOfRange"
    FAILED_Reserved1 = "FAILED_Reserved1"
    FAILED_Reserved2 = "FAILED_Reserved2"


class IsolationStatus(ExiEnum):
    """Result of the isolation monitoring."""

    Invalid = "Invalid"
    Safe = "Safe"
    Warning = "Warning"
    Fault = "Fault"


class ElectricalChargingDeviceStatus(ExiEnum):
    """State of the control pilot at the pantograph."""

    State_A = "State_A"
    State_B = "State_B"
    State_C = "State_C"
    State_D = "State_D"


class MechanicalChargingDeviceStatus(ExiEnum):
    """Where the pantograph is."""

    Home = "Home"
    Moving = "Moving"
    EndPosition = "EndPosition"


# -------------------------------------------------------------------------------------------- types


@declare()
class EvTechnicalStatus(AcdpElement):
    """State of the car; SoC in percent."""

    ev_ready_to_charge: bool = element("EVReadyToCharge", BOOLEAN)
    ev_immobilization_request: bool = element("EVImmobilizationRequest", BOOLEAN)
    ev_immobilized: bool | None = element("EVImmobilized", BOOLEAN, default=None)
    ev_wlan_strength: RationalNumber | None = element("EVWLANStrength", default=None)
    ev_cp_status: CpStatus | None = element("EVCPStatus", default=None)
    ev_soc: int | None = element("EVSOC", PERCENT, default=None)
    ev_error_code: ErrorCode | None = element("EVErrorCode", default=None)
    ev_timeout: bool | None = element("EVTimeout", BOOLEAN, default=None)


# ----------------------------------------------------------------------------------------- messages


@declare("ACDP_VehiclePositioningReq")
class AcdpVehiclePositioningReq(AcdpElement, V2gRequest):
    """Does the car stand right?"""

    ev_mobility_status: bool = element("EVMobilityStatus", BOOLEAN)
    ev_positioning_support: bool = element("EVPositioningSupport", BOOLEAN)


@declare("ACDP_VehiclePositioningRes")
class AcdpVehiclePositioningRes(AcdpElement, V2gResponse):
    """Deviation from the right place, and the size of that place."""

    evse_processing: Processing = element("EVSEProcessing")
    evse_positioning_support: bool = element("EVSEPositioningSupport", BOOLEAN)
    ev_relative_x_deviation: int = element("EVRelativeXDeviation", SHORT)
    ev_relative_y_deviation: int = element("EVRelativeYDeviation", SHORT)
    contact_window_xc: int = element("ContactWindowXc", SHORT)
    contact_window_yc: int = element("ContactWindowYc", SHORT)
    ev_in_charge_position: bool = element("EVInChargePosition", BOOLEAN)


@declare()
class ConnectReq(AcdpElement, V2gRequest):
    """Base: state of the pilot, while the pantograph moves."""

    ev_electrical_charging_device_status: ElectricalChargingDeviceStatus = element(
        "EVElectricalChargingDeviceStatus"
    )


@declare("ACDP_ConnectReq")
class AcdpConnectReq(ConnectReq):
    """Bring the pantograph to the car."""


@declare("ACDP_DisconnectReq")
class AcdpDisconnectReq(ConnectReq):
    """Take the pantograph away."""


@declare()
class ConnectRes(AcdpElement, V2gResponse):
    """Base: states of pilot and pantograph."""

    evse_processing: Processing = element("EVSEProcessing")
    evse_electrical_charging_device_status: ElectricalChargingDeviceStatus = element(
        "EVSEElectricalChargingDeviceStatus"
    )
    evse_mechanical_charging_device_status: MechanicalChargingDeviceStatus = element(
        "EVSEMechanicalChargingDeviceStatus"
    )


@declare("ACDP_ConnectRes")
class AcdpConnectRes(ConnectRes):
    """Whether the pantograph has arrived."""


@declare("ACDP_DisconnectRes")
class AcdpDisconnectRes(ConnectRes):
    """Whether the pantograph is home."""


@declare("ACDP_SystemStatusReq")
class AcdpSystemStatusReq(AcdpElement, V2gRequest):
    """What is your state? This is mine."""

    ev_technical_status: EvTechnicalStatus = element("EVTechnicalStatus")


@declare("ACDP_SystemStatusRes")
class AcdpSystemStatusRes(AcdpElement, V2gResponse):
    """State of the charger."""

    evse_mechanical_charging_device_status: MechanicalChargingDeviceStatus = element(
        "EVSEMechanicalChargingDeviceStatus"
    )
    evse_ready_to_charge: bool = element("EVSEReadyToCharge", BOOLEAN)
    evse_isolation_status: IsolationStatus = element("EVSEIsolationStatus")
    evse_disabled: bool = element("EVSEDisabled", BOOLEAN)
    evse_utility_interrupt_event: bool = element("EVSEUtilityInterruptEvent", BOOLEAN)
    evse_emergency_shutdown: bool = element("EVSEEmergencyShutdown", BOOLEAN)
    evse_malfunction: bool = element("EVSEMalfunction", BOOLEAN)
    ev_in_charge_position: bool = element("EVInChargePosition", BOOLEAN)
    ev_association_status: bool = element("EVAssociationStatus", BOOLEAN)


CODEC: Codec[V2gMessage] = Codec(
    "iso20-acdp", NAMESPACE, roots=messages_of(__name__), others=OTHERS, unreached=ALL
)


decode = CODEC.decode
decode_counting = CODEC.decode_counting
encode = CODEC.encode
to_json = CODEC.to_json
from_json = CODEC.from_json
