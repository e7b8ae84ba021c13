"""The AC charger's station: each way through a plug-in, and what wins in every state."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.cp.timing import T_HOLD_X1_S
from controller.signals import (
    DUTY_DIGITAL,
    DUTY_STEADY_HIGH,
    DUTY_STEADY_LOW,
    ContactorRequest,
    ControlPilotState,
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
    SessionEnded,
    SlacFailed,
    SlacMatched,
    StartSlac,
    StationChanged,
    StopRequest,
    StopSlac,
)
from controller.slac.timing import T_STEP_EF_S, T_STEP_X1_S
from controller.station_ac import (
    ASK_PATIENCE_S,
    FINISHED,
    FINISHED_S,
    NO_SESSION,
    PLUGGED,
    SHOW_FAULT_S,
    STOP_PATIENCE_S,
    AcState,
    AcStation,
)

if TYPE_CHECKING:
    from collections.abc import Callable

A, P = AcState, ControlPilotState


def pilot(state: ControlPilotState) -> PilotChanged:
    return PilotChanged(state, 9.0, -12.0, 0.25, diode_ok=True)


def interlock(
    *reasons: str, close: bool = False, latched: str = "", emergency: bool = False
) -> InterlockReport:
    return InterlockReport(close, close, reasons, latched, emergency)


UNPLUG, PLUG, READY, SHORT = pilot(P.A1), pilot(P.B2), pilot(P.C2), pilot(P.E)
HELD = replace(pilot(P.C1), held="the session fell silent")
PERMITTED = interlock(close=True)
WITHHELD = interlock("a mains phase is missing")
FAULT = interlock("RCD tripped", latched="RCD tripped")
CLEARED = interlock("no vehicle (state A)")
MATCHED = SlacMatched(bytes(6), bytes(8), bytes(7), bytes(16), 12.0)
NOBODY, BEGUN = SlacFailed("nobody"), SlacFailed("not completed", begun=True)
STOP = StopRequest("stop button")


class Play:
    """A station and its outputs."""

    def __init__(self, *, digital_first: bool = False) -> None:
        self.station = AcStation(16.0, digital_first=digital_first)
        self.now = 0.0
        self.out: list[Output] = []

    def give(self, *signals: Output) -> list[Output]:
        self.out = []
        for signal in signals:
            self.now += 0.1
            self.out += self.station.receive_signal(signal, self.now)
        return self.out

    def wait(self, seconds: float) -> list[Output]:
        """Let time pass; the deadlines in it fire."""
        until = self.now + seconds
        self.out = []
        while (at := self.station.next_timer()) is not None and at <= until:
            self.now = at
            self.out += self.station.handle_timer(at)
        self.now = until
        return self.out

    @property
    def state(self) -> AcState:
        state: AcState = self.station.state
        return state

    def is_in(self, state: AcState) -> bool:
        return self.state is state

    def has_phase(self, phase: Phase) -> bool:
        return self.station.phase is phase

    @property
    def ended(self) -> SessionEnded:
        (end,) = [o for o in self.out if isinstance(o, SessionEnded)]
        return end

    @property
    def has_ended(self) -> bool:
        return any(isinstance(o, SessionEnded) for o in self.out)


def matching(p: Play) -> None:
    p.station.uses_slac = True
    p.give(PLUG)


def stepping(p: Play) -> None:
    matching(p)
    p.give(BEGUN)


def stepping_f(p: Play) -> None:
    matching(p)
    p.give(NOBODY)


def resuming(p: Play) -> None:
    stepping_f(p)
    p.wait(T_STEP_EF_S + 0.01)


def offering(p: Play) -> None:
    p.give(PLUG)


def asked(p: Play) -> None:
    p.give(PLUG, READY)


def charging(p: Play) -> None:
    p.give(PLUG, READY, PERMITTED)


def released(p: Play) -> None:
    charging(p)
    p.give(PLUG)


def finished(p: Play) -> None:
    released(p)
    p.wait(FINISHED_S)


def stopping(p: Play) -> None:
    charging(p)
    p.give(STOP)


def showing_fault(p: Play) -> None:
    charging(p)
    p.give(FAULT)


def over(p: Play) -> None:
    offering(p)
    p.give(STOP)


WAYS: dict[AcState, Callable[[Play], None]] = {
    A.MATCHING: matching,
    A.STEPPING: stepping,
    A.STEPPING_F: stepping_f,
    A.RESUMING: resuming,
    A.OFFERING: offering,
    A.ASKED: asked,
    A.CHARGING: charging,
    A.RELEASED: released,
    A.FINISHED: finished,
    A.STOPPING: stopping,
    A.SHOWING_FAULT: showing_fault,
    A.ENDED: over,
}


def at(state: AcState) -> Play:
    play = Play()
    WAYS[state](play)
    assert play.is_in(state)
    return play


def test_every_plugged_state_has_a_way() -> None:
    assert set(WAYS) == set(PLUGGED)


# --- the good way --------------------------------------------------------------------------------


def test_a_whole_charge() -> None:
    p = Play()
    assert p.give(PLUG) == [CurrentRequest(16.0), StationChanged("offering current")]
    assert p.has_phase(Phase.CONNECTED)
    assert p.give(READY)[0] == ContactorRequest(closed=True)
    assert p.has_phase(Phase.CHARGE)
    assert p.give(PERMITTED) == [StationChanged("charging")]
    assert p.give(PLUG)[0] == ContactorRequest(closed=False)
    assert p.has_phase(Phase.CONNECTED)
    p.wait(FINISHED_S)
    assert p.ended == SessionEnded(FINISHED, normal=True)
    p.give(UNPLUG)
    assert p.is_in(A.UNPLUGGED)
    assert p.has_phase(Phase.IDLE)
    assert DutyRequest(DUTY_STEADY_HIGH) in p.out
    assert not p.has_ended


@pytest.mark.parametrize("state", [P.C1, P.C2, P.D1, P.D2])
def test_a_vehicle_that_is_ready_at_once(state: ControlPilotState) -> None:
    p = Play()
    assert CurrentRequest(16.0) in p.give(pilot(state))
    p.give(READY)
    assert p.is_in(A.ASKED)


@pytest.mark.parametrize("when", [A.RELEASED, A.FINISHED])
def test_a_vehicle_may_come_back(when: AcState) -> None:
    p = at(when)
    p.give(READY, PERMITTED)
    assert p.is_in(A.CHARGING)
    p.give(PLUG)
    p.wait(FINISHED_S)
    assert p.ended == SessionEnded(FINISHED, normal=True)


def test_a_vehicle_may_wait_for_hours() -> None:
    p = at(A.OFFERING)
    assert p.wait(1e5) == []
    assert p.give(READY)[0] == ContactorRequest(closed=True)


# --- 5 % first -----------------------------------------------------------------------------------


def test_digital_first() -> None:
    p = Play(digital_first=True)
    assert p.give(PLUG)[:2] == [DutyRequest(DUTY_DIGITAL), StartSlac()]
    assert p.is_in(A.MATCHING)


def test_nobody_matches_through_state_f() -> None:
    """[V2G3-M06-05]: 5 % to E or F for T_step_EF, then the nominal duty."""
    p = at(A.MATCHING)
    out = p.give(NOBODY)
    assert DutyRequest(DUTY_STEADY_LOW) in out
    assert StopSlac() in out
    assert p.is_in(A.STEPPING_F)
    p.wait(T_STEP_EF_S - 0.01)
    assert p.is_in(A.STEPPING_F)
    assert p.wait(0.02)[0] == DutyRequest(DUTY_STEADY_HIGH)
    assert CurrentRequest(16.0) in p.wait(T_HOLD_X1_S)
    assert p.is_in(A.OFFERING)


@pytest.mark.parametrize("signal", [BEGUN, MATCHED])
def test_who_began_to_match_through_x1(signal: Output) -> None:
    """[V2G3-M06-06]: 5 % to X1, then the nominal duty."""
    p = at(A.MATCHING)
    out = p.give(signal)
    assert DutyRequest(DUTY_STEADY_HIGH) in out
    assert StopSlac() in out
    p.wait(T_STEP_X1_S - 0.01)
    assert p.is_in(A.STEPPING)
    assert CurrentRequest(16.0) in p.wait(0.02)


def test_a_match_says_honestly_what_is_missing() -> None:
    p = at(A.MATCHING)
    assert StationChanged("pilot off before a nominal duty", NO_SESSION) in p.give(MATCHED)
    assert p.wait(T_STEP_X1_S + 0.1)[-1] == StationChanged("offering current")


def test_a_dead_modem_keeps_nobody_from_charging() -> None:
    p = at(A.MATCHING)
    p.give(ModemFailed("does not answer"))
    p.wait(T_STEP_EF_S + T_HOLD_X1_S)
    assert p.is_in(A.OFFERING)


def test_at_five_percent_a_vehicle_that_asks_gets_nothing() -> None:
    p = at(A.MATCHING)
    assert p.give(READY) == []
    assert p.is_in(A.MATCHING)


def test_the_step_is_not_cut_short() -> None:
    p = at(A.STEPPING)
    p.give(pilot(P.C1), pilot(P.B1), PERMITTED, WITHHELD)
    assert p.is_in(A.STEPPING)


# --- what wins everywhere ------------------------------------------------------------------------


@pytest.mark.parametrize("state", PLUGGED)
def test_unplugging_wins(state: AcState) -> None:
    p = at(state)
    told = p.station.ended
    out = p.give(UNPLUG)
    assert p.is_in(A.UNPLUGGED)
    assert p.has_phase(Phase.IDLE)
    assert ContactorRequest(closed=False) in out
    assert DutyRequest(DUTY_STEADY_HIGH) in out
    assert p.has_ended is not told
    assert p.station.next_timer() is None


@pytest.mark.parametrize("state", [s for s in PLUGGED if s not in (A.SHOWING_FAULT, A.ENDED)])
@pytest.mark.parametrize(
    ("signal", "reason"),
    [
        (FAULT, "RCD tripped"),
        (SHORT, "state E"),
        (EmergencyStop("button"), "button"),
        (HELD, "silent"),
    ],
)
def test_faults_end_it_everywhere(state: AcState, signal: Output, reason: str) -> None:
    p = at(state)
    first, told = p.station.reason, p.station.ended
    out = p.give(signal)
    assert ContactorRequest(closed=False) in out
    if told:
        assert not p.has_ended
    else:
        assert p.ended.normal is False
        assert (first or reason) in p.ended.reason
    p.wait(SHOW_FAULT_S + 0.01)
    assert p.is_in(A.ENDED)
    assert [o for o in p.give(READY, PERMITTED, PLUG, STOP) if o] == []


def test_a_fault_is_shown_to_the_vehicle() -> None:
    p = at(A.CHARGING)
    assert [o for o in p.give(FAULT) if isinstance(o, DutyRequest)][-1] == DutyRequest(
        DUTY_STEADY_LOW
    )
    assert p.wait(SHOW_FAULT_S + 0.01)[0] == DutyRequest(DUTY_STEADY_HIGH)


def test_a_fault_without_vehicle_is_out_of_service() -> None:
    p = Play()
    p.give(FAULT)
    assert p.is_in(A.OUT_OF_SERVICE)
    assert p.give(PLUG, READY) == []
    p.give(CLEARED)
    assert p.is_in(A.UNPLUGGED)


def test_the_vehicle_of_a_predecessor_has_to_be_unplugged() -> None:
    p = Play()
    assert p.give(HELD)[-1] == StationChanged("waiting for unplug", "the session fell silent")
    assert not any(isinstance(o, CurrentRequest) for o in p.give(PLUG, READY))
    p.give(UNPLUG)
    assert CurrentRequest(16.0) in p.give(PLUG)


# --- stopping ------------------------------------------------------------------------------------


@pytest.mark.parametrize("signal", [STOP, ResetRequest()])
def test_a_stop_lets_the_vehicle_open_first(signal: Output) -> None:
    p = at(A.CHARGING)
    out = p.give(signal)
    assert out == [DutyRequest(DUTY_STEADY_HIGH), StationChanged("stopping", p.station.reason)]
    assert p.has_phase(Phase.STOPPING)
    p.wait(2.0)
    out = p.give(pilot(P.B1))
    assert ContactorRequest(closed=False) in out
    assert p.ended.normal
    assert p.ended.reason in ("stop button", "reset by an operator")


def test_a_stop_does_not_wait_for_ever() -> None:
    p = at(A.STOPPING)
    p.give(pilot(P.C1), WITHHELD)
    assert p.is_in(A.STOPPING)
    assert ContactorRequest(closed=False) in p.wait(STOP_PATIENCE_S)
    assert p.ended == SessionEnded("stop button", normal=False)


@pytest.mark.parametrize("state", [A.MATCHING, A.STEPPING, A.OFFERING, A.ASKED, A.RELEASED])
def test_a_stop_without_load_ends_at_once(state: AcState) -> None:
    p = at(state)
    assert DutyRequest(DUTY_STEADY_HIGH) in p.give(STOP)
    assert p.is_in(A.ENDED)


# --- what holds the charge up --------------------------------------------------------------------


def test_a_charge_that_is_held_up_goes_on() -> None:
    p = at(A.CHARGING)
    assert ContactorRequest(closed=True) in p.give(WITHHELD)  # after silence the wish is forgotten
    assert p.is_in(A.ASKED)
    p.give(PERMITTED)
    assert p.is_in(A.CHARGING)


def test_who_gets_nothing_is_told_why() -> None:
    p = at(A.ASKED)
    p.give(WITHHELD)
    p.wait(ASK_PATIENCE_S)
    assert p.ended == SessionEnded("a mains phase is missing", normal=False)
    assert p.is_in(A.ENDED)


def test_a_vehicle_that_leaves_because_of_an_obstacle() -> None:
    p = at(A.CHARGING)
    p.give(WITHHELD, CurrentOffered(0.0, "a mains phase is missing"), pilot(P.B1))
    assert p.is_in(A.RELEASED)
    p.wait(FINISHED_S)
    assert p.ended == SessionEnded("a mains phase is missing", normal=False)
    p.give(CurrentOffered(16.0, "request"), READY, PERMITTED)
    assert p.is_in(A.CHARGING)


def test_a_vehicle_that_asked_and_never_got_anything_has_not_finished() -> None:
    p = at(A.ASKED)
    p.give(PLUG)
    assert p.is_in(A.OFFERING)
    p.wait(100.0)
    assert not p.has_ended


def test_an_obstacle_that_is_gone_is_no_reason() -> None:
    p = at(A.OFFERING)
    p.give(CurrentOffered(0.0, "a mains phase is missing"), CurrentOffered(16.0, "request"))
    p.give(UNPLUG)
    assert p.ended.reason == "unplugged"


# --- the current ---------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [A.OFFERING, A.ASKED, A.CHARGING, A.RELEASED, A.FINISHED])
def test_another_current_at_once(state: AcState) -> None:
    p = at(state)
    assert p.station.request_current(10.0, p.now) == [CurrentRequest(10.0)]


@pytest.mark.parametrize("state", [A.MATCHING, A.STEPPING, A.STOPPING, A.ENDED])
def test_another_current_later(state: AcState) -> None:
    p = at(state)
    assert p.station.request_current(10.0, p.now) == []
    p.give(UNPLUG)
    p.station.uses_slac = False
    assert CurrentRequest(10.0) in p.give(PLUG)


# --- whatever happens ----------------------------------------------------------------------------

SIGNALS = st.lists(
    st.sampled_from(
        [
            *(pilot(state) for state in ControlPilotState),
            PERMITTED,
            WITHHELD,
            FAULT,
            CLEARED,
            MATCHED,
            NOBODY,
            BEGUN,
            STOP,
            ResetRequest(),
            EmergencyStop("button"),
            CurrentOffered(0.0, "x"),
            CurrentOffered(16.0, "request"),
            *([None] * 6),  # time passes
        ]
    ),
    max_size=40,
)


@given(SIGNALS, st.booleans())
def test_any_order(signals: list[Output | None], digital_first: bool) -> None:
    p = Play(digital_first=digital_first)
    wants = False
    told = 0
    for signal in signals:
        out = p.wait(2.0) if signal is None else p.give(signal)
        for item in out:
            if isinstance(item, ContactorRequest):
                wants = item.closed
            told += isinstance(item, SessionEnded)
        assert (p.station.phase is Phase.IDLE) is (p.state in (A.UNPLUGGED, A.OUT_OF_SERVICE))
        assert not wants or p.state in (A.ASKED, A.CHARGING, A.STOPPING)
    p.give(UNPLUG)
    assert p.state in (A.UNPLUGGED, A.OUT_OF_SERVICE)
