"""Configuration: TOML files into frozen dataclasses, with bounds, one clear line for each mistake.

Every key is declared once, with its default, its bounds and what it means; the same declaration
checks a file and prints the reference (`ccs-pilot config`). A key that nobody declared is an error:
a misspelt limit must not silently leave the default in force.
"""

from __future__ import annotations

import dataclasses
import difflib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from controller import toml_file
from controller.config_keys import Consistent, Key, choice, curve, number, switch, text, whole
from controller.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

T = TypeVar("T")

LARGEST_CABLE_A = 63
"""The largest rating that PP can code (IEC 61851-1 Table B.2)."""

# --- charger -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ChargerSection:
    """[charger]: identity and nameplate."""

    mode: str = choice("dc", ("dc", "ac"), "DC charging (CCS), or AC by IEC 61851-1")
    evse_id: str = text("ZZ00000", 32, "EVSEID shown to the vehicle")
    minimum_voltage_v: float = number(150.0, 0, 1000, "lowest output voltage under load")
    maximum_voltage_v: float = number(920.0, 50, 1000, "highest output voltage")
    minimum_current_a: float = number(0.0, 0, 100, "lowest output current")
    maximum_current_a: float = number(300.0, 1, 500, "highest output current")
    maximum_power_w: float = number(150_000.0, 500, 500_000, "highest output power")
    interlock: str = choice(
        "external",
        ("external", "none"),
        "external: watchdog, CP-loss and emergency chain are in hardware; "
        "none: bench mode, output limited to 60 V (AC: no mains)",
    )

    def problem(self) -> str:
        """Say what contradicts itself, or nothing."""
        if self.minimum_voltage_v >= self.maximum_voltage_v:
            return "minimum_voltage_v must be below maximum_voltage_v"
        if self.minimum_current_a >= self.maximum_current_a:
            return "minimum_current_a must be below maximum_current_a"
        if self.mode == "ac" and self.interlock == "none":
            return 'interlock must be "external" for AC: without it the mains is never switched'
        return ""


@dataclass(frozen=True, slots=True)
class AcSection:
    """[ac]: an AC charger (mode = "ac"); a DC charger ignores it."""

    maximum_current_a: float = number(32.0, 6, 80, "nameplate: highest current per phase")
    installation_current_a: float = number(
        80.0, 6, 80, "what the supply allows per phase: fuse, line, house connection"
    )
    phases: int = whole(3, 1, 3, "mains phases that must be there: 1 or 3")
    connector: str = choice(
        "cable",
        ("cable", "socket"),
        "cable: fixed to the charger; socket: the driver's own, its rating is read from PP",
    )
    cable_current_a: float = number(32.0, 6, 80, "rating of the fixed cable")
    digital_first: bool = switch(
        False,
        "true: 5 % first, a nominal duty when SLAC does not come; false: a nominal duty at once",
    )
    ventilation: bool = switch(
        False, "forced ventilation is there: vehicles that ask for it (state D) may charge"
    )

    def problem(self) -> str:
        """Say what contradicts itself, or nothing."""
        if self.phases == 2:
            return "phases must be 1 or 3"
        if self.connector == "cable" and self.maximum_current_a > self.cable_current_a:
            return (
                f"maximum_current_a ({self.maximum_current_a:g}) must not exceed the rating of the "
                f"fixed cable, cable_current_a ({self.cable_current_a:g})"
            )
        if self.connector == "socket" and self.maximum_current_a > LARGEST_CABLE_A:
            return (
                f"maximum_current_a ({self.maximum_current_a:g}) must not exceed "
                f"{LARGEST_CABLE_A}, the largest cable for a socket"
            )
        return ""


@dataclass(frozen=True, slots=True)
class PlcSection:
    """[plc]: the powerline modem."""

    modem: str = choice(
        "homeplug",
        ("homeplug", "none"),
        "none: plain Ethernet to the other side, SLAC is skipped (interoperability tests)",
    )


@dataclass(frozen=True, slots=True)
class ChargerSlacSection:
    """[slac] of a charger: what is reported of the vehicle's sounds."""

    attenuation_db: float = number(
        20.0, 1, 100, "attenuation reported to the vehicle when the modem measures none"
    )
    receive_path_db: float = number(
        0.0, 0, 30, "share of the own coupling in what the modem measures; is subtracted"
    )


@dataclass(frozen=True, slots=True)
class CarSlacSection:
    """[slac] of a car: which charger is taken."""

    matching: str = choice(
        "field",
        ("field", "standard"),
        "field: the nearest charger, validated only in doubt; "
        "standard: none above 20 dB, and those above 10 dB validated (finds few real chargers)",
    )


@dataclass(frozen=True, slots=True)
class RealtimeSection:
    """[realtime]: the hard-timed process."""

    period_s: float = number(0.005, 0.001, 0.02, "period of the pilot, interlock and power loop")
    cpu: int = whole(-1, -1, 255, "the CPU it has for itself; -1: any")
    priority: int = whole(50, 1, 89, "SCHED_FIFO priority")
    socket: str = text(
        "/run/ccs-pilot/realtime.sock", 100, "Unix socket between the two processes on a real site"
    )
    watchdog: str = text(
        "", 100, "watchdog device that restarts the machine (/dev/watchdog0); empty: none"
    )


@dataclass(frozen=True, slots=True)
class HardwareSection:
    """[hardware] of a charger: which drivers read and drive the real parts."""

    board: str = text("", 200, "pin map (TOML); empty: the board of hw_docs/board.toml")
    pigpiod: str = text("localhost:8888", 100, "host:port of the pigpio daemon, real or simulated")
    pilot: str = choice(
        "pigpio",
        ("pigpio", "kernel-pwm"),
        "who makes the 1 kHz: the pigpio daemon (Pi 4 and older) or /sys/class/pwm",
    )
    gpio: str = choice(
        "pigpio",
        ("pigpio", "lgpio"),
        "who switches and reads pins: the pigpio daemon, or the kernel's GPIO character device",
    )
    adc: str = choice("ads1115", ("ads1115", "mcp3208"), "the converter behind the peak detectors")
    adc_bus: str = choice(
        "kernel",
        ("kernel", "pigpio"),
        "how it is reached: /dev/i2c-1 or /dev/spidev0.1, or the pigpio daemon's I2C and SPI",
    )
    calibration: str = text(
        "", 200, "file of `ccs-pilot calibrate`; empty: the board's nominal values"
    )
    modules: str = choice(
        "simulated",
        ("simulated", "none"),
        "DC power modules and isolation monitor: those of the simulated site, or none",
    )
    site: str = text(
        "/run/ccs-pilot/site.sock", 100, "Unix socket of the simulated site (modules, monitor)"
    )


@dataclass(frozen=True, slots=True)
class CarHardwareSection:
    """[hardware] of a car: which drivers read and drive the real parts."""

    board: str = text("", 200, "pin map (TOML); empty: the board of hw_docs/board.toml")
    pigpiod: str = text("localhost:8888", 100, "host:port of the pigpio daemon, real or simulated")
    edges: str = choice(
        "pigpio",
        ("pigpio", "gpiochip"),
        "who stamps the pilot's edges: the pigpio daemon (Pi 4 and older) or the kernel",
    )
    gpio: str = choice(
        "pigpio",
        ("pigpio", "lgpio"),
        "who switches and reads pins: the pigpio daemon, or the kernel's GPIO character device",
    )
    adc: str = choice("ads1115", ("ads1115", "mcp3208"), "the converter of CP and PP")
    adc_bus: str = choice(
        "kernel",
        ("kernel", "pigpio"),
        "how it is reached: /dev/i2c-1 or /dev/spidev0.1, or the pigpio daemon's I2C and SPI",
    )
    battery: str = choice("simulated", ("simulated",), "the simulated site's; none on CAN yet")
    site: str = text(
        "/run/ccs-pilot/car-site.sock", 100, "Unix socket of the simulated site (battery, inlet)"
    )
    rest_s: float = number(
        0.0, 0, 0.5, "pause between looks while nothing is plugged in, ended by an edge; 0: none"
    )


@dataclass(frozen=True, slots=True)
class SiteSection:
    """[site]: the simulated hardware of the charger."""

    isolation_ohm: float = number(1e6, 0, 1e9, "insulation resistance of the output to PE")
    module_ramp_v_per_s: float = number(400.0, 10, 10_000, "voltage ramp of the power module")
    output_capacitor_f: float = number(100e-6, 1e-6, 0.1, "output capacitor of the power module")
    isolation_test_s: float = number(2.0, 0.1, 30, "duration of the isolation monitor's self-test")
    mains_v: float = number(230.0, 50, 300, "AC: voltage between phase and neutral")
    cable_ohm: float = number(
        220.0, 0, 1e6, "AC: PP resistor of the driver's cable in the socket (220: 32 A)"
    )


@dataclass(frozen=True, slots=True)
class ChargerConfig:
    """A charger file."""

    charger: ChargerSection = field(default_factory=ChargerSection)
    ac: AcSection = field(default_factory=AcSection)
    plc: PlcSection = field(default_factory=PlcSection)
    slac: ChargerSlacSection = field(default_factory=ChargerSlacSection)
    realtime: RealtimeSection = field(default_factory=RealtimeSection)
    hardware: HardwareSection = field(default_factory=HardwareSection)
    site: SiteSection = field(default_factory=SiteSection)

    @property
    def uses_v2g(self) -> bool:
        """Whether there are sessions by network: not for AC by IEC 61851-1."""
        return self.charger.mode == "dc"

    @property
    def uses_modem(self) -> bool:
        """Whether the powerline modem takes part: for AC only where 5 % come first."""
        return self.plc.modem != "none" and (self.uses_v2g or self.ac.digital_first)


# --- car ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CarSection:
    """[car]: the vehicle's controller."""

    current_demand_interval_s: float = number(
        0.25, 0.05, 5, "pause between CurrentDemand requests (cars: 0.09 to 0.45 s)"
    )
    target_soc_percent: float = number(80.0, 1, 100, "state of charge at which the car stops")
    wake_charger: bool = switch(
        False, "toggle S2 (B-C-B) for a charger that rests 10 s after the plug-in, three times"
    )
    digital: bool = switch(
        True, "the car talks when the pilot says 5 %; false: an AC-only car, it waits for more"
    )


@dataclass(frozen=True, slots=True)
class OnboardSection:
    """[onboard]: the on-board charger, for AC."""

    maximum_current_a: float = number(
        16.0, 0, 80, "highest AC current per phase; below 6: the car does not charge from AC"
    )
    phases: int = whole(3, 1, 3, "phases it uses, as far as they are there")
    efficiency: float = number(0.92, 0.5, 1, "what of the AC power reaches the battery (simulated)")


@dataclass(frozen=True, slots=True)
class InletSection:
    """[inlet]: the vehicle's inlet."""

    connector: str = choice(
        "ccs2",
        ("ccs1", "ccs2"),
        "which plugs fit: SAE J1772 combo (latch with button), or IEC 62196-3 combo 2",
    )


@dataclass(frozen=True, slots=True)
class BatterySection:
    """[battery]: the traction battery."""

    capacity_wh: float = number(60_000.0, 100, 500_000, "usable energy")
    soc_percent: float = number(62.0, 0, 100, "state of charge at plug-in")
    maximum_voltage_v: float = number(420.0, 60, 1000, "voltage that must never be exceeded")
    maximum_current_a: float = number(400.0, 1, 1000, "charging current that is never exceeded")
    resistance_ohm: float = number(0.05, 0.001, 2, "internal resistance")
    voltage_v: tuple[tuple[float, float], ...] = curve(
        ((0, 320), (10, 345), (50, 368), (90, 396), (100, 408)),
        20,
        1000,
        "open-circuit voltage over state of charge",
    )
    current_a: tuple[tuple[float, float], ...] = curve(
        ((0, 250), (30, 380), (55, 330), (80, 180), (95, 60), (100, 5)),
        0,
        1000,
        "charging current the battery accepts over state of charge",
    )

    def problem(self) -> str:
        """Say what contradicts itself, or nothing."""
        if max(v for _, v in self.voltage_v) >= self.maximum_voltage_v:
            return "voltage_v must stay below maximum_voltage_v"
        return ""


@dataclass(frozen=True, slots=True)
class CarConfig:
    """A car file."""

    car: CarSection = field(default_factory=CarSection)
    onboard: OnboardSection = field(default_factory=OnboardSection)
    inlet: InletSection = field(default_factory=InletSection)
    battery: BatterySection = field(default_factory=BatterySection)
    plc: PlcSection = field(default_factory=PlcSection)
    slac: CarSlacSection = field(default_factory=CarSlacSection)
    realtime: RealtimeSection = field(default_factory=RealtimeSection)
    hardware: CarHardwareSection = field(default_factory=CarHardwareSection)

    @property
    def uses_modem(self) -> bool:
        """Whether the powerline modem takes part: an AC-only car has none."""
        return self.plc.modem != "none" and self.car.digital

    def with_target(self, soc_percent: float) -> CarConfig:
        """Return the same car with another target state of charge."""
        car = dataclasses.replace(self.car, target_soc_percent=soc_percent)
        return dataclasses.replace(self, car=car)


# --- loading -----------------------------------------------------------------------------------


def parse(cls: type[T], source: str, name: str) -> T:
    """Read TOML text into `cls`; `name` is the file named in errors. Raises ConfigError."""
    return _build(cls, toml_file.parse(source, name), name)


def load(cls: type[T], path: Path | None) -> T:
    """Read a file into `cls`; None gives the defaults. Raises ConfigError."""
    if path is None:
        return cls()
    return parse(cls, toml_file.read(path), str(path))


def _build(cls: type[T], tables: dict[str, Any], name: str) -> T:
    sections = {f.name: f for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
    built: dict[str, Any] = {}
    for title, table in tables.items():
        if title not in sections:
            homes = " or ".join(f"[{home}]" for home in _homes(cls, title))
            if homes:
                raise ConfigError(f"{name}: {title}: belongs below the line {homes}")
            raise ConfigError(f"{name}: [{title}]: unknown section; {_allowed(title, sections)}")
        if not isinstance(table, dict):
            raise ConfigError(f"{name}: {title}: must be a section, written as [{title}]")
        section = sections[title].default_factory
        built[title] = _section(section, table, f"{name}: {title}")  # type: ignore[arg-type]
    return cls(**built)


def _homes(cls: type[Any], key: str) -> list[str]:
    """Return the sections that have this key."""
    keys = {f.name: dataclasses.fields(getattr(cls(), f.name)) for f in dataclasses.fields(cls)}
    return [section for section, known in keys.items() if key in {f.name for f in known}]


def _section(cls: type[T], table: dict[str, Any], where: str) -> T:
    keys = {f.name: f.metadata["key"] for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key not in keys:
            raise ConfigError(f"{where}.{key}: unknown key; {_allowed(key, keys)}")
        try:
            values[key] = keys[key].read(value)
        except (TypeError, ValueError) as error:
            shown = repr(value) if len(repr(value)) <= 60 else repr(value)[:57] + "..."
            raise ConfigError(
                f"{where}.{key} = {shown}: not allowed; {keys[key].allowed} ({keys[key].meaning})"
            ) from error
    section = cls(**values)
    problem = section.problem() if isinstance(section, Consistent) else ""
    if problem:
        raise ConfigError(f"{where}: {problem}")
    return section


def _allowed(word: str, names: dict[str, Any]) -> str:
    near = difflib.get_close_matches(word, names, n=1)
    hint = f'did you mean "{near[0]}"? ' if near else ""
    return f"{hint}allowed: {', '.join(names)}"


def reference(cls: type[Any]) -> str:
    """All keys of a file with defaults, bounds and meaning, as a TOML file to start from."""
    lines: list[str] = []
    for section_field in dataclasses.fields(cls):
        section = getattr(cls(), section_field.name)
        lines.append(f"[{section_field.name}]")
        for f in dataclasses.fields(section):
            key: Key = f.metadata["key"]
            lines.append(f"# {key.meaning}: {key.allowed}")
            lines.append(f"{f.name} = {_toml(getattr(section, f.name))}")
        lines.append("")
    return "\n".join(lines)


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    return f'"{value}"' if isinstance(value, str) else f"{value:g}"
