"""Bits of an EXI stream, most significant first: reader, writer, and the varint primitives.

Both work on small integers over a byte buffer, so that their time is linear in the length of the
message. They serve the reference codec (`walk`); the generated code has its own straight lines.
"""

from controller.errors import ExiError
from controller.v2g.exi.schema import MAX_STRING

MAX_OCTETS = 40  # of one varint: 280 bits, more than any serial number needs


class BitReader:
    """Reads a message from its first bit; raises ExiError with the offset, never past the end."""

    __slots__ = ("_data", "_end", "pos")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._end = 8 * len(data)
        self.pos = 0

    @property
    def left(self) -> int:
        """Whole bytes that have not been touched."""
        return (self._end - self.pos) // 8

    def fail(self, reason: str, at: int | None = None) -> ExiError:
        """Return the error that says `reason`, at bit `at` (by default where we are)."""
        return ExiError(reason, bit_offset=self.pos if at is None else at)

    def read(self, width: int) -> int:
        """Return the next `width` bits as an unsigned integer."""
        end = self.pos + width
        if end > self._end:
            raise self.fail(f"{end - self._end} bits missing at the end")
        chunk = int.from_bytes(self._data[self.pos >> 3 : (end + 7) >> 3], "big")
        self.pos = end
        return chunk >> (-end & 7) & ((1 << width) - 1)

    def read_bytes(self, count: int) -> bytes:
        """Return the next `count` bytes, at any alignment."""
        return self.read(8 * count).to_bytes(count, "big")

    def read_unsigned(self) -> int:
        """Return a varint: seven bits an octet, least significant first (EXI 1.0, 7.1.6)."""
        start, value = self.pos, 0
        for shift in range(0, 7 * MAX_OCTETS, 7):
            octet = self.read(8)
            value |= (octet & 0x7F) << shift
            if octet < 0x80:
                return value
        raise self.fail("endless integer", start)

    def read_signed(self) -> int:
        """Return a sign bit and a varint of the magnitude, less one if negative (7.1.5)."""
        negative = self.read(1)
        magnitude = self.read_unsigned()
        return -magnitude - 1 if negative else magnitude

    def read_text(self) -> str:
        """Return a string that no string table holds (7.1.10, 7.3.3)."""
        start = self.pos
        length = self.read_unsigned() - 2
        if length < 0:
            raise self.fail("string table hit, but these protocols have none", start)
        if length > MAX_STRING:
            raise self.fail(f"{length} characters, at most {MAX_STRING} are taken", start)
        if 8 * length > self._end - self.pos:
            raise self.fail(f"{length} characters do not fit into the rest", start)
        return "".join([self._read_character() for _ in range(length)])

    def _read_character(self) -> str:
        start = self.pos
        code = self.read_unsigned()
        if code > 0x10FFFF or 0xD800 <= code < 0xE000:
            raise self.fail(f"{code:#x} is no character", start)
        return chr(code)


class BitWriter:
    """Collects bits; `finish` pads the last byte with zeros."""

    __slots__ = ("_bytes", "_rest", "_width")

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._rest = 0
        self._width = 0

    def write(self, value: int, width: int) -> None:
        """Append `value` as `width` bits; the caller has checked that it fits."""
        width += self._width
        rest = self._rest << (width - self._width) | value
        self._width = width & 7
        self._bytes += (rest >> self._width).to_bytes(width >> 3, "big")
        self._rest = rest & ((1 << self._width) - 1)

    def write_bytes(self, data: bytes) -> None:
        """Append bytes at any alignment."""
        self.write(int.from_bytes(data, "big"), 8 * len(data))

    def write_unsigned(self, value: int) -> None:
        """Append a varint."""
        while value > 0x7F:
            self.write(value & 0x7F | 0x80, 8)
            value >>= 7
        self.write(value, 8)

    def write_signed(self, value: int) -> None:
        """Append a sign bit and a varint."""
        self.write(int(value < 0), 1)
        self.write_unsigned(~value if value < 0 else value)

    def write_text(self, text: str) -> None:
        """Append a string that no string table holds."""
        self.write_unsigned(len(text) + 2)
        for character in text:
            self.write_unsigned(ord(character))

    def finish(self) -> bytes:
        """Return everything, padded to whole bytes."""
        if self._width:
            self.write(0, 8 - self._width)
        return bytes(self._bytes)
