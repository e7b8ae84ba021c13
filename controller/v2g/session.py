"""What a V2G session remembers, on either side and in every protocol; and named deadlines.

The first reason to stop is *latched*: what follows (a FAILED answer, a closed connection) is mostly
its consequence, and the user wants to know the cause.
"""

from dataclasses import dataclass, field
from enum import IntEnum

from controller.signals import PowerReport


class Deadlines:
    """Absolute times by name. Arming again moves one; `arm_once` leaves a running one alone."""

    __slots__ = ("_at",)

    def __init__(self) -> None:
        self._at: dict[str, float] = {}

    def arm(self, name: str, at: float) -> None:
        """Set this deadline, whether it runs or not."""
        self._at[name] = at

    def arm_once(self, name: str, at: float) -> None:
        """Set this deadline unless it runs already."""
        self._at.setdefault(name, at)

    def cancel(self, name: str) -> None:
        """Forget this deadline; forgetting one that does not run is allowed."""
        self._at.pop(name, None)

    def clear(self) -> None:
        """Forget all."""
        self._at.clear()

    def runs(self, name: str) -> bool:
        """Whether this deadline is armed."""
        return name in self._at

    def next(self) -> float | None:
        """Return the earliest one."""
        return min(self._at.values()) if self._at else None

    def take_expired(self, now: float) -> list[str]:
        """Remove and return the names of those that have passed, earliest first."""
        expired = [(at, name) for name, at in self._at.items() if at <= now]
        expired.sort()
        for _, name in expired:
            del self._at[name]
        return [name for _, name in expired]


class Stop(IntEnum):
    """How the charger wants out; a worse one replaces a better one, never the other way round."""

    NONE = 0
    SHUTDOWN = 1  # the vehicle is asked to end, power stays on meanwhile
    MALFUNCTION = 2  # power is off
    EMERGENCY = 3  # power is off


@dataclass(slots=True)
class V2gSession:
    """What both sides remember."""

    protocol: str = ""
    """Short name of the negotiated protocol, e.g. "din"; empty before."""
    schema_id: int = 0
    session_id: bytes = b""
    stop_reason: str = ""
    """First reason to stop; empty while there is none."""
    normal: bool = False
    """Whether that reason is a wish (driver, vehicle, operator), not a fault."""
    fault: bool = False
    """Something went wrong on the way out: the end is not normal whatever the first reason."""
    deadlines: Deadlines = field(default_factory=Deadlines)

    def latch(self, reason: str, *, normal: bool = False) -> None:
        """Keep the first reason; later ones are consequences."""
        if not self.stop_reason:
            self.stop_reason, self.normal = reason, normal


@dataclass(slots=True)
class SeccSession(V2gSession):
    """What the charger remembers besides."""

    evse_id: bytes = b"\x00"
    free_service: bool = True
    authorised: bool = True
    stop: Stop = Stop.NONE
    power_off: bool = False
    """We switched off and will not switch on again in this session."""
    report: PowerReport | None = None
    withheld: str = ""
    """Why the interlock permits no power now; empty when it does."""
    pilot_ready: bool = False
    """Pilot in state C or D: the vehicle's S2 is closed."""
    cable_check_at: float | None = None
    """First CableCheckReq."""
    cable_check_fresh: bool = False
    """The result reported now is not one left over from an earlier session."""
    pre_charge_at: float | None = None
    """First PreChargeReq with the present target voltage."""
    vehicle_maximum_voltage_v: float = 0.0
    target_voltage_v: float = 0.0
    authorisation_at: float | None = None
    """First ContractAuthenticationReq (or its like)."""
    parameters_at: float | None = None
    """First ChargeParameterDiscoveryReq."""

    def raise_stop(self, stop: Stop) -> None:
        """Take the worse of the present and this way out."""
        self.stop = max(self.stop, stop)
