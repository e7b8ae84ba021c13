"""Facts about this machine, from files and a few system calls; `root` makes a test's own tree."""

from __future__ import annotations

import ctypes
import importlib.metadata
import os
import resource
import sys
import time
from pathlib import Path

from controller.check.machine import Disk, Kernel, Rights

TIME_ERROR = 5
"""adjtimex: the clock is not synchronised (linux/timex.h)."""
TIMEX_BYTES = 256
"""More than struct timex has on any architecture; all zero asks and changes nothing."""
CAP_IPC_LOCK = 14
"""Bit of CapEff in /proc/self/status (linux/capability.h)."""
PACKAGES = ("transitions", "rich", "dpkt", "pigpio", "gpiozero", "smbus2", "python-can")
ACCEPTS = 0x10000
"""Flag in /proc/net/unix of a socket that listens (SO_ACCEPTCON)."""
WEAR_FILE = "sys/block/mmcblk0/device/life_time"
THROTTLED = "sys/devices/platform/soc/soc:firmware/get_throttled"


class Tree:
    """Files below a root: the machine's own, or those of a test."""

    def __init__(self, root: Path = Path("/")) -> None:
        self.root = root

    def path(self, name: str) -> Path:
        """Where a file is; `name` has no leading slash."""
        return self.root / name

    def text(self, name: str) -> str | None:
        """What a file says, or None where it cannot be read."""
        try:
            return self.path(name).read_text(encoding="latin-1").strip("\0\n ")
        except OSError:
            return None

    def number(self, name: str) -> int | None:
        """A whole number in a file."""
        try:
            return int(self.text(name) or "", 0)
        except ValueError:
            return None

    def names(self, folder: str, pattern: str = "*") -> list[str]:
        """Names in a folder, sorted; none where it is not there."""
        return sorted(path.name for path in self.path(folder).glob(pattern))


def model(tree: Tree) -> str:
    """What the board calls itself; empty where it has no name (no Raspberry Pi)."""
    return tree.text("proc/device-tree/model") or ""


def is_pi(tree: Tree) -> bool:
    """Ask whether this is a Raspberry Pi."""
    return model(tree).startswith("Raspberry Pi")


def python_version() -> tuple[int, int, int]:
    """Version of the interpreter that runs."""
    return sys.version_info[:3]


def packages(more: tuple[str, ...] = ()) -> dict[str, str | None]:
    """Version of each package that is needed; None where it is missing."""
    found: dict[str, str | None] = {}
    for name in (*PACKAGES, *more):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = None
    return found


CLOCK_SOURCE = "sys/devices/system/clocksource/clocksource0"


def clock_source(tree: Tree) -> tuple[str | None, str, float]:
    """Present source, the others, resolution in seconds."""
    return (
        tree.text(f"{CLOCK_SOURCE}/current_clocksource"),
        tree.text(f"{CLOCK_SOURCE}/available_clocksource") or "",
        time.clock_getres(time.CLOCK_MONOTONIC),
    )


def synchronised() -> bool | None:
    """Ask the kernel whether something keeps its time of day right; None: it does not say."""
    try:
        state = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(TIMEX_BYTES))
    except (OSError, AttributeError):
        return None
    return None if state < 0 else state != TIME_ERROR


def has_rtc(tree: Tree) -> bool:
    """Ask whether a clock runs on while the power is off."""
    return bool(tree.names("sys/class/rtc", "rtc*"))


def rights(tree: Tree, priority: int) -> Rights:
    """Try what realtime needs: this thread alone, and only for a moment."""
    capable = int((status_field(tree, "CapEff") or "0"), 16)
    soft, _ = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    unlimited = soft == resource.RLIM_INFINITY or capable >> CAP_IPC_LOCK & 1
    return Rights(
        fifo=try_fifo(priority),
        rt_runtime_us=tree.number("proc/sys/kernel/sched_rt_runtime_us"),
        rt_period_us=tree.number("proc/sys/kernel/sched_rt_period_us"),
        memlock=None if unlimited else soft,
    )


def try_fifo(priority: int) -> str:
    """Become real-time and ordinary again; return why not, or nothing. Meant for a thread."""
    before = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(priority))
        os.sched_setscheduler(0, *before)
    except OSError as error:
        return error.strerror or str(error)
    return ""


def status_field(tree: Tree, name: str) -> str | None:
    """Return one field of this process's status."""
    for line in (tree.text("proc/self/status") or "").splitlines():
        key, _, value = line.partition(":")
        if key == name:
            return value.strip()
    return None


def kernel(tree: Tree) -> Kernel:
    """What kernel runs, on which processors."""
    governors = {
        tree.text(f"sys/devices/system/cpu/{cpu}/cpufreq/scaling_governor")
        for cpu in tree.names("sys/devices/system/cpu", "cpu[0-9]*")
    }
    version = tree.text("proc/version") or ""
    return Kernel(
        release=tree.text("proc/sys/kernel/osrelease") or "unknown",
        realtime=tree.text("sys/kernel/realtime") == "1" or "PREEMPT_RT" in version,
        cpus=len(numbers(tree.text("sys/devices/system/cpu/online") or "0")),
        isolated=numbers(tree.text("sys/devices/system/cpu/isolated") or ""),
        governors=frozenset(name for name in governors if name),
    )


def numbers(text: str) -> frozenset[int]:
    """Read a list of processors: 0-2,5."""
    found: set[int] = set()
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        found.update(range(int(first), int(last or first) + 1))
    return frozenset(found)


def disk(tree: Tree, folder: str) -> Disk | None:
    """Room below a folder, or the nearest one above that is there."""
    path = tree.path(folder)
    while not path.exists() and path != path.parent:
        path = path.parent
    try:
        facts = os.statvfs(path)
    except OSError:
        return None
    return Disk(
        path=f"/{folder}",
        free=facts.f_bavail * facts.f_frsize,
        total=facts.f_blocks * facts.f_frsize,
        read_only=bool(facts.f_flag & os.ST_RDONLY),
        wear=wear(tree),
        is_card=wear(tree) is None and is_on_card(tree),
    )


def is_on_card(tree: Tree) -> bool:
    """Ask whether the root is on an SD card (or eMMC: `wear` tells those apart)."""
    mounts = (line.split() for line in (tree.text("proc/mounts") or "").splitlines())
    return any(words[0].startswith("/dev/mmcblk") and words[1] == "/" for words in mounts if words)


def wear(tree: Tree) -> int | None:
    """Life used of the eMMC, in tenths: the worse of its two kinds of cells; None: not told."""
    try:
        tenths = [int(word, 16) for word in (tree.text(WEAR_FILE) or "").split()]
    except ValueError:
        return None
    return max(tenths, default=None)


def throttled(tree: Tree) -> int | None:
    """What the Pi's firmware noticed about its supply (bits of get_throttled); None: not told."""
    text = tree.text(THROTTLED)
    if text is not None:
        try:
            return int(text, 16)
        except ValueError:
            return None
    for name in tree.names("sys/class/hwmon"):
        if tree.text(f"sys/class/hwmon/{name}/name") == "rpi_volt":
            return 0x1 if tree.text(f"sys/class/hwmon/{name}/in0_lcrit_alarm") == "1" else 0
    return None


def is_listening(tree: Tree, socket_path: str) -> bool:
    """Ask whether some process listens at a Unix socket; it is not disturbed by that."""
    for line in (tree.text("proc/net/unix") or "").splitlines()[1:]:
        words = line.split(maxsplit=7)
        if len(words) == 8 and words[7] == socket_path and int(words[3], 16) & ACCEPTS:
            return True
    return False


def celsius(tree: Tree) -> float | None:
    """Temperature of the processor."""
    thousandths = tree.number("sys/class/thermal/thermal_zone0/temp")
    return None if thousandths is None else thousandths / 1000
