"""What both chargers' interlocks ask of the external hardware interlock (core): shared rows.

The rows are about its read-backs while it works; that it works at all is proved by `interlock_test`
before. What each part has to do is told in `hw_docs/interlock.md`.
"""

from __future__ import annotations

from typing import Any, Protocol

from controller.interlock_rules import InterlockConfig, Rule, Severity

STOP_CHANNELS_S = 0.5
"""Two contacts of one button: what safety relays allow as discrepancy."""
CHAIN_OPENS_S = 0.1
"""Own figure: relay and debounce of both inputs; the chain itself opens at once."""
CP_LOSS_S = 0.05
"""The CP-loss part has 30 ms (CharIN design guide, loss of CP); two periods see it."""


class ChainSeen(Protocol):
    """What a snapshot tells of the hardware interlock; the defaults are "nothing known"."""

    emergency_stop: bool
    hardware_interlock: bool
    """It is there, and its self-test passed; else bench mode."""
    hardware_tripped: bool
    """It is there, and has opened its chain."""
    interlock_tested: bool
    """Its self-test is over, or there is none to test."""
    coils_live: bool
    """The coils have their supply."""
    coils_must_be_dead: bool
    """The pilot is certainly not in C or D: the CP-loss part has to interrupt."""
    stops_disagree: bool


def _stop_opens_nothing(s: ChainSeen, _: InterlockConfig) -> bool:
    return s.hardware_interlock and s.emergency_stop and not s.hardware_tripped


def _cp_loss_sticks(s: ChainSeen, _: InterlockConfig) -> bool:
    return s.hardware_interlock and s.coils_live and s.coils_must_be_dead


def _no_supply(s: ChainSeen, _: InterlockConfig) -> bool:
    return s.hardware_interlock and not s.coils_live


# Rule[Any]: each is used in the tables of two kinds of snapshot, which both are a `ChainSeen`.
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
