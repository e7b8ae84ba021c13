"""The AC charger's interlock (core): permits for the mains contactor.

The counterpart of `interlock` for a charger without power electronics: what flows is decided by the
vehicle, within what the pilot's duty offers; the charger only switches the mains. How rows are
judged, and what latches, is told in `interlock_rules`.

A vehicle gets the time to open S2 by itself when the oscillator stops (Table A.6 sequence 10.2):
state C1 is no reason to open for 6 s, then the contactor opens under load. Everything else opens at
once.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from controller.interlock_chain import COIL_SUPPLY, DEFECTS, HARDWARE, SELF_TEST
from controller.interlock_heat import heat
from controller.interlock_rules import (
    CONTACTOR_DISAGREE_S,
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
from controller.signals import (
    ControlPilotState,
    InterlockReport,
    Permits,
    Phase,
    ResetRequest,
)

STOP_GRACE_S = 6.0
"""Oscillator off, and the vehicle stays in C1: open under load after this (IEC 61851-1 Table A.6
sequence 10.2; the vehicle has to open S2 within 3 s)."""
OVER_CURRENT_RATIO = 1.1
OVER_CURRENT_MARGIN_A = 0.5
OVER_CURRENT_S = 7.0
"""More than (offered + 0.5 A) * 1.1 for 7 s (EVerest): the vehicle has 5 s to follow a new duty."""
PHASE_LOST_S = 0.1
"""Own figure: five periods of the mains; a dip is no loss."""
AC_STALE_S = 0.5
"""Own figure: RCD, phases and PP are read every period."""
LEAST_OFFER_A = 6.0
OFFER_TOLERANCE_A = 0.1
PLAUSIBLE_A = (-1.0, 1000.0)
MOST_PHASES = 3

CLOSED_PHASES = (Phase.CHARGE, Phase.STOPPING)
VENTILATED = (ControlPilotState.D1, ControlPilotState.D2)


@dataclass(slots=True, kw_only=True)
class AcSnapshot(ChargerSnapshot):
    """Everything the AC charger's interlock looks at; the defaults are "nothing known"."""

    offered_a: float = 0.0
    """What the driven duty permits the vehicle to draw."""
    allowed_a: float = 0.0
    """The least of what charger, installation and cable carry; 0 while the cable is not known."""
    rcd_tripped: bool = False
    live_behind: bool = False
    phases: int = 0
    phases_needed: int = MOST_PHASES
    current_a: float = 0.0
    ac_age_s: float = inf
    ac_valid: bool = False


def over_current_limit_a(s: AcSnapshot) -> float:
    """Highest current that is no fault."""
    return (s.offered_a + OVER_CURRENT_MARGIN_A) * OVER_CURRENT_RATIO


def _implausible(s: AcSnapshot, _: InterlockConfig) -> bool:
    return not (PLAUSIBLE_A[0] <= s.current_a <= PLAUSIBLE_A[1] and 0 <= s.phases <= MOST_PHASES)


def _live_while_open(s: AcSnapshot, _: InterlockConfig) -> bool:
    return s.live_behind and not s.contactors_commanded


NO_HARDWARE: Rule[AcSnapshot] = Rule(
    "bench mode",
    lambda s, _: not s.hardware_interlock,
    "no hardware interlock: the mains is not switched (bench mode)",
)
PLAUSIBLE: Rule[AcSnapshot] = Rule("plausible", _implausible, "current or phases are not plausible")
LIVE: Rule[AcSnapshot] = Rule(
    "live", _live_while_open, "there is voltage behind the open contactor"
)
AC_STALE: Rule[AcSnapshot] = Rule(
    "inputs stale",
    lambda s, _: not s.ac_valid or is_stale(s.ac_age_s, AC_STALE_S),
    "RCD, phases and PP are not known: their inputs are silent",
)
PHASES: Rule[AcSnapshot] = Rule(
    "phases",
    lambda s, _: s.phases < s.phases_needed,
    "a mains phase is missing",
    after_s=PHASE_LOST_S,
)
CABLE: Rule[AcSnapshot] = Rule(
    "cable",
    lambda s, _: not s.allowed_a > 0.0,
    "no cable of known rating is in the socket (PP)",
)
HEAT = heat(STOP_GRACE_S)

RULES: tuple[Rule[AcSnapshot], ...] = (
    EMERGENCY_STOP,
    Rule(
        "RCD",
        lambda s, _: s.rcd_tripped,
        "the residual-current device has tripped",
        Severity.ERROR,
    ),
    Rule(
        "weld",
        _live_while_open,
        "there is voltage behind the open contactor: welded?",
        Severity.ERROR,
        after_s=CONTACTOR_DISAGREE_S,
        needs_reset=True,
    ),
    *CONTACTOR_FAULTS,
    Rule(
        "over-current",
        lambda s, _: s.contactors_commanded and s.current_a > over_current_limit_a(s),
        "the vehicle draws {s.current_a:.1f} A of {s.offered_a:.1f} A",
        Severity.ERROR,
        after_s=OVER_CURRENT_S,
    ),
    *DEFECTS,
    SELF_TEST,
    HARDWARE,
    NO_HARDWARE,
    AC_STALE,
    PLAUSIBLE,
    LIVE,
    PHASES,
    CABLE,
    *HEAT,
    *PILOT,
    pilot_c1(STOP_GRACE_S),  # 10.2
    TOGGLE,
    Rule(
        "ventilation",
        lambda s, c: s.pilot in VENTILATED and not c.ventilation,
        "vehicle wants ventilation (state D), and there is none",
    ),
    DIODE,
    HEARTBEAT,
    Rule(
        "phase",
        lambda s, _: s.believed_phase not in CLOSED_PHASES,
        "the session is in a phase without power",
    ),
    Rule(
        "no offer",
        lambda s, _: not s.offered_a >= LEAST_OFFER_A,
        "no current is offered to the vehicle",
        after_s=STOP_GRACE_S,
    ),
    Rule(
        "too much offered",
        lambda s, _: not s.offered_a <= s.allowed_a + OFFER_TOLERANCE_A,
        "more is offered than charger, supply or cable carry",
        after_s=STOP_GRACE_S,
    ),
    FEEDBACK_STALE,
    COIL_SUPPLY,
    Rule(
        "contactor open",
        lambda s, _: not (s.contactors_commanded and s.contactors_closed),
        "the contactor is not closed",
        Severity.NO_ENERGY,
    ),
)
OBSTACLES = (SELF_TEST, HARDWARE, NO_HARDWARE, AC_STALE, PLAUSIBLE, LIVE, PHASES, CABLE, *HEAT)
"""Rows that also keep the charger from offering a current: it could not keep its word."""


class AcInterlock:
    """The AC charger's interlock: `evaluate` once per period, `report` for everyone else."""

    def __init__(self, config: InterlockConfig | None = None) -> None:
        self._config = config or InterlockConfig()
        self._judge = Judge[AcSnapshot](RULES, self._config, is_unplugged)

    @property
    def report(self) -> InterlockReport:
        """What was decided last; the same object as long as nothing changed."""
        return self._judge.report

    def evaluate(self, snapshot: AcSnapshot) -> Permits:
        """Return what is allowed until 100 ms from now."""
        return self._judge.judge(snapshot)

    def obstacle(self, snapshot: AcSnapshot) -> str:
        """Say why no current may be offered, whatever the vehicle does; empty: it may."""
        for rule in OBSTACLES:
            if rule.is_wrong(snapshot, self._config):
                return rule.reason
        return ""

    def silence(self, snapshot: AcSnapshot) -> str:
        """Say that the other process is silent, if it is: nothing is offered in its name."""
        return HEARTBEAT.reason if HEARTBEAT.is_wrong(snapshot, self._config) else ""

    def receive_signal(self, signal: ResetRequest) -> None:
        """Forget faults that need a reset, if the next evaluation sees no vehicle."""
        self._judge.ask_reset()
