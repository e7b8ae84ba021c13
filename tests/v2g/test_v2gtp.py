import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.errors import WireError
from controller.v2g import v2gtp
from controller.v2g.v2gtp import MAX_PAYLOAD, Deframer, PayloadType, V2gtpMessage

EXI = PayloadType.EXI


def test_encode_writes_the_header_of_the_standard() -> None:
    assert v2gtp.encode(EXI, b"\x80\x9a").hex() == "01fe800100000002809a"


@pytest.mark.parametrize(
    ("datagram", "words"),
    [
        ("", "0 bytes are shorter"),
        ("01fe9000000000", "7 bytes are shorter"),
        ("02fd90000000000210 00", "version bytes 02 FD"),
        ("01ff900000000000", "version bytes 01 FF"),
        ("01fe900000000003 1000", "length 3, but 2 bytes"),
        ("01fe900000000001 1000", "length 1, but 2 bytes"),
    ],
)
def test_parse_refuses(datagram: str, words: str) -> None:
    with pytest.raises(WireError, match=words):
        v2gtp.parse(bytes.fromhex(datagram))


STREAM = [
    V2gtpMessage(EXI, b""),
    V2gtpMessage(EXI, b"\x01\xfe\x80\x01"),  # a payload that looks like a header
    V2gtpMessage(0x4C41, b"stray"),
    V2gtpMessage(EXI, bytes(range(256)) * 4),
]


@settings(deadline=None, max_examples=60)
@given(cuts=st.lists(st.integers(0, 1200), max_size=12))
def test_any_split_gives_the_same_messages(cuts: list[int]) -> None:
    stream = b"".join(v2gtp.encode(m.payload_type, m.payload) for m in STREAM)
    deframer = Deframer()
    found: list[V2gtpMessage] = []
    at = 0
    for cut in [*sorted(cuts), len(stream)]:
        found += deframer.receive_data(stream[at:cut])
        at = max(at, cut)
    assert found == STREAM
    assert (deframer.errors, deframer.pending) == (0, 0)


def test_byte_by_byte() -> None:
    stream = b"".join(v2gtp.encode(m.payload_type, m.payload) for m in STREAM)
    deframer = Deframer()
    found = [m for i in range(len(stream)) for m in deframer.receive_data(stream[i : i + 1])]
    assert found == STREAM


@pytest.mark.parametrize(
    "garbage", [b"\x00", b"\x01", b"\x01\x00", b"\xfe\x01\x01", b"GET / HTTP/1.1\r\n" * 50]
)
@pytest.mark.parametrize("size", [1, 2, 3, 1000])
def test_a_message_after_garbage_is_found_and_one_error_counted(garbage: bytes, size: int) -> None:
    stream = garbage + v2gtp.encode(EXI, b"payload")
    deframer = Deframer()
    found = []
    for start in range(0, len(stream), size):
        found += deframer.receive_data(stream[start : start + size])
    assert found == [V2gtpMessage(EXI, b"payload")]
    assert deframer.errors == 1
    assert isinstance(deframer.last_error, WireError)


@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_an_oversized_message_is_skipped_without_being_stored(size: int) -> None:
    stream = v2gtp.encode(EXI, bytes(MAX_PAYLOAD + 1)) + v2gtp.encode(EXI, b"next")
    deframer = Deframer()
    found = []
    most = 0
    for start in range(0, len(stream), size):
        found += deframer.receive_data(stream[start : start + size])
        most = max(most, deframer.pending)
    assert found == [V2gtpMessage(EXI, b"next")]
    assert deframer.errors == 1
    assert most < 12  # no more than the header, or the next message


def test_the_longest_message_passes() -> None:
    payload = bytes(MAX_PAYLOAD)
    assert Deframer().receive_data(v2gtp.encode(EXI, payload)) == [V2gtpMessage(EXI, payload)]


@settings(deadline=None, max_examples=100)
@given(pieces=st.lists(st.binary(max_size=40), max_size=10))
def test_random_bytes_never_raise_and_hold_little(pieces: list[bytes]) -> None:
    deframer = Deframer()
    for piece in pieces:
        deframer.receive_data(piece)
        assert deframer.pending <= MAX_PAYLOAD + 8
