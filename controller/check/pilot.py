"""Pilot, converter, contactors (core): what opened hardware shows with nothing plugged in."""

from __future__ import annotations

from math import isnan, nan
from typing import TYPE_CHECKING

from controller.check.findings import Finding, fail, ok, warn
from controller.cp.calibration import steady_problem
from controller.cp.edges import Line, is_pilot_frequency
from controller.cp.levels import Level, classify
from controller.cp.proximity import Connector, Meaning, Plug
from controller.cp.proximity import classify as classify_plug
from controller.power.heat import HOT_C

if TYPE_CHECKING:
    from controller.cp.edges import Timing
    from controller.signals import (
        ContactorReading,
        EvseInputs,
        InletSample,
        InterlockTested,
        PilotSample,
    )

GOOD_FREQUENCY_HZ = 5.0
"""Off by more than this (0.5 %), a hardware PWM is not what makes it."""
WRONG_DUTY, BAD_DUTY = 0.025, 0.01
"""IEC 61851-1 allows +-25 us; a comparator whose threshold is right is within 10 us."""
NO_CURRENT_A = 0.5
"""What the measurement of the mains may show with nothing plugged in: as the over-current rule."""
AT_REST_V = 1.0
"""Vehicle: what the peak detector may show with nothing plugged in."""


def negative(sample: PilotSample) -> Finding:
    """Judge the converter while steady -12 V is driven."""
    return _steady("pilot -12 V", -12.0, sample)


def positive(sample: PilotSample) -> Finding:
    """Judge the converter while steady +12 V is driven: state A, unless something hangs on CP."""
    level = classify(sample.high_v, None)
    if level in (Level.B, Level.C, Level.D):
        return warn(
            "pilot +12 V",
            f"{sample.high_v:+.2f} V: a vehicle is plugged in (state {level.value})",
            "unplug it and check again: levels and frequency were not measured",
        )
    return _steady("pilot +12 V", 12.0, sample)


def _steady(name: str, driven_v: float, sample: PilotSample) -> Finding:
    problem = steady_problem(driven_v, sample.high_v, sample.low_v)
    if problem:
        what, _, todo = problem.partition(": ")
        return fail(name, what, todo)
    return ok(name, f"{sample.high_v:+.2f} V and {sample.low_v:+.2f} V are measured")


def loop_back(timing: Timing, driven: float, pin: str) -> Finding:
    """Judge the driven pilot as the comparator shows it."""
    name = "pilot loop-back"
    if timing.line is not Line.OSCILLATING:
        todo = f"check the comparator between CP and {pin}, and its wire"
        return fail(name, f"{driven:.0%} is driven, {pin} is {timing.line.value}", todo)
    told = f"{timing.frequency_hz:.1f} Hz, duty {timing.duty:.2%} ({driven:.0%} is driven)"
    if not is_pilot_frequency(timing.frequency_hz):
        return fail(name, told, "another program uses the PWM, or its clock (analogue audio?)")
    wrong = abs(timing.duty - driven)
    if wrong > WRONG_DUTY:
        return fail(name, told, "is the comparator inverted, or its threshold wrong?")
    if wrong > BAD_DUTY:
        return warn(name, told, "check the comparator's threshold")
    if abs(timing.frequency_hz - 1000.0) > GOOD_FREQUENCY_HZ:
        return warn(name, told, "is the pilot made by hardware PWM?")
    return ok(name, told)


def contactors(reading: ContactorReading) -> Finding:
    """Judge the feedback while nothing is commanded."""
    if not reading.valid:
        return fail("contactors", "no feedback", "check the mirror contacts' wires")
    if reading.closed:
        todo = "a contact is welded, or the wire of the mirror contacts is broken: do not use it"
        return fail("contactors", "feedback says closed, nothing is commanded", todo)
    return ok("contactors", "feedback says open, as commanded (nothing was closed)")


def emergency_stop(inputs: EvseInputs) -> Finding:
    """Judge the two channels."""
    if inputs.stops_disagree:
        todo = "one contact or wire is broken: replace it"
        return fail("emergency stop", "its two channels disagree", todo)
    if inputs.emergency_stop:
        return warn("emergency stop", "pressed, or a door is open", "release it to check the rest")
    return ok("emergency stop", "both channels closed")


def connector(celsius: float | None) -> Finding:
    """Judge the temperature sensor of the connector with nothing plugged in."""
    name = "connector"
    if celsius is None:
        todo = "fit a PT1000 and name its input temperature: heat is noticed by nothing else"
        return warn(name, "the pin map has no temperature sensor", todo)
    if isnan(celsius):
        todo = "check the PT1000 and its wires, or take `temperature` out of a board without one"
        return fail(name, "its temperature sensor shows no temperature", todo)
    if celsius >= HOT_C:
        return fail(name, f"{celsius:.0f} degrees Celsius", "too hot to charge: let it cool")
    return ok(name, f"{celsius:.0f} degrees Celsius")


def mains_current(amperes: float | None) -> Finding:
    """Judge an AC charger's measurement of the mains current, with nothing plugged in."""
    name = "mains current"
    if amperes is None:
        todo = "an input `mains_current` in the pin map notices a vehicle that draws too much"
        return warn(name, "the pin map has no input for it", todo)
    if not abs(amperes) <= NO_CURRENT_A:
        todo = "nothing is plugged in: check the transformer, slope and offset_v of its input"
        return fail(name, f"{amperes:.1f} A", todo)
    return ok(name, f"{amperes:.1f} A")


def interlock(tested: InterlockTested) -> Finding:
    """Turn one line of the interlock's self-test into one of ours."""
    name = "interlock"
    if tested.ok:
        return ok(name, f"{tested.part}: {tested.detail}")
    todo = "see hw_docs/interlock.md; until then only bench mode (60 V), a vehicle not at all"
    return fail(name, f"{tested.part}: {tested.detail}", todo)


def inlet(sample: InletSample, connector: str) -> list[Finding]:
    """Judge what a vehicle measures with nothing plugged in."""
    ohm = nan if sample.proximity_ohm is None else sample.proximity_ohm
    plug = classify_plug(ohm, Connector(connector))
    if plug.meaning is not Meaning.UNPLUGGED:
        return [_plugged(sample, ohm, plug)]
    found = [ok("proximity", "no plug")]
    told = f"{sample.high_v:.2f} V at the peak detector"
    if sample.high_v > AT_REST_V or sample.duty > 0.0:
        todo = "check the inlet's CP: nothing is plugged in, yet something drives it"
        return [*found, fail("inlet pilot", told, todo)]
    return [*found, ok("inlet pilot", f"{told}, no edges: no charger")]


def _plugged(sample: InletSample, ohm: float, plug: Plug) -> Finding:
    measured = "nothing can be measured" if isnan(ohm) else f"{ohm:.0f} Ohm"
    if plug.meaning is Meaning.FAULT:
        todo = "check the inlet's resistors (330 Ohm to 5 V, 2.7 kOhm to PE) and its wires"
        return fail("proximity", f"{measured}: neither a plug nor an empty inlet", todo)
    told = f"{plug.meaning.value} ({measured}), pilot {sample.duty:.0%}, {sample.high_v:.1f} V"
    return warn("proximity", told, "unplug to check the inlet at rest")
