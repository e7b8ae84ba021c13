"""The traces of a charger that runs for months: a file for each plug-in, the oldest removed.

A file begins with what happened since the plug-in before and ends when the next one starts; times
in it count from its beginning (what the realtime process remembers from before has negative ones).
While nothing is plugged in, readings and beats are not written: months of "nothing" are no record.
Disks are slow and fill up: files are finished and removed by a thread, and a file that cannot be
made costs the trace, never the charging.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from controller.errors import PortError
from controller.loop import MonotonicClock, utc_stamp
from controller.recorder import CYCLIC
from controller.signals import LoopReport, StationChanged
from controller.trace import TraceWriter

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

KEPT = 500
"""Files; one of an hour's charge has a few megabytes."""
UNPLUGGED = ("unplugged", "out of service")
"""States of a station with nothing plugged in."""


class SessionTraces:
    """Writes `trace-DATE.jsonl` files into a folder, one after the other."""

    def __init__(
        self,
        folder: Path,
        header: Mapping[str, object],
        say: Callable[[str], None],
        kept: int = KEPT,
    ) -> None:
        """`header` is repeated in each file; `say` gets a line when one cannot be made."""
        self.path: Path | None = None
        """The present file."""
        self._folder = folder
        self._header = header
        self._say = say
        self._kept = kept
        self._clock = MonotonicClock()
        self._began_at = 0.0
        self._writer: TraceWriter | None = None
        self._is_plugged = False
        self._holds_session = False
        self._threads: list[threading.Thread] = []
        self._begin()

    def record(self, now: float, node: str, direction: str, item: Any, repeats: int = 0) -> None:  # noqa: ANN401
        """Keep one record, unless it says nothing with nothing plugged in."""
        if isinstance(item, StationChanged):
            self._follow(item)
        chatter = type(item) in CYCLIC or type(item) is LoopReport
        if self._writer is not None and (self._is_plugged or not chatter):
            self._writer.record(now - self._began_at, node, direction, item, repeats)

    def close(self) -> None:
        """Finish the present file and wait for the others."""
        self._finish()
        for thread in self._threads:
            thread.join()

    # --- inside ----------------------------------------------------------------------------------

    def _follow(self, item: StationChanged) -> None:
        self._is_plugged = item.state not in UNPLUGGED
        if self._is_plugged:
            self._holds_session = True
        elif self._holds_session and item.state == UNPLUGGED[0]:
            self._holds_session = False
            self._finish()
            self._begin()

    def _begin(self) -> None:
        header = {**self._header, "began": utc_stamp()}
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self.path = _unused(self._folder / f"trace-{utc_stamp()}.jsonl")
            self._writer = TraceWriter(self.path, header)
        except OSError as error:
            self._writer = self.path = None
            reason = error if isinstance(error, PortError) else error.strerror
            self._say(f"no trace is kept in {self._folder}: {reason}")
        self._began_at = self._clock.now()

    def _finish(self) -> None:
        writer, self._writer = self._writer, None
        if writer is None:
            return
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        thread = threading.Thread(target=self._put_away, args=(writer,), name="trace-end")
        self._threads.append(thread)
        thread.start()

    def _put_away(self, writer: TraceWriter) -> None:
        writer.close()
        if writer.error:
            self._say(writer.error)
        for path in sorted(self._folder.glob("trace-*.jsonl"))[: -self._kept]:
            path.unlink(missing_ok=True)


def _unused(wanted: Path) -> Path:
    """Return `wanted`, or with _2, _3 behind it if that is there."""
    path, number = wanted, 1
    while path.exists():
        number += 1
        path = wanted.with_name(f"{wanted.stem}_{number}{wanted.suffix}")
    return path
