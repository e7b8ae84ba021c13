"""Parts that the hardware of a charger and of a vehicle unit share: opened once, patiently.

Everything here is done before the fixed period begins: it may wait (for the daemon, for udev), and
raises one line that says what to do.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Protocol

from controller.cp.driver_ads1115 import Ads1115, KernelBus, PigpioBus
from controller.cp.driver_mcp3208 import KernelSpi, Mcp3208, PigpioSpi
from controller.errors import ConfigError, PortError
from controller.loop import MonotonicClock, pause
from controller.pigpio_link import PigpioLink
from controller.power import pins
from controller.power.driver_gpio import PigpioGpio, open_lgpio

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from controller import board as boards
    from controller.cp.port import ConverterPort
    from controller.power.port import GpioPort

START_S = 3.0
"""How long a part may take to be there: a daemon just started, udev after an export."""
STRIDE_S = 0.003
INPUTS = {"ads1115": 4, "mcp3208": 8}


class Time(Protocol):
    """What the start needs of time: the loop's clock, and to wait."""

    def now(self) -> float:
        """Absolute monotonic seconds."""

    def pause(self, seconds: float) -> None:
        """Wait; only before the period begins."""


class RealTime:
    """The machine's."""

    def __init__(self) -> None:
        self._clock = MonotonicClock()

    def now(self) -> float:
        """Absolute monotonic seconds."""
        return self._clock.now()

    def pause(self, seconds: float) -> None:
        """Sleep."""
        pause(seconds)


def one_line(problems: Sequence[str]) -> str:
    """Join problems; what several parts say of the same cause is said once."""
    seen: list[str] = []
    for problem in problems:
        if problem and not any(problem in other or other in problem for other in seen):
            seen.append(problem)
    return "; ".join(seen)


# --- opening -------------------------------------------------------------------------------------


def open_link(address: str, time: Time) -> PigpioLink:
    """Connect to the daemon, patiently as yet. Raises PortError that says what to do."""
    link = PigpioLink(address)
    link.be_patient()
    try:
        wait_until(lambda: link.is_up, link.step, link.problem, time)
    except PortError as error:
        link.close()
        raise PortError(
            f"{error}; on a Pi 5 or Debian 13 there is no such daemon: [hardware] pilot = "
            '"kernel-pwm", gpio = "lgpio", adc_bus = "kernel"'
        ) from error
    return link


def open_gpio(
    which: str, side: boards.Side, link: PigpioLink | None, time: Time, names: Sequence[str]
) -> GpioPort:
    """Claim the pins, outputs (`names`) inactive; `which` as in the file. Raises PortError."""
    inputs = pins.inputs(side.pins)
    outputs = pins.outputs(side.pins, names)
    if which == "lgpio":
        return open_lgpio(inputs, outputs)
    assert link is not None
    gpio = PigpioGpio(link, inputs, outputs)
    gpio.check_free()

    def step(now: float) -> None:
        link.step(now)
        gpio.step(now)

    wait_until(lambda: gpio.read_at > -inf, step, gpio.problem, time)
    return gpio


def open_converter(
    which: str,
    bus_name: str,
    fast: Sequence[int],
    slow: Sequence[int],
    time: Time,
    link: PigpioLink | None,
) -> ConverterPort:
    """Open the converter that the file names; its inputs in the order of their use.

    Raises ConfigError for an input that it does not have, PortError.
    """
    highest = INPUTS[which] - 1
    for channel in (*fast, *slow):
        if channel > highest:
            raise ConfigError(
                f'[hardware] adc = "{which}" has the inputs 0 to {highest}, and the pin map names '
                f"channel {channel}: is the board the one with the other converter?"
            )
    through_daemon = bus_name == "pigpio"
    if which == "ads1115":
        bus = PigpioBus(link) if through_daemon and link is not None else KernelBus()
        return Ads1115(bus, time.now, fast, slow)
    spi = PigpioSpi(link) if through_daemon and link is not None else KernelSpi()
    return Mcp3208(spi, fast, slow)


def wait_until(
    done: Callable[[], bool], step: Callable[[float], None], problem: Callable[[], str], time: Time
) -> None:
    """Step a part until it works. Raises PortError with what it says is wrong."""
    give_up_at = time.now() + START_S
    while True:
        now = time.now()
        step(now)
        if done():
            return
        if now >= give_up_at:
            raise PortError(problem() or "the hardware does not get ready")
        time.pause(STRIDE_S)
