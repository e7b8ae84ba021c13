"""The way to realtime: found, lost, found again, in any order; silence and a full socket, too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from controller import ipc, signals_json
from controller.loop import Loop
from controller.service_link import RETRY_S, SILENCE_S, RealtimeLink
from controller.signals import Heartbeat, Noted, Output, Phase, PowerStageChanged

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator
    from pathlib import Path


class FakeSockets:
    """What the link needs of `Sockets`."""

    def __init__(self, loop: Loop) -> None:
        self.loop = loop
        self.channel: ipc.Channel | None = None
        self.got: list[Output] = []
        self.lost = 0

    def attach(self, channel: ipc.Channel) -> None:
        self.channel = channel
        channel.on_signal(lambda item, now: self.got.append(item))
        self.loop.watch(channel.fileno(), channel.receive)

    def detach(self) -> None:
        if self.channel is not None:
            self.loop.watch(self.channel.fileno(), None)
            self.channel = None

    def realtime_lost(self, now: float) -> None:
        self.detach()
        self.lost += 1


class Rig:
    def __init__(self, path: str) -> None:
        self.path = path
        self.loop = Loop()
        self.sockets = FakeSockets(self.loop)
        self.kept: list[tuple[Any, ...]] = []
        self.said: list[str] = []
        self.link = RealtimeLink(
            self.loop,
            path,
            self.sockets,  # type: ignore[arg-type]
            lambda *record: self.kept.append(record),
            self.said.append,
        )
        self.listener: socket.socket | None = None
        self.peer: ipc.Channel | None = None
        self.now = self.loop.now()

    def listen(self) -> None:
        self.listener = ipc.listen(self.path)

    def accept(self) -> ipc.Channel:
        assert self.listener is not None
        self.peer = ipc.Channel(self.listener.accept()[0])
        return self.peer

    def fire(self, seconds: float = RETRY_S) -> None:
        """Let the link look, some time later."""
        self.now += seconds
        self.link.fire(self.now)

    def deliver(self) -> None:
        """Let the loop read what was sent."""
        self.loop.remove(self.link)
        self.loop.call_at(0.0, lambda now: None)
        self.loop.call_at(0.0, lambda now: self.loop.stop())
        self.loop.run()
        self.loop.add(self.link)

    def end_realtime(self) -> None:
        assert self.listener is not None
        if self.peer is not None:
            self.peer.close()
        self.listener.close()

    def close(self) -> None:
        self.link.close()
        self.loop.close()
        if self.listener is not None:
            self.end_realtime()


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    rig = Rig(str(tmp_path / "realtime.sock"))
    yield rig
    rig.close()


REPORT = PowerStageChanged("off")


def test_without_realtime_it_waits_and_says_so_once(rig: Rig) -> None:
    for _ in range(20):
        rig.fire()
    assert len(rig.said) == 1
    assert rig.said[0].startswith(f"waiting for the realtime process at {rig.path} (No such file")
    assert rig.sockets.lost == 1  # the core is out of service from the start
    assert rig.link.deadline == pytest.approx(rig.now + RETRY_S)


def test_found_it_is_attached_and_what_it_says_arrives(rig: Rig) -> None:
    rig.fire()
    rig.listen()
    rig.fire()
    peer = rig.accept()
    peer.send_signal(REPORT)
    rig.deliver()
    assert rig.sockets.got == [REPORT]
    assert rig.said[-1] == "the realtime process is there"


def test_its_end_is_told_and_it_is_looked_for_again(rig: Rig) -> None:
    rig.listen()
    for turn in range(3):
        rig.fire()
        peer = rig.accept()
        peer.send_signal(REPORT)
        rig.deliver()
        rig.end_realtime()
        rig.deliver()
        assert rig.sockets.lost == turn + 1
        assert rig.sockets.channel is None
        assert rig.said[-1] == "the realtime process ended"
        rig.fire()
        rig.listen()
    assert len(rig.sockets.got) == 3


def test_one_that_hangs_is_given_up(rig: Rig) -> None:
    rig.listen()
    rig.fire()
    rig.accept().send_signal(REPORT)
    rig.deliver()
    rig.fire(SILENCE_S / 2)
    assert rig.sockets.lost == 0
    rig.fire(SILENCE_S)
    assert rig.sockets.lost == 1
    assert rig.said[-1] == "the realtime process said nothing for 1 s"


def test_one_that_accepts_nobody_is_given_up_and_told_once(rig: Rig) -> None:
    """A stopped process still has a place for those who wait."""
    rig.fire()
    assert rig.sockets.lost == 1
    rig.listen()
    for _ in range(30):
        rig.fire()
    assert rig.sockets.lost == 1
    assert len(rig.said) <= 3


def test_one_that_reads_nothing_is_given_up(rig: Rig) -> None:
    rig.listen()
    rig.fire()
    rig.accept().send_signal(REPORT)
    rig.deliver()
    assert rig.sockets.channel is not None
    while not rig.sockets.channel.dropped:
        rig.sockets.channel.send_signal(Heartbeat(1, Phase.IDLE))
    rig.fire()
    assert rig.sockets.lost == 1
    assert rig.said[-1] == "the realtime process takes no more requests"


def test_records_are_kept_and_broken_ones_counted(rig: Rig) -> None:
    rig.listen()
    rig.fire()
    peer = rig.accept()
    body = signals_json.encode(Noted("hello"))
    peer.send(ipc.RECORD, b"12.5 evse.realtime out 3 " + body)
    for broken in (
        b"",
        b"x y z 1 {}",
        b"1 n out x " + body,
        b"1 n out 0 {}",
        b"1 \xff out 0 " + body,
    ):
        peer.send(ipc.RECORD, broken)
    rig.deliver()
    assert rig.kept == [(12.5, "evse.realtime", "out", Noted("hello"), 3)]
    assert rig.link.channel is not None
    assert rig.link.channel.garbage == 5
