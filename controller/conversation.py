"""What was said: captured packets in, entries of the conversation out.

Packets are taken apart (`netframes`), management messages named (`plc.wire`), SDP read, TCP
connections put together (`tcp_stream`) and their V2G messages decoded (`v2g_reader`). Cars and
chargers are told apart by what they do: who asks for SLAC parameters or for a charger, or opens the
connection, is the car.

Most TCP traffic of a laptop's capture has nothing to do with charging. A connection is shown when
both ends are link-local, as V2G always is, or its port was announced by SDP, or its bytes begin
as V2GTP. Memory is bounded: a number of connections, and what each may hold back.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from controller.errors import WireError
from controller.netframes import (
    ACK,
    RST,
    SYN,
    Datagram,
    Endpoint,
    HomePlugFrame,
    Segment,
    address_text,
    parse,
)
from controller.plc import wire
from controller.summaries import clean
from controller.tcp_stream import Piece, StreamData, StreamGap, TcpReassembler
from controller.v2g import sdp
from controller.v2g_reader import ProtocolReader, V2gMessage, V2gStream

if TYPE_CHECKING:
    from controller.capture import Packet

CONNECTION_LIMIT = 256
"""Connections followed at a time; the one that was silent longest is forgotten."""
ANNOUNCED_LIMIT = 1024
NAMED_LIMIT = 1024

_V2GTP_START = b"\x01\xfe"
_TLS_RECORD = range(0x14, 0x18)
"""Content types of TLS records, before the version 3.x (RFC 8446 section 5.1)."""

Details = dict[str, object]


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the conversation."""

    at_ns: int
    layer: str
    """`homeplug`, `sdp`, `tcp`, `v2g` or `note`."""
    source: str
    destination: str
    tag: str
    """Short name of the layer or protocol for people."""
    text: str
    details: Details = field(default_factory=dict)
    """What `--json` shows besides."""


class Roles:
    """Names for the stations: `car`, `charger`, and `car 2` for the next one."""

    def __init__(self) -> None:
        self._names: dict[bytes, str] = {}
        self._count: dict[str, int] = {}

    def learn(self, role: str, station: bytes) -> str:
        """Note what a station is, and return its name; what it was first, it stays."""
        name = self._names.get(station)
        if name is None:
            number = self._count[role] = self._count.get(role, 0) + 1
            name = role if number == 1 else f"{role} {number}"
            if len(self._names) < NAMED_LIMIT:
                self._names[station] = name
        return name

    def name(self, mac: bytes) -> str:
        """Return a station's name, or its address."""
        if mac == wire.BROADCAST:
            return "all"
        if mac == wire.LOCAL_MODEM:
            return "modem"
        return self._names.get(mac) or mac.hex(":")


class _Direction:
    """What one side of a connection sends."""

    def __init__(self) -> None:
        self.tcp = TcpReassembler()
        self.stream: V2gStream | None = None
        self.skipped = 0
        self.closed = False


class _Connection:
    """One TCP connection with its two directions."""

    def __init__(self, client: Endpoint, server: Endpoint, *, shown: bool) -> None:
        self.ends = (client, server)
        self.names = ("car", "charger")
        self.directions = (_Direction(), _Direction())
        self.reader = ProtocolReader()
        self.shown = shown
        self.ignored = False
        self.tls = False
        self.syn: int | None = None
        self.accepted = False
        self.reset = False

    @property
    def over(self) -> bool:
        return self.reset or all(direction.closed for direction in self.directions)


_Key = tuple[bytes, int, bytes, int]


class Conversation:
    """Follows everything in a capture that belongs to charging."""

    def __init__(self) -> None:
        self.packets = 0
        self.damaged = 0
        """Packets that end inside their headers, or whose link type is not known."""
        self.messages = 0
        """V2G messages found."""
        self.entries = 0
        self.last_damage = ""
        self._now_ns = 0
        self._roles = Roles()
        self._announced: set[int] = {sdp.SDP_PORT}
        self._connections: OrderedDict[_Key, _Connection] = OrderedDict()
        self._out: list[Entry] = []

    def receive_packet(self, packet: Packet) -> list[Entry]:
        """Take the next captured packet and return what is new."""
        self.packets += 1
        self._now_ns = packet.at_ns
        try:
            parsed = parse(packet.link_type, packet.data)
            if isinstance(parsed, Segment):
                self._receive_segment(parsed)
            elif isinstance(parsed, Datagram):
                self._receive_datagram(parsed)
            elif isinstance(parsed, HomePlugFrame):
                self._receive_homeplug(parsed.frame)
        except WireError as error:
            self.damaged += 1
            self.last_damage = str(error)
        return self._drain()

    def finish(self) -> list[Entry]:
        """Return what connections still hold: the capture has ended."""
        for connection in self._connections.values():
            self._flush(connection)
        self._connections.clear()
        return self._drain()

    def _drain(self) -> list[Entry]:
        out, self._out = self._out, []
        self.entries += len(out)
        return out

    def _add(
        self, layer: str, tag: str, ends: tuple[str, str], text: str, details: Details
    ) -> None:
        self._out.append(Entry(self._now_ns, layer, ends[0], ends[1], tag, text, details))

    # --- HomePlug ------------------------------------------------------------------------------

    def _receive_homeplug(self, frame: bytes) -> None:
        parsed = wire.parse(frame)
        name = parsed.mme.name
        if name == "CM_SLAC_PARM.REQ":
            self._roles.learn("car", parsed.src)
        elif name == "CM_SLAC_PARM.CNF":
            self._roles.learn("charger", parsed.src)
        fields = wire.describe(parsed.mme)
        words = " ".join(f"{key}={clean(str(value))}" for key, value in fields.items())
        ends = (self._roles.name(parsed.src), self._roles.name(parsed.dst))
        details: Details = {
            "message": name,
            "source_mac": parsed.src.hex(":"),
            "destination_mac": parsed.dst.hex(":"),
            "fields": dict(fields),
        }
        self._add("homeplug", "PLC", ends, f"{name} {words}".rstrip(), details)

    # --- SDP -----------------------------------------------------------------------------------

    def _receive_datagram(self, datagram: Datagram) -> None:
        if sdp.SDP_PORT not in (datagram.source.port, datagram.destination.port):
            return
        if not datagram.payload.startswith(_V2GTP_START):
            return  # another use of the port
        ends = (str(datagram.source), str(datagram.destination))
        details: Details = {"source": ends[0], "destination": ends[1]}
        try:
            message = sdp.parse(datagram.payload)
        except WireError as error:
            details |= {"message": "", "error": str(error), "hex": datagram.payload.hex()}
            self._add("sdp", "SDP", ends, f"not decodable: {error}", details)
            return
        security = {sdp.SECURITY_TLS: "TLS", sdp.SECURITY_NONE: "no TLS"}.get(
            message.security, f"security 0x{message.security:02X}"
        )
        details |= {"security": message.security, "transport": message.transport}
        if isinstance(message, sdp.SdpRequest):
            name = self._name("car", datagram.source, datagram.destination)
            details["message"] = "SECCDiscoveryReq"
            text = f"SECCDiscoveryReq: where is a charger? ({security})"
            self._add("sdp", "SDP", (name, "all"), text, details)
            return
        if len(self._announced) < ANNOUNCED_LIMIT:
            self._announced.add(message.port)
        names = (
            self._name("charger", datagram.source, datagram.destination),
            self._name("car", datagram.destination, datagram.source),
        )
        where = f"[{address_text(message.address)}]:{message.port}"
        details |= {"message": "SECCDiscoveryRes", "address": where}
        self._add("sdp", "SDP", names, f"SECCDiscoveryRes: {where} ({security})", details)

    def _name(self, role: str, endpoint: Endpoint, other: Endpoint) -> str:
        """Name a station by its MAC, else its IP address; both ends on one host have no name."""
        if endpoint.ip == other.ip or endpoint.ip[0] == 0xFF:
            return role
        return self._roles.learn(role, endpoint.mac if any(endpoint.mac) else endpoint.ip)

    # --- TCP -----------------------------------------------------------------------------------

    def _receive_segment(self, segment: Segment) -> None:
        connection = self._connection(segment)
        if connection.ignored:
            return
        index = 0 if _same(segment.source, connection.ends[0]) else 1
        direction, opposite = connection.directions[index], connection.directions[1 - index]
        if segment.flags & SYN:
            self._receive_syn(connection, index, segment)
        if segment.flags & ACK:
            opposite.tcp.receive_acknowledgement(segment.acknowledgement)
        new = direction.stream is None
        pieces = direction.tcp.receive_segment(segment, self._now_ns / 1e9)
        if new and direction.tcp.mid_stream and pieces and connection.shown:
            self._tcp(connection, index, "mid-stream", "the capture begins inside this connection")
        self._receive_pieces(connection, index, pieces)
        if segment.flags & RST and not connection.reset:
            connection.reset = True
            refused = not connection.accepted and connection.syn is not None and index == 1
            word = "refuses the connection" if refused else "resets the connection"
            self._tcp(connection, index, "refused" if refused else "reset", word)

    def _connection(self, segment: Segment) -> _Connection:
        source, destination = segment.source, segment.destination
        forth = (source.ip, source.port, destination.ip, destination.port)
        back = (destination.ip, destination.port, source.ip, source.port)
        key = back if back in self._connections else forth
        connection = self._connections.get(key)
        fresh_syn = segment.flags & (SYN | ACK) == SYN
        if connection is not None and fresh_syn and connection.syn != segment.sequence:
            self._flush(connection)  # the ports are used again
            del self._connections[key]
            key, connection = forth, None
        if connection is None:
            connection = self._new_connection(segment, fresh_syn)
            client, server = connection.ends
            key = (client.ip, client.port, server.ip, server.port)
            self._connections[key] = connection
            if len(self._connections) > CONNECTION_LIMIT:
                self._flush(self._connections.popitem(last=False)[1])
        else:
            self._connections.move_to_end(key)
        return connection

    def _new_connection(self, segment: Segment, fresh_syn: bool) -> _Connection:
        client, server = segment.source, segment.destination
        turned = segment.flags & SYN or (
            client.port in self._announced and server.port not in self._announced
        )
        if turned and not fresh_syn:
            client, server = server, client
        shown = server.port in self._announced or (_is_local(client.ip) and _is_local(server.ip))
        connection = _Connection(client, server, shown=shown)
        if shown:
            self._name_ends(connection)
        return connection

    def _name_ends(self, connection: _Connection) -> None:
        client, server = connection.ends
        connection.names = (
            self._name("car", client, server),
            self._name("charger", server, client),
        )

    def _receive_syn(self, connection: _Connection, index: int, segment: Segment) -> None:
        if segment.flags & ACK:
            if index == 1 and not connection.accepted:
                connection.accepted = True
                self._tcp(connection, index, "accepted", "accepts")
            return
        again = connection.syn is not None
        connection.syn = segment.sequence
        client, server = connection.ends
        text = f"{'connects again' if again else 'connects'}: {client} to {server}"
        self._tcp(connection, index, "connect", text)

    def _receive_pieces(self, connection: _Connection, index: int, pieces: list[Piece]) -> None:
        for piece in pieces:
            if isinstance(piece, StreamData):
                self._receive_data(connection, index, piece.data)
            elif isinstance(piece, StreamGap):
                stream = connection.directions[index].stream
                lost = stream.lose() if stream is not None else 0
                text = f"{piece.length} bytes are missing in the capture"
                text += f" ({lost} bytes of a message before them are useless)" if lost else ""
                self._tcp(connection, index, "gap", text, {"missing": piece.length})
            else:
                connection.directions[index].closed = True
                self._report_pending(connection, index)
                self._tcp(connection, index, "close", "closes the connection")

    def _receive_data(self, connection: _Connection, index: int, data: bytes) -> None:
        if connection.tls:
            return
        direction = connection.directions[index]
        if direction.stream is None:
            if not self._is_v2g(connection, index, data):
                return
            direction.stream = V2gStream(in_step=not direction.tcp.mid_stream)
        frames, notes = direction.stream.receive_data(data)
        for note in notes:
            self._tcp(connection, index, "garbage", note)
        for frame in frames:
            self._report(
                connection, index, connection.reader.read(frame.payload_type, frame.payload)
            )

    def _is_v2g(self, connection: _Connection, index: int, data: bytes) -> bool:
        """Judge a direction by its first bytes."""
        if data[0] in _TLS_RECORD and data[1:2] in (b"", b"\x03"):
            if connection.shown:
                connection.tls = True
                self._tcp(connection, index, "tls", "TLS, not decoded")
            else:
                connection.ignored = True
            return False
        if not connection.shown:
            if not data.startswith(_V2GTP_START):
                connection.ignored = True
                return False
            connection.shown = True
            self._name_ends(connection)
            client, server = connection.ends
            self._tcp(connection, 0, "connect", f"is connected: {client} to {server}")
        return True

    def _flush(self, connection: _Connection) -> None:
        if connection.ignored:
            return
        for index, direction in enumerate(connection.directions):
            self._receive_pieces(connection, index, direction.tcp.finish())
            if not direction.closed:
                self._report_pending(connection, index)

    def _report_pending(self, connection: _Connection, index: int) -> None:
        stream = connection.directions[index].stream
        if stream is not None and stream.pending and not connection.tls:
            text = f"{stream.pending} bytes of a message that never became complete"
            self._tcp(connection, index, "incomplete", text)

    def _tcp(
        self,
        connection: _Connection,
        index: int,
        event: str,
        text: str,
        more: Details | None = None,
    ) -> None:
        if connection.shown:
            details: Details = {"event": event, **_ends(connection, index), **(more or {})}
            names = (connection.names[index], connection.names[1 - index])
            self._add("tcp", "TCP", names, text, details)

    def _report(self, connection: _Connection, index: int, message: V2gMessage) -> None:
        self.messages += 1
        details: Details = {
            **_ends(connection, index),
            "payload_type": f"0x{message.payload_type:04X}",
            "protocol": message.protocol or None,
            "message": message.name or None,
            "json": message.json,
            "exi_hex": message.payload.hex(),
        }
        text = f"{message.name} {message.text}".strip() if message.name else message.text
        if message.trailing:
            details["trailing_bytes"] = message.trailing
        if message.error:
            details["error"] = message.error
        if message.guessed:
            details["guessed"] = True
            text += " (protocol guessed: no handshake)"
        names = (connection.names[index], connection.names[1 - index])
        tag = {"sap": "SAP", "din": "DIN", "iso2": "ISO2", "iso20": "ISO20"}
        self._add("v2g", tag.get(message.protocol, "V2G"), names, text, details)


def _ends(connection: _Connection, index: int) -> Details:
    return {
        "source": str(connection.ends[index]),
        "destination": str(connection.ends[1 - index]),
    }


def _same(one: Endpoint, other: Endpoint) -> bool:
    return one.port == other.port and one.ip == other.ip


def _is_local(ip: bytes) -> bool:
    """Link-local or loopback, where V2G is spoken."""
    if len(ip) == 4:
        return ip[0] == 127
    return (ip[0] == 0xFE and ip[1] & 0xC0 == 0x80) or ip == bytes(15) + b"\x01"
