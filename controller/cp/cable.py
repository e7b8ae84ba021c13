"""The cable in a socket outlet (core): what its PP resistor says it may carry.

IEC 61851-1 Table B.2: between PP and PE of the plug sits a resistor that codes the rating of the
cable. The table's bands have gaps; there the smaller of the two ratings counts. Below 60 and above
4500 ohm there is no cable, or no whole one, and no current at all. A reading is believed after
0.1 s: until then, the rating that was believed before holds.
"""

from __future__ import annotations

from math import inf

RATINGS = (
    # up to ohm, rated A    band of the table
    (140.0, 63.0),  # 100 ohm: 80 to 140
    (308.0, 32.0),  # 220 ohm: 164 to 308
    (936.0, 20.0),  # 680 ohm: 400 to 936
    (4500.0, 13.0),  # 1500 ohm: 1100 to 2460
)
LOWEST_OHM = 60.0
HIGHEST_OHM = RATINGS[-1][0]
STEADY_S = 0.1
"""Own figure: a plug that is being pushed in touches more than once."""


def rated_current_a(ohm: float) -> float:
    """Return the rating that a PP resistor codes; 0 for none, or for no number."""
    if not LOWEST_OHM <= ohm <= HIGHEST_OHM:
        return 0.0
    return next(rated_a for highest, rated_a in RATINGS if ohm <= highest)


class CableWatch:
    """Turns PP readings into the rating that is believed: `rated_a`, 0 while there is none."""

    def __init__(self) -> None:
        self.rated_a = 0.0
        self.ohm = inf
        """The latest reading."""
        self._candidate_a = 0.0
        self._since = -inf
        self._taken_at = -inf

    @property
    def is_pending(self) -> bool:
        """Whether the readings say something else than what is believed."""
        return self._candidate_a != self.rated_a

    def receive_sample(self, ohm: float, taken_at: float) -> None:
        """Take one reading; one that was seen before proves nothing."""
        if not taken_at > self._taken_at:
            return
        self._taken_at, self.ohm = taken_at, ohm
        rated_a = rated_current_a(ohm)
        if rated_a != self._candidate_a:
            self._candidate_a, self._since = rated_a, taken_at
        if taken_at - self._since >= STEADY_S:
            self.rated_a = rated_a
