"""What follows what in one plug-in: plugged -> SLAC -> link -> V2G -> end, for charger and vehicle.

The station is the only core that looks across the layers. It starts and stops them (StartSlac,
StartSdp, WatchLink), drives the pilot's duty by request, and remembers the first reason for which
things went wrong. It neither closes a contactor nor asks for power: the V2G session asks, the
interlock decides. Unplugging wins in every state and is therefore the first row of both tables.

What the hard-timed half holds (an oscillator that ran while this process was silent, a short
circuit) ends the plug-in here too; a new process that finds its predecessor's vehicle waits with it
until it is unplugged.

After a session the charger keeps its oscillator for 1.5 s [V2G-DC-968], then goes to B1 and stays
there until the vehicle is unplugged: no automatic new start (Design Guide for CCS, B2 to B1). Only
the vehicle can begin another one, by toggling S2 (B-C-B, ISO 15118-3), if the last ended well. A
failed SLAC, or a match that brings no powerline link (its last message may be lost, so only the
link tells), is tried again, behind a step through state F (T_step_EF), C_sequ_retry times.

As long as no connection is open, the station itself heeds a stop and, in the vehicle, the loss of
the 5 % pilot: nobody else would. From then on the V2G session ends in good order and reports.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any, ClassVar

from controller.cp.timing import T_HOLD_X1_S
from controller.machine import TableMachine, row
from controller.signals import (
    DUTY_DIGITAL,
    DUTY_STEADY_HIGH,
    DUTY_STEADY_LOW,
    BcbToggled,
    ChargeRequest,
    ConnectionMade,
    DutyRequest,
    InletPilotChanged,
    InterlockReport,
    LinkChanged,
    ModemFailed,
    Output,
    OutputRequest,
    Phase,
    PilotChanged,
    SdpFailed,
    SessionEnded,
    SlacFailed,
    SlacMatched,
    StartSdp,
    StartSlac,
    StationChanged,
    StopRequest,
    StopSdp,
    StopSlac,
    V2gEnded,
    V2gPhaseChanged,
    WatchLink,
)
from controller.slac.timing import (
    C_SEQU_RETRY,
    T_STEP_EF_S,
    TT_MATCH_JOIN_S,
)
from controller.v2g.timing import V2G_SECC_COMMUNICATION_SETUP_S

if TYPE_CHECKING:
    from collections.abc import Callable

OSCILLATOR_RETAIN_S = 1.5
"""Oscillator kept after SessionStop, so that the vehicle sees B2 while it opens. [V2G-DC-968]"""

NORMAL_END = "session ended normally"


def _pilot(signal: PilotChanged) -> str:
    letter = signal.state.letter
    if letter == "A":
        return "unplugged"
    if letter not in "BCD":
        return ""  # nobody knows whether a vehicle is there; a short circuit is the interlock's
    return "held" if signal.held else "plugged"


def _inlet(signal: InletPilotChanged) -> str:
    if not signal.plugged:
        return "unplugged"
    if signal.button:
        return "pressed"
    return "digital" if signal.digital else "plugged"


TRIGGERS: dict[type[Output], str | Callable[[Any], str]] = {
    PilotChanged: _pilot,
    InletPilotChanged: _inlet,
    InterlockReport: lambda s: "fault" if s.latched else "fault_cleared",
    SlacMatched: "slac_matched",
    SlacFailed: "slac_failed",
    ModemFailed: "slac_failed",
    LinkChanged: lambda s: "link_up" if s.up else "link_down",
    SdpFailed: "sdp_failed",
    ConnectionMade: "connected",
    V2gEnded: "v2g_ended",
    StopRequest: "stop",
    ChargeRequest: "wanted",
    BcbToggled: "woken",
}


class Station(TableMachine):
    """What both roles share: the first reason is kept, each state is announced."""

    def __init__(self, *, slac: bool = True) -> None:
        super().__init__()
        self.uses_slac = slac
        self.phase = Phase.IDLE
        self.reason = ""
        self.normal = False
        self.ended = False
        self.has_connection = False

    def receive_signal(self, signal: Output, now: float) -> list[Output]:
        """Take one fact from another core; facts that interest no row change nothing."""
        self.now, self.rx = now, signal
        before = self.state
        self.classify(signal)
        return self._announced(before)

    def handle_timer(self, now: float) -> list[Output]:
        """Fire the present state's deadline."""
        before = self.state
        self.out = super().handle_timer(now)
        return self._announced(before)

    def classify(self, signal: Output) -> None:
        """Turn a fact into a trigger; a session's phase is noted only while there is a session."""
        if isinstance(signal, V2gPhaseChanged):
            if self.state.name == "CONNECTED":
                self.phase = signal.phase
            return
        if isinstance(signal, ConnectionMade):
            self.has_connection = True
        which = TRIGGERS.get(type(signal))
        trigger = which(signal) if callable(which) else which
        if trigger:
            getattr(self, trigger)()

    def _announced(self, before: Enum) -> list[Output]:
        out = self.drain()
        if self.state is not before:
            out.append(StationChanged(self.state.value, self.reason))
        return out

    # triggers

    def plugged(self) -> bool:
        """The other side is there."""
        return False

    def unplugged(self) -> bool:
        """The other side is gone."""
        return False

    def held(self) -> bool:
        """Charger: the oscillator stays off until unplugging, whatever is asked."""
        return False

    def digital(self) -> bool:
        """Vehicle: the charger drives 5 %."""
        return False

    def fault(self) -> bool:
        """The interlock has latched a fault."""
        return False

    def fault_cleared(self) -> bool:
        """No fault is latched."""
        return False

    def slac_matched(self) -> bool:
        """The other side's modem is found."""
        return False

    def slac_failed(self) -> bool:
        """Nobody matched."""
        return False

    def link_up(self) -> bool:
        """Both modems are in one network."""
        return False

    def link_down(self) -> bool:
        """The powerline link is gone."""
        return False

    def sdp_failed(self) -> bool:
        """Vehicle: no charger answered SDP."""
        return False

    def connected(self) -> bool:
        """The session's TCP connection is open."""
        return False

    def v2g_ended(self) -> bool:
        """The V2G session is over."""
        return False

    def pressed(self) -> bool:
        """Vehicle: the button of the connector's latch is pressed."""
        return False

    def woken(self) -> bool:
        """Charger: the vehicle toggled S2 (B-C-B): it wants to charge again."""
        return False

    def wanted(self) -> bool:
        """Vehicle: the driver wants to charge (again)."""
        return False

    def stop(self) -> bool:
        """Someone asks for the end before V2G has begun."""
        return False

    # guards

    def without_modem(self) -> bool:
        """Is there no modem, so that the other side is reached at once?"""
        return not self.uses_slac

    def is_alone(self) -> bool:
        """Is there no connection, whose session would end in good order?"""
        return not self.has_connection

    # actions

    def begin(self) -> None:
        """Start a plug-in with a clean slate."""
        self.phase = Phase.CONNECTED
        self.reason, self.normal, self.ended = "", False, False
        self.has_connection = False

    def start_slac(self) -> None:
        """Begin matching."""
        self.out.append(StartSlac())

    def stop_slac(self) -> None:
        """Leave the network."""
        self.out += [WatchLink(on=False), StopSlac()]

    def watch_link(self) -> None:
        """Wait for the modems to find each other."""
        self.out.append(WatchLink(on=True))

    def start_sdp(self) -> None:
        """Let the IP side begin."""
        self.out.append(StartSdp())

    def stop_sdp(self) -> None:
        """End the IP side."""
        self.out.append(StopSdp())

    def note_reason(self) -> None:
        """Remember why, if this is the first reason."""
        rx = self.rx
        if isinstance(rx, V2gEnded) and rx.normal:
            self.normal = not self.reason
            self.reason = self.reason or rx.reason or NORMAL_END
        elif not self.reason:
            self.reason = self._why(rx)

    def note_no_link(self) -> None:
        """Remember that the modems did not find each other."""
        self.reason = self.reason or f"no powerline link within {TT_MATCH_JOIN_S:g} s"

    def report_end(self) -> None:
        """Say once per plug-in how it ended."""
        if not self.ended:
            self.ended = True
            self.out.append(SessionEnded(self.reason or "unplugged", self.normal))

    @staticmethod
    def _why(rx: Output | None) -> str:
        if isinstance(rx, V2gEnded | SlacFailed | ModemFailed | SdpFailed | StopRequest):
            return rx.reason
        if isinstance(rx, InterlockReport):
            return rx.latched
        if isinstance(rx, PilotChanged) and rx.held:
            return rx.held
        if isinstance(rx, InletPilotChanged) and rx.plugged:
            lost = "control pilot lost" if rx.duty == DUTY_STEADY_LOW else ""
            return rx.fault or lost or "charger withdrew its 5 % pilot"
        return "powerline link lost" if isinstance(rx, LinkChanged) else "unplugged"


class EvseState(Enum):
    """The charger's plug-in."""

    UNPLUGGED = "unplugged"
    OUT_OF_SERVICE = "out of service"
    MATCHING = "matching"
    STEPPING = "stepping through F"
    RESUMING = "steady pilot after F"
    JOINING = "joining"
    WAITING = "waiting for the vehicle's connection"
    CONNECTED = "connected"
    RETAINING = "session over"
    ENDED = "waiting for unplug"


E = EvseState
STARTING = [E.MATCHING, E.STEPPING, E.RESUMING, E.JOINING, E.WAITING]
PLUGGED = [*STARTING, E.CONNECTED, E.RETAINING, E.ENDED]
STEP = ["count_try", "stop_slac", "not_available"]
DIRECT = ["begin", "drive_digital", "start_sdp"]
STEADY_END = ["note_reason", "power_off", "steady", "stop_slac", "stop_sdp", "report_end"]


class EvseStation(Station):
    """Charger: from plug to unplug."""

    TABLE: ClassVar = [
        row(
            "unplugged",
            PLUGGED,
            E.UNPLUGGED,
            do=[*STEADY_END, "idle"],
        ),
        row("fault", E.UNPLUGGED, E.OUT_OF_SERVICE, do="not_available"),
        row("fault_cleared", E.OUT_OF_SERVICE, E.UNPLUGGED, do="steady"),
        row("fault", STARTING, E.ENDED, do=STEADY_END),
        row("held", E.UNPLUGGED, E.ENDED, do=["begin", *STEADY_END]),  # a new process, an old car
        row("held", [*STARTING, E.CONNECTED, E.RETAINING], E.ENDED, do=STEADY_END),
        row("plugged", E.UNPLUGGED, E.CONNECTED, "without_modem", DIRECT),
        row("plugged", E.UNPLUGGED, E.MATCHING, do=["begin", "drive_digital", "start_slac"]),
        row("stop", STARTING, E.ENDED, do=STEADY_END),
        row("stop", E.CONNECTED, E.ENDED, "is_alone", STEADY_END),
        row("slac_matched", E.MATCHING, E.JOINING, do="watch_link"),
        row("slac_failed", E.MATCHING, E.STEPPING, "may_retry", STEP),
        row("slac_failed", E.MATCHING, E.ENDED, do=STEADY_END),
        row("slac_matched", E.JOINING, "="),  # the vehicle began anew: our confirm was lost
        row("timeout", E.STEPPING, E.RESUMING, do="steady"),  # T_step_EF
        row("timeout", E.RESUMING, E.MATCHING, do=["drive_digital", "start_slac"]),
        row("link_up", E.JOINING, E.WAITING, do="start_sdp"),
        row("timeout", E.JOINING, E.STEPPING, "may_retry", STEP),  # TT_match_join
        row("timeout", E.JOINING, E.ENDED, do=["note_no_link", *STEADY_END[1:]]),
        row("connected", E.WAITING, E.CONNECTED),
        row("timeout", E.WAITING, E.ENDED, do=["note_no_vehicle", *STEADY_END[1:]]),  # [V2G2-714]
        row("link_down", E.WAITING, E.JOINING, do="stop_sdp"),  # a modem restarts once more
        row("v2g_ended", E.CONNECTED, E.RETAINING, "ended_normally", ["note_reason", "power_off"]),
        row("v2g_ended", E.CONNECTED, E.ENDED, do=STEADY_END),
        row("link_down", E.CONNECTED, E.ENDED, do=STEADY_END),
        row("timeout", E.RETAINING, E.ENDED, do=STEADY_END[2:]),  # [V2G-DC-968]
        row("woken", E.ENDED, E.CONNECTED, ["was_good", "without_modem"], DIRECT),
        row("woken", E.ENDED, E.MATCHING, "was_good", ["begin", "drive_digital", "start_slac"]),
    ]
    INITIAL = E.UNPLUGGED
    DEADLINE_S: ClassVar = {
        E.STEPPING: T_STEP_EF_S,
        E.RESUMING: T_HOLD_X1_S,
        E.JOINING: TT_MATCH_JOIN_S,
        E.WAITING: V2G_SECC_COMMUNICATION_SETUP_S,
        E.RETAINING: OSCILLATOR_RETAIN_S,
    }
    ENDLESS: ClassVar = [E.UNPLUGGED, E.OUT_OF_SERVICE, E.MATCHING, E.CONNECTED, E.ENDED]
    """States whose end another core watches: SLAC its own timers, V2G its own, people the rest."""

    def __init__(self, *, slac: bool = True) -> None:
        super().__init__(slac=slac)
        self.retries = 0

    # guards

    def may_retry(self) -> bool:
        """Is another try of SLAC allowed (C_sequ_retry)?"""
        return self.retries < C_SEQU_RETRY

    def was_good(self) -> bool:
        """Did the last session of this plug-in end normally, so that another one may follow?"""
        return self.normal

    def ended_normally(self) -> bool:
        """Did the session end with SessionStop?"""
        return isinstance(self.rx, V2gEnded) and self.rx.normal

    # actions

    def begin(self) -> None:
        """Start a plug-in with a clean slate."""
        super().begin()
        self.retries = 0

    def note_no_vehicle(self) -> None:
        """Remember that nobody connected."""
        wait_s = V2G_SECC_COMMUNICATION_SETUP_S
        self.reason = self.reason or f"vehicle opened no connection within {wait_s:g} s"

    def drive_digital(self) -> None:
        """5 %: the vehicle is to talk."""
        self.out.append(DutyRequest(DUTY_DIGITAL))

    def steady(self) -> None:
        """Oscillator off: X1."""
        self.out.append(DutyRequest(DUTY_STEADY_HIGH))

    def not_available(self) -> None:
        """State F."""
        self.out.append(DutyRequest(DUTY_STEADY_LOW))

    def count_try(self) -> None:
        """One try of SLAC is used up."""
        self.retries += 1

    def power_off(self) -> None:
        """Whatever was asked for: no power any more."""
        self.phase = Phase.CONNECTED
        self.out.append(OutputRequest(Phase.CONNECTED))

    def idle(self) -> None:
        """Nothing is plugged in."""
        self.phase = Phase.IDLE
        self.out.append(OutputRequest(Phase.IDLE))
