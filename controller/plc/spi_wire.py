"""QCA7000/7005 on SPI as bytes: registers, commands, and how frames lie in the data stream.

SPI mode 3, most significant bit first, chip select low from the command to the last byte (burst
mode). A command is 16 bits, big-endian: bit 15 read, bit 14 register (else data buffer), the rest
the address. Registers have 16 bits, big-endian (Linux: drivers/net/ethernet/qualcomm/qca_7k.c).

In the data stream a frame lies between `AA AA AA AA`, its length (little-endian) and two zero bytes
before it and `55 55` behind it; on the way in the chip puts a length of four bytes before all that
(big-endian, its first two bytes zero), and may pad. A frame may go on in the next read.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum, IntFlag

READ, REGISTER = 0x8000, 0x4000
DATA_IN = READ.to_bytes(2, "big")
"""Command: read the data buffer."""
DATA_OUT = b"\0\0"
"""Command: write the data buffer."""

SIGNATURE = 0xAA55
RESET_BIT = 1 << 6
"""SPI_CONFIG: restart the chip."""
BUFFER_SIZE = 0xC5B
"""Bytes of each of the chip's buffers; so much write space is free when it is empty."""
HARDWARE_LENGTH = 4
OVERHEAD = 10
"""Bytes around a frame: start, length, zeros, end."""
START, END = b"\xaa" * 4, b"\x55\x55"
SHORTEST_FRAME, LONGEST_FRAME = 60, 1522
MOST_IN = BUFFER_SIZE + HARDWARE_LENGTH


class Register(IntEnum):
    """Addresses."""

    BFR_SIZE = 0x0100
    WRBUF_SPC_AVA = 0x0200
    RDBUF_BYTE_AVA = 0x0300
    SPI_CONFIG = 0x0400
    SPI_STATUS = 0x0500
    INTR_CAUSE = 0x0C00
    INTR_ENABLE = 0x0D00
    SIGNATURE = 0x1A00


class Interrupt(IntFlag):
    """Bits of INTR_CAUSE and INTR_ENABLE."""

    NONE = 0
    PACKET = 1 << 0
    READ_ERROR = 1 << 1
    WRITE_ERROR = 1 << 2
    ADDRESS_ERROR = 1 << 3
    CPU_ON = 1 << 6
    WRITE_LOW = 1 << 10


ENABLED = Interrupt.CPU_ON | Interrupt.PACKET | Interrupt.READ_ERROR | Interrupt.WRITE_ERROR
"""0x0047, as the Linux driver has it."""
ERRORS = Interrupt.READ_ERROR | Interrupt.WRITE_ERROR | Interrupt.ADDRESS_ERROR


def read_register(register: Register) -> bytes:
    """Return the bytes that read a register; its value comes back in the last two."""
    return (READ | REGISTER | register).to_bytes(2, "big") + b"\0\0"


def write_register(register: Register, value: int) -> bytes:
    """Return the bytes that write a register."""
    return (REGISTER | register).to_bytes(2, "big") + value.to_bytes(2, "big")


def register_value(answer: bytes) -> int:
    """Return the value in the answer to `read_register`."""
    return int.from_bytes(answer[2:4], "big")


def wrapped(frame: bytes) -> bytes:
    """Return a frame as it goes into the data buffer, padded to 60 bytes."""
    padded = frame.ljust(SHORTEST_FRAME, b"\0")
    return START + len(padded).to_bytes(2, "little") + b"\0\0" + padded + END


@dataclass(slots=True)
class Deframer:
    """Finds the frames in the data stream, however it is cut, and again after damage."""

    resynchronised: int = 0
    """How often something was skipped that is no frame."""
    _buffer: bytearray = field(default_factory=bytearray)
    _skipping: bool = False

    def feed(self, data: bytes) -> list[bytes]:
        """Take what was read; return the frames that are complete now."""
        self._buffer += data
        frames: list[bytes] = []
        while self._next(frames):
            pass
        return frames

    def reset(self) -> None:
        """Forget a frame of which only a part came."""
        self._buffer.clear()
        self._skipping = False

    def _next(self, frames: list[bytes]) -> bool:
        """Take one step; False when more bytes are needed."""
        at = self._buffer.find(START)
        if at < 0:
            self._drop_noise()
            return False
        self._note_noise(self._buffer[:at])
        del self._buffer[:at]
        if len(self._buffer) < 8:
            return False
        length = int.from_bytes(self._buffer[4:6], "little")
        end = 8 + length
        if not SHORTEST_FRAME <= length <= LONGEST_FRAME:
            return self._skip()
        if len(self._buffer) < end + len(END):
            return False
        if self._buffer[end : end + len(END)] != END:
            return self._skip()
        frames.append(bytes(self._buffer[8:end]))
        del self._buffer[: end + len(END)]
        self._skipping = False
        return True

    def _skip(self) -> bool:
        """What looked like a start was none: go on behind its first byte."""
        self._count()
        del self._buffer[0]
        return True

    def _note_noise(self, before: bytearray) -> None:
        """Before a start there are the chip's length and up to three bytes of padding."""
        padding = before[: max(len(before) - HARDWARE_LENGTH, 0)]
        length_starts_with_zeros = not any(before[len(padding) : len(padding) + 2])
        if len(padding) > 3 or any(padding) or not length_starts_with_zeros:
            self._count()

    def _drop_noise(self) -> None:
        kept = HARDWARE_LENGTH + 3 + len(START) - 1
        if len(self._buffer) > kept:
            self._count()
            del self._buffer[:-kept]

    def _count(self) -> None:
        if not self._skipping:
            self.resynchronised += 1
        self._skipping = True
