"""What the control-pilot cores need from outside, per role: a pilot to drive and levels to read.

On a real charger these are two parts that fail apart: the *generator* makes the 1 kHz, the
*converter* measures the peaks. None of these calls raises while running; a part that is gone says
so in `problem` and is tried again by `step`, which the realtime loop calls once a period and which
never blocks for longer than a fraction of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from controller.cp.edges import Timing
    from controller.signals import DutyCycle, InletSample, PilotSample


class PilotPort(Protocol):
    """The charger's pilot generator: 1 kHz between +12 V and -12 V, or steady."""

    def set_duty(self, duty: DutyCycle) -> None:
        """Drive the pilot; kept until told otherwise, and driven anew after the part was away."""

    def step(self, now: float) -> None:
        """Prove that the pilot is still driven as told; repair it, or begin to."""

    @property
    def is_known(self) -> bool:
        """Whether it is known, now, that the pilot is driven as told."""

    def problem(self) -> str:
        """Why it is not, in words; empty when all is well, and for a moment's doubt."""

    def close(self) -> None:
        """Leave the pilot at steady +12 V, and give the part back."""


@dataclass(frozen=True, slots=True)
class Measured:
    """Volts at one input of a converter."""

    volts: float
    taken_at: float
    """When the measurement began: what happened later may not be in it."""


class ConverterPort(Protocol):
    """An analogue-to-digital converter: measures its inputs one after the other, over and over."""

    def step(self, now: float) -> None:
        """Fetch what is ready, start what is next."""

    def latest(self, channel: int) -> Measured | None:
        """Return the last measurement of an input, however old; None before the first."""

    def problem(self) -> str:
        """Why nothing new comes; empty when all is well."""

    def close(self) -> None:
        """Give the bus back."""


class LevelPort(Protocol):
    """The charger's pilot as its peak detectors show it."""

    def read(self, now: float) -> PilotSample:
        """Return the latest pair of levels; `taken_at` is that of the older one."""


class EdgePort(Protocol):
    """Who stamps the edges of the vehicle's pilot."""

    def read(self, now: float) -> tuple[Timing, float]:
        """Return the latest measurement, and until when (own time) it is known to hold."""

    def problem(self) -> str:
        """Why nothing is heard; empty when all is well."""

    def fileno(self) -> int:
        """Return a descriptor that becomes readable with an edge; -1 while there is none."""

    def close(self) -> None:
        """Give the line back."""


class EvsePilotPort(Protocol):
    """Generator and levels in one, as a simulated circuit has them."""

    def set_duty(self, duty: DutyCycle) -> None:
        """Drive the pilot; keeps its last value until told otherwise."""

    def read(self, now: float) -> PilotSample:
        """Latest levels."""


class PevPilotPort(Protocol):
    """The vehicle inlet's CP and PP, and the switch S2."""

    def set_s2(self, closed: bool) -> None:
        """Switch S2. Raises PortError."""

    def read(self, now: float) -> InletSample:
        """Latest measurement. Raises PortError."""
