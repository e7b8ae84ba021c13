"""A bench: one of our controllers, and a real peer that is only there on the network.

A peer on the wire moves no pilot, no contactor and no current here, so a stand-in does, by what it
says: at our charger a car with a battery at the voltage that the peer asks for in pre-charge; at
our car a charger whose output is what the peer's answers tell (a cable made of messages). What our
own controller does with it is not softened: its interlock, limits and times are the real ones.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from controller.cp.current import current_of_duty_a
from controller.power.sim_battery import SimBattery
from controller.signals import (
    DUTY_DIGITAL,
    POWER_PHASES,
    ChargerReported,
    CloseContactors,
    MessageReceived,
    OpenContactors,
    Output,
    Phase,
    SetDuty,
    SetOutput,
    V2gPhaseChanged,
    VehicleReported,
)
from controller.sim import World

if TYPE_CHECKING:
    from controller.config import CarConfig, ChargerConfig

RELEASE_S = 0.3
"""A stand-in car opens S2 this long after the charge: welding detection needs state B."""
DRAW_AFTER_S = 1.0
"""A stand-in car at an AC charger closes S2 this long after a current was offered."""
BELOW_TARGET_V = 5.0
"""A stand-in battery is this much below the voltage asked for in pre-charge: current can flow."""
CLOSE_WITHIN_V = 20.0
"""A car closes its contactors when inlet and battery differ by less (IEC 61851-23)."""
MESSAGE_SLEW_V_PER_S = 10_000.0
"""A charger made of messages ramps as fast as it says it does."""
CONTACT_PHASES = frozenset({Phase.PRE_CHARGE, Phase.CHARGE})


class CarBench(World):
    """Our charger, and a stand-in car: S2 and contactors follow the session."""

    def __init__(self, charger: ChargerConfig, car: CarConfig, seed: int = 1) -> None:
        super().__init__(charger, car, seed)
        self._phase = Phase.IDLE
        self._release_at = inf
        self._draw_at = inf

    def carry_out(self, side: str, output: Output, now: float) -> None:
        """Do what the charger commands; at an AC charger the stand-in car reads the pilot."""
        super().carry_out(side, output, now)
        if self.ac is not None and isinstance(output, SetDuty):
            self._draw_at = now + DRAW_AFTER_S if current_of_duty_a(output.duty) else inf
            if self._draw_at == inf:
                self._draw(0.0, now)
            elif self.ac.limit_a:
                self._draw(current_of_duty_a(output.duty), now)

    def _draw(self, current_a: float, now: float) -> None:
        self._limit_onboard(current_a, now)
        self._switch_s2(closed=current_a > 0.0)

    def observe(self, node: str, item: Output, now: float) -> None:
        """Follow the session."""
        match item:
            case MessageReceived(name="CableCheckReq"):
                self._release_at = inf
                self._switch_s2(closed=True)
            case VehicleReported() if self._phase is Phase.PRE_CHARGE:
                self._place_battery(item.target_voltage_v)
            case V2gPhaseChanged():
                self._phase = item.phase
                if item.phase not in POWER_PHASES:
                    self.advance(now)
                    self.circuit.inlet_contactors.set_closed(False)
                    self._release_at = now + RELEASE_S

    def advance(self, now: float) -> None:
        """Let time pass, and let the stand-in act."""
        if now >= self._release_at:
            self._release_at = inf
            self._switch_s2(closed=False)
        if now >= self._draw_at and self.pilot.plugged:
            self._draw_at = inf
            self._draw(current_of_duty_a(self.pilot.duty), now)
        super().advance(now)
        circuit = self.circuit
        if self._phase in CONTACT_PHASES and not circuit.inlet_contactors.commanded:
            near = abs(circuit.voltage_v - self.battery.open_voltage_v) < CLOSE_WITHIN_V
            if near and circuit.evse_contactors.is_closed:
                circuit.inlet_contactors.set_closed(True)

    def _switch_s2(self, *, closed: bool) -> None:
        if self.pilot.s2_closed is not closed:
            self.pilot.s2_closed = closed
            self.on_change()

    def _place_battery(self, target_v: float) -> None:
        """Give the stand-in car a battery of this voltage, as long as nothing hangs on it."""
        voltage_v = max(1.0, target_v - BELOW_TARGET_V)
        battery, contactors = self.battery, self.circuit.inlet_contactors
        if contactors.commanded or contactors.is_closed or battery.open_voltage_v == voltage_v:
            return
        self.battery = self.circuit.battery = SimBattery(
            battery.soc_percent,
            battery.capacity_wh,
            resistance_ohm=battery.resistance_ohm,
            maximum_voltage_v=max(target_v, 1.0),
            target_voltage_v=target_v,
            maximum_current_a=battery.maximum_current_a,
            maximum_power_w=battery.maximum_power_w,
            open_voltage=((0.0, voltage_v), (100.0, voltage_v)),
        )


class ChargerBench(World):
    """Our car, and a stand-in charger: 5 % on the pilot, and at the inlet what the peer reports."""

    def __init__(self, charger: ChargerConfig, car: CarConfig, seed: int = 1) -> None:
        super().__init__(charger, car, seed)
        self.circuit.voltage_slew_v_per_s = MESSAGE_SLEW_V_PER_S
        self.interlock.fitted = False  # the stand-in's own affair
        self._phase = Phase.IDLE
        self._reported = ChargerReported(0.0, 0.0, "")

    def plug(self) -> None:
        """Plug in; the stand-in charger drives 5 % from then on."""
        self.pilot.duty = DUTY_DIGITAL
        super().plug()

    def observe(self, node: str, item: Output, now: float) -> None:
        """Follow the session, and the charger's answers."""
        if isinstance(item, ChargerReported):
            self._reported = item
        elif isinstance(item, V2gPhaseChanged):
            self.advance(now)
            self._phase = item.phase
            if item.phase not in POWER_PHASES:
                self._reported = ChargerReported(0.0, 0.0, "")
            closed = item.phase in POWER_PHASES
            self.carry_out("evse", CloseContactors() if closed else OpenContactors(""), now)

    def advance(self, now: float) -> None:
        """Let time pass; the output is what the last answer said."""
        self.circuit.heard_at = now
        self.circuit.setpoint = self._setpoint()
        super().advance(now)

    def _setpoint(self) -> SetOutput:
        told = self._reported
        if self._phase is Phase.PRE_CHARGE:
            return SetOutput(told.voltage_v, 2.0, on=True)
        if self._phase is Phase.CHARGE:  # the battery holds the voltage; the current is the news
            return SetOutput(self.battery.maximum_voltage_v, max(0.0, told.current_a), on=True)
        return SetOutput(0.0, 0.0, on=False)
