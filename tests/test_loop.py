"""Loops, clocks and timers: absolute deadlines, order, standstill, the real selector."""

from __future__ import annotations

import itertools
import os
import re
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from controller import loop as loop_module
from controller.errors import ControllerError
from controller.loop import (
    NEVER,
    STANDSTILL,
    Loop,
    LoopTimer,
    MonotonicClock,
    Node,
    SimLoop,
    SteppedClock,
    utc_stamp,
)
from controller.signals import LinkChanged, Output, StartSdp, StopSdp

if TYPE_CHECKING:
    from collections.abc import Iterator

# --- LoopTimer -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fired_at", "deadlines", "overruns", "worst_late_s"),
    [
        ([0.0, 0.5, 1.0], [0.5, 1.0, 1.5], 0, 0.0),
        ([0.125, 0.75, 1.0], [0.5, 1.0, 1.5], 0, 0.25),  # late, but never drifting
        ([0.0, 1.75], [0.5, 2.0], 2, 1.25),  # frames at 1.0 and 1.5 were missed
        ([0.5], [1.0], 1, 0.5),
    ],
)
def test_timer(
    fired_at: list[float], deadlines: list[float], overruns: int, worst_late_s: float
) -> None:
    ran: list[float] = []
    timer = LoopTimer(0.5, ran.append, 0.0)
    seen = []
    for now in fired_at:
        timer.fire(now)
        seen.append(timer.deadline)
    assert seen == deadlines
    assert ran == fired_at  # one frame each time, however many were missed
    assert timer.overruns == overruns
    assert timer.worst_late_s == worst_late_s


def test_timer_does_not_accumulate_rounding() -> None:
    timer = LoopTimer(0.005, lambda now: None, 1000.0)
    for _ in range(10_000):
        timer.fire(timer.deadline)
    assert timer.deadline == 1000.0 + 10_000 * 0.005


def test_the_deadline_has_moved_before_the_frame_runs() -> None:
    seen: list[float] = []
    timer = LoopTimer(1.0, lambda now: seen.append(timer.deadline), 0.0)
    timer.fire(0.0)
    assert seen == [1.0]


# --- clocks --------------------------------------------------------------------------------------


def test_stepped_clock_never_goes_back_and_never_passes_by_itself() -> None:
    clock = SteppedClock(5.0)
    clock.advance(7.0)
    clock.advance(6.0)
    assert clock.now() == 7.0
    assert clock.wait_s(7.0) is None
    assert clock.wait_s(NEVER) is None


def test_monotonic_clock() -> None:
    clock = MonotonicClock()
    before = clock.now()
    assert clock.now() >= before
    assert clock.wait_s(before - 1) == 0.0
    assert clock.wait_s(NEVER) is None
    wait_s = clock.wait_s(before + 1000)
    assert wait_s is not None
    assert 900 < wait_s <= 1000


def test_stamp_is_sortable() -> None:
    assert len(utc_stamp()) == len("2026-01-01T00-00-00Z")
    assert utc_stamp()[10] == "T"


# --- Node ----------------------------------------------------------------------------------------


class Core:
    def __init__(self) -> None:
        self.deadline: float | None = None
        self.fired: list[float] = []

    def next_timer(self) -> float | None:
        return self.deadline

    def handle_timer(self, now: float) -> list[Output]:
        self.fired.append(now)
        self.deadline = None
        return [StopSdp()]

    def receive(self, item: Output, now: float) -> list[Output]:
        self.deadline = now + 2.0
        return [StartSdp(), StopSdp()]


def test_node_records_once_and_carries_out_in_order() -> None:
    core = Core()
    log: list[tuple[float, str, str, object]] = []
    done: list[Output] = []
    node = Node("evse.x", core, lambda o, now: done.append(o), lambda *a: log.append(a))
    assert node.deadline == NEVER
    item = LinkChanged(up=True)
    assert node.feed(core.receive, item, 1.0) == [StartSdp(), StopSdp()]
    assert node.deadline == 3.0
    node.fire(3.0)
    assert node.deadline == NEVER
    assert done == [StartSdp(), StopSdp(), StopSdp()]
    assert log == [
        (1.0, "evse.x", "in", item),
        (1.0, "evse.x", "out", StartSdp()),
        (1.0, "evse.x", "out", StopSdp()),
        (3.0, "evse.x", "out", StopSdp()),
    ]


def test_node_sees_a_deadline_set_outside_when_told() -> None:
    core = Core()
    node = Node("n", core, lambda o, now: None)
    core.deadline = 4.0
    assert node.deadline == NEVER
    node.rearm()
    assert node.deadline == 4.0


# --- SimLoop -------------------------------------------------------------------------------------


class Ticker:
    def __init__(self, name: str, deadline: float, log: list[tuple[str, float]]) -> None:
        self.name, self.deadline, self.log = name, deadline, log

    def fire(self, now: float) -> None:
        self.log.append((self.name, now))
        self.deadline = NEVER


def test_virtual_time_goes_from_deadline_to_deadline_in_order() -> None:
    loop, log = SimLoop(10.0), list[tuple[str, float]]()
    loop.add(Ticker("late", 12.0, log))
    loop.add(Ticker("early", 11.0, log))
    loop.call_at(11.5, lambda now: log.append(("second", now)))
    loop.call_at(11.5, lambda now: log.append(("third", now)))
    loop.call_at(3.0, lambda now: log.append(("overdue", now)))
    assert loop.run(100.0) == 100.0
    assert log == [
        ("overdue", 10.0),  # time never goes back
        ("early", 11.0),
        ("second", 11.5),
        ("third", 11.5),
        ("late", 12.0),
    ]


def test_virtual_time_stops_where_it_is_told() -> None:
    loop, log = SimLoop(), list[float]()
    for at in (1.0, 2.0, 3.0):
        loop.call_at(at, log.append)
    assert loop.run(2.0) == 2.0
    assert log == [1.0, 2.0]
    assert loop.run(9.0, done=lambda: len(log) == 3) == 3.0
    assert loop.run(99.0) == 99.0
    assert log == [1.0, 2.0, 3.0]


def test_a_removed_one_is_not_woken() -> None:
    loop, log = SimLoop(), list[tuple[str, float]]()
    ticker = Ticker("x", 1.0, log)
    loop.add(ticker)
    loop.remove(ticker)
    loop.run(5.0)
    assert log == []


def test_a_deadline_that_does_not_move_is_found() -> None:
    class Stuck:
        deadline = 1.0
        count = 0

        def fire(self, now: float) -> None:
            self.count += 1

    loop, stuck = SimLoop(), Stuck()
    loop.add(stuck)
    with pytest.raises(ControllerError, match=r"time stands still at 1\.0+ s because of .*Stuck"):
        loop.run(2.0)
    assert stuck.count == STANDSTILL


# --- the real loop -------------------------------------------------------------------------------

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def ends() -> Iterator[Pair]:
    a, b = socket.socketpair()
    a.setblocking(False)
    b.setblocking(False)
    yield a, b
    a.close()
    b.close()


@pytest.fixture
def loop() -> Iterator[Loop]:
    loop = Loop()
    yield loop
    loop.close()


def test_real_loop_reads_and_stops(loop: Loop, ends: Pair) -> None:
    got: list[bytes] = []

    def readable(now: float) -> None:
        got.append(ends[0].recv(100))
        loop.stop()

    loop.watch(ends[0].fileno(), readable)
    ends[1].send(b"hello")
    loop.run()
    assert got == [b"hello"]


def test_what_was_forgotten_in_this_turn_is_not_called(loop: Loop) -> None:
    """A connection attempt is given up by what another socket brings, in the same turn."""
    log: list[int] = []
    pairs = [socket.socketpair() for _ in range(2)]

    def readable(number: int) -> None:
        log.append(number)
        for near, _ in pairs:
            loop.watch(near.fileno(), None)

    for number, (near, far) in enumerate(pairs):
        loop.watch(near.fileno(), lambda now, number=number: readable(number))  # type: ignore[misc]
        far.send(b"x")
    loop._dispatch(0.0)
    assert len(log) == 1
    for end in itertools.chain(*pairs):
        end.close()


def test_real_loop_keeps_deadlines_and_order(loop: Loop) -> None:
    log: list[str] = []
    now = loop.now()
    loop.call_at(now + 0.002, lambda at: log.append("b"))
    loop.call_at(now + 0.002, lambda at: loop.stop())
    loop.call_at(now + 0.001, lambda at: log.append("a"))
    loop.call_at(now - 1.0, lambda at: log.append("overdue"))
    loop.run()
    assert log == ["overdue", "a", "b"]
    assert loop.now() >= now + 0.002


def test_timers_do_not_starve_sockets(loop: Loop, ends: Pair) -> None:
    """A timer that is always due still lets each turn look at the sockets."""

    class Always:
        deadline = 0.0
        fired = 0

        def fire(self, now: float) -> None:
            self.fired += 1
            if self.fired > 1000:
                loop.stop()

    always = Always()
    loop.add(always)
    loop.watch(ends[0].fileno(), lambda now: loop.stop())
    ends[1].send(b"x")
    loop.run()
    assert always.fired == 1


def test_watching_for_writing_and_forgetting(loop: Loop, ends: Pair) -> None:
    fd, log = ends[0].fileno(), list[str]()

    def writable(now: float) -> None:
        log.append("writable")
        loop.watch(fd, readable)

    def readable(now: float) -> None:
        log.append("readable")
        loop.stop()

    loop.watch(fd, None, writable)
    ends[1].send(b"x")
    loop.run()
    assert log == ["writable", "readable"]
    loop.watch(fd, None)
    loop.watch(fd, None)  # forgetting twice is allowed
    loop.call_at(loop.now(), lambda now: loop.stop())
    loop.run()
    assert log == ["writable", "readable"]


def test_an_exception_of_a_callback_ends_the_loop(loop: Loop) -> None:
    loop.call_at(0.0, lambda now: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        loop.run()


def test_a_stepped_loop_says_when_it_is_idle(ends: Pair) -> None:
    """The site hands out the time; `on_idle` comes once per step, after all that is due."""
    clock = SteppedClock()
    log: list[tuple[str, float]] = []
    loop = Loop(clock)

    def idle(deadline: float) -> None:
        log.append(("idle until", deadline))
        if deadline == NEVER:
            loop.stop()
        os.write(ends[1].fileno(), b"t")  # the site's next step

    def tick(now: float) -> None:
        ends[0].recv(1)
        clock.advance(now + 1.0)

    loop.on_idle = idle
    loop.watch(ends[0].fileno(), tick)
    loop.call_at(2.0, lambda now: log.append(("called", now)))
    loop.run()
    loop.close()
    assert log == [
        ("idle until", 2.0),
        ("idle until", 2.0),
        ("called", 2.0),
        ("idle until", NEVER),
    ]


def test_callbacks_get_the_clocks_time(loop: Loop) -> None:
    seen: list[float] = []
    before = loop.now()
    loop.call_at(before, seen.append)
    loop.call_at(before, lambda now: loop.stop())
    loop.run()
    assert before <= seen[0] <= loop.now()


# --- the wall clock ------------------------------------------------------------------------------

PACKAGE = Path(loop_module.__file__).parent
ASKS_FOR_THE_DATE = re.compile(
    r"\b(time\.(time|time_ns|gmtime|localtime|strftime|ctime|asctime)\b|CLOCK_REALTIME|datetime\.(now|utcnow|today))"
)
MAY_NAME_FILES = {
    "calibrate.py",
    "loop.py",
    "modem_run.py",
    "service_trace.py",
    "session_folder.py",
}
"""Modules that want the date: for names of files and for captures, never for a deadline."""


def test_a_step_of_the_wall_clock_can_reach_nothing_but_names() -> None:
    """Who asks for the date does so through two functions of the loop, and they are few."""
    for path in PACKAGE.rglob("*.py"):
        text = path.read_text("utf-8")
        if path.name != "loop.py":
            assert not ASKS_FOR_THE_DATE.search(text), path
        if re.search(r"\b(utc_stamp|wall_time)\b", text):
            assert path.name in MAY_NAME_FILES, path
