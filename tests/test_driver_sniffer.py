"""Which frames of an interface belong to a charging session."""

from __future__ import annotations

import pytest

from controller.driver_sniffer import Sniffer, belongs

IPV6, TCP, UDP, ICMP = 0x86DD, 6, 17, 58


def frame(ethertype: int, protocol: int = 0, source: int = 0, target: int = 0) -> bytes:
    ip = bytes(6) + bytes((protocol, 1)) + bytes(32)
    ports = source.to_bytes(2, "big") + target.to_bytes(2, "big")
    return bytes(12) + ethertype.to_bytes(2, "big") + ip + ports + bytes(20)


@pytest.mark.parametrize(
    ("data", "taken"),
    [
        (frame(0x88E1), True),
        (frame(IPV6, UDP, 50_000, 15118), True),
        (frame(IPV6, UDP, 15118, 50_000), True),
        (frame(IPV6, UDP, 5353, 5353), False),
        (frame(IPV6, TCP, 50_000, 49152), True),
        (frame(IPV6, TCP, 50_000, 22), False),
        (frame(IPV6, ICMP), False),
        (frame(0x0800, TCP, 50_000, 49152), False),
        (frame(IPV6, TCP, 50_000, 49152)[:50], False),
        (b"", False),
    ],
)
def test_belongs(data: bytes, taken: bool) -> None:
    assert belongs(data) is taken


def test_an_interface_that_is_not_there() -> None:
    with pytest.raises(OSError, match=r"No such device|not permitted"):
        Sniffer("nowhere0")
