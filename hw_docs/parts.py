"""The parts of hw_docs/parts.toml: values, tolerances, and how they are written."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

FILE = Path(__file__).parent / "parts.toml"
PREFIXES = ((1e6, "M"), (1e3, "k"), (1.0, ""), (1e-3, "m"), (1e-6, "µ"), (1e-9, "n"), (1e-12, "p"))
UNITS = {"Ω": (1e6, 1e3, 1.0), "F": (1e-6, 1e-9, 1e-12), "V": (1.0,)}
"""Unit -> the prefixes that people use with it."""


@dataclass(frozen=True, slots=True)
class Part:
    """One part; without `value` it is named by its type alone."""

    name: str
    meaning: str
    value: float | None = None
    unit: str = ""
    tolerance: float = 0.0
    type: str = ""

    @property
    def text(self) -> str:
        """The value as people write it, or the type."""
        return self.type if self.value is None else quantity(self.value, self.unit)

    @property
    def bounds(self) -> tuple[float, float]:
        """Lowest and highest value within the tolerance."""
        assert self.value is not None
        ends = (self.value * (1 - self.tolerance), self.value * (1 + self.tolerance))
        return min(ends), max(ends)


@dataclass(frozen=True, slots=True)
class Circuit:
    """A group of parts."""

    title: str
    parts: dict[str, Part]


def quantity(value: float, unit: str) -> str:
    """Write a value with the prefix that leaves a number from 1 to 999."""
    usable = [(f, p) for f, p in PREFIXES if f in UNITS[unit]]
    factor, prefix = next((fp for fp in usable if abs(value) >= fp[0] * 0.9999), usable[-1])
    return f"{value / factor:.4g} {prefix}{unit}"


def read_quantity(text: str) -> tuple[float, str]:
    """Take a written value apart: value and unit. Raises ValueError."""
    match = re.fullmatch(r"(-?\d+(?:\.\d+)?) ?([MkmµnpP]?)(Ω|F|V)", text)
    if match is None:
        raise ValueError(text)
    number, prefix, unit = match.groups()
    return float(number) * next(f for f, p in PREFIXES if p == prefix), unit


@cache
def circuits() -> dict[str, Circuit]:
    """Read the file: name -> circuit."""
    tables: dict[str, dict[str, Any]] = tomllib.loads(FILE.read_text(encoding="utf-8"))
    return {
        name: Circuit(
            table["title"],
            {key: Part(key, **entry) for key, entry in table.items() if key != "title"},
        )
        for name, table in tables.items()
    }


@cache
def everything() -> dict[str, Part]:
    """All parts by name; names are unique."""
    return {name: part for c in circuits().values() for name, part in c.parts.items()}


def value(name: str) -> float:
    """Return the value of a part that has one."""
    found = everything()[name].value
    assert found is not None, name
    return found
