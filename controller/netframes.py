"""Ethernet, IPv6, UDP and TCP as bytes: taken apart for the listener, built for our captures.

`parse` takes one packet of a capture file apart, whatever link layer the capture was taken on.
`FlowComposer` does the reverse: from "this datagram was sent" and "these bytes went through this
connection" it builds the frames that would have been on the wire, so that a simulated session, or
one over loopback, can be opened in any network analyser.

Own code instead of dpkt, which the tests use to check it: dpkt raises IndexError and AttributeError
on damaged frames, leaves a computed UDP checksum of 0 (which means "none", and IPv6 forbids) and
does not know how much of a packet was cut off.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from controller.errors import WireError

# Link types of pcap files (https://www.tcpdump.org/linktypes.html).
LINK_NULL = 0
LINK_ETHERNET = 1
LINK_RAW = frozenset({12, 14, 101, 228, 229})
LINK_LOOP = 108
LINK_SLL = 113
LINK_SLL2 = 276

ETHERTYPE_IPV4 = 0x0800
ETHERTYPE_IPV6 = 0x86DD
ETHERTYPE_HOMEPLUG = 0x88E1
"""HomePlug Green PHY management messages (IEEE 1901)."""
_ETHERTYPE_VLAN = frozenset({0x8100, 0x88A8, 0x9100})

_PROTOCOL_TCP = 6
_PROTOCOL_UDP = 17
_IPV6_EXTENSIONS = frozenset({0, 43, 60, 135})
"""Hop-by-hop, routing, destination options, mobility: RFC 8200 section 4, skipped by length."""
_IPV6_FRAGMENT = 44

FIN, SYN, RST, PSH, ACK = 0x01, 0x02, 0x04, 0x08, 0x10

_BROADCAST = b"\xff" * 6
_SLL_BROADCAST = 1
"""sll_pkttype 1: the frame was broadcast (linktypes LINUX_SLL and LINUX_SLL2)."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One end of a UDP or TCP exchange; `mac` is empty where the capture does not have it."""

    mac: bytes
    ip: bytes
    """4 or 16 bytes."""
    port: int

    @classmethod
    def of(cls, mac: bytes, address: str, port: int) -> Endpoint:
        """Make one from an IPv6 address in text; a scope (`%eth0`) is left out."""
        return cls(mac, IPv6Address(address.partition("%")[0]).packed, port)

    def __str__(self) -> str:
        return f"[{address_text(self.ip)}]:{self.port}"


def address_text(ip: bytes) -> str:
    """IP address of 4 or 16 bytes as text."""
    return str(IPv6Address(ip) if len(ip) == 16 else IPv4Address(ip))


@dataclass(frozen=True, slots=True)
class HomePlugFrame:
    """A whole Ethernet frame of a management message (VLAN tag removed)."""

    frame: bytes


@dataclass(frozen=True, slots=True)
class Datagram:
    """One UDP datagram."""

    source: Endpoint
    destination: Endpoint
    payload: bytes


@dataclass(frozen=True, slots=True)
class Segment:
    """One TCP segment; `payload` is what was captured of it."""

    source: Endpoint
    destination: Endpoint
    sequence: int
    acknowledgement: int
    flags: int
    payload: bytes


Parsed = HomePlugFrame | Datagram | Segment | None


# --- taking apart ------------------------------------------------------------------------------


def parse(link_type: int, packet: bytes) -> Parsed:
    """Take one captured packet apart; None for what is neither HomePlug nor UDP nor TCP.

    Raises WireError for a packet that ends inside its headers, and for an unknown link type.
    """
    try:
        return _parse_link(link_type, packet)
    except (struct.error, IndexError):
        raise WireError(f"packet of {len(packet)} bytes ends inside its headers") from None


def _parse_link(link_type: int, packet: bytes) -> Parsed:
    if link_type == LINK_ETHERNET:
        return _parse_ethernet(packet)
    if link_type == LINK_SLL:
        kind, _, length, address, ethertype = struct.unpack_from(">HHH8sH", packet)
        return _parse_cooked(kind, address[: min(length, 6)], ethertype, packet[16:])
    if link_type == LINK_SLL2:
        ethertype, _, _, _, kind, length, address = struct.unpack_from(">HHIHBB8s", packet)
        return _parse_cooked(kind, address[: min(length, 6)], ethertype, packet[20:])
    if link_type in LINK_RAW:
        return _parse_ip(packet, b"", b"")
    if link_type in (LINK_NULL, LINK_LOOP):
        return _parse_ip(packet[4:], b"", b"")
    raise WireError(f"link type {link_type} is not supported")


def _parse_ethernet(frame: bytes) -> Parsed:
    offset = 12
    (ethertype,) = struct.unpack_from(">H", frame, offset)
    while ethertype in _ETHERTYPE_VLAN:
        offset += 4
        (ethertype,) = struct.unpack_from(">H", frame, offset)
    if ethertype == ETHERTYPE_HOMEPLUG:
        return HomePlugFrame(frame if offset == 12 else frame[:12] + frame[offset:])
    if ethertype in (ETHERTYPE_IPV4, ETHERTYPE_IPV6):
        return _parse_ip(frame[offset + 2 :], frame[6:12], frame[:6])
    return None


def _parse_cooked(kind: int, address: bytes, ethertype: int, payload: bytes) -> Parsed:
    """Linux "any" device: the destination address is lost, only broadcast is known."""
    if ethertype == ETHERTYPE_HOMEPLUG:
        destination = _BROADCAST if kind == _SLL_BROADCAST else bytes(6)
        header = destination + address.ljust(6, b"\0") + ethertype.to_bytes(2, "big")
        return HomePlugFrame(header + payload)
    if ethertype in (ETHERTYPE_IPV4, ETHERTYPE_IPV6):
        return _parse_ip(payload, address, b"")
    return None


def _parse_ip(packet: bytes, source_mac: bytes, destination_mac: bytes) -> Parsed:
    version = packet[0] >> 4
    if version == 6:
        length, protocol = struct.unpack_from(">HB", packet, 4)
        source, destination = packet[8:24], packet[24:40]
        offset = 40
        end = offset + length if length else len(packet)  # 0: segmentation offload
        while protocol in _IPV6_EXTENSIONS:
            protocol, offset = packet[offset], offset + 8 * (packet[offset + 1] + 1)
        if protocol == _IPV6_FRAGMENT:
            return None
    elif version == 4:
        offset = 4 * (packet[0] & 15)
        length, _, fragment, _, protocol = struct.unpack_from(">HHHBB", packet, 2)
        source, destination = packet[12:16], packet[16:20]
        end = length or len(packet)
        if fragment & 0x3FFF:  # more fragments, or not the first
            return None
    else:
        return None
    if protocol not in (_PROTOCOL_TCP, _PROTOCOL_UDP):
        return None
    source_port, destination_port = struct.unpack_from(">HH", packet, offset)
    from_, to = (
        Endpoint(source_mac, source, source_port),
        Endpoint(destination_mac, destination, destination_port),
    )
    if protocol == _PROTOCOL_UDP:
        (length,) = struct.unpack_from(">H", packet, offset + 4)
        return Datagram(from_, to, packet[offset + 8 : min(end, offset + max(length, 8))])
    sequence, acknowledgement, words, flags = struct.unpack_from(">IIBB", packet, offset + 4)
    header = max(4 * (words >> 4), 20)
    return Segment(from_, to, sequence, acknowledgement, flags, packet[offset + header : end])


# --- building ----------------------------------------------------------------------------------


def _checksum(source: bytes, destination: bytes, protocol: int, body: bytes) -> int:
    """Internet checksum over the IPv6 pseudo header (RFC 8200 section 8.1) and the body."""
    pseudo = source + destination + struct.pack(">IxxxB", len(body), protocol)
    # The one's complement sum of 16-bit words is the whole number modulo 0xFFFF.
    return -int.from_bytes(pseudo + body + b"\0" * (len(body) % 2), "big") % 0xFFFF


def _frame(source: Endpoint, destination: Endpoint, protocol: int, body: bytes) -> bytes:
    target = destination.mac
    if destination.ip[0] == 0xFF:  # multicast: RFC 2464 section 7
        target = b"\x33\x33" + destination.ip[12:]
    header = struct.pack(">IHBB", 6 << 28, len(body), protocol, 64)
    ethertype = ETHERTYPE_IPV6.to_bytes(2, "big")
    return target + source.mac + ethertype + header + source.ip + destination.ip + body


def udp_frame(source: Endpoint, destination: Endpoint, payload: bytes) -> bytes:
    """Build the Ethernet frame of one UDP datagram."""
    ports = struct.pack(">HHH", source.port, destination.port, 8 + len(payload))
    checksum = _checksum(source.ip, destination.ip, _PROTOCOL_UDP, ports + b"\0\0" + payload)
    body = ports + (checksum or 0xFFFF).to_bytes(2, "big") + payload
    return _frame(source, destination, _PROTOCOL_UDP, body)


def tcp_frame(segment: Segment, options: bytes = b"") -> bytes:
    """Build the Ethernet frame of one TCP segment; `options` are padded to whole words already."""
    source, destination = segment.source, segment.destination
    start = struct.pack(
        ">HHIIBBH",
        source.port,
        destination.port,
        segment.sequence % 2**32,
        segment.acknowledgement % 2**32,
        (5 + len(options) // 4) << 4,
        segment.flags,
        0xFFFF,  # window
    )
    end = b"\0\0" + options + segment.payload  # no urgent data
    checksum = _checksum(source.ip, destination.ip, _PROTOCOL_TCP, start + b"\0\0" + end)
    body = start + checksum.to_bytes(2, "big") + end
    return _frame(source, destination, _PROTOCOL_TCP, body)


class FlowComposer:
    """Builds the frames of UDP datagrams and TCP connections from what an endpoint saw.

    A connection is known by its two endpoints. Bytes of a connection whose `opened` was not told
    are composed like a capture that began in the middle.
    """

    def __init__(self, mss: int = 1440, initial_sequence: int = 1000) -> None:
        self._mss = mss
        self._initial_sequence = initial_sequence
        self._next: dict[tuple[Endpoint, Endpoint], int] = {}

    def datagram(self, source: Endpoint, destination: Endpoint, payload: bytes) -> list[bytes]:
        """One UDP datagram; multicast gets its Ethernet address from the IP address."""
        return [udp_frame(source, destination, payload)]

    def opened(self, client: Endpoint, server: Endpoint) -> list[bytes]:
        """Three-way handshake; a second one on the same ports continues with new numbers."""
        options = struct.pack(">BBH", 2, 4, self._mss)
        for ends in ((client, server), (server, client)):
            self._next[ends] = self._next.get(ends, self._initial_sequence - 1_000_000) + 1_000_000
        syn = self._segment(client, server, SYN, options=options)
        syn_ack = self._segment(server, client, SYN | ACK, options=options)
        return [syn, syn_ack, self._segment(client, server, ACK)]

    def data(self, source: Endpoint, destination: Endpoint, data: bytes) -> list[bytes]:
        """Bytes from source to destination in segments of at most MSS bytes, the last with PSH.

        The answer acknowledges a single segment; after several the receiver acknowledges at once.
        """
        frames = []
        for start in range(0, len(data), self._mss):
            last = start + self._mss >= len(data)
            payload = data[start : start + self._mss]
            frames.append(self._segment(source, destination, ACK | (PSH if last else 0), payload))
        if len(frames) > 1:
            frames.append(self._segment(destination, source, ACK))
        return frames

    def closed(self, source: Endpoint, destination: Endpoint) -> list[bytes]:
        """FIN of one side with the other's acknowledgement; tell it for each side."""
        return [
            self._segment(source, destination, FIN | ACK),
            self._segment(destination, source, ACK),
        ]

    def reset(self, source: Endpoint, destination: Endpoint) -> list[bytes]:
        """RST of one side."""
        return [self._segment(source, destination, RST | ACK)]

    def _segment(
        self,
        source: Endpoint,
        destination: Endpoint,
        flags: int,
        payload: bytes = b"",
        options: bytes = b"",
    ) -> bytes:
        forth, back = (source, destination), (destination, source)
        sequence = self._next.setdefault(forth, self._initial_sequence)
        acknowledgement = self._next.setdefault(back, self._initial_sequence) if flags & ACK else 0
        self._next[forth] = sequence + len(payload) + bool(flags & (SYN | FIN))
        return tcp_frame(
            Segment(source, destination, sequence, acknowledgement, flags, payload), options
        )
