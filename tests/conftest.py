"""What holds for every test, and which of them want the machine for themselves."""

from __future__ import annotations

import signal
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from collections.abc import Generator

HERE = Path(__file__).parent
ALONE = (
    "interop/test_modem.py",
    "pair",
    "perf",
    "pigpiod/test_calibrate_on_it.py",
    "pigpiod/test_charger_on_it.py",
    "pigpiod/test_daemon_lost.py",
    "pigpiod/test_guard_on_it.py",
    "pigpiod/test_tool.py",
    "pigpiod/test_vehicle_on_it.py",
    "test_bench_mode.py",
    "test_loop_priority.py",
    "test_main.py",
    "test_service.py",
    "test_site.py",
    "test_site_ac.py",
    "vm",
)
"""Folders and files of tests with real processes, signals or clocks: `make test` runs them after
all others, one by one."""
WALKS = (
    "property",
    "scenario",
    "slac/test_attack.py",
    "slac/test_pair.py",
    "test_realtime_pilot.py",
)
"""Tests that walk the same paths thousands of times: the tracer of coverage, which makes everything
four times slower, looks at the first case of each and at one in `SAMPLED` of the others."""
SAMPLED = 12
UNMEASURED = pytest.StashKey[bool]()

# A shell that starts a job in the background lets it ignore Ctrl-C, and so would every process that
# a test starts: those tests send Ctrl-C, and mean it.
signal.signal(signal.SIGINT, signal.default_int_handler)

# An example takes as long as a busy machine makes it take: hypothesis allows 0.2 s.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--half", choices=("beside", "alone"), help="only tests (not) marked `alone`; default: all"
    )


def is_in(path: Path, names: tuple[str, ...]) -> bool:
    """Whether this file is one of these, or in one of these folders."""
    return any(path.is_relative_to(HERE / name) for name in names)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Do not even read what is in the other half."""
    half = config.getoption("half")
    if half is None or collection_path.is_dir():
        return None
    return True if is_in(collection_path, ALONE) is not (half == "alone") else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark what needs the machine for itself, and leave out the other half."""
    for item in items:
        if is_in(item.path, ALONE):
            item.add_marker("alone")
    walks: Counter[str] = Counter()
    for item in items:
        if is_in(item.path, WALKS):
            name = item.nodeid.partition("[")[0]
            item.stash[UNMEASURED] = walks[name] % SAMPLED != 0
            walks[name] += 1
    half = config.getoption("half")
    if half is not None:
        mine = [item for item in items if is_in(item.path, ALONE) is (half == "alone")]
        other = [item for item in items if is_in(item.path, ALONE) is not (half == "alone")]
        config.hook.pytest_deselected(items=other)
        items[:] = mine


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Let the tracer of coverage rest during most of the walks.

    Not by the mark of pytest-cov: in a process of pytest-xdist there are two tracers, and where one
    pauses, the other goes on.
    """
    if not item.stash.get(UNMEASURED, False):
        return (yield)
    tracer = sys.gettrace()
    sys.settrace(None)
    try:
        return (yield)
    finally:
        sys.settrace(tracer)
