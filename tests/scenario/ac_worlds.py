"""Whole AC charges in virtual time: a small quick one, what is watched in it, its points."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from controller.config import (
    AcSection,
    BatterySection,
    CarConfig,
    CarSection,
    ChargerConfig,
    ChargerSection,
    OnboardSection,
)
from controller.signals import (
    CloseContactors,
    CurrentOffered,
    InterlockReport,
    OpenContactors,
    SessionEnded,
    SetDuty,
    SetOnboardCurrent,
    SetS2,
    SlacPhaseChanged,
    StationChanged,
)
from controller.sim import SIDES, SimWorld

if TYPE_CHECKING:
    from controller.power.sim_ac import AcCircuit

PLUGGED_AT = 1.0
TARGET_SOC_PERCENT = 80.0


def ac_world(
    ac: AcSection | None = None,
    *,
    digital: bool = False,
    soc_percent: float = 78.0,
    onboard_a: float = 32.0,
    wake: bool = False,
) -> SimWorld:
    """Return an AC charger of 16 A and a car that may draw more; the charge takes ten seconds."""
    ac = ac or AcSection(connector="socket", maximum_current_a=16.0)
    charger = ChargerConfig(charger=ChargerSection(mode="ac"), ac=ac)
    car = CarConfig(
        car=CarSection(target_soc_percent=TARGET_SOC_PERCENT, digital=digital, wake_charger=wake),
        onboard=OnboardSection(maximum_current_a=onboard_a),
        battery=BatterySection(capacity_wh=1000.0, soc_percent=soc_percent),
    )
    return SimWorld(charger, car)


def circuit(world: SimWorld) -> AcCircuit:
    """Return the AC side of a world."""
    ac = world.world.ac
    assert ac is not None
    return ac


@dataclass(slots=True)
class AcWatch:
    """What an AC world did; `observe` sees every input and output."""

    world: SimWorld
    live_at: float = -1.0
    """Last time at which the contacts were closed."""
    commanded_at: float = -1.0
    """Last time at which the coil was on."""
    drawn_at: float = -1.0
    """Last time at which the on-board charger was allowed current."""
    closings: int = 0
    reasons: dict[str, list[SessionEnded]] = field(default_factory=lambda: {s: [] for s in SIDES})
    told: set[str] = field(default_factory=set)
    """Every reason that an interlock, a station or an offer gave."""

    def observe(self, now: float, node: str, direction: str, item: Any) -> None:  # noqa: ANN401
        """Take one record."""
        ac = circuit(self.world)
        if ac.contactors.is_closed:
            self.live_at = now
        if self.world.world.interlock.commanded:
            self.commanded_at = now
        if ac.limit_a:
            self.drawn_at = now
        if direction == "out":
            self._output(node.partition(".")[0], item)

    def _output(self, side: str, item: Any) -> None:  # noqa: ANN401
        match item:
            case SessionEnded():
                self.reasons[side].append(item)
                self.told.add(item.reason)
            case InterlockReport():
                self.told.update((*item.reasons, item.latched))
            case CurrentOffered():
                self.told.add(item.limited_by)
            case StationChanged():
                self.told.add(item.reason)
            case OpenContactors():
                self.told.add(item.reason)
            case CloseContactors():
                self.closings += 1
            case _:
                pass

    @property
    def ended(self) -> bool:
        """Whether both sides said how it ended."""
        return all(self.reasons.values())


def watched(world: SimWorld) -> AcWatch:
    """Return a watch that has begun to look at a world."""
    watch = AcWatch(world)
    world.observers.append(watch.observe)
    return watch


def advance(world: SimWorld, seconds: float) -> None:
    """Let time pass."""
    world.run(world.now + seconds)


def plug_in(world: SimWorld) -> None:
    """Plug in a moment from now."""
    advance(world, PLUGGED_AT)
    world.world.plug()


def play_on(world: SimWorld, watch: AcWatch, seconds: float) -> None:
    """Play until both sides have said how it ended, at most this long."""
    world.loop.run(world.now + seconds, done=lambda: watch.ended)


def charge_again(world: SimWorld) -> AcWatch:
    """Plug a car in, once more, and play a whole charge; the watch saw only that."""
    advance(world, 12.0)  # the contactor has rested
    world.world.battery.soc_percent = 79.0
    watch = watched(world)
    plug_in(world)
    play_on(world, watch, 90.0)
    return watch


@dataclass(frozen=True, slots=True)
class Point:
    """A point of a good charge."""

    name: str
    at: float


LABELS: dict[type[Any], Any] = {
    StationChanged: lambda i: i.state,
    SlacPhaseChanged: lambda i: f"slac {i.phase}",
    CloseContactors: lambda i: "close",
    OpenContactors: lambda i: "open",
    SetS2: lambda i: f"s2 {i.closed}",
    SetDuty: lambda i: f"duty {i.duty:.2f}",
    SetOnboardCurrent: lambda i: f"limit {i.current_a:.0f}",
}


@cache
def good_points(digital_first: bool = False) -> tuple[Point, ...]:
    """Play the good charge once; return its distinct points, and some between."""
    world = world_of(digital_first)
    watch = watched(world)
    seen: dict[str, float] = {"before": 0.5, "plug": PLUGGED_AT}

    def observe(now: float, node: str, direction: str, item: object) -> None:
        label = LABELS.get(type(item))
        if label is not None and direction == "out" and now > PLUGGED_AT:
            seen.setdefault(f"{node.partition('.')[0]} {label(item)}", now)

    world.observers.append(observe)
    plug_in(world)
    play_on(world, watch, 120.0)
    assert watch.ended
    ramp = seen["evse close"]
    seen |= {"ramp": ramp + 0.5, "mid charge": ramp + 5.0, "opening": seen["evse open"] + 0.01}
    seen |= {"rest": seen["evse open"] + 3.0}
    by_time: dict[float, list[tuple[str, float]]] = {}
    for name, at in sorted(seen.items(), key=lambda pair: pair[1]):
        by_time.setdefault(round(at, 4), []).append((name, at))
    return tuple(  # the last instant of each: all that the name tells has happened
        Point(", ".join(name for name, _ in named), named[-1][1]) for named in by_time.values()
    )


def world_of(digital_first: bool) -> SimWorld:
    """Return a world of either kind: with 5 % first the car answers."""
    ac = AcSection(connector="socket", maximum_current_a=16.0, digital_first=digital_first)
    return ac_world(ac, digital=digital_first)


def world_at(point: Point, digital_first: bool = False) -> tuple[SimWorld, AcWatch]:
    """Return a fresh world, played up to this point."""
    world = world_of(digital_first)
    watch = watched(world)
    if point.at > PLUGGED_AT:
        plug_in(world)
    world.run(point.at)
    return world, watch
