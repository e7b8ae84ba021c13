"""Edges of the pilot from the pigpio daemon: its notifications, read by ourselves.

The client's callbacks come in a thread that waits without end, and spins when the daemon is gone.
Here the second socket is ours: `read` takes what has arrived, never waits, and an end is an end.
Commands go through the one `PigpioLink`; what the daemon forgot when it was away (handle, watchdog)
is set up again.

The daemon samples every 5 us and reports about once a millisecond, each edge with its tick. While
the line is quiet its watchdog reports every `QUIET_MS`: so silence means that the daemon is gone or
hung, never that the pilot is steady. `TickClock` notices when it is only late.
"""

from __future__ import annotations

import contextlib
import errno
import socket
import struct
from enum import Enum
from math import inf
from typing import TYPE_CHECKING, Any

import pigpio

from controller.cp.edges import EdgeMeter, TickClock, Timing
from controller.errors import PortError
from controller.pigpio_link import REPLY, REQUEST, resolve

if TYPE_CHECKING:
    from collections.abc import Callable

    from controller.pigpio_link import PigpioLink

REPORT = struct.Struct("<HHII")
"""Number (counts per handle), flags, tick, levels of GPIO 0 to 31."""
OPEN_NOTIFICATIONS = 99
"""NOIB: this socket carries reports from now on; the reply is the handle."""
QUIET_MS = 4
"""Longer than three periods of the pilot, shorter than one of the realtime loop."""
SILENT_S = 0.1
"""No report for so long: the daemon does not run. Thirty watchdog reports are missing by then."""
SET_UP_S = 0.5
RETRY_S = 0.1
MOST_READS = 16
"""Pieces of 4 KiB taken in one period: half a second of edges."""


class State(Enum):
    """Where the second socket stands."""

    DOWN = "down"
    CONNECTING = "connecting"
    ASKED = "asked for a handle"
    LIVE = "live"


class PigpioEdges:
    """`EdgePort` on the daemon's notifications; the link's owner calls `link.step` every period.

    `clock` is the loop's: news is dated when it was received, however late in a period that is.
    """

    def __init__(
        self,
        link: PigpioLink,
        gpio: int,
        clock: Callable[[], float],
        *,
        inverted: bool = False,
    ) -> None:
        """`inverted` where a low level means a high pilot."""
        self.meter = EdgeMeter(wraps=True)
        self.state = State.DOWN
        self._link, self._gpio, self._inverted = link, gpio, int(inverted)
        self._targets = resolve(link.address)
        self._failures = 0
        self._generation = 0
        """The link's connection to which this socket belongs."""
        self._now = clock
        self._clock = TickClock()
        self._sock: socket.socket | None = None
        self._received = b""
        self._handle = -1
        self._seqno: int | None = None
        self._heard_at = -inf
        self._until = -inf
        """DOWN: when to try again; else: when to give up."""
        self._reason = "not connected yet"

    def read(self, now: float) -> tuple[Timing, float]:
        """Take what the daemon has told; return the measurement, and until when it is known."""
        try:
            self._step(now)
        except OSError as error:
            self._fail(now, error.strerror or str(error))
        return self.meter.timing(), self._heard_at

    def problem(self) -> str:
        """Why nothing is heard; empty when all is well."""
        if not self._link.is_up:
            return self._link.problem()
        return "" if self.state is State.LIVE else f"edges on GPIO {self._gpio}: {self._reason}"

    def fileno(self) -> int:
        """Return a descriptor that becomes readable with a report; -1 while there is none."""
        return -1 if self._sock is None else self._sock.fileno()

    def close(self) -> None:
        """Give handle and watchdog back."""
        if self.state is State.LIVE and self._generation == self._link.generation:
            with contextlib.suppress(PortError):
                self._link.ask(lambda pi: pi.set_watchdog(self._gpio, 0))
            with contextlib.suppress(PortError):
                self._link.ask(lambda pi: pi.notify_close(self._handle))
        self._hang_up("closed")
        self._until = inf

    # --- the socket -----------------------------------------------------------------------------

    def _step(self, now: float) -> None:
        if self.state is not State.DOWN and (
            not self._link.is_up or self._generation != self._link.generation
        ):
            self._hang_up("the daemon was away")
            self._until = now
        if self.state is State.DOWN:
            if self._link.is_up and now >= self._until:
                self._connect(now)
            return
        if self.state is State.CONNECTING:
            self._ask_for_handle()
        elif self.state is State.ASKED:
            self._await_handle(now)
        elif self.state is State.LIVE:
            self._receive(now)
        if now >= self._until:
            what = "no reports" if self.state is State.LIVE else "no handle"
            self._fail(now, f"the pigpio daemon sends {what}")

    def _connect(self, now: float) -> None:
        family, where = self._targets[self._failures % len(self._targets)]
        self._sock = sock = socket.socket(family, socket.SOCK_STREAM)
        self._generation, self._received = self._link.generation, b""
        self._until = now + SET_UP_S
        self.state = State.CONNECTING
        sock.setblocking(False)
        code = sock.connect_ex(where)
        if code not in (0, errno.EINPROGRESS):
            raise OSError(code, errno.errorcode.get(code, ""))
        self._ask_for_handle()

    def _ask_for_handle(self) -> None:
        assert self._sock is not None
        with contextlib.suppress(BlockingIOError):
            self._sock.send(REQUEST.pack(OPEN_NOTIFICATIONS, 0, 0, 0))
            self.state = State.ASKED

    def _await_handle(self, now: float) -> None:
        assert self._sock is not None
        with contextlib.suppress(BlockingIOError):
            piece = self._sock.recv(REPLY.size - len(self._received))
            if not piece:
                raise ConnectionResetError(errno.ECONNRESET, "closed the connection")
            self._received += piece
        if len(self._received) < REPLY.size:
            return
        self._handle = REPLY.unpack(self._received)[3]
        self._received = b""
        if self._handle < 0:
            raise PortError("the pigpio daemon has no notification handle left (32 clients)")
        self._set_up(now)

    def _set_up(self, now: float) -> None:
        def command(pi: Any) -> None:  # noqa: ANN401 - the library has no types
            pi.set_mode(self._gpio, pigpio.INPUT)
            pi.set_pull_up_down(self._gpio, pigpio.PUD_OFF)
            pi.set_glitch_filter(self._gpio, 0)
            pi.set_watchdog(self._gpio, QUIET_MS)
            pi.notify_begin(self._handle, 1 << self._gpio)

        self._link.ask(command)
        self.meter.level_unknown()
        self._clock = TickClock()
        self._seqno = None
        self._failures = 0
        self._until = now + SILENT_S
        self.state = State.LIVE

    def _receive(self, now: float) -> None:
        assert self._sock is not None
        for _ in range(MOST_READS):
            try:
                piece = self._sock.recv(4096)
            except BlockingIOError:
                break
            if not piece:
                raise ConnectionResetError(errno.ECONNRESET, "closed the connection")
            self._received += piece
        else:
            self.meter.lost()  # far behind: what is still to come is old
        # The daemon sends small pieces and leaves Nagle on: without this each of them would wait
        # for our delayed acknowledgement, 40 ms.
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        whole = len(self._received) // REPORT.size * REPORT.size
        if whole:
            data, self._received = self._received[:whole], self._received[whole:]
            self.take(data, self._now())

    def _fail(self, now: float, reason: str) -> None:
        self._failures += 1
        self._hang_up(reason)
        self._until = now + RETRY_S

    def _hang_up(self, reason: str) -> None:
        self._reason = reason
        self.state = State.DOWN
        if self._sock is not None:
            self._sock.close()
            self._sock = None

    # --- reports --------------------------------------------------------------------------------

    def take(self, reports: bytes, received_at: float) -> None:
        """Take whole reports, in the order in which they were sent."""
        meter = self.meter
        for seqno, flags, tick, levels in REPORT.iter_unpack(reports):
            if self._seqno is not None and seqno != (self._seqno + 1) & 0xFFFF:
                meter.lost()
            self._seqno = seqno
            level = levels >> self._gpio & 1 ^ self._inverted
            if flags == 0 and level != meter.level:
                meter.edge(level, tick)
            elif not flags & pigpio.NTFY_FLAGS_EVENT:
                meter.quiet(level, tick)
        self._until = received_at + SILENT_S
        heard_at = self._clock.at(meter.heard_at_us, received_at)
        self._heard_at = max(self._heard_at, heard_at)
