"""The usual shapes of small objects: optional fields all there or all absent, integers of a length.

An object of one shape is a row of bits of known width in which only the fields vary. A reader can
therefore take it in one step, tell by one mask whether it is of that shape, and recognise bits that
it has seen before: physical values, states and the like recur from message to message.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from controller.v2g.exi.grammar import ComplexType, Event, Slot, State
from controller.v2g.exi.schema import Binary, Integer, Text
from controller.v2g.exi.source import (
    Simple,
    Step,
    UnsupportedError,
    is_signed,
    limit_of,
    steps_of,
    width_of,
)

WIDEST = 60  # bits; the integers stay small
OCTETS_SIGNED = (2, 1, 3)  # of a varint, in the order in which they are tried: a physical value
OCTETS_UNSIGNED = (1, 2, 3)  # is seldom below 128, a delay seldom above


@dataclass
class Shape:
    """A row of bits: `parts` are width and either the constant or None."""

    parts: list[tuple[int, int | None]] = field(default_factory=list)
    fields: list[tuple[Slot, Simple, int]] = field(default_factory=list)  # with index of the part
    absent: list[Slot] = field(default_factory=list)

    @property
    def width(self) -> int:
        """Width of the whole object."""
        return sum(width for width, _ in self.parts)

    def offset(self, index: int) -> int:
        """Bits that follow a part."""
        return sum(width for width, _ in self.parts[index + 1 :])

    @property
    def mask_and_value(self) -> tuple[int, int]:
        """Where the constants are, and what they are."""
        mask = value = 0
        for width, constant in self.parts:
            mask = mask << width | ((1 << width) - 1 if constant is not None else 0)
            value = value << width | (constant or 0)
        return mask, value


def shapes_of(type_: ComplexType) -> Iterator[Shape]:
    """Return the usual shapes of a small type, the most usual first; none of other types."""
    try:
        steps = [step for step, _ in steps_of(type_)]
        varints = [step for step in steps if width_of(_type_of(step)) is None]
        if len(varints) > 1 or not all(_is_simple(step) for step in steps):
            return
    except UnsupportedError:
        return
    seen: list[list[tuple[int, int | None]]] = []
    for is_full in (True, False):
        for signed, unsigned in zip(OCTETS_SIGNED, OCTETS_UNSIGNED, strict=True):
            shape = _shape(type_, steps, is_full=is_full, octets=(unsigned, signed))
            if shape.width <= WIDEST and shape.parts not in seen:
                seen.append(shape.parts)
                yield shape


def _type_of(step: Step) -> Simple:
    """Return the simple type of a step; raises UnsupportedError if it has another."""
    value_type = step.choices[0][1]
    if isinstance(value_type, ComplexType):
        raise UnsupportedError
    return value_type


def _is_simple(step: Step) -> bool:
    return (
        step.most == 1
        and len(step.choices) == 1
        and step.slot.kind == "element"
        and not isinstance(_type_of(step), Text | Binary)
    )


def _shape(
    type_: ComplexType, steps: list[Step], *, is_full: bool, octets: tuple[int, int]
) -> Shape:
    shape, state = Shape(), type_.start
    for step in steps:
        if not (step.least or is_full):
            shape.absent.append(step.slot)
            continue
        event = _add_event(shape, state, step.slot)
        shape.parts.append((1, 0))
        value_type = _type_of(step)
        shape.fields.append((step.slot, value_type, len(shape.parts)))
        width = width_of(value_type)
        if width is not None:
            shape.parts.append((width, None))
        else:
            signed = is_signed(value_type)
            shape.parts += [(1, None)] * signed + _varint(octets[signed])
        shape.parts.append((1, 0))
        assert event.after is not None
        state = event.after
    _add_event(shape, state, None)
    return shape


def _add_event(shape: Shape, state: State, slot: Slot | None) -> Event:
    code, event = next((c, e) for c, e in enumerate(state.events) if e.slot is slot)
    shape.parts.append((state.bits, code))
    return event


def _varint(octets: int) -> list[tuple[int, int | None]]:
    more: list[tuple[int, int | None]] = [(1, 1), (7, None)]
    return more * (octets - 1) + [(1, 0), (7, None)]


def varint_expression(shape: Shape, index: int) -> str:
    """Return the value of a varint whose first octet starts at a part."""
    terms: list[str] = []
    while True:
        left = shape.offset(index + 1) - 7 * len(terms)
        moved = f"w >> {left}" if left > 0 else f"w << {-left}" if left else "w"
        terms.append(f"{moved} & {127 << 7 * len(terms):#x}")
        if shape.parts[index][1] == 0:
            return " | ".join(terms)
        index += 2


def may_exceed(type_: Simple, shape: Shape, index: int) -> bool:
    """Whether so many octets can say more than the type allows."""
    bits = 7
    while shape.parts[index][1]:
        index, bits = index + 2, bits + 7
    return (1 << bits) - 1 > limit_of(type_)


def is_fixed(type_: Simple) -> bool:
    """Whether it is one part."""
    return not isinstance(type_, Integer) or type_.bits is not None
