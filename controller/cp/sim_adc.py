"""The converters behind the peak detectors, simulated register by register: ADS1115 and MCP3208.

Whoever has a bus puts them behind it: the simulated pigpio daemon, a test. A model is told the time
with every transfer; what its inputs carry it asks of `voltage(input, at)`, at the end of each
conversion: never later than the `now` of the transfer, and never going back. Noise comes from the
injected `rng`; without one there is none. Faults are attributes (`gain`, `offset_v`, `supply_v`).
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf

from controller.plc.sim import noise_of

Rng = Callable[[int], bytes]
Voltage = Callable[[int, float], float]
"""Volts at an input against ground, at a time."""

# --- ADS1115: Texas Instruments, data sheet SBAS444, sections 7 and 8 ----------------------------
CONVERSION, CONFIG, LOW_THRESHOLD, HIGH_THRESHOLD = range(4)
"""Registers, chosen by the first byte of a write."""
CONFIG_AT_POWER_ON = 0x8583
OS_BIT, SINGLE_SHOT_BIT = 0x8000, 0x0100
FULL_SCALE_V = (6.144, 4.096, 2.048, 1.024, 0.512, 0.256, 0.256, 0.256)
RATE_PER_S = (8, 16, 32, 64, 128, 250, 475, 860)
MUX = ((0, 1), (0, 3), (1, 3), (2, 3), (0, None), (1, None), (2, None), (3, None))
WAKE_UP_S = 25e-6
"""From power-down to the start of a single conversion."""
COMPARATOR_OFF = 3


class SimAds1115:
    """An ADS1115 as its I2C master sees it.

    A conversion takes 1 / data rate, `slow` times as long (data sheet: +-10 %). In continuous mode
    a new configuration holds from the conversion after the one that runs. Not modelled: the
    latching comparator, general-call reset, the high-speed mode.
    """

    def __init__(
        self,
        voltage: Voltage,
        *,
        rng: Rng | None = None,
        noise_v: float = 0.0002,
        supply_v: float = 3.3,
    ) -> None:
        self.gain = 1.0
        self.offset_v = 0.0
        self.slow = 1.0
        self.noise_v = noise_v
        self.supply_v = supply_v
        self._voltage = voltage
        self._noise = noise_of(rng)
        self._pointer = CONVERSION
        self._registers = [0x0000, CONFIG_AT_POWER_ON, 0x8000, 0x7FFF]
        self._running = CONFIG_AT_POWER_ON
        """The configuration with which the present conversion was begun."""
        self._done_at = inf
        self._beyond = 0
        """Conversions in a row beyond the threshold (comparator)."""
        self._asserted = False

    def write(self, data: bytes, now: float) -> None:
        """Take one write: pointer, and with two more bytes the register."""
        self._convert(now)
        if not data:
            return
        self._pointer = data[0] & 0b11
        if len(data) < 3 or self._pointer == CONVERSION:
            return
        word = data[1] << 8 | data[2]
        if self._pointer == CONFIG:
            self._configure(word, now)
        else:
            self._registers[self._pointer] = word

    def read(self, count: int, now: float) -> bytes:
        """Answer one read of the chosen register; beyond its two bytes the bus stays high."""
        self._convert(now)
        word = self._registers[self._pointer]
        if self._pointer == CONFIG:
            busy = self._done_at < inf
            word = word & ~OS_BIT | (0 if busy else OS_BIT)
        return (word.to_bytes(2, "big") + b"\xff" * count)[:count]

    def alert(self, now: float) -> bool:
        """Level of the pin ALERT/RDY with a pull-up.

        As "conversion ready" (high threshold negative, low one not) it is asserted from the end of
        a single conversion to the next start; the 8 us pulse of continuous mode is not modelled.
        """
        self._convert(now)
        config = self._registers[CONFIG]
        active_high = bool(config & 0x0008)
        if config & 0b11 == COMPARATOR_OFF:
            return True  # high impedance
        if self._is_ready_pin:
            return (self._done_at == inf) is active_high
        return self._asserted is active_high

    # --- inside ---------------------------------------------------------------------------------

    @property
    def _is_ready_pin(self) -> bool:
        low, high = self._registers[LOW_THRESHOLD], self._registers[HIGH_THRESHOLD]
        return bool(high & 0x8000) and not low & 0x8000

    def _configure(self, word: int, now: float) -> None:
        self._registers[CONFIG] = word
        if self._done_at < inf:
            return  # the conversion that runs is finished first, a further start is not heard
        if word & SINGLE_SHOT_BIT and not word & OS_BIT:
            return
        self._begin(now + WAKE_UP_S)

    def _begin(self, at: float) -> None:
        self._running = self._registers[CONFIG]
        self._done_at = at + self.slow / RATE_PER_S[self._running >> 5 & 0b111]

    def _convert(self, now: float) -> None:
        """Finish what is finished by now; of a long row of conversions only the last ones count."""
        queue = 8  # more than the comparator's queue
        while self._done_at <= now:
            at = self._done_at
            self._finish(at)
            if self._registers[CONFIG] & SINGLE_SHOT_BIT:
                self._done_at = inf
                return
            self._begin(at)
            skipped = int((now - self._done_at) / (self._done_at - at)) - queue
            if skipped > 0:
                self._done_at += skipped * (self._done_at - at)

    def _finish(self, at: float) -> None:
        positive, negative = MUX[self._running >> 12 & 0b111]
        volts = self._input(positive, at) - (0.0 if negative is None else self._input(negative, at))
        volts = volts * self.gain + self.offset_v + next(self._noise) * self.noise_v
        full_scale = FULL_SCALE_V[self._running >> 9 & 0b111]
        code = max(-32768, min(32767, round(volts / full_scale * 32768)))
        self._registers[CONVERSION] = code & 0xFFFF
        self._compare(code)

    def _input(self, number: int, at: float) -> float:
        """Clamp as the protection diodes do."""
        return max(-0.3, min(self.supply_v + 0.3, self._voltage(number, at)))

    def _compare(self, code: int) -> None:
        config = self._registers[CONFIG]
        low, high = (_signed(self._registers[r]) for r in (LOW_THRESHOLD, HIGH_THRESHOLD))
        if config & 0x0010:  # window
            beyond = not low <= code <= high
        else:  # traditional: asserted above the high threshold, until below the low one
            beyond = code > high or (self._asserted and code >= low)
        self._beyond = self._beyond + 1 if beyond else 0
        needed = (1, 2, 4, inf)[config & 0b11]
        self._asserted = beyond and (self._asserted or self._beyond >= needed)


def _signed(word: int) -> int:
    return word - 0x10000 if word & 0x8000 else word


# --- MCP3208: Microchip, data sheet DS21298, section 5 -------------------------------------------
MCP3208_STEPS = 4096


class SimMcp3208:
    """An MCP3208 as its SPI master sees it (mode 0,0 or 1,1); converts within the transfer.

    Bit by bit: leading zeros, start bit, single-ended, D2 D1 D0, one clock to sample, a null bit,
    twelve bits from the highest, the same again from the lowest, then zeros. While the part does
    not drive its output the line reads high.
    """

    def __init__(
        self,
        voltage: Voltage,
        *,
        rng: Rng | None = None,
        noise_v: float = 0.0004,
        reference_v: float = 3.3,
    ) -> None:
        self.gain = 1.0
        self.offset_v = 0.0
        self.noise_v = noise_v
        self.reference_v = reference_v
        self._voltage = voltage
        self._noise = noise_of(rng)

    def transfer(self, data: bytes, now: float) -> bytes:
        """Exchange bytes while the chip is selected."""
        sent = [byte >> shift & 1 for byte in data for shift in range(7, -1, -1)]
        start = sent.index(1) if 1 in sent else len(sent)
        answer = [1] * len(sent)
        if start + 5 < len(sent):
            code = self._code(sent[start + 1], sent[start + 2 : start + 5], now)
            bits = [code >> shift & 1 for shift in range(11, -1, -1)]
            driven = [0, *bits, *reversed(bits[:-1])]
            tail = [*driven, *[0] * len(sent)]
            answer[start + 6 :] = tail[: max(0, len(sent) - start - 6)]
        return bytes(
            sum(bit << 7 - place for place, bit in enumerate(answer[at : at + 8]))
            for at in range(0, len(answer), 8)
        )

    def _code(self, single: int, select: list[int], now: float) -> int:
        number = select[0] << 2 | select[1] << 1 | select[2]
        volts = self._input(number, now)
        if not single:  # pairs: 0 against 1, 1 against 0, 2 against 3, ...
            volts -= self._input(number ^ 1, now)
        volts = volts * self.gain + self.offset_v + next(self._noise) * self.noise_v
        return max(0, min(MCP3208_STEPS - 1, int(volts / self.reference_v * MCP3208_STEPS)))

    def _input(self, number: int, at: float) -> float:
        return max(-0.6, min(self.reference_v + 0.6, self._voltage(number, at)))
