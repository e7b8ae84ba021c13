"""The ADS1115 by smbus2 on the kernel's I2C, and by the kernel's own driver for it (IIO)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from smbus2 import SMBus

from controller.cp.driver_ads1115 import ADDRESS, CONFIG, CONVERSION, Ads1115, KernelBus
from controller.errors import PortError
from tests.vm.conftest import attach, load

if TYPE_CHECKING:
    from collections.abc import Iterator

HIGH, LOW = 0, 1
CODES = {HIGH: 22_400, LOW: 3_200}
"""What the peak detectors show: 2.8 V and 0.4 V at +-4.096 V full scale."""


def swapped(word: int) -> int:
    """Turn a word of the chip (high byte first) into one of SMBus."""
    return (word & 0xFF) << 8 | word >> 8


@pytest.fixture
def chip(i2c_bus: int) -> Iterator[SMBus]:
    """The outside of the chip: its registers, on a bus of its own."""
    with SMBus(i2c_bus) as bus:
        yield bus


def convert(chip: SMBus) -> None:
    """Do what the chip does after a start: put the chosen input's voltage into its register."""
    mux = swapped(chip.read_word_data(ADDRESS, CONFIG)) >> 12 & 0x3
    chip.write_word_data(ADDRESS, CONVERSION, swapped(CODES[mux]))


def test_both_peaks_by_the_kernels_bus(i2c_bus: int, chip: SMBus) -> None:
    converter = Ads1115(KernelBus(i2c_bus), time.monotonic, (HIGH, LOW))
    for _ in range(12):
        converter.step(time.monotonic())
        convert(chip)
        time.sleep(0.002)
    high, low = converter.latest(HIGH), converter.latest(LOW)
    assert converter.problem() == ""
    assert high is not None
    assert high.volts == pytest.approx(2.8, abs=1e-4)
    assert low is not None
    assert low.volts == pytest.approx(0.4, abs=1e-4)
    converter.close()


def test_a_chip_that_is_not_there(i2c_bus: int) -> None:
    converter = Ads1115(KernelBus(i2c_bus, 0x4B), time.monotonic, (HIGH, LOW))
    for _ in range(3):
        converter.step(time.monotonic())
        time.sleep(0.06)
    assert "no answer on the I2C bus" in converter.problem()
    assert converter.latest(HIGH) is None


def test_a_bus_that_is_not_there() -> None:
    with pytest.raises(PortError, match="/dev/i2c-77: not there: add"):
        KernelBus(77)


def test_the_kernels_own_driver_reads_the_same_and_keeps_us_out(i2c_bus: int) -> None:
    load("ti-ads1015")
    with SMBus(i2c_bus) as bus:
        bus.write_word_data(0x49, CONVERSION, swapped(CODES[HIGH]))
    folder = attach(i2c_bus, "ads1115", 0x49)
    iio = next(folder.glob("iio:device*"))
    volts = (
        int((iio / "in_voltage0_raw").read_text())
        * float((iio / "in_voltage0_scale").read_text())
        / 1000.0
    )
    # Its full scale is another one (+-2.048 V): the code is what both have in common.
    assert volts / 2.048 == pytest.approx(CODES[HIGH] / 32768, rel=1e-3)
    converter = Ads1115(KernelBus(i2c_bus, 0x49), time.monotonic, (HIGH, LOW))
    for _ in range(3):
        converter.step(time.monotonic())
        time.sleep(0.06)
    assert "a driver of the kernel has it" in converter.problem()
