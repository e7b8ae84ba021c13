"""The stand-ins of a bench: what they do on which word of the peer."""

from __future__ import annotations

import dataclasses

import pytest

from controller.config import CarConfig, ChargerConfig, ChargerSection
from controller.signals import (
    DUTY_DIGITAL,
    ChargerReported,
    CloseContactors,
    MessageReceived,
    Phase,
    SetDuty,
    SetOutput,
    V2gPhaseChanged,
    VehicleReported,
)
from controller.sim_bench import (
    BELOW_TARGET_V,
    DRAW_AFTER_S,
    RELEASE_S,
    CarBench,
    ChargerBench,
)


def car_bench() -> CarBench:
    world = CarBench(ChargerConfig(), CarConfig())
    world.advance(0.0)
    world.plug()
    return world


def charger_bench() -> ChargerBench:
    world = ChargerBench(ChargerConfig(), CarConfig())
    world.advance(0.0)
    world.plug()
    return world


def run(world: CarBench | ChargerBench, start: float, end: float) -> None:
    steps = round((end - start) / 0.005)
    for step in range(1, steps + 1):
        world.advance(start + step * 0.005)


def enter(world: CarBench | ChargerBench, phase: Phase, now: float) -> None:
    world.observe("any.communication", V2gPhaseChanged(phase), now)


# --- a stand-in car at our AC charger ------------------------------------------------------------


def ac_bench() -> CarBench:
    world = CarBench(ChargerConfig(charger=ChargerSection(mode="ac")), CarConfig())
    world.interlock.fitted = False  # nobody toggles its watchdog here
    world.advance(0.0)
    world.plug()
    return world


def test_the_car_draws_what_the_pilot_offers() -> None:
    world = ac_bench()
    assert world.ac is not None
    world.carry_out("evse", SetDuty(16 / 60), 0.0)
    run(world, 0.0, DRAW_AFTER_S - 0.1)
    assert not world.pilot.s2_closed
    run(world, DRAW_AFTER_S - 0.1, DRAW_AFTER_S + 0.1)
    assert world.pilot.s2_closed
    assert world.ac.limit_a == pytest.approx(16.0)
    world.carry_out("evse", CloseContactors(), 1.2)
    run(world, 1.2, 5.0)
    assert world.ac.current_a == pytest.approx(16.0)
    world.carry_out("evse", SetDuty(0.1), 5.0)
    run(world, 5.0, 6.0)
    assert world.ac.current_a == pytest.approx(6.0)


@pytest.mark.parametrize("duty", [1.0, 0.0, DUTY_DIGITAL])
def test_the_car_lets_go_when_nothing_is_offered(duty: float) -> None:
    world = ac_bench()
    assert world.ac is not None
    world.carry_out("evse", SetDuty(16 / 60), 0.0)
    run(world, 0.0, 2.0)
    world.carry_out("evse", SetDuty(duty), 2.0)
    assert not world.pilot.s2_closed
    assert world.ac.limit_a == 0.0


def test_an_unplugged_car_draws_nothing() -> None:
    world = ac_bench()
    world.carry_out("evse", SetDuty(16 / 60), 0.0)
    world.unplug()
    run(world, 0.0, 3.0)
    assert not world.pilot.s2_closed


# --- a stand-in car at our charger ---------------------------------------------------------------


def test_car_closes_s2_for_the_cable_check_and_opens_it_after_the_charge() -> None:
    world = car_bench()
    enter(world, Phase.CONNECTED, 0.0)
    assert not world.pilot.s2_closed
    world.observe("evse.communication", MessageReceived("CableCheckReq", "din"), 1.0)
    assert world.pilot.s2_closed
    enter(world, Phase.CHARGE, 2.0)
    run(world, 2.0, 5.0)
    assert world.pilot.s2_closed
    enter(world, Phase.STOPPING, 5.0)
    run(world, 5.0, 5.0 + RELEASE_S - 0.05)
    assert world.pilot.s2_closed
    run(world, 5.0 + RELEASE_S - 0.05, 5.0 + RELEASE_S + 0.01)
    assert not world.pilot.s2_closed


def test_car_closes_its_contactors_only_at_equal_voltage() -> None:
    world = car_bench()
    world.interlock.fitted = False  # nobody toggles its watchdog here
    world.carry_out("evse", CloseContactors(), 0.0)
    enter(world, Phase.PRE_CHARGE, 0.1)
    world.observe("evse.communication", VehicleReported(50, 500.0, 1.0), 0.1)
    assert world.battery.open_voltage_v == 500.0 - BELOW_TARGET_V
    world.carry_out("evse", SetOutput(450.0, 2.0, on=True), 0.1)
    run(world, 0.1, 3.0)
    assert world.circuit.voltage_v == pytest.approx(450.0)
    assert not world.circuit.inlet_contactors.commanded
    world.carry_out("evse", SetOutput(500.0, 2.0, on=True), 3.0)
    run(world, 3.0, 4.0)
    assert world.circuit.is_linked
    assert world.circuit.current_a == pytest.approx(2.0)
    assert world.circuit.worst_closing_step_v < 20.0
    enter(world, Phase.FAULT, 4.0)
    run(world, 4.0, 4.1)
    assert not world.circuit.inlet_contactors.is_closed


@pytest.mark.parametrize("phase", [Phase.CONNECTED, Phase.CABLE_CHECK])
def test_a_target_before_pre_charge_places_no_battery(phase: Phase) -> None:
    world = car_bench()
    before = world.battery
    enter(world, phase, 0.1)
    world.observe("evse.communication", VehicleReported(50, 500.0, 1.0), 0.1)
    assert world.battery is before


def test_a_connected_battery_is_not_exchanged() -> None:
    world = car_bench()
    enter(world, Phase.PRE_CHARGE, 0.1)
    world.circuit.inlet_contactors.set_closed(True)
    before = world.battery
    world.observe("evse.communication", VehicleReported(50, 900.0, 1.0), 0.2)
    assert world.battery is before


# --- a stand-in charger at our car ---------------------------------------------------------------


def test_charger_drives_five_percent() -> None:
    assert charger_bench().pilot.duty == DUTY_DIGITAL


def test_inlet_shows_what_the_answers_say() -> None:
    world = charger_bench()
    run(world, 0.0, 0.2)
    assert world.circuit.inlet_voltage_v == pytest.approx(0.0)
    enter(world, Phase.PRE_CHARGE, 0.2)
    world.observe("pev.communication", ChargerReported(300.0, 0.0, "EVSE_Ready"), 0.2)
    run(world, 0.2, 0.4)
    assert world.circuit.inlet_voltage_v == pytest.approx(300.0)
    open_v = world.battery.open_voltage_v
    world.observe("pev.communication", ChargerReported(open_v, 0.0, "EVSE_Ready"), 0.4)
    run(world, 0.4, 0.6)
    world.carry_out("pev", CloseContactors(), 0.6)
    enter(world, Phase.CHARGE, 0.6)
    world.observe("pev.communication", ChargerReported(open_v, 80.0, "EVSE_Ready"), 0.6)
    run(world, 0.6, 1.2)
    assert world.circuit.current_a == pytest.approx(80.0)
    world.observe("pev.communication", ChargerReported(open_v, 0.0, "EVSE_Ready"), 1.2)
    run(world, 1.2, 1.4)
    assert world.circuit.current_a == pytest.approx(0.0)


def test_a_charger_that_says_one_volt_never_gives_more() -> None:
    world = charger_bench()
    enter(world, Phase.PRE_CHARGE, 0.1)
    world.observe("pev.communication", ChargerReported(1.0, 1.0, "EVSE_Ready"), 0.1)
    run(world, 0.1, 8.0)
    assert world.circuit.inlet_voltage_v == pytest.approx(1.0)


@pytest.mark.parametrize("phase", [Phase.STOPPING, Phase.FAULT])
def test_the_end_takes_the_output_away(phase: Phase) -> None:
    world = charger_bench()
    enter(world, Phase.PRE_CHARGE, 0.1)
    world.observe("pev.communication", ChargerReported(300.0, 0.0, "EVSE_Ready"), 0.1)
    run(world, 0.1, 0.3)
    enter(world, phase, 0.3)
    run(world, 0.3, 2.0)
    assert world.circuit.inlet_voltage_v < 60.0
    assert not world.circuit.evse_contactors.is_closed
    told = dataclasses.replace(world._reported)
    assert (told.voltage_v, told.current_a) == (0.0, 0.0)
