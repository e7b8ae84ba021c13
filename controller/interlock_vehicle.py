"""The vehicle's interlock (core): permits for the contactors of the inlet.

The counterpart of `interlock`: closing needs a plugged connector with a 5 % pilot, a session in a
power phase that asks for it, a ready battery, fresh data, and inlet and battery within 20 V. How
rows are judged, and what latches, is told in `interlock_rules`.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING

from controller.interlock_chain import HARDWARE, SELF_TEST
from controller.interlock_rules import (
    CHECKED_PHASES,
    PILOT_STALE_S,
    InterlockConfig,
    Judge,
    Rule,
    Severity,
    is_stale,
)
from controller.interlock_shared import (
    CONTACTOR_FAULTS,
    EMERGENCY_STOP,
    FEEDBACK_STALE,
    HEARTBEAT,
    AnySnapshot,
)
from controller.power import limits

if TYPE_CHECKING:
    from controller.signals import InterlockReport, Permits, ResetRequest

LEAST_V, MOST_V = limits.PLAUSIBLE_VOLTAGE_V
MOST_A = limits.PLAUSIBLE_CURRENT_A[1]
VEHICLE_DEVIATION_V = 20.0
VEHICLE_DEVIATION_S = 2.0
"""Inlet and battery differ by more than 20 V for 2 s with closed contactors (open EV firmware)."""
REVERSE_CURRENT_A = -5.0
REVERSE_CURRENT_S = 0.5
"""Own figures: the supply must prevent reverse current; the vehicle does not rely on it."""
PILOT_LOST_GRACE_S = 0.1
"""Vehicle: own figure. The charger is without current 30 ms after the pilot is lost; waiting for
that spares the vehicle's contactors a break under load."""


@dataclass(slots=True, kw_only=True)
class VehicleSnapshot(AnySnapshot):
    """Everything the vehicle's interlock looks at; the defaults are "nothing known"."""

    plugged: bool = False
    digital: bool = False
    """The pilot says 5 %: digital communication."""
    offered_a: float = 0.0
    """AC current that the pilot's duty offers; 0 with digital communication."""
    onboard_a: float = 0.0
    """The most that the on-board charger draws."""
    s2_closed: bool = False
    inlet_fault: bool = False
    """The plug's resistor is none that a plug has, or S2 does not do what it is told."""
    button: bool = False
    """CCS1: the latch's button is pressed."""
    inlet_age_s: float = inf
    close_requested: bool = False
    inlet_voltage_v: float = 0.0
    inlet_current_a: float = 0.0
    battery_voltage_v: float = 0.0
    battery_maximum_v: float = 0.0
    battery_ready: bool = False
    battery_age_s: float = inf


def _vehicle_implausible(s: VehicleSnapshot, _: InterlockConfig) -> bool:
    return not (
        LEAST_V <= s.inlet_voltage_v <= MOST_V
        and LEAST_V <= s.battery_voltage_v <= MOST_V
        and abs(s.inlet_current_a) <= MOST_A
        and 0.0 < s.battery_maximum_v <= MOST_V
    )


def _difference_v(s: VehicleSnapshot) -> float:
    return abs(s.inlet_voltage_v - s.battery_voltage_v)


VEHICLE_RULES: tuple[Rule[VehicleSnapshot], ...] = (
    EMERGENCY_STOP,
    *CONTACTOR_FAULTS,
    Rule(
        "over-voltage",
        lambda s, _: (
            s.plugged
            and s.battery_maximum_v > 0.0
            and s.inlet_voltage_v > s.battery_maximum_v + limits.OVER_VOLTAGE_MARGIN_V
            and s.contactors_commanded
        ),
        "inlet voltage {s.inlet_voltage_v:.0f} V is above the battery's maximum",
        Severity.ERROR,
        after_s=limits.OVER_VOLTAGE_S,
    ),
    Rule(
        "deviation",
        lambda s, _: (
            s.contactors_closed
            and s.contactors_commanded
            and _difference_v(s) >= VEHICLE_DEVIATION_V
        ),
        "inlet and battery voltage differ though the contactors are closed",
        Severity.ERROR,
        after_s=VEHICLE_DEVIATION_S,
    ),
    Rule(
        "reverse current",
        lambda s, _: s.inlet_current_a < REVERSE_CURRENT_A,
        "{s.inlet_current_a:.0f} A flow from the battery into the inlet",
        Severity.ERROR,
        after_s=REVERSE_CURRENT_S,
    ),
    SELF_TEST,
    Rule(
        "not proved",
        lambda s, _: s.interlock_tested and not s.hardware_interlock,
        "the contactor chain did not pass its self-test",
    ),
    HARDWARE,
    Rule("plausible", _vehicle_implausible, "a voltage or current is not plausible"),
    Rule(
        "unplugged",
        lambda s, _: not s.plugged,
        "no connector in the inlet",
        after_s=PILOT_LOST_GRACE_S,
    ),
    Rule(
        "inlet fault",
        lambda s, _: s.inlet_fault,
        "the inlet is faulty: proximity (PP) or S2",
        after_s=PILOT_LOST_GRACE_S,
    ),
    Rule(
        "button",
        lambda s, _: s.button and not s.contactors_commanded,
        "the button of the connector's latch is pressed",
    ),
    Rule(
        "AC",
        lambda s, _: s.offered_a > 0.0,
        "the pilot offers AC: the DC contactors stay open",
        after_s=PILOT_LOST_GRACE_S,
    ),
    Rule(
        "pilot",
        lambda s, _: not s.digital,
        "no 5 % pilot from the charger",
        after_s=PILOT_LOST_GRACE_S,
    ),
    Rule(
        "inlet stale",
        lambda s, c: is_stale(s.inlet_age_s, c.pilot_stale_s),
        "inlet samples have stopped",
    ),
    HEARTBEAT,
    Rule(
        "phase",
        lambda s, _: s.believed_phase not in CHECKED_PHASES,
        "the session is in a phase without power",
    ),
    Rule("request", lambda s, _: not s.close_requested, "closing is not requested"),
    Rule(
        "battery",
        lambda s, _: not s.battery_ready or is_stale(s.battery_age_s, limits.READING_STALE_S),
        "the battery is not ready, or silent",
    ),
    FEEDBACK_STALE,
    Rule(
        "not pre-charged",
        lambda s, _: not s.contactors_commanded and not _difference_v(s) < VEHICLE_DEVIATION_V,
        "inlet and battery differ by 20 V or more",
    ),
    Rule(
        "contactors open",
        lambda s, _: not (s.contactors_commanded and s.contactors_closed),
        "the contactors are not closed",
        Severity.NO_ENERGY,
    ),
)


def is_unplugged(seen: VehicleSnapshot) -> bool:
    """Return whether the inlet says, freshly, that nothing is plugged in."""
    return not seen.plugged and not is_stale(seen.inlet_age_s, PILOT_STALE_S)


class VehicleInterlock:
    """The vehicle's interlock, for the contactors of its inlet."""

    def __init__(self, config: InterlockConfig | None = None) -> None:
        self._judge = Judge[VehicleSnapshot](
            VEHICLE_RULES, config or InterlockConfig(), is_unplugged
        )
        self.report: InterlockReport = self._judge.report
        """What was decided last."""

    def evaluate(self, snapshot: VehicleSnapshot) -> Permits:
        """Return what is allowed until 100 ms from now."""
        permits = self._judge.judge(snapshot)
        self.report = self._judge.report
        return permits

    def receive_signal(self, signal: ResetRequest) -> None:
        """Forget faults that need a reset, if the next evaluation sees no connector."""
        self._judge.ask_reset()
