"""The pilot front end in formulas: what the ADC shows in each state, and what the software reads.

An independent check of the SPICE run (tests/hw_docs), and the corners of static errors. The levels
are settled ones: what the cable's capacitance does to edges is left to SPICE.
"""

from __future__ import annotations

from dataclasses import dataclass

from controller.board import Channel, load
from hw_docs.parts import value

OUTPUT_OHM = (10.0, 40.0)
"""Output resistance of U1 in its switch-like range; own figure, to be measured on the first board.
R1 is chosen for the whole range: 970 to 1030 Ω together (IEC 61851-1: 1 kΩ, 3 %)."""
NO_OHM = 1e12
SHORT_OHM = 80.0
"""State E as a test makes it (IEC 61851-1 Table A.6 sequence 12: 80 to 120 Ω)."""
STATES = "ABCDEF"


def channel(name: str) -> Channel:
    """Return the channel of the board's pin map."""
    return load().evse.channels[name]


@dataclass(frozen=True, slots=True)
class Load:
    """What hangs on CP."""

    r2_ohm: float = NO_OHM
    r3_ohm: float = NO_OHM
    short_ohm: float = NO_OHM
    diode_v: float = 0.7


def load_of(state: str) -> Load:
    """Return the nominal load of a state; F is a driven one, with a vehicle."""
    r2, diode_v = value("RV2"), value("VD")
    return {
        "A": Load(),
        "B": Load(r2, diode_v=diode_v),
        "C": Load(r2, value("RV3"), diode_v=diode_v),
        "D": Load(r2, value("RV4"), diode_v=diode_v),
        "E": Load(short_ohm=SHORT_OHM),
        "F": Load(r2, diode_v=diode_v),
    }[state]


def pilot_v(source_v: float, on_cp: Load) -> float:
    """Solve source, short, divider and vehicle (diode in series) for the voltage on CP."""
    source_ohm = value("R1") + sum(OUTPUT_OHM) / 2
    conductance = 1 / source_ohm + 1 / on_cp.short_ohm + 1 / value("R3")
    current_a = source_v / source_ohm + divider_v(0.0, into=True) / value("R3")
    open_v = current_a / conductance
    if open_v <= on_cp.diode_v:
        return open_v
    load = 1 / on_cp.r2_ohm + 1 / on_cp.r3_ohm
    return (current_a + on_cp.diode_v * load) / (conductance + load)


def divider_v(cp_v: float, *, into: bool = False) -> float:
    """Return the divider's output; `into`: about what it drives back into CP."""
    g3, g4, g5 = (1 / value(name) for name in ("R3", "R4", "R5"))
    from_reference = value("VREF") * g4
    return from_reference / (g4 + g5) if into else (cp_v * g3 + from_reference) / (g3 + g4 + g5)


def read_v(cp_v: float, name: str = "cp_high") -> float:
    """Return what the software reads, by slope and offset of the board's pin map."""
    ch = channel(name)
    return divider_v(cp_v) * ch.slope + ch.offset_v


def levels(state: str, duty: float) -> tuple[float, float]:
    """Return high and low phase as the software reads them, settled and without tolerances."""
    on_cp = load_of(state)
    high_v = pilot_v(value("V12P"), on_cp)
    low_v = pilot_v(value("V12N"), on_cp)
    if duty >= 1.0:
        low_v = high_v
    elif duty <= 0.0:
        high_v = low_v
    return read_v(high_v, "cp_high"), read_v(low_v, "cp_low")
