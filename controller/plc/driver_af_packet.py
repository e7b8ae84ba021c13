"""Raw Ethernet socket to a modem on a network interface (HomePlug ethertype 0x88E1 only)."""

from __future__ import annotations

import errno
import socket

from controller.errors import PortError
from controller.plc.wire import ETHERTYPE

RECEIVE_SIZE = 2048
PACKET_OUTGOING = 4
"""Linux marks frames that this host sent itself so; they are not the modem's."""


class AfPacketLink:
    """A FrameLink on one interface, as `eth1`; needs CAP_NET_RAW."""

    def __init__(self, interface: str) -> None:
        self.interface = interface
        try:
            sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETHERTYPE))
        except PermissionError as e:
            raise PortError(
                f"{interface}: raw Ethernet needs the capability CAP_NET_RAW: run as root, or from "
                "the systemd unit, which grants it"
            ) from e
        try:
            sock.bind((interface, ETHERTYPE))
        except OSError as e:
            sock.close()
            raise PortError(_why_not_bound(interface, e)) from e
        sock.setblocking(False)
        self._socket = sock
        self.mac: bytes = sock.getsockname()[4]

    def fileno(self) -> int:
        """File descriptor that is readable when a frame waits."""
        return self._socket.fileno()

    def send(self, frame: bytes) -> None:
        """Send one frame without FCS. Raises PortError."""
        try:
            self._socket.send(frame)
        except OSError as e:
            raise PortError(_why_not_sent(self.interface, e)) from e

    def receive(self) -> bytes | None:
        """Next waiting frame of somebody else, or None. Raises PortError when the link is gone."""
        while True:
            try:
                frame, address = self._socket.recvfrom(RECEIVE_SIZE)
            except BlockingIOError:
                return None
            except OSError as e:
                raise PortError(_why_not_sent(self.interface, e)) from e
            if address[2] != PACKET_OUTGOING:
                return frame

    def close(self) -> None:
        """Release the link; closing twice is allowed."""
        self._socket.close()


def _why_not_bound(interface: str, error: OSError) -> str:
    if error.errno == errno.ENODEV:
        present = ", ".join(sorted(name for _, name in socket.if_nameindex()))
        return f"{interface}: no such network interface (there are: {present})"
    return f"{interface}: {error.strerror}"


def _why_not_sent(interface: str, error: OSError) -> str:
    if error.errno == errno.ENETDOWN:
        return f"{interface}: the interface is down: ip link set {interface} up"
    if error.errno in (errno.ENODEV, errno.ENXIO):
        return f"{interface}: the interface is gone: is the modem unplugged?"
    return f"{interface}: {error.strerror}"
