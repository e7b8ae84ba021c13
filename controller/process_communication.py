"""The processes that talk: the charger's communication, and the vehicle with both its halves."""

from __future__ import annotations

import secrets
import socket
from typing import TYPE_CHECKING

from controller import ipc, netns
from controller.communication import Communication, EvseCommunication, PevCommunication
from controller.config import CarConfig, ChargerConfig, load
from controller.cp.proximity import Connector
from controller.driver_communication import Sockets
from controller.errors import PortError
from controller.loop import pause
from controller.plc.driver_af_packet import AfPacketLink
from controller.plc.driver_tap import open_tap
from controller.plc.driver_unix import UnixFrameLink
from controller.process_site import LOOPBACK, TAP_NAME, Period, Site, bind_realtime
from controller.realtime import PevRealtime
from controller.signals import PevInputs
from controller.sim import host_mac
from controller.v2g import driver_net

if TYPE_CHECKING:
    import argparse

    from controller.plc.port import FrameLink
    from controller.signals import Output

POLL_S = 0.05
ADDRESS_PATIENCE_S = 5.0
"""Duplicate address detection takes one to two seconds on a real interface."""


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
    realtime = PevRealtime(Connector(config.inlet.connector))
    period = bind_realtime(site, realtime, "pev", ipc.Channel(far), period_s)
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


MAINS = {"evse-communication": evse_communication, "pev": pev}
