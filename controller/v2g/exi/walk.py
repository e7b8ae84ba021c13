"""The reference codec: walks the grammars event by event.

It is complete and says exactly where and why a message is wrong; the generated code (`generate`) is
many times faster, knows the common shapes only, and hands everything else to this.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from controller.errors import ExiError
from controller.v2g.exi.bits import BitReader, BitWriter
from controller.v2g.exi.grammar import (
    ComplexType,
    Event,
    Grammar,
    Slot,
    State,
    ValueType,
    slots_in,
)
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
# Decoded are this and a value of length 0; encoded is this, as EXIficient does.
ESCAPE_BITS = 3
ESCAPE_END = 0

MAX_BYTES = 65536  # of a message; the largest of these protocols carry some certificates
MAX_DEPTH = 32  # of nested elements


@contextmanager
def _locate(path: list[str]) -> Iterator[None]:
    """Put the path at which it happened into an ExiError."""
    try:
        yield
    except ExiError as error:
        raise ExiError(error.reason, ".".join(path), error.bit_offset) from None


class Decoder:
    """Decodes one payload."""

    def __init__(self, grammar: Grammar, payload: bytes) -> None:
        self._grammar = grammar
        self._reader = BitReader(payload)
        self._size = len(payload)
        self._path: list[str] = []

    def decode(self) -> tuple[Declared, int]:
        """Return the message and the number of bytes that follow it. Raises ExiError."""
        with _locate(self._path):
            self._header()
            return self._object(self._root()), self._reader.left

    def decode_fragment(self) -> tuple[str, Declared]:
        """Return name and object of the only element of a fragment. Raises ExiError."""
        with _locate(self._path):
            self._header()
            elements = self._grammar.fragments
            code = self._reader.read(self._grammar.fragment_bits)
            if code >= len(elements):
                raise self._reader.fail(f"unknown element (code {code})", 8)
            name, _, type_ = elements[code]
            if type_ is None:
                raise self._reader.fail(f"{name} cannot stand alone", 8)
            self._path.append(name)
            value = self._object(type_)
            if self._reader.read(self._grammar.fragment_bits) != len(elements) + 1:
                raise self._reader.fail("more than one element")
            return name, value

    def _header(self) -> None:
        if self._size > MAX_BYTES:
            raise self._reader.fail(f"{self._size} bytes, at most {MAX_BYTES} are taken")
        if self._reader.read(8) != HEADER:
            raise self._reader.fail("no EXI header without options", 0)

    def _root(self) -> ComplexType:
        code = self._reader.read(self._grammar.root_bits)
        names = self._grammar.elements
        if code >= len(names):
            raise self._reader.fail(f"unknown root element (code {code})", 8)
        if names[code] not in self._grammar.roots:
            raise self._reader.fail(f"{names[code]} is no message", 8)
        self._path.append(names[code])
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
        state = type_.start
        while True:
            event = self._event(state)
            if event.slot is None:
                break
            if event.after is None:  # text that ended before it began
                values[event.slot.attr] = "" if isinstance(event.type, Text) else b""
                break
            self._slot(event, event.slot, values, lists)
            state = event.after
        for attr, items in lists.items():
            values[attr] = tuple(items)

    def _event(self, state: State) -> Event:
        start = self._reader.pos
        code = self._reader.read(state.bits)
        if code < len(state.events):
            event = state.events[code]
            if event.slot is not None or event.after is None:
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
        assert event.type is not None
        items = lists.get(slot.attr)
        name = event.name if items is None else f"{event.name}[{len(items)}]"
        self._path.append(name)
        if isinstance(event.type, ComplexType) and event.type.cls is None:
            self._content(event.type, values)
        elif items is None:
            values[slot.attr] = self._value(slot, event.type)
        elif len(items) < MAX_ITEMS:
            items.append(self._value(slot, event.type))
        else:
            raise self._reader.fail(f"more than {MAX_ITEMS} items")
        self._path.pop()

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


class Encoder:
    """Encodes one message. `strict` refuses what the schema's facets forbid."""

    def __init__(self, grammar: Grammar, *, strict: bool = True) -> None:
        self._grammar = grammar
        self._strict = strict
        self._writer = BitWriter()
        self._path: list[str] = []

    def encode(self, message: Declared) -> bytes:
        """Return the payload. Raises ExiError with the path of the field that is wrong."""
        with _locate(self._path):
            for name, type_ in self._grammar.roots.items():
                if type(message) is type_.cls:
                    self._path.append(name)
                    self._writer.write(HEADER, 8)
                    self._writer.write(self._grammar.elements.index(name), self._grammar.root_bits)
                    self._content(type_, message)
                    return self._writer.finish()
            raise ExiError(f"{type(message).__name__} is no message of this protocol")

    def encode_fragment(self, value: Declared, wanted: str) -> bytes:
        """Return the fragment of one element. Raises ExiError."""
        with _locate(self._path):
            elements, bits = self._grammar.fragments, self._grammar.fragment_bits
            for code, (name, _, type_) in enumerate(elements):
                if type_ and type(value) is type_.cls and name == (wanted or type_.element):
                    self._path.append(name)
                    self._writer.write(HEADER, 8)
                    self._writer.write(code, bits)
                    self._content(type_, value)
                    self._writer.write(len(elements) + 1, bits)
                    return self._writer.finish()
            raise ExiError(f"{type(value).__name__} is no element {wanted}".rstrip())

    def _content(self, type_: ComplexType, owner: Declared) -> None:
        if type_.is_abstract and self._strict:
            raise ExiError(f"{type_.name} is abstract: give one of its subclasses")
        pending = {slot: self._pending(slot, owner) for slot in type_.slots if slot.attr}
        state = type_.start
        while True:
            code, event = self._choose(state, pending)
            if event.slot and event.slot.kind == "text" and pending[event.slot][-1] in ("", b""):
                self._writer.write(len(state.events), state.bits)
                self._writer.write(ESCAPE_END, ESCAPE_BITS)
                return
            self._writer.write(code, state.bits)
            if event.slot is None or event.after is None:
                return
            self._slot(event, event.slot, pending, owner)
            state = event.after

    def _pending(self, slot: Slot, owner: Declared) -> list[object]:
        """Return the values of a slot that are still to be written, the next one last."""
        value = getattr(owner, slot.attr)
        if not slot.many:
            return [] if value is None else [value]
        if not isinstance(value, tuple) or len(value) > MAX_ITEMS:
            raise self._at(slot.name, f"no tuple of at most {MAX_ITEMS} items")
        return list(reversed(value))

    def _at(self, name: str, reason: str) -> ExiError:
        self._path.append(name)
        return ExiError(reason)

    def _choose(self, state: State, pending: dict[Slot, list[object]]) -> tuple[int, Event]:
        """Return the first event for which there is something to write."""
        for code, event in enumerate(state.events):
            if event.slot is None:
                if event.type is None and event.after is not None:
                    continue  # a wildcard or text between elements: never written
                left = [slot.name for slot, values in pending.items() if values]
                if left:
                    raise self._at(left[0], "one too many here")
                return code, event
            values = pending.get(event.slot)
            if values is None or (values and _fits(event, values[-1])):
                return code, event
        for event in state.events:
            if event.slot is not None and pending[event.slot]:
                given = type(pending[event.slot][-1]).__name__
                raise self._at(event.slot.name, f"{given} given")
        required = [particle for particle in state.row if not particle.is_optional]
        raise self._at(next(slots_in(tuple(required))).name, "missing")

    def _slot(
        self, event: Event, slot: Slot, pending: dict[Slot, list[object]], owner: Declared
    ) -> None:
        assert event.type is not None
        name = event.name
        if slot.many:
            name += f"[{len(getattr(owner, slot.attr)) - len(pending[slot])}]"
        self._path.append(name)
        value = pending[slot].pop() if slot.attr else owner
        if isinstance(event.type, ComplexType):
            assert isinstance(value, Declared)
            self._content(event.type, value)
        elif slot.kind != "element":
            self._simple(event.type, value)
        elif value in ("", b""):
            self._writer.write(1 << ESCAPE_BITS | ESCAPE_END, 1 + ESCAPE_BITS)
        else:
            self._writer.write(0, 1)
            self._simple(event.type, value)
            self._writer.write(0, 1)
        self._path.pop()

    def _simple(self, type_: SimpleType | type[ExiEnum], value: object) -> None:
        if isinstance(type_, Integer):
            self._integer(type_, value)
        elif isinstance(type_, Boolean):
            if not isinstance(value, int) or value not in (0, 1):
                raise ExiError(f"{value!r} is no bool")
            self._writer.write(int(value), 1)
        elif isinstance(type_, Text):
            self._text(type_, value)
        elif isinstance(type_, Binary):
            self._binary(type_, value)
        elif isinstance(value, type_):
            self._writer.write(value.code, (len(type_) - 1).bit_length())
        else:
            raise ExiError(f"{value!r} is no {type_.__name__}")

    def _integer(self, type_: Integer, value: object) -> None:
        if not isinstance(value, int):
            raise ExiError(f"{value!r} is no integer")
        least, most = type_.floor, type_.limit
        if self._strict:
            least, most = type_.least, type_.most
        if (least is not None and value < least) or (most is not None and value > most):
            raise ExiError(f"{value} is not in {least}..{most}")
        if type_.bits is not None:
            assert least is not None
            self._writer.write(value - least, type_.bits)
        elif least is not None and least >= 0:
            self._writer.write_unsigned(value)
        else:
            self._writer.write_signed(value)

    def _text(self, type_: Text, value: object) -> None:
        if not isinstance(value, str):
            raise ExiError(f"{value!r} is no string")
        if self._strict and not type_.least <= len(value) <= type_.most:
            raise ExiError(_wrong_length(len(value), "characters", type_))
        if self._strict and not all(is_xml_character(character) for character in value):
            raise ExiError(f"{value!r} has characters that XML does not allow")
        self._writer.write_text(value)

    def _binary(self, type_: Binary, value: object) -> None:
        if not isinstance(value, bytes):
            raise ExiError(f"{value!r} is no bytes")
        least, most = (type_.least, type_.most) if self._strict else (0, type_.limit)
        if not least <= len(value) <= most:
            raise ExiError(_wrong_length(len(value), "bytes", type_))
        self._writer.write_unsigned(len(value))
        self._writer.write_bytes(value)


def _wrong_length(length: int, unit: str, type_: Text | Binary) -> str:
    bound = f"at least {type_.least}" if length < type_.least else f"at most {type_.most}"
    return f"{length} {unit}, {bound} are allowed"


def is_xml_character(character: str) -> bool:
    """Whether XML 1.0 allows it in a document (its production 2)."""
    code = ord(character)
    if code < 0x20:
        return character in "\t\n\r"
    return not 0xD800 <= code < 0xE000 and code not in (0xFFFE, 0xFFFF)


def _fits(event: Event, value: object) -> bool:
    """Whether an event of a slot is the one for this value: its class picks the group's member."""
    return not isinstance(event.type, ComplexType) or type(value) is event.type.cls
