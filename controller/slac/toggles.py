"""Counts the B-C-B toggles by which a vehicle proves that it hangs at this cable (CM_VALIDATE).

Somebody at the neighbouring outlet hears our powerline, but cannot move our control pilot. So the
vehicle switches S2 on and off, 200 to 400 ms each, and asks how often we saw it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from controller.slac import timing

if TYPE_CHECKING:
    from controller.signals import PilotChanged

SHORTEST_S = timing.TP_EV_VALD_STATE_SHORTEST_S - timing.EVSE_VALD_EARLY_S
LONGEST_S = timing.TP_EV_VALD_STATE_LONGEST_S + timing.EVSE_VALD_LATE_S


class PilotToggles:
    """The pilot as the validation sees it; one for all runs, because there is one cable."""

    def __init__(self) -> None:
        self.known = False
        """A pilot was seen at all: without one nothing can be validated."""
        self.counted = 0
        self._letter = ""
        self._closed_at: float | None = None

    def receive_signal(self, signal: PilotChanged, now: float) -> None:
        """Take a change of the pilot."""
        self.known = True
        letter = signal.state.letter
        if letter == self._letter:
            return
        if letter == "C" and self._letter == "B":
            self._closed_at = now
        elif self._closed_at is not None:
            was_s = now - self._closed_at
            self.counted += letter == "B" and SHORTEST_S <= was_s <= LONGEST_S
            self._closed_at = None
        self._letter = letter

    def restart(self, now: float) -> None:
        """Count from 0; a C that is already there counts if it is as old as the request can be."""
        self.counted = 0
        if self._closed_at is not None and now - self._closed_at > timing.T_VALD_DETECT_TIME_S:
            self._closed_at = None
