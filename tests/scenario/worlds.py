"""Whole worlds in virtual time: a small quick charge, what is watched in it, its steps, its faults.

One good run is recorded and every distinct point of it is a `Step`: a time, because virtual time is
the same every time. A scenario plays a fresh world up to a step, does something bad, and plays on.
`Watch` sees everything that happens on the way; `Ending` is what is left to assert.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from controller.config import (
    BatterySection,
    CarConfig,
    CarSection,
    ChargerConfig,
    SiteSection,
)
from controller.plc import wire
from controller.signals import (
    CloseContactors,
    ConnectionMade,
    EvseInputs,
    InterlockReport,
    MessageSent,
    OpenContactors,
    Output,
    PevInputs,
    PowerStageChanged,
    SendDatagram,
    SendFrame,
    SessionEnded,
    SetDuty,
    SetS2,
    SlacPhaseChanged,
    StationChanged,
    V2gPhaseChanged,
)
from controller.sim import SIDES, SimWorld

if TYPE_CHECKING:
    from collections.abc import Callable

SAFE_VOLTAGE_V = 60.0
PLUGGED_AT = 1.0
TARGET_SOC_PERCENT = 80.0
SLOW_CP_LOSS_S = 0.045
"""A CP-loss part too slow for its contract: what is off in time is so by the software alone."""
LATER = {
    "pev CurrentDemandReq": (4, "mid-loop"),
    "evse CurrentDemandRes": (4, "mid-loop"),
    "pev PowerDeliveryReq": (2, "off"),
    "evse PowerDeliveryRes": (2, "off"),
}
"""Messages of which a later one is a point of its own: which one, and its name."""


def small_world(soc_percent: float = 79.6, seed: int = 1) -> SimWorld:
    """Return a charger and a car whose whole session takes eleven seconds."""
    charger = ChargerConfig(site=SiteSection(isolation_test_s=0.1, module_ramp_v_per_s=2000.0))
    car = CarConfig(
        car=CarSection(target_soc_percent=TARGET_SOC_PERCENT),
        battery=BatterySection(capacity_wh=1000.0, soc_percent=soc_percent),
    )
    world = SimWorld(charger, car, seed)
    world.world.interlock.cp_lost_s = SLOW_CP_LOSS_S
    return world


# --- watching ----------------------------------------------------------------------------------


@dataclass(slots=True)
class Watch:
    """What a world did; `observe` sees every input and output."""

    world: SimWorld
    output_live_at: float = 0.0
    """Last time at which the charger's contacts were closed or its output not below 60 V."""
    inlet_live_at: float = 0.0
    """The same for the inlet: the vehicle's contacts, or the voltage there."""
    powered_at: float = 0.0
    """Last time at which the software had the charger's coils or its supply commanded on; the
    hardware interlock may have cut both before."""
    reasons: dict[str, list[SessionEnded]] = field(default_factory=lambda: {s: [] for s in SIDES})
    latched: dict[str, str] = field(default_factory=lambda: dict.fromkeys(SIDES, ""))

    def observe(self, now: float, node: str, direction: str, item: Any) -> None:  # noqa: ANN401
        """Take one record."""
        circuit = self.world.world.circuit
        if circuit.evse_contactors.is_closed or not abs(circuit.voltage_v) < SAFE_VOLTAGE_V:
            self.output_live_at = now
        if circuit.inlet_contactors.is_closed or not circuit.inlet_voltage_v < SAFE_VOLTAGE_V:
            self.inlet_live_at = now
        hears = now - circuit.heard_at <= circuit.self_off_s
        if self.world.world.interlock.commanded or (circuit.setpoint.on and hears):
            self.powered_at = now
        side = node.partition(".")[0]
        if direction == "out":
            self._output(now, side, item)

    def _output(self, now: float, side: str, item: Any) -> None:  # noqa: ANN401
        if type(item) is SessionEnded:
            self.reasons[side].append(item)
        elif type(item) is InterlockReport and item.latched:
            self.latched[side] = self.latched[side] or item.latched

    def reason(self, side: str) -> str:
        """Return the first reason that a side gave, or nothing."""
        return self.reasons[side][0].reason if self.reasons[side] else ""

    @property
    def ended(self) -> bool:
        """Whether both sides said how it ended."""
        return all(self.reasons.values())


def watched(world: SimWorld) -> Watch:
    """Return a watch that has begun to look at a world."""
    watch = Watch(world)
    world.observers.append(watch.observe)
    return watch


def plug_in(world: SimWorld) -> None:
    """Plug in a moment from now."""
    world.run(world.now + PLUGGED_AT)
    world.world.plug()


def advance(world: SimWorld, seconds: float) -> None:
    """Let time pass."""
    world.run(world.now + seconds)


def play_on(world: SimWorld, watch: Watch, seconds: float) -> None:
    """Play until both sides have said how it ended, at most this long."""
    world.loop.run(world.now + seconds, done=lambda: watch.ended)


def charge_again(world: SimWorld, soc_percent: float = 79.8) -> Watch:
    """Plug a car in, once more, and play a whole session; the watch saw only that."""
    world.world.battery.soc_percent = soc_percent
    watch = watched(world)
    plug_in(world)
    play_on(world, watch, 60.0)
    advance(world, 1.0)
    return watch


# --- steps -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Step:
    """A point of the good session."""

    name: str
    at: float


def _mme(item: SendFrame) -> str:
    return type(wire.parse(item.frame).mme).__name__ if wire.is_homeplug(item.frame) else ""


LABELS: dict[type[Output], Callable[[Any], str]] = {
    StationChanged: lambda i: f"station {i.state}",
    SlacPhaseChanged: lambda i: f"slac {i.phase}",
    V2gPhaseChanged: lambda i: f"phase {i.phase.value}",
    PowerStageChanged: lambda i: f"stage {i.state}",
    MessageSent: lambda i: i.name,
    SendDatagram: lambda i: "datagram",
    SendFrame: _mme,
    CloseContactors: lambda i: "close",
    OpenContactors: lambda i: "open",
    SetS2: lambda i: f"s2 {i.closed}",
    SetDuty: lambda i: f"duty {i.duty:.2f}",
    ConnectionMade: lambda i: "connected",
}


class _Recorder:
    """Collects the points of a session, each once."""

    def __init__(self) -> None:
        self.steps: dict[str, float] = {}
        self._counts = dict.fromkeys(LATER, 0)
        self._closed: dict[str, bool] = {}

    def observe(self, now: float, node: str, direction: str, item: Any) -> None:  # noqa: ANN401
        side = node.partition(".")[0]
        if isinstance(item, EvseInputs | PevInputs):
            closed = item.contactors.closed
            if self._closed.get(side, False) is not closed:
                self._closed[side] = closed
                self._note(f"{side} contacts {'closed' if closed else 'open'}", now)
            return
        label = LABELS.get(type(item))
        if label is None or (direction == "in" and type(item) is not ConnectionMade):
            return
        name = f"{side} {label(item)}"
        if name in LATER:
            self._counts[name] += 1
            which, suffix = LATER[name]
            if self._counts[name] == which:
                name = f"{name} {suffix}"
        self._note(name, now)

    def _note(self, name: str, now: float) -> None:
        if now >= PLUGGED_AT:
            self.steps.setdefault(name, now)


@cache
def good_run() -> tuple[SimWorld, Watch, tuple[Step, ...]]:
    """Play the good session once; return the world, what was seen, and its distinct points."""
    world = small_world()
    watch, recorder = watched(world), _Recorder()
    world.observers.append(recorder.observe)
    plug_in(world)
    play_on(world, watch, 60.0)
    advance(world, 1.0)
    by_time: dict[float, list[str]] = {}
    for name, at in sorted(recorder.steps.items(), key=lambda item: item[1]):
        by_time.setdefault(at, []).append(name)
    return world, watch, tuple(Step(", ".join(names), at) for at, names in by_time.items())


def steps(first: str = "", last: str = "") -> list[Step]:
    """Return the points of the good session from the first that names this to the last."""
    every = good_run()[2]
    begin = next(i for i, step in enumerate(every) if first in step.name)
    end = next(i for i, step in enumerate(every) if last in step.name) + 1 if last else len(every)
    return list(every[begin:end])


def is_ending(step: Step) -> bool:
    """Whether the vehicle had begun to end the charge at this point."""
    return step.at >= next(s for s in good_run()[2] if "PowerDeliveryReq off" in s.name).at


def world_at(step: Step) -> tuple[SimWorld, Watch]:
    """Return a fresh world, played up to this point of the session."""
    world = small_world()
    watch = watched(world)
    plug_in(world)
    world.run(step.at)
    return world, watch


def loaded_world(current_a: float = 100.0) -> tuple[SimWorld, Watch]:
    """Return a world in the middle of a charge, with this current flowing."""
    charger = ChargerConfig(site=SiteSection(isolation_test_s=0.1, module_ramp_v_per_s=2000.0))
    world = SimWorld(charger, CarConfig())
    watch = watched(world)
    plug_in(world)
    world.loop.run(30.0, done=lambda: world.world.circuit.current_a >= current_a)
    assert world.world.circuit.current_a >= current_a
    return world, watch
