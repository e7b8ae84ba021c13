"""Outputs find the cores that want them: order, completeness, no endless conversation."""

from __future__ import annotations

import pytest

from controller.errors import ControllerError
from controller.router import Router, earliest
from controller.signals import (
    LinkChanged,
    Output,
    SlacFailed,
    StartSdp,
    StartSlac,
    StopSdp,
    StopSlac,
)


class Answering:
    """Answers one kind of signal with others."""

    def __init__(self, answers: dict[type[Output], list[Output]]) -> None:
        self.answers = answers
        self.got: list[tuple[Output, float]] = []

    def receive_signal(self, signal: Output, now: float) -> list[Output]:
        self.got.append((signal, now))
        return list(self.answers.get(type(signal), []))


@pytest.mark.parametrize(
    ("deadlines", "first"),
    [([], None), ([None, None], None), ([None, 3.0, 2.0], 2.0), ([0.0, None], 0.0)],
)
def test_earliest(deadlines: list[float | None], first: float | None) -> None:
    assert earliest(deadlines) == first


def test_outputs_are_returned_in_the_order_in_which_they_arose() -> None:
    a = Answering({StartSlac: [StopSdp()]})
    b = Answering({StartSlac: [StartSdp()], StopSdp: [StopSlac()]})
    router = Router({StartSlac: (a, b), StopSdp: (b,)})
    link = LinkChanged(up=True)
    out = router.dispatch([StartSlac(), link], 7.0)
    assert out == [StartSlac(), link, StopSdp(), StartSdp(), StopSlac()]
    assert a.got == [(StartSlac(), 7.0)]
    assert b.got == [(StartSlac(), 7.0), (StopSdp(), 7.0)]


def test_what_interests_nobody_is_returned_all_the_same() -> None:
    failed = SlacFailed("x")
    assert Router({}).dispatch([failed], 0.0) == [failed]


def test_the_type_is_what_counts_not_its_base() -> None:
    a = Answering({})
    Router({Output: (a,)}).dispatch([StartSdp()], 0.0)
    assert a.got == []


def test_two_cores_that_answer_each_other_for_ever_are_found() -> None:
    a, b = Answering({StartSdp: [StopSdp()]}), Answering({StopSdp: [StartSdp()]})
    router = Router({StartSdp: (a,), StopSdp: (b,)})
    with pytest.raises(ControllerError, match="answer each other without end"):
        router.dispatch([StartSdp()], 0.0)


def test_many_outputs_are_no_endless_conversation() -> None:
    out: list[Output] = [StartSdp()] * (Router.LIMIT - 1)
    assert len(Router({}).dispatch(out, 0.0)) == Router.LIMIT - 1
