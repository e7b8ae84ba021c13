"""One direction of a TCP connection: however its segments come, the stream is the same."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.listener import tcp_stream
from controller.listener.tcp_stream import Piece, StreamData, StreamEnd, StreamGap, TcpReassembler
from controller.netframes import ACK, FIN, PSH, SYN, Endpoint, Segment

A = Endpoint(bytes(6), bytes(15) + b"\x01", 1)
B = Endpoint(bytes(6), bytes(15) + b"\x02", 2)
ISN = 1000
TEXT = b"abcdefghijklmnopqrstuvwxyz"


def segment(offset: int, payload: bytes = b"", flags: int = ACK, isn: int = ISN) -> Segment:
    """Make a segment by the offset of its first byte in the stream."""
    return Segment(A, B, (isn + 1 + offset) % 2**32, 0, flags, payload)


def syn(isn: int = ISN) -> Segment:
    return Segment(A, B, isn, 0, SYN, b"")


def fin(offset: int, payload: bytes = b"") -> Segment:
    return segment(offset, payload, ACK | FIN)


def run(segments: list[Segment], now: float = 0.0) -> list[Piece]:
    reassembler = TcpReassembler()
    pieces = [p for s in segments for p in reassembler.receive_segment(s, now)]
    return pieces + reassembler.finish()


def joined(pieces: list[Piece]) -> bytes:
    """The stream with each lost byte as a dot."""
    return b"".join(
        p.data if isinstance(p, StreamData) else b"." * p.length
        for p in pieces
        if not isinstance(p, StreamEnd)
    )


@pytest.mark.parametrize(
    ("segments", "expected"),
    [
        ([syn(), segment(0, b"abc"), segment(3, b"def")], b"abcdef"),
        ([syn(), segment(3, b"def"), segment(0, b"abc")], b"abcdef"),
        ([syn(), segment(0, b"abc"), segment(0, b"abc"), segment(3, b"d")], b"abcd"),
        ([syn(), segment(0, b"abc"), segment(1, b"bcde")], b"abcde"),
        ([syn(), segment(0, b"abcdef"), segment(2, b"XX")], b"abcdef"),
        ([syn(), segment(4, b"ef"), segment(2, b"cdXX"), segment(0, b"ab")], b"abcdXX"),
        ([syn(), segment(2, b"cd"), segment(2, b"cdef"), segment(0, b"ab")], b"abcdef"),
        ([syn(), segment(2, b"cdef"), segment(2, b"cd"), segment(0, b"ab")], b"abcdef"),
        ([syn(), syn(), segment(0, b"abc")], b"abc"),
        ([syn(), segment(0, b"abc"), syn(), segment(3, b"d")], b"abcd"),
        ([syn(), segment(0, b"abc"), segment(2), segment(2, b"c"), segment(3, b"d")], b"abcd"),
        ([syn(), segment(0, b"abc"), segment(-5, b"old"), segment(3, b"d")], b"abcd"),
        ([syn(), segment(0, b"abc"), segment(6, b"ghi")], b"abc...ghi"),
        ([syn(), segment(6, b"gh"), segment(2, b"cd")], b"..cd..gh"),
        ([syn(), segment(0, b"ab"), fin(2), segment(2, b"cd")], b"ab"),
        ([syn(), segment(0, b"ab"), fin(4)], b"ab.."),
        ([syn(), fin(0, b"ab"), fin(0, b"ab")], b"ab"),
        ([segment(9, b"jk"), segment(11, b"l")], b"jkl"),
        ([segment(8), segment(9, b"jk"), segment(11, b"l")], b"jkl"),
        ([segment(9, b"jk"), segment(8, b"i"), segment(11, b"l")], b"jkl"),
        ([], b""),
    ],
    ids=[
        "in order",
        "swapped",
        "retransmitted",
        "retransmitted longer",
        "retransmitted inside",
        "overlap out of order",
        "held twice, longer later",
        "held twice, shorter later",
        "SYN twice",
        "SYN again later",
        "keep-alives, empty and of one byte",
        "stray old segment",
        "lost",
        "lost twice",
        "data after FIN",
        "lost before FIN",
        "FIN with data, twice",
        "mid-stream",
        "mid-stream after a keep-alive",
        "mid-stream, older after",
        "nothing",
    ],
)
def test_table(segments: list[Segment], expected: bytes) -> None:
    assert joined(run(segments)) == expected


def test_mid_stream_is_told() -> None:
    reassembler = TcpReassembler()
    reassembler.receive_segment(segment(7), 0.0)
    assert not reassembler.mid_stream
    reassembler.receive_segment(segment(7, b"x"), 0.0)
    assert reassembler.mid_stream


def test_the_end_comes_once_and_after_everything() -> None:
    pieces = run([syn(), fin(2, b"c"), fin(2, b"c"), segment(0, b"ab"), fin(2, b"c")])
    assert pieces == [StreamData(b"ab"), StreamData(b"c"), StreamEnd()]


def test_a_hole_is_given_up_when_the_receiver_has_acknowledged_it() -> None:
    reassembler = TcpReassembler()
    reassembler.receive_segment(syn(), 0.0)
    reassembler.receive_segment(segment(0, b"ab"), 0.0)
    assert reassembler.receive_segment(segment(4, b"ef"), 0.0) == []
    reassembler.receive_acknowledgement(ISN + 1 + 6)
    assert reassembler.receive_segment(segment(6, b"gh"), 0.1) == [
        StreamGap(2),
        StreamData(b"ef"),
        StreamData(b"gh"),
    ]


def test_an_acknowledgement_that_was_captured_first_is_no_hole() -> None:
    reassembler = TcpReassembler()
    reassembler.receive_segment(syn(), 0.0)
    reassembler.receive_acknowledgement(ISN + 1 + 4)
    assert reassembler.receive_segment(segment(0, b"abcd"), 0.1) == [StreamData(b"abcd")]


def test_an_acknowledgement_of_less_is_no_reason() -> None:
    reassembler = TcpReassembler()
    reassembler.receive_segment(syn(), 0.0)
    reassembler.receive_acknowledgement(ISN + 1 + 3)
    assert reassembler.receive_segment(segment(4, b"ef"), 0.1) == []


def test_a_hole_is_given_up_after_a_while() -> None:
    reassembler = TcpReassembler()
    reassembler.receive_segment(syn(), 0.0)
    assert reassembler.receive_segment(segment(4, b"ef"), 1.0) == []
    assert reassembler.receive_segment(segment(6, b"gh"), 1.0 + tcp_stream.HOLE_PATIENCE_S) == []
    late = 1.1 + tcp_stream.HOLE_PATIENCE_S
    assert joined(reassembler.receive_segment(segment(8, b"i"), late)) == b"....efghi"


def test_memory_is_bounded() -> None:
    reassembler = TcpReassembler()
    reassembler.receive_segment(syn(), 0.0)
    size = 1400
    count = 3 * tcp_stream.HELD_BYTES // size
    given_out = 0
    for number in range(count):
        pieces = reassembler.receive_segment(segment(1 + number * size, bytes(size)), 0.0)
        given_out += len(joined(pieces))
        assert reassembler._held_bytes <= tcp_stream.HELD_BYTES + size
    assert given_out > 2 * tcp_stream.HELD_BYTES


@pytest.mark.parametrize("isn", [0, 2**31 - 5, 2**32 - 1, 2**32 - 5])
def test_sequence_numbers_wrap(isn: int) -> None:
    parts = [segment(n, TEXT[n : n + 4], isn=isn) for n in range(0, 24, 4)]
    shuffled = [syn(isn), parts[0], parts[3], parts[1], parts[0], parts[2], parts[5], parts[4]]
    assert run(shuffled)[-1] == StreamData(TEXT[20:24])
    assert joined(run(shuffled)) == TEXT[:24]


def test_many_wraps() -> None:
    reassembler = TcpReassembler()
    reassembler.receive_segment(syn(0), 0.0)
    step = 1 << 29
    for number in range(1, 40):  # a hole of half a gigabyte each, then 5 wraps
        offset = number * step
        reassembler.receive_acknowledgement((1 + offset) % 2**32)
        pieces = reassembler.receive_segment(segment(offset, b"x", isn=0), 0.0)
        assert pieces[-1] == StreamData(b"x")
        assert isinstance(pieces[0], StreamGap)
        assert pieces[0].length == step - (number > 1)


@settings(max_examples=200, deadline=None)
@given(
    data=st.binary(min_size=1, max_size=300),
    isn=st.sampled_from([0, 5, 2**31, 2**32 - 100, 2**32 - 1]),
    choices=st.data(),
)
def test_any_split_order_and_repetition_gives_the_same_stream(
    data: bytes, isn: int, choices: st.DataObject
) -> None:
    cuts = choices.draw(st.lists(st.integers(0, len(data)), max_size=12))
    edges = sorted({0, len(data), *cuts})
    parts = list(pairwise(edges))
    extra = st.tuples(st.integers(0, len(data)), st.integers(0, len(data)))
    parts += [(min(pair), max(pair)) for pair in choices.draw(st.lists(extra, max_size=6))]
    segments = [segment(a, data[a:b], ACK | PSH, isn) for a, b in parts]
    segments.append(segment(len(data), b"", ACK | FIN, isn))
    order = choices.draw(st.permutations(segments))
    pieces = run([syn(isn), *order])
    assert joined(pieces) == data
    assert pieces[-1] == StreamEnd()
    assert not any(isinstance(piece, StreamGap) for piece in pieces)


@settings(max_examples=200)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 2**32 - 1), st.integers(0, 63), st.binary(max_size=20), st.booleans()
        ),
        max_size=20,
    )
)
def test_any_segments_do_not_raise(
    segments: list[tuple[int, int, bytes, bool]],
) -> None:
    reassembler = TcpReassembler()
    for number, (sequence, flags, payload, acknowledges) in enumerate(segments):
        if acknowledges:
            reassembler.receive_acknowledgement(sequence)
        reassembler.receive_segment(Segment(A, B, sequence, 0, flags, payload), float(number))
    reassembler.finish()
    assert reassembler._hole_end() is None
