"""The processes that talk: the charger's communication, and the vehicle with both its halves."""

from __future__ import annotations

import secrets
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

from controller import ipc, netns
from controller.communication import Communication, EvseCommunication, PevCommunication
from controller.config import CarConfig, ChargerConfig, load
from controller.driver_communication import Sockets
from controller.errors import PortError
from controller.loop import pause
from controller.plc.driver_af_packet import AfPacketLink
from controller.plc.driver_tap import open_tap
from controller.plc.driver_unix import UnixFrameLink
from controller.process_site import LOOPBACK, TAP_NAME, Period, Site, bind_realtime
from controller.realtime_pev import vehicle_realtime
from controller.signals import PevInputs
from controller.sim import host_mac
from controller.v2g import driver_net
from controller.v2g.sdp import SDP_PORT

if TYPE_CHECKING:
    import argparse

    from controller.loop import Loop, Record
    from controller.plc.port import FrameLink
    from controller.signals import Output

POLL_S = 0.05
ADDRESS_PATIENCE_S = 5.0
"""Duplicate address detection takes one to two seconds on a real interface."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a communication process lives: its loop, its record, its interface."""

    loop: Loop
    record: Record
    interface: str | None
    """None: the loopback."""
    link: FrameLink | None
    mac: bytes
    sdp_port: int = SDP_PORT


def open_charger(
    config: ChargerConfig, place: Place, realtime: ipc.Channel | None
) -> tuple[EvseCommunication, Sockets]:
    """Make the charger's talking half and all its sockets. Raises PortError."""
    if not config.uses_v2g:
        return _open_ac_charger(config, place, realtime)
    address = _own_address(place.interface)
    listener = driver_net.listen(place.interface, address)
    sdp = driver_net.open_sdp_server(place.interface, place.sdp_port)
    core = EvseCommunication(config, place.mac, address, listener.port, secrets.token_bytes)
    sockets = Sockets(
        place.loop,
        core,
        realtime,
        sdp,
        link=place.link,
        listener=listener,
        name="evse.communication",
        record=place.record,
    )
    return core, sockets


def _open_ac_charger(
    config: ChargerConfig, place: Place, realtime: ipc.Channel | None
) -> tuple[EvseCommunication, Sockets]:
    """Make the talking half of a charger without V2G: nothing of IP is needed, nor listened to."""
    core = EvseCommunication(config, place.mac, bytes(16), 0, secrets.token_bytes)
    sockets = Sockets(
        place.loop,
        core,
        realtime,
        None,
        link=place.link,
        name="evse.communication",
        record=place.record,
    )
    return core, sockets


def open_vehicle(
    config: CarConfig, place: Place, realtime: ipc.Channel | None
) -> tuple[PevCommunication, Sockets]:
    """Make the vehicle's talking half and all its sockets. Raises PortError."""
    _own_address(place.interface)
    core = PevCommunication(config, place.mac, secrets.token_bytes)
    sockets = Sockets(
        place.loop,
        core,
        realtime,
        driver_net.open_sdp_client(place.interface, place.sdp_port),
        link=place.link,
        connect=lambda address, port: driver_net.connect(place.interface, address, port),
        name="pev.communication",
        record=place.record,
    )
    return core, sockets


def evse_communication(site: Site, args: argparse.Namespace) -> None:
    """Run the charger's talking half."""
    config = load(ChargerConfig, args.config)
    place = _place(site, args, "evse", modem=config.uses_modem)
    core, sockets = open_charger(config, place, ipc.Channel.from_fd(args.ipc_fd))
    _obey(site, sockets, core)


def pev(site: Site, args: argparse.Namespace) -> None:
    """Run both halves of the vehicle; they talk through a socket all the same."""
    config = load(CarConfig, args.config)
    if args.target_soc is not None:
        config = config.with_target(args.target_soc)
    place = _place(site, args, "pev", modem=config.uses_modem)
    near, far = ipc.pair()
    core, sockets = open_vehicle(config, place, ipc.Channel(near))
    period_s = config.realtime.period_s
    realtime = vehicle_realtime(config)
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


def _place(site: Site, args: argparse.Namespace, side: str, *, modem: bool) -> Place:
    interface = _interface(site, args, side)
    link, mac = _link(args, interface, side, modem=modem)
    return Place(site.loop, site.record, interface, link, mac, args.sdp_port)


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
    if args.link == "tap" and not modem:  # made with this address; /sys does not know it
        return None, host_mac(side)
    return open_link(interface, modem=modem)


def open_link(interface: str, *, modem: bool) -> tuple[FrameLink | None, bytes]:
    """Return the way to the modem on an interface, if there is one, and our address there."""
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
