"""The charger's board behind the pins: pilot, contactors, interlock, converter, modules (core).

What is physical is the simulated site's (`controller.sim.World`); this wires it to the pins of
hw_docs/board.toml, with the external interlock between them. The vehicle is what people do with it:
plug, S2, faults (`console`). DC modules and isolation monitor are not on pins: `site_signals` and
`carry_out` are for whoever has the socket of `[hardware] site`.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from controller.cp.measuring import PT1000_A, PT1000_B, PT1000_OHM, PULL_UP_OHM, PULL_UP_V
from controller.pigpiod.courses import NS, Course, to_ns
from controller.pigpiod.scene import Scene
from controller.signals import (
    CloseContactors,
    OpenContactors,
    Output,
    SetOutput,
    StartIsolationTest,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from controller.board import Side
    from controller.cp.sim_front_end import Parts
    from controller.pigpiod.scene import Rng
    from controller.sim import World

PHASES = ("mains_l1", "mains_l2", "mains_l3")


class ChargerScene(Scene):
    """A charger's board with everything around it."""

    def __init__(
        self,
        side: Side,
        world: World,
        rng: Rng,
        *,
        cable_ohm: float = 220.0,
        parts: Parts | None = None,
    ) -> None:
        self.world = world
        world.module_enable = False
        super().__init__(side, world.pilot, rng, parts)
        self.mains = [True, True, True]
        self.rcd_tripped = False
        self.temperature_c = 25.0
        self.mains_current_a = 0.0
        self.sensor_ohm: float | None = None
        """What the broken temperature sensor measures; None: it is whole."""
        self.cable_ohm = cable_ohm
        self.s2_after_s: float | None = None
        """S2 closes by itself so long after the oscillator began."""
        self.tell: Callable[[float, str], object] = lambda now, text: None
        """Told of what can be seen or heard: contactors, chain, duty."""
        self._s2_at = inf
        self._edge_level: int | None = None
        self._told: dict[str, str] = {}
        self.generate(None, 0)
        self.follow(0)

    # --- what the Pi drives ---------------------------------------------------------------------

    def driven(self, name: str, course: Course | None, at: int) -> None:
        """Pilot, watchdog, contactors, module enable."""
        now, world = at / NS, self.world
        if name == "pilot_pwm":
            self.generate(course, at)
        elif name == "watchdog":
            self._feed_watchdog(course, at)
        elif name == "contactors":
            closed = self.is_active(name, course, at)
            world.carry_out("evse", CloseContactors() if closed else OpenContactors("pin"), now)
        elif name == "module_enable":
            world.module_enable = self.is_active(name, course, at)
            world.interlock.touch()

    def _feed_watchdog(self, course: Course | None, at: int) -> None:
        watchdog = self.world.interlock.watchdog
        now = at / NS
        toggling = self.toggles(course, at)
        watchdog.toggle(toggling, now)
        level = None if course is None else course.level(at)
        if not toggling and level is not None and level != self._edge_level:
            watchdog.edge(now)
        self._edge_level = level
        self.world.interlock.touch()

    # --- what the Pi reads ----------------------------------------------------------------------

    def next_times(self) -> list[float]:
        """Interlock, contacts, the scripted S2."""
        circuit = self.world.circuit
        contacts = (circuit.evse_contactors.moves_at, circuit.inlet_contactors.moves_at)
        return [self.world.interlock.next_at, *contacts, self._s2_at]

    def follow(self, at: int) -> None:
        """Bring the site to `at` and set the pins."""
        now, world = at / NS, self.world
        self._script(now)
        if world.ac is not None:
            world.ac.phases, world.ac.rcd_tripped = sum(self.mains), self.rcd_tripped
        world.advance(now)
        chain = world.interlock
        contactors = world.evse_contactors.read(now)
        closed = world.circuit.evse_contactors.is_closed
        live = closed and any(self.mains) if world.ac is None else world.ac.is_live
        fitted = chain.fitted
        self.put("chain_closed", chain.chain_closed if fitted else None)
        self.put("coil_supply", chain.coils_live if fitted else None)
        self.put("emergency_stop_a", chain.stop_a)
        self.put("emergency_stop_b", chain.stop_b)
        self.put("contactors_open", not contactors.closed)
        self.put("rcd_tripped", self.rcd_tripped)
        self.put("live_behind", live)
        for name, there in zip(PHASES, self.mains, strict=True):
            self.put(name, there)
        self.put_course("pilot_loop_back", self.comparator())
        self.front.ripple = self.pilot.plugged
        self._tell_changes(now)

    def value(self, channel: str) -> float:
        """Volts on CP, PP and the temperature sensor; amperes of the mains."""
        if channel == "cp_high":
            return self.front.high_v
        if channel == "cp_low":
            return self.front.low_v
        if channel == "mains_current":
            return self.mains_current_a
        ohm = self._pt1000_ohm() if channel == "temperature" else self._cable_ohm()
        return PULL_UP_V if ohm == inf else PULL_UP_V * ohm / (ohm + PULL_UP_OHM)

    def _pt1000_ohm(self) -> float:
        if self.sensor_ohm is not None:
            return self.sensor_ohm
        celsius = self.temperature_c
        return PT1000_OHM * (1 + PT1000_A * celsius + PT1000_B * celsius**2)

    def _cable_ohm(self) -> float:
        return self.cable_ohm if self.pilot.plugged else inf

    # --- modules and monitor --------------------------------------------------------------------

    def site_signals(self, now: float) -> list[Output]:
        """What modules and monitor say: output, isolation, envelope; the pins follow, too."""
        self.advance(to_ns(now))
        world = self.world
        return [world.module.read(now), world.isolation.read(now), world.module.envelope(now)]

    def carry_out(self, command: Output, now: float) -> None:
        """Do what they are told."""
        if isinstance(command, SetOutput | StartIsolationTest):
            self.world.carry_out("evse", command, now)

    # --- the car --------------------------------------------------------------------------------

    def _script(self, now: float) -> None:
        """Let a car want to charge: S2 some time after the oscillator began, until it ends."""
        if self.s2_after_s is None:
            return
        oscillates = self.pilot.is_connected and 0.0 < self.pilot.duty < 1.0
        if not oscillates:
            self._s2_at = inf
            if self.pilot.s2_closed:
                self.pilot.s2_closed = False
        elif not self.pilot.s2_closed and self._s2_at == inf:
            self._s2_at = now + self.s2_after_s
        if now >= self._s2_at:
            self._s2_at = inf
            self.pilot.s2_closed = True

    def _tell_changes(self, now: float) -> None:
        world, chain = self.world, self.world.interlock
        seen = {
            "pilot": f"{self.pilot.duty:.1%}",
            "s2": "closed" if self.pilot.s2_closed else "open",
            "chain": "closed" if chain.chain_closed else "open",
            "coils": "live" if chain.coils_live else "dead",
            "contactors": "closed" if world.circuit.evse_contactors.is_closed else "open",
            "modules": "enabled" if world.circuit.enabled else "disabled",
        }
        for what, state in seen.items():
            if self._told.get(what, state) != state:
                self.tell(now, f"{what} {state}")
        self._told = seen
