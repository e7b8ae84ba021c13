"""What both chargers' interlocks ask of the external hardware interlock (core): shared rows.

The rows are about its read-backs while it works; that it works at all is proved by `interlock_test`
before. What each part has to do is told in `hw_docs/interlock.md`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from controller.interlock_rules import InterlockConfig, Rule, Severity

if TYPE_CHECKING:
    from controller.interlock_shared import ChargerSnapshot

STOP_CHANNELS_S = 0.5
"""Two contacts of one button: what safety relays allow as discrepancy."""
CHAIN_OPENS_S = 0.1
"""Own figure: relay and debounce of both inputs; the chain itself opens at once."""
CP_LOSS_S = 0.05
"""The CP-loss part has 30 ms (CharIN design guide, loss of CP); two periods see it."""


def _stop_opens_nothing(s: ChargerSnapshot, _: InterlockConfig) -> bool:
    return s.hardware_interlock and s.emergency_stop and not s.hardware_tripped


def _cp_loss_sticks(s: ChargerSnapshot, _: InterlockConfig) -> bool:
    return s.hardware_interlock and s.coils_live and s.coils_must_be_dead


def _no_supply(s: ChargerSnapshot, _: InterlockConfig) -> bool:
    return s.hardware_interlock and not s.coils_live


# Rule[Any]: each is used in the tables of two kinds of snapshot, both a `ChargerSnapshot`.
DEFECTS: tuple[Rule[Any], ...] = (
    Rule(
        "stop channels",
        lambda s, _: s.stops_disagree,
        "the two channels of the emergency stop disagree",
        Severity.ERROR,
        after_s=STOP_CHANNELS_S,
        needs_reset=True,
    ),
    Rule(
        "stop without effect",
        _stop_opens_nothing,
        "the emergency stop is pressed, and the interlock chain stays closed",
        Severity.ERROR,
        after_s=CHAIN_OPENS_S,
        needs_reset=True,
    ),
    Rule(
        "CP loss",
        _cp_loss_sticks,
        "the CP-loss part does not interrupt the coils' supply",
        Severity.ERROR,
        after_s=CP_LOSS_S,
        needs_reset=True,
    ),
)
SELF_TEST: Rule[Any] = Rule(
    "self-test", lambda s, _: not s.interlock_tested, "the interlock self-test is running"
)
HARDWARE: Rule[Any] = Rule(
    "hardware", lambda s, _: s.hardware_tripped, "the hardware interlock has tripped"
)
COIL_SUPPLY: Rule[Any] = Rule(
    "coil supply", _no_supply, "the coils have no supply (CP-loss part, or its read-back)"
)
