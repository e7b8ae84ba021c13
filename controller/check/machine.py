"""The machine itself (core): software, clock, scheduler, kernel, disk, power, temperature.

Each function judges facts that a driver has read; `None` stands for "cannot be read here", which
is never worse than a warning.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from controller.check.findings import Finding, fail, ok, warn

if TYPE_CHECKING:
    from collections.abc import Sequence

OLDEST_PYTHON = (3, 11)
GOOD_CLOCKS = ("tsc", "kvm-clock", "arch_sys_counter", "hyperv_clocksource_tsc_page")
"""Read in user space, within 0.1 us. Others (hpet, acpi_pm, jiffies) take microseconds or steps."""
COARSEST_CLOCK_S = 1e-6
LEAST_RT_SHARE = 0.5
"""The realtime loop needs a few percent of a processor, its start more."""
LEAST_MEMLOCK = 256 << 20
"""Bytes: a realtime process of ours has about 60 MB mapped."""
FREE_FAIL, FREE_WARN = 50 << 20, 500 << 20
"""Bytes: a session's trace takes 1 to 20 MB."""
WORN = 9
"""Of eMMC: 0x01 is up to 10 % of its life used, 0x0A up to 100 %."""
HOT_C, TOO_HOT_C = 75.0, 82.0
"""A Pi slows down at 80 degrees Celsius (soft limit) and 85."""
UNDER_VOLTAGE, THROTTLED = 0x1, 0x6
"""Bits of the firmware's get_throttled: now; the same 16 bits higher: since the start."""


def python(version: tuple[int, int, int], packages: dict[str, str | None]) -> Finding:
    """Judge the interpreter and what is installed: package -> version, or None if missing."""
    text = ".".join(str(part) for part in version)
    if version[:2] < OLDEST_PYTHON:
        return fail("python", f"Python {text}", "install Python 3.11 or newer")
    missing = [name for name, found in packages.items() if found is None]
    if missing:
        todo = f"pip install {' '.join(missing)}"
        return fail("python", f"Python {text}; missing: {', '.join(missing)}", todo)
    told = ", ".join(f"{name} {found}" for name, found in packages.items())
    return ok("python", f"Python {text}; {told}")


def board(model: str, through_daemon: Sequence[str]) -> Finding:
    """Judge whether this machine can be what the file says; keys that name the pigpio daemon."""
    if not model:
        return ok("board", "no Raspberry Pi: hardware can be simulated only")
    if "Raspberry Pi 5" in model and through_daemon:
        return fail(
            "board",
            f"{model}: the pigpio daemon does not run on it ({', '.join(through_daemon)})",
            '[hardware] pilot = "kernel-pwm", edges = "gpiochip", gpio = "lgpio", '
            'adc_bus = "kernel"',
        )
    return ok("board", model)


def clock(source: str | None, available: str, resolution_s: float) -> Finding:
    """Judge what the monotonic clock is made of."""
    if source is None:
        return warn("clock", "clock source cannot be read", "is /sys mounted?")
    told = f"{source}, resolution {resolution_s * 1e9:g} ns"
    if resolution_s > COARSEST_CLOCK_S:
        return fail("clock", told, "no high-resolution timers: use another kernel")
    if source in GOOD_CLOCKS:
        return ok("clock", told)
    better = next((name for name in available.split() if name in GOOD_CLOCKS), "")
    todo = (
        f"echo {better} > /sys/devices/system/clocksource/clocksource0/current_clocksource"
        if better
        else "slow to read; use another kernel or machine for real charging"
    )
    return warn("clock", told, todo)


def time_of_day(synchronised: bool | None, has_rtc: bool) -> Finding:
    """Judge whether date and time are right: traces and certificates need them."""
    rtc = "with a real-time clock" if has_rtc else "no real-time clock"
    if synchronised is None:
        return warn("time of day", f"not known whether it is right, {rtc}", "see timedatectl")
    if synchronised:
        return ok("time of day", f"synchronised, {rtc}")
    todo = "systemctl enable --now systemd-timesyncd, and give it a network"
    if not has_rtc:
        todo += "; fit a real-time clock if it has none"
    return warn("time of day", f"not synchronised, {rtc}", todo)


@dataclass(frozen=True, slots=True)
class Rights:
    """What the kernel lets this process do."""

    fifo: str
    """Why SCHED_FIFO was refused when it was tried; empty: it was granted."""
    rt_runtime_us: int | None
    rt_period_us: int | None
    memlock: int | None
    """Bytes that may be locked; None: any number."""


def scheduler(rights: Rights, priority: int) -> Finding:
    """Judge whether the realtime process can run before everything else."""
    as_service = "run as a service (boot/ccs-realtime.service), or give it CAP_SYS_NICE"
    if rights.fifo:
        return warn("scheduler", f"SCHED_FIFO {priority} refused: {rights.fifo}", as_service)
    runtime, period = rights.rt_runtime_us, rights.rt_period_us
    told = f"SCHED_FIFO {priority} granted"
    if runtime is not None and period and 0 <= runtime < LEAST_RT_SHARE * period:
        share = runtime / period
        return fail(
            "scheduler",
            f"{told}, but real-time processes get {share:.0%} of the time",
            "sysctl kernel.sched_rt_runtime_us=950000",
        )
    limit = "no limit" if runtime is None or runtime < 0 else f"{runtime / (period or 1):.0%}"
    return ok("scheduler", f"{told}, real-time share: {limit}")


def memory(rights: Rights) -> Finding:
    """Judge whether the realtime process can keep its memory in RAM."""
    if rights.memlock is None or rights.memlock >= LEAST_MEMLOCK:
        told = "any amount" if rights.memlock is None else f"{rights.memlock >> 20} MiB"
        return ok("memory lock", f"{told} may be locked")
    return warn(
        "memory lock",
        f"only {rights.memlock >> 10} KiB may be locked",
        "run as a service (boot/ccs-realtime.service), or raise LimitMEMLOCK",
    )


@dataclass(frozen=True, slots=True)
class Kernel:
    """What kind of kernel runs, on which processors."""

    release: str
    realtime: bool
    cpus: int
    isolated: frozenset[int]
    governors: frozenset[str]


def kernel(facts: Kernel, cpu: int) -> list[Finding]:
    """Judge the kernel and the processor that realtime shall have (-1: any)."""
    if facts.realtime:
        found = [ok("kernel", f"{facts.release}, PREEMPT_RT")]
    else:
        found = [
            warn(
                "kernel",
                f"{facts.release}, not PREEMPT_RT: now and then late by milliseconds",
                "install a real-time kernel (Debian: linux-image-rt-arm64)",
            )
        ]
    slow = facts.governors - {"performance", "schedutil"}
    if slow:
        found.append(
            warn(
                "cpu frequency",
                f"governor {', '.join(sorted(slow))}: slow to speed up",
                "echo performance > /sys/devices/system/cpu/cpu0/cpufreq/scaling_governor",
            )
        )
    return [*found, _cpu(facts, cpu)]


def _cpu(facts: Kernel, cpu: int) -> Finding:
    isolated = ", ".join(str(n) for n in sorted(facts.isolated)) or "none"
    told = f"{facts.cpus} processors, isolated: {isolated}"
    if cpu >= facts.cpus:
        return fail("cpu", f"[realtime] cpu = {cpu}, but {told}", "choose one that is there")
    if cpu < 0:
        if facts.isolated:
            todo = f"[realtime] cpu = {min(facts.isolated)}"
            return warn("cpu", f"{told}; realtime uses any", todo)
        return ok("cpu", f"{told}; realtime uses any")
    if cpu not in facts.isolated:
        todo = f"add isolcpus={cpu} to the kernel's command line (cmdline.txt)"
        return warn("cpu", f"{told}; realtime shares {cpu} with everything else", todo)
    return ok("cpu", f"{told}; realtime has {cpu} for itself")


@dataclass(frozen=True, slots=True)
class Disk:
    """One place where something is written."""

    path: str
    free: int
    """Bytes that an ordinary user may still write."""
    total: int
    read_only: bool
    wear: int | None = None
    """Life used, in tenths (eMMC only)."""
    is_card: bool = False
    """An SD card, which does not tell its wear."""


def disk(facts: Disk | None) -> Finding:
    """Judge the room for traces, and the card's health."""
    if facts is None:
        return warn("disk", "its room cannot be read", "df -h /")
    told = f"{facts.path}: {facts.free / (1 << 20):.0f} MiB of {facts.total / (1 << 20):.0f} free"
    if facts.wear is not None and facts.wear >= WORN:
        return warn("disk", f"{told}; up to {facts.wear * 10} % of its life used", "replace it")
    if facts.free < FREE_FAIL:
        return fail("disk", told, "make room: traces stop, and then everything else")
    if facts.free < FREE_WARN:
        return warn("disk", told, "make room, or let traces go elsewhere (--out)")
    if facts.read_only:
        return ok("disk", f"{told}; mounted read-only, so traces need another folder (--out)")
    wear = "; an SD card does not tell its wear: keep a spare" if facts.is_card else ""
    if facts.wear is not None:
        wear = f"; up to {facts.wear * 10} % of its life used"
    return ok("disk", f"{told}{wear}")


def power(throttled: int | None, is_pi: bool) -> Finding:
    """Judge the Pi's own supply by what its firmware noticed."""
    if throttled is None:
        if not is_pi:
            return ok("power supply", "not a Raspberry Pi: nothing to ask")
        return warn("power supply", "the firmware cannot be asked", "vcgencmd get_throttled")
    supply = "use a supply of 5.1 V, 3 A (Pi 5: 5 A) and a short cable"
    cooling = "cool it"
    if throttled & UNDER_VOLTAGE:
        return fail("power supply", f"under-voltage now ({throttled:#x})", supply)
    if throttled & THROTTLED:
        return warn("power supply", f"slowed down now ({throttled:#x})", cooling)
    if throttled & UNDER_VOLTAGE << 16:
        return warn("power supply", f"under-voltage since the start ({throttled:#x})", supply)
    if throttled & THROTTLED << 16:
        return warn("power supply", f"slowed down since the start ({throttled:#x})", cooling)
    return ok("power supply", "no under-voltage, not slowed down since the start")


def temperature(celsius: float | None) -> Finding:
    """Judge the processor's temperature."""
    if celsius is None:
        return ok("temperature", "no sensor")
    told = f"{celsius:.0f} degrees Celsius"
    if celsius >= TOO_HOT_C:
        return fail("temperature", told, "cool it: it is being slowed down")
    if celsius >= HOT_C:
        return warn("temperature", told, "cool it: it slows down at 80")
    return ok("temperature", told)
