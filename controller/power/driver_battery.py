"""The battery and the inlet's measurements of a simulated site, over its Unix socket.

There is no driver yet for the CAN bus of a real battery's management system: a vehicle unit drives
its real pilot, S2 and contactors with a battery that is simulated. Without the site nothing is
ready, and nothing closes.
"""

from __future__ import annotations

from math import inf

from controller.power.driver_site import SiteLink
from controller.signals import InletReport, Output

NO_BATTERY = InletReport(
    inlet_voltage_v=0.0,
    inlet_current_a=0.0,
    battery_voltage_v=0.0,
    soc_percent=0.0,
    maximum_voltage_v=0.0,
    maximum_current_a=0.0,
    target_voltage_v=0.0,
    target_current_a=0.0,
    contactors_closed=False,
    ready=False,
    taken_at=-inf,
)
"""Nothing is known: not ready, and older than everything."""


class BatteryLink(SiteLink):
    """The site's vehicle: `report` is the latest, however old."""

    def problem(self) -> str:
        """Say what is wrong, or nothing."""
        found = super().problem()
        if not found and self.report is NO_BATTERY:
            return f"battery: the simulated site at {self._path} says nothing of a vehicle"
        return found.replace("power modules:", "battery:", 1)

    def _forget(self) -> None:
        super()._forget()
        self.report = NO_BATTERY

    def _take(self, item: Output, now: float) -> None:
        if isinstance(item, InletReport):
            self.report = item
