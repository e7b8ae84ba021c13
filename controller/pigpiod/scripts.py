"""Scripts: what a client stores and lets run in the daemon (core); a subset.

There are all commands whose arguments are numbers, the arithmetic, jumps, calls and delays. There
are no byte strings, no waiting for GPIOs or events, no shell: such a script is refused when it is
stored (-55), it does not fail later. A script runs at most 1000 instructions a millisecond.
"""

from __future__ import annotations

import operator
import struct
from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple

from controller.pigpiod.wire import BY_NAME, HANDLES, SCRIPT_STATUS, Entry, Request, Status

if TYPE_CHECKING:
    from collections.abc import Callable

    Answer = int | tuple[int, bytes]
    Handler = Callable[[Request, int], Answer]
    Execute = Callable[[Request, int], Answer]

PARAMETERS, VARIABLES, STACK, TAGS = 10, 150, 256, 50
SLICE = 1000
SLICE_NS = 1_000_000
HIGHEST_MICROS, HIGHEST_MILLIS = 1_000_000, 60_000
SHORT = {
    "M": "MODES", "MG": "MODEG", "R": "READ", "W": "WRITE", "P": "PWM", "S": "SERVO", "T": "TICK",
}  # fmt: skip
"""Other names of commands."""
LETTERS = {"MODES": "RW540123", "PUD": "ODU"}
"""Second argument of these, as a letter; its place is its number (modes: the chip's)."""
REFUSED = frozenset({"NOIB", "PROC", "PROCR", "PROCU", "PROCP", "PROCS", "PROCD", "HELP"})


class State(IntEnum):
    """What a script does, as clients are told."""

    INITIALISING = 0
    HALTED = 1
    RUNNING = 2
    WAITING = 3
    FAILED = 4


class Operand(NamedTuple):
    """A number, a variable or a parameter."""

    kind: str
    """number, v or p"""
    number: int


class Instruction(NamedTuple):
    """One instruction; of a jump the operand is where to go."""

    name: str
    operands: tuple[Operand, ...]


ARITHMETIC: dict[str, Callable[[int, int], int]] = {
    "ADD": operator.add,
    "SUB": operator.sub,
    "MLT": operator.mul,
    "DIV": lambda a, n: int(a / n),
    "MOD": lambda a, n: a - n * int(a / n),
    "AND": operator.and_,
    "OR": operator.or_,
    "XOR": operator.xor,
    "RLA": lambda a, n: a << (n & 31),
    "RRA": lambda a, n: a >> (n & 31),
}
JUMPS: dict[str, Callable[[int], bool]] = {
    "JMP": lambda flag: True,
    "JM": lambda flag: flag < 0,
    "JP": lambda flag: flag >= 0,
    "JZ": lambda flag: flag == 0,
    "JNZ": lambda flag: flag != 0,
}
SHAPES = {
    # what follows: n number or variable, s something that is stored to, t tag
    **dict.fromkeys(ARITHMETIC, "n"), **dict.fromkeys(JUMPS, "t"), "CALL": "t", "TAG": "t",
    "CMP": "n", "LDA": "n", "MICS": "n", "MILS": "n", "DCR": "s", "INR": "s", "POP": "s",
    "PUSH": "s", "STA": "s", "XA": "s", "LD": "sn", "RL": "sn", "RR": "sn", "X": "ss",
    "DCRA": "", "INRA": "", "HALT": "", "NOP": "", "POPA": "", "PUSHA": "", "RET": "",
}  # fmt: skip


class _BadScriptError(Exception):
    def __init__(self, status: Status) -> None:
        self.status = status


def parse(text: str) -> list[Instruction]:
    """Read a script. Raises _BadScriptError with what clients are told."""
    words = text.replace(",", " ").split()
    found: list[Instruction] = []
    tags: dict[int, int] = {}
    place = 0
    while place < len(words):
        name = words[place].upper()
        name = SHORT.get(name, name)
        shape = _shape(name)
        arguments = words[place + 1 : place + 1 + len(shape)]
        if len(arguments) < len(shape):
            raise _BadScriptError(Status.BAD_SCRIPT)
        place += 1 + len(shape)
        operands = tuple(
            _operand(word, kind, name) for word, kind in zip(arguments, shape, strict=True)
        )
        if name == "TAG":
            if operands[0].number in tags:
                raise _BadScriptError(Status.DUP_TAG)
            tags[operands[0].number] = len(found)
        else:
            found.append(Instruction(name, operands))
    if len(tags) > TAGS:
        raise _BadScriptError(Status.BAD_SCRIPT)
    return [_resolved(instruction, tags) for instruction in found]


def _shape(name: str) -> str:
    if name in SHAPES:
        return SHAPES[name]
    entry = BY_NAME.get(name)
    if entry is None or name in REFUSED or "bytes" in entry.extension or entry.replies_bytes:
        raise _BadScriptError(Status.BAD_SCRIPT_CMD)
    letter = name in LETTERS
    return "n" * (len(entry.parameters) - letter) + "l" * letter + "n" * len(entry.extension)


def _operand(word: str, kind: str, name: str) -> Operand:
    if kind == "l":
        place = LETTERS[name].find(word.upper())
        if len(word) != 1 or place < 0:
            raise _BadScriptError(Status.BAD_SCRIPT)
        return Operand("number", place)
    first = word[:1].lower()
    if first in ("v", "p") and kind != "t":
        number = _number(word[1:])
        if first == "v" and not 0 <= number < VARIABLES:
            raise _BadScriptError(Status.BAD_VAR_NUM)
        if first == "p" and not 0 <= number < PARAMETERS:
            raise _BadScriptError(Status.BAD_PARAM_NUM)
        return Operand(first, number)
    if kind == "s":
        raise _BadScriptError(Status.BAD_SCRIPT)
    return Operand("number", _number(word))


def _number(word: str) -> int:
    """Decimal, hexadecimal with 0x, octal with 0."""
    try:
        digits = word.lstrip("+-")
        octal = len(digits) > 1 and digits[0] == "0" and digits.isdecimal()
        return int(word, 8 if octal else 0)
    except ValueError:
        raise _BadScriptError(Status.BAD_SCRIPT) from None


def _resolved(instruction: Instruction, tags: dict[int, int]) -> Instruction:
    if instruction.name not in JUMPS and instruction.name != "CALL":
        return instruction
    place = tags.get(instruction.operands[0].number)
    if place is None:
        raise _BadScriptError(Status.BAD_TAG)
    return instruction._replace(operands=(Operand("number", place),))


def _signed(value: int) -> int:
    return (value + 0x80000000 & 0xFFFFFFFF) - 0x80000000


class Script:
    """One script, and where it is."""

    def __init__(self, program: list[Instruction], execute: Execute) -> None:
        self.state = State.HALTED
        self.parameters = [0] * PARAMETERS
        self.due: int | None = None
        """When it goes on."""
        self._program = program
        self._execute = execute
        self._variables = [0] * VARIABLES
        self._stack: list[int] = []
        self._place = self._accumulator = self._flag = 0
        self._waits = False

    def start(self, at: int) -> None:
        """Run from the beginning, unless it runs."""
        if self.state is not State.RUNNING:
            self.state, self.due = State.RUNNING, at
            self._place = self._accumulator = self._flag = 0
            self._stack.clear()

    def stop(self) -> None:
        """Halt."""
        self.state, self.due = State.HALTED, None

    def run(self, at: int) -> None:
        """Go on until it waits, ends, or has had its share of this millisecond."""
        self.due, self._waits = at + SLICE_NS, False
        for _ in range(SLICE):
            if self._place >= len(self._program):
                self.stop()
                return
            instruction = self._program[self._place]
            self._place += 1
            try:
                self._step(instruction, at)
            except (IndexError, ZeroDivisionError):  # stack, or division by zero
                self.state, self.due = State.FAILED, None
            if self._waits or self.state is not State.RUNNING:
                return

    # --- inside ---------------------------------------------------------------------------------

    def _get(self, operand: Operand) -> int:
        if operand.kind == "v":
            return self._variables[operand.number]
        return self.parameters[operand.number] if operand.kind == "p" else operand.number

    def _put(self, operand: Operand, value: int) -> None:
        cells = self._variables if operand.kind == "v" else self.parameters
        cells[operand.number] = _signed(value)

    def _set(self, value: int) -> None:
        self._accumulator = self._flag = _signed(value)

    def _step(self, instruction: Instruction, at: int) -> None:
        name, operands = instruction
        if name in ARITHMETIC:
            self._set(ARITHMETIC[name](self._accumulator, self._get(operands[0])))
        elif name in JUMPS:
            if JUMPS[name](self._flag):
                self._place = operands[0].number
        elif name in ("MICS", "MILS"):
            self._wait(name, self._get(operands[0]), at)
        elif name in SHAPES:
            getattr(self, f"_do_{name.lower()}")(*operands)
        else:
            self._command(BY_NAME[name], [self._get(operand) for operand in operands], at)

    def _wait(self, name: str, count: int, at: int) -> None:
        unit, highest = (1000, HIGHEST_MICROS) if name == "MICS" else (1_000_000, HIGHEST_MILLIS)
        if 0 <= count <= highest:
            self._set(0)
            self.due, self._waits = at + max(1, count * unit), True
        else:
            wrong = Status.BAD_MICS_DELAY if name == "MICS" else Status.BAD_MILS_DELAY
            self._set(wrong)

    def _command(self, entry: Entry, values: list[int], at: int) -> None:
        words = [value & 0xFFFFFFFF for value in values]
        first, second = (*words[: len(entry.parameters)], 0, 0)[:2]
        request = Request(entry.number, first, second, tuple(words[len(entry.parameters) :]), b"")
        answer = self._execute(request, at)
        self._set(answer[0] if isinstance(answer, tuple) else answer)

    def _push(self, value: int) -> None:
        if len(self._stack) >= STACK:
            raise IndexError
        self._stack.append(value)

    def _do_call(self, place: Operand) -> None:
        self._push(self._place)
        self._place = place.number

    def _do_ret(self) -> None:
        self._place = self._stack.pop()

    def _do_cmp(self, other: Operand) -> None:
        self._flag = _signed(self._accumulator - self._get(other))

    def _do_lda(self, value: Operand) -> None:
        self._accumulator = _signed(self._get(value))

    def _do_ld(self, cell: Operand, value: Operand) -> None:
        self._put(cell, self._get(value))

    def _do_sta(self, cell: Operand) -> None:
        self._put(cell, self._accumulator)

    def _count(self, cell: Operand, by: int) -> None:
        self._put(cell, self._get(cell) + by)
        self._flag = self._get(cell)

    def _do_dcr(self, cell: Operand) -> None:
        self._count(cell, -1)

    def _do_inr(self, cell: Operand) -> None:
        self._count(cell, 1)

    def _do_dcra(self) -> None:
        self._set(self._accumulator - 1)

    def _do_inra(self) -> None:
        self._set(self._accumulator + 1)

    def _do_rl(self, cell: Operand, by: Operand) -> None:
        self._put(cell, self._get(cell) << (self._get(by) & 31))
        self._flag = self._get(cell)

    def _do_rr(self, cell: Operand, by: Operand) -> None:
        self._put(cell, self._get(cell) >> (self._get(by) & 31))
        self._flag = self._get(cell)

    def _do_push(self, cell: Operand) -> None:
        self._push(self._get(cell))

    def _do_pusha(self) -> None:
        self._push(self._accumulator)

    def _do_pop(self, cell: Operand) -> None:
        self._put(cell, self._stack.pop())

    def _do_popa(self) -> None:
        self._accumulator = self._stack.pop()

    def _do_x(self, one: Operand, other: Operand) -> None:
        first = self._get(one)
        self._put(one, self._get(other))
        self._put(other, first)

    def _do_xa(self, cell: Operand) -> None:
        before = self._accumulator
        self._accumulator = self._get(cell)
        self._put(cell, before)

    def _do_halt(self) -> None:
        self.stop()

    def _do_nop(self) -> None:
        pass


class Scripts:
    """All scripts of the daemon."""

    def __init__(self, execute: Execute) -> None:
        self._execute = execute
        self._scripts: dict[int, Script] = {}

    def commands(self) -> dict[str, Handler]:
        """What the daemon dispatches here."""
        return {
            "PROC": self._store,
            "PROCD": lambda r, at: (
                0 if self._scripts.pop(r.first, None) is not None else Status.BAD_SCRIPT_ID
            ),
            "PROCR": self._run,
            "PROCU": self._update,
            "PROCS": self._stop,
            "PROCP": self._tell,
        }

    def next_timer(self) -> int | None:
        """When a script goes on."""
        due = [script.due for script in self._scripts.values() if script.due is not None]
        return min(due) if due else None

    def handle_timer(self, at: int) -> None:
        """Let scripts go on."""
        for script in tuple(self._scripts.values()):
            if script.due is not None and script.due <= at:
                script.run(at)

    def _store(self, request: Request, at: int) -> Answer:
        free = next((n for n in range(HANDLES) if n not in self._scripts), None)
        if free is None:
            return Status.NO_SCRIPT_ROOM
        try:
            program = parse(request.data.rstrip(b"\0").decode("latin-1"))
        except _BadScriptError as error:
            return error.status
        self._scripts[free] = Script(program, self._execute)
        return free

    def _update(self, request: Request, at: int) -> Answer:
        count = len(request.data) // 4
        if request.first >= HANDLES:
            return Status.BAD_SCRIPT_ID
        if count > PARAMETERS:
            return Status.TOO_MANY_PARAM
        script = self._scripts.get(request.first)
        if script is None:
            return Status.BAD_SCRIPT_ID
        script.parameters[:count] = struct.unpack_from(f"<{count}i", request.data)
        return 0

    def _run(self, request: Request, at: int) -> Answer:
        updated = self._update(request, at)
        if updated == 0:
            self._scripts[request.first].start(at)
        return updated

    def _stop(self, request: Request, at: int) -> Answer:
        script = self._scripts.get(request.first)
        if script is None:
            return Status.BAD_SCRIPT_ID
        script.stop()
        return 0

    def _tell(self, request: Request, at: int) -> Answer:
        script = self._scripts.get(request.first)
        if script is None:
            return Status.BAD_SCRIPT_ID
        return SCRIPT_STATUS.size, SCRIPT_STATUS.pack(script.state, *script.parameters)
