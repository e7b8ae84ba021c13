"""Capture files, read as a stream: pcap and pcapng, each plain or gzipped.

`open_capture` finds out what a file is by its first bytes, never by its name. `read_packets` works
on any binary stream, so a pipe (`tcpdump -w - | ccs-pilot decode -`) does as well; nothing is
kept but the packet in hand.

Own code instead of dpkt, which the tests use to check it: dpkt's pcapng reader knows one interface
per file and takes all times as that interface's, and both its readers return a packet cut short by
the end of the file as if it were whole.
"""

from __future__ import annotations

import gzip
import io
import stat
import struct
import sys
import zlib
from dataclasses import dataclass
from heapq import heappop, heappush
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from controller.errors import PortError, WireError

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKET_LIMIT = 1 << 18
"""libpcap's MAXIMUM_SNAPLEN: a longer packet is damage, and not read into memory."""
BLOCK_LIMIT = 1 << 24
"""libpcap's limit for a pcapng block."""
ORDER_WINDOW_NS = 10**9
ORDER_PACKETS = 1000
"""How much is looked at to put the packets of several interfaces in order."""

_PCAP_MAGIC = {
    b"\xa1\xb2\xc3\xd4": (">", 1000),
    b"\xd4\xc3\xb2\xa1": ("<", 1000),
    b"\xa1\xb2\x3c\x4d": (">", 1),
    b"\x4d\x3c\xb2\xa1": ("<", 1),
}
"""Byte order, and nanoseconds per unit of a packet's sub-second field."""
_SECTION_MAGIC = b"\x0a\x0d\x0d\x0a"
_GZIP_MAGIC = b"\x1f\x8b"

# pcapng block types and options (IETF draft-ietf-opsawg-pcapng).
_INTERFACE, _PACKET, _SIMPLE_PACKET, _ENHANCED_PACKET, _SECTION = 1, 2, 3, 6, 0x0A0D0D0A
_OPTION_TSRESOL, _OPTION_TSOFFSET = 9, 14


@dataclass(frozen=True, slots=True)
class Packet:
    """One captured packet."""

    at_ns: int
    """Nanoseconds since 1970; a simple packet block has no time and takes its predecessor's."""
    interface: int
    link_type: int
    data: bytes
    original_length: int
    """Length on the wire; more than `data` where the capture cut it."""


def open_capture(name: str) -> BinaryIO:
    """Open a capture file, `-` for standard input. Raises PortError when that is not possible."""
    if name == "-":
        return sys.stdin.buffer
    path = Path(name)
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise PortError(f"{name}: is a directory, not a capture file")
        return path.open("rb")
    except (OSError, ValueError) as error:
        if isinstance(error, PortError):
            raise
        reason = getattr(error, "strerror", None) or error
        raise PortError(f"{name}: {reason}") from None


def read_packets(stream: BinaryIO) -> Iterator[Packet]:
    """Yield the packets of a capture in file order; raises WireError where it is damaged.

    Before the first packet that means: this is no capture. Raises PortError when reading fails.
    """
    try:
        yield from _read(stream)
    except EOFError:
        raise WireError("the compressed file ends too early") from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise WireError(f"the compressed file is damaged ({error})") from None
    except OSError as error:
        if isinstance(error, PortError):
            raise
        raise PortError(f"cannot be read: {error.strerror or error}") from None


def in_time_order(packets: Iterator[Packet]) -> Iterator[Packet]:
    """Put the packets of several interfaces in order of time; they are buffered one by one.

    Packets of a capture with one interface pass at once. An error comes after what was held back.
    """
    held: list[tuple[int, int, Packet]] = []
    newest = 0
    several = False
    damage: WireError | PortError | None = None
    try:
        for number, packet in enumerate(packets):
            several = several or packet.interface > 0
            if not several:
                yield packet
                continue
            newest = max(newest, packet.at_ns)
            heappush(held, (packet.at_ns, number, packet))
            while len(held) > ORDER_PACKETS or held[0][0] < newest - ORDER_WINDOW_NS:
                yield heappop(held)[2]
    except (WireError, PortError) as error:
        damage = error
    while held:
        yield heappop(held)[2]
    if damage is not None:
        raise damage


def _read(stream: BinaryIO) -> Iterator[Packet]:
    magic = stream.read(2)
    if magic == _GZIP_MAGIC:
        joined = cast("BinaryIO", _Prefixed(magic, stream))
        stream = cast("BinaryIO", gzip.GzipFile(fileobj=joined, mode="rb"))
        magic = stream.read(2)
    magic += stream.read(2)
    if not magic:
        raise WireError("the file is empty")
    if magic in _PCAP_MAGIC:
        yield from _read_pcap(stream, *_PCAP_MAGIC[magic])
    elif magic == _SECTION_MAGIC:
        yield from _PcapngReader(stream).packets()
    else:
        raise WireError("not a capture file (pcap or pcapng, also gzipped, is expected)")


class _Prefixed(io.RawIOBase):
    """A stream with bytes put back in front: `gzip` wants the magic that was already read."""

    def __init__(self, prefix: bytes, rest: BinaryIO) -> None:
        self._prefix = prefix
        self._rest = rest

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        if self._prefix:
            prefix, self._prefix = self._prefix, b""
            return prefix
        return self._rest.read(size)


def _exactly(stream: BinaryIO, size: int, what: str) -> bytes:
    data = stream.read(size)
    if len(data) != size:
        raise WireError(f"the file ends in the middle of {what}")
    return data


def _read_pcap(stream: BinaryIO, order: str, unit_ns: int) -> Iterator[Packet]:
    header = struct.Struct(order + "HHiIII")
    fields = header.unpack(_exactly(stream, header.size, "its header"))
    link_type = fields[5] & 0xFFFF  # the upper half tells about frame check sequences
    record = struct.Struct(order + "IIII")
    while start := stream.read(record.size):
        if len(start) != record.size:
            raise WireError("the file ends in the middle of a packet header")
        seconds, fraction, captured, original = record.unpack(start)
        if captured > PACKET_LIMIT:
            raise WireError(f"damaged: a packet claims {captured} bytes")
        data = _exactly(stream, captured, "a packet")
        yield Packet(seconds * 10**9 + fraction * unit_ns, 0, link_type, data, original)


@dataclass(frozen=True, slots=True)
class _Interface:
    link_type: int
    snap_length: int
    units_per_s: int
    offset_s: int


class _PcapngReader:
    """Blocks one after the other; unknown ones (names, statistics, secrets) are skipped."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._order = "<"
        self._interfaces: list[_Interface] = []
        self._last_ns = 0

    def packets(self) -> Iterator[Packet]:
        """All packets; the magic of the first section is already read."""
        self._section()
        while start := self._stream.read(4):
            if start == _SECTION_MAGIC:
                self._section()
                continue
            if len(start) != 4:
                raise WireError("the file ends in the middle of a block")
            kind = self._unpack("I", start)[0]
            body = self._body(_exactly(self._stream, 4, "a block"))
            try:
                packet = self._block(kind, body)
            except struct.error:
                raise WireError(f"damaged: block of type {kind} is too short") from None
            if packet is not None:
                yield packet

    def _unpack(self, layout: str, data: bytes, offset: int = 0) -> tuple[int, ...]:
        return struct.unpack_from(self._order + layout, data, offset)

    def _section(self) -> None:
        """Section header: sets the byte order, and forgets the interfaces of the section before."""
        length = _exactly(self._stream, 4, "a section header")
        mark = _exactly(self._stream, 4, "a section header")
        if mark not in (b"\x1a\x2b\x3c\x4d", b"\x4d\x3c\x2b\x1a"):
            raise WireError("damaged: section header without byte-order mark")
        self._order = ">" if mark[0] == 0x1A else "<"
        self._interfaces = []
        self._body(length, already=4)

    def _body(self, length: bytes, already: int = 0) -> bytes:
        """Rest of a block behind its type and length, without the repeated length."""
        total = self._unpack("I", length)[0]
        if not 12 + already <= total <= BLOCK_LIMIT or total % 4:
            raise WireError(f"damaged: a block claims {total} bytes")
        body = _exactly(self._stream, total - 12 - already, "a block")
        if _exactly(self._stream, 4, "a block") != length:
            raise WireError("damaged: the two lengths of a block differ")
        return body

    def _block(self, kind: int, body: bytes) -> Packet | None:
        if kind == _INTERFACE:
            self._interfaces.append(self._describe(body))
            return None
        if kind == _ENHANCED_PACKET:
            index, high, low, captured, original = self._unpack("IIIII", body)
            return self._packet(index, high << 32 | low, body[20:], captured, original)
        if kind == _PACKET:
            index, _, high, low, captured, original = self._unpack("HHIIII", body)
            return self._packet(index, high << 32 | low, body[20:], captured, original)
        if kind == _SIMPLE_PACKET:
            (original,) = self._unpack("I", body)
            limit = self._interface(0).snap_length or original
            return self._packet(0, None, body[4:], min(original, limit), original)
        return None

    def _interface(self, index: int) -> _Interface:
        if index >= len(self._interfaces):
            raise WireError(f"damaged: packet of interface {index}, which is not described")
        return self._interfaces[index]

    def _packet(
        self, index: int, units: int | None, data: bytes, captured: int, original: int
    ) -> Packet:
        interface = self._interface(index)
        if captured > len(data):
            raise WireError(f"damaged: a packet claims {captured} bytes")
        if units is not None:
            self._last_ns = units * 10**9 // interface.units_per_s + interface.offset_s * 10**9
        return Packet(self._last_ns, index, interface.link_type, data[:captured], original)

    def _describe(self, body: bytes) -> _Interface:
        link_type, _, snap_length = self._unpack("HHI", body)
        units_per_s, offset_s = 10**6, 0
        offset = 8
        while offset + 4 <= len(body):
            code, length = self._unpack("HH", body, offset)
            if code == 0:
                break
            if code == _OPTION_TSRESOL and length == 1:
                resolution = body[offset + 4]
                units_per_s = (2 if resolution & 0x80 else 10) ** (resolution & 0x7F)
            elif code == _OPTION_TSOFFSET and length == 8:
                (offset_s,) = self._unpack("q", body, offset + 4)
            offset += 4 + (length + 3) // 4 * 4
        return _Interface(link_type, snap_length, units_per_s, offset_s)
