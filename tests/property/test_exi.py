"""For any message the codec is true, for any bytes it is safe, and both its halves agree."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.errors import ExiError
from controller.v2g.exi.codec import Codec
from controller.v2g.exi.schema import INFO, Declared
from controller.v2g.exi.walk import Decoder
from controller.v2g.exi.walk_back import Encoder
from controller.v2g.messages import din, sap
from tests.v2g.exi.strategies import objects
from tests.v2g.exi.vectors import payloads

BODIES = sorted(
    (c for c in INFO if issubclass(c, din.BodyElement) and c is not din.BodyElement),
    key=lambda cls: cls.__name__,
)
CODECS: list[Codec[Declared]] = [sap.CODEC, din.CODEC]  # type: ignore[list-item]
GOLDEN = [(module.CODEC, payload) for module, payload in payloads()]


def _check_round_trip(codec: Codec[Declared], message: Declared) -> None:
    payload = codec.encode(message)
    assert payload == Encoder(codec.grammar).encode(message)
    assert codec.decode_counting(payload) == (message, 0)
    assert Decoder(codec.grammar, payload).decode() == (message, 0)
    assert codec.from_json(codec.to_json(message)) == message


@pytest.mark.parametrize("body", BODIES, ids=lambda cls: cls.__name__)
@settings(max_examples=25, deadline=None)
@given(data=st.data(), session=st.binary(max_size=8))
def test_every_din_message_round_trips(
    body: type[din.BodyElement], data: st.DataObject, session: bytes
) -> None:
    grammar = din.CODEC.grammar
    inside = data.draw(objects(grammar, grammar.type_of(body)))
    assert isinstance(inside, din.BodyElement)
    _check_round_trip(CODECS[1], din.Message(session_id=session, body=inside))


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_headers_round_trip(data: st.DataObject) -> None:
    grammar = din.CODEC.grammar
    _check_round_trip(CODECS[1], data.draw(objects(grammar, grammar.type_of(din.Message))))


@settings(max_examples=100, deadline=None)
@given(data=st.data(), root=st.sampled_from([0, 1]))
def test_handshakes_round_trip(data: st.DataObject, root: int) -> None:
    grammar = sap.CODEC.grammar
    type_ = list(grammar.roots.values())[root]
    _check_round_trip(CODECS[0], data.draw(objects(grammar, type_)))


def _outcome(
    decode: Callable[[bytes], tuple[Declared, int]], payload: bytes
) -> tuple[Declared, int] | ExiError:
    try:
        return decode(payload)
    except ExiError as error:
        return error


def _decode_both(codec: Codec[Declared], payload: bytes) -> None:
    """Decode by generated code and by reference: same message, or same ExiError."""
    expected = _outcome(lambda data: Decoder(codec.grammar, data).decode(), payload)
    outcome = _outcome(codec.decode_counting, payload)
    if not isinstance(expected, ExiError):
        assert outcome == expected
        return
    assert str(outcome) == str(expected)
    assert expected.bit_offset is not None
    assert 0 <= expected.bit_offset <= 8 * len(payload)


@settings(max_examples=300, deadline=None)
@given(
    codec=st.sampled_from(CODECS),
    head=st.sampled_from([b"", b"\x80", b"\x80\x9a", b"\x80\x9a\x02", b"\x80\x00", b"\x80\x40"]),
    tail=st.binary(max_size=300),
)
def test_any_bytes(codec: Codec[Declared], head: bytes, tail: bytes) -> None:
    _decode_both(codec, head + tail)


@settings(max_examples=400, deadline=None)
@given(
    vector=st.sampled_from(GOLDEN),
    flips=st.lists(st.integers(0, 4000), max_size=3),
    cut=st.none() | st.integers(0, 500),
)
def test_any_bit_flip_and_any_prefix(
    vector: tuple[Codec[Declared], bytes], flips: list[int], cut: int | None
) -> None:
    codec, payload = vector
    changed = bytearray(payload)
    for flip in flips:
        changed[flip // 8 % len(payload)] ^= 1 << flip % 8
    _decode_both(codec, bytes(changed[:cut]))
