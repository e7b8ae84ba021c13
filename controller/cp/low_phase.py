"""The low phase of an oscillating pilot (core): does it reach -12 V, and if not, why.

With a vehicle it proves the vehicle's diode; without one it proves the generator's negative supply.
Believed by time, like a level, and for each vehicle anew: a fault holds until it is unplugged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from controller.cp import faults, timing
from controller.cp.levels import VEHICLE_LEVELS, Level, negative_peak_ok
from controller.signals import PilotFault

if TYPE_CHECKING:
    from controller.signals import PilotSample

JUDGED_LEVELS = (Level.A, *VEHICLE_LEVELS)
"""The letters in which the low phase has to reach -12 V."""


class LowPhase:
    """Takes the readings of an oscillating pilot; `diode_ok` and `fault` are of this vehicle."""

    __slots__ = ("_bad_since", "_ok_since", "_vehicle", "diode_ok", "fault", "missing", "seen")

    def __init__(self) -> None:
        self.diode_ok = False
        """-12 V was seen with this vehicle."""
        self.fault = PilotFault.NONE
        """What was missing with this vehicle."""
        self.missing = False
        """The generator's -12 V was missing when it was looked at last."""
        self.seen = False
        """-12 V was seen since the drive or the level changed: now only its loss matters."""
        self._vehicle = False
        self._ok_since: float | None = None
        self._bad_since: float | None = None

    @property
    def is_failing(self) -> bool:
        """Whether -12 V was not there in the last reading."""
        return self._bad_since is not None

    def must_judge(self, level: Level | None) -> bool:
        """Whether this level's low phase matters (the oscillator running)."""
        return self.fault is PilotFault.NONE and level in JUDGED_LEVELS

    def restart(self) -> None:
        """Judge anew: the drive or the level has changed."""
        self.seen = False
        self._ok_since = self._bad_since = None

    def unplugged(self) -> None:
        """Forget the vehicle; what is known of the generator stays."""
        self.diode_ok, self.fault = False, PilotFault.NONE
        self.restart()

    def take(self, sample: PilotSample, reading: Level, level: Level | None, at: float) -> None:
        """Take a reading; `level` is the believed one."""
        vehicle = reading in VEHICLE_LEVELS
        if vehicle is not self._vehicle or reading not in JUDGED_LEVELS:
            self._vehicle = vehicle
            self._ok_since = self._bad_since = None
        if reading not in JUDGED_LEVELS:
            return
        if negative_peak_ok(sample.low_v):
            self._bad_since = None
            self._ok_since = at if self._ok_since is None else self._ok_since
        else:
            self._ok_since = None
            self._bad_since = at if self._bad_since is None else self._bad_since
        if self.must_judge(level) and (level in VEHICLE_LEVELS) is vehicle:
            self._conclude(sample, reading, at)

    def _conclude(self, sample: PilotSample, reading: Level, at: float) -> None:
        if self._bad_since is not None and at - self._bad_since >= timing.DIODE_DEBOUNCE_S:
            fault = faults.of_low_phase(reading, sample.high_v, sample.low_v)
            self.missing = fault is PilotFault.NEGATIVE_SUPPLY
            self.fault = fault if self._vehicle else PilotFault.NONE
            self.diode_ok = self.seen = False
        elif self._ok_since is not None and at - self._ok_since >= timing.DEBOUNCE_S:
            self.missing, self.seen = False, True
            self.diode_ok = self.diode_ok or self._vehicle
