"""Table A.6, timed: what begins a sequence, what ends it, what is told."""

from __future__ import annotations

import pytest

from controller.cp import timing
from controller.cp.sequences import AC_SEQUENCES, SEQUENCES, End, SequenceWatch
from controller.signals import ContactorReading, ControlPilotState, Output, SequenceTimed

S = ControlPilotState
STEP_S = 0.005


def play(
    trace: list[tuple[str, bool | None, float]], *, ac: bool = True
) -> list[tuple[str, float, bool]]:
    """Play (state, power, seconds); return (number, took, kept) of what was told."""
    watch, now = SequenceWatch(AC_SEQUENCES if ac else SEQUENCES), 50.0
    out: list[Output] = []
    for name, power, seconds in trace:
        for _ in range(round(seconds / STEP_S)):
            feedback = ContactorReading(power is True, now, valid=power is not None)
            out += watch.follow(S(name), feedback, now, on=power is True)
            now += STEP_S
    told = [item for item in out if isinstance(item, SequenceTimed)]
    assert len(told) == len(out)
    return [(t.number, round(t.took_s, 3), t.kept) for t in told]


LIMIT = {row.number: row.limit_s for row in AC_SEQUENCES}


@pytest.mark.parametrize(
    ("trace", "told"),
    [
        # 8.1: the vehicle opens S2
        ([("C2", True, 1), ("B2", True, 0.03), ("B2", False, 1)], [("8.1", 0.03, True)]),
        ([("C2", True, 1), ("B2", True, 0.09), ("B2", False, 1)], [("8.1", 0.09, True)]),
        ([("C2", True, 1), ("B2", True, 1)], [("8.1", 0.105, False)]),
        ([("D2", True, 1), ("B1", False, 1)], []),  # off with the news: nothing to wait for
        ([("C2", False, 1), ("B2", False, 1)], []),  # nothing was on
        ([("C2", True, 1), ("B2", None, 1)], []),
        # 2: unplugged
        ([("C2", True, 1), ("A2", True, 0.05), ("A2", False, 1)], [("2", 0.05, True)]),
        ([("B2", False, 1), ("A2", False, 1)], []),
        # 12: short circuit
        ([("C2", True, 1), ("E", True, 0.02), ("E", False, 1)], [("12", 0.02, True)]),
        ([("C2", True, 1), ("E", True, 4)], [("12", 3.005, False)]),
        # 10: the charger stops its oscillator
        (
            [("C2", True, 1), ("C1", True, 2), ("B1", True, 0.02), ("B1", False, 1)],
            [("10.1", 2.0, True), ("10.2", 2.02, True), ("8.1", 0.02, True)],
        ),
        (
            [("C2", True, 1), ("C1", True, 5.9), ("C1", False, 2)],
            [("10.1", 3.005, False), ("10.2", 5.9, True)],
        ),
        (
            [("C2", True, 1), ("C1", True, 9)],
            [("10.1", 3.005, False), ("10.2", 6.005, False)],
        ),
        ([("C2", False, 1), ("C1", False, 1), ("B1", False, 1)], [("10.1", 1.0, True)]),
        # 4: the vehicle asks for power
        ([("B2", False, 1), ("C2", False, 0.6), ("C2", True, 1)], [("4", 0.6, True)]),
        ([("C1", False, 1), ("C2", False, 0.6), ("C2", True, 1)], [("4", 0.6, True)]),
        ([("B2", False, 1), ("C2", False, 4)], [("4", 3.005, False)]),
        ([("B2", False, 1), ("C2", False, 0.3), ("B2", False, 9)], []),  # a toggle
    ],
)
def test_sequences(
    trace: list[tuple[str, bool | None, float]], told: list[tuple[str, float, bool]]
) -> None:
    found, expected = sorted(play(trace)), sorted(told)
    assert [(number, kept) for number, _, kept in found] == [(n, kept) for n, _, kept in expected]
    assert [took_s for _, took_s, _ in found] == pytest.approx(
        [t for _, t, _ in expected], abs=0.006
    )


def test_a_dc_charger_is_not_switched_on_by_the_pilot() -> None:
    assert play([("B2", False, 1), ("C2", False, 9)], ac=False) == []


def test_the_figures_of_table_a6() -> None:
    assert LIMIT == {"2": 0.1, "4": 3.0, "8.1": 0.1, "10.1": 3.0, "10.2": 6.0, "12": 3.0}
    assert (timing.T_STEP_X1_S, timing.T_STEP_EF_S, timing.T_HOLD_X1_S) == (3.0, 4.0, 0.75)
    assert (timing.T_REPLUG_S, timing.T_UNLOCK_S, timing.DUTY_CHANGE_S) == (4.0, 5.0, 5.0)


def test_nothing_runs_at_rest() -> None:
    watch = SequenceWatch()
    assert watch.look(S.A1, 1.0, power=False) == []
    assert not watch.is_running
    assert {row.end for row in SEQUENCES} == {End.OFF, End.LEFT_C}
