"""DC modules and isolation monitor of a simulated site, over a Unix socket; or none at all.

After the connection the site sends what the output carries, the monitor's reading and what the
modules can deliver, every 5 ms; it takes `SetOutput` and `StartIsolationTest`. A socket that is
gone means that nothing is known: readings are invalid and the envelope is zero, so the interlock
grants nothing. The set-point is not sent again by itself after a reconnection; the power stage
sends it cyclically.
"""

from __future__ import annotations

import contextlib
import socket
from math import inf

from controller.ipc import Channel
from controller.power.limits import NO_ENVELOPE
from controller.signals import IsolationReading, Output, OutputReading, PowerEnvelope

RETRY_S = 0.5
NO_ISOLATION = IsolationReading(0.0, self_test_ok=False, taken_at=0.0, valid=False)


class NoModules:
    """No modules and no monitor: nothing is valid, nothing can be delivered (AC needs neither)."""

    envelope = NO_ENVELOPE
    isolation = NO_ISOLATION
    output = OutputReading(0.0, 0.0, 0.0, valid=False)

    def step(self, now: float) -> None:
        """Nothing to do."""

    def send(self, command: Output) -> None:
        """Nobody to tell."""

    def problem(self) -> str:
        """Return nothing: none is what was asked for."""
        return ""

    def close(self) -> None:
        """Nothing to give back."""


class SiteLink:
    """The site's modules and monitor."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._channel: Channel | None = None
        self._retry_at = -inf
        self._reason = "not connected yet"
        self._forget()

    def _forget(self) -> None:
        self.output = NoModules.output
        self.isolation = NO_ISOLATION
        self.envelope: PowerEnvelope = NO_ENVELOPE

    def step(self, now: float) -> None:
        """Take what has come; connect again when it is time."""
        if self._channel is None and now >= self._retry_at:
            self._retry_at = now + RETRY_S
            self._connect()
        if self._channel is None:
            return
        self._channel.receive(now)
        if self._channel.lost:
            self.close()
            self._reason = "gone"

    def send(self, command: Output) -> None:
        """Tell the site, without waiting for it."""
        if self._channel is not None:
            self._channel.send_signal(command)

    def problem(self) -> str:
        """Say what is wrong, or nothing."""
        if self._channel is not None:
            return ""
        return f"power modules: the simulated site at {self._path} is not there ({self._reason})"

    def close(self) -> None:
        """End the connection; nothing is known any more."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None
        self._forget()

    def _connect(self) -> None:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        sock.setblocking(False)
        try:
            sock.connect(self._path)
        except OSError as error:
            self._reason = error.strerror or str(error)
            with contextlib.suppress(OSError):
                sock.close()
            return
        self._channel = Channel(sock)
        self._channel.on_signal(self._take)

    def _take(self, item: Output, now: float) -> None:
        if isinstance(item, OutputReading):
            self.output = item
        elif isinstance(item, IsolationReading):
            self.isolation = item
        elif isinstance(item, PowerEnvelope):
            self.envelope = item
