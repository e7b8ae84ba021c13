"""What ISO 15118-20 needs of the codec: types shared by schema sets, and facets DIN has not."""

import pytest

from controller.errors import ExiError
from controller.v2g.exi.codec import Codec
from controller.v2g.exi.schema import (
    STRING,
    UNSIGNED_INT,
    Binary,
    Declared,
    Integer,
    declare,
    element,
)
from controller.v2g.exi.walk import Decoder
from controller.v2g.exi.walk_back import Encoder
from controller.v2g.messages import xmldsig


@declare("Mode", head=True, abstract=True)
class Mode(Declared):
    """Made up: head of a group, in a namespace that several schema sets share."""

    NAMESPACE = "urn:shared"


@declare("Timed")
class Timed(Mode):
    """Made up: a member of the schema set at hand."""

    NAMESPACE = "urn:order"

    seconds: int = element("Seconds", UNSIGNED_INT)


@declare("Elsewhere")
class Elsewhere(Mode):
    """Made up: a member that another schema set declares."""

    __module__ = "elsewhere"


@declare()
class Base(Declared):
    """Made up: what orders have in common."""

    NAMESPACE = "urn:shared"

    number: int = element("Number", Integer(1, 2**32 - 1))


@declare()
class Aside(Declared):
    """Made up: part of the shared schema that no order has."""

    NAMESPACE = "urn:shared"

    remark: int = element("Remark", UNSIGNED_INT)


@declare("Order")
class Order(Base):
    """Made up."""

    NAMESPACE = "urn:order"

    key: bytes = element("Key", Binary(8, least=4))
    cash: int | None = element("Cash", Integer(0, 7), choice="payment", least=0, default=None)
    card: str | None = element("Card", STRING, choice="payment", least=0, default=None)
    mode: Mode | None = element("Mode", default=None)
    tail: tuple[int, ...] = element("Tail", Integer(0, 1), least=0, most=2, default=())


CODEC: Codec[Order] = Codec(
    "order", "urn:order", roots=(Order,), others={"urn:shared": ["Other"]}, unreached=(Aside,)
)


@pytest.mark.parametrize(
    "order",
    [
        Order(number=1, key=b"1234"),
        Order(number=2**32 - 1, key=b"12345678", cash=7),
        Order(number=127, key=b"12345", mode=Timed(seconds=300), tail=(1,)),
        Order(number=4, key=b"12345", card="visa", mode=Timed(seconds=0)),
        Order(number=16384, key=b"12345", cash=0, tail=(0, 1)),
        Order(number=128, key=b"12345", tail=(0, 1)),
    ],
)
def test_round_trip(order: Order) -> None:
    payload = CODEC._compiled.encode(order)
    assert payload == Encoder(CODEC.grammar).encode(order)
    assert CODEC._compiled.decode(payload) == (order, 0)
    assert Decoder(CODEC.grammar, payload).decode() == (order, 0)
    assert CODEC.from_json(CODEC.to_json(order)) == order


def test_members_of_another_schema_set_do_not_count() -> None:
    assert CODEC.grammar.elements == ["Mode", "Order", "Other", "Timed"]
    with pytest.raises(ExiError):
        CODEC.encode(Order(number=1, key=b"1234", mode=Elsewhere()))


def test_elements_keep_the_namespace_of_the_class_that_declares_them() -> None:
    assert [(name, namespace) for name, namespace, _ in CODEC.grammar.fragments] == [
        ("Card", "urn:order"),
        ("Cash", "urn:order"),
        ("Key", "urn:order"),
        ("Mode", "urn:shared"),
        ("Number", "urn:shared"),
        ("Order", "urn:order"),
        ("Other", "urn:shared"),
        ("Remark", "urn:shared"),
        ("Seconds", "urn:order"),
        ("Tail", "urn:order"),
        ("Timed", "urn:order"),
    ]


@pytest.mark.parametrize(
    ("order", "path", "reason"),
    [
        (Order(number=0, key=b"1234"), "Order.Number", "0 is not in 1..4294967295"),
        (Order(number=1, key=b"123"), "Order.Key", "3 bytes, at least 4 are allowed"),
        (
            Order(number=1, key=b"1234", cash=1, card="x"),
            "Order.Card",
            "one too many here",
        ),
    ],
)
def test_refusals(order: Order, path: str, reason: str) -> None:
    with pytest.raises(ExiError) as raised:
        CODEC.encode(order)
    assert (raised.value.path, raised.value.reason) == (path, reason)


def test_binaries_that_are_too_short_are_decoded() -> None:
    order = Order(number=1, key=b"1")
    assert CODEC.decode(CODEC.encode(order, strict=False)) == order


def test_numbers_below_a_bound_are_refused() -> None:
    payload = bytearray(CODEC.encode(Order(number=1, key=b"1234")))
    assert payload[1] == 0b001_0_0_000  # root, Number, its value, and the value's first bits
    payload[2] ^= 0b00001_000
    with pytest.raises(ExiError, match="0 is not in 1"):
        CODEC.decode(bytes(payload))


def test_keys_of_the_json_view_stand_in_document_order() -> None:
    codec = xmldsig.CODEC
    views: list[tuple[dict[str, object], tuple[str, ...] | None]] = [
        ({"X509SKI": ["AAAA"], "X509CRL": ["AAAA", "AAAB"]}, None),
        ({"X509CRL": ["AAAA", "AAAB"], "X509SKI": ["AAAA"]}, ("X509CRL", "X509CRL", "X509SKI")),
    ]
    for content, order in views:
        data = codec.from_json({"X509Data": content})
        assert isinstance(data, xmldsig.X509Data)
        assert data.order == order
        shown = codec.to_json(data)["X509Data"]
        assert isinstance(shown, dict)
        assert list(shown) == list(content)


def test_an_order_that_the_schema_does_not_allow_is_not_kept() -> None:
    method = xmldsig.CODEC.from_json({"SignatureMethod": {"HMACOutputLength": 1, "Algorithm": "a"}})
    assert method == xmldsig.SignatureMethod(algorithm="a", hmac_output_length=1)
