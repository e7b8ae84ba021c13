"""What follows what in one plug-in, for the vehicle: digital communication, or a current offered.

The counterpart of `station.EvseStation`. As long as no connection is open, the station itself heeds
a stop and the loss of the 5 % pilot: nobody else would. From then on the V2G session ends in good
order and reports.
"""

from __future__ import annotations

from enum import Enum
from typing import ClassVar

from controller.machine import row
from controller.signals import (
    InletPilotChanged,
    Output,
    Phase,
    S2Request,
    StopRequest,
)
from controller.slac.timing import TT_MATCH_JOIN_S
from controller.station import Station


class PevState(Enum):
    """The vehicle's plug-in."""

    UNPLUGGED = "unplugged"
    WAITING = "waiting for digital communication"
    MATCHING = "matching"
    JOINING = "joining"
    DISCOVERING = "looking for the charger's address"
    CONNECTED = "connected"
    UNMATCHED = "no charger found"
    ENDED = "waiting for unplug"


P = PevState
FREE = [P.UNPLUGGED, P.WAITING]
SEARCHING = [P.MATCHING, P.JOINING, P.DISCOVERING]
AGAIN = [P.UNMATCHED, P.ENDED]
AGAIN_SDP = ["begin", "start_sdp"]
VEHICLE_END = ["note_reason", "open_s2", "stop_slac", "stop_sdp", "report_end"]


class PevStation(Station):
    """Vehicle: from plug to unplug."""

    TABLE: ClassVar = [
        row(
            "unplugged",
            [P.WAITING, *SEARCHING, P.CONNECTED, P.UNMATCHED, P.ENDED],
            P.UNPLUGGED,
            do=[*VEHICLE_END, "idle"],
        ),
        row("digital", FREE, P.DISCOVERING, "without_modem", AGAIN_SDP),
        row("digital", FREE, P.MATCHING, do=["begin", "start_slac"]),
        row("plugged", P.UNPLUGGED, P.WAITING, do="begin"),
        row("pressed", P.UNPLUGGED, P.WAITING, do="begin"),  # while it is pushed in
        row("pressed", [*SEARCHING, P.CONNECTED], None, do="stop_for_button"),  # SAE J1772: S3
        row("wanted", AGAIN, P.DISCOVERING, ["sees_digital", "without_modem"], AGAIN_SDP),
        row("wanted", AGAIN, P.MATCHING, "sees_digital", ["begin", "start_slac"]),
        row("wanted", AGAIN, P.WAITING, do="begin"),
        row("stop", [P.WAITING, *SEARCHING, P.UNMATCHED], P.ENDED, do=VEHICLE_END),
        row("plugged", SEARCHING, P.WAITING, do=["note_reason", "stop_slac", "stop_sdp"]),
        row("slac_matched", P.MATCHING, P.JOINING, do="watch_link"),
        row("slac_failed", P.MATCHING, P.UNMATCHED, do=VEHICLE_END),
        row("plugged", P.UNMATCHED, P.WAITING),  # state F: the charger wants to begin anew
        row("link_up", P.JOINING, P.DISCOVERING, do="start_sdp"),
        row("timeout", P.JOINING, P.UNMATCHED, do=["note_no_link", *VEHICLE_END[1:]]),
        row("sdp_failed", P.DISCOVERING, P.ENDED, do=VEHICLE_END),
        row("connected", P.DISCOVERING, P.CONNECTED),
        row("v2g_ended", [P.DISCOVERING, P.CONNECTED], P.ENDED, do=VEHICLE_END),
    ]
    INITIAL = P.UNPLUGGED
    DEADLINE_S: ClassVar = {P.JOINING: TT_MATCH_JOIN_S}
    ENDLESS: ClassVar = [
        P.UNPLUGGED,
        P.WAITING,
        P.MATCHING,
        P.DISCOVERING,
        P.CONNECTED,
        P.UNMATCHED,
        P.ENDED,
    ]
    """SLAC, SDP and V2G watch their own time; the rest waits for the charger or the driver."""

    def __init__(self, *, slac: bool = True) -> None:
        super().__init__(slac=slac)
        self._digital = False

    def classify(self, signal: Output) -> None:
        """Turn a fact into a trigger, and remember the pilot for the driver's next wish."""
        if isinstance(signal, InletPilotChanged):
            self._digital = signal.digital
        super().classify(signal)

    # guards

    def sees_digital(self) -> bool:
        """Does the charger want to talk?"""
        return self._digital

    # actions

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
