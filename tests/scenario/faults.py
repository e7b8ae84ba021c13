"""What can go wrong at any point of a session, how fast it must be safe, and how it must be named."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from controller.cp.sim import Diode
from controller.signals import FrameReceived, ResetRequest, StopRequest
from tests.scenario.worlds import advance

if TYPE_CHECKING:
    from collections.abc import Callable

    from controller.sim import SimWorld

Act = Callable[["SimWorld"], None] if TYPE_CHECKING else object


def nothing(world: SimWorld) -> None:
    """Leave the world as it is."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong."""

    name: str
    strike: Act
    safe_s: float
    """Contactors open and output below 60 V this long after it, at the latest."""
    says: str
    """What the reasons must speak of (regular expression, any side)."""
    heal: Act = nothing
    """What someone repairs afterwards."""
    first: str = ""
    last: str = ""
    """First and last point of the session at which it matters."""
    ends_s: float = 30.0
    """Both sides have said how it ended this long after it."""
    mute: frozenset[str] = frozenset()
    """Sides that cannot say how it ended."""
    breaks_load: bool = False
    """The contactors may have to break the current."""


def stop(side: str) -> Act:
    return lambda w: w.send(side, StopRequest("stop button pressed"))


def silence_network(side: str) -> Act:
    return lambda w: w.network.faults.silent.add(side)


def hang(side: str) -> Act:
    return lambda w: w.silent.add(side)


def resume(side: str) -> Act:
    return lambda w: w.silent.discard(side)


def blind(side: str) -> Act:
    def act(world: SimWorld) -> None:
        world.frames[side].stopped = True

    return act


def see(side: str) -> Act:
    def act(world: SimWorld) -> None:
        world.frames[side].stopped = False

    return act


def spoil_stream(to: str) -> Act:
    sender = "pev" if to == "evse" else "evse"
    return lambda w: w.network.send_data(sender, b"\x01\xfe\x80\x01\x00\x00\x00\x05\xff\xff\xff\xff\xff", w.now)


def spoil_frames(to: str) -> Act:
    def act(world: SimWorld) -> None:
        for frame in (b"", bytes(60), b"\xff" * 60, bytes(12) + b"\x88\xe1" + b"\xff" * 46):
            world.send(to, FrameReceived(frame))

    return act


def put(part: str, attribute: str, value: object) -> Act:
    """Set an attribute of a part of the physical world."""

    def act(world: SimWorld) -> None:
        owner: object = world.world
        for name in filter(None, part.split(".")):
            owner = getattr(owner, name)
        setattr(owner, attribute, value)
        world.world.on_change()

    return act


def both(*acts: Act) -> Act:
    def act(world: SimWorld) -> None:
        for one in acts:
            one(world)

    return act


def reset(side: str) -> Act:
    """Let someone look at the contactors and say so, with nothing plugged in."""

    def act(world: SimWorld) -> None:
        world.send(side, ResetRequest())
        advance(world, 0.5)

    return act
