"""Duty cycle and frequency of a pilot from the times of its edges (core).

Theory of operation. Somebody stamps every edge of the logic level behind the vehicle's diode: the
pigpio daemon in microseconds of 32 bits that wrap after 71.6 minutes, sampled every 5 us, or the
kernel's GPIO character device. `EdgeMeter` takes edges (`edge`) and the news that there was none
(`quiet`), all in the time of whoever stamps, and keeps the last cycles, rising to rising edge.

What is no pilot is taken out in this order: a pulse shorter than `GLITCH_US` (both its edges), a
cycle with a lost edge, a cycle whose period is far from the median of the window. Of the rest the
duty is the mean of those near the median, so a step of the duty is seen as a step, half a window
later, and never as values between that nobody drove. Without an edge for a few periods the line is
steady, high or low; edges without a rhythm are `IRREGULAR`. Whether a frequency is that of a pilot
is judged by `pev`, not here.

A meter never says more than it has heard of: `heard_at_us` is the latest time it knows about, and
`TickClock` says when that was by the own clock.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import Enum
from math import inf

from controller.cp import limits
from controller.signals import DUTY_STEADY_HIGH, DUTY_STEADY_LOW, DutyCycle

WINDOW_CYCLES = 11
"""Cycles that are looked at. Odd, so that a median is a cycle that was there. With stamps that are
5 us apart the frequency is exact to 0.05 %."""
FEWEST_CYCLES = 3
"""Fewer alike than this are no measurement."""
GLITCH_US = 15
"""A pulse shorter than this is noise: the shortest that means anything is 30 us (3 or 97 %)."""
STEADY_US = 3500
"""No edge for longer than this (three and a half periods): the line is steady."""
STARTING_US = 5000
"""So long after steady the line counts as steady: the first cycles take it to be measured."""
OLDEST_CYCLE_US = 25_000
"""A cycle that ended longer ago says nothing about now, even if no newer one was whole."""
PERIOD_SPREAD = 0.05
"""Cycles within this share of the median period are of one rhythm: 50 us is far more than stamps
of either kind jitter, and far less than half a cycle."""
HIGH_SPREAD_US = 12.0
"""High times this near to their median are averaged: two steps of the 5 us sampling and some."""
TICK_BITS = 32
"""The pigpio daemon's microseconds wrap at 2**32."""

_LOWEST_HZ = limits.FREQUENCY_HZ[0] - limits.FREQUENCY_ERROR_HZ
_HIGHEST_HZ = limits.FREQUENCY_HZ[1] + limits.FREQUENCY_ERROR_HZ


class Line(Enum):
    """What the line does."""

    UNKNOWN = "unknown"  # nothing heard of it yet
    LOW = "steady low"
    HIGH = "steady high"
    OSCILLATING = "oscillating"
    IRREGULAR = "irregular"  # edges, but no rhythm


@dataclass(frozen=True, slots=True)
class Timing:
    """What was measured, and up to when."""

    line: Line
    duty: DutyCycle
    """1 and 0 while steady; 0 without a measurement."""
    frequency_hz: float
    """0 unless oscillating."""
    heard_at_us: float
    """Latest time, of whoever stamps, that this is known of."""
    measured_at_us: float
    """End of the last cycle of the rhythm; equal to `heard_at_us` unless oscillating."""

    @property
    def age_us(self) -> float:
        """How long before the latest news the last cycle ended."""
        return self.heard_at_us - self.measured_at_us


class EdgeMeter:
    """One line; `wraps` for stamps of 32 bits, `glitch_us` 0 to believe every pulse."""

    def __init__(self, *, wraps: bool = False, glitch_us: float = GLITCH_US) -> None:
        self.glitches = 0
        """Pulses that were too short."""
        self.missed = 0
        """Edges that must have been there and were not told of."""
        self._mask = (1 << TICK_BITS) - 1 if wraps else 0
        self._glitch_us = glitch_us
        self._stamp: float | None = None
        self._heard_us = 0.0
        self._level: int | None = None
        """After the latest edge, be it a glitch's or not."""
        self._settled: int | None = None
        """After the latest edge that is no glitch's."""
        self._edge_us: float | None = None
        """The latest edge while it may still turn out to be a glitch's."""
        self._settled_us = 0.0
        self._rise_us: float | None = None
        self._fall_us: float | None = None
        self._cycles: deque[tuple[float, float, float]] = deque(maxlen=WINDOW_CYCLES)
        """End, period, high time."""
        self._steady = Line.UNKNOWN
        """What the line did before the present edges began."""
        self._began_us = 0.0
        self._timing: Timing | None = None

    # --- news ------------------------------------------------------------------------------------

    def edge(self, level: int, stamp: float) -> None:
        """Take an edge: the level after it, and its time in us."""
        at = self._time(stamp)
        pending = self._edge_us
        if pending is not None and self._level is not None:
            if at - pending >= self._glitch_us:
                self._settle(self._level, pending)
            elif level != self._level:
                self.glitches += 1
                self._edge_us, self._level = None, level
                return
        if at - self._settled_us > STEADY_US:
            self._end_rhythm(at)
        if level == self._level:
            self._miss(level)
        self._edge_us, self._level = at, level

    def quiet(self, level: int | None, stamp: float) -> None:
        """Take the news that there was no edge up to this time, and the level then if known."""
        at = self._time(stamp)
        pending = self._edge_us
        if pending is not None and self._level is not None and at - pending >= self._glitch_us:
            self._settle(self._level, pending)
            self._edge_us = None
        if level is not None and level != self._level:
            if self._level is not None:
                self._miss(level)
            self._level = self._settled = level
            self._settled_us, self._edge_us = at, None

    def lost(self) -> None:
        """Take the news that edges were lost: the cycle they were in is none."""
        self.missed += 1
        self.level_unknown()

    def level_unknown(self) -> None:
        """Nobody listened for a while: the next edge, or `quiet`, tells the level."""
        self._rise_us = self._fall_us = self._edge_us = None
        self._level = None
        self._timing = None

    @property
    def heard_at_us(self) -> float:
        """Latest time, of whoever stamps, that news came of."""
        return self._heard_us

    @property
    def level(self) -> int | None:
        """After the latest edge; None while that is not known."""
        return self._level

    # --- the measurement -------------------------------------------------------------------------

    def timing(self) -> Timing:
        """Return what is known now."""
        if self._timing is None:
            self._timing = self._measure()
        return self._timing

    def _measure(self) -> Timing:
        heard = self._heard_us
        if self._settled is None:
            return Timing(Line.UNKNOWN, DUTY_STEADY_LOW, 0.0, heard, heard)
        if heard - self._settled_us > STEADY_US:
            self._end_rhythm(heard)
        cycles = self._cycles
        while cycles and heard - cycles[0][0] > OLDEST_CYCLE_US:
            cycles.popleft()
        if len(cycles) >= FEWEST_CYCLES:
            return self._rhythm()
        if heard - self._began_us <= STARTING_US:
            return self._as_steady(self._steady)
        return Timing(Line.IRREGULAR, DUTY_STEADY_LOW, 0.0, heard, heard)

    def _as_steady(self, line: Line) -> Timing:
        duty = DUTY_STEADY_HIGH if line is Line.HIGH else DUTY_STEADY_LOW
        return Timing(line, duty, 0.0, self._heard_us, self._heard_us)

    def _rhythm(self) -> Timing:
        cycles = self._cycles
        middle = sorted(period for _, period, _ in cycles)[len(cycles) // 2]
        spread = middle * PERIOD_SPREAD
        alike = [c for c in cycles if -spread <= c[1] - middle <= spread]
        if len(alike) < FEWEST_CYCLES or 2 * len(alike) <= len(cycles):
            heard = self._heard_us
            return Timing(Line.IRREGULAR, DUTY_STEADY_LOW, 0.0, heard, heard)
        period_us = sum(c[1] for c in alike) / len(alike)
        median = sorted(c[2] for c in alike)[len(alike) // 2]
        near = [c[2] for c in alike if -HIGH_SPREAD_US <= c[2] - median <= HIGH_SPREAD_US]
        duty = sum(near) / len(near) / period_us
        return Timing(Line.OSCILLATING, duty, 1e6 / period_us, self._heard_us, alike[-1][0])

    # --- inside ----------------------------------------------------------------------------------

    def _time(self, stamp: float) -> float:
        """Return the time of a stamp, which only grows; one that goes back begins anew."""
        before, self._stamp = self._stamp, stamp
        if before is None:
            self._heard_us = self._began_us = self._settled_us = float(stamp)
        else:
            step = stamp - before
            if self._mask:
                step = int(step) & self._mask
                if step > self._mask >> 1:
                    step -= self._mask + 1
            if step < 0:
                self.lost()
            else:
                self._heard_us += step
        self._timing = None
        return self._heard_us

    def _miss(self, level: int) -> None:
        """An edge between this and the last one was not told of."""
        self.missed += 1
        self._rise_us = self._fall_us = self._edge_us = None
        self._settled = 1 - level

    def _settle(self, level: int, at: float) -> None:
        """Believe an edge."""
        self._settled, self._settled_us = level, at
        if not level:
            self._fall_us = at
            return
        if self._rise_us is not None and self._fall_us is not None:
            self._cycles.append((at, at - self._rise_us, self._fall_us - self._rise_us))
        self._rise_us, self._fall_us = at, None

    def _end_rhythm(self, at: float) -> None:
        """The line has been steady: what was before says nothing about what comes."""
        if self._settled is not None:
            self._steady = Line.HIGH if self._settled else Line.LOW
        self._cycles.clear()
        self._rise_us = self._fall_us = None
        self._began_us = at


class TickClock:
    """When a stamp was, by the own clock: news is never early, so the fastest news ever tells.

    "Ever" is the last one or two `WINDOW_S`: two crystals drift apart by 0.1 ms in a second at
    most, and whatever went wrong once is forgotten.
    """

    WINDOW_S = 5.0

    def __init__(self) -> None:
        self._before_s = self._offset_s = inf
        self._window_ends_at = -inf

    def at(self, stamp_us: float, received_at: float) -> float:
        """Return the own time of news that was received at this (own) time."""
        offset_s = received_at - stamp_us * 1e-6
        if received_at >= self._window_ends_at:
            self._window_ends_at = received_at + self.WINDOW_S
            self._before_s, self._offset_s = self._offset_s, offset_s
        self._offset_s = min(self._offset_s, offset_s)
        return stamp_us * 1e-6 + min(self._offset_s, self._before_s)


def is_pilot_frequency(frequency_hz: float) -> bool:
    """Return whether a pilot may have this frequency (a value that is no number may not)."""
    return _LOWEST_HZ <= frequency_hz <= _HIGHEST_HZ
