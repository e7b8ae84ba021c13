"""A charger's pins by gpiozero and lgpio on a real GPIO character device (gpio-sim)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from controller import board
from controller.cp.driver_gpiochip import header_chip, load_gpiod
from controller.errors import PortError
from controller.power import pins
from controller.power.driver_gpio import open_lgpio

if TYPE_CHECKING:
    from collections.abc import Iterator

    from controller.power.driver_gpio import GpiozeroGpio
    from tests.vm.parts import GpioSim

SIDE = board.load().evse
INPUTS = pins.inputs(SIDE.pins)
OUTPUTS = pins.outputs(SIDE.pins, ("contactors", "module_enable", "watchdog"))


@pytest.fixture
def port(gpio: GpioSim) -> Iterator[GpiozeroGpio]:
    for pin in INPUTS:
        gpio.drive(pin.gpio, False)
    made = open_lgpio(INPUTS, OUTPUTS)
    yield made
    made.close()


def test_every_input_is_read_by_its_own_bit(gpio: GpioSim, port: GpiozeroGpio) -> None:
    for turn, pin in enumerate(INPUTS):
        for each in INPUTS:
            gpio.drive(each.gpio, each is pin)
        port.step(float(turn))
        assert port.levels() == 1 << pin.gpio, pin.meaning
        assert port.read_at == float(turn)
    assert port.problem() == ""


def test_outputs_start_inactive_and_follow_at_once(gpio: GpioSim, port: GpiozeroGpio) -> None:
    assert not any(gpio.level(pin.gpio) for pin in OUTPUTS)
    for pin in OUTPUTS:
        for level in (True, False, True):
            port.set(pin.gpio, level)
            assert gpio.level(pin.gpio) is level
    port.close()
    assert not any(gpio.level(pin.gpio) for pin in OUTPUTS)
    port.close()
    port.set(OUTPUTS[0].gpio, True)
    port.step(1e9)
    assert not any(gpio.level(pin.gpio) for pin in OUTPUTS)


def test_a_pin_that_another_program_has_is_named(gpio: GpioSim) -> None:
    gpiod = load_gpiod()
    taken = OUTPUTS[0].gpio
    with (
        gpiod.request_lines(header_chip(gpiod), config={taken: None}),
        pytest.raises(PortError, match=rf"GPIO {taken} .*busy.*another program") as caught,
    ):
        open_lgpio(INPUTS, OUTPUTS)
    assert "\n" not in str(caught.value)


def test_the_library_leaves_the_working_directory_alone(port: GpiozeroGpio) -> None:
    assert not [name for name in os.listdir() if name.startswith(".lgd-nfy")]
    assert "LG_WD" not in os.environ
