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
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, dataclass_transform

# Bounds for what a schema leaves open, so that a decoder's work is bounded by these too.
MAX_STRING = 4096  # characters
MAX_BINARY = 8192  # bytes
MAX_ITEMS = 2048  # the largest maxOccurs of the ISO 15118 schemas

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
    """A higher upper bound when decoding, where the field is known to overdo it."""
    accepted_least: int | None = None
    """A lower bound below `least` when decoding, for varints."""

    @property
    def floor(self) -> int | None:
        """The smallest number that is decoded."""
        return self.least if self.accepted_least is None else self.accepted_least

    @property
    def limit(self) -> int | None:
        """The largest number that is decoded."""
        return self.most if self.accepted is None else self.accepted

    @property
    def bits(self) -> int | None:
        """Width on the wire of an n-bit integer, None for a varint."""
        if self.least is None or self.most is None or self.most - self.least >= 4096:
            return None
        return (self.most - self.least).bit_length()


@dataclass(frozen=True, slots=True)
class Text:
    """xs:string and its kin (anyURI, ID, IDREF): length + 2, then one varint per code point.

    The bounds are of what we send; texts up to MAX_STRING are decoded.
    """

    most: int = MAX_STRING
    least: int = 0


@dataclass(frozen=True, slots=True)
class Binary:
    """xs:hexBinary or xs:base64Binary: length, bytes. They differ in the JSON view only.

    The bounds are of what we send; shorter ones and those up to `accepted` are decoded.
    """

    most: int = MAX_BINARY
    base64: bool = False
    least: int = 0
    accepted: int | None = None

    @property
    def limit(self) -> int:
        """The most bytes that are decoded."""
        return self.most if self.accepted is None else self.accepted


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

    kind: str  # "element", "attribute", "text", "wildcard", "mixed" or "order"
    name: str
    type: SimpleType | None = None
    least: int = 1
    most: int = 1
    within: str = ""
    choice: str = ""
    namespace: str = ""


class Wildcard(Enum):
    """xs:any. Content of that kind is refused where the class has no field for it."""

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
    namespace: str = "",
    default: Any = dataclasses.MISSING,  # noqa: ANN401 - as dataclasses.field
) -> Any:  # noqa: ANN401
    """Declare a child element.

    `type` is given for simple types only; declared classes and enums come from the annotation. A
    class that heads a substitution group stands for the whole group. `default=None` makes it
    optional; `least` and `most` bound a `tuple[X, ...]`. Neighbours with the same `within` share an
    implied parent element of that name; neighbours with the same `choice` exclude each other, and
    all may be absent where they have `least=0`.
    `namespace` is given where it is not that of the class.
    """
    spec = Spec("element", name, type, least, most, within, choice, namespace)
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


def wildcard(*, default: Any = dataclasses.MISSING) -> Any:  # noqa: ANN401
    """Declare what xs:any may hold: elements of the annotated class and its subclasses."""
    return dataclasses.field(default=default, metadata={"exi": Spec("wildcard", "*")})


def mixed_text(*, default: Any = dataclasses.MISSING) -> Any:  # noqa: ANN401
    """Declare the pieces of text between the elements of a class with mixed content."""
    return dataclasses.field(default=default, metadata={"exi": Spec("mixed", "#text", STRING)})


def document_order(*, default: Any = dataclasses.MISSING) -> Any:  # noqa: ANN401
    """Declare the field that says in which order the content of a repeated choice stands.

    It is a tuple of names: those of elements, "*" for a wildcard, "#text". None is the usual order,
    grouped by kind.
    """
    return dataclasses.field(default=default, metadata={"exi": Spec("order", "")})


class Declared:
    """Base of every declared class: a frozen dataclass that is cheap to define and to make.

    `dataclass` would generate half a dozen methods for each of some hundred classes, which takes
    longer than all else at import; here they are shared, and a constructor is made at first use.
    """

    __slots__ = ()
    NAMESPACE: ClassVar[str] = ""
    RECURS: ClassVar[bool] = False  # the next message will most likely have the very same object
    ATTRIBUTES_QUALIFIED: ClassVar[bool] = False  # whether attributes are in the namespace
    __dataclass_fields__: ClassVar[dict[str, "dataclasses.Field[Any]"]]

    def __init__(self, **values: object) -> None:
        make_constructor(type(self))
        self.__init__(**values)  # type: ignore[misc]  # now the class's own

    def _values(self) -> list[object]:
        return [getattr(self, name) for name in self.__dataclass_fields__]

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self._values() == other._values()

    def __hash__(self) -> int:
        return hash((type(self), *self._values()))

    def __repr__(self) -> str:
        pairs = zip(self.__dataclass_fields__, self._values(), strict=True)
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in pairs)})"

    if not TYPE_CHECKING:  # with these, a type checker would let any name pass

        def __setattr__(self, name: str, value: object) -> None:
            raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")

        def __delattr__(self, name: str) -> None:
            raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")

    def __reduce__(self) -> tuple[Callable[..., "Declared"], tuple[object, ...]]:
        return _rebuild, (type(self), dict(zip(self.__dataclass_fields__, self._values())))  # noqa: B905


def _rebuild(cls: type[Declared], values: dict[str, object]) -> Declared:
    return cls(**values)


def open_class(cls: type[Declared]) -> type:
    """Return a class of the same layout that is not frozen.

    Filling an object of this class and then giving it the class proper takes a quarter of the time
    that the constructor of a frozen dataclass needs.
    """
    members = {
        "__module__": __name__,
        "__slots__": cls.__dict__["__slots__"],
        "__init__": object.__init__,
        "__setattr__": object.__setattr__,  # both of them, or neither is fast
        "__delattr__": object.__delattr__,
    }
    return type(f"Open{cls.__name__}", cls.__bases__, members)


def make_constructor(cls: type[Declared]) -> None:
    """Give a class a keyword-only constructor of its own."""
    names: dict[str, Any] = {"cls": cls, "Open": open_class(cls), "assign": object.__setattr__}
    parameters, lines = ["self"], ["    assign(self, '__class__', Open)"]
    if cls.__dataclass_fields__:
        parameters.append("*")
    for name, field in cls.__dataclass_fields__.items():
        is_required = field.default is dataclasses.MISSING
        parameters.append(name if is_required else f"{name}={field.default!r}")
        lines.append(f"    self.{name} = {name}")
    lines.append("    self.__class__ = cls")
    exec("\n".join([f"def __init__({', '.join(parameters)}):", *lines]), names)
    names["__init__"].__qualname__ = f"{cls.__qualname__}.__init__"
    cls.__init__ = names["__init__"]  # type: ignore[method-assign]


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
TYPE_NAMES: dict[str, tuple[str, ...]] = {}
"""Names of a schema's types by namespace, for those whose elements an xs:any may hold."""


@dataclass_transform(
    kw_only_default=True,
    frozen_default=True,
    field_specifiers=(element, attribute, text, wildcard, mixed_text, document_order),
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
        made = dataclass(init=False, repr=False, eq=False, slots=True, kw_only=True)(cls)
        made.__init__ = Declared.__init__  # type: ignore[method-assign]  # not that of its base
        INFO[made] = TypeInfo(element, head, abstract, content, mixed)
        return made

    return wrap
