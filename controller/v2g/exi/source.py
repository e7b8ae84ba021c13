"""What the writers of source have in common: the steps of a type, lines, and names.

The generated functions are `read_X(m, s) -> (object, s)` and `write_X(o, m) -> m`, a pair for each
type X. `m` is the whole message as one integer. When reading, `s` is the number of bits still to
come; zeros follow the message, so that looking ahead needs no check. When writing, a 1 leads the
bits, so that none gets lost. Neighbouring fields of fixed width are read or written in one step, a
*run*. What the functions do not know (a deviation, a broken facet, a repeated choice) raises
Deviation, and the reference codec (`walk`) takes over and finds out what is wrong, if anything.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from controller.v2g.exi.grammar import ComplexType, Particle, Slot, State, ValueType
from controller.v2g.exi.schema import (
    MAX_ITEMS,
    UNBOUNDED,
    Binary,
    Boolean,
    ExiEnum,
    Integer,
    SimpleType,
)

Simple = SimpleType | type[ExiEnum]
SMALL_BITS = 7  # integer types of at most so many bits are read and written through a table
LONG_BINARY = 64  # bytes
MOST_VARINT = 2**64 - 1  # of integers without bounds; larger ones are left to the reference codec


class UnsupportedError(Exception):
    """The type has a shape that only the reference codec knows."""


@dataclass(frozen=True)
class Step:
    """A particle with the numbers of its events; all events of a type are numbered in order."""

    first: int
    least: int
    most: int
    choices: tuple[tuple[Slot, ValueType], ...]

    @property
    def after(self) -> int:
        """Number of the event that follows the last of these."""
        return self.first + len(self.choices)

    @property
    def slot(self) -> Slot:
        """The slot, unless it is a choice."""
        return self.choices[0][0]

    @property
    def is_choice(self) -> bool:
        """Whether its events are of different slots."""
        return any(slot is not self.slot for slot, _ in self.choices)

    @property
    def is_group(self) -> bool:
        """Whether it is a substitution group."""
        return len(self.choices) > 1 and not self.is_choice

    @property
    def bound(self) -> int:
        """How many items are taken, where it repeats."""
        return MAX_ITEMS if self.most == UNBOUNDED else self.most


def steps_of(type_: ComplexType) -> list[tuple[Step, State]]:
    """Return the steps of a type, each with the state after it. Raises UnsupportedError."""
    if type_.mixed:
        raise UnsupportedError
    steps: list[tuple[Step, State]] = []
    number = 0
    for index, particle in enumerate(type_.row):
        step = Step(number, particle.least, particle.most, _choices(particle))
        if step.most != 1 and (step.least > 1 or len(step.choices) > 1):
            raise UnsupportedError
        steps.append((step, type_.state(particle.rest() + type_.row[index + 1 :])))
        number = step.after
    return steps


def _choices(particle: Particle) -> tuple[tuple[Slot, ValueType], ...]:
    if isinstance(particle.of, Slot):
        return tuple((particle.of, type_) for _, type_ in particle.of.options)
    if not isinstance(particle.of, tuple) or particle.most != 1:
        raise UnsupportedError
    found: list[tuple[Slot, ValueType]] = []
    for row in particle.of:
        if len(row) != 1 or row[0].least != 1 or row[0].most != 1:
            raise UnsupportedError
        found += _choices(row[0])
    return tuple(found)


@dataclass(frozen=True)
class Bare:
    """A type with mixed content of which but the attributes are there: the usual algorithm."""

    attributes: tuple[Particle, ...]
    empty: tuple[Slot, ...]
    state: State
    end: int  # event code of the end in that state


def bare_of(type_: ComplexType) -> Bare:
    """Return the bare form of a type with mixed content. Raises UnsupportedError."""
    slots = [p.of for p in type_.row if isinstance(p.of, Slot) and p.of.kind == "attribute"]
    attributes = type_.row[: len(slots)]
    state = type_.state(type_.row[len(slots) :])
    ends = [code for code, event in enumerate(state.events) if not event.name]
    if not ends or any(particle.is_optional for particle in attributes):
        raise UnsupportedError
    empty = tuple(slot for slot in type_.slots if slot not in slots)
    return Bare(attributes, empty, state, ends[0])


def last_state(step: Step, state: State) -> State:
    """Return the state after the last item that a list may have."""
    while state.events[0].slot is step.slot:
        assert state.events[0].after is not None
        state = state.events[0].after
    return state


class Source:
    """Lines of Python under way, with the names and the types that they need."""

    def __init__(self, names: dict[str, object]) -> None:
        self.names = names
        self.needed: list[ComplexType] = []
        self.groups: list[tuple[str, Step]] = []  # substitution groups and the name of their table
        self.lines: list[str] = []
        self._indent = 1

    def put(self, line: str) -> None:
        """Add a line at the current depth."""
        self.lines.append("    " * self._indent + line)

    @contextmanager
    def block(self, head: str) -> Iterator[None]:
        """Add a compound statement; the lines put meanwhile are its body."""
        self.put(head)
        self._indent += 1
        start = len(self.lines)
        yield
        if len(self.lines) == start:
            self.put("pass")
        self._indent -= 1

    def deviate_if(self, condition: str) -> None:
        """Leave to the reference codec what meets a condition."""
        with self.block(f"if {condition}:"):
            self.put("raise Deviation")

    def name(self, name: str, value: object) -> str:
        """Make a value known to the source under a name."""
        assert self.names.setdefault(name, value) == value
        return name


def width_of(type_: Simple) -> int | None:
    """Width of a value in bits, where it is fixed."""
    if isinstance(type_, Boolean):
        return 1
    if isinstance(type_, Integer):
        return type_.bits
    if isinstance(type_, type):
        return (len(type_) - 1).bit_length()
    return None


def is_signed(type_: Simple) -> bool:
    """Whether it is an integer with a sign bit. Raises UnsupportedError for odd lower bounds."""
    if not isinstance(type_, Integer) or type_.bits is not None:
        return False
    if type_.least is not None and type_.least >= 0:
        return False
    if type_.least is not None and (type_.most is None or type_.least != -type_.most - 1):
        raise UnsupportedError
    return True


def limit_of(type_: Simple) -> int:
    """Largest varint of a type: its value, or its length."""
    limit = type_.limit if isinstance(type_, Integer) else None
    return MOST_VARINT if limit is None else limit


def floor_of(type_: Simple) -> int:
    """Smallest varint without a sign that is taken for a type."""
    return type_.floor or 0 if isinstance(type_, Integer) else 0


def table_name(prefix: str, least: int, most: int) -> str:
    """Name of a table for integers between bounds."""
    return f"{prefix}_{least}_TO_{most}".replace("-", "MINUS_")


def is_long(type_: ValueType) -> bool:
    """Whether values may be so long that what follows had better forget them."""
    if isinstance(type_, ComplexType):
        slots = type_.slots
        return any(slot.many or any(is_long(t) for _, t in slot.options) for slot in slots)
    return isinstance(type_, Binary) and type_.limit > LONG_BINARY
