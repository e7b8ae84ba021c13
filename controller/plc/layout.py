"""Binary layouts, declared once as frozen dataclasses; all else follows from the declaration.

A layout is a class whose fields name their coding in the order of the bytes:

    @mme("CM_SLAC_PARM.REQ", 0x6064)
    class CmSlacParmReq(Mme):
        application_type: int = uint(1, default=0)
        run_id: bytes = raw(8)

Numbers are little-endian, as HomePlug AV has them. An object that would not encode cannot be built
(ValueError: our mistake); bytes that do not decode are a `WireError` naming layout, field and the
offset in the frame (the peer's). Bytes behind the last field are left alone: real modems send some.
"""

# ruff: noqa: ANN401 - a field's coding decides its type; the layouts that use it are typed

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast, dataclass_transform

from controller.errors import WireError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

T = TypeVar("T", bound="Record")
Description = dict[str, str | int]


class Reader:
    """Bytes of one frame and how far they are read; `layout` is for the error text."""

    __slots__ = ("data", "layout", "offset")

    def __init__(self, data: bytes, offset: int, layout: str) -> None:
        self.data = data
        self.offset = offset
        self.layout = layout

    def take(self, length: int, name: str) -> bytes:
        """Return the next `length` bytes, or raise WireError naming the field."""
        end = self.offset + length
        if end > len(self.data):
            raise WireError(
                f"{self.layout}: {name}: needs {length} bytes at offset {self.offset}, "
                f"the frame ends at {len(self.data)}"
            )
        taken = self.data[self.offset : end]
        self.offset = end
        return taken

    def left(self) -> int:
        """Bytes not yet read."""
        return len(self.data) - self.offset


class Item(ABC):
    """How one field is coded."""

    @abstractmethod
    def decode(self, reader: Reader, name: str, values: Mapping[str, Any]) -> Any:
        """Read the field's value; `values` holds the fields before it."""

    @abstractmethod
    def encode(self, value: Any) -> bytes:
        """Return the field's bytes."""

    def check(self, value: Any) -> str:
        """Say what is wrong with a value, or nothing."""
        return ""

    def describe(self, name: str, value: Any) -> Iterator[tuple[str, str | int]]:
        """Give the field's lines for a reader."""
        yield name, value


@dataclass(frozen=True, slots=True)
class _Uint(Item):
    width: int

    def decode(self, reader: Reader, name: str, values: Mapping[str, Any]) -> int:
        return int.from_bytes(reader.take(self.width, name), "little")

    def encode(self, value: int) -> bytes:
        return value.to_bytes(self.width, "little")

    def check(self, value: int) -> str:
        return "" if 0 <= value < 1 << (8 * self.width) else f"{value} is not 0..2^{8 * self.width}"


@dataclass(frozen=True, slots=True)
class _Count(_Uint):
    of: str
    """The field whose length this is; filled in by itself."""


@dataclass(frozen=True, slots=True)
class _Raw(Item):
    width: int
    cut: bool
    shown: str

    def decode(self, reader: Reader, name: str, values: Mapping[str, Any]) -> bytes:
        return reader.take(min(self.width, reader.left()) if self.cut else self.width, name)

    def encode(self, value: bytes) -> bytes:
        return value

    def check(self, value: bytes) -> str:
        fits = len(value) == self.width or (self.cut and len(value) < self.width)
        return "" if fits else f"{len(value)} bytes, not {self.width}"

    def describe(self, name: str, value: bytes) -> Iterator[tuple[str, str | int]]:
        if self.shown == "mac":
            yield name, value.hex(":")
        elif self.shown != "reserved":
            yield name, value.hex()


@dataclass(frozen=True, slots=True)
class _Text(Item):
    width: int

    def decode(self, reader: Reader, name: str, values: Mapping[str, Any]) -> str:
        data = reader.take(min(self.width, reader.left()), name)
        return data.split(b"\0", 1)[0].decode("latin-1")

    def encode(self, value: str) -> bytes:
        return value.encode("latin-1").ljust(self.width, b"\0")

    def check(self, value: str) -> str:
        if len(value) > self.width or "\0" in value:
            return f"not at most {self.width} characters"
        return "" if value.isascii() or all(ord(c) < 256 for c in value) else "not Latin-1"


@dataclass(frozen=True, slots=True)
class _Sized(Item):
    count: str

    def decode(self, reader: Reader, name: str, values: Mapping[str, Any]) -> bytes:
        return reader.take(values[self.count], name)

    def encode(self, value: bytes) -> bytes:
        return value

    def describe(self, name: str, value: bytes) -> Iterator[tuple[str, str | int]]:
        yield name, value.hex()


@dataclass(frozen=True, slots=True)
class _Nibbles(Item):
    count: str

    def decode(self, reader: Reader, name: str, values: Mapping[str, Any]) -> bytes:
        number: int = values[self.count]
        data = reader.take((number + 1) // 2, name)
        both = bytes(n for b in data for n in (b & 0xF, b >> 4))
        return both[:number]

    def encode(self, value: bytes) -> bytes:
        even = value if len(value) % 2 == 0 else value + b"\0"
        return bytes(even[i] | even[i + 1] << 4 for i in range(0, len(even), 2))

    def check(self, value: bytes) -> str:
        return "" if all(v < 16 for v in value) else "a value is above 15"

    def describe(self, name: str, value: bytes) -> Iterator[tuple[str, str | int]]:
        yield name, "".join(f"{v:x}" for v in value)


@dataclass(frozen=True, slots=True)
class _Records(Item):
    record: type[Record]
    count: str

    def decode(self, reader: Reader, name: str, values: Mapping[str, Any]) -> tuple[Record, ...]:
        number: int = values[self.count]
        return tuple(decode(self.record, reader, f"{name}[{i}].") for i in range(number))

    def encode(self, value: tuple[Record, ...]) -> bytes:
        return b"".join(encode(v) for v in value)

    def describe(self, name: str, value: tuple[Record, ...]) -> Iterator[tuple[str, str | int]]:
        for i, record in enumerate(value):
            yield from ((f"{name}[{i}].{k}", v) for k, v in describe(record).items())


_REQUIRED = object()


def _field(item: Item, default: Any, init: bool = True) -> Any:
    if default is _REQUIRED:
        return field(metadata={"item": item}, init=init)
    return field(metadata={"item": item}, init=init, default=default)


def uint(width: int, *, default: Any = _REQUIRED) -> Any:
    """Declare an unsigned little-endian number of `width` bytes."""
    return _field(_Uint(width), default)


def count(width: int, *, of: str, init: bool = False) -> Any:
    """Declare the length of the later field `of`; never given, always right."""
    return _field(_Count(width, of), _REQUIRED, init)


def raw(width: int, *, cut: bool = False, default: Any = _REQUIRED) -> Any:
    """Declare `width` bytes as they are; with `cut` the end of the frame may shorten them."""
    return _field(_Raw(width, cut, "hex"), default)


def address(*, default: Any = _REQUIRED) -> Any:
    """Declare a station address."""
    return _field(_Raw(6, False, "mac"), default)


def reserved(width: int, *, cut: bool = False, default: Any) -> Any:
    """Declare bytes without a meaning to us; sent as zeros, kept when received, not described."""
    return _field(_Raw(width, cut, "reserved"), default)


def text(width: int, *, default: Any = _REQUIRED) -> Any:
    """Declare zero-padded text of at most `width` characters, shortened by the frame's end."""
    return _field(_Text(width), default)


def sized(*, by: str, default: Any = _REQUIRED) -> Any:
    """Declare bytes whose number is in the earlier field `by`."""
    return _field(_Sized(by), default)


def nibbles(*, by: str, default: Any = _REQUIRED) -> Any:
    """Declare 4-bit values, low nibble first, whose number is in the earlier field `by`."""
    return _field(_Nibbles(by), default)


def records(record: type[Record], *, by: str, default: Any = _REQUIRED) -> Any:
    """Declare repeated layouts whose number is in the earlier field `by`."""
    return _field(_Records(record, by), default)


class Record:
    """Base of all layouts."""

    __slots__ = ()
    ITEMS: ClassVar[tuple[tuple[str, Item], ...]] = ()

    def __post_init__(self) -> None:
        for name, item in self.ITEMS:
            if isinstance(item, _Count):
                object.__setattr__(self, name, len(getattr(self, item.of)))
            wrong = item.check(getattr(self, name))
            if wrong:
                raise ValueError(f"{type(self).__name__}.{name}: {wrong}")


def _finish(cls: type[T]) -> type[T]:
    made = dataclass(frozen=True, slots=True, kw_only=True)(cls)
    made.ITEMS = tuple((f.name, f.metadata["item"]) for f in fields(cast("Any", made)))
    return made


@dataclass_transform(
    frozen_default=True,
    kw_only_default=True,
    field_specifiers=(uint, count, raw, address, reserved, text, sized, nibbles, records),
)
def record(cls: type[T]) -> type[T]:
    """Make a class a layout that other layouts repeat."""
    return _finish(cls)


class Mme(Record):
    """Base of all management messages; the class says which one it is."""

    __slots__ = ()
    NAME: ClassVar[str] = ""
    MMTYPE: ClassVar[int] = 0
    MMV: ClassVar[int] = 1

    @property
    def name(self) -> str:
        """The standard's name of the message."""
        return self.NAME


@dataclass(frozen=True, slots=True)
class Variant:
    """Tells messages of one type apart: the little-endian number at `offset` in the body."""

    offset: int
    width: int
    value: int

    def matches(self, body: bytes) -> bool:
        """Look whether a body is of this variant."""
        found = body[self.offset : self.offset + self.width]
        return len(found) == self.width and int.from_bytes(found, "little") == self.value


MmeKey = tuple[bool, int, int]
"""Vendor message or not, 0 or 1 for the header's form, MMTYPE."""

REGISTRY: dict[MmeKey, list[tuple[Variant | None, type[Mme]]]] = {}

M = TypeVar("M", bound=Mme)


@dataclass_transform(
    frozen_default=True,
    kw_only_default=True,
    field_specifiers=(uint, count, raw, address, reserved, text, sized, nibbles, records),
)
def mme(name: str, mmtype: int) -> Callable[[type[M]], type[M]]:
    """Declare a message of the standard (header with fragmentation field)."""
    return _registered(name, mmtype, 1, False, None)


@dataclass_transform(
    frozen_default=True,
    kw_only_default=True,
    field_specifiers=(uint, count, raw, address, reserved, text, sized, nibbles, records),
)
def vendor_mme(
    name: str, mmtype: int, *, mmv: int = 0, variant: Variant | None = None
) -> Callable[[type[M]], type[M]]:
    """Declare a message of the modem's maker (OUI 00:B0:52 before the body)."""
    return _registered(name, mmtype, mmv, True, variant)


def _registered(
    name: str, mmtype: int, mmv: int, vendor: bool, variant: Variant | None
) -> Callable[[type[M]], type[M]]:
    def finish(cls: type[M]) -> type[M]:
        made = _finish(cls)
        made.NAME, made.MMTYPE, made.MMV = name, mmtype, mmv
        REGISTRY.setdefault((vendor, min(mmv, 1), mmtype), []).append((variant, made))
        return made

    return finish


def decode(cls: type[T], reader: Reader, prefix: str = "") -> T:
    """Read one layout. Raises WireError."""
    values: dict[str, Any] = {}
    given: dict[str, Any] = {}
    for name, item in cls.ITEMS:
        values[name] = item.decode(reader, prefix + name, values)
        if not isinstance(item, _Count):
            given[name] = values[name]
    return cls(**given)


def encode(layout: Record) -> bytes:
    """Return the bytes of a layout."""
    return b"".join(item.encode(getattr(layout, name)) for name, item in layout.ITEMS)


def describe(layout: Record) -> Description:
    """Give the fields in the order of the bytes: numbers, text, MACs as aa:bb:.., bytes as hex."""
    lines: Description = {}
    for name, item in layout.ITEMS:
        lines.update(item.describe(name, getattr(layout, name)))
    return lines
