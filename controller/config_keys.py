"""What a key of a configuration file may hold: each kind reads a value or refuses it, and says so.

A declaration (`number(80.0, 1, 100, "...")`) is the default of a dataclass field; its `Key` checks
what a file says and is printed in the reference.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Key:
    """What a key may hold: `read` converts or raises ValueError; `allowed` says so in words."""

    read: Callable[[Any], Any]
    allowed: str
    meaning: str


def _key(default: Any, read: Callable[[Any], Any], allowed: str, meaning: str) -> Any:  # noqa: ANN401 - a dataclass field stands for any type
    return field(default=default, metadata={"key": Key(read, allowed, meaning)})


def _bounded(value: object, low: float, high: float) -> float:
    """Take a number from `low` to `high`: no truth value, no text, not NaN."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise ValueError
    return float(value)


def number(default: float, low: float, high: float, meaning: str) -> Any:  # noqa: ANN401
    """Declare a number from `low` to `high`, both allowed."""

    def read(value: object) -> float:
        return _bounded(value, low, high)

    return _key(default, read, f"a number from {low:g} to {high:g}", meaning)


def whole(default: int, low: int, high: int, meaning: str) -> Any:  # noqa: ANN401
    """Declare a whole number from `low` to `high`, both allowed."""

    def read(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise ValueError
        return value

    return _key(default, read, f"a whole number from {low} to {high}", meaning)


def choice(default: str, options: tuple[str, ...], meaning: str) -> Any:  # noqa: ANN401
    """Declare one of a few words."""

    def read(value: object) -> str:
        if value not in options:
            raise ValueError
        return str(value)

    return _key(default, read, "one of " + ", ".join(f'"{o}"' for o in options), meaning)


def text(default: str, longest: int, meaning: str) -> Any:  # noqa: ANN401
    """Declare printable text."""

    def read(value: object) -> str:
        if not isinstance(value, str) or len(value) > longest or not value.isprintable():
            raise ValueError
        return value

    return _key(default, read, f"printable text of at most {longest} characters", meaning)


def switch(default: bool, meaning: str) -> Any:  # noqa: ANN401
    """Declare true or false."""

    def read(value: object) -> bool:
        if not isinstance(value, bool):
            raise ValueError
        return value

    return _key(default, read, "true or false", meaning)


def curve(default: tuple[tuple[float, float], ...], low: float, high: float, meaning: str) -> Any:  # noqa: ANN401
    """Declare [[SoC in percent, value], ...] with rising SoC from 0 to 100."""

    def read(value: object) -> tuple[tuple[float, float], ...]:
        if not isinstance(value, list) or not 2 <= len(value) <= 100:
            raise ValueError
        points = tuple((_bounded(x, 0, 100), _bounded(y, low, high)) for x, y in value)
        if not all(a[0] < b[0] for a, b in itertools.pairwise(points)):
            raise ValueError
        return points

    allowed = f"[[soc, value], ...]: 2 to 100 points, soc rising in 0..100, value {low:g}..{high:g}"
    return _key(default, read, allowed, meaning)


@runtime_checkable
class Consistent(Protocol):
    """A section whose keys can contradict each other."""

    def problem(self) -> str:
        """Say what contradicts itself, or nothing."""
