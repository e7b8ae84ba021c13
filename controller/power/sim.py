"""The DC side of a charger and a car, simulated: module, contactors, cable, battery, monitor.

`DcCircuit` couples the parts and is advanced analytically: voltages follow exponentials and
straight lines, the current a straight line to where it settles, so a step of 5 ms and one of 250 ms
end in the same place (a contact that moves within a step splits it). Nothing runs by itself: every
port's `read(now)` advances the circuit to `now`. Faults are attributes; set them at any instant.

There are three nodes: the module's output (before the charger's contactors), the inlet (cable and
vehicle, before the vehicle's contactors) and the battery.
"""

from __future__ import annotations

from collections.abc import Callable
from math import exp, inf

from controller.plc.sim import noise_of
from controller.power.sim_battery import SimBattery
from controller.signals import (
    ContactorReading,
    InletReport,
    IsolationReading,
    OutputReading,
    PowerEnvelope,
    SetOutput,
)

Rng = Callable[[int], bytes]
ENVELOPE = PowerEnvelope(150.0, 500.0, 0.0, 125.0, 50_000.0)


class SimContactors:
    """`ContactorPort`: a pair of contactors with delays.

    Faults: `welded` (stays closed once closed), `stuck_open`, `feedback_stuck` (True or False).
    """

    def __init__(self, close_s: float = 0.03, open_s: float = 0.02) -> None:
        self.close_s = close_s
        self.open_s = open_s
        self.welded = False
        self.stuck_open = False
        self.feedback_stuck: bool | None = None
        self.commanded = False
        self.is_closed = False
        self.operations = 0
        self.moves_at = inf
        """When the contacts follow the command; infinity when they have."""
        self.now = 0.0
        """The last time that anything was known of the coils."""

    def set_closed(self, closed: bool) -> None:
        """Drive the coils, as of the last time the circuit was advanced."""
        if closed is self.commanded:
            return
        self.commanded = closed
        self.moves_at = self.now + (self.close_s if closed else self.open_s)

    def read(self, now: float) -> ContactorReading:
        """Mirror-contact feedback."""
        if now > self.now or now >= self.moves_at:
            self.move(now)
        closed = self.is_closed if self.feedback_stuck is None else self.feedback_stuck
        return ContactorReading(closed, now)

    def move(self, now: float) -> None:
        """Let time pass."""
        if now > self.now:
            self.now = now
        if now >= self.moves_at:
            self._follow()

    def _follow(self) -> None:
        """Let the contacts do what the coils say."""
        self.moves_at = inf
        blocked = self.stuck_open if self.commanded else self.welded
        if not blocked and self.is_closed is not self.commanded:
            self.is_closed = self.commanded
            self.operations += 1


class DcCircuit:
    """Module output, charger's contactors, cable, vehicle's contactors, battery.

    `load_ohm` is a resistor (or short circuit) across the cable. Recorded for tests: the highest
    voltage step at a closing contact and the highest current at an opening one.
    """

    cable_ohm = 0.02
    output_capacity_f = 470e-6
    voltage_slew_v_per_s = 400.0  # soft start of the module
    current_rise_a_per_s = 500.0
    current_fall_a_per_s = 5000.0
    discharge_s = 0.15  # active discharge of a module that is off: 500 V to 60 V in 0.32 s
    bleed_s = 0.6  # a module that is on, above its set-point, without load
    inlet_decay_s = 0.3
    self_off_s = 10.0  # a module that hears nothing switches off

    def __init__(self, battery: SimBattery | None = None) -> None:
        self.battery = battery or SimBattery()
        self.evse_contactors = SimContactors()
        self.inlet_contactors = SimContactors()
        self.setpoint = SetOutput(0.0, 0.0, False)
        self.envelope = ENVELOPE
        self.silent = False
        self.enabled = True
        """The module's enable input, from the hardware interlock."""
        self.over_voltage_v = 0.0
        self.load_ohm: float | None = None
        self.voltage_v = 0.0
        self.current_a = 0.0
        self.inlet_voltage_v = 0.0
        self.energy_wh = 0.0
        self.worst_closing_step_v = 0.0
        self.worst_opening_current_a = 0.0
        self.now: float | None = None
        self.heard_at = 0.0

    # --- topology --------------------------------------------------------------------------------

    @property
    def is_linked(self) -> bool:
        """Whether the module is connected to the battery."""
        return self.evse_contactors.is_closed and self.inlet_contactors.is_closed

    def advance(self, now: float) -> None:
        """Bring the circuit to `now`; going back is ignored."""
        if self.now is None:
            self.now = self.heard_at = now
        evse, inlet = self.evse_contactors, self.inlet_contactors
        while evse.moves_at <= now or inlet.moves_at <= now:
            self._run(max(min(evse.moves_at, inlet.moves_at), self.now))
            self._move_contacts(self.now)
        if now > self.now:
            self._run(now)
            evse.now = inlet.now = now  # no contact moves by then

    def _move_contacts(self, now: float) -> None:
        evse, inlet = self.evse_contactors, self.inlet_contactors
        before = (evse.is_closed, inlet.is_closed)
        evse.move(now)
        inlet.move(now)
        after = (evse.is_closed, inlet.is_closed)
        if after == before:
            return
        if evse.is_closed and not before[0]:
            self._record_step(self.voltage_v - self.inlet_voltage_v)
        if inlet.is_closed and not before[1]:
            self._record_step(self.inlet_voltage_v - self.battery.open_voltage_v)
        if before == (True, True):
            self.worst_opening_current_a = max(self.worst_opening_current_a, abs(self.current_a))
            self.current_a = 0.0
        self._settle_nodes()

    def _record_step(self, step_v: float) -> None:
        self.worst_closing_step_v = max(self.worst_closing_step_v, abs(step_v))

    def _settle_nodes(self) -> None:
        if self.inlet_contactors.is_closed:
            self.inlet_voltage_v = self.battery.open_voltage_v
            if self.evse_contactors.is_closed:
                self.voltage_v = max(self.voltage_v, self.inlet_voltage_v)
        elif self.evse_contactors.is_closed:
            # The module's capacitor is far larger than the cable's.
            self.inlet_voltage_v = self.voltage_v

    # --- physics ---------------------------------------------------------------------------------

    def _effective(self) -> tuple[float, float, bool]:
        """Voltage, current and on, as the module understands them."""
        assert self.now is not None
        setpoint, envelope = self.setpoint, self.envelope
        hears = self.now - self.heard_at <= self.self_off_s
        if not (setpoint.on and self.enabled and hears):
            return 0.0, 0.0, False
        voltage_v, current_a = setpoint.voltage_v, setpoint.current_a
        if voltage_v > envelope.maximum_voltage_v:
            voltage_v = envelope.maximum_voltage_v
        if current_a > envelope.maximum_current_a:
            current_a = envelope.maximum_current_a
        return voltage_v + self.over_voltage_v, current_a, True

    def _run(self, until: float) -> None:
        assert self.now is not None
        elapsed_s = until - self.now
        if elapsed_s <= 0.0:
            return
        if self.evse_contactors.is_closed and self.inlet_contactors.is_closed:
            self._run_linked(elapsed_s)
        else:
            self._run_unloaded(elapsed_s)
        self.now = until

    def _run_linked(self, elapsed_s: float) -> None:
        voltage_v, current_a, on = self._effective()
        battery, cable_ohm = self.battery, self.cable_ohm
        open_v = battery.open_voltage_v
        resistance = battery.resistance_ohm + cable_ohm
        target_a = 0.0
        if on:
            by_voltage = (voltage_v - open_v) / resistance
            carried_v = self.voltage_v
            by_power = self.envelope.maximum_power_w / (carried_v if carried_v > 1.0 else 1.0)
            target_a = by_voltage if by_voltage < current_a else current_a
            if by_power < target_a:
                target_a = by_power
            if not target_a > 0.0:
                target_a = 0.0
        start_a = self.current_a
        if start_a == target_a:
            end_a, charge_as = target_a, target_a * elapsed_s
        else:
            end_a, charge_as = self._approach(start_a, target_a, elapsed_s)
        self.current_a = end_a
        mean_a = charge_as / elapsed_s
        terminal_v = open_v + mean_a * battery.resistance_ohm
        self.energy_wh += (terminal_v + mean_a * cable_ohm) * charge_as / 3600.0
        battery.charge(charge_as)
        self.inlet_voltage_v = battery.open_voltage_v + end_a * battery.resistance_ohm
        self.voltage_v = self.inlet_voltage_v + end_a * cable_ohm

    def _approach(self, start_a: float, target_a: float, elapsed_s: float) -> tuple[float, float]:
        """Return the current at the end of a step, and the charge that has flown."""
        slew = self.current_rise_a_per_s if target_a > start_a else self.current_fall_a_per_s
        settle_s = abs(target_a - start_a) / slew
        if settle_s <= elapsed_s:
            charge_as = (start_a + target_a) / 2 * settle_s + target_a * (elapsed_s - settle_s)
            return target_a, charge_as
        end_a = start_a + (slew if target_a > start_a else -slew) * elapsed_s
        return end_a, (start_a + end_a) / 2 * elapsed_s

    def _run_unloaded(self, elapsed_s: float) -> None:
        voltage_v, current_a, on = self._effective()
        start_v = self.voltage_v
        loaded = self.load_ohm if self.evse_contactors.is_closed else None
        if loaded is not None and on:
            voltage_v = min(voltage_v, current_a * loaded)
        if on and voltage_v > start_v:
            slew = min(current_a / self.output_capacity_f, self.voltage_slew_v_per_s)
            self.voltage_v = min(voltage_v, start_v + slew * elapsed_s)
        else:
            tau_s = self.bleed_s if on else self.discharge_s
            self.voltage_v = voltage_v + (start_v - voltage_v) * exp(-elapsed_s / tau_s)
        if loaded is not None:
            self.current_a = self.voltage_v / loaded
        else:
            rise_v = max(0.0, self.voltage_v - start_v)
            self.current_a = rise_v * self.output_capacity_f / elapsed_s
        if self.evse_contactors.is_closed:
            self.inlet_voltage_v = self.voltage_v
        elif self.inlet_contactors.is_closed:
            self.inlet_voltage_v = self.battery.open_voltage_v
        else:
            self.inlet_voltage_v *= exp(-elapsed_s / self.inlet_decay_s)


class SimPowerModule:
    """`PowerModulePort` on the circuit.

    Faults: `circuit.silent` (hears and says nothing, switches itself off after 10 s),
    `circuit.over_voltage_v` (added to the set-point). Noise needs an `rng`.
    """

    def __init__(
        self,
        circuit: DcCircuit,
        rng: Rng | None = None,
        noise_v: float = 0.2,
        noise_a: float = 0.05,
    ) -> None:
        self.circuit = circuit
        self._noise = noise_of(rng)
        self._noise_v = noise_v
        self._noise_a = noise_a

    def set_output(self, setpoint: SetOutput, now: float) -> None:
        """Take a set-point."""
        circuit = self.circuit
        circuit.advance(now)
        if not circuit.silent:
            circuit.setpoint, circuit.heard_at = setpoint, now

    def read(self, now: float) -> OutputReading:
        """Measure the output."""
        circuit = self.circuit
        circuit.advance(now)
        if circuit.silent:
            return OutputReading(0.0, 0.0, now, valid=False)
        noise = self._noise
        return OutputReading(
            circuit.voltage_v + next(noise) * self._noise_v,
            circuit.current_a + next(noise) * self._noise_a,
            now,
        )

    def envelope(self, now: float) -> PowerEnvelope:
        """What the module can deliver."""
        if self.circuit.silent:
            return PowerEnvelope(0.0, 0.0, 0.0, 0.0, 0.0)
        return self.circuit.envelope


class SimCircuitContactors:
    """`ContactorPort` of one side of the circuit: like the contacts, but in step with it."""

    def __init__(self, circuit: DcCircuit, contactors: SimContactors) -> None:
        self.circuit = circuit
        self.contactors = contactors

    def set_closed(self, closed: bool) -> None:
        """Drive the coils."""
        self.contactors.set_closed(closed)

    def read(self, now: float) -> ContactorReading:
        """Mirror-contact feedback."""
        if self.circuit.now != now:
            self.circuit.advance(now)
        return self.contactors.read(now)


class SimIsolationMonitor:
    """`IsolationPort`: self-test, then a measurement every half second.

    Faults: `resistance_ohm`, `self_test_fails`, `silent`.
    """

    self_test_s = 2.0
    period_s = 0.5

    def __init__(self, resistance_ohm: float = 2_000_000.0) -> None:
        self.resistance_ohm = resistance_ohm
        self.self_test_fails = False
        self.silent = False
        self._start_wanted = False
        self._started_at: float | None = None
        self._reading = IsolationReading(0.0, self_test_ok=False, taken_at=0.0, valid=False)
        self._due_at = -inf
        """When the next measurement is there, about."""

    def start_test(self) -> None:
        """Begin with the next read."""
        self._start_wanted, self._due_at = True, -inf

    def read(self, now: float) -> IsolationReading:
        """Latest measurement; not valid until the first one after `start_test`."""
        if now < self._due_at:
            return self._reading
        if self._start_wanted:
            self._start_wanted, self._started_at = False, now
            self._reading = IsolationReading(0.0, self_test_ok=False, taken_at=now, valid=False)
        if self._started_at is None or self.silent:
            return self._reading
        periods = int((now - self._started_at - self.self_test_s) / self.period_s + 1e-9)
        taken_at = self._started_at + self.self_test_s + periods * self.period_s
        if now >= self._started_at + self.self_test_s and taken_at > self._reading.taken_at:
            self._reading = IsolationReading(
                self.resistance_ohm, not self.self_test_fails, min(taken_at, now)
            )
            self._due_at = taken_at + (1.0 - 1e-6) * self.period_s
        return self._reading


class SimEmergencyStop:
    """`EmergencyStopPort`: an attribute."""

    def __init__(self) -> None:
        self.is_pressed = False

    def pressed(self) -> bool:
        """Return True when the chain is open."""
        return self.is_pressed


class SimVehicle:
    """`VehiclePort`: the car's battery management and its inlet measurements.

    Faults: `fault` (the battery does not allow charging), `silent` (values grow old).
    """

    def __init__(self, circuit: DcCircuit) -> None:
        self.circuit = circuit
        self.fault = False
        self.silent = False
        self._report: InletReport | None = None

    def read(self, now: float) -> InletReport:
        """Latest values."""
        if self.silent and self._report is not None:
            return self._report
        circuit = self.circuit
        if circuit.now != now:
            circuit.advance(now)
        battery = circuit.battery
        closed = circuit.inlet_contactors.is_closed
        linked = closed and circuit.evse_contactors.is_closed
        current_a = circuit.current_a if linked else 0.0
        # In the order of the fields: keywords take twice as long, and this is read every period.
        self._report = report = InletReport(
            circuit.inlet_voltage_v,
            current_a,
            battery.open_voltage_v + current_a * battery.resistance_ohm,
            battery.soc_percent,
            battery.maximum_voltage_v,
            battery.maximum_current_a,
            battery.target_voltage_v,
            battery.accepted_current_a,
            closed,
            not self.fault,  # ready
            now,
            battery.capacity_wh,
            battery.maximum_power_w,
        )
        return report
