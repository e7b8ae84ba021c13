"""Properties of the HomePlug wire: any bytes, any values."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from controller.errors import WireError
from controller.plc import layout, wire
from controller.plc.layout import REGISTRY, Mme, Record

MACS = st.binary(min_size=6, max_size=6)
LAYOUTS = [(variant, cls) for rows in REGISTRY.values() for variant, cls in rows]


def values_of(item: layout.Item) -> st.SearchStrategy[Any]:
    """Draw a value that the field can hold."""
    match item:
        case layout._Uint(width=width):
            return st.integers(0, (1 << 8 * width) - 1)
        case layout._Raw(width=width):
            return st.binary(min_size=width, max_size=width)
        case layout._Text(width=width):
            return st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=width)
        case layout._Sized():
            return st.binary(max_size=200)
        case layout._Nibbles():
            return st.lists(st.integers(0, 15), max_size=200).map(bytes)
        case layout._Records(record=record):
            return st.lists(objects(record), max_size=3).map(tuple)
    raise AssertionError(item)


def objects(cls: type[Record], **fixed: int) -> st.SearchStrategy[Record]:
    """Draw an object of a layout."""
    fields = {
        name: st.just(fixed[name]) if name in fixed else values_of(item)
        for name, item in cls.ITEMS
        if not isinstance(item, layout._Count)
    }
    return st.builds(cls, **fields)


@st.composite
def mmes(draw: st.DrawFn) -> Mme:
    variant, cls = draw(st.sampled_from(LAYOUTS))
    fixed = {}
    if variant is not None:
        name = "direction" if "direction" in dict(cls.ITEMS) else "operation"
        fixed[name] = variant.value
    made = draw(objects(cls, **fixed))
    assert isinstance(made, Mme)
    return made


@given(MACS, MACS, mmes())
def test_what_is_built_is_parsed_again(dst: bytes, src: bytes, mme: Mme) -> None:
    frame = wire.build(dst, src, mme)
    parsed = wire.parse(frame)
    assert parsed == wire.Frame(dst, src, mme.MMV, mme)
    assert wire.build(parsed.dst, parsed.src, parsed.mme, parsed.mmv) == frame
    assert all(isinstance(v, str | int) for v in wire.describe(mme).values())


def why_refused(frame: bytes) -> str:
    """Parse; any error but WireError is a failure of the test."""
    try:
        wire.parse(frame)
    except WireError as e:
        return str(e)
    return ""


@given(st.binary(max_size=120))
def test_any_bytes_parse_or_raise_wire_error(data: bytes) -> None:
    assert "\n" not in why_refused(data)


@given(
    st.sampled_from(sorted({key[2] for key in REGISTRY})),
    st.integers(0, 3),
    st.booleans(),
    st.binary(min_size=43, max_size=400),  # a shorter frame is padded when built again
)
def test_any_body_of_a_known_type(mmtype: int, mmv: int, vendor: bool, body: bytes) -> None:
    head = bytes(12) + b"\x88\xe1" + bytes([mmv]) + mmtype.to_bytes(2, "little")
    head += b"\0\0" if mmv else b""
    head += wire.OUI if vendor else b""
    try:
        parsed = wire.parse(head + body)
    except WireError:
        return
    wire.describe(parsed.mme)
    again = wire.build(parsed.dst, parsed.src, parsed.mme, parsed.mmv)
    assert wire.parse(again) == parsed


@given(mmes(), st.data())
def test_a_frame_cut_anywhere(mme: Mme, data: st.DataObject) -> None:
    frame = wire.build(bytes(6), bytes(6), mme)
    cut = data.draw(st.integers(0, len(frame)))
    why = why_refused(frame[:cut])
    assert not why or "offset" in why
