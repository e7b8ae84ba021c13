"""The codec of one protocol: declarations in, `encode` and `decode` out."""

from collections.abc import Collection, Mapping
from functools import cached_property
from typing import Generic, TypeVar, cast

from controller.errors import ExiError
from controller.v2g.exi import view, xml
from controller.v2g.exi.compile import FAILURES, Compiled
from controller.v2g.exi.grammar import NOTHING, Grammar
from controller.v2g.exi.schema import Declared
from controller.v2g.exi.view import Json
from controller.v2g.exi.walk import Decoder
from controller.v2g.exi.walk_back import Encoder

__all__ = ["Codec", "Json"]

M = TypeVar("M", bound=Declared)


class Codec(Generic[M]):
    """Encoder, decoder and JSON view of one protocol, made at first use."""

    def __init__(
        self,
        name: str,
        namespace: str,
        *,
        roots: tuple[type[M], ...],
        others: Mapping[str, Collection[str]] = NOTHING,
        unreached: Collection[type[Declared]] = (),
    ) -> None:
        """`others` and `unreached` are what no root leads to: see `Grammar`."""
        self.name = name
        self.namespace = namespace
        self._roots = roots
        self._others = others
        self._unreached = unreached

    @cached_property
    def grammar(self) -> Grammar:
        """The grammars of all types."""
        return Grammar(self._roots, self._others, self._unreached)

    @cached_property
    def _compiled(self) -> Compiled:
        return Compiled(self.name, self.grammar)

    def prepare(self) -> None:
        """Make everything now that is otherwise made at first use (some 50 ms)."""
        self._compiled.prepare()

    @property
    def source(self) -> str:
        """The generated code so far: functions are made when they are first needed."""
        return "\n\n".join(self._compiled.sources)

    def decode(self, payload: bytes) -> M:
        """Return the message in `payload`; bytes after its end are ignored. Raises ExiError."""
        try:
            message: M = self._compiled.decode(payload)[0]
        except FAILURES:
            message, _ = self._walk(payload)
        return message

    def decode_counting(self, payload: bytes) -> tuple[M, int]:
        """Return the message and the number of superfluous bytes after it. Raises ExiError."""
        try:
            return self._compiled.decode(payload)
        except FAILURES:
            return self._walk(payload)

    def _walk(self, payload: bytes) -> tuple[M, int]:
        message, left = Decoder(self.grammar, payload).decode()
        return cast("M", message), left

    def encode(self, message: M, *, strict: bool = True, canonical: bool = True) -> bytes:
        """Return the payload of a message. Raises ExiError where a value breaks the schema.

        Without `strict`, what `decode` tolerates is written as it was heard. Without `canonical`,
        empty texts and binaries are written with their length, as C codecs want them.
        """
        if strict:
            try:
                return self._compiled.encode(message)
            except FAILURES:
                pass  # the reference codec says what is wrong, if anything
        return Encoder(self.grammar, strict=strict, canonical=canonical).encode(message)

    def flaw(self, message: M) -> ExiError | None:
        """Return what a strict reading would refuse in a message that was decoded, if anything."""
        try:
            self.encode(message)
        except ExiError as error:
            return error
        return None

    def decode_fragment(self, payload: bytes) -> tuple[str, Declared]:
        """Return name and object of the element in an EXI fragment. Raises ExiError."""
        return Decoder(self.grammar, payload).decode_fragment()

    def encode_fragment(self, value: Declared, name: str = "") -> bytes:
        """Return the EXI fragment of one element: the bytes that a signature's digest is made of.

        `name` is needed for elements that are not global. Raises ExiError.
        """
        return Encoder(self.grammar).encode_fragment(value, name)

    def to_json(self, message: Declared, name: str = "") -> Json:
        """Return the JSON view of a message; with its name, also that of any other element."""
        return view.to_json(self.grammar, message, name)

    def to_xml(self, message: Declared, name: str = "") -> str:
        """Return the XML view of a message; with its name, also that of any other element."""
        return xml.to_xml(self.grammar, message, name, self.namespace)

    def from_json(self, content: Json) -> M:
        """Return the message, or the other element, of a JSON view. Raises ExiError."""
        return cast("M", view.from_json(self.grammar, content))
