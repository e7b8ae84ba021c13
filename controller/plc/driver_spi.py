"""A QCA7000/7005 on the SPI bus of a Raspberry Pi, from user space, bridged into a TAP device.

An alternative to the kernel's `qcaspi` (which wants a device-tree overlay): `/dev/spidevX.Y` for
the data, a line of `/dev/gpiochipN` for the interrupt. Both are spoken to by ioctls, which are
the kernel's stable interface; the packages `spidev` and `gpiod` would add nothing but a dependency.
SPI1 of the Pi cannot do mode 3: use SPI0.

`SpiBridge` carries out what the core (`spi.QcaSpi`) gives.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import struct
from collections import deque
from typing import TYPE_CHECKING

from controller.errors import PortError
from controller.plc.spi import CarrierChanged, FrameArrived, QcaSpi, SpiTransfer, SpiTrouble

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from controller.loop import Loop
    from controller.plc.driver_tap import TapLink
    from controller.plc.port import SpiPort
    from controller.signals import Output

DEFAULT_SPEED_HZ = 8_000_000
"""12 MHz, the overlay's default, is unstable on some boards; 8 MHz is the driver's."""
MODE_3 = 3
SPI_IOC_MESSAGE_1 = 0x40206B00
SPI_IOC_WR_MODE = 0x40016B01
SPI_IOC_WR_BITS = 0x40016B03
SPI_IOC_WR_SPEED = 0x40046B04
"""linux/spi/spidev.h."""
SPI_TRANSFER = struct.Struct("@QQIIHBBBBBB")
"""struct spi_ioc_transfer: tx, rx, length, speed, delay, bits, ..."""

GPIO_V2_GET_LINE_IOCTL = 0xC250B407
GPIO_LINE_INPUT, GPIO_LINE_EDGE_RISING = 1 << 2, 1 << 4
LINE_REQUEST_SIZE = 592
"""linux/gpio.h, struct gpio_v2_line_request: 64 offsets, 32 characters, the configuration (272
bytes, its flags first), num_lines, event_buffer_size, five reserved words, the descriptor."""
OFFSET_CONSUMER, OFFSET_FLAGS, OFFSET_LINES, OFFSET_FD = 256, 288, 560, 588
EVENT_SIZE = 48
CONSUMER = b"ccs-pilot"


class SpiDevice:
    """An SpiPort on a spidev device and a line of a GPIO chip."""

    def __init__(self, device: str, gpio: int, *, chip: str, speed_hz: int) -> None:
        self.device = device
        self._speed_hz = speed_hz
        self._line = -1
        self._fd = _open(device, "enable SPI: dtparam=spi=on, and take the qca7000 overlay away")
        try:
            fcntl.ioctl(self._fd, SPI_IOC_WR_MODE, struct.pack("@B", MODE_3))
            fcntl.ioctl(self._fd, SPI_IOC_WR_BITS, struct.pack("@B", 8))
            fcntl.ioctl(self._fd, SPI_IOC_WR_SPEED, struct.pack("@I", speed_hz))
            self._line = _request_line(chip, gpio)
        except OSError as error:
            self.close()
            if isinstance(error, PortError):
                raise
            hint = " (SPI1 of the Pi cannot do mode 3)" if error.errno == errno.EINVAL else ""
            raise PortError(f"{device}: {error.strerror}{hint}") from error

    def transfer(self, data: bytes) -> bytes:
        """Shift out and in at once; empty when the device failed."""
        out = ctypes.create_string_buffer(data, len(data))
        back = ctypes.create_string_buffer(len(data))
        request = SPI_TRANSFER.pack(
            *(ctypes.addressof(out), ctypes.addressof(back), len(data), self._speed_hz),
            *(0, 8, 0, 0, 0, 0, 0),
        )
        try:
            fcntl.ioctl(self._fd, SPI_IOC_MESSAGE_1, request)
        except OSError:
            return b""
        return back.raw

    def fileno(self) -> int:
        """File descriptor that is readable after a rising edge."""
        return self._line

    def take_edges(self) -> int:
        """Take the edges that waited."""
        try:
            return len(os.read(self._line, 64 * EVENT_SIZE)) // EVENT_SIZE
        except BlockingIOError:
            return 0

    def close(self) -> None:
        """Release the device; closing twice is allowed."""
        for fd in (self._fd, self._line):
            if fd >= 0:
                with contextlib.suppress(OSError):
                    os.close(fd)
        self._fd = self._line = -1


def open_spi(
    device: str = "/dev/spidev0.0",
    gpio: int = 23,
    *,
    chip: str = "/dev/gpiochip0",
    speed_hz: int = DEFAULT_SPEED_HZ,
) -> SpiDevice:
    """Open the modem's SPI device and interrupt line (defaults: the Pi's overlay qca7000).

    Raises PortError.
    """
    return SpiDevice(device, gpio, chip=chip, speed_hz=speed_hz)


class SpiBridge:
    """Binds the core to its SPI device and a TAP device in a loop."""

    def __init__(self, loop: Loop, port: SpiPort, tap: TapLink, say: Callable[[str], None]) -> None:
        self.core = QcaSpi()
        self.deadline = 0.0
        self._port = port
        self._tap = tap
        self._say = say
        tap.set_carrier(False)
        loop.watch(port.fileno(), self._edge)
        loop.watch(tap.fileno(), self._from_host)
        loop.add(self)

    def fire(self, now: float) -> None:
        """Let the core act on its deadlines."""
        self._carry(self.core.handle_timer(now), now)

    def _edge(self, now: float) -> None:
        if self._port.take_edges():
            self._carry(self.core.receive_interrupt(now), now)

    def _from_host(self, now: float) -> None:
        while (frame := self._tap.receive()) is not None:
            self._carry(self.core.receive_frame(frame, now), now)

    def _carry(self, outputs: Iterable[Output], now: float) -> None:
        waiting = deque(outputs)
        while waiting:
            output = waiting.popleft()
            if isinstance(output, SpiTransfer):
                waiting.extend(self.core.receive_data(self._port.transfer(output.data), now))
            elif isinstance(output, FrameArrived):
                self._tap.send(output.frame)
            elif isinstance(output, CarrierChanged):
                self._tap.set_carrier(output.up)
                self._say("the modem is ready" if output.up else "the modem is gone")
            elif isinstance(output, SpiTrouble):
                self._say(output.reason)
        deadline = self.core.next_timer()
        self.deadline = float("inf") if deadline is None else deadline


def _open(path: str, hint: str) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        raise PortError(f"{path}: does not exist: {hint}") from None
    except PermissionError:
        raise PortError(f"{path}: may not be opened by this user: run as root") from None
    except OSError as error:
        raise PortError(f"{path}: {error.strerror}") from None


def _request_line(chip: str, gpio: int) -> int:
    fd = _open(chip, "which GPIO chip is it? (ls /dev/gpiochip*)")
    request = bytearray(LINE_REQUEST_SIZE)
    struct.pack_into("@I", request, 0, gpio)
    request[OFFSET_CONSUMER : OFFSET_CONSUMER + len(CONSUMER)] = CONSUMER
    struct.pack_into("@Q", request, OFFSET_FLAGS, GPIO_LINE_INPUT | GPIO_LINE_EDGE_RISING)
    struct.pack_into("@II", request, OFFSET_LINES, 1, 64)
    try:
        fcntl.ioctl(fd, GPIO_V2_GET_LINE_IOCTL, request)
    except OSError as error:
        busy = " (is the qca7000 overlay still loaded?)" if error.errno == errno.EBUSY else ""
        raise PortError(f"{chip}: line {gpio}: {error.strerror}{busy}") from error
    finally:
        os.close(fd)
    line: int = struct.unpack_from("@i", request, OFFSET_FD)[0]
    os.set_blocking(line, False)
    return line
