"""Times of the interlock's parts, from part values, the circuits' simulation and the software."""

from __future__ import annotations

import json
from dataclasses import dataclass
from math import log
from typing import Any

from controller import (
    interlock_chain,
    interlock_heat,
    interlock_rules,
    interlock_test,
    realtime_base,
)
from controller.cp import timing as pilot
from controller.power import contactors, limits
from hw_docs.parts import everything, value
from hw_docs.spice.run import RESULTS

CP_LOST_CURRENT_S, CP_LOST_VOLTAGE_S = 0.030, 0.100
"""< 5 A and < 60 V after the pilot is lost: CharIN design guide, loss of CP."""
SWITCH_S = 0.0002
"""Q1 to Q3: their gate's charge runs off through 10 kΩ."""
RELEASE_S = 0.012
"""Contacts apart, coil with SMBJ33A: what data sheets of gas-filled contactors give; measure it."""
MODULE_OFF_S = 0.015
"""What the power modules must do: enable off to < 5 A; measure it."""
TABLE_103_S = (0.009, 0.010)
"""Longer than the first: shut-down has begun by the second (IEC 61851-23 table 103)."""


def simulated() -> dict[str, Any]:
    """Return the results of the last SPICE run."""
    found: dict[str, Any] = json.loads(RESULTS.read_text(encoding="utf-8"))
    return found


@dataclass(frozen=True, slots=True)
class Budget:
    """One line: what has to happen, how long it takes at worst, how long it may take."""

    what: str
    parts: tuple[tuple[str, float], ...]
    limit_s: float | None

    @property
    def total_s(self) -> float:
        """Sum of the parts."""
        return sum(seconds for _, seconds in self.parts)


def cp_loss_worst_s() -> float:
    """Return the slowest loss of the pilot that the simulation found."""
    return max(float(row["off_max_ms"]) for row in simulated()["cp_loss"]) / 1e3


def watchdog_worst_s() -> float:
    """Return the longest time to open after the last edge, over all periods."""
    return max(float(row["opens_max_ms"]) for row in simulated()["watchdog"]) / 1e3


def watchdog_least_s() -> float:
    """Return the shortest time to open with edges every 5 ms."""
    rows = {row["period_ms"]: row for row in simulated()["watchdog"]}
    return float(rows[5.0]["opens_min_ms"]) / 1e3


def over_voltage_s() -> tuple[float, float]:
    """Return the bounds of the time that an over-voltage has to last."""
    low = everything()["R53"].bounds[0] * everything()["C50"].bounds[0]
    high = everything()["R53"].bounds[1] * everything()["C50"].bounds[1]
    return low * log(2) * 0.97, high * log(2) * 1.03


def over_voltage_trip_v(name: str) -> tuple[float, float, float]:
    """Return lowest, nominal and highest trip voltage with this lower resistor."""
    reference_v = value("R52") * 100e-6

    def trip(top: float, bottom: float, threshold: float) -> float:
        return threshold * (top + bottom) / bottom

    top, bottom = everything()["R50"], everything()[name]
    low = trip(top.bounds[0], bottom.bounds[1], reference_v * 0.985)
    high = trip(top.bounds[1], bottom.bounds[0], reference_v * 1.015)
    return low, trip(value("R50"), value(name), reference_v), high


def budgets() -> list[Budget]:
    """Return the hardware's budgets at their worst."""
    loss, dog = cp_loss_worst_s(), watchdog_worst_s()
    return [
        Budget(
            "pilot lost: output < 5 A",
            (("CP-loss part", loss), ("Q2", SWITCH_S), ("modules off", MODULE_OFF_S)),
            CP_LOST_CURRENT_S,
        ),
        Budget(
            "pilot lost: contacts apart",
            (("CP-loss part", loss), ("Q2", SWITCH_S), ("contactors", RELEASE_S)),
            CP_LOST_CURRENT_S,
        ),
        Budget(
            "process hung: chain open",
            (("watchdog", dog), ("Q1", SWITCH_S)),
            interlock_test.WATCHDOG_OPENS_S,
        ),
        Budget(
            "process hung: contacts apart",
            (("watchdog", dog), ("Q1", SWITCH_S), ("contactors", RELEASE_S)),
            0.1,
        ),
        Budget(
            "over-voltage: shut-down begins",
            (("filter", over_voltage_s()[1]), ("U40, latch, Q1", 2 * SWITCH_S)),
            TABLE_103_S[1],
        ),
        Budget(
            "emergency stop: contacts apart",
            (("contact", 0.010), ("contactors", RELEASE_S)),
            None,
        ),
    ]


def software_figures() -> list[tuple[str, float, str]]:
    """Return what the software assumes or does: what, seconds, where the constant lives."""
    return [
        ("a permit expires", interlock_rules.PERMIT_LIFETIME_S, "controller/interlock_rules.py"),
        (
            "communication silent: no permit",
            realtime_base.HEARTBEAT_TIMEOUT_S,
            "controller/realtime_base.py",
        ),
        (
            "a pilot level is believed after agreeing readings",
            pilot.DEBOUNCE_S,
            "controller/cp/timing.py",
        ),
        ("closing shows in the feedback", contactors.CLOSE_S, "controller/power/contactors.py"),
        ("opening shows in the feedback", contactors.OPEN_S, "controller/power/contactors.py"),
        (
            "over-voltage above the vehicle's maximum: latched",
            limits.OVER_VOLTAGE_S,
            "controller/power/limits.py",
        ),
        (
            "over-voltage of table 103, as far as sampling sees it",
            limits.EMERGENCY_OVER_VOLTAGE_S,
            "controller/power/limits.py",
        ),
        ("the supply is silent: no permit", limits.READING_STALE_S, "controller/power/limits.py"),
        (
            "connector too hot: the session is asked to end, and has",
            interlock_heat.SESSION_S,
            "controller/interlock_heat.py",
        ),
        (
            "coils live without C2: latched",
            interlock_chain.CP_LOSS_S,
            "controller/interlock_chain.py",
        ),
        (
            "emergency stop pressed, chain closed: latched",
            interlock_chain.CHAIN_OPENS_S,
            "controller/interlock_chain.py",
        ),
        (
            "stop channels disagree: latched",
            interlock_chain.STOP_CHANNELS_S,
            "controller/interlock_chain.py",
        ),
    ]
