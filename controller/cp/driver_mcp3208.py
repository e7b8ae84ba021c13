"""MCP3208 behind the peak detectors, over SPI: every input is measured when it is asked for.

Both levels are measured in each `step`, within a tenth of a millisecond, so a sample is as old as
the period. There is no register to recognise the part by: the null bit before each answer must be
low, which a missing part (the line reads high) does not fulfil; a line stuck low reads as -16 V on
both detectors, which is no pilot and fails the check of the calibration at the start.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Protocol

from controller.cp.port import Measured
from controller.errors import PortError
from controller.pigpio_link import PigpioHandle

if TYPE_CHECKING:
    from collections.abc import Sequence

    from controller.pigpio_link import PigpioLink

CLOCK_HZ = 1_000_000
"""The data sheet allows 1 MHz at 2.7 V and 2 MHz at 5 V."""
STEPS = 4096
REFERENCE_V = 3.3
NULL_BIT = 0x10
STEPS_BETWEEN_SLOW = 20
RETRY_S = 0.05
SAID_AFTER = 2


class SpiBus(Protocol):
    """Full-duplex transfers with the chip selected. Raises OSError."""

    def transfer(self, data: bytes) -> bytes:
        """Exchange bytes."""

    def close(self) -> None:
        """Give the bus back."""


class KernelSpi:
    """`SpiBus` on /dev/spidevB.D."""

    def __init__(self, bus: int = 0, device: int = 1) -> None:
        """Open the device. Raises PortError with what to do."""
        try:
            import spidev
        except ImportError as error:
            raise PortError(
                "MCP3208 over /dev/spidev needs the package spidev: "
                "pip install 'ccs-pilot[pi]', or apt install python3-spidev"
            ) from error
        self._device = spidev.SpiDev()
        try:
            self._device.open(bus, device)
            self._device.max_speed_hz = CLOCK_HZ
            self._device.mode = 0
        except OSError as error:
            self._device.close()
            raise PortError(
                f"/dev/spidev{bus}.{device}: {error.strerror}; "
                'add "dtparam=spi=on" to /boot/firmware/config.txt and reboot; the user must be in '
                "the group spi"
            ) from error

    def transfer(self, data: bytes) -> bytes:
        """Exchange bytes."""
        return bytes(self._device.xfer2(list(data)))

    def close(self) -> None:
        """Give the device back."""
        self._device.close()


class PigpioSpi:
    """`SpiBus` through the pigpio daemon; opens a new handle after the link was away."""

    def __init__(self, link: PigpioLink, channel: int = 1) -> None:
        self._link = link
        self._handle = PigpioHandle(
            link,
            lambda pi: int(pi.spi_open(channel, CLOCK_HZ, 0)),
            lambda pi, handle: pi.spi_close(handle),
        )

    def transfer(self, data: bytes) -> bytes:
        """Exchange bytes."""
        handle = self._handle.get()
        _, answer = self._link.ask(lambda pi: pi.spi_xfer(handle, data))
        return bytes(answer)

    def close(self) -> None:
        """Give the handle back."""
        self._handle.close()


def request(channel: int) -> bytes:
    """Three bytes that ask for one input against ground; the answer ends with them."""
    return bytes((0b110 | channel >> 2, (channel & 0b11) << 6, 0))


class Mcp3208:
    """`ConverterPort` on an MCP3208."""

    def __init__(self, bus: SpiBus, fast: Sequence[int], slow: Sequence[int] = ()) -> None:
        self._bus = bus
        self._fast, self._slow = tuple(fast), tuple(slow)
        self._latest: dict[int, Measured] = {}
        self._until_slow = 0
        self._failures = 0
        self._retry_at = -inf
        self._reason = ""

    def step(self, now: float) -> None:
        """Measure the fast inputs, and now and then the slow ones."""
        if now < self._retry_at:
            return
        channels = self._fast
        if self._until_slow <= 0:
            self._until_slow = STEPS_BETWEEN_SLOW
            channels += self._slow
        self._until_slow -= 1
        try:
            for channel in channels:
                self._latest[channel] = Measured(self._volts(channel), now)
        except OSError as error:
            self._failures += 1
            self._retry_at = now + (RETRY_S if self._failures >= SAID_AFTER else 0.0)
            self._reason = f"MCP3208: {error.strerror or error}"
            return
        self._failures = 0

    def latest(self, channel: int) -> Measured | None:
        """Return the last measurement of an input, however old; None before the first."""
        return self._latest.get(channel)

    def problem(self) -> str:
        """Why nothing new comes; empty when all is well."""
        return self._reason if self._failures >= SAID_AFTER else ""

    def close(self) -> None:
        """Give the bus back."""
        self._bus.close()

    def _volts(self, channel: int) -> float:
        answer = self._bus.transfer(request(channel))
        if len(answer) != 3 or answer[1] & NULL_BIT:
            raise PortError("no answer on the SPI bus: check its wires and chip select")
        return ((answer[1] & 0x0F) << 8 | answer[2]) * REFERENCE_V / STEPS
