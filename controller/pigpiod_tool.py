"""`ccs-pilot pigpiod-sim`: a simulated pigpio daemon for the unmodified `pigpio` and `gpiozero`.

Standard output has one line when it listens; standard error what it has to say besides.
Exit code 0: ended by SIGTERM; 130: by Ctrl-C; 2: not started, with one line that says why.
"""

from __future__ import annotations

import argparse
import signal
import sys
from typing import TYPE_CHECKING

from controller.loop import Loop
from controller.pigpiod.circuit import Bare
from controller.pigpiod.daemon import PI_3B, Daemon
from controller.pigpiod.driver_server import Server
from controller.pigpiod.wire import PORT, USER_GPIOS

if TYPE_CHECKING:
    from collections.abc import Callable

    from controller.pigpiod.circuit import Circuit

OK = 0
HIGHEST_PORT = 65_535

EXAMPLES = """\
examples:
  ccs-pilot pigpiod-sim                          a bare Raspberry Pi at port 8888
  ccs-pilot pigpiod-sim --wire 18:17             the same, GPIO 18 and 17 joined by a wire
  ccs-pilot pigpiod-sim --port 0                 at any port that is free (it says which)
  ccs-pilot pigpiod-sim --tick 4294000000        the 32-bit tick wraps after 0.97 s

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
        "--lost-first-edge", action="store_true",
        help="as the original: a callback misses the first edge of a pin that changed before it",
    )  # fmt: skip


def run_pigpiod_sim(args: argparse.Namespace) -> int:
    """Serve until somebody ends it."""
    loop = Loop()
    daemon = Daemon(
        _circuit(args),
        revision=args.revision,
        first_tick=args.tick,
        now=loop.now(),
        lost_first_edge=args.lost_first_edge,
    )
    server = Server(loop, daemon, args.address, args.port)
    before = signal.signal(signal.SIGTERM, _terminate)
    try:
        sys.stdout.write(f"simulated pigpiod: listens at {args.address} port {server.port}\n")
        sys.stdout.flush()
        loop.run()
    except _TerminatedError:
        return OK
    finally:
        signal.signal(signal.SIGTERM, before)
        server.close()
        loop.close()
    return OK


class _TerminatedError(Exception):
    """SIGTERM: a selector that waits goes on waiting after a handler that just returns."""


def _terminate(number: int, frame: object) -> None:
    raise _TerminatedError


def _circuit(args: argparse.Namespace) -> Circuit:
    return Bare(args.wire)


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
