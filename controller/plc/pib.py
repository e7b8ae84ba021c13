"""The parameter block (PIB) of a modem: its fields, its files, and their checksums.

Old chips hold the block as it is ("flat"); QCA7000 and later hold it as an image behind a 96-byte
header, in a chain of images. Offsets count from the start of the image, as the makers' tools
(setpib, modpib) count them. All checksums are the complement of the XOR of all 32-bit words.

An edit puts right the sums that `setpib` puts right: in a flat file the one at offset 8, in a chain
those of the image's header. The sum at offset 8 within a chain's image stays as it was.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING

from controller.errors import ConfigError, WireError
from controller.plc.wire import nid_from_nmk

if TYPE_CHECKING:
    from collections.abc import Mapping

HEADER_LENGTH = 96
CHAIN_MAGIC = bytes.fromhex("01000100")
TYPE_FIRMWARE = 0x04
TYPE_SOFTLOADER = 0x0B
TYPE_MANIFEST = 0x0E
TYPE_PIB = 0x0F
NONE = b"\xff\xff\xff\xff"
NO_ENTRY = 0xFFFFFFFF
LONGEST_FILE = 1 << 22
"""Firmware files have about 1 MB, parameter files 12 to 32 kB."""

SLAC_OFF = 0
SLAC_PEV = 1
SLAC_EVSE = 2
CCO_NEVER = 1
"""What a vehicle's modem must be: never the coordinator of the network."""
CCO_ALWAYS = 2


class Kind(Enum):
    """How a field is shown and typed."""

    NUMBER = "number"
    TEXT = "text"
    MAC = "MAC address"
    HEX = "hex bytes"


@dataclass(frozen=True, slots=True)
class PibField:
    """Place of one field in the image; nameless fields are for ourselves."""

    offset: int
    length: int
    name: str = ""
    kind: Kind = Kind.HEX
    meaning: str = ""


FIRMWARE_VERSION = PibField(0x00, 1, "firmware-major", Kind.NUMBER, "version of the block's format")
PIB_VERSION = PibField(0x01, 1, "pib-minor", Kind.NUMBER, "version of the block's contents")
LENGTH = PibField(0x04, 2, "length", Kind.NUMBER, "bytes of the image")
CHECKSUM = PibField(0x08, 4, "checksum", Kind.HEX, "sum of a flat file")
MAC = PibField(0x0C, 6, "mac", Kind.MAC, "station address of the modem")
DAK = PibField(0x12, 16, "dak", Kind.HEX, "device access key: who has it may set the key from afar")
MANUFACTURER = PibField(0x24, 64, "manufacturer", Kind.TEXT, "maker's name for the device")
NMK = PibField(0x64, 16, "nmk", Kind.HEX, "network membership key")
USER = PibField(0x74, 64, "user", Kind.TEXT, "user's name for the device; EVSE or PEV")
NETWORK = PibField(0xB4, 64, "network", Kind.TEXT, "name of the network")
CCO_SELECTION = PibField(
    0xF4, 1, "cco", Kind.NUMBER, "coordinator: 0 auto, 1 never (vehicle), 2 always (charger)"
)
COEXISTENCE = PibField(0xF5, 1, "coexistence", Kind.NUMBER, "coexistence with older HomePlug")
NID = PibField(0xF8, 7, "nid", Kind.HEX, "preferred network identifier")
AUTO_UPGRADE = PibField(0xFF, 1, "auto-upgrade", Kind.NUMBER, "membership upgrade; 0")
MEDIUM = PibField(0x109, 1, "medium", Kind.NUMBER, "medium; 1 for the pilot line")
SLAC_MODE = PibField(0x1653, 1, "slac", Kind.NUMBER, "SLAC: 0 off, 1 vehicle, 2 charger")
BACKGROUND_HAR = PibField(0x16D2, 1, "background-har", Kind.NUMBER, "0")
FAST_ASSOCIATE = PibField(0x16D3, 1, "fast-associate", Kind.NUMBER, "1: join at once")
LOW_SPEED = PibField(0x1C98, 4, "low-link-speed", Kind.NUMBER, "kbit/s; 10240")
HIGH_SPEED = PibField(0x1C9C, 4, "high-link-speed", Kind.NUMBER, "kbit/s; 102400")
DBC = PibField(0x1F80, 1, "dbc", Kind.NUMBER, "0")
SIMPLE_QOS = PibField(0x2030, 1, "simple-qos", Kind.NUMBER, "0")

FIELDS = (
    FIRMWARE_VERSION,
    PIB_VERSION,
    LENGTH,
    CHECKSUM,
    MAC,
    DAK,
    MANUFACTURER,
    NMK,
    USER,
    NETWORK,
    CCO_SELECTION,
    COEXISTENCE,
    NID,
    AUTO_UPGRADE,
    MEDIUM,
    SLAC_MODE,
    BACKGROUND_HAR,
    FAST_ASSOCIATE,
    LOW_SPEED,
    HIGH_SPEED,
    DBC,
    SIMPLE_QOS,
)
"""Every field with a name, in the order of its offset (open-plc-utils: pib.h, setpib scripts)."""

BY_NAME = {field.name: field for field in FIELDS}
SEALED = (FIRMWARE_VERSION, LENGTH, CHECKSUM)
"""Not to be set by hand: the tools and the modem rely on them."""

ROLE_CODES = {"evse": 2, "pev": 1}
"""What both the coordinator selection and the SLAC mode are for a role."""
LOW_SPEED_KBIT, HIGH_SPEED_KBIT = 10240, 102400
"""The speeds between which SLAC's link is rated, as every published Green PHY script sets them."""


def role_values(role: str) -> dict[PibField, bytes]:
    """Return exactly what `modem configure` writes for the role `evse` or `pev`."""
    code = bytes([ROLE_CODES[role]])
    return {
        USER: role.upper().encode().ljust(USER.length, b"\0"),
        CCO_SELECTION: code,
        SLAC_MODE: code,
        LOW_SPEED: LOW_SPEED_KBIT.to_bytes(4, "little"),
        HIGH_SPEED: HIGH_SPEED_KBIT.to_bytes(4, "little"),
    }


# The header of an image in a chain.
_EXECUTE_MASK = PibField(4, 4)
_ADDRESS = PibField(12, 4)
_IMAGE_LENGTH = PibField(16, 4)
_IMAGE_CHECKSUM = PibField(20, 4)
_ENTRY = PibField(24, 4)
_NEXT = PibField(28, 4)
_PREVIOUS = PibField(32, 4)
_TYPE = PibField(36, 4)
_HEADER_CHECKSUM = PibField(92, 4)


def checksum32(data: bytes) -> int:
    """Complement of the XOR of all 32-bit little-endian words (a rest below 4 bytes as zeros)."""
    total = 0
    for i in range(0, len(data), 4):
        total ^= int.from_bytes(data[i : i + 4], "little")
    return total ^ 0xFFFFFFFF


def nid_follows(image: bytes) -> bool:
    """Ask whether the network identifier derives from the key: chkpib2 and plctool want it so."""
    nid = read(image, NID)
    return nid_from_nmk(read(image, NMK), nid[6] >> 4) == nid


# --- one image ---------------------------------------------------------------------------------


def read(image: bytes, field: PibField) -> bytes:
    """Return a field of the flat image."""
    return image[field.offset : field.offset + field.length]


def number(image: bytes, field: PibField) -> int:
    """Return a field of the flat image as a number."""
    return int.from_bytes(read(image, field), "little")


def text(image: bytes, field: PibField) -> str:
    """Return a text field of the flat image."""
    return read(image, field).split(b"\0", 1)[0].decode("latin-1")


def write(image: bytes, field: PibField, value: bytes) -> bytes:
    """Return the flat image with a field replaced and its checksum right."""
    if len(value) != field.length:
        raise ValueError(f"PIB field at {field.offset:#x}: {len(value)} bytes, not {field.length}")
    return _summed(_put(image, field, value), CHECKSUM)


def resummed(image: bytes) -> bytes:
    """Return the flat image with its own checksum right: tools that edit a chain leave it old."""
    return _summed(image, CHECKSUM)


def new_image(mac: bytes, dak: bytes, nid: bytes, nmk: bytes, slac_mode: int) -> bytes:
    """Make a plausible flat image of a Green PHY modem."""
    image = bytes(0x3000)
    values = {
        PibField(0, 2): b"\x05\x06",
        LENGTH: len(image).to_bytes(2, "little"),
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
    return _summed(image, CHECKSUM)


# --- files -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Image:
    """One image of a file: where it is, and what its header says (a flat file is one image)."""

    start: int
    length: int
    type: int
    header_at: int | None
    """None in a flat file."""
    address: int = 0
    """Where a modem without flash memory wants it."""
    entry: int = NO_ENTRY
    checksum: int = 0


def images(data: bytes) -> list[Image]:
    """Return the images of a chain, or the one of a flat file, every checksum proven.

    Raises WireError for damage, with the offset.
    """
    if data[:4] != CHAIN_MAGIC:
        _prove_flat(data)
        return [Image(0, len(data), TYPE_PIB, None)]
    found: list[Image] = []
    at = 0
    while True:
        header = data[at : at + HEADER_LENGTH]
        if len(header) < HEADER_LENGTH or checksum32(header) != 0:
            raise WireError(f"PIB: no valid header at offset {at}")
        image = Image(
            start=at + HEADER_LENGTH,
            length=number(header, _IMAGE_LENGTH),
            type=number(header, _TYPE),
            header_at=at,
            address=number(header, _ADDRESS),
            entry=number(header, _ENTRY),
            checksum=number(header, _IMAGE_CHECKSUM),
        )
        body = data[image.start : image.start + image.length]
        if len(body) < image.length or checksum32(body) != image.checksum:
            raise WireError(f"PIB: image behind the header at offset {at} is damaged")
        found.append(image)
        following = number(header, _NEXT)
        if following >= len(data) or following <= at:  # the last has FFFFFFFF; also no circles
            return found
        at = following


def find_image(data: bytes, image_type: int) -> Image | None:
    """Return the first image of a type in a file, or None. Raises WireError for damage."""
    return next((image for image in images(data) if image.type == image_type), None)


def parameters(data: bytes) -> Image:
    """Return where the parameter block is in a file. Raises WireError."""
    found = find_image(data, TYPE_PIB)
    if found is None:
        raise WireError("PIB: the chain holds no parameter block")
    if found.length < NID.offset + NID.length:
        raise WireError(f"PIB: the image has only {found.length} bytes")
    return found


def from_chain(data: bytes) -> bytes:
    """Return the PIB image of a chain or a flat file, its checksums proven. Raises WireError."""
    found = parameters(data)
    return data[found.start : found.start + found.length]


def patched(data: bytes, values: Mapping[PibField, bytes]) -> bytes:
    """Return a file with fields replaced, its sums as `setpib` leaves them. Raises WireError."""
    found = parameters(data)
    image = data[found.start : found.start + found.length]
    for field, value in values.items():
        if field.offset + field.length > len(image):
            raise WireError(
                f"PIB: {field.name or 'field'}: the image ends before {field.offset:#x}"
            )
        if len(value) != field.length:
            raise ValueError(f"{field.name}: {len(value)} bytes, not {field.length}")
        image = _put(image, field, value)
    return with_image(data, image)


def with_image(data: bytes, image: bytes) -> bytes:
    """Return a file with its parameter block replaced by one of the same length, sums right."""
    found = parameters(data)
    if len(image) != found.length:
        raise ValueError(f"an image of {len(image)} bytes instead of {found.length}")
    if found.header_at is None:
        return _summed(image, CHECKSUM)
    header = data[found.header_at : found.start]
    header = _put(header, _IMAGE_CHECKSUM, checksum32(image).to_bytes(4, "little"))
    header = _summed(header, _HEADER_CHECKSUM)
    return data[: found.header_at] + header + image + data[found.start + found.length :]


def repaired(data: bytes) -> bytes:
    """Return a flat file, or a chain of which only sums are wrong, with all sums right.

    Raises WireError when more is wrong than sums.
    """
    if data[:4] != CHAIN_MAGIC:
        fixed = _summed(data, CHECKSUM)
        _prove_flat(fixed)
        return fixed
    at = 0
    while True:
        header = data[at : at + HEADER_LENGTH]
        start, length = at + HEADER_LENGTH, number(header, _IMAGE_LENGTH)
        if len(header) < HEADER_LENGTH or start + length > len(data):
            raise WireError(f"PIB: the image behind the header at offset {at} is cut off")
        total = checksum32(data[start : start + length])
        header = _put(header, _IMAGE_CHECKSUM, total.to_bytes(4, "little"))
        data = data[:at] + _summed(header, _HEADER_CHECKSUM) + data[start:]
        following = number(header, _NEXT)
        if following >= len(data) or following <= at:
            return data
        at = following


def to_chain(
    image: bytes, image_type: int = TYPE_PIB, manifest: bytes = b"", entry: int = NO_ENTRY
) -> bytes:
    """Put an image behind the header of QCA7000 and later files, and a manifest before it.

    `entry` is where firmware starts.
    """
    parts = [(TYPE_MANIFEST, manifest)] if manifest else []
    parts.append((image_type, image))
    made, last = b"", NONE
    for i, (kind, body) in enumerate(parts):
        at = len(made)
        is_last = i == len(parts) - 1
        following = NONE if is_last else (at + HEADER_LENGTH + len(body)).to_bytes(4, "little")
        made += _header(kind, body, following, last, entry) + body
        last = at.to_bytes(4, "little")
    return made


def differences(one: bytes, other: bytes) -> list[tuple[int, int]]:
    """Return (offset, length) of every run of bytes in which two images differ."""
    longest = max(len(one), len(other))
    differing = (i for i in range(longest) if one[i : i + 1] != other[i : i + 1])
    runs: list[tuple[int, int]] = []
    for i in differing:
        if runs and sum(runs[-1]) == i:
            runs[-1] = (runs[-1][0], runs[-1][1] + 1)
        else:
            runs.append((i, 1))
    return runs


# --- fields as people write them -----------------------------------------------------------------


def field_named(name: str, length: int = 1) -> PibField:
    """Find a field by its name, or make one for an offset (`0x1653`). Raises ConfigError."""
    if name.lower() in BY_NAME:
        return BY_NAME[name.lower()]
    try:
        offset = int(name, 16)
    except ValueError:
        known = ", ".join(BY_NAME)
        raise ConfigError(f"{name}: no such field (an offset as 0x1653, or: {known})") from None
    if offset < 0:
        raise ConfigError(f"{name}: an offset is not negative")
    known_field = next((f for f in FIELDS if (f.offset, f.length) == (offset, length)), None)
    return known_field or PibField(offset, length, f"{offset:#06x}")


def shown(field: PibField, value: bytes) -> str:
    """Write a field's value as a person reads it."""
    if field.kind is Kind.NUMBER:
        return str(int.from_bytes(value, "little"))
    if field.kind is Kind.TEXT:
        return value.split(b"\0", 1)[0].decode("latin-1")
    return value.hex(":") if field.kind is Kind.MAC else value.hex()


def assignment(words: str) -> tuple[PibField, bytes]:
    """Read `name=value` or `0x1653=02` (hex bytes). Raises ConfigError naming what is allowed."""
    name, separator, typed = words.partition("=")
    if not separator:
        raise ConfigError(f"{words}: not NAME=VALUE")
    field = field_named(name)
    if name.lower() not in BY_NAME:
        value = _hex_bytes(name, typed)
        return replace(field_named(name, len(value)), kind=Kind.HEX), value
    if field in SEALED:
        raise ConfigError(f"{field.name}: follows from the rest and cannot be set")
    return field, _typed(field, typed)


def _typed(field: PibField, typed: str) -> bytes:
    if field.kind is Kind.TEXT:
        try:
            value = typed.encode("latin-1")
        except UnicodeEncodeError:
            raise ConfigError(f"{field.name}: not Latin-1 text") from None
        if len(value) >= field.length or b"\0" in value:
            raise ConfigError(f"{field.name}: at most {field.length - 1} characters")
        return value.ljust(field.length, b"\0")
    if field.kind is Kind.NUMBER:
        try:
            return int(typed, 0).to_bytes(field.length, "little")
        except (ValueError, OverflowError):
            most = (1 << 8 * field.length) - 1
            raise ConfigError(f"{field.name}={typed}: a number from 0 to {most}") from None
    value = _hex_bytes(field.name, typed)
    if len(value) != field.length:
        raise ConfigError(f"{field.name}: {field.length} bytes as hex digits, not {len(value)}")
    return value


def _hex_bytes(name: str, typed: str) -> bytes:
    try:
        value = bytes.fromhex(typed.replace(":", "").removeprefix("0x"))
    except ValueError:
        raise ConfigError(f"{name}: {typed!r} is not bytes as hex digits") from None
    if not value:
        raise ConfigError(f"{name}: no value")
    return value


# --- inside --------------------------------------------------------------------------------------


def _header(kind: int, body: bytes, following: bytes, previous: bytes, entry: int) -> bytes:
    header = CHAIN_MAGIC + bytes(HEADER_LENGTH - 4)
    for field, value in (
        (_EXECUTE_MASK, NONE),
        (_IMAGE_LENGTH, len(body).to_bytes(4, "little")),
        (_IMAGE_CHECKSUM, checksum32(body).to_bytes(4, "little")),
        (_ENTRY, entry.to_bytes(4, "little")),
        (_NEXT, following),
        (_PREVIOUS, previous),
        (_TYPE, kind.to_bytes(4, "little")),
    ):
        header = _put(header, field, value)
    return _summed(header, _HEADER_CHECKSUM)


def _prove_flat(image: bytes) -> None:
    if len(image) <= NID.offset + NID.length or checksum32(image) != 0:
        raise WireError("PIB: checksum of the flat image at offset 8 is wrong")


def _put(data: bytes, field: PibField, value: bytes) -> bytes:
    return data[: field.offset] + value + data[field.offset + field.length :]


def _summed(data: bytes, at: PibField) -> bytes:
    blank = _put(data, at, bytes(4))
    return _put(blank, at, checksum32(blank).to_bytes(4, "little"))
