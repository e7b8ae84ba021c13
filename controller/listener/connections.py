"""The TCP connections of a capture, and the V2G messages in them.

Most TCP traffic of a laptop's capture has nothing to do with charging. A connection is shown when
both ends are link-local, as V2G always is, or its port was announced by SDP, or its bytes begin
as V2GTP. Memory is bounded: a number of connections, and what each may hold back.

Who opens a connection is the car. Where the capture begins inside a connection, that is known from
the announced port, or from the first message that is a request or a response.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from controller.listener.entries import Details, Entry, Roles
from controller.listener.tcp_stream import Piece, StreamData, StreamGap, TcpReassembler
from controller.listener.v2g_reader import ProtocolReader, V2gMessage, V2gStream
from controller.netframes import ACK, RST, SYN, Endpoint, Segment
from controller.v2g import sdp, v2gtp

if TYPE_CHECKING:
    from collections.abc import Iterable

CONNECTION_LIMIT = 256
"""Connections followed at a time; the one that was silent longest is forgotten."""
ANNOUNCED_LIMIT = 1024

_V2GTP_START = bytes((v2gtp.VERSION, v2gtp.INVERSE_VERSION))
_TLS_RECORD = range(0x14, 0x18)
"""Content types of TLS records, before the version 3.x (RFC 8446 section 5.1)."""
_TAGS = {"sap": "SAP", "din": "DIN", "iso2": "ISO2", "iso20": "ISO20"}


class _Direction:
    """What one side of a connection sends."""

    def __init__(self) -> None:
        self.tcp = TcpReassembler()
        self.stream: V2gStream | None = None
        self.begun = False
        self.closed = False


class _Connection:
    """One TCP connection; index 0 is the client's side, 1 the server's."""

    def __init__(self, client: Endpoint, server: Endpoint) -> None:
        self.ends = (client, server)
        self.names = (str(client), str(server))
        self.directions = (_Direction(), _Direction())
        self.reader = ProtocolReader()
        self.announced = False
        self.named = False
        self.shown = False
        self.ignored = False
        """Tls, or nothing to do with charging: its bytes are not looked at."""
        self.syn: int | None = None
        self.accepted = False
        self.reset = False

    def index(self, endpoint: Endpoint) -> int:
        client = self.ends[0]
        return 0 if endpoint.port == client.port and endpoint.ip == client.ip else 1


_Key = tuple[bytes, int, bytes, int]


class Connections:
    """Follows the TCP connections that belong to charging."""

    def __init__(self, roles: Roles) -> None:
        self.messages = 0
        """V2G messages found."""
        self._now_ns = 0
        self._roles = roles
        self._announced: set[int] = {sdp.SDP_PORT}
        self._connections: OrderedDict[_Key, _Connection] = OrderedDict()
        self._out: list[Entry] = []

    def announce(self, port: int) -> None:
        """Note a port that a charger has announced."""
        if len(self._announced) < ANNOUNCED_LIMIT:
            self._announced.add(port)

    def receive_segment(self, segment: Segment, at_ns: int) -> list[Entry]:
        """Take one TCP segment and return what is new."""
        self._now_ns = at_ns
        connection = self._find(segment)
        index = connection.index(segment.source)
        direction, opposite = connection.directions[index], connection.directions[1 - index]
        if segment.flags & SYN:
            self._receive_syn(connection, index, segment)
        if not connection.ignored:
            if segment.flags & ACK:
                opposite.tcp.receive_acknowledgement(segment.acknowledgement)
            pieces = direction.tcp.receive_segment(segment, at_ns / 1e9)
            self._receive_pieces(connection, index, pieces)
        if segment.flags & RST and not connection.reset:
            connection.reset = True
            refused = index == 1 and connection.syn is not None and not connection.accepted
            event = "refused" if refused else "reset"
            word = "refuses the connection" if refused else "resets the connection"
            self._tcp(connection, index, event, word)
        return self._drain()

    def finish(self) -> list[Entry]:
        """Return what all connections still hold: the capture has ended."""
        for connection in self._connections.values():
            self._flush(connection)
        self._connections.clear()
        return self._drain()

    def _drain(self) -> list[Entry]:
        out, self._out = self._out, []
        return out

    # --- which connection ----------------------------------------------------------------------

    def _find(self, segment: Segment) -> _Connection:
        source, destination = segment.source, segment.destination
        forth = (source.ip, source.port, destination.ip, destination.port)
        back = (destination.ip, destination.port, source.ip, source.port)
        key = back if back in self._connections else forth
        connection = self._connections.get(key)
        opens = segment.flags & (SYN | ACK) == SYN
        if connection is not None and opens and connection.syn != segment.sequence:
            self._flush(connection)  # the ports are used again
            del self._connections[key]
            connection = None
        if connection is not None:
            self._connections.move_to_end(key)
            return connection
        connection = self._begin(segment, opens=opens)
        client, server = connection.ends
        self._connections[client.ip, client.port, server.ip, server.port] = connection
        if len(self._connections) > CONNECTION_LIMIT:
            self._flush(self._connections.popitem(last=False)[1])
        return connection

    def _begin(self, segment: Segment, *, opens: bool) -> _Connection:
        client, server = segment.source, segment.destination
        answers = bool(segment.flags & SYN) and not opens
        if answers or (
            not opens and client.port in self._announced and server.port not in self._announced
        ):
            client, server = server, client
        connection = _Connection(client, server)
        connection.announced = server.port in self._announced
        connection.shown = connection.announced or (_is_local(client.ip) and _is_local(server.ip))
        certain = opens or answers or connection.announced
        if connection.shown and certain:
            self._name(connection, 0)
        elif connection.shown:
            name = self._roles.name_endpoint
            connection.names = (name(client), name(server))
        return connection

    def _name(self, connection: _Connection, car: int) -> None:
        """Learn who is who: `car` is the index of the vehicle's side."""
        ends, learn = connection.ends, self._roles.learn_endpoint
        names = (learn("car", ends[car], ends[1 - car]), learn("charger", ends[1 - car], ends[car]))
        connection.names = names if car == 0 else (names[1], names[0])
        connection.named = True

    # --- what happens in it --------------------------------------------------------------------

    def _receive_syn(self, connection: _Connection, index: int, segment: Segment) -> None:
        if segment.flags & ACK:
            if index == 1 and not connection.accepted:
                connection.accepted = True
                self._tcp(connection, index, "accepted", "accepts")
            return
        again = "again " if connection.syn is not None else ""
        connection.syn = segment.sequence
        client, server = connection.ends
        self._tcp(connection, index, "connect", f"connects {again}from {client} to {server}")

    def _receive_pieces(self, connection: _Connection, index: int, pieces: Iterable[Piece]) -> None:
        direction = connection.directions[index]
        for piece in pieces:
            if connection.ignored:
                return
            if isinstance(piece, StreamData):
                self._receive_data(connection, index, piece.data)
            elif isinstance(piece, StreamGap):
                lost = direction.stream.lose() if direction.stream is not None else 0
                text = f"{piece.length} bytes are missing in the capture"
                text += f", {lost} bytes of a message before them are useless" if lost else ""
                self._tcp(connection, index, "gap", text, {"missing": piece.length})
            else:
                direction.closed = True
                self._report_pending(connection, index)
                self._tcp(connection, index, "close", "closes the connection")

    def _receive_data(self, connection: _Connection, index: int, data: bytes) -> None:
        direction = connection.directions[index]
        if direction.stream is None:
            in_step = not direction.tcp.mid_stream
            self._judge(connection, index, data, in_step=in_step)
            if connection.ignored:
                return
            direction.stream = V2gStream(in_step=in_step)
        frames, notes = direction.stream.receive_data(data)
        for note in notes:
            self._tcp(connection, index, "garbage", note)
        for frame in frames:
            self._report(connection, index, frame)

    def _judge(self, connection: _Connection, index: int, data: bytes, *, in_step: bool) -> None:
        """Find out by the first bytes of one side whether this is a V2G session."""
        v2g = data.startswith(_V2GTP_START)
        tls = data[0] in _TLS_RECORD and data[1:2] in (b"", b"\x03")
        if v2g and not connection.shown:
            connection.shown = True
            if connection.syn is not None:
                self._name(connection, 0)
            client, server = connection.ends
            self._tcp(connection, 0, "connect", f"is connected from {client} to {server}")
        if not connection.shown:
            connection.ignored = True
        elif tls:
            connection.ignored = True
            self._tcp(connection, index, "tls", "TLS, not decoded")
        elif not v2g and in_step and not connection.announced:
            connection.ignored = True
            self._tcp(connection, index, "foreign", "another protocol, not followed")
        elif not in_step:
            text = "the capture begins inside the connection"
            self._tcp(connection, index, "mid-stream", text)

    def _flush(self, connection: _Connection) -> None:
        for index, direction in enumerate(connection.directions):
            if not connection.ignored:
                self._receive_pieces(connection, index, direction.tcp.finish())
            if not direction.closed and not connection.ignored:
                self._report_pending(connection, index)

    def _report_pending(self, connection: _Connection, index: int) -> None:
        stream = connection.directions[index].stream
        if stream is not None and stream.pending:
            text = f"{stream.pending} bytes of a message that never became complete"
            self._tcp(connection, index, "incomplete", text)

    # --- entries -------------------------------------------------------------------------------

    def _tcp(
        self,
        connection: _Connection,
        index: int,
        event: str,
        text: str,
        more: Details | None = None,
    ) -> None:
        if not connection.shown:
            return
        if event != "connect":
            text += f" (port {connection.ends[0].port})"
        details: Details = {"event": event, **_ends(connection, index), **(more or {})}
        names = (connection.names[index], connection.names[1 - index])
        self._out.append(Entry(self._now_ns, "tcp", *names, "TCP", text, details))

    def _report(self, connection: _Connection, index: int, frame: v2gtp.V2gtpMessage) -> None:
        self.messages += 1
        message = connection.reader.read(frame.payload_type, frame.payload)
        if not connection.named and message.name.endswith(("Req", "Res")):
            self._name(connection, index if message.name.endswith("Req") else 1 - index)
        text = f"{message.name} {message.text}".strip()
        if message.guessed:
            text += " (protocol guessed: no handshake)"
        names = (connection.names[index], connection.names[1 - index])
        tag = _TAGS.get(message.protocol, "V2G")
        details = {**_ends(connection, index), **_message_details(message)}
        self._out.append(Entry(self._now_ns, "v2g", *names, tag, text, details))


def _message_details(message: V2gMessage) -> Details:
    details: Details = {
        "payload_type": f"0x{message.payload_type:04X}",
        "protocol": message.protocol or None,
        "message": message.name or None,
        "json": message.json,
        "exi_hex": message.payload.hex(),
    }
    if message.trailing:
        details["trailing_bytes"] = message.trailing
    if message.error:
        details["error"] = message.error
    if message.guessed:
        details["guessed"] = True
    return details


def _ends(connection: _Connection, index: int) -> Details:
    return {
        "source": str(connection.ends[index]),
        "destination": str(connection.ends[1 - index]),
    }


def _is_local(ip: bytes) -> bool:
    """Link-local or loopback, where V2G is spoken."""
    if len(ip) == 4:
        return ip[0] == 127
    return (ip[0] == 0xFE and ip[1] & 0xC0 == 0x80) or ip == bytes(15) + b"\x01"
