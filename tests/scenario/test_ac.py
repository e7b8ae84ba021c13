"""AC charges as a whole: the good ones, every fault at many points, what people do, limits."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from controller.config import (
    AcSection,
    BatterySection,
    CarConfig,
    ChargerConfig,
    ChargerSection,
)
from controller.cp.sim import Diode
from controller.interlock_ac import OVER_CURRENT_S, STOP_GRACE_S
from controller.power.contactors import MAINS_RECLOSE_S
from controller.signals import (
    NO_CABLE_OHM,
    CurrentOffered,
    CurrentRequest,
    EmergencyStop,
    ResetRequest,
    SetDuty,
    SetOnboardCurrent,
    StationChanged,
    StopRequest,
)
from controller.sim import SimWorld
from controller.slac.timing import T_STEP_EF_S, T_STEP_X1_S, TT_EVSE_SLAC_INIT_S
from tests.scenario.ac_worlds import (
    PLUGGED_AT,
    AcWatch,
    Point,
    ac_world,
    advance,
    charge_again,
    circuit,
    good_points,
    play_on,
    plug_in,
    watched,
    world_at,
)
from tests.scenario.faults import blind, both, hang, put, reset, resume, see, stop, unplug

Act = Callable[[SimWorld], None]


def ended_well(watch: AcWatch) -> bool:
    return watch.ended and all(ends[-1].normal for ends in watch.reasons.values())


def seen(world: SimWorld, kind: type) -> list[tuple[float, object]]:
    """Collect what comes out of one kind from now on."""
    found: list[tuple[float, object]] = []

    def observe(now: float, node: str, direction: str, item: object) -> None:
        if isinstance(item, kind) and direction == "out":
            found.append((now, item))

    world.observers.append(observe)
    return found


def at(name: str, *, digital_first: bool = False) -> tuple[SimWorld, AcWatch]:
    points = good_points(digital_first)
    return world_at(next(p for p in points if name in p.name), digital_first)


# --- the good charge -----------------------------------------------------------------------------


def test_a_good_charge() -> None:
    world = ac_world()
    watch = watched(world)
    report = world.run_session()
    ac = circuit(world)
    assert ended_well(watch)
    assert watch.reasons["pev"][0].reason == "target of 80 % reached"
    assert report.reason() == "target of 80 % reached"
    assert report.safe
    assert report.summary(80.0)["reached_target"]
    assert watch.closings == 1
    assert ac.contactors.operations == 2
    assert ac.worst_opening_current_a < 0.5, "the car ends its current before it opens S2"
    assert ac.energy_wh == pytest.approx(0.02 * 1000 / 0.92, rel=0.12)  # at the voltage of 80 %
    assert report.energy_wh == pytest.approx(ac.energy_wh, rel=0.1)
    assert report.peak_power_w == pytest.approx(16 * 3 * 230, rel=0.01)
    assert not world.world.circuit.inlet_contactors.operations
    assert all(phase["within_limit"] for phase in report.summary()["phases"])


@pytest.mark.parametrize(("phases", "power_w"), [(1, 3680.0), (3, 11_040.0)])
def test_phases_of_the_installation(phases: int, power_w: float) -> None:
    world = ac_world(AcSection(maximum_current_a=16.0, phases=phases))
    assert world.run_session().peak_power_w == pytest.approx(power_w, rel=0.01)


@pytest.mark.parametrize(
    ("ohm", "current_a"), [(1500.0, 13.0), (680.0, 20.0), (220.0, 32.0), (100.0, 32.0)]
)
def test_the_cable_decides(ohm: float, current_a: float) -> None:
    world = ac_world(AcSection(connector="socket", maximum_current_a=32.0))
    circuit(world).cable_ohm = ohm
    report = world.run_session()
    assert report.peak_power_w == pytest.approx(current_a * 690, rel=0.01)


@pytest.mark.parametrize("onboard_a", [6.0, 10.0, 32.0])
def test_the_car_decides(onboard_a: float) -> None:
    world = ac_world(onboard_a=onboard_a)
    assert world.run_session().peak_power_w == pytest.approx(min(16.0, onboard_a) * 690, rel=0.01)


def test_two_charges_one_after_the_other() -> None:
    world = ac_world()
    world.run_session()
    assert ended_well(charge_again(world))


def test_an_hour_in_virtual_time() -> None:
    charger = ChargerConfig(charger=ChargerSection(mode="ac"))
    world = SimWorld(charger, CarConfig(battery=BatterySection(soc_percent=62.0)))
    report = world.run_session(limit_s=8 * 3600.0)
    assert report.reason() == "target of 80 % reached"
    assert report.energy_wh == pytest.approx(0.18 * 60_000 / 0.92, rel=0.12)
    assert world.now > 3600.0


# --- 5 % first -----------------------------------------------------------------------------------


def states(world: SimWorld) -> list[tuple[float, object]]:
    return seen(world, StationChanged)


def test_five_percent_and_nobody_answers() -> None:
    """[V2G3-M06-05]: through state F."""
    world = ac_world(AcSection(maximum_current_a=16.0, digital_first=True))
    watch, duties = watched(world), seen(world, SetDuty)
    world.run_session(limit_s=120.0)
    assert ended_well(watch)
    driven = [(round(now, 1), round(item.duty, 2)) for now, item in duties]  # type: ignore[attr-defined]
    times = [now for now, _ in driven[:4]]
    assert [duty for _, duty in driven[:4]] == [0.05, 0.0, 1.0, 0.27]
    assert times[1] - times[0] == pytest.approx(TT_EVSE_SLAC_INIT_S, abs=0.2)
    assert times[2] - times[1] >= T_STEP_EF_S - 0.11


def test_five_percent_and_the_car_answers() -> None:
    """[V2G3-M06-06]: through X1; and it is said what is missing."""
    world = ac_world(AcSection(maximum_current_a=16.0, digital_first=True), digital=True)
    watch, duties = watched(world), seen(world, SetDuty)
    world.run_session(limit_s=120.0)
    assert ended_well(watch)
    driven = [(now, round(item.duty, 2)) for now, item in duties]  # type: ignore[attr-defined]
    assert [duty for _, duty in driven[:3]] == [0.05, 1.0, 0.27]
    assert driven[2][0] - driven[1][0] >= T_STEP_X1_S
    assert any("no ISO 15118 session for AC" in text for text in watch.told)


# --- faults --------------------------------------------------------------------------------------


def nothing(world: SimWorld) -> None:
    """Leave the world as it is."""


def part(attribute: str, value: object) -> Act:
    return put("ac", attribute, value)


def chain(*, stuck: bool | None) -> Act:
    """Let the watchdog's contact hang."""

    def act(world: SimWorld) -> None:
        world.world.interlock.watchdog.stuck = stuck
        world.world.interlock.touch()

    return act


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong, or that someone does."""

    name: str
    strike: Act
    says: str
    """What must be told, by interlock, station or end (a regular expression)."""
    off_s: float = 0.12
    """The coil is off this long after it, at the latest, and stays off."""
    heal: Act = nothing
    first: str = "before"
    """First point at which it matters."""
    last: str = ""
    """Last point at which it is the reason: what has ended has its own."""
    breaks_a: float = 40.0
    welded: bool = False
    again: bool = True
    """The next charge succeeds after healing."""
    patience_s: float = 15.0


FAULTS = (
    Fault("unplug", unplug, "unplugged|state A", off_s=0.03, first="plug"),
    Fault(
        "RCD trips",
        part("rcd_tripped", value := True),
        "residual-current",
        off_s=0.02,
        heal=part("rcd_tripped", not value),
    ),
    Fault(
        "emergency stop",
        lambda w: w.world.press_emergency_stop(),
        "emergency stop",
        off_s=0.02,
        heal=put("", "emergency_stop", value=False),
    ),
    Fault("phase lost", part("phases", 2), "phase is missing", off_s=0.15, heal=part("phases", 3)),
    Fault("blackout", part("phases", 0), "phase is missing", off_s=0.15, heal=part("phases", 3)),
    Fault(
        "pilot short",
        put("pilot", "short_ohm", 50.0),
        "state E|short-circuit",
        off_s=0.05,
        heal=put("pilot", "short_ohm", None),
    ),
    Fault(
        "diode short",
        put("pilot", "diode", Diode.SHORTED),
        "diode",
        off_s=0.06,
        heal=put("pilot", "diode", Diode.GOOD),
    ),
    Fault(
        "pilot wire open",
        put("pilot", "wire_open", value=True),
        "state A|unplugged",
        off_s=0.03,
        heal=put("pilot", "wire_open", value=False),
        first="plug",
    ),
    Fault(
        "vehicle wants ventilation",
        put("pilot", "r3_ohm", 270.0),
        "ventilation|stopped drawing",
        off_s=0.05,
        heal=put("pilot", "r3_ohm", 1300.0),
    ),
    Fault(
        "cable pulled out of the socket",
        part("cable_ohm", NO_CABLE_OHM),
        r"\(PP\)",
        off_s=0.35,
        heal=part("cable_ohm", 220.0),
    ),
    Fault("inputs silent", part("silent", value=True), "silent", heal=part("silent", value=False)),
    Fault(
        "charger's session hangs",
        hang("evse"),
        "communication process is silent|no vehicle|state",
        heal=resume("evse"),
        off_s=0.1,
    ),
    Fault(
        "vehicle's session hangs",
        hang("pev"),
        "silent|state B|no connector",
        heal=resume("pev"),
        off_s=0.2,
    ),
    Fault(
        "charger blind",
        blind("evse"),
        "stopped|silent|missing|state|expired",
        heal=both(see("evse"), reset("evse")),
        off_s=0.2,
    ),
    Fault(
        "vehicle blind",
        blind("pev"),
        "stopped|silent|state",
        heal=both(see("pev"), reset("pev")),
        off_s=0.3,
    ),
    Fault(
        "battery not ready",
        put("vehicle", "fault", value=True),
        "battery|state B",
        heal=put("vehicle", "fault", value=False),
        off_s=0.2,
    ),
    Fault(
        "battery silent",
        put("vehicle", "silent", value=True),
        "battery|state B",
        heal=put("vehicle", "silent", value=False),
        off_s=1.5,
    ),
    Fault(
        "hardware chain opens",
        chain(stuck=False),
        "hardware interlock|coils",
        heal=chain(stuck=None),
        off_s=0.1,
    ),
    Fault(
        "over-current",
        part("ignores_limit", value=True),
        "draws|finished|stopped drawing",
        off_s=OVER_CURRENT_S + 4.5,
        heal=part("ignores_limit", value=False),
        first="evse close",
        patience_s=20.0,  # a small battery may be full first, and the offer stays for 10 s
    ),
    Fault(
        "operator stops",
        stop("evse"),
        "stop button",
        off_s=0.5,
        first="evse offering",
        last="rest",
    ),
    Fault("driver stops", stop("pev"), "stop button|target", off_s=0.5, first="pev charging"),
    Fault(
        "someone presses the emergency stop of the service",
        lambda w: w.send("evse", EmergencyStop("remote emergency stop")),
        "remote emergency stop",
        off_s=0.05,
        first="evse offering",
        last="rest",
    ),
    Fault(
        "operator resets",
        lambda w: w.send("evse", ResetRequest()),
        "reset by an operator",
        off_s=0.5,
        first="evse offering",
        last="rest",
    ),
)


def scenarios(*, digital_first: bool) -> list[object]:
    rows: list[object] = []
    for number, fault in enumerate(FAULTS):
        points = list(good_points(digital_first))
        begin = next((i for i, p in enumerate(points) if fault.first in p.name), 0)
        ends = [i for i, p in enumerate(points) if fault.last and fault.last in p.name]
        chosen = points[begin : ends[0] + 1 if ends else None]
        if digital_first:
            chosen = [p for p in chosen if p.at < at_offer(points)][number % 4 :: 4]
        rows += [
            pytest.param(fault, point, index % 6 == 0, id=f"{fault.name} @ {point.name}")
            for index, point in enumerate(chosen)
        ]
    return rows


def at_offer(points: list[Point]) -> float:
    return next(p.at for p in points if "evse offering" in p.name)


def strike(fault: Fault, point: Point, *, digital_first: bool) -> tuple[SimWorld, AcWatch]:
    world, watch = world_at(point, digital_first)
    fault.strike(world)
    world.world.on_change()
    if point.at <= PLUGGED_AT and fault.strike is not unplug:
        world.world.plug()
    struck_at = world.now
    play_on(world, watch, fault.patience_s)
    advance(world, 1.0)
    assert watch.commanded_at <= struck_at + fault.off_s
    assert watch.live_at <= struck_at + fault.off_s + 0.03
    assert circuit(world).worst_opening_current_a <= fault.breaks_a
    assert not world.world.circuit.inlet_contactors.operations
    return world, watch


@pytest.mark.parametrize(("fault", "point", "again"), scenarios(digital_first=False))
def test_a_fault_opens_and_is_told(fault: Fault, point: Point, again: bool) -> None:
    world, watch = strike(fault, point, digital_first=False)
    unplug(world)
    advance(world, 5.0)
    told = " | ".join(sorted(filter(None, watch.told)))
    assert re.search(fault.says, told), told
    fault.heal(world)
    world.world.on_change()
    advance(world, 1.0)
    assert world.report.safe
    assert watch.ended or point.at <= PLUGGED_AT
    if again:
        assert ended_well(charge_again(world))


@pytest.mark.parametrize(("fault", "point", "again"), scenarios(digital_first=True))
def test_a_fault_while_slac_is_tried(fault: Fault, point: Point, again: bool) -> None:
    world, _ = strike(fault, point, digital_first=True)
    unplug(world)
    advance(world, 5.0)
    assert world.report.safe


# --- welded --------------------------------------------------------------------------------------

WELDS: list[tuple[str, Act, Act]] = [
    (
        "contacts",
        put("circuit.evse_contactors", "welded", value=True),
        both(
            put("circuit.evse_contactors", "welded", value=False),
            put("circuit.evse_contactors", "is_closed", value=False),
        ),
    ),
    ("one pole", part("pole_welded", value=True), part("pole_welded", value=False)),
]


@pytest.mark.parametrize(("name", "weld", "mend"), WELDS, ids=[w[0] for w in WELDS])
@pytest.mark.parametrize("point", ["ramp", "mid charge", "limit 0"])
def test_a_weld_is_found_told_and_holds_until_a_reset(
    name: str, weld: Act, mend: Act, point: str
) -> None:
    world, watch = at(point)
    weld(world)
    play_on(world, watch, 60.0)
    advance(world, 2.0)
    assert not world.world.interlock.commanded
    assert not world.report.safe
    unplug(world)
    advance(world, 6.0)
    assert any("welded" in text for text in watch.told)
    assert "welded" in world.report.latched
    mend(world)
    advance(world, 1.0)
    assert not ended_well(charge_again(world)), "nobody has looked"
    unplug(world)
    advance(world, 6.0)
    reset("evse")(world)
    assert ended_well(charge_again(world))


# --- what people and the grid do -----------------------------------------------------------------


def test_a_blackout_and_the_charge_goes_on_by_itself() -> None:
    world, watch = at("mid charge")
    circuit(world).phases = 0
    world.world.on_change()
    advance(world, 600.0)
    assert not circuit(world).contactors.is_closed
    circuit(world).phases = 3
    world.world.on_change()
    play_on(world, watch, 5.0)
    advance(world, MAINS_RECLOSE_S + 10.0)
    assert watch.closings == 2
    assert watch.reasons["pev"][-1].reason == "target of 80 % reached"
    assert world.report.reason() == "target of 80 % reached"


def test_a_stop_lets_the_car_open_first() -> None:
    world, watch = at("mid charge")
    world.send("evse", StopRequest("operator"))
    advance(world, 3.0)
    assert not circuit(world).contactors.is_closed
    assert watch.reasons["evse"][0].normal


def test_a_car_that_does_not_open_is_switched_off_under_load() -> None:
    world, watch = at("mid charge")
    world.frames["pev"].stopped = False
    world.world.pilot.s2_closed = True
    keep_s2_closed(world)
    circuit(world).ignores_limit = True
    struck_at = world.now
    world.send("evse", StopRequest("operator"))
    advance(world, 10.0)
    assert STOP_GRACE_S <= watch.live_at - struck_at <= STOP_GRACE_S + 0.2
    assert circuit(world).worst_opening_current_a > 10.0
    assert not watch.reasons["evse"][0].normal


def keep_s2_closed(world: SimWorld) -> None:
    """Let S2 hang: whatever the car commands, it stays closed."""
    carry_out = world.world.carry_out

    def but_s2(side: str, output: object, now: float) -> None:
        carry_out(side, output, now)  # type: ignore[arg-type]
        world.world.pilot.s2_closed = True

    world.world.carry_out = but_s2  # type: ignore[method-assign]


def test_load_management_changes_the_current() -> None:
    world, _ = at("ramp")
    offers, limits = seen(world, CurrentOffered), seen(world, SetOnboardCurrent)
    advance(world, 4.0)
    began = world.now
    for current_a in (10.0, 8.0, 6.0):
        world.send("evse", CurrentRequest(current_a))
    advance(world, 6.0)
    assert [item.current_a for _, item in offers] == [6.0]  # type: ignore[attr-defined]
    assert offers[0][0] - began <= 5.0
    assert limits[-1][1] == SetOnboardCurrent(6.0)
    assert circuit(world).current_a == pytest.approx(6.0)


def test_a_pause_for_want_of_current_and_back() -> None:
    world, watch = at("ramp")
    advance(world, 1.0)
    world.send("evse", CurrentRequest(0.0))
    advance(world, 4.0)
    assert not circuit(world).contactors.is_closed
    assert circuit(world).worst_opening_current_a < 17.0
    advance(world, 30.0)
    world.send("evse", CurrentRequest(16.0))
    advance(world, 40.0)
    assert watch.closings == 2
    assert watch.reasons["pev"][-1].reason == "target of 80 % reached"


def test_more_than_the_cable_is_never_offered() -> None:
    world, _ = at("mid charge")
    offers = seen(world, CurrentOffered)
    world.send("evse", CurrentRequest(80.0))
    advance(world, 10.0)
    assert all(item.current_a <= 16.0 for _, item in offers)  # type: ignore[attr-defined]


def test_a_car_with_a_full_battery_draws_nothing() -> None:
    world = ac_world(soc_percent=79.99)
    world.world.battery.soc_percent = 90.0
    watch = watched(world)
    plug_in(world)
    advance(world, 30.0)
    assert watch.closings == 0
    assert watch.drawn_at < 0


def test_a_car_that_wakes_chargers_finds_one_awake() -> None:
    world = ac_world(wake=True)
    watch = watched(world)
    world.run_session()
    assert ended_well(watch)
