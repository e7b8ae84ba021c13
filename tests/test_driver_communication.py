"""The sockets of a communication process: what goes in, what is carried out, what may break."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import pytest

from controller import ipc
from controller.communication import REALTIME_GONE
from controller.driver_communication import Sockets
from controller.errors import PortError
from controller.loop import Loop
from controller.signals import (
    AnswerMeasured,
    CloseConnection,
    Connect,
    ConnectionLost,
    ConnectionMade,
    ContactorRequest,
    DatagramReceived,
    DataReceived,
    DutyRequest,
    FrameReceived,
    Heartbeat,
    MessageReceived,
    MessageSent,
    ModemFailed,
    Noted,
    Output,
    OutputRequest,
    Phase,
    PilotChanged,
    ResetRequest,
    S2Request,
    SendData,
    SendDatagram,
    SendFrame,
    StationChanged,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

PEER = ("::1", 50000)


ENDS: list[End] = []
"""All that a test made; the fixture closes them."""


class End:
    """A socket pair with one end for the test; breaks on demand."""

    def __init__(self) -> None:
        self.sock, self.far = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.setblocking(False)
        self.far.setblocking(False)
        self.error = ""
        self.closed = False
        ENDS.append(self)

    def fileno(self) -> int:
        return self.sock.fileno()

    def check(self) -> None:
        if self.error:
            raise PortError(self.error)

    def close(self) -> None:
        self.closed = True
        self.sock.close()
        self.far.close()


class Link(End):
    mac = bytes(6)

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[bytes] = []

    def send(self, frame: bytes) -> None:
        self.check()
        self.sent.append(frame)

    def receive(self) -> bytes | None:
        self.check()
        try:
            return self.sock.recv(1)
        except BlockingIOError:
            return None


class Datagrams(End):
    port = 15118

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[tuple[bytes, Any]] = []

    def send(self, data: bytes, to: Any) -> None:  # noqa: ANN401
        self.check()
        self.sent.append((data, to))

    def receive(self) -> tuple[bytes, tuple[str, int]] | None:
        self.check()
        try:
            return self.sock.recv(1), PEER
        except BlockingIOError:
            return None


class Stream(End):
    peer = PEER
    kept = b""

    def __init__(self) -> None:
        super().__init__()
        self.sent = b""

    @property
    def wants_write(self) -> bool:
        return bool(self.kept)

    def send(self, data: bytes) -> None:
        self.check()
        self.sent += data

    def flush(self) -> bool:
        self.check()
        self.sent, self.kept = self.sent + self.kept, b""
        return True

    def receive(self) -> bytes | None:
        self.check()
        try:
            return self.sock.recv(100)
        except BlockingIOError:
            return None


class Door(End):
    port = 50001

    def __init__(self) -> None:
        super().__init__()
        self.waiting: list[Stream | None] = []

    def accept(self) -> Stream | None:
        self.sock.recv(1)
        self.check()
        return self.waiting.pop(0)


class Attempt(End):
    def __init__(self, result: Stream | None) -> None:
        super().__init__()
        self.result = result

    def finish(self) -> Stream | None:
        self.check()
        return self.result


class Core:
    """Answers what it is told to."""

    def __init__(self) -> None:
        self.got: list[Output] = []
        self.answers: dict[type[Output], list[Output]] = {}

    def next_timer(self) -> float | None:
        return None

    def handle_timer(self, now: float) -> list[Output]:
        return []

    def receive(self, item: Output, now: float) -> list[Output]:
        self.got.append(item)
        return list(self.answers.get(type(item), []))

    def realtime_lost(self, now: float) -> list[Output]:
        return self.receive(REALTIME_GONE, now)


class Bench:
    def __init__(self) -> None:
        self.loop = Loop()
        near, far = ipc.pair()
        self.realtime = ipc.Channel(far)
        self.asked: list[Output] = []
        self.realtime.on_signal(lambda item, now: self.asked.append(item))
        self.core, self.link, self.sdp, self.door = Core(), Link(), Datagrams(), Door()
        self.records: list[tuple[str, Output]] = []
        self.attempt: Attempt | PortError = PortError("no route")
        self.near = ipc.Channel(near)
        self.sockets = Sockets(
            self.loop,
            self.core,  # type: ignore[arg-type]
            self.near,
            self.sdp,
            link=self.link,
            listener=self.door,
            connect=self.connect,
            name="evse.communication",
            record=lambda now, node, way, item: self.records.append((way, item)),
        )

    def connect(self, address: bytes, port: int) -> Attempt:
        if isinstance(self.attempt, PortError):
            raise self.attempt
        return self.attempt

    def turn(self, times: int = 3) -> list[Output]:
        """Let the loop look at its sockets a few times; returns what the core got."""
        before = len(self.core.got)
        for number in range(times):
            self.loop.call_at(self.loop.now(), lambda now, n=number: n)  # type: ignore[misc]
            self.loop._turn()  # one turn of `run`
        return self.core.got[before:]

    def do(self, *outputs: Output) -> list[Output]:
        """Let the core return these outputs."""
        return self.sockets.node.finish(list(outputs), self.loop.now())

    def call(self, stream: Stream) -> list[Output]:
        """Let a vehicle connect."""
        self.door.waiting.append(stream)
        self.door.far.send(b"x")
        return self.turn()


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.sockets.close()
    bench.loop.close()
    bench.near.close()
    bench.realtime.close()
    while ENDS:
        ENDS.pop().close()


# --- modem, SDP and the other process ------------------------------------------------------------


def test_frames_and_datagrams_go_in_one_by_one(bench: Bench) -> None:
    bench.link.far.send(b"ab")
    assert bench.turn() == [FrameReceived(b"a"), FrameReceived(b"b")]
    bench.sdp.far.send(b"c")
    assert bench.turn() == [DatagramReceived(b"c", PEER)]


def test_frames_and_datagrams_are_sent(bench: Bench) -> None:
    bench.do(SendFrame(b"frame"), SendDatagram(b"ask", None), SendDatagram(b"answer", PEER))
    assert bench.link.sent == [b"frame"]
    assert bench.sdp.sent == [(b"ask", None), (b"answer", PEER)]


@pytest.mark.parametrize("end", ["link", "sdp"])
def test_an_interface_that_is_down_loses_frames_and_says_so_once(bench: Bench, end: str) -> None:
    part: Link | Datagrams = getattr(bench, end)
    part.error = "eth1: the interface is down"
    for _ in range(3):
        bench.do(SendFrame(b"x"), SendDatagram(b"x", None))
        part.far.send(b"y")
        bench.turn()
    troubles = [item for _, item in bench.records if isinstance(item, ModemFailed)]
    assert troubles == [ModemFailed("eth1: the interface is down")]
    part.error = ""
    bench.do(SendFrame(b"x"), SendDatagram(b"x", None))
    assert len(part.sent) == 1 if end == "link" else part.sent[-1] == (b"x", None)
    assert len(bench.turn()) == 3  # what came meanwhile


def test_requests_and_nothing_else_cross_to_realtime(bench: Bench) -> None:
    requests: list[Output] = [
        Heartbeat(1, Phase.CHARGE),
        DutyRequest(0.05),
        OutputRequest(Phase.CHARGE, 400.0, 10.0),
        ContactorRequest(closed=True),
        S2Request(closed=True),
        ResetRequest(),
    ]
    bench.do(*requests, StationChanged("connected"), MessageSent("x", "DIN"))
    bench.realtime.receive(0.0)
    assert bench.asked == requests


def test_reports_of_realtime_reach_the_core(bench: Bench) -> None:
    from controller.signals import ControlPilotState

    report = PilotChanged(ControlPilotState.B1, 9.0, 9.0, 1.0, diode_ok=True)
    bench.realtime.send_signal(report)
    assert bench.turn() == [report]


def test_the_end_of_realtime_is_told_once_and_does_not_spin(bench: Bench) -> None:
    bench.realtime.close()
    assert bench.turn(5) == [REALTIME_GONE]
    bench.do(DutyRequest(1.0))  # nobody to hear it: no exception


def test_a_new_realtime_process_takes_the_place_of_the_old(bench: Bench) -> None:
    bench.realtime.close()
    bench.turn()
    near, far = ipc.pair()
    ours, theirs = ipc.Channel(near), ipc.Channel(far)
    bench.sockets.attach(ours)
    theirs.on_signal(lambda item, now: bench.asked.append(item))
    bench.do(DutyRequest(0.05))
    theirs.receive(0.0)
    assert bench.asked == [DutyRequest(0.05)]
    theirs.send_signal(Noted("x"))
    assert bench.turn() == [Noted("x")]
    bench.sockets.detach()
    bench.sockets.detach()
    ours.close()  # only after it is forgotten
    theirs.close()
    assert bench.turn() == []
    bench.do(DutyRequest(1.0))


# --- the connection ------------------------------------------------------------------------------


def test_a_vehicle_connects_talks_and_leaves(bench: Bench) -> None:
    stream = Stream()
    assert bench.call(stream) == [ConnectionMade(PEER)]
    stream.far.send(b"hello")
    assert bench.turn() == [DataReceived(b"hello")]
    bench.do(SendData(b"answer"))
    assert stream.sent == b"answer"
    stream.far.close()
    assert bench.turn() == [ConnectionLost("closed by the peer")]
    assert stream.closed
    bench.do(SendData(b"too late"))  # goes nowhere


def test_only_one_vehicle_at_a_time(bench: Bench) -> None:
    first, second = Stream(), Stream()
    bench.call(first)
    assert bench.call(second) == []
    assert second.closed
    assert not first.closed


@pytest.mark.parametrize("error", ["", "aborted"])
def test_a_vehicle_that_is_gone_before_it_is_taken(bench: Bench, error: str) -> None:
    bench.door.error = error
    bench.door.waiting.append(None)
    bench.door.far.send(b"x")
    assert bench.turn() == []


def test_after_the_core_closes_the_next_one_may_come(bench: Bench) -> None:
    stream, following = Stream(), Stream()
    bench.call(stream)
    bench.do(CloseConnection("done"))
    assert stream.closed
    assert bench.call(following) == [ConnectionMade(PEER)]
    bench.do(CloseConnection("x"), CloseConnection("x"))  # closing twice is allowed


def test_a_connection_that_breaks_while_reading(bench: Bench) -> None:
    stream = Stream()
    bench.call(stream)
    stream.error = "reset by peer"
    stream.far.send(b"x")
    assert bench.turn() == [ConnectionLost("reset by peer")]


def test_a_connection_that_breaks_while_sending(bench: Bench) -> None:
    """The loss is told after the outputs that are being carried out, not in the midst of them."""
    stream = Stream()
    bench.call(stream)
    stream.error = "broken pipe"
    bench.do(SendData(b"a"), SendData(b"b"))
    assert bench.core.got[-1] == ConnectionMade(PEER)
    assert bench.turn() == [ConnectionLost("broken pipe")]


def test_what_the_peer_does_not_take_is_sent_later(bench: Bench) -> None:
    stream = Stream()
    bench.call(stream)
    stream.kept = b"rest"
    bench.do(SendData(b"first "))
    bench.turn()
    assert stream.sent == b"first rest"


def test_a_connection_that_breaks_with_a_rest(bench: Bench) -> None:
    stream = Stream()
    bench.call(stream)
    stream.kept = b"rest"
    bench.do(SendData(b"x"))
    stream.error = "timed out"
    assert bench.turn() == [ConnectionLost("timed out")]


# --- the vehicle's side --------------------------------------------------------------------------


def test_the_vehicle_connects(bench: Bench) -> None:
    stream = Stream()
    bench.attempt = Attempt(stream)
    bench.do(Connect(bytes(16), 50001))
    assert bench.turn() == [ConnectionMade(PEER)]


@pytest.mark.parametrize("at_once", [True, False])
def test_the_vehicle_is_refused(bench: Bench, at_once: bool) -> None:
    if not at_once:
        bench.attempt = Attempt(None)
        bench.attempt.error = "no route"
    bench.do(Connect(bytes(16), 50001))
    assert bench.turn() == [ConnectionLost("no route")]


def test_the_vehicle_gives_up_while_undecided(bench: Bench) -> None:
    attempt = bench.attempt = Attempt(None)
    bench.do(Connect(bytes(16), 50001))
    assert bench.turn() == []
    bench.do(CloseConnection("gave up"))
    assert attempt.closed
    assert bench.turn() == []


# --- figures -------------------------------------------------------------------------------------


def test_answers_are_measured(bench: Bench) -> None:
    bench.core.answers[DataReceived] = [
        MessageReceived("SessionSetupReq", "DIN"),
        MessageSent("SessionSetupRes", "DIN", "OK"),
    ]
    stream = Stream()
    bench.call(stream)
    stream.far.send(b"x")
    bench.turn()
    (answer,) = [item for _, item in bench.records if isinstance(item, AnswerMeasured)]
    assert answer.name == "SessionSetupRes"
    assert 0 <= answer.computed_s < 1
    assert answer.waited_s == 0.0


def test_a_response_that_waits_for_a_reading_is_measured_too(bench: Bench) -> None:
    bench.core.answers[DataReceived] = [MessageReceived("PowerDeliveryReq", "DIN")]
    stream = Stream()
    bench.call(stream)
    stream.far.send(b"x")
    bench.turn()
    bench.do(MessageSent("PowerDeliveryRes", "DIN", "OK"))
    (answer,) = [item for _, item in bench.records if isinstance(item, AnswerMeasured)]
    assert answer.name == "PowerDeliveryRes"
    assert answer.waited_s > 0.0


def test_close_releases_everything(bench: Bench) -> None:
    stream = Stream()
    bench.call(stream)
    bench.sockets.close()
    assert [end.closed for end in (stream, bench.link, bench.sdp, bench.door)] == [True] * 4
