"""The pilot front end: generator, line, divider, gated peak holds."""

from hw_docs.schematics.draw import Point, Sheet, value


def draw() -> str:
    """Return the SVG."""
    s = Sheet()
    _generator(s)
    _divider(s)
    for y, resistor, hold, out, capacitor, name in (
        (1.6, "R6", "C4", "R8", "C6", "cp_high"),
        (-3.4, "R7", "C5", "R9", "C7", "cp_low"),
    ):
        _hold(s, y, (resistor, hold, out, capacitor), name)
    _gates(s)
    return s.svg()


def _generator(s: Sheet) -> None:
    s.tag((0, 0), "pilot_pwm\nGPIO 18", "left")
    s.wire((0, 0), (0.6, 0))
    s.box((0.6, -0.9), (2.6, 1.8), value("U1") + "\n±12 V")
    s.wire((3.2, 0), (3.6, 0))
    s.resistor("R1", (3.6, 0), (6.1, 0))
    s.wire((6.1, 0), (11, 0))
    s.dot((6.8, 0))
    s.wire((6.8, 0), (6.8, 1.6))
    s.tag((6.8, 1.6), "CP to the socket", "top")
    s.diode((6.8, -2.5), (6.8, 0), value("D1"), "bottom")
    s.ground((6.8, -2.5))
    s.dot((9.2, 0))
    s.capacitor("C2", (9.2, 0), (9.2, -1.8), "bottom")
    s.resistor("R2", (9.2, -1.8), (9.2, -3.9), "bottom")
    s.ground((9.2, -3.9))
    s.text((9.4, -5.1), "powerline modem's\ntransformer in series")


def _divider(s: Sheet) -> None:
    s.resistor("R3", (11, 0), (13.5, 0))
    s.wire((13.5, 0), (16.8, 0))
    s.dot((14, 0))
    s.resistor("R4", (14, 0), (14, 2.5), "bottom")
    s.supply((14, 2.5), value("U7", flat=True))
    s.dot((14, 0))
    s.resistor("R5", (14, 0), (14, -2.5), "bottom")
    s.ground((14, -2.5))
    s.dot((16, 0))
    s.capacitor("C3", (16, 0), (16, -2.5), "bottom")
    s.ground((16, -2.5))
    s.box((16.8, -0.6), (1.6, 1.2), "U2A")
    s.wire((18.4, 0), (19.2, 0))
    s.wire((19.2, 1.6), (19.2, -3.4))
    s.dot((19.2, 0))


def _hold(s: Sheet, y: float, parts: tuple[str, str, str, str], name: str) -> None:
    resistor, hold, out, capacitor = parts
    s.resistor(resistor, (19.2, y), (21.7, y))
    s.box((21.7, y - 0.6), (1.9, 1.2), "U3 gate")
    s.wire((23.6, y), (25.8, y))
    s.dot((24.6, y))
    s.capacitor(hold, (24.6, y), (24.6, y - 2.2), "bottom")
    s.ground((24.6, y - 2.2))
    s.box((25.8, y - 0.6), (1.6, 1.2), "U2B" if name == "cp_high" else "U2C")
    s.resistor(out, (27.4, y), (29.9, y))
    s.dot((30.4, y))
    s.wire((29.9, y), (31.4, y))
    s.capacitor(capacitor, (30.4, y), (30.4, y - 2.2), "bottom")
    s.ground((30.4, y - 2.2))
    s.tag((31.4, y), f"ADC {name}\n(D2 clamps)", "right")


def _gates(s: Sheet) -> None:
    at: Point = (0.6, -8.2)
    s.box(
        at, (5.4, 1.8), value("R10", flat=True) + ", " + value("C8", flat=True) + "\ndelay the PWM"
    )
    s.box((8, -7.4), (6.4, 1.2), value("U4", flat=True) + ": PWM and delayed PWM")
    s.box((8, -9.2), (6.4, 1.2), value("U5", flat=True) + ": neither of them")
    s.box((8, -11.0), (6.4, 1.2), value("U6", flat=True) + ": no edge for 2.2 ms")
    s.wire((6, -7.3), (7, -7.3))
    s.wire((7, -6.8), (7, -10.4))
    for y in (-6.8, -8.6, -10.4):
        s.wire((7, y), (8, y))
        s.wire((14.4, y), (15.4, y))
    s.dot((7, -7.3))
    s.tag((15.4, -6.8), "gate of the high phase", "right")
    s.tag((15.4, -8.6), "gate of the low phase", "right")
    s.tag((15.4, -10.4), "both gates on (second pair of U3 in parallel)", "right")
