"""What every test inside the machine needs; outside of it they are skipped."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from smbus2 import SMBus

from tests.vm.parts import GpioSim

if TYPE_CHECKING:
    from collections.abc import Iterator

BUILT = os.environ.get("CCS_VM", "")
"""Inside: the folder of the modules that were built for this kernel."""
PRESCALE, PRESCALE_AFTER_RESET = 0xFE, 0x1E
"""Of a PCA9685 (data sheet): without it the kernel takes the chip for one that runs too fast."""
GPIO_LINES = 54
GPIO_LABEL = "pinctrl-bcm2711"
"""The label by which lgpio and gpiozero know the header of a Pi 4."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs the machine; what prepares it is tested outside, too."""
    here = Path(__file__).parent
    for item in items:
        if not BUILT and here in item.path.parents and "outside" not in item.keywords:
            item.add_marker(pytest.mark.skip(reason="inside the small VM only: make vm-test"))


def load(module: str, *parameters: str) -> None:
    """Load a kernel module."""
    done = subprocess.run(["modprobe", module, *parameters], check=False, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()


@pytest.fixture(scope="session")
def gpio() -> Iterator[GpioSim]:
    """A GPIO chip with the lines of a Pi, whose outside we hold."""
    bank = Path("/sys/kernel/config/gpio-sim/pi/bank0")
    bank.mkdir(parents=True)
    (bank / "num_lines").write_text(str(GPIO_LINES))
    (bank / "label").write_text(GPIO_LABEL)
    (bank.parent / "live").write_text("1")
    yield GpioSim(next(Path("/sys/devices/platform").glob("gpio-sim*/gpiochip*/sim_gpio0")).parent)
    (bank.parent / "live").write_text("0")


@pytest.fixture(scope="session")
def i2c_bus() -> int:
    """Number of an I2C bus with a register file at the ADC's address."""
    load("i2c-dev")
    load("i2c-stub", "chip_addr=0x40,0x48,0x49")
    for bus in Path("/sys/bus/i2c/devices").glob("i2c-*"):
        if "stub" in (bus / "name").read_text().lower():
            return int(bus.name.removeprefix("i2c-"))
    raise AssertionError("no bus of i2c-stub")


@pytest.fixture(scope="session")
def pwm_chip(i2c_bus: int) -> Path:
    """A PWM chip in /sys/class/pwm: a PCA9685 on the bus of i2c-stub."""
    load("regmap-i2c")
    subprocess.run(["insmod", f"{BUILT}/pwm-pca9685.ko"], check=True)
    with SMBus(i2c_bus) as bus:
        bus.write_byte_data(0x40, PRESCALE, PRESCALE_AFTER_RESET)
    attach(i2c_bus, "pca9685", 0x40)
    return next(Path("/sys/class/pwm").glob("pwmchip*"))


def attach(bus: int, driver: str, address: int) -> Path:
    """Let a driver of the kernel take a chip; returns the device's folder."""
    folder = Path(f"/sys/bus/i2c/devices/i2c-{bus}")
    (folder / "new_device").write_text(f"{driver} {address:#04x}")
    return folder / f"{bus}-{address:04x}"


@pytest.fixture(scope="session")
def can_channel() -> str:
    """A virtual CAN interface that is up."""
    load("vcan")
    load("can-raw")
    subprocess.run(["ip", "link", "add", "dev", "vcan0", "type", "vcan"], check=True)
    subprocess.run(["ip", "link", "set", "up", "vcan0"], check=True)
    return "vcan0"
