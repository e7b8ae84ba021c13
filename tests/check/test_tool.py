"""`ccs-pilot check` as a whole: lines, JSON, exit codes, checks that hang, Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from controller import check_tool
from controller.check import driver_machine, driver_network
from controller.check.driver_machine import Tree
from controller.check.findings import Finding, Status, fail, ok, warn
from controller.check_tool import Check, Context, Worker, run_all
from controller.config import CarConfig, ChargerConfig
from controller.errors import PortError
from controller.main import main

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
CONTEXT = Context(ChargerConfig(), None, Tree())
NAMES = {
    "config",
    "python",
    "board",
    "clock",
    "time of day",
    "scheduler",
    "memory lock",
    "kernel",
    "cpu",
    "disk",
    "power supply",
    "temperature",
    "network",
    "modem",
    "can",
    "i2c",
    "spi",
}


@pytest.fixture(autouse=True)
def no_modem(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is asked on the networks of the machine that runs the tests."""
    monkeypatch.setattr(driver_network, "ask_modem", lambda name: ([], f"{name} is not asked"))


def run(*words: str) -> int:
    return main(["check", *words])


def told(text: str) -> dict[str, list[str]]:
    """Status of each line by its name."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        if line[:4].strip() in ("OK", "WARN", "FAIL"):
            found.setdefault(line[6:21].strip(), []).append(line[:4].strip())
    return found


# --- lines, JSON, exit codes ---------------------------------------------------------------------


def test_this_machine(capsys: pytest.CaptureFixture[str]) -> None:
    code = run()
    text = capsys.readouterr().out
    found = told(text)
    assert set(found) >= NAMES
    for line in text.splitlines():
        if line.startswith(("WARN", "FAIL")):
            assert " -> " in line
    any_fail = any("FAIL" in statuses for statuses in found.values())
    assert code == (1 if any_fail else 0)
    assert text.splitlines()[-1].startswith("NOT ready" if any_fail else "ready")


def test_json_says_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    code = run("--json")
    result: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert result["checked"] == "charger"
    assert result["ready"] is (code == 0)
    assert {check["name"] for check in result["checks"]} >= NAMES
    assert sum(result["counts"].values()) == len(result["checks"])
    assert all(set(check) == {"name", "status", "found", "todo"} for check in result["checks"])


def test_a_car(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "car.toml"
    file.write_text('[plc]\nmodem = "none"\n')
    run("--car", str(file), "--json")
    result = json.loads(capsys.readouterr().out)
    assert result["checked"] == "car"
    found = {check["name"]: check for check in result["checks"]}
    assert found["modem"]["found"] == "none: plain Ethernet ([plc] modem)"
    assert str(file) in found["config"]["found"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[charger]\nmaximum_current_a = 9000\n", "charger.maximum_current_a = 9000"),
        ("nonsense", "not valid TOML"),
        ('[hardware]\nboard = "/nowhere.toml"\n', "cannot be read"),
        (None, "cannot be read"),
    ],
)
@pytest.mark.parametrize("hardware", [False, True])
def test_a_file_that_is_wrong_is_a_line_and_the_rest_goes_on(
    text: str | None,
    words: str,
    hardware: bool,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "charger.toml"
    if text is not None:
        file.write_text(text)
    assert run("--charger", str(file), *(["--hardware"] if hardware else [])) == 1
    out = capsys.readouterr().out
    found = told(out)
    assert found["config"] == ["FAIL"]
    assert words in out
    assert set(found) >= NAMES
    assert found.get("hardware") == (["WARN"] if hardware else None)


@pytest.mark.parametrize("words", [["--charger", "a", "--car", "b"], ["--nonsense"], ["x"]])
def test_wrong_use(words: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        run(*words)
    assert caught.value.code == 2


def test_a_named_interface_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--interface", "nope0") == 1
    assert "FAIL  network          no interface nope0" in capsys.readouterr().out


def test_a_watchdog_that_is_wanted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "charger.toml"
    file.write_text('[realtime]\nwatchdog = "/dev/nowhere"\n')
    assert run("--charger", str(file)) == 1
    assert "no /dev/nowhere" in capsys.readouterr().out
    file.write_text('[realtime]\nwatchdog = "/dev/null"\n')
    run("--charger", str(file))
    assert "OK    watchdog         /dev/null is there" in capsys.readouterr().out


def test_the_hardware_of_a_running_service_is_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driver_machine, "is_listening", lambda *_: True)
    assert run("--hardware") == 1
    out = capsys.readouterr().out
    assert "the realtime process has it" in out
    assert "systemctl stop ccs-realtime" in out


def test_hardware_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "charger.toml"
    file.write_text('[hardware]\npigpiod = "127.0.0.1:1"\n')
    assert run("--charger", str(file), "--hardware") == 1
    out = capsys.readouterr().out
    assert "FAIL  hardware         pigpio daemon at 127.0.0.1:1: cannot be reached" in out
    assert "systemctl start pigpiod" in out


# --- checks that misbehave -----------------------------------------------------------------------


def test_a_check_that_hangs_costs_one_line() -> None:
    forever = threading.Event()

    def hang(_: Context) -> Iterator[Finding]:
        yield ok("first", "quick")
        forever.wait(60)
        yield ok("never", "told")

    checks = (
        Check("hanging", 0.2, hang),
        Check("next", 5.0, lambda _: iter([warn("next", "goes on", "x")])),
    )
    found = list(run_all(checks, CONTEXT))
    assert [(f.name, f.status) for f in found] == [
        ("first", Status.OK),
        ("hanging", Status.FAIL),
        ("next", Status.WARN),
    ]
    assert "no answer within 0.2 s" in found[1].found
    forever.set()


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (PortError("no such part"), "no such part"),
        (PermissionError(13, "Permission denied"), "Permission denied"),
        (ZeroDivisionError("by zero"), "ZeroDivisionError: by zero"),
    ],
)
def test_a_check_that_raises_costs_one_line(error: Exception, words: str) -> None:
    def broken(_: Context) -> Iterator[Finding]:
        yield ok("first", "quick")
        raise error

    found = list(run_all((Check("broken", 5.0, broken),), CONTEXT))
    assert [f.status for f in found] == [Status.OK, Status.FAIL]
    assert words in found[1].found


def test_the_steps_are_closed_when_nobody_waits_any_more() -> None:
    closed = threading.Event()

    def steps(_: Context) -> Iterator[Finding]:
        try:
            for n in range(1000):
                yield fail(f"step {n}", "x", "y")
        finally:
            closed.set()

    worker = Worker(Check("steps", 5.0, steps), CONTEXT)
    next(worker.findings())
    worker.leave()
    assert closed.is_set()


@pytest.mark.parametrize("moment", ["clock", "scheduler"])
def test_ctrl_c(moment: str) -> None:
    """While a check hangs: the rest is not waited for, and the exit code says so."""
    script = f"""
import sys, threading
from controller import check_tool
def hang(_):
    threading.Event().wait(60)
    yield
rows = [c if c.name != {moment!r} else c._replace(run=hang, limit_s=60) for c in check_tool.CHECKS]
check_tool.CHECKS = tuple(rows)
check_tool.LAST_WORDS_S = 0.2
from controller.main import main
sys.exit(main(["check"]))
"""
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        text=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if line[6:].startswith("board"):
            break
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    assert process.stderr is not None
    assert "Traceback" not in process.stderr.read()
    process.stdout.close()
    process.stderr.close()


# --- what the files ask for ----------------------------------------------------------------------


def test_packages_that_the_hardware_needs() -> None:
    from dataclasses import replace

    from controller.config import CarHardwareSection, HardwareSection

    charger = ChargerConfig(hardware=HardwareSection(gpio="lgpio", adc="mcp3208"))
    car = CarConfig(hardware=CarHardwareSection(edges="gpiochip"))
    for config, names in ((charger, ("lgpio", "spidev")), (car, ("gpiod",))):
        context = Context(config, None, Tree(), hardware=True)
        text = next(check_tool._python(context)).line()
        assert all(name in text for name in names)
        text = next(check_tool._python(replace(context, hardware=False))).line()
        assert not any(name in text for name in names)
