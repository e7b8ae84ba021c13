"""A simulated site: pilot circuit, power hardware, modem pair, car - and whole sessions in it.

`World` is everything physical, in whatever time `now` is: it gives both controllers their inputs
and carries out their hardware commands. `site` puts real processes around it; `SimWorld` puts the
same cores around it in one process and virtual time, where a 20-minute charge takes a second, and
where tests break whatever they like at any instant.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from controller.cp.sim import PilotCircuit
from controller.plc.pib import SLAC_EVSE, SLAC_PEV
from controller.plc.sim import SimPowerline, seeded_rng
from controller.plc.sim_modem import SimModem
from controller.power.sim import (
    DcCircuit,
    SimCircuitContactors,
    SimIsolationMonitor,
    SimPowerModule,
    SimVehicle,
)
from controller.power.sim_battery import SimBattery
from controller.signals import (
    CloseContactors,
    EvseInputs,
    OpenContactors,
    Output,
    PevInputs,
    PowerEnvelope,
    SetDuty,
    SetOutput,
    SetS2,
    StartIsolationTest,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from controller.config import CarConfig, ChargerConfig

SIDES = ("evse", "pev")
"""Order of the hosts at the powerline."""


def host_mac(side: str) -> bytes:
    """Address of a simulated host: locally administered, one digit apart."""
    return bytes((0x02, 0x43, 0x43, 0x53, 0, 1 + SIDES.index(side)))


def modem_mac(side: str) -> bytes:
    """Address of a simulated modem."""
    return bytes((0x02, 0xB0, 0x52, 0, 0, 1 + SIDES.index(side)))


class World:
    """Everything physical at one charger with one car; faults are attributes of its parts."""

    def __init__(self, charger: ChargerConfig, car: CarConfig, seed: int = 1) -> None:
        rng = seeded_rng(f"site/{seed}")
        plate, site, battery = charger.charger, charger.site, car.battery
        self.battery = SimBattery(
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
        self.circuit = DcCircuit(self.battery)
        self.circuit.output_capacity_f = site.output_capacitor_f
        self.circuit.voltage_slew_v_per_s = site.module_ramp_v_per_s
        self.circuit.envelope = PowerEnvelope(
            plate.minimum_voltage_v,
            plate.maximum_voltage_v,
            plate.minimum_current_a,
            plate.maximum_current_a,
            plate.maximum_power_w,
        )
        self.pilot = PilotCircuit(rng)
        self.module = SimPowerModule(self.circuit, rng)
        self.isolation = SimIsolationMonitor(site.isolation_ohm)
        self.isolation.self_test_s = site.isolation_test_s
        self.vehicle = SimVehicle(self.circuit)
        self.evse_contactors = SimCircuitContactors(self.circuit, self.circuit.evse_contactors)
        self.inlet_contactors = SimCircuitContactors(self.circuit, self.circuit.inlet_contactors)
        self.powerline = SimPowerline(
            [
                SimModem(modem_mac("evse"), slac_mode=SLAC_EVSE, restart_s=MODEM_RESTART_S),
                SimModem(modem_mac("pev"), slac_mode=SLAC_PEV, restart_s=MODEM_RESTART_S),
            ],
            seed=f"powerline/{seed}",
        )
        self.powerline.set_coupling(0, 1, None)
        self.emergency_stop = False
        self.on_change: Callable[[], None] = lambda: None
        """Called when something discrete happened (plug, S2, emergency stop)."""

    @property
    def energy_wh(self) -> float:
        """Energy delivered at the charger's output."""
        return self.circuit.energy_wh

    def advance(self, now: float) -> None:
        """Let time pass."""
        self.circuit.advance(now)

    # --- people --------------------------------------------------------------------------------

    def plug(self) -> None:
        """Put the connector into the inlet."""
        self.pilot.plugged = True
        self.powerline.set_coupling(0, 1, COUPLING_DB)
        self.on_change()

    def unplug(self) -> None:
        """Pull the connector (also under load: that is what a test does)."""
        self.pilot.plugged = False
        self.powerline.set_coupling(0, 1, None)
        self.on_change()

    def press_emergency_stop(self) -> None:
        """Press the charger's emergency stop."""
        self.emergency_stop = True
        self.on_change()

    def drop_watchdog(self) -> None:
        """Do what the external watchdog does when the realtime process is gone: all off."""
        self.circuit.evse_contactors.set_closed(False)
        self.circuit.setpoint = SetOutput(0.0, 0.0, on=False)
        self.pilot.duty = 1.0

    # --- hardware ------------------------------------------------------------------------------

    def evse_inputs(self, now: float) -> EvseInputs:
        """Everything the charger's hardware tells."""
        return EvseInputs(
            self.pilot.pilot_sample(now),
            self.module.read(now),
            self.evse_contactors.read(now),
            self.isolation.read(now),
            self.module.envelope(now),
            self.emergency_stop,
        )

    def pev_inputs(self, now: float) -> PevInputs:
        """Everything the vehicle's hardware tells."""
        return PevInputs(
            self.pilot.inlet_sample(now),
            self.inlet_contactors.read(now),
            self.vehicle.read(now),
        )

    def carry_out(self, side: str, output: Output, now: float) -> None:
        """Do what a realtime core commands its hardware to do."""
        contactors = self.evse_contactors if side == "evse" else self.inlet_contactors
        match output:
            case SetOutput():
                self.module.set_output(output, now)
            case SetDuty():
                self.pilot.duty = output.duty
                self.on_change()
            case SetS2():
                self.pilot.s2_closed = output.closed
                self.on_change()
            case CloseContactors():
                self.advance(now)
                contactors.set_closed(True)
            case OpenContactors():
                self.advance(now)
                contactors.set_closed(False)
            case StartIsolationTest():
                self.isolation.start_test()


COUPLING_DB = 12.0
"""A cable of 5 m: real cars report 8 to 41 dB."""
MODEM_RESTART_S = 0.8
"""A real QCA7420 restarts for 3 to 5 s after a key, a QCA7005 in about one."""
TARGET_MARGIN_V = 5.0
"""EVTargetVoltage below the battery's maximum."""
