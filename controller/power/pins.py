"""What the charger's pins say (core): levels of the header turned into names, and the unknown.

Pulls are chosen so that a broken wire reads as the safe case (`hw_docs/board.toml`); what is not
read any more is told by its age. The chain counts as open as soon as the pins are older than the
external watchdog waits: by then it *is* open, because its edges come the same way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from controller.errors import ConfigError
from controller.signals import NO_CABLE_OHM, AcReading, ContactorReading

if TYPE_CHECKING:
    from collections.abc import Iterable

    from controller.board import Pin, Side

CHAIN_STALE_S = 0.02
"""The external watchdog opens the chain after this time without an edge (hw_docs/interlock.md)."""
CONVERTER_STALE_S = 1.0
NEEDED = {
    "pilot_pwm": "out",
    "watchdog": "out",
    "contactors": "out",
    "module_enable": "out",
    "contactors_open": "in",
    "emergency_stop_a": "in",
    "emergency_stop_b": "in",
    "chain_closed": "in",
}
NEEDED_FOR_AC = {
    "rcd_tripped": "in",
    "live_behind": "in",
    "mains_l1": "in",
    "mains_l2": "in",
    "mains_l3": "in",
}
MAINS = ("mains_l1", "mains_l2", "mains_l3")
NEEDED_CHANNELS = ("cp_high", "cp_low")


def check_board(side: Side, *, ac: bool, name: str) -> None:
    """Refuse a pin map that lacks what a charger needs. Raises ConfigError, one line."""
    needed = NEEDED | (NEEDED_FOR_AC if ac else {})
    for key, direction in needed.items():
        if key not in side.pins:
            raise ConfigError(f"{name}: evse.pins.{key} is missing ({direction})")
        if side.pins[key].direction != direction:
            raise ConfigError(f'{name}: evse.pins.{key}: direction must be "{direction}"')
    for key in (*NEEDED_CHANNELS, *(("proximity",) if ac else ())):
        if key not in side.channels:
            raise ConfigError(f"{name}: evse.channels.{key} is missing")


@dataclass(frozen=True, slots=True)
class EvseSwitches:
    """The inputs of a charger, by name."""

    contactors: ContactorReading
    emergency_stop: bool
    stops_disagree: bool
    chain_open: bool
    coils_live: bool | None


class EvsePins:
    """Reads names from levels; knows which level of each pin means what."""

    def __init__(self, pins: dict[str, Pin]) -> None:
        self._pins = pins

    def is_active(self, name: str, levels: int) -> bool:
        """Whether the pin says what its name says."""
        pin = self._pins[name]
        return bool(levels >> pin.gpio & 1) is pin.is_active_high

    def switches(self, levels: int, read_at: float, now: float) -> EvseSwitches:
        """Name everything that each charger has."""
        stop_a, stop_b = (self.is_active(f"emergency_stop_{x}", levels) for x in "ab")
        is_old = not now - read_at <= CHAIN_STALE_S
        has_supply = "coil_supply" in self._pins
        return EvseSwitches(
            contactors=ContactorReading(
                closed=not self.is_active("contactors_open", levels), taken_at=read_at
            ),
            emergency_stop=stop_a or stop_b,
            stops_disagree=not is_old and stop_a is not stop_b,
            chain_open=is_old or not self.is_active("chain_closed", levels),
            coils_live=not is_old and self.is_active("coil_supply", levels) if has_supply else None,
        )

    def ac(
        self,
        levels: int,
        read_at: float,
        cable_ohm: float,
        age_s: float,
        current_a: float = 0.0,
    ) -> AcReading:
        """Name what an AC charger has besides; `cable_ohm` is infinite without a cable.

        `age_s` is that of the older of cable and current, as the converter measured them.
        """
        return AcReading(
            cable_ohm=min(cable_ohm, NO_CABLE_OHM),
            rcd_tripped=self.is_active("rcd_tripped", levels),
            live_behind=self.is_active("live_behind", levels),
            phases=sum(self.is_active(name, levels) for name in MAINS),
            current_a=current_a,
            taken_at=read_at,
            valid=age_s <= CONVERTER_STALE_S,
        )


def inputs(pins: dict[str, Pin]) -> list[Pin]:
    """All pins that are read."""
    return [pin for pin in pins.values() if pin.direction == "in"]


def outputs(pins: dict[str, Pin], names: Iterable[str]) -> list[Pin]:
    """The pins of these names."""
    return [pins[name] for name in names]
