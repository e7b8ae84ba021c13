"""`ccs-pilot pigpiod-sim`: a simulated pigpio daemon for the unmodified `pigpio` and `gpiozero`.

Standard output has one line when it listens; standard error what it has to say besides.
Exit code 0: ended by SIGTERM; 130: by Ctrl-C; 2: not started, with one line that says why.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from controller import board as boards
from controller.config import CarConfig, ChargerConfig, load
from controller.errors import ConfigError
from controller.loop import NEVER, Loop, freeze_garbage, go_first
from controller.pigpiod.charger import ChargerScene
from controller.pigpiod.circuit import Bare
from controller.pigpiod.console import Actions, Console, WrongCommandError
from controller.pigpiod.daemon import PI_3B, Daemon
from controller.pigpiod.driver_modules import ModulesServer
from controller.pigpiod.driver_server import Server
from controller.pigpiod.vehicle import VehicleScene
from controller.pigpiod.wire import PORT, USER_GPIOS
from controller.plc.sim import seeded_rng
from controller.sim import World

if TYPE_CHECKING:
    from collections.abc import Callable

OK = 0
SCENES = ("plain", "charger", "vehicle")
HIGHEST_PORT = 65_535
PRIORITY = 60
"""SCHED_FIFO where it is granted: before the realtime processes (50) that it is the hardware of."""

EXAMPLES = """\
examples:
  ccs-pilot pigpiod-sim                          a bare Raspberry Pi at port 8888
  ccs-pilot pigpiod-sim --wire 18:17             the same, GPIO 18 and 17 joined by a wire
  ccs-pilot pigpiod-sim --port 0                 at any port that is free (it says which)
  ccs-pilot pigpiod-sim --tick 4294000000        the 32-bit tick wraps after 0.97 s

  ccs-pilot pigpiod-sim --scene charger --site /tmp/site.sock
                                                 the charger's board: pilot, ADC, contactors
  ccs-pilot pigpiod-sim --scene vehicle --do "plug; duty 5"
                                                 the vehicle's board at a charger that drives 5 %

the scenes hear words on standard input (help lists them): plug, s2 on, emergency on, short 80,
diode shorted, watchdog dead, wait 2, status. A charger on it, in another terminal:
  ccs-pilot realtime --charger charger.toml      with [hardware] adc_bus = "pigpio",
                                                 site = "/tmp/site.sock" (pigpiod: localhost:8888)

then, in another terminal, any program for a real daemon:
  import pigpio
  pi = pigpio.pi("127.0.0.1", 8888)              # or PIGPIO_ADDR, PIGPIO_PORT in the environment
  pi.callback(17, pigpio.EITHER_EDGE, print)
  pi.hardware_PWM(18, 1000, 50_000)              # 1 kHz, 5 %: with --wire 18:17 the edges are seen

  from gpiozero import Button, LED
  from gpiozero.pins.pigpio import PiGPIOFactory
  factory = PiGPIOFactory("127.0.0.1", 8888)
  led, button = LED(18, pin_factory=factory), Button(17, pin_factory=factory)

What is simulated and what is not: controller/pigpiod/README.md.
exit code: 0 ended by SIGTERM, 130 by Ctrl-C, 2 not started: the line says why"""


def add_arguments_pigpiod_sim(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `ccs-pilot pigpiod-sim`."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.description = (
        "A simulated pigpio daemon: speaks its socket protocol, so that programs for GPIO run "
        "unmodified on any computer."
    )
    parser.epilog = EXAMPLES
    parser.add_argument(
        "--port", type=_number(0, HIGHEST_PORT), default=PORT, metavar="N",
        help=f"TCP port (default {PORT}; 0: any that is free)",
    )  # fmt: skip
    parser.add_argument(
        "--address", default="127.0.0.1", metavar="A",
        help="address to listen at (default 127.0.0.1: this machine only)",
    )  # fmt: skip
    parser.add_argument(
        "--wire", type=_wire, action="append", default=[], metavar="A:B",
        help="join two GPIOs; may be repeated",
    )  # fmt: skip
    parser.add_argument(
        "--revision", type=_revision, default=PI_3B, metavar="HEX",
        help="revision code of the board (default a02082: Pi 3B; c03111: Pi 4B)",
    )  # fmt: skip
    parser.add_argument(
        "--tick", type=_number(0, 0xFFFFFFFF), default=None, metavar="US",
        help="tick at the start (default: since this machine was switched on)",
    )  # fmt: skip
    parser.add_argument(
        "--scene", choices=SCENES, default="plain",
        help="what is connected (default plain: nothing but --wire)",
    )  # fmt: skip
    parser.add_argument(
        "--board", type=Path, metavar="FILE", help="pin map; default: the project's"
    )
    parser.add_argument("--charger", type=Path, metavar="FILE", help="charger file: its [site]")
    parser.add_argument("--car", type=Path, metavar="FILE", help="car file: its battery")
    parser.add_argument(
        "--site", metavar="PATH",
        help="Unix socket of power modules and isolation monitor (default: of the charger file), "
        "or of a vehicle's battery (default: none)",
    )  # fmt: skip
    parser.add_argument(
        "--do", metavar="COMMANDS", help='commands at the start: "plug; wait 2; s2 on"'
    )
    parser.add_argument(
        "--lost-first-edge", action="store_true",
        help="as the original: a callback misses the first edge of a pin that changed before it",
    )  # fmt: skip


def run_pigpiod_sim(args: argparse.Namespace) -> int:
    """Serve until somebody ends it."""
    circuit = _circuit(args)
    before = signal.signal(signal.SIGTERM, _terminate)
    loop = Loop()
    with contextlib.ExitStack() as stack:
        stack.callback(signal.signal, signal.SIGTERM, before)
        stack.enter_context(contextlib.suppress(_TerminatedError))
        stack.callback(loop.close)
        daemon = Daemon(
            circuit,
            revision=args.revision,
            first_tick=args.tick,
            now=loop.now(),
            lost_first_edge=args.lost_first_edge,
        )
        server = Server(loop, daemon, args.address, args.port)
        stack.callback(server.close)
        say(f"simulated pigpiod: listens at {args.address} port {server.port}")
        if not isinstance(circuit, Bare):
            _add_scene(args, loop, server, circuit, stack)
        freeze_garbage()
        go_first(PRIORITY)  # where that is refused, a busy machine makes it late
        loop.run()
    return OK


class _TerminatedError(Exception):
    """SIGTERM: a selector that waits goes on waiting after a handler that just returns."""


def _terminate(number: int, frame: object) -> None:
    raise _TerminatedError


def say(text: str) -> None:
    """Write a line for people."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


# --- scenes --------------------------------------------------------------------------------------


def _circuit(args: argparse.Namespace) -> Bare | ChargerScene | VehicleScene:
    if args.scene == "plain":
        for option in ("board", "charger", "car", "site", "do"):
            if getattr(args, option) is not None:
                raise ConfigError(f"--{option} is for the scenes charger and vehicle")
        return Bare(args.wire)
    if args.wire:
        raise ConfigError("--wire is for the scene plain: a board's pins are wired already")
    board = boards.load(args.board)
    charger, car = load(ChargerConfig, args.charger), load(CarConfig, args.car)
    if args.scene == "vehicle":
        return VehicleScene(board.pev, World(charger, car), seeded_rng("vehicle's board"))
    args.site = args.site or charger.hardware.site
    rng = seeded_rng("charger's board")
    world = World(charger, car)
    return ChargerScene(board.evse, world, rng, cable_ohm=charger.site.cable_ohm)


def _add_scene(
    args: argparse.Namespace,
    loop: Loop,
    server: Server,
    scene: ChargerScene | VehicleScene,
    stack: contextlib.ExitStack,
) -> None:
    """Let people in, and whoever wants the power modules."""
    began_at = loop.now()

    def tell(now: float, text: str) -> None:
        say(f"{now - began_at:9.3f} s  {text}")

    scene.tell = tell
    if args.site is not None:
        modules = ModulesServer(loop, args.site, scene, server.circuit_changed)
        stack.callback(modules.close)
        is_charger = isinstance(scene, ChargerScene)
        what = "power modules and isolation monitor" if is_charger else "battery"
        say(f"{what}: {args.site}")
    console = Console(Actions(scene), tell)
    console.put(args.do or "")
    try:
        console.check()
    except WrongCommandError as error:
        raise ConfigError(f"--do: {error}") from error
    people = People(loop, console, server.circuit_changed)
    stack.callback(people.close)
    say(f"{args.scene}: commands on standard input; help lists them")


class People:
    """Standard input, line by line, and commands that wait for their time."""

    def __init__(self, loop: Loop, console: Console, changed: Callable[[float], object]) -> None:
        self._loop = loop
        self._console = console
        self._changed = changed
        self._unfinished = b""
        self._fd: int | None = None
        self.deadline = NEVER
        loop.add(self)
        self._rearm()
        self._open()

    def fire(self, now: float) -> None:
        """Carry out what is due."""
        if self._console.handle_timer(now):
            self._changed(now)
        self._rearm()

    def close(self) -> None:
        """Read no more."""
        if self._fd is not None:
            self._loop.watch(self._fd, None)
            self._fd = None

    def _open(self) -> None:
        if sys.stdin is None or sys.stdin.closed:
            return
        try:
            self._fd = sys.stdin.fileno()
            self._loop.watch(self._fd, self._read)
        except PermissionError:  # a file: no selector watches it, and all of it is there
            self._console.put(sys.stdin.read())
            self._fd = None
        except (OSError, ValueError):
            self._fd = None
        self._rearm()

    def _read(self, now: float) -> None:
        assert self._fd is not None
        try:
            data = os.read(self._fd, 4096)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:  # nobody will say anything any more; the daemon goes on
            data = b"\n"
            self.close()
        *lines, self._unfinished = (self._unfinished + data).split(b"\n")
        for line in lines:
            self._console.put(line.decode("utf-8", "replace"))
        self._rearm()

    def _rearm(self) -> None:
        due = self._console.next_timer()
        self.deadline = NEVER if due is None else due


def _number(lowest: int, highest: int) -> Callable[[str], int]:
    """Make a type for a whole number within bounds."""

    def parse(text: str) -> int:
        if not text.isdecimal() or not lowest <= int(text) <= highest:
            raise argparse.ArgumentTypeError(
                f"{text!r}: not allowed; a whole number from {lowest} to {highest}"
            )
        return int(text)

    return parse


def _wire(text: str) -> tuple[int, int]:
    one, _, other = text.partition(":")
    if not (one.isdecimal() and other.isdecimal()) or one == other:
        raise argparse.ArgumentTypeError(f"{text!r}: not allowed; two GPIOs, as in 18:17")
    ends = int(one), int(other)
    if max(ends) >= USER_GPIOS:
        raise argparse.ArgumentTypeError(f"{text!r}: not allowed; GPIO 0 to {USER_GPIOS - 1}")
    return ends


def _revision(text: str) -> int:
    try:
        revision = int(text, 16)
    except ValueError:
        revision = -1
    if not 0 < revision < 1 << 32:
        raise argparse.ArgumentTypeError(f"{text!r}: not allowed; a code in hex, as a02082")
    return revision
