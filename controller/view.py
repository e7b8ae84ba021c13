"""What the terminal shows of a running session: a live table, or one line an event.

Fed with the same records as the trace and the report. `PlainView` prints to any stream; `LiveView`
redraws with `rich` on a terminal. Neither knows where the records come from.
"""

from __future__ import annotations

import contextlib
import os
import select
import sys
from collections import deque
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from controller.interlock_test import BENCH_MODE
from controller.listener.summaries import printable
from controller.report import side
from controller.signals import (
    BcbToggled,
    CloseContactors,
    CurrentOffered,
    EvseInputs,
    InletPilotChanged,
    InterlockReport,
    InterlockTested,
    LinkChanged,
    MessageReceived,
    MessageSent,
    ModemFailed,
    ModemFound,
    ModemKeySet,
    OpenContactors,
    PeerMisbehaved,
    PevInputs,
    PilotChanged,
    SdpFailed,
    SeccDiscovered,
    SequenceTimed,
    SessionEnded,
    SetDuty,
    SetOnboardCurrent,
    SetS2,
    SlacFailed,
    SlacMatched,
    SlacPhaseChanged,
    StationChanged,
    StopRequest,
    V2gEnded,
    V2gPhaseChanged,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console, RenderableType

REFRESH_HZ = 8
BESIDE_CELLS = 25
"""Columns of the table that its two columns of values leave: names, lines, spaces."""
AROUND_ROWS = 6
"""Lines around the table's rows: title, names, frame, the cursor's."""
NARROWEST, LOWEST = 70, 18
"""A terminal with fewer columns or lines shows one line an event: the table would be cut."""
LOOP_MESSAGES = ("CurrentDemand", "CableCheck", "PreCharge", "WeldingDetection")
"""Messages of loops: the plain view prints the first of a run and counts the rest."""


class View(Protocol):
    """Something that shows records."""

    lost: bool
    """Nobody is there to read any more (a closed pipe, a full disk)."""

    def observe(self, now: float, node: str, direction: str, item: Any) -> None:  # noqa: ANN401
        """Take one record."""

    def say(self, line: str) -> None:
        """Print one line of text that is not a record."""

    def look(self) -> None:
        """Notice that nobody reads any more, also while there is nothing to show."""

    def close(self) -> None:
        """Leave the terminal as it was."""


def discard(stream: TextIO) -> None:
    """Let what a stream still holds go nowhere; Python would flush it once more at its end."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _mac(mac: bytes) -> str:
    return mac.hex(":")


EVENTS: dict[type[Any], Callable[[Any], str]] = {
    PilotChanged: lambda e: (
        f"pilot {e.state.value}, {e.high_v:.1f} V, duty {e.duty:.0%}"
        + (f": {e.fault.value}" if e.fault.value else "")
        + (f"; oscillator held: {e.held}" if e.held and e.held != e.fault.value else "")
    ),
    BcbToggled: lambda e: f"vehicle toggled B-C-B, {e.duration_s * 1000:.0f} ms (no. {e.count})",
    SequenceTimed: lambda e: (
        f"Table A.6 sequence {e.number}, {e.what}: {e.took_s * 1000:.0f} ms"
        + ("" if e.kept else f", limit {e.limit_s:g} s NOT KEPT")
    ),
    InletPilotChanged: lambda e: (
        f"inlet {'plugged' if e.plugged else 'empty'}, duty {e.duty:.0%}"
        + (", digital communication" if e.digital else "")
        + (", latch button pressed" if e.button else "")
        + (f": {e.fault}" if e.fault else "")
    ),
    SetDuty: lambda e: f"drives the pilot at {e.duty:.0%}",
    SetS2: lambda e: f"S2 {'closed' if e.closed else 'open'}",
    StationChanged: lambda e: e.state + (f" ({e.reason})" if e.reason else ""),
    SlacPhaseChanged: lambda e: f"SLAC: {e.phase}",
    SlacMatched: lambda e: f"SLAC matched {_mac(e.peer_mac)}, {e.attenuation_db:.1f} dB",
    SlacFailed: lambda e: f"SLAC failed: {e.reason}",
    ModemFound: lambda e: f"modem {_mac(e.mac)}, {e.firmware}",
    ModemKeySet: lambda e: f"modem has its key, network {e.nid.hex()}",
    ModemFailed: lambda e: f"modem: {e.reason}",
    LinkChanged: lambda e: f"powerline link {'up' if e.up else 'down'}",
    SeccDiscovered: lambda e: f"SDP: charger at port {e.port}, {'TLS' if e.tls else 'no TLS'}",
    SdpFailed: lambda e: f"SDP failed: {e.reason}",
    V2gPhaseChanged: lambda e: f"V2G: {e.phase.value}",
    V2gEnded: lambda e: f"V2G ended: {e.reason}",
    CloseContactors: lambda e: "contactors close",
    OpenContactors: lambda e: f"contactors open: {e.reason}",
    InterlockReport: lambda e: "interlock: " + interlock_text(e),
    InterlockTested: lambda e: self_test_text(e),
    PeerMisbehaved: lambda e: f"peer: {e.reason}",
    SessionEnded: lambda e: f"session ended: {e.reason}",
    StopRequest: lambda e: f"stop: {e.reason}",
    CurrentOffered: lambda e: offer_text(e),
    SetOnboardCurrent: lambda e: (
        f"on-board charger may draw {e.current_a:.1f} A" if e.current_a else "on-board charger off"
    ),
}
"""How each event reads as one line."""


def offer_text(offer: CurrentOffered) -> str:
    """Say what an AC charger offers, or why nothing."""
    if offer.current_a:
        return f"offers {offer.current_a:.1f} A (limit: {offer.limited_by})"
    return f"offers no current: {offer.limited_by}"


def interlock_text(report: InterlockReport) -> str:
    """Say what the interlock allows, or the first reason why not."""
    if report.latched:
        return f"LATCHED {report.latched}"
    if report.energise:
        return "power permitted"
    if report.close_contactors:
        return "closing permitted"
    return report.reasons[0] if report.reasons else "no power"


def self_test_text(tested: InterlockTested) -> str:
    """Say what the interlock's self-test proved, or how it ended."""
    if tested.part == "interlock":
        return f"hardware interlock {tested.detail}" if tested.ok else tested.detail
    return f"self-test {'ok' if tested.ok else 'FAILED'}: {tested.part}: {tested.detail}"


class Narrator:
    """Turns records into lines; an interlock that says the same again is no news."""

    def __init__(self) -> None:
        self._interlock: dict[str, str] = {}

    def line(self, who: str, item: Any) -> str:  # noqa: ANN401
        """Return what happened, or nothing."""
        tell = EVENTS.get(type(item))
        if tell is None:
            return ""
        text = tell(item)
        if isinstance(item, InterlockReport):
            if self._interlock.get(who) == text:
                return ""
            self._interlock[who] = text
        return text


class PlainView:
    """One line an event: time, who, what."""

    def __init__(self, stream: TextIO = sys.stdout) -> None:
        self.lost = False
        self._stream = stream
        self._last = self._before = ""
        self._repeats = 0
        self._narrator = Narrator()

    def observe(self, now: float, node: str, direction: str, item: Any) -> None:  # noqa: ANN401
        """Print an event; messages of a loop once a run."""
        if direction != "out":
            return
        who = side(node)
        if isinstance(item, MessageSent):
            self._message(now, who, item)
            return
        text = self._narrator.line(who, item)
        if text:
            self._flush(now)
            self._print(now, who, text)

    def _message(self, now: float, who: str, item: MessageSent) -> None:
        name = item.name.removesuffix("Req").removesuffix("Res")
        text = f"{item.name}{' ' + item.code if item.code else ''}"
        again = name == self._last or item.name == self._before  # a car alone: only requests
        self._before = item.name
        if name in LOOP_MESSAGES and again and item.code in ("", "OK"):
            self._last = name
            self._repeats += 1
            return
        self._flush(now)
        self._last, self._before = name if item.code else "", item.name
        self._print(now, who, text)

    def _flush(self, now: float) -> None:
        if self._repeats:
            self._print(now, "", f"... {self._repeats} more {self._last} messages")
        self._repeats, self._last, self._before = 0, "", ""

    def _print(self, now: float, who: str, text: str) -> None:
        self.say(f"{now:9.3f} s  {who:<5} {text}")

    def say(self, line: str) -> None:
        """Print one line of text that is not a record; once that fails, print no more."""
        if self.lost:
            return
        try:
            self._stream.write(printable(line) + "\n")
            self._stream.flush()
        except OSError:
            self.lost = True
            discard(self._stream)

    def look(self) -> None:
        """Notice a closed pipe: while a car charges minutes pass without a line."""
        with contextlib.suppress(OSError, ValueError):  # a stream without a descriptor
            poll = select.poll()
            poll.register(self._stream.fileno(), 0)
            if poll.poll(0) and not self.lost:
                self.lost = True
                discard(self._stream)

    def close(self) -> None:
        """Nothing to restore."""


class LiveView:
    """A table that is redrawn a few times a second, with the last events below."""

    def __init__(self, console: Console, title: str) -> None:
        from rich.live import Live

        self.lost = False
        self._console = console
        self._title = title
        self._cells: dict[tuple[str, str], str] = {}
        self._events: deque[str] = deque(maxlen=12)
        self._now = 0.0
        self._narrator = Narrator()
        self._live = Live(
            get_renderable=self._render, console=console, refresh_per_second=REFRESH_HZ
        )
        self._live.start()

    def observe(self, now: float, node: str, direction: str, item: Any) -> None:  # noqa: ANN401
        """Take one record into the picture."""
        self._now = now
        who = side(node)
        update = CELLS.get(type(item))
        if update is not None:
            for key, text in update(item).items():
                self._cells[who, key] = printable(text)
        text = self._narrator.line(who, item) if direction == "out" else ""
        if text:
            self._events.append(printable(f"{now:8.2f} s  {who:<5} {text}"))

    def _render(self) -> RenderableType:
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        width = max(1, min(34, (self._console.width - BESIDE_CELLS) // 2))
        table = Table(title=f"{self._title}   {self._now:8.1f} s", title_justify="left")
        table.add_column("", style="bold", no_wrap=True)
        for name in ("charger (evse)", "car (pev)"):
            table.add_column(name, width=width, no_wrap=True, overflow="ellipsis")
        for key in ROWS:
            cells = [Text(self._cells.get((who, key), "")) for who in ("evse", "pev")]
            if any(cells) or key not in AC_ROWS:
                table.add_row(key, *cells)
        room = max(0, self._console.height - table.row_count - AROUND_ROWS)
        newest = list(self._events)[max(0, len(self._events) - room) :]
        events = Text("\n".join(newest), style="dim", no_wrap=True, overflow="ellipsis")
        return Group(table, events)

    def say(self, line: str) -> None:
        """Print one line above the table."""
        try:
            self._console.print(printable(line), markup=False, highlight=False)
        except OSError:
            self.lost = True

    def look(self) -> None:
        """Nothing to do: it writes all the time."""

    def close(self) -> None:
        """Draw once more and stop."""
        with contextlib.suppress(OSError):
            self._live.stop()


ROWS = (
    "station",
    "pilot",
    "SLAC",
    "message",
    "voltage",
    "current",
    "AC limit",
    "power",
    "state of charge",
    "contactors",
    "interlock",
    "hardware",
)


AC_ROWS = ("AC limit",)
"""Rows that only an AC session has."""


def _charger(e: EvseInputs) -> dict[str, str]:
    voltage_v, current_a = e.output.voltage_v, e.output.current_a
    if e.ac is not None:
        mains = f"{e.ac.phases} phase{'s' if e.ac.phases != 1 else ''} of mains"
        return {
            "voltage": ("live, " if e.ac.live_behind else "dead, ") + mains,
            "current": f"{e.ac.current_a:7.1f} A per phase",
            "power": f"{e.ac.power_w / 1000:7.1f} kW",
            "contactors": "CLOSED" if e.contactors.closed else "open",
        }
    return {
        "voltage": f"{voltage_v:7.1f} V",
        "current": f"{current_a:7.1f} A",
        "power": f"{voltage_v * current_a / 1000:7.1f} kW",
        "contactors": "CLOSED" if e.contactors.closed else "open",
    }


def _car(e: PevInputs) -> dict[str, str]:
    vehicle = e.vehicle
    power_kw = vehicle.inlet_voltage_v * vehicle.inlet_current_a / 1000
    return {
        "voltage": f"{vehicle.inlet_voltage_v:7.1f} V, battery {vehicle.battery_voltage_v:.1f} V",
        "current": f"{vehicle.inlet_current_a:7.1f} A of {vehicle.target_current_a:.0f} A wanted",
        "power": f"{power_kw:7.1f} kW",
        "state of charge": f"{vehicle.soc_percent:7.1f} %",
        "contactors": "CLOSED" if e.contactors.closed else "open",
    }


CELLS: dict[type[Any], Callable[[Any], dict[str, str]]] = {
    PilotChanged: lambda e: {"pilot": f"{e.state.value}  {e.high_v:.1f} V  {e.duty:.0%}"},
    InletPilotChanged: lambda e: {
        "pilot": ("plugged" if e.plugged else "empty") + f"  {e.duty:.0%}"
    },
    StationChanged: lambda e: {"station": e.state},
    SlacPhaseChanged: lambda e: {"SLAC": e.phase},
    SlacMatched: lambda e: {"SLAC": f"matched, {e.attenuation_db:.1f} dB"},
    LinkChanged: lambda e: {"SLAC": f"link {'up' if e.up else 'down'}"},
    MessageSent: lambda e: {"message": f"{e.name} {e.code}"},
    MessageReceived: lambda e: {},
    InterlockReport: lambda e: {"interlock": interlock_text(e)},
    CurrentOffered: lambda e: {
        "AC limit": f"{e.current_a:7.1f} A ({e.limited_by})" if e.current_a else e.limited_by
    },
    SetOnboardCurrent: lambda e: {"AC limit": f"{e.current_a:7.1f} A"},
    InterlockTested: lambda e: (
        {"hardware": "interlock proved" if e.ok else BENCH_MODE} if e.part == "interlock" else {}
    ),
    EvseInputs: _charger,
    PevInputs: _car,
}
"""What each record changes in the table."""
