"""What can go wrong at any point of a session, how fast it must be safe, how it must be named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from controller.cp.sim import Diode
from controller.plc.sim import no_fault
from controller.signals import FrameReceived, ResetRequest, StopRequest
from controller.sim import SIDES
from tests.scenario.worlds import advance

if TYPE_CHECKING:
    from controller.sim import SimWorld

Act = Callable[["SimWorld"], None]
"""Does something to a world."""


def nothing(world: SimWorld) -> None:
    """Leave the world as it is."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong."""

    name: str
    strike: Act
    says: str
    """What the summary's reason must speak of (a regular expression)."""
    off_s: float = 0.1
    """The charger's coils and supply are off this long after it, at the latest."""
    safe_s: float = 0.5
    """The output is open and below 60 V this long after it, at the latest."""
    inlet_s: float = 0.8
    """The same for the vehicle's contactors and the inlet."""
    heal: Act = nothing
    """What someone repairs afterwards, with nothing plugged in."""
    first: str = ""
    last: str = ""
    """First and last point of the session at which it matters."""
    every: int = 5
    """It strikes at each so manieth of these points."""
    patience_s: float = 8.0
    """People wait this long for the end of the session, then they pull the plug."""
    settle_s: float = 1.0
    breaks_a: float = 1.0
    """Current that contactors may have to break."""
    step_v: float = 20.0
    """Voltage that contactors may close onto."""
    welded: str = ""
    """Side whose contactors cannot open."""


def stop(side: str) -> Act:
    """Let driver or operator press stop."""
    return lambda w: w.send(side, StopRequest("stop button pressed"))


def silence(side: str) -> Act:
    """Let nothing that this side sends arrive any more: no frame, no datagram, no byte."""

    def act(world: SimWorld) -> None:
        world.network.faults.silent.add(side)
        index = SIDES.index(side)
        world.world.powerline.fault = lambda t: () if t.source == index else (0.0,)

    return act


def hear_again(world: SimWorld) -> None:
    world.network.faults.silent.clear()
    world.world.powerline.fault = no_fault


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
    garbage = bytes.fromhex("01fe8001 00000005 ffffffffff")
    return lambda w: w.network.send_data(sender, garbage, w.now)


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
        advance(world, 0.2)
        world.send(side, ResetRequest())
        advance(world, 0.5)

    return act


def mend(side: str) -> Act:
    """Separate welded contacts."""
    contacts = f"circuit.{'evse' if side == 'evse' else 'inlet'}_contactors"
    return both(put(contacts, "welded", value=False), put(contacts, "is_closed", value=False))


def unplug(world: SimWorld) -> None:
    world.world.unplug()


def emergency(world: SimWorld) -> None:
    world.world.press_emergency_stop()


def interlock(**faults: object) -> Act:
    """Break parts of the hardware interlock; `watchdog` means its contact."""

    def act(world: SimWorld) -> None:
        chain = world.world.interlock
        for name, value in faults.items():
            owner, attribute = (chain.watchdog, "stuck") if name == "watchdog" else (chain, name)
            setattr(owner, attribute, value)
        chain.touch()
        world.world.on_change()

    return act


def kill_connection(world: SimWorld) -> None:
    world.network.kill(world.now)


EVSE, INLET = "circuit.evse_contactors", "circuit.inlet_contactors"
TCP, POWER = "evse connected", "evse phase cable check"
MESSAGE_S = 2.5
"""A vehicle waits 2 s for an answer, then opens S2; its contactors follow within a second."""
TOLD_S = 1.5
"""A vehicle that is told of a malfunction by the next answer stops in its own order."""

FAULTS = (
    # people
    Fault("unplug", unplug, "unplugged|powerline link lost", off_s=0.02, every=1),
    Fault(
        "emergency stop",
        emergency,
        "emergency stop",
        off_s=0.006,
        every=1,
        heal=put("", "emergency_stop", value=False),
    ),
    # the hardware interlock
    Fault(
        "watchdog dies",
        interlock(watchdog=False),
        "interlock has tripped",
        inlet_s=TOLD_S,
        off_s=0.006,
        every=4,
        heal=both(interlock(watchdog=None), reset("evse")),
    ),
    Fault(
        "over-voltage trips",
        interlock(over_voltage=True),
        "interlock has tripped",
        inlet_s=TOLD_S,
        off_s=0.006,
        heal=interlock(over_voltage=False),
    ),
    Fault(
        "one channel of the emergency stop",
        interlock(stop_a=True),
        "emergency stop",
        off_s=0.006,
        every=7,
        heal=both(interlock(stop_a=False), reset("evse")),
    ),
    Fault(
        "CP-loss part dies",
        interlock(cp_dead=True),
        "coils have no supply|target of",
        first="pev s2 True",
        inlet_s=TOLD_S,
        off_s=0.06,
        every=3,
        heal=interlock(cp_dead=False),
    ),
    Fault(
        "CP-loss part sticks",
        interlock(cp_bridged=True),
        "CP-loss part does not interrupt|target of",
        off_s=60.0,
        safe_s=60.0,
        inlet_s=60.0,
        patience_s=30.0,
        heal=both(interlock(cp_bridged=False), reset("evse")),
    ),
    Fault("driver stops", stop("pev"), "stop button", off_s=4.0, safe_s=4.5, inlet_s=4.5, every=3),
    Fault(
        "operator stops",
        stop("evse"),
        "stop button",
        first="evse station matching",
        off_s=4.0,
        safe_s=4.5,
        inlet_s=4.5,
        every=3,
    ),
    # the other side
    Fault(
        "charger silent",
        silence("evse"),
        "did not answer|no charger|opened no connection|no powerline link|withdrew|unplugged",
        patience_s=17.5,
        off_s=MESSAGE_S,
        safe_s=3.0,
        inlet_s=3.5,
        heal=hear_again,
        every=1,
    ),
    Fault(
        "vehicle silent",
        silence("pev"),
        "did not answer|no charger|opened no connection|silent|too long|no powerline|unplugged",
        patience_s=14.0,
        off_s=MESSAGE_S,
        safe_s=3.0,
        inlet_s=3.5,
        heal=hear_again,
        every=1,
    ),
    Fault(
        "connection killed",
        kill_connection,
        "connection lost|refused",
        off_s=1.5,
        safe_s=2.0,
        inlet_s=2.0,
        first=TCP,
    ),
    Fault(
        "garbage to charger",
        spoil_stream("evse"),
        "vehicle sent an unreadable",
        first=TCP,
        off_s=1.5,
        safe_s=2.0,
        inlet_s=2.0,
    ),
    Fault(
        "garbage to vehicle",
        spoil_stream("pev"),
        "charger sent an unreadable",
        first=TCP,
        off_s=1.5,
        safe_s=2.0,
        inlet_s=2.0,
    ),
    # own processes
    Fault(
        "charger hangs",
        hang("evse"),
        "did not answer|no charger|no powerline link|unplugged|refused|withdrew|lost its 5 % duty",
        heal=resume("evse"),
        inlet_s=3.5,
    ),
    Fault(
        "vehicle hangs",
        hang("pev"),
        "S2|silent|no powerline link|opened no connection|took too long|unplugged|no vehicle",
        heal=resume("pev"),
    ),
    Fault(
        "charger blind",
        blind("evse"),
        "samples|feedback|unplugged|no fresh|powerline",
        heal=both(see("evse"), reset("evse")),
        off_s=0.16,
        safe_s=0.6,
        inlet_s=3.0,
    ),
    Fault(
        "vehicle blind",
        blind("pev"),
        "samples|feedback|unplugged|no fresh|S2|withdrew|took too long",
        heal=both(see("pev"), reset("pev")),
        off_s=1.5,
        safe_s=2.0,
        inlet_s=2.0,
    ),
    # pilot
    Fault(
        "pilot short",
        put("pilot", "short_ohm", 50.0),
        "pilot|5 %|opened no connection|connection lost|unplugged|powerline",
        off_s=0.03,
        heal=put("pilot", "short_ohm", None),
    ),
    Fault(
        "pilot diode short",
        put("pilot", "diode", Diode.SHORTED),
        "diode",
        off_s=0.03,
        heal=put("pilot", "diode", Diode.GOOD),
        inlet_s=1.2,
        step_v=60.0,
    ),
    Fault(
        "pilot wire open",
        put("pilot", "wire_open", value=True),
        "unplugged|5 %",
        off_s=0.03,
        heal=put("pilot", "wire_open", value=False),
    ),
    # power
    Fault(
        "module silent",
        put("circuit", "silent", value=True),
        "power supply|no fresh|ChargeParameter|unplugged|took too long|powerline",
        heal=put("circuit", "silent", value=False),
        off_s=11.0,
        safe_s=11.5,
        inlet_s=3.0,
        settle_s=11.0,
        breaks_a=150.0,
    ),
    Fault(
        "over-voltage",
        put("circuit", "over_voltage_v", 150.0),
        "output voltage",
        heal=put("circuit", "over_voltage_v", 0.0),
        first=POWER,
        last="pev PreChargeReq",
        off_s=1.5,
        safe_s=2.0,
        inlet_s=2.0,
    ),
    Fault(
        "charger weld",
        put(EVSE, "welded", value=True),
        "welded",
        heal=both(mend("evse"), reset("evse")),
        off_s=20.0,
        safe_s=20.0,
        inlet_s=20.0,
        last="stage open contactors",
        every=6,
        welded="evse",
    ),
    Fault(
        "vehicle weld",
        put(INLET, "welded", value=True),
        "welded",
        heal=both(mend("pev"), reset("pev")),
        off_s=20.0,
        safe_s=20.0,
        inlet_s=20.0,
        last="pev open",
        every=6,
        welded="pev",
    ),
    Fault(
        "charger contactor stuck",
        put(EVSE, "stuck_open", value=True),
        "did not close",
        heal=both(put(EVSE, "stuck_open", value=False), reset("evse")),
        last="evse close",
        every=6,
        off_s=6.0,
        safe_s=6.0,
        inlet_s=6.0,
    ),
    Fault(
        "vehicle contactor stuck",
        put(INLET, "stuck_open", value=True),
        "did not close",
        heal=both(put(INLET, "stuck_open", value=False), reset("pev")),
        last="pev close",
        every=6,
        off_s=6.0,
        safe_s=6.0,
        inlet_s=6.0,
    ),
    Fault(
        "isolation fault",
        put("isolation", "resistance_ohm", 1e3),
        "insulation",
        heal=put("isolation", "resistance_ohm", 1e6),
        first=POWER,
        off_s=1.5,
        safe_s=2.0,
        inlet_s=3.0,
    ),
    # vehicle
    Fault(
        "battery fault",
        put("vehicle", "fault", value=True),
        "battery is not ready",
        heal=put("vehicle", "fault", value=False),
        off_s=2.0,
        safe_s=2.5,
        inlet_s=2.5,
    ),
    Fault(
        "battery silent",
        put("vehicle", "silent", value=True),
        "battery|took too long",
        heal=put("vehicle", "silent", value=False),
        off_s=4.0,
        safe_s=4.5,
        inlet_s=4.5,
    ),
)
