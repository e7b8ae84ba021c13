"""From a converter's volts to what is meant (core): pilot levels, resistors, temperatures.

A pilot sample is a pair. It is made anew only when *both* levels were measured again, and carries
the time of the older one: a reading is never believed twice, and never as newer than it is. While
it is not known what the generator drives there is no sample at all; the last one grows old, and
with it every permit ends.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, sqrt
from typing import TYPE_CHECKING

from controller.cp.calibration import NOMINAL, Correction
from controller.signals import PilotSample

if TYPE_CHECKING:
    from controller.board import Channel
    from controller.cp.port import ConverterPort, PilotPort

PULL_UP_V = 3.3
PULL_UP_OHM = 1000.0
"""Proximity and temperature of the charger's board: a divider against 3.3 V
(hw_docs/board.toml)."""
OPEN_V = 0.95 * PULL_UP_V
"""Above this nothing is connected: more than 19 kOhm (a cable has at most 4.5 kOhm)."""
PT1000_OHM = 1000.0
PT1000_A, PT1000_B = 3.9083e-3, -5.775e-7
"""IEC 60751, from 0 degrees Celsius up; below, the error of this formula is 0.1 K at -40."""
NOTHING_MEASURED = PilotSample(0.0, 0.0, -inf)


@dataclass(frozen=True, slots=True)
class Scale:
    """Which input, and what its volts mean: (volts * slope + offset) as corrected."""

    channel: int
    slope: float
    offset_v: float
    correction: Correction = NOMINAL

    @classmethod
    def of(cls, channel: Channel, correction: Correction = NOMINAL) -> Scale:
        """Take the board's figures, and the calibration's on top."""
        return cls(channel.channel, channel.slope, channel.offset_v, correction)

    def value(self, volts: float) -> float:
        """Convert volts at the converter's input."""
        return self.correction.apply(volts * self.slope + self.offset_v)


class PilotLevels:
    """`LevelPort`: both peak detectors, as a sample that is as old as its older half."""

    def __init__(
        self, converter: ConverterPort, high: Scale, low: Scale, generator: PilotPort
    ) -> None:
        self._converter = converter
        self._high, self._low = high, low
        self._generator = generator
        self._sample = NOTHING_MEASURED
        self._high_at = self._low_at = -inf
        self._known_since: float | None = None

    def read(self, now: float) -> PilotSample:
        """Return the latest pair; the same one until there is another."""
        if not self._generator.is_known:
            self._known_since = None
            return self._sample
        if self._known_since is None:
            self._known_since = now
            self._high_at = self._low_at = now  # what was measured before says nothing
        high = self._converter.latest(self._high.channel)
        low = self._converter.latest(self._low.channel)
        if (
            high is not None
            and low is not None
            and high.taken_at > self._high_at
            and low.taken_at > self._low_at
        ):
            self._high_at, self._low_at = high.taken_at, low.taken_at
            self._sample = PilotSample(
                self._high.value(high.volts),
                self._low.value(low.volts),
                min(high.taken_at, low.taken_at),
            )
        return self._sample


def pulled_up_ohm(volts: float) -> float:
    """Resistance from an input to ground that is pulled up to 3.3 V by 1 kOhm; infinite if open."""
    if not volts < OPEN_V:
        return inf
    return max(0.0, PULL_UP_OHM * volts / (PULL_UP_V - volts))


def pt1000_celsius(ohm: float) -> float:
    """Temperature of a PT1000; not a number when the sensor is open or shorted."""
    root = PT1000_A**2 - 4 * PT1000_B * (1 - ohm / PT1000_OHM)
    if not 600.0 <= ohm <= 2500.0 or root < 0.0:
        return float("nan")
    return (-PT1000_A + sqrt(root)) / (2 * PT1000_B)
