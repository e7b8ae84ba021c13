"""What the generated code calls: values of varying length, and the way out of it."""

from collections.abc import Callable
from typing import TypeVar

from controller.v2g.exi.bits import MAX_OCTETS
from controller.v2g.exi.schema import MAX_STRING

K = TypeVar("K")
V = TypeVar("V")


class Deviation(Exception):  # noqa: N818 - it may be right or wrong
    """The message has something that the generated code does not know: ask the reference codec."""


def octets(m: int, s: int, value: int) -> tuple[int, int]:
    """Read the rest of a varint whose first three octets gave `value`."""
    two = m >> s - 16 & 65535
    if two < 32768:
        return value + (two >> 8 << 21), s - 8
    value += ((two >> 8 & 127) << 21) + ((two & 127) << 28)
    s -= 16
    if not two & 128:  # five octets: a time
        return value, s
    for shift in range(35, 7 * MAX_OCTETS, 7):
        s -= 8
        octet = m >> s & 255
        value += (octet & 127) << shift
        if octet < 128:
            return value, s
    raise Deviation


def text(m: int, s: int, length: int) -> tuple[str, int]:
    """Read characters, of ASCII only."""
    if not 0 <= length <= MAX_STRING:
        raise Deviation
    s -= 8 * length
    raw = (m >> s & (1 << 8 * length) - 1).to_bytes(length, "big")
    if not raw.isascii():
        raise Deviation
    return raw.decode("ascii"), s


def binary(m: int, s: int, length: int, most: int) -> tuple[bytes, int]:
    """Read bytes."""
    if length > most:
        raise Deviation
    s -= 8 * length
    return (m >> s & (1 << 8 * length) - 1).to_bytes(length, "big"), s


def put_octets(m: int, value: int) -> int:
    """Write a varint."""
    while value > 127:
        m = m << 8 | value & 127 | 128
        value >>= 7
    return m << 8 | value


def put_text(m: int, value: str, most: int) -> int:
    """Write characters, of printable ASCII only."""
    length = len(value)
    if not 0 < length <= most or not value.isascii() or not value.isprintable():
        raise Deviation
    return put_octets(m, length + 2) << 8 * length | int.from_bytes(value.encode("ascii"), "big")


def put_binary(m: int, value: bytes, most: int) -> int:
    """Write bytes."""
    length = len(value)
    if value.__class__ is not bytes or not 0 < length <= most:
        raise Deviation
    return put_octets(m, length) << 8 * length | int.from_bytes(value, "big")


class LazyTable(dict[K, V]):
    """A table whose entries are made when they are first asked for; KeyError if there is none."""

    def __init__(self, make: Callable[[K], V]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, key: K) -> V:
        made = self[key] = self._make(key)
        return made
