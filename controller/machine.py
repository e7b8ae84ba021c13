"""State machines as tables: a thin, checked shape around the core `Machine` of `transitions`.

A machine is a module-level `TABLE` of `row(...)`, one row a line with its clause in the margin, a
`DEADLINE_S` for the states that wait, and a class whose methods are the guards and actions that the
rows name. `TableMachine` adds what every core of ours has: `receive_*` set `self.now` and `self.rx`
and fire triggers without arguments, actions only append to `self.out`, deadlines are absolute and
armed when a state is *entered* - an internal row (`dest=None`) does not enter, so unrelated input
never re-arms a deadline. `dest="="` does re-enter.

What `transitions` does not check by itself (a misspelt action, a trigger that the class does not
declare, a guard whose name it replaces with a method of its own, a state without exit or deadline)
is checked for every table by `lint_table`, which `make check` and the tests run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from typing import TYPE_CHECKING, Any, ClassVar, TypedDict

from transitions import Machine, State

from controller.own_code import own_code

if TYPE_CHECKING:
    from controller.signals import Output

Names = str | Sequence[str]


class Row(TypedDict):
    """One transition: `trigger` leads from any of `source` to `dest` when all guards say yes."""

    trigger: str
    source: list[Enum]
    dest: Enum | str | None
    conditions: list[str]
    after: list[str]


def _names(names: Names) -> list[str]:
    return [names] if isinstance(names, str) else list(names)


def row(
    trigger: str,
    source: Enum | Iterable[Enum],
    dest: Enum | str | None,
    when: Names = (),
    do: Names = (),
) -> Row:
    """Declare one transition; `dest=None` is internal (no re-arm), `dest="="` re-enters."""
    sources = [source] if isinstance(source, Enum) else list(source)
    return Row(
        trigger=trigger, source=sources, dest=dest, conditions=_names(when), after=_names(do)
    )


class TableMachine:
    """Base of the cores whose behaviour is a table.

    Subclasses set `TABLE`, `INITIAL`, `DEADLINE_S` (state -> seconds after entry until the trigger
    `timeout`), and declare each trigger as a method returning bool. A state without a deadline is
    named in `ENDLESS`: it may wait for ever, because it rests or another core watches its time.
    """

    TABLE: ClassVar[Sequence[Row]]
    INITIAL: ClassVar[Enum]
    DEADLINE_S: ClassVar[Mapping[Any, float]]
    ENDLESS: ClassVar[Sequence[Enum]] = ()

    # What every machine has lies in slots: with the triggers that `transitions` adds some have more
    # than thirty attributes, and CPython gives up its quick ways to the methods of such an object.
    __slots__ = ("_deadline_at", "machine", "now", "out", "rx", "state")

    state: Any
    _rows: ClassVar[Mapping[tuple[Enum, str], list[Row]]] = {}

    def __init_subclass__(cls) -> None:
        """Note the rows by state and trigger, for `fire`."""
        super().__init_subclass__()
        own_code(cls)
        cls._rows = _by_state_and_trigger(getattr(cls, "TABLE", ()))

    def __init__(self) -> None:
        self.now = 0.0
        self.rx: Any = None
        self.out: list[Output] = []
        self._deadline_at: float | None = None
        states = [State(s, on_enter=["_arm_deadline"]) for s in type(self.INITIAL)]
        self.machine = Machine(
            model=self,
            states=states,
            initial=self.INITIAL,
            transitions=[dict(r) for r in self.TABLE],
            auto_transitions=False,
            model_override=True,
            queued=False,
            send_event=False,
            ignore_invalid_triggers=True,
        )

    def timeout(self) -> bool:
        """Fire when the deadline of the present state has passed (replaced by the table)."""
        return False

    def fire(self, trigger: str) -> bool:
        """Fire a trigger by name, as calling it would; cheap where the state stays as it is.

        A charge loop fires the same trigger four times a second, and its row is internal or only
        arms the deadline anew. Such rows need none of what `transitions` does around a change, nor
        does a trigger that has no row in this state.
        """
        rows = self._rows.get((self.state, trigger))
        if rows is None:
            return False
        for r in rows:
            for guard in r["conditions"]:
                if not getattr(self, guard)():
                    break
            else:
                if r["dest"] is None:
                    for action in r["after"]:
                        getattr(self, action)()
                    return True
                if r["dest"] == "=" and not r["after"]:
                    self._arm_deadline()
                    return True
                break
        fired: bool = getattr(self, trigger)()
        return fired

    def next_timer(self) -> float | None:
        """Absolute time at which `handle_timer` wants to be called, or None."""
        return self._deadline_at

    def handle_timer(self, now: float) -> list[Output]:
        """Fire `timeout` if the present state's deadline has passed."""
        if self._deadline_at is None or now < self._deadline_at:
            return []
        self.now, self.rx = now, None
        self._deadline_at = None
        self.timeout()
        return self.drain()

    def drain(self) -> list[Output]:
        """Take the outputs collected so far."""
        out, self.out = self.out, []
        return out

    def _arm_deadline(self) -> None:
        wait_s = self.DEADLINE_S.get(self.state)
        self._deadline_at = None if wait_s is None else self.now + wait_s


def _by_state_and_trigger(table: Iterable[Row]) -> dict[tuple[Enum, str], list[Row]]:
    rows: dict[tuple[Enum, str], list[Row]] = {}
    for r in table:
        for source in r["source"]:
            rows.setdefault((source, r["trigger"]), []).append(r)
    return rows


def lint_table(cls: type[TableMachine]) -> list[str]:
    """Return what is wrong with a table: one line a finding, empty when all is well."""
    findings: list[str] = []
    states = type(cls.INITIAL)
    reached: set[Enum] = {cls.INITIAL}
    left: set[Enum] = set()
    taken = {f"may_{r['trigger']}" for r in cls.TABLE} | {f"is_{s.name}" for s in states}
    for r in cls.TABLE:
        label = f"{cls.__name__}: {r['trigger']} from {[s.name for s in r['source']]}"
        names = [r["trigger"], *r["conditions"], *r["after"]]
        findings += [
            f"{label}: {name!r} is not a method of the class"
            for name in names
            if not callable(getattr(cls, name, None))
        ]
        findings += [
            f"{label}: {name!r} is a name that transitions gives away"
            for name in names
            if name in taken
        ]
        if isinstance(r["dest"], Enum):
            reached.add(r["dest"])
            left.update(s for s in r["source"] if s is not r["dest"])
    for s in states:
        if s not in reached:
            findings.append(f"{cls.__name__}: state {s.name} is never reached")
        if s not in left:
            findings.append(f"{cls.__name__}: state {s.name} has no exit")
        if s not in cls.DEADLINE_S and s not in cls.ENDLESS:
            findings.append(f"{cls.__name__}: state {s.name} waits without a deadline")
        if s in cls.DEADLINE_S and s in cls.ENDLESS:
            findings.append(f"{cls.__name__}: state {s.name} has a deadline and is called endless")
    return findings


def mermaid(cls: type[TableMachine]) -> str:
    """Draw the table as a Mermaid state diagram (for the package's README)."""
    lines = ["stateDiagram-v2", f"    [*] --> {cls.INITIAL.name}"]
    for r in cls.TABLE:
        dest = r["dest"]
        if dest is None:
            continue
        guard = f" [{', '.join(r['conditions'])}]" if r["conditions"] else ""
        for s in r["source"]:
            target = s.name if isinstance(dest, str) else dest.name
            lines.append(f"    {s.name} --> {target}: {r['trigger']}{guard}")
    return "\n".join(lines) + "\n"
