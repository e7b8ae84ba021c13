"""B-C-B toggles: what is one, what is none, how they are counted, and what they may never do."""

from __future__ import annotations

import pytest

from controller.cp import timing
from controller.cp.levels import Level
from controller.cp.toggles import BcbWatch
from controller.signals import BcbToggled, PilotChanged
from tests.cp.test_evse import PERIOD_S, Bench

LEVELS = {level.value: level for level in Level}


def play(trace: str, lasts_s: list[float]) -> list[BcbToggled]:
    """Feed believed levels, each of which lasts so long."""
    watch, before, at = BcbWatch(), None, 10.0
    found: list[BcbToggled] = []
    for letter, lasted_s in zip(trace, lasts_s, strict=True):
        toggled = watch.level_changed(before, LEVELS[letter], at)
        found += [toggled] if toggled else []
        before = LEVELS[letter]
        at += lasted_s
    return found


@pytest.mark.parametrize(
    ("closed_s", "counts"),
    [
        (0.1, False),
        (0.149, False),
        (0.151, True),
        (0.2, True),
        (0.3, True),
        (0.4, True),
        (0.449, True),
        (0.451, False),
        (1.0, False),
    ],
)
@pytest.mark.parametrize("trace", ["BCB", "ABCB", "BDB", "ABCDCB"])
def test_how_long_a_toggle_lasts(trace: str, closed_s: float, counts: bool) -> None:
    lasts = [
        closed_s / (len(trace) - 3) if c in "CD" and len(trace) > 4 else closed_s for c in trace
    ]
    found = play(trace, lasts)
    assert len(found) == counts
    if counts:
        assert found[0].duration_s == pytest.approx(closed_s)
        assert found[0].count == 1


@pytest.mark.parametrize("trace", ["ACB", "BCA", "BCE", "ECB", "FCB", "BCF", "AB", "CB", "BCEB"])
def test_what_is_no_toggle(trace: str) -> None:
    assert play(trace, [0.3] * len(trace)) == []


def test_a_series_is_counted_and_begins_anew_after_3_5_s() -> None:
    found = play("BCBCBCB", [0.3] * 7)
    assert [t.count for t in found] == [1, 2, 3]
    slow = play("BCBCBCB", [0.3, 0.3, 3.2, 0.3, 3.0, 0.3, 0.3])
    assert [t.count for t in slow] == [1, 1, 2]


@pytest.mark.parametrize("way", ["A", "E"])
def test_unplugging_ends_a_series(way: str) -> None:
    found = play(f"BCBC{way}BCB", [0.3] * 8)
    assert [t.count for t in found] == [1, 1]


@pytest.mark.parametrize("period_s", [0.001, 0.005, 0.02])
@pytest.mark.parametrize("duty", [1.0, 0.05])
@pytest.mark.parametrize("closed_s", [0.2, 0.3, 0.4])
def test_a_toggle_of_the_circuit_is_told(period_s: float, duty: float, closed_s: float) -> None:
    """With and without oscillator: a sleeping vehicle wakes the charger in B1."""
    bench = Bench(period_s)
    bench.run(0.05)
    bench.circuit.plugged = True
    bench.run(0.05)
    bench.ask(duty)
    bench.run(0.1)
    for count in (1, 2, 3):
        bench.circuit.s2_closed = True
        bench.run(closed_s)
        bench.circuit.s2_closed = False
        bench.run(0.3)
        toggled = bench.out[-1]
        assert isinstance(toggled, BcbToggled)
        assert isinstance(bench.out[-2], PilotChanged)  # the state first, what it meant after
        assert toggled.count == count
        assert toggled.duration_s == pytest.approx(closed_s, abs=2 * period_s + 0.001)


def test_power_since() -> None:
    bench = Bench()
    bench.to_c2()
    since = bench.pilot.power_since
    assert since == pytest.approx(bench.now - 0.05 + 2 * PERIOD_S)
    bench.circuit.r3_ohm = 270.0  # C to D is no new wish
    bench.run(0.1)
    assert bench.pilot.power_since == since
    bench.circuit.s2_closed = False
    bench.run(0.1)
    assert bench.pilot.power_since > 1e9


def test_figures_are_those_of_the_standard() -> None:
    """200 to 400 ms, +-50 ms; a series within TT_EVSE_vald_toggle (3.5 s, +0.2 s)."""
    figures = (timing.BCB_SHORTEST_S, timing.BCB_LONGEST_S, timing.BCB_SERIES_S)
    assert figures == (0.15, 0.45, 3.7)
