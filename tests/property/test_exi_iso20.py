"""ISO 15118-20: for any message the codecs are true, for any bytes they are safe."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.errors import ExiError
from controller.v2g.exi.codec import Codec
from controller.v2g.exi.schema import Declared
from controller.v2g.exi.walk import Decoder
from controller.v2g.exi.walk_back import Encoder
from controller.v2g.messages import protocols
from tests.v2g.exi.strategies import objects
from tests.v2g.exi.vectors import GOLDEN, lines

CODECS = [protocols.codec(name) for name in protocols.ISO20]
MESSAGES = [(codec, name) for codec in CODECS for name in codec.grammar.roots]
SIGNED = (
    "AbsolutePriceSchedule",
    "CPSCertificateChain",
    "OEMProvisioningCertificateChain",
    "PnC_AReqAuthorizationMode",
    "SignedInfo",
    "SignedInstallationData",
    "SignedMeteringData",
)
VECTORS = [
    (codec, bytes.fromhex(vector["hex"]))
    for codec in CODECS
    for vector in lines(Path(GOLDEN) / f"{codec.name}.jsonl")
]
FRAGMENTS = [
    bytes.fromhex(v["hex"]) for v in lines(Path(GOLDEN) / "fragments" / "iso20-common.jsonl")
]


@pytest.mark.parametrize(
    ("codec", "name"), MESSAGES, ids=[f"{codec.name}-{name}" for codec, name in MESSAGES]
)
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_every_message_round_trips(codec: Codec[Declared], name: str, data: st.DataObject) -> None:
    message = data.draw(objects(codec.grammar, codec.grammar.roots[name]))
    payload = codec.encode(message)
    assert payload == Encoder(codec.grammar).encode(message)
    assert codec.decode_counting(payload) == (message, 0)
    assert Decoder(codec.grammar, payload).decode() == (message, 0)
    view = codec.to_json(message)
    assert list(view) == [name]
    assert codec.from_json(json.loads(json.dumps(view))) == message


@pytest.mark.parametrize("name", SIGNED)
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_every_signed_element_round_trips(name: str, data: st.DataObject) -> None:
    codec = protocols.codec("iso20-common")
    (type_,) = (type_ for each, _, type_ in codec.grammar.fragments if each == name and type_)
    value = data.draw(objects(codec.grammar, type_))
    fragment = codec.encode_fragment(value, name)
    assert codec.decode_fragment(fragment) == (name, value)
    assert codec.from_json(codec.to_json(value, name)) == value


def _outcome(decode: Any, payload: bytes) -> Any:  # noqa: ANN401
    """Return what it returns, or the text of its ExiError; that has a bit of the payload."""
    offset: int | None = 0
    try:
        outcome = decode(payload)
    except ExiError as error:
        outcome, offset = str(error), error.bit_offset
    assert offset is not None
    assert 0 <= offset <= 8 * len(payload)
    return outcome


def _decode_both(codec: Codec[Declared], payload: bytes) -> None:
    """Decode by generated code and by reference: same message, or same ExiError."""
    expected = _outcome(lambda data: Decoder(codec.grammar, data).decode(), payload)
    assert _outcome(codec.decode_counting, payload) == expected


@settings(max_examples=300, deadline=None)
@given(codec=st.sampled_from(CODECS), root=st.integers(0, 63), tail=st.binary(max_size=300))
def test_any_bytes(codec: Codec[Declared], root: int, tail: bytes) -> None:
    _decode_both(codec, bytes([0x80, root << 2]) + tail)


@settings(max_examples=400, deadline=None)
@given(
    vector=st.sampled_from(VECTORS),
    flips=st.lists(st.integers(0, 8000), max_size=3),
    cut=st.none() | st.integers(0, 1000),
)
def test_any_bit_flip_and_any_prefix(
    vector: tuple[Codec[Declared], bytes], flips: list[int], cut: int | None
) -> None:
    codec, payload = vector
    _decode_both(codec, _changed(payload, flips, cut))


@settings(max_examples=200, deadline=None)
@given(
    fragment=st.sampled_from(FRAGMENTS),
    flips=st.lists(st.integers(0, 8000), max_size=3),
    cut=st.none() | st.integers(0, 1000),
)
def test_any_bit_flip_in_a_fragment(fragment: bytes, flips: list[int], cut: int | None) -> None:
    _outcome(protocols.codec("iso20-common").decode_fragment, _changed(fragment, flips, cut))


def _changed(payload: bytes, flips: list[int], cut: int | None) -> bytes:
    changed = bytearray(payload)
    for flip in flips:
        changed[flip // 8 % len(payload)] ^= 1 << flip % 8
    return bytes(changed[:cut])


@settings(max_examples=100, deadline=None)
@given(payload=st.binary(max_size=100), fragment=st.booleans())
def test_choice_by_root_takes_any_bytes(payload: bytes, fragment: bool) -> None:
    _outcome(lambda data: protocols.decode("iso20", data, fragment=fragment), b"\x80" + payload)
