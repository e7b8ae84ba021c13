"""What is outside the Pi: what a circuit must offer, and the bare one, with wires and devices.

A circuit is told what the Pi drives on each pin, as a course: a level, a 1 kHz pulse train, a
waveform. It says what it drives itself: again courses, so that a pulse train through a comparator
is one object and not thousands of events. What changes by itself (a relay that follows its coil, a
watchdog that times out) it does at its `next_timer`.
"""

from __future__ import annotations

from typing import Protocol

from controller.pigpiod.courses import HIGH, LOW, Course

PULL_OFF, PULL_DOWN, PULL_UP = 0, 1, 2


class I2cDevice(Protocol):
    """A device on the I2C bus: it acknowledges what it is sent, and answers reads."""

    def write(self, data: bytes, now: float) -> None:
        """Take one write (the register pointer, usually, and what goes there)."""

    def read(self, count: int, now: float) -> bytes:
        """Answer one read of `count` bytes."""


class SpiDevice(Protocol):
    """A device behind a chip select."""

    def transfer(self, data: bytes, now: float) -> bytes:
        """Exchange bytes: as many come back as were sent."""


class Circuit(Protocol):
    """Everything wired to the pins and buses. Times `at` are nanoseconds, as in courses."""

    gpios: frozenset[int]
    """Pins to which anything is wired."""
    revision: int
    """Goes up whenever a course of `course` is another one than before."""

    def drive(self, gpio: int, course: Course | None, pull: int, at: int) -> None:
        """The Pi drives this pin so from `at` on; None: an input, with this pull."""

    def course(self, gpio: int) -> Course | None:
        """What drives this pin from outside; None: nothing does."""

    def next_timer(self) -> int | None:
        """When something changes by itself."""

    def handle_timer(self, at: int) -> None:
        """Change what was due."""

    def i2c(self, bus: int, address: int) -> I2cDevice | None:
        """The device at an address, or None (nobody acknowledges)."""

    def spi(self, auxiliary: bool, channel: int) -> SpiDevice | None:
        """The device at a chip select, or None (the line stays low)."""


class Bare:
    """A bare Pi: nothing connected but wires between pins (`joins`) and what is put on the buses.

    Where several outputs are joined, the lowest GPIO wins: a real one would be a short circuit.
    """

    def __init__(self, joins: list[tuple[int, int]] | None = None) -> None:
        self.revision = 0
        self.i2c_devices: dict[tuple[int, int], I2cDevice] = {}
        """(bus, address) -> device."""
        self.spi_devices: dict[tuple[bool, int], SpiDevice] = {}
        """(auxiliary, channel) -> device."""
        self._nets: dict[int, set[int]] = {}
        for one, other in joins or []:
            net = self._nets.get(one, {one}) | self._nets.get(other, {other})
            for gpio in net:
                self._nets[gpio] = net
        self.gpios = frozenset(self._nets)
        self._driven: dict[int, Course] = {}
        self._pulls: dict[int, int] = {}

    def drive(self, gpio: int, course: Course | None, pull: int, at: int) -> None:
        """Carry it to the pins joined with this one."""
        if course is None:
            self._driven.pop(gpio, None)
        else:
            self._driven[gpio] = course
        self._pulls[gpio] = pull
        self.revision += 1

    def course(self, gpio: int) -> Course | None:
        """What another pin of the net drives, or else pulls."""
        others = sorted(self._nets.get(gpio, set()) - {gpio})
        for other in others:
            if other in self._driven:
                return self._driven[other]
        pulls = {self._pulls.get(other, PULL_OFF) for other in (*others, gpio)}
        if not others or pulls <= {PULL_OFF}:
            return None
        return HIGH if PULL_UP in pulls else LOW

    def next_timer(self) -> int | None:
        """Nothing changes by itself."""
        return None

    def handle_timer(self, at: int) -> None:
        """Nothing is due."""

    def i2c(self, bus: int, address: int) -> I2cDevice | None:
        """What was put there."""
        return self.i2c_devices.get((bus, address))

    def spi(self, auxiliary: bool, channel: int) -> SpiDevice | None:
        """What was put there."""
        return self.spi_devices.get((auxiliary, channel))
