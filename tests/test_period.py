"""A fixed period: absolute instants, skipped ones, who was to blame, how late in percentiles."""

from __future__ import annotations

import signal
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.loop import PreciseClock
from controller.period import NS, Lateness, PeriodLoop

PERIOD_NS = 5_000_000


class FakeClock:
    """Time that passes only by sleeping, by work, and by what the machine steals."""

    def __init__(self) -> None:
        self.ns = 1_000_000_000
        self.late_ns = 0
        self.interrupted = False

    def now_ns(self) -> int:
        return self.ns

    def sleep_until(self, at_ns: int) -> bool:
        if self.interrupted:
            self.interrupted = False
            return False
        self.ns = max(self.ns, at_ns) + self.late_ns
        self.late_ns = 0
        return True

    def work(self, ms: float) -> None:
        self.ns += round(ms * 1e6)


class Rig:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.work_ms = {"read": 0.1, "decide": 0.2, "report": 0.1}
        self.ran: list[tuple[str, float]] = []
        self.loop = PeriodLoop(
            0.005, [(name, self._section(name)) for name in self.work_ms], self.clock
        )
        self.loop.start()
        self.origin_ns = self.clock.ns

    def _section(self, name: str):  # type: ignore[no-untyped-def]  # noqa: ANN202
        def run(now: float) -> None:
            self.ran.append((name, now))
            self.clock.work(self.work_ms[name])

        return run

    def begun(self) -> list[float]:
        """Instants of the periods that ran, in periods since the start."""
        times = [now for name, now in self.ran if name == "read"]
        return [(now - self.origin_ns / NS) / 0.005 for now in times]


def test_sections_run_in_order_at_absolute_instants() -> None:
    rig = Rig()
    for _ in range(4):
        assert rig.loop.turn()
    assert [name for name, _ in rig.ran[:6]] == ["read", "decide", "report"] * 2
    assert rig.begun() == pytest.approx([1, 2, 3, 4])
    assert rig.loop.periods == 4
    assert rig.loop.overruns == rig.loop.skipped == 0
    assert rig.loop.culprit == ""


def test_each_section_is_given_the_time_at_which_it_begins() -> None:
    rig = Rig()
    rig.loop.turn()
    times = [now - rig.origin_ns / NS for _, now in rig.ran]
    assert times == pytest.approx([0.005, 0.0051, 0.0053])


def test_a_late_wake_up_shifts_nothing() -> None:
    rig = Rig()
    rig.loop.turn()
    rig.clock.late_ns = 2_000_000
    rig.loop.turn()
    rig.loop.turn()
    assert rig.begun() == pytest.approx([1, 2.4, 3])
    assert rig.loop.skipped == 0
    assert rig.loop.lateness.worst_ns == 2_000_000


@pytest.mark.parametrize(
    ("work_ms", "skipped", "next_at"),
    [(4.6, 0, 2), (4.9, 1, 3), (5.0, 1, 3), (9.6, 1, 3), (9.8, 2, 4), (52.0, 10, 12)],
)
def test_what_is_past_is_skipped_and_never_caught_up(
    work_ms: float, skipped: int, next_at: int
) -> None:
    rig = Rig()
    rig.work_ms["decide"] = work_ms
    rig.loop.turn()
    rig.work_ms["decide"] = 0.2
    rig.loop.turn()
    rig.loop.turn()
    assert rig.begun() == pytest.approx([1, next_at, next_at + 1])
    assert rig.loop.skipped == skipped
    assert rig.loop.overruns == (skipped > 0)
    assert rig.loop.periods == 3


def test_the_culprit_is_the_longest_section_of_that_period() -> None:
    rig = Rig()
    rig.work_ms = {"read": 1.0, "decide": 3.0, "report": 2.0}
    rig.loop.turn()
    assert rig.loop.culprit == "decide (3.0 ms)"
    rig.work_ms = {"read": 4.9, "decide": 0.0, "report": 0.0}
    rig.loop.turn()
    assert rig.loop.culprit == "decide (3.0 ms)"  # nothing new: the last overrun's stays
    rig.work_ms = {"read": 8.0, "decide": 0.0, "report": 0.0}
    rig.loop.turn()
    assert rig.loop.culprit == "read (8.0 ms)"


def test_the_worst_of_several_is_remembered_until_it_was_told() -> None:
    rig = Rig()
    for decide_ms in (7.0, 30.0, 9.0):
        rig.work_ms["decide"] = decide_ms
        rig.loop.turn()
    assert rig.loop.culprit == "decide (9.0 ms)"
    assert rig.loop.worst == "decide (30.0 ms)"
    rig.loop.forget_worst()
    assert rig.loop.worst == ""
    rig.loop.turn()
    assert rig.loop.worst == "decide (9.0 ms)"


def test_the_machine_is_the_culprit_when_it_woke_us_late() -> None:
    rig = Rig()
    rig.clock.late_ns = 40_000_000
    rig.loop.turn()
    assert rig.loop.culprit.startswith("the machine")
    assert "40.0 ms" in rig.loop.culprit
    assert rig.loop.skipped == 8


def test_a_signal_that_ends_the_sleep_runs_nothing() -> None:
    rig = Rig()
    rig.clock.interrupted = True
    assert not rig.loop.turn()
    assert rig.ran == []
    rig.loop.turn()
    assert rig.begun() == pytest.approx([1])


def test_it_runs_until_stopped() -> None:
    clock, count = FakeClock(), [0]

    def section(now: float) -> None:
        count[0] += 1
        if count[0] == 7:
            loop.stop()

    loop = PeriodLoop(0.001, [("only", section)], clock)
    loop.run()
    assert count == [7]
    assert clock.ns == 1_000_000_000 + 7 * 1_000_000


# --- lateness ------------------------------------------------------------------------------------


@given(st.lists(st.integers(-1000, 40 * NS), min_size=1, max_size=200))
def test_percentiles_are_those_of_the_sorted_list_within_a_bucket(lates: list[int]) -> None:
    lateness = Lateness()
    for late in lates:
        lateness.add(late)
    ordered = sorted(max(late, 0) for late in lates)
    for percent in (50, 99, 99.9, 100):
        rank = max(0, -(-len(ordered) * percent // 100) - 1)
        exact = min(ordered[min(int(rank), len(ordered) - 1)], 33 * NS)
        (found,) = lateness.percentiles_s(percent)
        assert found * NS <= max(exact * 1.07 + 1000, lateness.worst_ns if exact > 32 * NS else 0)
        assert found * NS >= min(exact, lateness.worst_ns) * 0.999 - 1 or exact > 32 * NS


def test_percentiles_of_nothing() -> None:
    assert Lateness().percentiles_s(50, 99) == [0.0, 0.0]


def test_several_percentiles_at_once() -> None:
    lateness = Lateness()
    for late_us in range(1, 1001):
        lateness.add(late_us * 1000)
    p50, p99, p100 = lateness.percentiles_s(50, 99, 100)
    assert p50 == pytest.approx(500e-6, rel=0.07)
    assert p99 == pytest.approx(990e-6, rel=0.07)
    assert p100 == pytest.approx(1000e-6)


def test_counting_allocates_nothing_however_long() -> None:
    lateness = Lateness()
    for late in range(1000):
        lateness.add(late * 977)
    before = sys.getallocatedblocks()
    for late in range(200_000):
        lateness.add(late * 977)
    assert sys.getallocatedblocks() - before < 20


# --- the real clock ------------------------------------------------------------------------------


def test_the_precise_clock_sleeps_to_an_instant() -> None:
    clock = PreciseClock()
    at = clock.now_ns() + 2_000_000
    assert clock.sleep_until(at)
    assert clock.now_ns() >= at
    assert clock.sleep_until(clock.now_ns() - NS)  # what is past: at once


def test_a_signal_ends_the_sleep() -> None:
    clock, rung = PreciseClock(), [0]

    def ring(*_: object) -> None:
        rung[0] += 1

    before = signal.signal(signal.SIGALRM, ring)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.02)
        began = clock.now_ns()
        assert not clock.sleep_until(began + 60 * NS)
        assert clock.now_ns() - began < 59 * NS
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert rung == [1]


def test_a_step_of_the_wall_clock_moves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks the wall clock in the loop gets an error, and nobody does."""

    def stepped() -> float:
        raise AssertionError("asked for the date")

    for name in ("time", "time_ns", "gmtime", "localtime"):
        monkeypatch.setattr(time, name, stepped)
    clock, count = PreciseClock(), [0]

    def section(now: float) -> None:
        count[0] += 1
        if count[0] == 5:
            loop.stop()

    loop = PeriodLoop(0.001, [("only", section)], clock)
    loop.run()
    assert count == [5]
