"""What a service tells systemd (core): ready, alive, how it is, stopping (sd_notify(3)).

The environment says where to tell it and how often: `NOTIFY_SOCKET` (a path, or `@` for a name in
the abstract namespace), `WATCHDOG_USEC` (after this much silence the service is killed and started
anew) and `WATCHDOG_PID` (whose silence). Without a socket everything here is empty bytes: the
service runs the same from a shell.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from controller.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

LONGEST_STATUS = 200


class Notifications:
    """Makes the datagrams; `driver_notify` sends them."""

    def __init__(self, environment: Mapping[str, str], pid: int) -> None:
        """Read the service manager's wishes. Raises ConfigError when they make no sense."""
        self.address = address_of(environment.get("NOTIFY_SOCKET", ""))
        """Where datagrams go; empty: nobody listens."""
        self.interval_s = 0.0
        """Signs of life are due this often, twice within the manager's patience; 0: none wanted."""
        self._beat_at = 0.0
        usec = environment.get("WATCHDOG_USEC", "")
        if self.address and usec and environment.get("WATCHDOG_PID", str(pid)) == str(pid):
            if not usec.isdecimal() or not 0 < int(usec) < 1 << 63:
                raise ConfigError(f"WATCHDOG_USEC={usec}: not a number of microseconds")
            self.interval_s = int(usec) / 2e6

    def ready(self, status: str = "") -> bytes:
        """Everything is set up."""
        return b"READY=1\n" + self.status(status)

    def alive(self, now: float) -> bytes:
        """Return a sign of life when one is due, else nothing."""
        if self.interval_s == 0.0 or now < self._beat_at:
            return b""
        self._beat_at = now + self.interval_s
        return b"WATCHDOG=1\n"

    def status(self, text: str) -> bytes:
        """One line for `systemctl status`."""
        return f"STATUS={' '.join(text.split())[:LONGEST_STATUS]}\n".encode()

    def stopping(self, status: str = "") -> bytes:
        """The end has begun."""
        return b"STOPPING=1\n" + self.status(status)


def address_of(text: str) -> str:
    """Return the socket's address as the kernel wants it; empty for none. Raises ConfigError."""
    if text and text[0] not in "/@":
        raise ConfigError(f"NOTIFY_SOCKET={text}: neither a path from / nor an @name")
    return "\0" + text[1:] if text.startswith("@") else text
