"""Traces of months: a file for each plug-in, no chatter in between, the oldest removed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from controller.service_trace import SessionTraces
from controller.signals import (
    Heartbeat,
    LoopReport,
    Noted,
    Phase,
    StationChanged,
)

if TYPE_CHECKING:
    from pathlib import Path

NODE = "evse.communication"
BEAT = Heartbeat(1, Phase.IDLE)
LOOP = LoopReport(1, 0, 0.0, "")


class Traces:
    def __init__(self, folder: Path, kept: int = 100) -> None:
        self.said: list[str] = []
        self.folder = folder
        self.traces = SessionTraces(folder, {"program": "x"}, self.said.append, kept)
        self.now = self.traces._began_at

    def record(self, *items: Any) -> None:  # noqa: ANN401
        for item in items:
            self.now += 0.1
            self.traces.record(self.now, NODE, "out", item)

    def plug_in(self, text: str) -> None:
        self.record(StationChanged("matching"), Noted(text), BEAT, LOOP)
        self.record(StationChanged("waiting for unplug"), StationChanged("unplugged"))

    def files(self) -> list[list[dict[str, Any]]]:
        self.traces.close()
        paths = sorted(self.folder.glob("trace-*.jsonl"))  # by date; ".jsonl" comes before "_2"
        return [[json.loads(line) for line in path.read_text().splitlines()] for path in paths]


def kinds(lines: list[dict[str, Any]]) -> list[str]:
    return [line["type"] for line in lines[1:-1]]


def test_a_file_for_each_plug_in(tmp_path: Path) -> None:
    traces = Traces(tmp_path)
    traces.record(Noted("started"), BEAT, LOOP)
    traces.plug_in("first")
    traces.record(BEAT, LOOP, Noted("between"))
    traces.plug_in("second")
    first, second, last = traces.files()
    assert kinds(first) == [
        "Noted",
        "StationChanged",
        "Noted",
        "Heartbeat",
        "LoopReport",
        "StationChanged",
    ]
    assert kinds(second)[0] == "StationChanged"  # unplugged: the end of the first
    assert [line.get("what") for line in second[1:4]] == [None, "between", None]
    assert kinds(last) == ["StationChanged"]
    assert all(lines[0]["program"] == "x" and lines[0]["began"] for lines in (first, second))
    assert all(lines[-1] == {"type": "End", "dropped": 0} for lines in (first, second, last))


def test_months_of_nothing_are_no_record(tmp_path: Path) -> None:
    traces = Traces(tmp_path)
    for _ in range(1000):
        traces.record(BEAT, LOOP)
    (only,) = traces.files()
    assert kinds(only) == []


def test_out_of_service_is_no_plug_in(tmp_path: Path) -> None:
    traces = Traces(tmp_path)
    for _ in range(10):
        traces.record(StationChanged("out of service"), BEAT, StationChanged("unplugged"))
    (only,) = traces.files()
    assert kinds(only) == ["StationChanged"] * 20


def test_times_count_from_the_files_beginning(tmp_path: Path) -> None:
    traces = Traces(tmp_path)
    traces.traces.record(traces.now - 100.0, NODE, "out", Noted("long ago"))
    traces.record(Noted("now"))
    ((_, before, after, _),) = traces.files()
    assert before["t"] == pytest.approx(-100.0)
    assert after["t"] == pytest.approx(0.1)


def test_the_oldest_are_removed(tmp_path: Path) -> None:
    (tmp_path / "trace-2020-01-01T00-00-00Z.jsonl").write_text("old\n")
    (tmp_path / "precious.jsonl").write_text("mine\n")
    traces = Traces(tmp_path, kept=3)
    for n in range(6):
        traces.plug_in(str(n))
        for thread in traces.traces._threads:
            thread.join()
    assert len(traces.files()) == 3
    assert not (tmp_path / "trace-2020-01-01T00-00-00Z.jsonl").exists()
    assert (tmp_path / "precious.jsonl").exists()


def refuse(*_: object) -> None:
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("full", [False, True])
def test_without_a_place_it_goes_on_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, full: bool
) -> None:
    folder = tmp_path / "traces"
    if full:
        monkeypatch.setattr("controller.service_trace.TraceWriter", refuse)
    else:
        folder.write_text("a file where the folder should be")
    traces = Traces(folder)
    traces.plug_in("lost")
    assert len(traces.said) == 2  # at the start, and once more with the next file
    assert str(folder) in traces.said[0]
    traces.traces.close()
