"""The drivers: what they say when something is missing, and frames through a real TAP device."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import select
import socket
import struct
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from controller.errors import PortError
from controller.plc import driver_interface, driver_spi, driver_tap, wire
from controller.plc.driver_af_packet import AfPacketLink, arrival_ns
from controller.plc.driver_tap import open_tap, why_no_tap
from controller.plc.sim_qca7005 import SimQca7005

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

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


# --- the raw socket's filter and times -----------------------------------------------------------

PEER = bytes.fromhex("0200000000b2")


def tagged(frame: bytes) -> bytes:
    """The frame with a VLAN tag."""
    return frame[:12] + b"\x81\x00\x00\x05" + frame[12:]


@pytest.mark.root
@pytest.mark.parametrize("promiscuous", [False, True])
def test_the_raw_socket_hears_only_what_is_meant_for_it(promiscuous: bool) -> None:
    if why_no_tap() or not may_open_raw():
        pytest.skip(f"needs root: {why_no_tap()}")
    with (
        contextlib.closing(open_tap(NAME, MAC)) as tap,
        contextlib.closing(AfPacketLink(NAME)) as link,
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as other,
    ):
        if promiscuous:  # somebody else captures on the interface
            other.bind((NAME, 0))
            index = socket.if_nametoindex(NAME)
            join = struct.pack("@iHH8s", index, 1, 0, bytes(8))  # PACKET_MR_PROMISC
            other.setsockopt(263, 1, join)  # SOL_PACKET, PACKET_ADD_MEMBERSHIP
        ours = wire.build(MAC, wire.LOCAL_MODEM, wire.CmSetKeyCnf(result=1))
        all_of_us = wire.build(wire.BROADCAST, wire.LOCAL_MODEM, wire.CmSetKeyCnf(result=0))
        for frame in (
            wire.build(PEER, wire.LOCAL_MODEM, wire.CmSetKeyCnf(result=1)),  # for another station
            tagged(ours),
            ours[:12] + b"\x08\x00" + ours[14:],
            ours,
            all_of_us,
        ):
            tap.send(frame)
        assert received(link) == [ours, all_of_us]
        for _ in range(100):  # the kernel begins to take times a moment after it was asked to
            tap.send(ours)
            received(link)
            if link.received_at_ns is not None:
                break
            select.select([], [], [], 0.02)
        assert link.received_at_ns is not None
        assert 1.5e18 < link.received_at_ns < 5e18


@pytest.mark.parametrize(
    ("kernel", "card", "expected"),
    [((7, 8), (0, 0), 7_000_000_008), ((7, 8), (9, 1), 9_000_000_001), ((0, 0), (0, 0), None)],
)
def test_the_cards_time_comes_first(
    kernel: tuple[int, int], card: tuple[int, int], expected: int | None
) -> None:
    data = struct.pack("@qqqqqq", *kernel, 0, 0, *card)
    assert arrival_ns([(1, 99, b"x"), (socket.SOL_SOCKET, 37, data)]) == expected
    assert arrival_ns([(socket.SOL_SOCKET, 37, data[:10])]) is None


# --- facts about interfaces ----------------------------------------------------------------------


def test_facts_about_the_loopback() -> None:
    facts = driver_interface.read_facts("lo")
    assert not facts.is_ethernet
    assert "lo" not in driver_interface.interfaces()
    with pytest.raises(PortError, match=r"nosuch: no such network interface \(there are: .*lo"):
        driver_interface.read_facts("nosuch")


@pytest.mark.root
def test_facts_about_a_tap_device() -> None:
    if why_no_tap() or not may_open_raw():
        pytest.skip(f"needs root: {why_no_tap()}")
    with contextlib.closing(open_tap(NAME, MAC)) as tap:
        facts = driver_interface.read_facts(NAME)
        assert (facts.mac, facts.mtu, facts.is_ethernet) == (MAC, 1500, True)
        assert facts.is_up
        assert driver_interface.is_up(NAME)
        assert facts.has_carrier
        assert not facts.ipv4
        assert NAME in driver_interface.interfaces()
        tap.set_carrier(False)
        for _ in range(100):
            if not driver_interface.read_facts(NAME).has_carrier:
                break
            select.select([], [], [], 0.02)
        else:
            pytest.fail("the carrier is still there")


@pytest.mark.parametrize(
    ("link", "network", "expected"),
    [
        ("", "", ()),
        ("NETWORK_FILE={}", "[Network]\nDHCP=no\n", ()),
        ("NETWORK_FILE={}", "[Network]\nLinkLocalAddressing=ipv6\n", ()),
        ("NETWORK_FILE={}", "[Network]\nDHCP = yes\n", ("systemd-networkd (DHCP)",)),
        ("NETWORK_FILE={}", "[Network]\nDHCP=ipv4\n", ("systemd-networkd (DHCP)",)),
    ],
)
def test_who_configures_an_interface(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, link: str, network: str, expected: object
) -> None:
    file = tmp_path / "x.network"
    file.write_text(network)
    links = tmp_path / "systemd/netif/links"
    links.mkdir(parents=True)
    (links / "7").write_text(link.format(file))
    monkeypatch.setattr(driver_interface, "RUN", tmp_path)
    assert driver_interface._managers(7) == expected


# --- SPI -----------------------------------------------------------------------------------------


def test_no_spi_device_says_what_to_do() -> None:
    with pytest.raises(PortError, match=r"/nosuch/spidev: does not exist: enable SPI: dtparam"):
        driver_spi.open_spi("/nosuch/spidev")


def test_spi_requests_are_as_the_kernel_wants_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[tuple[int, bytes]] = []
    edges = os.memfd_create("edges")
    os.write(edges, bytes(3 * 48))
    os.lseek(edges, 0, os.SEEK_SET)

    def ioctl(fd: int, request: int, argument: bytes | bytearray) -> int:
        asked.append((request, bytes(argument)))
        if request == 0xC250B407:  # GPIO_V2_GET_LINE_IOCTL
            struct.pack_into("@i", argument, 588, edges)
        if request == 0x40206B00:  # SPI_IOC_MESSAGE(1): the chip answers what it was sent
            out, back, length = struct.unpack_from("@QQI", argument)
            ctypes.memmove(back, out, length)
        return 0

    for name in ("spidev0.0", "gpiochip0"):
        (tmp_path / name).write_bytes(b"")
    monkeypatch.setattr(fcntl, "ioctl", ioctl)
    device = driver_spi.open_spi(str(tmp_path / "spidev0.0"), 23, chip=str(tmp_path / "gpiochip0"))
    assert asked[0] == (0x40016B01, b"\x03")  # mode 3
    assert asked[2] == (0x40046B04, (8_000_000).to_bytes(4, "little"))
    line = asked[3][1]
    assert (len(line), line[0], line[256:265]) == (592, 23, b"ccs-pilot")
    assert int.from_bytes(line[288:296], "little") == 1 << 2 | 1 << 4
    assert device.transfer(b"\xda\0\0\0") == b"\xda\0\0\0"
    request = asked[-1][1]
    assert len(request) == 32
    assert request[16:24] == (4).to_bytes(4, "little") + (8_000_000).to_bytes(4, "little")
    assert device.fileno() == edges
    assert device.take_edges() == 3
    device.close()
    device.close()


class FakeTap:
    """The host's side of the bridge."""

    mac = MAC

    def __init__(self) -> None:
        self.carrier: list[bool] = []
        self.got: list[bytes] = []
        self.waiting: list[bytes] = []

    def fileno(self) -> int:
        return 101

    def send(self, frame: bytes) -> None:
        self.got.append(frame)

    def receive(self) -> bytes | None:
        return self.waiting.pop(0) if self.waiting else None

    def set_carrier(self, up: bool) -> None:
        self.carrier.append(up)

    def close(self) -> None:
        """Nothing to release."""


class FakeSpi:
    """A simulated chip behind the SPI port, in the time that the test sets."""

    def __init__(self) -> None:
        self.chip = SimQca7005()
        self.now = 0.0

    def transfer(self, data: bytes) -> bytes:
        return self.chip.transfer(data, self.now)

    def fileno(self) -> int:
        return 100

    def take_edges(self) -> int:
        return 1

    def close(self) -> None:
        """Nothing to release."""


def test_the_bridge_carries_frames_between_chip_and_tap() -> None:
    port, tap, said = FakeSpi(), FakeTap(), list[str]()
    watched: dict[int, Callable[[float], None]] = {}
    loop = SimpleNamespace(watch=watched.__setitem__, add=lambda timed: None)
    bridge = driver_spi.SpiBridge(loop, port, tap, said.append)  # type: ignore[arg-type]
    bridge.fire(0.0)
    port.now = 0.6
    port.chip.handle_timer(0.6)
    watched[port.fileno()](0.6)
    assert (tap.carrier, said) == ([False, True], ["the modem is ready"])
    port.chip.deliver(FRAME)
    watched[port.fileno()](0.7)
    assert tap.got == [FRAME]
    tap.waiting.append(FRAME)
    watched[tap.fileno()](0.8)
    assert port.chip.take_frames() == [FRAME]
    port.chip.bad_signatures = 2
    watched[port.fileno()](0.9)
    assert tap.carrier[-1] is False
    assert said[1:] == ["the signature is gone: power, wiring?", "the modem is gone"]
    assert bridge.deadline == pytest.approx(1.9)
