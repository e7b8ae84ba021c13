"""Signals as JSON: the one conversion that the trace and the link between processes share.

A signal becomes `{"type": class name, field: value, ...}`: enums by their name, bytes as hex,
tuples as arrays, nested signals as objects without a type of their own. Which fields a class has,
and of what type, is read once per class from its annotations; nothing is declared twice.

Decoding is strict because the other end may be broken: every field has to be there (a reading
that lost its `valid` must not count as valid by default), no other may be, types have to fit
exactly (an integer is accepted for a float, a boolean is not), numbers have to be finite. Whatever
is wrong raises `WireError` and nothing else.
"""

from __future__ import annotations

import json
import types
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from enum import Enum
from math import isfinite
from typing import TYPE_CHECKING, Any, NoReturn, Union, get_args, get_origin, get_type_hints

from controller import signals
from controller.errors import WireError

if TYPE_CHECKING:
    from controller.signals import Output

Json = bool | int | float | str | list[Any] | dict[str, Any] | None
Record = dict[str, Any]
"""A JSON object; `type` names the class of the signal."""

_Convert = Callable[[Any], Any]

RESERVED = frozenset({"type", "t", "node", "dir", "repeats"})
"""Keys that the trace adds to a record; no signal may have a field of that name."""


class _Codec:
    """Precomputed conversion of one dataclass."""

    __slots__ = ("cls", "count", "dumps", "loads", "name")

    def __init__(self, cls: type) -> None:
        hints = get_type_hints(cls)
        names = [field.name for field in fields(cls)]
        clash = RESERVED.intersection(names)
        if clash:
            raise TypeError(f"{cls.__name__}: field {sorted(clash)} is reserved for the trace")
        self.cls = cls
        self.name = cls.__name__
        self.count = len(names)
        self.dumps = [(name, _to_json(hints[name])) for name in names]
        self.loads = [(name, _from_json(hints[name])) for name in names]

    def to_object(self, value: object) -> Record:
        """Fields of a signal; None as conversion means that JSON has the type itself."""
        return {
            name: getattr(value, name) if convert is None else convert(getattr(value, name))
            for name, convert in self.dumps
        }

    def from_object(self, value: object, extra: int = 0) -> Output:
        """Build the signal from an object that has `extra` keys besides the fields."""
        if type(value) is not dict:
            raise WireError(f"{self.name}: {value!r:.60} is no object")
        arguments = []
        name = ""
        try:
            for name, convert in self.loads:
                arguments.append(convert(value[name]))
        except KeyError:
            raise WireError(f"{self.name}: field {name} is missing") from None
        except WireError as error:
            raise WireError(f"{self.name}.{name}: {error}") from None
        if len(value) != self.count + extra:
            unknown = sorted(set(value) - {name for name, _ in self.loads} - RESERVED)
            raise WireError(f"{self.name}: unknown field {', '.join(unknown) or 'added'}")
        signal: Output = self.cls(*arguments)
        return signal


# --- to JSON: one conversion per annotated type, None where JSON takes the value as it is --------


def _enum_name(value: Enum) -> str:
    return value.name


def _hex(value: bytes) -> str:
    return value.hex()


def _to_json(hint: object) -> _Convert | None:
    if hint in (bool, int, float, str):
        return None
    if hint is bytes:
        return _hex
    if isinstance(hint, type) and issubclass(hint, Enum):
        return _enum_name
    if is_dataclass(hint) and isinstance(hint, type):
        return _codec(hint).to_object
    if (inner := _optional(hint)) is not None:
        convert = _to_json(inner)
        return convert and (lambda value: None if value is None else convert(value))
    if get_origin(hint) is tuple:
        return _tuple_to_json(get_args(hint))
    raise TypeError(f"no JSON for fields of type {hint}")


def _tuple_to_json(items: tuple[Any, ...]) -> _Convert:
    if len(items) == 2 and items[1] is Ellipsis:
        convert = _to_json(items[0])
        return list if convert is None else lambda value: [convert(item) for item in value]
    converts = [_to_json(item) for item in items]
    return lambda value: [
        item if convert is None else convert(item)
        for item, convert in zip(value, converts, strict=True)
    ]


# --- from JSON: each conversion checks its value -----------------------------------------------


def _refuse(value: object, expected: str) -> NoReturn:
    raise WireError(f"{value!r:.60} is no {expected}")


def _bool(value: object) -> bool:
    return value if type(value) is bool else _refuse(value, "boolean")


def _int(value: object) -> int:
    return value if type(value) is int else _refuse(value, "integer")


def _float(value: object) -> float:
    if type(value) is int:
        try:
            value = float(value)
        except OverflowError:
            _refuse("an integer", "number in range")
    if type(value) is not float or not isfinite(value):
        _refuse(value, "finite number")
    return value


def _str(value: object) -> str:
    return value if type(value) is str else _refuse(value, "text")


def _bytes(value: object) -> bytes:
    if type(value) is str:
        try:
            data = bytes.fromhex(value)
        except ValueError:
            return _refuse(value, "hex")
        if 2 * len(data) == len(value):  # fromhex also takes white space
            return data
    return _refuse(value, "hex")


def _from_json(hint: object) -> _Convert:
    simple: dict[Any, _Convert] = {bool: _bool, int: _int, float: _float, str: _str, bytes: _bytes}
    if hint in simple:
        return simple[hint]
    if isinstance(hint, type) and issubclass(hint, Enum):
        return _enum_from_json(hint)
    if is_dataclass(hint) and isinstance(hint, type):
        return _codec(hint).from_object
    if (inner := _optional(hint)) is not None:
        convert = _from_json(inner)
        return lambda value: None if value is None else convert(value)
    if get_origin(hint) is tuple:
        return _tuple_from_json(get_args(hint))
    raise TypeError(f"no JSON for fields of type {hint}")


def _enum_from_json(hint: type[Enum]) -> _Convert:
    members = {member.name: member for member in hint}

    def convert(value: object) -> Enum:
        member = members.get(value) if type(value) is str else None
        return member if member is not None else _refuse(value, hint.__name__)

    return convert


def _tuple_from_json(items: tuple[Any, ...]) -> _Convert:
    if len(items) == 2 and items[1] is Ellipsis:
        each = _from_json(items[0])
        return lambda value: tuple([each(item) for item in _list(value)])
    converts = [_from_json(item) for item in items]

    def convert(value: object) -> tuple[Any, ...]:
        items = _list(value)
        if len(items) != len(converts):
            _refuse(value, f"array of {len(converts)}")
        return tuple([to(item) for to, item in zip(converts, items, strict=True)])

    return convert


def _list(value: object) -> list[Any]:
    return value if type(value) is list else _refuse(value, "array")


def _optional(hint: object) -> object | None:
    """Give X of `X | None`, and None for everything else."""
    if get_origin(hint) not in (Union, types.UnionType):
        return None
    inner = [item for item in get_args(hint) if item is not type(None)]
    return inner[0] if len(inner) == 1 and len(get_args(hint)) == 2 else None


# --- registry and the public four --------------------------------------------------------------

_CODECS: dict[type, _Codec] = {}
_BY_NAME: dict[str, _Codec] = {}


def _codec(cls: type) -> _Codec:
    codec = _CODECS.get(cls)
    if codec is None:
        codec = _CODECS[cls] = _Codec(cls)
    return codec


def register(cls: type) -> None:
    """Make a dataclass known by its class name; all of `signals` are known from the start."""
    codec = _codec(cls)
    if _BY_NAME.setdefault(codec.name, codec) is not codec:
        raise TypeError(f"two signals are called {codec.name}")


def registered() -> list[type]:
    """Every class that can be converted."""
    return [codec.cls for codec in _BY_NAME.values()]


for _cls in list(vars(signals).values()):
    if isinstance(_cls, type) and is_dataclass(_cls):
        register(_cls)


def to_record(signal: Output) -> Record:
    """Turn a signal into a JSON object with its `type` first; numbers are not checked."""
    codec = _CODECS.get(type(signal))
    if codec is None:
        raise TypeError(f"{type(signal).__name__} is no registered signal")
    return {"type": codec.name, **codec.to_object(signal)}


def from_record(record: Record) -> Output:
    """Turn such an object into the signal again; raises WireError for anything else."""
    if type(record) is not dict:
        raise WireError(f"{record!r:.60} is no object")
    name = record.get("type")
    codec = _BY_NAME.get(name) if type(name) is str else None
    if codec is None:
        raise WireError(f"unknown signal {name!r:.60}")
    return codec.from_object(record, extra=1)


def _no_constant(text: str) -> NoReturn:
    raise WireError(f"{text} is no number that may be sent")


_dumps = json.JSONEncoder(separators=(",", ":"), allow_nan=False, check_circular=False).encode
_loads = json.JSONDecoder(parse_constant=_no_constant).decode


def encode(signal: Output) -> bytes:
    """One line of JSON without a line end; raises WireError for a number that is not finite."""
    try:
        return _dumps(to_record(signal)).encode("ascii")
    except ValueError as error:
        raise WireError(f"{type(signal).__name__}: {error}") from None


def decode(data: bytes) -> Output:
    """Decode one signal of `encode`; raises WireError for everything that is none."""
    try:
        record = _loads(data.decode("utf-8"))
    except WireError:
        raise
    except (ValueError, RecursionError) as error:
        raise WireError(f"not a JSON object: {error!s:.80}") from None
    return from_record(record)
