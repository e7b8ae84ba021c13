"""The commands `realtime` and `communication`: the two services of a real charger or vehicle."""

from __future__ import annotations

import argparse
import signal
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from controller.config import CarConfig, ChargerConfig, load
from controller.driver_guard import Guard
from controller.driver_journal import WARNING, Journal
from controller.driver_notify import Notifier
from controller.driver_watchdog import Watchdog
from controller.errors import ConfigError
from controller.ipc_door import Door
from controller.loop import MonotonicClock, PreciseClock, become_realtime, wait_readable
from controller.port import LastWish, Wakes, Wishes
from controller.realtime_ac import ChargerCore, charger_realtime
from controller.realtime_pev import PevRealtime, vehicle_realtime
from controller.rest import Rest
from controller.service_realtime import RealtimeService
from controller.signals import REQUESTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from controller.port import Hardware

    OpenHardware = Callable[[ChargerConfig | CarConfig, str], Hardware]

LONGEST_WATCHED_S = 0.01
"""The external watchdog opens 20 ms after the last edge and must see a period come late."""

REALTIME_TEXT = """\
Runs the hard-timed half of a real charger (--charger) or vehicle (--car): pilot, contactors, power
and interlock in a fixed period, with the hardware that the file names. Reads its file, takes its
hardware, and from then on touches no file. The other half, `ccs-pilot communication`, comes by the
socket of the file (realtime.socket); without it nothing is ever closed.

As a service: boot/ccs-realtime.service. SCHED_FIFO and locked memory need privileges; what the
kernel refuses is said in a line at the start. SIGTERM makes everything safe and ends.

examples:
  ccs-pilot realtime --charger /etc/ccs-pilot/charger.toml
  ccs-pilot realtime --car /etc/ccs-pilot/car.toml
"""

COMMUNICATION_TEXT = """\
Runs the talking half of a real charger (--charger) or vehicle (--car): modem, SLAC, SDP and V2G on
a network interface. It asks `ccs-pilot realtime` for everything else, waits for it where it is not
there yet, and lives on when it goes. It keeps a trace for each plug-in in a folder.

`--interface loopback` is for two sides on one machine, without modem ([plc] modem = "none").
As a service: boot/ccs-communication.service. SIGTERM ends the session in good order first.

examples:
  ccs-pilot communication --charger /etc/ccs-pilot/charger.toml --interface plc0
  ccs-pilot communication --car car.toml --interface eth1 --out /var/lib/ccs-pilot
"""


def add_arguments_realtime(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `realtime`."""
    _common(parser, REALTIME_TEXT)


def add_arguments_communication(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `communication`."""
    from controller.v2g.sdp import SDP_PORT

    _common(parser, COMMUNICATION_TEXT)
    parser.add_argument(
        "--interface", metavar="IF", help="network interface (an AC charger without modem has none)"
    )
    parser.add_argument(
        "--out", type=Path, metavar="DIR", default=Path("traces"), help="traces (default: traces)"
    )
    parser.add_argument(
        "--sdp-port",
        type=int,
        default=SDP_PORT,
        metavar="PORT",
        help="UDP port of SDP, for tests (default: 15118)",
    )


def _common(parser: argparse.ArgumentParser, text: str) -> None:
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.description = text
    side = parser.add_mutually_exclusive_group(required=True)
    side.add_argument("--charger", type=Path, metavar="FILE", help="charger file (TOML)")
    side.add_argument("--car", type=Path, metavar="FILE", help="car file (TOML)")


def side_of(args: argparse.Namespace) -> tuple[str, ChargerConfig | CarConfig]:
    """Return evse or pev, and its configuration. Raises ConfigError."""
    if args.charger is not None:
        return "evse", load(ChargerConfig, args.charger)
    return "pev", load(CarConfig, args.car)


def run_communication(args: argparse.Namespace) -> int:
    """Run the talking half until SIGTERM."""
    from controller.service_communication import serve_communication

    side, config = side_of(args)
    return serve_communication(
        side, config, interface=args.interface, folder=args.out, sdp_port=args.sdp_port
    )


def run_realtime(args: argparse.Namespace) -> int:
    """Run the hard-timed half until SIGTERM."""
    from controller.hardware import open_hardware

    side, config = side_of(args)
    return serve_realtime(side, config, open_hardware)


def serve_realtime(
    side: str, config: ChargerConfig | CarConfig, open_hardware: OpenHardware
) -> int:
    """Run the hard-timed half with this hardware; returns the exit code. Raises ControllerError."""
    settings = config.realtime
    _check_period(config)
    with ExitStack() as stack:  # closed from the last to the first: the hardware first of all
        journal, notifier, clock = Journal(), Notifier(), MonotonicClock()
        stack.callback(notifier.close)
        core = core_of(config)
        door = Door(settings.socket, REQUESTS)
        stack.callback(door.close)
        hardware = open_hardware(config, side)
        closing = stack.push(ExitStack())
        closing.callback(hardware.close)
        hardware.make_safe()
        guard = start_guard(hardware, settings.priority)
        stack.callback(guard.release)
        watchdog = None
        if settings.watchdog:
            watchdog = Watchdog(settings.watchdog, clock.now())
            stack.callback(watchdog.close)
        stack.push(closing.pop_all())
        service = RealtimeService(
            side,
            core,
            hardware,
            door,
            period_s=settings.period_s,
            clock=PreciseClock(),
            journal=journal,
            notifier=notifier,
            watchdog=watchdog,
            rest=rest_of(config, hardware),
            guard=guard,
        )
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, service.stop)
        for line in become_realtime(settings.priority, settings.cpu):
            journal.say(clock.now(), f"may be late on a busy machine: {line}", WARNING)
        service.run()
    return 0


def start_guard(hardware: Hardware, priority: int) -> Guard:
    """Start what makes the hardware safe when this process dies; `problem` says if it could not."""
    return Guard(hardware.last_wish() if isinstance(hardware, Wishes) else LastWish(), priority)


def core_of(config: ChargerConfig | CarConfig) -> ChargerCore | PevRealtime:
    """Return the realtime core that this configuration asks for."""
    if isinstance(config, ChargerConfig):
        return charger_realtime(config)
    return vehicle_realtime(config)


def rest_of(config: ChargerConfig | CarConfig, hardware: Hardware) -> Rest | None:
    """Let a vehicle unit rest where its file says so."""
    if isinstance(config, ChargerConfig) or config.hardware.rest_s == 0.0:
        return None
    fileno = hardware.wake_fileno if isinstance(hardware, Wakes) else lambda: -1
    return Rest(config.hardware.rest_s, lambda at_ns: wait_readable(fileno(), at_ns))


def _check_period(config: ChargerConfig | CarConfig) -> None:
    watched = not isinstance(config, ChargerConfig) or config.charger.interlock == "external"
    period_s = config.realtime.period_s
    if watched and period_s > LONGEST_WATCHED_S:
        raise ConfigError(
            f"realtime.period_s = {period_s:g}: too long for the external watchdog, which needs an "
            f"edge every {LONGEST_WATCHED_S * 1000:g} ms (charger.interlock = none: bench mode)"
        )
