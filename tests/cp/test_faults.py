"""Every (state, level, duty, fault): which state and fault is told, what is driven, and the permit.

The table is written by hand from the standard's circuit, not from the code: one row for a fault of
the circuit, one column for what is plugged in. Each cell is played twice: the fault is there before
anything else, or it strikes in the middle.
"""

from __future__ import annotations

from math import inf, nan

import pytest

from controller.cp import timing
from controller.cp.evse import EvsePilot
from controller.cp.levels import Level
from controller.cp.sim import Diode
from controller.interlock_rules import HOLDING_FAULTS
from controller.signals import (
    ControlPilotState,
    DutyRequest,
    PilotChanged,
    PilotFault,
    PilotSample,
    SetDuty,
)
from tests.cp.test_evse import PERIOD_S, Bench

F = PilotFault
S = ControlPilotState

NOTHING: dict[str, object] = {}
CIRCUIT: dict[str, dict[str, object]] = {
    "no fault": NOTHING,
    "CP to PE, 1 Ohm": {"short_ohm": 1.0},
    "CP to PE, 80 Ohm": {"short_ohm": 80.0},
    "CP to PE, 120 Ohm": {"short_ohm": 120.0},
    "CP to PE, 250 Ohm": {"short_ohm": 250.0},
    "wire open": {"wire_open": True},
    "diode shorted": {"diode": Diode.SHORTED},
    "diode open": {"diode": Diode.OPEN},
    "+12 V missing": {"supply_v": 0.0},
    "+12 V is -12 V": {"supply_v": -12.0},
    "+12 V is 16 V": {"supply_v": 16.0},
    "-12 V missing": {"negative_supply_v": 0.0},
    "-12 V is -9 V": {"negative_supply_v": -9.0},
    "-12 V is -15 V": {"negative_supply_v": -15.0},
    "generator dead": {"supply_v": 0.0, "negative_supply_v": 0.0},
}
PLUGGED: dict[str, dict[str, object]] = {
    "A": {},
    "B": {"plugged": True},
    "C": {"plugged": True, "s2_closed": True},
    "D": {"plugged": True, "s2_closed": True, "r3_ohm": 270.0},
}
DUTIES = [0.05, 0.1, 0.5, 0.96]

OSCILLATING = """
                  | A           | B                  | C                  | D
no fault          | A2          | B2                 | C2                 | D2 VENTILATION
CP to PE, 1 Ohm   | E SHORT     | E SHORT            | E SHORT            | E SHORT
CP to PE, 80 Ohm  | E SHORT     | E SHORT            | E SHORT            | E SHORT
CP to PE, 120 Ohm | E SHORT     | E SHORT            | E SHORT            | E SHORT
CP to PE, 250 Ohm | D2 DIODE    | D2 DIODE           | D2 DIODE           | E SHORT
wire open         | A2          | A2                 | A2                 | A2
diode shorted     | A2          | B2 DIODE           | C2 DIODE           | D2 DIODE
diode open        | A2          | A2                 | A2                 | A2
+12 V missing     | E SUPPLY    | E SUPPLY           | E SUPPLY           | E SUPPLY
+12 V is -12 V    | F SUPPLY    | F SUPPLY           | F SUPPLY           | F SUPPLY
+12 V is 16 V     | E RANGE     | A2                 | B2                 | D2 VENTILATION
-12 V missing     | A2 NEGATIVE | B2 NEGATIVE        | C2 NEGATIVE        | D2 NEGATIVE
-12 V is -9 V     | A2 NEGATIVE | B2 DIODE           | C2 NEGATIVE        | D2 NEGATIVE
-12 V is -15 V    | A2 NEGATIVE | B2 NEGATIVE        | C2 NEGATIVE        | D2 NEGATIVE
generator dead    | E SHORT     | E SHORT            | E SHORT            | E SHORT
"""
STEADY = """
                  | A           | B                  | C                  | D
no fault          | A1          | B1                 | C1                 | D1 VENTILATION
CP to PE, 1 Ohm   | E SHORT     | E SHORT            | E SHORT            | E SHORT
CP to PE, 80 Ohm  | E SHORT     | E SHORT            | E SHORT            | E SHORT
CP to PE, 120 Ohm | E SHORT     | E SHORT            | E SHORT            | E SHORT
CP to PE, 250 Ohm | D1 VENTILATION | D1 VENTILATION  | D1 VENTILATION     | E SHORT
wire open         | A1          | A1                 | A1                 | A1
diode shorted     | A1          | B1                 | C1                 | D1 VENTILATION
diode open        | A1          | A1                 | A1                 | A1
+12 V missing     | E SHORT     | E SHORT            | E SHORT            | E SHORT
+12 V is -12 V    | F SUPPLY    | F SUPPLY           | F SUPPLY           | F SUPPLY
+12 V is 16 V     | E RANGE     | A1                 | B1                 | D1 VENTILATION
-12 V missing     | A1          | B1                 | C1                 | D1 VENTILATION
-12 V is -9 V     | A1          | B1                 | C1                 | D1 VENTILATION
-12 V is -15 V    | A1          | B1                 | C1                 | D1 VENTILATION
generator dead    | E SHORT     | E SHORT            | E SHORT            | E SHORT
"""
LOST = ("wire open", "diode open")
"""Faults that look like an unplugged cable: struck under load they are told as such."""


def cells(table: str) -> dict[tuple[str, str], tuple[S, F]]:
    """Read a table: (fault, what is plugged) -> (state, fault that is told)."""
    found: dict[tuple[str, str], tuple[S, F]] = {}
    lines = [[cell.strip() for cell in line.split("|")] for line in table.strip().splitlines()]
    for name, *row in lines[1:]:
        for plugged, cell in zip("ABCD", row, strict=True):
            state, _, fault = cell.partition(" ")
            named = {"": F.NONE, "NEGATIVE": F.NEGATIVE_SUPPLY}.get(fault) or PilotFault[fault]
            found[name, plugged] = (S(state), named)
    assert {name for name, _ in found} == set(CIRCUIT)
    return found


def apply(bench: Bench, *changes: dict[str, object]) -> None:
    for change in changes:
        for name, value in change.items():
            setattr(bench.circuit, name, value)


def after_latching(state: S, fault: F, duty: float) -> tuple[S, float]:
    """Return what is driven in the end: a short circuit or a dead generator leads to X1."""
    if fault in (F.SHORT, F.RANGE, F.SUPPLY):
        return state, 1.0
    return state, duty


@pytest.mark.parametrize("duty", [1.0, *DUTIES])
@pytest.mark.parametrize("plugged", PLUGGED)
@pytest.mark.parametrize("name", CIRCUIT)
def test_a_fault_from_the_start(name: str, plugged: str, duty: float) -> None:
    """The generator is set up first, then the car comes, then the oscillator starts."""
    bench = Bench()
    apply(bench, CIRCUIT[name], PLUGGED[plugged])
    bench.run(0.3)
    bench.ask(duty)
    bench.run(0.3)
    state, fault = cells(STEADY if duty == 1.0 else OSCILLATING)[name, plugged]
    if cells(STEADY)[name, plugged][1] in (F.SHORT, F.RANGE, F.SUPPLY):
        state, fault = cells(STEADY)[name, plugged]  # latched before there was an oscillator
        duty = 1.0
    state, driven = after_latching(state, fault, duty)
    assert (bench.pilot.state, bench.pilot.fault, bench.pilot.duty) == (state, fault, driven)
    assert bench.pilot.diode_ok is (
        state in (S.B2, S.C2, S.D2) and fault in (F.NONE, F.VENTILATION)
    )


@pytest.mark.parametrize("duty", [1.0, *DUTIES])
@pytest.mark.parametrize("plugged", PLUGGED)
@pytest.mark.parametrize("name", CIRCUIT)
def test_a_fault_that_strikes(name: str, plugged: str, duty: float) -> None:
    bench = Bench()
    apply(bench, PLUGGED[plugged])
    bench.run(0.3)
    bench.ask(duty)
    bench.run(0.3)
    apply(bench, CIRCUIT[name])
    bench.run(0.05)
    state, fault = cells(STEADY if duty == 1.0 else OSCILLATING)[name, plugged]
    if state.letter == "A" and plugged in "CD" and fault is F.NONE:
        fault = F.OPEN
    if name == "+12 V is 16 V" and plugged == "C":
        state = S.C1 if duty == 1.0 else S.C2  # 7.9 V: in the gap the letter stays
    state, driven = after_latching(state, fault, duty)
    assert (bench.pilot.state, bench.pilot.fault, bench.pilot.duty) == (state, fault, driven)
    told = next(o for o in reversed(bench.out) if isinstance(o, PilotChanged))
    assert (told.state, told.fault, told.held) == (state, fault, bench.pilot.held)
    assert bool(told.held) is (fault in (F.SHORT, F.RANGE, F.SUPPLY))


@pytest.mark.parametrize("plugged", PLUGGED)
@pytest.mark.parametrize("name", CIRCUIT)
def test_at_minus_twelve_volts(name: str, plugged: str) -> None:
    """State F: only a missing -12 V and a short circuit can be seen; a diode hides the vehicle."""
    bench = Bench()
    apply(bench, PLUGGED[plugged])
    bench.run(0.3)
    bench.out.clear()
    bench.ask(0.0)
    bench.run(0.3)
    assert (bench.pilot.state, bench.pilot.fault) == (S.F, F.NONE)
    apply(bench, CIRCUIT[name])
    bench.run(0.05)
    told = [o.fault for o in bench.out if isinstance(o, PilotChanged) and o.fault is not F.NONE]
    through_diode = name == "diode shorted" and plugged != "A"
    if name == "-12 V is -15 V":
        assert told[0] is F.RANGE
    elif name.startswith(("CP to PE", "-12 V", "generator dead")) or through_diode:
        assert told[0] is F.SHORT  # from inside nobody can tell the difference
    else:
        assert told == []
        assert (bench.pilot.state, bench.pilot.duty) == (S.F, 0.0)
        return
    bench.run(timing.T_STEP_EF_S)  # F goes to its end
    assert bench.pilot.duty == 1.0
    assert (bench.pilot.state.letter == "A") is (bench.pilot.held == "")


@pytest.mark.parametrize("fault", [F.SHORT, F.RANGE, F.SUPPLY, F.DIODE])
def test_a_fault_holds_until_the_vehicle_is_unplugged(fault: PilotFault) -> None:
    name = {
        F.SHORT: "CP to PE, 80 Ohm",
        F.RANGE: "+12 V is 16 V",
        F.SUPPLY: "+12 V missing",
        F.DIODE: "diode shorted",
    }[fault]
    bench = Bench()
    if fault is not F.RANGE:
        apply(bench, PLUGGED["B"])
    bench.run(0.3)
    bench.ask(0.05)
    bench.run(0.1)
    before = {key: getattr(bench.circuit, key) for key in CIRCUIT[name]}
    apply(bench, CIRCUIT[name])
    bench.run(0.1)
    assert bench.pilot.fault is fault
    apply(bench, before)
    if fault is F.RANGE:
        bench.run(0.1)
        assert bench.pilot.fault is F.NONE  # with nothing plugged in it is over when it is over
        return
    for duty in (0.05, 0.5, 1.0, 0.05):
        bench.ask(duty)
        bench.run(6.0)
        assert bench.pilot.fault is fault
        assert bench.pilot.duty == 1.0 or fault is F.DIODE
    bench.circuit.plugged = False
    bench.run(0.05)
    assert (bench.pilot.fault, bench.pilot.held) == (F.NONE, "")
    bench.circuit.plugged = True
    bench.run(0.05)
    bench.ask(0.05)
    bench.run(0.1)
    assert (bench.pilot.state, bench.pilot.diode_ok) == (S.B2, True)


def test_a_short_circuit_stops_the_oscillator_at_once_and_for_this_vehicle() -> None:
    bench = Bench()
    bench.to_c2()
    bench.circuit.short_ohm = 80.0
    bench.run(2 * PERIOD_S)
    assert [o.duty for o in bench.out if isinstance(o, SetDuty)] == [0.05, 1.0]
    assert bench.states()[-1] is S.E
    bench.circuit.short_ohm = None
    bench.run(1.0)
    assert bench.states()[-1] is S.C1
    bench.ask(0.05)
    bench.run(10.0)
    assert bench.pilot.duty == 1.0


def test_minus_twelve_volts_that_were_missing_are_missing_until_seen() -> None:
    """Told without a vehicle, forgotten with the next proof; it costs one vehicle, not the next."""
    bench = Bench()
    bench.circuit.negative_supply_v = 0.0
    bench.circuit.plugged = True
    bench.run(0.2)
    bench.ask(0.05)
    bench.run(0.1)
    assert bench.faults()[-1] is F.NEGATIVE_SUPPLY
    bench.ask(1.0)
    bench.circuit.plugged = False
    bench.run(0.1)
    assert (bench.pilot.state, bench.pilot.fault) == (S.A1, F.NEGATIVE_SUPPLY)
    bench.circuit.negative_supply_v = -12.0
    bench.circuit.plugged = True
    bench.run(0.1)
    assert (bench.pilot.state, bench.pilot.fault) == (S.B1, F.NONE)
    bench.ask(0.05)
    bench.run(0.1)
    assert bench.pilot.diode_ok
    bench.circuit.plugged = False
    bench.run(0.1)
    assert bench.faults()[-1] is F.NONE


def test_a_fault_that_comes_with_a_new_drive_is_judged_when_that_has_settled() -> None:
    """From F to X1 the detectors may pass 0 V: no short circuit."""
    bench = Bench(noisy=False)
    bench.circuit.plugged = True
    bench.run(0.3)
    bench.ask(0.0)
    bench.run(5.0)
    bench.ask(1.0)
    bench.circuit.duty, bench.circuit.short_ohm = 1.0, 1.0
    bench.run(timing.DIODE_SETTLE_S - PERIOD_S)
    assert bench.pilot.state is S.E
    assert bench.pilot.fault is F.NONE
    bench.circuit.short_ohm = None
    bench.run(0.1)
    assert (bench.pilot.state, bench.pilot.held) == (S.B1, "")


def test_a_supply_that_is_still_rising_at_the_start_is_no_fault() -> None:
    bench = Bench()
    bench.circuit.plugged, bench.circuit.supply_v = True, 0.0
    bench.run(timing.START_SETTLE_S - 2 * PERIOD_S)
    assert bench.pilot.state is S.E
    bench.circuit.supply_v = 12.0
    bench.run(0.1)
    assert (bench.pilot.state, bench.pilot.held) == (S.B1, "")


@pytest.mark.parametrize("high_v", [nan, inf, -inf, 13.01, 99.0, -13.01, -99.0])
def test_what_no_generator_makes_is_out_of_range(high_v: float) -> None:
    bench = Bench()
    bench.run(0.2)
    now = bench.now
    for _ in range(3):
        now += PERIOD_S
        bench.obey(bench.pilot.receive_sample(PilotSample(high_v, -12.0, now), now))
    assert (bench.pilot.state, bench.pilot.fault) == (S.E, F.RANGE)


def test_ventilation_that_is_there_is_no_fault() -> None:
    pilot = EvsePilot(ventilation=True)
    pilot.receive_signal(DutyRequest(0.05), 0.0)
    for i in range(1, 100):
        pilot.receive_sample(PilotSample(3.0, -12.0, i * PERIOD_S), i * PERIOD_S)
    assert (pilot.state, pilot.fault, pilot.diode_ok) == (S.D2, F.NONE, True)


def test_only_some_faults_hold() -> None:
    passing = set(F) - {F.NONE, *HOLDING_FAULTS}
    assert passing == {F.OPEN, F.VENTILATION}
    assert all(len(fault.value) > 20 for fault in set(F) - {F.NONE})
    assert len(Level) == 6
