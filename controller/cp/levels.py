"""Pilot levels (core): which letter a voltage means, and when a reading is believed.

`classify` is pure: voltage and previous letter in, letter out. In the gap between two bands the
previous letter stays if it is one of the two neighbours; coming from further away the neighbour
that permits less wins. A voltage outside every band (above 13 V, below -13 V, not a number) is
letter E: nothing may be powered.

`Debounce` believes a letter by time (see `timing`). It is plain code: it runs every period.
"""

from __future__ import annotations

from enum import Enum
from math import inf

from controller.cp import limits, timing


class Level(Enum):
    """The letter of a pilot state: what the voltage alone says."""

    A = "A"
    B = "B"
    C = "C"
    D = "D"
    E = "E"
    F = "F"


POWER_LEVELS = (Level.C, Level.D)
"""The letters in which a vehicle asks for power."""
VEHICLE_LEVELS = (Level.B, *POWER_LEVELS)
"""The letters in which a vehicle is there."""

_BANDS: tuple[tuple[Level, tuple[float, float]], ...] = (  # from the highest voltage down
    (Level.A, limits.LEVEL_A_V),
    (Level.B, limits.LEVEL_B_V),
    (Level.C, limits.LEVEL_C_V),
    (Level.D, limits.LEVEL_D_V),
    (Level.E, limits.LEVEL_E_V),
    (Level.F, limits.LEVEL_F_V),
)

# In a gap, coming from neither neighbour: A|B -> B keeps the connector locked, B|C -> B does not
# charge, C|D -> D asks for more (ventilation), D|E -> E and E|F -> E do not charge.
_GAP_CHOICE: dict[tuple[Level, Level], Level] = {
    (Level.A, Level.B): Level.B,
    (Level.B, Level.C): Level.B,
    (Level.C, Level.D): Level.D,
    (Level.D, Level.E): Level.E,
    (Level.E, Level.F): Level.E,
}


def classify(high_v: float, previous: Level | None) -> Level:
    """Return the letter for the voltage of the high phase (or the steady level)."""
    above: Level | None = None
    for level, (low, high) in _BANDS:
        if high_v > high:
            return _in_gap(above, level, previous)
        if high_v >= low:
            return level
        above = level
    return Level.E  # below every band, or not a number


def _in_gap(above: Level | None, below: Level, previous: Level | None) -> Level:
    if above is None:  # higher than the generator can be
        return Level.E
    if previous is above or previous is below:
        return previous
    return _GAP_CHOICE[above, below]


def keep_band(level: Level) -> tuple[float, float]:
    """Open interval of voltages in which a letter certainly stays (its band and both gaps)."""
    index = next(i for i, (name, _) in enumerate(_BANDS) if name is level)
    highest = _BANDS[index - 1][1][0] if index else limits.LEVEL_A_V[1]
    lowest = _BANDS[index + 1][1][1] if index + 1 < len(_BANDS) else limits.LEVEL_F_V[0]
    return lowest, highest


def negative_peak_ok(low_v: float) -> bool:
    """Return whether the low phase reaches -12 V, as it does behind a vehicle's diode."""
    low, high = limits.NEGATIVE_PEAK_V
    return low <= low_v <= high


class Debounce:
    """Believes a level by time; counts what turned out to be a glitch."""

    __slots__ = ("_away_since", "_candidate", "_last_other", "_since", "glitches", "level")

    def __init__(self) -> None:
        self.level: Level | None = None
        self.glitches = 0
        self._candidate: Level | None = None
        self._since = -inf
        self._away_since = inf
        self._last_other: Level | None = None

    @property
    def is_pending(self) -> bool:
        """Whether a reading disagreed and the matter is not settled."""
        return self._candidate is not None

    @property
    def give_up_at(self) -> float | None:
        """When C or D ends if no further reading comes, or None (D does not end in C like that)."""
        candidate = self._candidate
        if candidate is None or candidate is Level.C or candidate is self.level:
            return None
        return self._away_since + timing.UNSTEADY_S if self.level in POWER_LEVELS else None

    def put(self, level: Level, at: float) -> bool:
        """Take one reading; return True when the believed level changed."""
        if self._candidate is None:
            if level is self.level:
                return False
            self._away_since = at
        if level is not self._candidate:
            if self._candidate is not None and self._candidate is not self.level:
                self.glitches += 1
            self._candidate, self._since = level, at
        if level is not self.level:
            self._last_other = level
        if at - self._since >= timing.DEBOUNCE_S:
            return self._settle(level)
        return self.expire(at)

    def expire(self, now: float) -> bool:
        """Leave C or D when it is no longer certain; return True when the level changed.

        Only these, and never for C: an unsteady pilot must not lead to more than there was.
        """
        if self.level not in POWER_LEVELS or self._last_other is None:
            return False
        if now < self._away_since + timing.UNSTEADY_S or self._last_other is Level.C:
            return False
        return self._settle(self._last_other)

    def _settle(self, level: Level) -> bool:
        changed = level is not self.level
        self.level = level
        self._candidate = self._last_other = None
        self._away_since = inf
        return changed
