"""The pilot by /sys/class/pwm: the kernel's own rules, seen in the registers of the PWM chip."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from smbus2 import SMBus

from controller.cp.driver_kernel_pwm import BLOCKS, VERIFY_S, KernelPwmPilot, SysFiles

if TYPE_CHECKING:
    from pathlib import Path

GPIO = 18
CHANNEL = BLOCKS[0].channels[GPIO]
CHIP_ADDRESS = 0x40
LED0_ON = 0x06
"""PCA9685: four registers a channel from here on: on and off counts of 4096, little-endian."""
FULL = 0x10
OSCILLATOR_HZ = 25_000_000


class AsOnAPi(SysFiles):
    """The kernel's files; the chip passes for a Pi 5's."""

    def device_of(self, chip: Path) -> str:
        """Name of the device behind a chip."""
        return BLOCKS[0].device


def driven(bus: SMBus) -> float:
    """Duty cycle by the chip's registers."""
    first = LED0_ON + 4 * CHANNEL
    on_low, on_high, off_low, off_high = (
        bus.read_byte_data(CHIP_ADDRESS, register) for register in range(first, first + 4)
    )
    if off_high & FULL:
        return 0.0
    if on_high & FULL:
        return 1.0
    return ((off_high << 8 | off_low) - (on_high << 8 | on_low)) / 4096


def settle(pilot: KernelPwmPilot) -> None:
    """Let the set-up take its strides."""
    for _ in range(20):
        pilot.step(time.monotonic())
        if not pilot.problem():
            return
        time.sleep(0.02)
    raise AssertionError(pilot.problem())


@pytest.mark.parametrize("again", ["fresh", "exported by a predecessor"])
def test_duty_and_frequency(pwm_chip: Path, i2c_bus: int, again: str) -> None:
    pilot = KernelPwmPilot(GPIO, pwm_chip.parent, AsOnAPi())
    settle(pilot)
    with SMBus(i2c_bus, force=True) as bus:  # the kernel's driver has the chip
        for duty in (1.0, 0.05, 0.53, 0.96, 0.0, 1.0):
            pilot.set_duty(duty)
            assert pilot.problem() == ""
            assert driven(bus) == pytest.approx(duty, abs=0.001)
        prescale = bus.read_byte_data(CHIP_ADDRESS, 0xFE)
    # This chip divides its clock coarsely; a Pi's own does not.
    assert OSCILLATOR_HZ / 4096 / (prescale + 1) == pytest.approx(1000.0, rel=0.02)
    period_ns = int((pwm_chip / f"pwm{CHANNEL}" / "period").read_text())
    assert period_ns == 1_000_000


def test_another_program_that_writes_is_noticed_and_put_right(pwm_chip: Path) -> None:
    pilot = KernelPwmPilot(GPIO, pwm_chip.parent, AsOnAPi())
    settle(pilot)
    pilot.set_duty(0.05)
    (pwm_chip / f"pwm{CHANNEL}" / "duty_cycle").write_text("700000")
    time.sleep(2 * VERIFY_S)
    pilot.step(time.monotonic())
    assert "another program changed it" in pilot.problem()
    settle(pilot)
    assert int((pwm_chip / f"pwm{CHANNEL}" / "duty_cycle").read_text()) == 50_000
