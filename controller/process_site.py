"""What every process of a simulated site has: its socket to the site, and its realtime period.

Through that socket come the clock, the hardware's inputs and what people ask for; back go hardware
commands and records.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

from controller import ipc, signals_json
from controller.loop import Loop, LoopTimer, MonotonicClock, Node, SteppedClock
from controller.recorder import Recorder
from controller.signals import REQUESTS

if TYPE_CHECKING:
    from controller.plc.driver_tap import TapLink
    from controller.realtime_ac import ChargerCore
    from controller.realtime_pev import PevRealtime
    from controller.signals import Output

TAP_NAME = "ccs0"
LOOPBACK = "loopback"
READY, FAILED = b"P", b"E"
"""First packet to the site: ready (with what the kernel refused, and the TAP's descriptor, if any),
or the reason why not."""
REALTIME_PRIORITY, COMMUNICATION_PRIORITY = 50, 40
"""SCHED_FIFO by the machine's clock: an answer may wait for a period, never the other way round."""


class Site:
    """This process's end of the socket to the simulated site."""

    def __init__(self, fd: int, *, paced: bool) -> None:
        self.channel = ipc.Channel.from_fd(fd, may_wait=True)
        self.clock: SteppedClock | MonotonicClock = SteppedClock() if paced else MonotonicClock()
        self.loop = Loop(self.clock, self._await_step if paced else None)
        self.tap: TapLink | None = None
        self._owed = False
        self.record = Recorder(self._record)
        self.channel.on[ipc.TICK] = self._tick
        self.channel.on_lost = lambda now: self.loop.stop()
        self.loop.watch(fd, self.channel.receive)

    def ready(self, refused: list[str]) -> None:
        """Say that this process is set up and what it had to do without; hand over the TAP."""
        fds = [] if self.tap is None else [self.tap.fileno()]
        socket.send_fds(self.channel.sock, [READY + "; ".join(refused).encode()], fds)

    def command(self, output: Output, now: float) -> None:
        """Carry out a hardware command."""
        self.channel.send_signal(output)

    def _tick(self, body: bytes, now: float) -> None:
        assert isinstance(self.clock, SteppedClock)
        self.clock.advance(ipc.TIME.unpack(body)[0])
        self._owed = True

    def _await_step(self, deadline: float) -> None:
        """Say that this step is done, and be deaf to all but the site until the next.

        What another process sends meanwhile belongs to the next step. Acted upon now, it would be
        a race: a command that the world learns of before or after its next readings, a heartbeat
        that is of tomorrow where it arrives.
        """
        if self._owed:
            self._owed = False
            self.channel.send(ipc.DONE, ipc.TIME.pack(deadline))
        while not (self._owed or self.channel.lost):
            self.channel.receive(self.loop.now(), 1, wait=True)

    def _record(self, now: float, node: str, direction: str, item: Any, repeats: int) -> None:  # noqa: ANN401
        head = f"{now:.6f} {node} {direction} {repeats} "
        self.channel.send(ipc.RECORD, head.encode() + signals_json.encode(item))


class Period:
    """The fixed period of a realtime node: the latest inputs of the site, whatever their age."""

    def __init__(self, site: Site, node: Node, period_s: float) -> None:
        self._node = node
        self._inputs: Output | None = None
        self.timer = LoopTimer(period_s, self._frame, site.loop.now())
        site.loop.add(self.timer)

    def take(self, inputs: Output) -> None:
        """Keep the latest inputs."""
        self._inputs = inputs

    def _frame(self, now: float) -> None:
        if self._inputs is not None:
            self._node.feed(self._node.core.receive, self._inputs, now)  # type: ignore[attr-defined]


def bind_realtime(
    site: Site, core: ChargerCore | PevRealtime, side: str, other: ipc.Channel, period_s: float
) -> Period:
    """Bind a realtime core: hardware commands to the site, reports to communication."""

    def carry_out(output: Output, now: float) -> None:
        if isinstance(output, core.TO_HARDWARE):
            site.command(output, now)
        elif isinstance(output, core.TO_COMMUNICATION):
            other.send_signal(output)

    def ask(item: Output, now: float) -> None:
        if isinstance(item, REQUESTS):
            node.feed(core.receive, item, now)
        else:
            other.garbage += 1

    def lose(now: float) -> None:
        site.loop.watch(other.fileno(), None)
        node.finish(core.communication_lost(now), now)

    node = Node(f"{side}.realtime", core, carry_out, site.record)
    site.loop.add(node)
    other.on_signal(ask)
    other.on_lost = lose
    site.loop.watch(other.fileno(), other.receive)
    return Period(site, node, period_s)
