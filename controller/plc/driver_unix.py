"""FrameLink over a Unix socket: the simulated modem without privileges.

Carries the HomePlug frames of one host to the simulated site; a packet is a frame.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from controller.errors import PortError

if TYPE_CHECKING:
    import socket

LONGEST_FRAME = 1514
"""Ethernet frame without FCS, in bytes."""


class UnixFrameLink:
    """See `plc.port.FrameLink`."""

    def __init__(self, sock: socket.socket, mac: bytes) -> None:
        self.mac = mac
        self._sock = sock
        self._sock.setblocking(False)

    def fileno(self) -> int:
        """File descriptor that is readable when a frame waits."""
        return self._sock.fileno()

    def send(self, frame: bytes) -> None:
        """Send one frame; a full socket loses it, as a wire would."""
        try:
            self._sock.send(frame)
        except BlockingIOError:
            return
        except OSError as error:
            raise PortError(f"the simulated modem is gone ({error.strerror})") from error

    def receive(self) -> bytes | None:
        """Next waiting frame, or None."""
        try:
            frame = self._sock.recv(LONGEST_FRAME + 1)
        except BlockingIOError:
            return None
        except OSError as error:
            raise PortError(f"the simulated modem is gone ({error.strerror})") from error
        return frame or None

    def close(self) -> None:
        """Release the link; closing twice is allowed."""
        with contextlib.suppress(OSError):
            self._sock.close()
