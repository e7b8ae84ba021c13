"""What the interlocks have in common (core): fields of their snapshots, rows of their tables.

`AnySnapshot` is what all three look at, `ChargerSnapshot` what both chargers' do. A row that stands
in several tables stands here once; where it stands in a table, and with what beside it, is told
there.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Any

from controller.cp.timing import BCB_LONGEST_S
from controller.interlock_rules import (
    CONTACTOR_DISAGREE_S,
    CONTACTOR_STALE_S,
    HOLDING_FAULTS,
    PILOT_STALE_S,
    UNPLUGGED,
    InterlockConfig,
    Rule,
    Severity,
    is_stale,
)
from controller.signals import ControlPilotState, Phase, PilotFault

if TYPE_CHECKING:
    from collections.abc import Callable


# Not frozen: the realtime process has one and fills it every period; a new frozen one costs more.
@dataclass(slots=True, kw_only=True)
class AnySnapshot:
    """What every interlock looks at; the defaults are "nothing known"."""

    now: float
    heartbeat_age_s: float = inf
    believed_phase: Phase = Phase.IDLE
    contactors_commanded: bool = False
    contactors_closed: bool = False
    contactors_valid: bool = False
    contactors_age_s: float = inf
    contactor_fault: str = ""
    """The latched fault of the contactor core, or empty."""
    emergency_stop: bool = True
    hardware_interlock: bool = False
    """The external hardware interlock is there, and its self-test passed; else bench mode."""
    hardware_tripped: bool = False
    """It is there, and has opened its chain."""
    interlock_tested: bool = False
    """Its self-test is over, or there is none to test."""


@dataclass(slots=True, kw_only=True)
class ChargerSnapshot(AnySnapshot):
    """What a charger's interlock looks at besides, DC or AC."""

    pilot: ControlPilotState | None = None
    pilot_age_s: float = inf
    pilot_fault: PilotFault = PilotFault.NONE
    pilot_power_s: float = -inf
    """How long the vehicle has been in C or D."""
    diode_ok: bool = False
    coils_live: bool = False
    """The coils have their supply (only looked at once the interlock is proved)."""
    coils_must_be_dead: bool = False
    """The pilot is certainly not in C2 or D2: the CP-loss part has to interrupt."""
    stops_disagree: bool = False
    connector_hot: bool = False
    connector_unknown: bool = True
    """There is a sensor in the connector, and it shows no temperature."""


def is_unplugged(seen: ChargerSnapshot) -> bool:
    """Return whether the pilot says, freshly, that no vehicle is there."""
    return seen.pilot in UNPLUGGED and not is_stale(seen.pilot_age_s, PILOT_STALE_S)


def _feedback_disagrees(s: AnySnapshot, _: InterlockConfig) -> bool:
    return (
        s.contactors_closed is not s.contactors_commanded
        and s.contactors_valid
        and not is_stale(s.contactors_age_s, CONTACTOR_STALE_S)
    )


def pilot_is(*names: str) -> Callable[[ChargerSnapshot, InterlockConfig], bool]:
    """Return a predicate: the pilot is in one of these states."""
    states = tuple(p for p in ControlPilotState if p.value in names)
    return lambda s, _: s.pilot in states


# Rule[Any]: each is used in the tables of several kinds of snapshot.
EMERGENCY_STOP: Rule[Any] = Rule(
    "emergency stop",
    lambda s, _: s.emergency_stop,
    "emergency stop is pressed, or its chain is broken",
    Severity.EMERGENCY,
)
CONTACTOR_FAULTS: tuple[Rule[Any], ...] = (
    Rule(
        "contactor fault",
        lambda s, _: s.contactor_fault != "",
        "{s.contactor_fault}",
        Severity.ERROR,
        needs_reset=True,
    ),
    Rule(
        "contactor feedback",
        _feedback_disagrees,
        "contactor feedback disagrees with its command",
        Severity.ERROR,
        after_s=CONTACTOR_DISAGREE_S,
        needs_reset=True,
    ),
)
FEEDBACK_STALE: Rule[Any] = Rule(
    "feedback stale",
    lambda s, _: not s.contactors_valid or is_stale(s.contactors_age_s, CONTACTOR_STALE_S),
    "contactor feedback is missing",
)
HEARTBEAT: Rule[Any] = Rule(
    "heartbeat",
    lambda s, c: is_stale(s.heartbeat_age_s, c.heartbeat_timeout_s),
    "the communication process is silent",
)
PILOT: tuple[Rule[Any], ...] = (
    Rule(
        "pilot fault",
        lambda s, _: s.pilot_fault in HOLDING_FAULTS and s.pilot not in UNPLUGGED,
        "{s.pilot_fault.value}",
        Severity.ERROR,
    ),
    Rule("pilot unknown", lambda s, _: s.pilot is None, "pilot state is not known"),
    Rule(
        "pilot stale",
        lambda s, c: is_stale(s.pilot_age_s, c.pilot_stale_s),
        "pilot samples have stopped",
    ),
    Rule(
        "pilot open",  # CharIN design guide: C2 to A2
        lambda s, _: s.pilot_fault is PilotFault.OPEN,
        PilotFault.OPEN.value,
    ),
    Rule("pilot A", pilot_is("A1", "A2"), "no vehicle (state A)"),  # Table A.6 sequences 2.1, 2.2
    Rule("pilot B", pilot_is("B1", "B2"), "vehicle does not ask for power (state B)"),  # 8.1
    Rule("pilot E", pilot_is("E"), "pilot is short-circuited or dead (state E)"),  # 12
    Rule("pilot F", pilot_is("F"), "pilot says not available (state F)"),
)


def pilot_c1(after_s: float = 0.0) -> Rule[Any]:
    """Row for a vehicle that stays in C though the oscillator stands."""
    return Rule(
        "pilot C1", pilot_is("C1", "D1"), "pilot oscillator is off (state C1)", after_s=after_s
    )


TOGGLE: Rule[Any] = Rule(
    "toggle",  # ISO 15118-3 B-C-B
    lambda s, _: not s.pilot_power_s >= BCB_LONGEST_S,
    "the vehicle may only be toggling its pilot (state C is new)",
)
DIODE: Rule[Any] = Rule(
    "diode", lambda s, _: not s.diode_ok, "the vehicle's pilot diode was not seen"
)
