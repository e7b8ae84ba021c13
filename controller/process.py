"""The processes of a simulated site: one entry each, with real sockets.

`python -m controller.process NAME FD FD FD ...` is what `site` starts; people start the site. A
process inherits three sockets: one to the site (clock, hardware inputs and commands, records), one
to its other half, and one that carries HomePlug frames where there is no network interface. With
`--paced` the site hands out the time and waits for "done" in each step; without it the machine's
clock rules, as on a real charger.

The realtime process imports nothing that talks: it starts sooner and has less memory to lock.
"""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from controller import ipc
from controller.config import ChargerConfig, load
from controller.errors import ControllerError
from controller.loop import become_realtime, freeze_garbage, go_first
from controller.process_site import (
    COMMUNICATION_PRIORITY,
    FAILED,
    LOOPBACK,
    REALTIME_PRIORITY,
    Site,
    bind_realtime,
)
from controller.realtime_ac import charger_realtime
from controller.v2g.sdp import SDP_PORT

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

NAMES = ("evse-realtime", "evse-communication", "pev")


def evse_realtime(site: Site, args: argparse.Namespace) -> None:
    """Run the charger's hard-timed half."""
    config = load(ChargerConfig, args.config)
    core = charger_realtime(config)
    other = ipc.Channel.from_fd(args.ipc_fd)
    period = bind_realtime(site, core, "evse", other, config.realtime.period_s)
    site.channel.on_signal(lambda item, now: period.take(item))


def main_of(name: str) -> Callable[[Site, argparse.Namespace], None]:
    """Return what runs in the process of this name, imported only now."""
    if name == "evse-realtime":
        return evse_realtime
    from controller import process_communication

    return process_communication.MAINS[name]


def settle_in(args: argparse.Namespace) -> list[str]:
    """Be on time by the machine's clock, whatever else runs there; returns what was refused."""
    if args.paced:
        freeze_garbage()
        return []
    if args.name == "evse-communication":
        freeze_garbage()
        return go_first(COMMUNICATION_PRIORITY)
    return become_realtime(REALTIME_PRIORITY)


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read what the site passed."""
    parser = argparse.ArgumentParser(prog="controller.process", description=__doc__)
    parser.add_argument("name", choices=NAMES)
    for fd in ("site_fd", "ipc_fd", "frame_fd"):
        parser.add_argument(fd, type=int)
    parser.add_argument("--config", type=Path)
    parser.add_argument("--link", default=LOOPBACK, help="tap, loopback, or an interface")
    parser.add_argument("--sdp-port", type=int, default=SDP_PORT)
    parser.add_argument("--target-soc", type=float)
    parser.add_argument("--paced", action="store_true")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one process until the site closes its socket."""
    args = parse_args(argv)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the site decides how a session ends
    site = Site(args.site_fd, paced=args.paced)
    try:
        main_of(args.name)(site, args)
        site.ready(settle_in(args))
    except (ControllerError, OSError) as error:
        site.channel.send(FAILED, str(error).encode())  # nobody hears it if the site is gone
        return 1
    site.loop.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
