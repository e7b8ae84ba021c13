"""The charger's pilot from the pigpio daemon: `hardware_PWM`, made by the Pi's PWM block.

The block runs by itself: exactly 1 kHz (250,000 steps of 4 ns; 375,000 on a Pi 4), no jitter from
software, and 0 % and 100 % are steady levels. It needs the daemon's sampling clock on PCM
(`pigpiod -t 1`, the default; `-t 0` takes the PWM block away) and no analogue audio, which uses the
same block. What is driven outlives the daemon and this program: that is what the external watchdog
is for. So a daemon that is gone means that nobody knows what the pilot carries.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any

from controller.errors import ConfigError, PortError
from controller.port import LastWish
from controller.signals import DUTY_STEADY_HIGH, DUTY_STEADY_LOW, DutyCycle

if TYPE_CHECKING:
    from controller.pigpio_link import PigpioLink

HARDWARE_PWM_GPIO = (12, 13, 18, 19)
FREQUENCY_HZ = 1000
FULL_DUTY = 1_000_000
VERIFY_S = 0.25
"""How often the daemon is asked what it drives: another client may have changed it."""
DUTY_TOLERANCE = 10
"""Of a million: the daemon rounds to a step of its clock and back."""
FREQUENCY_TOLERANCE_HZ = 5


class PigpioPilot:
    """`PilotPort` on the daemon's hardware PWM."""

    def __init__(self, link: PigpioLink, gpio: int) -> None:
        if gpio not in HARDWARE_PWM_GPIO:
            raise ConfigError(
                f"pilot_pwm on GPIO {gpio}: the pigpio daemon makes hardware PWM on GPIO "
                f"{', '.join(str(pin) for pin in HARDWARE_PWM_GPIO)} only"
            )
        self._link = link
        self._gpio = gpio
        self._duty = FULL_DUTY
        self._generation = 0
        """The connection over which the present duty was driven; 0: it must be driven anew."""
        self._verify_at = -inf
        self._refusal = f"pilot on GPIO {gpio}: not driven yet"

    def set_duty(self, duty: DutyCycle) -> None:
        """Drive the pilot; what is no fraction is steady +12 V."""
        valid = DUTY_STEADY_LOW <= duty <= DUTY_STEADY_HIGH
        self._duty = round((duty if valid else DUTY_STEADY_HIGH) * FULL_DUTY)
        self._drive()

    def step(self, now: float) -> None:
        """Drive anew after the link was away; ask now and then what is driven."""
        if self._generation != self._link.generation:
            if self._link.is_up:
                self._drive()
        elif now >= self._verify_at and self._link.is_up:
            self._verify_at = now + VERIFY_S
            self._verify()

    @property
    def is_known(self) -> bool:
        """Whether the daemon lives and drives what it was told."""
        return self._link.is_up and self._generation == self._link.generation

    def problem(self) -> str:
        """Say why the pilot is not known, or nothing."""
        return self._link.problem() or self._refusal

    def close(self) -> None:
        """Leave steady +12 V; the block goes on by itself."""
        self.set_duty(DUTY_STEADY_HIGH)

    def last_wish(self) -> LastWish:
        """Steady +12 V."""
        return LastWish(self._link.address, pwm=((self._gpio, FREQUENCY_HZ, FULL_DUTY),))

    # --- inside ---------------------------------------------------------------------------------

    def _drive(self) -> None:
        def command(pi: Any) -> None:  # noqa: ANN401 - the library has no types
            pi.hardware_PWM(self._gpio, FREQUENCY_HZ, self._duty)

        self._generation = 0
        try:
            self._link.ask(command)
        except PortError as error:
            self._refused(error)
            return
        self._generation = self._link.generation
        self._refusal = ""

    def _verify(self) -> None:
        def command(pi: Any) -> tuple[int, int]:  # noqa: ANN401 - the library has no types
            return pi.get_PWM_dutycycle(self._gpio), pi.get_PWM_frequency(self._gpio)

        try:
            duty, frequency_hz = self._link.ask(command)
        except PortError as error:
            self._generation = 0
            self._refused(error)
            return
        if (
            abs(duty - self._duty) > DUTY_TOLERANCE
            or abs(frequency_hz - FREQUENCY_HZ) > FREQUENCY_TOLERANCE_HZ
        ):
            self._generation = 0
            self._refusal = (
                f"pilot on GPIO {self._gpio}: another program drives it "
                f"({frequency_hz} Hz, {duty / FULL_DUTY:.1%})"
            )

    def _refused(self, error: PortError) -> None:
        """Remember what the daemon said; what is wrong with the link, the link tells."""
        self._refusal = f"pilot on GPIO {self._gpio}: {error}" if self._link.is_up else ""
