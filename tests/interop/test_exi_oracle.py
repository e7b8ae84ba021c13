"""The comparison itself, with our own codec in the part of the oracle."""

from collections import Counter
from typing import Any

import pytest
from hypothesis import strategies as st

from controller.v2g.messages import protocols, sap
from tests.interop import exi_oracle
from tests.interop.exi_oracle import Difference, Kind, compare

KIND = Kind("sap", "supportedAppProtocolRes", st.nothing())
CODEC = protocols.codec("sap")
VALUE = sap.SupportedAppProtocolRes(
    response_code=sap.ResponseCode.OK_SuccessfulNegotiation, schema_id=1
)
OTHER = sap.SupportedAppProtocolRes(
    response_code=sap.ResponseCode.OK_SuccessfulNegotiation, schema_id=2
)


class Fake:
    """An oracle that says what it is told to, and keeps the questions."""

    def __init__(self, encoded: object = VALUE, decoded: object = VALUE) -> None:
        self.encoded, self.decoded = encoded, decoded
        self.questions: list[dict[str, Any]] = []

    def __call__(self, **question: Any) -> dict[str, Any]:  # noqa: ANN401
        self.questions.append(question)
        if "xml" in question:
            return {"hex": CODEC.encode(self.encoded).hex()}  # type: ignore[arg-type]
        return {"xml": CODEC.to_xml(self.decoded).replace("  ", "").replace("\n", "")}  # type: ignore[arg-type]


def test_agreement() -> None:
    fake = Fake()
    assert compare(fake, KIND, VALUE)
    assert [set(question) for question in fake.questions] == [
        {"schema", "fragment", "xml"},
        {"schema", "fragment", "hex"},
    ]


@pytest.mark.parametrize(
    ("fake", "what"),
    [(Fake(encoded=OTHER), "encoded differently"), (Fake(decoded=OTHER), "decoded differently")],
)
def test_differences(fake: Fake, what: str) -> None:
    with pytest.raises(Difference, match=what):
        compare(fake, KIND, VALUE)


def test_an_error_is_a_difference() -> None:
    with pytest.raises(Difference, match="java"):
        compare(lambda **_: {"error": "java"}, KIND, VALUE)


def test_a_uri_with_blanks_is_only_decoded() -> None:
    offer = sap.AppProtocol(
        protocol_namespace="urn:x ",
        version_number_major=1,
        version_number_minor=0,
        schema_id=1,
        priority=1,
    )
    value = sap.SupportedAppProtocolReq(app_protocol=(offer,))
    fake = Fake(decoded=value)
    assert not compare(fake, Kind("sap", "supportedAppProtocolReq", st.nothing()), value)
    assert [set(question) for question in fake.questions] == [{"schema", "fragment", "hex"}]


def test_every_type_is_there_once() -> None:
    every = list(exi_oracle.kinds())
    assert len({(kind.group, kind.name) for kind in every}) == len(every)
    counts = Counter(kind.group for kind in every)
    assert counts["sap"] == 2
    assert counts["din"] == counts["iso2"] == 34 + 1  # and with a random header
    assert [counts[name] for name in protocols.ISO20] == [26, 10, 4, 8, 12]


def test_a_finding_is_reported() -> None:
    kind = Kind("sap", "supportedAppProtocolRes", st.just(VALUE))
    with pytest.raises(Difference, match="encoded"):
        exi_oracle.check(Fake(encoded=OTHER), kind, 1)
    assert exi_oracle.check(Fake(), kind, 1) == (1, 0)
