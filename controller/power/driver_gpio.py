"""The header's inputs and outputs: through the pigpio daemon, or the kernel's GPIO device.

Through the daemon all inputs come with one command (bank 1, some 40 us), over the link that gives
up after 2 ms; gpiozero's own way to the daemon waits for ever and starts threads, so it is not used
there. Through the kernel (gpiozero's lgpio factory) each input is one system call of a few
microseconds that nobody can hold up.

Outputs start inactive and are inactive at the end of this program. If it is killed, the daemon
keeps every output as it was, and the kernel may: what switches off then is the external watchdog,
whose edges have stopped.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pigpio

from controller.errors import PortError
from controller.port import LastWish

if TYPE_CHECKING:
    from collections.abc import Sequence

    from controller.board import Pin
    from controller.pigpio_link import PigpioLink

PULLS = {"up": pigpio.PUD_UP, "down": pigpio.PUD_DOWN, "none": pigpio.PUD_OFF}
GPIOZERO_PULLS = {"up": "up", "down": "down", "none": "floating"}
RETRY_S = 0.05
HEADER_LABELS = ("pinctrl-rp1", "pinctrl-bcm2711", "pinctrl-bcm2835")
"""The chip behind the 40 pins: Pi 5; Pi 4; older."""
HIGHEST_CHIP = 15


def _inactive(pin: Pin) -> bool:
    return not pin.is_active_high


class PigpioGpio:
    """`GpioPort` through the daemon."""

    def __init__(self, link: PigpioLink, inputs: Sequence[Pin], outputs: Sequence[Pin]) -> None:
        self._link = link
        self._inputs, self._outputs = inputs, outputs
        self._wanted = {pin.gpio: _inactive(pin) for pin in outputs}
        self._driven: dict[int, bool] = {}
        self._levels = 0
        self._read_at = -inf
        self._generation = 0
        self._refusal = "pins: not set up yet"

    @property
    def read_at(self) -> float:
        """When the levels were read."""
        return self._read_at

    def levels(self) -> int:
        """Bit n: level of GPIO n."""
        return self._levels

    def check_free(self) -> None:
        """Refuse pins that serve another function (SPI, UART, PWM). Raises PortError."""
        for pin in (*self._inputs, *self._outputs):
            mode = self._link.ask(lambda pi, gpio=pin.gpio: pi.get_mode(gpio))  # type: ignore[misc]
            if mode not in (pigpio.INPUT, pigpio.OUTPUT):
                raise PortError(
                    f"GPIO {pin.gpio} ({pin.meaning}) serves another function of the Pi: remove "
                    "the overlay that uses it from /boot/firmware/config.txt"
                )

    def step(self, now: float) -> None:
        """Read all inputs; set up and drive what is due."""
        if not self._link.is_up:
            return
        try:
            if self._generation != self._link.generation:
                self._set_up()
            for gpio, level in self._wanted.items():
                if self._driven.get(gpio) is not level:
                    self._write(gpio, level)
            self._levels = self._link.ask(lambda pi: int(pi.read_bank_1()))
        except PortError as error:
            self._refused(error)
            return
        self._read_at = now
        self._refusal = ""

    def set(self, gpio: int, level: bool) -> None:
        """Drive an output; what cannot be driven now is driven by `step`."""
        self._wanted[gpio] = level
        if self._generation == self._link.generation and self._link.is_up:
            try:
                self._write(gpio, level)
            except PortError as error:
                self._refused(error)

    def problem(self) -> str:
        """Say what is wrong, or nothing."""
        return self._link.problem() or self._refusal

    def close(self) -> None:
        """Leave the outputs inactive."""
        for pin in self._outputs:
            self.set(pin.gpio, _inactive(pin))

    def last_wish(self) -> LastWish:
        """All outputs inactive: the daemon keeps what a client left."""
        return LastWish(
            self._link.address, tuple((pin.gpio, _inactive(pin)) for pin in self._outputs)
        )

    def _refused(self, error: PortError) -> None:
        """Remember what the daemon said; what is wrong with the link, the link tells."""
        self._refusal = f"pins: {error}" if self._link.is_up else ""

    def _write(self, gpio: int, level: bool) -> None:
        self._driven.pop(gpio, None)
        self._link.ask(lambda pi: pi.write(gpio, int(level)))
        self._driven[gpio] = level

    def _set_up(self) -> None:
        """Begin anew: another connection may be another daemon, after any time."""
        self._driven.clear()
        for pin in self._outputs:
            self._wanted[pin.gpio] = _inactive(pin)
            self._write(pin.gpio, _inactive(pin))
            self._link.ask(lambda pi, gpio=pin.gpio: pi.set_mode(gpio, pigpio.OUTPUT))  # type: ignore[misc]
        for pin in self._inputs:
            self._link.ask(lambda pi, gpio=pin.gpio: pi.set_mode(gpio, pigpio.INPUT))  # type: ignore[misc]
            pull = PULLS[pin.pull]
            self._link.ask(
                lambda pi, gpio=pin.gpio, pull=pull: pi.set_pull_up_down(gpio, pull)  # type: ignore[misc]
            )
        self._generation = self._link.generation


class GpiozeroGpio:
    """`GpioPort` on the pins of a gpiozero factory: lgpio on a Pi, its mock in tests."""

    def __init__(
        self,
        factory: Any,  # noqa: ANN401 - the library has no types
        inputs: Sequence[Pin],
        outputs: Sequence[Pin],
        errors: tuple[type[Exception], ...] = (OSError,),
    ) -> None:
        """Claim the pins. Raises PortError when one is taken."""
        self._factory = factory
        self._errors = errors
        self._outputs = outputs
        self._levels = 0
        self._read_at = -inf
        self._reason = ""
        self._retry_at = -inf
        self._is_closed = False
        self._wanted = {pin.gpio: _inactive(pin) for pin in outputs}
        self._driven: dict[int, bool] = {}
        self._pins: dict[int, Any] = {}
        self._read: list[tuple[int, Any]] = []
        for pin in outputs:
            self._claim(pin).output_with_state(int(_inactive(pin)))
            self._driven[pin.gpio] = _inactive(pin)
        for pin in inputs:
            claimed = self._claim(pin)
            claimed.input_with_pull(GPIOZERO_PULLS[pin.pull])
            self._read.append((pin.gpio, claimed))

    @property
    def read_at(self) -> float:
        """When the levels were read."""
        return self._read_at

    def levels(self) -> int:
        """Bit n: level of GPIO n."""
        return self._levels

    def step(self, now: float) -> None:
        """Read all inputs; drive what could not be driven before."""
        if now < self._retry_at or self._is_closed:
            return
        try:
            for gpio, level in self._wanted.items():
                if self._driven.get(gpio) is not level:
                    self._write(gpio, level)
            levels = 0
            for gpio, pin in self._read:
                levels |= int(pin.state) << gpio
        except self._errors as error:
            self._reason = f"pins: {error}"
            self._retry_at = now + RETRY_S
            return
        self._levels, self._read_at, self._reason = levels, now, ""

    def set(self, gpio: int, level: bool) -> None:
        """Drive an output; what cannot be driven now is driven by `step`."""
        self._wanted[gpio] = level
        if self._is_closed:
            return
        try:
            self._write(gpio, level)
        except self._errors as error:
            self._reason = f"pins: {error}"

    def problem(self) -> str:
        """Say what is wrong, or nothing."""
        return self._reason

    def close(self) -> None:
        """Make the outputs inactive, and give the pins back."""
        for pin in self._outputs:
            self.set(pin.gpio, _inactive(pin))
        self._pins.clear()
        self._read.clear()
        self._reason = "pins: closed"
        if not self._is_closed:
            self._is_closed = True
            with contextlib.suppress(*self._errors):
                self._factory.close()

    def _write(self, gpio: int, level: bool) -> None:
        self._driven.pop(gpio, None)
        self._pins[gpio].state = int(level)
        self._driven[gpio] = level

    def _claim(self, pin: Pin) -> Any:  # noqa: ANN401
        try:
            self._pins[pin.gpio] = self._factory.pin(f"GPIO{pin.gpio}")
        except self._errors as error:
            raise PortError(
                f"GPIO {pin.gpio} ({pin.meaning}): {error}: another program or overlay has it"
            ) from error
        return self._pins[pin.gpio]


def open_lgpio(inputs: Sequence[Pin], outputs: Sequence[Pin]) -> GpiozeroGpio:
    """Claim the pins of the kernel's GPIO chip. Raises PortError with what to do."""
    try:
        lgpio = _import_lgpio()
        from gpiozero import GPIOZeroError
        from gpiozero.pins.lgpio import LGPIOFactory
    except ImportError as error:
        raise PortError(
            "gpio = \"lgpio\" needs the package lgpio: pip install 'ccs-pilot[pi]', or "
            "apt install python3-lgpio"
        ) from error
    errors = (OSError, GPIOZeroError, lgpio.error)
    try:
        factory = LGPIOFactory(chip=_header_chip(lgpio))
        return GpiozeroGpio(factory, inputs, outputs, errors)
    except PortError:
        raise
    except errors as error:
        raise PortError(
            f"/dev/gpiochip: {error}: is this a Raspberry Pi, and the user in the group gpio?"
        ) from error


def _import_lgpio() -> Any:  # noqa: ANN401 - the library has no types
    """Import the library; it makes a pipe in a directory and stays there, which both is undone."""
    before = os.getcwd()
    with tempfile.TemporaryDirectory(prefix="ccs-pilot-") as folder:
        os.environ["LG_WD"] = folder
        try:
            import lgpio
        finally:
            del os.environ["LG_WD"]
            os.chdir(before)
    return lgpio


def _header_chip(lgpio: Any) -> int | None:  # noqa: ANN401
    """Number of the chip behind the 40 pins; None: none of them says so."""
    for number in range(HIGHEST_CHIP + 1):
        if not Path(f"/dev/gpiochip{number}").exists():
            continue
        with contextlib.suppress(lgpio.error):
            handle = lgpio.gpiochip_open(number)
            label = lgpio.gpio_get_chip_info(handle)[3]
            lgpio.gpiochip_close(handle)
            if label in HEADER_LABELS:
                return number
    return None
