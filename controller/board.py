"""The pin map of a board (core): `hw_docs/board.toml` as data; one clear line for each mistake."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from controller.errors import ConfigError

DEFAULT_FILE = Path(__file__).parents[1] / "hw_docs" / "board.toml"
HIGHEST_GPIO = 27
"""GPIO 0 to 27 are on the header of every Raspberry Pi with 40 pins."""
HIGHEST_CHANNEL = 7


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
    try:
        source = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise ConfigError(f"{path}: cannot be read: {reason}") from error
    return parse(source, str(path))


def parse(source: str, name: str) -> Board:
    """Read TOML text; `name` is the file named in errors. Raises ConfigError."""
    try:
        tables = tomllib.loads(source)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{name}: not valid TOML: {error}") from error
    _only(tables, ("evse", "pev"), name)
    return Board(_side(tables, "evse", name), _side(tables, "pev", name))


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
