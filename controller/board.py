"""The pin map of a board (core): `hw_docs/board.toml` as data; one clear line for each mistake."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from controller import toml_file
from controller.errors import ConfigError

DEFAULT_FILE = Path(__file__).parents[1] / "hw_docs" / "board.toml"
HIGHEST_GPIO = 27
"""GPIO 0 to 27 are on the header of every Raspberry Pi with 40 pins."""
HIGHEST_CHANNEL = 7
PWM_GPIOS = (12, 13, 18, 19)
"""GPIOs that the Pi's PWM hardware can drive; a pilot made by software would stop with it."""
BUSES = {
    "id": (0, 1),
    "i2c": (2, 3),
    "spi": (7, 8, 9, 10, 11),
    "uart": (14, 15),
    "spi-interrupt": (25,),
}
"""GPIOs that have a function of their own; `id` (the EEPROM of a HAT) on every board."""
OUTPUTS = ("pilot_pwm", "watchdog", "contactors", "module_enable", "s2")
"""Names that the program drives; every other name that it knows is read."""
SAFE_WHEN_BROKEN = {
    "chain_closed": False,
    "coil_supply": False,
    "contactors_open": False,
    "emergency_stop_a": True,
    "emergency_stop_b": True,
    "rcd_tripped": True,
    "live_behind": True,
    "mains_l1": False,
    "mains_l2": False,
    "mains_l3": False,
}
"""What an input must say when its wire is broken: True is what its name says."""


@dataclass(frozen=True, slots=True)
class Pin:
    """One GPIO: BCM number, direction, the level that means what the name says."""

    gpio: int
    direction: str
    """in or out"""
    active: str
    """high or low"""
    meaning: str
    pull: str = "none"
    """up, down or none"""

    @property
    def is_active_high(self) -> bool:
        """Whether a high level means what the name says."""
        return self.active == "high"


@dataclass(frozen=True, slots=True)
class Channel:
    """One ADC input: value at the watched pin = volts at the input * slope + offset_v."""

    channel: int
    slope: float
    offset_v: float
    meaning: str


@dataclass(frozen=True, slots=True)
class Side:
    """The pins and channels of one role."""

    pins: dict[str, Pin]
    channels: dict[str, Channel]


@dataclass(frozen=True, slots=True)
class Board:
    """A board, wired for either role."""

    evse: Side
    pev: Side


_PIN = {"direction": ("in", "out"), "active": ("high", "low"), "pull": ("up", "down", "none")}


def load(path: Path | None = None) -> Board:
    """Read a pin map; None reads the project's own. Raises ConfigError."""
    path = path or DEFAULT_FILE
    return parse(toml_file.read(path), str(path))


def parse(source: str, name: str) -> Board:
    """Read TOML text; `name` is the file named in errors. Raises ConfigError."""
    tables = toml_file.parse(source, name)
    buses = _buses(tables.pop("buses", list(BUSES)), f"{name}: buses")
    _only(tables, ("evse", "pev"), name)
    board = Board(_side(tables, "evse", name), _side(tables, "pev", name))
    for side in ("evse", "pev"):
        for key, pin in getattr(board, side).pins.items():
            _check(key, pin, buses, f"{name}: {side}.pins.{key}")
    return board


def _buses(names: object, where: str) -> dict[int, str]:
    """Return which GPIO belongs to which bus of this board."""
    if not isinstance(names, list) or not all(isinstance(n, str) and n in BUSES for n in names):
        raise ConfigError(f"{where} = {names!r}: not allowed; a list of {', '.join(BUSES)}")
    return {gpio: bus for bus in {"id", *names} for gpio in BUSES[bus]}


def _check(key: str, pin: Pin, buses: dict[int, str], where: str) -> None:
    """Refuse a pin that cannot do, or not safely, what the program uses it for."""
    if pin.gpio in buses:
        raise ConfigError(
            f"{where}: GPIO {pin.gpio} belongs to {buses[pin.gpio]}; take another one"
            + ("" if buses[pin.gpio] == "id" else ", or list the `buses` that this board has")
        )
    if key == "pilot_pwm" and pin.gpio not in PWM_GPIOS:
        able = ", ".join(map(str, PWM_GPIOS))
        raise ConfigError(f"{where}: GPIO {pin.gpio} has no hardware PWM; one of {able}")
    wanted = "out" if key in OUTPUTS else "in"
    if pin.direction != wanted and (key in OUTPUTS or key in SAFE_WHEN_BROKEN):
        raise ConfigError(f"{where}.direction = {pin.direction!r}: must be {wanted!r}")
    if key in SAFE_WHEN_BROKEN:
        _check_broken_wire(pin, safe=SAFE_WHEN_BROKEN[key], where=where)


def _check_broken_wire(pin: Pin, *, safe: bool, where: str) -> None:
    needed = "up" if safe is pin.is_active_high else "down"
    if pin.pull != needed:
        raise ConfigError(
            f"{where}.pull = {pin.pull!r}: must be {needed!r}, so that a broken wire is safe"
        )


def _only(table: dict[str, Any], allowed: tuple[str, ...], where: str) -> None:
    for key, value in table.items():
        if key not in allowed:
            raise ConfigError(f"{where}: {key}: unknown; allowed: {', '.join(allowed)}")
        if not isinstance(value, dict):
            raise ConfigError(f"{where}: {key}: must be a table")


def _side(tables: dict[str, Any], side: str, name: str) -> Side:
    table = tables.get(side, {})
    where = f"{name}: {side}"
    _only(table, ("pins", "channels"), where)
    pins = {key: _pin(value, f"{where}.pins.{key}") for key, value in table.get("pins", {}).items()}
    channels = {
        key: _channel(value, f"{where}.channels.{key}")
        for key, value in table.get("channels", {}).items()
    }
    _unique({key: pin.gpio for key, pin in pins.items()}, f"{where}.pins", "GPIO")
    _unique({key: c.channel for key, c in channels.items()}, f"{where}.channels", "channel")
    return Side(pins, channels)


def _unique(numbers: dict[str, int], where: str, what: str) -> None:
    seen: dict[int, str] = {}
    for key, number in numbers.items():
        if number in seen:
            raise ConfigError(f"{where}: {key} and {seen[number]} both use {what} {number}")
        seen[number] = key


def _whole(value: object, highest: int, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= highest:
        raise ConfigError(f"{where} = {value!r}: not allowed; a whole number from 0 to {highest}")
    return value


def _fields(entry: object, needed: tuple[str, ...], more: tuple[str, ...], where: str) -> Any:  # noqa: ANN401
    if not isinstance(entry, dict):
        raise ConfigError(f"{where}: must be a table")
    for key in entry:
        if key not in (*needed, *more):
            raise ConfigError(f"{where}.{key}: unknown; allowed: {', '.join((*needed, *more))}")
    for key in needed:
        if key not in entry:
            raise ConfigError(f"{where}: {key} is missing")
    return entry


def _pin(entry: object, where: str) -> Pin:
    fields = _fields(entry, ("gpio", "direction", "active", "meaning"), ("pull",), where)
    for key, allowed in _PIN.items():
        if fields.get(key, allowed[-1]) not in allowed:
            raise ConfigError(
                f"{where}.{key} = {fields[key]!r}: not allowed; one of {', '.join(allowed)}"
            )
    return Pin(
        _whole(fields["gpio"], HIGHEST_GPIO, f"{where}.gpio"),
        fields["direction"],
        fields["active"],
        str(fields["meaning"]),
        fields.get("pull", "none"),
    )


def _channel(entry: object, where: str) -> Channel:
    fields = _fields(entry, ("channel", "slope", "offset_v", "meaning"), (), where)
    for key in ("slope", "offset_v"):
        value = fields[key]
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= 1e3:
            raise ConfigError(f"{where}.{key} = {value!r}: not allowed; a number within +-1000")
    if fields["slope"] == 0:
        raise ConfigError(f"{where}.slope: must not be 0")
    return Channel(
        _whole(fields["channel"], HIGHEST_CHANNEL, f"{where}.channel"),
        float(fields["slope"]),
        float(fields["offset_v"]),
        str(fields["meaning"]),
    )
