"""I2C and SPI as clients use them: handles, SMBus shapes, zipped transactions, bit-banged pins.

What is on the buses belongs to the circuit. Where nobody is, nobody acknowledges (I2C: write or
read failed), and MISO stays low (SPI: zeros).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from controller.pigpiod.courses import NS
from controller.pigpiod.pins import ALT0, ALT4
from controller.pigpiod.wire import HANDLES, I2C_HANDLES, USER_GPIOS, Request, Status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from controller.pigpiod.circuit import Circuit, I2cDevice, SpiDevice
    from controller.pigpiod.pins import Pins

    Answer = int | tuple[int, bytes]
    Handler = Callable[[Request, int], Answer]

I2C_BUSES = (0, 1)
I2C_BUS_OF_PINS = {(0, 1): 0, (2, 3): 1}
"""(SDA, SCL) -> bus: for bit-banged I2C on the pins that a bus has, too."""
HIGHEST_ADDRESS = 0x7F
BLOCK = 32
"""Longest SMBus block."""
LONGEST_DEVICE_TRANSFER = 65_535
SPI_BAUD = (32_000, 125_000_000)
BIT_BANG_SPI_BAUD = (50, 250_000)
BIT_BANG_I2C_BAUD = (50, 500_000)
SPI_FLAGS_END = 1 << 22
AUXILIARY_FLAG = 1 << 8
SPI_PINS = {False: (9, 10, 11), True: (19, 20, 21)}
"""MISO, MOSI, clock of the main and the auxiliary SPI."""
SPI_SELECTS = {False: (8, 7), True: (18, 17, 16)}
ZIP_ANSWER = 32_768
"""Room for what one zipped request reads."""
END, ESCAPE, START, STOP, ADDRESS, FLAGS, READ, WRITE = range(8)
"""Commands of a zipped request; 2 and 3 switch the combined flag in I2CZ, start and stop in
BI2CZ."""


class _NotAcknowledged(Exception):  # noqa: N818 - a fact, not an error
    """Nobody at this address."""


class I2c:
    """The I2C half."""

    def __init__(self, circuit: Circuit) -> None:
        self._circuit = circuit
        self._open: dict[int, tuple[int, int]] = {}
        """Handle -> (bus, address)."""
        self._banged: dict[int, int] = {}
        """SDA pin of a bit-banged bus -> its SCL pin."""

    def commands(self) -> dict[str, Handler]:
        """What the daemon dispatches here."""
        return {
            "I2CO": self._i2c_open,
            "I2CC": lambda r, at: (
                0 if self._open.pop(r.first, None) is not None else Status.BAD_HANDLE
            ),
            "I2CRD": self._read_device,
            "I2CWD": self._write_device,
            "I2CZ": self._zip_of_handle,
            "I2CWQ": self._write_quick,
            "I2CRS": lambda r, at: self._read(r, at, None, 1),
            "I2CWS": lambda r, at: self._write(r, at, (r.second,), b""),
            "I2CRB": lambda r, at: self._read(r, at, r.second, 1),
            "I2CWB": lambda r, at: self._write(r, at, (r.second, r.words[0]), b""),
            "I2CRW": lambda r, at: self._read(r, at, r.second, 2),
            "I2CWW": self._write_word,
            "I2CPC": self._process_call,
            "I2CRK": lambda r, at: self._read_block(r, at, b""),
            "I2CWK": lambda r, at: self._write_block(r, at, bytes((len(r.data) & 0xFF,))),
            "I2CPK": self._block_process_call,
            "I2CRI": self._read_i2c_block,
            "I2CWI": lambda r, at: self._write_block(r, at, b""),
            "BI2CO": self._bang_open,
            "BI2CC": self._bang_close,
            "BI2CZ": self._bang_zip,
        }

    # --- devices --------------------------------------------------------------------------------

    def _device(self, handle: int) -> I2cDevice | None:
        bus, address = self._open[handle]
        return self._circuit.i2c(bus, address)

    def _put(self, device: I2cDevice | None, data: bytes, at: int) -> None:
        if device is None:
            raise _NotAcknowledged
        device.write(data, at / NS)

    def _get(self, device: I2cDevice | None, count: int, at: int) -> bytes:
        if device is None:
            raise _NotAcknowledged
        return device.read(count, at / NS)

    # --- handles --------------------------------------------------------------------------------

    def _i2c_open(self, request: Request, at: int) -> Answer:
        bus, address, flags = request.first, request.second, request.words[0]
        if address > HIGHEST_ADDRESS:
            return Status.BAD_I2C_ADDR
        if flags:
            return Status.BAD_FLAGS
        free = next((n for n in range(I2C_HANDLES) if n not in self._open), None)
        if free is None:
            return Status.NO_HANDLE
        if bus not in I2C_BUSES:
            return Status.BAD_I2C_BUS
        self._open[free] = (bus, address)
        return free

    def _read_device(self, request: Request, at: int) -> Answer:
        if request.first not in self._open:
            return Status.BAD_HANDLE
        count = min(request.second, LONGEST_DEVICE_TRANSFER)
        if count < 1:
            return Status.BAD_PARAM
        try:
            data = self._get(self._device(request.first), count, at)
        except _NotAcknowledged:
            return Status.I2C_READ_FAILED
        return len(data), data

    def _write_device(self, request: Request, at: int) -> Answer:
        if request.first not in self._open:
            return Status.BAD_HANDLE
        if not request.data:
            return Status.BAD_PARAM
        return self._send(request.first, request.data, at)

    def _send(self, handle: int, data: bytes, at: int) -> int:
        try:
            self._put(self._device(handle), data, at)
        except _NotAcknowledged:
            return Status.I2C_WRITE_FAILED
        return 0

    # --- SMBus ----------------------------------------------------------------------------------

    def _write_quick(self, request: Request, at: int) -> Answer:
        if request.first not in self._open:
            return Status.BAD_HANDLE
        if request.second > 1:
            return Status.BAD_PARAM
        return self._send(request.first, b"", at)

    def _read(self, request: Request, at: int, register: int | None, count: int) -> Answer:
        """Read byte or word, lowest byte first, of a register or of where the device is."""
        if request.first not in self._open:
            return Status.BAD_HANDLE
        if register is not None and register > 0xFF:
            return Status.BAD_PARAM
        try:
            device = self._device(request.first)
            if register is not None:
                self._put(device, bytes((register,)), at)
            return int.from_bytes(self._get(device, count, at), "little")
        except _NotAcknowledged:
            return Status.I2C_READ_FAILED

    def _write(self, request: Request, at: int, values: tuple[int, ...], data: bytes) -> Answer:
        """Write bytes, each of which must be one."""
        if request.first not in self._open:
            return Status.BAD_HANDLE
        if max(values) > 0xFF:
            return Status.BAD_PARAM
        return self._send(request.first, bytes(values) + data, at)

    def _write_word(self, request: Request, at: int) -> Answer:
        word = request.words[0]
        if request.first in self._open and word > 0xFFFF:
            return Status.BAD_PARAM
        return self._write(request, at, (request.second,), (word & 0xFFFF).to_bytes(2, "little"))

    def _process_call(self, request: Request, at: int) -> Answer:
        written = self._write_word(request, at)
        if written != 0:
            return Status.I2C_READ_FAILED if written == Status.I2C_WRITE_FAILED else written
        return int.from_bytes(self._get(self._device(request.first), 2, at), "little")

    def _write_block(self, request: Request, at: int, length: bytes) -> Answer:
        if request.first not in self._open:
            return Status.BAD_HANDLE
        if request.second > 0xFF or not 1 <= len(request.data) <= BLOCK:
            return Status.BAD_PARAM
        return self._send(request.first, bytes((request.second,)) + length + request.data, at)

    def _read_block(self, request: Request, at: int, sent: bytes) -> Answer:
        """Read a block whose length the device tells first."""
        if request.first not in self._open:
            return Status.BAD_HANDLE
        if request.second > 0xFF:
            return Status.BAD_PARAM
        try:
            device = self._device(request.first)
            self._put(device, bytes((request.second,)) + sent, at)
            block = self._get(device, 1 + BLOCK, at)
        except _NotAcknowledged:
            return Status.I2C_READ_FAILED
        if block[0] > BLOCK:
            return Status.I2C_READ_FAILED
        return block[0], block[1 : 1 + block[0]]

    def _block_process_call(self, request: Request, at: int) -> Answer:
        if request.first in self._open and not 1 <= len(request.data) <= BLOCK:
            return Status.BAD_PARAM
        return self._read_block(request, at, bytes((len(request.data) & 0xFF,)) + request.data)

    def _read_i2c_block(self, request: Request, at: int) -> Answer:
        if request.first not in self._open:
            return Status.BAD_HANDLE
        count = request.words[0]
        if request.second > 0xFF or not 1 <= count <= BLOCK:
            return Status.BAD_PARAM
        try:
            device = self._device(request.first)
            self._put(device, bytes((request.second,)), at)
            data = self._get(device, count, at)
        except _NotAcknowledged:
            return Status.I2C_READ_FAILED
        return len(data), data

    # --- zipped ---------------------------------------------------------------------------------

    def _zip_of_handle(self, request: Request, at: int) -> Answer:
        if request.first not in self._open:
            return Status.BAD_HANDLE
        bus, address = self._open[request.first]
        return self._zip(request.data, bus, address, at, Status.BAD_I2C_SEG)

    def _zip(self, data: bytes, bus: int | None, address: int, at: int, refused: Status) -> Answer:
        """Carry out a string of small commands; `refused` is what a missing device makes of it."""
        if not data:
            return Status.BAD_POINTER
        answer = b""
        try:
            for command, parameter, payload in _unzipped(data):
                if command == ADDRESS:
                    address = parameter
                elif command == READ:
                    if len(answer) + parameter >= ZIP_ANSWER:
                        return Status.BAD_I2C_RLEN
                    answer += self._get(self._at(bus, address), parameter, at)
                elif command == WRITE:
                    self._put(self._at(bus, address), payload, at)
        except _NotAcknowledged:
            return refused
        except _BadZipError as error:
            return error.status
        return len(answer), answer

    def _at(self, bus: int | None, address: int) -> I2cDevice | None:
        return None if bus is None else self._circuit.i2c(bus, address)

    # --- bit-banged -----------------------------------------------------------------------------

    def _bang_open(self, request: Request, at: int) -> Answer:
        sda, scl = request.first, request.second
        if max(sda, scl) >= USER_GPIOS:
            return Status.BAD_USER_GPIO
        lowest, highest = BIT_BANG_I2C_BAUD
        if not lowest <= request.words[0] <= highest:
            return Status.BAD_I2C_BAUD
        taken = set(self._banged) | set(self._banged.values())
        if sda == scl or taken & {sda, scl}:
            return Status.GPIO_IN_USE
        self._banged[sda] = scl
        return 0

    def _bang_close(self, request: Request, at: int) -> Answer:
        if request.first >= USER_GPIOS:
            return Status.BAD_USER_GPIO
        closed = self._banged.pop(request.first, None)
        return Status.NOT_I2C_GPIO if closed is None else 0

    def _bang_zip(self, request: Request, at: int) -> Answer:
        if request.first >= USER_GPIOS:
            return Status.BAD_USER_GPIO
        if request.first not in self._banged:
            return Status.NOT_I2C_GPIO
        bus = I2C_BUS_OF_PINS.get((request.first, self._banged[request.first]))
        return self._zip(request.data, bus, 0, at, Status.I2C_WRITE_FAILED)


_SHORT = {
    ADDRESS: Status.BAD_I2C_CMD,
    FLAGS: Status.BAD_I2C_CMD,
    READ: Status.BAD_I2C_RLEN,
    WRITE: Status.BAD_I2C_WLEN,
}
"""What a command whose parameter is missing is answered with."""


class _BadZipError(Exception):
    def __init__(self, status: Status) -> None:
        self.status = status


def _unzipped(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Take a zipped request apart: command, parameter, what is written. Raises _BadZipError."""
    place, wide = 0, False
    while place < len(data) and data[place] != END:
        command, place = data[place], place + 1
        parameter, payload = 0, b""
        if command in _SHORT:
            size = 2 if wide or command == FLAGS else 1
            if place + size > len(data):
                raise _BadZipError(_SHORT[command])
            parameter = int.from_bytes(data[place : place + size], "little")
            place += size
        elif command > WRITE:
            raise _BadZipError(Status.BAD_I2C_CMD)
        if command == WRITE:
            # As the daemon has it, something must follow: at least the end.
            if place + parameter >= len(data):
                raise _BadZipError(Status.BAD_I2C_WLEN)
            payload = data[place : place + parameter]
            place += parameter
        wide = command == ESCAPE
        yield command, parameter, payload


class Spi:
    """The SPI half."""

    def __init__(self, circuit: Circuit, pins: Pins) -> None:
        self._circuit = circuit
        self._pins = pins
        self._open: dict[int, tuple[bool, int]] = {}
        """Handle -> (auxiliary, channel)."""
        self._modes: dict[bool, dict[int, int]] = {}
        """What the pins were before, of each SPI that is open."""
        self._banged: dict[int, tuple[int, int, int]] = {}
        """Select pin of a bit-banged bus -> MISO, MOSI, clock."""

    def commands(self) -> dict[str, Handler]:
        """What the daemon dispatches here."""
        return {
            "SPIO": self._spi_open,
            "SPIC": self._close,
            "SPIR": lambda r, at: self._transfer(r.first, bytes(min(r.second, 65_535)), at),
            "SPIW": lambda r, at: self._just_length(self._transfer(r.first, r.data, at)),
            "SPIX": lambda r, at: self._transfer(r.first, r.data, at),
            "BSPIO": self._bang_open,
            "BSPIC": self._bang_close,
            "BSPIX": self._bang_transfer,
        }

    def _spi_open(self, request: Request, at: int) -> Answer:
        flags = request.words[0]
        auxiliary = bool(flags & AUXILIARY_FLAG)
        if request.first >= len(SPI_SELECTS[auxiliary]):
            return Status.BAD_SPI_CHANNEL
        if not SPI_BAUD[0] <= request.second <= SPI_BAUD[1]:
            return Status.BAD_SPI_SPEED
        if flags >= SPI_FLAGS_END:
            return Status.BAD_FLAGS
        free = next((n for n in range(HANDLES) if n not in self._open), None)
        if free is None:
            return Status.NO_HANDLE
        self._open[free] = (auxiliary, request.first)
        if auxiliary not in self._modes:
            self._take_pins(auxiliary, at)
        return free

    def _take_pins(self, auxiliary: bool, at: int) -> None:
        pins = (*SPI_PINS[auxiliary], *SPI_SELECTS[auxiliary])
        self._modes[auxiliary] = {gpio: self._pins.pins[gpio].mode for gpio in pins}
        for gpio in pins:
            self._pins.set_mode(gpio, ALT4 if auxiliary else ALT0, at)

    def _close(self, request: Request, at: int) -> Answer:
        closed = self._open.pop(request.first, None)
        if closed is None:
            return Status.BAD_HANDLE
        auxiliary = closed[0]
        if not any(other == auxiliary for other, _ in self._open.values()):
            for gpio, mode in self._modes.pop(auxiliary).items():
                self._pins.set_mode(gpio, mode, at)
        return 0

    def _transfer(self, handle: int, data: bytes, at: int) -> Answer:
        if handle not in self._open:
            return Status.BAD_HANDLE
        if not data:
            return Status.BAD_SPI_COUNT
        answer = _exchange(self._circuit.spi(*self._open[handle]), data, at)
        return len(answer), answer

    @staticmethod
    def _just_length(answer: Answer) -> Answer:
        return answer[0] if isinstance(answer, tuple) else answer

    def _bang_open(self, request: Request, at: int) -> Answer:
        miso, mosi, clock, baud, _ = request.words
        select = request.first
        pins = (select, miso, mosi, clock)
        if any(gpio < USER_GPIOS and not self._pins.permitted >> gpio & 1 for gpio in pins):
            return Status.NOT_PERMITTED
        if max(pins) >= USER_GPIOS:
            return Status.BAD_USER_GPIO
        if not BIT_BANG_SPI_BAUD[0] <= baud <= BIT_BANG_SPI_BAUD[1]:
            return Status.BAD_SPI_BAUD
        shared = [set(bus) for bus in self._banged.values()]
        used = set(self._banged).union(*shared)
        lines = {miso, mosi, clock}
        if select in used or (lines & used and lines not in shared):
            return Status.GPIO_IN_USE
        self._banged[select] = (miso, mosi, clock)
        return 0

    def _bang_close(self, request: Request, at: int) -> Answer:
        if request.first >= USER_GPIOS:
            return Status.BAD_USER_GPIO
        closed = self._banged.pop(request.first, None)
        return Status.NOT_SPI_GPIO if closed is None else 0

    def _bang_transfer(self, request: Request, at: int) -> Answer:
        if request.first >= USER_GPIOS:
            return Status.BAD_USER_GPIO
        if request.first not in self._banged:
            return Status.NOT_SPI_GPIO
        device = None
        for auxiliary, selects in SPI_SELECTS.items():
            if self._banged[request.first] == SPI_PINS[auxiliary] and request.first in selects:
                device = self._circuit.spi(auxiliary, selects.index(request.first))
        answer = _exchange(device, request.data, at)
        return len(answer), answer


def _exchange(device: SpiDevice | None, data: bytes, at: int) -> bytes:
    if device is None:
        return bytes(len(data))
    return device.transfer(data, at / NS)
