"""The socket of power modules and isolation monitor: several clients, garbage, goodbyes."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from controller.errors import PortError
from controller.ipc import SIGNAL
from controller.loop import Loop, SteppedClock
from controller.pigpiod.driver_modules import CLIENTS, ModulesServer
from controller.signals import (
    IsolationReading,
    Output,
    OutputReading,
    PowerEnvelope,
    SetOutput,
    StartIsolationTest,
)
from controller.signals_json import decode, encode

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SIGNALS: list[Output] = [
    OutputReading(400.0, 10.0, 1.0),
    IsolationReading(1e6, self_test_ok=True, taken_at=1.0),
    PowerEnvelope(150.0, 500.0, 0.0, 125.0, 50_000.0),
]


class Modules:
    def __init__(self) -> None:
        self.commands: list[Output] = []

    def site_signals(self, now: float) -> list[Output]:
        return SIGNALS

    def carry_out(self, command: Output, now: float) -> None:
        self.commands.append(command)


class Site:
    """The server in a loop that is turned by hand."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self.clock = SteppedClock(10.0)
        self.modules = Modules()
        self.changes: list[float] = []
        self.loop = Loop(self.clock, lambda deadline: self.loop.stop())
        self.server = ModulesServer(self.loop, self.path, self.modules, self.changes.append)

    def connect(self) -> socket.socket:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        sock.settimeout(10.0)
        sock.connect(self.path)
        self.turn()
        return sock

    def turn(self, seconds: float = 0.0) -> None:
        """Let the loop do all that is due."""
        self.clock.advance(self.clock.now() + seconds)
        self.loop.call_at(self.clock.now(), lambda now: None)
        self.loop.run()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path / "site.sock")
    yield made
    made.server.close()
    made.loop.close()


def heard(sock: socket.socket) -> Output:
    packet = sock.recv(1 << 17)
    assert packet[:1] == SIGNAL
    return decode(packet[1:])


def test_clients_hear_all_three_every_5_ms(site: Site) -> None:
    with site.connect() as one, site.connect() as two:
        site.turn(0.005)
        assert [heard(one) for _ in SIGNALS] == SIGNALS
        assert [heard(two) for _ in SIGNALS] == SIGNALS
        site.turn(0.004)
        one.setblocking(False)
        for _ in SIGNALS:
            heard(one)
        with pytest.raises(BlockingIOError):
            one.recv(1)


def test_commands_arrive_and_garbage_does_not(site: Site) -> None:
    with site.connect() as sock:
        for packet in (b"", b"\xff" * 20, SIGNAL + b"not json", b"?"):
            if packet:
                sock.send(packet)
        commands: list[Output] = [SetOutput(400.0, 5.0, on=True), StartIsolationTest()]
        for command in commands:
            sock.send(SIGNAL + encode(command))
        site.turn()
        assert site.modules.commands == commands
        assert len(site.changes) >= 2


def test_the_pins_follow_what_the_modules_were_asked(site: Site) -> None:
    with site.connect():
        before = len(site.changes)
        site.turn(0.005)
        assert len(site.changes) == before + 1


def test_who_goes_is_forgotten_and_who_comes_is_served(site: Site) -> None:
    for _ in range(3):
        site.connect().close()
        site.turn(0.01)
    with site.connect() as sock:
        assert heard(sock) == SIGNALS[0]
    full = [site.connect() for _ in range(CLIENTS)]
    with site.connect() as late:
        assert late.recv(10) == b""
    for sock in full:
        sock.close()


def test_a_path_that_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("precious")
    loop = Loop()
    with pytest.raises(PortError, match="it is no socket; choose another with --site"):
        ModulesServer(loop, str(path), Modules(), lambda now: None)
    assert path.read_text() == "precious"
    loop.close()
