"""Sockets of the simulated daemon: many clients, none of whom can disturb the others.

A client may vanish at any byte, send garbage, or stop reading: what it has not read is kept up to
a limit, then it is dropped. While much of it is unread, nothing more is read from it.
"""

from __future__ import annotations

import errno
import socket
from typing import TYPE_CHECKING

from controller.errors import PortError
from controller.loop import NEVER
from controller.pigpiod.daemon import Daemon, HangUp, SendBytes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from controller.loop import Loop
    from controller.signals import Output

CLIENTS = 250
UNREAD_PAUSE, UNREAD_LIMIT = 64 * 1024, 1024 * 1024
"""Unread bytes of a client: from the first on it is not heard, at the second it is dropped."""
KERNEL_BUFFER = 128 * 1024
"""Of what a client has not read the kernel keeps no more than this; the rest is counted here."""
CHUNK = 16 * 1024
ACCEPT_AGAIN_S = 0.5


class _Client:
    def __init__(self, number: int, sock: socket.socket) -> None:
        self.number = number
        self.sock = sock
        self.unsent = bytearray()
        self.watched = (False, False)
        """Whether the loop looks for what it sends, and for room to send to it."""


class Server:
    """A listening socket in a loop, and the daemon behind it. Raises PortError."""

    def __init__(self, loop: Loop, daemon: Daemon, address: str, port: int) -> None:
        self.loop = loop
        self.daemon = daemon
        self.deadline = NEVER
        self._clients: dict[int, _Client] = {}
        self._count = 0
        self._listener = _listen(address, port)
        self.port: int = self._listener.getsockname()[1]
        loop.watch(self._listener.fileno(), self._accept)
        loop.add(self)
        self._rearm()

    def fire(self, now: float) -> None:
        """Let the daemon do what is due."""
        self.carry_out(self.daemon.handle_timer(now), now)

    def circuit_changed(self, now: float) -> None:
        """Somebody changed the circuit by hand."""
        self.carry_out(self.daemon.circuit_changed(now), now)

    def carry_out(self, outputs: Iterable[Output], now: float) -> None:
        """Send and hang up."""
        touched: dict[int, _Client] = {}
        leaving: list[_Client] = []
        for output in outputs:
            if isinstance(output, SendBytes | HangUp) and output.client in self._clients:
                client = touched[output.client] = self._clients[output.client]
                if isinstance(output, SendBytes):
                    client.unsent += output.data
                else:
                    leaving.append(client)
        for client in touched.values():
            self._send(client, now)
        for client in leaving:
            self._drop(client, now)
        self._rearm()

    def close(self) -> None:
        """Close everything."""
        for client in self._clients.values():
            self.loop.watch(client.sock.fileno(), None)
            client.sock.close()
        self._clients.clear()
        self.loop.watch(self._listener.fileno(), None)
        self.loop.remove(self)
        self._listener.close()

    # --- inside ---------------------------------------------------------------------------------

    def _rearm(self) -> None:
        deadline = self.daemon.next_timer()
        self.deadline = NEVER if deadline is None else deadline

    def _accept(self, now: float) -> None:
        try:
            sock, _ = self._listener.accept()
        except OSError:  # gone again, or no descriptors left: then not at once again
            self.loop.watch(self._listener.fileno(), None)
            self.loop.call_at(now + ACCEPT_AGAIN_S, self._accept_again)
            return
        if len(self._clients) >= CLIENTS:
            sock.close()
            return
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, KERNEL_BUFFER)
        self._count += 1
        client = _Client(self._count, sock)
        self._clients[client.number] = client
        self.daemon.connect(client.number)
        self._watch(client)

    def _accept_again(self, now: float) -> None:
        if self._listener.fileno() >= 0:
            self.loop.watch(self._listener.fileno(), self._accept)

    def _watch(self, client: _Client) -> None:
        reads, writes = len(client.unsent) < UNREAD_PAUSE, bool(client.unsent)
        if client.watched != (reads, writes):
            client.watched = (reads, writes)
            self.loop.watch(
                client.sock.fileno(),
                (lambda now: self._receive(client, now)) if reads else None,
                (lambda now: self._send(client, now)) if writes else None,
            )

    def _receive(self, client: _Client, now: float) -> None:
        try:
            data = client.sock.recv(CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self.carry_out(self.daemon.receive_data(client.number, data, now), now)
        else:
            self._drop(client, now)

    def _send(self, client: _Client, now: float) -> None:
        try:
            del client.unsent[: client.sock.send(client.unsent)]
        except BlockingIOError:
            pass
        except OSError:
            self._drop(client, now)
            return
        if len(client.unsent) > UNREAD_LIMIT:
            self._drop(client, now)
        else:
            self._watch(client)

    def _drop(self, client: _Client, now: float) -> None:
        if self._clients.pop(client.number, None) is None:
            return
        self.loop.watch(client.sock.fileno(), None)
        client.sock.close()
        self.carry_out(self.daemon.disconnect(client.number, now), now)


def _listen(address: str, port: int) -> socket.socket:
    try:
        family, _, _, _, place = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError) as error:
        raise PortError(f"{address}: not an address of this machine ({error})") from error
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(place)
        listener.listen(100)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise PortError(
                f"port {port} of {address} is in use: by a pigpio daemon? "
                "Choose another with --port (0: any that is free)"
            ) from error
        raise PortError(f"cannot listen at {address} port {port}: {error.strerror}") from error
    listener.setblocking(False)
    return listener
