"""Recognises B-C-B toggles (core): a vehicle's short signal that is no wish for power.

By them a vehicle proves that it hangs at this cable (ISO 15118-3 validation) or says that it woke
up: state C for 200 to 400 ms. Who asks for power stays in C; the interlock waits for that.
"""

from __future__ import annotations

from math import inf

from controller.cp import timing
from controller.cp.levels import POWER_LEVELS, Level
from controller.signals import BcbToggled


class BcbWatch:
    """Turns believed levels into `BcbToggled`."""

    __slots__ = ("_count", "_first_at", "_from_b", "power_since")

    def __init__(self) -> None:
        self.power_since = inf
        """Since when the vehicle is in C or D; infinite while it is not."""
        self._from_b = False
        self._first_at = -inf
        self._count = 0

    def level_changed(self, before: Level | None, after: Level, at: float) -> BcbToggled | None:
        """Take a change of the believed level; return the toggle that has ended with it."""
        if after in POWER_LEVELS:
            if before not in POWER_LEVELS:
                self.power_since, self._from_b = at, before is Level.B
            return None
        lasted_s, self.power_since = at - self.power_since, inf
        if after is not Level.B:
            self._count = 0
            return None
        if not self._from_b or not timing.BCB_SHORTEST_S <= lasted_s <= timing.BCB_LONGEST_S:
            return None
        if self._count == 0 or at - self._first_at > timing.BCB_SERIES_S:
            self._first_at, self._count = at - lasted_s, 0
        self._count += 1
        return BcbToggled(lasted_s, self._count)
