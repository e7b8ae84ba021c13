"""Grammars: event codes and widths, of the real declarations and of made-up ones."""

import pytest

from controller.errors import ExiError
from controller.v2g.exi.codec import Codec
from controller.v2g.exi.compile import FAILURES
from controller.v2g.exi.grammar import State
from controller.v2g.exi.schema import (
    ANY,
    STRING,
    UNBOUNDED,
    Declared,
    ExiEnum,
    Integer,
    attribute,
    choice,
    declare,
    element,
    sequence,
)
from controller.v2g.exi.walk import Decoder
from controller.v2g.exi.walk_back import Encoder
from controller.v2g.messages import din, sap, xmldsig


def _names(state: State) -> list[str]:
    return [event.name for event in state.events]


def test_root_codes() -> None:
    """DIN has 57 global elements and 24 of XML signatures; its message has code 77."""
    grammar = din.CODEC.grammar
    assert len(grammar.elements) == 81
    assert grammar.elements.index("V2G_Message") == 77
    assert grammar.root_bits == 7
    assert len(xmldsig.ELEMENTS) == 24
    assert sorted(xmldsig.ELEMENTS) == list(xmldsig.ELEMENTS)
    assert (sap.CODEC.grammar.elements, sap.CODEC.grammar.root_bits) == (
        ["supportedAppProtocolReq", "supportedAppProtocolRes"],
        2,
    )


def test_body_has_the_head_and_34_messages_by_name() -> None:
    (body,) = (s for s in din.CODEC.grammar.type_of(din.Message).slots if s.name == "Body")
    inner = body.options[0][1]
    state = inner.start  # type: ignore[union-attr]
    names = _names(state)
    assert len(names) == 36
    assert names[:-1] == sorted(names[:-1])
    assert names[0] == "BodyElement"
    assert names[-1] == ""
    assert state.bits == 6


def test_optional_elements_widen_the_code() -> None:
    state: State | None = din.CODEC.grammar.type_of(din.CurrentDemandReq).start
    seen = []
    while state is not None:
        seen.append((len(state.events), state.bits))
        state = state.events[0].after
    assert seen == [
        (1, 1), (1, 1), (5, 3), (4, 3), (3, 2), (2, 2), (1, 1), (3, 2), (2, 2), (1, 1), (1, 1),
    ]  # fmt: skip


def test_wildcards_and_text_widen_the_code() -> None:
    grammar = din.CODEC.grammar
    start = grammar.type_of(xmldsig.Transform).start
    assert _names(start) == ["Algorithm"]
    inside = start.events[0].after
    assert inside is not None
    assert _names(inside) == ["XPath", "any element", "", "text between elements"]
    assert inside.bits == 3


class Colour(ExiEnum):
    """Made up."""

    Red = "red"
    Green = "green"
    Blue = "blue"


@declare("Shape", head=True, abstract=True)
class Shape(Declared):
    """Made up: head of a group."""


@declare("Circle", head=True)
class Circle(Shape):
    """Made up: member and itself a head."""

    radius: int = element("radius", Integer(1, 255))


@declare("Arc")
class Arc(Circle):
    """Made up: member two levels deep."""

    angle: int = element("angle", Integer(-3, 3))


@declare("Drawing")
class Drawing(Declared):
    """Made up: what ISO 15118 has and DIN 70121 has not."""

    b: str | None = attribute("b", STRING, default=None)
    a: Colour | None = attribute("a", default=None)
    points: tuple[int, ...] = element("point", Integer(12, 1024), least=1, most=3)
    shape: Shape | None = element("Shape", default=None)
    left: bool | None = element("left", Integer(0, 1), choice="side", default=None)
    right: Colour | None = element("right", choice="side", default=None)
    notes: tuple[str, ...] = element("note", STRING, least=0, most=UNBOUNDED, default=())


DRAWING: Codec[Drawing] = Codec("toy", "urn:toy", roots=(Drawing,))


def _drawing(**changes: object) -> Drawing:
    values: dict[str, object] = {"points": (12,), "right": Colour.Blue} | changes
    return Drawing(**values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "drawing",
    [
        _drawing(),
        _drawing(points=(12, 13, 1024)),
        _drawing(a=Colour.Green, b="x"),
        _drawing(b="y", shape=Circle(radius=1)),
        _drawing(a=Colour.Red, shape=Arc(radius=255, angle=-3), notes=("p", "q")),
        _drawing(points=(500, 501), right=None, left=1, notes=("only",)),
    ],
)
def test_made_up_declarations_round_trip(drawing: Drawing) -> None:
    payload = DRAWING.encode(drawing)
    assert payload == Encoder(DRAWING.grammar).encode(drawing)
    assert DRAWING.decode_counting(payload) == (drawing, 0)
    assert Decoder(DRAWING.grammar, payload).decode() == (drawing, 0)
    assert DRAWING.from_json(DRAWING.to_json(drawing)) == drawing


def test_bits_of_a_list_at_its_maximum() -> None:
    """After the last permitted item its code is gone: three events, not four."""
    grammar = DRAWING.grammar
    assert grammar.elements == ["Arc", "Circle", "Drawing", "Shape"]
    state = grammar.type_of(Drawing).start
    assert _names(state) == ["a", "b", "point"]
    state = state.events[2].after or state
    assert _names(state) == ["point", "Arc", "Circle", "Shape", "left", "right"]
    state = state.events[0].after or state
    state = state.events[0].after or state
    assert _names(state) == ["Arc", "Circle", "Shape", "left", "right"]
    bits = (
        "10000000" "010"  # header, root
        "10" "0" "0000000000" "0"  # point: code, value 12 in 10 bits
        "000" "0" "0000000001" "0"  # point
        "000" "0" "0000000010" "0"  # point
        "100" "0" "10" "0"  # right, blue
        "01"  # end, after note
    )  # fmt: skip
    padded = bits + "0" * (-len(bits) % 8)
    expected = int(padded, 2).to_bytes(len(padded) // 8, "big")
    assert DRAWING.encode(_drawing(points=(12, 13, 14))) == expected


@pytest.mark.parametrize(
    ("changes", "path", "reason"),
    [
        ({"points": ()}, "Drawing.point", "missing"),
        ({"points": (12, 13, 14, 15)}, "Drawing.point", "one too many here"),
        ({"points": (12, 11)}, "Drawing.point[1]", "11 is not in 12..1024"),
        ({"points": [12]}, "Drawing.point", "no tuple of at most 2048 items"),
        ({"right": None}, "Drawing.left", "missing"),
        ({"left": 0}, "Drawing.right", "one too many here"),
        ({"shape": Shape()}, "Drawing.Shape", "Shape is abstract: give one of its subclasses"),
        ({"shape": Arc(radius=0, angle=0)}, "Drawing.Arc.radius", "0 is not in 1..255"),
        ({"a": "red"}, "Drawing.a", "'red' is no Colour"),
        ({"notes": ("x",) * 2049}, "Drawing.note", "no tuple of at most 2048 items"),
    ],
)
def test_refusals_name_the_field(changes: dict[str, object], path: str, reason: str) -> None:
    with pytest.raises(ExiError) as raised:
        DRAWING.encode(_drawing(**changes))
    assert (raised.value.path, raised.value.reason) == (path, reason)


@declare("Box", content=sequence(choice("x", "y", ANY, least=0, most=UNBOUNDED)), mixed=True)
class Box(Declared):
    """Made up: a repeated choice with a wildcard and text between."""

    x: tuple[int, ...] = element("x", Integer(0, 7), default=())
    y: tuple[int, ...] = element("y", Integer(0, 7), default=())


def test_repeated_choice_goes_by_reference() -> None:
    codec: Codec[Box] = Codec("box", "urn:box", roots=(Box,))
    box = Box(x=(1, 2), y=(3,))
    payload = codec.encode(box)
    assert codec.decode(payload) == box
    with pytest.raises(FAILURES):
        codec._compiled.decode(payload)
    for code in ("010", "100"):
        wrong = int(("100000000" + code).ljust(16, "0"), 2).to_bytes(2, "big")
        with pytest.raises(ExiError, match="is not supported"):
            codec.decode(wrong)


@declare("Pairs")
class Pairs(Declared):
    """Made up: two to four items."""

    items: tuple[int, ...] = element("item", Integer(0, 7), least=2, most=4)


@declare("Shapes")
class Shapes(Declared):
    """Made up: a list of a substitution group."""

    shapes: tuple[Shape, ...] = element("Shape", most=3)


@declare("Count")
class Count(Declared):
    """Made up: a varint whose lower bound is not 0."""

    count: int = element("count", Integer(5, None))


@declare("Maybe", content=choice("one", "two", least=0))
class Maybe(Declared):
    """Made up: a choice that may be left out."""

    one: int | None = element("one", Integer(0, 7), default=None)
    two: int | None = element("two", Integer(0, 7), default=None)


UNUSUAL: list[Declared] = [
    Pairs(items=(1, 2)),
    Pairs(items=(1, 2, 3, 4)),
    Shapes(shapes=(Arc(radius=8, angle=1), Circle(radius=7), Circle(radius=9))),
    Count(count=2**70),
]


@pytest.mark.parametrize("value", [Count(count=5), Maybe(), Maybe(two=2)])
def test_shapes_that_the_generated_code_knows(value: Declared) -> None:
    codec: Codec[Declared] = Codec("unusual", "", roots=(type(value),))
    payload = codec._compiled.encode(value)
    assert payload == Encoder(codec.grammar).encode(value)
    assert codec._compiled.decode(payload) == (value, 0)


@pytest.mark.parametrize("value", UNUSUAL)
def test_shapes_that_only_the_reference_knows(value: Declared) -> None:
    codec: Codec[Declared] = Codec("unusual", "urn:unusual", roots=(type(value),))
    payload = codec.encode(value)
    assert codec.decode_counting(payload) == (value, 0)
    assert codec.from_json(codec.to_json(value)) == value
    with pytest.raises(FAILURES):
        codec._compiled.decode(payload)
    with pytest.raises(FAILURES):
        codec._compiled.encode(value)


def test_odd_bounds_are_kept() -> None:
    codec: Codec[Count] = Codec("count", "urn:count", roots=(Count,))
    with pytest.raises(ExiError, match=r"4 is not in 5\.\.None"):
        codec.encode(Count(count=4))
    pairs: Codec[Pairs] = Codec("pairs", "urn:pairs", roots=(Pairs,))
    with pytest.raises(ExiError, match=r"Pairs\.item: missing"):
        pairs.encode(Pairs(items=(1,)))
