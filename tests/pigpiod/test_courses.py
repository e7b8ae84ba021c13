"""Courses of a line: levels and edges agree; sampling sees what a sampler sees."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.pigpiod.courses import (
    HIGH,
    LOW,
    Course,
    Inverted,
    Pattern,
    Pulses,
    Steady,
    Switched,
    pulses,
    sampled,
    to_ns,
)


def alternating(draw: st.DrawFn, longest: int) -> tuple[tuple[int, int], ...]:
    times = draw(st.lists(st.integers(0, longest), min_size=1, max_size=6, unique=True))
    first = draw(st.integers(0, 1))
    return tuple((at, (first + index) % 2) for index, at in enumerate(sorted(times)))


@st.composite
def courses(draw: st.DrawFn, depth: int = 2) -> Course:
    kind = draw(st.sampled_from(["steady", "pulses", "pattern", "again", "switched", "inverted"]))
    if kind == "pulses":
        period = draw(st.integers(2, 40))
        return Pulses(draw(st.integers(-30, 30)), period, draw(st.integers(1, period - 1)))
    if kind == "pattern":
        return Pattern(draw(st.integers(-30, 30)), alternating(draw, 40))
    if kind == "again":
        changes = alternating(draw, 40)
        return Pattern(
            draw(st.integers(-30, 30)), changes, changes[-1][0] + draw(st.integers(1, 9))
        )
    if kind == "switched" and depth:
        before, after = draw(courses(depth - 1)), draw(courses(depth - 1))
        return Switched(before, draw(st.integers(-40, 60)), after)
    if kind == "inverted" and depth:
        return Inverted(draw(courses(depth - 1)))
    return Steady(draw(st.integers(0, 1)))


def looked_at(course: Course, after: int, until: int) -> list[tuple[int, int]]:
    """The edges, found the slow way."""
    times = range(after + 1, until + 1)
    return [(t, course.level(t)) for t in times if course.level(t) != course.level(t - 1)]


@settings(max_examples=400)
@given(courses(), st.integers(-60, 60), st.integers(0, 120))
def test_edges_are_where_the_level_changes(course: Course, after: int, length: int) -> None:
    assert course.edges(after, after + length) == looked_at(course, after, after + length)


@settings(max_examples=300)
@given(courses(), st.integers(-60, 60))
def test_next_edge_is_never_too_late(course: Course, after: int) -> None:
    found = looked_at(course, after, after + 400)
    promised = course.next_edge(after)
    if found:
        assert promised is not None
        assert after < promised <= found[0][0]
    elif promised is not None:
        assert promised > after  # something may change there, though it does not


@settings(max_examples=300)
@given(courses(), st.integers(-60, 60), st.integers(0, 90))
def test_settled_keeps_all_that_is_to_come(course: Course, at: int, later: int) -> None:
    assert course.settled(at).level(at + later) == course.level(at + later)


@settings(max_examples=300)
@given(courses(), st.integers(-60, 60), st.integers(0, 120), st.integers(1, 12), st.integers(-9, 9))
def test_sampling_sees_what_a_sampler_sees(
    course: Course, after: int, length: int, step: int, origin: int
) -> None:
    until = after + length
    samples = [t for t in range(after - step, until + 1) if (t - origin) % step == 0]
    expected = [
        (t, course.level(t))
        for t in samples
        if after < t and course.level(t) != course.level(t - step)
    ]
    assert sampled(course, after, until, origin, step) == expected


@settings(max_examples=200)
@given(st.lists(st.tuples(courses(1), st.integers(-40, 60)), max_size=6), courses(1))
def test_a_long_chain_of_switches(chain: list[tuple[Course, int]], first: Course) -> None:
    """Also with switches that never come to be, because a later word overtook them."""
    course = first
    for after, at in chain:
        course = Switched(course, at, after)
    assert course.edges(-60, 120) == looked_at(course, -60, 120)
    for at in (-30, 0, 30):
        settled = course.settled(at)
        assert settled.edges(at, 120) == course.edges(at, 120)
        promised = course.next_edge(at)
        found = looked_at(course, at, 200)
        assert not found or (promised is not None and at < promised <= found[0][0])


def test_thousands_of_switches_are_no_matter() -> None:
    course: Course = LOW
    for number in range(5000):
        course = Switched(course, number, HIGH if number % 2 else LOW)
    assert course.level(4999) == 1
    assert len(course.edges(-1, 5000)) == 4999
    assert course.next_edge(10) == 11
    assert course.settled(5000) is HIGH


@pytest.mark.parametrize(("high", "expected"), [(0, LOW), (10, HIGH), (11, HIGH), (-1, LOW)])
def test_pulses_of_none_and_all_are_steady(high: int, expected: Course) -> None:
    assert pulses(0, 10, high) is expected


def test_a_finished_pattern_is_its_last_level() -> None:
    assert Pattern(100, ((0, 1), (50, 0))).settled(151) is LOW
    assert isinstance(Pattern(100, ((0, 1), (50, 0))).settled(120), Pattern)
    assert Inverted(Switched(LOW, 5, HIGH)).settled(5) is LOW


def test_a_long_uptime_keeps_the_microsecond() -> None:
    assert to_ns(1_000_000.000001) // 1000 == 1_000_000_000_001
