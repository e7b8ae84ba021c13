"""What follows what in one plug-in, for the vehicle: digital communication, or a current offered.

The counterpart of `station.EvseStation`. As long as no connection is open, the station itself heeds
a stop and the loss of the 5 % pilot: nobody else would. From then on the V2G session ends in good
order and reports.

A nominal duty offers AC (IEC 61851-1). The vehicle takes it, also in the middle of a plug-in that
began with 5 %, unless this plug-in has had its session: S2 closes while the battery wants energy,
and what is drawn is `onboard`'s. The charger may take its offer back and come with it again; once
it has stayed away for a while, the end is told.
"""

from __future__ import annotations

from enum import Enum
from typing import ClassVar

from controller.cp.current import current_of_duty_a
from controller.machine import row
from controller.signals import (
    DUTY_STEADY_HIGH,
    InletPilotChanged,
    InletReport,
    InterlockReport,
    Output,
    Phase,
    S2Request,
    SdpFailed,
    StopRequest,
    V2gEnded,
)
from controller.slac.timing import TT_MATCH_JOIN_S
from controller.station import Station

PAUSE_S = 10.0
"""Own figure: an AC charger that takes its offer back and brings none within this has ended it."""


class PevState(Enum):
    """The vehicle's plug-in."""

    UNPLUGGED = "unplugged"
    WAITING = "waiting for the charger"
    MATCHING = "matching"
    JOINING = "joining"
    DISCOVERING = "looking for the charger's address"
    CONNECTED = "connected"
    UNMATCHED = "no charger found"
    OFFERED = "current offered, battery not ready"
    ONBOARD = "charging from AC"
    PAUSED = "charger took its offer back"
    WITHDRAWN = "charger offers nothing more"
    ENDED = "waiting for unplug"


P = PevState
FREE = [P.UNPLUGGED, P.WAITING]
SEARCHING = [P.MATCHING, P.JOINING, P.DISCOVERING]
AGAIN = [P.UNMATCHED, P.ENDED]
AGAIN_SDP = ["begin", "start_sdp"]
TALKED_TO = [*FREE, P.PAUSED, P.WITHDRAWN]
"""Nothing has begun, or what had begun is over: 5 % begins anew."""
AC = [P.OFFERED, P.ONBOARD]
TALKING = [P.DISCOVERING, P.CONNECTED]
TRIED = [*SEARCHING, P.UNMATCHED]
LEAVE = ["stop_slac", "stop_sdp"]
VEHICLE_END = ["note_reason", "open_s2", "stop_slac", "stop_sdp", "report_end"]


class PevStation(Station):
    """Vehicle: from plug to unplug."""

    TABLE: ClassVar = [
        row(
            "unplugged",
            [s for s in P if s is not P.UNPLUGGED],
            P.UNPLUGGED,
            do=[*VEHICLE_END, "idle"],
        ),
        row("digital", TALKED_TO, P.DISCOVERING, "without_modem", AGAIN_SDP),
        row("digital", TALKED_TO, P.MATCHING, do=["begin", "start_slac"]),
        row("offered", TALKED_TO, P.ONBOARD, "wants_energy", ["begin", "draw"]),
        row("offered", TALKED_TO, P.OFFERED, do="begin"),
        row("offered", TRIED, P.ONBOARD, "wants_energy", [*LEAVE, "begin", "draw"]),
        row("offered", TRIED, P.OFFERED, do=[*LEAVE, "begin"]),
        row("offered", P.ENDED, P.OFFERED, "is_unfinished", "begin"),
        row("battery", P.OFFERED, P.ONBOARD, "wants_energy", "draw"),
        row("battery", P.ONBOARD, P.ENDED, "is_full", ["note_target", "open_s2", "report_end"]),
        row("battery", P.ONBOARD, P.OFFERED, "is_not_ready", "open_s2"),
        row("withheld", P.ONBOARD, None, do="draw"),  # after silence the wish is forgotten
        row("plugged", AC, P.PAUSED, do=["note_offer_end", "open_s2"]),
        row("digital", AC, P.DISCOVERING, "without_modem", ["open_s2", *AGAIN_SDP]),
        row("digital", AC, P.MATCHING, do=["open_s2", "begin", "start_slac"]),
        row("timeout", P.PAUSED, P.WITHDRAWN, do="report_end"),
        row("plugged", P.UNPLUGGED, P.WAITING, do="begin"),
        row("pressed", P.UNPLUGGED, P.WAITING, do="begin"),  # while it is pushed in
        row("pressed", [*SEARCHING, P.CONNECTED, *AC], None, do="stop_for_button"),  # SAE J1772: S3
        row("wanted", AGAIN, P.DISCOVERING, ["sees_digital", "without_modem"], AGAIN_SDP),
        row("wanted", AGAIN, P.MATCHING, "sees_digital", ["begin", "start_slac"]),
        row("wanted", AGAIN, P.OFFERED, "sees_current", "begin"),
        row("wanted", AGAIN, P.WAITING, do="begin"),
        row("stop", AC, P.ENDED, do=["note_good_order", *VEHICLE_END]),
        row("stop", [P.WAITING, *TRIED, P.PAUSED, P.WITHDRAWN], P.ENDED, do=VEHICLE_END),
        row("plugged", SEARCHING, P.WAITING, do=["note_reason", "stop_slac", "stop_sdp"]),
        row("slac_matched", P.MATCHING, P.JOINING, do="watch_link"),
        row("slac_failed", P.MATCHING, P.UNMATCHED, do=VEHICLE_END),
        row("plugged", P.UNMATCHED, P.WAITING),  # state F: the charger wants to begin anew
        row("link_up", P.JOINING, P.DISCOVERING, do="start_sdp"),
        row("timeout", P.JOINING, P.UNMATCHED, do=["note_no_link", *VEHICLE_END[1:]]),
        row("sdp_failed", P.DISCOVERING, P.ENDED, do=VEHICLE_END),
        row("connected", P.DISCOVERING, P.CONNECTED),
        row(
            "v2g_ended", [P.DISCOVERING, P.CONNECTED], P.OFFERED, "goes_on_by_ac", [*LEAVE, "begin"]
        ),
        row("v2g_ended", [P.DISCOVERING, P.CONNECTED], P.ENDED, do=VEHICLE_END),
    ]
    INITIAL = P.UNPLUGGED
    DEADLINE_S: ClassVar = {P.JOINING: TT_MATCH_JOIN_S, P.PAUSED: PAUSE_S}
    ENDLESS: ClassVar = [
        P.UNPLUGGED,
        P.WAITING,
        P.MATCHING,
        P.DISCOVERING,
        P.CONNECTED,
        P.UNMATCHED,
        P.OFFERED,
        P.ONBOARD,
        P.WITHDRAWN,
        P.ENDED,
    ]
    """SLAC, SDP and V2G watch their own time; the rest waits for the charger or the driver."""

    def __init__(
        self, *, slac: bool = True, digital: bool = True, target_soc_percent: float = 100.0
    ) -> None:
        super().__init__(slac=slac)
        self._talks = digital
        """An AC-only car does not: 5 % is to it a charger that offers nothing yet."""
        self._target_soc_percent = target_soc_percent
        self._digital = False
        self._offered = False
        self._unanswered = False
        self._inlet: InletReport | None = None

    def receive_signal(self, signal: Output, now: float) -> list[Output]:
        """Take one fact; the battery's matters only while AC is offered."""
        if type(signal) is InletReport:
            self._inlet = signal
            if self.state not in AC:
                return []
        return super().receive_signal(signal, now)

    def classify(self, signal: Output) -> None:
        """Turn a fact into a trigger, and remember the pilot for the driver's next wish."""
        match signal:
            case InletPilotChanged():
                self._take_pilot(signal)
            case InletReport():
                self.battery()
            case InterlockReport():
                if not signal.close_contactors:
                    self.withheld()
            case _:
                super().classify(signal)

    def _take_pilot(self, pilot: InletPilotChanged) -> None:
        usable = pilot.plugged and not pilot.button and not pilot.fault
        self._digital = pilot.digital and self._talks
        self._offered = usable and current_of_duty_a(pilot.duty) > 0.0
        if self._offered:
            self.offered()
        elif pilot.digital and not self._talks and not pilot.button:
            self.plugged()
        else:
            super().classify(pilot)

    # triggers

    def offered(self) -> bool:
        """The charger's duty offers a current (AC)."""
        return False

    def battery(self) -> bool:
        """There is news of the battery."""
        return False

    def withheld(self) -> bool:
        """The interlock permits nothing."""
        return False

    # guards

    def sees_current(self) -> bool:
        """Does the charger offer AC?"""
        return self._offered

    def wants_energy(self) -> bool:
        """Is the battery ready, and below its target?"""
        inlet = self._inlet
        return inlet is not None and inlet.ready and not self.is_full()

    def is_full(self) -> bool:
        """Has the battery reached its target?"""
        inlet = self._inlet
        return inlet is not None and inlet.soc_percent >= self._target_soc_percent

    def is_not_ready(self) -> bool:
        """Has the battery withdrawn its leave?"""
        return self._inlet is not None and not self._inlet.ready

    def is_unfinished(self) -> bool:
        """Did the plug-in end without a session, because nobody was found to talk to?"""
        return self._unanswered

    def goes_on_by_ac(self) -> bool:
        """Did the session end because the charger changed to AC?"""
        return self._offered and isinstance(self.rx, V2gEnded) and not self.rx.normal

    def sees_digital(self) -> bool:
        """Does the charger want to talk?"""
        return self._digital

    # actions

    def begin(self) -> None:
        """Start a plug-in with a clean slate."""
        super().begin()
        self._unanswered = False

    def note_reason(self) -> None:
        """Remember why, if this is the first reason."""
        if isinstance(self.rx, SdpFailed):
            self._unanswered = True
        super().note_reason()

    def draw(self) -> None:
        """Ask for power: state C."""
        self.phase = Phase.CHARGE
        self.out.append(S2Request(closed=True))

    def note_target(self) -> None:
        """The battery has what it was to get."""
        self.normal = not self.reason
        self.reason = self.reason or f"target of {self._target_soc_percent:g} % reached"

    def note_good_order(self) -> None:
        """S2 opens before the connector leaves, as it should."""
        self.normal = not self.reason

    def note_offer_end(self) -> None:
        """The charger offers nothing any more: in good order by a steady pilot, else not."""
        rx = self.rx
        if isinstance(rx, InletPilotChanged) and not self.reason:
            self.normal = rx.duty == DUTY_STEADY_HIGH
            lost = (
                "" if self.normal or rx.digital else "control pilot lost, or charger not available"
            )
            self.reason = rx.fault or lost or "charger stopped offering current"

    def stop_for_button(self) -> None:
        """End the session before the connector leaves."""
        self.out.append(StopRequest("the button of the connector's latch was pressed"))

    def open_s2(self) -> None:
        """Back to state B."""
        self.phase = Phase.CONNECTED
        self.out.append(S2Request(closed=False))

    def idle(self) -> None:
        """Nothing is plugged in."""
        self.phase = Phase.IDLE
