"""A fixed period in named sections, kept to absolute instants, with its lateness measured (core).

Theory of operation. Instant n of a period p is start + n*p, whatever happened before: a late period
shifts no later one. After a period that ended behind the next instant, all instants that are past
are skipped and counted (an overrun); nothing runs twice to catch up. Each section is timed, so an
overrun has a name: the section that took longest, or the machine, if waking us took longer still.

Lateness is how long after its instant a period began. It is counted in buckets of 6 % that are all
there from the start: percentiles over months without a byte of growth. Nothing here allocates in
proportion to time, reads a clock or sleeps: the clock is given.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

NS = 1_000_000_000
WAKE_UP = "the machine, which woke it late"
"""Culprit of an overrun in which no section took as long as the wake-up was late."""

HALFWAY = "what runs half way"
"""Culprit of an overrun: what is called in the middle of a period."""


class PeriodClock(Protocol):
    """What keeps the time of a period, in whole nanoseconds of the monotonic clock."""

    def now_ns(self) -> int:
        """Nanoseconds."""

    def sleep_until(self, at_ns: int) -> bool:
        """Sleep to an absolute instant; False: a signal ended the sleep early."""


class Lateness:
    """A histogram with fixed buckets: whole microseconds up to 32, then 16 for each doubling."""

    _BUCKETS = 416
    """Enough for half a minute; later than that counts as that."""

    def __init__(self) -> None:
        self._counts = array("Q", bytes(8 * self._BUCKETS))
        self.count = 0
        self.worst_ns = 0

    def add(self, late_ns: int) -> None:
        """Count one; before its instant counts as on time."""
        late_us = late_ns // 1000 if late_ns > 0 else 0
        shift = max(late_us.bit_length() - 5, 0)
        self._counts[min(shift * 16 + (late_us >> shift), self._BUCKETS - 1)] += 1
        self.count += 1
        if late_ns > self.worst_ns:
            self.worst_ns = late_ns

    def percentiles_s(self, *percents: float) -> list[float]:
        """Lateness that so many percent of the periods did not exceed; `percents` rise.

        Rounded up to the end of a bucket.
        """
        found: list[float] = []
        seen = 0
        for index, count in enumerate(self._counts):
            if not count:
                continue
            seen += count
            while len(found) < len(percents) and seen >= self.count * percents[len(found)] / 100.0:
                found.append(min(self._end_ns(index), self.worst_ns) / NS)
        return found or [0.0] * len(percents)

    @staticmethod
    def _end_ns(index: int) -> int:
        shift = max(index // 16 - 1, 0)
        return ((index - shift * 16 + 1) << shift) * 1000


class PeriodLoop:
    """Runs its sections once a period, in order, until `stop`."""

    def __init__(
        self,
        period_s: float,
        sections: Sequence[tuple[str, Callable[[float], object]]],
        clock: PeriodClock,
        halfway: Callable[[float], object] | None = None,
        rest: Callable[[int], int] | None = None,
    ) -> None:
        """`sections` are (name, what runs with the time in seconds).

        `halfway` runs half a period after the instant, or after the sections if they took longer.
        `rest` is given the next instant after each period, and may put it off (and pause).
        """
        self.period_ns = round(period_s * NS)
        self.lateness = Lateness()
        self.periods = 0
        self.skipped = 0
        """Instants without a period, because the one before ended too late."""
        self.overruns = 0
        """Periods that ended too late, however many instants they cost."""
        self.culprit = ""
        """What took longest in the last of them, and how long; empty while there was none."""
        self.worst = ""
        """The same of the worst of them since `forget_worst`."""
        self._worst_ns = 0
        self._sections = tuple(sections)
        self._halfway = halfway
        self._rest = rest
        self._clock = clock
        self._due_ns = 0
        self._running = False

    def run(self) -> None:
        """Run from now on until `stop`; an exception of a section ends it."""
        self.start()
        while self._running:
            self.turn()

    def start(self) -> None:
        """Let the first instant be one period from now."""
        self._running = True
        self._due_ns = self._clock.now_ns() + self.period_ns

    def stop(self) -> None:
        """Leave `run` after the present period; may be called by a signal's handler."""
        self._running = False

    def turn(self) -> bool:
        """Wait for the next instant and run one period; False: a signal came, nothing ran."""
        clock, due_ns = self._clock, self._due_ns
        if not clock.sleep_until(due_ns):
            return False
        at_ns = clock.now_ns()
        longest_ns = at_ns - due_ns
        longest = WAKE_UP
        self.lateness.add(longest_ns)
        for name, run in self._sections:
            run(at_ns / NS)
            began_ns, at_ns = at_ns, clock.now_ns()
            if at_ns - began_ns > longest_ns:
                longest, longest_ns = name, at_ns - began_ns
        half_ns = due_ns + self.period_ns // 2
        if self._halfway is not None and clock.sleep_until(half_ns):
            began_ns = clock.now_ns()
            late_ns = began_ns - max(half_ns, at_ns)
            if late_ns > longest_ns:
                longest, longest_ns = WAKE_UP, late_ns
            self._halfway(began_ns / NS)
            at_ns = clock.now_ns()
            if at_ns - began_ns > longest_ns:
                longest, longest_ns = HALFWAY, at_ns - began_ns
        self.periods += 1
        self._due_ns = due_ns + self.period_ns
        if at_ns >= self._due_ns:
            self._skip(at_ns, longest, longest_ns)
        if self._rest is not None:
            self._due_ns = self._rest(self._due_ns)
        return True

    def _skip(self, at_ns: int, longest: str, longest_ns: int) -> None:
        missed = (at_ns - self._due_ns) // self.period_ns + 1
        self._due_ns += missed * self.period_ns
        self.skipped += missed
        self.overruns += 1
        self.culprit = f"{longest} ({longest_ns / 1e6:.1f} ms)"
        if longest_ns > self._worst_ns:
            self.worst, self._worst_ns = self.culprit, longest_ns

    def forget_worst(self) -> None:
        """Let the worst overrun be that of the time from now on."""
        self.worst, self._worst_ns = "", 0
