"""The hardware of a real charger, put together as its file says: pilot, levels, pins, modules.

Theory of operation. `open_hardware` is called once, before the fixed period begins: it may wait
(for the daemon, for udev, for the detectors to settle), and raises one line that says what to do.
Pins come first, so that everything is off; then the converter; then the pilot is proved: it is
driven to steady -12 V and +12 V, and both must be read back. From then on nothing waits and nothing
raises: each part tells what is wrong, and what it measured last grows old.

What is measured of the pilot counts only while it is known what drives it: without the daemon (or
the kernel's PWM) there is no new sample, and 50 ms later no permit.
"""

from __future__ import annotations

import importlib
from contextlib import ExitStack
from dataclasses import dataclass
from math import inf, nan
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from controller import board as boards
from controller.config import CarConfig, ChargerConfig
from controller.cp import calibration
from controller.cp.driver_kernel_pwm import KernelPwmPilot
from controller.cp.driver_pigpio import PigpioPilot
from controller.cp.measuring import PilotLevels, Scale, pt1000_celsius, pulled_up_ohm
from controller.errors import PortError
from controller.hardware_parts import (
    STRIDE_S,
    RealTime,
    Time,
    one_line,
    open_converter,
    open_gpio,
    open_link,
    wait_until,
)
from controller.port import LastWish, wishes_of
from controller.power import pins
from controller.power.driver_site import NoModules, SiteLink
from controller.signals import (
    DUTY_STEADY_HIGH,
    DUTY_STEADY_LOW,
    CloseContactors,
    EvseInputs,
    OpenContactors,
    Output,
    SetDuty,
    SetOutput,
    SetWatchdog,
    StartIsolationTest,
)

if TYPE_CHECKING:
    from controller.cp.port import ConverterPort, LevelPort, PilotPort
    from controller.pigpio_link import PigpioLink
    from controller.port import Hardware
    from controller.power.port import GpioPort
    from controller.signals import IsolationReading, OutputReading, PilotSample, PowerEnvelope

SETTLE_S = 1.0
"""How long the peak detectors get to show a steady level; some decay slowly."""
STEADY_READINGS = 5
HIGH_WITHOUT_VEHICLE_V = 10.5
"""Above this the steady pilot is meant to be state A: half way between A and B."""
SLOW_INPUTS = ("proximity", "temperature", "mains_current")
OUTPUTS = ("contactors", "module_enable", "watchdog")
OFF = SetOutput(0.0, 0.0, on=False)


class Modules(Protocol):
    """DC modules and isolation monitor."""

    output: OutputReading
    isolation: IsolationReading
    envelope: PowerEnvelope

    def step(self, now: float) -> None:
        """Take what has come."""

    def send(self, command: Output) -> None:
        """Tell them."""

    def problem(self) -> str:
        """Say what is wrong, or nothing."""

    def close(self) -> None:
        """End the connection."""


@dataclass
class PilotParts:
    """Generator and converter of the pilot, and the daemon behind them (if it is)."""

    link: PigpioLink | None
    pilot: PilotPort
    converter: ConverterPort
    levels: LevelPort
    proximity: Scale | None
    temperature: Scale | None
    current: Scale | None = None
    """AC: of the mains."""

    def step(self, now: float) -> None:
        """One period."""
        if self.link is not None:
            self.link.step(now)
        self.converter.step(now)
        self.pilot.step(now)

    def problem(self) -> str:
        """Everything that is wrong, once each."""
        return one_line((self.pilot.problem(), self.converter.problem()))

    def close(self) -> None:
        """Leave steady +12 V, give everything back."""
        self.pilot.close()
        self.converter.close()
        if self.link is not None:
            self.link.close()


class EvseHardware:
    """`Hardware` and `MidPeriod` of a charger."""

    def __init__(
        self,
        parts: PilotParts,
        gpio: GpioPort,
        modules: Modules,
        side: boards.Side,
        *,
        external_interlock: bool,
        ac: bool,
    ) -> None:
        self._parts = parts
        self._gpio = gpio
        self._modules = modules
        self._pins = pins.EvsePins(side.pins)
        self._contactors = side.pins["contactors"]
        self._module_enable = side.pins["module_enable"]
        self._watchdog = side.pins["watchdog"]
        self._external_interlock = external_interlock
        self._ac = ac
        self._toggling = True
        self._edge = False

    def read(self, now: float) -> EvseInputs:
        """Everything the charger's hardware tells now."""
        parts, gpio, modules = self._parts, self._gpio, self._modules
        parts.step(now)
        gpio.step(now)
        modules.step(now)
        levels, read_at = gpio.levels(), gpio.read_at
        switches = self._pins.switches(levels, read_at, now)
        ac = None
        if self._ac:
            cable_ohm, cable_at = self._ohm(parts.proximity)
            current_a, current_at = self._mains_current(now)
            age_s = now - min(cable_at, current_at)
            ac = self._pins.ac(levels, read_at, cable_ohm, age_s, current_a)
        return EvseInputs(
            pilot=parts.levels.read(now),
            output=modules.output,
            contactors=switches.contactors,
            isolation=modules.isolation,
            envelope=modules.envelope,
            emergency_stop=switches.emergency_stop,
            chain_open=self._external_interlock and switches.chain_open,
            ac=ac,
            coils_live=switches.coils_live,
            stops_disagree=switches.stops_disagree,
            connector_c=self.connector_c(),
        )

    def mid_period(self, now: float) -> None:
        """Let the converter go on: both levels are new in every period then."""
        self._parts.converter.step(now)

    def carry_out(self, command: Output, now: float) -> None:
        """Do what the realtime core commands."""
        if isinstance(command, SetDuty):
            self._parts.pilot.set_duty(command.duty)
        elif isinstance(command, CloseContactors):
            self._put(self._contactors, active=True)
        elif isinstance(command, OpenContactors):
            self._put(self._contactors, active=False)
        elif isinstance(command, SetOutput):
            self._put(self._module_enable, active=command.on)
            self._modules.send(command)
        elif isinstance(command, StartIsolationTest):
            self._modules.send(command)
        elif isinstance(command, SetWatchdog):
            self._toggling = command.toggling

    def kick(self) -> None:
        """Give the external watchdog one edge."""
        if self._toggling:
            self._edge = not self._edge
            self._gpio.set(self._watchdog.gpio, self._edge)

    def problem(self) -> str:
        """Everything that does not work at the moment."""
        return one_line((self._parts.problem(), self._gpio.problem(), self._modules.problem()))

    def connector_c(self) -> float | None:
        """Temperature of the connector in degrees Celsius; not a number with a broken sensor.

        None on a board whose pin map has none.
        """
        sensor = self._parts.temperature
        return None if sensor is None else round(pt1000_celsius(self._ohm(sensor)[0]), 1)

    def make_safe(self) -> None:
        """Open, switch off, steady pilot; also with half of the hardware gone, and repeatedly."""
        self._put(self._contactors, active=False)
        self._put(self._module_enable, active=False)
        self._modules.send(OFF)
        self._parts.pilot.set_duty(DUTY_STEADY_HIGH)

    def last_wish(self) -> LastWish:
        """Outputs inactive, steady pilot."""
        return wishes_of(self._gpio, self._parts.pilot)

    def close(self) -> None:
        """Give the devices back; makes safe first."""
        self.make_safe()
        self._gpio.close()
        self._modules.close()
        self._parts.close()

    def _put(self, pin: boards.Pin, *, active: bool) -> None:
        self._gpio.set(pin.gpio, active is pin.is_active_high)

    def _mains_current(self, now: float) -> tuple[float, float]:
        """Amperes of the phase that carries most, and when they were measured.

        On a board without that input: none, now.
        """
        scale = self._parts.current
        measured = None if scale is None else self._parts.converter.latest(scale.channel)
        if scale is None:
            return 0.0, now
        if measured is None:
            return 0.0, -inf
        return round(scale.value(measured.volts), 1), measured.taken_at

    def _ohm(self, scale: Scale | None) -> tuple[float, float]:
        """Resistance at a pulled-up input, and when it was measured."""
        measured = None if scale is None else self._parts.converter.latest(scale.channel)
        if scale is None or measured is None:
            return nan, -inf
        return pulled_up_ohm(scale.value(measured.volts)), measured.taken_at


def open_hardware(config: ChargerConfig | CarConfig, side: str) -> Hardware:
    """Open everything that the file names; `side` is evse or pev. Raises ConfigError, PortError."""
    if isinstance(config, CarConfig):
        return _open_vehicle(config)
    name = config.hardware.board
    return open_charger(config, boards.load(Path(name) if name else None), RealTime())


def _open_vehicle(config: CarConfig) -> Hardware:
    """The vehicle's parts, imported only where they are wanted: they need some of these here."""
    vehicle = importlib.import_module("controller.hardware_pev")
    name = config.hardware.board
    made: Hardware = vehicle.open_vehicle(config, boards.load(Path(name) if name else None))
    return made


def open_charger(config: ChargerConfig, board: boards.Board, time: Time) -> EvseHardware:
    """Open a charger's parts and prove the pilot. Raises ConfigError, PortError."""
    hardware = config.hardware
    ac = config.charger.mode == "ac"
    pins.check_board(board.evse, ac=ac, name=hardware.board or "the board")
    found = calibration_of(config)
    modules: Modules = SiteLink(hardware.site) if hardware.modules == "simulated" else NoModules()
    with ExitStack() as undo:
        link = None
        if uses_daemon(config, gpio=True):
            link = open_link(hardware.pigpiod, time)
            undo.callback(link.close)
        gpio = open_gpio(hardware.gpio, board.evse, link, time, OUTPUTS)
        undo.callback(gpio.close)
        parts = open_pilot(config, board.evse, found, time, link)
        external = config.charger.interlock == "external"
        made = EvseHardware(parts, gpio, modules, board.evse, external_interlock=external, ac=ac)
        undo.callback(made.close)
        made.make_safe()
        prove_pilot(parts, time)
        if link is not None:
            link.hurry()
        undo.pop_all()
    return made


def uses_daemon(config: ChargerConfig, *, gpio: bool) -> bool:
    """Whether anything of it goes through the pigpio daemon."""
    hardware = config.hardware
    return "pigpio" in (hardware.pilot, hardware.adc_bus, hardware.gpio if gpio else "")


def calibration_of(config: ChargerConfig) -> calibration.Calibration:
    """Read the calibration that the file names. Raises ConfigError."""
    name = config.hardware.calibration
    return calibration.load(Path(name) if name else None, config.hardware.adc)


def open_pilot(
    config: ChargerConfig,
    side: boards.Side,
    found: calibration.Calibration,
    time: Time,
    link: PigpioLink | None = None,
) -> PilotParts:
    """Open generator and converter; both work when this returns. Raises ConfigError, PortError."""
    with ExitStack() as undo:
        if link is None and uses_daemon(config, gpio=False):
            link = open_link(config.hardware.pigpiod, time)
            undo.callback(link.close)
        parts = _open_pilot(config, side, found, time, link)
        undo.pop_all()
    return parts


def _open_pilot(
    config: ChargerConfig,
    side: boards.Side,
    found: calibration.Calibration,
    time: Time,
    link: PigpioLink | None,
) -> PilotParts:
    hardware = config.hardware
    gpio = side.pins["pilot_pwm"].gpio
    if hardware.pilot == "kernel-pwm":
        pilot: PilotPort = KernelPwmPilot(gpio)
    else:
        assert link is not None
        pilot = PigpioPilot(link, gpio)
    channels = side.channels
    fast = [channels[name].channel for name in ("cp_high", "cp_low")]
    slow = [channels[name].channel for name in SLOW_INPUTS if name in channels]
    converter = open_converter(hardware.adc, hardware.adc_bus, fast, slow, time, link)
    levels = PilotLevels(
        converter,
        Scale.of(channels["cp_high"], found.high),
        Scale.of(channels["cp_low"], found.low),
        pilot,
    )
    more = [Scale.of(channels[name]) if name in channels else None for name in SLOW_INPUTS]
    parts = PilotParts(link, pilot, converter, levels, *more)
    parts.pilot.set_duty(DUTY_STEADY_HIGH)
    try:
        wait_until(lambda: levels.read(time.now()).taken_at > -inf, parts.step, parts.problem, time)
    except PortError:
        pilot.close()
        converter.close()
        raise
    return parts


# --- proving the pilot ---------------------------------------------------------------------------


def prove_pilot(parts: PilotParts, time: Time) -> None:
    """Drive steady -12 V and +12 V, read both back, and leave +12 V. Raises PortError.

    -12 V stands behind a vehicle's diode, too. What +12 V becomes with a vehicle (or a fault) on CP
    says nothing about the front end: then it is not judged here, but by the core.
    """
    try:
        low = settled(parts, DUTY_STEADY_LOW, time)
        wrong = calibration.steady_problem(-12.0, low.high_v, low.low_v)
    finally:
        parts.pilot.set_duty(DUTY_STEADY_HIGH)
    if not wrong:
        high = settled(parts, DUTY_STEADY_HIGH, time)
        if high.high_v > HIGH_WITHOUT_VEHICLE_V:
            wrong = calibration.steady_problem(12.0, high.high_v, high.low_v)
    if wrong:
        raise PortError(f"pilot: {wrong}")


def settled(parts: PilotParts, duty: float, time: Time) -> PilotSample:
    """Drive a steady level and read until it stands still. Raises PortError when nothing comes."""
    parts.pilot.set_duty(duty)
    give_up_at = time.now() + SETTLE_S
    seen: list[PilotSample] = []
    while time.now() < give_up_at:
        time.pause(STRIDE_S)
        now = time.now()
        parts.step(now)
        sample = parts.levels.read(now)
        if not seen or sample.taken_at > seen[-1].taken_at:
            seen.append(sample)
        last = seen[-STEADY_READINGS:]
        driven_v = 12.0 if duty else -12.0
        if len(last) == STEADY_READINGS and not any(
            calibration.steady_problem(driven_v, s.high_v, s.low_v) for s in last
        ):
            return sample
    if len(seen) < STEADY_READINGS:
        raise PortError(parts.problem() or "pilot: its levels are not measured")
    return seen[-1]
