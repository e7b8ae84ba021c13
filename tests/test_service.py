"""The commands `realtime` and `communication`: arguments, refusals in one line, orderly ends."""

from __future__ import annotations

import ctypes
import gc
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from controller import loop, service
from controller import main as cli
from controller.config import CarConfig, ChargerConfig, parse
from controller.errors import ConfigError, PortError
from controller.realtime import EvseRealtime
from controller.realtime_pev import PevRealtime
from controller.site_link import free_udp_port
from tests.scene_process import ROOT, command

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def charger(text: str = "") -> ChargerConfig:
    return parse(ChargerConfig, text, "charger")


def no_hardware(*_: object) -> Any:  # noqa: ANN401
    raise PortError("no hardware here")


# --- words ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["realtime", "communication"])
@pytest.mark.parametrize("words", [[], ["--charger", "a", "--car", "b"]])
def test_one_side_must_be_named(
    name: str, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    more = ["--interface", "lo"] if name == "communication" else []
    with pytest.raises(SystemExit) as end:
        cli.main([name, *words, *more])
    assert end.value.code == cli.USAGE_ERROR
    assert "--charger" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["realtime", "--charger", "/none.toml"], "/none.toml: cannot be read"),
        (["communication", "--car", "/none.toml", "--interface", "lo"], "/none.toml: cannot be"),
    ],
)
def test_a_file_that_is_not_there(
    words: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(words) == cli.USAGE_ERROR
    assert line in capsys.readouterr().err


@pytest.mark.parametrize(
    ("interface", "line"),
    [
        ("eth77", "--interface eth77: there is none; this machine has "),
        ("loopback", "--interface loopback: there is no modem on it"),
    ],
)
def test_an_interface_that_will_not_do(
    tmp_path: Path, interface: str, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "charger.toml").write_text("")
    words = ["--charger", str(tmp_path / "charger.toml"), "--interface", interface]
    assert cli.main(["communication", *words, "--out", str(tmp_path)]) == cli.USAGE_ERROR
    assert line in capsys.readouterr().err


@pytest.mark.parametrize("side", ["charger", "car"])
def test_whoever_talks_needs_an_interface(
    tmp_path: Path, side: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file.toml").write_text("")
    words = [f"--{side}", str(tmp_path / "file.toml"), "--out", str(tmp_path)]
    assert cli.main(["communication", *words]) == cli.USAGE_ERROR
    assert "--interface is missing" in capsys.readouterr().err


def test_the_role_is_the_file_that_is_given() -> None:
    assert isinstance(service.core_of(charger()), EvseRealtime)
    assert isinstance(service.core_of(CarConfig()), PevRealtime)


@pytest.mark.parametrize("period_s", [0.0101, 0.02])
def test_the_external_watchdog_bounds_the_period(tmp_path: Path, period_s: float) -> None:
    text = f'[realtime]\nperiod_s = {period_s}\nsocket = "{tmp_path}/x"\n'
    with pytest.raises(ConfigError, match="too long for the external watchdog"):
        service.serve_realtime("evse", charger(text), no_hardware)
    car = parse(CarConfig, text, "car")
    with pytest.raises(ConfigError, match="too long for the external watchdog"):
        service.serve_realtime("pev", car, no_hardware)
    bench = text + '[charger]\ninterlock = "none"\n'
    with pytest.raises(PortError, match="no hardware here"):  # that far, at least
        service.serve_realtime("evse", charger(bench), no_hardware)


def test_missing_hardware_is_told_and_leaves_no_socket(tmp_path: Path) -> None:
    path = tmp_path / "realtime.sock"
    with pytest.raises(PortError, match="no hardware here"):
        service.serve_realtime("evse", charger(f'[realtime]\nsocket = "{path}"\n'), no_hardware)
    assert not path.exists()


# --- what is asked of the kernel -----------------------------------------------------------------


def test_a_cpu_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    here = os.sched_getaffinity(0)
    (line,) = loop.stay_on(1000)
    assert line.startswith("not on CPU 1000")
    assert os.sched_getaffinity(0) == here
    asked: list[Any] = []
    monkeypatch.setattr(os, "sched_setaffinity", lambda *args: asked.append(args))
    assert loop.stay_on(1) == []
    assert asked == [(0, {1})]


def test_priority_and_cpu_come_from_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(loop, "go_first", lambda priority: [f"priority {priority}"])

    def stay_on(cpu: int) -> list[str]:
        asked.append(cpu)
        return []

    monkeypatch.setattr(loop, "stay_on", stay_on)
    monkeypatch.setattr(gc, "disable", lambda: None)
    monkeypatch.setattr(gc, "freeze", lambda: None)
    monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: _Libc())
    assert loop.become_realtime(70, 2) == [
        "priority 70",
        "memory is not locked (raise LimitMEMLOCK)",
    ]
    loop.become_realtime(70)
    assert asked == [2]


class _Libc:
    def mlockall(self, flags: int) -> int:
        return -1


def test_a_refused_nice_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "setpriority", refuse)
    (line,) = loop.come_early(-10)
    assert "nice -10" in line


# --- the processes -------------------------------------------------------------------------------

FILE = """\
[plc]
modem = "none"
[realtime]
socket = "{folder}/realtime.sock"
"""


class Process:
    """One command, run as a user does."""

    def __init__(self, folder: Path, words: list[str], more: str = "") -> None:
        (folder / "charger.toml").write_text(FILE.format(folder=folder) + more)
        words = [*words, "--charger", str(folder / "charger.toml")]
        self.process = subprocess.Popen(
            words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self.lines: list[str] = []

    def until(self, words: str) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)
            if words in line:
                return
        raise AssertionError(f"{words!r} never came: {self.lines}")

    def end(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        out, _ = self.process.communicate(timeout=60)
        self.lines += out.splitlines(keepends=True)
        return self.process.returncode

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


@pytest.fixture
def start(tmp_path: Path) -> Any:  # noqa: ANN401
    running: list[Process] = []

    def begin(words: list[str], more: str = "") -> Process:
        running.append(Process(tmp_path, words, more))
        return running[-1]

    yield begin
    for process in running:
        process.close()


def test_an_ac_charger_needs_no_interface(
    tmp_path: Path, start: Callable[[list[str]], Process]
) -> None:
    words = ["communication", "--out", str(tmp_path / "traces")]
    process = start(command(*words), '[charger]\nmode = "ac"\n')  # type: ignore[call-arg]
    process.until("waiting for the realtime process")
    assert process.end(signal.SIGTERM) == 0


def communication(tmp_path: Path) -> list[str]:
    words = ["communication", "--interface", "loopback", "--out", str(tmp_path / "traces")]
    return command(*words, "--sdp-port", str(free_udp_port()))


def realtime(tmp_path: Path) -> list[str]:
    """With a plant that nobody moves: its readings grow old, and nothing is ever closed."""
    from tests.pair.plant import Plant

    plant = Plant(charger(), CarConfig(), tmp_path / "wires", time.monotonic())
    plant.close()
    return [sys.executable, "-m", "tests.pair.realtime", "--wires", str(tmp_path / "wires")]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_both_end_in_good_order(
    tmp_path: Path, start: Callable[[list[str]], Process], number: signal.Signals
) -> None:
    first = start(communication(tmp_path))
    first.until("waiting for the realtime process")
    second = start(realtime(tmp_path))
    second.until("the communication process is there")
    first.until("the realtime process is there")
    assert second.end(number) == 0
    assert "the realtime process is told to end" in "".join(second.lines)
    assert not (tmp_path / "realtime.sock").exists()
    first.until("the realtime process ended")
    assert first.end(number) == 0
    assert "Traceback" not in "".join(first.lines + second.lines)
    (trace,) = (tmp_path / "traces").iterdir()
    assert '"Noted","what":"the realtime process is told to end"' in trace.read_text()


def test_a_second_realtime_process_ends_with_a_line(
    tmp_path: Path, start: Callable[[list[str]], Process]
) -> None:
    first = start(realtime(tmp_path))
    deadline = time.monotonic() + 30.0
    while not (tmp_path / "realtime.sock").exists():
        assert time.monotonic() < deadline
        os.sched_yield()
    second = start(realtime(tmp_path))
    second.until("another process is serving it")
    second.process.wait(30.0)
    assert second.process.returncode != 0
    assert first.process.poll() is None
