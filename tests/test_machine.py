"""The shape of all state machines: deadlines armed on entry only, guards, refused triggers."""

from __future__ import annotations

from enum import Enum
from typing import ClassVar

import pytest

from controller.machine import TableMachine, lint_table, mermaid, row
from controller.signals import Output, StartSdp, StopSdp


class S(Enum):
    REST = "rest"
    WORK = "work"
    OVER = "over"


class Worker(TableMachine):
    TABLE: ClassVar = [
        row("reset", list(S), S.REST, do="end"),
        row("go", S.REST, S.WORK, "is_allowed", ["begin", "end"]),
        row("go", S.WORK, None, do="begin"),
        row("again", S.WORK, "=", do="begin"),
        row("timeout", S.WORK, S.OVER, do="end"),
    ]
    INITIAL = S.REST
    DEADLINE_S: ClassVar = {S.WORK: 2.0}
    ENDLESS = (S.REST, S.OVER)
    allowed = True

    def at(self, now: float, trigger: str) -> list[Output]:
        self.now = now
        getattr(self, trigger)()
        return self.drain()

    def reset(self) -> bool:
        return False

    def go(self) -> bool:
        return False

    def again(self) -> bool:
        return False

    def is_allowed(self) -> bool:
        return self.allowed

    def begin(self) -> None:
        self.out.append(StartSdp())

    def end(self) -> None:
        self.out.append(StopSdp())


def test_the_example_is_clean() -> None:
    assert lint_table(Worker) == []


def test_actions_run_in_order_and_guards_are_asked() -> None:
    worker = Worker()
    worker.allowed = False
    assert (worker.at(1.0, "go"), worker.state) == ([], S.REST)
    worker.allowed = True
    assert (worker.at(1.0, "go"), worker.state) == ([StartSdp(), StopSdp()], S.WORK)


@pytest.mark.parametrize(
    ("triggers", "deadline"),
    [
        ([], None),
        ([(1.0, "go")], 3.0),
        ([(1.0, "go"), (2.0, "go")], 3.0),  # internal: the deadline stays
        ([(1.0, "go"), (2.0, "again")], 4.0),  # "=" enters anew
        ([(1.0, "go"), (2.0, "reset")], None),
        ([(1.0, "again")], None),  # refused: nothing happens
    ],
)
def test_deadline(triggers: list[tuple[float, str]], deadline: float | None) -> None:
    worker = Worker()
    for now, trigger in triggers:
        worker.at(now, trigger)
    assert worker.next_timer() == deadline


def test_a_refused_trigger_changes_nothing() -> None:
    worker = Worker()
    assert worker.at(0.0, "again") == []
    assert worker.state is S.REST


@pytest.mark.parametrize(("now", "state"), [(2.999, S.WORK), (3.0, S.OVER), (50.0, S.OVER)])
def test_timeout(now: float, state: S) -> None:
    worker = Worker()
    worker.at(1.0, "go")
    out = worker.handle_timer(now)
    assert worker.state is state
    assert out == ([] if state is S.WORK else [StopSdp()])
    assert worker.next_timer() == (3.0 if state is S.WORK else None)
    assert worker.handle_timer(now + 100) == ([] if state is S.OVER else [StopSdp()])


def test_no_back_doors() -> None:
    assert not [name for name in dir(Worker()) if name.startswith(("to_", "is_work"))]


def test_two_models_do_not_share() -> None:
    one, two = Worker(), Worker()
    one.at(1.0, "go")
    assert two.state is S.REST
    assert two.next_timer() is None


def test_mermaid() -> None:
    assert mermaid(Worker).splitlines() == [
        "stateDiagram-v2",
        "    [*] --> REST",
        "    REST --> REST: reset",
        "    WORK --> REST: reset",
        "    OVER --> REST: reset",
        "    REST --> WORK: go [is_allowed]",
        "    WORK --> WORK: again",
        "    WORK --> OVER: timeout",
    ]
