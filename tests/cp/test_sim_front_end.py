"""The simulated CP front end against what can be worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from math import exp, log

import pytest

from controller.cp import limits
from controller.cp.sim import Diode, PilotCircuit
from controller.cp.sim_front_end import BLED, FrontEnd, Parts
from controller.pigpiod.courses import HIGH, LOW, Course, Switched, pulses

MS = 1_000_000
QUICK = Parts(charge_s=1e-9, droop_s=1e3, gate_s=None)
"""Nearly ideal detectors: at once, and for ever."""


def circuit(letter: str) -> PilotCircuit:
    pilot = PilotCircuit()
    pilot.plugged = letter != "A"
    pilot.s2_closed = letter in "CD"
    pilot.r3_ohm = limits.R3_VENTILATION_OHM if letter == "D" else limits.R3_OHM
    return pilot


def settled(pilot: PilotCircuit, drive: Course, parts: Parts | None = None) -> FrontEnd:
    front = FrontEnd(pilot, parts)
    front.set_drive(drive, 0)
    front.advance(20 * MS if parts is QUICK else 500 * MS)
    return front


def duty(fraction: float) -> Course:
    return pulses(0, MS, round(fraction * MS))


# --- steady levels and peaks ---------------------------------------------------------------------


@pytest.mark.parametrize(("letter", "volts"), [("A", 12.0), ("B", 9.0), ("C", 6.0), ("D", 3.0)])
@pytest.mark.parametrize("fraction", [0.1, 0.5, 0.9])
def test_each_letter_has_its_peaks(letter: str, volts: float, fraction: float) -> None:
    pilot = circuit(letter)
    pilot.duty = fraction
    front = settled(pilot, duty(fraction), QUICK)
    assert front.high_v == pytest.approx(volts, abs=0.2)
    assert front.high_v == pytest.approx(pilot.peaks[0], abs=1e-3)
    assert front.low_v == pytest.approx(-12.0, abs=1e-3)


@pytest.mark.parametrize("letter", "ABCD")
def test_five_percent_is_enough_for_the_peaks(letter: str) -> None:
    """50 us against a time constant of 5.5 us: the line comes within 0.1 %."""
    pilot = circuit(letter)
    front = settled(pilot, duty(0.05), QUICK)
    assert front.high_v == pytest.approx(
        pilot.rests_at(12.0, conducting=pilot.plugged)[0], abs=0.01
    )


BANDS = {
    "A": limits.LEVEL_A_V,
    "B": limits.LEVEL_B_V,
    "C": limits.LEVEL_C_V,
    "D": limits.LEVEL_D_V,
}


@pytest.mark.parametrize("parts", [Parts(), BLED], ids=["gates", "diodes"])
@pytest.mark.parametrize("letter", "ABCD")
@pytest.mark.parametrize("percent", [5, 10, 50, 96])
def test_real_detectors_stay_in_the_bands_at_any_instant(
    letter: str, percent: int, parts: Parts
) -> None:
    front = settled(circuit(letter), duty(percent / 100), parts)
    seen = []
    for at in range(500 * MS, 502 * MS, 62_500):
        front.advance(at)
        seen.append((front.high_v, front.low_v))
    lowest, highest = BANDS[letter]
    assert min(high for high, _ in seen) > lowest
    assert max(high for high, _ in seen) < highest
    assert min(low for _, low in seen) > limits.NEGATIVE_PEAK_V[0]
    assert max(low for _, low in seen) < limits.NEGATIVE_PEAK_V[1]
    if parts.gate_s is not None:  # hw_docs/cp_frontend.md: A 11.97, B 8.97, C 6.01, D 2.97 V
        assert seen[0][0] == pytest.approx({"A": 12, "B": 9, "C": 6, "D": 2.95}[letter], abs=0.06)
        assert max(high for high, _ in seen) - min(high for high, _ in seen) < 0.05


@pytest.mark.parametrize(("before", "after"), [("B", "C"), ("C", "B"), ("B", "A"), ("C", "A")])
def test_gates_follow_a_change_within_three_cycles_either_way(before: str, after: str) -> None:
    pilot = circuit(before)
    front = settled(pilot, duty(0.05))
    then = circuit(after)
    pilot.plugged, pilot.s2_closed = then.plugged, then.s2_closed
    front.advance(503 * MS)
    assert front.high_v == pytest.approx(settled(then, duty(0.05)).high_v, abs=0.2)


def test_without_edges_both_gates_open() -> None:
    front = settled(circuit("B"), duty(0.05))
    front.set_drive(LOW, 500 * MS)
    front.advance(502 * MS)
    assert front.high_v > 8.0
    front.advance(503 * MS)
    assert front.high_v == pytest.approx(-12.0, abs=0.05)
    front.set_drive(HIGH, 503 * MS)
    front.advance(506 * MS)
    assert front.low_v == pytest.approx(front.high_v, abs=0.05)
    assert front.high_v == pytest.approx(9.0, abs=0.1)


def test_a_shut_gate_droops() -> None:
    front = settled(circuit("B"), duty(0.5), Parts(droop_s=0.01))
    front.advance(500 * MS + 500_000)
    held = front.high_v
    front.advance(501 * MS)
    assert front.high_v == pytest.approx(held * exp(-0.05))


@pytest.mark.parametrize(
    ("fault", "high_v", "low_v"),
    [
        ({"diode": Diode.SHORTED}, 12 * 2.74 / 3.74, -12 * 2.74 / 3.74),
        ({"diode": Diode.OPEN}, 12.0, -12.0),
        ({"short_ohm": 80.0}, 12 * 80 / 1080, -12 * 80 / 1080),
        ({"wire_open": True}, 12.0, -12.0),
        ({"supply_v": 0.0}, 0.0, -12.0),
        ({"negative_supply_v": 0.0}, 9.0, 0.0),
    ],
)
def test_faults_of_the_circuit_are_seen(
    fault: dict[str, object], high_v: float, low_v: float
) -> None:
    pilot = circuit("B")
    for name, value in fault.items():
        setattr(pilot, name, value)
    front = settled(pilot, duty(0.5), QUICK)
    assert front.high_v == pytest.approx(high_v, abs=0.05)
    assert front.low_v == pytest.approx(low_v, abs=0.05)


@pytest.mark.parametrize(("drive", "volts"), [(HIGH, 9.0), (LOW, -12.0), (None, -12.0)])
def test_a_steady_pilot_shows_in_both_detectors(drive: Course | None, volts: float) -> None:
    front = FrontEnd(circuit("B"))
    front.set_drive(duty(0.5), 0)
    front.set_drive(drive, 100 * MS)
    front.advance(500 * MS)
    assert front.high_v == pytest.approx(volts, abs=0.05)
    assert front.low_v == pytest.approx(volts, abs=0.05)


# --- times ---------------------------------------------------------------------------------------


def line_after(pilot: PilotCircuit, ns: int, drive: Course) -> float:
    front = FrontEnd(
        pilot, Parts(droop_s=1e-4, gate_s=None)
    )  # forgets soon: nobody asks its detectors
    front.set_drive(drive, 0)
    front.advance(500 * MS + ns)
    return front.line_v


def test_the_line_rises_with_the_sources_time_constant() -> None:
    """A: 1 kOhm and 3.1 nF, from -12 to 12 V."""
    tau = 1000 * 3.1e-9
    for microseconds in (1, 3, 10):
        expected = 12 - 24 * exp(-microseconds * 1e-6 / tau)
        assert line_after(circuit("A"), microseconds * 1000, duty(0.5)) == pytest.approx(
            expected, abs=1e-3
        )


def test_below_the_diode_the_vehicle_is_not_there_and_above_it_is() -> None:
    """B: 5.5 nF; to 0.7 V by 1 kOhm alone, then by 1 kOhm and 2.74 kOhm in parallel."""
    slow, capacity = 1000 * 5.5e-9, 5.5e-9
    knee_s = slow * log(24 / (12 - 0.7))
    conductance = 1 / 1000 + 1 / 2740
    rest = (12 / 1000 + 0.7 / 2740) / conductance
    for ns in (1000, 4000, 6000, 20_000):
        seconds = ns * 1e-9
        expected = (
            12 - 24 * exp(-seconds / slow)
            if seconds < knee_s
            else rest - (rest - 0.7) * exp(-(seconds - knee_s) * conductance / capacity)
        )
        assert line_after(circuit("B"), ns, duty(0.5)) == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize(("letter", "rise_us", "fall_us"), [("B", 10, 13), ("C", 7, 13)])
def test_rise_and_fall_are_as_fast_as_is_asked_for(
    letter: str, rise_us: float, fall_us: float
) -> None:
    """EVerest's bring-up guide: 10 to 90 % of the positive part within this (fall: to -10 V)."""
    top = circuit(letter).rests_at(12.0, conducting=True)[0]

    def reach(level: float, begin: int, sign: int) -> float:
        for ns in range(0, 40_000, 50):
            if sign * line_after(circuit(letter), begin + ns, duty(0.5)) >= sign * level:
                return ns / 1000
        raise AssertionError(level)

    assert reach(0.9 * top, 0, 1) - reach(0.1 * top, 0, 1) < rise_us
    assert reach(-10.0, MS // 2, -1) < fall_us + 1


def test_detectors_droop_towards_the_line() -> None:
    front = settled(circuit("B"), duty(0.5), Parts(charge_s=1e-7, droop_s=0.03, gate_s=None))
    front.set_drive(LOW, 500 * MS + 499_999)  # the end of a pulse
    front.advance(500 * MS + 499_999 + 30 * MS)
    rest = circuit("B").rests_at(12.0, conducting=True)[0]
    assert front.high_v == pytest.approx(-12 + (rest + 12) * exp(-1), rel=0.02)


def test_detectors_charge_through_their_resistor() -> None:
    """A charge time of 20 us in pulses of 50 us: one pulse is not enough, a few are."""
    front = FrontEnd(circuit("A"), Parts(charge_s=20e-6, droop_s=0.03, gate_s=None))
    front.set_drive(LOW, 0)
    front.set_drive(Switched(LOW, 200 * MS, pulses(200 * MS, MS, 50_000)), 200 * MS)
    front.advance(200 * MS + 50_000)
    first = front.high_v
    charge, tau = 20e-6, 3.1e-6
    assert first == pytest.approx(12 - 24 * charge / (charge - tau) * exp(-2.5), abs=0.02)
    front.advance(220 * MS + 50_000)
    assert front.high_v > first + 1.0


def test_it_does_not_matter_how_often_somebody_looks() -> None:
    once, often = (FrontEnd(circuit("C")) for _ in range(2))
    for front in (once, often):
        front.set_drive(duty(0.05), 0)
    for at in range(0, 40 * MS, 37_000):
        often.advance(at)
    for front in (once, often):
        front.advance(40 * MS)
    assert once.high_v == pytest.approx(often.high_v, abs=1e-3)
    assert once.low_v == pytest.approx(often.low_v, abs=1e-3)


def test_a_look_after_hours_costs_no_more_than_after_a_moment() -> None:
    front = settled(circuit("B"), duty(0.05))
    high = front.high_v
    front.advance(500 * MS + 7200 * 1000 * MS)
    assert front.high_v == pytest.approx(high, abs=0.01)


# --- ripple and comparator -----------------------------------------------------------------------


def test_the_powerlines_ripple_lifts_both_peaks_by_what_the_filter_leaves() -> None:
    parts = replace(QUICK, ripple_v=1.0, ripple_hz=1e6, filter_hz=1e6)
    assert parts.ripple_seen_v == pytest.approx(1 / 2**0.5)
    quiet, loud = settled(circuit("B"), duty(0.5), parts), FrontEnd(circuit("B"), parts)
    loud.ripple = True
    loud.set_drive(duty(0.5), 0)
    loud.advance(500 * MS)
    assert loud.high_v - quiet.high_v == pytest.approx(parts.ripple_seen_v, abs=1e-3)
    assert loud.low_v - quiet.low_v == pytest.approx(-parts.ripple_seen_v, abs=1e-3)
    assert Parts().ripple_seen_v < 0.02


def test_the_comparator_follows_a_few_microseconds_later() -> None:
    """A: from -12 V to 1.5 V of 12 V with 3.1 us; back from 12 V with the same."""
    delays = FrontEnd(circuit("A")).comparator_delays_s()
    assert delays is not None
    assert delays[0] == pytest.approx(3.1e-6 * log(24 / 10.5), rel=1e-3)
    assert delays[1] == pytest.approx(3.1e-6 * log(24 / 13.5), rel=1e-3)


def test_the_comparator_sees_nothing_of_a_short_or_dead_pilot() -> None:
    for name, value in (("short_ohm", 80.0), ("supply_v", 0.0), ("negative_supply_v", 9.0)):
        pilot = circuit("B")
        setattr(pilot, name, value)
        assert FrontEnd(pilot).comparator_delays_s() is None
    assert FrontEnd(circuit("D")).comparator_delays_s() is not None


def test_behind_the_vehicles_diode_there_is_the_high_phase_less_its_drop() -> None:
    """And 0 V in between: the detector bleeds to that, half as fast as to -12 V."""
    for diode, high_v, low_v in (
        (Diode.GOOD, 8.3, 0.0),
        (Diode.SHORTED, 8.8, -8.8),
        (Diode.OPEN, 0, 0),
    ):
        pilot = circuit("B")
        pilot.diode = diode
        front = FrontEnd(pilot, BLED, at_inlet=True)
        front.set_drive(duty(0.05), 0)
        front.advance(500 * MS + 50_000)
        assert front.high_v == pytest.approx(high_v, abs=0.15)
        assert front.low_v == pytest.approx(low_v, abs=0.4)
    unplugged = FrontEnd(circuit("A"), BLED, at_inlet=True)
    unplugged.set_drive(HIGH, 0)
    unplugged.advance(500 * MS)
    assert unplugged.high_v == 0.0
