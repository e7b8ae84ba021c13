"""A vehicle unit rests while nothing is plugged in: a few periods, a pause, a few periods (core).

Theory of operation. With an empty inlet nothing can happen for which five milliseconds matter; so
after `BURST` ordinary periods in which the core may rest the loop pauses, until the pause is over
or an edge of the pilot wakes it. A burst is long enough for the converter to measure everything
anew. As soon as the core may not rest (a plug shows on PP, anything moves) every period is run.

While it rests the external watchdog is not fed: its chain is open, and nothing could close. It is
fed again from the first period that is no rest any more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

BURST = 8
"""Periods in a row: a converter with two inputs has measured each of them several times."""
WARM = 3
"""Of these so many only read: nothing is decided on what was measured before the pause."""
NS = 1_000_000_000


class Rest:
    """Tells a period when its next instant is; `wait(at_ns)` pauses, and returns the time then."""

    def __init__(self, pause_s: float, wait: Callable[[int], int]) -> None:
        self.resting = False
        """The last periods were part of a rest."""
        self.pauses = 0
        self.woken = 0
        """Pauses that something ended early."""
        self._pause_ns = round(pause_s * NS)
        self._wait = wait
        self._periods_left = BURST

    @property
    def warming(self) -> bool:
        """The first periods after a pause: what is read is from before it."""
        return self.resting and self._periods_left > BURST - WARM

    def next_due(self, due_ns: int, *, allowed: bool) -> int:
        """Return when the next period is due; pauses before, if it is time for that."""
        if not allowed:
            self.resting, self._periods_left = False, BURST
            return due_ns
        self._periods_left -= 1
        if self._periods_left > 0:
            return due_ns
        self.resting, self._periods_left = True, BURST
        self.pauses += 1
        until_ns = due_ns + self._pause_ns
        at_ns = self._wait(until_ns)
        if at_ns < until_ns:
            self.woken += 1
            return at_ns
        return until_ns
