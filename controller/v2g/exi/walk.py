"""The reference codec: walks the grammars event by event.

It is complete and says exactly where and why a message is wrong; the generated code (`compile`) is
many times faster, knows the common shapes only, and hands everything else to this. Here is the
decoder, in `walk_back` the encoder.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from controller.errors import ExiError
from controller.v2g.exi.bits import BitReader
from controller.v2g.exi.grammar import (
    ComplexType,
    Event,
    Grammar,
    Particle,
    Slot,
    State,
    ValueType,
)
from controller.v2g.exi.qnames import name_table
from controller.v2g.exi.relaxed import RelaxedGrammar
from controller.v2g.exi.schema import (
    MAX_ITEMS,
    Binary,
    Boolean,
    Declared,
    ExiEnum,
    Integer,
    SimpleType,
    Text,
)

HEADER = 0x80  # distinguishing bits 10, no options, final version 1 (EXI 1.0, chapter 5)

# An element of simple type that ends at once is the empty text or binary. The end is then the first
# of seven deviations: end, xsi:type, xsi:nil, attribute, untyped attribute, element, untyped text.
# Decoded are this and a value of length 0. This is what Canonical EXI prescribes where grammars are
# not strict, and what EXIficient writes; C codecs write, and read, a length of 0.
ESCAPE_BITS = 3
ESCAPE_END = 0

MAX_BYTES = 65536  # of a message; the largest of these protocols carry some certificates
MAX_DEPTH = 32  # of nested elements


@contextmanager
def locate(path: list[str]) -> Iterator[None]:
    """Put the path at which it happened into an ExiError."""
    try:
        yield
    except ExiError as error:
        raise ExiError(error.reason, ".".join(filter(None, path)), error.bit_offset) from None


class Decoder:
    """Decodes one payload."""

    def __init__(self, grammar: Grammar, payload: bytes) -> None:
        self._grammar = grammar
        self._reader = BitReader(payload)
        self._size = len(payload)
        self._path: list[str] = []

    def decode(self) -> tuple[Declared, int]:
        """Return the message and the number of bytes that follow it. Raises ExiError."""
        with locate(self._path):
            self._header()
            return self._object(self._root()), self._reader.left

    def decode_fragment(self) -> tuple[str, Declared]:
        """Return name and object of the only element of a fragment. Raises ExiError."""
        with locate(self._path):
            self._header()
            elements = self._grammar.fragments
            code = self._reader.read(self._grammar.fragment_bits)
            if code >= len(elements):
                raise self._reader.fail(f"unknown element (code {code})", 8)
            name, namespace, type_ = elements[code]
            if type_ is None:
                raise self._reader.fail(f"{name} cannot stand alone", 8)
            self._path[:] = [name]
            if (name, namespace) in self._grammar.relaxed:
                value = RelaxedGrammar(self._grammar).read(self._reader, type_)
            else:
                value = self._object(type_)
            if self._reader.read(self._grammar.fragment_bits) != len(elements) + 1:
                raise self._reader.fail("more than one element")
            return name, value

    def _header(self) -> None:
        self._path[:] = ["header"]
        if self._size > MAX_BYTES:
            raise self._reader.fail(f"{self._size} bytes, at most {MAX_BYTES} are taken")
        if self._reader.read(8) != HEADER:
            raise self._reader.fail("no EXI header without options", 0)
        self._path[:] = ["root"]

    def _root(self) -> ComplexType:
        code = self._reader.read(self._grammar.root_bits)
        names = self._grammar.elements
        if code >= len(names):
            raise self._reader.fail(f"unknown root element (code {code})", 8)
        if names[code] not in self._grammar.roots:
            raise self._reader.fail(f"{names[code]} is no message", 8)
        self._path[:] = [names[code]]
        return self._grammar.roots[names[code]]

    def _object(self, type_: ComplexType) -> Declared:
        values: dict[str, object] = {}
        self._content(type_, values)
        assert type_.cls is not None
        return type_.cls(**values)

    def _content(self, type_: ComplexType, values: dict[str, object]) -> None:
        if len(self._path) > MAX_DEPTH:
            raise self._reader.fail("nested too deeply")
        lists: dict[str, list[object]] = {slot.attr: [] for slot in type_.slots if slot.many}
        order: list[str] = []
        state = type_.start
        while True:
            event = self._event(state)
            if event.slot is None:
                break
            if event.after is None:  # text that ended before it began
                values[event.slot.attr] = "" if isinstance(event.type, Text) else b""
                break
            self._slot(event, event.slot, values, lists)
            if event.slot.kind != "attribute":
                order.append(event.slot.name)
            state = event.after
        for attr, items in lists.items():
            values[attr] = tuple(items)
        if type_.order_attr and order != usual_order(type_, order):
            values[type_.order_attr] = tuple(order)

    def _event(self, state: State) -> Event:
        start = self._reader.pos
        code = self._reader.read(state.bits)
        if code < len(state.events):
            event = state.events[code]
            if event.slot is not None or not event.name:
                return event
            raise self._reader.fail(f"{event.name} is not supported", start)
        last = state.events[-1]
        is_text = last.slot is not None and last.slot.kind == "text"
        if code == len(state.events) and is_text and self._reader.read(ESCAPE_BITS) == ESCAPE_END:
            return Event(last.slot, last.name, last.type, None)
        names = [event.name or "the end" for event in state.events]
        expected = ", ".join(names) if len(names) < 8 else f"{len(names)} possible"
        raise self._reader.fail(f"event code {code} is none of: {expected}", start)

    def _slot(
        self,
        event: Event,
        slot: Slot,
        values: dict[str, object],
        lists: dict[str, list[object]],
    ) -> None:
        items = lists.get(slot.attr)
        name = event.name if items is None else f"{event.name or slot.name}[{len(items)}]"
        self._path.append(name)
        value_type = self._wildcard(slot) if event.type is None else event.type
        if isinstance(value_type, ComplexType) and value_type.cls is None:
            self._content(value_type, values)
        elif items is None:
            values[slot.attr] = self._value(slot, value_type)
        elif len(items) < MAX_ITEMS:
            items.append(self._value(slot, value_type))
        else:
            raise self._reader.fail(f"more than {MAX_ITEMS} items")
        self._path.pop()

    def _wildcard(self, slot: Slot) -> ComplexType:
        """Read the name of an element where the grammar leaves it open; return its type."""
        start = self._reader.pos
        uri, name = name_table(self._grammar).read(self._reader)
        for option, type_ in slot.options:
            if isinstance(type_, ComplexType) and (type_.namespace, option) == (uri, name):
                self._path[-1] += f".{name}"
                return type_
        raise self._reader.fail(f"element {name} of {uri} is not expected", start)

    def _value(self, slot: Slot, type_: ValueType) -> object:
        if isinstance(type_, ComplexType):
            return self._object(type_)
        if slot.kind != "element":
            return self._simple(type_)
        start = self._reader.pos
        if self._reader.read(1):
            if isinstance(type_, Text | Binary) and self._reader.read(ESCAPE_BITS) == ESCAPE_END:
                return "" if isinstance(type_, Text) else b""
            raise self._reader.fail("deviation instead of a value", start)
        value = self._simple(type_)
        if self._reader.read(1):
            raise self._reader.fail("deviation instead of the end", self._reader.pos - 1)
        return value

    def _simple(self, type_: SimpleType | type[ExiEnum]) -> object:
        if isinstance(type_, Integer):
            return self._integer(type_)
        if isinstance(type_, Boolean):
            return bool(self._reader.read(1))
        if isinstance(type_, Text):
            return self._reader.read_text()
        if isinstance(type_, Binary):
            return self._binary(type_)
        start = self._reader.pos
        members = list(type_)
        code = self._reader.read((len(members) - 1).bit_length())
        if code >= len(members):
            raise self._reader.fail(f"{code} is no {type_.__name__}", start)
        return members[code]

    def _integer(self, type_: Integer) -> int:
        start, reader = self._reader.pos, self._reader
        least, most = type_.floor, type_.limit
        if type_.bits is not None:
            assert type_.least is not None
            value = reader.read(type_.bits) + type_.least
        elif type_.least is not None and type_.least >= 0:
            value = reader.read_unsigned()
        else:
            value = reader.read_signed()
        if (least is not None and value < least) or (most is not None and value > most):
            raise reader.fail(f"{value} is not in {least}..{most}", start)
        return value

    def _binary(self, type_: Binary) -> bytes:
        start = self._reader.pos
        length = self._reader.read_unsigned()
        if length > type_.limit:
            raise self._reader.fail(f"{length} bytes, at most {type_.limit} are allowed", start)
        return self._reader.read_bytes(length)


def usual_order(type_: ComplexType, names: Sequence[str]) -> list[str]:
    """Return the order in which content is written when nobody asks for another one."""
    usual: list[str] = []
    left = Counter(names)
    state: State | None = type_.state(tuple(p for p in type_.row if not _is_attribute(p)))
    while state is not None:
        slots = [event.slot.name for event in state.events if event.slot]
        chosen = next((name for name in slots if left[name]), None)
        if chosen is None:
            break
        left[chosen] -= 1
        usual.append(chosen)
        state = next(e.after for e in state.events if e.slot and e.slot.name == chosen)
    return usual


def _is_attribute(particle: Particle) -> bool:
    return isinstance(particle.of, Slot) and particle.of.kind == "attribute"
