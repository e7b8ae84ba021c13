"""The hardware of a real vehicle unit, put together as its file says: pilot, S2, plug, contactors.

The vehicle's twin of `hardware`: opened once, before the fixed period begins; from then on nothing
waits and nothing raises. A sample of the inlet is as old as the oldest of what it is made of: the
edges of the pilot, its peak voltage, the plug's resistor. So whichever of them is gone, the sample
grows old, S2 opens and the permits end.

The battery is the simulated site's (`driver_battery`), and so is the on-board charger: neither of
them has a driver for the vehicle's CAN yet.
"""

from __future__ import annotations

from dataclasses import replace
from math import inf
from typing import TYPE_CHECKING

from controller.cp.driver_gpiochip import GpiochipEdges, header_chip, load_gpiod
from controller.cp.driver_pigpio_edges import PigpioEdges
from controller.cp.edges import Line, Timing
from controller.cp.measuring import Scale
from controller.cp.proximity import resistance_ohm
from controller.errors import ConfigError, PortError
from controller.hardware_parts import (
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
from controller.power.driver_battery import BatteryLink
from controller.signals import (
    CloseContactors,
    ContactorReading,
    InletReport,
    InletSample,
    OpenContactors,
    Output,
    PevInputs,
    SetOnboardCurrent,
    SetS2,
    SetWatchdog,
)

if TYPE_CHECKING:
    from typing import Protocol

    from controller.board import Board, Pin, Side
    from controller.config import CarConfig
    from controller.cp.port import ConverterPort, EdgePort
    from controller.pigpio_link import PigpioLink
    from controller.power.port import GpioPort

    class Battery(Protocol):
        """Battery and inlet measurements."""

        report: InletReport

        def step(self, now: float) -> None:
            """Take what has come."""

        def send(self, command: Output) -> None:
            """Tell the on-board charger beside it how much AC current it may draw."""

        def problem(self) -> str:
            """Say what is wrong, or nothing."""

        def close(self) -> None:
            """End the connection."""


NEEDED = {"pilot_edges": "in", "s2": "out", "contactors": "out", "contactors_open": "in"}
NEEDED_CHANNELS = ("cp_high", "proximity")
OUTPUTS = ("contactors", "s2", "watchdog")
NOTHING_MEASURED = InletSample(0.0, 0.0, plugged=False, taken_at=-inf)
UNPLUGGED_OHM = 2500.0
"""Less is some plug, whatever the coding."""


class PevHardware:
    """`Hardware`, `MidPeriod` and `Wakes` of a vehicle unit."""

    def __init__(
        self,
        side: Side,
        edges: EdgePort,
        converter: ConverterPort,
        gpio: GpioPort,
        battery: Battery,
        link: PigpioLink | None = None,
    ) -> None:
        self._side = side
        self._edges = edges
        self._converter = converter
        self._gpio = gpio
        self._battery = battery
        self._link = link
        self._cp_high = Scale.of(side.channels["cp_high"])
        self._proximity = Scale.of(side.channels["proximity"])
        self._chain = side.pins.get("chain_closed")
        self._watchdog = side.pins.get("watchdog")
        self._sample = NOTHING_MEASURED
        self._toggling = True
        self._edge = False

    def read(self, now: float) -> PevInputs:
        """Everything the vehicle's hardware tells now."""
        gpio = self._gpio
        if self._link is not None:
            self._link.step(now)
        self._converter.step(now)
        gpio.step(now)
        self._battery.step(now)
        closed = not self._is_active(self._side.pins["contactors_open"])
        return PevInputs(
            pilot=self._inlet(now),
            contactors=ContactorReading(closed, gpio.read_at),
            vehicle=replace(self._battery.report, contactors_closed=closed),
            chain_open=self._is_chain_open(now),
            chain_read=self._chain is not None and self._watchdog is not None,
        )

    def mid_period(self, now: float) -> None:
        """Let the converter go on: both of its inputs are new in every period then."""
        self._converter.step(now)

    def carry_out(self, command: Output, now: float) -> None:
        """Do what the realtime core commands."""
        if isinstance(command, SetS2):
            self._put("s2", active=command.closed)
        elif isinstance(command, CloseContactors | OpenContactors):
            self._put("contactors", active=isinstance(command, CloseContactors))
        elif isinstance(command, SetWatchdog):
            self._toggling = command.toggling
        elif isinstance(command, SetOnboardCurrent):
            self._battery.send(command)

    def kick(self) -> None:
        """Give the external watchdog one edge."""
        if self._toggling and self._watchdog is not None:
            self._edge = not self._edge
            self._gpio.set(self._watchdog.gpio, self._edge)

    def problem(self) -> str:
        """Everything that does not work at the moment."""
        parts = (self._edges, self._converter, self._gpio, self._battery)
        return one_line([part.problem() for part in parts])

    def wake_fileno(self) -> int:
        """Return a descriptor that becomes readable with an edge; -1 while there is none.

        The pigpio daemon's is none: it tells of a quiet line, too, all the time.
        """
        return -1 if isinstance(self._edges, PigpioEdges) else self._edges.fileno()

    def make_safe(self) -> None:
        """Open the contactors and S2; also with half of the hardware gone, and repeatedly."""
        self._put("s2", active=False)
        self._put("contactors", active=False)

    def last_wish(self) -> LastWish:
        """S2 and contactors open."""
        return wishes_of(self._gpio)

    def close(self) -> None:
        """Give the devices back; makes safe first."""
        self.make_safe()
        self._gpio.close()
        self._edges.close()
        self._converter.close()
        self._battery.close()
        if self._link is not None:
            self._link.close()

    # --- inside ---------------------------------------------------------------------------------

    def _inlet(self, now: float) -> InletSample:
        timing, heard_at = self._edges.read(now)
        high = self._converter.latest(self._cp_high.channel)
        proximity = self._converter.latest(self._proximity.channel)
        if high is None or proximity is None or timing.line is Line.UNKNOWN:
            return self._sample
        taken_at = min(heard_at, high.taken_at, proximity.taken_at, now)
        if taken_at > self._sample.taken_at:
            self._sample = inlet_sample(
                timing,
                self._cp_high.value(high.volts),
                self._proximity.value(proximity.volts),
                taken_at,
            )
        return self._sample

    def _is_chain_open(self, now: float) -> bool:
        if self._chain is None:  # a board without an external interlock
            return False
        is_old = not now - self._gpio.read_at <= pins.CHAIN_STALE_S
        return is_old or not self._is_active(self._chain)

    def _is_active(self, pin: Pin) -> bool:
        return bool(self._gpio.levels() >> pin.gpio & 1) is pin.is_active_high

    def _put(self, name: str, *, active: bool) -> None:
        pin = self._side.pins[name]
        self._gpio.set(pin.gpio, active is pin.is_active_high)


def inlet_sample(timing: Timing, high_v: float, pp_v: float, taken_at: float) -> InletSample:
    """Put one sample together from what three parts measured."""
    ohm = resistance_ohm(pp_v)
    plugged = not ohm >= UNPLUGGED_OHM
    return InletSample(high_v, timing.duty, plugged, taken_at, timing.frequency_hz, ohm)


# --- opening -------------------------------------------------------------------------------------


def open_vehicle(config: CarConfig, board: Board, time: Time | None = None) -> PevHardware:
    """Open a vehicle unit's parts. Raises ConfigError, PortError."""
    time, hardware, side = time or RealTime(), config.hardware, board.pev
    check_board(side, hardware.board or "the board")
    daemon = "pigpio" in (hardware.edges, hardware.gpio, hardware.adc_bus)
    link = open_link(hardware.pigpiod, time) if daemon else None
    gpio = open_gpio(hardware.gpio, _without_edges(side), link, time, _outputs(side))
    opened: list[EdgePort | ConverterPort] = []
    try:
        edges = _open_edges(config, side, link, time)
        opened.append(edges)
        channels = [side.channels[name].channel for name in NEEDED_CHANNELS]
        converter = open_converter(hardware.adc, hardware.adc_bus, channels, (), time, link)
        made = PevHardware(side, edges, converter, gpio, BatteryLink(hardware.site), link)
    except PortError:
        for part in (*opened, gpio, *([link] if link is not None else [])):
            part.close()
        raise
    try:
        made.make_safe()
        wait_until(
            lambda: made.read(time.now()).pilot.taken_at > -inf,
            lambda now: None,
            made.problem,
            time,
        )
    except PortError:
        made.close()
        raise
    if link is not None:
        link.hurry()
    return made


def check_board(side: Side, name: str) -> None:
    """Refuse a pin map that lacks what a vehicle needs. Raises ConfigError, one line."""
    for key, direction in NEEDED.items():
        if key not in side.pins:
            raise ConfigError(f"{name}: pev.pins.{key} is missing ({direction})")
        if side.pins[key].direction != direction:
            raise ConfigError(f'{name}: pev.pins.{key}: direction must be "{direction}"')
    for key in NEEDED_CHANNELS:
        if key not in side.channels:
            raise ConfigError(f"{name}: pev.channels.{key} is missing")


def _outputs(side: Side) -> list[str]:
    return [name for name in OUTPUTS if name in side.pins]


def _without_edges(side: Side) -> Side:
    """All pins but the one that `EdgePort` claims for itself."""
    kept = {name: pin for name, pin in side.pins.items() if name != "pilot_edges"}
    return replace(side, pins=kept)


def _open_edges(config: CarConfig, side: Side, link: PigpioLink | None, time: Time) -> EdgePort:
    pin = side.pins["pilot_edges"]
    inverted = not pin.is_active_high
    if config.hardware.edges == "gpiochip":
        gpiod = load_gpiod()
        return GpiochipEdges(header_chip(gpiod), pin.gpio, inverted=inverted, gpiod=gpiod)
    assert link is not None
    return PigpioEdges(link, pin.gpio, time.now, inverted=inverted)
