"""The guard: a small process that makes the pilot safe when the realtime process has died.

Theory of operation. A killed process cannot clean up, and what it drove goes on by itself: the PWM
block keeps its 5 %, a GPIO keeps the contactors commanded. The external watchdog opens the contacts
within 20 ms, but the vehicle would see "ready to talk" until systemd has a new process up. So the
realtime process starts a guard, tells it once what has to be driven when it is gone (the hardware's
`LastWish`), and holds one end of a pipe. However it dies, the kernel closes that end: the guard
wakes, drives inactive outputs and steady +12 V (B1), and ends. It reads nothing, decides nothing,
and can only switch off. An orderly end releases it with a byte, as a watchdog device is released.

It waits with a connection of its own to the pigpio daemon, locked in memory and at the priority of
the process that it guards, so that only a few system calls lie between that death and +12 V. A
process that is stopped or hangs is not dead: systemd kills it after a second without a sign of
life, and `KillMode=mixed` in the unit lets the guard live. It does not wait long for a daemon that
is gone: the new realtime process makes everything safe, too, and must not be disturbed later.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

from controller.errors import ControllerError, PortError
from controller.loop import MonotonicClock, become_realtime, pause
from controller.pigpio_link import PigpioLink
from controller.port import LastWish

if TYPE_CHECKING:
    from collections.abc import Callable

RELEASE = b"V"
READY = b"r"
START_S = 5.0
"""A slow machine needs about a second to start an interpreter."""
END_S = 1.0
LONGEST_S = 0.3
"""Trying to reach a daemon that is gone ends before a new realtime process is up."""
STRIDE_S = 0.002


class Guard:
    """The guard of this process; none is started for hardware that wishes nothing."""

    def __init__(self, wish: LastWish, priority: int) -> None:
        """Start it, and wait until it is on guard; `problem` says if that failed."""
        self._problem = ""
        self._process: subprocess.Popen[bytes] | None = None
        if wish == LastWish():
            return
        command = [sys.executable, "-m", __name__, str(priority), json.dumps(asdict(wish))]
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                start_new_session=True,  # Ctrl-C is for the process that it guards
            )
        except OSError as error:
            self._problem = f"no guard of the outputs: {error.strerror}"
            return
        if not self._is_ready():
            self._process.kill()
            self.release()
            self._problem = "no guard of the outputs: it did not start"

    def _is_ready(self) -> bool:
        assert self._process is not None
        assert self._process.stdout is not None
        with self._process.stdout as answer:
            ready, _, _ = select.select([answer], [], [], START_S)
            return bool(ready) and os.read(answer.fileno(), 1) == READY

    @property
    def pid(self) -> int:
        """Its process; 0: there is none."""
        return 0 if self._process is None else self._process.pid

    def problem(self) -> str:
        """Say that it is not there, or nothing; costs one system call."""
        if self._process is None or self._problem:
            return self._problem
        with contextlib.suppress(ChildProcessError):
            if os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
                return ""
        self._problem = "the guard of the outputs has died; restart this service"
        return self._problem

    def release(self) -> None:
        """Let it go without doing anything: all is safe already."""
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        with contextlib.suppress(OSError):
            os.write(process.stdin.fileno(), RELEASE)
        process.stdin.close()
        try:
            process.wait(END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


# --- the process itself --------------------------------------------------------------------------


def carry_out(wish: LastWish, link: PigpioLink | None) -> None:
    """Drive what is wished, each part by itself: one that fails does not hold up the others."""
    for path, text in wish.files:
        with contextlib.suppress(OSError):
            descriptor = os.open(path, os.O_WRONLY)
            try:
                os.write(descriptor, text.encode("ascii"))
            finally:
                os.close(descriptor)
    if link is None:
        return
    clock = MonotonicClock()
    end = clock.now() + LONGEST_S
    while not _drive(wish, link) and clock.now() < end:
        link.step(clock.now())
        pause(STRIDE_S)


def _drive(wish: LastWish, link: PigpioLink) -> bool:
    """Have the daemon drive it; False: it is not there (what it refuses, it would refuse again)."""
    for gpio, level in wish.levels:
        _ask(link, lambda pi, gpio=gpio, level=level: pi.write(gpio, int(level)))
    for pulses in wish.pwm:
        _ask(link, lambda pi, pulses=pulses: pi.hardware_PWM(*pulses))
    return link.is_up


def _ask(link: PigpioLink, command: Callable[..., object]) -> None:
    with contextlib.suppress(PortError):
        link.ask(command)


def connect(address: str) -> PigpioLink:
    """Connect ahead of time; a daemon that is away is tried again when it is needed."""
    link, clock = PigpioLink(address), MonotonicClock()
    link.be_patient()
    end = clock.now() + END_S
    while not link.is_up and clock.now() < end:
        link.step(clock.now())
        pause(STRIDE_S)
    return link


def main(arguments: list[str]) -> int:
    """Wait for the end of the process that started this one, then do what it wished."""
    priority, wish = int(arguments[0]), wish_of(arguments[1])
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)
    link = connect(wish.pigpiod) if wish.pigpiod else None
    become_realtime(priority)  # what is refused, the other process has said
    with contextlib.suppress(OSError):
        os.write(1, READY)
    if os.read(0, 1) != RELEASE:
        carry_out(wish, link)
    return 0


def wish_of(text: str) -> LastWish:
    """Read what `Guard` wrote."""
    fields = json.loads(text)
    for name in ("levels", "pwm", "files"):
        fields[name] = tuple(tuple(part) for part in fields[name])
    return LastWish(**fields)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except ControllerError as problem:
        sys.exit(f"guard: {problem}")
