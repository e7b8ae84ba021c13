"""What was said: captured packets in, entries of the conversation out.

Packets are taken apart (`netframes`), management messages named (`plc.wire`), SDP read, TCP
connections put together and their V2G messages decoded (`connections`). Cars and chargers are told
apart by what they do: who asks for SLAC parameters or for a charger, or opens the connection, is
the car.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from controller.errors import WireError
from controller.listener.connections import Connections
from controller.listener.entries import Details, Entry, Roles
from controller.listener.summaries import clean
from controller.netframes import (
    Datagram,
    HomePlugFrame,
    Segment,
    address_text,
    parse,
)
from controller.plc import wire
from controller.v2g import sdp, v2gtp

if TYPE_CHECKING:
    from collections.abc import Mapping

    from controller.listener.capture import Packet

_V2GTP_START = bytes((v2gtp.VERSION, v2gtp.INVERSE_VERSION))

_ALWAYS_THE_SAME = frozenset(
    {
        "application_type",
        "security_type",
        "response_type",
        "mvf_length",
        "num_groups",
        "protocol_id",
        "protocol_run",
        "protocol_message",
        "key_type",
        "mmtype",
    }
)
"""Fields whose values the standard fixes: only the JSON has them."""

_PROFILE_LENGTH = 58
"""Carrier groups of an attenuation profile, one byte of dB each (ISO 15118-3 Annex A)."""


class Conversation:
    """Follows everything in a capture that belongs to charging."""

    def __init__(self) -> None:
        self.packets = 0
        self.damaged = 0
        """Packets that end inside their headers, or whose link type is not known."""
        self.last_damage = ""
        self.entries = 0
        self._roles = Roles()
        self._connections = Connections(self._roles)

    @property
    def messages(self) -> int:
        """V2G messages found so far."""
        return self._connections.messages

    def receive_packet(self, packet: Packet) -> list[Entry]:
        """Take the next captured packet and return what is new."""
        self.packets += 1
        entries: list[Entry] = []
        try:
            parsed = parse(packet.link_type, packet.data)
            if isinstance(parsed, Segment):
                entries = self._connections.receive_segment(parsed, packet.at_ns)
            elif isinstance(parsed, Datagram):
                entries = self._receive_datagram(parsed, packet.at_ns)
            elif isinstance(parsed, HomePlugFrame):
                entries = [self._receive_homeplug(parsed.frame, packet.at_ns)]
        except WireError as error:
            self.damaged += 1
            self.last_damage = str(error)
        self.entries += len(entries)
        return entries

    def finish(self) -> list[Entry]:
        """Return what connections still hold: the capture has ended."""
        entries = self._connections.finish()
        self.entries += len(entries)
        return entries

    def _receive_homeplug(self, frame: bytes, at_ns: int) -> Entry:
        parsed = wire.parse(frame)
        name = parsed.mme.name
        if name == "CM_SLAC_PARM.REQ":
            self._roles.learn("car", parsed.src)
        elif name == "CM_SLAC_PARM.CNF":
            self._roles.learn("charger", parsed.src)
        fields = wire.describe(parsed.mme)
        details: Details = {
            "message": name,
            "source_mac": parsed.src.hex(":"),
            "destination_mac": parsed.dst.hex(":"),
            "fields": dict(fields),
        }
        source, destination = self._roles.name(parsed.src), self._roles.name(parsed.dst)
        text = f"{name} {_mme_text(fields)}".rstrip()
        return Entry(at_ns, "homeplug", source, destination, "PLC", text, details)

    def _receive_datagram(self, datagram: Datagram, at_ns: int) -> list[Entry]:
        source, destination = datagram.source, datagram.destination
        if sdp.SDP_PORT not in (source.port, destination.port):
            return []
        if not datagram.payload.startswith(_V2GTP_START):
            return []  # another use of the port
        details: Details = {"source": str(source), "destination": str(destination)}
        try:
            message = sdp.parse(datagram.payload)
        except WireError as error:
            details |= {"message": None, "error": str(error), "hex": datagram.payload.hex()}
            names = self._roles.name_endpoint(source), self._roles.name_endpoint(destination)
            return [Entry(at_ns, "sdp", *names, "SDP", f"not decodable: {error}", details)]
        security = {sdp.SECURITY_TLS: "TLS", sdp.SECURITY_NONE: "no TLS"}.get(
            message.security, f"security 0x{message.security:02X}"
        )
        details |= {"security": message.security, "transport": message.transport}
        if isinstance(message, sdp.SdpRequest):
            car = self._roles.learn_endpoint("car", source, destination)
            details["message"] = "SECCDiscoveryReq"
            text = f"SECCDiscoveryReq {security}"
            return [Entry(at_ns, "sdp", car, "all", "SDP", text, details)]
        self._connections.announce(message.port)
        where = f"[{address_text(message.address)}]:{message.port}"
        details |= {"message": "SECCDiscoveryRes", "address": where}
        charger = self._roles.learn_endpoint("charger", source, destination)
        car = self._roles.learn_endpoint("car", destination, source)
        text = f"SECCDiscoveryRes {where}, {security}"
        return [Entry(at_ns, "sdp", charger, car, "SDP", text, details)]


def _mme_text(fields: Mapping[str, str | int]) -> str:
    """Put the fields that say something into words: no fixed values, no zeros."""
    parts = []
    for key, value in fields.items():
        if key in _ALWAYS_THE_SAME or (isinstance(value, str) and not value.strip("0")):
            continue
        if key == "attenuation" and isinstance(value, str) and len(value) == 2 * _PROFILE_LENGTH:
            mean = sum(bytes.fromhex(value)) / _PROFILE_LENGTH
            parts.append(f"attenuation={mean:.1f} dB (mean)")
        else:
            parts.append(f"{key}={clean(str(value))}")
    return " ".join(parts)
