"""A realtime process killed on the simulated board: the pilot does not stay at 5 %."""

from __future__ import annotations

import signal
import subprocess
import threading
import time
from typing import TYPE_CHECKING

import pytest

from controller import ipc
from controller.loop import pause
from controller.signals import DutyRequest, Heartbeat, OutputRequest, Phase
from tests.pigpiod.served import WAIT_S
from tests.pigpiod.test_tool import running
from tests.scene_process import ROOT, command

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import IO

CHARGER = """\
[plc]
modem = "none"
[realtime]
socket = "{folder}/realtime.sock"
[hardware]
adc = "mcp3208"
adc_bus = "pigpio"
pigpiod = "127.0.0.1:{port}"
site = "{folder}/site.sock"
"""


class Lines:
    """What a process says, read as it comes."""

    def __init__(self, stream: IO[str]) -> None:
        self.lines: list[str] = []
        self._thread = threading.Thread(target=self._read, args=(stream,), daemon=True)
        self._thread.start()

    def _read(self, stream: IO[str]) -> None:
        for line in stream:
            self.lines.append(line.rstrip())

    def wait(self, words: str, start: int = 0) -> int:
        """Wait for a line with these words; returns how many lines there are up to it."""
        deadline = time.monotonic() + WAIT_S
        while time.monotonic() < deadline:
            for number, line in enumerate(self.lines[start:], start + 1):
                if words in line:
                    return number
            pause(0.005)
        raise AssertionError(f"{words!r} not in {self.lines[start:]}")

    def end(self) -> None:
        self._thread.join(WAIT_S)


class Board:
    """The simulated board, and the realtime process on it."""

    def __init__(self, folder: Path, process: subprocess.Popen[str], port: int) -> None:
        assert process.stdout is not None
        self.folder = folder
        self.process = process
        self.said = Lines(process.stdout)
        (folder / "charger.toml").write_text(CHARGER.format(folder=folder, port=port))
        self.realtime = subprocess.Popen(
            command("realtime", "--charger", str(folder / "charger.toml")),
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.realtime.stderr is not None
        self.journal = Lines(self.realtime.stderr)

    def do(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    def begin(self) -> ipc.Channel:
        """Be a communication process that wants 5 % for a vehicle."""
        self.journal.wait("pilot A1")
        channel = ipc.Channel(ipc.connect(str(self.folder / "realtime.sock")))
        self.do("plug")
        self.journal.wait("pilot B1")
        channel.send_signal(Heartbeat(1, Phase.CONNECTED, time.monotonic()))
        channel.send_signal(OutputRequest(Phase.CONNECTED))
        channel.send_signal(DutyRequest(0.05))
        self.said.wait("pilot 5.0%")
        return channel

    def wait_steady(self) -> None:
        """Wait until the pilot is at steady +12 V."""
        start = len(self.said.lines)
        deadline = time.monotonic() + WAIT_S
        while not any("duty 100.0%" in line for line in self.said.lines[start:]):
            assert time.monotonic() < deadline, self.said.lines
            self.do("status")
            pause(0.02)


@pytest.fixture
def board(tmp_path: Path) -> Iterator[Board]:
    with running("--scene", "charger", "--site", str(tmp_path / "site.sock")) as (process, port, _):
        made = Board(tmp_path, process, port)
        try:
            yield made
        finally:
            made.realtime.kill()
            made.realtime.wait(WAIT_S)
            made.journal.end()
            assert made.realtime.stderr is not None
            made.realtime.stderr.close()


@pytest.mark.timeout(120)
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGABRT, signal.SIGSEGV])
def test_a_realtime_process_that_dies_leaves_plus_12_volts(
    board: Board, number: signal.Signals
) -> None:
    channel = board.begin()
    board.realtime.send_signal(number)  # within half a second: after that it stops by itself
    board.realtime.wait(WAIT_S)
    assert board.realtime.returncode == -number
    board.wait_steady()
    channel.close()


@pytest.mark.timeout(120)
def test_one_that_ends_in_good_order_needs_no_guard(board: Board) -> None:
    channel = board.begin()
    board.realtime.send_signal(signal.SIGTERM)
    assert board.realtime.wait(WAIT_S) == 0
    board.wait_steady()
    channel.close()
