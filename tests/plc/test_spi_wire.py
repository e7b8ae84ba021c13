"""SPI framing: what goes over the wire, and finding frames again after damage."""

from __future__ import annotations

import random

import pytest

from controller.plc import spi_wire
from controller.plc.spi_wire import Deframer, Register, wrapped


def arrived(frame: bytes, padding: int = 0) -> bytes:
    """A frame as the chip gives it: its length before it."""
    body = wrapped(frame)
    return bytes(padding) + len(body).to_bytes(4, "big") + body


FRAMES = [bytes([n]) * size for n, size in ((1, 60), (2, 85), (3, 1514), (4, 1522))]


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (spi_wire.read_register(Register.SIGNATURE), "da000000"),
        (spi_wire.write_register(Register.BFR_SIZE, 0x0123), "41000123"),
        (spi_wire.write_register(Register.INTR_ENABLE, int(spi_wire.ENABLED)), "4d000047"),
        (spi_wire.DATA_IN, "8000"),
        (spi_wire.DATA_OUT, "0000"),
    ],
)
def test_commands(made: bytes, expected: str) -> None:
    assert made.hex() == expected


def test_a_frame_is_wrapped_and_padded() -> None:
    assert wrapped(b"x" * 60) == b"\xaa" * 4 + b"\x3c\0\0\0" + b"x" * 60 + b"\x55\x55"
    assert wrapped(b"x") == b"\xaa" * 4 + b"\x3c\0\0\0" + b"x" + bytes(59) + b"\x55\x55"


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 1000, 10_000])
@pytest.mark.parametrize("padding", [0, 1, 3])
def test_frames_are_found_however_they_are_cut(size: int, padding: int) -> None:
    stream = b"".join(arrived(frame, padding) for frame in FRAMES)
    deframer = Deframer()
    found = []
    for i in range(0, len(stream), size):
        found += deframer.feed(stream[i : i + size])
    assert found == FRAMES
    assert deframer.resynchronised == 0


GOOD = b"g" * 70
DAMAGE = {
    "noise before": b"\x12\x34\x56\x78\x9a\xbc\xde\xf0",
    "no end": arrived(b"d" * 70)[:-2] + b"\x55\x54",
    "length 0": bytes(4) + b"\xaa" * 4 + bytes(4) + b"\x55\x55",
    "length 59": bytes(4) + b"\xaa" * 4 + b"\x3b\0\0\0" + bytes(59) + b"\x55\x55",
    "length 1523": bytes(4) + b"\xaa" * 4 + b"\xf3\x05\0\0",
    "length 65535": bytes(4) + b"\xaa" * 4 + b"\xff\xff\0\0",
    "starts only": b"\xaa" * 50,
    "half a frame": arrived(b"h" * 200)[:100],
    "too long a length": arrived(b"l" * 70).replace(b"\x46\0\0\0", b"\x56\0\0\0"),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_frames_are_found_again_after_damage(damage: bytes) -> None:
    deframer = Deframer()
    found = deframer.feed(damage + arrived(GOOD) * 30)
    assert len(found) >= 28
    assert set(found) == {GOOD}
    assert deframer.resynchronised >= 1


def test_noise_is_bounded_and_never_raises() -> None:
    source = random.Random(5)
    deframer = Deframer()
    for _ in range(200):
        deframer.feed(source.randbytes(500) + b"\xaa" * source.randrange(9))
        assert len(deframer._buffer) <= spi_wire.LONGEST_FRAME + 20
    assert deframer.feed(arrived(GOOD) * 30)[-1] == GOOD


def test_reset_forgets_half_a_frame() -> None:
    deframer = Deframer()
    assert deframer.feed(arrived(GOOD)[:50]) == []
    deframer.reset()
    assert deframer.feed(arrived(GOOD)) == [GOOD]
    assert deframer.resynchronised == 0
