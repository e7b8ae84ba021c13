"""Edges of the pilot by the kernel's GPIO character device (any Pi, also where pigpio cannot run).

The kernel stamps each edge in its interrupt with CLOCK_MONOTONIC, the clock of the realtime loop,
and keeps up to 1024 of them. `read` drains what is there, so a late period loses nothing for half
a second; what did not fit shows as a gap in the line's sequence numbers.

A stamp may reach us a little after its time: the news "no edge until" is told `MARGIN_S` late.
Needs the package `gpiod` (2.1 or newer, libgpiod's own binding).
"""

from __future__ import annotations

import contextlib
import errno
from math import inf
from pathlib import Path
from typing import Any

from controller.cp.edges import EdgeMeter, Timing
from controller.errors import PortError

HEADER_LABELS = ("pinctrl-rp1", "pinctrl-bcm2711", "pinctrl-bcm2835")
"""How the chip behind the 40 pins is called: Pi 5; Pi 4; Pi 3 and older, Zero."""
CONSUMER = "ccs-pilot"
BUFFER_EVENTS = 1024
"""The kernel's upper bound (16 times 64 lines)."""
MARGIN_S = 0.0005
"""From an interrupt to its event in the buffer, with room for a busy real-time kernel."""
RETRY_S = 1.0
DOUBT_S = 0.008
"""The line shows another level than the last event for this long: then an event was lost."""


def load_gpiod() -> Any:  # noqa: ANN401 - the package is optional
    """Import the package. Raises PortError that says how to get it."""
    try:
        import gpiod
        import gpiod.line
    except ImportError as error:
        raise PortError(
            "the package gpiod is not installed: pip install 'gpiod>=2.1' (or ccs-pilot[pi])"
        ) from error
    if not hasattr(gpiod, "request_lines"):
        raise PortError("the package gpiod is older than 2.1: pip install 'gpiod>=2.1'")
    return gpiod


def header_chip(gpiod: Any, folder: Path = Path("/dev")) -> str:  # noqa: ANN401
    """Path of the chip behind the 40 pins. Raises PortError when there is none."""
    denied: list[str] = []
    others: list[str] = []
    for path in sorted(folder.glob("gpiochip*")):
        try:
            with gpiod.Chip(str(path)) as chip:
                label = chip.get_info().label
        except OSError as error:
            denied.append(f"{path}: {error.strerror}")
            continue
        if label in HEADER_LABELS:
            return str(path)
        others.append(f"{path} is {label}")
    if denied:
        raise PortError(f"{denied[0]} (add the user to the group gpio, or run as a service)")
    found = ", ".join(others) or "there is none at all"
    raise PortError(f"no GPIO chip of a Raspberry Pi's header ({found})")


class GpiochipEdges:
    """`EdgePort` on one line, already open. Raises PortError when the line cannot be had."""

    def __init__(
        self,
        chip: str,
        gpio: int,
        *,
        inverted: bool = False,
        gpiod: Any = None,  # noqa: ANN401
    ) -> None:
        """`chip` is its path; `inverted` where a low level means a high pilot."""
        self._gpiod = gpiod or load_gpiod()
        self._chip, self._gpio, self._inverted = chip, gpio, inverted
        self.meter = EdgeMeter()
        self._request: Any = None
        self._reason = ""
        self._retry_at = -inf
        self._seqno: int | None = None
        self._doubted_since: float | None = None
        self._heard_at = -inf
        self._open()

    def read(self, now: float) -> tuple[Timing, float]:
        """Take what the kernel has; return the measurement, and until when it is known."""
        if self._request is None and not self._reopen(now):
            return self.meter.timing(), self._heard_at
        try:
            newest_at = self._drain()
            self._heard_at = max(newest_at, now - MARGIN_S, self._heard_at)
            self.meter.quiet(self._level_in_doubt(newest_at > -inf, now), self._heard_at * 1e6)
        except OSError as error:
            self._fail(now, error)
        return self.meter.timing(), self._heard_at

    def problem(self) -> str:
        """Why nothing is heard; empty when all is well."""
        return self._reason

    def fileno(self) -> int:
        """Return a descriptor that becomes readable with an edge; -1 while there is none."""
        return -1 if self._request is None else int(self._request.fd)

    def close(self) -> None:
        """Give the line back."""
        if self._request is not None:
            with contextlib.suppress(OSError):
                self._request.release()
            self._request = None

    # --- inside ---------------------------------------------------------------------------------

    def _open(self) -> None:
        line = self._gpiod.line
        settings = self._gpiod.LineSettings(
            direction=line.Direction.INPUT,
            edge_detection=line.Edge.BOTH,
            bias=line.Bias.DISABLED,
            active_low=self._inverted,
            event_clock=line.Clock.MONOTONIC,
        )
        try:
            self._request = self._gpiod.request_lines(
                self._chip,
                config={self._gpio: settings},
                consumer=CONSUMER,
                event_buffer_size=BUFFER_EVENTS,
            )
            self.meter.level_unknown()
        except (OSError, ValueError) as error:
            raise PortError(f"{self._chip}, GPIO {self._gpio}: {self._advice(error)}") from error
        self._reason, self._seqno, self._doubted_since = "", None, None

    def _advice(self, error: Exception) -> str:
        code = error.errno if isinstance(error, OSError) else None
        if code == errno.EBUSY:
            return "another program has it (gpioinfo tells which)"
        if code in (errno.EACCES, errno.EPERM):
            return "no permission: add the user to the group gpio, or run as a service"
        return getattr(error, "strerror", None) or str(error)

    def _reopen(self, now: float) -> bool:
        if now < self._retry_at:
            return False
        try:
            self._open()
        except PortError as error:
            self._reason, self._retry_at = str(error), now + RETRY_S
            return False
        return True

    def _fail(self, now: float, error: OSError) -> None:
        self._reason = f"{self._chip}, GPIO {self._gpio}: {self._advice(error)}"
        self._retry_at = now + RETRY_S
        self.close()

    def _drain(self) -> float:
        """Hand all events to the meter; return the time of the newest."""
        meter, rising = self.meter, self._gpiod.EdgeEvent.Type.RISING_EDGE
        newest_ns: float = -inf
        while self._request.wait_edge_events(0):
            events = self._request.read_edge_events()
            for event in events:
                if self._seqno is not None and event.line_seqno != self._seqno + 1:
                    meter.lost()
                self._seqno = event.line_seqno
                meter.edge(int(event.event_type is rising), event.timestamp_ns / 1000)
            newest_ns = events[-1].timestamp_ns
            if len(events) < BUFFER_EVENTS // 2:
                break
        return newest_ns * 1e-9

    def _level_in_doubt(self, had_events: bool, now: float) -> int | None:
        """Read the level where no event tells it, or where it may contradict the last one."""
        if had_events and self.meter.level is not None:
            self._doubted_since = None
            return None
        level = int(self._request.get_value(self._gpio) is self._gpiod.line.Value.ACTIVE)
        if self.meter.level is None or level == self.meter.level:
            self._doubted_since = None
            return level
        if self._doubted_since is None:
            self._doubted_since = now
        return level if now - self._doubted_since >= DOUBT_S else None
