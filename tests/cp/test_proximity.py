"""The proximity line: both codings, both ways into each gap, when a plug is believed."""

from __future__ import annotations

from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.cp import proximity, timing
from controller.cp.proximity import (
    A_13,
    A_20,
    A_32,
    A_63,
    BUTTON,
    FAULT,
    INLET_OHM,
    OPEN_OHM,
    PLUGGED,
    PULL_UP_OHM,
    PULL_UP_V,
    UNPLUGGED,
    Connector,
    Plug,
    ProximityReader,
    classify,
    resistance_ohm,
)

CCS1, CCS2 = Connector.CCS1, Connector.CCS2


def divider_v(plug_ohm: float) -> float:
    """Voltage on PP with this plug, by the resistors: the reference."""
    to_pe = 1.0 / (1.0 / INLET_OHM + 1.0 / plug_ohm)
    return PULL_UP_V * to_pe / (PULL_UP_OHM + to_pe)


# --- from volts to the plug's resistor -----------------------------------------------------------


@pytest.mark.parametrize(
    ("plug_ohm", "volts"),  # SAE J1772 names 1.5, 2.8 and 4.5 V
    [(150.0, 1.505), (480.0, 2.763), (1e12, 4.455), (1500.0, 3.727), (0.001, 0.0)],
)
def test_the_divider_is_the_standards(plug_ohm: float, volts: float) -> None:
    assert divider_v(plug_ohm) == pytest.approx(volts, abs=0.002)


@given(st.floats(1.0, 20_000.0))
def test_the_inlets_own_part_is_taken_out(plug_ohm: float) -> None:
    assert resistance_ohm(divider_v(plug_ohm)) == pytest.approx(plug_ohm, rel=1e-6)


@pytest.mark.parametrize("volts", [4.4554, 4.456, 4.6, 4.8])
def test_no_plug(volts: float) -> None:
    assert resistance_ohm(volts) == OPEN_OHM


@pytest.mark.parametrize("volts", [-0.3, 4.9, 5.0, 12.0, nan, inf, -inf])
def test_what_no_inlet_can_show(volts: float) -> None:
    """4.9 V: the inlet's own 2.7 kOhm is gone, so an unplugged inlet would look plugged."""
    assert classify(resistance_ohm(volts), CCS1) is FAULT
    assert classify(resistance_ohm(volts), CCS2) is FAULT


@pytest.mark.parametrize("volts", [-0.2, -0.1, 0.0, 0.001])
def test_a_short_circuit(volts: float) -> None:
    assert resistance_ohm(volts) < 1.0
    assert classify(resistance_ohm(volts), CCS1) is FAULT


# --- what a resistor means -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("connector", "ohm", "plug"),
    [
        (CCS1, 0.0, FAULT),
        (CCS1, 75.0, FAULT),
        (CCS1, 135.0, PLUGGED),
        (CCS1, 150.0, PLUGGED),
        (CCS1, 165.0, PLUGGED),
        (CCS1, 432.0, BUTTON),
        (CCS1, 480.0, BUTTON),
        (CCS1, 528.0, BUTTON),
        (CCS1, 1000.0, FAULT),
        (CCS1, 1500.0, FAULT),
        (CCS1, 2700.0, UNPLUGGED),
        (CCS1, OPEN_OHM, UNPLUGGED),
        (CCS1, inf, UNPLUGGED),
        (CCS2, 0.0, FAULT),
        (CCS2, 59.0, FAULT),
        (CCS2, 80.0, A_63),
        (CCS2, 100.0, A_63),
        (CCS2, 140.0, A_63),
        (CCS2, 164.0, A_32),
        (CCS2, 220.0, A_32),
        (CCS2, 308.0, A_32),
        (CCS2, 400.0, A_20),
        (CCS2, 680.0, A_20),
        (CCS2, 936.0, A_20),
        (CCS2, 1100.0, A_13),
        (CCS2, 1500.0, A_13),
        (CCS2, 2460.0, A_13),
        (CCS2, 4501.0, UNPLUGGED),
        (CCS2, OPEN_OHM, UNPLUGGED),
        (CCS2, nan, FAULT),
        (CCS1, nan, FAULT),
        (CCS1, -5.0, FAULT),
    ],
)
@pytest.mark.parametrize("previous", [None, UNPLUGGED, PLUGGED, A_13, BUTTON, FAULT])
def test_within_a_band_the_past_does_not_matter(
    connector: Connector, ohm: float, plug: Plug, previous: Plug | None
) -> None:
    assert classify(ohm, connector, previous) is plug


@pytest.mark.parametrize(
    ("connector", "ohm", "previous", "plug"),
    [
        (CCS1, 90.0, PLUGGED, PLUGGED),
        (CCS1, 90.0, FAULT, FAULT),
        (CCS1, 90.0, UNPLUGGED, FAULT),
        (CCS1, 300.0, PLUGGED, PLUGGED),
        (CCS1, 300.0, BUTTON, BUTTON),
        (CCS1, 300.0, UNPLUGGED, BUTTON),
        (CCS1, 700.0, BUTTON, BUTTON),
        (CCS1, 700.0, PLUGGED, FAULT),
        (CCS1, 2000.0, UNPLUGGED, UNPLUGGED),
        (CCS1, 2000.0, PLUGGED, FAULT),
        (CCS2, 70.0, A_63, A_63),
        (CCS2, 70.0, UNPLUGGED, FAULT),
        (CCS2, 150.0, A_63, A_63),
        (CCS2, 150.0, A_32, A_32),
        (CCS2, 150.0, UNPLUGGED, A_32),
        (CCS2, 350.0, None, A_20),
        (CCS2, 1000.0, None, A_13),
        (CCS2, 1000.0, A_20, A_20),
        (CCS2, 3000.0, A_13, A_13),
        (CCS2, 3000.0, UNPLUGGED, UNPLUGGED),
        (CCS2, 3000.0, A_32, FAULT),
        (CCS2, 3000.0, None, FAULT),
    ],
)
def test_between_two_bands(
    connector: Connector, ohm: float, previous: Plug | None, plug: Plug
) -> None:
    assert classify(ohm, connector, previous) is plug


@pytest.mark.parametrize("connector", list(Connector))
@given(ohm=st.floats(0, 1e7), other=st.floats(0, 1e7))
def test_a_larger_resistor_never_means_a_larger_cable(
    connector: Connector, ohm: float, other: float
) -> None:
    low, high = (classify(value, connector) for value in sorted((ohm, other)))
    if low.cable_a and high.cable_a:
        assert low.cable_a >= high.cable_a


@pytest.mark.parametrize("connector", list(Connector))
def test_the_bands_are_in_order_and_apart(connector: Connector) -> None:
    bands = proximity.CODINGS[connector]
    assert bands[0][0] == 0.0
    assert bands[-1][1] == inf
    for (_, high, _), (low, _, _) in zip(bands, bands[1:], strict=False):  # noqa: RUF007
        assert high < low


# --- when it is believed -------------------------------------------------------------------------


class Line:
    def __init__(self, connector: Connector = CCS1) -> None:
        self.reader = ProximityReader(connector)
        self.now = 10.0

    def put(self, ohm: float, seconds: float) -> Plug:
        until = self.now + seconds
        while self.now < until - 1e-9:
            self.now += 0.005
            self.reader.put(ohm, self.now)
        return self.reader.plug


def test_a_plug_that_is_pushed_in() -> None:
    line = Line()
    for _ in range(8):  # it bounces
        assert line.put(150.0, 0.02) is UNPLUGGED
        assert line.put(OPEN_OHM, 0.01) is UNPLUGGED
    assert line.put(150.0, timing.PLUG_IN_S) is UNPLUGGED
    assert line.reader.is_pending
    assert line.put(150.0, 0.005) is PLUGGED
    assert not line.reader.is_pending


@pytest.mark.parametrize(
    ("ohm", "plug"), [(480.0, BUTTON), (OPEN_OHM, UNPLUGGED), (5.0, FAULT), (nan, FAULT)]
)
def test_what_ends_counts_soon(ohm: float, plug: Plug) -> None:
    line = Line()
    line.put(150.0, 0.2)
    assert line.put(ohm, timing.PLUG_OUT_S) is PLUGGED
    assert line.put(ohm, 0.005) is plug


def test_a_glitch_is_none() -> None:
    line = Line()
    line.put(150.0, 0.2)
    for _ in range(20):
        line.put(OPEN_OHM, 0.015)
        assert line.put(150.0, 0.005) is PLUGGED


def test_noise_at_the_edge_of_a_band_does_not_flicker() -> None:
    line = Line(CCS2)
    line.put(400.0, 0.2)
    for n in range(100):
        assert line.put(390.0 + 20.0 * (n % 2), 0.1) is A_20
