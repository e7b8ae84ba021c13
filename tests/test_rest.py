"""A vehicle unit that rests: when, for how long, what wakes it, and that nothing is missed."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import pytest

from controller import service
from controller.config import CarConfig, CarHardwareSection, ChargerConfig
from controller.loop import MonotonicClock, pause, wait_readable
from controller.rest import BURST, WARM, Rest
from controller.signals import InterlockReport, Noted
from tests.service_rig import PERIOD_S, Rig

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from controller.port import Hardware

REST_S = 0.2
PERIOD_NS = round(PERIOD_S * 1e9)


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path, "pev", rest_s=REST_S)
    yield made
    made.close()


def turns(rig: Rig, seconds: float) -> int:
    before = rig.service.loop.periods
    rig.run(seconds)
    return rig.service.loop.periods - before


# --- the core ------------------------------------------------------------------------------------


def test_bursts_and_pauses() -> None:
    waited: list[int] = []

    def wait(until_ns: int) -> int:
        waited.append(until_ns)
        return until_ns

    rest, due = Rest(REST_S, wait), 0
    dues = []
    for _ in range(2 * BURST):
        due = rest.next_due(due + PERIOD_NS, allowed=True)
        dues.append(due)
    assert [b - a for a, b in zip(dues, dues[1:], strict=False)].count(PERIOD_NS) == 2 * BURST - 3  # noqa: RUF007
    assert (rest.pauses, rest.woken) == (2, 0)
    assert len(waited) == 2


def test_what_is_not_allowed_is_not_put_off() -> None:
    rest = Rest(REST_S, lambda _: pytest.fail("paused"))
    for n in range(5 * BURST):
        assert rest.next_due(n, allowed=n % BURST != 0) == n
    assert not rest.resting


def test_an_early_end() -> None:
    rest = Rest(REST_S, lambda until_ns: until_ns - 1000)
    due = 0
    for _ in range(BURST):
        due = rest.next_due(PERIOD_NS, allowed=True)
    assert due == PERIOD_NS + round(REST_S * 1e9) - 1000
    assert rest.woken == 1
    assert rest.warming
    for n in range(BURST):
        assert rest.warming is (n < WARM)
        rest.next_due(due, allowed=n < BURST - 1)
    assert not rest.resting


# --- the service ---------------------------------------------------------------------------------


def test_an_empty_inlet_is_looked_at_less_often(rig: Rig) -> None:
    rig.run(0.5)
    count = turns(rig, 10.0)
    assert count == pytest.approx(10.0 / (REST_S + BURST * PERIOD_S) * BURST, rel=0.05)
    assert rig.service.loop.skipped == 0
    assert rig.service.loop.lateness.worst_ns == 0


def test_the_watchdog_rests_too_and_starts_with_the_plug(rig: Rig) -> None:
    rig.run(1.0)
    kicks = rig.hardware.kicks
    rig.run(2.0)
    assert rig.hardware.kicks == kicks
    rig.world.plug()
    rig.run(REST_S + 0.2)
    assert rig.hardware.kicks > kicks + 20


def test_a_plug_ends_the_rest(rig: Rig) -> None:
    rig.run(1.0)
    rig.world.plug()
    plugged_at = rig.now
    rig.until(lambda: rig.core.pilot.state.plugged)  # type: ignore[union-attr]
    assert rig.now - plugged_at <= REST_S + BURST * PERIOD_S
    assert turns(rig, 1.0) == pytest.approx(200, abs=2)
    rig.world.unplug()
    rig.run(1.0)
    assert turns(rig, 2.0) < 100


def test_an_edge_ends_a_pause_at_once(rig: Rig) -> None:
    rig.run(1.0)
    rest = rig.service._rest
    assert rest is not None
    rig.until(lambda: rest.warming)
    rig.wakes_at_ns = rig.clock.ns + round(0.1e9)  # in the middle of the next pause
    plugged_at = rig.now + 0.1
    rig.until(lambda: rest.woken == 1)
    assert rig.now == pytest.approx(plugged_at, abs=2 * PERIOD_S)
    rig.until(lambda: rig.core.pilot.state.plugged)  # type: ignore[union-attr]
    assert rig.now - plugged_at < (WARM + 4) * PERIOD_S


def test_a_stop_is_heeded(rig: Rig) -> None:
    rig.run(1.0)
    rig.service.stop()
    rig.run(REST_S + 0.3)
    assert not rig.service.loop._running


def test_resting_says_nothing_over_and_over(rig: Rig) -> None:
    peer = rig.come()
    rig.run(1.0)
    before = len(peer.records)
    rig.run(20.0)
    said = [r for r in peer.records[before:] if isinstance(r[4], InterlockReport | Noted)]
    assert said == []


# --- the parts -----------------------------------------------------------------------------------


def test_waiting_for_a_descriptor() -> None:
    clock = MonotonicClock()
    reader, writer = os.pipe()
    now_ns = round(clock.now() * 1e9)
    assert wait_readable(reader, now_ns + 20_000_000) >= now_ns + 19_000_000
    assert wait_readable(-1, now_ns) >= now_ns

    def write() -> None:
        pause(0.02)
        os.write(writer, b"x")

    thread = threading.Thread(target=write)
    thread.start()
    assert wait_readable(reader, now_ns + 60_000_000_000) < now_ns + 59_000_000_000
    thread.join()
    os.close(reader)
    os.close(writer)


class Waking:
    def wake_fileno(self) -> int:
        return -1


def test_only_a_vehicle_rests_and_only_if_told_to() -> None:
    hardware: Hardware = Waking()  # type: ignore[assignment]
    assert service.rest_of(ChargerConfig(), hardware) is None
    assert service.rest_of(CarConfig(), hardware) is None
    config = CarConfig(hardware=CarHardwareSection(rest_s=0.001))
    rest = service.rest_of(config, hardware)
    assert rest is not None
    due = 0
    for _ in range(BURST):
        due = rest.next_due(0, allowed=True)
    assert due > 0
