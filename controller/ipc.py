"""Typed messages over Unix sockets: what the processes say to each other.

One SEQPACKET socket between two processes: a packet is a whole message, there is no framing to get
wrong, and the end of the other process is a readable end of file. A packet is one tag byte and a
body. Only signals (`controller.signals`) cross between communication and realtime; the simulated
site uses four more tags (frames, records, and the two halves of a time step).

Garbage is counted and reported, never raised into a core: whoever gets it acts as on silence.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import stat
import struct
from typing import TYPE_CHECKING

from controller import signals_json
from controller.errors import PortError, WireError

if TYPE_CHECKING:
    from collections.abc import Callable

    from controller.signals import Output

SIGNAL, FRAME, RECORD, TICK, DONE = b"S", b"F", b"R", b"T", b"D"
LARGEST = 1 << 17
"""Longest packet in bytes; the largest real one is a record with an 8 KiB message."""
TIME = struct.Struct("<d")


class Channel:
    """One end of a socket between two processes.

    `send` never waits for the other process, however long that one hangs (a full socket drops the
    packet and counts it), unless `may_wait` is set - which only the simulated site does.
    """

    def __init__(
        self, sock: socket.socket, *, may_wait: bool = False, largest: int = LARGEST
    ) -> None:
        """`largest`: longest packet that is taken, in bytes; a longer one is garbage."""
        self.sock = sock
        self._largest = largest
        self._flags = 0 if may_wait else socket.MSG_DONTWAIT
        self.garbage = 0
        self.dropped = 0
        self.full = False
        """A packet was dropped because the other process does not read."""
        self.lost = False
        self.on: dict[bytes, Callable[[bytes, float], None]] = {}
        """Handlers by tag; a signal's handler is set with `on_signal`."""
        self.on_lost: Callable[[float], None] | None = None
        """Called once when the other process is gone; its descriptor stays readable until then."""

    @classmethod
    def from_fd(cls, fd: int, *, may_wait: bool = False) -> Channel:
        """Take over an inherited socket. Raises OSError when `fd` is none."""
        return cls(socket.socket(fileno=fd), may_wait=may_wait)

    def fileno(self) -> int:
        """File descriptor for the loop."""
        return self.sock.fileno()

    def on_signal(self, handler: Callable[[Output, float], object]) -> None:
        """Handle signals; undecodable ones are counted in `garbage` and dropped."""

        def handle(body: bytes, now: float) -> None:
            try:
                signal = signals_json.decode(body)
            except WireError:
                self.garbage += 1
                return
            handler(signal, now)

        self.on[SIGNAL] = handle

    def send(self, tag: bytes, body: bytes) -> bool:
        """Send one packet; False: dropped, the socket is full or the peer gone.

        A vanished peer is not raised here, but noticed at the next read.
        """
        try:
            self.sock.send(tag + body, self._flags)
        except OSError as error:
            self.dropped += 1
            self.full = self.full or isinstance(error, BlockingIOError)
            return False
        return True

    def send_signal(self, signal: Output) -> None:
        """Send one signal."""
        self.send(SIGNAL, signals_json.encode(signal))

    def receive(self, now: float, limit: int | None = None, *, wait: bool = False) -> int:
        """Read waiting packets, `limit` at most, and hand them to their handlers.

        `wait`: for each, until it comes. Returns how many were read, garbage included.
        """
        flags = 0 if wait else socket.MSG_DONTWAIT
        count = 0
        while not self.lost and count != limit:
            try:
                packet = self.sock.recv(self._largest + 1, flags)
            except BlockingIOError:
                break
            except OSError:
                packet = b""
            if not packet:
                self._gone(now)
                break
            count += 1
            handler = self.on.get(packet[:1])
            if handler is None or len(packet) > self._largest:
                self.garbage += 1
            else:
                handler(packet[1:], now)
        return count

    def _gone(self, now: float) -> None:
        self.lost = True
        if self.on_lost is not None:
            self.on_lost(now)

    def close(self) -> None:
        """Close this end."""
        with contextlib.suppress(OSError):
            self.sock.close()


def pair() -> tuple[socket.socket, socket.socket]:
    """Two connected sockets, one for each process; both survive exec when passed on."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def claim(path: str) -> int:
    """Make sure that no other process serves `path`; returns a descriptor to hold meanwhile.

    The kernel lets go of it when the process ends, however that happens. Raises PortError.
    """
    lock = -1
    try:
        lock = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o660)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if lock >= 0:
            os.close(lock)
        if isinstance(error, BlockingIOError):
            raise PortError(f"{path}: another process is serving it") from error
        raise _unserved(path, error) from error
    return lock


def listen(path: str) -> socket.socket:
    """Wait for the other process at a path of the file system (mode 0660). Raises PortError.

    A socket that a dead process left there is removed: `claim` the path first.
    """
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
    try:
        _clear(path)
        before = os.umask(0o117)
        try:
            sock.bind(path)
        finally:
            os.umask(before)
        sock.listen(2)
    except OSError as error:
        sock.close()
        raise _unserved(path, error) from error
    return sock


def _clear(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISSOCK(os.stat(path).st_mode):
            raise PortError(f"{path}: is there and no socket; remove it, or set realtime.socket")
        os.unlink(path)


def _unserved(path: str, error: OSError) -> PortError:
    if isinstance(error, PortError):
        return error
    return PortError(
        f"{path}: cannot listen there: {error.strerror} (realtime.socket; its folder must exist "
        "and belong to this user: as a service systemd makes it)"
    )


def connect(path: str) -> socket.socket:
    """Go to the process that listens there. Raises OSError at once when there is none."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
    try:
        sock.connect(path)
    except OSError:
        sock.close()
        raise
    return sock
