"""Edges by the pigpio daemon's notifications: from a served daemon, and reports made by hand."""

from __future__ import annotations

import socket
import threading
from math import inf
from typing import TYPE_CHECKING

import pytest

from controller.cp.driver_pigpio_edges import OPEN_NOTIFICATIONS, REPORT, PigpioEdges, State
from controller.cp.edges import Line, Timing
from controller.errors import PortError
from controller.loop import MonotonicClock, pause
from controller.pigpio_link import REQUEST, PigpioLink
from controller.pigpiod.circuit import Bare
from controller.pigpiod.daemon import Daemon
from tests.pigpiod.served import WAIT_S, Served, served

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

GPIO, PWM_GPIO = 17, 18
CLOCK = MonotonicClock()


class Bench:
    """Link and edges against a daemon whose GPIO 18 is wired to GPIO 17."""

    def __init__(self, server: Served) -> None:
        self.server = server
        self.link = PigpioLink(f"127.0.0.1:{server.port}", timeout_s=WAIT_S)
        self.edges = PigpioEdges(self.link, GPIO, CLOCK.now)
        self.heard_at = -inf

    def until(self, done: Callable[[Timing], bool]) -> Timing:
        """Run periods until `done`."""
        give_up_at = CLOCK.now() + WAIT_S
        while True:
            now = CLOCK.now()
            self.link.step(now)
            timing, self.heard_at = self.edges.read(now)
            if done(timing):
                return timing
            assert now < give_up_at, (timing, self.edges.state, self.edges.problem())
            pause(0.002)

    def live(self) -> None:
        self.until(lambda _: self.edges.state is State.LIVE)

    def drive(self, duty: float) -> None:
        self.link.ask(lambda pi: pi.hardware_PWM(PWM_GPIO, 1000, round(duty * 1e6)))


def daemon(first_tick: int | None = None) -> Daemon:
    return Daemon(Bare([(PWM_GPIO, GPIO)]), first_tick=first_tick, now=CLOCK.now())


@pytest.fixture
def bench() -> Iterator[Bench]:
    with served(daemon()) as server:
        made = Bench(server)
        yield made
        made.edges.close()
        made.link.close()


@pytest.mark.parametrize("duty", [0.05, 0.53, 0.97])
def test_a_pilot(bench: Bench, duty: float) -> None:
    bench.live()
    bench.drive(duty)
    timing = bench.until(lambda t: t.line is Line.OSCILLATING and abs(t.duty - duty) < 0.006)
    assert timing.frequency_hz == pytest.approx(1000.0, abs=1.0)
    assert bench.edges.problem() == ""
    assert bench.heard_at <= CLOCK.now()


def test_steady_and_back(bench: Bench) -> None:
    bench.until(lambda t: t.line is Line.LOW)
    bench.drive(1.0)
    bench.until(lambda t: t.line is Line.HIGH)
    bench.drive(0.05)
    bench.until(lambda t: t.line is Line.OSCILLATING)
    bench.drive(0.0)
    bench.until(lambda t: t.line is Line.LOW)


def test_steady_is_heard_of_all_the_time(bench: Bench) -> None:
    bench.until(lambda t: t.line is Line.LOW)
    heard_at = bench.heard_at
    bench.until(lambda _: bench.heard_at > heard_at + 0.05)
    assert bench.edges.state is State.LIVE


def test_a_tick_that_wraps() -> None:
    with served(daemon(first_tick=2**32 - 400_000)) as server:
        made = Bench(server)
        made.live()
        made.drive(0.05)
        until = CLOCK.now() + 1.0
        made.until(lambda t: t.line is Line.OSCILLATING)
        seen = set()
        while CLOCK.now() < until:
            seen.add(made.until(lambda _: True).line)
        assert Line.OSCILLATING in seen
        assert made.until(lambda t: t.line is Line.OSCILLATING).duty == pytest.approx(
            0.05, abs=6e-3
        )
        made.edges.close()
        made.link.close()


def test_a_daemon_that_hangs_is_noticed_and_heard_again(bench: Bench) -> None:
    bench.live()
    bench.drive(0.05)
    bench.until(lambda t: t.line is Line.OSCILLATING)
    before = bench.heard_at
    hung = threading.Event()
    holder = threading.Thread(target=bench.server.call, args=(lambda now: hung.wait(WAIT_S),))
    holder.start()
    silent_since = CLOCK.now()
    while CLOCK.now() < silent_since + 0.3:  # without the link: its commands would wait, too
        bench.edges.read(CLOCK.now())
        pause(0.005)
    assert "no reports" in bench.edges.problem()
    assert bench.edges.read(CLOCK.now())[1] < silent_since + 0.05
    hung.set()
    holder.join(WAIT_S)
    bench.until(lambda t: t.line is Line.OSCILLATING and bench.heard_at > before + 0.3)
    assert bench.edges.problem() == ""


def test_a_daemon_that_is_started_again_is_set_up_again() -> None:
    with served(daemon()) as server:
        made = Bench(server)
        made.live()
    made.until(lambda _: not made.link.is_up)
    assert "pigpio daemon" in made.edges.problem()
    assert made.edges.fileno() == -1
    with served(daemon()) as again:
        made.link = PigpioLink(f"127.0.0.1:{again.port}", timeout_s=WAIT_S)
        made.edges = PigpioEdges(made.link, GPIO, CLOCK.now)
        made.live()
        made.drive(0.05)
        made.until(lambda t: t.line is Line.OSCILLATING)
        made.edges.close()
        made.link.close()


def test_the_link_alone_is_lost_and_found(bench: Bench) -> None:
    bench.live()
    bench.link._fail("cut")
    bench.until(lambda _: bench.edges.state is State.DOWN)
    bench.until(lambda _: bench.link.is_up and bench.edges.state is State.LIVE)
    bench.drive(0.5)
    bench.until(lambda t: t.line is Line.OSCILLATING)


def test_no_handle_left(bench: Bench) -> None:
    bench.until(lambda _: bench.link.is_up)
    bench.edges.close()
    others = []
    for _ in range(32):
        other = socket.create_connection(("127.0.0.1", bench.server.port))
        other.sendall(REQUEST.pack(OPEN_NOTIFICATIONS, 0, 0, 0))
        other.recv(16)
        others.append(other)
    bench.edges = PigpioEdges(bench.link, GPIO, CLOCK.now)
    bench.until(lambda _: "no notification handle left" in bench.edges.problem())
    for other in others:
        other.close()
    bench.live()


def test_closing_gives_watchdog_and_handle_back(bench: Bench) -> None:
    bench.live()
    bench.edges.close()
    assert bench.edges.fileno() == -1
    bench.link.ask(lambda pi: pi.get_current_tick())
    assert not bench.server.daemon.notifier._timeouts
    assert not any(bench.server.daemon.notifier._handles)


# --- reports -------------------------------------------------------------------------------------


class Reports:
    """A daemon's reports, made by hand."""

    def __init__(self, *, inverted: bool = False) -> None:
        self.edges = PigpioEdges(PigpioLink("127.0.0.1:8888"), GPIO, CLOCK.now, inverted=inverted)
        self.seqno = 65_530
        self.tick = 1_000_000

    def report(self, level: int, tick: int, flags: int = 0) -> bytes:
        self.seqno = (self.seqno + 1) & 0xFFFF
        return REPORT.pack(self.seqno, flags, tick & 0xFFFFFFFF, level << GPIO | 0x0F)

    def pilot(self, duty: float = 0.05, cycles: int = 20) -> bytes:
        out = b""
        for _ in range(cycles):
            out += self.report(1, self.tick)
            out += self.report(0, self.tick + round(duty * 1000))
            self.tick += 1000
        return out

    def take(self, data: bytes, now: float) -> Timing:
        self.edges.take(data, now)
        return self.edges.meter.timing()


def test_reports_are_edges() -> None:
    made = Reports()
    assert made.take(made.pilot(), 5.0).duty == pytest.approx(0.05)
    assert made.edges.meter.missed == 0  # the number wrapped in between


def test_inverted() -> None:
    made = Reports(inverted=True)
    assert made.take(made.pilot(0.95), 5.0).duty == pytest.approx(0.05)


def test_a_gap_in_the_numbers_is_an_edge_lost() -> None:
    made = Reports()
    data = made.pilot()
    cut = 12 * 21
    timing = made.take(data[:cut] + data[cut + 24 :], 5.0)
    assert made.edges.meter.missed >= 1
    assert timing.duty == pytest.approx(0.05)


@pytest.mark.parametrize("flags", [1 << 5 | GPIO, 1 << 6])
def test_quiet_reports_tell_level_and_time(flags: int) -> None:
    made = Reports()
    made.take(made.report(1, 1_000_000, flags), 5.0)
    assert made.take(made.report(1, 1_004_000, flags), 5.004).line is Line.HIGH


def test_events_and_other_pins_are_no_edges() -> None:
    made = Reports()
    data = b""
    for n in range(100):
        data += made.report(n % 2, 1_000_000 + n * 100, 1 << 7 | 3)
    made.take(data, 5.0)
    assert made.edges.meter.level is None
    made.take(made.report(0, 2_000_000) + made.report(0, 2_000_500), 6.0)
    assert made.edges.meter.missed == 0


def test_reports_that_come_late_are_known_to_be_old() -> None:
    made = Reports()
    for n in range(100):
        made.take(made.pilot(cycles=5), 5.0 + n * 0.005)
    on_time = made.edges._heard_at
    assert on_time == pytest.approx(5.0 + 99 * 0.005, abs=1e-3)
    made.take(made.pilot(cycles=5), 5.0 + 99 * 0.005 + 0.3)  # a backlog of 0.3 s
    assert made.edges._heard_at == pytest.approx(on_time + 0.005, abs=1e-3)


def test_a_period_that_is_late_dates_nothing_wrong(bench: Bench) -> None:
    """Its `now` is from before it was held up; what it reads then is newer than that."""
    bench.live()
    bench.drive(0.05)
    bench.until(lambda t: t.line is Line.OSCILLATING)
    stale = CLOCK.now()
    pause(0.06)
    bench.edges.read(stale)
    for _ in range(20):
        pause(0.003)
        bench.until(lambda _: True)
    assert CLOCK.now() - bench.heard_at < 0.04


def test_it_waits_for_nothing_while_the_link_is_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.socket", lambda *_: pytest.fail("opened"))
    link = PigpioLink("127.0.0.1:1")
    edges = PigpioEdges(link, GPIO, CLOCK.now)
    timing, heard_at = edges.read(5.0)
    assert (timing.line, heard_at) == (Line.UNKNOWN, -inf)
    assert "127.0.0.1:1" in edges.problem()
    with pytest.raises(PortError):
        link.ask(lambda pi: pi.read(GPIO))
