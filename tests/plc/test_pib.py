"""The parameter block: places, checksums, chains."""

from __future__ import annotations

import pytest

from controller.errors import WireError
from controller.plc import pib

MAC = bytes.fromhex("00b052aa0001")
IMAGE = pib.new_image(MAC, bytes(16), bytes(7), bytes(range(16)), pib.SLAC_EVSE)


def test_fields_are_where_the_tools_look() -> None:
    assert IMAGE[0x0C:0x12] == MAC
    assert IMAGE[0x64:0x74] == bytes(range(16))
    assert IMAGE[0xF4] == 2
    assert IMAGE[0x1653] == 2
    assert int.from_bytes(IMAGE[4:6], "little") == len(IMAGE)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", 0xFFFFFFFF),
        (bytes(4), 0xFFFFFFFF),
        (b"\1\2\3\4\1\2\3\4", 0xFFFFFFFF),
        (b"\1", 0xFFFFFFFE),
    ],
)
def test_checksum(data: bytes, expected: int) -> None:
    assert pib.checksum32(data) == expected


def test_every_edit_keeps_the_checksum() -> None:
    edited = pib.write(IMAGE, pib.NMK, b"k" * 16)
    assert pib.checksum32(edited) == 0
    assert pib.read(edited, pib.NMK) == b"k" * 16
    with pytest.raises(ValueError, match="2 bytes, not 16"):
        pib.write(IMAGE, pib.NMK, b"kk")


def test_chain_and_flat_are_both_read() -> None:
    chain = pib.to_chain(IMAGE)
    assert chain[:4] == bytes.fromhex("01000100")
    assert len(chain) == 96 + len(IMAGE)
    assert pib.from_chain(chain) == pib.from_chain(IMAGE) == IMAGE


@pytest.mark.parametrize("at", [5, 40, 95, 96 + 0x70, 96 + 0x2FFF])
def test_damage_is_found(at: int) -> None:
    chain = bytearray(pib.to_chain(IMAGE))
    chain[at] ^= 0x10
    with pytest.raises(WireError):
        pib.from_chain(bytes(chain))


@pytest.mark.parametrize(
    "data", [b"", IMAGE[:-4], pib.to_chain(IMAGE)[:-4], pib.to_chain(IMAGE, 4)]
)
def test_what_is_no_parameter_block(data: bytes) -> None:
    if data == IMAGE[:-4]:  # zeros at the end do not count in a flat checksum
        data += b"\1\0\0\0"
    with pytest.raises(WireError):
        pib.from_chain(data)
