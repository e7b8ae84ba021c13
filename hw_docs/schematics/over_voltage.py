"""Over-voltage: divider, isolated comparator, filter, latch into Q1."""

from hw_docs.schematics.draw import Sheet, value


def draw() -> str:
    """Return the SVG."""
    s = Sheet()
    s.tag((0, 0), "DC+", "left")
    s.resistor("R50", (0, 0), (2.8, 0))
    s.wire((2.8, 0), (4.6, 0))
    s.dot((3.4, 0))
    s.d.add(_lower(s))
    s.ground((3.4, -2.6))
    s.text((3.4, -3.9), "DC-")
    s.box((4.6, -1.2), (3.4, 2.4), value("U40") + "\nisolated")
    s.resistor("R52", (6.3, -1.2), (6.3, -3.7), "bottom")
    s.ground((6.3, -3.7))
    s.wire((8, 0), (8.6, 0))
    s.dot((8.3, 0))
    s.resistor("R54", (8.3, 0), (8.3, 2.5), "bottom")
    s.supply((8.3, 2.5), "5 V")
    s.resistor("R53", (8.6, 0), (11.1, 0))
    s.wire((11.1, 0), (12.8, 0))
    s.dot((11.6, 0))
    s.capacitor("C50", (11.6, 0), (11.6, -2.5), "bottom")
    s.ground((11.6, -2.5))
    s.box(
        (12.8, -1.2),
        (3.6, 2.4),
        value("U30") + "\nlatch; cleared when\nthe watchdog's\nstore is empty",
    )
    s.wire((16.4, 0), (17.4, 0))
    s.tag((17.4, 0), "keeps Q1 off", "right")
    return s.svg()


def _lower(s: Sheet) -> object:
    import schemdraw.elements as elm

    resistor = elm.ResistorIEC().at((3.4, 0)).to((3.4, -2.6))
    return resistor.label("R51\nby site", loc="bottom", fontsize=10)
