"""The command `check`: everything that has to be right before a charger or vehicle unit runs.

Each check runs in a thread of its own and has a time limit: a part that hangs costs one line. The
hardware's steps run in one thread, because they share what they opened; the first one that hangs
ends them. Ctrl-C (and SIGTERM) ends the steps between two of them, which gives the hardware back
safe.
"""

from __future__ import annotations

import argparse
import json
import queue
import sys
import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from controller import board as boards
from controller.check import buses, driver_buses, driver_machine, driver_network, machine
from controller.check.driver_machine import Tree
from controller.check.findings import Finding, Status, count, fail, ok, summary, to_json, warn
from controller.config import CarConfig, ChargerConfig, load
from controller.cp.driver_gpiochip import HEADER_LABELS
from controller.ending import like_ctrl_c
from controller.errors import ControllerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from controller.board import Board, Side

NOT_READY = 1
QUICK_S, SLOW_S, STEP_S = 5.0, 15.0, 20.0
"""Limits: files and system calls; a scan or a modem; one step of the hardware."""
LAST_WORDS_S = 3.0
"""How long the hardware gets to be given back after Ctrl-C."""
TRACES = "var/lib/ccs-pilot"

TEXT = """\
Looks at this machine and says what is right and what is not: one line each, OK, WARN or FAIL, with
what to do. Without --hardware nothing is touched but the modem, which is asked who it is, and the
I2C bus of the header, which is read once at each address.

With --hardware the pins are claimed, the pilot is driven to -12 V and +12 V and (with nothing
plugged in) to 5 % for a moment, the converter is measured against that, and the external interlock
is made to show that it works. No contactor is closed. Stop the service first.

examples:
  ccs-pilot check                                             this machine
  ccs-pilot check --charger charger.toml --interface plc0     as this file needs it
  sudo ccs-pilot check --charger charger.toml --hardware      with its hardware
  ccs-pilot check --car car.toml --json | jq '.checks[] | select(.status != "OK")'

exit code: 0 nothing FAILed, 1 something did, 2 wrong use, 130 Ctrl-C or SIGTERM
"""


def add_arguments_check(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `check`."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.description = TEXT
    side = parser.add_mutually_exclusive_group()
    side.add_argument("--charger", type=Path, metavar="FILE", help="charger file (TOML)")
    side.add_argument("--car", type=Path, metavar="FILE", help="car file (TOML)")
    parser.add_argument("--interface", default="", metavar="IF", help="interface of the modem")
    parser.add_argument("--hardware", action="store_true", help="open the hardware, and try it")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of lines")


# --- what is checked -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Context:
    """What the checks are about."""

    config: ChargerConfig | CarConfig
    board: Board | None
    """None: its file cannot be read, which was told."""
    tree: Tree
    interface: str = ""
    hardware: bool = False

    @property
    def is_car(self) -> bool:
        """Whether this is a vehicle unit."""
        return isinstance(self.config, CarConfig)

    @property
    def side(self) -> Side | None:
        """The pins and channels of this role."""
        if self.board is None:
            return None
        return self.board.pev if self.is_car else self.board.evse


class Check(NamedTuple):
    """One row: its name where it hangs, how long it may take, what yields its findings."""

    name: str
    limit_s: float
    run: Callable[[Context], Iterator[Finding]]


def _python(c: Context) -> Iterator[Finding]:
    hardware = c.config.hardware
    needed = {
        "lgpio": hardware.gpio == "lgpio",
        "spidev": hardware.adc == "mcp3208" and hardware.adc_bus == "kernel",
        "gpiod": getattr(hardware, "edges", "") == "gpiochip",
    }
    more = tuple(name for name, is_needed in needed.items() if is_needed and c.hardware)
    yield machine.python(driver_machine.python_version(), driver_machine.packages(more))


def _board(c: Context) -> Iterator[Finding]:
    model = driver_machine.model(c.tree)
    hardware = c.config.hardware
    daemon = [
        key
        for key in ("pilot", "edges", "gpio", "adc_bus")
        if getattr(hardware, key, "") == "pigpio"
    ]
    yield machine.board(model, daemon)


def _clock(c: Context) -> Iterator[Finding]:
    yield machine.clock(*driver_machine.clock_source(c.tree))
    yield machine.time_of_day(driver_machine.synchronised(), driver_machine.has_rtc(c.tree))


def _scheduler(c: Context) -> Iterator[Finding]:
    priority = c.config.realtime.priority
    rights = driver_machine.rights(c.tree, priority)
    yield machine.scheduler(rights, priority)
    yield machine.memory(rights)


def _kernel(c: Context) -> Iterator[Finding]:
    yield from machine.kernel(driver_machine.kernel(c.tree), c.config.realtime.cpu)


def _watchdog(c: Context) -> Iterator[Finding]:
    path = c.config.realtime.watchdog
    if path and not c.tree.path(path.lstrip("/")).exists():
        todo = "dtparam=watchdog=on in config.txt, or load softdog"
        yield fail("watchdog", f"no {path}", todo)
    elif path:
        yield ok("watchdog", f"{path} is there")


def _disk(c: Context) -> Iterator[Finding]:
    for folder in ("", TRACES) if c.tree.path(TRACES).exists() else ("",):
        yield machine.disk(driver_machine.disk(c.tree, folder))


def _power(c: Context) -> Iterator[Finding]:
    tree = c.tree
    yield machine.power(driver_machine.throttled(tree), driver_machine.is_pi(tree))
    yield machine.temperature(driver_machine.celsius(tree))


def _network(c: Context) -> Iterator[Finding]:
    facts, others = driver_network.choose(c.interface)
    yield from buses.network(facts, c.interface, others)


def _modem(c: Context) -> Iterator[Finding]:
    if c.config.plc.modem == "none":
        yield ok("modem", "none: plain Ethernet ([plc] modem)")
        return
    facts, _ = driver_network.choose(c.interface)
    if facts is None:
        yield warn("modem", "not asked: its interface is not known", "name it with --interface")
    else:
        yield buses.modem(facts.name, *driver_network.ask_modem(facts.name))


def _can(c: Context) -> Iterator[Finding]:
    yield from buses.can(driver_buses.can(c.tree), needed=False)


def _i2c(c: Context) -> Iterator[Finding]:
    hardware = c.config.hardware
    adc = c.hardware and hardware.adc == "ads1115" and hardware.adc_bus == "kernel"
    yield from buses.i2c(driver_buses.i2c(c.tree, scan_all=c.hardware), adc=adc)


def _spi(c: Context) -> Iterator[Finding]:
    hardware = c.config.hardware
    adc = c.hardware and hardware.adc == "mcp3208" and hardware.adc_bus == "kernel"
    yield buses.spi(driver_buses.spi(c.tree), needed="/dev/spidev0.1" if adc else "")


def _pins(c: Context) -> Iterator[Finding]:
    lines = driver_buses.lines(c.tree, HEADER_LABELS)
    if not lines and c.config.hardware.gpio == "pigpio":
        yield ok("pins", "no GPIO chip of a Pi here: the daemon is asked for them below")
    elif c.side is not None:
        yield from buses.pins(c.side.pins, lines)


def _hardware(c: Context) -> Iterator[Finding]:
    from controller.check import driver_bench
    from controller.hardware_parts import RealTime

    path = c.config.realtime.socket
    if driver_machine.is_listening(c.tree, path):
        todo = "sudo systemctl stop ccs-realtime, then check again"
        yield fail("hardware", f"the realtime process has it ({path})", todo)
        return
    assert c.board is not None
    if isinstance(c.config, CarConfig):
        yield from driver_bench.vehicle(c.config, c.board, RealTime())
    else:
        yield from driver_bench.charger(c.config, c.board, RealTime())


CHECKS: tuple[Check, ...] = (
    Check("python", QUICK_S, _python),
    Check("board", QUICK_S, _board),
    Check("clock", QUICK_S, _clock),
    Check("scheduler", QUICK_S, _scheduler),
    Check("kernel", QUICK_S, _kernel),
    Check("watchdog", QUICK_S, _watchdog),
    Check("disk", QUICK_S, _disk),
    Check("power supply", QUICK_S, _power),
    Check("network", QUICK_S, _network),
    Check("modem", SLOW_S, _modem),
    Check("can", QUICK_S, _can),
    Check("i2c", SLOW_S, _i2c),
    Check("spi", QUICK_S, _spi),
)
HARDWARE_CHECKS: tuple[Check, ...] = (
    Check("pins", QUICK_S, _pins),
    Check("hardware", STEP_S, _hardware),
)


# --- running them --------------------------------------------------------------------------------


class Worker:
    """One check in its thread; `findings` yields what it finds, or that it hangs."""

    def __init__(self, check: Check, context: Context) -> None:
        self._check, self._context = check, context
        self._found: queue.SimpleQueue[Finding | None] = queue.SimpleQueue()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=check.name, daemon=True)
        self._thread.start()

    def findings(self) -> Iterator[Finding]:
        """Wait for each, no longer than the check's limit."""
        try:
            while True:
                try:
                    finding = self._found.get(timeout=self._check.limit_s)
                except queue.Empty:
                    told = f"no answer within {self._check.limit_s:g} s"
                    yield fail(self._check.name, told, "something hangs there: see dmesg")
                    return
                if finding is None:
                    return
                yield finding
        finally:
            self._stop.set()

    def leave(self) -> None:
        """Let it end after the present step, for a moment."""
        self._stop.set()
        self._thread.join(LAST_WORDS_S)

    def _run(self) -> None:
        steps = self._check.run(self._context)
        try:
            for finding in steps:
                self._found.put(finding)
                if self._stop.is_set():
                    break
        except (ControllerError, OSError) as error:
            self._found.put(fail(self._check.name, str(error), "see docs/bring-up.md"))
        except Exception as error:
            told = f"{type(error).__name__}: {error}"
            self._found.put(fail(self._check.name, told, "this is a mistake of ours: report it"))
        finally:
            close = getattr(steps, "close", None)
            if close is not None:
                close()
            self._found.put(None)


def run_all(checks: tuple[Check, ...], context: Context) -> Iterator[Finding]:
    """Run one check after the other."""
    for check in checks:
        worker = Worker(check, context)
        try:
            yield from worker.findings()
        except BaseException:
            worker.leave()
            raise


def prepare(args: argparse.Namespace, tree: Tree) -> tuple[Context, list[Finding]]:
    """Read the files; what is wrong with them is a finding, and the rest is checked anyway."""
    cls: type[ChargerConfig | CarConfig] = CarConfig if args.car else ChargerConfig
    path: Path | None = args.car or args.charger
    told = str(path) if path else f"no file: a {'vehicle' if args.car else 'charger'} by default"
    config: ChargerConfig | CarConfig = cls()
    board: Board | None = None
    try:
        config = load(cls, path)
        name = config.hardware.board
        board = boards.load(Path(name) if name else None)
        found = ok("config", f"{told}, pin map {name or 'of the project'}")
    except ControllerError as error:
        what, _, todo = str(error).partition(": ")
        found = fail("config", what, todo or "ccs-pilot config charger shows every key")
    context = Context(config, board, tree, args.interface, args.hardware)
    return context, [found]


def run_check(args: argparse.Namespace, tree: Tree | None = None) -> int:
    """Check everything; exit code 1 if something FAILed."""
    with like_ctrl_c():
        return _check(args, tree or Tree())


def _check(args: argparse.Namespace, tree: Tree) -> int:
    context, findings = prepare(args, tree)
    checks = CHECKS
    if args.hardware and count(findings)[Status.FAIL]:
        todo = "put the file right, then check again"
        findings.append(warn("hardware", "not opened: its file cannot be read", todo))
        context = replace(context, hardware=False)
    elif args.hardware:
        checks += HARDWARE_CHECKS
    if not args.json:
        for finding in findings:
            _say(finding.line())
    for finding in run_all(checks, context):
        findings.append(finding)
        if not args.json:
            _say(finding.line())
    if args.json:
        _say(json.dumps(to_json(findings, "car" if context.is_car else "charger"), indent=2))
    else:
        _say(f"\n{summary(findings)}")
    return NOT_READY if count(findings)[Status.FAIL] else 0


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
