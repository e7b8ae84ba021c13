"""The XML view: EXIficient makes the same bytes of it."""

from typing import Any
from xml.etree import ElementTree

import pytest

from controller.errors import ExiError
from controller.v2g.exi.codec import Codec
from controller.v2g.exi.schema import STRING, Declared, declare, element
from controller.v2g.messages import din, iso2, sap, xmldsig
from tests.v2g.exi.vectors import GOLDEN, lines

CODECS: list[Codec[Any]] = [sap.CODEC, din.CODEC, iso2.CODEC, xmldsig.CODEC]
VECTORS = [
    (codec, vector) for codec in CODECS for vector in lines(GOLDEN / "xml" / f"{codec.name}.jsonl")
]


@pytest.mark.parametrize(("codec", "vector"), VECTORS, ids=lambda each: getattr(each, "name", ""))
def test_golden_xml(codec: Codec[Declared], vector: dict[str, Any]) -> None:
    payload = bytes.fromhex(vector["hex"])
    message, left = codec.decode_counting(payload)
    assert left == 0
    assert codec.to_xml(message) == vector["xml"]
    assert codec.encode(message) == payload


def test_other_elements_are_shown_under_their_name() -> None:
    chain = iso2.CertificateChain(id="id<1>", certificate=b"\0\1")
    root = ElementTree.fromstring(iso2.CODEC.to_xml(chain, "ContractSignatureCertChain").encode())
    space = f"{{{iso2.DATA_TYPES}}}"
    assert root.tag == f"{{{iso2.BODY}}}ContractSignatureCertChain", "declared there, its type not"
    assert root.attrib == {f"{space}Id": "id<1>"}
    assert [(child.tag, child.text) for child in root] == [(f"{space}Certificate", "AAE=")]
    with pytest.raises(ExiError, match="CertificateChain is no element"):
        iso2.CODEC.to_xml(chain)


def test_what_xml_does_not_allow_is_replaced() -> None:
    body = iso2.ServiceDiscoveryReq(service_scope="a\0\r<b")
    text = iso2.to_xml(iso2.Message(session_id=b"\1", body=body))
    assert "ServiceScope>a\ufffd&#13;&lt;b</" in text
    ElementTree.fromstring(text.encode())


def test_white_space_in_attributes_survives() -> None:
    text = xmldsig.CODEC.to_xml(xmldsig.Object(id='a\n\t"b'), "Object")
    assert ElementTree.fromstring(text.encode()).attrib == {"Id": 'a\n\t"b'}


def test_elements_have_the_namespaces_of_the_schema() -> None:
    stop = iso2.SessionStopReq(charging_session=iso2.ChargingSession.Terminate)
    text = iso2.to_xml(iso2.Message(session_id=b"\1", body=stop))
    root = ElementTree.fromstring(text.encode())
    assert root.tag == f"{{{iso2.NAMESPACE}}}V2G_Message"
    assert root[1][0].tag == f"{{{iso2.BODY}}}SessionStopReq"
    assert root[0][0].tag == f"{{{iso2.HEADER}}}SessionID"


@declare()
class Leaf(Declared):
    """Made up."""

    NAMESPACE = "urn:b:Same"

    colour: str = element("Colour", STRING)


@declare("Tree")
class Tree(Declared):
    """Made up."""

    NAMESPACE = "urn:a:Same"

    leaf: Leaf = element("Leaf")


def test_namespaces_of_one_name_get_two_prefixes() -> None:
    codec: Codec[Tree] = Codec("tree", "urn:a:Same", roots=(Tree,))
    text = codec.to_xml(Tree(leaf=Leaf(colour="green")))
    assert "<same:Leaf>" in text
    assert "<same2:Colour>green</same2:Colour>" in text
