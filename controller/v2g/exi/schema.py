"""How a message is declared: the facts of a schema that EXI needs, beside the typed Python class.

    @declare("ProfileEntryType")
    class ProfileEntry(Declared):
        charging_profile_entry_start: int = element("ChargingProfileEntryStart", UNSIGNED_INT)
        charging_profile_entry_max_power: int = element("ChargingProfileEntryMaxPower", SHORT)

A class is one complex type; its fields stand in schema order. The annotation says what Python
sees (`X`, `X | None`, `tuple[X, ...]`, a declared class, an enum), `element` and `attribute` what
the wire needs besides: name, simple type, bounds. Grammar, codec and JSON view all derive from it.
"""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeVar, dataclass_transform

# Bounds for what a schema leaves open, so that a decoder's work is bounded by these too.
MAX_STRING = 4096  # characters
MAX_BINARY = 8192  # bytes
MAX_ITEMS = 1024  # the largest maxOccurs of the ISO 15118 schemas

UNBOUNDED = -1
"""`most=UNBOUNDED`: maxOccurs="unbounded" in the grammar, MAX_ITEMS in the decoder and encoder."""


@dataclass(frozen=True, slots=True)
class Boolean:
    """xs:boolean, one bit."""


@dataclass(frozen=True, slots=True)
class Integer:
    """An integer type. With both bounds and at most 4096 values it is n bits, else a varint.

    EXI 1.0, 7.1.5: a bounded range of 4096 values or fewer is an n-bit unsigned offset from the
    lower bound; otherwise an unsigned varint if the lower bound is >= 0, else a signed one.
    """

    least: int | None
    most: int | None
    accepted: int | None = None
    """A higher upper bound when decoding, for n-bit integers that the field is known to overdo."""

    @property
    def bits(self) -> int | None:
        """Width on the wire of an n-bit integer, None for a varint."""
        if self.least is None or self.most is None or self.most - self.least >= 4096:
            return None
        return (self.most - self.least).bit_length()


@dataclass(frozen=True, slots=True)
class Text:
    """xs:string and its kin (anyURI, ID, IDREF): length + 2, then one varint per code point."""

    most: int = MAX_STRING


@dataclass(frozen=True, slots=True)
class Binary:
    """xs:hexBinary or xs:base64Binary: length, bytes. They differ in the JSON view only."""

    most: int = MAX_BINARY
    base64: bool = False


BOOLEAN = Boolean()
BYTE = Integer(-128, 127)
UNSIGNED_BYTE = Integer(0, 255)
SHORT = Integer(-(2**15), 2**15 - 1)
UNSIGNED_SHORT = Integer(0, 2**16 - 1)
INT = Integer(-(2**31), 2**31 - 1)
UNSIGNED_INT = Integer(0, 2**32 - 1)
LONG = Integer(-(2**63), 2**63 - 1)
UNSIGNED_LONG = Integer(0, 2**64 - 1)
INTEGER = Integer(None, None)
STRING = Text()


class ExiEnum(Enum):
    """An enumeration whose members stand in schema order; `value` is the schema's text."""

    code: int

    def __new__(cls, text: str) -> "ExiEnum":
        """Number the members as they come."""
        member = object.__new__(cls)
        member._value_ = text
        member.code = len(cls.__members__)
        return member

    __hash__ = object.__hash__  # by identity: the codec looks members up by the hundred thousand


SimpleType = Boolean | Integer | Text | Binary


@dataclass(frozen=True, slots=True)
class Spec:
    """What `element`, `attribute` and `text` say about one field."""

    kind: str  # "element", "attribute" or "text"
    name: str
    type: SimpleType | None = None
    least: int = 1
    most: int = 1
    within: str = ""
    choice: str = ""


class Wildcard(Enum):
    """xs:any. Its place in the grammar is kept; content of that kind is refused."""

    ANY = "any"


@dataclass(frozen=True, slots=True)
class Group:
    """A model group that fields alone cannot express; parts are element names, ANY or groups."""

    kind: str  # "sequence" or "choice"
    parts: tuple["str | Wildcard | Group", ...]
    least: int = 1
    most: int = 1


ANY = Wildcard.ANY
Part = str | Wildcard | Group


def sequence(*parts: Part, least: int = 1, most: int = 1) -> Group:
    """Return a sequence of the named elements, for `declare(content=...)`."""
    return Group("sequence", parts, least, most)


def choice(*parts: Part, least: int = 1, most: int = 1) -> Group:
    """Return a choice of the named elements, for `declare(content=...)`."""
    return Group("choice", parts, least, most)


def element(
    name: str,
    type: SimpleType | None = None,  # noqa: A002 - the schema's own word
    *,
    least: int = 1,
    most: int = 1,
    within: str = "",
    choice: str = "",
    default: Any = dataclasses.MISSING,  # noqa: ANN401 - as dataclasses.field
) -> Any:  # noqa: ANN401
    """Declare a child element.

    `type` is given for simple types only; declared classes and enums come from the annotation. A
    class that heads a substitution group stands for the whole group. `default=None` makes it
    optional; `least` and `most` bound a `tuple[X, ...]`. Neighbours with the same `within` share an
    implied parent element of that name; neighbours with the same `choice` exclude each other.
    """
    spec = Spec("element", name, type, least, most, within, choice)
    return dataclasses.field(default=default, metadata={"exi": spec})


def attribute(
    name: str,
    type: SimpleType | None = None,  # noqa: A002
    *,
    default: Any = dataclasses.MISSING,  # noqa: ANN401
) -> Any:  # noqa: ANN401
    """Declare an XML attribute; `default=None` makes it optional."""
    return dataclasses.field(default=default, metadata={"exi": Spec("attribute", name, type)})


def text(type: SimpleType) -> Any:  # noqa: A002, ANN401
    """Declare the simple content of an element that also has attributes."""
    return dataclasses.field(metadata={"exi": Spec("text", "", type)})


class Declared:
    """Base of every declared class."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class TypeInfo:
    """What `declare` says about a class."""

    element: str  # global element name, "" where the type is used by local elements only
    head: bool  # the global element heads a substitution group
    abstract: bool  # the schema forbids instances; we decode them, and refuse to encode them
    content: Group | None  # model group where the fields' order and bounds do not say it all
    mixed: bool  # text may stand between the elements


_T = TypeVar("_T", bound=Declared)
INFO: dict[type, TypeInfo] = {}


@dataclass_transform(
    kw_only_default=True, frozen_default=True, field_specifiers=(element, attribute, text)
)
def declare(
    element: str = "",
    *,
    head: bool = False,
    abstract: bool = False,
    content: Group | None = None,
    mixed: bool = False,
) -> Callable[[type[_T]], type[_T]]:
    """Make a class a declared message type: a frozen, slotted, keyword-only dataclass.

    `element` names its global element, where it has one. Subclasses of a `head` class that have a
    global element of their own are the members of its substitution group.
    """

    def wrap(cls: type[_T]) -> type[_T]:
        made = dataclass(frozen=True, slots=True, kw_only=True)(cls)
        INFO[made] = TypeInfo(element, head, abstract, content, mixed)
        return made

    return wrap
