"""How far time goes with each step of a simulated site (core).

A step is one realtime period. While an AC charge just goes on, hours of it, a step is as many
periods as no process notices: the realtime processes have each step first, so the heartbeat that
they look at is one step old, and the step is shorter than what a heartbeat is fresh for (60 ms).
Steps double on the way there: each process has a heartbeat's time to get into the new stride.
"""

from __future__ import annotations

QUIET_S = 1.0
"""Session time without an event after which an AC charge counts as just going on."""
QUIET_STEP_S = 0.045


class Pace:
    """Counts the steps of a site whose clock is its own."""

    def __init__(self, step_s: float) -> None:
        self.step_s = step_s
        self.stride = 1
        """Periods that the present step is long."""
        self._longest = max(1, int(QUIET_STEP_S / step_s))
        self._periods = 0
        self._event_at = 0.0

    def touch(self, now: float) -> None:
        """Note that something discrete has happened."""
        self._event_at = now

    def is_quiet(self, now: float, *, steady: bool) -> bool:
        """Say whether nothing has happened for a while; `steady`: nothing moves either."""
        return steady and now - self._event_at > QUIET_S

    def step(self, *, quiet: bool) -> float:
        """Make a step; returns seconds since the start."""
        self.stride = min(2 * self.stride, self._longest) if quiet else 1
        self._periods += self.stride
        return self._periods * self.step_s
