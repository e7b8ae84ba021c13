"""DIN 70121, vehicle: how each request is built from the battery's report. Pure functions."""

from dataclasses import dataclass
from functools import lru_cache

from controller.signals import InletReport
from controller.v2g.messages import din
from controller.v2g.physical import WH, A, V, W, limit, physical
from controller.v2g.timing import (
    EVCC_CURRENT_DEMAND_INTERVAL_S,
    V2G_EVCC_MSG_TIMEOUT_CURRENT_DEMAND_S,
)

CHARGE_SERVICE_ID = 1
BULK_SOC_PERCENT = 80  # fast charging is over from here on; every captured car sends it


@dataclass(frozen=True, slots=True)
class EvccConfig:
    """What the vehicle says about itself and how it behaves."""

    evcc_id: bytes
    """6 bytes, the MAC address (DIN); an empty one ends the session at some chargers."""
    target_soc_percent: float = 80.0
    pre_charge_current_a: float = 1.0  # chargers refuse more than 2 A
    current_demand_interval_s: float = EVCC_CURRENT_DEMAND_INTERVAL_S
    current_demand_timeout_s: float = V2G_EVCC_MSG_TIMEOUT_CURRENT_DEMAND_S

    def __post_init__(self) -> None:
        if not 1 <= len(self.evcc_id) <= 8:
            msg = f"evcc_id has {len(self.evcc_id)} bytes; 1 to 8 are allowed, 6 are usual"
            raise ValueError(msg)


def ev_status(inlet: InletReport, *, ready: bool = True) -> din.DcEvStatus:
    """Return the vehicle's status. Some chargers ask nothing more than this."""
    soc = min(max(int(inlet.soc_percent), 0), 100)
    return _status(ready and inlet.ready, inlet.ready, soc)


@lru_cache(maxsize=256)
def _status(ready: bool, healthy: bool, soc: int) -> din.DcEvStatus:
    """Return a status, which stays the same for many messages."""
    good, bad = din.DcEvErrorCode.NO_ERROR, din.DcEvErrorCode.FAILED_EVRESSMalfunction
    return din.DcEvStatus(
        ev_ready=ready,
        ev_cabin_conditioning=False,
        ev_ress_conditioning=False,
        ev_error_code=good if healthy else bad,
        ev_ress_soc=soc,
    )


def service_payment_selection_req(offer: din.ServiceDiscoveryRes) -> din.ServicePaymentSelectionReq:
    """Choose the charge service by the id the charger gave it, and external payment."""
    service_id = offer.charge_service.service_tag.service_id
    return din.ServicePaymentSelectionReq(
        selected_payment_option=din.PaymentOption.ExternalPayment,
        selected_service_list=din.SelectedServiceList(
            selected_service=(din.SelectedService(service_id=service_id),)
        ),
    )


def charge_parameter_discovery_req(
    inlet: InletReport, config: EvccConfig
) -> din.ChargeParameterDiscoveryReq:
    """Tell limits and needs, with the optional fields: some chargers ask for them."""
    missing = max(config.target_soc_percent - inlet.soc_percent, 0.0) / 100.0
    has_capacity = inlet.energy_capacity_wh > 0.0
    power_w = inlet.maximum_power_w or inlet.maximum_voltage_v * inlet.maximum_current_a
    capacity = limit(inlet.energy_capacity_wh, WH) if has_capacity else None
    request = physical(inlet.energy_capacity_wh * missing, WH) if has_capacity else None
    return din.ChargeParameterDiscoveryReq(
        ev_requested_energy_transfer_type=din.EvRequestedEnergyTransferType.DC_extended,
        ev_charge_parameter=din.DcEvChargeParameter(
            dc_ev_status=ev_status(inlet, ready=False),
            ev_maximum_current_limit=limit(inlet.maximum_current_a, A),
            ev_maximum_power_limit=limit(power_w, W),
            ev_maximum_voltage_limit=limit(inlet.maximum_voltage_v, V),
            ev_energy_capacity=capacity,
            ev_energy_request=request,
            full_soc=100,
            bulk_soc=BULK_SOC_PERCENT,
        ),
    )


def cable_check_req(inlet: InletReport, config: EvccConfig) -> din.CableCheckReq:
    """Ask for the isolation test."""
    return din.CableCheckReq(dc_ev_status=ev_status(inlet))


def pre_charge_req(inlet: InletReport, config: EvccConfig) -> din.PreChargeReq:
    """Ask for the battery's voltage."""
    return din.PreChargeReq(
        dc_ev_status=ev_status(inlet),
        ev_target_voltage=physical(inlet.battery_voltage_v, V),
        ev_target_current=physical(config.pre_charge_current_a, A),
    )


def _power_delivery_req(inlet: InletReport, *, on: bool, complete: bool) -> din.PowerDeliveryReq:
    return din.PowerDeliveryReq(
        ready_to_charge_state=on,
        # optional, but one charger ignores a request without it
        ev_power_delivery_parameter=din.DcEvPowerDeliveryParameter(
            dc_ev_status=ev_status(inlet, ready=on),
            bulk_charging_complete=inlet.soc_percent >= BULK_SOC_PERCENT,
            charging_complete=complete,
        ),
    )


def power_on_req(inlet: InletReport, config: EvccConfig) -> din.PowerDeliveryReq:
    """Say that the contactors are closed and the charge may begin."""
    return _power_delivery_req(inlet, on=True, complete=False)


def power_off_req(inlet: InletReport, config: EvccConfig) -> din.PowerDeliveryReq:
    """Ask the charger to switch off."""
    complete = inlet.soc_percent >= config.target_soc_percent
    return _power_delivery_req(inlet, on=False, complete=complete)


def current_demand_req(
    inlet: InletReport, config: EvccConfig, *, end: bool = False
) -> din.CurrentDemandReq:
    """Ask for what the battery accepts now; with the limits that several chargers need."""
    complete = inlet.soc_percent >= config.target_soc_percent
    power_w = inlet.maximum_power_w or inlet.maximum_voltage_v * inlet.maximum_current_a
    target_a = 0.0 if end else max(inlet.target_current_a, 0.0)
    return din.CurrentDemandReq(
        dc_ev_status=ev_status(inlet),
        ev_target_current=physical(target_a, A),
        ev_maximum_voltage_limit=limit(inlet.maximum_voltage_v, V),
        ev_maximum_current_limit=limit(inlet.maximum_current_a, A),
        ev_maximum_power_limit=limit(power_w, W),
        bulk_charging_complete=inlet.soc_percent >= BULK_SOC_PERCENT,
        charging_complete=complete,
        ev_target_voltage=limit(inlet.target_voltage_v, V),
    )


def no_current_req(inlet: InletReport, config: EvccConfig) -> din.CurrentDemandReq:
    """Ask for no current any more."""
    return current_demand_req(inlet, config, end=True)


def welding_detection_req(inlet: InletReport, config: EvccConfig) -> din.WeldingDetectionReq:
    """Ask for the voltage that is left."""
    return din.WeldingDetectionReq(dc_ev_status=ev_status(inlet, ready=False))
