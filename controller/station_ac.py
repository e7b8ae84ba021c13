"""What follows what in one plug-in at an AC charger: offer a current, switch, stop.

The counterpart of `station.EvseStation` for charging by IEC 61851-1: the pilot's duty says how much
the vehicle may draw, state C asks for the mains. With `digital_first` the pilot says 5 % until SLAC
has come or not. There is no ISO 15118 AC session yet, so a match, too, ends in a nominal duty. The
way from 5 % to it depends: through state F when no vehicle began to match [V2G3-M06-05], through X1
when one did [V2G3-M06-06].

A vehicle may pause and come back whenever it likes, hours later too; the plug-in's end is told once
it has not drawn for a while, and the offer stays. What ends it for good (someone stops it, a fault,
state E) leaves a steady pilot until the vehicle is unplugged. To stop, the oscillator stops first
and the vehicle opens S2; the contactor follows, after 6 s under load if need be (`interlock_ac`).

This core neither switches nor knows what the cable carries: it asks, `realtime_ac` decides.
"""

from __future__ import annotations

from enum import Enum
from typing import ClassVar

from controller.cp.timing import T_HOLD_X1_S
from controller.interlock_ac import STOP_GRACE_S
from controller.machine import row
from controller.signals import (
    DUTY_DIGITAL,
    DUTY_STEADY_HIGH,
    DUTY_STEADY_LOW,
    ContactorRequest,
    CurrentOffered,
    CurrentRequest,
    DutyRequest,
    EmergencyStop,
    InterlockReport,
    ModemFailed,
    Output,
    Phase,
    PilotChanged,
    ResetRequest,
    SlacFailed,
    SlacMatched,
    StationChanged,
    StopRequest,
)
from controller.slac.timing import T_STEP_EF_S, T_STEP_X1_S
from controller.station import Station

ASK_PATIENCE_S = 60.0
"""Own figure: a vehicle that asks (state C) and cannot be given the mains waits this long."""
FINISHED_S = 10.0
"""Own figure: a vehicle that stopped drawing and does not ask again within this has finished."""
SHOW_FAULT_S = T_STEP_EF_S
"""State F after a fault tells the vehicle (IEC 61851-1 Table A.5); shorter it may go unnoticed."""
STOP_PATIENCE_S = STOP_GRACE_S + 1.0
"""A stop is over after this: the interlock has opened the contactor by then, whatever happens."""

FINISHED = "vehicle stopped drawing power"
NO_SESSION = "SLAC matched, but there is no ISO 15118 session for AC: a nominal duty instead"

PILOT_TRIGGERS = {
    "A": "unplugged",
    "B": "plugged",
    "C": "ready",
    "D": "ready",
    "E": "pilot_error",
    "F": "",  # our own
}


class AcState(Enum):
    """The AC charger's plug-in."""

    UNPLUGGED = "unplugged"
    OUT_OF_SERVICE = "out of service"
    MATCHING = "matching"
    STEPPING = "pilot off before a nominal duty"
    STEPPING_F = "state F before a nominal duty"
    RESUMING = "steady pilot after F"
    OFFERING = "offering current"
    ASKED = "vehicle asks for power"
    CHARGING = "charging"
    RELEASED = "vehicle has stopped drawing"
    FINISHED = "finished, offer stays"
    STOPPING = "stopping"
    SHOWING_FAULT = "fault, state F"
    ENDED = "waiting for unplug"


A = AcState
STEPS = [A.STEPPING, A.STEPPING_F, A.RESUMING]
IDLING = [A.OFFERING, A.RELEASED, A.FINISHED]
"""A current is offered, and the vehicle does not ask."""
UNLOADED = [A.MATCHING, *STEPS, *IDLING, A.ASKED]
RUNNING = [*UNLOADED, A.CHARGING, A.STOPPING]
PLUGGED = [*RUNNING, A.SHOWING_FAULT, A.ENDED]
END = ["note_reason", "release", "steady", "stop_slac", "report_end"]


class AcStation(Station):
    """AC charger: from plug to unplug."""

    TABLE: ClassVar = [
        row("unplugged", PLUGGED, A.UNPLUGGED, do=[*END, "idle"]),
        row("fault", A.UNPLUGGED, A.OUT_OF_SERVICE, do="steady"),
        row("fault_cleared", A.OUT_OF_SERVICE, A.UNPLUGGED),
        row("fault", RUNNING, A.SHOWING_FAULT, do=[*END, "not_available"]),
        row("timeout", A.SHOWING_FAULT, A.ENDED, do="steady"),
        row("pilot_error", RUNNING, A.ENDED, do=END),
        row("held", A.UNPLUGGED, A.ENDED, do=["begin", *END]),  # our predecessor's vehicle
        row("held", RUNNING, A.ENDED, do=END),
        row("emergency", RUNNING, A.ENDED, do=END),
        row("stop", UNLOADED, A.ENDED, do=END),
        row("stop", A.CHARGING, A.STOPPING, do=["note_reason", "steady"]),
        row("plugged", A.STOPPING, A.ENDED, do=["note_good_order", *END]),  # S2 is open
        row("timeout", A.STOPPING, A.ENDED, do=END),
        row("plugged", A.UNPLUGGED, A.MATCHING, "is_digital_first", ["begin", "match"]),
        row("ready", A.UNPLUGGED, A.MATCHING, "is_digital_first", ["begin", "match"]),
        row("plugged", A.UNPLUGGED, A.OFFERING, do=["begin", "offer"]),
        row("ready", A.UNPLUGGED, A.OFFERING, do=["begin", "offer"]),  # A to C directly
        row("slac_matched", A.MATCHING, A.STEPPING, do=["note_no_session", "stop_slac", "steady"]),
        row("slac_failed", A.MATCHING, A.STEPPING, "has_begun", ["stop_slac", "steady"]),
        row("slac_failed", A.MATCHING, A.STEPPING_F, do=["stop_slac", "not_available"]),
        row("timeout", A.STEPPING, A.OFFERING, do="offer"),  # T_step_X1 [V2G3-M06-06]
        row("timeout", A.STEPPING_F, A.RESUMING, do="steady"),  # T_step_EF [V2G3-M06-05]
        row("timeout", A.RESUMING, A.OFFERING, do="offer"),
        row("ready", A.FINISHED, A.ASKED, do=["resume", "ask"]),
        row("ready", IDLING, A.ASKED, do="ask"),
        row("powered", A.ASKED, A.CHARGING, do="note_charging"),
        row("withheld", A.CHARGING, A.ASKED, do="ask"),
        row("plugged", A.CHARGING, A.RELEASED, do="release"),
        row("plugged", A.ASKED, A.RELEASED, "has_charged", "release"),
        row("plugged", A.ASKED, A.OFFERING, do="release"),
        row("timeout", A.ASKED, A.ENDED, do=["note_withheld", *END[1:]]),
        row("timeout", A.RELEASED, A.FINISHED, do=["note_finished", "report_end"]),
    ]
    INITIAL = A.UNPLUGGED
    DEADLINE_S: ClassVar = {
        A.STEPPING: T_STEP_X1_S,
        A.STEPPING_F: T_STEP_EF_S,
        A.RESUMING: T_HOLD_X1_S,
        A.ASKED: ASK_PATIENCE_S,
        A.RELEASED: FINISHED_S,
        A.STOPPING: STOP_PATIENCE_S,
        A.SHOWING_FAULT: SHOW_FAULT_S,
    }
    ENDLESS: ClassVar = [
        A.UNPLUGGED,
        A.OUT_OF_SERVICE,
        A.MATCHING,
        A.OFFERING,
        A.CHARGING,
        A.FINISHED,
        A.ENDED,
    ]
    """SLAC watches its own time; vehicle and people take theirs."""

    def __init__(self, current_a: float, *, digital_first: bool) -> None:
        super().__init__(slac=digital_first)
        self.wanted_a = current_a
        """What is to be offered: the charger's most, or what someone asked for since."""
        self.withheld_by = ""
        """Why the contactor is not permitted, as far as it is known."""
        self.obstacle = ""
        """Why nothing is offered though it was asked for."""
        self._charged = False
        self._note = ""

    # --- verbs ----------------------------------------------------------------------------------

    def request_current(self, current_a: float, now: float) -> list[Output]:
        """Offer another current from now on (load management, a person); below 6 A: a pause."""
        self.now = now
        self.wanted_a = current_a
        if self.state in (*IDLING, A.ASKED, A.CHARGING):
            self.offer()
        return self.drain()

    def classify(self, signal: Output) -> None:
        """Turn a fact into a trigger."""
        match signal:
            case PilotChanged():
                trigger = PILOT_TRIGGERS[signal.state.letter]
                if signal.held and trigger != "unplugged":
                    self.held()
                elif trigger:
                    getattr(self, trigger)()
            case InterlockReport():
                self._interlock(signal)
            case CurrentOffered():
                self.obstacle = "" if signal.current_a else signal.limited_by
            case SlacMatched():
                self.slac_matched()
            case SlacFailed() | ModemFailed():
                self.slac_failed()
            case StopRequest() | ResetRequest():
                self.stop()
            case EmergencyStop():
                self.emergency()
            case _:
                pass

    def _interlock(self, report: InterlockReport) -> None:
        if report.latched:
            self.fault()
            return
        self.fault_cleared()
        self.withheld_by = report.reasons[0] if report.reasons else ""
        if report.energise:
            self.powered()
        elif not report.close_contactors:
            self.withheld()

    def _announced(self, before: Enum) -> list[Output]:
        out = super()._announced(before)
        if self._note:
            out = [
                StationChanged(o.state, self._note) if isinstance(o, StationChanged) else o
                for o in out
            ]
            self._note = ""
        return out

    # --- triggers (replaced by the table) -------------------------------------------------------

    def ready(self) -> bool:
        """The vehicle asks for power (S2 closed)."""
        return False

    def pilot_error(self) -> bool:
        """The pilot is short-circuited or dead."""
        return False

    def powered(self) -> bool:
        """The contactor is permitted, and closed."""
        return False

    def withheld(self) -> bool:
        """The interlock does not permit the contactor."""
        return False

    def emergency(self) -> bool:
        """Someone ends everything at once."""
        return False

    # --- guards ---------------------------------------------------------------------------------

    def is_digital_first(self) -> bool:
        """Is the vehicle to be asked for digital communication before?"""
        return self.uses_slac

    def has_begun(self) -> bool:
        """Had a vehicle begun to match?"""
        return isinstance(self.rx, SlacFailed) and self.rx.begun

    def has_charged(self) -> bool:
        """Has the contactor been closed in this plug-in?"""
        return self._charged

    # --- actions --------------------------------------------------------------------------------

    def begin(self) -> None:
        """Start a plug-in with a clean slate."""
        super().begin()
        self.withheld_by = self.obstacle = ""
        self._charged = False

    def resume(self) -> None:
        """Go on after an end that was none."""
        self.reason, self.normal, self.ended = "", False, False

    def match(self) -> None:
        """5 %: the vehicle is to talk."""
        self.out.append(DutyRequest(DUTY_DIGITAL))
        self.start_slac()

    def offer(self) -> None:
        """Let the duty say the current."""
        self.out.append(CurrentRequest(self.wanted_a))

    def ask(self) -> None:
        """Ask for the mains."""
        self.phase = Phase.CHARGE
        self.out.append(ContactorRequest(closed=True))

    def release(self) -> None:
        """Ask for the mains no more."""
        self.phase = Phase.CONNECTED
        self.out.append(ContactorRequest(closed=False))

    def steady(self) -> None:
        """Oscillator off: X1."""
        if self.state is A.STOPPING:
            self.phase = Phase.STOPPING
        self.out.append(DutyRequest(DUTY_STEADY_HIGH))

    def not_available(self) -> None:
        """State F."""
        self.out.append(DutyRequest(DUTY_STEADY_LOW))

    def stop_slac(self) -> None:
        """Leave the network, if there is one."""
        if self.uses_slac:
            super().stop_slac()

    def idle(self) -> None:
        """Nothing is plugged in."""
        self.phase = Phase.IDLE

    def note_charging(self) -> None:
        """Remember that the vehicle got what it asked for."""
        self._charged = True

    def note_no_session(self) -> None:
        """Say honestly what is missing."""
        self._note = NO_SESSION

    def note_withheld(self) -> None:
        """Remember why the vehicle got nothing."""
        why = self.withheld_by or self.obstacle or "the contactor did not close"
        self.reason = self.reason or why

    def note_finished(self) -> None:
        """Remember that the vehicle had enough, or why it got no more."""
        self.normal = not self.reason and not self.obstacle
        self.reason = self.reason or self.obstacle or FINISHED

    def note_good_order(self) -> None:
        """The vehicle opened S2 as it should: a stop in good order."""
        self.normal = True

    def note_reason(self) -> None:
        """Remember why, if this is the first reason."""
        if not self.reason:
            self.reason = self._why_of(self.rx)

    def _why_of(self, rx: Output | None) -> str:
        match rx:
            case StopRequest() | EmergencyStop():
                return rx.reason
            case ResetRequest():
                return "reset by an operator"
            case InterlockReport():
                return rx.latched
            case PilotChanged() if rx.held and rx.state.letter != "A":
                return rx.held
            case PilotChanged() if rx.state.letter == "E":
                return "pilot is short-circuited or dead (state E)"
            case _:
                return self.obstacle or "unplugged"
