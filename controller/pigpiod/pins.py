"""The 54 GPIOs: modes, pulls, output latches, and what each line carries (core).

A line is a course. While somebody watches a pin its line keeps what it carried since the last look
(`looked`), so that nothing that happened in between is lost; else only what it carries now.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from controller.pigpiod.circuit import PULL_DOWN, PULL_OFF, PULL_UP
from controller.pigpiod.courses import HIGH, LOW, Course, Edge, Steady, Switched, sampled
from controller.pigpiod.wire import GPIOS, USER_GPIOS

if TYPE_CHECKING:
    from controller.pigpiod.circuit import Circuit

INPUT, OUTPUT, ALT5, ALT4, ALT0, ALT1, ALT2, ALT3 = range(8)
"""Modes, by the numbers that the chip uses."""
BANK = (1 << USER_GPIOS) - 1
PULLED_UP_AT_BOOT = range(9)
PULLED_DOWN_AT_BOOT = range(9, 28)
I2C_PULL_UPS = frozenset({2, 3})
"""Resistors to 3.3 V on every board: these two cannot be pulled down."""
SAMPLE_NS = 5_000
"""The daemon looks at its pins every 5 us (its default)."""


class Use(Enum):
    """What a pin was last told to do; decides what other commands say about it."""

    UNDEFINED = "undefined"
    WRITE = "write"
    PWM = "pwm"
    SERVO = "servo"
    CLOCK = "hardware clock"
    HARDWARE_PWM = "hardware pwm"


class Pin:
    """One GPIO."""

    __slots__ = (
        "alternate", "carried", "drive", "frequency", "latch", "line", "mode", "pull", "range",
        "use", "width",
    )  # fmt: skip

    def __init__(self, gpio: int) -> None:
        self.mode = INPUT
        self.pull = PULL_OFF
        if gpio in PULLED_UP_AT_BOOT:
            self.pull = PULL_UP
        elif gpio in PULLED_DOWN_AT_BOOT:
            self.pull = PULL_DOWN
        self.latch: Course = LOW
        """What it drives as an output."""
        self.alternate: tuple[int, Course] | None = None
        """The mode in which PWM block or clock have the pin, and what they drive."""
        self.use = Use.UNDEFINED
        self.range = 255
        self.frequency = 5
        """Index into the table of frequencies: 800 Hz."""
        self.width = 0
        """PWM duty in units of the range, or servo pulse in microseconds."""
        self.drive: Course | None = None
        """What the Pi drives; None: an input."""
        self.line: Course = HIGH if self.pull == PULL_UP else LOW
        """What can be read on it; of a watched pin with all since the last look."""
        self.carried: Course = self.line
        """What it carries now."""


class Pins:
    """All GPIOs, and the circuit behind them. Times are nanoseconds."""

    def __init__(self, circuit: Circuit, permitted: int) -> None:
        self.pins = tuple(Pin(gpio) for gpio in range(GPIOS))
        self.circuit = circuit
        self.permitted = permitted
        """Mask of the GPIOs that may be changed."""
        self.changed = False
        """A line became another one since somebody set this to False."""
        self._watched = 0
        self._steady = sum(1 << gpio for gpio, pin in enumerate(self.pins) if pin.line is HIGH)
        self._live: set[int] = set()
        """Pins whose line is not steady; the levels of the others are in `_steady`."""
        self._revision = -1
        self._looked_at = -1
        for gpio, pin in enumerate(self.pins):
            circuit.drive(gpio, None, pin.pull, 0)
        self.refresh(0)
        self.changed = False

    # --- levels ---------------------------------------------------------------------------------

    def read(self, gpio: int, at: int) -> int:
        """Level of one pin."""
        return self.pins[gpio].line.level(at)

    def levels(self, at: int) -> int:
        """All levels, a bit each."""
        levels = self._steady
        for gpio in self._live:
            levels |= self.pins[gpio].line.level(at) << gpio
        return levels

    # --- watching -------------------------------------------------------------------------------

    def watch(self, bits: int) -> None:
        """Keep the history of these pins from now on, until each `looked`."""
        forgotten = self._watched & ~bits
        self._watched = bits & BANK
        for gpio, pin in enumerate(self.pins):
            if forgotten >> gpio & 1:
                self._put(gpio, pin.carried)

    def look(self, gpio: int, after: int, until: int) -> list[Edge]:
        """What the sampler saw of a watched pin after one time and until another."""
        return sampled(self.pins[gpio].line, after, until, 0, SAMPLE_NS)

    def looked(self, at: int) -> None:
        """Forget what lines carried before `at`."""
        self._looked_at = at
        for gpio in tuple(self._live):
            pin = self.pins[gpio]
            settled = pin.line.settled(at)
            if settled is not pin.line:
                self._put(gpio, settled)

    def next_edge(self, after: int) -> int | None:
        """When a watched line may change by itself, or has changed without being looked at."""
        first: int | None = None
        for gpio in self._live:
            if self._watched >> gpio & 1:
                edge = self.pins[gpio].line.next_edge(after)
                if edge is not None and (first is None or edge < first):
                    first = edge
        return first

    # --- what commands do -----------------------------------------------------------------------

    def set_mode(self, gpio: int, mode: int, at: int) -> None:
        """Input, output, or one of the alternate functions."""
        pin = self.pins[gpio]
        if mode != pin.mode:
            pin.mode = mode
            self._update(gpio, at)

    def set_pull(self, gpio: int, pull: int, at: int) -> None:
        """Pull up, down or not at all."""
        pin = self.pins[gpio]
        pin.pull = pull
        self.circuit.drive(gpio, pin.drive, pull, at)
        self._set_line(gpio, at)
        self.refresh(at)

    def set_latch(self, gpio: int, latch: Course, at: int) -> None:
        """Drive this as soon as the pin is an output."""
        self.pins[gpio].latch = latch
        self._update(gpio, at)

    def set_alternate(self, gpio: int, alternate: tuple[int, Course] | None, at: int) -> None:
        """Let PWM block or clock drive the pin while it is in their mode."""
        self.pins[gpio].alternate = alternate
        self._update(gpio, at)

    def refresh(self, at: int) -> None:
        """Ask the circuit again, if it says that something is different."""
        while self._revision != self.circuit.revision:
            self._revision = self.circuit.revision
            for gpio in self.circuit.gpios:
                self._set_line(gpio, at)

    # --- inside ---------------------------------------------------------------------------------

    def _update(self, gpio: int, at: int) -> None:
        pin = self.pins[gpio]
        drive: Course | None = None
        if pin.mode == OUTPUT:
            drive = pin.latch
        elif pin.alternate is not None and pin.mode == pin.alternate[0]:
            drive = pin.alternate[1]
        if drive is not pin.drive:
            pin.drive = drive
            self.circuit.drive(gpio, drive, pin.pull, at)
            self._set_line(gpio, at)
            self.refresh(at)

    def _set_line(self, gpio: int, at: int) -> None:
        pin = self.pins[gpio]
        resting = HIGH if pin.pull == PULL_UP or gpio in I2C_PULL_UPS else LOW
        line: Course = pin.drive or self.circuit.course(gpio) or resting
        if line is pin.carried:
            return
        pin.carried = line
        if self._watched >> gpio & 1:
            # What happens at the instant of a look comes after it.
            line = _joined(pin.line, max(at, self._looked_at + 1), line)
        self._put(gpio, line)
        self.changed = True

    def _put(self, gpio: int, line: Course) -> None:
        self.pins[gpio].line = line
        if isinstance(line, Steady):
            self._live.discard(gpio)
            self._steady = self._steady & ~(1 << gpio) | line.value << gpio
        else:
            self._live.add(gpio)
            self._steady &= ~(1 << gpio)


def _joined(before: Course, at: int, after: Course) -> Course:
    """One course and then another; at the same instant the last word counts."""
    if isinstance(before, Switched) and before.at == at:
        before = before.before
    return Switched(before, at, after)
