"""ISO 15118-20 AC and AC_BPT: V2GTP payload type 0x8003.

For names and shared types see `iso20_types`.
"""

from controller.v2g.exi.codec import Codec
from controller.v2g.exi.schema import (
    Declared,
    declare,
    element,
)
from controller.v2g.messages.iso20_types import (
    ALL,
    OTHERS,
    ChargeLoopReq,
    ChargeLoopRes,
    ChargeParameterDiscoveryReq,
    ChargeParameterDiscoveryRes,
    ClReqControlMode,
    ClResControlMode,
    DynamicClReqControlMode,
    DynamicClResControlMode,
    RationalNumber,
    ScheduledClReqControlMode,
    ScheduledClResControlMode,
    V2gMessage,
    messages_of,
)

NAMESPACE = "urn:iso:std:iso:15118:-20:AC"


class AcElement(Declared):
    """Base of all classes of this namespace."""

    __slots__ = ()
    NAMESPACE = NAMESPACE
    ATTRIBUTES_QUALIFIED = True


# -------------------------------------------------------------------------------------------- types


@declare("AC_CPDReqEnergyTransferMode", head=True)
class AcCpdReqEnergyTransferMode(AcElement):
    """What an AC car can take, of the first or all phases (W)."""

    ev_maximum_charge_power: RationalNumber = element("EVMaximumChargePower")
    ev_maximum_charge_power_l2: RationalNumber | None = element(
        "EVMaximumChargePower_L2", default=None
    )
    ev_maximum_charge_power_l3: RationalNumber | None = element(
        "EVMaximumChargePower_L3", default=None
    )
    ev_minimum_charge_power: RationalNumber = element("EVMinimumChargePower")
    ev_minimum_charge_power_l2: RationalNumber | None = element(
        "EVMinimumChargePower_L2", default=None
    )
    ev_minimum_charge_power_l3: RationalNumber | None = element(
        "EVMinimumChargePower_L3", default=None
    )


@declare("AC_CPDResEnergyTransferMode", head=True)
class AcCpdResEnergyTransferMode(AcElement):
    """What an AC charger can give (W, Hz; ramp in W/s)."""

    evse_maximum_charge_power: RationalNumber = element("EVSEMaximumChargePower")
    evse_maximum_charge_power_l2: RationalNumber | None = element(
        "EVSEMaximumChargePower_L2", default=None
    )
    evse_maximum_charge_power_l3: RationalNumber | None = element(
        "EVSEMaximumChargePower_L3", default=None
    )
    evse_minimum_charge_power: RationalNumber = element("EVSEMinimumChargePower")
    evse_minimum_charge_power_l2: RationalNumber | None = element(
        "EVSEMinimumChargePower_L2", default=None
    )
    evse_minimum_charge_power_l3: RationalNumber | None = element(
        "EVSEMinimumChargePower_L3", default=None
    )
    evse_nominal_frequency: RationalNumber = element("EVSENominalFrequency")
    maximum_power_asymmetry: RationalNumber | None = element("MaximumPowerAsymmetry", default=None)
    evse_power_ramp_limitation: RationalNumber | None = element(
        "EVSEPowerRampLimitation", default=None
    )
    evse_present_active_power: RationalNumber | None = element(
        "EVSEPresentActivePower", default=None
    )
    evse_present_active_power_l2: RationalNumber | None = element(
        "EVSEPresentActivePower_L2", default=None
    )
    evse_present_active_power_l3: RationalNumber | None = element(
        "EVSEPresentActivePower_L3", default=None
    )


@declare("BPT_AC_CPDReqEnergyTransferMode")
class BptAcCpdReqEnergyTransferMode(AcCpdReqEnergyTransferMode):
    """What an AC car can take and give back."""

    ev_maximum_discharge_power: RationalNumber = element("EVMaximumDischargePower")
    ev_maximum_discharge_power_l2: RationalNumber | None = element(
        "EVMaximumDischargePower_L2", default=None
    )
    ev_maximum_discharge_power_l3: RationalNumber | None = element(
        "EVMaximumDischargePower_L3", default=None
    )
    ev_minimum_discharge_power: RationalNumber = element("EVMinimumDischargePower")
    ev_minimum_discharge_power_l2: RationalNumber | None = element(
        "EVMinimumDischargePower_L2", default=None
    )
    ev_minimum_discharge_power_l3: RationalNumber | None = element(
        "EVMinimumDischargePower_L3", default=None
    )


@declare("BPT_AC_CPDResEnergyTransferMode")
class BptAcCpdResEnergyTransferMode(AcCpdResEnergyTransferMode):
    """What an AC charger can give and take back."""

    evse_maximum_discharge_power: RationalNumber = element("EVSEMaximumDischargePower")
    evse_maximum_discharge_power_l2: RationalNumber | None = element(
        "EVSEMaximumDischargePower_L2", default=None
    )
    evse_maximum_discharge_power_l3: RationalNumber | None = element(
        "EVSEMaximumDischargePower_L3", default=None
    )
    evse_minimum_discharge_power: RationalNumber = element("EVSEMinimumDischargePower")
    evse_minimum_discharge_power_l2: RationalNumber | None = element(
        "EVSEMinimumDischargePower_L2", default=None
    )
    evse_minimum_discharge_power_l3: RationalNumber | None = element(
        "EVSEMinimumDischargePower_L3", default=None
    )


@declare("Scheduled_AC_CLReqControlMode")
class ScheduledAcClReqControlMode(AcElement, ScheduledClReqControlMode):
    """The car plans: its limits and what it draws (W, var)."""

    ev_maximum_charge_power: RationalNumber | None = element("EVMaximumChargePower", default=None)
    ev_maximum_charge_power_l2: RationalNumber | None = element(
        "EVMaximumChargePower_L2", default=None
    )
    ev_maximum_charge_power_l3: RationalNumber | None = element(
        "EVMaximumChargePower_L3", default=None
    )
    ev_minimum_charge_power: RationalNumber | None = element("EVMinimumChargePower", default=None)
    ev_minimum_charge_power_l2: RationalNumber | None = element(
        "EVMinimumChargePower_L2", default=None
    )
    ev_minimum_charge_power_l3: RationalNumber | None = element(
        "EVMinimumChargePower_L3", default=None
    )
    ev_present_active_power: RationalNumber = element("EVPresentActivePower")
    ev_present_active_power_l2: RationalNumber | None = element(
        "EVPresentActivePower_L2", default=None
    )
    ev_present_active_power_l3: RationalNumber | None = element(
        "EVPresentActivePower_L3", default=None
    )
    ev_present_reactive_power: RationalNumber | None = element(
        "EVPresentReactivePower", default=None
    )
    ev_present_reactive_power_l2: RationalNumber | None = element(
        "EVPresentReactivePower_L2", default=None
    )
    ev_present_reactive_power_l3: RationalNumber | None = element(
        "EVPresentReactivePower_L3", default=None
    )


@declare("Scheduled_AC_CLResControlMode")
class ScheduledAcClResControlMode(AcElement, ScheduledClResControlMode):
    """The car plans: what the charger wants it to draw (W, var)."""

    evse_target_active_power: RationalNumber | None = element("EVSETargetActivePower", default=None)
    evse_target_active_power_l2: RationalNumber | None = element(
        "EVSETargetActivePower_L2", default=None
    )
    evse_target_active_power_l3: RationalNumber | None = element(
        "EVSETargetActivePower_L3", default=None
    )
    evse_target_reactive_power: RationalNumber | None = element(
        "EVSETargetReactivePower", default=None
    )
    evse_target_reactive_power_l2: RationalNumber | None = element(
        "EVSETargetReactivePower_L2", default=None
    )
    evse_target_reactive_power_l3: RationalNumber | None = element(
        "EVSETargetReactivePower_L3", default=None
    )
    evse_present_active_power: RationalNumber | None = element(
        "EVSEPresentActivePower", default=None
    )
    evse_present_active_power_l2: RationalNumber | None = element(
        "EVSEPresentActivePower_L2", default=None
    )
    evse_present_active_power_l3: RationalNumber | None = element(
        "EVSEPresentActivePower_L3", default=None
    )


@declare("BPT_Scheduled_AC_CLReqControlMode")
class BptScheduledAcClReqControlMode(ScheduledAcClReqControlMode):
    """The car plans: limits of giving back, too."""

    ev_maximum_discharge_power: RationalNumber | None = element(
        "EVMaximumDischargePower", default=None
    )
    ev_maximum_discharge_power_l2: RationalNumber | None = element(
        "EVMaximumDischargePower_L2", default=None
    )
    ev_maximum_discharge_power_l3: RationalNumber | None = element(
        "EVMaximumDischargePower_L3", default=None
    )
    ev_minimum_discharge_power: RationalNumber | None = element(
        "EVMinimumDischargePower", default=None
    )
    ev_minimum_discharge_power_l2: RationalNumber | None = element(
        "EVMinimumDischargePower_L2", default=None
    )
    ev_minimum_discharge_power_l3: RationalNumber | None = element(
        "EVMinimumDischargePower_L3", default=None
    )


@declare("BPT_Scheduled_AC_CLResControlMode")
class BptScheduledAcClResControlMode(ScheduledAcClResControlMode):
    """The car plans, in both directions."""


@declare("Dynamic_AC_CLReqControlMode")
class DynamicAcClReqControlMode(AcElement, DynamicClReqControlMode):
    """The charger plans: the car's limits and what it draws (W, var)."""

    ev_maximum_charge_power: RationalNumber = element("EVMaximumChargePower")
    ev_maximum_charge_power_l2: RationalNumber | None = element(
        "EVMaximumChargePower_L2", default=None
    )
    ev_maximum_charge_power_l3: RationalNumber | None = element(
        "EVMaximumChargePower_L3", default=None
    )
    ev_minimum_charge_power: RationalNumber = element("EVMinimumChargePower")
    ev_minimum_charge_power_l2: RationalNumber | None = element(
        "EVMinimumChargePower_L2", default=None
    )
    ev_minimum_charge_power_l3: RationalNumber | None = element(
        "EVMinimumChargePower_L3", default=None
    )
    ev_present_active_power: RationalNumber = element("EVPresentActivePower")
    ev_present_active_power_l2: RationalNumber | None = element(
        "EVPresentActivePower_L2", default=None
    )
    ev_present_active_power_l3: RationalNumber | None = element(
        "EVPresentActivePower_L3", default=None
    )
    ev_present_reactive_power: RationalNumber = element("EVPresentReactivePower")
    ev_present_reactive_power_l2: RationalNumber | None = element(
        "EVPresentReactivePower_L2", default=None
    )
    ev_present_reactive_power_l3: RationalNumber | None = element(
        "EVPresentReactivePower_L3", default=None
    )


@declare("Dynamic_AC_CLResControlMode")
class DynamicAcClResControlMode(AcElement, DynamicClResControlMode):
    """The charger plans: what the car is to draw (W, var)."""

    evse_target_active_power: RationalNumber = element("EVSETargetActivePower")
    evse_target_active_power_l2: RationalNumber | None = element(
        "EVSETargetActivePower_L2", default=None
    )
    evse_target_active_power_l3: RationalNumber | None = element(
        "EVSETargetActivePower_L3", default=None
    )
    evse_target_reactive_power: RationalNumber | None = element(
        "EVSETargetReactivePower", default=None
    )
    evse_target_reactive_power_l2: RationalNumber | None = element(
        "EVSETargetReactivePower_L2", default=None
    )
    evse_target_reactive_power_l3: RationalNumber | None = element(
        "EVSETargetReactivePower_L3", default=None
    )
    evse_present_active_power: RationalNumber | None = element(
        "EVSEPresentActivePower", default=None
    )
    evse_present_active_power_l2: RationalNumber | None = element(
        "EVSEPresentActivePower_L2", default=None
    )
    evse_present_active_power_l3: RationalNumber | None = element(
        "EVSEPresentActivePower_L3", default=None
    )


@declare("BPT_Dynamic_AC_CLReqControlMode")
class BptDynamicAcClReqControlMode(DynamicAcClReqControlMode):
    """The charger plans: limits of giving back, too; energy in Wh."""

    ev_maximum_discharge_power: RationalNumber = element("EVMaximumDischargePower")
    ev_maximum_discharge_power_l2: RationalNumber | None = element(
        "EVMaximumDischargePower_L2", default=None
    )
    ev_maximum_discharge_power_l3: RationalNumber | None = element(
        "EVMaximumDischargePower_L3", default=None
    )
    ev_minimum_discharge_power: RationalNumber = element("EVMinimumDischargePower")
    ev_minimum_discharge_power_l2: RationalNumber | None = element(
        "EVMinimumDischargePower_L2", default=None
    )
    ev_minimum_discharge_power_l3: RationalNumber | None = element(
        "EVMinimumDischargePower_L3", default=None
    )
    ev_maximum_v2x_energy_request: RationalNumber | None = element(
        "EVMaximumV2XEnergyRequest", default=None
    )
    ev_minimum_v2x_energy_request: RationalNumber | None = element(
        "EVMinimumV2XEnergyRequest", default=None
    )


@declare("BPT_Dynamic_AC_CLResControlMode")
class BptDynamicAcClResControlMode(DynamicAcClResControlMode):
    """The charger plans, in both directions."""


# ----------------------------------------------------------------------------------------- messages


@declare("AC_ChargeParameterDiscoveryReq")
class AcChargeParameterDiscoveryReq(AcElement, ChargeParameterDiscoveryReq):
    """What the car wants and can take."""

    ac_cpd_req_energy_transfer_mode: AcCpdReqEnergyTransferMode = element(
        "AC_CPDReqEnergyTransferMode"
    )


@declare("AC_ChargeParameterDiscoveryRes")
class AcChargeParameterDiscoveryRes(AcElement, ChargeParameterDiscoveryRes):
    """What the charger can give."""

    ac_cpd_res_energy_transfer_mode: AcCpdResEnergyTransferMode = element(
        "AC_CPDResEnergyTransferMode"
    )


@declare("AC_ChargeLoopReq")
class AcChargeLoopReq(AcElement, ChargeLoopReq):
    """Charge loop: what the car draws and wants now."""

    cl_req_control_mode: ClReqControlMode = element("CLReqControlMode")


@declare("AC_ChargeLoopRes")
class AcChargeLoopRes(AcElement, ChargeLoopRes):
    """Charge loop: what the charger asks for now (Hz)."""

    evse_target_frequency: RationalNumber | None = element("EVSETargetFrequency", default=None)
    cl_res_control_mode: ClResControlMode = element("CLResControlMode")


CODEC: Codec[V2gMessage] = Codec(
    "iso20-ac", NAMESPACE, roots=messages_of(__name__), others=OTHERS, unreached=ALL
)


decode = CODEC.decode
decode_counting = CODEC.decode_counting
encode = CODEC.encode
to_json = CODEC.to_json
from_json = CODEC.from_json
