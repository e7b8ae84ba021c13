"""What the terminal shows: plain lines, the live table, a reader that leaves."""

from __future__ import annotations

import dataclasses
import io
import os
from typing import Any

import pytest
from rich.console import Console

from controller import signals
from controller.signals import (
    ConnectionMade,
    ControlPilotState,
    InletPilotChanged,
    InterlockReport,
    LinkChanged,
    MessageSent,
    OpenContactors,
    Output,
    PilotChanged,
    PilotFault,
    SessionEnded,
    SetDuty,
    SlacFailed,
    SlacMatched,
    StationChanged,
)
from controller.view import (
    AC_ROWS,
    CELLS,
    EVENTS,
    LOWEST,
    NARROWEST,
    ROWS,
    LiveView,
    PlainView,
    interlock_text,
)
from tests.test_report import car, charger

PILOT = PilotChanged(ControlPilotState.B2, 9.0, -12.0, 0.05, diode_ok=True)
MATCHED = SlacMatched(bytes.fromhex("024343530002"), bytes(8), bytes(7), bytes(16), 12.0)


def plain(*records: tuple[float, str, str, Output]) -> list[str]:
    stream = io.StringIO()
    view = PlainView(stream)
    for record in records:
        view.observe(*record)
    view.close()
    return stream.getvalue().splitlines()


# --- plain ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("node", "item", "line"),
    [
        ("evse.realtime", PILOT, "    1.500 s  evse  pilot B2, 9.0 V, duty 5%"),
        (
            "pev.realtime",
            InletPilotChanged(True, 0.05, digital=True),
            "    1.500 s  pev   inlet plugged, duty 5%, digital communication",
        ),
        ("evse.realtime", SetDuty(1.0), "    1.500 s  evse  drives the pilot at 100%"),
        (
            "pev.communication",
            MATCHED,
            "    1.500 s  pev   SLAC matched 02:43:43:53:00:02, 12.0 dB",
        ),
        ("pev.communication", LinkChanged(up=False), "    1.500 s  pev   powerline link down"),
        ("evse.communication", StationChanged("a", "why"), "    1.500 s  evse  a (why)"),
        ("evse.realtime", OpenContactors("x"), "    1.500 s  evse  contactors open: x"),
        ("pev.communication", SessionEnded("x", True), "    1.500 s  pev   session ended: x"),
        (
            "evse.communication",
            MessageSent("SessionSetupRes", "DIN", "OK"),
            "    1.500 s  evse  SessionSetupRes OK",
        ),
    ],
)
def test_line(node: str, item: Output, line: str) -> None:
    assert plain((1.5, node, "out", item)) == [line]


def test_inputs_and_what_is_no_event_print_nothing() -> None:
    assert (
        plain((0.0, "evse.x", "in", PILOT), (0.0, "evse.x", "out", ConnectionMade(("x", 1)))) == []
    )


def demand(count: int, code: str = "OK") -> list[tuple[float, str, str, Output]]:
    rows: list[tuple[float, str, str, Output]] = []
    for number in range(count):
        rows.append((float(number), "pev.c", "out", MessageSent("CurrentDemandReq", "DIN")))
        rows.append((float(number), "evse.c", "out", MessageSent("CurrentDemandRes", "DIN", code)))
    return rows


def test_a_loop_prints_its_first_messages_and_counts_the_rest() -> None:
    lines = plain(*demand(10), (10.0, "evse.c", "out", LinkChanged(up=False)))
    assert [line[13:] for line in lines] == [
        "pev   CurrentDemandReq",
        "evse  CurrentDemandRes OK",
        "      ... 18 more CurrentDemand messages",
        "evse  powerline link down",
    ]


def test_an_answer_that_is_not_ok_is_always_printed() -> None:
    lines = plain(*demand(3), *demand(2, "FAILED"))
    assert sum("FAILED" in line for line in lines) == 2


@pytest.mark.parametrize(
    ("report", "text"),
    [
        (InterlockReport(True, True, (), "", False), "power permitted"),
        (InterlockReport(True, False, ("x",), "", False), "closing permitted"),
        (InterlockReport(False, False, ("first", "second"), "", False), "first"),
        (InterlockReport(False, False, (), "", False), "no power"),
        (InterlockReport(False, False, ("x",), "welded", True), "LATCHED welded"),
    ],
)
def test_interlock(report: InterlockReport, text: str) -> None:
    assert interlock_text(report) == text


@pytest.mark.parametrize(
    ("fault", "held", "text"),
    [
        (PilotFault.NONE, "", "pilot B1, 9.0 V, duty 100%"),
        (PilotFault.DIODE, "", "pilot B1, 9.0 V, duty 100%: " + PilotFault.DIODE.value),
        (
            PilotFault.SHORT,
            PilotFault.SHORT.value,
            "pilot B1, 9.0 V, duty 100%: " + PilotFault.SHORT.value,
        ),
        (PilotFault.NONE, "silent", "pilot B1, 9.0 V, duty 100%; oscillator held: silent"),
    ],
)
def test_what_is_wrong_with_the_pilot_is_said(fault: PilotFault, held: str, text: str) -> None:
    signal = PilotChanged(ControlPilotState.B1, 9.0, 9.0, 1.0, True, fault, held)
    assert EVENTS[PilotChanged](signal) == text


def example(cls: type[Any]) -> Any:  # noqa: ANN401
    """Make a signal of any class, with something of the right type in each field."""
    samples: dict[str, Any] = {
        "bool": True,
        "int": 1,
        "float": 0.5,
        "str": "text",
        "bytes": b"\x01\x02",
        "DutyCycle": 0.05,
        "ControlPilotState": ControlPilotState.B2,
        "PilotFault": signals.PilotFault.SHORT,
        "Phase": signals.Phase.CHARGE,
        "tuple[str, ...]": ("why",),
        "Address": ("fe80::1", 1),
    }
    return cls(**{f.name: samples[str(f.type)] for f in dataclasses.fields(cls)})


@pytest.mark.parametrize("cls", EVENTS, ids=lambda cls: cls.__name__)
def test_every_event_is_one_line(cls: type[Any]) -> None:
    text = EVENTS[cls](example(cls))
    assert text
    assert "\n" not in text
    assert text.isascii()


class Broken(io.StringIO):
    def write(self, text: str) -> int:
        raise BrokenPipeError

    def fileno(self) -> int:
        raise OSError("no file")


def test_a_reader_that_is_gone_is_noted_not_raised() -> None:
    view = PlainView(Broken())
    assert not view.lost
    view.say("x")
    assert view.lost
    view.say("y")
    view.observe(0.0, "evse.x", "out", PILOT)


# --- live ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("gone", [False, True])
def test_a_closed_pipe_is_noticed_without_a_line(gone: bool) -> None:
    here, there = os.pipe()
    with os.fdopen(there, "w") as stream:
        view = PlainView(stream)
        if gone:
            os.close(here)
        view.look()
        view.look()
        assert view.lost is gone
    if not gone:
        os.close(here)


def test_what_is_no_file_is_never_lost() -> None:
    view = PlainView(io.StringIO())
    view.look()
    assert not view.lost


HOSTILE = "no protocol; offers \x1b[2J [/red] [bold] \n \x9b caf\u00e9 \u202e"


def test_a_peers_words_do_nothing_to_the_terminal() -> None:
    stream = io.StringIO()
    view = PlainView(stream)
    view.observe(1.0, "evse.communication", "out", SlacFailed(HOSTILE))
    assert stream.getvalue().count("\n") == 1
    assert "\\x1b[2J [/red] [bold] \\n \\x9b caf\u00e9 \\u202e" in stream.getvalue()
    text = live(("evse.communication", "out", SlacFailed(HOSTILE)))
    assert "\\x1b[2J [/red] [bold] \\n" in text
    assert "\x1b" not in text


def live(*records: tuple[str, str, Output]) -> str:
    console = Console(file=io.StringIO(), force_terminal=False, width=120)
    view = LiveView(console, "a title")
    for node, direction, item in records:
        view.observe(2.5, node, direction, item)
    view.say("a [line] of text")
    view.close()
    file = console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue()


def test_the_table_is_drawn_without_a_terminal() -> None:
    text = live(
        ("evse.realtime", "out", PILOT),
        ("evse.realtime", "in", charger(400.0, 100.0, closed=True)),
        ("pev.realtime", "in", car(55.5)),
        ("pev.communication", "out", MATCHED),
        ("evse.realtime", "out", InterlockReport(True, True, (), "", False)),
    )
    for words in (
        "a title        2.5 s",
        "B2  9.0 V  5%",
        "400.0 V",
        "100.0 A",
        "40.0 kW",
        "55.5 %",
        "CLOSED",
        "matched, 12.0 dB",
        "power permitted",
        "a [line] of text",
        "pilot B2, 9.0 V, duty 5%",
    ):
        assert words in text, words
    for row in ROWS:
        assert (row in text) is (row not in AC_ROWS)


@pytest.mark.parametrize(("width", "height"), [(NARROWEST, LOWEST), (80, 24), (200, 60)])
def test_the_picture_fits_the_terminal(width: int, height: int) -> None:
    """No line is broken, every row is there, and what does not fit is the oldest event."""
    console = Console(file=io.StringIO(), force_terminal=True, width=width, height=height)
    view = LiveView(console, "a title")
    for number in range(30):
        reason = f"number {number}, and what happened then in many, many words: " + "x" * 200
        view.observe(number, "evse.communication", "out", SlacFailed(reason))
    lines = console.render_lines(view._render(), console.options)
    view.close()
    assert len(lines) < height
    told = "".join(segment.text for line in lines for segment in line)
    assert "number 29" in told
    for row in ROWS:
        assert (row in told) is (row not in AC_ROWS)


@pytest.mark.parametrize("cls", [c for c in CELLS if c.__name__ not in ("EvseInputs", "PevInputs")])
def test_every_cell_has_a_row(cls: type[Any]) -> None:
    assert set(CELLS[cls](example(cls))) <= set(ROWS)


def test_a_terminal_that_is_gone_is_noted() -> None:
    class Gone(io.StringIO):
        broken = False

        def write(self, text: str) -> int:
            if self.broken:
                raise OSError(5, "Input/output error")
            return super().write(text)

    file = Gone()
    view = LiveView(Console(file=file, force_terminal=False, width=100), "t")
    file.broken = True
    view.say("x")
    assert view.lost
    view.close()
