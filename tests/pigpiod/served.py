"""A daemon in a thread of the test, for clients that know nothing of it."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING, Any

import pigpio

from controller.loop import Loop
from controller.pigpiod.daemon import Daemon
from controller.pigpiod.driver_server import Server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Pi = Any
"""A connected `pigpio.pi`, or something of gpiozero: they have no types."""
WAIT_S = 60.0
"""How long a test waits for what must come; a loaded machine may need a while."""


class Served:
    """A running server; `port` is where."""

    def __init__(self, daemon: Daemon, port: int = 0) -> None:
        self.daemon = daemon
        self.loop = Loop()
        self.server = Server(self.loop, daemon, "127.0.0.1", port)
        self.port = self.server.port
        self._bell, self._button = socket.socketpair()
        self.loop.watch(self._bell.fileno(), self._rung)
        self._asked: list[Callable[[float], None]] = []
        self._thread = threading.Thread(target=self.loop.run, daemon=True)
        self._thread.start()

    def call(self, what: Callable[[float], None]) -> None:
        """Run something in the server's thread, and wait for it."""
        done = threading.Event()

        def run(now: float) -> None:
            what(now)
            done.set()

        self._asked.append(run)
        self._button.send(b"!")
        assert done.wait(WAIT_S)

    def _rung(self, now: float) -> None:
        self._bell.recv(1)
        self._asked.pop(0)(now)

    @property
    def is_alive(self) -> bool:
        """Whether its thread still runs."""
        return self._thread.is_alive()

    def close(self) -> None:
        """End it; its thread must have been well until then."""
        assert self._thread.is_alive()
        self.call(lambda now: self.loop.stop())
        self._thread.join(WAIT_S)
        self.server.close()
        self.loop.close()
        self._bell.close()
        self._button.close()


@contextlib.contextmanager
def served(daemon: Daemon | None = None) -> Iterator[Served]:
    """Serve a daemon (a bare one) for a while."""
    server = Served(daemon or Daemon())
    try:
        yield server
    finally:
        server.close()


@contextlib.contextmanager
def client(server: Served | int) -> Iterator[Pi]:
    """The unmodified client, connected."""
    pi = pigpio.pi("127.0.0.1", server if isinstance(server, int) else server.port)
    assert pi.connected
    thread = pi._notify
    try:
        yield pi
    finally:
        try:
            pi.stop()
        except OSError:  # its thread closed the socket first: a race of its own
            pi.stop()
        thread.join(WAIT_S)


class Told:
    """Collects what a callback is told, and waits for it."""

    def __init__(self) -> None:
        self.items: list[tuple[int, ...]] = []
        self._changed = threading.Condition()

    def __call__(self, *item: int) -> None:
        with self._changed:
            self.items.append(item)
            self._changed.notify_all()

    def wait(self, count: int) -> list[tuple[int, ...]]:
        """The first `count` of them, as soon as they are there."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.items) >= count, WAIT_S), self.items
            return self.items[:count]
