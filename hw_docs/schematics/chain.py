"""The chain: from 24 V through every part that may interrupt, to the coils, and the read-backs."""

import schemdraw.elements as elm

from hw_docs.schematics.draw import Point, Sheet, value

READ_BACKS = (
    (6.2, "emergency_stop_a\nGPIO 5"),
    (10.6, "chain_closed\nGPIO 27"),
    (15.0, "coil_supply\nGPIO 16"),
)


def draw() -> str:
    """Return the SVG."""
    s = Sheet()
    _supply_side(s)
    _coils(s)
    _return_side(s)
    _feedback(s)
    return s.svg()


def _button(s: Sheet, start: Point, end: Point, text: str) -> None:
    s.d.add(elm.Button(nc=True).at(start).to(end).label(text, loc="top", ofst=0.35))


def _supply_side(s: Sheet) -> None:
    s.supply((0, 0), "24 V")
    s.d.add(elm.Fuse().at((0, 0)).to((2.5, 0)).label(value("F1"), loc="top"))
    _button(s, (2.5, 0), (5.6, 0), "S1, channel A\nand doors")
    s.wire((5.6, 0), (7, 0))
    s.box((7, -0.8), (2.9, 1.6), value("Q1") + "\nwatchdog,\nover-voltage")
    s.wire((9.9, 0), (11.4, 0))
    s.box((11.4, -0.8), (2.9, 1.6), value("Q2") + "\nCP-loss part")
    s.wire((14.3, 0), (21.4, 0))
    for x, name in READ_BACKS:
        s.dot((x, 0))
        _read_back(s, (x, 0), name)


def _read_back(s: Sheet, at: Point, name: str) -> None:
    x, y = at
    s.resistor("R44", (x, y), (x, y - 2.5), "bottom")
    s.box((x - 0.9, y - 4.1), (1.8, 1.6), "U31")
    s.ground((x, y - 4.1))
    s.text((x, y - 5.6), name)


def _coils(s: Sheet) -> None:
    for x, coil, diode in ((17.6, "K1", "D20"), (22.2, "K2", "D21")):
        s.dot((x, 0))
        s.box((x - 1.1, -2.9), (2.2, 1.9), f"{coil}\n{'DC+' if coil == 'K1' else 'DC-'}")
        s.wire((x, 0), (x, -1))
        s.wire((x, -2.9), (x, -3.9))
        s.dot((x, -3.9))
        s.wire((x, -0.5), (x + 1.8, -0.5))
        s.dot((x, -0.5))
        s.diode((x + 1.8, -3.4), (x + 1.8, -0.5), value(diode), "bottom")
        s.wire((x + 1.8, -3.4), (x, -3.4))
        s.dot((x, -3.4))
    s.wire((17.6, -3.9), (22.2, -3.9))
    s.wire((21.4, 0), (26, 0))
    s.tag((26, 0), "module enable, in series\nwith module_enable (GPIO 22)", "right")


def _return_side(s: Sheet) -> None:
    s.wire((19.4, -3.9), (19.4, -4.6))
    s.dot((19.4, -3.9))
    s.wire((19.4, -4.6), (19.4, -6.6))
    s.box((18, -8.2), (2.8, 1.6), value("Q3"))
    s.box((11.6, -8.4), (4.6, 2.0), "U30: coil latch\nset by an edge,\ncleared without supply")
    s.wire((16.2, -7.4), (18, -7.4))
    s.wire((11, -7.4), (11.6, -7.4))
    s.tag((11, -7.4), "contactors\nGPIO 23", "left")
    s.wire((19.4, -8.2), (19.4, -9.6))
    _button(s, (19.4, -9.6), (22.6, -9.6), "S1, channel B\nand doors")
    s.wire((22.6, -9.6), (23.6, -9.6))
    s.ground((23.6, -9.6))
    s.text(
        (26.4, -8.2), "a fourth opto-coupler of U31\nbehind channel B:\nemergency_stop_b, GPIO 6"
    )


def _feedback(s: Sheet) -> None:
    s.supply((0, -10.9), "24 V")
    s.resistor("R45", (0, -10.9), (2.5, -10.9))
    for x, name in ((2.5, "K1"), (5.1, "K2")):
        s.d.add(
            elm.Switch(action="open").at((x, -10.9)).to((x + 2.6, -10.9)).label(f"{name} mirror")
        )
    s.wire((7.7, -10.9), (8.4, -10.9))
    s.box((8.4, -11.7), (1.8, 1.6), "U32")
    s.wire((10.2, -10.9), (11, -10.9))
    s.tag((11, -10.9), "contactors_open, GPIO 24 (low: every contactor is open)", "right")
