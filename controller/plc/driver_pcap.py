"""A FrameLink that replays a capture: what a car or a modem once sent arrives again, in its time.

The frames come as (seconds, frame) pairs, as a capture reader gives them; `advance` lets those
arrive that are due. What is sent into the link is kept in `sent`, for a comparison.
"""

from __future__ import annotations

import os
from collections import deque
from typing import TYPE_CHECKING

from controller.errors import PortError
from controller.plc import wire

if TYPE_CHECKING:
    from collections.abc import Iterable

COUNT = (1).to_bytes(8, "little")
LONGEST_REPLAY = 1 << 20
"""Frames; a session has some hundred."""


class PcapLink:
    """See `plc.port.FrameLink`; only HomePlug frames of `senders` (all, when left out) arrive."""

    def __init__(
        self,
        frames: Iterable[tuple[float, bytes]],
        mac: bytes,
        senders: Iterable[bytes] | None = None,
    ) -> None:
        self.mac = mac
        self.sent: list[bytes] = []
        self.received_at_ns: int | None = None
        wanted = None if senders is None else frozenset(senders)
        self._coming: deque[tuple[float, bytes]] = deque()
        for at, frame in frames:
            if wire.is_homeplug(frame) and (wanted is None or frame[6:12] in wanted):
                self._coming.append((at, frame))
            if len(self._coming) > LONGEST_REPLAY:
                raise PortError(f"the capture has more than {LONGEST_REPLAY} HomePlug frames")
        self._origin = self._coming[0][0] if self._coming else 0.0
        self._waiting: deque[tuple[float, bytes]] = deque()
        self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def next_timer(self) -> float | None:
        """Return seconds since the first frame at which the next one arrives."""
        return self._coming[0][0] - self._origin if self._coming else None

    def advance(self, since_start_s: float) -> None:
        """Let everything arrive that came by then."""
        while self._coming and self._coming[0][0] - self._origin <= since_start_s:
            self._waiting.append(self._coming.popleft())
            os.write(self._bell, COUNT)

    def fileno(self) -> int:
        """File descriptor that is readable when a frame waits."""
        return self._bell

    def send(self, frame: bytes) -> None:
        """Keep one frame. Raises PortError after `close`."""
        if self._bell < 0:
            raise PortError("the replayed link is closed")
        self.sent.append(frame)

    def receive(self) -> bytes | None:
        """Next frame that has arrived, or None. Raises PortError after `close`."""
        if self._bell < 0:
            raise PortError("the replayed link is closed")
        if not self._waiting:
            return None
        at, frame = self._waiting.popleft()
        if not self._waiting:
            os.read(self._bell, 8)
        self.received_at_ns = round(at * 10**9)
        return frame

    def close(self) -> None:
        """Release the link; closing twice is allowed."""
        if self._bell >= 0:
            os.close(self._bell)
            self._bell = -1
