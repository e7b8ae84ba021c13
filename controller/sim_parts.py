"""The power side of a simulated site, from its configuration: battery, DC circuit, AC circuit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from controller.power.sim import DcCircuit
from controller.power.sim_ac import AcCircuit
from controller.power.sim_battery import SimBattery
from controller.signals import PowerEnvelope

if TYPE_CHECKING:
    from controller.config import CarConfig, ChargerConfig

TARGET_MARGIN_V = 5.0
"""EVTargetVoltage below the battery's maximum."""


def battery_of(car: CarConfig) -> SimBattery:
    """Make the car's battery."""
    battery = car.battery
    return SimBattery(
        battery.soc_percent,
        battery.capacity_wh,
        resistance_ohm=battery.resistance_ohm,
        maximum_voltage_v=battery.maximum_voltage_v,
        target_voltage_v=battery.maximum_voltage_v - TARGET_MARGIN_V,
        maximum_current_a=battery.maximum_current_a,
        maximum_power_w=battery.maximum_voltage_v * battery.maximum_current_a,
        open_voltage=battery.voltage_v,
        charging=battery.current_a,
    )


def circuit_of(charger: ChargerConfig, battery: SimBattery) -> DcCircuit:
    """Make the DC side: power module, output capacitor, contactors, battery."""
    plate, site = charger.charger, charger.site
    circuit = DcCircuit(battery)
    circuit.output_capacity_f = site.output_capacitor_f
    circuit.voltage_slew_v_per_s = site.module_ramp_v_per_s
    circuit.envelope = PowerEnvelope(
        plate.minimum_voltage_v,
        plate.maximum_voltage_v,
        plate.minimum_current_a,
        plate.maximum_current_a,
        plate.maximum_power_w,
    )
    return circuit


def ac_of(charger: ChargerConfig, car: CarConfig, circuit: DcCircuit) -> AcCircuit | None:
    """Make the AC side of an AC charger; the DC circuit stays dead then."""
    if charger.charger.mode != "ac":
        return None
    ac = AcCircuit(
        circuit.battery,
        circuit.evse_contactors,
        mains_v=charger.site.mains_v,
        cable_ohm=charger.site.cable_ohm,
        onboard_a=car.onboard.maximum_current_a,
        onboard_phases=car.onboard.phases,
        efficiency=car.onboard.efficiency,
    )
    ac.phases = charger.ac.phases
    return ac
