"""What all schematics share: values from parts.toml, and small pieces of circuit."""

from __future__ import annotations

import itertools
from typing import Any

import schemdraw
import schemdraw.elements as elm

from hw_docs.parts import everything

FONT = 11
Point = tuple[float, float]


def value(name: str, *, flat: bool = False) -> str:
    """Name and value (or type) of a part, on two lines or one."""
    part = everything()[name]
    return f"{name}{' ' if flat else chr(10)}{part.text}"


def new() -> Any:  # noqa: ANN401 - schemdraw has no types
    """Return an empty drawing."""
    schemdraw.use("svg")
    drawing = schemdraw.Drawing(show=False)
    drawing.config(unit=2.5, fontsize=FONT, bgcolor="white", margin=0.3)
    return drawing


class Sheet:
    """A drawing with the verbs that the schematics use; coordinates in units of the drawing."""

    def __init__(self) -> None:
        self.d = new()

    def wire(self, *points: Point) -> None:
        """Draw a line through these points."""
        for start, end in itertools.pairwise(points):
            self.d.add(elm.Line().at(start).to(end))

    def dot(self, at: Point) -> None:
        """Mark a junction."""
        self.d.add(elm.Dot().at(at))

    def tag(self, at: Point, text: str, where: str = "right") -> None:
        """Name a node, at the end of a short wire."""
        self.d.add(elm.Dot(open=True).right().at(at).label(text, loc=where))

    def text(self, at: Point, text: str, size: float = FONT) -> None:
        """Write a remark."""
        self.d.add(elm.Label().right().at(at).label(text, fontsize=size))

    def ground(self, at: Point) -> None:
        """Draw the ground symbol (0 V, PE)."""
        self.d.add(elm.Ground().right().at(at))

    def supply(self, at: Point, text: str) -> None:
        """Draw a supply."""
        self.d.add(elm.Vdd().right().at(at).label(text))

    def part(self, kind: Any, name: str, start: Point, end: Point, where: str = "top") -> None:  # noqa: ANN401
        """Draw a two-pole with its value."""
        self.d.add(kind().at(start).to(end).label(value(name), loc=where, fontsize=FONT - 1))

    def resistor(self, name: str, start: Point, end: Point, where: str = "top") -> None:
        """Draw a resistor."""
        self.part(elm.ResistorIEC, name, start, end, where)

    def capacitor(self, name: str, start: Point, end: Point, where: str = "top") -> None:
        """Draw a capacitor."""
        self.part(elm.Capacitor, name, start, end, where)

    def diode(self, start: Point, end: Point, text: str = "", where: str = "top") -> None:
        """Draw a diode from anode to cathode."""
        element = elm.Schottky().at(start).to(end)
        self.d.add(element.label(text, loc=where, fontsize=FONT - 1) if text else element)

    def comparator(self, out: Point, text: str) -> tuple[Point, Point]:
        """Draw a comparator or op-amp by its output; returns where its + and - inputs are."""
        amp = self.d.add(elm.Opamp(leads=True).right().anchor("out").at(out))
        self.text((out[0] - 1.9, out[1]), text, FONT - 2)
        return tuple(amp.in2), tuple(amp.in1)

    def box(self, corner: Point, size: Point, text: str) -> None:
        """Draw a named block; `corner` is the lower left one."""
        (x, y), (width, height) = corner, size
        self.wire((x, y), (x + width, y), (x + width, y + height), (x, y + height), (x, y))
        self.text((x + width / 2, y + height / 2), text, FONT - 1)

    def svg(self) -> str:
        """Return the drawing as text."""
        data: bytes = self.d.get_imagedata("svg")
        return data.decode("utf-8").rstrip("\n") + "\n"
