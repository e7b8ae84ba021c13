"""The pilot circuit between a charger and a car, simulated: levels, faults, noise.

Static levels with one exception: the cable's capacitance rounds a short pulse, and the peak
detector sees what the pulse reaches. Levels are worked out only when something changes, so reading
costs next to nothing. Noise comes from the injected `rng`; without one there is none.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from math import exp

from controller.cp import limits
from controller.cp.proximity import OPEN_OHM
from controller.plc.sim import noise_of
from controller.signals import (
    DUTY_STEADY_HIGH,
    DUTY_STEADY_LOW,
    DutyCycle,
    InletSample,
    PilotSample,
)

Rng = Callable[[int], bytes]
_FAR_ABOVE_OHM = 1e9


class Diode(Enum):
    """The diode in the vehicle's inlet."""

    GOOD = "good"
    SHORTED = "shorted"
    OPEN = "open"


class PilotCircuit:
    """One charger's pilot, one cable, one vehicle; set the attributes, then read the samples.

    `proximity_ohm` is the plug's resistor (None: the vehicle sees only whether it is plugged).
    Faults: `frequency_hz` of the oscillator, `short_ohm` from CP to PE, `diode`, `wire_open` (CP
    broken, PP still there), `supply_v` (generator's positive supply), `negative_supply_v`.
    """

    def __init__(
        self, rng: Rng | None = None, noise_v: float = 0.03, ventilation: bool = False
    ) -> None:
        self._noise = noise_of(rng)
        self._noise_v = noise_v
        self._levels: tuple[float, float, float] | None = None
        self.duty: DutyCycle = DUTY_STEADY_HIGH
        self.frequency_hz = 1000.0
        self.proximity_ohm: float | None = None
        self.plugged = False
        self.s2_closed = False
        self.r3_ohm = limits.R3_VENTILATION_OHM if ventilation else limits.R3_OHM
        self.r2_ohm = limits.R2_OHM
        self.diode = Diode.GOOD
        self.wire_open = False
        self.short_ohm: float | None = None
        self.supply_v = limits.GENERATOR_V
        self.negative_supply_v = -limits.GENERATOR_V

    def __setattr__(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)
        if name != "_levels":
            object.__setattr__(self, "_levels", None)

    def pilot_sample(self, now: float) -> PilotSample:
        """Return what the charger's peak detectors show."""
        high_v, low_v, _ = self._levels or self._work_out()
        noise, noise_v = self._noise, self._noise_v
        return PilotSample(high_v + next(noise) * noise_v, low_v + next(noise) * noise_v, now)

    def inlet_sample(self, now: float) -> InletSample:
        """Return what the vehicle measures at its inlet."""
        _, _, inlet_v = self._levels or self._work_out()
        duty = self.duty if inlet_v >= limits.INLET_PRESENT_V else DUTY_STEADY_LOW
        inlet_v += next(self._noise) * self._noise_v
        ohm = self.proximity_ohm
        if ohm is not None and not self.plugged:
            ohm = OPEN_OHM
        if inlet_v < 0.0:
            inlet_v = 0.0
        return InletSample(inlet_v, duty, self.plugged, now, self.frequency_hz, ohm)

    @property
    def is_changed(self) -> bool:
        """Whether something was set since anyone looked."""
        return self._levels is None

    @property
    def peaks(self) -> tuple[float, float]:
        """Voltages of the high and the low phase on CP, without noise."""
        high_v, low_v, _ = self._levels or self._work_out()
        return high_v, low_v

    # --- inside ---------------------------------------------------------------------------------

    def _work_out(self) -> tuple[float, float, float]:
        high_v = self._loaded(self.supply_v)
        low_v = self._loaded(self.negative_supply_v)
        on_s = self.duty * limits.PWM_PERIOD_S
        if self.duty >= DUTY_STEADY_HIGH:
            low_v = high_v
        elif self.duty <= DUTY_STEADY_LOW:
            high_v = low_v
        else:
            tau_s = limits.SOURCE_OHM * self.capacitance_f
            swing_v = high_v - low_v
            high_v -= swing_v * exp(-on_s / tau_s)
            low_v += swing_v * exp(-(limits.PWM_PERIOD_S - on_s) / tau_s)
        drop_v = 0.0 if self.diode is Diode.SHORTED else limits.DIODE_DROP_V
        inlet_v = high_v - drop_v if self.is_connected and self.diode is not Diode.OPEN else 0.0
        self._levels = (high_v, low_v, max(0.0, inlet_v))
        return self._levels

    @property
    def is_connected(self) -> bool:
        """Whether CP reaches the vehicle."""
        return self.plugged and not self.wire_open

    def _loaded(self, source_v: float) -> float:
        """Solve source, short and vehicle (diode in series) for the voltage on CP."""
        open_v, _ = self.rests_at(source_v, conducting=False)
        if not self.conducts_at(open_v):
            return open_v
        return self.rests_at(source_v, conducting=True)[0]

    def conducts_at(self, cp_v: float) -> bool:
        """Whether the vehicle's diode conducts with this voltage on CP."""
        if not self.is_connected or self.diode is Diode.OPEN:
            return False
        return self.diode is Diode.SHORTED or cp_v > limits.DIODE_DROP_V

    def rests_at(self, source_v: float, *, conducting: bool) -> tuple[float, float]:
        """Where CP comes to rest with the diode so, and the conductance there (siemens)."""
        conductance = 1.0 / limits.SOURCE_OHM + 1.0 / (self.short_ohm or _FAR_ABOVE_OHM)
        current_a = source_v / limits.SOURCE_OHM
        if conducting:
            drop_v = 0.0 if self.diode is Diode.SHORTED else limits.DIODE_DROP_V
            load = 1.0 / self.r2_ohm + (1.0 / self.r3_ohm if self.s2_closed else 0.0)
            conductance += load
            current_a += drop_v * load
        return current_a / conductance, conductance

    @property
    def capacitance_f(self) -> float:
        """Of cable and charger, and of the vehicle where it is connected."""
        return limits.CABLE_CAPACITANCE_F + self.is_connected * limits.VEHICLE_CAPACITANCE_F


class SimEvsePilot:
    """`EvsePilotPort` on a simulated circuit."""

    def __init__(self, circuit: PilotCircuit) -> None:
        self.circuit = circuit

    def set_duty(self, duty: DutyCycle) -> None:
        """Drive the circuit."""
        self.circuit.duty = duty

    def read(self, now: float) -> PilotSample:
        """Read the peak detectors."""
        return self.circuit.pilot_sample(now)


class SimPevPilot:
    """`PevPilotPort` on a simulated circuit."""

    def __init__(self, circuit: PilotCircuit) -> None:
        self.circuit = circuit

    def set_s2(self, closed: bool) -> None:
        """Switch S2."""
        self.circuit.s2_closed = closed

    def read(self, now: float) -> InletSample:
        """Measure the inlet."""
        return self.circuit.inlet_sample(now)
