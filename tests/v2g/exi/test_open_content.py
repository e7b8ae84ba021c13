"""What a schema leaves open: any element, text between elements, any order, any type of a name."""

from typing import Any

import pytest

from controller.errors import ExiError
from controller.v2g.exi.codec import Codec
from controller.v2g.exi.schema import (
    STRING,
    UNSIGNED_INT,
    Binary,
    Declared,
    attribute,
    declare,
    element,
    text,
)
from controller.v2g.exi.walk import MAX_DEPTH
from controller.v2g.messages import xmldsig

DSIG = xmldsig.CODEC
OBJECT = [name for name, _, _ in DSIG.grammar.fragments].index("Object")
START = f"10000000 {OBJECT:0{DSIG.grammar.fragment_bits}b} 011"  # an Object without attributes


def _bytes(bits: str) -> bytes:
    bits = bits.replace(" ", "")
    padded = bits + "0" * (-len(bits) % 8)
    return int(padded, 2).to_bytes(len(padded) // 8, "big")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("000 00000011 01100001", "element of an unknown namespace"),  # one that is written out
        ("110", "element of an unknown namespace"),
        ("001 00000000", "unknown element of no namespace"),
        ("100 00000000", "unknown element of http://www.w3.org/2001/XMLSchema"),
        ("101 00000010 01100001", "unknown element of http://www.w3.org/2000/09/xmldsig#"),
        ("101 00000000 1111111", "unknown element 127 of http://www.w3.org/2000/09/xmldsig#"),
        ("101 00000000 0000010", "element CryptoBinary of http://www.w3.org/2000/09/xmldsig#"),
    ],
)
def test_elements_of_no_known_schema_are_refused(name: str, reason: str) -> None:
    with pytest.raises(ExiError, match=reason) as raised:
        DSIG.decode_fragment(_bytes(START + name))
    assert raised.value.path == "Object.any element[0]"


def test_element_of_the_schema_is_taken() -> None:
    fragment = _bytes(START + "101 00000000 0000011")  # DSAKeyValue: something is missing there
    with pytest.raises(ExiError) as raised:
        DSIG.decode_fragment(fragment)
    assert raised.value.path.startswith("Object.any element[0].DSAKeyValue")
    inside = xmldsig.KeyInfo(key_name=("k",))
    value = xmldsig.Object(others=(inside,), texts=("t",), order=("#text", "*"))
    assert DSIG.decode_fragment(DSIG.encode_fragment(value)) == ("Object", value)


def test_nesting_is_bounded() -> None:
    value = xmldsig.Object()
    for _ in range(MAX_DEPTH):
        value = xmldsig.Object(others=(value,))
    with pytest.raises(ExiError, match="nested too deeply"):
        DSIG.decode_fragment(DSIG.encode_fragment(value))


INFO = {"key_name": ("a",), "texts": ("t",)}


@pytest.mark.parametrize(
    ("values", "path", "reason"),
    [
        (
            {**INFO, "order": ("KeyName", "KeyName")},
            "KeyInfo.KeyName",
            "cannot be here, where the order of the content wants it",
        ),
        ({**INFO, "order": ("Unheard",)}, "KeyInfo.Unheard", "cannot be here"),
        ({"order": ()}, "KeyInfo.KeyName", "missing"),
        ({"key_name": (1,)}, "KeyInfo.KeyName[0]", "1 is no string"),
    ],
)
def test_orders_that_fit_nothing(values: dict[str, Any], path: str, reason: str) -> None:
    with pytest.raises(ExiError) as raised:
        DSIG.encode_fragment(xmldsig.KeyInfo(**values))
    assert raised.value.path == path
    assert raised.value.reason.startswith(reason)


def test_what_an_order_leaves_out_follows_in_the_usual_order() -> None:
    info = xmldsig.KeyInfo(key_name=("a", "b"), mgmt_data=("m",), order=("MgmtData",))
    _, decoded = DSIG.decode_fragment(DSIG.encode_fragment(info))
    assert isinstance(decoded, xmldsig.KeyInfo)
    assert decoded.order == ("MgmtData", "KeyName", "KeyName")


def test_orders_are_checked_in_the_xml_view() -> None:
    with pytest.raises(ExiError, match="KeyName: the order of the content wants one more"):
        DSIG.to_xml(xmldsig.KeyInfo(order=("KeyName",)))


def test_others_are_of_the_schema() -> None:
    with pytest.raises(ExiError, match=r"others|Object\.any element\[0\]: str given"):
        DSIG.encode_fragment(xmldsig.Object(others=("x",)))  # type: ignore[arg-type]
    with pytest.raises(ExiError, match="str given"):
        DSIG.to_xml(xmldsig.Object(others=("x",)))  # type: ignore[arg-type]


@declare()
class Note(Declared):
    """Made up: a text beside attributes."""

    NAMESPACE = "urn:notes"

    by: str | None = attribute("by", STRING, default=None)
    to: str = attribute("to", STRING)
    value: str = text(STRING)


@declare()
class Picture(Declared):
    """Made up: what has more than a text."""

    NAMESPACE = "urn:notes"

    value: bytes = text(Binary())


@declare("Board")
class Board(Declared):
    """Made up: Note and Picture name elements of two types."""

    NAMESPACE = "urn:notes"

    note: Note = element("Note")
    picture: Picture = element("Picture")


@declare("Desk")
class Desk(Declared):
    """Made up: the other types."""

    NAMESPACE = "urn:notes"

    note: int = element("Note", UNSIGNED_INT)
    picture: int = element("Picture", UNSIGNED_INT)


NOTES: Codec[Any] = Codec("notes", "urn:notes", roots=(Board, Desk))

# Attributes are 0, 1 and any other 2; elements 3..6 and any other 7; end 8, text 9: 4 bits. After
# the text: elements 0..3 and any other 4, end 5, text 6: 3 bits. In the fragment Note is 2, its end
# 5.


@pytest.mark.parametrize(
    ("note", "bits"),
    [
        (Note(to="A", value="B"), "0001 00000011 01000001 1001 00000011 01000010 101"),
        (Note(to="A", value=""), "0001 00000011 01000001 1000"),
        (
            Note(by="C", to="A", value="B"),
            "0000 00000011 01000011 0001 00000011 01000001 1001 00000011 01000010 101",
        ),
    ],
)
def test_fragments_of_a_name_with_two_types(note: Note, bits: str) -> None:
    fragment = _bytes(f"10000000 010 {bits} 101")
    assert NOTES.encode_fragment(note, "Note") == fragment
    assert NOTES.decode_fragment(fragment) == ("Note", note)


@pytest.mark.parametrize(
    ("bits", "reason"),
    [
        ("0011", "event code 3 is no attribute or text of it"),
        ("1000", "to is missing"),
        ("0001 00000011 01000001 1001 00000011 01000010 110", "event code 6 is not the end"),
    ],
)
def test_fragments_of_a_name_with_two_types_that_are_wrong(bits: str, reason: str) -> None:
    with pytest.raises(ExiError, match=reason):
        NOTES.decode_fragment(_bytes(f"10000000 010 {bits} 11111"))


def test_more_than_a_text_of_a_name_with_two_types() -> None:
    with pytest.raises(ExiError, match="several types and more than a text"):
        NOTES.encode_fragment(Picture(value=b"1"), "Picture")


@pytest.mark.parametrize("number", [2**280 - 1, -(2**280) + 1])
def test_serial_numbers_have_a_bound(number: int) -> None:
    def data(serial: int) -> xmldsig.X509Data:
        name = xmldsig.X509IssuerSerial(x509_issuer_name="n", x509_serial_number=serial)
        return xmldsig.X509Data(x509_issuer_serial=(name,))

    assert DSIG.decode_fragment(DSIG.encode_fragment(data(number))) == ("X509Data", data(number))
    with pytest.raises(ExiError, match="281 bits, at most 280 are taken"):
        DSIG.encode_fragment(data(2 * number))
