"""What is known about modem chips and their firmware: one row a chip, one row a fault.

Class and chip number are those of VS_SW_VER.CNF (open-plc-utils, chipset.h); the faults are field
reports of people who charged cars with these modems (pyPLC, EVerest, open-plc-utils issues).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

NO_FIRMWARE = "BootLoader"
"""Version text of a modem that waits for its firmware."""


class Writes(Enum):
    """Which messages read and write the parameter block."""

    SESSION = "VS_MODULE_OPERATION"
    NONE = "an older message that is not offered here"


@dataclass(frozen=True, slots=True)
class Chip:
    """A modem chip; `idents` are chip numbers, where several chips share a class."""

    name: str
    device_class: int
    idents: tuple[int, ...] = ()
    writes: Writes = Writes.SESSION
    roles: tuple[str, ...] = ("evse", "pev")
    """The roles that it can play in SLAC."""
    note: str = ""


UNKNOWN = Chip("unknown chip", 0, writes=Writes.NONE, note="its class is not in our table")
BOOT_LOADER_CLASS = 0x06

CHIPS = (
    Chip("QCA7005", 0x22, (0x001B587C,)),
    Chip("QCA7000", 0x22, (0x001B58DC, 0x001B589C)),
    Chip("QCA7000/7005", 0x22, note="its firmware does not tell which of the two"),
    Chip(
        "QCA7420",
        0x20,
        (0x001CFCFC,),
        note="an adapter's chip: its attenuation profiles are empty, as charger it cannot measure",
    ),
    Chip("QCA7420", 0x20),
    Chip("QCA6410/6411", 0x21, roles=(), note="no SLAC"),
    Chip("QCA7500", 0x30, roles=("evse",), note="cannot be a vehicle's modem"),
    Chip("INT6000", 0x01, writes=Writes.NONE, roles=(), note="no SLAC"),
    Chip("INT6300", 0x02, writes=Writes.NONE, roles=(), note="no SLAC"),
    Chip("INT6400", 0x03, writes=Writes.NONE, roles=(), note="no SLAC"),
    Chip("AR7400", 0x04, writes=Writes.NONE, roles=(), note="no SLAC"),
    Chip("AR6405", 0x05, writes=Writes.NONE, roles=(), note="no SLAC"),
    Chip("boot loader", BOOT_LOADER_CLASS, writes=Writes.NONE, note="runs no firmware"),
    Chip("QCA7450", 0x07, roles=(), note="no SLAC"),
    Chip("QCA7451", 0x08, roles=(), note="no SLAC"),
)
"""The first row that fits counts; one without chip numbers fits all of its class."""


@dataclass(frozen=True, slots=True)
class FirmwareFault:
    """A firmware (or a device) that is known not to do: `text` is part of its version."""

    text: str
    why: str
    roles: tuple[str, ...] = ("evse", "pev")


FIRMWARE_FAULTS = (
    FirmwareFault("QCA7420-1.1.0.844", "drops the connection after a while; use 1.3 or 1.4"),
    FirmwareFault("MSE1060", "an adapter with another maker's chip: no SLAC, its block is other"),
    FirmwareFault("QCA7500", "cannot be a vehicle's modem", ("pev",)),
)


def chip_of(device_class: int, ident: int, version: str) -> Chip:
    """Name the chip that gave this VS_SW_VER.CNF."""
    if version.startswith(NO_FIRMWARE):
        return next(chip for chip in CHIPS if chip.device_class == BOOT_LOADER_CLASS)
    of_class = [chip for chip in CHIPS if chip.device_class == device_class]
    for chip in of_class:
        if ident in chip.idents or f"-{chip.name}-" in version:
            return chip
    return next((chip for chip in of_class if not chip.idents), UNKNOWN)


def firmware_faults(version: str) -> list[FirmwareFault]:
    """Return what is known against a firmware."""
    return [fault for fault in FIRMWARE_FAULTS if fault.text in version]
