"""The vehicle's board behind the pins: the pilot that arrives, S2, contactors, PP (core).

The charger at the other end is a generator whose duty people set (`console`), and its cable. The
vehicle's own interlock is a watchdog in series with the contactor coils.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from controller.cp import limits, proximity
from controller.cp.sim import Diode
from controller.cp.sim_front_end import BLED, Parts
from controller.pigpiod.courses import LOW, NS, Course, pulses, to_ns
from controller.pigpiod.scene import Scene
from controller.power.sim_interlock import SimWatchdog
from controller.signals import SetOutput

if TYPE_CHECKING:
    from collections.abc import Callable

    from controller.board import Side
    from controller.pigpiod.scene import Rng
    from controller.signals import Output
    from controller.sim import World

PLUG_OHM = 1500.0
"""Resistor in the plug of a DC charger (CCS2)."""


class VehicleScene(Scene):
    """A vehicle's board with everything around it."""

    def __init__(
        self,
        side: Side,
        world: World,
        rng: Rng,
        *,
        parts: Parts = BLED,
    ) -> None:
        self.world = world
        self.watchdog = SimWatchdog()
        super().__init__(side, world.pilot, rng, parts, at_inlet=True)
        self.plug_ohm = PLUG_OHM
        self.tell: Callable[[float, str], object] = lambda now, text: None
        """Told of what can be seen or heard: S2, chain, contactors."""
        self._commanded = False
        self._edge_level: int | None = None
        self._told: dict[str, str] = {}
        self.set_duty(1.0, 0)
        self.follow(0)

    def set_duty(self, duty: float, at: int, hertz: float = 1.0 / limits.PWM_PERIOD_S) -> None:
        """Let the charger drive its pilot so."""
        period = round(NS / hertz)
        self.advance(at)
        self.generate(pulses(at, period, round(duty * period)), at)

    # --- what the Pi drives ---------------------------------------------------------------------

    def driven(self, name: str, course: Course | None, at: int) -> None:
        """S2, watchdog, contactors."""
        if name == "s2":
            self.pilot.s2_closed = self.is_active(name, course, at)
        elif name == "contactors":
            self._commanded = self.is_active(name, course, at)
        elif name == "watchdog":
            self.watchdog.toggle(self.toggles(course, at), at / NS)
            level = None if course is None else course.level(at)
            if level is not None and level != self._edge_level:
                self.watchdog.edge(at / NS)
            self._edge_level = level

    # --- what the Pi reads ----------------------------------------------------------------------

    def next_times(self) -> list[float]:
        """Watchdog and contacts."""
        circuit = self.world.circuit
        now = circuit.now or 0.0
        contacts = (circuit.inlet_contactors.moves_at, circuit.evse_contactors.moves_at)
        return [self.watchdog.next_change(now), *contacts]

    def follow(self, at: int) -> None:
        """Bring the site to `at` and set the pins."""
        now, world = at / NS, self.world
        world.circuit.advance(now)
        chain_closed = self.watchdog.is_closed(now)
        world.inlet_contactors.set_closed(self._commanded and chain_closed)
        self.put("chain_closed", chain_closed)
        self.put("contactors_open", not world.inlet_contactors.read(now).closed)
        self.put_course("pilot_edges", self.comparator() if self._is_seen else LOW)
        self.front.ripple = self.pilot.plugged
        self._tell_changes(now, chain_closed)

    # --- what is not on the board ---------------------------------------------------------------

    def site_signals(self, now: float) -> list[Output]:
        """Tell of battery and inlet, for who has no driver of a real one; the pins follow, too."""
        self.advance(to_ns(now))
        return [self.world.vehicle.read(now)]

    def carry_out(self, command: Output, now: float) -> None:
        """Take nothing: a battery has no orders."""

    def set_charger_output(self, voltage_v: float, current_a: float, now: float) -> None:
        """Let the charger's DC output carry this; 0 V: off, its contactors open."""
        world, on = self.world, voltage_v > 0.0
        world.circuit.advance(now)
        world.evse_contactors.set_closed(on)
        world.circuit.setpoint = SetOutput(voltage_v, current_a, on)
        world.circuit.self_off_s = inf  # its charger goes on talking to it

    @property
    def _is_seen(self) -> bool:
        """Whether the pilot gets through the vehicle's diode."""
        return self.pilot.is_connected and self.pilot.diode is not Diode.OPEN

    def value(self, channel: str) -> float:
        """Volts behind the vehicle's diode, and on PP."""
        if channel == "cp_high":
            return self.front.high_v
        siemens = 1.0 / proximity.INLET_OHM + (
            1.0 / self._plug_ohm() if self.pilot.plugged else 0.0
        )
        return proximity.PULL_UP_V / (1.0 + proximity.PULL_UP_OHM * siemens)

    def _plug_ohm(self) -> float:
        return self.plug_ohm or inf

    def _tell_changes(self, now: float, chain_closed: bool) -> None:
        seen = {
            "s2": "closed" if self.pilot.s2_closed else "open",
            "chain": "closed" if chain_closed else "open",
            "contactors": "closed" if self.world.circuit.inlet_contactors.is_closed else "open",
        }
        for what, state in seen.items():
            if self._told.get(what, state) != state:
                self.tell(now, f"{what} {state}")
        self._told = seen
