"""Reads along on a network interface: what a session's capture is made of when the peer is real.

Only what belongs to charging is taken, however busy the interface is: HomePlug frames, SDP, and TCP
between two ephemeral ports of IPv6.
"""

from __future__ import annotations

import socket

from controller.plc.wire import ETHERTYPE
from controller.v2g.sdp import SDP_PORT

ETH_P_ALL = 0x0003

LONGEST = 65_536
"""A frame before the kernel (or a veth pair) cuts it into segments."""
FIRST_PORT = 1024
_IPV6, _TCP, _UDP = 0x86DD, 6, 17
_PORTS_AT = 14 + 40


def belongs(frame: bytes) -> bool:
    """Tell a frame of a charging session from everything else."""
    ethertype = int.from_bytes(frame[12:14], "big")
    if ethertype == ETHERTYPE:
        return True
    if ethertype != _IPV6 or len(frame) < _PORTS_AT + 4:
        return False
    source = int.from_bytes(frame[_PORTS_AT : _PORTS_AT + 2], "big")
    target = int.from_bytes(frame[_PORTS_AT + 2 : _PORTS_AT + 4], "big")
    if frame[20] == _UDP:
        return SDP_PORT in (source, target)
    return frame[20] == _TCP and min(source, target) >= FIRST_PORT


class Sniffer:
    """All frames of one interface that belong to a session; needs CAP_NET_RAW (else OSError)."""

    def __init__(self, interface: str) -> None:
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        try:
            self._socket.bind((interface, ETH_P_ALL))
        except OSError:
            self._socket.close()
            raise
        self._socket.setblocking(False)
        self.mac: bytes = self._socket.getsockname()[4]

    def fileno(self) -> int:
        """File descriptor that is readable when a frame waits."""
        return self._socket.fileno()

    def receive(self) -> bytes | None:
        """Next waiting frame of a session, or None; an interface that is down has none."""
        while True:
            try:
                frame = self._socket.recv(LONGEST)
            except OSError:
                return None
            if belongs(frame):
                return frame

    def close(self) -> None:
        """Release the socket; closing twice is allowed."""
        self._socket.close()
