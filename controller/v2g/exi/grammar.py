"""From declarations to EXI grammars: what may come next, and how many bits say which.

A `ComplexType` is a declared class as the grammar sees it. What may stand in it is a row of
particles; a `State` is such a row of which some have been consumed. Its events follow from the row
alone (the derivative of a regular expression), in the order of EXI 1.0, 8.5.4.1: attributes by
name, elements in schema order, wildcards, end, text. The grammars are not strict: each state has
one code more than events, the escape to deviations, of which these protocols use one only (see
`walk`). So a state of n events takes n.bit_length() bits, and one with a single event takes one
bit, not none.
"""

import inspect
import types
import typing
from collections.abc import Collection, Iterator, Mapping
from dataclasses import Field, dataclass, fields
from functools import cached_property
from operator import attrgetter

from controller.v2g.exi.schema import (
    ANY,
    INFO,
    STRING,
    UNBOUNDED,
    Declared,
    ExiEnum,
    Group,
    SimpleType,
    Spec,
    TypeInfo,
    Wildcard,
)

NOTHING: Mapping[str, Collection[str]] = types.MappingProxyType({})
NO_INFO = TypeInfo("", False, False, None, False)
WILDCARD = "any element"
MIXED = "text between elements"


@dataclass(frozen=True, eq=False)
class Slot:
    """One field of a class, or an implied parent of fields (then `attr` is empty)."""

    attr: str
    kind: str  # as in `Spec`
    name: str
    options: "tuple[tuple[str, ValueType], ...]"  # several for a substitution group or a wildcard
    many: bool
    namespace: str = ""  # "" where each option has that of its class


@dataclass(frozen=True, eq=False)
class Event:
    """What an event code stands for; without a slot and a name it is the end of the element."""

    slot: Slot | None  # None too where content of that kind is refused
    name: str
    type: "ValueType | None"  # None: end or wildcard
    after: "State | None"


@dataclass(frozen=True)
class Particle:
    """A slot, a wildcard or a choice of rows, `least` to `most` times."""

    of: "Slot | Wildcard | tuple[Row, ...]"
    least: int
    most: int

    @property
    def is_optional(self) -> bool:
        """Whether it may be left out."""
        rows = self.of if isinstance(self.of, tuple) else ()
        return self.least == 0 or any(all(p.is_optional for p in row) for row in rows)

    def rest(self) -> "Row":
        """Return what remains of it after one occurrence."""
        if self.most == 1:
            return ()
        most = self.most if self.most == UNBOUNDED else self.most - 1
        return (Particle(self.of, max(self.least - 1, 0), most),)


Row = tuple[Particle, ...]


class State:
    """A place in a grammar; made on demand, one for each row of particles."""

    def __init__(self, type_: "ComplexType", row: Row) -> None:
        self._type = type_
        self.row = row

    @cached_property
    def events(self) -> tuple[Event, ...]:
        """The events of the first level, in the order of their codes."""
        made = sorted(_first(self._type, self.row), key=lambda event: event.name == WILDCARD)
        if all(particle.is_optional for particle in self.row):
            made.append(Event(None, "", None, None))
        attributes = [p for p in self.row if isinstance(p.of, Slot) and p.of.kind == "attribute"]
        if self._type.mixed and all(particle.is_optional for particle in attributes):
            content = self._type.state(self.row[len(attributes) :])
            made.append(Event(self._type.mixed_slot, MIXED, STRING, content))
        return tuple(made)

    @cached_property
    def bits(self) -> int:
        """Width of the event code."""
        return len(self.events).bit_length()


def _first(type_: "ComplexType", row: Row, tail: Row = ()) -> Iterator[Event]:
    for index, particle in enumerate(row):
        after = particle.rest() + row[index + 1 :] + tail
        if isinstance(particle.of, Slot) and particle.of.kind == "wildcard":
            yield Event(particle.of, WILDCARD, None, type_.state(after))
        elif isinstance(particle.of, Slot):
            for name, value_type in particle.of.options:
                yield Event(particle.of, name, value_type, type_.state(after))
        elif isinstance(particle.of, Wildcard):
            yield Event(None, WILDCARD, None, type_.state(after))
        else:
            for option in particle.of:
                yield from _first(type_, option, after)
        if not particle.is_optional:
            return


class ComplexType:
    """The grammar of one declared class, or of an implied parent element (`cls` is None)."""

    def __init__(self, cls: type[Declared] | None, row: Row) -> None:
        info = INFO.get(cls, NO_INFO) if cls else NO_INFO
        self.cls = cls
        self.name = cls.__name__ if cls else ""
        self.namespace = cls.NAMESPACE if cls else ""
        self.element = info.element
        self.is_abstract = info.abstract
        self.mixed = info.mixed
        self.mixed_slot: Slot | None = None
        self.order_attr = ""  # field for the document order, where it is kept
        self.row = row
        self._states: dict[Row, State] = {}

    @property
    def start(self) -> State:
        """The state after the start of the element."""
        return self.state(self.row)

    @cached_property
    def slots(self) -> tuple[Slot, ...]:
        """The slots of this very element; those below an implied parent are the parent's."""
        mixed = [self.mixed_slot] if self.mixed_slot else []
        return tuple(dict.fromkeys([*slots_in(self.row), *mixed]))

    def state(self, row: Row) -> State:
        """Return the state before `row`."""
        if row not in self._states:
            self._states[row] = State(self, row)
        return self._states[row]


ValueType = SimpleType | type[ExiEnum] | ComplexType


class Grammar:
    """All types that a protocol's roots reach, and the codes of its root elements."""

    def __init__(
        self,
        roots: tuple[type[Declared], ...],
        others: Mapping[str, Collection[str]] = NOTHING,
        unreached: Collection[type[Declared]] = (),
    ) -> None:
        """`others` and `unreached` are what no root leads to, but the schema set has.

        They are names of global elements by namespace, and types whose elements count in fragments.
        A substitution group has the members that are declared beside its head or beside a root.
        """
        self.types: dict[type[Declared], ComplexType] = {}
        self._modules = {root.__module__ for root in roots}
        self._unreached = unreached
        self.roots = {INFO[root].element: self.type_of(root) for root in roots}
        bases = {base for cls in self.types for base in cls.__mro__}
        known = {base for base in bases if issubclass(base, Declared) and base in INFO}
        names = {(INFO[cls].element, cls.NAMESPACE) for cls in known if INFO[cls].element}
        names |= {(name, namespace) for namespace in others for name in others[namespace]}
        self._global_names = names
        self.elements = [name for name, _ in sorted(names)]
        self.root_bits = len(self.elements).bit_length()  # one code more: any other element

    @cached_property
    def _elements(self) -> dict[tuple[str, str], "list[ValueType]"]:
        """Types of all elements of the schema set, global or local, by name and namespace."""
        found: dict[tuple[str, str], list[ValueType]] = {name: [] for name in self._global_names}
        for cls in self._unreached:
            self.type_of(cls)
        types = list(self.types.values())
        for type_ in types:
            if type_.element:
                found[type_.element, type_.namespace].append(type_)
        for type_ in types:
            for name, namespace, value_type in _elements(type_, type_.namespace):
                of_name = found.setdefault((name, namespace), [])
                if value_type not in of_name:
                    of_name.append(value_type)
        return found

    @cached_property
    def fragments(self) -> list[tuple[str, str, ComplexType | None]]:
        """All elements of the schema set, global or local, in the order of their fragment codes.

        Each comes with its namespace, and its type where that is a declared class.
        """
        declared = {
            key: [t for t in types if isinstance(t, ComplexType) and t.cls]
            for key, types in sorted(self._elements.items())
        }
        return [(*key, types[0] if types else None) for key, types in declared.items()]

    @cached_property
    def relaxed(self) -> Collection[tuple[str, str]]:
        """Name and namespace of elements that have another type elsewhere."""
        return {key for key, types in self._elements.items() if len(types) > 1}

    @cached_property
    def attributes(self) -> list[tuple[str, str]]:
        """Name and namespace of all attributes of the schema set, sorted."""
        assert self._elements is not None  # makes all types
        slots = [slot for t in self.types.values() for slot in t.slots]
        return sorted({(s.name, s.namespace) for s in slots if s.kind == "attribute"})

    @cached_property
    def fragment_bits(self) -> int:
        """Width of a fragment's event code: any element, any other, or the end."""
        return (len(self.fragments) + 1).bit_length()

    def type_of(self, cls: type[Declared]) -> ComplexType:
        """Return the grammar of a declared class."""
        if cls not in self.types:
            names = {known.__name__ for known in self.types}
            assert cls.__name__ not in names, f"two classes {cls.__name__} in one protocol"
            made = self.types[cls] = ComplexType(cls, ())
            self._fill(made, cls)
        return self.types[cls]

    def _fill(self, made: ComplexType, cls: type[Declared]) -> None:
        named: dict[str, list[tuple[Slot, Spec, bool]]] = {}
        for field in fields(cls):
            spec: Spec = field.metadata["exi"]
            kind = "element" if spec.kind == "text" else spec.kind
            slot = self._slot(cls, field.name, _hint(cls, field), spec)
            named.setdefault(kind, []).append((slot, spec, field.default is None))
        attributes = sorted(named.get("attribute", []), key=lambda item: item[0].name)
        content = named.get("element", [])
        for slot, _, _ in named.get("mixed", []):
            made.mixed_slot = slot
        for slot, _, _ in named.get("order", []):
            made.order_attr = slot.attr
        made.row = tuple(_particle(*item) for item in attributes)
        group = INFO[cls].content
        if group is None:
            made.row += tuple(self._particles(content))
        else:
            slots: dict[str | Wildcard, Slot] = {slot.name: slot for slot, _, _ in content}
            if "wildcard" in named:
                slots[ANY] = named["wildcard"][0][0]
            made.row += (_group(group, slots),)

    def _slot(self, owner: type[Declared], attr: str, hint: object, spec: Spec) -> Slot:
        many = typing.get_origin(hint) is tuple
        if many or typing.get_origin(hint) is types.UnionType:
            hint = typing.get_args(hint)[0]
        options: tuple[tuple[str, ValueType], ...]
        if spec.kind == "order":
            options = ()
        elif spec.type is not None:
            options = ((spec.name, spec.type),)
        elif isinstance(hint, type) and issubclass(hint, ExiEnum):
            options = ((spec.name, hint),)
        else:
            assert isinstance(hint, type)
            assert issubclass(hint, Declared)
            options = self._options(spec, hint)
        is_group = len(options) > 1
        home = next(c for c in owner.__mro__ if attr in inspect.get_annotations(c))
        assert issubclass(home, Declared)
        namespace = "" if is_group else spec.namespace or home.NAMESPACE
        if spec.kind == "attribute" and not home.ATTRIBUTES_QUALIFIED:
            namespace = ""
        return Slot(attr, spec.kind, spec.name, options, many, namespace)

    def _options(self, spec: Spec, cls: type[Declared]) -> tuple[tuple[str, ValueType], ...]:
        info = INFO.get(cls, NO_INFO)
        if spec.kind != "wildcard" and not (info.head and info.element == spec.name):
            return ((spec.name, self.type_of(cls)),)
        modules = {cls.__module__, *self._modules}
        members = [c for c in INFO if issubclass(c, cls) and INFO[c].element]
        members = [member for member in members if member.__module__ in modules]
        members.sort(key=lambda member: INFO[member].element)
        return tuple((INFO[member].element, self.type_of(member)) for member in members)

    def _particles(self, content: list[tuple[Slot, Spec, bool]]) -> Iterator[Particle]:
        """Fold neighbours with the same `within` or `choice` into one particle."""
        while content:
            spec = content[0][1]
            same = attrgetter("within", "choice")
            run = 1
            while run < len(content) and same(content[run][1]) == same(spec):
                run += 1
            if spec.within:
                inner = tuple(_particle(*item) for item in content[:run])
                parent = ComplexType(None, inner)
                slot = Slot("", "element", spec.within, ((spec.within, parent),), False)
                yield Particle(slot, 1, 1)
            elif spec.choice:
                rows = tuple((Particle(slot, 1, 1),) for slot, _, _ in content[:run])
                yield Particle(rows, spec.least, 1)
            else:
                yield from (_particle(*item) for item in content[:run])
            content = content[run:]


def _elements(type_: ComplexType, owner: str) -> Iterator[tuple[str, str, ValueType]]:
    """Return name, namespace and type of the elements in a type, those of implied parents too."""
    for slot in type_.slots:
        for name, value_type in slot.options if slot.kind == "element" else ():
            if not isinstance(value_type, ComplexType):
                yield name, slot.namespace or owner, value_type
            elif value_type.cls is not None:
                yield name, slot.namespace or value_type.namespace, value_type
            else:
                yield name, slot.namespace or owner, value_type
                yield from _elements(value_type, owner)


def slots_in(row: Row) -> Iterator[Slot]:
    """Return the slots of a row, those within choices too."""
    for particle in row:
        if isinstance(particle.of, Slot):
            yield particle.of
        elif isinstance(particle.of, tuple):
            for option in particle.of:
                yield from slots_in(option)


def _hint(cls: type[Declared], field: Field[typing.Any]) -> typing.Any:  # noqa: ANN401 - a type, or a form of one
    """Return the type that a field is declared with."""
    if isinstance(field.type, str):  # a forward reference, or a module with late annotations
        return typing.get_type_hints(cls)[field.name]
    return field.type


def _particle(slot: Slot, spec: Spec, is_optional: bool) -> Particle:
    return Particle(slot, 0 if is_optional else spec.least, spec.most)


def _group(part: "str | Wildcard | Group", slots: dict[str | Wildcard, Slot]) -> Particle:
    """Return the particle of a declared model group."""
    if isinstance(part, str):
        return Particle(slots[part], 1, 1)
    if isinstance(part, Wildcard):
        return Particle(slots.get(ANY, ANY), 1, 1)
    inner = [_group(each, slots) for each in part.parts]
    rows = (tuple(inner),) if part.kind == "sequence" else tuple((each,) for each in inner)
    return Particle(rows, part.least, part.most)
