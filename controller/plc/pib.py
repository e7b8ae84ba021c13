"""The parameter block (PIB) of a modem: where its fields are, and its checksums.

Old chips hold the block as it is ("flat"); QCA7000 and later hold it as an image behind a 96-byte
header of a chain. Both end in the same checksum: the complement of the XOR of all 32-bit words.
Offsets count from the start of the image, as the tools (setpib, modpib) count them.
"""

from __future__ import annotations

from dataclasses import dataclass

from controller.errors import WireError

HEADER_LENGTH = 96
CHAIN_MAGIC = bytes.fromhex("01000100")
TYPE_PIB = 0x0F
NONE = b"\xff\xff\xff\xff"

SLAC_OFF = 0
SLAC_PEV = 1
SLAC_EVSE = 2
CCO_NEVER = 1
"""What a vehicle's modem must be: never the coordinator of the network."""
CCO_ALWAYS = 2


@dataclass(frozen=True, slots=True)
class PibField:
    """Place of one field in the image."""

    offset: int
    length: int


MAC = PibField(0x0C, 6)
DAK = PibField(0x12, 16)
MANUFACTURER = PibField(0x24, 64)
NMK = PibField(0x64, 16)
USER = PibField(0x74, 64)
NETWORK = PibField(0xB4, 64)
CCO_SELECTION = PibField(0xF4, 1)
NID = PibField(0xF8, 7)
SLAC_MODE = PibField(0x1653, 1)
_LENGTH = PibField(4, 2)
_CHECKSUM = PibField(8, 4)
_IMAGE_LENGTH = PibField(16, 4)
_IMAGE_CHECKSUM = PibField(20, 4)
_HEADER_CHECKSUM = PibField(92, 4)


def checksum32(data: bytes) -> int:
    """Complement of the XOR of all 32-bit little-endian words (a rest below 4 bytes as zeros)."""
    total = 0
    for i in range(0, len(data), 4):
        total ^= int.from_bytes(data[i : i + 4], "little")
    return total ^ 0xFFFFFFFF


def read(image: bytes, field: PibField) -> bytes:
    """Return a field of the flat image."""
    return image[field.offset : field.offset + field.length]


def write(image: bytes, field: PibField, value: bytes) -> bytes:
    """Return the flat image with a field replaced and its checksum right."""
    if len(value) != field.length:
        raise ValueError(f"PIB field at {field.offset:#x}: {len(value)} bytes, not {field.length}")
    return _summed(_put(image, field, value), _CHECKSUM)


def new_image(mac: bytes, dak: bytes, nid: bytes, nmk: bytes, slac_mode: int) -> bytes:
    """Make a plausible flat image of a Green PHY modem."""
    image = bytes(0x3000)
    values = {
        PibField(0, 2): b"\x05\x06",
        _LENGTH: len(image).to_bytes(2, "little"),
        MAC: mac,
        DAK: dak,
        MANUFACTURER: b"Simulated QCA7420".ljust(64, b"\0"),
        NMK: nmk,
        NID: nid,
        USER: b"ccs-pilot".ljust(64, b"\0"),
        NETWORK: b"ccs-pilot simulated network".ljust(64, b"\0"),
        CCO_SELECTION: bytes([CCO_ALWAYS if slac_mode == SLAC_EVSE else CCO_NEVER]),
        SLAC_MODE: bytes([slac_mode]),
    }
    for field, value in values.items():
        image = _put(image, field, value)
    return _summed(image, _CHECKSUM)


def resummed(image: bytes) -> bytes:
    """Return the flat image with its own checksum right: tools that edit a chain leave it old."""
    return _summed(image, _CHECKSUM)


def to_chain(image: bytes, image_type: int = TYPE_PIB) -> bytes:
    """Put an image behind the header that QCA7000 and later files have."""
    header = CHAIN_MAGIC + bytes(HEADER_LENGTH - 4)
    header = _put(header, _IMAGE_LENGTH, len(image).to_bytes(4, "little"))
    header = _put(header, _IMAGE_CHECKSUM, checksum32(image).to_bytes(4, "little"))
    for only in (PibField(24, 4), PibField(28, 4), PibField(32, 4)):  # entry, next, previous
        header = _put(header, only, NONE)
    header = _put(header, PibField(36, 4), image_type.to_bytes(4, "little"))
    return _summed(header, _HEADER_CHECKSUM) + image


def from_chain(data: bytes) -> bytes:
    """Return the PIB image of a chain or a flat file, its checksums proven. Raises WireError."""
    if data[:4] != CHAIN_MAGIC:
        return _proven(data)
    at = 0
    while True:
        header = data[at : at + HEADER_LENGTH]
        if len(header) < HEADER_LENGTH or checksum32(header) != 0:
            raise WireError(f"PIB: no valid header at offset {at}")
        length = int.from_bytes(read(header, _IMAGE_LENGTH), "little")
        image = data[at + HEADER_LENGTH : at + HEADER_LENGTH + length]
        if len(image) < length or checksum32(image) != _number(header, _IMAGE_CHECKSUM):
            raise WireError(f"PIB: image behind the header at offset {at} is damaged")
        if _number(header, PibField(36, 4)) == TYPE_PIB:
            return image
        before, at = at, _number(header, PibField(28, 4))
        if at >= len(data) or at <= before:  # also no circles
            raise WireError("PIB: the chain holds no parameter block")


def _proven(image: bytes) -> bytes:
    if len(image) <= NID.offset + NID.length or checksum32(image) != 0:
        raise WireError("PIB: checksum of the flat image at offset 8 is wrong")
    return image


def _number(data: bytes, field: PibField) -> int:
    return int.from_bytes(read(data, field), "little")


def _put(data: bytes, field: PibField, value: bytes) -> bytes:
    return data[: field.offset] + value + data[field.offset + field.length :]


def _summed(data: bytes, at: PibField) -> bytes:
    blank = _put(data, at, bytes(4))
    return _put(blank, at, checksum32(blank).to_bytes(4, "little"))
