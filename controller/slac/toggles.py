"""Counts the B-C-B toggles by which a vehicle proves that it hangs at this cable (CM_VALIDATE).

Somebody at the neighbouring outlet hears our powerline, but cannot move our control pilot. So the
vehicle switches S2 on and off, 200 to 400 ms each, and asks how often we saw it.

The hard-timed half recognises toggles where the pilot is sampled (`BcbToggled`); that counts, even
if the two `PilotChanged` of it were on their way to us for so long that they seem too far apart or
too close. Without it, or if it finds a toggle out of bounds that a slow detection may have
stretched, the changes themselves decide.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from controller.signals import BcbToggled
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
        self._restarted_at = -inf
        self._is_uncounted = False
        """The toggle that just ended was not counted by its changes."""

    def receive_signal(self, signal: PilotChanged | BcbToggled, now: float) -> None:
        """Take a change of the pilot, or what the pilot core makes of it."""
        if isinstance(signal, BcbToggled):
            began_at = now - signal.duration_s
            in_time = began_at >= self._restarted_at - timing.T_VALD_DETECT_TIME_S
            self.counted += self._is_uncounted and in_time
            self._is_uncounted = False
            return
        self.known = True
        letter = signal.state.letter
        if letter == self._letter:
            return
        if letter == "C" and self._letter == "B":
            self._closed_at = now
        elif self._letter == "C":
            counts = (
                letter == "B"
                and self._closed_at is not None
                and SHORTEST_S <= now - self._closed_at <= LONGEST_S
            )
            self.counted += counts
            self._closed_at, self._is_uncounted = None, not counts
        self._letter = letter

    def restart(self, now: float) -> None:
        """Count from 0; a C that is already there counts if it is as old as the request can be."""
        self.counted = 0
        self._restarted_at = now
        if self._closed_at is not None and now - self._closed_at > timing.T_VALD_DETECT_TIME_S:
            self._closed_at = None
