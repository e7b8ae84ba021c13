"""The daemon's two filters for reported levels, fed with sampled edges (core).

*Glitch*: a level is reported when it has been steady for so long, with the time at which it had
been. *Noise*: once a level was steady for so long, every change is reported for a while; then the
level from before counts again until the next such moment (so a change may be reported at the end,
which the client's manual warns of).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from controller.pigpiod.courses import Edge


class GlitchFilter:
    """Reports levels that last. Times are nanoseconds of samples."""

    def __init__(self, steady: int, level: int, at: int) -> None:
        self._steady = steady
        self.level = level
        self._last = level
        self._since = at

    def put(self, at: int, level: int) -> list[Edge]:
        """Take one change; returns what is to be reported before it."""
        # The sample at which it would have been steady is this one, and shows another level.
        found = self.expire(at) if at - self._since > self._steady else []
        self._last, self._since = level, at
        return found

    def expire(self, at: int) -> list[Edge]:
        """Say what has become steady by `at`."""
        if self._last == self.level or at - self._since < self._steady:
            return []
        self.level = self._last
        return [(self._since + self._steady, self.level)]

    def next_timer(self) -> int | None:
        """When the present level will have lasted long enough."""
        return None if self._last == self.level else self._since + self._steady


class NoiseFilter:
    """Reports for a while what happens after a steady time."""

    def __init__(self, steady: int, active: int, level: int, at: int) -> None:
        self._steady = steady
        self._active = active
        self.level = level
        """As reported."""
        self._before = level
        self._last = level
        self._changed_at = at
        self._until: int | None = None
        """End of the time in which everything is reported."""

    def put(self, at: int, level: int) -> list[Edge]:
        """Take one change."""
        found = self.expire(at)
        if self._until is None:
            quiet, self._changed_at = at - self._changed_at, at
            if quiet >= self._steady:
                self._before, self._until = self._last, at + self._active
        self._last = level
        if self._until is not None and level != self.level:
            self.level = level
            found.append((at, level))
        return found

    def expire(self, at: int) -> list[Edge]:
        """End the reporting time when it is over."""
        if self._until is None or at < self._until:
            return []
        ended_at, self._until = self._until, None
        self._changed_at = ended_at
        if self.level == self._before:
            return []
        self.level = self._before
        return [(ended_at, self.level)]

    def next_timer(self) -> int | None:
        """End of the reporting time."""
        return self._until


class PinFilter:
    """What is reported of one pin: its edges, through the filters that are set."""

    def __init__(self) -> None:
        self.steady_glitch = 0
        self.steady_noise = self.active_noise = 0
        self._glitch: GlitchFilter | None = None
        self._noise: NoiseFilter | None = None

    def restart(self, level: int, at: int) -> None:
        """Begin from this level: a filter was set, or the pin was not watched before."""
        self._glitch = GlitchFilter(self.steady_glitch, level, at) if self.steady_glitch else None
        self._noise = (
            NoiseFilter(self.steady_noise, self.active_noise, level, at)
            if self.steady_noise
            else None
        )

    @property
    def is_set(self) -> bool:
        """Whether there is anything to filter."""
        return self._glitch is not None or self._noise is not None

    def put(self, edges: list[Edge], until: int) -> list[Edge]:
        """Filter the edges up to `until`."""
        if self._glitch is not None:
            steady: list[Edge] = []
            for at, level in edges:
                steady += self._glitch.put(at, level)
            edges = steady + self._glitch.expire(until)
        if self._noise is None:
            return edges
        found: list[Edge] = []
        for at, level in edges:
            found += self._noise.put(at, level)
        return found + self._noise.expire(until)

    def next_timer(self) -> int | None:
        """When something is to be reported without a further edge."""
        timers = (part.next_timer() for part in (self._glitch, self._noise) if part is not None)
        return min((at for at in timers if at is not None), default=None)
