"""What every `plc.port.FrameLink` promises, on every link that can run here.

Unix sockets and replayed captures run anywhere; the TAP device and the raw socket on it need root.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
from typing import TYPE_CHECKING

import pytest

from controller.errors import PortError
from controller.plc import wire
from controller.plc.driver_af_packet import AfPacketLink
from controller.plc.driver_pcap import PcapLink
from controller.plc.driver_tap import open_tap, why_no_tap
from controller.plc.driver_unix import UnixFrameLink

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from controller.plc.port import FrameLink

MAC = bytes.fromhex("0200000000a7")
NAME = "ccscontract0"
FRAMES = [
    wire.build(MAC, wire.LOCAL_MODEM, wire.CmSetKeyCnf(result=1)),
    wire.build(wire.BROADCAST, wire.LOCAL_MODEM, wire.CmSlacParmReq(run_id=b"12345678")),
    wire.build(MAC, wire.LOCAL_MODEM, wire.CmSetKeyCnf(result=0)).ljust(1514, b"\0"),
]
"""From the other side: for us, for all, and as long as a frame may be."""
OURS = wire.build(wire.BROADCAST, MAC, wire.CmSlacParmReq(run_id=b"abcdefgh"))


class Ends:
    """A link and how its other side works."""

    def __init__(
        self,
        link: FrameLink,
        give: Callable[[bytes], object],
        taken: Callable[[], list[bytes]],
    ) -> None:
        self.link = link
        self.give = give
        """Let a frame come from the other side."""
        self.taken = taken
        """What the other side got."""


@contextlib.contextmanager
def unix() -> Iterator[Ends]:
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    far.settimeout(2.0)
    yield Ends(UnixFrameLink(near, MAC), far.send, lambda: [far.recv(2048)])
    far.close()


@contextlib.contextmanager
def raw() -> Iterator[Ends]:
    if os.geteuid() != 0 or why_no_tap():
        pytest.skip(f"needs root: {why_no_tap()}")
    with contextlib.closing(open_tap(NAME, MAC)) as tap:

        def taken() -> list[bytes]:
            return [f for f in everything(tap) if wire.is_homeplug(f)]

        yield Ends(AfPacketLink(NAME), tap.send, taken)


@contextlib.contextmanager
def tap_device() -> Iterator[Ends]:
    if os.geteuid() != 0 or why_no_tap():
        pytest.skip(f"needs root: {why_no_tap()}")
    tap = open_tap(NAME, MAC)
    with contextlib.closing(AfPacketLink(NAME)) as kernel:
        # The TAP device is the other side of the interface: what the kernel sends arrives in it.
        yield Ends(tap, kernel.send, lambda: everything(kernel))


@contextlib.contextmanager
def replay() -> Iterator[Ends]:
    link = PcapLink([(float(i), frame) for i, frame in enumerate(FRAMES)], MAC)
    given = [0]

    def give(frame: bytes) -> None:
        assert frame == FRAMES[given[0]]
        link.advance(float(given[0]))
        given[0] += 1

    yield Ends(link, give, lambda: link.sent)


def everything(link: FrameLink) -> list[bytes]:
    """Wait for frames and take them all."""
    frames: list[bytes] = []
    for _ in range(50):
        if not select.select([link], [], [], 0.5)[0]:
            break
        while (frame := link.receive()) is not None:
            frames.append(frame)
        if any(wire.is_homeplug(f) for f in frames):
            break
    return frames


LINKS = {"unix": unix, "raw": raw, "tap": tap_device, "replay": replay}
needs_root = pytest.mark.root


@pytest.fixture(
    params=[pytest.param(n, marks=needs_root) if n in ("raw", "tap") else n for n in LINKS]
)
def ends(request: pytest.FixtureRequest) -> Iterator[Ends]:
    with LINKS[request.param]() as made:
        try:
            yield made
        finally:
            made.link.close()


def homeplug(link: FrameLink) -> list[bytes]:
    return [f for f in everything(link) if wire.is_homeplug(f)]


def test_it_has_the_stations_address(ends: Ends) -> None:
    assert ends.link.mac == MAC


def test_frames_arrive_whole_and_in_order(ends: Ends) -> None:
    for frame in FRAMES:
        ends.give(frame)
        assert homeplug(ends.link) == [frame]


def test_nothing_waits_and_nothing_blocks(ends: Ends) -> None:
    while ends.link.receive() is not None:
        pass
    assert ends.link.receive() is None


def test_the_descriptor_is_readable_when_a_frame_waits(ends: Ends) -> None:
    while ends.link.receive() is not None:
        pass
    ends.give(FRAMES[0])
    assert select.select([ends.link.fileno()], [], [], 2.0)[0]


def test_what_is_sent_gets_to_the_other_side(ends: Ends) -> None:
    ends.link.send(OURS)
    assert OURS in ends.taken()


def test_closing_twice_is_allowed(ends: Ends) -> None:
    ends.link.close()
    ends.link.close()


def test_a_closed_link_says_so(ends: Ends) -> None:
    ends.link.close()
    with pytest.raises(PortError):
        ends.link.send(OURS)
