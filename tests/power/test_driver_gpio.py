"""Pins through the daemon and through gpiozero: the same promises, and what is special to each."""

from __future__ import annotations

import contextlib
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from gpiozero.pins.mock import MockFactory

from controller import board
from controller.board import Pin
from controller.errors import PortError
from controller.power import driver_gpio, pins
from controller.power.driver_gpio import GpiozeroGpio, PigpioGpio, open_lgpio
from tests.fake_pigpiod import FakePigpiod, patient_link, running, step_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from controller.power.port import GpioPort

SIDE = board.load().evse
INPUTS = pins.inputs(SIDE.pins)
LOW_ACTIVE = Pin(12, "out", "low", "an output that is active low")
OUTPUTS = [SIDE.pins["contactors"], SIDE.pins["watchdog"], LOW_ACTIVE]


class FaultError(Exception):
    """What a library raises that has no common base."""


@dataclass
class Bench:
    port: GpioPort
    put: Callable[[int, int], None]
    """Level of an input."""
    output: Callable[[int], int]
    """Level of an output."""
    pull: Callable[[int], str]
    step: Callable[[float], None]
    daemon: FakePigpiod | None = None


@contextlib.contextmanager
def pigpio_bench() -> Iterator[Bench]:
    with running() as daemon:
        link = patient_link(daemon)
        step_until(link, lambda: link.is_up)
        port = PigpioGpio(link, INPUTS, OUTPUTS)

        def step(now: float) -> None:
            link.step(now)
            port.step(now)

        yield Bench(
            port,
            daemon.level,
            lambda gpio: daemon.levels[gpio],
            lambda gpio: ("none", "down", "up")[daemon.pulls[gpio]],
            step,
            daemon,
        )


@contextlib.contextmanager
def gpiozero_bench() -> Iterator[Bench]:
    factory = MockFactory()
    port = GpiozeroGpio(factory, INPUTS, OUTPUTS)

    def put(gpio: int, level: int) -> None:
        pin = factory.pin(f"GPIO{gpio}")
        pin.drive_high() if level else pin.drive_low()

    yield Bench(
        port,
        put,
        lambda gpio: int(factory.pin(f"GPIO{gpio}").state),
        lambda gpio: {"floating": "none"}.get(p := factory.pin(f"GPIO{gpio}").pull, p),
        port.step,
    )
    factory.reset()


@pytest.fixture(params=[pigpio_bench, gpiozero_bench], ids=["pigpio", "gpiozero"])
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    with request.param() as made:
        yield made


def test_outputs_start_inactive_and_inputs_with_their_pulls(bench: Bench) -> None:
    bench.step(1.0)
    assert bench.port.problem() == ""
    assert [bench.output(pin.gpio) for pin in OUTPUTS] == [0, 0, 1]
    for pin in INPUTS:
        assert bench.pull(pin.gpio) == pin.pull


def test_all_levels_are_read_at_once_and_stamped(bench: Bench) -> None:
    for turn, pin in enumerate(INPUTS):
        for each in INPUTS:
            bench.put(each.gpio, 0)
        bench.put(pin.gpio, 1)
        bench.step(1.0 + turn)
        assert bench.port.read_at == 1.0 + turn
        mask = sum(1 << each.gpio for each in INPUTS)
        assert bench.port.levels() & mask == 1 << pin.gpio


def test_an_output_follows_at_once(bench: Bench) -> None:
    bench.step(1.0)
    for level in (True, False, True):
        for pin in OUTPUTS:
            bench.port.set(pin.gpio, level)
            assert bench.output(pin.gpio) == level


def test_closing_leaves_every_output_inactive(bench: Bench) -> None:
    bench.step(1.0)
    for pin in OUTPUTS:
        bench.port.set(pin.gpio, pin.is_active_high)
    levels = {}
    if bench.daemon is None:  # the mock forgets its pins with the factory
        factory = bench.port._factory  # type: ignore[attr-defined]
        factory.close = lambda: levels.update({pin.gpio: bench.output(pin.gpio) for pin in OUTPUTS})
    bench.port.close()
    if bench.daemon is not None:
        levels = {pin.gpio: bench.output(pin.gpio) for pin in OUTPUTS}
    assert levels == {23: 0, 4: 0, 12: 1}
    bench.port.close()
    bench.port.step(9.0)


# --- through the daemon --------------------------------------------------------------------------


def test_an_output_is_written_before_it_drives() -> None:
    """The level first, then the direction: no moment with the wrong level on the pin."""
    with pigpio_bench() as bench:
        assert bench.daemon is not None
        bench.daemon.levels[23] = 1  # left by a killed predecessor
        bench.step(1.0)
        assert bench.daemon.writes[0] == (23, 0)
        assert bench.daemon.modes[23] == 1


def test_after_another_daemon_outputs_are_inactive_until_commanded_again() -> None:
    with pigpio_bench() as bench:
        assert bench.daemon is not None
        bench.step(1.0)
        bench.port.set(23, True)
        bench.daemon.stop()
        bench.step(1.005)
        bench.step(1.01)
        assert "pigpio daemon" in bench.port.problem()
        assert bench.port.read_at == 1.0
        bench.port.set(23, True)  # in vain, and not remembered as an order for later
        bench.daemon.start()
        for turn in range(2000):
            bench.step(2.0 + turn * 0.005)
            if not bench.port.problem():
                break
            threading.Event().wait(0.001)
        assert bench.output(23) == 0
        bench.port.set(23, True)
        assert bench.output(23) == 1


def test_what_a_busy_daemon_did_not_take_is_written_as_soon_as_it_answers() -> None:
    """The same connection: an order to open given meanwhile must reach the pin."""
    with running() as daemon:
        link = patient_link(daemon, timeout_s=0.05)
        step_until(link, lambda: link.is_up)
        port = PigpioGpio(link, INPUTS, OUTPUTS)
        port.step(1.0)
        port.set(23, True)
        assert daemon.levels[23] == 1
        daemon.hung.set()
        port.step(1.005)
        daemon.levels[4] = 1  # does not matter: it is an output
        port.set(23, False)
        assert port.read_at == 1.0
        assert port.problem() == ""  # a moment's delay
        link.step(1.006)
        link.step(1.03)
        assert "no answer" in port.problem()
        daemon.hung.clear()
        step_until(link, lambda: link.is_up, 1.006)
        port.step(1.007)
        assert daemon.levels[23] == 0
        assert port.problem() == ""
        assert link.generation == 1


@pytest.mark.parametrize("mode", [2, 3, 4, 5, 6, 7])
def test_a_pin_with_another_function_is_named(mode: int) -> None:
    with running() as daemon:
        link = patient_link(daemon)
        step_until(link, lambda: link.is_up)
        daemon.modes[23] = mode
        with pytest.raises(PortError, match=r"GPIO 23 \(coils of both .*another function"):
            PigpioGpio(link, INPUTS, OUTPUTS).check_free()
        daemon.modes[23] = 1
        PigpioGpio(link, INPUTS, OUTPUTS).check_free()


# --- through gpiozero ----------------------------------------------------------------------------


class Failing:
    """A pin that raises when told to."""

    def __init__(self) -> None:
        self.broken = False
        self._state = 0

    @property
    def state(self) -> int:
        if self.broken:
            raise FaultError("i/o")
        return self._state

    @state.setter
    def state(self, level: int) -> None:
        if self.broken:
            raise FaultError("i/o")
        self._state = level

    def output_with_state(self, level: int) -> None:
        self.state = level

    def input_with_pull(self, pull: str) -> None: ...


class FailingFactory:
    def __init__(self) -> None:
        self.pins: dict[str, Failing] = {}

    def pin(self, name: str) -> Failing:
        return self.pins.setdefault(name, Failing())

    def close(self) -> None:
        raise FaultError("gone")

    def break_all(self, broken: bool) -> None:
        for pin in self.pins.values():
            pin.broken = broken


def test_a_chip_that_fails_lets_the_levels_grow_old_and_is_tried_again() -> None:
    factory = FailingFactory()
    port = GpiozeroGpio(factory, INPUTS, OUTPUTS, (FaultError,))
    port.step(1.0)
    port.set(23, True)
    factory.break_all(True)
    port.set(23, False)
    for turn in range(20):
        port.step(1.005 + turn * 0.005)
    assert port.read_at == 1.0
    assert port.problem() == "pins: i/o"
    factory.break_all(False)
    for turn in range(12):
        port.step(1.2 + turn * 0.005)
    assert factory.pins["GPIO23"].state == 0
    assert port.read_at > 1.2
    assert port.problem() == ""
    port.close()


def test_a_pin_that_is_taken_is_named() -> None:
    class Taken(FailingFactory):
        def pin(self, name: str) -> Failing:
            raise FaultError("GPIO busy")

    with pytest.raises(PortError, match=r"GPIO 23 \(coils.*GPIO busy.*another program"):
        GpiozeroGpio(Taken(), INPUTS, OUTPUTS, (FaultError,))


def test_gpiozero_starts_no_thread() -> None:
    before = threading.active_count()
    with gpiozero_bench() as bench:
        bench.step(1.0)
        assert threading.active_count() == before


def test_without_the_package_one_line_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lgpio", None)
    with pytest.raises(PortError, match=r"needs the package lgpio: pip install") as caught:
        open_lgpio(INPUTS, OUTPUTS)
    assert "\n" not in str(caught.value)


def test_the_chip_behind_the_header_is_found_by_its_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Library:
        error = FaultError
        labels: tuple[str, ...] = (
            "gpio-brcmstb@107d508500",
            "brcmvirt-gpio",
            "raspberrypi-exp-gpio",
            "",
            "pinctrl-rp1",
        )
        opened: list[int] = []  # noqa: RUF012 - one test

        def gpiochip_open(self, number: int) -> int:
            if number >= len(self.labels):
                raise FaultError("no such chip")
            self.opened.append(number)
            return number

        def gpio_get_chip_info(self, handle: int) -> tuple[int, int, str, str]:
            return 0, 54, f"gpiochip{handle}", self.labels[handle]

        def gpiochip_close(self, handle: int) -> None:
            self.opened.remove(handle)

    library = Library()
    monkeypatch.setattr(Path, "exists", lambda _: True)
    assert driver_gpio._header_chip(library) == 4
    assert library.opened == []
    library.labels = ("gpio-sim.0-bank0",)
    assert driver_gpio._header_chip(library) is None


def test_the_link_is_used_by_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """No pin goes through the library's own connection, which would wait for ever."""
    import pigpio

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("opened a connection of its own")

    monkeypatch.setattr(pigpio.pi, "__init__", refuse)
    with pigpio_bench() as bench:
        bench.step(1.0)
        assert bench.port.problem() == ""
