"""The capture of a simulated session: every frame once, as each host's interface shows it.

With TAP devices everything is there as Ethernet frames. Over loopback (and in virtual time) only
HomePlug frames are; the frames of SDP and TCP are composed from what the processes sent, so that
the file opens in a network analyser like any other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from controller.errors import PortError
from controller.netframes import Endpoint, FlowComposer
from controller.signals import (
    Address,
    CloseConnection,
    ConnectionLost,
    ConnectionMade,
    DatagramReceived,
    DataReceived,
    Output,
    SendData,
    SendDatagram,
)
from controller.sim import SIDES, host_mac
from controller.trace import PcapngWriter
from controller.v2g import sdp
from controller.v2g.sdp import SDP_GROUP, SDP_PORT

if TYPE_CHECKING:
    from pathlib import Path

WATCHED = "evse.communication"
"""The process from whose records frames are composed: one view keeps cause before effect."""


class SessionCapture:
    """Writes frames, and composes those that never were on a wire."""

    def __init__(self, path: Path, epoch_s: float, *, compose: bool) -> None:
        self._file = PcapngWriter(path, SIDES, epoch_s)
        self._flows = FlowComposer() if compose else None
        self._server = Endpoint.of(host_mac("evse"), "::1", SDP_PORT)
        self._client = Endpoint.of(host_mac("pev"), "::1", SDP_PORT)
        self._open = False
        self.error = ""
        """Why the capture is not complete, in words; empty while all is well."""

    def frame(self, frame: bytes, at: float, side: str) -> None:
        """Keep one real frame; a full disk ends the capture, not the session."""
        if self.error:
            return
        try:
            self._file.write(frame, at, SIDES.index(side))
        except PortError as error:
            self.error = str(error)

    def observe(self, at: float, node: str, item: Output) -> None:
        """Compose the frames of what the charger received and sent."""
        if self._flows is None or node != WATCHED:
            return
        for frame in self._compose(self._flows, item):
            self.frame(frame, at, "evse" if frame[6:12] == self._server.mac else "pev")

    def _compose(self, flows: FlowComposer, item: Output) -> list[bytes]:
        match item:
            case DatagramReceived():
                asking = Endpoint.of(self._client.mac, *item.sender)
                return flows.datagram(asking, GROUP, item.data)
            case SendDatagram() if item.to is not None:
                return self._answer(flows, item.data, item.to)
            case ConnectionMade():
                self._open = True
                self._client = Endpoint.of(self._client.mac, *item.peer)
                return flows.opened(self._client, self._server)
            case DataReceived():
                return flows.data(self._client, self._server, item.data)
            case SendData():
                return flows.data(self._server, self._client, item.data)
            case CloseConnection() | ConnectionLost() if self._open:
                self._open = False
                return [
                    *flows.closed(self._client, self._server),
                    *flows.closed(self._server, self._client),
                ]
        return []

    def _answer(self, flows: FlowComposer, data: bytes, to: Address) -> list[bytes]:
        """Compose an SDP response; the connection will go where it says."""
        response = sdp.parse(data)
        if isinstance(response, sdp.SdpResponse):
            self._server = Endpoint(self._server.mac, response.address, response.port)
        here = Endpoint(self._server.mac, self._server.ip, SDP_PORT)
        return flows.datagram(here, Endpoint.of(self._client.mac, *to), data)

    def close(self) -> None:
        """Finish the file."""
        try:
            self._file.close()
        except OSError as error:
            self.error = self.error or f"capture: {error.strerror or error}"


GROUP = Endpoint.of(b"", SDP_GROUP, SDP_PORT)
