"""The charger's pilot behind peak detectors that follow a falling level slowly."""

from __future__ import annotations

from math import exp

import pytest

from controller.cp import timing
from controller.cp.evse import EvsePilot
from controller.signals import (
    ControlPilotState,
    DutyRequest,
    PilotChanged,
    PilotFault,
    PilotSample,
)

PERIOD_S = 0.005
DROOP_S = 0.03
"""Of the board's detectors."""


def run(
    pilot: EvsePilot, start_v: float, rest_v: float, began: float, seconds: float
) -> list[object]:
    """Let the positive detector slide from one level to another."""
    out: list[object] = []
    for period in range(round(seconds / PERIOD_S)):
        now = began + period * PERIOD_S
        seen_v = rest_v + (start_v - rest_v) * exp(-(now - began) / DROOP_S)
        out += pilot.receive_sample(PilotSample(seen_v, rest_v, now), now)
    return out


@pytest.mark.parametrize("start_v", [12.0, 9.0, 6.0])
def test_the_way_to_f_is_no_fault(start_v: float) -> None:
    pilot = EvsePilot()
    run(pilot, start_v, start_v, 1.0, 1.0)
    pilot.receive_signal(DutyRequest(0.0), 2.0)
    assert pilot.duty == 0.0
    out = run(pilot, start_v, -12.0, 2.0, 1.0)
    assert pilot.state is ControlPilotState.F
    faults = {item.fault for item in out if isinstance(item, PilotChanged)}
    assert faults == {PilotFault.NONE}
    assert not pilot.held


def test_a_negative_supply_that_never_comes_is_still_found() -> None:
    pilot = EvsePilot()
    run(pilot, 12.0, 12.0, 1.0, 1.0)
    pilot.receive_signal(DutyRequest(0.0), 2.0)
    run(pilot, 12.0, 0.0, 2.0, timing.F_SETTLE_S - 0.01)
    assert pilot.fault.name == "NONE"
    run(pilot, 0.0, 0.0, 2.0 + timing.F_SETTLE_S, 0.1)
    assert pilot.fault.name == "NEGATIVE_SUPPLY"


@pytest.mark.parametrize("period_s", [0.001, 0.005, 0.02])
@pytest.mark.parametrize("start_v", [12.0, 9.0])
def test_one_late_reading_after_f_is_no_fault(start_v: float, period_s: float) -> None:
    """A reading stamped after the drive went up, measured before: it holds no vehicle for ever."""
    pilot = EvsePilot()
    run(pilot, start_v, start_v, 1.0, 1.0)
    pilot.receive_signal(DutyRequest(0.0), 2.0)
    run(pilot, -12.0, -12.0, 2.0, 1.0)
    pilot.receive_signal(DutyRequest(1.0), 3.0)
    late = 3.0 + timing.DIODE_SETTLE_S
    out = pilot.receive_sample(PilotSample(-12.0, -12.0, late), late)
    for period in range(1, 20):
        now = late + period * period_s
        out += pilot.receive_sample(PilotSample(start_v, start_v, now), now)
    assert pilot.state in (ControlPilotState.A1, ControlPilotState.B1)
    assert {item.fault for item in out if isinstance(item, PilotChanged)} <= {PilotFault.NONE}
    assert not pilot.held


def test_a_positive_supply_that_never_comes_is_found_by_the_second_reading() -> None:
    pilot = EvsePilot()
    run(pilot, 12.0, 12.0, 1.0, 1.0)
    pilot.receive_signal(DutyRequest(0.0), 2.0)
    run(pilot, -12.0, -12.0, 2.0, 1.0)
    pilot.receive_signal(DutyRequest(1.0), 3.0)
    run(pilot, -12.0, -12.0, 3.0 + timing.DIODE_SETTLE_S, PERIOD_S)
    assert pilot.fault.name == "NONE"
    run(pilot, -12.0, -12.0, 3.0 + timing.DIODE_SETTLE_S + PERIOD_S, PERIOD_S)
    assert pilot.fault.name == "SUPPLY"
    assert pilot.held
