"""One direction of a captured TCP connection, put back in order by sequence number.

The listener sees segments as the capture has them: out of order, twice, overlapping, lost, from the
middle of a connection, with keep-alives. `TcpReassembler` gives the stream as pieces: bytes in
order, gaps of known length where the capture lost something, the end.

A gap is declared when waiting is pointless: the receiver has acknowledged the missing bytes (they
were on the wire and the capture does not have them) and a later segment of the same direction has
come; or the hole is older than `HOLE_PATIENCE_S`; or too much is held back. Sequence numbers are
counted on without wrapping; where two segments overlap, the first bytes given out stay.
"""

from __future__ import annotations

from dataclasses import dataclass
from heapq import heappop, heappush
from typing import TYPE_CHECKING

from controller.netframes import FIN, SYN

if TYPE_CHECKING:
    from controller.netframes import Segment

HOLE_PATIENCE_S = 3.0
"""Longer than the first retransmissions of a TCP stack (RFC 6298: 1 s, then doubled once)."""
HELD_BYTES = 1 << 20
"""Held back behind a hole; many times the receive windows of cars and chargers."""

_SEQUENCE_SPACE = 1 << 32


@dataclass(frozen=True, slots=True)
class StreamData:
    """The next bytes of the stream."""

    data: bytes


@dataclass(frozen=True, slots=True)
class StreamGap:
    """The capture has lost this many bytes of the stream."""

    length: int


@dataclass(frozen=True, slots=True)
class StreamEnd:
    """The sender closed its direction, and everything before was given out."""


Piece = StreamData | StreamGap | StreamEnd


class TcpReassembler:
    """Puts the segments of one direction in order."""

    def __init__(self) -> None:
        self.mid_stream = False
        """The capture began after the connection."""
        self._next: int | None = None
        self._acknowledged: int | None = None
        self._fin: int | None = None
        self._ended = False
        self._held: dict[int, bytes] = {}
        self._starts: list[int] = []
        self._held_bytes = 0
        self._hole_since = 0.0

    def receive_segment(self, segment: Segment, now: float) -> list[Piece]:
        """Take one segment and return what can be given out now."""
        if self._next is None:
            self._begin(segment)
            if self._next is None:
                return []
        position = self._unwrap(segment.sequence) + (1 if segment.flags & SYN else 0)
        if segment.flags & FIN and self._fin is None:
            self._fin = position + len(segment.payload)
        pieces: list[Piece] = []
        if segment.payload:
            self._insert(position, segment.payload, now, pieces)
        if self._waits_in_vain(now):
            self._skip_hole(pieces)
            self._hole_since = now
        self._end_if_complete(pieces)
        return pieces

    def receive_acknowledgement(self, number: int) -> None:
        """Note what the other side has acknowledged; call it before its own segment is used."""
        if self._next is not None:
            position = self._unwrap(number)
            if self._acknowledged is None or position > self._acknowledged:
                self._acknowledged = position

    def finish(self) -> list[Piece]:
        """Give out what is still held, with its gaps: the capture has ended."""
        pieces: list[Piece] = []
        while self._hole_end() is not None:
            self._skip_hole(pieces)
        self._end_if_complete(pieces)
        return pieces

    def _begin(self, segment: Segment) -> None:
        if segment.flags & SYN:
            self._next = segment.sequence + 1
        elif segment.payload:  # an empty one may be a keep-alive, one before the next byte
            self._next = segment.sequence
            self.mid_stream = True

    def _unwrap(self, number: int) -> int:
        """Give the position nearest to the next expected one."""
        assert self._next is not None
        distance = (number - self._next) % _SEQUENCE_SPACE
        if distance >= _SEQUENCE_SPACE // 2:
            distance -= _SEQUENCE_SPACE
        return self._next + distance

    def _insert(self, position: int, payload: bytes, now: float, pieces: list[Piece]) -> None:
        assert self._next is not None
        if self._fin is not None and position + len(payload) > self._fin:
            payload = payload[: max(self._fin - position, 0)]
        if position <= self._next:
            if position + len(payload) > self._next:
                self._give(position, payload, pieces)
                self._give_held(pieces)
                self._hole_since = now
            return
        if not self._held:
            self._hole_since = now
        known = self._held.get(position)
        if known is None:
            heappush(self._starts, position)
        if known is None or len(known) < len(payload):
            self._held[position] = payload
            self._held_bytes += len(payload) - len(known or b"")

    def _give(self, position: int, payload: bytes, pieces: list[Piece]) -> None:
        """Give out the part of a payload that is not yet known."""
        assert self._next is not None
        new = payload[self._next - position :]
        if new:
            self._next += len(new)
            pieces.append(StreamData(new))

    def _give_held(self, pieces: list[Piece]) -> None:
        assert self._next is not None
        while self._starts and self._starts[0] <= self._next:
            position = heappop(self._starts)
            payload = self._held.pop(position)
            self._held_bytes -= len(payload)
            self._give(position, payload, pieces)

    def _hole_end(self) -> int | None:
        """Position at which something is known again after the present hole."""
        ends = self._starts[:1] + ([self._fin] if self._fin is not None else [])
        end = min(ends, default=None)
        return end if end is not None and self._next is not None and end > self._next else None

    def _waits_in_vain(self, now: float) -> bool:
        end = self._hole_end()
        if end is None:
            return False
        if self._acknowledged is not None and self._acknowledged >= end:
            return True
        return self._held_bytes > HELD_BYTES or (
            bool(self._held) and now - self._hole_since > HOLE_PATIENCE_S
        )

    def _skip_hole(self, pieces: list[Piece]) -> None:
        end = self._hole_end()
        if end is not None and self._next is not None:
            pieces.append(StreamGap(end - self._next))
            self._next = end
            self._give_held(pieces)

    def _end_if_complete(self, pieces: list[Piece]) -> None:
        if self._fin is not None and not self._ended and self._next == self._fin:
            self._ended = True
            pieces.append(StreamEnd())
