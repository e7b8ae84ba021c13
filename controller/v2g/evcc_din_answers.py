"""DIN 70121, vehicle: how an answer is judged. Pure functions.

The judgement is lenient where real chargers differ from the standard: OK instead of
OK_NewSessionEstablished, any session id, any schedule, NotReady or IsolationMonitoringActive before
energy transfer are all fine.
"""

from controller.v2g.messages import din
from controller.v2g.messages.din import DcEvseStatusCode, EvseProcessing, IsolationLevel

WISHES = frozenset({DcEvseStatusCode.EVSE_Shutdown, DcEvseStatusCode.EVSE_UtilityInterruptEvent})
"""The charger asks for a normal end."""
FAULTS = frozenset({DcEvseStatusCode.EVSE_EmergencyShutdown, DcEvseStatusCode.EVSE_Malfunction})
"""The charger has switched off, or is about to."""

_OK = din.ResponseCode.OK
_STATUS_NAMES = {code: code.value for code in DcEvseStatusCode}
_ISOLATION_FAULT = IsolationLevel.Fault

_OFFERS_DC_EXTENDED = frozenset(
    {
        din.EvseSupportedEnergyTransferType.DC_extended,
        din.EvseSupportedEnergyTransferType.DC_combo_core,
        din.EvseSupportedEnergyTransferType.DC_dual,
        din.EvseSupportedEnergyTransferType.AC_core1p_DC_extended,
        din.EvseSupportedEnergyTransferType.AC_single_phase_three_phase_core_DC_extended,
        din.EvseSupportedEnergyTransferType.AC_core3p_DC_extended,
    }
)


def dc_status(res: din.BodyElement) -> din.DcEvseStatus | None:
    """Return the charger's status in an answer that carries one."""
    status = getattr(res, "dc_evse_status", None)
    if isinstance(status, din.DcEvseStatus):
        return status
    if isinstance(res, din.PowerDeliveryRes):
        return res.evse_status if isinstance(res.evse_status, din.DcEvseStatus) else None
    if isinstance(res, din.ChargeParameterDiscoveryRes):
        parameters = res.evse_charge_parameter
        if isinstance(parameters, din.DcEvseChargeParameter):
            return parameters.dc_evse_status
    return None


def status_name(res: din.BodyElement) -> str:
    """Return the charger's status code, or an empty string."""
    status = dc_status(res)
    return "" if status is None else _STATUS_NAMES[status.evse_status_code]


def is_wish(res: din.BodyElement) -> bool:
    """Whether the charger asks the vehicle to end."""
    status = dc_status(res)
    return status is not None and status.evse_status_code in WISHES


def minimum_voltage_v(res: din.BodyElement, known_v: float) -> float:
    """Return the charger's lowest voltage if this answer tells it, else what is known."""
    if isinstance(res, din.ChargeParameterDiscoveryRes):
        parameters = res.evse_charge_parameter
        if isinstance(parameters, din.DcEvseChargeParameter):
            return parameters.evse_minimum_voltage_limit.si
    return known_v


def why_refused(res: din.BodyElement, battery_voltage_v: float | None) -> str:
    """Return why this answer means the end, or an empty string."""
    name = type(res).__name__
    code: din.ResponseCode = res.response_code  # type: ignore[attr-defined]
    status = dc_status(res)
    if code is not _OK and code.value.startswith("FAILED"):
        why = f"charger answered {name} {code.value}"
        return why if status is None else f"{why} ({status.evse_status_code.value})"
    if status is not None and status.evse_status_code in FAULTS:
        return f"charger reports {status.evse_status_code.value} in {name}"
    if status is not None and status.evse_isolation_status is _ISOLATION_FAULT:
        return f"charger reports an isolation fault in {name}"
    if isinstance(res, din.ServiceDiscoveryRes):
        return _why_unsuitable(res)
    if isinstance(res, din.ChargeParameterDiscoveryRes):
        return _why_incompatible(res, battery_voltage_v)
    return ""


def _why_unsuitable(res: din.ServiceDiscoveryRes) -> str:
    if din.PaymentOption.ExternalPayment not in res.payment_options.payment_option:
        return "charger accepts no external payment"
    offered = res.charge_service.energy_transfer_type
    return "" if offered in _OFFERS_DC_EXTENDED else f"charger offers only {offered.value}"


def _why_incompatible(res: din.ChargeParameterDiscoveryRes, battery_voltage_v: float | None) -> str:
    if res.evse_processing is EvseProcessing.Ongoing:
        return ""
    parameters = res.evse_charge_parameter
    if not isinstance(parameters, din.DcEvseChargeParameter):
        return "charger gives no DC parameters"
    if battery_voltage_v is None:
        return "no report from the vehicle's battery"
    least_v = parameters.evse_minimum_voltage_limit.si
    most_v = parameters.evse_maximum_voltage_limit.si
    if least_v <= battery_voltage_v <= most_v:
        return ""
    return (
        f"battery at {battery_voltage_v:.0f} V is outside of the charger's "
        f"{least_v:.0f} to {most_v:.0f} V"
    )
