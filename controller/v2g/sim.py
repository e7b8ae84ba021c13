"""A network in virtual time: datagrams and one byte stream at a time, with faults on demand.

    network = SimNetwork(latency_s=0.005)
    network.send_datagram("pev", data, to=None)     # to=None: the multicast group
    connection = network.connect("pev", "evse")     # a pair of ends, opened after one round trip
    network.faults.split = 3
    for event in network.deliver(now): ...

The owner of both ends asks `next_timer()` when something arrives next, and takes it with
`deliver(now)`. Nothing here knows what the bytes mean. Not modelled: bandwidth, windows,
retransmission, reordering (TCP hides it, SDP does not need it), IP addresses and ports.
"""

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

from controller.frozen import quick

End = str
"""Name of a station, e.g. "evse" or "pev"."""


class Kind(Enum):
    """What arrives."""

    DATAGRAM = "datagram"
    OPENED = "opened"
    DATA = "data"
    CLOSED = "closed"

    __hash__ = object.__hash__  # by identity: looked up with everything that arrives


_DATA = Kind.DATA


@quick
@dataclass(frozen=True, slots=True)
class Arrival:
    """Something that arrives at an end."""

    at: float
    to: End
    kind: Kind
    data: bytes = b""
    sender: End = ""


@dataclass(slots=True)
class Faults:
    """What goes wrong; all of it may be changed at any time."""

    drop_datagram: Callable[[int], bool] = lambda number: False
    """Called with the number of the datagram, from 0; True loses it."""
    duplicate_datagram: Callable[[int], bool] = lambda number: False
    delay_datagram_s: Callable[[int], float] = lambda number: 0.0
    split: int = 0
    """Deliver the stream in pieces of this many bytes, 0: as sent."""
    coalesce_s: float = 0.0
    """Hold stream data back this long, and deliver what gathered in one piece."""
    silent: set[End] = field(default_factory=set)
    """What these ends send never arrives; their connection stays open."""


class SimNetwork:
    """Two or more stations on one link, at most one connection between two of them."""

    def __init__(self, ends: tuple[End, ...] = ("evse", "pev"), latency_s: float = 0.005) -> None:
        self.ends = ends
        self.latency_s = latency_s
        self.faults = Faults()
        self.cut = False
        """The link below is gone: nothing that is sent now arrives, and nobody is told."""
        self.now = 0.0
        self.on_queued: Callable[[float], object] = lambda at: None
        """Called with the time of each arrival that has to be fetched with `deliver`."""
        self._queue: list[tuple[float, int, int, Arrival]] = []
        self._count = 0
        self._datagrams = 0
        self._connection: tuple[End, End] | None = None
        self._era = 0  # a killed connection's data never arrives
        self._last_at: dict[End, float] = {}

    @property
    def connected(self) -> bool:
        """Whether a connection is open."""
        return self._connection is not None

    def send_datagram(self, sender: End, data: bytes, to: End | None, now: float) -> None:
        """Send to one end or, with None, to all others."""
        number = self._datagrams
        self._datagrams += 1
        if self._is_mute(sender) or self.faults.drop_datagram(number):
            return
        copies = 2 if self.faults.duplicate_datagram(number) else 1
        at = now + self.latency_s + self.faults.delay_datagram_s(number)
        for end in self.ends if to is None else (to,):
            if end != sender:
                for _ in range(copies):
                    self._push(Arrival(at, end, Kind.DATAGRAM, data, sender))

    def connect(self, sender: End, to: End, now: float) -> None:
        """Open a connection: both ends are told, the listening one first."""
        if self._is_mute(sender) or to in self.faults.silent:
            return
        self._connection = (sender, to)
        self._era += 1
        self._last_at = {}
        self._push(Arrival(now + self.latency_s, to, Kind.OPENED, sender=sender))
        self._push(Arrival(now + 2 * self.latency_s, sender, Kind.OPENED, sender=to))

    def send_data(self, sender: End, data: bytes, now: float) -> None:
        """Send on the connection; nothing happens when there is none."""
        to = self._other(sender)
        if to is None or self._is_mute(sender):
            return
        faults, last_at = self.faults, self._last_at.get(to, 0.0)
        at = now + self.latency_s + faults.coalesce_s
        if at < last_at:
            at = last_at
        self._last_at[to] = at
        if not faults.split:
            self._push(Arrival(at, to, _DATA, data, sender))
            return
        for start in range(0, len(data), faults.split):
            self._push(Arrival(at, to, _DATA, data[start : start + faults.split], sender))

    def close(self, sender: End, now: float) -> None:
        """Close the connection: the other end learns it after what was sent before."""
        to = self._other(sender)
        self._connection = None
        if to is not None and not self._is_mute(sender):
            at = max(now + self.latency_s, self._last_at.get(to, 0.0))
            self._push(Arrival(at, to, Kind.CLOSED, sender=sender))

    def kill(self, now: float) -> None:
        """Break the connection: what is on its way is lost, both ends learn it at once."""
        if self._connection is None:
            return
        ends, self._connection = self._connection, None
        self._era += 1
        for end in ends:
            self._push(Arrival(now, end, Kind.CLOSED))

    def next_timer(self) -> float | None:
        """When something arrives next."""
        return self._queue[0][0] if self._queue else None

    def deliver(self, now: float) -> list[Arrival]:
        """Take what has arrived by now, in order; with `coalesce_s` data of one end is joined."""
        arrived: list[Arrival] = []
        while self._queue and self._queue[0][0] <= now:
            _, _, era, arrival = heapq.heappop(self._queue)
            if era != self._era and arrival.kind is _DATA:
                continue
            last = arrived[-1] if arrived and self.faults.coalesce_s > 0.0 else None
            if last is not None and arrival.kind is last.kind is _DATA and arrival.to == last.to:
                whole = last.data + arrival.data
                arrived[-1] = Arrival(arrival.at, arrival.to, _DATA, whole, arrival.sender)
            else:
                arrived.append(arrival)
        return arrived

    def _is_mute(self, end: End) -> bool:
        return self.cut or end in self.faults.silent

    def _other(self, end: End) -> End | None:
        if self._connection is None or end not in self._connection:
            return None
        a, b = self._connection
        return b if end == a else a

    def _push(self, arrival: Arrival) -> None:
        self._count += 1
        heapq.heappush(self._queue, (arrival.at, self._count, self._era, arrival))
        self.on_queued(arrival.at)
