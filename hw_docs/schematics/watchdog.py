"""The watchdog: GPIO, charge pump, store, comparator with hysteresis, driver of Q1."""

from schemdraw import logic

from hw_docs.schematics.draw import FONT, Sheet, value


def draw() -> str:
    """Return the SVG."""
    s = Sheet()
    s.tag((0, 0), "watchdog\nGPIO 4", "left")
    s.wire((0, 0), (2, 0))
    s.dot((1, 0))
    s.resistor("R16", (1, 0), (1, -2.5), "bottom")
    s.ground((1, -2.5))
    s.d.add(logic.Not().at((2, 0)).right().label(value("U10"), loc="bottom", fontsize=FONT - 2))
    s.wire((4.2, 0), (5, 0), (5, 1.5), (8.2, 1.5))
    s.dot((5, 0))
    s.wire((5, 0), (5, -1.5), (5.4, -1.5))
    s.d.add(logic.Not().at((5.4, -1.5)).right())
    s.wire((7.6, -1.5), (8.2, -1.5))
    _pumps(s)
    _comparator(s)
    s.text((13, -5.6), "An edge of either direction lifts the store; without edges it runs empty.")
    return s.svg()


def _pumps(s: Sheet) -> None:
    for y, capacitor, diodes in ((1.5, "C10", "D10"), (-1.5, "C11", "D11")):
        s.capacitor(capacitor, (8.2, y), (10.2, y), "top")
        s.dot((10.2, y))
        s.diode((10.2, y - 2), (10.2, y))
        s.ground((10.2, y - 2))
        s.diode((10.2, y), (12.7, y), value(diodes, flat=True), "top")
    s.wire((12.7, 1.5), (12.7, -1.5))
    s.dot((12.7, 0))
    s.wire((12.7, 0), (19.5, 0))
    s.text((13.6, 0.3), "store")
    s.dot((14.5, 0))
    s.capacitor("C12", (14.5, 0), (14.5, -2.5), "bottom")
    s.ground((14.5, -2.5))
    s.dot((17, 0))
    s.resistor("R11", (17, 0), (17, -2.5), "bottom")
    s.ground((17, -2.5))


def _comparator(s: Sheet) -> None:
    plus, minus = s.comparator((24, -0.65), "U11A")
    s.wire((19.5, 0), (19.5, minus[1]), minus)
    y = -4.0
    s.wire(plus, (plus[0], y))
    s.dot((plus[0], y))
    s.resistor("R12", (plus[0] - 2.8, y), (plus[0], y))
    s.supply((plus[0] - 2.8, y), "5 V")
    s.resistor("R13", (plus[0], y), (plus[0], y - 2.5), "bottom")
    s.ground((plus[0], y - 2.5))
    s.resistor("R14", (plus[0], y), (24.5, y))
    s.wire((24.5, y), (24.5, -0.65))
    s.wire((24, -0.65), (26.5, -0.65))
    s.dot((24.5, -0.65))
    s.resistor("R15", (24.5, -0.65), (24.5, 1.9), "bottom")
    s.supply((24.5, 1.9), "5 V")
    s.box((26.5, -1.4), (2.6, 1.5), "U11B\ndriver")
    s.wire((29.1, -0.65), (29.4, -0.65))
    s.resistor("R41", (29.4, -0.65), (31.9, -0.65))
    s.wire((31.9, -0.65), (32.4, -0.65))
    s.tag((32.4, -0.65), "gate of Q1,\nlow: chain on", "right")
