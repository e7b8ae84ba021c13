"""The vehicle's station where a current is offered: from the start, mid plug-in, and back again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.communication import PevCommunication
from controller.config import CarConfig, CarSection
from controller.signals import (
    ChargeRequest,
    ConnectionMade,
    Heartbeat,
    InletPilotChanged,
    InletReport,
    InterlockReport,
    LinkChanged,
    Output,
    Phase,
    S2Request,
    SdpFailed,
    SendFrame,
    SessionEnded,
    SlacFailed,
    SlacMatched,
    StartSdp,
    StartSlac,
    StationChanged,
    StopRequest,
    StopSlac,
    V2gEnded,
)
from controller.station_pev import PAUSE_S, PevState, PevStation

P = PevState
OUT = InletPilotChanged(False, 0.0, digital=False)
STEADY = InletPilotChanged(True, 1.0, digital=False)
STATE_F = InletPilotChanged(True, 0.0, digital=False)
DIGITAL = InletPilotChanged(True, 0.05, digital=True)
OFFER = InletPilotChanged(True, 0.2667, digital=False)
FAULTY = InletPilotChanged(True, 0.2667, digital=False, fault="proximity: 5 Ohm")
PRESSED = InletPilotChanged(True, 0.2667, digital=False, button=True)
HUNGRY = InletReport(0.0, 0.0, 400.0, 50.0, 420.0, 200.0, 415.0, 100.0, False, True, 1.0)
FULL, UNREADY = replace(HUNGRY, soc_percent=80.0), replace(HUNGRY, ready=False)
MATCHED = SlacMatched(bytes(6), bytes(8), bytes(7), bytes(16), 12.0)
WITHHELD = InterlockReport(False, False, ("the communication process is silent",), "", False)


class Play:
    """A vehicle's station, and what it said last."""

    def __init__(self, *, slac: bool = True, digital: bool = True) -> None:
        self.station = PevStation(slac=slac, digital=digital, target_soc_percent=80.0)
        self.now = 0.0
        self.out: list[Output] = []

    def give(self, *signals: Output) -> list[Output]:
        self.out = []
        for signal in signals:
            self.now += 0.1
            self.out += self.station.receive_signal(signal, self.now)
        return self.out

    def wait(self, seconds: float) -> list[Output]:
        self.now += seconds
        at = self.station.next_timer()
        self.out = [] if at is None or at > self.now else self.station.handle_timer(self.now)
        return self.out

    def is_in(self, state: PevState) -> bool:
        return self.station.state is state

    def has_phase(self, phase: Phase) -> bool:
        return self.station.phase is phase


CLOSE, OPEN = S2Request(closed=True), S2Request(closed=False)
TARGET = SessionEnded("target of 80 % reached", normal=True)


def test_a_whole_charge() -> None:
    p = Play()
    p.give(STEADY, HUNGRY)
    assert p.is_in(P.WAITING)
    assert p.give(OFFER) == [CLOSE, StationChanged("charging from AC")]
    assert p.has_phase(Phase.CHARGE)
    assert p.give(replace(HUNGRY, soc_percent=79.9)) == []
    out = p.give(FULL)
    assert out[:2] == [OPEN, TARGET]
    assert p.has_phase(Phase.CONNECTED)
    assert p.give(OFFER, HUNGRY, DIGITAL) == []
    p.give(OUT)
    assert p.is_in(P.UNPLUGGED)
    assert p.has_phase(Phase.IDLE)


@pytest.mark.parametrize("battery", [UNREADY, FULL, None])
def test_a_battery_that_wants_nothing_is_waited_for(battery: InletReport | None) -> None:
    p = Play()
    p.give(*([battery] if battery else []), OFFER)
    assert p.is_in(P.OFFERED)
    assert CLOSE in p.give(HUNGRY)


def test_a_battery_that_withdraws() -> None:
    p = Play()
    p.give(HUNGRY, OFFER)
    assert OPEN in p.give(UNREADY)
    assert p.is_in(P.OFFERED)
    assert CLOSE in p.give(HUNGRY)


# --- 5 % first -----------------------------------------------------------------------------------

WAYS: dict[str, list[Output]] = {
    "matching": [DIGITAL],
    "joining": [DIGITAL, MATCHED],
    "discovering": [DIGITAL, MATCHED, LinkChanged(up=True)],
    "unmatched": [DIGITAL, SlacFailed("nobody")],
    "nobody answers SDP": [DIGITAL, MATCHED, LinkChanged(up=True), SdpFailed("no answer")],
}


@pytest.mark.parametrize("between", [[], [STEADY], [STATE_F], [STATE_F, STEADY]], ids=str)
@pytest.mark.parametrize("way", WAYS)
def test_five_percent_becomes_a_current(way: str, between: list[Output]) -> None:
    p = Play()
    p.give(HUNGRY, *WAYS[way], *between)
    p.give(OFFER, HUNGRY)
    assert p.is_in(P.ONBOARD)
    assert CLOSE in p.out
    assert p.station.reason == ""
    p.give(FULL)
    assert TARGET in p.out


def test_slac_is_left_for_a_current() -> None:
    p = Play()
    p.give(HUNGRY, DIGITAL)
    assert StopSlac() in p.give(OFFER)


def test_a_session_that_fails_because_of_the_change() -> None:
    p = Play()
    p.give(HUNGRY, DIGITAL, MATCHED, LinkChanged(up=True), ConnectionMade(("fe80::1", 1)))
    p.give(OFFER, V2gEnded("charger withdrew its 5 % pilot", normal=False))
    assert p.is_in(P.OFFERED)
    p.give(HUNGRY)
    assert p.is_in(P.ONBOARD)


def test_who_had_a_session_does_not_begin_another() -> None:
    p = Play()
    p.give(HUNGRY, DIGITAL, MATCHED, LinkChanged(up=True), ConnectionMade(("fe80::1", 1)))
    p.give(V2gEnded("target reached", normal=True), OFFER, HUNGRY)
    assert p.is_in(P.ENDED)


@pytest.mark.parametrize(("slac", "begins"), [(True, StartSlac()), (False, StartSdp())])
def test_a_current_becomes_five_percent(slac: bool, begins: Output) -> None:
    p = Play(slac=slac)
    p.give(HUNGRY, OFFER)
    out = p.give(DIGITAL)
    assert OPEN in out
    assert begins in out


def test_an_ac_only_car_waits_at_five_percent() -> None:
    p = Play(slac=False, digital=False)
    assert p.give(HUNGRY, DIGITAL) == [StationChanged("waiting for the charger")]
    assert p.wait(100.0) == []
    assert CLOSE in p.give(STATE_F, STEADY, OFFER)


# --- pauses and ends -----------------------------------------------------------------------------


def test_the_charger_pauses_and_comes_back() -> None:
    p = Play()
    p.give(HUNGRY, OFFER)
    assert OPEN in p.give(STEADY)
    assert p.is_in(P.PAUSED)
    p.wait(PAUSE_S - 1.0)
    assert CLOSE in p.give(OFFER)
    assert p.station.reason == ""


@pytest.mark.parametrize(
    ("pilot", "reason", "normal"),
    [
        (STEADY, "charger stopped offering current", True),
        (STATE_F, "control pilot lost, or charger not available", False),
        (FAULTY, "proximity: 5 Ohm", False),
    ],
)
def test_the_charger_ends_it(pilot: Output, reason: str, normal: bool) -> None:
    p = Play()
    p.give(HUNGRY, OFFER, pilot)
    p.wait(PAUSE_S + 0.1)
    assert SessionEnded(reason, normal) in p.out
    assert CLOSE in p.give(OFFER), "an offer is welcome at any time"
    p.give(FULL)
    assert TARGET in p.out


def test_the_driver_ends_it() -> None:
    p = Play()
    p.give(HUNGRY, OFFER)
    out = p.give(StopRequest("driver pressed stop"))
    assert OPEN in out
    assert SessionEnded("driver pressed stop", normal=True) in out
    assert p.give(OFFER, HUNGRY) == []
    assert p.is_in(P.ENDED)
    p.give(ChargeRequest())
    assert CLOSE in p.give(HUNGRY)


def test_the_button_of_the_latch_ends_it() -> None:
    p = Play()
    p.give(HUNGRY, OFFER)
    assert p.give(PRESSED) == [StopRequest("the button of the connector's latch was pressed")]


def test_after_silence_the_wish_is_renewed() -> None:
    p = Play()
    p.give(HUNGRY, OFFER)
    assert p.give(WITHHELD) == [CLOSE]


# --- the whole process ---------------------------------------------------------------------------


def test_an_ac_only_car_has_no_modem() -> None:
    config = CarConfig(car=CarSection(digital=False))
    core = PevCommunication(config, bytes(6), lambda count: bytes(count))
    out = core.handle_timer(0.0)
    for signal in (HUNGRY, DIGITAL, STATE_F, OFFER):
        out += core.receive(signal, 1.0)
    assert not core.with_modem
    assert not [o for o in out if isinstance(o, SendFrame | StartSlac)]
    assert CLOSE in out


def test_the_heartbeat_with_the_phase_comes_before_the_wish() -> None:
    core = PevCommunication(CarConfig(), bytes(6), lambda count: bytes(count))
    core.receive(HUNGRY, 1.0)
    out = core.receive(OFFER, 1.001)
    beats = [o for o in out if isinstance(o, Heartbeat)]
    assert [beat.phase for beat in beats] == [Phase.CHARGE]
    assert out.index(beats[0]) < out.index(CLOSE)
