"""The machine's watchdog, against a file that takes what the device would take."""

from __future__ import annotations

import fcntl
import os
import struct
from typing import TYPE_CHECKING

import pytest

from controller import driver_watchdog
from controller.driver_watchdog import FEED_S, TIMEOUT_S, Watchdog
from controller.errors import PortError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file whose ioctl sets the time-out, as the kernel's softdog does."""
    path = tmp_path / "watchdog"
    path.write_bytes(b"")

    def ioctl(fd: int, request: int, seconds: bytearray) -> int:
        assert request == driver_watchdog.WDIOC_SETTIMEOUT
        assert struct.unpack("i", seconds) == (TIMEOUT_S,)
        return 0

    monkeypatch.setattr(fcntl, "ioctl", ioctl)
    return path


def test_it_is_fed_a_few_times_within_its_time(device: Path) -> None:
    watchdog = Watchdog(str(device), 100.0)
    for step in range(int(TIMEOUT_S / 0.005) + 1):
        watchdog.feed(100.0 + step * 0.005)
    watchdog.close()
    assert device.read_bytes() == b"\0" * (int(TIMEOUT_S / FEED_S) + 1) + b"V"


def test_it_is_disarmed_at_an_orderly_end_only(device: Path) -> None:
    watchdog = Watchdog(str(device), 0.0)
    watchdog.feed(0.0)
    assert device.read_bytes() == b"\0"
    watchdog.close()
    assert device.read_bytes() == b"\0V"


def test_what_is_missing_is_said() -> None:
    with pytest.raises(PortError, match="nowhere: the watchdog cannot be opened: No such file"):
        Watchdog("/dev/nowhere", 0.0)


def test_what_is_no_watchdog_is_said(tmp_path: Path) -> None:
    path = tmp_path / "plain"
    path.write_bytes(b"")
    with pytest.raises(PortError, match="no time-out of 10 s"):
        Watchdog(str(path), 0.0)


def test_a_device_that_vanishes_is_counted_not_raised(device: Path) -> None:
    watchdog = Watchdog(str(device), 0.0)
    os.close(watchdog._fd)
    watchdog.feed(0.0)
    assert watchdog.missed == 1
    watchdog.close()
