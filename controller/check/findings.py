"""What a check found (core): one line each, what to do about it, the same as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

NAME_WIDTH = 15


class Status(Enum):
    """How bad it is; only FAIL keeps something from working."""

    OK = "OK"
    WARN = "WARN"
    FAIL = "FAIL"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the result."""

    name: str
    status: Status
    found: str
    todo: str = ""
    """What to do; never empty for WARN and FAIL."""

    def line(self) -> str:
        """As a person reads it."""
        todo = f" -> {self.todo}" if self.todo else ""
        return f"{self.status.value:<4}  {self.name:<{NAME_WIDTH}}  {self.found}{todo}"


def ok(name: str, found: str) -> Finding:
    """All is well."""
    return Finding(name, Status.OK, found)


def warn(name: str, found: str, todo: str) -> Finding:
    """It works, but not always, or not as well as it could."""
    return Finding(name, Status.WARN, found, todo)


def fail(name: str, found: str, todo: str) -> Finding:
    """It does not work like this."""
    return Finding(name, Status.FAIL, found, todo)


def count(findings: list[Finding]) -> dict[Status, int]:
    """How many of each."""
    return {status: sum(f.status is status for f in findings) for status in Status}


def summary(findings: list[Finding]) -> str:
    """Return the last line."""
    counted = count(findings)
    parts = [f"{counted[s]} {s.value}" for s in Status if counted[s] or s is Status.OK]
    word = "NOT ready" if counted[Status.FAIL] else "ready"
    return f"{word}: {', '.join(parts)}"


def to_json(findings: list[Finding], what: str) -> dict[str, Any]:
    """Return the whole result as one object; `what` was checked (charger or car)."""
    return {
        "checked": what,
        "ready": not count(findings)[Status.FAIL],
        "counts": {status.value: number for status, number in count(findings).items()},
        "checks": [
            {"name": f.name, "status": f.status.value, "found": f.found, "todo": f.todo}
            for f in findings
        ],
    }
