"""The simulated pigpio daemon: what a command takes, and what a watched pilot costs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pigpio

from controller.loop import pause
from tests.perf.figures import Figure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

COMMANDS = 4000
WATCH_S = 3.0


@contextmanager
def daemon(*arguments: str) -> Iterator[tuple[int, int]]:
    """The command in a process of its own: its process id and port."""
    command = [sys.executable, "-m", "controller.main", "pigpiod-sim", "--port", "0", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL) as process:
        try:
            assert process.stdout is not None
            found = re.search(rb"port (\d+)", process.stdout.readline())
            assert found is not None
            yield process.pid, int(found[1])
        finally:
            process.terminate()


def cpu_s(pid: int) -> float:
    """Processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def bench(
    progress: Callable[[str], None], commands: int = COMMANDS, watch_s: float = WATCH_S
) -> list[Figure]:
    """Commands by the unmodified client; edges of a looped-back pilot of 1 kHz."""
    with daemon("--wire", "18:17") as (pid, port):
        pi = pigpio.pi("127.0.0.1", port)
        thread = pi._notify
        try:
            progress(f"{commands} commands")
            used = cpu_s(pid)
            begin = time.perf_counter()
            for _ in range(commands):
                pi.read(17)
            round_trip_us = (time.perf_counter() - begin) / commands * 1e6
            command_us = (cpu_s(pid) - used) / commands * 1e6
            progress("a pilot that is watched")
            tally = pi.callback(17, pigpio.EITHER_EDGE)
            pi.hardware_PWM(18, 1000, 50_000)
            used = cpu_s(pid)
            pause(watch_s)
            share = (cpu_s(pid) - used) / watch_s
            edges = tally.tally() / watch_s
        finally:
            pi.stop()
            thread.join(10.0)
    return [
        Figure(
            "command of the simulated pigpiod, round trip", round_trip_us, "us", 200.0,
            note=f"{command_us:.0f} us of the daemon's CPU",
        ),
        Figure(
            "its CPU while a 1 kHz pilot is watched", share * 100, "%", 15.0,
            note=f"{edges:.0f} edges a second",
        ),
    ]  # fmt: skip
