"""`ccs-pilot pigpiod-sim` as a process: where it listens, how it ends, what it says."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from controller import pigpiod_tool
from controller.main import main
from tests.pigpiod.served import WAIT_S, client, served

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import IO

COMMAND = [sys.executable, "-m", "controller.main", "pigpiod-sim"]


@contextmanager
def running(
    *arguments: str, stdin: IO[str] | int = subprocess.PIPE
) -> Iterator[tuple[subprocess.Popen[str], int, str]]:
    """The command at a free port: process, port, its first line."""
    process = subprocess.Popen(
        [*COMMAND, "--port", "0", *arguments],
        stdin=stdin,
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
        if process.stdin is not None and process.stdin.closed:
            process.stdin = None
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


def test_it_may_be_ended_before_it_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGTERM a moment after the start, as from a supervisor that changed its mind."""
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(pigpiod_tool, "freeze_garbage", lambda: signal.raise_signal(signal.SIGTERM))
    assert main(["pigpiod-sim", "--port", "0"]) == 0
    assert signal.getsignal(signal.SIGTERM) is before


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


def test_a_wrong_command_at_the_start_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--scene", "charger", "--port", "0", "--site", str(tmp_path / "s")]
    assert main(["pigpiod-sim", *words, "--do", "plug; plugg; s2 on"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("ccs-pilot: --do: plugg: unknown; there are ")
    assert error.count("\n") == 1


def test_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["pigpiod-sim", "--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert "PiGPIOFactory" in text
    assert "pigpio.pi(" in text


# --- scenes --------------------------------------------------------------------------------------


def test_a_charger_is_played_by_words_on_standard_input(tmp_path: Path) -> None:
    site = tmp_path / "run" / "site.sock"
    with running("--scene", "charger", "--site", str(site), "--do", "plug; car 0.1") as (
        process,
        port,
        _,
    ):
        assert process.stdin is not None
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(4)]
        assert lines[0] == f"power modules and isolation monitor: {site}\n"
        assert lines[1] == "charger: commands on standard input; help lists them\n"
        assert lines[2].endswith(" s  plugged in\n")
        with client(port) as pi:
            pi.hardware_PWM(18, 1000, 50_000)
            assert "pilot 5.0%" in process.stdout.readline()
            assert "s2 closed" in process.stdout.readline()
            process.stdin.write("emergency on\nfly\n")
            process.stdin.flush()
            assert "emergency stop on" in process.stdout.readline()
            assert "fly: unknown" in process.stdout.readline()
            assert pi.read(5) == 1
            process.stdin.close()  # nobody types any more: it goes on
            assert pi.read(5) == 1
        process.send_signal(signal.SIGTERM)
        assert process.wait(WAIT_S) == 0
    assert not site.exists()


def test_a_vehicle_is_played_by_a_file_of_words(tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("plug\nduty 5%\n")
    with script.open() as words, running("--scene", "vehicle", stdin=words) as (process, port, _):
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(3)]
        assert lines[0].startswith("vehicle: commands")
        assert lines[1].endswith("plugged in\n")
        assert lines[2].endswith("duty 5 %\n")
        with client(port) as pi:
            edges = pi.callback(17)
            deadline = time.monotonic() + WAIT_S
            while edges.tally() < 100:
                assert time.monotonic() < deadline


def test_two_sites_cannot_serve_one_socket_and_a_dead_ones_is_taken_over(tmp_path: Path) -> None:
    site = str(tmp_path / "site.sock")
    arguments = ["--scene", "charger", "--site", site]
    with running(*arguments) as (process, _, _):
        second = subprocess.run(
            [*COMMAND, "--port", "0", *arguments], capture_output=True, text=True, timeout=WAIT_S
        )
        assert second.returncode == 2
        assert second.stderr.startswith(f"ccs-pilot: {site}: the socket of the power modules")
        process.kill()
        process.wait(WAIT_S)
    with running(*arguments) as (process, _, _):
        assert process.poll() is None


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--scene", "charger", "--wire", "18:17"], "--wire is for the scene plain"),
        (["--site", "x"], "--site is for the scenes charger and vehicle"),
        (["--scene", "vehicle", "--site", "/dev/null/x"], "the socket of the power modules"),
        (["--do", "plug"], "--do is for the scenes charger and vehicle"),
        (["--scene", "charger", "--board", "/no/such"], "/no/such"),
        (["--scene", "charger", "--charger", "/no/such"], "/no/such"),
        (["--scene", "charger", "--site", "/dev/null/x"], "the socket of the power modules"),
    ],
)
def test_scenes_say_what_does_not_belong_to_them(
    arguments: list[str], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["pigpiod-sim", "--port", "0", *arguments]) == 2
    error = capsys.readouterr().err
    assert text in error
    assert error.count("\n") == 1
