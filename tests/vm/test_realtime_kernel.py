"""The hardened process on a PREEMPT_RT kernel: what `become_realtime` asks for is granted."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = """
import os
from controller.loop import become_realtime
{before}
print(become_realtime(50))
print(os.sched_getscheduler(0) == os.SCHED_FIFO, os.sched_getparam(0).sched_priority)
print([line.split()[1] for line in open("/proc/self/status") if line.startswith("VmLck")][0])
"""


def hardened(before: str = "") -> list[str]:
    """Harden a process of its own; returns what was refused, how it is scheduled, locked KiB."""
    script = SCRIPT.format(before=before)
    return subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True
    ).stdout.splitlines()


def test_the_kernel_is_a_realtime_one() -> None:
    assert Path("/sys/kernel/realtime").read_text().strip() == "1"


def test_fifo_and_locked_memory_are_granted() -> None:
    refused, scheduler, locked_kib = hardened()
    assert refused == "[]"
    assert scheduler == "True 50"
    assert int(locked_kib) > 1000


def test_an_ordinary_user_is_told_what_is_refused() -> None:
    refused, scheduler, _ = hardened("os.setgid(65534); os.setuid(65534)")
    assert "no SCHED_FIFO" in refused
    assert "memory is not locked" in refused
    assert scheduler == "False 0"
