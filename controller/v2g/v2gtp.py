"""V2GTP: the 8-byte header that frames every V2G message and every SDP datagram.

TCP is a stream: real cars coalesce two messages into one segment, and every network may split one
anywhere. So messages are cut by the length in their header, never by what one read returned.

What happens to bytes that are no V2GTP, so that a stream can be trusted again as soon as possible:

* wrong version or inverse version: the bytes up to the next `01 FE` are dropped; one error is
  counted for each run of such bytes, however it was split;
* a length above the bound: the announced bytes are skipped without being stored, one error;
* an unknown payload type: delivered like any other; whoever receives it decides (ISO 15118-2
  [V2G2-800] ignores it).

Nothing here raises for received bytes but `parse`, which is for datagrams.
"""

import struct
from dataclasses import dataclass
from enum import IntEnum

from controller.errors import WireError
from controller.frozen import quick

VERSION = 0x01  # ISO 15118-2 Table 9
INVERSE_VERSION = 0xFE  # bitwise inverse of the version
HEADER = struct.Struct(">BBHI")  # version, inverse version, payload type, payload length
MAX_PAYLOAD = 64 * 1024
"""Longest payload accepted. The longest real ones (certificate chains) are below 8 KiB."""

_SYNC = bytes((VERSION, INVERSE_VERSION))


class PayloadType(IntEnum):
    """ISO 15118-2 Table 10, DIN SPEC 70121 Table 19; ISO 15118-20, 7.8.3: V2GTP payload types."""

    EXI = 0x8001
    """Every message of DIN 70121 and ISO 15118-2; in ISO 15118-20 the handshake alone."""
    ISO20_COMMON = 0x8002
    ISO20_AC = 0x8003
    ISO20_DC = 0x8004
    ISO20_ACDP = 0x8005
    ISO20_WPT = 0x8006
    ISO20_SCHEDULE_RENEGOTIATION = 0x8101
    ISO20_METERING_CONFIRMATION = 0x8102
    ISO20_ACDP_STATUS = 0x8103
    ISO20_PARKING_STATUS = 0x8104
    SDP_REQUEST = 0x9000
    SDP_RESPONSE = 0x9001
    SDP_REQUEST_WIRELESS = 0x9002
    SDP_RESPONSE_WIRELESS = 0x9003


EXI = int(PayloadType.EXI)
"""The type of nearly every frame, as a number."""


@quick
@dataclass(frozen=True, slots=True)
class V2gtpMessage:
    """One frame; `payload_type` stays a number, as a peer may send any."""

    payload_type: int
    payload: bytes


def encode(payload_type: int, payload: bytes) -> bytes:
    """Return the frame that carries this payload."""
    return HEADER.pack(VERSION, INVERSE_VERSION, payload_type, len(payload)) + payload


def parse(datagram: bytes) -> V2gtpMessage:
    """Return the one frame in a datagram; the length must fit exactly. Raises WireError."""
    if len(datagram) < HEADER.size:
        msg = f"V2GTP: {len(datagram)} bytes are shorter than the header's {HEADER.size}"
        raise WireError(msg)
    version, inverse, payload_type, length = HEADER.unpack_from(datagram)
    if (version, inverse) != (VERSION, INVERSE_VERSION):
        msg = f"V2GTP: version bytes {version:02X} {inverse:02X} instead of 01 FE"
        raise WireError(msg)
    if length != len(datagram) - HEADER.size:
        msg = f"V2GTP: length {length}, but {len(datagram) - HEADER.size} bytes follow the header"
        raise WireError(msg)
    return V2gtpMessage(payload_type, datagram[HEADER.size :])


class Deframer:
    """Cuts a TCP stream into V2GTP messages; see the module for what it does with rubbish."""

    __slots__ = ("_buffer", "_in_garbage", "_skip", "errors", "last_error")

    def __init__(self) -> None:
        self._buffer = b""
        self._skip = 0
        self._in_garbage = False
        self.errors = 0
        """Frames and runs of bytes that had to be dropped."""
        self.last_error: WireError | None = None

    @property
    def pending(self) -> int:
        """Bytes of an incomplete message that wait for more."""
        return len(self._buffer)

    def receive_data(self, data: bytes) -> list[V2gtpMessage]:
        """Return the messages that these bytes complete."""
        if not (self._buffer or self._skip or self._in_garbage) and len(data) >= HEADER.size:
            version, inverse, payload_type, length = HEADER.unpack_from(data)
            whole = length <= MAX_PAYLOAD and length + HEADER.size == len(data)
            if whole and version == VERSION and inverse == INVERSE_VERSION:
                return [V2gtpMessage(payload_type, bytes(data[HEADER.size :]))]  # what is usual
        buffer = self._buffer + data if self._buffer else data
        messages: list[V2gtpMessage] = []
        at = 0
        while True:
            if self._skip:
                skipped = min(self._skip, len(buffer) - at)
                self._skip -= skipped
                at += skipped
            if buffer[at : at + 2] != _SYNC[: len(buffer) - at]:
                at = self._resync(buffer, at)
                continue
            self._in_garbage = self._in_garbage and len(buffer) - at < 2
            if len(buffer) - at < HEADER.size:
                break
            _, _, payload_type, length = HEADER.unpack_from(buffer, at)
            if length > MAX_PAYLOAD:
                self._count(f"length {length} above the bound of {MAX_PAYLOAD}")
                at += HEADER.size
                self._skip = length
                continue
            end = at + HEADER.size + length
            if len(buffer) < end:
                break
            messages.append(V2gtpMessage(payload_type, bytes(buffer[at + HEADER.size : end])))
            at = end
        self._buffer = bytes(buffer[at:])
        return messages

    def _resync(self, buffer: bytes, at: int) -> int:
        """Return where the next header may start; a lone 01 at the end may be one."""
        if not self._in_garbage:
            self._count(f"no header at {bytes(buffer[at : at + 2]).hex(' ').upper()}")
            self._in_garbage = True
        found = buffer.find(_SYNC, at + 1)
        if found >= 0:
            return found
        last = len(buffer) - 1
        return last if last > at and buffer[last] == VERSION else len(buffer)

    def _count(self, reason: str) -> None:
        self.errors += 1
        self.last_error = WireError(f"V2GTP: {reason}")
