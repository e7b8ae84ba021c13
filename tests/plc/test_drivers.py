"""The drivers: what they say when something is missing, and frames through a real TAP device."""

from __future__ import annotations

import os
import select
import socket

import pytest

from controller.errors import PortError
from controller.plc import driver_tap, wire
from controller.plc.driver_af_packet import AfPacketLink
from controller.plc.driver_tap import open_tap, why_no_tap

MAC = bytes.fromhex("0200000000a1")
NAME = "ccstest0"
FRAME = wire.build(wire.BROADCAST, MAC, wire.CmSlacParmReq(run_id=b"12345678"))


def may_open_raw() -> bool:
    try:
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW).close()
    except PermissionError:
        return False
    return True


def test_missing_interface_names_those_that_exist() -> None:
    if not may_open_raw():
        pytest.skip("raw sockets need root")
    with pytest.raises(PortError, match=r"nosuch: no such network interface \(there are: .*lo"):
        AfPacketLink("nosuch")


def test_missing_permission_says_which(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> socket.socket:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(socket, "socket", refuse)
    with pytest.raises(PortError, match="eth1: raw Ethernet needs the capability CAP_NET_RAW"):
        AfPacketLink("eth1")


@pytest.mark.parametrize(
    ("error", "text"),
    [(FileNotFoundError(2, "x"), "modprobe tun"), (PermissionError(13, "x"), "run as root")],
)
def test_no_tap_says_what_to_do(monkeypatch: pytest.MonkeyPatch, error: OSError, text: str) -> None:
    def fail(*args: object) -> int:
        raise error

    pytest.importorskip("pytun")
    monkeypatch.setattr(os, "open", fail)
    assert text in why_no_tap()
    with pytest.raises(PortError, match=text):
        open_tap(NAME)


def test_no_pytun_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pytun", None)
    assert "C compiler" in why_no_tap()


@pytest.mark.root
def test_frames_cross_a_tap_device_both_ways() -> None:
    if why_no_tap() or not may_open_raw():
        pytest.skip(f"needs root: {why_no_tap()}")
    tap = open_tap(NAME, MAC)
    link = AfPacketLink(NAME)
    try:
        assert tap.mac == link.mac == MAC
        link.send(FRAME)
        assert FRAME in received(tap)
        assert link.receive() is None  # not its own
        answer = wire.build(MAC, wire.LOCAL_MODEM, wire.CmSetKeyCnf(result=1))
        tap.send(answer)
        assert received(link) == [answer]
        tap.close()
        with pytest.raises(PortError, match=NAME):
            link.send(FRAME)
    finally:
        link.close()
        link.close()
        tap.close()


def received(link: driver_tap.TapLink | AfPacketLink) -> list[bytes]:
    """Wait for a HomePlug frame; the kernel sends IPv6 of its own as well."""
    frames: list[bytes] = []
    for _ in range(50):
        select.select([link], [], [], 2.0)
        while (frame := link.receive()) is not None:
            if wire.is_homeplug(frame):
                frames.append(frame)
        if frames:
            break
    return frames
