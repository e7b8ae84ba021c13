"""What systemd is told: every datagram, both kinds of address, and nothing where nobody listens."""

from __future__ import annotations

import itertools
import os
import socket
from typing import TYPE_CHECKING

import pytest

from controller.driver_notify import Notifier
from controller.errors import ConfigError
from controller.service_notify import LONGEST_STATUS, Notifications

if TYPE_CHECKING:
    from pathlib import Path

ADDRESS = {"NOTIFY_SOCKET": "/run/systemd/notify"}


def words(**environment: str) -> Notifications:
    return Notifications(environment, 42)


def test_ready_status_stopping() -> None:
    told = words(**ADDRESS)
    assert told.ready("state A") == b"READY=1\nSTATUS=state A\n"
    assert told.status("a\nb\0  c\t") == b"STATUS=a b\0 c\n"
    assert told.stopping("bye") == b"STOPPING=1\nSTATUS=bye\n"
    assert len(told.status("x" * 5000)) == len("STATUS=\n") + LONGEST_STATUS


def test_signs_of_life_come_twice_within_the_managers_patience() -> None:
    told = words(**ADDRESS, WATCHDOG_USEC="1000000", WATCHDOG_PID="42")
    assert told.interval_s == 0.5
    times = [n * 0.005 for n in range(1000)]
    said = [now for now in times if told.alive(100.0 + now)]
    assert len(said) == 10
    assert max(b - a for a, b in itertools.pairwise(said)) <= 0.5 + 0.0051


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"WATCHDOG_USEC": "1000000"},  # nowhere to say it
        {**ADDRESS},
        {**ADDRESS, "WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "41"},  # another process's
    ],
)
def test_without_a_wish_there_are_none(environment: dict[str, str]) -> None:
    told = Notifications(environment, 42)
    assert told.alive(1.0) == told.alive(1000.0) == b""


@pytest.mark.parametrize("usec", ["-1", "0", "soon", "1e6", "9" * 30])
def test_a_patience_that_is_no_number_is_told(usec: str) -> None:
    with pytest.raises(ConfigError, match="WATCHDOG_USEC"):
        words(**ADDRESS, WATCHDOG_USEC=usec)


def test_an_address_that_is_none_is_told() -> None:
    with pytest.raises(ConfigError, match="NOTIFY_SOCKET"):
        words(NOTIFY_SOCKET="vsock:2:1234")


@pytest.mark.parametrize("abstract", [False, True])
def test_datagrams_arrive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, abstract: bool) -> None:
    name = f"@ccs-pilot-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
    monkeypatch.setenv("NOTIFY_SOCKET", name)
    monkeypatch.setenv("WATCHDOG_USEC", "200000")
    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind("\0" + name[1:] if abstract else name)
        manager.setblocking(False)
        notifier = Notifier()
        notifier.send(notifier.words.ready("here"))
        notifier.alive(5.0)
        notifier.alive(5.01)
        assert manager.recv(100) == b"READY=1\nSTATUS=here\n"
        assert manager.recv(100) == b"WATCHDOG=1\n"
        with pytest.raises(BlockingIOError):
            manager.recv(100)
    notifier.alive(6.0)
    assert notifier.lost == 1  # nobody there any more: no harm
    notifier.close()
    notifier.close()
    notifier.alive(7.0)


def test_a_manager_that_does_not_read_stops_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        notifier = Notifier()
        for _ in range(5000):
            notifier.send(notifier.words.status("x" * 150))
        assert notifier.lost > 0
        notifier.close()


def test_without_a_manager_nothing_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    notifier = Notifier()
    notifier.send(notifier.words.ready())
    notifier.alive(1.0)
    assert notifier.lost == 0
    notifier.close()
