"""ISO 15118-20 DC and DC_BPT: V2GTP payload type 0x8004.

For names and shared types see `iso20_types`.
"""

from controller.v2g.exi.codec import Codec
from controller.v2g.exi.schema import (
    BOOLEAN,
    Declared,
    declare,
    element,
)
from controller.v2g.messages.iso20_types import (
    ALL,
    OTHERS,
    PERCENT,
    ChargeLoopReq,
    ChargeLoopRes,
    ChargeParameterDiscoveryReq,
    ChargeParameterDiscoveryRes,
    ClReqControlMode,
    ClResControlMode,
    DynamicClReqControlMode,
    DynamicClResControlMode,
    Processing,
    RationalNumber,
    ScheduledClReqControlMode,
    ScheduledClResControlMode,
    V2gMessage,
    V2gRequest,
    V2gResponse,
    messages_of,
)

NAMESPACE = "urn:iso:std:iso:15118:-20:DC"


class DcElement(Declared):
    """Base of all classes of this namespace."""

    __slots__ = ()
    NAMESPACE = NAMESPACE
    ATTRIBUTES_QUALIFIED = True


# -------------------------------------------------------------------------------------------- types


@declare("DC_CPDReqEnergyTransferMode", head=True)
class DcCpdReqEnergyTransferMode(DcElement):
    """What a DC car can take (W, A, V); SoC in percent."""

    ev_maximum_charge_power: RationalNumber = element("EVMaximumChargePower")
    ev_minimum_charge_power: RationalNumber = element("EVMinimumChargePower")
    ev_maximum_charge_current: RationalNumber = element("EVMaximumChargeCurrent")
    ev_minimum_charge_current: RationalNumber = element("EVMinimumChargeCurrent")
    ev_maximum_voltage: RationalNumber = element("EVMaximumVoltage")
    ev_minimum_voltage: RationalNumber = element("EVMinimumVoltage")
    target_soc: int | None = element("TargetSOC", PERCENT, default=None)


@declare("DC_CPDResEnergyTransferMode", head=True)
class DcCpdResEnergyTransferMode(DcElement):
    """What a DC charger can give (W, A, V; ramp in W/s)."""

    evse_maximum_charge_power: RationalNumber = element("EVSEMaximumChargePower")
    evse_minimum_charge_power: RationalNumber = element("EVSEMinimumChargePower")
    evse_maximum_charge_current: RationalNumber = element("EVSEMaximumChargeCurrent")
    evse_minimum_charge_current: RationalNumber = element("EVSEMinimumChargeCurrent")
    evse_maximum_voltage: RationalNumber = element("EVSEMaximumVoltage")
    evse_minimum_voltage: RationalNumber = element("EVSEMinimumVoltage")
    evse_power_ramp_limitation: RationalNumber | None = element(
        "EVSEPowerRampLimitation", default=None
    )


@declare("BPT_DC_CPDReqEnergyTransferMode")
class BptDcCpdReqEnergyTransferMode(DcCpdReqEnergyTransferMode):
    """What a DC car can take and give back."""

    ev_maximum_discharge_power: RationalNumber = element("EVMaximumDischargePower")
    ev_minimum_discharge_power: RationalNumber = element("EVMinimumDischargePower")
    ev_maximum_discharge_current: RationalNumber = element("EVMaximumDischargeCurrent")
    ev_minimum_discharge_current: RationalNumber = element("EVMinimumDischargeCurrent")


@declare("BPT_DC_CPDResEnergyTransferMode")
class BptDcCpdResEnergyTransferMode(DcCpdResEnergyTransferMode):
    """What a DC charger can give and take back."""

    evse_maximum_discharge_power: RationalNumber = element("EVSEMaximumDischargePower")
    evse_minimum_discharge_power: RationalNumber = element("EVSEMinimumDischargePower")
    evse_maximum_discharge_current: RationalNumber = element("EVSEMaximumDischargeCurrent")
    evse_minimum_discharge_current: RationalNumber = element("EVSEMinimumDischargeCurrent")


@declare("Scheduled_DC_CLReqControlMode")
class ScheduledDcClReqControlMode(DcElement, ScheduledClReqControlMode):
    """The car plans: what it wants now and its limits (A, V, W)."""

    ev_target_current: RationalNumber = element("EVTargetCurrent")
    ev_target_voltage: RationalNumber = element("EVTargetVoltage")
    ev_maximum_charge_power: RationalNumber | None = element("EVMaximumChargePower", default=None)
    ev_minimum_charge_power: RationalNumber | None = element("EVMinimumChargePower", default=None)
    ev_maximum_charge_current: RationalNumber | None = element(
        "EVMaximumChargeCurrent", default=None
    )
    ev_maximum_voltage: RationalNumber | None = element("EVMaximumVoltage", default=None)
    ev_minimum_voltage: RationalNumber | None = element("EVMinimumVoltage", default=None)


@declare("Scheduled_DC_CLResControlMode")
class ScheduledDcClResControlMode(DcElement, ScheduledClResControlMode):
    """The car plans: limits of the charger (W, A, V)."""

    evse_maximum_charge_power: RationalNumber | None = element(
        "EVSEMaximumChargePower", default=None
    )
    evse_minimum_charge_power: RationalNumber | None = element(
        "EVSEMinimumChargePower", default=None
    )
    evse_maximum_charge_current: RationalNumber | None = element(
        "EVSEMaximumChargeCurrent", default=None
    )
    evse_maximum_voltage: RationalNumber | None = element("EVSEMaximumVoltage", default=None)


@declare("BPT_Scheduled_DC_CLReqControlMode")
class BptScheduledDcClReqControlMode(ScheduledDcClReqControlMode):
    """The car plans: limits of giving back, too."""

    ev_maximum_discharge_power: RationalNumber | None = element(
        "EVMaximumDischargePower", default=None
    )
    ev_minimum_discharge_power: RationalNumber | None = element(
        "EVMinimumDischargePower", default=None
    )
    ev_maximum_discharge_current: RationalNumber | None = element(
        "EVMaximumDischargeCurrent", default=None
    )


@declare("BPT_Scheduled_DC_CLResControlMode")
class BptScheduledDcClResControlMode(ScheduledDcClResControlMode):
    """The car plans: limits of taking back, too."""

    evse_maximum_discharge_power: RationalNumber | None = element(
        "EVSEMaximumDischargePower", default=None
    )
    evse_minimum_discharge_power: RationalNumber | None = element(
        "EVSEMinimumDischargePower", default=None
    )
    evse_maximum_discharge_current: RationalNumber | None = element(
        "EVSEMaximumDischargeCurrent", default=None
    )
    evse_minimum_voltage: RationalNumber | None = element("EVSEMinimumVoltage", default=None)


@declare("Dynamic_DC_CLReqControlMode")
class DynamicDcClReqControlMode(DcElement, DynamicClReqControlMode):
    """The charger plans: limits of the car (W, A, V)."""

    ev_maximum_charge_power: RationalNumber = element("EVMaximumChargePower")
    ev_minimum_charge_power: RationalNumber = element("EVMinimumChargePower")
    ev_maximum_charge_current: RationalNumber = element("EVMaximumChargeCurrent")
    ev_maximum_voltage: RationalNumber = element("EVMaximumVoltage")
    ev_minimum_voltage: RationalNumber = element("EVMinimumVoltage")


@declare("Dynamic_DC_CLResControlMode")
class DynamicDcClResControlMode(DcElement, DynamicClResControlMode):
    """The charger plans: its limits (W, A, V)."""

    evse_maximum_charge_power: RationalNumber = element("EVSEMaximumChargePower")
    evse_minimum_charge_power: RationalNumber = element("EVSEMinimumChargePower")
    evse_maximum_charge_current: RationalNumber = element("EVSEMaximumChargeCurrent")
    evse_maximum_voltage: RationalNumber = element("EVSEMaximumVoltage")


@declare("BPT_Dynamic_DC_CLReqControlMode")
class BptDynamicDcClReqControlMode(DynamicDcClReqControlMode):
    """The charger plans: limits of giving back, too; energy in Wh."""

    ev_maximum_discharge_power: RationalNumber = element("EVMaximumDischargePower")
    ev_minimum_discharge_power: RationalNumber = element("EVMinimumDischargePower")
    ev_maximum_discharge_current: RationalNumber = element("EVMaximumDischargeCurrent")
    ev_maximum_v2x_energy_request: RationalNumber | None = element(
        "EVMaximumV2XEnergyRequest", default=None
    )
    ev_minimum_v2x_energy_request: RationalNumber | None = element(
        "EVMinimumV2XEnergyRequest", default=None
    )


@declare("BPT_Dynamic_DC_CLResControlMode")
class BptDynamicDcClResControlMode(DynamicDcClResControlMode):
    """The charger plans: limits of taking back, too."""

    evse_maximum_discharge_power: RationalNumber = element("EVSEMaximumDischargePower")
    evse_minimum_discharge_power: RationalNumber = element("EVSEMinimumDischargePower")
    evse_maximum_discharge_current: RationalNumber = element("EVSEMaximumDischargeCurrent")
    evse_minimum_voltage: RationalNumber = element("EVSEMinimumVoltage")


# ----------------------------------------------------------------------------------------- messages


@declare("DC_ChargeParameterDiscoveryReq")
class DcChargeParameterDiscoveryReq(DcElement, ChargeParameterDiscoveryReq):
    """What the car wants and can take."""

    dc_cpd_req_energy_transfer_mode: DcCpdReqEnergyTransferMode = element(
        "DC_CPDReqEnergyTransferMode"
    )


@declare("DC_ChargeParameterDiscoveryRes")
class DcChargeParameterDiscoveryRes(DcElement, ChargeParameterDiscoveryRes):
    """What the charger can give."""

    dc_cpd_res_energy_transfer_mode: DcCpdResEnergyTransferMode = element(
        "DC_CPDResEnergyTransferMode"
    )


@declare("DC_CableCheckReq")
class DcCableCheckReq(DcElement, V2gRequest):
    """Check the isolation."""


@declare("DC_CableCheckRes")
class DcCableCheckRes(DcElement, V2gResponse):
    """Whether the isolation check is done."""

    evse_processing: Processing = element("EVSEProcessing")


@declare("DC_PreChargeReq")
class DcPreChargeReq(DcElement, V2gRequest):
    """Bring the output to the battery's voltage (V)."""

    ev_processing: Processing = element("EVProcessing")
    ev_present_voltage: RationalNumber = element("EVPresentVoltage")
    ev_target_voltage: RationalNumber = element("EVTargetVoltage")


@declare("DC_PreChargeRes")
class DcPreChargeRes(DcElement, V2gResponse):
    """The output's voltage (V)."""

    evse_present_voltage: RationalNumber = element("EVSEPresentVoltage")


@declare("DC_ChargeLoopReq")
class DcChargeLoopReq(DcElement, ChargeLoopReq):
    """Charge loop: what the car wants now."""

    ev_present_voltage: RationalNumber = element("EVPresentVoltage")
    cl_req_control_mode: ClReqControlMode = element("CLReqControlMode")


@declare("DC_ChargeLoopRes")
class DcChargeLoopRes(DcElement, ChargeLoopRes):
    """Charge loop: what the charger gives now (A, V)."""

    evse_present_current: RationalNumber = element("EVSEPresentCurrent")
    evse_present_voltage: RationalNumber = element("EVSEPresentVoltage")
    evse_power_limit_achieved: bool = element("EVSEPowerLimitAchieved", BOOLEAN)
    evse_current_limit_achieved: bool = element("EVSECurrentLimitAchieved", BOOLEAN)
    evse_voltage_limit_achieved: bool = element("EVSEVoltageLimitAchieved", BOOLEAN)
    cl_res_control_mode: ClResControlMode = element("CLResControlMode")


@declare("DC_WeldingDetectionReq")
class DcWeldingDetectionReq(DcElement, V2gRequest):
    """Is the output free of voltage with the car's contactors open?"""

    ev_processing: Processing = element("EVProcessing")


@declare("DC_WeldingDetectionRes")
class DcWeldingDetectionRes(DcElement, V2gResponse):
    """The output's voltage (V)."""

    evse_present_voltage: RationalNumber = element("EVSEPresentVoltage")


CODEC: Codec[V2gMessage] = Codec(
    "iso20-dc", NAMESPACE, roots=messages_of(__name__), others=OTHERS, unreached=ALL
)


decode = CODEC.decode
decode_counting = CODEC.decode_counting
encode = CODEC.encode
to_json = CODEC.to_json
from_json = CODEC.from_json
