"""The loops: real (selector, absolute deadlines) and virtual. The only file that reads a clock.

Cores never ask what time it is; they are told `now`. A `Node` binds a composite core to a loop: it
feeds inputs, records every input and output once, carries the outputs out, and keeps the core's
next deadline at hand. Three ways to make time pass, one way to use it:

- `Loop(MonotonicClock())`: the machine's monotonic clock, for real chargers and cars.
- `Loop(SteppedClock())`: time is handed out by the simulated site, step by step; the loop says when
  it has nothing left to do in a step (`on_idle`, which returns with the next step), so that a slow
  machine makes a run longer instead of making protocol timers expire.
- `SimLoop()`: everything in one process in virtual time, thousands of times faster than real.
"""

from __future__ import annotations

import ctypes
import gc
import os
import select
import selectors
import sys
import time
from collections.abc import Callable
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any, Protocol

from controller.errors import ControllerError

if TYPE_CHECKING:
    from controller.signals import Output

NEVER = float("inf")
LAST = sys.float_info.max
"""The last instant of virtual time."""
STANDSTILL = 10_000
"""Steps at one instant of virtual time; more is a deadline that does not move (a bug of ours)."""

stopwatch = time.perf_counter
"""Wall-clock seconds for measuring our own answer times; never used for protocol timers."""

work_time = time.process_time
"""Seconds that this process has used of a CPU: tells a long turn from a machine that was busy."""

Record = Callable[[float, str, str, Any], None]
"""record(now, node name, "in" or "out", input or output)."""


class Clock(Protocol):
    """Where `now` comes from."""

    def now(self) -> float:
        """Absolute seconds."""

    def wait_s(self, deadline: float) -> float | None:
        """How long a selector may sleep until `deadline`; None: until something is readable."""


class MonotonicClock:
    """The machine's monotonic clock."""

    def now(self) -> float:
        """Absolute monotonic seconds."""
        return time.monotonic()

    def wait_s(self, deadline: float) -> float | None:
        """Seconds left until `deadline`, not below zero."""
        return None if deadline == NEVER else max(0.0, deadline - time.monotonic())


class SteppedClock:
    """A clock that the simulated site advances."""

    def __init__(self, now: float = 0.0) -> None:
        self._now = now

    def now(self) -> float:
        """Absolute seconds of the simulated site."""
        return self._now

    def wait_s(self, deadline: float) -> float | None:
        """No deadline passes by itself: wait for the site."""
        return None

    def advance(self, now: float) -> None:
        """Set the time; it never goes back."""
        self._now = max(self._now, now)


class Core(Protocol):
    """What every core offers besides its `receive_*`."""

    def next_timer(self) -> float | None:
        """Absolute time of the next deadline."""

    def handle_timer(self, now: float) -> list[Output]:
        """Act on deadlines that have passed."""


def no_record(now: float, node: str, direction: str, item: object) -> None:
    """Record nothing."""


class Node:
    """A core in a loop: inputs in, outputs recorded and carried out, its deadline kept at hand."""

    def __init__(
        self,
        name: str,
        core: Core,
        carry_out: Callable[[Output, float], None],
        record: Record = no_record,
    ) -> None:
        self.name = name
        self.core = core
        self.carry_out = carry_out
        self.record = record
        self.next_timer = core.next_timer
        self.deadline = NEVER
        self.rearm()

    def rearm(self) -> None:
        """Read the core's next deadline again (after anything that may have changed it)."""
        deadline = self.next_timer()
        self.deadline = NEVER if deadline is None else deadline

    def feed(self, receive: Callable[..., list[Output]], item: object, now: float) -> list[Output]:
        """Give one input to the core and carry out what it returns."""
        record = self.record
        record(now, self.name, "in", item)
        outputs = receive(item, now)
        if outputs:
            return self.finish(outputs, now)
        next_timer = self.next_timer
        deadline = next_timer()
        self.deadline = NEVER if deadline is None else deadline
        return outputs

    def fire(self, now: float) -> list[Output]:
        """Let the core act on its deadlines."""
        return self.finish(self.core.handle_timer(now), now)

    def finish(self, outputs: list[Output], now: float) -> list[Output]:
        """Record and carry out outputs, then look at the deadline again."""
        name, record, carry_out = self.name, self.record, self.carry_out
        for output in outputs:
            record(now, name, "out", output)
            carry_out(output, now)
        next_timer = self.next_timer
        deadline = next_timer()
        self.deadline = NEVER if deadline is None else deadline
        return outputs


class Timed(Protocol):
    """Anything a loop wakes: a `Node`, a `LoopTimer`, the simulated site."""

    @property
    def deadline(self) -> float:
        """When to wake it; NEVER while there is nothing to do."""

    def fire(self, now: float) -> object:
        """Act; must move `deadline`."""


class LoopTimer:
    """A fixed period with absolute deadlines: never drifts, counts the frames it missed."""

    def __init__(self, period_s: float, frame: Callable[[float], None], start_at: float) -> None:
        self.period_s = period_s
        self.deadline = start_at
        self.overruns = 0
        self.worst_late_s = 0.0
        self._start_at = start_at
        self._frames = 0
        self._frame = frame

    def fire(self, now: float) -> None:
        """Run one frame; frames that are already past are skipped and counted."""
        late_s = now - self.deadline
        self.worst_late_s = max(self.worst_late_s, late_s)
        missed = int(late_s / self.period_s)
        self.overruns += missed
        self._frames += missed + 1
        self.deadline = self._start_at + self._frames * self.period_s
        self._frame(now)


class Scheduler(Protocol):
    """What drivers and simulators need of either loop."""

    def now(self) -> float:
        """Absolute seconds."""

    def call_at(self, when: float, callback: Callable[[float], object]) -> None:
        """Call back once, not before `when`."""

    def add(self, timed: Timed) -> None:
        """Wake this whenever its deadline has come."""


class _Calendar:
    """Nodes with deadlines and one-off calls, shared by both loops."""

    def __init__(self) -> None:
        self._timed: list[Timed] = []
        self._calls: list[tuple[float, int, Callable[[float], object]]] = []
        self._count = 0

    def call_at(self, when: float, callback: Callable[[float], object]) -> None:
        """Call back once, not before `when`; equal times in the order they were asked for."""
        self._count += 1
        heappush(self._calls, (when, self._count, callback))

    def add(self, timed: Timed) -> None:
        """Wake this whenever its deadline has come."""
        self._timed.append(timed)

    def remove(self, timed: Timed) -> None:
        """Stop waking this."""
        self._timed.remove(timed)

    def _due(self) -> tuple[float, Timed | None]:
        """Return the earliest deadline and whose it is (None: a one-off call)."""
        best, who = (self._calls[0][0], None) if self._calls else (NEVER, None)
        for timed in self._timed:
            deadline = timed.deadline
            if deadline < best:
                best, who = deadline, timed
        return best, who


class Loop(_Calendar):
    """The real loop: one thread, a selector, absolute deadlines."""

    def __init__(
        self, clock: Clock | None = None, on_idle: Callable[[float], None] | None = None
    ) -> None:
        super().__init__()
        self.clock: Clock = clock or MonotonicClock()
        self.on_idle = on_idle
        self._selector = selectors.DefaultSelector()
        self._running = False

    def now(self) -> float:
        """Absolute seconds of this loop's clock."""
        return self.clock.now()

    def watch(
        self,
        fd: int,
        readable: Callable[[float], object] | None,
        writable: Callable[[float], object] | None = None,
    ) -> None:
        """Call back when `fd` is readable or writable; both None forgets it."""
        known = fd in self._selector.get_map()
        events = (selectors.EVENT_READ if readable else 0) | (
            selectors.EVENT_WRITE if writable else 0
        )
        if not events:
            if known:
                self._selector.unregister(fd)
        elif known:
            self._selector.modify(fd, events, (readable, writable))
        else:
            self._selector.register(fd, events, (readable, writable))

    def stop(self) -> None:
        """Leave `run` after the present callback."""
        self._running = False

    def run(self) -> None:
        """Run until `stop`; exceptions of callbacks end the loop (they are bugs of ours)."""
        self._running = True
        while self._running:
            self._turn()

    def _turn(self) -> None:
        deadline, who = self._due()
        now = self.clock.now()
        if deadline <= now:
            if who is None:
                heappop(self._calls)[2](now)
            else:
                who.fire(now)
            self._dispatch(0.0)
        elif self.on_idle is None:
            self._dispatch(self.clock.wait_s(deadline))
        elif not self._dispatch(0.0):
            self.on_idle(deadline)
            self._dispatch(0.0)

    def _dispatch(self, timeout_s: float | None) -> bool:
        ready = self._selector.select(timeout_s)
        watched = self._selector.get_map()
        for key, events in ready:
            if watched.get(key.fd) is not key:
                continue  # another callback of this turn has just forgotten or changed it
            readable, writable = key.data
            now = self.clock.now()
            if events & selectors.EVENT_READ and readable:
                readable(now)
            if events & selectors.EVENT_WRITE and writable:
                writable(now)
        return bool(ready)

    def close(self) -> None:
        """Release the selector."""
        self._selector.close()


class SimLoop(_Calendar):
    """Virtual time: jumps from deadline to deadline, never sleeps, the same every time."""

    def __init__(self, now: float = 0.0) -> None:
        super().__init__()
        self._now = now
        self._at_once = 0

    def now(self) -> float:
        """Return virtual seconds."""
        return self._now

    def run(self, until: float, done: Callable[[], bool] | None = None) -> float:
        """Run to virtual time `until`, or until `done()`; returns the time reached."""
        calls, everyone, last = self._calls, self._timed, min(until, LAST)
        now = self._now
        while True:
            deadline, who = calls[0][0] if calls else NEVER, None
            for timed in everyone:
                at = timed.deadline
                if at < deadline:
                    deadline, who = at, timed
            if deadline > last:
                break
            if deadline > now:
                self._now = now = deadline
                self._at_once = 0
            else:
                self._stand_still(who)
            if who is None:
                heappop(calls)[2](now)
            else:
                who.fire(now)
            if done is not None and done():
                return now
        self._now = max(now, until)
        return self._now

    def _stand_still(self, who: Timed | None) -> None:
        self._at_once += 1
        if self._at_once >= STANDSTILL:
            raise ControllerError(f"time stands still at {self._now:.6f} s because of {who!r}")


class _Timespec(ctypes.Structure):
    _fields_ = (("tv_sec", ctypes.c_long), ("tv_nsec", ctypes.c_long))


TIMER_ABSTIME = 1
"""Linux, bits/time.h."""


class PreciseClock:
    """The monotonic clock for a hard-timed period: sleeps to an instant, not for a while.

    The kernel gets the instant itself, so what happens between looking at the clock and going to
    sleep is not added to it: at a 1 ms period that is a factor of seven in p99.9 against
    `time.sleep`. A step of the wall clock moves nothing here.
    """

    def __init__(self) -> None:
        self._sleep = ctypes.CDLL(None).clock_nanosleep
        self._sleep.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]
        self._until = _Timespec()
        self._address = ctypes.addressof(self._until)

    def now_ns(self) -> int:
        """Nanoseconds of the monotonic clock."""
        return time.monotonic_ns()

    def sleep_until(self, at_ns: int) -> bool:
        """Sleep to an absolute instant; False: a signal ended the sleep early."""
        until = self._until
        until.tv_sec, until.tv_nsec = divmod(at_ns, 1_000_000_000)
        return bool(self._sleep(time.CLOCK_MONOTONIC, TIMER_ABSTIME, self._address, None) == 0)


def wait_readable(fileno: int, until_ns: int) -> int:
    """Sleep to about an instant, or until a descriptor is readable (-1: none); returns the time."""
    left_ms = max(0, until_ns - time.monotonic_ns()) // 1_000_000
    poll = select.poll()
    if fileno >= 0:
        poll.register(fileno, select.POLLIN)
    poll.poll(left_ms)
    return time.monotonic_ns()


def utc_stamp() -> str:
    """Date and time (UTC) for names of files, sortable."""
    return time.strftime("%Y-%m-%dT%H-%M-%SZ", time.gmtime())


def wall_time() -> float:
    """Seconds since 1970, for captures; never for deadlines."""
    return time.time()


def pause(seconds: float) -> None:
    """Sleep while a process sets itself up; never inside a loop."""
    time.sleep(seconds)


# --- the real-time process --------------------------------------------------------------------

MCL_CURRENT, MCL_FUTURE = 1, 2
"""mlockall flags (Linux, bits/mman.h)."""


def go_first(priority: int) -> list[str]:
    """Run this process before ordinary work (SCHED_FIFO); returns what was refused, in words.

    All its threads: one that is overtaken while it holds the interpreter's lock stops the others.
    """
    try:
        for thread in os.listdir("/proc/self/task"):
            os.sched_setscheduler(int(thread), os.SCHED_FIFO, os.sched_param(priority))
    except OSError:
        return ["no SCHED_FIFO (run as a service or with CAP_SYS_NICE)"]
    return []


def come_early(nice: int) -> list[str]:
    """Run before ordinary work without being hard-timed; returns what was refused, in words."""
    try:
        os.setpriority(os.PRIO_PROCESS, 0, nice)
    except OSError:
        return [f"not at nice {nice} (run as a service or with CAP_SYS_NICE)"]
    return []


def stay_on(cpu: int) -> list[str]:
    """Run the present thread on this CPU alone; returns what was refused, in words."""
    try:
        os.sched_setaffinity(0, {cpu})
    except (OSError, ValueError, OverflowError):
        here = ", ".join(map(str, sorted(os.sched_getaffinity(0))))
        return [f"not on CPU {cpu}, there is none for it (this process may use {here})"]
    return []


def become_realtime(priority: int = 50, cpu: int = -1) -> list[str]:
    """Harden this process for the fixed period; returns what was refused, in words (may be empty).

    SCHED_FIFO above ordinary work but below the kernel's interrupt threads (50), all memory locked,
    garbage collector frozen and off: a collection takes 13-33 ms with a large heap. With `cpu` it
    also stays on that one.
    """
    refused = go_first(priority)
    if cpu >= 0:
        refused += stay_on(cpu)
    if ctypes.CDLL(None, use_errno=True).mlockall(MCL_CURRENT | MCL_FUTURE) != 0:
        refused.append("memory is not locked (raise LimitMEMLOCK)")
    gc.collect()
    gc.freeze()
    gc.disable()
    return refused


def freeze_garbage() -> None:
    """Move the start-up heap out of the collector's sight (pauses 13-33 ms become < 0.1 ms)."""
    gc.collect()
    gc.freeze()
