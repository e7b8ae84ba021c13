"""The wires between a realtime process under test and the plant: a piece of shared memory.

Like real wires: what was commanded last stays when the process dies, nobody waits for anybody, and
a reading has the time at which it was taken. The plant writes inputs (any signal, as JSON behind a
sequence number that is odd while it writes), the process writes commands (numbers).
"""

from __future__ import annotations

import mmap
import os
import struct
from typing import TYPE_CHECKING

from controller import signals_json
from controller.signals import (
    CloseContactors,
    OpenContactors,
    SetDuty,
    SetOutput,
    SetS2,
    StartIsolationTest,
)

if TYPE_CHECKING:
    from pathlib import Path

    from controller.signals import Output

SIZE = 4096
INPUTS_AT = 1024
EDGES, COILS, DUTY, VOLTAGE, CURRENT, IS_ON, TESTS, S2, SAFE, READS = range(10)
"""Numbers that the process writes, 8 bytes each."""
TRIES = 20
HEAD = struct.Struct("<QQ")


class Wires:
    """One end; both ends map the same file."""

    def __init__(self, path: Path, *, make: bool = False) -> None:
        if make:
            path.write_bytes(bytes(SIZE))
        fd = os.open(path, os.O_RDWR)
        try:
            self._map = mmap.mmap(fd, SIZE)
        finally:
            os.close(fd)
        self._commands = memoryview(self._map)[:INPUTS_AT].cast("d")

    def get(self, index: int) -> float:
        return self._commands[index]

    def set(self, index: int, number: float) -> None:
        self._commands[index] = number

    def add(self, index: int) -> None:
        self._commands[index] += 1.0

    def put_inputs(self, inputs: Output) -> None:
        body = signals_json.encode(inputs)
        sequence, _ = HEAD.unpack_from(self._map, INPUTS_AT)
        HEAD.pack_into(self._map, INPUTS_AT, sequence + 1, 0)
        self._map[INPUTS_AT + HEAD.size : INPUTS_AT + HEAD.size + len(body)] = body
        HEAD.pack_into(self._map, INPUTS_AT, sequence + 2, len(body))

    def take_inputs(self) -> Output | None:
        """What the plant wrote last; None while it has not, or writes just now."""
        for _ in range(TRIES):
            before, length = HEAD.unpack_from(self._map, INPUTS_AT)
            body = self._map[INPUTS_AT + HEAD.size : INPUTS_AT + HEAD.size + length]
            after, _ = HEAD.unpack_from(self._map, INPUTS_AT)
            if before == after and length and before % 2 == 0:
                return signals_json.decode(body)
        return None

    def close(self) -> None:
        self._commands.release()
        self._map.close()


class WiredHardware:
    """`Hardware` at the plant's wires."""

    def __init__(self, path: Path) -> None:
        self._wires = Wires(path)
        self._last: Output | None = None

    def read(self, now: float) -> Output:
        self._wires.add(READS)
        inputs = self._wires.take_inputs()
        if inputs is not None:
            self._last = inputs
        assert self._last is not None, "the plant is to write before the process starts"
        return self._last

    def carry_out(self, command: Output, now: float) -> None:
        wires = self._wires
        if isinstance(command, SetOutput):
            wires.set(VOLTAGE, command.voltage_v)
            wires.set(CURRENT, command.current_a)
            wires.set(IS_ON, command.on)
        elif isinstance(command, SetDuty):
            wires.set(DUTY, command.duty)
        elif isinstance(command, CloseContactors | OpenContactors):
            wires.set(COILS, isinstance(command, CloseContactors))
        elif isinstance(command, SetS2):
            wires.set(S2, command.closed)
        elif isinstance(command, StartIsolationTest):
            wires.add(TESTS)

    def kick(self) -> None:
        self._wires.add(EDGES)

    def problem(self) -> str:
        return ""

    def make_safe(self) -> None:
        for index in (COILS, IS_ON, S2):
            self._wires.set(index, 0.0)
        self._wires.set(DUTY, 1.0)
        self._wires.add(SAFE)

    def close(self) -> None:
        self.make_safe()
        self._wires.close()
