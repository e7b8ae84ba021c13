"""Who is told what: notification handles, watchdogs, events, keep-alives (core).

Levels are sampled every 5 us and reported about once a millisecond, all changes since the last
time at once, each with the tick of its sample. What is watched and does not move costs nothing.

The client takes the levels it compares with from the bank it read when it connected, and then from
reports alone. So a daemon that only reports watched pins makes it miss the first edge of one that
changed in between (pigpio issues 226 and 516: "first press lost"). Unless `lost_first_edge` asks
for that, a handle is also told when a pull or a mode changed a level, and while it watches nothing
at all, of every change.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from controller.pigpiod.courses import NS
from controller.pigpiod.filters import PinFilter
from controller.pigpiod.pins import BANK, SAMPLE_NS, Pins
from controller.pigpiod.wire import (
    FLAG_ALIVE,
    FLAG_EVENT,
    FLAG_WATCHDOG,
    HANDLES,
    REPORT,
    USER_GPIOS,
    Status,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

REPORT_NS = 1_000_000
"""Between two looks at the samples."""
BUFFER_NS = 120_000_000
"""Samples are kept for so long, as in the original's buffer; a look that comes later has lost some.
Without a bound, a machine that is too slow for what is watched would fall behind more and more."""
KEEP_ALIVE_NS = 60 * NS
HIGHEST_TIMEOUT_MS = 60_000
HIGHEST_STEADY_US = 300_000
HIGHEST_ACTIVE_US = 1_000_000
EVENTS = 32
BSC_EVENT = 31


class Handle:
    """One client's place to be told at."""

    __slots__ = (
        "bits",
        "client",
        "events",
        "is_fresh",
        "is_paused",
        "reported_at",
        "sequence",
        "told",
    )

    def __init__(self, client: int, levels: int, at: int) -> None:
        self.client = client
        self.bits = 0
        self.events = 0
        self.sequence = 0
        self.reported_at = at
        self.told = levels
        """Levels that the client believes in."""
        self.is_fresh = True
        """It never asked for any pin."""
        self.is_paused = False


class Notifier:
    """All handles. Methods that may have something to tell return (client, bytes)."""

    def __init__(self, pins: Pins, tick_offset_us: int, *, lost_first_edge: bool = False) -> None:
        self._pins = pins
        self._offset_us = tick_offset_us
        self._lost_first_edge = lost_first_edge
        self._handles: list[Handle | None] = [None] * HANDLES
        self._watched = 0
        self._reported = 0
        """Levels of the watched pins, as filtered."""
        self._seen = 0
        """The same before the filters."""
        self._levels = 0
        """All levels at the last look."""
        self._sampled_at = 0
        self._filters: dict[int, PinFilter] = {}
        self._timeouts: dict[int, tuple[int, int]] = {}
        """GPIO -> watchdog's timeout, and since when the pin is quiet."""
        self._fired = 0
        self._fired_at = 0

    def tick(self, at: int) -> int:
        """Microseconds as clients count them: 32 bits, wraps after 71.6 minutes."""
        return at // 1000 + self._offset_us & 0xFFFFFFFF

    # --- commands -------------------------------------------------------------------------------

    def open(self, client: int, at: int) -> int:
        """Give a client a handle; one it had before is closed."""
        free = next((n for n, handle in enumerate(self._handles) if handle is None), None)
        if free is None:
            return Status.NO_HANDLE
        self.close_all_of(client, at)
        self._handles[free] = Handle(client, self._pins.levels(at) & BANK, at)
        return free

    def begin(self, number: int, bits: int, at: int) -> int:
        """Tell this handle of these pins from now on."""
        handle = self._handle(number)
        if handle is None:
            return Status.BAD_HANDLE
        handle.bits = bits
        handle.is_fresh = handle.is_paused = False
        self._watch(at)
        return 0

    def pause(self, number: int, at: int) -> int:
        """Tell this handle nothing until it begins again."""
        status = self.begin(number, 0, at)
        handle = self._handle(number)
        if handle is not None:
            handle.is_paused = True
        return status

    def close(self, number: int, at: int) -> int:
        """Give a handle back."""
        if self._handle(number) is None:
            return Status.BAD_HANDLE
        self._handles[number] = None
        self._watch(at)
        return 0

    def close_all_of(self, client: int, at: int) -> None:
        """Forget a client."""
        for number, handle in enumerate(self._handles):
            if handle is not None and handle.client == client:
                self._handles[number] = None
        self._watch(at)

    def monitor_events(self, number: int, bits: int) -> int:
        """Tell this handle of these events."""
        handle = self._handle(number)
        if handle is None:
            return Status.BAD_HANDLE
        handle.events = bits
        return 0

    def trigger_event(self, event: int, at: int) -> int:
        """Let an event happen."""
        if event >= EVENTS:
            return Status.BAD_EVENT_ID
        self._fired |= 1 << event
        self._fired_at = at
        return 0

    def set_watchdog(self, gpio: int, timeout_ms: int, at: int) -> int:
        """Report the pin again and again while it is quiet for so long; 0 ends it."""
        if gpio >= USER_GPIOS:
            return Status.BAD_USER_GPIO
        if timeout_ms > HIGHEST_TIMEOUT_MS:
            return Status.BAD_WDOG_TIMEOUT
        if timeout_ms:
            self._timeouts[gpio] = (timeout_ms * 1_000_000, at)
        else:
            self._timeouts.pop(gpio, None)
        return 0

    def set_glitch_filter(self, gpio: int, steady_us: int, at: int) -> int:
        """Report only levels that last; 0 ends it."""
        if gpio >= USER_GPIOS:
            return Status.BAD_USER_GPIO
        if steady_us > HIGHEST_STEADY_US:
            return Status.BAD_FILTER
        self._filters.setdefault(gpio, PinFilter()).steady_glitch = _in_samples(steady_us)
        self._restart_filter(gpio, at)
        return 0

    def set_noise_filter(self, gpio: int, steady_us: int, active_us: int, at: int) -> int:
        """Report for a while after a steady time; 0 ends it."""
        if gpio >= USER_GPIOS:
            return Status.BAD_USER_GPIO
        if steady_us > HIGHEST_STEADY_US or active_us > HIGHEST_ACTIVE_US:
            return Status.BAD_FILTER
        pin_filter = self._filters.setdefault(gpio, PinFilter())
        pin_filter.steady_noise, pin_filter.active_noise = steady_us * 1000, active_us * 1000
        self._restart_filter(gpio, at)
        return 0

    # --- telling --------------------------------------------------------------------------------

    def next_timer(self) -> int | None:
        """When there will be something to tell, on the next whole millisecond."""
        due = [self._fired_at] if self._fired else []
        edge = self._pins.next_edge(self._sampled_at)
        if edge is not None:
            due.append(edge)
        for gpio in _bits(self._watched):
            timer = self._filters[gpio].next_timer() if gpio in self._filters else None
            if timer is not None:
                due.append(timer)
            if gpio in self._timeouts:
                timeout, since = self._timeouts[gpio]
                due.append(since + timeout)
        due += [handle.reported_at + KEEP_ALIVE_NS for handle in self._handles if handle]
        return -(-min(due) // REPORT_NS) * REPORT_NS if due else None

    def handle_timer(self, at: int) -> list[tuple[int, bytes]]:
        """Look at all samples up to `at`, and tell."""
        sample = at - at % SAMPLE_NS
        before = self._reported
        changes = self._changes(sample)
        others = self._pins.levels(sample) & BANK & ~self._watched
        reports: list[tuple[int, int, int]] = []
        for when, gpio, level in changes:
            if not reports or reports[-1][0] != when:
                reports.append((when, before | others, 0))
            before = before & ~(1 << gpio) | level << gpio
            reports[-1] = (when, before | others, reports[-1][2] | 1 << gpio)
        self._reported, self._sampled_at = before, sample
        self._levels = before | others
        self._pins.looked(sample)
        expired = self._expired(changes, sample)
        fired, self._fired = self._fired, 0
        return [
            (handle.client, data)
            for handle in self._handles
            if handle and (data := self._report(handle, reports, expired, fired, sample))
        ]

    def tell_unwatched(self, at: int, *, reconfigured: bool) -> list[tuple[int, bytes]]:
        """Correct what clients believe of pins they do not watch (see above)."""
        if self._lost_first_edge:
            return []
        told = []
        levels: int | None = None
        for handle in self._handles:
            if handle is None or handle.is_paused or not (handle.is_fresh or reconfigured):
                continue
            levels = self._pins.levels(at) & BANK if levels is None else levels
            believed = handle.told & handle.bits | levels & ~handle.bits
            if believed != handle.told:
                data = self._pack(handle, 0, at, believed)
                handle.told, handle.reported_at = believed, at
                told.append((handle.client, data))
        return told

    # --- inside ---------------------------------------------------------------------------------

    def _handle(self, number: int) -> Handle | None:
        return self._handles[number] if number < HANDLES else None

    def _watch(self, at: int) -> None:
        watched = 0
        for handle in self._handles:
            watched |= handle.bits if handle else 0
        new = watched & ~self._watched
        self._watched = watched
        self._pins.watch(watched)
        levels = self._pins.levels(at)
        self._reported = self._reported & watched & ~new | levels & new
        self._seen = self._seen & watched & ~new | levels & new
        for gpio in _bits(new):
            if gpio in self._filters:
                self._restart_filter(gpio, at)

    def _restart_filter(self, gpio: int, at: int) -> None:
        """Begin from what is reported; a filter that is off lets the real level show at once."""
        self._filters[gpio].restart(self._pins.read(gpio, at), at - at % SAMPLE_NS)
        if self._watched >> gpio & 1:
            level = self._pins.read(gpio, at)
            self._reported = self._reported & ~(1 << gpio) | level << gpio

    def _changes(self, sample: int) -> list[tuple[int, int, int]]:
        """(time, GPIO, level) of all watched pins since the last look, in order."""
        found: list[tuple[int, int, int]] = []
        kept_from = sample - BUFFER_NS
        has_lost = self._sampled_at < kept_from
        after = kept_from if has_lost else self._sampled_at
        for gpio in _bits(self._watched):
            pin_filter = self._filters.get(gpio)
            edges = self._pins.look(gpio, after, sample)
            if has_lost:
                level = self._pins.read(gpio, after)
                if level != self._seen >> gpio & 1:
                    edges.insert(0, (after, level))
            if edges:
                self._seen = self._seen & ~(1 << gpio) | edges[-1][1] << gpio
            if pin_filter is not None and pin_filter.is_set:
                edges = pin_filter.put(edges, sample)
            found += [(when, gpio, level) for when, level in edges]
        found.sort()
        return found

    def _expired(self, changes: list[tuple[int, int, int]], sample: int) -> int:
        """Watchdogs that have run out, as a mask."""
        if not self._timeouts:
            return 0
        for when, gpio, _ in changes:
            if gpio in self._timeouts:
                timeout, since = self._timeouts[gpio]
                self._timeouts[gpio] = (timeout, max(since, when))
        expired = 0
        for gpio, (timeout, since) in self._timeouts.items():
            if sample - since >= timeout:
                self._timeouts[gpio] = (timeout, sample)
                expired |= 1 << gpio
        return expired

    def _report(
        self,
        handle: Handle,
        reports: list[tuple[int, int, int]],
        expired: int,
        fired: int,
        sample: int,
    ) -> bytes:
        data = b""
        for when, levels, changed in reports:
            if changed & handle.bits:
                data += self._pack(handle, 0, when, levels)
                handle.told = levels
        levels = self._levels
        for gpio in _bits(expired & handle.bits):
            data += self._pack(handle, FLAG_WATCHDOG | gpio, sample, levels)
        for event in _bits(fired & handle.events):
            data += self._pack(handle, FLAG_EVENT | event, sample, levels)
        if not data and sample - handle.reported_at >= KEEP_ALIVE_NS:
            data = self._pack(handle, FLAG_ALIVE, sample, levels)
        if data:
            handle.reported_at = sample
        return data

    def _pack(self, handle: Handle, flags: int, at: int, levels: int) -> bytes:
        sequence = handle.sequence
        handle.sequence = sequence + 1 & 0xFFFF
        return REPORT.pack(sequence, flags, self.tick(at), levels)


def _in_samples(micros: int) -> int:
    """Microseconds as nanoseconds of whole samples, rounded up."""
    return -(-micros * 1000 // SAMPLE_NS) * SAMPLE_NS


def _bits(word: int) -> Iterator[int]:
    """Numbers of the bits that are set."""
    while word:
        lowest = word & -word
        yield lowest.bit_length() - 1
        word ^= lowest
