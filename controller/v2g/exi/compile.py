"""The generated codec of a protocol: makes each function when it is first needed."""

import linecache
from collections.abc import Callable, Sequence
from typing import Any, cast

from controller.v2g.exi import runtime
from controller.v2g.exi.grammar import ComplexType, Grammar, ValueType
from controller.v2g.exi.reading import ReaderSource
from controller.v2g.exi.runtime import Deviation, LazyTable
from controller.v2g.exi.schema import Declared
from controller.v2g.exi.source import Source, Step, UnsupportedError
from controller.v2g.exi.walk import HEADER
from controller.v2g.exi.writing import WriterSource

Reader = Callable[[int, int], tuple[Any, int]]
Writer = Callable[[Declared, int], int]

LONGEST = 8192  # bytes; longer messages are decoded by the reference codec in linear time
ROOM = bytes(8)  # after the message, so that readers may look ahead
ROOM_BITS = 8 * len(ROOM)
FAILURES = (
    Deviation,
    ArithmeticError,
    AttributeError,
    IndexError,
    KeyError,
    TypeError,
    ValueError,
)
"""What the generated code may run into: it looks before it leaps only where that costs nothing."""

HELPERS = ("Deviation", "binary", "octets", "put_binary", "put_octets", "put_text", "text")


class Compiled:
    """Reads and writes messages by generated code; raises one of FAILURES for all it cannot."""

    def __init__(self, name: str, grammar: Grammar) -> None:
        self.sources: list[str] = []
        self._name = name
        self._grammar = grammar
        self._names: dict[str, object] = {helper: getattr(runtime, helper) for helper in HELPERS}
        self._head_bits = 8 + grammar.root_bits
        self._rest_bits = ROOM_BITS - self._head_bits
        self._made: set[str] = set()
        self._readers = LazyTable(self._root_reader)
        self._writers = LazyTable(self._root_writer)

    def decode(self, payload: bytes) -> tuple[Any, int]:
        """Return the message and the number of bytes that follow it."""
        if len(payload) > LONGEST:
            raise Deviation
        m = int.from_bytes(payload + ROOM, "big")
        s = 8 * len(payload) + self._rest_bits
        message, s = self._readers[m >> s](m, s)
        if s < ROOM_BITS:
            raise Deviation
        return message, s - ROOM_BITS >> 3

    def encode(self, message: Declared) -> bytes:
        """Return the payload of a message."""
        head, write = self._writers[message.__class__]
        m = write(message, head)
        width = m.bit_length() - 1
        return (m << (-width & 7)).to_bytes((width + 15) >> 3, "big")[1:]

    def prepare(self) -> None:
        """Make every function now: what is not made at first use delays no first message."""
        for type_ in list(self._grammar.types.values()):
            if type_.cls is not None and not type_.is_abstract:
                self._function("read", type_)
                self._function("write", type_)

    def _root_reader(self, head: int) -> Reader:
        for name, type_ in self._grammar.roots.items():
            if head == self._head(name):
                return cast("Reader", self._function("read", type_))
        raise KeyError(head)

    def _root_writer(self, cls: type) -> tuple[int, Writer]:
        """Return the first bits, with a 1 before them, and the writer of the rest."""
        for name, type_ in self._grammar.roots.items():
            if cls is type_.cls:
                head = 1 << self._head_bits | self._head(name)
                return head, cast("Writer", self._function("write", type_))
        raise KeyError(cls)

    def _head(self, name: str) -> int:
        return HEADER << self._grammar.root_bits | self._grammar.elements.index(name)

    def _function(self, verb: str, type_: ValueType) -> object:
        """Return `read_X` or `write_X`; what that calls is made when it is first called."""
        assert isinstance(type_, ComplexType)
        name = f"{verb}_{type_.name}"
        if name not in self._made:
            self._made.add(name)
            text = self._generate(verb, type_) + "\n"
            file = f"<exi {self._name} {name}>"
            linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
            self.sources.append(text)
            exec(compile(text, file, "exec"), self._names)
        return self._names[name]

    def _generate(self, verb: str, type_: ComplexType) -> str:
        """Return the source of one function."""
        maker = ReaderSource(self._names) if verb == "read" else WriterSource(self._names)
        try:
            text = maker.make(type_)
        except UnsupportedError:
            return f"def {verb}_{type_.name}(*_):\n    raise Deviation"
        for called in maker.needed:
            self._names.setdefault(f"{verb}_{called.name}", self._at_first_call(verb, called))
        self._make_tables(verb, maker)
        return text

    def _at_first_call(self, verb: str, type_: ComplexType) -> Callable[..., object]:
        """Stand for a function that is not made yet: half of them no session ever calls."""

        def make_and_call(*args: object) -> object:
            made = cast("Callable[..., object]", self._function(verb, type_))
            return made(*args)

        return make_and_call

    def _make_tables(self, verb: str, maker: Source) -> None:
        for name, step in maker.groups:
            types = [type_ for _, type_ in step.choices]
            if verb == "read":
                self._names[name] = LazyTable(self._member_reader(step, types))
            else:
                self._names[name] = LazyTable(self._member_writer(types))

    def _member_reader(self, step: Step, types: Sequence[ValueType]) -> Callable[[int], object]:
        numbered = dict(enumerate(types, step.first))
        return lambda number: self._function("read", numbered[number])

    def _member_writer(self, types: Sequence[ValueType]) -> Callable[[type], object]:
        def make(cls: type) -> object:
            for index, type_ in enumerate(types):
                if isinstance(type_, ComplexType) and type_.cls is cls:
                    return index, self._function("write", type_)
            raise KeyError(cls)

        return make
