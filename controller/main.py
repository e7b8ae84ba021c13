"""Command line and composition root; each command imports only what it runs."""

from __future__ import annotations

import argparse
import errno
import os
import sys
from importlib import import_module
from io import TextIOWrapper
from typing import TYPE_CHECKING, NamedTuple

from controller import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

USAGE_ERROR = 2
"""Exit code for wrong arguments, files and configuration."""
SESSION_FAILED = 1
"""Exit code of a session that did not go as it should, or whose output nobody read."""

INTERRUPTED = 130
"""Exit code after Ctrl-C where there was no session to stop (128 + SIGINT)."""

OUTPUT_LOST = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
"""Standard output goes to a file that takes no more."""

EPILOG = """\
examples:
  ccs-pilot sim                          charge a simulated car, live in this terminal
  ccs-pilot sim --plain --target-soc 70  one line an event
  ccs-pilot decode capture.pcapng        read the conversation in a capture
  ccs-pilot config car > car.toml        every key of a car file, to start from
"""


class Command(NamedTuple):
    """Where a command lives: its module offers `add_arguments_X` and `run_X`, X being `name`."""

    module: str
    name: str
    help: str

    def load(self) -> ModuleType:
        """Import the module; only the command that runs is imported, so `--help` stays fast."""
        return import_module(f"controller.{self.module}")


COMMANDS = {
    "sim": Command("scene", "sim", "a whole charging session: controller, simulated site and car"),
    "evse": Command("scene", "evse", "the charger on a real interface, its hardware simulated"),
    "pev": Command("scene", "pev", "the vehicle on a real interface, its hardware simulated"),
    "decode": Command("listen", "decode", "read the conversation in a capture file"),
    "exi": Command("exi_tool", "exi", "EXI payloads to JSON and back, of any protocol"),
    "modem": Command("modem_tool", "modem", "look at a powerline modem, prepare it, check it"),
    "pib": Command("pib_tool", "pib", "parameter files of modems: show, compare, change, check"),
    "realtime": Command("service", "realtime", "hard-timed half of a real charger or vehicle"),
    "communication": Command("service", "communication", "talking half of a real one"),
    "pigpiod-sim": Command("pigpiod_tool", "pigpiod_sim", "a simulated pigpio daemon and its GPIO"),
    "calibrate": Command(
        "calibrate", "calibrate", "correct the measured pilot, resistor by resistor"
    ),
    "check": Command("check_tool", "check", "is this machine ready? each part, and what to do"),
    "config": Command("scene", "config", "print every configuration key with its bounds"),
}


def build_parser(chosen: str | None = None) -> argparse.ArgumentParser:
    """Return the parser; only the chosen command's arguments are declared."""
    parser = argparse.ArgumentParser(
        prog="ccs-pilot",
        description="CCS charging controller: charger (evse), vehicle (pev) and listener.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"ccs-pilot {__version__}")
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", dest="command")
    for name, command in COMMANDS.items():
        subparser = subparsers.add_parser(name, help=command.help)
        if name == chosen:
            module = command.load()
            getattr(module, f"add_arguments_{command.name}")(subparser)
            subparser.set_defaults(run=getattr(module, f"run_{command.name}"))
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    from controller.errors import ControllerError

    fill_standard_streams()
    try:
        code = _run(list(sys.argv[1:] if argv is None else argv))
        sys.stdout.flush()
    except ControllerError as error:
        sys.stderr.write(f"ccs-pilot: {error}\n")
        return USAGE_ERROR
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # the reader has seen enough: `| head`
        from controller.view import discard

        discard(sys.stdout)
        return SESSION_FAILED
    except OSError as error:  # what the rest of the program does not expect is a bug of ours
        if error.errno not in OUTPUT_LOST:
            raise
        from controller.view import discard

        discard(sys.stdout)
        sys.stderr.write(f"ccs-pilot: the output cannot be written ({error.strerror})\n")
        return USAGE_ERROR
    return code


def fill_standard_streams() -> None:
    """Open what the caller has closed (`>&-`): else a socket of ours would get its number.

    What the terminal's encoding has no code for is written as an escape.
    """
    while (fd := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(fd, True)
    os.close(fd)
    sys.stdout = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w", closefd=False)  # noqa: SIM115
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def _run(words: list[str]) -> int:
    parser = build_parser(next((word for word in words if not word.startswith("-")), None))
    args = parser.parse_args(words)
    if args.command is None:
        parser.print_help(sys.stderr)
        return USAGE_ERROR
    code: int = args.run(args)
    return code


if __name__ == "__main__":
    sys.exit(main())
