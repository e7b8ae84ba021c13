"""The large sets of vectors for ISO 15118-2 and XML signatures, and where codecs differ."""

from collections import Counter
from typing import Any

import pytest

from controller.errors import ExiError
from controller.v2g.exi.codec import Codec
from controller.v2g.messages import iso2, xmldsig
from tests.v2g.exi.vectors import MISSING, SHARED, alike, content, lines

pytestmark = pytest.mark.skipif(not SHARED.is_dir(), reason=MISSING)

CODECS: dict[str, Codec[Any]] = {"iso2": iso2.CODEC, "dsig": xmldsig.CODEC}

# A charger that has no MeterID sends one of length 0, as C codecs do. EXI has two ways for it: this
# and an element that ends at once, which Canonical EXI prescribes (4.3.2). Both are decoded.
EMPTY_METER_ID = 3

# A car of Seres leaves MaxNumberOfPhasesInUse at all bits set: 4, where 1..3 are allowed. EXI's
# decoders cannot tell: the field has 2 bits, and 0..3 stand for 1..4 (EXI 1.0, 7.1.9).
FOUR_PHASES = 1

# Values made at random for libcbv2g, beyond the facets of the schema: C codecs do not check them.
BEYOND_FACETS = {
    "eMAID": 24,  # 14 or 15 characters
    "GenChallenge": 10,  # 16 bytes
    "EVSEID": 4,  # 7 to 37 characters
    "duration": 3,  # at most 86400
    "start": 3,  # at most 16777214
}


def test_real_payloads() -> None:
    found: Counter[str] = Counter()
    for vector in lines(SHARED / "real.jsonl"):
        if vector["protocol"] != "iso2":
            continue
        payload = bytes.fromhex(vector["exi_hex"])
        message, left = iso2.decode_counting(payload)
        if vector["json"] is not None:
            assert iso2.to_json(message) == vector["json"]
        assert iso2.from_json(iso2.to_json(message)) == message
        sent = payload[: len(payload) - left]
        found["messages"] += 1
        if iso2.CODEC.flaw(message):
            found["flawed"] += 1
            assert iso2.encode(message, strict=False) == sent
        elif iso2.encode(message) != sent:
            found["empty"] += 1
            assert iso2.encode(message, canonical=False) == sent
    assert found == {"messages": 4886, "flawed": FOUR_PHASES, "empty": EMPTY_METER_ID}


def test_payloads_of_exificient() -> None:
    found: Counter[str] = Counter()
    for vector in lines(SHARED / "generated_exificient.jsonl"):
        if vector["protocol"] not in CODECS or vector["fragment"]:
            continue
        codec, payload = CODECS[vector["protocol"]], bytes.fromhex(vector["exi_hex"])
        message, left = codec.decode_counting(payload)
        assert left == 0
        assert codec.to_json(message) == vector["json"]
        assert codec.encode(message) == payload
        again = codec.from_json(vector["json"])
        found["messages"] += 1
        assert again == message
    assert found == {"messages": 1165}


def test_fragments_of_exificient() -> None:
    found: Counter[str] = Counter()
    for vector in lines(SHARED / "generated_exificient.jsonl"):
        if vector["protocol"] in CODECS and vector["fragment"]:
            codec, payload = CODECS[vector["protocol"]], bytes.fromhex(vector["exi_hex"])
            name, value = codec.decode_fragment(payload)
            assert codec.to_json(value, name) == vector["json"]
            assert codec.from_json(vector["json"]) == value
            assert codec.encode_fragment(value, name) == payload
            found[vector["protocol"]] += 1
    assert found == {"iso2": 196, "dsig": 23}


def test_payloads_of_cbv2g() -> None:
    found: Counter[str] = Counter()
    within = 0
    for vector in lines(SHARED / "generated_cbv2g.jsonl"):
        if vector["schema"] != "iso2":
            continue
        payload = bytes.fromhex(vector["hex"])
        message, left = iso2.decode_counting(payload)
        assert left == 0
        assert alike(content(iso2.to_json(message)), vector["fields"])
        assert message.session_id.hex() == vector["session"]
        assert iso2.encode(message, strict=False) == payload
        flaw = iso2.CODEC.flaw(message)
        if flaw is None:
            assert iso2.encode(message) == payload
            within += 1
        else:
            found[flaw.path.rpartition(".")[2]] += 1
    assert within == 152
    assert found == BEYOND_FACETS


def test_signed_messages_need_no_reference() -> None:
    """All real messages are decoded by generated code, those with a signature too."""
    signed = 0
    for vector in lines(SHARED / "real.jsonl"):
        if vector["protocol"] == "iso2":
            message, _ = iso2.CODEC._compiled.decode(bytes.fromhex(vector["exi_hex"]))
            signed += message.signature is not None
    assert signed == 18


def test_a_payload_cut_anywhere_is_refused() -> None:
    vectors = [v for v in lines(SHARED / "real.jsonl") if v["protocol"] == "iso2"]
    for payload in {bytes.fromhex(v["exi_hex"]) for v in vectors[::100]}:
        for size in range(len(payload) - 1):
            with pytest.raises(ExiError):
                iso2.decode(payload[:size])
