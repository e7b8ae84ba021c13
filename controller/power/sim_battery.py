"""A traction battery, simulated: voltage over state of charge, resistance, charging curve."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise

from controller.errors import ConfigError

Curve = Sequence[tuple[float, float]]

# Own curves, shaped like a 96s pack of a mid-size car: percent -> V without current, percent -> A.
OPEN_VOLTAGE: Curve = (
    (0.0, 312.0),
    (5.0, 332.0),
    (20.0, 346.0),
    (50.0, 357.0),
    (80.0, 383.0),
    (95.0, 397.0),
    (100.0, 402.0),
)
CHARGING: Curve = (
    (0.0, 60.0),
    (5.0, 120.0),
    (50.0, 110.0),
    (80.0, 70.0),
    (90.0, 35.0),
    (100.0, 5.0),
)


def interpolate(curve: Curve, at: float) -> float:
    """Read a curve between its points; beyond its ends the end values hold."""
    return Interpolation(curve)(at)


class Interpolation:
    """A curve that is read often: slopes are worked out once."""

    def __init__(self, curve: Curve) -> None:
        self._at = [x for x, _ in curve]
        slopes = [(b[1] - a[1]) / (b[0] - a[0]) for a, b in pairwise(curve)]
        # Before the first point and after the last the end values hold.
        self._pieces = [
            (0.0, curve[0][1], 0.0),
            *((x, y, slope) for (x, y), slope in zip(curve, slopes, strict=False)),
            (0.0, curve[-1][1], 0.0),
        ]

    def __call__(self, at: float) -> float:
        """Read it."""
        start, amount, slope = self._pieces[bisect_right(self._at, at)]
        return amount + slope * (at - start)


class SimBattery:
    """State of charge and what follows from it; charge it with ampere-seconds."""

    def __init__(
        self,
        soc_percent: float = 20.0,
        capacity_wh: float = 60_000.0,
        *,
        resistance_ohm: float = 0.08,
        maximum_voltage_v: float = 420.0,
        target_voltage_v: float = 410.0,
        maximum_current_a: float = 150.0,
        maximum_power_w: float = 60_000.0,
        open_voltage: Curve = OPEN_VOLTAGE,
        charging: Curve = CHARGING,
    ) -> None:
        for name, curve in (("open_voltage", open_voltage), ("charging", charging)):
            if len(curve) < 2 or any(a[0] >= b[0] for a, b in pairwise(curve)):
                raise ConfigError(f"battery curve {name} needs two or more rising percentages")
        if not 0.0 <= soc_percent <= 100.0 or not capacity_wh > 0.0:
            raise ConfigError("battery needs 0..100 percent and a capacity above 0 Wh")
        self.soc_percent = soc_percent
        self.capacity_wh = capacity_wh
        self.resistance_ohm = resistance_ohm
        self.maximum_voltage_v = maximum_voltage_v
        self.target_voltage_v = target_voltage_v
        self.maximum_current_a = maximum_current_a
        self.maximum_power_w = maximum_power_w
        self._open_voltage = Interpolation(open_voltage)
        self._charging = Interpolation(charging)
        mean_v = self._open_voltage(50.0)
        self._percent_per_as = 100.0 / (capacity_wh / mean_v * 3600.0)
        self.open_voltage_v = self._open_voltage(soc_percent)

    @property
    def accepted_current_a(self) -> float:
        """What the battery accepts at its state of charge."""
        accepted_a = self._charging(self.soc_percent)
        return accepted_a if accepted_a < self.maximum_current_a else self.maximum_current_a

    def charge(self, charge_as: float) -> None:
        """Add a charge in ampere-seconds."""
        if charge_as == 0.0:
            return
        soc_percent = self.soc_percent + charge_as * self._percent_per_as
        self.soc_percent = soc_percent = soc_percent if soc_percent < 100.0 else 100.0
        open_voltage = self._open_voltage
        self.open_voltage_v = open_voltage(soc_percent)
