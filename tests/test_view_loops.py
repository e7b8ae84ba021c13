"""Plain lines of a charge loop: the first is printed, the rest is counted."""

from __future__ import annotations

import io

import pytest

from controller.signals import MessageSent, Output, V2gEnded
from controller.view import PlainView


def shown(*records: tuple[str, Output]) -> list[str]:
    stream = io.StringIO()
    view = PlainView(stream)
    for at, (node, item) in enumerate(records):
        view.observe(float(at), node, "out", item)
    return [line.split(" s ")[1].strip() for line in stream.getvalue().splitlines()]


def sent(side: str, name: str) -> tuple[str, Output]:
    code = "OK" if name.endswith("Res") else ""
    return f"{side}.communication", MessageSent(name, "din", code)


REQ, RES = sent("pev", "CurrentDemandReq"), sent("evse", "CurrentDemandRes")
END = ("pev.communication", V2gEnded("target", True))


@pytest.mark.parametrize(
    ("records", "lines"),
    [
        ([REQ, REQ, REQ], ["pev   CurrentDemandReq", "... 2 more CurrentDemand messages"]),
        ([RES, RES], ["evse  CurrentDemandRes OK", "... 1 more CurrentDemand messages"]),
        (
            [REQ, RES, REQ, RES],
            [
                "pev   CurrentDemandReq",
                "evse  CurrentDemandRes OK",
                "... 2 more CurrentDemand messages",
            ],
        ),
    ],
)
def test_a_loop_is_counted(records: list[tuple[str, Output]], lines: list[str]) -> None:
    assert shown(*records, END) == [*lines, "pev   V2G ended: target"]


def test_an_event_within_the_loop_starts_a_new_count() -> None:
    assert shown(REQ, REQ, END, REQ)[-2:] == ["pev   V2G ended: target", "pev   CurrentDemandReq"]
