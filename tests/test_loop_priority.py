"""On time by the machine's clock: what is asked of the kernel, and what is said without it."""

from __future__ import annotations

import argparse
import os
from functools import partial

import pytest

from controller import loop, process
from controller.process_site import COMMUNICATION_PRIORITY, REALTIME_PRIORITY


def test_every_thread_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, int, int]] = []
    monkeypatch.setattr(os, "listdir", lambda path: ["7", "9"])
    monkeypatch.setattr(
        os, "sched_setscheduler", lambda pid, how, p: asked.append((pid, how, p.sched_priority))
    )
    assert loop.go_first(40) == []
    assert asked == [(7, os.SCHED_FIFO, 40), (9, os.SCHED_FIFO, 40)]


def test_a_refusal_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "sched_setscheduler", refuse)
    (text,) = loop.go_first(40)
    assert "SCHED_FIFO" in text


@pytest.mark.parametrize(
    ("name", "paced", "asked"),
    [
        ("evse-realtime", False, ("realtime", REALTIME_PRIORITY)),
        ("pev", False, ("realtime", REALTIME_PRIORITY)),
        ("evse-communication", False, ("first", COMMUNICATION_PRIORITY)),
        ("evse-realtime", True, None),
    ],
)
def test_who_asks_for_what(
    monkeypatch: pytest.MonkeyPatch, name: str, paced: bool, asked: tuple[str, int] | None
) -> None:
    seen: list[tuple[str, int]] = []
    monkeypatch.setattr(process, "freeze_garbage", lambda: None)

    def note(kind: str, priority: int) -> list[str]:
        seen.append((kind, priority))
        return []

    monkeypatch.setattr(process, "go_first", partial(note, "first"))
    monkeypatch.setattr(process, "become_realtime", partial(note, "realtime"))
    process.settle_in(argparse.Namespace(name=name, paced=paced))
    assert seen == ([] if asked is None else [asked])
