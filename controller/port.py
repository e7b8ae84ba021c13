"""What a realtime process needs from outside: all its hardware, as one thing (a `Protocol`).

The process calls `read` once at the start of a period and `carry_out` for each command within it.
No call may block for longer than a fraction of a period: a driver whose part hangs returns the last
reading with its old time stamp (the interlock sees its age and withdraws the permits), tries again
outside the period, and says in `problem` what is wrong. None of them raises while running.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from controller.signals import Output


class Hardware(Protocol):
    """Pilot, contactors, power, inputs of one charger or one vehicle."""

    def read(self, now: float) -> Output:
        """Everything the hardware tells now: `EvseInputs` or `PevInputs`."""

    def carry_out(self, command: Output, now: float) -> None:
        """Do what the realtime core commands (one of its `TO_HARDWARE`)."""

    def kick(self) -> None:
        """Give the external watchdog one edge; called once after each complete period."""

    def problem(self) -> str:
        """What does not work at the moment, in words for a person; empty when all is well."""

    def make_safe(self) -> None:
        """Open, switch off, steady pilot; also with half of the hardware gone, and repeatedly."""

    def close(self) -> None:
        """Give the devices back; makes safe first."""


@dataclass(frozen=True, slots=True)
class LastWish:
    """What is to be driven once this process has died: all off, a steady pilot; see the guard."""

    pigpiod: str = ""
    """host:port of the daemon that drives `levels` and `pwm`; empty: none."""
    levels: tuple[tuple[int, bool], ...] = ()
    """GPIO and level."""
    pwm: tuple[tuple[int, int, int], ...] = ()
    """GPIO, Hz, duty in millionths."""
    files: tuple[tuple[str, str], ...] = ()
    """Path and text, for the kernel's drivers."""

    def __add__(self, other: LastWish) -> LastWish:
        return LastWish(
            self.pigpiod or other.pigpiod,
            self.levels + other.levels,
            self.pwm + other.pwm,
            self.files + other.files,
        )


@runtime_checkable
class Wishes(Protocol):
    """Hardware (or a part of it) that goes on driving when the process that drives it has died."""

    def last_wish(self) -> LastWish:
        """Say what is to be driven then."""


@runtime_checkable
class Wakes(Protocol):
    """Hardware that says when something begins to happen, so that nobody has to look for it."""

    def wake_fileno(self) -> int:
        """Return a descriptor that becomes readable then; -1 while there is none."""


@runtime_checkable
class MidPeriod(Protocol):
    """Hardware that also wants to be called in the middle of every period.

    A converter that measures one input at a time and needs 1.2 ms for it gets two of them into a
    period of 5 ms when it is looked at twice. Who is not called there still works, half as often.
    """

    def mid_period(self, now: float) -> None:
        """Fetch what is ready, start what takes time; blocks as little as `read`."""


def wishes_of(*parts: object) -> LastWish:
    """Join what those of the parts wish that go on driving."""
    joined = LastWish()
    for part in parts:
        if isinstance(part, Wishes):
            joined += part.last_wish()
    return joined
