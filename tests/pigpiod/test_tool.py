"""`ccs-pilot pigpiod-sim` as a process: where it listens, how it ends, what it says."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from controller.main import main
from tests.pigpiod.served import WAIT_S, client, served

if TYPE_CHECKING:
    from collections.abc import Iterator

COMMAND = [sys.executable, "-m", "controller.main", "pigpiod-sim"]


@contextmanager
def running(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], int, str]]:
    """The command at a free port: process, port, its first line."""
    process = subprocess.Popen(
        [*COMMAND, "--port", "0", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.search(r"port (\d+)", line)
        assert found, (line, process.stderr and process.stderr.read())
        yield process, int(found[1]), line
    finally:
        process.kill()
        process.communicate(timeout=WAIT_S)


def test_it_serves_wires_and_says_where() -> None:
    with running("--wire", "18:17", "--wire", "17:22", "--revision", "c03111") as (_, port, line):
        assert line == f"simulated pigpiod: listens at 127.0.0.1 port {port}\n"
        with client(port) as pi:
            assert pi.get_hardware_revision() == 0xC03111
            pi.write(18, 1)
            assert pi.read(17) == pi.read(22) == 1


def test_the_tick_begins_where_it_is_told() -> None:
    with running("--tick", "4294000000") as (_, port, _), client(port) as pi:
        tick = pi.get_current_tick()
    assert tick >= 4_294_000_000 or tick < 60_000_000


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
def test_it_ends_at_once_with_clients_connected(number: int, code: int) -> None:
    with running() as (process, port, _), client(port) as pi:
        assert pi.get_pigpio_version() == 79
        process.send_signal(number)
        assert process.wait(WAIT_S) == code
        assert process.stderr is not None
        assert process.stderr.read() == ""


def test_a_port_in_use_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with served() as server:
        assert main(["pigpiod-sim", "--port", str(server.port)]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"ccs-pilot: port {server.port} of 127.0.0.1 is in use")
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["--port", "65536"],
        ["--port", "-1"],
        ["--wire", "18"],
        ["--wire", "18:18"],
        ["--wire", "18:32"],
        ["--wire", "a:b"],
        ["--revision", "xyz"],
        ["--revision", "0"],
        ["--tick", "4294967296"],
    ],
)
def test_wrong_arguments_say_what_is_allowed(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["pigpiod-sim", *arguments])
    assert ended.value.code == 2
    assert "not allowed" in capsys.readouterr().err


def test_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["pigpiod-sim", "--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert "PiGPIOFactory" in text
    assert "pigpio.pi(" in text
