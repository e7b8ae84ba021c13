"""The reference encoder: walks the grammars event by event, see `walk`."""

from controller.errors import ExiError
from controller.v2g.exi.bits import MAX_OCTETS, BitWriter
from controller.v2g.exi.grammar import ComplexType, Event, Grammar, Slot, State, ValueType, slots_in
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
from controller.v2g.exi.walk import ESCAPE_BITS, ESCAPE_END, HEADER, locate


class Encoder:
    """Encodes one message. `strict` refuses what the schema's facets forbid.

    `canonical` writes an empty text or binary as an element that ends at once, else it is one of
    length 0.
    """

    def __init__(self, grammar: Grammar, *, strict: bool = True, canonical: bool = True) -> None:
        self._grammar = grammar
        self._strict = strict
        self._canonical = canonical
        self._writer = BitWriter()
        self._path: list[str] = []

    def encode(self, message: Declared) -> bytes:
        """Return the payload. Raises ExiError with the path of the field that is wrong."""
        with locate(self._path):
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
        with locate(self._path):
            elements, bits = self._grammar.fragments, self._grammar.fragment_bits
            for code, (name, namespace, type_) in enumerate(elements):
                if type_ and type(value) is type_.cls and name == (wanted or type_.element):
                    self._path.append(name)
                    self._writer.write(HEADER, 8)
                    self._writer.write(code, bits)
                    if (name, namespace) in self._grammar.relaxed:
                        self._relaxed(type_, value)
                    else:
                        self._content(type_, value)
                    self._writer.write(len(elements) + 1, bits)
                    return self._writer.finish()
            raise ExiError(f"{type(value).__name__} is no element {wanted}".rstrip())

    def _content(self, type_: ComplexType, owner: Declared) -> None:
        if type_.is_abstract and self._strict:
            raise ExiError(f"{type_.name} is abstract: give one of its subclasses")
        pending = {slot: self._pending(slot, owner) for slot in type_.slots if slot.attr}
        order = list(getattr(owner, type_.order_attr) or ()) if type_.order_attr else []
        order.reverse()
        state = type_.start
        while True:
            code, event = self._choose(state, pending, order)
            slot = event.slot
            if slot and slot.kind == "text" and self._is_empty(event.type, pending[slot][-1]):
                self._writer.write(len(state.events), state.bits)
                self._writer.write(ESCAPE_END, ESCAPE_BITS)
                return
            self._writer.write(code, state.bits)
            if event.slot is None or event.after is None:
                return
            self._slot(event, event.slot, pending, owner)
            state = event.after

    def _is_empty(self, type_: ValueType | None, value: object) -> bool:
        """Whether the element ends at once in place of a value."""
        if not self._canonical or not isinstance(type_, Text | Binary):
            return False
        return value in ("", b"") and not (self._strict and type_.least)

    def _relaxed(self, type_: ComplexType, value: Declared) -> None:
        Encoder(self._grammar, strict=self._strict)._content(type_, value)  # checks the values
        RelaxedGrammar(self._grammar).write(self._writer, type_, value)

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

    def _choose(
        self, state: State, pending: dict[Slot, list[object]], order: list[str]
    ) -> tuple[int, Event]:
        """Return the first event for which there is something to write; the end if there is none.

        `order` are the names of what is to be written in this very order, the next one last.
        """
        for code, event in enumerate(state.events):
            if event.slot is not None and _is_next(event, event.slot, pending, order):
                if order and event.slot.kind != "attribute":
                    order.pop()
                return code, event
        if order:
            raise self._at(order[-1], "cannot be here, where the order of the content wants it")
        left = [slot for slot, values in pending.items() if values]
        for code, event in enumerate(state.events):
            if not event.name and not left:
                return code, event
        raise self._misfit(state, left, pending)

    def _misfit(
        self, state: State, left: list[Slot], pending: dict[Slot, list[object]]
    ) -> ExiError:
        """Return the error of values that no event of a state wants."""
        for event in state.events:
            if event.slot in left:
                given = type(pending[event.slot][-1]).__name__
                return self._at(event.slot.name, f"{given} given")
        required = [particle for particle in state.row if not particle.is_optional]
        if required:
            return self._at(next(slots_in(tuple(required))).name, "missing")
        return self._at(left[0].name, "one too many here")

    def _slot(
        self, event: Event, slot: Slot, pending: dict[Slot, list[object]], owner: Declared
    ) -> None:
        name = event.name
        if slot.many:
            name += f"[{len(getattr(owner, slot.attr)) - len(pending[slot])}]"
        self._path.append(name)
        value = pending[slot].pop() if slot.attr else owner
        if event.type is None:
            self._wildcard(slot, value)
        elif isinstance(event.type, ComplexType):
            assert isinstance(value, Declared)
            self._content(event.type, value)
        elif slot.kind != "element":
            self._simple(event.type, value)
        elif self._is_empty(event.type, value):
            self._writer.write(1 << ESCAPE_BITS | ESCAPE_END, 1 + ESCAPE_BITS)
        else:
            self._writer.write(0, 1)
            self._simple(event.type, value)
            self._writer.write(0, 1)
        self._path.pop()

    def _wildcard(self, slot: Slot, value: object) -> None:
        """Write an element, name and all, where the grammar leaves it open."""
        for name, type_ in slot.options:
            if isinstance(type_, ComplexType) and type(value) is type_.cls:
                name_table(self._grammar).write(self._writer, type_.namespace, name)
                self._content(type_, value)
                return
        raise ExiError(f"{type(value).__name__} given")

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
        if value.bit_length() > 7 * MAX_OCTETS:
            raise ExiError(f"{value.bit_length()} bits, at most {7 * MAX_OCTETS} are taken")
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


def _is_next(event: Event, slot: Slot, pending: dict[Slot, list[object]], order: list[str]) -> bool:
    """Whether an event is the one to write: there is a value for it, and it is its turn."""
    if order and slot.kind != "attribute" and slot.name != order[-1]:
        return False
    values = pending.get(slot)
    return values is None or (len(values) > 0 and _fits(event, values[-1]))


def _fits(event: Event, value: object) -> bool:
    """Whether an event of a slot is the one for this value: its class picks the group's member."""
    return not isinstance(event.type, ComplexType) or type(value) is event.type.cls
