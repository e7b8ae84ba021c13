"""The charger's interlock (core): everything known in, permits out; only this may allow power.

Theory of operation. Each period the realtime process builds a `Snapshot` of all that is known,
with the age of each input, and gets `Permits` back. What can withhold them is the table `RULES`:
name, predicate, reason, severity, in the order of importance, so a further fault is one further
row. How rows are judged, and what latches, is told in `interlock_rules`; the vehicle's counterpart
is `interlock_vehicle`.

At the start nothing is known, therefore nothing is granted; a permit lasts 100 ms and must be
renewed. Python is the second line of safety: what must act within 30 ms (pilot lost) or 9 ms
(over-voltage) belongs to hardware; without it (`hardware_interlock` false) only 60 V are allowed.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from controller.interlock_chain import COIL_SUPPLY, DEFECTS, HARDWARE, SELF_TEST
from controller.interlock_heat import SESSION_S, heat
from controller.interlock_rules import (
    CHECKED_PHASES,
    InterlockConfig,
    Judge,
    Rule,
    Severity,
    is_stale,
)
from controller.interlock_shared import (
    CONTACTOR_FAULTS,
    DIODE,
    EMERGENCY_STOP,
    FEEDBACK_STALE,
    HEARTBEAT,
    PILOT,
    TOGGLE,
    ChargerSnapshot,
    is_unplugged,
    pilot_c1,
)
from controller.power import limits
from controller.signals import (
    CableCheckState,
    ControlPilotState,
    InterlockReport,
    IsolationStatus,
    Permits,
    Phase,
    ResetRequest,
)

PHASE_MISMATCH_S = 0.05
"""Own figure: heartbeat and request change phase in one message turn, not in the same instant."""

CLOSED_PHASES = (Phase.CHARGE, Phase.CABLE_CHECK, Phase.PRE_CHARGE, Phase.STOPPING)
"""The power phases, and stopping: the ramp down needs closed contactors to its end."""
TRANSFER_PHASES = (Phase.CHARGE, Phase.PRE_CHARGE)
_CABLE_CHECK = Phase.CABLE_CHECK
LEAST_V, MOST_V = limits.PLAUSIBLE_VOLTAGE_V
LEAST_A, MOST_A = limits.PLAUSIBLE_CURRENT_A


@dataclass(slots=True, kw_only=True)
class Snapshot(ChargerSnapshot):
    """Everything the DC charger's interlock looks at; the defaults are "nothing known"."""

    requested_phase: Phase = Phase.IDLE
    voltage_v: float = 0.0
    current_a: float = 0.0
    reading_age_s: float = inf
    reading_valid: bool = False
    isolation: IsolationStatus = IsolationStatus.INVALID
    cable_check: CableCheckState = CableCheckState.IDLE
    vehicle_maximum_v: float = 0.0
    charger_maximum_v: float = 0.0
    charger_maximum_a: float = 0.0


def over_voltage_limit_v(s: Snapshot) -> float:
    """Highest voltage that is no fault: the vehicle's maximum, in the cable check the test's."""
    if s.requested_phase is _CABLE_CHECK:
        test_v = limits.cable_check_voltage_v(s.vehicle_maximum_v, s.charger_maximum_v)
        return test_v + limits.CABLE_CHECK_TOLERANCE_V
    return s.vehicle_maximum_v + limits.OVER_VOLTAGE_MARGIN_V


def emergency_limit_v(s: Snapshot) -> float:
    """Voltage of table 103; in the cable check (vehicle not connected) above the test voltage."""
    maximum_v = s.vehicle_maximum_v or s.charger_maximum_v
    trip_v = limits.emergency_over_voltage_v(maximum_v)
    if s.requested_phase is _CABLE_CHECK:
        test_v = limits.cable_check_voltage_v(s.vehicle_maximum_v, s.charger_maximum_v)
        return max(trip_v, test_v + 2 * limits.CABLE_CHECK_TOLERANCE_V)
    return trip_v


def _over_voltage(s: Snapshot, _: InterlockConfig) -> bool:
    if s.requested_phase not in CLOSED_PHASES or not s.vehicle_maximum_v > 0.0:
        return False
    return s.reading_valid and s.voltage_v > over_voltage_limit_v(s)


def _over_current(s: Snapshot, _: InterlockConfig) -> bool:
    limit_a = s.charger_maximum_a * limits.OVER_CURRENT_RATIO + limits.OVER_CURRENT_MARGIN_A
    return s.reading_valid and s.current_a > limit_a


def _implausible(s: Snapshot, _: InterlockConfig) -> bool:
    return not (
        LEAST_V <= s.voltage_v <= MOST_V
        and LEAST_A <= s.current_a <= MOST_A
        and 0.0 <= s.vehicle_maximum_v <= MOST_V
        and 0.0 <= s.charger_maximum_v <= MOST_V
        and 0.0 <= s.charger_maximum_a <= MOST_A
    )


def _bench_exceeded(s: Snapshot, _: InterlockConfig) -> bool:
    return not s.hardware_interlock and not s.voltage_v <= limits.BENCH_VOLTAGE_V


def _live_output(s: Snapshot, _: InterlockConfig) -> bool:
    return not s.contactors_commanded and not abs(s.voltage_v) < limits.SAFE_VOLTAGE_V


RULES: tuple[Rule[Snapshot], ...] = (
    EMERGENCY_STOP,
    Rule(
        "emergency over-voltage",  # IEC 61851-23 table 103
        lambda s, _: s.reading_valid and s.voltage_v > emergency_limit_v(s),
        "output voltage {s.voltage_v:.0f} V is far above the limit",
        Severity.EMERGENCY,
        after_s=limits.EMERGENCY_OVER_VOLTAGE_S,
    ),
    Rule(
        "over-current",  # table CC.10
        _over_current,
        "output current {s.current_a:.0f} A is above what the charger may deliver",
        Severity.EMERGENCY,
        after_s=limits.OVER_CURRENT_S,
    ),
    Rule(
        "over-voltage",  # table 104
        _over_voltage,
        "output voltage {s.voltage_v:.0f} V is above the vehicle's maximum",
        Severity.ERROR,
        after_s=limits.OVER_VOLTAGE_S,
    ),
    Rule(
        "over-voltage lasts",  # CC.3.4.2
        _over_voltage,
        "output voltage {s.voltage_v:.0f} V stays above the vehicle's maximum",
        Severity.EMERGENCY,
        after_s=limits.OVER_VOLTAGE_EMERGENCY_S,
    ),
    Rule(
        "isolation",  # MREC22, table CC.10
        lambda s, _: s.isolation is IsolationStatus.FAULT and s.requested_phase in CHECKED_PHASES,
        "insulation fault while the vehicle is connected to the output",
        Severity.ERROR,
    ),
    *CONTACTOR_FAULTS,
    *DEFECTS,
    *heat(SESSION_S),
    SELF_TEST,
    HARDWARE,
    Rule("plausible", _implausible, "a voltage or current is not plausible"),
    Rule(
        "bench mode",
        _bench_exceeded,
        "more than 60 V, and no hardware interlock (bench mode)",
    ),
    *PILOT,
    pilot_c1(),
    TOGGLE,
    Rule(
        "ventilation",
        lambda s, c: s.pilot is ControlPilotState.D2 and not c.ventilation,
        "vehicle wants ventilation (state D), and there is none",
    ),
    DIODE,
    HEARTBEAT,
    Rule(
        "phase",
        lambda s, _: (
            s.believed_phase not in CLOSED_PHASES or s.requested_phase not in CLOSED_PHASES
        ),
        "the session is in a phase without power",
    ),
    Rule(
        "phase mismatch",
        lambda s, _: s.believed_phase is not s.requested_phase,
        "heartbeat and output request name different phases",
        after_s=PHASE_MISMATCH_S,
    ),
    Rule(
        "reading stale",
        lambda s, _: not s.reading_valid or is_stale(s.reading_age_s, limits.READING_STALE_S),
        "the power supply is silent",
    ),
    FEEDBACK_STALE,
    COIL_SUPPLY,
    Rule(
        "cable check failed",
        lambda s, _: s.cable_check is CableCheckState.FAILED,
        "the cable check failed",
    ),
    Rule(
        "not checked",
        lambda s, _: (
            s.requested_phase in TRANSFER_PHASES and s.cable_check is not CableCheckState.PASSED
        ),
        "the cable check has not passed",
    ),
    Rule("live output", _live_output, "output is above 60 V with the contactors open"),
    Rule(
        "vehicle maximum",
        lambda s, _: not s.vehicle_maximum_v > 0.0,
        "the vehicle's maximum voltage is not known",
        Severity.NO_ENERGY,
    ),
    Rule(
        "contactors open",
        lambda s, _: not (s.contactors_commanded and s.contactors_closed),
        "the contactors are not closed",
        Severity.NO_ENERGY,
    ),
)


class Interlock:
    """The charger's interlock: `evaluate` once per period, `report` for everyone else.

    `report` is the same object as long as nothing changed.
    """

    def __init__(self, config: InterlockConfig | None = None) -> None:
        self._judge = Judge[Snapshot](RULES, config or InterlockConfig(), is_unplugged)
        self.report: InterlockReport = self._judge.report
        """What was decided last."""

    def evaluate(self, snapshot: Snapshot) -> Permits:
        """Return what is allowed until 100 ms from now."""
        permits = self._judge.judge(snapshot)
        self.report = self._judge.report
        return permits

    def receive_signal(self, signal: ResetRequest) -> None:
        """Forget faults that need a reset, if the next evaluation sees no vehicle."""
        self._judge.ask_reset()
