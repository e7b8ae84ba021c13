"""The self-test of a vehicle unit's chain: what it finds, what a late loop may not accuse."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.interlock_test_pev import VehicleInterlockTest
from controller.power.sim_interlock import SimWatchdog
from controller.realtime_pev import PevRealtime
from controller.signals import (
    CloseContactors,
    ContactorReading,
    ContactorRequest,
    Heartbeat,
    InletReport,
    InletSample,
    InterlockReport,
    InterlockTested,
    Output,
    PevInputs,
    Phase,
    ResetRequest,
    SetWatchdog,
)

PERIOD_S = 0.005
VEHICLE = InletReport(
    inlet_voltage_v=0.0,
    inlet_current_a=0.0,
    battery_voltage_v=390.0,
    soc_percent=50.0,
    maximum_voltage_v=420.0,
    maximum_current_a=100.0,
    target_voltage_v=400.0,
    target_current_a=50.0,
    contactors_closed=False,
    ready=True,
    taken_at=0.0,
)


class Unit:
    """A watchdog with a chain, a mirror contact, and one of the two cores."""

    def __init__(self) -> None:
        self.now = 50.0
        self.dog = SimWatchdog()
        self.toggling = False
        self.closed = False
        self.bridged = False
        self.chain_read = True
        self.out: list[Output] = []

    def inputs(self) -> PevInputs:
        chain_closed = self.bridged or self.dog.is_closed(self.now)
        return PevInputs(
            InletSample(0.0, 0.0, False, self.now, 0.0, 1e6),
            ContactorReading(self.closed, self.now),
            replace(VEHICLE, taken_at=self.now),
            chain_open=not chain_closed and self.chain_read,
            chain_read=self.chain_read,
        )

    def take(self, out: list[Output]) -> None:
        self.out += out
        for item in out:
            if isinstance(item, SetWatchdog):
                self.toggling = item.toggling

    def kick(self) -> None:
        if self.toggling:
            self.dog.edge(self.now)

    def prove(self, test: VehicleInterlockTest, seconds: float = 3.0) -> InterlockTested | None:
        until = self.now + seconds
        while not test.is_finished and self.now < until:
            self.now += PERIOD_S
            self.take(test.receive_vehicle(self.inputs(), self.now))
            due = test.next_timer()
            if due is not None and due <= self.now:
                self.take(test.handle_timer(self.now))
            self.kick()
        return test.result


def parts(out: list[Output]) -> list[str]:
    return [item.part for item in out if isinstance(item, InterlockTested) and item.ok]


def test_a_good_chain_is_proved_and_fed_from_then_on() -> None:
    unit, test = Unit(), VehicleInterlockTest()
    result = unit.prove(test)
    assert result is not None
    assert result.ok
    assert parts(unit.out) == [
        "at rest",
        "feedback",
        "watchdog closes",
        "watchdog opens",
        "interlock",
    ]
    assert unit.toggling
    assert test.has_passed


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("bridged", "closed although nothing toggles it"),
        ("welded", "closed although nothing toggles it"),
        ("dead", "did not close"),
        ("slow", "stayed closed"),
        ("contact", "shows closed although nothing is commanded"),
    ],
)
def test_what_is_broken_is_named_and_left_open(fault: str, says: str) -> None:
    unit, test = Unit(), VehicleInterlockTest()
    if fault == "bridged":
        unit.bridged = True
    elif fault == "contact":
        unit.closed = True
    elif fault == "slow":
        unit.dog.opens_s = 0.1
    else:
        unit.dog.stuck = fault == "welded"
    result = unit.prove(test)
    assert result is not None
    assert not result.ok
    assert says in result.detail
    assert not test.has_passed
    assert not unit.toggling


def test_a_board_without_a_chain_has_nothing_to_prove() -> None:
    unit, test = Unit(), VehicleInterlockTest()
    unit.chain_read = False
    assert unit.prove(test) is None
    assert test.has_passed
    assert unit.out == [SetWatchdog(toggling=True)]


def test_inputs_that_stop_prove_nothing() -> None:
    unit, test = Unit(), VehicleInterlockTest()
    for _ in range(2):
        unit.now += PERIOD_S
        unit.take(test.receive_vehicle(unit.inputs(), unit.now))
    for _ in range(60):
        unit.now += 1.1
        if test.next_timer() is not None:
            unit.take(test.handle_timer(unit.now))
    assert not test.has_passed


# --- in the realtime core -------------------------------------------------------------------------


def core_of(unit: Unit, periods: int) -> PevRealtime:
    core = PevRealtime()
    go_on(unit, core, periods)
    return core


def go_on(unit: Unit, core: PevRealtime, periods: int) -> None:
    for beat in range(periods):
        unit.now += PERIOD_S
        sequence = round(unit.now * 1000) + beat
        unit.take(core.receive(Heartbeat(sequence, Phase.PRE_CHARGE), unit.now))
        unit.take(core.receive(unit.inputs(), unit.now))
        unit.take(core.handle_timer(unit.now))
        unit.kick()


def reasons(core: PevRealtime) -> tuple[str, ...]:
    report: InterlockReport = core.interlock.report
    return report.reasons


def test_nothing_closes_before_and_the_unit_does_not_rest() -> None:
    unit = Unit()
    core = core_of(unit, 3)
    assert "the interlock self-test is running" in reasons(core)
    assert not core.may_rest
    assert not core.settled
    go_on(unit, core, 40)
    assert core.interlock_test.has_passed
    assert core.may_rest
    assert not any("self-test" in reason for reason in reasons(core))


def test_a_chain_that_failed_withholds_until_a_reset_proves_it() -> None:
    unit = Unit()
    unit.dog.stuck = True
    core = core_of(unit, 300)
    assert "the contactor chain did not pass its self-test" in reasons(core)
    unit.take(core.receive(ContactorRequest(closed=True), unit.now))
    go_on(unit, core, 20)
    assert not any(isinstance(item, CloseContactors) for item in unit.out)
    unit.dog.stuck = None
    unit.take(core.receive(ResetRequest(), unit.now))
    go_on(unit, core, 60)
    assert core.interlock_test.has_passed
    assert not any("self-test" in reason for reason in reasons(core))
