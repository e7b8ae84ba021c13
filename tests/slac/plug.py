"""Charger and vehicle with modem, SLAC *and* station on a simulated powerline and pilot.

What `Pair` lacks: the stations decide what follows a match that brings no link, and the pilot
carries the charger's duty one way and the vehicle's S2 the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from controller.signals import (
    ControlPilotState,
    DutyRequest,
    InletPilotChanged,
    LinkChanged,
    ModemFailed,
    Output,
    PilotChanged,
    S2Request,
    SdpFailed,
    SlacFailed,
    SlacMatched,
    StartSlac,
    StopSlac,
)
from controller.station import EvseStation
from controller.station_pev import PevStation
from tests.slac.pair import TO_MODEM, TO_SLAC, Host, Pair

if TYPE_CHECKING:
    from collections.abc import Sequence

    from controller.plc.sim import Fault, Transit

TO_STATION = (LinkChanged, ModemFailed, SlacMatched, SlacFailed, SdpFailed)
DIGITAL = 0.05
SETTLE_S = 9.0
"""After unplugging: both modems restart, perhaps twice, with the keys of those who left."""


def chance(seed: int, loss: float, repeat: float, late: float, late_s: float = 0.06) -> Fault:
    """Lose, repeat and delay (past the next frames) this part of the frames each."""
    draw = Random(seed).random

    def fault(transit: Transit) -> Sequence[float]:
        if draw() < loss:
            return ()
        delay = late_s * draw() if draw() < late else 0.0
        return (delay, delay + 0.015) if draw() < repeat else (delay,)

    return fault


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one plug-in; times are seconds from the plug-in."""

    evse_matched: bool
    pev_matched: bool
    linked: bool
    matched_s: float
    linked_s: float
    misunderstandings: int
    """Times when the charger had given its network away and the vehicle did not get it."""
    steps: int
    """Steps through state F."""


class Plug(Pair):
    """One charger, one vehicle, and the cable between them."""

    def __init__(self, *, seed: str = "plug", restart_s: float = 3.5) -> None:
        super().__init__(seed=seed, restart_s=restart_s)
        self.stations = {id(self.evse): EvseStation(), id(self.pev): PevStation()}
        self.duty = 1.0
        self.s2 = False
        self.plugged = False
        self.matched_at: dict[int, float] = {}
        self.link_at: dict[int, float] = {}
        self.matches = 0
        self.steps = 0
        self.advance(SETTLE_S)

    # --- the cable ---

    def plug(self) -> None:
        self.plugged = True
        self._pilot()

    def unplug(self) -> None:
        self.plugged = False
        self.line.set_coupling(0, 1, None)
        self._pilot()

    def _pilot(self) -> None:
        duty = self.duty
        letter = ("C2" if self.s2 else "B2") if duty < 1.0 else "B1"
        if not self.plugged:
            letter = "A1"
        if duty == 0.0:
            letter = "F"
        # the vehicle first: the charger answers with another duty, which must be the last word
        digital = self.plugged and duty == DIGITAL
        self._tell(self.pev, InletPilotChanged(self.plugged, duty, digital))
        state = ControlPilotState(letter)
        self._tell(self.evse, PilotChanged(state, 9.0, -12.0, duty, diode_ok=True))

    # --- dispatch ---

    def _tell(self, host: Host, signal: Output) -> None:
        self.obey(host, self.stations[id(host)].receive_signal(signal, self.now))
        if isinstance(signal, PilotChanged):
            self.obey(host, host.slac.receive_signal(signal, self.now))

    def obey(self, host: Host, outputs: list[Output]) -> None:
        for output in outputs:
            super().obey(host, [output])
            if isinstance(output, StartSlac | StopSlac):
                self._note_step(host, output)
                self.signal(host, output)
            elif isinstance(output, DutyRequest):
                self.duty = output.duty
                self.steps += output.duty == 0.0
                self._pilot()
            elif isinstance(output, S2Request):
                self.s2 = output.closed
                self._pilot()
            elif isinstance(output, TO_STATION):
                self._note(host, output)
                self.obey(host, self.stations[id(host)].receive_signal(output, self.now))

    def _note_step(self, host: Host, output: Output) -> None:
        self.matched_at.pop(id(host), None)
        self.link_at.pop(id(host), None)

    def _note(self, host: Host, output: Output) -> None:
        if isinstance(output, SlacMatched):
            self.matched_at.setdefault(id(host), self.now)
            self.matches += host is self.evse
        elif isinstance(output, LinkChanged):
            if output.up:
                self.link_at.setdefault(id(host), self.now)
            else:
                self.link_at.pop(id(host), None)

    def advance(self, seconds: float) -> None:
        end = self.now + seconds
        while True:
            times = [t for h in self.hosts for t in h.times()]
            times += [t for s in self.stations.values() if (t := s.next_timer()) is not None]
            if (line := self.line.next_timer()) is not None:
                times.append(line)
            at = min(times, default=end + 1)
            if at > end:
                break
            self.now = max(self.now, at)
            self._turn()
            if len(self.link_at) == 2:
                return
        self.now = end

    def _turn(self) -> None:
        self.deliver(self.line.handle_timer(self.now))
        for host in self.hosts:
            for core in (host.modem, host.slac, self.stations[id(host)]):
                at = core.next_timer()
                if at is not None and at <= self.now:
                    self.obey(host, core.handle_timer(self.now))

    # --- one plug-in ---

    def session(self, fault: Fault, limit_s: float) -> Outcome:
        """Plug in and run until both modems report the link, or `limit_s` is over; unplug."""
        self.line.fault = fault
        self.matches = self.steps = 0
        self.line.set_coupling(0, 1, 20.0)
        began = self.now
        self.plug()
        self.advance(limit_s)
        pev_at = self.matched_at.get(id(self.pev))
        outcome = Outcome(
            evse_matched=id(self.evse) in self.matched_at,
            pev_matched=pev_at is not None,
            linked=len(self.link_at) == 2,
            matched_s=(pev_at or 0.0) - began,
            linked_s=max(self.link_at.values(), default=0.0) - began,
            misunderstandings=self.matches - (1 if pev_at is not None else 0),
            steps=self.steps,
        )
        self.unplug()
        self.advance(SETTLE_S)
        for host in self.hosts:
            host.log.clear()
        return outcome


__all__ = ["TO_MODEM", "TO_SLAC", "Outcome", "Plug", "chance"]
