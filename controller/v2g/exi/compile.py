"""The generated codec of a protocol: makes each function when it is first needed."""

import linecache
from collections.abc import Callable
from typing import cast

from controller.v2g.exi import runtime
from controller.v2g.exi.grammar import ComplexType, Grammar
from controller.v2g.exi.reading import ReaderSource
from controller.v2g.exi.runtime import Deviation, LazyTable
from controller.v2g.exi.schema import Declared
from controller.v2g.exi.source import Source, Step, UnsupportedError
from controller.v2g.exi.walk import HEADER
from controller.v2g.exi.writing import WriterSource

Reader = Callable[[int, int], tuple[Declared, int]]
Writer = Callable[[Declared, int], int]

LONGEST = 8192  # bytes; longer messages are decoded by the reference codec in linear time
ROOM = 64  # zero bits after the message
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


class Compiled:
    """Reads and writes messages by generated code; raises one of FAILURES for all it cannot."""

    def __init__(self, name: str, grammar: Grammar) -> None:
        self.sources: list[str] = []
        self._name = name
        self._grammar = grammar
        self._names: dict[str, object] = {
            name: getattr(runtime, name)
            for name in (
                "Deviation",
                "binary",
                "octets",
                "put_binary",
                "put_octets",
                "put_text",
                "text",
            )
        }
        self._readers = LazyTable(self._root_reader)
        self._writers = LazyTable(self._root_writer)

    def decode(self, payload: bytes) -> tuple[Declared, int]:
        """Return the message and the number of bytes that follow it."""
        s = 8 * len(payload) + ROOM - 8 - self._grammar.root_bits
        m = int.from_bytes(payload, "big") << ROOM
        if len(payload) > LONGEST:
            raise Deviation
        read = cast("Reader", self._readers[m >> s])
        message, s = read(m, s)
        if s < ROOM:
            raise Deviation
        return message, s - ROOM >> 3

    def encode(self, message: Declared) -> bytes:
        """Return the payload of a message."""
        head, write = cast("tuple[int, Writer]", self._writers[message.__class__])
        m = write(message, head)
        width = m.bit_length() - 1
        m <<= -width & 7
        return m.to_bytes((width + 15) >> 3, "big")[1:]

    def _root_reader(self, head: object) -> object:
        for name, type_ in self._grammar.roots.items():
            if head == self._head(name):
                return self._function("read", type_)
        raise KeyError(head)

    def _root_writer(self, cls: object) -> object:
        for name, type_ in self._grammar.roots.items():
            if cls is type_.cls:
                lead = 1 << 8 + self._grammar.root_bits
                return lead | self._head(name), self._function("write", type_)
        raise KeyError(cls)

    def _head(self, name: str) -> int:
        return HEADER << self._grammar.root_bits | self._grammar.elements.index(name)

    def _function(self, verb: str, type_: ComplexType) -> object:
        """Return `read_X` or `write_X`, made with all it calls."""
        name = f"{verb}_{type_.name}"
        if name not in self._names:
            pending, texts = [type_], []
            while pending:
                texts += self._generate(verb, pending.pop(), pending)
            text = "\n\n\n".join(texts) + "\n"
            file = f"<exi {self._name} {name}>"
            linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
            self.sources.append(text)
            exec(compile(text, file, "exec"), self._names)
        return self._names[name]

    def _generate(self, verb: str, type_: ComplexType, pending: list[ComplexType]) -> list[str]:
        name = f"{verb}_{type_.name}"
        if name in self._names:
            return []
        self._names[name] = None  # on its way
        maker = ReaderSource(self._names) if verb == "read" else WriterSource(self._names)
        try:
            text = maker.make(type_)
        except UnsupportedError:
            return [f"def {name}(*_):\n    raise Deviation"]
        pending += maker.needed
        self._make_tables(verb, maker)
        return [text]

    def _make_tables(self, verb: str, maker: Source) -> None:
        for name, step in maker.groups:
            make = self._group_reader(step) if verb == "read" else self._group_writer(step)
            self._names[name] = LazyTable(make)

    def _group_reader(self, step: Step) -> Callable[[object], object]:
        def make(number: object) -> object:
            options = dict(enumerate((type_ for _, type_ in step.choices), step.first))
            type_ = options[cast("int", number)]
            assert isinstance(type_, ComplexType)
            return self._function("read", type_)

        return make

    def _group_writer(self, step: Step) -> Callable[[object], object]:
        def make(cls: object) -> object:
            for index, (_, type_) in enumerate(step.choices):
                assert isinstance(type_, ComplexType)
                if cls is type_.cls:
                    return index, self._function("write", type_)
            raise KeyError(cls)

        return make
