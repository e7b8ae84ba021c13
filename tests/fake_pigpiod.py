"""A small pigpio daemon for tests: the protocol on a real socket, pins and buses as plain data.

It runs in a thread; a test looks at its attributes and sets its faults. Time for the converters
behind its buses is the test's own (`now`).
"""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import threading
import time
from typing import TYPE_CHECKING, Protocol

from controller.pigpio_link import PigpioLink, State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

REQUEST = struct.Struct("<4I")
REPLY = struct.Struct("<3Ii")
MODES, MODEG, PUD, READ, WRITE, BR1, TICK, PFG = 0, 1, 2, 3, 4, 10, 16, 23
I2CO, I2CC, I2CRW, I2CWW, SPIO, SPIC, SPIX, GDC, HP = 54, 55, 63, 64, 71, 72, 75, 83, 86
PWM_PINS = (12, 13, 18, 19)
SETTLE_S = 60.0


class I2cPart(Protocol):
    """What `SimAds1115` offers."""

    def write(self, data: bytes, now: float) -> None: ...

    def read(self, count: int, now: float) -> bytes: ...


class SpiPart(Protocol):
    """What `SimMcp3208` offers."""

    def transfer(self, data: bytes, now: float) -> bytes: ...


class FakePigpiod:
    """Listens on a free port of 127.0.0.1 from `start` to `stop`; pins survive, as on a Pi."""

    def __init__(self) -> None:
        self.levels = [0] * 32
        self.modes = [0] * 32
        self.pulls: dict[int, int] = {}
        self.pwm: dict[int, tuple[int, int]] = {}
        """GPIO to frequency and duty in millionths, as hardware PWM."""
        self.pwm_history: list[tuple[int, int, int]] = []
        self.writes: list[tuple[int, int]] = []
        self.i2c: dict[int, I2cPart] = {}
        self.spi: dict[int, SpiPart] = {}
        self.handles: list[int] = []
        self.now: Callable[[], float] = lambda: 0.0
        self.hung = threading.Event()
        """Set: commands are taken and not answered until it is cleared."""
        self.commands = 0
        self.connections = 0
        self.port = 0
        self.links: list[PigpioLink] = []
        self._thread: threading.Thread | None = None
        self._wake: tuple[socket.socket, socket.socket] | None = None
        self._settled = threading.Event()

    def start(self) -> None:
        listener = socket.create_server(("127.0.0.1", self.port))
        self.port = listener.getsockname()[1]
        self._wake = socket.socketpair()
        self._thread = threading.Thread(target=self._serve, args=(listener,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Die as by `kill -9`: sockets close, pins and PWM keep what they have."""
        if self._thread is None or self._wake is None:
            return
        self._wake[0].send(b"x")
        self._thread.join(10)
        self._thread = None
        self.handles.clear()

    def settle(self) -> None:
        """Return when it has served (if it lives) all that was sent to it before."""
        if self._thread is None or self._wake is None:
            return
        self._settled.clear()
        self._wake[0].send(b"s")
        assert self._settled.wait(SETTLE_S), "the daemon's thread is stuck"

    def keep_up(self) -> None:
        """Let no time of a test pass between a link's question and the answer.

        A link counts periods until it gives up; here they cost nothing, and the thread that is to
        answer may wait for a processor meanwhile.
        """
        if any(link.state not in (State.DOWN, State.UP) for link in self.links):
            self.settle()

    def level(self, gpio: int, level: int) -> None:
        """What the outside does to a pin."""
        self.levels[gpio] = level

    def _serve(self, listener: socket.socket) -> None:
        assert self._wake is not None
        clients: dict[socket.socket, bytes] = {}
        waiting: list[tuple[socket.socket, bytes]] = []
        is_asked = False
        while True:
            timeout = 0.0 if is_asked else 0.005 if waiting else None
            ready, _, _ = select.select([listener, self._wake[1], *clients], [], [], timeout)
            if self._wake[1] in ready and self._wake[1].recv(1) == b"x":
                break
            if is_asked and not ready:
                self._settled.set()
            is_asked = bool(ready) and (is_asked or self._wake[1] in ready)
            if listener in ready:
                clients[listener.accept()[0]] = b""
                self.connections += 1
            for client in [c for c in ready if c in clients]:
                data = self._read(client)
                if not data:
                    client.close()
                    del clients[client]
                    continue
                clients[client] += data
                waiting += [(client, answer) for answer in self._requests(clients, client)]
            if not self.hung.is_set():
                for client, answer in waiting:
                    with contextlib.suppress(OSError):
                        client.sendall(answer)
                waiting.clear()
        for sock in (listener, *clients, *self._wake):
            sock.close()

    @staticmethod
    def _read(client: socket.socket) -> bytes:
        try:
            return client.recv(4096)
        except ConnectionResetError:  # it left without reading our answer
            return b""

    def _requests(
        self, clients: dict[socket.socket, bytes], client: socket.socket
    ) -> Iterator[bytes]:
        while len(clients[client]) >= REQUEST.size:
            command, p1, p2, p3 = REQUEST.unpack_from(clients[client])
            if len(clients[client]) < REQUEST.size + p3:
                return
            extension = clients[client][REQUEST.size : REQUEST.size + p3]
            clients[client] = clients[client][REQUEST.size + p3 :]
            self.commands += 1
            answer = self._run(command, p1, p2, extension)
            extra = answer if isinstance(answer, bytes) else b""
            result = len(extra) if isinstance(answer, bytes) else answer
            yield REPLY.pack(command, p1, p2, result) + extra

    def _run(self, command: int, p1: int, p2: int, extension: bytes) -> int | bytes:
        if command in (I2CO, I2CC, I2CRW, I2CWW, SPIO, SPIC, SPIX):
            return self._bus(command, p1, p2, extension)
        if command == TICK:
            return 123_456
        if command == BR1:
            return sum(level << gpio for gpio, level in enumerate(self.levels))
        if command == HP:
            return self._hardware_pwm(p1, p2, struct.unpack("<I", extension)[0])
        if command in (GDC, PFG):
            frequency, duty = self.pwm.get(p1, (0, 0))
            return -92 if p1 not in self.pwm else duty if command == GDC else frequency
        return self._pin(command, p1, p2)

    def _pin(self, command: int, gpio: int, value: int) -> int:
        if command == MODES:
            self.modes[gpio] = value
        elif command == MODEG:
            return self.modes[gpio]
        elif command == PUD:
            self.pulls[gpio] = value
        elif command == READ:
            return self.levels[gpio]
        elif command == WRITE:
            self.levels[gpio], self.modes[gpio] = value, 1
            self.writes.append((gpio, value))
        else:
            return -88
        return 0

    def _hardware_pwm(self, gpio: int, frequency: int, duty: int) -> int:
        if gpio not in PWM_PINS:
            return -95
        if duty > 1_000_000:
            return -97
        self.pwm[gpio] = (frequency, duty)
        self.modes[gpio] = 2
        self.pwm_history.append((gpio, frequency, duty))
        return 0

    def _bus(self, command: int, p1: int, p2: int, extension: bytes) -> int | bytes:
        if command == I2CO:
            self.handles.append(p2)
            return len(self.handles) - 1
        if command == SPIO:
            self.handles.append(p1)
            return len(self.handles) - 1
        if p1 >= len(self.handles):
            return -25
        if command in (I2CC, SPIC):
            return 0
        if command == SPIX:
            return self.spi[self.handles[p1]].transfer(extension, self.now())
        part = self.i2c.get(self.handles[p1])
        if part is None:
            return -83 if command == I2CRW else -82
        if command == I2CRW:
            part.write(bytes((p2,)), self.now())
            return int.from_bytes(part.read(2, self.now()), "little")
        part.write(bytes((p2,)) + extension[:2], self.now())
        return 0


@contextlib.contextmanager
def running() -> Iterator[FakePigpiod]:
    """Give a daemon that is gone afterwards."""
    daemon = FakePigpiod()
    daemon.start()
    try:
        yield daemon
    finally:
        for link in daemon.links:
            link.close()
        daemon.hung.clear()
        daemon.stop()


def patient_link(daemon: FakePigpiod, timeout_s: float = 1.0) -> PigpioLink:
    """Make a link with a time limit that a busy test machine keeps; closed with the daemon."""
    daemon.links.append(PigpioLink(f"127.0.0.1:{daemon.port}", timeout_s))
    return daemon.links[-1]


def step_until(
    link: PigpioLink, done: Callable[[], bool], now: float = 0.0, pace_s: float = 0.0
) -> float:
    """Step a link until something is so, with `pace_s` of its time between; returns that time."""
    for _ in range(2000):
        now += pace_s
        link.step(now)
        if done():
            return now
        time.sleep(0.002)  # noqa: TID251 - another thread has to do something
    raise AssertionError(f"never happened; {link.state} {link.problem()}")
