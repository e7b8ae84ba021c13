"""What the control-pilot cores need from outside: a pilot to drive and read, per role."""

from typing import Protocol

from controller.signals import DutyCycle, InletSample, PilotSample


class EvsePilotPort(Protocol):
    """The charger's pilot generator and its peak-hold detectors."""

    def set_duty(self, duty: DutyCycle) -> None:
        """Drive the pilot; keeps its last value until told otherwise. Raises PortError."""

    def read(self, now: float) -> PilotSample:
        """Latest levels; never blocks longer than one conversion. Raises PortError."""


class PevPilotPort(Protocol):
    """The vehicle inlet's CP and PP, and the switch S2."""

    def set_s2(self, closed: bool) -> None:
        """Switch S2. Raises PortError."""

    def read(self, now: float) -> InletSample:
        """Latest measurement. Raises PortError."""
