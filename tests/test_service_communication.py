"""The communication service around its core: signs of life, late turns, an end in good order."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any

import pytest

from controller import service_communication
from controller.driver_notify import Notifier
from controller.loop import Loop, Node
from controller.service_communication import (
    LATE_S,
    STOP_WITHIN_S,
    CommunicationService,
    prepare_codecs,
)
from controller.signals import Output, Phase, StopRequest
from controller.v2g.messages import din, sap
from tests.perf.exi_din import demand_req

if TYPE_CHECKING:
    from collections.abc import Iterator


class State(Enum):
    UNPLUGGED = "unplugged"
    CONNECTED = "connected"


class Station:
    state = State.UNPLUGGED
    phase = Phase.IDLE
    ended = False


class Core:
    """A core that hears one thing at a time."""

    def __init__(self) -> None:
        self.station = Station()
        self.got: list[Output] = []

    def next_timer(self) -> float | None:
        return None

    def handle_timer(self, now: float) -> list[Output]:
        return []

    def receive(self, item: Output, now: float) -> list[Output]:
        self.got.append(item)
        return []


class Sockets:
    def __init__(self, core: Core) -> None:
        self.node = Node("evse.communication", core, lambda output, now: None)


class Bench:
    def __init__(self) -> None:
        self.loop = Loop()
        self.core = Core()
        self.said: list[str] = []
        self.told: list[str] = []
        self.notifier = Notifier()
        self.notifier.send = lambda datagram: self.told.append(datagram.decode())  # type: ignore[method-assign]
        sockets: Any = Sockets(self.core)
        core: Any = self.core
        self.service = CommunicationService(
            self.loop, core, sockets, self.notifier, lambda text, level: self.said.append(text)
        )
        self.ended = False
        self.loop.stop = self._end  # type: ignore[method-assign]

    def _end(self) -> None:
        self.ended = True


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.loop.close()


def test_the_status_is_the_stations_state_told_when_it_changes(bench: Bench) -> None:
    for now in (1.0, 1.02, 1.04):
        bench.service._alive(now)
    bench.core.station.state = State.CONNECTED
    bench.service._alive(1.06)
    assert [text for text in bench.told if text] == ["STATUS=unplugged\n", "STATUS=connected\n"]


def test_a_late_turn_is_told_with_whose_fault_it_was(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    worked = [5.0]
    monkeypatch.setattr(service_communication, "work_time", lambda: worked[0])
    bench.service._alive(100.0)  # the first proves nothing
    bench.service._alive(100.02 + LATE_S)
    assert bench.said == []
    bench.service._alive(100.25)
    worked[0] += 0.09
    bench.service._alive(100.37)
    assert bench.said == [
        "the loop turned 180 ms late, after 0 ms of own work",
        "the loop turned 100 ms late, after 90 ms of own work",
    ]


def test_told_to_end_it_stops_the_session_and_waits_for_its_end(bench: Bench) -> None:
    bench.core.station.phase = Phase.CHARGE
    bench.service.stop(10.0)
    assert bench.core.got == [StopRequest("the service ends")]
    assert bench.told[0].startswith("STOPPING=1")
    bench.service._look(10.5)
    assert not bench.ended
    bench.core.station.ended = True
    bench.service._look(10.6)
    assert bench.ended


def test_it_does_not_wait_for_ever(bench: Bench) -> None:
    bench.core.station.phase = Phase.CHARGE
    bench.service.stop(10.0)
    bench.service._look(10.0 + STOP_WITHIN_S - 0.1)
    assert not bench.ended
    bench.service._look(10.0 + STOP_WITHIN_S)
    assert bench.ended


def test_told_twice_it_ends_at_once(bench: Bench) -> None:
    bench.core.station.phase = Phase.CHARGE
    bench.service.stop(10.0)
    bench.service.stop(10.1)
    assert bench.ended


def test_with_nothing_plugged_in_it_ends_at_once(bench: Bench) -> None:
    bench.service.stop(10.0)
    bench.service._look(10.0)
    assert bench.ended


def test_after_the_start_the_codec_makes_nothing_more() -> None:
    import random

    prepare_codecs()
    before = len(din.CODEC.source), len(sap.CODEC.source)
    message = demand_req(random.Random(1), 0.5)
    assert din.CODEC.decode(din.CODEC.encode(message)) == message
    assert (len(din.CODEC.source), len(sap.CODEC.source)) == before
