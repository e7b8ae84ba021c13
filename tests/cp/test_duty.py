"""The steps between two duty cycles: what waits, what never waits, and what a vehicle sees."""

from __future__ import annotations

from itertools import pairwise
from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.cp import timing
from controller.cp.duty import DutySteps, Kind, kind_of, meaningful

HIGH, LOW, DIGITAL = 1.0, 0.0, 0.05
SHORTLY = 0.001


class Player:
    """Plays wishes against a `DutySteps`, firing its timer; notes every change."""

    def __init__(self, *, vehicle: bool = True) -> None:
        self.steps = DutySteps()
        if not vehicle:
            self.steps.vehicle_left()
        self.now = 100.0
        self.changes: list[tuple[float, float]] = []

    def want(self, duty: float) -> None:
        self.note(self.steps.want(duty, self.now))

    def run(self, seconds: float) -> None:
        until = self.now + seconds
        while (due := self.steps.next_timer()) is not None and due <= until:
            self.now = max(self.now, due)
            self.note(self.steps.step(self.now))
        self.now = until

    def note(self, duty: float) -> None:
        if duty != (self.changes[-1][1] if self.changes else HIGH):
            self.changes.append((self.now, duty))

    def follow(self, wishes: list[tuple[float, float]]) -> list[tuple[float, float]]:
        """Wish (seconds after the one before, duty); return changes, seconds after the first."""
        began = self.now
        for after_s, duty in wishes:
            self.run(after_s)
            self.want(duty)
        self.run(30.0)
        return [(round(at - began, 3), duty) for at, duty in self.changes]


@pytest.mark.parametrize(
    ("wishes", "driven"),
    [
        # from X1 at once; to X1 and F at once
        ([(0, DIGITAL)], [(0, DIGITAL)]),
        ([(0, 0.5)], [(0, 0.5)]),
        ([(0, DIGITAL), (0.1, HIGH)], [(0, DIGITAL), (0.1, HIGH)]),
        ([(0, DIGITAL), (0.1, LOW)], [(0, DIGITAL), (0.1, LOW)]),
        ([(0, LOW)], [(0, LOW)]),
        # a current changes every 5 s at most, and only the last wish counts
        ([(0, 0.5), (1, 0.2)], [(0, 0.5), (5, 0.2)]),
        ([(0, 0.5), (7, 0.2)], [(0, 0.5), (7, 0.2)]),
        ([(0, 0.5), (1, 0.2), (1, 0.3), (1, 0.4)], [(0, 0.5), (5, 0.4)]),
        ([(0, 0.5), (1, 0.2), (1, 0.5)], [(0, 0.5)]),
        ([(0, 0.5), (6, 0.2), (1, 0.3)], [(0, 0.5), (6, 0.2), (11, 0.3)]),
        ([(0, 0.5), (1, 0.2), (1, HIGH)], [(0, 0.5), (2, HIGH)]),
        # off and on again: not more often either
        ([(0, 0.5), (1, HIGH), (0.5, 0.5)], [(0, 0.5), (1, HIGH), (5, 0.5)]),
        ([(0, DIGITAL), (9, HIGH), (0.5, DIGITAL)], [(0, DIGITAL), (9, HIGH), (9.5, DIGITAL)]),
        # between 5 % and a current: X1 for 3 s
        ([(0, DIGITAL), (20, 0.5)], [(0, DIGITAL), (20, HIGH), (23, 0.5)]),
        ([(0, 0.5), (20, DIGITAL)], [(0, 0.5), (20, HIGH), (23, DIGITAL)]),
        ([(0, DIGITAL), (1, 0.5)], [(0, DIGITAL), (1, HIGH), (5, 0.5)]),
        ([(0, DIGITAL), (20, HIGH), (1, 0.5)], [(0, DIGITAL), (20, HIGH), (23, 0.5)]),
        ([(0, DIGITAL), (20, HIGH), (9, 0.5)], [(0, DIGITAL), (20, HIGH), (29, 0.5)]),
        ([(0, DIGITAL), (20, 0.5), (1, DIGITAL)], [(0, DIGITAL), (20, HIGH), (21, DIGITAL)]),
        # F for 4 s, X1 for 750 ms
        (
            [(0, DIGITAL), (9, LOW), (1, DIGITAL)],
            [(0, DIGITAL), (9, LOW), (13, HIGH), (13.75, DIGITAL)],
        ),
        (
            [(0, DIGITAL), (9, LOW), (4, HIGH), (0.2, 0.5)],
            [(0, DIGITAL), (9, LOW), (13, HIGH), (13.75, 0.5)],
        ),
        ([(0, DIGITAL), (9, LOW), (1, HIGH)], [(0, DIGITAL), (9, LOW), (13, HIGH)]),
        ([(0, DIGITAL), (9, LOW), (9, LOW)], [(0, DIGITAL), (9, LOW)]),
        # what has no meaning is X1
        ([(0, DIGITAL), (1, 0.075)], [(0, DIGITAL), (1, HIGH)]),
        ([(0, DIGITAL), (1, 0.02)], [(0, DIGITAL), (1, HIGH)]),
        ([(0, DIGITAL), (1, 0.98)], [(0, DIGITAL), (1, HIGH)]),
        ([(0, DIGITAL), (1, nan)], [(0, DIGITAL), (1, HIGH)]),
    ],
)
def test_what_is_driven_when(
    wishes: list[tuple[float, float]], driven: list[tuple[float, float]]
) -> None:
    assert Player().follow(wishes) == driven


def test_without_a_vehicle_nothing_has_to_wait() -> None:
    player = Player(vehicle=False)
    assert player.follow([(0, LOW), (0.1, HIGH)]) == [(0, LOW), (0.1, HIGH)]


def test_the_next_vehicle_knows_of_nothing() -> None:
    player = Player()
    player.follow([(0, DIGITAL), (0.5, HIGH)])
    player.changes.clear()
    player.steps.vehicle_left()
    player.steps.vehicle_came()
    player.want(0.5)
    assert [duty for _, duty in player.changes] == [0.5]


@pytest.mark.parametrize(
    ("duty", "is_driven"),
    [
        (0.0, True),
        (1.0, True),
        (0.05, True),
        (0.03, True),
        (0.07, True),
        (0.08, True),
        (0.1, True),
        (0.97, True),
        (0.029, False),
        (0.071, False),
        (0.079, False),
        (0.971, False),
        (-0.1, False),
        (1.1, False),
        (inf, False),
        (nan, False),
    ],
)
def test_only_what_means_something_is_driven(duty: float, is_driven: bool) -> None:
    assert meaningful(duty) == (duty if is_driven else HIGH)


WISHES = st.lists(
    st.tuples(
        st.floats(0.0, 8.0),
        st.sampled_from([HIGH, LOW, DIGITAL, 0.04, 0.1, 0.3, 0.5, 0.96]) | st.floats(-0.1, 1.1),
    ),
    max_size=30,
)


@given(WISHES)
def test_a_vehicle_can_follow_whatever_is_wished(wishes: list[tuple[float, float]]) -> None:
    """What every row above has in common, for any wishes (a flood of requests included)."""
    player = Player()
    player.follow(wishes)
    changes = [(90.0, HIGH), *player.changes]
    meant, began_at = Kind.STEADY, -inf
    for (_, before), (at, duty) in pairwise(changes):
        kind = kind_of(duty)
        if kind is Kind.STEADY:
            assert not (before == LOW and duty == LOW)
            continue
        assert before != LOW, "F ends in X1"
        assert at - began_at >= timing.DUTY_CHANGE_S - SHORTLY
        if meant not in (Kind.STEADY, kind):
            assert kind_of(before) is Kind.STEADY
            _stepped(changes, at)
        meant, began_at = kind, at
    for (since, duty), (until, _) in pairwise(player.changes):
        if duty == LOW:
            assert until - since >= timing.T_STEP_EF_S - SHORTLY


def _stepped(changes: list[tuple[float, float]], at: float) -> None:
    """Check that the way to what began at `at` led through X1 or F long enough."""
    index = next(i for i, change in enumerate(changes) if change[0] == at)
    x1_since, x1 = changes[index - 1]
    assert x1 == HIGH
    after_f = changes[index - 2][1] == LOW
    needed_s = timing.T_HOLD_X1_S if after_f else timing.T_STEP_X1_S
    assert at - x1_since >= needed_s - SHORTLY


@given(WISHES)
def test_the_last_wish_is_always_reached(wishes: list[tuple[float, float]]) -> None:
    player = Player()
    player.follow(wishes)
    player.run(20.0)
    assert player.steps.driven == player.steps.wanted
    assert player.steps.next_timer() is None
