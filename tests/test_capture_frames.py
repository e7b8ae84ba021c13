"""Frames taken apart and composed: dpkt and tshark as oracles."""

import contextlib
import shutil
import struct
import subprocess
from ipaddress import IPv6Address
from pathlib import Path

import dpkt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller import netframes
from controller.errors import WireError
from controller.netframes import (
    ACK,
    FIN,
    PSH,
    RST,
    SYN,
    Datagram,
    Endpoint,
    FlowComposer,
    HomePlugFrame,
    Segment,
    parse,
)
from controller.trace import PcapngWriter

CAR = Endpoint.of(bytes.fromhex("02ca00000001"), "fe80::ca%eth0", 49200)
CHARGER = Endpoint.of(bytes.fromhex("02ce00000002"), "fe80::ce", 61341)
GROUP = Endpoint.of(b"", "ff02::1", 15118)
ETHERNET = netframes.LINK_ETHERNET
HOMEPLUG = b"\xff" * 6 + CAR.mac + b"\x88\xe1" + b"\x01\x64\x60" + bytes(43)


def ip_of(frame: bytes) -> bytes:
    return frame[14:]


def payload_of(frame: bytes) -> bytes:
    parsed = parse(ETHERNET, frame)
    assert isinstance(parsed, Segment | Datagram)
    return parsed.payload


def check_sum(frame: bytes) -> None:
    """The checksum is what dpkt computes, and the one of UDP is not 0."""
    ethernet = dpkt.ethernet.Ethernet(frame)
    layer = ethernet.data.data
    found = layer.sum
    layer.sum = 0
    bytes(ethernet.data)
    expected = layer.sum or 0xFFFF if isinstance(layer, dpkt.udp.UDP) else layer.sum
    assert found == expected


@settings(max_examples=100)
@given(st.binary(max_size=1400))
def test_datagram(payload: bytes) -> None:
    (frame,) = FlowComposer().datagram(CAR, CHARGER, payload)
    assert parse(ETHERNET, frame) == Datagram(CAR, CHARGER, payload)
    check_sum(frame)


def test_udp_checksum_is_never_zero() -> None:
    """RFC 8200 section 8.1: a sum of zero is sent as FFFF."""
    (frame,) = FlowComposer().datagram(CAR, CHARGER, bytes(2))
    (checksum,) = struct.unpack_from(">H", frame, 60)
    (frame,) = FlowComposer().datagram(CAR, CHARGER, checksum.to_bytes(2, "big"))
    assert frame[60:62] == b"\xff\xff"


def test_multicast_address() -> None:
    (frame,) = FlowComposer().datagram(CAR, GROUP, b"x")
    assert frame[:6] == bytes.fromhex("333300000001")
    assert frame[38:54] == IPv6Address("ff02::1").packed


def test_connection() -> None:
    composer = FlowComposer(mss=1000, initial_sequence=2**32 - 1)
    data = bytes(range(250)) * 10
    frames = [
        *composer.opened(CAR, CHARGER),
        *composer.data(CAR, CHARGER, b"request"),
        *composer.data(CHARGER, CAR, data),
        *composer.data(CAR, CHARGER, b""),
        *composer.closed(CHARGER, CAR),
        *composer.closed(CAR, CHARGER),
        *composer.reset(CHARGER, CAR),
    ]
    base = 2**32 - 1
    car, charger = (CAR, CHARGER), (CHARGER, CAR)
    expected = [
        (car, base, 0, SYN, b""),
        (charger, base, base + 1, SYN | ACK, b""),
        (car, base + 1, base + 1, ACK, b""),
        (car, base + 1, base + 1, ACK | PSH, b"request"),
        (charger, base + 1, base + 8, ACK, data[:1000]),
        (charger, base + 1001, base + 8, ACK, data[1000:2000]),
        (charger, base + 2001, base + 8, ACK | PSH, data[2000:]),
        (car, base + 8, base + 2501, ACK, b""),
        (charger, base + 2501, base + 8, FIN | ACK, b""),
        (car, base + 8, base + 2502, ACK, b""),
        (car, base + 8, base + 2502, FIN | ACK, b""),
        (charger, base + 2502, base + 9, ACK, b""),
        (charger, base + 2502, base + 9, RST | ACK, b""),
    ]
    assert [parse(ETHERNET, frame) for frame in frames] == [
        Segment(*ends, sequence % 2**32, acknowledgement % 2**32, flags, payload)
        for ends, sequence, acknowledgement, flags, payload in expected
    ]
    for frame in frames:
        check_sum(frame)


def test_mss_is_announced() -> None:
    syn = dpkt.ethernet.Ethernet(FlowComposer(mss=1440).opened(CAR, CHARGER)[0])
    assert dpkt.tcp.parse_opts(syn.data.data.opts) == [(2, (1440).to_bytes(2, "big"))]


def test_ports_used_again_get_other_numbers() -> None:
    composer = FlowComposer()
    first, again = (parse(ETHERNET, composer.opened(CAR, CHARGER)[0]) for _ in range(2))
    assert isinstance(first, Segment)
    assert isinstance(again, Segment)
    assert first.sequence != again.sequence


def test_without_handshake() -> None:
    composer = FlowComposer()
    first, second = composer.data(CAR, CHARGER, b"a") + composer.data(CAR, CHARGER, b"b")
    assert (payload_of(first), payload_of(second)) == (b"a", b"b")


# --- taking apart ------------------------------------------------------------------------------

UDP = FlowComposer().datagram(CAR, CHARGER, b"hello")[0]
NO_MAC_CAR = Endpoint(b"", CAR.ip, CAR.port)
NO_MAC_CHARGER = Endpoint(b"", CHARGER.ip, CHARGER.port)


@pytest.mark.parametrize(
    ("link_type", "packet", "mac"),
    [
        (1, UDP, CAR.mac),
        (1, UDP[:12] + b"\x81\x00\x00\x07" + UDP[12:], CAR.mac),
        (1, UDP[:12] + b"\x88\xa8\x00\x07\x81\x00\x00\x08" + UDP[12:], CAR.mac),
        (1, UDP + bytes(20), CAR.mac),
        (113, b"\0\0\0\x01\0\x06" + CAR.mac + b"\0\0\x86\xdd" + ip_of(UDP), CAR.mac),
        (113, b"\0\0\x03\x04\0\0" + bytes(8) + b"\x86\xdd" + ip_of(UDP), b""),
        (276, b"\x86\xdd\0\0\0\0\0\x02\0\x01\0\x06" + CAR.mac + b"\0\0" + ip_of(UDP), CAR.mac),
        (101, ip_of(UDP), b""),
        (12, ip_of(UDP), b""),
        (229, ip_of(UDP), b""),
        (0, b"\x0a\0\0\0" + ip_of(UDP), b""),
        (108, b"\0\0\0\x1e" + ip_of(UDP), b""),
    ],
    ids=[
        "Ethernet", "VLAN", "QinQ", "trailer", "SLL", "SLL lo", "SLL2",
        "raw", "raw 12", "IPv6", "null", "loop",
    ],
)  # fmt: skip
def test_link_types(link_type: int, packet: bytes, mac: bytes) -> None:
    parsed = parse(link_type, packet)
    assert isinstance(parsed, Datagram)
    assert parsed.source == Endpoint(mac, CAR.ip, CAR.port)
    assert (parsed.destination.ip, parsed.destination.port) == (CHARGER.ip, CHARGER.port)
    assert parsed.payload == b"hello"


@pytest.mark.parametrize(
    ("link_type", "packet", "expected"),
    [
        (1, HOMEPLUG, HOMEPLUG),
        (1, HOMEPLUG[:12] + b"\x81\x00\x00\x01" + HOMEPLUG[12:], HOMEPLUG),
        (113, b"\0\x01\0\x01\0\x06" + CAR.mac + b"\0\0" + HOMEPLUG[12:], HOMEPLUG),
        (113, b"\0\x04\0\x01\0\x06" + CAR.mac + b"\0\0" + HOMEPLUG[12:],
         bytes(6) + HOMEPLUG[6:]),
        (276, b"\x88\xe1\0\0\0\0\0\x02\0\x01\x01\x06" + CAR.mac + b"\0\0" + HOMEPLUG[14:],
         HOMEPLUG),
    ],
)  # fmt: skip
def test_homeplug(link_type: int, packet: bytes, expected: bytes) -> None:
    assert parse(link_type, packet) == HomePlugFrame(expected)


def ipv6(next_header: int, body: bytes, length: int | None = None) -> bytes:
    size = len(body) if length is None else length
    return struct.pack(">IHBB", 6 << 28, size, next_header, 64) + CAR.ip + CHARGER.ip + body


UDP_BODY = ip_of(UDP)[40:]
IPV4 = bytes.fromhex("45000021000000004011 0000 7f000001 7f000002 c030ef9d000d0000") + b"hello"


@pytest.mark.parametrize(
    ("packet", "payload"),
    [
        (ipv6(0, b"\x11\0" + bytes(6) + UDP_BODY), b"hello"),
        (ipv6(60, b"\x2b\x01" + bytes(14) + b"\x11\0" + bytes(6) + UDP_BODY), b"hello"),
        (ipv6(17, UDP_BODY + b"more"), b"hello"),
        (ipv6(17, UDP_BODY, length=0), b"hello"),
        (ipv6(17, UDP_BODY[:-2], length=13), b"hel"),
        (ipv6(44, b"\x11\0\0\0" + bytes(4) + UDP_BODY), None),
        (ipv6(58, UDP_BODY), None),
        (IPV4, b"hello"),
        (IPV4[:6] + b"\x20\x00" + IPV4[8:], None),
        (b"\x50" + bytes(60), None),
    ],
    ids=[
        "hop-by-hop", "two extensions", "trailer", "no length", "cut", "fragment", "ICMP",
        "IPv4", "IPv4 fragment", "IP version 5",
    ],
)  # fmt: skip
def test_ip(packet: bytes, payload: bytes | None) -> None:
    parsed = parse(101, packet)
    assert (parsed.payload if isinstance(parsed, Datagram) else parsed) == payload


@pytest.mark.parametrize(
    ("link_type", "packet"),
    [
        (1, b""), (1, UDP[:13]), (1, UDP[:40]), (1, UDP[:57]), (1, UDP[:12] + b"\x81\0\0"),
        (113, b"x"), (276, b"x"), (101, b""), (0, b"1234"), (195, UDP),
        (1, FlowComposer().opened(CAR, CHARGER)[0][:65]), (101, ipv6(0, b"\x11")),
    ],
)  # fmt: skip
def test_cut_in_the_headers(link_type: int, packet: bytes) -> None:
    with pytest.raises(WireError):
        parse(link_type, packet)


@pytest.mark.parametrize("ethertype", [b"\x08\x06", b"\x00\x10", b"\x88\x7b"])
def test_what_does_not_matter(ethertype: bytes) -> None:
    assert parse(1, UDP[:12] + ethertype + bytes(46)) is None


@settings(max_examples=300)
@given(
    st.sampled_from([0, 1, 12, 101, 108, 113, 228, 276]),
    st.sampled_from([b"", bytes(12) + b"\x86\xdd", b"\x60", b"\x45", bytes(14) + b"\x86\xdd\x60"]),
    st.binary(max_size=100),
)
def test_random_packets(link_type: int, start: bytes, rest: bytes) -> None:
    with contextlib.suppress(WireError):
        parse(link_type, start + rest)


def test_tshark_finds_nothing_wrong(tmp_path: Path) -> None:
    tshark = shutil.which("tshark")
    if tshark is None:
        pytest.skip("tshark is not installed")
    composer = FlowComposer()
    frames = [
        *composer.datagram(CAR, GROUP, bytes.fromhex("01fe9000000000021000")),
        *composer.opened(CAR, CHARGER),
        *composer.data(CAR, CHARGER, b"request"),
        *composer.data(CHARGER, CAR, bytes(5001)),
        *composer.data(CAR, CHARGER, b"more"),
        *composer.closed(CAR, CHARGER),
        *composer.closed(CHARGER, CAR),
    ]
    path = tmp_path / "capture.pcapng"
    with PcapngWriter(path) as writer:
        for n, frame in enumerate(frames):
            writer.write(frame, n / 10)
    options = ["-o", "tcp.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE"]
    bad = "_ws.malformed || tcp.checksum.status != 1 || udp.checksum.status != 1"
    bad += " || tcp.analysis.flags || _ws.expert.severity >= 6291456"  # warnings and errors
    command = [tshark, "-r", str(path), *options, "-Y", bad]
    shown = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert shown.stdout == ""
