"""Proximity (PP) of the vehicle's inlet (core): which plug a resistance means, when it is believed.

The inlet pulls PP up to 5 V by 330 Ohm, with 2.7 kOhm to PE; the plug adds a resistor to PE. What
is measured is a voltage (`resistance_ohm` takes the inlet's own part out of it), what counts is
the plug's resistor. Two codings, one table each, one band a line:

- CCS1 and Type 1 (SAE J1772): 150 Ohm latched; 480 Ohm while the latch's button (S3) is pressed.
- CCS2 and Type 2 (IEC 61851-1 Table B.2): the resistor says what the cable carries; the plug of a
  DC charger has 1.5 kOhm.

Between two bands the previous meaning stays if it is a neighbour's; else the one that permits less.
A resistance that no plug has, or none that can be measured, is a fault: something is there, and
nothing may flow. `ProximityReader` believes a meaning by time.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from math import inf, isnan, nan

from controller.cp import timing

PULL_UP_V = 5.0
PULL_UP_OHM = 330.0
INLET_OHM = 2700.0
"""The inlet's own parts: SAE J1772 R4 and R5; the same behind a Type 2 inlet."""
OPEN_OHM = 1e6
"""No plug: more than this is not told apart."""
BROKEN_V = 4.85
"""Without a plug PP is at 4.46 V. So high it is only when the inlet's own resistor is gone."""
LOWEST_V = -0.2
"""Offsets of the converter; less is no measurement."""


class Connector(Enum):
    """The inlet of the vehicle."""

    CCS1 = "ccs1"
    CCS2 = "ccs2"


class Meaning(Enum):
    """What the plug's resistor says."""

    UNPLUGGED = "unplugged"
    PLUGGED = "plugged"
    BUTTON = "button pressed"
    FAULT = "fault"


@dataclass(frozen=True, slots=True)
class Plug:
    """One meaning; each is one object, so they are compared by identity."""

    meaning: Meaning
    cable_a: float = 0.0
    """What the cable may carry (AC); 0: the coding does not say."""

    @property
    def is_plugged(self) -> bool:
        """Whether something is in the inlet."""
        return self.meaning is not Meaning.UNPLUGGED


UNPLUGGED = Plug(Meaning.UNPLUGGED)
PLUGGED = Plug(Meaning.PLUGGED)
BUTTON = Plug(Meaning.BUTTON)
FAULT = Plug(Meaning.FAULT)
A_13, A_20, A_32, A_63 = (Plug(Meaning.PLUGGED, amps) for amps in (13.0, 20.0, 32.0, 63.0))

Band = tuple[float, float, Plug]
CODINGS: dict[Connector, tuple[Band, ...]] = {
    Connector.CCS1: (  # SAE J1772: R6 150 Ohm, with R7 330 Ohm while S3 is open
        (0.0, 75.0, FAULT),
        (100.0, 225.0, PLUGGED),
        (375.0, 650.0, BUTTON),
        (850.0, 1600.0, FAULT),
        (2500.0, inf, UNPLUGGED),
    ),
    Connector.CCS2: (  # IEC 61851-1 Table B.2, bands as EVerest's bring-up guide gives them
        (0.0, 60.0, FAULT),
        (80.0, 140.0, A_63),
        (164.0, 308.0, A_32),
        (400.0, 936.0, A_20),
        (1100.0, 2460.0, A_13),
        (4500.0, inf, UNPLUGGED),
    ),
}


def resistance_ohm(pp_v: float) -> float:
    """Return the plug's resistor for a voltage on PP; no number for one that cannot be."""
    if not LOWEST_V <= pp_v <= BROKEN_V:
        return nan
    siemens = (PULL_UP_V - pp_v) / PULL_UP_OHM / max(pp_v, 1e-3) - 1.0 / INLET_OHM
    return OPEN_OHM if siemens <= 1.0 / OPEN_OHM else 1.0 / siemens


def classify(ohm: float, connector: Connector, previous: Plug | None = None) -> Plug:
    """Return what a resistance means, coming from a meaning."""
    if isnan(ohm) or ohm < 0.0:
        return FAULT
    below: Plug | None = None
    for low, high, plug in CODINGS[connector]:
        if ohm < low:
            return _between(below, plug, previous)
        if ohm <= high:
            return plug
        below = plug
    return UNPLUGGED


def _between(below: Plug | None, above: Plug, previous: Plug | None) -> Plug:
    if previous is not None and (previous is below or previous is above):
        return previous
    if below is FAULT or above is UNPLUGGED:
        return FAULT
    return above  # the smaller cable; the pressed button


class ProximityReader:
    """Believes what PP says: a plug that bounces is not in yet, one that leaves is gone soon."""

    __slots__ = ("_candidate", "_connector", "_since", "plug")

    def __init__(self, connector: Connector) -> None:
        self.plug = UNPLUGGED
        self._connector = connector
        self._candidate: Plug | None = None
        self._since = 0.0

    @property
    def is_pending(self) -> bool:
        """Whether a reading disagreed and the matter is not settled."""
        return self._candidate is not None

    def put(self, ohm: float, at: float) -> Plug:
        """Take one reading; return what is believed."""
        seen = classify(ohm, self._connector, self.plug)
        if seen is self.plug:
            self._candidate = None
            return seen
        if seen is not self._candidate:
            self._candidate, self._since = seen, at
        coming = self.plug is UNPLUGGED
        if at - self._since >= (timing.PLUG_IN_S if coming else timing.PLUG_OUT_S):
            self.plug, self._candidate = seen, None
        return self.plug
