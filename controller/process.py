"""The processes of a simulated site: one entry each, with real sockets.

`python -m controller.process NAME FD FD FD ...` is what `site` starts; people start the site. A
process inherits three sockets: one to the site (clock, hardware inputs and commands, records), one
to its other half, and one that carries HomePlug frames where there is no network interface. With
`--paced` the site hands out the time and waits for "done" in each step; without it the machine's
clock rules, as on a real charger.
"""

from __future__ import annotations

import argparse
import secrets
import signal
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from controller import ipc, netns, signals_json
from controller.communication import Communication, EvseCommunication, PevCommunication
from controller.config import CarConfig, ChargerConfig, load
from controller.driver_communication import Sockets
from controller.errors import ControllerError, PortError
from controller.loop import (
    Loop,
    LoopTimer,
    MonotonicClock,
    Node,
    SteppedClock,
    freeze_garbage,
    pause,
)
from controller.plc.driver_af_packet import AfPacketLink
from controller.plc.driver_tap import TapLink, open_tap
from controller.plc.driver_unix import UnixFrameLink
from controller.realtime import EvseRealtime, PevRealtime
from controller.recorder import Recorder
from controller.signals import PevInputs
from controller.sim import host_mac
from controller.v2g import driver_net
from controller.v2g.sdp import SDP_PORT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from controller.plc.port import FrameLink
    from controller.signals import Output

NAMES = ("evse-realtime", "evse-communication", "pev")
TAP_NAME = "ccs0"
LOOPBACK = "loopback"
READY, FAILED = b"P", b"E"
"""First packet to the site: ready (with the TAP's descriptor, if any), or the reason why not."""
POLL_S = 0.05
ADDRESS_PATIENCE_S = 5.0
"""Duplicate address detection takes one to two seconds on a real interface."""


class Site:
    """This process's end of the socket to the simulated site."""

    def __init__(self, fd: int, *, paced: bool) -> None:
        self.channel = ipc.Channel.from_fd(fd, may_wait=True)
        self.clock: SteppedClock | MonotonicClock = SteppedClock() if paced else MonotonicClock()
        self.loop = Loop(self.clock, self._idle if paced else None)
        self.tap: TapLink | None = None
        self._owed = False
        self.record = Recorder(self._record)
        self.channel.on[ipc.TICK] = self._tick
        self.channel.on_lost = lambda now: self.loop.stop()
        self.loop.watch(fd, self.channel.receive)

    def ready(self) -> None:
        """Tell the site that this process is set up; hand over the TAP device, if there is one."""
        socket.send_fds(self.channel.sock, [READY], [] if self.tap is None else [self.tap.fileno()])

    def command(self, output: Output, now: float) -> None:
        """Carry out a hardware command."""
        self.channel.send_signal(output)

    def _tick(self, body: bytes, now: float) -> None:
        assert isinstance(self.clock, SteppedClock)
        self.clock.advance(ipc.TIME.unpack(body)[0])
        self._owed = True

    def _idle(self, deadline: float) -> None:
        if self._owed:
            self._owed = False
            self.channel.send(ipc.DONE, ipc.TIME.pack(deadline))

    def _record(self, now: float, node: str, direction: str, item: Any, repeats: int) -> None:  # noqa: ANN401
        head = f"{now:.6f} {node} {direction} {repeats} "
        self.channel.send(ipc.RECORD, head.encode() + signals_json.encode(item))


class Period:
    """The fixed period of a realtime node: the latest inputs of the site, whatever their age."""

    def __init__(self, site: Site, node: Node, period_s: float) -> None:
        self._node = node
        self._inputs: Output | None = None
        self.timer = LoopTimer(period_s, self._frame, site.loop.now())
        site.loop.add(self.timer)

    def take(self, inputs: Output) -> None:
        """Keep the latest inputs."""
        self._inputs = inputs

    def _frame(self, now: float) -> None:
        if self._inputs is not None:
            self._node.feed(self._node.core.receive, self._inputs, now)  # type: ignore[attr-defined]


def bind_realtime(
    site: Site, core: EvseRealtime | PevRealtime, side: str, other: ipc.Channel, period_s: float
) -> Period:
    """Bind a realtime core: hardware commands to the site, reports to communication."""

    def carry_out(output: Output, now: float) -> None:
        if isinstance(output, core.TO_HARDWARE):
            site.command(output, now)
        elif isinstance(output, core.TO_COMMUNICATION):
            other.send_signal(output)

    def lose(now: float) -> None:
        site.loop.watch(other.fileno(), None)
        node.finish(core.communication_lost(now), now)

    node = Node(f"{side}.realtime", core, carry_out, site.record)
    site.loop.add(node)
    other.on_signal(lambda item, now: node.feed(core.receive, item, now))
    other.on_lost = lose
    site.loop.watch(other.fileno(), other.receive)
    return Period(site, node, period_s)


def evse_realtime(site: Site, args: argparse.Namespace) -> None:
    """Run the charger's hard-timed half."""
    config = load(ChargerConfig, args.config)
    core = EvseRealtime(hardware_interlock=config.charger.interlock == "external")
    other = ipc.Channel.from_fd(args.ipc_fd)
    period = bind_realtime(site, core, "evse", other, config.realtime.period_s)
    site.channel.on_signal(lambda item, now: period.take(item))


def evse_communication(site: Site, args: argparse.Namespace) -> None:
    """Run the charger's talking half."""
    config = load(ChargerConfig, args.config)
    interface = _interface(site, args, "evse")
    link, mac = _link(args, interface, "evse", modem=config.plc.modem != "none")
    address = _own_address(interface)
    listener = driver_net.listen(interface, address)
    sdp = driver_net.open_sdp_server(interface, args.sdp_port)
    core = EvseCommunication(config, mac, address, listener.port, secrets.token_bytes)
    sockets = Sockets(
        site.loop,
        core,
        ipc.Channel.from_fd(args.ipc_fd),
        sdp,
        link=link,
        listener=listener,
        name="evse.communication",
        record=site.record,
    )
    _obey(site, sockets, core)


def pev(site: Site, args: argparse.Namespace) -> None:
    """Run both halves of the vehicle; they talk through a socket all the same."""
    config = load(CarConfig, args.config)
    if args.target_soc is not None:
        config = config.with_target(args.target_soc)
    interface = _interface(site, args, "pev")
    link, mac = _link(args, interface, "pev", modem=config.plc.modem != "none")
    _own_address(interface)
    near, far = ipc.pair()
    core = PevCommunication(config, mac, secrets.token_bytes)
    sockets = Sockets(
        site.loop,
        core,
        ipc.Channel(near),
        driver_net.open_sdp_client(interface, args.sdp_port),
        link=link,
        connect=lambda address, port: driver_net.connect(interface, address, port),
        name="pev.communication",
        record=site.record,
    )
    period_s = config.realtime.period_s
    period = bind_realtime(site, PevRealtime(), "pev", ipc.Channel(far), period_s)
    _obey(site, sockets, core, period)


def _obey(site: Site, sockets: Sockets, core: Communication, period: Period | None = None) -> None:
    """Take the site's signals: hardware inputs, or what a person asks for."""

    def take(item: Output, now: float) -> None:
        if period is not None and isinstance(item, PevInputs):
            period.take(item)
        else:
            sockets.node.feed(core.receive, item, now)

    site.channel.on_signal(take)


def _interface(site: Site, args: argparse.Namespace, side: str) -> str | None:
    """Return the interface's name, None for loopback; makes the TAP device where one is wanted."""
    if args.link == LOOPBACK:
        return None
    if args.link != "tap":
        return str(args.link)
    netns.enter()
    netns.quieten()
    site.tap = open_tap(TAP_NAME, host_mac(side))
    return TAP_NAME


def _link(
    args: argparse.Namespace, interface: str | None, side: str, *, modem: bool
) -> tuple[FrameLink | None, bytes]:
    if interface is None:
        mac = host_mac(side)
        return UnixFrameLink(socket.socket(fileno=args.frame_fd), mac), mac
    if not modem:
        return None, netns.mac_of(interface)
    link = AfPacketLink(interface)
    return link, link.mac


def _own_address(interface: str | None) -> bytes:
    """Return our address; waits while duplicate address detection goes on."""
    waited_s = 0.0
    while True:
        try:
            return driver_net.own_address(interface)
        except PortError:
            if waited_s >= ADDRESS_PATIENCE_S:
                raise
        waited_s += POLL_S
        pause(POLL_S)


MAINS = {"evse-realtime": evse_realtime, "evse-communication": evse_communication, "pev": pev}


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
        MAINS[args.name](site, args)
    except (ControllerError, OSError) as error:
        site.channel.send(FAILED, str(error).encode())
        return 1
    site.ready()
    freeze_garbage()
    site.loop.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
