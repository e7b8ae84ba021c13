"""Levels from a converter: pairs, ages, the generator's state; resistors and temperatures."""

from __future__ import annotations

from math import inf, isnan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller import board
from controller.cp.calibration import Correction
from controller.cp.measuring import PilotLevels, Scale, pt1000_celsius, pulled_up_ohm
from controller.cp.port import Measured
from controller.signals import PilotSample


class Converter:
    def __init__(self) -> None:
        self.values: dict[int, Measured] = {}

    def step(self, now: float) -> None: ...

    def latest(self, channel: int) -> Measured | None:
        return self.values.get(channel)

    def problem(self) -> str:
        return ""

    def close(self) -> None: ...

    def put(self, channel: int, volts: float, taken_at: float) -> None:
        self.values[channel] = Measured(volts, taken_at)


class Generator:
    def __init__(self) -> None:
        self.trouble = ""

    def set_duty(self, duty: float) -> None: ...

    def step(self, now: float) -> None: ...

    @property
    def is_known(self) -> bool:
        return not self.trouble

    def problem(self) -> str:
        return self.trouble

    def close(self) -> None: ...


class Bench:
    def __init__(self) -> None:
        channels = board.load().evse.channels
        self.converter, self.generator = Converter(), Generator()
        self.levels = PilotLevels(
            self.converter,
            Scale.of(channels["cp_high"]),
            Scale.of(channels["cp_low"]),
            self.generator,
        )

    def put(self, high_v: float, low_v: float, high_at: float, low_at: float) -> None:
        self.converter.put(0, (high_v + 16.0) / 9.58, high_at)
        self.converter.put(1, (low_v + 16.0) / 9.58, low_at)


def test_before_the_first_pair_there_is_a_sample_that_nobody_takes() -> None:
    bench = Bench()
    assert bench.levels.read(1.0).taken_at == -inf
    bench.converter.put(0, 2.0, 1.1)
    assert bench.levels.read(1.2).taken_at == -inf


def test_a_pair_is_as_old_as_its_older_half() -> None:
    bench = Bench()
    bench.levels.read(0.9)
    bench.put(8.97, -12.0, 1.0, 1.002)
    sample = bench.levels.read(1.005)
    assert sample.high_v == pytest.approx(8.97)
    assert sample.low_v == pytest.approx(-12.0)
    assert sample.taken_at == 1.0


def test_one_new_half_makes_no_new_sample() -> None:
    bench = Bench()
    bench.levels.read(0.9)
    bench.put(9.0, -12.0, 1.0, 1.002)
    first = bench.levels.read(1.005)
    bench.put(6.0, -12.0, 1.006, 1.002)
    assert bench.levels.read(1.01) is first
    bench.put(6.0, -12.0, 1.006, 1.009)
    second = bench.levels.read(1.015)
    assert (round(second.high_v, 6), second.taken_at) == (6.0, 1.006)


def test_while_nobody_knows_what_is_driven_the_sample_grows_old() -> None:
    bench = Bench()
    bench.levels.read(0.9)
    bench.put(6.0, -12.0, 1.0, 1.002)
    first = bench.levels.read(1.005)
    bench.generator.trouble = "gone"
    bench.put(6.0, -12.0, 1.1, 1.1)
    assert bench.levels.read(1.2) is first
    bench.generator.trouble = ""
    assert bench.levels.read(1.3) is first  # measured while it was not known
    bench.put(6.0, -12.0, 1.31, 1.32)
    assert bench.levels.read(1.35) == PilotSample(
        pytest.approx(6.0),  # type: ignore[arg-type]
        pytest.approx(-12.0),  # type: ignore[arg-type]
        1.31,
    )


@given(st.floats(0.0, 3.3), st.floats(0.9, 1.1), st.floats(-1.0, 1.0))
def test_a_scale_is_a_straight_line_and_corrects_the_meant_value(
    volts: float, gain: float, offset_v: float
) -> None:
    channel = board.load().evse.channels["cp_high"]
    nominal = volts * 9.58 - 16.0
    assert Scale.of(channel).value(volts) == pytest.approx(nominal)
    corrected = Scale.of(channel, Correction(gain, offset_v)).value(volts)
    assert corrected == pytest.approx(nominal * gain + offset_v)


@given(st.floats(0.0, 15_000.0))
def test_a_resistor_comes_back_from_its_divider(ohm: float) -> None:
    volts = 3.3 * ohm / (ohm + 1000.0)
    assert pulled_up_ohm(volts) == pytest.approx(ohm, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("volts", [3.2, 3.3, 4.0, float("nan")])
def test_an_open_input_is_infinite(volts: float) -> None:
    assert pulled_up_ohm(volts) == inf


def test_a_negative_reading_is_no_resistance() -> None:
    assert pulled_up_ohm(-0.01) == 0.0


@pytest.mark.parametrize(
    ("ohm", "celsius"), [(1000.0, 0.0), (1385.06, 100.0), (842.71, -40.0), (1077.94, 20.0)]
)
def test_pt1000(ohm: float, celsius: float) -> None:
    """Table values of IEC 60751."""
    assert pt1000_celsius(ohm) == pytest.approx(celsius, abs=0.15)


@pytest.mark.parametrize("ohm", [0.0, 100.0, 5000.0, inf])
def test_a_broken_sensor_is_no_temperature(ohm: float) -> None:
    assert isnan(pt1000_celsius(ohm))
