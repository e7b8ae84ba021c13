"""The CP-loss part: own divider and thresholds, comparators A to F, driver of Q2."""

from hw_docs.schematics.draw import Sheet

X_OUT = 13.0


def draw() -> str:
    """Return the SVG."""
    s = Sheet()
    _divider(s)
    _thresholds(s)
    _windows(s)
    _decision(s)
    return s.svg()


def _divider(s: Sheet) -> None:
    s.tag((0, 0), "CP", "left")
    s.resistor("R20", (0, 0), (2.5, 0))
    s.wire((2.5, 0), (6.4, 0))
    s.dot((3.2, 0))
    s.resistor("R21", (3.2, 0), (3.2, 2.5), "bottom")
    s.supply((3.2, 2.5), "3.3 V")
    s.dot((3.2, 0))
    s.resistor("R22", (3.2, 0), (3.2, -2.5), "bottom")
    s.ground((3.2, -2.5))
    s.dot((5.4, 0))
    s.capacitor("C20", (5.4, 0), (5.4, -2.5), "bottom")
    s.ground((5.4, -2.5))
    s.tag((6.4, 0), "cp", "right")


def _thresholds(s: Sheet) -> None:
    s.supply((3.2, -4.2), "3.3 V")
    y = -4.2
    for name, node in (("R23", "7.5 V"), ("R24", "1.6 V"), ("R25", "-8 V"), ("R26", "")):
        s.resistor(name, (3.2, y), (3.2, y - 2.2), "bottom")
        y -= 2.2
        if node:
            s.dot((3.2, y))
            s.wire((3.2, y), (2.2, y))
            s.tag((2.2, y), node, "left")
    s.ground((3.2, y))


def _windows(s: Sheet) -> None:
    rows = (
        (4.0, "U20A", "cp", "-8 V", ("R27", "C21"), "no low phase"),
        (-2.6, "U20B", "1.6 V", "cp", ("R28", "C22"), "no high phase"),
        (-7.2, "U20C", "7.5 V", "cp", None, "too high"),
    )
    for y, name, plus_text, minus_text, timing, meaning in rows:
        plus, minus = s.comparator((X_OUT, y), name)
        s.tag(plus, plus_text, "left")
        s.tag(minus, minus_text, "left")
        s.wire((X_OUT, y), (X_OUT + 2, y))
        if timing is None:
            s.wire((X_OUT + 2, y), (26.2, y))
            s.text((X_OUT + 2, y + 0.4), meaning)
            continue
        resistor, capacitor = timing
        s.dot((X_OUT + 0.8, y))
        s.resistor(resistor, (X_OUT + 0.8, y), (X_OUT + 0.8, y + 2.2), "bottom")
        s.supply((X_OUT + 0.8, y + 2.2), "5 V")
        s.dot((X_OUT + 0.8, y))
        s.capacitor(capacitor, (X_OUT + 0.8, y), (X_OUT + 0.8, y - 1.8), "bottom")
        s.ground((X_OUT + 0.8, y - 1.8))
        s.tag((X_OUT + 2, y), meaning, "top")
        # second rank: for too long
        out = 22.0
        second = "U20D" if name == "U20A" else "U21E"
        plus2, minus2 = s.comparator((out, y), second)
        s.wire((X_OUT + 2, y), (minus2[0] - 0.8, y), (minus2[0] - 0.8, minus2[1]), minus2)
        s.tag(plus2, "2.5 V", "left")
        s.wire((out, y), (26.2, y))
    s.text((X_OUT + 4.6, 2.2), "J1 across C21: AC chargers")


def _decision(s: Sheet) -> None:
    s.wire((26.2, 4.0), (26.2, -7.2))
    s.dot((26.2, -2.6))
    s.dot((26.2, 4.0))
    s.resistor("R29", (26.2, 4.0), (26.2, 6.4), "bottom")
    s.supply((26.2, 6.4), "5 V")
    s.dot((26.2, -7.2))
    s.capacitor("C23", (26.2, -7.2), (26.2, -9.6), "bottom")
    s.ground((26.2, -9.6))
    s.text((27.4, 1.2), "all well")
    plus, minus = s.comparator((32.5, -2.0), "U21F")
    s.wire((26.2, minus[1]), minus)
    s.dot((26.2, minus[1]))
    y = -5.2
    s.wire(plus, (plus[0], y))
    s.dot((plus[0], y))
    s.resistor("R33", (plus[0], y), (33, y))
    s.wire((33, y), (33, -2.0))
    s.wire((32.5, -2.0), (33.8, -2.0))
    s.dot((33, -2.0))
    s.resistor("R32", (plus[0], y), (plus[0], y - 2.4), "bottom")
    s.tag((plus[0], y - 2.4), "2.5 V: half of 5 V, by R30 and R31", "right")
    s.resistor("R43", (33.8, -2.0), (36.3, -2.0))
    s.tag((36.3, -2.0), "gate of Q2,\nlow: supply on", "right")
    s.text(
        (12.5, -11.6),
        "Open collectors sink while - is above +: each of C, D, E empties C23.",
    )
