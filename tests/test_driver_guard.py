"""The guard: a process that makes safe what outlives the process that drove it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict
from typing import TYPE_CHECKING

import pytest

from controller.cp.driver_kernel_pwm import PERIOD_NS
from controller.driver_guard import Guard, carry_out, connect, wish_of
from controller.loop import pause
from controller.port import LastWish, wishes_of
from tests.fake_pigpiod import FakePigpiod, running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PATIENCE_S = 30.0
PRIORITY = 1


@pytest.fixture
def daemon() -> Iterator[FakePigpiod]:
    with running() as made:
        made.levels[23] = made.levels[22] = 1
        made.pwm[18] = (1000, 50_000)
        yield made


def wish(daemon: FakePigpiod) -> LastWish:
    return LastWish(
        f"127.0.0.1:{daemon.port}", ((23, False), (22, False)), ((18, 1000, 1_000_000),)
    )


def wait(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline
        pause(0.005)


def let_parent_die(guard: Guard) -> None:
    """What the kernel does then: it closes the pipe."""
    assert guard._process is not None
    assert guard._process.stdin is not None
    guard._process.stdin.close()
    guard._process.wait(PATIENCE_S)


def test_when_the_process_dies_outputs_go_off_and_the_pilot_is_steady(daemon: FakePigpiod) -> None:
    guard = Guard(wish(daemon), PRIORITY)
    assert guard.problem() == ""
    assert daemon.levels[23] == 1  # so far it only waits
    assert daemon.pwm[18] == (1000, 50_000)
    let_parent_die(guard)
    assert (daemon.levels[23], daemon.levels[22]) == (0, 0)
    assert daemon.pwm[18] == (1000, 1_000_000)


def test_an_orderly_end_lets_it_go_without_a_trace(daemon: FakePigpiod) -> None:
    guard = Guard(wish(daemon), PRIORITY)
    guard.release()
    guard.release()
    assert daemon.levels[23] == 1
    assert daemon.pwm[18] == (1000, 50_000)
    assert daemon.writes == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_who_ends_everything_does_not_end_it_first(daemon: FakePigpiod, number: int) -> None:
    guard = Guard(wish(daemon), PRIORITY)
    os.kill(guard.pid, number)
    pause(0.05)
    assert guard.problem() == ""
    let_parent_die(guard)
    assert daemon.pwm[18] == (1000, 1_000_000)


def test_a_daemon_that_was_restarted_meanwhile_is_reached_anew(daemon: FakePigpiod) -> None:
    guard = Guard(wish(daemon), PRIORITY)
    daemon.stop()
    daemon.start()
    daemon.pwm[18] = (1000, 50_000)
    let_parent_die(guard)
    assert daemon.pwm[18] == (1000, 1_000_000)


def test_a_daemon_that_is_gone_is_not_waited_for(daemon: FakePigpiod) -> None:
    guard = Guard(wish(daemon), PRIORITY)
    daemon.stop()
    let_parent_die(guard)  # ends within PATIENCE_S
    daemon.start()
    pause(0.1)
    assert daemon.pwm[18] == (1000, 50_000)


def test_what_the_daemon_refuses_does_not_hold_up_the_rest(daemon: FakePigpiod) -> None:
    refused = LastWish(
        f"127.0.0.1:{daemon.port}", ((23, False),), ((17, 1, 1), (18, 1000, 1_000_000))
    )
    link = connect(refused.pigpiod)
    carry_out(refused, link)
    link.close()
    assert daemon.levels[23] == 0
    assert daemon.pwm[18] == (1000, 1_000_000)


def test_the_kernels_files_are_written_and_missing_ones_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "duty_cycle"
    path.write_text("50000")
    files = ((str(tmp_path / "none"), "1"), (str(path), str(PERIOD_NS)))
    guard = Guard(LastWish(files=files), PRIORITY)
    let_parent_die(guard)
    assert path.read_text() == str(PERIOD_NS)


def test_one_that_dies_is_told(daemon: FakePigpiod) -> None:
    guard = Guard(wish(daemon), PRIORITY)
    os.kill(guard.pid, signal.SIGKILL)
    wait(lambda: guard.problem() != "")
    assert "has died" in guard.problem()
    guard.release()


def test_hardware_that_wishes_nothing_has_no_guard() -> None:
    guard = Guard(LastWish(), PRIORITY)
    assert guard.pid == 0
    assert guard.problem() == ""
    guard.release()


def test_one_that_cannot_start_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    guard = Guard(LastWish(files=(("a", "b"),)), PRIORITY)
    assert "no guard of the outputs" in guard.problem()
    guard.release()
    monkeypatch.setattr(sys, "executable", "/bin/true")
    guard = Guard(LastWish(files=(("a", "b"),)), PRIORITY)
    assert guard.problem() == "no guard of the outputs: it did not start"


def test_wishes_are_joined_and_survive_the_command_line() -> None:
    class Pins:
        def last_wish(self) -> LastWish:
            return LastWish("localhost:8888", ((4, False),))

    class Pilot:
        def last_wish(self) -> LastWish:
            return LastWish("localhost:8888", pwm=((18, 1000, 1_000_000),), files=(("x", "y"),))

    joined = wishes_of(Pins(), object(), Pilot())
    assert joined == LastWish(
        "localhost:8888", ((4, False),), ((18, 1000, 1_000_000),), (("x", "y"),)
    )
    text = json.dumps(asdict(joined))
    assert wish_of(text) == joined


def test_a_daemons_address_that_is_none_ends_it_with_a_line() -> None:
    text = '{"pigpiod": "nowhere", "levels": [], "pwm": [], "files": []}'
    done = subprocess.run(
        [sys.executable, "-m", "controller.driver_guard", "1", text],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("guard: [hardware] pigpiod")
