"""Records of a node, folded: cyclic items that say nothing new are counted instead of repeated.

Readings arrive every few milliseconds and differ by noise. An item of a cyclic kind is written when
it says something new (beyond the resolution below) or once a second; `repeats` is the number of
items of that kind, node and direction that came since the last one written and were like it.
Everything else is written as it comes.
"""

from __future__ import annotations

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


def _evse(i: EvseInputs) -> tuple[Any, ...]:
    return (
        round(i.pilot.high_v),
        round(i.pilot.low_v),
        round(i.output.voltage_v),
        round(i.output.current_a),
        i.output.valid,
        i.contactors.closed,
        i.isolation.valid,
        i.isolation.resistance_ohm,
        i.emergency_stop,
    )


def _pev(i: PevInputs) -> tuple[Any, ...]:
    return (
        i.pilot.plugged,
        round(i.pilot.duty, 2),
        round(i.pilot.high_v),
        i.contactors.closed,
        *_inlet(i.vehicle),
    )


def _inlet(v: InletReport) -> tuple[Any, ...]:
    return (
        round(v.inlet_voltage_v),
        round(v.inlet_current_a),
        round(v.soc_percent, 1),
        v.contactors_closed,
        v.ready,
    )


def _power(r: PowerReport) -> tuple[Any, ...]:
    return (
        round(r.voltage_v),
        round(r.current_a),
        r.valid,
        r.contactors_closed,
        r.cable_check,
        r.isolation,
        r.output_on,
        r.voltage_limited,
        r.current_limited,
        r.power_limited,
    )


CYCLIC: dict[type[Any], Callable[[Any], tuple[Any, ...]]] = {
    EvseInputs: _evse,
    PevInputs: _pev,
    PowerReport: _power,
    InletReport: _inlet,
    Heartbeat: lambda h: (h.phase,),
    SetOutput: lambda s: (round(s.voltage_v), round(s.current_a), s.on),
}
"""Cyclic kinds, and what in them counts as news: 1 V, 1 A, 0.1 % SoC, every flag."""


class Recorder:
    """Passes records on to `write(now, node, direction, item, repeats)`."""

    def __init__(self, write: Callable[[float, str, str, Any, int], None]) -> None:
        self._write = write
        self._last: dict[tuple[str, str, type[Any]], tuple[tuple[Any, ...], float, int]] = {}

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
        if last is not None and last[0] == news and now - last[1] < FOLD_S:
            self._last[key] = (news, last[1], last[2] + 1)
            return
        self._last[key] = (news, now, 0)
        self._write(now, node, direction, item, last[2] if last else 0)
