"""What a line carries over time: steady, pulses, a pattern, or one and then another (core).

A course is worked out where someone looks, never run: a pin with a 1 kHz pilot on it costs nothing
until its level is read or its edges are asked for. Times are whole nanoseconds of the loop's clock.

Edges come as (time, level), in order, each a real change; `edges(after, until)` has those with
after < time <= until, and `level` at an edge's time is the level after it.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import Protocol

NS = 1_000_000_000
"""Nanoseconds in a second."""
Edge = tuple[int, int]


def to_ns(now: float) -> int:
    """Seconds of the loop as whole nanoseconds."""
    return round(now * NS)


class Course(Protocol):
    """The level of a line at every time."""

    def level(self, at: int) -> int:
        """0 or 1."""

    def edges(self, after: int, until: int) -> list[Edge]:
        """Every change with after < time <= until."""

    def next_edge(self, after: int) -> int | None:
        """When something may change first after `after`; None: never."""

    def settled(self, at: int) -> Course:
        """This course without what lies before `at`."""


@dataclass(frozen=True, slots=True)
class Steady:
    """The same level at all times."""

    value: int

    def level(self, at: int) -> int:
        """The level."""
        return self.value

    def edges(self, after: int, until: int) -> list[Edge]:
        """None."""
        return []

    def next_edge(self, after: int) -> int | None:
        """Never."""
        return None

    def settled(self, at: int) -> Course:
        """Itself."""
        return self


LOW, HIGH = Steady(0), Steady(1)
STEADY = (LOW, HIGH)


@dataclass(frozen=True, slots=True)
class Pulses:
    """High for `high` nanoseconds from the start of every period, without beginning or end."""

    start: int
    period: int
    high: int
    """0 < high < period"""

    def level(self, at: int) -> int:
        """Where in the period."""
        return 1 if (at - self.start) % self.period < self.high else 0

    def edges(self, after: int, until: int) -> list[Edge]:
        """Two in each period."""
        start, period, high = self.start, self.period, self.high
        found: list[Edge] = []
        begin = start + (after - start) // period * period
        while begin <= until:
            if begin > after:
                found.append((begin, 1))
            if after < begin + high <= until:
                found.append((begin + high, 0))
            begin += period
        return found

    def next_edge(self, after: int) -> int | None:
        """End of the pulse or start of the next."""
        phase = (after - self.start) % self.period
        return after - phase + (self.high if phase < self.high else self.period)

    def settled(self, at: int) -> Course:
        """Itself."""
        return self


def pulses(start: int, period: int, high: int) -> Course:
    """Pulses, or the steady level that a duty cycle of none or all means."""
    if high <= 0:
        return LOW
    return HIGH if high >= period else Pulses(start, period, high)


@dataclass(frozen=True, slots=True)
class Pattern:
    """Changes at given times after `start`; with a `period` again and again."""

    start: int
    changes: tuple[Edge, ...]
    """(nanoseconds after the start, level), ascending, at least one, each a change."""
    period: int = 0
    """0: once, and then the last level for good."""

    def level(self, at: int) -> int:
        """By the last change; before the first one as if the pattern had run before."""
        phase = at - self.start
        if self.period:
            phase %= self.period
        index = bisect_right(self.changes, (phase, 2)) - 1
        if index < 0 and not self.period:
            return 1 - self.changes[0][1]
        return self.changes[index][1]

    def edges(self, after: int, until: int) -> list[Edge]:
        """All of them, over as many periods as there are."""
        if not self.period:
            return self._within(self.start, after, until)
        found: list[Edge] = []
        begin = self.start + (after - self.start) // self.period * self.period
        while begin <= until:
            found += self._within(begin, after, until)
            begin += self.period
        # Where a period ends as it begins, the first change is none.
        return [edge for edge in found if edge[1] != self.level(edge[0] - 1)]

    def _within(self, begin: int, after: int, until: int) -> list[Edge]:
        first = bisect_right(self.changes, (after - begin, 2))
        last = bisect_right(self.changes, (until - begin, 2))
        return [(begin + offset, level) for offset, level in self.changes[first:last]]

    def next_edge(self, after: int) -> int | None:
        """The next change."""
        phase = after - self.start
        if self.period:
            phase %= self.period
        index = bisect_right(self.changes, (phase, 2))
        if index < len(self.changes):
            return after - phase + self.changes[index][0]
        return after - phase + self.period + self.changes[0][0] if self.period else None

    def settled(self, at: int) -> Course:
        """The last level, once the pattern is over."""
        if self.period or at - self.start < self.changes[-1][0]:
            return self
        return STEADY[self.changes[-1][1]]


@dataclass(frozen=True, slots=True)
class Switched:
    """One course before `at`, another from then on.

    What comes before is often switched itself, as often as somebody changed his mind; so nothing
    here goes down that chain by recursion.
    """

    before: Course
    at: int
    after: Course

    def level(self, at: int) -> int:
        """Of whichever holds."""
        course: Course = self
        while isinstance(course, Switched):
            if at >= course.at:
                return course.after.level(at)
            course = course.before
        return course.level(at)

    def edges(self, after: int, until: int) -> list[Edge]:
        """Of each while it holds, and those between."""
        first, switches = self._since(after)
        found: list[Edge] = []
        holds, begin = first, after
        for switch in switches:
            if switch.at > until:
                break
            found += holds.edges(begin, switch.at - 1)
            level = switch.after.level(switch.at)
            if level != holds.level(switch.at - 1):
                found.append((switch.at, level))
            holds, begin = switch.after, switch.at
        return found + holds.edges(begin, until)

    def next_edge(self, after: int) -> int | None:
        """Of whichever holds, or the change from one to the other."""
        first, switches = self._since(after)
        edge = first.next_edge(after)
        if not switches:
            return edge
        return switches[0].at if edge is None else min(edge, switches[0].at)

    def settled(self, at: int) -> Course:
        """What follows, once it holds."""
        first, switches = self._since(at)
        course = first.settled(at)
        if switches and course is switches[0].before:
            return self
        for switch in switches:
            course = Switched(course, switch.at, switch.after)
        return course

    def _since(self, at: int) -> tuple[Course, list[Switched]]:
        """What holds at a time, and the switches after it in order, each later than the one before.

        A switch that was overtaken by an earlier one never comes to be.
        """
        switches: list[Switched] = []
        course: Course = self
        while isinstance(course, Switched):
            if at >= course.at:
                course = course.after
                break
            if not switches or course.at < switches[-1].at:
                switches.append(course)
            course = course.before
        switches.reverse()
        return course, switches


@dataclass(frozen=True, slots=True)
class Inverted:
    """The opposite of another course: an input that is active low."""

    of: Course

    def level(self, at: int) -> int:
        """The opposite."""
        return 1 - self.of.level(at)

    def edges(self, after: int, until: int) -> list[Edge]:
        """At the same times."""
        return [(at, 1 - level) for at, level in self.of.edges(after, until)]

    def next_edge(self, after: int) -> int | None:
        """At the same time."""
        return self.of.next_edge(after)

    def settled(self, at: int) -> Course:
        """Itself, or the steady opposite."""
        inner = self.of.settled(at)
        if isinstance(inner, Steady):
            return STEADY[1 - inner.value]
        return self if inner is self.of else Inverted(inner)


def sampled(course: Course, after: int, until: int, origin: int, step: int) -> list[Edge]:
    """What a sampler with a period of `step` sees: changes from one sample to the next.

    Samples are at origin + n * step; those with after < time <= until are looked at. Pulses
    between two samples are not seen. Times are those of the samples.
    """
    first = after - (after - origin) % step + step
    if first > until:
        return []
    level = course.level(first - step)
    if _is_dense(course, step):
        return _looked_at(course, range(first, until + 1, step), level)
    seen: list[Edge] = []
    for at, new in course.edges(first - step, until):
        sample = at + (origin - at) % step
        if sample > until:
            break
        if seen and seen[-1][0] == sample:
            seen.pop()  # back again before anybody looked
        else:
            seen.append((sample, new))
    return seen


def _looked_at(course: Course, times: range, level: int) -> list[Edge]:
    found: list[Edge] = []
    for at in times:
        new = course.level(at)
        if new != level:
            found.append((at, new))
            level = new
    return found


def _is_dense(course: Course, step: int) -> bool:
    """Say whether there are several edges in one sampling period, again and again."""
    if isinstance(course, Pulses):
        return course.period < 2 * step
    if isinstance(course, Pattern):
        return bool(course.period) and course.period < step * len(course.changes)
    while isinstance(course, Switched):
        if _is_dense(course.after, step):
            return True
        course = course.before
        if not isinstance(course, Switched):
            return _is_dense(course, step)
    return isinstance(course, Inverted) and _is_dense(course.of, step)
