"""How late the fixed period begins: our loop beside `cyclictest`, idle and beside a busy process.

Both sleep to absolute instants with the same period, priority and CPU, and take turns, in short
rounds: what else the machine does at that time hits both. The ratio of the 99th percentiles is
taken in each round, and the median of the rounds is the figure, so one hiccup of the machine is
neither's fault; the machine decides the rest, and a maximum on a virtual machine is the
hypervisor's. Who begins changes from round to round. cyclictest runs as it is: as root it keeps the
CPUs out of their deeper sleep meanwhile (/dev/cpu_dma_latency), which our process does not do, and
that is where an idle machine wakes us later.

The load is a process that decodes and encodes V2G messages without pause, as the communication
process would under attack. `cyclictest` is in Debian's package rt-tests; without it the ratio is
missing.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tests.perf.children import NotMeasuredError
from tests.perf.figures import Figure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[2]
PRIORITY = 80
SECONDS = 2.0
ROUNDS = 5
"""They take turns this often; an odd number has a middle."""
PATIENCE_S = 120.0
PERIODS_US = (1000, 5000)
RATIO = 2.0
"""p99 of ours may be this many times that of cyclictest."""
HIGHEST_US = 20_000
"""Buckets of cyclictest's histogram, a microsecond each."""

Round = tuple[list[float], list[float]]
"""p50, p99, p99.9 and max of ours and of cyclictest (empty: not there)."""


def cpu() -> int:
    """Return the CPU on which both are measured: the last one, which has the fewest interrupts."""
    return max(os.sched_getaffinity(0))


def bench(progress: Callable[[str], None]) -> list[Figure]:
    """Measure at each period, idle and busy."""
    figures = []
    refused = measure_ours(PERIODS_US[0])[1]
    for period_us in PERIODS_US:
        for load in (False, True):
            words = f"{period_us / 1000:g} ms period, {'beside a busy codec' if load else 'idle'}"
            progress(words)
            with busy() if load else contextlib.nullcontext():
                rounds = [take_turns(period_us, number) for number in range(ROUNDS)]
            figures.append(figure(words, *middle(rounds), refused))
    return figures


def take_turns(period_us: int, number: int) -> Round:
    """Measure both, one after the other."""
    if number % 2:
        theirs = measure_cyclictest(period_us)
        return measure_ours(period_us)[0], theirs
    return measure_ours(period_us)[0], measure_cyclictest(period_us)


def figure(words: str, ours: list[float], theirs: list[float], refused: list[str]) -> Figure:
    """One line: the ratio, and both rows of percentiles in its note."""
    note = f"ours {row(ours)} us"
    note += f", cyclictest {row(theirs)} us" if theirs else ", no cyclictest (apt: rt-tests)"
    note += "".join(f"; {line}" for line in refused)
    name = f"late, {words}"
    if theirs and theirs[1] > 0:
        return Figure(name, in_ratio((ours, theirs)), "x p99", RATIO, note=note)
    return Figure(name, ours[1], "us p99", note=note)


def middle(rounds: list[Round]) -> Round:
    """Return the round with the median ratio (or lateness, where there is no other)."""
    return sorted(rounds, key=in_ratio)[len(rounds) // 2]


def in_ratio(measured: Round) -> float:
    """Return how many times later we were at p99 than cyclictest; without it, how late."""
    ours, theirs = measured
    return ours[1] / theirs[1] if theirs and theirs[1] > 0 else ours[1]


def row(late_us: list[float]) -> str:
    """Percentiles as p50/p99/p99.9/max."""
    return "/".join(f"{late:.0f}" for late in late_us)


def measure_ours(period_us: int) -> tuple[list[float], list[str]]:
    """Run our loop in a process of its own; returns p50, p99, p99.9, max, and what was refused."""
    count = int(SECONDS * 1e6 / period_us)
    words = ["-m", "tests.perf.latency_loop", "--period-us", str(period_us)]
    words += ["--periods", str(count), "--priority", str(PRIORITY), "--cpu", str(cpu())]
    done = subprocess.run(
        [sys.executable, *words], cwd=ROOT, capture_output=True, timeout=PATIENCE_S, check=False
    )
    if done.returncode != 0:
        raise NotMeasuredError(done.stderr.decode(errors="replace")[-300:])
    figures = json.loads(done.stdout)
    return figures["late_us"], figures["refused"]


def measure_cyclictest(period_us: int) -> list[float]:
    """Run cyclictest with the same period and priority; empty without it, or where it may not."""
    program = shutil.which("cyclictest")
    if program is None:
        return []
    count = int(SECONDS * 1e6 / period_us)
    words = [program, "-q", "-m", f"-p{PRIORITY}", f"-i{period_us}", f"-l{count}"]
    words += [f"-a{cpu()}"]
    done = subprocess.run(
        [*words, f"-h{HIGHEST_US}"], capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    return percentiles(done.stdout) if done.returncode == 0 else []


def percentiles(text: str) -> list[float]:
    """Read p50, p99, p99.9 and max from cyclictest's histogram."""
    counts = [
        (int(line.split()[0]), int(line.split()[1]))
        for line in text.splitlines()
        if re.match(r"\d{6} \d{6,}", line)
    ]
    worst = re.search(r"Max Latencies: (\d+)", text)
    total = sum(count for _, count in counts)
    if not total or worst is None:
        return []
    found = []
    for percent in (50.0, 99.0, 99.9):
        seen = 0
        for late_us, count in counts:
            seen += count
            if seen >= total * percent / 100.0:
                found.append(float(late_us))
                break
    return [*found, float(worst[1])]


@contextlib.contextmanager
def busy() -> Iterator[None]:
    """Keep a codec busy, on every CPU that we have but at ordinary priority."""
    running = [
        subprocess.Popen([sys.executable, "-m", "tests.perf.busy_codec"], cwd=ROOT)
        for _ in os.sched_getaffinity(0)
    ]
    try:
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()
