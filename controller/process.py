"""The processes of a site: one entry each, with real sockets, beside a simulated site.

`ccs-pilot process evse-realtime|evse-communication|pev ...` is what the site starts; people start
the site. A process gets its end of two sockets by inheritance: one to the site (clock, hardware
inputs and commands, records), one to its other half. With `--paced` the site hands out the time
and waits for "done" in each step; without it the machine's clock rules, as on a real charger.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from controller import ipc, signals_json
from controller.loop import (
    Loop,
    LoopTimer,
    MonotonicClock,
    Node,
    SteppedClock,
)
from controller.recorder import Recorder

if TYPE_CHECKING:
    from pathlib import Path

    from controller.realtime import EvseRealtime, PevRealtime
    from controller.signals import EvseInputs, Output, PevInputs

TAP_NAME = "ccs0"
READY, FAILED = b"P", b"E"
"""First packet to the site: ready (with the TAP's descriptor, if any), or the reason why not."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the site tells a process."""

    site_fd: int
    ipc_fd: int
    frame_fd: int
    config: Path | None
    interface: str
    """Real interface, "tap" (make one in an own namespace) or "loopback"."""
    mac: bytes
    paced: bool
    charger_port: int


class Site:
    """This process's end of the socket to the simulated site."""

    def __init__(self, fd: int, *, paced: bool) -> None:
        self.channel = ipc.Channel.from_fd(fd, may_wait=True)
        self.clock: SteppedClock | MonotonicClock = SteppedClock() if paced else MonotonicClock()
        self.loop = Loop(self.clock, self._idle if paced else None)
        self._owed = False
        self.record = Recorder(self._record)
        self.channel.on[ipc.TICK] = self._tick
        self.channel.on_lost = lambda now: self.loop.stop()
        self.loop.watch(fd, self.channel.receive)

    def ready(self, tap: int | None = None) -> None:
        """Tell the site that this process is set up."""
        socket.send_fds(self.channel.sock, [READY], [] if tap is None else [tap])

    def command(self, output: Output, now: float) -> None:
        """Carry out a hardware command."""
        self.channel.send_signal(output)

    def _tick(self, body: bytes, now: float) -> None:
        assert isinstance(self.clock, SteppedClock)
        self.clock.advance(ipc.TIME.unpack(body)[0])
        self._owed = True

    def _idle(self, deadline: float) -> None:
        if self._owed:
            self._owed = False
            self.channel.send(ipc.DONE, ipc.TIME.pack(deadline))

    def _record(self, now: float, node: str, direction: str, item: Any, repeats: int) -> None:  # noqa: ANN401
        head = f"{now:.6f} {node} {direction} {repeats} "
        self.channel.send(ipc.RECORD, head.encode() + signals_json.encode(item))


class Period:
    """The fixed period of a realtime node: the latest inputs of the site, whatever their age."""

    def __init__(self, site: Site, node: Node, period_s: float) -> None:
        self._node = node
        self._inputs: EvseInputs | PevInputs | None = None
        self.timer = LoopTimer(period_s, self._frame, site.loop.now())
        site.loop.add(self.timer)

    def take(self, inputs: EvseInputs | PevInputs) -> None:
        """Keep the latest inputs."""
        self._inputs = inputs

    def _frame(self, now: float) -> None:
        if self._inputs is not None:
            self._node.feed(self._node.core.receive, self._inputs, now)  # type: ignore[attr-defined]


def realtime(
    site: Site, core: EvseRealtime | PevRealtime, name: str, other: ipc.Channel, period_s: float
) -> Period:
    """Bind a realtime core: hardware commands to the site, reports to communication."""

    def carry_out(output: Output, now: float) -> None:
        if isinstance(output, core.TO_HARDWARE):
            site.command(output, now)
        elif isinstance(output, core.TO_COMMUNICATION):
            other.send_signal(output)

    node = Node(name, core, carry_out, site.record)
    site.loop.add(node)
    period = Period(site, node, period_s)
    other.on_signal(lambda item, now: node.feed(core.receive, item, now))
    site.loop.watch(other.fileno(), other.receive)
    return period
