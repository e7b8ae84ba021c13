"""gpiozero's `PiGPIOFactory`, unmodified, against the simulated daemon."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import gpiozero
import pytest
from gpiozero.pins.pigpio import PiGPIOFactory

from controller.loop import pause
from controller.pigpiod.circuit import Bare
from controller.pigpiod.daemon import Daemon
from tests.pigpiod.served import WAIT_S, Pi, Served, Told, client, served

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager


@pytest.fixture
def server() -> Iterator[Served]:
    with served(Daemon(Bare([(18, 17), (22, 27), (5, 6)]))) as running:
        yield running


@pytest.fixture
def factory(server: Served) -> Iterator[Pi]:
    made = PiGPIOFactory(host="127.0.0.1", port=server.port)
    thread = made.connection._notify
    yield made
    made.close()
    thread.join(WAIT_S)


def until(true: Callable[[], bool]) -> bool:
    """Wait for it."""
    deadline = time.monotonic() + WAIT_S
    while not (found := true()) and time.monotonic() < deadline:
        pause(0.005)
    return found


def test_an_led_and_what_it_is_wired_to(factory: Pi) -> None:
    with gpiozero.LED(18, pin_factory=factory) as led:
        wire = gpiozero.DigitalInputDevice(17, pin_factory=factory, pull_up=False)
        led.on()
        assert led.is_lit
        assert wire.value == 1
        led.off()
        assert wire.value == 0
        led.toggle()
        assert led.value == 1
        wire.close()


def test_a_button_calls_back_from_its_first_press_on(factory: Pi) -> None:
    """Its pull-up comes on after the client connected: the edge a plain daemon would lose."""
    events = Told()
    with gpiozero.Button(27, pin_factory=factory) as button, factory_client(factory) as finger:
        button.when_pressed = lambda: events(1)
        button.when_released = lambda: events(0)
        assert not button.is_pressed
        finger.write(22, 0)
        assert events.wait(1) == [(1,)]
        finger.write(22, 1)
        assert events.wait(2) == [(1,), (0,)]
        finger.write(22, 0)
        assert button.wait_for_press(WAIT_S)


def factory_client(factory: Pi) -> AbstractContextManager[Pi]:
    """Another client of the same server."""
    return client(factory.port)


def test_a_button_with_bounce_time_uses_the_filter(factory: Pi) -> None:
    events = Told()
    with (
        gpiozero.Button(17, pull_up=False, bounce_time=0.05, pin_factory=factory) as button,
        gpiozero.DigitalOutputDevice(18, pin_factory=factory) as out,
    ):
        button.when_pressed = lambda: events(1)
        out.on()
        out.off()
        pause(0.1)
        assert events.items == []
        out.on()
        assert events.wait(1) == [(1,)]


def test_a_held_button(factory: Pi) -> None:
    events = Told()
    with (
        gpiozero.Button(17, pull_up=False, hold_time=0.05, pin_factory=factory) as button,
        gpiozero.DigitalOutputDevice(18, pin_factory=factory) as out,
    ):
        button.when_held = lambda: events(1)
        out.on()
        assert events.wait(1) == [(1,)]


def test_a_pwm_led_dims(factory: Pi) -> None:
    with gpiozero.PWMLED(5, frequency=1000, pin_factory=factory) as led:
        led.value = 0.25
        assert led.value == pytest.approx(0.25)
        with gpiozero.DigitalInputDevice(6, pin_factory=factory, pull_up=False) as wire:
            assert until(lambda: wire.value == 1)
            assert until(lambda: wire.value == 0)
        led.pulse(fade_in_time=0.05, fade_out_time=0.05, n=1, background=False)
        led.off()
        assert led.value == 0


def test_a_servo_class_and_a_robot_of_pwm_outputs(factory: Pi) -> None:
    with gpiozero.PWMOutputDevice(18, frequency=50, pin_factory=factory) as out:
        out.value = 0.075
        assert out.value == pytest.approx(0.075)
        out.frequency = 100
        assert out.frequency == 100


def test_a_smoothed_input_averages(factory: Pi) -> None:
    class Line(gpiozero.SmoothedInputDevice):  # type: ignore[misc]
        pass

    with (
        gpiozero.DigitalOutputDevice(18, pin_factory=factory) as out,
        Line(17, threshold=0.5, queue_len=4, sample_wait=0.002, pull_up=False, pin_factory=factory)
        as line,
    ):  # fmt: skip
        line._queue.start()
        out.on()
        assert until(lambda: bool(line.is_active))
        out.off()
        assert until(lambda: not line.is_active)


def test_ticks_of_a_pulse(factory: Pi) -> None:
    """Ticks of callbacks, as gpiozero hands them on."""
    ticks: list[int] = []

    def changed(tick: int, level: int) -> None:
        ticks.append(tick)

    with gpiozero.DigitalInputDevice(17, pin_factory=factory, pull_up=False) as wire:
        wire.pin.when_changed = changed
        with factory_client(factory) as other:
            other.set_mode(18, 1)
            other.gpio_trigger(18, 50, 1)
            assert until(lambda: len(ticks) == 2)
    assert factory.ticks_diff(ticks[1], ticks[0]) == pytest.approx(50e-6)


def test_the_board_is_known(factory: Pi) -> None:
    assert factory.board_info.model == "3B"
    assert len(factory.board_info.headers["J8"].pins) == 40
