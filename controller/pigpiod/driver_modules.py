"""The Unix socket on which a simulated site serves its DC modules and isolation monitor.

Whoever connects gets output, isolation and envelope every 5 ms, and may send `SetOutput` and
`StartIsolationTest`. A client that goes leaves the last set-point; a module that hears nothing for
10 s switches itself off.
"""

from __future__ import annotations

import contextlib
import errno
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from controller.errors import PortError
from controller.ipc import Channel
from controller.loop import LoopTimer

if TYPE_CHECKING:
    from collections.abc import Callable

    from controller.loop import Loop
    from controller.signals import Output

PERIOD_S = 0.005
CLIENTS = 8


class Modules(Protocol):
    """What is served."""

    def site_signals(self, now: float) -> list[Output]:
        """Output, isolation, envelope."""

    def carry_out(self, command: Output, now: float) -> None:
        """Take a command."""


class ModulesServer:
    """A listening socket in a loop. Raises PortError."""

    def __init__(
        self, loop: Loop, path: str, modules: Modules, changed: Callable[[float], object]
    ) -> None:
        self._loop = loop
        self._modules = modules
        self._changed = changed
        self._path = Path(path)
        self._channels: list[Channel] = []
        self._listener = _listen(self._path)
        self._timer = LoopTimer(PERIOD_S, self._send, loop.now())
        loop.watch(self._listener.fileno(), self._accept)

    def close(self) -> None:
        """Close everything, and take the socket away."""
        for channel in list(self._channels):
            self._drop(channel)
        self._loop.watch(self._listener.fileno(), None)
        self._listener.close()
        with contextlib.suppress(OSError):
            self._path.unlink()

    def _accept(self, now: float) -> None:
        try:
            sock, _ = self._listener.accept()
        except OSError:
            return
        if len(self._channels) >= CLIENTS:
            sock.close()
            return
        channel = Channel(sock)
        channel.on_signal(self._take)
        channel.on_lost = lambda at: self._drop(channel)
        if not self._channels:
            self._timer = LoopTimer(PERIOD_S, self._send, now)
            self._loop.add(self._timer)
        self._channels.append(channel)
        self._loop.watch(channel.fileno(), channel.receive)

    def _take(self, command: Output, now: float) -> None:
        self._modules.carry_out(command, now)
        self._changed(now)

    def _send(self, now: float) -> None:
        signals = self._modules.site_signals(now)
        self._changed(now)  # contacts may have moved as they were looked at
        for channel in list(self._channels):
            for signal in signals:
                channel.send_signal(signal)

    def _drop(self, channel: Channel) -> None:
        if channel not in self._channels:
            return
        self._channels.remove(channel)
        if not self._channels:
            self._loop.remove(self._timer)
        self._loop.watch(channel.fileno(), None)
        channel.close()


def _listen(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        if path.is_socket() and not _is_served(path):
            path.unlink()  # left behind by one that was killed
        path.parent.mkdir(parents=True, exist_ok=True)
        listener.bind(str(path))
        path.chmod(0o660)
        listener.listen(CLIENTS)
    except OSError as error:
        listener.close()
        taken = error.errno == errno.EADDRINUSE
        reason = "somebody serves it, or it is no socket" if taken else error.strerror or error
        raise PortError(
            f"{path}: the socket of the power modules cannot be made: {reason}; "
            "choose another with --site"
        ) from error
    listener.setblocking(False)
    return listener


def _is_served(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as probe:
        probe.setblocking(False)
        try:
            probe.connect(str(path))
        except BlockingIOError:
            return True
        except OSError:
            return False
        return True
