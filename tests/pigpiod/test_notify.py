"""Reports in virtual time: filters, watchdogs, keep-alives, wrap, late looks, many pins."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.pigpiod.circuit import Bare
from controller.pigpiod.courses import NS
from controller.pigpiod.filters import GlitchFilter, NoiseFilter
from controller.pigpiod.notify import BUFFER_NS, Notifier
from controller.pigpiod.outputs import Outputs
from controller.pigpiod.pins import Pins
from controller.pigpiod.wire import FLAG_ALIVE, FLAG_EVENT, FLAG_WATCHDOG, REPORT, Status

if TYPE_CHECKING:
    from collections.abc import Iterable

MS, US = 1_000_000, 1000
START = 1000 * NS


class Bench:
    """Pins and a notifier; client 7 watches what it is told to."""

    def __init__(self, *watched: int, offset_us: int = 0) -> None:
        self.pins = Pins(Bare(), 0xFFFFFFC)
        self.outputs = Outputs(self.pins, 0xA02082)
        self.notifier = Notifier(self.pins, offset_us)
        self.at = START
        for gpio in (23, 24):
            self.outputs.write(gpio, 0, self.at)
        assert self.notifier.open(7, self.at) == 0
        self.notifier.handle_timer(self.at)
        bits = sum(1 << gpio for gpio in watched)
        assert self.notifier.begin(0, bits, self.at) == 0
        self.reports: list[tuple[int, int, int, int]] = []

    def run(self, until: int) -> None:
        """Handle every timer until a time."""
        while (due := self.notifier.next_timer()) is not None and due <= until:
            self.at = max(self.at, due)
            self.take(self.notifier.handle_timer(self.at))
        self.at = until

    def take(self, told: Iterable[tuple[int, bytes]]) -> None:
        for client, data in told:
            assert client == 7
            self.reports += REPORT.iter_unpack(data)

    def write(self, gpio: int, level: int, after: int) -> None:
        """Let time pass, then write."""
        self.run(self.at + after)
        self.outputs.write(gpio, level, self.at)

    def edges(self, gpio: int = 23) -> list[tuple[int, int]]:
        """(microseconds since the start, level) of the reports so far."""
        return [
            (tick - START // US & 0xFFFFFFFF, levels >> gpio & 1)
            for _, flags, tick, levels in self.reports
            if not flags
        ]


def test_edges_have_the_ticks_of_their_samples_and_come_every_millisecond() -> None:
    bench = Bench(23)
    bench.write(23, 1, 1_234_567)
    due = bench.notifier.next_timer()
    assert due == START + 2 * MS
    bench.write(23, 0, 100 * US)
    bench.run(START + 10 * MS)
    assert bench.edges() == [(1235, 1), (1335, 0)]
    assert [report[0] for report in bench.reports] == [0, 1]


def test_what_happens_at_the_instant_of_a_look_is_seen_by_the_next_one() -> None:
    bench = Bench(23)
    bench.write(23, 1, MS)
    bench.take(bench.notifier.handle_timer(bench.at))
    bench.write(23, 0, 0)
    bench.run(START + 10 * MS)
    assert bench.edges() == [(1000, 1), (1005, 0)]


def test_what_is_back_before_the_next_sample_was_not_there() -> None:
    bench = Bench(23)
    bench.write(23, 1, 1_000_100)
    bench.write(23, 0, 4_000)
    bench.run(START + 10 * MS)
    assert bench.reports == []


def test_ticks_wrap_within_one_batch() -> None:
    bench = Bench(23, offset_us=-(START // US) - 1000)
    bench.write(23, 1, 500 * US)
    bench.write(23, 0, 1000 * US)
    bench.run(START + 10 * MS)
    assert [tick for _, _, tick, _ in bench.reports] == [2**32 - 500, 500]


def test_sequence_numbers_wrap_at_16_bits() -> None:
    bench = Bench(23)
    bench.outputs.set_hardware_pwm(12, 10_000, 500_000, bench.at)
    bench.notifier.handle_timer(bench.at)
    bench.notifier.begin(0, 1 << 12, bench.at)
    bench.run(START + 4 * NS)
    numbers = [report[0] for report in bench.reports]
    assert len(numbers) > 70_000
    assert all((b - a) % 65_536 == 1 for a, b in pairwise(numbers))
    assert {
        tick_b - tick_a for (_, _, tick_a, _), (_, _, tick_b, _) in pairwise(bench.reports)
    } == {50}


def test_a_look_that_comes_late_has_lost_samples_but_not_the_order() -> None:
    bench = Bench(23)
    bench.outputs.set_pwm(23, 128, bench.at)  # 800 Hz
    bench.run(START + 20 * MS)
    bench.reports.clear()
    late = START + 20 * MS + 10 * NS
    bench.take(bench.notifier.handle_timer(late))
    assert len(bench.reports) == pytest.approx(2 * 0.8 * BUFFER_NS / MS, abs=3)
    levels = [level for _, level in bench.edges()]
    assert all(a != b for a, b in pairwise(levels))
    bench.reports.clear()
    bench.run(late + 2 * MS)
    assert len(bench.reports) in (3, 4)


def test_watchdogs_count_from_the_last_edge_and_tell_no_levels() -> None:
    bench = Bench(23)
    assert bench.notifier.set_watchdog(23, 10, bench.at) == 0
    bench.write(23, 1, 8 * MS)
    bench.run(START + 30 * MS)
    flags = [(flag, tick - START // US) for _, flag, tick, _ in bench.reports]
    assert flags == [(0, 8000), (FLAG_WATCHDOG | 23, 18_000), (FLAG_WATCHDOG | 23, 28_000)]
    bench.notifier.set_watchdog(24, 10, bench.at)  # nobody watches 24
    bench.notifier.set_watchdog(23, 0, bench.at)
    bench.reports.clear()
    bench.run(START + 100 * MS)
    assert bench.reports == []
    assert bench.notifier.set_watchdog(23, 60_001, bench.at) == Status.BAD_WDOG_TIMEOUT


def test_a_silent_handle_is_told_every_minute_that_it_lives() -> None:
    bench = Bench(23)
    bench.run(START + 150 * NS)
    assert [(flag, tick - START // US) for _, flag, tick, _ in bench.reports] == [
        (FLAG_ALIVE, 60_000_000),
        (FLAG_ALIVE, 120_000_000),
    ]


def test_events_reach_those_who_asked_also_without_pins() -> None:
    bench = Bench()
    assert bench.notifier.monitor_events(0, 1 << 5) == 0
    assert bench.notifier.monitor_events(31, 1) == Status.BAD_HANDLE
    for event in (4, 5):
        assert bench.notifier.trigger_event(event, bench.at) == 0
    bench.run(START + 5 * MS)
    assert [flag for _, flag, _, _ in bench.reports] == [FLAG_EVENT | 5]
    bench.run(START + 50 * MS)
    assert len(bench.reports) == 1


def test_several_pins_in_one_sample_are_one_report() -> None:
    bench = Bench(23, 24)
    bench.run(START + MS)
    bench.outputs.write_bank(1 << 23 | 1 << 24, 1, 0, bench.at)
    bench.run(START + 5 * MS)
    assert len(bench.reports) == 1
    assert bench.reports[0][3] >> 23 & 0b11 == 0b11


# --- filters -------------------------------------------------------------------------------------


def test_a_glitch_filter_in_the_reports_and_not_in_reads() -> None:
    bench = Bench(23)
    bench.notifier.set_glitch_filter(23, 1000, bench.at)
    bench.write(23, 1, MS + 500)
    assert bench.pins.read(23, bench.at) == 1
    bench.write(23, 0, 900 * US)
    bench.write(23, 1, 100 * US)
    bench.run(START + 20 * MS)
    assert bench.edges() == [(3005, 1)]  # first seen at 2005
    bench.notifier.handle_timer(bench.at)
    bench.notifier.set_glitch_filter(23, 0, bench.at)
    bench.write(23, 0, MS)
    bench.run(START + 30 * MS)
    assert bench.edges()[-1] == (21_000, 0)


def test_a_noise_filter_opens_after_quiet_and_closes_again() -> None:
    bench = Bench(23)
    bench.notifier.set_noise_filter(23, 2000, 3000, bench.at)
    bench.write(23, 1, MS)  # too early: not quiet for 2 ms
    bench.write(23, 0, MS)
    bench.write(23, 1, 5 * MS)  # quiet before: 3 ms of everything from here
    bench.write(23, 0, MS)
    bench.write(23, 1, MS)
    bench.run(START + 40 * MS)
    assert bench.edges() == [(7000, 1), (8000, 0), (9000, 1), (10_000, 0)]


EDGES = st.lists(st.integers(1, 40), max_size=25)


def signal(gaps: list[int]) -> list[tuple[int, int]]:
    at, found = 0, []
    for index, gap in enumerate(gaps):
        at += gap
        found.append((at, 1 - index % 2))
    return found


@settings(max_examples=300)
@given(EDGES, st.integers(1, 30))
def test_glitch_filter_against_a_sample_by_sample_one(gaps: list[int], steady: int) -> None:
    """The rule of the client's manual, applied to every sample."""
    edges = signal(gaps)
    end = (edges[-1][0] if edges else 0) + 50
    changed, level, reported = 0, 0, 0
    expected = []
    by_time = dict(edges)
    for at in range(1, end + 1):
        if at in by_time:
            level, changed = by_time[at], at
        if level != reported and at - changed >= steady:
            reported = level
            expected.append((at, level))
    under_test = GlitchFilter(steady, 0, 0)
    found = [report for edge in edges for report in under_test.put(*edge)]
    assert found + under_test.expire(end) == expected


@settings(max_examples=300)
@given(EDGES, st.integers(1, 30), st.integers(0, 60))
def test_noise_filter_reports_alternate_and_end_where_it_began(
    gaps: list[int], steady: int, active: int
) -> None:
    edges = signal(gaps)
    under_test = NoiseFilter(steady, active, 0, 0)
    found = [report for edge in edges for report in under_test.put(*edge)]
    found += under_test.expire((edges[-1][0] if edges else 0) + 1000)
    assert under_test.next_timer() is None
    times = [at for at, _ in found]
    assert times == sorted(times)
    levels = [0, *(level for _, level in found)]
    assert all(a != b for a, b in pairwise(levels))
    quiet = [gap >= steady for gap in gaps]
    assert bool(found) <= any(quiet)
