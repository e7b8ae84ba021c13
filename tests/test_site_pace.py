"""Steps of a simulated site: one period each, larger only while nothing happens."""

from __future__ import annotations

import itertools

import pytest

from controller.communication import HEARTBEAT_S
from controller.realtime_base import HEARTBEAT_TIMEOUT_S
from controller.site_pace import QUIET_S, QUIET_STEP_S, Pace


@pytest.mark.parametrize("step_s", [0.001, 0.005, 0.02])
def test_a_step_is_a_period(step_s: float) -> None:
    pace = Pace(step_s)
    assert [pace.step(quiet=False) for _ in range(4)] == [n * step_s for n in (1, 2, 3, 4)]


@pytest.mark.parametrize("step_s", [0.001, 0.005, 0.01, 0.02])
def test_quiet_steps_grow_and_end_at_once(step_s: float) -> None:
    pace = Pace(step_s)
    times = [0.0] + [pace.step(quiet=True) for _ in range(12)]
    lengths = [round(b - a, 9) for a, b in itertools.pairwise(times)]
    assert lengths == sorted(lengths)
    assert QUIET_STEP_S / 2 < lengths[-1] <= QUIET_STEP_S + 1e-9
    before = times[-1]
    assert pace.step(quiet=False) - before == pytest.approx(step_s)


@pytest.mark.parametrize("step_s", [0.001, 0.005, 0.01, 0.02])
@pytest.mark.parametrize("phase", range(20))
def test_a_heartbeat_is_always_fresh(step_s: float, phase: int) -> None:
    """Whenever it becomes quiet: realtime looks in each step before the next beat can come."""
    pace = Pace(step_s)
    beat_at = 0.0
    for number in range(200):
        now = pace.step(quiet=number > 50 + phase)
        assert now - beat_at < HEARTBEAT_TIMEOUT_S
        if now >= beat_at + HEARTBEAT_S - 1e-6:
            beat_at = now


def test_an_event_ends_the_quiet() -> None:
    pace = Pace(0.005)
    assert pace.is_quiet(QUIET_S + 0.01, steady=True)
    assert not pace.is_quiet(QUIET_S + 0.01, steady=False)
    pace.touch(5.0)
    assert not pace.is_quiet(5.0 + QUIET_S, steady=True)
    assert pace.is_quiet(5.01 + QUIET_S, steady=True)
