"""The simulated AC side: steps do not matter, the limit is followed, faults do what they say."""

from __future__ import annotations

import pytest

from controller.power.sim import SimContactors
from controller.power.sim_ac import AcCircuit
from controller.power.sim_battery import SimBattery


def circuit(**changes: float) -> AcCircuit:
    contactors = SimContactors(close_s=0.0, open_s=0.0)
    ac = AcCircuit(SimBattery(50.0, 60_000.0), contactors, **changes)  # type: ignore[arg-type]
    advance(ac, 0.0)
    return ac


def advance(ac: AcCircuit, until: float, step_s: float = 0.005, start: float = 0.0) -> None:
    for n in range(1, round((until - start) / step_s) + 1):
        now = start + n * step_s
        ac.contactors.move(now)
        ac.advance(now)
    ac.contactors.move(until)
    ac.advance(until)


def charging(limit_a: float = 16.0, **changes: float) -> AcCircuit:
    ac = circuit(**changes)
    ac.contactors.set_closed(True)
    ac.limit_a = limit_a
    advance(ac, 10.0)
    return ac


@pytest.mark.parametrize("step_s", [0.001, 0.005, 0.1, 1.0])
def test_the_step_does_not_matter(step_s: float) -> None:
    ac = charging()
    before_wh, before = ac.energy_wh, ac.battery.soc_percent
    advance(ac, 370.0, step_s, start=10.0)
    assert ac.energy_wh - before_wh == pytest.approx(16 * 3 * 230 * 0.1, rel=1e-6)
    stored_wh = (ac.battery.soc_percent - before) / 100 * 60_000
    assert stored_wh == pytest.approx(16 * 3 * 230 * 0.1 * 0.92, rel=0.03)


@pytest.mark.parametrize(
    ("limit_a", "onboard_a", "drawn_a"),
    [(16.0, 32.0, 16.0), (32.0, 16.0, 16.0), (0.0, 16.0, 0.0), (6.0, 16.0, 6.0)],
)
def test_it_draws_the_least(limit_a: float, onboard_a: float, drawn_a: float) -> None:
    ac = charging(limit_a, onboard_a=onboard_a)
    assert ac.current_a == pytest.approx(drawn_a)
    assert ac.is_steady


def test_a_full_battery_takes_less() -> None:
    ac = charging()
    ac.battery.soc_percent = 100.0
    advance(ac, 20.0, start=10.0)
    assert ac.current_a < 4.0


def test_another_limit_is_followed() -> None:
    ac = charging()
    ac.limit_a = 6.0
    advance(ac, 10.5, start=10.0)
    assert ac.current_a == pytest.approx(6.0)
    ac.limit_a = 16.0
    advance(ac, 12.5, start=10.5)
    assert ac.current_a == pytest.approx(16.0)


@pytest.mark.parametrize(("phases", "used"), [(3, 3), (1, 1), (2, 2)])
def test_power_by_phases(phases: int, used: int) -> None:
    assert charging(onboard_phases=phases).power_w == pytest.approx(16 * 230 * used)


def test_a_lost_phase() -> None:
    ac = charging()
    ac.phases = 2
    advance(ac, 11.0, start=10.0)
    assert ac.power_w == pytest.approx(16 * 230 * 2)
    assert ac.read(11.0).phases == 2
    ac.phases = 0
    advance(ac, 12.0, start=11.0)
    assert ac.current_a == 0.0
    assert not ac.read(12.0).live_behind


def test_opening_ends_the_current_and_remembers_it() -> None:
    ac = charging()
    ac.contactors.set_closed(False)
    advance(ac, 10.1, start=10.0)
    assert ac.current_a == 0.0
    assert ac.worst_opening_current_a == pytest.approx(16.0)
    assert ac.read_output(10.1).voltage_v == 0.0


def test_a_welded_pole_is_live_though_the_feedback_is_open() -> None:
    ac = charging()
    ac.pole_welded = True
    ac.contactors.set_closed(False)
    advance(ac, 10.1, start=10.0)
    assert ac.read(10.1).live_behind
    assert not ac.contactors.read(10.1).closed


def test_a_car_that_ignores_its_limit() -> None:
    ac = charging(6.0, onboard_a=32.0)
    ac.ignores_limit = True
    advance(ac, 20.0, start=10.0)
    assert ac.read(20.0).current_a == pytest.approx(32.0)


def test_silence_grows_old() -> None:
    ac = charging()
    assert ac.read(10.0).taken_at == 10.0
    ac.silent = True
    reading = ac.read(11.0)
    assert not reading.valid
    assert reading.taken_at == 10.0
