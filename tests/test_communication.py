"""The communication half: who hears what, the heartbeat, what it may ask of realtime."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from controller.communication import (
    HEARTBEAT_S,
    REALTIME_GONE,
    TO_REALTIME,
    AnswerTimes,
    Communication,
    EvseCommunication,
    PevCommunication,
)
from controller.config import CarConfig, ChargerConfig, PlcSection
from controller.realtime_base import HEARTBEAT_TIMEOUT_S
from controller.signals import (
    AnswerMeasured,
    BcbToggled,
    ChargeRequest,
    ConnectionLost,
    ConnectionMade,
    ControlPilotState,
    DatagramReceived,
    DataReceived,
    DutyRequest,
    EmergencyStop,
    FrameReceived,
    Heartbeat,
    InletPilotChanged,
    InletReport,
    InterlockReport,
    LinkChanged,
    MessageReceived,
    MessageSent,
    ModemFailed,
    ModemKeySet,
    Output,
    Phase,
    PilotChanged,
    SdpFailed,
    SeccDiscovered,
    SendFrame,
    SessionEnded,
    SlacFailed,
    SlacMatched,
    StartSdp,
    StartSlac,
    StationChanged,
    StopRequest,
    V2gEnded,
    V2gPhaseChanged,
)

MAC = bytes.fromhex("024343530001")
ADDRESS = bytes.fromhex("fe80") + bytes(14)
PLUG = PilotChanged(ControlPilotState.B1, 9.0, 9.0, 1.0, diode_ok=True)
DIGITAL = InletPilotChanged(True, 0.05, digital=True)
MATCHED = SlacMatched(bytes(6), bytes(8), bytes(7), bytes(16), 12.0)
BATTERY = InletReport(0.0, 0.0, 400.0, 50.0, 420.0, 200.0, 415.0, 100.0, False, True, 1.0)
ETHERNET = PlcSection(modem="none")


def rng(count: int) -> bytes:
    return bytes(range(count))


def charger(config: ChargerConfig | None = None) -> EvseCommunication:
    return EvseCommunication(config or ChargerConfig(), MAC, ADDRESS, 50000, rng)


def vehicle(config: CarConfig | None = None) -> PevCommunication:
    return PevCommunication(config or CarConfig(), MAC, rng)


MAKERS = [charger, vehicle]


# --- heartbeat -----------------------------------------------------------------------------------


def beats(out: list[Output]) -> list[Heartbeat]:
    return [o for o in out if isinstance(o, Heartbeat)]


@pytest.mark.parametrize("make", MAKERS)
def test_it_beats_in_time_whatever_happens(make: Any) -> None:  # noqa: ANN401
    core: Communication = make()
    seen, now = [], 0.0
    while now < 1.0:
        now = core.next_timer()
        seen += [(now, beat.sequence) for beat in beats(core.handle_timer(now))]
        seen += [(now, b.sequence) for b in beats(core.receive(LinkChanged(up=False), now))]
    times = [at for at, _ in seen]
    assert max(b - a for a, b in itertools.pairwise(times)) <= HEARTBEAT_S + 1e-9
    assert [sequence for _, sequence in seen] == list(range(1, len(seen) + 1))


def test_two_lost_beats_are_borne() -> None:
    assert 3 * HEARTBEAT_S <= HEARTBEAT_TIMEOUT_S


@pytest.mark.parametrize("step_s", [HEARTBEAT_S, HEARTBEAT_S / 4])
def test_a_clock_in_steps_misses_no_beat(step_s: float) -> None:
    """The sums of such steps are rounded: now a bit above the multiple of 20 ms, now below."""
    core = charger()
    at = [
        step * step_s
        for step in range(int(20.0 / step_s))
        if beats(core.handle_timer(step * step_s))
    ]
    assert max(b - a for a, b in itertools.pairwise(at)) <= HEARTBEAT_S + 1e-9


def test_it_does_not_beat_more_often_than_it_must() -> None:
    core = charger()
    core.handle_timer(0.0)
    assert beats(core.handle_timer(HEARTBEAT_S / 2)) == []
    assert len(beats(core.receive(LinkChanged(up=False), HEARTBEAT_S))) == 1


def test_a_changed_phase_is_told_at_once_and_first() -> None:
    core = charger()
    core.handle_timer(0.0)
    out = core.receive(PLUG, 0.001)
    assert out[0] == Heartbeat(2, Phase.CONNECTED, 0.001)
    out = core.receive(PilotChanged(ControlPilotState.A1, 12.0, 12.0, 1.0, diode_ok=True), 0.002)
    assert out[0] == Heartbeat(3, Phase.IDLE, 0.002)


# --- routing -------------------------------------------------------------------------------------


class Ear:
    """Stands for a core and notes what it hears."""

    def __init__(self) -> None:
        self.heard: list[Any] = []
        self.phase = Phase.IDLE
        self.session = self
        self.stop_reason = ""

    def next_timer(self) -> float | None:
        return None

    def receive_signal(self, signal: Output, now: float) -> list[Output]:
        self.heard.append(signal)
        return []

    def receive_frame(self, frame: bytes, now: float) -> list[Output]:
        self.heard.append(frame)
        return []

    def receive_data(self, data: bytes, *rest: Any) -> list[Output]:  # noqa: ANN401
        self.heard.append((data, *rest[:-1]))
        return []

    def connection_made(self, now: float) -> list[Output]:
        self.heard.append("made")
        return []

    def connection_lost(self, now: float) -> list[Output]:
        self.heard.append("lost")
        return []


PARTS = ("station", "modem", "slac", "sdp", "session")
PEER = ("fe80::2%3", 50000)
BOTH: list[tuple[Output, set[str]]] = [
    (FrameReceived(b"f"), {"modem", "slac"}),
    (DatagramReceived(b"d", PEER), {"sdp"}),
    (DataReceived(b"v"), {"session"}),
    (ConnectionMade(PEER), {"session", "station"}),
    (ConnectionLost("x"), {"session"}),
    (ModemKeySet(bytes(7)), {"slac"}),
    (ModemFailed("x"), {"slac", "station"}),
    (MATCHED, {"station"}),
    (SlacFailed("x"), {"station"}),
    (StartSdp(), {"sdp"}),
    (StartSlac(), {"slac"}),
    (V2gPhaseChanged(Phase.CHARGE), {"station"}),
    (V2gEnded("x", normal=True), {"station"}),
    (StationChanged("x"), set()),
]
EVSE: list[tuple[Output, set[str]]] = [
    (PLUG, {"station", "slac", "session"}),
    (REALTIME_GONE, {"station", "session"}),
    (EmergencyStop("x"), {"session"}),
    (BcbToggled(0.3, 1), {"slac", "station"}),
    (StopRequest("x"), {"session", "station"}),
    (DIGITAL, set()),
]
PEV: list[tuple[Output, set[str]]] = [
    (DIGITAL, {"station", "session", "wake"}),
    (ChargeRequest(), {"station", "wake"}),
    (SessionEnded("x", normal=True), {"wake"}),
    (StopRequest("x"), {"session", "station", "wake"}),
    (SeccDiscovered(ADDRESS, 50000, tls=False), {"session"}),
    (SdpFailed("x"), {"station"}),
    (REALTIME_GONE, {"session", "station"}),
    (BATTERY, {"session", "station"}),
    (PLUG, set()),
]


@pytest.mark.parametrize(
    ("make", "item", "ears"),
    [(charger, item, ears) for item, ears in BOTH + EVSE]
    + [(vehicle, item, ears) for item, ears in BOTH + PEV],
)
def test_who_hears_what(
    make: Any,  # noqa: ANN401
    item: Output,
    ears: set[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    heard = {name: Ear() for name in (*PARTS, "wake")}

    def instead(self: Communication, routes: dict[type[Output], tuple[Any, ...]]) -> None:
        names = {id(getattr(self, name)): name for name in heard if hasattr(self, name)}
        for name in names.values():
            setattr(self, name, heard[name])
        self.others = tuple(heard[names[id(core)]] for core in self.others)
        original(self, {t: tuple(heard[names[id(c)]] for c in cs) for t, cs in routes.items()})

    original = Communication.__init__
    monkeypatch.setattr(Communication, "__init__", instead)
    core: Communication = make()
    core.receive(item, 1.0)
    assert {name for name, ear in heard.items() if ear.heard} == ears
    assert all(len(ear.heard) == 1 for name, ear in heard.items() if name in ears)


# --- what comes out ------------------------------------------------------------------------------


def test_the_input_itself_is_not_among_the_outputs() -> None:
    core = charger()
    out = core.receive(PLUG, 0.0)
    assert PLUG not in out
    assert [type(o) for o in out][:4] == [Heartbeat, DutyRequest, StartSlac, StationChanged]


def test_a_plug_starts_slac_at_the_modem() -> None:
    core = vehicle()
    out = core.receive(DIGITAL, 0.0)
    assert StartSlac() in out
    later: list[Output] = []
    while core.next_timer() < 2.0:
        later += core.handle_timer(core.next_timer())
    assert [o for o in [*out, *later] if isinstance(o, SendFrame)]


def test_an_early_link_brings_sdp() -> None:
    core = vehicle()
    for number, item in enumerate((DIGITAL, MATCHED, LinkChanged(up=True))):
        out = core.receive(item, float(number))
    assert StartSdp() in out


@pytest.mark.parametrize("modem", ["homeplug", "none"])
def test_without_a_modem_sdp_starts_at_once(modem: str) -> None:
    plc = PlcSection(modem=modem)
    evse = charger(ChargerConfig(plc=plc)).receive(PLUG, 0.0)
    pev = vehicle(CarConfig(plc=plc)).receive(DIGITAL, 0.0)
    for out in (evse, pev):
        assert (StartSdp() in out) is (modem == "none")
        assert (StartSlac() in out) is (modem == "homeplug")


def test_only_requests_go_to_realtime() -> None:
    assert {t.__name__ for t in TO_REALTIME} == {
        "Heartbeat",
        "DutyRequest",
        "CurrentRequest",
        "OutputRequest",
        "ContactorRequest",
        "S2Request",
        "WakeRequest",
        "ResetRequest",
    }


@pytest.mark.parametrize("way", [[], [PLUG]])
def test_the_end_of_realtime_ends_what_has_begun(way: list[Output]) -> None:
    core = charger()
    for item in way:
        core.receive(item, 0.0)
    out = core.realtime_lost(1.0)
    told = [o for o in out if isinstance(o, SessionEnded)]
    assert told == ([SessionEnded("the realtime process is gone", normal=False)] if way else [])
    assert core.station.phase in (Phase.IDLE, Phase.CONNECTED)


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("data", [b"", b"\x00", b"\xff" * 2000, bytes(range(256))])
def test_a_peers_bytes_never_raise(make: Any, data: bytes) -> None:  # noqa: ANN401
    core: Communication = make()
    core.receive(PLUG if make is charger else DIGITAL, 0.0)
    for number, item in enumerate(
        (
            FrameReceived(data),
            DatagramReceived(data, PEER),
            ConnectionMade(PEER),
            DataReceived(data or b"\x01"),
            ConnectionLost("x"),
        )
    ):
        core.receive(item, 0.1 * number)
    assert core.next_timer() is not None


# --- answer times --------------------------------------------------------------------------------


def test_answer_times() -> None:
    times = AnswerTimes()
    ask, answer = MessageReceived("AReq", "DIN"), MessageSent("ARes", "DIN", "OK")
    own_request = MessageSent("BReq", "DIN")
    assert times.measure([ask, answer], 0.002, 5.0) == [AnswerMeasured("ARes", 0.002, 0.0)]
    assert times.measure([ask], 0.001, 6.0) == []
    assert times.measure([answer, own_request], 0.003, 7.5) == [AnswerMeasured("ARes", 0.003, 1.5)]


def test_a_response_that_waited_for_something_else_is_measured_once() -> None:
    times = AnswerTimes()
    ask, answer = MessageReceived("AReq", "DIN"), MessageSent("ARes", "DIN", "OK")
    assert times.late(answer, 1.0) is None  # nobody asked
    times.measure([ask], 0.001, 6.0)
    assert times.late(MessageSent("BReq", "DIN"), 6.5) is None  # a request of our own
    assert times.late(answer, 7.5) == AnswerMeasured("ARes", 0.0, 1.5)
    assert times.late(answer, 8.0) is None
    times.measure([ask], 0.001, 10.0)
    times.forget()  # the peer went away, another one asks
    assert times.late(answer, 70.0) is None


def test_interlock_report_of_the_dead_permits_nothing() -> None:
    assert isinstance(REALTIME_GONE, InterlockReport)
    assert not REALTIME_GONE.energise
    assert not REALTIME_GONE.close_contactors
    assert REALTIME_GONE.emergency
