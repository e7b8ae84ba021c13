"""What the power cores need from outside: modules, contactors, isolation monitor, battery."""

from typing import Protocol

from controller.signals import (
    ContactorReading,
    InletReport,
    IsolationReading,
    OutputReading,
    PowerEnvelope,
    SetOutput,
)


class PowerModulePort(Protocol):
    """One or more DC power modules seen as one supply."""

    def set_output(self, setpoint: SetOutput, now: float) -> None:
        """Send the full set-point; called cyclically, also when nothing changed."""

    def read(self, now: float) -> OutputReading:
        """Latest measured output; `valid=False` when the modules are silent."""

    def envelope(self, now: float) -> PowerEnvelope:
        """What the modules can deliver now; all zero when none answers."""


class ContactorPort(Protocol):
    """Coils and feedback of a pair of DC contactors, driven as one."""

    def set_closed(self, closed: bool) -> None:
        """Drive the coils."""

    def read(self, now: float) -> ContactorReading:
        """Mirror-contact feedback."""


class IsolationPort(Protocol):
    """The isolation monitor at the charger's output."""

    def start_test(self) -> None:
        """Self-test, then measure."""

    def read(self, now: float) -> IsolationReading:
        """Latest measurement; `valid=False` until the first one after `start_test`."""


class EmergencyStopPort(Protocol):
    """The emergency-stop chain and door contacts, as one input."""

    def pressed(self) -> bool:
        """Return True when the chain is open (pressed or broken)."""


class VehiclePort(Protocol):
    """The vehicle's battery and inlet measurements (BMS)."""

    def read(self, now: float) -> InletReport:
        """Latest values; `ready=False` when the battery does not allow charging."""


class GpioPort(Protocol):
    """Inputs and outputs of the header, as levels of GPIO 0 to 31.

    Outputs start inactive, and are inactive again after the part was away, until commanded anew.
    None of the calls raises while running.
    """

    def step(self, now: float) -> None:
        """Read all inputs at once; drive what could not be driven before."""

    def levels(self) -> int:
        """Bit n: level of GPIO n when it was read last."""

    @property
    def read_at(self) -> float:
        """When that was; minus infinity before the first time."""

    def set(self, gpio: int, level: bool) -> None:
        """Drive an output; kept until told otherwise."""

    def problem(self) -> str:
        """Why inputs are old or outputs are not as told; empty when all is well."""

    def close(self) -> None:
        """Give the pins back, outputs inactive."""
