"""The package `gpiod` as far as it is used, with lines that a test drives."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass, field
from enum import Enum
from types import SimpleNamespace
from typing import Any

LIMIT = 1024


class Direction(Enum):
    INPUT = 1
    OUTPUT = 2


class Edge(Enum):
    BOTH = 1


class Bias(Enum):
    DISABLED = 1


class Clock(Enum):
    MONOTONIC = 1


class Value(Enum):
    INACTIVE = 0
    ACTIVE = 1


class Type(Enum):
    RISING_EDGE = 1
    FALLING_EDGE = 2


class EdgeEvent:
    Type = Type


@dataclass
class LineSettings:
    direction: Direction = Direction.INPUT
    edge_detection: Edge = Edge.BOTH
    bias: Bias = Bias.DISABLED
    active_low: bool = False
    event_clock: Clock = Clock.MONOTONIC


@dataclass
class Event:
    event_type: Type
    timestamp_ns: int
    line_seqno: int


@dataclass
class Wire:
    """One line: what the kernel has of it."""

    level: int = 0
    seqno: int = 0
    waiting: list[Event] = field(default_factory=list)
    listening: bool = False

    def put(self, level: int, at: float, *, told: bool = True) -> None:
        """An edge at `at` seconds; untold ones are those that no buffer had room for."""
        self.level = level
        if not self.listening:
            return
        self.seqno += 1
        kind = Type.RISING_EDGE if level else Type.FALLING_EDGE
        if told and len(self.waiting) < LIMIT:
            self.waiting.append(Event(kind, round(at * 1e9), self.seqno))


class FakeGpiod:
    """Stands for the module."""

    Chip: Any
    EdgeEvent = EdgeEvent
    LineSettings = LineSettings
    line = SimpleNamespace(Direction=Direction, Edge=Edge, Bias=Bias, Clock=Clock, Value=Value)

    def __init__(self, labels: dict[str, str] | None = None) -> None:
        self.labels = labels or {}
        self.denied: set[str] = set()
        self.wire = Wire()
        self.refuses: int = 0
        """errno of the next requests."""
        self.broken: int = 0
        """errno of reading."""
        self.requested: dict[str, Any] = {}
        self.Chip = lambda path: FakeChip(self, path)

    def request_lines(self, path: str, **wanted: Any) -> FakeRequest:  # noqa: ANN401
        if self.refuses:
            raise OSError(self.refuses, os.strerror(self.refuses))
        self.requested = {"path": path, **wanted}
        self.wire.listening = True
        self.wire.waiting.clear()
        return FakeRequest(self)


class FakeChip:
    def __init__(self, module: FakeGpiod, path: str) -> None:
        if path in module.denied:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        self.label = module.labels[path]

    def __enter__(self) -> FakeChip:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def get_info(self) -> FakeChip:
        return self


class FakeRequest:
    fd = 99

    def __init__(self, module: FakeGpiod) -> None:
        self._module = module

    def wait_edge_events(self, timeout: float) -> bool:
        assert timeout == 0
        if self._module.broken:
            raise OSError(self._module.broken, os.strerror(self._module.broken))
        return bool(self._module.wire.waiting)

    def read_edge_events(self) -> list[Event]:
        events, self._module.wire.waiting = self._module.wire.waiting, []
        return events

    def get_value(self, gpio: int) -> Value:
        assert gpio in self._module.requested["config"]
        return Value(self._module.wire.level)

    def release(self) -> None:
        self._module.wire.listening = False
