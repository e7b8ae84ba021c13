"""What people do to a scene, in words: plug in, close S2, press the emergency stop, break things.

One command a line. `Console` keeps those that come after a `wait` until it is over. A line that is
not understood changes nothing, and the answer says what is allowed.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, NamedTuple

from controller.cp import limits
from controller.cp.sim import Diode
from controller.pigpiod.charger import ChargerScene
from controller.pigpiod.courses import to_ns

if TYPE_CHECKING:
    from collections.abc import Callable

    from controller.pigpiod.vehicle import VehicleScene

LONGEST_WAIT_S = 86_400.0


class WrongCommandError(ValueError):
    """A line that is not understood; its text says what is allowed."""


class Command(NamedTuple):
    """One command: its arguments for the help, what it does."""

    arguments: str
    help: str
    run: Callable[[list[str], float], str]


def _switch(words: list[str], on: str = "on", off: str = "off") -> bool:
    if words == [on]:
        return True
    if words == [off]:
        return False
    raise WrongCommandError(f"{on} or {off}")


def _number(words: list[str], lowest: float, highest: float) -> float:
    try:
        number = float(words[0]) if len(words) == 1 else lowest - 1
    except ValueError:
        number = lowest - 1
    if not lowest <= number <= highest:
        raise WrongCommandError(f"a number from {lowest:g} to {highest:g}")
    return number


class Actions:
    """The commands of a scene."""

    def __init__(self, scene: ChargerScene | VehicleScene) -> None:
        self.scene = scene
        both = {
            "plug": Command("", "put the connector into the inlet", self._plug),
            "unplug": Command("", "pull it", self._unplug),
            "diode": Command("good|shorted|open", "the vehicle's diode", self._diode),
            "short": Command("OHM|off", "short circuit from CP to PE", self._short),
            "wire": Command("whole|open", "the CP wire in the cable", self._wire),
            "supply": Command("V", "the generator's positive supply", self._supply),
            "negative": Command("V", "its negative supply", self._negative),
            "ventilation": Command("on|off", "the vehicle wants it (D for C)", self._ventilation),
            "watchdog": Command("ok|welded|dead|S", "its contact, or how long it waits", self._dog),
        }
        own = _Charger(scene) if isinstance(scene, ChargerScene) else _Vehicle(scene)
        self.commands: dict[str, Command] = both | own.commands

    def find(self, name: str) -> Command:
        """Return the command of this name. Raises WrongCommandError."""
        command = self.commands.get(name)
        if command is None:
            known = ", ".join([*sorted(self.commands), "wait", "help"])
            raise WrongCommandError(f"{name}: unknown; there are {known}")
        return command

    def carry_out(self, words: list[str], now: float) -> str:
        """Carry out one command; returns what to say. Raises WrongCommandError."""
        name, arguments = words[0], words[1:]
        command = self.find(name)
        at = to_ns(now)
        self.scene.advance(at)
        try:
            said = command.run(arguments, now)
        except WrongCommandError as error:
            raise WrongCommandError(f"{name}: not allowed; {error}") from error
        self.scene.advance(at)
        return said

    # --- both sides -----------------------------------------------------------------------------

    def _plug(self, words: list[str], now: float) -> str:
        _nothing(words)
        self.scene.world.plug()
        return "plugged in"

    def _unplug(self, words: list[str], now: float) -> str:
        _nothing(words)
        self.scene.world.unplug()
        return "unplugged"

    def _diode(self, words: list[str], now: float) -> str:
        names = [diode.value for diode in Diode]
        if len(words) != 1 or words[0] not in names:
            raise WrongCommandError(", ".join(names))
        self.scene.pilot.diode = Diode(words[0])
        return f"diode {words[0]}"

    def _short(self, words: list[str], now: float) -> str:
        if words == ["off"]:
            self.scene.pilot.short_ohm = None
            return "no short circuit"
        self.scene.pilot.short_ohm = _number(words, 1.0, 1e6)
        return f"{self.scene.pilot.short_ohm:g} Ohm from CP to PE"

    def _wire(self, words: list[str], now: float) -> str:
        self.scene.pilot.wire_open = _switch(words, "open", "whole")
        return f"CP wire {words[0]}"

    def _supply(self, words: list[str], now: float) -> str:
        self.scene.pilot.supply_v = _number(words, 0.0, 15.0)
        return f"positive supply {words[0]} V"

    def _negative(self, words: list[str], now: float) -> str:
        self.scene.pilot.negative_supply_v = _number(words, -15.0, 0.0)
        return f"negative supply {words[0]} V"

    def _ventilation(self, words: list[str], now: float) -> str:
        wants = _switch(words)
        self.scene.pilot.r3_ohm = limits.R3_VENTILATION_OHM if wants else limits.R3_OHM
        return f"ventilation {words[0]}"

    def _dog(self, words: list[str], now: float) -> str:
        scene = self.scene
        if isinstance(scene, ChargerScene):
            watchdog = scene.world.interlock.watchdog
        else:
            watchdog = scene.watchdog
        states = {"ok": None, "welded": True, "dead": False}
        if len(words) == 1 and words[0] in states:
            watchdog.stuck = states[words[0]]
        else:
            watchdog.opens_s = _number(words, 0.001, 60.0)
        scene.world.interlock.touch()
        return f"watchdog {words[0]}"


def _nothing(words: list[str]) -> None:
    if words:
        raise WrongCommandError("nothing comes after it")


class _Charger:
    """What only a charger's scene has."""

    def __init__(self, scene: ChargerScene) -> None:
        self._scene = scene
        self._world = scene.world
        self.commands = {
            "s2": Command("on|off", "the vehicle's switch S2 (state C)", self._s2),
            "car": Command("SECONDS|off", "S2 closes so long after the oscillator", self._car),
            "emergency": Command("on|off [a|b]", "emergency stop, or one channel", self._stop),
            "weld": Command("on|off", "contactors stay closed once they are", self._weld),
            "stuck": Command("on|off", "contactors do not close", self._stuck),
            "inlet": Command("close|open", "the vehicle's contactors", self._inlet),
            "mains": Command("l1|l2|l3 on|off", "a phase of the mains", self._mains),
            "rcd": Command("tripped|ok", "residual-current device", self._rcd),
            "temperature": Command(
                "CELSIUS|open|short", "PT1000 in the connector", self._temperature
            ),
            "amperes": Command("A", "current of the mains, where measured", self._amperes),
            "isolation": Command("OHM", "what the isolation monitor measures", self._isolation),
            "modules": Command("talk|silent", "the modules' communication", self._modules),
            "status": Command("", "what there is now", self._status),
        }

    def _s2(self, words: list[str], now: float) -> str:
        closed = _switch(words)
        self._scene.s2_after_s = None
        self._scene.pilot.s2_closed = closed
        return f"S2 {words[0]}"

    def _car(self, words: list[str], now: float) -> str:
        by_hand = words == ["off"]
        self._scene.s2_after_s = None if by_hand else _number(words, 0.0, 3600.0)
        return "S2 by hand" if by_hand else f"S2 {words[0]} s after the oscillator begins"

    def _stop(self, words: list[str], now: float) -> str:
        chain = self._world.interlock
        if len(words) == 2 and words[1] not in ("a", "b"):
            raise WrongCommandError("on or off, and a or b for one channel alone")
        pressed = _switch(words[:1])
        if words[1:] != ["b"]:
            chain.stop_a = pressed
        if words[1:] != ["a"]:
            chain.stop_b = pressed
        chain.touch()
        return f"emergency stop {' '.join(words)}"

    def _weld(self, words: list[str], now: float) -> str:
        self._world.circuit.evse_contactors.welded = _switch(words)
        return f"welding {words[0]}"

    def _stuck(self, words: list[str], now: float) -> str:
        self._world.circuit.evse_contactors.stuck_open = _switch(words)
        return f"stuck open {words[0]}"

    def _inlet(self, words: list[str], now: float) -> str:
        self._world.inlet_contactors.set_closed(_switch(words, "close", "open"))
        return f"vehicle's contactors {words[0]}"

    def _mains(self, words: list[str], now: float) -> str:
        names = ["l1", "l2", "l3"]
        if len(words) != 2 or words[0] not in names:
            raise WrongCommandError("l1, l2 or l3, then on or off")
        self._scene.mains[names.index(words[0])] = _switch(words[1:])
        return f"mains {' '.join(words)}"

    def _rcd(self, words: list[str], now: float) -> str:
        self._scene.rcd_tripped = _switch(words, "tripped", "ok")
        return f"residual-current device {words[0]}"

    def _temperature(self, words: list[str], now: float) -> str:
        broken = {"open": inf, "short": 0.0}
        if len(words) == 1 and words[0] in broken:
            self._scene.sensor_ohm = broken[words[0]]
            return f"temperature sensor {words[0]}"
        self._scene.temperature_c, self._scene.sensor_ohm = _number(words, -40.0, 200.0), None
        return f"connector {words[0]} degrees Celsius"

    def _amperes(self, words: list[str], now: float) -> str:
        self._scene.mains_current_a = _number(words, 0.0, 200.0)
        return f"mains {words[0]} A"

    def _isolation(self, words: list[str], now: float) -> str:
        self._world.isolation.resistance_ohm = _number(words, 0.0, 1e9)
        return f"isolation {words[0]} Ohm"

    def _modules(self, words: list[str], now: float) -> str:
        self._world.circuit.silent = not _switch(words, "talk", "silent")
        return f"modules {words[0]}"

    def _status(self, words: list[str], now: float) -> str:
        _nothing(words)
        scene, world = self._scene, self._world
        return (
            f"duty {scene.pilot.duty:.1%}, CP {scene.front.high_v:.2f} V and "
            f"{scene.front.low_v:.2f} V, chain "
            f"{'closed' if world.interlock.chain_closed else 'open'}, contactors "
            f"{'closed' if world.circuit.evse_contactors.is_closed else 'open'}, output "
            f"{world.circuit.voltage_v:.0f} V {world.circuit.current_a:.1f} A"
        )


class _Vehicle:
    """What only a vehicle's scene has."""

    def __init__(self, scene: VehicleScene) -> None:
        self._scene = scene
        self._contactors = scene.world.circuit.inlet_contactors
        self.commands = {
            "duty": Command("PERCENT|steady|off [HZ]", "what the charger drives", self._duty),
            "pp": Command("OHM", "the plug's resistor", self._pp),
            "dc": Command("V [A]|off", "what the charger's output carries", self._dc),
            "weld": Command("on|off", "contactors stay closed once they are", self._weld),
            "stuck": Command("on|off", "contactors do not close", self._stuck),
            "status": Command("", "what there is now", self._status),
        }

    def _duty(self, words: list[str], now: float) -> str:
        fixed = {"steady": 100.0, "off": 0.0}
        hertz = _number(words[1:], 100.0, 10_000.0) if len(words) > 1 else 1000.0
        percent = fixed.get(words[0] if words else "")
        if percent is None:
            percent = _number([word.removesuffix("%") for word in words[:1]], 0.0, 100.0)
        self._scene.set_duty(percent / 100.0, to_ns(now), hertz)
        return f"duty {percent:g} %"

    def _dc(self, words: list[str], now: float) -> str:
        if words == ["off"]:
            self._scene.set_charger_output(0.0, 0.0, now)
            return "charger's output off"
        voltage_v = _number(words[:1], 1.0, 1000.0)
        current_a = _number(words[1:], 0.0, 500.0) if len(words) > 1 else 1.0
        self._scene.set_charger_output(voltage_v, current_a, now)
        return f"charger's output {voltage_v:g} V, {current_a:g} A"

    def _pp(self, words: list[str], now: float) -> str:
        self._scene.plug_ohm = _number(words, 0.0, 1e6)
        return f"plug resistor {words[0]} Ohm"

    def _weld(self, words: list[str], now: float) -> str:
        self._contactors.welded = _switch(words)
        return f"welding {words[0]}"

    def _stuck(self, words: list[str], now: float) -> str:
        self._contactors.stuck_open = _switch(words)
        return f"stuck open {words[0]}"

    def _status(self, words: list[str], now: float) -> str:
        _nothing(words)
        scene = self._scene
        return (
            f"duty {scene.pilot.duty:.1%}, CP {scene.value('cp_high'):.2f} V behind the diode, PP "
            f"{scene.value('proximity'):.2f} V, S2 {'closed' if scene.pilot.s2_closed else 'open'}"
        )


class Console:
    """Lines of commands, and when they are to be carried out."""

    def __init__(self, actions: Actions, say: Callable[[float, str], object]) -> None:
        self._actions = actions
        self._say = say
        self._lines: list[str] = []
        self._go_on_at: float | None = None

    def put(self, text: str) -> None:
        """Take lines; a semicolon ends one, too."""
        for line in text.replace(";", "\n").splitlines():
            words = line.partition("#")[0].split()
            if words:
                self._lines.append(" ".join(words).lower())

    def check(self) -> None:
        """Raise WrongCommandError for the first line waiting that is no command at all."""
        for line in self._lines:
            name = line.split()[0]
            if name not in ("wait", "help"):
                self._actions.find(name)

    def next_timer(self) -> float | None:
        """When the next line is due, or None: there is none."""
        return (self._go_on_at or 0.0) if self._lines else None

    def handle_timer(self, now: float) -> bool:
        """Carry out what is due; returns whether anything was changed."""
        changed = False
        while self._lines and now >= (self._go_on_at or 0.0):
            line = self._lines.pop(0)
            try:
                changed = self._carry_out(line.split(), now) or changed
            except WrongCommandError as error:
                self._say(now, str(error))
        return changed

    def _carry_out(self, words: list[str], now: float) -> bool:
        if words[0] == "wait":
            try:
                self._go_on_at = now + _number(words[1:], 0.0, LONGEST_WAIT_S)
            except WrongCommandError as error:
                raise WrongCommandError(f"wait: not allowed; {error}") from error
            return False
        if words[0] == "help":
            for name, command in sorted(self._actions.commands.items()):
                self._say(now, f"{name} {command.arguments}".ljust(30) + command.help)
            return False
        self._say(now, self._actions.carry_out(words, now))
        return True
