"""How long the sequences of IEC 61851-1 Table A.6 take (core): measured while they happen.

Each row of the table says which change of the pilot begins a sequence, what ends it and within
which time. A sequence that ends, or whose time is over, becomes a `SequenceTimed`: evidence for the
trace. Nothing here acts; what must happen is the interlock's and the session's. Time counts from
the moment the new state is believed, at most 10 ms after the edge.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from controller.cp import timing
from controller.signals import ControlPilotState, SequenceTimed

if TYPE_CHECKING:
    from controller.signals import ContactorReading, Output

S = ControlPilotState
_POWER = (S.C1, S.C2, S.D1, S.D2)


class End(Enum):
    """What ends a sequence."""

    OFF = "contactors open and output off"
    ON = "contactors closed"
    LEFT_C = "the vehicle leaves C and D"


@dataclass(frozen=True, slots=True)
class Sequence:
    """One row: from one of `before` to one of `after` begins it."""

    number: str
    what: str
    before: tuple[S, ...]
    after: tuple[S, ...]
    end: End
    limit_s: float


_ANY = tuple(S)
SEQUENCES: tuple[Sequence, ...] = (
    Sequence("2", "unplugged: off", _ANY, (S.A1, S.A2), End.OFF, timing.T_OFF_AFTER_A_S),
    Sequence("8.1", "vehicle opens S2: off", _POWER, (S.B1, S.B2), End.OFF, timing.T_OFF_AFTER_B_S),
    Sequence(
        "10.1",
        "oscillator off: vehicle opens S2",
        (S.C2, S.D2),
        (S.C1, S.D1),
        End.LEFT_C,
        timing.T_S2_AFTER_X1_S,
    ),
    Sequence(
        "10.2",
        "oscillator off: off at the latest",
        (S.C2, S.D2),
        (S.C1, S.D1),
        End.OFF,
        timing.T_OFF_UNDER_LOAD_S,
    ),
    Sequence("12", "short circuit: off", _ANY, (S.E,), End.OFF, timing.T_OFF_AFTER_E_S),
)
"""What holds for every charger."""
AC_SEQUENCES: tuple[Sequence, ...] = (
    Sequence(
        "4",
        "vehicle asks for power: on",
        (S.B1, S.B2, S.C1, S.D1),
        (S.C2, S.D2),
        End.ON,
        timing.T_ON_AFTER_C_S,
    ),
    *SEQUENCES,
)
"""A DC charger switches on when the V2G session says so, an AC charger by the pilot alone."""


class SequenceWatch:
    """Turns pilot states and the state of the power into `SequenceTimed`."""

    __slots__ = ("_rows", "_running", "_state")

    def __init__(self, rows: tuple[Sequence, ...] = SEQUENCES) -> None:
        self._rows = rows
        self._running: dict[Sequence, float] = {}
        self._state: S | None = None

    @property
    def is_running(self) -> bool:
        """Whether something is being timed."""
        return bool(self._running)

    def follow(
        self, state: S, contactors: ContactorReading, now: float, *, on: bool
    ) -> list[Output]:
        """Take what a period knows; `on`: something is commanded on."""
        if state is self._state and not self._running:
            return []
        power: bool | None = on or contactors.closed
        return self.look(state, now, power=None if not power and not contactors.valid else power)

    def look(self, state: S, now: float, *, power: bool | None) -> list[Output]:
        """Take the pilot's state, and whether anything is on (None: nobody knows)."""
        before, self._state = self._state, state
        if before is not None and before is not state:
            self._follow(before, state, now, power=power)
        out: list[Output] = []
        for row, since in [*self._running.items()]:
            took_s = now - since
            ended = self._has_ended(row, state, power=power)
            if ended or took_s > row.limit_s:
                del self._running[row]
                kept = ended and took_s <= row.limit_s
                out.append(SequenceTimed(row.number, row.what, took_s, row.limit_s, kept))
        return out

    def _follow(self, before: S, state: S, now: float, *, power: bool | None) -> None:
        for row in self._rows:
            if row.end is End.ON and state not in row.after:
                self._running.pop(row, None)  # the vehicle thought better of it
            if state in row.after and before in row.before and before not in row.after:
                begins = (row.end is not End.OFF or power is True) and row not in self._running
                if begins and not (row.end is End.ON and power is True):
                    self._running[row] = now

    @staticmethod
    def _has_ended(row: Sequence, state: S, *, power: bool | None) -> bool:
        if row.end is End.LEFT_C:
            return state not in _POWER
        return power is (row.end is End.ON)
