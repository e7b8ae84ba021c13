"""ADS1115 behind the peak detectors, over I2C: one conversion after the other, none waited for.

A conversion takes 1.2 ms. `step` fetches the one that is ready and starts the next: high, low,
high, low, and after every tenth pair the slow inputs. Called twice in a period of 5 ms (at its
start and in its middle) both levels are new in every period, the older one 5 ms old when it is
read; called once, in every second one, 10 ms old. A word read and a word written take 0.2 ms at 400
kHz, the bus clock to choose (`dtparam=i2c_arm_baudrate=400000`), and 0.9 ms at 100 kHz.

Only SMBus word transfers are used (the chip's register bytes are the other way round): every bus
has them. Each conversion is started with the whole configuration, so a chip that lost its supply
for a moment goes on rightly; and it is read back now and then, so one that never understood is
found.
"""

from __future__ import annotations

import errno
import fcntl
from itertools import cycle
from math import inf
from typing import TYPE_CHECKING, Protocol

from smbus2 import SMBus

from controller.cp.port import Measured
from controller.errors import PortError
from controller.pigpio_link import PigpioHandle

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from controller.pigpio_link import PigpioLink

ADDRESS = 0x48
"""With the address pin at ground; 0x49 to 0x4B with it at the supply, SDA, SCL."""
CONVERSION, CONFIG = 0, 1
START = 0x8000
READY = 0x8000
"""In the configuration as read: no conversion runs."""
SINGLE_AGAINST_GROUND = 0x4000
RANGE_4V096 = 0x0200
SINGLE_SHOT = 0x0100
RATE_860 = 0x00E0
COMPARATOR_OFF = 0x0003
FULL_SCALE_V = 4.096
CONVERSION_S = 1.1 / 860 + 50e-6
"""The slowest chip (data sheet: +-10 %), and its waking up (25 us)."""
PAIRS_BETWEEN_SLOW = 10
CHECK_EVERY = 21
"""Conversions between two looks at the configuration; odd, so that each input has its turn."""
TRUSTED = 2
"""Conversions in a row whose configuration was read back before anything is believed: two inputs,
so that a part that always says the same is not taken for the converter."""
RETRY_S = (0.0, 0.01, 0.05, 0.25)
"""Pause after a failure, by how many there were in a row: a disturbed transfer is repeated at once,
a bus that hangs (10 ms each time) is left alone."""
SAID_AFTER = 3
"""Failures in a row before it is worth a word: one disturbed transfer is not, 10 ms are."""

I2C_RETRIES, I2C_TIMEOUT = 0x0701, 0x0702
"""ioctl of /dev/i2c-N (linux/i2c-dev.h); the time-out counts in 10 ms, and is 1 s when not set."""


class WordBus(Protocol):
    """SMBus word transfers to one chip; `smbus2.SMBus` bound to an address. Raises OSError."""

    def read_word(self, register: int) -> int:
        """Read two bytes, the first one as the low byte."""

    def write_word(self, register: int, word: int) -> None:
        """Write two bytes, the low one first."""

    def close(self) -> None:
        """Give the bus back."""


class KernelBus:
    """`WordBus` on /dev/i2c-N."""

    def __init__(self, number: int = 1, address: int = ADDRESS) -> None:
        """Open the bus. Raises PortError with what to do."""
        self._address = address
        try:
            self._bus = SMBus(number)
            assert self._bus.fd is not None
            fcntl.ioctl(self._bus.fd, I2C_TIMEOUT, 1)
            fcntl.ioctl(self._bus.fd, I2C_RETRIES, 0)
        except OSError as error:
            raise PortError(f"/dev/i2c-{number}: {_advice(error)}") from error

    def read_word(self, register: int) -> int:
        """Read two bytes, the first one as the low byte."""
        return int(self._bus.read_word_data(self._address, register))

    def write_word(self, register: int, word: int) -> None:
        """Write two bytes, the low one first."""
        self._bus.write_word_data(self._address, register, word)

    def close(self) -> None:
        """Give the bus back."""
        self._bus.close()


def _advice(error: OSError) -> str:
    if error.errno == errno.ENOENT:
        return (
            'not there: add "dtparam=i2c_arm=on,i2c_arm_baudrate=400000" to '
            "/boot/firmware/config.txt and reboot (and load i2c-dev)"
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return "no permission: run as a service, or add the user to the group i2c"
    return error.strerror or str(error)


class PigpioBus:
    """`WordBus` through the pigpio daemon; opens a new handle after the link was away."""

    def __init__(self, link: PigpioLink, number: int = 1, address: int = ADDRESS) -> None:
        self._link = link
        self._handle = PigpioHandle(
            link,
            lambda pi: int(pi.i2c_open(number, address)),
            lambda pi, handle: pi.i2c_close(handle),
        )

    def read_word(self, register: int) -> int:
        """Read two bytes, the first one as the low byte."""
        handle = self._handle.get()
        return int(self._link.ask(lambda pi: pi.i2c_read_word_data(handle, register)))

    def write_word(self, register: int, word: int) -> None:
        """Write two bytes, the low one first."""
        handle = self._handle.get()
        self._link.ask(lambda pi: pi.i2c_write_word_data(handle, register, word))

    def close(self) -> None:
        """Give the handle back."""
        self._handle.close()


def rota(fast: Sequence[int], slow: Sequence[int]) -> Iterator[int]:
    """Yield the inputs in the order in which they are measured, for ever.

    The slow ones come in even numbers, so that a pair begins at the start of a period again.
    """
    slow = [*slow, *slow[: len(slow) % 2]]
    return cycle([*fast] * PAIRS_BETWEEN_SLOW + slow)


def _swapped(word: int) -> int:
    return (word & 0xFF) << 8 | word >> 8 & 0xFF


def configuration(channel: int) -> int:
    """Single conversion of one input against ground, +-4.096 V, 860 a second."""
    return (
        START
        | SINGLE_AGAINST_GROUND
        | channel << 12
        | RANGE_4V096
        | SINGLE_SHOT
        | RATE_860
        | COMPARATOR_OFF
    )


class Ads1115:
    """`ConverterPort` on an ADS1115.

    `clock` is the loop's: the conversion's time runs from the end of the write that started it,
    whenever in a late period that was.
    """

    def __init__(
        self,
        bus: WordBus,
        clock: Callable[[], float],
        fast: Sequence[int],
        slow: Sequence[int] = (),
    ) -> None:
        self._bus = bus
        self._clock = clock
        self._rota = rota(fast, slow)
        self._latest: dict[int, Measured] = {}
        self._running: int | None = None
        """The input whose conversion was started."""
        self._begun_at = self._started_at = -inf
        """Just before, and just after the write that started it."""
        self._until_check = 0
        self._trust = 0
        self._failures = 0
        self._retry_at = -inf
        self._reason = ""

    def step(self, now: float) -> None:
        """Fetch what is ready, start what is next."""
        if now < self._retry_at:
            return
        try:
            if self._running is None:
                self._start(next(self._rota))
            elif self._clock() - self._started_at >= CONVERSION_S:
                self._fetch(self._running)
                self._start(next(self._rota))
        except OSError as error:
            self._fail(now, error)

    def latest(self, channel: int) -> Measured | None:
        """Return the last measurement of an input, however old; None before the first."""
        return self._latest.get(channel)

    def problem(self) -> str:
        """Why nothing new comes; empty when all is well."""
        return self._reason if self._failures >= SAID_AFTER else ""

    def close(self) -> None:
        """Give the bus back."""
        self._bus.close()

    # --- inside ---------------------------------------------------------------------------------

    def _start(self, channel: int) -> None:
        self._begun_at = self._clock()
        self._bus.write_word(CONFIG, _swapped(configuration(channel)))
        self._started_at = self._clock()
        self._running = channel

    def _fetch(self, channel: int) -> None:
        self._until_check -= 1
        if self._trust < TRUSTED or self._until_check <= 0:
            self._check(channel)
            self._until_check = CHECK_EVERY
        word = _swapped(self._bus.read_word(CONVERSION))
        code = word - 0x10000 if word & 0x8000 else word
        if self._trust >= TRUSTED:
            self._latest[channel] = Measured(code * FULL_SCALE_V / 32768, self._begun_at)
            self._failures = 0

    def _check(self, channel: int) -> None:
        seen = _swapped(self._bus.read_word(CONFIG))
        meant = configuration(channel)
        if seen == meant:
            self._trust += 1
            return
        self._trust = 0
        if (seen ^ meant) == READY:
            raise PortError("a conversion does not end")
        raise PortError(
            f"what answers there is no ADS1115: configuration {seen:#06x} instead of {meant:#06x}"
        )

    def _fail(self, now: float, error: OSError) -> None:
        self._running = None
        self._until_check = 0
        self._retry_at = now + RETRY_S[min(self._failures, len(RETRY_S) - 1)]
        self._failures += 1
        if error.errno in (errno.EREMOTEIO, errno.ENXIO, errno.ENODEV):
            self._reason = "ADS1115: no answer on the I2C bus (address 0x48): check its wires"
        elif error.errno == errno.EBUSY:
            self._reason = "ADS1115: a driver of the kernel has it: remove its overlay (ads1115)"
        elif error.errno == errno.ETIMEDOUT:
            self._reason = "ADS1115: the I2C bus hangs (SDA or SCL held low)"
        else:
            self._reason = f"ADS1115: {error.strerror or error}"
