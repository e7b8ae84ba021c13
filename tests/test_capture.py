"""Capture files: reading every form of them, and writing pcapng; dpkt and tshark as oracles."""

import contextlib
import gzip
import io
import shutil
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import dpkt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.errors import PortError, WireError
from controller.listener.capture import Packet, in_time_order, open_capture, read_packets
from controller.trace import PcapngWriter

FRAMES = [b"\xff" * 60, b"", b"abc", bytes(range(256)) * 5]


def packets(data: bytes) -> list[Packet]:
    return list(read_packets(io.BytesIO(data)))


def pcap(order: str, magic: int, unit_ns: int, frames: list[bytes], link_type: int = 1) -> bytes:
    data = struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 65535, link_type)
    for n, frame in enumerate(frames):
        data += struct.pack(
            order + "IIII", 1_700_000_000 + n, 123_000 // unit_ns, len(frame), len(frame) + n
        )
        data += frame
    return data


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("magic", "unit_ns"), [(0xA1B2C3D4, 1000), (0xA1B23C4D, 1)])
def test_pcap(order: str, magic: int, unit_ns: int) -> None:
    read = packets(pcap(order, magic, unit_ns, FRAMES, link_type=0xF0000071))
    assert [p.data for p in read] == FRAMES
    assert [p.at_ns for p in read] == [(1_700_000_000 + n) * 10**9 + 123_000 for n in range(4)]
    assert [p.original_length - len(p.data) for p in read] == [0, 1, 2, 3]
    assert {(p.link_type, p.interface) for p in read} == {(0x71, 0)}


def block(order: str, kind: int, body: bytes) -> bytes:
    body += bytes(-len(body) % 4)
    length = struct.pack(order + "I", len(body) + 12)
    return struct.pack(order + "I", kind) + length + body + length


def section(order: str) -> bytes:
    return block(order, 0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1))


def option(order: str, code: int, value: bytes) -> bytes:
    return struct.pack(order + "HH", code, len(value)) + value + bytes(-len(value) % 4)


def interface(
    order: str, link_type: int = 1, resolution: int | None = None, offset_s: int = 0, snap: int = 0
) -> bytes:
    options = option(order, 2, b"eth0")
    if resolution is not None:
        options += option(order, 9, bytes([resolution]))
    if offset_s:
        options += option(order, 14, struct.pack(order + "q", offset_s))
    body = struct.pack(order + "HHI", link_type, 0, snap) + options + option(order, 0, b"")
    return block(order, 1, body)


def enhanced(order: str, index: int, units: int, frame: bytes) -> bytes:
    head = struct.pack(
        order + "IIIII", index, units >> 32, units & 0xFFFFFFFF, len(frame), len(frame)
    )
    return block(order, 6, head + frame + bytes(-len(frame) % 4) + option(order, 1, b"comment"))


@pytest.mark.parametrize("order", ["<", ">"])
def test_pcapng(order: str) -> None:
    data = (
        section(order)
        + interface(order)
        + block(order, 10, b"TLSK" + bytes(40))  # secrets
        + interface(order, link_type=113, resolution=9, offset_s=1000)
        + interface(order, link_type=101, resolution=0x80 | 10)
        + interface(order, resolution=3, snap=4)
        + block(order, 4, bytes(8))  # names
        + enhanced(order, 0, 5_000_000, b"one")
        + block(order, 0x80000001, b"of our own")
        + enhanced(order, 1, (7 << 32) + 1, b"two")
        + enhanced(order, 2, 3 * 1024 + 512, b"three")
        + enhanced(order, 3, 1500, b"four")
        + block(order, 5, bytes(12))  # statistics
        + block(order, 2, struct.pack(order + "HHIIII", 1, 9, 0, 42, 4, 99) + b"five")
        + block(order, 3, struct.pack(order + "I", 3) + b"six")
    )
    assert packets(data) == [
        Packet(5 * 10**9, 0, 1, b"one", 3),
        Packet((7 << 32) + 1 + 1000 * 10**9, 1, 113, b"two", 3),
        Packet(3_500_000_000, 2, 101, b"three", 5),
        Packet(1_500_000_000, 3, 1, b"four", 4),
        Packet(42 + 1000 * 10**9, 1, 113, b"five", 99),
        Packet(42 + 1000 * 10**9, 0, 1, b"six", 3),
    ]


def test_a_simple_packet_is_cut_by_the_snap_length() -> None:
    data = section("<") + interface("<", snap=4) + block("<", 3, struct.pack("<I", 9) + b"cut!")
    assert packets(data) == [Packet(0, 0, 1, b"cut!", 9)]


def test_sections_of_both_byte_orders() -> None:
    """Two files joined by `cat`: interfaces count from 0 again."""
    parts = [
        section(o) + interface(o, link_type=link) + enhanced(o, 0, 1, b"x")
        for o, link in (("<", 1), (">", 113))
    ]
    assert [p.link_type for p in packets(b"".join(parts))] == [1, 113]


CAPTURES: dict[str, Callable[[], bytes]] = {
    "pcap": lambda: pcap("<", 0xA1B2C3D4, 1000, FRAMES),
    "pcapng": lambda: section("<") + interface("<") + enhanced("<", 0, 1, b"x" * 9) * 3,
    "pcap.gz": lambda: gzip.compress(pcap(">", 0xA1B23C4D, 1, FRAMES)),
    "pcapng.gz": lambda: gzip.compress(section(">") + interface(">") + enhanced(">", 0, 1, b"x")),
}


@pytest.mark.parametrize("kind", CAPTURES)
def test_cut_anywhere(kind: str) -> None:
    """Whole packets before the cut, then one error; at a packet's end no error."""
    data = CAPTURES[kind]()
    whole = packets(data)
    for end in range(len(data)):
        read: list[Packet] = []
        with contextlib.suppress(WireError):
            read.extend(read_packets(io.BytesIO(data[:end])))
            assert not kind.endswith("gz"), end
        assert read == whole[: len(read)]


@pytest.mark.parametrize("kind", CAPTURES)
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_damage_raises_nothing_else(kind: str, data: st.DataObject) -> None:
    capture = bytearray(CAPTURES[kind]())
    for _ in range(data.draw(st.integers(1, 4))):
        capture[data.draw(st.integers(0, len(capture) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(WireError, PortError):
        packets(bytes(capture))


@given(st.binary(max_size=200))
def test_random_bytes_are_no_capture(data: bytes) -> None:
    with pytest.raises(WireError):
        packets(data)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "empty"),
        (gzip.compress(b"", mtime=0), "empty"),
        (b"hello, world", "not a capture"),
        (b"\xa1\xb2", "not a capture"),
        (b"\xa1\xb2\xc3\xd4\0", "ends in the middle of its header"),
        (b"\x0a\x0d\x0d\x0a\x1c\0\0\0aaaa", "byte-order mark"),
        (section("<")[:-4] + b"\0\0\0\0", "lengths of a block differ"),
        (section("<") + enhanced("<", 0, 1, b"x"), "interface 0, which is not described"),
        (section("<") + block("<", 6, bytes(8)), "too short"),
        (section("<") + struct.pack("<II", 7, 1 << 30), "a block claims 1073741824"),
        (section("<") + struct.pack("<II", 7, 4), "a block claims 4"),
        (pcap("<", 0xA1B2C3D4, 1000, []) + b"\xff" * 16, "a packet claims 4294967295"),
        (
            section("<") + interface("<") + block("<", 6, struct.pack("<IIIII", 0, 0, 0, 99, 99)),
            "a packet claims 99",
        ),
        (gzip.compress(pcap("<", 0xA1B2C3D4, 1000, FRAMES), mtime=0)[:-1], "ends too early"),
        (b"\x1f\x8b\x08\0junk", "compressed file"),
        (b"\x1f\x8b", "compressed file"),
    ],
)
def test_what_is_wrong_is_said(data: bytes, message: str) -> None:
    with pytest.raises(WireError, match=message):
        packets(data)


def test_a_read_error_is_not_the_files_fault() -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise OSError(5, "Input/output error")

    with pytest.raises(PortError, match="Input/output error"):
        list(read_packets(Broken()))


@pytest.mark.parametrize(
    ("name", "message"), [("", "directory"), ("none", "No such file"), ("a\0b", "null")]
)
def test_what_cannot_be_opened(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(PortError, match=message):
        open_capture(f"{tmp_path}/{name}" if name else str(tmp_path))


def at(seconds: float, interface: int) -> Packet:
    return Packet(round(seconds * 1e9), interface, 1, b"", 0)


def test_several_interfaces_are_put_in_order() -> None:
    mixed = [at(0, 0), at(1, 1), at(0.5, 0), at(1.2, 1), at(0.9, 0), at(9, 0), at(1.3, 1)]
    ordered = [p.at_ns / 1e9 for p in in_time_order(iter(mixed))]
    assert ordered == [0, 0.5, 0.9, 1, 1.2, 1.3, 9]


def test_one_interface_is_not_held_back() -> None:
    source = iter([at(1, 0), at(2, 0)])
    ordered = in_time_order(source)
    assert next(ordered).at_ns == 10**9
    assert next(source).at_ns == 2 * 10**9


def test_damage_comes_after_what_was_held_back() -> None:
    data = section("<") + interface("<") * 2 + enhanced("<", 1, 9, b"b") + enhanced("<", 0, 8, b"a")
    ordered = in_time_order(read_packets(io.BytesIO(data + b"junk")))
    assert [next(ordered).data, next(ordered).data] == [b"a", b"b"]
    with pytest.raises(WireError):
        next(ordered)


# --- writing -----------------------------------------------------------------------------------


def test_written_and_read(tmp_path: Path) -> None:
    path = tmp_path / "capture.pcapng"
    frames = [bytes([n]) * (60 + n) for n in range(5)]
    with PcapngWriter(path, ("charger", "car"), epoch_s=1_700_000_000) as writer:
        for n, frame in enumerate(frames):
            writer.write(frame, n + 0.000000001, n % 2)
    read = packets(path.read_bytes())
    assert [p.data for p in read] == frames
    assert [p.at_ns for p in read] == [(1_700_000_000 + n) * 10**9 + 1 for n in range(5)]
    assert [p.interface for p in read] == [0, 1, 0, 1, 0]
    assert {p.link_type for p in read} == {1}


def test_written_and_read_by_dpkt(tmp_path: Path) -> None:
    path = tmp_path / "capture.pcapng"
    with PcapngWriter(path) as writer:
        writer.write(FRAMES[0], 1.5)
        writer.write(FRAMES[3], 2.25)
    with path.open("rb") as file:
        reader = dpkt.pcapng.Reader(file)
        assert reader.datalink() == 1
        assert [(float(t), bytes(d)) for t, d in reader] == [(1.5, FRAMES[0]), (2.25, FRAMES[3])]


def test_an_interface_that_was_not_declared(tmp_path: Path) -> None:
    with (
        PcapngWriter(tmp_path / "c.pcapng") as writer,
        pytest.raises(ValueError, match="interface 1"),
    ):
        writer.write(b"", 0.0, 1)


def test_tshark_opens_it(tmp_path: Path) -> None:
    tshark = shutil.which("tshark")
    if tshark is None:
        pytest.skip("tshark is not installed")
    path = tmp_path / "capture.pcapng"
    with PcapngWriter(path, ("charger", "car"), epoch_s=1e9) as writer:
        writer.write(b"\xff" * 12 + b"\x08\x06" + bytes(46), 0.123456789)
        writer.write(b"\xff" * 12 + b"\x08\x06" + bytes(46), 1.5, 1)
    fields = ["-e", "frame.time_epoch", "-e", "frame.interface_name", "-e", "frame.len"]
    command = [tshark, "-r", str(path), "-T", "fields", *fields]
    shown = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert [line.split("\t") for line in shown.stdout.splitlines()] == [
        ["1000000000.123456789", "charger", "60"],
        ["1000000001.500000000", "car", "60"],
    ]
