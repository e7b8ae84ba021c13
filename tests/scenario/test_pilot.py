"""The pilot in whole worlds: Table A.6 with 100 A flowing, toggles, faults of the circuit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from controller.cp import timing
from controller.cp.sim import Diode
from controller.signals import (
    BcbToggled,
    CloseContactors,
    ControlPilotState,
    PilotFault,
    SequenceTimed,
)
from tests.scenario.faults import put, unplug
from tests.scenario.worlds import (
    Step,
    advance,
    charge_again,
    loaded_world,
    play_on,
    steps,
    world_at,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from controller.sim import SimWorld


class Facts:
    """What the charger's hard-timed half told."""

    def __init__(self, world: SimWorld) -> None:
        self.timed: list[SequenceTimed] = []
        self.toggled: list[BcbToggled] = []
        self.closed: list[float] = []
        world.observers.append(self.observe)

    def observe(self, now: float, node: str, direction: str, item: Any) -> None:  # noqa: ANN401
        if (node, direction) != ("evse.realtime", "out"):
            return
        if type(item) is SequenceTimed:
            self.timed.append(item)
        elif type(item) is BcbToggled:
            self.toggled.append(item)
        elif type(item) is CloseContactors:
            self.closed.append(now)


def off_after(world: SimWorld, act: Callable[[SimWorld], None]) -> float:
    """Do something; return how long until contacts are open and no current flows."""
    circuit = world.world.circuit
    began = world.now
    act(world)
    world.world.on_change()
    while circuit.evse_contactors.is_closed or abs(circuit.current_a) > 1.0:
        advance(world, 0.001)
        assert world.now < began + 5.0
    return world.now - began


@pytest.mark.parametrize("seed_s", [0.0, 0.0013, 0.0037])
@pytest.mark.parametrize(
    ("act", "number"),
    [
        pytest.param(put("pilot", "s2_closed", False), "8.1", id="C to B"),
        pytest.param(unplug, "2", id="unplugged"),
        pytest.param(put("pilot", "wire_open", True), "2", id="wire open"),
        pytest.param(put("pilot", "short_ohm", 80.0), "12", id="short circuit"),
        pytest.param(put("pilot", "supply_v", 0.0), "12", id="supply dead"),
    ],
)
def test_contacts_are_open_and_nothing_flows_within_100_ms(
    act: Callable[[SimWorld], None], number: str, seed_s: float
) -> None:
    """Software alone: the CP-loss part is made too slow. Contacts need 20 ms."""
    world, _ = loaded_world()
    world.world.interlock.cp_lost_s = 1.0
    facts = Facts(world)
    advance(world, 0.05 + seed_s)
    assert off_after(world, act) <= 0.1
    advance(world, 1.0)
    timed = next(t for t in facts.timed if t.number == number)
    assert timed.kept
    assert timed.took_s <= 0.1


def test_a_dc_charger_that_stops_its_oscillator_does_not_wait_six_seconds() -> None:
    """C1 withdraws the permit at once: B1 and C1 are the emergency stop of a DC charger."""
    world, _ = loaded_world()
    facts = Facts(world)
    advance(world, 0.05)
    world.world.emergency_stop = True
    assert off_after(world, lambda w: None) <= 0.1
    assert world.evse.pilot.duty == 1.0
    advance(world, 1.0)
    assert {t.number: t.kept for t in facts.timed}["10.1"]


# --- toggles -------------------------------------------------------------------------------------


def toggle(world: SimWorld, seconds: float, times: int = 1) -> None:
    for _ in range(times):
        put("pilot", "s2_closed", value=True)(world)
        advance(world, seconds)
        put("pilot", "s2_closed", value=False)(world)
        advance(world, 0.3)


def before_power() -> Sequence[object]:
    """List points after the plug at which the vehicle is in B."""
    points = [s for s in steps() if s.at > 1.05]
    power = next(s.at for s in points if "s2 True" in s.name)
    return [pytest.param(s, id=s.name) for s in points if s.at < power - 1.3][::6]


@pytest.mark.parametrize("seconds", [0.2, 0.3, 0.4])
@pytest.mark.parametrize("step", before_power())
def test_a_toggle_closes_nothing_and_ends_nothing(step: Step, seconds: float) -> None:
    world, watch = world_at(step)
    facts = Facts(world)
    toggle(world, seconds, times=2)
    assert facts.closed == []
    assert [t.count for t in facts.toggled] == [1, 2]
    assert facts.toggled[0].duration_s == pytest.approx(seconds, abs=0.006)
    play_on(world, watch, 60.0)
    assert all(ends[0].normal for ends in watch.reasons.values()), watch.reasons


def test_a_toggle_wakes_nobody_while_the_pilot_is_held() -> None:
    world, watch = world_at(next(s for s in steps() if "phase charge" in s.name))
    put("pilot", "short_ohm", 80.0)(world)
    play_on(world, watch, 60.0)
    put("pilot", "short_ohm", None)(world)
    advance(world, 5.0)
    facts = Facts(world)
    toggle(world, 0.3, times=3)
    advance(world, 20.0)
    assert [t.count for t in facts.toggled] == [1, 2, 3]
    assert facts.closed == []
    assert world.evse.pilot.duty == 1.0


# --- faults of the circuit -----------------------------------------------------------------------


FAULTS = [
    (put("pilot", "short_ohm", 80.0), put("pilot", "short_ohm", None), PilotFault.SHORT),
    (put("pilot", "short_ohm", 1.0), put("pilot", "short_ohm", None), PilotFault.SHORT),
    (put("pilot", "supply_v", 0.0), put("pilot", "supply_v", 12.0), PilotFault.SUPPLY),
    (
        put("pilot", "diode", Diode.SHORTED),
        put("pilot", "diode", Diode.GOOD),
        PilotFault.DIODE,
    ),
    (
        put("pilot", "negative_supply_v", 0.0),
        put("pilot", "negative_supply_v", -12.0),
        PilotFault.NEGATIVE_SUPPLY,
    ),
]


@pytest.mark.parametrize(("strike", "heal", "fault"), FAULTS, ids=lambda f: getattr(f, "name", ""))
@pytest.mark.parametrize(
    "step", [pytest.param(s, id=s.name) for s in steps("duty 0.05", "phase charge")[1::9]]
)
def test_a_pilot_fault_ends_the_plug_in_says_why_and_harms_no_other(
    step: Step,
    strike: Callable[[SimWorld], None],
    heal: Callable[[SimWorld], None],
    fault: PilotFault,
) -> None:
    world, watch = world_at(step)
    advance(world, 0.03)  # the oscillator's start has settled
    strike(world)
    advance(world, 0.1)
    assert world.evse.pilot.fault is fault
    assert not world.world.circuit.evse_contactors.is_closed
    play_on(world, watch, 10.0)
    assert watch.latched["evse"] == fault.value
    assert watch.reasons["evse"][0].reason == fault.value
    heal(world)
    advance(world, 8.0)
    assert world.evse.interlock.report.latched  # healed, but not before it is unplugged
    assert not world.world.circuit.evse_contactors.is_closed
    unplug(world)
    advance(world, 1.0)
    assert world.evse.interlock.report.latched == ""
    assert world.evse.pilot.state is ControlPilotState.A1
    following = charge_again(world)
    assert all(ends[0].normal for ends in following.reasons.values()), following.reasons


def test_f_between_two_tries_lasts_as_long_as_a_vehicle_needs() -> None:
    """SLAC fails because no vehicle answers: F for T_step_EF, X1 for 750 ms, 5 % again."""
    world, _ = world_at(next(s for s in steps() if "station matching" in s.name))
    changes: list[tuple[float, float]] = []
    world.observers.append(
        lambda now, node, direction, item: (
            changes.append((now, item.duty))
            if node == "evse.realtime"
            and direction == "out"
            and hasattr(item, "duty")
            and type(item).__name__ == "SetDuty"
            else None
        )
    )
    world.silent.add("pev")
    advance(world, 130.0)
    f_at = next(at for at, duty in changes if duty == 0.0)
    x1_at = next(at for at, duty in changes if duty == 1.0 and at > f_at)
    on_at = next(at for at, duty in changes if duty == 0.05 and at > x1_at)
    assert x1_at - f_at == pytest.approx(timing.T_STEP_EF_S, abs=0.01)
    assert on_at - x1_at == pytest.approx(timing.T_HOLD_X1_S, abs=0.01)
