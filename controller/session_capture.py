"""The capture of a simulated session: every frame once, as each host's interface shows it.

With TAP devices everything is there as Ethernet frames. Over loopback (and in virtual time) only
HomePlug frames are; the frames of SDP and TCP are composed from what the processes sent, so that
the file opens in a network analyser like any other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from controller.netframes import Endpoint, FlowComposer
from controller.signals import (
    CloseConnection,
    ConnectionMade,
    Output,
    SendData,
    SendDatagram,
)
from controller.sim import SIDES, host_mac
from controller.trace import PcapngWriter
from controller.v2g.sdp import SDP_GROUP, SDP_PORT

if TYPE_CHECKING:
    from pathlib import Path

CLIENT_PORT, SERVER_PORT, ASK_PORT = 49152, 49153, 49154
"""Ports in composed frames: the vehicle's connection, the charger's listener, the SDP client."""
GROUP = Endpoint.of(b"", SDP_GROUP, SDP_PORT)


class SessionCapture:
    """Writes frames, and composes those that never were on a wire."""

    def __init__(self, path: Path, epoch_s: float, *, compose: bool) -> None:
        self._file = PcapngWriter(path, SIDES, epoch_s)
        self._flows = FlowComposer() if compose else None
        self._open = False

    def frame(self, frame: bytes, at: float, side: str) -> None:
        """Keep one real frame."""
        self._file.write(frame, at, SIDES.index(side))

    def observe(self, at: float, node: str, item: Output) -> None:
        """Compose the frames of what a side sent."""
        side = node.partition(".")[0]
        if self._flows is None or side not in SIDES:
            return
        for frame in self._compose(self._flows, side, item):
            self.frame(frame, at, side)

    def _compose(self, flows: FlowComposer, side: str, item: Output) -> list[bytes]:
        here, there = self._ends(side, CLIENT_PORT, SERVER_PORT)
        match item:
            case SendDatagram():
                source, destination = self._ends(side, ASK_PORT, SDP_PORT)
                return flows.datagram(source, destination if item.to else GROUP, item.data)
            case ConnectionMade() if side == "pev":
                self._open = True
                return flows.opened(here, there)
            case SendData():
                return flows.data(here, there, item.data)
            case CloseConnection() if self._open:
                self._open = False
                return flows.closed(here, there) + flows.closed(there, here)
        return []

    @staticmethod
    def _ends(side: str, vehicle_port: int, charger_port: int) -> tuple[Endpoint, Endpoint]:
        """Return the endpoint of `side` and that of the other."""
        ports = {"pev": vehicle_port, "evse": charger_port}
        ends = {
            s: Endpoint(host_mac(s), _link_local(host_mac(s)), port) for s, port in ports.items()
        }
        return ends[side], ends["pev" if side == "evse" else "evse"]

    def close(self) -> None:
        """Finish the file."""
        self._file.close()


def _link_local(mac: bytes) -> bytes:
    """Link-local IPv6 address of a MAC (RFC 4291 appendix A)."""
    return b"\xfe\x80" + bytes(6) + bytes((mac[0] ^ 2, *mac[1:3], 0xFF, 0xFE, *mac[3:]))
