"""Every fault at every point of a session: contactors open, output below 60 V, a reason told."""

from __future__ import annotations

import re

import pytest

from controller.sim import SIDES
from tests.scenario.faults import FAULTS, Fault, unplug
from tests.scenario.worlds import (
    SAFE_VOLTAGE_V,
    Step,
    Watch,
    advance,
    charge_again,
    is_ending,
    play_on,
    steps,
    world_at,
)

AGAIN_EVERY = 8
"""After each so manieth scenario of a kind the next session is played as well."""


def scenarios() -> list[object]:
    """List what strikes when: (fault, point, whether the next session is played)."""
    rows: list[object] = []
    for number, fault in enumerate(FAULTS):
        points = steps(fault.first, fault.last)[number % fault.every :: fault.every]
        for index, step in enumerate(points):
            again = index % AGAIN_EVERY == 0
            rows.append(pytest.param(fault, step, again, id=f"{fault.name} @ {step.name}"))
    return rows


@pytest.mark.parametrize(("fault", "step", "again"), scenarios())
def test_fault_ends_safe(fault: Fault, step: Step, again: bool) -> None:
    world, watch = world_at(step)
    circuit = world.world.circuit
    fault.strike(world)
    world.world.on_change()  # the period sees it at once, as it would see it in reality
    play_on(world, watch, fault.patience_s)
    advance(world, fault.settle_s)
    assert_safe(fault, step, watch)
    unplug(world)
    advance(world, 0.5)
    assert_told(fault, step, watch)
    assert circuit.worst_opening_current_a <= fault.breaks_a
    assert circuit.worst_closing_step_v <= fault.step_v
    fault.heal(world)
    advance(world, 1.0)
    for side in SIDES:
        assert watch.reason(side) or step.at < 1.03, f"{side} gave no reason"
    if again:
        following = charge_again(world)
        assert following.ended
        assert all(ends[0].normal for ends in following.reasons.values()), following.reasons
        assert world.report.safe


def assert_safe(fault: Fault, step: Step, watch: Watch) -> None:
    circuit = watch.world.world.circuit
    assert not watch.world.world.interlock.commanded
    assert not circuit.evse_contactors.commanded
    assert not circuit.inlet_contactors.commanded
    assert circuit.evse_contactors.is_closed is (fault.welded == "evse")
    assert circuit.inlet_contactors.is_closed is (fault.welded == "pev")
    assert abs(circuit.voltage_v) < SAFE_VOLTAGE_V
    assert watch.powered_at <= step.at + fault.off_s
    if not fault.welded:
        assert watch.output_live_at <= step.at + fault.safe_s
        assert watch.inlet_live_at <= step.at + fault.inlet_s


def assert_told(fault: Fault, step: Step, watch: Watch) -> None:
    reason = watch.world.report.reason()
    ended_as_planned = (is_ending(step) and not fault.welded) and reason.startswith("target of")
    told = f"{reason} | {watch.world.report.latched}"
    assert re.search(fault.says, told) or ended_as_planned, told
