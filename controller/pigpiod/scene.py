"""A board behind the daemon's pins: what charger's and vehicle's scene have in common (core).

A scene is a circuit whose pins have names (hw_docs/board.toml). Inputs of the Pi are set by name,
in the sense of the name (`active`), as a level or as a course; None leaves the pin to its pull. A
pilot is driven by a course, and the circuit behind it knows duty and frequency; a change that the
PWM block makes at the end of its period takes effect there.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from math import ceil, inf
from typing import TYPE_CHECKING

from controller.cp.sim_adc import SimAds1115, SimMcp3208
from controller.cp.sim_front_end import FrontEnd, Parts
from controller.pigpiod.courses import (
    HIGH,
    LOW,
    NS,
    STEADY,
    Course,
    Inverted,
    Pulses,
    Steady,
    Switched,
    pulses,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from controller.board import Side
    from controller.cp.sim import PilotCircuit
    from controller.pigpiod.circuit import I2cDevice, SpiDevice

    Rng = Callable[[int], bytes]

ADS1115_ADDRESS = 0x48
I2C_BUS = 1
MCP3208_SELECT = 1
"""Chip select 0 of the main SPI belongs to a powerline modem."""
TOGGLES_NS = 10_000_000
"""Edges at least so often, without anyone writing them, count as toggling (PWM on the pin)."""


def ceil_ns(seconds: float) -> int:
    """Nanoseconds that are, taken back to seconds, certainly not before a time.

    Seconds of a machine that runs for months are exact to a few nanoseconds only; a deadline that
    is never quite reached would keep everybody busy.
    """
    return ceil(seconds * NS) + 10


def duty_of(course: Course) -> tuple[float, float]:
    """Duty cycle and frequency that a course means now; steady ones have 1 kHz by name."""
    if isinstance(course, Switched):
        return duty_of(course.before)
    if isinstance(course, Inverted):
        duty, hertz = duty_of(course.of)
        return 1.0 - duty, hertz
    if isinstance(course, Pulses):
        return course.high / course.period, NS / course.period
    return float(course.level(0)), 1000.0


def compared(course: Course, front: FrontEnd) -> Course:
    """What a comparator on CP makes of the generator's course."""
    if isinstance(course, Switched):
        return Switched(compared(course.before, front), course.at, compared(course.after, front))
    if isinstance(course, Steady):
        return STEADY[front.rests_at(course.value) > front.parts.threshold_v]
    delays = front.comparator_delays_s()
    if delays is None or not isinstance(course, Pulses):
        return STEADY[front.rests_at(0) > front.parts.threshold_v]
    rise, fall = (round(delay * NS) for delay in delays)
    return pulses(course.start + rise, course.period, course.high + fall - rise)


class Scene(ABC):
    """Named pins on a circuit."""

    def __init__(
        self,
        side: Side,
        pilot: PilotCircuit,
        rng: Rng,
        parts: Parts | None,
        *,
        at_inlet: bool = False,
    ) -> None:
        self.side = side
        self.pilot = pilot
        self.front = FrontEnd(pilot, parts, at_inlet=at_inlet)
        self.revision = 0
        self.gpios = frozenset(pin.gpio for pin in side.pins.values() if pin.direction == "in")
        self._names = {pin.gpio: name for name, pin in side.pins.items()}
        self._courses: dict[int, Course] = {}
        self._generator: Course | None = None
        self._channels = {channel.channel: name for name, channel in side.channels.items()}
        self._ads1115 = SimAds1115(self._converter_input, rng=rng)
        self._mcp3208 = SimMcp3208(self._converter_input, rng=rng)

    # --- circuit: what the daemon asks and tells ------------------------------------------------

    def drive(self, gpio: int, course: Course | None, pull: int, at: int) -> None:
        """The Pi drives a pin."""
        name = self._names.get(gpio, "")
        if self.side.pins.get(name) is None or self.side.pins[name].direction != "out":
            return
        self.advance(at)
        self.driven(name, course, at)
        self.advance(at)

    def course(self, gpio: int) -> Course | None:
        """What the board drives on a pin."""
        return self._courses.get(gpio)

    def next_timer(self) -> int | None:
        """When the board does something by itself."""
        times = [ceil_ns(at) for at in self.next_times() if at < inf]
        if isinstance(self._generator, Switched):
            times.append(self._generator.at)
        return min(times) if times else None

    def handle_timer(self, at: int) -> None:
        """Do it."""
        self.advance(at)

    def i2c(self, bus: int, address: int) -> I2cDevice | None:
        """The ADS1115."""
        return self._ads1115 if (bus, address) == (I2C_BUS, ADS1115_ADDRESS) else None

    def spi(self, auxiliary: bool, channel: int) -> SpiDevice | None:
        """The MCP3208."""
        return self._mcp3208 if (auxiliary, channel) == (False, MCP3208_SELECT) else None

    # --- what a scene has of its own ------------------------------------------------------------

    @abstractmethod
    def driven(self, name: str, course: Course | None, at: int) -> None:
        """An output of the Pi is driven so."""

    @abstractmethod
    def next_times(self) -> list[float]:
        """When (seconds) something changes by itself."""

    @abstractmethod
    def follow(self, at: int) -> None:
        """Bring everything to `at`, and set the inputs of the Pi."""

    @abstractmethod
    def value(self, channel: str) -> float:
        """What the converter's channel watches, in its own unit."""

    # --- for the scenes -------------------------------------------------------------------------

    def advance(self, at: int) -> None:
        """Let time pass: the analogue part first, as it was until now."""
        self.front.advance(at)
        self._settle_generator(at)
        self.follow(at)

    def is_active(self, name: str, course: Course | None, at: int) -> bool:
        """Whether an output means what its name says; one that is not driven does not."""
        if course is None:
            return False
        return (course.level(at) == 1) is self.side.pins[name].is_active_high

    def put(self, name: str, active: bool | None) -> None:
        """Set an input of the Pi by its meaning; one that the board does not have is left out."""
        pin = self.side.pins.get(name)
        if pin is not None:
            self.put_course(name, None if active is None else STEADY[active is pin.is_active_high])

    def put_course(self, name: str, course: Course | None) -> None:
        """Set an input of the Pi to a course."""
        pin = self.side.pins.get(name)
        if pin is None or self._courses.get(pin.gpio) == course:
            return
        if course is None:
            del self._courses[pin.gpio]
        else:
            self._courses[pin.gpio] = course
        self.revision += 1

    def generate(self, course: Course | None, at: int) -> None:
        """Drive the pilot's generator; without a course it rests at -12 V."""
        self.front.set_drive(course, at)
        self._generator = course or LOW
        self._settle_generator(at)

    def comparator(self) -> Course:
        """CP as a logic level."""
        return LOW if self._generator is None else compared(self._generator, self.front)

    def toggles(self, course: Course | None, at: int) -> bool:
        """Whether a course has edges often enough without anybody writing them."""
        if course is None:
            return False
        following = course.next_edge(at)
        if following is None or following - at > TOGGLES_NS:
            return False
        after = course.next_edge(following)
        return after is not None and after - following <= TOGGLES_NS

    # --- inside ---------------------------------------------------------------------------------

    def _settle_generator(self, at: int) -> None:
        if self._generator is None:
            return
        self._generator = self._generator.settled(at)
        duty, hertz = duty_of(self._generator)
        if duty != self.pilot.duty:
            self.pilot.duty = duty
        if hertz != self.pilot.frequency_hz:
            self.pilot.frequency_hz = hertz

    def _converter_input(self, number: int, now: float) -> float:
        name = self._channels.get(number)
        if name is None:
            return 0.0
        self.front.advance(round(now * NS))
        channel = self.side.channels[name]
        return (self.value(name) - channel.offset_v) / channel.slope


def level(active: bool) -> Course:
    """The steady course of a truth."""
    return HIGH if active else LOW
