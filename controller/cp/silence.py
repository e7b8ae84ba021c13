"""What the pilot does when the communication process falls silent (core).

Theory of operation. With something closed the oscillator stops together with the permit; with
nothing closed a hiccup is borne a little longer, because it would cost a whole plug-in (see
`EvsePilot.communication_silent`). After a long silence the charger is not available (F), until
there are heartbeats again. A process that has just come is waited for as if it had been heard.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from controller.cp.timing import ABSENT_S, PILOT_SILENCE_S, STEP_S

if TYPE_CHECKING:
    from controller.cp.evse import EvsePilot
    from controller.signals import Output


class SilenceWatch:
    """Lets a pilot follow the heartbeat, period by period."""

    __slots__ = ("_heard_at", "_patience_s", "_pilot")

    def __init__(self, pilot: EvsePilot, patience_s: float) -> None:
        """`patience_s`: for how long a heartbeat is good while something is closed."""
        self._pilot = pilot
        self._patience_s = patience_s
        self._heard_at = -inf
        """The last sign of life, or when we began to wait for one."""

    def connected(self, now: float) -> None:
        """Take a sign of life that is no heartbeat: a new process is there."""
        self._heard_at = now
        self._pilot.listen()

    def next_timer(self, heartbeat_at: float) -> float | None:
        """When something is due with nothing closed, if no further heartbeat comes."""
        heard_at = max(self._heard_at, heartbeat_at)
        if heard_at == -inf or self._pilot.is_abandoned:
            return None
        return heard_at + (PILOT_SILENCE_S if self._pilot.is_wanted else ABSENT_S) + STEP_S

    def follow(self, heartbeat_at: float, now: float, *, closed: bool) -> list[Output]:
        """Look at the age of the last heartbeat; `closed`: something was when that age counted."""
        pilot = self._pilot
        if now - heartbeat_at <= self._patience_s:
            self._heard_at = heartbeat_at
            return [] if pilot.is_listening else pilot.communication_heard(now)
        if self._heard_at == -inf:
            self._heard_at = now
        self._heard_at = max(self._heard_at, heartbeat_at)
        silent_s = now - self._heard_at
        out: list[Output] = []
        if pilot.is_wanted and silent_s > (self._patience_s if closed else PILOT_SILENCE_S):
            out += pilot.communication_silent(now)
        if silent_s > ABSENT_S and not pilot.is_abandoned:
            out += pilot.communication_absent(now)
        return out
