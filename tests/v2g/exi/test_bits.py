"""Primitives: one row for each boundary, with the bits of EXI 1.0, chapter 7."""

import pytest

from controller.errors import ExiError
from controller.v2g.exi.bits import BitReader, BitWriter

UNSIGNED = [
    (0, "00"),
    (1, "01"),
    (127, "7f"),
    (128, "8001"),
    (255, "ff01"),
    (16383, "ff7f"),
    (16384, "808001"),
    (32767, "ffff01"),
    (2**32 - 1, "ffffffff0f"),
    (2**64 - 1, "ffffffffffffffffff01"),
]

SIGNED = [  # a sign bit, then the magnitude, less one if negative; padded with zeros
    (0, "0000"),
    (1, "0080"),
    (-1, "8000"),
    (127, "3f80"),
    (128, "400080"),
    (-128, "bf80"),
    (-129, "c00080"),
    (32767, "7fff8080"),
    (-32768, "ffff8080"),
]

TEXTS = [
    ("", "02"),
    ("A", "0341"),
    ("\0\0", "040000"),
    ("é", "03e901"),
    ("€", "03ac41"),
    ("\U0010ffff", "03ffff43"),
]


@pytest.mark.parametrize(("value", "bits"), UNSIGNED)
def test_unsigned(value: int, bits: str) -> None:
    writer = BitWriter()
    writer.write_unsigned(value)
    assert writer.finish().hex() == bits
    assert BitReader(bytes.fromhex(bits)).read_unsigned() == value


@pytest.mark.parametrize(("value", "bits"), SIGNED)
def test_signed(value: int, bits: str) -> None:
    writer = BitWriter()
    writer.write_signed(value)
    assert writer.finish().hex() == bits
    assert BitReader(bytes.fromhex(bits)).read_signed() == value


@pytest.mark.parametrize(("text", "bits"), TEXTS)
def test_text(text: str, bits: str) -> None:
    writer = BitWriter()
    writer.write_text(text)
    assert writer.finish().hex() == bits
    assert BitReader(bytes.fromhex(bits)).read_text() == text


@pytest.mark.parametrize("offset", range(9))
def test_bits_at_any_alignment(offset: int) -> None:
    writer = BitWriter()
    writer.write(0, offset)
    writer.write(0b101, 3)
    writer.write_bytes(b"\xa5\x5a")
    reader = BitReader(writer.finish())
    assert reader.read(offset) == 0
    assert reader.read(3) == 0b101
    assert reader.read_bytes(2) == b"\xa5\x5a"
    assert reader.pos == offset + 19


@pytest.mark.parametrize(
    ("bits", "method", "reason", "offset"),
    [
        ("", "read_unsigned", "8 bits missing at the end", 0),
        ("80", "read_unsigned", "8 bits missing at the end", 8),
        ("80" * 41, "read_unsigned", "endless integer", 0),
        ("00", "read_text", "string table hit, but these protocols have none", 0),
        ("01", "read_text", "string table hit, but these protocols have none", 0),
        ("ffff03", "read_text", "65533 characters, at most 4096 are taken", 0),
        ("0441", "read_text", "2 characters do not fit into the rest", 0),
        ("0380b003", "read_text", "0xd800 is no character", 8),
        ("03808044", "read_text", "0x110000 is no character", 8),
    ],
)
def test_refusals(bits: str, method: str, reason: str, offset: int) -> None:
    reader = BitReader(bytes.fromhex(bits))
    with pytest.raises(ExiError) as raised:
        getattr(reader, method)()
    assert (raised.value.reason, raised.value.bit_offset) == (reason, offset)


def test_what_is_left_counts_whole_bytes() -> None:
    reader = BitReader(b"\x80\x00\x00")
    assert reader.left == 3
    reader.read(1)
    assert reader.left == 2
    reader.read(8)
    assert reader.left == 1
