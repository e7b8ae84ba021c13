"""The parameter block: places, checksums, chains."""

from __future__ import annotations

import contextlib
import random
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from controller.errors import ConfigError, WireError
from controller.plc import pib
from controller.plc.wire import nid_from_nmk

if TYPE_CHECKING:
    from pathlib import Path

MAC = bytes.fromhex("00b052aa0001")
NMK = bytes(range(16))
IMAGE = pib.new_image(MAC, bytes(16), nid_from_nmk(NMK), NMK, pib.SLAC_EVSE)


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


# --- patches, fields, files ----------------------------------------------------------------------

CHAIN = pib.to_chain(IMAGE, manifest=b"m" * 64)
FILES = {"flat": IMAGE, "chain": pib.to_chain(IMAGE), "with a manifest": CHAIN}


@pytest.mark.parametrize("data", FILES.values(), ids=FILES.keys())
def test_a_patch_changes_the_field_and_sums_alone(data: bytes) -> None:
    after = pib.patched(data, {pib.SLAC_MODE: b"\1"})
    assert len(after) == len(data)
    image = pib.from_chain(after)
    assert pib.read(image, pib.SLAC_MODE) == b"\1"
    changed = {offset for offset, _ in pib.differences(pib.from_chain(data), image)}
    assert pib.SLAC_MODE.offset in changed
    flat = data[:4] != pib.CHAIN_MAGIC
    assert changed - {pib.SLAC_MODE.offset} <= (set(range(8, 12)) if flat else set())
    if data == CHAIN:  # the manifest and its header are not touched
        assert after[: 96 + 64] == data[: 96 + 64]


@pytest.mark.parametrize("role", ["evse", "pev"])
def test_role_values_are_those_of_the_published_scripts(role: str) -> None:
    values = {f.offset: v for f, v in pib.role_values(role).items()}
    code = {"evse": b"\2", "pev": b"\1"}[role]
    assert values == {
        0x74: role.upper().encode().ljust(64, b"\0"),
        0xF4: code,
        0x1653: code,
        0x1C98: b"\x00\x28\0\0",
        0x1C9C: b"\x00\x90\1\0",
    }


def test_the_table_of_fields_is_in_order_and_does_not_overlap() -> None:
    assert len(pib.BY_NAME) == len(pib.FIELDS)
    for before, after in zip(pib.FIELDS, pib.FIELDS[1:], strict=False):
        assert before.offset + before.length <= after.offset, after.name


@pytest.mark.parametrize(
    ("words", "offset", "value"),
    [
        ("slac=2", 0x1653, b"\2"),
        ("SLAC=0x1", 0x1653, b"\1"),
        ("low-link-speed=10240", 0x1C98, b"\x00\x28\0\0"),
        ("user=EVSE", 0x74, b"EVSE".ljust(64, b"\0")),
        ("mac=00:b0:52:aa:00:07", 0x0C, bytes.fromhex("00b052aa0007")),
        ("nmk=" + "ab" * 16, 0x64, b"\xab" * 16),
        ("0x1653=02", 0x1653, b"\2"),
        ("1C98=00280000", 0x1C98, b"\x00\x28\0\0"),
    ],
)
def test_assignments(words: str, offset: int, value: bytes) -> None:
    field, found = pib.assignment(words)
    assert (field.offset, field.length, found) == (offset, len(value), value)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("slac", "not NAME=VALUE"),
        ("slac=256", "a number from 0 to 255"),
        ("slac=-1", "a number from 0 to 255"),
        ("slac=x", "a number from 0 to 255"),
        ("user=" + "x" * 64, "at most 63 characters"),
        ("mac=00b052", "6 bytes as hex digits, not 3"),
        ("mac=zz", "is not bytes as hex digits"),
        ("0x1653=", "no value"),
        ("nosuch=1", "no such field"),
        ("length=3", "cannot be set"),
        ("checksum=00000000", "cannot be set"),
        ("-0x5=01", "not negative"),
    ],
)
def test_wrong_assignments_say_what_is_allowed(words: str, text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        pib.assignment(words)


def test_a_patch_beyond_the_image_is_refused() -> None:
    with pytest.raises(WireError, match="ends before 0x9000"):
        pib.patched(IMAGE, {pib.PibField(0x9000, 1): b"x"})


@pytest.mark.parametrize("data", FILES.values(), ids=FILES.keys())
def test_sums_are_repaired_and_nothing_else(data: bytes) -> None:
    damaged = bytearray(data)
    damaged[-0x100] ^= 0xFF
    with pytest.raises(WireError):
        pib.from_chain(bytes(damaged))
    fixed = pib.repaired(bytes(damaged))
    assert pib.from_chain(fixed)[-0x100] == 0xFF
    with pytest.raises(WireError):
        pib.repaired(data[:100])


@pytest.mark.parametrize("data", FILES.values(), ids=FILES.keys())
def test_no_damage_raises_anything_else(data: bytes) -> None:
    source = random.Random(3)
    for _ in range(300):
        damaged = bytearray(data[: source.choice([len(data), source.randrange(len(data))])])
        for _ in range(source.randrange(1, 4)):
            if damaged:
                damaged[source.randrange(min(len(damaged), 400))] = source.randrange(256)
        with contextlib.suppress(WireError):
            pib.from_chain(bytes(damaged))
        with contextlib.suppress(WireError):
            pib.repaired(bytes(damaged))


# --- the makers' tools ---------------------------------------------------------------------------

SCRIPT = ["74 hfid EVSE", "F4 byte 2", "1653 byte 2", "1C98 long 10240", "1C9C long 102400"]


def tool(*words: str) -> str:
    if shutil.which(words[0]) is None:
        pytest.skip(f"{words[0]} is not installed (apt install plc-utils-extra)")
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=10)
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


@pytest.mark.parametrize("name", FILES)
def test_setpib_makes_the_same_bytes(name: str, tmp_path: Path) -> None:
    theirs = tmp_path / "theirs.pib"
    theirs.write_bytes(FILES[name])
    for line in SCRIPT:
        tool("setpib", str(theirs), *line.split())
    assert theirs.read_bytes() == pib.patched(FILES[name], pib.role_values("evse"))


@pytest.mark.parametrize("name", FILES)
def test_what_is_written_is_accepted(name: str, tmp_path: Path) -> None:
    file = tmp_path / "ours.pib"
    key = {pib.NMK: b"n" * 16, pib.NID: nid_from_nmk(b"n" * 16)}
    file.write_bytes(pib.patched(FILES[name], pib.role_values("pev") | key))
    assert "looks good" in tool("chkpib2", str(file))
    assert "USR PEV" in tool("modpib", "-v", str(file))
    assert tool("getpib", str(file), "74", "hfid") in ("PEV", "PEV\n") or name != "flat"
