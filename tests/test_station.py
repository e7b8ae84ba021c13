"""The station: every state times every signal, endings, retries, what is asked for on the way."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.cp.timing import T_HOLD_X1_S
from controller.signals import (
    DUTY_DIGITAL,
    DUTY_STEADY_HIGH,
    DUTY_STEADY_LOW,
    BcbToggled,
    ChargeRequest,
    ConnectionMade,
    ControlPilotState,
    DutyRequest,
    InletPilotChanged,
    InletReport,
    InterlockReport,
    LinkChanged,
    ModemFailed,
    Output,
    OutputRequest,
    Phase,
    PilotChanged,
    PilotFault,
    S2Request,
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
from controller.station import NORMAL_END, OSCILLATOR_RETAIN_S, EvseState, EvseStation, Station
from controller.station_pev import PevState, PevStation
from controller.v2g.timing import V2G_SECC_COMMUNICATION_SETUP_S

E, P = EvseState, PevState


def pilot(state: ControlPilotState) -> PilotChanged:
    return PilotChanged(state, 9.0, -12.0, 0.05, diode_ok=True)


def interlock(latched: str) -> InterlockReport:
    return InterlockReport(False, False, ("x",), latched, emergency=bool(latched))


UNPLUG, PLUG = pilot(ControlPilotState.A1), pilot(ControlPilotState.B1)
FAULT, CLEAR = interlock("welded"), interlock("")
MATCHED = SlacMatched(bytes(6), bytes(8), bytes(7), bytes(16), 12.0)
SLAC_FAILED, MODEM_FAILED = SlacFailed("nobody"), ModemFailed("silent modem")
UP, DOWN = LinkChanged(up=True), LinkChanged(up=False)
NORMAL, ABNORMAL = V2gEnded("", normal=True), V2gEnded("peer is silent", normal=False)
STOP, SDP_FAILED = StopRequest("button"), SdpFailed("no answer")
PHASE = V2gPhaseChanged(Phase.CHARGE)
MADE = ConnectionMade(("fe80::1", 50000))
OUT, IN, DIGITAL = (
    InletPilotChanged(False, 0.0, digital=False),
    InletPilotChanged(True, 1.0, digital=False),
    InletPilotChanged(True, 0.05, digital=True),
)
LOST = InletPilotChanged(True, 0.0, digital=False)
PRESSED = InletPilotChanged(True, 0.05, digital=True, button=True)
BROKEN = InletPilotChanged(True, 0.05, digital=False, fault="proximity: 5 Ohm")
WANTED = ChargeRequest()
BCB = BcbToggled(0.3, 1)
HELD = replace(PLUG, fault=PilotFault.NONE, held="the session fell silent")
OFFER = InletPilotChanged(True, 0.25, digital=False)
HUNGRY = InletReport(0.0, 0.0, 400.0, 50.0, 420.0, 200.0, 415.0, 100.0, False, True, 1.0)
FULL, UNREADY = replace(HUNGRY, soc_percent=100.0), replace(HUNGRY, ready=False)
TIMEOUT = None
"""Stands for the state's deadline."""

EVSE_SIGNALS: dict[str, Output] = {
    "unplug": UNPLUG,
    "plug": PLUG,
    "plug A2": pilot(ControlPilotState.A2),
    "C2": pilot(ControlPilotState.C2),
    "D2": pilot(ControlPilotState.D2),
    "E": pilot(ControlPilotState.E),
    "F": pilot(ControlPilotState.F),
    "fault": FAULT,
    "clear": CLEAR,
    "matched": MATCHED,
    "slac failed": SLAC_FAILED,
    "modem failed": MODEM_FAILED,
    "up": UP,
    "down": DOWN,
    "normal": NORMAL,
    "abnormal": ABNORMAL,
    "stop": STOP,
    "sdp failed": SDP_FAILED,
    "made": MADE,
    "phase": PHASE,
    "start": StartSlac(),
    "bcb": BCB,
    "held": HELD,
    "held at E": replace(HELD, state=ControlPilotState.E),
}
TIME = StationChanged("time passes", "")
"""Stands for the present state's deadline in a way."""
GONE = {"unplug": E.UNPLUGGED, "plug A2": E.UNPLUGGED}
NO_START = {**GONE, "fault": E.ENDED, "stop": E.ENDED, "held": E.ENDED}
EVSE_NEXT: dict[EvseState, dict[str, EvseState]] = {
    E.UNPLUGGED: {
        "plug": E.MATCHING,
        "C2": E.MATCHING,
        "D2": E.MATCHING,
        "held": E.ENDED,
        "fault": E.OUT_OF_SERVICE,
    },
    E.OUT_OF_SERVICE: {"clear": E.UNPLUGGED},
    E.MATCHING: {
        **NO_START,
        "matched": E.JOINING,
        "slac failed": E.STEPPING,
        "modem failed": E.STEPPING,
    },
    E.STEPPING: NO_START,
    E.RESUMING: NO_START,
    E.JOINING: {**NO_START, "up": E.WAITING},
    E.WAITING: {**NO_START, "made": E.CONNECTED, "down": E.JOINING},
    E.CONNECTED: {
        **GONE,
        "normal": E.RETAINING,
        "abnormal": E.ENDED,
        "down": E.ENDED,
        "held": E.ENDED,
    },
    E.RETAINING: {**GONE, "held": E.ENDED},
    E.ENDED: GONE,
}
EVSE_TIMEOUT = {
    E.RESUMING: (T_HOLD_X1_S, E.MATCHING),
    E.STEPPING: (T_STEP_EF_S, E.RESUMING),
    E.JOINING: (TT_MATCH_JOIN_S, E.STEPPING),
    E.WAITING: (V2G_SECC_COMMUNICATION_SETUP_S, E.ENDED),
    E.RETAINING: (OSCILLATOR_RETAIN_S, E.ENDED),
}
EVSE_WAY: dict[EvseState, list[Output]] = {
    E.UNPLUGGED: [],
    E.OUT_OF_SERVICE: [FAULT],
    E.MATCHING: [PLUG],
    E.STEPPING: [PLUG, SLAC_FAILED],
    E.RESUMING: [PLUG, SLAC_FAILED, TIME],
    E.JOINING: [PLUG, MATCHED],
    E.WAITING: [PLUG, MATCHED, UP],
    E.CONNECTED: [PLUG, MATCHED, UP, MADE],
    E.RETAINING: [PLUG, MATCHED, UP, MADE, NORMAL],
    E.ENDED: [PLUG, MATCHED, UP, MADE, ABNORMAL],
}

PEV_SIGNALS: dict[str, Output] = {
    "out": OUT,
    "in": IN,
    "lost": LOST,
    "broken": BROKEN,
    "pressed": PRESSED,
    "wanted": WANTED,
    "digital": DIGITAL,
    "matched": MATCHED,
    "slac failed": SLAC_FAILED,
    "modem failed": MODEM_FAILED,
    "up": UP,
    "down": DOWN,
    "normal": NORMAL,
    "abnormal": ABNORMAL,
    "stop": STOP,
    "sdp failed": SDP_FAILED,
    "made": MADE,
    "phase": PHASE,
    "fault": FAULT,
    "offer": OFFER,
    "hungry": HUNGRY,
    "full": FULL,
    "unready": UNREADY,
}
THERE = {"in": P.WAITING, "lost": P.WAITING, "broken": P.WAITING}
PILOT = {"out": P.UNPLUGGED, **THERE}
AC_NEXT = {
    "out": P.UNPLUGGED,
    "in": P.PAUSED,
    "lost": P.PAUSED,
    "broken": P.PAUSED,
    "digital": P.MATCHING,
    "stop": P.ENDED,
}
PEV_NEXT: dict[PevState, dict[str, PevState]] = {
    P.UNPLUGGED: {**THERE, "digital": P.MATCHING, "pressed": P.WAITING, "offer": P.OFFERED},
    P.WAITING: {
        "out": P.UNPLUGGED,
        "digital": P.MATCHING,
        "stop": P.ENDED,
        "offer": P.OFFERED,
    },
    P.OFFERED: {**AC_NEXT, "hungry": P.ONBOARD},
    P.ONBOARD: {**AC_NEXT, "full": P.ENDED, "unready": P.OFFERED},
    P.PAUSED: {"out": P.UNPLUGGED, "offer": P.ONBOARD, "digital": P.MATCHING, "stop": P.ENDED},
    P.WITHDRAWN: {"out": P.UNPLUGGED, "offer": P.ONBOARD, "digital": P.MATCHING, "stop": P.ENDED},
    P.MATCHING: {
        **PILOT,
        "offer": P.OFFERED,
        "matched": P.JOINING,
        "slac failed": P.UNMATCHED,
        "modem failed": P.UNMATCHED,
        "stop": P.ENDED,
    },
    P.JOINING: {**PILOT, "offer": P.OFFERED, "up": P.DISCOVERING, "stop": P.ENDED},
    P.DISCOVERING: {
        **PILOT,
        "offer": P.OFFERED,
        "made": P.CONNECTED,
        "normal": P.ENDED,
        "abnormal": P.ENDED,
        "sdp failed": P.ENDED,
        "stop": P.ENDED,
    },
    P.CONNECTED: {"out": P.UNPLUGGED, "normal": P.ENDED, "abnormal": P.ENDED},
    P.UNMATCHED: {**PILOT, "offer": P.OFFERED, "stop": P.ENDED, "wanted": P.MATCHING},
    P.ENDED: {"out": P.UNPLUGGED, "wanted": P.MATCHING},
}
SESSION = (P.MATCHING, P.JOINING, P.DISCOVERING, P.CONNECTED, P.OFFERED, P.ONBOARD)
PEV_WAY: dict[PevState, list[Output]] = {
    P.UNPLUGGED: [],
    P.WAITING: [IN],
    P.MATCHING: [DIGITAL],
    P.JOINING: [DIGITAL, MATCHED],
    P.DISCOVERING: [DIGITAL, MATCHED, UP],
    P.CONNECTED: [DIGITAL, MATCHED, UP, MADE],
    P.UNMATCHED: [DIGITAL, SLAC_FAILED],
    P.OFFERED: [OFFER],
    P.ONBOARD: [HUNGRY, OFFER],
    P.PAUSED: [HUNGRY, OFFER, IN],
    P.WITHDRAWN: [HUNGRY, OFFER, IN, TIME],
    P.ENDED: [DIGITAL, MATCHED, UP, MADE, ABNORMAL],
}


def go(station: Station, way: list[Output], now: float = 10.0) -> list[Output]:
    """Feed signals a second apart; returns what the last one caused."""
    out: list[Output] = []
    for number, signal in enumerate(way):
        if signal is TIME:
            out = station.handle_timer(station.next_timer() or 0.0)
        else:
            out = station.receive_signal(signal, now + number)
    return out


# --- every state times every signal --------------------------------------------------------------


@pytest.mark.parametrize("state", list(E), ids=lambda s: s.name)
@pytest.mark.parametrize("name", EVSE_SIGNALS)
def test_charger(state: EvseState, name: str) -> None:
    station = EvseStation()
    go(station, EVSE_WAY[state])
    assert station.state is state
    deadline, phase = station.next_timer(), station.phase
    out = station.receive_signal(EVSE_SIGNALS[name], 50.0)
    expected = EVSE_NEXT[state].get(name, state)
    assert station.state is expected
    if expected is state:
        assert out == []
        if (state, name) != (E.JOINING, "matched"):  # the vehicle began anew
            assert station.next_timer() == deadline  # unrelated input never re-arms
        if name != "phase":
            assert station.phase is phase
    else:
        assert out[-1] == StationChanged(expected.value, station.reason)


@pytest.mark.parametrize("state", list(P), ids=lambda s: s.name)
@pytest.mark.parametrize("name", PEV_SIGNALS)
def test_vehicle(state: PevState, name: str) -> None:
    station = PevStation()
    go(station, PEV_WAY[state])
    assert station.state is state
    deadline = station.next_timer()
    out = station.receive_signal(PEV_SIGNALS[name], 50.0)
    expected = PEV_NEXT[state].get(name, state)
    assert station.state is expected
    if name == "pressed" and state in SESSION:
        assert out == [StopRequest("the button of the connector's latch was pressed")]
        assert station.next_timer() == deadline
    elif expected is state:
        asked = (state, name) == (P.ONBOARD, "fault")  # a wish for S2 may have been forgotten
        assert out == ([S2Request(closed=True)] if asked else [])
        assert station.next_timer() == deadline
    else:
        assert out[-1] == StationChanged(expected.value, station.reason)


@pytest.mark.parametrize("state", list(E), ids=lambda s: s.name)
def test_chargers_deadlines(state: EvseState) -> None:
    station = EvseStation()
    way = EVSE_WAY[state]
    go(station, way, 10.0)
    if state not in EVSE_TIMEOUT:
        assert station.next_timer() is None
        assert station.handle_timer(1e6) == []
        return
    wait_s, then = EVSE_TIMEOUT[state]
    due = 10.0 + len(way) - 1 + wait_s
    if TIME in way:
        due = 11.0 + T_STEP_EF_S + wait_s
    assert station.next_timer() == pytest.approx(due)
    due = station.next_timer() or 0.0
    assert station.handle_timer(due - 0.001) == []
    assert station.state is state
    station.handle_timer(due)
    assert station.state is then


def test_vehicles_deadline() -> None:
    station = PevStation()
    go(station, PEV_WAY[P.JOINING], 10.0)
    assert station.next_timer() == 11.0 + TT_MATCH_JOIN_S
    out = station.handle_timer(11.0 + TT_MATCH_JOIN_S)
    assert station.state is P.UNMATCHED  # the charger may begin anew
    assert SessionEnded(f"no powerline link within {TT_MATCH_JOIN_S:g} s", False) in out


# --- what is asked for ---------------------------------------------------------------------------

OFF = [
    OutputRequest(Phase.CONNECTED),
    DutyRequest(DUTY_STEADY_HIGH),
    WatchLink(on=False),
    StopSlac(),
    StopSdp(),
]


@pytest.mark.parametrize(
    ("state", "signal", "out"),
    [
        (E.UNPLUGGED, PLUG, [DutyRequest(DUTY_DIGITAL), StartSlac()]),
        (E.UNPLUGGED, FAULT, [DutyRequest(DUTY_STEADY_LOW)]),
        (E.OUT_OF_SERVICE, CLEAR, [DutyRequest(DUTY_STEADY_HIGH)]),
        (E.MATCHING, MATCHED, [WatchLink(on=True)]),
        (
            E.MATCHING,
            SLAC_FAILED,
            [WatchLink(on=False), StopSlac(), DutyRequest(DUTY_STEADY_LOW)],
        ),
        (E.JOINING, UP, [StartSdp()]),
        (E.CONNECTED, NORMAL, [OutputRequest(Phase.CONNECTED)]),  # the oscillator stays
        (E.CONNECTED, ABNORMAL, [*OFF, SessionEnded("peer is silent", normal=False)]),
        (E.CONNECTED, DOWN, [*OFF, SessionEnded("powerline link lost", normal=False)]),
        (E.MATCHING, STOP, [*OFF, SessionEnded("button", normal=False)]),
        (E.JOINING, FAULT, [*OFF, SessionEnded("welded", normal=False)]),
        (
            E.CONNECTED,
            UNPLUG,
            [*OFF, SessionEnded("unplugged", normal=False), OutputRequest(Phase.IDLE)],
        ),
        (E.ENDED, UNPLUG, [*OFF, OutputRequest(Phase.IDLE)]),  # it was told already
    ],
)
def test_charger_asks(state: EvseState, signal: Output, out: list[Output]) -> None:
    station = EvseStation()
    go(station, EVSE_WAY[state])
    assert station.receive_signal(signal, 50.0)[:-1] == out


@pytest.mark.parametrize(
    ("signal", "reason"),
    [
        (IN, "charger withdrew its 5 % pilot"),
        (LOST, "control pilot lost"),
        (BROKEN, "proximity: 5 Ohm"),
        (OUT, "unplugged"),
    ],
)
def test_the_vehicle_says_how_the_pilot_went(signal: Output, reason: str) -> None:
    station = PevStation()
    go(station, [*PEV_WAY[P.JOINING], signal])
    assert station.reason == reason


@pytest.mark.parametrize(
    ("slac", "state", "pilot_before", "expected", "asks"),
    [
        (True, P.ENDED, IN, P.WAITING, []),
        (True, P.ENDED, DIGITAL, P.MATCHING, [StartSlac()]),
        (False, P.ENDED, IN, P.WAITING, []),
        (False, P.ENDED, DIGITAL, P.DISCOVERING, [StartSdp()]),
        (True, P.UNMATCHED, DIGITAL, P.MATCHING, [StartSlac()]),
    ],
)
def test_a_driver_who_wants_to_charge_again(
    slac: bool, state: PevState, pilot_before: Output, expected: PevState, asks: list[Output]
) -> None:
    station = PevStation(slac=slac)
    go(station, PEV_WAY[state] if slac else [DIGITAL, MADE, ABNORMAL])
    go(station, [pilot_before])
    assert station.state is state
    assert station.receive_signal(WANTED, 60.0) == [*asks, StationChanged(expected.value, "")]
    assert (station.reason, station.ended, station.phase) == ("", False, Phase.CONNECTED)


def test_a_button_while_the_connector_is_pushed_in_ends_nothing() -> None:
    station = PevStation()
    go(station, [PRESSED])
    assert station.state is P.WAITING
    assert station.receive_signal(DIGITAL, 11.0)[0] == StartSlac()


@pytest.mark.parametrize(
    ("slac", "state", "asks"),
    [
        (True, E.MATCHING, [DutyRequest(DUTY_DIGITAL), StartSlac()]),
        (False, E.CONNECTED, [DutyRequest(DUTY_DIGITAL), StartSdp()]),
    ],
)
def test_a_toggle_after_a_good_session_begins_another(
    slac: bool, state: EvseState, asks: list[Output]
) -> None:
    station = EvseStation(slac=slac)
    go(station, [PLUG, *([MATCHED, UP] if slac else []), MADE, NORMAL, TIME])
    assert station.state is E.ENDED
    assert station.receive_signal(BCB, 60.0) == [*asks, StationChanged(state.value, "")]
    assert not station.ended


VEHICLE_OFF = [S2Request(closed=False), WatchLink(on=False), StopSlac(), StopSdp()]


@pytest.mark.parametrize(
    ("state", "signal", "out"),
    [
        (P.UNPLUGGED, IN, []),
        (P.UNPLUGGED, DIGITAL, [StartSlac()]),
        (P.WAITING, DIGITAL, [StartSlac()]),
        (P.MATCHING, MATCHED, [WatchLink(on=True)]),
        (P.JOINING, UP, [StartSdp()]),
        (P.CONNECTED, NORMAL, [*VEHICLE_OFF, SessionEnded(NORMAL_END, normal=True)]),
        (P.CONNECTED, ABNORMAL, [*VEHICLE_OFF, SessionEnded("peer is silent", normal=False)]),
        (P.DISCOVERING, SDP_FAILED, [*VEHICLE_OFF, SessionEnded("no answer", normal=False)]),
        (P.MATCHING, MODEM_FAILED, [*VEHICLE_OFF, SessionEnded("silent modem", normal=False)]),
        (P.WAITING, STOP, [*VEHICLE_OFF, SessionEnded("button", normal=False)]),
        (P.JOINING, OUT, [*VEHICLE_OFF, SessionEnded("unplugged", normal=False)]),
        (P.ENDED, OUT, VEHICLE_OFF),
        (P.DISCOVERING, IN, VEHICLE_OFF[1:]),  # without 5 % nothing goes on; it may come again
    ],
)
def test_vehicle_asks(state: PevState, signal: Output, out: list[Output]) -> None:
    station = PevStation()
    go(station, PEV_WAY[state])
    assert station.receive_signal(signal, 50.0)[:-1] == out


# --- without a modem -----------------------------------------------------------------------------


def test_without_a_modem_the_charger_is_reached_at_once() -> None:
    station = EvseStation(slac=False)
    out = station.receive_signal(PLUG, 1.0)
    assert station.state is E.CONNECTED
    assert out[:-1] == [DutyRequest(DUTY_DIGITAL), StartSdp()]


@pytest.mark.parametrize("way", [[DIGITAL], [IN, DIGITAL]])
def test_without_a_modem_the_vehicle_is_connected_at_once(way: list[Output]) -> None:
    station = PevStation(slac=False)
    assert go(station, way)[:-1] == [StartSdp()]
    assert station.state is P.DISCOVERING


# --- endings -------------------------------------------------------------------------------------


def test_a_held_pilot_is_the_reason_and_the_end() -> None:
    """Also for a process that has just started and finds its predecessor's vehicle."""
    for way in ([], [PLUG, MATCHED, UP, MADE]):
        station = EvseStation()
        go(station, way)
        out = station.receive_signal(HELD, 50.0)
        assert SessionEnded(HELD.held, normal=False) in out
        assert DutyRequest(DUTY_STEADY_HIGH) in out
        assert not any(isinstance(o, StartSlac) for o in out)
        assert station.receive_signal(PLUG, 51.0) == []
        station.receive_signal(UNPLUG, 52.0)
        assert station.state is E.UNPLUGGED


@pytest.mark.parametrize(
    ("way", "reason", "normal"),
    [
        ([PLUG, MATCHED, UP, MADE, NORMAL, UNPLUG], NORMAL_END, True),
        ([PLUG, MATCHED, UP, MADE, V2gEnded("car is full", True), UNPLUG], "car is full", True),
        ([PLUG, MATCHED, UP, MADE, ABNORMAL, UNPLUG], "peer is silent", False),
        ([PLUG, MATCHED, UP, MADE, ABNORMAL, NORMAL, UNPLUG], "peer is silent", False),
        ([PLUG, MATCHED, UP, MADE, DOWN, ABNORMAL, UNPLUG], "powerline link lost", False),
        ([PLUG, MATCHED, STOP, FAULT, UNPLUG], "button", False),
        ([PLUG, UNPLUG], "unplugged", False),
    ],
)
def test_the_first_reason_is_told_once(way: list[Output], reason: str, normal: bool) -> None:
    station = EvseStation()
    told: list[Output] = []
    for number, signal in enumerate(way):
        told += station.receive_signal(signal, float(number))
    assert [o for o in told if isinstance(o, SessionEnded)] == [SessionEnded(reason, normal)]
    assert station.state is E.UNPLUGGED
    assert station.phase is Phase.IDLE


def test_the_end_is_told_after_the_oscillator() -> None:
    station = EvseStation()
    go(station, EVSE_WAY[E.RETAINING])
    due = station.next_timer()
    assert due is not None
    out = station.handle_timer(due)
    assert out[-2:] == [
        SessionEnded(NORMAL_END, normal=True),
        StationChanged("waiting for unplug", NORMAL_END),
    ]
    assert DutyRequest(DUTY_STEADY_HIGH) in out


def test_a_new_plug_in_begins_with_a_clean_slate() -> None:
    station = EvseStation()
    go(station, [PLUG, MATCHED, UP, MADE, ABNORMAL, UNPLUG])
    out = go(station, [PLUG, MATCHED, UP, MADE, NORMAL, UNPLUG])
    assert SessionEnded(NORMAL_END, normal=True) in out


# --- retries -------------------------------------------------------------------------------------


def test_slac_is_tried_again_and_then_given_up() -> None:
    station = EvseStation()
    station.receive_signal(PLUG, 0.0)
    for _ in range(C_SEQU_RETRY):
        station.receive_signal(SLAC_FAILED, 1.0)
        assert station.state is E.STEPPING
        due = station.next_timer()
        assert due == 1.0 + T_STEP_EF_S
        out = station.handle_timer(due)
        assert out == [DutyRequest(DUTY_STEADY_HIGH), StationChanged("steady pilot after F", "")]
        out = station.handle_timer(due + T_HOLD_X1_S)
        assert out == [DutyRequest(DUTY_DIGITAL), StartSlac(), StationChanged("matching", "")]
    out = station.receive_signal(SLAC_FAILED, 100.0)
    assert station.state is E.ENDED
    assert SessionEnded("nobody", normal=False) in out


def test_match_without_link_is_tried_again_and_then_given_up() -> None:
    station = EvseStation()
    go(station, [PLUG, MATCHED])
    for _ in range(C_SEQU_RETRY):
        out = go(station, [TIME])
        assert out[-1] == StationChanged("stepping through F", "")
        assert [StopSlac(), DutyRequest(DUTY_STEADY_LOW)] == out[-3:-1]
        go(station, [TIME, TIME])
        assert station.receive_signal(MATCHED, station.now) != []
        assert station.state is E.JOINING
    out = go(station, [TIME])
    assert station.state is E.ENDED
    assert SessionEnded(f"no powerline link within {TT_MATCH_JOIN_S:g} s", False) in out


def test_second_match_of_the_same_vehicle_waits_anew_for_the_link() -> None:
    station = EvseStation()
    go(station, [PLUG, MATCHED], 10.0)
    station.receive_signal(MATCHED, 15.0)
    assert station.next_timer() == 15.0 + TT_MATCH_JOIN_S


def test_tries_are_counted_per_plug_in() -> None:
    station = EvseStation()
    for _ in range(3):
        go(station, [PLUG, SLAC_FAILED, UNPLUG])
    go(station, [PLUG, SLAC_FAILED])
    assert station.retries == 1
    assert station.state is E.STEPPING


# --- the phase for the heartbeat -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("way", "phase"),
    [
        ([], Phase.IDLE),
        ([PLUG], Phase.CONNECTED),
        ([PLUG, PHASE], Phase.CONNECTED),  # no session yet: no power phase
        ([PLUG, MATCHED, UP, MADE, PHASE], Phase.CHARGE),
        ([PLUG, MATCHED, UP, MADE, PHASE, NORMAL], Phase.CONNECTED),
        ([PLUG, MATCHED, UP, MADE, PHASE, NORMAL, PHASE], Phase.CONNECTED),
        ([PLUG, MATCHED, UP, MADE, PHASE, ABNORMAL], Phase.CONNECTED),
        ([PLUG, MATCHED, UP, MADE, PHASE, UNPLUG], Phase.IDLE),
    ],
)
def test_chargers_phase(way: list[Output], phase: Phase) -> None:
    station = EvseStation()
    go(station, way)
    assert station.phase is phase


@pytest.mark.parametrize(
    ("way", "phase"),
    [
        ([IN], Phase.CONNECTED),
        ([DIGITAL, PHASE], Phase.CONNECTED),
        ([DIGITAL, MATCHED, UP, MADE, PHASE], Phase.CHARGE),
        ([DIGITAL, MATCHED, UP, MADE, PHASE, NORMAL], Phase.CONNECTED),
        ([DIGITAL, MATCHED, UP, MADE, PHASE, OUT], Phase.IDLE),
    ],
)
def test_vehicles_phase(way: list[Output], phase: Phase) -> None:
    station = PevStation()
    go(station, way)
    assert station.phase is phase
