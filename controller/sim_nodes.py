"""Virtual time, made cheap: what of a real process's periods need not be played one by one.

A realtime core has a period of 5 ms and a communication core beats every 20 ms. In virtual time
nothing is ever late, so what happens in most of these periods is known beforehand: nothing.

- `Frames` rest while nothing moves, both sides' until the same instant. They never rest longer than
  a permit lasts, and before anything is decided (a request, a deadline) the inputs are read anew
  (`SampledNode`).
- `Beats` are those of a communication process that is known to live: each has its own time, but is
  told only when someone looks. When the process hangs (`HangingNode`, `Silence`) the last one is
  told, and from then on the realtime core counts for itself, as it would in reality.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from controller.loop import Core, Node, Record
from controller.own_code import own, own_code
from controller.signals import EvseInputs, Heartbeat, PevInputs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence, Set
    from typing import Self

    from controller.communication import Communication
    from controller.realtime_ac import ChargerCore
    from controller.realtime_pev import PevRealtime
    from controller.signals import Output

RESTING_PERIOD_S = 0.098
"""Frames of a settled realtime core in virtual time: within the 100 ms that a permit lasts."""
MOVES = 0.5
"""Volts or amperes between frames that are no noise: a ramp, a discharge, an opened contact."""
FRESH_S = 0.04
"""Inputs older than this are read anew before anything is decided; a real period is 5 ms."""
BEAT_S = 0.05
"""Heartbeats in virtual time, where nothing is ever late: one within the 60 ms of the interlock."""


class Frames:
    """The period of a realtime core; longer while nothing moves, so that hours cost little."""

    def __init__(
        self, node: SampledNode, inputs: Callable[[float], EvseInputs | PevInputs], period_s: float
    ) -> None:
        self._node = node
        node.frames = self
        self._inputs = inputs
        self._period_s = period_s
        self.deadline = 0.0
        self.at = 0.0
        """When the last frame ran."""
        self._voltage_v = self._current_a = 0.0
        self.stopped = False
        """No inputs arrive any more; the core's own deadlines still run."""

    def fire(self, now: float) -> None:
        """Run one frame."""
        if self.stopped:
            self.deadline = now + RESTING_PERIOD_S
            return
        self.at = now
        node, item = self._node, self._inputs(now)
        core = node.core
        node.beats.tell(now)
        node.take(core.receive, item, now)
        if core.settled and not self._moves(item):
            # The next of the common instants: what one side has worked out serves the other.
            self.deadline = (int(now / RESTING_PERIOD_S + 1e-6) + 1) * RESTING_PERIOD_S
        else:
            self.deadline = now + self._period_s

    def _moves(self, item: EvseInputs | PevInputs) -> bool:
        """Say whether voltage or current went anywhere since the last frame: then no rest."""
        if isinstance(item, EvseInputs):
            output = item.output
            voltage_v, current_a = output.voltage_v, output.current_a
        else:
            vehicle = item.vehicle
            voltage_v, current_a = vehicle.inlet_voltage_v, vehicle.inlet_current_a
        moved = abs(voltage_v - self._voltage_v) > MOVES or abs(current_a - self._current_a) > MOVES
        self._voltage_v, self._current_a = voltage_v, current_a
        return moved

    def poke(self, now: float) -> None:
        """Something changed: look again a period from now."""
        self.deadline = min(self.deadline, now + self._period_s)


@own_code
class SampledNode(Node):
    """A realtime node that decides on fresh inputs, as its own period would bring them.

    Its frames rest while nothing moves; so before a request or a deadline is acted upon, a frame is
    run if the last one is old. A heartbeat decides nothing by itself, nor does a request that only
    goes on with what is done already.
    """

    core: ChargerCore | PevRealtime
    frames: Frames
    beats: Beats
    take = own(Node.feed)
    """Give one input to the core, whatever it is; cheaper than `super().feed`."""

    def feed(self, receive: Callable[..., list[Output]], item: object, now: float) -> list[Output]:
        """Give one input to the core."""
        if type(item) is Heartbeat:
            self.beats.forget()
        elif not self.core.goes_on(item):
            self.beats.tell(now)
            if now - self.frames.at > FRESH_S:
                self.frames.fire(now)
        return self.take(receive, item, now)

    def fire(self, now: float) -> list[Output]:
        """Let the core act on its deadlines, unless a fresh look has moved them."""
        self.beats.tell(now)
        if now - self.frames.at > FRESH_S:
            self.frames.fire(now)
            if self.deadline > now:
                return []
        return super().fire(now)


@own_code
class HangingNode(Node):
    """A node that can hang as a process does: no deadline wakes it, what arrives waits for it."""

    core: Communication
    beats: Beats
    take = own(Node.feed)
    """Give one input to the core, whether it hangs or not."""

    def __init__(
        self,
        name: str,
        core: Core,
        carry_out: Callable[[Output, float], None],
        record: Record,
        silent: Set[str],
    ) -> None:
        super().__init__(name, core, carry_out, record)
        self._silent = silent
        """Sides that hang; the name of this node begins with its side."""
        self._side = name.partition(".")[0]
        self._waiting: list[tuple[Callable[..., list[Output]], object]] = []

    def feed(self, receive: Callable[..., list[Output]], item: object, now: float) -> list[Output]:
        """Give one input to the core, after those that waited while it hung."""
        if self._side in self._silent:
            self._waiting.append((receive, item))
            return []
        self._awake(now)
        return self.take(receive, item, now)

    def fire(self, now: float) -> list[Output]:
        """Let the core act; one that hangs looks again a little later."""
        if self._side in self._silent:
            self.deadline = now + RESTING_PERIOD_S
            return []
        self._awake(now)
        return self.finish(self.core.handle_timer(now), now)

    def _awake(self, now: float) -> None:
        """Be as it would be without rest: it has beaten, and taken what arrived while it hung."""
        self.beats.go_on(now)
        if self._waiting:
            waiting, self._waiting = self._waiting, []
            for receive, item in waiting:
                self.take(receive, item, now)


class Beats:
    """The heartbeats of one side: each at its own time, but told only when someone looks."""

    def __init__(
        self, sender: HangingNode, receiver: SampledNode, observers: Sequence[Record]
    ) -> None:
        self._sender, self._receiver = sender, receiver
        sender.beats = receiver.beats = self
        self._core = sender.core
        self._observers = observers
        self._last_at: float | None = None
        """The last one that is due and not told."""
        self._stopped = True
        self.go_on(0.0)

    def _count(self, now: float) -> None:
        """Pass the times that have come."""
        core = self._core
        at, step_s = core.heartbeat_at, core.heartbeat_s
        while at + step_s <= now:
            at += step_s
        core.heartbeat_at = at + step_s
        self._last_at = at

    def tell(self, now: float) -> None:
        """Tell the last beat that is due by now, unless the sender hangs."""
        sender = self._core
        if sender.heartbeat_at <= now and not self._stopped:
            self._count(now)
        at = self._last_at
        if at is None:
            return
        self._last_at = None
        receiver = self._receiver
        if self._observers:
            beat = sender.beat(at)
            self._sender.record(at, self._sender.name, "out", beat)
            receiver.record(at, receiver.name, "in", beat)
            outputs = receiver.core.receive(beat, at)
        else:
            outputs = receiver.core.hear(sender.count_beat(), sender.phase, at, at)
        if outputs:
            receiver.finish(outputs, now)

    def forget(self) -> None:
        """Tell nothing older than what the sender has just said by itself."""
        self._last_at = None

    def stop(self, now: float) -> None:
        """Let the sender hang from now on: the receiver has to notice by itself."""
        self.tell(now)
        self._stopped = True
        for node in (self._sender, self._receiver):
            node.next_timer = node.core.next_timer
            node.rearm()

    def go_on(self, now: float) -> None:
        """Let the sender live: it has beaten until now, and no deadline waits for its beats."""
        if self._stopped:
            self._stopped = False
            for node in (self._sender, self._receiver):
                node.next_timer = node.core.next_of_cores
        elif self._core.heartbeat_at <= now:
            self._count(now)


class Silence(set[str]):
    """The sides that hang; `before` is told of each that begins to."""

    def __init__(self, before: Callable[[str], None]) -> None:
        super().__init__()
        self._before = before

    def add(self, side: str) -> None:
        """Let this side hang."""
        if side not in self:
            self._before(side)
            super().add(side)

    def update(self, *sides: Iterable[str]) -> None:
        """Let all these hang."""
        for side in chain(*sides):
            self.add(side)

    def __ior__(self, sides: Set[str]) -> Self:  # type: ignore[override, misc]
        """Let all these hang."""
        self.update(sides)
        return self
