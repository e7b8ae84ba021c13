"""Waveforms: pulses merged in time, sent once, again and again, or in chains with loops (core).

A waveform that is sent becomes a course of each pin it touches, so it costs nothing while nobody
looks. It begins 20 us after the command, as the original's does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from controller.pigpiod.courses import STEADY, Course, Edge, Pattern, Switched
from controller.pigpiod.wire import PULSE, USER_GPIOS, Request, Status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from controller.pigpiod.outputs import Outputs
    from controller.pigpiod.pins import Pins

    Answer = int | tuple[int, bytes]
    Handler = Callable[[Request, int], Answer]

PULSES, MICROS, BLOCKS = 12_000, 1_800_000_000, 25_016
"""Largest waveform: pulses, microseconds; control blocks of all waveforms together."""
WAVES = 250
CHARACTERS = 1200
BAUD = (50, 1_000_000)
DATA_BITS, STOP_HALF_BITS = (1, 32), (2, 8)
LEAD_NS = 20_000
NOT_FOUND, NONE_SENT = 9998, 9999
ONCE, AGAIN, ONCE_SYNC, AGAIN_SYNC = range(4)
CHAIN_COMMAND = 255
CHAIN_BEGIN, CHAIN_END, CHAIN_DELAY, CHAIN_FOREVER = range(4)
CHAIN_NESTING, CHAIN_COUNTERS = 10, 20
CHAIN_PULSES = 50_000
"""Pulses of a chain when all its loops are written out (own figure)."""

Pulse = tuple[int, int, int]
"""On, off, microseconds until the next."""


class Step(NamedTuple):
    """What happens at one time of a waveform."""

    at_us: int
    on: int
    off: int


class Wave(NamedTuple):
    """A waveform that was created."""

    steps: tuple[Step, ...]
    length_us: int
    blocks: int
    size: tuple[int, int]
    """What a deleted waveform must have had to be replaced by this one."""


class _ChainError(Exception):
    def __init__(self, status: Status) -> None:
        self.status = status


def merge(one: list[Step], other: list[Step]) -> list[Step]:
    """Join two waveforms in time; what happens at the same time is one step."""
    merged: list[Step] = []
    first, second = 0, 0
    while first < len(one) or second < len(other):
        takes_one = second >= len(other) or (
            first < len(one) and one[first].at_us <= other[second].at_us
        )
        takes_other = first >= len(one) or (
            second < len(other) and other[second].at_us <= one[first].at_us
        )
        at_us = on = off = 0
        if takes_one:
            at_us, on, off = one[first]
            first += 1
        if takes_other:
            at_us, more_on, more_off = other[second]
            on, off = on | more_on, off | more_off
            second += 1
        merged.append(Step(at_us, on, off))
    return merged


def in_time(pulses: Iterable[Pulse]) -> tuple[list[Step], int]:
    """Turn pulses with delays into steps with times; returns the length, too."""
    steps, now_us = [], 0
    for on, off, delay_us in pulses:
        steps.append(Step(now_us, on, off))
        now_us += delay_us
    return steps, now_us


def blocks_of(steps: list[Step] | tuple[Step, ...], length_us: int) -> int:
    """Count the control blocks: one for each switching, one for each wait."""
    ends = [*(step.at_us for step in steps[1:]), length_us][: len(steps)]
    waits = sum(end > step.at_us for step, end in zip(steps, ends, strict=True))
    return sum(bool(step.on or step.off) for step in steps) + waits


def serial_pulses(
    gpio: int, baud: int, data_bits: int, stop_half_bits: int, offset_us: int, words: list[int]
) -> list[Pulse]:
    """Characters as a UART sends them: idle high, start bit, lowest bit first, stop bits."""
    bit = 1_000_000_000 // baud  # thousandths of a microsecond, as the original has it
    ends = [((count + 1) * bit + 500) // 1000 for count in range(data_bits + 1)]
    ends.append(((data_bits + 1) * bit + stop_half_bits * bit // 2 + 500) // 1000)
    times = [end - begin for begin, end in zip([0, *ends], ends, strict=False)]
    mask = 1 << gpio
    levels = [(1, max(offset_us, times[0]))]
    for word in words:
        bits = [0, *((word >> place) & 1 for place in range(data_bits)), 1]
        for level, length_us in zip(bits, times, strict=True):
            if level == levels[-1][0] and len(levels) > 1:
                levels[-1] = (level, levels[-1][1] + length_us)
            else:
                levels.append((level, length_us))
    return [(mask, 0, us) if level else (0, mask, us) for level, us in levels]


class Waves:
    """All waveforms of the daemon."""

    def __init__(self, pins: Pins, outputs: Outputs) -> None:
        self._pins = pins
        self._outputs = outputs
        outputs.before_hardware_pwm = self.stop
        self._steps: list[Step] = []
        self._length_us = 0
        self._last = (0, 0, 0)
        """Figures of what was added last; a waveform that is made, or cleared, leaves them."""
        self._highest = [0, 0, 0]
        self._waves: list[Wave] = []
        self._deleted: set[int] = set()
        """Their blocks are free only when no later waveform is left."""
        self._sent: int | None = None
        self._begin = self._end = 0
        """Of what is sent; an end of 0: it repeats."""
        self._cycle = 0
        self._touched: set[int] = set()

    def commands(self) -> dict[str, Handler]:
        """What the daemon dispatches here."""
        return {
            "WVCLR": self._clear,
            "WVNEW": self._new,
            "WVAG": self._add_pulses,
            "WVAS": self._add_serial,
            "WVCRE": lambda r, at: self._create(None),
            "WVCAP": lambda r, at: self._create(r.first),
            "WVDEL": lambda r, at: self._delete(r.first),
            "WVTX": lambda r, at: self._send(r.first, ONCE, at),
            "WVTXR": lambda r, at: self._send(r.first, AGAIN, at),
            "WVTXM": lambda r, at: self._send(r.first, r.second, at),
            "WVCHA": self._chain,
            "WVTAT": lambda r, at: self._transmits(at),
            "WVBSY": lambda r, at: int(self._is_busy(at)),
            "WVHLT": self._halt,
            "WVSM": lambda r, at: self._figure(r.first, 0, Status.BAD_WVSM_COMMND),
            "WVSP": lambda r, at: self._figure(r.first, 1, Status.BAD_WVSP_COMMND),
            "WVSC": lambda r, at: self._figure(r.first, 2, Status.BAD_WVSC_COMMND),
            "WVGO": lambda r, at: Status.DEPRECATED,
            "WVGOR": lambda r, at: Status.DEPRECATED,
        }

    # --- building -------------------------------------------------------------------------------

    def _clear(self, request: Request, at: int) -> Answer:
        self._waves.clear()
        self._deleted.clear()
        return self._new(request, at)

    def _new(self, request: Request, at: int) -> Answer:
        self._steps, self._length_us = [], 0
        return 0

    def _add_pulses(self, request: Request, at: int) -> Answer:
        count = len(request.data) // PULSE.size
        if count > PULSES:
            return Status.TOO_MANY_PULSES
        allowed = self._pins.permitted
        pulses: list[Pulse] = list(PULSE.iter_unpack(request.data[: count * PULSE.size]))
        result = self._add([(on & allowed, off & allowed, us) for on, off, us in pulses])
        refused = any((on | off) & ~allowed for on, off, _ in pulses)
        return Status.SOME_PERMITTED if refused and result >= 0 else result

    def _add_serial(self, request: Request, at: int) -> Answer:
        gpio, baud = request.first, request.second
        data_bits, stop, offset_us = request.words
        if gpio < USER_GPIOS and not self._pins.permitted >> gpio & 1:
            return Status.NOT_PERMITTED
        for wrong, status in (
            (gpio >= USER_GPIOS, Status.BAD_USER_GPIO),
            (not BAUD[0] <= baud <= BAUD[1], Status.BAD_WAVE_BAUD),
            (not DATA_BITS[0] <= data_bits <= DATA_BITS[1], Status.BAD_DATABITS),
            (not STOP_HALF_BITS[0] <= stop <= STOP_HALF_BITS[1], Status.BAD_STOPBITS),
            (len(request.data) > CHARACTERS, Status.TOO_MANY_CHARS),
            (offset_us > MICROS, Status.BAD_SER_OFFSET),
        ):
            if wrong:
                return status
        size = 1 if data_bits <= 8 else 2 if data_bits <= 16 else 4
        whole = len(request.data) // size * size
        words = [
            int.from_bytes(request.data[place : place + size], "little")
            for place in range(0, whole, size)
        ]
        if not words:
            return 0
        return self._add(serial_pulses(gpio, baud, data_bits, stop, offset_us, words))

    def _add(self, pulses: list[Pulse]) -> int:
        steps, length_us = in_time(pulses)
        merged = merge(steps, self._steps)
        if len(merged) >= PULSES:
            return Status.TOO_MANY_PULSES
        self._steps, self._length_us = merged, max(length_us, self._length_us)
        self._last = self._figures()
        self._highest = [max(pair) for pair in zip(self._highest, self._last, strict=True)]
        return len(merged)

    def _figures(self) -> tuple[int, int, int]:
        blocks = blocks_of(self._steps, self._length_us)
        return self._length_us, len(self._steps), blocks

    def _figure(self, which: int, kind: int, wrong: Status) -> int:
        if which == 0:
            return self._last[kind]
        if which == 1:
            return self._highest[kind]
        return (MICROS, PULSES, BLOCKS)[kind] if which == 2 else wrong

    def _create(self, percent: int | None) -> int:
        if percent is not None and percent > 100:
            return Status.BAD_PARAM
        if not self._steps:
            return Status.EMPTY_WAVEFORM
        blocks = 1 + blocks_of(self._steps, self._length_us)
        size = (blocks, sum(bool(step.on) + bool(step.off) for step in self._steps))
        if percent is not None:
            if blocks > BLOCKS * percent // 100:
                return Status.TOO_MANY_CBS
            blocks = BLOCKS * percent // 100
            size = (blocks, 0)
        wave = Wave(tuple(self._steps), self._length_us, blocks, size)
        number = self._place(wave)
        if number >= 0:
            self._steps, self._length_us = [], 0
        return number

    def _place(self, wave: Wave) -> int:
        """Put it where a deleted one of the same size was, or behind all others."""
        for number in sorted(self._deleted):
            if self._waves[number].size == wave.size:
                self._waves[number] = wave
                self._deleted.discard(number)
                return number
        if sum(each.blocks for each in self._waves) + wave.blocks > BLOCKS:
            return Status.TOO_MANY_CBS
        if len(self._waves) >= WAVES:
            return Status.NO_WAVEFORM_ID
        self._waves.append(wave)
        return len(self._waves) - 1

    def _delete(self, number: int) -> int:
        if self._wave(number) is None:
            return Status.BAD_WAVE_ID
        self._deleted.add(number)
        while self._waves and len(self._waves) - 1 in self._deleted:
            self._deleted.discard(len(self._waves) - 1)
            self._waves.pop()
        return 0

    def _wave(self, number: int) -> Wave | None:
        exists = number < len(self._waves) and number not in self._deleted
        return self._waves[number] if exists else None

    # --- sending --------------------------------------------------------------------------------

    def _send(self, number: int, mode: int, at: int) -> int:
        wave = self._wave(number)
        if wave is None:
            return Status.BAD_WAVE_ID
        if mode > AGAIN_SYNC:
            return Status.BAD_WAVE_MODE
        begin = at + LEAD_NS
        if mode in (ONCE_SYNC, AGAIN_SYNC) and self._is_busy(at):
            begin = self._end or self._begin + -(-(at - self._begin) // self._cycle) * self._cycle
        else:
            self.stop(at)
        length_ns = wave.length_us * 1000
        if mode in (AGAIN, AGAIN_SYNC) and length_ns:
            self._transmit((), 0, wave.steps, length_ns, begin, at)
        else:
            self._transmit(wave.steps, length_ns, (), 0, begin, at)
        self._sent = number
        return wave.blocks

    def _chain(self, request: Request, at: int) -> Answer:
        self.stop(at)
        try:
            once, again = _Chain(request.data, self._wave).read()
        except _ChainError as error:
            return error.status
        self._transmit(*once, *again, at + LEAD_NS, at)
        self._sent = NOT_FOUND
        return 0

    def _transmit(
        self,
        once: tuple[Step, ...],
        once_ns: int,
        again: tuple[Step, ...],
        again_ns: int,
        begin: int,
        at: int,
    ) -> None:
        """Give every pin its course: once, and then again and again."""
        self._outputs.stop_hardware_pwm(at)
        first, cycle = _by_pin(once), _by_pin(again)
        for gpio in first.keys() | cycle.keys():
            course: Course = self._pins.pins[gpio].latch.settled(at)
            changes = first.get(gpio, ())
            if changes:
                course = Switched(course, begin + changes[0][0], Pattern(begin, changes))
            changes = cycle.get(gpio, ())
            if changes:
                start = begin + once_ns
                course = Switched(course, start + changes[0][0], Pattern(start, changes, again_ns))
            self._pins.set_latch(gpio, course, at)
            self._touched.add(gpio)
        self._begin, self._cycle = begin + once_ns, again_ns
        self._end = 0 if again_ns else begin + once_ns

    def _is_busy(self, at: int) -> bool:
        return self._sent is not None and (not self._end or at < self._end)

    def _transmits(self, at: int) -> int:
        return self._sent if self._sent is not None and self._is_busy(at) else NONE_SENT

    def _halt(self, request: Request, at: int) -> Answer:
        self.stop(at)
        return 0

    def stop(self, at: int) -> None:
        """Leave every pin as it is now."""
        if self._is_busy(at):
            for gpio in self._touched:
                latch = self._pins.pins[gpio].latch
                self._pins.set_latch(gpio, STEADY[latch.level(at)], at)
        self._touched.clear()
        self._sent = None


def _by_pin(steps: tuple[Step, ...]) -> dict[int, tuple[Edge, ...]]:
    """Changes of each pin in nanoseconds; what is switched on and off at once ends up off."""
    changes: dict[int, list[Edge]] = {}
    for at_us, on, off in steps:
        for gpio in range((on | off).bit_length()):
            if not (on | off) >> gpio & 1:
                continue
            level = 0 if off >> gpio & 1 else 1
            course = changes.setdefault(gpio, [])
            if course and course[-1][0] == at_us * 1000:
                course.pop()
            if not course or course[-1][1] != level:
                course.append((at_us * 1000, level))
    return {gpio: tuple(course) for gpio, course in changes.items() if course}


class _Chain:
    """Reads a chain: waveforms and delays written out, with the part that repeats for ever."""

    def __init__(self, data: bytes, wave: Callable[[int], Wave | None]) -> None:
        self._data = data
        self._wave = wave
        self._place = 0
        self._counters = 0
        self._stack: list[int] = []
        """For each open loop where it began, in `_items`."""
        self._items: list[Wave | int] = []
        """Waveforms, and delays in microseconds."""
        self._forever: int | None = None

    def read(self) -> tuple[tuple[tuple[Step, ...], int], tuple[tuple[Step, ...], int]]:
        """Return steps and nanoseconds of what is sent once, and of what repeats."""
        while self._place < len(self._data):
            if self._forever is not None:
                raise _ChainError(Status.BAD_FOREVER)
            number = self._data[self._place]
            if number == CHAIN_COMMAND:
                self._command()
                continue
            self._place += 1
            wave = self._wave(number)
            if wave is None:
                raise _ChainError(Status.BAD_WAVE_ID)
            self._items.append(wave)
            self._check_size()
        split = len(self._items) if self._forever is None else self._forever
        return _written_out(self._items[:split]), _written_out(self._items[split:])

    def _command(self) -> None:
        command = self._take(2)[1]
        if command == CHAIN_BEGIN:
            if len(self._stack) >= CHAIN_NESTING:
                raise _ChainError(Status.CHAIN_NESTING)
            self._stack.append(len(self._items))
        elif command == CHAIN_END:
            self._repeat(int.from_bytes(self._take(2), "little"))
        elif command == CHAIN_DELAY:
            self._items.append(int.from_bytes(self._take(2), "little"))
        elif command == CHAIN_FOREVER:
            self._forever = self._loop()
        else:
            raise _ChainError(Status.BAD_CHAIN_CMD)

    def _take(self, count: int) -> bytes:
        taken = self._data[self._place : self._place + count]
        if len(taken) < count:
            raise _ChainError(Status.BAD_CHAIN_CMD)
        self._place += count
        return taken

    def _loop(self) -> int:
        begin = self._stack.pop() if self._stack else len(self._items)
        if begin == len(self._items):
            raise _ChainError(Status.BAD_CHAIN_LOOP)
        return begin

    def _repeat(self, times: int) -> None:
        self._counters += 1
        if self._counters > CHAIN_COUNTERS:
            raise _ChainError(Status.CHAIN_COUNTER)
        begin = self._loop()
        block = self._items[begin:]
        if times * sum(map(_size, block)) > CHAIN_PULSES:
            raise _ChainError(Status.CHAIN_TOO_BIG)
        self._items[begin:] = block * times
        self._check_size()

    def _check_size(self) -> None:
        if sum(map(_size, self._items)) > CHAIN_PULSES:
            raise _ChainError(Status.CHAIN_TOO_BIG)


def _size(item: Wave | int) -> int:
    return 1 + (len(item.steps) if isinstance(item, Wave) else 0)


def _written_out(items: list[Wave | int]) -> tuple[tuple[Step, ...], int]:
    steps: list[Step] = []
    now_us = 0
    for item in items:
        if isinstance(item, Wave):
            steps += [Step(now_us + at_us, on, off) for at_us, on, off in item.steps]
            now_us += item.length_us
        else:
            now_us += item
    return tuple(steps), now_us * 1000
