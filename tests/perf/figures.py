"""One figure of `make bench`: a value beside its budget, a line to print."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured value; `limit` is what it may be at most (`at_least`: what it must reach)."""

    name: str
    amount: float
    unit: str
    limit: float | None = None
    at_least: bool = False
    note: str = ""

    @property
    def verdict(self) -> str:
        """OK, over or under; empty for a figure without a budget."""
        if self.limit is None:
            return ""
        if self.at_least:
            return "OK" if self.amount >= self.limit else "under"
        return "OK" if self.amount <= self.limit else "over"

    def line(self) -> str:
        """The figure as a line of text."""
        budget = ""
        if self.limit is not None:
            budget = f"{'>=' if self.at_least else '<='} {self.limit:g}"
        text = f"{self.name:<50}{self.amount:>10.4g} {self.unit:<10}{budget:<10}{self.verdict:<6}"
        return f"{text}{self.note}".rstrip()


def percentile(values: list[float], percent: float) -> float:
    """The value below which `percent` of the values are (nearest rank)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100.0))]
