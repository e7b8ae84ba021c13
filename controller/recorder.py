"""Records of a node, folded: cyclic items that say nothing new are counted instead of repeated.

Readings arrive every few milliseconds and differ by noise. An item of a cyclic kind is written when
it says something new (beyond the resolution below) or once a second; `repeats` is the number of
items of that kind, node and direction that came since the last one written and were like it.
Everything else is written as it comes.
"""

from __future__ import annotations

from collections import deque
from math import isnan
from typing import TYPE_CHECKING, Any

from controller.signals import (
    EvseInputs,
    Heartbeat,
    InletReport,
    PevInputs,
    PowerReport,
    SetOutput,
)

if TYPE_CHECKING:
    from collections.abc import Callable

FOLD_S = 1.0
"""A cyclic item is written at least this often."""


CABLE_STEP_OHM = 20.0
"""A PP resistor that moves less says nothing new."""

News = tuple[tuple[object, ...], tuple[float, ...]]
"""What must be equal, and what may differ by less than 1 (volts, amperes, tenths of a percent)."""


def _evse(i: EvseInputs) -> News:
    exact: tuple[object, ...] = (
        i.output.valid,
        i.contactors.closed,
        i.isolation.valid,
        i.isolation.resistance_ohm,
        i.emergency_stop,
        i.chain_open,
        i.connector_c is None or isnan(i.connector_c),
    )
    analogue: tuple[float, ...] = (
        i.pilot.high_v,
        i.pilot.low_v,
        i.output.voltage_v,
        i.output.current_a,
        0.0 if exact[-1] else i.connector_c or 0.0,
    )
    if i.ac is None:
        return exact, analogue
    ac = i.ac
    exact += (ac.valid, ac.rcd_tripped, ac.live_behind, ac.phases)
    return exact, (*analogue, ac.current_a, ac.cable_ohm / CABLE_STEP_OHM)


def _pev(i: PevInputs) -> News:
    exact, analogue = _inlet(i.vehicle)
    exact = (i.pilot.plugged, i.contactors.closed, *exact)
    return exact, (i.pilot.duty * 100, i.pilot.high_v, *analogue)


def _inlet(v: InletReport) -> News:
    exact = (v.contactors_closed, v.ready)
    return exact, (v.inlet_voltage_v, v.inlet_current_a, v.soc_percent * 10)


def _power(r: PowerReport) -> News:
    exact = (
        r.valid,
        r.contactors_closed,
        r.cable_check,
        r.isolation,
        r.output_on,
        r.voltage_limited,
        r.current_limited,
        r.power_limited,
    )
    return exact, (r.voltage_v, r.current_a)


CYCLIC: dict[type[Any], Callable[[Any], News]] = {
    EvseInputs: _evse,
    PevInputs: _pev,
    PowerReport: _power,
    InletReport: _inlet,
    Heartbeat: lambda h: ((h.phase,), ()),
    SetOutput: lambda s: ((s.on,), (s.voltage_v, s.current_a)),
}
"""Cyclic kinds, and what in them is news."""


def _alike(a: News, b: News) -> bool:
    return a[0] == b[0] and all(abs(x - y) < 1.0 for x, y in zip(a[1], b[1], strict=True))


class Recorder:
    """Passes records on to `write(now, node, direction, item, repeats)`."""

    def __init__(self, write: Callable[[float, str, str, Any, int], None]) -> None:
        self._write = write
        self._last: dict[tuple[str, str, type[Any]], tuple[News, float]] = {}
        self._folded: dict[tuple[str, str, type[Any]], int] = {}

    def __call__(self, now: float, node: str, direction: str, item: Any) -> None:  # noqa: ANN401
        """Take one record."""
        kind = type(item)
        news_of = CYCLIC.get(kind)
        if news_of is None:
            self._write(now, node, direction, item, 0)
            return
        key = (node, direction, kind)
        news = news_of(item)
        last = self._last.get(key)
        if last is not None and now - last[1] < FOLD_S and _alike(last[0], news):
            self._folded[key] = self._folded.get(key, 0) + 1
            return
        self._last[key] = (news, now)
        self._write(now, node, direction, item, self._folded.pop(key, 0))


class Backlog:
    """The last packets that matter, kept for who takes them, and for who comes later.

    Bounded: the oldest go first. What was taken stays until it is pushed out, so that `rewind`
    tells it once more - to a process that was started anew and knows nothing.
    """

    def __init__(self, length: int = 256) -> None:
        self._packets: deque[bytes] = deque(maxlen=length)
        self._put = 0
        """Number of packets ever put; the newest has this one less."""
        self._taken = 0
        """Number of the next packet to be taken."""

    def put(self, packet: bytes) -> None:
        """Keep one more."""
        self._packets.append(packet)
        self._put += 1

    def peek(self) -> bytes | None:
        """Return the oldest one that was not taken, or None."""
        self._taken = max(self._taken, self._put - len(self._packets))
        if self._taken == self._put:
            return None
        return self._packets[self._taken - self._put]

    def taken(self) -> None:
        """Go on to the next; call after `peek` gave one."""
        self._taken += 1

    def rewind(self) -> None:
        """Give everything once more."""
        self._taken = 0
