"""Buses for tests: the simulated converters, without a daemon and without a kernel."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from controller.cp.sim_adc import SimAds1115, SimMcp3208


class Clock:
    """The test's own time."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class ModelBus:
    """`WordBus` on the model. Faults: `error`, an errno for every transfer while it is set."""

    def __init__(self, chip: SimAds1115, clock: Clock) -> None:
        self.chip = chip
        self.clock = clock
        self.error = 0
        self.reads: list[int] = []
        self.writes: list[tuple[int, int]] = []
        self.is_closed = False

    def read_word(self, register: int) -> int:
        self._fail()
        self.reads.append(register)
        self.chip.write(bytes((register,)), self.clock())
        return int.from_bytes(self.chip.read(2, self.clock()), "little")

    def write_word(self, register: int, word: int) -> None:
        self._fail()
        self.writes.append((register, word))
        self.chip.write(bytes((register,)) + word.to_bytes(2, "little"), self.clock())

    def close(self) -> None:
        self.is_closed = True

    def _fail(self) -> None:
        if self.error:
            raise OSError(self.error, os.strerror(self.error))


class ModelSpi:
    """`SpiBus` on the model. Faults: `error` as above, `stuck` answers with this byte alone."""

    def __init__(self, chip: SimMcp3208, clock: Clock) -> None:
        self.chip = chip
        self.clock = clock
        self.error = 0
        self.stuck: int | None = None
        self.asked: list[bytes] = []
        self.is_closed = False

    def transfer(self, data: bytes) -> bytes:
        self.asked.append(data)
        if self.error:
            raise OSError(self.error, os.strerror(self.error))
        if self.stuck is not None:
            return bytes((self.stuck,)) * len(data)
        return self.chip.transfer(data, self.clock())

    def close(self) -> None:
        self.is_closed = True


NO_ANSWER = errno.EREMOTEIO
"""What a Raspberry Pi's I2C driver says when no chip acknowledges."""
