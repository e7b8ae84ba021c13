"""ISO 15118-2 and XML signatures: any message comes back, any bytes are taken or refused."""

import json
import sys
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.errors import ExiError
from controller.v2g.exi.codec import Codec
from controller.v2g.exi.schema import INFO, Declared
from controller.v2g.exi.walk import Decoder
from controller.v2g.exi.walk_back import Encoder
from controller.v2g.messages import iso2, xmldsig
from tests.v2g.exi.strategies import CHARACTERS, objects
from tests.v2g.exi.vectors import GOLDEN, lines

BODIES = sorted(
    (c for c in INFO if issubclass(c, iso2.BodyElement) and c is not iso2.BodyElement),
    key=lambda cls: cls.__name__,
)
SIGNED = (
    "AuthorizationReq",
    "CertificateInstallationReq",
    "CertificateUpdateReq",
    "ContractSignatureCertChain",
    "ContractSignatureEncryptedPrivateKey",
    "DHpublickey",
    "MeteringReceiptReq",
    "SalesTariff",
    "SignedInfo",
    "eMAID",
)
ISO2: Codec[Any] = iso2.CODEC
DSIG: Codec[Any] = xmldsig.CODEC
VECTORS = [
    (codec, bytes.fromhex(vector["hex"]))
    for codec, path in (
        (ISO2, "iso2.jsonl"),
        (ISO2, "xml/iso2.jsonl"),
        (DSIG, "xml/xmldsig.jsonl"),
    )
    for vector in lines(GOLDEN / path)
]
FRAGMENTS = [
    (codec, bytes.fromhex(vector["hex"]))
    for codec in (ISO2, DSIG)
    for vector in lines(GOLDEN / "fragments" / f"{codec.name}.jsonl")
]


def _check_round_trip(codec: Codec[Any], message: Declared) -> None:
    payload = codec.encode(message)
    assert payload == Encoder(codec.grammar).encode(message)
    assert codec.decode_counting(payload) == (message, 0)
    assert Decoder(codec.grammar, payload).decode() == (message, 0)
    with_lengths = codec.encode(message, canonical=False)
    assert codec.decode_counting(with_lengths) == (message, 0)
    assert codec.from_json(json.loads(json.dumps(codec.to_json(message)))) == message
    ElementTree.fromstring(codec.to_xml(message).encode())


@pytest.mark.parametrize("body", BODIES, ids=lambda cls: cls.__name__)
@settings(max_examples=25, deadline=None)
@given(data=st.data(), session=st.binary(max_size=8))
def test_every_message_round_trips(
    body: type[iso2.BodyElement], data: st.DataObject, session: bytes
) -> None:
    inside = data.draw(objects(ISO2.grammar, ISO2.grammar.type_of(body)))
    assert isinstance(inside, iso2.BodyElement)
    _check_round_trip(ISO2, iso2.Message(session_id=session, body=inside))


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_headers_round_trip(data: st.DataObject) -> None:
    _check_round_trip(ISO2, data.draw(objects(ISO2.grammar, ISO2.grammar.type_of(iso2.Message))))


@pytest.mark.parametrize("name", SIGNED)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_every_signed_element_round_trips(name: str, data: st.DataObject) -> None:
    (type_,) = (type_ for each, _, type_ in ISO2.grammar.fragments if each == name and type_)
    value = data.draw(objects(ISO2.grammar, type_))
    for codec in (ISO2, DSIG) if name == "SignedInfo" else (ISO2,):
        fragment = codec.encode_fragment(value, name)
        assert codec.decode_fragment(fragment) == (name, value)
        assert codec.from_json(codec.to_json(value, name)) == value


KEY_NAMES = {"KeyName": "key_name", "MgmtData": "mgmt_data", "#text": "texts"}


@settings(max_examples=100, deadline=None)
@given(
    content=st.lists(
        st.tuples(st.sampled_from(sorted(KEY_NAMES)), st.text(CHARACTERS, max_size=5)), min_size=1
    )
)
def test_document_order_round_trips(content: list[tuple[str, str]]) -> None:
    values = {
        attr: tuple(text for each, text in content if each == name)
        for name, attr in KEY_NAMES.items()
    }
    if all(name == "#text" for name, _ in content):
        values["key_name"], content = ("",), [*content, ("KeyName", "")]
    order = tuple(name for name, _ in content)
    info = xmldsig.KeyInfo(order=order, **values)  # type: ignore[arg-type]
    payload = DSIG.encode_fragment(info)
    _, decoded = DSIG.decode_fragment(payload)
    assert isinstance(decoded, xmldsig.KeyInfo)
    assert DSIG.encode_fragment(decoded) == payload
    assert decoded.order in (order, None)
    for attr in KEY_NAMES.values():
        assert getattr(decoded, attr) == getattr(info, attr)


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


def _decode_both(codec: Codec[Any], payload: bytes) -> None:
    """Decode by generated code and by reference: same message, or same ExiError."""
    expected = _outcome(lambda data: Decoder(codec.grammar, data).decode(), payload)
    found = _outcome(codec.decode_counting, payload)
    assert found == expected
    if not isinstance(found, str):  # what was decoded can be written back, and shown
        message, _ = found
        again = codec.encode(message, strict=False, canonical=False)
        assert codec.decode(again) == message
        ElementTree.fromstring(codec.to_xml(message).encode())


def _changed(payload: bytes, flips: list[int], cut: int | None) -> bytes:
    changed = bytearray(payload)
    for flip in flips:
        changed[flip // 8 % len(payload)] ^= 1 << flip % 8
    return bytes(changed[:cut])


@settings(max_examples=300, deadline=None)
@given(
    codec=st.sampled_from([ISO2, DSIG]),
    head=st.sampled_from([b"", b"\x80", b"\x80\x98", b"\x80\x98\x02", b"\x80\x78", b"\x80\x7a"]),
    tail=st.binary(max_size=300),
)
def test_any_bytes(codec: Codec[Any], head: bytes, tail: bytes) -> None:
    _decode_both(codec, head + tail)


FLIPS = st.lists(st.integers(0, 8000), max_size=3)
CUT = st.none() | st.integers(0, 1000)


@settings(max_examples=500, deadline=None)
@given(vector=st.sampled_from(VECTORS), flips=FLIPS, cut=CUT)
def test_any_bit_flip_and_any_prefix(
    vector: tuple[Codec[Any], bytes], flips: list[int], cut: int | None
) -> None:
    codec, payload = vector
    _decode_both(codec, _changed(payload, flips, cut))


@settings(max_examples=300, deadline=None)
@given(fragment=st.sampled_from(FRAGMENTS), flips=FLIPS, cut=CUT)
def test_any_bit_flip_in_a_fragment(
    fragment: tuple[Codec[Any], bytes], flips: list[int], cut: int | None
) -> None:
    codec, payload = fragment
    _outcome(codec.decode_fragment, _changed(payload, flips, cut))


def _calls(payload: bytes) -> int:
    """Return the number of calls that the reference decoder makes."""
    count = 0

    def note(*_: object) -> None:
        nonlocal count
        count += 1

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        Decoder(DSIG.grammar, payload).decode()
    finally:
        sys.setprofile(before)
    return count


def test_work_grows_with_the_length_only() -> None:
    """Twice the elements, twice the calls; in an order that is not the usual one, too."""

    def payload(number: int) -> bytes:
        info = xmldsig.KeyInfo(
            key_name=("a",) * number,
            mgmt_data=("b",) * number,
            order=("MgmtData", "KeyName") * number,
        )
        algorithm = "x"
        signed = xmldsig.SignedInfo(
            canonicalization_method=xmldsig.CanonicalizationMethod(algorithm=algorithm),
            signature_method=xmldsig.SignatureMethod(algorithm=algorithm),
            reference=(
                xmldsig.Reference(
                    digest_method=xmldsig.DigestMethod(algorithm=algorithm), digest_value=b"1"
                ),
            ),
        )
        value = xmldsig.SignatureValue(value=b"1")
        return DSIG.encode(
            xmldsig.Signature(signed_info=signed, signature_value=value, key_info=info)
        )

    _calls(payload(1))  # makes what is made once
    few, many = _calls(payload(200)), _calls(payload(400))
    assert many < 2.1 * few
