"""One connection to the pigpio daemon that can never hold up the realtime loop.

Theory of operation. The `pigpio` client waits for ever: it connects, sends and receives without a
time-out, takes the bytes of one `recv` for a whole reply, spins when the daemon closes the socket,
and starts a thread that does the same. Here its commands run over a socket of ours that gives up
after 2 ms and treats an end of file as an error; its thread is never started.

    DOWN --back-off over--> CONNECTING --connected--> PROBING --the daemon answered--> UP
      ^                         |                        |                             |  ^
      +--------- refused, or no answer in time ----------+         no answer in 2 ms   |  |
      ^                                                                                v  |
      +------------------------- none in 100 ms, or the end ------------------------- LATE

All but UP cost one system call a period and never wait. LATE is a daemon that was not given the
processor: its answer is awaited between the periods, read and dropped. `generation` counts the
connections; whoever uses the link sets up its pins, handles and outputs again when it changes. The
back-off begins at 100 ms: longer than the interlock believes a pilot sample, so whatever the link
drove has been commanded off before it comes back.
"""

from __future__ import annotations

import contextlib
import errno
import socket
import struct
from enum import Enum
from math import inf
from typing import TYPE_CHECKING, Any, TypeVar

import pigpio

from controller.errors import ConfigError, PortError

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

REPLY_TIMEOUT_S = 0.002
"""A command takes 20 to 60 us (measured over loopback), one over I2C with 100 kHz below 1 ms."""
PATIENT_S = 0.5
"""Before the loop runs nothing waits for us; a daemon beside a machine's start may be slow."""
LATE_S = 0.1
"""A daemon that does not answer for this long is hung; the connection is given up."""
SAID_AFTER_S = 0.02
"""A late answer is worth a word after this: a thread of the daemon that had to wait is none."""
CONNECT_S = 1.0
PROBE_S = 0.5
BACK_OFF_S = (0.1, 0.2, 0.5, 1.0)
"""Pause before each new attempt; the last one repeats. The first is longer than the 50 ms for which
the interlock believes a pilot sample."""
MOST_PIECES = 3
"""An answer in more pieces than this does not come from a daemon."""

REQUEST = struct.Struct("<4I")
REPLY = struct.Struct("<3Ii")
TICK = 16
WITH_EXTENSION = frozenset({43, 45, 56, 65, 67, 70, 73, 75, 80, 88, 91, 92, 106, 109, 113, 114})
"""Commands whose reply is followed by as many bytes as its result says (reads of I2C, SPI, ...)."""


class State(Enum):
    """Where the connection stands."""

    DOWN = "down"
    CONNECTING = "connecting"
    PROBING = "probing"
    UP = "up"
    LATE = "late"


_ADVICE = "is it running? (sudo systemctl start pigpiod)"
_NO_ANSWER = "accepts connections, but does not answer; restart it (sudo systemctl restart pigpiod)"


def resolve(address: str) -> list[tuple[socket.AddressFamily, Any]]:
    """Look up host:port, IPv4 first. Raises ConfigError, or PortError for an unknown host."""
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise ConfigError(f'[hardware] pigpiod = "{address}": must be host:port, as localhost:8888')
    try:
        found = socket.getaddrinfo(host, int(port), type=socket.SOCK_STREAM)
    except OSError as error:
        raise PortError(f"pigpio daemon: unknown host {host}: {error.strerror}") from error
    targets = [(family, where) for family, _, _, _, where in found]
    return sorted(targets, key=lambda target: target[0] != socket.AF_INET)


class _Socket:
    """What the client takes for its socket: whole answers in time, and an end is an error."""

    def __init__(self, sock: socket.socket, timeout_s: float) -> None:
        self.sock = sock
        self._timeout_s = timeout_s
        self._received = b""
        self._missing = 0
        self._is_header = True
        sock.settimeout(timeout_s)

    def sendall(self, data: bytes) -> None:
        self._is_header = True
        try:
            self.sock.sendall(data)
        except TimeoutError as error:
            raise ConnectionResetError(errno.EPROTO, "takes no more commands") from error

    def send(self, data: bytes) -> int:
        self.sendall(data)
        return len(data)

    def recv(self, count: int) -> bytes:
        self._received, self._missing = b"", count
        for _ in range(MOST_PIECES):
            if self._read_on():
                self._is_header = False
                return self._received
        raise ConnectionResetError(errno.EPROTO, "answers in pieces")

    def _read_on(self) -> bool:
        piece = self.sock.recv(self._missing)
        if not piece:
            raise ConnectionResetError(errno.ECONNRESET, "closed the connection")
        self._received += piece
        self._missing -= len(piece)
        return not self._missing

    def set_timeout(self, timeout_s: float) -> None:
        """Wait this long for an answer from now on; one that is late already is not waited for."""
        self._timeout_s = timeout_s
        if self.sock.getblocking():
            self.sock.settimeout(timeout_s)

    def drop_late(self) -> bool:
        """Read on without waiting; True when the whole late answer is here (and dropped)."""
        self.sock.setblocking(False)
        try:
            if not self._read_on() or (self._extension_follows() and not self._read_on()):
                return False
        except BlockingIOError:
            return False
        self.sock.settimeout(self._timeout_s)
        return True

    def _extension_follows(self) -> bool:
        if not self._is_header:
            return False
        command, _, _, result = REPLY.unpack(self._received)
        if command not in WITH_EXTENSION or result <= 0:
            return False
        self._is_header, self._received, self._missing = False, b"", result
        return True


class _Client(pigpio.pi):  # type: ignore[misc] # the library has no types
    """The library's commands without its way of connecting, and without its thread."""

    def __init__(self, sock: _Socket) -> None:
        self.connected = True
        self.sl = pigpio._socklock()
        self.sl.s = sock
        self._notify = None


class PigpioLink:
    """The connection; `step` once a period, `ask` for each command.

    Problems are told, not raised, except by `ask`: it raises PortError when the daemon is not there
    or refuses the command. While the link is not up, `ask` costs nothing.
    """

    def __init__(self, address: str, timeout_s: float = REPLY_TIMEOUT_S) -> None:
        """Look up `address` (host:port) once and for all: a name server may take seconds."""
        self.address = address
        self.generation = 0
        """How many connections there have been; a change means: set everything up again."""
        self.state = State.DOWN
        self._timeout_s = self._present_timeout_s = timeout_s
        self._targets = resolve(address)
        self._failures = 0
        self._until: float | None = -inf
        """DOWN: when to try again; others: when to give up; None: not yet worked out."""
        self._raw: socket.socket | None = None
        self._sock: _Socket | None = None
        self._client: Any = None
        self._answer = b""
        self._heard = False
        self._lasts = False
        """Being late has lasted for a while."""
        self._reason = "not connected yet"

    def be_patient(self) -> None:
        """Wait longer for answers until `hurry`: nothing depends on us yet."""
        self._wait(max(PATIENT_S, self._timeout_s))

    def hurry(self) -> None:
        """Wait no longer than a realtime loop can afford."""
        self._wait(self._timeout_s)

    def _wait(self, timeout_s: float) -> None:
        self._present_timeout_s = timeout_s
        if self._sock is not None:
            self._sock.set_timeout(timeout_s)

    @property
    def is_up(self) -> bool:
        """Whether commands can be sent."""
        return self.state is State.UP

    def problem(self) -> str:
        """Say what is wrong with the daemon, or nothing; a short delay is not told."""
        if self.state is State.UP or (self.state is State.LATE and not self._lasts):
            return ""
        return self._text()

    def _text(self) -> str:
        return f"pigpio daemon at {self.address}: {self._reason}"

    def ask(self, command: Callable[[Any], T]) -> T:
        """Run a command of the `pigpio` client: `link.ask(lambda pi: pi.read_bank_1())`."""
        if self.state is not State.UP:
            raise PortError(self._text())
        try:
            answer = command(self._client)
        except pigpio.error as error:
            self._heard = True
            raise PortError(f"pigpio daemon: refused: {error.value}") from error
        except TimeoutError as error:
            self._reason = f"no answer within {self._present_timeout_s * 1000:g} ms"
            self._enter(State.LATE)
            raise PortError(self._text()) from error
        except OSError as error:
            self._fail(error.strerror or str(error))
            raise PortError(self._text()) from error
        self._heard = True
        return answer

    def step(self, now: float) -> None:
        """Do what is due without waiting; while up and not used, ask whether the daemon lives."""
        if self.state is State.UP:
            self._prove_alive()
        if self.state is State.UP:
            return
        if self._until is None:
            self._until = now + self._patience_s()
        is_over = now >= self._until
        self._lasts = now >= self._until - LATE_S + SAID_AFTER_S
        before = self.state
        try:
            self._advance(is_over)
        except OSError as error:
            self._fail(self._explain(error))
        if is_over and self.state is before and before is not State.DOWN:
            self._fail(_NO_ANSWER)

    def close(self) -> None:
        """End the connection; the daemon keeps driving what it drives."""
        self._fail("closed")
        self._until = inf

    # --- inside ---------------------------------------------------------------------------------

    def _prove_alive(self) -> None:
        if not self._heard:
            with contextlib.suppress(PortError):
                self.ask(lambda pi: pi.get_current_tick())
        self._heard = False

    def _patience_s(self) -> float:
        if self.state is State.DOWN:
            return BACK_OFF_S[min(self._failures, len(BACK_OFF_S)) - 1]
        return {State.CONNECTING: CONNECT_S, State.PROBING: PROBE_S}.get(self.state, LATE_S)

    def _advance(self, is_over: bool) -> None:
        if self.state is State.DOWN:
            if is_over:
                self._connect()
        elif self.state is State.CONNECTING:
            self._send_probe()
        elif self.state is State.PROBING:
            self._await_probe()
        elif self._sock is not None and self._sock.drop_late():
            self._enter(State.UP)

    def _enter(self, state: State) -> None:
        self.state = state
        self._until = None

    def _connect(self) -> None:
        family, where = self._targets[self._failures % len(self._targets)]
        self._raw = sock = socket.socket(family, socket.SOCK_STREAM)
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        code = sock.connect_ex(where)
        if code not in (0, errno.EINPROGRESS):
            raise OSError(code, errno.errorcode.get(code, ""))
        self._enter(State.CONNECTING)

    def _send_probe(self) -> None:
        assert self._raw is not None
        try:
            self._raw.send(REQUEST.pack(TICK, 0, 0, 0))
        except BlockingIOError:
            return  # still connecting
        self._answer = b""
        self._enter(State.PROBING)

    def _await_probe(self) -> None:
        assert self._raw is not None
        try:
            piece = self._raw.recv(REPLY.size - len(self._answer))
        except BlockingIOError:
            return
        if not piece:
            raise ConnectionResetError(errno.ECONNRESET, "closed the connection")
        self._answer += piece
        if len(self._answer) < REPLY.size:
            return
        if REPLY.unpack(self._answer)[0] != TICK:
            raise OSError(errno.EPROTO, "what answers there is no pigpio daemon")
        self._sock = _Socket(self._raw, self._present_timeout_s)
        self._client = _Client(self._sock)
        self.generation += 1
        self._failures = 0
        self._heard = True
        self._enter(State.UP)

    def _explain(self, error: OSError) -> str:
        if self.state in (State.DOWN, State.CONNECTING):
            return f"cannot be reached ({error.strerror}); {_ADVICE}"
        return error.strerror or str(error)

    def _fail(self, reason: str) -> None:
        self._reason = reason
        self._failures += 1
        self._client = self._sock = None
        if self._raw is not None:
            with contextlib.suppress(OSError):
                self._raw.close()
            self._raw = None
        self._enter(State.DOWN)


class PigpioHandle:
    """A handle of the daemon for one I2C or SPI device, opened anew over each connection.

    The daemon keeps the handles of a lost connection, and has few. Which of them are still ours is
    known only while it was not restarted, so they are given back when it refuses another one.
    """

    def __init__(
        self, link: PigpioLink, opening: Callable[[Any], int], closing: Callable[[Any, int], object]
    ) -> None:
        self._link = link
        self._opening, self._closing = opening, closing
        self._handle = -1
        self._generation = 0
        self._left: list[int] = []
        """Handles of earlier connections."""

    def get(self) -> int:
        """Return the handle. Raises PortError."""
        if self._handle >= 0 and self._generation == self._link.generation:
            return self._handle
        if self._handle >= 0:
            self._left.append(self._handle)
            self._handle = -1
        try:
            self._handle = self._link.ask(self._opening)
        except PortError:
            self._give_back(self._left)
            raise
        self._generation = self._link.generation
        return self._handle

    def close(self) -> None:
        """Give it back, if the connection over which it was opened still stands."""
        if self._handle >= 0 and self._generation == self._link.generation:
            self._give_back([self._handle])
        self._handle = -1

    def _give_back(self, handles: list[int]) -> None:
        while handles and self._link.is_up:
            handle = handles.pop()
            with contextlib.suppress(PortError):
                self._link.ask(lambda pi, handle=handle: self._closing(pi, handle))  # type: ignore[misc]
