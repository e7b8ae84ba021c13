"""The simulated site's modules over a Unix socket: what comes, what goes, what is gone."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from controller.ipc import Channel
from controller.power.driver_site import RETRY_S, NoModules, SiteLink
from controller.power.limits import NO_ENVELOPE
from controller.signals import (
    IsolationReading,
    Output,
    OutputReading,
    PowerEnvelope,
    SetOutput,
    StartIsolationTest,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ENVELOPE = PowerEnvelope(150.0, 500.0, 0.0, 125.0, 50_000.0)


class Site:
    """The other end."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.listener.bind(str(path))
        self.listener.listen(1)
        self.channel: Channel | None = None
        self.heard: list[Output] = []

    def accept(self) -> Channel:
        self.channel = Channel(self.listener.accept()[0])
        self.channel.on_signal(lambda item, _: self.heard.append(item))
        return self.channel

    def say(self, now: float, voltage_v: float = 400.0) -> None:
        assert self.channel is not None
        self.channel.send_signal(OutputReading(voltage_v, 10.0, now))
        self.channel.send_signal(IsolationReading(1e6, self_test_ok=True, taken_at=now))
        self.channel.send_signal(ENVELOPE)

    def close(self) -> None:
        self.listener.close()
        if self.channel is not None:
            self.channel.close()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path / "site.sock")
    yield made
    made.close()


def test_readings_come_and_commands_go(site: Site) -> None:
    link = SiteLink(str(site.path))
    link.step(1.0)
    assert link.problem() == ""
    assert not link.output.valid
    site.accept()
    site.say(1.0)
    site.say(1.005, 401.0)
    link.step(1.005)
    assert link.output == OutputReading(401.0, 10.0, 1.005)
    assert link.isolation.valid
    assert link.envelope == ENVELOPE
    commands = [SetOutput(400.0, 5.0, on=True), StartIsolationTest()]
    for command in commands:
        link.send(command)
    assert site.channel is not None
    site.channel.receive(1.006)
    assert site.heard == commands
    link.close()


def test_a_site_that_is_gone_leaves_nothing_valid_and_is_found_again(site: Site) -> None:
    link = SiteLink(str(site.path))
    link.step(1.0)
    site.accept()
    site.say(1.0)
    link.step(1.005)
    assert link.output.valid
    assert site.channel is not None
    site.channel.close()
    link.step(1.01)
    assert not link.output.valid
    assert not link.isolation.valid
    assert link.envelope == NO_ENVELOPE
    assert "site.sock is not there (gone)" in link.problem()
    link.send(SetOutput(400.0, 5.0, on=True))  # nobody there: nothing happens
    link.step(1.0 + RETRY_S)
    assert link.problem() == ""
    site.accept()
    site.say(2.0)
    link.step(2.0)
    assert link.output.valid
    link.close()
    link.close()


def test_no_site_is_told_and_tried_twice_a_second(tmp_path: Path) -> None:
    link = SiteLink(str(tmp_path / "none"))
    attempts = []
    connect = link._connect
    link._connect = lambda: attempts.append(1) or connect()  # type: ignore[method-assign, func-returns-value]
    for turn in range(400):
        link.step(1.0 + turn * 0.005)
    assert len(attempts) == 4
    assert "No such file" in link.problem()


def test_a_site_that_says_nothing_new_is_as_old_as_its_last_word(site: Site) -> None:
    link = SiteLink(str(site.path))
    link.step(1.0)
    site.accept()
    site.say(1.0)
    for turn in range(300):
        link.step(1.005 + turn * 0.005)
    assert link.output.taken_at == 1.0
    link.close()


def test_garbage_changes_nothing(site: Site) -> None:
    link = SiteLink(str(site.path))
    link.step(1.0)
    channel = site.accept()
    site.say(1.0)
    channel.send(b"S", b"{not json")
    channel.send(b"X", b"?")
    channel.send_signal(SetOutput(1.0, 1.0, on=True))  # not for us
    link.step(1.005)
    assert link.output == OutputReading(400.0, 10.0, 1.0)
    link.close()


def test_no_modules_are_no_problem_and_no_power() -> None:
    none = NoModules()
    none.step(1.0)
    none.send(SetOutput(400.0, 5.0, on=True))
    assert none.problem() == ""
    assert not none.output.valid
    assert not none.isolation.valid
    assert none.envelope == NO_ENVELOPE
    none.close()
