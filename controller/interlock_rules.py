"""How interlock rules are written and judged (core): the engine behind both interlocks.

A table of `Rule` rows is applied to a snapshot once per period by `Judge`.

- HOLD withholds while its predicate is true. NO_ENERGY withholds only the permit to energise.
- ERROR and EMERGENCY latch: no permit until the vehicle is unplugged, and for rows with
  `needs_reset` until someone has looked (`ResetRequest`, heeded only without vehicle). The first
  latched reason stays the one that is told first. An EMERGENCY demands that the oscillator stops.
- `after_s` bounds how long a predicate may be true before the row counts. It never helps to *get*
  a permit: a HOLD row counts at once while nothing is granted. Only time in which somebody looked
  counts: a process that stood still (and whose hardware chain has opened meanwhile) must not
  latch a fault over a reading from before.

Predicates say what is wrong as "not (all right)", so a value that is no number withholds. They are
pure functions of the snapshot's fields: `interlock_known` spares asking them what they said before.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from itertools import compress
from math import inf
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from controller.errors import ConfigError
from controller.interlock_known import Known
from controller.signals import ControlPilotState, InterlockReport, Permits, Phase, PilotFault

if TYPE_CHECKING:
    from collections.abc import Sequence

HEARTBEAT_TIMEOUT_S = 0.1
"""Communication silent for longer: no permit (chargebyte's safety controller: 100 ms)."""
PERMIT_LIFETIME_S = 0.1
PILOT_STALE_S = 0.05
"""Of the 100 ms that C to B may take, detection gets 50 ms (EVerest bring-up guide)."""
CONTACTOR_STALE_S = 0.1
CONTACTOR_DISAGREE_S = 0.4
"""Own figure: longer than the 300 ms in which feedback must follow a command."""
LOOKED_AWAY_S = 0.03
"""Own figure, above the longest period: nobody knows what was so in a gap like this."""
AGE_TOLERANCE_S = 0.005
"""A stamp this much ahead of `now` was taken within the same period."""

UNPLUGGED = (ControlPilotState.A1, ControlPilotState.A2)
HOLDING_FAULTS = (
    PilotFault.SHORT,
    PilotFault.RANGE,
    PilotFault.SUPPLY,
    PilotFault.DIODE,
    PilotFault.NEGATIVE_SUPPLY,
)
"""Faults of the pilot that hold until the vehicle is unplugged (chargebyte's firmware)."""
# Tuples, not sets: members are compared by identity, which is cheaper than an enum's hash.
CHECKED_PHASES = (Phase.CHARGE, Phase.PRE_CHARGE, Phase.STOPPING)


class Severity(Enum):
    """What a row does while its predicate is true, and after."""

    NO_ENERGY = "no energy"
    HOLD = "hold"
    ERROR = "error"
    EMERGENCY = "emergency"


@dataclass(frozen=True, slots=True)
class InterlockConfig:
    """What the site has; no value here can make the interlock more lenient than its constants."""

    heartbeat_timeout_s: float = HEARTBEAT_TIMEOUT_S
    pilot_stale_s: float = PILOT_STALE_S
    ventilation: bool = False
    """Forced ventilation is there: state D may be charged."""

    def __post_init__(self) -> None:
        for name, longest in (
            ("heartbeat_timeout_s", HEARTBEAT_TIMEOUT_S),
            ("pilot_stale_s", PILOT_STALE_S),
        ):
            if not 0.0 < getattr(self, name) <= longest:
                raise ConfigError(f"interlock {name} must be above 0 and at most {longest} s")


class Observation(Protocol):
    """What every snapshot has."""

    now: float


Seen = TypeVar("Seen", bound=Observation)
Predicate = Callable[[Seen, InterlockConfig], bool]


@dataclass(frozen=True, slots=True)
class Rule(Generic[Seen]):
    """One row: what is wrong, how to say it, and what follows.

    `reason` is told as it stands (so a report changes only when something changes); in rows that
    latch it may hold fields of the snapshot, `{s.voltage_v:.0f}`, filled in at that moment.
    """

    name: str
    is_wrong: Predicate[Seen]
    reason: str
    severity: Severity = Severity.HOLD
    after_s: float = 0.0
    needs_reset: bool = False

    @property
    def latches(self) -> bool:
        """Whether the row holds until unplugging."""
        return self.severity is Severity.ERROR or self.severity is Severity.EMERGENCY


def is_stale(age_s: float, limit_s: float) -> bool:
    """Return whether an input is too old, from the future, or its age is no number."""
    return not -AGE_TOLERANCE_S <= age_s <= limit_s


class Judge(Generic[Seen]):
    """Applies one table, period by period, and remembers what latched."""

    def __init__(
        self,
        rules: Sequence[Rule[Seen]],
        config: InterlockConfig,
        unplugged: Callable[[Seen], bool] = lambda seen: False,
    ) -> None:
        """`unplugged` says of a snapshot that certainly no vehicle is there."""
        self._rules = tuple(rules)
        self._unplugged = unplugged
        self._predicates = tuple(rule.is_wrong for rule in rules)
        self._config = config
        self._known = Known[Seen, InterlockConfig](self._predicates, config)
        self._never: list[float | None] = [None] * len(self._rules)
        # Since when each row is wrong; "since ever" until it was seen to be right.
        self._since: list[float | None] = [-inf] * len(self._rules)
        self._judged_at = -inf
        self._is_away = True
        self._granted = False
        self._doubted = True
        """A row was wrong since `_since` was cleared."""
        self._reset_wanted = False
        self._faults: dict[str, str] = {}
        """Name of each row that latched, the first one first -> its reason."""
        self.emergency = False
        self.needs_reset = False
        self.report = InterlockReport(False, False, (), "", False)

    @property
    def latched(self) -> str:
        """The fault that came first, of those that hold; or empty."""
        return next(iter(self._faults.values()), "")

    def ask_reset(self) -> None:
        """Clear faults that need it with the next evaluation that sees no vehicle."""
        self._reset_wanted = True

    def judge(self, seen: Seen) -> Permits:
        """Evaluate every row, but those of which it is known that they are right."""
        if self._faults:
            may_forget = self._reset_wanted or not self.needs_reset
            if may_forget and self._unplugged(seen):
                self._faults.clear()
                self.emergency = self.needs_reset = False
        self._reset_wanted = False
        self._look_up(seen.now)
        if not self._faults and self._known.all_right(seen):
            return self._grant(seen.now)
        wrong = [is_wrong(seen, self._config) for is_wrong in self._predicates]
        if not self._faults and not any(wrong):
            self._known.note_right(seen)
            return self._grant(seen.now)
        self._known.forget()
        close, energise, reasons = self._apply(seen, wrong)
        if self._faults:
            close = energise = False
            reasons = [*self._faults.values(), *reasons]
        self._granted = close
        told = tuple(reasons)
        self._update_report(close, energise, told)
        return Permits(close, energise, seen.now + PERMIT_LIFETIME_S, told)

    def _look_up(self, now: float) -> None:
        """Let latching rows begin to count anew after a gap in which nobody looked.

        Not after two gaps in a row: a loop that is always late still sees what lasts.
        """
        was_away = self._is_away
        self._is_away = now - self._judged_at > LOOKED_AWAY_S
        self._judged_at = now
        if self._is_away and not was_away and self._doubted:
            for index, rule in enumerate(self._rules):
                if rule.latches and self._since[index] != -inf:
                    self._since[index] = None

    def _grant(self, now: float) -> Permits:
        """Grant everything: no row is wrong, and nothing is latched."""
        if self._doubted:
            self._doubted = False
            self._since[:] = self._never
        if not (self._granted and self.report.energise):
            self._granted = True
            self._update_report(close=True, energise=True, reasons=())
        return Permits(True, True, now + PERMIT_LIFETIME_S)

    def _apply(self, seen: Seen, wrong: Sequence[bool]) -> tuple[bool, bool, list[str]]:
        close = energise = self._doubted = True
        reasons: list[str] = []
        before, self._since = self._since, self._never.copy()
        for index, rule in compress(enumerate(self._rules), wrong):
            since = before[index]
            self._since[index] = since = seen.now if since is None else since
            if not self._counts(rule, seen.now - since):
                continue
            energise = False
            close = close and rule.severity is Severity.NO_ENERGY
            if rule.latches:
                self._latch(rule, seen)
            else:
                reasons.append(rule.reason)
        return close, energise, reasons

    def _counts(self, rule: Rule[Seen], wrong_s: float) -> bool:
        at_once = rule.after_s == 0.0 or (not rule.latches and not self._granted)
        return at_once or wrong_s > rule.after_s

    def _latch(self, rule: Rule[Seen], seen: Seen) -> None:
        if rule.name not in self._faults:
            self._faults[rule.name] = rule.reason.format(s=seen)
        self.emergency = self.emergency or rule.severity is Severity.EMERGENCY
        self.needs_reset = self.needs_reset or rule.needs_reset

    def _update_report(self, close: bool, energise: bool, reasons: tuple[str, ...]) -> None:
        old = self.report
        if (
            old.close_contactors is not close
            or old.energise is not energise
            or old.reasons != reasons
            or old.emergency is not self.emergency
        ):
            self.report = InterlockReport(close, energise, reasons, self.latched, self.emergency)
