"""The trace file: header, lines, end; nothing blocks and nothing gets lost unsaid."""

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from controller import trace
from controller.errors import PortError, WireError
from controller.signals import (
    Heartbeat,
    OpenContactors,
    Output,
    OutputReading,
    Phase,
    SendFrame,
)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_lines(tmp_path: Path) -> None:
    path = tmp_path / "trace.jsonl"
    with trace.TraceWriter(path, {"version": "1.2", "config": {"duty": 0.05}}) as writer:
        writer.record(0.25, "evse.realtime", "out", OpenContactors("unplugged"))
        writer.record(1.0, "evse.communication", "in", SendFrame(b"\x01"), repeats=40)
    assert lines(path) == [
        {"type": "Header", "t": 0.0, "version": "1.2", "config": {"duty": 0.05}},
        {
            "t": 0.25,
            "node": "evse.realtime",
            "dir": "out",
            "type": "OpenContactors",
            "reason": "unplugged",
        },
        {
            "t": 1.0,
            "node": "evse.communication",
            "dir": "in",
            "type": "SendFrame",
            "frame": "01",
            "repeats": 40,
        },
        {"type": "End", "dropped": 0},
    ]


def test_read_back(tmp_path: Path) -> None:
    path = tmp_path / "trace.jsonl"
    said: list[Output] = [Heartbeat(n, Phase.CHARGE) for n in range(500)]
    with trace.TraceWriter(path, {}) as writer:
        for signal in said:
            writer.record(1.0, "n", "in", signal, repeats=2)
    read = list(trace.read_trace(path))
    assert [signal for _, signal in read] == [None, *said, None]
    assert read[1][0]["repeats"] == 2


def test_a_full_queue_drops_and_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "trace.jsonl"
    taken, go_on = threading.Event(), threading.Event()
    original = trace._entry_line

    def slow(entry: trace._Entry) -> str:
        taken.set()
        assert go_on.wait(10)
        return original(entry)

    monkeypatch.setattr(trace, "_entry_line", slow)
    writer = trace.TraceWriter(path, {}, queue_length=3)
    writer.record(0.0, "n", "in", Heartbeat(0, Phase.IDLE))
    assert taken.wait(10)  # the thread holds the first, the queue takes three more
    for number in range(1, 11):
        writer.record(0.0, "n", "in", Heartbeat(number, Phase.IDLE))
    assert writer.dropped == 7
    go_on.set()
    writer.close()
    written = lines(path)
    assert [line["sequence"] for line in written[1:-1]] == [0, 1, 2, 3]
    assert written[-1] == {"type": "End", "dropped": 7}


def test_after_close_lines_are_counted_as_dropped(tmp_path: Path) -> None:
    writer = trace.TraceWriter(tmp_path / "trace.jsonl", {})
    writer.close()
    writer.close()
    writer.record(0.0, "n", "in", Heartbeat(0, Phase.IDLE))
    assert writer.dropped == 1


def test_what_is_no_json_is_written_all_the_same(tmp_path: Path) -> None:
    class Unknown(Output):
        def __repr__(self) -> str:
            return "<unknown>"

    path = tmp_path / "trace.jsonl"
    with trace.TraceWriter(path, {"path": Path("/x"), "raw": b"\x01", "nan": float("nan")}) as w:
        w.record(0.0, "n", "in", OutputReading(float("nan"), float("inf"), 0.0))
        w.record(0.0, "n", "in", Unknown())
    header, reading, unknown, _ = lines(path)
    assert header == {"type": "Header", "t": 0.0, "path": "/x", "raw": "01", "nan": "nan"}
    assert (reading["voltage_v"], reading["current_a"]) == ("nan", "inf")
    assert (unknown["type"], unknown["text"]) == ("Unknown", "<unknown>")


def test_a_disk_that_fails_stops_the_trace_and_nothing_else(tmp_path: Path) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("needs /dev/full")
    with pytest.raises(PortError, match="No space"):
        trace.TraceWriter(full, {})
    writer = trace.TraceWriter(tmp_path / "trace.jsonl", {})
    writer._file.close()
    writer._file = full.open("wb")
    for number in range(100):
        writer.record(0.0, "n", "in", Heartbeat(number, Phase.IDLE))
    writer.close()
    assert "No space" in writer.error
    assert writer.dropped > 0
    assert writer._file.closed


def test_a_path_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(PortError, match="nowhere"):
        trace.TraceWriter(tmp_path / "nowhere" / "trace.jsonl", {})
    with pytest.raises(PortError, match="nowhere"):
        trace.PcapngWriter(tmp_path / "nowhere" / "capture.pcapng")
    with pytest.raises(PortError, match="nowhere"):
        list(trace.read_trace(tmp_path / "nowhere"))


@pytest.mark.parametrize("text", ["{", "[]", "7", '"x"'])
def test_reading_what_is_no_trace(tmp_path: Path, text: str) -> None:
    path = tmp_path / "trace.jsonl"
    path.write_text(text)
    with pytest.raises(WireError, match="line 1"):
        list(trace.read_trace(path))
