"""The AC side of a charger and a car, simulated: mains, RCD, contactor, cable, on-board charger.

`AcCircuit` stands beside the DC circuit: the contactor is that of the charger's outlet, the battery
is the car's. It is advanced like the DC circuit, and a longer step ends in the same place: the
current moves along a straight line to where it settles. Faults are attributes; set them at any
instant: `phases` (mains phases that are there), `rcd_tripped`, `pole_welded` (one pole hangs, the
mirror contact does not show it), `cable_ohm`, `silent` (nothing of this can be read), and of the
car `ignores_limit` (draws what it likes).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from controller.signals import AcReading, OutputReading

if TYPE_CHECKING:
    from controller.power.sim import SimContactors
    from controller.power.sim_battery import SimBattery

RISE_A_PER_S = 8.0
"""On-board chargers start softly."""
FALL_A_PER_S = 200.0
"""And end quickly when they are told to: 32 A in 0.16 s."""
MAINS_PHASES = 3
LEAST_A = 0.05
"""Less is no current."""


class AcCircuit:
    """Mains, contactor, cable and on-board charger; `limit_a` is what the car commands of it."""

    def __init__(
        self,
        battery: SimBattery,
        contactors: SimContactors,
        *,
        mains_v: float = 230.0,
        cable_ohm: float = 220.0,
        onboard_a: float = 16.0,
        onboard_phases: int = 3,
        efficiency: float = 0.92,
    ) -> None:
        self.battery = battery
        self.contactors = contactors
        self.mains_v = mains_v
        self.cable_ohm = cable_ohm
        self.onboard_a = onboard_a
        self.onboard_phases = onboard_phases
        self.efficiency = efficiency
        self.phases = MAINS_PHASES
        self.rcd_tripped = False
        self.pole_welded = False
        self.silent = False
        self.ignores_limit = False
        self.limit_a = 0.0
        self.current_a = 0.0
        self.energy_wh = 0.0
        self.worst_opening_current_a = 0.0
        self._was_closed = False
        self._now: float | None = None
        self._reading_at = 0.0

    @property
    def is_live(self) -> bool:
        """Whether there is voltage behind the contactor."""
        return self.phases > 0 and (self.contactors.is_closed or self.pole_welded)

    @property
    def phases_used(self) -> int:
        """How many phases the on-board charger draws from."""
        return min(self.phases, self.onboard_phases)

    @property
    def power_w(self) -> float:
        """Active power at the meter."""
        return self.current_a * self.phases_used * self.mains_v

    @property
    def target_a(self) -> float:
        """Where the current settles."""
        if not self.contactors.is_closed or not self.phases:
            return 0.0
        if self.ignores_limit:
            return self.onboard_a
        battery = self.battery
        accepted_w = battery.accepted_current_a * battery.open_voltage_v
        accepted_a = accepted_w / (self.efficiency * self.phases_used * self.mains_v)
        return min(self.limit_a, self.onboard_a, accepted_a)

    @property
    def is_steady(self) -> bool:
        """Whether contactor and current are where they will stay."""
        moves = self.contactors.is_closed is not self.contactors.commanded
        return not moves and abs(self.current_a - self.target_a) < LEAST_A

    def advance(self, now: float) -> None:
        """Bring the circuit to `now`; the contactor has been brought there before."""
        if self._now is None:
            self._now = now
        elapsed_s = now - self._now
        closed = self.contactors.is_closed
        if self._was_closed and not closed:
            self.worst_opening_current_a = max(self.worst_opening_current_a, self.current_a)
        self._was_closed = closed
        if not closed or not self.phases:
            self.current_a = 0.0  # nothing flows through an open contact
        if elapsed_s <= 0.0:
            return
        self._now = now
        target_a = self.target_a
        if self.current_a or target_a:
            self._run(target_a, elapsed_s)

    def _run(self, target_a: float, elapsed_s: float) -> None:
        start_a = self.current_a
        slew = RISE_A_PER_S if target_a > start_a else -FALL_A_PER_S
        settle_s = (target_a - start_a) / slew if target_a != start_a else 0.0
        if settle_s <= elapsed_s:
            end_a = target_a
            charge_as = (start_a + end_a) / 2 * settle_s + end_a * (elapsed_s - settle_s)
        else:
            end_a = start_a + slew * elapsed_s
            charge_as = (start_a + end_a) / 2 * elapsed_s
        self.current_a = end_a
        energy_ws = charge_as * self.phases_used * self.mains_v
        self.energy_wh += energy_ws / 3600.0
        self.battery.charge(energy_ws * self.efficiency / self.battery.open_voltage_v)

    def read(self, now: float) -> AcReading:
        """What the charger's inputs tell; nothing new while they are silent."""
        if not self.silent:
            self._reading_at = now
        return AcReading(
            self.cable_ohm,
            self.rcd_tripped,
            self.is_live,
            self.phases,
            self.current_a,
            self._reading_at,
            valid=not self.silent,
            power_w=self.power_w,
        )

    def read_output(self, now: float) -> OutputReading:
        """What the outlet carries: volts and amperes of one phase."""
        return OutputReading(self.mains_v if self.is_live else 0.0, self.current_a, now)
