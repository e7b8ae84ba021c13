"""Figures and clamps of the DC output (core): pure functions over `PowerEnvelope`.

Sources: IEC 61851-23 as the open EVerest stack applies and cites it (tables 103, 104, clauses
CC.x), the CharIN design guide for CCS, DIN 70121 / ISO 15118-2 timing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf

from controller.frozen import quick
from controller.signals import PowerEnvelope

SAFE_VOLTAGE_V = 60.0
"""Below this the output counts as dead (IEC 61851-23; CharIN design guide t1, t16)."""

# --- cable check: IEC 61851-23 CC.1 as EVerest runs it ------------------------------------------
CABLE_CHECK_TOLERANCE_V = 10.0
CABLE_CHECK_CURRENT_A = 2.0
CABLE_CHECK_TRIP_A = 5.0
"""More than this during the test is a short circuit (short-circuit test: < 5 A)."""
ISOLATION_FAULT_OHM = 100_000.0
"""Below this: insulation fault, before and during charging (2023 edition: no warning level)."""
ISOLATION_SAMPLES = 3
CABLE_CHECK_S = 36.0
"""Everything together; the charger's own limit of the phase is 38 s ([V2G2-700..703])."""
CABLE_CHECK_DISCHARGE_S = 10.0
CABLE_CHECK_CLOSE_S = 5.0
CABLE_CHECK_RAISE_S = 10.0
CABLE_CHECK_MEASURE_S = 30.0

# --- pre-charge, charge, stop -------------------------------------------------------------------
PRE_CHARGE_CURRENT_A = 2.0
"""CharIN design guide t5..t7: the supply limits to 2 A; the vehicle asks for less, some for 0."""
RAMP_UP_A_PER_S = 25.0
"""EVerest's default ramp."""
RAMP_DOWN_A_PER_S = 100.0
"""CharIN design guide: a normal stop ramps down with at most 100 A/s."""
NO_CURRENT_A = 1.0
"""CharIN design guide: below 1 A before the supply disables and contactors open."""
STOPPING_S = 8.0
"""500 A at 100 A/s, and reserve; then off without ramp."""
OPENING_S = 1.0
READING_STALE_S = 1.0
"""The supply must report at least once a second (EVerest, power supply interface)."""

# --- how often the set-point is sent ------------------------------------------------------------
SETPOINT_PERIOD_S = 0.25
"""4 Hz, what EVerest recommends; modules switch off by themselves after about 10 s of silence."""
SETPOINT_RAMP_PERIOD_S = 0.05
SETPOINT_OFF_PERIOD_S = 1.0
RAMP_STEP_S = 0.001
"""A ramp that was worked out at this instant has nothing to add to it."""

# --- over-voltage, over-current -----------------------------------------------------------------
OVER_VOLTAGE_S = 0.4
"""Table 104: above the vehicle's maximum for more than 400 ms: shut down."""
OVER_VOLTAGE_EMERGENCY_S = 2.5
"""CC.3.4.2: an over-voltage that lasts this long is an emergency."""
OVER_VOLTAGE_MARGIN_V = 2.0
"""Own figure: a supply that regulates to exactly the maximum reads this much above it."""
EMERGENCY_OVER_VOLTAGE_S = 0.009
"""Table 103: more than 9 ms: emergency (hardware must see it; software as far as it samples)."""
EMERGENCY_OVER_VOLTAGE_V: tuple[tuple[float, float], ...] = (
    (500.0, 550.0),
    (750.0, 825.0),
    (850.0, 935.0),
    (1000.0, 1100.0),
    (inf, 1375.0),
)
OVER_CURRENT_RATIO = 1.1
OVER_CURRENT_MARGIN_A = 5.0
"""Own figures, above the nameplate current (table CC.10: over-current is an emergency)."""
OVER_CURRENT_S = 0.1

# --- bench mode ---------------------------------------------------------------------------------
BENCH_VOLTAGE_V = 60.0
"""Without the external hardware interlock the output never exceeds this."""
BENCH_SETPOINT_V = 55.0
"""What is asked of the supply then, so that its tolerance stays below 60 V."""

# --- plausibility -------------------------------------------------------------------------------
PLAUSIBLE_VOLTAGE_V = (-20.0, 1500.0)
PLAUSIBLE_CURRENT_A = (-20.0, 1500.0)
"""Own figures: small negative values are offsets of a sensor, the rest is a broken one."""

NO_ENVELOPE = PowerEnvelope(0.0, 0.0, 0.0, 0.0, 0.0)


@quick
@dataclass(frozen=True, slots=True)
class Clamped:
    """A set-point within the envelope, and what held it back."""

    voltage_v: float
    current_a: float
    voltage_limited: bool = False
    current_limited: bool = False
    power_limited: bool = False


NOTHING = Clamped(0.0, 0.0)


def is_quantity(value: float) -> bool:
    """Return whether a requested voltage or current is a finite number that is not negative."""
    return 0.0 <= value < inf


def clamp(
    voltage_v: float, current_a: float, envelope: PowerEnvelope, measured_v: float = 0.0
) -> Clamped:
    """Bring a target into the envelope.

    The power limit divides by what the output carries (`measured_v`), at least the lowest voltage
    of the envelope; before there is a voltage, by the target. A target below the lowest voltage
    stays: the supply does what it can.
    """
    voltage, current = voltage_v, current_a
    if envelope.maximum_voltage_v < voltage:
        voltage = envelope.maximum_voltage_v
    if envelope.maximum_current_a < current:
        current = envelope.maximum_current_a
    divisor = measured_v if measured_v > SAFE_VOLTAGE_V else voltage
    if envelope.minimum_voltage_v > divisor:
        divisor = envelope.minimum_voltage_v
    by_power = envelope.maximum_power_w / divisor if divisor > 0.0 else current
    return Clamped(
        voltage,
        by_power if by_power < current else current,
        voltage < voltage_v,  # limited: the voltage, the current, by power
        current < current_a,
        by_power < current,
    )


def ramped(current_a: float, target_a: float, elapsed_s: float) -> float:
    """Move a set-point towards its target at the permitted rate."""
    if target_a == current_a:
        return target_a
    if target_a > current_a:
        return min(target_a, current_a + RAMP_UP_A_PER_S * elapsed_s)
    return max(target_a, current_a - RAMP_DOWN_A_PER_S * elapsed_s)


def cable_check_voltage_v(vehicle_maximum_v: float, charger_maximum_v: float) -> float:
    """Test voltage of the insulation test (IEC 61851-23, formula CC.1)."""
    if vehicle_maximum_v <= 500.0:
        return min(500.0, vehicle_maximum_v + 50.0, charger_maximum_v)
    return min(charger_maximum_v, 1.1 * vehicle_maximum_v)


def emergency_over_voltage_v(maximum_v: float) -> float:
    """Voltage that demands an emergency stop (table 103), by the vehicle's maximum voltage.

    A maximum that is no number gets the lowest.
    """
    for upto, trip in EMERGENCY_OVER_VOLTAGE_V[:-1]:
        if not maximum_v > upto:
            return trip
    return EMERGENCY_OVER_VOLTAGE_V[-1][1]


def bench_envelope(envelope: PowerEnvelope) -> PowerEnvelope:
    """Return the envelope of a charger without hardware interlock: at most 60 V.

    From 0 V: what stands on the bench is a laboratory supply, and a small battery.
    """
    return replace(
        envelope,
        minimum_voltage_v=0.0,
        maximum_voltage_v=min(envelope.maximum_voltage_v, BENCH_SETPOINT_V),
    )
