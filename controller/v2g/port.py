"""What the V2G cores need from the IP stack: discovery datagrams, a listener, a connection.

All of it is non-blocking: `receive` returns None when nothing waits, `send` never waits (what the
peer does not take yet is kept and sent by `flush`). A file descriptor is there for a selector.
"""

from typing import Protocol

from controller.signals import Address


class DatagramSocket(Protocol):
    """UDP over IPv6, for SDP: the charger's bound to port 15118, the vehicle's to any."""

    def fileno(self) -> int:
        """File descriptor that is readable when a datagram waits."""

    def send(self, data: bytes, to: Address | None) -> None:
        """Send one datagram; `to=None` is the SDP multicast group. Raises PortError."""

    def receive(self) -> tuple[bytes, Address] | None:
        """Next waiting datagram and its sender, or None. Raises PortError."""

    def close(self) -> None:
        """Release it; closing twice is allowed."""


class StreamConnection(Protocol):
    """One TCP connection."""

    peer: Address

    def fileno(self) -> int:
        """File descriptor: readable when bytes or the end wait."""

    def send(self, data: bytes) -> None:
        """Send or keep these bytes, in order. Raises PortError when the connection is gone."""

    def flush(self) -> bool:
        """Send what is kept, when writable; True when nothing is left. Raises PortError."""

    @property
    def wants_write(self) -> bool:
        """Return True while something is kept: then also wait for writability."""

    def receive(self) -> bytes | None:
        """Waiting bytes, b"" at the end of the stream, None when nothing waits.

        Raises PortError when the connection broke.
        """

    def close(self) -> None:
        """Send what is kept if possible, then close; closing twice is allowed."""


class Listener(Protocol):
    """The charger's TCP port."""

    port: int

    def fileno(self) -> int:
        """File descriptor that is readable when a vehicle connects."""

    def accept(self) -> StreamConnection | None:
        """Return the next connection, or None. Raises PortError."""

    def close(self) -> None:
        """Listen no more; closing twice is allowed."""


class Connecting(Protocol):
    """The vehicle's attempt to connect; at most one at a time."""

    def fileno(self) -> int:
        """File descriptor that is writable when the attempt is decided."""

    def finish(self) -> StreamConnection | None:
        """Return the connection, or None while undecided. Raises PortError when refused."""

    def close(self) -> None:
        """Give up; closing twice is allowed."""
