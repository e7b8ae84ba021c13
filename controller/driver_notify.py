"""The way to systemd: datagrams that never wait (see `service_notify`)."""

from __future__ import annotations

import os
import socket

from controller.service_notify import Notifications


class Notifier:
    """Sends what `Notifications` makes; a manager that is gone or busy misses it."""

    def __init__(self) -> None:
        """Read this process's environment. Raises ConfigError."""
        self.words = Notifications(os.environ, os.getpid())
        self.lost = 0
        """Datagrams that nobody took."""
        self._socket: socket.socket | None = None
        if self.words.address:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)

    def send(self, datagram: bytes) -> None:
        """Send one datagram, if it says anything and somebody wants to know."""
        if self._socket is None or not datagram:
            return
        try:
            self._socket.sendto(datagram, socket.MSG_DONTWAIT, self.words.address)
        except OSError:
            self.lost += 1

    def alive(self, now: float) -> None:
        """Give a sign of life when one is due."""
        self.send(self.words.alive(now))

    def close(self) -> None:
        """Release the socket."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
