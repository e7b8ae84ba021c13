"""What the chargers' interlocks ask of the connector's temperature (core): rows for both tables.

Heat is slow, so nothing opens under load because of it where that can be had better: a DC charger
asks its session to end in order, an AC charger withdraws its offer and lets the vehicle open S2.
Who does not make it in time is opened under load. With nothing granted the rows count at once: what
is too hot is not closed, and neither is what nobody can tell. Nothing latches: what has cooled down
serves the next vehicle, without anybody's reset.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from controller.interlock_rules import Rule

if TYPE_CHECKING:
    from controller.interlock_shared import ChargerSnapshot

SESSION_S = 20.0
"""From asking a DC session to end to opening (EVerest: 20 s from the soft stop to hard off)."""

HOT = "the connector is too hot"
UNKNOWN = "the connector's temperature is not known: its sensor is broken"


def _hot(s: ChargerSnapshot, _: object) -> bool:
    return s.connector_hot


def _unknown(s: ChargerSnapshot, _: object) -> bool:
    return s.connector_unknown


def heat(grace_s: float) -> tuple[Rule[Any], ...]:
    """Rows that give a charge which runs so long to end; `Rule[Any]` as in `interlock_chain`."""
    return (
        Rule("hot", _hot, HOT, after_s=grace_s),
        Rule("no temperature", _unknown, UNKNOWN, after_s=grace_s),
    )
